/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dpdk.c - a wire in DPDK's memory: a net_ring port that this program makes of two rings, and opens by
 * its name as a program does that has DPDK running already.
 */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "contract.h"

#define WIRE "kbpc" /* the port is then called net_ring_kbpc */
#define WIRE_FRAMES 16384u
#define SEGMENT 2048u

/* The port takes frames out of the ring in DPDK's own code, which the thread sanitizer does not see: what another
 * thread of the test put in would look unordered to it. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:dring_inject\n";
}

static struct rte_ring *in, *out;
static struct rte_mempool *pool;
static uint16_t port;

static const char *dring_start(void)
{
	static char *eal[] = { (char *)(uintptr_t) "contract",
			       (char *)(uintptr_t) "--no-pci",
			       (char *)(uintptr_t) "--no-huge",
			       (char *)(uintptr_t) "-m",
			       (char *)(uintptr_t) "512",
			       (char *)(uintptr_t) "--no-shconf",
			       (char *)(uintptr_t) "--no-telemetry",
			       (char *)(uintptr_t) "--log-level=error" };
	int id;

	if (pool)
		return NULL;
	if (rte_eal_init((int)KBP_ARRAY_SIZE(eal), eal) < 0)
		return "DPDK's EAL does not start here";
	in = rte_ring_create("wire_in", WIRE_FRAMES, SOCKET_ID_ANY, 0);
	out = rte_ring_create("wire_out", WIRE_FRAMES, SOCKET_ID_ANY, 0);
	pool = rte_pktmbuf_pool_create("wire", WIRE_FRAMES - 1, 0, 0,
				       RTE_PKTMBUF_HEADROOM + SEGMENT, SOCKET_ID_ANY);
	if (!in || !out || !pool)
		fail_msg("wire: %s", rte_strerror(rte_errno));
	id = rte_eth_from_rings(WIRE, &in, 1, &out, 1, 0);
	if (id < 0)
		fail_msg("wire: %s", rte_strerror(rte_errno));
	port = (uint16_t)id;
	return NULL;
}

static void dring_clear(void)
{
	struct rte_mbuf *m;

	while (!rte_ring_dequeue(in, (void **)&m))
		rte_pktmbuf_free(m);
	while (!rte_ring_dequeue(out, (void **)&m))
		rte_pktmbuf_free(m);
}

static const char *dring_open(unsigned mtu)
{
	const char *why = dring_start();

	(void)mtu; /* a chain is as long as it is */
	if (!why)
		dring_clear();
	return why;
}

static void dring_mac(uint8_t ours[6], uint8_t peer[6])
{
	struct rte_ether_addr mac;

	assert_int_equal(rte_eth_macaddr_get(port, &mac), 0);
	memcpy(ours, mac.addr_bytes, 6);
	memcpy(peer, mac.addr_bytes, 6);
	peer[5] ^= 0x40;
}

static void dring_inject(const void *frame, uint32_t len, bool bad)
{
	const uint8_t *from = frame;
	struct rte_mbuf *head = NULL, *last = NULL;

	assert_false(bad);
	while (len) {
		uint32_t n = len < SEGMENT ? len : SEGMENT;
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), from, n);
		if (last) {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += n;
		} else {
			head = m;
		}
		last = m;
		from += n;
		len -= n;
	}
	if (rte_ring_enqueue(in, head))
		rte_pktmbuf_free(head);
}

static uint32_t dring_collect(void *buf, uint32_t size, int wait_ms)
{
	struct rte_mbuf *m;
	uint32_t n = 0;

	(void)wait_ms;
	if (rte_ring_dequeue(out, (void **)&m))
		return 0;
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		assert_in_range(s->data_len, 1, size - n);
		memcpy((uint8_t *)buf + n, rte_pktmbuf_mtod(s, const void *), s->data_len);
		n += s->data_len;
	}
	assert_int_equal(n, m->pkt_len);
	rte_pktmbuf_free(m);
	return n;
}

const struct wire wire_dring = {
	.name = "dring",
	.ifname = "net_ring_" WIRE,
	.open = dring_open,
	.close = dring_clear,
	.mac = dring_mac,
	.inject = dring_inject,
	.collect = dring_collect,
	.immediate = true,
};
