/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw_dpdk.h - DPDK by hand: the loop of DPDK's skeleton example (examples/skeleton/basicfwd.c), which frees
 * packet by packet. The second way of receiving frees a whole burst by rte_pktmbuf_free_bulk, so that the
 * better of both is what ours is held against. Packets are counted once per burst.
 */
#ifndef KBP_BENCH_RAW_DPDK_H
#define KBP_BENCH_RAW_DPDK_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <kbypass/hot.h>

#define RAW_DPDK_BURST 32u

struct raw_dpdk {
	uint16_t port, queue;
	struct rte_mempool *pool;
	uint64_t rx_frames, tx_frames;
};

typedef void (*raw_dpdk_rx_fn)(const uint8_t *data, uint32_t len, void *arg);
typedef uint32_t (*raw_dpdk_tx_fn)(uint8_t *payload, void *arg);

/* Receive a burst; every buffer goes straight back to its pool. */
KBP_INLINE unsigned raw_dpdk_rx(struct raw_dpdk *r, unsigned max, raw_dpdk_rx_fn fn, void *arg)
{
	struct rte_mbuf *m[RAW_DPDK_BURST];
	unsigned n = rte_eth_rx_burst(r->port, r->queue, m, (uint16_t)max);

	if (KBP_UNLIKELY(!n))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		fn(rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len, arg);
		rte_pktmbuf_free(m[i]);
	}
	r->rx_frames += n;
	return n;
}

KBP_INLINE unsigned raw_dpdk_rx_bulk(struct raw_dpdk *r, unsigned max, raw_dpdk_rx_fn fn, void *arg)
{
	struct rte_mbuf *m[RAW_DPDK_BURST];
	unsigned n = rte_eth_rx_burst(r->port, r->queue, m, (uint16_t)max);

	if (KBP_UNLIKELY(!n))
		return 0;
	for (unsigned i = 0; i < n; i++)
		fn(rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len, arg);
	rte_pktmbuf_free_bulk(m, n);
	r->rx_frames += n;
	return n;
}

/* Send a burst to one destination: header copied, payload written, lengths and checksums filled in. */
KBP_INLINE unsigned raw_dpdk_tx(struct raw_dpdk *r, const struct kbp_txflow *t, unsigned n,
				raw_dpdk_tx_fn fn, void *arg)
{
	struct rte_mbuf *m[RAW_DPDK_BURST];
	unsigned sent;

	if (KBP_UNLIKELY(rte_pktmbuf_alloc_bulk(r->pool, m, n)))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *frame = rte_pktmbuf_mtod(m[i], uint8_t *), *payload = frame + t->hdr_len;
		uint32_t len;

		kbp_udp_head(t, frame);
		len = fn(payload, arg);
		kbp_udp_finish(t, payload, len);
		m[i]->data_len = (uint16_t)(len + t->hdr_len);
		m[i]->pkt_len = len + t->hdr_len;
	}
	sent = rte_eth_tx_burst(r->port, r->queue, m, (uint16_t)n);
	for (unsigned i = sent; KBP_UNLIKELY(i < n); i++)
		rte_pktmbuf_free(m[i]);
	r->tx_frames += sent;
	return sent;
}

#endif
