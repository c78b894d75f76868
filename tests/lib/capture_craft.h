/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture_craft.h - captures made byte by byte, good ones and damaged ones, for tests.
 */
#ifndef KBP_TEST_CAPTURE_CRAFT_H
#define KBP_TEST_CAPTURE_CRAFT_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#define CRAFT_MAX (1u << 20)

/* A file in the making. */
struct craft {
	uint8_t bytes[CRAFT_MAX];
	size_t len;
	int big; /* big-endian headers */
};

static inline void craft_bytes(struct craft *c, const void *p, size_t n)
{
	if (c->len + n > CRAFT_MAX)
		abort();
	memcpy(c->bytes + c->len, p, n);
	c->len += n;
}

static inline void craft_u16(struct craft *c, uint16_t v)
{
	if (c->big)
		v = __builtin_bswap16(v);
	craft_bytes(c, &v, 2);
}

static inline void craft_u32(struct craft *c, uint32_t v)
{
	if (c->big)
		v = __builtin_bswap32(v);
	craft_bytes(c, &v, 4);
}

static inline void craft_pcap(struct craft *c, uint32_t magic, uint32_t snaplen, uint32_t link)
{
	craft_u32(c, magic);
	craft_u16(c, 2);
	craft_u16(c, 4);
	craft_u32(c, 0);
	craft_u32(c, 0);
	craft_u32(c, snaplen);
	craft_u32(c, link);
}

#define CRAFT_US 0xa1b2c3d4u
#define CRAFT_NS 0xa1b23c4du

static inline void craft_record(struct craft *c, uint32_t s, uint32_t frac, const void *frame,
				uint32_t caplen, uint32_t len)
{
	craft_u32(c, s);
	craft_u32(c, frac);
	craft_u32(c, caplen);
	craft_u32(c, len);
	craft_bytes(c, frame, caplen);
}

/* A pcapng block around `n` body bytes (a multiple of 4). */
static inline void craft_block(struct craft *c, uint32_t type, const void *body, uint32_t n)
{
	craft_u32(c, type);
	craft_u32(c, n + 12);
	craft_bytes(c, body, n);
	craft_u32(c, n + 12);
}

static inline void craft_pcapng(struct craft *c, uint16_t link, int ns)
{
	craft_u32(c, 0x0a0d0d0au); /* section header */
	craft_u32(c, 28);
	craft_u32(c, 0x1a2b3c4du);
	craft_u16(c, 1);
	craft_u16(c, 0);
	craft_u32(c, 0xffffffffu);
	craft_u32(c, 0xffffffffu);
	craft_u32(c, 28);
	craft_u32(c, 1); /* interface description */
	craft_u32(c, ns ? 32 : 20);
	craft_u16(c, link);
	craft_u16(c, 0);
	craft_u32(c, 262144);
	if (ns) { /* if_tsresol 9, end of options */
		craft_u16(c, 9);
		craft_u16(c, 1);
		craft_bytes(c, "\x09\0\0\0", 4);
		craft_u32(c, 0);
	}
	craft_u32(c, ns ? 32 : 20);
}

static inline void craft_packet_block(struct craft *c, uint64_t ts, const void *frame, uint32_t len)
{
	uint32_t padded = (len + 3) & ~3u;

	craft_u32(c, 6);
	craft_u32(c, padded + 32);
	craft_u32(c, 0);
	craft_u32(c, (uint32_t)(ts >> 32));
	craft_u32(c, (uint32_t)ts);
	craft_u32(c, len);
	craft_u32(c, len);
	craft_bytes(c, frame, len);
	craft_bytes(c, "\0\0\0", padded - len);
	craft_u32(c, padded + 32);
}

static inline void craft_gzip(const struct craft *in, struct craft *out)
{
	z_stream z = { 0 };

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (uint8_t *)(uintptr_t)in->bytes;
	z.avail_in = (unsigned)in->len;
	z.next_out = out->bytes;
	z.avail_out = CRAFT_MAX;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	out->len = z.total_out;
	deflateEnd(&z);
}

/* Give the bytes a path, in memory. Close the descriptor afterwards. */
static inline int craft_path(const struct craft *c, char path[64])
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	if (fd < 0 || write(fd, c->bytes, c->len) != (ssize_t)c->len)
		abort();
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

/* What the Ethernet frames below differ in. */
enum {
	CRAFT_VLAN = 1,	    /* tagged 7 */
	CRAFT_GROUP = 2,    /* 239.1.2.3 rather than 10.9.8.7 */
	CRAFT_FRAGMENT = 4, /* more fragments follow */
	CRAFT_TCP = 8,
	CRAFT_ARP = 16,
	CRAFT_BAD_SUMS = 32,
	CRAFT_TRAILER = 64, /* four bytes of FCS */
	CRAFT_NO_UDP_SUM = 128,
	CRAFT_IPV6 = 256, /* to ff3e::5, or 2001:db8::7 without CRAFT_GROUP */
};

/* Ones' complement sum of big-endian words, the slow and plain way: not the code under test. */
static inline uint32_t craft_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Are IP and UDP checksums of this frame right? IPv4 and IPv6 without options, tagged or not. */
static inline int craft_sums_right(const uint8_t *f)
{
	const uint8_t *ip = f + (f[12] == 0x81 ? 18 : 14), *udp;
	uint32_t udp_len, sum;

	if (ip[0] >> 4 == 6) {
		udp = ip + 40;
		sum = craft_sum(ip + 8, 32, 0);
	} else {
		if (ip[0] != 0x45 || craft_sum(ip, 20, 0) != 0xffff)
			return 0;
		udp = ip + 20;
		sum = craft_sum(ip + 12, 8, 0);
		if (!udp[6] && !udp[7])
			return 1;
	}
	udp_len = (uint32_t)udp[4] << 8 | udp[5];
	return craft_sum(udp, udp_len, sum + 17 + udp_len) == 0xffff;
}

static inline uint32_t craft_frame(uint8_t *f, unsigned what, uint16_t port, const void *payload,
				   uint32_t n)
{
	static const uint8_t start[12] = { 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8 };
	uint8_t *p = f + 12, *ip, *udp;
	uint32_t sum, udp_len = n + 8, ip_len = n + 28;

	memcpy(f, start, 12);
	if (what & CRAFT_VLAN) {
		memcpy(p, "\x81\x00\x00\x07", 4);
		p += 4;
	}
	memcpy(p, what & CRAFT_ARP ? "\x08\x06" : what & CRAFT_IPV6 ? "\x86\xdd" : "\x08\x00", 2);
	ip = p + 2;
	if (what & CRAFT_IPV6) {
		uint8_t head[8] = { 0x60, 0, 0, 0, (uint8_t)(udp_len >> 8), (uint8_t)udp_len, 17, 1 };

		memcpy(ip, head, 8);
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x06", 16);
		if (what & CRAFT_GROUP)
			memcpy(ip + 24, "\xff\x3e\0\0\0\0\0\0\0\0\0\0\0\0\0\x05", 16);
		else
			memcpy(ip + 24, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
		udp = ip + 40;
		sum = craft_sum(ip + 8, 32, 0);
	} else {
		uint8_t head[20] = { 0x45,
				     0,
				     (uint8_t)(ip_len >> 8),
				     (uint8_t)ip_len,
				     0,
				     1,
				     0,
				     0,
				     64,
				     17,
				     0,
				     0,
				     10,
				     1,
				     1,
				     1,
				     10,
				     9,
				     8,
				     7 };

		if (what & CRAFT_GROUP)
			memcpy(head + 16, "\xef\x01\x02\x03", 4);
		if (what & CRAFT_FRAGMENT)
			head[6] = 0x20;
		if (what & CRAFT_TCP)
			head[9] = 6;
		sum = ~craft_sum(head, 20, 0);
		head[10] = (uint8_t)(sum >> 8);
		head[11] = (uint8_t)sum;
		memcpy(ip, head, 20);
		udp = ip + 20;
		sum = craft_sum(ip + 12, 8, 0);
	}
	{
		uint8_t head[8] = { 0x30,
				    0x39,
				    (uint8_t)(port >> 8),
				    (uint8_t)port,
				    (uint8_t)(udp_len >> 8),
				    (uint8_t)udp_len,
				    0,
				    0 };

		memcpy(udp, head, 8);
	}
	memcpy(udp + 8, payload, n);
	sum = ~craft_sum(udp, udp_len, sum + 17 + udp_len);
	if (!(what & CRAFT_NO_UDP_SUM)) {
		udp[6] = (uint8_t)(sum >> 8);
		udp[7] = (uint8_t)sum;
	}
	if (what & CRAFT_BAD_SUMS)
		udp[7] ^= 0x55;
	p = udp + udp_len;
	if (what & CRAFT_TRAILER) {
		memcpy(p, "\xde\xad\xbe\xef", 4);
		p += 4;
	}
	return (uint32_t)(p - f);
}

#endif
