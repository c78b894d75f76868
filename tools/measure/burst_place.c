/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * burst_place.c - does the first frame of a burst wait for longer than those behind it? After a silence caches are
 * cold and cores asleep; in a burst frames queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/parts.h"

#define NS_PER_US 1e3

bool kbp_burst_begins(const struct kbp_bench *b, const struct kbp_seen *sent, uint32_t i)
{
	uint64_t gap = b->o.burst_gap_ns ? b->o.burst_gap_ns : KBP_BURST_GAP_NS;

	/* both times were rounded down to ticks */
	return !i || sent[i].ticks - sent[i - 1].ticks + 1 >= kbp_tsc_ticks(&b->tsc, gap);
}

int kbp_burst_split(const struct kbp_result_run *run, const struct kbp_run_work *w,
		    struct kbp_latency *first, struct kbp_latency *later)
{
	uint32_t *ns = malloc((w->latency.n + 1) * sizeof(*ns));
	size_t n_first = 0, n_later = 0, next = 0;

	if (!ns)
		return -ENOMEM;
	for (uint32_t r = 0; r < run->n_rounds; r++) {
		const struct kbp_result_round *d = &run->round[r];

		for (uint64_t i = d->first_sample; i < d->first_sample + d->samples; i++) {
			bool begins = next < w->burst_first.n && w->burst_first.ns[next] == i;

			next += begins;
			if (i < d->first_sample + d->warmup)
				continue;
			if (begins) /* from the end, the others from the beginning */
				ns[w->latency.n - ++n_first] = w->latency.ns[i];
			else
				ns[n_later++] = w->latency.ns[i];
		}
	}
	kbp_latency_of(ns + w->latency.n - n_first, n_first, first);
	kbp_latency_of(ns, n_later, later);
	free(ns);
	return 0;
}

void kbp_burst_note(struct kbp_bench *b, const struct kbp_result_run *run,
		    const struct kbp_run_work *w)
{
	struct kbp_latency first, later;

	if (kbp_burst_split(run, w, &first, &later) || !kbp_latency_known(&first, 990) ||
	    !kbp_latency_known(&later, 990))
		return;
	kbp_finding_add(b->res, true, "burst_place", run->backend,
			"first frames of bursts: P50 %.2f, P99 %.2f us (%llu samples); those behind them: P50 %.2f, P99 "
			"%.2f us (%llu)",
			first.p50_ns / NS_PER_US, first.p99_ns / NS_PER_US,
			(unsigned long long)first.samples, later.p50_ns / NS_PER_US,
			later.p99_ns / NS_PER_US, (unsigned long long)later.samples);
}
