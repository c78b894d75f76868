/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stamps of af_xdp on plain memory: what the XDP program and a NIC may write, also where no NIC is here to
 * write it.
 */
#include <time.h>

#include "rings_rig.h"

#define HOUR 3600000000000u

static struct kbp_queue_info info;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct kbp_port nic_port = { .phc = 3 };

/* A queue whose port's program has this for its stamper. */
static void stamped(uint32_t flags, unsigned chain, enum kbp_xdp_stamper stamper)
{
	struct kbp_axdp_port a = { .stamps = true };

	rig_up(KBP_QUEUE_RX_STAMPS | flags, chain);
	a.stamper = &rig->stamper;
	rig->stamper = stamper;
	rig->full.mode = KBP_MODE_COPY;
	rig_q()->port = &nic_port;
	kbp_axdp_stamps_begin(&rig->full, &a);
}

static void info_read(void)
{
	memset(&info, 0, sizeof(info));
	info.flags = rig_q()->flags;
	info.ts_phc = -1;
	kbp_axdp_stamps_info(&rig->full, &info);
}

/* One frame with this stamp, by the array form; what the accessor says is the same. */
static struct kbp_stamp receive(uint64_t stamp)
{
	struct kbp_stamp s;
	struct kbp_frame f;

	rig->rx_stamp = stamp;
	assert_int_equal(kernel_receive(1, false), 1);
	assert_int_equal(rig_q()->rx_peek(rig_q(), &f, 1), 1);
	s = kbp_frame_ts(rig_rx(), &f);
	assert_int_equal(f.ts_ns, s.ns);
	assert_int_equal(f.flags, s.flags);
	assert_int_equal(s.frac, 0);
	rig_q()->rx_release(rig_q(), &f, 1);
	return s;
}

static void a_nics_stamps_are_proven_when_they_move(void **state)
{
	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_OPEN);
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_DRIVER); /* until one was seen, no NIC's are promised */
	assert_int_equal(info.ts_proof, KBP_BOUND);
	rig->stamper = KBP_XDP_STAMPER_NIC; /* as the program writes with the first of them */
	assert_int_equal(receive(1000).ns, 1000);
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_NIC);
	assert_int_equal(info.ts_epoch, KBP_EPOCH_PHC);
	assert_int_equal(info.ts_phc, 3);
	assert_int_equal(info.ts_proof, KBP_BOUND); /* one says nothing: they may all be the same */
	assert_int_equal(receive(2000).flags, KBP_FRAME_TS);
	info_read();
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	assert_int_equal(rig_x()->special, 0); /* a poll is plain again */
}

static void a_frame_without_a_stamp_says_so(void **state)
{
	struct kbp_stamp s;

	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_NIC);
	receive(1000);
	s = receive(0);
	assert_int_equal(s.ns, 0);
	assert_int_equal(s.flags, KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT);
	assert_int_equal(receive(3000).flags, KBP_FRAME_TS);
}

static void a_stamp_that_does_not_move_proves_nothing(void **state)
{
	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_NIC);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(receive(1000).ns, 1000);
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_NIC);
	assert_int_equal(info.ts_proof, KBP_BOUND);
}

static void a_software_stamp_of_another_time_proves_nothing(void **state)
{
	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_SOFTWARE);
	receive(now() + 2 * HOUR);
	receive(now() + 2 * HOUR + 5);
	info_read();
	assert_int_equal(info.ts_proof, KBP_BOUND);
	receive(now());
	receive(now());
	info_read();
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	assert_int_equal(info.ts_phc, -1);
}

static void who_watches_a_clock_first_keeps_the_source_that_was_announced(void **state)
{
	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_OPEN);
	kbp_axdp_stamps_sync(rig_q(), KBP_SYNC_NEVER, false);
	assert_int_equal(rig->stamper, KBP_XDP_STAMPER_OPEN);
	kbp_axdp_stamps_sync(rig_q(), KBP_SYNC_NEVER, true);
	assert_int_equal(rig->stamper, KBP_XDP_STAMPER_SOFTWARE);
	rig->stamper = KBP_XDP_STAMPER_NIC;
	kbp_axdp_stamps_sync(rig_q(), KBP_SYNC_NEVER, true); /* what was settled stays */
	assert_int_equal(rig->stamper, KBP_XDP_STAMPER_NIC);
}

static void bytes_that_the_program_did_not_write_are_no_stamp(void **state)
{
	struct kbp_port port = { .info.driver = "nosuch" };

	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_NO_ROOM);
	rig_q()->port = &port;
	assert_int_equal(receive(11).flags, 0);
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_NONE);
	assert_false(info.flags & KBP_QUEUE_RX_STAMPS);
	assert_non_null(strstr(info.note, "nosuch"));
	assert_int_equal(receive(13).ns, 0);
	assert_int_equal(rig_x()->special, 0);
}

static void in_generic_mode_the_source_is_the_kernel(void **state)
{
	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_SOFTWARE);
	rig->full.mode = KBP_MODE_GENERIC;
	receive(now());
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_KERNEL);
	assert_int_equal(info.ts_resolution_ps, 1000);
}

static unsigned same_stamp(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp s = kbp_frame_ts(rx, &f);

	assert_int_equal(s.ns, *(uint64_t *)arg);
	return KBP_DONE;
}

/* The buffers of later parts still hold what an earlier packet left in front of them. */
static void all_parts_of_a_chain_have_its_stamp(void **state)
{
	uint64_t t = now();

	(void)state;
	stamped(KBP_QUEUE_MULTI_BUFFER, 4, KBP_XDP_STAMPER_SOFTWARE);
	for (unsigned round = 0; round < 40; round++) {
		struct kbp_frame f[4];

		t++;
		rig->rx_stamp = t;
		assert_int_equal(kernel_receive(3, true), 3);
		if (round & 1) {
			assert_int_equal(kbp_axdp_rx_each(rig_rx(), 4, same_stamp, &t), 3);
			continue;
		}
		assert_int_equal(rig_q()->rx_peek(rig_q(), f, 4), 3);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(f[i].ts_ns, t);
		rig_q()->rx_release(rig_q(), f, 3);
	}
}

static void a_published_window_makes_a_stamp_in_sync(void **state)
{
	uint64_t t = now();

	(void)state;
	stamped(0, 1, KBP_XDP_STAMPER_SOFTWARE);
	rig_q()->sync_shift = -t;
	assert_int_equal(receive(t - 1).flags, KBP_FRAME_TS);
	assert_int_equal(receive(t).flags, KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT);
	assert_int_equal(receive(t + KBP_SYNC_SPAN_NS).flags, KBP_FRAME_TS);
	assert_int_equal(receive(0).flags, KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT);
}

/* ---------------------------------------------------------------- sent frames */

static void sender(uint32_t flags, enum kbp_mode mode)
{
	rig_up(KBP_QUEUE_COMPLETIONS | KBP_QUEUE_TX_STAMPS | flags, 4);
	rig->full.mode = mode;
	rig_q()->port = &nic_port;
}

static struct kbp_completion reap_one(void)
{
	struct kbp_completion c = { 0 };

	assert_int_equal(kernel_complete(1), 1);
	assert_int_equal(rig_q()->tx_reap(rig_q(), &c, 1), 1);
	return c;
}

static struct kbp_completion send_one(uint64_t stamp)
{
	struct kbp_frame f;

	rig->tx_stamp = stamp;
	assert_int_equal(rig_q()->tx_reserve(&rig->flow, &f, 1), 1);
	f.len = 4;
	assert_int_equal(rig_q()->tx_submit(rig_q(), &f, 1), 1);
	assert_int_equal(kernel_take(1), 1);
	return reap_one();
}

static void completions_bring_the_stamp_of_their_own_frame(void **state)
{
	struct kbp_frame none[1];
	uint64_t t = now();

	(void)state;
	sender(0, KBP_MODE_COPY);
	assert_int_equal(send_one(t).ts_ns, t);
	assert_int_equal(send_one(t + 1).flags, KBP_FRAME_TS);
	/* a driver that ignores the wish: what an earlier frame left in the buffer is not told again */
	for (unsigned i = 0; i < 2 * N_TX; i++) {
		struct kbp_completion c = send_one(0);

		assert_int_equal(c.ts_ns, 0);
		assert_int_equal(c.flags, KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT);
	}
	info_read();
	assert_int_equal(info.ts_source, KBP_TS_NONE);
	assert_int_equal(info.ts_source_tx, KBP_TS_KERNEL);
	assert_int_equal(info.ts_epoch_tx, KBP_EPOCH_TAI);
	assert_int_equal(info.ts_proof_tx, KBP_PROVEN);
	check_owners(none, 0, none, 0);
}

static void in_zero_copy_the_stamps_are_the_nics_once_they_move(void **state)
{
	(void)state;
	sender(0, KBP_MODE_ZEROCOPY);
	send_one(4000);
	send_one(4000);
	info_read();
	assert_int_equal(info.ts_source_tx, KBP_TS_NIC);
	assert_int_equal(info.ts_epoch_tx, KBP_EPOCH_PHC);
	assert_int_equal(info.ts_phc, 3);
	assert_int_equal(info.ts_proof_tx, KBP_BOUND);
	send_one(5000);
	info_read();
	assert_int_equal(info.ts_proof_tx, KBP_PROVEN);
}

/* Receiving software stamps and sending the NIC's: the watched clock is that of the received ones. */
static void a_watched_clock_vouches_for_its_own_stamps_only(void **state)
{
	uint64_t t = now();

	(void)state;
	stamped(KBP_QUEUE_COMPLETIONS | KBP_QUEUE_TX_STAMPS, 1, KBP_XDP_STAMPER_SOFTWARE);
	rig_q()->sync_shift = -t;
	assert_int_equal(send_one(t).flags, KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT);
	rig->full.mode = KBP_MODE_ZEROCOPY;
	assert_int_equal(send_one(t).flags, KBP_FRAME_TS);
}

static void the_inline_form_asks_for_stamps_too(void **state)
{
	uint32_t number = 0;

	(void)state;
	sender(0, KBP_MODE_COPY);
	rig->tx_stamp = 77;
	for (unsigned i = 0; i < 3 * N_TX; i++) {
		assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 2, write_number, &number), 2);
		assert_int_equal(kernel_take(2), 2);
		assert_int_equal(reap_one().ts_ns, 77);
		assert_int_equal(reap_one().ts_ns, 77);
	}
	assert_int_equal(rig->asked, 6 * N_TX);
	assert_int_equal(kbp_tx_each(rig_tx(&rig->flow), 0, write_number, &number), 0);
}

static void templates_ask_for_stamps_too(void **state)
{
	(void)state;
	sender(0, KBP_MODE_COPY);
	rig->tx_stamp = 88;
	for (unsigned i = 0; i < 2; i++) {
		struct kbp_completion c;

		assert_int_equal(kbp_backend_af_xdp.template_send(&rig->tpl[1]), 1);
		assert_int_equal(kernel_take(1), 1);
		c = reap_one();
		assert_int_equal(c.token, rig->tpl[1].token);
		assert_int_equal(c.ts_ns, 88);
	}
}

static void a_chain_sent_on_has_one_stamp(void **state)
{
	struct kbp_frame f[3];

	(void)state;
	sender(KBP_QUEUE_MULTI_BUFFER, KBP_MODE_COPY);
	rig->tx_stamp = 99;
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(kernel_receive(3, true), 3);
		assert_int_equal(rig_q()->rx_peek(rig_q(), f, 3), 3);
		assert_int_equal(rig_q()->tx_submit(rig_q(), f, 3), 3);
		assert_int_equal(kernel_take(3), 3);
		for (unsigned i = 0; i < 3; i++) {
			struct kbp_completion c = reap_one();

			assert_int_equal(c.token, f[i].token);
			assert_int_equal(c.ts_ns, i ? 0 : 99);
		}
	}
	assert_int_equal(rig->asked, 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, rig_down)
	const struct CMUnitTest tests[] = {
		T(a_nics_stamps_are_proven_when_they_move),
		T(a_frame_without_a_stamp_says_so),
		T(a_stamp_that_does_not_move_proves_nothing),
		T(a_software_stamp_of_another_time_proves_nothing),
		T(who_watches_a_clock_first_keeps_the_source_that_was_announced),
		T(bytes_that_the_program_did_not_write_are_no_stamp),
		T(in_generic_mode_the_source_is_the_kernel),
		T(all_parts_of_a_chain_have_its_stamp),
		T(a_published_window_makes_a_stamp_in_sync),
		T(completions_bring_the_stamp_of_their_own_frame),
		T(in_zero_copy_the_stamps_are_the_nics_once_they_move),
		T(a_watched_clock_vouches_for_its_own_stamps_only),
		T(the_inline_form_asks_for_stamps_too),
		T(templates_ask_for_stamps_too),
		T(a_chain_sent_on_has_one_stamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
