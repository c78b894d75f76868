/* SPDX-License-Identifier: BSD-2-Clause */
/* base.h - driver handles, and blocking on a VI. Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_BASE_H
#define SOFTNIC_ETHERFABRIC_BASE_H

#include <etherfabric/ef_vi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Buffers are translated in pages of this size; registered memory must be aligned to it. */
#define EF_VI_NIC_PAGE_SHIFT 12
#define EF_VI_NIC_PAGE_SIZE (1 << EF_VI_NIC_PAGE_SHIFT)

#define EF_INVALID_ADDR ((ef_addr)-1)

struct timeval;

/* The handle is a descriptor that poll(2) understands. */
extern int ef_driver_open(ef_driver_handle *dh_out);
extern int ef_driver_close(ef_driver_handle dh);

/* Prime, then sleep until the event queue may hold something. No timeout, or one of 0: for ever.
 * 0 or -ETIMEDOUT. */
extern int ef_eventq_wait(ef_vi *vi, ef_driver_handle vi_dh, unsigned current_ptr,
			  const struct timeval *timeout);

#ifdef __cplusplus
}
#endif

#endif
