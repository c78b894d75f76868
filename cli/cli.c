// SPDX-License-Identifier: BSD-2-Clause
/* cli.c - options, messages, progress and JSON for all commands. */
#include "cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------- nearest name */

#define NAME_MAX_CHARS 31u

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance, one row at a time. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_CHARS + 1];
	size_t nb = strlen(b);

	if (strlen(a) > NAME_MAX_CHARS || nb > NAME_MAX_CHARS)
		return NAME_MAX_CHARS;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *cli_nearest(const char *word, const char *const *names, size_t n)
{
	unsigned best = 1 + ((unsigned)strlen(word) + 1) / 2; /* farther is a guess, not a
							       * suggestion */
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(word, names[i]);

		if (d < best || (*word && !strncmp(word, names[i], strlen(word)))) {
			best = d < best ? d : best;
			found = names[i];
		}
	}
	return found;
}

/* ---------------------------------------------------------------- options */

static void print_help(const struct cli_usage *u)
{
	printf("Usage: kbypass %s\n\n%s\n", u->synopsis, u->text);
	if (u->n_options)
		printf("\nOptions:\n");
	for (size_t i = 0; i < u->n_options; i++) {
		const struct cli_option *o = &u->options[i];
		char left[48];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-22s %s\n", left, o->help);
	}
}

static const struct cli_option *option_find(const struct cli_usage *u, const char *name, size_t len)
{
	for (size_t i = 0; i < u->n_options; i++)
		if (strlen(u->options[i].name) == len && !memcmp(u->options[i].name, name, len))
			return &u->options[i];
	return NULL;
}

static int option_unknown(const struct cli_usage *u, const char *command, const char *given)
{
	const char *names[64], *near;
	char name[NAME_MAX_CHARS + 1];
	size_t n = 0;

	for (; n < u->n_options && n < 64; n++)
		names[n] = u->options[n].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(given, "="), given);
	near = cli_nearest(name, names, n);
	if (near)
		return cli_misuse(command, "unknown option --%s: did you mean --%s?", name, near);
	return cli_misuse(command, "unknown option --%s: see `kbypass help %s`", name, command);
}

static int option_number(const struct cli_option *o, const char *command, const char *text)
{
	double v;
	char *end;

	errno = 0;
	v = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(v))
		return cli_misuse(command, "--%s %s: \"%s\" is not a number", o->name, o->arg, text);
	if (o->type == CLI_U32 && (v != floor(v) || v < 0 || v > UINT32_MAX))
		return cli_misuse(command, "--%s %s: \"%s\" is not a whole number from 0 to %u",
				  o->name, o->arg, text, UINT32_MAX);
	if ((o->min != 0 || o->max != 0) && (v < o->min || v > o->max))
		return cli_misuse(command, "--%s %s: %s is outside of %.10g to %.10g", o->name,
				  o->arg, text, o->min, o->max);
	if (o->type == CLI_U32)
		*(uint32_t *)o->to = (uint32_t)v;
	else
		*(double *)o->to = v;
	return CLI_OK;
}

/* Whoever reads a document gets one: of what went wrong, when there is no other. */
static bool json_asked, json_printed;

static int option_take(const struct cli_option *o, const char *command, const char *value)
{
	switch (o->type) {
	case CLI_FLAG:
		*(bool *)o->to = true;
		json_asked |= !strcmp(o->name, "json");
		return CLI_OK;
	case CLI_TEXT:
		*(const char **)o->to = value;
		return CLI_OK;
	default:
		return option_number(o, command, value);
	}
}

/* argv[i] begins with "--". Returns how many words it took, or -1. */
static int option_parse(const struct cli_usage *u, int argc, char **argv, int i)
{
	const char *command = argv[0], *given = argv[i] + 2, *value = NULL;
	size_t len = strcspn(given, "=");
	const struct cli_option *o = option_find(u, given, len);
	int took = 1;

	if (!o) {
		option_unknown(u, command, given);
		return -1;
	}
	if (given[len])
		value = given + len + 1;
	if (o->type == CLI_FLAG && value) {
		cli_misuse(command, "--%s takes no value", o->name);
		return -1;
	}
	if (o->type != CLI_FLAG && !value) {
		if (i + 1 >= argc) {
			cli_misuse(command, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
			return -1;
		}
		value = argv[i + 1];
		took = 2;
	}
	return option_take(o, command, value) == CLI_OK ? took : -1;
}

int cli_parse(const struct cli_usage *usage, int argc, char **argv, const char **words, int max_words)
{
	bool options = true;
	int n = 0;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			break;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help(usage);
			return -2;
		}
	for (int i = 1; i < argc;) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
			i++;
		} else if (options && !strncmp(argv[i], "--", 2)) {
			int took = option_parse(usage, argc, argv, i);

			if (took < 0)
				return -1;
			i += took;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			cli_misuse(argv[0],
				   "unknown option %s: options have two dashes, see `kbypass help %s`",
				   argv[i], argv[0]);
			return -1;
		} else if (n == max_words) {
			cli_misuse(argv[0], "\"%s\" is one word too many: see `kbypass help %s`",
				   argv[i], argv[0]);
			return -1;
		} else {
			words[n++] = argv[i++];
		}
	}
	return n;
}

const char **cli_words(const char *list, char **text)
{
	const char **words = calloc(strlen(list) + 2, sizeof(*words));
	char *rest;
	size_t n = 0;

	*text = rest = strdup(list);
	while (words && rest)
		words[n++] = strsep(&rest, ",");
	if (words && *text)
		return words;
	free(words);
	free(*text);
	*text = NULL;
	return NULL;
}

/* ---------------------------------------------------------------- messages */

static void print_error(const struct kbp_error *err)
{
	const char *name = strerrorname_np(-err->code);

	cli_json(json_pack("{s:s, s:{s:i, s:s, s:s, s:s}}", "schema", "kbypass.error/1", "error",
			   "code", err->code, "name", name ? name : "", "step", err->step, "hint",
			   err->hint));
}

int cli_fail(const struct kbp_error *err)
{
	cli_progress_end();
	fprintf(stderr, "kbypass: %s: %s\n", err->step, err->hint);
	if (json_asked && !json_printed)
		print_error(err);
	return CLI_ERROR;
}

int cli_misuse(const char *command, const char *fmt, ...)
{
	va_list ap;

	cli_progress_end();
	fprintf(stderr, "kbypass %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_ERROR;
}

static bool progress_shown; /* a line stands on the terminal */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void cli_progress(const char *fmt, ...)
{
	static int64_t last_ms; /* the first call starts the second of silence */
	bool terminal = isatty(STDERR_FILENO);
	va_list ap;

	if (!last_ms)
		last_ms = now_ms();
	if (!terminal && now_ms() - last_ms < 1000)
		return;
	last_ms = now_ms();
	if (terminal)
		fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (terminal)
		progress_shown = true;
	else
		fputc('\n', stderr);
	fflush(stderr);
}

void cli_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

/* ---------------------------------------------------------------- output */

static bool colour(void)
{
	const char *no = getenv("NO_COLOR");

	return !(no && *no) && isatty(STDOUT_FILENO);
}

const char *cli_bold(void)
{
	return colour() ? "\033[1m" : "";
}

const char *cli_plain(void)
{
	return colour() ? "\033[0m" : "";
}

int cli_json(json_t *doc)
{
	int rc = doc ? json_dumpf(doc, stdout, JSON_INDENT(2)) : -1;

	json_printed = true;
	json_decref(doc);
	if (rc || putchar('\n') == EOF) {
		fprintf(stderr, "kbypass: print JSON: %s\n", doc ? strerror(errno) : "out of memory");
		return CLI_ERROR;
	}
	return CLI_OK;
}

const char *cli_addr(const struct kbp_addr *a, char *buf, size_t size)
{
	if (!a->family || !inet_ntop(a->family, a->bytes, buf, (socklen_t)size))
		buf[0] = '\0';
	return buf;
}

int cli_netns_enter(const char *name, struct kbp_error *err)
{
	char path[300];
	int fd = -1, rc = -EINVAL;

	if (!name)
		return 0;
	if (*name && !strchr(name, '/') && strlen(name) < 256) {
		snprintf(path, sizeof(path), "/run/netns/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		rc = fd < 0 || setns(fd, CLONE_NEWNET) ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!rc)
		return 0;
	memset(err, 0, sizeof(*err));
	err->code = rc;
	snprintf(err->step, sizeof(err->step), "enter network namespace \"%.50s\"", name);
	snprintf(err->hint, sizeof(err->hint), "%s: %s", strerror(-rc),
		 rc == -EPERM ? "CAP_SYS_ADMIN is missing" :
				"`ip netns list` names those that are there");
	return rc;
}
