/* SPDX-License-Identifier: BSD-2-Clause */
#include <netinet/in.h>
#include <string.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"

#define ETH_IPV4 0x0800u
#define ETH_IPV6 0x86ddu
#define ETH_VLAN 0x8100u /* IEEE 802.1Q */
#define ETH_QINQ 0x88a8u /* IEEE 802.1ad */

static uint32_t load_be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

void kbp_group_mac(const struct kbp_addr *group, uint8_t mac[6])
{
	if (group->family == AF_INET) { /* RFC 1112, 6.4 */
		mac[0] = 0x01;
		mac[1] = 0x00;
		mac[2] = 0x5e;
		mac[3] = group->bytes[1] & 0x7f;
		mac[4] = group->bytes[2];
		mac[5] = group->bytes[3];
	} else { /* RFC 2464, 7 */
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, group->bytes + 12, 4);
	}
}

void kbp_udp_locate(const uint8_t *frame, const struct kbp_datagram *d, struct kbp_udp_layout *l)
{
	uint32_t type_at = 12, type = load_be16(frame + type_at);

	while (type == ETH_VLAN || type == ETH_QINQ) {
		type_at += 4;
		type = load_be16(frame + type_at);
	}
	l->ip = type_at + 2;
	l->udp = (uint32_t)((const uint8_t *)d->payload - frame) - 8;
	l->ipv6 = d->dst.family == AF_INET6;
	l->ip_end = l->ip +
		    (l->ipv6 ? 40 + load_be16(frame + l->ip + 4) : load_be16(frame + l->ip + 2));
}

/* Sum over pseudo header (RFC 768; RFC 8200, 8.1) and datagram; folds to 0xffff when the checksum
 * is right. */
static uint16_t udp_sum(const uint8_t *frame, const struct kbp_udp_layout *l)
{
	const uint8_t *ip = frame + l->ip, *udp = frame + l->udp;
	uint32_t len = load_be16(udp + 4);
	uint8_t tail[4] = { 0, IPPROTO_UDP, udp[4], udp[5] };
	uint64_t sum;

	sum = l->ipv6 ? kbp_csum_add(ip + 8, 32, 0) : kbp_csum_add(ip + 12, 8, 0);
	sum = kbp_csum_add(tail, sizeof(tail), sum);
	return kbp_csum_fold(kbp_csum_add(udp, len, sum));
}

bool kbp_udp_mend(uint8_t *frame, const struct kbp_udp_layout *l)
{
	uint8_t *ip = frame + l->ip, *udp = frame + l->udp;
	bool mended = false;
	uint16_t sum;

	if (!l->ipv6) {
		uint32_t ip_len = (ip[0] & 0xfu) * 4;

		if (kbp_csum_fold(kbp_csum_add(ip, ip_len, 0)) != 0xffff) {
			memset(ip + 10, 0, 2);
			sum = (uint16_t)~kbp_csum_fold(kbp_csum_add(ip, ip_len, 0));
			memcpy(ip + 10, &sum, 2);
			mended = true;
		}
		if (!udp[6] && !udp[7])
			return mended;
	}
	if (udp_sum(frame, l) != 0xffff || (!udp[6] && !udp[7])) {
		memset(udp + 6, 0, 2);
		sum = (uint16_t)~udp_sum(frame, l);
		if (!sum)
			sum = 0xffff;
		memcpy(udp + 6, &sum, 2);
		mended = true;
	}
	return mended;
}

uint32_t kbp_udp_write(uint8_t *frame, const struct kbp_flow *flow, const uint8_t src_mac[6],
		       const uint8_t dst_mac[6], uint32_t payload_len)
{
	uint8_t *p = frame + 12;
	bool ipv6 = flow->dst.family == AF_INET6;

	memcpy(frame, dst_mac, 6);
	memcpy(frame + 6, src_mac, 6);
	if (flow->vlan) {
		kbp_store_be16(p, ETH_VLAN);
		kbp_store_be16(p + 2, flow->vlan);
		p += 4;
	}
	kbp_store_be16(p, ipv6 ? ETH_IPV6 : ETH_IPV4);
	p += 2;
	if (ipv6) { /* RFC 8200, 3 */
		memset(p, 0, 40);
		p[0] = 0x60;
		kbp_store_be16(p + 4, payload_len + 8);
		p[6] = IPPROTO_UDP;
		p[7] = 16;
		memcpy(p + 8, flow->src.bytes, 16);
		memcpy(p + 24, flow->dst.bytes, 16);
		p += 40;
	} else { /* RFC 791, 3.1; don't fragment, identification 0 (RFC 6864) */
		memset(p, 0, 20);
		p[0] = 0x45;
		kbp_store_be16(p + 2, payload_len + 28);
		p[6] = 0x40;
		p[8] = 16;
		p[9] = IPPROTO_UDP;
		memcpy(p + 12, flow->src.bytes, 4);
		memcpy(p + 16, flow->dst.bytes, 4);
		p += 20;
	}
	kbp_store_be16(p, flow->src_port);
	kbp_store_be16(p + 2, flow->dst_port);
	kbp_store_be16(p + 4, payload_len + 8);
	kbp_store_be16(p + 6, 0xffff); /* not "none": kbp_udp_mend computes it */
	return (uint32_t)(p + 8 - frame);
}
