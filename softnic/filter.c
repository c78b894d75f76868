/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.c - which VIs a frame is for. A unicast frame goes to the VI of the most specific filter,
 * a multicast one to every VI with a filter for it, once. Where a receive queue is shared, a frame
 * for one of its VIs reaches them all.
 */
#include "internal.h"

#include <netinet/in.h>

enum {
	F_MAC = 1,
	F_IP4 = 2,
	F_UCAST = 4,
	F_MCAST = 8,
	F_VLAN = 0x10,
	F_SNIFF = 0x80,
	F_IP6 = 0x4000
};

/* What the words of ef_filter_spec.data mean: [0] protocol, VLAN of a MAC filter or promiscuous;
 * IPv4: [1] host [2] port [3] remote host [4] remote port; IPv6: [1..4] host [6] port [7..10]
 * remote host [11] remote port; MAC: [1..2]; [5] VLAN. */

/* ---------------------------------------------------------------- specs */

SN_PUBLIC void ef_filter_spec_init(ef_filter_spec *spec, enum ef_filter_flags flags)
{
	memset(spec, 0, sizeof(*spec));
	spec->flags = (unsigned)flags;
}

SN_PUBLIC int ef_filter_spec_set_ip4_full(ef_filter_spec *spec, int protocol, unsigned host_be32,
					  int port_be16, unsigned rhost_be32, int rport_be16)
{
	if (spec->type & ~(unsigned)F_VLAN)
		return -EPROTONOSUPPORT;
	spec->type |= F_IP4;
	spec->data[0] = (unsigned)protocol & 0xffffu;
	spec->data[1] = host_be32;
	spec->data[2] = (unsigned)port_be16 & 0xffffu;
	spec->data[3] = rhost_be32;
	spec->data[4] = (unsigned)rport_be16 & 0xffffu;
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_ip4_local(ef_filter_spec *spec, int protocol, unsigned host_be32,
					   int port_be16)
{
	return ef_filter_spec_set_ip4_full(spec, protocol, host_be32, port_be16, 0, 0);
}

SN_PUBLIC int ef_filter_spec_set_ip6_full(ef_filter_spec *spec, int protocol,
					  const struct in6_addr *host, int port_be16,
					  const struct in6_addr *rhost, int rport_be16)
{
	if (spec->type & ~(unsigned)F_VLAN)
		return -EPROTONOSUPPORT;
	spec->type |= F_IP6;
	spec->data[0] = (unsigned)protocol & 0xffffu;
	memcpy(&spec->data[1], host, 16);
	spec->data[6] = (unsigned)port_be16 & 0xffffu;
	memcpy(&spec->data[7], rhost, 16);
	spec->data[11] = (unsigned)rport_be16 & 0xffffu;
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_ip6_local(ef_filter_spec *spec, int protocol,
					   const struct in6_addr *host, int port_be16)
{
	static const struct in6_addr any;

	return ef_filter_spec_set_ip6_full(spec, protocol, host, port_be16, &any, 0);
}

SN_PUBLIC int ef_filter_spec_set_vlan(ef_filter_spec *spec, int vlan_id)
{
	if (spec->type && spec->type != F_IP4 && spec->type != F_IP6)
		return -EPROTONOSUPPORT;
	spec->type |= F_VLAN;
	spec->data[5] = (unsigned)vlan_id & 0xffffu;
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_eth_local(ef_filter_spec *spec, int vlan_id, const void *mac)
{
	if (spec->type)
		return -EPROTONOSUPPORT;
	spec->type = F_MAC;
	spec->data[0] = (unsigned)vlan_id & 0xffffu;
	memcpy(&spec->data[1], mac, 6);
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_unicast_all(ef_filter_spec *spec)
{
	if (spec->type & ~(unsigned)F_VLAN)
		return -EPROTONOSUPPORT;
	spec->type |= F_UCAST;
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_multicast_all(ef_filter_spec *spec)
{
	if (spec->type & ~(unsigned)F_VLAN)
		return -EPROTONOSUPPORT;
	spec->type |= F_MCAST;
	return 0;
}

SN_PUBLIC int ef_filter_spec_set_port_sniff(ef_filter_spec *spec, int promiscuous)
{
	if (spec->type)
		return -EPROTONOSUPPORT;
	spec->type = F_SNIFF;
	spec->data[0] = promiscuous != 0;
	return 0;
}

/* ---------------------------------------------------------------- matching */

/* 0 and "any" ask for no VLAN in particular. */
static bool vlan_ok(unsigned want, const struct sn_parsed *p)
{
	return !want || want == 0xffffu || want == p->vlan;
}

static bool ip_ok(const ef_filter_spec *s, const struct sn_parsed *p)
{
	bool v4 = s->type & F_IP4;
	size_t n = v4 ? 4 : 16;
	unsigned dport = s->data[v4 ? 2 : 6], rport = s->data[v4 ? 4 : 11];
	bool full = v4 ? s->data[3] != 0 : rport != 0;

	if (!p->ports || p->ip != (v4 ? 4 : 6) || p->proto != s->data[0])
		return false;
	if (memcmp(p->dst, &s->data[1], n) || p->dport != dport)
		return false;
	return !full || (!memcmp(p->src, &s->data[v4 ? 3 : 7], n) && p->sport == rport);
}

/* How specific the match is; 0: none. */
static unsigned match(const ef_filter_spec *s, const uint8_t *frame, const struct sn_parsed *p)
{
	if (s->type & F_VLAN && !vlan_ok(s->data[5], p))
		return 0;
	if (s->type & (F_IP4 | F_IP6)) {
		bool full = s->type & F_IP4 ? s->data[3] != 0 : s->data[11] != 0;

		if (!ip_ok(s, p))
			return 0;
		return 10u + (full ? 2u : 0u) + (s->type & F_VLAN ? 1u : 0u);
	}
	if (s->type & F_MAC) {
		if (memcmp(frame, &s->data[1], 6))
			return 0;
		if (s->data[0] == 0xffffu)
			return 4;
		/* VLAN 0 is what frames without a tag have */
		return (p->vlan == SN_VLAN_NONE ? 0 : p->vlan) == s->data[0] ? 5 : 0;
	}
	if (s->type & F_MCAST)
		return p->multicast ? 2 : 0;
	return s->type & F_UCAST && !p->multicast ? 1 : 0;
}

static void hand(struct softnic_vi *v, const struct sn_rx *rx, const struct sn_parsed *p,
		 unsigned errors)
{
	if (v->r)
		sn_ref_deliver(v, rx, errors);
	else if (v->rx_mask)
		sn_ring_deliver(v, rx, p->multicast, errors);
}

static bool sniffs(const ef_filter_spec *s, const struct sn_nic *nic, const struct sn_rx *rx,
		   const struct sn_parsed *p)
{
	if (!(s->type & F_SNIFF))
		return false;
	return s->data[0] || p->multicast || !memcmp(rx->frame, nic->mac, 6);
}

void sn_filter_deliver(struct sn_nic *nic, const struct sn_rx *rx, const struct sn_parsed *p,
		       unsigned errors)
{
	struct softnic_vi *best = NULL;
	unsigned rank = 0;
	bool shared = rx->flags & SOFTNIC_UNMATCHED, any = shared;

	for (struct softnic_vi *v = nic->vis; v; v = v->next)
		v->hit = false;
	for (unsigned i = 0; i < nic->n_filters; i++) {
		struct sn_filter *f = &nic->filters[i];
		unsigned m = match(&f->spec, rx->frame, p);

		if (!f->v)
			continue;
		if (sniffs(&f->spec, nic, rx, p))
			f->v->hit = true;
		if (m && (p->multicast || f->v->ref))
			f->v->hit = true;
		if (m && f->v->ref && !f->v->exclusive)
			shared = true;
		if (m > rank && !p->multicast && !f->v->ref) {
			rank = m;
			best = f->v;
		}
	}
	if (best)
		best->hit = true;
	for (struct softnic_vi *v = nic->vis; v; v = v->next) {
		if (!v->hit && !(shared && v->ref && v->attached_rxq && !v->exclusive))
			continue;
		any = true;
		hand(v, rx, p, errors);
	}
	if (!any)
		sn_add(&nic->c.filter_missed, 1);
}

/* ---------------------------------------------------------------- adding and removing */

static bool is_multicast(const ef_filter_spec *s)
{
	const uint8_t *a = (const uint8_t *)&s->data[1];

	if (s->type & F_IP4)
		return a[0] >> 4 == 0xe;
	if (s->type & F_IP6)
		return a[0] == 0xff;
	return s->type & F_MAC ? (a[0] & 1) != 0 : (s->type & (F_MCAST | F_SNIFF)) != 0;
}

static bool same(const ef_filter_spec *a, const ef_filter_spec *b)
{
	return a->type == b->type && !memcmp(a->data, b->data, sizeof(a->data));
}

static int spec_check(const struct softnic_vi *v, const ef_filter_spec *s)
{
	switch (s->type) {
	case F_IP4:
	case F_IP4 | F_VLAN:
	case F_IP6:
	case F_IP6 | F_VLAN:
		if (s->data[0] != IPPROTO_UDP && s->data[0] != IPPROTO_TCP)
			return -EINVAL;
		break;
	case F_MAC:
	case F_UCAST:
	case F_MCAST:
		break;
	case F_SNIFF:
		if (!v->nic->model->sniff || v->ref)
			return -EOPNOTSUPP;
		break;
	default:
		return -EINVAL;
	}
	if (s->flags & EF_FILTER_FLAG_EXCLUSIVE_RXQ && s->flags & EF_FILTER_FLAG_SHARED_RXQ)
		return -EINVAL;
	return 0;
}

/* Locked. What no filter can match need not come in front of the device. */
static void filters_changed(struct sn_nic *nic)
{
	bool udp = nic->n_filters > 0;

	for (unsigned i = 0; i < nic->n_filters; i++) {
		const ef_filter_spec *s = &nic->filters[i].spec;

		udp = udp && s->type & (F_IP4 | F_IP6) && (s->data[0] & 0xffff) == IPPROTO_UDP;
	}
	sn_packet_only_udp(nic, udp);
}

static int filter_insert(struct softnic_vi *v, ef_driver_handle dh, const ef_filter_spec *spec)
{
	struct sn_nic *nic = v->nic;
	bool exclusive = spec->flags & EF_FILTER_FLAG_EXCLUSIVE_RXQ;

	/* what arrived before the filter is not for it */
	sn_step_locked(nic, SN_BACKLOG);
	for (unsigned i = 0; i < nic->n_filters; i++) {
		const struct sn_filter *f = &nic->filters[i];

		/* VIs of a shared queue share its filters too */
		if (same(&f->spec, spec) &&
		    (f->v == v ||
		     (!is_multicast(spec) && !(v->ref && !exclusive && f->v && !f->v->exclusive))))
			return -EEXIST;
	}
	if (nic->n_filters == SN_FILTERS_MAX)
		return -EBUSY;
	if (v->ref && v->attached_rxq && v->exclusive != exclusive)
		return -EINVAL; /* a VI has one receive queue here */
	v->attached_rxq = true;
	v->exclusive = v->ref && exclusive;
	nic->filters[nic->n_filters++] = (struct sn_filter){ v, ++nic->next_filter, *spec, dh };
	filters_changed(nic);
	return nic->next_filter;
}

SN_PUBLIC int ef_vi_filter_add(ef_vi *vi, ef_driver_handle vi_dh, const ef_filter_spec *filter_spec,
			       ef_filter_cookie *filter_cookie_out)
{
	struct softnic_vi *v = vi->softnic;
	int rc = spec_check(v, filter_spec);

	if (rc)
		return rc;
	if (!vi->vi_rxq.mask)
		return -EINVAL;
	pthread_mutex_lock(&v->nic->lock);
	rc = filter_insert(v, vi_dh, filter_spec);
	pthread_mutex_unlock(&v->nic->lock);
	if (rc > 0 && filter_cookie_out) {
		filter_cookie_out->filter_id = rc;
		filter_cookie_out->filter_type = (int)filter_spec->type;
	}
	return rc < 0 ? rc : 0;
}

/* Locked. */
static void filter_remove(struct sn_nic *nic, unsigned i)
{
	memmove(&nic->filters[i], &nic->filters[i + 1],
		(--nic->n_filters - i) * sizeof(nic->filters[0]));
	filters_changed(nic);
}

SN_PUBLIC int ef_vi_filter_del(ef_vi *vi, ef_driver_handle vi_dh, ef_filter_cookie *filter_cookie)
{
	struct softnic_vi *v = vi->softnic;
	int rc = -EINVAL;

	(void)vi_dh;
	pthread_mutex_lock(&v->nic->lock);
	sn_step_locked(v->nic, SN_BACKLOG); /* what arrived before is still for the VI */
	for (unsigned i = 0; i < v->nic->n_filters && rc; i++)
		if (v->nic->filters[i].v == v && v->nic->filters[i].id == filter_cookie->filter_id) {
			filter_remove(v->nic, i);
			rc = 0;
		}
	pthread_mutex_unlock(&v->nic->lock);
	return rc;
}

/* As the driver does: a freed VI's filters stay until its handle is closed. */
void sn_filter_forget(struct softnic_vi *v)
{
	for (unsigned i = v->nic->n_filters; i--;)
		if (v->nic->filters[i].v == v)
			v->nic->filters[i].v = NULL;
}

void sn_filter_close(struct sn_nic *nic, ef_driver_handle dh)
{
	pthread_mutex_lock(&nic->lock);
	for (unsigned i = nic->n_filters; i--;)
		if (!nic->filters[i].v && nic->filters[i].dh == dh)
			filter_remove(nic, i);
	pthread_mutex_unlock(&nic->lock);
}
