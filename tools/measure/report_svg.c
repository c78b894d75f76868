/* SPDX-License-Identifier: BSD-2-Clause */
/* report_svg.c - axes, lines and marks as SVG. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* ---------------------------------------------------------------- axes */

void kbp_axis_make(struct kbp_axis *a, bool log, double lo, double hi, double at_lo, double at_hi)
{
	if (!isfinite(lo) || !isfinite(hi)) {
		lo = log ? 1 : 0;
		hi = 10;
	}
	if (log && lo < 1)
		lo = 1;
	if (log && hi < lo * 1.05)
		hi = lo * 1.05;
	if (hi <= lo)
		hi = lo + (fabs(lo) > 1 ? fabs(lo) * 0.05 : 1);
	*a = (struct kbp_axis){ .lo = lo, .hi = hi, .log = log, .at_lo = at_lo, .at_hi = at_hi };
}

double kbp_axis_at(const struct kbp_axis *a, double v)
{
	double part;

	if (v < a->lo || !isfinite(v))
		v = v > a->hi ? a->hi : a->lo;
	part = a->log ? log(v / a->lo) / log(a->hi / a->lo) : (v - a->lo) / (a->hi - a->lo);
	part = part < 0 ? 0 : part > 1 ? 1 : part;
	return a->at_lo + part * (a->at_hi - a->at_lo);
}

/* 1, 2, 5 times a power of ten, at most `steps` of them in `range`. */
static double nice_step(double range, unsigned steps)
{
	double raw = range / steps, power = pow(10, floor(log10(raw)));

	for (unsigned i = 0; i < 3; i++) {
		static const double round[] = { 1, 2, 5 };

		if (round[i] * power >= raw * 0.999)
			return round[i] * power;
	}
	return 10 * power;
}

static unsigned ticks_linear(const struct kbp_axis *a, double *tick)
{
	double step = nice_step(a->hi - a->lo, 6), first = ceil(a->lo / step - 1e-12);
	unsigned n = 0;

	for (; n < KBP_TICKS_MAX && (first + n) * step <= a->hi * (1 + 1e-12); n++)
		tick[n] = (first + n) * step;
	return n;
}

unsigned kbp_axis_ticks(const struct kbp_axis *a, double *tick)
{
	static const double round[] = { 1, 2, 5 };
	double decades = a->log ? log10(a->hi / a->lo) : 0;
	unsigned n = 0, step;

	if (decades < 0.8) /* so short that evenly spaced figures read better */
		return ticks_linear(a, tick);
	step = decades > 12 ? 3 : decades > 6 ? 2 : 1;
	for (int e = (int)floor(log10(a->lo)); e <= (int)ceil(log10(a->hi)); e += (int)step) {
		for (unsigned i = 0; i < (decades > 3.5 ? 1u : 3u); i++) {
			double v = round[i] * pow(10, e);

			if (v >= a->lo * 0.9999 && v <= a->hi * 1.0001 && n < KBP_TICKS_MAX)
				tick[n++] = v;
		}
	}
	return n;
}

/* ---------------------------------------------------------------- paths */

const char *kbp_text_at(double v, char buf[16])
{
	int tenths = isfinite(v) && fabs(v) < 1e6 ? (int)lround(v * 10) : 0;

	if (tenths % 10)
		snprintf(buf, 16, "%s%d.%d", tenths < 0 ? "-" : "", abs(tenths) / 10,
			 abs(tenths) % 10);
	else
		snprintf(buf, 16, "%d", tenths / 10);
	return buf;
}

void kbp_path_to(struct kbp_path *p, double x, double y)
{
	char bx[16], by[16];

	if (!isfinite(x) || !isfinite(y)) {
		p->drawing = false;
		return;
	}
	kbp_outf(p->o, "%s%s %s", p->drawing ? "L" : "M", kbp_text_at(x, bx), kbp_text_at(y, by));
	p->drawing = true;
}

/* ---------------------------------------------------------------- frames */

void kbp_svg_begin(struct kbp_out *o, const char *id, unsigned w, unsigned h, const char *title,
		   const char *subject, const char *desc)
{
	kbp_outf(o, "<figure id=\"%s\"><figcaption>%s", id, title);
	if (subject[0])
		kbp_out_in(o, ": ", subject, "");
	kbp_outf(o,
		 "</figcaption><div class=\"scroll\" tabindex=\"0\"><svg class=\"w%u\" viewBox=\"0 0 %u %u\" "
		 "role=\"img\" aria-label=\"%s",
		 w > 800 ? 2u : 1u, w, h, title);
	if (subject[0])
		kbp_out_in(o, ": ", subject, "");
	kbp_outf(o, "\"><desc>%s</desc>\n", desc);
}

void kbp_svg_end(struct kbp_out *o)
{
	kbp_out_raw(o, "</svg></div><output class=\"at\"></output></figure>\n");
}

void kbp_svg_text(struct kbp_out *o, double x, double y, const char *class, const char *text)
{
	char bx[16], by[16];

	kbp_outf(o, "<text class=\"%s\" x=\"%s\" y=\"%s\">", class, kbp_text_at(x, bx),
		 kbp_text_at(y, by));
	kbp_out_in(o, "", text, "</text>\n");
}

/* A tick's figure: round, so that few digits tell it. */
static const char *tick_text(double v, bool ns, char buf[32])
{
	static const char *const unit[] = { "ns", "\u00b5s", "ms", "s" };
	unsigned i = 0;

	if (!ns && v >= 10000 && v < 1e15)
		return kbp_text_count((uint64_t)(v + 0.5), buf);
	if (!ns) {
		snprintf(buf, 32, "%.4g", v);
		return buf;
	}
	for (; i < 3 && fabs(v) >= 999.9; i++)
		v /= 1e3;
	snprintf(buf, 32, "%.5g %s", v, unit[i]);
	return buf;
}

void kbp_svg_grid_x(struct kbp_out *o, const struct kbp_axis *x, double y0, double y1, bool ns)
{
	double tick[KBP_TICKS_MAX];
	unsigned n = kbp_axis_ticks(x, tick);
	char a[16], b[16], c[16], text[32];

	for (unsigned i = 0; i < n; i++) {
		kbp_outf(o, "<path class=\"grid\" d=\"M%s %sV%s\"/>",
			 kbp_text_at(kbp_axis_at(x, tick[i]), a), kbp_text_at(y0, b),
			 kbp_text_at(y1, c));
		kbp_svg_text(o, kbp_axis_at(x, tick[i]), y1 + 16, "tick mid",
			     tick_text(tick[i], ns, text));
	}
}

void kbp_svg_grid_y(struct kbp_out *o, const struct kbp_axis *y, double x0, double x1, bool ns)
{
	double tick[KBP_TICKS_MAX];
	unsigned n = kbp_axis_ticks(y, tick);
	char a[16], b[16], c[16], text[32];

	for (unsigned i = 0; i < n; i++) {
		kbp_outf(o, "<path class=\"grid\" d=\"M%s %sH%s\"/>", kbp_text_at(x0, a),
			 kbp_text_at(kbp_axis_at(y, tick[i]), b), kbp_text_at(x1, c));
		kbp_svg_text(o, x0 - 6, kbp_axis_at(y, tick[i]) + 4, "tick end",
			     tick_text(tick[i], ns, text));
	}
}

/* ---------------------------------------------------------------- marks */

void kbp_svg_mark_begin(struct kbp_out *o, unsigned shape, double x, double y, double r,
			const char *class)
{
	/* in a square of 2 by 2 around 0: circle, square, triangle up, diamond, triangle down, cross, plus, bar */
	static const char *const d[] = {
		"M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
		"M-.9-.9H.9V.9H-.9z",
		"M0-1.1L1.1.9H-1.1z",
		"M0-1.25L1.25 0L0 1.25L-1.25 0z",
		"M0 1.1L1.1-.9H-1.1z",
		"M-1-.6L-.6-1L0-.4L.6-1L1-.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0z",
		"M-.35-1.1H.35V-.35H1.1V.35H.35V1.1H-.35V.35H-1.1V-.35H-.35z",
		"M-.4-1.2H.4V1.2H-.4z",
	};
	char a[16], b[16], c[16];

	kbp_outf(o, "<path class=\"%s\" d=\"%s\" transform=\"translate(%s %s)scale(%s)\">", class,
		 d[shape % KBP_ARRAY_SIZE(d)], kbp_text_at(x, a), kbp_text_at(y, b),
		 kbp_text_at(r, c));
	kbp_out_raw(o, "<title>");
}

void kbp_svg_mark_end(struct kbp_out *o)
{
	kbp_out_raw(o, "</title></path>\n");
}

void kbp_page_legend(struct kbp_report *p, unsigned group)
{
	struct kbp_out *o = &p->out;

	kbp_out_raw(o, "<ul class=\"legend\">");
	for (unsigned i = 0; i < p->n_runs; i++) {
		unsigned s = p->run[i].style;

		if (p->run[i].group != group)
			continue;
		kbp_outf(o, "<li data-run=\"r%u\"><svg viewBox=\"0 0 34 12\" aria-hidden=\"true\">",
			 i);
		kbp_outf(o, "<path class=\"line s%u d%u\" d=\"M0 6H34\"/>", s, s);
		kbp_outf(o, "<g class=\"f%u\">", s);
		kbp_svg_mark_begin(o, s, 17, 6, 4, "mark");
		kbp_svg_mark_end(o);
		kbp_out_in(o, "</g></svg>", p->run[i].r->backend, "</li>");
	}
	kbp_out_raw(o, "</ul>\n");
}
