/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp.h - the prebuilt header of a txflow and the checksums, shared by every backend that sends
 * Ethernet.
 *
 * A header has 42 bytes (IPv4), 46 (with a VLAN tag), 62 or 66 (IPv6). Fixed-size copies that run
 * on into the payload, which is not written yet, are cheaper than exact ones.
 */
#ifndef KBYPASS_HOT_H
#include <kbypass/hot.h> /* which includes this file in its place */
#elif !defined(KBYPASS_HOT_UDP_H)
#define KBYPASS_HOT_UDP_H

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_HDR_ROOM 80u   /* room in front of every TX payload */
#define KBP_HDR_COMMON 48u /* bytes copied for IPv4, with or without a tag */

/* A destination. Made by kbp_txflow_open; read only on the hot path. */
struct kbp_txflow {
	struct kbp_queue *q; /* first: kbp_tx_reserve relies on it */
	uint32_t room;	     /* largest payload */
	uint8_t hdr_len;     /* 0: raw frames */
	uint8_t ipv6;
	uint16_t tx_mode; /* enum kbp_tx_mode: how kbp_tx_each sends; NONE: in the only way, or in array form */
	uint32_t ip_sum;  /* folded sum of the IPv4 header, length and checksum zero */
	uint32_t udp_sum; /* folded sum of pseudo header and UDP ports, lengths zero */
	void *priv;	  /* the backend's */
	void *cold;	  /* the library's */
	uint8_t pad[8];
	uint8_t hdr[KBP_HDR_ROOM]; /* the first hdr_len bytes: Ethernet, tag, IP, UDP */
};

KBP_STATIC_ASSERT(offsetof(struct kbp_txflow, q) == 0, "kbp_tx_reserve reads it");
KBP_STATIC_ASSERT(offsetof(struct kbp_txflow, hdr) == 48, "16-byte aligned for the copy");

KBP_INLINE void kbp_store_be16(uint8_t *p, uint32_t v)
{
	uint16_t be = __builtin_bswap16((uint16_t)v);

	memcpy(p, &be, sizeof(be));
}

/* Ones' complement sum of `len` bytes (RFC 1071), any byte order, added to a sum below 2^63. All 64
 * bits of the result may be in use: for kbp_csum_fold only. */
KBP_INLINE uint64_t kbp_csum_wide(const uint8_t *p, uint32_t len, uint64_t sum)
{
	const uint8_t *end = p + (len & ~7u), *tail = end;
	uint64_t w;
	uint32_t half;
	uint16_t h;

	if (len & 7) {
		if (len & 4) {
			memcpy(&half, tail, 4);
			sum += half;
			tail += 4;
		}
		if (len & 2) {
			memcpy(&h, tail, 2);
			sum += h;
			tail += 2;
		}
		if (len & 1)
			sum += *tail;
	}
	for (; p != end; p += 8) {
		memcpy(&w, p, 8);
		sum += w;
		sum += sum < w; /* the carry comes round */
	}
	return sum;
}

/* The same, folded so far that the result can be added to. */
KBP_INLINE uint64_t kbp_csum_add(const uint8_t *p, uint32_t len, uint64_t sum)
{
	sum = kbp_csum_wide(p, len, sum);
	return (sum & 0xffffffffu) + (sum >> 32);
}

/* Added to itself turned by 16 bits, the upper half is the sum of both halves with the carry of the
 * lower. */
KBP_INLINE uint16_t kbp_csum_fold32(uint32_t sum)
{
	return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16);
}

KBP_INLINE uint16_t kbp_csum_fold(uint64_t sum)
{
	uint32_t low = (uint32_t)sum + (uint32_t)(sum >> 32);

	return kbp_csum_fold32(low + (low < (uint32_t)sum));
}

/* Copy the header to the beginning of a frame that has KBP_HDR_ROOM bytes, and whose payload is
 * unwritten. */
KBP_INLINE void kbp_udp_head(const struct kbp_txflow *t, uint8_t *frame)
{
	memcpy(frame, t->hdr, KBP_HDR_COMMON);
	if (KBP_UNLIKELY(t->hdr_len > KBP_HDR_COMMON))
		memcpy(frame + KBP_HDR_COMMON, t->hdr + KBP_HDR_COMMON,
		       KBP_HDR_ROOM - KBP_HDR_COMMON);
}

/* The same in front of a payload that has KBP_HDR_ROOM bytes before it. */
KBP_INLINE void kbp_udp_begin(const struct kbp_txflow *t, uint8_t *payload)
{
	kbp_udp_head(t, payload - t->hdr_len);
}

/* Lengths and checksums, once the payload is written. Not for raw txflows. A UDP sum of zero is
 * sent as 0xffff (RFC 768). */
KBP_INLINE void kbp_udp_finish(const struct kbp_txflow *t, uint8_t *payload, uint32_t len)
{
	uint16_t udp_len = __builtin_bswap16((uint16_t)(len + 8));
	uint16_t sum;

	memcpy(payload - 4, &udp_len, 2);
	if (KBP_LIKELY(!t->ipv6)) {
		uint16_t ip_len = __builtin_bswap16((uint16_t)(len + 28));
		uint16_t ip_sum = (uint16_t)~kbp_csum_fold32(t->ip_sum + ip_len);

		memcpy(payload - 26, &ip_len, 2);
		memcpy(payload - 18, &ip_sum, 2);
	} else {
		memcpy(payload - 44, &udp_len, 2);
	}
	/* the length stands in the pseudo header and in the UDP header */
	sum = (uint16_t)~kbp_csum_fold(
		kbp_csum_wide(payload, len, (uint64_t)t->udp_sum + 2ull * udp_len));
	if (!sum)
		sum = 0xffff;
	memcpy(payload - 2, &sum, 2);
}

#ifdef __cplusplus
}
#endif
#endif
