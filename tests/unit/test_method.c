/* SPDX-License-Identifier: BSD-2-Clause */
/* Intervals, differences and their correction, against figures from elsewhere. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <kbypass/method.h>

#include "tools/measure/chance.h"
#include "tools/measure/made_up.h"
#include "tools/measure/student.h"

#define ROUNDS 10u
#define SAMPLES 1000u

static uint32_t ns[2][ROUNDS][SAMPLES];

static bool near(double a, double b, double within)
{
	return fabs(a - b) <= within;
}

/* Rounds of samples, `shift` ns beyond those of seed's; the same seed is the same samples. */
static struct kbp_method *subject(unsigned which, uint64_t seed, uint32_t shift, double quantum)
{
	static const struct kbp_made_up model = { .base_ns = 1000,
						  .body_ns = 50,
						  .body_log = 0.4,
						  .restart_ns = 5,
						  .burst_stay = 0.5,
						  .quantum_ns = 1 };
	struct kbp_round_samples rounds[ROUNDS];
	struct kbp_chance chance;
	struct kbp_method *m;
	struct kbp_error err;

	kbp_chance_seed(&chance, seed);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		kbp_made_up_round(&chance, &model, 0, ns[which][r], SAMPLES);
		for (uint32_t i = 0; i < SAMPLES; i++)
			ns[which][r][i] += shift;
		rounds[r].ns = ns[which][r];
		rounds[r].n = SAMPLES;
	}
	assert_int_equal(kbp_method_open(rounds, ROUNDS, quantum, 1, &m, &err), 0);
	return m;
}

/* ---------------------------------------------------------------- Student's t */

static void students_t_is_that_of_the_tables(void **state)
{
	(void)state;
	/* NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2 */
	assert_true(near(kbp_student_critical(0.05, 1), 12.706, 0.001));
	assert_true(near(kbp_student_critical(0.05, 4), 2.776, 0.001));
	assert_true(near(kbp_student_critical(0.05, 9), 2.262, 0.001));
	assert_true(near(kbp_student_critical(0.01, 9), 3.250, 0.001));
	assert_true(near(kbp_student_critical(0.002, 20), 3.552, 0.001));
	assert_true(near(kbp_student_critical(0.05, 1e7), 1.960, 0.001));
}

static void probability_and_critical_value_are_each_others_inverse(void **state)
{
	(void)state;
	for (double df = 1; df < 2000; df *= 3)
		for (double p = 1e-9; p < 1; p *= 7)
			assert_true(near(kbp_student_two_sided(kbp_student_critical(p, df), df) / p,
					 1, 1e-6));
	assert_true(near(kbp_student_two_sided(0, 5), 1, 1e-12));
}

static void chi_squared_is_that_of_the_tables(void **state)
{
	(void)state;
	/* 1.3.6.7.4 there */
	assert_true(near(kbp_chi_squared(0.1, 4), 1.064, 0.03));
	assert_true(near(kbp_chi_squared(0.1, 9), 4.168, 0.03));
	assert_true(near(kbp_chi_squared(0.9, 9), 14.684, 0.05));
	assert_true(near(kbp_chi_squared(0.1, 30), 20.599, 0.05));
}

/* ---------------------------------------------------------------- the table */

static void holm_corrects_as_by_hand(void **state)
{
	const double p[] = { 0.01, 0.04, 0.03, 0.005 }, expected[] = { 0.03, 0.06, 0.06, 0.02 };
	double out[4];

	(void)state;
	kbp_method_holm(p, 4, out);
	for (int i = 0; i < 4; i++)
		assert_true(near(out[i], expected[i], 1e-12));
	kbp_method_holm(out, 0, out);
}

static void holm_never_exceeds_one_and_keeps_the_order(void **state)
{
	double p[] = { 0.9, 0.2, 0.5 };

	(void)state;
	kbp_method_holm(p, 3, p); /* in place */
	assert_true(near(p[1], 0.6, 1e-12));
	assert_true(near(p[2], 1, 1e-12));
	assert_true(near(p[0], 1, 1e-12));
}

/* ---------------------------------------------------------------- estimates */

static void an_estimate_lies_in_the_quantum_of_the_exact_quantile(void **state)
{
	struct kbp_latency l;

	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct kbp_method *m = subject(0, seed, 0, 10);

		kbp_latency_of(&ns[0][0][0], (size_t)ROUNDS * SAMPLES, &l);
		assert_true(near(kbp_method_estimate(m, KBP_METRIC_P50), l.p50_ns, 5));
		assert_true(near(kbp_method_estimate(m, KBP_METRIC_P99), l.p99_ns, 5));
		assert_true(near(kbp_method_estimate(m, KBP_METRIC_GAP),
				 kbp_method_estimate(m, KBP_METRIC_P99) -
					 kbp_method_estimate(m, KBP_METRIC_P50),
				 1e-9));
		kbp_method_close(m);
	}
}

static void ties_are_taken_to_lie_evenly_in_the_quantum(void **state)
{
	struct kbp_round_samples rounds[5];
	uint32_t tied[5][200];
	struct kbp_method *m;
	struct kbp_error err;

	(void)state;
	/* 30 % at 100, 40 % at 110: the median is halfway through the cell from 105 to 115 */
	for (int r = 0; r < 5; r++) {
		for (int i = 0; i < 200; i++)
			tied[r][i] = i < 60 ? 100 : i < 140 ? 110 : 120;
		rounds[r] = (struct kbp_round_samples){ .ns = tied[r], .n = 200 };
	}
	assert_int_equal(kbp_method_open(rounds, 5, 10, 1, &m, &err), 0);
	assert_true(near(kbp_method_estimate(m, KBP_METRIC_P50), 110, 1e-9));
	kbp_method_close(m);
	for (int r = 0; r < 5; r++)
		for (int i = 0; i < 200; i++)
			tied[r][i] =
				i < 90 ? 100 :
					 110; /* a tenth of 110's cell is below the median, one 11th */
	assert_int_equal(kbp_method_open(rounds, 5, 10, 1, &m, &err), 0);
	assert_true(near(kbp_method_estimate(m, KBP_METRIC_P50), 105 + 10 * 10 / 110.0, 1e-9));
	kbp_method_close(m);
}

static void intervals_hold_the_estimate_and_come_out_the_same_again(void **state)
{
	struct kbp_method *a = subject(0, 3, 0, 10), *b = subject(0, 3, 0, 10);
	struct kbp_result_intervals x, y;

	(void)state;
	memset(&x, 0, sizeof(x));
	memset(&y, 0, sizeof(y));
	kbp_method_intervals(a, &x);
	kbp_method_intervals(b, &y);
	assert_memory_equal(&x, &y, sizeof(x));
	assert_true(x.known);
	assert_true(x.p50.lo < kbp_method_estimate(a, KBP_METRIC_P50) &&
		    kbp_method_estimate(a, KBP_METRIC_P50) < x.p50.hi);
	assert_true(x.p99.lo < kbp_method_estimate(a, KBP_METRIC_P99) &&
		    kbp_method_estimate(a, KBP_METRIC_P99) < x.p99.hi);
	assert_true(x.gap.lo < kbp_method_estimate(a, KBP_METRIC_GAP) &&
		    kbp_method_estimate(a, KBP_METRIC_GAP) < x.gap.hi);
	kbp_method_close(a);
	kbp_method_close(b);
}

static void too_few_rounds_or_samples_are_named(void **state)
{
	static const uint32_t few[300];
	struct kbp_round_samples rounds[6];
	struct kbp_method *m;
	struct kbp_error err;

	(void)state;
	for (int r = 0; r < 6; r++)
		rounds[r] = (struct kbp_round_samples){ .ns = few, .n = r < 2 ? 0 : 300 };
	assert_int_equal(kbp_method_open(rounds, 6, 10, 1, &m, &err), -ENODATA);
	assert_null(m);
	assert_non_null(strstr(err.hint, "4 rounds"));
	for (int r = 0; r < 6; r++)
		rounds[r].n = 100;
	assert_int_equal(kbp_method_open(rounds, 6, 10, 1, &m, &err), -ENODATA);
	assert_non_null(strstr(err.hint, "600 samples"));
}

static void samples_at_both_ends_of_the_range_are_taken(void **state)
{
	static uint32_t ends[5][300];
	struct kbp_round_samples rounds[5];
	struct kbp_result_intervals x;
	struct kbp_method *m;

	(void)state;
	for (int r = 0; r < 5; r++) {
		for (int i = 0; i < 300; i++)
			ends[r][i] = i < 200 ? 0 : UINT32_MAX;
		rounds[r] = (struct kbp_round_samples){ .ns = ends[r], .n = 300 };
	}
	assert_int_equal(kbp_method_open(rounds, 5, 10, 1, &m, NULL), 0);
	assert_true(near(kbp_method_estimate(m, KBP_METRIC_P50), 0, 10));
	assert_true(near(kbp_method_estimate(m, KBP_METRIC_P99), UINT32_MAX, 10));
	kbp_method_intervals(m, &x);
	assert_true(x.p50.lo <= x.p50.hi && x.gap.lo <= x.gap.hi);
	kbp_method_close(m);
}

/* ---------------------------------------------------------------- differences */

static void what_is_the_same_differs_by_nothing(void **state)
{
	struct kbp_method *a = subject(0, 5, 0, 10), *b = subject(1, 5, 0, 10);
	struct kbp_difference d;

	(void)state;
	for (int k = 0; k < KBP_METRICS; k++) {
		assert_int_equal(kbp_method_compare(a, b, (enum kbp_metric)k, true, &d), 0);
		assert_true(near(d.ns, 0, 1e-9));
		assert_true(near(d.p, 1, 1e-9));
		assert_true(d.lo_ns <= 0 && 0 <= d.hi_ns);
	}
	kbp_method_close(a);
	kbp_method_close(b);
}

static void a_shift_of_all_samples_is_the_difference_of_every_quantile(void **state)
{
	struct kbp_method *a = subject(0, 5, 40, 10), *b = subject(1, 5, 0, 10);
	struct kbp_difference d;

	(void)state;
	kbp_method_compare(a, b, KBP_METRIC_P50, true, &d);
	assert_true(near(d.ns, 40, 1e-6) && d.p < 1e-6);
	kbp_method_compare(a, b, KBP_METRIC_P99, true, &d);
	assert_true(near(d.ns, 40, 1e-6) && d.p < 1e-6);
	kbp_method_compare(a, b, KBP_METRIC_GAP, true, &d);
	assert_true(near(d.ns, 0, 1e-6));
	kbp_method_compare(b, a, KBP_METRIC_P50, true, &d);
	assert_true(near(d.ns, -40, 1e-6) && d.hi_ns < 0);
	kbp_method_close(a);
	kbp_method_close(b);
}

static void rounds_that_did_not_take_turns_are_compared_more_carefully(void **state)
{
	struct kbp_method *a = subject(0, 5, 40, 10), *b = subject(1, 5, 0, 10);
	struct kbp_difference paired, apart;

	(void)state;
	kbp_method_compare(a, b, KBP_METRIC_P50, true, &paired);
	kbp_method_compare(a, b, KBP_METRIC_P50, false, &apart);
	assert_true(apart.se_ns > paired.se_ns);
	assert_true(near(apart.ns, paired.ns, 1e-9));
	assert_true(apart.df > ROUNDS - 1 && apart.df <= 2 * (ROUNDS - 1) + 1e-9);
	kbp_method_close(a);
	kbp_method_close(b);
}

static void pairs_take_as_many_rounds(void **state)
{
	struct kbp_round_samples rounds[5];
	struct kbp_method *a = subject(0, 5, 0, 10), *b;
	struct kbp_difference d;

	(void)state;
	for (int r = 0; r < 5; r++)
		rounds[r] = (struct kbp_round_samples){ .ns = ns[0][r], .n = SAMPLES };
	assert_int_equal(kbp_method_open(rounds, 5, 10, 1, &b, NULL), 0);
	assert_int_equal(kbp_method_compare(a, b, KBP_METRIC_P50, true, &d), -EINVAL);
	assert_int_equal(kbp_method_compare(a, b, KBP_METRIC_P50, false, &d), 0);
	kbp_method_close(a);
	kbp_method_close(b);
}

static void smaller_differences_and_larger_tables_need_more_rounds(void **state)
{
	const struct kbp_difference d = { .se_ns = 10, .df = 9 };
	uint32_t rounds = kbp_method_rounds_needed(&d, 10, 18, 1);

	(void)state;
	assert_in_range(rounds, 11, 200);
	assert_true(kbp_method_rounds_needed(&d, 10, 9, 1) > 3 * rounds);
	assert_true(kbp_method_rounds_needed(&d, 10, 18, 30) > rounds);
	assert_int_equal(kbp_method_rounds_needed(&d, 10, 1e6, 1), KBP_METHOD_ROUNDS_MIN);
	assert_int_equal(kbp_method_rounds_needed(&d, 10, 1e-6, 1), 0);
	assert_int_equal(kbp_method_rounds_needed(&d, 10, 0, 1), 0);
}

static void what_so_many_rounds_resolve_takes_so_many_rounds(void **state)
{
	const struct kbp_difference d = { .se_ns = 10, .df = 9 };

	(void)state;
	for (uint32_t n = 1; n < 40; n += 7)
		assert_in_range(kbp_method_rounds_needed(&d, 10, kbp_method_resolvable(&d, 10, n), n),
				10, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(students_t_is_that_of_the_tables),
		cmocka_unit_test(probability_and_critical_value_are_each_others_inverse),
		cmocka_unit_test(chi_squared_is_that_of_the_tables),
		cmocka_unit_test(holm_corrects_as_by_hand),
		cmocka_unit_test(holm_never_exceeds_one_and_keeps_the_order),
		cmocka_unit_test(an_estimate_lies_in_the_quantum_of_the_exact_quantile),
		cmocka_unit_test(ties_are_taken_to_lie_evenly_in_the_quantum),
		cmocka_unit_test(intervals_hold_the_estimate_and_come_out_the_same_again),
		cmocka_unit_test(too_few_rounds_or_samples_are_named),
		cmocka_unit_test(samples_at_both_ends_of_the_range_are_taken),
		cmocka_unit_test(what_is_the_same_differs_by_nothing),
		cmocka_unit_test(a_shift_of_all_samples_is_the_difference_of_every_quantile),
		cmocka_unit_test(rounds_that_did_not_take_turns_are_compared_more_carefully),
		cmocka_unit_test(pairs_take_as_many_rounds),
		cmocka_unit_test(smaller_differences_and_larger_tables_need_more_rounds),
		cmocka_unit_test(what_so_many_rounds_resolve_takes_so_many_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
