/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk.c - the hot path of dpdk in array form, and the calls behind the inline form.
 *
 * RX: device -> rte_eth_rx_burst -> (match -> stash) -> rx_peek -> caller -> rx_release -> mempool.
 * TX: mempool -> tx_reserve -> caller -> tx_submit -> rte_eth_tx_burst -> device -> mempool, or completion.
 */
#include <string.h>

#include "dpdk.h"

#define FIRST_INDEX 0xffffff00u /* so that every run crosses the wrap soon */

/* ---------------------------------------------------------------- receive: the stash */

static uint32_t stash_len(const struct kbp_dpdk_full *f)
{
	return f->stash.in - f->stash.out;
}

static void stash_add(struct kbp_dpdk_full *f, struct rte_mbuf *m)
{
	f->stash.m[f->stash.in++ & (KBP_DPDK_STASH - 1)] = m;
}

static struct rte_mbuf *stash_first(const struct kbp_dpdk_full *f)
{
	return f->stash.m[f->stash.out & (KBP_DPDK_STASH - 1)];
}

/* A plain poll asks nothing but this. */
static void special_update(struct kbp_dpdk_full *f)
{
	uint32_t special = f->x.special & (KBP_DPDK_MATCH | KBP_DPDK_ODD);

	if (stash_len(f))
		special |= KBP_DPDK_STASHED;
	if (f->x.q.held >= f->x.q.hold_max)
		special |= KBP_DPDK_AT_BOUND;
	f->x.special = special;
}

static void stash(struct kbp_dpdk_queue *x, struct rte_mbuf **m, unsigned n)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(&x->q);

	for (unsigned i = 0; i < n; i++)
		stash_add(f, m[i]);
	special_update(f);
}

/* ---------------------------------------------------------------- receive: which frames are ours */

/* IGMP, or IPv6 with a hop-by-hop header as MLD has: maybe a query. It is for the monitor thread. */
static void hear(struct kbp_dpdk_full *f, const struct rte_mbuf *m)
{
	struct kbp_dpdk_heard *h = f->heard;
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t at = h->in, len = m->data_len, l3 = 14;

	if (len < 42 || !(p[0] & 1)) /* not every wire pads */
		return;
	if (p[12] == 0x81 && p[13] == 0x00)
		l3 = 18;
	if (!(p[l3 - 2] == 0x08 && p[l3 - 1] == 0x00 && p[l3 + 9] == 2) &&
	    !(p[l3 - 2] == 0x86 && p[l3 - 1] == 0xdd && p[l3 + 6] == 0))
		return;
	if (at - __atomic_load_n(&h->out, __ATOMIC_ACQUIRE) == KBP_DPDK_HEARD ||
	    len > KBP_DPDK_HEARD_BYTES)
		return; /* there will be another */
	memcpy(h->e[at % KBP_DPDK_HEARD].bytes, p, len);
	h->e[at % KBP_DPDK_HEARD].len = len;
	__atomic_store_n(&h->in, at + 1, __ATOMIC_RELEASE);
}

static bool is_ours(struct kbp_dpdk_full *f, const struct rte_mbuf *m)
{
	struct kbp_dpdk_flow *flow = kbp_dpdk_match(f->p, m);

	if (KBP_UNLIKELY(!flow)) {
		f->count.foreign++;
		if (f->heard)
			hear(f, m);
		return false;
	}
	if (flow->queue != f->x.queue) {
		f->count.elsewhere++;
		__atomic_store_n(&flow->missed, true, __ATOMIC_RELAXED);
	} else if (!flow->proven) {
		__atomic_store_n(&flow->proven, true, __ATOMIC_RELAXED);
	}
	return true;
}

/* The device delivers nothing but what its rules name, and each rule has been seen to work: software need
 * not look any more. */
static bool all_steered(const struct kbp_dpdk_full *f)
{
	const struct kbp_dpdk_table *t = __atomic_load_n(&f->p->table, __ATOMIC_ACQUIRE);

	if (!f->p->isolated || f->count.foreign || !t || !t->n)
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		if (!t->e[i]->rule || (t->e[i]->queue == f->x.queue && !t->e[i]->proven) ||
		    __atomic_load_n(&t->e[i]->missed, __ATOMIC_RELAXED))
			return false;
	return true;
}

unsigned kbp_dpdk_look(struct kbp_dpdk_full *f)
{
	struct rte_mbuf *m[KBP_DPDK_BURST];
	unsigned n;

	if (stash_len(f))
		return stash_len(f);
	n = rte_eth_rx_burst(f->x.port, f->x.queue, m, KBP_DPDK_BURST);
	for (unsigned i = 0; i < n; i++) {
		if (!(f->x.special & KBP_DPDK_MATCH) || is_ours(f, m[i]))
			stash_add(f, m[i]);
		else
			rte_pktmbuf_free(m[i]);
	}
	if (n && f->x.special & KBP_DPDK_MATCH && KBP_UNLIKELY(f->p->isolated) && all_steered(f))
		f->x.special &= ~(uint32_t)KBP_DPDK_MATCH;
	return stash_len(f);
}

/* ---------------------------------------------------------------- receive: out of the stash */

/* How many parts the packet at the stash's front has, when it may be handed over: `max` and the bound leave
 * room for all of it. One that does not even fit a poll of its own is dropped. 0: nothing now. */
static uint32_t stash_front(struct kbp_dpdk_full *f, uint32_t n, uint32_t max)
{
	struct kbp_queue *q = &f->x.q;
	uint32_t room = q->hold_max - q->held, longest = max < q->hold_max ? max : q->hold_max;

	while (stash_len(f)) {
		struct rte_mbuf *m = stash_first(f);
		uint32_t len = m->nb_segs;

		if (KBP_UNLIKELY(len > 1 && q->chain_max == 1)) {
			q->rx_count->truncated++;
		} else if (KBP_UNLIKELY(len > KBP_DPDK_SEGS || (len > longest && max && !n))) {
			q->rx_count->chain_drops++;
		} else {
			q->rx_count->hold_limited += len > room;
			return len > room || n + len > max ? 0 : len;
		}
		f->stash.out++;
		rte_pktmbuf_free(m);
	}
	return 0;
}

/* The first part of *head becomes a frame and an mbuf of its own; *head is the next, or NULL. A packet has
 * one stamp, every part says it. */
static struct kbp_frame part(struct rte_mbuf **head, const struct kbp_stamp *s)
{
	struct rte_mbuf *m = *head;
	struct kbp_frame frame = kbp_dpdk_frame(m);

	*head = m->next;
	if (m->next || m->nb_segs != 1) {
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
	}
	frame.ts_ns = s->ns;
	frame.ts_frac = s->frac;
	frame.flags = (uint16_t)(s->flags | (*head ? KBP_FRAME_MORE : 0));
	return frame;
}

static unsigned stash_each(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(rx.q);
	unsigned before = n, verdict = KBP_DONE;

	if (!n)
		kbp_dpdk_look(f);
	while (!(verdict & KBP_STOP) && stash_front(f, n, max)) {
		struct rte_mbuf *m = stash_first(f);
		struct kbp_stamp s = kbp_dpdk_stamp(&f->x, m);

		f->stash.out++;
		while (m) {
			struct kbp_frame frame = part(&m, &s);

			verdict = fn(rx, frame, arg);
			n++;
			if (verdict & KBP_KEEP)
				rx.q->held++;
			else
				rte_pktmbuf_free_seg(kbp_dpdk_mbuf(frame.token));
		}
	}
	rx.q->rx_count->frames += n - before;
	special_update(f);
	return n;
}

static __attribute__((noinline)) unsigned peek_stash(struct kbp_dpdk_full *f, struct kbp_frame *frame,
						     unsigned n, unsigned max)
{
	struct kbp_queue *q = &f->x.q;
	unsigned before = n;

	if (!n)
		kbp_dpdk_look(f);
	while (stash_front(f, n, max)) {
		struct rte_mbuf *m = stash_first(f);
		struct kbp_stamp s = kbp_dpdk_stamp(&f->x, m);

		f->stash.out++;
		while (m) {
			frame[n++] = part(&m, &s);
			q->held++;
		}
	}
	q->rx_count->frames += n - before;
	special_update(f);
	return n;
}

/* ---------------------------------------------------------------- receive: array form */

/* A packet in parts is among these. */
static __attribute__((noinline)) unsigned peek_chain(struct kbp_dpdk_full *f, struct kbp_frame *frame,
						     struct rte_mbuf **m, unsigned n, unsigned max)
{
	for (unsigned i = 0; i < n; i++)
		stash_add(f, m[i]);
	return peek_stash(f, frame, 0, max);
}

static __attribute__((noinline)) void peek_stamps(struct kbp_dpdk_full *f, struct kbp_frame *frame,
						  unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct kbp_stamp s = kbp_dpdk_stamp(&f->x, kbp_dpdk_mbuf(frame[i].token));

		frame[i].ts_ns = s.ns;
		frame[i].ts_frac = s.frac;
		frame[i].flags = s.flags;
	}
}

static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct kbp_dpdk_queue *x = kbp_dpdk(q);
	unsigned room = q->hold_max - q->held, n = max < room ? max : room, odd = 0;
	struct rte_mbuf *m[KBP_DPDK_BURST];

	q->rx_count->polls++;
	n = n < KBP_DPDK_BURST ? n : KBP_DPDK_BURST;
	if (KBP_UNLIKELY(x->special & (n | ~(uint32_t)KBP_DPDK_ODD)))
		return peek_stash(kbp_dpdk_full(q), f, 0, max);
	n = rte_eth_rx_burst(x->port, x->queue, m, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		odd |= m[i]->nb_segs;
		f[i].token = (uint64_t)(uintptr_t)m[i];
		f[i].len = m[i]->data_len;
		f[i].flags = 0;
		f[i].ts_frac = 0;
		f[i].data = rte_pktmbuf_mtod(m[i], void *);
	}
	if (KBP_UNLIKELY(odd > 1))
		return peek_chain(kbp_dpdk_full(q), f, m, n, max);
	q->held += n;
	q->rx_count->frames += n;
	if (KBP_UNLIKELY(q->held >= q->hold_max))
		x->special |= KBP_DPDK_AT_BOUND;
	if (KBP_UNLIKELY(x->stamp_flag_shift))
		peek_stamps(kbp_dpdk_full(q), f, n);
	return n;
}

static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	q->held -= n;
	for (const struct kbp_frame *end = f + n; f != end; f++)
		rte_pktmbuf_free_seg(kbp_dpdk_mbuf(f->token));
}

/* The parts of one packet become one chain again. Returns how many frames it has. */
static unsigned relink(const struct kbp_frame *f, unsigned n)
{
	struct rte_mbuf *head = kbp_dpdk_mbuf(f->token), *last = head;
	unsigned i = 1;

	for (; i < n && f[i - 1].flags & KBP_FRAME_MORE; i++) {
		last->next = kbp_dpdk_mbuf(f[i].token);
		last = last->next;
		head->pkt_len += last->data_len;
	}
	head->nb_segs = (uint16_t)i;
	return i;
}

static void unlink_parts(const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = kbp_dpdk_mbuf(f[i].token);

		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
	}
}

/* They come first again, before whatever is in the stash. */
static void rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_dpdk_full *full = kbp_dpdk_full(q);

	q->held -= n;
	q->rx_count->frames -= n;
	while (n) {
		unsigned end = n--;

		while (n && f[n - 1].flags & KBP_FRAME_MORE)
			n--;
		relink(f + n, end - n);
		full->stash.m[--full->stash.out & (KBP_DPDK_STASH - 1)] = kbp_dpdk_mbuf(f[n].token);
	}
	special_update(full);
}

/* ---------------------------------------------------------------- transmit: buffers */

/* What sent frames have not brought back is with the device, or waits to be reaped. */
static uint32_t tx_room(const struct kbp_dpdk_full *f)
{
	uint32_t out = f->x.n_reserved + (f->flight.in - f->flight.out);

	return out < f->p->tx_desc ? f->p->tx_desc - out : 0;
}

/* The device gives sent buffers back when it is asked to send again, or told to look. */
static void tx_collect(struct kbp_dpdk_full *f)
{
	struct rte_mbuf *none;

	if (rte_eth_tx_done_cleanup(f->x.port, f->x.queue, 0) < 0)
		(void)rte_eth_tx_burst(f->x.port, f->x.queue, &none, 0);
}

static unsigned tx_few(struct kbp_dpdk_queue *x, struct rte_mbuf **m, unsigned n)
{
	if (!n)
		return 0;
	tx_collect(kbp_dpdk_full(&x->q));
	if (!rte_pktmbuf_alloc_bulk(x->tx_pool, m, n))
		return n;
	while (n >>= 1)
		if (!rte_pktmbuf_alloc_bulk(x->tx_pool, m, n))
			break;
	x->q.tx_count->ring_full++;
	return n;
}

static const struct kbp_dpdk_calls calls = {
	.stash_each = stash_each,
	.stash = stash,
	.stamp = kbp_dpdk_stamp,
};

/* ---------------------------------------------------------------- transmit: array form */

static unsigned tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct kbp_dpdk_queue *x = kbp_dpdk(t->q);
	unsigned room = tx_room(kbp_dpdk_full(t->q)), done = 0;
	struct rte_mbuf *m[KBP_DPDK_BURST];

	if (KBP_UNLIKELY(n > room)) {
		x->q.tx_count->ring_full++;
		n = room;
	}
	while (done < n) {
		unsigned some = n - done < KBP_DPDK_BURST ? n - done : KBP_DPDK_BURST;

		if (KBP_UNLIKELY(rte_pktmbuf_alloc_bulk(x->tx_pool, m, some))) {
			unsigned got = tx_few(x, m, some);

			n = got < some ? done + got : n;
			some = got;
		}
		for (unsigned i = 0; i < some; i++, f++) {
			uint8_t *frame = rte_pktmbuf_mtod(m[i], uint8_t *);

			f->token = (uint64_t)(uintptr_t)m[i];
			f->len = t->room;
			f->flags = KBP_FRAME_TX;
			f->ts_frac = 0;
			f->data = frame + t->hdr_len;
			f->txflow = t;
			if (KBP_LIKELY(t->hdr_len))
				kbp_udp_head(t, frame);
		}
		done += some;
	}
	x->n_reserved += n;
	return n;
}

/* One packet from f on, ready for the device. Returns how many frames it has. With completions kept, a
 * reference of ours tells when the device has let go. */
KBP_INLINE unsigned tx_prepare(const struct kbp_frame *f, unsigned n, bool careful)
{
	struct rte_mbuf *m = kbp_dpdk_mbuf(f->token);
	unsigned parts = 1;

	if (KBP_LIKELY(f->flags & KBP_FRAME_TX)) {
		const struct kbp_txflow *t = f->txflow;

		if (KBP_LIKELY(t->hdr_len))
			kbp_udp_finish(t, (uint8_t *)f->data, f->len);
		m->data_len = (uint16_t)(f->len + t->hdr_len);
		m->pkt_len = f->len + t->hdr_len;
	} else {
		parts = relink(f, n);
	}
	for (unsigned i = 0; careful && i < parts; i++)
		rte_mbuf_refcnt_update(kbp_dpdk_mbuf(f[i].token), 1);
	return parts;
}

/* The device did not take it. */
static void tx_unprepare(const struct kbp_frame *f, unsigned parts, bool careful)
{
	for (unsigned i = 0; careful && i < parts; i++)
		rte_mbuf_refcnt_update(kbp_dpdk_mbuf(f[i].token), -1);
	if (parts > 1)
		unlink_parts(f, parts);
}

static void tx_flies(struct kbp_dpdk_full *f, struct rte_mbuf *m, uint64_t token)
{
	f->flight.e[f->flight.in++ & f->flight.mask] = (struct kbp_dpdk_flown){ m, token };
}

/* One packet was taken. */
KBP_INLINE void tx_taken(struct kbp_dpdk_full *full, const struct kbp_frame *f, unsigned parts,
			 bool careful)
{
	if (KBP_LIKELY(f->flags & KBP_FRAME_TX))
		full->x.n_reserved--;
	else
		full->x.q.held -= parts;
	for (unsigned i = 0; careful && i < parts; i++)
		tx_flies(full, kbp_dpdk_mbuf(f[i].token), f[i].token);
}

/* One burst: at most KBP_DPDK_BURST packets of f[0..n). Returns how many frames were taken; *all: the whole
 * burst was. */
KBP_INLINE unsigned submit_burst(struct kbp_dpdk_full *full, const struct kbp_frame *f, unsigned n,
				 bool careful, bool *all)
{
	struct kbp_dpdk_queue *x = &full->x;
	struct rte_mbuf *m[KBP_DPDK_BURST];
	uint16_t parts[KBP_DPDK_BURST];
	unsigned k = 0, at = 0, sent, done = 0;

	while (at < n && k < KBP_DPDK_BURST) {
		/* forwarded frames have no reservation that left room for their completions */
		uint32_t most = f[at].flags & KBP_FRAME_TX ? 1 : KBP_DPDK_SEGS;

		if (careful && full->flight.in - full->flight.out + at + most > full->flight.mask)
			break;
		m[k] = kbp_dpdk_mbuf(f[at].token);
		parts[k] = (uint16_t)tx_prepare(f + at, n - at, careful);
		at += parts[k++];
	}
	sent = k ? rte_eth_tx_burst(x->port, x->queue, m, (uint16_t)k) : 0;
	x->q.tx_count->doorbells += k != 0;
	for (unsigned i = 0; i < sent; done += parts[i++])
		tx_taken(full, f + done, parts[i], careful);
	for (unsigned i = sent, from = done; i < k; from += parts[i++])
		tx_unprepare(f + from, parts[i], careful);
	*all = sent == k && (at == n || k == KBP_DPDK_BURST);
	return done;
}

static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_dpdk_full *full = kbp_dpdk_full(q);
	unsigned done = 0;
	bool all = true;

	while (done < n && all)
		done += full->x.tx_careful ? submit_burst(full, f + done, n - done, true, &all) :
					     submit_burst(full, f + done, n - done, false, &all);
	q->tx_count->frames += done;
	q->tx_count->ring_full += done < n;
	return done;
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (f[i].flags & KBP_FRAME_TX)
			kbp_dpdk(q)->n_reserved--;
		else
			q->held--;
		rte_pktmbuf_free_seg(kbp_dpdk_mbuf(f[i].token));
	}
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(q);
	unsigned n = 0;

	if (f->flight.in == f->flight.out)
		return 0;
	tx_collect(f);
	while (n < max && f->flight.in != f->flight.out) {
		const struct kbp_dpdk_flown *e = &f->flight.e[f->flight.out & f->flight.mask];

		if (rte_mbuf_refcnt_read(e->m) != 1)
			break;
		f->flight.out++;
		memset(&c[n], 0, sizeof(c[n]));
		c[n++].token = e->token;
		rte_pktmbuf_free_seg(e->m); /* of a chain, each part by itself */
	}
	q->tx_count->completions += n;
	return n;
}

unsigned kbp_dpdk_flying(struct kbp_dpdk_full *f)
{
	unsigned n = 0;

	tx_collect(f);
	for (uint32_t at = f->flight.out; at != f->flight.in; at++)
		n += rte_mbuf_refcnt_read(f->flight.e[at & f->flight.mask].m) != 1;
	return n;
}

/* ---------------------------------------------------------------- transmit: resident frames */

/* A copy is sent: drivers tell late, or only when they are asked to send again, that they are done with a buffer,
 * so a resident one would not be free again in time. */
bool kbp_dpdk_template_busy(struct kbp_template *tpl)
{
	(void)tpl;
	return false;
}

unsigned kbp_dpdk_template_send(struct kbp_template *tpl)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(tpl->t->q);
	struct kbp_hot_tx *count = f->x.q.tx_count;
	uint32_t len = tpl->len + tpl->t->hdr_len;
	struct rte_mbuf *m = NULL;

	if ((f->x.tx_careful && !tx_room(f)) ||
	    (rte_pktmbuf_alloc_bulk(f->x.tx_pool, &m, 1) && !tx_few(&f->x, &m, 1))) {
		count->ring_full++;
		return 0;
	}
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), tpl->payload - tpl->t->hdr_len, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (f->x.tx_careful)
		rte_mbuf_refcnt_update(m, 1);
	count->doorbells++;
	if (rte_eth_tx_burst(f->x.port, f->x.queue, &m, 1) != 1) {
		if (f->x.tx_careful)
			rte_mbuf_refcnt_update(m, -1);
		rte_pktmbuf_free_seg(m);
		count->ring_full++;
		return 0;
	}
	count->frames++;
	if (f->x.tx_careful)
		tx_flies(f, m, tpl->token);
	return 1;
}

/* ---------------------------------------------------------------- begin */

void kbp_dpdk_start(struct kbp_dpdk_full *f)
{
	struct kbp_queue *q = &f->x.q;

	q->rx_peek = rx_peek;
	q->rx_release = rx_release;
	q->rx_putback = rx_putback;
	q->tx_reserve = tx_reserve;
	q->tx_submit = tx_submit;
	q->tx_cancel = tx_cancel;
	q->tx_reap = tx_reap;
	q->kind = KBP_DPDK;
	q->layout = KBP_DPDK_LAYOUT;
	f->x.call = &calls;
	f->stash.in = f->stash.out = FIRST_INDEX;
	f->flight.in = f->flight.out = FIRST_INDEX;
}

static unsigned nothing_to_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	(void)f;
	(void)max;
	q->rx_count->polls++;
	return 0;
}

static unsigned nothing_each(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg)
{
	(void)rx;
	(void)n;
	(void)max;
	(void)fn;
	(void)arg;
	return 0;
}

void kbp_dpdk_start_tx_only(struct kbp_dpdk_full *f)
{
	static const struct kbp_dpdk_calls tx_only = {
		.stash_each = nothing_each,
		.stash = stash,
		.stamp = kbp_dpdk_stamp,
	};

	f->x.q.rx_peek = nothing_to_peek;
	f->x.call = &tx_only;
	f->x.special = KBP_DPDK_STASHED; /* the inline form asks the call above */
}
