/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig.h - the ef_vi backend over the software NIC: one port and queue on a wire in memory, with a clock that
 * moves when the test says so. What every backend must do is in tests/contract; here is what is ef_vi's own.
 */
#ifndef KBP_TEST_EF_VI_RIG_H
#define KBP_TEST_EF_VI_RIG_H

#include <errno.h>

#include "../lib/frame.h"
#include "../lib/test.h"

#include "../../lib/backend/ef_vi.h"

#define PORT 5000u
#define OUR_IP 0x0a4d0001u
#define PEER_IP 0x0a4d0002u
#define GROUP 0xef070708u

extern const struct kbp_backend kbp_backend_ef_vi_sim;

struct rig {
	struct kbp_port *port;
	struct kbp_queue *q;
	struct kbp_error err;
	uint64_t epoch_ns; /* the software NIC's clock at the beginning: a full second near the present,
			    * or its stamps prove nothing */
	uint32_t sent;	   /* number of the next injected frame */
	struct frame_addr addr;
};

extern struct rig r;

/* For cmocka. A test leaves nothing open and no rule of the API broken. */
int rig_setup(void **state);
int rig_teardown(void **state);

void rig_ok(int rc, const char *what);
#define ok(call) rig_ok((call), #call)

/* A port with these words, a queue with these flags, and the flow udp:10.77.0.1:5000. */
void rig_open(const char *words, uint32_t flags);
void rig_port(const char *words, uint32_t port_flags);
struct kbp_queue *rig_queue(uint32_t flags, uint32_t channel, uint32_t ring);
struct kbp_flow_ref *rig_flow(struct kbp_queue *q, const char *text);
void rig_close(void);

/* Numbered payloads of `len` bytes, at least 4. */
void rig_inject(unsigned n, uint32_t len, unsigned softnic_flags);
void rig_inject_at(const struct frame_addr *a, uint32_t len, unsigned softnic_flags);
/* The next frame that was sent; 0: none. */
uint32_t rig_collect(uint8_t *frame, uint32_t size);
/* Polls until nothing comes; how many frames came. */
unsigned rig_drain(struct kbp_queue *q);
uint64_t rig_counter(struct kbp_queue *q, const char *name);
bool rig_counter_is(struct kbp_queue *q, const char *name, enum kbp_count_class cls, bool wide);
uint64_t rig_drops(struct kbp_queue *q);
struct kbp_txflow *rig_txflow(struct kbp_queue *q);

#endif
