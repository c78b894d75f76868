/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sfptpd.c - reads sfptpd's state files.
 *
 * Of the format: ptp_on_save_state, pps_on_save_state, ntp_on_save_state and freerun_on_save_state in sfptpd's sync
 * modules, and sfptpd_servo_save_state. A file says what was true when it was written, once a minute unless
 * the configuration says otherwise: its time is the time of the evidence, and holdover is counted from there.
 */
#include "sfptpd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "phc.h"
#include "ptp_msg.h"

#define FILE_MAX 8192u
#define LOOK_NS 200000000ull /* between two looks at the directory */

struct entry {
	struct kbp_sfptpd_state s;
	bool there, read;
	uint64_t mtime_ns; /* UTC */
	uint64_t seen_raw_ns,
		seen_age;   /* when it was first seen with this mtime, and how old it was then */
	bool ahead;	    /* ... which is not known: its time had not come yet */
	uint64_t gap_ns;    /* between its last two writings */
	uint64_t period_ns; /* the longer one of its last two gaps; 0: not seen yet */
};

struct kbp_sfptpd {
	char dir[128];
	bool named;
	uint64_t looked_ns;
	struct entry entry[KBP_SFPTPD_MAX];
	unsigned n;
};

/* ---------------------------------------------------------------- one file */

static void copy(char *to, size_t size, const char *value)
{
	snprintf(to, size, "%.*s", (int)(size - 1), value);
}

static bool number(const char *value, int64_t *ns)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || !isfinite(v) || fabs(v) > 9e18)
		return false;
	*ns = llround(v);
	return true;
}

/* "eth0 (bond0)" or "eth0" */
static void take_interface(struct kbp_sfptpd_state *s, const char *value)
{
	size_t n = strcspn(value, " ");

	if (n < sizeof(s->interface))
		snprintf(s->interface, sizeof(s->interface), "%.*s", (int)n, value);
}

/* "system", or by default "phc0(eth0/eth1)" */
static void take_clock(struct kbp_sfptpd_state *s, const char *value)
{
	unsigned n;
	char next;

	copy(s->clock, sizeof(s->clock), value);
	s->system = !strcmp(value, "system");
	if (sscanf(value, "phc%u%c", &n, &next) == 2 && next == '(' && n < KBP_PHC_MAX)
		s->phc = (int32_t)n;
}

static void take_line(struct kbp_sfptpd_state *s, const char *key, const char *value)
{
	int64_t v;

	if (!strcmp(key, "instance")) {
		copy(s->instance, sizeof(s->instance), value);
		s->instance_file = true;
	} else if (!strcmp(key, "clock-name")) {
		take_clock(s, value);
	} else if (!strcmp(key, "reference-clock-name")) {
		copy(s->reference_clock, sizeof(s->reference_clock), value);
	} else if (!strcmp(key, "state")) {
		copy(s->state, sizeof(s->state), value);
	} else if (!strcmp(key, "alarms")) {
		copy(s->alarms, sizeof(s->alarms), value);
	} else if (!strcmp(key, "control-flags")) {
		s->selected = strstr(value, "selected") != NULL;
	} else if (!strcmp(key, "interface")) {
		take_interface(s, value);
	} else if (!strcmp(key, "offset-from-master") || !strcmp(key, "offset-from-reference") ||
		   !strcmp(key, "offset-from-peer")) {
		s->have_offset = number(value, &s->offset_ns);
	} else if (!strcmp(key, "one-way-delay")) {
		s->have_delay = number(value, &s->delay_ns);
	} else if (!strcmp(key, "in-sync")) {
		s->have_in_sync = !strcmp(value, "0") || !strcmp(value, "1");
		s->in_sync = !strcmp(value, "1");
	} else if (!strcmp(key, "grandmaster-id")) {
		copy(s->grandmaster, sizeof(s->grandmaster), value);
	} else if (!strcmp(key, "grandmaster-clock-accuracy")) {
		if (number(value, &v) && v >= 0 && v < 256)
			s->accuracy = (int)v;
	} else if (!strcmp(key, "grandmaster-clock-class")) {
		if (number(value, &v) && v >= 0 && v < 256)
			s->gm_class = (int)v;
	} else if (!strcmp(key, "timescale")) {
		s->tai = !strcmp(value, "tai");
	}
}

int kbp_sfptpd_parse(const char *text, size_t len, struct kbp_sfptpd_state *s)
{
	char line[256];
	const char *end = text + len;

	memset(s, 0, sizeof(*s));
	s->accuracy = s->gm_class = -1;
	s->phc = -1;
	s->selected = true;
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);
		char *colon;

		if (n < sizeof(line) && !memchr(text, '\0', n)) {
			memcpy(line, text, n);
			line[n] = '\0';
			colon = strchr(line, ':');
			if (colon && colon[1] == ' ') {
				*colon = '\0';
				take_line(s, line, colon + 2);
			}
		}
		text += n + (eol ? 1 : 0);
		if (!eol)
			break;
	}
	return s->clock[0] && s->state[0] ? 0 : -EBADMSG;
}

/* ---------------------------------------------------------------- the directory */

struct kbp_sfptpd *kbp_sfptpd_new(const char *dir)
{
	struct kbp_sfptpd *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->named = dir != NULL;
	snprintf(s->dir, sizeof(s->dir), "%s", dir ? dir : "/var/lib/sfptpd");
	return s;
}

void kbp_sfptpd_free(struct kbp_sfptpd *s)
{
	free(s);
}

static struct entry *entry_of(struct kbp_sfptpd *s, const char *file)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->entry[i].s.file, file))
			return &s->entry[i];
	if (s->n == KBP_SFPTPD_MAX || strlen(file) >= sizeof(s->entry[0].s.file))
		return NULL;
	copy(s->entry[s->n].s.file, sizeof(s->entry[0].s.file), file);
	return &s->entry[s->n++];
}

/* A file that was written anew. How old it is tells its time, which goes by a clock that may be set; from now on
 * CLOCK_MONOTONIC_RAW counts. One that was seen to change is no older than the look before. */
static void written(struct entry *e, uint64_t mtime, uint64_t before_raw_ns)
{
	uint64_t now = kbp_clock_ns(CLOCK_REALTIME), raw = kbp_clock_ns(CLOCK_MONOTONIC_RAW);
	uint64_t gap = mtime - e->mtime_ns;

	e->ahead = mtime > now + NS_PER_S;
	e->seen_age = now > mtime ? now - mtime : 0;
	e->seen_raw_ns = raw;
	if (e->read && mtime > e->mtime_ns) {
		if (e->ahead || e->seen_age > raw - before_raw_ns)
			e->seen_age = raw - before_raw_ns;
		e->ahead = false;
		/* one more writing in between makes two short gaps, never two that are both too short */
		if (e->gap_ns)
			e->period_ns = gap > e->gap_ns ? gap : e->gap_ns;
		if (e->period_ns && e->period_ns < NS_PER_S)
			e->period_ns = NS_PER_S;
		e->gap_ns = gap;
	}
	e->mtime_ns = mtime;
}

static void read_file(struct kbp_sfptpd *s, int dir, const char *name, uint64_t before_raw_ns)
{
	char text[FILE_MAX];
	struct kbp_sfptpd_state st;
	struct entry *e;
	struct stat sb;
	uint64_t mtime;
	ssize_t n;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	n = fstat(fd, &sb) || !S_ISREG(sb.st_mode) ? -1 : read(fd, text, sizeof(text));
	close(fd);
	if (n <= 0 || kbp_sfptpd_parse(text, (size_t)n, &st))
		return;
	e = entry_of(s, name);
	if (!e)
		return;
	mtime = (uint64_t)sb.st_mtim.tv_sec * NS_PER_S + (uint64_t)sb.st_mtim.tv_nsec;
	if (!e->read || mtime != e->mtime_ns)
		written(e, mtime, before_raw_ns);
	copy(st.file, sizeof(st.file), name);
	if (!st.system && st.phc < 0 && st.interface[0])
		st.phc = kbp_phc_of(st.interface);
	e->s = st;
	e->there = e->read = true;
}

/* The link is made for the first instance only. */
static void find_dir(struct kbp_sfptpd *s)
{
	glob_t g = { 0 };

	if (s->named || !access("/var/lib/sfptpd", F_OK))
		return;
	if (!glob("/var/lib/sfptpd-*", 0, NULL, &g) && g.gl_pathc)
		copy(s->dir, sizeof(s->dir), g.gl_pathv[0]);
	globfree(&g);
}

unsigned kbp_sfptpd_look(struct kbp_sfptpd *s)
{
	uint64_t now = kbp_clock_ns(CLOCK_MONOTONIC_RAW), before = s->looked_ns;
	struct dirent *d;
	DIR *dir;

	if (s->looked_ns && now - s->looked_ns < LOOK_NS)
		return s->n;
	s->looked_ns = now;
	find_dir(s);
	for (unsigned i = 0; i < s->n; i++)
		s->entry[i].there = false;
	dir = opendir(s->dir);
	while (dir && (d = readdir(dir)))
		if (!strncmp(d->d_name, "state-", 6))
			read_file(s, dirfd(dir), d->d_name, before);
	if (dir)
		closedir(dir);
	return s->n;
}

/* ---------------------------------------------------------------- judging */

static void say(struct kbp_finding_of_clock *f, enum kbp_sync sync, enum kbp_clock_cause cause,
		const char *text)
{
	f->s.sync = sync;
	f->s.cause = cause;
	snprintf(f->s.text, sizeof(f->s.text), "%s", text);
}

/* Of an instance: offset, path and the master's own word. */
static uint64_t bound_of(const struct kbp_sfptpd_state *st, const struct kbp_watch *w)
{
	uint64_t accuracy = w->reference_ns ? w->reference_ns : KBP_BOUND_UNKNOWN;

	if (!st->instance_file || !st->have_delay)
		return KBP_BOUND_UNKNOWN; /* PPS and NTP: the way to the master is not told */
	if (st->tai && (st->gm_class == 6 || st->gm_class == 7) &&
	    kbp_ptp_accuracy_ns((unsigned)st->accuracy) != UINT64_MAX)
		accuracy = kbp_ptp_accuracy_ns((unsigned)st->accuracy);
	return kbp_bound_sum(kbp_abs_ns(st->offset_ns) + kbp_abs_ns(st->delay_ns), accuracy);
}

static void judge_offset(const struct kbp_watch *w, struct kbp_finding_of_clock *f)
{
	if (f->abs_offset_ns <= w->limit_ns)
		say(f, KBP_SYNC_IN, KBP_CLOCK_FINE, "");
	else
		say(f, KBP_SYNC_NOT, KBP_CLOCK_OFFSET,
		    "farther from its master than the limit: look at the path delay and at sfptpd's "
		    "log");
}

static void judge_fresh(const struct kbp_sfptpd_state *st, const struct kbp_watch *w,
			struct kbp_finding_of_clock *f)
{
	bool alarms = st->alarms[0] && strcmp(st->alarms, "none") != 0;
	bool slave = strstr(st->state, "slave") != NULL;

	if (!st->selected) {
		f->tells = false;
		say(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED,
		    "sfptpd has not selected this instance: it does not steer by it");
	} else if (!slave) {
		say(f, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST,
		    "sfptpd follows nothing with the selected instance: look at its master and its interface "
		    "(sfptpd's log, and topology in its state directory)");
	} else if (alarms) {
		say(f, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, "");
		snprintf(f->s.text, sizeof(f->s.text),
			 "sfptpd has alarms (%.100s): look at its log and at the master", st->alarms);
	} else if (!st->have_in_sync || !st->in_sync) {
		say(f, KBP_SYNC_NOT, KBP_CLOCK_NOT_YET,
		    "sfptpd follows a master and is not in sync by its own limits yet");
	} else if (!st->have_offset) {
		say(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED, "sfptpd tells no offset");
	} else {
		f->s.bound_ns = bound_of(st, w);
		judge_offset(w, f);
	}
}

/* One file by itself. Returns how old its word is. */
static uint64_t judge_file(const struct entry *e, uint64_t now_raw_ns, const struct kbp_watch *w,
			   struct kbp_finding_of_clock *f)
{
	uint64_t patience = KBP_SFPTPD_SAVE_NS, age = e->seen_age;

	memset(f, 0, sizeof(*f));
	f->present = f->fresh = f->tells = true;
	f->s.witness = KBP_WITNESS_SFPTPD;
	f->s.epoch = e->s.system ? KBP_EPOCH_UTC : KBP_EPOCH_PHC;
	f->s.phc = e->s.phc;
	f->s.bound_ns = KBP_BOUND_UNKNOWN;
	f->s.offset_ns = e->s.offset_ns;
	f->s.have_offset = e->s.have_offset;
	f->abs_offset_ns = kbp_abs_ns(e->s.offset_ns);
	snprintf(f->s.name, sizeof(f->s.name), "sfptpd:%s",
		 e->s.instance[0] ? e->s.instance : e->s.clock);
	snprintf(f->s.interface, sizeof(f->s.interface), "%s", e->s.interface);
	snprintf(f->s.state, sizeof(f->s.state), "%s", e->s.state);
	snprintf(f->s.reference, sizeof(f->s.reference), "%s", e->s.grandmaster);
	age += now_raw_ns > e->seen_raw_ns ? now_raw_ns - e->seen_raw_ns : 0;
	if (e->period_ns && e->period_ns < patience)
		patience = e->period_ns;
	if (!e->there || age > patience * 5 / 2 + NS_PER_S) {
		f->s.have_offset = false;
		say(f, KBP_SYNC_NOT, KBP_CLOCK_DAEMON_GONE,
		    "sfptpd writes its state no more: restart it (systemctl status sfptpd)");
	} else if (e->ahead) {
		say(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_STEPPED,
		    "sfptpd's state is of a time that has not come: the system's clock was set back, and how "
		    "old this is shows when sfptpd writes it again");
	} else {
		judge_fresh(&e->s, w, f);
	}
	return age;
}

static bool counts(const struct kbp_finding_of_clock *f)
{
	return f->s.sync == KBP_SYNC_IN || f->s.cause == KBP_CLOCK_OFFSET;
}

/* A clock slaved to another one of this host: its own "in sync" means that it follows that one, which is worth what
 * the instance that steers that one is worth. Returns how old the older one of the two is. */
static uint64_t judge_reference(const struct kbp_sfptpd *s, const struct entry *e, uint64_t age,
				uint64_t now_raw_ns, const struct kbp_watch *w,
				struct kbp_finding_of_clock *f)
{
	struct kbp_finding_of_clock by = { 0 }, one;
	uint64_t by_age = 0;
	bool found = false;

	for (unsigned i = 0; i < s->n; i++) {
		const struct kbp_sfptpd_state *m = &s->entry[i].s;
		uint64_t one_age;

		if (!m->instance_file || !m->selected || strcmp(m->clock, e->s.reference_clock) != 0)
			continue;
		one_age = judge_file(&s->entry[i], now_raw_ns, w, &one);
		if (found && (counts(&by) || !counts(&one)))
			continue;
		by = one;
		by_age = one_age;
		found = true;
	}
	age = by_age > age ? by_age : age;
	if (found && counts(&by)) {
		f->s.bound_ns = kbp_bound_sum(by.s.bound_ns, f->abs_offset_ns);
		f->abs_offset_ns = kbp_bound_sum(by.abs_offset_ns, f->abs_offset_ns);
		judge_offset(w, f);
	} else if (found) {
		say(f, by.s.sync, by.s.cause, "");
		snprintf(f->s.text, sizeof(f->s.text), "it follows %.32s, and of that: %.190s",
			 e->s.reference_clock, by.s.text);
	} else {
		say(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED,
		    "sfptpd has no selected instance that tells of the clock this one follows");
	}
	return age;
}

void kbp_sfptpd_judge(struct kbp_sfptpd *s, unsigned i, uint64_t now_raw_ns,
		      const struct kbp_watch *w, struct kbp_finding_of_clock *f)
{
	const struct entry *e = &s->entry[i];
	uint64_t age = judge_file(e, now_raw_ns, w, f), clock_now;

	if (!e->s.instance_file && counts(f))
		age = judge_reference(s, e, age, now_raw_ns, w, f);
	/* the evidence is as old by the clock it speaks of */
	if (kbp_phc_now(f->s.epoch, f->s.phc, &clock_now) && age < clock_now)
		f->verified_ns = clock_now - age;
	if (f->s.cause == KBP_CLOCK_DAEMON_GONE)
		f->since_ns = f->verified_ns;
	if (counts(f) || f->s.cause == KBP_CLOCK_DAEMON_GONE)
		f->verified_raw_ns = age < now_raw_ns ? now_raw_ns - age : 1;
}
