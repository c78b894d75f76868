/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock beside the CPU's counter: what is converted, within what error, and when not at all. */
#include "tests/lib/test.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "tools/traffic/pairs.h"

#define HZ 2000000000u
#define MS 1000000ull
#define START_NS 1700000000000000000u

static struct kbp_pairs pairs;

static int setup(void **state)
{
	(void)state;
	memset(&pairs, 0, sizeof(pairs));
	pairs.fd = -1;
	pairs.every = 50ull * MS * 2;
	return kbp_tsc_set_hz(&pairs.tsc, HZ);
}

/* At so many ns by the counter, the clock was at so many since START_NS. */
static void pair(uint64_t counter_ns, uint64_t clock_ns, uint64_t half_ticks)
{
	struct kbp_pair p = { .ticks = 2 * counter_ns,
			      .ns = START_NS + clock_ns,
			      .half_ticks = half_ticks };

	kbp_pairs_add(&pairs, &p);
}

static bool convert(uint64_t clock_ns, uint64_t *counter_ns, uint64_t *error_ns)
{
	uint64_t ticks;

	if (!kbp_pairs_ticks(&pairs, START_NS + clock_ns, &ticks, error_ns))
		return false;
	*counter_ns = ticks / 2;
	return true;
}

static void between_two_pairs_a_clock_runs_evenly(void **state)
{
	uint64_t at = 0, error = 0;

	(void)state;
	/* 10 ppm fast */
	for (uint64_t i = 0; i < 5; i++)
		pair(100 * MS * i, 100 * MS * i + 1000 * i, 40);
	assert_false(pairs.stepped);
	assert_true(convert(150 * MS + 1500, &at, &error));
	assert_in_range(at, 150 * MS - 1, 150 * MS + 1);
	/* half a reading, and next to nothing for a rate that does not change */
	assert_in_range(error, 20, 25);
	assert_true(convert(0, &at, &error));
	assert_int_equal(at, 0);
	assert_true(convert(400 * MS + 4000, &at, &error));
	assert_int_equal(at, 400 * MS);
}

static void a_rate_that_changes_is_in_the_error(void **state)
{
	uint64_t at = 0, error = 0, true_ns, off;

	(void)state;
	pair(0, 0, 10);
	pair(100 * MS, 100 * MS, 10);
	/* from the middle on 400 ppm fast: 20 us after the other half */
	pair(200 * MS, 200 * MS + 20000, 10);
	pair(300 * MS, 300 * MS + 60000, 10);
	assert_true(convert(150 * MS, &at, &error));
	true_ns = 150 * MS;
	off = at > true_ns ? at - true_ns : true_ns - at;
	assert_true(off > 5000); /* the straight line is wrong by so much */
	assert_true(off <= error);
}

static void with_two_pairs_all_that_differs_from_the_counter_is_error(void **state)
{
	uint64_t at = 0, error = 0;

	(void)state;
	pair(0, 0, 10);
	pair(100 * MS, 100 * MS + 5000, 10);
	assert_true(convert(50 * MS, &at, &error));
	assert_in_range(error, 5000, 5020);
}

static void times_outside_of_all_pairs_are_not_converted(void **state)
{
	uint64_t at = 0, error = 0;

	(void)state;
	pair(100 * MS, 100 * MS, 10);
	assert_false(convert(100 * MS, &at, &error)); /* one pair is none */
	pair(200 * MS, 200 * MS, 10);
	assert_true(convert(100 * MS, &at, &error));
	assert_false(convert(100 * MS - 1, &at, &error));
	assert_false(convert(200 * MS + 1, &at, &error));
	assert_false(kbp_pairs_ticks(&pairs, 0, &at, &error));
}

static void a_clock_that_was_set_converts_nothing(void **state)
{
	static const int64_t steps[] = { 200000, -200000, -200000000 };
	uint64_t at = 0, error = 0;

	for (int i = 0; i < 3; i++) {
		setup(state);
		pair(0, 0, 10);
		pair(100 * MS, 100 * MS, 10);
		assert_false(pairs.stepped);
		pair(200 * MS, (uint64_t)(200 * (int64_t)MS + steps[i]), 10);
		assert_true(pairs.stepped);
		assert_false(convert(50 * MS, &at, &error));
	}
}

static void a_clock_that_is_slewed_was_not_set(void **state)
{
	(void)state;
	pair(0, 0, 10);
	pair(100 * MS, 100 * MS + 50000, 10); /* 500 ppm, the most that adjtime does */
	pair(200 * MS, 200 * MS, 10);
	assert_false(pairs.stepped);
}

static void a_long_run_keeps_pairs_from_all_of_it(void **state)
{
	uint64_t at = 0, error = 0;

	(void)state;
	for (uint64_t i = 0; i < 5 * KBP_PAIRS_MAX; i++)
		pair(60 * MS * i, 60 * MS * i, 10);
	assert_true(pairs.n <= KBP_PAIRS_MAX);
	assert_true(pairs.n >= KBP_PAIRS_MAX / 4);
	assert_true(pairs.every > 50ull * MS * 2);
	assert_true(convert(60ull * MS * 7 + 5, &at, &error));
	assert_int_equal(at, 60ull * MS * 7 + 5);
	assert_true(convert(60ull * MS * (5 * KBP_PAIRS_MAX - 1), &at, &error));
}

static void pairs_close_together_do_not_make_the_error_large(void **state)
{
	uint64_t at = 0, error = 0;

	(void)state;
	pair(0, 0, 100);
	pair(100 * MS, 100 * MS, 100);
	pair(100 * MS + 2000, 100 * MS + 2050, 100); /* rates of so short a stretch are noise */
	pair(200 * MS, 200 * MS, 100);
	assert_true(convert(150 * MS, &at, &error));
	assert_true(error < 200);
}

static void the_system_clock_is_read_within_its_own_error(void **state)
{
	struct timespec ms30 = { .tv_nsec = 30000000 }, ts;
	uint64_t before, after, ticks = 0, error = 0, slack;
	struct kbp_tsc tsc;
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_tsc_calibrate(&tsc, KBP_TSC_CALIBRATE_MS_MIN, &err), 0);
	assert_int_equal(kbp_pairs_open(&pairs, KBP_TS_KERNEL, KBP_EPOCH_UTC, -1, &tsc, &err), 0);
	nanosleep(&ms30, NULL);
	before = kbp_tsc_now_ordered();
	clock_gettime(CLOCK_REALTIME, &ts);
	after = kbp_tsc_now_ordered();
	nanosleep(&ms30, NULL);
	kbp_pairs_take(&pairs);
	if (pairs.stepped)
		skip(); /* somebody sets the clock right now */
	assert_true(kbp_pairs_ticks(&pairs, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec,
				    &ticks, &error));
	slack = kbp_tsc_ticks(&tsc, error);
	assert_true(ticks + slack >= before && ticks <= after + slack);
	kbp_pairs_close(&pairs);
}

static void a_clock_that_nobody_can_read_is_refused_with_the_reason(void **state)
{
	struct kbp_error err = { 0 };
	struct kbp_tsc tsc = pairs.tsc;

	(void)state;
	assert_int_equal(kbp_pairs_open(&pairs, KBP_TS_NONE, KBP_EPOCH_NONE, -1, &tsc, &err),
			 -EOPNOTSUPP);
	assert_int_equal(kbp_pairs_open(&pairs, KBP_TS_NIC, KBP_EPOCH_UTC, -1, &tsc, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.hint, "/dev/ptp"));
	assert_int_equal(kbp_pairs_open(&pairs, KBP_TS_NIC, KBP_EPOCH_PHC, 9999, &tsc, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.step, "/dev/ptp9999"));
	assert_int_equal(pairs.fd, -1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(between_two_pairs_a_clock_runs_evenly),
		T(a_rate_that_changes_is_in_the_error),
		T(with_two_pairs_all_that_differs_from_the_counter_is_error),
		T(times_outside_of_all_pairs_are_not_converted),
		T(a_clock_that_was_set_converts_nothing),
		T(a_clock_that_is_slewed_was_not_set),
		T(a_long_run_keeps_pairs_from_all_of_it),
		T(pairs_close_together_do_not_make_the_error_large),
		T(the_system_clock_is_read_within_its_own_error),
		T(a_clock_that_nobody_can_read_is_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
