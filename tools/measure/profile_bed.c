/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_bed.c - two ports at the ends of one wire, opened and closed by one thread, each in the network namespace
 * that it lives in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/measure/profile_bed.h"

#define PORT 31001u /* as the bench's generator */
#define UP_MS 10000

static struct kbp_flow flow_to(uint16_t port)
{
	struct kbp_flow f = { .dst = { .family = AF_INET, .bytes = { 239, 77, 0, 1 } } };

	f.dst_port = port;
	return f;
}

/* The end of that side is in a namespace of its own on a lab, and cold calls are made in there. */
static int enter(const struct kbp_bed *b, enum kbp_lab_side side, struct kbp_error *err)
{
	struct kbp_bench_path path;

	kbp_bench_path(b->w->backend, &path);
	return b->w->bench && !path.memory ? kbp_bench_enter(b->w->bench, side, err) : 0;
}

static int port_open(const struct kbp_profile_work *w, enum kbp_lab_side side,
		     struct kbp_port **port, struct kbp_error *err)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	o.label = "profile";
	if (w->bench)
		return kbp_bench_port(w->bench, w->backend, side, &o, port, err);
	o.args = side == KBP_LAB_RX ? w->rx_words : w->tx_words;
	return kbp_port_open(w->backend, side == KBP_LAB_RX ? w->rx_ifname : w->tx_ifname, &o, port,
			     err);
}

/* From the address of the sending host; without one, from the range for benchmarks (RFC 2544). The kernel's own sockets
 * have their host's. */
static int txflow_open(struct kbp_bed *b, uint16_t port, struct kbp_txflow **t, struct kbp_error *err)
{
	struct kbp_flow flow = flow_to(port);

	if (b->w->bench)
		flow.src = b->w->bench->net.host[KBP_LAB_TX].ip4;
	if (!flow.src.family)
		flow.src = (struct kbp_addr){ .family = AF_INET, .bytes = { 198, 18, 0, 1 } };
	flow.src_port = PORT;
	if (b->txq->kind == KBP_SOCKET) {
		memset(&flow.src, 0, sizeof(flow.src));
		flow.src_port = 0;
	}
	return kbp_txflow_open(b->txq, &flow, t, err);
}

/* Its queue, its flow, and the destination of frames for it. */
static int target_open(struct kbp_bed *b, bool stamps, struct kbp_error *err)
{
	struct kbp_flow flow = flow_to(stamps ? PORT + 2 : PORT);
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_bed_target *t = &b->target[stamps];
	struct kbp_port_info info;
	int rc = enter(b, KBP_LAB_RX, err);

	o.flags = KBP_QUEUE_RX | (stamps ? KBP_QUEUE_RX_STAMPS : 0u);
	o.channel = b->both ? stamps : 0;
	o.rx_ring = b->w->rx_ring;
	if (!rc)
		rc = kbp_queue_open(b->rx_port, &o, &t->q, err);
	if (rc)
		return rc;
	kbp_port_info(b->rx_port, &info);
	if (!info.ifindex)
		flow.flags = KBP_FLOW_NO_JOIN; /* a wire in memory: no switch to tell */
	rc = kbp_flow_add(t->q, &flow, NULL, err);
	if (!rc)
		rc = enter(b, KBP_LAB_TX, err);
	return rc ? rc : txflow_open(b, flow.dst_port, &t->feed, err);
}

static void target_close(struct kbp_bed *b, bool stamps)
{
	struct kbp_bed_target *t = &b->target[stamps];

	enter(b, KBP_LAB_TX, NULL);
	kbp_txflow_close(t->feed);
	enter(b, KBP_LAB_RX, NULL);
	kbp_queue_close(t->q, KBP_CLOSE_FORCE, NULL);
	memset(t, 0, sizeof(*t));
}

int kbp_bed_use(struct kbp_bed *b, bool stamps, struct kbp_error *err)
{
	int rc;

	if (!b->target[stamps].q) {
		if (b->target[!stamps].q && !b->both)
			target_close(b, !stamps);
		rc = target_open(b, stamps, err);
		if (rc)
			return rc;
	}
	b->rxq = b->target[stamps].q;
	b->feed = b->target[stamps].feed;
	b->rx = kbp_rx_of(b->rxq);
	b->out = 0;
	/* who waits for frames has to be there; who sends may be anywhere */
	return enter(b, KBP_LAB_RX, err);
}

/* Both ends of a wire in memory have to be there before either is up. */
static void wait_up(const struct kbp_bed *b)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < UP_MS && (kbp_queue_state(b->rxq) != KBP_QUEUE_UP ||
				      kbp_queue_state(b->txq) != KBP_QUEUE_UP);
	     i++)
		nanosleep(&ms, NULL);
}

static void facts(struct kbp_bed *b)
{
	struct kbp_port_info info;
	struct kbp_queue_info queue;

	kbp_port_info(b->rx_port, &info);
	kbp_queue_info(b->rxq, &queue);
	b->emulated = info.emulated;
	b->virtual_device = info.virtual_device;
	b->zerocopy = queue.mode == KBP_MODE_ZEROCOPY;
	b->apart_ns = b->emulated ? 0 : KBP_BED_APART_NS; /* by default it works inside our calls */
	b->inline_form = b->rx.kind == KBP_SOCKET || b->rx.kind == KBP_AF_XDP;
#ifdef KBP_HOT_EF_VI_KIND
	b->inline_form = b->inline_form || b->rx.kind == KBP_HOT_EF_VI_KIND;
#endif
	if (b->rxq->kind == KBP_DPDK)
		snprintf(b->w->sh->inline_note, sizeof(b->w->sh->inline_note),
			 "this program does not link DPDK, which the inline form is compiled against: array form "
			 "only");
	else if (!b->inline_form)
		snprintf(b->w->sh->inline_note, sizeof(b->w->sh->inline_note),
			 "the inline form is not compiled into this libkbypass-tools, or against other "
			 "headers than the module: array form only");
}

int kbp_bed_open(struct kbp_bed *b, struct kbp_error *err)
{
	const struct kbp_profile_work *w = b->w;
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	int rc = port_open(w, KBP_LAB_RX, &b->rx_port, err);

	if (!rc)
		rc = port_open(w, KBP_LAB_TX, &b->tx_port, err);
	b->both = !w->bench;
	o.flags = KBP_QUEUE_TX;
	if (b->both) /* nothing arrives at it, but what was sent is told of by polling */
		o.flags |= KBP_QUEUE_RX;
	if (!rc)
		rc = enter(b, KBP_LAB_TX, err);
	if (!rc)
		rc = kbp_queue_open(b->tx_port, &o, &b->txq, err);
	if (!rc)
		rc = txflow_open(b, PORT + 1, &b->aside, err);
	if (!rc && b->both)
		rc = target_open(b, true, err);
	if (!rc)
		rc = kbp_bed_use(b, false, err);
	if (rc)
		return rc;
	b->tx = kbp_tx_of(b->aside);
	wait_up(b);
	facts(b);
	return 0;
}

void kbp_bed_close(struct kbp_bed *b)
{
	enter(b, KBP_LAB_TX, NULL);
	kbp_txflow_close(b->aside);
	for (unsigned i = 0; i < 2; i++)
		target_close(b, i);
	enter(b, KBP_LAB_TX, NULL);
	kbp_queue_close(b->txq, KBP_CLOSE_FORCE, NULL);
	kbp_port_close(b->tx_port, NULL);
	enter(b, KBP_LAB_RX, NULL);
	kbp_port_close(b->rx_port, NULL);
}
