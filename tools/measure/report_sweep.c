/* SPDX-License-Identifier: BSD-2-Clause */
/* report_sweep.c - the gap over the rate, where several rates were measured. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define W 1120u
#define H 300u
#define LEFT 66.0
#define RIGHT (W - 14.0)
#define TOP 10.0
#define BOTTOM (H - 40.0)

/* Runs of one class and kind, whatever their rate, as the first group of them has it. */
static bool of_sweep(const struct kbp_report *p, const struct kbp_report_run *run, unsigned first)
{
	const struct kbp_report_group *a = &p->group[first], *b = &p->group[run->group];

	return a->class == b->class && !strcmp(a->kind, b->kind) && b->rate_pps &&
	       kbp_latency_known(&run->r->latency, 990) && run->r->latency.p99_ns != UINT32_MAX;
}

/* Is no earlier group of the same class and kind, and is a later one of another rate? */
static bool is_first(const struct kbp_report *p, unsigned group)
{
	const struct kbp_report_group *g = &p->group[group];
	bool more = false;

	for (unsigned i = 0; i < p->n_groups; i++) {
		const struct kbp_report_group *o = &p->group[i];

		if (i == group || o->class != g->class || strcmp(o->kind, g->kind) != 0 ||
		    !o->rate_pps)
			continue;
		if (i < group)
			return false;
		more = true;
	}
	return more && g->rate_pps;
}

/* The first run of that name in the sweep: the others have its colour and mark. */
static unsigned first_named(const struct kbp_report *p, unsigned number, unsigned group)
{
	for (unsigned i = 0; i < number; i++)
		if (of_sweep(p, &p->run[i], group) &&
		    !strcmp(p->run[i].r->backend, p->run[number].r->backend))
			return i;
	return number;
}

static void axes(const struct kbp_report *p, unsigned group, struct kbp_axis *x, struct kbp_axis *y)
{
	double x_lo = INFINITY, x_hi = 0, y_lo = INFINITY, y_hi = 0;

	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_result_run *r = p->run[i].r;
		double gap = r->latency.gap_ns, rate = (double)r->rate_pps;

		if (!of_sweep(p, &p->run[i], group))
			continue;
		x_lo = rate < x_lo ? rate : x_lo;
		x_hi = rate > x_hi ? rate : x_hi;
		y_lo = gap < y_lo ? gap : y_lo;
		y_hi = gap > y_hi ? gap : y_hi;
	}
	kbp_axis_make(x, true, x_lo / 1.15, x_hi * 1.15, LEFT, RIGHT);
	kbp_axis_make(y, true, y_lo / 1.4, y_hi * 1.4, BOTTOM, TOP);
}

/* The run of that name with the next higher rate; p->n_runs: there is none. */
static unsigned next_rate(const struct kbp_report *p, unsigned group, const char *backend,
			  uint64_t above)
{
	unsigned found = p->n_runs;

	for (unsigned i = 0; i < p->n_runs; i++) {
		const struct kbp_result_run *r = p->run[i].r;

		if (of_sweep(p, &p->run[i], group) && !strcmp(r->backend, backend) &&
		    r->rate_pps > above &&
		    (found == p->n_runs || r->rate_pps < p->run[found].r->rate_pps))
			found = i;
	}
	return found;
}

static void point(struct kbp_report *p, unsigned number, unsigned style, const struct kbp_axis *x,
		  const struct kbp_axis *y)
{
	const struct kbp_result_run *r = p->run[number].r;
	const struct kbp_interval *g = &r->interval.gap;
	double at = kbp_axis_at(x, (double)r->rate_pps);
	struct kbp_out *o = &p->out;
	char a[32], b[32], c[32];

	if (r->interval.known && g->lo <= g->hi)
		kbp_outf(o, "<path class=\"whisker s%u\" d=\"M%s %sV%s\"/>", style,
			 kbp_text_at(at, a), kbp_text_at(kbp_axis_at(y, g->lo), b),
			 kbp_text_at(kbp_axis_at(y, g->hi), c));
	kbp_svg_mark_begin(o, style, at, kbp_axis_at(y, r->latency.gap_ns), 4.5, "mark");
	kbp_out_in(o, "", r->backend, "");
	kbp_outf(o, " at %s frames/s: gap %s", kbp_text_count(r->rate_pps, a),
		 kbp_text_ns(r->latency.gap_ns, b));
	if (r->interval.known)
		kbp_outf(o, ", 95 %% interval %s to %s", kbp_text_ns(g->lo, a),
			 kbp_text_ns(g->hi, c));
	kbp_svg_mark_end(o);
}

/* One backend: a line through its rates, and a mark at each. `number` is its first run. */
static void backend_line(struct kbp_report *p, unsigned number, unsigned group,
			 const struct kbp_axis *x, const struct kbp_axis *y)
{
	const char *backend = p->run[number].r->backend;
	unsigned style = p->run[number].style;
	struct kbp_path path = { .o = &p->out };
	unsigned i;

	kbp_outf(&p->out, "<g class=\"f%u\" data-run=\"r%u\"><path class=\"line s%u d%u\" d=\"",
		 style, number, style, style);
	for (i = next_rate(p, group, backend, 0); i < p->n_runs;
	     i = next_rate(p, group, backend, p->run[i].r->rate_pps))
		kbp_path_to(&path, kbp_axis_at(x, (double)p->run[i].r->rate_pps),
			    kbp_axis_at(y, p->run[i].r->latency.gap_ns));
	kbp_out_raw(&p->out, "\"/>\n");
	for (i = next_rate(p, group, backend, 0); i < p->n_runs;
	     i = next_rate(p, group, backend, p->run[i].r->rate_pps))
		point(p, i, style, x, y);
	kbp_out_raw(&p->out, "</g>\n");
}

static void sweep(struct kbp_report *p, unsigned group)
{
	struct kbp_axis x, y;
	char id[32], subject[40];

	axes(p, group, &x, &y);
	snprintf(id, sizeof(id), "sweep-%u", group + 1);
	snprintf(subject, sizeof(subject), "%s, %s", kbp_class_name(p->group[group].class),
		 p->group[group].kind);
	kbp_svg_begin(&p->out, id, W, H, "Gap (P99 \u2212 P50) over the rate", subject,
		      "A line for each backend: its gap with 95 percent intervals over the rate; both axes are "
		      "logarithmic. The figures are in the table of each rate.");
	kbp_svg_grid_x(&p->out, &x, TOP, BOTTOM, false);
	kbp_svg_grid_y(&p->out, &y, LEFT, RIGHT, true);
	kbp_svg_text(&p->out, (LEFT + RIGHT) / 2, H - 6.0, "tick mid",
		     "frames in a second; upwards: gap, both logarithmic");
	for (unsigned i = 0; i < p->n_runs; i++)
		if (of_sweep(p, &p->run[i], group) && first_named(p, i, group) == i)
			backend_line(p, i, group, &x, &y);
	kbp_svg_end(&p->out);
	kbp_page_legend(p, group);
}

bool kbp_report_sweeps(const struct kbp_report *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->n_groups; i++)
		any = any || is_first(p, i);
	return any;
}

void kbp_page_sweep(struct kbp_report *p)
{
	if (!kbp_report_sweeps(p))
		return;
	kbp_out_raw(&p->out, "<section id=\"sweep\"><h2>Over the rate</h2>\n");
	for (unsigned i = 0; i < p->n_groups; i++)
		if (is_first(p, i))
			sweep(p, i);
	kbp_out_raw(&p->out, "</section>\n");
}
