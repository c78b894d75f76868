/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_port.c - a real port of DPDK whose driver (net_ring) needs no device: what is sent is put into a
 * ring, what is received is taken out of one. In a translation unit of its own, so that every form pays the
 * same opaque calls.
 *
 * The thread that measures is the main one of DPDK, so it has a cache in front of the pool, as threads of a
 * DPDK program have.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <kbypass/hot.h>

#include "overhead.h"
#include "overhead_port.h"

#define BUFFERS 4095u
#define CACHE 250u /* as in DPDK's skeleton example */

static struct rte_mempool *pool;
static struct rte_ring *in, *out;
static struct rte_mbuf *last; /* that was sent; its bytes stay until it is used again */
static uint64_t sent, stamp_flag;

int port_stamp_at;
uint32_t port_stamp_shift;

static int eal_start(void)
{
	static char lcore[32], name[] = "overhead", no_pci[] = "--no-pci", no_huge[] = "--no-huge",
			       m[] = "-m", mb[] = "64", no_shconf[] = "--no-shconf",
			       no_telemetry[] = "--no-telemetry", iova[] = "--iova-mode=va",
			       log[] = "--log-level=error";
	char *argv[] = { name,	    lcore,	  no_pci, no_huge, m,	mb,
			 no_shconf, no_telemetry, iova,	  log,	   NULL };
	int cpu = sched_getcpu();

	/* of all that this process may use, one: no worker threads */
	snprintf(lcore, sizeof(lcore), "--lcores=0@%d", cpu < 0 ? 0 : cpu);
	return rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv);
}

int port_open(void)
{
	struct rte_eth_conf conf;
	const char *step = "rte_eal_init";
	int port;

	memset(&conf, 0, sizeof(conf));
	if (eal_start() < 0)
		goto failed;
	step = "rte_mbuf_dyn_rx_timestamp_register";
	if (rte_mbuf_dyn_rx_timestamp_register(&port_stamp_at, &stamp_flag))
		goto failed;
	port_stamp_shift = (uint32_t)__builtin_ctzll(stamp_flag);
	step = "memory of 64 MiB";
	pool = rte_pktmbuf_pool_create("pool", BUFFERS, CACHE, 0, RTE_PKTMBUF_HEADROOM + CHUNK, 0);
	in = rte_ring_create("in", PORT_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	out = rte_ring_create("out", PORT_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!pool || !in || !out)
		goto failed;
	step = "rte_eth_from_rings";
	port = rte_eth_from_rings("rings", &in, 1, &out, 1, 0);
	if (port < 0)
		goto failed;
	step = "a port on rings";
	if (rte_eth_dev_configure((uint16_t)port, 1, 1, &conf) ||
	    rte_eth_rx_queue_setup((uint16_t)port, 0, PORT_RING, 0, NULL, pool) ||
	    rte_eth_tx_queue_setup((uint16_t)port, 0, PORT_RING, 0, NULL) ||
	    rte_eth_dev_start((uint16_t)port))
		goto failed;
	return port;
failed:
	fprintf(stderr, "overhead: DPDK: %s: %s\n", step, rte_strerror(rte_errno));
	return -1;
}

struct rte_mempool *port_pool(void)
{
	return pool;
}

void port_receives(unsigned n)
{
	struct rte_mbuf *m[PORT_BURST];

	if (rte_pktmbuf_alloc_bulk(pool, m, n))
		abort();
	for (unsigned i = 0; i < n; i++) {
		m[i]->data_len = m[i]->pkt_len = FRAME_BYTES;
		m[i]->ol_flags = stamp_flag;
		*RTE_MBUF_DYNFIELD(m[i], port_stamp_at, uint64_t *) = PORT_STAMP_NS;
	}
	if (rte_ring_enqueue_bulk(in, (void **)m, n, NULL) != n)
		abort();
}

static void take(struct rte_mbuf **m, unsigned n)
{
	if (rte_ring_dequeue_bulk(out, (void **)m, n, NULL) != n)
		abort();
	rte_pktmbuf_free_bulk(m, n);
}

void port_sends(unsigned n)
{
	struct rte_mbuf *m[PORT_BURST];

	take(m, n);
	last = m[n - 1];
	sent += n;
}

void port_passes_in(unsigned n)
{
	struct rte_mbuf *m[PORT_BURST];

	port_receives(n);
	if (rte_ring_dequeue_bulk(in, (void **)m, n, NULL) != n)
		abort();
	rte_mempool_put_bulk(pool, (void **)m, n);
}

void port_passes_out(unsigned n)
{
	struct rte_mbuf *m[PORT_BURST];

	if (rte_mempool_get_bulk(pool, (void **)m, n) ||
	    rte_ring_enqueue_bulk(out, (void **)m, n, NULL) != n)
		abort();
	take(m, n);
}

void port_reset(void)
{
	sent = 0;
	last = NULL;
}

const char *port_wrong(uint64_t frames)
{
	const uint8_t *frame;
	uint64_t word;

	if (rte_mempool_avail_count(pool) != BUFFERS)
		return "buffers did not come back";
	if (rte_ring_count(in) || rte_ring_count(out))
		return "frames are still on their way";
	if (sent != frames)
		return "another number of frames was sent";
	if (!frames)
		return NULL;
	frame = rte_pktmbuf_mtod(last, const uint8_t *);
	memcpy(&word, frame + 42, sizeof(word));
	if (last->data_len != 42 + PAYLOAD || last->pkt_len != 42 + PAYLOAD || word != frames - 1 ||
	    kbp_csum_fold(kbp_csum_add(frame + 14, 20, 0)) != 0xffff)
		return "the last frame is not as it should be";
	return NULL;
}
