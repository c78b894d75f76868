/* SPDX-License-Identifier: BSD-2-Clause */
/* report_plots.c - the plots of a group of runs: gaps with intervals, percentiles, histogram. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* Room for a plot of W by H with words at its left and below. */
#define W 640u
#define H 360u
#define LEFT 66.0
#define RIGHT (W - 14.0)
#define TOP 12.0
#define BOTTOM (H - 40.0)

/* "gap", "gap-2": the first group has the plain name. */
static const char *plot_id(const char *name, unsigned group, char buf[32])
{
	if (group)
		snprintf(buf, 32, "%s-%u", name, group + 1);
	else
		snprintf(buf, 32, "%s", name);
	return buf;
}

static const struct kbp_report_run *next_of(const struct kbp_report *p, unsigned group, unsigned *i)
{
	while (*i < p->n_runs) {
		const struct kbp_report_run *run = &p->run[(*i)++];

		if (run->group == group)
			return run;
	}
	return NULL;
}

static bool gap_known(const struct kbp_result_run *r)
{
	return kbp_latency_known(&r->latency, 990) && r->latency.p99_ns != UINT32_MAX;
}

static bool interval_drawn(const struct kbp_result_run *r)
{
	const struct kbp_interval *g = &r->interval.gap;

	return r->interval.known && isfinite(g->lo) && isfinite(g->hi) && g->lo <= g->hi;
}

/* ---------------------------------------------------------------- gap */

static void gap_words(struct kbp_out *o, const struct kbp_result_run *r)
{
	char a[32], b[32], c[32];

	if (!gap_known(r))
		kbp_out_raw(o, "unknown: too few samples");
	else if (interval_drawn(r))
		kbp_outf(o, "%s, 95 %% interval %s to %s", kbp_text_ns(r->latency.gap_ns, a),
			 kbp_text_ns(r->interval.gap.lo, b), kbp_text_ns(r->interval.gap.hi, c));
	else
		kbp_outf(o, "%s, no interval", kbp_text_ns(r->latency.gap_ns, a));
}

static void gap_row(struct kbp_out *o, const struct kbp_axis *x, const struct kbp_report_run *run,
		    unsigned number, double y)
{
	const struct kbp_result_run *r = run->r;
	char a[16], b[16], c[16];

	kbp_outf(o, "<g class=\"f%u r%u\" data-run=\"r%u\">", run->style, number, number);
	kbp_svg_text(o, 176, y + 4, "name end", r->backend);
	if (gap_known(r)) {
		if (interval_drawn(r))
			kbp_outf(o, "<path class=\"whisker s%u\" d=\"M%s %sH%s\"/>", run->style,
				 kbp_text_at(kbp_axis_at(x, r->interval.gap.lo), a),
				 kbp_text_at(y, b),
				 kbp_text_at(kbp_axis_at(x, r->interval.gap.hi), c));
		kbp_svg_mark_begin(o, run->style, kbp_axis_at(x, r->latency.gap_ns), y, 5, "mark");
		kbp_out_in(o, "", r->backend, ": gap ");
		gap_words(o, r);
		kbp_outf(o, " (%u ns)", r->latency.gap_ns);
		kbp_svg_mark_end(o);
	}
	kbp_outf(o, "<text class=\"value\" x=\"650\" y=\"%s\">", kbp_text_at(y + 4, a));
	gap_words(o, r);
	kbp_out_raw(o, "</text></g>\n");
}

/* The figure that decides. From 0, unless that would press most of them into one place. */
void kbp_page_gap(struct kbp_report *p, unsigned group)
{
	double lo = INFINITY, hi = 0;
	const struct kbp_report_run *run;
	struct kbp_axis x;
	char id[32];
	unsigned n = p->group[group].n_runs, at = 0, row = 0;

	while ((run = next_of(p, group, &at)) != NULL) {
		double v = run->r->latency.gap_ns;

		if (!gap_known(run->r))
			continue;
		lo = v < lo ? v : lo;
		hi = v > hi ? v : hi;
		if (interval_drawn(run->r) && run->r->interval.gap.hi > hi)
			hi = run->r->interval.gap.hi;
	}
	kbp_axis_make(&x, hi > 40 * lo && lo >= 1, hi > 40 * lo && lo >= 1 ? lo / 1.5 : 0,
		      hi * 1.04, 190, 630);
	kbp_svg_begin(&p->out, plot_id("gap", group, id), 960, 34 * n + 34,
		      x.log ? "Gap (P99 \u2212 P50) with 95 % intervals, logarithmic axis" :
			      "Gap (P99 \u2212 P50) with 95 % intervals, axis from 0",
		      "",
		      "A row for each backend: a mark at its gap, a bar over the 95 percent interval; the figures "
		      "stand at the right and in the table.");
	kbp_svg_grid_x(&p->out, &x, 6, 34 * n + 6, true);
	at = 0;
	while ((run = next_of(p, group, &at)) != NULL)
		gap_row(&p->out, &x, run, (unsigned)(run - p->run), 23 + 34.0 * row++);
	kbp_svg_end(&p->out);
}

/* ---------------------------------------------------------------- percentiles */

/* 1/(1 - q); the maximum of n samples stands where its rank is. */
static double level_x(const struct kbp_level *l, uint64_t n)
{
	return l->q < 1 ? 1 / (1 - l->q) : (double)n;
}

static void curve(struct kbp_report *p, unsigned number, const struct kbp_axis *x,
		  const struct kbp_axis *y)
{
	const struct kbp_report_run *run = &p->run[number];
	/* solid as far as ten samples lie beyond, thin and dotted where they are fewer */
	double certain = (double)run->n_samples / 10;
	struct kbp_path path = { .o = &p->out };
	unsigned i = 0;

	kbp_outf(&p->out, "<path class=\"line s%u d%u r%u\" data-run=\"r%u\" d=\"", run->style,
		 run->style, number, number);
	for (; i < run->n_levels && level_x(&run->level[i], run->n_samples) <= certain; i++)
		kbp_path_to(&path, kbp_axis_at(x, level_x(&run->level[i], run->n_samples)),
			    kbp_axis_at(y, run->level[i].ns));
	kbp_outf(&p->out, "\"/>\n<path class=\"line few s%u r%u\" data-run=\"r%u\" d=\"",
		 run->style, number, number);
	path.drawing = false;
	for (i = i ? i - 1 : 0; i < run->n_levels; i++)
		kbp_path_to(&path, kbp_axis_at(x, level_x(&run->level[i], run->n_samples)),
			    kbp_axis_at(y, run->level[i].ns));
	kbp_out_raw(&p->out, "\"/>\n");
}

static void curve_mark(struct kbp_report *p, unsigned number, const struct kbp_axis *x,
		       const struct kbp_axis *y, const char *name, double at, uint32_t ns)
{
	const struct kbp_report_run *run = &p->run[number];
	char text[32];

	kbp_svg_mark_begin(&p->out, run->style, kbp_axis_at(x, at), kbp_axis_at(y, ns), 4, "mark");
	kbp_out_in(&p->out, "", run->r->backend, "");
	kbp_outf(&p->out, ": %s %s (%u ns)", name, kbp_text_ns(ns, text), ns);
	kbp_svg_mark_end(&p->out);
}

static void curve_marks(struct kbp_report *p, unsigned number, const struct kbp_axis *x,
			const struct kbp_axis *y)
{
	const struct kbp_report_run *run = &p->run[number];
	const struct kbp_latency *l = &run->r->latency;
	const struct {
		const char *name;
		unsigned permille;
		uint32_t ns;
		double at;
	} mark[] = {
		{ "P50", 500, l->p50_ns, 2 },
		{ "P90", 900, l->p90_ns, 10 },
		{ "P99", 990, l->p99_ns, 100 },
		{ "P99.9", 999, l->p999_ns, 1000 },
		{ "max", 1000, l->max_ns, (double)l->samples },
	};

	kbp_outf(&p->out, "<g class=\"f%u r%u\" data-run=\"r%u\">", run->style, number, number);
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(mark); i++)
		if (kbp_latency_known(l, mark[i].permille))
			curve_mark(p, number, x, y, mark[i].name, mark[i].at, mark[i].ns);
	kbp_out_raw(&p->out, "</g>\n");
}

static void percentile_grid(struct kbp_out *o, const struct kbp_axis *x)
{
	static const char *const name[] = { "0",       "90 %",	   "99 %",	"99.9 %",
					    "99.99 %", "99.999 %", "99.9999 %", "99.99999 %" };
	char a[16];
	double v = 1;

	for (unsigned i = 0; i < KBP_ARRAY_SIZE(name) && v <= x->hi; i++, v *= 10) {
		double at = kbp_axis_at(x, v);

		kbp_outf(o, "<path class=\"grid\" d=\"M%s %gV%g\"/>", kbp_text_at(at, a), TOP,
			 BOTTOM);
		kbp_svg_text(o, at, BOTTOM + 16, at > RIGHT - 24 ? "tick end" : "tick mid", name[i]);
	}
	kbp_outf(o, "<path class=\"grid\" d=\"M%s %gV%g\"/>", kbp_text_at(kbp_axis_at(x, 2), a),
		 TOP, BOTTOM);
	kbp_svg_text(o, kbp_axis_at(x, 2), BOTTOM + 16, "tick mid", "50 %");
	kbp_svg_text(
		o, (LEFT + RIGHT) / 2, H - 6.0, "tick mid",
		"percentile, evenly in 1/(1 \u2212 q): each step to the right is ten times rarer");
}

/* Says for each run without samples why it is not in a plot. */
static void missing_words(struct kbp_report *p, unsigned group)
{
	const struct kbp_report_run *run;
	unsigned at = 0;

	while ((run = next_of(p, group, &at)) != NULL)
		if (run->missing[0]) {
			kbp_out_in(&p->out, "<p class=\"dim\">No curve of ", run->r->backend, ": ");
			kbp_out_in(&p->out, "", run->missing, ".</p>\n");
		}
}

void kbp_page_percentiles(struct kbp_report *p, unsigned group)
{
	double lo = INFINITY, hi = 1, n = 10;
	const struct kbp_report_run *run;
	struct kbp_axis x, y;
	unsigned at = 0;
	char id[32];

	while ((run = next_of(p, group, &at)) != NULL) {
		if (!run->n_levels)
			continue;
		lo = run->level[0].ns < lo ? run->level[0].ns : lo;
		hi = run->level[run->n_levels - 1].ns > hi ? run->level[run->n_levels - 1].ns : hi;
		n = (double)run->n_samples > n ? (double)run->n_samples : n;
	}
	kbp_axis_make(&x, true, 1, n, LEFT, RIGHT);
	kbp_axis_make(&y, true, lo / 1.05, hi * 1.05, BOTTOM, TOP);
	kbp_svg_begin(&p->out, plot_id("percentiles", group, id), W, H, "Latency by percentile", "",
		      "A rising line for each backend: latency, logarithmic, over the percentile. Dotted where fewer "
		      "than ten samples lie beyond. P50 to the maximum are in the table.");
	percentile_grid(&p->out, &x);
	kbp_svg_grid_y(&p->out, &y, LEFT, RIGHT, true);
	for (unsigned i = 0; i < p->n_runs; i++) {
		if (p->run[i].group != group || !p->run[i].n_levels)
			continue;
		curve(p, i, &x, &y);
		curve_marks(p, i, &x, &y);
	}
	kbp_svg_end(&p->out);
	kbp_page_legend(p, group);
	missing_words(p, group);
}

/* ---------------------------------------------------------------- histogram */

/* Share of the samples for each percent of latency, in percent: bins differ in width, by whole steps of the clock. */
static double density(const struct kbp_report_run *run, const struct kbp_report_group *g, unsigned b)
{
	double lo = g->edge[b] ? g->edge[b] : 0.5, width = log(g->edge[b + 1] / lo) / log(1.01);

	return run->n_samples ? 100 * (double)run->bin[b] / (double)run->n_samples / width : 0;
}

static void steps(struct kbp_report *p, unsigned number, const struct kbp_axis *x,
		  const struct kbp_axis *y)
{
	const struct kbp_report_run *run = &p->run[number];
	const struct kbp_report_group *g = &p->group[run->group];
	struct kbp_path path = { .o = &p->out };

	kbp_outf(&p->out, "<path class=\"line s%u d%u r%u\" data-run=\"r%u\" d=\"", run->style,
		 run->style, number, number);
	kbp_path_to(&path, kbp_axis_at(x, g->edge[0]), kbp_axis_at(y, 0));
	for (unsigned b = 0; b < g->n_bins; b++) {
		double h = kbp_axis_at(y, density(run, g, b));

		kbp_path_to(&path, kbp_axis_at(x, g->edge[b]), h);
		kbp_path_to(&path, kbp_axis_at(x, g->edge[b + 1]), h);
	}
	kbp_path_to(&path, kbp_axis_at(x, g->edge[g->n_bins]), kbp_axis_at(y, 0));
	kbp_out_raw(&p->out, "\"/>\n");
}

static void peak_mark(struct kbp_report *p, unsigned number, const struct kbp_axis *x,
		      const struct kbp_axis *y)
{
	const struct kbp_report_run *run = &p->run[number];
	const struct kbp_report_group *g = &p->group[run->group];
	char a[32], b[32];
	unsigned top = 0;

	for (unsigned i = 1; i < g->n_bins; i++)
		top = density(run, g, i) > density(run, g, top) ? i : top;
	kbp_outf(&p->out, "<g class=\"f%u r%u\" data-run=\"r%u\">", run->style, number, number);
	kbp_svg_mark_begin(&p->out, run->style,
			   (kbp_axis_at(x, g->edge[top]) + kbp_axis_at(x, g->edge[top + 1])) / 2,
			   kbp_axis_at(y, density(run, g, top)), 4, "mark");
	kbp_out_in(&p->out, "", run->r->backend, "");
	kbp_outf(&p->out, ": most often from %s to %s, %llu samples", kbp_text_ns(g->edge[top], a),
		 kbp_text_ns(g->edge[top + 1], b), (unsigned long long)run->bin[top]);
	kbp_svg_mark_end(&p->out);
	kbp_out_raw(&p->out, "</g>\n");
}

static void beyond_words(struct kbp_report *p, unsigned group)
{
	const struct kbp_report_run *run;
	char a[32], b[32];
	unsigned at = 0;
	bool any = false;

	kbp_outf(&p->out, "<p class=\"dim\">The axis ends at %s, the largest P99.9.",
		 kbp_text_ns(p->group[group].edge[p->group[group].n_bins], a));
	while ((run = next_of(p, group, &at)) != NULL) {
		if (!run->beyond)
			continue;
		kbp_out_in(&p->out, any ? ", " : " Beyond it lie: ", run->r->backend, " ");
		kbp_outf(&p->out, "%s of %s samples", kbp_text_count(run->beyond, a),
			 kbp_text_count(run->n_samples, b));
		any = true;
	}
	kbp_outf(&p->out, "%s</p>\n", any ? "." : "");
}

void kbp_page_histogram(struct kbp_report *p, unsigned group)
{
	const struct kbp_report_group *g = &p->group[group];
	const struct kbp_report_run *run;
	double top = 0;
	struct kbp_axis x, y;
	unsigned at = 0;
	char id[32];

	while ((run = next_of(p, group, &at)) != NULL)
		for (unsigned b = 0; b < g->n_bins; b++)
			top = density(run, g, b) > top ? density(run, g, b) : top;
	kbp_axis_make(&x, true, g->n_bins ? g->edge[0] : 1, g->n_bins ? g->edge[g->n_bins] : 10,
		      LEFT, RIGHT);
	kbp_axis_make(&y, false, 0, top * 1.06, BOTTOM, TOP);
	kbp_svg_begin(
		&p->out, plot_id("histogram", group, id), W, H, "How often which latency occurs", "",
		"A stepped line for each backend: the share of its samples, in percent, for each percent of "
		"latency, over latency on a logarithmic axis.");
	kbp_svg_grid_x(&p->out, &x, TOP, BOTTOM, true);
	kbp_svg_grid_y(&p->out, &y, LEFT, RIGHT, false);
	kbp_svg_text(&p->out, (LEFT + RIGHT) / 2, H - 6.0, "tick mid",
		     "latency, logarithmic; upwards: % of the samples in 1 % of latency");
	for (unsigned i = 0; i < p->n_runs; i++)
		if (p->run[i].group == group && p->run[i].n_samples && g->n_bins) {
			steps(p, i, &x, &y);
			peak_mark(p, i, &x, &y);
		}
	kbp_svg_end(&p->out);
	kbp_page_legend(p, group);
	if (g->n_bins)
		beyond_words(p, group);
}
