/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.c - what a NIC understands of a frame: headers for its filters, checksums. */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, ETH_VLAN = 0x8100, ETH_QINQ = 0x88a8 };

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t raw16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void parse_ports(const uint8_t *frame, uint32_t end, struct sn_parsed *p)
{
	uint32_t need = p->proto == IPPROTO_UDP ? 8 : 20;

	if (p->proto != IPPROTO_UDP && p->proto != IPPROTO_TCP)
		return;
	if (p->l4_at + need > end)
		return;
	p->ports = true;
	p->l4_len = end - p->l4_at;
	p->sport = raw16(frame + p->l4_at);
	p->dport = raw16(frame + p->l4_at + 2);
}

static void parse_ip4(const uint8_t *frame, uint32_t len, uint32_t at, struct sn_parsed *p)
{
	const uint8_t *ip = frame + at;
	uint32_t header, total;

	if (at + 20 > len || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (header < 20 || total < header || at + total > len)
		return;
	p->ip = 4;
	p->proto = ip[9];
	p->src = ip + 12;
	p->dst = ip + 16;
	p->l4_at = at + header;
	/* neither more fragments nor an offset: the ports are here, and all of the payload */
	if (!(be16(ip + 6) & 0x3fff))
		parse_ports(frame, at + total, p);
}

static void parse_ip6(const uint8_t *frame, uint32_t len, uint32_t at, struct sn_parsed *p)
{
	const uint8_t *ip = frame + at;
	uint32_t total;

	if (at + 40 > len || ip[0] >> 4 != 6)
		return;
	total = 40u + be16(ip + 4);
	if (at + total > len)
		return;
	p->ip = 6;
	p->proto = ip[6];
	p->src = ip + 8;
	p->dst = ip + 24;
	p->l4_at = at + 40;
	parse_ports(frame, at + total, p);
}

void sn_frame_parse(const uint8_t *frame, uint32_t len, struct sn_parsed *p)
{
	uint32_t at = 12;

	memset(p, 0, sizeof(*p));
	p->vlan = SN_VLAN_NONE;
	if (len < 14)
		return;
	p->multicast = frame[0] & 1;
	for (unsigned tags = 0; tags < 2 && at + 6 <= len; tags++) {
		uint16_t type = be16(frame + at);

		if (type != ETH_VLAN && type != ETH_QINQ)
			break;
		if (!tags)
			p->vlan = be16(frame + at + 2) & 0xfff;
		at += 4;
	}
	p->ethertype = be16(frame + at);
	p->l3_at = at + 2;
	if (p->ethertype == ETH_IP4)
		parse_ip4(frame, len, p->l3_at, p);
	else if (p->ethertype == ETH_IP6)
		parse_ip6(frame, len, p->l3_at, p);
}

/* ---------------------------------------------------------------- checksums, RFC 1071 */

static uint64_t sum(const uint8_t *p, uint32_t len, uint64_t s)
{
	for (; len >= 4; len -= 4, p += 4)
		s += (uint64_t)be16(p) + be16(p + 2);
	if (len >= 2) {
		s += be16(p);
		p += 2;
		len -= 2;
	}
	return len ? s + ((uint64_t)*p << 8) : s;
}

static uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static uint16_t l4_sum(const uint8_t *frame, const struct sn_parsed *p)
{
	uint64_t s = (uint64_t)p->proto + p->l4_len;

	s = sum(p->src, p->ip == 4 ? 8 : 32, s);
	return fold(sum(frame + p->l4_at, p->l4_len, s));
}

static uint32_t l4_sum_at(const struct sn_parsed *p)
{
	return p->l4_at + (p->proto == IPPROTO_UDP ? 6 : 16);
}

unsigned sn_frame_verify(const uint8_t *frame, uint32_t len, const struct sn_parsed *p)
{
	unsigned errors = 0;

	(void)len;
	if (!p->ip)
		errors |= EF_VI_DISCARD_RX_L3_CLASS_OTHER;
	if (p->ethertype < 0x600)
		errors |= EF_VI_DISCARD_RX_L2_CLASS_OTHER;
	if (!p->ports)
		errors |= EF_VI_DISCARD_RX_L4_CLASS_OTHER;
	if (p->ip == 4 && fold(sum(frame + p->l3_at, p->l4_at - p->l3_at, 0)) != 0xffff)
		errors |= EF_VI_DISCARD_RX_L3_CSUM_ERR;
	if (p->ports) {
		/* RFC 768: 0 means that the sender did not make one, over IPv4 */
		bool none = p->proto == IPPROTO_UDP && p->ip == 4 && !raw16(frame + l4_sum_at(p));

		if (!none && l4_sum(frame, p) != 0xffff)
			errors |= EF_VI_DISCARD_RX_L4_CSUM_ERR;
	}
	return errors;
}

void sn_frame_checksum(uint8_t *frame, uint32_t len, bool l3, bool l4)
{
	struct sn_parsed p;
	uint16_t s;

	sn_frame_parse(frame, len, &p);
	if (l3 && p.ip == 4) {
		put16(frame + p.l3_at + 10, 0);
		s = fold(sum(frame + p.l3_at, p.l4_at - p.l3_at, 0));
		put16(frame + p.l3_at + 10, (uint16_t)~s);
	}
	if (l4 && p.ports) {
		put16(frame + l4_sum_at(&p), 0);
		s = (uint16_t)~l4_sum(frame, &p);
		put16(frame + l4_sum_at(&p), !s && p.proto == IPPROTO_UDP ? 0xffff : s);
	}
}
