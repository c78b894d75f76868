/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.h - Ethernet/IPv4/UDP frames made and checked by hand, independent of the code under
 * test. */
#ifndef KBP_TEST_FRAME_H
#define KBP_TEST_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FRAME_UDP_HDR 42u

struct frame_addr {
	uint8_t src_mac[6], dst_mac[6];
	uint32_t src_ip, dst_ip; /* host order */
	uint16_t src_port, dst_port;
};

static inline void frame_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void frame_be32(uint8_t *p, uint32_t v)
{
	frame_be16(p, v >> 16);
	frame_be16(p + 2, v & 0xffff);
}

static inline uint32_t frame_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static inline uint16_t frame_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* RFC 768: the pseudo header, then header and payload as they stand. */
static inline uint32_t frame_udp_sum(const uint8_t *ip, const uint8_t *udp, uint32_t udp_len)
{
	return frame_sum(udp, udp_len, frame_sum(ip + 12, 8, 17 + udp_len));
}

/* Writes the headers around `len` bytes of payload; returns the frame's length. Multicast gets its
 * group's MAC. */
static inline uint32_t frame_udp(uint8_t *f, const struct frame_addr *a, const void *payload,
				 uint32_t len)
{
	uint8_t *ip = f + 14, *udp = f + 34;
	uint16_t sum;

	memset(f, 0, FRAME_UDP_HDR);
	memcpy(f, a->dst_mac, 6);
	if (a->dst_ip >> 28 == 0xe) {
		f[0] = 0x01;
		f[1] = 0x00;
		f[2] = 0x5e;
		f[3] = (uint8_t)(a->dst_ip >> 16 & 0x7f);
		frame_be16(f + 4, a->dst_ip & 0xffff);
	}
	memcpy(f + 6, a->src_mac, 6);
	frame_be16(f + 12, 0x0800);
	ip[0] = 0x45;
	frame_be16(ip + 2, len + 28);
	frame_be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = 17;
	frame_be32(ip + 12, a->src_ip);
	frame_be32(ip + 16, a->dst_ip);
	frame_be16(ip + 10, (uint16_t)~frame_fold(frame_sum(ip, 20, 0)));
	frame_be16(udp, a->src_port);
	frame_be16(udp + 2, a->dst_port);
	frame_be16(udp + 4, len + 8);
	memcpy(udp + 8, payload, len);
	sum = (uint16_t)~frame_fold(frame_udp_sum(ip, udp, len + 8));
	frame_be16(udp + 6, sum ? sum : 0xffff);
	return len + FRAME_UDP_HDR;
}

/* Both checksums right, and the UDP one present. */
static inline bool frame_checksums_ok(const uint8_t *f, uint32_t len)
{
	const uint8_t *ip = f + 14, *udp = ip + (ip[0] & 15u) * 4;
	uint32_t udp_len = (uint32_t)udp[4] << 8 | udp[5];

	if ((uint32_t)(udp - f) + udp_len > len || !(udp[6] | udp[7]))
		return false;
	return frame_fold(frame_sum(ip, (ip[0] & 15u) * 4, 0)) == 0xffff &&
	       frame_fold(frame_udp_sum(ip, udp, udp_len)) == 0xffff;
}

#endif
