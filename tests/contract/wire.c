/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c - the wires: memory below the fakes, and a veth pair with a raw peer on the far end. */
#include <unistd.h>

#include "../lib/netns.h"
#include "contract.h"

/* ---------------------------------------------------------------- memory */

static const char *memory_open(unsigned mtu)
{
	(void)mtu;
	return NULL;
}

static void memory_mac(uint8_t ours[6], uint8_t peer[6])
{
	static const uint8_t a[6] = { 2, 0, 0, 0, 0, 1 }, b[6] = { 2, 0, 0, 0, 0, 2 };

	memcpy(ours, a, 6);
	memcpy(peer, b, 6);
}

static uint32_t memory_collect(void *buf, uint32_t size, int wait_ms)
{
	(void)wait_ms;
	return fake_collect(buf, size);
}

const struct wire wire_memory = {
	.name = "memory",
	.ifname = "fake0",
	.open = memory_open,
	.close = fake_wire_clear,
	.mac = memory_mac,
	.inject = fake_inject,
	.collect = memory_collect,
	.immediate = true,
};

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
