/* SPDX-License-Identifier: BSD-2-Clause */
/* report_samples.c - samples sorted, in buckets and by percentile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* ---------------------------------------------------------------- sorting */

/* By bytes, least first: linear time, and these are millions. */
static void sort_u32(uint32_t *v, uint32_t *spare, size_t n)
{
	for (unsigned shift = 0; shift < 32; shift += 8) {
		size_t at[257] = { 0 };
		uint32_t *swap = v;

		for (size_t i = 0; i < n; i++)
			at[(v[i] >> shift & 0xff) + 1]++;
		for (unsigned i = 0; i < 256; i++)
			at[i + 1] += at[i];
		for (size_t i = 0; i < n; i++)
			spare[at[v[i] >> shift & 0xff]++] = v[i];
		v = spare; /* an even number of turns: it ends where it began */
		spare = swap;
	}
}

uint32_t *kbp_samples_sorted(const struct kbp_result_run *run, const uint32_t *ns, bool gaps,
			     size_t *n)
{
	uint32_t *all, *spare;
	size_t room = 0;

	*n = 0;
	for (uint32_t i = 0; i < run->n_rounds; i++)
		room += run->round[i].samples - run->round[i].warmup;
	all = malloc((room + 1) * sizeof(*all));
	spare = malloc((room + 1) * sizeof(*spare));
	if (!all || !spare) {
		free(all);
		free(spare);
		return NULL;
	}
	for (uint32_t i = 0; i < run->n_rounds; i++) {
		const struct kbp_result_round *d = &run->round[i];

		for (uint64_t k = d->first_sample + d->warmup; k < d->first_sample + d->samples; k++) {
			if (!gaps)
				all[(*n)++] = ns[k];
			else if (ns[k] != KBP_SAMPLE_NONE)
				all[(*n)++] = ns[k] == KBP_SAMPLE_MOST ? UINT32_MAX : ns[k];
		}
	}
	sort_u32(all, spare, *n);
	free(spare);
	return all;
}

/* ---------------------------------------------------------------- buckets */

/* The smallest of the largest hundredth: found by keeping that hundredth in order. */
static uint32_t bucket_p99(const uint32_t *ns, size_t n, uint32_t *spare)
{
	size_t rank = (n * 99 + 99) / 100;

	memcpy(spare, ns, n * sizeof(*ns));
	sort_u32(spare, spare + n, n);
	return spare[rank ? rank - 1 : 0];
}

unsigned kbp_buckets_of(const uint32_t *ns, size_t n, struct kbp_bucket *b, unsigned max)
{
	unsigned count = n < max ? (unsigned)n : max;
	uint32_t *spare = malloc(2 * (n / (count ? count : 1) + 2) * sizeof(*spare));

	if (!spare)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		size_t from = (size_t)((uint64_t)n * i / count),
		       to = (size_t)((uint64_t)n * (i + 1) / count);

		b[i] = (struct kbp_bucket){ .min = ns[from], .max = ns[from], .at_max = from };
		for (size_t k = from; k < to; k++) {
			b[i].min = ns[k] < b[i].min ? ns[k] : b[i].min;
			if (ns[k] > b[i].max) {
				b[i].max = ns[k];
				b[i].at_max = k;
			}
		}
		b[i].p99 = bucket_p99(ns + from, to - from, spare);
	}
	free(spare);
	return count;
}

/* ---------------------------------------------------------------- levels */

/* The next level: in half of what is left to 100 %, `KBP_LEVEL_TICKS` steps. HdrHistogram's PercentileIterator. */
static double level_next(double percent)
{
	double halvings = floor(log2(100.0 / (100.0 - percent))) + 1;

	return percent + 100.0 / (KBP_LEVEL_TICKS * exp2(halvings));
}

unsigned kbp_levels_of(const uint32_t *sorted, size_t n, struct kbp_level *l)
{
	double level = 0;
	unsigned count = 0;

	for (size_t i = 0; i < n;) {
		size_t end = i + 1;

		while (end < n && sorted[end] == sorted[i])
			end++;
		while (100.0 * (double)end / (double)n >= level && count < KBP_LEVELS_MAX - 1) {
			l[count++] =
				(struct kbp_level){ .q = level / 100, .ns = sorted[i], .rank = end };
			level = level_next(level);
			if (end == n) /* the rest is the maximum */
				break;
		}
		i = end;
	}
	if (n)
		l[count++] = (struct kbp_level){ .q = 1, .ns = sorted[n - 1], .rank = n };
	return count;
}
