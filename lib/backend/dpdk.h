/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk.h - what the hot half (dpdk.c) and the cold half (dpdk_*.c) of the dpdk module share. */
#ifndef KBP_BACKEND_DPDK_H
#define KBP_BACKEND_DPDK_H

#ifndef KBP_HOT_DPDK
#define KBP_HOT_DPDK
#endif
#include "../internal.h"
#include "../report.h"
#include "dpdk_env.h"

#include <rte_flow.h>

#define KBP_DPDK_QUEUES 64u  /* of a port, at the most */
#define KBP_DPDK_STASH 128u  /* packets: left over from one burst, and put back after it */
#define KBP_DPDK_SEGS 32u    /* parts of a chain, at the most */
#define KBP_DPDK_SOCKETS 64u /* of the kernel's, that a PMD opened for a port */

/* A flow of a port: matched by software and, where there is a rule, steered by the device. */
struct kbp_dpdk_flow {
	struct kbp_dpdk_flow *next; /* of those that are gone */
	struct kbp_flow flow;
	uint16_t queue;
	struct rte_flow *rule; /* NULL: the device does not steer it */
	bool proven;	       /* a frame of it came to its queue; written by that queue's thread */
	bool missed; /* one came to another queue: the rule was accepted and steers nothing */
};

/* The flows of a port as its queues read them. A change makes a new table; the old ones stay until the port
 * is closed, because a poll may be reading them: some hundred bytes for each change. */
struct kbp_dpdk_table {
	struct kbp_dpdk_table *old;
	uint32_t n;
	struct kbp_dpdk_flow *e[];
};

/* A socket that a PMD (net_af_packet, net_af_xdp) opened: the kernel counts there what the PMD does not. */
struct kbp_dpdk_socket {
	int fd;
	int family;	/* AF_PACKET, AF_XDP */
	uint64_t drops; /* read so far: AF_PACKET forgets what it told */
	uint64_t base;	/* of AF_XDP, when the device was started */
};

/* What the driver's stamps mean (dpdk_facts.c). */
struct kbp_dpdk_clock {
	enum kbp_ts_source source;
	enum kbp_epoch epoch;
	double ns_per_tick;
	uint64_t mult; /* 2^-32 ns per tick */
	uint32_t resolution_ps;
	int offset;	 /* of the dynamic field in an mbuf */
	uint32_t shift;	 /* of its flag in ol_flags; 0: no stamps */
	const char *why; /* there are none */
};

/* Buffers of one start of the device. A PMD may keep some beyond the stop, until its rings are set up anew or
 * it is closed. */
struct kbp_dpdk_pools {
	struct kbp_dpdk_pools *older;
	struct rte_mempool *rx[KBP_DPDK_QUEUES], *tx[KBP_DPDK_QUEUES], *report;
	/* buffers that callers had when their queue was closed by force */
	uint32_t rx_lost[KBP_DPDK_QUEUES], tx_lost[KBP_DPDK_QUEUES];
};

struct kbp_dpdk_port {
	uint16_t id; /* DPDK's number */
	bool ours;   /* probed by us: removed when the port is closed */
	bool started;
	uint64_t owner;	   /* our mark at DPDK's device; 0: not open */
	bool bifurcated;   /* the kernel has the device too */
	bool match;	   /* software matches flows; false: "match=off" */
	bool isolated;	   /* the device delivers what a rule names and nothing else */
	bool removed;	   /* the device says that it is gone (any thread) */
	char name[64];	   /* of the virtual device, or the PCI address */
	uint16_t n_queues; /* configured, each way; one TX queue more with reports */
	uint16_t n_open;
	struct rte_eth_dev_info dev;
	struct rte_eth_stats base;
	struct kbp_dpdk_socket sock[KBP_DPDK_SOCKETS];
	unsigned n_sock;
	struct kbp_dpdk_clock clock;
	struct kbp_dpdk_table *table; /* published by release */
	struct kbp_dpdk_flow *gone;   /* deleted, and maybe still read */
	/* what the first queue was opened with; others of the port have the same rings */
	struct kbp_queue_opts first;
	struct kbp_dpdk_pools *pools; /* in use, then those of earlier starts that may not be freed yet */
	uint16_t rx_desc, tx_desc; /* as the device took them */
	uint32_t least_buf;	   /* a PMD writes as much into one; 0: it says nothing */
	uint64_t sent_before; /* frames of queues that are closed, since the device was started */
	uint32_t buf_bytes;   /* data room of an RX buffer, without headroom */
	uint32_t tx_bytes;    /* and of a TX buffer */
	bool scatter;
	uint16_t want_mtu; /* where the kernel has no interface to say it; 0: the device's */
	/* reports */
	bool want_reports;
	uint8_t report_ip4[4];
	struct kbp_reports *reports;
	uint64_t reports_sent, reports_failed;
};

/* Packets that could not be handed over in their burst. Indices run free. */
struct kbp_dpdk_stash {
	struct rte_mbuf *m[KBP_DPDK_STASH];
	uint32_t in, out;
};

/* Sent with completions kept: a reference of ours tells when the device has let go. */
struct kbp_dpdk_flown {
	struct rte_mbuf *m;
	uint64_t token; /* of the frame, or of the template it is a copy of */
};

struct kbp_dpdk_flight {
	struct kbp_dpdk_flown *e; /* in order of submission */
	uint32_t mask, in, out;
};

struct kbp_dpdk_count {
	uint64_t foreign;   /* frames of no flow of ours, given back unseen */
	uint64_t elsewhere; /* frames of a flow of another queue of this port */
	uint64_t no_stamp;
};

struct kbp_dpdk_full {
	struct kbp_dpdk_queue x; /* first */
	struct kbp_dpdk_port *p;
	struct kbp_dpdk_stash stash;
	struct kbp_dpdk_flight flight;
	struct kbp_dpdk_count count;
	struct kbp_dpdk_heard *heard; /* NULL: no reports of our own */
	struct kbp_stamp_proof proof;
	bool registered; /* the opening thread was made known to DPDK for this queue */
	pthread_t thread;
	char note[160];
};

/* A query for group members, passed on by the queue's thread to the monitor. */
#define KBP_DPDK_HEARD 8u
#define KBP_DPDK_HEARD_BYTES 256u
struct kbp_dpdk_heard {
	uint32_t in, out; /* free-running; written by the queue's thread and by the monitor */
	struct {
		uint32_t len;
		uint8_t bytes[KBP_DPDK_HEARD_BYTES];
	} e[KBP_DPDK_HEARD];
};

static inline struct kbp_dpdk_full *kbp_dpdk_full(const struct kbp_queue *q)
{
	return (struct kbp_dpdk_full *)(void *)(uintptr_t)q;
}

static inline struct kbp_dpdk_port *kbp_dpdk_port(const struct kbp_port *p)
{
	return (struct kbp_dpdk_port *)p->priv;
}

/* ---- dpdk.c: the hot path */
void kbp_dpdk_start(struct kbp_dpdk_full *f);
/* Of a queue that does not receive. */
void kbp_dpdk_start_tx_only(struct kbp_dpdk_full *f);
/* Takes frames from the device into the stash when that is empty; how many packets it has then. */
unsigned kbp_dpdk_look(struct kbp_dpdk_full *f);
/* Sent mbufs that the device still has; always 0 without KBP_QUEUE_COMPLETIONS. */
unsigned kbp_dpdk_flying(struct kbp_dpdk_full *f);

/* ---- dpdk_port.c */
struct kbp_dpdk_before {
	int fd[256];
	unsigned n;
};
/* Around calls in which a PMD may open sockets: those that are new are its. */
void kbp_dpdk_sockets_before(struct kbp_dpdk_before *b);
void kbp_dpdk_sockets_after(const struct kbp_dpdk_before *b, struct kbp_port *p);

/* ---- dpdk_queue.c */
/* Memory for the buffers of a queue, in bytes. */
uint64_t kbp_dpdk_queue_bytes(uint32_t rx_desc, uint32_t tx_desc, uint32_t hold_max, uint32_t room);
uint32_t kbp_dpdk_buf_bytes(const struct kbp_port *p, bool multi_buffer);
/* The device is closed: its buffers go. Under the lock of DPDK. */
void kbp_dpdk_pools_free(struct kbp_dpdk_port *e);
int kbp_dpdk_queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
			struct kbp_error *err);
void kbp_dpdk_queue_close(struct kbp_queue *q);
unsigned kbp_dpdk_queue_drain(struct kbp_queue *q);
unsigned kbp_dpdk_queue_reserved(const struct kbp_queue *q);
bool kbp_dpdk_queue_pending(struct kbp_queue *q);

/* ---- dpdk_facts.c */
void kbp_dpdk_clock_learn(struct kbp_port *p);
/* The kernel's counts of what the PMD's sockets lost begin here. */
void kbp_dpdk_sockets_base(struct kbp_dpdk_port *e);
struct kbp_stamp kbp_dpdk_stamp(struct kbp_dpdk_queue *x, const struct rte_mbuf *m);
void kbp_dpdk_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info);
void kbp_dpdk_queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l);

/* ---- dpdk_flows.c */
int kbp_dpdk_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int kbp_dpdk_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int kbp_dpdk_flow_join(struct kbp_queue *q, const struct kbp_flow_ref *ref, struct kbp_error *err);
void kbp_dpdk_flow_leave(struct kbp_queue *q, const struct kbp_flow_ref *ref);
void kbp_dpdk_flows_free(struct kbp_dpdk_port *e);
/* The flow of this frame, or NULL. Any queue of the port. */
struct kbp_dpdk_flow *kbp_dpdk_match(const struct kbp_dpdk_port *e, const struct rte_mbuf *m);
/* Reports that are due, queries that were heard; port locked. */
void kbp_dpdk_reports_service(struct kbp_port *p);

/* ---- dpdk_txflow.c */
int kbp_dpdk_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err);
int kbp_dpdk_template_open(struct kbp_template *tpl, struct kbp_error *err);
bool kbp_dpdk_template_busy(struct kbp_template *tpl);
unsigned kbp_dpdk_template_send(struct kbp_template *tpl);
void kbp_dpdk_template_close(struct kbp_template *tpl);

#endif
