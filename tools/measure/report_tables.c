/* SPDX-License-Identifier: BSD-2-Clause */
/* report_tables.c - everything the page says in tables. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define TABLE "<div class=\"scroll\" tabindex=\"0\"><table>"
#define TABLE_END "</tbody></table></div>\n"

static void more_rows(struct kbp_out *o, uint32_t shown, uint32_t all)
{
	if (all > shown)
		kbp_outf(o, "<p class=\"dim\">%u more are in results.json.</p>\n", all - shown);
}

/* ---------------------------------------------------------------- figures of one unit */

/* A table has one unit, so that figures can be compared at a glance; its digits are those that differ. */
struct unit {
	double ns;
	int digits;
	const char *name;
};

static struct unit unit_of(const struct kbp_report *p, unsigned group)
{
	double least = INFINITY, most = 0;

	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_latency *l = &p->run[i].r->latency;

		if (p->run[i].group != group || !l->samples)
			continue;
		least = l->p50_ns < least ? l->p50_ns : least;
		most = l->p50_ns > most ? l->p50_ns : most;
	}
	if (most < 2000)
		return (struct unit){ 1, 0, "ns" };
	if (least >= 1e6 && isfinite(least))
		return (struct unit){ 1e6, 3, "ms" };
	return (struct unit){ 1e3, most >= 1e6 ? 1 : least < 10000 ? 3 : 2, "\u00b5s" };
}

static void cell_interval(struct kbp_out *o, const struct unit *u, const struct kbp_interval *i)
{
	if (!isfinite(i->lo) || !isfinite(i->hi))
		return;
	kbp_outf(o, "<br><small>%.*f \u2026 %.*f</small>", u->digits, i->lo / u->ns, u->digits,
		 i->hi / u->ns);
}

/* A quantile, with the exact one in the tooltip, and its interval below; NULL: there is none. */
static void cell(struct kbp_out *o, const struct unit *u, const struct kbp_latency *l,
		 unsigned permille, uint32_t ns, const struct kbp_interval *interval)
{
	if (!kbp_latency_known(l, permille)) {
		kbp_out_raw(
			o,
			"<td class=\"n\"><abbr title=\"too few samples to tell\">\u2013</abbr></td>");
		return;
	}
	if (l->saturated && ns == UINT32_MAX) {
		kbp_out_raw(o, "<td class=\"n\" title=\"known from below only\">&gt; 4.29 s</td>");
		return;
	}
	kbp_outf(o, "<td class=\"n\" title=\"%u ns\">%.*f", ns, u->digits, ns / u->ns);
	if (interval)
		cell_interval(o, u, interval);
	kbp_out_raw(o, "</td>");
}

static void cells(struct kbp_out *o, const struct unit *u, const struct kbp_latency *l,
		  const struct kbp_result_intervals *i)
{
	bool known = i && i->known;

	cell(o, u, l, 500, l->p50_ns, known ? &i->p50 : NULL);
	cell(o, u, l, 900, l->p90_ns, NULL);
	cell(o, u, l, 990, l->p99_ns, known ? &i->p99 : NULL);
	cell(o, u, l, 999, l->p999_ns, NULL);
	cell(o, u, l, 1000, l->max_ns, NULL);
	if (l->p99_ns == UINT32_MAX)
		kbp_out_raw(o, "<td class=\"n\">unknown</td>");
	else
		cell(o, u, l, 990, l->gap_ns, known ? &i->gap : NULL);
}

/* ---------------------------------------------------------------- the table of a group */

static void cell_mode(struct kbp_out *o, const struct kbp_result_run *r)
{
	kbp_out_in(o, r->note[0] ? "<td class=\"some\">" : "<td>", r->mode, "");
	kbp_out_in(o, " <span class=\"chip\">", r->proof, "</span>");
	if (strcmp(r->requested, "auto") != 0 && strcmp(r->requested, r->mode) != 0)
		kbp_out_in(o, "<br><small>requested: ", r->requested, "</small>");
	if (r->note[0])
		kbp_out_in(o, "<br><small>", r->note, "</small>");
	kbp_out_raw(o, "</td>");
}

static void cell_drops(struct kbp_out *o, const struct kbp_result_run *r)
{
	char count[32];

	kbp_out_raw(o, "<td>");
	if (!r->n_drops)
		kbp_out_raw(o, "none");
	for (uint32_t i = 0; i < r->n_drops && i < KBP_RESULTS_COUNTS_MAX; i++) {
		kbp_out_in(o, i ? "<br>" : "", r->drop[i].name, " ");
		kbp_out_raw(o, kbp_text_count(r->drop[i].value, count));
	}
	if (r->over_attributed)
		kbp_outf(o, "<br><small>counters say %s too many</small>",
			 kbp_text_count(r->over_attributed, count));
	kbp_out_raw(o, "</td>");
}

static void group_row(struct kbp_out *o, const struct kbp_report_run *run, const struct unit *u)
{
	const struct kbp_result_run *r = run->r;
	char count[32];

	kbp_out_in(o, "<tr><th scope=\"row\">", r->backend, "");
	if (r->variant)
		kbp_out_in(o, "<br><small>variant of ", r->base, "</small>");
	if (r->planted_ns > 0)
		kbp_outf(o, "<br><small>%s planted</small>", kbp_text_ns(r->planted_ns, count));
	kbp_out_raw(o, "</th>");
	cell_mode(o, r);
	kbp_outf(o, "<td class=\"n\">%s</td>", kbp_text_count(r->sent, count));
	kbp_outf(o, "<td class=\"n\">%s</td>", kbp_text_count(r->delivered, count));
	cell_drops(o, r);
	kbp_outf(o, "<td class=\"n\">%s</td>", kbp_text_count(r->unattributed, count));
	cells(o, u, &r->latency, &r->interval);
	kbp_outf(o, "<td class=\"n\">%s</td></tr>\n", kbp_text_count(r->latency.samples, count));
}

void kbp_page_group_table(struct kbp_report *p, unsigned group)
{
	struct unit u = unit_of(p, group);
	struct kbp_out *o = &p->out;
	bool intervals = false;

	kbp_outf(o,
		 TABLE
		 "<thead><tr><th>backend</th><th>mode, proof</th><th class=\"n\">sent</th>"
		 "<th class=\"n\">delivered</th><th>drops</th><th class=\"n\">unat\u00adtributed</th><th class=\"n\">P50 "
		 "%s</th><th class=\"n\">P90</th><th class=\"n\">P99</th><th class=\"n\">P99.9</th><th class=\"n\">max</th>"
		 "<th class=\"n\">gap %s</th><th class=\"n\">samples</th></tr></thead><tbody>\n",
		 u.name, u.name);
	for (unsigned i = 0; i < p->n_runs; i++)
		if (p->run[i].group == group) {
			group_row(o, &p->run[i], &u);
			intervals = intervals || p->run[i].r->interval.known;
		}
	kbp_out_raw(o, TABLE_END);
	kbp_outf(o,
		 "<p class=\"dim\">%s Gap is P99 \u2212 P50. In the order measured, unranked: see the verdicts.</p>\n",
		 intervals ? "Small: 95 % intervals, by rounds." :
			     "There are no intervals in these results.");
	for (unsigned i = 0; i < p->n_runs; i++)
		if (p->run[i].group == group && p->run[i].differs[0]) {
			kbp_out_in(o, "<p class=\"finding\"><span class=\"chip bad\">samples</span> ",
				   p->run[i].r->backend, ": ");
			kbp_out_in(o, "", p->run[i].differs,
				   "; the curves and the table are not of one bench.</p>\n");
		}
}

/* ---------------------------------------------------------------- parts of a latency */

static void part_row(struct kbp_out *o, const struct kbp_result_run *r, const char *part,
		     const char *by, const struct kbp_latency *l,
		     const struct kbp_result_intervals *i)
{
	struct unit u = { 1e3, 3, "\u00b5s" };
	char count[32];

	kbp_out_in(o, "<tr><th scope=\"row\">", r->backend, "</th>");
	kbp_outf(o, "<td>%s</td>", part);
	kbp_out_in(o, "<td>", by, "</td>");
	cells(o, &u, l, i);
	kbp_outf(o, "<td class=\"n\">%s</td></tr>\n", kbp_text_count(l->samples, count));
}

void kbp_page_parts(struct kbp_report *p)
{
	struct kbp_out *o = &p->out;
	bool any = false;

	for (unsigned i = 0; i < p->n_runs; i++)
		any = any || p->run[i].r->stamps.source[0] || p->run[i].r->tx.samples;
	if (!any)
		return;
	kbp_out_raw(
		o,
		"<section id=\"parts\"><h2>Parts of the latency</h2>\n" TABLE
		"<thead><tr><th>backend</th><th>part</th><th>by whose stamp</th><th class=\"n\">P50 \u00b5s</th>"
		"<th class=\"n\">P90</th><th class=\"n\">P99</th><th class=\"n\">P99.9</th><th class=\"n\">max</th>"
		"<th class=\"n\">gap \u00b5s</th><th class=\"n\">samples</th></tr></thead><tbody>\n");
	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_result_run *r = p->run[i].r;
		const struct kbp_result_stamps *s = &r->stamps;
		char by[120];

		snprintf(by, sizeof(by), "%s, %s, %s; converted within %llu ns", s->source,
			 s->epoch, s->proof, (unsigned long long)s->error_ns);
		if (s->source[0]) {
			part_row(o, r, "wire_to_stamp", by, &s->wire_to_stamp, NULL);
			part_row(o, r, "rx_path", by, &s->rx_path, NULL);
		}
		if (r->tx.samples)
			part_row(o, r, "tx", "the CPU's counter", &r->tx, &r->tx_interval);
	}
	kbp_out_raw(
		o, TABLE_END
		"<p class=\"dim\">A NIC, a driver and the kernel stamp different moments: a part is comparable only with "
		"the same part by the same source, and never with a whole latency.</p></section>\n");
}

/* ---------------------------------------------------------------- verdicts */

static const char *metric_name(const char *metric)
{
	return !strcmp(metric, "p50") ? "P50" :
	       !strcmp(metric, "p99") ? "P99" :
	       !strcmp(metric, "gap") ? "gap" :
					metric;
}

static void cell_difference(struct kbp_out *o, const struct kbp_verdict *v)
{
	char a[32], b[32], c[32];

	if (!v->measured) {
		kbp_out_raw(o, "<td>\u2013</td><td>\u2013</td>");
		return;
	}
	kbp_outf(o, "<td class=\"n\" title=\"a \u2212 b: %.6g ns\">%s%s</td>", v->diff_ns,
		 v->diff_ns > 0 ? "+" : "", kbp_text_ns(v->diff_ns, a));
	kbp_outf(o, "<td class=\"n\">%s%s \u2026 %s%s</td>", v->lo_ns > 0 ? "+" : "",
		 kbp_text_ns(v->lo_ns, b), v->hi_ns > 0 ? "+" : "", kbp_text_ns(v->hi_ns, c));
}

/* What the difference is known to be, where it was planted. */
static void cell_planted(struct kbp_report *p, const struct kbp_verdict *v)
{
	const struct kbp_report_run *a = kbp_report_find(p, v->a, v->rate_pps),
				    *b = kbp_report_find(p, v->b, v->rate_pps);
	double planted = (a ? a->r->planted_ns : 0) - (b ? b->r->planted_ns : 0);
	char text[32];

	if (planted < 0 || planted > 0)
		kbp_outf(&p->out, "<br><small>%s planted</small>", kbp_text_ns(planted, text));
}

/* The n verdicts from v on are alike but for their metric. */
static void verdict_row(struct kbp_report *p, const struct kbp_verdict *v, uint32_t n)
{
	int lower = kbp_verdict_lower(p, v);
	struct kbp_out *o = &p->out;
	char count[32];

	kbp_out_in(o, "<tr><th scope=\"row\">", v->a, " \u2212 ");
	kbp_out_text(o, v->b);
	cell_planted(p, v);
	kbp_out_in(o, "</th><td>", v->kind, "");
	if (v->rate_pps)
		kbp_outf(o, "<br><small>%s frames/s</small>", kbp_text_count(v->rate_pps, count));
	kbp_out_in(o, "</td><td>", n < 3 ? metric_name(v->metric) : "all", "");
	if (n == 2)
		kbp_out_in(o, ", ", metric_name(v[1].metric), "");
	kbp_out_raw(o, "</td>");
	cell_difference(o, v);
	if (lower) {
		kbp_out_in(o, "<td><span class=\"chip good\">resolved</span> ",
			   lower < 0 ? v->a : v->b, " is lower</td>");
	} else if (v->measured && !v->resolved && !strcmp(v->why, "overlap")) {
		kbp_out_raw(o,
			    "<td><span class=\"chip\">not resolved</span> the interval holds 0</td>");
	} else {
		kbp_out_in(o, "<td class=\"some\"><span class=\"chip\">not resolved</span> ",
			   kbp_verdict_why(p, v), "</td>");
	}
	if (v->measured)
		kbp_outf(o, "<td class=\"n\" title=\"uncorrected: %.3g\">%.2g</td>", v->p,
			 v->p_table);
	else
		kbp_out_raw(o, "<td>\u2013</td>");
	if (v->samples_needed)
		kbp_outf(o, "<td class=\"n\">%s<br><small>%u rounds</small></td>",
			 kbp_text_count(v->samples_needed, count), v->rounds_needed);
	else
		kbp_out_raw(o, "<td class=\"n\">unknown</td>");
	if (v->measured)
		kbp_outf(o, "<td class=\"n\">%s</td></tr>\n",
			 kbp_text_ns(1e3 * fabs(v->work_us_per_s), count));
	else
		kbp_out_raw(o, "<td>\u2013</td></tr>\n");
}

/* Of one pair, which must not be compared in either metric, for the same reason. */
static bool same_refusal(const struct kbp_verdict *a, const struct kbp_verdict *b)
{
	return !a->measured && !b->measured && !strcmp(a->a, b->a) && !strcmp(a->b, b->b) &&
	       !strcmp(a->kind, b->kind) && a->rate_pps == b->rate_pps && !strcmp(a->text, b->text);
}

void kbp_page_verdicts(struct kbp_report *p)
{
	const struct kbp_results *res = p->res;
	uint32_t n = res->n_verdicts < KBP_PAGE_ROWS ? res->n_verdicts : KBP_PAGE_ROWS;
	struct kbp_out *o = &p->out;

	if (!p->n_runs)
		return;
	kbp_out_raw(o, "<section id=\"verdicts\"><h2>Verdicts</h2>\n");
	if (!n) {
		kbp_outf(o, "<p>%s</p></section>\n",
			 p->n_runs < 2 ?
				 "One run was measured: there is nothing to compare it with." :
				 "These results hold no verdicts, so nothing here is ranked.");
		return;
	}
	kbp_out_raw(
		o, TABLE
		"<thead><tr><th>pair</th><th>latency</th><th>metric</th><th class=\"n\">difference</th>"
		"<th class=\"n\">95 % interval</th><th>verdict</th><th class=\"n\">p (Holm)</th>"
		"<th class=\"n\">samples needed</th><th class=\"n\">work a second</th></tr></thead>"
		"<tbody>\n");
	for (uint32_t i = 0, alike; i < n; i += alike) {
		for (alike = 1;
		     i + alike < n && same_refusal(&res->verdict[i], &res->verdict[i + alike]);
		     alike++)
			;
		verdict_row(p, &res->verdict[i], alike);
	}
	kbp_out_raw(
		o, TABLE_END
		"<p class=\"dim\">Difference is first minus second: negative means that the first is lower. "
		"The interval is of that comparison alone; p is corrected for all comparisons of the table "
		"(Holm). Samples needed, of each, to resolve this difference at this noise. Work: the "
		"difference times the rate.</p>\n");
	more_rows(o, n, res->n_verdicts);
	kbp_out_raw(o, "</section>\n");
}

/* ---------------------------------------------------------------- findings */

static void finding_list(struct kbp_out *o, const struct kbp_results *res, bool note)
{
	uint32_t shown = 0;

	for (uint32_t i = 0; i < res->n_findings && shown < KBP_PAGE_ROWS; i++) {
		const struct kbp_finding *f = &res->finding[i];

		if (f->note != note)
			continue;
		shown++;
		kbp_outf(o, "<li class=\"%s\"><span class=\"chip %s\">", note ? "note" : "finding",
			 note ? "" : "bad");
		kbp_out_in(o, "", f->code, "</span> ");
		kbp_out_in(o, "", f->backend, f->backend[0] ? ": " : "");
		kbp_out_in(o, "", f->text, "</li>\n");
	}
}

void kbp_page_findings(struct kbp_report *p)
{
	const struct kbp_results *res = p->res;
	struct kbp_out *o = &p->out;

	kbp_out_raw(o, "<section id=\"findings\"><h2>Findings and notes</h2>\n");
	if (!res->n_findings)
		kbp_out_raw(o, "<p>None.</p>");
	else {
		kbp_out_raw(o, "<ul class=\"plain\">\n");
		finding_list(o, res, false);
		finding_list(o, res, true);
		kbp_out_raw(o, "</ul>");
	}
	kbp_out_raw(o, "</section>\n");
}

/* ---------------------------------------------------------------- facts */

static void fact_table(struct kbp_out *o, const char *id, const char *title,
		       const struct kbp_fact *f, uint32_t n)
{
	uint32_t shown = n < KBP_PAGE_ROWS ? n : KBP_PAGE_ROWS;

	kbp_outf(o, "<section id=\"%s\"><h2>%s</h2>\n", id, title);
	if (!n)
		kbp_out_raw(o, "<p>Nothing was recorded.</p>");
	else {
		kbp_out_raw(o, "<table class=\"facts\"><tbody>\n");
		for (uint32_t i = 0; i < shown; i++) {
			kbp_out_in(o, "<tr><th scope=\"row\">", f[i].name, "</th>");
			kbp_out_in(o, "<td>", f[i].value, "</td></tr>\n");
		}
		kbp_out_raw(o, "</tbody></table>");
		more_rows(o, shown, n);
	}
	kbp_out_raw(o, "</section>\n");
}

void kbp_page_facts(struct kbp_report *p)
{
	kbp_out_raw(&p->out, "<div class=\"two\">\n");
	fact_table(&p->out, "setup", "Setup", p->res->setup, p->res->n_setup);
	fact_table(&p->out, "fingerprint", "Fingerprint of the host", p->res->fingerprint,
		   p->res->n_fingerprint);
	kbp_out_raw(&p->out, "</div>\n");
}
