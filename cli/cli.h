/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - what the commands of the program share: options, messages, progress, JSON. A command
 * parses and prints; what it does, it does through the public headers.
 */
#ifndef KBP_CLI_H
#define KBP_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <kbypass/kbypass.h>

/* Exit statuses. */
enum { CLI_OK = 0, CLI_FINDINGS = 1, CLI_ERROR = 2 };

/* The commands. argv[0] is the command's own name. */
int cmd_bench(int argc, char **argv);
int cmd_capture(int argc, char **argv);
int cmd_clock(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_rts25(int argc, char **argv);

struct kbp_results;
/* table.c: what `bench` found, for people. */
void cli_bench_table(const struct kbp_results *res);
/* noise.c: what the host took away meanwhile, a line for each CPU; `whose` begins it. */
void cli_noise_lines(const struct kbp_results *res, const char *whose);
/* profile.c: what `bench --profile` found. */
void cli_profile_table(const struct kbp_results *res);

/* ---------------------------------------------------------------- options */

enum cli_type {
	CLI_FLAG, /* bool *: takes no value */
	CLI_TEXT, /* const char ** */
	CLI_U32,  /* uint32_t *, min..max */
	CLI_REAL, /* double *, min..max */
};

/* One option of a command: parsed by it, and its line in the help. */
struct cli_option {
	const char *name; /* without the dashes */
	const char *arg;  /* what to call the value in the help; NULL for a flag */
	const char *help;
	enum cli_type type;
	void *to;
	double min, max; /* of a number; both 0: any */
};

#define CLI_JSON_OPTION(to)                                                                 \
	{                                                                                   \
		"json", NULL, "print a JSON document instead of text", CLI_FLAG, (to), 0, 0 \
	}

/* A command's own description of itself. */
struct cli_usage {
	const char *synopsis; /* "lab up|down|status [OPTION]..." */
	const char *text;     /* a few sentences */
	const struct cli_option *options;
	size_t n_options;
};

/* Reads the options, in any order with the words; "--" ends them. At most max_words words are left
 * in words[0..n). Returns n; -1: an error was printed, exit CLI_ERROR; -2: help was printed, exit
 * CLI_OK. */
int cli_parse(const struct cli_usage *usage, int argc, char **argv, const char **words,
	      int max_words);

/* How to watch the clocks, for commands that do it on the side. */
struct cli_clock {
	const char *ptp4l, *sfptpd;
	double limit_ns, reference_ns;
};

/* clang-format off */
#define CLI_CLOCK_OPTIONS(c)                                                                        \
	{ "limit", "NS", "a clock is in sync up to this offset; 1000 by default", CLI_REAL,         \
	  &(c)->limit_ns, 1, 1e12 },                                                                \
	{ "reference", "NS", "the grandmaster's own error, where it does not state it", CLI_REAL,   \
	  &(c)->reference_ns, 1, 1e12 },                                                            \
	{ "ptp4l", "SOCKET,...", "management sockets; /run/ptp4l* by default", CLI_TEXT,            \
	  &(c)->ptp4l, 0, 0 },                                                                      \
	{ "sfptpd", "DIR", "where sfptpd keeps its state; /var/lib/sfptpd by default", CLI_TEXT,    \
	  &(c)->sfptpd, 0, 0 }
/* clang-format on */

struct kbp_monitor;
/* monitor.c: 0, or -errno with *err. */
int cli_monitor_open(const struct cli_clock *clock, struct kbp_monitor **mon, struct kbp_error *err);

/* "a,b" -> { "a", "b", NULL }; NULL when memory is out. The caller frees the array, and *text, which holds the
 * words. */
const char **cli_words(const char *list, char **text);

/* The name in names[0..n) that `word` was probably meant to be, or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t n);

/* verdicts.c: the verdicts of a bench, for people. */
void cli_verdicts(const struct kbp_results *res);
/* explain.c: what made the tail. */
void cli_explain(const struct kbp_results *res);
/* self_test.c: kbypass bench --self-test. Returns its exit status; *stop ends it. */
int cli_self_test(uint32_t trials, uint32_t seed, const volatile sig_atomic_t *stop_it, bool json);

/* ---------------------------------------------------------------- messages, on stderr */

/* "kbypass: STEP: HINT"; with --json also as a document, when none was printed. Returns CLI_ERROR. */
int cli_fail(const struct kbp_error *err);
/* "kbypass COMMAND: what is wrong with the arguments". Returns CLI_ERROR. */
int cli_misuse(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Work that takes over a second says where it is: a line rewritten on a terminal, a line a second
 * elsewhere. */
void cli_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Take the terminal's progress line away before anything else is printed. */
void cli_progress_end(void);

/* Into the network namespace of that name, as in ip-netns(8); NULL: stay. 0, or -errno and *err. */
int cli_netns_enter(const char *name, struct kbp_error *err);

/* ---------------------------------------------------------------- output, on stdout */

/* The escape sequence on a terminal without NO_COLOR (https://no-color.org), else "". */
const char *cli_bold(void);
const char *cli_plain(void);
/* Prints and frees the document. Returns CLI_OK, or CLI_ERROR with a message. */
int cli_json(json_t *doc);
/* "10.77.0.1", "fd77::1"; "" when family is 0. Returns buf. */
const char *cli_addr(const struct kbp_addr *a, char *buf, size_t size);

#endif
