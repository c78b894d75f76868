/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c - the wires: the software NIC's in memory, and a veth pair with a raw peer on the far end. */
#include <time.h>
#include <unistd.h>

#include <softnic.h>

#include "../lib/netns.h"
#include "contract.h"

/* ---------------------------------------------------------------- memory */

/* The port of the test is closed: nothing else keeps the software NIC from being another. */
static const char *sim_open(const char *name, unsigned mtu)
{
	char words[32], why[128];

	snprintf(words, sizeof(words), "mtu=%u", mtu ? mtu : 1500);
	if (softnic_options(name, words, why, sizeof(why)))
		fail_msg("%s", why);
	return NULL;
}

static void sim_mac(const char *name, uint8_t ours[6], uint8_t peer[6])
{
	struct softnic_info info;

	assert_int_equal(softnic_info_get(name, &info), 0);
	memcpy(ours, info.mac, 6);
	memcpy(peer, info.mac, 6);
	peer[5] ^= 0x40;
}

static void sim_inject(const char *name, const void *frame, uint32_t len, bool bad)
{
	assert_int_equal(softnic_inject(name, frame, len, bad ? SOFTNIC_BAD_FCS : 0), 0);
}

#define SIM_WIRE(id, port, now)                                                      \
	static const char *id##_open(unsigned mtu)                                   \
	{                                                                            \
		return sim_open(port, mtu);                                          \
	}                                                                            \
	static void id##_close(void)                                                 \
	{                                                                            \
		softnic_wire_clear(port);                                            \
	}                                                                            \
	static void id##_mac(uint8_t ours[6], uint8_t peer[6])                       \
	{                                                                            \
		sim_mac(port, ours, peer);                                           \
	}                                                                            \
	static void id##_inject(const void *frame, uint32_t len, bool bad)           \
	{                                                                            \
		sim_inject(port, frame, len, bad);                                   \
	}                                                                            \
	static uint32_t id##_collect(void *buf, uint32_t size, int wait_ms)          \
	{                                                                            \
		const struct timespec ms = { .tv_nsec = 1000000 };                   \
		ssize_t n;                                                           \
                                                                                     \
		while ((n = softnic_collect(port, buf, size)) <= 0 && wait_ms-- > 0) \
			nanosleep(&ms, NULL);                                        \
		return n > 0 ? (uint32_t)n : 0;                                      \
	}                                                                            \
	const struct wire id = { #id,	   port,	id##_open,    id##_close,    \
				 id##_mac, id##_inject, id##_collect, now }

SIM_WIRE(wire_memory, "sim0", true);
SIM_WIRE(wire_memory_thread, "sim1", false);

/* ---------------------------------------------------------------- veth */

#define NEAR "kbpc0"
#define FAR "kbpc1"

static int peer = -1;

/* One namespace for the process; the pair is made anew when a test wants another MTU. */
static const char *veth_open(unsigned mtu)
{
	static unsigned have_mtu;
	static bool entered;
	const char *why = NULL;

	mtu = mtu ? mtu : 1500;
	if (have_mtu == mtu)
		return NULL;
	if (!entered)
		why = netns_enter();
	if (why)
		return why;
	entered = true;
	if (have_mtu) {
		close(peer);
		netns_run("ip link del " NEAR);
		have_mtu = 0;
	}
	why = netns_veth(NEAR, FAR, mtu, 1);
	if (why)
		return why;
	peer = netns_packet_open(FAR);
	if (peer < 0)
		return "a packet socket needs CAP_NET_RAW: run as root";
	have_mtu = mtu;
	return NULL;
}

static void veth_clear(void)
{
	uint8_t buf[FRAME_MAX];

	while (netns_packet_recv(peer, buf, sizeof(buf), 0))
		;
}

static void veth_mac(uint8_t ours[6], uint8_t theirs[6])
{
	netns_mac(NEAR, ours);
	netns_mac(FAR, theirs);
}

static void veth_inject(const void *frame, uint32_t len, bool bad)
{
	assert_false(bad); /* a veth has no FCS to damage */
	assert_true(netns_packet_send(peer, frame, len));
}

static uint32_t veth_collect(void *buf, uint32_t size, int wait_ms)
{
	const uint8_t *b = buf;
	uint32_t n;

	do {
		n = netns_packet_recv(peer, buf, size, wait_ms);
	} while (n && !(n > 34 && b[12] == 0x08 && b[13] == 0x00 && b[23] == 17));
	return n;
}

const struct wire wire_veth = {
	.name = "veth",
	.ifname = NEAR,
	.open = veth_open,
	.close = veth_clear,
	.mac = veth_mac,
	.inject = veth_inject,
	.collect = veth_collect,
};
