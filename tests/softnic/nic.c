/* SPDX-License-Identifier: BSD-2-Clause */
/* nic.c - the harness of the transcript tests, as far as ef_vi itself goes. */
#include "nic.h"

#include <sys/mman.h>

#define MEM_BYTES (NIC_BUFS * NIC_BUF_BYTES)

void nic_open_without_filter(struct nic *n, int evq, int rxq, int txq, unsigned flags)
{
	memset(n, 0, sizeof(*n));
	n->mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(n->mem, MAP_FAILED);
	assert_int_equal(ef_driver_open(&n->dh), 0);
	assert_int_equal(ef_pd_alloc_by_name(&n->pd, n->dh, nic_name(), EF_PD_DEFAULT), 0);
	assert_true(ef_vi_alloc_from_pd(&n->vi, n->dh, &n->pd, n->dh, evq, rxq, txq, NULL, -1,
					(enum ef_vi_flags)flags) >= 0);
	assert_int_equal(ef_memreg_alloc(&n->mr, n->dh, &n->pd, n->dh, n->mem, MEM_BYTES), 0);
}

void nic_open(struct nic *n, int evq, int rxq, int txq, unsigned flags)
{
	nic_open_without_filter(n, evq, rxq, txq, flags);
	if (rxq)
		assert_int_equal(nic_filter_udp(n, NIC_IP, NIC_PORT, NULL), 0);
}

void nic_close(struct nic *n)
{
	assert_int_equal(ef_vi_free(&n->vi, n->dh), 0);
	assert_int_equal(ef_memreg_free(&n->mr, n->dh), 0);
	assert_int_equal(ef_pd_free(&n->pd, n->dh), 0);
	assert_int_equal(ef_driver_close(n->dh), 0);
	munmap(n->mem, MEM_BYTES);
	memset(n, 0, sizeof(*n));
}

uint8_t *nic_buf(struct nic *n, unsigned i)
{
	return n->mem + (size_t)i * NIC_BUF_BYTES;
}

ef_addr nic_addr(struct nic *n, unsigned i)
{
	return ef_memreg_dma_addr(&n->mr, (size_t)i * NIC_BUF_BYTES);
}

void nic_post(struct nic *n, unsigned count)
{
	for (; count; count--, n->next++)
		assert_int_equal(
			ef_vi_receive_init(&n->vi, nic_addr(n, n->next), (ef_request_id)n->next), 0);
	ef_vi_receive_push(&n->vi);
}

int nic_filter_udp(struct nic *n, uint32_t ip, uint16_t port, ef_filter_cookie *cookie)
{
	ef_filter_spec fs;

	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	assert_int_equal(ef_filter_spec_set_ip4_local(&fs, IPPROTO_UDP, htonl(ip), htons(port)), 0);
	return ef_vi_filter_add(&n->vi, n->dh, &fs, cookie);
}

int nic_poll(struct nic *n, ef_event *evs, int max)
{
	return ef_eventq_poll(&n->vi, evs, max);
}

int nic_poll_until(struct nic *n, ef_event *evs, int want)
{
	int got = 0;

	for (unsigned empty = 0; got < want && empty < 100; empty++) {
		int k = ef_eventq_poll(&n->vi, evs + got, want - got < 2 ? 2 : want - got);

		assert_true(k >= 0);
		got += k;
		empty = k ? 0 : empty;
	}
	return got;
}

uint32_t nic_frame(uint8_t *frame, uint32_t dst_ip, uint16_t port, uint32_t len)
{
	static const uint8_t payload[9000];
	struct frame_addr a = { .src_mac = { 2, 0, 0, 0, 0, 0x99 },
				.dst_mac = { 2, 0, 0, 0, 0, 1 },
				.src_ip = 0x0a000002,
				.dst_ip = dst_ip,
				.src_port = 4000,
				.dst_port = port };

	return frame_udp(frame, &a, payload, len);
}

void nic_inject_small(unsigned count)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);

	assert_int_equal(len, 60);
	while (count--)
		assert_int_equal(nic_inject(frame, len, NIC_GOOD), 0);
}

int nic_send(struct nic *n, unsigned i, uint32_t len)
{
	uint32_t bytes = nic_frame(nic_buf(n, i), 0x0a000002, 6000, len);

	return ef_vi_transmit(&n->vi, nic_addr(n, i), (int)bytes, (ef_request_id)i);
}

int nic_stamp(struct nic *n, const void *pkt, uint64_t *ns, unsigned *flags)
{
	int rc;
#ifdef ef_vi_receive_get_precise_timestamp
	ef_precisetime ts;

	rc = ef_vi_receive_get_precise_timestamp(&n->vi, pkt, &ts);
	*flags = ts.tv_flags;
#else
	ef_timespec ts;

	rc = ef_vi_receive_get_timestamp_with_sync_flags(&n->vi, pkt, &ts, flags);
#endif
	*ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return rc;
}

unsigned nic_stat(struct nic *n, int field)
{
	const ef_vi_stats_layout *l;
	uint32_t v[4] = { 0 };

	assert_int_equal(ef_vi_stats_query_layout(&n->vi, &l), 0);
	assert_int_equal(l->evsl_data_size, sizeof(v));
	assert_int_equal(l->evsl_fields_num, 4);
	assert_int_equal(l->evsl_fields[field].evsfl_offset, field * 4);
	assert_int_equal(ef_vi_stats_query(&n->vi, n->dh, v, 0), 0);
	return v[field];
}
