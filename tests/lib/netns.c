/* SPDX-License-Identifier: BSD-2-Clause */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>

const char *netns_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		return errno == EPERM ? "a network namespace needs CAP_SYS_ADMIN: run as root" :
					strerror(errno);
	/* sysfs shows the namespace it was mounted in */
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		return "sysfs cannot be mounted here: run as root, outside of an unprivileged container";
	/* no router solicitations or duplicate address detection among the frames of a test */
	if (netns_run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up"))
		return "ip(8) of iproute2 is missing or may not change links";
	return NULL;
}

int netns_run(const char *fmt, ...)
{
	char cmd[512], shown[600];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(shown, sizeof(shown), "{ %s; } >/dev/null 2>&1", cmd);
	fflush(NULL);
	rc = system(shown);
	if (rc)
		fprintf(stderr, "failed: %s\n", cmd);
	return rc;
}

static void checksum_offload_off(const char *ifname)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
	struct ifreq ifr = { .ifr_data = (void *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr))
		fprintf(stderr, "TX checksum offload of %s stays on: %s\n", ifname, strerror(errno));
	if (fd >= 0)
		close(fd);
}

const char *netns_veth(const char *near, const char *far, unsigned mtu, unsigned queues)
{
	uint8_t m[6];

	if (netns_run("ip link add %s mtu %u numrxqueues %u numtxqueues %u type veth peer name %s mtu %u numrxqueues %u "
		      "numtxqueues %u",
		      near, mtu, queues, queues, far, mtu, queues, queues))
		return "a veth pair cannot be made: is the kernel module veth there?";
	checksum_offload_off(near);
	checksum_offload_off(far);
	netns_mac(far, m);
	if (netns_run("ip addr add 10.77.0.1/24 dev %s && ip link set %s up && ip link set %s up",
		      near, near, far) ||
	    netns_run("ip neigh add 10.77.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev %s nud permanent",
		      m[0], m[1], m[2], m[3], m[4], m[5], near) ||
	    netns_run("ip route add 224.0.0.0/4 dev %s", near))
		return "the veth pair cannot be configured";
	return NULL;
}

void netns_mac(const char *ifname, uint8_t mac[6])
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	memset(mac, 0, 6);
	if (fd >= 0 && !ioctl(fd, SIOCGIFHWADDR, &ifr))
		memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	if (fd >= 0)
		close(fd);
}

int netns_packet_open(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1,
	    bytes = 8 << 20;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll))) {
		close(fd);
		return -1;
	}
	return fd;
}

uint32_t netns_packet_recv(int fd, void *buf, uint32_t size, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = recv(fd, buf, size, MSG_DONTWAIT);

	if (n < 0 && timeout_ms && poll(&p, 1, timeout_ms) > 0)
		n = recv(fd, buf, size, MSG_DONTWAIT);
	return n > 0 ? (uint32_t)n : 0;
}

bool netns_packet_send(int fd, const void *frame, uint32_t len)
{
	return send(fd, frame, len, 0) == (ssize_t)len;
}
