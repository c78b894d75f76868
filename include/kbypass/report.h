/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what a bench or a profile left behind, for people and for other programs.
 *
 *   report    one HTML page with tables and plots; it needs no script, no network and no other file
 *   export    the samples as other programs read them
 */
#ifndef KBYPASS_REPORT_H
#define KBYPASS_REPORT_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

/* kbp_report_write - the page of a results directory.
 *
 * dir has results.json and, where they were kept, samples. Without these the page says so and shows
 * what results.json alone gives. Whatever stands in the files is shown as text: the page runs
 * nothing of it and loads nothing. The same files give the same page, byte for byte.
 * file:     where to; NULL: DIR/report.html. An earlier one is replaced when the new one is complete.
 * Returns:  0 or -errno.
 * Errors:   those of kbp_results_load; -ENOMEM; those of writing the file, like -ENOSPC.
 * Owns:     nothing changes hands.
 * Blocks:   for reading and sorting the samples, one run after the other.
 * Threads:  any. */
KBP_API int kbp_report_write(const char *dir, const char *file, struct kbp_error *err);

enum kbp_export_format {
	KBP_EXPORT_CSV = 0, /* backend,round,index,warmup,ns: a line for each sample */
	KBP_EXPORT_HDR,	 /* percentiles as HdrHistogram prints them, of one run, without warm-up */
	KBP_EXPORT_JSON, /* schema kbypass.samples/1 */
};

/* What to export. Zero is the default of every member; set `size`. */
struct kbp_export_opts {
	size_t size;
	enum kbp_export_format format;
	const char *backend; /* as in the results; NULL: all, and there must be one for HDR */
	const char *metric;  /* "one_way", "rtt", "tx", "rx_path", "wire_to_stamp"; NULL: the one
			      * that the runs measured */
	uint64_t rate_pps;   /* of a rate sweep: which; 0: the results must have one rate */
	const char *file;    /* NULL: into fd */
	int fd;		     /* without a file; stays open */
};

#define KBP_EXPORT_OPTS_INIT KBP_OPTS_INIT(struct kbp_export_opts)

/* kbp_export - the samples of a results directory.
 *
 * Quantiles of the exported samples without warm-up, by nearest rank, are those of results.json.
 * Returns:  0 or -errno.
 * Errors:   -EINVAL a member of opts, or it leaves several runs where the format takes one;
 *           -ENOENT no such backend, metric or rate, or no samples were kept; -EBADMSG the samples
 *           do not belong to results.json; those of kbp_results_load and of writing.
 * Owns:     nothing changes hands.
 * Blocks:   for reading, sorting (HDR) and writing.
 * Threads:  any. */
KBP_API int kbp_export(const char *dir, const struct kbp_export_opts *opts, struct kbp_error *err);

#ifdef __cplusplus
}
#endif
#endif
