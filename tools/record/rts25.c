/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rts25.c - how much of a time the clock was within the limits of RTS 25, by claims about single moments. What no
 * claim covers is unknown and counts against compliance.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/internal.h"
#include "tools/record/rts25.h"

#define GAP_NS 1000000000u
#define STEPS_MIN 16u /* fewer stamps may have a large step in common by chance */
#define SOURCES 4u    /* enum kbp_ts_source */

/* The limits are data of their date: see the text below. */
static const struct kbp_rts25_class classes[KBP_RTS25_CLASSES] = {
	{ "hft", "high-frequency algorithmic trading", 100000, 1000 },
	{ "automated", "other automated trading", 1000000, 1000000 },
	{ "voice", "voice trading and negotiated transactions", 1000000000, 1000000000 },
};

static const char law[] =
	"Commission Delegated Regulation (EU) 2017/574 (RTS 25), annex, members and participants of trading venues, "
	"as published on 31 March 2017; it is being replaced under MiFIR: compare with what is in force";

struct moment {
	uint64_t ns;
	uint64_t bound_ns;
	bool known;
	const char *cause; /* without `known` */
};

/* Stamps of one source. */
struct grain {
	bool any;
	uint64_t last_ns, step_ns, steps;
	uint32_t resolution_ps;
};

struct kbp_rts25 {
	uint64_t gap_ns;
	bool any;
	struct moment last;
	uint64_t unknown_to; /* where the latest unknown time ended */
	const char *unknown_cause;
	struct grain grain[SOURCES];
	struct kbp_rts25_result res; /* without what is worked out at the end */
};

const struct kbp_rts25_class *kbp_rts25_class(unsigned i)
{
	return i < KBP_RTS25_CLASSES ? &classes[i] : NULL;
}

const char *kbp_rts25_law(void)
{
	return law;
}

int kbp_rts25_open(const struct kbp_rts25_opts *opts, struct kbp_rts25 **out, struct kbp_error *err)
{
	struct kbp_rts25_opts o;
	struct kbp_rts25 *r;
	int rc;

	*out = NULL;
	rc = kbp_opts_read(&o, sizeof(o), opts, "open an account for RTS 25", err);
	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return kbp_fail(err, -ENOMEM, "open an account for RTS 25", "memory is out");
	r->gap_ns = o.gap_ns ? o.gap_ns : GAP_NS;
	r->res.worst_bound_ns = KBP_BOUND_UNKNOWN;
	*out = r;
	return 0;
}

void kbp_rts25_close(struct kbp_rts25 *r)
{
	free(r);
}

uint64_t kbp_rts25_latest(const struct kbp_rts25 *r)
{
	return r->any ? r->last.ns : 0;
}

/* ---------------------------------------------------------------- time */

static struct moment moment_of(uint64_t ns, const struct kbp_claim *c)
{
	struct moment m = { .ns = ns };

	if (!c)
		m.cause = "no_claim";
	else if (c->sync == KBP_SYNC_UNKNOWN)
		m.cause = kbp_clock_cause_name(c->cause);
	else if (!c->settled)
		m.cause = "unsettled";
	else if (c->bound_ns == KBP_BOUND_UNKNOWN)
		m.cause = c->cause ? kbp_clock_cause_name(c->cause) : "no_bound";
	m.known = !m.cause;
	m.bound_ns = m.known ? c->bound_ns : 0;
	return m;
}

static void period_add(struct kbp_rts25 *r, uint64_t from_ns, uint64_t to_ns, const char *cause)
{
	struct kbp_rts25_result *res = &r->res;
	bool goes_on = res->periods && r->unknown_to == from_ns && !strcmp(r->unknown_cause, cause);

	if (!goes_on && res->periods++ < KBP_RTS25_PERIODS_MAX) {
		struct kbp_rts25_period *p = &res->period[res->n_periods++];

		p->from_ns = from_ns;
		p->to_ns = to_ns;
		snprintf(p->cause, sizeof(p->cause), "%s", cause);
	} else if (goes_on && res->periods <= KBP_RTS25_PERIODS_MAX) {
		res->period[res->n_periods - 1].to_ns = to_ns;
	}
	r->unknown_to = to_ns;
	r->unknown_cause = cause;
}

static void time_add(struct kbp_rts25 *r, const struct moment *from, const struct moment *to)
{
	struct kbp_rts25_result *res = &r->res;
	uint64_t ns = to->ns - from->ns;
	uint64_t bound = from->bound_ns > to->bound_ns ? from->bound_ns : to->bound_ns;

	res->total_ns += ns;
	if (!from->known || !to->known || ns > r->gap_ns) {
		res->unknown_ns += ns;
		period_add(r, from->ns, to->ns,
			   !from->known ? from->cause :
			   !to->known	? to->cause :
					  "gap");
		return;
	}
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		if (bound <= classes[i].divergence_ns)
			res->cls[i].within_ns += ns;
		else
			res->cls[i].beyond_ns += ns;
	}
}

/* Both are of this moment: the worse one stands. */
static void worse(struct moment *last, const struct moment *m)
{
	if (last->known && !m->known)
		last->cause = m->cause;
	last->known = last->known && m->known;
	if (m->bound_ns > last->bound_ns)
		last->bound_ns = m->bound_ns;
}

void kbp_rts25_add(struct kbp_rts25 *r, uint64_t utc_ns, const struct kbp_claim *claim)
{
	struct moment m = moment_of(utc_ns, claim);
	struct kbp_rts25_result *res = &r->res;

	res->claims++;
	res->unknown_claims += !m.known;
	if (m.known &&
	    (res->worst_bound_ns == KBP_BOUND_UNKNOWN || m.bound_ns > res->worst_bound_ns)) {
		res->worst_bound_ns = m.bound_ns;
		res->worst_at_ns = utc_ns;
	}
	if (!r->any || utc_ns < res->from_ns)
		res->from_ns = utc_ns;
	if (!r->any || utc_ns > res->to_ns)
		res->to_ns = utc_ns;
	if (!r->any) {
		r->any = true;
		r->last = m;
	} else if (utc_ns < r->last.ns && r->last.ns - utc_ns > r->gap_ns) {
		res->breaks++;
		period_add(r, r->last.ns, r->last.ns, kbp_clock_cause_name(KBP_CLOCK_STEPPED));
		r->last = m;
	} else if (utc_ns <= r->last.ns) {
		res->backwards += utc_ns < r->last.ns;
		worse(&r->last, &m);
	} else {
		time_add(r, &r->last, &m);
		r->last = m;
	}
}

/* ---------------------------------------------------------------- granularity */

static uint64_t common(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void kbp_rts25_stamp(struct kbp_rts25 *r, enum kbp_ts_source source, uint64_t ns,
		     uint32_t resolution_ps)
{
	struct grain *g = &r->grain[(unsigned)source % SOURCES];

	if (g->any && ns != g->last_ns) {
		g->step_ns = common(g->step_ns, ns > g->last_ns ? ns - g->last_ns : g->last_ns - ns);
		g->steps++;
	}
	if (resolution_ps > g->resolution_ps)
		g->resolution_ps = resolution_ps;
	g->any = true;
	g->last_ns = ns;
}

/* A device counts by its own clock. Its stamps may have been converted to UTC, at a rate that is never quite 1: that
 * puts any grid on one of a nanosecond, and a fine step shows nothing any more. */
static bool maybe_converted(unsigned source)
{
	return source == KBP_TS_DRIVER || source == KBP_TS_NIC;
}

/* What a source states can only be too good. Beyond that: all stamps lie on a grid of step_ns, the true one is no
 * coarser, however few they are; that it is no finer takes many of them. */
static enum kbp_tristate fine_enough(const struct grain *g, bool converted, uint64_t limit_ns)
{
	if (g->resolution_ps > limit_ns * 1000)
		return KBP_NO;
	if (g->steps && g->step_ns <= limit_ns && !converted)
		return KBP_YES;
	if (g->steps >= STEPS_MIN && g->step_ns > limit_ns)
		return KBP_NO;
	return g->resolution_ps ? KBP_YES : KBP_UNKNOWN;
}

/* The step to report: of stamps that may have been converted no finer one than is stated. */
static uint64_t step_shown(const struct grain *g, bool converted)
{
	uint64_t stated_ns = ((uint64_t)g->resolution_ps + 999) / 1000;

	return g->steps && converted && stated_ns > g->step_ns ? stated_ns : g->step_ns;
}

static enum kbp_tristate all_fine_enough(const struct kbp_rts25 *r, uint64_t limit_ns)
{
	enum kbp_tristate all = KBP_UNKNOWN;

	for (unsigned i = 0; i < SOURCES; i++) {
		enum kbp_tristate one = fine_enough(&r->grain[i], maybe_converted(i), limit_ns);

		if (!r->grain[i].any)
			continue;
		if (one == KBP_NO)
			return KBP_NO;
		if (one == KBP_UNKNOWN)
			return KBP_UNKNOWN;
		all = one;
	}
	return all;
}

void kbp_rts25_result(const struct kbp_rts25 *r, struct kbp_rts25_result *res)
{
	*res = r->res;
	for (unsigned i = 0; i < SOURCES; i++) {
		const struct grain *g = &r->grain[i];

		uint64_t step_ns = step_shown(g, maybe_converted(i));

		if (g->steps && step_ns > res->step_ns) {
			res->step_ns = step_ns;
			res->steps = g->steps;
		}
		if (g->resolution_ps > res->resolution_ps)
			res->resolution_ps = g->resolution_ps;
	}
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		enum kbp_tristate fine = all_fine_enough(r, classes[i].granularity_ns);

		if (res->cls[i].beyond_ns || fine == KBP_NO)
			res->cls[i].verdict = KBP_RTS25_NOT_COMPLIANT;
		else if (fine == KBP_YES && res->total_ns &&
			 res->cls[i].within_ns == res->total_ns && !res->breaks)
			res->cls[i].verdict = KBP_RTS25_COMPLIANT;
		else
			res->cls[i].verdict = KBP_RTS25_NOT_SHOWN;
	}
}
