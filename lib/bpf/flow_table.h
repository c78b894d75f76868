/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * flow_table.h - what the XDP program and af_xdp_setup.c agree on.
 *
 * Flows are found by hash only. A flow that leaves members open ("any source") has a *shape*: the
 * mask of the members that count. The program masks the packet's key once per shape in use and
 * looks it up; the number of shapes is capped, the number of flows per shape is not what costs.
 */
#ifndef KBP_FLOW_TABLE_H
#define KBP_FLOW_TABLE_H

#define KBP_FLOWS_MAX 4096
#define KBP_SHAPES_MAX 8
#define KBP_CHANNELS_MAX 256

/* All in network byte order; IPv4 addresses in the first four bytes, the rest zero. */
struct kbp_flow_key {
	__u64 dst[2];
	__u64 src[2];
	__u16 dst_port;
	__u16 src_port;
	__u16 vlan;  /* VID of the outer tag, host order; 0: untagged */
	__u8 family; /* 4 or 6 */
	__u8 proto;
};

/* Whose stamp a stamping program writes into the 8 bytes in front of a packet, 0 when there is none. Settled
 * once for a port, by the program at its first packet or by user space before that. */
enum kbp_xdp_stamper {
	KBP_XDP_STAMPER_OPEN,
	KBP_XDP_STAMPER_SOFTWARE, /* the program's own: CLOCK_TAI when it ran */
	KBP_XDP_STAMPER_NIC,	  /* as the driver gives it */
	KBP_XDP_STAMPER_NO_ROOM,  /* nobody's: the driver keeps no room in front of packets */
};

enum kbp_xdp_count {
	KBP_XDP_MATCHED,   /* redirected to a queue of ours */
	KBP_XDP_UNSERVED,  /* matched, but no queue of ours on this channel: given to the kernel */
	KBP_XDP_FRAGMENTS, /* fragments carry no ports: given to the kernel */
	KBP_XDP_COUNTS
};

#endif
