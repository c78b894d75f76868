/* SPDX-License-Identifier: BSD-2-Clause */
/* Shares of time and verdicts, from accounts whose truth is known. */
#include <errno.h>
#include <unistd.h>

#include "test.h"

#include <kbypass/record.h>

#define T0 1790000000000000000u
#define MS 1000000ull
#define S 1000000000ull
enum { HFT, AUTOMATED, VOICE };

static struct kbp_rts25 *account(void)
{
	struct kbp_rts25 *r;

	assert_int_equal(kbp_rts25_open(NULL, &r, NULL), 0);
	return r;
}

/* A settled claim in sync with that bound, and a stamp that resolves nanoseconds. */
static void known(struct kbp_rts25 *r, uint64_t ns, uint64_t bound)
{
	const struct kbp_claim c = { .sync = KBP_SYNC_IN, .settled = true, .bound_ns = bound };

	kbp_rts25_add(r, ns, &c);
	kbp_rts25_stamp(r, KBP_TS_KERNEL, ns + ns / MS % 7, 0);
}

static void unknown(struct kbp_rts25 *r, uint64_t ns, enum kbp_clock_cause cause)
{
	const struct kbp_claim c = { .cause = cause, .settled = true, .bound_ns = 5 };

	kbp_rts25_add(r, ns, &c);
}

static struct kbp_rts25_result result(struct kbp_rts25 *r)
{
	struct kbp_rts25_result res;

	kbp_rts25_result(r, &res);
	kbp_rts25_close(r);
	assert_int_equal(res.total_ns,
			 res.cls[HFT].within_ns + res.cls[HFT].beyond_ns + res.unknown_ns);
	assert_int_equal(res.total_ns,
			 res.cls[VOICE].within_ns + res.cls[VOICE].beyond_ns + res.unknown_ns);
	return res;
}

static void limits_are_those_of_the_regulation(void **state)
{
	(void)state;
	assert_string_equal(kbp_rts25_class(HFT)->name, "hft");
	assert_int_equal(kbp_rts25_class(HFT)->divergence_ns, 100000);
	assert_int_equal(kbp_rts25_class(HFT)->granularity_ns, 1000);
	assert_int_equal(kbp_rts25_class(AUTOMATED)->divergence_ns, MS);
	assert_int_equal(kbp_rts25_class(AUTOMATED)->granularity_ns, MS);
	assert_int_equal(kbp_rts25_class(VOICE)->divergence_ns, S);
	assert_int_equal(kbp_rts25_class(VOICE)->granularity_ns, S);
	assert_null(kbp_rts25_class(KBP_RTS25_CLASSES));
	assert_non_null(strstr(kbp_rts25_law(), "2017/574"));
}

static void all_of_the_time_within_is_compliant(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	for (uint64_t i = 0; i <= 100; i++)
		known(r, T0 + i * 10 * MS, 400 + i);
	res = result(r);
	assert_int_equal(res.total_ns, S);
	assert_int_equal(res.cls[HFT].within_ns, S);
	assert_int_equal(res.worst_bound_ns, 500);
	assert_int_equal(res.worst_at_ns, T0 + S);
	assert_int_equal(res.periods, 0);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_COMPLIANT);
}

static void the_limit_itself_is_within_and_one_nanosecond_more_is_not(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	known(r, T0, 100000);
	known(r, T0 + 500, 100000);
	res = result(r);
	assert_int_equal(res.cls[HFT].within_ns, 500);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
	r = account();
	known(r, T0, 100000);
	known(r, T0 + 500, 100001);
	res = result(r);
	assert_int_equal(res.cls[HFT].within_ns, 0);
	assert_int_equal(res.cls[HFT].beyond_ns, 500);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_COMPLIANT);
	assert_int_equal(res.cls[AUTOMATED].verdict, KBP_RTS25_COMPLIANT);
}

static void unknown_time_never_counts_as_compliant(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	for (unsigned i = 0; i <= 10; i++) {
		if (i == 5)
			unknown(r, T0 + i * MS, KBP_CLOCK_MASTER_LOST);
		else
			known(r, T0 + i * MS, 100);
	}
	res = result(r);
	assert_int_equal(res.unknown_ns, 2 * MS); /* on both sides of the unknown moment */
	assert_int_equal(res.cls[VOICE].within_ns, 8 * MS);
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_NOT_SHOWN);
	assert_int_equal(res.periods, 1);
	assert_int_equal(res.period[0].from_ns, T0 + 4 * MS);
	assert_int_equal(res.period[0].to_ns, T0 + 6 * MS);
	assert_string_equal(res.period[0].cause, "master_lost");
}

static void a_claim_without_bound_or_unsettled_or_none_is_unknown(void **state)
{
	const struct kbp_claim unbound = { .sync = KBP_SYNC_IN,
					   .settled = true,
					   .bound_ns = KBP_BOUND_UNKNOWN };
	const struct kbp_claim unsettled = { .sync = KBP_SYNC_IN, .bound_ns = 5 };
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	kbp_rts25_add(r, T0, &unbound);
	kbp_rts25_add(r, T0 + 1, &unsettled);
	kbp_rts25_add(r, T0 + 2, NULL);
	kbp_rts25_add(r, T0 + 3, NULL);
	res = result(r);
	assert_int_equal(res.unknown_ns, 3);
	assert_int_equal(res.unknown_claims, 4);
	assert_int_equal(res.periods, 3);
	assert_string_equal(res.period[0].cause, "no_bound");
	assert_string_equal(res.period[1].cause, "unsettled");
	assert_string_equal(res.period[2].cause, "no_claim");
	assert_true(res.worst_bound_ns == KBP_BOUND_UNKNOWN);
}

static void a_long_time_between_two_claims_is_unknown(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	known(r, T0, 100);
	known(r, T0 + S, 100); /* as long as it may be */
	known(r, T0 + 2 * S + 1, 100);
	res = result(r);
	assert_int_equal(res.cls[HFT].within_ns, S);
	assert_int_equal(res.unknown_ns, S + 1);
	assert_string_equal(res.period[0].cause, "gap");
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_NOT_SHOWN);
}

static void time_beyond_a_limit_tells_even_where_some_is_unknown(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	known(r, T0, 100);
	known(r, T0 + 1, 200000);
	unknown(r, T0 + 2, KBP_CLOCK_EXPIRED);
	res = result(r);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_COMPLIANT);
	assert_int_equal(res.cls[AUTOMATED].verdict, KBP_RTS25_NOT_SHOWN);
}

static void nothing_at_all_shows_nothing(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res = result(r);

	(void)state;
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++)
		assert_int_equal(res.cls[i].verdict, KBP_RTS25_NOT_SHOWN);
	r = account();
	known(r, T0, 1); /* a moment is no time */
	res = result(r);
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_NOT_SHOWN);
}

static void a_claim_that_comes_late_takes_no_time_and_the_worse_one_stands(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	known(r, T0, 100);
	known(r, T0 + 10, 100);
	unknown(r, T0 + 8, KBP_CLOCK_OFFSET); /* of another queue */
	known(r, T0 + 20, 100);
	res = result(r);
	assert_int_equal(res.total_ns, 20);
	assert_int_equal(res.backwards, 1);
	assert_int_equal(res.unknown_ns, 10);
}

static void a_clock_that_was_set_back_shows_nothing(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	known(r, T0, 100);
	known(r, T0 + 10, 100);
	known(r, T0 - 3600 * S, 100);
	known(r, T0 - 3600 * S + 10, 100);
	res = result(r);
	assert_int_equal(res.breaks, 1);
	assert_int_equal(res.total_ns, 20);
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_NOT_SHOWN);
}

/* A second that is inserted comes twice by CLOCK_REALTIME. */
static void a_leap_second_is_unknown(void **state)
{
	struct kbp_clock_opts co = KBP_CLOCK_OPTS_INIT;
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;
	struct kbp_clock *clock;

	(void)state;
	co.epoch = KBP_EPOCH_UTC;
	assert_int_equal(kbp_clock_open(&co, &clock, NULL), 0);
	for (uint64_t i = 0; i < 60; i++) { /* ten looks a second; the third second is repeated */
		const struct kbp_clock_look l = { .at_ns = T0 + i * 100 * MS - (i >= 30 ? S : 0),
						  .raw_ns = S + i * 100 * MS,
						  .sync = KBP_SYNC_IN,
						  .bound_ns = 50 };

		assert_int_equal(kbp_clock_add(clock, &l), 0);
	}
	for (uint64_t ns = T0; ns < T0 + 4800 * MS; ns += MS) {
		struct kbp_claim c;

		kbp_clock_judge(clock, ns, &c);
		kbp_rts25_add(r, ns, &c);
	}
	kbp_clock_close(clock);
	res = result(r);
	assert_true(res.unknown_ns > 800 * MS && res.unknown_ns < 1200 * MS);
	assert_int_equal(res.cls[VOICE].verdict, KBP_RTS25_NOT_SHOWN);
	assert_true(res.periods >= 1);
}

static void granularity_case(uint64_t step, unsigned n, uint32_t stated_ps,
			     struct kbp_rts25_result *res)
{
	const struct kbp_claim c = { .sync = KBP_SYNC_IN, .settled = true, .bound_ns = 10 };
	struct kbp_rts25 *r = account();

	for (uint64_t i = 0; i < n; i++) {
		kbp_rts25_add(r, T0 + i * i * step, &c);
		kbp_rts25_stamp(r, KBP_TS_KERNEL, T0 + i * i * step, stated_ps);
	}
	*res = result(r);
}

static void coarse_stamps_are_not_compliant(void **state)
{
	struct kbp_rts25_result res;

	(void)state;
	granularity_case(2000, 40, 1000, &res); /* whatever the source states */
	assert_int_equal(res.step_ns, 2000);
	assert_int_equal(res.resolution_ps, 1000);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_COMPLIANT);
	assert_int_equal(res.cls[AUTOMATED].verdict, KBP_RTS25_COMPLIANT);
	granularity_case(1000, 40, 0, &res); /* the limit itself */
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
}

static void a_few_stamps_do_not_show_that_a_clock_is_coarse(void **state)
{
	struct kbp_rts25_result res;

	(void)state;
	granularity_case(2000, 3, 0, &res);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_SHOWN);
	granularity_case(2000, 3, 1000, &res); /* it states what it resolves, and nothing contradicts */
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
}

/* A NIC's clock that counts in steps of 1 ms, 3 ppb fast: in UTC its stamps lie on a grid of 1 ns. */
static struct kbp_rts25_result converted_case(uint32_t stated_ps)
{
	const struct kbp_claim c = { .sync = KBP_SYNC_IN, .settled = true, .bound_ns = 10 };
	struct kbp_rts25 *r = account();

	for (uint64_t i = 0; i < 400; i++) {
		uint64_t ns = i * MS;

		ns = T0 + ns - ns * 3 / S;
		kbp_rts25_add(r, ns, &c);
		kbp_rts25_stamp(r, KBP_TS_NIC, ns, stated_ps);
	}
	return result(r);
}

static void a_converted_stamp_is_no_finer_than_its_clock_states(void **state)
{
	struct kbp_rts25_result res = converted_case(1000000000);

	(void)state;
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_COMPLIANT);
	assert_int_equal(res.cls[AUTOMATED].verdict, KBP_RTS25_COMPLIANT);
	assert_int_equal(res.step_ns, MS);
	assert_int_equal(converted_case(2000000000).cls[AUTOMATED].verdict, KBP_RTS25_NOT_COMPLIANT);
	assert_int_equal(converted_case(0).cls[HFT].verdict, KBP_RTS25_NOT_SHOWN);
	assert_int_equal(converted_case(4000).cls[HFT].verdict, KBP_RTS25_COMPLIANT);
}

static void a_source_that_states_to_be_coarse_is_not_compliant(void **state)
{
	struct kbp_rts25_result res;

	(void)state;
	granularity_case(1, 40, 1000001, &res);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_NOT_COMPLIANT);
	granularity_case(1, 40, 1000000, &res); /* the limit itself */
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
}

static void the_list_of_unknown_times_is_bounded_and_counted(void **state)
{
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		if (i % 4 == 0)
			unknown(r, T0 + i, KBP_CLOCK_EXPIRED);
		else
			known(r, T0 + i, 1);
	}
	res = result(r);
	assert_int_equal(res.n_periods, KBP_RTS25_PERIODS_MAX);
	assert_int_equal(res.periods, 250);
}

/* ---------------------------------------------------------------- files */

static void a_capture_gives_its_claims(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_clock_opts co = KBP_CLOCK_OPTS_INIT;
	char path[] = "/tmp/kbp-rts25-XXXXXX";
	struct kbp_rts25 *r = account();
	struct kbp_rts25_result res;
	struct kbp_rts25_file file;
	struct kbp_recorder *rec;
	struct kbp_clock *clock;
	uint64_t begin;

	(void)state;
	close(mkstemp(path));
	co.epoch = s.ts_epoch = KBP_EPOCH_UTC;
	assert_int_equal(kbp_clock_open(&co, &clock, NULL), 0);
	o.path = path;
	o.force = true;
	assert_int_equal(kbp_recorder_open(&o, &rec, NULL), 0);
	s.name = "x";
	s.linktype = 1;
	s.ts_source = KBP_TS_KERNEL;
	s.clock = clock;
	assert_int_equal(kbp_recorder_add(rec, &s, NULL), 0);
	for (uint64_t i = 0; i < 11; i++) {
		const struct kbp_clock_look l = { .at_ns = T0 + i * 100 * MS,
						  .raw_ns = S + i * 100 * MS,
						  .sync = KBP_SYNC_IN,
						  .bound_ns = 70 };
		const struct kbp_stamp stamp = { .ns = l.at_ns + 7 + i * i, .flags = KBP_FRAME_TS };

		assert_int_equal(kbp_clock_add(clock, &l), 0);
		if (i < 10)
			assert_int_equal(kbp_recorder_packet(rec, 0, "a", 1, &stamp), 1);
	}
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	kbp_clock_close(clock);
	assert_int_equal(kbp_rts25_begin(path, &begin, NULL), 0);
	assert_int_equal(begin, T0 + 7);
	assert_int_equal(kbp_rts25_add_file(r, path, &file, NULL), 0);
	assert_int_equal(file.packets, 10);
	assert_int_equal(file.foreign + file.damaged, 0);
	assert_int_equal(kbp_rts25_add_file(r, path, NULL, NULL), 0); /* within a second: no error */
	unlink(path);
	res = result(r);
	assert_int_equal(res.total_ns, 900 * MS + 81);
	assert_int_equal(res.cls[HFT].within_ns, res.total_ns);
	assert_int_equal(res.cls[HFT].verdict, KBP_RTS25_COMPLIANT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_those_of_the_regulation),
		cmocka_unit_test(all_of_the_time_within_is_compliant),
		cmocka_unit_test(the_limit_itself_is_within_and_one_nanosecond_more_is_not),
		cmocka_unit_test(unknown_time_never_counts_as_compliant),
		cmocka_unit_test(a_claim_without_bound_or_unsettled_or_none_is_unknown),
		cmocka_unit_test(a_long_time_between_two_claims_is_unknown),
		cmocka_unit_test(time_beyond_a_limit_tells_even_where_some_is_unknown),
		cmocka_unit_test(nothing_at_all_shows_nothing),
		cmocka_unit_test(a_claim_that_comes_late_takes_no_time_and_the_worse_one_stands),
		cmocka_unit_test(a_clock_that_was_set_back_shows_nothing),
		cmocka_unit_test(a_leap_second_is_unknown),
		cmocka_unit_test(coarse_stamps_are_not_compliant),
		cmocka_unit_test(a_few_stamps_do_not_show_that_a_clock_is_coarse),
		cmocka_unit_test(a_converted_stamp_is_no_finer_than_its_clock_states),
		cmocka_unit_test(a_source_that_states_to_be_coarse_is_not_compliant),
		cmocka_unit_test(the_list_of_unknown_times_is_bounded_and_counted),
		cmocka_unit_test(a_capture_gives_its_claims),
	};

	return cmocka_run_group_tests_name("record_rts25", tests, NULL, NULL);
}
