/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * self_test.c - does the method hold what it says? Made-up samples go through kbp_results_judge, the way that a bench's
 * own do, and what comes out is held against the truth.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/method.h>

#include "lib/internal.h"
#include "tools/measure/made_up.h"
#include "tools/measure/parts.h"

#define TRIALS 2000u
#define TRIALS_MAX 1000000u
#define ROUNDS 10u
#define SAMPLES 2000u /* of a round */
#define SUBJECTS 3u
#define ROUNDS_MAX 2000u
#define TRUTH_ROUNDS 100000u
#define TRUTH_SAMPLES 200u
#define QUANTUM_NS 10.0
#define CHANCE 3.3 /* deviations: so far a right method strays once in a thousand */

/* A quiet host, whose tail is a body's; and a noisy one, whose P99 lies in the bursts. */
static const struct kbp_made_up quiet = { .base_ns = 1000,
					  .body_ns = 60,
					  .body_log = 0.5,
					  .alike = 0.9,
					  .restart_ns = 15,
					  .drift_ns = 30,
					  .burst_p = 0.0005,
					  .burst_stay = 0.8,
					  .burst_ns = 1500,
					  .burst_log = 0.25,
					  .quantum_ns = QUANTUM_NS };
static const struct kbp_made_up noisy = { .base_ns = 1000,
					  .body_ns = 60,
					  .body_log = 0.5,
					  .alike = 0.9,
					  .restart_ns = 15,
					  .drift_ns = 30,
					  .burst_p = 0.004,
					  .burst_stay = 0.8,
					  .burst_ns = 1500,
					  .burst_log = 0.25,
					  .quantum_ns = QUANTUM_NS };

struct trial {
	struct kbp_self_test *t;
	struct kbp_self_test_opts o;
	struct kbp_chance chance;
	kbp_bench_progress_fn progress;
	void *progress_arg;
	struct kbp_results *res; /* SUBJECTS runs */
	struct kbp_run_samples samples[SUBJECTS];
	uint32_t *ns[SUBJECTS];
	size_t room;
};

/* ---------------------------------------------------------------- results of made-up samples */

static void results_free(struct trial *x)
{
	kbp_results_free(x->res);
	for (uint32_t i = 0; i < SUBJECTS; i++)
		free(x->ns[i]);
}

static int results_make(struct trial *x)
{
	x->res = calloc(1, sizeof(*x->res));
	if (!x->res)
		return -ENOMEM;
	x->res->run = calloc(SUBJECTS, sizeof(*x->res->run));
	if (!x->res->run)
		return -ENOMEM;
	x->res->n_runs = SUBJECTS;
	for (uint32_t i = 0; i < SUBJECTS; i++) {
		struct kbp_result_run *r = &x->res->run[i];

		snprintf(r->backend, sizeof(r->backend), "%c", 'a' + (int)i);
		strcpy(r->base, r->backend);
		strcpy(r->kind, "one_way");
		r->round = calloc(ROUNDS_MAX, sizeof(*r->round));
		if (!r->round)
			return -ENOMEM;
	}
	return 0;
}

static int room_for(struct trial *x, size_t n)
{
	for (uint32_t i = 0; i < SUBJECTS && n > x->room; i++) {
		uint32_t *p = realloc(x->ns[i], n * sizeof(*p));

		if (!p)
			return -ENOMEM;
		x->ns[i] = p;
		x->samples[i].latency = p;
	}
	x->room = n > x->room ? n : x->room;
	return 0;
}

/* A table of `subjects`, each by its own model, whose rounds took turns. */
static int table_make(struct trial *x, const struct kbp_made_up *const *model, uint32_t subjects,
		      uint32_t rounds, double resolve_ns)
{
	int rc = room_for(x, (size_t)rounds * SAMPLES);

	if (rc)
		return rc;
	x->res->n_runs = subjects;
	for (uint32_t r = 0; r < rounds; r++) {
		double drift = model[0]->drift_ns * kbp_chance_normal(&x->chance);

		for (uint32_t i = 0; i < subjects; i++) {
			struct kbp_result_round *d = &x->res->run[i].round[r];

			kbp_made_up_round(&x->chance, model[i], drift,
					  x->ns[i] + (size_t)r * SAMPLES, SAMPLES);
			d->first_sample = (uint64_t)r * SAMPLES;
			d->samples = d->sent = d->delivered = SAMPLES;
		}
	}
	for (uint32_t i = 0; i < subjects; i++) {
		struct kbp_result_run *run = &x->res->run[i];

		run->n_rounds = rounds;
		run->sent = run->delivered = run->latency.samples = (uint64_t)rounds * SAMPLES;
	}
	free(x->res->setup);
	x->res->setup = NULL;
	x->res->n_setup = 0;
	kbp_fact_literal(&x->res->setup, &x->res->n_setup, "tsc_quantum_ns", "%.3f",
			 model[0]->quantum_ns);
	return kbp_results_judge(x->res, x->samples, resolve_ns);
}

static const struct kbp_verdict *verdict_of(const struct kbp_results *res, const char *metric)
{
	for (uint32_t i = 0; i < res->n_verdicts; i++)
		if (!strcmp(res->verdict[i].metric, metric))
			return &res->verdict[i];
	return NULL;
}

/* ---------------------------------------------------------------- cases */

static struct kbp_self_test_case *case_add(struct trial *x, const char *name, const char *what,
					   double expected, double least, double most)
{
	struct kbp_self_test_case *c = &x->t->c[x->t->n++];
	double stray =
		x->o.trials < TRIALS ? CHANCE * sqrt(expected * (1 - expected) / x->o.trials) : 0;

	memset(c, 0, sizeof(*c));
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->what, sizeof(c->what), "%s", what);
	c->least = fmax(0, fmin(least, expected - stray));
	c->most = fmin(1, fmax(most, expected + stray));
	return c;
}

static void case_count(struct kbp_self_test_case *c, bool hit)
{
	c->trials++;
	c->hits += hit;
}

static int tell(struct trial *x, const char *doing, uint64_t done, struct kbp_error *err)
{
	struct kbp_bench_progress p = { .backend = "",
					.doing = doing,
					.sent = done,
					.total = x->o.trials };

	if (!x->progress || x->progress(&p, x->progress_arg))
		return 0;
	return kbp_fail(err, -ECANCELED, "self-test", "stopped on request");
}

static int out_of_memory(struct kbp_error *err)
{
	return kbp_fail(err, -ENOMEM, "self-test", "memory is out");
}

/* P50, P99 and gap of all rounds that there could be. */
static int truth_of(struct trial *x, const struct kbp_made_up *model, double truth[KBP_METRICS])
{
	struct kbp_made_up fine = *model;
	size_t n = (size_t)TRUTH_ROUNDS * TRUTH_SAMPLES;
	uint32_t *ns = malloc(n * sizeof(*ns)); /* 80 MB, for a moment */
	struct kbp_latency l;

	if (!ns)
		return -ENOMEM;
	fine.quantum_ns = 1;
	for (uint32_t r = 0; r < TRUTH_ROUNDS; r++)
		kbp_made_up_round(&x->chance, &fine, fine.drift_ns * kbp_chance_normal(&x->chance),
				  ns + (size_t)r * TRUTH_SAMPLES, TRUTH_SAMPLES);
	kbp_latency_of(ns, n, &l);
	free(ns);
	truth[KBP_METRIC_P50] = l.p50_ns;
	truth[KBP_METRIC_P99] = l.p99_ns;
	truth[KBP_METRIC_GAP] = l.gap_ns;
	return 0;
}

static bool covers(double lo, double hi, double truth)
{
	return lo <= truth && truth <= hi;
}

/* Nothing differs: a claim is false. And the truth lies in 95 of 100 intervals. */
static int nothing_differs(struct trial *x, const struct kbp_made_up *model, const char *host,
			   struct kbp_error *err)
{
	const struct kbp_made_up *models[] = { model, model, model };
	struct kbp_self_test_case *table, *cover[KBP_METRICS], *diff[KBP_METRICS];
	static const char *const metric[] = { "p50", "p99", "gap" };
	double truth[KBP_METRICS] = { 0 };
	char name[40], what[160];
	int rc = truth_of(x, model, truth);

	snprintf(name, sizeof(name), "aa_table_%s", host);
	snprintf(what, sizeof(what),
		 "%s host, three alike: tables of 9 comparisons with any false claim", host);
	table = case_add(x, name, what, 0.05, 0, 0.065);
	for (int k = 0; k < KBP_METRICS; k++) {
		snprintf(name, sizeof(name), "cover_%s_%s", metric[k], host);
		snprintf(what, sizeof(what),
			 "%s host: 95 %% intervals of %s with the truth in them", host, metric[k]);
		cover[k] = case_add(x, name, what, 0.95, 0.93, 0.97);
	}
	for (int k = 0; k < KBP_METRICS; k++) {
		snprintf(name, sizeof(name), "cover_diff_%s_%s", metric[k], host);
		snprintf(what, sizeof(what),
			 "%s host: 95 %% intervals of differences of %s with 0 in them", host,
			 metric[k]);
		diff[k] = case_add(x, name, what, 0.95, 0.93, 0.97);
	}
	for (uint32_t i = 0; i < x->o.trials && !rc; i++) {
		const struct kbp_result_intervals *v = &x->res->run[0].interval;
		bool claim = false;

		if (tell(x, "nothing differs", i, err))
			return -ECANCELED;
		rc = table_make(x, models, SUBJECTS, ROUNDS, 0);
		if (rc)
			break;
		for (uint32_t k = 0; k < x->res->n_verdicts; k++)
			claim = claim || x->res->verdict[k].resolved;
		case_count(table, claim);
		case_count(cover[0], covers(v->p50.lo, v->p50.hi, truth[0]));
		case_count(cover[1], covers(v->p99.lo, v->p99.hi, truth[1]));
		case_count(cover[2], covers(v->gap.lo, v->gap.hi, truth[2]));
		for (int k = 0; k < KBP_METRICS; k++) {
			const struct kbp_verdict *d = verdict_of(x->res, metric[k]);

			case_count(diff[k], covers(d->lo_ns, d->hi_ns, 0));
		}
	}
	return rc ? out_of_memory(err) : 0;
}

/* First a look with a few rounds, which says how many are needed; then so many. */
static int planted(struct trial *x, const char *name, const char *what, const char *metric,
		   struct kbp_made_up with, double target_ns, struct kbp_error *err)
{
	const struct kbp_made_up *models[] = { &with, &quiet };
	struct kbp_self_test_case *found =
		case_add(x, name, what, KBP_METHOD_POWER, KBP_METHOD_POWER, 1);
	int rc = 0;

	for (uint32_t i = 0; i < x->o.trials && !rc; i++) {
		const struct kbp_verdict *v;

		if (tell(x, name, i, err))
			return -ECANCELED;
		rc = table_make(x, models, 2, ROUNDS, target_ns);
		v = rc ? NULL : verdict_of(x->res, metric);
		if (v && v->rounds_needed && v->rounds_needed <= ROUNDS_MAX) {
			uint32_t rounds = v->rounds_needed > ROUNDS ? v->rounds_needed : ROUNDS;

			rc = table_make(x, models, 2, rounds, target_ns);
			v = rc ? NULL : verdict_of(x->res, metric);
			case_count(found, v && v->resolved && v->diff_ns > 0);
		} else {
			case_count(found, false);
		}
	}
	return rc ? out_of_memory(err) : 0;
}

/* What must not be compared is not. */
static int refused(struct trial *x, struct kbp_error *err)
{
	struct kbp_made_up coarse = quiet, later = quiet, more;
	const struct kbp_made_up *models[] = { &later, &quiet },
				 *coarse_models[] = { &more, &coarse };
	uint32_t trials = x->o.trials < 20 ? x->o.trials : 20;
	struct kbp_self_test_case *loss = case_add(x, "refuse_loss", "a frame was lost: no figure",
						   1, 1, 1),
				  *clock = case_add(x, "refuse_coarse",
						    "18 ns planted, a clock of 25 ns: no claim", 1,
						    1, 1);
	int rc = 0;

	later.shift_ns = 1000;
	coarse.quantum_ns = 25;
	more = coarse;
	more.shift_ns = 18;
	for (uint32_t i = 0; i < trials && !rc; i++) {
		bool claim = false;

		if (tell(x, "refusing", i, err))
			return -ECANCELED;
		rc = table_make(x, models, 2, ROUNDS, 0);
		if (rc)
			break;
		x->res->run[0].delivered--;
		rc = kbp_results_judge(x->res, x->samples, 0);
		x->res->run[0].delivered++;
		for (uint32_t k = 0; k < x->res->n_verdicts; k++)
			claim = claim || x->res->verdict[k].measured ||
				strcmp(x->res->verdict[k].why, "loss") != 0;
		case_count(loss, !rc && !claim);
		if (!rc)
			rc = table_make(x, coarse_models, 2, 100, 0);
		case_count(clock, !rc && !verdict_of(x->res, "p50")->resolved);
	}
	return rc ? out_of_memory(err) : 0;
}

/* Results of two hosts, and of one: the first are refused, the others only for having no samples on disk. */
static bool hosts_refused(const struct trial *x, const char *kernel_b, int expected)
{
	struct kbp_results a = *x->res, b = *x->res;
	struct kbp_comparison *c;
	struct kbp_error e;
	int rc;

	a.fingerprint = b.fingerprint = NULL;
	a.n_fingerprint = b.n_fingerprint = 0;
	kbp_fact_text(&a.fingerprint, &a.n_fingerprint, "kernel", "Linux 6.1.0");
	kbp_fact_text(&b.fingerprint, &b.n_fingerprint, "kernel", "%s", kernel_b);
	rc = kbp_results_compare(&a, &b, 0, &c, &e);
	kbp_comparison_free(c);
	free(a.fingerprint);
	free(b.fingerprint);
	return rc == expected;
}

static void fingerprints(struct trial *x)
{
	struct kbp_self_test_case *c =
		case_add(x, "refuse_fingerprint",
			 "results of two kernels: refused; of one: not for that", 1, 1, 1);

	case_count(c, hosts_refused(x, "Linux 6.12.0", -EXDEV));
	case_count(c, hosts_refused(x, "Linux 6.1.0", -ENOENT));
}

static int cases(struct trial *x, struct kbp_error *err)
{
	struct kbp_made_up shift = quiet, tail = quiet, far = quiet;
	int rc = nothing_differs(x, &quiet, "quiet", err);

	shift.shift_ns = 18;
	tail.tail_ns = 56;
	far.shift_ns = 1000;
	if (!rc)
		rc = nothing_differs(x, &noisy, "noisy", err);
	if (!rc)
		rc = planted(
			x, "found_18ns",
			"18 ns planted: found, with its sign, after the samples that are said to be needed",
			"p50", shift, 18, err);
	if (!rc)
		rc = planted(x, "found_tail_56ns",
			     "56 ns planted in the tail: found in P99 - P50 likewise", "gap", tail,
			     56, err);
	if (!rc)
		rc = planted(x, "found_1us", "1 us planted: found likewise", "p50", far, 1000, err);
	if (!rc)
		rc = refused(x, err);
	if (!rc)
		fingerprints(x);
	return rc;
}

int kbp_self_test_run(const struct kbp_self_test_opts *opts, kbp_bench_progress_fn progress,
		      void *arg, struct kbp_self_test *t, struct kbp_error *err)
{
	struct trial x = { .t = t, .progress = progress, .progress_arg = arg };
	int rc;

	memset(t, 0, sizeof(*t));
	if (opts->size < sizeof(size_t) || opts->size > sizeof(*opts))
		return kbp_fail(err, -EINVAL, "read the options",
				"opts.size is %zu: begin with KBP_SELF_TEST_OPTS_INIT", opts->size);
	memcpy(&x.o, opts, opts->size);
	if (x.o.trials > TRIALS_MAX)
		return kbp_fail(err, -EINVAL, "read the options", "%u trials: at most %u",
				x.o.trials, TRIALS_MAX);
	x.o.trials = x.o.trials ? x.o.trials : TRIALS;
	kbp_chance_seed(&x.chance, x.o.seed ? x.o.seed : 1);
	rc = results_make(&x) ? out_of_memory(err) : cases(&x, err);
	if (x.res)
		x.res->n_runs = SUBJECTS;
	results_free(&x);
	t->ok = !rc;
	for (uint32_t i = 0; i < t->n; i++) {
		struct kbp_self_test_case *c = &t->c[i];
		double share = c->trials ? (double)c->hits / (double)c->trials : -1;

		c->ok = share >= c->least - 1e-9 && share <= c->most + 1e-9;
		t->ok = t->ok && c->ok;
	}
	return rc;
}
