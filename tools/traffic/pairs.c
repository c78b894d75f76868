/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/internal.h"
#include "tools/traffic/pairs.h"

#define TRIES 10
/* A clock is steered by 500 ppm at the most (adjtime); what goes beyond twice that is a step. */
#define STEER_PPM 1000u
#define STEP_NS 1000u

/* FD_TO_CLOCKID of linux/posix-timers_types.h, which is not installed: dynamic clocks by descriptor. */
static clockid_t clock_of_fd(int fd)
{
	return (clockid_t)((~(unsigned)fd << 3) | 3u);
}

static int phc_open(struct kbp_pairs *c, int32_t phc, struct kbp_error *err)
{
	char path[32];
	int e;

	snprintf(path, sizeof(path), "/dev/ptp%d", phc);
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	e = errno;
	if (c->fd < 0)
		return kbp_failf(err, -EOPNOTSUPP, strerror(e), "read the clock of the stamps, %s",
				 path);
	c->id = clock_of_fd(c->fd);
	return 0;
}

int kbp_pairs_open(struct kbp_pairs *c, enum kbp_ts_source source, enum kbp_epoch epoch,
		   int32_t phc, const struct kbp_tsc *tsc, struct kbp_error *err)
{
	const char *step = "read the clock of the stamps";
	struct timespec ts;
	int rc = 0;

	memset(c, 0, sizeof(*c));
	c->tsc = *tsc;
	c->fd = -1;
	c->every = kbp_tsc_ticks(tsc, KBP_PAIRS_EVERY_NS);
	if (source == KBP_TS_NONE || epoch == KBP_EPOCH_NONE)
		return kbp_fail(err, -EOPNOTSUPP, step, "the queue has no stamps");
	/* what a NIC stamps is its own clock's, whatever that was set to */
	if ((source == KBP_TS_NIC || epoch == KBP_EPOCH_PHC) && phc >= 0)
		rc = phc_open(c, phc, err);
	else if (source == KBP_TS_NIC || epoch == KBP_EPOCH_PHC)
		rc = kbp_fail(err, -EOPNOTSUPP, step,
			      "the NIC's clock is not known as a /dev/ptpN: nothing to read it by");
	else
		c->id = epoch == KBP_EPOCH_UTC ? CLOCK_REALTIME :
			epoch == KBP_EPOCH_TAI ? CLOCK_TAI :
						 CLOCK_MONOTONIC;
	if (!rc && clock_gettime(c->id, &ts))
		rc = kbp_fail(err, -EOPNOTSUPP, step, "%s", strerror(errno));
	if (rc)
		kbp_pairs_close(c);
	else
		kbp_pairs_take(c);
	return rc;
}

void kbp_pairs_close(struct kbp_pairs *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static bool is_step(const struct kbp_pairs *c, const struct kbp_pair *a, const struct kbp_pair *b)
{
	uint64_t passed = kbp_tsc_ns(&c->tsc, b->ticks - a->ticks);
	uint64_t most = passed / 1000000u * STEER_PPM + STEP_NS +
			kbp_tsc_ns(&c->tsc, a->half_ticks + b->half_ticks);

	return b->ns <= a->ns || apart(b->ns - a->ns, passed) > most;
}

/* When all places are taken, every second pair goes, and later ones come half as often. */
static void thin(struct kbp_pairs *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i += 2)
		c->p[n++] = c->p[i];
	c->n = n;
	c->every *= 2;
}

void kbp_pairs_add(struct kbp_pairs *c, const struct kbp_pair *pair)
{
	c->next_at = pair->ticks + c->every;
	if (c->n && pair->ticks <= c->p[c->n - 1].ticks)
		return;
	if (c->n && is_step(c, &c->p[c->n - 1], pair))
		c->stepped = true;
	/* short stretches would tell little of the clock's rate */
	if (c->n > 1 && pair->ticks - c->p[c->n - 2].ticks < c->every)
		c->n--;
	if (c->n == KBP_PAIRS_MAX)
		thin(c);
	c->p[c->n++] = *pair;
}

void kbp_pairs_take(struct kbp_pairs *c)
{
	struct kbp_pair best = { .half_ticks = UINT64_MAX };

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = kbp_tsc_now_ordered(), after;
		struct timespec ts;

		if (clock_gettime(c->id, &ts))
			return;
		after = kbp_tsc_now_ordered();
		if ((after - before) / 2 >= best.half_ticks)
			continue;
		best.half_ticks = (after - before) / 2;
		best.ticks = before + best.half_ticks;
		best.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
	best.half_ticks += c->tsc.quantum_ticks + 1u;
	kbp_pairs_add(c, &best);
}

/* ns of the clock to a tick, between two pairs. */
static double rate(const struct kbp_pair *a, const struct kbp_pair *b)
{
	return (double)(b->ticks - a->ticks) / (double)(b->ns - a->ns);
}

/* By how much the rate of stretch k differs from `here`; negative: stretch k is too short beside this one for its
 * rate to tell, or there is none. */
static double differs(const struct kbp_pairs *c, uint32_t k, double here, uint64_t ns)
{
	const struct kbp_pair *p = c->p + k;
	double d;

	if (k + 1 >= c->n || (p[1].ns - p[0].ns) < ns / 4)
		return -1;
	d = rate(p, p + 1) - here;
	return d < 0 ? -d : d;
}

/* How far the clock may have been from the straight line within stretch i: a rate that changes from that of
 * one neighbour to that of the other moves it by a quarter of the difference over the stretch, at most. With
 * no neighbour, all that it deviates from the counter counts. */
static double bend_ticks(const struct kbp_pairs *c, uint32_t i)
{
	const struct kbp_pair *p = c->p + i;
	uint64_t ns = p[1].ns - p[0].ns;
	double here = rate(p, p + 1), before = i ? differs(c, i - 1, here, ns) : -1,
	       after = differs(c, i + 1, here, ns), most = before > after ? before : after;

	if (most >= 0)
		return most * (double)ns / 2;
	most = here - (double)c->tsc.hz / 1e9;
	return (most < 0 ? -most : most) * (double)ns;
}

bool kbp_pairs_ticks(const struct kbp_pairs *c, uint64_t ns, uint64_t *ticks, uint64_t *error_ns)
{
	uint32_t low = 0, high = c->n;
	const struct kbp_pair *p;
	uint64_t half;

	if (c->stepped || c->n < 2 || ns < c->p[0].ns || ns > c->p[c->n - 1].ns)
		return false;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (c->p[middle].ns <= ns)
			low = middle;
		else
			high = middle;
	}
	if (low + 1 == c->n)
		low--;
	p = c->p + low;
	*ticks = p->ticks + (uint64_t)((unsigned __int128)(ns - p->ns) * (p[1].ticks - p->ticks) /
				       (p[1].ns - p->ns));
	half = p[0].half_ticks > p[1].half_ticks ? p[0].half_ticks : p[1].half_ticks;
	*error_ns = kbp_tsc_ns(&c->tsc, half + (uint64_t)bend_ticks(c, low)) + 1;
	return true;
}
