/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagram.c - from an Ethernet frame to a UDP payload.
 *
 * Every length in the frame is a claim of the sender's. Two bounds are kept apart: `room`, the
 * bytes this frame really has (beyond it: TRUNCATED), and `ip_len`, the bytes the IP header says
 * there are (beyond it: MALFORMED). Ethernet padding and trailers lie between the two and are never
 * looked at.
 */
#include <netinet/in.h>
#include <string.h>

#include "internal.h"

#define ETH_BYTES 14u
#define TAG_BYTES 4u
#define MAX_TAGS 2u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TYPE_8021Q 0x8100u
#define TYPE_8021AD 0x88a8u
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define IPV4_MF 0x2000u
#define IPV4_OFFSET 0x1fffu
#define IPV6_FRAGMENT 0xfff9u /* offset and "more"; the bits between are reserved */
#define UDP_BYTES 8u
#define EXT_BYTES 8u /* the unit of IPv6 extension headers (RFC 8200 section 4) */
#define MAX_EXTS 8u  /* more than any sender has use for */

static uint32_t load_be16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

static enum kbp_parse parse_udp(const uint8_t *p, uint32_t room, uint32_t ip_len, bool more,
				struct kbp_datagram *d)
{
	uint32_t udp_len;

	if (ip_len < UDP_BYTES)
		return KBP_PARSE_MALFORMED;
	if (room < UDP_BYTES)
		return KBP_PARSE_TRUNCATED;
	udp_len = load_be16(p + 4);
	/* 0 stands for a jumbogram (RFC 2675), which no Ethernet carries. Shorter than the IP
	 * payload is fine: the kernel trims it too (net/ipv4/udp.c, __udp4_lib_rcv) */
	if (udp_len < UDP_BYTES || udp_len > ip_len)
		return KBP_PARSE_MALFORMED;
	if (udp_len > room && !more)
		return KBP_PARSE_TRUNCATED;
	d->src_port = (uint16_t)load_be16(p);
	d->dst_port = (uint16_t)load_be16(p + 2);
	d->payload = p + UDP_BYTES;
	d->total_len = udp_len - UDP_BYTES;
	d->len = (udp_len < room ? udp_len : room) - UDP_BYTES;
	return KBP_PARSE_OK;
}

static enum kbp_parse parse_ipv4(const uint8_t *p, uint32_t room, bool more, struct kbp_datagram *d)
{
	uint32_t head, ip_len;

	if (room < IPV4_BYTES)
		return KBP_PARSE_TRUNCATED;
	head = (p[0] & 0xfu) * 4;
	ip_len = load_be16(p + 2);
	if (p[0] >> 4 != 4 || head < IPV4_BYTES || ip_len < head)
		return KBP_PARSE_MALFORMED;
	if (p[9] != IPPROTO_UDP)
		return KBP_PARSE_NOT_UDP;
	if (load_be16(p + 6) & (IPV4_MF | IPV4_OFFSET))
		return KBP_PARSE_FRAGMENT;
	if (room < head)
		return KBP_PARSE_TRUNCATED;
	d->src.family = AF_INET;
	d->dst.family = AF_INET;
	memcpy(d->src.bytes, p + 12, 4);
	memcpy(d->dst.bytes, p + 16, 4);
	return parse_udp(p + head, room - head, ip_len - head, more, d);
}

static enum kbp_parse parse_ipv6(const uint8_t *p, uint32_t room, bool more, struct kbp_datagram *d)
{
	uint32_t ip_len, next;

	if (room < IPV6_BYTES)
		return KBP_PARSE_TRUNCATED;
	if (p[0] >> 4 != 6)
		return KBP_PARSE_MALFORMED;
	ip_len = load_be16(p + 4);
	next = p[6];
	d->src.family = AF_INET6;
	d->dst.family = AF_INET6;
	memcpy(d->src.bytes, p + 8, 16);
	memcpy(d->dst.bytes, p + 24, 16);
	p += IPV6_BYTES;
	room -= IPV6_BYTES;
	for (unsigned i = 0; next != IPPROTO_UDP; i++) {
		uint32_t ext = EXT_BYTES;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			return KBP_PARSE_NOT_UDP;
		if (i == MAX_EXTS || ip_len < EXT_BYTES)
			return KBP_PARSE_MALFORMED;
		if (room < EXT_BYTES)
			return KBP_PARSE_TRUNCATED;
		if (next != IPPROTO_FRAGMENT)
			ext += p[1] * EXT_BYTES;
		else if (load_be16(p + 2) & IPV6_FRAGMENT)
			return KBP_PARSE_FRAGMENT; /* an atomic one (RFC 6946) is whole and goes
						    * on */
		if (ip_len < ext)
			return KBP_PARSE_MALFORMED;
		if (room < ext)
			return KBP_PARSE_TRUNCATED;
		next = p[0];
		p += ext;
		room -= ext;
		ip_len -= ext;
	}
	return parse_udp(p, room, ip_len, more, d);
}

enum kbp_parse kbp_datagram_parse(const void *frame, uint32_t len, bool more, struct kbp_datagram *d)
{
	const uint8_t *p = frame;
	uint32_t at = ETH_BYTES, type;

	memset(d, 0, sizeof(*d));
	if (len < ETH_BYTES)
		return KBP_PARSE_TRUNCATED;
	type = load_be16(p + at - 2);
	for (unsigned tag = 0; tag < MAX_TAGS && (type == TYPE_8021Q || type == TYPE_8021AD); tag++) {
		if (len < at + TAG_BYTES)
			return KBP_PARSE_TRUNCATED;
		if (!tag)
			d->vlan = (uint16_t)(load_be16(p + at) & 0xfffu);
		at += TAG_BYTES;
		type = load_be16(p + at - 2);
	}
	if (type == TYPE_IPV4)
		return parse_ipv4(p + at, len - at, more, d);
	if (type == TYPE_IPV6)
		return parse_ipv6(p + at, len - at, more, d);
	return KBP_PARSE_NOT_IP;
}

enum kbp_parse kbp_datagram(const struct kbp_queue *q, const struct kbp_frame *f,
			    struct kbp_datagram *d)
{
	const struct kbp_backend *b = q->port->b;

	if (b->datagram)
		return b->datagram(q, f, d);
	return kbp_datagram_parse(f->data, f->len, f->flags & KBP_FRAME_MORE, d);
}
