/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp.h - what the hot half (af_xdp.c) and the cold half (af_xdp_setup.c, af_xdp_socket.c,
 * af_xdp_flows.c, af_xdp_stamps.c) share. */
#ifndef KBP_BACKEND_AF_XDP_H
#define KBP_BACKEND_AF_XDP_H

#include <linux/if_xdp.h>
#include <linux/types.h>

#include "../bpf/flow_table.h"
#include "../internal.h"

/* Constants of include/uapi/linux/if_xdp.h and bpf.h that older distributions' headers lack. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* 6.6 */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* 6.6 */
#endif
#ifndef XDP_UMEM_TX_METADATA_LEN
#define XDP_UMEM_TX_METADATA_LEN (1 << 2) /* 6.11, and 6.8 to 6.10 since their later releases */
#endif
#ifndef XDP_TX_METADATA
#define XDP_TX_METADATA (1 << 1) /* 6.8 */
#endif
#ifndef XDP_TXMD_FLAGS_TIMESTAMP
#define XDP_TXMD_FLAGS_TIMESTAMP (1 << 0) /* 6.8 */
#endif
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6) /* 6.3 */
#endif
_Static_assert(XDP_PKT_CONTD == KBP_FRAME_MORE, "descriptors are copied into frames whole");

#define KBP_AXDP_TEMPLATES 64u /* resident buffers of a TX queue */

/* In front of a sent frame that is to be stamped: struct xsk_tx_metadata of the kernel's. */
struct kbp_axdp_tx_meta {
	uint64_t flags; /* XDP_TXMD_FLAGS_* */
	uint64_t stamp; /* written before the completion */
	uint64_t launch;
};

#define KBP_AXDP_TX_HEAD 64u /* its room; a line, so that headers stay aligned */

struct flow_redirect; /* skeleton */

struct kbp_axdp_port {
	struct flow_redirect *skel;
	int link_fd; /* bpf_link; -1: not attached */
	uint32_t prog_id;
	bool native;	      /* attached in the driver */
	bool stamps;	      /* the attached program writes them */
	char stamps_less[96]; /* why it does not, or not the NIC's; "" */
	uint32_t *stamper;    /* enum kbp_xdp_stamper; in memory shared with the program */
	struct {
		struct kbp_flow_key mask;
		unsigned users;
	} shape[KBP_SHAPES_MAX];
};

/* The cold part of a queue, behind the hot one. */
struct kbp_axdp_full {
	struct kbp_axdp_queue x; /* first */
	struct kbp_memory mem;
	int fd;
	struct {
		void *base;
		size_t bytes;
	} map[4];			     /* rings */
	bool tpl_open[KBP_AXDP_TEMPLATES];   /* buffers that templates have */
	bool tpl_busy[KBP_AXDP_TEMPLATES];   /* in flight; also after the template was closed */
	uint64_t count_base[KBP_XDP_COUNTS]; /* of the program, when the queue was opened */
	enum kbp_mode mode;
	uint32_t napi_id;
	bool busy_poll_works;
	uint32_t tx_head;  /* bytes of a TX buffer before the frame */
	uint32_t *stamper; /* the port's */
	struct kbp_stamp_proof rx_proof, tx_proof;
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

/* af_xdp_stamps.c */
/* Before the next n received frames are handed over: do their stamps prove the source. */
void kbp_axdp_stamps_look(struct kbp_axdp_queue *x, uint32_t n);
/* Give the parts of a chain, among the next n frames, the stamp of its first. */
void kbp_axdp_stamps_spread(struct kbp_axdp_queue *x, uint32_t n);
/* The port's program writes stamps, and this queue reports them. */
void kbp_axdp_stamps_begin(struct kbp_axdp_full *full, const struct kbp_axdp_port *a);
/* The stamp of a completion, out of the buffer and into *c. */
void kbp_axdp_stamps_sent(struct kbp_axdp_queue *x, struct kbp_completion *c);
void kbp_axdp_stamps_info(const struct kbp_axdp_full *full, struct kbp_queue_info *info);
void kbp_axdp_stamps_sync(struct kbp_queue *q, uint64_t shift, bool watched);

/* Asks for a stamp of the frame at `addr`; what to write into its descriptor's options. */
static inline uint32_t kbp_axdp_tx_ask(const struct kbp_axdp_queue *x, uint64_t addr, bool wanted)
{
	struct kbp_axdp_tx_meta *meta = (void *)(x->umem + addr - sizeof(*meta));

	meta->flags = XDP_TXMD_FLAGS_TIMESTAMP;
	meta->stamp = 0;
	return wanted ? XDP_TX_METADATA : 0;
}

/* af_xdp_socket.c */
struct kbp_axdp_sizes {
	uint32_t fill, comp, rx, tx; /* entries; 0: no such ring */
};

/* With full->mem and x.chunk: socket, memory, rings in x. *meta is the room before sent frames, which
 * becomes 0 where the kernel has none. */
int kbp_axdp_socket_open(struct kbp_axdp_full *full, const struct kbp_axdp_sizes *n, uint32_t *meta);
int kbp_axdp_socket_bind(struct kbp_axdp_full *full, uint32_t ifindex, uint32_t channel,
			 uint16_t flags);
void kbp_axdp_socket_close(struct kbp_axdp_full *full);

/* af_xdp_setup.c */
uint32_t kbp_axdp_chunk(uint32_t mtu, uint32_t wanted);

/* af_xdp_flows.c: program, flow table, counts. */
int kbp_axdp_program_load(struct kbp_port *p, struct kbp_error *err);
int kbp_axdp_program_attach(struct kbp_port *p, struct kbp_error *err);
/* Put a program that writes stamps in the attached one's place; see kbp_axdp_port.stamps. */
void kbp_axdp_program_stamp(struct kbp_port *p);
void kbp_axdp_program_unload(struct kbp_port *p);
bool kbp_axdp_program_lost(struct kbp_port *p);
int kbp_axdp_map_socket(struct kbp_port *p, uint32_t channel, int fd);
int kbp_axdp_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int kbp_axdp_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
uint64_t kbp_axdp_program_count(const struct kbp_port *p, enum kbp_xdp_count which);

#endif
