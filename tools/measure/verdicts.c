/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdicts.c - from the runs of a result to what may be said of them: intervals, and for each pair and metric whether
 * there is a difference, or why nobody can tell.
 *
 * What forbids a comparison is looked for first, and then there is no figure at all. Figures are corrected for all
 * comparisons of the result.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/method.h>

#include "tools/measure/compare.h"

#define SEED 1u
#define NS_PER_US 1000.0

static const char *const metric_name[] = { "p50", "p99", "gap" };

/* A run's samples of one kind. */
enum { OF_LATENCY, OF_TX, OF_RX_PATH, KINDS };

struct judged {
	struct kbp_method *m[KINDS]; /* NULL: why_not says why, or there is nothing of that kind */
	struct kbp_error why_not[KINDS];
};

struct judge {
	struct kbp_results *res;
	struct judged *run;
	double quantum_ns, pps, resolve_ns;
	struct kbp_difference *difference; /* of res->verdict */
	uint32_t room;
};

/* ---------------------------------------------------------------- samples to methods */

static double fact_real(const struct kbp_results *res, const char *name)
{
	const char *v = kbp_results_fact(res, name);

	return v ? strtod(v, NULL) : 0;
}

/* A copy without the places that hold no sample. */
static size_t real_samples(const uint32_t *ns, size_t n, uint32_t *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (ns[i] != KBP_SAMPLE_NONE)
			out[kept++] = ns[i];
	return kept;
}

int kbp_run_method(const struct kbp_result_run *r, const uint32_t *ns, bool gaps, double quantum_ns,
		   struct kbp_method **m, struct kbp_error *err)
{
	struct kbp_round_samples *rounds = calloc(r->n_rounds + 1, sizeof(*rounds));
	uint32_t *copy = NULL;
	size_t used = 0, all = 0;
	int rc = -ENOMEM;

	for (uint32_t i = 0; i < r->n_rounds; i++)
		all += r->round[i].samples;
	if (gaps)
		copy = malloc((all + 1) * sizeof(*copy));
	if (rounds && (copy || !gaps)) {
		for (uint32_t i = 0; i < r->n_rounds; i++) {
			const struct kbp_result_round *d = &r->round[i];

			rounds[i].ns = ns + d->first_sample + d->warmup;
			rounds[i].n = d->samples - d->warmup;
			if (!gaps)
				continue;
			rounds[i].n = real_samples(rounds[i].ns, rounds[i].n, copy + used);
			rounds[i].ns = copy + used;
			used += rounds[i].n;
		}
		rc = kbp_method_open(rounds, r->n_rounds, quantum_ns, SEED, m, err);
	}
	free(copy);
	free(rounds);
	return rc == -ENODATA ? 0 : rc;
}

/* The host's moods outlast rounds, and a short bench sees one of them. */
static void drift_note(struct kbp_results *res, const struct kbp_result_run *r,
		       const struct kbp_method *m)
{
	double drift = kbp_method_drift(m, KBP_METRIC_P50);

	if (drift > 0)
		kbp_finding_add(
			res, true, "drift", r->backend,
			"P50 moves slowly from round to round (correlation of neighbours %.2f): its interval is too "
			"narrow, and another bench may see another P50; spread more rounds over more time (--over)",
			drift);
}

static int run_open(struct judge *j, uint32_t i, const struct kbp_run_samples *s)
{
	struct kbp_result_run *r = &j->res->run[i];
	struct judged *g = &j->run[i];
	int rc = 0;

	if (s->latency)
		rc = kbp_run_method(r, s->latency, false, j->quantum_ns, &g->m[OF_LATENCY],
				    &g->why_not[OF_LATENCY]);
	if (!rc && s->tx && r->tx.samples)
		rc = kbp_run_method(r, s->tx, false, j->quantum_ns, &g->m[OF_TX], &g->why_not[OF_TX]);
	if (!rc && s->rx_path && r->stamps.rx_path.samples)
		rc = kbp_run_method(r, s->rx_path, true, j->quantum_ns, &g->m[OF_RX_PATH],
				    &g->why_not[OF_RX_PATH]);
	if (g->m[OF_LATENCY]) {
		kbp_method_intervals(g->m[OF_LATENCY], &r->interval);
		drift_note(j->res, r, g->m[OF_LATENCY]);
	}
	if (g->m[OF_TX])
		kbp_method_intervals(g->m[OF_TX], &r->tx_interval);
	return rc;
}

/* ---------------------------------------------------------------- what forbids a comparison */

static bool has_finding(const struct kbp_results *res, const char *code, const char *backend)
{
	for (uint32_t i = 0; i < res->n_findings; i++)
		if (!strcmp(res->finding[i].code, code) &&
		    (!res->finding[i].backend[0] || !strcmp(res->finding[i].backend, backend)))
			return true;
	return false;
}

const char *kbp_run_class(const struct kbp_result_run *r)
{
	if (r->emulated)
		return "a software NIC";
	if (!r->virtual_device)
		return "a real device";
	return strcmp(r->mode, "emulated") ? "a virtual device" : "a wire in memory";
}

static void forbid(struct kbp_verdict *v, const char *why, const char *text, const char *who)
{
	snprintf(v->why, sizeof(v->why), "%s", why);
	snprintf(v->text, sizeof(v->text), "%s%s%s", who, who[0] ? " " : "", text);
}

const char *kbp_run_unfit(const struct kbp_results *res, const struct kbp_result_run *r,
			  const char **why)
{
	*why = "loss";
	if (r->delivered < r->sent || r->send_errors)
		return "lost frames, and the longest latencies with them";
	*why = "content";
	if (r->foreign || r->out_of_order || r->ambiguous)
		return "has frames that could not be told apart";
	if (r->latency.saturated)
		return "has samples beyond 4.29 s";
	*why = "mode";
	if (has_finding(res, "mode_changed", r->backend))
		return "changed its mode between rounds";
	*why = "clock";
	if (has_finding(res, "clock_unsteady", r->backend))
		return "was timed by a counter that is not steady";
	return NULL;
}

static bool forbidden(const struct judge *j, uint32_t a, uint32_t b, int kind, struct kbp_verdict *v)
{
	const struct kbp_result_run *r[] = { &j->res->run[a], &j->res->run[b] };
	const struct judged *g[] = { &j->run[a], &j->run[b] };
	const char *why, *text;
	char both[100];

	if (strcmp(kbp_run_class(r[0]), kbp_run_class(r[1])) != 0) {
		snprintf(both, sizeof(both), "%s is not compared with %s", kbp_run_class(r[0]),
			 kbp_run_class(r[1]));
		forbid(v, "class", both, "");
		return true;
	}
	if (kind == OF_RX_PATH && strcmp(r[0]->stamps.source, r[1]->stamps.source) != 0) {
		forbid(v, "source", "stamps of different sources are of different moments", "");
		return true;
	}
	for (int i = 0; i < 2; i++) {
		text = kbp_run_unfit(j->res, r[i], &why);
		if (!text && !g[i]->m[kind]) {
			why = strstr(g[i]->why_not[kind].hint, "rounds") ? "rounds" : "samples";
			text = g[i]->why_not[kind].hint[0] ? g[i]->why_not[kind].hint :
							     "has no samples";
		}
		if (text) {
			forbid(v, why, text, r[i]->backend);
			return true;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- pairs */

static const char *kind_name(const struct kbp_result_run *r, int kind)
{
	return kind == OF_LATENCY ? r->kind : kind == OF_TX ? "tx" : "rx_path";
}

static bool has_kind(const struct kbp_result_run *r, int kind)
{
	return kind == OF_LATENCY || (kind == OF_TX ? r->tx.samples : r->stamps.rx_path.samples) > 0;
}

/* Round i of one beside round i of the other: a round without samples is in neither's list, and then they are not. */
static bool rounds_took_turns(const struct judge *j, uint32_t a, uint32_t b, int kind)
{
	uint32_t n = j->res->run[a].n_rounds;

	return n == j->res->run[b].n_rounds && kbp_method_rounds(j->run[a].m[kind]) == n &&
	       kbp_method_rounds(j->run[b].m[kind]) == n;
}

static struct kbp_verdict *verdict_add(struct judge *j)
{
	struct kbp_results *res = j->res;

	if (res->n_verdicts == j->room) {
		uint32_t room = j->room ? 2 * j->room : 32;
		struct kbp_verdict *v = realloc(res->verdict, room * sizeof(*v));
		struct kbp_difference *d;

		if (!v)
			return NULL;
		res->verdict = v;
		d = realloc(j->difference, room * sizeof(*d));
		if (!d)
			return NULL;
		j->difference = d;
		j->room = room;
	}
	memset(&res->verdict[res->n_verdicts], 0, sizeof(*res->verdict));
	return &res->verdict[res->n_verdicts++];
}

static int pair_compare(struct judge *j, uint32_t a, uint32_t b, int kind)
{
	const struct kbp_result_run *ra = &j->res->run[a], *rb = &j->res->run[b];

	for (int k = 0; k < KBP_METRICS; k++) {
		struct kbp_verdict *v = verdict_add(j);
		struct kbp_difference *d;

		if (!v)
			return -ENOMEM;
		d = &j->difference[j->res->n_verdicts - 1];
		strcpy(v->a, ra->backend);
		strcpy(v->b, rb->backend);
		v->rate_pps = ra->rate_pps;
		strcpy(v->kind, kind_name(ra, kind));
		strcpy(v->metric, metric_name[k]);
		if (forbidden(j, a, b, kind, v))
			continue;
		v->measured = true;
		kbp_method_compare(j->run[a].m[kind], j->run[b].m[kind], (enum kbp_metric)k,
				   rounds_took_turns(j, a, b, kind), d);
		v->diff_ns = d->ns;
		v->lo_ns = d->lo_ns;
		v->hi_ns = d->hi_ns;
		v->p = d->p;
		v->work_us_per_s = d->ns * (ra->rate_pps ? (double)ra->rate_pps : j->pps) / NS_PER_US;
		/* so far; the text follows when all are known */
		v->rounds_needed = ra->n_rounds < rb->n_rounds ? ra->n_rounds : rb->n_rounds;
		v->samples_needed = ra->latency.samples < rb->latency.samples ? ra->latency.samples :
										rb->latency.samples;
	}
	return 0;
}

/* A variant is compared with its base alone; it stands first, so that what it adds is positive. */
static bool are_pair(const struct kbp_result_run *a, const struct kbp_result_run *b)
{
	if (a->rate_pps != b->rate_pps || strcmp(a->kind, b->kind) != 0 || b->variant)
		return false;
	return !a->variant || !strcmp(a->base, b->backend);
}

static int pairs_compare(struct judge *j)
{
	int rc = 0;

	for (uint32_t i = 0; i < j->res->n_runs; i++) {
		for (uint32_t k = 0; k < j->res->n_runs && !rc; k++) {
			const struct kbp_result_run *a = &j->res->run[i], *b = &j->res->run[k];

			if (i == k || !are_pair(a, b) || (!a->variant && k < i))
				continue;
			for (int kind = 0; kind < KINDS && !rc; kind++)
				if (has_kind(a, kind) && has_kind(b, kind))
					rc = pair_compare(j, i, k, kind);
		}
	}
	return rc;
}

/* ---------------------------------------------------------------- verdicts */

static int correct(struct judge *j, uint32_t *n_measured)
{
	struct kbp_results *res = j->res;
	double *p = calloc(res->n_verdicts + 1, sizeof(*p));
	uint32_t n = 0;

	if (!p)
		return -ENOMEM;
	for (uint32_t i = 0; i < res->n_verdicts; i++)
		if (res->verdict[i].measured)
			p[n++] = res->verdict[i].p;
	kbp_method_holm(p, n, p);
	*n_measured = n;
	n = 0;
	for (uint32_t i = 0; i < res->n_verdicts; i++)
		if (res->verdict[i].measured)
			res->verdict[i].p_table = p[n++];
	free(p);
	return 0;
}

static void needs(const struct judge *j, struct kbp_verdict *v, const struct kbp_difference *d,
		  uint32_t comparisons)
{
	uint32_t rounds = v->rounds_needed;
	double each = (double)v->samples_needed / rounds,
	       target = j->resolve_ns > 0 ? j->resolve_ns : fabs(v->diff_ns);

	v->resolvable_ns = kbp_method_resolvable(d, rounds, comparisons);
	v->rounds_needed = kbp_method_rounds_needed(d, rounds, target, comparisons);
	v->samples_needed = (uint64_t)ceil(each * v->rounds_needed);
}

static void say(const struct judge *j, struct kbp_verdict *v)
{
	bool less = v->diff_ns < 0;
	const char *low = less ? v->a : v->b, *high = less ? v->b : v->a;
	char more[100] = "";

	if (v->rounds_needed && !v->resolved)
		snprintf(more, sizeof(more),
			 "; %llu samples of each, in %u rounds, would resolve %.0f ns",
			 (unsigned long long)v->samples_needed, v->rounds_needed,
			 j->resolve_ns > 0 ? j->resolve_ns : fabs(v->diff_ns));
	if (v->resolved)
		snprintf(v->text, sizeof(v->text), "%s is lower than %s by %.1f ns (%.1f to %.1f)",
			 low, high, fabs(v->diff_ns), less ? -v->hi_ns : v->lo_ns,
			 less ? -v->lo_ns : v->hi_ns);
	else if (!strcmp(v->why, "quantum"))
		snprintf(v->text, sizeof(v->text),
			 "%.1f ns lie within the clock's quantum of %.1f ns: this clock cannot tell",
			 v->diff_ns, j->quantum_ns);
	else if (!strcmp(v->why, "table"))
		snprintf(v->text, sizeof(v->text),
			 "alone it would be told apart (%.1f to %.1f ns), among so many comparisons not%s",
			 v->lo_ns, v->hi_ns, more);
	else
		snprintf(v->text, sizeof(v->text), "not told apart: between %.1f and %.1f ns%s",
			 v->lo_ns, v->hi_ns, more);
}

static void conclude(struct judge *j, uint32_t comparisons)
{
	for (uint32_t i = 0; i < j->res->n_verdicts; i++) {
		struct kbp_verdict *v = &j->res->verdict[i];
		bool differs = v->p_table < KBP_METHOD_LEVEL;

		if (!v->measured)
			continue;
		v->resolved = differs && fabs(v->diff_ns) > j->quantum_ns;
		strcpy(v->why, v->resolved	       ? "resolved" :
			       differs		       ? "quantum" :
			       v->p < KBP_METHOD_LEVEL ? "table" :
							 "overlap");
		needs(j, v, &j->difference[i], comparisons);
		say(j, v);
	}
}

int kbp_results_judge(struct kbp_results *res, const struct kbp_run_samples *samples,
		      double resolve_ns)
{
	struct judge j = { .res = res,
			   .quantum_ns = fact_real(res, "tsc_quantum_ns"),
			   .pps = fact_real(res, "actual_pps"),
			   .resolve_ns = resolve_ns };
	uint32_t comparisons = 0;
	int rc = 0;

	free(res->verdict);
	res->verdict = NULL;
	res->n_verdicts = 0;
	j.run = calloc(res->n_runs + 1, sizeof(*j.run));
	if (!j.run)
		return -ENOMEM;
	for (uint32_t i = 0; i < res->n_runs && !rc; i++)
		rc = run_open(&j, i, &samples[i]);
	if (!rc)
		rc = pairs_compare(&j);
	if (!rc)
		rc = correct(&j, &comparisons);
	if (!rc)
		conclude(&j, comparisons);
	for (uint32_t i = 0; i < res->n_runs; i++)
		for (int kind = 0; kind < KINDS; kind++)
			kbp_method_close(j.run[i].m[kind]);
	free(j.run);
	free(j.difference);
	return rc;
}
