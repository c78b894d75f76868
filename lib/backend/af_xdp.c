/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp.c - the hot path of af_xdp in array form, and the calls behind the inline form.
 *
 * RX: rx_peek -> caller -> rx_release. TX: tx_reserve -> caller -> tx_submit -> kick -> completion.
 * The ring primitives and the rules of the indices are in <kbypass/hot/af_xdp.h>.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "af_xdp.h"

/* ---------------------------------------------------------------- receive: array form */

/* One descriptor becomes a frame, and its buffer stands in the fill ring, not published yet. */
KBP_INLINE void take(struct kbp_frame *f, const struct xdp_desc *d, __u64 *fill, uint8_t *umem)
{
	uint64_t addr = d->addr;

	memcpy(f, d, sizeof(*d)); /* token, len, flags: the layouts agree */
	f->data = umem + addr;
	*fill = addr;
}

static void peek_done(struct kbp_axdp_queue *x, uint32_t n)
{
	__atomic_store_n(x->rx.cons, x->rx.idx, __ATOMIC_RELEASE);
	x->rx.idx += n;
	x->peeked = n;
	x->peeked_at = x->fill.idx;
	x->q.held += n;
	x->q.rx_count->frames += n;
}

/* Nothing there, the bound of held frames in reach, or a ring wraps in mid-burst. */
static __attribute__((noinline)) unsigned peek_rest(struct kbp_axdp_queue *x, struct kbp_frame *f,
						    uint32_t n)
{
	uint32_t at = x->rx.idx, give = x->fill.idx, room = x->q.hold_max - x->q.held;
	const struct xdp_desc *desc = x->rx.slots;
	__u64 *fill = x->fill.slots;

	if (n >= room) {
		x->q.rx_count->hold_limited += n > room;
		x->special |= KBP_AXDP_AT_BOUND;
		n = room;
	}
	for (uint32_t i = 0; i < n; i++)
		take(f + i, &desc[(at + i) & x->rx.mask], &fill[(give + i) & x->fill.mask], x->umem);
	if (n)
		peek_done(x, n);
	else
		kbp_axdp_rx_none(x);
	if (!n && *x->rx.cons != at)
		__atomic_store_n(x->rx.cons, at, __ATOMIC_RELEASE);
	return n;
}

/* The slots of the last burst go back to the kernel only with the next peek, so that rx_putback can
 * take frames back by moving the index.
 *
 * Most callers release what they peeked, whole, before they peek again. So the buffers are written
 * into the fill ring here, where their addresses are at hand, and rx_release only has to publish
 * them. */
static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	uint32_t n = kbp_axdp_rx_poll(x, max);
	uint32_t from = x->rx.idx & x->rx.mask, to = x->fill.idx & x->fill.mask;
	const struct xdp_desc *d = (const struct xdp_desc *)x->rx.slots + from, *end = d + n;
	__u64 *fill = (__u64 *)x->fill.slots + to;
	uint8_t *umem = x->umem;

	if (KBP_UNLIKELY(!n || n >= q->hold_max - q->held || from + n > x->rx.size ||
			 to + n > x->fill.size))
		return peek_rest(x, f, n);
	for (; end - d >= 4; f += 4, d += 4, fill += 4) { /* measured: two instructions a frame
							   * less */
		take(f, d, fill, umem);
		take(f + 1, d + 1, fill + 1, umem);
		take(f + 2, d + 2, fill + 2, umem);
		take(f + 3, d + 3, fill + 3, umem);
	}
	for (; d != end; f++, d++, fill++)
		take(f, d, fill, umem);
	peek_done(x, n);
	return n;
}

/* On queues with stamps: a second pass, out of the loop that all others run. */
static unsigned rx_peek_stamped(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	const struct kbp_rx rx = { q, KBP_AF_XDP };
	unsigned n = rx_peek(q, f, max);

	for (unsigned i = 0; i < n; i++) {
		struct kbp_stamp s = kbp_axdp_frame_ts(rx, &f[i]);

		f[i].ts_ns = s.ns;
		f[i].flags |= s.flags;
	}
	return n;
}

static void rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);

	(void)f; /* their descriptors are in the ring still */
	x->rx.idx -= n;
	x->peeked = 0;
	q->held -= n;
	q->rx_count->frames -= n;
}

static __attribute__((noinline)) void release_some(struct kbp_queue *q, const struct kbp_frame *f,
						   unsigned n)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	__u64 *slot = x->fill.slots;
	uint32_t mask = x->fill.mask, at = x->fill.idx, end = at + n;

	while (at != end)
		slot[at++ & mask] = (f++)->token;
	x->peeked = 0;
	x->fill.idx = at;
	__atomic_store_n(x->fill.prod, at, __ATOMIC_RELEASE);
	q->held -= n;
}

/* `peeked` frames stand in the fill ring from `peeked_at` on. Whatever lowers `held` sets `peeked`
 * to 0 or moves the fill index. So if neither has happened and as many are held now, they are those
 * same frames, and if all of them come back, the order does not matter.
 *
 * The kernel masks the offset away in aligned mode (xp_check_aligned): a token goes back as it
 * came. */
static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	uint32_t at = x->fill.idx;

	if (KBP_UNLIKELY(n != x->peeked || n != q->held || at != x->peeked_at)) {
		release_some(q, f, n);
		return;
	}
	x->peeked = 0;
	x->fill.idx = at + n;
	__atomic_store_n(x->fill.prod, at + n, __ATOMIC_RELEASE);
	q->held = 0;
}

/* ---------------------------------------------------------------- receive: behind both forms */

/* Length of the chain that begins at descriptor `at`; 0: its end is not among the n waiting
 * ones. */
static uint32_t chain_len(const struct kbp_axdp_queue *x, uint32_t at, uint32_t n)
{
	const struct xdp_desc *desc = x->rx.slots;

	for (uint32_t i = 0; i < n; i++)
		if (!(desc[(at + i) & x->rx.mask].options & XDP_PKT_CONTD))
			return i + 1;
	return 0;
}

static void chain_drop(struct kbp_axdp_queue *x, uint32_t len)
{
	const struct xdp_desc *desc = x->rx.slots;
	__u64 *slot = x->fill.slots;

	for (uint32_t i = 0; i < len; i++)
		slot[x->fill.idx++ & x->fill.mask] = desc[x->rx.idx++ & x->rx.mask].addr;
	__atomic_store_n(x->fill.prod, x->fill.idx, __ATOMIC_RELEASE);
	__atomic_store_n(x->rx.cons, x->rx.idx, __ATOMIC_RELEASE);
	x->q.rx_count->chain_drops++;
}

/* How many of the n waiting descriptors are whole chains that fit `max` and `room`. */
static uint32_t chain_cut(struct kbp_axdp_queue *x, uint32_t n, uint32_t max, uint32_t room)
{
	uint32_t longest = max < x->q.hold_max ? max : x->q.hold_max, whole = 0;

	while (whole < n) {
		uint32_t len = chain_len(x, x->rx.idx + whole, n - whole);

		if (!len) { /* look again: the rest may have come since the last look */
			x->rx.seen = __atomic_load_n(x->rx.prod, __ATOMIC_ACQUIRE);
			n = x->rx.seen - x->rx.idx;
			len = chain_len(x, x->rx.idx + whole, n - whole);
			if (!len)
				break;
		}
		if (len > longest && !whole) {
			chain_drop(x, len);
			n -= len;
			continue;
		}
		if (whole + len > room && whole + len <= max)
			x->q.rx_count->hold_limited++;
		if (whole + len > room || whole + len > max)
			break;
		whole += len;
	}
	return whole;
}

static void refill(struct kbp_axdp_queue *x)
{
	__u64 *slot = x->fill.slots;

	while (x->n_returned)
		slot[x->fill.idx++ & x->fill.mask] = x->returned[--x->n_returned];
	__atomic_store_n(x->fill.prod, x->fill.idx, __ATOMIC_RELEASE);
}

uint32_t kbp_axdp_rx_special(struct kbp_axdp_queue *x, uint32_t max)
{
	uint32_t n, room;

	if (x->special & KBP_AXDP_UNSENT)
		kbp_axdp_kick(x);
	if (x->special & KBP_AXDP_FORWARDED)
		kbp_axdp_complete(x);
	if (x->n_returned)
		refill(x);
	x->special &= ~(uint32_t)(KBP_AXDP_RETURNED | KBP_AXDP_AT_BOUND);
	room = x->q.hold_max - x->q.held;
	if (x->special & KBP_AXDP_CHAINS) {
		n = chain_cut(x, kbp_axdp_rx_waiting(x, UINT32_MAX), max, room);
		if (x->q.flags & KBP_QUEUE_RX_STAMPS)
			kbp_axdp_stamps_spread(x, n);
	} else {
		n = kbp_axdp_rx_waiting(x, max);
	}
	if (n && x->special & KBP_AXDP_STAMPS)
		kbp_axdp_stamps_look(x, n);
	if (room || x->special & KBP_AXDP_CHAINS)
		return n;
	x->special |= KBP_AXDP_AT_BOUND; /* until something is given back */
	x->q.rx_count->hold_limited += n > 0;
	return 0;
}

void kbp_axdp_idle(struct kbp_axdp_queue *x)
{
	/* whatever is wrong, the port's monitor says it in the queue's state */
	x->q.rx_count->kernel_calls++;
	recvfrom((int)x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* ------------------------------------------------------------ transmit: buffers and descriptors */

/* A sent buffer goes back to where it belongs. */
static void come_home(struct kbp_axdp_queue *x, uint64_t addr)
{
	if (KBP_LIKELY(addr >= x->rx_bytes && addr < x->tx_end)) {
		*x->tx_top++ = addr;
		return;
	}
	x->n_strange--;
	if (addr < x->rx_bytes) {
		x->returned[x->n_returned++] = addr;
		x->special |= KBP_AXDP_RETURNED;
	} else {
		kbp_axdp_full(&x->q)->tpl_busy[(addr - x->tx_end) / x->chunk] = false;
	}
	if (!x->n_strange)
		x->special &= ~(uint32_t)KBP_AXDP_FORWARDED;
}

void kbp_axdp_collect(struct kbp_axdp_queue *x, uint32_t n)
{
	const __u64 *addr = x->comp.slots;

	x->q.tx_count->completions += n;
	while (n--)
		come_home(x, addr[x->comp.idx++ & x->comp.mask]);
	__atomic_store_n(x->comp.cons, x->comp.idx, __ATOMIC_RELEASE);
}

void kbp_axdp_complete(struct kbp_axdp_queue *x)
{
	const __u64 *addr = x->comp.slots;
	uint32_t at = x->comp.idx, end = __atomic_load_n(x->comp.prod, __ATOMIC_ACQUIRE);
	uint32_t mask = x->comp.mask;
	uint64_t *top = x->tx_top;

	if (at == end || (x->q.flags & KBP_QUEUE_COMPLETIONS))
		return;
	if (KBP_UNLIKELY(x->n_strange)) {
		kbp_axdp_collect(x, end - at);
		return;
	}
	x->q.tx_count->completions += end - at;
	do {
		*top++ = addr[at & mask];
	} while (++at != end);
	x->tx_top = top;
	x->comp.idx = at;
	__atomic_store_n(x->comp.cons, at, __ATOMIC_RELEASE);
}

static uint32_t tx_buffers(struct kbp_axdp_queue *x, uint32_t n)
{
	struct kbp_hot_tx *count = x->q.tx_count;
	uint32_t free = kbp_axdp_tx_buffers_free(x);

	if (free >= n)
		return n;
	if (x->n_tx - free > count->in_flight_max)
		count->in_flight_max = x->n_tx - free;
	kbp_axdp_complete(x);
	if (kbp_axdp_tx_buffers_free(x) < n && *x->tx.flags & XDP_RING_NEED_WAKEUP) {
		/* they may lie in the ring since the link was down: nothing else rings again */
		kbp_axdp_kick_rest(x);
		kbp_axdp_complete(x);
	}
	free = kbp_axdp_tx_buffers_free(x);
	if (free >= n)
		return n;
	count->ring_full++;
	return free;
}

uint32_t kbp_axdp_tx_room(struct kbp_axdp_queue *x, uint32_t n)
{
	uint32_t room = x->tx.seen - x->tx.idx;

	x->tx_ready = 0; /* what is found here is used up without being counted there */
	if (room >= n)
		return n;
	x->tx.seen = __atomic_load_n(x->tx.cons, __ATOMIC_ACQUIRE) + x->tx.size;
	room = x->tx.seen - x->tx.idx;
	if (room >= n)
		return n;
	x->q.tx_count->ring_full++;
	return room;
}

uint32_t kbp_axdp_tx_find(struct kbp_axdp_queue *x, uint32_t n)
{
	uint32_t room, free;

	if (x->q.flags & KBP_QUEUE_TX_STAMPS)
		return 0;
	n = kbp_axdp_tx_room(x, tx_buffers(x, n));
	room = x->tx.seen - x->tx.idx;
	free = kbp_axdp_tx_buffers_free(x);
	x->tx_ready = free < room ? free : room;
	return n;
}

/* ---------------------------------------------------------------- transmit: array form */

KBP_INLINE void give(struct kbp_frame *f, struct kbp_txflow *t, uint8_t *umem, uint64_t addr, bool raw)
{
	f->token = addr;
	f->len = t->room;
	f->flags = KBP_FRAME_TX;
	f->ts_frac = 0;
	f->data = umem + addr + (raw ? 0 : t->hdr_len);
	f->txflow = t;
	if (!raw)
		kbp_udp_head(t, umem + addr);
}

static unsigned tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct kbp_axdp_queue *x = kbp_axdp(t->q);
	uint8_t *umem = x->umem;
	struct kbp_frame *end;
	const uint64_t *top;

	if (KBP_UNLIKELY(kbp_axdp_tx_buffers_free(x) < n))
		n = tx_buffers(x, n);
	end = f + n;
	top = x->tx_top;
	x->tx_top -= n;
	x->tx_ready = 0;
	if (KBP_LIKELY(t->hdr_len))
		for (; f != end; f++)
			give(f, t, umem, *--top, false);
	else
		for (; f != end; f++)
			give(f, t, umem, *--top, true);
	return n;
}

/* A received frame goes out as it is; its buffer comes home with its completion. */
static void forward(struct kbp_axdp_queue *x)
{
	x->n_strange++;
	x->special |= KBP_AXDP_FORWARDED;
	x->peeked = 0;
	x->q.held--;
}

/* Room for fewer than n, or completions of forwarded frames may be waiting: who only forwards never
 * runs out of TX buffers, and so never asks for them. A chain goes whole or not at all. */
static __attribute__((noinline)) uint32_t submit_room(struct kbp_axdp_queue *x,
						      const struct kbp_frame *f, uint32_t n)
{
	if (!n)
		return 0;
	if (x->special & KBP_AXDP_FORWARDED)
		kbp_axdp_complete(x);
	n = kbp_axdp_tx_room(x, n);
	while (n && f[n - 1].flags & KBP_FRAME_MORE)
		n--;
	if (!n)
		kbp_axdp_kick(x); /* full: what lies there may never have been looked at */
	return n;
}

KBP_INLINE unsigned submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n, bool stamps)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	uint32_t at = x->tx.idx, end;
	bool part = false; /* of a chain, and not the first */

	if (KBP_UNLIKELY(x->special & KBP_AXDP_FORWARDED || n - 1 >= x->tx.seen - at)) {
		n = submit_room(x, f, n);
		if (!n)
			return 0;
	}
	for (end = at + n; at != end; at++, f++) {
		struct xdp_desc *d = (struct xdp_desc *)x->tx.slots + (at & x->tx.mask);
		uint32_t len = f->len, more = 0;

		if (KBP_LIKELY(f->flags & KBP_FRAME_TX)) {
			const struct kbp_txflow *t = f->txflow;

			if (KBP_LIKELY(t->hdr_len))
				kbp_udp_finish(t, f->data, len);
			len += t->hdr_len;
		} else {
			forward(x);
			more = f->flags & KBP_FRAME_MORE;
		}
		d->addr = f->token;
		d->len = len;
		if (stamps) {
			more |= kbp_axdp_tx_ask(x, f->token, !part);
			part = more & KBP_FRAME_MORE;
		}
		d->options = more;
	}
	x->tx_ready = 0;
	kbp_axdp_tx_publish(x, at, n);
	return n;
}

static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	return submit(q, f, n, false);
}

static unsigned tx_submit_stamped(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	return submit(q, f, n, true);
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);

	for (unsigned i = 0; i < n; i++) {
		if (f[i].flags & KBP_FRAME_TX)
			*x->tx_top++ = f[i].token;
		else
			/* a received frame that was to be forwarded; maybe from inside a burst */
			kbp_axdp_rx_return(kbp_rx_as(q, KBP_AF_XDP), f[i].token);
	}
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	const __u64 *addr = x->comp.slots;
	uint32_t n;

	if (!(q->flags & KBP_QUEUE_COMPLETIONS))
		return 0;
	n = __atomic_load_n(x->comp.prod, __ATOMIC_ACQUIRE) - x->comp.idx;
	if (!n)
		kbp_axdp_kick_rest(x);
	if (n > max)
		n = max;
	if (!n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		memset(&c[i], 0, sizeof(c[i]));
		c[i].token = addr[(x->comp.idx + i) & x->comp.mask];
		if (q->flags & KBP_QUEUE_TX_STAMPS)
			kbp_axdp_stamps_sent(x, &c[i]);
	}
	kbp_axdp_collect(x, n);
	return n;
}

/* ---------------------------------------------------------------- transmit: doorbell */

/* In copy mode (net/xdp/xsk.c, __xsk_generic_xmit) one call sends at most 32 frames and answers
 * EAGAIN when there are more. EBUSY: the device was down or without carrier, and one frame is gone.
 * EAGAIN without progress and ENOBUFS: the device's queue or the socket's send buffer is full,
 * nothing is lost; what stays in the ring goes with the next doorbell, at the latest with the next
 * poll. */
void kbp_axdp_kick(struct kbp_axdp_queue *x)
{
	struct kbp_hot_tx *count = x->q.tx_count;
	uint32_t before, after = __atomic_load_n(x->tx.cons, __ATOMIC_RELAXED);
	int error;

	x->special &= ~(uint32_t)KBP_AXDP_UNSENT;
	do {
		before = after;
		count->doorbells++;
		count->kernel_calls++;
		if (sendto((int)x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		error = errno;
		after = __atomic_load_n(x->tx.cons, __ATOMIC_RELAXED);
		if (error == EBUSY && after != before)
			count->errors++;
	} while (error == EINTR || ((error == EAGAIN || error == EBUSY) && after != before));
	if (after != x->tx.idx && (error == EAGAIN || error == EBUSY || error == ENOBUFS))
		x->special |= KBP_AXDP_UNSENT;
}

void kbp_axdp_kick_rest(struct kbp_axdp_queue *x)
{
	if (__atomic_load_n(x->tx.cons, __ATOMIC_RELAXED) != x->tx.idx)
		kbp_axdp_kick(x);
}

/* A ring that the queue does not have is an empty one without room. */
static void ring_default(struct kbp_axdp_queue *x, struct kbp_axdp_ring *r)
{
	if (!r->prod)
		r->prod = r->cons = r->flags = &x->nothing;
}

void kbp_axdp_set_calls(struct kbp_queue *q)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);

	ring_default(x, &x->rx);
	ring_default(x, &x->tx);
	if (q->chain_max > 1)
		x->special |= KBP_AXDP_CHAINS;
	q->kind = KBP_AF_XDP;
	q->rx_peek = q->flags & KBP_QUEUE_RX_STAMPS ? rx_peek_stamped : rx_peek;
	q->rx_release = rx_release;
	q->rx_putback = rx_putback;
	q->tx_reserve = tx_reserve;
	q->tx_submit = q->flags & KBP_QUEUE_TX_STAMPS ? tx_submit_stamped : tx_submit;
	q->tx_cancel = tx_cancel;
	q->tx_reap = tx_reap;
}
