// SPDX-License-Identifier: BSD-2-Clause
/* main.c - the program: one table of commands drives dispatch and help. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "lab", "make, show or remove a throw-away network of two hosts", cmd_lab },
	{ "bench", "measure every backend side by side on one wire", cmd_bench },
	{ "compare", "say what differs between two results, and whether that is known", cmd_compare },
	{ "report", "one page with tables and plots of what a bench found", cmd_report },
	{ "export", "a bench's samples as CSV, JSON or HdrHistogram text", cmd_export },
	{ "capture", "write packets to pcapng, with what each timestamp is worth", cmd_capture },
	{ "rts25", "was the clock within the limits of RTS 25, by captures or live", cmd_rts25 },
	{ "clock", "say whether the clocks that timestamps come from are in sync", cmd_clock },
	{ "replay", "send a capture at its times through any backend", cmd_replay },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(FILE *to)
{
	fprintf(to, "Usage: kbypass COMMAND [OPTION]...\n\n"
		    "Which way should packets reach my program on this host?\n\nCommands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\n`kbypass help COMMAND` explains one. Exit status: 0 fine, 1 findings, 2 usage or "
		    "environment error.\n");
	return CLI_OK;
}

static int unknown(const char *word)
{
	const char *names[N_COMMANDS], *near;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	near = cli_nearest(word, names, N_COMMANDS);
	if (near)
		fprintf(stderr, "kbypass: there is no command \"%s\": did you mean \"%s\"?\n", word,
			near);
	else
		fprintf(stderr, "kbypass: there is no command \"%s\": see `kbypass help`\n", word);
	return CLI_ERROR;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	return unknown(argv[0]);
}

static int dispatch(int argc, char **argv)
{
	char help_option[] = "--help";

	if (argc < 2) {
		help(stderr);
		return CLI_ERROR;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("kbypass %s\n", kbp_version());
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    (!strcmp(argv[1], "help") && argc == 2))
		return help(stdout);
	if (!strcmp(argv[1], "help")) {
		char *ask[] = { argv[2], help_option, NULL };

		return run(2, ask);
	}
	return run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	cli_progress_end();
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "kbypass: write to standard output: %s\n", strerror(errno));
		return CLI_ERROR;
	}
	return status;
}
