/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp_lab.h - what the af_xdp tests share: a lab of their own, a far end that sends and sees raw
 * frames. */
#ifndef AF_XDP_LAB_H
#define AF_XDP_LAB_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <cmocka.h>

#include <kbypass/hot.h>
#include <kbypass/lab.h>

static struct kbp_lab_info lab;
static struct kbp_error err;

/* Every failure of the library shows what it said. */
#define ok(call)                                                                     \
	do {                                                                         \
		int rc_ = (call);                                                    \
		if (rc_ < 0)                                                         \
			fail_msg("%s = %d: %s: %s", #call, rc_, err.step, err.hint); \
	} while (0)

static inline void lab_open(uint32_t queues, uint32_t mtu)
{
	struct kbp_lab_opts opts = KBP_LAB_OPTS_INIT;

	opts.prefix = "kbtx";
	opts.flags = KBP_LAB_EPHEMERAL;
	opts.queues = queues;
	opts.mtu = mtu;
	if (kbp_lab_up(&opts, &lab, &err)) {
		printf("SKIP: no lab: %s: %s\n", err.step, err.hint);
		exit(77);
	}
}

static inline void enter(enum kbp_lab_side side)
{
	ok(kbp_lab_enter(&lab, side, &err));
}

static inline int far_socket(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd;

	enter(KBP_LAB_TX);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	to.sll_ifindex = (int)lab.host[KBP_LAB_TX].ifindex;
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	enter(KBP_LAB_RX);
	return fd;
}

/* A UDP frame from 10.77.0.1:src_port; vlan 0: untagged. Returns its length. */
static inline uint32_t udp_frame(uint8_t *p, const char *src, const char *dst, uint16_t src_port,
				 uint16_t dst_port, uint16_t vlan, const void *payload, uint32_t len)
{
	uint8_t *eth = p, *ip, *udp;
	uint32_t daddr = inet_addr(dst), saddr = inet_addr(src);
	uint64_t sum;
	uint16_t v;

	memcpy(eth, lab.host[KBP_LAB_RX].mac, 6);
	if ((ntohl(daddr) >> 28) == 14) { /* RFC 1112 */
		const uint8_t *a = (const uint8_t *)&daddr;
		const uint8_t group[6] = { 1, 0, 0x5e, a[1] & 0x7f, a[2], a[3] };

		memcpy(eth, group, 6);
	}
	memcpy(eth + 6, lab.host[KBP_LAB_TX].mac, 6);
	eth += 12;
	if (vlan) {
		kbp_store_be16(eth, 0x8100);
		kbp_store_be16(eth + 2, vlan);
		eth += 4;
	}
	kbp_store_be16(eth, 0x0800);
	ip = eth + 2;
	udp = ip + 20;
	memset(ip, 0, 28);
	ip[0] = 0x45;
	kbp_store_be16(ip + 2, len + 28);
	ip[8] = 16;
	ip[9] = 17;
	memcpy(ip + 12, &saddr, 4);
	memcpy(ip + 16, &daddr, 4);
	v = (uint16_t)~kbp_csum_fold(kbp_csum_add(ip, 20, 0));
	memcpy(ip + 10, &v, 2);
	kbp_store_be16(udp, src_port);
	kbp_store_be16(udp + 2, dst_port);
	kbp_store_be16(udp + 4, len + 8);
	memcpy(udp + 8, payload, len);
	sum = kbp_csum_add(ip + 12, 8, kbp_csum_add(udp, len + 8, 0));
	v = htons((uint16_t)(len + 8));
	sum += v + htons(17);
	v = (uint16_t)~kbp_csum_fold(sum);
	memcpy(udp + 6, &v, 2);
	return (uint32_t)(udp + 8 + len - p);
}

static inline void far_send(int fd, const char *src, const char *dst, uint16_t src_port,
			    uint16_t dst_port, uint16_t vlan, const void *payload, uint32_t len)
{
	uint8_t frame[10000];
	uint32_t n = udp_frame(frame, src, dst, src_port, dst_port, vlan, payload, len);

	assert_int_equal(send(fd, frame, n, 0), n);
}

/* The next frame that somebody else sent to the far end and that `want` accepts; 0 after a second
 * without. */
static inline uint32_t far_recv(int fd, uint8_t *buf, uint32_t size,
				bool (*want)(const uint8_t *, uint32_t))
{
	for (int i = 0; i < 200; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t n;

		if (poll(&p, 1, 5000) <= 0)
			return 0;
		n = recvfrom(fd, buf, size, 0, (struct sockaddr *)&from, &len);
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING && want(buf, (uint32_t)n))
			return (uint32_t)n;
	}
	return 0;
}

/* Peek until a frame comes or two seconds have gone. */
static inline unsigned peek_soon(struct kbp_queue **q, unsigned n_q, struct kbp_frame *f,
				 unsigned max, struct kbp_queue **from)
{
	for (int i = 0; i < 20; i++) {
		kbp_wait(q, n_q, 100000000);
		for (unsigned k = 0; k < n_q; k++) {
			unsigned n = kbp_rx_peek(q[k], f, max);

			if (n) {
				*from = q[k];
				return n;
			}
		}
	}
	return 0;
}

static inline uint64_t counter(const struct kbp_queue *q, const char *name)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);

	assert_true(n <= 64);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	fail_msg("no counter %s", name);
	return 0;
}

static inline struct kbp_flow flow_of(const char *text)
{
	struct kbp_flow flow;

	ok(kbp_flow_parse(text, &flow, &err));
	return flow;
}

#endif
