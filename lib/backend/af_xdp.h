/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp.h - what the hot half (af_xdp.c) and the cold half (af_xdp_setup.c, af_xdp_flows.c)
 * share. */
#ifndef KBP_BACKEND_AF_XDP_H
#define KBP_BACKEND_AF_XDP_H

#include <xdp/xsk.h>

#include "../bpf/flow_table.h"
#include "../internal.h"

/* Constants of include/uapi/linux/if_xdp.h that older distributions' headers lack. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* 6.6 */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* 6.6 */
#endif
_Static_assert(XDP_PKT_CONTD == KBP_FRAME_MORE, "descriptors are copied into frames whole");

#define KBP_AXDP_TEMPLATES 64u /* resident buffers of a TX queue */

struct flow_redirect; /* skeleton */

struct kbp_axdp_port {
	struct flow_redirect *skel;
	int link_fd; /* bpf_link; -1: not attached */
	uint32_t prog_id;
	bool native; /* attached in the driver */
	struct {
		struct kbp_flow_key mask;
		unsigned users;
	} shape[KBP_SHAPES_MAX];
};

/* The cold part of a queue, behind the hot one. */
struct kbp_axdp_full {
	struct kbp_axdp_queue x; /* first */
	struct kbp_memory mem;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	/* libxdp keeps pointers into these */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx, fill;
	struct xsk_ring_cons comp;
	bool tpl_open[KBP_AXDP_TEMPLATES];   /* buffers that templates have */
	bool tpl_busy[KBP_AXDP_TEMPLATES];   /* in flight; also after the template was closed */
	uint64_t count_base[KBP_XDP_COUNTS]; /* of the program, when the queue was opened */
	enum kbp_mode mode;
	uint32_t napi_id;
	bool busy_poll_works;
	char note[160];
};

static inline struct kbp_axdp_full *kbp_axdp_full(const struct kbp_queue *q)
{
	return (struct kbp_axdp_full *)(uintptr_t)q;
}

static inline uint32_t kbp_axdp_tx_buffers_free(const struct kbp_axdp_queue *x)
{
	return (uint32_t)(x->tx_top - x->tx_free);
}

/* af_xdp.c: hang the array form on the queue, whose rings and chain_max are set. */
void kbp_axdp_set_calls(struct kbp_queue *q);
/* Ring the doorbell again when the kernel has left frames in the ring. */
void kbp_axdp_kick_rest(struct kbp_axdp_queue *x);
/* Take back what was sent; not on queues that keep completions. */
void kbp_axdp_complete(struct kbp_axdp_queue *x);
/* The same for the next n completions, which are there, on any queue. */
void kbp_axdp_collect(struct kbp_axdp_queue *x, uint32_t n);
/* Free TX descriptors for a burst of n. */
uint32_t kbp_axdp_tx_room(struct kbp_axdp_queue *x, uint32_t n);

/* af_xdp_setup.c */
uint32_t kbp_axdp_chunk(uint32_t mtu, uint32_t wanted);

/* af_xdp_flows.c: program, flow table, counts. */
int kbp_axdp_program_load(struct kbp_port *p, struct kbp_error *err);
int kbp_axdp_program_attach(struct kbp_port *p, struct kbp_error *err);
void kbp_axdp_program_unload(struct kbp_port *p);
bool kbp_axdp_program_lost(struct kbp_port *p);
int kbp_axdp_map_socket(struct kbp_port *p, uint32_t channel, int fd);
int kbp_axdp_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int kbp_axdp_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
uint64_t kbp_axdp_program_count(const struct kbp_port *p, enum kbp_xdp_count which);

#endif
