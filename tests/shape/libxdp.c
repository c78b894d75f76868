/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxdp.c - proof that both forms can be carried by libxdp's rings (xdp/xsk.h): the program of
 * shape.h runs over rings in plain memory, whose kernel half is played by `kernel_*` below, with
 * indices that wrap at 2^32.
 */
#include <xdp/xsk.h>

#include "shape.h"

#define RING 64u
#define FRAMES 128u
#define FRAME_BYTES 2048u
#define START 0xffffff80u /* ring indices begin 128 short of the wrap */

struct ring_memory {
	uint32_t producer, consumer, flags;
	union {
		struct xdp_desc desc[RING];
		uint64_t addr[FRAMES];
	};
};

struct xq {
	struct kbp_queue head;
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod fill, tx;
	uint8_t *umem;
	uint64_t spare[FRAMES]; /* TX buffers */
	uint32_t n_spare, in_flight;
	struct ring_memory rx_mem, comp_mem, fill_mem, tx_mem;
};

static struct xq *xq_of(struct kbp_queue *q)
{
	return (struct xq *)(void *)q;
}

KBP_INLINE void xq_fill_one(struct xq *x, uint64_t addr)
{
	*xsk_ring_prod__fill_addr(&x->fill, x->fill.cached_prod++) = addr &
								     ~(uint64_t)(FRAME_BYTES - 1);
}

KBP_INLINE void xq_fill_publish(struct xq *x)
{
	__atomic_store_n(x->fill.producer, x->fill.cached_prod, __ATOMIC_RELEASE);
}

/* How many waiting descriptors form whole packets. xsk_cons_nb_avail looks at the producer only
 * when nothing is waiting: the first part of a chain that came alone would wait for ever, so look
 * again here. */
KBP_INLINE unsigned xq_whole(struct xq *x, unsigned max)
{
	uint32_t idx = x->rx.cached_cons, room = x->head.hold_max - x->head.held;
	unsigned n, waiting = xsk_cons_nb_avail(&x->rx, UINT32_MAX);

	max = max < room ? max : room;
	for (unsigned look = 0; look < 2; look++) {
		n = waiting < max ? waiting : max;
		while (n && (xsk_ring_cons__rx_desc(&x->rx, idx + n - 1)->options & KBP_FRAME_MORE))
			n--;
		if (n || !waiting)
			break;
		x->rx.cached_prod = __atomic_load_n(x->rx.producer, __ATOMIC_ACQUIRE);
		waiting = x->rx.cached_prod - idx;
	}
	return n;
}

KBP_INLINE unsigned xq_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct xq *x = (struct xq *)(void *)rx.q;
	uint32_t idx = x->rx.cached_cons, kept = 0, i;
	unsigned n = xq_whole(x, max);

	for (i = 0; i < n;) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, idx + i++);
		struct kbp_frame f = { .token = d->addr, .len = d->len, .data = x->umem + d->addr };
		unsigned verdict;

		f.flags = (uint16_t)d->options;
		verdict = fn(rx, f, arg);
		if (verdict & KBP_KEEP)
			kept++;
		else
			xq_fill_one(x, f.token);
		if ((verdict & KBP_STOP) && !(f.flags & KBP_FRAME_MORE))
			break;
	}
	if (i) {
		x->rx.cached_cons = idx + i;
		xsk_ring_cons__release(&x->rx, i);
		xq_fill_publish(x);
		x->head.held += kept;
	}
	return i;
}

static unsigned xq_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct xq *x = xq_of(q);
	uint32_t idx = x->rx.cached_cons;
	unsigned n = xq_whole(x, max);

	for (unsigned i = 0; i < n; i++) {
		/* the promise of kbypass.h: a descriptor is the first half of a frame */
		memcpy(&f[i], xsk_ring_cons__rx_desc(&x->rx, idx + i), sizeof(struct xdp_desc));
		f[i].data = x->umem + f[i].token;
		f[i].ts_ns = 0;
	}
	x->rx.cached_cons += n;
	q->held += n;
	return n;
}

static void xq_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct xq *x = xq_of(q);

	/* slots consumed by peek are published here at the latest; putback is legal until then */
	__atomic_store_n(x->rx.consumer, x->rx.cached_cons, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < n; i++)
		xq_fill_one(x, f[i].token);
	xq_fill_publish(x);
	q->held -= n;
}

static void xq_rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	(void)f;
	xsk_ring_cons__cancel(&xq_of(q)->rx, n);
	q->held -= n;
}

static unsigned xq_collect(struct xq *x, struct kbp_completion *c, unsigned max)
{
	uint32_t idx = 0;
	unsigned n = xsk_ring_cons__peek(&x->comp, max, &idx);

	for (unsigned i = 0; i < n; i++) {
		uint64_t addr = *xsk_ring_cons__comp_addr(&x->comp, idx + i);

		if (c)
			c[i] = (struct kbp_completion){ .token = addr };
		x->spare[x->n_spare++] = addr & ~(uint64_t)(FRAME_BYTES - 1);
	}
	if (n)
		xsk_ring_cons__release(&x->comp, n);
	x->in_flight -= n;
	return n;
}

static unsigned xq_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct xq *x = xq_of(t->q);
	unsigned i;

	if (x->n_spare < n)
		xq_collect(x, NULL, RING);
	for (i = 0; i < n && x->n_spare; i++) {
		uint64_t addr = x->spare[--x->n_spare] + KBP_HDR_ROOM;

		kbp_udp_begin(t, x->umem + addr);
		f[i] = (struct kbp_frame){ .token = addr,
					   .len = t->room,
					   .flags = KBP_FRAME_TX,
					   .data = x->umem + addr,
					   .txflow = t };
	}
	return i;
}

KBP_INLINE unsigned xq_tx_post(struct xq *x, const struct kbp_frame *f, unsigned n)
{
	uint32_t free = xsk_prod_nb_free(&x->tx, n);
	unsigned i;

	for (i = 0; i < n && i < free; i++) {
		struct xdp_desc *d = xsk_ring_prod__tx_desc(&x->tx, x->tx.cached_prod++);
		uint32_t hdr = 0;

		if (f[i].flags & KBP_FRAME_TX) {
			hdr = f[i].txflow->hdr_len;
			if (hdr)
				kbp_udp_finish(f[i].txflow, (uint8_t *)f[i].data, f[i].len);
		}
		d->addr = f[i].token - hdr;
		d->len = f[i].len + hdr;
		d->options = f[i].flags & KBP_FRAME_MORE;
	}
	if (i)
		xsk_ring_prod__submit(&x->tx, i);
	x->in_flight += i;
	return i;
}

static unsigned xq_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	return xq_tx_post(xq_of(q), f, n);
}

static void xq_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct xq *x = xq_of(q);

	for (unsigned i = 0; i < n; i++)
		x->spare[x->n_spare++] = f[i].token & ~(uint64_t)(FRAME_BYTES - 1);
}

static unsigned xq_tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	return xq_collect(xq_of(q), c, max);
}

KBP_INLINE unsigned xq_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct xq *x = (struct xq *)(void *)tx.t->q;
	uint32_t n = xsk_prod_nb_free(&x->tx, max);
	unsigned sent = 0;

	if (x->n_spare < max)
		xq_collect(x, NULL, RING);
	n = n < max ? n : max;
	n = n < x->n_spare ? n : x->n_spare;
	while (sent < n) {
		uint64_t addr = x->spare[x->n_spare - 1] + KBP_HDR_ROOM;
		struct kbp_frame f = { .token = addr,
				       .len = tx.t->room,
				       .flags = KBP_FRAME_TX,
				       .data = x->umem + addr,
				       .txflow = tx.t };
		struct xdp_desc *d;
		uint32_t len;

		kbp_udp_begin(tx.t, x->umem + addr);
		len = fn(tx, f, arg);
		if (len == KBP_TX_END)
			break;
		x->n_spare--;
		d = xsk_ring_prod__tx_desc(&x->tx, x->tx.cached_prod++);
		kbp_udp_finish(tx.t, x->umem + addr, len);
		d->addr = addr - tx.t->hdr_len;
		d->len = len + tx.t->hdr_len;
		d->options = 0;
		sent++;
	}
	if (sent)
		xsk_ring_prod__submit(&x->tx, sent);
	x->in_flight += sent;
	return sent;
}

/* XDP metadata lies in front of the frame, in this library's own layout; libxdp has no call for
 * it. */
KBP_INLINE struct kbp_stamp xq_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	struct kbp_stamp s = { 0, 0, 0 };

	(void)rx;
	memcpy(&s.ns, (const uint8_t *)f->data - sizeof(s.ns), sizeof(s.ns));
	s.flags = s.ns ? KBP_FRAME_TS : 0;
	return s;
}

/* --------------------------------------------------------------- the kernel's half, and the run */

static void kernel_deliver(struct xq *x, uint32_t *number, unsigned n)
{
	struct ring_memory *f = &x->fill_mem, *r = &x->rx_mem;

	while (n-- && f->consumer != __atomic_load_n(&f->producer, __ATOMIC_ACQUIRE) &&
	       r->producer - __atomic_load_n(&r->consumer, __ATOMIC_ACQUIRE) < RING) {
		uint64_t addr = f->addr[f->consumer++ & (FRAMES - 1)] + 256;
		bool chained = *number % 11 == 4 &&
			       !(r->desc[(r->producer - 1) & (RING - 1)].options & 1);
		uint64_t stamp = 1000 + *number;

		memcpy(x->umem + addr, number, sizeof(*number));
		memcpy(x->umem + addr - sizeof(stamp), &stamp, sizeof(stamp));
		r->desc[r->producer & (RING - 1)] =
			(struct xdp_desc){ .addr = addr, .len = 60, .options = chained };
		if (!chained)
			(*number)++;
		__atomic_store_n(&r->producer, r->producer + 1, __ATOMIC_RELEASE);
	}
}

static unsigned kernel_transmit(struct xq *x, unsigned n)
{
	struct ring_memory *t = &x->tx_mem, *c = &x->comp_mem;
	unsigned sent = 0;

	for (; sent < n && t->consumer != t->producer; sent++) {
		const struct xdp_desc *d = &t->desc[t->consumer & (RING - 1)];

		SHAPE_CHECK(d->len == 42 + sizeof(uint32_t));
		c->addr[c->producer++ & (FRAMES - 1)] = d->addr;
		t->consumer++;
	}
	return sent;
}

#define RING_INIT(r, m, first, entries)                                                  \
	do {                                                                             \
		(m).producer = (m).consumer = (r).cached_cons = (r).cached_prod = START; \
		(r).mask = (entries)-1;                                                  \
		(r).size = (entries);                                                    \
		(r).producer = &(m).producer;                                            \
		(r).consumer = &(m).consumer;                                            \
		(r).ring = (first);                                                      \
		(r).flags = &(m).flags;                                                  \
	} while (0)

static struct xq *xq_open(void)
{
	struct xq *x = aligned_alloc(64, (sizeof(*x) + 63) & ~(size_t)63);
	uint8_t *umem = aligned_alloc(4096, FRAMES * FRAME_BYTES);

	SHAPE_CHECK(x && umem);
	memset(x, 0, sizeof(*x));
	memset(umem, 0, FRAMES * FRAME_BYTES);
	x->umem = umem;
	RING_INIT(x->rx, x->rx_mem, x->rx_mem.desc, RING);
	RING_INIT(x->tx, x->tx_mem, x->tx_mem.desc, RING);
	RING_INIT(x->fill, x->fill_mem, x->fill_mem.addr, FRAMES);
	RING_INIT(x->comp, x->comp_mem, x->comp_mem.addr, FRAMES);
	x->tx.cached_cons += RING;
	x->fill.cached_cons += FRAMES;
	x->head = (struct kbp_queue){ .rx_peek = xq_rx_peek,
				      .rx_release = xq_rx_release,
				      .rx_putback = xq_rx_putback,
				      .tx_reserve = xq_tx_reserve,
				      .tx_submit = xq_tx_submit,
				      .tx_cancel = xq_tx_cancel,
				      .tx_reap = xq_tx_reap,
				      .kind = KBP_AF_XDP,
				      .hold_max = SHAPE_KEPT + 16 };
	for (uint64_t i = 0; i < FRAMES; i++) {
		if (i < FRAMES - 32)
			xq_fill_one(x, i * FRAME_BYTES);
		else
			x->spare[x->n_spare++] = i * FRAME_BYTES;
	}
	xq_fill_publish(x);
	return x;
}

static void check_balance(struct xq *x, const struct shape_app *a, uint32_t number)
{
	SHAPE_CHECK(a->misplaced == 0);
	SHAPE_CHECK(a->next == number);
	SHAPE_CHECK(x->head.held == 0 && x->in_flight == 0 && x->n_spare == 32);
	SHAPE_CHECK(x->fill_mem.producer - x->fill_mem.consumer == FRAMES - 32);
}

int main(void)
{
	static const shape_rx_each_fn rx_each = xq_rx_each;
	static const shape_tx_each_fn tx_each = xq_tx_each;
	static const shape_ts_fn stamp = xq_frame_ts;
	struct xq *x = xq_open();
	struct kbp_txflow t = { .q = &x->head, .room = 1400, .hdr_len = 42 };
	struct shape_app a = { .t = &t, .stamp = xq_frame_ts };
	struct shape_app fill = { .t = &t };
	struct kbp_rx rx = kbp_rx_as(&x->head, KBP_AF_XDP);
	struct kbp_tx tx = kbp_tx_as(&t, KBP_AF_XDP);
	struct kbp_completion c[8];
	uint32_t number = 0;
	uint64_t sent = 0;

	for (unsigned i = 0; i < 2000; i++) {
		kernel_deliver(x, &number, i % 13);
		xq_rx_each(rx, 8, shape_on_frame, &a);
		sent += xq_tx_each(tx, 8, shape_fill, &fill);
		kernel_transmit(x, 16);
	}
	while (xq_rx_each(rx, 8, shape_on_frame, &a))
		;
	while (a.n_kept)
		shape_return_some(rx, &a);
	while (kernel_transmit(x, 64) || kbp_tx_reap(&x->head, c, 8))
		;
	check_balance(x, &a, number);
	SHAPE_CHECK(a.frames > 5000 && a.parts > a.frames && a.replies > 1000 &&
		    a.stamps == a.frames && sent > 5000);
	for (unsigned i = 0; i < 2000; i++) {
		kernel_deliver(x, &number, i % 13);
		shape_array_burst(&x->head, &a);
	}
	while (shape_array_burst(&x->head, &a))
		;
	check_balance(x, &a, number);
	SHAPE_CHECK(rx_each && tx_each && stamp);
	printf("libxdp carries both forms: %llu frames, %llu parts, %llu replies\n",
	       (unsigned long long)a.frames, (unsigned long long)a.parts,
	       (unsigned long long)a.replies);
	free(x->umem);
	free(x);
	return 0;
}
