/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netns.h - a network namespace of the test's own, a veth pair in it, and a peer on the far end
 * that sends and sees raw Ethernet frames. Everything vanishes with the process.
 */
#ifndef KBP_TEST_NETNS_H
#define KBP_TEST_NETNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Enter a fresh network namespace, with /sys showing it. Returns NULL, or why this machine does not
 * allow it. */
const char *netns_enter(void);

/* Run a shell command made like printf; 0 when it succeeded. Its output is shown only when it
 * failed. */
int netns_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* `near` gets 10.77.0.1/24; `far` has no address, and 10.77.0.2 resolves to it. Offloads are off,
 * so that what the peer sees is what a wire would carry. NULL, or what failed. */
const char *netns_veth(const char *near, const char *far, unsigned mtu, unsigned queues);

void netns_mac(const char *ifname, uint8_t mac[6]);

/* A raw socket on an interface: sees received frames only. -1 with errno. */
int netns_packet_open(const char *ifname);
/* One whole frame, or 0 when none came within `timeout_ms`. */
uint32_t netns_packet_recv(int fd, void *buf, uint32_t size, int timeout_ms);
bool netns_packet_send(int fd, const void *frame, uint32_t len);

#endif
