/* SPDX-License-Identifier: BSD-2-Clause */
/* A profile of the software NIC, by the public headers alone: what is written reads back. It is linked
 * with the shared libraries, as programs are: modules belong to those. No figure is judged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <kbypass/measure.h>

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kbp-profile-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static struct kbp_results *profile(const struct kbp_profile_opts *o, kbp_bench_progress_fn progress,
				   void *arg)
{
	struct kbp_results *res;
	struct kbp_error err = { 0 };

	if (kbp_profile_run(o, progress, arg, &res, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return res;
}

/* Every adapter that the software NIC can be has every operation, and each figure its place. */
static void every_adapter_has_every_operation(void **state)
{
	static const char *const words[] = { NULL, "nic=x2522", "nic=x3522", "nic=x4542,express",
					     "tx=dma" };
	static const char *const ops[] = { "poll_empty", "poll_one", "rx_full",
					   "release",	 "tx_full",  "timestamp" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;
		struct kbp_results *res;

		o.backends = "ef_vi_sim";
		o.ef_vi_words = words[i];
		o.samples = 1000;
		res = profile(&o, NULL, NULL);
		for (size_t k = 0; k < sizeof(ops) / sizeof(ops[0]); k++) {
			uint32_t found = 0;

			for (uint32_t r = 0; r < res->n_profile; r++)
				found += !strcmp(res->profile[r].op, ops[k]);
			assert_in_range(found, 1, 2);
		}
		for (uint32_t r = 0; r < res->n_profile; r++) {
			assert_true(res->profile[r].emulated);
			assert_true(res->profile[r].batch >= 1);
			assert_int_equal(res->profile[r].samples, 1000);
		}
		assert_int_equal(res->n_runs, 0);
		kbp_results_free(res);
	}
}

static void what_is_written_reads_back(void **state)
{
	struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;
	struct kbp_results *res, *back;
	struct kbp_error err = { 0 };
	char *a, *b, samples[80];

	(void)state;
	o.backends = "ef_vi_sim, socket+1"; /* variants are a bench's */
	o.samples = 1000;
	o.out_dir = dir;
	res = profile(&o, NULL, NULL);
	if (kbp_results_load(dir, &back, &err))
		fail_msg("%s", err.hint);
	a = kbp_results_json(res);
	b = kbp_results_json(back);
	assert_string_equal(a, b);
	assert_int_equal(back->n_findings, 1);
	assert_string_equal(back->finding[0].code, "not_profiled");
	assert_string_equal(back->finding[0].backend, "socket+1");
	assert_true(back->finding[0].note);
	snprintf(samples, sizeof(samples), "%s/samples", dir);
	assert_int_not_equal(access(samples, F_OK), 0); /* there are none, nor a directory for them */
	free(a);
	free(b);
	kbp_results_free(res);
	kbp_results_free(back);
}

static void without_anything_to_profile_nothing_is_written(void **state)
{
	struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;
	struct kbp_results *res;
	struct kbp_error err = { 0 };
	char file[96];

	(void)state;
	o.backends = "socket+1,af_xdp+1";
	o.out_dir = dir;
	assert_int_equal(kbp_profile_run(&o, NULL, NULL, &res, &err), -EOPNOTSUPP);
	assert_null(res);
	assert_non_null(strstr(err.hint, "variants are a bench's"));
	snprintf(file, sizeof(file), "%s/results.json", dir);
	assert_int_not_equal(access(file, F_OK), 0);
}

static void a_wire_that_carries_nothing_is_an_error(void **state)
{
	struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;
	struct kbp_results *res;
	struct kbp_error err = { 0 };

	(void)state;
	o.backends = "ef_vi_sim";
	o.ef_vi_words = "peer=none";
	assert_int_equal(kbp_profile_run(&o, NULL, NULL, &res, &err), -ETIMEDOUT);
	assert_null(res);
	assert_non_null(strstr(err.hint, "one wire"));
}

static bool refuse(const struct kbp_bench_progress *p, void *arg)
{
	(void)p;
	return --*(int *)arg > 0;
}

static void progress_may_end_it(void **state)
{
	struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;
	struct kbp_results *res;
	struct kbp_error err = { 0 };

	(void)state;
	o.backends = "ef_vi_sim";
	o.samples = 1000000;
	for (int left = 1, n = 1; n < 3; left = ++n) {
		assert_int_equal(kbp_profile_run(&o, refuse, &left, &res, &err), -ECANCELED);
		assert_null(res);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_adapter_has_every_operation),
		cmocka_unit_test_setup_teardown(what_is_written_reads_back, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(without_anything_to_profile_nothing_is_written,
						make_dir, remove_dir),
		cmocka_unit_test(a_wire_that_carries_nothing_is_an_error),
		cmocka_unit_test(progress_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
