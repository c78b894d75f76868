/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - what made the tail, for people. */
#include <stdio.h>

#include <kbypass/measure.h>

#include "cli.h"

#define CAUSES_SHOWN 8u

static void print_run(const struct kbp_result_run *r)
{
	const struct kbp_result_explain *e = &r->explain;

	printf("%s", r->backend);
	if (r->rate_pps)
		printf(" at %llu a second", (unsigned long long)r->rate_pps);
	printf(": %llu samples above %.2f us; P50 %.2f, gap %.2f us, without the cause:\n",
	       (unsigned long long)e->tail, e->threshold_ns / 1e3, r->latency.p50_ns / 1e3,
	       r->latency.gap_ns / 1e3);
	for (uint32_t i = 0; i < e->n_causes && i < CAUSES_SHOWN; i++) {
		const struct kbp_explain_cause *c = &e->cause[i];

		printf("  %5.1f%%  %-8s %-40s main cause of %6llu   gap %10.2f\n", 100 * c->share,
		       c->kind, c->name, (unsigned long long)c->samples, c->gap_ns / 1e3);
	}
	if (e->n_causes > CAUSES_SHOWN)
		printf("  and %u more\n", e->n_causes - CAUSES_SHOWN);
	if (e->lost) {
		unsigned long long lost = e->lost, all = lost + e->events;

		printf("  %llu of %llu trace events are lost\n", lost, all);
	}
}

void cli_explain(const struct kbp_results *res)
{
	bool any = false;

	for (uint32_t i = 0; i < res->n_runs; i++) {
		if (!res->run[i].explain.cause)
			continue;
		if (!any)
			printf("%swhat made the tail%s: shares of its time beyond P50, by who had the receiver's CPU or kept the "
			       "frame\n",
			       cli_bold(), cli_plain());
		any = true;
		print_run(&res->run[i]);
	}
	if (any)
		printf("\n");
}
