/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_parts.h - what the files of the report and of the export share.
 *
 * Results may come from anybody. Two rules keep the page safe: text from them goes through kbp_out_text, and
 * everything a file can make large is bounded (KBP_PAGE_*).
 */
#ifndef KBP_MEASURE_REPORT_PARTS_H
#define KBP_MEASURE_REPORT_PARTS_H

#include <limits.h>
#include <stdio.h>

#include <kbypass/report.h>

#include "tools/measure/compare.h"

#define KBP_PAGE_RUNS 64u
#define KBP_PAGE_ROWS 400u /* of any table */

/* ---------------------------------------------------------------- report_out.c: text */

struct kbp_out {
	char *text; /* NUL-terminated once there is something */
	size_t len, room;
	bool bad; /* memory is out */
};

/* Markup and numbers of ours, never text from results. */
void kbp_outf(struct kbp_out *o, const char *fmt, ...) KBP_PRINTF(2, 3);
void kbp_out_raw(struct kbp_out *o, const char *s);
/* Text from anywhere: as it reads, whatever is in it. Bytes that are no UTF-8, control characters and those that turn
 * the direction of writing show as escapes. */
void kbp_out_text(struct kbp_out *o, const char *s);
/* before, escaped text, after */
void kbp_out_in(struct kbp_out *o, const char *before, const char *text, const char *after);

/* "850 ns", "12.35 \u00b5s" */
const char *kbp_text_ns(double ns, char buf[32]);
/* "1,234,567" */
const char *kbp_text_count(uint64_t v, char buf[32]);

/* ---------------------------------------------------------------- report_file.c */

/* A file to write: beside an earlier one and then in its place, so that a reader sees the old one or the new one. What
 * is no plain file (a pipe, a terminal) is written to as it is. */
struct kbp_sink {
	char file[PATH_MAX], tmp[PATH_MAX + 8]; /* tmp "": written in place */
	FILE *f;
};

/* file NULL: to fd, which stays open. */
int kbp_sink_open(struct kbp_sink *s, const char *file, int fd, struct kbp_error *err);
/* rc: what is known to have failed, 0: nothing, and then a failed write is found here. Without success an earlier file
 * stays. */
int kbp_sink_close(struct kbp_sink *s, int rc, struct kbp_error *err);
/* The directory of results that a path names: no file, and not too long. */
int kbp_results_dir_of(const char *path, char dir[PATH_MAX], struct kbp_error *err);

/* ---------------------------------------------------------------- report_samples.c */

/* A run's samples without warm-up and without KBP_SAMPLE_NONE (`gaps`), sorted; NULL when memory is out. */
uint32_t *kbp_samples_sorted(const struct kbp_result_run *run, const uint32_t *ns, bool gaps,
			     size_t *n);

/* A part of the samples in the order of arrival, in three figures: what is rare is not lost. */
struct kbp_bucket {
	uint32_t min, p99, max;
	size_t at_max; /* index of the sample that is max */
};

/* At most `max` buckets of like length over ns[0..n). Returns how many. */
unsigned kbp_buckets_of(const uint32_t *ns, size_t n, struct kbp_bucket *b, unsigned max);

/* HdrHistogram's iteration: levels that halve the distance to 100 % in `5` steps, each with the first value that
 * reaches it. */
struct kbp_level {
	double q;      /* 0 to 1 */
	uint32_t ns;   /* nearest rank */
	uint64_t rank; /* samples up to and with this value */
};

#define KBP_LEVEL_TICKS 5u
#define KBP_LEVELS_MAX (KBP_LEVEL_TICKS * 66u)

unsigned kbp_levels_of(const uint32_t *sorted, size_t n, struct kbp_level *l);

/* ---------------------------------------------------------------- what the page is made of */

enum kbp_class { KBP_CLASS_REAL = 0, KBP_CLASS_VIRTUAL, KBP_CLASS_MEMORY, KBP_CLASS_EMULATED };

#define KBP_HISTOGRAM_BINS 90u
#define KBP_SERIES_BUCKETS 220u
#define KBP_STYLES 8u

struct kbp_report_run {
	const struct kbp_result_run *r;
	unsigned group, style;
	char missing[520]; /* why there are no samples; "": there are */
	char differs[160]; /* the samples' quantiles are not those of results.json; "" */
	uint64_t n_samples;
	struct kbp_level level[KBP_LEVELS_MAX];
	unsigned n_levels;
	uint64_t bin[KBP_HISTOGRAM_BINS], beyond; /* by the group's edges; above the last one */
	struct kbp_bucket bucket[KBP_SERIES_BUCKETS];
	unsigned n_buckets;
};

/* Runs that may stand in one table: of one class of devices, one kind of latency, one rate. */
struct kbp_report_group {
	enum kbp_class class;
	char kind[12];
	uint64_t rate_pps;
	unsigned n_runs;
	uint32_t edge[KBP_HISTOGRAM_BINS + 1];
	unsigned n_bins;
};

struct kbp_report {
	const struct kbp_results *res;
	struct kbp_report_run *run;
	struct kbp_report_group group[KBP_PAGE_RUNS];
	unsigned n_runs, n_groups;
	struct kbp_out out;
};

/* report_data.c: groups, and what is drawn, from results and samples in res->dir. */
int kbp_report_gather(struct kbp_report *p, const struct kbp_results *res, struct kbp_error *err);
const char *kbp_report_kind(const struct kbp_result_run *r);
enum kbp_class kbp_report_class(const struct kbp_result_run *r);
/* "virtual devices", and what that means. */
const char *kbp_class_name(enum kbp_class c);
const char *kbp_class_words(enum kbp_class c);
/* The run a verdict speaks of; NULL: there is none, or it is not clear which. */
const struct kbp_report_run *kbp_report_find(const struct kbp_report *p, const char *backend,
					     uint64_t rate_pps);
/* Says the verdict that one is lower, and may it be said? -1: a is lower, 1: b is, 0: not resolved. */
int kbp_verdict_lower(const struct kbp_report *p, const struct kbp_verdict *v);
/* Why not. */
const char *kbp_verdict_why(const struct kbp_report *p, const struct kbp_verdict *v);

/* report_words.c */
void kbp_page_summary(struct kbp_report *p);
void kbp_page_glossary(struct kbp_report *p);
/* report_tables.c */
void kbp_page_group_table(struct kbp_report *p, unsigned group);
void kbp_page_parts(struct kbp_report *p);
void kbp_page_verdicts(struct kbp_report *p);
void kbp_page_findings(struct kbp_report *p);
void kbp_page_facts(struct kbp_report *p);
/* report_plots.c */
void kbp_page_gap(struct kbp_report *p, unsigned group);
void kbp_page_percentiles(struct kbp_report *p, unsigned group);
void kbp_page_histogram(struct kbp_report *p, unsigned group);
/* report_sweep.c */
/* Is a class and kind measured at several rates? */
bool kbp_report_sweeps(const struct kbp_report *p);
void kbp_page_sweep(struct kbp_report *p);
/* report_series.c */
void kbp_page_series(struct kbp_report *p);
void kbp_page_causes(struct kbp_report *p);
/* report_host.c */
void kbp_page_profile(struct kbp_report *p);
void kbp_page_noise(struct kbp_report *p);
/* report_style.c: what the policy of the page allows, by their hashes */
extern const char kbp_page_css[], kbp_page_js[], kbp_page_css_hash[], kbp_page_js_hash[];
/* report.c: the whole page into p->out. */
int kbp_report_page(struct kbp_report *p, struct kbp_error *err);

/* ---------------------------------------------------------------- report_svg.c */

/* From figures to places. */
struct kbp_axis {
	double lo, hi;
	bool log;
	double at_lo, at_hi;
};

/* Widens lo..hi so that it can be drawn: lo < hi, and lo > 0 when it is logarithmic. */
void kbp_axis_make(struct kbp_axis *a, bool log, double lo, double hi, double at_lo, double at_hi);
/* Never outside of at_lo..at_hi. */
double kbp_axis_at(const struct kbp_axis *a, double v);
#define KBP_TICKS_MAX 16u
/* Round figures within. */
unsigned kbp_axis_ticks(const struct kbp_axis *a, double *tick);

/* "M10 20L30.5 40": a tenth of a unit is fine enough. What is no number ends the line. */
struct kbp_path {
	struct kbp_out *o;
	bool drawing;
};
void kbp_path_to(struct kbp_path *p, double x, double y);
/* x or y as it stands in markup. */
const char *kbp_text_at(double v, char buf[16]);

/* A figure with its plot: id, size, caption and description (both of ours, the text of results in `subject` only). */
void kbp_svg_begin(struct kbp_out *o, const char *id, unsigned w, unsigned h, const char *title,
		   const char *subject, const char *desc);
void kbp_svg_end(struct kbp_out *o);
/* Lines across the plot and words beside them. x: below, y: at the left. */
void kbp_svg_grid_x(struct kbp_out *o, const struct kbp_axis *x, double y0, double y1, bool ns);
void kbp_svg_grid_y(struct kbp_out *o, const struct kbp_axis *y, double x0, double x1, bool ns);
void kbp_svg_text(struct kbp_out *o, double x, double y, const char *class, const char *text);
/* Mark number `shape` (0 to 7) at a place, of a class of colours; the tooltip is written by the caller between begin
 * and end. */
void kbp_svg_mark_begin(struct kbp_out *o, unsigned shape, double x, double y, double r,
			const char *class);
void kbp_svg_mark_end(struct kbp_out *o);
/* What the lines of a group's plot are; the list can be clicked where scripts run. */
void kbp_page_legend(struct kbp_report *p, unsigned group);

#endif
