/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving into posted buffers: a transcript of what a descriptor NIC does. */
#include "nic.h"

static struct nic n;

static int begin(void **state)
{
	(void)state;
	nic_begin(NIC_EF10);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static void the_doorbell_moves_in_steps_of_eight(void **state)
{
	ef_event evs[16];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 7);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 16), 0);
	nic_post(&n, 1);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 16), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_int_equal(nic_stat(&n, 2), 1);
}

static void a_ring_of_512_holds_511(void **state)
{
	(void)state;
	nic_open(&n, -1, 512, 0, 0);
	assert_int_equal(ef_vi_receive_capacity(&n.vi), 511);
	assert_int_equal(ef_vi_receive_space(&n.vi), 511);
	nic_post(&n, 511);
	assert_int_equal(ef_vi_receive_space(&n.vi), 0);
	assert_int_equal(ef_vi_receive_fill_level(&n.vi), 511);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 600), 600), -EAGAIN);
}

static void an_event_names_the_buffer_and_its_bytes(void **state)
{
	uint8_t frame[200];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 100);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_vi_receive_prefix_len(&n.vi), 0);
	n.next = 40;
	nic_post(&n, 8);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_int_equal(EF_EVENT_RX_RQ_ID(evs[0]), 40);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), len);
	assert_true(EF_EVENT_RX_SOP(evs[0]));
	assert_false(EF_EVENT_RX_CONT(evs[0]));
	assert_memory_equal(nic_buf(&n, 40), frame, len);
}

static void with_stamps_a_prefix_of_14_bytes_counts_in_the_length(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, EF_VI_RX_TIMESTAMPS);
	assert_int_equal(ef_vi_receive_prefix_len(&n.vi), 14);
	nic_post(&n, 8);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), 74);
	assert_memory_equal(nic_buf(&n, 0) + 14, frame, len);
}

static void a_short_frame_is_padded_to_60_bytes(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 1);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), 60);
}

static void a_long_frame_comes_in_parts_with_cumulative_lengths(void **state)
{
	static const unsigned lens[3] = { 1792, 3584, 4000 };
	uint8_t frame[4000];
	ef_event evs[8];

	(void)state;
	nic_mtu(9000);
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	assert_int_equal(ef_vi_receive_buffer_len(&n.vi), 1792);
	assert_int_equal(nic_frame(frame, NIC_IP, NIC_PORT, 4000 - 42), 4000);
	nic_inject(frame, 4000, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_RX);
		assert_int_equal(EF_EVENT_RX_BYTES(evs[i]), lens[i]);
		assert_int_equal(!!EF_EVENT_RX_SOP(evs[i]), i == 0);
		assert_int_equal(!!EF_EVENT_RX_CONT(evs[i]), i != 2);
	}
	assert_memory_equal(nic_buf(&n, 2), frame + 3584, 416);
}

static void the_buffer_length_may_be_set(void **state)
{
	uint8_t frame[1000];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 900);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	ef_vi_receive_set_buffer_len(&n.vi, 512);
	nic_post(&n, 8);
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), 512);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[1]), len);
}

static void a_bad_fcs_is_discarded_with_its_buffer_and_counted(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject(frame, len, NIC_BAD_FCS);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX_DISCARD);
	assert_int_equal(EF_EVENT_RX_DISCARD_TYPE(evs[0]), EF_EVENT_RX_DISCARD_CRC_BAD);
	assert_int_equal(EF_EVENT_RX_DISCARD_TYPE(evs[0]), 2);
	assert_int_equal(EF_EVENT_RX_DISCARD_RQ_ID(evs[0]), 0);
	assert_int_equal(EF_EVENT_RX_DISCARD_BYTES(evs[0]), 60);
	assert_int_equal(ef_vi_receive_fill_level(&n.vi), 7);
	assert_int_equal(nic_stat(&n, 0), 1);
}

static void a_bad_checksum_is_discarded(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	frame[41] ^= 1; /* of the UDP checksum */
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX_DISCARD);
	assert_int_equal(EF_EVENT_RX_DISCARD_TYPE(evs[0]), EF_EVENT_RX_DISCARD_CSUM_BAD);
	frame[41] ^= 1;
	frame[25] ^= 1; /* of the IP checksum */
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_RX_DISCARD_TYPE(evs[0]), EF_EVENT_RX_DISCARD_CSUM_BAD);
}

static void a_udp_checksum_of_zero_is_none(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	frame[40] = frame[41] = 0;
	nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
}

static void errors_masked_out_arrive_as_good_frames(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	assert_int_equal(ef_vi_receive_set_discards(&n.vi, EF_VI_DISCARD_RX_ETH_FCS_ERR), 0);
	frame[41] ^= 1;
	nic_inject(frame, len, NIC_GOOD);
	nic_inject(frame, len, NIC_BAD_FCS);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_int_equal(EF_EVENT_TYPE(evs[1]), EF_EVENT_TYPE_RX_DISCARD);
	ef_vi_receive_set_discards(&n.vi, 0);
	nic_inject(frame, len, NIC_BAD_FCS);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
}

static void an_empty_ring_drops_in_silence_and_counts(void **state)
{
	ef_event evs[32];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(20);
	assert_int_equal(nic_poll(&n, evs, 32), 8);
	assert_int_equal(nic_poll(&n, evs, 32), 0);
	assert_int_equal(nic_stat(&n, 2), 12);
}

static void buffers_that_run_out_in_a_long_frame_truncate_it(void **state)
{
	uint8_t frame[4000];
	ef_event evs[16];

	(void)state;
	nic_mtu(9000);
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(6);
	assert_int_equal(nic_frame(frame, NIC_IP, NIC_PORT, 4000 - 42), 4000);
	nic_inject(frame, 4000, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 16), 9);
	assert_true(EF_EVENT_RX_SOP(evs[6]) && EF_EVENT_RX_CONT(evs[6]));
	assert_true(EF_EVENT_RX_CONT(evs[7]));
	assert_int_equal(EF_EVENT_TYPE(evs[8]), EF_EVENT_TYPE_RX_NO_DESC_TRUNC);
	/* the next frame begins anew */
	nic_post(&n, 8);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 16), 1);
	assert_true(EF_EVENT_RX_SOP(evs[0]));
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), 60);
}

static void an_overrun_event_queue_tells_every_poll(void **state)
{
	ef_event evs[16];

	(void)state;
	nic_open(&n, 512, 1024, 0, 0);
	assert_int_equal(ef_eventq_capacity(&n.vi), 511);
	nic_post(&n, 1016);
	nic_inject_small(512);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(nic_poll(&n, evs, 16), 1);
		assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_OFLOW);
	}
}

static void a_full_event_queue_has_not_overflowed(void **state)
{
	ef_event evs[16];
	unsigned got = 0;
	int k;

	(void)state;
	nic_open(&n, 512, 1024, 0, 0);
	nic_post(&n, 1016);
	nic_inject_small(511);
	while ((k = nic_poll(&n, evs, 16)) > 0) {
		assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
		got += (unsigned)k;
	}
	assert_int_equal(got, 511);
}

static void multicast_is_flagged(void **state)
{
	uint8_t frame[64];
	ef_event evs[8];
	uint32_t len;

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(nic_filter_udp(&n, 0xef010203, 7000, NULL), 0);
	nic_post(&n, 8);
	len = nic_frame(frame, 0xef010203, 7000, 18);
	nic_inject(frame, len, NIC_GOOD);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	assert_true(evs[0].rx.flags & EF_EVENT_FLAG_MULTICAST);
	assert_false(evs[1].rx.flags & EF_EVENT_FLAG_MULTICAST);
}

static void merged_events_are_unbundled_and_lengths_stand_in_the_prefix(void **state)
{
	uint8_t frame[200];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 100);
	ef_request_id ids[EF_VI_RECEIVE_BATCH];
	uint16_t bytes = 0;
	unsigned seen = 0;
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, EF_VI_RX_EVENT_MERGE);
	assert_int_equal(ef_vi_receive_prefix_len(&n.vi), 14);
	nic_post(&n, 64);
	for (unsigned i = 0; i < 20; i++)
		nic_inject(frame, len, NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	for (unsigned i = 0; i < 2; i++) {
		int k = ef_vi_receive_unbundle(&n.vi, &evs[i], ids);

		assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_RX_MULTI);
		assert_true(EF_EVENT_RX_MULTI_SOP(evs[i]));
		assert_false(EF_EVENT_RX_MULTI_CONT(evs[i]));
		assert_int_equal(k, i ? 5 : 15);
		for (int j = 0; j < k; j++) {
			assert_int_equal(ids[j], seen++);
			ef_vi_receive_get_bytes(&n.vi, nic_buf(&n, (unsigned)ids[j]), &bytes);
			assert_int_equal(bytes, len);
			assert_memory_equal(nic_buf(&n, (unsigned)ids[j]) + 14, frame, len);
		}
	}
	assert_int_equal(ef_vi_receive_fill_level(&n.vi), 44);
}

static void bad_frames_are_not_merged_with_good_ones(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	ef_request_id ids[EF_VI_RECEIVE_BATCH];
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, EF_VI_RX_EVENT_MERGE);
	nic_post(&n, 16);
	nic_inject_small(3);
	nic_inject(frame, len, NIC_BAD_FCS);
	nic_inject_small(2);
	assert_int_equal(nic_poll(&n, evs, 8), 3);
	assert_int_equal(ef_vi_receive_unbundle(&n.vi, &evs[0], ids), 3);
	assert_int_equal(EF_EVENT_TYPE(evs[1]), EF_EVENT_TYPE_RX_MULTI_DISCARD);
	assert_int_equal(EF_EVENT_RX_MULTI_DISCARD_TYPE(evs[1]), EF_EVENT_RX_DISCARD_CRC_BAD);
	assert_int_equal(ef_vi_receive_unbundle(&n.vi, &evs[1], ids), 1);
	assert_int_equal(ids[0], 3);
	assert_int_equal(ef_vi_receive_unbundle(&n.vi, &evs[2], ids), 2);
}

static void a_reset_is_the_last_event(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	nic_reset();
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RESET);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
}

static void events_are_seen_before_they_are_polled(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	assert_false(ef_eventq_has_event(&n.vi));
	nic_inject_small(3);
	assert_true(ef_eventq_has_event(&n.vi));
	assert_true(ef_eventq_has_many_events(&n.vi, 2));
	assert_false(ef_eventq_has_many_events(&n.vi, 3));
	assert_int_equal(nic_poll(&n, evs, 2), 2);
	assert_true(ef_eventq_has_event(&n.vi));
	assert_int_equal(nic_poll(&n, evs, 2), 1);
	assert_false(ef_eventq_has_event(&n.vi));
}

static void queues_may_share_an_event_queue(void **state)
{
	uint8_t frame[64];
	ef_filter_spec fs;
	ef_event evs[8];
	ef_vi second;
	uint32_t len;

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_vi_alloc_from_pd(&second, n.dh, &n.pd, n.dh, 0, 512, 0, &n.vi, n.dh,
					     EF_VI_FLAGS_DEFAULT),
			 1);
	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	ef_filter_spec_set_ip4_local(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(5001));
	assert_int_equal(ef_vi_filter_add(&second, n.dh, &fs, NULL), 0);
	nic_post(&n, 8);
	for (unsigned i = 100; i < 108; i++)
		assert_int_equal(ef_vi_receive_post(&second, nic_addr(&n, i), (ef_request_id)i), 0);
	len = nic_frame(frame, NIC_IP, 5001, 18);
	nic_inject(frame, len, NIC_GOOD);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	assert_int_equal(EF_EVENT_RX_Q_ID(evs[0]), 1);
	assert_int_equal(EF_EVENT_RX_RQ_ID(evs[0]), 100);
	assert_int_equal(EF_EVENT_RX_Q_ID(evs[1]), 0);
	assert_int_equal(ef_vi_free(&second, n.dh), 0);
}

static void dma_addresses_are_contiguous_within_4_kib_only(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_memreg_dma_addr(&n.mr, 100) + 1000, ef_memreg_dma_addr(&n.mr, 1100));
	for (size_t page = 0; page < 64; page++)
		assert_int_not_equal(ef_memreg_dma_addr(&n.mr, page * 4096) + 4096,
				     ef_memreg_dma_addr(&n.mr, (page + 1) * 4096));
}

static void memory_must_begin_at_a_page(void **state)
{
	ef_memreg mr;

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_memreg_alloc(&mr, n.dh, &n.pd, n.dh, n.mem + 512, 8192), -EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(the_doorbell_moves_in_steps_of_eight),
		T(a_ring_of_512_holds_511),
		T(an_event_names_the_buffer_and_its_bytes),
		T(with_stamps_a_prefix_of_14_bytes_counts_in_the_length),
		T(a_short_frame_is_padded_to_60_bytes),
		T(a_long_frame_comes_in_parts_with_cumulative_lengths),
		T(the_buffer_length_may_be_set),
		T(a_bad_fcs_is_discarded_with_its_buffer_and_counted),
		T(a_bad_checksum_is_discarded),
		T(a_udp_checksum_of_zero_is_none),
		T(errors_masked_out_arrive_as_good_frames),
		T(an_empty_ring_drops_in_silence_and_counts),
		T(buffers_that_run_out_in_a_long_frame_truncate_it),
		T(an_overrun_event_queue_tells_every_poll),
		T(a_full_event_queue_has_not_overflowed),
		T(multicast_is_flagged),
		T(merged_events_are_unbundled_and_lengths_stand_in_the_prefix),
		T(bad_frames_are_not_merged_with_good_ones),
		T(a_reset_is_the_last_event),
		T(events_are_seen_before_they_are_polled),
		T(queues_may_share_an_event_queue),
		T(dma_addresses_are_contiguous_within_4_kib_only),
		T(memory_must_begin_at_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
