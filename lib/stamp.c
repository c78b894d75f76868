/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp.c - what is known of the clocks behind timestamps: the account of a clock, the word it publishes to
 * the queues that watch it, and what follows from it for a stamp.
 *
 * An account is a list of looks. A clock that is set begins a new *part*: within a part its time runs on
 * evenly, between two parts nothing is known. A time that lies in two parts came twice.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define LIMIT_NS 1000u /* of the offset: where the field's practice raises an alarm */
#define HOLDOVER_PPB \
	200u /* a crystal that nothing steers drifts by tens of ppb: on the safe side */
#define LIMIT_MAX_NS 1000000000000u
#define LOOKS 8192u
#define PARTS 64u
/* A clock runs faster or slower than CLOCK_MONOTONIC_RAW by its crystal's error and by what steers it: adjtime's
 * slew is 500 ppm. What goes beyond that in the time between two looks, and beyond reading them, is a step. */
#define STEER_PPM 1000u
#define READ_NS 20000u
/* The rate at which a clock ran is taken over so many looks, and not over less time: reading it is not exact. */
#define RATE_LOOKS 512u
#define RATE_MIN_NS 1000000000u

struct look {
	struct kbp_clock_look l; /* verified_ns and cause filled in */
	uint64_t bound_at;	 /* the latest bound of this part: when, and what */
	uint64_t bound_ns;
	uint64_t good_at; /* when it was last found in sync, in this part or an earlier one; 0: never */
	uint64_t told_at;    /* up to here evidence reaches, of this look or of one before */
	uint64_t strayed_ns; /* that nothing followed, and it ran otherwise than before: so far */
};

/* Looks [first, last] by their running number. */
struct part {
	uint64_t first, last;
	uint64_t begin_ns; /* the clock's time right after it was set, at the earliest */
	uint64_t end_ns; /* ... and before it was set again, at the latest; UINT64_MAX: the present part */
	uint64_t raw_ns; /* of its first look: evidence from before it is of another time */
};

struct kbp_clock {
	pthread_mutex_t lock; /* all of it */
	struct kbp_clock_opts opts;
	struct look *looks; /* number i at i % opts.looks */
	uint64_t n;
	struct part part[PARTS];
	unsigned n_parts;
	uint64_t run_ns; /* in sync without a doubt since then */
	uint64_t good;	 /* number of the last look in sync of the present part ... */
	bool have_good;	 /* ... if there is one */
	struct kbp_queue_cold *watchers; /* under watch_lock */
};

/* Which queue watches which clock: either may be closed first. Taken before a clock's own lock. */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;

const char *kbp_clock_cause_name(enum kbp_clock_cause cause)
{
	static const char *const names[] = {
		[KBP_CLOCK_FINE] = "fine",
		[KBP_CLOCK_UNWATCHED] = "unwatched",
		[KBP_CLOCK_EXPIRED] = "expired",
		[KBP_CLOCK_NOT_YET] = "not_yet",
		[KBP_CLOCK_DAEMON_GONE] = "daemon_gone",
		[KBP_CLOCK_MASTER_LOST] = "master_lost",
		[KBP_CLOCK_OFFSET] = "offset",
		[KBP_CLOCK_STEPPED] = "stepped",
		[KBP_CLOCK_UNSYNCHRONISED] = "unsynchronised",
		[KBP_CLOCK_AMBIGUOUS] = "ambiguous",
	};

	return (unsigned)cause < KBP_ARRAY_SIZE(names) ? names[cause] : "unknown";
}

/* ---------------------------------------------------------------- proof of a source */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Within an hour of the system's clock, whose offset from TAI may not be set. A PHC may show any time. */
static bool plausible(enum kbp_epoch epoch, uint64_t ns)
{
	uint64_t hour = 3600000000000u, now;

	if (!ns || ns >> 62)
		return false;
	if (epoch == KBP_EPOCH_PHC || epoch == KBP_EPOCH_NONE)
		return true;
	now = clock_ns(epoch == KBP_EPOCH_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME);
	return ns + hour >= now && ns <= now + hour;
}

enum kbp_proof kbp_stamp_prove(struct kbp_stamp_proof *p, enum kbp_epoch epoch, uint64_t ns)
{
	uint64_t raw, minute = 60000000000u;

	if (p->proof == KBP_PROVEN)
		return KBP_PROVEN;
	if (!p->proof)
		__atomic_store_n(&p->proof, KBP_BOUND, __ATOMIC_RELAXED);
	if (!plausible(epoch, ns))
		return KBP_BOUND;
	raw = clock_ns(CLOCK_MONOTONIC_RAW);
	if (p->first_ns && ns > p->first_ns &&
	    ns - p->first_ns <= raw - p->first_raw_ns + minute) { /* frames may have waited */
		__atomic_store_n(&p->proof, KBP_PROVEN, __ATOMIC_RELAXED);
		return KBP_PROVEN;
	}
	if (ns != p->first_ns) { /* the first one, or the clock was set since */
		p->first_ns = ns;
		p->first_raw_ns = raw;
	}
	return KBP_BOUND;
}

/* ---------------------------------------------------------------- clocks */

int kbp_clock_open(const struct kbp_clock_opts *opts, struct kbp_clock **clock, struct kbp_error *err)
{
	struct kbp_clock *c;
	struct kbp_clock_opts o;
	int rc;

	*clock = NULL;
	rc = kbp_opts_read(&o, sizeof(o), opts, "open the account of a clock", err);
	if (rc)
		return rc;
	if (o.epoch != KBP_EPOCH_UTC && o.epoch != KBP_EPOCH_TAI && o.epoch != KBP_EPOCH_PHC)
		return kbp_fail(err, -EINVAL, "open the account of a clock",
				"epoch is %d: UTC, TAI and PHC have one", (int)o.epoch);
	o.limit_ns = o.limit_ns ? o.limit_ns : LIMIT_NS;
	o.holdover_ppb = o.holdover_ppb ? o.holdover_ppb : HOLDOVER_PPB;
	o.looks = o.looks ? o.looks : LOOKS;
	if (o.looks < 16 || o.looks > 1u << 24 || o.holdover_ppb > 1000000000u ||
	    o.limit_ns > LIMIT_MAX_NS)
		return kbp_fail(err, -EINVAL, "open the account of a clock",
				"%u looks, holdover of %u ppb, limit of %llu ns: from 16 to 16777216 "
				"looks, up to 1000000000 ppb and 1000000000000 ns are possible",
				o.looks, o.holdover_ppb, (unsigned long long)o.limit_ns);
	c = calloc(1, sizeof(*c));
	if (c)
		c->looks = calloc(o.looks, sizeof(*c->looks));
	if (!c || !c->looks) {
		free(c);
		return kbp_fail(err, -ENOMEM, "open the account of a clock", "out of memory");
	}
	c->opts = o;
	pthread_mutex_init(&c->lock, NULL);
	*clock = c;
	return 0;
}

static struct look *at(const struct kbp_clock *c, uint64_t i)
{
	return &c->looks[i % c->opts.looks];
}

/* a + what the error may have grown to in ns, or KBP_BOUND_UNKNOWN. */
static uint64_t grown(const struct kbp_clock *c, uint64_t a, uint64_t ns)
{
	unsigned __int128 sum = (unsigned __int128)ns * c->opts.holdover_ppb / 1000000000u + a;

	return a == KBP_BOUND_UNKNOWN || sum >= KBP_BOUND_UNKNOWN ? KBP_BOUND_UNKNOWN : (uint64_t)sum;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The offset of a look that found the clock in sync, as it may be at another time. */
static uint64_t offset_at(const struct kbp_clock *c, const struct look *k, uint64_t ns)
{
	return grown(c, k->l.offset_ns, apart(ns, k->l.verified_ns));
}

/* ---------------------------------------------------------------- adding a look */

/* How far a clock that is only steered may be from CLOCK_MONOTONIC_RAW after so long. */
static uint64_t steered(uint64_t passed)
{
	return passed / 1000000u * STEER_PPM + READ_NS;
}

static bool stepped(const struct kbp_clock *c, const struct kbp_clock_look *l)
{
	const struct kbp_clock_look *before = &at(c, c->n - 1)->l;
	uint64_t passed = l->raw_ns - before->raw_ns;

	return l->cause == KBP_CLOCK_STEPPED || l->at_ns <= before->at_ns ||
	       apart(l->at_ns, before->at_ns + passed) > steered(passed);
}

static void part_begin(struct kbp_clock *c, const struct kbp_clock_look *l)
{
	struct part *p;

	if (c->n_parts == PARTS) { /* of the oldest two, when they were is all that is kept */
		struct part *old = c->part;

		old[1].begin_ns = old[0].begin_ns < old[1].begin_ns ? old[0].begin_ns :
								      old[1].begin_ns;
		old[1].end_ns = old[0].end_ns > old[1].end_ns ? old[0].end_ns : old[1].end_ns;
		old[1].first = old[1].last + 1;
		memmove(old, old + 1, sizeof(c->part) - sizeof(*old));
		c->n_parts--;
	}
	p = &c->part[c->n_parts++];
	p->first = p->last = c->n;
	p->begin_ns = l->at_ns;
	p->end_ns = UINT64_MAX;
	p->raw_ns = 0; /* nothing is known of a step before the first look */
	if (c->n) {
		const struct kbp_clock_look *before = &at(c, c->n - 1)->l;
		uint64_t passed = l->raw_ns - before->raw_ns, most = passed + steered(passed);

		p->begin_ns = l->at_ns > most ? l->at_ns - most : 0;
		p->raw_ns = l->raw_ns;
		p[-1].end_ns = before->at_ns + most;
	}
}

/* The oldest look of a part that is still remembered. */
static uint64_t oldest(const struct kbp_clock *c, const struct part *p)
{
	uint64_t forgotten = c->n > c->opts.looks ? c->n - c->opts.looks : 0;

	return p->first > forgotten ? p->first : forgotten;
}

/* How far the clock is from where it would be, had it run on as while it was followed: somebody else steers it,
 * or nobody does any more. Beyond what the holdover rate allows it shows against CLOCK_MONOTONIC_RAW. */
static uint64_t strayed(const struct kbp_clock *c, const struct kbp_clock_look *l)
{
	const struct look *good = at(c, c->good), *first;
	uint64_t low = oldest(c, &c->part[c->n_parts - 1]),
		 back = c->good > RATE_LOOKS ? c->good - RATE_LOOKS : 0;
	uint64_t expected, base;

	if (!c->have_good || c->good < low)
		return 0;
	first = at(c, back > low ? back : low);
	base = good->l.raw_ns - first->l.raw_ns;
	expected = l->raw_ns - good->l.raw_ns;
	if (base >= RATE_MIN_NS) /* as it ran over the looks before */
		expected = (uint64_t)((unsigned __int128)expected *
				      (good->l.at_ns - first->l.at_ns) / base);
	return apart(l->at_ns, good->l.at_ns + expected);
}

/* Begins anew after a step, and where it may have been out of sync between this look and the last. */
static void run_follow(struct kbp_clock *c, const struct look *k, bool new_part)
{
	const struct look *before = new_part ? NULL : at(c, c->n - 1);

	if (k->l.sync != KBP_SYNC_IN)
		return;
	if (before && before->l.sync == KBP_SYNC_IN &&
	    offset_at(c, before, k->l.verified_ns) <= c->opts.limit_ns)
		return;
	c->run_ns = k->l.at_ns;
	if (before) /* it may have been set by so little that it does not show */
		c->run_ns += steered(k->l.raw_ns - before->l.raw_ns);
}

/* The window of stamps that are in sync: it ends before the limit could be reached, and goes back a little, for
 * frames that wait in a ring. */
static uint64_t window(const struct kbp_clock *c, const struct look *k)
{
	unsigned __int128 hold;
	uint64_t from = k->l.at_ns - KBP_SYNC_SPAN_NS / 4, end;

	if (k->l.sync != KBP_SYNC_IN || k->l.at_ns < 2 * KBP_SYNC_SPAN_NS || k->l.at_ns >> 62)
		return KBP_SYNC_NEVER;
	hold = (unsigned __int128)(c->opts.limit_ns - k->l.offset_ns) * 1000000000u /
	       c->opts.holdover_ppb;
	end = hold > (1ull << 62) ? 1ull << 63 : k->l.verified_ns + (uint64_t)hold;
	if (from + KBP_SYNC_SPAN_NS > end)
		from = end - KBP_SYNC_SPAN_NS;
	if (from < c->run_ns)
		from = c->run_ns;
	for (unsigned i = 0; i + 1 < c->n_parts; i++) { /* what came before, too, is ambiguous */
		const struct part *p = &c->part[i];

		if (p->end_ns >= from && p->begin_ns < from + KBP_SYNC_SPAN_NS) {
			from = p->end_ns + 1;
			i = UINT_MAX; /* from the beginning: it may lie in another one now */
		}
	}
	return from + KBP_SYNC_SPAN_NS > end ? KBP_SYNC_NEVER : -from;
}

/* Under watch_lock. */
static void tell(struct kbp_queue *q, uint64_t shift)
{
	__atomic_store_n(&q->sync_shift, shift, __ATOMIC_RELAXED);
	if (q->port->b->queue_sync)
		q->port->b->queue_sync(q, shift, kbp_cold(q)->watches);
}

/* A look that found out since when it was not in sync: the looks that came after that moment knew no better.
 * An offset was measured at verified_ns; when it came about, since the measurement before, nobody knows. */
static void requalify(struct kbp_clock *c, struct kbp_clock_look *l)
{
	uint64_t first = oldest(c, &c->part[c->n_parts - 1]);
	bool offset = l->cause == KBP_CLOCK_OFFSET;

	if (l->sync == KBP_SYNC_IN)
		return;
	if (offset && at(c, c->n - 1)->good_at &&
	    (!l->since_ns || l->since_ns > at(c, c->n - 1)->good_at + 1))
		l->since_ns = at(c, c->n - 1)->good_at + 1;
	if (!l->since_ns)
		return;
	for (uint64_t i = c->n; i > first; i--) {
		struct kbp_clock_look *e = &at(c, i - 1)->l;

		if (e->sync == KBP_SYNC_NOT || e->at_ns < l->since_ns)
			return;
		if (at(c, i - 1)->good_at >= l->since_ns)
			at(c, i - 1)->good_at = l->since_ns - 1;
		e->sync = offset && e->at_ns < l->verified_ns ? KBP_SYNC_UNKNOWN : l->sync;
		e->cause = l->cause;
		e->since_ns = l->since_ns;
		e->verified_ns = l->verified_ns;
	}
}

/* When this look's evidence is from, by the clock as it runs now; what it is worth then. Of two accounts of its age
 * the older one counts: a clock that was set since shows in one of them. */
static void evidence(const struct kbp_clock *c, struct look *k)
{
	struct kbp_clock_look *l = &k->l;
	uint64_t age = l->verified_ns && l->verified_ns < l->at_ns ? l->at_ns - l->verified_ns : 0;
	uint64_t raw_age = l->verified_raw_ns && l->verified_raw_ns < l->raw_ns ?
				   l->raw_ns - l->verified_raw_ns :
				   0;
	bool later = l->verified_ns > l->at_ns + READ_NS;

	age = raw_age > age ? raw_age : age;
	l->verified_ns = l->at_ns > age ? l->at_ns - age : 1;
	if (l->since_ns > l->at_ns)
		l->since_ns = 0;
	if (later || (age && l->raw_ns - age < c->part[c->n_parts - 1].raw_ns)) {
		/* from before the clock was set */
		l->bound_ns = KBP_BOUND_UNKNOWN;
		l->verified_ns = l->at_ns;
		if (l->sync == KBP_SYNC_IN) {
			l->sync = KBP_SYNC_UNKNOWN;
			l->cause = KBP_CLOCK_STEPPED;
		}
	} else if (l->sync == KBP_SYNC_IN && offset_at(c, k, l->at_ns) > c->opts.limit_ns) {
		bool beyond = l->offset_ns > c->opts.limit_ns;

		l->sync = beyond ? KBP_SYNC_NOT : KBP_SYNC_UNKNOWN;
		l->cause = beyond ? KBP_CLOCK_OFFSET : KBP_CLOCK_EXPIRED;
	} else if (l->sync == KBP_SYNC_IN) {
		l->cause = KBP_CLOCK_FINE;
	} else if (!l->cause) {
		l->cause = KBP_CLOCK_UNSYNCHRONISED;
	}
	if (l->sync == KBP_SYNC_IN && l->bound_ns < l->offset_ns)
		l->bound_ns = l->offset_ns;
}

/* What a look knows from those before it. */
static void look_complete(const struct kbp_clock *c, struct look *k, bool new_part)
{
	const struct look *before = c->n ? at(c, c->n - 1) : NULL;

	k->bound_at = k->l.verified_ns;
	k->bound_ns = k->l.bound_ns;
	k->good_at = before && !new_part ? before->good_at : 0;
	k->told_at = before && !new_part ? before->told_at : 0;
	if (k->bound_ns == KBP_BOUND_UNKNOWN && before && !new_part) {
		k->bound_at = before->bound_at;
		k->bound_ns = before->bound_ns;
		if (k->l.sync != KBP_SYNC_IN)
			k->strayed_ns = strayed(c, &k->l);
	}
	if (k->l.sync == KBP_SYNC_IN)
		k->good_at = k->told_at = k->l.verified_ns;
	else if (k->l.sync == KBP_SYNC_NOT)
		k->told_at = k->l.at_ns;
}

int kbp_clock_add(struct kbp_clock *c, const struct kbp_clock_look *look)
{
	struct look k = { .l = *look };
	uint64_t shift;
	bool new_part;

	if ((unsigned)look->sync > KBP_SYNC_IN || (c->n && look->raw_ns <= at(c, c->n - 1)->l.raw_ns))
		return -EINVAL;
	pthread_mutex_lock(&watch_lock);
	pthread_mutex_lock(&c->lock);
	new_part = !c->n || stepped(c, look);
	if (new_part)
		part_begin(c, look);
	evidence(c, &k);
	if (!new_part)
		requalify(c, &k.l);
	look_complete(c, &k, new_part);
	run_follow(c, &k, new_part);
	c->part[c->n_parts - 1].last = c->n;
	if (k.l.sync == KBP_SYNC_IN)
		c->good = c->n;
	c->have_good = k.l.sync == KBP_SYNC_IN || (c->have_good && !new_part);
	*at(c, c->n++) = k;
	shift = window(c, &k);
	pthread_mutex_unlock(&c->lock);
	for (struct kbp_queue_cold *w = c->watchers; w; w = w->next_watcher)
		tell(w->q, shift);
	pthread_mutex_unlock(&watch_lock);
	return 0;
}

/* ---------------------------------------------------------------- judging */

/* The part that `ns` lies in. NULL: none, or, with *twice, two. */
static const struct part *part_of(const struct kbp_clock *c, uint64_t ns, bool *twice)
{
	const struct part *found = NULL;

	*twice = false;
	for (unsigned i = 0; i < c->n_parts; i++) {
		const struct part *p = &c->part[i];

		if (ns < p->begin_ns || ns > p->end_ns)
			continue;
		*twice = found != NULL;
		found = p;
		if (*twice)
			return NULL;
	}
	return found;
}

/* The last look of the part at or before `ns`; false when there is none. */
static bool look_before(const struct kbp_clock *c, const struct part *p, uint64_t ns, uint64_t *i)
{
	uint64_t low = oldest(c, p), high = p->last + 1;

	if (low > p->last || at(c, low)->l.at_ns > ns)
		return false;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (at(c, middle)->l.at_ns <= ns)
			low = middle;
		else
			high = middle;
	}
	*i = low;
	return true;
}

/* The first look behind number i with evidence that look i does not have; NULL: there is none yet. */
static const struct look *newer(const struct kbp_clock *c, const struct part *p, uint64_t i)
{
	for (uint64_t k = i + 1; k <= p->last; k++)
		if (at(c, k)->bound_at > at(c, i)->bound_at)
			return at(c, k);
	return NULL;
}

/* The bound between two looks that know of one. A later look cannot make it smaller: what steers a clock moves it
 * faster than holdover does. It makes it larger where the clock ran away faster than that. */
static uint64_t bound_between(const struct kbp_clock *c, const struct look *e,
			      const struct look *next, uint64_t ns)
{
	uint64_t bound = grown(c, e->bound_ns, apart(ns, e->bound_at)), other, expected;

	if (bound != KBP_BOUND_UNKNOWN)
		bound += e->strayed_ns;
	if (!next || next->bound_ns == KBP_BOUND_UNKNOWN)
		return bound;
	other = grown(c, next->bound_ns, apart(ns, next->bound_at));
	expected = grown(c, e->bound_ns, next->bound_at - e->bound_at);
	return next->bound_ns > expected && other > bound ? other : bound;
}

static void judge_sync(const struct kbp_clock *c, const struct look *e, const struct look *next,
		       uint64_t ns, struct kbp_claim *claim)
{
	claim->sync = e->l.sync;
	claim->cause = e->l.cause;
	if (e->l.sync != KBP_SYNC_IN)
		return;
	if (next && next->l.sync != KBP_SYNC_IN && !(next->l.since_ns && ns < next->l.since_ns)) {
		/* lost at some time in between; where it began is known, or all of it is in doubt */
		bool known = next->l.since_ns &&
			     (next->l.cause != KBP_CLOCK_OFFSET || ns >= next->l.verified_ns);

		claim->sync = known ? next->l.sync : KBP_SYNC_UNKNOWN;
		claim->cause = next->l.cause;
		return;
	}
	if (offset_at(c, e, ns) <= c->opts.limit_ns)
		return;
	claim->sync = KBP_SYNC_UNKNOWN;
	claim->cause = KBP_CLOCK_EXPIRED;
}

static void judge_locked(const struct kbp_clock *c, uint64_t ns, struct kbp_claim *claim)
{
	const struct look *e, *next;
	const struct part *p;
	uint64_t i;
	bool twice;

	if (!c->n)
		return;
	p = part_of(c, ns, &twice);
	claim->settled = true;
	if (!p) {
		claim->cause = twice			? KBP_CLOCK_AMBIGUOUS :
			       ns < c->part[0].begin_ns ? KBP_CLOCK_UNWATCHED :
							  KBP_CLOCK_STEPPED;
		return;
	}
	if (!look_before(c, p, ns, &i)) {
		claim->cause = p->first ? KBP_CLOCK_STEPPED : KBP_CLOCK_UNWATCHED;
		if (p->first < oldest(c, p))
			claim->cause = KBP_CLOCK_UNWATCHED; /* forgotten */
		return;
	}
	e = at(c, i);
	claim->verified_ns = e->good_at;
	if (i == p->last && p->end_ns != UINT64_MAX) { /* it was set at some time after this look */
		claim->cause = KBP_CLOCK_STEPPED;
		return;
	}
	next = i == p->last ? NULL : at(c, i + 1);
	/* looks whose evidence is older than the stamp can turn out otherwise */
	claim->settled = next && at(c, p->last)->told_at >= ns;
	judge_sync(c, e, next, ns, claim);
	claim->bound_ns = bound_between(c, e, newer(c, p, i), ns);
	if (next && claim->bound_ns != KBP_BOUND_UNKNOWN && next->strayed_ns > e->strayed_ns)
		claim->bound_ns += next->strayed_ns - e->strayed_ns;
}

void kbp_clock_judge(const struct kbp_clock *clock, uint64_t ns, struct kbp_claim *claim)
{
	struct kbp_clock *c =
		(struct kbp_clock *)(uintptr_t)clock; /* the lock is no part of what it is */

	memset(claim, 0, sizeof(*claim));
	claim->epoch = c->opts.epoch;
	claim->cause = KBP_CLOCK_UNWATCHED;
	claim->bound_ns = KBP_BOUND_UNKNOWN;
	pthread_mutex_lock(&c->lock);
	judge_locked(c, ns, claim);
	pthread_mutex_unlock(&c->lock);
}

/* ---------------------------------------------------------------- queues that watch */

/* Under watch_lock. */
static void unwatch(struct kbp_queue *q)
{
	struct kbp_queue_cold *cold = kbp_cold(q), **w;

	if (!cold->clock)
		return;
	for (w = &cold->clock->watchers; *w != cold; w = &(*w)->next_watcher)
		;
	*w = cold->next_watcher;
	cold->clock = NULL;
	tell(q, KBP_SYNC_NEVER);
}

void kbp_queue_unwatch(struct kbp_queue *q)
{
	pthread_mutex_lock(&watch_lock);
	unwatch(q);
	kbp_cold(q)->watches = false;
	tell(q, KBP_SYNC_NEVER);
	pthread_mutex_unlock(&watch_lock);
}

void kbp_queue_sync_again(struct kbp_queue *q)
{
	pthread_mutex_lock(&watch_lock);
	tell(q, q->sync_shift);
	pthread_mutex_unlock(&watch_lock);
}

void kbp_clock_close(struct kbp_clock *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&watch_lock);
	while (c->watchers)
		unwatch(c->watchers->q);
	pthread_mutex_unlock(&watch_lock);
	pthread_mutex_destroy(&c->lock);
	free(c->looks);
	free(c);
}

static int watch_check(const struct kbp_queue *q, const struct kbp_clock *c, struct kbp_error *err)
{
	struct kbp_queue_info info;
	enum kbp_epoch epoch;

	kbp_queue_info(q, &info);
	epoch = info.ts_source != KBP_TS_NONE ? info.ts_epoch : info.ts_epoch_tx;
	if (info.ts_source == KBP_TS_NONE && info.ts_source_tx == KBP_TS_NONE)
		return kbp_fail(err, -EINVAL, "watch a clock",
				"the queue has no timestamps: open it with KBP_QUEUE_RX_STAMPS; %s",
				info.note);
	if (epoch != c->opts.epoch ||
	    (epoch == KBP_EPOCH_PHC && info.ts_phc >= 0 && info.ts_phc != c->opts.phc))
		return kbp_fail(err, -EINVAL, "watch a clock",
				"the queue's stamps are of another clock: see ts_epoch and ts_phc in "
				"kbp_queue_info");
	return 0;
}

int kbp_queue_watch(struct kbp_queue *q, struct kbp_clock *clock, struct kbp_error *err)
{
	struct kbp_queue_cold *cold = kbp_cold(q);
	int rc = clock ? watch_check(q, clock, err) : 0;

	if (rc)
		return rc;
	pthread_mutex_lock(&watch_lock);
	unwatch(q);
	cold->watches = clock != NULL;
	if (clock) {
		cold->clock = clock;
		cold->next_watcher = clock->watchers;
		clock->watchers = cold;
	}
	/* what the clock published last may be old: its next look tells */
	tell(q, KBP_SYNC_NEVER);
	pthread_mutex_unlock(&watch_lock);
	/* which source it is may have been open when it was looked at; now it is not any more */
	rc = clock ? watch_check(q, clock, err) : 0;
	if (rc)
		kbp_queue_unwatch(q);
	return rc;
}

/* What the queue's clock says of `ns`, if it is still there; false when the queue watches none. */
static bool judge_queue(const struct kbp_queue *q, uint64_t ns, struct kbp_claim *claim)
{
	const struct kbp_queue_cold *cold = kbp_cold(q);
	bool watches;

	pthread_mutex_lock(&watch_lock);
	watches = cold->watches;
	if (cold->clock)
		kbp_clock_judge(cold->clock, ns, claim);
	pthread_mutex_unlock(&watch_lock);
	return watches;
}

/* own_clock: the stamp is of the clock that the queue watches, if it watches one. */
static void claim_fill(const struct kbp_queue *q, uint64_t ns, uint16_t flags, bool own_clock,
		       struct kbp_claim *claim)
{
	enum kbp_sync device = (flags & KBP_FRAME_DEVICE_MASK) >> KBP_FRAME_DEVICE_SHIFT;

	memset(claim, 0, sizeof(*claim));
	claim->cause = KBP_CLOCK_UNWATCHED;
	claim->bound_ns = KBP_BOUND_UNKNOWN;
	if (!(flags & KBP_FRAME_TS) || !own_clock)
		return;
	if (judge_queue(q, ns, claim)) {
		if (device == KBP_SYNC_NOT && claim->sync == KBP_SYNC_IN) {
			claim->sync = KBP_SYNC_NOT;
			claim->cause = KBP_CLOCK_UNSYNCHRONISED;
		}
	} else {
		claim->sync = device;
		claim->settled = true;
		claim->cause = device == KBP_SYNC_IN  ? KBP_CLOCK_FINE :
			       device == KBP_SYNC_NOT ? KBP_CLOCK_UNSYNCHRONISED :
							KBP_CLOCK_UNWATCHED;
	}
}

void kbp_stamp_claim(const struct kbp_queue *q, const struct kbp_stamp *s, struct kbp_claim *claim)
{
	struct kbp_queue_info info;

	claim_fill(q, s->ns, s->flags, true, claim);
	if (!(s->flags & KBP_FRAME_TS))
		return;
	kbp_queue_info(q, &info);
	claim->source = info.ts_source;
	claim->proof = info.ts_proof;
	claim->epoch = info.ts_epoch;
	claim->resolution_ps = info.ts_resolution_ps;
}

void kbp_completion_claim(const struct kbp_queue *q, const struct kbp_completion *c,
			  struct kbp_claim *claim)
{
	struct kbp_queue_info info;
	bool one_clock;

	kbp_queue_info(q, &info);
	one_clock = info.ts_source == KBP_TS_NONE || info.ts_epoch == info.ts_epoch_tx;
	claim_fill(q, c->ts_ns, c->flags, one_clock, claim);
	if (!(c->flags & KBP_FRAME_TS))
		return;
	claim->source = info.ts_source_tx;
	claim->proof = info.ts_proof_tx;
	claim->epoch = info.ts_epoch_tx;
	claim->resolution_ps = info.ts_resolution_ps;
}

void kbp_queue_clock_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	struct kbp_claim claim;
	struct kbp_clock *c;
	uint64_t now = 0;

	pthread_mutex_lock(&watch_lock);
	c = kbp_cold(q)->clock;
	if (c) {
		pthread_mutex_lock(&c->lock);
		if (c->n) /* by its own time, as far as the last look tells it */
			now = at(c, c->n - 1)->l.at_ns +
			      (clock_ns(CLOCK_MONOTONIC_RAW) - at(c, c->n - 1)->l.raw_ns);
		pthread_mutex_unlock(&c->lock);
		kbp_clock_judge(c, now, &claim);
		info->ts_sync = claim.sync;
		info->ts_cause = claim.cause;
		info->ts_bound_ns = claim.bound_ns;
		info->ts_verified_ns = claim.verified_ns;
	}
	pthread_mutex_unlock(&watch_lock);
}
