/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ef_vi_rx.c - receiving by ef_vi: what is dropped and why, stamps, overflow and reset, fill levels. */
#include <pthread.h>
#include <time.h>

#include "rig.h"

/* ---------------------------------------------------------------- losses */

static void each_kind_of_damage_has_its_name(void **state)
{
	static const char *const words[] = { "nic=sfn8522", "nic=x3522" };

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(words); i++) {
		if (r.q)
			rig_close();
		rig_open(words[i], 0);
		rig_inject(7, 50, SOFTNIC_BAD_FCS);
		rig_inject(5, 50, SOFTNIC_BAD_CSUM);
		rig_inject(3, 50, 0);
		assert_int_equal(rig_drain(r.q), 3);
		assert_int_equal(rig_counter(r.q, "rx_discard_fcs"), 7);
		assert_int_equal(rig_counter(r.q, "rx_discard_checksum"), 5);
		assert_int_equal(rig_drops(r.q), 12);
	}
}

/* A ring of 512 takes 504: one less than its size, in steps of 8. */
static void a_stalled_consumer_loses_what_the_ring_does_not_take_and_no_more(void **state)
{
	(void)state;
	rig_open("nic=sfn8522", 0);
	rig_inject(2000, 50, 0);
	assert_int_equal(rig_drain(r.q), 504);
	assert_int_equal(rig_counter(r.q, "rx_no_descriptor"), 2000 - 504);
	assert_true(rig_counter_is(r.q, "rx_no_descriptor", KBP_COUNT_DROP, false));
	assert_int_equal(rig_drops(r.q), 2000 - 504);
	assert_int_equal(rig_counter(r.q, "rx_ring_fill_max"), 0); /* nobody looked while it was full */
	rig_inject(300, 50, 0);
	assert_int_equal(rig_drain(r.q), 300);
	assert_int_equal(rig_drops(r.q), 2000 - 504);
}

static void by_reference_the_interface_counts_what_found_no_superbuffer(void **state)
{
	(void)state;
	rig_open("nic=x3522", 0);
	softnic_fault("sim0", SOFTNIC_STARVE, 1);
	rig_inject(40, 50, 0);
	assert_int_equal(rig_drain(r.q), 0);
	softnic_fault("sim0", SOFTNIC_STARVE, 0);
	assert_int_equal(rig_counter(r.q, "rx_no_descriptor"), 40);
	assert_true(rig_counter_is(r.q, "rx_no_descriptor", KBP_COUNT_DROP, true));
	rig_inject(10, 50, 0);
	assert_int_equal(rig_drain(r.q), 10);
	assert_int_equal(rig_drops(r.q), 40);
}

static void a_chain_cut_off_for_want_of_buffers_is_a_named_drop(void **state)
{
	char why[64];

	(void)state;
	assert_int_equal(softnic_options("sim0", "mtu=9000", why, sizeof(why)), 0);
	rig_port("nic=sfn8522", KBP_PORT_STRICT | KBP_PORT_NO_MONITOR);
	r.q = rig_queue(KBP_QUEUE_RX | KBP_QUEUE_MULTI_BUFFER, 0, 16); /* so many buffers are posted */
	rig_flow(r.q, "10.77.0.1:5000");
	rig_inject(14, 50, 0);
	rig_inject(1, 8000, 0); /* five buffers, of which two are there */
	assert_int_equal(rig_drain(r.q), 14);
	assert_int_equal(rig_counter(r.q, "rx_truncated"), 1);
	assert_int_equal(rig_drops(r.q), 1);
	rig_inject(1, 8000, 0);
	assert_int_equal(rig_drain(r.q), 5); /* parts; none of the buffers was lost */
	rig_inject(8, 50, 0);
	assert_int_equal(rig_drain(r.q), 8);
}

/* ---------------------------------------------------------------- overflow and reset */

static void dies(enum softnic_fault fault, enum kbp_queue_state state)
{
	uint64_t before;

	rig_inject(3, 50, 0);
	assert_int_equal(rig_drain(r.q), 3);
	assert_int_equal(softnic_fault("sim0", fault, 1), 0);
	rig_inject(4, 50, 0);
	assert_int_equal(rig_drain(r.q), 0);
	assert_int_equal(kbp_queue_state(r.q), state);
	before = rig_counter(r.q, "rx_lost_unknown_events");
	ok(kbp_queue_reopen(r.q, &r.err));
	assert_int_equal(kbp_queue_state(r.q), KBP_QUEUE_UP);
	assert_int_equal(rig_counter(r.q, "rx_lost_unknown_events"), before + 1);
	rig_inject(600, 50, 0);
	assert_in_range(rig_drain(r.q), 504, 600);
}

static void overflow_and_reset_kill_the_queue_and_reopen_brings_it_back(void **state)
{
	static const char *const words[] = { "nic=sfn8522", "nic=x2522", "nic=x3522" };

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(words); i++) {
		if (r.q)
			rig_close();
		rig_open(words[i], 0);
		dies(SOFTNIC_OVERFLOW, KBP_QUEUE_OVERFLOWED);
		dies(SOFTNIC_RESET, KBP_QUEUE_RESET);
	}
}

/* ---------------------------------------------------------------- stamps */

struct stamps {
	unsigned n, no[4], sync[3];
	uint64_t last_ns;
	uint16_t last_frac;
};

static void stamp_count(struct stamps *s, struct kbp_stamp t)
{
	s->n++;
	if (t.flags & KBP_FRAME_TS) {
		s->sync[(t.flags & KBP_FRAME_SYNC_MASK) >> KBP_FRAME_SYNC_SHIFT]++;
		s->last_ns = t.ns;
		s->last_frac = t.frac;
	} else {
		s->no[(t.flags & KBP_FRAME_NO_TS_MASK) >> KBP_FRAME_NO_TS_SHIFT]++;
	}
}

static unsigned on_stamp(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	stamp_count(arg, kbp_frame_ts(rx, &f));
	return KBP_DONE;
}

/* n frames, the first half by the inline form, the rest by the array form. */
static struct stamps stamps_of(unsigned n)
{
	struct stamps s = { 0 };
	struct kbp_frame f;

	for (unsigned i = 0; i < n; i++) {
		rig_inject(1, 50, 0);
		for (unsigned empty = 0; s.n <= i; empty++) {
			assert_in_range(empty, 0, 10);
			if (i < n / 2) {
				kbp_rx_each(kbp_rx_of(r.q), 32, on_stamp, &s);
			} else if (kbp_rx_peek(r.q, &f, 1)) {
				stamp_count(&s, kbp_frame_ts(kbp_rx_of(r.q), &f));
				kbp_rx_release(r.q, &f, 1);
			}
		}
	}
	return s;
}

static void clock_goes_on(unsigned ms)
{
	softnic_clock_advance("sim0", ms * 1000000ull);
	assert_int_equal(rig_drain(r.q), 0); /* the clock event is met */
}

static void what_a_stamp_is_worth_is_told_apart(void **state)
{
	struct kbp_queue_info info;
	struct stamps s;

	(void)state;
	softnic_fault("sim0", SOFTNIC_CLOCK_LOST, 1); /* nothing was heard of the clock yet */
	rig_open("nic=x2522", KBP_QUEUE_RX_STAMPS);
	s = stamps_of(4);
	assert_int_equal(s.no[KBP_NO_TS_EARLY], 4);
	assert_int_equal(rig_counter(r.q, "rx_no_stamp_early"), 4);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_BOUND);
	softnic_fault("sim0", SOFTNIC_CLOCK_LOST, 0);
	clock_goes_on(300);
	s = stamps_of(4);
	assert_int_equal(s.sync[KBP_SYNC_IN], 4);
	assert_in_range(s.last_ns, r.epoch_ns + 300000000, r.epoch_ns + 300000010);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_BOUND); /* the clock stood still */
	softnic_fault("sim0", SOFTNIC_CLOCK_OUT_OF_SYNC, 1);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_NOT], 4);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	softnic_fault("sim0", SOFTNIC_CLOCK_OUT_OF_SYNC, 0);
	softnic_fault("sim0", SOFTNIC_CLOCK_UNSET, 1);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_NOT], 4);
	softnic_fault("sim0", SOFTNIC_CLOCK_UNSET, 0);
	clock_goes_on(300);
	softnic_fault("sim0", SOFTNIC_EVERY_NO_STAMP, 2);
	s = stamps_of(4);
	assert_int_equal(s.no[KBP_NO_TS_MISSING], 2);
	assert_int_equal(s.sync[KBP_SYNC_IN], 2);
	softnic_fault("sim0", SOFTNIC_EVERY_NO_STAMP, 0);
	softnic_fault("sim0", SOFTNIC_CLOCK_LOST, 1);
	clock_goes_on(600);
	s = stamps_of(4);
	assert_int_equal(s.no[KBP_NO_TS_STALE], 4);
	assert_int_equal(rig_counter(r.q, "rx_no_stamp_stale"), 4);
	assert_int_equal(rig_counter(r.q, "rx_no_stamp_missing"), 2);
}

/* A look at the adapter's clock, now. */
static void account_says(struct kbp_clock *clock, enum kbp_sync sync)
{
	struct kbp_clock_look look = { .sync = sync, .cause = KBP_CLOCK_MASTER_LOST, .bound_ns = 300 };

	assert_int_equal(softnic_clock_get("sim0", &look.at_ns), 0);
	look.raw_ns = look.at_ns - r.epoch_ns + 1;
	ok(kbp_clock_add(clock, &look));
}

static struct kbp_clock *account_open(void)
{
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;
	struct kbp_clock *clock;

	o.epoch = KBP_EPOCH_UTC;
	ok(kbp_clock_open(&o, &clock, &r.err));
	ok(kbp_queue_watch(r.q, clock, &r.err));
	return clock;
}

static void a_stamp_is_in_sync_when_the_adapter_and_the_account_say_so(void **state)
{
	struct kbp_stamp early = { r.epoch_ns, 0, KBP_FRAME_TS };
	struct stamps s = { 0 };
	struct kbp_queue_info info;
	struct kbp_clock *clock;
	struct kbp_claim claim;

	(void)state;
	rig_open("nic=x2522", KBP_QUEUE_RX_STAMPS);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_IN], 4); /* no account: the adapter's word */
	clock = account_open();
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
	rig_inject(1, 50, 0); /* stamped before anybody looked */
	softnic_clock_advance("sim0", 1000);
	account_says(clock, KBP_SYNC_IN);
	assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 32, on_stamp, &s), 1);
	assert_int_equal(s.sync[KBP_SYNC_UNKNOWN], 1);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_IN], 4);
	softnic_fault("sim0", SOFTNIC_CLOCK_OUT_OF_SYNC, 1);
	clock_goes_on(300);
	account_says(clock, KBP_SYNC_IN);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_NOT], 4);
	softnic_fault("sim0", SOFTNIC_CLOCK_OUT_OF_SYNC, 0);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_IN], 4);
	clock_goes_on(300);
	clock_goes_on(300);
	clock_goes_on(300);
	clock_goes_on(300); /* the account was not renewed */
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
	account_says(clock, KBP_SYNC_NOT);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_sync, KBP_SYNC_NOT);
	assert_int_equal(info.ts_cause, KBP_CLOCK_MASTER_LOST);
	kbp_stamp_claim(r.q, &early, &claim);
	assert_int_equal(claim.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(claim.source, KBP_TS_DRIVER); /* a software NIC is none */
	kbp_clock_close(clock); /* the account is gone: not even the adapter's word counts */
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
	ok(kbp_queue_watch(r.q, NULL, &r.err));
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_IN], 4);
}

static void where_the_adapter_says_nothing_the_account_decides(void **state)
{
	struct kbp_clock *clock;

	(void)state;
	rig_open("nic=x2522,sync_status=off", KBP_QUEUE_RX_STAMPS);
	clock_goes_on(300);
	clock = account_open();
	account_says(clock, KBP_SYNC_IN);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_IN], 4);
	softnic_clock_advance("sim0", 1000);
	account_says(clock, KBP_SYNC_NOT);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
	kbp_clock_close(clock);
}

static void a_clock_state_that_the_library_only_assumes_is_unknown(void **state)
{
	(void)state;
	rig_open("nic=x2522,sync_status=off", KBP_QUEUE_RX_STAMPS);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_UNKNOWN], 4);
}

static void stamps_by_reference_carry_the_state_too(void **state)
{
	struct stamps s;

	(void)state;
	rig_open("nic=x3522", KBP_QUEUE_RX_STAMPS);
	clock_goes_on(300);
	s = stamps_of(4);
	assert_int_equal(s.sync[KBP_SYNC_IN], 4);
	assert_int_equal(s.last_ns, r.epoch_ns + 300000000);
	softnic_fault("sim0", SOFTNIC_CLOCK_OUT_OF_SYNC, 1);
	clock_goes_on(300);
	assert_int_equal(stamps_of(4).sync[KBP_SYNC_NOT], 4);
	softnic_fault("sim0", SOFTNIC_EVERY_NO_STAMP, 1);
	assert_int_equal(stamps_of(4).no[KBP_NO_TS_MISSING], 4);
}

static void resolution_is_what_the_device_reports(void **state)
{
	struct kbp_queue_info info;

	(void)state;
	rig_open("nic=sfn8522", KBP_QUEUE_RX_STAMPS);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_resolution_ps, 7451);	 /* 2^-27 s */
	assert_int_equal(info.ts_source, KBP_TS_DRIVER); /* software: never NIC */
	rig_close();
	rig_open("nic=x2522", KBP_QUEUE_RX_STAMPS);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_resolution_ps, 250);
}

/* A poll ends at a clock event: fewer frames than there are is not empty. */
static void a_clock_event_ends_a_poll_early_and_costs_no_frame(void **state)
{
	unsigned n = 0, polls = 0;
	struct stamps s = { 0 };

	(void)state;
	rig_open("nic=x2522", KBP_QUEUE_RX_STAMPS);
	clock_goes_on(300);
	for (unsigned i = 0; i < 5; i++) {
		rig_inject(3, 50, 0);
		softnic_clock_advance("sim0", 300000000);
	}
	for (; n < 15 && polls < 50; polls++)
		n += kbp_rx_each(kbp_rx_of(r.q), 32, on_stamp, &s);
	assert_int_equal(n, 15);
	assert_true(polls >= 5);
	assert_int_equal(s.sync[KBP_SYNC_IN], 15);
}

/* ---------------------------------------------------------------- fill levels */

/* Of the first 300 buffers 296 are under a doorbell again, which moves in steps of 8. */
#define AGAIN (504u - 4u)

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static bool stop;

/* The article's second failure: the consumer needs a lock that somebody has. */
static void *consumer(void *arg)
{
	unsigned *got = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		unsigned n = 0;

		pthread_mutex_lock(&busy);
		n = rig_drain(r.q);
		pthread_mutex_unlock(&busy);
		__atomic_fetch_add(got, n, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void wait_until(bool (*reached)(uint64_t), uint64_t what)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < 10000; i++) {
		if (reached(what))
			return;
		nanosleep(&ms, NULL);
	}
	fail_msg("it did not come to that in ten seconds");
}

/* By the device, since the process began. */
static uint64_t wire_taken(void)
{
	struct softnic_info info;

	assert_int_equal(softnic_info_get("sim0", &info), 0);
	return info.wire_rx;
}

static bool taken(uint64_t n)
{
	return wire_taken() == n;
}

/* As the port's monitor left it: this test looks at nothing itself. */
static bool low_water_seen(uint64_t most)
{
	return __atomic_load_n(&r.q->rx_count->ring_fill_max, __ATOMIC_RELAXED) >= most;
}

static bool delivered(uint64_t got)
{
	return __atomic_load_n((unsigned *)(uintptr_t)got, __ATOMIC_ACQUIRE) == 300 + AGAIN;
}

/* First it stalls for less than the ring takes: the mark tells, and nothing is lost. Then for longer: every
 * lost frame has a name. */
static void the_low_water_mark_warns_before_a_blocked_consumer_loses_frames(void **state)
{
	pthread_t thread;
	uint64_t before = wire_taken();
	unsigned got = 0;

	(void)state;
	rig_port("nic=sfn8522,step=thread", KBP_PORT_STRICT);
	r.q = rig_queue(KBP_QUEUE_RX, 0, 512);
	rig_flow(r.q, "10.77.0.1:5000");
	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	pthread_mutex_lock(&busy);
	assert_int_equal(pthread_create(&thread, NULL, consumer, &got), 0);
	rig_inject(300, 50, 0);
	wait_until(taken, before + 300);
	wait_until(low_water_seen, 300); /* while the consumer still waits for its lock */
	assert_int_equal(rig_counter(r.q, "rx_ring_fill"), 300);
	assert_int_equal(rig_counter(r.q, "rx_ring_low_water"), 504 - 300 - 7);
	assert_int_equal(rig_drops(r.q), 0);
	pthread_mutex_unlock(&busy);
	for (unsigned i = 0; __atomic_load_n(&got, __ATOMIC_ACQUIRE) < 300; i++) {
		const struct timespec ms = { .tv_nsec = 1000000 };

		assert_in_range(i, 0, 10000);
		nanosleep(&ms, NULL);
	}
	pthread_mutex_lock(&busy);
	rig_inject(2000, 50, 0);
	wait_until(taken, before + 2300);
	wait_until(low_water_seen, AGAIN);
	assert_int_equal(rig_counter(r.q, "rx_ring_low_water"), 0);
	assert_int_equal(rig_counter(r.q, "rx_no_descriptor"), 2000 - AGAIN);
	pthread_mutex_unlock(&busy);
	wait_until(delivered, (uintptr_t)&got);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(rig_drops(r.q), 2000 - AGAIN);
}

/* ---------------------------------------------------------------- which half serves a queue */

static void a_half_compiled_against_other_headers_takes_the_array_form(void **state)
{
	unsigned n = 0;

	(void)state;
	rig_open("nic=sfn8522", 0);
	assert_int_equal(kbp_rx_of(r.q).kind, KBP_EF_VI_SIM);
	r.q->layout ^= 1;
	assert_int_equal(kbp_rx_of(r.q).kind, KBP_NONE);
	rig_inject(20, 50, 0);
	n = rig_drain(r.q);
	r.q->layout ^= 1;
	assert_int_equal(n, 20);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_kind_of_damage_has_its_name),
		TEST(a_stalled_consumer_loses_what_the_ring_does_not_take_and_no_more),
		TEST(by_reference_the_interface_counts_what_found_no_superbuffer),
		TEST(a_chain_cut_off_for_want_of_buffers_is_a_named_drop),
		TEST(overflow_and_reset_kill_the_queue_and_reopen_brings_it_back),
		TEST(what_a_stamp_is_worth_is_told_apart),
		TEST(a_stamp_is_in_sync_when_the_adapter_and_the_account_say_so),
		TEST(where_the_adapter_says_nothing_the_account_decides),
		TEST(a_clock_state_that_the_library_only_assumes_is_unknown),
		TEST(stamps_by_reference_carry_the_state_too),
		TEST(resolution_is_what_the_device_reports),
		TEST(a_clock_event_ends_a_poll_early_and_costs_no_frame),
		TEST(the_low_water_mark_warns_before_a_blocked_consumer_loses_frames),
		TEST(a_half_compiled_against_other_headers_takes_the_array_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
