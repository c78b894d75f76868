/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_ref.c - a NIC with shared packet references, in the manner of ef_vi's RX_REF (X3, X4), and a
 * backend on top of it.
 *
 * The device writes packets one after the other into superbuffers. A reference names a packet; a
 * superbuffer is written again only when every packet of it was released, each exactly once.
 * Nothing is posted. The caller's view of a superbuffer is mapped read only: whoever writes to a
 * received frame crashes. Sending copies at once, so a forwarded frame's reference is dropped
 * inside submit.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "../lib/test.h"

#define STRIDE 2048u
#define META 64u    /* in front of each packet: the stamp */
#define PACKETS 32u /* of a superbuffer */
#define SUPERBUFS 64u
#define REFS (PACKETS * SUPERBUFS)
#define TX_BATCH 64u
#define TEMPLATES 4u
#define EVENTS 8192u
#define FORWARDED 0x80000000u /* mark of a pkt_id among the ids of sent frames */

enum ev_type { EV_RX_REF, EV_RX_REF_DISCARD, EV_TX, EV_TX_STAMPED };

struct ev {
	enum ev_type type;
	uint32_t pkt_id, len, n;
	uint64_t ns;
};

struct refq {
	struct fake_queue base;
	/* device */
	uint8_t *write_view;
	uint32_t pinned[SUPERBUFS];    /* packets of it that are not released */
	uint32_t current, next_packet; /* PACKETS: needs a new superbuffer */
	struct ev ev[EVENTS];
	uint32_t ev_in, ev_out;
	uint32_t tx_size, tx_added, tx_removed, tx_unreported;
	uint32_t *tx_id;
	uint64_t no_superbuf, discards, too_long;
	/* driver */
	const uint8_t *read_view;
	uint8_t ref_owner[REFS];
	struct kbp_frame stash[REFS];
	uint32_t stash_in, stash_out;
	uint8_t *tx_mem, *tx_owner;
	uint32_t n_tx, n_free, in_flight, done_size, done_in, done_out;
	uint32_t *free_tx;
	struct kbp_completion *done;
	bool template_busy[TEMPLATES], template_open[TEMPLATES];
};

static struct refq *refq_of(struct kbp_queue *q)
{
	return (struct refq *)(void *)q;
}

static uint8_t *tx_buf(const struct refq *r, uint64_t id)
{
	return r->tx_mem + id * STRIDE;
}

static void move(struct refq *r, uint64_t id, enum fake_owner from, enum fake_owner to,
		 const char *why)
{
	fake_move(r->tx_owner, r->n_tx + TEMPLATES, id, from, to, why);
}

/* ---------------------------------------------------------------- device */

static void event_raise(struct refq *r, struct ev ev)
{
	if (r->ev_in - r->ev_out == EVENTS)
		fail_msg("the event queue overflowed: %u events nobody polled", EVENTS);
	r->ev[r->ev_in++ & (EVENTS - 1)] = ev;
}

static bool device_superbuf(struct refq *r)
{
	for (uint32_t i = 1; i <= SUPERBUFS; i++) {
		uint32_t sb = (r->current + i) % SUPERBUFS;

		if (!r->pinned[sb]) {
			r->current = sb;
			r->next_packet = 0;
			r->pinned[sb] = PACKETS;
			return true;
		}
	}
	return false;
}

static void device_receive(struct fake_queue *fq, const uint8_t *frame, uint32_t len, bool bad)
{
	struct refq *r = (struct refq *)(void *)fq;
	uint64_t ns = fake_clock_ns();
	uint32_t id;
	uint8_t *at;

	if (len > STRIDE - META) {
		r->too_long++;
		return;
	}
	if (r->next_packet == PACKETS && !device_superbuf(r)) {
		r->no_superbuf++;
		return;
	}
	id = r->current * PACKETS + r->next_packet++;
	at = r->write_view + (size_t)id * STRIDE;
	memcpy(at, &ns, sizeof(ns));
	memcpy(at + META, frame, len);
	event_raise(r, (struct ev){ .type = bad ? EV_RX_REF_DISCARD : EV_RX_REF,
				    .pkt_id = id,
				    .len = len });
}

static const uint8_t *device_packet(const struct refq *r, uint32_t pkt_id)
{
	return r->read_view + (size_t)pkt_id * STRIDE + META;
}

static void device_release(struct refq *r, uint64_t pkt_id)
{
	r->pinned[pkt_id / PACKETS]--;
}

static int device_transmit(struct refq *r, uint32_t id, const uint8_t *start, uint32_t len)
{
	if (r->tx_added - r->tx_removed == r->tx_size - 1)
		return -EAGAIN;
	r->tx_id[r->tx_added++ & (r->tx_size - 1)] = id;
	fake_transmit(start, len);
	r->tx_unreported++;
	return 0;
}

static unsigned device_poll(struct refq *r, struct ev *evs, unsigned n)
{
	unsigned got = 0;

	if (n < 2)
		fail_msg("the device wants room for 2 events, got %u", n);
	fake_tick();
	while (r->tx_unreported && !fake_tx_stalled) {
		bool stamped = r->base.head.flags & KBP_QUEUE_TX_STAMPS;
		uint32_t batch = stamped		     ? 1 :
				 r->tx_unreported < TX_BATCH ? r->tx_unreported :
							       TX_BATCH;

		event_raise(r, (struct ev){ .type = stamped ? EV_TX_STAMPED : EV_TX,
					    .n = batch,
					    .ns = stamped ? fake_clock_ns() : 0 });
		r->tx_unreported -= batch;
	}
	while (got < n && r->ev_out != r->ev_in)
		evs[got++] = r->ev[r->ev_out++ & (EVENTS - 1)];
	return got;
}

/* ---------------------------------------------------------------- driver */

static void driver_release(struct refq *r, uint64_t pkt_id, enum fake_owner from, const char *why)
{
	fake_move(r->ref_owner, REFS, pkt_id, from, FAKE_NIC, why);
	device_release(r, pkt_id);
}

static void driver_sent(struct refq *r, uint32_t id, uint64_t ns)
{
	r->base.head.tx_count->completions++;
	r->in_flight--;
	if (id & FORWARDED) { /* its reference was dropped at submit: nothing but the report is
			       * left */
		if (r->base.head.flags & KBP_QUEUE_COMPLETIONS)
			r->done[r->done_in++ & (r->done_size - 1)] =
				(struct kbp_completion){ .token = id };
		return;
	}
	if (id >= r->n_tx) {
		/* closed in flight: free from here on */
		move(r, id, FAKE_NIC, r->template_open[id - r->n_tx] ? FAKE_TEMPLATE : FAKE_DRIVER,
		     "a template was sent");
		r->template_busy[id - r->n_tx] = false;
	} else if (r->base.head.flags & KBP_QUEUE_COMPLETIONS) {
		move(r, id, FAKE_NIC, FAKE_STASHED, "completion");
		r->done[r->done_in++ & (r->done_size - 1)] = (struct kbp_completion){
			.token = id,
			.ts_ns = ns,
			.flags = ns ? KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT : 0
		};
	} else {
		move(r, id, FAKE_NIC, FAKE_DRIVER, "completion");
		r->free_tx[r->n_free++] = id;
	}
}

static void driver_poll(struct refq *r)
{
	struct ev evs[16];
	unsigned n = device_poll(r, evs, KBP_ARRAY_SIZE(evs));

	for (unsigned i = 0; i < n; i++) {
		struct kbp_frame f = { .token = evs[i].pkt_id,
				       .len = evs[i].len,
				       .data = (void *)(uintptr_t)device_packet(r, evs[i].pkt_id) };

		switch (evs[i].type) {
		case EV_RX_REF:
			if (r->base.head.flags & KBP_QUEUE_RX_STAMPS) {
				memcpy(&f.ts_ns, (const uint8_t *)f.data - META, sizeof(f.ts_ns));
				f.flags = KBP_FRAME_TS | KBP_SYNC_IN << KBP_FRAME_SYNC_SHIFT;
			}
			fake_move(r->ref_owner, REFS, f.token, FAKE_NIC, FAKE_STASHED, "receive");
			r->stash[r->stash_in++ & (REFS - 1)] = f;
			break;
		case EV_RX_REF_DISCARD:
			r->discards++;
			device_release(r, f.token);
			break;
		case EV_TX:
		case EV_TX_STAMPED:
			for (uint32_t k = 0; k < evs[i].n; k++)
				driver_sent(r, r->tx_id[r->tx_removed++ & (r->tx_size - 1)],
					    evs[i].ns);
			break;
		}
	}
}

/* ---------------------------------------------------------------- hot calls */

static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct refq *r = refq_of(q);
	uint32_t room = q->hold_max - q->held, waiting, n;

	q->rx_count->polls++;
	if (r->stash_in == r->stash_out && room)
		driver_poll(r);
	waiting = r->stash_in - r->stash_out;
	q->rx_count->ring_fill = waiting;
	if (waiting > q->rx_count->ring_fill_max)
		q->rx_count->ring_fill_max = waiting;
	if (!waiting)
		fake_quiet(&r->base);
	n = waiting < max ? waiting : max;
	if (n > room || !room) {
		q->rx_count->hold_limited++;
		n = room;
	}
	for (uint32_t i = 0; i < n; i++) {
		f[i] = r->stash[r->stash_out++ & (REFS - 1)];
		fake_move(r->ref_owner, REFS, f[i].token, FAKE_STASHED, FAKE_CALLER, "peek");
	}
	q->held += n;
	q->rx_count->frames += n;
	return n;
}

static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		driver_release(refq_of(q), f[i].token, FAKE_CALLER, "release");
	q->held -= n;
}

static void rx_putback(struct kbp_queue *q, unsigned n)
{
	struct refq *r = refq_of(q);

	q->held -= n;
	q->rx_count->frames -= n;
	while (n--)
		fake_move(r->ref_owner, REFS, r->stash[--r->stash_out & (REFS - 1)].token,
			  FAKE_CALLER, FAKE_STASHED, "put back");
}

static unsigned tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct refq *r = refq_of(t->q);
	unsigned i;

	if (r->n_free < n)
		driver_poll(r);
	for (i = 0; i < n && r->n_free; i++) {
		uint32_t id = r->free_tx[--r->n_free];

		move(r, id, FAKE_DRIVER, FAKE_CALLER, "reserve");
		kbp_udp_begin(t, tx_buf(r, id) + KBP_HDR_ROOM);
		f[i] = (struct kbp_frame){ .token = id,
					   .len = t->room,
					   .flags = KBP_FRAME_TX,
					   .data = tx_buf(r, id) + KBP_HDR_ROOM,
					   .txflow = t };
	}
	t->q->tx_count->ring_full += i < n;
	kbp_cold(t->q)->reserved += i;
	return i;
}

/* A full ring may only look full: completions that nobody fetched. */
static int tx_one(struct refq *r, uint32_t id, const uint8_t *start, uint32_t len)
{
	int rc = device_transmit(r, id, start, len);

	if (rc) {
		driver_poll(r);
		rc = device_transmit(r, id, start, len);
	}
	return rc;
}

static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct refq *r = refq_of(q);
	unsigned i;

	for (i = 0; i < n; i++) {
		bool ours = f[i].flags & KBP_FRAME_TX;
		uint32_t hdr = ours ? f[i].txflow->hdr_len : 0;

		if (hdr)
			kbp_udp_finish(f[i].txflow, f[i].data, f[i].len);
		if (r->done_in - r->done_out > r->done_size - r->tx_size ||
		    tx_one(r, ours ? (uint32_t)f[i].token : (uint32_t)f[i].token | FORWARDED,
			   (uint8_t *)f[i].data - hdr, f[i].len + hdr)) {
			q->tx_count->ring_full++;
			break;
		}
		r->in_flight++;
		if (ours) {
			move(r, f[i].token, FAKE_CALLER, FAKE_NIC, "submit");
			kbp_cold(q)->reserved--;
		} else {
			driver_release(r, f[i].token, FAKE_CALLER, "forward");
			q->held--;
		}
	}
	q->tx_count->doorbells += i != 0;
	q->tx_count->frames += i;
	return i;
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct refq *r = refq_of(q);

	for (unsigned i = 0; i < n; i++) {
		if (!(f[i].flags & KBP_FRAME_TX)) {
			rx_release(q, &f[i], 1);
			continue;
		}
		move(r, f[i].token, FAKE_CALLER, FAKE_DRIVER, "cancel");
		r->free_tx[r->n_free++] = (uint32_t)f[i].token;
		kbp_cold(q)->reserved--;
	}
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct refq *r = refq_of(q);
	unsigned i;

	if (r->done_out == r->done_in)
		driver_poll(r);
	for (i = 0; i < max && r->done_out != r->done_in; i++) {
		c[i] = r->done[r->done_out++ & (r->done_size - 1)];
		if (c[i].token & FORWARDED) {
			c[i].token &= ~(uint64_t)FORWARDED;
			continue;
		}
		move(r, c[i].token, FAKE_STASHED, FAKE_DRIVER, "reap");
		r->free_tx[r->n_free++] = (uint32_t)c[i].token;
	}
	return i;
}

/* ---------------------------------------------------------------- cold calls */

static void queue_free(struct refq *r)
{
	if (r->write_view)
		munmap(r->write_view, REFS * STRIDE);
	if (r->read_view)
		munmap((void *)(uintptr_t)r->read_view, REFS * STRIDE);
	free(r->tx_mem);
	free(r->tx_owner);
	free(r->tx_id);
	free(r->free_tx);
	free(r->done);
	free(r);
}

static int superbufs_map(struct refq *r)
{
	int fd = memfd_create("fake_ref", MFD_CLOEXEC);
	void *w = MAP_FAILED, *ro = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, REFS * STRIDE)) {
		w = mmap(NULL, REFS * STRIDE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ro = mmap(NULL, REFS * STRIDE, PROT_READ, MAP_SHARED, fd, 0);
	}
	r->write_view = w == MAP_FAILED ? NULL : w;
	r->read_view = ro == MAP_FAILED ? NULL : ro;
	if (fd >= 0)
		close(fd);
	return r->write_view && r->read_view ? 0 : -ENOMEM;
}

static int queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
		      struct kbp_error *err)
{
	const struct kbp_queue_opts *o = &c->opts;
	struct refq *r = aligned_alloc(64, (sizeof(*r) + 63) & ~63ul);

	(void)p;
	if (!r)
		return kbp_fail(err, -ENOMEM, "open a fake queue", "out of memory");
	memset(r, 0, sizeof(*r));
	r->n_tx = o->flags & KBP_QUEUE_TX ? o->tx_ring : 0;
	r->tx_size = o->tx_ring;
	r->tx_mem = calloc(r->n_tx + TEMPLATES, STRIDE);
	r->tx_owner = calloc(r->n_tx + TEMPLATES, 1);
	r->tx_id = calloc(o->tx_ring, sizeof(*r->tx_id));
	r->free_tx = calloc(r->n_tx + 1, sizeof(*r->free_tx));
	r->done_size = 4 * o->tx_ring; /* forwarded frames are not bounded by buffers: by the
				        * reader's bursts */
	r->done = calloc(r->done_size, sizeof(*r->done));
	if (superbufs_map(r) || !r->tx_mem || !r->tx_owner || !r->tx_id || !r->free_tx || !r->done) {
		queue_free(r);
		return kbp_fail(err, -ENOMEM, "open a fake queue", "out of memory");
	}
	memset(r->ref_owner, FAKE_NIC, sizeof(r->ref_owner));
	r->ev_in = r->ev_out = r->tx_added = r->tx_removed = fake_first_index;
	r->stash_in = r->stash_out = r->done_in = r->done_out = fake_first_index;
	r->next_packet = PACKETS;
	while (r->n_free < r->n_tx) {
		r->free_tx[r->n_free] = r->n_free;
		r->n_free++;
	}
	r->base.head = (struct kbp_queue){ .rx_peek = rx_peek,
					   .rx_release = rx_release,
					   .rx_putback = rx_putback,
					   .tx_reserve = tx_reserve,
					   .tx_submit = tx_submit,
					   .tx_cancel = tx_cancel,
					   .tx_reap = tx_reap,
					   .kind = FAKE_KIND_REF,
					   .flags = o->flags };
	r->base.deliver = device_receive;
	fake_attach(&r->base);
	*q = &r->base.head;
	return 0;
}

static void queue_close(struct kbp_queue *q)
{
	fake_detach(&refq_of(q)->base);
	queue_free(refq_of(q));
}

static unsigned queue_drain(struct kbp_queue *q)
{
	driver_poll(refq_of(q));
	return refq_of(q)->in_flight;
}

static void queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	info->payload_max = STRIDE - KBP_HDR_ROOM;
	info->ts_source = q->flags & KBP_QUEUE_RX_STAMPS ? KBP_TS_DRIVER : KBP_TS_NONE;
	info->ts_source_tx = q->flags & KBP_QUEUE_TX_STAMPS ? KBP_TS_DRIVER : KBP_TS_NONE;
	info->proof = q->rx_count->frames ? KBP_PROVEN : KBP_BOUND;
}

static bool queue_pending(struct kbp_queue *q)
{
	struct refq *r = refq_of(q);

	driver_poll(r);
	if (r->stash_out == r->stash_in)
		fake_quiet(&r->base);
	return r->stash_out != r->stash_in;
}

static void queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	const struct refq *r = (const struct refq *)(const void *)q;

	kbp_count_add(l, "rx_no_superbuffer", r->no_superbuf, KBP_COUNT_DROP, false);
	kbp_count_add(l, "rx_discards", r->discards, KBP_COUNT_DROP, false);
	kbp_count_add(l, "rx_too_long", r->too_long, KBP_COUNT_DROP, false);
}

static int txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	uint32_t room = STRIDE - KBP_HDR_ROOM;

	(void)flow;
	(void)err;
	if (!t->room || t->room > room)
		t->room = room;
	return 0;
}

static int template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	struct refq *r = refq_of(tpl->t->q);

	for (unsigned i = 0; i < TEMPLATES; i++) {
		if (r->template_open[i] || r->template_busy[i])
			continue;
		r->template_open[i] = true;
		tpl->token = r->n_tx + i;
		tpl->payload = tx_buf(r, tpl->token) + KBP_HDR_ROOM;
		move(r, tpl->token, FAKE_DRIVER, FAKE_TEMPLATE, "open a template");
		return 0;
	}
	return kbp_fail(err, -ENOMEM, "open a template", "a fake queue has %u templates", TEMPLATES);
}

static bool template_busy(struct kbp_template *tpl)
{
	struct refq *r = refq_of(tpl->t->q);

	if (r->template_busy[tpl->token - r->n_tx])
		driver_poll(r);
	return r->template_busy[tpl->token - r->n_tx];
}

static unsigned template_send(struct kbp_template *tpl)
{
	struct refq *r = refq_of(tpl->t->q);
	uint32_t hdr = tpl->t->hdr_len;

	if (tx_one(r, (uint32_t)tpl->token, tpl->payload - hdr, tpl->len + hdr))
		return 0;
	move(r, tpl->token, FAKE_TEMPLATE, FAKE_NIC, "send a template");
	r->template_busy[tpl->token - r->n_tx] = true;
	r->in_flight++;
	r->base.head.tx_count->frames++;
	return 1;
}

static void template_close(struct kbp_template *tpl)
{
	struct refq *r = refq_of(tpl->t->q);

	if (!r->template_busy[tpl->token - r->n_tx])
		move(r, tpl->token, FAKE_TEMPLATE, FAKE_DRIVER, "close a template");
	r->template_open[tpl->token - r->n_tx] = false;
}

void fake_ref_check_idle(struct kbp_queue *q)
{
	struct refq *r = refq_of(q);

	driver_poll(r);
	assert_int_equal(r->in_flight, 0);
	assert_int_equal(r->stash_in, r->stash_out);
	assert_int_equal(r->n_free, r->n_tx);
	for (uint32_t id = 0; id < REFS; id++)
		assert_int_equal(r->ref_owner[id], FAKE_NIC);
	for (uint32_t sb = 0; sb < SUPERBUFS;
	     sb++) /* what is not written yet is pinned by the device itself */
		assert_int_equal(r->pinned[sb], sb == r->current ? PACKETS - r->next_packet : 0);
}

const struct kbp_backend fake_ref_backend = {
	.name = "fake_ref",
	.kind = FAKE_KIND_REF,
	.l2 = true,
	.no_device = true,
	.emulated = true,
	.port_open = fake_port_open,
	.port_close = fake_port_close,
	.port_channels = fake_port_channels,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.queue_drain = queue_drain,
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
