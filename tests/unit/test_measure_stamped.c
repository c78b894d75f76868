/* SPDX-License-Identifier: BSD-2-Clause */
/* How a latency is parted at a stamp: what is used, what is clipped, what is refused, and how it is counted. */
#include "tests/lib/test.h"

#include "tools/measure/parts.h"

#define HZ 1000000000u /* a tick is a ns */
#define BASE 1000000000u
#define EPOCH 1700000000000000000u
#define ERROR_NS 101 /* half of what the crafted readings took, and 1 for rounding */

static struct kbp_bench bench;
static struct kbp_round_shared shared;
static struct kbp_results results;
static struct kbp_result_run run;
static struct kbp_run_work work;
static struct kbp_seen record;
static uint64_t stamp;
static uint32_t rx[8], wire[8];

static int setup(void **state)
{
	(void)state;
	free(results.finding);
	memset(&bench, 0, sizeof(bench));
	memset(&shared, 0, sizeof(shared));
	memset(&results, 0, sizeof(results));
	memset(&run, 0, sizeof(run));
	memset(&work, 0, sizeof(work));
	bench.sh = &shared;
	bench.res = &results;
	bench.records = &record;
	bench.stamps_ns = &stamp;
	work.rx_path.ns = rx;
	work.wire.ns = wire;
	strcpy(run.backend, "socket");
	shared.queue.ts_source = KBP_TS_KERNEL;
	shared.queue.ts_epoch = KBP_EPOCH_UTC;
	shared.queue.ts_phc = -1;
	shared.queue.ts_proof = KBP_PROVEN;
	shared.stamps = shared.queue;
	shared.have_pairs = true;
	shared.pairs.every = 10;
	if (kbp_tsc_set_hz(&bench.tsc, HZ))
		return -1;
	shared.pairs.tsc = bench.tsc;
	for (uint64_t i = 0; i < 3; i++) {
		struct kbp_pair p = { BASE + i * 1000000, EPOCH + i * 1000000, 100 };

		kbp_pairs_add(&shared.pairs, &p);
	}
	return 0;
}

/* Due, stamped and received so many ns after BASE. */
static void frame(uint64_t due, int64_t stamped, uint64_t got)
{
	stamp = (uint64_t)((int64_t)EPOCH + stamped);
	record.ticks = BASE + got;
	kbp_stamped_add(&bench, &work, &run.stamps, 0, BASE + due);
}

static void a_latency_is_parted_at_the_stamp(void **state)
{
	(void)state;
	kbp_stamped_round(&bench, &run);
	frame(1000, 3000, 3500);
	assert_string_equal(run.stamps.source, "kernel");
	assert_string_equal(run.stamps.epoch, "utc");
	assert_string_equal(run.stamps.proof, "proven");
	assert_in_range(wire[0], 1999, 2001);
	assert_in_range(rx[0], 499, 501);
	assert_int_equal(run.stamps.error_ns, ERROR_NS);
	assert_int_equal(run.stamps.unstamped + run.stamps.clipped + run.stamps.impossible, 0);
	assert_int_equal(results.n_findings, 0);
}

static void below_zero_within_the_error_is_kept_as_zero_and_counted(void **state)
{
	(void)state;
	frame(1000, 3050, 3000);
	assert_int_equal(rx[0], 0);
	assert_int_equal(run.stamps.clipped, 1);
	frame(1000, 950, 3000);
	assert_int_equal(wire[1], 0);
	assert_int_equal(run.stamps.wire_clipped, 1);
	assert_int_equal(run.stamps.impossible, 0);
}

static void beyond_the_error_it_is_refused_and_a_finding(void **state)
{
	(void)state;
	frame(1000, 3000 + ERROR_NS + 10, 3000);
	frame(1000, 1000 - ERROR_NS - 10, 3000);
	assert_int_equal(rx[0], KBP_SAMPLE_NONE);
	assert_int_equal(wire[1], KBP_SAMPLE_NONE);
	assert_int_equal(run.stamps.impossible, 2);
	kbp_bench_stamp_findings(&bench, &run);
	assert_int_equal(results.n_findings, 1);
	assert_string_equal(results.finding[0].code, "stamp_impossible");
	assert_false(results.finding[0].note);
}

static void the_sender_s_counter_may_be_apart_by_what_was_measured(void **state)
{
	(void)state;
	bench.skew.ticks = -200;
	bench.skew.bound_ticks = 50;
	frame(1000, 1000 - ERROR_NS - 240, 3000);
	assert_int_equal(run.stamps.impossible, 0);
	assert_int_equal(run.stamps.wire_clipped, 1);
	frame(1000, 1000 - ERROR_NS - 260, 3000);
	assert_int_equal(run.stamps.impossible, 1);
}

static void frames_without_a_proven_stamp_have_no_parts(void **state)
{
	(void)state;
	stamp = 0;
	record.ticks = BASE + 10;
	kbp_stamped_add(&bench, &work, &run.stamps, 0, BASE);
	assert_int_equal(rx[0], KBP_SAMPLE_NONE);
	frame(0, -1, 10); /* before the clock was looked at */
	frame(0, 3000000, 3000010);
	assert_int_equal(run.stamps.unstamped, 3);
	shared.queue.ts_proof = KBP_BOUND;
	frame(0, 5, 10);
	assert_int_equal(run.stamps.unstamped, 4);
	assert_int_equal(work.rx_path.n, 4); /* they keep their places */
}

static void stamps_of_another_clock_than_was_read_are_not_used(void **state)
{
	(void)state;
	shared.queue.ts_source = KBP_TS_NIC;
	shared.queue.ts_epoch = KBP_EPOCH_PHC;
	kbp_stamped_round(&bench, &run);
	frame(1000, 3000, 3500);
	assert_int_equal(run.stamps.unstamped, 1);
	assert_int_equal(results.n_findings, 1);
	assert_string_equal(results.finding[0].code, "no_stamps");
}

static void a_round_in_which_the_clock_was_set_is_void(void **state)
{
	struct kbp_pair p = { BASE + 3000000, EPOCH + 9000000, 100 };

	(void)state;
	kbp_pairs_add(&shared.pairs, &p);
	kbp_stamped_round(&bench, &run);
	frame(1000, 3000, 3500);
	assert_int_equal(rx[0], KBP_SAMPLE_NONE);
	assert_int_equal(run.stamps.voided, 1);
	assert_int_equal(run.stamps.unstamped, 0);
	assert_int_equal(results.n_findings, 1);
	assert_string_equal(results.finding[0].code, "clock_stepped");
	assert_false(results.finding[0].note);
}

static void a_source_that_changes_between_rounds_is_a_finding(void **state)
{
	(void)state;
	kbp_stamped_round(&bench, &run);
	run.n_rounds = 1;
	shared.queue.ts_source = shared.stamps.ts_source = KBP_TS_DRIVER;
	kbp_stamped_round(&bench, &run);
	assert_int_equal(results.n_findings, 1);
	assert_string_equal(results.finding[0].code, "stamps_changed");
}

static void a_backend_without_stamps_is_a_note(void **state)
{
	(void)state;
	memset(&shared.queue, 0, sizeof(shared.queue));
	shared.have_pairs = false;
	strcpy(shared.no_pairs, "received frames have no stamps");
	kbp_stamped_round(&bench, &run);
	assert_string_equal(run.stamps.source, "");
	assert_int_equal(results.n_findings, 1);
	assert_true(results.finding[0].note);
	assert_string_equal(results.finding[0].code, "no_stamps");
}

static void quantiles_leave_out_what_has_no_parts(void **state)
{
	uint32_t v[] = { 9, 9, 1, KBP_SAMPLE_NONE, 3, KBP_SAMPLE_MOST };
	struct kbp_samples s = { .ns = v, .n = 6 };
	struct kbp_result_round round = { .samples = 6, .warmup = 2 };
	struct kbp_latency l;

	(void)state;
	run.round = &round;
	run.n_rounds = 1;
	kbp_run_quantiles(&run, &s, true, &l);
	assert_int_equal(l.samples, 3);
	assert_int_equal(l.min_ns, 1);
	assert_int_equal(l.saturated, 1);
	assert_int_equal(l.max_ns, UINT32_MAX);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(a_latency_is_parted_at_the_stamp),
		T(below_zero_within_the_error_is_kept_as_zero_and_counted),
		T(beyond_the_error_it_is_refused_and_a_finding),
		T(the_sender_s_counter_may_be_apart_by_what_was_measured),
		T(frames_without_a_proven_stamp_have_no_parts),
		T(stamps_of_another_clock_than_was_read_are_not_used),
		T(a_round_in_which_the_clock_was_set_is_void),
		T(a_source_that_changes_between_rounds_is_a_finding),
		T(a_backend_without_stamps_is_a_note),
		T(quantiles_leave_out_what_has_no_parts),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(results.finding);
	return failed;
}
