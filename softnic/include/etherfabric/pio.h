/* SPDX-License-Identifier: BSD-2-Clause */
/* pio.h - programmed-I/O regions: frames are written into the NIC by the CPU. Part of softnic: see
 * <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_PIO_H
#define SOFTNIC_ETHERFABRIC_PIO_H

#include <etherfabric/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EF_VI_CONFIG_PIO 1

struct ef_pd;
struct softnic_pd;

typedef struct ef_pio {
	uint8_t *pio_buffer; /* the CPU's copy */
	uint8_t *pio_io;     /* the NIC's memory */
	unsigned pio_resource_id;
	unsigned pio_len;
	struct softnic_pd *pio_pd;
	unsigned pio_links;
} ef_pio;

extern int ef_pio_alloc(ef_pio *pio, ef_driver_handle pio_dh, struct ef_pd *pd, unsigned len_hint,
			ef_driver_handle pd_dh);
extern int ef_pio_free(ef_pio *pio, ef_driver_handle pio_dh);
extern int ef_pio_link_vi(ef_pio *pio, ef_driver_handle pio_dh, ef_vi *vi, ef_driver_handle vi_dh);
extern int ef_pio_unlink_vi(ef_pio *pio, ef_driver_handle pio_dh, ef_vi *vi, ef_driver_handle dh);
extern int ef_vi_get_pio_size(ef_vi *vi);
/* Copies into the VI's region at `offset`; ef_vi_transmit_pio sends it. */
extern int ef_pio_memcpy(ef_vi *vi, const void *base, int offset, int len);

#ifdef __cplusplus
}
#endif

#endif
