/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * flow_redirect.bpf.c - redirect the chosen UDP flows to AF_XDP, pass everything else to the kernel, so that
 * ssh, ARP, PTP and IGMP live on.
 *
 * Compiled three times: as it is; with KBP_STAMP, which writes a stamp in front of redirected packets (enum
 * kbp_xdp_stamper); with KBP_STAMP_NIC too, which asks the driver for the NIC's. They share their maps.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow_table.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, KBP_CHANNELS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KBP_FLOWS_MAX);
	__type(key, struct kbp_flow_key);
	__type(value, __u32);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KBP_SHAPES_MAX);
	__type(key, __u32);
	__type(value, struct kbp_flow_key);
} shapes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KBP_XDP_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

__u32 n_shapes; /* shapes in use; written by user space after the shape itself */
__u32 stamper;	/* enum kbp_xdp_stamper */

#ifdef KBP_STAMP
/* of kernel 6.1, which the headers may be older than */
static __u64 (*ktime_get_tai_ns)(void) = (void *)208;
#endif
#ifdef KBP_STAMP_NIC
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
#endif

struct vlan_hdr {
	__be16 tci;
	__be16 proto;
};

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		(*n)++;
}

/* Fills *key; returns the UDP header, or NULL: not for us. */
static __always_inline const struct udphdr *parse(void *p, void *end, struct kbp_flow_key *key)
{
	const struct ethhdr *eth = p;
	__be16 proto;

	if ((void *)(eth + 1) > end)
		return 0;
	proto = eth->h_proto;
	p = (void *)(eth + 1);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		const struct vlan_hdr *tag = p;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		if (!i)
			key->vlan = bpf_ntohs(tag->tci) & 0xfff;
		proto = tag->proto;
		p = (void *)(tag + 1);
	}
	if (proto == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = p;
		__u32 ihl;

		if ((void *)(ip + 1) > end || ip->version != 4 || ip->protocol != IPPROTO_UDP)
			return 0;
		if (ip->frag_off & bpf_htons(0x3fff)) { /* MF, or an offset: RFC 791 */
			count(KBP_XDP_FRAGMENTS);
			return 0;
		}
		ihl = ip->ihl * 4;
		if (ihl < sizeof(*ip))
			return 0;
		key->family = 4;
		key->dst[0] = ip->daddr;
		key->src[0] = ip->saddr;
		p += ihl;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip6 = p;

		if ((void *)(ip6 + 1) > end)
			return 0;
		if (ip6->nexthdr == 44) /* fragment header, RFC 8200 */
			count(KBP_XDP_FRAGMENTS);
		if (ip6->nexthdr != IPPROTO_UDP)
			return 0;
		key->family = 6;
		__builtin_memcpy(key->dst, &ip6->daddr, 16);
		__builtin_memcpy(key->src, &ip6->saddr, 16);
		p = (void *)(ip6 + 1);
	} else {
		return 0;
	}
	if (p + sizeof(struct udphdr) > end)
		return 0;
	key->proto = IPPROTO_UDP;
	return p;
}

static __always_inline int matches(const struct kbp_flow_key *key)
{
	__u32 n = n_shapes;

	for (__u32 i = 0; i < KBP_SHAPES_MAX; i++) {
		struct kbp_flow_key masked;
		const struct kbp_flow_key *mask;
		__u32 at = i;

		if (i >= n)
			return 0;
		mask = bpf_map_lookup_elem(&shapes, &at);
		if (!mask)
			return 0;
		masked.dst[0] = key->dst[0];
		masked.dst[1] = key->dst[1];
		masked.src[0] = key->src[0] & mask->src[0];
		masked.src[1] = key->src[1] & mask->src[1];
		masked.dst_port = key->dst_port & mask->dst_port;
		masked.src_port = key->src_port & mask->src_port;
		masked.vlan = key->vlan & mask->vlan;
		masked.family = key->family;
		masked.proto = key->proto;
		if (bpf_map_lookup_elem(&flows, &masked))
			return 1;
	}
	return 0;
}

#ifdef KBP_STAMP
/* A driver may offer the call and have no stamp: then the program's own are taken, for good. */
static __always_inline __u64 nic_stamp(const struct xdp_md *ctx)
{
	__u64 nic = 0;

#ifdef KBP_STAMP_NIC
	if (bpf_xdp_metadata_rx_timestamp(ctx, &nic))
		nic = 0;
	if (stamper == KBP_XDP_STAMPER_OPEN)
		__sync_val_compare_and_swap(&stamper, KBP_XDP_STAMPER_OPEN,
					    nic ? KBP_XDP_STAMPER_NIC : KBP_XDP_STAMPER_SOFTWARE);
#endif
	return nic;
}

/* The packet's pointers are not valid any more afterwards. */
static __always_inline void stamp(struct xdp_md *ctx)
{
	__u64 nic = nic_stamp(ctx), *at;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*at))) {
		stamper = KBP_XDP_STAMPER_NO_ROOM;
		return;
	}
	at = (void *)(long)ctx->data_meta;
	if ((void *)(at + 1) <= (void *)(long)ctx->data)
		*at = stamper == KBP_XDP_STAMPER_NIC ? nic : ktime_get_tai_ns();
}
#endif

SEC("xdp.frags")
int flow_redirect(struct xdp_md *ctx)
{
	void *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct kbp_flow_key key = {};
	const struct udphdr *udp = parse(p, end, &key);
	int verdict;

	if (!udp)
		return XDP_PASS;
	key.dst_port = udp->dest;
	key.src_port = udp->source;
	if (!matches(&key))
		return XDP_PASS;
	verdict = (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
	count(verdict == XDP_REDIRECT ? KBP_XDP_MATCHED : KBP_XDP_UNSERVED);
#ifdef KBP_STAMP
	if (verdict == XDP_REDIRECT)
		stamp(ctx);
#endif
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
