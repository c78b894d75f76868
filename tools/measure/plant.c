/* SPDX-License-Identifier: BSD-2-Clause */
/* plant.c - how long a planted delay takes here and now. */
#include <math.h>

#include "tools/measure/plant.h"

#define TURNS 2000u /* of each try: far above the clock's quantum */
#define TRIES 15u
#define LONG 512u /* multiplications: long against what surrounds them */

/* ns of one piece of work, its fences included: the best of several tries, for whatever disturbs takes time. */
static double work_ns(const struct kbp_tsc *tsc, uint32_t n)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t begin = kbp_tsc_now_ordered(), ticks;

		for (unsigned k = 0; k < TURNS; k++)
			kbp_plant_work(n);
		ticks = kbp_tsc_now_ordered() - begin;
		best = ticks < best ? ticks : best;
	}
	return (double)best * 1e9 / (double)tsc->hz / TURNS;
}

uint32_t kbp_plant_calibrate(const struct kbp_tsc *tsc, double ns, double *real_ns)
{
	double none = work_ns(tsc, 0), each = (work_ns(tsc, LONG) - none) / LONG;
	double n = each > 0 ? round(ns / each) : 0;

	*real_ns = 0;
	if (n < 1)
		return 0;
	/* the first ones hide behind the fence */
	n += round((ns - (work_ns(tsc, (uint32_t)n) - none)) / each);
	n = n < 1 ? 1 : n;
	*real_ns = work_ns(tsc, (uint32_t)n) - none;
	return (uint32_t)n;
}
