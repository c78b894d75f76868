/* SPDX-License-Identifier: BSD-2-Clause */
/* memreg.h - memory that the NIC may read and write. Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_MEMREG_H
#define SOFTNIC_ETHERFABRIC_MEMREG_H

#include <etherfabric/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ef_pd;
struct softnic_memreg;

typedef struct ef_memreg {
	ef_addr *mr_dma_addrs; /* of each 4 KiB page; neighbours are not contiguous */
	ef_addr *mr_dma_addrs_base;
	struct softnic_memreg *mr_softnic;
} ef_memreg;

/* -EINVAL unless p_mem is 4 KiB aligned. */
extern int ef_memreg_alloc(ef_memreg *mr, ef_driver_handle mr_dh, struct ef_pd *pd,
			   ef_driver_handle pd_dh, void *p_mem, size_t len_bytes);
extern int ef_memreg_free(ef_memreg *mr, ef_driver_handle mr_dh);

ef_vi_inline ef_addr ef_memreg_dma_addr(ef_memreg *mr, size_t offset)
{
	return mr->mr_dma_addrs[offset >> EF_VI_NIC_PAGE_SHIFT] |
	       (offset & (EF_VI_NIC_PAGE_SIZE - 1));
}

#ifdef __cplusplus
}
#endif

#endif
