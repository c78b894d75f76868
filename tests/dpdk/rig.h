/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig.h - the dpdk backend compiled in, over ports in memory: rings that the test makes into a port of net_ring,
 * and opens by its name, as a program does that has DPDK running already. What every backend must do is in
 * tests/contract; here is what is dpdk's own.
 */
#ifndef KBP_TEST_DPDK_RIG_H
#define KBP_TEST_DPDK_RIG_H

#include <errno.h>

#include "../lib/frame.h"
#include "../lib/test.h"

#include "../../lib/backend/dpdk.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#define PORT 5000u
#define OUR_IP 0x0a4d0001u
#define PEER_IP 0x0a4d0002u
#define WIRE_QUEUES 2u

extern const struct kbp_backend kbp_backend_dpdk;

struct wire {
	char name[16]; /* the port's */
	struct rte_ring *in[WIRE_QUEUES], *out[WIRE_QUEUES];
};

struct rig {
	struct kbp_port *port;
	struct kbp_queue *q;
	struct kbp_error err;
};

extern struct rig r;

void rig_ok(int rc, const char *what);
#define ok(call) rig_ok((call), #call)

/* Starts DPDK in this process and registers the backend; exits with the reason of a skip where it cannot. */
void rig_begin(void);
/* A port "net_ring_NAME"; the sender sees `out` full after out_frames - 1, a power of two. For good. */
void rig_wire(struct wire *w, const char *name, unsigned queues, unsigned out_frames);
struct rte_mempool *rig_pool(const char *name, unsigned n);
/* A packet in parts of these lengths. */
struct rte_mbuf *rig_packet(struct rte_mempool *pool, const uint8_t *bytes, const uint32_t *part,
			    unsigned n);

void rig_port(const struct wire *w, const char *words, uint32_t flags);
struct kbp_flow_ref *rig_flow(struct kbp_queue *q, const char *text);
struct kbp_txflow *rig_txflow(struct kbp_queue *q);
uint64_t rig_counter(struct kbp_queue *q, const char *name);

/* Every buffer but `out` of the pool is in it, once, and as a fresh one is. */
void rig_pool_check(struct rte_mempool *pool, unsigned out);
/* No pool of the backend's is left. */
void rig_no_pools(void);

#endif
