/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults on demand, and an early wrap of every index. */
#include "nic.h"

#include <softnic.h>

static struct nic n;

static int begin(void **state)
{
	(void)state;
	nic_begin(NIC_EF10);
	return 0;
}

static int begin_ctpio(void **state)
{
	(void)state;
	nic_begin(NIC_EF10_CTPIO);
	return 0;
}

static int begin_ref(void **state)
{
	(void)state;
	nic_begin(NIC_EFCT);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static void fault(enum softnic_fault f, unsigned value)
{
	assert_int_equal(softnic_fault(nic_name(), f, value), 0);
}

static unsigned discards(const ef_event *evs, int k, unsigned type)
{
	unsigned d = 0;

	for (int i = 0; i < k; i++)
		if (EF_EVENT_TYPE(evs[i]) == EF_EVENT_TYPE_RX_DISCARD)
			d += EF_EVENT_RX_DISCARD_TYPE(evs[i]) == type;
	return d;
}

static void every_third_frame_is_bad(void **state)
{
	ef_event evs[32];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 64);
	fault(SOFTNIC_EVERY_BAD_FCS, 3);
	nic_inject_small(30);
	assert_int_equal(nic_poll(&n, evs, 32), 30);
	assert_int_equal(discards(evs, 30, EF_EVENT_RX_DISCARD_CRC_BAD), 10);
	assert_int_equal(softnic_faults_clear(nic_name()), 0);
	fault(SOFTNIC_EVERY_BAD_CSUM, 2);
	nic_inject_small(30);
	assert_int_equal(nic_poll(&n, evs, 32), 30);
	assert_int_equal(discards(evs, 30, EF_EVENT_RX_DISCARD_CSUM_BAD), 15);
}

static void every_second_stamp_is_missing(void **state)
{
	unsigned missing = 0, flags;
	ef_event evs[32];
	uint64_t ns;

	(void)state;
	nic_open(&n, -1, -1, 0, EF_VI_RX_TIMESTAMPS);
	nic_post(&n, 64);
	fault(SOFTNIC_EVERY_NO_STAMP, 2);
	nic_inject_small(10);
	assert_int_equal(nic_poll_until(&n, evs, 10), 10);
	for (unsigned i = 0; i < 10; i++)
		missing += nic_stamp(&n, nic_buf(&n, i), &ns, &flags) == -ENODATA;
	assert_int_equal(missing, 5);
}

static void a_starving_nic_drops(void **state)
{
	struct softnic_info before, after;
	ef_event evs[32];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 64);
	assert_int_equal(softnic_info_get(nic_name(), &before), 0);
	fault(SOFTNIC_STARVE, 1);
	nic_inject_small(5);
	assert_int_equal(nic_poll(&n, evs, 32), 0);
	fault(SOFTNIC_STARVE, 0);
	nic_inject_small(5);
	assert_int_equal(nic_poll(&n, evs, 32), 5);
	assert_int_equal(nic_stat(&n, 2), 5);
	assert_int_equal(softnic_info_get(nic_name(), &after), 0);
	assert_int_equal(after.rx_no_desc - before.rx_no_desc, 5);
	assert_int_equal(after.delivered - before.delivered, 5);
	assert_int_equal(after.wire_rx - before.wire_rx, 10);
}

static void a_starving_nic_drops_by_reference(void **state)
{
	uint64_t before = nic_interface_drops();
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	fault(SOFTNIC_STARVE, 1);
	nic_inject_small(5);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
	assert_int_equal(nic_interface_drops() - before, 5);
	fault(SOFTNIC_STARVE, 0);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
}

static void an_event_queue_overflows_now(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	fault(SOFTNIC_OVERFLOW, 1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_OFLOW);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_OFLOW);
	/* a VI opened anew works */
	nic_close(&n);
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
}

static void after_a_reset_sends_go_nowhere(void **state)
{
	struct softnic_info info;
	uint8_t out[2048];
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 512, 0);
	fault(SOFTNIC_RESET, 1);
	assert_int_equal(softnic_info_get(nic_name(), &info), 0);
	assert_true(info.reset);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(nic_send(&n, i, 18), 0);
	assert_int_equal(nic_send(&n, 600, 18), -EAGAIN);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RESET);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
}

static void a_full_ctpio_fifo_needs_the_fallback(void **state)
{
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	fault(SOFTNIC_CTPIO_FULL, 1);
	memcpy(nic_buf(&n, 0), frame, len);
	memset(nic_buf(&n, 0) + 40, 0, 2); /* a fallback goes the way of DMA, checksums included */
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 0), len, 0), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
}

static void a_full_fifo_refuses_everything(void **state)
{
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	fault(SOFTNIC_CTPIO_FULL, 1);
	assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, (int)len, 1), -EAGAIN);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, (uintptr_t)frame, len, 1), -EAGAIN);
	fault(SOFTNIC_CTPIO_FULL, 0);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, (uintptr_t)frame, len, 1), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
}

static void a_superbuffer_may_end_early(void **state)
{
	struct softnic_owned owned;
	uint32_t first;
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_inject_small(2);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	first = evs[0].rx_ref.pkt_id;
	efct_vi_rxpkt_release(&n.vi, evs[1].rx_ref.pkt_id);
	fault(SOFTNIC_ROLLOVER, 1);
	nic_inject_small(1);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_not_equal(evs[0].rx_ref.pkt_id >> 16, first >> 16);
	assert_int_equal(softnic_owned_by_nic(&n.vi, &owned), 0);
	assert_int_equal(owned.pkts_out, 2);
	assert_int_equal(owned.superbufs_pinned, 2);
	efct_vi_rxpkt_release(&n.vi, first);
	assert_int_equal(softnic_owned_by_nic(&n.vi, &owned), 0);
	assert_int_equal(owned.superbufs_pinned, 1); /* the unused packets counted as released */
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
}

static void frames_of_others_come_through_a_shared_queue(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, 0x01020304, 9, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(softnic_inject(nic_name(), frame, len, SOFTNIC_UNMATCHED), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	assert_int_equal(softnic_inject(nic_name(), frame, len, 0), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
}

static void indices_wrap_at_2_to_the_32(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t out[2048];
	ef_event evs[8];

	(void)state;
	softnic_first_index(0xffffffc0u);
	nic_open(&n, -1, 512, 512, 0);
	for (unsigned i = 0; i < 400; i++) {
		nic_post(&n, 1);
		n.next %= 1000;
	}
	for (unsigned i = 0; i < 300; i++) {
		nic_inject_small(1);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
		assert_int_equal(EF_EVENT_RX_RQ_ID(evs[0]), i);
		assert_int_equal(nic_send(&n, 1100, 18), 0);
		assert_int_equal(nic_collect(out, sizeof(out)), 60);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	}
}

static void indices_wrap_by_reference_too(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	softnic_first_index(0xffffffc0u);
	nic_open(&n, -1, -1, -1, 0);
	for (unsigned i = 0; i < 3000; i++) {
		nic_inject_small(1);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
		assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, (int)len, (ef_request_id)i),
				 0);
		assert_int_equal(nic_collect(out, sizeof(out)), len);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
		assert_int_equal(ids[0], i);
	}
}

static void an_unknown_fault_is_refused(void **state)
{
	(void)state;
	assert_int_equal(softnic_fault(nic_name(), SOFTNIC_FAULTS, 1), -EINVAL);
	assert_int_equal(softnic_fault("nosuchif0", SOFTNIC_STARVE, 1), -ENODEV);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define C(f) cmocka_unit_test_setup_teardown(f, begin_ctpio, end)
#define R(f) cmocka_unit_test_setup_teardown(f, begin_ref, end)
	const struct CMUnitTest tests[] = {
		T(every_third_frame_is_bad),
		T(every_second_stamp_is_missing),
		T(a_starving_nic_drops),
		R(a_starving_nic_drops_by_reference),
		T(an_event_queue_overflows_now),
		T(after_a_reset_sends_go_nowhere),
		C(a_full_ctpio_fifo_needs_the_fallback),
		R(a_full_fifo_refuses_everything),
		R(a_superbuffer_may_end_early),
		R(frames_of_others_come_through_a_shared_queue),
		T(indices_wrap_at_2_to_the_32),
		R(indices_wrap_by_reference_too),
		T(an_unknown_fault_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
