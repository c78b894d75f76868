/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * txflow.c - destinations with their prebuilt headers, and the resident frames that are sent to
 * them.
 *
 * The header in t->hdr (see <kbypass/hot/udp.h>) is Ethernet, a VLAN tag if any, IP, UDP. What
 * depends on the payload's length stays zero in it and in the sums; kbp_udp_finish adds it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "netlink.h"

#define RESOLVE_MS \
	3000 /* three ARP or ND probes a second apart are what the kernel sends by default */
#define TTL_UNICAST 64	/* IANA's recommended default (RFC 1700) */
#define TTL_MULTICAST 1 /* RFC 1112 section 6.1: the default; groups do not leave the network */
#define TPID_8021Q 0x8100u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define UDP_BYTES 8u
#define CLOSE_WAIT_MS 100
#define WARM_RAW_BYTES 60u /* the shortest Ethernet frame */

struct template_full {
	struct kbp_template tpl; /* first */
	struct template_full *next;
};

struct kbp_txflow_cold {
	struct kbp_txflow_cold *next;
	struct kbp_txflow *t;
	struct kbp_flow flow; /* as resolved: source address and port filled in */
	struct template_full *templates;
	int port_fd; /* a socket that keeps the source port ours; -1: the caller named it */
	bool raw;
};

static const struct kbp_backend *backend_of(const struct kbp_txflow *t)
{
	return t->q->port->b;
}

/* ---------------------------------------------------------------- header */

static uint8_t *put_be16(uint8_t *p, uint32_t v)
{
	kbp_store_be16(p, v);
	return p + 2;
}

static uint8_t *put_ipv4(uint8_t *p, const struct kbp_flow *f)
{
	static const uint8_t fixed[IPV4_BYTES] = {
		[0] = 0x45,
		[6] = 0x40, /* don't fragment: the identification may then stay 0 (RFC 6864 section
			     * 4.1) */
		[9] = IPPROTO_UDP,
	};

	memcpy(p, fixed, sizeof(fixed));
	p[8] = kbp_addr_is_multicast(&f->dst) ? TTL_MULTICAST : TTL_UNICAST;
	memcpy(p + 12, f->src.bytes, 4);
	memcpy(p + 16, f->dst.bytes, 4);
	return p + IPV4_BYTES;
}

static uint8_t *put_ipv6(uint8_t *p, const struct kbp_flow *f)
{
	memset(p, 0, IPV6_BYTES);
	p[0] = 0x60;
	p[6] = IPPROTO_UDP;
	p[7] = kbp_addr_is_multicast(&f->dst) ? TTL_MULTICAST : TTL_UNICAST;
	memcpy(p + 8, f->src.bytes, 16);
	memcpy(p + 24, f->dst.bytes, 16);
	return p + IPV6_BYTES;
}

/* Sums are kept as 32 bits: folding them now changes nothing, and leaves room for what is added per
 * frame. */
static void header_build(struct kbp_txflow *t, const struct kbp_flow *f, const uint8_t src_mac[6],
			 const uint8_t dst_mac[6])
{
	static const uint8_t pseudo_proto[2] = { 0, IPPROTO_UDP };
	bool v6 = f->dst.family == AF_INET6;
	uint32_t addr_bytes = v6 ? 16 : 4;
	uint8_t len =
		(uint8_t)(14u + (f->vlan ? 4u : 0u) + (v6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES);
	uint8_t *p = t->hdr, *ip;
	uint64_t sum;

	memset(t->hdr, 0, sizeof(t->hdr));
	memcpy(p, dst_mac, 6);
	memcpy(p + 6, src_mac, 6);
	p += 12;
	if (f->vlan)
		p = put_be16(put_be16(p, TPID_8021Q), f->vlan);
	p = put_be16(p, v6 ? TYPE_IPV6 : TYPE_IPV4);
	ip = p;
	p = v6 ? put_ipv6(p, f) : put_ipv4(p, f);
	put_be16(put_be16(p, f->src_port), f->dst_port);
	t->hdr_len = len;
	t->ipv6 = v6;
	t->ip_sum = v6 ? 0 : kbp_csum_fold(kbp_csum_add(ip, IPV4_BYTES, 0));
	/* RFC 768 and RFC 8200 section 8.1: addresses, protocol, and the length that finish adds */
	sum = kbp_csum_add(f->src.bytes, addr_bytes, 0);
	sum = kbp_csum_add(f->dst.bytes, addr_bytes, sum);
	sum = kbp_csum_add(pseudo_proto, sizeof(pseudo_proto), sum);
	sum = kbp_csum_add(p, 4, sum);
	t->udp_sum = kbp_csum_fold(sum);
}

/* ---------------------------------------------------------------- source and destination */

/* Without an interface there are neither routes nor neighbours to ask. A software device's only
 * peer is itself. */
static int resolve_alone(const struct kbp_port *p, struct kbp_flow *f, uint8_t mac[6],
			 struct kbp_error *err)
{
	if (!f->src.family || !f->src_port)
		return kbp_failf(err, -EHOSTUNREACH,
				 "give the source address and port in the flow: the kernel has no "
				 "such interface to choose them for",
				 "open a txflow on %s", p->info.interface);
	if (kbp_addr_is_multicast(&f->dst)) {
		if (f->dst.family == AF_INET)
			memcpy(mac,
			       (const uint8_t[6]){ 0x01, 0x00, 0x5e, f->dst.bytes[1] & 0x7f,
						   f->dst.bytes[2], f->dst.bytes[3] },
			       6);
		else
			memcpy(mac,
			       (const uint8_t[6]){ 0x33, 0x33, f->dst.bytes[12], f->dst.bytes[13],
						   f->dst.bytes[14], f->dst.bytes[15] },
			       6);
		return 0;
	}
	if (!p->b->emulated)
		return kbp_failf(err, -EHOSTUNREACH,
				 "the kernel has no such interface to look neighbours up on: send "
				 "whole frames with kbp_txflow_open_raw",
				 "open a txflow on %s", p->info.interface);
	memcpy(mac, p->info.mac, 6);
	return 0;
}

static int resolve(const struct kbp_port *p, struct kbp_flow *f, uint8_t mac[6], struct kbp_error *err)
{
	uint32_t ifindex = p->info.ifindex;
	char hint[128];

	if (!ifindex)
		return resolve_alone(p, f, mac, err);
	if (f->vlan) {
		ifindex = kbp_link_vlan(ifindex, f->vlan);
		if (!ifindex) {
			snprintf(hint, sizeof(hint),
				 "addresses and neighbours of a VLAN are its own: ip link add link %.15s "
				 "name %.9s.%u type vlan id %u",
				 p->info.interface, p->info.interface, f->vlan, f->vlan);
			return kbp_failf(err, -EHOSTUNREACH, hint, "find the VLAN %u interface on %s",
					 f->vlan, p->info.interface);
		}
	}
	return kbp_neighbour_resolve((int)ifindex, &f->dst, &f->src, mac, RESOLVE_MS, err);
}

/* A port of the kernel's choice that nobody else gets while this descriptor is open. */
static int port_reserve(struct kbp_txflow_cold *c, const struct kbp_port *p, struct kbp_error *err)
{
	int small = 0;
	struct sockaddr_storage ss;
	socklen_t len;
	struct kbp_addr addr;

	if (c->flow.src_port)
		return 0;
	c->port_fd = socket(c->flow.src.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->port_fd < 0)
		return kbp_fail(err, -errno, "reserve a source port", "%s", strerror(errno));
	/* nobody reads it: answers must not fill memory */
	setsockopt(c->port_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	len = kbp_addr_to_sockaddr(&c->flow.src, 0, (int)p->info.ifindex, &ss);
	if (bind(c->port_fd, (struct sockaddr *)&ss, len) ||
	    getsockname(c->port_fd, (struct sockaddr *)&ss, &len))
		return kbp_failf(err, -errno,
				 errno == EADDRNOTAVAIL ? "the source is no address of this host" :
							  strerror(errno),
				 "reserve a source port on %s", p->info.interface);
	kbp_addr_from_sockaddr(&ss, &addr, &c->flow.src_port);
	return 0;
}

static int l2_open(struct kbp_txflow_cold *c, struct kbp_error *err)
{
	struct kbp_port *p = c->t->q->port;
	uint32_t head = (c->flow.dst.family == AF_INET6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES;
	uint8_t mac[6];
	int rc = resolve(p, &c->flow, mac, err);

	if (!rc)
		rc = port_reserve(c, p, err);
	if (rc)
		return rc;
	c->t->room = p->info.mtu > head ? p->info.mtu - head : 0;
	header_build(c->t, &c->flow, p->info.mac, mac);
	return 0;
}

/* The kernel makes the header, and would resolve the neighbour with the first frames in its queue.
 * Better now, with an answer for the caller; without the privilege to ask, it stays with the first
 * frames. */
static int kernel_open(struct kbp_txflow_cold *c, struct kbp_error *err)
{
	const struct kbp_port *p = c->t->q->port;
	struct kbp_addr src = c->flow.src;
	uint8_t mac[6];
	int rc;

	if (!p->info.ifindex)
		return 0;
	rc = kbp_neighbour_resolve((int)p->info.ifindex, &c->flow.dst, &src, mac, RESOLVE_MS, err);
	return rc == -EPERM ? 0 : rc;
}

/* ---------------------------------------------------------------- open and close */

static int tx_check(const struct kbp_queue *q, const char *step, struct kbp_error *err)
{
	if (q->flags & KBP_QUEUE_TX)
		return 0;
	return kbp_fail(err, -EINVAL, step, "this queue of %s was opened for RX only",
			q->port->info.interface);
}

static struct kbp_txflow_cold *txflow_new(struct kbp_queue *q)
{
	struct kbp_txflow_cold *c = calloc(1, sizeof(*c));
	struct kbp_txflow *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);

	if (!c || !t) {
		free(c);
		free(t);
		return NULL;
	}
	memset(t, 0, sizeof(*t));
	t->q = q;
	t->cold = c;
	c->t = t;
	c->port_fd = -1;
	return c;
}

static void txflow_free(struct kbp_txflow_cold *c)
{
	if (c->port_fd >= 0)
		close(c->port_fd);
	free(c->t);
	free(c);
}

static int txflow_start(struct kbp_txflow_cold *c, struct kbp_txflow **t, struct kbp_error *err)
{
	struct kbp_queue_cold *qc = kbp_cold(c->t->q);
	const struct kbp_backend *b = backend_of(c->t);
	int rc = b->txflow_open ? b->txflow_open(c->t, &c->flow, err) : 0;

	if (rc) {
		txflow_free(c);
		return rc;
	}
	c->next = qc->txflow_list;
	qc->txflow_list = c;
	qc->txflows++;
	*t = c->t;
	return 0;
}

int kbp_txflow_open(struct kbp_queue *q, const struct kbp_flow *flow, struct kbp_txflow **t,
		    struct kbp_error *err)
{
	struct kbp_txflow_cold *c;
	struct kbp_flow in, f;
	int rc = tx_check(q, "open a txflow", err);

	*t = NULL;
	if (!rc)
		rc = kbp_port_usable(q->port, err);
	if (rc)
		return rc;
	if (!flow)
		return kbp_fail(err, -EINVAL, "open a txflow", "no flow was given");
	in = *flow;
	in.flags |= KBP_FLOW_NO_JOIN; /* a sender need not be a member, nor name a source */
	rc = kbp_flow_normalise(&in, &f, q->port->b->l2, err);
	if (rc)
		return rc;
	if (!f.dst_port)
		return kbp_fail(err, -EINVAL, "open a txflow", "a destination port is needed");
	c = txflow_new(q);
	if (!c)
		return kbp_fail(err, -ENOMEM, "open a txflow", "out of memory");
	c->flow = f;
	rc = q->port->b->l2 ? l2_open(c, err) : kernel_open(c, err);
	if (rc) {
		txflow_free(c);
		return rc;
	}
	return txflow_start(c, t, err);
}

int kbp_txflow_open_raw(struct kbp_queue *q, struct kbp_txflow **t, struct kbp_error *err)
{
	struct kbp_txflow_cold *c;
	int rc = tx_check(q, "open a raw txflow", err);

	*t = NULL;
	if (!rc)
		rc = kbp_port_mine(q->port, err);
	if (rc)
		return rc;
	if (!q->port->b->l2)
		return kbp_failf(err, -EOPNOTSUPP,
				 "it sends datagrams, the kernel makes the frames: use an L2 backend "
				 "(af_xdp, dpdk, ef_vi)",
				 "open a raw txflow on backend %s", q->port->b->name);
	c = txflow_new(q);
	if (!c)
		return kbp_fail(err, -ENOMEM, "open a raw txflow", "out of memory");
	c->raw = true;
	c->t->room = q->port->info.mtu + 14u + 4u; /* Ethernet header and a tag */
	return txflow_start(c, t, err);
}

int kbp_txflow_refresh(struct kbp_txflow *t, struct kbp_error *err)
{
	struct kbp_txflow_cold *c = t->cold;
	struct kbp_port *p = t->q->port;
	uint8_t mac[6];
	int rc;

	/* the kernel keeps a socket's neighbour up to date by itself */
	if (c->raw || !p->b->l2)
		return 0;
	rc = kbp_port_usable(p, err);
	for (struct template_full *f = c->templates; f && !rc; f = f->next)
		if (p->b->template_busy(&f->tpl))
			rc = kbp_fail(err, -EBUSY, "refresh a txflow",
				      "a template of it is in flight: try again when it is sent");
	if (!rc)
		rc = resolve(p, &c->flow, mac, err);
	if (rc)
		return rc;
	header_build(t, &c->flow, p->info.mac, mac);
	for (struct template_full *f = c->templates; f; f = f->next)
		memcpy(f->tpl.payload - t->hdr_len, mac, sizeof(mac));
	return 0;
}

/* A buffer still in flight is not given out again before it is back: backends see to that. The
 * template is out of its list. */
static void template_drop(struct template_full *f)
{
	struct kbp_txflow *t = f->tpl.t;

	backend_of(t)->template_close(&f->tpl);
	kbp_cold(t->q)->templates--;
	free(f);
}

/* The txflow is out of its list. */
static void txflow_drop(struct kbp_txflow_cold *c)
{
	while (c->templates) {
		struct template_full *first = c->templates;

		c->templates = first->next;
		template_drop(first);
	}
	if (backend_of(c->t)->txflow_close)
		backend_of(c->t)->txflow_close(c->t);
	kbp_cold(c->t->q)->txflows--;
	txflow_free(c);
}

void kbp_txflow_close(struct kbp_txflow *t)
{
	struct kbp_txflow_cold **at;

	if (!t)
		return;
	for (at = &kbp_cold(t->q)->txflow_list; (*at)->t != t; at = &(*at)->next)
		;
	*at = (*at)->next;
	txflow_drop(t->cold);
}

void kbp_txflows_close_all(struct kbp_queue_cold *c)
{
	while (c->txflow_list) {
		struct kbp_txflow_cold *first = c->txflow_list;

		c->txflow_list = first->next;
		txflow_drop(first);
	}
}

void kbp_tx_warm(struct kbp_txflow *t)
{
	struct kbp_frame f;

	if (kbp_tx_reserve(t, &f, 1) != 1)
		return;
	/* two bytes of payload, written as they are: what lies in a free buffer has no meaning */
	if (t->hdr_len) {
		kbp_udp_begin(t, f.data);
		kbp_udp_finish(t, f.data, 2);
	} else {
		memset(f.data, 0, WARM_RAW_BYTES);
	}
	f.len = t->hdr_len ? 2 : WARM_RAW_BYTES;
	if (backend_of(t)->tx_warm)
		backend_of(t)->tx_warm(t, &f);
	kbp_tx_cancel(t->q, &f, 1);
}

/* ---------------------------------------------------------------- templates */

int kbp_template_open(struct kbp_txflow *t, const void *payload, uint32_t len,
		      struct kbp_template **tpl, struct kbp_error *err)
{
	struct kbp_txflow_cold *c = t->cold;
	const struct kbp_backend *b = backend_of(t);
	struct template_full *f;
	int rc;

	*tpl = NULL;
	if (!b->template_open)
		return kbp_failf(err, -EOPNOTSUPP, "send with kbp_tx_reserve and kbp_tx_submit",
				 "open a template on backend %s", b->name);
	if (len > t->room)
		return kbp_fail(err, -EMSGSIZE, "open a template",
				"%u bytes of payload, and the largest frame to this "
				"destination holds %u",
				len, t->room);
	f = calloc(1, sizeof(*f));
	if (!f)
		return kbp_fail(err, -ENOMEM, "open a template", "out of memory");
	f->tpl.t = t;
	f->tpl.len = len;
	rc = b->template_open(&f->tpl, err);
	if (rc) {
		free(f);
		return rc;
	}
	if (t->hdr_len)
		kbp_udp_begin(t, f->tpl.payload);
	if (len)
		memcpy(f->tpl.payload, payload, len);
	if (t->hdr_len)
		kbp_udp_finish(t, f->tpl.payload, len);
	f->next = c->templates;
	c->templates = f;
	kbp_cold(t->q)->templates++;
	*tpl = &f->tpl;
	return 0;
}

/* RFC 1624 equation 3 over the 16-bit words that change: the cost is that of the patch, not of the
 * payload. */
static void patch_summed(struct kbp_template *tpl, uint32_t offset, const void *bytes, uint32_t len)
{
	uint32_t from = offset & ~1u, to = (offset + len + 1) & ~1u;
	uint8_t *p = tpl->payload;
	uint16_t sum, old;

	if (to > tpl->len)
		to = tpl->len;
	memcpy(&sum, p - 2, sizeof(sum));
	old = kbp_csum_fold(kbp_csum_add(p + from, to - from, 0));
	memcpy(p + offset, bytes, len);
	sum = (uint16_t)~kbp_csum_fold(
		kbp_csum_add(p + from, to - from, (uint64_t)(uint16_t)~sum + (uint16_t)~old));
	if (!sum)
		sum = 0xffff;
	memcpy(p - 2, &sum, sizeof(sum));
}

unsigned kbp_template_patch(struct kbp_template *tpl, uint32_t offset, const void *bytes, uint32_t len)
{
	if (!len || offset > tpl->len || len > tpl->len - offset ||
	    backend_of(tpl->t)->template_busy(tpl))
		return 0;
	if (tpl->t->hdr_len)
		patch_summed(tpl, offset, bytes, len);
	else
		memcpy(tpl->payload + offset, bytes, len);
	return len;
}

unsigned kbp_template_send(struct kbp_template *tpl)
{
	const struct kbp_backend *b = backend_of(tpl->t);

	return b->template_busy(tpl) ? 0 : b->template_send(tpl);
}

uint64_t kbp_template_token(const struct kbp_template *tpl)
{
	return tpl->token;
}

void kbp_template_close(struct kbp_template *tpl)
{
	struct template_full **at, *f = (struct template_full *)(void *)tpl;
	struct timespec ms = { .tv_nsec = 1000000 };

	if (!tpl)
		return;
	for (int i = 0; i < CLOSE_WAIT_MS && backend_of(tpl->t)->template_busy(tpl); i++)
		nanosleep(&ms, NULL);
	for (at = &((struct kbp_txflow_cold *)tpl->t->cold)->templates; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	template_drop(f);
}
