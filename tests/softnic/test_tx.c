/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending from a descriptor ring, by PIO and by CTPIO: a transcript. */
#include "nic.h"

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

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static void a_sent_frame_is_on_the_wire_and_completes(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t out[2048];
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	assert_int_equal(nic_send(&n, 7, 100), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), 142);
	assert_memory_equal(out, nic_buf(&n, 7), 142);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 1);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_false(EF_EVENT_TX_CTPIO(evs[0]));
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 7);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
}

static void a_ring_of_512_holds_511_and_completes_in_8_events(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	unsigned next = 0;
	ef_event evs[16];
	int k;

	(void)state;
	nic_open(&n, -1, 0, 512, 0);
	assert_int_equal(ef_vi_transmit_capacity(&n.vi), 511);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(nic_send(&n, i, 18), 0);
	assert_int_equal(ef_vi_transmit_space(&n.vi), 0);
	assert_int_equal(nic_send(&n, 600, 18), -EAGAIN);
	k = nic_poll(&n, evs, 16);
	assert_int_equal(k, 8);
	for (int e = 0; e < k; e++) {
		int got = ef_vi_transmit_unbundle(&n.vi, &evs[e], ids);

		assert_in_range(got, 1, EF_VI_TRANSMIT_BATCH);
		for (int i = 0; i < got; i++)
			assert_int_equal(ids[i], next++);
	}
	assert_int_equal(next, 511);
	assert_int_equal(ef_vi_transmit_space(&n.vi), 511);
	assert_int_equal(nic_send(&n, 600, 18), 0);
}

static void rings_wrap_many_times(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t out[2048];
	ef_event evs[4];

	(void)state;
	nic_open(&n, -1, 0, 512, 0);
	for (unsigned i = 0; i < 5000; i++) {
		assert_int_equal(nic_send(&n, i % 1000, 18), 0);
		assert_int_equal(nic_collect(out, sizeof(out)), 60);
		assert_int_equal(nic_poll_until(&n, evs, 1), 1);
		assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
		assert_int_equal(ids[0], i % 1000);
	}
}

static void frames_wait_for_the_doorbell(void **state)
{
	uint8_t out[2048];

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	nic_frame(nic_buf(&n, 0), 0x0a000002, 6000, 18);
	nic_frame(nic_buf(&n, 1), 0x0a000002, 6001, 18);
	assert_int_equal(ef_vi_transmit_init(&n.vi, nic_addr(&n, 0), 60, 0), 0);
	assert_int_equal(ef_vi_transmit_init(&n.vi, nic_addr(&n, 1), 60, 1), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	ef_vi_transmit_push(&n.vi);
	assert_int_equal(nic_collect(out, sizeof(out)), 60);
	assert_int_equal(nic_collect(out, sizeof(out)), 60);
}

static void what_was_not_rung_can_be_undone(void **state)
{
	uint8_t out[2048];

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	nic_frame(nic_buf(&n, 0), 0x0a000002, 6000, 18);
	assert_int_equal(ef_vi_transmit_init(&n.vi, nic_addr(&n, 0), 60, 0), 0);
	assert_int_equal(ef_vi_transmit_init(&n.vi, nic_addr(&n, 0), 60, 1), 0);
	ef_vi_transmit_init_undo(&n.vi);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
	assert_int_equal(nic_send(&n, 2, 18), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), 60);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
}

static void only_the_last_part_of_a_frame_carries_its_id(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[300], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 200);
	ef_iovec iov[3];
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	memcpy(nic_buf(&n, 0), frame, 42);
	memcpy(nic_buf(&n, 1), frame + 42, 100);
	memcpy(nic_buf(&n, 2), frame + 142, 100);
	for (unsigned i = 0; i < 3; i++) {
		iov[i].iov_base = nic_addr(&n, i);
		iov[i].iov_len = i ? 100 : 42;
	}
	assert_int_equal(ef_vi_transmitv(&n.vi, iov, 3, 77), 0);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 3);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 77);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
}

static void dma_inserts_checksums_unless_told_not_to(void **state)
{
	uint8_t out[2048];

	(void)state;
	for (unsigned off = 0; off < 2; off++) {
		nic_open(&n, -1, 0, -1, off ? EF_VI_TX_IP_CSUM_DIS | EF_VI_TX_TCPUDP_CSUM_DIS : 0);
		nic_frame(nic_buf(&n, 0), 0x0a000002, 6000, 100);
		memset(nic_buf(&n, 0) + 24, 0, 2);
		memset(nic_buf(&n, 0) + 40, 0, 2);
		assert_int_equal(ef_vi_transmit(&n.vi, nic_addr(&n, 0), 142, 0), 0);
		assert_int_equal(nic_collect(out, sizeof(out)), 142);
		if (off)
			assert_memory_equal(out, nic_buf(&n, 0), 142);
		else
			assert_true(frame_checksums_ok(out, 142));
		nic_close(&n);
	}
}

static void late_completions_keep_the_ring_full(void **state)
{
	uint8_t out[2048];
	ef_event evs[16];

	(void)state;
	nic_open(&n, -1, 0, 512, 0);
	nic_hold_completions(true);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(nic_send(&n, i, 18), 0);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(nic_collect(out, sizeof(out)), 60);
	assert_int_equal(nic_poll(&n, evs, 16), 0);
	assert_int_equal(nic_send(&n, 600, 18), -EAGAIN);
	nic_hold_completions(false);
	assert_int_equal(nic_poll(&n, evs, 16), 8);
}

/* ---------------------------------------------------------------- PIO */

static ef_pio pio;

static void open_pio(void)
{
	nic_open(&n, -1, 0, -1, 0);
	assert_int_equal(ef_pio_alloc(&pio, n.dh, &n.pd, (unsigned)-1, n.dh), 0);
	assert_int_equal(ef_pio_link_vi(&pio, n.dh, &n.vi, n.dh), 0);
	assert_int_equal(ef_vi_get_pio_size(&n.vi), 2048);
}

static void close_pio(void)
{
	assert_int_equal(ef_pio_unlink_vi(&pio, n.dh, &n.vi, n.dh), 0);
	assert_int_equal(ef_pio_free(&pio, n.dh), 0);
}

static void pio_sends_what_was_written_into_the_nic(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[200], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 100);
	ef_event evs[8];

	(void)state;
	open_pio();
	assert_int_equal(ef_pio_memcpy(&n.vi, frame, 128, (int)len), 0);
	assert_int_equal(ef_vi_transmit_pio(&n.vi, 128, (int)len, 3), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 3);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 512, frame, (int)len, 4), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	close_pio();
}

static void pio_offsets_are_aligned_to_64(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);

	(void)state;
	open_pio();
	assert_int_equal(ef_vi_transmit_pio(&n.vi, 32, (int)len, 0), -EINVAL);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 8, frame, (int)len, 0), -EINVAL);
	close_pio();
}

#ifdef ef_vi_start_transmit_warm /* not in Onload 8.1 */
static void warming_a_ring_sends_nothing(void **state)
{
	ef_vi_tx_warm_state saved;
	static char scratch[4096];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	open_pio();
	ef_vi_start_transmit_warm(&n.vi, &saved, scratch);
	assert_int_equal(nic_send(&n, 0, 18), -EAGAIN);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 0, frame, (int)len, 0), -EAGAIN);
	ef_vi_stop_transmit_warm(&n.vi, &saved);
	ef_vi_transmit_copy_pio_warm(&n.vi, 0, frame, (int)len);
	ef_vi_transmit_pio_warm(&n.vi);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
	assert_int_equal(nic_send(&n, 0, 18), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), 60);
	close_pio();
}
#endif

/* ---------------------------------------------------------------- CTPIO */

static void ctpio_sends_at_once_and_its_completion_says_so(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	memcpy(nic_buf(&n, 5), frame, len);
	ef_vi_transmit_ctpio(&n.vi, frame, len, EF_VI_CTPIO_CT_THRESHOLD_SNF);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 5), len, 5), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_true(EF_EVENT_TX_CTPIO(evs[0]));
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ids[0], 5);
}

static void a_lost_ctpio_sends_its_fallback_once(void **state)
{
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	nic_ctpio_loses(true);
	memcpy(nic_buf(&n, 5), frame, len);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 5), len, 5), 0);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_false(EF_EVENT_TX_CTPIO(evs[0]));
}

static void ctpio_sends_bytes_as_given(void **state)
{
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	frame[40] = 0x12;
	frame[41] = 0x34;
	memcpy(nic_buf(&n, 5), frame, len);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(nic_collect(out, sizeof(out)), len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 5), len, 5), 0);
}

static void without_the_flag_there_is_no_fallback(void **state)
{
	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 5), 60, 5), -EOPNOTSUPP);
}

#ifdef ef_vi_start_transmit_warm /* not in Onload 8.1 */
static void warm_ctpio_sends_nothing(void **state)
{
	ef_vi_tx_warm_state saved;
	static char scratch[4096];
	uint8_t frame[64], out[2048];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	memcpy(nic_buf(&n, 5), frame, len);
	ef_vi_start_transmit_warm(&n.vi, &saved, scratch);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 5), len, 5), -EAGAIN);
	ef_vi_stop_transmit_warm(&n.vi, &saved);
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
}
#endif

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define C(f) cmocka_unit_test_setup_teardown(f, begin_ctpio, end)
	const struct CMUnitTest tests[] = {
		T(a_sent_frame_is_on_the_wire_and_completes),
		T(a_ring_of_512_holds_511_and_completes_in_8_events),
		T(rings_wrap_many_times),
		T(frames_wait_for_the_doorbell),
		T(what_was_not_rung_can_be_undone),
		T(only_the_last_part_of_a_frame_carries_its_id),
		T(dma_inserts_checksums_unless_told_not_to),
		T(late_completions_keep_the_ring_full),
		T(pio_sends_what_was_written_into_the_nic),
		T(pio_offsets_are_aligned_to_64),
#ifdef ef_vi_start_transmit_warm
		T(warming_a_ring_sends_nothing),
#endif
		C(ctpio_sends_at_once_and_its_completion_says_so),
		C(a_lost_ctpio_sends_its_fallback_once),
		C(ctpio_sends_bytes_as_given),
		C(without_the_flag_there_is_no_fallback),
#ifdef ef_vi_start_transmit_warm
		C(warm_ctpio_sends_nothing),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
