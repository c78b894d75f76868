/* SPDX-License-Identifier: BSD-2-Clause */
/* export.c - kbypass export: the samples of a results directory for other programs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kbypass/report.h>

#include "cli.h"

static int read_format(const char *given, enum kbp_export_format *format)
{
	static const char *const names[] = { "csv", "hdr", "json" };
	static const enum kbp_export_format formats[] = { KBP_EXPORT_CSV, KBP_EXPORT_HDR,
							  KBP_EXPORT_JSON };
	const char *near;

	for (size_t i = 0; i < 3; i++) {
		if (!given || !strcmp(given, names[i])) {
			*format = formats[i];
			return CLI_OK;
		}
	}
	near = cli_nearest(given, names, 3);
	return cli_misuse("export", "--format %s: there is csv, hdr and json%s%s%s", given,
			  near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

int cmd_export(int argc, char **argv)
{
	struct kbp_export_opts o = KBP_EXPORT_OPTS_INIT;
	const char *dir, *format = NULL, *file = "-";
	double rate = 0;
	const struct cli_option options[] = {
		{ "format", "FORMAT", "csv (default), hdr: HdrHistogram's percentile text, or json",
		  CLI_TEXT, &format, 0, 0 },
		{ "backend", "NAME", "as in the results (default: all; hdr takes one)", CLI_TEXT,
		  &o.backend, 0, 0 },
		{ "metric", "NAME",
		  "one_way, rtt, tx, rx_path or wire_to_stamp (default: what was measured)",
		  CLI_TEXT, &o.metric, 0, 0 },
		{ "rate", "PPS", "of a rate sweep: which", CLI_REAL, &rate, 1, 1e12 },
		{ "out", "FILE", "where to (default: -, standard output)", CLI_TEXT, &file, 0, 0 },
	};
	const struct cli_usage usage = {
		"export DIR [OPTION]...",
		"Writes the samples that `kbypass bench --out DIR` kept, in nanoseconds.\n"
		"csv:  backend,round,index,warmup,ns: a line for each; warmup 1 is left out of quantiles.\n"
		"hdr:  one run's percentiles without warm-up, exact, as HdrHistogram's plotters read them.\n"
		"json: schema kbypass.samples/1, round by round.",
		options, sizeof(options) / sizeof(options[0])
	};
	struct kbp_error err;
	int n = cli_parse(&usage, argc, argv, &dir, 1);

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	if (n == 0)
		return cli_misuse("export",
				  "of what? give the directory of `kbypass bench --out DIR`");
	if (read_format(format, &o.format) != CLI_OK)
		return CLI_ERROR;
	o.rate_pps = (uint64_t)rate;
	o.file = strcmp(file, "-") != 0 ? file : NULL;
	o.fd = STDOUT_FILENO;
	return kbp_export(dir, &o, &err) ? cli_fail(&err) : CLI_OK;
}
