/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings_rx.c - the RX and fill rings of af_xdp, in both forms. */
#include "rings_rig.h"

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
	rig_q()->rx_putback(rig_q(), NULL, 4);
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

static void the_inline_form_gives_back_the_slots_of_the_last_peek(void **state)
{
	struct kbp_frame f[HOLD_MAX];
	struct script s = { .first = 0 };
	unsigned n;

	(void)state;
	kernel_receive(HOLD_MAX, false);
	n = kbp_rx_peek(rig_q(), f, HOLD_MAX);
	kbp_rx_release(rig_q(), f, n);
	assert_true(rig->rx.cons != rig->rx.prod);
	assert_int_equal(kbp_rx_each(rig_rx(), 4, play, &s), 0);
	assert_int_equal(rig->rx.cons, rig->rx.prod);
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
		PLAIN(the_inline_form_gives_back_the_slots_of_the_last_peek),
		PLAIN(kept_frames_are_returned_inside_the_handler_and_outside),
		PLAIN(returned_buffers_reach_the_kernel_with_the_next_poll_of_a_ring_that_is_not_empty),
		CHAINS(a_chain_is_never_split),
		CHAINS(stop_waits_for_the_end_of_a_chain),
		CHAINS(a_chain_whose_end_is_missing_waits_for_it),
		CHAINS(a_chain_longer_than_max_is_dropped_and_counted),
		CHAINS(a_chain_longer_than_hold_max_is_dropped_and_blocks_nothing),
		CHAINS(a_chain_that_does_not_fit_below_hold_max_waits_for_a_release),
	};

	return cmocka_run_group_tests_name("rings, receive", tests, NULL, NULL);
}
