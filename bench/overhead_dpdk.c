/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_dpdk.c - the forms over dpdk: receiving, sending, the empty poll.
 *
 * Both the hand-written loops and ours call the same port of overhead_port.c through rte_eth_rx_burst and
 * rte_eth_tx_burst. A burst is a literal, as in programs, so each form is compiled once per burst.
 */
#undef KBP_HOT_EF_VI_SIM
#define KBP_HOT_DPDK

#include <stdlib.h>

#include "overhead_forms.h"
#include "overhead_port.h"
#include "raw_dpdk.h"

#include "../lib/backend/dpdk.h"

#define POLL_MAX 32u

/* What knows of the port is an object of its own in both, apart from the handler's state. */
struct bench {
	struct kbp_dpdk_full *full;
	struct raw_dpdk *raw;
	struct kbp_dpdk_port *port;
	struct kbp_txflow flow;
	struct kbp_hot_rx rx_count;
	struct kbp_hot_tx tx_count;
	struct seen seen;
	const struct form *form;
};

/* Of the cold half, which opens devices, dpdk.c calls these two: where software tells flows apart, and where
 * a device writes stamps. Neither is so here. */
struct kbp_dpdk_flow *kbp_dpdk_match(const struct kbp_dpdk_port *e, const struct rte_mbuf *m)
{
	(void)e;
	(void)m;
	abort();
}

struct kbp_stamp kbp_dpdk_stamp(struct kbp_dpdk_queue *x, const struct rte_mbuf *m)
{
	(void)x;
	(void)m;
	abort();
}

/* ---------------------------------------------------------------- one burst of each form */

KBP_INLINE void rx_none_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	(void)b;
	(void)r;
	port_passes_in(burst);
}

KBP_INLINE void rx_raw_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	port_receives(burst);
	raw_dpdk_rx(r, burst, raw_look, &b->seen);
}

KBP_INLINE void rx_bulk_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	port_receives(burst);
	raw_dpdk_rx_bulk(r, burst, raw_look, &b->seen);
}

KBP_INLINE void rx_each_once(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	port_receives(burst);
	kbp_rx_each(rx, burst, each_look, &b->seen);
}

KBP_INLINE void rx_array_once(struct bench *b, struct kbp_queue *q, unsigned burst)
{
	port_receives(burst);
	array_receive(q, burst, &b->seen);
}

/* With the driver's stamp. There is nothing in an mbuf that says of its clock whether it is in sync. */
KBP_INLINE void ts_raw(struct bench *b, struct raw_dpdk *r, unsigned burst, bool bulk)
{
	struct rte_mbuf *m[RAW_DPDK_BURST];
	uint64_t mask = 1ull << port_stamp_shift;
	int at = port_stamp_at;
	unsigned n;

	port_receives(burst);
	n = rte_eth_rx_burst(r->port, r->queue, m, (uint16_t)burst);
	if (KBP_UNLIKELY(!n))
		return;
	for (unsigned i = 0; i < n; i++) {
		uint64_t ns = 0;

		if (KBP_LIKELY(m[i]->ol_flags & mask))
			ns = *RTE_MBUF_DYNFIELD(m[i], at, uint64_t *);
		look(&b->seen, rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len);
		b->seen.ns += ns;
		if (!bulk)
			rte_pktmbuf_free(m[i]);
	}
	if (bulk)
		rte_pktmbuf_free_bulk(m, n);
	r->rx_frames += n;
}

KBP_INLINE void ts_raw_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	ts_raw(b, r, burst, false);
}

KBP_INLINE void ts_bulk_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	ts_raw(b, r, burst, true);
}

KBP_INLINE void ts_each_once(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	port_receives(burst);
	kbp_rx_each(rx, burst, each_look_stamped, &b->seen);
}

/* A poll that finds nothing, of a loop that would take 32. */
KBP_INLINE void poll_raw_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	(void)burst;
	raw_dpdk_rx(r, POLL_MAX, raw_look, &b->seen);
}

KBP_INLINE void poll_bulk_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	(void)burst;
	raw_dpdk_rx_bulk(r, POLL_MAX, raw_look, &b->seen);
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

KBP_INLINE void tx_none_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	(void)b;
	(void)r;
	port_passes_out(burst);
}

KBP_INLINE void tx_raw_once(struct bench *b, struct raw_dpdk *r, unsigned burst)
{
	raw_dpdk_tx(r, &b->flow, burst, raw_write, &b->seen);
	port_sends(burst);
}

KBP_INLINE void tx_each_once(struct bench *b, struct kbp_tx tx, unsigned burst)
{
	kbp_tx_each(tx, burst, each_write, &b->seen);
	port_sends(burst);
}

KBP_INLINE void tx_array_once(struct bench *b, struct kbp_queue *q, unsigned burst)
{
	array_send(&b->flow, q, burst, &b->seen);
	port_sends(burst);
}

/* ---------------------------------------------------------------- the forms */

#define QUEUE (&b->full->x.q)

FORM_BY_BURST(dpdk_rx_none, rx_none_once, b->raw)
FORM_BY_BURST(dpdk_rx_raw, rx_raw_once, b->raw)
FORM_BY_BURST(dpdk_rx_bulk, rx_bulk_once, b->raw)
FORM_BY_BURST(dpdk_rx_inline, rx_each_once, kbp_rx_as(QUEUE, KBP_DPDK))
FORM_BY_BURST(dpdk_rx_run_time, rx_each_once, kbp_rx_of(QUEUE))
FORM_BY_BURST(dpdk_rx_array, rx_array_once, QUEUE)
FORM_BY_BURST(dpdk_ts_raw, ts_raw_once, b->raw)
FORM_BY_BURST(dpdk_ts_bulk, ts_bulk_once, b->raw)
FORM_BY_BURST(dpdk_ts_inline, ts_each_once, kbp_rx_as(QUEUE, KBP_DPDK))
FORM_BY_BURST(dpdk_poll_raw, poll_raw_once, b->raw)
FORM_BY_BURST(dpdk_poll_bulk, poll_bulk_once, b->raw)
FORM_BY_BURST(dpdk_poll_inline, poll_each_once, kbp_rx_as(QUEUE, KBP_DPDK))
FORM_BY_BURST(dpdk_poll_run_time, poll_each_once, kbp_rx_of(QUEUE))
FORM_BY_BURST(dpdk_poll_array, poll_array_once, QUEUE)
FORM_BY_BURST(dpdk_tx_none, tx_none_once, b->raw)
FORM_BY_BURST(dpdk_tx_raw, tx_raw_once, b->raw)
FORM_BY_BURST(dpdk_tx_inline, tx_each_once, kbp_tx_as(&b->flow, KBP_DPDK))
FORM_BY_BURST(dpdk_tx_run_time, tx_each_once, kbp_tx_of(&b->flow))
FORM_BY_BURST(dpdk_tx_array, tx_array_once, QUEUE)

static const struct form forms[] = {
	{ "dpdk/rx/none", dpdk_rx_none, true },
	{ "dpdk/rx/raw", dpdk_rx_raw, false },
	{ "dpdk/rx/raw-bulk", dpdk_rx_bulk, false },
	{ "dpdk/rx/inline", dpdk_rx_inline, false },
	{ "dpdk/rx/run-time", dpdk_rx_run_time, false },
	{ "dpdk/rx/array", dpdk_rx_array, false },
	{ "dpdk-ts/rx/none", dpdk_rx_none, true },
	{ "dpdk-ts/rx/raw", dpdk_ts_raw, false },
	{ "dpdk-ts/rx/raw-bulk", dpdk_ts_bulk, false },
	{ "dpdk-ts/rx/inline", dpdk_ts_inline, false },
	{ "dpdk/poll/raw", dpdk_poll_raw, true },
	{ "dpdk/poll/raw-bulk", dpdk_poll_bulk, true },
	{ "dpdk/poll/inline", dpdk_poll_inline, true },
	{ "dpdk/poll/run-time", dpdk_poll_run_time, true },
	{ "dpdk/poll/array", dpdk_poll_array, true },
	{ "dpdk/tx/none", dpdk_tx_none, true },
	{ "dpdk/tx/raw", dpdk_tx_raw, false },
	{ "dpdk/tx/inline", dpdk_tx_inline, false },
	{ "dpdk/tx/run-time", dpdk_tx_run_time, false },
	{ "dpdk/tx/array", dpdk_tx_array, false },
};

/* ---------------------------------------------------------------- setting up */

/* What opening a queue makes, as far as the hot half knows of it. */
static void reset(void *bench, const struct form *form)
{
	struct bench *b = bench;
	struct kbp_dpdk_queue *x = &b->full->x;

	port_reset();
	b->raw->rx_frames = b->raw->tx_frames = 0;
	memset(b->full, 0, sizeof(*b->full));
	memset(&b->rx_count, 0, sizeof(b->rx_count));
	memset(&b->tx_count, 0, sizeof(b->tx_count));
	b->full->p = b->port;
	x->port = b->raw->port;
	x->queue = b->raw->queue;
	x->tx_pool = b->raw->pool;
	x->q.rx_count = &b->rx_count;
	x->q.tx_count = &b->tx_count;
	x->q.hold_max = 256;
	x->q.chain_max = 1;
	x->q.flags = KBP_QUEUE_RX | KBP_QUEUE_TX;
	if (strstr(form->name, "-ts/")) { /* as it is while a clock is watched, and found in sync */
		x->q.flags |= KBP_QUEUE_RX_STAMPS;
		x->stamp_flag_shift = port_stamp_shift;
		x->plain_mask = 1ull << port_stamp_shift;
		x->plain_at = (uint32_t)port_stamp_at;
		x->q.sync_shift = (uint64_t)0 - PORT_STAMP_NS;
	}
	kbp_dpdk_start(b->full);
	flow_fill(&b->flow, &x->q);
	b->flow.priv = x->tx_pool; /* no raw frames, no completions */
	b->form = form;
}

/* The same frames went the same way in every form. */
static const char *wrong(void *bench, unsigned frames)
{
	const struct bench *b = bench;
	const char *name = b->form->name, *why;
	uint64_t rx = b->rx_count.frames + b->raw->rx_frames;
	uint64_t tx = b->tx_count.frames + b->raw->tx_frames;
	bool none = strstr(name, "/none") != NULL;

	if (rx != (strstr(name, "/rx/") && !none ? frames : 0) ||
	    tx != (strstr(name, "/tx/") && !none ? frames : 0))
		return "frames were counted wrongly";
	if (strstr(name, "-ts/inline") && b->seen.in_sync != frames)
		return "stamps that are not in sync";
	why = port_wrong(tx);
	if (why)
		return why;
	return b->full->x.q.held || b->full->x.n_reserved ? "frames are still held" : NULL;
}

struct forms dpdk_forms(void)
{
	struct forms all = { forms, sizeof(forms) / sizeof(forms[0]), NULL, NULL, reset, wrong };
	struct bench *b = calloc(1, sizeof(*b));
	int port = port_open();

	if (!b || port < 0) {
		free(b);
		all.n = 0;
		return all;
	}
	b->raw = calloc(1, sizeof(*b->raw));
	b->port = calloc(1, sizeof(*b->port));
	if (!b->raw || !b->port || posix_memalign((void **)&b->full, 64, sizeof(*b->full)))
		abort();
	b->raw->port = (uint16_t)port;
	b->raw->pool = port_pool();
	b->port->tx_desc = PORT_RING;
	all.bench = b;
	all.seen = &b->seen;
	return all;
}
