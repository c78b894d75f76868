/* SPDX-License-Identifier: BSD-2-Clause */
/* ef_vi.h - what the hot half (ef_vi.c) and the cold half (ef_vi_setup.c, ef_vi_flows.c) of the ef_vi
 * module share. Compiled once against each kind of headers; see ef_vi_vendor.h. */
#ifndef KBP_BACKEND_EF_VI_H
#define KBP_BACKEND_EF_VI_H

#include "../internal.h"
#include "ef_vi_vendor.h"

#define KBP_EFVI_TEMPLATES 64u /* resident buffers of a TX queue */
#define KBP_EFVI_PIO_SLOTS 16u
#define KBP_EFVI_MISSING_MANY 32u     /* the array form posts spare buffers when so many are held */
#define KBP_EFVI_PARTS 64u	      /* of a chain, at the most */
#define KBP_EFVI_SUPERBUFFER_BITS 20u /* 1 MiB, in one piece and aligned (efct_vi.h) */
#define KBP_EFVI_PINS 4096u	      /* superbuffers told apart: twice those of a receive queue */
#define KBP_EFVI_FORWARDED (1u << 31) /* mark of a pkt_id among request ids; pkt_ids have 30 bits */
#define KBP_EFVI_NO_PART UINT32_MAX
#define KBP_EFVI_STATS 4u /* what the vendor counts for a VI */

/* A device's filter; several flows may need the same one. */
struct kbp_efvi_filter {
	struct kbp_efvi_filter *next;
	ef_filter_spec spec;
	ef_filter_cookie cookie;
	unsigned users;
};

struct kbp_efvi_port {
	ef_driver_handle dh;
	ef_pd pd;
	bool refs;	   /* received frames come by reference */
	bool shared;	   /* other programs' frames may come too */
	bool merging;	   /* the firmware always merges receive events */
	bool vlan_filters; /* the device can ask for a tag besides addresses */
	bool rx_stamps, tx_stamps;
	bool must_ctpio; /* it sends in no other way */
	enum kbp_tx_mode tx_mode, tx_wanted;
	char note[160]; /* of the port; of every queue too */
};

/* Frames out of their order, or of a kind that has to be put together first. Indices run free; they begin
 * where they soon wrap. */
struct kbp_efvi_stash {
	struct kbp_frame *frame;
	uint32_t mask;
	uint32_t out;	/* next to be handed over */
	uint32_t whole; /* up to here packets are complete */
	uint32_t in;
	uint32_t chain_bytes; /* descriptor events: bytes of the chain so far, as the device adds them up */
	uint32_t multi_left; /* merged events: bytes of the packet that are still to come */
	bool chain_bad;	     /* what else comes of this packet is dropped, and counted already */
};

struct kbp_efvi_done {
	struct kbp_completion *c;
	uint32_t mask, in, out;
};

/* Counts beyond the hot ones, each written by the queue's thread. */
struct kbp_efvi_count {
	uint64_t discard[EF_EVENT_RX_DISCARD_MAX]; /* packets, by the vendor's kind */
	uint64_t foreign;			   /* of no flow of ours */
	uint64_t stash_full;
	uint64_t no_stamp[4];  /* by enum kbp_no_ts */
	uint64_t ctpio_missed; /* frames meant for CTPIO or PIO that went by DMA */
	uint64_t pins, pins_max;
	uint64_t strange; /* events of an unknown type */
};

struct kbp_efvi_full {
	/* Buffers: 0 .. n_rx receive, then n_tx to send, then templates. All `target` descriptors of the
	 * RX ring are posted but `missing`; buffers beyond those lie in `spare`. */
	uint32_t n_rx, n_tx, target, missing, n_spare;
	uint32_t *spare;
	uint32_t *next_part; /* of a received chain that is being sent on */
	uint32_t *later;     /* references sent on from inside a handler */
	uint32_t n_later;
	ef_addr *dma;
	struct kbp_efvi_stash stash;
	struct kbp_efvi_done done;
	struct kbp_efvi_count count;
	uint32_t strange; /* in flight: received frames and templates */
	bool match;	  /* the device does not tell our frames from others' */
	bool tpl_open[KBP_EFVI_TEMPLATES], tpl_busy[KBP_EFVI_TEMPLATES];
	uint32_t pin_users[KBP_EFVI_PINS]; /* frames held of each superbuffer */
	/* cold */
	struct kbp_memory mem;
	ef_memreg mr;
	/* What is made on a handle stays in the driver until it is closed: the memory for as long as the
	 * queue, the VI with its filters and PIO until a reopen. */
	ef_driver_handle mr_dh, dh;
	ef_pio pio;
	uint8_t *warm; /* where warming CTPIO writes go */
	bool have_mr_dh, have_dh, have_mr, have_vi, have_pio;
	struct kbp_efvi_filter *filters;
	uint64_t tx_gone;   /* frames whose completions went with a VI that was reopened */
	uint64_t wire_base; /* of the software NIC's wire */
	uint64_t lost_base; /* the device's count of frames without a buffer, when the queue was opened */
	bool own_stats;			      /* the device counts for each VI */
	uint64_t stat_before[KBP_EFVI_STATS]; /* of VIs before a reopen */
	bool had_stamp;			      /* the device's clock was heard of */
	bool told;			      /* the adapter says whether its clock is in sync */
	struct kbp_stamp_proof proof, tx_proof;
	char note[160];
	struct kbp_efvi_queue x; /* its size is the version's */
};

static inline struct kbp_efvi_full *kbp_efvi_full(struct kbp_efvi_queue *x)
{
	return (struct kbp_efvi_full *)(void *)((char *)x - offsetof(struct kbp_efvi_full, x));
}

static inline struct kbp_efvi_full *kbp_efvi_full_q(const struct kbp_queue *q)
{
	return kbp_efvi_full(kbp_efvi((struct kbp_queue *)(uintptr_t)q));
}

/* Frames given to the device and not back yet. */
static inline uint64_t kbp_efvi_in_flight(const struct kbp_efvi_full *f)
{
	const struct kbp_hot_tx *c = f->x.q.tx_count;

	return c->frames - c->completions - f->tx_gone;
}

static inline struct kbp_frame *kbp_efvi_stash_at(const struct kbp_efvi_stash *s, uint32_t at)
{
	return &s->frame[at & s->mask];
}

/* The doorbell, unless a burst is running, which rings it at its end. */
static inline void kbp_efvi_push_rx(struct kbp_efvi_full *f)
{
	if (!f->x.in_burst)
		kbp_efvi_push(&f->x);
}

/* A held reference keeps its whole superbuffer from the device: 1 MiB, in one piece (efct_vi.h). Which one is
 * told by the address; those of a receive queue lie side by side. */
KBP_INLINE uint32_t *kbp_efvi_pins(struct kbp_efvi_full *f, const void *data)
{
	return &f->pin_users[((uintptr_t)data >> KBP_EFVI_SUPERBUFFER_BITS) % KBP_EFVI_PINS];
}

KBP_INLINE void kbp_efvi_pin(struct kbp_efvi_full *f, const void *data)
{
	uint32_t *users = kbp_efvi_pins(f, data);

	if (KBP_LIKELY((*users)++))
		return;
	f->count.pins++;
	if (f->count.pins > f->count.pins_max)
		f->count.pins_max = f->count.pins;
}

KBP_INLINE void kbp_efvi_unpin(struct kbp_efvi_full *f, const void *data)
{
	uint32_t *users = kbp_efvi_pins(f, data);

	if (KBP_LIKELY(*users) && !--*users)
		f->count.pins--;
}

/* ---- ef_vi_sort.c; what is in struct kbp_efvi_calls is described there */
/* A received frame that nobody needs any more; a frame that the caller has, and has no more. */
void kbp_efvi_home(struct kbp_efvi_full *f, uint64_t token);
void kbp_efvi_hold(struct kbp_efvi_full *f, uint64_t token);
void kbp_efvi_unhold(struct kbp_efvi_full *f, uint64_t token);
/* A reference that was sent on: given back, inside a handler when it is done with the frame. */
void kbp_efvi_later(struct kbp_efvi_full *f, uint64_t token);
/* Spare buffers into the descriptors that are missing. */
void kbp_efvi_replenish(struct kbp_efvi_full *f);
/* A sent buffer goes back to where it belongs. */
void kbp_efvi_sent_home(struct kbp_efvi_full *f, uint32_t id);
/* Look before the next poll: the stash, buffers to post, the bound, a filter of our own. */
void kbp_efvi_look_first(struct kbp_efvi_full *f);
/* Take in what the device has to say; frames go to the stash. Not inside a burst. Returns how many events
 * there were. */
unsigned kbp_efvi_collect(struct kbp_efvi_full *f);
/* Out of the stash into frame[n..max). Returns the new n. */
unsigned kbp_efvi_stash_take(struct kbp_efvi_full *f, struct kbp_frame *frame, unsigned n,
			     unsigned max);
bool kbp_efvi_odd(struct kbp_efvi_queue *x, const ef_event *e, unsigned left);
void kbp_efvi_sort(struct kbp_efvi_queue *x, const ef_event *e, unsigned n);
unsigned kbp_efvi_stash_each(struct kbp_rx rx, unsigned n, unsigned max, kbp_handler fn, void *arg);
bool kbp_efvi_keep(struct kbp_efvi_queue *x, uint64_t token);
void kbp_efvi_give(struct kbp_efvi_queue *x, uint64_t token);
uint16_t kbp_efvi_no_stamp(struct kbp_efvi_queue *x, int rc);
uint16_t kbp_efvi_not_in(struct kbp_efvi_queue *x, uint64_t ns, unsigned flags);
struct kbp_stamp kbp_efvi_stamp_old(struct kbp_efvi_queue *x, const void *pkt, uint64_t token);

/* ---- ef_vi.c */
/* Array form, inline form's slow side and indices; buffers and rings are there. */
void kbp_efvi_start(struct kbp_efvi_full *f);
/* There is no VI: nothing is asked of it, and frames that come back are only counted. */
void kbp_efvi_stop(struct kbp_efvi_full *f);
/* Frames waiting in the device's event queue; fill and low-water mark follow. Any thread. */
void kbp_efvi_look(struct kbp_efvi_full *f);
/* One frame of a buffer of ours with a doorbell. 0, or -EAGAIN. */
int kbp_efvi_send(struct kbp_efvi_full *f, ef_request_id id, const uint8_t *frame, uint32_t len,
		  unsigned how);
/* Descriptors free for sending. */
uint32_t kbp_efvi_tx_space(const struct kbp_efvi_full *f);

/* ---- ef_vi_facts.c */
/* kbp_queue.sync_shift of the queue has changed. */
void kbp_efvi_queue_sync(struct kbp_queue *q, uint64_t shift, bool watched);
/* Counts of frames without a buffer begin here, at the opening of a queue; and go on over a reopen. */
void kbp_efvi_stats_begin(struct kbp_efvi_full *f);
void kbp_efvi_stats_keep(struct kbp_efvi_full *f);
/* Counts of the whole interface begin here, once for a queue. */
void kbp_efvi_bases(struct kbp_efvi_full *f, const struct kbp_port *p);
int kbp_efvi_driver_stat(const struct kbp_port *p, const char *name, uint64_t *value);
void kbp_efvi_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info);
void kbp_efvi_queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l);

/* ---- ef_vi_txflow.c */
int kbp_efvi_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err);
void kbp_efvi_tx_warm(struct kbp_txflow *t, const struct kbp_frame *frame);
int kbp_efvi_template_open(struct kbp_template *tpl, struct kbp_error *err);
bool kbp_efvi_template_busy(struct kbp_template *tpl);
unsigned kbp_efvi_template_send(struct kbp_template *tpl);
void kbp_efvi_template_close(struct kbp_template *tpl);

/* ---- ef_vi_flows.c */
int kbp_efvi_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int kbp_efvi_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
/* The filters of a queue whose VI is a new one. */
int kbp_efvi_filters_again(struct kbp_efvi_full *f, struct kbp_error *err);

#endif
