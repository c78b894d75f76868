/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake.h - what the two fake devices share: the wire in memory, steering, and the book of who owns
 * a buffer.
 *
 * A fake is a device model (what the NIC does) below a backend (what a driver of it does), so that
 * every rule of the contract is tried against hardware that breaks rules on purpose: it batches,
 * splits, discards, ends polls early. Nothing here is quick; everything is checked.
 */
#ifndef KBP_TEST_FAKE_H
#define KBP_TEST_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "internal.h"

#define FAKE_KIND_EVQ (KBP_KIND_USER + 1u)
#define FAKE_KIND_REF (KBP_KIND_USER + 2u)
#define FAKE_FLOWS 16u
#define FAKE_MTU 9000u

/* Exactly one of these owns a buffer at any time. */
enum fake_owner {
	FAKE_DRIVER,   /* free, or waiting to be posted */
	FAKE_NIC,      /* posted, or on its way out */
	FAKE_STASHED,  /* received, not yet handed over; or sent and not yet reaped */
	FAKE_CALLER,   /* held or reserved */
	FAKE_TEMPLATE, /* resident */
};

/* Moves a buffer from one owner to another; any other owner than `from` fails the running test. */
void fake_move(uint8_t *owner, uint32_t n, uint64_t token, enum fake_owner from, enum fake_owner to,
	       const char *why);

/* The part of a fake queue that the wire knows. */
struct fake_queue {
	struct kbp_queue head;
	struct fake_queue *next;
	void (*deliver)(struct fake_queue *fq, const uint8_t *frame, uint32_t len, bool bad);
	struct kbp_flow flows[FAKE_FLOWS];
	unsigned n_flows;
	int event_fd;
	uint64_t steered; /* frames that matched a flow */
};

void fake_attach(struct fake_queue *fq);
void fake_detach(struct fake_queue *fq);
/* Take in what lies on the wire; every model calls it before it looks at its events. */
void fake_tick(void);
/* Nothing was there: a later arrival must wake the descriptor again. */
void fake_quiet(struct fake_queue *fq);
void fake_transmit(const uint8_t *frame, uint32_t len);
/* The tests' clock for stamps: moves by 1000 ns at each look. */
uint64_t fake_clock_ns(void);

/* ---- for tests */
void fake_inject(const void *frame, uint32_t len, bool bad);
uint32_t fake_collect(void *buf, uint32_t size);
void fake_wire_clear(void);
/* All free-running indices of queues opened from now on begin here. */
extern uint32_t fake_first_index;
/* While set, sent frames are not reported as done: they stay in flight. */
extern bool fake_tx_stalled;
/* The next poll of a fake_evq queue meets EF_EVENT_TYPE_OFLOW, and what was in its event queue is
 * lost. */
void fake_evq_overflow(struct kbp_queue *q);
/* Fail the test unless the device and the driver have every buffer between them. */
void fake_evq_check_idle(struct kbp_queue *q);
void fake_ref_check_idle(struct kbp_queue *q);

/* ---- calls of struct kbp_backend that are alike */
int fake_port_open(struct kbp_port *p, struct kbp_error *err);
void fake_port_close(struct kbp_port *p);
unsigned fake_port_channels(const struct kbp_port *p);
int fake_queue_fd(const struct kbp_queue *q);
int fake_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
int fake_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);

extern const struct kbp_backend fake_evq_backend, fake_ref_backend;

#endif
