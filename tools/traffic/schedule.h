/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule.h - how schedules are built, and the Ethernet/IP/UDP headers that builders write and
 * edit. Nothing here is installed.
 */
#ifndef KBP_TRAFFIC_SCHEDULE_H
#define KBP_TRAFFIC_SCHEDULE_H

#include <kbypass/traffic.h>

#define KBP_AT_NS_MAX \
	(1ull << 60) /* 36 years: later stamps are damage, and ticks must not overflow */
#define KBP_FLOWS_MAX 65535u
#define KBP_UDP_HEADERS_MAX \
	(14u + 4u + 40u + 8u) /* what kbp_udp_write puts in front of a payload, at most */

/* ---------------------------------------------------------------- random numbers */

/* SplitMix64 (Steele, Lea, Flood 2014): one word of state, the same sequence everywhere. */
static inline uint64_t kbp_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double kbp_random_unit(uint64_t *state)
{
	return (double)(kbp_random(state) >> 11) * 0x1p-53;
}

/* ---------------------------------------------------------------- builder (schedule.c) */

/* A schedule that still grows. All zero is empty. */
struct kbp_builder {
	struct kbp_schedule_frame *frames;
	struct kbp_flow *flows;
	uint8_t *bytes;
	uint32_t *slots; /* open addressing, flow index + 1; KBP_BUILDER_SLOTS of them */
	size_t frames_room, flows_room, bytes_room;
	uint64_t n_bytes;
	uint32_t n_frames, n_flows;
	uint32_t len_max, mtu_min;
	bool loop; /* RECORDED repeats when it is shorter than asked for */
};

/* -EINVAL with the member when the timing makes no sense. */
int kbp_timing_check(const struct kbp_timing *t, struct kbp_error *err);
/* BURSTS: the longest time between two frames; otherwise UINT64_MAX. */
uint64_t kbp_timing_gap(const struct kbp_timing *t);
/* Frames that CONSTANT or POISSON timing asks for; `once` when it does not say. */
uint64_t kbp_timing_frames(const struct kbp_timing *t, uint64_t once);
/* Index of the flow (dst, dst_port, vlan), added when new; -E2BIG, -ENOMEM. */
int kbp_builder_flow(struct kbp_builder *b, const struct kbp_addr *dst, uint16_t dst_port,
		     uint16_t vlan);
/* Append a frame. Times must not go back. 0, -E2BIG or -ENOMEM. */
int kbp_builder_add(struct kbp_builder *b, const uint8_t *frame, uint32_t len,
		    uint32_t payload_offset, uint32_t payload_len, uint32_t flow, uint64_t at_ns);
/* Make the schedule of what was added (at least one frame). The builder is empty afterwards in any
 * case. */
int kbp_builder_finish(struct kbp_builder *b, const struct kbp_timing *t, struct kbp_schedule **out,
		       struct kbp_error *err);
void kbp_builder_free(struct kbp_builder *b);

/* ---------------------------------------------------------------- frames (frame.c) */

/* Where the headers of a whole UDP datagram are. */
struct kbp_udp_layout {
	uint32_t ip, udp; /* offsets of the headers */
	uint32_t ip_end;  /* bytes beyond are no part of the IP packet */
	bool ipv6;
};

void kbp_group_mac(const struct kbp_addr *group, uint8_t mac[6]);
/* Of a frame that kbp_datagram_parse accepted with `d`. */
void kbp_udp_locate(const uint8_t *frame, const struct kbp_datagram *d, struct kbp_udp_layout *l);
/* Set IP and UDP checksums; true when one of them was wrong. A UDP checksum of 0 over IPv4 is
 * "none", and stays. */
bool kbp_udp_mend(uint8_t *frame, const struct kbp_udp_layout *l);
/* Headers for `payload_len` bytes, checksums still to be set by kbp_udp_mend. Returns their
 * length. */
uint32_t kbp_udp_write(uint8_t *frame, const struct kbp_flow *flow, const uint8_t src_mac[6],
		       const uint8_t dst_mac[6], uint32_t payload_len);

#endif
