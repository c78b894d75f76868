/* SPDX-License-Identifier: BSD-2-Clause */
/* sim.h - the software NIC under the contract: its wire in memory, its faults, its account. */
#ifndef KBP_TEST_SIM_H
#define KBP_TEST_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct kbp_queue;

#define SIM "sim0"

/* In every test: rings begin where they soon wrap, and a breach of the API's rules fails the test. */
void sim_begin(void);
/* While set, sent frames are not reported as done: they stay in flight. */
void sim_stall_tx(bool stalled);
/* What was in the event queue is lost, and all that comes after. */
void sim_overflow(void);
/* Fail the test unless the device and the queue have every buffer between them. */
void sim_check_idle(struct kbp_queue *q);
/* How many superbuffers there are, and how many frames each takes. */
unsigned sim_superbuffers(struct kbp_queue *q, unsigned *packets);
void sim_register(void);

#endif
