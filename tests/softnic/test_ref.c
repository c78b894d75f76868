/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving by reference and sending through the FIFO: a transcript of a CTPIO-only NIC. */
#include "nic.h"

static struct nic n;

static int begin(void **state)
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

static void packets_come_by_reference(void **state)
{
	uint8_t frame[200];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 100);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(n.vi.nic_type.arch, EF_VI_ARCH_EFCT);
	assert_int_equal(ef_vi_receive_prefix_len(&n.vi), 0);
	nic_inject(frame, len, NIC_GOOD);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_RX_REF);
		assert_int_equal(evs[i].rx_ref.len, len);
		assert_int_equal(evs[i].rx_ref.pkt_id & 0xffff, i);
		assert_memory_equal(efct_vi_rxpkt_get(&n.vi, evs[i].rx_ref.pkt_id), frame, len);
	}
	assert_ptr_equal((const uint8_t *)efct_vi_rxpkt_get(&n.vi, evs[0].rx_ref.pkt_id) + 2048,
			 efct_vi_rxpkt_get(&n.vi, evs[1].rx_ref.pkt_id));
	efct_vi_rxpkt_release(&n.vi, evs[1].rx_ref.pkt_id);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
}

static void buffers_cannot_be_posted(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 0), 0), -ENOSYS);
}

static void event_merging_is_refused(void **state)
{
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;

	(void)state;
	assert_int_equal(ef_driver_open(&dh), 0);
	assert_int_equal(ef_pd_alloc_by_name(&pd, dh, nic_name(), EF_PD_DEFAULT), 0);
	assert_int_equal(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, -1, -1, NULL, -1,
					     EF_VI_RX_EVENT_MERGE),
			 -EOPNOTSUPP);
	ef_pd_free(&pd, dh);
	ef_driver_close(dh);
}

static void dma_addresses_are_pointers(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_memreg_dma_addr(&n.mr, 5000), (uintptr_t)n.mem + 5000);
}

static void bad_frames_are_discards_that_must_be_released(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_inject(frame, len, NIC_BAD_FCS);
	frame[41] ^= 1;
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX_REF_DISCARD);
	assert_int_equal(evs[0].rx_ref_discard.flags, EF_VI_DISCARD_RX_ETH_FCS_ERR);
	assert_int_equal(EF_EVENT_TYPE(evs[1]), EF_EVENT_TYPE_RX_REF_DISCARD);
	assert_int_equal(evs[1].rx_ref_discard.flags, EF_VI_DISCARD_RX_L4_CSUM_ERR);
	assert_int_equal(evs[1].rx_ref_discard.len, len);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref_discard.pkt_id);
	efct_vi_rxpkt_release(&n.vi, evs[1].rx_ref_discard.pkt_id);
	ef_vi_receive_set_discards(&n.vi, 0);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX_REF);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
}

static void superbuffers_come_back_when_all_their_packets_did(void **state)
{
	static uint32_t held[1024];
	ef_event evs[64];
	unsigned got = 0;
	int k;

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	/* all there is: two superbuffers of 512 packets */
	nic_inject_small(1030);
	while ((k = nic_poll(&n, evs, 64)) > 0)
		for (int i = 0; i < k; i++)
			held[got++] = evs[i].rx_ref.pkt_id;
	assert_int_equal(got, 1024);
	assert_int_equal(held[511] & 0xffff, 511);
	assert_int_equal(held[512] & 0xffff, 0);
	assert_int_not_equal(held[0] >> 16, held[512] >> 16);
	assert_int_equal(nic_interface_drops() >= 6, 1);
	/* one packet of the first pins it */
	for (unsigned i = 1; i < 512; i++)
		efct_vi_rxpkt_release(&n.vi, held[i]);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 64), 0);
	efct_vi_rxpkt_release(&n.vi, held[0]);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 64), 1);
	assert_int_equal(evs[0].rx_ref.pkt_id >> 16, held[0] >> 16);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	for (unsigned i = 512; i < 1024; i++)
		efct_vi_rxpkt_release(&n.vi, held[i]);
}

static void packets_are_released_in_any_order_for_ever(void **state)
{
	uint32_t held[256];
	unsigned n_held = 0, got = 0, random = 1;
	ef_event evs[64];
	int k;

	(void)state;
	nic_open(&n, -1, 2048, -1, 0);
	for (unsigned round = 0; round < 400; round++) {
		nic_inject_small(32);
		while ((k = nic_poll(&n, evs, 64)) > 0)
			for (int i = 0; i < k; i++, got++)
				held[n_held++] = evs[i].rx_ref.pkt_id;
		while (n_held > 100) {
			unsigned i = (random = random * 1103515245u + 12345u) % n_held;

			efct_vi_rxpkt_release(&n.vi, held[i]);
			held[i] = held[--n_held];
		}
	}
	assert_int_equal(got, 400 * 32);
	while (n_held)
		efct_vi_rxpkt_release(&n.vi, held[--n_held]);
}

static void queues_are_shared_unless_exclusive(void **state)
{
	ef_filter_spec fs;
	uint8_t frame[64];
	struct nic other;
	ef_event evs[8];
	uint32_t len;

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_open_without_filter(&other, -1, -1, -1, 0);
	nic_inject_small(1); /* the other has no filter, and no queue */
	assert_int_equal(nic_poll(&other, evs, 8), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	assert_int_equal(nic_filter_udp(&other, NIC_IP, 6001, NULL), 0);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&other, evs, 8), 1); /* foreign, and here all the same */
	efct_vi_rxpkt_release(&other.vi, evs[0].rx_ref.pkt_id);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	nic_close(&other);

	nic_open_without_filter(&other, -1, -1, -1, 0);
	ef_filter_spec_init(&fs, EF_FILTER_FLAG_EXCLUSIVE_RXQ);
	ef_filter_spec_set_ip4_local(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(6001));
	assert_int_equal(ef_vi_filter_add(&other.vi, other.dh, &fs, NULL), 0);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&other, evs, 8), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	len = nic_frame(frame, NIC_IP, 6001, 18);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
	assert_int_equal(nic_poll(&other, evs, 8), 1);
	efct_vi_rxpkt_release(&other.vi, evs[0].rx_ref.pkt_id);
	nic_close(&other);
}

static void pio_is_not_supported(void **state)
{
	ef_pio pio;

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_pio_alloc(&pio, n.dh, &n.pd, 2048, n.dh), -EOPNOTSUPP);
	assert_int_equal(ef_vi_transmit_pio(&n.vi, 0, 60, 0), -EOPNOTSUPP);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 0, n.mem, 60, 0), -EOPNOTSUPP);
}

static void there_is_no_statistics_layout(void **state)
{
	const ef_vi_stats_layout *l;

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_vi_stats_query_layout(&n.vi, &l), -EINVAL);
}

/* ---------------------------------------------------------------- sending */

static void transmit_copies_from_any_memory_as_it_is(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	frame[41] ^= 1; /* nothing mends it */
	assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, (int)len, 9), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 9);
}

static void the_fifo_fills_by_bytes(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	static uint8_t frame[1514];
	unsigned sent = 0, done = 0;
	int space, rc;
	ef_event evs[16];

	(void)state;
	nic_frame(frame, 0x0a000002, 6000, 1472);
	nic_open(&n, -1, -1, -1, 0);
	nic_hold_completions(true);
	space = ef_vi_transmit_space_bytes(&n.vi);
	assert_int_equal(space, 32768 - 64 - 8);
	while (!(rc = ef_vi_transmit(&n.vi, (uintptr_t)frame, 1514, (ef_request_id)sent)))
		sent++;
	assert_int_equal(rc, -EAGAIN);
	/* 1514 bytes and a header of 8 take 1536 */
	assert_int_equal(sent, 21);
	assert_int_equal(ef_vi_transmit_space_bytes(&n.vi), space - 21 * 1536);
	assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, 60, 99), 0);
	nic_hold_completions(false);
	for (int k = nic_poll(&n, evs, 16), i = 0; i < k; i++)
		done += (unsigned)ef_vi_transmit_unbundle(&n.vi, &evs[i], ids);
	assert_int_equal(done, 22);
	assert_int_equal(ef_vi_transmit_space_bytes(&n.vi), space);
}

static void the_fifo_wraps_for_ever(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	static uint8_t frame[1514], out[2048];
	ef_event evs[4];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t len = nic_frame(frame, 0x0a000002, (uint16_t)i, i % 1400 + 18);

		assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, (int)len, (ef_request_id)i),
				 0);
		assert_int_equal(nic_collect(out, sizeof(out)), len);
		assert_memory_equal(out, frame, len);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
		assert_int_equal(ids[0], i);
	}
}

static void ctpio_gets_its_id_from_the_fallback(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, (uintptr_t)frame, len, 31), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_true(EF_EVENT_TX_CTPIO(evs[0]));
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 31);
}

#ifdef ef_vi_start_transmit_warm /* not in Onload 8.1 */
static void warm_sends_complete_without_an_id(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	ef_vi_tx_warm_state saved;
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	ef_vi_start_transmit_warm(&n.vi, &saved, NULL);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, (uintptr_t)frame, len, 31), 0);
	ef_vi_stop_transmit_warm(&n.vi, &saved);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 0);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
}
#endif

static void stamped_sends_complete_one_by_one(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[16];

	(void)state;
	nic_open(&n, -1, -1, -1, EF_VI_TX_TIMESTAMPS);
	nic_poll(&n, evs, 16); /* the first clock event */
	nic_clock_advance(1000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ef_vi_transmit(&n.vi, (uintptr_t)frame, (int)len, (ef_request_id)i),
				 0);
	assert_int_equal(nic_poll_until(&n, evs, 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_TX_WITH_TIMESTAMP);
		assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(evs[i]), i);
		assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_SEC(evs[i]), 1000);
		assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_NSEC(evs[i]), 1000);
	}
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
}

static void a_stamp_is_whole_and_needs_no_clock_event(void **state)
{
	uint64_t ns;
	unsigned flags;
	ef_event evs[8];

	(void)state;
	nic_clock_events(false);
	nic_open(&n, -1, -1, -1, EF_VI_RX_TIMESTAMPS);
	nic_clock_set(1234567890123456789u);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(nic_stamp(&n, efct_vi_rxpkt_get(&n.vi, evs[0].rx_ref.pkt_id), &ns, &flags),
			 0);
	assert_int_equal(ns, 1234567890123456789u);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(packets_come_by_reference),
		T(buffers_cannot_be_posted),
		T(event_merging_is_refused),
		T(dma_addresses_are_pointers),
		T(bad_frames_are_discards_that_must_be_released),
		T(superbuffers_come_back_when_all_their_packets_did),
		T(packets_are_released_in_any_order_for_ever),
		T(queues_are_shared_unless_exclusive),
		T(pio_is_not_supported),
		T(there_is_no_statistics_layout),
		T(transmit_copies_from_any_memory_as_it_is),
		T(the_fifo_fills_by_bytes),
		T(the_fifo_wraps_for_ever),
		T(ctpio_gets_its_id_from_the_fallback),
#ifdef ef_vi_start_transmit_warm
		T(warm_sends_complete_without_an_id),
#endif
		T(stamped_sends_complete_one_by_one),
		T(a_stamp_is_whole_and_needs_no_clock_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
