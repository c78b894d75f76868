/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_evq.c - a NIC with one event queue for RX and TX, in the manner of ef_vi's descriptor mode,
 * and a backend on top of it.
 *
 *   inject -> device -> event queue -> driver (poll, demultiplex) -> stash -> caller -> free list
 *   -> device
 *
 * What the device does on purpose: the RX doorbell moves in steps of 8; rings hold one less than
 * their size; TX completions come as one event for up to 64 frames; a poll ends at a clock event; a
 * bad frame costs a buffer and gives a DISCARD event; a long frame takes several buffers, lengths
 * cumulative; without a buffer a frame is gone; after an overflow nothing is known any more.
 */
#include <errno.h>

#include "fake.h"
#include "../lib/test.h"

#define BUF_BYTES 2048u
#define DMA_BYTES 1792u /* what the device writes into one buffer */
#define PREFIX 14u	/* in front of a packet: here the stamp */
#define TX_BATCH 64u
#define TEMPLATES 4u
#define CHAIN_MAX ((FAKE_MTU + PREFIX + 18u + DMA_BYTES - 1) / DMA_BYTES)

enum ev_type { EV_RX, EV_RX_DISCARD, EV_RX_TRUNC, EV_TX, EV_TX_STAMPED, EV_CLOCK, EV_OFLOW };

struct ev {
	enum ev_type type;
	uint32_t id, len, n;
	bool sop, cont;
	uint64_t ns;
};

/* A descriptor ring of the device; indices run free. */
struct ring {
	uint32_t size, added, pushed, removed;
	uint32_t *id;
};

struct evq {
	struct fake_queue base;
	/* device */
	struct ring rx, tx;
	struct ev *ev;
	uint32_t ev_size, ev_in, ev_out;
	uint32_t rx_until_clock;
	uint32_t tx_unreported; /* sent, no event yet */
	const uint8_t **tx_start;
	uint32_t *tx_len;
	bool *tx_more; /* the frame goes on in the next descriptor */
	uint64_t no_buffer, discards, overflow_lost;
	bool overflowed;
	/* driver */
	uint8_t *mem, *owner;
	uint32_t n_rx, n_tx, n_buf, n_post, n_free, in_flight;
	uint32_t *post, *free_tx;
	struct kbp_frame *stash;
	uint32_t stash_size, stash_in, stash_whole, stash_out, chain_bytes;
	struct kbp_completion *done;
	uint32_t done_size, done_in, done_out;
	bool template_busy[TEMPLATES], template_open[TEMPLATES];
};

static struct evq *evq_of(struct kbp_queue *q)
{
	return (struct evq *)(void *)q;
}

static uint8_t *buf(const struct evq *e, uint64_t id)
{
	return e->mem + id * BUF_BYTES;
}

static void move(struct evq *e, uint64_t id, enum fake_owner from, enum fake_owner to, const char *why)
{
	fake_move(e->owner, e->n_buf, id, from, to, why);
}

/* ---------------------------------------------------------------- device */

static void event_raise(struct evq *e, struct ev ev)
{
	if (e->ev_in - e->ev_out == e->ev_size)
		fail_msg("the event queue overflowed: %u events nobody polled", e->ev_size);
	e->ev[e->ev_in++ & (e->ev_size - 1)] = ev;
}

static void device_complete(struct evq *e, uint32_t max)
{
	while (e->tx_unreported && max && !fake_tx_stalled) {
		uint32_t n = e->base.head.flags & KBP_QUEUE_TX_STAMPS ? 1 : TX_BATCH;

		if (n > e->tx_unreported)
			n = e->tx_unreported;
		if (e->base.head.flags & KBP_QUEUE_TX_STAMPS)
			event_raise(e, (struct ev){ .type = EV_TX_STAMPED,
						    .n = 1,
						    .ns = fake_clock_ns() });
		else
			event_raise(e, (struct ev){ .type = EV_TX, .n = n });
		e->tx_unreported -= n;
		max--;
	}
}

static void device_receive(struct fake_queue *fq, const uint8_t *frame, uint32_t len, bool bad)
{
	struct evq *e = (struct evq *)(void *)fq;
	uint32_t left = len + PREFIX, at = 0, total = 0;
	uint64_t ns = fake_clock_ns();
	bool sop = true;

	if (e->overflowed) {
		e->overflow_lost++;
		return;
	}
	if (e->rx.pushed == e->rx.removed) {
		e->no_buffer++;
		return;
	}
	while (left) {
		uint32_t room = DMA_BYTES, skip = sop ? PREFIX : 0, n, id;

		if (e->rx.pushed == e->rx.removed) {
			event_raise(e, (struct ev){ .type = EV_RX_TRUNC });
			return;
		}
		id = e->rx.id[e->rx.removed++ & (e->rx.size - 1)];
		n = left < room ? left : room;
		if (sop)
			memcpy(buf(e, id), &ns, sizeof(ns));
		memcpy(buf(e, id) + skip, frame + at, n - skip);
		at += n - skip;
		left -= n;
		total += n;
		event_raise(e, (struct ev){ .type = bad ? EV_RX_DISCARD : EV_RX,
					    .id = id,
					    .len = total,
					    .sop = sop,
					    .cont = left != 0 });
		sop = false;
	}
	if (!--e->rx_until_clock) {
		e->rx_until_clock = 5;
		event_raise(e, (struct ev){ .type = EV_CLOCK });
		device_complete(e, 1); /* so that TX events lie between RX events */
	}
}

static int device_rx_init(struct evq *e, uint32_t id)
{
	if (e->rx.added - e->rx.removed == e->rx.size - 1)
		return -EAGAIN;
	e->rx.id[e->rx.added++ & (e->rx.size - 1)] = id;
	return 0;
}

static void device_rx_push(struct evq *e)
{
	e->rx.pushed += (e->rx.added - e->rx.pushed) & ~7u;
}

static int device_tx_init(struct evq *e, uint32_t id, const uint8_t *start, uint32_t len, bool more)
{
	uint32_t slot = e->tx.added & (e->tx.size - 1);

	if (e->tx.added - e->tx.removed == e->tx.size - 1)
		return -EAGAIN;
	e->tx.id[slot] = id;
	e->tx_start[slot] = start;
	e->tx_len[slot] = len;
	e->tx_more[slot] = more;
	e->tx.added++;
	return 0;
}

static void device_tx_push(struct evq *e)
{
	uint8_t frame[FAKE_MTU + 64];
	uint32_t len = 0;

	for (; e->tx.pushed != e->tx.added; e->tx.pushed++) {
		uint32_t slot = e->tx.pushed & (e->tx.size - 1);

		assert_in_range(e->tx_len[slot], 1, sizeof(frame) - len);
		memcpy(frame + len, e->tx_start[slot], e->tx_len[slot]);
		len += e->tx_len[slot];
		e->tx_unreported++;
		if (e->tx_more[slot])
			continue;
		fake_transmit(frame, len);
		len = 0;
	}
	assert_int_equal(len, 0); /* a doorbell in the middle of a frame */
}

/* Ends early at a clock event, like the real one. */
static unsigned device_poll(struct evq *e, struct ev *evs, unsigned n)
{
	unsigned got = 0;

	if (n < 2)
		fail_msg("the device wants room for 2 events, got %u", n);
	fake_tick();
	if (e->overflowed) {
		evs[0] = (struct ev){ .type = EV_OFLOW };
		return 1;
	}
	device_complete(e, UINT32_MAX);
	while (got < n && e->ev_out != e->ev_in) {
		struct ev ev = e->ev[e->ev_out++ & (e->ev_size - 1)];

		if (ev.type == EV_CLOCK)
			break;
		evs[got++] = ev;
	}
	return got;
}

/* ---------------------------------------------------------------- driver: demultiplex */

static void driver_home(struct evq *e, uint64_t id, enum fake_owner from, const char *why)
{
	if (id >= e->n_rx)
		fail_msg("%s: buffer %llu is not of the RX side", why, (unsigned long long)id);
	move(e, id, from, FAKE_DRIVER, why);
	e->post[e->n_post++] = (uint32_t)id;
}

static void driver_repost(struct evq *e)
{
	if (e->n_post < 8 || !(e->base.head.flags & KBP_QUEUE_RX))
		return;
	while (e->n_post >= 8 && e->rx.size - 1 - (e->rx.added - e->rx.removed) >= 8) {
		for (unsigned i = 0; i < 8; i++) {
			uint32_t id = e->post[--e->n_post];

			move(e, id, FAKE_DRIVER, FAKE_NIC, "post");
			assert_int_equal(device_rx_init(e, id), 0);
		}
	}
	device_rx_push(e);
}

static void driver_rx(struct evq *e, const struct ev *ev)
{
	uint32_t skip = ev->sop ? PREFIX : 0;
	struct kbp_frame f = { .token = ev->id,
			       .flags = ev->cont ? KBP_FRAME_MORE : 0,
			       .data = buf(e, ev->id) + skip };

	if (e->base.head.chain_max == 1 && (ev->cont || !ev->sop)) {
		driver_home(e, ev->id, FAKE_NIC, "a frame too long for a buffer");
		e->base.head.rx_count->truncated += !ev->cont;
		return;
	}
	if (ev->sop)
		e->chain_bytes = 0;
	f.len = ev->len - e->chain_bytes - skip;
	e->chain_bytes = ev->cont ? ev->len : 0;
	if (ev->sop && e->base.head.flags & KBP_QUEUE_RX_STAMPS) {
		memcpy(&f.ts_ns, buf(e, ev->id), sizeof(f.ts_ns));
		f.flags |= KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT;
	}
	move(e, ev->id, FAKE_NIC, FAKE_STASHED, "receive");
	e->stash[e->stash_in++ & (e->stash_size - 1)] = f;
	if (!ev->cont)
		e->stash_whole = e->stash_in;
}

static void driver_drop_part(struct evq *e)
{
	while (e->stash_in != e->stash_whole)
		driver_home(e, e->stash[--e->stash_in & (e->stash_size - 1)].token, FAKE_STASHED,
			    "drop a cut chain");
	e->chain_bytes = 0;
}

/* A sent buffer goes back to its side: to RX when it was forwarded. */
static void driver_free(struct evq *e, uint32_t id, enum fake_owner from, const char *why)
{
	if (id < e->n_rx) {
		driver_home(e, id, from, why);
	} else {
		move(e, id, from, FAKE_DRIVER, why);
		e->free_tx[e->n_free++] = id;
	}
}

static void driver_sent(struct evq *e, uint32_t id, uint64_t ns)
{
	e->in_flight--;
	e->base.head.tx_count->completions++;
	if (id >= e->n_rx + e->n_tx) {
		/* closed in flight: free from here on */
		move(e, id, FAKE_NIC,
		     e->template_open[id - e->n_rx - e->n_tx] ? FAKE_TEMPLATE : FAKE_DRIVER,
		     "a template was sent");
		e->template_busy[id - e->n_rx - e->n_tx] = false;
	} else if (e->base.head.flags & KBP_QUEUE_COMPLETIONS) {
		move(e, id, FAKE_NIC, FAKE_STASHED, "completion");
		e->done[e->done_in++ & (e->done_size - 1)] = (struct kbp_completion){
			.token = id,
			.ts_ns = ns,
			.flags = ns ? KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT : 0
		};
	} else {
		driver_free(e, id, FAKE_NIC, "completion");
	}
}

static void driver_event(struct evq *e, const struct ev *ev)
{
	switch (ev->type) {
	case EV_RX:
		driver_rx(e, ev);
		break;
	case EV_RX_DISCARD:
		driver_home(e, ev->id, FAKE_NIC, "discard");
		e->discards += !ev->cont;
		break;
	case EV_RX_TRUNC:
		e->base.head.rx_count->truncated++;
		driver_drop_part(e);
		break;
	case EV_TX:
	case EV_TX_STAMPED:
		for (uint32_t i = 0; i < ev->n; i++)
			driver_sent(e, e->tx.id[e->tx.removed++ & (e->tx.size - 1)], ev->ns);
		break;
	case EV_OFLOW:
		kbp_queue_set_state(&e->base.head, KBP_QUEUE_OVERFLOWED);
		break;
	case EV_CLOCK:
		break;
	}
}

static void driver_poll(struct evq *e)
{
	struct ev evs[16];
	unsigned n = device_poll(e, evs, KBP_ARRAY_SIZE(evs));

	for (unsigned i = 0; i < n; i++)
		driver_event(e, &evs[i]);
}

/* ---------------------------------------------------------------- hot calls */

static uint32_t chain_len(const struct evq *e, uint32_t at)
{
	uint32_t n = 1;

	while (e->stash[at++ & (e->stash_size - 1)].flags & KBP_FRAME_MORE)
		n++;
	return n;
}

static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct evq *e = evq_of(q);
	uint32_t n = 0, waiting;

	q->rx_count->polls++;
	if (e->stash_out == e->stash_whole && q->held < q->hold_max)
		driver_poll(e);
	waiting = e->stash_whole - e->stash_out;
	q->rx_count->ring_fill = waiting;
	if (waiting > q->rx_count->ring_fill_max)
		q->rx_count->ring_fill_max = waiting;
	if (!waiting)
		fake_quiet(&e->base);
	while (e->stash_out != e->stash_whole) {
		uint32_t len = chain_len(e, e->stash_out);

		if (len > max) {
			if (n)
				break;
			q->rx_count->chain_drops++;
			while (len--)
				driver_home(e, e->stash[e->stash_out++ & (e->stash_size - 1)].token,
					    FAKE_STASHED, "drop a chain");
			continue;
		}
		if (n + len > max)
			break;
		if (q->held + len > q->hold_max) {
			q->rx_count->hold_limited++;
			break;
		}
		while (len--) {
			f[n] = e->stash[e->stash_out++ & (e->stash_size - 1)];
			move(e, f[n++].token, FAKE_STASHED, FAKE_CALLER, "peek");
			q->held++;
		}
	}
	if (q->held == q->hold_max && !n)
		q->rx_count->hold_limited++;
	q->rx_count->frames += n;
	driver_repost(e);
	return n;
}

static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		driver_home(evq_of(q), f[i].token, FAKE_CALLER, "release");
	q->held -= n;
	driver_repost(evq_of(q));
}

static void rx_putback(struct kbp_queue *q, unsigned n)
{
	struct evq *e = evq_of(q);

	q->held -= n;
	q->rx_count->frames -= n;
	while (n--)
		move(e, e->stash[--e->stash_out & (e->stash_size - 1)].token, FAKE_CALLER,
		     FAKE_STASHED, "put back");
}

static unsigned tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct evq *e = evq_of(t->q);
	unsigned i;

	if (e->n_free < n)
		driver_poll(e);
	for (i = 0; i < n && e->n_free; i++) {
		uint32_t id = e->free_tx[--e->n_free];

		move(e, id, FAKE_DRIVER, FAKE_CALLER, "reserve");
		kbp_udp_begin(t, buf(e, id) + KBP_HDR_ROOM);
		f[i] = (struct kbp_frame){ .token = id,
					   .len = t->room,
					   .flags = KBP_FRAME_TX,
					   .data = buf(e, id) + KBP_HDR_ROOM,
					   .txflow = t };
	}
	t->q->tx_count->ring_full += i < n;
	kbp_cold(t->q)->reserved += i;
	return i;
}

/* A full ring may only look full: completions that nobody fetched. */
static bool tx_room(struct evq *e, uint32_t n)
{
	if (e->tx.size - 1 - (e->tx.added - e->tx.removed) < n)
		driver_poll(e);
	return e->tx.size - 1 - (e->tx.added - e->tx.removed) >= n;
}

static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct evq *e = evq_of(q);
	unsigned i = 0;

	while (i < n) {
		unsigned parts = 1;

		while (i + parts < n && f[i + parts - 1].flags & KBP_FRAME_MORE)
			parts++;
		if (!tx_room(e, parts)) {
			q->tx_count->ring_full++;
			break;
		}
		for (; parts--; i++) {
			bool ours = f[i].flags & KBP_FRAME_TX;
			uint32_t hdr = ours ? f[i].txflow->hdr_len : 0;

			if (hdr)
				kbp_udp_finish(f[i].txflow, f[i].data, f[i].len);
			assert_int_equal(device_tx_init(e, (uint32_t)f[i].token,
							(uint8_t *)f[i].data - hdr, f[i].len + hdr,
							f[i].flags & KBP_FRAME_MORE),
					 0);
			move(e, f[i].token, FAKE_CALLER, FAKE_NIC, "submit");
			e->in_flight++;
			if (ours)
				kbp_cold(q)->reserved--;
			else
				q->held--;
		}
	}
	if (e->in_flight > q->tx_count->in_flight_max)
		q->tx_count->in_flight_max = e->in_flight;
	if (i) {
		device_tx_push(e);
		q->tx_count->doorbells++;
	}
	q->tx_count->frames += i;
	return i;
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct evq *e = evq_of(q);

	for (unsigned i = 0; i < n; i++) {
		if (!(f[i].flags & KBP_FRAME_TX)) {
			rx_release(q, &f[i], 1);
			continue;
		}
		move(e, f[i].token, FAKE_CALLER, FAKE_DRIVER, "cancel");
		e->free_tx[e->n_free++] = (uint32_t)f[i].token;
		kbp_cold(q)->reserved--;
	}
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct evq *e = evq_of(q);
	unsigned i;

	if (e->done_out == e->done_in)
		driver_poll(e);
	for (i = 0; i < max && e->done_out != e->done_in; i++) {
		c[i] = e->done[e->done_out++ & (e->done_size - 1)];
		driver_free(e, (uint32_t)c[i].token, FAKE_STASHED, "reap");
	}
	driver_repost(e);
	return i;
}

/* ---------------------------------------------------------------- cold calls */

static uint32_t *ring_make(struct ring *r, uint32_t size)
{
	*r = (struct ring){ .size = size,
			    .added = fake_first_index,
			    .pushed = fake_first_index,
			    .removed = fake_first_index,
			    .id = calloc(size, sizeof(uint32_t)) };
	return r->id;
}

/* Everything as it was at the start: the device is empty, all buffers are with the driver. */
static void reset(struct evq *e)
{
	e->rx.added = e->rx.pushed = e->rx.removed = fake_first_index;
	e->tx.added = e->tx.pushed = e->tx.removed = fake_first_index;
	e->ev_in = e->ev_out = fake_first_index;
	e->stash_in = e->stash_whole = e->stash_out = fake_first_index;
	e->done_in = e->done_out = fake_first_index;
	e->rx_until_clock = 5;
	e->tx_unreported = e->in_flight = e->n_post = e->n_free = e->chain_bytes = 0;
	e->overflowed = false;
	memset(e->template_busy, 0, sizeof(e->template_busy));
	for (uint32_t id = 0; id < e->n_buf; id++) {
		e->owner[id] = FAKE_DRIVER;
		if (id < e->n_rx)
			e->post[e->n_post++] = id;
		else if (id < e->n_rx + e->n_tx)
			e->free_tx[e->n_free++] = id;
		else if (e->template_open[id - e->n_rx - e->n_tx])
			e->owner[id] = FAKE_TEMPLATE;
	}
}

static void queue_free(struct evq *e)
{
	free(e->rx.id);
	free(e->tx.id);
	free(e->ev);
	free(e->tx_start);
	free(e->tx_len);
	free(e->tx_more);
	free(e->mem);
	free(e->owner);
	free(e->post);
	free(e->free_tx);
	free(e->stash);
	free(e->done);
	free(e);
}

static int queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
		      struct kbp_error *err)
{
	const struct kbp_queue_opts *o = &c->opts;
	struct evq *e = aligned_alloc(64, (sizeof(*e) + 63) & ~63ul);

	(void)p;
	if (!e)
		return kbp_fail(err, -ENOMEM, "open a fake queue", "out of memory");
	memset(e, 0, sizeof(*e));
	e->n_rx = o->flags & KBP_QUEUE_RX ? o->rx_ring + ((o->hold_max + 7) & ~7u) : 0;
	e->n_tx = o->flags & KBP_QUEUE_TX ? o->tx_ring : 0;
	e->n_buf = e->n_rx + e->n_tx + TEMPLATES;
	e->ev_size = 4 * (o->rx_ring > o->tx_ring ? o->rx_ring : o->tx_ring);
	for (e->stash_size = 1; e->stash_size < e->n_rx; e->stash_size *= 2)
		;
	e->ev = calloc(e->ev_size, sizeof(*e->ev));
	e->tx_start = calloc(o->tx_ring, sizeof(*e->tx_start));
	e->tx_len = calloc(o->tx_ring, sizeof(*e->tx_len));
	e->tx_more = calloc(o->tx_ring, sizeof(*e->tx_more));
	e->mem = calloc(e->n_buf, BUF_BYTES);
	e->owner = calloc(e->n_buf, 1);
	e->post = calloc(e->n_rx + 1, sizeof(*e->post));
	e->free_tx = calloc(e->n_tx + 1, sizeof(*e->free_tx));
	e->stash = calloc(e->stash_size, sizeof(*e->stash));
	for (e->done_size = 1; e->done_size < e->n_rx + e->n_tx; e->done_size *= 2)
		;
	e->done = calloc(e->done_size, sizeof(*e->done));
	if (!ring_make(&e->rx, o->rx_ring) || !ring_make(&e->tx, o->tx_ring) || !e->ev ||
	    !e->tx_start || !e->tx_len || !e->tx_more || !e->mem || !e->owner || !e->post ||
	    !e->free_tx || !e->stash || !e->done) {
		queue_free(e);
		return kbp_fail(err, -ENOMEM, "open a fake queue", "out of memory");
	}
	e->base.head =
		(struct kbp_queue){ .rx_peek = rx_peek,
				    .rx_release = rx_release,
				    .rx_putback = rx_putback,
				    .tx_reserve = tx_reserve,
				    .tx_submit = tx_submit,
				    .tx_cancel = tx_cancel,
				    .tx_reap = tx_reap,
				    .kind = FAKE_KIND_EVQ,
				    .flags = o->flags,
				    .chain_max = o->flags & KBP_QUEUE_MULTI_BUFFER ? CHAIN_MAX : 1 };
	e->base.deliver = device_receive;
	reset(e);
	driver_repost(e);
	fake_attach(&e->base);
	*q = &e->base.head;
	return 0;
}

static void queue_close(struct kbp_queue *q)
{
	fake_detach(&evq_of(q)->base);
	queue_free(evq_of(q));
}

static unsigned queue_drain(struct kbp_queue *q)
{
	struct evq *e = evq_of(q);

	if (!e->overflowed)
		driver_poll(e);
	return e->in_flight;
}

static int queue_reopen(struct kbp_queue *q, struct kbp_error *err)
{
	(void)err;
	reset(evq_of(q));
	kbp_cold(q)->reserved = 0;
	driver_repost(evq_of(q));
	return 0;
}

static void queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	info->payload_max = BUF_BYTES - KBP_HDR_ROOM;
	info->ts_source = q->flags & KBP_QUEUE_RX_STAMPS ? KBP_TS_DRIVER : KBP_TS_NONE;
	info->ts_source_tx = q->flags & KBP_QUEUE_TX_STAMPS ? KBP_TS_DRIVER : KBP_TS_NONE;
	info->proof = q->rx_count->frames ? KBP_PROVEN : KBP_BOUND;
}

static bool queue_pending(struct kbp_queue *q)
{
	struct evq *e = evq_of(q);

	driver_poll(e);
	if (e->stash_out == e->stash_whole)
		fake_quiet(&e->base);
	return e->stash_out != e->stash_whole;
}

static void queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	const struct evq *e = (const struct evq *)(const void *)q;

	kbp_count_add(l, "rx_no_buffer", e->no_buffer, KBP_COUNT_DROP, false);
	kbp_count_add(l, "rx_discards", e->discards, KBP_COUNT_DROP, false);
}

static int txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	uint32_t room = BUF_BYTES - KBP_HDR_ROOM;

	(void)flow;
	(void)err;
	if (!t->room || t->room > room)
		t->room = room;
	return 0;
}

static int template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	struct evq *e = evq_of(tpl->t->q);

	for (unsigned i = 0; i < TEMPLATES; i++) {
		if (e->template_open[i] || e->template_busy[i])
			continue;
		e->template_open[i] = true;
		tpl->token = e->n_rx + e->n_tx + i;
		tpl->payload = buf(e, tpl->token) + KBP_HDR_ROOM;
		move(e, tpl->token, FAKE_DRIVER, FAKE_TEMPLATE, "open a template");
		return 0;
	}
	return kbp_fail(err, -ENOMEM, "open a template", "a fake queue has %u templates", TEMPLATES);
}

static bool template_busy(struct kbp_template *tpl)
{
	struct evq *e = evq_of(tpl->t->q);
	bool *busy = &e->template_busy[tpl->token - e->n_rx - e->n_tx];

	if (*busy)
		driver_poll(e);
	return *busy;
}

static unsigned template_send(struct kbp_template *tpl)
{
	struct evq *e = evq_of(tpl->t->q);
	uint32_t hdr = tpl->t->hdr_len;

	if (!tx_room(e, 1) ||
	    device_tx_init(e, (uint32_t)tpl->token, tpl->payload - hdr, tpl->len + hdr, false))
		return 0;
	move(e, tpl->token, FAKE_TEMPLATE, FAKE_NIC, "send a template");
	e->template_busy[tpl->token - e->n_rx - e->n_tx] = true;
	e->in_flight++;
	device_tx_push(e);
	e->base.head.tx_count->frames++;
	return 1;
}

static void template_close(struct kbp_template *tpl)
{
	struct evq *e = evq_of(tpl->t->q);

	if (!e->template_busy[tpl->token - e->n_rx - e->n_tx])
		move(e, tpl->token, FAKE_TEMPLATE, FAKE_DRIVER, "close a template");
	e->template_open[tpl->token - e->n_rx - e->n_tx] = false;
}

/* ---------------------------------------------------------------- for tests */

void fake_evq_overflow(struct kbp_queue *q)
{
	evq_of(q)->overflowed = true;
}

void fake_evq_check_idle(struct kbp_queue *q)
{
	struct evq *e = evq_of(q);
	uint32_t nic = e->rx.added - e->rx.removed;

	driver_poll(e);
	assert_int_equal(e->in_flight, 0);
	assert_int_equal(e->stash_in, e->stash_out);
	assert_int_equal(nic + e->n_post, e->n_rx);
	assert_int_equal(e->n_free, e->n_tx);
	for (uint32_t id = 0; id < e->n_buf; id++)
		if (e->owner[id] != FAKE_DRIVER && e->owner[id] != FAKE_TEMPLATE)
			assert_true(e->owner[id] == FAKE_NIC && id < e->n_rx);
}

const struct kbp_backend fake_evq_backend = {
	.name = "fake_evq",
	.kind = FAKE_KIND_EVQ,
	.l2 = true,
	.no_device = true,
	.emulated = true,
	.port_open = fake_port_open,
	.port_close = fake_port_close,
	.port_channels = fake_port_channels,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.queue_drain = queue_drain,
	.queue_reopen = queue_reopen,
	.queue_info = queue_info,
	.queue_fd = fake_queue_fd,
	.queue_pending = queue_pending,
	.queue_counters = queue_counters,
	.flow_add = fake_flow_add,
	.flow_del = fake_flow_del,
	.txflow_open = txflow_open,
	.template_open = template_open,
	.template_busy = template_busy,
	.template_send = template_send,
	.template_close = template_close,
};
