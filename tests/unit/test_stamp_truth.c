/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stamp_truth.c - the account of a clock against a clock whose true error the test knows. A daemon measures it
 * now and then, loses its master, finds that out late; somebody sets the clock, or slews it. Whatever is settled and
 * says "in sync" must be true, and every bound must hold. KBP_SEEDS=1-1000 for more than the usual runs.
 */
#include <math.h>
#include <stdlib.h>

#include "../lib/test.h"

#include "internal.h"

#define S 1000000000ull
#define MS 1000000ull
#define LIMIT 1000.0
#define HOLDOVER 200.0 /* ns a second */
#define STAMPS 9000u
#define NOT_TOLD 2.0 /* ns: what is rounded */

struct world {
	struct kbp_clock *clock;
	uint64_t seed;
	double error, drift; /* of the clock, ns; ns per ms */
	bool followed;
	unsigned lost_ms,
		blind_ms; /* until it is followed again; until the daemon knows that it is not */
	/* the latest measurement */
	double measured;
	uint64_t measured_clock, measured_raw;
	bool set; /* since then */
};

struct stamp {
	uint64_t ns;
	double error;
	bool in_sync;
};

static double chance(struct world *w)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(w->seed >> 11) / 9007199254740992.0;
}

static uint64_t clock_at(const struct world *w, uint64_t t)
{
	return t + (uint64_t)(int64_t)(w->error < 0 ? w->error - 0.5 : w->error + 0.5);
}

/* A millisecond of the clock's life. */
static void goes_on(struct world *w, unsigned ms, bool sets, bool slews)
{
	if (!(ms % 500))
		w->drift = (chance(w) * 2 - 1) * (HOLDOVER / 1000 - 0.01);
	w->error += w->drift;
	if (w->followed && fabs(w->error) > (slews ? 300 : 900))
		w->error -= copysign(slews ? 100 : 0.4,
				     w->error); /* 100 ppm are not what holdover allows */
	if (w->followed && chance(w) < 1e-4) {
		w->followed = false;
		w->lost_ms = 2000 + (unsigned)(chance(w) * 6000);
		w->blind_ms = (unsigned)(chance(w) * 1500);
	}
	if (sets && !w->set && chance(w) < 1e-4) { /* twice between two looks nobody could see */
		w->error += (chance(w) * 2 - 1) * 2e9;
		w->set = true;
		w->followed = false;
		w->lost_ms = 1500;
		w->blind_ms = 700; /* so long it goes on telling what it measured before */
	}
	if (w->followed)
		return;
	if (w->blind_ms)
		w->blind_ms--;
	if (--w->lost_ms)
		return;
	if (fabs(w->error) > 1e6)
		w->error = (chance(w) * 2 - 1) * 300; /* it is set right */
	w->followed = true;
}

static void measures(struct world *w, uint64_t t, uint64_t raw)
{
	w->measured = fabs(w->error);
	w->measured_clock = clock_at(w, t);
	w->measured_raw = raw;
	w->set = false;
}

static void looks(struct world *w, uint64_t t, uint64_t raw)
{
	struct kbp_clock_look l = { .at_ns = clock_at(w, t),
				    .raw_ns = raw,
				    .bound_ns = KBP_BOUND_UNKNOWN };

	if (w->followed || w->blind_ms) {
		l.sync = KBP_SYNC_IN;
		l.offset_ns = l.bound_ns = (uint64_t)w->measured + 1;
		l.verified_ns = w->measured_clock;
		l.verified_raw_ns = w->measured_raw;
	} else {
		l.sync = KBP_SYNC_NOT;
		l.cause = KBP_CLOCK_MASTER_LOST;
		l.since_ns = w->set ? 0 : w->measured_clock;
	}
	assert_int_equal(kbp_clock_add(w->clock, &l), 0);
}

static void life(uint64_t seed, bool sets, bool slews)
{
	static struct stamp stamp[STAMPS];
	struct world w = { .seed = seed, .followed = true };
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;
	uint64_t t = 2000 * S, measure_at = t, look_at = t, in_sync = 0;
	unsigned n = 0;

	o.epoch = KBP_EPOCH_TAI;
	assert_int_equal(kbp_clock_open(&o, &w.clock, NULL), 0);
	/* some looks more than stamps: the clock may have been set right before the last one */
	for (unsigned ms = 0; ms < 7 * STAMPS + 3000; ms++, t += MS) {
		uint64_t raw = t + t / 50000; /* 20 ppm */
		bool was = w.followed;

		goes_on(&w, ms, sets, slews);
		if (w.followed && (!was || t >= measure_at)) {
			measures(&w, t, raw);
			measure_at = t + 125 * MS + (uint64_t)(chance(&w) * 900) * MS;
		}
		if (t >= look_at) {
			looks(&w, t, raw);
			look_at = t + 50 * MS + (uint64_t)(chance(&w) * 100) * MS;
		}
		if (!(ms % 7) && n < STAMPS)
			stamp[n++] = (struct stamp){ clock_at(&w, t), fabs(w.error),
						     w.followed && fabs(w.error) <= LIMIT };
	}
	for (unsigned i = 0; i < n; i++) {
		struct kbp_claim c;

		kbp_clock_judge(w.clock, stamp[i].ns, &c);
		if (c.settled && c.sync == KBP_SYNC_IN && !stamp[i].in_sync)
			fail_msg("seed %llu: stamp %u reads in sync, and was %.0f ns off, or followed nothing",
				 (unsigned long long)seed, i, stamp[i].error);
		if (c.bound_ns != KBP_BOUND_UNKNOWN && (double)c.bound_ns + NOT_TOLD < stamp[i].error)
			fail_msg("seed %llu: stamp %u was %.0f ns off, its bound says %llu",
				 (unsigned long long)seed, i, stamp[i].error,
				 (unsigned long long)c.bound_ns);
		in_sync += c.settled && c.sync == KBP_SYNC_IN;
	}
	kbp_clock_close(w.clock);
	assert_true(in_sync > n / 20); /* who always says "unknown" is never wrong */
}

static void seeds(uint64_t *first, uint64_t *last)
{
	const char *text = getenv("KBP_SEEDS");
	char *end;

	*first = 1;
	*last = 5;
	if (!text)
		return;
	*first = strtoull(text, &end, 10);
	*last = *end == '-' ? strtoull(end + 1, NULL, 10) : *first;
}

static void lives(bool sets, bool slews)
{
	uint64_t first, last;

	seeds(&first, &last);
	for (uint64_t seed = first; seed <= last; seed++)
		life(seed, sets, slews);
}

static void what_an_account_says_is_true_of_a_clock_that_loses_its_master(void **state)
{
	(void)state;
	lives(false, false);
}

static void what_an_account_says_is_true_of_a_clock_that_a_servo_slews(void **state)
{
	(void)state;
	lives(false, true);
}

static void what_an_account_says_is_true_of_a_clock_that_is_set(void **state)
{
	(void)state;
	lives(true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_account_says_is_true_of_a_clock_that_loses_its_master),
		cmocka_unit_test(what_an_account_says_is_true_of_a_clock_that_a_servo_slews),
		cmocka_unit_test(what_an_account_says_is_true_of_a_clock_that_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
