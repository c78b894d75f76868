/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * method.c - intervals and differences of quantiles, with the round as the unit. method.h says which and why.
 *
 * Everything rests on the quantile of rounds with weights: each round's samples are sorted once, a round drawn k times
 * counts k times, and the quantile is found by bisection between the rounds' own quantiles.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/method.h>

#include "lib/internal.h"
#include "tools/measure/chance.h"
#include "tools/measure/student.h"

#define DRAWS 1000u
#define INFLATE_P \
	0.1 /* one standard error in ten is larger than it looks by more than is allowed for */
#define ROUNDS_NEEDED_MAX 1000000u
#define COUNTS_MAX (1u << 22)
#define LIMIT_STEPS 24
#define ALIKE_MAX 0.9
#define DEGENERATE 0.01 /* of a quantum: the least standard error */

struct sorted {
	uint32_t *ns;
	size_t n;
};

/* Where a quantile of whatever rounds are drawn can lie, for each value how many samples of each round are below it:
 * drawing looks a thousand times. */
struct counts {
	uint32_t from, n; /* values */
	uint32_t *below; /* n times as many as there are rounds; NULL: the range is too wide to be kept */
};

struct kbp_method {
	struct sorted *round;
	uint32_t n_rounds;
	size_t n;
	double half; /* of the quantum, ns */
	uint64_t seed;
	uint32_t *weight;	 /* room for one draw */
	struct counts counts[2]; /* of P50 and P99 */
	double estimate[KBP_METRICS];
	double *draw[KBP_METRICS]; /* DRAWS of each */
};

static const double metric_q[] = { 0.5, 0.99 };

/* ---------------------------------------------------------------- quantiles */

static int compare_u32(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Samples below `value`. */
static size_t below(const struct sorted *s, double value)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->ns[mid] < value)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint32_t weight_of(const uint32_t *weight, uint32_t round)
{
	return weight ? weight[round] : 1;
}

/* Samples below `value` of all rounds by their weights. */
static double below_all(const struct kbp_method *m, const struct counts *c, const uint32_t *weight,
			double value)
{
	double sum = 0;

	if (c && c->below) {
		const uint32_t *at =
			c->below + (size_t)((uint32_t)ceil(value) - c->from) * m->n_rounds;

		for (uint32_t r = 0; r < m->n_rounds; r++)
			sum += (double)weight_of(weight, r) * at[r];
		return sum;
	}
	for (uint32_t r = 0; r < m->n_rounds; r++)
		if (weight_of(weight, r))
			sum += weight_of(weight, r) * (double)below(&m->round[r], value);
	return sum;
}

static uint32_t quantile_of(const struct sorted *s, double q)
{
	size_t rank = (size_t)ceil(q * (double)s->n);

	return s->ns[rank ? rank - 1 : 0];
}

/* A quantile of all is never outside of those of its parts. */
static void bracket(const struct kbp_method *m, const uint32_t *weight, double q, uint32_t *lo,
		    uint32_t *hi)
{
	*lo = UINT32_MAX;
	*hi = 0;
	for (uint32_t r = 0; r < m->n_rounds; r++) {
		uint32_t v = quantile_of(&m->round[r], q);

		if (!weight_of(weight, r))
			continue;
		*lo = v < *lo ? v : *lo;
		*hi = v > *hi ? v : *hi;
	}
}

/* The smallest value that `rank` samples do not exceed. */
static uint32_t value_of(const struct kbp_method *m, const struct counts *c, const uint32_t *weight,
			 double q, double rank)
{
	uint32_t lo, hi;

	bracket(m, weight, q, &lo, &hi);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (below_all(m, c, weight, mid + 0.5) >= rank)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* The samples of one quantum, around the quantile's value, are taken to lie in it evenly. */
static double quantile(const struct kbp_method *m, const struct counts *c, const uint32_t *weight,
		       double q)
{
	double all = 0, rank, from, below_it, inside;
	uint32_t value;

	for (uint32_t r = 0; r < m->n_rounds; r++)
		all += weight_of(weight, r) * (double)m->round[r].n;
	rank = q * all;
	value = value_of(m, c, weight, q, rank);
	from = value > m->half ? value - m->half : 0;
	below_it = below_all(m, c, weight, from);
	inside = below_all(m, c, weight, value + m->half) - below_it;
	return from + (value + m->half - from) * (rank - below_it) / inside;
}

/* Once for all draws. Without memory, or for a wide range, each looks for itself. */
static void counts_make(struct kbp_method *m, struct counts *c, double q)
{
	uint32_t lo, hi, margin = (uint32_t)m->half + 2;
	uint64_t width;

	bracket(m, NULL, q, &lo, &hi);
	if (!m->n_rounds || hi > UINT32_MAX - margin)
		return;
	lo = lo > margin ? lo - margin : 0;
	width = (uint64_t)hi + margin - lo + 1;
	if (width * m->n_rounds > COUNTS_MAX)
		return;
	c->from = lo;
	c->n = (uint32_t)width;
	c->below = malloc(width * m->n_rounds * sizeof(*c->below));
	for (uint32_t r = 0; c->below && r < m->n_rounds; r++) {
		const struct sorted *s = &m->round[r];
		size_t k = below(s, lo);

		for (uint32_t i = 0; i < c->n; i++) {
			while (k < s->n && s->ns[k] < lo + i)
				k++;
			c->below[(size_t)i * m->n_rounds + r] = (uint32_t)k;
		}
	}
}

/* Share of a round's samples below `at`, the quantum around `value` being filled evenly. */
static double share_below(const struct kbp_method *m, uint32_t round, double value, double at)
{
	const struct sorted *s = &m->round[round];
	double from = (double)below(s, value - m->half), to = (double)below(s, value + m->half);

	return (from + (to - from) * (at - value + m->half) / (2 * m->half)) / (double)s->n;
}

/* ---------------------------------------------------------------- open */

static int take(struct kbp_method *m, const struct kbp_round_samples *rounds, uint32_t n_rounds)
{
	for (uint32_t r = 0; r < n_rounds; r++) {
		struct sorted *s = &m->round[m->n_rounds];

		if (!rounds[r].n)
			continue;
		s->ns = malloc(rounds[r].n * sizeof(*s->ns));
		if (!s->ns)
			return -ENOMEM;
		memcpy(s->ns, rounds[r].ns, rounds[r].n * sizeof(*s->ns));
		s->n = rounds[r].n;
		qsort(s->ns, s->n, sizeof(*s->ns), compare_u32);
		m->n += s->n;
		m->n_rounds++;
	}
	return 0;
}

static void metrics(const struct kbp_method *m, const uint32_t *weight, double out[KBP_METRICS])
{
	for (int k = 0; k < 2; k++)
		out[k] = quantile(m, &m->counts[k], weight, metric_q[k]);
	out[KBP_METRIC_GAP] = out[KBP_METRIC_P99] - out[KBP_METRIC_P50];
}

/* Whole rounds with replacement. Which ones depends on the seed and their number alone, so that two subjects draw the
 * same. */
static void draw_all(struct kbp_method *m)
{
	struct kbp_chance chance;

	kbp_chance_seed(&chance, m->seed);
	for (uint32_t d = 0; d < DRAWS; d++) {
		double got[KBP_METRICS];

		memset(m->weight, 0, m->n_rounds * sizeof(*m->weight));
		for (uint32_t r = 0; r < m->n_rounds; r++)
			m->weight[kbp_chance_below(&chance, m->n_rounds)]++;
		metrics(m, m->weight, got);
		for (int k = 0; k < KBP_METRICS; k++)
			m->draw[k][d] = got[k];
	}
}

static int enough(const struct kbp_round_samples *rounds, uint32_t n_rounds, struct kbp_error *err)
{
	uint32_t with = 0;
	size_t n = 0;

	for (uint32_t r = 0; r < n_rounds; r++) {
		with += rounds[r].n > 0;
		n += rounds[r].n;
	}
	if (with < KBP_METHOD_ROUNDS_MIN)
		return kbp_fail(err, -ENODATA, "take the rounds",
				"%u rounds with samples: how rounds differ takes %u at least", with,
				KBP_METHOD_ROUNDS_MIN);
	if (n < KBP_METHOD_SAMPLES_MIN)
		return kbp_fail(err, -ENODATA, "take the rounds",
				"%zu samples: P99 takes %u at least", n, KBP_METHOD_SAMPLES_MIN);
	return 0;
}

int kbp_method_open(const struct kbp_round_samples *rounds, uint32_t n_rounds, double quantum_ns,
		    uint64_t seed, struct kbp_method **out, struct kbp_error *err)
{
	struct kbp_method *m;
	int rc = enough(rounds, n_rounds, err);

	*out = NULL;
	if (rc)
		return rc;
	m = calloc(1, sizeof(*m));
	if (!m)
		return kbp_fail(err, -ENOMEM, "take the rounds", "memory is out");
	m->half = (quantum_ns > 1 ? quantum_ns : 1) / 2;
	m->seed = seed;
	m->round = calloc(n_rounds, sizeof(*m->round));
	m->weight = calloc(n_rounds, sizeof(*m->weight));
	for (int k = 0; k < KBP_METRICS; k++)
		m->draw[k] = calloc(DRAWS, sizeof(*m->draw[k]));
	if (!m->round || !m->weight || !m->draw[0] || !m->draw[1] || !m->draw[2] ||
	    take(m, rounds, n_rounds)) {
		kbp_method_close(m);
		return kbp_fail(err, -ENOMEM, "take the rounds", "memory is out");
	}
	for (int k = 0; k < 2; k++)
		counts_make(m, &m->counts[k], metric_q[k]);
	metrics(m, NULL, m->estimate);
	draw_all(m);
	*out = m;
	return 0;
}

void kbp_method_close(struct kbp_method *m)
{
	if (!m)
		return;
	for (uint32_t r = 0; m->round && r < m->n_rounds; r++)
		free(m->round[r].ns);
	for (int k = 0; k < KBP_METRICS; k++)
		free(m->draw[k]);
	for (int k = 0; k < 2; k++)
		free(m->counts[k].below);
	free(m->round);
	free(m->weight);
	free(m);
}

uint32_t kbp_method_rounds(const struct kbp_method *m)
{
	return m->n_rounds;
}

double kbp_method_estimate(const struct kbp_method *m, enum kbp_metric metric)
{
	return m->estimate[metric];
}

/* ---------------------------------------------------------------- intervals */

/* The spread of what draws give is too small by one round in all of them. */
static double by_rounds(const struct kbp_method *m, double variance)
{
	return variance * m->n_rounds / (m->n_rounds - 1);
}

static double covariance(const double *a, const double *b)
{
	double mean_a = 0, mean_b = 0, sum = 0;

	for (uint32_t d = 0; d < DRAWS; d++) {
		mean_a += a[d] / DRAWS;
		mean_b += b[d] / DRAWS;
	}
	for (uint32_t d = 0; d < DRAWS; d++)
		sum += (a[d] - mean_a) * (b[d] - mean_b);
	return sum / (DRAWS - 1);
}

/* Variance of the share of samples below the quantile of `q`, by how it differs from round to round. */
static double share_variance(const struct kbp_method *m, double q)
{
	double value = value_of(m, NULL, NULL, q, q * (double)m->n),
	       at = quantile(m, NULL, NULL, q), sum = 0;

	for (uint32_t r = 0; r < m->n_rounds; r++) {
		double d = (share_below(m, r, value, at) - q) * (double)m->round[r].n / (double)m->n;

		sum += d * d;
	}
	return by_rounds(m, sum);
}

/* Woodruff: how far the share below the quantile may be off, and the quantile at that limit. Where rounds differ, the
 * share varies more at one limit than at the quantile itself, which Woodruff leaves out (93 % are covered) and a score
 * test takes in whole (97 %): a third of the way is what covers 95 % on the self-test's hosts. Nowhere is it less than
 * the quantile's own. */
static double limit(const struct kbp_method *m, double q, double side)
{
	double t = kbp_student_critical(0.05, m->n_rounds - 1), own = share_variance(m, q);
	double near = 0, far = side < 0 ? q : 1 - q;

	for (int i = 0; i < LIMIT_STEPS; i++) {
		double off = (near + far) / 2,
		       variance = own + (share_variance(m, q + side * off) - own) / 3;

		if (off * off < t * t * (variance > own ? variance : own))
			near = off;
		else
			far = off;
	}
	return quantile(m, NULL, NULL, q + side * near);
}

static struct kbp_interval by_order(const struct kbp_method *m, enum kbp_metric metric)
{
	struct kbp_interval i = { .lo = limit(m, metric_q[metric], -1),
				  .hi = limit(m, metric_q[metric], 1) };

	return i;
}

/* What the limits of two estimates make of their difference (Zou and Donner 2008). */
static double of_both(double a, double b, double correlation)
{
	double square = a * a + b * b - 2 * correlation * a * b;

	return square > 0 ? sqrt(square) : 0;
}

void kbp_method_intervals(const struct kbp_method *m, struct kbp_result_intervals *i)
{
	const double *e = m->estimate, *d50 = m->draw[KBP_METRIC_P50], *d99 = m->draw[KBP_METRIC_P99];
	double spread = sqrt(covariance(d50, d50) * covariance(d99, d99));
	double correlation = spread > 0 ? covariance(d50, d99) / spread : 0;

	i->known = true;
	i->p50 = by_order(m, KBP_METRIC_P50);
	i->p99 = by_order(m, KBP_METRIC_P99);
	i->gap.lo = e[KBP_METRIC_GAP] - of_both(e[KBP_METRIC_P99] - i->p99.lo,
						i->p50.hi - e[KBP_METRIC_P50], correlation);
	i->gap.hi = e[KBP_METRIC_GAP] + of_both(i->p99.hi - e[KBP_METRIC_P99],
						e[KBP_METRIC_P50] - i->p50.lo, correlation);
	if (i->gap.lo < 0)
		i->gap.lo = 0; /* P99 is never below P50 */
}

/* ---------------------------------------------------------------- differences */

static int compare_real(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Variance by the middle two thirds of the draws: where a quantile lies at a cliff, a few draws are far off, and say
 * nothing of the others. b may be NULL. */
static double draws_variance(const struct kbp_method *m, const double *a, const double *b)
{
	double d[DRAWS], half;

	for (uint32_t i = 0; i < DRAWS; i++)
		d[i] = a[i] - (b ? b[i] : 0);
	qsort(d, DRAWS, sizeof(*d), compare_real);
	half = (d[(size_t)(0.8413 * DRAWS)] - d[(size_t)(0.1587 * DRAWS)]) / 2;
	return by_rounds(m, half * half);
}

static double metric_of_round(const struct kbp_method *m, uint32_t r, enum kbp_metric metric)
{
	double p50 = quantile_of(&m->round[r], metric_q[KBP_METRIC_P50]),
	       p99 = quantile_of(&m->round[r], metric_q[KBP_METRIC_P99]);

	return metric == KBP_METRIC_P50 ? p50 : metric == KBP_METRIC_P99 ? p99 : p99 - p50;
}

/* How much a round is like the one before it, as far as that is more than chance does: 0 to ALIKE_MAX. b may be NULL. */
static double alike(const struct kbp_method *a, const struct kbp_method *b, enum kbp_metric metric)
{
	double mean = 0, all = 0, next = 0, before = 0, share;

	for (uint32_t r = 0; r < a->n_rounds; r++)
		mean += (metric_of_round(a, r, metric) - (b ? metric_of_round(b, r, metric) : 0)) /
			a->n_rounds;
	for (uint32_t r = 0; r < a->n_rounds; r++) {
		double off = metric_of_round(a, r, metric) -
			     (b ? metric_of_round(b, r, metric) : 0) - mean;

		all += off * off;
		next += r ? off * before : 0;
		before = off;
	}
	share = all > 0 ? next / all : 0;
	if (share < 2 / sqrt(a->n_rounds))
		return 0;
	return share < ALIKE_MAX ? share : ALIKE_MAX;
}

double kbp_method_drift(const struct kbp_method *m, enum kbp_metric metric)
{
	return alike(m, NULL, metric);
}

/* Rounds that follow each other say less than as many that do not: as the mean of an autoregressive series. */
static void paired_error(const struct kbp_method *a, const struct kbp_method *b,
			 enum kbp_metric metric, struct kbp_difference *d)
{
	double like = alike(a, b, metric), fewer = (1 - like) / (1 + like);

	d->se_ns = sqrt(draws_variance(a, a->draw[metric], b->draw[metric]) / fewer);
	d->df = a->n_rounds * fewer - 1;
	if (d->df < 2)
		d->df = 2;
}

/* Welch and Satterthwaite: the degrees of freedom of a sum of two variances. */
static void unpaired_error(const struct kbp_method *a, const struct kbp_method *b,
			   enum kbp_metric metric, struct kbp_difference *d)
{
	double va = draws_variance(a, a->draw[metric], NULL),
	       vb = draws_variance(b, b->draw[metric], NULL),
	       inner = va * va / (a->n_rounds - 1) + vb * vb / (b->n_rounds - 1);

	d->se_ns = sqrt(va + vb);
	d->df = inner > 0 ? (va + vb) * (va + vb) / inner : a->n_rounds + b->n_rounds - 2;
}

int kbp_method_compare(const struct kbp_method *a, const struct kbp_method *b,
		       enum kbp_metric metric, bool paired, struct kbp_difference *d)
{
	double finest = DEGENERATE * (a->half + b->half), off;

	if (paired && (a->n_rounds != b->n_rounds || a->seed != b->seed))
		return -EINVAL;
	if (paired)
		paired_error(a, b, metric, d);
	else
		unpaired_error(a, b, metric, d);
	/* where all samples are alike, the grid hides what they vary by */
	d->se_ns = d->se_ns > finest ? d->se_ns : finest;
	d->ns = a->estimate[metric] - b->estimate[metric];
	off = kbp_student_critical(0.05, d->df) * d->se_ns;
	d->lo_ns = d->ns - off;
	d->hi_ns = d->ns + off;
	d->p = kbp_student_two_sided(fabs(d->ns) / d->se_ns, d->df);
	return 0;
}

/* Student's t of both errors that must not be made, over the root of the rounds. */
static double reach(double rounds, uint32_t comparisons)
{
	double level = KBP_METHOD_LEVEL / (comparisons ? comparisons : 1);

	return (kbp_student_critical(level, rounds - 1) +
		kbp_student_critical(2 * (1 - KBP_METHOD_POWER), rounds - 1)) /
	       sqrt(rounds);
}

/* Deviation of the difference from round to round, as large as it may well be. */
static double deviation(const struct kbp_difference *d, uint32_t rounds)
{
	return d->se_ns * sqrt(rounds) * sqrt(d->df / kbp_chi_squared(INFLATE_P, d->df));
}

double kbp_method_resolvable(const struct kbp_difference *d, uint32_t rounds, uint32_t comparisons)
{
	return deviation(d, rounds) * reach(rounds, comparisons);
}

uint32_t kbp_method_rounds_needed(const struct kbp_difference *d, uint32_t rounds, double target_ns,
				  uint32_t comparisons)
{
	double of_round = deviation(d, rounds);
	uint32_t lo = KBP_METHOD_ROUNDS_MIN, hi = ROUNDS_NEEDED_MAX;

	if (!(target_ns > 0) || of_round * reach(hi, comparisons) > target_ns)
		return 0;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (of_round * reach(mid, comparisons) > target_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void kbp_method_holm(const double *p, uint32_t n, double *p_table)
{
	double last = 0, *in = malloc((n ? n : 1) * sizeof(*in));
	bool *taken = calloc(n ? n : 1, sizeof(*taken));

	for (uint32_t i = 0; in && taken && i < n; i++)
		in[i] = p[i];
	for (uint32_t done = 0; done < n; done++) {
		uint32_t next = 0;

		if (!in || !taken) { /* without memory nothing is claimed */
			p_table[done] = 1;
			continue;
		}
		while (taken[next])
			next++;
		for (uint32_t i = next + 1; i < n; i++)
			if (!taken[i] && in[i] < in[next])
				next = i;
		taken[next] = true;
		last = fmax(last, fmin(1, in[next] * (n - done)));
		p_table[next] = last;
	}
	free(in);
	free(taken);
}
