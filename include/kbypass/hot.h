/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hot.h - the inline form: your handler, compiled into the backend's own receive or send loop.
 *
 *   static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
 *   { ...; return KBP_DONE; }
 *
 *   struct kbp_rx rx = kbp_rx_of(q); // or, with the kind a constant: kbp_rx_as(q, KBP_AF_XDP)
 *
 *   for (;;)
 *           kbp_rx_each(rx, 32, on_frame, arg);
 *
 * A kind that is read at run time costs one predicted jump per burst; of a constant nothing is left.
 *
 * The halves of `socket` and `af_xdp` are always here. Define KBP_HOT_DPDK, KBP_HOT_EF_VI or
 * KBP_HOT_EF_VI_SIM before including this file to compile those in too (they need the vendor's
 * headers and libraries); a queue whose half is not compiled in takes the array form, with the same
 * meaning.
 */
#ifndef KBYPASS_HOT_H
#define KBYPASS_HOT_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_INLINE static inline __attribute__((always_inline))
#define KBP_LIKELY(x) __builtin_expect(!!(x), 1)
#define KBP_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A queue to receive from. Passed by value, so that a constant kind stays constant through
 * inlining. */
struct kbp_rx {
	struct kbp_queue *q;
	uint32_t kind;
};

/* A destination to send to. */
struct kbp_tx {
	struct kbp_txflow *t;
	uint32_t kind;
};

/* What a handler answers; KEEP and STOP may be or-ed. */
enum {
	KBP_DONE = 0,	    /* the buffer goes back now */
	KBP_KEEP = 1u << 0, /* it stays the caller's, until kbp_rx_return or a submit of it
			     * completes */
	KBP_STOP = 1u << 1, /* no more frames in this call; ignored on a frame marked
			     * KBP_FRAME_MORE */
};

/* Called once per frame. May give kept frames back by kbp_rx_return, reserve and submit; must not
 * poll or release on `rx`. kbp_frame_ts and kbp_datagram are valid inside. Make it static: it is
 * meant to be inlined. */
typedef unsigned (*kbp_handler)(struct kbp_rx rx, struct kbp_frame f, void *arg);

/* Called once per free slot: write f.data, answer the payload's length (at most f.len), or
 * KBP_TX_END. Must do nothing else on the same queue. */
typedef uint32_t (*kbp_filler)(struct kbp_tx tx, struct kbp_frame f, void *arg);

#define KBP_TX_END UINT32_MAX /* nothing in this slot, and no more slots */

/* kbp_stamp_flags - the flags of a stamp whose clock is known by its account alone: in sync within the
 * published window, otherwise unknown.
 *
 * Returns:  KBP_FRAME_TS and the sync bits.
 * Owns:     nothing changes hands.
 * Blocks:   never; one load.
 * Threads:  any.
 * Fence:    relaxed: the word stands for itself. */
KBP_INLINE uint16_t kbp_stamp_flags(const struct kbp_queue *q, uint64_t ns)
{
	uint64_t shift = __atomic_load_n(&q->sync_shift, __ATOMIC_RELAXED);

	return (uint16_t)(KBP_FRAME_TS |
			  (ns + shift < KBP_SYNC_SPAN_NS ? KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT : 0));
}

/* kbp_stamp_in_sync - was the clock known to be in sync when it wrote this stamp?
 *
 * Returns:  true; false: it was not, or nobody knows, or there is no stamp.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_INLINE bool kbp_stamp_in_sync(struct kbp_stamp s)
{
	return s.flags >> (KBP_FRAME_SYNC_SHIFT + 1) & 1; /* the bit that KBP_SYNC_IN alone has */
}

static inline unsigned kbp_generic_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg);

#ifdef __cplusplus
}
#endif

#include <kbypass/hot/udp.h>
#include <kbypass/hot/socket.h>
#include <kbypass/hot/af_xdp.h>
#ifdef KBP_HOT_DPDK
#include <kbypass/hot/dpdk.h>
#endif
#if defined(KBP_HOT_EF_VI) || defined(KBP_HOT_EF_VI_SIM)
#include <kbypass/hot/ef_vi.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* kbp_hot_kind - the backend whose compiled-in half serves this queue.
 *
 * Returns:  q->kind; KBP_NONE, and with it the array form, when that half was compiled against other
 *           headers of the vendor than the queue's module.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_INLINE uint32_t kbp_hot_kind(const struct kbp_queue *q)
{
#ifdef KBP_HOT_DPDK
	if (q->kind == KBP_DPDK && q->layout != KBP_DPDK_LAYOUT)
		return KBP_NONE;
#endif
#ifdef KBP_HOT_EF_VI_KIND
	if (q->kind == KBP_HOT_EF_VI_KIND && q->layout != KBP_EFVI_LAYOUT)
		return KBP_NONE;
#endif
	return q->kind;
}

/* kbp_rx_of - a handle whose backend is read at run time.
 *
 * Returns:  the handle; valid as long as the queue.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_INLINE struct kbp_rx kbp_rx_of(struct kbp_queue *q)
{
	struct kbp_rx rx = { q, kbp_hot_kind(q) };

	return rx;
}

/* kbp_rx_as - a handle whose backend is a constant. Check kbp_rx_of(q).kind == kind once, outside the
 * loop.
 *
 * Returns:  the handle; valid as long as the queue.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_INLINE struct kbp_rx kbp_rx_as(struct kbp_queue *q, uint32_t kind)
{
	struct kbp_rx rx = { q, kind };

	return rx;
}

/* kbp_tx_of - a handle whose backend is read at run time.
 *
 * Returns:  the handle; valid as long as the txflow.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_INLINE struct kbp_tx kbp_tx_of(struct kbp_txflow *t)
{
	struct kbp_tx tx = { t, kbp_hot_kind(t->q) };

	return tx;
}

/* A kind with one of enum kbp_tx_mode, for kbp_tx_is and kbp_tx_as. */
#define KBP_TX_KIND(kind, mode) ((uint32_t)(kind) | (uint32_t)(mode) << 16)

/* kbp_tx_is - may kbp_tx_as(t, kind) be used.
 *
 * Returns:  true, or false: another backend, another way of sending, or raw frames in a kind that names
 *           a way.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_INLINE bool kbp_tx_is(const struct kbp_txflow *t, uint32_t kind)
{
	return kbp_hot_kind(t->q) == (kind & 0xffffu) && (!(kind >> 16) || t->tx_mode == kind >> 16);
}

/* kbp_tx_as - a handle whose backend is a constant, and maybe its way of sending: KBP_EF_VI, or
 * KBP_TX_KIND(KBP_EF_VI, KBP_TX_MODE_CTPIO). Check kbp_tx_is(t, kind) once, outside the loop.
 *
 * Returns:  the handle; valid as long as the txflow.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_INLINE struct kbp_tx kbp_tx_as(struct kbp_txflow *t, uint32_t kind)
{
	struct kbp_tx tx = { t, kind };

	return tx;
}

#define KBP_GENERIC_BURST 32u /* frames the array-form fallback below keeps on the stack */

/* The inline form on top of the array form: for queues whose inline half is not compiled in. */
static inline unsigned kbp_generic_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_frame f[KBP_GENERIC_BURST];
	unsigned n = rx.q->rx_peek(rx.q, f, max < KBP_GENERIC_BURST ? max : KBP_GENERIC_BURST);
	unsigned done = 0, i = 0;

	while (i < n) {
		unsigned more = f[i].flags & KBP_FRAME_MORE;
		unsigned verdict = fn(rx, f[i], arg);

		if (!(verdict & KBP_KEEP))
			f[done++] = f[i];
		i++;
		if ((verdict & KBP_STOP) && !more)
			break;
	}
	if (i < n)
		rx.q->rx_putback(rx.q, f + i, n - i);
	if (done)
		rx.q->rx_release(rx.q, f, done);
	return i;
}

static inline unsigned kbp_generic_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct kbp_frame f[KBP_GENERIC_BURST];
	struct kbp_queue *q = tx.t->q;
	unsigned n = q->tx_reserve(tx.t, f, max < KBP_GENERIC_BURST ? max : KBP_GENERIC_BURST);
	unsigned ready = 0, sent;

	while (ready < n) {
		uint32_t len = fn(tx, f[ready], arg);

		if (len == KBP_TX_END)
			break;
		f[ready++].len = len;
	}
	sent = ready ? q->tx_submit(q, f, ready) : 0;
	if (sent < n)
		q->tx_cancel(q, f + sent, n - sent);
	return sent;
}

/* kbp_rx_each - hand up to `max` received frames to an inlined handler.
 *
 * Every frame the handler does not keep goes back to the device, in one publish at the end of the
 * burst.
 * Returns:  frames handed over; fewer than max does not mean empty.
 * Owns:     a frame is the handler's for the call; with KBP_KEEP until kbp_rx_return. Kept frames
 *           count against hold_max; at the bound no frame is handed over and `rx_hold_limited`
 *           counts.
 * Blocks:   never. Enters the kernel: as kbp_rx_peek.
 * Threads:  one caller per queue.
 * Fence:    as kbp_rx_peek and kbp_rx_release. */
KBP_INLINE unsigned kbp_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	switch (rx.kind) {
	case KBP_AF_XDP:
		return kbp_axdp_rx_each(rx, max, fn, arg);
	case KBP_SOCKET:
		return kbp_sock_rx_each(rx, max, fn, arg);
#ifdef KBP_HOT_DPDK
	case KBP_DPDK:
		return kbp_dpdk_rx_each(rx, max, fn, arg);
#endif
#ifdef KBP_HOT_EF_VI_KIND
	case KBP_HOT_EF_VI_KIND:
		return kbp_efvi_rx_each(rx, max, fn, arg);
#endif
	default:
		return kbp_generic_rx_each(rx, max, fn, arg);
	}
}

/* kbp_rx_return - give a kept frame back, in any order, inside a handler or outside.
 *
 * Returns:  nothing.
 * Owns:     the buffer is the queue's again; the device sees it at the latest with the next poll.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_INLINE void kbp_rx_return(struct kbp_rx rx, uint64_t token)
{
	if (rx.kind == KBP_AF_XDP) {
		kbp_axdp_rx_return(rx, token);
#ifdef KBP_HOT_DPDK
	} else if (rx.kind == KBP_DPDK) {
		kbp_dpdk_rx_return(rx, token);
#endif
#ifdef KBP_HOT_EF_VI_KIND
	} else if (rx.kind == KBP_HOT_EF_VI_KIND) {
		kbp_efvi_rx_return(rx, token);
#endif
	} else {
		struct kbp_frame f;

		__builtin_memset(&f, 0, sizeof(f)); /* "= { 0 }" is a warning in C++ */
		f.token = token;
		rx.q->rx_release(rx.q, &f, 1);
	}
}

/* kbp_frame_ts - when this frame was received, and what that claim is worth.
 *
 * Returns:  the stamp; without KBP_FRAME_TS in flags there is none.
 * Owns:     nothing changes hands. Valid until the next poll of the queue, even for kept frames.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_INLINE struct kbp_stamp kbp_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	if (rx.kind == KBP_SOCKET) {
		return kbp_sock_frame_ts(rx, f);
	} else if (rx.kind == KBP_AF_XDP) {
		return kbp_axdp_frame_ts(rx, f);
#ifdef KBP_HOT_DPDK
	} else if (rx.kind == KBP_DPDK) {
		return kbp_dpdk_frame_ts(rx, f);
#endif
#ifdef KBP_HOT_EF_VI_KIND
	} else if (rx.kind == KBP_HOT_EF_VI_KIND) {
		return kbp_efvi_frame_ts(rx, f);
#endif
	} else {
		struct kbp_stamp s = { f->ts_ns, f->ts_frac, f->flags };

		return s;
	}
}

/* kbp_tx_each - let an inlined filler write up to `max` payloads, then send them with one doorbell.
 *
 * Returns:  frames accepted by the device or kernel; slots it did not accept are given back.
 * Owns:     a slot is the filler's for the call.
 * Blocks:   never. Enters the kernel: as kbp_tx_submit.
 * Threads:  one caller per queue.
 * Fence:    as kbp_tx_reserve and kbp_tx_submit. */
KBP_INLINE unsigned kbp_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	switch (tx.kind) {
	case KBP_AF_XDP:
		return kbp_axdp_tx_each(tx, max, fn, arg);
	case KBP_SOCKET:
		return kbp_sock_tx_each(tx, max, fn, arg);
#ifdef KBP_HOT_DPDK
	case KBP_DPDK:
		return kbp_dpdk_tx_each(tx, max, fn, arg);
#endif
#ifdef KBP_HOT_EF_VI_KIND
	case KBP_HOT_EF_VI_KIND:
		return kbp_efvi_tx_each(tx, KBP_TX_MODE_NONE, max, fn, arg);
#endif
	default:
#ifdef KBP_HOT_EF_VI_KIND
		if (__builtin_constant_p(tx.kind) && (tx.kind & 0xffffu) == KBP_HOT_EF_VI_KIND)
			return kbp_efvi_tx_each(tx, tx.kind >> 16, max, fn, arg);
#endif
		return kbp_generic_tx_each(tx, max, fn, arg);
	}
}

#ifdef __cplusplus
}
#endif
#endif
