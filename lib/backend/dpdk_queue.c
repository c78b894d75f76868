/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_queue.c - queues of the dpdk module: buffers, rings, start and stop of the device.
 *
 * A device of DPDK's has all its queues set up before it is started, and none can be added while it runs. So
 * the first queue that is opened sets up all of the port (the word queues=, one by default), with its own
 * sizes, and the last one that is closed stops the device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "dpdk.h"
#include "dpdk_eal.h"

#define BUF_BYTES 2048u
#define BUF_BYTES_MAX ((uint32_t)UINT16_MAX - RTE_PKTMBUF_HEADROOM)
#define CACHE 256u	  /* mbufs that a thread keeps to itself */
#define AF_XDP_FILL 4096u /* net_af_xdp's fill ring (ETH_AF_XDP_DFLT_NUM_DESCS, twice) */
#define REPORT_BUFS 63u
#define MBUF_EXTRA 64u /* mempool's header of each, and padding to a cache line */

/* ---------------------------------------------------------------- sizes */

/* In the ring, held (and lost by a close by force), in the stash, kept by the thread's cache, and sent on. */
static uint32_t rx_bufs(uint32_t rx_desc, uint32_t tx_desc, uint32_t hold_max)
{
	return rx_desc + 2 * hold_max + KBP_DPDK_STASH + CACHE * 2 + tx_desc;
}

/* With the device, with the caller, and as many that a close by force may lose. */
static uint32_t tx_bufs(uint32_t tx_desc)
{
	return 3 * tx_desc + CACHE * 2;
}

static uint64_t buf_bytes(uint32_t room)
{
	return sizeof(struct rte_mbuf) + MBUF_EXTRA + RTE_PKTMBUF_HEADROOM + room;
}

uint64_t kbp_dpdk_queue_bytes(uint32_t rx_desc, uint32_t tx_desc, uint32_t hold_max, uint32_t room)
{
	return rx_bufs(rx_desc, tx_desc, hold_max) * buf_bytes(room) +
	       tx_bufs(tx_desc) * buf_bytes(room);
}

/* Of the largest frame, tag included. */
static uint32_t frame_bytes(const struct kbp_port *p)
{
	return p->info.mtu + 14u + 4u;
}

/* A buffer takes a whole frame, unless frames may come in parts. */
uint32_t kbp_dpdk_buf_bytes(const struct kbp_port *p, bool multi_buffer)
{
	uint32_t least = p->opts.frame_bytes ? p->opts.frame_bytes : BUF_BYTES;
	uint32_t frame = multi_buffer ? 0 : (frame_bytes(p) + 63u) & ~63u;

	return frame > least ? frame : least;
}

/* ---------------------------------------------------------------- buffers */

/* net_ring hands buffers on as they are, to whoever reads at the other end; and a device that is the program's
 * keeps its rings when our port is closed. Such pools are freed when all their buffers are back. Under the lock. */
static struct {
	struct rte_mempool *pool;
	uint32_t lost; /* buffers that will not come back */
} pools_waiting[256];

static bool is_back(const struct rte_mempool *pool, uint32_t lost)
{
	return rte_mempool_in_use_count(pool) <= lost;
}

static void pools_look(void)
{
	for (size_t i = 0; i < KBP_ARRAY_SIZE(pools_waiting); i++)
		if (pools_waiting[i].pool && is_back(pools_waiting[i].pool, pools_waiting[i].lost)) {
			rte_mempool_free(pools_waiting[i].pool);
			pools_waiting[i].pool = NULL;
		}
}

static bool hands_on(const struct kbp_dpdk_port *e)
{
	return !e->ours || (e->dev.driver_name && !strcmp(e->dev.driver_name, "net_ring"));
}

static void pool_free(const struct kbp_dpdk_port *e, struct rte_mempool *pool, uint32_t lost)
{
	size_t i = 0;

	if (!pool || !hands_on(e) || is_back(pool, lost)) {
		rte_mempool_free(pool);
		return;
	}
	while (i < KBP_ARRAY_SIZE(pools_waiting) && pools_waiting[i].pool)
		i++;
	if (i == KBP_ARRAY_SIZE(pools_waiting))
		return; /* it stays for good: better than a wild write */
	pools_waiting[i].pool = pool;
	pools_waiting[i].lost = lost;
}

/* This one and all that are older. */
static void generations_free(const struct kbp_dpdk_port *e, struct kbp_dpdk_pools *g)
{
	while (g) {
		struct kbp_dpdk_pools *older = g->older;

		for (unsigned i = 0; i < KBP_DPDK_QUEUES; i++) {
			if (g->tx[i] != g->rx[i])
				pool_free(e, g->tx[i], g->tx_lost[i]);
			pool_free(e, g->rx[i], g->rx_lost[i]);
		}
		pool_free(e, g->report, 0);
		free(g);
		g = older;
	}
	pools_look();
}

void kbp_dpdk_pools_free(struct kbp_dpdk_port *e)
{
	generations_free(e, e->pools);
	e->pools = NULL;
}

/* Buffers are the memory of a socket. */
static bool is_umem(const struct kbp_port *p)
{
	return !strcmp(p->info.driver, "net_af_xdp");
}

static struct rte_mempool *pool_make(const struct kbp_port *p, const char *what, unsigned queue,
				     uint32_t n, uint32_t room)
{
	static unsigned number;
	int node = kbp_dpdk_eal_huge() && p->info.numa_node >= 0 ? p->info.numa_node : SOCKET_ID_ANY;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "kbp_%s%u_%u", what, queue, number++);
	return rte_pktmbuf_pool_create(name, n, CACHE, 0, (uint16_t)(RTE_PKTMBUF_HEADROOM + room),
				       node);
}

static int no_memory(const struct kbp_port *p, uint64_t bytes, struct kbp_error *err)
{
	int error = rte_errno;

	if (kbp_dpdk_eal_huge()) {
		int rc = kbp_dpdk_pages_check("", bytes, p->info.numa_node, err);

		if (rc)
			return rc;
	}
	return kbp_failf(
		err, -ENOMEM,
		kbp_dpdk_eal_huge() ?
			rte_strerror(error) :
			"DPDK runs without hugepages, and the memory it was started with is used up: smaller "
			"rings, or more by the args --no-huge -m MEGABYTES",
		"make buffers of %llu KiB for %s", (unsigned long long)(bytes >> 10),
		p->info.interface);
}

static int generation_fill(struct kbp_port *p, struct kbp_dpdk_pools *g, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint32_t n_rx = rx_bufs(e->rx_desc, e->tx_desc, e->first.hold_max),
		 n_tx = tx_bufs(e->tx_desc);
	bool umem = is_umem(p);

	for (unsigned i = 0; i < e->n_queues; i++) {
		/* its fill ring is of a size of its own, and what is sent out of its memory is not copied */
		uint32_t n = umem ? n_rx + n_tx + AF_XDP_FILL : n_rx;

		g->rx[i] = pool_make(p, "rx", i, n, e->buf_bytes);
		if (!g->rx[i])
			return no_memory(p, n * buf_bytes(e->buf_bytes), err);
		g->tx[i] = umem ? g->rx[i] : pool_make(p, "tx", i, n_tx, e->tx_bytes);
		if (!g->tx[i])
			return no_memory(p, n_tx * buf_bytes(e->tx_bytes), err);
	}
	if (!e->want_reports)
		return 0;
	g->report = pool_make(p, "rep", 0, REPORT_BUFS + 2 * CACHE, BUF_BYTES);
	return g->report ? 0 : no_memory(p, REPORT_BUFS * buf_bytes(BUF_BYTES), err);
}

static int pools_make(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct kbp_dpdk_pools *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return kbp_fail(err, -ENOMEM, "open a dpdk queue", "out of memory");
	pools_look();
	rc = generation_fill(p, g, err);
	if (rc) {
		generations_free(e, g); /* no ring has any of it */
		return rc;
	}
	g->older = e->pools;
	e->pools = g;
	return 0;
}

/* ---------------------------------------------------------------- device */

/* Devices that cut frames into parts without an offload of that name. */
static bool in_memory(const struct kbp_dpdk_port *e)
{
	const char *driver = e->dev.driver_name ? e->dev.driver_name : "";

	return hands_on(e) || !strcmp(driver, "net_memif") || !strcmp(driver, "net_vhost") ||
	       !strcmp(driver, "net_tap");
}

static void conf_make(const struct kbp_port *p, struct rte_eth_conf *conf)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint32_t mtu = p->info.mtu;

	memset(conf, 0, sizeof(*conf));
	if (e->n_queues > 1 && e->dev.flow_type_rss_offloads) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = e->dev.flow_type_rss_offloads &
						    (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	}
	if (mtu > 1500 && mtu <= e->dev.max_mtu && frame_bytes(p) + 4u <= e->dev.max_rx_pktlen)
		conf->rxmode.mtu = mtu;
	e->scatter = e->first.flags & KBP_QUEUE_MULTI_BUFFER &&
		     (e->dev.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER || in_memory(e));
	if (e->scatter && e->dev.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (e->first.flags & KBP_QUEUE_RX_STAMPS &&
	    e->dev.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	conf->intr_conf.rmv = e->dev.dev_flags && *e->dev.dev_flags & RTE_ETH_DEV_INTR_RMV;
	/* intr_conf.rxq stays 0: no receive interrupts, and nothing that sleeps in a poll */
}

static int device_fail(const struct kbp_port *p, const char *what, int rc, struct kbp_error *err)
{
	const char *said = kbp_dpdk_said();
	size_t skip = strspn(said, " \n");
	char line[240];

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(said + skip, "\n"), said + skip);
	return kbp_failf(err, rc ? rc : -EIO, line[0] ? line : strerror(-rc), "%s of %s (%s)", what,
			 p->info.interface, p->info.driver);
}

static int rings_make(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	unsigned node = p->info.numa_node >= 0 ? (unsigned)p->info.numa_node :
						 (unsigned)SOCKET_ID_ANY;
	int rc = 0;

	for (uint16_t i = 0; i < e->n_queues; i++) {
		rc = rte_eth_rx_queue_setup(e->id, i, e->rx_desc, node, NULL, e->pools->rx[i]);
		if (rc)
			return device_fail(p, "set up an RX queue", rc, err);
	}
	for (uint16_t i = 0; i < e->n_queues + e->want_reports; i++) {
		struct rte_eth_txconf conf = e->dev.default_txconf;

		/* drivers that tell of sent frames in groups, the last of which may never be full */
		conf.tx_rs_thresh = 1;
		rc = e->first.flags & KBP_QUEUE_COMPLETIONS && e->dev.default_txconf.tx_rs_thresh ?
			     rte_eth_tx_queue_setup(e->id, i, e->tx_desc, node, &conf) :
			     -EINVAL;
		if (rc)
			rc = rte_eth_tx_queue_setup(e->id, i, e->tx_desc, node, NULL);
		if (rc)
			return device_fail(p, "set up a TX queue", rc, err);
	}
	return 0;
}

/* net_af_xdp of DPDK 22.11 leaves the socket of its memory mapped when it is closed: the channel stays taken
 * until the process ends, and a second try crashes in it. */
static int umem_once(const struct kbp_port *p, struct kbp_error *err)
{
	static struct {
		uint64_t netns;
		uint32_t ifindex;
	} taken[64];

	for (size_t i = 0; i < KBP_ARRAY_SIZE(taken); i++) {
		if (!taken[i].ifindex) {
			taken[i].netns = p->netns_ino;
			taken[i].ifindex = p->info.ifindex;
			return 0;
		}
		if (taken[i].ifindex == p->info.ifindex && taken[i].netns == p->netns_ino)
			break;
	}
	return kbp_failf(
		err, -EBUSY,
		"DPDK's net_af_xdp keeps an interface until the process ends: start the program again, or "
		"take the backend af_xdp, which does not",
		"open a queue on %s a second time", p->info.interface);
}

/* Group addresses have to pass the device's filter; one that the kernel has too, or that has none, needs
 * nothing. */
static void multicast_open(struct kbp_port *p)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);

	if (p->info.ifindex && !e->bifurcated)
		return;
	if (!rte_eth_allmulticast_get(e->id) && rte_eth_allmulticast_enable(e->id) &&
	    rte_eth_promiscuous_enable(e->id))
		kbp_log(KBP_LOG_INFO, "%s: the device has no switch for multicast",
			p->info.interface);
}

/* A socket of net_af_packet has taken in frames since the device was made: nobody's. */
static void rings_empty(const struct kbp_dpdk_port *e)
{
	struct rte_mbuf *m[KBP_DPDK_BURST];
	unsigned n;

	for (uint16_t q = 0; e->n_sock && q < e->n_queues; q++)
		for (unsigned i = 0; i < UINT16_MAX / KBP_DPDK_BURST; i++) {
			n = rte_eth_rx_burst(e->id, q, m, KBP_DPDK_BURST);
			rte_pktmbuf_free_bulk(m, n);
			if (!n)
				break;
		}
}

static int device_start(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct kbp_dpdk_before before;
	struct rte_flow_error why;
	struct rte_eth_conf conf;
	int rc;

	kbp_dpdk_said_begin();
	memset(&e->clock, 0, sizeof(e->clock));
	e->clock.why = "the port's first queue did not ask for stamps";
	conf_make(p, &conf);
	kbp_dpdk_sockets_before(&before);
	/* in this order: a device that does not keep other frames away has to say so before it is set up */
	if (e->isolated && rte_flow_isolate(e->id, 1, &why))
		return kbp_failf(err, -EOPNOTSUPP,
				 why.message ? why.message :
					       "the driver cannot; leave the word out, and software "
					       "tells frames apart",
				 "isolate %s (%s)", p->info.interface, p->info.driver);
	rc = rte_eth_dev_configure(e->id, e->n_queues, (uint16_t)(e->n_queues + e->want_reports),
				   &conf);
	if (rc)
		return device_fail(p, "configure the queues", rc, err);
	e->rx_desc = (uint16_t)(e->first.rx_ring < UINT16_MAX ? e->first.rx_ring : UINT16_MAX);
	e->tx_desc = (uint16_t)(e->first.tx_ring < UINT16_MAX ? e->first.tx_ring : UINT16_MAX);
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(e->id, &e->rx_desc, &e->tx_desc);
	if (rc)
		return device_fail(p, "choose ring sizes", rc, err);
	e->buf_bytes = kbp_dpdk_buf_bytes(p, e->scatter);
	if (e->buf_bytes < e->least_buf)
		e->buf_bytes = e->least_buf;
	e->tx_bytes = kbp_dpdk_buf_bytes(p, false);
	if (e->buf_bytes > BUF_BYTES_MAX || e->tx_bytes > BUF_BYTES_MAX)
		return kbp_fail(err, -EINVAL, "open a dpdk queue",
				"buffers of %u bytes (frame_bytes, or the MTU): at most %u",
				e->buf_bytes > e->tx_bytes ? e->buf_bytes : e->tx_bytes,
				BUF_BYTES_MAX);
	rc = pools_make(p, err);
	if (!rc && is_umem(p))
		rc = umem_once(p, err);
	if (!rc)
		rc = rings_make(p, err);
	if (rc)
		return rc;
	generations_free(e, e->pools->older); /* no ring has any of them any more */
	e->pools->older = NULL;
	rc = rte_eth_dev_start(e->id);
	if (rc)
		return device_fail(p, "start the device", rc, err);
	e->started = true;
	kbp_dpdk_sockets_after(&before, p);
	kbp_dpdk_sockets_base(e);
	rings_empty(e);
	multicast_open(p);
	if (rte_eth_stats_get(e->id, &e->base))
		memset(&e->base, 0, sizeof(e->base));
	e->sent_before = 0;
	e->reports_sent = e->reports_failed = 0;
	if (e->first.flags & KBP_QUEUE_RX_STAMPS)
		kbp_dpdk_clock_learn(p);
	return 0;
}

static void device_stop(struct kbp_dpdk_port *e)
{
	if (e->started)
		rte_eth_dev_stop(e->id);
	e->started = false;
}

/* ---------------------------------------------------------------- threads */

/* A thread that DPDK does not know has no mempool cache, and each buffer costs it an atomic operation. */
static __thread unsigned thread_queues; /* for which this thread was made known */
static pthread_key_t thread_key;	/* set while it is: DPDK has numbers for 128 threads */
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void thread_ends(void *arg)
{
	(void)arg;
	rte_thread_unregister();
}

static void thread_prepare(void)
{
	(void)pthread_key_create(&thread_key, thread_ends);
}

static void thread_know(struct kbp_dpdk_full *f)
{
	pthread_once(&thread_once, thread_prepare);
	f->thread = pthread_self();
	if (!thread_queues && rte_lcore_id() != LCORE_ID_ANY)
		return; /* it is known anyway */
	if (!thread_queues && rte_thread_register())
		return;
	(void)pthread_setspecific(thread_key, &thread_queues);
	thread_queues++;
	f->registered = true;
}

static void thread_forget(const struct kbp_dpdk_full *f)
{
	if (!f->registered || !pthread_equal(f->thread, pthread_self()) || --thread_queues)
		return;
	(void)pthread_setspecific(thread_key, NULL);
	rte_thread_unregister();
}

/* ---------------------------------------------------------------- open and close */

static void note(struct kbp_dpdk_full *f, const char *text)
{
	size_t n = strlen(f->note);

	snprintf(f->note + n, sizeof(f->note) - n, "%s%s", n ? "; " : "", text);
}

/* Vector receive functions of drivers take descriptors by fours or eights, and give nothing for less. virtio has
 * such ones and does not tell which it chose. */
static bool takes_eights(const struct kbp_dpdk_port *e, uint16_t queue)
{
	struct rte_eth_burst_mode mode = { 0 };

	if (rte_eth_rx_burst_mode_get(e->id, queue, &mode))
		return e->dev.driver_name && strstr(e->dev.driver_name, "virtio");
	return strstr(mode.info, "Vector") || strstr(mode.info, "vector");
}

static int options_fit(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_dpdk_full *f,
		       struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint32_t asked = c->opts.flags;
	bool strict = p->opts.flags & KBP_PORT_STRICT;

	if (c->opts.hold_max > e->first.hold_max) {
		note(f, "hold_max is that of the port's first queue");
		c->opts.hold_max = e->first.hold_max;
	}
	if (c->opts.rx_ring != e->first.rx_ring || c->opts.tx_ring != e->first.tx_ring)
		note(f, "ring sizes are those of the port's first queue");
	if (asked & KBP_QUEUE_RX_STAMPS && !e->clock.shift) {
		c->opts.flags &= ~(uint32_t)KBP_QUEUE_RX_STAMPS;
		note(f, e->clock.why ? e->clock.why : "the driver does not stamp frames");
	}
	if (asked & KBP_QUEUE_TX_STAMPS) {
		c->opts.flags &= ~(uint32_t)KBP_QUEUE_TX_STAMPS;
		note(f, "DPDK has no stamps of sent frames");
	}
	if (asked & KBP_QUEUE_MULTI_BUFFER && !e->scatter) {
		c->opts.flags &= ~(uint32_t)KBP_QUEUE_MULTI_BUFFER;
		if (!(e->first.flags & KBP_QUEUE_MULTI_BUFFER))
			note(f, "no chains: the port's first queue did not ask for them");
	}
	if (f->note[0] && strict)
		return kbp_fail(err, -EOPNOTSUPP, "open a dpdk queue",
				"%s; or open the port without KBP_PORT_STRICT", f->note);
	return 0;
}

static uint32_t chain_max(const struct kbp_port *p, uint32_t flags)
{
	const struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint32_t n = (frame_bytes(p) + e->buf_bytes - 1) / e->buf_bytes;

	if (!(flags & KBP_QUEUE_MULTI_BUFFER))
		return 1;
	if (in_memory(e))
		return KBP_DPDK_SEGS; /* as the other end made them */
	return n < 2 ? 2 : n < KBP_DPDK_SEGS ? n : KBP_DPDK_SEGS;
}

static void queue_free(struct kbp_dpdk_full *f)
{
	free(f->flight.e);
	free(f->heard);
	free(f);
}

static int queue_make(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_dpdk_full *f,
		      struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	uint32_t flight = 1;
	int rc = options_fit(p, c, f, err);

	if (rc)
		return rc;
	if (e->pools->rx_lost[c->opts.channel] > e->first.hold_max ||
	    e->pools->tx_lost[c->opts.channel] > e->tx_desc)
		return kbp_failf(
			err, -EBUSY,
			"frames that were out when it was closed by force are lost until all queues of the "
			"port are closed: close them",
			"open channel %u of %s again", c->opts.channel, p->info.interface);
	while (flight < e->tx_desc + c->opts.hold_max + KBP_DPDK_SEGS)
		flight <<= 1;
	f->flight.e = calloc(flight, sizeof(*f->flight.e));
	f->flight.mask = flight - 1;
	if (e->reports)
		f->heard = calloc(1, sizeof(*f->heard));
	if (!f->flight.e || (e->reports && !f->heard))
		return kbp_fail(err, -ENOMEM, "open a dpdk queue", "out of memory");
	f->p = e;
	f->x.port = e->id;
	f->x.queue = (uint16_t)c->opts.channel;
	f->x.tx_pool = e->pools->tx[f->x.queue];
	f->x.tx_careful = (c->opts.flags & KBP_QUEUE_COMPLETIONS) != 0;
	f->x.special = takes_eights(e, f->x.queue) ? KBP_DPDK_ODD : 0;
	if (e->match)
		f->x.special |= KBP_DPDK_MATCH;
	f->x.stamp_flag_shift = c->opts.flags & KBP_QUEUE_RX_STAMPS ? e->clock.shift : 0;
	f->x.q.hold_max = c->opts.hold_max;
	f->x.q.flags = c->opts.flags;
	f->x.q.chain_max = chain_max(p, c->opts.flags);
	return 0;
}

int kbp_dpdk_queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
			struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct kbp_dpdk_full *f = aligned_alloc(64, (sizeof(*f) + 63) & ~63ul);
	struct rte_eth_link link = { 0 };
	int rc = 0;

	if (!f)
		return kbp_fail(err, -ENOMEM, "open a dpdk queue", "out of memory");
	memset(f, 0, sizeof(*f));
	thread_know(f);
	kbp_dpdk_lock();
	if (!e->n_open) {
		e->first = c->opts;
		rc = device_start(p, err);
	}
	if (!rc)
		rc = queue_make(p, c, f, err);
	if (!rc)
		e->n_open++;
	else if (!e->n_open)
		device_stop(e);
	kbp_dpdk_unlock();
	if (rc) {
		thread_forget(f);
		queue_free(f);
		return rc;
	}
	kbp_dpdk_start(f);
	/* the kernel tells of its own; the monitor looks at others, but only now and then */
	if (!p->info.ifindex && !rte_eth_link_get_nowait(e->id, &link) && !link.link_status)
		kbp_queue_set_state(&f->x.q, KBP_QUEUE_LINK_DOWN);
	if (!(c->opts.flags & KBP_QUEUE_RX))
		kbp_dpdk_start_tx_only(f);
	*q = &f->x.q;
	return 0;
}

/* What the queue has of mbufs goes back; what a close by force leaves with the caller is written off. */
static void buffers_back(struct kbp_dpdk_full *f)
{
	struct kbp_dpdk_pools *g = f->p->pools;

	while (f->stash.out != f->stash.in)
		rte_pktmbuf_free(f->stash.m[f->stash.out++ & (KBP_DPDK_STASH - 1)]);
	/* our reference; the device may have one still */
	for (; f->flight.out != f->flight.in; f->flight.out++)
		rte_pktmbuf_free_seg(f->flight.e[f->flight.out & f->flight.mask].m);
	g->rx_lost[f->x.queue] += f->x.q.held;
	g->tx_lost[f->x.queue] += f->x.n_reserved;
}

void kbp_dpdk_queue_close(struct kbp_queue *q)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(q);
	struct kbp_dpdk_port *e = f->p;

	kbp_dpdk_lock();
	if (q->tx_count) /* not when the queue could not be finished */
		e->sent_before += q->tx_count->frames;
	buffers_back(f);
	if (!--e->n_open)
		device_stop(e);
	kbp_dpdk_unlock();
	thread_forget(f);
	queue_free(f);
}

/* The device's own count tells what has left; with completions each frame does. */
unsigned kbp_dpdk_queue_drain(struct kbp_queue *q)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(q);
	uint64_t sent;
	struct rte_eth_stats s;

	if (!(q->flags & KBP_QUEUE_TX) || __atomic_load_n(&f->p->removed, __ATOMIC_RELAXED))
		return 0;
	if (f->x.tx_careful)
		return kbp_dpdk_flying(f);
	if (!q->tx_count->frames || rte_eth_stats_get(f->x.port, &s))
		return 0;
	pthread_mutex_lock(&q->port->lock);
	sent = f->p->sent_before + f->p->reports_sent;
	for (const struct kbp_queue_cold *c = q->port->queues; c; c = c->next)
		sent += __atomic_load_n(&c->q->tx_count->frames, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&q->port->lock);
	s.opackets += s.oerrors;
	s.opackets -= f->p->base.opackets + f->p->base.oerrors;
	return s.opackets < sent;
}

unsigned kbp_dpdk_queue_reserved(const struct kbp_queue *q)
{
	return kbp_dpdk_full(q)->x.n_reserved;
}

/* DPDK has no descriptor to sleep on: this looks at the device. */
bool kbp_dpdk_queue_pending(struct kbp_queue *q)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(q);

	if (!(q->flags & KBP_QUEUE_RX) || !kbp_dpdk_look(f))
		return false;
	f->x.special |= KBP_DPDK_STASHED;
	return true;
}
