/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.c - queues and their flows: everything about them that is not one backend's. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_link.h>

#include "internal.h"
#include "netlink.h"

#define DRAIN_MS 100 /* how long a close waits for frames in flight */
#define WAIT_SLICE_NS \
	100000000ll /* kbp_wait looks at the states this often: not every death wakes a descriptor */
#define LOOK_SLICE_NS 100000ll /* and this often at a device that has no descriptor to wake it */

static const struct kbp_queue_opts defaults = { .rx_ring = 2048,
						.tx_ring = 1024,
						.hold_max = 256,
						.rcvbuf_bytes = 8u << 20 };

static int opts_check(const struct kbp_port *p, const struct kbp_queue_opts *in,
		      struct kbp_queue_opts *o, struct kbp_error *err)
{
	int rc = kbp_opts_read(o, sizeof(*o), in, "open a queue", err);

	if (rc)
		return rc;
	if (!(o->flags & (KBP_QUEUE_RX | KBP_QUEUE_TX)))
		o->flags |= KBP_QUEUE_RX | KBP_QUEUE_TX;
	if (o->flags & KBP_QUEUE_TX_STAMPS)
		o->flags |= KBP_QUEUE_COMPLETIONS;
	o->rx_ring = o->rx_ring ? o->rx_ring : defaults.rx_ring;
	o->tx_ring = o->tx_ring ? o->tx_ring : defaults.tx_ring;
	o->hold_max = o->hold_max ? o->hold_max : defaults.hold_max;
	o->rcvbuf_bytes = o->rcvbuf_bytes ? o->rcvbuf_bytes : defaults.rcvbuf_bytes;
	if (o->rx_ring & (o->rx_ring - 1) || o->tx_ring & (o->tx_ring - 1) || o->rx_ring > 65536 ||
	    o->tx_ring > 65536 || o->rx_ring < 8 || o->tx_ring < 8)
		return kbp_fail(err, -EINVAL, "open a queue",
				"rings are %u and %u descriptors: powers of two from 8 to "
				"65536 are possible",
				o->rx_ring, o->tx_ring);
	if (o->hold_max > 65536)
		return kbp_fail(err, -EINVAL, "open a queue", "hold_max is %u: at most 65536",
				o->hold_max);
	if (p->b->l2 && ((o->flags & KBP_QUEUE_RX && o->channel >= p->info.rx_channels) ||
			 (o->flags & KBP_QUEUE_TX && o->channel >= p->info.tx_channels)))
		return kbp_fail(err, -EINVAL, "open a queue",
				"channel %u: %s has %u RX and %u TX channels, counted from 0",
				o->channel, p->info.interface, p->info.rx_channels,
				p->info.tx_channels);
	for (const struct kbp_queue_cold *c = p->queues; c; c = c->next)
		if (p->b->l2 && c->opts.channel == o->channel)
			return kbp_fail(err, -EBUSY, "open a queue",
					"channel %u of %s is open in this port already", o->channel,
					p->info.interface);
	return 0;
}

static void head_fill(struct kbp_port *p, struct kbp_queue_cold *c)
{
	struct kbp_queue *q = c->q;

	q->port = p;
	q->priv = c;
	q->hold_max = c->opts.hold_max;
	q->flags = c->opts.flags;
	q->sync_shift = KBP_SYNC_NEVER;
	if (!q->chain_max)
		q->chain_max = 1;
}

/* The port's lock is held. */
static int queue_make(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_error *err)
{
	struct kbp_link link;
	int rc = p->b->queue_open(p, c, &c->q, err);

	if (rc)
		return rc;
	head_fill(p, c);
	rc = kbp_counters_add_queue(p->counters, c->opts.channel, &c->q->rx_count, &c->q->tx_count);
	if (rc) {
		p->b->queue_close(c->q);
		return kbp_fail(err, rc, "open a queue", "the counters file is full");
	}
	c->next = p->queues;
	p->queues = c;
	if (p->info.ifindex)
		kbp_link_stats(p->info.ifindex, &c->stats_base);
	if (p->info.ifindex && !kbp_link_read(p->info.interface, &link, NULL) && !link.running)
		kbp_queue_set_state(c->q, KBP_QUEUE_LINK_DOWN);
	return 0;
}

int kbp_queue_open_abi(struct kbp_port *port, const struct kbp_queue_opts *opts, uint32_t hot_abi,
		       struct kbp_queue **q, struct kbp_error *err)
{
	struct kbp_queue_cold *c;
	int rc;

	*q = NULL;
	if (hot_abi != KBP_HOT_ABI)
		return kbp_fail(err, -ENOEXEC, "open a queue",
				"the program was compiled for hot ABI %u, this library has %u: "
				"compile it again with this library's headers",
				hot_abi, KBP_HOT_ABI);
	rc = kbp_port_usable(port, err);
	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c)
		return kbp_fail(err, -ENOMEM, "open a queue", "out of memory");
	c->port = port;
	pthread_mutex_lock(&port->lock);
	rc = opts_check(port, opts, &c->opts, err);
	if (!rc)
		rc = queue_make(port, c, err);
	pthread_mutex_unlock(&port->lock);
	if (rc)
		free(c);
	else
		*q = c->q;
	return rc;
}

int kbp_queues_open(struct kbp_port *port, const struct kbp_queue_opts *opts, struct kbp_queue **q,
		    unsigned max, struct kbp_error *err)
{
	struct kbp_queue_opts o;
	unsigned n = port->b->port_channels ? port->b->port_channels(port) : 1, i;
	int rc;

	if (n > max)
		return kbp_fail(err, -ENOSPC, "open the queues of a port",
				"%s needs %u queues, there is room for %u; fewer "
				"channels: ethtool -L %s combined %u",
				port->info.interface, n, max, port->info.interface, max);
	rc = kbp_opts_read(&o, sizeof(o), opts, "open the queues of a port", err);
	if (rc)
		return rc;
	if (!(o.flags & (KBP_QUEUE_RX | KBP_QUEUE_TX)))
		o.flags |= KBP_QUEUE_RX | KBP_QUEUE_TX;
	for (i = 0; i < n; i++) {
		o.channel = i;
		if (o.flags & KBP_QUEUE_RX && i >= port->info.tx_channels)
			o.flags &= ~(uint32_t)KBP_QUEUE_TX; /* fewer TX channels than RX */
		rc = kbp_queue_open(port, &o, &q[i], err);
		if (rc) {
			while (i--)
				kbp_queue_close(q[i], KBP_CLOSE_FORCE, NULL);
			return rc;
		}
	}
	return (int)n;
}

/* ---------------------------------------------------------------- close */

static void drain(struct kbp_queue *q)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; q->port->b->queue_drain && q->port->b->queue_drain(q) && i < DRAIN_MS; i++)
		nanosleep(&ms, NULL);
}

static int still_out(struct kbp_queue *q, struct kbp_error *err)
{
	struct kbp_queue_cold *c = kbp_cold(q);

	if (q->port->b->queue_reserved)
		c->reserved = q->port->b->queue_reserved(q);
	if (!q->held && !c->txflows && !c->templates && !c->reserved)
		return 0;
	return kbp_failf(
		err, -EBUSY, "give them back first, or close with KBP_CLOSE_FORCE",
		"close %s channel %u: %u frames held, %u reserved, %u txflows and %u templates open",
		q->port->info.interface, c->opts.channel, q->held, c->reserved, c->txflows,
		c->templates);
}

/* Leave the group, then remove the filter. The flow is out of its list, the port locked. */
static int flow_drop(struct kbp_flow_ref *ref, struct kbp_error *err)
{
	int rc;

	if (ref->join_fd >= 0)
		close(ref->join_fd);
	if (ref->joined)
		ref->q->port->b->flow_leave(ref->q, ref);
	rc = ref->q->port->b->flow_del(ref->q, ref, err);
	free(ref);
	return rc;
}

int kbp_queue_close(struct kbp_queue *q, unsigned flags, struct kbp_error *err)
{
	struct kbp_queue_cold *c, **at;
	struct kbp_port *p;
	int rc;

	if (!q)
		return 0;
	c = kbp_cold(q);
	p = q->port;
	rc = kbp_port_mine(p, err);
	if (!rc && !(flags & KBP_CLOSE_FORCE))
		rc = still_out(q, err);
	if (rc)
		return rc;
	kbp_queue_unwatch(q);
	drain(q);
	kbp_txflows_close_all(c);
	pthread_mutex_lock(&p->lock);
	while (c->flows) {
		struct kbp_flow_ref *first = c->flows;

		c->flows = first->next;
		flow_drop(first, NULL);
	}
	for (at = &p->queues; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	kbp_counters_drop_queue(p->counters, q->rx_count);
	p->b->queue_close(q);
	pthread_mutex_unlock(&p->lock);
	free(c);
	return 0;
}

int kbp_queue_reopen(struct kbp_queue *q, struct kbp_error *err)
{
	struct kbp_queue_cold *c = kbp_cold(q);
	uint32_t state = __atomic_load_n(&q->state, __ATOMIC_RELAXED);
	int rc = kbp_port_usable(q->port, err);

	if (rc)
		return rc;
	if (state == KBP_QUEUE_GONE)
		return kbp_failf(err, -ENODEV, "it does not come back: close the queue",
				 "reopen a queue of %s: the "
				 "interface was removed",
				 q->port->info.interface);
	if (state != KBP_QUEUE_OVERFLOWED && state != KBP_QUEUE_RESET)
		return kbp_failf(err, -EINVAL, "only an overflowed or reset queue is reopened",
				 "reopen a queue of %s", q->port->info.interface);
	if (!q->port->b->queue_reopen)
		return kbp_fail(err, -EOPNOTSUPP, "reopen a queue",
				"this backend's queues never need it");
	pthread_mutex_lock(&q->port->lock);
	rc = q->port->b->queue_reopen(q, err);
	pthread_mutex_unlock(&q->port->lock);
	if (rc)
		return rc;
	c->lost_unknown++;
	q->held = 0;
	kbp_queue_sync_again(q);
	/* unless the interface went meanwhile: that is final */
	__atomic_compare_exchange_n(&q->state, &state, KBP_QUEUE_UP, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	return 0;
}

/* ---------------------------------------------------------------- facts */

void kbp_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	const struct kbp_queue_cold *c = kbp_cold(q);

	memset(info, 0, sizeof(*info));
	info->channel = c->opts.channel;
	info->flags = q->flags;
	info->rx_ring = q->flags & KBP_QUEUE_RX ? c->opts.rx_ring : 0;
	info->tx_ring = q->flags & KBP_QUEUE_TX ? c->opts.tx_ring : 0;
	info->hold_max = q->hold_max;
	info->held = q->held;
	info->chain_max = q->chain_max;
	info->numa_node = -1;
	info->ts_phc = -1;
	info->ts_cause = KBP_CLOCK_UNWATCHED;
	info->ts_bound_ns = KBP_BOUND_UNKNOWN;
	info->l2 = q->port->b->l2;
	info->mode = q->port->info.achieved;
	q->port->b->queue_info(q, info);
	kbp_queue_clock_info(q, info);
}

int kbp_queue_fd(const struct kbp_queue *q)
{
	return q->port->b->queue_fd ? q->port->b->queue_fd(q) : -1;
}

void kbp_count_add(struct kbp_counter_list *l, const char *name, uint64_t value,
		   enum kbp_count_class cls, bool interface_wide)
{
	if (l->n < l->max) {
		struct kbp_counter *c = &l->c[l->n];

		memset(c, 0, sizeof(*c));
		snprintf(c->name, sizeof(c->name), "%s", name);
		c->value = value;
		c->cls = (uint8_t)cls;
		c->interface_wide = interface_wide;
	}
	l->n++;
}

static uint64_t look(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* rtnl_link_stats64: rx_missed_errors are frames the device had no buffer for. The others may be
 * counted a second time elsewhere (veth counts a full AF_XDP ring as rx_dropped), so they only
 * explain. */
static void count_device(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	const struct rtnl_link_stats64 *base = &kbp_cold(q)->stats_base;
	struct rtnl_link_stats64 s;

	if (!q->port->info.ifindex || !kbp_port_here(q->port) ||
	    kbp_link_stats(q->port->info.ifindex, &s))
		return;
	kbp_count_add(l, "device_rx_missed", s.rx_missed_errors - base->rx_missed_errors,
		      KBP_COUNT_DROP, true);
	kbp_count_add(l, "device_rx_dropped", s.rx_dropped - base->rx_dropped, KBP_COUNT_CAUSE, true);
	kbp_count_add(l, "device_rx_errors", s.rx_errors - base->rx_errors, KBP_COUNT_CAUSE, true);
	kbp_count_add(l, "device_rx_packets", s.rx_packets - base->rx_packets, KBP_COUNT_INFO, true);
}

unsigned kbp_queue_counters(const struct kbp_queue *q, struct kbp_counter *c, unsigned max)
{
	struct kbp_counter_list l = { .c = c, .max = max };
	const struct kbp_hot_rx *rx = q->rx_count;
	const struct kbp_hot_tx *tx = q->tx_count;

	if (q->flags & KBP_QUEUE_RX) {
		kbp_count_add(&l, "rx_polls", look(&rx->polls), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "rx_frames", look(&rx->frames), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "rx_hold_limited", look(&rx->hold_limited), KBP_COUNT_CAUSE, false);
		kbp_count_add(&l, "rx_ring_fill_max", look(&rx->ring_fill_max), KBP_COUNT_INFO,
			      false);
		kbp_count_add(&l, "rx_chain_too_long", look(&rx->chain_drops), KBP_COUNT_DROP, false);
		kbp_count_add(&l, "rx_truncated", look(&rx->truncated), KBP_COUNT_DROP, false);
		kbp_count_add(&l, "rx_kernel_calls", look(&rx->kernel_calls), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "rx_lost_unknown_events", kbp_cold(q)->lost_unknown,
			      KBP_COUNT_CAUSE, false);
	}
	if (q->flags & KBP_QUEUE_TX) {
		kbp_count_add(&l, "tx_frames", look(&tx->frames), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "tx_doorbells", look(&tx->doorbells), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "tx_ring_full", look(&tx->ring_full), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "tx_completions", look(&tx->completions), KBP_COUNT_INFO, false);
		kbp_count_add(&l, "tx_errors", look(&tx->errors), KBP_COUNT_TX_DROP, false);
		kbp_count_add(&l, "tx_kernel_calls", look(&tx->kernel_calls), KBP_COUNT_INFO, false);
	}
	q->port->b->queue_counters(q, &l);
	if (q->flags & KBP_QUEUE_RX)
		count_device(q, &l);
	return l.n;
}

/* ---------------------------------------------------------------- wait */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int ready_now(struct kbp_queue *const *queues, unsigned n)
{
	int ready = 0;

	for (unsigned i = 0; i < n; i++)
		if (kbp_queue_state(queues[i]) != KBP_QUEUE_UP ||
		    queues[i]->port->b->queue_pending(queues[i]))
			ready++;
	return ready;
}

int kbp_wait(struct kbp_queue *const *queues, unsigned n, int64_t timeout_ns)
{
	struct pollfd fds[64];
	int64_t until = timeout_ns < 0 ? INT64_MAX : now_ns() + timeout_ns, most = WAIT_SLICE_NS;

	if (!n || n > KBP_ARRAY_SIZE(fds))
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		fds[i] = (struct pollfd){ .fd = kbp_queue_fd(queues[i]), .events = POLLIN };
		if (fds[i].fd < 0)
			most = LOOK_SLICE_NS;
	}
	for (;;) {
		int64_t left = timeout_ns < 0 ? INT64_MAX : until - now_ns();
		int64_t slice = left < 0 ? 0 : left < most ? left : most;
		struct timespec ts;
		int rc = ready_now(queues, n);

		if (rc)
			return rc;
		ts = (struct timespec){ .tv_sec = slice / 1000000000, .tv_nsec = slice % 1000000000 };
		rc = ppoll(fds, n, &ts, NULL);
		if (rc < 0) {
			int error = errno, ready = error == EINTR ? ready_now(queues, n) : 0;

			/* the signal may have been a driver's, which tells of frames by it (net_tap) */
			return ready ? ready : -error;
		}
		if (rc > 0)
			return rc;
		/* without any time at all, what only the kernel knows was looked at once */
		if (left <= 0)
			return 0;
	}
}

/* ---------------------------------------------------------------- flows */

static int flow_known(const struct kbp_port *p, const struct kbp_flow *flow)
{
	for (const struct kbp_queue_cold *c = p->queues; c; c = c->next)
		for (const struct kbp_flow_ref *r = c->flows; r; r = r->next)
			if (!memcmp(&r->flow.dst, &flow->dst, sizeof(flow->dst)) &&
			    !memcmp(&r->flow.src, &flow->src, sizeof(flow->src)) &&
			    r->flow.dst_port == flow->dst_port && r->flow.src_port == flow->src_port &&
			    r->flow.vlan == flow->vlan && r->flow.proto == flow->proto)
				return 1;
	return 0;
}

/* The kernel's own membership: without it no switch sends the group here, whatever the filter
 * says. */
static int flow_join(struct kbp_port *p, struct kbp_flow_ref *r, struct kbp_error *err)
{
	uint32_t ifindex = p->info.ifindex;
	int rc;

	r->join_fd = -1;
	if (p->b->own_join || r->flow.flags & KBP_FLOW_NO_JOIN ||
	    !kbp_addr_is_multicast(&r->flow.dst))
		return 0;
	if (!ifindex && p->b->flow_join) {
		rc = p->b->flow_join(r->q, r, err);
		r->joined = !rc;
		return rc;
	}
	/* a report must leave with the tag of the flow, or the switch joins the wrong VLAN */
	if (ifindex && r->flow.vlan)
		ifindex = kbp_link_vlan(ifindex, r->flow.vlan);
	if (!ifindex)
		return kbp_failf(
			err, -ENODEV,
			p->info.ifindex ?
				"add the VLAN interface (ip link add link ... type vlan id ...) to join "
				"on, or configure the switch by hand and add the flow with "
				"KBP_FLOW_NO_JOIN" :
				"the kernel has no such interface: configure the switch by hand and add "
				"the flow with KBP_FLOW_NO_JOIN",
			"%s: no membership: static join needed", p->info.interface);
	r->join_fd = socket(r->flow.dst.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r->join_fd < 0)
		return kbp_fail(err, -errno, "join a group", "%s", strerror(errno));
	rc = kbp_membership_join(r->join_fd, (int)ifindex, &r->flow, err);
	if (rc) {
		close(r->join_fd);
		r->join_fd = -1;
	}
	return rc;
}

int kbp_flow_add(struct kbp_queue *q, const struct kbp_flow *flow, struct kbp_flow_ref **ref,
		 struct kbp_error *err)
{
	struct kbp_queue_cold *c = kbp_cold(q);
	struct kbp_port *p = q->port;
	struct kbp_flow_ref *r;
	int rc = kbp_port_usable(p, err);

	if (ref)
		*ref = NULL;
	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
	r->q = q;
	r->join_fd = -1;
	pthread_mutex_lock(&p->lock);
	rc = kbp_flow_normalise(flow, &r->flow, p->b->l2, err);
	if (!rc && flow_known(p, &r->flow))
		rc = kbp_fail(err, -EEXIST, "add a flow", "port %s has it already",
			      p->info.interface);
	if (!rc)
		rc = p->b->flow_add(q, r, err);
	if (!rc) {
		rc = flow_join(p, r, err);
		if (rc)
			p->b->flow_del(q, r, NULL);
	}
	if (!rc) {
		r->next = c->flows;
		c->flows = r;
	}
	pthread_mutex_unlock(&p->lock);
	if (rc)
		free(r);
	else if (ref)
		*ref = r;
	return rc;
}

int kbp_flow_del(struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_port *p = ref->q->port;
	struct kbp_flow_ref **at;
	int rc = kbp_port_mine(p, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	for (at = &kbp_cold(ref->q)->flows; *at != ref; at = &(*at)->next)
		;
	*at = ref->next;
	rc = flow_drop(ref, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}
