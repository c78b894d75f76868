/* SPDX-License-Identifier: BSD-2-Clause */
/* rts25.c - kbypass rts25: was the clock within the limits, by captures or live? */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kbypass/clock.h>
#include <kbypass/record.h>

#include "cli.h"

#define SCHEMA "kbypass.rts25/1"
#define FILES_MAX 4096

struct given {
	double live_s, gap_s;
	const char *class_name;
	struct cli_clock clock;
	int class_index; /* -1: all */
	bool json;
};

struct input {
	const char *path;
	uint64_t begin;
	struct kbp_rts25_file file;
};

static const char *const verdict_names[] = { "not_shown", "not_compliant", "compliant" };
static const char *const verdict_text[] = { "not shown", "NOT compliant", "compliant" };

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool go_on(void *arg)
{
	const double *seconds = arg;

	cli_progress("watching the clock for %g s", *seconds);
	return !stop;
}

/* ---------------------------------------------------------------- options */

static int read_options(struct given *g, int n)
{
	const char *names[KBP_RTS25_CLASSES], *near;

	if (!n && g->live_s <= 0)
		return cli_misuse("rts25", "name captures, or give --live SECONDS");
	if (n && g->live_s > 0)
		return cli_misuse("rts25", "captures or --live: give one of them");
	if (n && (g->clock.ptp4l || g->clock.sfptpd || g->clock.limit_ns > 0 ||
		  g->clock.reference_ns > 0))
		return cli_misuse(
			"rts25",
			"--ptp4l, --sfptpd, --limit and --reference are for --live: captures have "
			"their claims already");
	g->class_index = -1;
	if (!g->class_name)
		return CLI_OK;
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		names[i] = kbp_rts25_class(i)->name;
		if (!strcmp(g->class_name, names[i]))
			g->class_index = (int)i;
	}
	if (g->class_index >= 0)
		return CLI_OK;
	near = cli_nearest(g->class_name, names, KBP_RTS25_CLASSES);
	return cli_misuse("rts25", "--class %s: there is hft, automated and voice%s%s%s",
			  g->class_name, near ? ": did you mean " : "", near ? near : "",
			  near ? "?" : "");
}

/* ---------------------------------------------------------------- input */

static int by_begin(const void *a, const void *b)
{
	const struct input *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static int read_files(struct kbp_rts25 *r, struct input *in, int n, struct kbp_error *err)
{
	int rc = 0;

	for (int i = 0; i < n && !rc; i++)
		rc = kbp_rts25_begin(in[i].path, &in[i].begin, err);
	if (rc)
		return rc;
	qsort(in, (size_t)n, sizeof(*in), by_begin);
	for (int i = 0; i < n && !rc; i++) {
		cli_progress("reading %s", in[i].path);
		rc = kbp_rts25_add_file(r, in[i].path, &in[i].file, err);
	}
	return rc;
}

static int watch(struct kbp_rts25 *r, const struct given *g, struct kbp_error *err)
{
	double seconds = g->live_s;
	struct kbp_monitor *mon;
	int rc = cli_monitor_open(&g->clock, &mon, err);

	if (rc)
		return rc;
	rc = kbp_rts25_live(r, mon, seconds, go_on, &seconds, err);
	kbp_monitor_close(mon);
	return rc;
}

/* ---------------------------------------------------------------- output */

static const char *utc(uint64_t ns, char buf[48])
{
	time_t s = (time_t)(ns / 1000000000u);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, 48, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, 48 - n, ".%09" PRIu64 "Z", ns % 1000000000u);
	return buf;
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

/* "99.99999": never rounded up to all. */
static const char *share(uint64_t part, uint64_t all, char buf[16])
{
	double p = percent(part, all);

	snprintf(buf, 16, "%.5f", part < all && p > 99.99999 ? 99.99999 : p);
	return buf;
}

static json_t *maybe(uint64_t v, uint64_t none)
{
	return v == none ? json_null() : json_integer((json_int_t)v);
}

static json_t *json_inputs(const struct input *in, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++) {
		const struct kbp_rts25_file *f = &in[i].file;

		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:I, s:b}", "path", in[i].path,
						"packets", (json_int_t)f->packets, "without_claim",
						(json_int_t)f->foreign, "damaged_claims",
						(json_int_t)f->damaged, "cut", (int)f->cut));
	}
	return list;
}

static json_t *json_classes(const struct given *g, const struct kbp_rts25_result *res)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		const struct kbp_rts25_class *c = kbp_rts25_class(i);

		if (g->class_index >= 0 && (unsigned)g->class_index != i)
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:s}", "class",
						c->name, "title", c->title, "divergence_ns",
						(json_int_t)c->divergence_ns, "granularity_ns",
						(json_int_t)c->granularity_ns, "within_ns",
						(json_int_t)res->cls[i].within_ns, "beyond_ns",
						(json_int_t)res->cls[i].beyond_ns, "within_share",
						percent(res->cls[i].within_ns, res->total_ns) / 100,
						"verdict", verdict_names[res->cls[i].verdict]));
	}
	return list;
}

static json_t *json_periods(const struct kbp_rts25_result *res)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < res->n_periods; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:s}", "from_ns",
						      (json_int_t)res->period[i].from_ns, "to_ns",
						      (json_int_t)res->period[i].to_ns, "cause",
						      res->period[i].cause));
	return list;
}

static int print_json(const struct given *g, const struct input *in, int n,
		      const struct kbp_rts25_result *res)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:f, s:o}", "schema", SCHEMA, "law",
				kbp_rts25_law(), "source", n ? "captures" : "live", "gap_s",
				g->gap_s > 0 ? g->gap_s : 1.0, "files", json_inputs(in, n));

	json_object_update_new(
		doc,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:o}",
			  "from_ns", (json_int_t)res->from_ns, "to_ns", (json_int_t)res->to_ns,
			  "total_ns", (json_int_t)res->total_ns, "unknown_ns",
			  (json_int_t)res->unknown_ns, "claims", (json_int_t)res->claims,
			  "unknown_claims", (json_int_t)res->unknown_claims, "backwards",
			  (json_int_t)res->backwards, "breaks", (json_int_t)res->breaks,
			  "worst_bound_ns", maybe(res->worst_bound_ns, KBP_BOUND_UNKNOWN),
			  "worst_at_ns", maybe(res->worst_at_ns, 0), "granularity_ns",
			  maybe(res->step_ns, 0), "granularity_steps", (json_int_t)res->steps,
			  "stated_resolution_ps", maybe(res->resolution_ps, 0), "classes",
			  json_classes(g, res), "unknown_periods", (json_int_t)res->periods,
			  "unknown", json_periods(res)));
	return cli_json(doc);
}

static void print_unknown(const struct kbp_rts25_result *res)
{
	char from[48], to[48];
	uint32_t show = res->n_periods < 10 ? res->n_periods : 10;

	if (!res->periods)
		return;
	printf("\n%sunknown from                     to                             cause%s\n",
	       cli_bold(), cli_plain());
	for (uint32_t i = 0; i < show; i++)
		printf("%s %s %s\n", utc(res->period[i].from_ns, from),
		       utc(res->period[i].to_ns, to), res->period[i].cause);
	if (res->periods > show)
		printf("and %" PRIu64 " more%s\n", res->periods - show,
		       res->n_periods > show ? ": --json lists the first 64" : "");
}

static void print_text(const struct given *g, const struct input *in, int n,
		       const struct kbp_rts25_result *res)
{
	char a[48], b[48];

	for (int i = 0; i < n; i++) {
		const struct kbp_rts25_file *f = &in[i].file;

		printf("%s: %" PRIu64 " packets", in[i].path, f->packets);
		if (f->foreign || f->damaged)
			printf(", %" PRIu64 " without a claim that can be read",
			       f->foreign + f->damaged);
		if (f->cut)
			printf(", cut short at byte %" PRIu64, f->cut_at);
		printf("\n");
	}
	if (res->claims)
		printf("%s to %s: %.6f s, of which %.6f s are unknown\n", utc(res->from_ns, a),
		       utc(res->to_ns, b), (double)res->total_ns / 1e9,
		       (double)res->unknown_ns / 1e9);
	if (res->breaks)
		printf("the clock was set back %" PRIu64 " times: what was between is not shown\n",
		       res->breaks);
	if (res->worst_bound_ns == KBP_BOUND_UNKNOWN)
		printf("distance from UTC: unknown throughout\n");
	else
		printf("distance from UTC, where it is known: at most %" PRIu64 " ns, at %s\n",
		       res->worst_bound_ns, utc(res->worst_at_ns, a));
	if (res->step_ns)
		printf("granularity: stamps move in steps of %" PRIu64 " ns (over %" PRIu64 " steps)",
		       res->step_ns, res->steps);
	else
		printf("granularity: too few stamps to tell");
	if (res->resolution_ps)
		printf("; the source states %" PRIu64 " ps", res->resolution_ps);
	printf("\n\n%s%-11s %14s %14s  %-10s %s%s\n", cli_bold(), "class", "within of UTC",
	       "granularity", "time, %", "verdict", cli_plain());
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		const struct kbp_rts25_class *c = kbp_rts25_class(i);

		if (g->class_index < 0 || (unsigned)g->class_index == i)
			printf("%-11s %11" PRIu64 " us %11" PRIu64 " us  %-10s %s\n", c->name,
			       c->divergence_ns / 1000, c->granularity_ns / 1000,
			       share(res->cls[i].within_ns, res->total_ns, a),
			       verdict_text[res->cls[i].verdict]);
	}
	print_unknown(res);
	printf("\nLimits: %s.\n", kbp_rts25_law());
}

static bool all_compliant(const struct given *g, const struct kbp_rts25_result *res)
{
	bool all = true;

	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++)
		if (g->class_index < 0 || (unsigned)g->class_index == i)
			all = all && res->cls[i].verdict == KBP_RTS25_COMPLIANT;
	return all;
}

static int report(const struct given *g, struct input *in, int n)
{
	struct kbp_rts25_opts o = KBP_RTS25_OPTS_INIT;
	struct kbp_rts25_result *res = calloc(1, sizeof(*res));
	struct kbp_rts25 *r = NULL;
	struct kbp_error err;
	int rc;

	o.gap_ns = (uint64_t)(g->gap_s * 1e9);
	if (!res)
		return cli_misuse("rts25", "memory is out");
	rc = kbp_rts25_open(&o, &r, &err);
	if (!rc)
		rc = n ? read_files(r, in, n, &err) : watch(r, g, &err);
	if (rc) {
		rc = cli_fail(&err);
	} else {
		kbp_rts25_result(r, res);
		cli_progress_end();
		rc = CLI_OK;
		if (g->json)
			rc = print_json(g, in, n, res);
		else
			print_text(g, in, n, res);
		if (!rc && !all_compliant(g, res))
			rc = CLI_FINDINGS;
	}
	kbp_rts25_close(r);
	free(res);
	return rc;
}

int cmd_rts25(int argc, char **argv)
{
	struct given g = { 0 };
	const struct cli_option options[] = {
		{ "live", "SECONDS", "watch this machine's clock so long, instead of reading captures",
		  CLI_REAL, &g.live_s, 0.1, 1e8 },
		CLI_CLOCK_OPTIONS(&g.clock),
		{ "class", "NAME", "hft, automated or voice (default: all)", CLI_TEXT,
		  &g.class_name, 0, 0 },
		{ "gap", "SECONDS", "more time than this between two claims is unknown (default 1)",
		  CLI_REAL, &g.gap_s, 0.000001, 86400 },
		CLI_JSON_OPTION(&g.json),
	};
	const struct cli_usage usage = {
		"rts25 FILE... | --live SECONDS [OPTION]...",
		"How much of the time the clock was within the limits of RTS 25, by what `kbypass capture`\n"
		"wrote beside each packet, or by watching the clock now. Time of which nothing is known counts\n"
		"against compliance; so do all packets of captures that another program wrote.\n"
		"Exit status 0 when every class asked for is compliant, 1 when one is not, or is not shown.",
		options, sizeof(options) / sizeof(options[0])
	};
	struct sigaction on = { .sa_handler = on_signal };
	static const char *words[FILES_MAX];
	struct input *in;
	int n = cli_parse(&usage, argc, argv, words, FILES_MAX), rc;

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	rc = read_options(&g, n);
	if (rc)
		return rc;
	in = calloc((size_t)n + 1, sizeof(*in));
	if (!in)
		return cli_misuse("rts25", "memory is out");
	for (int i = 0; i < n; i++)
		in[i].path = words[i];
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	rc = report(&g, in, n);
	free(in);
	return rc;
}
