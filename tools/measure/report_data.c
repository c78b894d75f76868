/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_data.c - from results and samples to what the page shows. One run's samples are in memory at a time.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

const char *kbp_report_kind(const struct kbp_result_run *r)
{
	return r->kind[0] ? r->kind : "one_way";
}

/* The classes that kbp_run_class names. */
enum kbp_class kbp_report_class(const struct kbp_result_run *r)
{
	if (r->emulated)
		return KBP_CLASS_EMULATED;
	if (!r->virtual_device)
		return KBP_CLASS_REAL;
	return strcmp(r->mode, "emulated") != 0 ? KBP_CLASS_VIRTUAL : KBP_CLASS_MEMORY;
}

const char *kbp_class_name(enum kbp_class c)
{
	static const char *const name[] = { "real devices", "virtual devices", "a wire in memory",
					    "emulated devices" };

	return name[c];
}

const char *kbp_class_words(enum kbp_class c)
{
	static const char *const words[] = {
		"",
		"Veth, virtio or tap: these figures are of software paths, not of a NIC.",
		"No kernel and no NIC is on that wire.",
		"A software NIC: these figures say nothing about a NIC.",
	};

	return words[c];
}

/* ---------------------------------------------------------------- groups */

static unsigned group_of(struct kbp_report *p, const struct kbp_result_run *r)
{
	struct kbp_report_group *g;
	unsigned i;

	for (i = 0; i < p->n_groups; i++) {
		g = &p->group[i];
		if (g->class == kbp_report_class(r) && g->rate_pps == r->rate_pps &&
		    !strcmp(g->kind, kbp_report_kind(r)))
			break;
	}
	g = &p->group[i];
	if (i == p->n_groups) {
		p->n_groups++;
		g->class = kbp_report_class(r);
		g->rate_pps = r->rate_pps;
		snprintf(g->kind, sizeof(g->kind), "%s", kbp_report_kind(r));
	}
	g->n_runs++;
	return i;
}

/* Real devices first, then virtual, then emulated ones; rates as they were measured. */
static void groups_make(struct kbp_report *p)
{
	for (int class = KBP_CLASS_REAL; class <= KBP_CLASS_EMULATED; class ++)
		for (unsigned i = 0; i < p->n_runs; i++) {
			struct kbp_report_run *run = &p->run[i];

			if (kbp_report_class(run->r) != (enum kbp_class) class)
				continue;
			run->group = group_of(p, run->r);
			run->style = (p->group[run->group].n_runs - 1) % KBP_STYLES;
		}
}

/* The largest figure that is told with certainty enough to be an edge of a plot. */
static uint32_t body_end(const struct kbp_latency *l)
{
	uint32_t v = kbp_latency_known(l, 999) ? l->p999_ns :
		     kbp_latency_known(l, 990) ? l->p99_ns :
						 l->max_ns;

	return v == UINT32_MAX ? l->p50_ns : v;
}

/* Edges of bins, evenly on a logarithmic axis, but whole steps of the clock: narrower bins would show its grid, not
 * the latencies. */
static void edges_make(struct kbp_report *p, unsigned group)
{
	struct kbp_report_group *g = &p->group[group];
	const char *quantum_text = kbp_results_fact(p->res, "tsc_quantum_ns");
	double quantum = quantum_text ? strtod(quantum_text, NULL) : 1, lo = INFINITY, hi = 0;

	quantum = quantum >= 1 && quantum < 1e6 ? ceil(quantum) : 1;
	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_latency *l = &p->run[i].r->latency;

		if (p->run[i].group != group || !l->samples)
			continue;
		lo = l->min_ns < lo ? l->min_ns : lo;
		hi = body_end(l) > hi ? body_end(l) : hi;
	}
	if (!isfinite(lo))
		return;
	lo = lo < 1 ? 1 : lo;
	hi = hi < lo * 1.02 ? lo * 1.02 + 2 * quantum : hi;
	g->edge[0] = (uint32_t)(floor(lo / quantum) * quantum);
	for (unsigned i = 1; i <= KBP_HISTOGRAM_BINS; i++) {
		double v = lo * pow(hi / lo, (double)i / KBP_HISTOGRAM_BINS);

		v = ceil(v / quantum) * quantum + (i == KBP_HISTOGRAM_BINS ? 1 : 0);
		if (v < UINT32_MAX && (uint32_t)v > g->edge[g->n_bins])
			g->edge[++g->n_bins] = (uint32_t)v;
	}
}

/* ---------------------------------------------------------------- samples */

static void bins_fill(struct kbp_report_run *run, const struct kbp_report_group *g,
		      const uint32_t *sorted, size_t n)
{
	unsigned b = 0;

	for (size_t i = 0; i < n; i++) {
		while (b < g->n_bins && sorted[i] >= g->edge[b + 1])
			b++;
		if (b == g->n_bins) {
			run->beyond = n - i;
			return;
		}
		run->bin[b]++;
	}
}

/* The figures of results.json must be those of the samples. */
static void compare(struct kbp_report_run *run, uint32_t *sorted, size_t n)
{
	const struct kbp_latency *l = &run->r->latency;
	struct kbp_latency of;

	kbp_latency_of(sorted, n, &of);
	if (of.samples == l->samples && (!kbp_latency_known(l, 500) || of.p50_ns == l->p50_ns) &&
	    (!kbp_latency_known(l, 990) || of.p99_ns == l->p99_ns))
		return;
	snprintf(run->differs, sizeof(run->differs),
		 "the file has %llu samples with P50 %u and P99 %u ns, results.json says %llu, %u and %u",
		 (unsigned long long)of.samples, of.p50_ns, of.p99_ns,
		 (unsigned long long)l->samples, l->p50_ns, l->p99_ns);
}

/* 0, or -ENOMEM; samples that are not there are no error of the page. */
static int samples_gather(struct kbp_report *p, struct kbp_report_run *run)
{
	struct kbp_error err = { 0 };
	uint32_t *ns, *sorted;
	size_t n, n_sorted;
	int rc = kbp_samples_read(p->res, run->r, run->r->samples_file, &ns, &n, &err);

	if (rc) {
		snprintf(run->missing, sizeof(run->missing), "%s: %s", err.step, err.hint);
		return rc == -ENOMEM ? rc : 0;
	}
	run->n_buckets = kbp_buckets_of(ns, n, run->bucket, KBP_SERIES_BUCKETS);
	sorted = kbp_samples_sorted(run->r, ns, false, &n_sorted);
	free(ns);
	if (!sorted)
		return -ENOMEM;
	run->n_samples = n_sorted;
	run->n_levels = kbp_levels_of(sorted, n_sorted, run->level);
	bins_fill(run, &p->group[run->group], sorted, n_sorted);
	compare(run, sorted, n_sorted);
	free(sorted);
	return 0;
}

int kbp_report_gather(struct kbp_report *p, const struct kbp_results *res, struct kbp_error *err)
{
	int rc = 0;

	p->res = res;
	p->n_runs = res->n_runs < KBP_PAGE_RUNS ? res->n_runs : KBP_PAGE_RUNS;
	p->run = calloc(p->n_runs + 1, sizeof(*p->run));
	if (!p->run)
		return kbp_fail(err, -ENOMEM, "make the report", "memory is out");
	for (unsigned i = 0; i < p->n_runs; i++)
		p->run[i].r = &res->run[i];
	groups_make(p);
	for (unsigned i = 0; i < p->n_groups; i++)
		edges_make(p, i);
	for (unsigned i = 0; i < p->n_runs && !rc; i++)
		rc = samples_gather(p, &p->run[i]);
	return rc ? kbp_fail(err, rc, "make the report",
			     "memory is out: a run's samples and as much again are kept at a time") :
		    0;
}

/* ---------------------------------------------------------------- verdicts */

const struct kbp_report_run *kbp_report_find(const struct kbp_report *p, const char *backend,
					     uint64_t rate_pps)
{
	const struct kbp_report_run *named = NULL, *exact = NULL;
	unsigned n_named = 0, n_exact = 0;

	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_report_run *run = &p->run[i];

		if (strcmp(run->r->backend, backend) != 0)
			continue;
		named = run;
		n_named++;
		if (run->r->rate_pps == rate_pps) {
			exact = run;
			n_exact++;
		}
	}
	return n_exact == 1 ? exact : n_named == 1 ? named : NULL;
}

int kbp_verdict_lower(const struct kbp_report *p, const struct kbp_verdict *v)
{
	const struct kbp_report_run *a = kbp_report_find(p, v->a, v->rate_pps),
				    *b = kbp_report_find(p, v->b, v->rate_pps);

	if (!v->measured || !v->resolved || !a || !b || a == b ||
	    kbp_report_class(a->r) != kbp_report_class(b->r))
		return 0;
	/* a difference whose interval holds 0 is none, whatever stands beside it */
	return v->diff_ns < 0 && v->hi_ns < 0 ? -1 : v->diff_ns > 0 && v->lo_ns > 0 ? 1 : 0;
}

const char *kbp_verdict_why(const struct kbp_report *p, const struct kbp_verdict *v)
{
	const struct kbp_report_run *a = kbp_report_find(p, v->a, v->rate_pps),
				    *b = kbp_report_find(p, v->b, v->rate_pps);

	if (!a || !b || a == b)
		return "these runs are not in the results";
	if (kbp_report_class(a->r) != kbp_report_class(b->r))
		return "devices of different classes are not ranked";
	if (v->resolved && !kbp_verdict_lower(p, v))
		return "the figures contradict the verdict: the interval does not lie on one side of 0";
	return v->text[0] ? v->text : v->why;
}
