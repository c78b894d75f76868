/* SPDX-License-Identifier: BSD-2-Clause */
/* Exact quantiles and the arithmetic of the account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tools/measure/parts.h"

static void no_samples_give_zeroes(void **state)
{
	struct kbp_latency l;

	(void)state;
	memset(&l, 0xff, sizeof(l));
	kbp_latency_of(NULL, 0, &l);
	assert_int_equal(l.samples, 0);
	assert_int_equal(l.max_ns, 0);
	assert_int_equal(l.gap_ns, 0);
}

static void one_sample_is_every_quantile(void **state)
{
	uint32_t s[1] = { 42 };
	struct kbp_latency l;

	(void)state;
	kbp_latency_of(s, 1, &l);
	assert_int_equal(l.min_ns, 42);
	assert_int_equal(l.p50_ns, 42);
	assert_int_equal(l.p999_ns, 42);
	assert_int_equal(l.max_ns, 42);
	assert_int_equal(l.gap_ns, 0);
}

static void quantiles_of_few_samples_are_nearest_rank(void **state)
{
	uint32_t s[2] = { 20, 10 }, t[10] = { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	struct kbp_latency l;

	(void)state;
	kbp_latency_of(s, 2, &l);
	assert_int_equal(l.p50_ns, 10);
	assert_int_equal(l.p90_ns, 20);
	kbp_latency_of(t, 10, &l);
	assert_int_equal(l.p50_ns, 5);
	assert_int_equal(l.p90_ns, 9);
	assert_int_equal(l.p99_ns, 10);
}

static void quantiles_of_a_thousand_samples_are_exact(void **state)
{
	static uint32_t s[1000];
	struct kbp_latency l;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		s[i] = (i * 7919u) % 1000u + 1; /* 1..1000 shuffled */
	kbp_latency_of(s, 1000, &l);
	assert_int_equal(l.min_ns, 1);
	assert_int_equal(l.p50_ns, 500);
	assert_int_equal(l.p90_ns, 900);
	assert_int_equal(l.p99_ns, 990);
	assert_int_equal(l.p999_ns, 999);
	assert_int_equal(l.max_ns, 1000);
	assert_int_equal(l.gap_ns, 490);
}

static void a_rank_between_two_samples_takes_the_upper_one(void **state)
{
	static uint32_t s[1001];
	struct kbp_latency l;

	(void)state;
	for (uint32_t i = 0; i < 1001; i++)
		s[i] = i + 1;
	kbp_latency_of(s, 1001, &l);
	assert_int_equal(l.p50_ns, 501);   /* ceil(500.5) */
	assert_int_equal(l.p99_ns, 991);   /* ceil(990.99) */
	assert_int_equal(l.p999_ns, 1000); /* ceil(999.999) */
}

static void a_quantile_is_known_from_so_many_samples_that_ten_lie_beyond_it(void **state)
{
	static const struct {
		unsigned permille;
		uint64_t samples;
	} least[] = { { 0, 1 },	     { 500, 20 },    { 900, 100 },
		      { 990, 1000 }, { 999, 10000 }, { 1000, 1 } };

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(least); i++) {
		struct kbp_latency l = { .samples = least[i].samples };

		assert_true(kbp_latency_known(&l, least[i].permille));
		l.samples--;
		assert_false(kbp_latency_known(&l, least[i].permille));
	}
}

static void saturated_samples_are_counted(void **state)
{
	uint32_t s[4] = { UINT32_MAX, 1, UINT32_MAX, 2 };
	struct kbp_latency l;

	(void)state;
	kbp_latency_of(s, 4, &l);
	assert_int_equal(l.saturated, 2);
	assert_int_equal(l.max_ns, UINT32_MAX);
}

static void the_account_closes_when_drops_explain_the_loss(void **state)
{
	struct kbp_result_run r = { .sent = 100, .delivered = 90 };

	(void)state;
	kbp_named_add(r.drop, &r.n_drops, "a", 4);
	kbp_named_add(r.drop, &r.n_drops, "b", 5);
	kbp_named_add(r.drop, &r.n_drops, "a", 1);
	kbp_account_close(&r);
	assert_int_equal(r.n_drops, 2);
	assert_int_equal(r.unattributed, 0);
	assert_int_equal(r.over_attributed, 0);
}

static void what_no_counter_explains_is_unattributed(void **state)
{
	struct kbp_result_run r = { .sent = 100, .delivered = 90 };

	(void)state;
	kbp_named_add(r.drop, &r.n_drops, "a", 4);
	kbp_account_close(&r);
	assert_int_equal(r.unattributed, 6);
}

static void counters_that_say_too_much_are_over_attributed_not_negative(void **state)
{
	struct kbp_result_run r = { .sent = 100, .delivered = 99 };

	(void)state;
	kbp_named_add(r.drop, &r.n_drops, "a", 4);
	kbp_account_close(&r);
	assert_int_equal(r.unattributed, 0);
	assert_int_equal(r.over_attributed, 3);
}

static void a_counter_of_zero_is_not_listed_and_a_full_list_stays_as_it_is(void **state)
{
	struct kbp_named_count list[KBP_RESULTS_COUNTS_MAX];
	char name[8] = "c00";
	uint32_t n = 0;

	(void)state;
	kbp_named_add(list, &n, "zero", 0);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < KBP_RESULTS_COUNTS_MAX + 3; i++) {
		name[1] = (char)('0' + i / 10);
		name[2] = (char)('0' + i % 10);
		kbp_named_add(list, &n, name, 1);
	}
	assert_int_equal(n, KBP_RESULTS_COUNTS_MAX);
	kbp_named_add(list, &n, "c00", 1);
	assert_int_equal(list[0].value, 2);
}

static void a_frame_that_the_device_refused_and_the_sender_tried_again_is_no_loss(void **state)
{
	struct kbp_result_run r = { .sent = 100, .delivered = 100 };

	(void)state;
	kbp_account_sender(&r, 7, 7);
	kbp_account_close(&r);
	assert_int_equal(r.n_drops, 0);
	assert_int_equal(r.cause[0].value, 7);
	assert_int_equal(r.over_attributed, 0);
}

static void a_frame_that_the_device_dropped_in_silence_is_a_loss(void **state)
{
	struct kbp_result_run r = { .sent = 100, .delivered = 95 };

	(void)state;
	kbp_account_sender(&r, 7, 2);
	kbp_account_close(&r);
	assert_string_equal(r.drop[0].name, "tx_device_dropped");
	assert_int_equal(r.drop[0].value, 5);
	assert_int_equal(r.unattributed + r.over_attributed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_samples_give_zeroes),
		cmocka_unit_test(one_sample_is_every_quantile),
		cmocka_unit_test(quantiles_of_few_samples_are_nearest_rank),
		cmocka_unit_test(quantiles_of_a_thousand_samples_are_exact),
		cmocka_unit_test(a_rank_between_two_samples_takes_the_upper_one),
		cmocka_unit_test(a_quantile_is_known_from_so_many_samples_that_ten_lie_beyond_it),
		cmocka_unit_test(saturated_samples_are_counted),
		cmocka_unit_test(the_account_closes_when_drops_explain_the_loss),
		cmocka_unit_test(what_no_counter_explains_is_unattributed),
		cmocka_unit_test(counters_that_say_too_much_are_over_attributed_not_negative),
		cmocka_unit_test(a_frame_that_the_device_refused_and_the_sender_tried_again_is_no_loss),
		cmocka_unit_test(a_frame_that_the_device_dropped_in_silence_is_a_loss),
		cmocka_unit_test(a_counter_of_zero_is_not_listed_and_a_full_list_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
