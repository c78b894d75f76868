/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * method.h - what samples taken in rounds say, and what they do not.
 *
 * The round is the unit: its processes are fresh, and whatever a restart changes, and whatever makes neighbouring
 * samples alike, is in the differences between rounds. So nothing is assumed of the samples within a round.
 *
 *   intervals    of P50 and P99 by order statistics: the quantile's rank is uncertain by how much the share of
 *                samples below it varies from round to round (Woodruff 1952, with Student's t); of the gap from both, with
 *                their correlation by the bootstrap (Zou and Donner 2008)
 *   differences  by the bootstrap clustered by round: whole rounds are drawn with replacement, for both subjects
 *                the same ones where they took turns in the same bench, and the spread of the difference is its
 *                standard error, taken with Student's t of (rounds - 1)
 *   a table      of comparisons is corrected by Holm 1979: all its claims together are wrong 5 % of the time
 *
 * A clock's quantum makes ties. Samples of one value are taken to lie evenly within the quantum around it, so that
 * estimates here are finer than it; the quantiles of struct kbp_latency are those of the samples as they are.
 */
#ifndef KBYPASS_METHOD_H
#define KBYPASS_METHOD_H

#include <kbypass/measure.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_METHOD_ROUNDS_MIN 5u     /* fewer say nothing of how rounds differ */
#define KBP_METHOD_SAMPLES_MIN 1000u /* in all: ten lie beyond P99 */
#define KBP_METHOD_LEVEL 0.05	     /* false claims of a whole table */
#define KBP_METHOD_POWER 0.95	     /* with the samples that are said to be needed */

enum kbp_metric { KBP_METRIC_P50 = 0, KBP_METRIC_P99, KBP_METRIC_GAP, KBP_METRICS };

/* One round's samples, warm-up left out. */
struct kbp_round_samples {
	const uint32_t *ns;
	size_t n;
};

/* Rounds of one subject, made ready for comparing. Opaque. */
struct kbp_method;

/* kbp_method_open - take the rounds of one subject.
 *
 * quantum_ns: of the clock; below 1 it is 1, the samples' own.
 * seed:       of the draws; subjects that are compared as pairs of rounds have the same seed and as many rounds.
 * Returns:  0 and *m, or -errno and *m = NULL.
 * Errors:   -ENODATA fewer than KBP_METHOD_ROUNDS_MIN rounds with samples, or than KBP_METHOD_SAMPLES_MIN samples:
 *           the error says which; -ENOMEM.
 * Owns:     the caller owns *m until kbp_method_close; the samples are copied.
 * Blocks:   for sorting and drawing: 10 ms and more.
 * Threads:  any. */
KBP_API int kbp_method_open(const struct kbp_round_samples *rounds, uint32_t n_rounds,
			    double quantum_ns, uint64_t seed, struct kbp_method **m,
			    struct kbp_error *err);

/* kbp_method_close - forget a subject.
 *
 * Returns:  nothing.
 * Owns:     m is gone.
 * Blocks:   never.
 * Threads:  any. NULL is fine. */
KBP_API void kbp_method_close(struct kbp_method *m);

/* kbp_method_rounds - how many rounds have samples.
 *
 * Returns:  the number.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API uint32_t kbp_method_rounds(const struct kbp_method *m);

/* kbp_method_estimate - a metric in ns, finer than the clock's quantum.
 *
 * Returns:  the estimate.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API double kbp_method_estimate(const struct kbp_method *m, enum kbp_metric metric);

/* kbp_method_intervals - 95 % intervals of P50, P99 and gap.
 *
 * Returns:  nothing; fills *i.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API void kbp_method_intervals(const struct kbp_method *m, struct kbp_result_intervals *i);

/* kbp_method_drift - does a metric move slowly, so that a round is like the one before it?
 *
 * Differences take that into account; intervals of a subject alone do not.
 * Returns:  the autocorrelation of neighbouring rounds, where it is more than chance makes of it; otherwise 0.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API double kbp_method_drift(const struct kbp_method *m, enum kbp_metric metric);

/* A difference a - b and how well it is known. */
struct kbp_difference {
	double ns, lo_ns, hi_ns; /* and its 95 % interval, alone */
	double se_ns;		 /* standard error */
	double df;		 /* degrees of freedom */
	double p; /* of such a difference or a larger one where there is none; two-sided */
};

/* kbp_method_compare - the difference of a metric of two subjects.
 *
 * paired: their rounds took turns in one bench, round i of a beside round i of b. Without, the rounds of each are
 *         taken to vary by themselves.
 * Returns:  0, or -EINVAL: paired, and rounds or seeds differ.
 * Owns:     fills *d.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_method_compare(const struct kbp_method *a, const struct kbp_method *b,
			       enum kbp_metric metric, bool paired, struct kbp_difference *d);

/* kbp_method_rounds_needed - how many rounds like these resolve a difference of target_ns?
 *
 * With a probability of KBP_METHOD_POWER, beside `comparisons` others in the table, in nine of ten cases: a standard
 * error known from few rounds may be larger than it looks.
 * Returns:  rounds, at least KBP_METHOD_ROUNDS_MIN; 0 when a million would not do.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API uint32_t kbp_method_rounds_needed(const struct kbp_difference *d, uint32_t rounds,
					  double target_ns, uint32_t comparisons);

/* kbp_method_resolvable - the smallest difference that so many rounds like these would resolve, by the same measure.
 *
 * Returns:  ns.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API double kbp_method_resolvable(const struct kbp_difference *d, uint32_t rounds,
				     uint32_t comparisons);

/* kbp_method_holm - correct the p-values of a table.
 *
 * Returns:  nothing; p_table[i] is that of p[i], which is a false claim with all others together.
 * Owns:     nothing changes hands; p and p_table may be the same.
 * Blocks:   never.
 * Threads:  any. */
KBP_API void kbp_method_holm(const double *p, uint32_t n, double *p_table);

/* A run's samples, each in the order of its rounds, warm-up included; NULL where there are none. */
struct kbp_run_samples {
	const uint32_t *latency, *tx, *rx_path;
};

/* kbp_results_judge - intervals of all runs, and a verdict for each pair and metric.
 *
 * samples:    of each run of `res`.
 * resolve_ns: `samples_needed` are for this difference; 0: for the one that was found.
 * Returns:  0, or -ENOMEM.
 * Owns:     fills the intervals of res->run and res->verdict, which kbp_results_free frees.
 * Blocks:   for sorting and drawing: up to seconds.
 * Threads:  any. */
KBP_API int kbp_results_judge(struct kbp_results *res, const struct kbp_run_samples *samples,
			      double resolve_ns);

/* ---------------------------------------------------------------- does the method hold? */

/* What a self-test tries. Zero is the default of every member; set `size`. */
struct kbp_self_test_opts {
	size_t size;
	uint32_t trials; /* of each case; 0: 2000 */
	uint64_t seed;	 /* 0: 1 */
};

#define KBP_SELF_TEST_OPTS_INIT KBP_OPTS_INIT(struct kbp_self_test_opts)

/* One thing that has to hold, and how often it did. */
struct kbp_self_test_case {
	char name[40];
	char what[160]; /* for people */
	uint64_t trials, hits;
	double least, most; /* hits of trials, as shares that are accepted */
	bool ok;
};

#define KBP_SELF_TEST_CASES 24u

struct kbp_self_test {
	struct kbp_self_test_case c[KBP_SELF_TEST_CASES];
	uint32_t n;
	bool ok; /* all of them */
};

/* kbp_self_test_run - try the method on made-up samples whose truth is known.
 *
 * Samples are autocorrelated, have tails in bursts, vary from restart to restart and drift, and lie on a grid of 10 ns.
 * With fewer trials than the default the accepted shares are wider, by what chance does to so few.
 * Returns:  0 and *t, or -errno.
 * Errors:   -EINVAL a member of opts; -ENOMEM; -ECANCELED `progress` said so.
 * Owns:     fills *t.
 * Blocks:   about 100 ms a trial, on one CPU.
 * Threads:  any. */
KBP_API int kbp_self_test_run(const struct kbp_self_test_opts *opts, kbp_bench_progress_fn progress,
			      void *arg, struct kbp_self_test *t, struct kbp_error *err);

#ifdef __cplusplus
}
#endif
#endif
