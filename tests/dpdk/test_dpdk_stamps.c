/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_stamps.c - from a driver's ticks in an mbuf to nanoseconds in a frame. No driver of a machine without
 * an adapter stamps frames: the test writes what one would, and says what its clock is.
 */
#include <rte_mbuf_dyn.h>

#include "rig.h"

static struct wire wire;
static struct rte_mempool *pool;
static int offset;
static uint64_t flag;

/* As kbp_dpdk_clock_learn would have found it: half a nanosecond a tick. */
static int open_queue(void **state)
{
	struct kbp_dpdk_clock *c;

	(void)state;
	rig_port(&wire, "match=off", 0);
	c = &kbp_dpdk_port(r.port)->clock;
	{
		struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;

		o.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | KBP_QUEUE_MULTI_BUFFER;
		ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	}
	c->source = KBP_TS_NIC;
	c->epoch = KBP_EPOCH_PHC;
	c->ns_per_tick = 0.5;
	c->mult = 1ull << 31;
	c->resolution_ps = 500;
	c->offset = offset;
	c->shift = (uint32_t)__builtin_ctzll(flag);
	kbp_dpdk(r.q)->stamp_flag_shift = c->shift;
	r.q->flags |= KBP_QUEUE_RX_STAMPS;
	return 0;
}

static int close_queue(void **state)
{
	(void)state;
	ok(kbp_queue_close(r.q, 0, &r.err));
	ok(kbp_port_close(r.port, &r.err));
	rig_pool_check(pool, 0);
	rig_no_pools();
	return 0;
}

static void inject(uint64_t ticks, bool stamped, unsigned parts)
{
	static const uint32_t len[3] = { 60, 60, 60 };
	static const uint8_t bytes[180];
	struct rte_mbuf *m = rig_packet(pool, bytes, len, parts);

	*RTE_MBUF_DYNFIELD(m, (size_t)offset, rte_mbuf_timestamp_t *) = ticks;
	m->ol_flags |= stamped ? flag : 0;
	assert_int_equal(rte_ring_enqueue(wire.in[0], m), 0);
}

static void ticks_become_nanoseconds(void **state)
{
	struct kbp_frame f[4];

	(void)state;
	inject(3, true, 1);
	inject(1ull << 62, true, 1); /* what a product of 64 bits would not hold */
	assert_int_equal(kbp_rx_peek(r.q, f, 4), 2);
	assert_true(f[0].flags & KBP_FRAME_TS);
	assert_int_equal(f[0].ts_ns, 1);
	assert_int_equal(f[0].ts_frac, 0x8000);
	assert_int_equal(f[1].ts_ns, 1ull << 61);
	assert_int_equal(f[0].flags & KBP_FRAME_SYNC_MASK, KBP_SYNC_UNKNOWN);
	kbp_rx_release(r.q, f, 2);
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp *s = arg;

	*s = kbp_frame_ts(rx, &f);
	return KBP_DONE;
}

static void the_inline_form_resolves_a_stamp_when_it_is_asked_for(void **state)
{
	struct kbp_stamp s;

	(void)state;
	inject(2000, true, 1);
	assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 8, on_frame, &s), 1);
	assert_int_equal(s.ns, 1000);
	assert_true(s.flags & KBP_FRAME_TS);
	inject(2000, false, 1);
	assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 8, on_frame, &s), 1);
	assert_false(s.flags & KBP_FRAME_TS);
}

/* A clock in nanoseconds, once proven, is read without a call; what the account says of it comes along. */
static void the_accessor_reads_plain_nanoseconds_by_itself(void **state)
{
	struct kbp_dpdk_clock *c = &kbp_dpdk_port(r.port)->clock;
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;
	struct kbp_clock_look look = { .at_ns = 5000000000, .raw_ns = 1, .sync = KBP_SYNC_IN };
	struct kbp_clock *clock;
	struct kbp_stamp s;

	(void)state;
	c->ns_per_tick = 1.0;
	c->mult = 1ull << 32;
	o.epoch = KBP_EPOCH_PHC;
	ok(kbp_clock_open(&o, &clock, &r.err));
	ok(kbp_queue_watch(r.q, clock, &r.err));
	ok(kbp_clock_add(clock, &look));
	for (uint64_t ns = 5000000000; ns < 5000000003; ns++) {
		inject(ns, true, 1);
		assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 8, on_frame, &s), 1);
		assert_int_equal(s.ns, ns);
		assert_int_equal((s.flags & KBP_FRAME_SYNC_MASK) >> KBP_FRAME_SYNC_SHIFT,
				 KBP_SYNC_IN);
	}
	assert_int_not_equal(kbp_dpdk(r.q)->plain_mask, 0);
	inject(4999999999, true, 1); /* before it was looked at */
	assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 8, on_frame, &s), 1);
	assert_int_equal(s.flags, KBP_FRAME_TS);
	inject(7, false, 1);
	assert_int_equal(kbp_rx_each(kbp_rx_of(r.q), 8, on_frame, &s), 1);
	assert_int_equal(s.flags, 0);
	kbp_clock_close(clock);
}

static void every_part_of_a_chain_says_the_stamp_of_the_packet(void **state)
{
	struct kbp_frame f[4];

	(void)state;
	inject(4000, true, 3);
	assert_int_equal(kbp_rx_peek(r.q, f, 4), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(f[i].ts_ns, 2000);
		assert_int_equal(!(f[i].flags & KBP_FRAME_MORE), i == 2);
	}
	kbp_rx_release(r.q, f, 3);
}

static void a_frame_without_a_stamp_says_so_and_a_zero_is_none(void **state)
{
	struct kbp_queue_info info;
	struct kbp_frame f[4];

	(void)state;
	inject(77, false, 1);
	inject(0, true, 1);
	assert_int_equal(kbp_rx_peek(r.q, f, 4), 2);
	assert_false((f[0].flags | f[1].flags) & KBP_FRAME_TS);
	assert_int_equal(f[1].flags >> KBP_FRAME_NO_TS_SHIFT & 3, KBP_NO_TS_MISSING);
	assert_int_equal(rig_counter(r.q, "rx_no_stamp"), 1);
	kbp_rx_release(r.q, f, 2);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_BOUND); /* nothing has proven it */
	inject(2000, true, 1);
	inject(2000, true, 1);
	assert_int_equal(kbp_rx_peek(r.q, f, 4), 2);
	kbp_rx_release(r.q, f, 2);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_BOUND); /* it stands still */
	inject(4000, true, 1);
	assert_int_equal(kbp_rx_peek(r.q, f, 4), 1);
	kbp_rx_release(r.q, f, 1);
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	assert_int_equal(info.ts_source, KBP_TS_NIC);
	assert_int_equal(info.ts_resolution_ps, 500);
}

/* net_ring offers no stamps: a queue that asks is told so, and has none. */
static void a_driver_without_stamps_is_not_believed_to_have_some(void **state)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue_info info;

	(void)state;
	rig_port(&wire, "match=off", 0);
	o.flags = KBP_QUEUE_RX | KBP_QUEUE_RX_STAMPS;
	ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	kbp_queue_info(r.q, &info);
	assert_int_equal(info.ts_source, KBP_TS_NONE);
	assert_false(info.flags & KBP_QUEUE_RX_STAMPS);
	assert_non_null(strstr(info.note, "does not stamp"));
	close_queue(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ticks_become_nanoseconds, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(the_inline_form_resolves_a_stamp_when_it_is_asked_for,
						open_queue, close_queue),
		cmocka_unit_test_setup_teardown(the_accessor_reads_plain_nanoseconds_by_itself,
						open_queue, close_queue),
		cmocka_unit_test_setup_teardown(every_part_of_a_chain_says_the_stamp_of_the_packet,
						open_queue, close_queue),
		cmocka_unit_test_setup_teardown(a_frame_without_a_stamp_says_so_and_a_zero_is_none,
						open_queue, close_queue),
		cmocka_unit_test(a_driver_without_stamps_is_not_believed_to_have_some),
	};

	rig_begin();
	rig_wire(&wire, "stamps", 1, 64);
	pool = rig_pool("stamps", 255);
	if (rte_mbuf_dyn_rx_timestamp_register(&offset, &flag))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
