/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi_sort.c - what the event queue of ef_vi tells besides good whole frames, and where buffers are.
 *
 * Each RX buffer is at one place: posted, in an event that was not looked at yet, in the stash, with the
 * caller, with the TX side (sent on), or spare. Frames that have to be put together, or that come behind
 * such, wait in the stash, in order.
 */
#include <string.h>

#include "ef_vi.h"

/* ---------------------------------------------------------------- receive: buffers */

KBP_INLINE void post(struct kbp_efvi_full *f, uint32_t id)
{
	/* there is a descriptor for each of `target` buffers, and no more are posted */
	(void)ef_vi_receive_init(&f->x.vi, f->dma[id], (ef_request_id)id);
	f->x.unpushed++;
	f->missing--;
}

/* A received frame that nobody needs any more. */
void kbp_efvi_home(struct kbp_efvi_full *f, uint64_t token)
{
	if (f->x.refs)
		f->x.pkt_release(&f->x.vi, (uint32_t)token);
	else if (f->missing)
		post(f, (uint32_t)token);
	else
		f->spare[f->n_spare++] = (uint32_t)token;
}

void kbp_efvi_replenish(struct kbp_efvi_full *f)
{
	while (f->missing && f->n_spare)
		post(f, f->spare[--f->n_spare]);
}

/* ---------------------------------------------------------------- receive: what the caller has */

void kbp_efvi_hold(struct kbp_efvi_full *f, uint64_t token)
{
	f->x.q.held++;
	if (f->x.refs)
		kbp_efvi_pin(f, f->x.pkt_get(&f->x.vi, (uint32_t)token));
}

/* Back from the caller, or on to the TX side. */
void kbp_efvi_unhold(struct kbp_efvi_full *f, uint64_t token)
{
	f->x.q.held--;
	if (f->x.refs)
		kbp_efvi_unpin(f, f->x.pkt_get(&f->x.vi, (uint32_t)token));
}

/* References that were sent on from inside a handler: the device has copied them, but the frame at hand is
 * held only once its handler has said so. */
static void settle(struct kbp_efvi_full *f)
{
	while (f->n_later) {
		uint32_t token = f->later[--f->n_later];

		kbp_efvi_unhold(f, token);
		f->x.pkt_release(&f->x.vi, token);
	}
}

void kbp_efvi_later(struct kbp_efvi_full *f, uint64_t token)
{
	f->later[f->n_later++] = (uint32_t)token;
	if (!f->x.in_burst)
		settle(f);
	else
		kbp_efvi_look_first(f);
}

/* ---------------------------------------------------------------- receive: the stash */

static bool match(const struct kbp_efvi_full *f, const struct kbp_frame *first)
{
	struct kbp_datagram d;

	if (kbp_datagram_parse(first->data, first->len, first->flags & KBP_FRAME_MORE, &d) !=
	    KBP_PARSE_OK)
		return false;
	for (const struct kbp_flow_ref *r = kbp_cold(&f->x.q)->flows; r; r = r->next)
		if (kbp_flow_matches(&r->flow, &d))
			return true;
	return false;
}

/* The packet that is being put together is not to be. */
static void chain_drop(struct kbp_efvi_full *f)
{
	struct kbp_efvi_stash *s = &f->stash;

	while (s->in != s->whole)
		kbp_efvi_home(f, kbp_efvi_stash_at(s, --s->in)->token);
	s->chain_bytes = 0;
}

/* A packet is complete. */
static void chain_end(struct kbp_efvi_full *f)
{
	struct kbp_efvi_stash *s = &f->stash;

	if (KBP_UNLIKELY(f->match) && !match(f, kbp_efvi_stash_at(s, s->whole))) {
		f->count.foreign++;
		chain_drop(f);
		return;
	}
	s->whole = s->in;
	kbp_efvi_look_first(f);
}

static void stash_frame(struct kbp_efvi_full *f, struct kbp_frame frame, bool sop)
{
	struct kbp_efvi_stash *s = &f->stash;

	/* descriptors: there are no more buffers than places. References: the device may have more; and those
	 * of a poll may come back */
	if (s->in - s->out > s->mask - KBP_EFVI_EVENTS) {
		f->count.stash_full++;
		kbp_efvi_home(f, frame.token);
		return;
	}
	if (sop && f->x.q.flags & KBP_QUEUE_RX_STAMPS) {
		struct kbp_stamp t = kbp_efvi_stamp(&f->x, (const uint8_t *)frame.data - f->x.prefix,
						    frame.token);

		frame.ts_ns = t.ns;
		frame.ts_frac = t.frac;
		frame.flags |= t.flags;
		if (t.flags & KBP_FRAME_TS) {
			f->had_stamp = true;
			kbp_stamp_prove(&f->proof, KBP_EFVI_EPOCH, t.ns);
		}
	} else if (!sop && s->in != s->whole) { /* a packet has one stamp, every part says it */
		const struct kbp_frame *before = kbp_efvi_stash_at(s, s->in - 1);

		frame.ts_ns = before->ts_ns;
		frame.ts_frac = before->ts_frac;
		frame.flags |= before->flags & (uint16_t)~KBP_FRAME_MORE;
	}
	*kbp_efvi_stash_at(s, s->in++) = frame;
	if (!(frame.flags & KBP_FRAME_MORE))
		chain_end(f);
}

/* ---------------------------------------------------------------- receive: sorting events */

/* One buffer of a packet: `bytes` of it, prefix included. */
static void part(struct kbp_efvi_full *f, uint32_t id, uint32_t bytes, bool sop, bool cont)
{
	struct kbp_efvi_stash *s = &f->stash;
	uint32_t skip = sop ? f->x.prefix : 0;
	struct kbp_frame frame = { .token = id,
				   .len = bytes - skip,
				   .flags = cont ? KBP_FRAME_MORE : 0,
				   .data = f->x.mem + (size_t)id * KBP_EFVI_BUFFER + skip };

	if (sop) {
		chain_drop(f);
		s->chain_bad = false;
	} else if (s->in == s->whole) { /* of a packet whose beginning is gone */
		s->chain_bad = true;
	}
	if (!s->chain_bad && f->x.q.chain_max == 1 && cont) { /* begins a chain, and nobody wants one */
		s->chain_bad = true;
		f->x.q.rx_count->truncated++;
	}
	if (s->chain_bad)
		kbp_efvi_home(f, id);
	else
		stash_frame(f, frame, sop);
}

static void sort_rx(struct kbp_efvi_full *f, const ef_event *e)
{
	struct kbp_efvi_stash *s = &f->stash;
	bool sop = EF_EVENT_RX_SOP(*e), cont = EF_EVENT_RX_CONT(*e);
	uint32_t total = EF_EVENT_RX_BYTES(*e), before = sop ? 0 : s->chain_bytes;

	f->missing++;
	part(f, EF_EVENT_RX_RQ_ID(*e), total - before, sop, cont);
	s->chain_bytes = cont ? total : 0;
}

static void discarded(struct kbp_efvi_full *f, unsigned kind)
{
	f->count.discard[kind < EF_EVENT_RX_DISCARD_MAX ? kind : EF_EVENT_RX_DISCARD_OTHER]++;
}

/* The buffer is ours again, and the packet it was of is no packet; its other parts may have come as good
 * ones, or may still come. */
static void sort_discard(struct kbp_efvi_full *f, const ef_event *e)
{
	bool counted = f->stash.chain_bad && !EF_EVENT_RX_DISCARD_SOP(*e);

	chain_drop(f);
	if (!counted)
		discarded(f, EF_EVENT_RX_DISCARD_TYPE(*e));
	f->stash.chain_bad = EF_EVENT_RX_DISCARD_CONT(*e) != 0;
	f->missing++;
	kbp_efvi_home(f, EF_EVENT_RX_DISCARD_RQ_ID(*e));
}

/* Merged events name no lengths: a packet's stands in the prefix of its first buffer, and the buffers
 * before its last are full. */
static void sort_multi(struct kbp_efvi_full *f, const ef_event *e)
{
	const bool good = EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX_MULTI;
	const uint32_t full = (uint32_t)ef_vi_receive_buffer_len(&f->x.vi);
	struct kbp_efvi_stash *s = &f->stash;
	ef_request_id ids[EF_VI_RECEIVE_BATCH];
	int n = ef_vi_receive_unbundle(&f->x.vi, e, ids);

	for (int i = 0; i < n; i++) {
		const uint8_t *pkt = f->x.mem + (size_t)(uint32_t)ids[i] * KBP_EFVI_BUFFER;
		bool sop = !s->multi_left;
		uint32_t bytes;
		uint16_t len = 0;

		if (sop) {
			(void)ef_vi_receive_get_bytes(&f->x.vi, pkt, &len);
			s->multi_left = len + f->x.prefix;
		}
		if (!good && (sop || s->in != s->whole)) {
			chain_drop(f);
			discarded(f, EF_EVENT_RX_MULTI_DISCARD_TYPE(*e));
		}
		bytes = s->multi_left < full ? s->multi_left : full;
		s->multi_left -= bytes;
		if (!good)
			s->chain_bad = s->multi_left != 0;
		f->missing++;
		if (good)
			part(f, (uint32_t)ids[i], bytes, sop, s->multi_left != 0);
		else
			kbp_efvi_home(f, (uint64_t)ids[i]);
	}
}

static void sort_ref_discard(struct kbp_efvi_full *f, const ef_event *e)
{
	unsigned flags = e->rx_ref_discard.flags;

	if (flags & EF_VI_DISCARD_RX_ETH_FCS_ERR)
		discarded(f, EF_EVENT_RX_DISCARD_CRC_BAD);
	else if (flags & EF_VI_DISCARD_RX_ETH_LEN_ERR)
		discarded(f, EF_EVENT_RX_DISCARD_TRUNC);
	else if (flags & (EF_VI_DISCARD_RX_L4_CSUM_ERR | EF_VI_DISCARD_RX_L3_CSUM_ERR))
		discarded(f, EF_EVENT_RX_DISCARD_CSUM_BAD);
	else
		discarded(f, EF_EVENT_RX_DISCARD_OTHER);
	f->x.pkt_release(&f->x.vi, e->rx_ref_discard.pkt_id);
}

/* ---------------------------------------------------------------- transmit: what was sent */

/* A sent buffer goes back to where it belongs. */
void kbp_efvi_sent_home(struct kbp_efvi_full *f, uint32_t id)
{
	if (!f->x.refs || !(id & KBP_EFVI_FORWARDED)) {
		if (id >= f->n_rx && id < f->n_rx + f->n_tx) {
			if (f->x.dead)
				return; /* a reopen takes all of these back */
			f->x.tx_free[f->x.n_free++] = (ef_request_id)id;
			f->x.tx_floor = f->x.n_free; /* its descriptor may be in use again */
			return;
		}
	}
	f->strange--;
	if (f->x.refs && id & KBP_EFVI_FORWARDED)
		return; /* given back when it was sent: the device had copied it */
	if (id < f->n_rx)
		kbp_efvi_home(f, id);
	else
		f->tpl_busy[id - f->n_rx - f->n_tx] = false;
}

static void sent_one(struct kbp_efvi_full *f, uint32_t id, const struct kbp_completion *c)
{
	struct kbp_efvi_done *d = &f->done;

	f->x.q.tx_count->completions++;
	if (!(f->x.q.flags & KBP_QUEUE_COMPLETIONS)) {
		kbp_efvi_sent_home(f, id);
		return;
	}
	d->c[d->in & d->mask] = *c;
	d->c[d->in++ & d->mask].token = id;
}

/* Only the last buffer of a chain has the id; the others hang on it. */
static void sent(struct kbp_efvi_full *f, ef_request_id req, const struct kbp_completion *c)
{
	uint32_t id = (uint32_t)req;

	if (id == (uint32_t)EF_REQUEST_ID_MASK)
		return; /* of warming */
	if (f->x.pio_slots && req & KBP_EFVI_IN_PIO) {
		f->x.pio_free++;
		id &= ~(uint32_t)KBP_EFVI_IN_PIO;
	}
	if (c->error)
		f->x.q.tx_count->errors++;
	if (f->x.refs || id >= f->n_rx) {
		sent_one(f, id, c);
		return;
	}
	while (id != KBP_EFVI_NO_PART) {
		uint32_t next = f->next_part[id];

		f->next_part[id] = KBP_EFVI_NO_PART;
		sent_one(f, id, c);
		id = next;
	}
}

static void sort_tx_stamped(struct kbp_efvi_full *f, const ef_event *e)
{
	struct kbp_completion c = { .ts_ns = kbp_efvi_tx_ns(e), .ts_frac = kbp_efvi_tx_frac(e) };

	/* no stamp: the library writes zero, and adds its correction of some nanoseconds (ef10_event.c) */
	if (c.ts_ns < 1000000000u)
		c.ts_ns = c.ts_frac = 0;
	else
		c.flags = kbp_efvi_stamp_flags(&f->x, c.ts_ns,
					       EF_EVENT_TX_WITH_TIMESTAMP_SYNC_FLAGS(*e));
	kbp_stamp_prove(&f->tx_proof, KBP_EFVI_EPOCH, c.ts_ns);
	sent(f, (ef_request_id)EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(*e), &c);
}

/* Nothing but buffers of the stack is in flight, and nobody wants to hear of them: straight back onto it. */
KBP_INLINE void sort_tx_plain(struct kbp_efvi_queue *x, const ef_event *e)
{
	ef_request_id *top = x->tx_free + x->n_free;
	int n = ef_vi_transmit_unbundle(&x->vi, e, top);

	x->n_free += (uint32_t)n;
	x->q.tx_count->completions += (uint32_t)n;
	if (!x->pio_slots)
		return;
	for (const ef_request_id *end = top + n; top != end; top++) {
		if (*top & KBP_EFVI_IN_PIO) {
			*top &= ~KBP_EFVI_IN_PIO;
			x->pio_free++;
		}
	}
}

static __attribute__((noinline)) void sort_tx_each(struct kbp_efvi_full *f, const ef_event *e)
{
	struct kbp_completion c = { .error = EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_TX_ERROR ? EIO : 0 };
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	int n = ef_vi_transmit_unbundle(&f->x.vi, e, ids);

	for (int i = 0; i < n; i++)
		sent(f, ids[i], &c);
}

KBP_INLINE void sort_tx(struct kbp_efvi_full *f, const ef_event *e)
{
	if (KBP_UNLIKELY(f->x.dead))
		return; /* behind the end of the VI, in the same poll */
	if (KBP_LIKELY(!f->strange && !(f->x.q.flags & KBP_QUEUE_COMPLETIONS)))
		sort_tx_plain(&f->x, e);
	else
		sort_tx_each(f, e);
}

/* ---------------------------------------------------------------- sorting: all of it */

/* The VI is good for nothing until it is opened anew: what it would say cannot be trusted. */
static void die(struct kbp_efvi_full *f, enum kbp_queue_state state)
{
	__atomic_store_n(&f->x.dead, 1, __ATOMIC_RELAXED); /* read by kbp_efvi_look, on any thread */
	f->x.tx_floor = f->x.n_free = 0;
	kbp_efvi_look_first(f);
	kbp_queue_set_state(&f->x.q, state);
}

static void sort(struct kbp_efvi_full *f, const ef_event *e)
{
	switch (EF_EVENT_TYPE(*e)) {
	case EF_EVENT_TYPE_RX:
		sort_rx(f, e);
		break;
	case EF_EVENT_TYPE_RX_REF:
		stash_frame(f, kbp_efvi_ref_frame(&f->x, e), true);
		break;
	case EF_EVENT_TYPE_TX:
		sort_tx(f, e);
		break;
	case EF_EVENT_TYPE_TX_ERROR:
		sort_tx_each(f, e);
		break;
	case EF_EVENT_TYPE_TX_WITH_TIMESTAMP:
		sort_tx_stamped(f, e);
		break;
	case EF_EVENT_TYPE_RX_DISCARD:
		sort_discard(f, e);
		break;
	case EF_EVENT_TYPE_RX_REF_DISCARD:
		sort_ref_discard(f, e);
		break;
	case EF_EVENT_TYPE_RX_MULTI:
	case EF_EVENT_TYPE_RX_MULTI_DISCARD:
		sort_multi(f, e);
		break;
	case EF_EVENT_TYPE_RX_NO_DESC_TRUNC:
		f->x.q.rx_count->truncated += !f->stash.chain_bad;
		f->stash.chain_bad = true;
		f->stash.multi_left = 0;
		chain_drop(f);
		break;
	case EF_EVENT_TYPE_OFLOW:
		die(f, KBP_QUEUE_OVERFLOWED);
		break;
	case EF_EVENT_TYPE_RESET:
		die(f, KBP_QUEUE_RESET);
		break;
	case KBP_EFVI_EV_STASH:
		break;
	default:
		f->count.strange++;
		break;
	}
}

void kbp_efvi_sort(struct kbp_efvi_queue *x, const ef_event *e, unsigned n)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);

	for (const ef_event *end = e + n; e != end; e++) {
		if (EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_TX)
			sort_tx(f, e);
		else
			sort(f, e);
	}
}

/* Frames of this poll that come after one in the stash have to queue behind it. */
bool kbp_efvi_odd(struct kbp_efvi_queue *x, const ef_event *e, unsigned left)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);

	sort(f, e);
	if (f->stash.in == f->stash.out)
		return false;
	kbp_efvi_sort(x, e + 1, left - 1);
	return true;
}

unsigned kbp_efvi_collect(struct kbp_efvi_full *f)
{
	ef_event evs[KBP_EFVI_EVENTS];
	int n;

	if (f->x.in_burst || f->x.dead)
		return 0;
	n = ef_eventq_poll(&f->x.vi, evs, (int)KBP_EFVI_EVENTS);
	kbp_efvi_sort(&f->x, evs, (unsigned)n);
	kbp_efvi_push_rx(f);
	return (unsigned)n;
}

/* The vendor's stamp of a whole frame, as it is; nothing is counted. */
static bool vendor_stamp(struct kbp_efvi_queue *x, const ef_event *e, uint64_t *ns)
{
	uint64_t token = x->refs ? e->rx_ref.pkt_id : EF_EVENT_RX_RQ_ID(*e);
	const void *pkt = x->refs ? x->pkt_get(&x->vi, (uint32_t)token) :
				    x->rx_data + token * KBP_EFVI_BUFFER - x->prefix;
#ifdef ef_vi_receive_get_precise_timestamp
	ef_precisetime ts;

	if (ef_vi_receive_get_precise_timestamp(&x->vi, pkt, &ts))
		return false;
#else /* Onload before 9.0 */
	ef_timespec ts;
	unsigned flags;

	if (x->refs ? efct_vi_rxpkt_get_timestamp(&x->vi, (uint32_t)token, &ts, &flags) :
		      ef_vi_receive_get_timestamp_with_sync_flags(&x->vi, pkt, &ts, &flags))
		return false;
#endif
	*ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return true;
}

/* Of frames that were just received, until it is proven that there are any. */
static void prove(struct kbp_efvi_full *f, const ef_event *e, unsigned n)
{
	struct kbp_efvi_queue *x = &f->x;
	uint64_t ns;

	for (const ef_event *end = e + n; e != end; e++) {
		bool frame = x->refs ? EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX_REF :
				       kbp_efvi_is_frame(e);

		if (!frame || !vendor_stamp(x, e, &ns))
			continue;
		f->had_stamp = true;
		kbp_stamp_prove(&f->proof, KBP_EFVI_EPOCH, ns);
	}
}

/* In the place of ef_eventq_poll when there is something to look at first. */
static int poll_carefully(ef_vi *vi, ef_event *evs, int n)
{
	struct kbp_efvi_full *f =
		(struct kbp_efvi_full *)(void *)((char *)vi - offsetof(struct kbp_efvi_full, x) -
						 offsetof(struct kbp_efvi_queue, vi));
	struct kbp_queue *q = &f->x.q;

	evs[0].generic.type = KBP_EFVI_EV_STASH;
	settle(f);
	if (f->stash.out != f->stash.whole)
		return 1;
	if (f->x.dead)
		return 0;
	kbp_efvi_replenish(f);
	kbp_efvi_push_rx(f);
	if (q->held >= q->hold_max) {
		q->rx_count->hold_limited += ef_eventq_has_event(vi) != 0;
		return 0;
	}
	if (f->match) {
		kbp_efvi_collect(f);
		evs[0].generic.type = KBP_EFVI_EV_STASH;
		return f->stash.out != f->stash.whole;
	}
	n = ef_eventq_poll(vi, evs, n);
	if (q->flags & KBP_QUEUE_RX_STAMPS && f->proof.proof != KBP_PROVEN)
		prove(f, evs, (unsigned)n);
	else if (f->x.refs ||
		 f->target >= 2 * KBP_EFVI_MISSING_MANY) /* smaller rings are filled before each poll */
		f->x.poll = vi->ops.eventq_poll;
	return n;
}

void kbp_efvi_look_first(struct kbp_efvi_full *f)
{
	f->x.poll = poll_carefully;
}

/* ---------------------------------------------------------------- receive: behind the inline form */

/* A frame straight from its event was kept. The burst counts a descriptor for every frame. */
bool kbp_efvi_keep(struct kbp_efvi_queue *x, uint64_t token)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);

	kbp_efvi_hold(f, token);
	if (!x->refs) {
		f->missing++;
		kbp_efvi_replenish(f);
		x->unpushed--;
	}
	settle(f);
	if (x->q.held < x->q.hold_max)
		return false;
	kbp_efvi_look_first(f);
	return true;
}

void kbp_efvi_give(struct kbp_efvi_queue *x, uint64_t token)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);

	kbp_efvi_unhold(f, token);
	kbp_efvi_home(f, token);
	kbp_efvi_push_rx(f);
}

/* How long the chain at the stash's front is, when it may be handed over: `max` and the bound leave room
 * for all of it. One that never fits is dropped. 0: nothing now. */
static uint32_t stash_front(struct kbp_efvi_full *f, uint32_t n, uint32_t max)
{
	struct kbp_efvi_stash *s = &f->stash;
	struct kbp_queue *q = &f->x.q;
	uint32_t room = q->hold_max - q->held, longest = max < q->hold_max ? max : q->hold_max;

	while (s->out != s->whole) {
		uint32_t len = 1;

		while (kbp_efvi_stash_at(s, s->out + len - 1)->flags & KBP_FRAME_MORE)
			len++;
		if (len > longest && max) {
			q->rx_count->chain_drops++;
			while (len--)
				kbp_efvi_home(f, kbp_efvi_stash_at(s, s->out++)->token);
			continue;
		}
		if (len > room)
			q->rx_count->hold_limited++;
		return len > room || n + len > max ? 0 : len;
	}
	return 0;
}

unsigned kbp_efvi_stash_each(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_efvi_queue *x = kbp_efvi(rx.q);
	struct kbp_efvi_full *f = kbp_efvi_full(x);
	unsigned before = n, verdict = KBP_DONE;
	uint32_t len;

	x->in_burst = 1;
	while (!(verdict & KBP_STOP) && (len = stash_front(f, n, max))) {
		for (; len; len--, n++) {
			struct kbp_frame frame = *kbp_efvi_stash_at(&f->stash, f->stash.out++);

			verdict = fn(rx, frame, arg);
			if (verdict & KBP_KEEP)
				kbp_efvi_hold(f, frame.token);
			else
				kbp_efvi_home(f, frame.token);
			settle(f);
		}
	}
	x->in_burst = 0;
	x->q.rx_count->frames += n - before;
	kbp_efvi_push_rx(f);
	kbp_efvi_look_first(f);
	return n;
}

uint16_t kbp_efvi_no_stamp(struct kbp_efvi_queue *x, int rc)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);
	unsigned why = KBP_NO_TS_MISSING;

	if (!(x->q.flags & KBP_QUEUE_RX_STAMPS))
		return 0;
	/* -ENOMSG: firmware that never said its time; -EL2NSYNC: not yet, or not any more */
	if (rc == -EL2NSYNC || rc == -ENOMSG)
		why = f->had_stamp ? KBP_NO_TS_STALE : KBP_NO_TS_EARLY;
	f->count.no_stamp[why]++;
	return (uint16_t)(why << KBP_FRAME_NO_TS_SHIFT);
}

/* The fast path says "in sync" and nothing else. Where the adapter does not report the state of its clock, the
 * library writes "set and in sync" into every stamp: that is not knowing, and the clock's account decides. */
uint16_t kbp_efvi_not_in(struct kbp_efvi_queue *x, uint64_t ns, unsigned flags)
{
	bool in = flags & EF_VI_SYNC_FLAG_CLOCK_IN_SYNC && flags & EF_VI_SYNC_FLAG_CLOCK_SET;
	unsigned device = !kbp_efvi_full(x)->told ? KBP_SYNC_UNKNOWN :
			  in			  ? KBP_SYNC_IN :
						    KBP_SYNC_NOT;
	unsigned sync = device == KBP_SYNC_NOT ? KBP_SYNC_NOT : KBP_SYNC_UNKNOWN;

	if (device == KBP_SYNC_UNKNOWN)
		return kbp_stamp_flags(&x->q, ns);
	return (uint16_t)(KBP_FRAME_TS | sync << KBP_FRAME_SYNC_SHIFT |
			  device << KBP_FRAME_DEVICE_SHIFT);
}

struct kbp_stamp kbp_efvi_stamp_old(struct kbp_efvi_queue *x, const void *pkt, uint64_t token)
{
#ifdef ef_vi_receive_get_precise_timestamp
	return kbp_efvi_stamp(x, pkt, token);
#else
	struct kbp_stamp s = { 0, 0, 0 };
	unsigned flags = 0;
	ef_timespec ts;
	int rc = !(x->q.flags & KBP_QUEUE_RX_STAMPS) ? -ENODATA :
		 x->refs ? efct_vi_rxpkt_get_timestamp(&x->vi, (uint32_t)token, &ts, &flags) :
			   ef_vi_receive_get_timestamp_with_sync_flags(&x->vi, pkt, &ts, &flags);

	if (rc) {
		s.flags = kbp_efvi_no_stamp(x, rc);
		return s;
	}
	s.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	s.flags = kbp_efvi_stamp_flags(x, s.ns, flags);
	return s;
#endif
}

/* Out of the stash into f[n..max). */
unsigned kbp_efvi_stash_take(struct kbp_efvi_full *f, struct kbp_frame *frame, unsigned n,
			     unsigned max)
{
	uint32_t len;

	while ((len = stash_front(f, n, max))) {
		for (; len; len--, n++) {
			frame[n] = *kbp_efvi_stash_at(&f->stash, f->stash.out++);
			kbp_efvi_hold(f, frame[n].token);
		}
	}
	kbp_efvi_look_first(f);
	return n;
}
