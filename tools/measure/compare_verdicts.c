/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare_verdicts.c - is there a difference between a run of one result and the same run of another? Their rounds
 * were not taken in turn, so whatever drifted between the two is in the difference; the intervals cannot know of it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/compare.h"

/* A host that is noisier in one of two benches moves its tail; and its median, when it is away for long. Noise of less
 * than these shares, or of at most twice the other's, is let pass. */
#define NOISE_OF_TAIL 0.001
#define NOISE_OF_MEDIAN 0.05
#define NOISE_TIMES 2.0

static const char *const metric_name[] = { "p50", "p99", "gap" };

enum { OF_LATENCY, OF_TX, OF_RX_PATH, KINDS };

struct side {
	const struct kbp_results *res;
	const struct kbp_result_run *run;
	struct kbp_method *m;
	struct kbp_error why_not;
};

struct judge {
	struct kbp_comparison *c;
	const struct kbp_results *a, *b;
	struct kbp_difference *d; /* of c->verdict */
	double quantum_ns;
	struct kbp_error *err;
};

static double fact_real(const struct kbp_results *res, const char *name)
{
	const char *v = kbp_results_fact(res, name);

	return v ? strtod(v, NULL) : 0;
}

static const char *file_of(const struct kbp_result_run *r, int kind)
{
	return kind == OF_LATENCY ? r->samples_file :
	       kind == OF_TX	  ? r->tx_file :
				    r->stamps.rx_path_file;
}

/* Both have it: latencies there are always, if only none that can be told. */
static bool has_kind(const struct kbp_result_run *r, int kind)
{
	return kind == OF_LATENCY || (kind == OF_TX ? r->tx.samples : r->stamps.rx_path.samples) > 0;
}

static int side_open(const struct judge *j, struct side *s, int kind)
{
	uint32_t *ns;
	size_t n;
	int rc;

	if (kind == OF_LATENCY && !s->run->latency.samples) {
		kbp_fail(&s->why_not, -ENODATA, "compare the samples", "has no samples");
		return 0;
	}
	rc = kbp_samples_read(s->res, s->run, file_of(s->run, kind), &ns, &n, j->err);
	if (rc)
		return rc;
	rc = kbp_run_method(s->run, ns, kind == OF_RX_PATH, j->quantum_ns, &s->m, &s->why_not);
	free(ns);
	return rc ? kbp_fail(j->err, rc, "compare the samples", "memory is out") : 0;
}

static void forbid(struct kbp_verdict *v, const char *why, const char *text, const char *who)
{
	snprintf(v->why, sizeof(v->why), "%s", why);
	snprintf(v->text, sizeof(v->text), "%s%s%.180s", who, who[0] ? ": " : "", text);
}

/* Before any figure. */
static bool forbidden(const struct side *a, const struct side *b, int kind, struct kbp_verdict *v)
{
	const struct side *side[] = { a, b };
	char both[100];

	if (strcmp(kbp_run_class(a->run), kbp_run_class(b->run)) != 0) {
		snprintf(both, sizeof(both), "%s is not compared with %s", kbp_run_class(a->run),
			 kbp_run_class(b->run));
		forbid(v, "class", both, "");
		return true;
	}
	if (strcmp(a->run->mode, b->run->mode) != 0) {
		snprintf(both, sizeof(both), "mode %s is not compared with %s", a->run->mode,
			 b->run->mode);
		forbid(v, "mode", both, "");
		return true;
	}
	if (kind == OF_RX_PATH && strcmp(a->run->stamps.source, b->run->stamps.source) != 0) {
		forbid(v, "source", "stamps of different sources are of different moments", "");
		return true;
	}
	for (int i = 0; i < 2; i++) {
		const char *why, *text = kbp_run_unfit(side[i]->res, side[i]->run, &why);

		if (!text && !side[i]->m) {
			why = strstr(side[i]->why_not.hint, "rounds") ? "rounds" : "samples";
			text = side[i]->why_not.hint;
		}
		if (text) {
			forbid(v, why, text, i ? "B" : "A");
			return true;
		}
	}
	return false;
}

static void figures(const struct judge *j, const struct side *a, const struct side *b, uint32_t at,
		    enum kbp_metric metric)
{
	struct kbp_verdict *v = &j->c->verdict[at];
	struct kbp_difference *d = &j->d[at];
	double pps = fact_real(a->res, "actual_pps");

	kbp_method_compare(a->m, b->m, metric, false, d);
	v->measured = true;
	v->diff_ns = d->ns;
	v->lo_ns = d->lo_ns;
	v->hi_ns = d->hi_ns;
	v->p = d->p;
	v->work_us_per_s = d->ns * (a->run->rate_pps ? (double)a->run->rate_pps : pps) / 1e3;
	v->rounds_needed = a->run->n_rounds < b->run->n_rounds ? a->run->n_rounds : b->run->n_rounds;
	v->samples_needed = a->run->latency.samples < b->run->latency.samples ?
				    a->run->latency.samples :
				    b->run->latency.samples;
}

static int pair_judge(const struct judge *j, struct side *a, struct side *b, int kind)
{
	int rc = side_open(j, a, kind);

	if (!rc)
		rc = side_open(j, b, kind);
	for (int k = 0; k < KBP_METRICS && !rc; k++) {
		uint32_t at = j->c->n_verdicts++;
		struct kbp_verdict *v = &j->c->verdict[at];

		memcpy(v->a, a->run->backend, sizeof(v->a));
		memcpy(v->b, b->run->backend, sizeof(v->b));
		v->rate_pps = a->run->rate_pps;
		strcpy(v->kind, kind == OF_LATENCY ? a->run->kind :
				kind == OF_TX	   ? "tx" :
						     "rx_path");
		strcpy(v->metric, metric_name[k]);
		if (!forbidden(a, b, kind, v))
			figures(j, a, b, at, (enum kbp_metric)k);
	}
	kbp_method_close(a->m);
	kbp_method_close(b->m);
	a->m = b->m = NULL;
	return rc;
}

/* All figures of the table have a part in each verdict. */
static int correct(struct kbp_comparison *c, uint32_t *n_measured)
{
	double *p = calloc(c->n_verdicts + 1, sizeof(*p));
	uint32_t n = 0;

	if (!p)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_verdicts; i++)
		if (c->verdict[i].measured)
			p[n++] = c->verdict[i].p;
	kbp_method_holm(p, n, p);
	*n_measured = n;
	n = 0;
	for (uint32_t i = 0; i < c->n_verdicts; i++)
		if (c->verdict[i].measured)
			c->verdict[i].p_table = p[n++];
	free(p);
	return 0;
}

static void needs(const struct judge *j, struct kbp_verdict *v, const struct kbp_difference *d,
		  uint32_t comparisons)
{
	uint32_t rounds = v->rounds_needed;
	double each = (double)v->samples_needed / rounds;

	v->resolvable_ns = kbp_method_resolvable(d, rounds, comparisons);
	v->rounds_needed = kbp_method_rounds_needed(d, rounds, fabs(v->diff_ns), comparisons);
	v->samples_needed = (uint64_t)ceil(each * v->rounds_needed);
	if (!strcmp(v->why, "resolved"))
		snprintf(v->text, sizeof(v->text), "%s is lower by %.1f ns (%.1f to %.1f)",
			 v->diff_ns < 0 ? "A" : "B", fabs(v->diff_ns),
			 v->diff_ns < 0 ? -v->hi_ns : v->lo_ns,
			 v->diff_ns < 0 ? -v->lo_ns : v->hi_ns);
	else if (!strcmp(v->why, "quantum"))
		snprintf(v->text, sizeof(v->text),
			 "%.1f ns lie within the clock's quantum of %.1f ns: this clock cannot tell",
			 v->diff_ns, j->quantum_ns);
	else if (!strcmp(v->why, "fingerprint"))
		snprintf(v->text, sizeof(v->text),
			 "between %.1f and %.1f ns, across fingerprints or setups that differ: of two things",
			 v->lo_ns, v->hi_ns);
	else if (!strcmp(v->why, "noise"))
		snprintf(v->text, sizeof(v->text),
			 "between %.1f and %.1f ns, but the host was noisier in one of the two: that may be all",
			 v->lo_ns, v->hi_ns);
	else if (!strcmp(v->why, "table"))
		snprintf(v->text, sizeof(v->text),
			 "alone it would be told apart (%.1f to %.1f ns), among so many comparisons not",
			 v->lo_ns, v->hi_ns);
	else
		snprintf(v->text, sizeof(v->text), "not told apart: between %.1f and %.1f ns",
			 v->lo_ns, v->hi_ns);
}

static double lost_share(const struct kbp_results *r, const char *role)
{
	for (uint32_t i = 0; i < r->n_noise; i++)
		if (!strcmp(r->noise[i].role, role) && r->noise[i].spun_ns)
			return (double)r->noise[i].lost_ns / (double)r->noise[i].spun_ns;
	return 0;
}

/* Would the host itself account for a difference of this metric? */
static bool noise_differs(const struct judge *j, const char *metric)
{
	static const char *const roles[] = { "rx", "tx" };
	const double least = strcmp(metric, "p50") ? NOISE_OF_TAIL : NOISE_OF_MEDIAN;

	for (size_t i = 0; i < KBP_ARRAY_SIZE(roles); i++) {
		double a = lost_share(j->a, roles[i]), b = lost_share(j->b, roles[i]);

		if (fmax(a, b) > least && fmax(a, b) > NOISE_TIMES * fmin(a, b))
			return true;
	}
	return false;
}

static const char *reason(const struct judge *j, const struct kbp_verdict *v)
{
	if (j->c->forced)
		return "fingerprint";
	if (v->p_table >= KBP_METHOD_LEVEL)
		return v->p < KBP_METHOD_LEVEL ? "table" : "overlap";
	if (fabs(v->diff_ns) <= j->quantum_ns)
		return "quantum";
	return noise_differs(j, v->metric) ? "noise" : "resolved";
}

static void conclude(const struct judge *j, uint32_t comparisons)
{
	for (uint32_t i = 0; i < j->c->n_verdicts; i++) {
		struct kbp_verdict *v = &j->c->verdict[i];

		if (!v->measured)
			continue;
		strcpy(v->why, reason(j, v));
		v->resolved = !strcmp(v->why, "resolved");
		j->c->n_resolved += v->resolved;
		needs(j, v, &j->d[i], comparisons);
	}
}

int kbp_comparison_judge(struct kbp_comparison *c, const struct kbp_results *a,
			 const struct kbp_results *b, struct kbp_error *err)
{
	struct judge j = { .c = c, .a = a, .b = b, .err = err };
	const size_t room = (size_t)c->n_runs * KINDS * KBP_METRICS;
	uint32_t comparisons = 0;
	int rc = 0;

	j.quantum_ns = fmax(fact_real(a, "tsc_quantum_ns"), fact_real(b, "tsc_quantum_ns"));
	c->verdict = calloc(room + 1, sizeof(*c->verdict));
	j.d = calloc(room + 1, sizeof(*j.d));
	if (!c->verdict || !j.d) {
		free(j.d);
		return kbp_fail(err, -ENOMEM, "compare results", "memory is out");
	}
	for (uint32_t i = 0; i < c->n_runs && !rc; i++) {
		const struct kbp_result_run *ra = &a->run[c->run[i].a], *rb = &b->run[c->run[i].b];

		for (int kind = 0; kind < KINDS && !rc; kind++) {
			struct side sa = { .res = a, .run = ra }, sb = { .res = b, .run = rb };

			if (has_kind(ra, kind) && has_kind(rb, kind))
				rc = pair_judge(&j, &sa, &sb, kind);
		}
	}
	if (!rc && correct(c, &comparisons))
		rc = kbp_fail(err, -ENOMEM, "compare results", "memory is out");
	if (!rc)
		conclude(&j, comparisons);
	free(j.d);
	return rc;
}
