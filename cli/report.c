/* SPDX-License-Identifier: BSD-2-Clause */
/* report.c - kbypass report: a results directory in, the path of a page out. */
#include <stdio.h>
#include <string.h>

#include <kbypass/report.h>

#include "cli.h"

int cmd_report(int argc, char **argv)
{
	const char *file = NULL, *dir;
	char beside[4200];
	bool json = false;
	const struct cli_option options[] = {
		{ "out", "FILE", "write the page there (default: DIR/report.html)", CLI_TEXT, &file,
		  0, 0 },
		CLI_JSON_OPTION(&json),
	};
	const struct cli_usage usage = {
		"report DIR [--out FILE] [--json]",
		"Writes one HTML page of what `kbypass bench --out DIR` found, and prints its path: the\n"
		"verdicts in a sentence, tables, percentiles, histogram, samples over time with what ran\n"
		"when they were long, setup and host. It needs no network, no script and no other file.",
		options, sizeof(options) / sizeof(options[0])
	};
	struct kbp_error err;
	int n = cli_parse(&usage, argc, argv, &dir, 1);

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	if (n == 0)
		return cli_misuse("report",
				  "of what? give the directory of `kbypass bench --out DIR`");
	if (kbp_report_write(dir, file, &err))
		return cli_fail(&err);
	snprintf(beside, sizeof(beside), "%s%sreport.html", dir,
		 dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/");
	if (json)
		return cli_json(json_pack("{s:s, s:s}", "schema", "kbypass.report/1", "file",
					  file ? file : beside));
	puts(file ? file : beside);
	return CLI_OK;
}
