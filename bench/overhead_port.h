/* SPDX-License-Identifier: BSD-2-Clause */
/* overhead_port.h - a port of DPDK's own driver for rings, and who is at the other end of them: see
 * overhead_port.c. There is one. */
#ifndef KBP_BENCH_OVERHEAD_PORT_H
#define KBP_BENCH_OVERHEAD_PORT_H

#include <stdint.h>

#include <rte_mempool.h>

#define PORT_RING 512u
#define PORT_BURST 32u

/* Starts DPDK, once in a process, without huge pages and without devices. Returns DPDK's number of the port,
 * with one queue each way, or -1 and says why. */
int port_open(void);

/* The buffers of both directions. */
struct rte_mempool *port_pool(void);

/* Where a frame's stamp and its flag are, as a driver that stamps registers them. */
extern int port_stamp_at;
extern uint32_t port_stamp_shift;
#define PORT_STAMP_NS 1000000000000ull

/* n frames come in, each FRAME_BYTES long, and stamped. At most PORT_BURST. */
void port_receives(unsigned n);

/* The n frames that were sent are taken off the port, and their buffers go back. At most PORT_BURST. */
void port_sends(unsigned n);

/* What no form can do without: as many buffers through the same rings, and to and from the pool, at once and
 * unseen. */
void port_passes_in(unsigned n);
void port_passes_out(unsigned n);

/* Forget how many frames were sent. */
void port_reset(void);

/* What is not as it should be when `frames` were sent with the numbers from 0 on as payload, or NULL. */
const char *port_wrong(uint64_t frames);

#endif
