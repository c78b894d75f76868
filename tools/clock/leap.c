/* SPDX-License-Identifier: BSD-2-Clause */
/* leap.c - leap seconds: IERS's list as hosts carry it, a table of our own, and UTC to TAI and back. */
#include "leap.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kbypass/clock.h>

#include "lib/internal.h"

#define NS 1000000000ll
#define NTP_TO_UNIX 2208988800ll /* seconds from 1900 to 1970 */
#define LIST "/usr/share/zoneinfo/leap-seconds.list"

/* IERS Bulletin C 70 (July 2025): no leap second before the end of this table's validity, 2026-06-28. */
#define BUILT_IN_EXPIRES 1782604800ll
static const uint32_t built_in_from[] = {
	/* seconds since 1970 of 1972-01-01, TAI - UTC 10 s, and of each one after it, one more */
	63072000,  78796800,  94694400,	  126230400,  157766400,  189302400,  220924800,
	252460800, 283996800, 315532800,  362793600,  394329600,  425865600,  489024000,
	567993600, 631152000, 662688000,  709948800,  741484800,  773020800,  820454400,
	867715200, 915148800, 1136073600, 1230768000, 1341100800, 1435708800, 1483228800,
};

void kbp_leap_built_in(struct kbp_leap_table *t)
{
	memset(t, 0, sizeof(*t));
	t->n = (unsigned)KBP_ARRAY_SIZE(built_in_from);
	for (unsigned i = 0; i < t->n; i++) {
		t->step[i].utc_s = built_in_from[i];
		t->step[i].tai_s = 10 + (int)i;
	}
	t->expires_s = BUILT_IN_EXPIRES;
	t->built_in = true;
}

/* Within what a list can mean: from 1970 for some thousand years. */
static bool to_unix(long long ntp, int64_t *s)
{
	*s = 0;
	if (ntp < NTP_TO_UNIX || ntp > 100000000000ll)
		return false;
	*s = ntp - NTP_TO_UNIX;
	return true;
}

static bool take_line(const char *line, struct kbp_leap_table *t)
{
	long long ntp;
	int tai;

	/* the widths keep what is read within its type */
	if (sscanf(line, "#@ %18lld", &ntp) == 1)
		return to_unix(ntp, &t->expires_s);
	if (line[0] == '#' || strspn(line, " \t\r\n") == strlen(line))
		return true;
	if (sscanf(line, "%18lld %9d", &ntp, &tai) != 2 || t->n == KBP_LEAP_MAX ||
	    !to_unix(ntp, &t->step[t->n].utc_s))
		return false;
	t->step[t->n].tai_s = tai;
	if (t->n && (t->step[t->n].utc_s <= t->step[t->n - 1].utc_s ||
		     abs(tai - t->step[t->n - 1].tai_s) != 1))
		return false;
	t->n++;
	return true;
}

int kbp_leap_read(const char *path, struct kbp_leap_table *t)
{
	char line[512];
	bool good = true;
	FILE *f;

	memset(t, 0, sizeof(*t));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (good && fgets(line, sizeof(line), f))
		good = take_line(line, t);
	good = good && !ferror(f) && t->n && t->expires_s && t->step[0].tai_s == 10;
	fclose(f);
	return good ? 0 : -EBADMSG;
}

static struct kbp_leap_table table;

static void table_make(void)
{
	struct kbp_leap_table ours;

	kbp_leap_built_in(&ours);
	if (kbp_leap_read(LIST, &table) || table.n < ours.n || table.expires_s < ours.expires_s)
		table = ours;
}

const struct kbp_leap_table *kbp_leap_table(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, table_make);
	return &table;
}

int kbp_leap_now(void)
{
	const struct kbp_leap_table *t = kbp_leap_table();

	return t->step[t->n - 1].tai_s;
}

bool kbp_leap_agrees(int tai_s, uint64_t utc_ns)
{
	const struct kbp_leap_table *t = kbp_leap_table();
	int64_t s = (int64_t)(utc_ns / 1000000000u);
	unsigned i = t->n - 1;

	if (s >= t->expires_s)
		return tai_s >= t->step[i].tai_s - 1;
	while (i && t->step[i].utc_s > s)
		i--;
	/* around a leap second the kernel and the reading of its clock need not be of the same moment */
	return tai_s == t->step[i].tai_s ||
	       (i && s - t->step[i].utc_s < 2 && tai_s == t->step[i - 1].tai_s) ||
	       (i + 1 < t->n && t->step[i + 1].utc_s - s < 2 && tai_s == t->step[i + 1].tai_s);
}

/* ---------------------------------------------------------------- UTC and TAI */

static void result(const struct kbp_leap_table *t, uint64_t value, int64_t utc_s, uint32_t flags,
		   struct kbp_moment *m)
{
	m->value = value;
	m->error_ns = 0;
	m->flags = flags | (utc_s >= t->expires_s ? KBP_MOMENT_EXPIRED : 0);
}

int kbp_leap_utc_to_tai(const struct kbp_leap_table *t, uint64_t utc_ns, struct kbp_moment *m)
{
	int64_t s = (int64_t)(utc_ns / (uint64_t)NS);
	unsigned i = t->n;
	uint32_t flags = 0;

	while (i && t->step[i - 1].utc_s > s)
		i--;
	if (!i)
		return -ERANGE;
	if (i < t->n && t->step[i].utc_s - s == 1) { /* the last second before a step */
		if (t->step[i].tai_s < t->step[i - 1].tai_s)
			return -ENODATA;
		flags = KBP_MOMENT_LEAP;
	}
	result(t, utc_ns + (uint64_t)(t->step[i - 1].tai_s * NS), s, flags, m);
	return 0;
}

/* The new offset counts from where UTC's leap second begins, or, of one left out, from where it would have ended. */
static int64_t begin_s(const struct kbp_leap_table *t, unsigned i)
{
	int tai = t->step[i].tai_s;

	if (i && t->step[i - 1].tai_s < tai)
		tai = t->step[i - 1].tai_s;
	return t->step[i].utc_s + tai;
}

int kbp_leap_tai_to_utc(const struct kbp_leap_table *t, uint64_t tai_ns, struct kbp_moment *m)
{
	int64_t s = (int64_t)(tai_ns / (uint64_t)NS);
	unsigned i = t->n;
	bool leap;

	while (i && begin_s(t, i - 1) > s)
		i--;
	if (!i)
		return -ERANGE;
	i--;
	leap = i && s < t->step[i].utc_s + t->step[i].tai_s;
	result(t, tai_ns - (uint64_t)(t->step[i].tai_s * NS), s - t->step[i].tai_s,
	       leap ? KBP_MOMENT_LEAP : 0, m);
	return 0;
}

int kbp_utc_to_tai(uint64_t utc_ns, struct kbp_moment *m)
{
	return kbp_leap_utc_to_tai(kbp_leap_table(), utc_ns, m);
}

int kbp_tai_to_utc(uint64_t tai_ns, struct kbp_moment *m)
{
	return kbp_leap_tai_to_utc(kbp_leap_table(), tai_ns, m);
}
