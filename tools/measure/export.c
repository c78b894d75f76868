/* SPDX-License-Identifier: BSD-2-Clause */
/* export.c - samples for other programs: CSV, HdrHistogram's percentile text, JSON. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define SAMPLES_SCHEMA "kbypass.samples/1"

struct export
{
	struct kbp_export_opts o;
	const struct kbp_results *res;
	FILE *to;
	unsigned done; /* runs */
};

/* ---------------------------------------------------------------- which runs */

/* The file of a run's samples of the metric asked for; NULL: this run has no such metric. */
static const char *file_of(const struct export *e, const struct kbp_result_run *r, bool *gaps)
{
	const char *metric = e->o.metric;

	*gaps = true;
	if (!strcmp(metric, "rx_path"))
		return r->stamps.rx_path_file[0] ? r->stamps.rx_path_file : NULL;
	if (!strcmp(metric, "wire_to_stamp"))
		return r->stamps.wire_to_stamp_file[0] ? r->stamps.wire_to_stamp_file : NULL;
	*gaps = false;
	if (!strcmp(metric, "tx"))
		return r->tx_file[0] ? r->tx_file : NULL;
	return !strcmp(metric, kbp_report_kind(r)) ? r->samples_file : NULL;
}

static bool is_chosen(const struct export *e, const struct kbp_result_run *r)
{
	bool gaps;

	return (!e->o.backend || !strcmp(e->o.backend, r->backend)) &&
	       (!e->o.rate_pps || e->o.rate_pps == r->rate_pps) && file_of(e, r, &gaps);
}

/* "socket, af_xdp at 1000, ...": what there is to choose from. */
static void list_runs(const struct kbp_results *res, char *buf, size_t size)
{
	size_t at = 0;

	snprintf(buf, size, "none");
	for (uint32_t i = 0; res->run && i < res->n_runs && at < size; i++) {
		const struct kbp_result_run *r = &res->run[i];

		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "", r->backend);
		if (r->rate_pps && at < size)
			at += (size_t)snprintf(buf + at, size - at, " at %" PRIu64, r->rate_pps);
	}
}

static int none_chosen(const struct export *e, struct kbp_error *err)
{
	const char *metric = e->o.metric;
	char runs[160], hint[240];

	list_runs(e->res, runs, sizeof(runs));
	if (!e->res->n_runs)
		return kbp_fail(
			err, -ENOENT, "export samples",
			"there are no runs in these results: `kbypass bench --out` makes some");
	if (!strcmp(metric, "rx_path") || !strcmp(metric, "wire_to_stamp"))
		snprintf(hint, sizeof(hint), "bench with --stamps; there are: %s", runs);
	else
		snprintf(hint, sizeof(hint), "there are: %s", runs);
	return kbp_failf(err, -ENOENT, hint, "export %s of %s: no such run", metric,
			 e->o.backend ? e->o.backend : "any backend");
}

static int check(const struct export *e, struct kbp_error *err)
{
	static const char *const metrics[] = { "one_way", "rtt", "tx", "rx_path", "wire_to_stamp" };
	const struct kbp_result_run *first = NULL;
	bool known = false, rates = false;
	char runs[160], hint[240];
	unsigned n = 0;

	for (unsigned i = 0; i < KBP_ARRAY_SIZE(metrics) && !known; i++)
		known = !strcmp(e->o.metric, metrics[i]);
	if (!known)
		return kbp_failf(err, -EINVAL, "there is one_way, rtt, tx, rx_path and wire_to_stamp",
				 "export metric \"%.40s\"", e->o.metric);
	if (e->o.format > KBP_EXPORT_JSON)
		return kbp_fail(err, -EINVAL, "export samples", "give a format of kbp_export_format");
	for (uint32_t i = 0; i < e->res->n_runs; i++) {
		const struct kbp_result_run *r = &e->res->run[i];

		if (!is_chosen(e, r))
			continue;
		rates = rates || (first && first->rate_pps != r->rate_pps);
		first = first ? first : r;
		n++;
	}
	if (!n)
		return none_chosen(e, err);
	list_runs(e->res, runs, sizeof(runs));
	snprintf(hint, sizeof(hint), "name one with --%s; there are: %s",
		 rates ? "rate" : "backend", runs);
	if (rates)
		return kbp_fail(err, -EINVAL, "export samples of several rates", "%s", hint);
	if (e->o.format == KBP_EXPORT_HDR && n > 1)
		return kbp_fail(err, -EINVAL, "export percentiles of several runs", "%s", hint);
	return 0;
}

/* ---------------------------------------------------------------- CSV */

/* As RFC 4180 has it. */
static void csv_text(FILE *to, const char *s)
{
	if (!s[strcspn(s, ",\"\r\n")]) {
		fputs(s, to);
		return;
	}
	fputc('"', to);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', to);
		fputc(*s, to);
	}
	fputc('"', to);
}

static void csv_run(struct export *e, const struct kbp_result_run *r, const uint32_t *ns, bool gaps)
{
	if (!e->done)
		fputs("backend,round,index,warmup,ns\n", e->to);
	for (uint32_t i = 0; i < r->n_rounds; i++) {
		const struct kbp_result_round *d = &r->round[i];

		for (uint64_t k = 0; k < d->samples; k++) {
			uint32_t v = ns[d->first_sample + k];

			if (gaps && v == KBP_SAMPLE_NONE)
				continue;
			csv_text(e->to, r->backend);
			fprintf(e->to, ",%u,%" PRIu64 ",%d,%" PRIu32 "\n", i + 1, k, k < d->warmup,
				gaps && v == KBP_SAMPLE_MOST ? UINT32_MAX : v);
		}
	}
}

/* ---------------------------------------------------------------- HdrHistogram's text */

static void hdr_lines(FILE *to, const uint32_t *sorted, size_t n)
{
	struct kbp_level level[KBP_LEVELS_MAX];
	unsigned count = kbp_levels_of(sorted, n, level);

	fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	for (unsigned i = 0; i < count; i++) {
		const struct kbp_level *l = &level[i];

		fprintf(to, "%12.3f %2.12f %10" PRIu64, (double)l->ns, l->q, l->rank);
		/* the last line has no fourth figure, as HdrHistogram writes it */
		if (l->q < 1)
			fprintf(to, " %14.2f", 1 / (1 - l->q));
		fputc('\n', to);
	}
}

/* Exact: there are no buckets, which the footer tells as one bucket with a sub-bucket for each nanosecond. */
static void hdr_footer(FILE *to, const uint32_t *sorted, size_t n)
{
	double mean = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		mean += sorted[i];
	mean = n ? mean / (double)n : 0;
	for (size_t i = 0; i < n; i++)
		squares += (sorted[i] - mean) * (sorted[i] - mean);
	fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean,
		n ? sqrt(squares / (double)n) : 0.0);
	fprintf(to, "#[Max     = %12.3f, Total count    = %12zu]\n",
		n ? (double)sorted[n - 1] : 0.0, n);
	fprintf(to, "#[Buckets = %12d, SubBuckets     = %12" PRIu64 "]\n", 1, (uint64_t)1 << 32);
}

static int hdr_run(struct export *e, const struct kbp_result_run *r, const uint32_t *ns, bool gaps,
		   struct kbp_error *err)
{
	size_t n;
	uint32_t *sorted = kbp_samples_sorted(r, ns, gaps, &n);
	locale_t c, before;

	if (!sorted)
		return kbp_fail(err, -ENOMEM, "export samples", "memory is out");
	c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	before = uselocale(c);
	hdr_lines(e->to, sorted, n);
	hdr_footer(e->to, sorted, n);
	uselocale(before);
	if (c != (locale_t)0)
		freelocale(c);
	free(sorted);
	return 0;
}

/* ---------------------------------------------------------------- JSON */

static void json_text(FILE *to, const char *s)
{
	fputc('"', to);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(to, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, to);
	}
	fputc('"', to);
}

static void json_run(struct export *e, const struct kbp_result_run *r, const uint32_t *ns, bool gaps)
{
	if (!e->done) {
		fputs("{\"schema\": \"" SAMPLES_SCHEMA "\", \"metric\": ", e->to);
		json_text(e->to, e->o.metric);
		fputs(", \"unit\": \"ns\", \"runs\": [", e->to);
	}
	fputs(e->done ? ",\n{\"backend\": " : "\n{\"backend\": ", e->to);
	json_text(e->to, r->backend);
	fprintf(e->to, ", \"rate_pps\": %" PRIu64 ", \"rounds\": [", r->rate_pps);
	for (uint32_t i = 0; i < r->n_rounds; i++) {
		const struct kbp_result_round *d = &r->round[i];

		fprintf(e->to, "%s\n{\"warmup\": %" PRIu64 ", \"ns\": [", i ? "," : "", d->warmup);
		for (uint64_t k = 0; k < d->samples; k++) {
			uint32_t v = ns[d->first_sample + k];

			if (gaps && v == KBP_SAMPLE_NONE)
				fputs(k ? ",null" : "null", e->to);
			else
				fprintf(e->to, "%s%" PRIu32, k ? "," : "",
					gaps && v == KBP_SAMPLE_MOST ? UINT32_MAX : v);
		}
		fputs("]}", e->to);
	}
	fputs("]}", e->to);
}

/* ---------------------------------------------------------------- all of it */

static int export_run(struct export *e, const struct kbp_result_run *r, struct kbp_error *err)
{
	bool gaps;
	uint32_t *ns;
	size_t n;
	int rc = kbp_samples_read(e->res, r, file_of(e, r, &gaps), &ns, &n, err);

	if (rc)
		return rc;
	if (e->o.format == KBP_EXPORT_HDR)
		rc = hdr_run(e, r, ns, gaps, err);
	else if (e->o.format == KBP_EXPORT_JSON)
		json_run(e, r, ns, gaps);
	else
		csv_run(e, r, ns, gaps);
	free(ns);
	e->done++;
	return rc;
}

static int export_all(struct export *e, struct kbp_error *err)
{
	struct kbp_sink sink;
	int rc = check(e, err);

	if (!rc)
		rc = kbp_sink_open(&sink, e->o.file, e->o.fd, err);
	if (rc)
		return rc;
	e->to = sink.f;
	for (uint32_t i = 0; i < e->res->n_runs && !rc && !ferror(e->to); i++)
		if (is_chosen(e, &e->res->run[i]))
			rc = export_run(e, &e->res->run[i], err);
	if (!rc && e->o.format == KBP_EXPORT_JSON)
		fputs("\n]}\n", e->to);
	return kbp_sink_close(&sink, rc, err);
}

int kbp_export(const char *dir, const struct kbp_export_opts *opts, struct kbp_error *err)
{
	struct export e = { 0 };
	char in[PATH_MAX];
	struct kbp_results *res;
	int rc;

	if (opts->size < sizeof(size_t) || opts->size > sizeof(*opts))
		return kbp_fail(err, -EINVAL, "export samples",
				"opts.size is %zu: begin with KBP_EXPORT_OPTS_INIT", opts->size);
	memcpy(&e.o, opts, opts->size);
	rc = kbp_results_dir_of(dir, in, err);
	if (!rc)
		rc = kbp_results_load(in, &res, err);
	if (rc)
		return rc;
	e.res = res;
	/* never two kinds of latency in one file */
	if (!e.o.metric)
		e.o.metric = res->n_runs ? kbp_report_kind(&res->run[0]) : "one_way";
	rc = export_all(&e, err);
	kbp_results_free(res);
	return rc;
}
