/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contract.h - one set of behaviours for every backend and both forms of the hot calls.
 *
 * A behaviour sees `t`: a queue of the backend under test, a wire to put frames on and to see sent
 * ones, and `pump`, which receives by the form under test. What a backend cannot have by nature is
 * said by its traits.
 */
#ifndef KBP_TEST_CONTRACT_H
#define KBP_TEST_CONTRACT_H

#include "../lib/frame.h"
#include "../lib/test.h"

#include "internal.h"
#include "sim.h"

#define RX_PORT 5000u
#define TX_PORT 6000u
#define OUR_IP 0x0a4d0001u   /* 10.77.0.1 */
#define PEER_IP 0x0a4d0002u  /* 10.77.0.2 */
#define TX_GROUP 0xef070708u /* 239.7.7.8: resolved by rule, on every backend */
#define FRAME_MAX 9216u
#define POLLS_MAX 5000000u	 /* empty polls in a row after which nothing will come any more */
#define FOREVER_NS 10000000000ll /* a wait that must not end by its timeout */

/* Where frames come from and go to. */
struct wire {
	const char *name;
	const char *ifname;
	/* NULL, or why not here. mtu 0: 1500. */
	const char *(*open)(unsigned mtu);
	void (*close)(void);
	void (*mac)(uint8_t ours[6], uint8_t peer[6]);
	void (*inject)(const void *frame, uint32_t len, bool bad);
	/* The next UDP frame that was sent, 0 when there is none within `wait_ms`. */
	uint32_t (*collect)(void *buf, uint32_t size, int wait_ms);
	bool immediate; /* what was injected is there at the next poll */
};

extern const struct wire wire_memory, wire_memory_thread, wire_veth, wire_dring;

enum trait {
	T_L2 = 1u << 0,
	T_SIM = 1u << 1,   /* the software NIC on a wire in memory: it does what the test wants */
	T_CHAIN = 1u << 2, /* KBP_QUEUE_MULTI_BUFFER gives chains */
	T_DESC = 1u << 3,  /* frames come in buffers of the queue's */
	T_REFS = 1u << 4,  /* ... in superbuffers of the device's */
	T_TS = 1u << 5,	   /* stamps, both ways */
	T_LOSS = 1u << 6,  /* frames can be lost before the reader, and are counted */
};

struct subject {
	const char *arg;
	const char *backend;
	const char *words; /* kbp_port_opts.args */
	enum kbp_mode mode;
	const struct wire *wire;
	unsigned traits;
	void (*check_idle)(struct kbp_queue *q);
};

struct fixture {
	const struct subject *s;
	bool inline_form;
	bool lenient; /* open the port without KBP_PORT_STRICT */
	struct kbp_port *port;
	struct kbp_queue *q;
	struct kbp_flow_ref *ref; /* of udp:10.77.0.1:5000 on q */
	struct frame_addr rx_addr;
	struct kbp_error err;
	uint32_t next_out; /* number of the next injected frame */
	uint64_t injected;
};

extern struct fixture t;

/* What a receiving test expects: numbered frames in order. */
struct sink {
	uint32_t next;
	uint32_t frames;
	uint64_t bytes;
};

/* ---- setup: open what a test needs; the teardown closes it and fails when anything was left
 * over */
void open_port(void);
struct kbp_queue *open_queue(uint32_t flags, uint32_t rx_ring, uint32_t tx_ring, uint32_t hold_max);
/* Port, one queue with these options, and the flow. */
void open_default(uint32_t flags, uint32_t hold_max);
struct kbp_flow flow_of(uint32_t dst_ip, uint16_t dst_port);
struct kbp_txflow *open_txflow(struct kbp_queue *q);

/* ---- traffic */
/* Payload: number, then bytes that follow from it; the length follows from it too, unless given. */
uint32_t payload_make(uint8_t *p, uint32_t number, uint32_t len);
void payload_check(const void *p, uint32_t len, uint32_t number);
void inject(unsigned n);
void inject_sized(uint32_t len);
void inject_to(uint16_t port, uint32_t number);
/* The next sent frame that goes to TX_PORT: its payload's length, or 0. */
uint32_t collect(uint8_t *payload, uint32_t size);

/* ---- receiving */
unsigned pump(struct kbp_queue *q, unsigned max, kbp_handler fn, void *arg);
/* After a poll that found nothing, where others need the CPU for frames to come. */
void give_way(void);
/* Until *count reaches `want`; fails the test when nothing comes any more. */
void pump_until(struct kbp_queue *q, unsigned max, kbp_handler fn, void *arg, const uint32_t *count,
		uint32_t want);
/* Poll so often that a frame that was going to come would have come. */
void pump_idle(struct kbp_queue *q, kbp_handler fn, void *arg);
unsigned on_numbered(struct kbp_rx rx, struct kbp_frame f, void *arg);
/* Array form: peek until `want` frames are held in f. */
void hold_frames(struct kbp_queue *q, struct kbp_frame *f, unsigned want);
const void *payload_of(struct kbp_queue *q, const struct kbp_frame *f, uint32_t *len);

/* ---- who owns a buffer (book.c): kbp_queue_open, kbp_rx_each and kbp_rx_return under observation */
void book_open(struct kbp_queue *q);
void book_forget(void);
unsigned book_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg);
void book_return(struct kbp_rx rx, uint64_t token);

/* ---- counters */
uint64_t counter(struct kbp_queue *q, const char *name);
uint64_t drops(struct kbp_queue *q);
/* The sum of all counters whose name begins so. */
uint64_t counters_named(struct kbp_queue *q, const char *begin);

/* ---- the behaviours */
struct behaviour {
	const char *says;
	void (*run)(void **state);
	unsigned needs; /* traits */
	unsigned forms; /* FORM_* */
};

enum { FORM_ARRAY = 1u, FORM_INLINE = 2u, FORM_BOTH = 3u };

extern const struct behaviour rx_behaviours[], tx_behaviours[], life_behaviours[];
extern const unsigned n_rx_behaviours, n_tx_behaviours, n_life_behaviours;

#endif
