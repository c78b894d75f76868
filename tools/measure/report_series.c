/* SPDX-License-Identifier: BSD-2-Clause */
/* report_series.c - samples over time, and what ran while the longest of them were on their way. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define W 1120u
#define H 190u
#define LEFT 66.0
#define RIGHT (W - 14.0)
#define TOP 8.0
#define BOTTOM (H - 34.0)
#define CAUSES_SHOWN 12u

/* Kinds of causes: a mark and a colour each, in the order of the legend. What is of no kind we know counts as the
 * last. */
static const struct {
	const char *kind, *words;
	unsigned shape, colour;
} kinds[] = {
	{ "irq", "interrupt", 2, 1 },
	{ "softirq", "softirq", 1, 4 },
	{ "switch", "context switch", 3, 0 },
	{ "fault", "page fault", 0, 2 },
	{ "syscall", "system call", 4, 3 },
	{ "gap", "a gap that nothing accounts for (hypervisor, SMI)", 5, 6 },
};

static unsigned kind_of(const char *kind)
{
	unsigned i = 0;

	while (i < KBP_ARRAY_SIZE(kinds) - 1 && strcmp(kinds[i].kind, kind) != 0)
		i++;
	return i;
}

/* ---------------------------------------------------------------- over time */

struct frame {
	struct kbp_axis x, y;
	size_t n; /* samples, warm-up included */
};

static void frame_make(const struct kbp_report_run *run, struct frame *f)
{
	double lo = INFINITY, hi = 1;

	f->n = 0;
	for (uint32_t i = 0; i < run->r->n_rounds; i++)
		f->n += run->r->round[i].samples;
	for (unsigned i = 0; i < run->n_buckets; i++) {
		lo = run->bucket[i].min < lo ? run->bucket[i].min : lo;
		hi = run->bucket[i].max > hi ? run->bucket[i].max : hi;
	}
	kbp_axis_make(&f->x, false, 0, (double)f->n, LEFT, RIGHT);
	kbp_axis_make(&f->y, true, lo / 1.1, hi * 1.15, BOTTOM, TOP);
}

/* Rounds begin at lines; their warm-up is shaded. */
static void rounds_draw(struct kbp_out *o, const struct kbp_result_run *r, const struct frame *f)
{
	/* many rounds: their lines would hide the samples */
	uint32_t every = r->n_rounds / 60 + 1;
	char a[16], b[16], name[32];

	for (uint32_t i = 0; i < r->n_rounds; i++) {
		const struct kbp_result_round *d = &r->round[i];
		double from = kbp_axis_at(&f->x, (double)d->first_sample),
		       to = kbp_axis_at(&f->x, (double)(d->first_sample + d->warmup));

		if (i % every)
			continue;
		kbp_outf(o, "<rect class=\"warmup\" x=\"%s\" y=\"%g\" width=\"%s\" height=\"%g\"/>",
			 kbp_text_at(from, a), TOP, kbp_text_at(to - from, b), BOTTOM - TOP);
		kbp_outf(o, "<path class=\"round\" d=\"M%s %gV%g\"/>", a, TOP, BOTTOM + 4);
		if (i % ((r->n_rounds + 11) / 12) == 0) {
			snprintf(name, sizeof(name), "round %u", i + 1);
			kbp_svg_text(o, from + 3, BOTTOM + 16, "tick", name);
		}
	}
}

static double bucket_x(const struct kbp_report_run *run, const struct frame *f, unsigned i)
{
	return kbp_axis_at(&f->x, ((double)i + 0.5) * (double)f->n / run->n_buckets);
}

static void buckets_draw(struct kbp_out *o, const struct kbp_report_run *run, const struct frame *f)
{
	struct kbp_path path = { .o = o };
	char a[16], b[16];

	kbp_outf(o, "<path class=\"band f%u\" d=\"", run->style);
	for (unsigned i = 0; i < run->n_buckets; i++)
		kbp_path_to(&path, bucket_x(run, f, i), kbp_axis_at(&f->y, run->bucket[i].p99));
	for (unsigned i = run->n_buckets; i-- > 0;)
		kbp_path_to(&path, bucket_x(run, f, i), kbp_axis_at(&f->y, run->bucket[i].min));
	kbp_outf(o, "\"/>\n<path class=\"line s%u\" d=\"", run->style);
	path.drawing = false;
	for (unsigned i = 0; i < run->n_buckets; i++)
		kbp_path_to(&path, bucket_x(run, f, i), kbp_axis_at(&f->y, run->bucket[i].p99));
	kbp_out_raw(o, "\"/>\n<path class=\"dots\" d=\"");
	for (unsigned i = 0; i < run->n_buckets; i++)
		kbp_outf(o, "M%s %sh0",
			 kbp_text_at(kbp_axis_at(&f->x, (double)run->bucket[i].at_max), a),
			 kbp_text_at(kbp_axis_at(&f->y, run->bucket[i].max), b));
	kbp_out_raw(o, "\"/>\n");
}

static void outliers_draw(struct kbp_out *o, const struct kbp_result_run *r, const struct frame *f)
{
	const struct kbp_result_explain *e = &r->explain;
	uint32_t n = e->n_outliers < KBP_EXPLAIN_OUTLIERS_MAX ? e->n_outliers :
								KBP_EXPLAIN_OUTLIERS_MAX;
	char text[32];

	for (uint32_t i = 0; i < n; i++) {
		const struct kbp_explain_outlier *out = &e->outlier[i];
		const struct kbp_explain_cause *c =
			out->cause < e->n_causes ? &e->cause[out->cause] : NULL;
		unsigned k = c ? kind_of(c->kind) : KBP_ARRAY_SIZE(kinds) - 1;

		kbp_outf(o, "<g class=\"f%u\">", kinds[k].colour);
		kbp_svg_mark_begin(o, kinds[k].shape, kbp_axis_at(&f->x, (double)out->sample),
				   kbp_axis_at(&f->y, out->ns), 4, "mark out");
		kbp_outf(o, "sample %llu: %s (%u ns), %s", (unsigned long long)out->sample,
			 kbp_text_ns(out->ns, text), out->ns, kinds[k].words);
		if (c && c->name[0])
			kbp_out_in(o, ", ", c->name, "");
		kbp_svg_mark_end(o);
		kbp_out_raw(o, "</g>");
	}
}

static void series_draw(struct kbp_report *p, unsigned number)
{
	const struct kbp_report_run *run = &p->run[number];
	struct kbp_out *o = &p->out;
	struct frame f;
	char id[32], subject[80];

	frame_make(run, &f);
	snprintf(id, sizeof(id), "series-%u", number + 1);
	if (run->r->rate_pps)
		snprintf(subject, sizeof(subject), "%s at %llu frames/s", run->r->backend,
			 (unsigned long long)run->r->rate_pps);
	else
		snprintf(subject, sizeof(subject), "%s", run->r->backend);
	kbp_svg_begin(
		o, id, W, H, "Samples in the order of arrival", subject,
		"Over time: a band from the least sample to P99 of each stretch, a dot at the largest sample of "
		"each, and marks at the longest samples by what ran then. Rounds are parted by lines, their "
		"warm-up is shaded. Latency is logarithmic.");
	kbp_svg_grid_y(o, &f.y, LEFT, RIGHT, true);
	rounds_draw(o, run->r, &f);
	buckets_draw(o, run, &f);
	outliers_draw(o, run->r, &f);
	kbp_svg_end(o);
}

static void kinds_legend(struct kbp_report *p)
{
	struct kbp_out *o = &p->out;

	kbp_out_raw(o, "<ul class=\"legend\" id=\"kinds\">");
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(kinds); i++) {
		kbp_outf(o, "<li><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><g class=\"f%u\">",
			 kinds[i].colour);
		kbp_svg_mark_begin(o, kinds[i].shape, 6, 6, 4.5, "mark out");
		kbp_svg_mark_end(o);
		kbp_outf(o, "</g></svg>%s</li>", kinds[i].words);
	}
	kbp_out_raw(o, "</ul>\n");
}

void kbp_page_series(struct kbp_report *p)
{
	bool explained = false;

	if (!p->n_runs)
		return;
	for (unsigned i = 0; i < p->n_runs; i++)
		explained = explained || p->run[i].r->explain.n_outliers;
	kbp_out_raw(&p->out,
		    "<section id=\"series\"><h2>Over time</h2>\n<p class=\"dim\">Band: from the least sample to P99 "
		    "of each stretch; dots: the largest of each. Warm-up, which the quantiles leave out, is "
		    "shaded.</p>\n");
	if (explained)
		kinds_legend(p);
	for (unsigned i = 0; i < p->n_runs; i++) {
		if (p->run[i].n_buckets) {
			series_draw(p, i);
			continue;
		}
		kbp_out_in(&p->out, "<p class=\"dim\">", p->run[i].r->backend, ": not drawn: ");
		kbp_out_text(&p->out,
			     p->run[i].missing[0] ? p->run[i].missing : "there is no sample");
		kbp_out_raw(&p->out, ".</p>\n");
	}
	kbp_out_raw(&p->out, "</section>\n");
}

/* ---------------------------------------------------------------- causes */

static double share_of(const struct kbp_explain_cause *c)
{
	return isfinite(c->share) && c->share > 0 ? (c->share < 1 ? c->share : 1) : 0;
}

static void cause_row(struct kbp_out *o, const struct kbp_explain_cause *c,
		      const struct kbp_axis *x, double y)
{
	unsigned k = kind_of(c->kind);
	char a[32], b[32], d[16], name[80];

	if (k == KBP_ARRAY_SIZE(kinds) - 1 && !c->name[0])
		strcpy(name, "nothing accounts for it");
	else
		snprintf(name, sizeof(name), "%s%s%s", c->kind, c->name[0] ? " " : "", c->name);
	kbp_svg_text(o, 266, y + 4, "name end", name);
	kbp_outf(o, "<g class=\"f%u\">", kinds[k].colour);
	kbp_svg_mark_begin(o, kinds[k].shape, 277, y, 4, "mark out");
	kbp_svg_mark_end(o);
	kbp_outf(o, "<rect x=\"%g\" y=\"%s\" width=\"%s\" height=\"12\"/></g>", x->at_lo,
		 kbp_text_at(y - 6, d), kbp_text_at(kbp_axis_at(x, share_of(c)) - x->at_lo, a));
	kbp_outf(o,
		 "<text class=\"value\" x=\"%s\" y=\"%s\">%.1f %% of the tail; main cause of %s samples; gap without "
		 "it %s</text>\n",
		 kbp_text_at(kbp_axis_at(x, share_of(c)) + 6, d), kbp_text_at(y + 4, name),
		 100 * share_of(c), kbp_text_count(c->samples, a), kbp_text_ns(c->gap_ns, b));
}

static void causes_of(struct kbp_report *p, unsigned number)
{
	const struct kbp_result_run *r = p->run[number].r;
	const struct kbp_result_explain *e = &r->explain;
	uint32_t n = e->n_causes < CAUSES_SHOWN ? e->n_causes : CAUSES_SHOWN;
	struct kbp_out *o = &p->out;
	struct kbp_axis x;
	char id[32], a[32], b[32];
	double rest = 0;

	kbp_axis_make(&x, false, 0, 1, 290, 720);
	snprintf(id, sizeof(id), "causes-%u", number + 1);
	kbp_svg_begin(o, id, W, 24 * n + 12, "What the tail is made of", r->backend,
		      "A bar for each cause: its share of the time by which the samples of the tail are longer than "
		      "P50; beside it the gap as it would be without this cause.");
	for (uint32_t i = 0; i < n; i++)
		cause_row(o, &e->cause[i], &x, 16 + 24.0 * i);
	kbp_svg_end(o);
	for (uint32_t i = n; i < e->n_causes; i++)
		rest += share_of(&e->cause[i]);
	kbp_outf(o, "<p class=\"dim\">The tail: %s samples longer than %s. ",
		 kbp_text_count(e->tail, a), kbp_text_ns(e->threshold_ns, b));
	kbp_outf(o, "Trace events taken: %s, lost: %s", kbp_text_count(e->events, a),
		 kbp_text_count(e->lost, b));
	if (e->lost)
		kbp_out_raw(o, " <strong>(the causes are incomplete)</strong>");
	kbp_outf(o, ". A stall that no event accounts for counts from %s.",
		 kbp_text_ns((double)e->gap_min_ns, a));
	if (e->n_causes > n)
		kbp_outf(o, " %u more causes have %.1f %%.", e->n_causes - n, 100 * rest);
	kbp_out_raw(o, " Tracing costs something: its run is a variant of its own.</p>\n");
}

void kbp_page_causes(struct kbp_report *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->n_runs; i++) {
		if (!p->run[i].r->explain.n_causes)
			continue;
		if (!any)
			kbp_out_raw(&p->out, "<section id=\"causes\"><h2>Causes of the tail</h2>\n");
		any = true;
		causes_of(p, i);
	}
	if (any)
		kbp_out_raw(&p->out, "</section>\n");
}
