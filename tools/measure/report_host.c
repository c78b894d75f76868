/* SPDX-License-Identifier: BSD-2-Clause */
/* report_host.c - what single operations cost, beside what others published; and what the host itself takes away. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* ---------------------------------------------------------------- profile */

static uint32_t n_profile(const struct kbp_report *p)
{
	return p->res->n_profile < KBP_PAGE_ROWS ? p->res->n_profile : KBP_PAGE_ROWS;
}

static const char *device_of(const struct kbp_profile_op *r)
{
	return r->emulated ? "emulated: says nothing about a NIC" : "real device";
}

static bool is_published(const struct kbp_profile_op *r)
{
	return r->published.high_ns > 0 && r->published.low_ns <= r->published.high_ns;
}

static void bar_row(struct kbp_out *o, const struct kbp_profile_op *r, const struct kbp_axis *x,
		    double y)
{
	char a[16], b[16], c[16], text[96], n1[32], n2[32];
	double p50 = kbp_axis_at(x, r->ns.p50), p99 = kbp_axis_at(x, r->ns.p99);

	snprintf(text, sizeof(text), "%s, %s", r->op, r->form);
	kbp_svg_text(o, 176, y + 13, "name end", text);
	kbp_outf(o, "<rect class=\"f0\" x=\"190\" y=\"%s\" width=\"%s\" height=\"11\"/>",
		 kbp_text_at(y + 3, a), kbp_text_at(p50 - 190, b));
	kbp_outf(o, "<path class=\"whisker s0\" d=\"M%s %sH%sm0-5v10\"/>", kbp_text_at(p50, a),
		 kbp_text_at(y + 8.5, b), kbp_text_at(p99, c));
	snprintf(text, sizeof(text), "P50 %s, P99 %s%s", kbp_text_ns(r->ns.p50, n1),
		 kbp_text_ns(r->ns.p99, n2), r->batch > 1 ? " (of means)" : "");
	kbp_svg_text(o, p99 + 8, y + 13, "value", text);
	if (!is_published(r))
		return;
	kbp_outf(o, "<rect class=\"published\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"9\"/>",
		 kbp_text_at(kbp_axis_at(x, r->published.low_ns), a), kbp_text_at(y + 18, b),
		 kbp_text_at(kbp_axis_at(x, r->published.high_ns) -
				     kbp_axis_at(x, r->published.low_ns) + 1,
			     c));
	snprintf(text, sizeof(text), "published: %.3g to %.3g ns on ", r->published.low_ns,
		 r->published.high_ns);
	kbp_outf(o, "<text class=\"value\" x=\"%s\" y=\"%s\">%s",
		 kbp_text_at(kbp_axis_at(x, r->published.high_ns) + 8, a), kbp_text_at(y + 27, b),
		 text);
	kbp_out_in(o, "", r->published.device, "</text>\n");
}

/* The rows first to end are of one backend. */
static void bars(struct kbp_report *p, uint32_t first, uint32_t end)
{
	const struct kbp_profile_op *r = &p->res->profile[first];
	struct kbp_axis x;
	double hi = 1;
	char id[32], subject[80];

	for (uint32_t i = first; i < end; i++) {
		hi = p->res->profile[i].ns.p99 > hi ? p->res->profile[i].ns.p99 : hi;
		hi = p->res->profile[i].published.high_ns > hi ?
			     p->res->profile[i].published.high_ns :
			     hi;
	}
	kbp_axis_make(&x, false, 0, hi, 190, 780);
	snprintf(id, sizeof(id), "profile-%u", first + 1);
	snprintf(subject, sizeof(subject), "%s (%s)", r->backend, device_of(r));
	kbp_svg_begin(
		&p->out, id, 1120, 34 * (end - first) + 34, "What one operation costs", subject,
		"For each operation a bar up to P50 with a whisker to P99, measured here; below it, outlined, "
		"the range that was published and the device it was measured on. Axis from 0.");
	kbp_svg_grid_x(&p->out, &x, 2, 34 * (end - first) + 6, true);
	for (uint32_t i = first; i < end; i++)
		bar_row(&p->out, &p->res->profile[i], &x, 4 + 34.0 * (i - first));
	kbp_svg_end(&p->out);
}

static void profile_row(struct kbp_out *o, const struct kbp_profile_op *r)
{
	char count[32];

	kbp_out_in(o, "<tr><th scope=\"row\">", r->op, "</th>");
	kbp_out_in(o, "<td>", r->backend, r->emulated ? "<br><small>emulated</small></td>" : "</td>");
	kbp_out_in(o, "<td>", r->form, "</td>");
	kbp_outf(o,
		 "<td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>",
		 r->ns.p50, r->ns.p99, r->ns.gap, r->ns.min);
	kbp_outf(o, "<td class=\"n\">%.0f</td><td class=\"n\">%.0f</td><td class=\"n\">%.1f</td>",
		 r->cycles.p50, r->cycles.p99, r->timer_ns);
	kbp_outf(o, "<td class=\"n\">%s</td><td class=\"n\">%u</td><td class=\"some\">",
		 kbp_text_count(r->samples, count), r->batch);
	if (is_published(r)) {
		kbp_outf(o, "%.3g to %.3g ns on ", r->published.low_ns, r->published.high_ns);
		kbp_out_in(o, "", r->published.device, " <small>by \u201c");
		kbp_out_in(o, "", r->published.source, "\u201d</small>");
	}
	kbp_out_in(o, "</td><td class=\"wide\">", r->note, "</td></tr>\n");
}

void kbp_page_profile(struct kbp_report *p)
{
	const struct kbp_profile_op *r = p->res->profile;
	uint32_t n = n_profile(p);
	struct kbp_out *o = &p->out;

	if (!n)
		return;
	kbp_out_raw(o, "<section id=\"profile\"><h2>Profile: single operations</h2>\n");
	for (uint32_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && !strcmp(r[i].backend, r[end].backend); end++)
			;
		bars(p, i, end);
	}
	kbp_out_raw(
		o,
		"<p class=\"dim\">Published figures are of another machine and device, named with each: they are "
		"for orientation, not for ranking. Nothing is subtracted; the timer\u2019s own part stands in its "
		"column. P99 of a batch is a P99 of means.</p>\n"
		"<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>operation</th><th>backend</th>"
		"<th>form</th><th class=\"n\">P50 ns</th><th class=\"n\">P99 ns</th><th class=\"n\">gap ns</th>"
		"<th class=\"n\">min ns</th><th class=\"n\">P50 cycles</th><th class=\"n\">P99 cycles</th>"
		"<th class=\"n\">timer ns</th><th class=\"n\">samples</th><th class=\"n\">batch</th>"
		"<th>published</th><th>what else is in it</th></tr></thead><tbody>\n");
	for (uint32_t i = 0; i < n; i++)
		profile_row(o, &r[i]);
	kbp_out_raw(o, "</tbody></table></div></section>\n");
}

/* ---------------------------------------------------------------- noise */

#define NOISE_BUCKETS KBP_ARRAY_SIZE(((struct kbp_noise *)0)->bucket)

static void noise_words(struct kbp_out *o, const struct kbp_noise *n)
{
	char a[32], b[32], c[32];

	kbp_outf(o, "<p>CPU %d (", n->cpu);
	kbp_out_in(o, "", n->role, "): ");
	if (!n->spun_ns) {
		kbp_out_raw(o, "not looked at.</p>\n");
		return;
	}
	kbp_outf(o, "in %s of spinning %s stalls of 1 \u00b5s and more, ",
		 kbp_text_ns((double)n->spun_ns, a), kbp_text_count(n->gaps, b));
	kbp_outf(o, "%s in all (%.3g %%), the longest %s; stolen by the hypervisor, as it admits: ",
		 kbp_text_ns((double)n->lost_ns, a), 100 * (double)n->lost_ns / (double)n->spun_ns,
		 kbp_text_ns((double)n->max_ns, b));
	kbp_outf(o, "%s.</p>\n", kbp_text_ns((double)n->steal_ns, c));
}

static void noise_bar(struct kbp_out *o, const struct kbp_noise *n, unsigned which, unsigned of,
		      unsigned bucket, const struct kbp_axis *y, double x0, double width)
{
	char a[16], b[16], c[16], d[16], from[32], to[32];
	double top;

	if (!n->bucket[bucket])
		return;
	top = kbp_axis_at(y, (double)n->bucket[bucket]);
	kbp_outf(o, "<rect class=\"f%u\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"><title>",
		 which ? 1u : 0u, kbp_text_at(x0 + which * (width / of), a), kbp_text_at(top, b),
		 kbp_text_at(width / of - 1, c), kbp_text_at(y->at_lo - top, d));
	kbp_out_in(o, "", n->role, ": ");
	kbp_outf(o, "%llu stalls of %s to %s", (unsigned long long)n->bucket[bucket],
		 kbp_text_ns(exp2(10 + bucket), from),
		 bucket + 1 < NOISE_BUCKETS ? kbp_text_ns(exp2(11 + bucket), to) : "longer");
	kbp_out_raw(o, "</title></rect>\n");
}

static void noise_plot(struct kbp_report *p, unsigned n)
{
	const struct kbp_noise *noise = p->res->noise;
	struct kbp_axis y;
	double most = 10, width;
	unsigned last = 4;
	char text[32];

	for (unsigned i = 0; i < n; i++)
		for (unsigned b = 0; b < NOISE_BUCKETS; b++) {
			most = (double)noise[i].bucket[b] > most ? (double)noise[i].bucket[b] : most;
			last = noise[i].bucket[b] && b > last ? b : last;
		}
	width = 560.0 / (last + 1);
	/* a single stall is seen too */
	kbp_axis_make(&y, true, 1, most * 1.2, 210, 12);
	y.at_lo = 204;
	kbp_svg_begin(&p->out, "noise-plot", 640, 250, "Stalls of the host by length", "",
		      "For each CPU of the bench, the number of stalls in a loop that only reads the clock, by length; "
		      "both axes are logarithmic.");
	kbp_svg_grid_y(&p->out, &y, 66, 626, false);
	for (unsigned b = 0; b <= last; b++) {
		double x0 = 66 + b * width;

		for (unsigned i = 0; i < n; i++)
			noise_bar(&p->out, &noise[i], i, n, b, &y, x0 + 1, width - 2);
		if (b % ((last + 8) / 8) == 0)
			kbp_svg_text(&p->out, x0, 226, "tick", kbp_text_ns(exp2(10 + b), text));
	}
	kbp_svg_text(&p->out, 346, 244, "tick mid", "length of a stall; upwards: how many");
	kbp_svg_end(&p->out);
}

void kbp_page_noise(struct kbp_report *p)
{
	const struct kbp_results *res = p->res;
	unsigned n = res->n_noise < KBP_ARRAY_SIZE(res->noise) ? res->n_noise :
								 KBP_ARRAY_SIZE(res->noise);
	bool any = false;

	if (!n)
		return;
	kbp_out_raw(&p->out,
		    "<section id=\"noise\"><h2>Noise of the host</h2>\n<p class=\"dim\">A thread that does nothing "
		    "but read the clock, on the CPUs of the bench, between its rounds: what it loses, no backend "
		    "can get.</p>\n");
	for (unsigned i = 0; i < n; i++) {
		noise_words(&p->out, &res->noise[i]);
		any = any || res->noise[i].gaps;
	}
	if (any) {
		noise_plot(p, n);
		kbp_out_raw(&p->out, "<ul class=\"legend\">");
		for (unsigned i = 0; i < n; i++) {
			kbp_outf(&p->out,
				 "<li><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"f%u\" width=\"12\" "
				 "height=\"12\"/></svg>",
				 i ? 1u : 0u);
			kbp_out_in(&p->out, "", res->noise[i].role,
				   i	 ? ", at the right</li>" :
				   n > 1 ? ", at the left</li>" :
					   "</li>");
		}
		kbp_out_raw(&p->out, "</ul>\n");
	}
	kbp_out_raw(&p->out, "</section>\n");
}
