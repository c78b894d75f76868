/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk.h - the inline half of the dpdk backend: rte_eth_rx_burst and rte_eth_tx_burst with your handler in
 * between.
 *
 * Compiled in by KBP_HOT_DPDK, by programs that link libdpdk themselves; that has to be the copy of libdpdk
 * that the module uses, which the shared libraries are.
 *
 * A frame's token is its mbuf. Most packets are one mbuf that the device has told from all others: they go
 * straight from the burst to the handler. Whatever else there is (chains, frames left over, flows that only
 * software can tell apart) waits in the stash of kbp_dpdk_calls, in order, and is handed over before anything
 * newer. A chain is taken apart when it is handed over, so that each part can go back by itself.
 *
 * mbufs come from and go to the mempool cache of the calling thread: one that DPDK does not know (see
 * rte_thread_register; the thread that opens a queue is made known) has none, and pays for it.
 */
#ifndef KBYPASS_HOT_H
#include <kbypass/hot.h> /* which includes this file in its place */
#elif !defined(KBYPASS_HOT_DPDK_H)
#define KBYPASS_HOT_DPDK_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_version.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_DPDK_BURST 32u /* packets of one poll */

/* What the inline code below relies on, in one number: another release gives another, and so does another
 * copy of libdpdk in the same process. */
#define KBP_DPDK_LAYOUT                                                           \
	((uint64_t)(uintptr_t)&rte_eth_fp_ops[0] ^ (uint64_t)RTE_VER_YEAR << 56 ^ \
	 (uint64_t)RTE_VER_MONTH << 52 ^ (uint64_t)sizeof(struct rte_mbuf) << 40)

struct kbp_dpdk_queue;

/* The cold half's functions; addresses, because a module's names cannot be linked with. */
struct kbp_dpdk_calls {
	/* n frames of at most `max` were handed over; now what waits in the stash, after a look at the device
	 * when that is empty. Returns how many it is then. */
	unsigned (*stash_each)(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg);
	/* These packets come later. */
	void (*stash)(struct kbp_dpdk_queue *x, struct rte_mbuf **m, unsigned n);
	/* The stamp of a frame, as the device's driver wrote it, in nanoseconds; or none. */
	struct kbp_stamp (*stamp)(struct kbp_dpdk_queue *x, const struct rte_mbuf *m);
};

/* Why a poll is more than a burst that goes straight to the handler. One word, so that a plain poll asks one
 * question. */
enum {
	KBP_DPDK_ODD = 7u, /* vector drivers take bursts of multiples of 8 only: of any other */
	KBP_DPDK_STASHED = 1u << 8,   /* packets wait in the stash */
	KBP_DPDK_MATCH = 1u << 9,     /* software tells our flows from other frames */
	KBP_DPDK_AT_BOUND = 1u << 10, /* hold_max frames were held */
};

struct kbp_dpdk_queue {
	struct kbp_queue q;
	/* receive */
	uint32_t special;	   /* KBP_DPDK_*; 0: nothing but the loop */
	uint16_t port, queue;	   /* DPDK's numbers */
	uint32_t stamp_flag_shift; /* of the mbuf's "there is a stamp" in ol_flags; 0: no stamps */
	const struct kbp_dpdk_calls *call;
	/* send */
	struct rte_mempool *tx_pool;
	uint32_t tx_careful; /* completions are kept: in array form only */
	uint32_t n_reserved; /* frames the caller has from tx_reserve */
	/* stamps that are nanoseconds as they are, and proven; mask 0: they are not, or not yet */
	uint32_t plain_at;   /* where in the mbuf */
	uint64_t plain_mask; /* of ol_flags: "there is a stamp" */
	uint64_t pad;
};

KBP_STATIC_ASSERT(offsetof(struct kbp_dpdk_queue, special) == 128 &&
			  sizeof(struct kbp_dpdk_queue) == 192,
		  "the head is two lines, receiving and sending one");

KBP_INLINE struct kbp_dpdk_queue *kbp_dpdk(struct kbp_queue *q)
{
	return (struct kbp_dpdk_queue *)(void *)q;
}

KBP_INLINE struct rte_mbuf *kbp_dpdk_mbuf(uint64_t token)
{
	return (struct rte_mbuf *)(uintptr_t)token;
}

/* ---------------------------------------------------------------- receive */

KBP_INLINE void kbp_dpdk_rx_return(struct kbp_rx rx, uint64_t token)
{
	rx.q->held--;
	rte_pktmbuf_free_seg(kbp_dpdk_mbuf(token));
}

/* A frame out of the stash, or of the array form, brings its stamp along. */
KBP_INLINE struct kbp_stamp kbp_dpdk_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	struct kbp_dpdk_queue *x = kbp_dpdk(rx.q);
	const struct rte_mbuf *m = kbp_dpdk_mbuf(f->token);
	struct kbp_stamp s = { f->ts_ns, f->ts_frac, f->flags };

	if (f->flags & (KBP_FRAME_TS | KBP_FRAME_NO_TS_MASK))
		return s;
	if (KBP_UNLIKELY(!(m->ol_flags & x->plain_mask)))
		return x->call->stamp(x, m);
	s.ns = *(const uint64_t *)(const void *)((const uint8_t *)m + x->plain_at);
	if (KBP_UNLIKELY(!s.ns))
		return x->call->stamp(x, m);
	s.frac = 0;
	s.flags = kbp_stamp_flags(rx.q, s.ns);
	return s;
}

KBP_INLINE struct kbp_frame kbp_dpdk_frame(struct rte_mbuf *m)
{
	struct kbp_frame f;

	f.token = (uint64_t)(uintptr_t)m;
	f.len = m->data_len;
	f.flags = 0;
	f.ts_frac = 0;
	f.data = rte_pktmbuf_mtod(m, void *);
	f.ts_ns = 0;
	return f;
}

#define KBP_DPDK_ASIDE static __attribute__((noinline, cold, unused))

/* A burst ends before its end: i packets of n were handed over, what is behind them comes later. */
KBP_DPDK_ASIDE void kbp_dpdk_rx_cut(struct kbp_dpdk_queue *x, struct rte_mbuf **m, unsigned i,
				    unsigned n)
{
	x->q.rx_count->frames += i;
	x->call->stash(x, m + i, n - i);
}

/* Freed one by one: measured, cheaper than rte_pktmbuf_free_bulk at any burst up to 32, and most so at 1; on a
 * thread that DPDK knows. */
KBP_INLINE unsigned kbp_dpdk_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_dpdk_queue *x = kbp_dpdk(rx.q);
	unsigned want = max < KBP_DPDK_BURST ? max : KBP_DPDK_BURST, n, i = 0;
	struct rte_mbuf *burst[KBP_DPDK_BURST];

	x->q.rx_count->polls++;
	if (KBP_UNLIKELY(x->special & (want | ~(uint32_t)KBP_DPDK_ODD)))
		return x->call->stash_each(rx, 0, max, fn, arg);
	n = rte_eth_rx_burst(x->port, x->queue, burst, (uint16_t)want);
	if (!n)
		return 0;
	do {
		struct rte_mbuf *m = burst[i];
		struct kbp_frame f;
		unsigned verdict;

		if (KBP_UNLIKELY(m->nb_segs != 1)) {
			kbp_dpdk_rx_cut(x, burst, i, n);
			return x->call->stash_each(rx, i, max, fn, arg);
		}
		f = kbp_dpdk_frame(m);
		verdict = fn(rx, f, arg);
		if (!(verdict & KBP_KEEP)) {
			rte_pktmbuf_free_seg(m);
		} else if (KBP_UNLIKELY(++x->q.held == x->q.hold_max)) {
			x->special |= KBP_DPDK_AT_BOUND;
			x->q.rx_count->hold_limited += i + 1 != n;
			verdict = KBP_STOP;
		}
		i++;
		if (verdict & KBP_STOP && i != n) {
			kbp_dpdk_rx_cut(x, burst, i, n);
			return i;
		}
	} while (i != n);
	x->q.rx_count->frames += n;
	return n;
}

/* ---------------------------------------------------------------- transmit */

/* What a burst could not send. */
KBP_DPDK_ASIDE void kbp_dpdk_tx_rest(struct kbp_dpdk_queue *x, struct rte_mbuf **m, unsigned n,
				     bool refused)
{
	x->q.tx_count->ring_full += refused;
	rte_pktmbuf_free_bulk(m, n);
}

KBP_INLINE unsigned kbp_dpdk_tx_fill(struct kbp_dpdk_queue *x, struct kbp_tx tx, struct rte_mbuf **m,
				     unsigned n, bool raw, kbp_filler fn, void *arg)
{
	const struct kbp_txflow *t = tx.t;
	const uint32_t hdr_len = raw ? 0 : t->hdr_len;
	unsigned i = 0, sent;

	do {
		uint8_t *frame = rte_pktmbuf_mtod(m[i], uint8_t *);
		struct kbp_frame f;
		uint32_t len;

		f.token = (uint64_t)(uintptr_t)m[i];
		f.len = t->room;
		f.flags = KBP_FRAME_TX;
		f.ts_frac = 0;
		f.data = frame + hdr_len;
		f.txflow = tx.t;
		if (!raw)
			kbp_udp_head(t, frame);
		len = fn(tx, f, arg);
		if (KBP_UNLIKELY(len == KBP_TX_END))
			break;
		if (!raw)
			kbp_udp_finish(t, (uint8_t *)f.data, len);
		m[i]->data_len = (uint16_t)(len + hdr_len);
		m[i]->pkt_len = len + hdr_len;
	} while (++i != n);
	x->q.tx_count->doorbells++;
	sent = rte_eth_tx_burst(x->port, x->queue, m, (uint16_t)i);
	if (KBP_UNLIKELY(sent != n))
		kbp_dpdk_tx_rest(x, m + sent, n - sent, sent != i);
	x->q.tx_count->frames += sent;
	return sent;
}

/* A burst that the pool cannot fill, and whatever else is not plain, takes the array form. So n stays what the
 * program wrote, mostly a constant. */
KBP_INLINE unsigned kbp_dpdk_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct kbp_dpdk_queue *x = kbp_dpdk(tx.t->q);
	struct rte_mempool *plain = (struct rte_mempool *)tx.t->priv;
	unsigned n = max < KBP_DPDK_BURST ? max : KBP_DPDK_BURST;
	struct rte_mbuf *m[KBP_DPDK_BURST];

	if (KBP_UNLIKELY(!n))
		return 0;
	if (KBP_LIKELY(plain)) {
		if (KBP_LIKELY(!rte_pktmbuf_alloc_bulk(plain, m, n)))
			return kbp_dpdk_tx_fill(x, tx, m, n, false, fn, arg);
	} else if (!tx.t->hdr_len && !x->tx_careful && !rte_pktmbuf_alloc_bulk(x->tx_pool, m, n)) {
		return kbp_dpdk_tx_fill(x, tx, m, n, true, fn, arg);
	}
	return kbp_generic_tx_each(tx, max, fn, arg);
}

#ifdef __cplusplus
}
#endif
#endif
