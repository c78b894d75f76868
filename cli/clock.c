// SPDX-License-Identifier: BSD-2-Clause
/* clock.c - kbypass clock: what every witness says of this host's clocks, now or as it changes. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kbypass/clock.h>

#include "cli.h"

#define SCHEMA "kbypass.clock/1"
#define WITNESSES 512u
#define SOCKETS 256u

/* In documents, as `kbypass capture` writes them; for people. */
static const char *const sync_words[] = { "unknown", "not", "in" };
static const char *const sync_names[] = { "unknown", "not in sync", "in sync" };
/* Events come from the monitor's thread, the first ones maybe from ours. */
static pthread_mutex_t printing = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *const witness_names[] = { "", "kernel", "ptp4l", "sfptpd", "phc" };

/* "system", "ptp3", "?" */
static const char *clock_name(const struct kbp_clock_status *s, char buf[16])
{
	if (s->epoch == KBP_EPOCH_UTC || s->epoch == KBP_EPOCH_TAI)
		return "system";
	if (s->epoch != KBP_EPOCH_PHC || s->phc < 0)
		return "?";
	snprintf(buf, 16, "ptp%d", s->phc);
	return buf;
}

/* ---------------------------------------------------------------- JSON */

static json_t *json_ns(bool known, int64_t v)
{
	return known ? json_integer(v) : json_null();
}

static json_t *json_status(const struct kbp_clock_status *s)
{
	char buf[16];

	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s}", "name",
			 s->name, "witness", witness_names[s->witness], "clock", clock_name(s, buf),
			 "phc", json_ns(s->phc >= 0, s->phc), "interface", s->interface, "sync",
			 sync_words[s->sync], "cause", kbp_clock_cause_name(s->cause), "offset_ns",
			 json_ns(s->have_offset, s->offset_ns), "bound_ns",
			 json_ns(s->bound_ns <= INT64_MAX, (int64_t)s->bound_ns), "age_ns",
			 json_ns(s->age_ns <= INT64_MAX, (int64_t)s->age_ns), "state", s->state,
			 "reference", s->reference, "text", s->text);
}

/* The system's clock, all its witnesses considered. */
static void system_claim(struct kbp_monitor *mon, struct kbp_claim *claim)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	kbp_clock_judge(kbp_monitor_clock(mon, KBP_EPOCH_UTC, -1),
			(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, claim);
}

/* Is there something to be done? What the kernel says counts where nothing better is known of its clock; a daemon
 * that follows none by design is no finding. */
static bool findings(struct kbp_monitor *mon, const struct kbp_clock_status *s, unsigned n)
{
	struct kbp_claim claim;

	system_claim(mon, &claim);
	if (claim.sync != KBP_SYNC_IN)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (s[i].witness == KBP_WITNESS_PHC ?
			    s[i].sync != KBP_SYNC_IN :
			    s[i].sync == KBP_SYNC_NOT && s[i].witness != KBP_WITNESS_KERNEL)
			return true;
	return false;
}

static json_t *json_claim(struct kbp_monitor *mon)
{
	struct kbp_claim claim;

	system_claim(mon, &claim);
	return json_pack("{s:s, s:s, s:o}", "sync", sync_words[claim.sync], "cause",
			 kbp_clock_cause_name(claim.cause), "bound_ns",
			 json_ns(claim.bound_ns <= INT64_MAX, (int64_t)claim.bound_ns));
}

/* line: among others, each a document. */
static int print_json(struct kbp_monitor *mon, const struct kbp_clock_status *s, unsigned n,
		      double limit, bool line)
{
	json_t *doc;

	char host[256] = "";
	json_t *list = json_array();

	FILE *f = fopen("/proc/sys/kernel/hostname", "re");

	if (f) {
		if (!fgets(host, sizeof(host), f))
			host[0] = '\0';
		fclose(f);
	}
	host[strcspn(host, "\n")] = '\0';
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_status(&s[i]));
	doc = json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "schema", SCHEMA, "host", host, "utc_s",
			(json_int_t)time(NULL), "limit_ns", (json_int_t)limit, "system",
			json_claim(mon), "witnesses", list);
	if (!line)
		return cli_json(doc);
	if (doc)
		json_dumpf(doc, stdout, JSON_COMPACT);
	json_decref(doc);
	putchar('\n');
	return CLI_OK;
}

/* ---------------------------------------------------------------- text */

/* "12 ns", "3.4 us", "1.2 s", "-" */
static const char *span(bool known, double ns, char buf[24])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned u = 0;

	if (!known)
		return "-";
	while (u < 3 && (ns >= 1000 || ns <= -1000)) {
		ns /= 1000;
		u++;
	}
	snprintf(buf, 24, "%.*f %s", u ? 1 : 0, ns, units[u]);
	return buf;
}

static void print_status(const struct kbp_clock_status *s)
{
	char clock[16], offset[24], bound[24], age[24];

	printf("%-8s %-24s %-12s %-13s %10s %10s %10s  %s\n", clock_name(s, clock), s->name,
	       s->state[0] ? s->state : "-", sync_names[s->sync],
	       span(s->have_offset, (double)s->offset_ns, offset),
	       span(s->bound_ns != KBP_BOUND_UNKNOWN, (double)s->bound_ns, bound),
	       span(s->age_ns != UINT64_MAX, (double)s->age_ns, age), kbp_clock_cause_name(s->cause));
	if (s->text[0])
		printf("         %s\n", s->text);
}

static int worse(const void *a, const void *b)
{
	static const int rank[] = { 1, 0, 2 }; /* not in sync, unknown, in sync */
	const struct kbp_clock_status *x = a, *y = b;

	if (x->sync != y->sync)
		return rank[x->sync] - rank[y->sync];
	return strcmp(x->name, y->name);
}

/* What all of them come to for the system's clock. */
static void print_system(struct kbp_monitor *mon)
{
	struct kbp_claim claim;
	char bound[24];

	system_claim(mon, &claim);
	printf("system's clock: %s (%s), within %s of UTC\n", sync_names[claim.sync],
	       kbp_clock_cause_name(claim.cause),
	       claim.bound_ns == KBP_BOUND_UNKNOWN ? "an unknown distance" :
						     span(true, (double)claim.bound_ns, bound));
}

static int print_all(struct kbp_monitor *mon, bool json, double limit, bool line)
{
	struct kbp_clock_status *s = calloc(WITNESSES, sizeof(*s));
	unsigned n = s ? kbp_monitor_status(mon, s, WITNESSES) : 0;
	int status = CLI_OK;

	if (!s) {
		const struct kbp_error err = { -ENOMEM, "look at the clocks", "out of memory" };

		return cli_fail(&err);
	}
	if (n > WITNESSES)
		n = WITNESSES;
	qsort(s, n, sizeof(*s), worse);
	if (json) {
		if (print_json(mon, s, n, limit, line) != CLI_OK)
			status = CLI_ERROR;
	} else {
		printf("%s%-8s %-24s %-12s %-13s %10s %10s %10s  %s%s\n", cli_bold(), "clock",
		       "witness", "says", "sync", "offset", "bound", "verified", "cause",
		       cli_plain());
		for (unsigned i = 0; i < n; i++)
			print_status(&s[i]);
		print_system(mon);
	}
	if (status == CLI_OK && findings(mon, s, n))
		status = CLI_FINDINGS;
	free(s);
	return status;
}

/* ---------------------------------------------------------------- as it changes */

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* From the monitor's thread. */
static void print_event(const struct kbp_clock_event *e, void *arg)
{
	const bool *json = arg;
	time_t s = (time_t)(e->utc_ns / 1000000000u);
	char when[32] = "";
	struct tm tm;

	pthread_mutex_lock(&printing);
	if (*json) {
		json_t *doc = json_pack("{s:s, s:I, s:s, s:s, s:o}", "schema", SCHEMA, "utc_ns",
					(json_int_t)e->utc_ns, "before", sync_words[e->before],
					"cause_before", kbp_clock_cause_name(e->cause_before),
					"now", json_status(&e->now));

		if (doc)
			json_dumpf(doc, stdout, JSON_COMPACT);
		json_decref(doc);
		putchar('\n');
	} else {
		if (gmtime_r(&s, &tm))
			strftime(when, sizeof(when), "%FT%T", &tm);
		printf("%s.%03uZ %s: %s (%s) -> %s (%s)%s%s\n", when,
		       (unsigned)(e->utc_ns / 1000000 % 1000), e->now.name, sync_names[e->before],
		       kbp_clock_cause_name(e->cause_before), sync_names[e->now.sync],
		       kbp_clock_cause_name(e->now.cause), e->now.text[0] ? ": " : "", e->now.text);
	}
	fflush(stdout);
	pthread_mutex_unlock(&printing);
}

static void wait_for(double seconds)
{
	struct timespec step = { 0, 50000000 }, begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (!stopped) {
		nanosleep(&step, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (seconds > 0 && (double)(now.tv_sec - begin.tv_sec) +
						   (double)(now.tv_nsec - begin.tv_nsec) / 1e9 >=
					   seconds)
			break;
	}
}

static int watch(struct kbp_monitor_opts *opts, bool follow, double seconds, bool json)
{
	struct sigaction sa = { .sa_handler = stop };
	struct kbp_monitor *mon;
	struct kbp_error err;
	int status;

	if (follow) {
		opts->event = print_event;
		opts->arg = &json;
	}
	pthread_mutex_lock(&printing); /* how it stands comes before what changes */
	if (kbp_monitor_open(opts, &mon, &err)) {
		pthread_mutex_unlock(&printing);
		return cli_fail(&err);
	}
	if (follow) {
		sigaction(SIGINT, &sa, NULL);
		sigaction(SIGTERM, &sa, NULL);
	}
	if (follow)
		print_all(mon, json, (double)opts->limit_ns, true);
	fflush(stdout);
	pthread_mutex_unlock(&printing);
	if (follow || seconds > 0)
		wait_for(seconds);
	if (!follow) {
		status = print_all(mon, json, (double)opts->limit_ns, false);
	} else { /* how it stands at the end */
		struct kbp_clock_status s[WITNESSES];
		unsigned n = kbp_monitor_status(mon, s, WITNESSES);

		status = findings(mon, s, n < WITNESSES ? n : WITNESSES) ? CLI_FINDINGS : CLI_OK;
	}
	kbp_monitor_close(mon);
	return status;
}

/* Splits "a,b,c" in place. Returns how many, or -1. */
static int split(char *list, const char **to)
{
	int n = 0;

	for (char *save = NULL, *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (n == SOCKETS)
			return -1;
		to[n++] = p;
	}
	to[n] = NULL;
	return n;
}

int cmd_clock(int argc, char **argv)
{
	struct kbp_monitor_opts opts = KBP_MONITOR_OPTS_INIT;
	const char *sockets[SOCKETS + 1], *words[1], *list = NULL;
	double limit = 1000, reference = 0, seconds = 0;
	bool follow = false, json = false;
	char *copy = NULL;
	const struct cli_option options[] = {
		{ "follow", NULL, "print every change as a line until interrupted", CLI_FLAG,
		  &follow, 0, 0 },
		{ "seconds", "N", "with --follow: for so long; else: look for so long first",
		  CLI_REAL, &seconds, 0.1, 1e9 },
		{ "limit", "NS", "in sync up to this offset; 1000 by default", CLI_REAL, &limit, 1,
		  1e12 },
		{ "reference", "NS", "the grandmaster's own error, where it does not state it",
		  CLI_REAL, &reference, 1, 1e12 },
		{ "ptp4l", "SOCKET,...", "management sockets; /run/ptp4l* by default", CLI_TEXT,
		  &list, 0, 0 },
		{ "sfptpd", "DIR", "where sfptpd keeps its state; /var/lib/sfptpd by default",
		  CLI_TEXT, &opts.sfptpd, 0, 0 },
		CLI_JSON_OPTION(&json),
	};
	const struct cli_usage usage = {
		"clock [OPTION]...",
		"What every witness says of this host's clocks: each ptp4l, sfptpd, the NICs' own clocks\n"
		"and the kernel. Reads only. Worst first. Exits 0 when the system's clock, the NICs' and what\n"
		"the daemons follow are in sync, 1 when not.",
		options, sizeof(options) / sizeof(options[0])
	};
	int n = cli_parse(&usage, argc, argv, words, 0), status;

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	if (list) {
		copy = strdup(list);
		if (!copy || split(copy, sockets) < 1) {
			free(copy);
			return cli_misuse("clock",
					  "--ptp4l takes 1 to %u sockets, with commas between",
					  SOCKETS);
		}
		opts.ptp4l = sockets;
	}
	opts.limit_ns = (uint64_t)limit;
	opts.reference_ns = (uint64_t)reference;
	status = watch(&opts, follow, seconds, json);
	free(copy);
	return status;
}
