/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - IGMP and MLD reports: their bytes, and when they are due.
 *
 * The two protocols are one: the same records with addresses of another length, in messages that
 * keep their checksum at the same place. What differs is the IP header around them and the unit of
 * the response time.
 *
 * The state on the wire is per group, as RFC 3376 3.2 merges it: any source, when there is a
 * membership without source, else the list of the sources. It is never stored, but made from the
 * members at the time of sending; a change that another membership of the group makes moot is not
 * sent. Each report has one record.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "internal.h"
#include "report.h"

#define ETH_BYTES 14u
#define ETH_MIN 60u /* padded here: not every device does */
#define TAG_BYTES 4u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TYPE_8021Q 0x8100u
#define TYPE_8021AD 0x88a8u
#define IPV4_BYTES 20u
#define IPV4_DF 0x4000u
#define IPV4_MF_OFFSET 0x3fffu
#define IPV6_BYTES 40u
#define ALERT4_BYTES 4u
#define ALERT6_BYTES 8u
#define TOS_CONTROL 0xc0u /* internetwork control, RFC 3376 section 4 */
#define SUM_AT 2u	  /* of an IGMP or ICMPv6 message */

#define MS_NS 1000000ull
#define V1_RESPONSE_NS (10000 * MS_NS) /* RFC 2236 section 4 */

enum { IS_IN = 1, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK }; /* record types, RFC 3376 4.2.12 */

/* Message types and where they go. */
struct protocol {
	uint8_t query, report, old_report, old_leave;
	uint32_t addr_bytes;
	uint32_t old_bytes; /* of a message of the older version; the group ends it */
	uint8_t all_nodes[16], all_routers[16], all_reports[16];
};

static const struct protocol igmp = {
	.query = 0x11,
	.report = 0x22,
	.old_report = 0x16,
	.old_leave = 0x17,
	.addr_bytes = 4,
	.old_bytes = 8,
	.all_nodes = { 224, 0, 0, 1 },
	.all_routers = { 224, 0, 0, 2 },
	.all_reports = { 224, 0, 0, 22 },
};

static const struct protocol mld = {
	.query = 130,
	.report = 143,
	.old_report = 131,
	.old_leave = 132,
	.addr_bytes = 16,
	.old_bytes = 24,
	.all_nodes = { 0xff, 2, [15] = 1 },
	.all_routers = { 0xff, 2, [15] = 2 },
	.all_reports = { 0xff, 2, [15] = 0x16 },
};

static const struct protocol *protocol_of(const struct kbp_addr *a)
{
	return a->family == AF_INET6 ? &mld : &igmp;
}

static uint32_t load_be16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

/* ---------------------------------------------------------------- memberships */

void kbp_reports_init(struct kbp_reports *r, const uint8_t mac[6], const uint8_t ip4[4])
{
	memset(r, 0, sizeof(*r));
	memcpy(r->mac, mac, 6);
	if (ip4)
		memcpy(r->ip4, ip4, 4);
	/* modified EUI-64: the MAC in two halves, its universal/local bit turned (RFC 4291 appendix
	 * A) */
	r->ip6[0] = 0xfe;
	r->ip6[1] = 0x80;
	memcpy(r->ip6 + 8, mac, 3);
	r->ip6[8] ^= 0x02;
	r->ip6[11] = 0xff;
	r->ip6[12] = 0xfe;
	memcpy(r->ip6 + 13, mac + 3, 3);
	memcpy(&r->random, mac + 2, 4);
	r->random |= 1; /* xorshift stays at 0 */
}

/* RFC 3376 section 5 and RFC 3810 section 6: the group of all nodes is never reported, nor is what
 * does not leave the node (scopes 0 and 1). */
static bool wants_report(const struct kbp_flow *flow)
{
	const struct protocol *pr = protocol_of(&flow->dst);

	if (flow->flags & KBP_FLOW_NO_JOIN || !kbp_addr_is_multicast(&flow->dst))
		return false;
	if (flow->dst.family == AF_INET6 && (flow->dst.bytes[1] & 0xf) <= 1)
		return false;
	return memcmp(flow->dst.bytes, pr->all_nodes, pr->addr_bytes) != 0;
}

static bool in_use(const struct kbp_report_member *m)
{
	return m->uses || m->repeats;
}

static bool same_addr(const struct kbp_addr *a, const struct kbp_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool same_group(const struct kbp_report_member *a, const struct kbp_report_member *b)
{
	return a->vlan == b->vlan && same_addr(&a->group, &b->group);
}

static struct kbp_report_member *member_find(struct kbp_reports *r, const struct kbp_flow *flow)
{
	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		struct kbp_report_member *m = &r->members[i];

		if (in_use(m) && m->vlan == flow->vlan && same_addr(&m->group, &flow->dst) &&
		    same_addr(&m->source, &flow->src))
			return m;
	}
	return NULL;
}

/* A free place, or one that has only to repeat that it left. Whether an older querier was heard on
 * the flow's VLAN is known from any other place that is, or was, on it. */
static struct kbp_report_member *member_new(struct kbp_reports *r, const struct kbp_flow *flow)
{
	struct kbp_report_member *place = NULL;
	uint64_t old_until_ns = 0;

	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		struct kbp_report_member *m = &r->members[i];

		if (m->vlan == flow->vlan && m->group.family == flow->dst.family &&
		    m->old_until_ns > old_until_ns)
			old_until_ns = m->old_until_ns;
		if (!m->uses && m->repeats < KBP_REPORT_ROBUSTNESS &&
		    (!place || m->repeats < place->repeats))
			place = m;
	}
	if (place)
		*place = (struct kbp_report_member){ .group = flow->dst,
						     .source = flow->src,
						     .vlan = flow->vlan,
						     .old_until_ns = old_until_ns };
	return place;
}

static void member_changed(struct kbp_report_member *m, uint64_t now_ns)
{
	m->repeats = KBP_REPORT_ROBUSTNESS;
	m->change_ns = now_ns;
}

int kbp_reports_add(struct kbp_reports *r, const struct kbp_flow *flow, uint64_t now_ns)
{
	struct kbp_report_member *m;

	if (!wants_report(flow))
		return 0;
	m = member_find(r, flow);
	if (!m)
		m = member_new(r, flow);
	if (!m)
		return -ENOSPC;
	if (m->uses++)
		return 0;
	m->answer_ns = now_ns + KBP_REPORT_REFRESH_NS;
	member_changed(m, now_ns);
	return 0;
}

void kbp_reports_del(struct kbp_reports *r, const struct kbp_flow *flow, uint64_t now_ns)
{
	struct kbp_report_member *m = wants_report(flow) ? member_find(r, flow) : NULL;

	if (m && m->uses && !--m->uses)
		member_changed(m, now_ns);
}

void kbp_reports_resend(struct kbp_reports *r, uint64_t now_ns)
{
	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++)
		if (r->members[i].uses)
			member_changed(&r->members[i], now_ns);
}

uint64_t kbp_reports_due(const struct kbp_reports *r)
{
	uint64_t due_ns = UINT64_MAX;

	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		const struct kbp_report_member *m = &r->members[i];

		if (m->repeats && m->change_ns < due_ns)
			due_ns = m->change_ns;
		if (m->uses && m->answer_ns < due_ns)
			due_ns = m->answer_ns;
	}
	return due_ns;
}

/* ---------------------------------------------------------------- frames */

/* From here on, `body` is the IGMP or ICMPv6 message inside `frame`. */
static uint8_t *body_of(const struct kbp_report_member *m, uint8_t *frame)
{
	uint8_t *ip = frame + ETH_BYTES + (m->vlan ? TAG_BYTES : 0);

	if (m->group.family == AF_INET6)
		return ip + IPV6_BYTES + ALERT6_BYTES;
	return ip + IPV4_BYTES + ALERT4_BYTES;
}

static void store_sum(uint8_t *p, uint64_t sum)
{
	uint16_t folded = (uint16_t)~kbp_csum_fold(sum);

	memcpy(p, &folded, sizeof(folded));
}

/* The sum of a message, with the pseudo header of the IPv6 header at `ip` (RFC 8200 8.1). */
static uint64_t icmp6_sum(const uint8_t *ip, const uint8_t *body, uint32_t len)
{
	uint64_t pseudo = kbp_csum_add(ip + 8, 32, htons((uint16_t)len));

	return kbp_csum_add(body, len, pseudo + htons(IPPROTO_ICMPV6));
}

static void put_ipv4(const struct kbp_reports *r, const uint8_t *dst, uint8_t *ip, uint8_t *body,
		     uint32_t body_len)
{
	static const uint8_t alert[ALERT4_BYTES] = { 0x94, 4 }; /* RFC 2113 */

	memset(ip, 0, IPV4_BYTES);
	ip[0] = 0x40 | (IPV4_BYTES + ALERT4_BYTES) / 4;
	ip[1] = TOS_CONTROL;
	kbp_store_be16(ip + 2, IPV4_BYTES + ALERT4_BYTES + body_len);
	kbp_store_be16(ip + 6, IPV4_DF); /* atomic, so that its ID may be zero (RFC 6864) */
	ip[8] = 1;
	ip[9] = IPPROTO_IGMP;
	memcpy(ip + 12, r->ip4, 4);
	memcpy(ip + 16, dst, 4);
	memcpy(ip + IPV4_BYTES, alert, ALERT4_BYTES);
	store_sum(ip + 10, kbp_csum_add(ip, IPV4_BYTES + ALERT4_BYTES, 0));
	store_sum(body + SUM_AT, kbp_csum_add(body, body_len, 0));
}

static void put_ipv6(const struct kbp_reports *r, const uint8_t *dst, uint8_t *ip, uint8_t *body,
		     uint32_t body_len)
{
	/* Router Alert (RFC 2711), PadN */
	static const uint8_t alert[ALERT6_BYTES] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };

	memset(ip, 0, IPV6_BYTES);
	ip[0] = 0x60;
	kbp_store_be16(ip + 4, ALERT6_BYTES + body_len);
	ip[6] = IPPROTO_HOPOPTS;
	ip[7] = 1;
	memcpy(ip + 8, r->ip6, 16);
	memcpy(ip + 24, dst, 16);
	memcpy(ip + IPV6_BYTES, alert, ALERT6_BYTES);
	store_sum(body + SUM_AT, icmp6_sum(ip, body, body_len));
}

/* Puts the headers in front of a message whose checksum is still zero. The frame's length. */
static uint32_t frame_finish(const struct kbp_reports *r, const struct kbp_report_member *m,
			     const uint8_t *dst, uint8_t *frame, uint32_t body_len)
{
	static const uint8_t mac4[] = { 0x01, 0x00, 0x5e }, mac6[] = { 0x33, 0x33 };
	bool v6 = m->group.family == AF_INET6;
	uint8_t *p = frame + 12, *body = body_of(m, frame);
	uint32_t len = (uint32_t)(body - frame) + body_len;

	if (v6) {
		memcpy(frame, mac6, 2);
		memcpy(frame + 2, dst + 12, 4);
	} else {
		memcpy(frame, mac4, 3);
		memcpy(frame + 3, dst + 1, 3);
		frame[3] &= 0x7f;
	}
	memcpy(frame + 6, r->mac, 6);
	if (m->vlan) {
		kbp_store_be16(p, TYPE_8021Q);
		kbp_store_be16(p + 2, m->vlan);
		p += TAG_BYTES;
	}
	kbp_store_be16(p, v6 ? TYPE_IPV6 : TYPE_IPV4);
	if (v6)
		put_ipv6(r, dst, p + 2, body, body_len);
	else
		put_ipv4(r, dst, p + 2, body, body_len);
	if (len >= ETH_MIN)
		return len;
	memset(frame + len, 0, ETH_MIN - len);
	return ETH_MIN;
}

/* A report of one record (RFC 3376 4.2, RFC 3810 5.2). */
static uint32_t put_report(const struct kbp_reports *r, const struct kbp_report_member *m,
			   uint8_t type, const struct kbp_addr *const *sources, uint32_t n,
			   uint8_t *frame)
{
	const struct protocol *pr = protocol_of(&m->group);
	uint8_t *body = body_of(m, frame), *p = body + 12;

	memset(body, 0, 12);
	body[0] = pr->report;
	body[7] = 1;
	body[8] = type;
	kbp_store_be16(body + 10, n);
	memcpy(p, m->group.bytes, pr->addr_bytes);
	p += pr->addr_bytes;
	for (uint32_t i = 0; i < n; i++, p += pr->addr_bytes)
		memcpy(p, sources[i]->bytes, pr->addr_bytes);
	return frame_finish(r, m, pr->all_reports, frame, (uint32_t)(p - body));
}

/* IGMPv2 (RFC 2236) or MLDv1 (RFC 2710), which know groups only. */
static uint32_t put_old(const struct kbp_reports *r, const struct kbp_report_member *m, bool leave,
			uint8_t *frame)
{
	const struct protocol *pr = protocol_of(&m->group);
	uint8_t *body = body_of(m, frame);

	memset(body, 0, pr->old_bytes);
	body[0] = leave ? pr->old_leave : pr->old_report;
	memcpy(body + pr->old_bytes - pr->addr_bytes, m->group.bytes, pr->addr_bytes);
	return frame_finish(r, m, leave ? pr->all_routers : m->group.bytes, frame, pr->old_bytes);
}

/* ---------------------------------------------------------------- what is due */

/* What the flows of m's group want together: any source, or these. */
struct wanted {
	bool any;
	uint32_t n;
	const struct kbp_addr *sources[KBP_REPORTS_MAX];
};

static void wanted_read(const struct kbp_reports *r, const struct kbp_report_member *m,
			struct wanted *w)
{
	w->any = false;
	w->n = 0;
	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		const struct kbp_report_member *o = &r->members[i];

		if (!o->uses || !same_group(o, m))
			continue;
		if (o->source.family)
			w->sources[w->n++] = &o->source;
		else
			w->any = true;
	}
}

/* A change of m that is due: the length of its report, or 0: the rest of the group makes it moot.
 *
 * Repeated after a second, the longest of the times that RFC 3376 8.11 has hosts draw from: what
 * swallowed the first is then most likely over. Hosts that start at the same moment are apart by
 * their startup. */
static uint32_t change_report(const struct kbp_reports *r, struct kbp_report_member *m,
			      uint8_t *frame, uint64_t now_ns)
{
	const struct kbp_addr *source = &m->source;
	struct wanted w;

	m->repeats--;
	m->change_ns = now_ns + KBP_REPORT_REPEAT_NS;
	wanted_read(r, m, &w);
	if (now_ns < m->old_until_ns) {
		if (m->uses)
			return put_old(r, m, false, frame);
		return w.any || w.n ? 0 : put_old(r, m, true, frame);
	}
	if (!m->source.family && m->uses)
		return put_report(r, m, TO_EX, NULL, 0, frame);
	if (!m->source.family)
		return put_report(r, m, TO_IN, w.sources, w.n, frame);
	if (w.any)
		return 0;
	return put_report(r, m, m->uses ? ALLOW : BLOCK, &source, 1, frame);
}

/* The current state of m's group. Of a list of sources, those that are due: a query may have named
 * some. */
static uint32_t answer_report(struct kbp_reports *r, struct kbp_report_member *m, uint8_t *frame,
			      uint64_t now_ns)
{
	bool old = now_ns < m->old_until_ns;
	struct wanted w;
	uint32_t n = 0;

	wanted_read(r, m, &w);
	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		struct kbp_report_member *o = &r->members[i];

		if (!o->uses || !same_group(o, m) || (!old && !w.any && o->answer_ns > now_ns))
			continue;
		o->answered_ns = now_ns;
		o->answer_ns = now_ns + KBP_REPORT_REFRESH_NS;
		w.sources[n++] = &o->source;
	}
	if (old)
		return put_old(r, m, false, frame);
	if (w.any)
		return put_report(r, m, IS_EX, NULL, 0, frame);
	return put_report(r, m, IS_IN, w.sources, n, frame);
}

uint32_t kbp_reports_next(struct kbp_reports *r, void *frame, uint32_t size, uint64_t now_ns)
{
	uint32_t len = 0;

	if (size < KBP_REPORT_BYTES)
		return 0;
	for (uint32_t i = 0; i < KBP_REPORTS_MAX && !len; i++) {
		struct kbp_report_member *m = &r->members[i];

		if (m->repeats && m->change_ns <= now_ns)
			len = change_report(r, m, frame, now_ns);
		if (!len && m->uses && m->answer_ns <= now_ns)
			len = answer_report(r, m, frame, now_ns);
	}
	return len;
}

/* ---------------------------------------------------------------- queries */

/* Every length in it is checked against the frame; pointers lead into the frame. */
struct query {
	const struct protocol *pr;
	uint32_t family, vlan;
	bool old;
	const uint8_t *group; /* NULL: general */
	const uint8_t *sources;
	uint32_t n_sources;
	uint64_t max_ns; /* time to answer */
};

uint64_t kbp_reports_igmp_code_ns(uint8_t code)
{
	uint32_t tenths = code;

	if (code & 0x80)
		tenths = ((code & 0xfu) | 0x10u) << ((code >> 4 & 7) + 3);
	return tenths * (100 * MS_NS);
}

uint64_t kbp_reports_mld_code_ns(uint16_t code)
{
	uint32_t ms = code;

	if (code & 0x8000)
		ms = ((code & 0xfffu) | 0x1000u) << ((code >> 12 & 7) + 3);
	return ms * MS_NS;
}

/* The older versions have no exponent, and IGMPv1 no time at all (RFC 3376 7.1). */
static uint64_t response_ns(const struct query *q, const uint8_t *body)
{
	if (q->pr == &mld && q->old)
		return load_be16(body + 4) * MS_NS;
	if (q->pr == &mld)
		return kbp_reports_mld_code_ns((uint16_t)load_be16(body + 4));
	if (!q->old)
		return kbp_reports_igmp_code_ns(body[1]);
	return body[1] ? body[1] * (100 * MS_NS) : V1_RESPONSE_NS;
}

/* A message whose checksum is right, sent to `dst`; `self` is our own address. */
static bool query_read_body(struct query *q, const uint8_t *body, uint32_t len, const uint8_t *dst,
			    const uint8_t *self)
{
	const struct protocol *pr = q->pr;
	uint32_t n = pr->addr_bytes, at = pr->old_bytes;
	struct kbp_addr group = { .family = (uint8_t)q->family };

	if (len < at || body[0] != pr->query || (len > at && len < at + 4))
		return false; /* other lengths are no version's: RFC 3376 7.1, RFC 3810 8.1 */
	q->old = len == at;
	q->max_ns = response_ns(q, body);
	q->group = body + at - n;
	if (!q->old) {
		q->n_sources = load_be16(body + at + 2);
		q->sources = body + at + 4;
		if (q->n_sources > (len - at - 4) / n)
			return false;
	}
	if (all_zero(q->group, n)) {
		q->group = NULL;
		if (q->n_sources)
			return false;
	} else {
		memcpy(group.bytes, q->group, n);
		if (!kbp_addr_is_multicast(&group))
			return false;
	}
	/* RFC 3376 9.1: a general one to any other group was forged far away. Ours: 4.1.12 */
	return !memcmp(dst, pr->all_nodes, n) || (q->group && !memcmp(dst, q->group, n)) ||
	       (!all_zero(self, n) && !memcmp(dst, self, n));
}

/* RFC 3376 9.1 would also have hosts ignore queries without Router Alert. Linux answers them, for
 * there are switches that leave it out, and so do we: the TTL keeps out what comes from afar. */
static bool query_read_ipv4(const struct kbp_reports *r, struct query *q, const uint8_t *ip,
			    uint32_t room)
{
	uint32_t head, len;

	if (room < IPV4_BYTES)
		return false;
	head = (ip[0] & 0xfu) * 4;
	len = load_be16(ip + 2);
	if (ip[0] >> 4 != 4 || head < IPV4_BYTES || len < head || len > room)
		return false;
	if (ip[9] != IPPROTO_IGMP || ip[8] != 1 || load_be16(ip + 6) & IPV4_MF_OFFSET)
		return false;
	if (kbp_csum_fold(kbp_csum_add(ip, head, 0)) != 0xffff ||
	    kbp_csum_fold(kbp_csum_add(ip + head, len - head, 0)) != 0xffff)
		return false;
	q->pr = &igmp;
	q->family = AF_INET;
	return query_read_body(q, ip + head, len - head, ip + 16, r->ip4);
}

/* Is there a Router Alert for MLD in the `len` bytes of options? (RFC 8200 4.2, RFC 2711) */
static bool has_alert(const uint8_t *p, uint32_t len)
{
	while (len) {
		uint32_t n = 1;

		if (*p) { /* not Pad1 */
			if (len < 2 || len - 2 < p[1])
				return false;
			n = p[1] + 2u;
		}
		if (*p == 5)
			return n == 4 && !p[2] && !p[3];
		p += n;
		len -= n;
	}
	return false;
}

/* RFC 3810 6.2: from a link-local address, with hop limit 1 and Router Alert, or not at all. */
static bool query_read_ipv6(const struct kbp_reports *r, struct query *q, const uint8_t *ip,
			    uint32_t room)
{
	const uint8_t *ext = ip + IPV6_BYTES;
	uint32_t len, head;

	if (room < IPV6_BYTES + ALERT6_BYTES)
		return false;
	len = load_be16(ip + 4);
	if (ip[0] >> 4 != 6 || len < ALERT6_BYTES || len > room - IPV6_BYTES)
		return false;
	if (ip[6] != IPPROTO_HOPOPTS || ip[7] != 1 || ip[8] != 0xfe || (ip[9] & 0xc0) != 0x80)
		return false;
	head = (ext[1] + 1u) * 8;
	if (ext[0] != IPPROTO_ICMPV6 || head > len || !has_alert(ext + 2, head - 2))
		return false;
	if (kbp_csum_fold(icmp6_sum(ip, ext + head, len - head)) != 0xffff)
		return false;
	q->pr = &mld;
	q->family = AF_INET6;
	return query_read_body(q, ext + head, len - head, ip + 24, r->ip6);
}

static bool query_read(const struct kbp_reports *r, struct query *q, const uint8_t *p, uint32_t len)
{
	uint32_t at = ETH_BYTES, type;

	memset(q, 0, sizeof(*q));
	if (len < ETH_BYTES + TAG_BYTES)
		return false;
	type = load_be16(p + at - 2);
	if (type == TYPE_8021Q || type == TYPE_8021AD) {
		q->vlan = load_be16(p + at) & 0xfffu;
		at += TAG_BYTES;
		type = load_be16(p + at - 2);
	}
	if (type == TYPE_IPV4)
		return query_read_ipv4(r, q, p + at, len - at);
	return type == TYPE_IPV6 && query_read_ipv6(r, q, p + at, len - at);
}

/* With any source wanted, a query that names some is answered by that, as Linux does
 * (igmp_xmarksources in net/ipv4/igmp.c): more than the named ones that RFC 3376 5.2 wants, and as
 * true. */
static bool query_asks(const struct query *q, const struct kbp_report_member *m)
{
	const uint8_t *source = q->sources;
	uint32_t n = q->pr->addr_bytes;

	if (!q->group)
		return true;
	if (memcmp(q->group, m->group.bytes, n) != 0)
		return false;
	if (!q->n_sources || !m->source.family)
		return true;
	for (uint32_t i = 0; i < q->n_sources; i++, source += n)
		if (!memcmp(source, m->source.bytes, n))
			return true;
	return false;
}

/* Within the first half of the time, so that a caller that looks late is still in time. Longer than
 * the minute after which the state is sent anyway makes no difference. */
static uint64_t draw_delay_ns(struct kbp_reports *r, uint64_t max_ns)
{
	uint64_t half_us = (max_ns < KBP_REPORT_REFRESH_NS ? max_ns : KBP_REPORT_REFRESH_NS) / 2000;

	r->random ^= r->random << 13;
	r->random ^= r->random >> 17;
	r->random ^= r->random << 5;
	return (r->random * half_us >> 32) * 1000;
}

bool kbp_reports_hear(struct kbp_reports *r, const void *frame, uint32_t len, uint64_t now_ns)
{
	struct query q;
	uint64_t at_ns;

	if (!query_read(r, &q, frame, len))
		return false;
	at_ns = now_ns + draw_delay_ns(r, q.max_ns); /* one for all: RFC 3376 5.2 */
	for (uint32_t i = 0; i < KBP_REPORTS_MAX; i++) {
		struct kbp_report_member *m = &r->members[i];
		uint64_t free_ns = m->answered_ns + KBP_REPORT_GAP_NS, due_ns = at_ns;

		if (m->group.family != q.family || m->vlan != q.vlan)
			continue;
		if (q.old && !q.group) /* RFC 3376 7.2.1: a general one */
			m->old_until_ns = now_ns + KBP_REPORT_OLD_NS;
		if (!m->uses || !query_asks(&q, m))
			continue;
		if (m->answered_ns && due_ns < free_ns)
			due_ns = free_ns;
		if (due_ns < m->answer_ns)
			m->answer_ns = due_ns;
	}
	return true;
}
