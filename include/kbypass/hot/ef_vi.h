/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi.h - the inline half of the ef_vi backend: one event queue that tells of both directions.
 *
 * Compiled against the vendor's headers (KBP_HOT_EF_VI) or against the software NIC's
 * (KBP_HOT_EF_VI_SIM). Everything goes through the function pointers of struct ef_vi, as the vendor's
 * own calls do, and through those of struct kbp_efvi_calls: no library of the vendor is linked.
 *
 *   descriptors  a received frame lies in a buffer of ours; its token is the buffer's number, which is
 *                also the request id. Posted again as soon as the handler is done with it.
 *   references   (X3, X4 express) it lies in a superbuffer of the device's; its token is the pkt_id,
 *                given back exactly once
 *
 * Most events are whole good frames and go straight from the event to the handler. Whatever else there is
 * (sent frames, discards, chains) is sorted by kbp_efvi_calls.odd; what that finds for the caller waits
 * in the stash, in order, and is handed over before anything newer.
 *
 * `poll` is ef_eventq_poll's own function, or, when there is more to do first, one of ours in its
 * place, so that an empty poll asks no question of its own.
 */
#ifndef KBYPASS_HOT_H
#include <kbypass/hot.h> /* which includes this file in its place */
#elif !defined(KBYPASS_HOT_EF_VI_H)
#define KBYPASS_HOT_EF_VI_H

#if defined(KBP_HOT_EF_VI) && defined(KBP_HOT_EF_VI_SIM)
#error "one file is compiled against one kind of ef_vi headers: KBP_HOT_EF_VI or KBP_HOT_EF_VI_SIM"
#endif

#include <etherfabric/base.h>
#include <etherfabric/ef_vi.h>

#ifdef KBP_HOT_EF_VI_SIM
#define KBP_HOT_EF_VI_KIND KBP_EF_VI_SIM
#else
#define KBP_HOT_EF_VI_KIND KBP_EF_VI
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_EFVI_EVENTS 32u    /* of one poll */
#define KBP_EFVI_BUFFER 2048u  /* bytes: two in a page, each contiguous to the device (memreg.h) */
#define KBP_EFVI_PIO_SLOT 256u /* bytes of the device's memory that a frame gets, or none */
#define KBP_EFVI_IN_PIO (1 << 30) /* mark of a request id: the frame lies there */
#define KBP_EFVI_EV_STASH 0xffffu /* type of an event of ours: look into the stash */

#ifdef ef_vi_receive_get_precise_timestamp
#define KBP_EFVI_STAMP_AT offsetof(ef_vi, ops.receive_get_timestamp)
#else /* Onload before 9.0 */
#define KBP_EFVI_STAMP_AT 0u
#endif

/* What the inline code below relies on, in one number: headers of another version give another. */
#define KBP_EFVI_LAYOUT                                                                   \
	(((((((uint64_t)sizeof(ef_vi) * 8191 + offsetof(ef_vi, ops.eventq_poll)) * 8191 + \
	     offsetof(ef_vi, ops.receive_init)) *                                         \
		    8191 +                                                                \
	    KBP_EFVI_STAMP_AT) *                                                          \
		   8191 +                                                                 \
	   offsetof(ef_vi, ops.transmitv_init)) *                                         \
		  8191 +                                                                  \
	  offsetof(ef_vi, ops.transmit_ctpio_fallback)) *                                 \
		 8191 +                                                                   \
	 sizeof(ef_event))

struct kbp_efvi_queue;

/* The cold half's functions; addresses, because a module's names cannot be linked with. */
struct kbp_efvi_calls {
	/* The event is no whole good frame, and `left` events begin with it. False: it is dealt with,
	 * go on with the next. True: all of them are dealt with, and what is for the caller waits in the
	 * stash. */
	bool (*odd)(struct kbp_efvi_queue *x, const ef_event *e, unsigned left);
	/* These events come later: their frames go into the stash. */
	void (*stash)(struct kbp_efvi_queue *x, const ef_event *e, unsigned n);
	/* n frames of at most `max` were handed over; now what waits in the stash. How many it is then. */
	unsigned (*stash_each)(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg);
	/* A frame was kept: another buffer takes its place. True: hold_max is reached. */
	bool (*keep)(struct kbp_efvi_queue *x, uint64_t token);
	/* A kept frame comes back. */
	void (*give)(struct kbp_efvi_queue *x, uint64_t token);
	/* There is no stamp, for this reason of the vendor's: counted, and said in the flags. */
	uint16_t (*no_stamp)(struct kbp_efvi_queue *x, int rc);
	/* The flags of a stamp that is not, or not known to be, in sync; by the vendor's flags. */
	uint16_t (*not_in)(struct kbp_efvi_queue *x, uint64_t ns, unsigned flags);
	/* The stamp of the packet whose buffer begins at `pkt`, for libraries without precise stamps. */
	struct kbp_stamp (*stamp)(struct kbp_efvi_queue *x, const void *pkt, uint64_t token);
	/* Sent buffers and descriptors for a burst of n: for how many there are both. */
	uint32_t (*tx_find)(struct kbp_efvi_queue *x, uint32_t n);
	/* The cut-through FIFO was full: again, when the device has told of frames that left it. 0 or
	 * -EAGAIN. */
	int (*tx_again)(struct kbp_efvi_queue *x, ef_request_id id, const uint8_t *frame,
			uint32_t len);
	/* A frame meant for the device's memory goes by DMA. */
	void (*pio_missed)(struct kbp_efvi_queue *x);
};

struct kbp_efvi_queue {
	struct kbp_queue q;
	/* timestamps. In sync is what the vendor's two flags say so of, and lies in the window of
	 * kbp_queue.sync_shift: by those flags, the shift or KBP_SYNC_NEVER. */
	uint64_t sync_shift[4];
	uint64_t sync_span; /* of the window; KBP_SYNC_NEVER without a clock that is watched: no end */
#ifdef ef_vi_receive_get_precise_timestamp
	/* the vendor's own, or of a queue without stamps one that says so */
	int (*get_stamp)(ef_vi *vi, const void *pkt, ef_precisetime *ts);
#else /* Onload before 9.0 */
	uint64_t no_get_stamp;
#endif
	uint64_t stamp_pad[2];
	/* receive */
	int (*poll)(ef_vi *vi, ef_event *evs, int n);
	uint8_t *rx_data;   /* where the frame begins in buffer 0: behind the prefix */
	const ef_addr *dma; /* of each buffer */
	uint32_t prefix;    /* bytes */
	uint32_t unpushed;  /* RX descriptors written since the last doorbell */
	uint32_t in_burst;  /* a handler runs: nothing may poll */
	uint32_t refs;	    /* references instead of descriptors */
	const void *(*pkt_get)(ef_vi *vi, uint32_t pkt_id);
	void (*pkt_release)(ef_vi *vi, uint32_t pkt_id);
	const struct kbp_efvi_calls *call;
	/* send */
	uint8_t *mem; /* buffer 0. A frame to send begins at the beginning of its buffer */
	ef_request_id *tx_free; /* stack of free TX buffers */
	uint32_t n_free;
	uint32_t tx_floor;     /* down to here, free buffers surely find a free descriptor */
	uint32_t ct_threshold; /* bytes written before the device begins to send */
	/* parts of the device's memory: they go round, and come back in order */
	uint32_t pio_slots, pio_next, pio_free;
	uint8_t tx_how; /* enum kbp_tx_mode: of the queue */
	uint8_t dead;	/* after an overflow or a reset, until it is reopened */
	uint8_t pad[22];
	ef_vi vi; /* its size is the version's */
};

KBP_STATIC_ASSERT(offsetof(struct kbp_efvi_queue, sync_shift) == 128 &&
			  offsetof(struct kbp_efvi_queue, poll) == 192 &&
			  offsetof(struct kbp_efvi_queue, mem) == 256 &&
			  offsetof(struct kbp_efvi_queue, vi) == 320,
		  "the head is two lines, timestamps, receiving and sending one each");

KBP_INLINE struct kbp_efvi_queue *kbp_efvi(struct kbp_queue *q)
{
	return (struct kbp_efvi_queue *)(void *)q;
}

/* ---------------------------------------------------------------- timestamps */

/* The vendor's two flags choose the word to compare by, so that both questions are one. */
KBP_INLINE uint16_t kbp_efvi_stamp_flags(struct kbp_efvi_queue *x, uint64_t ns, unsigned flags)
{
	uint64_t shift = __atomic_load_n(&x->sync_shift[flags & 3u], __ATOMIC_RELAXED);

	if (KBP_UNLIKELY(ns + shift >= x->sync_span))
		return x->call->not_in(x, ns, flags);
	return KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT |
	       KBP_SYNC_IN << KBP_FRAME_DEVICE_SHIFT;
}

KBP_INLINE struct kbp_stamp kbp_efvi_stamp(struct kbp_efvi_queue *x, const void *pkt, uint64_t token)
{
#ifdef ef_vi_receive_get_precise_timestamp
	struct kbp_stamp s;
	ef_precisetime ts;
	int rc = x->get_stamp(&x->vi, pkt, &ts);

	(void)token;
	if (KBP_UNLIKELY(rc)) {
		s.ns = 0;
		s.frac = 0;
		s.flags = x->call->no_stamp(x, rc);
		return s;
	}
	s.ns = (uint64_t)ts.tv_sec * 1000000000u + ts.tv_nsec;
	s.frac = ts.tv_nsec_frac;
	s.flags = kbp_efvi_stamp_flags(x, s.ns, ts.tv_flags);
	return s;
#else /* Onload before 9.0 */
	return x->call->stamp(x, pkt, token);
#endif
}

/* A frame out of the stash, or of the array form, brings its stamp along. */
KBP_INLINE struct kbp_stamp kbp_efvi_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);
	struct kbp_stamp s = { f->ts_ns, f->ts_frac, f->flags };

	if (f->flags & (KBP_FRAME_TS | KBP_FRAME_NO_TS_MASK))
		return s;
	return kbp_efvi_stamp(x, (const uint8_t *)f->data - x->prefix, f->token);
}

/* ---------------------------------------------------------------- receive */

KBP_INLINE void kbp_efvi_rx_return(struct kbp_rx rx, uint64_t token)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);

	x->call->give(x, token);
}

/* The doorbell moves in steps of 8: fewer descriptors wait for the next burst. */
KBP_INLINE void kbp_efvi_push(struct kbp_efvi_queue *x)
{
	if (x->unpushed >= 8) {
		ef_vi_receive_push(&x->vi);
		x->unpushed &= 7u;
	}
}

KBP_INLINE bool kbp_efvi_is_frame(const ef_event *e)
{
	return EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX &&
	       (e->rx.flags & (EF_EVENT_FLAG_SOP | EF_EVENT_FLAG_CONT)) == EF_EVENT_FLAG_SOP;
}

KBP_INLINE struct kbp_frame kbp_efvi_frame(const struct kbp_efvi_queue *x, const ef_event *e)
{
	uint32_t id = EF_EVENT_RX_RQ_ID(*e);
	struct kbp_frame f;

	f.token = id;
	f.len = (uint32_t)EF_EVENT_RX_BYTES(*e) - x->prefix;
	f.flags = 0;
	f.ts_frac = 0;
	f.data = x->rx_data + (size_t)id * KBP_EFVI_BUFFER;
	f.ts_ns = 0;
	return f;
}

KBP_INLINE struct kbp_frame kbp_efvi_ref_frame(struct kbp_efvi_queue *x, const ef_event *e)
{
	struct kbp_frame f;

	f.token = e->rx_ref.pkt_id;
	/* superbuffers may be mapped read only: received bytes are to be read, not to be written */
	f.data = (void *)(uintptr_t)x->pkt_get(&x->vi, e->rx_ref.pkt_id);
	f.len = e->rx_ref.len; /* after the call: nothing to keep over it */
	f.flags = 0;
	f.ts_frac = 0;
	f.ts_ns = 0;
	return f;
}

/* The events of one poll. In memory, and known to functions that are not inlined: what a loop needs per
 * burst only would take registers from what it needs per frame. */
struct kbp_efvi_burst {
	const ef_event *end;
	unsigned n; /* frames of it that are handed over in the loop */
};

/* The same for a bound that is compared with once per frame: no instruction. */
#define KBP_EFVI_IN_MEMORY(v) __asm__ volatile("" : "+m"(v))

/* What is rarely needed, and would take registers from the loops. */
#define KBP_EFVI_ASIDE static __attribute__((noinline, cold, unused))

/* *e is no frame. False: it is dealt with, go on with the next. True: so are all behind it, and what is for
 * the caller waits in the stash. */
KBP_EFVI_ASIDE bool kbp_efvi_rx_odd(struct kbp_efvi_queue *x, struct kbp_efvi_burst *b,
				    const ef_event *e)
{
	unsigned left = (unsigned)(b->end - e);
	bool all = x->call->odd(x, e, left);

	b->n -= all ? left : 1;
	return all;
}

/* *e was the last one that the caller wants or may have: the others come later. */
KBP_EFVI_ASIDE void kbp_efvi_rx_stop(struct kbp_efvi_queue *x, struct kbp_efvi_burst *b,
				     const ef_event *e)
{
	unsigned left = (unsigned)(b->end - e) - 1;

	x->call->stash(x, e + 1, left);
	b->n -= left;
}

/* A frame was kept. True: no more frames, hold_max is reached. */
KBP_INLINE bool kbp_efvi_rx_kept(struct kbp_efvi_queue *x, const struct kbp_efvi_burst *b,
				 const ef_event *e, uint64_t token)
{
	if (KBP_LIKELY(!x->call->keep(x, token)))
		return false;
	x->q.rx_count->hold_limited += e + 1 != b->end;
	return true;
}

/* A burst ends with frames in the stash, which come next. */
KBP_EFVI_ASIDE unsigned kbp_efvi_rx_rest(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn,
					 void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);

	x->in_burst = 0;
	x->q.rx_count->frames += n;
	if (!x->refs) {
		x->unpushed += n;
		kbp_efvi_push(x);
	}
	return x->call->stash_each(rx, n, max, fn, arg);
}

/* Frames by reference: nothing to post, each is given back once. */
KBP_INLINE unsigned kbp_efvi_rx_refs(struct kbp_rx rx, const ef_event *e, struct kbp_efvi_burst *b,
				     bool one, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);

	x->in_burst = 1;
	do {
		struct kbp_frame f;
		unsigned verdict;

		if (KBP_UNLIKELY(EF_EVENT_TYPE(*e) != EF_EVENT_TYPE_RX_REF)) {
			if (kbp_efvi_rx_odd(x, b, e))
				return kbp_efvi_rx_rest(rx, b->n, max, fn, arg);
			continue;
		}
		f = kbp_efvi_ref_frame(x, e);
		verdict = fn(rx, f, arg);
		if (!(verdict & KBP_KEEP))
			x->pkt_release(&x->vi, (uint32_t)f.token);
		else if (kbp_efvi_rx_kept(x, b, e, f.token))
			verdict = KBP_STOP;
		if (verdict & KBP_STOP) {
			kbp_efvi_rx_stop(x, b, e);
			break;
		}
	} while (!one && ++e != b->end);
	x->in_burst = 0;
	x->q.rx_count->frames += b->n;
	return b->n;
}

/* Frames in buffers of ours, each posted again at once. */
KBP_INLINE unsigned kbp_efvi_rx_posted(struct kbp_rx rx, const ef_event *e, struct kbp_efvi_burst *b,
				       bool one, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);

	x->in_burst = 1;
	do {
		struct kbp_frame f;
		unsigned verdict;

		if (KBP_UNLIKELY(!kbp_efvi_is_frame(e))) {
			if (kbp_efvi_rx_odd(x, b, e))
				return kbp_efvi_rx_rest(rx, b->n, max, fn, arg);
			continue;
		}
		f = kbp_efvi_frame(x, e);
		verdict = fn(rx, f, arg);
		if (!(verdict & KBP_KEEP))
			(void)ef_vi_receive_init(&x->vi, x->dma[f.token], (ef_request_id)f.token);
		else if (kbp_efvi_rx_kept(x, b, e, f.token))
			verdict = KBP_STOP;
		if (verdict & KBP_STOP) {
			kbp_efvi_rx_stop(x, b, e);
			break;
		}
	} while (!one && ++e != b->end);
	x->in_burst = 0;
	x->q.rx_count->frames += b->n;
	x->unpushed += b->n;
	kbp_efvi_push(x);
	return b->n;
}

KBP_INLINE unsigned kbp_efvi_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);
	unsigned room = max < KBP_EFVI_EVENTS ? max : KBP_EFVI_EVENTS;
	bool one = __builtin_constant_p(room) && room < EF_VI_EVENT_POLL_MIN_EVS; /* no loop */
	ef_event evs[KBP_EFVI_EVENTS];
	struct kbp_efvi_burst b;
	int got;

	x->q.rx_count->polls++;
	got = x->poll(&x->vi, evs,
		      (int)(room < EF_VI_EVENT_POLL_MIN_EVS ? EF_VI_EVENT_POLL_MIN_EVS : room));
	if (room >= EF_VI_EVENT_POLL_MIN_EVS) {
		if (KBP_LIKELY(!got))
			return 0;
	} else if (KBP_UNLIKELY((unsigned)got - 1 >= room)) { /* a poll takes no fewer than two */
		if (!got)
			return 0;
		x->call->stash(x, evs, (unsigned)got);
		return x->call->stash_each(rx, 0, max, fn, arg);
	}
	b.n = (unsigned)got;
	b.end = evs + got;
	if (x->refs == 1) /* gcc 12 tests a word in memory for zero by two instructions */
		return kbp_efvi_rx_refs(rx, evs, &b, one, max, fn, arg);
	return kbp_efvi_rx_posted(rx, evs, &b, one, max, fn, arg);
}

/* ---------------------------------------------------------------- transmit */

/* All of the device's memory is in use, or the frame is longer than a part of it. */
KBP_EFVI_ASIDE int kbp_efvi_tx_missed(struct kbp_efvi_queue *x, ef_request_id id, uint32_t len)
{
	x->call->pio_missed(x);
	return ef_vi_transmit(&x->vi, x->dma[id], (int)len, id);
}

/* One frame of a buffer of ours, in the way that `how` names. PIO falls back to DMA while the device's
 * memory is in use, and for long frames. */
KBP_INLINE int kbp_efvi_tx_one(struct kbp_efvi_queue *x, ef_request_id id, const uint8_t *frame,
			       uint32_t len, unsigned how)
{
	ef_iovec iov;

	if (how == KBP_TX_MODE_CTPIO) {
		ef_vi_transmit_ctpio(&x->vi, frame, len, x->ct_threshold);
		return ef_vi_transmit_ctpio_fallback(&x->vi, x->dma[id], len, id);
	}
	if (how == KBP_TX_MODE_PIO) { /* both ring the doorbell */
		uint32_t slot = x->pio_next;

		if (KBP_LIKELY(x->pio_free && len <= KBP_EFVI_PIO_SLOT)) {
			x->pio_free--;
			x->pio_next = slot + 1 == x->pio_slots ? 0 : slot + 1;
			return ef_vi_transmit_copy_pio(&x->vi, (int)(slot * KBP_EFVI_PIO_SLOT),
						       frame, (int)len, id | KBP_EFVI_IN_PIO);
		}
		return kbp_efvi_tx_missed(x, id, len);
	}
	iov.iov_base = x->dma[id];
	iov.iov_len = len;
	return ef_vi_transmitv_init(&x->vi, &iov, 1, id);
}

/* n frames went to the device. */
KBP_INLINE void kbp_efvi_tx_count(struct kbp_efvi_queue *x, uint32_t n, unsigned how)
{
	struct kbp_hot_tx *count = x->q.tx_count;

	x->n_free -= n;
	count->frames += n;
	if (how == KBP_TX_MODE_DMA) /* otherwise each frame is its own */
		count->doorbells++;
}

/* In array form: raw txflows, and bursts for which there is not enough. */
KBP_EFVI_ASIDE unsigned kbp_efvi_tx_array(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	return kbp_generic_tx_each(tx, max, fn, arg);
}

/* The cut-through FIFO of X3 and X4 was full at the frame in the buffer *top. So it goes, and those down to
 * `end` that are still to be filled, when the device has told of frames that left the FIFO; n is all of the
 * burst. Returns how many of them went. */
KBP_EFVI_ASIDE unsigned kbp_efvi_tx_full(struct kbp_tx tx, const ef_request_id *top,
					 const ef_request_id *end, uint32_t n,
					 const struct iovec *iov, kbp_filler fn, void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(tx.t->q);
	uint32_t left = (uint32_t)(top - end), before = n - left - 1;
	ef_request_id id = *top;

	kbp_efvi_tx_count(x, before, KBP_TX_MODE_CTPIO);
	x->n_free--; /* buffers that come back meanwhile go onto the stack */
	if (x->call->tx_again(x, id, (const uint8_t *)iov->iov_base, (uint32_t)iov->iov_len)) {
		if (!x->dead)
			x->tx_free[x->n_free++] = id;
		return before;
	}
	x->q.tx_count->frames++;
	return before + 1 + (left ? kbp_efvi_tx_array(tx, left, fn, arg) : 0);
}

/* gcc 12 has no register left over a checksum: reading again costs less than keeping. */
#ifdef __clang__
#define KBP_EFVI_AGAIN(from, known) (known)
#else
#define KBP_EFVI_AGAIN(from, known) (from)
#endif

/* The same queue, found from its VI: calls need that address, so one register serves both. */
KBP_INLINE struct kbp_efvi_queue *kbp_efvi_by_vi(struct kbp_efvi_queue *x)
{
	char *vi = (char *)&x->vi;

	__asm__("" : "+r"(vi));
	return (struct kbp_efvi_queue *)(void *)(vi - offsetof(struct kbp_efvi_queue, vi));
}

/* n is at least 1, and there are buffers and descriptors for all. */
KBP_INLINE unsigned kbp_efvi_tx_fill(struct kbp_efvi_queue *x, struct kbp_tx tx, uint32_t n,
				     unsigned how, kbp_filler fn, void *arg)
{
	const struct kbp_txflow *t = tx.t;
	const ef_request_id *top = x->tx_free + x->n_free, *end = top - n;
	bool one = __builtin_constant_p(n) && n == 1; /* no loop */

	x = kbp_efvi_by_vi(x);
	do {
		ef_request_id id = *--top;
		uint8_t *frame = x->mem + (size_t)(uint32_t)id * KBP_EFVI_BUFFER;
		uint32_t hdr_len = t->hdr_len, len;
		struct kbp_frame f;

		f.token = (uint32_t)id;
		f.len = t->room;
		f.flags = KBP_FRAME_TX;
		f.ts_frac = 0;
		f.data = frame + hdr_len;
		f.txflow = tx.t;
		kbp_udp_head(t, frame);
		len = fn(tx, f, arg);
		if (KBP_UNLIKELY(len == KBP_TX_END)) {
			n -= (uint32_t)(top - end) + 1;
			break;
		}
		kbp_udp_finish(t, (uint8_t *)f.data, len);
		len += KBP_EFVI_AGAIN(t->hdr_len, hdr_len);
		if (how == KBP_TX_MODE_CTPIO) {
			struct iovec iov = { frame, len };

			ef_vi_transmitv_ctpio(&x->vi, len, &iov, 1, x->ct_threshold);
			if (KBP_UNLIKELY(ef_vi_transmit_ctpio_fallback(&x->vi, x->dma[id], len, id)))
				return kbp_efvi_tx_full(tx, one ? x->tx_free + x->n_free - 1 : top,
							one ? x->tx_free + x->n_free - 1 : end, n,
							&iov, fn, arg);
		} else {
			(void)kbp_efvi_tx_one(x, id, frame, len, how);
		}
		if (!one)
			KBP_EFVI_IN_MEMORY(end);
	} while (!one && top != end);
	if (how == KBP_TX_MODE_DMA) {
		if (KBP_UNLIKELY(!n))
			return 0;
		ef_vi_transmit_push(&x->vi);
	}
	kbp_efvi_tx_count(x, n, how);
	return n;
}

/* `mode`: the way of sending when it is a constant, or KBP_TX_MODE_NONE. One loop needs fewer registers
 * than three do. */
KBP_INLINE unsigned kbp_efvi_tx_each(struct kbp_tx tx, unsigned mode, unsigned max, kbp_filler fn,
				     void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(tx.t->q);

	if (KBP_UNLIKELY(max - 1 >= x->n_free - x->tx_floor)) { /* or max is 0 */
		uint32_t n = x->call->tx_find(x, max);

		if (!n)
			return 0;
		if (n != max) /* a literal stays one below */
			return kbp_efvi_tx_array(tx, n, fn, arg);
	}
	if (mode == KBP_TX_MODE_NONE)
		mode = tx.t->tx_mode;
	if (mode == KBP_TX_MODE_DMA)
		return kbp_efvi_tx_fill(x, tx, max, KBP_TX_MODE_DMA, fn, arg);
	if (mode == KBP_TX_MODE_CTPIO)
		return kbp_efvi_tx_fill(x, tx, max, KBP_TX_MODE_CTPIO, fn, arg);
	if (mode == KBP_TX_MODE_PIO)
		return kbp_efvi_tx_fill(x, tx, max, KBP_TX_MODE_PIO, fn, arg);
	return kbp_efvi_tx_array(tx, max, fn, arg);
}

#ifdef __cplusplus
}
#endif
#endif
