/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi_flows.c - flows as the device's filters. A filter takes what it matches away from the kernel.
 *
 * The device asks for protocol, destination and its port, or for those and source and its port, and some
 * devices for a tag besides. What a flow leaves open or asks beyond that, our own filter does, over all
 * frames of the queue (kbp_efvi_full.match).
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ef_vi.h"

static int spec_ip4(ef_filter_spec *spec, const struct kbp_flow *flow)
{
	uint32_t dst, src;

	memcpy(&dst, flow->dst.bytes, sizeof(dst));
	memcpy(&src, flow->src.bytes, sizeof(src));
	if (flow->src.family && flow->src_port)
		return ef_filter_spec_set_ip4_full(spec, IPPROTO_UDP, dst, htons(flow->dst_port),
						   src, htons(flow->src_port));
	return ef_filter_spec_set_ip4_local(spec, IPPROTO_UDP, dst, htons(flow->dst_port));
}

static int spec_ip6(ef_filter_spec *spec, const struct kbp_flow *flow)
{
	struct in6_addr dst, src;

	memcpy(&dst, flow->dst.bytes, sizeof(dst));
	memcpy(&src, flow->src.bytes, sizeof(src));
	if (flow->src.family && flow->src_port)
		return ef_filter_spec_set_ip6_full(spec, IPPROTO_UDP, &dst, htons(flow->dst_port),
						   &src, htons(flow->src_port));
	return ef_filter_spec_set_ip6_local(spec, IPPROTO_UDP, &dst, htons(flow->dst_port));
}

/* Any port: all frames to the group's or to our own MAC address. */
static int spec_mac(ef_filter_spec *spec, const struct kbp_port *p, const struct kbp_flow *flow)
{
	const uint8_t *ip = flow->dst.bytes;
	uint8_t mac[6];

	if (!kbp_addr_is_multicast(&flow->dst))
		memcpy(mac, p->info.mac, 6);
	else if (flow->dst.family == AF_INET) /* RFC 1112 section 6.4 */
		memcpy(mac, (const uint8_t[6]){ 0x01, 0x00, 0x5e, ip[1] & 0x7f, ip[2], ip[3] }, 6);
	else /* RFC 2464 section 7 */
		memcpy(mac, (const uint8_t[6]){ 0x33, 0x33, ip[12], ip[13], ip[14], ip[15] }, 6);
	return ef_filter_spec_set_eth_local(spec, flow->vlan ? flow->vlan : EF_FILTER_VLAN_ID_ANY,
					    mac);
}

/* The filter of a flow; *more when it lets through what the flow does not want. */
static int spec_make(ef_filter_spec *spec, const struct kbp_port *p, const struct kbp_flow *flow,
		     bool *more)
{
	const struct kbp_efvi_port *e = p->priv;
	int rc;

	memset(spec, 0, sizeof(*spec)); /* specs are compared whole */
	ef_filter_spec_init(spec, EF_FILTER_FLAG_NONE);
	*more = !flow->dst_port || (flow->src.family && !flow->src_port) ||
		(!flow->src.family && flow->src_port);
	if (!flow->dst_port)
		return spec_mac(spec, p, flow);
	rc = flow->dst.family == AF_INET ? spec_ip4(spec, flow) : spec_ip6(spec, flow);
	if (rc || !flow->vlan)
		return rc;
	if (e->vlan_filters)
		return ef_filter_spec_set_vlan(spec, flow->vlan);
	*more = true;
	return 0;
}

static struct kbp_efvi_filter *filter_find(struct kbp_efvi_full *f, const ef_filter_spec *spec)
{
	struct kbp_efvi_filter *filter = f->filters;

	while (filter && memcmp(&filter->spec, spec, sizeof(*spec)) != 0)
		filter = filter->next;
	return filter;
}

static const char *filter_hint(int rc)
{
	switch (-rc) {
	case EEXIST:
		return "another program or queue on this interface has this filter already";
	case EPERM:
	case EACCES:
		return "the driver does not let this user add filters: run as root, or see the driver's "
		       "enable files under /proc/driver/sfc_resource";
	case ENOSPC:
	case EBUSY:
	case ENOMEM:
		return "the adapter's filter table is full: fewer flows, or one with any port";
	case EPROTONOSUPPORT:
	case EOPNOTSUPP:
		return "the adapter's firmware has no filter of this kind: sfboot firmware-variant="
		       "full-feature, or leave the tag out of the flow";
	default:
		return "the adapter refused the filter";
	}
}

static int filter_fail(struct kbp_error *err, int rc, const struct kbp_port *p,
		       const struct kbp_flow *flow)
{
	char text[96] = "";

	kbp_flow_format(flow, text, sizeof(text));
	return kbp_failf(err, rc, filter_hint(rc), "filter %s on %s", text, p->info.interface);
}

/* A filter that needs more than the device's is switched on for the queue as a whole, and stays on. */
static void match_from_now_on(struct kbp_efvi_full *f)
{
	f->match = true;
	kbp_efvi_look_first(f);
}

int kbp_efvi_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_efvi_filter *filter;
	ef_filter_spec spec;
	bool more;
	int rc = spec_make(&spec, q->port, &ref->flow, &more);

	if (!(q->flags & KBP_QUEUE_RX))
		return kbp_failf(err, -EINVAL, "this queue was opened for TX only",
				 "add a flow to a queue of %s", q->port->info.interface);
	if (!rc && !f->have_vi)
		return kbp_failf(err, -ENETDOWN,
				 "its virtual interface is gone: kbp_queue_reopen first",
				 "add a flow to a queue of %s", q->port->info.interface);
	if (rc)
		return filter_fail(err, rc, q->port, &ref->flow);
	filter = filter_find(f, &spec);
	if (!filter) {
		filter = calloc(1, sizeof(*filter));
		if (!filter)
			return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
		filter->spec = spec;
		rc = ef_vi_filter_add(&f->x.vi, f->dh, &filter->spec, &filter->cookie);
		if (rc) {
			free(filter);
			return filter_fail(err, rc, q->port, &ref->flow);
		}
		filter->next = f->filters;
		f->filters = filter;
	}
	filter->users++;
	ref->priv = filter;
	if (more)
		match_from_now_on(f);
	return 0;
}

int kbp_efvi_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_efvi_filter *filter = ref->priv, **at = &f->filters;
	int rc;

	if (--filter->users)
		return 0;
	while (*at != filter)
		at = &(*at)->next;
	*at = filter->next;
	rc = f->have_vi ? ef_vi_filter_del(&f->x.vi, f->dh, &filter->cookie) : 0;
	free(filter);
	return rc ? filter_fail(err, rc, q->port, &ref->flow) : 0;
}

int kbp_efvi_filters_again(struct kbp_efvi_full *f, struct kbp_error *err)
{
	for (struct kbp_efvi_filter *filter = f->filters; filter; filter = filter->next) {
		int rc = ef_vi_filter_add(&f->x.vi, f->dh, &filter->spec, &filter->cookie);

		if (rc)
			return kbp_failf(err, rc, filter_hint(rc),
					 "add the filters of a queue of %s again",
					 f->x.q.port->info.interface);
	}
	return 0;
}
