/* SPDX-License-Identifier: BSD-2-Clause */
/* Which runs are compared, what forbids it, and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <kbypass/method.h>

#include "tools/measure/made_up.h"
#include "tools/measure/parts.h"

#define RUNS 4u
#define ROUNDS 10u
#define SAMPLES 1000u
#define WARMUP 100u

static struct kbp_results *res;
static struct kbp_run_samples samples[RUNS];
static uint32_t ns[RUNS][ROUNDS * SAMPLES];

/* Run i is 100 * i ns slower than the first; its warm-up is far off. */
static void run_make(uint32_t i, const char *backend)
{
	static const struct kbp_made_up model = { .base_ns = 1000,
						  .body_ns = 50,
						  .body_log = 0.4,
						  .restart_ns = 5,
						  .burst_stay = 0.5,
						  .quantum_ns = 10 };
	struct kbp_result_run *r = &res->run[i];
	struct kbp_chance chance;

	strcpy(r->backend, backend);
	strcpy(r->base, backend);
	strcpy(r->kind, "one_way");
	strcpy(r->mode, "kernel");
	r->virtual_device = true;
	r->round = calloc(ROUNDS, sizeof(*r->round));
	r->n_rounds = ROUNDS;
	r->sent = r->delivered = r->latency.samples = ROUNDS * SAMPLES;
	kbp_chance_seed(&chance, i + 1);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint32_t *at = ns[i] + k * SAMPLES;

		r->round[k] = (struct kbp_result_round){ .first_sample = k * SAMPLES,
							 .samples = SAMPLES,
							 .warmup = WARMUP };
		kbp_made_up_round(&chance, &model, 0, at, SAMPLES);
		for (uint32_t s = 0; s < SAMPLES; s++)
			at[s] = s < WARMUP ? 1000000 : at[s] + 100 * i;
	}
	samples[i].latency = ns[i];
}

static int setup(void **state)
{
	static const char *const names[RUNS] = { "socket", "af_xdp", "dpdk", "ef_vi_sim" };

	(void)state;
	res = calloc(1, sizeof(*res));
	res->run = calloc(RUNS, sizeof(*res->run));
	res->n_runs = 2;
	memset(samples, 0, sizeof(samples));
	for (uint32_t i = 0; i < RUNS; i++)
		run_make(i, names[i]);
	kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, "tsc_quantum_ns", "10.0");
	kbp_fact_literal(&res->setup, &res->n_setup, "actual_pps", "50000");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	res->n_runs = RUNS;
	kbp_results_free(res);
	return 0;
}

static void judge(void)
{
	assert_int_equal(kbp_results_judge(res, samples, 0), 0);
}

static const struct kbp_verdict *verdict(const char *a, const char *b, const char *metric)
{
	for (uint32_t i = 0; i < res->n_verdicts; i++) {
		const struct kbp_verdict *v = &res->verdict[i];

		if (!strcmp(v->a, a) && !strcmp(v->b, b) && !strcmp(v->metric, metric))
			return v;
	}
	return NULL;
}

static void expect_forbidden(const char *why, const char *words)
{
	judge();
	for (uint32_t i = 0; i < res->n_verdicts; i++) {
		const struct kbp_verdict *v = &res->verdict[i];

		assert_false(v->measured || v->resolved);
		assert_string_equal(v->why, why);
		assert_non_null(strstr(v->text, words));
	}
	assert_true(res->n_verdicts > 0);
}

static void a_difference_is_found_with_its_sign_and_what_it_costs(void **state)
{
	const struct kbp_verdict *v;

	(void)state;
	judge();
	v = verdict("socket", "af_xdp", "p50");
	assert_true(v->resolved);
	assert_string_equal(v->why, "resolved");
	assert_true(v->lo_ns < -100 && -100 < v->hi_ns && v->hi_ns < 0);
	assert_non_null(strstr(v->text, "socket is lower than af_xdp"));
	/* as the article computes it: ns times frames a second */
	assert_true(v->work_us_per_s < -4000 && v->work_us_per_s > -6000);
	assert_false(verdict("socket", "af_xdp", "gap")->resolved);
	assert_string_equal(verdict("socket", "af_xdp", "gap")->why, "overlap");
	assert_true(res->run[0].interval.known);
	assert_true(res->run[0].interval.p99.hi < 2000); /* without the warm-up */
}

static void every_pair_is_there_once_with_three_metrics(void **state)
{
	(void)state;
	res->n_runs = 4;
	judge();
	assert_int_equal(res->n_verdicts, 6 * 3);
	assert_null(verdict("af_xdp", "socket", "p50"));
	for (uint32_t i = 0; i < res->n_verdicts; i++)
		assert_true(res->verdict[i].p_table >= res->verdict[i].p);
}

static void a_lost_frame_forbids(void **state)
{
	(void)state;
	res->run[1].delivered--;
	expect_forbidden("loss", "af_xdp lost frames");
}

static void frames_that_could_not_be_told_apart_forbid(void **state)
{
	(void)state;
	res->run[0].ambiguous = 1;
	expect_forbidden("content", "socket");
}

static void devices_of_different_classes_are_never_ranked(void **state)
{
	(void)state;
	res->run[1].virtual_device = false;
	expect_forbidden("class", "a virtual device is not compared with a real device");
	res->run[1].emulated = true;
	expect_forbidden("class", "a software NIC");
	res->run[1].emulated = false;
	res->run[1].virtual_device = true;
	strcpy(res->run[1].mode, "emulated");
	expect_forbidden("class", "a wire in memory");
}

static void a_mode_that_changed_forbids(void **state)
{
	(void)state;
	kbp_finding_add(res, false, "mode_changed", "socket", "x");
	expect_forbidden("mode", "socket");
}

static void too_few_rounds_and_samples_are_the_reason(void **state)
{
	(void)state;
	res->run[0].n_rounds = 3;
	expect_forbidden("rounds", "3 rounds");
	res->run[0].n_rounds = ROUNDS;
	samples[0].latency = NULL;
	expect_forbidden("samples", "socket");
}

static void a_difference_within_the_quantum_is_not_claimed(void **state)
{
	(void)state;
	res->n_fingerprint = 0;
	kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, "tsc_quantum_ns", "150.0");
	judge();
	assert_true(verdict("socket", "af_xdp", "p50")->p_table < 0.05);
	assert_false(verdict("socket", "af_xdp", "p50")->resolved);
	assert_string_equal(verdict("socket", "af_xdp", "p50")->why, "quantum");
}

static void a_variant_is_compared_with_its_base_alone(void **state)
{
	const struct kbp_verdict *v;

	(void)state;
	res->n_runs = 3;
	strcpy(res->run[2].backend, "socket+200");
	strcpy(res->run[2].base, "socket");
	res->run[2].variant = true;
	judge();
	assert_int_equal(res->n_verdicts, 2 * 3);
	v = verdict("socket+200", "socket", "p50");
	assert_true(v->resolved && v->lo_ns < 200 && 200 < v->hi_ns);
	assert_non_null(verdict("socket", "af_xdp", "p50"));
}

static void rates_and_kinds_are_not_mixed(void **state)
{
	(void)state;
	res->run[1].rate_pps = 1000;
	judge();
	assert_int_equal(res->n_verdicts, 0);
	res->run[1].rate_pps = 0;
	strcpy(res->run[1].kind, "rtt");
	judge();
	assert_int_equal(res->n_verdicts, 0);
}

static void stamps_of_different_sources_are_not_compared(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		samples[i].rx_path = ns[i];
		res->run[i].stamps.rx_path.samples = ROUNDS * SAMPLES;
		strcpy(res->run[i].stamps.source, i ? "driver" : "kernel");
	}
	judge();
	assert_int_equal(res->n_verdicts, 2 * 3);
	assert_string_equal(res->verdict[3].kind, "rx_path");
	assert_string_equal(res->verdict[3].why, "source");
	strcpy(res->run[1].stamps.source, "kernel");
	judge();
	assert_true(res->verdict[3].measured);
}

static void what_is_needed_is_for_the_difference_asked_for(void **state)
{
	uint64_t own, tiny;

	(void)state;
	judge();
	own = verdict("socket", "af_xdp", "p50")->samples_needed;
	assert_int_equal(kbp_results_judge(res, samples, 1), 0);
	tiny = verdict("socket", "af_xdp", "p50")->samples_needed;
	assert_true(tiny > 100 * own);
	assert_true(verdict("socket", "af_xdp", "p50")->resolved); /* whatever was asked for */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_difference_is_found_with_its_sign_and_what_it_costs),
		T(every_pair_is_there_once_with_three_metrics),
		T(a_lost_frame_forbids),
		T(frames_that_could_not_be_told_apart_forbid),
		T(devices_of_different_classes_are_never_ranked),
		T(a_mode_that_changed_forbids),
		T(too_few_rounds_and_samples_are_the_reason),
		T(a_difference_within_the_quantum_is_not_claimed),
		T(a_variant_is_compared_with_its_base_alone),
		T(rates_and_kinds_are_not_mixed),
		T(stamps_of_different_sources_are_not_compared),
		T(what_is_needed_is_for_the_difference_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
