/* SPDX-License-Identifier: BSD-2-Clause */
/* made_up.c - a round of samples from a model. */
#include <stdbool.h>
#include <stddef.h>

#include "tools/measure/made_up.h"

#define TAIL_Z 1.6448536 /* of a normal variable: a twentieth lies above */
#define NS_MAX 4e9

static uint32_t on_grid(struct kbp_chance *c, double ns, double quantum)
{
	double at = floor(ns / quantum + kbp_chance_even(c)) * quantum;

	return at > 0 ? at < NS_MAX ? (uint32_t)at : (uint32_t)NS_MAX : 0;
}

void kbp_made_up_round(struct kbp_chance *c, const struct kbp_made_up *m, double drift_ns,
		       uint32_t *ns, size_t n)
{
	double base = m->base_ns + m->shift_ns + drift_ns + m->restart_ns * kbp_chance_normal(c),
	       begins = m->burst_p * exp(m->burst_log * kbp_chance_normal(c)),
	       z = kbp_chance_normal(c), fresh = sqrt(1 - m->alike * m->alike), more = 0;
	/* as often as in the long run */
	bool burst = kbp_chance_even(c) < begins / (begins + 1 - m->burst_stay);

	for (size_t i = 0; i < n; i++) {
		bool was = burst && i;

		z = m->alike * z + fresh * kbp_chance_normal(c);
		if (i)
			burst = kbp_chance_even(c) < (burst ? m->burst_stay : begins);
		if (burst && !was)
			more = -m->burst_ns * log(kbp_chance_even(c));
		ns[i] = on_grid(c,
				base + m->body_ns * exp(m->body_log * z) + (burst ? more : 0) +
					(burst || z > TAIL_Z ? m->tail_ns : 0),
				m->quantum_ns);
	}
}
