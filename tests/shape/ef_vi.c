/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi.c - proof that both forms can be carried by the vendor's ef_vi headers (Onload 8.1 to
 * master), in descriptor mode and in RX_REF mode. Compiled against the headers that the meson
 * option `ef_vi_include` names, never linked: what it does at run time is proven by the fakes of
 * tests/contract.
 *
 *   one event queue  every poll meets RX and TX events: vq_demux sorts them, RX into the stash, TX
 *   into `done` token            descriptor mode: the buffer's number (ef_request_id); RX_REF: the
 *   pkt_id stash            complete packets of earlier polls, in order; a chain's parts wait there
 *   until it is whole timestamps       valid until the next ef_eventq_poll: resolved when a frame
 *   enters the stash, by the
 *                    accessor otherwise; so nothing may poll while a handler runs (in_rx)
 */
#include <etherfabric/base.h>
#include <etherfabric/efct_vi.h>
#include <etherfabric/ef_vi.h>

#include "shape.h"

#define BUF_BYTES 2048u
#define EVENTS 32u
#define STASH 8192u /* RX ring + what one poll can add: never full, the NIC has no more buffers */
#define DONE 4096u  /* TX ring, likewise */
#define VQ_FORWARDED 0x80000000u /* mark of a pkt_id among the ids of sent frames */

struct vq {
	struct kbp_queue head;
	ef_vi *vi;
	uint8_t *mem;
	const ef_addr *dma; /* of each buffer */
	uint32_t prefix;
	uint32_t in_rx; /* a handler is running: vq_tx_reserve must not poll */
	uint32_t n_rx, stash_in, stash_whole, stash_out;
	uint32_t chain_bytes; /* cumulative length so far of the chain that is arriving */
	uint32_t n_post, n_free, done_in, done_out, in_flight;
	ef_request_id post[STASH], free_tx[DONE];
	struct kbp_frame stash[STASH];
	struct kbp_completion done[DONE];
	uint64_t discards[EF_EVENT_RX_DISCARD_MAX], ref_discards;
	bool ref;
};

KBP_INLINE struct vq *vq_of(struct kbp_queue *q)
{
	return (struct vq *)(void *)q;
}

/* ---------------------------------------------------------------- timestamps */

KBP_INLINE struct kbp_stamp vq_precise(struct vq *v, const void *pkt, uint32_t pkt_id)
{
	struct kbp_stamp s = { 0, 0, 0 };
	unsigned flags = 0;
	int rc;

#ifdef ef_vi_receive_get_precise_timestamp
	ef_precisetime ts;

	(void)pkt_id;
	rc = ef_vi_receive_get_precise_timestamp(v->vi, pkt, &ts);
	s.frac = rc ? 0 : ts.tv_nsec_frac;
	flags = ts.tv_flags;
#else
	ef_timespec ts;

	if (v->ref)
		rc = efct_vi_rxpkt_get_timestamp(v->vi, pkt_id, &ts, &flags);
	else
		rc = ef_vi_receive_get_timestamp_with_sync_flags(v->vi, pkt, &ts, &flags);
#endif
	if (rc)
		return s;
	s.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	flags = flags & EF_VI_SYNC_FLAG_CLOCK_IN_SYNC ? KBP_SYNC_IN : KBP_SYNC_NOT;
	s.flags = (uint16_t)(KBP_FRAME_TS | flags << KBP_FRAME_SYNC_SHIFT);
	return s;
}

KBP_INLINE struct kbp_stamp vq_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	struct vq *v = vq_of(rx.q);
	struct kbp_stamp s = { f->ts_ns, f->ts_frac, f->flags };

	/* out of the stash: resolved already. Else the prefix lies in front of the frame (RX_REF:
	 * pkt itself) */
	if ((f->flags & KBP_FRAME_TS) || !(v->head.flags & KBP_QUEUE_RX_STAMPS))
		return s;
	return vq_precise(v, (const uint8_t *)f->data - (v->ref ? 0 : v->prefix), (uint32_t)f->token);
}

/* ---------------------------------------------------------------- receive: frames of events */

KBP_INLINE struct kbp_frame vq_desc_frame(const struct vq *v, ef_request_id id, uint32_t len,
					  bool sop, bool cont)
{
	uint32_t skip = sop ? v->prefix : 0;
	struct kbp_frame f = { .token = (uint32_t)id,
			       .len = len - skip,
			       .flags = cont ? KBP_FRAME_MORE : 0,
			       .data = v->mem + (size_t)id * BUF_BYTES + skip };

	return f;
}

KBP_INLINE struct kbp_frame vq_ref_frame(const struct vq *v, uint32_t pkt_id, uint32_t len)
{
	/* superbuffers may be mapped read only: received bytes are the caller's to read, not to
	 * write */
	struct kbp_frame f = { .token = pkt_id,
			       .len = len,
			       .data = (void *)(uintptr_t)efct_vi_rxpkt_get(v->vi, pkt_id) };

	return f;
}

static void vq_stash(struct vq *v, struct kbp_frame f, bool sop)
{
	struct kbp_rx rx = { &v->head, KBP_EF_VI };

	if (sop) {
		struct kbp_stamp s = vq_frame_ts(rx, &f);

		f.ts_ns = s.ns;
		f.ts_frac = s.frac;
		f.flags |= s.flags;
	}
	v->stash[v->stash_in++ & (STASH - 1)] = f;
	if (!(f.flags & KBP_FRAME_MORE))
		v->stash_whole = v->stash_in;
}

KBP_INLINE void vq_home(struct vq *v, uint64_t token)
{
	if (v->ref)
		efct_vi_rxpkt_release(v->vi, (uint32_t)token);
	else
		v->post[v->n_post++] = (ef_request_id)token;
}

/* The doorbell moves in steps of 8: fewer buffers wait for the next call. */
KBP_INLINE void vq_repost(struct vq *v)
{
	if (v->n_post < 8)
		return;
	while (v->n_post >= 8) {
		for (unsigned i = 0; i < 8; i++) {
			ef_request_id id = v->post[--v->n_post];

			(void)ef_vi_receive_init(v->vi, v->dma[id], id);
		}
	}
	ef_vi_receive_push(v->vi);
}

/* The tail of a chain that was cut off: its parts go home. */
static void vq_drop_chain(struct vq *v)
{
	while (v->stash_in != v->stash_whole)
		vq_home(v, v->stash[--v->stash_in & (STASH - 1)].token);
	v->chain_bytes = 0;
}

static void vq_stash_part(struct vq *v, const ef_event *ev)
{
	bool sop = EF_EVENT_RX_SOP(*ev), cont = EF_EVENT_RX_CONT(*ev);
	uint32_t bytes = EF_EVENT_RX_BYTES(*ev); /* cumulative over the chain */

	if (sop)
		v->chain_bytes = 0;
	vq_stash(v,
		 vq_desc_frame(v, (ef_request_id)EF_EVENT_RX_RQ_ID(*ev), bytes - v->chain_bytes,
			       sop, cont),
		 sop);
	v->chain_bytes = cont ? bytes : 0;
}

static void vq_stash_multi(struct vq *v, const ef_event *ev, bool good)
{
	ef_request_id ids[EF_VI_RECEIVE_BATCH];
	int n = ef_vi_receive_unbundle(v->vi, ev, ids);
	bool cont = EF_EVENT_RX_MULTI_CONT(*ev);

	for (int i = 0; i < n; i++) {
		uint16_t len = 0;

		if (good && !ef_vi_receive_get_bytes(v->vi, v->mem + (size_t)ids[i] * BUF_BYTES, &len))
			vq_stash(v, vq_desc_frame(v, ids[i], len + v->prefix, true, cont), true);
		else
			vq_home(v, (uint32_t)ids[i]);
	}
}

/* ------------------------------------------------------------ the other half of the event queue */

/* A sent buffer goes back to its side: to RX when it was forwarded. A forwarded reference was
 * dropped at submit. */
static void vq_free(struct vq *v, uint32_t id)
{
	if (id & VQ_FORWARDED)
		return;
	if (id < v->n_rx)
		vq_home(v, id);
	else
		v->free_tx[v->n_free++] = (ef_request_id)id;
}

static void vq_done(struct vq *v, ef_request_id id, uint64_t ns, uint16_t frac, unsigned flags,
		    uint32_t error)
{
	if ((unsigned)id == (unsigned)EF_REQUEST_ID_MASK)
		return; /* a warming transmit */
	v->in_flight--;
	if (!(v->head.flags & KBP_QUEUE_COMPLETIONS)) {
		vq_free(v, (uint32_t)id);
	} else {
		v->done[v->done_in++ & (DONE - 1)] =
			(struct kbp_completion){ .token = (uint32_t)id,
						 .ts_ns = ns,
						 .ts_frac = frac,
						 .flags = (uint16_t)flags,
						 .error = error };
	}
}

static void vq_tx_event(struct vq *v, const ef_event *ev)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint64_t ns;
	unsigned flags;
	int n;

	if (EF_EVENT_TYPE(*ev) == EF_EVENT_TYPE_TX_WITH_TIMESTAMP) {
		ns = (uint64_t)EF_EVENT_TX_WITH_TIMESTAMP_SEC(*ev) * 1000000000u +
		     EF_EVENT_TX_WITH_TIMESTAMP_NSEC(*ev);
		flags = EF_EVENT_TX_WITH_TIMESTAMP_SYNC_FLAGS(*ev) & EF_VI_SYNC_FLAG_CLOCK_IN_SYNC ?
				(unsigned)KBP_SYNC_IN :
				(unsigned)KBP_SYNC_NOT;
		vq_done(v, (ef_request_id)EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(*ev), ns,
#ifdef EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16
			(uint16_t)EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16(*ev),
#else
			0,
#endif
			KBP_FRAME_TS | flags << KBP_FRAME_SYNC_SHIFT, 0);
		return;
	}
	n = ef_vi_transmit_unbundle(v->vi, ev, ids);
	for (int i = 0; i < n; i++)
		vq_done(v, ids[i], 0, 0, 0, EF_EVENT_TYPE(*ev) == EF_EVENT_TYPE_TX_ERROR ? EIO : 0);
}

/* Everything but a good, whole, single-buffer frame. */
static __attribute__((noinline)) void vq_demux(struct vq *v, const ef_event *ev)
{
	switch (EF_EVENT_TYPE(*ev)) {
	case EF_EVENT_TYPE_RX:
		vq_stash_part(v, ev);
		break;
	case EF_EVENT_TYPE_RX_REF:
		vq_stash(v, vq_ref_frame(v, ev->rx_ref.pkt_id, ev->rx_ref.len), true);
		break;
	case EF_EVENT_TYPE_RX_MULTI:
	case EF_EVENT_TYPE_RX_MULTI_DISCARD:
		vq_stash_multi(v, ev, EF_EVENT_TYPE(*ev) == EF_EVENT_TYPE_RX_MULTI);
		break;
	case EF_EVENT_TYPE_RX_DISCARD:
		v->discards[EF_EVENT_RX_DISCARD_TYPE(*ev)]++;
		vq_home(v, EF_EVENT_RX_DISCARD_RQ_ID(*ev));
		vq_drop_chain(v);
		break;
	case EF_EVENT_TYPE_RX_REF_DISCARD:
		v->ref_discards++;
		efct_vi_rxpkt_release(v->vi, ev->rx_ref_discard.pkt_id);
		break;
	case EF_EVENT_TYPE_RX_NO_DESC_TRUNC:
		v->head.rx_count->truncated++;
		vq_drop_chain(v);
		break;
	case EF_EVENT_TYPE_TX:
	case EF_EVENT_TYPE_TX_ERROR:
	case EF_EVENT_TYPE_TX_WITH_TIMESTAMP:
		vq_tx_event(v, ev);
		break;
	case EF_EVENT_TYPE_OFLOW:
		__atomic_store_n(&v->head.state, KBP_QUEUE_OVERFLOWED, __ATOMIC_RELAXED);
		break;
	case EF_EVENT_TYPE_RESET:
		__atomic_store_n(&v->head.state, KBP_QUEUE_RESET, __ATOMIC_RELAXED);
		break;
	}
}

static void vq_poll(struct vq *v)
{
	ef_event evs[EVENTS];
	int n = ef_eventq_poll(v->vi, evs, EVENTS);

	for (int i = 0; i < n; i++)
		vq_demux(v, &evs[i]);
}

/* ---------------------------------------------------------------- receive, both forms */

static unsigned vq_stash_take(struct vq *v, unsigned max)
{
	unsigned n = v->stash_whole - v->stash_out;

	n = n < max ? n : max;
	while (n && (v->stash[(v->stash_out + n - 1) & (STASH - 1)].flags & KBP_FRAME_MORE))
		n--;
	return n;
}

KBP_INLINE bool vq_is_single(const ef_event *ev)
{
	return (EF_EVENT_TYPE(*ev) == EF_EVENT_TYPE_RX && EF_EVENT_RX_SOP(*ev) &&
		!EF_EVENT_RX_CONT(*ev)) ||
	       EF_EVENT_TYPE(*ev) == EF_EVENT_TYPE_RX_REF;
}

KBP_INLINE unsigned vq_hand(struct vq *v, struct kbp_rx rx, struct kbp_frame f, kbp_handler fn,
			    void *arg)
{
	unsigned verdict = fn(rx, f, arg);

	if (verdict & KBP_KEEP)
		v->head.held++;
	else
		vq_home(v, f.token);
	return f.flags & KBP_FRAME_MORE ? verdict & ~(unsigned)KBP_STOP : verdict;
}

KBP_INLINE unsigned vq_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct vq *v = vq_of(rx.q);
	uint32_t room = v->head.hold_max - v->head.held;
	unsigned handed = 0, verdict = KBP_DONE, take;
	ef_event evs[EVENTS];
	int n = 0, i = 0;

	max = max < room ? max : room;
	v->in_rx = 1;
	if (v->stash_whole == v->stash_out && max) {
		n = ef_eventq_poll(v->vi, evs,
				   max < EF_VI_EVENT_POLL_MIN_EVS ? EF_VI_EVENT_POLL_MIN_EVS :
				   max < EVENTS			  ? (int)max :
								    (int)EVENTS);
		/* straight from the event to the handler, until something is out of the ordinary */
		for (; i < n && handed < max && !(verdict & KBP_STOP) && vq_is_single(&evs[i]);
		     i++, handed++) {
			struct kbp_frame f =
				EF_EVENT_TYPE(evs[i]) == EF_EVENT_TYPE_RX_REF ?
					vq_ref_frame(v, evs[i].rx_ref.pkt_id, evs[i].rx_ref.len) :
					vq_desc_frame(v, (ef_request_id)EF_EVENT_RX_RQ_ID(evs[i]),
						      EF_EVENT_RX_BYTES(evs[i]), true, false);

			verdict = vq_hand(v, rx, f, fn, arg);
		}
		for (; i < n; i++)
			vq_demux(v, &evs[i]);
	}
	for (take = verdict & KBP_STOP ? 0 : vq_stash_take(v, max - handed);
	     take && !(verdict & KBP_STOP); take--) {
		verdict = vq_hand(v, rx, v->stash[v->stash_out++ & (STASH - 1)], fn, arg);
		handed++;
	}
	v->in_rx = 0;
	vq_repost(v);
	return handed;
}

static unsigned vq_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct vq *v = vq_of(q);
	uint32_t room = q->hold_max - q->held;
	unsigned n;

	if (v->stash_whole == v->stash_out)
		vq_poll(v);
	n = vq_stash_take(v, max < room ? max : room);
	for (unsigned i = 0; i < n; i++)
		f[i] = v->stash[v->stash_out++ & (STASH - 1)];
	q->held += n;
	return n;
}

static void vq_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct vq *v = vq_of(q);

	for (unsigned i = 0; i < n; i++)
		vq_home(v, f[i].token);
	q->held -= n;
	if (!v->ref)
		vq_repost(v);
}

static void vq_rx_putback(struct kbp_queue *q, unsigned n)
{
	vq_of(q)->stash_out -= n;
	q->held -= n;
}

/* ---------------------------------------------------------------- transmit, both forms */

static unsigned vq_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct vq *v = vq_of(t->q);
	unsigned i;

	if (v->n_free < n && !v->in_rx)
		vq_poll(v);
	for (i = 0; i < n && v->n_free; i++) {
		ef_request_id id = v->free_tx[--v->n_free];
		uint8_t *payload = v->mem + (size_t)id * BUF_BYTES + KBP_HDR_ROOM;

		kbp_udp_begin(t, payload);
		f[i] = (struct kbp_frame){ .token = (uint32_t)id,
					   .len = t->room,
					   .flags = KBP_FRAME_TX,
					   .data = payload,
					   .txflow = t };
	}
	return i;
}

/* One frame. In RX_REF mode the CPU copies it to the NIC here, whatever memory it lies in: an
 * ef_addr is then a pointer, and a forwarded frame's reference can be dropped at once. */
KBP_INLINE int vq_tx_one(struct vq *v, uint64_t token, const uint8_t *start, uint32_t len,
			 bool received)
{
	ef_addr addr;
	int rc;

	if (v->ref) {
		rc = ef_vi_transmit(v->vi, (ef_addr)(uintptr_t)start, (int)len,
				    (ef_request_id)(received ? token | VQ_FORWARDED : token));
		if (!rc && received)
			efct_vi_rxpkt_release(v->vi, (uint32_t)token);
		return rc;
	}
	addr = v->dma[token] + (ef_addr)(uintptr_t)(start - (v->mem + token * BUF_BYTES));
	return ef_vi_transmit_init(v->vi, addr, (int)len, (ef_request_id)token);
}

static unsigned vq_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct vq *v = vq_of(q);
	unsigned i;

	for (i = 0; i < n; i++) {
		bool received = !(f[i].flags & KBP_FRAME_TX);
		uint32_t hdr = received ? 0 : f[i].txflow->hdr_len;

		if (hdr)
			kbp_udp_finish(f[i].txflow, (uint8_t *)f[i].data, f[i].len);
		if (vq_tx_one(v, f[i].token, (uint8_t *)f[i].data - hdr, f[i].len + hdr, received))
			break; /* -EAGAIN: the ring is full */
		q->held -= received;
		v->in_flight++;
	}
	if (i && !v->ref)
		ef_vi_transmit_push(v->vi);
	return i;
}

/* A received chain is one packet to the NIC too: one ef_iovec per part, one id for all. */
static __attribute__((unused)) int vq_tx_chain(struct vq *v, const struct kbp_frame *f, unsigned parts)
{
	ef_iovec iov[8];

	for (unsigned i = 0; i < parts; i++) {
		iov[i].iov_base = v->dma[f[i].token] +
				  (ef_addr)(uintptr_t)((const uint8_t *)f[i].data -
						       (v->mem + f[i].token * BUF_BYTES));
		iov[i].iov_len = f[i].len;
	}
	return ef_vi_transmitv_init(v->vi, iov, (int)parts, (ef_request_id)f[0].token);
}

/* Cut-through: bytes as given, so checksums are ours; always followed by its fallback. */
static __attribute__((unused)) int vq_tx_ctpio(struct vq *v, const struct kbp_frame *f)
{
	const uint8_t *start = (const uint8_t *)f->data - f->txflow->hdr_len;
	uint32_t len = f->len + f->txflow->hdr_len;

	ef_vi_transmit_ctpio(v->vi, start, len, EF_VI_CTPIO_CT_THRESHOLD_SNF);
	return ef_vi_transmit_ctpio_fallback(v->vi, v->dma[f->token], len, (ef_request_id)f->token);
}

static void vq_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct vq *v = vq_of(q);

	for (unsigned i = 0; i < n; i++)
		v->free_tx[v->n_free++] = (ef_request_id)f[i].token;
}

static unsigned vq_tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct vq *v = vq_of(q);
	unsigned i;

	if (!v->in_rx)
		vq_poll(v);
	for (i = 0; i < max && v->done_out != v->done_in; i++) {
		c[i] = v->done[v->done_out++ & (DONE - 1)];
		vq_free(v, (uint32_t)c[i].token);
		c[i].token &= ~(uint64_t)VQ_FORWARDED;
	}
	return i;
}

KBP_INLINE unsigned vq_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct vq *v = vq_of(tx.t->q);
	uint32_t hdr = tx.t->hdr_len;
	unsigned sent = 0;

	if (v->n_free < max && !v->in_rx)
		vq_poll(v);
	while (sent < max && v->n_free) {
		ef_request_id id = v->free_tx[v->n_free - 1];
		uint8_t *payload = v->mem + (size_t)id * BUF_BYTES + KBP_HDR_ROOM;
		struct kbp_frame f = { .token = (uint32_t)id,
				       .len = tx.t->room,
				       .flags = KBP_FRAME_TX,
				       .data = payload,
				       .txflow = tx.t };
		uint32_t len;

		kbp_udp_begin(tx.t, payload);
		len = fn(tx, f, arg);
		if (len == KBP_TX_END)
			break;
		kbp_udp_finish(tx.t, payload, len);
		if (vq_tx_one(v, f.token, payload - hdr, len + hdr, false))
			break;
		v->n_free--;
		sent++;
	}
	if (sent && !v->ref)
		ef_vi_transmit_push(v->vi);
	v->in_flight += sent;
	return sent;
}

/* ---------------------------------------------------------------- the program, instantiated */

unsigned shape_ef_vi(struct vq *v, struct kbp_txflow *t, ef_vi *vi);

unsigned shape_ef_vi(struct vq *v, struct kbp_txflow *t, ef_vi *vi)
{
	static const shape_rx_each_fn rx_each = vq_rx_each;
	static const shape_tx_each_fn tx_each = vq_tx_each;
	static const shape_ts_fn stamp = vq_frame_ts;
	struct shape_app a = { .t = t, .stamp = vq_frame_ts };
	struct kbp_rx rx = kbp_rx_as(&v->head, KBP_EF_VI);
	struct kbp_tx tx = kbp_tx_as(t, KBP_EF_VI);

	v->head = (struct kbp_queue){ .rx_peek = vq_rx_peek,
				      .rx_release = vq_rx_release,
				      .rx_putback = vq_rx_putback,
				      .tx_reserve = vq_tx_reserve,
				      .tx_submit = vq_tx_submit,
				      .tx_cancel = vq_tx_cancel,
				      .tx_reap = vq_tx_reap,
				      .kind = KBP_EF_VI,
				      .hold_max = SHAPE_KEPT };
	v->vi = vi;
	v->prefix = (uint32_t)ef_vi_receive_prefix_len(vi);
	SHAPE_CHECK(rx_each && tx_each && stamp);
	return vq_rx_each(rx, 8, shape_on_frame, &a) + vq_tx_each(tx, 8, shape_fill, &a) +
	       shape_array_burst(&v->head, &a);
}
