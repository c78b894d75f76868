/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_nic.c - plays a card and the vendor's library, in the same way for every form: the calls of
 * ef_vi's table over rings in plain memory, with as little work as keeps a buffer from being lost.
 *
 * What the vendor's code does in these calls costs more; it is the same for the hand-written loop and for
 * ours, which make the same calls.
 */
#include <stddef.h>
#include <string.h>

#include <etherfabric/efct_vi.h>

#include "overhead.h"
#include "overhead_nic.h"

#define MASK (NIC_RING - 1)

static struct {
	ef_vi_state state;
	uint32_t waiting; /* frames that arrived and were not told of */
	uint32_t rx_ids[NIC_RING], tx_ids[NIC_RING];
	uint32_t tx_told; /* sent frames told of */
	uint32_t next_packet, packets_out;
	uint64_t straight;
	const uint8_t *superbuffer;
} nic;

/* ---------------------------------------------------------------- event queue */

/* Sent frames, up to 64 in an event. */
static int poll_tx(ef_event *evs, int len)
{
	int n = 0;

	while (n < len && nic.tx_told != nic.state.txq.previous) {
		uint32_t batch = nic.state.txq.previous - nic.tx_told;

		if (batch > EF_VI_TRANSMIT_BATCH)
			batch = EF_VI_TRANSMIT_BATCH;
		nic.tx_told += batch;
		evs[n].tx.type = EF_EVENT_TYPE_TX;
		evs[n].tx.desc_id = nic.tx_told & 0xffff;
		n++;
	}
	return n;
}

static int poll_descriptors(ef_vi *vi, ef_event *evs, int len)
{
	uint32_t n = nic.waiting < (uint32_t)len ? nic.waiting : (uint32_t)len;

	(void)vi;
	if (!n)
		return poll_tx(evs, len);
	nic.waiting -= n;
	for (uint32_t i = 0; i < n; i++) {
		evs[i].rx.type = EF_EVENT_TYPE_RX;
		evs[i].rx.rq_id = nic.rx_ids[nic.state.rxq.removed++ & MASK];
		evs[i].rx.len = FRAME_BYTES + NIC_PREFIX;
		evs[i].rx.flags = EF_EVENT_FLAG_SOP;
	}
	return (int)n;
}

static int poll_references(ef_vi *vi, ef_event *evs, int len)
{
	uint32_t n = nic.waiting < (uint32_t)len ? nic.waiting : (uint32_t)len;

	(void)vi;
	if (!n)
		return poll_tx(evs, len);
	nic.waiting -= n;
	nic.packets_out += n;
	for (uint32_t i = 0; i < n; i++) {
		evs[i].rx_ref.type = EF_EVENT_TYPE_RX_REF;
		evs[i].rx_ref.len = FRAME_BYTES;
		evs[i].rx_ref.pkt_id = nic.next_packet++ % NIC_PACKETS;
	}
	return (int)n;
}

static int has_event(const ef_vi *vi)
{
	(void)vi;
	return nic.waiting || nic.tx_told != nic.state.txq.previous;
}

/* ---------------------------------------------------------------- receive */

static int receive_init(ef_vi *vi, ef_addr addr, ef_request_id id)
{
	(void)vi;
	(void)addr;
	nic.rx_ids[nic.state.rxq.added++ & MASK] = (uint32_t)id;
	return 0;
}

static void receive_push(ef_vi *vi)
{
	(void)vi;
	nic.state.rxq.posted = nic.state.rxq.added & ~7u;
}

const void *efct_vi_rxpkt_get(ef_vi *vi, uint32_t pkt_id)
{
	(void)vi;
	return nic.superbuffer + (size_t)pkt_id * CHUNK;
}

void efct_vi_rxpkt_release(ef_vi *vi, uint32_t pkt_id)
{
	(void)vi;
	(void)pkt_id;
	nic.packets_out--;
}

/* Of merged events, which this card does not write. */
int ef_vi_receive_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids)
{
	(void)vi;
	(void)event;
	(void)ids;
	return 0;
}

int ef_vi_receive_get_bytes(ef_vi *vi, const void *pkt, uint16_t *bytes_out)
{
	(void)vi;
	(void)pkt;
	*bytes_out = FRAME_BYTES;
	return 0;
}

/* The time of a clock that is set and in sync. */
static int receive_get_timestamp(ef_vi *vi, const void *pkt, ef_precisetime *ts_out)
{
	(void)vi;
	(void)pkt;
	ts_out->tv_sec = NIC_STAMP_S;
	ts_out->tv_nsec = 5;
	ts_out->tv_nsec_frac = 0;
	ts_out->tv_flags = EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC;
	return 0;
}

void nic_receives(uint32_t n)
{
	nic.waiting += n;
}

/* ---------------------------------------------------------------- transmit */

static int describe(ef_request_id id)
{
	nic.tx_ids[nic.state.txq.added++ & MASK] = (uint32_t)id;
	return 0;
}

static int transmitv_init(ef_vi *vi, const ef_iovec *iov, int iov_len, ef_request_id id)
{
	(void)vi;
	(void)iov;
	(void)iov_len;
	return describe(id);
}

/* "previous" is what the card was told of: all of it is sent at once. */
static void transmit_push(ef_vi *vi)
{
	(void)vi;
	nic.state.txq.previous = nic.state.txq.added;
}

static int transmit(ef_vi *vi, ef_addr base, int len, ef_request_id id)
{
	(void)base;
	(void)len;
	(void)describe(id);
	transmit_push(vi);
	return 0;
}

static void transmitv_ctpio(ef_vi *vi, size_t frame_len, const struct iovec *iov, int iov_len,
			    unsigned threshold)
{
	(void)vi;
	(void)frame_len;
	(void)iov;
	(void)iov_len;
	(void)threshold;
	nic.straight++;
}

static int transmit_ctpio_fallback(ef_vi *vi, ef_addr addr, size_t len, ef_request_id id)
{
	return transmit(vi, addr, (int)len, id);
}

static int transmit_copy_pio(ef_vi *vi, int offset, const void *src, int len, ef_request_id id)
{
	(void)src;
	(void)offset;
	nic.straight++;
	return transmit(vi, 0, len, id);
}

/* As the vendor's pt_tx.c. */
int ef_vi_transmit_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids)
{
	ef_vi_txq_state *state = &vi->ep_state->txq;
	uint32_t stop = event->tx.desc_id & vi->vi_txq.mask, i;
	ef_request_id *at = ids;

	for (i = state->removed & vi->vi_txq.mask; i != stop; i = ++state->removed & vi->vi_txq.mask)
		if (vi->vi_txq.ids[i] != EF_REQUEST_ID_MASK) {
			*at++ = (ef_request_id)vi->vi_txq.ids[i];
			vi->vi_txq.ids[i] = EF_REQUEST_ID_MASK;
		}
	return (int)(at - ids);
}

/* ---------------------------------------------------------------- begin and end */

void nic_reset(ef_vi *vi, const uint8_t *superbuffer)
{
	memset(&nic, 0, sizeof(nic));
	nic.superbuffer = superbuffer;
	memset(vi, 0, sizeof(*vi));
	vi->ep_state = &nic.state;
	vi->rx_prefix_len = superbuffer ? 0 : NIC_PREFIX;
	vi->rx_buffer_len = 1792;
	vi->vi_rxq.mask = vi->vi_txq.mask = MASK;
	vi->vi_txq.ids = nic.tx_ids;
	vi->ops.eventq_poll = superbuffer ? poll_references : poll_descriptors;
	vi->ops.eventq_has_event = has_event;
	vi->ops.receive_init = receive_init;
	vi->ops.receive_push = receive_push;
	vi->ops.receive_get_timestamp = receive_get_timestamp;
	vi->ops.transmit = transmit;
	vi->ops.transmitv_init = transmitv_init;
	vi->ops.transmit_push = transmit_push;
	vi->ops.transmit_copy_pio = transmit_copy_pio;
	vi->ops.transmitv_ctpio = transmitv_ctpio;
	vi->ops.transmit_ctpio_fallback = transmit_ctpio_fallback;
}

const char *nic_wrong(uint32_t rx_posted)
{
	if (nic.waiting)
		return "frames that nobody fetched";
	if (nic.packets_out)
		return "references that were not given back";
	if (nic.state.rxq.added - nic.state.rxq.removed != rx_posted)
		return "receive buffers that were not posted again";
	if (nic.state.rxq.added - nic.state.rxq.posted >= 8)
		return "receive buffers without a doorbell";
	if (nic.state.txq.added != nic.state.txq.previous)
		return "frames without a doorbell";
	return NULL;
}

uint64_t nic_sent(uint64_t *straight)
{
	*straight = nic.straight;
	return nic.state.txq.added;
}
