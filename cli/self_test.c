/* SPDX-License-Identifier: BSD-2-Clause */
/* self_test.c - kbypass bench --self-test: does the method hold what it says? */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#include <kbypass/method.h>

#include "cli.h"

static void print_table(const struct kbp_self_test *t)
{
	printf("self-test of the method, on made-up samples whose truth is known\n"
	       "%s%-22s %8s %8s %8s  %-16s  %s%s\n",
	       cli_bold(), "case", "trials", "hits", "share", "accepted", "", cli_plain());
	for (uint32_t i = 0; i < t->n; i++) {
		const struct kbp_self_test_case *c = &t->c[i];

		printf("%-22s %8llu %8llu %7.2f%%  %5.1f to %5.1f%%  %s%s\n", c->name,
		       (unsigned long long)c->trials, (unsigned long long)c->hits,
		       c->trials ? 100.0 * (double)c->hits / (double)c->trials : 0, 100 * c->least,
		       100 * c->most, c->ok ? "" : "FAILED: ", c->what);
	}
	printf("%s\n",
	       t->ok ? "the method holds what it says" : "THE METHOD DOES NOT HOLD what it says");
}

static json_t *document(const struct kbp_self_test *t, uint32_t seed)
{
	json_t *cases = json_array();

	for (uint32_t i = 0; i < t->n; i++) {
		const struct kbp_self_test_case *c = &t->c[i];

		json_array_append_new(cases,
				      json_pack("{s:s,s:s,s:I,s:I,s:f,s:f,s:b}", "name", c->name,
						"what", c->what, "trials", (json_int_t)c->trials,
						"hits", (json_int_t)c->hits, "least", c->least,
						"most", c->most, "ok", c->ok));
	}
	return json_pack("{s:s,s:I,s:b,s:o}", "schema", "kbypass.self_test/1", "seed",
			 (json_int_t)seed, "ok", t->ok, "cases", cases);
}

static bool progress(const struct kbp_bench_progress *p, void *arg)
{
	const volatile sig_atomic_t *stop_it = *(const volatile sig_atomic_t *const *)arg;

	cli_progress("self-test: %s, %llu of %llu trials", p->doing, (unsigned long long)p->sent,
		     (unsigned long long)p->total);
	return !*stop_it;
}

int cli_self_test(uint32_t trials, uint32_t seed, const volatile sig_atomic_t *stop_it, bool json)
{
	struct kbp_self_test_opts o = KBP_SELF_TEST_OPTS_INIT;
	struct kbp_self_test t;
	struct kbp_error err;
	int rc;

	o.trials = trials;
	o.seed = seed;
	if (kbp_self_test_run(&o, progress, &stop_it, &t, &err))
		return cli_fail(&err);
	cli_progress_end();
	rc = json ? cli_json(document(&t, seed ? seed : 1)) : CLI_OK;
	if (!json)
		print_table(&t);
	return rc != CLI_OK ? rc : t.ok ? CLI_OK : CLI_FINDINGS;
}
