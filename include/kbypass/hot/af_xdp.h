/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp.h - the inline half of the af_xdp backend: four rings in memory shared with the kernel.
 *
 *   RX    the kernel produces descriptors of received frames       we consume
 *   fill  we produce addresses of empty buffers                    the kernel consumes
 *   TX    we produce descriptors of frames to send                 the kernel consumes
 *   comp  the kernel produces addresses of sent buffers            we consume
 *
 * Indices run free in uint32_t and are masked on use. Every acquire below pairs with the kernel's
 * smp_store_release of that index and every release with its smp_load_acquire
 * (net/xdp/xsk_queue.h).
 *
 * Buffers: [0, rx_bytes) of the UMEM belong to RX, [rx_bytes, tx_end) to TX, what is above to
 *          templates. The
 * fill ring has a slot for every RX buffer and is never full. The comp ring has one for every TX
 * buffer; while it is full, frames wait in the TX ring. A TX frame always begins at the same place
 * of its buffer: the token of a TX frame is the address its completion brings.
 */
#ifndef KBYPASS_HOT_H
#include <kbypass/hot.h> /* which includes this file in its place */
#elif !defined(KBYPASS_HOT_AF_XDP_H)
#define KBYPASS_HOT_AF_XDP_H

#include <linux/if_xdp.h>

#ifdef __cplusplus
extern "C" {
#endif

KBP_STATIC_ASSERT(sizeof(struct xdp_desc) == 16 && offsetof(struct xdp_desc, options) == 12,
		  "kbp_frame begins like a descriptor");

/* A ring as one side sees it. `idx` is ours. `seen` is how far we may go, as of our last look at
 * the other side's index: of the RX ring the producer's, of the TX ring the consumer's and the size
 * of the ring. */
struct kbp_axdp_ring {
	uint32_t *prod;
	uint32_t *cons;
	void *slots;
	uint32_t *flags;
	uint32_t mask;
	uint32_t idx;
	uint32_t seen;
	uint32_t size;
};

/* Why a poll is more than the loop below. One word, so that a plain poll asks one question. */
enum {
	KBP_AXDP_CHAINS = 1u << 0,    /* a chain must not be split */
	KBP_AXDP_AT_BOUND = 1u << 1,  /* hold_max frames were held */
	KBP_AXDP_RETURNED = 1u << 2,  /* `returned` has buffers for the fill ring */
	KBP_AXDP_FORWARDED = 1u << 3, /* received buffers are with the TX side */
	KBP_AXDP_UNSENT = 1u << 4,    /* the kernel left frames in the TX ring: ring again */
	KBP_AXDP_STAMPS = 1u << 5,    /* the source of stamps is not proven yet */
};

struct kbp_axdp_queue {
	struct kbp_queue q;
	/* receive */
	struct kbp_axdp_ring rx;
	struct kbp_axdp_ring fill;
	uint8_t *umem;
	uint32_t special;   /* KBP_AXDP_*; 0: nothing but the loop */
	uint32_t busy_poll; /* drive NAPI from an empty poll */
	uint64_t *returned; /* buffers given back that the fill ring has not yet */
	uint32_t n_returned;
	uint32_t fd;
	/* send */
	struct kbp_axdp_ring tx;
	struct kbp_axdp_ring comp;
	uint64_t *tx_top;   /* the stack of free TX buffers: its top ... */
	uint64_t *tx_free;  /* ... and its bottom */
	uint32_t tx_ready;  /* frames that surely find a free buffer and a free descriptor */
	uint32_t n_strange; /* in flight: forwarded RX buffers and templates */
	uint32_t n_tx;	    /* TX buffers in all */
	uint32_t chunk;	    /* bytes of a buffer */
	uint64_t rx_bytes;  /* buffers below are RX's */
	uint64_t tx_end;    /* templates lie above */
	uint32_t peeked;    /* frames of the last rx_peek: in the fill ring, unpublished */
	uint32_t nothing;   /* index and flags of a ring that the queue does not have */
	uint32_t peeked_at; /* fill index where they begin */
	uint64_t ts_mask;   /* of the stamp in front of a frame: all ones; 0: there are no stamps */
};

KBP_STATIC_ASSERT(offsetof(struct kbp_axdp_queue, rx) == 128 &&
			  offsetof(struct kbp_axdp_queue, tx) == 256,
		  "the head and receiving are two lines each");

/* kbp_axdp_rx_special - how many frames may be handed over, when there is more to it than what
 * waits.
 *
 * Returned buffers go into the fill ring, forwarded ones are collected, a doorbell that the kernel
 * did not answer is rung again. Chains stay whole: one longer than `max` or hold_max is dropped and
 * counted. The first stamps are looked at.
 * Returns:  the number of descriptors from the consumer index on, at most `max`; 0 when hold_max
 *           frames are held. Chains stay within hold_max as a whole; of other frames the caller
 *           keeps no more than that.
 * Owns:     nothing changes hands.
 * Blocks:   never. Enters the kernel: sendto(MSG_DONTWAIT), only to ring the doorbell again.
 * Threads:  one caller per queue. */
KBP_API uint32_t kbp_axdp_rx_special(struct kbp_axdp_queue *x, uint32_t max);

/* kbp_axdp_idle - an empty poll that must enter the kernel: the driver asks for a wake-up, or NAPI
 * is ours.
 *
 * Returns:  nothing.
 * Owns:     nothing changes hands.
 * Blocks:   never. Enters the kernel: recvfrom(MSG_DONTWAIT).
 * Threads:  one caller per queue. */
KBP_API void kbp_axdp_idle(struct kbp_axdp_queue *x);

/* kbp_axdp_tx_find - buffers and descriptors for a burst, when those known to be free are too few.
 *
 * Returns:  for how many of the n frames there are both; 0 on a queue with KBP_QUEUE_TX_STAMPS, whose
 *           frames go by the array form.
 * Owns:     completed buffers go back to where they belong.
 * Blocks:   never. Enters the kernel: sendto(MSG_DONTWAIT), only when buffers run
 *           short and the kernel has left frames in the ring.
 * Threads:  one caller per queue. */
KBP_API uint32_t kbp_axdp_tx_find(struct kbp_axdp_queue *x, uint32_t n);

/* kbp_axdp_kick - the doorbell: make the kernel look at the TX ring.
 *
 * Returns:  nothing; a frame that the kernel dropped is counted in kbp_hot_tx.errors.
 * Owns:     nothing changes hands.
 * Blocks:   never. Enters the kernel: sendto(MSG_DONTWAIT), again while it makes progress in parts.
 * Threads:  one caller per queue. */
KBP_API void kbp_axdp_kick(struct kbp_axdp_queue *x);

KBP_INLINE struct kbp_axdp_queue *kbp_axdp(struct kbp_queue *q)
{
	return (struct kbp_axdp_queue *)(void *)q;
}

KBP_INLINE void kbp_axdp_rx_return(struct kbp_rx rx, uint64_t token)
{
	struct kbp_axdp_queue *x = kbp_axdp(rx.q);

	/* not into the fill ring: a burst may be running, with the ring's index in a register */
	x->returned[x->n_returned++] = token;
	x->special |= KBP_AXDP_RETURNED;
	x->peeked = 0;
	x->q.held--;
}

/* Frames that wait, at most `max`. Most polls look at the ring: a queue that keeps up is empty. */
KBP_INLINE uint32_t kbp_axdp_rx_waiting(struct kbp_axdp_queue *x, uint32_t max)
{
	uint32_t at = x->rx.idx, n = x->rx.seen - at;

	if (KBP_LIKELY(!n)) {
		struct kbp_hot_rx *count = x->q.rx_count;
		uint32_t seen = __atomic_load_n(x->rx.prod, __ATOMIC_ACQUIRE);

		x->rx.seen = seen;
		n = seen - at;
		count->ring_fill = n;
		if (KBP_UNLIKELY(n > count->ring_fill_max))
			count->ring_fill_max = n;
	}
	return n < max ? n : max;
}

/* Frames that may be handed over. */
KBP_INLINE uint32_t kbp_axdp_rx_poll(struct kbp_axdp_queue *x, uint32_t max)
{
	x->q.rx_count->polls++;
	return KBP_LIKELY(!x->special) ? kbp_axdp_rx_waiting(x, max) : kbp_axdp_rx_special(x, max);
}

/* After a poll that found nothing. */
KBP_INLINE void kbp_axdp_rx_none(struct kbp_axdp_queue *x)
{
	if (KBP_UNLIKELY((*x->fill.flags & XDP_RING_NEED_WAKEUP) | x->busy_poll))
		kbp_axdp_idle(x);
}

KBP_INLINE unsigned kbp_axdp_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_axdp_queue *x = kbp_axdp(rx.q);
	uint32_t n = kbp_axdp_rx_poll(x, max);
	const struct xdp_desc *desc = (const struct xdp_desc *)x->rx.slots;
	__u64 *fill = (__u64 *)x->fill.slots;
	uint8_t *umem = x->umem;
	uint32_t mask = x->rx.mask, fill_mask = x->fill.mask;
	uint32_t at = x->rx.idx, end = at + n;
	uint32_t ahead = x->fill.idx - at; /* one register for both indices */

	if (!n) {
		/* the array form leaves its last burst unpublished */
		if (KBP_UNLIKELY(*x->rx.cons != at))
			__atomic_store_n(x->rx.cons, at, __ATOMIC_RELEASE);
		kbp_axdp_rx_none(x);
		return 0;
	}
	do {
		const struct xdp_desc *d = &desc[at & mask];
		struct kbp_frame f;
		unsigned verdict;

		f.token = d->addr;
		f.len = d->len;
		f.flags = (uint16_t)d->options;
		f.ts_frac = 0;
		f.data = umem + f.token;
		f.ts_ns = 0;
		verdict = fn(rx, f, arg);
		if (!(verdict & KBP_KEEP)) {
			fill[(at + ahead) & fill_mask] = f.token;
		} else {
			ahead--;
			if (KBP_UNLIKELY(++x->q.held == x->q.hold_max)) {
				x->special |= KBP_AXDP_AT_BOUND;
				x->q.rx_count->hold_limited += at + 1 != end;
				verdict = KBP_STOP;
			}
		}
		at++;
		if ((verdict & KBP_STOP) && !(f.flags & KBP_FRAME_MORE))
			break;
	} while (at != end);
	n -= end - at;
	x->fill.idx = at + ahead;
	__atomic_store_n(x->fill.prod, at + ahead, __ATOMIC_RELEASE);
	x->rx.idx = at;
	__atomic_store_n(x->rx.cons, at, __ATOMIC_RELEASE);
	x->q.rx_count->frames += n;
	return n;
}

/* The program wrote the stamp in front of the packet. What is not asked for by the caller, the compiler
 * leaves away. */
KBP_INLINE struct kbp_stamp kbp_axdp_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	const struct kbp_axdp_queue *x = kbp_axdp(rx.q);
	struct kbp_stamp s;

	__builtin_memcpy(&s.ns, (const uint8_t *)f->data - sizeof(s.ns), sizeof(s.ns));
	s.ns &= x->ts_mask;
	s.frac = 0;
	s.flags = s.ns ? kbp_stamp_flags(rx.q, s.ns) :
			 (uint16_t)(x->ts_mask & KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT);
	return s;
}

KBP_INLINE void kbp_axdp_tx_publish(struct kbp_axdp_queue *x, uint32_t end, uint32_t n)
{
	x->tx.idx = end;
	__atomic_store_n(x->tx.prod, end, __ATOMIC_RELEASE);
	x->q.tx_count->frames += n;
	if (*x->tx.flags & XDP_RING_NEED_WAKEUP)
		kbp_axdp_kick(x);
}

/* The loop of kbp_axdp_tx_each, once for raw txflows and once for the others: a question per burst,
 * not per frame. n is at least 1. Fields are read where they are used: a register kept over the
 * loop costs more. */
KBP_INLINE unsigned kbp_axdp_tx_fill(struct kbp_axdp_queue *x, struct kbp_tx tx, uint32_t n,
				     bool raw, kbp_filler fn, void *arg)
{
	const struct kbp_txflow *t = tx.t;
	uint32_t at = x->tx.idx, end = at + n;
	uint64_t *top = x->tx_top;

	do {
		struct kbp_frame f;
		struct xdp_desc *d;
		uint32_t len, hdr_len = raw ? 0 : t->hdr_len;
		uint8_t *frame;

		f.token = *--top;
		frame = x->umem + f.token;
		f.len = t->room;
		f.flags = KBP_FRAME_TX;
		f.ts_frac = 0;
		f.data = frame + hdr_len;
		f.txflow = tx.t;
		if (!raw)
			kbp_udp_head(t, frame);
		len = fn(tx, f, arg);
		if (KBP_UNLIKELY(len == KBP_TX_END)) {
			if (at == x->tx.idx)
				return 0;
			break;
		}
		if (!raw)
			kbp_udp_finish(t, (uint8_t *)f.data, len);
		d = (struct xdp_desc *)x->tx.slots + (at & x->tx.mask);
		d->addr = f.token;
		d->len = len + hdr_len;
		d->options = 0;
		at++;
	} while (at != end);
	n = at - x->tx.idx;
	x->tx_top -= n;
	x->tx_ready -= n;
	kbp_axdp_tx_publish(x, at, n);
	return n;
}

KBP_INLINE unsigned kbp_axdp_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct kbp_axdp_queue *x = kbp_axdp(tx.t->q);
	uint32_t n = max;

	if (KBP_UNLIKELY(n - 1 >= x->tx_ready)) { /* or n is 0 */
		n = kbp_axdp_tx_find(x, n);
		if (!n)
			return x->q.flags & KBP_QUEUE_TX_STAMPS ?
				       kbp_generic_tx_each(tx, max, fn, arg) :
				       0;
	}
	if (KBP_LIKELY(tx.t->hdr_len))
		return kbp_axdp_tx_fill(x, tx, n, false, fn, arg);
	return kbp_axdp_tx_fill(x, tx, n, true, fn, arg);
}

#ifdef __cplusplus
}
#endif
#endif
