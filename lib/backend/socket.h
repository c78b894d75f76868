/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.h - what the hot half (socket.c) and the cold half (socket_setup.c) of the backend
 * share. */
#ifndef KBP_BACKEND_SOCKET_H
#define KBP_BACKEND_SOCKET_H

#include "../internal.h"

/* Why the loop of the inline half may not simply receive. */
enum {
	SPECIAL_FLOWS = 1u << 0,     /* not exactly one flow */
	SPECIAL_STASH = 1u << 1,     /* received before, not yet handed over */
	SPECIAL_LENDING = 1u << 2,   /* the array form has slots out */
	SPECIAL_AT_BOUND = 1u << 3,  /* hold_max frames are held */
	SPECIAL_STAMPS = 1u << 4,    /* control buffers are to be rearmed */
	SPECIAL_FILTER = 1u << 5,    /* a flow's source is matched in software */
	SPECIAL_BUSY_POLL = 1u << 6, /* whether the driver has a NAPI id is still to be seen */
};

/* A received flow: one socket. */
struct sock_flow {
	struct kbp_flow flow;
	int fd;
	bool filter;	     /* the source is matched here, the kernel cannot */
	uint32_t drops_seen; /* the kernel's 32-bit count when last read */
	uint64_t drops;
};

/* A sent frame whose completion the caller has not reaped. */
struct sock_completion {
	uint64_t token;
	uint64_t ts_ns;
	uint64_t give_up_ns; /* CLOCK_MONOTONIC: no stamp by then, no stamp at all */
	struct sock_tx *tx;  /* awaits a stamp; NULL: ready */
	uint32_t id;	     /* SOF_TIMESTAMPING_OPT_ID */
	uint32_t error;
};

struct sock_tx {
	struct kbp_sock_tx hot; /* first: what the inline half reads */
	struct sock_tx *next;
	uint32_t next_id;  /* of the next datagram's stamp */
	uint32_t awaiting; /* completions that wait for a stamp */
	bool resync;	   /* a failed send may have used up an id or not: count anew when none is
		      * awaited */
};

struct sock_queue {
	struct kbp_sock_queue s; /* first */
	/* receive */
	uint32_t special;		 /* SPECIAL_* */
	struct kbp_sock_msg *next, *end; /* received and not yet handed over, with SPECIAL_STASH */
	struct sock_flow **flows;
	unsigned n_flows, cursor;
	struct sock_flow *cur; /* of the messages received last */
	unsigned used;	       /* messages received last */
	struct kbp_sock_slot **rx_free;
	uint32_t n_rx_free;
	uint32_t rx_bytes; /* of a slot's payload */
	struct kbp_memory rx_mem;
	uint64_t filtered;
	uint64_t dropped_before; /* by sockets of deleted flows */
	uint64_t unread;	 /* left in sockets of deleted flows */
	uint32_t napi_id;
	enum kbp_tristate busy_poll;
	uint32_t rcvbuf_bytes;
	int epoll_fd;
	int stamp_fd; /* keeps the kernel's stamping of received frames switched on; -1: not asked
		       * for */
	/* send */
	void **tx_free;
	uint32_t n_tx_free, n_tx;
	uint32_t tx_bytes;
	struct kbp_sock_burst *tx, *submit; /* of the inline form, of the array form */
	struct kbp_memory tx_mem;
	struct sock_tx *txs;
	struct sock_completion *done; /* a ring; indices run free */
	uint32_t done_head, done_tail, done_mask;
	struct kbp_stamp_proof proof, tx_proof;
	bool nic_told; /* to stamp every frame */
	char note[160];
};

static inline struct sock_queue *sock_queue(const struct kbp_queue *q)
{
	return (struct sock_queue *)(uintptr_t)q;
}

static inline void sock_special(struct sock_queue *sq, uint32_t set, uint32_t clear)
{
	sq->special = (sq->special & ~clear) | set;
	sq->s.limit = sq->special ? 0 : KBP_SOCK_BATCH;
}

/* socket.c: the array form, for the head of the queue, and what the cold half needs of it. */
unsigned sock_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max);
void sock_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
void sock_rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
unsigned sock_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n);
unsigned sock_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
void sock_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
unsigned sock_tx_reap(struct kbp_queue *q, struct kbp_completion *out, unsigned max);
/* The slot becomes the message's. */
void sock_rx_attach(struct sock_queue *sq, struct kbp_sock_msg *m, struct kbp_sock_slot *slot);
/* Before the flow of the latest messages goes: held frames keep their destination; returns the
 * frames that were waiting to be handed over and are now dropped. */
unsigned sock_rx_settle(struct sock_queue *sq);
/* The stamps of this socket are not coming any more. */
void sock_tx_forget(struct sock_queue *sq, struct sock_tx *tx);
/* (Re)start the numbering of stamps at 0. */
int sock_tx_stamps(int fd);

/* socket_setup.c */
/* errno, said of the socket of that flow; hint NULL: what strerror says. */
int sock_fail(struct kbp_error *err, const struct kbp_port *p, const struct kbp_flow *flow,
	      const char *what, const char *hint);
int sock_set_int(int fd, int level, int option, int value);

/* socket_txflow.c: as in struct kbp_backend. */
int sock_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err);
void sock_txflow_close(struct kbp_txflow *t);
int sock_template_open(struct kbp_template *tpl, struct kbp_error *err);
bool sock_template_busy(struct kbp_template *tpl);
unsigned sock_template_send(struct kbp_template *tpl);
void sock_template_close(struct kbp_template *tpl);

#endif
