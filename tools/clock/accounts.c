/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accounts.c - from what witnesses say to the accounts of the clocks.
 *
 * The system's clock: a daemon that steers it (ptp4l with software timestamping, sfptpd) is believed before all
 * others; then a NIC's clock that is in sync and agrees with it, which is a measurement; then the kernel's word.
 * A NIC's clock: the daemon that steers it; without one, the system's clock where the two agree (phc2sys can go
 * either way).
 */
#include "monitor_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS 5u

/* ---------------------------------------------------------------- accounts come and go */

static int account_open(struct kbp_monitor *m, struct account *a, enum kbp_epoch epoch, int32_t phc,
			struct kbp_error *err)
{
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;

	o.epoch = epoch;
	o.phc = phc;
	o.limit_ns = m->watch.limit_ns;
	o.holdover_ppb = m->watch.holdover_ppb;
	return kbp_clock_open(&o, &a->clock, err);
}

int kbp_accounts_open(struct kbp_monitor *m, struct kbp_error *err)
{
	int rc;

	rc = account_open(m, &m->utc, KBP_EPOCH_UTC, 0, err);
	return rc ? rc : account_open(m, &m->tai, KBP_EPOCH_TAI, 0, err);
}

void kbp_accounts_close(struct kbp_monitor *m)
{
	kbp_clock_close(m->utc.clock);
	kbp_clock_close(m->tai.clock);
	for (unsigned i = 0; i < KBP_PHC_MAX; i++) {
		kbp_clock_close(m->phc[i].clock);
		if (m->phc[i].clock)
			kbp_phc_close(m->phc[i].fd);
	}
}

void kbp_accounts_scan(struct kbp_monitor *m)
{
	uint64_t there = kbp_phc_list();

	for (int32_t i = 0; i < KBP_PHC_MAX; i++) {
		struct account *a = &m->phc[i], made = { .fd = -1 };
		struct witness *w;

		if (!(there >> i & 1) || (a->clock && a->fd >= 0))
			continue;
		if (a->clock) { /* taken away, and back again */
			a->fd = kbp_phc_open(i);
			continue;
		}
		if (account_open(m, &made, KBP_EPOCH_PHC, i, NULL))
			continue;
		w = kbp_monitor_witness(m);
		if (!w) {
			kbp_clock_close(made.clock);
			continue;
		}
		w->kind = KBP_WITNESS_PHC;
		w->phc = i;
		made.fd = kbp_phc_open(i);
		(void)kbp_converter_add_phc(m->converter,
					    i); /* one that cannot be read is not converted */
		pthread_mutex_lock(&m->lock);
		*a = made;
		pthread_mutex_unlock(&m->lock);
	}
}

struct kbp_clock *kbp_monitor_clock(struct kbp_monitor *mon, enum kbp_epoch epoch, int32_t phc)
{
	struct kbp_clock *c = NULL;

	pthread_mutex_lock(&mon->lock);
	if (epoch == KBP_EPOCH_UTC)
		c = mon->utc.clock;
	else if (epoch == KBP_EPOCH_TAI)
		c = mon->tai.clock;
	else if (epoch == KBP_EPOCH_PHC && phc >= 0 && phc < KBP_PHC_MAX)
		c = mon->phc[phc].clock;
	pthread_mutex_unlock(&mon->lock);
	return c;
}

/* ---------------------------------------------------------------- reading a clock beside raw */

/* The clock and CLOCK_MONOTONIC_RAW at one moment: the tightest of a few bracketed reads. */
static bool read_pair(clockid_t id, int fd, uint64_t *at_ns, uint64_t *raw_ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < READS; i++) {
		uint64_t before = kbp_clock_ns(CLOCK_MONOTONIC_RAW), now, after;

		if (fd < 0)
			now = kbp_clock_ns(id);
		else if (kbp_phc_gettime(fd, &now))
			return false;
		after = kbp_clock_ns(CLOCK_MONOTONIC_RAW);
		if (after - before >= best)
			continue;
		best = after - before;
		*at_ns = now;
		*raw_ns = before + best / 2;
	}
	return true;
}

/* ---------------------------------------------------------------- whom to believe */

static bool speaks_of(const struct kbp_finding_of_clock *f, enum kbp_epoch epoch, int32_t phc)
{
	return f->tells && f->s.epoch == epoch && (epoch != KBP_EPOCH_PHC || f->s.phc == phc);
}

static bool better(const struct kbp_finding_of_clock *a, const struct kbp_finding_of_clock *b)
{
	if (!b)
		return true;
	if (a->s.sync != b->s.sync)
		return a->s.sync == KBP_SYNC_IN ||
		       (a->s.sync == KBP_SYNC_NOT && b->s.sync == KBP_SYNC_UNKNOWN);
	return a->s.bound_ns < b->s.bound_ns;
}

/* The daemon that knows most of this clock; NULL: none steers it. */
static const struct kbp_finding_of_clock *steered_by(const struct kbp_monitor *m,
						     enum kbp_epoch epoch, int32_t phc)
{
	const struct kbp_finding_of_clock *best = NULL;

	for (unsigned i = 0; i < m->n_witnesses; i++) {
		const struct witness *w = &m->witness[i];

		if (w->next.s.witness != KBP_WITNESS_PTP4L && w->next.s.witness != KBP_WITNESS_SFPTPD)
			continue;
		if (speaks_of(&w->next, epoch, phc) && better(&w->next, best))
			best = &w->next;
	}
	return best;
}

/* What a witness found, as a look. A clock beyond the limit goes in as followed: the account says why not. */
static void look_of(const struct kbp_finding_of_clock *f, struct kbp_clock_look *l)
{
	bool off = f->s.sync == KBP_SYNC_NOT && f->s.cause == KBP_CLOCK_OFFSET;

	l->sync = off ? KBP_SYNC_IN : f->s.sync;
	l->cause = f->s.cause;
	l->offset_ns = f->abs_offset_ns;
	l->bound_ns = f->s.bound_ns;
	l->verified_ns = f->verified_ns;
	l->verified_raw_ns = f->verified_raw_ns;
	l->since_ns = f->since_ns;
}

/* Another clock is in sync, and this one was read against it: as good, but for the distance. */
static bool look_through(const struct kbp_watch *w, const struct kbp_clock_look *other,
			 uint64_t distance_ns, uint64_t error_ns, struct kbp_clock_look *l)
{
	uint64_t offset = kbp_bound_sum(other->offset_ns, distance_ns + error_ns);

	if (other->sync != KBP_SYNC_IN || other->offset_ns > w->limit_ns || offset > w->limit_ns)
		return false;
	l->sync = KBP_SYNC_IN;
	l->cause = KBP_CLOCK_FINE;
	l->offset_ns = offset;
	l->bound_ns = kbp_bound_sum(other->bound_ns, distance_ns + error_ns);
	/* the other clock's evidence is as old here: by the distance in its own time */
	if (other->verified_ns && other->verified_ns < other->at_ns)
		l->verified_ns = l->at_ns - (other->at_ns - other->verified_ns);
	return true;
}

static void look_unknown(struct kbp_clock_look *l)
{
	l->sync = KBP_SYNC_UNKNOWN;
	l->cause = KBP_CLOCK_UNWATCHED;
	l->bound_ns = KBP_BOUND_UNKNOWN;
}

/* ---------------------------------------------------------------- PHC against the system's clock */

/* PHC minus system, without whole seconds between TAI and UTC: a PHC may show either. false: it shows neither. */
static bool phc_distance(const struct kbp_monitor *m, const struct kbp_phc_reading *r, int64_t *ns)
{
	int64_t d = (int64_t)(r->phc_ns - r->sys_ns), half = (int64_t)NS_PER_S / 2;
	int64_t tai = (m->tai_s ? m->tai_s : kbp_leap_now()) * (int64_t)NS_PER_S;

	*ns = d;
	if (d > -half && d < half)
		return true;
	*ns = d - tai;
	return *ns > -half && *ns < half;
}

static void phc_look(struct kbp_monitor *m, struct witness *w)
{
	struct account *a = &m->phc[w->phc];
	const struct kbp_finding_of_clock *f = steered_by(m, KBP_EPOCH_PHC, w->phc);
	struct kbp_finding_of_clock *own = &w->next;
	struct kbp_phc_reading r = { 0 };
	int rc = a->fd >= 0 ? kbp_phc_read(a->fd, &r) : -ENODEV;

	memset(own, 0, sizeof(*own));
	memset(&a->look, 0, sizeof(a->look));
	a->told = false;
	own->present = true;
	own->s.witness = KBP_WITNESS_PHC;
	own->s.epoch = KBP_EPOCH_PHC;
	own->s.phc = w->phc;
	own->s.bound_ns = KBP_BOUND_UNKNOWN;
	snprintf(own->s.name, sizeof(own->s.name), "ptp%d", w->phc);
	if (rc || !read_pair(0, a->fd, &a->look.at_ns, &a->look.raw_ns)) {
		kbp_phc_close(a->fd);
		a->fd = -1;
		own->s.cause = KBP_CLOCK_UNWATCHED;
		snprintf(own->s.text, sizeof(own->s.text),
			 "/dev/ptp%d cannot be read (%s): it takes read permission on the device",
			 w->phc, strerror(rc ? -rc : ENODEV));
		return;
	}
	own->fresh = true;
	own->s.have_offset = phc_distance(m, &r, &own->s.offset_ns);
	own->abs_offset_ns = r.error_ns; /* of the reading: kept for the system's clock */
	snprintf(own->s.state, sizeof(own->s.state), "%s", r.how);
	if (f) {
		look_of(f, &a->look);
		a->told = true;
		memcpy(own->s.interface, f->s.interface, sizeof(own->s.interface));
	}
}

/* After the system's clock has been decided on. */
static void phc_finish(struct kbp_monitor *m, struct witness *w)
{
	struct account *a = &m->phc[w->phc];
	struct kbp_finding_of_clock *own = &w->next;

	if (!own->fresh)
		return;
	if (!a->told && !(own->s.have_offset && m->utc.told &&
			  look_through(&m->watch, &m->utc.look, kbp_abs_ns(own->s.offset_ns),
				       own->abs_offset_ns, &a->look)))
		look_unknown(&a->look);
	own->s.sync = a->look.sync;
	own->s.cause = a->look.cause;
	own->s.bound_ns = a->look.bound_ns;
	if (a->look.sync == KBP_SYNC_IN && a->look.offset_ns > m->watch.limit_ns) {
		own->s.sync = KBP_SYNC_NOT;
		own->s.cause = KBP_CLOCK_OFFSET;
	} else if (a->look.sync == KBP_SYNC_IN && a->look.verified_ns &&
		   a->look.verified_ns < a->look.at_ns &&
		   kbp_outdated(&m->watch, a->look.offset_ns, a->look.at_ns - a->look.verified_ns)) {
		own->s.sync = KBP_SYNC_UNKNOWN;
		own->s.cause = KBP_CLOCK_EXPIRED;
	}
	if (own->s.sync != KBP_SYNC_IN)
		snprintf(own->s.text, sizeof(own->s.text), "%s",
			 a->told ? "see the line of the daemon that steers it" :
				   "no daemon that can be asked steers this clock, and it does not agree with "
				   "a system clock that is in sync: start ptp4l or phc2sys for it");
	(void)kbp_clock_add(a->clock, &a->look);
}

/* ---------------------------------------------------------------- the system's clock */

static void choose_system(struct kbp_monitor *m)
{
	const struct kbp_finding_of_clock *f = steered_by(m, KBP_EPOCH_UTC, -1);
	struct kbp_clock_look *l = &m->utc.look, best = { 0 };
	bool found = false;

	m->utc.told = f != NULL;
	if (f) {
		look_of(f, l);
		return;
	}
	for (unsigned i = 0; i < m->n_witnesses; i++) {
		const struct kbp_finding_of_clock *own = &m->witness[i].next;
		struct kbp_clock_look via = *l;
		const struct account *a;

		if (m->witness[i].kind != KBP_WITNESS_PHC || !own->fresh || !own->s.have_offset)
			continue;
		a = &m->phc[m->witness[i].phc];
		if (a->told &&
		    look_through(&m->watch, &a->look, kbp_abs_ns(own->s.offset_ns),
				 own->abs_offset_ns, &via) &&
		    (!found || via.bound_ns < best.bound_ns)) {
			best = via;
			found = true;
		}
	}
	if (found) {
		*l = best;
		return;
	}
	for (unsigned i = 0; i < m->n_witnesses; i++)
		if (m->witness[i].kind == KBP_WITNESS_KERNEL) {
			look_of(&m->witness[i].next, l);
			m->utc.told = l->sync == KBP_SYNC_IN;
		}
}

/* CLOCK_TAI is the same clock, by the kernel's offset. Where nobody told the kernel, or something else than the
 * table of leap seconds says, its time is not TAI. */
static void look_tai(struct kbp_monitor *m)
{
	const struct kbp_clock_look *u = &m->utc.look;
	struct kbp_clock_look *l = &m->tai.look;
	uint64_t shift = (uint64_t)((int64_t)m->tai_s * (int64_t)NS_PER_S);

	*l = *u;
	l->at_ns += shift;
	if (l->verified_ns)
		l->verified_ns += shift;
	if (l->since_ns)
		l->since_ns += shift;
	if (m->tai_s == 0 || !kbp_leap_agrees(m->tai_s, u->at_ns)) {
		l->sync = KBP_SYNC_NOT;
		l->cause = KBP_CLOCK_UNSYNCHRONISED;
		l->bound_ns = KBP_BOUND_UNKNOWN;
		l->since_ns = 0;
	}
}

void kbp_accounts_look(struct kbp_monitor *m)
{
	for (unsigned i = 0; i < m->n_witnesses; i++)
		if (m->witness[i].kind == KBP_WITNESS_PHC)
			phc_look(m, &m->witness[i]);
	memset(&m->utc.look, 0, sizeof(m->utc.look));
	read_pair(CLOCK_REALTIME, -1, &m->utc.look.at_ns, &m->utc.look.raw_ns);
	choose_system(m);
	look_tai(m);
	(void)kbp_clock_add(m->utc.clock, &m->utc.look);
	(void)kbp_clock_add(m->tai.clock, &m->tai.look);
	for (unsigned i = 0; i < m->n_witnesses; i++)
		if (m->witness[i].kind == KBP_WITNESS_PHC)
			phc_finish(m, &m->witness[i]);
}
