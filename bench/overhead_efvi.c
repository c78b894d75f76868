/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_efvi.c - the forms over ef_vi: descriptors and references, three ways of sending, the empty poll.
 *
 * Both the hand-written loop and ours call the same card of overhead_nic.c. A burst is a literal, as in
 * programs, so each form is compiled once per burst.
 */
#include <stdlib.h>

#include "overhead_forms.h"
#include "overhead_nic.h"
#include "raw_efvi.h"

#include "../lib/backend/ef_vi.h"

#define RX_POSTED ((NIC_RING - 1) & ~7u) /* what the backend posts in a ring of that size */
#define HOLD_MAX 256u
#define N_RX (RX_POSTED + HOLD_MAX)
#define N_TX (NIC_RING - 1)
#define N_BUFFERS (N_RX + N_TX)
#define STASH 1024u
#define SUPERBUFFER (1u << 20) /* bytes, and aligned so */
#define POLL_MAX 32u
/* The card's memory for frames, more of it than real ones have: what a frame in it costs is the question,
 * not how soon it is used up. */
#define PIO_SLOTS N_TX

/* What knows of the card is an object of its own in both, apart from the handler's state: so it is in a program
 * with more than one card. */
struct bench {
	struct kbp_efvi_full *full;
	struct raw_efvi *raw;
	struct kbp_txflow flow;
	struct kbp_hot_rx rx_count;
	struct kbp_hot_tx tx_count;
	struct seen seen;
	uint8_t *mem, *superbuffer;
	ef_addr dma[N_BUFFERS];
	ef_request_id free[N_TX + 1];
	uint32_t spare[N_RX + 1], next_part[N_RX + 1], later[HOLD_MAX + KBP_EFVI_EVENTS + 1];
	struct kbp_frame stash[STASH];
	const struct form *form;
};

/* ---------------------------------------------------------------- one burst of each form */

KBP_INLINE void rx_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	nic_receives(burst);
	raw_efvi_rx(r, burst < 2 ? 2 : burst, raw_look, &b->seen);
}

KBP_INLINE void ref_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	nic_receives(burst);
	raw_efvi_rx_refs(r, burst < 2 ? 2 : burst, raw_look, &b->seen);
}

KBP_INLINE void rx_each_once(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	nic_receives(burst);
	kbp_rx_each(rx, burst, each_look, &b->seen);
}

KBP_INLINE void rx_array_once(struct bench *b, struct kbp_queue *q, unsigned burst)
{
	nic_receives(burst);
	array_receive(q, burst, &b->seen);
}

/* By hand, as who wants to know whether a stamp is good must. */
struct raw_stamped {
	ef_vi *vi;
	uint32_t prefix;
	struct seen *seen;
};

KBP_INLINE void raw_look_stamped(const uint8_t *data, uint32_t len, void *arg)
{
	const struct raw_stamped *r = (const struct raw_stamped *)arg;
	ef_precisetime ts;
	bool in;

	if (KBP_UNLIKELY(ef_vi_receive_get_precise_timestamp(r->vi, data - r->prefix, &ts)))
		return;
	in = (ts.tv_flags & 3u) == (EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC);
	look_stamped(r->seen, data, len, (uint64_t)ts.tv_sec * 1000000000u + ts.tv_nsec, in);
}

KBP_INLINE void ts_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	struct raw_stamped arg = { &r->vi, r->prefix, &b->seen };

	nic_receives(burst);
	raw_efvi_rx(r, burst < 2 ? 2 : burst, raw_look_stamped, &arg);
}

KBP_INLINE void ts_each_once(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	nic_receives(burst);
	kbp_rx_each(rx, burst, each_look_stamped, &b->seen);
}

/* A poll that finds nothing, of a loop that would take 32. */
KBP_INLINE void poll_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	(void)burst;
	raw_efvi_rx(r, POLL_MAX, raw_look, &b->seen);
}

KBP_INLINE void poll_ref_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	(void)burst;
	raw_efvi_rx_refs(r, POLL_MAX, raw_look, &b->seen);
}

KBP_INLINE void poll_each_once(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	(void)burst;
	kbp_rx_each(rx, POLL_MAX, each_look, &b->seen);
}

KBP_INLINE void poll_array_once(struct bench *b, struct kbp_queue *q, unsigned burst)
{
	struct kbp_frame f[POLL_MAX];
	unsigned n = kbp_rx_peek(q, f, POLL_MAX);

	(void)burst;
	if (n)
		b->seen.bytes += n;
}

KBP_INLINE void tx_dma_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	raw_efvi_tx(r, &b->flow, burst, RAW_EFVI_DMA, raw_write, &b->seen);
}

KBP_INLINE void tx_ctpio_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	raw_efvi_tx(r, &b->flow, burst, RAW_EFVI_CTPIO, raw_write, &b->seen);
}

KBP_INLINE void tx_pio_raw_once(struct bench *b, struct raw_efvi *r, unsigned burst)
{
	raw_efvi_tx(r, &b->flow, burst, RAW_EFVI_PIO_COPY, raw_write, &b->seen);
}

KBP_INLINE void tx_each_once(struct bench *b, struct kbp_tx tx, unsigned burst)
{
	kbp_tx_each(tx, burst, each_write, &b->seen);
}

KBP_INLINE void tx_array_once(struct bench *b, struct kbp_queue *q, unsigned burst)
{
	array_send(&b->flow, q, burst, &b->seen);
}

/* ---------------------------------------------------------------- the forms */

/* As a program has it: nothing is known of where the queue lies. */
KBP_INLINE struct kbp_queue *queue_of(struct bench *b)
{
	struct kbp_queue *q = &b->full->x.q;

	__asm__("" : "+r"(q));
	return q;
}

#define QUEUE queue_of(b)

FORM_BY_BURST(rx_raw, rx_raw_once, b->raw)
FORM_BY_BURST(ref_raw, ref_raw_once, b->raw)
FORM_BY_BURST(rx_inline, rx_each_once, kbp_rx_as(QUEUE, KBP_EF_VI_SIM))
FORM_BY_BURST(rx_run_time, rx_each_once, kbp_rx_of(QUEUE))
FORM_BY_BURST(rx_array, rx_array_once, QUEUE)
FORM_BY_BURST(ts_raw, ts_raw_once, b->raw)
FORM_BY_BURST(ts_inline, ts_each_once, kbp_rx_as(QUEUE, KBP_EF_VI_SIM))
FORM_BY_BURST(poll_raw, poll_raw_once, b->raw)
FORM_BY_BURST(poll_ref_raw, poll_ref_raw_once, b->raw)
FORM_BY_BURST(poll_inline, poll_each_once, kbp_rx_as(QUEUE, KBP_EF_VI_SIM))
FORM_BY_BURST(poll_run_time, poll_each_once, kbp_rx_of(QUEUE))
FORM_BY_BURST(poll_array, poll_array_once, QUEUE)
FORM_BY_BURST(tx_dma_raw, tx_dma_raw_once, b->raw)
FORM_BY_BURST(tx_ctpio_raw, tx_ctpio_raw_once, b->raw)
FORM_BY_BURST(tx_pio_raw, tx_pio_raw_once, b->raw)
FORM_BY_BURST(tx_dma_inline, tx_each_once,
	      kbp_tx_as(&b->flow, KBP_TX_KIND(KBP_EF_VI_SIM, KBP_TX_MODE_DMA)))
FORM_BY_BURST(tx_ctpio_inline, tx_each_once,
	      kbp_tx_as(&b->flow, KBP_TX_KIND(KBP_EF_VI_SIM, KBP_TX_MODE_CTPIO)))
FORM_BY_BURST(tx_pio_inline, tx_each_once,
	      kbp_tx_as(&b->flow, KBP_TX_KIND(KBP_EF_VI_SIM, KBP_TX_MODE_PIO)))
FORM_BY_BURST(tx_run_time, tx_each_once, kbp_tx_of(&b->flow))
FORM_BY_BURST(tx_array, tx_array_once, QUEUE)

static const struct form forms[] = {
	{ "ef_vi/rx/raw", rx_raw, false },
	{ "ef_vi/rx/inline", rx_inline, false },
	{ "ef_vi/rx/run-time", rx_run_time, false },
	{ "ef_vi/rx/array", rx_array, false },
	{ "ef_vi-ts/rx/raw", ts_raw, false },
	{ "ef_vi-ts/rx/inline", ts_inline, false },
	{ "ef_vi/poll/raw", poll_raw, true },
	{ "ef_vi/poll/inline", poll_inline, true },
	{ "ef_vi/poll/run-time", poll_run_time, true },
	{ "ef_vi/poll/array", poll_array, true },
	{ "ef_vi-ref/rx/raw", ref_raw, false },
	{ "ef_vi-ref/rx/inline", rx_inline, false },
	{ "ef_vi-ref/rx/run-time", rx_run_time, false },
	{ "ef_vi-ref/rx/array", rx_array, false },
	{ "ef_vi-ref/poll/raw", poll_ref_raw, true },
	{ "ef_vi-ref/poll/inline", poll_inline, true },
	{ "ef_vi-ref/poll/run-time", poll_run_time, true },
	{ "ef_vi-ref/poll/array", poll_array, true },
	{ "ef_vi-dma/tx/raw", tx_dma_raw, false },
	{ "ef_vi-dma/tx/inline", tx_dma_inline, false },
	{ "ef_vi-dma/tx/run-time", tx_run_time, false },
	{ "ef_vi-dma/tx/array", tx_array, false },
	{ "ef_vi-ctpio/tx/raw", tx_ctpio_raw, false },
	{ "ef_vi-ctpio/tx/inline", tx_ctpio_inline, false },
	{ "ef_vi-ctpio/tx/run-time", tx_run_time, false },
	{ "ef_vi-ctpio/tx/array", tx_array, false },
	{ "ef_vi-pio/tx/raw", tx_pio_raw, false },
	{ "ef_vi-pio/tx/inline", tx_pio_inline, false },
	{ "ef_vi-pio/tx/run-time", tx_run_time, false },
	{ "ef_vi-pio/tx/array", tx_array, false },
};

/* ---------------------------------------------------------------- setting up */

static bool is(const struct form *form, const char *part)
{
	return strstr(form->name, part) != NULL;
}

static void raw_reset(struct bench *b, bool refs)
{
	struct raw_efvi *r = b->raw;

	memset(r, 0, sizeof(*r));
	nic_reset(&r->vi, refs ? b->superbuffer : NULL);
	r->mem = b->mem;
	r->prefix = (uint32_t)ef_vi_receive_prefix_len(&r->vi);
	r->rx_data = b->mem + r->prefix;
	r->dma = b->dma;
	r->free = b->free;
	for (uint32_t id = N_BUFFERS; id-- > N_RX;)
		r->free[r->n_free++] = (ef_request_id)id;
	r->pio_slots = r->pio_free = PIO_SLOTS;
	if (refs)
		return;
	for (uint32_t id = 0; id < RX_POSTED; id++)
		(void)ef_vi_receive_init(&r->vi, r->dma[id], (ef_request_id)id);
	ef_vi_receive_push(&r->vi);
}

/* What ef_vi_setup.c makes when a queue is opened. */
static void ours_reset(struct bench *b, bool refs, bool stamps, uint8_t how)
{
	struct kbp_efvi_full *f = b->full;
	struct kbp_efvi_queue *x = &f->x;

	memset(f, 0, sizeof(*f));
	memset(&b->rx_count, 0, sizeof(b->rx_count));
	memset(&b->tx_count, 0, sizeof(b->tx_count));
	nic_reset(&x->vi, refs ? b->superbuffer : NULL);
	f->target = refs ? 0 : RX_POSTED;
	f->n_rx = refs ? 0 : N_RX;
	f->n_tx = N_TX;
	f->spare = b->spare;
	f->next_part = b->next_part;
	f->later = b->later;
	f->dma = b->dma;
	f->stash.frame = b->stash;
	f->stash.mask = STASH - 1;
	x->mem = b->mem;
	x->tx_free = b->free;
	x->refs = refs;
	x->tx_how = how;
	x->ct_threshold = RAW_EFVI_CT_THRESHOLD;
	x->q.rx_count = &b->rx_count;
	x->q.tx_count = &b->tx_count;
	x->q.hold_max = HOLD_MAX;
	x->q.chain_max = 1;
	x->q.flags = KBP_QUEUE_RX | KBP_QUEUE_TX;
	if (stamps) { /* as it is while a clock is watched, and found in sync */
		x->q.flags |= KBP_QUEUE_RX_STAMPS;
		x->sync_shift[3] = (uint64_t)0 - NIC_STAMP_S * 1000000000ull;
		x->sync_span = KBP_SYNC_SPAN_NS;
	}
	if (how == KBP_TX_MODE_PIO)
		x->pio_slots = PIO_SLOTS;
	kbp_efvi_start(f);
	f->proof.proof = KBP_PROVEN;
	flow_fill(&b->flow, &x->q);
	b->flow.tx_mode = how;
}

static void reset(void *bench, const struct form *form)
{
	struct bench *b = bench;
	bool refs = is(form, "-ref/");
	uint8_t how = KBP_TX_MODE_DMA;

	if (is(form, "-ctpio/"))
		how = KBP_TX_MODE_CTPIO;
	if (is(form, "-pio/"))
		how = KBP_TX_MODE_PIO;
	if (is(form, "/raw"))
		raw_reset(b, refs);
	else
		ours_reset(b, refs, is(form, "-ts/"), how);
	b->form = form;
}

/* The same frames went the same way in every form. */
static const char *wrong(void *bench, unsigned frames)
{
	const struct bench *b = bench;
	const struct form *form = b->form;
	const char *why = nic_wrong(is(form, "-ref/") ? 0 : RX_POSTED);
	uint64_t straight, sent = nic_sent(&straight), rx = b->rx_count.frames,
			   tx = b->tx_count.frames;

	if (why)
		return why;
	if (sent != (is(form, "/tx/") ? frames : 0))
		return "another number of frames was sent";
	if (is(form, "-ts/") && b->seen.in_sync != frames)
		return "stamps that are not in sync";
	if (is(form, "/raw")) {
		rx = b->raw->rx_frames;
		tx = b->raw->tx_frames;
	}
	if (rx != (is(form, "/rx/") ? frames : 0) || tx != sent)
		return "frames were counted wrongly";
	if ((is(form, "-ctpio/") || is(form, "-pio/")) && straight != sent)
		return "frames went by DMA that were not to";
	return NULL;
}

static void *room_for(size_t bytes)
{
	void *at = NULL;

	if (posix_memalign(&at, bytes < SUPERBUFFER ? 64 : SUPERBUFFER, bytes))
		abort();
	memset(at, 0, bytes);
	return at;
}

struct forms efvi_forms(void)
{
	struct forms all = { forms, sizeof(forms) / sizeof(forms[0]), NULL, NULL, reset, wrong };
	struct bench *b = room_for(sizeof(*b));

	b->full = room_for(sizeof(*b->full));
	b->raw = room_for(sizeof(*b->raw));
	b->mem = room_for((size_t)N_BUFFERS * KBP_EFVI_BUFFER);
	b->superbuffer = room_for((size_t)NIC_PACKETS * CHUNK);
	for (uint32_t i = 0; i < N_BUFFERS; i++)
		b->dma[i] = (ef_addr)i * KBP_EFVI_BUFFER;
	all.bench = b;
	all.seen = &b->seen;
	return all;
}
