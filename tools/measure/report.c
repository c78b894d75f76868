/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - one page of what a bench or a profile found.
 *
 * Everything is drawn here, so the page reads, prints and is described without a script. Its policy forbids whatever is
 * not in it: even text that escaped escaping could load nothing and run nothing.
 */
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* ---------------------------------------------------------------- the page */

static const char *subject_of(const struct kbp_results *res)
{
	return res->n_runs ? "bench" : res->n_profile ? "profile" : "results";
}

static void head(struct kbp_report *p)
{
	struct kbp_out *o = &p->out;

	kbp_outf(o,
		 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '%s'; script-src "
		 "'%s'; base-uri 'none'; form-action 'none'\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
		 "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\n"
		 "<title>kbypass %s</title>\n<style>%s</style></head>\n<body>\n",
		 kbp_page_css_hash, kbp_page_js_hash, subject_of(p->res), kbp_page_css);
}

/* "Which way in? 50,000 frames a second, 5 rounds; Linux 6.1, CPU" */
static void title(struct kbp_report *p)
{
	static const char *const facts[] = { "cpu_model", "kernel", "driver", "source" };
	const struct kbp_results *res = p->res;
	struct kbp_out *o = &p->out;
	bool any = false;

	kbp_outf(o, "<header><h1>kbypass %s</h1>\n<p class=\"dim\">", subject_of(res));
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(facts); i++) {
		const char *v = kbp_results_fact(res, facts[i]);

		if (!v || !v[0])
			continue;
		kbp_out_in(o, any ? " \u00b7 " : "", v, "");
		any = true;
	}
	kbp_out_raw(o, "</p></header>\n");
}

static void contents(struct kbp_report *p)
{
	struct kbp_out *o = &p->out;
	bool explained = false;

	for (unsigned i = 0; i < p->n_runs; i++)
		explained = explained || p->run[i].r->explain.n_causes;
	kbp_out_raw(o, "<nav aria-label=\"Contents\">");
	if (p->n_runs)
		kbp_out_raw(o, "<a href=\"#table\">Table</a> <a href=\"#verdicts\">Verdicts</a> "
			       "<a href=\"#gap\">Gap</a> <a href=\"#percentiles\">Percentiles</a> "
			       "<a href=\"#series\">Over time</a> ");
	if (kbp_report_sweeps(p))
		kbp_out_raw(o, "<a href=\"#sweep\">Over the rate</a> ");
	if (explained)
		kbp_out_raw(o, "<a href=\"#causes\">Causes</a> ");
	if (p->res->n_profile)
		kbp_out_raw(o, "<a href=\"#profile\">Profile</a> ");
	if (p->res->n_noise)
		kbp_out_raw(o, "<a href=\"#noise\">Noise</a> ");
	kbp_out_raw(
		o,
		"<a href=\"#findings\">Findings</a> <a href=\"#setup\">Setup</a> "
		"<a href=\"#fingerprint\">Fingerprint</a> <a href=\"#glossary\">Words</a></nav>\n");
}

/* Table and plots of the runs that may stand beside each other. */
static void group(struct kbp_report *p, unsigned i)
{
	const struct kbp_report_group *g = &p->group[i];
	struct kbp_out *o = &p->out;
	char count[32];

	if (i)
		kbp_outf(o, "<section id=\"table-%u\">", i + 1);
	else
		kbp_out_raw(o, "<section id=\"table\">");
	kbp_outf(o, "<h2>On %s, ", kbp_class_name(g->class));
	kbp_out_text(o, g->kind);
	if (g->rate_pps)
		kbp_outf(o, ", %s frames/s", kbp_text_count(g->rate_pps, count));
	kbp_out_raw(o, "</h2>\n");
	kbp_page_group_table(p, i);
	kbp_page_gap(p, i);
	kbp_out_raw(o, "<div class=\"two\"><div>\n");
	kbp_page_percentiles(p, i);
	kbp_out_raw(o, "</div><div>\n");
	kbp_page_histogram(p, i);
	kbp_out_raw(o, "</div></div></section>\n");
}

static void page(struct kbp_report *p)
{
	head(p);
	title(p);
	kbp_page_summary(p);
	contents(p);
	/* of a sweep before all tables, otherwise beside the first, which has most of the runs */
	if (kbp_report_sweeps(p))
		kbp_page_verdicts(p);
	kbp_page_sweep(p);
	for (unsigned i = 0; i < p->n_groups; i++) {
		group(p, i);
		if (!i && !kbp_report_sweeps(p))
			kbp_page_verdicts(p);
	}
	kbp_page_parts(p);
	kbp_page_series(p);
	kbp_page_causes(p);
	kbp_page_profile(p);
	kbp_page_noise(p);
	kbp_page_findings(p);
	kbp_page_facts(p);
	kbp_page_glossary(p);
	kbp_outf(&p->out, "<script>%s</script></body></html>\n", kbp_page_js);
}

int kbp_report_page(struct kbp_report *p, struct kbp_error *err)
{
	/* a program's language must not put commas into figures */
	locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), before;

	if (c == (locale_t)0)
		return kbp_fail(err, -ENOMEM, "make the report", "memory is out");
	before = uselocale(c);
	page(p);
	uselocale(before);
	freelocale(c);
	return p->out.bad ? kbp_fail(err, -ENOMEM, "make the report", "memory is out") : 0;
}

/* ---------------------------------------------------------------- the file */

static int page_write(const char *file, const struct kbp_out *o, struct kbp_error *err)
{
	struct kbp_sink to;
	int rc = kbp_sink_open(&to, file, -1, err);

	if (rc)
		return rc;
	fwrite(o->text, 1, o->len, to.f);
	return kbp_sink_close(&to, 0, err);
}

int kbp_report_write(const char *dir, const char *file, struct kbp_error *err)
{
	char in[PATH_MAX], to[PATH_MAX + 16];
	struct kbp_results *res = NULL;
	struct kbp_report *p;
	int rc = kbp_results_dir_of(dir, in, err);

	if (!rc)
		rc = kbp_results_load(in, &res, err);
	if (rc)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p) {
		kbp_results_free(res);
		return kbp_fail(err, -ENOMEM, "make the report", "memory is out");
	}
	snprintf(to, sizeof(to), "%s/report.html", in);
	rc = kbp_report_gather(p, res, err);
	if (!rc)
		rc = kbp_report_page(p, err);
	if (!rc)
		rc = page_write(file ? file : to, &p->out, err);
	free(p->run);
	free(p->out.text);
	free(p);
	kbp_results_free(res);
	return rc;
}
