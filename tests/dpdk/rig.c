/* SPDX-License-Identifier: BSD-2-Clause */
/* rig.c - see rig.h. */
#include <sched.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_mempool.h>

#include "rig.h"

#define WIRE_FRAMES 4096u
#define ROOM 1792u

struct rig r;

void rig_ok(int rc, const char *what)
{
	if (rc < 0)
		fail_msg("%s = %d: %s: %s", what, rc, r.err.step, r.err.hint);
}

void rig_begin(void)
{
	static char *eal[] = { (char *)(uintptr_t) "test",
			       (char *)(uintptr_t) "-l",
			       (char *)(uintptr_t) "0",
			       (char *)(uintptr_t) "--no-pci",
			       (char *)(uintptr_t) "--no-huge",
			       (char *)(uintptr_t) "-m",
			       (char *)(uintptr_t) "256",
			       (char *)(uintptr_t) "--no-shconf",
			       (char *)(uintptr_t) "--no-telemetry",
			       (char *)(uintptr_t) "--log-level=error" };

	cpu_set_t cpus;

	/* it binds this thread to one CPU, and with it all that are made later */
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init((int)KBP_ARRAY_SIZE(eal), eal) < 0) {
		printf("SKIP: DPDK's EAL does not start here: %s\n", rte_strerror(rte_errno));
		exit(TEST_SKIP);
	}
	sched_setaffinity(0, sizeof(cpus), &cpus);
	kbp_backend_register(&kbp_backend_dpdk);
}

void rig_wire(struct wire *w, const char *name, unsigned queues, unsigned out_frames)
{
	assert_in_range(queues, 1, WIRE_QUEUES);
	assert_in_range(snprintf(w->name, sizeof(w->name), "net_ring_%s", name), 1,
			sizeof(w->name) - 1);
	for (unsigned i = 0; i < queues; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s_in%u", name, i);
		w->in[i] = rte_ring_create(text, WIRE_FRAMES, SOCKET_ID_ANY, 0);
		snprintf(text, sizeof(text), "%s_out%u", name, i);
		w->out[i] = rte_ring_create(text, out_frames, SOCKET_ID_ANY, 0);
		if (!w->in[i] || !w->out[i])
			fail_msg("%s: %s", text, rte_strerror(rte_errno));
	}
	if (rte_eth_from_rings(name, w->in, queues, w->out, queues, 0) < 0)
		fail_msg("%s: %s", name, rte_strerror(rte_errno));
}

struct rte_mempool *rig_pool(const char *name, unsigned n)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, n, 0, 0, RTE_PKTMBUF_HEADROOM + ROOM, SOCKET_ID_ANY);

	if (!pool)
		fail_msg("%s: %s", name, rte_strerror(rte_errno));
	return pool;
}

struct rte_mbuf *rig_packet(struct rte_mempool *pool, const uint8_t *bytes, const uint32_t *part,
			    unsigned n)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part[i]), bytes, part[i]);
		bytes += part[i];
		if (last) {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += part[i];
		} else {
			head = m;
		}
		last = m;
	}
	return head;
}

void rig_port(const struct wire *w, const char *words, uint32_t flags)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	o.args = words;
	o.flags = flags;
	ok(kbp_port_open("dpdk", w->name, &o, &r.port, &r.err));
}

struct kbp_flow_ref *rig_flow(struct kbp_queue *q, const char *text)
{
	struct kbp_flow_ref *ref;
	struct kbp_flow flow;

	ok(kbp_flow_parse(text, &flow, &r.err));
	ok(kbp_flow_add(q, &flow, &ref, &r.err));
	return ref;
}

struct kbp_txflow *rig_txflow(struct kbp_queue *q)
{
	struct kbp_txflow *t;
	struct kbp_flow flow;

	ok(kbp_flow_parse("239.7.7.8:6000@10.77.0.1:7000+nojoin", &flow, &r.err));
	ok(kbp_txflow_open(q, &flow, &t, &r.err));
	return t;
}

uint64_t rig_counter(struct kbp_queue *q, const char *name)
{
	struct kbp_counter c[96];
	unsigned n = kbp_queue_counters(q, c, KBP_ARRAY_SIZE(c));

	assert_in_range(n, 1, KBP_ARRAY_SIZE(c));
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	fail_msg("there is no counter %s", name);
	return 0;
}

/* ---------------------------------------------------------------- buffers */

/* Taken out one by one: rte_mempool_avail_count() says no more than the size, also of a pool that got a buffer
 * back twice. */
void rig_pool_check(struct rte_mempool *pool, unsigned out)
{
	static uint32_t turn;
	struct rte_mbuf **m = calloc(pool->size, sizeof(m[0])), *next;
	unsigned n = 0;

	assert_non_null(m);
	for (turn++; !rte_mempool_get(pool, (void **)&next); m[n++] = next) {
		if (n == pool->size || next->hash.usr == turn)
			fail_msg("pool %s has a buffer twice", pool->name);
		next->hash.usr = turn;
		if (rte_mbuf_refcnt_read(next) != 1 || next->next || next->nb_segs != 1)
			fail_msg("pool %s: a buffer with %u references, %u parts%s", pool->name,
				 rte_mbuf_refcnt_read(next), next->nb_segs,
				 next->next ? ", and another behind it" : "");
	}
	if (n != pool->size - out)
		fail_msg("pool %s: %u buffers are in it, of %u less %u", pool->name, n, pool->size,
			 out);
	while (n)
		rte_mempool_put(pool, m[--n]);
	free(m);
}

static void on_pool(struct rte_mempool *pool, void *arg)
{
	(void)arg;
	if (!strncmp(pool->name, "kbp_", 4))
		fail_msg("pool %s is left: %u of %u buffers are in it", pool->name,
			 rte_mempool_avail_count(pool), pool->size);
}

void rig_no_pools(void)
{
	rte_mempool_walk(on_pool, NULL);
}
