/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings_tx.c - the TX and completion rings of af_xdp, in both forms, and the doorbell. */
#include "rings_rig.h"

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

static unsigned cancel_it(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	unsigned *frames = arg;

	if ((*frames)++ != 1)
		return KBP_DONE;
	kbp_tx_cancel(rx.q, &f, 1);
	return KBP_KEEP;
}

static void a_received_frame_is_cancelled_from_inside_the_handler(void **state)
{
	struct kbp_frame f[4];
	unsigned frames = 0;

	(void)state;
	kernel_receive(3, false);
	assert_int_equal(kbp_rx_each(rig_rx(), 8, cancel_it, &frames), 3);
	kbp_rx_peek(rig_q(), f, 4);
	check_owners(NULL, 0, NULL, 0);
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
}

static void a_few_free_buffers_do_not_hide_that_the_rest_is_stuck(void **state)
{
	uint32_t next = 0;

	(void)state;
	rig->tx.flags = XDP_RING_NEED_WAKEUP;
	rig->answer = ENETDOWN;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), N_TX - 1, write_number, &next), N_TX - 1);
	rig->answer = 0;
	rig->takes = N_TX;
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 2, write_number, &next), 1);
	assert_true(kernel_complete(N_TX) >= N_TX - 1);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 2, write_number, &next), 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		PLAIN(a_received_frame_is_cancelled_from_inside_the_handler),
		PLAIN(a_few_free_buffers_do_not_hide_that_the_rest_is_stuck),
		PLAIN(a_queue_without_one_direction_refuses_it_quietly),
	};

	return cmocka_run_group_tests_name("rings, send", tests, NULL, NULL);
}
