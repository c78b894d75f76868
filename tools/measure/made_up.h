/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * made_up.h - samples whose truth is known, with what makes real ones difficult: neighbours are alike, tails come in bursts,
 * a restart shifts a whole round, the host drifts under all subjects, and the clock has a grid.
 */
#ifndef KBP_TOOLS_MEASURE_MADE_UP_H
#define KBP_TOOLS_MEASURE_MADE_UP_H

#include "tools/measure/chance.h"

struct kbp_made_up {
	double base_ns;
	double body_ns,
		body_log;  /* of each sample: body_ns * exp(body_log * z), z of deviation 1 ... */
	double alike;	   /* ... and correlated with its neighbour's by this */
	double restart_ns; /* deviation of a round's shift, each subject its own */
	double drift_ns;   /* and of what all subjects of a round share */
	double burst_p, burst_stay; /* a sample begins a burst; the burst goes on */
	double burst_ns;	    /* mean of what a burst adds, exponential */
	double burst_log;	    /* deviation of the logarithm of burst_p from round to round */
	double quantum_ns;
	/* planted */
	double shift_ns, tail_ns; /* on every sample; on the longest twentieth */
};

/* One round: n samples of ns. */
void kbp_made_up_round(struct kbp_chance *c, const struct kbp_made_up *m, double drift_ns,
		       uint32_t *ns, size_t n);

#endif
