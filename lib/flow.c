/* SPDX-License-Identifier: BSD-2-Clause */
/* flow.c - flows as text, as socket addresses, and as a question about a datagram. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define VLAN_MAX 4094u
#define NO_JOIN_WORD "nojoin"

/* ---------------------------------------------------------------- what makes a flow a flow */

/* The member a complaint is about, so that a parser can point at its text. */
enum flow_part { PART_DST, PART_SRC, PART_VLAN, PART_FLAGS };

static size_t addr_bytes(const struct kbp_addr *a)
{
	return a->family == AF_INET ? 4 : 16;
}

static bool addr_is_zero(const struct kbp_addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->bytes, zero, addr_bytes(a));
}

static bool addr_is_v4_mapped(const struct kbp_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == AF_INET6 && !memcmp(a->bytes, prefix, sizeof(prefix));
}

/* 232.0.0.0/8 and ff3x::/32 (RFC 4607 section 1). */
static bool addr_is_ssm(const struct kbp_addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 232;
	return a->bytes[0] == 0xff && a->bytes[1] >> 4 == 3 && !a->bytes[2] && !a->bytes[3];
}

/* Why this is no flow; NULL when it is one. */
static const char *flow_wrong(const struct kbp_flow *f, enum flow_part *part)
{
	*part = PART_DST;
	if (f->dst.family != AF_INET && f->dst.family != AF_INET6)
		return "a flow needs a destination address";
	if (addr_is_zero(&f->dst))
		return "the destination must be a group or one address, not the unspecified address";
	if (addr_is_v4_mapped(&f->dst))
		return "write an IPv4-mapped address as IPv4";
	if (f->proto && f->proto != IPPROTO_UDP)
		return "only UDP flows can be received";

	*part = PART_SRC;
	if (f->src.family && f->src.family != f->dst.family)
		return "source and destination must be of one address family";
	if (f->src.family && addr_is_zero(&f->src))
		return "the source must be one address; leave it out for any source";
	if (f->src.family && kbp_addr_is_multicast(&f->src))
		return "the source cannot be a multicast group";
	if (addr_is_v4_mapped(&f->src))
		return "write an IPv4-mapped address as IPv4";

	*part = PART_VLAN;
	if (f->vlan > VLAN_MAX)
		return "a VLAN is 1 to 4094";

	*part = PART_FLAGS;
	if (f->flags & ~KBP_FLOW_NO_JOIN)
		return "unknown bits in flags";
	/* an SSM-aware host answers a request without a source with an error (RFC 4604 section
	 * 2); routers ignore such a join, and the flow would stay silent for ever */
	*part = PART_DST;
	if (addr_is_ssm(&f->dst) && !f->src.family && !(f->flags & KBP_FLOW_NO_JOIN))
		return "this group is in the source-specific range: name the source, as in "
		       "232.1.1.1:5000@192.0.2.1";
	return NULL;
}

static void addr_copy(struct kbp_addr *to, const struct kbp_addr *from)
{
	memset(to, 0, sizeof(*to));
	to->family = from->family;
	if (from->family)
		memcpy(to->bytes, from->bytes, addr_bytes(from));
}

int kbp_flow_normalise(const struct kbp_flow *in, struct kbp_flow *out, bool l2, struct kbp_error *err)
{
	struct kbp_flow f = { 0 };
	const char *wrong;
	enum flow_part part;

	if (!in)
		return kbp_fail(err, -EINVAL, "read the flow", "no flow was given");
	wrong = flow_wrong(in, &part);
	if (wrong)
		return kbp_fail(err, -EINVAL, "read the flow", "%s", wrong);
	if (!l2 && in->vlan)
		return kbp_fail(err, -EOPNOTSUPP, "read the flow",
				"this backend sees no VLAN tags: open "
				"the VLAN interface (vlan %u) instead and leave the tag out",
				in->vlan);
	if (!l2 && !in->dst_port)
		return kbp_fail(err, -EINVAL, "read the flow",
				"this backend needs a destination port; "
				"\"any port\" is for backends that deliver Ethernet frames");
	addr_copy(&f.dst, &in->dst);
	addr_copy(&f.src, &in->src);
	f.dst_port = in->dst_port;
	f.src_port = in->src_port;
	f.vlan = in->vlan;
	f.proto = IPPROTO_UDP;
	f.flags = in->flags;
	*out = f;
	return 0;
}

static bool addr_equal(const struct kbp_addr *a, const struct kbp_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, addr_bytes(a));
}

bool kbp_flow_matches(const struct kbp_flow *flow, const struct kbp_datagram *d)
{
	return addr_equal(&flow->dst, &d->dst) &&
	       (!flow->dst_port || flow->dst_port == d->dst_port) &&
	       (!flow->src.family || addr_equal(&flow->src, &d->src)) &&
	       (!flow->src_port || flow->src_port == d->src_port) &&
	       (!flow->vlan || flow->vlan == d->vlan);
}

/* ---------------------------------------------------------------- text */

struct cursor {
	const char *text, *at;
	struct kbp_error *err;
};

static int complain(const struct cursor *c, const char *where, const char *why)
{
	char quoted[64];
	size_t i;

	/* the text may come from a file or an argument: no control characters into a terminal */
	for (i = 0; i < sizeof(quoted) - 1 && c->text[i]; i++)
		quoted[i] = c->text[i] >= ' ' && c->text[i] < 0x7f ? c->text[i] : '?';
	quoted[i] = '\0';
	if (c->text[i])
		memcpy(quoted + i - 3, "...", 3);
	if (c->err) {
		char hint[sizeof(c->err->hint)];

		snprintf(hint, sizeof(hint),
			 "column %td: %s. A flow is "
			 "[udp:]DST:PORT[@SRC[:PORT]][%%VLAN][+" NO_JOIN_WORD "]",
			 where - c->text + 1, why);
		return kbp_failf(c->err, -EINVAL, hint, "read flow \"%s\"", quoted);
	}
	return -EINVAL;
}

static int parse_number(struct cursor *c, uint32_t max, const char *why, uint16_t *out)
{
	const char *start = c->at;
	uint32_t v = 0;

	while (*c->at >= '0' && *c->at <= '9' && v <= max)
		v = v * 10 + (uint32_t)(*c->at++ - '0');
	if (c->at == start || v > max || (*start == '0' && c->at - start > 1))
		return complain(c, start, why);
	*out = (uint16_t)v;
	return 0;
}

static int parse_port(struct cursor *c, uint16_t *port)
{
	return parse_number(c, UINT16_MAX, "a port is 0 to 65535, without leading zeros", port);
}

static int parse_addr(struct cursor *c, struct kbp_addr *a)
{
	const char *start = c->at;
	char word[INET6_ADDRSTRLEN];
	size_t n;

	if (*start == '[') {
		n = strcspn(++start, "]");
		if (start[n] != ']')
			return complain(c, c->at, "this bracket is never closed");
		a->family = AF_INET6;
		c->at = start + n + 1;
	} else {
		n = strcspn(start, ":@%+");
		a->family = AF_INET;
		c->at = start + n;
	}
	if (n < sizeof(word)) {
		memcpy(word, start, n);
		word[n] = '\0';
		if (inet_pton(a->family, word, a->bytes) == 1)
			return 0;
	}
	return complain(
		c, start,
		a->family == AF_INET6 ?
			"this is no IPv6 address" :
			"this is no IPv4 address (IPv6 addresses stand in brackets; names are not looked up)");
}

/* "@SRC", "@SRC:PORT" or "@*:PORT", the cursor behind the '@'. */
static int parse_source(struct cursor *c, struct kbp_flow *f)
{
	bool any = *c->at == '*';
	int rc;

	if (any) {
		c->at++;
		if (*c->at != ':')
			return complain(c, c->at, "\"*\", any source, is of use with a port only");
	} else {
		rc = parse_addr(c, &f->src);
		if (rc)
			return rc;
	}
	if (*c->at != ':')
		return 0;
	c->at++;
	rc = parse_port(c, &f->src_port);
	if (!rc && any && !f->src_port)
		return complain(c, c->at - 1, "any source and any port: leave \"@*:0\" out");
	return rc;
}

int kbp_flow_parse(const char *text, struct kbp_flow *flow, struct kbp_error *err)
{
	struct cursor c = { text, text, err };
	struct kbp_flow f = { .proto = IPPROTO_UDP };
	const char *start[PART_FLAGS + 1];
	const char *wrong;
	enum flow_part part;
	int rc;

	if (!text)
		return kbp_fail(err, -EINVAL, "read a flow", "no text was given");
	if (!strncmp(text, "udp:", 4))
		c.at += 4;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(start); i++)
		start[i] = c.at;
	rc = parse_addr(&c, &f.dst);
	if (rc)
		return rc;
	if (*c.at != ':')
		return complain(&c, c.at, "a port is missing here, as in 239.1.1.1:5000");
	c.at++;
	rc = parse_port(&c, &f.dst_port);
	if (!rc && *c.at == '@') {
		start[PART_SRC] = ++c.at;
		rc = parse_source(&c, &f);
	}
	if (!rc && *c.at == '%') {
		start[PART_VLAN] = ++c.at;
		rc = parse_number(&c, VLAN_MAX, "a VLAN is 1 to 4094", &f.vlan);
		if (!rc && !f.vlan)
			rc = complain(&c, start[PART_VLAN], "a VLAN is 1 to 4094");
	}
	if (!rc && !strcmp(c.at, "+" NO_JOIN_WORD)) {
		c.at += sizeof("+" NO_JOIN_WORD) - 1;
		f.flags = KBP_FLOW_NO_JOIN;
	}
	if (!rc && *c.at)
		rc = complain(&c, c.at, "nothing was expected here");
	if (rc)
		return rc;
	wrong = flow_wrong(&f, &part);
	if (wrong)
		return complain(&c, start[part], wrong);
	return kbp_flow_normalise(&f, flow, true, err);
}

static int format_addr(const struct kbp_addr *a, char *buf, size_t size)
{
	char word[INET6_ADDRSTRLEN];

	inet_ntop(a->family, a->bytes, word, sizeof(word));
	return snprintf(buf, size, a->family == AF_INET6 ? "[%s]" : "%s", word);
}

int kbp_flow_format(const struct kbp_flow *flow, char *buf, size_t size)
{
	struct kbp_flow f = { 0 };
	char dst[INET6_ADDRSTRLEN + 2], src[INET6_ADDRSTRLEN + 2] = "*", from[64] = "", vlan[8] = "";

	if (kbp_flow_normalise(flow, &f, true, NULL))
		return -EINVAL;
	format_addr(&f.dst, dst, sizeof(dst));
	if (f.src.family)
		format_addr(&f.src, src, sizeof(src));
	if (f.src_port)
		snprintf(from, sizeof(from), "@%s:%u", src, f.src_port);
	else if (f.src.family)
		snprintf(from, sizeof(from), "@%s", src);
	if (f.vlan)
		snprintf(vlan, sizeof(vlan), "%%%u", f.vlan);
	return snprintf(buf, size, "%s:%u%s%s%s", dst, f.dst_port, from, vlan,
			f.flags & KBP_FLOW_NO_JOIN ? "+" NO_JOIN_WORD : "");
}

/* ---------------------------------------------------------------- socket addresses */

/* Link-local unicast, and groups of interface or link scope, mean nothing without an interface
 * (RFC 4007). */
static bool needs_scope(const struct kbp_addr *a)
{
	if (a->bytes[0] == 0xff)
		return (a->bytes[1] & 0xf) <= 2;
	return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

socklen_t kbp_addr_to_sockaddr(const struct kbp_addr *a, uint16_t port, int ifindex,
			       struct sockaddr_storage *ss)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(ss, 0, sizeof(*ss));
	switch (a->family) {
	case AF_INET:
		memcpy(&in4.sin_addr, a->bytes, 4);
		memcpy(ss, &in4, sizeof(in4));
		return sizeof(in4);
	case AF_INET6:
		memcpy(&in6.sin6_addr, a->bytes, 16);
		if (needs_scope(a) && ifindex > 0)
			in6.sin6_scope_id = (uint32_t)ifindex;
		memcpy(ss, &in6, sizeof(in6));
		return sizeof(in6);
	default:
		return 0;
	}
}

void kbp_addr_from_sockaddr(const struct sockaddr_storage *ss, struct kbp_addr *a, uint16_t *port)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memset(a, 0, sizeof(*a));
	*port = 0;
	if (ss->ss_family == AF_INET) {
		memcpy(&in4, ss, sizeof(in4));
		a->family = AF_INET;
		memcpy(a->bytes, &in4.sin_addr, 4);
		*port = ntohs(in4.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&in6, ss, sizeof(in6));
		a->family = AF_INET6;
		memcpy(a->bytes, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
	}
}
