/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_words.c - the result in sentences. They say what the verdicts say and no more: without a resolved verdict
 * nothing is called lower.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define SENTENCES_MAX 8u /* of each kind, in a summary */

static const char *metric_words(const char *metric)
{
	return !strcmp(metric, "gap") ? "gap (P99 \u2212 P50)" : "median";
}

/* Is it of this group, about this metric, and of two runs that are no variants? */
static bool speaks_of(const struct kbp_report *p, const struct kbp_verdict *v, unsigned group,
		      const char *metric)
{
	const struct kbp_report_run *a = kbp_report_find(p, v->a, v->rate_pps),
				    *b = kbp_report_find(p, v->b, v->rate_pps);

	return a && b && a->group == group && b->group == group && !a->r->variant && !b->r->variant &&
	       !strcmp(v->metric, metric) && !strcmp(v->kind, p->group[group].kind);
}

/* "the gap of A is 1.23 us lower than that of B (95 % interval 1.01 us to 1.40 us)" */
static void lower_words(struct kbp_out *o, const struct kbp_verdict *v, int lower)
{
	bool first = lower < 0;
	char a[32], b[32], c[32];

	kbp_outf(o, "he %s of ", metric_words(v->metric));
	kbp_out_in(o, "<strong>", first ? v->a : v->b, "</strong> is ");
	kbp_outf(o, "%s lower than that of ", kbp_text_ns(fabs(v->diff_ns), a));
	kbp_out_text(o, first ? v->b : v->a);
	kbp_outf(o, " (95 %% interval %s to %s)", kbp_text_ns(first ? -v->hi_ns : v->lo_ns, b),
		 kbp_text_ns(first ? -v->lo_ns : v->hi_ns, c));
}

/* How many of the group's verdicts on this metric are resolved, or are not. */
static unsigned count_of(const struct kbp_report *p, unsigned group, const char *metric, bool resolved)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < p->res->n_verdicts; i++) {
		const struct kbp_verdict *v = &p->res->verdict[i];

		n += speaks_of(p, v, group, metric) && (kbp_verdict_lower(p, v) != 0) == resolved;
	}
	return n;
}

/* Returns whether it said anything. */
static bool say_resolved(struct kbp_report *p, unsigned group, const char *metric, bool begun)
{
	struct kbp_out *o = &p->out;
	unsigned said = 0, all = count_of(p, group, metric, true);

	for (uint32_t i = 0; i < p->res->n_verdicts && said < SENTENCES_MAX; i++) {
		const struct kbp_verdict *v = &p->res->verdict[i];
		int lower = kbp_verdict_lower(p, v);

		if (!lower || !speaks_of(p, v, group, metric))
			continue;
		kbp_out_raw(o, said ? "; t" : begun ? "T" : "t");
		lower_words(o, v, lower);
		said++;
	}
	if (all > said)
		kbp_outf(o, "; and %u more pairs, see the verdicts", all - said);
	kbp_out_raw(o, said ? ". " : "");
	return said != 0;
}

/* The figures of an overlap stand in the verdict; its own words hold them in nanoseconds. */
static void why_words(struct kbp_report *p, const struct kbp_verdict *v)
{
	struct kbp_out *o = &p->out;
	char a[32], b[32];

	if (!v->measured || v->resolved || strcmp(v->why, "overlap") != 0 ||
	    !(v->lo_ns <= 0 && v->hi_ns >= 0)) {
		kbp_out_text(o, kbp_verdict_why(p, v));
		return;
	}
	kbp_outf(o, "the 95 %% interval of the difference, %s to %s, holds 0",
		 kbp_text_ns(v->lo_ns, a), kbp_text_ns(v->hi_ns, b));
	if (v->samples_needed)
		kbp_outf(o, "; %s samples of each would tell", kbp_text_count(v->samples_needed, a));
}

/* Many of them: how many, and of what sort their reasons are. */
static void say_many_unresolved(struct kbp_report *p, unsigned group, const char *metric, unsigned all)
{
	struct kbp_out *o = &p->out;
	unsigned overlap = 0, forbidden = 0;

	for (uint32_t i = 0; i < p->res->n_verdicts; i++) {
		const struct kbp_verdict *v = &p->res->verdict[i];

		if (kbp_verdict_lower(p, v) || !speaks_of(p, v, group, metric))
			continue;
		overlap += v->measured && !strcmp(v->why, "overlap");
		forbidden += !v->measured;
	}
	kbp_outf(o, "Not resolved in %s: %s%u pairs", metric_words(metric),
		 count_of(p, group, metric, true) ? "" : "all ", all);
	if (overlap == all)
		kbp_out_raw(o, ", for the 95 % interval of each difference holds 0");
	else if (overlap)
		kbp_outf(o, "; of %u the 95 %% interval of the difference holds 0", overlap);
	if (forbidden)
		kbp_outf(o, "; %u must not be compared", forbidden);
	kbp_out_raw(o, " (<a href=\"#verdicts\">which, and why</a>). ");
}

static void say_unresolved(struct kbp_report *p, unsigned group, const char *metric)
{
	struct kbp_out *o = &p->out;
	unsigned said = 0, all = count_of(p, group, metric, false);

	if (all > 2) {
		say_many_unresolved(p, group, metric, all);
		return;
	}
	for (uint32_t i = 0; i < p->res->n_verdicts; i++) {
		const struct kbp_verdict *v = &p->res->verdict[i];

		if (kbp_verdict_lower(p, v) || !speaks_of(p, v, group, metric))
			continue;
		if (!said)
			kbp_outf(o, "Not resolved in %s: ", metric_words(metric));
		kbp_out_raw(o, said ? "; " : "");
		kbp_out_in(o, "", v->a, " against ");
		kbp_out_in(o, "", v->b, " (");
		why_words(p, v);
		kbp_out_raw(o, ")");
		said++;
	}
	kbp_out_raw(o, said ? ". " : "");
}

/* What was lost: it stands beside every claim. */
static void say_loss(struct kbp_report *p, unsigned group)
{
	struct kbp_out *o = &p->out;
	char a[32], b[32];
	bool any = false;

	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_result_run *r = p->run[i].r;

		if (p->run[i].group != group || r->delivered >= r->sent)
			continue;
		kbp_out_in(o, any ? ", " : "Frames were lost: ", r->backend, "");
		kbp_outf(o, " %s of %s", kbp_text_count(r->sent - r->delivered, a),
			 kbp_text_count(r->sent, b));
		any = true;
	}
	kbp_out_raw(o, any ? ". " : "");
}

static void say_group(struct kbp_report *p, unsigned group)
{
	const struct kbp_report_group *g = &p->group[group];
	struct kbp_out *o = &p->out;
	unsigned resolved = 0, open = 0;
	bool begun = false;
	char count[32];
	static const char *const metrics[] = { "gap", "p50" };

	for (unsigned i = 0; i < KBP_ARRAY_SIZE(metrics); i++) {
		resolved += count_of(p, group, metrics[i], true);
		open += count_of(p, group, metrics[i], false);
	}
	kbp_outf(o, "<p class=\"lead\">On %s, ", kbp_class_name(g->class));
	kbp_out_text(o, g->kind);
	if (g->rate_pps)
		kbp_outf(o, " at %s frames/s", kbp_text_count(g->rate_pps, count));
	kbp_out_raw(o, ": ");
	if (g->n_runs == 1)
		kbp_out_raw(o, "one run, and nothing to compare it with. ");
	else if (!resolved && !open)
		kbp_out_raw(o, "<strong>not resolved</strong>, for these results hold no verdict. ");
	else if (!resolved)
		kbp_out_raw(o, "<strong>nothing is resolved.</strong> ");
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(metrics); i++)
		begun = say_resolved(p, group, metrics[i], begun) || begun;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(metrics); i++)
		say_unresolved(p, group, metrics[i]);
	say_loss(p, group);
	/* once for all groups of a class */
	if (group + 1 == p->n_groups || p->group[group + 1].class != g->class)
		kbp_out_raw(o, kbp_class_words(g->class));
	kbp_out_raw(o, "</p>\n");
}

static void say_profile(struct kbp_report *p)
{
	const struct kbp_results *res = p->res;
	uint32_t emulated = 0;

	for (uint32_t i = 0; i < res->n_profile; i++)
		emulated += res->profile[i].emulated;
	kbp_outf(&p->out, "<p class=\"lead\">A profile: %u operations timed one by one. ",
		 res->n_profile);
	if (emulated == res->n_profile)
		kbp_out_raw(
			&p->out,
			"All on an emulated device (a software NIC): the figures say nothing about a NIC. ");
	else if (emulated)
		kbp_outf(&p->out, "%u of them on an emulated device, which say nothing about a NIC. ",
			 emulated);
	kbp_out_raw(&p->out, "Nothing here is ranked.</p>\n");
}

static void say_findings(struct kbp_report *p)
{
	uint32_t n = 0, notes;

	for (uint32_t i = 0; i < p->res->n_findings; i++)
		n += !p->res->finding[i].note;
	notes = p->res->n_findings - n;
	if (n)
		kbp_outf(&p->out,
			 "<p class=\"finding\"><span class=\"chip bad\">%u finding%s</span> Something does not add "
			 "up: <a href=\"#findings\">read %s first</a>.</p>\n",
			 n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
	if (notes)
		kbp_outf(&p->out,
			 "<p class=\"dim\">%u <a href=\"#findings\">note%s</a> on what was not as it should be.</p>\n",
			 notes, notes == 1 ? "" : "s");
}

void kbp_page_summary(struct kbp_report *p)
{
	kbp_out_raw(&p->out, "<section id=\"summary\">\n");
	for (unsigned i = 0; i < p->n_groups; i++)
		say_group(p, i);
	if (p->n_groups > 1)
		kbp_out_raw(&p->out,
			    "<p>Runs on devices of different classes, of different latencies or at different rates "
			    "stand apart: they are not ranked against each other.</p>\n");
	if (p->res->n_profile)
		say_profile(p);
	if (!p->n_groups && !p->res->n_profile)
		kbp_out_raw(&p->out, "<p class=\"lead\">Nothing was measured.</p>\n");
	if (p->res->n_runs > p->n_runs)
		kbp_outf(&p->out, "<p>The first %u of %u runs are shown.</p>\n", p->n_runs,
			 p->res->n_runs);
	say_findings(p);
	kbp_out_raw(&p->out, "</section>\n");
}

void kbp_page_glossary(struct kbp_report *p)
{
	kbp_out_raw(
		&p->out,
		"<section id=\"glossary\"><h2>Words</h2>\n<dl>"
		"<dt>one_way</dt><dd>from the intended send time of a frame to the moment the program holds the pointer to it; "
		"a late sender counts against the frame</dd>"
		"<dt>rx_path</dt><dd>from the receive stamp (of a NIC, a driver or the kernel) to the pointer</dd>"
		"<dt>wire_to_stamp</dt><dd>from the intended send time to that stamp</dd>"
		"<dt>rtt</dt><dd>a closed loop: from before a frame is written until its answer is held</dd>"
		"<dt>tx</dt><dd>from before the payload is written until submit has returned</dd>"
		"<dt>gap</dt><dd>P99 \u2212 P50: what a slow hundredth of the frames pays beyond the usual</dd>"
		"<dt>P99</dt><dd>nearest rank over all samples of all rounds without warm-up: exact, no buckets</dd>"
		"<dt>resolved</dt><dd>a difference that the noise of these rounds does not explain, at 95 % for the whole "
		"table, and larger than the clock\u2019s quantum</dd>"
		"<dt>proof</dt><dd>of a mode: claimed by the driver, bound (the kernel accepted it), proven by a received "
		"frame</dd></dl></section>\n");
}
