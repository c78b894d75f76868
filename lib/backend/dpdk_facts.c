/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk_facts.c - what a dpdk queue says of itself: modes, stamps, the account of what was lost. */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_read_clock, without which no stamp can be understood */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/if_xdp.h>

#include <rte_ethdev.h>

#include "dpdk.h"
#include "dpdk_eal.h"

#define LEARN_NS 20000000ll	  /* the driver's clock is watched so long */
#define SAME_CLOCK_NS 500000000.0 /* nearer than this to UTC or TAI is that; they are 37 s apart */
#define TAI_MINUS_UTC 37.0	  /* seconds, since 2017 (IERS Bulletin C) */

/* ---------------------------------------------------------------- stamps */

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void clock_set(struct kbp_dpdk_clock *c, enum kbp_epoch epoch, double ns_per_tick)
{
	c->source = KBP_TS_NIC;
	c->epoch = epoch;
	c->ns_per_tick = ns_per_tick;
	c->mult = (uint64_t)(ns_per_tick * 4294967296.0 + 0.5);
	c->resolution_ps = ns_per_tick < 4e6 ? (uint32_t)(ns_per_tick * 1000.0 + 0.5) : 0;
}

/* Unit and epoch are the driver's own affair (rte_mbuf_dyn.h): its clock is read twice and compared with ours. */
static bool clock_measure(struct kbp_dpdk_port *e, struct kbp_dpdk_clock *c)
{
	uint64_t first, last;
	int64_t from, to, utc;
	struct timespec pause = { .tv_nsec = LEARN_NS };
	double rate, age;

	if (rte_eth_read_clock(e->id, &first))
		return false;
	from = now_ns(CLOCK_MONOTONIC_RAW);
	nanosleep(&pause, NULL);
	if (rte_eth_read_clock(e->id, &last))
		return false;
	to = now_ns(CLOCK_MONOTONIC_RAW);
	utc = now_ns(CLOCK_REALTIME);
	if (last <= first || to <= from)
		return false;
	rate = (double)(to - from) / (double)(last - first);
	if (rate > 0.99 && rate < 1.01)
		rate = 1.0; /* nanoseconds, as near as this was measured */
	age = (double)utc - (double)last * rate;
	clock_set(c,
		  fabs(age) < SAME_CLOCK_NS			  ? KBP_EPOCH_UTC :
		  fabs(age + TAI_MINUS_UTC * 1e9) < SAME_CLOCK_NS ? KBP_EPOCH_TAI :
								    KBP_EPOCH_PHC,
		  rate);
	return true;
}

void kbp_dpdk_clock_learn(struct kbp_port *p)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct kbp_dpdk_clock *c = &e->clock;
	uint64_t flag = 0;

	memset(c, 0, sizeof(*c));
	if (!(e->dev.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP)) {
		c->why = "the driver does not stamp frames";
		return;
	}
	if (!clock_measure(e, c)) {
		c->why = "the driver stamps frames, but tells neither unit nor epoch";
		return;
	}
	/* drivers that stamp have registered the field themselves; this finds it */
	if (rte_mbuf_dyn_rx_timestamp_register(&c->offset, &flag) || !flag) {
		c->why = "DPDK has no room for stamps in its buffers";
		return;
	}
	c->shift = (uint32_t)__builtin_ctzll(flag);
}

struct kbp_stamp kbp_dpdk_stamp(struct kbp_dpdk_queue *x, const struct rte_mbuf *m)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(&x->q);
	const struct kbp_dpdk_clock *c = &f->p->clock;
	struct kbp_stamp s = { 0, 0, 0 };
	unsigned __int128 ns;
	uint64_t ticks;

	if (!x->stamp_flag_shift || !(m->ol_flags >> x->stamp_flag_shift & 1))
		return s;
	ticks = *RTE_MBUF_DYNFIELD(m, (size_t)c->offset, const rte_mbuf_timestamp_t *);
	ns = (unsigned __int128)ticks * c->mult;
	if (!ticks) {
		f->count.no_stamp++;
		s.flags = KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT;
		return s;
	}
	s.ns = (uint64_t)(ns >> 32);
	s.frac = c->ns_per_tick == 1.0 ? 0 : (uint16_t)(ns >> 16);
	s.flags = kbp_stamp_flags(&x->q, s.ns);
	if (!x->plain_mask && kbp_stamp_prove(&f->proof, c->epoch, s.ns) == KBP_PROVEN &&
	    c->mult == 1ull << 32) { /* from now on the accessor reads them by itself */
		x->plain_at = (uint32_t)c->offset;
		x->plain_mask = 1ull << x->stamp_flag_shift;
	}
	return s;
}

/* ---------------------------------------------------------------- modes */

/* How flows find their queue, in words: nobody else can tell. */
static void steering_note(const struct kbp_dpdk_full *f, char *to, size_t size)
{
	const struct kbp_dpdk_table *t = __atomic_load_n(&f->p->table, __ATOMIC_ACQUIRE);
	unsigned rules = 0, proven = 0, missed = 0;

	for (uint32_t i = 0; t && i < t->n; i++) {
		rules += t->e[i]->rule != NULL;
		proven += t->e[i]->rule && __atomic_load_n(&t->e[i]->proven, __ATOMIC_RELAXED);
		missed += t->e[i]->rule && __atomic_load_n(&t->e[i]->missed, __ATOMIC_RELAXED);
	}
	if (!f->p->match)
		snprintf(to, size, "every frame is delivered (match=off)");
	else if (!rules)
		snprintf(to, size, "flows are matched by software");
	else if (missed)
		snprintf(to, size,
			 "%u of %u rules were accepted and steer nothing: matched by software",
			 missed, rules);
	else
		snprintf(to, size,
			 "flows are steered by the device: %u rules, %u proven by a frame%s", rules,
			 proven, f->x.special & KBP_DPDK_MATCH ? "; matched by software too" : "");
}

void kbp_dpdk_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	const struct kbp_dpdk_full *f = kbp_dpdk_full(q);
	const struct kbp_dpdk_port *e = f->p;
	uint32_t mtu = q->port->info.mtu;
	bool rx = q->flags & KBP_QUEUE_RX_STAMPS;
	size_t n;

	info->l2 = true;
	if (info->rx_ring)
		info->rx_ring = e->rx_desc;
	if (info->tx_ring)
		info->tx_ring = e->tx_desc;
	info->hugepages = kbp_dpdk_eal_huge();
	info->numa_node = kbp_dpdk_eal_huge() ? e->pools->rx[0]->socket_id : -1;
	info->proof = q->rx_count->frames ? KBP_PROVEN : KBP_BOUND;
	info->payload_max = mtu > 28u ? mtu - 28u : 0;
	info->ts_source = rx ? e->clock.source : KBP_TS_NONE;
	info->ts_epoch = rx ? e->clock.epoch : KBP_EPOCH_NONE;
	info->ts_proof = rx ? kbp_stamp_proof(&f->proof) : KBP_PROOF_NONE;
	info->ts_resolution_ps = rx ? e->clock.resolution_ps : 0;
	info->ts_source_tx = KBP_TS_NONE;
	info->busy_poll = KBP_NO;
	info->accelerated = KBP_NO;
	n = (size_t)snprintf(info->note, sizeof(info->note), "%.150s%s", f->note,
			     f->note[0] ? "; " : "");
	if (q->flags & KBP_QUEUE_RX)
		steering_note(f, info->note + n, sizeof(info->note) - n);
}

/* ---------------------------------------------------------------- counters */

/* The kernel's count of frames for which a PMD's socket had no room. AF_PACKET begins anew with each reading
 * (net/packet/af_packet.c). */
static uint64_t socket_drops(struct kbp_dpdk_socket *s, struct kbp_counter_list *l)
{
	struct tpacket_stats packet = { 0 };
	struct xdp_statistics xdp = { 0 };
	socklen_t len = sizeof(packet);

	if (s->family == AF_PACKET) {
		if (!getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &packet, &len))
			s->drops += packet.tp_drops;
		return s->drops;
	}
	len = sizeof(xdp);
	if (getsockopt(s->fd, SOL_XDP, XDP_STATISTICS, &xdp, &len))
		return 0;
	if (l)
		kbp_count_add(l, "rx_fill_ring_empty", xdp.rx_fill_ring_empty_descs,
			      KBP_COUNT_CAUSE, true);
	return xdp.rx_ring_full + xdp.rx_dropped - s->base;
}

void kbp_dpdk_sockets_base(struct kbp_dpdk_port *e)
{
	for (unsigned i = 0; i < e->n_sock; i++) {
		struct kbp_dpdk_socket *s = &e->sock[i];

		s->base = 0;
		if (s->family == AF_XDP)
			s->base = socket_drops(s, NULL);
		else
			socket_drops(s, NULL); /* forgotten by reading */
		s->drops = 0;
	}
}

/* Counters of the device are those of the port; a PMD that does not count leaves zeroes. */
static void count_device(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(q->port);
	struct rte_eth_stats s;
	uint64_t drops = 0;

	if (!rte_eth_stats_get(e->id, &s)) {
		kbp_count_add(l, "pmd_rx_packets", s.ipackets - e->base.ipackets, KBP_COUNT_INFO,
			      true);
		/* the kernel's device has this one, too, where there is one */
		kbp_count_add(l, "pmd_rx_missed", s.imissed - e->base.imissed,
			      q->port->info.ifindex ? KBP_COUNT_CAUSE : KBP_COUNT_DROP, true);
		kbp_count_add(l, "pmd_rx_errors", s.ierrors - e->base.ierrors, KBP_COUNT_CAUSE, true);
		kbp_count_add(l, "pmd_rx_no_mbuf", s.rx_nombuf - e->base.rx_nombuf, KBP_COUNT_CAUSE,
			      true);
	}
	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&q->port->lock);
	for (unsigned i = 0; i < e->n_sock; i++)
		drops += socket_drops(&e->sock[i], l);
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&q->port->lock);
	if (e->n_sock)
		kbp_count_add(l, "rx_socket_full", drops, KBP_COUNT_DROP, true);
}

/* A hook on the poll is how rte_power makes it sleep; receive interrupts are never armed. Both should be 0. */
static unsigned poll_hooks(const struct kbp_dpdk_full *f)
{
	return __atomic_load_n(&rte_eth_fp_ops[f->x.port].rxq.clbk[f->x.queue], __ATOMIC_RELAXED) !=
	       NULL;
}

void kbp_dpdk_queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	const struct kbp_dpdk_full *f = kbp_dpdk_full(q);
	const struct kbp_dpdk_port *e = f->p;
	struct rte_eth_stats s;

	if (q->flags & KBP_QUEUE_RX) {
		int waiting = rte_eth_rx_queue_count(f->x.port, f->x.queue);

		if (waiting >= 0)
			kbp_count_add(l, "rx_ring_fill", (uint64_t)waiting, KBP_COUNT_INFO, false);
		kbp_count_add(l, "rx_foreign", __atomic_load_n(&f->count.foreign, __ATOMIC_RELAXED),
			      KBP_COUNT_INFO, false);
		kbp_count_add(l, "rx_flow_of_other_queue",
			      __atomic_load_n(&f->count.elsewhere, __ATOMIC_RELAXED),
			      KBP_COUNT_INFO, false);
		kbp_count_add(l, "rx_poll_hooks", poll_hooks(f), KBP_COUNT_INFO, false);
		if (q->flags & KBP_QUEUE_RX_STAMPS)
			kbp_count_add(l, "rx_no_stamp",
				      __atomic_load_n(&f->count.no_stamp, __ATOMIC_RELAXED),
				      KBP_COUNT_INFO, false);
		count_device(q, l);
	}
	if (q->flags & KBP_QUEUE_TX && !rte_eth_stats_get(f->x.port, &s))
		kbp_count_add(l, "pmd_tx_errors", s.oerrors - e->base.oerrors, KBP_COUNT_TX_DROP,
			      true);
	if (e->reports) {
		kbp_count_add(l, "reports_sent", e->reports_sent, KBP_COUNT_INFO, true);
		kbp_count_add(l, "reports_failed", e->reports_failed, KBP_COUNT_INFO, true);
	}
}
