/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_stat.c - how many operations a sample needs, and what the samples say.
 *
 * Samples are whole ticks until the end, so that quantiles are exact; only then are they divided by the
 * operations in a sample and turned into ns.
 */
#include <math.h>
#include <string.h>

#include "tools/measure/parts.h"

uint32_t kbp_profile_batch(double op_ticks, uint32_t quantum_ticks, uint32_t at_once)
{
	double want = (double)KBP_PROFILE_QUANTA * quantum_ticks, n;
	uint32_t batch;

	n = op_ticks > 0 ? ceil(want / op_ticks) : KBP_PROFILE_BATCH;
	if (n <= 1)
		return 1;
	batch = n < KBP_PROFILE_BATCH ? (uint32_t)n : KBP_PROFILE_BATCH;
	if (batch > at_once)
		batch = (batch + at_once - 1) / at_once * at_once;
	return batch < KBP_PROFILE_BATCH ? batch : KBP_PROFILE_BATCH / at_once * at_once;
}

double kbp_profile_timer_share(double timer_ns, uint32_t batch, uint32_t at_once)
{
	uint32_t pieces = (batch + at_once - 1) / at_once;

	return timer_ns * pieces / batch;
}

static void cost(struct kbp_profile_cost *c, const struct kbp_latency *l, double scale)
{
	c->min = l->min_ns * scale;
	c->p50 = l->p50_ns * scale;
	c->p99 = l->p99_ns * scale;
	c->gap = l->gap_ns * scale;
}

void kbp_profile_figures(uint32_t *ticks, size_t n, uint64_t hz, struct kbp_profile_op *row)
{
	struct kbp_latency l; /* of ticks: quantiles do not mind the unit */

	kbp_latency_of(ticks, n, &l);
	row->samples = l.samples;
	cost(&row->cycles, &l, 1.0 / row->batch);
	cost(&row->ns, &l, 1e9 / (double)hz / row->batch);
}
