/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * convert.c - times of one clock told by another. Every clock is read against CLOCK_MONOTONIC_RAW, which nobody sets
 * or steers, and is a series of its own; a conversion goes by way of it.
 */
#include "convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "leap.h"
#include "phc.h"
#include "series.h"
#include "tsc.h"

#define SAMPLES 4096u
#define HOLDOVER_PPB 200u
#define READS 5u
#define FIRST_MS 10u

enum { TSC, MONOTONIC, UTC, TAI, N_FIXED };

struct kbp_converter {
	pthread_mutex_t lock;
	uint32_t samples, holdover_ppb;
	struct kbp_series fixed[N_FIXED];
	struct kbp_series phc[KBP_PHC_MAX]; /* without points: it is not taken in */
	int phc_fd[KBP_PHC_MAX];
	int tai_s; /* by the kernel; 0: not set */
};

/* ---------------------------------------------------------------- samples */

static bool read_clock(unsigned which, int tai_s, uint64_t *v)
{
	struct kbp_moment m;

	switch (which) {
	case TSC:
		*v = kbp_tsc_now_ordered();
		return true;
	case MONOTONIC:
		*v = kbp_clock_ns(CLOCK_MONOTONIC);
		return true;
	case UTC:
		*v = kbp_clock_ns(CLOCK_REALTIME);
		return true;
	default:
		*v = kbp_clock_ns(tai_s ? CLOCK_TAI : CLOCK_REALTIME);
		if (tai_s)
			return true;
		if (kbp_utc_to_tai(*v, &m))
			return false;
		*v = m.value;
		return true;
	}
}

/* The tightest of a few readings between two of raw. false: it cannot be read. */
static bool sample(struct kbp_series *s, unsigned which, int fd, int tai_s)
{
	uint64_t best = UINT64_MAX, raw = 0, value = 0;

	for (unsigned i = 0; i < READS; i++) {
		uint64_t before = kbp_clock_ns(CLOCK_MONOTONIC_RAW), v = 0, after;
		bool good = fd >= 0 ? !kbp_phc_gettime(fd, &v) : read_clock(which, tai_s, &v);

		after = kbp_clock_ns(CLOCK_MONOTONIC_RAW);
		if (!good || after - before >= best)
			continue;
		best = after - before;
		raw = before + best / 2;
		value = v;
	}
	if (best == UINT64_MAX)
		return false;
	(void)kbp_series_add(s, raw, value, best / 2 + 1);
	return true;
}

/* A device that was taken away does not come back by its old descriptor, and what comes back may be another. */
static void sample_phc(struct kbp_converter *c, int32_t phc)
{
	if (!c->phc[phc].point)
		return;
	if (c->phc_fd[phc] < 0)
		c->phc_fd[phc] = kbp_phc_open(phc);
	if (c->phc_fd[phc] < 0 || sample(&c->phc[phc], 0, c->phc_fd[phc], 0))
		return;
	kbp_phc_close(c->phc_fd[phc]);
	c->phc_fd[phc] = -1;
	kbp_series_cut(&c->phc[phc]);
}

void kbp_converter_sample(struct kbp_converter *c)
{
	struct timex t = { .modes = 0 };

	pthread_mutex_lock(&c->lock);
	c->tai_s = adjtimex(&t) < 0 ? 0 : t.tai;
	for (unsigned i = 0; i < N_FIXED; i++)
		(void)sample(&c->fixed[i], i, -1, c->tai_s);
	for (int32_t i = 0; i < KBP_PHC_MAX; i++)
		sample_phc(c, i);
	pthread_mutex_unlock(&c->lock);
}

int kbp_converter_add_phc(struct kbp_converter *c, int32_t phc)
{
	struct kbp_series s;
	int fd, rc;

	if (phc < 0 || phc >= KBP_PHC_MAX)
		return -EINVAL;
	if (c->phc_fd[phc] >= 0)
		return 0;
	fd = kbp_phc_open(phc);
	if (fd < 0)
		return fd;
	rc = c->phc[phc].point ? 0 : kbp_series_init(&s, c->samples, c->holdover_ppb, false);
	if (rc) {
		kbp_phc_close(fd);
		return rc;
	}
	pthread_mutex_lock(&c->lock);
	if (!c->phc[phc].point)
		c->phc[phc] = s;
	c->phc_fd[phc] = fd;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* ---------------------------------------------------------------- open, close */

static int fill(struct kbp_converter *c, const struct kbp_converter_opts *o, struct kbp_error *err)
{
	int rc;

	for (unsigned i = 0; i < N_FIXED; i++)
		if (kbp_series_init(&c->fixed[i], c->samples, c->holdover_ppb, i == TSC))
			return kbp_fail(err, -ENOMEM, "take samples of the clocks", "out of memory");
	for (uint32_t i = 0; i < o->n_phc; i++) {
		rc = kbp_converter_add_phc(c, o->phc[i]);
		if (rc)
			return kbp_fail(err, rc, "take samples of the clocks", "/dev/ptp%d: %s",
					o->phc[i], strerror(-rc));
	}
	return 0;
}

int kbp_converter_open(const struct kbp_converter_opts *opts, struct kbp_converter **conv,
		       struct kbp_error *err)
{
	struct timespec pause = { 0, FIRST_MS * 1000000L };
	struct kbp_converter_opts o;
	struct kbp_converter *c;
	int rc;

	*conv = NULL;
	rc = kbp_opts_read(&o, sizeof(o), opts, "take samples of the clocks", err);
	if (rc)
		return rc;
	o.samples = o.samples ? o.samples : SAMPLES;
	o.holdover_ppb = o.holdover_ppb ? o.holdover_ppb : HOLDOVER_PPB;
	if (o.samples < 4 || o.samples > 1u << 24 || o.holdover_ppb > 1000000000u ||
	    (o.n_phc && !o.phc))
		return kbp_fail(err, -EINVAL, "take samples of the clocks",
				"%u samples, holdover of %u ppb: 4 to 16777216 samples and up to "
				"1000000000 ppb are possible",
				o.samples, o.holdover_ppb);
	c = calloc(1, sizeof(*c));
	if (!c)
		return kbp_fail(err, -ENOMEM, "take samples of the clocks", "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->samples = o.samples;
	c->holdover_ppb = o.holdover_ppb;
	for (unsigned i = 0; i < KBP_PHC_MAX; i++)
		c->phc_fd[i] = -1;
	rc = fill(c, &o, err);
	if (rc) {
		kbp_converter_close(c);
		return rc;
	}
	kbp_converter_sample(c);
	nanosleep(&pause, NULL);
	kbp_converter_sample(c);
	*conv = c;
	return 0;
}

void kbp_converter_close(struct kbp_converter *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < N_FIXED; i++)
		kbp_series_free(&c->fixed[i]);
	for (unsigned i = 0; i < KBP_PHC_MAX; i++) {
		kbp_series_free(&c->phc[i]);
		kbp_phc_close(c->phc_fd[i]);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---------------------------------------------------------------- converting */

/* NULL: there is no such clock, or it is raw itself (*raw). */
static const struct kbp_series *series_of(const struct kbp_converter *c, enum kbp_scale scale,
					  int32_t phc, bool *raw)
{
	*raw = scale == KBP_SCALE_RAW;
	switch (scale) {
	case KBP_SCALE_TSC:
		return &c->fixed[TSC];
	case KBP_SCALE_MONOTONIC:
		return &c->fixed[MONOTONIC];
	case KBP_SCALE_UTC:
		return &c->fixed[UTC];
	case KBP_SCALE_TAI:
		return &c->fixed[TAI];
	case KBP_SCALE_PHC:
		return phc >= 0 && phc < KBP_PHC_MAX && c->phc[phc].n ? &c->phc[phc] : NULL;
	default:
		return NULL;
	}
}

/* Between UTC and TAI no clock is needed: the table, and after its end the kernel, if somebody told it. */
static int by_leap_seconds(const struct kbp_converter *c, bool to_tai, uint64_t value,
			   struct kbp_moment *m)
{
	int rc = to_tai ? kbp_utc_to_tai(value, m) : kbp_tai_to_utc(value, m);
	uint64_t shift = (uint64_t)(unsigned)c->tai_s * NS_PER_S;

	if (!rc && (m->flags & KBP_MOMENT_EXPIRED) && c->tai_s > 0) {
		m->value = to_tai ? value + shift : value - shift;
		m->flags &= ~KBP_MOMENT_EXPIRED;
	}
	return rc;
}

static int convert_locked(const struct kbp_converter *c, enum kbp_scale from, enum kbp_scale to,
			  int32_t phc, uint64_t value, struct kbp_moment *m)
{
	const struct kbp_series *a, *b;
	struct kbp_moment raw = { value, 0, 0 }, out = { 0 };
	bool from_raw, to_raw;
	int rc;

	a = series_of(c, from, phc, &from_raw);
	b = series_of(c, to, phc, &to_raw);
	if ((!a && !from_raw) || (!b && !to_raw))
		return -ENODEV;
	if (from == to) {
		*m = raw;
		return 0;
	}
	if ((from == KBP_SCALE_UTC && to == KBP_SCALE_TAI) ||
	    (from == KBP_SCALE_TAI && to == KBP_SCALE_UTC))
		return by_leap_seconds(c, to == KBP_SCALE_TAI, value, m);
	rc = from_raw ? 0 : kbp_series_to_raw(a, value, &raw);
	if (rc)
		return rc;
	out = raw;
	if (!to_raw) {
		rc = kbp_series_at_raw(b, raw.value, &out);
		if (rc)
			return rc;
		out.error_ns += raw.error_ns;
		out.flags |= raw.flags;
	}
	/* TAI by a table that may lack the last leap second */
	if ((from == KBP_SCALE_TAI || to == KBP_SCALE_TAI) && !c->tai_s &&
	    (int64_t)(kbp_clock_ns(CLOCK_REALTIME) / NS_PER_S) >= kbp_leap_table()->expires_s)
		out.flags |= KBP_MOMENT_EXPIRED;
	*m = out;
	return 0;
}

int kbp_convert(struct kbp_converter *conv, enum kbp_scale from, enum kbp_scale to, int32_t phc,
		uint64_t value, struct kbp_moment *m)
{
	struct kbp_moment out;
	int rc;

	pthread_mutex_lock(&conv->lock);
	rc = convert_locked(conv, from, to, phc, value, &out);
	pthread_mutex_unlock(&conv->lock);
	if (!rc)
		*m = out;
	return rc;
}
