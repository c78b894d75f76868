/* SPDX-License-Identifier: BSD-2-Clause */
/* compare.c - kbypass compare: two results side by side, where they are of the same thing. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"

#define SHOWN 60 /* characters of a fact's value */

typedef unsigned long long ull;

struct given {
	bool force, json;
	const char *path[2];
};

static int parse(struct given *g, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ "force", NULL, "compare although facts of host or setup differ; resolves nothing",
		  CLI_FLAG, &g->force, 0, 0 },
		CLI_JSON_OPTION(&g->json),
	};
	const struct cli_usage usage = {
		"compare A B [--force] [--json]",
		"Compares two results that `kbypass bench --out` wrote: directories, or files. Host and setup\n"
		"come first: where a fact differs that latencies depend on, it refuses, and names it. The\n"
		"commit and version of kbypass may differ: that is what one compares.\n"
		"Then each run that both have: A minus B, with its 95 % interval from rounds. The two were not\n"
		"measured in turn, so what drifted in between counts as a difference: one bench that has both\n"
		"says more.\n"
		"Exit status 0: no difference is resolved; 1: one is; 2: an error, or it refuses.",
		options, sizeof(options) / sizeof(options[0])
	};
	int n = cli_parse(&usage, argc, argv, g->path, 2);

	if (n < 0)
		return n;
	if (n != 2)
		return cli_misuse("compare", "name two results: directories that `kbypass bench --out` "
					     "wrote, or their results.json");
	return CLI_OK;
}

/* ---------------------------------------------------------------- the table */

/* A value on a line: long ones, like lists of offloads, from where they differ. */
static const char *shown(const char *value, const char *other, char buf[SHOWN + 8])
{
	size_t same = 0;

	if (!value)
		return "not recorded";
	while (other && value[same] && value[same] == other[same])
		same++;
	if (strlen(value) <= SHOWN || same < SHOWN / 2)
		same = 0;
	else
		same -= SHOWN / 4;
	snprintf(buf, SHOWN + 8, "%s%.*s%s", same ? "..." : "", SHOWN, value + same,
		 strlen(value + same) > SHOWN ? "..." : "");
	return buf;
}

static void print_differences(const struct kbp_comparison *c, FILE *to)
{
	uint32_t incidental = 0;

	for (uint32_t i = 0; i < c->n_differences; i++) {
		const struct kbp_fact_difference *d = &c->difference[i];
		char a[SHOWN + 8], b[SHOWN + 8];

		if (d->kind == KBP_FACT_INCIDENTAL) {
			incidental++;
			continue;
		}
		fprintf(to, "%s %s, %s%s\n  A: %s\n  B: %s\n",
			d->setup ? "setup:" : "host: ", d->name,
			d->refuses ? "which results depend on" : "which may be what is compared",
			d->unknown ? " (known on one side only)" : "", shown(d->a, d->b, a),
			shown(d->b, d->a, b));
	}
	if (incidental)
		fprintf(to,
			"%u other fact%s, which say%s nothing of what was measured, differ%s: see --json\n",
			incidental, incidental == 1 ? "" : "s", incidental == 1 ? "s" : "",
			incidental == 1 ? "s" : "");
}

static const char *us(const struct kbp_latency *l, const char *metric, char buf[24])
{
	bool p50 = !strcmp(metric, "p50");
	uint32_t ns = p50 ? l->p50_ns : !strcmp(metric, "p99") ? l->p99_ns : l->gap_ns;

	if (!kbp_latency_known(l, p50 ? 500 : 990))
		strcpy(buf, "-");
	else if (ns == UINT32_MAX || (!p50 && l->p99_ns == UINT32_MAX))
		strcpy(buf, ">4294967");
	else
		snprintf(buf, 24, "%.2f", ns / 1e3);
	return buf;
}

static const struct kbp_latency *latency_of(const struct kbp_result_run *r, const char *kind)
{
	return !strcmp(kind, "tx")	? &r->tx :
	       !strcmp(kind, "rx_path") ? &r->stamps.rx_path :
					  &r->latency;
}

/* The run of this verdict, in one of the results. */
static const struct kbp_result_run *run_of(const struct kbp_results *res, const struct kbp_verdict *v)
{
	for (uint32_t i = 0; i < res->n_runs; i++)
		if (!strcmp(res->run[i].backend, v->a) && res->run[i].rate_pps == v->rate_pps)
			return &res->run[i];
	return &res->run[0];
}

static const char *unresolved(const struct kbp_verdict *v)
{
	static const char *const words[][2] = {
		{ "quantum", "within the clock's quantum" },
		{ "fingerprint", "hosts or setups differ" },
		{ "noise", "the host was noisier in one of the two" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(v->why, words[i][0]))
			return words[i][1];
	return "the interval, corrected for all, reaches over 0";
}

static void print_verdict(const struct kbp_verdict *v, const struct kbp_results *a,
			  const struct kbp_results *b)
{
	char x[24], y[24], diff[24] = "-", range[48] = "-";

	if (v->measured) {
		snprintf(diff, sizeof(diff), "%+.3f", v->diff_ns / 1e3);
		snprintf(range, sizeof(range), "%+.3f to %+.3f", v->lo_ns / 1e3, v->hi_ns / 1e3);
	}
	printf("%-16s %-8s %-4s %10s %10s %10s  %-22s ", v->a, v->kind, v->metric,
	       us(latency_of(run_of(a, v), v->kind), v->metric, x),
	       us(latency_of(run_of(b, v), v->kind), v->metric, y), diff, range);
	if (v->resolved)
		printf("%s%s is lower%s\n", cli_bold(), v->diff_ns < 0 ? "A" : "B", cli_plain());
	else if (v->measured)
		printf("unresolved: %s\n", unresolved(v));
	else
		printf("not compared: %s\n", v->text);
}

static void print_all(const struct kbp_comparison *c, const struct given *g,
		      const struct kbp_results *a, const struct kbp_results *b)
{
	const struct kbp_results *side[] = { a, b };

	for (int i = 0; i < 2; i++) {
		const char *version = kbp_results_fact(side[i], "kbypass"),
			   *commit = kbp_results_fact(side[i], "commit");

		printf("%c: %s, kbypass %s (commit %s)\n", "AB"[i], g -> path[i],
		       version ? version : "unknown", commit ? commit : "unknown");
	}
	cli_noise_lines(a, "A, ");
	cli_noise_lines(b, "B, ");
	print_differences(c, stdout);
	printf("\nA minus B in us, with its 95 %% interval from rounds; \"is lower\" is corrected for the whole table.\n"
	       "Not measured in turn: what drifted in between is in the difference\n");
	printf("%-16s %-8s %-4s %10s %10s %10s  %-22s %s\n", "run", "kind", "", "A", "B", "A - B",
	       "95 % interval", "verdict");
	for (uint32_t i = 0; i < c->n_verdicts; i++)
		print_verdict(&c->verdict[i], a, b);
	if (c->only_a || c->only_b)
		printf("without a counterpart: %u run%s of A, %u of B\n", c->only_a,
		       c->only_a == 1 ? "" : "s", c->only_b);
}

/* ---------------------------------------------------------------- the command */

static int print_json(const struct kbp_comparison *c, const struct kbp_results *a,
		      const struct kbp_results *b)
{
	char *text = kbp_comparison_json(c, a, b);
	json_t *doc = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return cli_json(doc);
}

static int compare(const struct given *g, const struct kbp_results *a, const struct kbp_results *b)
{
	struct kbp_comparison *c;
	struct kbp_error err;
	int rc = kbp_results_compare(a, b, g->force ? KBP_COMPARE_FORCE : 0, &c, &err),
	    status = CLI_OK;

	if (c && g->json)
		status = print_json(c, a, b);
	else if (c && rc)
		print_differences(c, stderr);
	else if (c)
		print_all(c, g, a, b);
	if (rc)
		status = cli_fail(&err);
	else if (status == CLI_OK && c && c->n_resolved)
		status = CLI_FINDINGS;
	kbp_comparison_free(c);
	return status;
}

int cmd_compare(int argc, char **argv)
{
	struct kbp_results *res[2] = { NULL, NULL };
	struct given g = { 0 };
	struct kbp_error err;
	int rc = parse(&g, argc, argv);

	if (rc)
		return rc == -2 ? CLI_OK : CLI_ERROR;
	for (int i = 0; i < 2; i++) {
		if (kbp_results_load(g.path[i], &res[i], &err)) {
			kbp_results_free(res[0]);
			return cli_fail(&err);
		}
	}
	rc = compare(&g, res[0], res[1]);
	kbp_results_free(res[0]);
	kbp_results_free(res[1]);
	return rc;
}
