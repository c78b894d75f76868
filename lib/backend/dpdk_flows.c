/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_flows.c - flows of the dpdk module: told apart by software, steered by the device where it can, and
 * membership reports of our own where the kernel has no interface to join on.
 *
 * A flow belongs to the port: it is delivered on whichever of its queues the device chose. With several
 * queues, or the word "isolate", the device is asked by rte_flow to choose the queue of the flow. That a rule
 * was accepted proves nothing (there are drivers that accept rules and steer nothing): software goes on looking
 * until frames have shown it, and stops only where the device delivers nothing else.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_flow.h>

#include "dpdk.h"

/* ---------------------------------------------------------------- which flow is it of? */

struct kbp_dpdk_flow *kbp_dpdk_match(const struct kbp_dpdk_port *e, const struct rte_mbuf *m)
{
	const struct kbp_dpdk_table *t = __atomic_load_n(&e->table, __ATOMIC_ACQUIRE);
	struct kbp_datagram d;

	if (KBP_UNLIKELY(!t || !t->n))
		return NULL;
	if (kbp_datagram_parse(rte_pktmbuf_mtod(m, const void *), m->data_len, m->nb_segs > 1, &d) !=
	    KBP_PARSE_OK)
		return NULL;
	for (uint32_t i = 0; i < t->n; i++)
		if (kbp_flow_matches(&t->e[i]->flow, &d))
			return t->e[i];
	return NULL;
}

/* ---------------------------------------------------------------- the device's rules */

struct pattern {
	struct rte_flow_item item[5];
	struct rte_flow_item_vlan vlan, vlan_mask;
	struct rte_flow_item_ipv4 ip4, ip4_mask;
	struct rte_flow_item_ipv6 ip6, ip6_mask;
	struct rte_flow_item_udp udp, udp_mask;
	unsigned n;
};

static void item_add(struct pattern *p, enum rte_flow_item_type type, const void *spec,
		     const void *mask)
{
	p->item[p->n].type = type;
	p->item[p->n].spec = spec;
	p->item[p->n].mask = mask;
	p->n++;
}

static void pattern_make(struct pattern *p, const struct kbp_flow *f)
{
	memset(p, 0, sizeof(*p));
	item_add(p, RTE_FLOW_ITEM_TYPE_ETH, NULL, NULL);
	if (f->vlan) {
		p->vlan.tci = htons(f->vlan);
		p->vlan_mask.tci = htons(0x0fff);
		item_add(p, RTE_FLOW_ITEM_TYPE_VLAN, &p->vlan, &p->vlan_mask);
	}
	if (f->dst.family == AF_INET) {
		memcpy(&p->ip4.hdr.dst_addr, f->dst.bytes, 4);
		memset(&p->ip4_mask.hdr.dst_addr, 0xff, 4);
		if (f->src.family) {
			memcpy(&p->ip4.hdr.src_addr, f->src.bytes, 4);
			memset(&p->ip4_mask.hdr.src_addr, 0xff, 4);
		}
		item_add(p, RTE_FLOW_ITEM_TYPE_IPV4, &p->ip4, &p->ip4_mask);
	} else {
		memcpy(p->ip6.hdr.dst_addr, f->dst.bytes, 16);
		memset(p->ip6_mask.hdr.dst_addr, 0xff, 16);
		if (f->src.family) {
			memcpy(p->ip6.hdr.src_addr, f->src.bytes, 16);
			memset(p->ip6_mask.hdr.src_addr, 0xff, 16);
		}
		item_add(p, RTE_FLOW_ITEM_TYPE_IPV6, &p->ip6, &p->ip6_mask);
	}
	p->udp.hdr.dst_port = htons(f->dst_port);
	p->udp_mask.hdr.dst_port = f->dst_port ? 0xffff : 0;
	p->udp.hdr.src_port = htons(f->src_port);
	p->udp_mask.hdr.src_port = f->src_port ? 0xffff : 0;
	item_add(p, RTE_FLOW_ITEM_TYPE_UDP, &p->udp, &p->udp_mask);
	item_add(p, RTE_FLOW_ITEM_TYPE_END, NULL, NULL);
}

static struct rte_flow *rule_add(const struct kbp_dpdk_port *e, const struct kbp_dpdk_flow *f,
				 struct rte_flow_error *why)
{
	const struct rte_flow_attr attr = { .ingress = 1 };
	const struct rte_flow_action_queue queue = { .index = f->queue };
	const struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct pattern p;

	pattern_make(&p, &f->flow);
	return rte_flow_create(e->id, &attr, p.item, actions, why);
}

/* ---------------------------------------------------------------- the table */

/* With (or without) one flow. The port is locked. */
static int table_change(struct kbp_dpdk_port *e, struct kbp_dpdk_flow *add,
			const struct kbp_dpdk_flow *remove)
{
	struct kbp_dpdk_table *old = e->table, *t;
	uint32_t n = old ? old->n : 0;

	t = calloc(1, sizeof(*t) + (n + 1) * sizeof(void *));
	if (!t)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (old->e[i] != remove)
			t->e[t->n++] = old->e[i];
	if (add)
		t->e[t->n++] = add;
	t->old = old;
	__atomic_store_n(&e->table, t, __ATOMIC_RELEASE);
	return 0;
}

void kbp_dpdk_flows_free(struct kbp_dpdk_port *e)
{
	while (e->table) {
		struct kbp_dpdk_table *old = e->table->old;

		free(e->table);
		e->table = old;
	}
	while (e->gone) {
		struct kbp_dpdk_flow *next = e->gone->next;

		free(e->gone);
		e->gone = next;
	}
}

/* ---------------------------------------------------------------- add and delete */

static int fail(struct kbp_error *err, int rc, const char *hint, const struct kbp_queue *q,
		const struct kbp_flow *flow)
{
	char text[96] = "";

	kbp_flow_format(flow, text, sizeof(text));
	return kbp_failf(err, rc, hint, "receive %s on %s", text, q->port->info.interface);
}

int kbp_dpdk_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(q->port);
	struct rte_flow_error why = { 0 };
	struct kbp_dpdk_flow *f;

	if (!(q->flags & KBP_QUEUE_RX))
		return fail(err, -EINVAL, "this queue was opened for TX only", q, &ref->flow);
	f = calloc(1, sizeof(*f));
	if (!f)
		return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
	f->flow = ref->flow;
	f->queue = kbp_dpdk(q)->queue;
	if (e->isolated || (e->match && e->n_queues > 1))
		f->rule = rule_add(e, f, &why);
	if (e->isolated && !f->rule) {
		free(f);
		return fail(err, -EOPNOTSUPP,
			    why.message ? why.message :
					  "the device refused the rule; without the word \"isolate\" "
					  "software tells frames apart",
			    q, &ref->flow);
	}
	if (table_change(e, f, NULL)) {
		if (f->rule)
			rte_flow_destroy(e->id, f->rule, NULL);
		free(f);
		return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
	}
	ref->priv = f;
	return 0;
}

int kbp_dpdk_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(q->port);
	struct kbp_dpdk_flow *f = ref->priv;
	struct rte_flow_error why = { 0 };
	int rc = 0;

	if (f->rule)
		rc = rte_flow_destroy(e->id, f->rule, &why);
	if (table_change(e, NULL,
			 f)) /* no memory: it goes on being delivered, and is freed with the port */
		return kbp_fail(err, -ENOMEM, "delete a flow", "out of memory");
	f->next = e->gone;
	e->gone = f;
	return rc ? fail(err, rc, why.message ? why.message : "the device refused", q, &f->flow) : 0;
}

/* ---------------------------------------------------------------- membership without a kernel */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int kbp_dpdk_flow_join(struct kbp_queue *q, const struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(q->port);
	int rc;

	if (!e->want_reports)
		return kbp_failf(
			err, -ENODEV,
			"the kernel has no such interface: configure the switch by hand and add the "
			"flow with KBP_FLOW_NO_JOIN, or open the port with the args \"reports\", and "
			"this library sends IGMP and MLD reports",
			"%s: no membership: static join needed", q->port->info.interface);
	rc = kbp_reports_add(e->reports, &ref->flow, now_ns());
	if (rc)
		return fail(err, rc, "no more than 64 groups can be reported", q, &ref->flow);
	kbp_dpdk_reports_service(q->port);
	return 0;
}

void kbp_dpdk_flow_leave(struct kbp_queue *q, const struct kbp_flow_ref *ref)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(q->port);

	if (!e->reports)
		return;
	kbp_reports_del(e->reports, &ref->flow, now_ns());
	kbp_dpdk_reports_service(q->port);
}

/* By a TX queue of its own, behind those of the port's queues: no hot thread is met there. */
static bool report_send(struct kbp_dpdk_port *e, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(e->pools->report);

	if (!m)
		return false;
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), frame, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (rte_eth_tx_burst(e->id, e->n_queues, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

void kbp_dpdk_reports_service(struct kbp_port *p)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint8_t frame[KBP_REPORT_BYTES];
	uint64_t now = now_ns();
	uint32_t len;

	if (!e->reports || !e->started)
		return;
	for (const struct kbp_queue_cold *c = p->queues; c; c = c->next) {
		struct kbp_dpdk_heard *h = kbp_dpdk_full(c->q)->heard;
		uint32_t out = h ? h->out : 0;

		for (; h && out != __atomic_load_n(&h->in, __ATOMIC_ACQUIRE); out++) {
			kbp_reports_hear(e->reports, h->e[out % KBP_DPDK_HEARD].bytes,
					 h->e[out % KBP_DPDK_HEARD].len, now);
			__atomic_store_n(&h->out, out + 1, __ATOMIC_RELEASE);
		}
	}
	while ((len = kbp_reports_next(e->reports, frame, sizeof(frame), now))) {
		if (report_send(e, frame, len))
			e->reports_sent++;
		else
			e->reports_failed++;
	}
}
