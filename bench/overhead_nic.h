/* SPDX-License-Identifier: BSD-2-Clause */
/* overhead_nic.h - a stand-in for a card behind ef_vi: see overhead_nic.c. There is one, and at any time
 * one VI uses it. */
#ifndef KBP_BENCH_OVERHEAD_NIC_H
#define KBP_BENCH_OVERHEAD_NIC_H

#include <etherfabric/ef_vi.h>

#define NIC_RING 512u	 /* descriptors; one less is usable */
#define NIC_PREFIX 14u	 /* bytes before a received frame, as with timestamps */
#define NIC_PACKETS 512u /* places of the superbuffer */
#define NIC_PIO_BYTES 4096u
#define NIC_STAMP_S 1000u /* when frames arrive, by the card's clock */

/* Forget everything and begin anew, with this VI. Frames come by reference out of `superbuffer` (2 KiB
 * each), or, when that is NULL, into the buffers that were posted. */
void nic_reset(ef_vi *vi, const uint8_t *superbuffer);

/* n frames arrive, each FRAME_BYTES long: the next polls tell of them. */
void nic_receives(uint32_t n);

/* What is not as it should be when `rx_posted` descriptors are to be there and nothing else is under
 * way; NULL: nothing. */
const char *nic_wrong(uint32_t rx_posted);

/* Frames sent since the reset, and how many of them went through the cut-through FIFO or PIO memory. */
uint64_t nic_sent(uint64_t *straight);

#endif
