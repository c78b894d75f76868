/* SPDX-License-Identifier: BSD-2-Clause */
/* The method against made-up samples, with fewer trials than `kbypass bench --self-test` takes. KBP_TRIALS=2000 for all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <kbypass/method.h>

#define TRIALS 40u

static bool three_times(const struct kbp_bench_progress *p, void *arg)
{
	(void)p;
	return ++*(unsigned *)arg < 3;
}

static void the_method_holds_what_it_says(void **state)
{
	struct kbp_self_test_opts o = KBP_SELF_TEST_OPTS_INIT;
	const char *trials = getenv("KBP_TRIALS");
	struct kbp_self_test t;
	struct kbp_error err;

	(void)state;
	o.trials = trials ? (uint32_t)strtoul(trials, NULL, 10) : TRIALS;
	assert_int_equal(kbp_self_test_run(&o, NULL, NULL, &t, &err), 0);
	assert_true(t.n >= 17);
	for (uint32_t i = 0; i < t.n; i++) {
		if (!t.c[i].ok)
			print_message("%s: %llu of %llu: %s\n", t.c[i].name,
				      (unsigned long long)t.c[i].hits,
				      (unsigned long long)t.c[i].trials, t.c[i].what);
		assert_true(t.c[i].trials > 0);
		assert_true(t.c[i].ok);
	}
	assert_true(t.ok);
}

static void it_ends_when_it_is_told_to(void **state)
{
	struct kbp_self_test_opts o = KBP_SELF_TEST_OPTS_INIT;
	struct kbp_self_test t;
	struct kbp_error err;
	unsigned told = 0;

	(void)state;
	assert_int_equal(kbp_self_test_run(&o, three_times, &told, &t, &err), -ECANCELED);
	assert_int_equal(told, 3);
	assert_false(t.ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_method_holds_what_it_says),
		cmocka_unit_test(it_ends_when_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
