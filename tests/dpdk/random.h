/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random.h - what test_dpdk_random.c (the near end, receiving, steps) and random_tx.c (sending, the far end) share:
 * chance, and a model of everything that is on its way.
 */
#ifndef KBP_TEST_DPDK_RANDOM_H
#define KBP_TEST_DPDK_RANDOM_H

#include "rig.h"

#define PACKETS 32768u /* of a run, at the most */
#define CALLS 8192u
#define PARTS 6u
#define PACKET_MAX 2600u
#define HELD_MAX 512u
#define RESERVED_MAX 512u
#define EXPECTED_MAX 8192u
#define TEMPLATES 4u
#define TEMPLATE_BYTES 26u
#define BURST_MAX 64u

enum fate { FATE_DONE, FATE_KEEP, FATE_FORWARD };

/* A packet that came in. */
struct packet {
	uint32_t at, call; /* the time it was injected, and how many polls there had been */
	uint16_t len;
	uint8_t parts;
	uint8_t flow; /* 0: always received; 1: at times; 2: never */
	bool lost;    /* in a queue that was closed */
};

struct held {
	struct kbp_frame f;
	uint32_t number, offset;
};

/* A packet that was sent and has not come out. */
struct expected {
	enum { UDP, RAW, RESIDENT, FORWARD } kind;
	uint32_t number;
	unsigned parts;
};

struct model {
	uint64_t random;
	uint32_t now;
	struct wire *wire;
	bool match, chains, reaps;
	bool lazy;	     /* the far end seldom looks, so that buffers run out */
	uint32_t keep_of_10; /* packets that a handler keeps */
	/* received */
	struct packet packet[PACKETS];
	uint8_t polled[CALLS]; /* the most frames that each poll asked for */
	uint32_t calls;
	uint32_t injected, next; /* next: the number after the last that was received */
	uint32_t at, offset; /* the packet whose parts are coming, and how far it came; 0: none */
	bool stopped;
	enum fate fate;
	struct kbp_frame chain[PARTS];
	unsigned n_chain;
	struct held held[HELD_MAX];
	unsigned n_held;
	struct kbp_flow_ref *at_times;
	uint32_t last_on, last_off; /* times */
	/* of this opening of the queue */
	uint64_t frames, missing;
	/* sent */
	struct kbp_txflow *t, *raw;
	struct kbp_template *tpl[TEMPLATES];
	uint32_t tpl_number[TEMPLATES];
	struct kbp_frame reserved[RESERVED_MAX];
	uint32_t reserved_number[RESERVED_MAX];
	unsigned n_reserved;
	uint32_t filled[BURST_MAX];
	unsigned n_filled;
	uint32_t next_tx;
	struct expected expected[EXPECTED_MAX];
	uint64_t out_in, out_out;
	uint64_t token[EXPECTED_MAX];
	uint64_t flight_in, flight_out,
		flown; /* with completions: sent, reaped, let go by the far end */
	uint64_t sent; /* frames, of this opening */
};

extern struct model w;

static inline uint32_t pick(uint32_t below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return (uint32_t)((w.random >> 11) % below);
}

static inline bool one_in(uint32_t n)
{
	return !pick(n);
}

/* ---------------------------------------------------------------- random_tx.c */

/* The packet as it was injected. */
const uint8_t *packet_bytes(uint32_t number);

void send_each(unsigned max);
/* A received packet, whole; false: it stays with the caller. */
bool forward(struct kbp_queue *q, const struct kbp_frame *f, unsigned parts, uint32_t number);
void reserve(void);
/* Some of what is reserved, in any order; what does not go is given up, or kept for another time. */
void submit_or_cancel(void);
void template_open(unsigned i);
void send_template(unsigned i);
/* At most so many packets are taken from the far end, and compared with what was sent. */
void collect(unsigned n);
/* Completions come in the order of submission, and of nothing that the far end still has. */
void reap(unsigned max);

#endif
