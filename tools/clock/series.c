/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * series.c - interpolation with a stated error.
 *
 * Between two points the rate is taken as even. How wrong that may be shows in how much the rate differs from that
 * of the neighbouring stretches; the holdover rate is the least that is assumed. After the last point the rate of the
 * last second goes on, and what is not known of it counts for each second that passes.
 */
#include "series.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A step is what neither steering nor reading explains: the same as an account's, stamp.c. */
#define STEER_PPM 1000u
#define READ_NS 20000u
#define UNSTEADY_PPB \
	500000.0 /* the rate of a clock that was seen once only, at the most: adjtime's slew */
#define RATE_NS 1000000000ull /* over how long the last rate is taken */

int kbp_series_init(struct kbp_series *s, uint32_t room, uint32_t holdover_ppb, bool ticks)
{
	memset(s, 0, sizeof(*s));
	s->point = calloc(room, sizeof(*s->point));
	s->room = room;
	s->holdover_ppb = holdover_ppb;
	s->ticks = ticks;
	return s->point ? 0 : -ENOMEM;
}

void kbp_series_free(struct kbp_series *s)
{
	free(s->point);
	s->point = NULL;
	s->n = 0;
}

static struct kbp_point *at(const struct kbp_series *s, uint64_t i)
{
	return &s->point[i % s->room];
}

static uint64_t first(const struct kbp_series *s)
{
	return s->n > s->room ? s->n - s->room : 0;
}

static bool stepped(const struct kbp_series *s, const struct kbp_point *a, const struct kbp_point *b)
{
	uint64_t passed = b->raw_ns - a->raw_ns, expected = a->value + passed;
	uint64_t apart = b->value > expected ? b->value - expected : expected - b->value;

	if (s->ticks)
		return b->value <= a->value; /* it stood still in a suspended machine, or began anew */
	return b->value <= a->value ||
	       apart > passed / 1000000u * STEER_PPM + READ_NS + a->error_ns + b->error_ns;
}

bool kbp_series_add(struct kbp_series *s, uint64_t raw_ns, uint64_t value, uint64_t error_ns)
{
	struct kbp_point p = { raw_ns, value,
			       error_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)error_ns, 0 };

	if (s->n) {
		const struct kbp_point *last = at(s, s->n - 1);

		if (raw_ns <= last->raw_ns)
			return false;
		p.part = last->part + (s->cut || stepped(s, last, &p));
	}
	s->cut = false;
	*at(s, s->n++) = p;
	return true;
}

void kbp_series_cut(struct kbp_series *s)
{
	s->cut = true;
}

/* ---------------------------------------------------------------- lines through two points */

/* Of the two axes, which one is asked for. */
struct axes {
	bool from_raw;
};

static uint64_t x_of(struct axes a, const struct kbp_point *p)
{
	return a.from_raw ? p->raw_ns : p->value;
}

static uint64_t y_of(struct axes a, const struct kbp_point *p)
{
	return a.from_raw ? p->value : p->raw_ns;
}

static double rate(const struct kbp_point *a, const struct kbp_point *b)
{
	return (double)(b->value - a->value) / (double)(b->raw_ns - a->raw_ns);
}

/* y at x on the line through a and b: exact products of 128 bits. */
static uint64_t on_line(struct axes ax, const struct kbp_point *a, const struct kbp_point *b,
			uint64_t x, const struct kbp_point *base)
{
	__int128 dx = (__int128)b->value - a->value, dy = (__int128)b->raw_ns - a->raw_ns;

	if (ax.from_raw) {
		__int128 t = dx;

		dx = dy;
		dy = t;
	}
	return (uint64_t)((__int128)y_of(ax, base) +
			  ((__int128)x - (__int128)x_of(ax, base)) * dy / dx);
}

static double apart_ppb(double r, double other)
{
	return fabs(r / other - 1) * 1e9;
}

/* The rate here against that of the stretches on both sides. */
static double wander_ppb(const struct kbp_series *s, uint64_t i)
{
	const struct kbp_point *a = at(s, i), *b = at(s, i + 1);
	double worst = s->holdover_ppb, d;

	if (i > first(s) && at(s, i - 1)->part == a->part) {
		d = apart_ppb(rate(a, b), rate(at(s, i - 1), a));
		worst = d > worst ? d : worst;
	}
	if (i + 2 < s->n && at(s, i + 2)->part == b->part) {
		d = apart_ppb(rate(a, b), rate(b, at(s, i + 2)));
		worst = d > worst ? d : worst;
	}
	return worst;
}

static void between(const struct kbp_series *s, struct axes ax, uint64_t i, uint64_t x,
		    struct kbp_moment *m)
{
	const struct kbp_point *a = at(s, i), *b = at(s, i + 1);
	uint64_t left, near;
	double part;

	m->value = on_line(ax, a, b, x, a);
	/* the nearer point counts, in ns of raw */
	part = (double)(x - x_of(ax, a)) / (double)(x_of(ax, b) - x_of(ax, a));
	left = (uint64_t)(part * (double)(b->raw_ns - a->raw_ns));
	near = left < b->raw_ns - a->raw_ns - left ? left : b->raw_ns - a->raw_ns - left;
	m->error_ns = (a->error_ns > b->error_ns ? a->error_ns : b->error_ns) + 1 +
		      (uint64_t)ceil((double)near * wander_ppb(s, i) / 1e9);
	m->flags = 0;
}

static int after(const struct kbp_series *s, struct axes ax, uint64_t x, struct kbp_moment *m)
{
	const struct kbp_point *b = at(s, s->n - 1), *a = NULL;
	double ppb, passed;

	for (uint64_t i = s->n - 1; i > first(s) && at(s, i - 1)->part == b->part; i--) {
		a = at(s, i - 1);
		if (b->raw_ns - a->raw_ns >= RATE_NS)
			break;
	}
	if (!a && s->ticks)
		return -ENODATA; /* how fast it ticks is not known yet */
	m->flags = x > x_of(ax, b) ? KBP_MOMENT_EXTRAPOLATED : 0;
	if (a) {
		m->value = on_line(ax, a, b, x, b);
		ppb = s->holdover_ppb +
		      1e9 * ((double)a->error_ns + b->error_ns) / (double)(b->raw_ns - a->raw_ns);
		passed = (double)(x - x_of(ax, b)) / (ax.from_raw ? 1 : rate(a, b));
	} else {
		m->value = y_of(ax, b) + (x - x_of(ax, b));
		ppb = UNSTEADY_PPB;
		passed = (double)(x - x_of(ax, b));
	}
	m->error_ns = b->error_ns + 1 + (uint64_t)ceil(passed * ppb / 1e9);
	return 0;
}

/* ---------------------------------------------------------------- finding the place */

/* The last of [low, high] whose x is at most `x`; the caller knows that low's is. */
static uint64_t search(const struct kbp_series *s, struct axes ax, uint64_t low, uint64_t high,
		       uint64_t x)
{
	while (high > low) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (x_of(ax, at(s, middle)) <= x)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

int kbp_series_at_raw(const struct kbp_series *s, uint64_t raw_ns, struct kbp_moment *m)
{
	struct axes ax = { true };
	uint64_t i;

	if (!s->n || raw_ns < at(s, first(s))->raw_ns)
		return -ERANGE;
	i = search(s, ax, first(s), s->n - 1, raw_ns);
	if (i == s->n - 1)
		return after(s, ax, raw_ns, m);
	if (at(s, i)->part != at(s, i + 1)->part && raw_ns != at(s, i)->raw_ns)
		return -ENOTUNIQ;
	if (at(s, i)->part != at(s, i + 1)->part) {
		m->value = at(s, i)->value;
		m->error_ns = at(s, i)->error_ns;
		m->flags = 0;
		return 0;
	}
	between(s, ax, i, raw_ns, m);
	return 0;
}

/* The last point of the part that begins with point i. */
static uint64_t part_end(const struct kbp_series *s, uint64_t i)
{
	uint64_t low = i, high = s->n - 1;

	while (high > low) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (at(s, middle)->part == at(s, i)->part)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

int kbp_series_to_raw(const struct kbp_series *s, uint64_t value, struct kbp_moment *m)
{
	struct axes ax = { false };
	unsigned sure = 0, maybe = 0;
	uint64_t begin = 0, end = 0;

	if (!s->n)
		return -ERANGE;
	for (uint64_t i = first(s), last; i < s->n; i = last + 1) {
		uint64_t low = at(s, i)->value, high, before, behind;

		last = part_end(s, i);
		high = at(s, last)->value;
		/* it may have been set right after the point before, or right before the point behind; ticks, whose
		 * rate is another, are never set in a running machine */
		before = i > first(s) && !s->ticks ? at(s, i)->raw_ns - at(s, i - 1)->raw_ns : 0;
		behind = last + 1 < s->n && !s->ticks ?
				 at(s, last + 1)->raw_ns - at(s, last)->raw_ns :
				 0;
		if (value >= low && (value <= high || last + 1 == s->n)) {
			sure++;
			begin = i;
			end = last;
		} else if ((value < low && low - value <= before) ||
			   (value > high && value - high <= behind)) {
			maybe++;
		}
	}
	if (sure + maybe > 1)
		return -ENOTUNIQ;
	if (!sure)
		return !maybe && value < at(s, first(s))->value ? -ERANGE : -ENODATA;
	begin = search(s, ax, begin, end, value);
	if (begin == s->n - 1)
		return after(s, ax, value, m);
	if (begin == end) {
		m->value = at(s, begin)->raw_ns;
		m->error_ns = at(s, begin)->error_ns;
		m->flags = 0;
		return 0;
	}
	between(s, ax, begin, value, m);
	return 0;
}
