/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings.c - the rings of af_xdp, in array form and in inline form, with this program as the
 * kernel. */
#include "rings_rig.h"

static uint32_t number_of(const struct kbp_frame *f)
{
	uint32_t number;

	assert_true(f->data == rig->umem + f->token);
	memcpy(&number, f->data, sizeof(number));
	return number;
}

/* What the inline handler answers: verdict[i] to the i-th frame of a test, KBP_DONE beyond the
 * list. */
struct script {
	const unsigned *verdict;
	unsigned n, frames, kept;
	uint32_t first; /* number expected of the first frame */
	struct kbp_frame keep[N_RX];
};

static unsigned play(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct script *s = arg;
	unsigned verdict = s->frames < s->n ? s->verdict[s->frames] : KBP_DONE;

	(void)rx;
	assert_int_equal(number_of(&f), s->first + s->frames);
	assert_int_equal(f.len, FRAME_LEN);
	s->frames++;
	if (verdict & KBP_KEEP)
		s->keep[s->kept++] = f;
	return verdict;
}

static uint32_t write_number(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	uint32_t *next = arg;

	(void)tx;
	assert_true(f.flags & KBP_FRAME_TX);
	memcpy(f.data, next, sizeof(*next));
	(*next)++;
	return sizeof(*next);
}

/* ---------------------------------------------------------------- receive */

static void an_empty_ring_gives_nothing_and_no_system_call(void **state)
{
	struct kbp_frame f[4];
	struct script s = { 0 };

	(void)state;
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 0);
	assert_int_equal(kbp_rx_each(rig_rx(), 4, play, &s), 0);
	assert_int_equal(rig->rx_count.polls, 2);
	assert_int_equal(rig->rings + rig->wakes, 0);
}

static void an_empty_poll_wakes_a_driver_that_asks_for_it(void **state)
{
	struct kbp_frame f;
	struct script s = { 0 };

	(void)state;
	rig->fill.flags = XDP_RING_NEED_WAKEUP;
	kbp_rx_peek(rig_q(), &f, 1);
	kbp_rx_each(rig_rx(), 1, play, &s);
	assert_int_equal(rig->wakes, 2);
	assert_int_equal(rig->rx_count.kernel_calls, 2);
}

static void a_full_ring_is_received_whole_and_in_order_by_both_forms(void **state)
{
	struct kbp_frame f[HOLD_MAX];
	struct script s = { 0 };

	(void)state;
	for (uint32_t round = 0; round < 8; round++) { /* 8 times 16 frames: well past 2^32 */
		assert_int_equal(kernel_receive(N_RX, false), RX_RING);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 4);
			for (unsigned k = 0; k < 4; k++)
				assert_int_equal(number_of(&f[k]), s.first + k);
			kbp_rx_release(rig_q(), f, 4);
			s.first += 4;
			check_owners(NULL, 0, NULL, 0);
		}
		s.frames = 0;
		assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 8);
		s.first += 8;
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(rig->rx_count.frames, 8 * RX_RING);
	assert_int_equal(rig->rx_count.ring_fill_max, RX_RING);
	assert_true(rig->rx.prod < NEAR_WRAP); /* the test was about that */
}

static void frames_of_a_part_of_the_ring_leave_the_rest_for_the_next_poll(void **state)
{
	struct script s = { 0 };

	(void)state;
	kernel_receive(10, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 3, play, &s), 3);
	assert_int_equal(rig->rx.cons, NEAR_WRAP + 3);
	assert_int_equal(kbp_rx_each(rig_rx(), 3, play, &s), 3);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 4);
	assert_int_equal(kbp_rx_each(rig_rx(), 0, play, &s), 0);
	check_owners(NULL, 0, NULL, 0);
}

static void frames_are_released_in_any_order_and_in_parts(void **state)
{
	static const unsigned order[] = { 5, 0, 3, 7, 1, 6, 2, 4 };
	struct kbp_frame f[HOLD_MAX], left[HOLD_MAX];
	unsigned n;

	(void)state;
	kernel_receive(HOLD_MAX, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, HOLD_MAX), HOLD_MAX);
	for (unsigned i = 0; i < HOLD_MAX; i++) {
		kbp_rx_release(rig_q(), &f[order[i]], 1);
		n = 0;
		for (unsigned k = i + 1; k < HOLD_MAX; k++)
			left[n++] = f[order[k]];
		check_owners(left, n, NULL, 0);
	}
}

/* The shortcut of rx_release takes the fill ring's contents as rx_peek wrote them: it must see
 * through this. */
static void a_whole_burst_is_not_taken_for_another_of_the_same_size(void **state)
{
	struct kbp_frame a[4], b[4], mix[4];

	(void)state;
	kernel_receive(8, false);
	assert_int_equal(kbp_rx_peek(rig_q(), a, 4), 4);
	assert_int_equal(kbp_rx_peek(rig_q(), b, 4), 4);
	mix[0] = a[0];
	mix[1] = b[0];
	mix[2] = b[1];
	mix[3] = b[2];
	kbp_rx_release(rig_q(), mix, 4);
	mix[0] = a[1];
	mix[1] = a[2];
	mix[2] = a[3];
	mix[3] = b[3];
	check_owners(mix, 4, NULL, 0);
	kbp_rx_release(rig_q(), mix, 4);
	check_owners(NULL, 0, NULL, 0);
}

static void a_kept_frame_does_not_confuse_the_release_of_a_burst(void **state)
{
	static const unsigned keep_two[] = { KBP_KEEP, KBP_KEEP };
	struct script s = { .verdict = keep_two, .n = 2, .first = 4 };
	struct kbp_frame a[4], rest[4];

	(void)state;
	kernel_receive(4, false);
	assert_int_equal(kbp_rx_peek(rig_q(), a, 4), 4);
	kernel_receive(2, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 2, play, &s), 2);
	/* two of the first four go back by the other way: four are held, and they are not the first
	 * four */
	kbp_rx_return(rig_rx(), a[0].token);
	kbp_rx_return(rig_rx(), a[1].token);
	rest[0] = a[2];
	rest[1] = a[3];
	rest[2] = s.keep[0];
	rest[3] = s.keep[1];
	check_owners(rest, 4, NULL, 0);
	kbp_rx_release(rig_q(), rest, 4);
	check_owners(NULL, 0, NULL, 0);
	kbp_rx_peek(rig_q(), a, 4);
	check_owners(NULL, 0, NULL, 0);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
}

static void frames_put_back_are_received_again_first(void **state)
{
	struct kbp_frame f[6], again[6];

	(void)state;
	kernel_receive(6, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 6), 6);
	rig_q()->rx_putback(rig_q(), 4);
	kbp_rx_release(rig_q(), f, 2);
	check_owners(NULL, 0, NULL, 0);
	assert_int_equal(rig->rx_count.frames, 2);
	assert_int_equal(kbp_rx_peek(rig_q(), again, 6), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(number_of(&again[i]), 2 + i);
	check_owners(again, 4, NULL, 0);
}

static void stop_leaves_the_rest_for_the_next_poll(void **state)
{
	static const unsigned verdict[] = { KBP_DONE, KBP_STOP, KBP_KEEP | KBP_STOP };
	struct script s = { .verdict = verdict, .n = 3 };

	(void)state;
	kernel_receive(6, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 6, play, &s), 2);
	assert_int_equal(kbp_rx_each(rig_rx(), 6, play, &s), 1);
	check_owners(s.keep, 1, NULL, 0);
	assert_int_equal(kbp_rx_each(rig_rx(), 6, play, &s), 3);
	assert_int_equal(rig->rx_count.frames, 6);
	check_owners(s.keep, 1, NULL, 0);
}

static void no_more_than_hold_max_frames_are_held_in_array_form(void **state)
{
	struct kbp_frame f[RX_RING];

	(void)state;
	kernel_receive(RX_RING, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 5), 5);
	assert_int_equal(kbp_rx_peek(rig_q(), f + 5, 5), HOLD_MAX - 5);
	assert_int_equal(rig->rx_count.hold_limited, 1);
	assert_int_equal(kbp_rx_peek(rig_q(), f + 8, 5), 0);
	assert_int_equal(rig->rx_count.hold_limited, 2);
	kbp_rx_release(rig_q(), &f[3], 1);
	assert_int_equal(kbp_rx_peek(rig_q(), &f[3], 5), 1);
	assert_int_equal(number_of(&f[3]), HOLD_MAX);
	check_owners(f, HOLD_MAX, NULL, 0);
}

static void no_more_than_hold_max_frames_are_held_in_inline_form(void **state)
{
	static const unsigned keep[] = { KBP_KEEP, KBP_DONE, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP,
					 KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP };
	struct script s = { .verdict = keep, .n = 12 };

	(void)state;
	kernel_receive(RX_RING, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), HOLD_MAX + 1);
	assert_int_equal(rig->rx_count.hold_limited, 1);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 0);
	assert_int_equal(rig->rx_count.hold_limited, 2);
	check_owners(s.keep, HOLD_MAX, NULL, 0);
	kbp_rx_return(rig_rx(), s.keep[4].token);
	s.keep[4] = s.keep[--s.kept];
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 1);
	check_owners(s.keep, HOLD_MAX, NULL, 0);
}

static void the_bound_holds_after_a_poll_that_found_nothing(void **state)
{
	static const unsigned keep[] = { KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP,
					 KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP, KBP_KEEP };
	struct script s = { .verdict = keep, .n = 12 };

	(void)state;
	kernel_receive(HOLD_MAX, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), HOLD_MAX);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 0);
	kernel_receive(2, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 32, play, &s), 0);
	assert_int_equal(rig->rx_count.hold_limited, 1);
	check_owners(s.keep, HOLD_MAX, NULL, 0);
}

static void the_bound_of_held_frames_is_one_for_both_forms(void **state)
{
	struct kbp_frame f[HOLD_MAX];
	struct script s = { .first = HOLD_MAX };

	(void)state;
	kernel_receive(RX_RING, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, HOLD_MAX), HOLD_MAX);
	assert_int_equal(kbp_rx_each(rig_rx(), 4, play, &s), 0);
	assert_int_equal(rig->rx_count.hold_limited, 1);
	kbp_rx_release(rig_q(), f, HOLD_MAX);
	assert_int_equal(kbp_rx_each(rig_rx(), 4, play, &s), 4);
	check_owners(NULL, 0, NULL, 0);
}

/* Returns the frame it kept before, out of the middle of the burst. */
static unsigned keep_one_back(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct script *s = arg;

	assert_int_equal(number_of(&f), s->frames++);
	if (s->kept)
		kbp_rx_return(rx, s->keep[--s->kept].token);
	s->keep[s->kept++] = f;
	return KBP_KEEP;
}

static void kept_frames_are_returned_inside_the_handler_and_outside(void **state)
{
	struct script s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		kernel_receive(5, false);
		assert_int_equal(kbp_rx_each(rig_rx(), 5, keep_one_back, &s), 5);
		check_owners(s.keep, 1, NULL, 0);
		if (i % 3 == 0) {
			kbp_rx_return(rig_rx(), s.keep[--s.kept].token);
			check_owners(NULL, 0, NULL, 0);
		}
	}
	assert_int_equal(rig->rx_count.frames, 100);
}

/* Without this a caller that keeps everything and works off a full ring starves the kernel of
 * buffers. */
static void
returned_buffers_reach_the_kernel_with_the_next_poll_of_a_ring_that_is_not_empty(void **state)
{
	static const unsigned keep[] = { KBP_KEEP, KBP_KEEP };
	struct script s = { .verdict = keep, .n = 2 };

	(void)state;
	kernel_receive(10, false);
	kbp_rx_each(rig_rx(), 2, play, &s);
	kbp_rx_return(rig_rx(), s.keep[0].token);
	kbp_rx_return(rig_rx(), s.keep[1].token);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX - 10);
	kbp_rx_each(rig_rx(), 1, play, &s);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX - 10 + 3);
	check_owners(NULL, 0, NULL, 0);
}

/* ---------------------------------------------------------------- receive: chains */

static void a_chain_is_never_split(void **state)
{
	struct kbp_frame f[HOLD_MAX];
	struct script s = { .first = 3 };

	(void)state;
	kernel_receive(3, true);
	kernel_receive(2, true);
	kernel_receive(1, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 3);
	assert_true(f[0].flags & KBP_FRAME_MORE && f[1].flags & KBP_FRAME_MORE &&
		    !(f[2].flags & KBP_FRAME_MORE));
	kbp_rx_release(rig_q(), f, 3);
	assert_int_equal(kbp_rx_each(rig_rx(), 2, play, &s), 2);
	assert_int_equal(kbp_rx_each(rig_rx(), 2, play, &s), 1);
	check_owners(NULL, 0, NULL, 0);
}

static void stop_waits_for_the_end_of_a_chain(void **state)
{
	static const unsigned verdict[] = { KBP_STOP, KBP_STOP, KBP_STOP };
	struct script s = { .verdict = verdict, .n = 3 };

	(void)state;
	kernel_receive(3, true);
	kernel_receive(3, true);
	assert_int_equal(kbp_rx_each(rig_rx(), 6, play, &s), 3);
	check_owners(NULL, 0, NULL, 0);
}

static void a_chain_whose_end_is_missing_waits_for_it(void **state)
{
	struct kbp_frame f[4];
	uint32_t prod;

	(void)state;
	kernel_receive(1, false);
	kernel_receive(3, true);
	prod = rig->rx.prod;
	rig->rx.prod -= 1; /* the last part has not been published yet */
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 1);
	kbp_rx_release(rig_q(), f, 1);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 0);
	rig->rx.prod = prod;
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 3);
	assert_int_equal(number_of(&f[0]), 1);
	check_owners(f, 3, NULL, 0);
}

static void a_chain_longer_than_max_is_dropped_and_counted(void **state)
{
	struct kbp_frame f[4];

	(void)state;
	kernel_receive(5, true);
	kernel_receive(2, true);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 2);
	assert_int_equal(number_of(&f[0]), 5);
	assert_int_equal(rig->rx_count.chain_drops, 1);
	kbp_rx_release(rig_q(), f, 2);
	check_owners(NULL, 0, NULL, 0);
}

static void a_chain_longer_than_hold_max_is_dropped_and_blocks_nothing(void **state)
{
	struct kbp_frame f[RX_RING];

	(void)state;
	kernel_receive(HOLD_MAX + 1, true);
	kernel_receive(1, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, RX_RING), 1);
	assert_int_equal(rig->rx_count.chain_drops, 1);
	check_owners(f, 1, NULL, 0);
}

static void a_chain_that_does_not_fit_below_hold_max_waits_for_a_release(void **state)
{
	struct kbp_frame f[HOLD_MAX], chain[3];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		kernel_receive(1, false);
	kernel_receive(3, true);
	assert_int_equal(kbp_rx_peek(rig_q(), f, HOLD_MAX), 6);
	assert_int_equal(kbp_rx_peek(rig_q(), chain, 3), 0);
	assert_int_equal(rig->rx_count.chain_drops, 0);
	assert_true(rig->rx_count.hold_limited > 0);
	kbp_rx_release(rig_q(), f, 6);
	assert_int_equal(kbp_rx_peek(rig_q(), chain, 3), 3);
	check_owners(chain, 3, NULL, 0);
}

/* ---------------------------------------------------------------- send */

static void a_sent_frame_has_header_payload_and_length(void **state)
{
	struct kbp_frame f;
	uint32_t next = 7, number;

	(void)state;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next), 1);
	assert_int_equal(kernel_take(8), 1);
	assert_int_equal(rig->last_len, 42 + 4);
	assert_int_equal(rig->umem[rig->device[0]], 0x77);
	memcpy(&number, rig->umem + rig->device[0] + 42, 4);
	assert_int_equal(number, 7);
	kernel_complete(1);
	assert_int_equal(kbp_tx_reserve(&rig->raw, &f, 1), 1);
	assert_true(f.data == rig->umem + f.token);
	f.len = 60;
	assert_int_equal(kbp_tx_submit(rig_q(), &f, 1), 1);
	kernel_take(1);
	assert_int_equal(rig->last_len, 60);
}

static void a_full_tx_ring_takes_no_more_until_frames_complete(void **state)
{
	struct kbp_frame f[TX_RING];
	uint32_t next = 0;

	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 5, write_number, &next), 5);
		assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 5, write_number, &next),
				 TX_RING - 5);
		assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 5, write_number, &next), 0);
		assert_int_equal(kbp_tx_reserve(&rig->flow, f, 1), 0);
		kernel_take(TX_RING);
		assert_int_equal(kbp_tx_reserve(&rig->flow, f, 1),
				 0); /* descriptors are free, buffers not */
		kernel_complete(3);
		assert_int_equal(kbp_tx_reserve(&rig->flow, f, TX_RING), 3);
		check_owners(NULL, 0, f, 3);
		kbp_tx_cancel(rig_q(), f, 3);
		kernel_complete(TX_RING);
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(next, 10 * TX_RING);
	assert_true(rig->tx_count.ring_full > 0 && rig->tx_count.in_flight_max == TX_RING);
	assert_true(rig->tx.prod < NEAR_WRAP);
}

static void a_partial_submit_leaves_the_tail_with_the_caller(void **state)
{
	struct kbp_frame held[3], f[N_TX];

	(void)state;
	kernel_receive(3, false);
	assert_int_equal(kbp_rx_peek(rig_q(), held, 3), 3);
	assert_int_equal(kbp_tx_submit(rig_q(), held, 3),
			 3); /* forwarded: TX descriptors without TX buffers */
	assert_int_equal(kbp_tx_reserve(&rig->flow, f, N_TX), N_TX);
	for (unsigned i = 0; i < N_TX; i++)
		f[i].len = 4;
	assert_int_equal(kbp_tx_submit(rig_q(), f, N_TX), TX_RING - 3);
	check_owners(NULL, 0, f + TX_RING - 3, 3);
	assert_int_equal(kbp_tx_submit(rig_q(), f + TX_RING - 3, 3), 0);
	assert_true(rig->rings >
		    0); /* a full ring is rung: what lies there may never have been looked at */
	kernel_take(2);
	assert_int_equal(kbp_tx_submit(rig_q(), f + TX_RING - 3, 3), 2);
	kbp_tx_cancel(rig_q(), f + N_TX - 1, 1);
	check_owners(NULL, 0, NULL, 0);
}

static void reserved_frames_are_submitted_in_any_order(void **state)
{
	struct kbp_frame f[4], turned[4];

	(void)state;
	assert_int_equal(kbp_tx_reserve(&rig->flow, f, 4), 4);
	for (unsigned i = 0; i < 4; i++) {
		f[i].len = 4;
		turned[3 - i] = f[i];
	}
	assert_int_equal(kbp_tx_submit(rig_q(), turned, 2), 2);
	kbp_tx_cancel(rig_q(), &turned[3], 1);
	check_owners(NULL, 0, &turned[2], 1);
	assert_int_equal(kbp_tx_submit(rig_q(), &turned[2], 1), 1);
	kernel_take(3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig->device[i], turned[i].token);
}

static uint32_t end_after_two(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	unsigned *calls = arg;

	(void)tx;
	(void)f;
	return (*calls)++ < 2 ? 4 : KBP_TX_END;
}

static void a_filler_ends_the_burst_and_its_slot_stays_free(void **state)
{
	unsigned calls = 0;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 6, end_after_two, &calls), 2);
	check_owners(NULL, 0, NULL, 0);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->raw), 6, end_after_two, &calls), 0);
	assert_int_equal(rig->tx_count.frames, 2);
	assert_int_equal(rig->rings, 1); /* nothing to send, nobody woken */
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 0, end_after_two, &calls), 0);
	assert_int_equal(calls, 4);
	check_owners(NULL, 0, NULL, 0);
}

static void forwarded_frames_come_home_to_the_fill_ring(void **state)
{
	struct kbp_frame f[4];
	struct script s = { 0 };

	(void)state;
	/* nothing but forwarding: no TX buffer is ever asked for, and still nothing may be left in
	 * the comp ring */
	for (unsigned round = 0; round < 40; round++) {
		assert_int_equal(kernel_receive(4, false), 4);
		assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 4);
		assert_int_equal(kbp_tx_submit(rig_q(), f, 4), 4);
		assert_int_equal(kernel_send(4), 4);
		check_owners(NULL, 0, NULL, 0);
	}
	kbp_rx_each(rig_rx(), 4, play, &s);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
	assert_int_equal(rig_x()->n_strange, 0);
	assert_int_equal(rig_x()->special, 0);
}

static void a_poll_alone_brings_forwarded_frames_home(void **state)
{
	struct kbp_frame f[HOLD_MAX];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		kernel_receive(HOLD_MAX, false);
		assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 4);
		assert_int_equal(kbp_tx_submit(rig_q(), f, 4), 4);
	}
	kernel_send(TX_RING);
	kbp_rx_peek(rig_q(), f, HOLD_MAX);
	kbp_rx_release(rig_q(), f, HOLD_MAX);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
}

static unsigned forward(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	unsigned *refused = arg;

	if (kbp_tx_submit(rx.q, &f, 1) == 1)
		return KBP_KEEP;
	(*refused)++;
	return KBP_DONE;
}

static void a_frame_is_forwarded_from_inside_the_handler(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		kernel_receive(4, false);
		assert_int_equal(kbp_rx_each(rig_rx(), 4, forward, &refused), 4);
		kernel_send(4);
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(refused, 0);
	kernel_receive(10, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 10, forward, &refused), 10);
	assert_int_equal(refused, 10 - TX_RING);
	check_owners(NULL, 0, NULL, 0);
}

static void a_template_comes_home_to_its_own_place(void **state)
{
	const struct kbp_backend *b = &kbp_backend_af_xdp;
	uint32_t next = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(b->template_send(&rig->tpl[0]), 1);
		assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 2, write_number, &next), 2);
		assert_int_equal(b->template_send(&rig->tpl[1]), 1);
		check_owners(NULL, 0, NULL, 0);
		assert_true(b->template_busy(&rig->tpl[0]));
		kernel_send(3);
		assert_false(b->template_busy(&rig->tpl[0]));
		assert_true(b->template_busy(&rig->tpl[1]));
		kernel_send(1);
		assert_false(b->template_busy(&rig->tpl[1]));
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(rig_x()->n_strange, 0);
}

static void a_template_takes_its_descriptor_from_the_bursts_around_it(void **state)
{
	uint32_t next = 0;

	(void)state;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next), 1);
	assert_int_equal(kbp_backend_af_xdp.template_send(&rig->tpl[0]), 1);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), TX_RING - 1, write_number, &next),
			 TX_RING - 2);
	check_owners(NULL, 0, NULL, 0);
}

static void kept_completions_are_reaped_in_order_and_only_then_reused(void **state)
{
	struct kbp_completion c[4];
	struct kbp_frame f[N_TX], more;

	(void)state;
	assert_int_equal(kbp_tx_reserve(&rig->flow, f, N_TX), N_TX);
	for (unsigned i = 0; i < N_TX; i++)
		f[i].len = 4;
	assert_int_equal(kbp_tx_submit(rig_q(), f, N_TX), N_TX);
	assert_int_equal(kbp_tx_reap(rig_q(), c, 4), 0);
	assert_int_equal(rig->rings, 1); /* in flight, and the kernel is reminded */
	kernel_send(N_TX);
	assert_int_equal(kbp_tx_reserve(&rig->flow, &more, 1), 0);
	for (unsigned i = 0; i < N_TX; i += 4) {
		assert_int_equal(kbp_tx_reap(rig_q(), c, 4), 4);
		for (unsigned k = 0; k < 4; k++) {
			assert_int_equal(c[k].token, f[i + k].token);
			assert_int_equal(c[k].flags + c[k].error, 0);
		}
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(kbp_tx_reap(rig_q(), c, 4), 0);
	assert_int_equal(kbp_tx_reserve(&rig->flow, &more, 1), 1);
}

static void without_kept_completions_there_is_nothing_to_reap(void **state)
{
	struct kbp_completion c;
	uint32_t next = 0;

	(void)state;
	kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next);
	kernel_send(1);
	assert_int_equal(kbp_tx_reap(rig_q(), &c, 1), 0);
}

/* ---------------------------------------------------------------- the doorbell */

static void one_burst_rings_once_and_only_when_the_driver_wants_it(void **state)
{
	uint32_t next = 0;

	(void)state;
	kbp_tx_each(rig_tx(&rig->flow), 3, write_number, &next);
	assert_int_equal(rig->rings, 0);
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->takes = TX_RING;
	kbp_tx_each(rig_tx(&rig->flow), 3, write_number, &next);
	assert_int_equal(rig->rings, 1);
	assert_int_equal(rig->sent, 6);
	assert_int_equal(rig->tx_count.doorbells, 1);
}

static void a_kernel_that_sends_in_parts_is_rung_until_all_is_gone(void **state)
{
	uint32_t next = 0;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->takes = 2;
	rig->answer = EAGAIN;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 6, write_number, &next), 6);
	assert_int_equal(rig->sent, 6);
	assert_int_equal(rig_x()->special, 0);
}

/* An order must not lie in the ring until the next one comes along. */
static void what_the_kernel_left_in_the_ring_goes_with_the_next_poll(void **state)
{
	uint32_t next = 0;
	struct kbp_frame f;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->answer = ENOBUFS;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 2, write_number, &next), 2);
	assert_int_equal(rig->sent, 0);
	rig->answer = 0;
	rig->takes = TX_RING;
	assert_int_equal(kbp_rx_peek(rig_q(), &f, 1), 0);
	assert_int_equal(rig->sent, 2);
	kbp_rx_peek(rig_q(), &f, 1);
	assert_int_equal(rig->rings, 2);
}

static void a_frame_that_the_kernel_dropped_is_counted(void **state)
{
	uint32_t next = 0;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->takes = 1;
	rig->answer =
		EBUSY; /* no carrier: one frame gone per call (net/xdp/xsk.c, __xsk_generic_xmit) */
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 3, write_number, &next), 3);
	assert_int_equal(rig->tx_count.errors, 3);
	assert_int_equal(rig->rings, 4);
}

static void a_dead_interface_is_no_endless_loop(void **state)
{
	uint32_t next = 0;
	struct kbp_frame f;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->answer = ENETDOWN;
	kbp_tx_each(rig_tx(&rig->flow), 3, write_number, &next);
	assert_int_equal(rig->rings, 1);
	kbp_rx_peek(rig_q(), &f, 1);
	assert_int_equal(rig->rings, 1);
}

static void frames_left_while_the_link_was_down_go_when_no_buffer_is_free(void **state)
{
	uint32_t next = 0;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->answer = ENETDOWN;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), N_TX, write_number, &next), N_TX);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next), 0);
	rig->answer = 0;
	rig->takes = N_TX;
	kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next);
	assert_int_equal(kernel_complete(N_TX), N_TX);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 1, write_number, &next), 1);
}

static void cancelled_frames_that_were_received_go_back_to_be_received(void **state)
{
	struct kbp_frame f[4];

	(void)state;
	kernel_receive(4, false);
	assert_int_equal(kbp_rx_peek(rig_q(), f, 4), 4);
	assert_int_equal(kbp_tx_submit(rig_q(), f, 2), 2);
	kbp_tx_cancel(rig_q(), f + 2, 2);
	assert_int_equal(rig->full.x.q.held, 0);
	kernel_send(2);
	kbp_rx_peek(rig_q(), f, 4);
	check_owners(NULL, 0, NULL, 0);
}

static void a_queue_without_one_direction_refuses_it_quietly(void **state)
{
	struct kbp_axdp_full *half = aligned_alloc(64, (sizeof(*half) + 63) & ~63ul);
	struct kbp_frame f = { .len = 60 };
	struct script s = { 0 };

	(void)state;
	assert_non_null(half);
	memset(half, 0, sizeof(*half));
	half->x.fill = rig_x()->fill;
	half->x.comp = rig_x()->comp;
	half->x.q.rx_count = &rig->rx_count;
	half->x.q.tx_count = &rig->tx_count;
	half->x.q.hold_max = HOLD_MAX;
	kbp_axdp_set_calls(&half->x.q);
	assert_int_equal(kbp_rx_peek(&half->x.q, &f, 1), 0);
	assert_int_equal(kbp_rx_each(kbp_rx_as(&half->x.q, KBP_AF_XDP), 1, play, &s), 0);
	assert_int_equal(kbp_tx_submit(&half->x.q, &f, 1), 0);
	free(half);
}

/* ---------------------------------------------------------------- all of it at random */

struct soup {
	struct kbp_frame held[HOLD_MAX], reserved[N_TX];
	unsigned n_held, n_reserved;
	uint64_t random;
	uint32_t next; /* number expected next; chains: of parts */
	uint32_t filled;
	uint64_t received, forwarded, returned, stopped;
	bool chains;
};

static unsigned pick(struct soup *s, unsigned n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (unsigned)(s->random >> 33) % n;
}

static void expect_next(struct soup *s, const struct kbp_frame *f)
{
	uint32_t number = number_of(f);

	/* dropped chains leave a gap */
	assert_true(s->chains ? number - s->next < 64 : number == s->next);
	s->next = number + 1;
	s->received++;
}

static unsigned soup_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct soup *s = arg;
	unsigned verdict = pick(s, 5) ? KBP_DONE : KBP_STOP, what = pick(s, 6);

	expect_next(s, &f);
	s->stopped += verdict == KBP_STOP;
	if (what == 0 && s->n_held) {
		unsigned i = pick(s, s->n_held);

		kbp_rx_return(rx, s->held[i].token);
		s->held[i] = s->held[--s->n_held];
		s->returned++;
	}
	if (what == 1 && !(f.flags & KBP_FRAME_MORE) && kbp_tx_submit(rx.q, &f, 1) == 1) {
		s->forwarded++;
		return verdict | KBP_KEEP;
	}
	if (what > 3 && s->n_held < HOLD_MAX) {
		s->held[s->n_held++] = f;
		return verdict | KBP_KEEP;
	}
	return verdict;
}

static uint32_t soup_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct soup *s = arg;

	(void)tx;
	if (pick(s, 6) == 0)
		return KBP_TX_END;
	memcpy(f.data, &s->filled, sizeof(s->filled));
	s->filled++;
	return 4 + pick(s, 60);
}

/* Moves n random entries of `from` to its end and returns where they begin. */
static struct kbp_frame *choose(struct soup *s, struct kbp_frame *from, unsigned total, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned k = pick(s, total - i);
		struct kbp_frame f = from[k];

		from[k] = from[total - 1 - i];
		from[total - 1 - i] = f;
	}
	return from + total - n;
}

static void soup_peek(struct soup *s)
{
	struct kbp_frame f[RX_RING];
	unsigned n = kbp_rx_peek(rig_q(), f, 1 + pick(s, 10)), keep = n;

	if (!s->chains && n && pick(s, 3) == 0) {
		unsigned back = pick(s, n + 1);

		rig_q()->rx_putback(rig_q(), back);
		keep = n -= back;
	}
	for (unsigned i = 0; i < n; i++)
		expect_next(s, &f[i]);
	if (n && pick(s, 2)) { /* the usual caller: all back, in order */
		kbp_rx_release(rig_q(), f, n);
		keep = 0;
	}
	assert_true(s->n_held + keep <= HOLD_MAX);
	memcpy(s->held + s->n_held, f, keep * sizeof(*f));
	s->n_held += keep;
}

static void soup_receive_side(struct soup *s)
{
	unsigned n;

	switch (pick(s, 6)) {
	case 0:
	case 1:
		kernel_receive(1 + pick(s, s->chains ? 4 : 8), s->chains && pick(s, 2));
		break;
	case 2:
		soup_peek(s);
		break;
	case 3:
		kbp_rx_each(rig_rx(), pick(s, 12), soup_frame, s);
		break;
	case 4:
		n = pick(s, s->n_held + 1);
		kbp_rx_release(rig_q(), choose(s, s->held, s->n_held, n), n);
		s->n_held -= n;
		break;
	default:
		n = pick(s, s->n_held + 1);
		n = kbp_tx_submit(rig_q(), choose(s, s->held, s->n_held, n), n);
		/* those accepted are the first of the chosen: close the gap */
		if (n) {
			struct kbp_frame kept[HOLD_MAX];
			unsigned left = 0;

			for (unsigned i = 0; i < s->n_held; i++) {
				bool gone = false;

				for (uint32_t at = rig->tx.prod - n; at != rig->tx.prod; at++)
					gone |= rig->tx_desc[at & (TX_RING - 1)].addr ==
						s->held[i].token;
				if (!gone)
					kept[left++] = s->held[i];
			}
			assert_int_equal(left, s->n_held - n);
			memcpy(s->held, kept, left * sizeof(kept[0]));
			s->n_held = left;
			s->forwarded += n;
		}
	}
}

static void soup_send_side(struct soup *s)
{
	struct kbp_completion c[4];
	struct kbp_frame *f;
	unsigned n, got;

	switch (pick(s, 8)) {
	case 0:
		s->n_reserved += kbp_tx_reserve(&rig->flow, s->reserved + s->n_reserved,
						pick(s, N_TX - s->n_reserved + 1));
		break;
	case 1:
		n = pick(s, s->n_reserved + 1);
		f = choose(s, s->reserved, s->n_reserved, n);
		for (unsigned i = 0; i < n; i++)
			f[i].len = 4 + pick(s, 60);
		got = kbp_tx_submit(rig_q(), f, n);
		memmove(f, f + got, (n - got) * sizeof(*f));
		s->n_reserved -= got;
		break;
	case 2:
		n = pick(s, s->n_reserved + 1);
		kbp_tx_cancel(rig_q(), choose(s, s->reserved, s->n_reserved, n), n);
		s->n_reserved -= n;
		break;
	case 3:
		kbp_tx_each(rig_tx(pick(s, 2) ? &rig->flow : &rig->raw), pick(s, 10), soup_fill, s);
		break;
	case 4:
		n = pick(s, N_TPL);
		if (!kbp_backend_af_xdp.template_busy(&rig->tpl[n]))
			kbp_backend_af_xdp.template_send(&rig->tpl[n]);
		break;
	case 5:
		kernel_take(pick(s, 6));
		break;
	case 6:
		kernel_complete(pick(s, 8));
		break;
	default:
		kbp_tx_reap(rig_q(), c, pick(s, 5));
	}
}

static void soup_cook(uint64_t seed, bool chains)
{
	struct soup s = { .random = seed, .chains = chains };

	for (unsigned i = 0; i < 20000; i++) {
		if (pick(&s, 2))
			soup_receive_side(&s);
		else
			soup_send_side(&s);
		check_owners(s.held, s.n_held, s.reserved, s.n_reserved);
	}
	/* everything back, and everything is where it was in the beginning */
	kbp_rx_release(rig_q(), s.held, s.n_held);
	kbp_tx_cancel(rig_q(), s.reserved, s.n_reserved);
	s.n_held = s.n_reserved = 0;
	for (unsigned i = 0; i < 64; i++) {
		struct kbp_completion c[8];
		struct kbp_frame f[HOLD_MAX];
		unsigned n = kbp_rx_peek(rig_q(), f, HOLD_MAX);

		s.received += n;
		kbp_rx_release(rig_q(), f, n);
		kernel_send(TX_RING);
		kbp_tx_reap(rig_q(), c, 8);
		kbp_axdp_complete(rig_x());
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
	assert_int_equal(rig_x()->tx_top - rig_x()->tx_free, N_TX);
	assert_int_equal(rig_x()->n_strange, 0);
	/* and it was no idle run */
	assert_true(s.received > 2000 && s.forwarded > 200 && s.returned > 50 && s.stopped > 100 &&
		    rig->sent > 1000);
	assert_int_equal(rig->rx_count.frames, s.received);
}

static void every_buffer_has_one_owner_whatever_happens(void **state)
{
	(void)state;
	soup_cook(0x9e3779b97f4a7c15ull, false);
}

static void every_buffer_has_one_owner_with_chains(void **state)
{
	(void)state;
	soup_cook(0xd1b54a32d192ed03ull, true);
}

static void every_buffer_has_one_owner_with_kept_completions(void **state)
{
	(void)state;
	soup_cook(0x94d049bb133111ebull, false);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, rig_plain, rig_down)
#define CHAINS(test) cmocka_unit_test_setup_teardown(test, rig_chains, rig_down)
#define COMPLETIONS(test) cmocka_unit_test_setup_teardown(test, rig_completions, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(an_empty_ring_gives_nothing_and_no_system_call),
		PLAIN(an_empty_poll_wakes_a_driver_that_asks_for_it),
		PLAIN(a_full_ring_is_received_whole_and_in_order_by_both_forms),
		PLAIN(frames_of_a_part_of_the_ring_leave_the_rest_for_the_next_poll),
		PLAIN(frames_are_released_in_any_order_and_in_parts),
		PLAIN(a_whole_burst_is_not_taken_for_another_of_the_same_size),
		PLAIN(a_kept_frame_does_not_confuse_the_release_of_a_burst),
		PLAIN(frames_put_back_are_received_again_first),
		PLAIN(stop_leaves_the_rest_for_the_next_poll),
		PLAIN(no_more_than_hold_max_frames_are_held_in_array_form),
		PLAIN(no_more_than_hold_max_frames_are_held_in_inline_form),
		PLAIN(the_bound_holds_after_a_poll_that_found_nothing),
		PLAIN(the_bound_of_held_frames_is_one_for_both_forms),
		PLAIN(kept_frames_are_returned_inside_the_handler_and_outside),
		PLAIN(returned_buffers_reach_the_kernel_with_the_next_poll_of_a_ring_that_is_not_empty),
		CHAINS(a_chain_is_never_split),
		CHAINS(stop_waits_for_the_end_of_a_chain),
		CHAINS(a_chain_whose_end_is_missing_waits_for_it),
		CHAINS(a_chain_longer_than_max_is_dropped_and_counted),
		CHAINS(a_chain_longer_than_hold_max_is_dropped_and_blocks_nothing),
		CHAINS(a_chain_that_does_not_fit_below_hold_max_waits_for_a_release),
		PLAIN(a_sent_frame_has_header_payload_and_length),
		PLAIN(a_full_tx_ring_takes_no_more_until_frames_complete),
		PLAIN(a_partial_submit_leaves_the_tail_with_the_caller),
		PLAIN(reserved_frames_are_submitted_in_any_order),
		PLAIN(a_filler_ends_the_burst_and_its_slot_stays_free),
		PLAIN(forwarded_frames_come_home_to_the_fill_ring),
		PLAIN(a_poll_alone_brings_forwarded_frames_home),
		PLAIN(a_frame_is_forwarded_from_inside_the_handler),
		PLAIN(a_template_comes_home_to_its_own_place),
		PLAIN(a_template_takes_its_descriptor_from_the_bursts_around_it),
		COMPLETIONS(kept_completions_are_reaped_in_order_and_only_then_reused),
		PLAIN(without_kept_completions_there_is_nothing_to_reap),
		PLAIN(one_burst_rings_once_and_only_when_the_driver_wants_it),
		PLAIN(a_kernel_that_sends_in_parts_is_rung_until_all_is_gone),
		PLAIN(what_the_kernel_left_in_the_ring_goes_with_the_next_poll),
		PLAIN(a_frame_that_the_kernel_dropped_is_counted),
		PLAIN(a_dead_interface_is_no_endless_loop),
		PLAIN(frames_left_while_the_link_was_down_go_when_no_buffer_is_free),
		PLAIN(cancelled_frames_that_were_received_go_back_to_be_received),
		PLAIN(a_queue_without_one_direction_refuses_it_quietly),
		PLAIN(every_buffer_has_one_owner_whatever_happens),
		CHAINS(every_buffer_has_one_owner_with_chains),
		COMPLETIONS(every_buffer_has_one_owner_with_kept_completions),
	};

	return cmocka_run_group_tests_name("rings", tests, NULL, NULL);
}
