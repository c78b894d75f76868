/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * monitor.c - the thread that looks at every clock of this host several times a second.
 *
 * Witnesses say what they know of a clock, and accounts (struct kbp_clock) keep it, one a clock. Of several
 * witnesses of a clock the one that knows most is believed (choose_system, choose_phc).
 */
#include "monitor_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#define LIMIT_NS 1000u /* as in stamp.c */
#define HOLDOVER_PPB 200u
#define INTERVAL_MS 100u
#define RESCAN_NS NS_PER_S    /* for daemons and devices that came since */
#define ANSWER_NS 50000000ull /* how long a look waits for the daemons' answers */
#define FIRST_NS 100000000ull /* ... the first ones */
#define FIRST_ROUNDS 6u

static uint64_t raw_now(void)
{
	return kbp_clock_ns(CLOCK_MONOTONIC_RAW);
}

/* ---------------------------------------------------------------- witnesses */

struct witness *kbp_monitor_witness(struct kbp_monitor *m)
{
	struct witness *w;

	if (m->n_witnesses == m->room) {
		unsigned room = m->room ? 2 * m->room : 16;
		struct witness *more = realloc(m->witness, room * sizeof(*more));

		if (!more)
			return NULL;
		m->witness = more;
		m->room = room;
	}
	w = &m->witness[m->n_witnesses++];
	memset(w, 0, sizeof(*w));
	w->cause = KBP_CLOCK_UNWATCHED;
	return w;
}

static void ptp4l_add(struct kbp_monitor *m, const char *path)
{
	struct kbp_ptp4l *p;
	struct witness *w;

	for (unsigned i = 0; i < m->n_witnesses; i++)
		if (m->witness[i].ptp4l && !strcmp(kbp_ptp4l_path(m->witness[i].ptp4l), path))
			return;
	p = kbp_ptp4l_new(path);
	w = p ? kbp_monitor_witness(m) : NULL;
	if (w)
		w->ptp4l = p;
	else
		kbp_ptp4l_free(p); /* the next scan tries again */
}

static void rescan(struct kbp_monitor *m, uint64_t now)
{
	static const char *const usual[] = { "/run/ptp4l*", "/var/run/ptp4l*", NULL };
	char **paths;
	size_t n;

	if (m->scanned_ns && now - m->scanned_ns < RESCAN_NS)
		return;
	m->scanned_ns = now;
	if (!m->named) {
		n = kbp_ptp4l_find(usual, &paths);
		for (size_t i = 0; i < n; i++) {
			ptp4l_add(m, paths[i]);
			free(paths[i]);
		}
		free(paths);
	}
	kbp_accounts_scan(m);
}

/* Ask all of them, and wait for the answers together: one that is slow holds nobody else up. */
static bool ptp4l_round(struct kbp_monitor *m, uint64_t wait_ns)
{
	uint64_t end = raw_now() + wait_ns, now;
	struct pollfd *fds = calloc(m->n_witnesses + 1, sizeof(*fds));
	unsigned waiting = 0;

	for (unsigned i = 0; fds && i < m->n_witnesses; i++) {
		fds[i].fd = m->witness[i].ptp4l ? kbp_ptp4l_ask(m->witness[i].ptp4l) : -1;
		fds[i].events = POLLIN;
		waiting += fds[i].fd >= 0;
	}
	while (waiting && (now = raw_now()) < end) {
		struct timespec left = { 0, (long)(end - now) };

		if (ppoll(fds, m->n_witnesses, &left, NULL) <= 0)
			break;
		for (unsigned i = 0; i < m->n_witnesses; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			if (kbp_ptp4l_receive(m->witness[i].ptp4l) ||
			    (fds[i].revents & (POLLERR | POLLHUP | POLLNVAL))) {
				fds[i].fd = -1;
				waiting--;
			}
		}
	}
	free(fds);
	return !waiting;
}

static void sfptpd_round(struct kbp_monitor *m)
{
	unsigned n = kbp_sfptpd_look(m->sfptpd);

	for (; m->n_sfptpd < n; m->n_sfptpd++) {
		struct witness *w = kbp_monitor_witness(m);

		if (!w)
			return;
		w->kind = KBP_WITNESS_SFPTPD;
		w->sfptpd = m->n_sfptpd;
	}
}

/* What was in sync when it was verified need not be so now: the account of the clock would not say so either. */
static void expire(const struct kbp_monitor *m, struct kbp_finding_of_clock *f, uint64_t now)
{
	if (f->s.sync != KBP_SYNC_IN || !f->verified_raw_ns || f->verified_raw_ns >= now ||
	    !kbp_outdated(&m->watch, f->abs_offset_ns, now - f->verified_raw_ns))
		return;
	f->s.sync = KBP_SYNC_UNKNOWN;
	f->s.cause = KBP_CLOCK_EXPIRED;
	snprintf(f->s.text, sizeof(f->s.text),
		 "its last word is so old that the clock may have drifted beyond the limit since: have it told "
		 "oftener (sfptpd: reporting_intervals save_state)");
}

static void judge_all(struct kbp_monitor *m)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);
	uint64_t now = raw_now();

	m->tai_s = state < 0 ? 0 : t.tai;
	sfptpd_round(m);
	for (unsigned i = 0; i < m->n_witnesses; i++) {
		struct witness *w = &m->witness[i];

		if (w->ptp4l)
			kbp_ptp4l_judge(w->ptp4l, now, &m->watch, &w->next);
		else if (w->kind == KBP_WITNESS_KERNEL)
			kbp_kernel_judge(&t, state, &m->watch, &w->next);
		else if (w->kind == KBP_WITNESS_SFPTPD)
			kbp_sfptpd_judge(m->sfptpd, w->sfptpd, now, &m->watch, &w->next);
		if (w->kind != KBP_WITNESS_PHC)
			expire(m, &w->next, now);
	}
}

/* ---------------------------------------------------------------- a look */

static uint64_t age_of(const struct kbp_finding_of_clock *f, uint64_t now)
{
	if (f->s.sync == KBP_SYNC_IN && !f->verified_raw_ns)
		return 0;
	return f->verified_raw_ns && f->verified_raw_ns <= now ? now - f->verified_raw_ns :
								 UINT64_MAX;
}

/* What everybody may see, and whom to call about it. Returns how many events there are. */
static unsigned publish(struct kbp_monitor *m, struct kbp_clock_event *events, unsigned max)
{
	uint64_t now = raw_now(), utc = kbp_clock_ns(CLOCK_REALTIME);
	unsigned n = 0;

	pthread_mutex_lock(&m->lock);
	if (m->shown_room < m->n_witnesses) {
		struct kbp_clock_status *more = realloc(m->shown, m->n_witnesses * sizeof(*m->shown));

		if (more) {
			m->shown = more;
			m->shown_room = m->n_witnesses;
		}
	}
	m->n_shown = 0;
	for (unsigned i = 0; i < m->n_witnesses; i++) {
		struct witness *w = &m->witness[i];

		if (w->next.s.sync == KBP_SYNC_IN) {
			w->good_raw_ns = w->next.verified_raw_ns ? w->next.verified_raw_ns : now;
		} else if (!w->next.verified_raw_ns) {
			w->next.verified_raw_ns = w->good_raw_ns;
		}
		w->next.s.age_ns = age_of(&w->next, now);
		if (w->next.present && m->n_shown < m->shown_room)
			m->shown[m->n_shown++] = w->next.s;
		/* one that came later was unknown before */
		if (m->started && w->next.present && n < max &&
		    (w->sync != w->next.s.sync || w->cause != w->next.s.cause))
			events[n++] =
				(struct kbp_clock_event){ utc, now, w->sync, w->cause, w->next.s };
		w->sync = w->next.s.sync;
		w->cause = w->next.s.cause;
	}
	pthread_mutex_unlock(&m->lock);
	return n;
}

static void look(struct kbp_monitor *m, unsigned rounds, uint64_t wait_ns)
{
	struct kbp_clock_event *events;
	unsigned n;

	rescan(m, raw_now());
	for (unsigned i = 0; i < rounds; i++) {
		bool complete = ptp4l_round(m, wait_ns);

		judge_all(m);
		if (complete &&
		    i + 1 < rounds) { /* who it is was found out first, what it says comes next */
			bool all = true;

			for (unsigned k = 0; k < m->n_witnesses; k++)
				all &= !m->witness[k].ptp4l ||
				       !kbp_ptp4l_pending(m->witness[k].ptp4l);
			if (all)
				break;
		}
	}
	kbp_accounts_look(m);
	kbp_converter_sample(m->converter);
	events = calloc(m->n_witnesses + 1, sizeof(*events));
	n = publish(m, events, events ? m->n_witnesses : 0);
	for (unsigned i = 0; m->opts.event && i < n; i++)
		m->opts.event(&events[i], m->opts.arg);
	free(events);
}

static void *watch_thread(void *arg)
{
	struct kbp_monitor *m = arg;
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		struct timespec now;

		due.tv_nsec += (long)m->opts.interval_ms * 1000000;
		if (due.tv_nsec >= (long)NS_PER_S) {
			due.tv_nsec -= (long)NS_PER_S;
			due.tv_sec++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >
		    due.tv_sec + 1) /* it was stopped for a while: looks are not made up for */
			due = now;
		if (pthread_cond_timedwait(&m->wake, &m->lock, &due) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&m->lock);
		look(m, 1, ANSWER_NS);
		pthread_mutex_lock(&m->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---------------------------------------------------------------- public */

static int opts_check(struct kbp_monitor_opts *o, struct kbp_error *err)
{
	o->limit_ns = o->limit_ns ? o->limit_ns : LIMIT_NS;
	o->holdover_ppb = o->holdover_ppb ? o->holdover_ppb : HOLDOVER_PPB;
	o->interval_ms = o->interval_ms ? o->interval_ms : INTERVAL_MS;
	if (o->interval_ms < 10 || o->interval_ms > 500)
		return kbp_fail(err, -EINVAL, "watch the clocks",
				"a look every %u ms: 10 to 500 are possible", o->interval_ms);
	if (o->holdover_ppb > 1000000000u)
		return kbp_fail(err, -EINVAL, "watch the clocks",
				"holdover of %u ppb: up to 1000000000 are possible", o->holdover_ppb);
	for (size_t i = 0; o->ptp4l && o->ptp4l[i]; i++)
		if (!o->ptp4l[i][0] || strlen(o->ptp4l[i]) >= 108)
			return kbp_fail(
				err, -EINVAL, "watch the clocks",
				"\"%.40s\" is no path of a socket: up to 107 characters are one",
				o->ptp4l[i]);
	return 0;
}

static void release(struct kbp_monitor *m)
{
	for (unsigned i = 0; i < m->n_witnesses; i++)
		kbp_ptp4l_free(m->witness[i].ptp4l);
	kbp_accounts_close(m);
	kbp_sfptpd_free(m->sfptpd);
	kbp_converter_close(m->converter);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
	free(m->witness);
	free(m->shown);
	free(m);
}

static int prepare(struct kbp_monitor *m, struct kbp_error *err)
{
	const struct kbp_monitor_opts *o = &m->opts;
	struct kbp_converter_opts co = KBP_CONVERTER_OPTS_INIT;
	pthread_condattr_t attr;
	struct witness *w;
	int rc;

	co.holdover_ppb = o->holdover_ppb;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &attr);
	pthread_condattr_destroy(&attr);
	m->watch.limit_ns = o->limit_ns;
	m->watch.reference_ns = o->reference_ns;
	m->watch.holdover_ppb = o->holdover_ppb;
	m->named = o->ptp4l != NULL;
	m->sfptpd = kbp_sfptpd_new(o->sfptpd);
	w = kbp_monitor_witness(m);
	if (!w || !m->sfptpd)
		return kbp_fail(err, -ENOMEM, "watch the clocks", "out of memory");
	w->kind = KBP_WITNESS_KERNEL;
	for (size_t i = 0; o->ptp4l && o->ptp4l[i]; i++)
		ptp4l_add(m, o->ptp4l[i]);
	m->opts.ptp4l = NULL; /* the caller's strings are not kept */
	m->opts.sfptpd = NULL;
	rc = kbp_converter_open(&co, &m->converter, err);
	return rc ? rc : kbp_accounts_open(m, err);
}

int kbp_monitor_open(const struct kbp_monitor_opts *opts, struct kbp_monitor **mon,
		     struct kbp_error *err)
{
	struct kbp_monitor *m;
	struct kbp_monitor_opts o;
	int rc;

	*mon = NULL;
	rc = kbp_opts_read(&o, sizeof(o), opts, "watch the clocks", err);
	if (!rc)
		rc = opts_check(&o, err);
	if (rc)
		return rc;
	m = calloc(1, sizeof(*m));
	if (!m)
		return kbp_fail(err, -ENOMEM, "watch the clocks", "out of memory");
	m->opts = o;
	rc = prepare(m, err);
	if (rc) {
		release(m);
		return rc;
	}
	kbp_ptp4l_sweep("/run/kbypass");
	kbp_ptp4l_sweep("/tmp");
	look(m, FIRST_ROUNDS, FIRST_NS);
	m->started = true;
	rc = pthread_create(&m->thread, NULL, watch_thread, m);
	if (rc) {
		release(m);
		return kbp_fail(err, -EAGAIN, "watch the clocks", "no thread: %s", strerror(rc));
	}
	*mon = m;
	return 0;
}

void kbp_monitor_close(struct kbp_monitor *mon)
{
	if (!mon)
		return;
	pthread_mutex_lock(&mon->lock);
	mon->stop = true;
	pthread_cond_signal(&mon->wake);
	pthread_mutex_unlock(&mon->lock);
	pthread_join(mon->thread, NULL);
	release(mon);
}

unsigned kbp_monitor_status(struct kbp_monitor *mon, struct kbp_clock_status *s, unsigned max)
{
	unsigned n;

	pthread_mutex_lock(&mon->lock);
	n = mon->n_shown;
	for (unsigned i = 0; i < n && i < max; i++)
		s[i] = mon->shown[i];
	pthread_mutex_unlock(&mon->lock);
	return n;
}

struct kbp_converter *kbp_monitor_converter(struct kbp_monitor *mon)
{
	return mon->converter;
}
