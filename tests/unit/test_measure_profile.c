/* SPDX-License-Identifier: BSD-2-Clause */
/* How many operations make a sample, and what planted samples come to. Nothing here looks at a clock. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/measure/parts.h"

#define QUANTUM 26u
#define HZ 2600000000u

static void an_operation_of_twenty_quanta_is_timed_by_itself(void **state)
{
	(void)state;
	assert_int_equal(kbp_profile_batch(20 * QUANTUM, QUANTUM, 1), 1);
	assert_int_equal(kbp_profile_batch(1e9, QUANTUM, 1), 1);
	assert_int_equal(kbp_profile_batch(20 * QUANTUM - 1, QUANTUM, 1), 2);
}

static void a_batch_takes_twenty_quanta_and_no_more_than_that_needs(void **state)
{
	(void)state;
	for (uint32_t op = 1; op < 600; op++) {
		uint32_t n = kbp_profile_batch(op, QUANTUM, 1);

		assert_true(n * op >= 20 * QUANTUM);
		assert_true(n == 1 || (n - 1) * op < 20 * QUANTUM);
	}
}

static void a_batch_that_is_timed_in_pieces_is_whole_pieces(void **state)
{
	(void)state;
	/* 100 operations are needed, 32 can be timed at once */
	assert_int_equal(kbp_profile_batch(5.2, QUANTUM, 32), 128);
	/* fewer than can be timed at once: exactly as many as needed */
	assert_int_equal(kbp_profile_batch(52, QUANTUM, 32), 10);
}

static void a_batch_has_a_bound_whatever_the_clock_is_like(void **state)
{
	(void)state;
	assert_int_equal(kbp_profile_batch(0, QUANTUM, 1), KBP_PROFILE_BATCH);
	assert_int_equal(kbp_profile_batch(0.001, UINT32_MAX, 1), KBP_PROFILE_BATCH);
	assert_int_equal(kbp_profile_batch(0.001, UINT32_MAX, 1000), 4000);
	assert_int_equal(kbp_profile_batch(1, 0, 1), 1);
}

static void the_timer_counts_once_for_each_piece(void **state)
{
	(void)state;
	assert_true(kbp_profile_timer_share(24, 1, 1) == 24);
	assert_true(kbp_profile_timer_share(24, 8, 1) == 24);
	assert_true(kbp_profile_timer_share(24, 8, 64) == 3);
	assert_true(kbp_profile_timer_share(24, 96, 32) == 0.75);
	assert_true(kbp_profile_timer_share(24, 48, 32) == 1); /* two pieces */
}

static bool near(double a, double b)
{
	return a - b < 1e-9 && b - a < 1e-9;
}

static void figures_are_exact_quantiles_of_the_samples_for_one_operation(void **state)
{
	static uint32_t ticks[1000];
	struct kbp_profile_op row = { .batch = 10 };

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		ticks[i] = 26 * ((i * 7919u) % 1000u + 1); /* 26, 52 .. 26000, shuffled */
	kbp_profile_figures(ticks, 1000, HZ, &row);
	assert_int_equal(row.samples, 1000);
	assert_true(near(row.cycles.min, 2.6));
	assert_true(near(row.cycles.p50, 1300));
	assert_true(near(row.cycles.p99, 2574));
	assert_true(near(row.cycles.gap, 1274));
	assert_true(near(row.ns.min, 1));
	assert_true(near(row.ns.p50, 500));
	assert_true(near(row.ns.p99, 990));
	assert_true(near(row.ns.gap, 490));
}

static void equal_samples_have_no_gap(void **state)
{
	uint32_t ticks[3] = { 52, 52, 52 };
	struct kbp_profile_op row = { .batch = 1 };

	(void)state;
	kbp_profile_figures(ticks, 3, HZ, &row);
	assert_true(near(row.ns.p50, 20));
	assert_true(near(row.ns.p99, 20));
	assert_true(near(row.ns.gap, 0));
}

static void published_figures_are_those_of_the_article_and_only_for_what_it_has(void **state)
{
	static const struct {
		const char *op;
		double low, high;
	} want[] = { { "poll_empty", 2, 3 },
		     { "poll_one", 8, 12 },
		     { "rx_full", 15, 22 },
		     { "tx_full", 18, 28 } };

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(want); i++) {
		const struct kbp_published *p = kbp_profile_published("ef_vi", want[i].op, false);

		assert_non_null(p);
		assert_true(near(p->low_ns, want[i].low));
		assert_true(near(p->high_ns, want[i].high));
		assert_string_equal(p->device, "SFN8522");
		assert_true(p->source[0] != '\0');
	}
	assert_null(kbp_profile_published("ef_vi", "release", false));
	assert_null(kbp_profile_published("ef_vi", "timestamp", false));
	assert_null(kbp_profile_published("socket", "rx_full", false));
	assert_true(near(kbp_profile_published("dpdk:af_packet", "rx_full", false)->high_ns, 45));
	assert_string_equal(kbp_profile_published("dpdk", "release", false)->device, "i40e");
	assert_true(near(kbp_profile_published("af_xdp", "rx_full", false)->high_ns, 150));
	assert_true(near(kbp_profile_published("af_xdp", "rx_full", true)->high_ns, 80));
}

/* ---------------------------------------------------------------- on disk */

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

static struct kbp_results *example(void)
{
	struct kbp_results *res = calloc(1, sizeof(*res));
	struct kbp_profile_op *r;

	assert_non_null(res);
	r = res->profile = calloc(2, sizeof(*res->profile));
	assert_non_null(r);
	res->n_profile = 2;
	for (int i = 0; i < 2; i++) {
		strcpy(r[i].backend, "ef_vi_sim");
		r[i].emulated = true;
		strcpy(r[i].op, i ? "release" : "rx_full");
		strcpy(r[i].form, i ? "array" : "inline");
		r[i].batch = i ? 48 : 1;
		r[i].samples = 5000;
		r[i].timer_ns = 23.456789123456;
		r[i].ns = (struct kbp_profile_cost){ 100.0 / 3, 200.0 / 3, 100.0 / 3, 10.0 / 3 };
		r[i].cycles = (struct kbp_profile_cost){ 260, 520, 260, 26 };
	}
	r[0].published = *kbp_profile_published("ef_vi_sim", "rx_full", false);
	strcpy(r[1].note, "two words");
	return res;
}

static void a_profile_comes_back_as_it_was_written(void **state)
{
	struct kbp_results *res = example(), *back = NULL;
	struct kbp_error err = { 0 };
	char *a, *b;

	(void)state;
	assert_int_equal(kbp_results_dir_prepare(dir, &err), 0);
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	if (kbp_results_load(dir, &back, &err))
		fail_msg("%s", err.hint);
	a = kbp_results_json(res);
	b = kbp_results_json(back);
	assert_string_equal(a, b);
	assert_int_equal(back->n_profile, 2);
	assert_int_equal(back->profile[1].batch, 48);
	assert_string_equal(back->profile[0].published.device, "SFN8522");
	assert_true(near(back->profile[1].published.high_ns, 0));
	assert_string_equal(back->profile[1].note, "two words");
	free(a);
	free(b);
	kbp_results_free(res);
	kbp_results_free(back);
}

static void results_without_a_profile_have_no_such_member(void **state)
{
	struct kbp_results *res = calloc(1, sizeof(*res));
	char *text;

	(void)state;
	assert_non_null(res);
	text = kbp_results_json(res);
	assert_null(strstr(text, "profile"));
	free(text);
	kbp_results_free(res);
}

/* The example with `from` replaced by `to` does not load, and `hint` says where. */
static void expect_damage(const char *from, const char *to, const char *hint)
{
	struct kbp_results *res = example(), *back;
	char *text = kbp_results_json(res), *at = strstr(text, from), path[96];
	struct kbp_error err = { 0 };
	FILE *f;

	assert_non_null(at);
	snprintf(path, sizeof(path), "%s/results.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(kbp_results_load(dir, &back, &err), -EBADMSG);
	assert_null(back);
	if (!strstr(err.hint, hint))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, hint);
	free(text);
	kbp_results_free(res);
}

static void a_damaged_profile_is_named_by_its_place(void **state)
{
	(void)state;
	expect_damage("\"batch\": 48", "\"batch\": 0", "profile[1].batch");
	expect_damage("\"op\": \"rx_full\"", "\"op\": 7", "profile[0].op");
	expect_damage("\"p50\": 260.0", "\"p50\": 999.0", "profile[0].cycles");
	expect_damage("\"gap\": 260.0", "\"gap\": 1.0", "profile[0].cycles");
	expect_damage("\"min\": 26.0", "\"min\": -1.0", "profile[0].cycles.min");
	expect_damage("\"low_ns\": 15.0", "\"low_ns\": \"?\"", "profile[0].published.low_ns");
	expect_damage("\"published\": null", "\"published\": 3", "profile[1].published");
}

/* ---------------------------------------------------------------- options */

static void expect_refusal(const struct kbp_profile_opts *o, const char *hint)
{
	struct kbp_results *res;
	struct kbp_error err = { 0 };

	assert_int_equal(kbp_profile_run(o, NULL, NULL, &res, &err), -EINVAL);
	assert_null(res);
	if (!strstr(err.hint, hint))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, hint);
}

static void wrong_options_are_refused_before_anything_is_measured(void **state)
{
	const struct kbp_profile_opts zero = KBP_PROFILE_OPTS_INIT;
	struct kbp_profile_opts o;

	(void)state;
	o = zero;
	o.samples = 999;
	expect_refusal(&o, "999 samples");
	o = zero;
	o.rx_ring = 1000;
	expect_refusal(&o, "power of two");
	o = zero;
	o.rx_ifname = "eth0";
	expect_refusal(&o, "both ends");
	o = zero;
	o.backends = "socket,socket";
	expect_refusal(&o, "once");
	o = zero;
	o.cpu = 100000;
	expect_refusal(&o, "may use");
	o = zero;
	o.size = 1;
	expect_refusal(&o, "KBP_PROFILE_OPTS_INIT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_of_twenty_quanta_is_timed_by_itself),
		cmocka_unit_test(a_batch_takes_twenty_quanta_and_no_more_than_that_needs),
		cmocka_unit_test(a_batch_that_is_timed_in_pieces_is_whole_pieces),
		cmocka_unit_test(a_batch_has_a_bound_whatever_the_clock_is_like),
		cmocka_unit_test(the_timer_counts_once_for_each_piece),
		cmocka_unit_test(figures_are_exact_quantiles_of_the_samples_for_one_operation),
		cmocka_unit_test(equal_samples_have_no_gap),
		cmocka_unit_test(published_figures_are_those_of_the_article_and_only_for_what_it_has),
		cmocka_unit_test_setup_teardown(a_profile_comes_back_as_it_was_written, make_dir,
						remove_dir),
		cmocka_unit_test(results_without_a_profile_have_no_such_member),
		cmocka_unit_test_setup_teardown(a_damaged_profile_is_named_by_its_place, make_dir,
						remove_dir),
		cmocka_unit_test(wrong_options_are_refused_before_anything_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
