/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stamp.c - the account of a clock: what it says of a time, before and after more is known, and what it
 * publishes to a queue. The clock is the test's own.
 */
#include <errno.h>

#include "../lib/test.h"

#include "internal.h"

#define S 1000000000ull
#define MS 1000000ull
#define START (1000 * S)

static struct kbp_clock *clk;
static uint64_t offset_of_raw; /* of the clock from CLOCK_MONOTONIC_RAW */

/* A queue that only watches. */
static const struct kbp_backend backend;
static struct kbp_port port = { .b = &backend };
static struct kbp_queue q;
static struct kbp_queue_cold cold = { .q = &q };
static struct kbp_queue q = { .port = &port, .priv = &cold, .sync_shift = KBP_SYNC_NEVER };

static void info(const struct kbp_queue *queue, struct kbp_queue_info *i)
{
	(void)queue;
	i->ts_source = KBP_TS_NIC;
	i->ts_source_tx = KBP_TS_KERNEL;
	i->ts_epoch_tx = KBP_EPOCH_UTC;
	i->ts_epoch = KBP_EPOCH_TAI;
	i->ts_proof = KBP_PROVEN;
	i->ts_resolution_ps = 250;
}

static const struct kbp_backend backend = { .queue_info = info };

static int begin_with(uint64_t limit_ns, uint32_t holdover_ppb, uint32_t looks)
{
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;

	o.epoch = KBP_EPOCH_TAI;
	o.limit_ns = limit_ns;
	o.holdover_ppb = holdover_ppb;
	o.looks = looks;
	offset_of_raw = 0;
	return kbp_clock_open(&o, &clk, NULL);
}

/* 1000 ns, 100 ns a second. */
static int begin(void **state)
{
	(void)state;
	return begin_with(1000, 100, 0);
}

static int end(void **state)
{
	(void)state;
	kbp_clock_close(clk);
	clk = NULL;
	return cold.clock != NULL;
}

static struct kbp_clock_look look_at(uint64_t at_ns, enum kbp_sync sync, enum kbp_clock_cause cause)
{
	struct kbp_clock_look l = { .at_ns = at_ns,
				    .raw_ns = at_ns - offset_of_raw,
				    .sync = sync,
				    .cause = cause,
				    .bound_ns = KBP_BOUND_UNKNOWN };

	return l;
}

static void in_sync(uint64_t at_ns, uint64_t offset_ns, uint64_t bound_ns)
{
	struct kbp_clock_look l = look_at(at_ns, KBP_SYNC_IN, KBP_CLOCK_FINE);

	l.offset_ns = offset_ns;
	l.bound_ns = bound_ns;
	assert_int_equal(kbp_clock_add(clk, &l), 0);
}

static void not_in(uint64_t at_ns, enum kbp_sync sync, enum kbp_clock_cause cause, uint64_t since_ns)
{
	struct kbp_clock_look l = look_at(at_ns, sync, cause);

	l.since_ns = since_ns;
	assert_int_equal(kbp_clock_add(clk, &l), 0);
}

static struct kbp_claim judge(uint64_t ns)
{
	struct kbp_claim c;

	kbp_clock_judge(clk, ns, &c);
	return c;
}

#define assert_claim(ns, s, why)                                              \
	do {                                                                  \
		struct kbp_claim claim_ = judge(ns);                          \
                                                                              \
		assert_int_equal(claim_.sync, s);                             \
		assert_string_equal(kbp_clock_cause_name(claim_.cause), why); \
	} while (0)

static unsigned published(uint64_t ns)
{
	return ((unsigned)kbp_stamp_flags(&q, ns) & KBP_FRAME_SYNC_MASK) >> KBP_FRAME_SYNC_SHIFT;
}

static void of_a_clock_that_nobody_looked_at_all_is_unknown(void **state)
{
	struct kbp_claim c = judge(START);

	(void)state;
	assert_claim(START, KBP_SYNC_UNKNOWN, "unwatched");
	assert_int_equal(c.bound_ns, KBP_BOUND_UNKNOWN);
	assert_int_equal(c.verified_ns, 0);
	assert_false(c.settled);
	in_sync(START, 0, 0);
	assert_claim(START - 1, KBP_SYNC_UNKNOWN, "unwatched");
	assert_claim(START, KBP_SYNC_IN, "fine");
}

static void the_bound_grows_with_age_and_past_the_limit_the_state_is_unknown(void **state)
{
	(void)state;
	in_sync(START, 400, 700);
	assert_int_equal(judge(START).bound_ns, 700);
	assert_int_equal(judge(START + 2 * S).bound_ns, 900);
	assert_int_equal(judge(START + 2 * S).verified_ns, START);
	assert_false(judge(START + 2 * S).settled);
	assert_claim(START + 6 * S, KBP_SYNC_IN, "fine"); /* 400 + 6 * 100 */
	assert_claim(START + 6 * S + 10 * MS, KBP_SYNC_UNKNOWN, "expired");
	assert_int_equal(judge(START + 60 * S).bound_ns, 6700); /* which is known all the same */
}

static void what_is_found_later_does_not_shrink_the_doubt_before(void **state)
{
	(void)state;
	in_sync(START, 900, 900);
	assert_claim(START + 5 * S, KBP_SYNC_UNKNOWN, "expired");
	in_sync(START + 6 * S, 100, 200); /* what steers it may have moved it by any amount */
	assert_claim(START + 5 * S, KBP_SYNC_UNKNOWN, "expired");
	assert_int_equal(judge(START + 5 * S).bound_ns, 1400);
	assert_true(judge(START + 5 * S).settled);
	assert_int_equal(judge(START + S / 2).bound_ns, 950);
}

static void an_offset_beyond_the_limit_is_not_in_sync(void **state)
{
	(void)state;
	in_sync(START, 1001, 2000);
	assert_claim(START, KBP_SYNC_NOT, "offset");
	assert_int_equal(judge(START).bound_ns, 2000);
	assert_int_equal(judge(START).verified_ns, 0);
}

static void a_stamp_before_a_loss_was_noticed_is_judged_again(void **state)
{
	(void)state;
	in_sync(START, 100, 100);
	assert_claim(START + 2 * S, KBP_SYNC_IN, "fine");
	not_in(START + 3 * S, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, START + S);
	assert_claim(START + S - 1, KBP_SYNC_IN, "fine");
	assert_claim(START + 2 * S, KBP_SYNC_NOT, "master_lost");
	assert_true(judge(START + 2 * S).settled);
	assert_int_equal(judge(START + 2 * S).bound_ns, 300); /* holdover: it did not jump */
	assert_claim(START + 3 * S, KBP_SYNC_NOT, "master_lost");
	assert_int_equal(judge(START + 13 * S).bound_ns, 1400);
	assert_int_equal(judge(START + 13 * S).verified_ns, START);
}

static void a_loss_of_unknown_beginning_puts_all_since_the_last_look_in_doubt(void **state)
{
	(void)state;
	in_sync(START, 100, 100);
	not_in(START + 3 * S, KBP_SYNC_NOT, KBP_CLOCK_DAEMON_GONE, 0);
	assert_claim(START, KBP_SYNC_UNKNOWN, "daemon_gone");
	assert_claim(START + 3 * S, KBP_SYNC_NOT, "daemon_gone");
}

static void a_clock_that_runs_away_faster_than_holdover_says_has_the_worse_bound(void **state)
{
	(void)state;
	in_sync(START, 100, 100);
	in_sync(START + S, 100000, 100000);
	assert_claim(START + S / 2, KBP_SYNC_UNKNOWN, "offset");
	assert_in_range(judge(START + S / 2).bound_ns, 100000, 100100);
}

static void a_clock_that_was_set_forward_is_unknown_in_between(void **state)
{
	(void)state;
	in_sync(START, 100, 100);
	in_sync(START + S, 100, 100);
	offset_of_raw = 10 * S;
	in_sync(START + 12 * S, 100, 100); /* a second later, by CLOCK_MONOTONIC_RAW */
	assert_claim(START + S / 2, KBP_SYNC_IN, "fine");
	assert_claim(START + S + S / 2, KBP_SYNC_UNKNOWN, "stepped"); /* before it was set, or never */
	assert_claim(START + 6 * S, KBP_SYNC_UNKNOWN, "stepped");     /* there was no such time */
	assert_claim(START + 11 * S + S / 2, KBP_SYNC_UNKNOWN, "stepped");
	assert_int_equal(judge(START + 6 * S).bound_ns, KBP_BOUND_UNKNOWN);
	assert_claim(START + 12 * S, KBP_SYNC_IN, "fine");
}

static void a_time_that_came_twice_is_ambiguous(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= 10; i++)
		in_sync(START + i * S, 100, 100);
	offset_of_raw = (uint64_t)0 - 5 * S;
	for (unsigned i = 0; i <= 10; i++)
		in_sync(START + 6 * S + i * S, 100, 100); /* 11 s after the first, by the raw clock */
	assert_claim(START + 4 * S, KBP_SYNC_IN, "fine");
	assert_claim(START + 7 * S, KBP_SYNC_UNKNOWN, "ambiguous");
	assert_claim(START + 12 * S, KBP_SYNC_IN, "fine");
}

/* A daemon goes on telling what it measured before somebody set the clock. */
static void a_measurement_from_before_a_step_says_nothing_after_it(void **state)
{
	struct kbp_clock_look l;

	(void)state;
	for (unsigned i = 0; i <= 10; i++)
		in_sync(START + i * S, 100, 100);
	for (unsigned i = 1; i < 4; i++) {
		offset_of_raw = (uint64_t)0 - 300 * S;
		l = look_at(START + (10 + i) * S - 300 * S, KBP_SYNC_IN, KBP_CLOCK_FINE);
		l.offset_ns = l.bound_ns = 100;
		l.verified_ns = START + 10 * S; /* as it was told: later than the clock is now */
		assert_int_equal(kbp_clock_add(clk, &l), 0);
		assert_claim(l.at_ns, KBP_SYNC_UNKNOWN, "stepped");
		assert_int_equal(judge(l.at_ns).bound_ns, KBP_BOUND_UNKNOWN);
	}
	l = look_at(START + 14 * S - 300 * S, KBP_SYNC_IN, KBP_CLOCK_FINE);
	l.offset_ns = l.bound_ns = 100;
	l.verified_ns = l.at_ns - S / 2; /* measured anew */
	assert_int_equal(kbp_clock_add(clk, &l), 0);
	assert_claim(l.at_ns, KBP_SYNC_IN, "fine");
	assert_int_equal(judge(l.at_ns).bound_ns, 150);
	/* forward, and the daemon's time of it is told by the raw clock only */
	offset_of_raw += 2 * S;
	l = look_at(START + 17 * S - 300 * S, KBP_SYNC_IN, KBP_CLOCK_FINE);
	l.offset_ns = l.bound_ns = 100;
	l.verified_raw_ns = l.raw_ns - S - S / 2;
	assert_int_equal(kbp_clock_add(clk, &l), 0);
	assert_claim(l.at_ns, KBP_SYNC_UNKNOWN, "stepped");
}

/* Evidence of a second ago at every look, as ptp4l's is. */
static void in_sync_as_of(uint64_t at_ns, uint64_t verified_ns, uint64_t offset_ns)
{
	struct kbp_clock_look l = look_at(at_ns, KBP_SYNC_IN, KBP_CLOCK_FINE);

	l.verified_ns = verified_ns;
	l.offset_ns = l.bound_ns = offset_ns;
	assert_int_equal(kbp_clock_add(clk, &l), 0);
}

static void an_offset_puts_all_since_the_measurement_before_in_doubt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		in_sync_as_of(START + i * 100 * MS, START, 100);
	assert_claim(START + 500 * MS, KBP_SYNC_IN, "fine");
	assert_false(judge(START + 500 * MS).settled);
	in_sync_as_of(START + S + 100 * MS, START + S, 90000);
	assert_claim(START, KBP_SYNC_IN, "fine");
	assert_claim(START + 500 * MS, KBP_SYNC_UNKNOWN, "offset");
	assert_true(judge(START + 500 * MS).settled);
	assert_int_equal(judge(START + 500 * MS).bound_ns, 90050);
	assert_claim(START + S + 100 * MS, KBP_SYNC_NOT, "offset");
}

static void looks_that_expired_settle_nothing_and_hide_no_loss(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++)
		in_sync_as_of(START + i * S, START, 100); /* past the limit after 9 s */
	assert_claim(START + 8 * S, KBP_SYNC_IN, "fine");
	assert_claim(START + 10 * S, KBP_SYNC_UNKNOWN, "expired");
	assert_false(judge(START + 8 * S).settled);
	not_in(START + 13 * S, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, START + 2 * S);
	assert_claim(START + 8 * S, KBP_SYNC_NOT, "master_lost");
	assert_true(judge(START + 8 * S).settled);
	assert_in_range(judge(START + 8 * S).verified_ns, START, START + 2 * S);
	assert_claim(START + S, KBP_SYNC_IN, "fine");
}

static void in_holdover_the_bound_follows_what_the_clock_is_seen_to_do(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		in_sync(START + i * 100 * MS, 100, 100);
	not_in(START + 5 * S, KBP_SYNC_NOT, KBP_CLOCK_DAEMON_GONE, START + 5 * S);
	assert_in_range(judge(START + 5 * S).bound_ns, 100, 120);
	for (unsigned i = 1; i <= 10; i++) { /* somebody slews it by 500 ppm */
		offset_of_raw += 50000;
		not_in(START + 5 * S + i * (100 * MS + 50000), KBP_SYNC_NOT, KBP_CLOCK_DAEMON_GONE,
		       START + 5 * S);
	}
	assert_in_range(judge(START + 6 * S + 500000).bound_ns, 500000, 501000);
}

static void a_time_that_came_twice_stays_ambiguous_when_its_looks_are_forgotten(void **state)
{
	(void)state;
	end(NULL);
	assert_int_equal(begin_with(1000, 100, 16), 0);
	for (unsigned i = 0; i < 200; i++)
		in_sync(START + i * S, 100, 100);
	offset_of_raw = (uint64_t)0 - 150 * S;
	for (unsigned i = 0; i < 100; i++)
		in_sync(START + 50 * S + i * S, 100, 100);
	assert_claim(START + 145 * S, KBP_SYNC_UNKNOWN, "ambiguous");
}

static void what_was_forgotten_is_unknown(void **state)
{
	(void)state;
	end(NULL);
	assert_int_equal(begin_with(1000, 100, 16), 0);
	for (unsigned i = 0; i < 40; i++)
		in_sync(START + i * S, i, i);
	assert_claim(START + 10 * S, KBP_SYNC_UNKNOWN, "unwatched");
	assert_claim(START + 30 * S, KBP_SYNC_IN, "fine");
	assert_int_equal(judge(START + 30 * S).bound_ns, 30);
}

static void looks_go_forward(void **state)
{
	struct kbp_clock_look l = look_at(START, KBP_SYNC_IN, KBP_CLOCK_FINE);

	(void)state;
	in_sync(START, 0, 0);
	assert_int_equal(kbp_clock_add(clk, &l), -EINVAL);
}

/* ---------------------------------------------------------------- a queue that watches */

static void what_is_published_is_in_sync_in_a_window_and_nowhere_else(void **state)
{
	(void)state;
	assert_int_equal(kbp_queue_watch(&q, clk, NULL), 0);
	assert_int_equal(published(START), KBP_SYNC_UNKNOWN);
	in_sync(START, 100, 100);
	assert_int_equal(published(START - 1), KBP_SYNC_UNKNOWN); /* stamped before anybody looked */
	assert_int_equal(published(START), KBP_SYNC_IN);
	assert_int_equal(published(START + KBP_SYNC_SPAN_NS - 1), KBP_SYNC_IN);
	assert_int_equal(published(START + KBP_SYNC_SPAN_NS), KBP_SYNC_UNKNOWN); /* not renewed */
	in_sync(START + S, 100, 100);
	assert_int_equal(published(START + S - KBP_SYNC_SPAN_NS / 4), KBP_SYNC_IN);
	assert_int_equal(published(START + S + KBP_SYNC_SPAN_NS / 2), KBP_SYNC_IN);
	assert_int_equal(published(0), KBP_SYNC_UNKNOWN);
	assert_int_equal(published(UINT64_MAX >> 1), KBP_SYNC_UNKNOWN);
	not_in(START + S + MS, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, 0);
	assert_int_equal(published(START + S), KBP_SYNC_UNKNOWN);
	assert_int_equal(kbp_queue_watch(&q, NULL, NULL), 0);
}

static void the_window_ends_before_the_limit_could_be_reached(void **state)
{
	(void)state;
	assert_int_equal(kbp_queue_watch(&q, clk, NULL), 0);
	in_sync(START + 10 * S, 1000, 1000);
	in_sync(START + 20 * S, 850,
		850); /* 1.5 s later it may be 1000. After a gap: a run of its own */
	assert_int_equal(published(START + 20 * S),
			 KBP_SYNC_UNKNOWN); /* set by so little that it hid? */
	assert_int_equal(published(START + 20 * S + 20 * MS), KBP_SYNC_IN);
	assert_int_equal(published(START + 21 * S + 200 * MS), KBP_SYNC_UNKNOWN);
	in_sync(START + 21 * S, 940, 940); /* 0.6 s */
	assert_int_equal(published(START + 21 * S + 590 * MS), KBP_SYNC_IN);
	assert_int_equal(published(START + 21 * S + 610 * MS), KBP_SYNC_UNKNOWN);
	in_sync(START + 21 * S + 100 * MS, 995, 995); /* the window reaches back instead */
	assert_int_equal(published(START + 21 * S), KBP_SYNC_IN);
	assert_int_equal(published(START + 21 * S + 160 * MS), KBP_SYNC_UNKNOWN);
	assert_int_equal(kbp_queue_watch(&q, NULL, NULL), 0);
}

/* Whatever is published, the account never says less of it: seeds, steps, losses. */
static void no_stamp_reads_in_sync_that_its_account_does_not_know_to_be(void **state)
{
	uint64_t at = START, seed = 1, seen = 0;

	(void)state;
	assert_int_equal(kbp_queue_watch(&q, clk, NULL), 0);
	for (unsigned i = 0; i < 3000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		at += seed >> 33 & 0x1fffffff; /* up to half a second */
		if (!(seed >> 20 & 63)) {      /* set, by up to 8 s, either way */
			offset_of_raw += (seed >> 5 & 0x1ffffffff) - 4 * S;
			at += (seed >> 5 & 0x1ffffffff) - 4 * S;
		}
		if (seed >> 16 & 7)
			in_sync(at, seed >> 40 & 1023, 1000);
		else
			not_in(at, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, 0);
		for (uint64_t ns = at - 3 * S; ns < at + 3 * S; ns += 77777777) {
			if (published(ns) != KBP_SYNC_IN)
				continue;
			seen++;
			assert_int_equal(judge(ns).sync, KBP_SYNC_IN);
		}
	}
	assert_true(seen > 1000);
	assert_int_equal(kbp_queue_watch(&q, NULL, NULL), 0);
}

static void a_claim_says_source_proof_and_the_account(void **state)
{
	struct kbp_completion sent = { .ts_ns = START, .flags = KBP_FRAME_TS };
	struct kbp_stamp s = { START, 0, KBP_FRAME_TS };
	struct kbp_claim c;

	(void)state;
	kbp_stamp_claim(&q, &s, &c);
	assert_int_equal(c.sync, KBP_SYNC_UNKNOWN); /* no clock is watched */
	assert_int_equal(c.bound_ns, KBP_BOUND_UNKNOWN);
	assert_int_equal(kbp_queue_watch(&q, clk, NULL), 0);
	in_sync(START, 100, 300);
	kbp_stamp_claim(&q, &s, &c);
	assert_int_equal(c.source, KBP_TS_NIC);
	assert_int_equal(c.proof, KBP_PROVEN);
	assert_int_equal(c.epoch, KBP_EPOCH_TAI);
	assert_int_equal(c.resolution_ps, 250);
	assert_int_equal(c.sync, KBP_SYNC_IN);
	assert_int_equal(c.bound_ns, 300);
	s.flags |= KBP_SYNC_NOT << KBP_FRAME_DEVICE_SHIFT; /* the device itself says no */
	kbp_stamp_claim(&q, &s, &c);
	assert_int_equal(c.sync, KBP_SYNC_NOT);
	s.flags = 0;
	kbp_stamp_claim(&q, &s, &c);
	assert_int_equal(c.source, KBP_TS_NONE);
	kbp_completion_claim(&q, &sent, &c); /* of another clock than received frames */
	assert_int_equal(c.source, KBP_TS_KERNEL);
	assert_int_equal(c.epoch, KBP_EPOCH_UTC);
	assert_int_equal(c.sync, KBP_SYNC_UNKNOWN);
	kbp_clock_close(clk);
	s.flags = KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_DEVICE_SHIFT;
	kbp_stamp_claim(&q, &s, &c); /* its clock is gone: nobody knows, whatever the device says */
	assert_int_equal(c.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(kbp_queue_watch(&q, NULL, NULL), 0);
	kbp_stamp_claim(&q, &s, &c);
	assert_int_equal(c.sync, KBP_SYNC_IN);
	assert_null(cold.clock);
	assert_int_equal(published(START), KBP_SYNC_UNKNOWN);
	assert_int_equal(begin(NULL), 0);
}

static void a_queue_does_not_watch_another_clock_than_its_own(void **state)
{
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;
	struct kbp_clock *other;

	(void)state;
	o.epoch = KBP_EPOCH_UTC;
	assert_int_equal(kbp_clock_open(&o, &other, NULL), 0);
	assert_int_equal(kbp_queue_watch(&q, other, NULL), -EINVAL);
	kbp_clock_close(other);
	o.epoch = KBP_EPOCH_MONOTONIC;
	assert_int_equal(kbp_clock_open(&o, &other, NULL), -EINVAL);
	assert_null(other);
}

/* ---------------------------------------------------------------- proof of a source */

static void a_source_is_proven_by_stamps_that_are_not_zero_and_advance(void **state)
{
	struct kbp_stamp_proof p = { 0 };

	(void)state;
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 0), KBP_BOUND);
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 5000), KBP_BOUND);
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 5000), KBP_BOUND);
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 5000 + 3600 * S), KBP_BOUND);
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 6000), KBP_BOUND); /* it was set */
	assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_PHC, 7000), KBP_PROVEN);
	assert_int_equal(kbp_stamp_proof(&p), KBP_PROVEN);
}

static void a_stamp_of_utc_far_from_the_present_proves_nothing(void **state)
{
	struct kbp_stamp_proof p = { 0 };

	(void)state;
	for (uint64_t ns = S; ns < 10 * S; ns += S)
		assert_int_equal(kbp_stamp_prove(&p, KBP_EPOCH_UTC, ns), KBP_BOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(of_a_clock_that_nobody_looked_at_all_is_unknown),
		T(the_bound_grows_with_age_and_past_the_limit_the_state_is_unknown),
		T(what_is_found_later_does_not_shrink_the_doubt_before),
		T(an_offset_beyond_the_limit_is_not_in_sync),
		T(a_stamp_before_a_loss_was_noticed_is_judged_again),
		T(a_loss_of_unknown_beginning_puts_all_since_the_last_look_in_doubt),
		T(a_clock_that_runs_away_faster_than_holdover_says_has_the_worse_bound),
		T(a_clock_that_was_set_forward_is_unknown_in_between),
		T(a_time_that_came_twice_is_ambiguous),
		T(a_measurement_from_before_a_step_says_nothing_after_it),
		T(an_offset_puts_all_since_the_measurement_before_in_doubt),
		T(looks_that_expired_settle_nothing_and_hide_no_loss),
		T(in_holdover_the_bound_follows_what_the_clock_is_seen_to_do),
		T(a_time_that_came_twice_stays_ambiguous_when_its_looks_are_forgotten),
		T(what_was_forgotten_is_unknown),
		T(looks_go_forward),
		T(what_is_published_is_in_sync_in_a_window_and_nowhere_else),
		T(the_window_ends_before_the_limit_could_be_reached),
		T(no_stamp_reads_in_sync_that_its_account_does_not_know_to_be),
		T(a_claim_says_source_proof_and_the_account),
		T(a_queue_does_not_watch_another_clock_than_its_own),
		T(a_source_is_proven_by_stamps_that_are_not_zero_and_advance),
		T(a_stamp_of_utc_far_from_the_present_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
