/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neighbour.c - where a datagram to some address goes when it leaves by one interface: the source
 * address the kernel would choose, the next hop, and its MAC.
 *
 * The kernel's own tables decide; ARP and ND stay the kernel's work. A lookup is asked for
 * (NTF_USE, as a packet would cause it) and its outcome awaited.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "netlink.h"

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define POLL_FIRST_NS 200000 /* on a quiet network the answer is there after some 100 us */
#define POLL_LAST_NS 10000000

struct route {
	uint8_t type; /* RTN_* */
	int out;
	struct kbp_addr gateway;
	struct kbp_addr prefsrc;
};

struct neighbour {
	int ifindex;
	struct kbp_addr addr;
	uint16_t state;
	uint8_t mac[6];
	bool has_mac;
};

static size_t addr_bytes(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

static const char *addr_text(const struct kbp_addr *a, char buf[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(a->family, a->bytes, buf, INET6_ADDRSTRLEN))
		buf[0] = '\0';
	return buf;
}

static void addr_read(const struct rtattr *a, uint8_t family, struct kbp_addr *to)
{
	memset(to, 0, sizeof(*to));
	if (!a)
		return;
	to->family = family;
	memcpy(to->bytes, RTA_DATA(a), addr_bytes(family));
}

/* ---------------------------------------------------------------- route */

static int route_take(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	struct route *r = arg;
	const struct rtattr *out, *via;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*rt)))
		return 0;
	r->type = rt->rtm_type;
	addr_read(kbp_nl_attr(h, sizeof(*rt), RTA_GATEWAY, addr_bytes(rt->rtm_family)),
		  rt->rtm_family, &r->gateway);
	addr_read(kbp_nl_attr(h, sizeof(*rt), RTA_PREFSRC, addr_bytes(rt->rtm_family)),
		  rt->rtm_family, &r->prefsrc);
	/* an IPv4 route through an IPv6 next hop (RFC 5549) */
	via = kbp_nl_attr(h, sizeof(*rt), RTA_VIA, sizeof(uint16_t) + 16);
	if (via && rt->rtm_family == AF_INET) {
		r->gateway.family = AF_INET6;
		memcpy(r->gateway.bytes, (const uint8_t *)RTA_DATA(via) + sizeof(uint16_t), 16);
	}
	out = kbp_nl_attr(h, sizeof(*rt), RTA_OIF, sizeof(r->out));
	if (out)
		memcpy(&r->out, RTA_DATA(out), sizeof(r->out));
	return 0;
}

static int route_ask(int nl, int ifindex, const struct kbp_addr *dst, const struct kbp_addr *src,
		     uint32_t flags, struct route *r)
{
	uint8_t bits = (uint8_t)(addr_bytes(dst->family) * 8);
	struct rtmsg rt = { .rtm_family = dst->family, .rtm_dst_len = bits, .rtm_flags = flags };
	struct kbp_nl req;

	memset(r, 0, sizeof(*r));
	if (src->family)
		rt.rtm_src_len = bits;
	kbp_nl_begin(&req, RTM_GETROUTE, 0, &rt, sizeof(rt));
	kbp_nl_put(&req, RTA_DST, dst->bytes, addr_bytes(dst->family));
	if (src->family)
		kbp_nl_put(&req, RTA_SRC, src->bytes, addr_bytes(src->family));
	kbp_nl_put(&req, RTA_OIF, &ifindex, sizeof(ifindex));
	return kbp_nl_ask(nl, &req, route_take, r);
}

/* ---------------------------------------------------------------- neighbour */

static int neighbour_take(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = NLMSG_DATA(h);
	struct neighbour *n = arg;
	const struct rtattr *dst, *mac;

	if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*nd)))
		return 0;
	dst = kbp_nl_attr(h, sizeof(*nd), NDA_DST, addr_bytes(n->addr.family));
	if (nd->ndm_ifindex != n->ifindex || nd->ndm_family != n->addr.family || !dst ||
	    memcmp(RTA_DATA(dst), n->addr.bytes, addr_bytes(n->addr.family)))
		return 0;
	n->state = nd->ndm_state;
	mac = kbp_nl_attr(h, sizeof(*nd), NDA_LLADDR, sizeof(n->mac));
	n->has_mac = mac;
	if (mac)
		memcpy(n->mac, RTA_DATA(mac), sizeof(n->mac));
	return 0;
}

/* One entry by its key (kernel 5.0 and later). Absent: state NUD_NONE. */
static int neighbour_ask(int nl, struct neighbour *n)
{
	struct ndmsg nd = { .ndm_family = n->addr.family, .ndm_ifindex = n->ifindex };
	struct kbp_nl req;
	int rc;

	n->state = NUD_NONE;
	kbp_nl_begin(&req, RTM_GETNEIGH, 0, &nd, sizeof(nd));
	kbp_nl_put(&req, NDA_DST, n->addr.bytes, addr_bytes(n->addr.family));
	rc = kbp_nl_ask(nl, &req, neighbour_take, n);
	return rc == -ENOENT ? 0 : rc;
}

/* As if a packet went there (net/core/neighbour.c, neigh_add with NTF_USE). */
static int neighbour_use(int nl, const struct neighbour *n)
{
	struct ndmsg nd = { .ndm_family = n->addr.family,
			    .ndm_ifindex = n->ifindex,
			    .ndm_flags = NTF_USE,
			    .ndm_state = NUD_NONE };
	struct kbp_nl req;

	kbp_nl_begin(&req, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, &nd, sizeof(nd));
	kbp_nl_put(&req, NDA_DST, n->addr.bytes, addr_bytes(n->addr.family));
	return kbp_nl_ask(nl, &req, NULL, NULL);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int neighbour_wait(int nl, struct neighbour *n, int timeout_ms, struct kbp_error *err)
{
	int64_t until = now_ns() + (int64_t)timeout_ms * 1000000;
	char text[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";
	struct timespec nap = { .tv_nsec = POLL_FIRST_NS };
	int rc = neighbour_ask(nl, n);

	if (!if_indextoname((unsigned)n->ifindex, name))
		strcpy(name, "?");
	if (!rc && n->state & NUD_USABLE)
		return 0;
	if (!rc)
		rc = neighbour_use(nl, n);
	if (rc)
		return kbp_failf(err, rc,
				 rc == -EPERM ?
					 "CAP_NET_ADMIN is missing; or make the entry by hand: ip "
					 "neigh replace ADDRESS lladdr MAC dev IFACE" :
					 strerror(-rc),
				 "look up neighbour %s on %s", addr_text(&n->addr, text), name);
	for (;;) {
		rc = neighbour_ask(nl, n);
		if (rc)
			return kbp_failf(err, rc, strerror(-rc), "look up neighbour %s on %s",
					 addr_text(&n->addr, text), name);
		if (n->state & NUD_USABLE)
			return 0;
		if (n->state & NUD_FAILED || now_ns() >= until)
			break;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < POLL_LAST_NS)
			nap.tv_nsec *= 2;
	}
	return kbp_failf(
		err, -EHOSTUNREACH,
		"it does not answer ARP or neighbour discovery: check that it is up and "
		"on this network (VLAN, cable, address), or make the entry by hand: ip neigh replace",
		"look up neighbour %s on %s", addr_text(&n->addr, text), name);
}

/* ---------------------------------------------------------------- both */

/* RFC 1112 section 6.4: the low 23 bits; RFC 2464 section 7: the low 32 bits. */
static void multicast_mac(const struct kbp_addr *dst, uint8_t mac[6])
{
	if (dst->family == AF_INET) {
		memcpy(mac, (const uint8_t[3]){ 0x01, 0x00, 0x5e }, 3);
		mac[3] = dst->bytes[1] & 0x7f;
		memcpy(mac + 4, dst->bytes + 2, 2);
	} else {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, dst->bytes + 12, 4);
	}
}

static int next_hop_mac(int nl, int ifindex, const struct kbp_addr *dst, const struct route *r,
			uint8_t mac[6], int timeout_ms, struct kbp_error *err)
{
	struct neighbour n = { .ifindex = ifindex, .addr = r->gateway.family ? r->gateway : *dst };
	int rc;

	if (r->type == RTN_BROADCAST) {
		memset(mac, 0xff, 6);
		return 0;
	}
	if (r->type == RTN_LOCAL) {
		memset(mac, 0, 6); /* loopback */
		return 0;
	}
	rc = neighbour_wait(nl, &n, timeout_ms, err);
	if (rc)
		return rc;
	/* an interface without link addresses has none to give (tun, loopback) */
	memset(mac, 0, 6);
	if (n.has_mac)
		memcpy(mac, n.mac, 6);
	return 0;
}

static int route_fail(int rc, int ifindex, const struct kbp_addr *dst, struct kbp_error *err)
{
	char text[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";
	const char *hint = strerror(-rc);

	if (!if_indextoname((unsigned)ifindex, name))
		strcpy(name, "?");
	if (rc == -EINVAL)
		hint = "the source is no address of this host";
	if (rc == -ENETUNREACH || rc == -EHOSTUNREACH || rc == -EACCES) {
		rc = -EHOSTUNREACH;
		hint = "no route leads there by this interface: give it an address in the destination's network, or "
		       "add a route (ip route add NETWORK via GATEWAY dev IFACE)";
	}
	return kbp_failf(err, rc, hint, "find the route to %s out of %s", addr_text(dst, text), name);
}

/* With an interface named, IPv4 takes a destination without a route for one on the link
 * (net/ipv4/route.c, ip_route_output_key_hash_rcu). When nobody answers there, the missing route is
 * the better explanation. */
static bool route_exists(int nl, int ifindex, const struct kbp_addr *dst, const struct kbp_addr *src)
{
	struct route r;

	return dst->family != AF_INET || !route_ask(nl, ifindex, dst, src, RTM_F_FIB_MATCH, &r);
}

int kbp_neighbour_resolve(int ifindex, const struct kbp_addr *dst, struct kbp_addr *src,
			  uint8_t mac[6], int timeout_ms, struct kbp_error *err)
{
	struct route r;
	char text[INET6_ADDRSTRLEN];
	int nl = kbp_nl_socket(), rc;

	if (nl < 0)
		return kbp_fail(err, nl, "open netlink", "%s", strerror(-nl));
	rc = route_ask(nl, ifindex, dst, src, 0, &r);
	if (!rc && (r.type == RTN_UNREACHABLE || r.type == RTN_BLACKHOLE || r.type == RTN_PROHIBIT))
		rc = -ENETUNREACH;
	if (rc) {
		close(nl);
		return route_fail(rc, ifindex, dst, err);
	}
	if (!src->family && r.prefsrc.family == dst->family)
		*src = r.prefsrc;
	if (!src->family)
		rc = kbp_failf(err, -EHOSTUNREACH,
			       "the interface has no address of that family: give it one, or set "
			       "src in the flow",
			       "choose a source address for %s", addr_text(dst, text));
	else if (r.type == RTN_LOCAL && r.out != ifindex)
		rc = kbp_failf(err, -EHOSTUNREACH,
			       "it is an address of this host, and nothing on the wire would bring "
			       "it back: use another destination, or the socket backend on lo",
			       "find the route to %s", addr_text(dst, text));
	else if (kbp_addr_is_multicast(dst))
		multicast_mac(dst, mac);
	else
		rc = next_hop_mac(nl, ifindex, dst, &r, mac, timeout_ms, err);
	if (rc == -EHOSTUNREACH && r.type == RTN_UNICAST && src->family &&
	    !route_exists(nl, ifindex, dst, src))
		rc = route_fail(rc, ifindex, dst, err);
	close(nl);
	return rc;
}
