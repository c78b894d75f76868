/* SPDX-License-Identifier: BSD-2-Clause */
/* Two results are compared where they are of the same thing, and refused where they are not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "tools/measure/compare.h"
#include "tools/measure/host.h"

#define ROUNDS 8u
#define SAMPLES 2000u /* of a round */
#define WARMUP 100u

static char dir[2][64];
static struct kbp_results *res[2];
static struct kbp_comparison *cmp;
static struct kbp_error err;

static int tear_down(void **state)
{
	char cmd[160];

	(void)state;
	kbp_comparison_free(cmp);
	kbp_results_free(res[0]);
	kbp_results_free(res[1]);
	cmp = NULL;
	res[0] = res[1] = NULL;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s'", dir[0], dir[1]);
	return system(cmd);
}

/* Rounds that vary by a few ns, around `median`; the warm-up is far off. */
static void samples_put(struct kbp_results *r, const char *where, uint32_t median, uint32_t seed)
{
	static uint32_t ns[ROUNDS * SAMPLES];
	uint32_t state = seed;

	for (uint32_t i = 0; i < ROUNDS * SAMPLES; i++) {
		state = state * 1664525u + 1013904223u;
		ns[i] = i % SAMPLES < WARMUP ? 1000000 :
					       median + (state >> 24) + 3 * (i / SAMPLES % 3);
	}
	assert_int_equal(
		kbp_samples_write(where, r->run[0].samples_file, ns, ROUNDS * SAMPLES, &err), 0);
}

static struct kbp_results *result(void)
{
	struct kbp_results *r = calloc(1, sizeof(*r));
	struct kbp_result_run *run = calloc(1, sizeof(*run));

	assert_non_null(r);
	assert_non_null(run);
	kbp_fact_text(&r->fingerprint, &r->n_fingerprint, "kbypass", "0.1.0");
	kbp_fact_text(&r->fingerprint, &r->n_fingerprint, "commit", "abc");
	kbp_fact_text(&r->fingerprint, &r->n_fingerprint, "kernel", "Linux 6.1");
	kbp_fact_text(&r->fingerprint, &r->n_fingerprint, "governor", "unknown: no driver");
	kbp_fact_literal(&r->fingerprint, &r->n_fingerprint, "tsc_hz", "2600000000");
	kbp_fact_literal(&r->fingerprint, &r->n_fingerprint, "tsc_quantum_ns", "10.015");
	kbp_fact_literal(&r->setup, &r->n_setup, "rate_pps", "50000");
	kbp_fact_literal(&r->setup, &r->n_setup, "actual_pps", "50000");
	kbp_fact_text(&r->setup, &r->n_setup, "source", "generator");
	kbp_fact_literal(&r->setup, &r->n_setup, "seconds", "5");
	r->run = run;
	r->n_runs = 1;
	strcpy(run->backend, "af_xdp");
	strcpy(run->base, "af_xdp");
	strcpy(run->kind, "one_way");
	strcpy(run->mode, "copy");
	strcpy(run->requested, "auto");
	strcpy(run->proof, "proven");
	strcpy(run->digest, "0123");
	strcpy(run->digest_expected, "0123");
	strcpy(run->samples_file, "samples/af_xdp.u32");
	run->sent = run->delivered = (uint64_t)ROUNDS * SAMPLES;
	run->latency = (struct kbp_latency){ .samples = (uint64_t)ROUNDS * (SAMPLES - WARMUP),
					     .min_ns = 1,
					     .p50_ns = 2,
					     .p90_ns = 3,
					     .p99_ns = 4,
					     .p999_ns = 5,
					     .max_ns = 6,
					     .gap_ns = 2 };
	run->round = calloc(ROUNDS, sizeof(*run->round));
	assert_non_null(run->round);
	run->n_rounds = ROUNDS;
	for (uint32_t i = 0; i < ROUNDS; i++)
		run->round[i] = (struct kbp_result_round){ .sent = SAMPLES,
							   .delivered = SAMPLES,
							   .first_sample = (uint64_t)i * SAMPLES,
							   .samples = SAMPLES,
							   .warmup = WARMUP };
	return r;
}

static void fact_set(struct kbp_fact *list, uint32_t n, const char *name, const char *value)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!strcmp(list[i].name, name)) {
			snprintf(list[i].value, sizeof(list[i].value), "%s", value);
			return;
		}
	}
	fail_msg("there is no fact %s", name);
}

/* What is different in B, before it is written. */
typedef void (*change_fn)(struct kbp_results *b);

/* Both are written, with these medians, and read back. */
static void both_make(change_fn change, uint32_t median_a, uint32_t median_b)
{
	for (int i = 0; i < 2; i++) {
		struct kbp_results *r = result();

		strcpy(dir[i], "/tmp/kbp-compare-XXXXXX");
		assert_non_null(mkdtemp(dir[i]));
		assert_int_equal(kbp_results_dir_prepare(dir[i], &err), 0);
		samples_put(r, dir[i], i ? median_b : median_a, i ? 7 : 99);
		if (i && change)
			change(r);
		if (kbp_results_save(r, dir[i], &err))
			fail_msg("%s: %s", err.step, err.hint);
		kbp_results_free(r);
		if (kbp_results_load(dir[i], &res[i], &err))
			fail_msg("%s: %s", err.step, err.hint);
	}
}

static int compare(unsigned flags)
{
	memset(&err, 0, sizeof(err));
	return kbp_results_compare(res[0], res[1], flags, &cmp, &err);
}

/* ---------------------------------------------------------------- facts */

static void results_of_the_same_thing_are_compared(void **state)
{
	(void)state;
	both_make(NULL, 5000, 5000);
	assert_int_equal(compare(0), 0);
	assert_int_equal(cmp->n_differences, 0);
	assert_int_equal(cmp->n_runs, 1);
	assert_int_equal(cmp->n_verdicts, 3);
	assert_int_equal(cmp->n_resolved, 0);
	assert_true(cmp->verdict[0].measured);
	assert_string_equal(cmp->verdict[0].why, "overlap");
	assert_string_equal(cmp->verdict[0].a, "af_xdp");
}

static void other_kernel(struct kbp_results *b)
{
	fact_set(b->fingerprint, b->n_fingerprint, "kernel", "Linux 6.2");
}

static void another_kernel_is_refused_and_named(void **state)
{
	(void)state;
	both_make(other_kernel, 5000, 5000);
	assert_int_equal(compare(0), -EXDEV);
	assert_non_null(cmp);
	assert_int_equal(cmp->n_refusing, 1);
	assert_string_equal(cmp->difference[0].name, "kernel");
	assert_false(cmp->difference[0].unknown);
	assert_int_equal(cmp->n_verdicts, 0);
	assert_non_null(strstr(err.hint, "\"Linux 6.1\" and \"Linux 6.2\""));
	assert_non_null(strstr(err.hint, "--force"));
}

static void what_is_forced_is_never_resolved(void **state)
{
	(void)state;
	both_make(other_kernel, 5000, 9000);
	assert_int_equal(compare(KBP_COMPARE_FORCE), 0);
	assert_true(cmp->forced);
	assert_int_equal(cmp->n_resolved, 0);
	assert_true(cmp->verdict[0].measured);
	assert_string_equal(cmp->verdict[0].why, "fingerprint");
}

static void other_measurements(struct kbp_results *b)
{
	fact_set(b->fingerprint, b->n_fingerprint, "tsc_hz", "2600000017");
	fact_set(b->fingerprint, b->n_fingerprint, "tsc_quantum_ns", "10.014");
	fact_set(b->fingerprint, b->n_fingerprint, "commit", "def");
	fact_set(b->setup, b->n_setup, "seconds", "6");
}

static void what_differs_in_every_run_refuses_nothing(void **state)
{
	(void)state;
	both_make(other_measurements, 5000, 5000);
	assert_int_equal(compare(0), 0);
	assert_int_equal(cmp->n_differences, 3); /* the quantum is the same but for its last digit */
	assert_int_equal(cmp->n_refusing, 0);
	for (uint32_t i = 0; i < cmp->n_differences; i++)
		assert_int_equal(cmp->difference[i].kind, strcmp(cmp->difference[i].name, "commit") ?
								  KBP_FACT_INCIDENTAL :
								  KBP_FACT_SUBJECT);
}

static void governor_known(struct kbp_results *b)
{
	fact_set(b->fingerprint, b->n_fingerprint, "governor", "performance");
}

static void a_fact_that_is_unknown_on_one_side_is_refused(void **state)
{
	(void)state;
	both_make(governor_known, 5000, 5000);
	assert_int_equal(compare(0), -EXDEV);
	assert_true(cmp->difference[0].unknown);
	assert_string_equal(cmp->difference[0].name, "governor");
}

static void no_setup(struct kbp_results *b)
{
	b->n_setup--; /* seconds goes, and with it nothing */
	strcpy(b->setup[0].name, "rate_in_other_words");
}

static void a_fact_that_one_side_did_not_record_is_refused(void **state)
{
	(void)state;
	both_make(no_setup, 5000, 5000);
	assert_int_equal(compare(0), -EXDEV);
	assert_int_equal(cmp->n_refusing, 2); /* one missing on each side */
	for (uint32_t i = 0; i < cmp->n_refusing; i++) {
		assert_true(cmp->difference[i].unknown);
		assert_true(!cmp->difference[i].a != !cmp->difference[i].b);
	}
	assert_int_equal(cmp->n_differences, 3);
	assert_string_equal(cmp->difference[2].name, "seconds");
}

static void other_unknown(struct kbp_results *b)
{
	fact_set(b->fingerprint, b->n_fingerprint, "governor", "unknown: permission denied");
}

static void what_neither_side_knows_is_no_difference(void **state)
{
	(void)state;
	both_make(other_unknown, 5000, 5000);
	assert_int_equal(compare(0), 0);
	assert_int_equal(cmp->n_differences, 0);
}

static void loads_dpdk(struct kbp_results *b)
{
	kbp_fact_text(&b->fingerprint, &b->n_fingerprint, "library_librte_eal", "librte_eal.so.23.0");
}

static void a_library_that_only_one_side_needed_refuses_nothing(void **state)
{
	(void)state;
	both_make(loads_dpdk, 5000, 5000);
	assert_int_equal(compare(0), 0);
}

static void captured(struct kbp_results *b)
{
	fact_set(b->setup, b->n_setup, "source", "capture");
	fact_set(b->setup, b->n_setup, "seconds", "6");
}

static void another_stretch_of_a_capture_is_other_frames(void **state)
{
	(void)state;
	both_make(captured, 5000, 5000);
	assert_int_equal(compare(0), -EXDEV);
	assert_int_equal(cmp->n_refusing, 2); /* source, seconds */
}

static void a_fact_that_nobody_classified_is_of_the_identity(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(kbp_fact_kind("something_new", &why), KBP_FACT_IDENTITY);
	assert_true(strlen(why) > 0);
	assert_int_equal(kbp_fact_kind("timer_p50_ns", NULL), KBP_FACT_INCIDENTAL);
	assert_int_equal(kbp_fact_kind("kernel_build", NULL), KBP_FACT_IDENTITY);
	assert_int_equal(kbp_fact_kind("handler_delay_ns", NULL), KBP_FACT_SUBJECT);
}

/* ---------------------------------------------------------------- verdicts */

static void a_difference_beyond_the_rounds_is_resolved_with_the_right_sign(void **state)
{
	(void)state;
	both_make(NULL, 5000, 6000);
	assert_int_equal(compare(0), 0);
	assert_true(cmp->verdict[0].resolved);
	assert_string_equal(cmp->verdict[0].metric, "p50");
	assert_true(cmp->verdict[0].diff_ns < -900 && cmp->verdict[0].diff_ns > -1100);
	assert_true(cmp->n_resolved >= 1);
	assert_non_null(strstr(cmp->verdict[0].text, "A is lower"));
}

static void other_mode(struct kbp_results *b)
{
	strcpy(b->run[0].mode, "zerocopy");
}

static void runs_in_different_modes_have_no_figure(void **state)
{
	(void)state;
	both_make(other_mode, 5000, 6000);
	assert_int_equal(compare(0), 0);
	assert_false(cmp->verdict[0].measured);
	assert_string_equal(cmp->verdict[0].why, "mode");
}

static void lossy(struct kbp_results *b)
{
	struct kbp_result_run *r = &b->run[0];

	r->sent++;
	kbp_named_add(r->drop, &r->n_drops, "rcvbuf_full", 1);
}

static void a_run_with_loss_has_no_figure(void **state)
{
	(void)state;
	both_make(lossy, 5000, 6000);
	assert_int_equal(compare(0), 0);
	assert_false(cmp->verdict[0].measured);
	assert_string_equal(cmp->verdict[0].why, "loss");
	assert_non_null(strstr(cmp->verdict[0].text, "B: "));
}

static void noisy(struct kbp_results *b)
{
	b->noise[0] = (struct kbp_noise){ .role = "rx",
					  .spun_ns = 1000000,
					  .gaps = 1,
					  .lost_ns = 20000,
					  .max_ns = 20000,
					  .bucket = { [4] = 1 } };
	b->n_noise = 1;
}

static void a_noisier_host_resolves_no_tail(void **state)
{
	(void)state;
	both_make(noisy, 5000, 6000);
	assert_int_equal(compare(0), 0);
	assert_true(cmp->verdict[0].resolved); /* 2 % do not move the median */
	assert_false(cmp->verdict[1].resolved);
	assert_string_equal(cmp->verdict[1].metric, "p99");
	assert_string_equal(cmp->verdict[1].why, "noise");
}

static void other_backend(struct kbp_results *b)
{
	strcpy(b->run[0].backend, "socket");
	strcpy(b->run[0].base, "socket");
}

static void results_without_a_common_run_are_an_error(void **state)
{
	(void)state;
	both_make(other_backend, 5000, 5000);
	assert_int_equal(compare(0), -ENODATA);
	assert_null(cmp);
}

/* ---------------------------------------------------------------- damaged files */

static void samples_cut_short_are_named_with_their_place(void **state)
{
	char file[128];

	(void)state;
	both_make(NULL, 5000, 5000);
	snprintf(file, sizeof(file), "%s/samples/af_xdp.u32", dir[1]);
	assert_int_equal(truncate(file, 4002), 0);
	assert_int_equal(compare(0), -EBADMSG);
	assert_null(cmp);
	assert_non_null(strstr(err.step, "af_xdp.u32"));
	assert_non_null(strstr(err.step, "sample 1000"));
}

static void samples_with_too_much_in_them_are_refused(void **state)
{
	char file[128];

	(void)state;
	both_make(NULL, 5000, 5000);
	snprintf(file, sizeof(file), "%s/samples/af_xdp.u32", dir[0]);
	assert_int_equal(truncate(file, (off_t)ROUNDS * SAMPLES * 4 + 4), 0);
	assert_int_equal(compare(0), -EBADMSG);
	assert_non_null(strstr(err.step, "af_xdp.u32"));
}

static void missing_samples_are_an_error_that_names_the_file(void **state)
{
	char file[128];

	(void)state;
	both_make(NULL, 5000, 5000);
	snprintf(file, sizeof(file), "%s/samples/af_xdp.u32", dir[0]);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(compare(0), -ENOENT);
	assert_non_null(strstr(err.step, file));
}

static void results_cannot_lead_out_of_their_directory(void **state)
{
	uint32_t *ns;
	size_t n;

	(void)state;
	both_make(NULL, 5000, 5000);
	assert_int_equal(kbp_samples_read(res[0], &res[0]->run[0], "samples/../../etc/passwd", &ns,
					  &n, &err),
			 -EBADMSG);
	assert_int_equal(kbp_samples_read(res[0], &res[0]->run[0], "/etc/passwd", &ns, &n, &err),
			 -EBADMSG);
	assert_null(ns);
}

static void flags_that_do_not_exist_are_refused(void **state)
{
	(void)state;
	both_make(NULL, 5000, 5000);
	assert_int_equal(compare(1u << 9), -EINVAL);
	assert_null(cmp);
}

/* ---------------------------------------------------------------- JSON */

static void the_document_has_differences_runs_and_verdicts(void **state)
{
	json_t *root, *d;
	char *text;

	(void)state;
	both_make(other_kernel, 5000, 5000);
	assert_int_equal(compare(KBP_COMPARE_FORCE), 0);
	text = kbp_comparison_json(cmp, res[0], res[1]);
	assert_non_null(text);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "schema")), "kbypass.compare/1");
	assert_true(json_is_false(json_object_get(root, "comparable")));
	assert_true(json_is_true(json_object_get(root, "forced")));
	d = json_array_get(json_object_get(root, "differences"), 0);
	assert_string_equal(json_string_value(json_object_get(d, "name")), "kernel");
	assert_string_equal(json_string_value(json_object_get(d, "kind")), "identity");
	assert_int_equal(json_array_size(json_object_get(root, "runs")), 1);
	assert_int_equal(json_array_size(json_object_get(root, "verdicts")), 3);
	json_decref(root);
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(results_of_the_same_thing_are_compared),
		TEST(another_kernel_is_refused_and_named),
		TEST(what_is_forced_is_never_resolved),
		TEST(what_differs_in_every_run_refuses_nothing),
		TEST(a_fact_that_is_unknown_on_one_side_is_refused),
		TEST(a_fact_that_one_side_did_not_record_is_refused),
		TEST(what_neither_side_knows_is_no_difference),
		TEST(a_library_that_only_one_side_needed_refuses_nothing),
		TEST(another_stretch_of_a_capture_is_other_frames),
		TEST(a_fact_that_nobody_classified_is_of_the_identity),
		TEST(a_difference_beyond_the_rounds_is_resolved_with_the_right_sign),
		TEST(runs_in_different_modes_have_no_figure),
		TEST(a_run_with_loss_has_no_figure),
		TEST(a_noisier_host_resolves_no_tail),
		TEST(results_without_a_common_run_are_an_error),
		TEST(samples_cut_short_are_named_with_their_place),
		TEST(samples_with_too_much_in_them_are_refused),
		TEST(missing_samples_are_an_error_that_names_the_file),
		TEST(results_cannot_lead_out_of_their_directory),
		TEST(flags_that_do_not_exist_are_refused),
		TEST(the_document_has_differences_runs_and_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
