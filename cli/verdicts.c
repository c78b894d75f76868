/* SPDX-License-Identifier: BSD-2-Clause */
/* verdicts.c - who is lower than whom, by how much, and what nobody can tell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/method.h>

#include "cli.h"

#define METRICS 3u

/* "-18 ns", "1.93 us", "4.1 ms": three digits at least. */
static const char *figure(double ns, char buf[24])
{
	double size = fabs(ns);

	if (size < 1000)
		snprintf(buf, 24, "%.3g ns", ns);
	else if (size < 1e6)
		snprintf(buf, 24, "%.3g us", ns / 1e3);
	else
		snprintf(buf, 24, "%.3g ms", ns / 1e6);
	return buf;
}

static void print_one(const struct kbp_verdict *v)
{
	char diff[24], lo[24], hi[24], range[64];

	snprintf(range, sizeof(range), "%s to %s", figure(v->lo_ns, lo), figure(v->hi_ns, hi));
	printf("  %-4s %10s  %-24s  ", v->metric, figure(v->diff_ns, diff), range);
	if (v->resolved)
		printf("%s%s%s is lower\n", cli_bold(), v->diff_ns < 0 ? v->a : v->b, cli_plain());
	else if (!strcmp(v->why, "quantum"))
		printf("unresolved: within the clock's quantum\n");
	else if (v->rounds_needed)
		printf("unresolved%s; %llu samples, %u rounds like these, would settle that\n",
		       strcmp(v->why, "table") ? "" : " among so many",
		       (unsigned long long)v->samples_needed, v->rounds_needed);
	else
		printf("unresolved; smallest difference that would show: %s\n",
		       figure(v->resolvable_ns, diff));
}

/* The verdicts of one pair, which follow each other. */
static void print_pair(const struct kbp_verdict *v, uint32_t n)
{
	char cost[24];

	printf("%s - %s%s%s\n", v->a, v->b, strcmp(v->kind, "one_way") ? ", " : "",
	       strcmp(v->kind, "one_way") ? v->kind : "");
	if (!v->measured) {
		printf("  not compared: %s\n", v->text);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		print_one(&v[i]);
	if (v->resolved && fabs(v->work_us_per_s) > 0)
		printf("  at this rate %s a frame are %.3g us of work in a second\n",
		       figure(fabs(v->diff_ns), cost), fabs(v->work_us_per_s));
}

static bool same_pair(const struct kbp_verdict *a, const struct kbp_verdict *b)
{
	return a->rate_pps == b->rate_pps && !strcmp(a->a, b->a) && !strcmp(a->b, b->b) &&
	       !strcmp(a->kind, b->kind);
}

/* Pairs of different classes are told of in one line: there is no end of them. */
static void print_classes(const struct kbp_results *res)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < res->n_verdicts; i++)
		n += !strcmp(res->verdict[i].why, "class");
	if (n)
		printf("%u pairs are of different classes (real, virtual, in memory, emulated), which are never ranked\n",
		       n / METRICS);
}

static uint32_t measured(const struct kbp_results *res)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < res->n_verdicts; i++)
		n += res->verdict[i].measured;
	return n;
}

void cli_verdicts(const struct kbp_results *res)
{
	if (!res->n_verdicts)
		return;
	printf("verdicts: first minus second, with its 95 %% interval from rounds; \"is lower\" is corrected for all %u\n"
	       "          comparisons of this table, which makes any false claim 5 times in 100\n",
	       measured(res));
	for (uint32_t i = 0, n; i < res->n_verdicts; i += n) {
		const struct kbp_verdict *v = &res->verdict[i];

		for (n = 1; i + n < res->n_verdicts && same_pair(v, v + n); n++)
			;
		if (v->rate_pps && (!i || v[-1].rate_pps != v->rate_pps))
			printf("at %llu a second:\n", (unsigned long long)v->rate_pps);
		if (strcmp(v->why, "class") != 0)
			print_pair(v, n);
	}
	print_classes(res);
	printf("\n");
}
