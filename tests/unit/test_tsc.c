/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/clock/tsc.h"

static void flags_of(const char *text, enum kbp_tristate *constant, enum kbp_tristate *nonstop)
{
	char path[] = "/tmp/kbypass-cpuinfo-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	kbp_tsc_flags_read(path, constant, nonstop);
	unlink(path);
}

static void spans_convert_both_ways_at_any_rate(void **state)
{
	static const uint64_t rates[] = { 4000000, 24000000, 1000000000, 2599999999u, 5100000000u };
	struct kbp_tsc c;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		assert_int_equal(kbp_tsc_set_hz(&c, rates[i]), 0);
		/* one second, to within the rounding of one unit */
		assert_in_range(kbp_tsc_ns(&c, rates[i]), 999999999, 1000000000);
		assert_in_range(kbp_tsc_ticks(&c, 1000000000), rates[i] - 1, rates[i]);
	}
}

static void thirty_years_do_not_overflow(void **state)
{
	const uint64_t years_ns = 30ull * 365 * 86400 * 1000000000;
	struct kbp_tsc c;
	uint64_t ticks;

	(void)state;
	assert_int_equal(kbp_tsc_set_hz(&c, 2600000000u), 0);
	ticks = kbp_tsc_ticks(&c, years_ns);
	/* exact to 1e-15 of the span */
	assert_in_range(ticks, years_ns / 5 * 13 - 2500, years_ns / 5 * 13);
	assert_in_range(kbp_tsc_ns(&c, ticks), years_ns - 2500, years_ns);
}

static void absurd_rates_are_refused(void **state)
{
	struct kbp_tsc c;

	(void)state;
	assert_int_equal(kbp_tsc_set_hz(&c, 0), -ERANGE);
	assert_int_equal(kbp_tsc_set_hz(&c, 3999999), -ERANGE);
	assert_int_equal(kbp_tsc_set_hz(&c, 200000000001u), -ERANGE);
}

static void calibration_fills_in_everything(void **state)
{
	struct kbp_error err;
	struct kbp_tsc c;

	(void)state;
	assert_int_equal(kbp_tsc_calibrate(&c, 100, &err), 0);
	assert_true(c.hz > 0 && c.base_ticks > 0 && c.base_raw_ns > 0);
	assert_true(c.hz_error_ppm > 0);
	assert_true(c.quantum_ticks > 0 && c.quantum_ns > 0);
}

static void too_short_a_calibration_is_refused(void **state)
{
	struct kbp_error err;
	struct kbp_tsc c;

	(void)state;
	assert_int_equal(kbp_tsc_calibrate(&c, 99, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "100"));
}

static void flags_are_read_as_words(void **state)
{
	enum kbp_tristate constant, nonstop;

	(void)state;
	flags_of("processor\t: 0\nflags\t\t: fpu constant_tsc rep_good nonstop_tsc\n", &constant,
		 &nonstop);
	assert_int_equal(constant, KBP_YES);
	assert_int_equal(nonstop, KBP_YES);
	flags_of("flags\t\t: fpu constant_tsc_not nonstop_tsc cpuid\n", &constant, &nonstop);
	assert_int_equal(constant, KBP_NO);
	assert_int_equal(nonstop, KBP_YES);
}

static void missing_flags_are_unknown(void **state)
{
	enum kbp_tristate constant, nonstop;

	(void)state;
	flags_of("processor\t: 0\n", &constant, &nonstop);
	assert_int_equal(constant, KBP_UNKNOWN);
	assert_int_equal(nonstop, KBP_UNKNOWN);
	kbp_tsc_flags_read("/nonexistent", &constant, &nonstop);
	assert_int_equal(constant, KBP_UNKNOWN);
}

static void two_cpus_can_be_compared(void **state)
{
	struct kbp_tsc_offset o;
	struct kbp_error err;
	int cpu[2], n = 0, rc;
	cpu_set_t set;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((size_t)i, &set))
			cpu[n++] = i;
	if (n < 2) {
		print_message("one CPU only\n");
		skip();
	}
	rc = kbp_tsc_skew(cpu[0], cpu[1], &o, &err);
	if (rc == -ETIMEDOUT)
		skip(); /* the other CPU was busy for 200 ms */
	assert_int_equal(rc, 0);
	assert_true(o.rounds > 0 && o.bound_ticks > 0);
}

static void a_cpu_cannot_be_compared_with_itself_or_with_none(void **state)
{
	struct kbp_tsc_offset o;
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_tsc_skew(0, 0, &o, &err), -EINVAL);
	assert_int_equal(kbp_tsc_skew(0, -1, &o, &err), -EINVAL);
	assert_int_equal(kbp_tsc_skew(0, 1000000, &o, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_convert_both_ways_at_any_rate),
		cmocka_unit_test(thirty_years_do_not_overflow),
		cmocka_unit_test(absurd_rates_are_refused),
		cmocka_unit_test(calibration_fills_in_everything),
		cmocka_unit_test(too_short_a_calibration_is_refused),
		cmocka_unit_test(flags_are_read_as_words),
		cmocka_unit_test(missing_flags_are_unknown),
		cmocka_unit_test(two_cpus_can_be_compared),
		cmocka_unit_test(a_cpu_cannot_be_compared_with_itself_or_with_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
