/* SPDX-License-Identifier: BSD-2-Clause */
/* Conversions: clocks made up point by point, leap seconds, and this machine's own clocks. */
#include "test.h"

#include <errno.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "tools/clock/leap.h"
#include "tools/clock/series.h"
#include "tools/clock/tsc.h"

#define S 1000000000ull

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static void series_make(struct kbp_series *s, uint32_t room)
{
	assert_int_equal(kbp_series_init(s, room, 200, false), 0);
}

static void between_two_points_a_clock_runs_evenly_both_ways(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	series_make(&s, 16);
	kbp_series_add(&s, 100 * S, 1000 * S, 10);
	kbp_series_add(&s, 101 * S, 1001 * S + 10000, 20); /* 10 ppm fast */
	kbp_series_add(&s, 102 * S, 1002 * S + 20000, 10);
	assert_int_equal(kbp_series_at_raw(&s, 100 * S + S / 2, &m), 0);
	assert_int_equal(m.value, 1000 * S + S / 2 + 5000);
	assert_int_equal(m.flags, 0);
	/* the worse reading, and half a second at the holdover rate at the least */
	assert_in_range(m.error_ns, 20 + 100, 20 + 110);
	assert_int_equal(kbp_series_to_raw(&s, 1000 * S + S / 2 + 5000, &m), 0);
	assert_in_range(m.value, 100 * S + S / 2 - 1, 100 * S + S / 2 + 1);
	kbp_series_free(&s);
}

static void a_change_of_rate_shows_in_the_error(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	series_make(&s, 16);
	kbp_series_add(&s, 100 * S, 1000 * S, 10);
	kbp_series_add(&s, 101 * S, 1001 * S, 10);
	kbp_series_add(&s, 102 * S, 1002 * S + 100000, 10); /* slewed by 100 us in this second */
	assert_int_equal(kbp_series_at_raw(&s, 101 * S + S / 2, &m), 0);
	assert_true(m.error_ns >= 49000);
	kbp_series_free(&s);
}

static void beyond_the_last_point_the_error_grows(void **state)
{
	struct kbp_series s;
	struct kbp_moment near, far;

	(void)state;
	series_make(&s, 16);
	for (unsigned i = 0; i < 4; i++)
		kbp_series_add(&s, (100 + i) * S, (1000 + i) * S + i * 5000, 10);
	assert_int_equal(kbp_series_at_raw(&s, 104 * S, &near), 0);
	assert_int_equal(near.value, 1004 * S + 20000); /* at the rate it had */
	assert_int_equal(near.flags, KBP_MOMENT_EXTRAPOLATED);
	assert_true(near.error_ns >= 10 + 200);
	assert_int_equal(kbp_series_at_raw(&s, 203 * S, &far), 0);
	assert_true(far.error_ns >= 100 * 200 && far.error_ns > near.error_ns);
	assert_int_equal(kbp_series_at_raw(&s, 99 * S, &near), -ERANGE);
	assert_int_equal(kbp_series_to_raw(&s, 999 * S, &near), -ERANGE);
	kbp_series_free(&s);
}

static void a_clock_set_forward_never_showed_the_time_it_left_out(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	series_make(&s, 16);
	kbp_series_add(&s, 100 * S, 1000 * S, 10);
	kbp_series_add(&s, 101 * S, 1001 * S, 10);
	kbp_series_add(&s, 102 * S, 1060 * S, 10);
	kbp_series_add(&s, 103 * S, 1061 * S, 10);
	assert_int_equal(kbp_series_to_raw(&s, 1000 * S + 5, &m), 0);
	assert_in_range(m.value, 100 * S + 4, 100 * S + 6);
	assert_int_equal(kbp_series_to_raw(&s, 1060 * S + 5, &m), 0);
	assert_in_range(m.value, 102 * S + 4, 102 * S + 6);
	assert_int_equal(kbp_series_to_raw(&s, 1030 * S, &m), -ENODATA);
	/* it may have been set a moment later, and have shown this */
	assert_int_equal(kbp_series_to_raw(&s, 1001 * S + S / 2, &m), -ENODATA);
	/* what it showed while it was set is not known */
	assert_int_equal(kbp_series_at_raw(&s, 101 * S + S / 2, &m), -ENOTUNIQ);
	assert_int_equal(kbp_series_at_raw(&s, 101 * S, &m), 0);
	assert_int_equal(m.value, 1001 * S);
	kbp_series_free(&s);
}

static void a_clock_set_back_showed_some_time_twice(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	series_make(&s, 16);
	kbp_series_add(&s, 100 * S, 1000 * S, 10);
	kbp_series_add(&s, 110 * S, 1010 * S, 10);
	kbp_series_add(&s, 111 * S, 1006 * S, 10);
	kbp_series_add(&s, 130 * S, 1025 * S, 10);
	assert_int_equal(kbp_series_to_raw(&s, 1008 * S, &m), -ENOTUNIQ);
	assert_int_equal(kbp_series_to_raw(&s, 1002 * S, &m), 0);
	assert_int_equal(m.value, 102 * S);
	assert_int_equal(kbp_series_to_raw(&s, 1020 * S, &m), 0);
	assert_int_equal(m.value, 125 * S);
	assert_int_equal(kbp_series_at_raw(&s, 125 * S, &m), 0);
	assert_int_equal(m.value, 1020 * S);
	kbp_series_free(&s);
}

static void what_is_forgotten_is_out_of_range(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	series_make(&s, 4);
	for (unsigned i = 0; i < 10; i++)
		assert_true(kbp_series_add(&s, (100 + i) * S, (1000 + i) * S, 10));
	assert_false(kbp_series_add(&s, 109 * S, 2000 * S, 10)); /* not later than the last */
	assert_int_equal(kbp_series_at_raw(&s, 105 * S, &m), -ERANGE);
	assert_int_equal(kbp_series_to_raw(&s, 1005 * S, &m), -ERANGE);
	assert_int_equal(kbp_series_at_raw(&s, 106 * S + 1, &m), 0);
	assert_int_equal(m.value, 1006 * S + 1);
	kbp_series_free(&s);
}

static void a_counter_needs_two_points(void **state)
{
	struct kbp_series s;
	struct kbp_moment m;

	(void)state;
	assert_int_equal(kbp_series_init(&s, 8, 200, true), 0);
	kbp_series_add(&s, 100 * S, 5000, 10);
	assert_int_equal(kbp_series_at_raw(&s, 101 * S, &m), -ENODATA);
	kbp_series_add(&s, 101 * S, 5000 + 3 * S, 10);
	assert_int_equal(kbp_series_at_raw(&s, 102 * S, &m), 0);
	assert_int_equal(m.value, 5000 + 6 * S);
	assert_int_equal(kbp_series_to_raw(&s, 5000 + 9 * S, &m), 0);
	assert_int_equal(m.value, 103 * S);
	assert_true(m.error_ns >= 400 && m.error_ns < 2000);
	kbp_series_free(&s);
}

/* ---------------------------------------------------------------- leap seconds */

/* 2017-01-01T00:00:00Z; TAI - UTC went from 36 to 37 s */
#define NEWYEAR 1483228800ull

static void the_leap_second_of_2016_is_told_from_the_one_before_it(void **state)
{
	struct kbp_leap_table t;
	struct kbp_moment m;

	(void)state;
	kbp_leap_built_in(&t);
	assert_int_equal(kbp_leap_utc_to_tai(&t, (NEWYEAR - 2) * S, &m), 0);
	assert_int_equal(m.value, (NEWYEAR - 2 + 36) * S);
	assert_int_equal(m.flags, 0);
	assert_int_equal(kbp_leap_utc_to_tai(&t, (NEWYEAR - 1) * S + S / 2, &m), 0);
	assert_int_equal(m.value, (NEWYEAR - 1 + 36) * S + S / 2);
	assert_int_equal(m.flags, KBP_MOMENT_LEAP);
	assert_int_equal(kbp_leap_utc_to_tai(&t, NEWYEAR * S, &m), 0);
	assert_int_equal(m.value, (NEWYEAR + 37) * S);
	assert_int_equal(m.flags, 0);
	/* 23:59:59.5, 23:59:60.5, 00:00:00.5 */
	assert_int_equal(kbp_leap_tai_to_utc(&t, (NEWYEAR + 35) * S + S / 2, &m), 0);
	assert_int_equal(m.value, (NEWYEAR - 1) * S + S / 2);
	assert_int_equal(m.flags, 0);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (NEWYEAR + 36) * S + S / 2, &m), 0);
	assert_int_equal(m.value, (NEWYEAR - 1) * S + S / 2);
	assert_int_equal(m.flags, KBP_MOMENT_LEAP);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (NEWYEAR + 37) * S + S / 2, &m), 0);
	assert_int_equal(m.value, NEWYEAR * S + S / 2);
	assert_int_equal(m.flags, 0);
}

static void utc_begins_in_1972_ten_seconds_behind_tai(void **state)
{
	const uint64_t start = 63072000ull;
	struct kbp_leap_table t;
	struct kbp_moment m;

	(void)state;
	kbp_leap_built_in(&t);
	assert_int_equal(kbp_leap_utc_to_tai(&t, start * S, &m), 0);
	assert_int_equal(m.value, (start + 10) * S);
	assert_int_equal(kbp_leap_utc_to_tai(&t, start * S - 1, &m), -ERANGE);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (start + 10) * S, &m), 0);
	assert_int_equal(m.value, start * S);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (start + 10) * S - 1, &m), -ERANGE);
}

static void after_the_tables_end_an_answer_says_so(void **state)
{
	struct kbp_leap_table t;
	struct kbp_moment m;

	(void)state;
	kbp_leap_built_in(&t);
	assert_int_equal(kbp_leap_utc_to_tai(&t, (uint64_t)t.expires_s * S - 1, &m), 0);
	assert_int_equal(m.flags, 0);
	assert_int_equal(kbp_leap_utc_to_tai(&t, (uint64_t)t.expires_s * S, &m), 0);
	assert_int_equal(m.flags, KBP_MOMENT_EXPIRED);
}

static void a_second_that_is_left_out_does_not_exist(void **state)
{
	struct kbp_leap_table t;
	struct kbp_moment m;
	uint64_t l;

	(void)state;
	kbp_leap_built_in(&t);
	t.step[t.n].utc_s = 2000000000;
	t.step[t.n++].tai_s = 36;
	t.expires_s = 2100000000;
	l = 2000000000;
	assert_int_equal(kbp_leap_utc_to_tai(&t, (l - 1) * S, &m), -ENODATA);
	assert_int_equal(kbp_leap_utc_to_tai(&t, (l - 1) * S - 1, &m), 0);
	assert_int_equal(m.value, (l + 36) * S - 1);
	assert_int_equal(kbp_leap_utc_to_tai(&t, l * S, &m), 0);
	assert_int_equal(m.value, (l + 36) * S);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (l + 36) * S, &m), 0);
	assert_int_equal(m.value, l * S);
	assert_int_equal(kbp_leap_tai_to_utc(&t, (l + 36) * S - 1, &m), 0);
	assert_int_equal(m.value, (l - 1) * S - 1);
}

static int read_text(const char *text, struct kbp_leap_table *t)
{
	char path[] = "/tmp/kbypass-leap-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = kbp_leap_read(path, t);
	unlink(path);
	return rc;
}

static void a_list_of_leap_seconds_is_read_strictly(void **state)
{
	struct kbp_leap_table t;

	(void)state;
	assert_int_equal(
		read_text("# x\n#@ 3991593600\n2272060800\t10 # 1 Jan 1972\n2287785600 11\n", &t), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.step[1].tai_s, 11);
	assert_int_equal(t.expires_s, 1782604800);
	assert_int_equal(read_text("", &t), -EBADMSG);
	assert_int_equal(read_text("2272060800 10\n", &t), -EBADMSG); /* until when? */
	assert_int_equal(read_text("#@ 3991593600\n2272060800 10\n2287785600 13\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 3991593600\n2287785600 10\n2272060800 11\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 3991593600\nhello\n", &t), -EBADMSG);
	/* numbers that no list can mean, at the edges of what they are computed in */
	assert_int_equal(read_text("#@ -9223372036854775808\n2272060800 10\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 99999999999999999999999\n2272060800 10\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 3991593600\n-9223372036854775808 10\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 3991593600\n-7000000000000000000 10\n", &t), -EBADMSG);
	assert_int_equal(read_text("#@ 3991593600\n2272060800 10\n2287785600 -2147483648\n", &t),
			 -EBADMSG);
	assert_int_equal(kbp_leap_read("/nonexistent", &t), -ENOENT);
}

/* ---------------------------------------------------------------- this machine's clocks */

static void every_scale_converts_to_every_other_and_back(void **state)
{
	struct kbp_converter *c;
	struct kbp_moment m, back;
	struct kbp_error err;
	uint64_t raw;

	(void)state;
	assert_int_equal(kbp_converter_open(NULL, &c, &err), 0);
	raw = now_ns(CLOCK_MONOTONIC_RAW);
	usleep(2000);
	kbp_converter_sample(c);
	for (unsigned to = KBP_SCALE_TSC; to <= KBP_SCALE_TAI; to++) {
		uint64_t apart;

		assert_int_equal(kbp_convert(c, KBP_SCALE_RAW, (enum kbp_scale)to, -1, raw, &m), 0);
		assert_int_equal(
			kbp_convert(c, (enum kbp_scale)to, KBP_SCALE_RAW, -1, m.value, &back), 0);
		apart = back.value > raw ? back.value - raw : raw - back.value;
		assert_true(apart <= 2); /* the way back is the same line */
		assert_false(m.flags & KBP_MOMENT_EXTRAPOLATED);
	}
	kbp_converter_close(c);
}

/* Read between two of raw, and what the conversion says: apart by no more than both errors. */
static void the_stated_error_holds_against_a_reading(void **state)
{
	struct kbp_converter *c;
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_converter_open(NULL, &c, &err), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t before = now_ns(CLOCK_MONOTONIC_RAW), utc = now_ns(CLOCK_REALTIME),
			 tsc = kbp_tsc_now_ordered(), after = now_ns(CLOCK_MONOTONIC_RAW);
		struct kbp_moment m;

		if (i % 20 == 0)
			kbp_converter_sample(c);
		assert_int_equal(kbp_convert(c, KBP_SCALE_UTC, KBP_SCALE_RAW, -1, utc, &m), 0);
		assert_true(m.value + m.error_ns >= before && m.value <= after + m.error_ns);
		assert_int_equal(kbp_convert(c, KBP_SCALE_TSC, KBP_SCALE_RAW, -1, tsc, &m), 0);
		assert_true(m.value + m.error_ns >= before && m.value <= after + m.error_ns);
		usleep(200);
	}
	kbp_converter_close(c);
}

static void utc_and_tai_are_whole_seconds_apart_and_a_phc_must_exist(void **state)
{
	struct timex t = { .modes = 0 };
	struct kbp_converter *c;
	struct kbp_moment m;
	struct kbp_error err;
	uint64_t utc = now_ns(CLOCK_REALTIME);

	(void)state;
	adjtimex(&t);
	assert_int_equal(kbp_converter_open(NULL, &c, &err), 0);
	assert_int_equal(kbp_convert(c, KBP_SCALE_UTC, KBP_SCALE_TAI, -1, utc, &m), 0);
	assert_int_equal((m.value - utc) % S, 0);
	assert_true(m.value - utc >= 37 * S);
	if (!t.tai) /* nobody told the kernel: by the table, and after its end that is said */
		assert_int_equal(!!(m.flags & KBP_MOMENT_EXPIRED),
				 (int64_t)(utc / S) >= kbp_leap_table()->expires_s);
	assert_int_equal(kbp_convert(c, KBP_SCALE_UTC, KBP_SCALE_PHC, 63, utc, &m), -ENODEV);
	assert_int_equal(kbp_convert(c, (enum kbp_scale)0, KBP_SCALE_UTC, -1, utc, &m), -ENODEV);
	assert_int_equal(kbp_convert(c, KBP_SCALE_UTC, KBP_SCALE_RAW, -1, utc - 3600 * S, &m),
			 -ERANGE);
	kbp_converter_close(c);
	kbp_converter_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_two_points_a_clock_runs_evenly_both_ways),
		cmocka_unit_test(a_change_of_rate_shows_in_the_error),
		cmocka_unit_test(beyond_the_last_point_the_error_grows),
		cmocka_unit_test(a_clock_set_forward_never_showed_the_time_it_left_out),
		cmocka_unit_test(a_clock_set_back_showed_some_time_twice),
		cmocka_unit_test(what_is_forgotten_is_out_of_range),
		cmocka_unit_test(a_counter_needs_two_points),
		cmocka_unit_test(the_leap_second_of_2016_is_told_from_the_one_before_it),
		cmocka_unit_test(utc_begins_in_1972_ten_seconds_behind_tai),
		cmocka_unit_test(after_the_tables_end_an_answer_says_so),
		cmocka_unit_test(a_second_that_is_left_out_does_not_exist),
		cmocka_unit_test(a_list_of_leap_seconds_is_read_strictly),
		cmocka_unit_test(every_scale_converts_to_every_other_and_back),
		cmocka_unit_test(the_stated_error_holds_against_a_reading),
		cmocka_unit_test(utc_and_tai_are_whole_seconds_apart_and_a_phc_must_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
