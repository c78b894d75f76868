/* SPDX-License-Identifier: BSD-2-Clause */
/* overhead.h - what the forms (overhead.c, overhead_efvi.c, overhead_dpdk.c) and what they run on (stand-ins for the
 * kernel and a card, overhead_kernel.c and overhead_nic.c; a port of DPDK, overhead_port.c) share. */
#ifndef KBP_BENCH_OVERHEAD_H
#define KBP_BENCH_OVERHEAD_H

#include <stdint.h>

#include <linux/if_xdp.h>

#define RING 2048u
#define CHUNK 2048u
#define TX_BUFFERS 1024u
#define PAYLOAD 8u
#define FRAME_BYTES 60u

/* What every handler does with a frame: its first 8 bytes and its length. Memory, not registers: a
 * program keeps its state somewhere. Apart, so that no compiler adds both at once in one form and
 * not in the other. */
struct seen {
	uint64_t bytes;
	uint64_t apart;
	uint16_t payload; /* to send; a message's length is not known when the program is
			   * compiled */
	uint64_t words;
	uint64_t ns, in_sync; /* of forms with stamps */
};

/* Four rings in plain memory, as the kernel lays them out: its indices are the shared ones. */
struct plain_rings {
	struct {
		uint32_t prod __attribute__((aligned(64)));
		uint32_t cons __attribute__((aligned(64)));
		uint32_t flags;
	} rx, fill, tx, comp;
	struct xdp_desc rx_desc[RING], tx_desc[RING];
	uint64_t fill_addr[2 * RING], comp_addr[RING];
};

/* overhead_kernel.c: in a translation unit of its own, so that every form pays the same opaque call. */
void kernel_receives(struct plain_rings *r, uint32_t n);
void kernel_sends(struct plain_rings *r, uint32_t n);

/* How many system calls the forms made where a socket's would have been. */
extern uint64_t kernel_socket_calls;

#endif
