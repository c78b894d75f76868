/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * membership.c - joining multicast groups, any-source and source-specific.
 *
 * By interface index and for both address families alike (RFC 3678 section 5): an address would
 * choose the wrong interface where two have addresses in one network.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

bool kbp_addr_is_multicast(const struct kbp_addr *a)
{
	if (a->family == AF_INET)
		return (a->bytes[0] & 0xf0) == 0xe0;
	return a->family == AF_INET6 && a->bytes[0] == 0xff;
}

static int level_of(const struct kbp_flow *flow)
{
	return flow->dst.family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
}

static int membership_set(int fd, int ifindex, const struct kbp_flow *flow, bool join)
{
	struct group_source_req source = { .gsr_interface = (uint32_t)ifindex };
	struct group_req any = { .gr_interface = (uint32_t)ifindex };

	if (flow->src.family) {
		kbp_addr_to_sockaddr(&flow->dst, 0, ifindex, &source.gsr_group);
		kbp_addr_to_sockaddr(&flow->src, 0, ifindex, &source.gsr_source);
		return setsockopt(fd, level_of(flow),
				  join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
				  &source, sizeof(source)) ?
			       -errno :
			       0;
	}
	kbp_addr_to_sockaddr(&flow->dst, 0, ifindex, &any.gr_group);
	return setsockopt(fd, level_of(flow), join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &any,
			  sizeof(any)) ?
		       -errno :
		       0;
}

static const char *join_hint(int code, const struct kbp_flow *flow)
{
	bool v6 = flow->dst.family == AF_INET6;

	switch (-code) {
	case ENOBUFS:
		if (flow->src.family && !v6)
			return "too many groups or sources: raise net.ipv4.igmp_max_memberships or "
			       "net.ipv4.igmp_max_msf";
		return v6 ? "out of memory for the group: raise net.core.optmem_max or net.ipv6.mld_max_msf" :
			    "this socket is in too many groups: raise net.ipv4.igmp_max_memberships";
	case ENOMEM:
		return "the socket's option memory is used up: raise net.core.optmem_max";
	case ENODEV:
		return "the interface is gone, or takes no multicast: ip link show, and look for MULTICAST "
		       "(ip link set IFACE multicast on)";
	case EADDRNOTAVAIL:
		return "the source cannot be joined: the group is joined already without one, or it is no "
		       "unicast address";
	case EADDRINUSE:
		return "this socket is in the group already";
	case EINVAL:
		return "the group is no multicast group, or is joined already for any source";
	default:
		return strerror(-code);
	}
}

int kbp_membership_join(int fd, int ifindex, const struct kbp_flow *flow, struct kbp_error *err)
{
	char text[96] = "";
	int rc;

	if (!kbp_addr_is_multicast(&flow->dst))
		return 0;
	rc = membership_set(fd, ifindex, flow, true);
	if (!rc)
		return 0;
	kbp_flow_format(flow, text, sizeof(text));
	return kbp_failf(err, rc, join_hint(rc, flow), "join %s on interface %d", text, ifindex);
}

int kbp_membership_leave(int fd, int ifindex, const struct kbp_flow *flow)
{
	return kbp_addr_is_multicast(&flow->dst) ? membership_set(fd, ifindex, flow, false) : 0;
}
