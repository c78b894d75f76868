/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi.c - the hot path of ef_vi in array form, and sending behind the inline form.
 *
 * RX: device -> event queue -> rx_peek (or kbp_efvi_rx_each) -> caller -> rx_release -> descriptor.
 * TX: tx_reserve -> caller -> tx_submit -> device -> event queue -> free buffer, or completion.
 *
 * Every poll may meet events of both directions. Good whole frames go straight on; ef_vi_sort.c deals with
 * everything else.
 */
#include <string.h>

#include "ef_vi.h"

#define FIRST_INDEX 0xffffff00u /* so that every run crosses the wrap soon */
#define COLLECT_POLLS 16u	/* of one search for sent buffers: bounded, whatever arrives */

/* ---------------------------------------------------------------- receive: array form */

KBP_INLINE void take_stamp(struct kbp_efvi_queue *x, struct kbp_frame *f)
{
	struct kbp_stamp s = kbp_efvi_stamp(x, (const uint8_t *)f->data - x->prefix, f->token);

	f->ts_ns = s.ns;
	f->ts_frac = s.frac;
	f->flags = s.flags;
}

/* A poll has found frames that the caller has now: n of them, or, with `more`, what waits in the stash
 * besides. */
static __attribute__((noinline)) unsigned taken(struct kbp_efvi_queue *x, struct kbp_frame *f,
						unsigned n, unsigned max, bool more)
{
	struct kbp_efvi_full *full = kbp_efvi_full(x);
	struct kbp_queue *q = &x->q;

	if (q->flags & KBP_QUEUE_RX_STAMPS)
		for (unsigned i = 0; i < n; i++)
			take_stamp(x, &f[i]);
	if (!x->refs) {
		full->missing += n;
		q->held += n;
		if (full->missing > KBP_EFVI_MISSING_MANY)
			kbp_efvi_replenish(full);
	} else {
		q->held += n;
		for (unsigned i = 0; i < n; i++)
			kbp_efvi_pin(full, f[i].data);
	}
	if (more)
		n = kbp_efvi_stash_take(full, f, n, max);
	if (q->held >= q->hold_max)
		kbp_efvi_look_first(full);
	q->rx_count->frames += n;
	kbp_efvi_push(x);
	return n;
}

/* n frames were taken, and e[0..left) begins with something else; from there on they are sorted into the
 * stash when it is for the caller. */
static __attribute__((noinline)) unsigned take_odd(struct kbp_efvi_queue *x, struct kbp_frame *f,
						   unsigned n, const ef_event *e, unsigned left,
						   unsigned max)
{
	bool more = false;

	for (; left && !more; e++, left--) {
		if (kbp_efvi_is_frame(e))
			f[n++] = kbp_efvi_frame(x, e);
		else if (EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX_REF)
			f[n++] = kbp_efvi_ref_frame(x, e);
		else
			more = kbp_efvi_odd(x, e, left);
	}
	return taken(x, f, n, max, more);
}

/* A frame without what only a stamp has. */
KBP_INLINE void take(const struct kbp_efvi_queue *x, struct kbp_frame *f, const ef_event *e)
{
	uint32_t id = EF_EVENT_RX_RQ_ID(*e);

	f->token = id;
	f->len = (uint32_t)EF_EVENT_RX_BYTES(*e) - x->prefix;
	f->flags = 0;
	f->ts_frac = 0;
	f->data = x->rx_data + (size_t)id * KBP_EFVI_BUFFER;
}

/* As many events as the caller wants and may have frames: *room. The least that a poll takes is two. */
KBP_INLINE unsigned poll_events(struct kbp_efvi_queue *x, ef_event *evs, unsigned max, unsigned *room)
{
	unsigned n = x->q.hold_max - x->q.held;

	x->q.rx_count->polls++;
	n = max < n ? max : n;
	*room = n < KBP_EFVI_EVENTS ? n : KBP_EFVI_EVENTS;
	n = *room < EF_VI_EVENT_POLL_MIN_EVS ? EF_VI_EVENT_POLL_MIN_EVS : *room;
	return (unsigned)x->poll(&x->vi, evs, (int)n);
}

static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);
	struct kbp_efvi_full *full = kbp_efvi_full(x);
	ef_event evs[KBP_EFVI_EVENTS];
	const ef_event *e = evs, *end;
	struct kbp_frame *at = f;
	unsigned room, n = poll_events(x, evs, max, &room);

	if (!n)
		return 0;
	if (KBP_UNLIKELY(n > room)) {
		kbp_efvi_sort(x, evs, n);
		return taken(x, f, 0, max, true);
	}
	/* by fours, as measured: three instructions a frame less */
	for (end = evs + n; end - e >= 4; e += 4, at += 4) {
		if (KBP_UNLIKELY(!kbp_efvi_is_frame(e) || !kbp_efvi_is_frame(e + 1) ||
				 !kbp_efvi_is_frame(e + 2) || !kbp_efvi_is_frame(e + 3)))
			break;
		take(x, at, e);
		take(x, at + 1, e + 1);
		take(x, at + 2, e + 2);
		take(x, at + 3, e + 3);
	}
	for (; e != end; e++, at++) {
		if (KBP_UNLIKELY(!kbp_efvi_is_frame(e)))
			return take_odd(x, f, (unsigned)(at - f), e, (unsigned)(end - e), max);
		take(x, at, e);
	}
	/* rare, each of them */
	if (KBP_UNLIKELY(full->missing + n > KBP_EFVI_MISSING_MANY || q->held + n >= q->hold_max ||
			 q->flags & KBP_QUEUE_RX_STAMPS))
		return taken(x, f, n, max, false);
	full->missing += n;
	q->held += n;
	q->rx_count->frames += n;
	return n;
}

static unsigned rx_peek_refs(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);
	struct kbp_efvi_full *full = kbp_efvi_full(x);
	ef_event evs[KBP_EFVI_EVENTS];
	const ef_event *e = evs, *end;
	struct kbp_frame *at = f;
	unsigned room, n = poll_events(x, evs, max, &room);

	if (!n)
		return 0;
	if (KBP_UNLIKELY(n > room)) {
		kbp_efvi_sort(x, evs, n);
		return taken(x, f, 0, max, true);
	}
	end = evs + n;
	do {
		if (KBP_UNLIKELY(EF_EVENT_TYPE(*e) != EF_EVENT_TYPE_RX_REF))
			return take_odd(x, f, (unsigned)(at - f), e, (unsigned)(end - e), max);
		at->token = e->rx_ref.pkt_id;
		at->len = e->rx_ref.len;
		at->flags = 0;
		at->ts_frac = 0;
		at->data = (void *)(uintptr_t)x->pkt_get(&x->vi, e->rx_ref.pkt_id);
		at++;
	} while (++e != end);
	if (KBP_UNLIKELY(q->held + n >= q->hold_max || q->flags & KBP_QUEUE_RX_STAMPS))
		return taken(x, f, n, max, false);
	q->held += n;
	q->rx_count->frames += n;
	for (; f != at; f++)
		kbp_efvi_pin(full, f->data);
	return n;
}

/* Frames that came by kbp_rx_return say nothing but their token. */
static void rx_release_refs(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);
	struct kbp_efvi_full *full = kbp_efvi_full(x);

	q->held -= n;
	for (const struct kbp_frame *end = f + n; f != end; f++) {
		const void *data = f->data;

		if (KBP_UNLIKELY(!data))
			data = x->pkt_get(&x->vi, (uint32_t)f->token);
		kbp_efvi_unpin(full, data);
		x->pkt_release(&x->vi, (uint32_t)f->token);
	}
}

static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);
	struct kbp_efvi_full *full = kbp_efvi_full(x);

	if (KBP_UNLIKELY(full->missing < n)) {
		for (unsigned i = 0; i < n; i++) {
			kbp_efvi_unhold(full, f[i].token);
			kbp_efvi_home(full, f[i].token);
		}
	} else {
		/* counted first: nothing to keep over the calls */
		full->missing -= n;
		x->unpushed += n;
		q->held -= n;
		for (; n >= 4; n -= 4, f += 4) { /* measured: two instructions a frame less */
			(void)ef_vi_receive_init(&x->vi, x->dma[f[0].token],
						 (ef_request_id)f[0].token);
			(void)ef_vi_receive_init(&x->vi, x->dma[f[1].token],
						 (ef_request_id)f[1].token);
			(void)ef_vi_receive_init(&x->vi, x->dma[f[2].token],
						 (ef_request_id)f[2].token);
			(void)ef_vi_receive_init(&x->vi, x->dma[f[3].token],
						 (ef_request_id)f[3].token);
		}
		for (; n; n--, f++)
			(void)ef_vi_receive_init(&x->vi, x->dma[f->token], (ef_request_id)f->token);
	}
	kbp_efvi_push_rx(full);
}

/* They come first again, before whatever is in the stash. */
static void rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_full *full = kbp_efvi_full_q(q);

	while (n--) {
		*kbp_efvi_stash_at(&full->stash, --full->stash.out) = f[n];
		kbp_efvi_unhold(full, f[n].token);
		q->rx_count->frames--;
	}
	kbp_efvi_look_first(full);
}

/* ---------------------------------------------------------------- receive: how full it is */

/* The device writes its events one after the other, so that there is an n-th one tells of n. In RX_REF mode
 * frames wait in superbuffers, and nothing tells how many. */
void kbp_efvi_look(struct kbp_efvi_full *f)
{
	struct kbp_hot_rx *count = f->x.q.rx_count;
	uint32_t low = 0, high = f->target + 1; /* at least low wait, and fewer than high */
	uint64_t most;

	if (f->x.refs || __atomic_load_n(&f->x.dead, __ATOMIC_RELAXED))
		return;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (ef_eventq_has_many_events(&f->x.vi, (int)middle - 1))
			low = middle;
		else
			high = middle;
	}
	__atomic_store_n(&count->ring_fill, low, __ATOMIC_RELAXED);
	most = __atomic_load_n(&count->ring_fill_max, __ATOMIC_RELAXED);
	while (low > most && !__atomic_compare_exchange_n(&count->ring_fill_max, &most, low, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---------------------------------------------------------------- transmit: buffers and descriptors */

uint32_t kbp_efvi_tx_space(const struct kbp_efvi_full *f)
{
	return (uint32_t)ef_vi_transmit_space(&f->x.vi);
}

/* Are there buffers, descriptors, and as much of the device's memory as there is for a burst of n? */
static bool tx_short(const struct kbp_efvi_queue *x, uint32_t n, uint32_t space)
{
	return x->n_free < n || space < n || x->pio_free < (n < x->pio_slots ? n : x->pio_slots);
}

static uint32_t tx_find(struct kbp_efvi_queue *x, uint32_t n)
{
	struct kbp_efvi_full *f = kbp_efvi_full(x);
	struct kbp_hot_tx *count = x->q.tx_count;
	uint32_t space, ready;

	if (x->dead)
		return 0;
	space = kbp_efvi_tx_space(f);
	for (unsigned i = 0; i < COLLECT_POLLS && tx_short(x, n, space); i++) {
		uint64_t flying = kbp_efvi_in_flight(f);

		if (flying > count->in_flight_max)
			count->in_flight_max = flying;
		if (!kbp_efvi_collect(f))
			break;
		space = x->dead ? 0 : kbp_efvi_tx_space(f);
	}
	ready = x->n_free < space ? x->n_free : space;
	if (ready < n) {
		x->tx_floor = x->n_free - ready;
		count->ring_full++;
		return ready;
	}
	/* look again before the device's memory is used up: only events give it back */
	if (x->pio_slots && ready > x->pio_free)
		ready = x->pio_free > n ? x->pio_free : n;
	x->tx_floor = x->n_free - ready;
	return n;
}

/* Events of frames that left make room in the FIFO. */
static int tx_again(struct kbp_efvi_queue *x, ef_request_id id, const uint8_t *frame, uint32_t len)
{
	for (unsigned i = 0; i < COLLECT_POLLS && kbp_efvi_collect(kbp_efvi_full(x)); i++)
		if (!x->dead && !kbp_efvi_tx_one(x, id, frame, len, KBP_TX_MODE_CTPIO))
			return 0;
	x->q.tx_count->ring_full++;
	return -EAGAIN;
}

static void pio_missed(struct kbp_efvi_queue *x)
{
	kbp_efvi_full(x)->count.ctpio_missed++;
}

static const struct kbp_efvi_calls calls = {
	.odd = kbp_efvi_odd,
	.stash = kbp_efvi_sort,
	.stash_each = kbp_efvi_stash_each,
	.keep = kbp_efvi_keep,
	.give = kbp_efvi_give,
	.no_stamp = kbp_efvi_no_stamp,
	.not_in = kbp_efvi_not_in,
	.stamp = kbp_efvi_stamp_old,
	.tx_find = tx_find,
	.tx_again = tx_again,
	.pio_missed = pio_missed,
};

/* ---------------------------------------------------------------- transmit: array form */

static unsigned tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_queue *x = kbp_efvi(t->q);
	struct kbp_frame *end;

	if (KBP_UNLIKELY(x->n_free < n)) {
		tx_find(x, n);
		n = x->n_free < n ? x->n_free : n;
		if (x->dead)
			n = 0;
	}
	for (end = f + n; f != end; f++) {
		ef_request_id id = x->tx_free[--x->n_free];
		uint8_t *frame = x->mem + (size_t)(uint32_t)id * KBP_EFVI_BUFFER;

		f->token = (uint32_t)id;
		f->len = t->room;
		f->flags = KBP_FRAME_TX;
		f->ts_frac = 0;
		f->data = frame + t->hdr_len;
		f->txflow = t;
		if (KBP_LIKELY(t->hdr_len))
			kbp_udp_head(t, frame);
	}
	x->tx_floor = x->n_free; /* these frames need descriptors, too */
	return n;
}

int kbp_efvi_send(struct kbp_efvi_full *f, ef_request_id id, const uint8_t *frame, uint32_t len,
		  unsigned how)
{
	struct kbp_efvi_queue *x = &f->x;

	/* what was written into the device is gone when no descriptor follows */
	if (!kbp_efvi_tx_space(f))
		return -EAGAIN;
	if (how == KBP_TX_MODE_CTPIO)
		return kbp_efvi_tx_one(x, id, frame, len, KBP_TX_MODE_CTPIO) ?
			       tx_again(x, id, frame, len) :
			       0;
	if (how == KBP_TX_MODE_PIO)
		return kbp_efvi_tx_one(x, id, frame, len, KBP_TX_MODE_PIO);
	return ef_vi_transmit(&x->vi, x->dma[id], (int)len, id);
}

static int forward_ref(struct kbp_efvi_full *f, const struct kbp_frame *frame)
{
	ef_request_id id = (ef_request_id)(frame->token | KBP_EFVI_FORWARDED);
	ef_vi *vi = &f->x.vi;
	int rc = ef_vi_transmit(vi, (ef_addr)(uintptr_t)frame->data, (int)frame->len, id);

	for (unsigned i = 0; rc && i < COLLECT_POLLS && kbp_efvi_collect(f); i++)
		rc = ef_vi_transmit(vi, (ef_addr)(uintptr_t)frame->data, (int)frame->len, id);
	return rc;
}

/* A received packet goes out as it is; `parts` buffers, the device reads them one after the other and
 * names the first when it is done. In RX_REF mode the CPU copies it to the device here, whatever memory it
 * lies in: an ef_addr is a pointer then, and the reference can be given back at once. */
static int forward(struct kbp_efvi_full *f, const struct kbp_frame *frame, unsigned parts)
{
	struct kbp_efvi_queue *x = &f->x;
	ef_iovec iov[KBP_EFVI_PARTS];
	unsigned i = 0;
	int rc;

	if (x->refs) {
		rc = forward_ref(f, frame);
		if (rc)
			return rc;
		f->strange++;
		kbp_efvi_later(f, frame->token);
		return 0;
	}
	if (parts > KBP_EFVI_PARTS)
		return -EMSGSIZE;
	do {
		const uint8_t *start = x->mem + frame[i].token * KBP_EFVI_BUFFER;

		iov[i].iov_base =
			x->dma[frame[i].token] + (ef_addr)((const uint8_t *)frame[i].data - start);
		iov[i].iov_len = frame[i].len;
	} while (++i < parts);
	rc = ef_vi_transmitv(&x->vi, iov, (int)parts, (ef_request_id)frame[0].token);
	if (rc)
		return rc;
	f->strange += parts;
	for (i = 0; i < parts; i++) {
		kbp_efvi_unhold(f, frame[i].token);
		f->next_part[frame[i].token] = i + 1 < parts ? (uint32_t)frame[i + 1].token :
							       KBP_EFVI_NO_PART;
	}
	return 0;
}

/* Without completions being fetched, what was sent on would pile up unseen. Our own buffers have room. */
static bool done_full(const struct kbp_efvi_full *f)
{
	return f->x.refs && f->x.q.flags & KBP_QUEUE_COMPLETIONS &&
	       f->done.in - f->done.out + kbp_efvi_in_flight(f) + f->n_tx + KBP_EFVI_TEMPLATES >
		       f->done.mask;
}

/* Frames of our own, up to the first that is not or does not go; there are descriptors for n. */
KBP_INLINE unsigned submit_own(struct kbp_efvi_queue *x, const struct kbp_frame *f, unsigned n,
			       unsigned how)
{
	unsigned i;

	for (i = 0; i < n && f[i].flags & KBP_FRAME_TX; i++) {
		const struct kbp_txflow *t = f[i].txflow;
		const uint8_t *start = (const uint8_t *)f[i].data - t->hdr_len;
		ef_request_id id = (ef_request_id)f[i].token;
		uint32_t len = f[i].len + t->hdr_len;

		if (KBP_LIKELY(t->hdr_len))
			kbp_udp_finish(t, f[i].data, f[i].len);
		if (KBP_UNLIKELY(kbp_efvi_tx_one(x, id, start, len, how)) &&
		    (how != KBP_TX_MODE_CTPIO || tx_again(x, id, start, len)))
			break;
	}
	return i;
}

static unsigned submit_some(struct kbp_efvi_queue *x, const struct kbp_frame *f, unsigned n)
{
	uint32_t room = kbp_efvi_tx_space(kbp_efvi_full(x));
	unsigned got;

	n = n < room ? n : room;
	if (x->tx_how == KBP_TX_MODE_CTPIO)
		return submit_own(x, f, n, KBP_TX_MODE_CTPIO);
	if (x->tx_how == KBP_TX_MODE_PIO)
		return submit_own(x, f, n, KBP_TX_MODE_PIO);
	got = submit_own(x, f, n, KBP_TX_MODE_DMA);
	if (got) { /* one for all of them */
		ef_vi_transmit_push(&x->vi);
		x->q.tx_count->doorbells++;
	}
	return got;
}

/* Runs of frames of our own; received packets that are sent on one by one. */
static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);
	struct kbp_efvi_full *full = kbp_efvi_full(x);
	unsigned i = 0, got = 1;

	if (KBP_UNLIKELY(!x->dead && kbp_efvi_tx_space(full) < n))
		tx_find(x, n);
	if (x->pio_free < n && x->pio_slots)
		kbp_efvi_collect(full); /* only events give the device's memory back */
	while (i < n && got && !x->dead) {
		unsigned parts = 1;

		if (KBP_LIKELY(f[i].flags & KBP_FRAME_TX)) {
			got = submit_some(x, f + i, n - i);
		} else {
			while (i + parts < n && f[i + parts - 1].flags & KBP_FRAME_MORE)
				parts++;
			got = done_full(full) || forward(full, f + i, parts) ? 0 : parts;
			q->tx_count->doorbells += got != 0;
		}
		q->tx_count->frames += got;
		i += got;
	}
	q->tx_count->ring_full += i < n && !x->dead;
	x->tx_floor = x->n_free;
	return i;
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_efvi_queue *x = kbp_efvi(q);

	for (unsigned i = 0; i < n; i++) {
		if (f[i].flags & KBP_FRAME_TX && x->dead)
			continue; /* a reopen takes all of these back */
		if (f[i].flags & KBP_FRAME_TX)
			x->tx_free[x->n_free++] = (ef_request_id)f[i].token;
		else if (x->refs) /* a received frame that was to be sent on; maybe inside a handler */
			kbp_efvi_later(kbp_efvi_full(x), f[i].token);
		else
			kbp_efvi_give(x, f[i].token);
	}
	x->tx_floor = x->n_free;
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_efvi_done *d = &f->done;
	unsigned n = 0;

	if (!(q->flags & KBP_QUEUE_COMPLETIONS))
		return 0;
	if (d->out == d->in)
		kbp_efvi_collect(f);
	for (; n < max && d->out != d->in; n++) {
		c[n] = d->c[d->out++ & d->mask];
		kbp_efvi_sent_home(f, (uint32_t)c[n].token);
		if (f->x.refs)
			c[n].token &= ~(uint64_t)KBP_EFVI_FORWARDED;
	}
	kbp_efvi_push_rx(f);
	return n;
}

/* ---------------------------------------------------------------- begin */

#ifdef ef_vi_receive_get_precise_timestamp
static int no_stamp_at_all(ef_vi *vi, const void *pkt, ef_precisetime *ts)
{
	(void)vi;
	(void)pkt;
	(void)ts;
	return -ENODATA;
}

static void get_stamp_choose(struct kbp_efvi_queue *x)
{
	x->get_stamp = x->q.flags & KBP_QUEUE_RX_STAMPS ? x->vi.ops.receive_get_timestamp :
							  no_stamp_at_all;
}
#else /* Onload before 9.0: kbp_efvi_stamp_old asks */
static void get_stamp_choose(struct kbp_efvi_queue *x)
{
	(void)x;
}
#endif

void kbp_efvi_start(struct kbp_efvi_full *f)
{
	struct kbp_efvi_queue *x = &f->x;
	struct kbp_queue *q = &x->q;

	q->rx_peek = x->refs ? rx_peek_refs : rx_peek;
	q->rx_release = x->refs ? rx_release_refs : rx_release;
	q->rx_putback = rx_putback;
	q->tx_reserve = tx_reserve;
	q->tx_submit = tx_submit;
	q->tx_cancel = tx_cancel;
	q->tx_reap = tx_reap;
	q->kind = KBP_HOT_EF_VI_KIND;
	q->layout = KBP_EFVI_LAYOUT;
	x->call = &calls;
	get_stamp_choose(x);
	x->pkt_get = efct_vi_rxpkt_get;
	x->pkt_release = efct_vi_rxpkt_release;
	x->prefix = x->refs ? 0 : (uint32_t)ef_vi_receive_prefix_len(&x->vi);
	x->rx_data = x->mem + x->prefix;
	x->dma = f->dma;
	x->dead = 0;
	f->had_stamp = false;
	f->proof = f->tx_proof = (struct kbp_stamp_proof){ 0 };
	x->in_burst = x->unpushed = x->n_free = 0;
	f->stash.in = f->stash.whole = f->stash.out = FIRST_INDEX;
	f->stash.chain_bytes = f->stash.multi_left = 0;
	f->stash.chain_bad = false;
	f->done.in = f->done.out = FIRST_INDEX;
	f->missing = f->target;
	f->strange = f->n_spare = f->n_later = 0;
	memset(f->pin_users, 0, sizeof(f->pin_users));
	memset(f->tpl_busy, 0, sizeof(f->tpl_busy));
	f->count.pins = 0;
	x->pio_next = 0;
	x->pio_free = x->pio_slots;
	for (uint32_t id = f->n_rx; id--;) {
		f->next_part[id] = KBP_EFVI_NO_PART;
		f->spare[f->n_spare++] = id;
	}
	for (uint32_t id = f->n_rx + f->n_tx; id-- > f->n_rx;)
		x->tx_free[x->n_free++] = (ef_request_id)id;
	x->tx_floor = x->n_free;
	kbp_efvi_replenish(f);
	kbp_efvi_push_rx(f);
	kbp_efvi_look_first(f); /* which ends by itself when there is nothing */
}

static const void *no_packet(ef_vi *vi, uint32_t pkt_id)
{
	(void)vi;
	(void)pkt_id;
	return NULL;
}

static void no_release(ef_vi *vi, uint32_t pkt_id)
{
	(void)vi;
	(void)pkt_id;
}

void kbp_efvi_stop(struct kbp_efvi_full *f)
{
	struct kbp_efvi_queue *x = &f->x;

	__atomic_store_n(&x->dead, 1, __ATOMIC_RELAXED);
	x->pkt_get = no_packet;
	x->pkt_release = no_release;
	x->n_free = x->tx_floor = x->unpushed = 0;
	f->missing = f->n_later = 0; /* what comes back is spare */
	memset(f->tpl_busy, 0, sizeof(f->tpl_busy));
	f->stash.in = f->stash.whole = f->stash.out;
	kbp_efvi_look_first(f);
}
