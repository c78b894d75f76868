/* SPDX-License-Identifier: BSD-2-Clause */
/* efct_vi.h - packets received by reference (RX_REF events). Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_EFCT_VI_H
#define SOFTNIC_ETHERFABRIC_EFCT_VI_H

#include <etherfabric/ef_vi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The frame of an RX_REF or RX_REF_DISCARD event. Read only, until it is released. */
extern const void *efct_vi_rxpkt_get(ef_vi *vi, uint32_t pkt_id);

/* Give a packet back: once for every RX_REF and RX_REF_DISCARD event, in any order. */
extern void efct_vi_rxpkt_release(ef_vi *vi, uint32_t pkt_id);

/* As ef_vi_receive_get_precise_timestamp, without the fraction. */
ef_vi_inline int efct_vi_rxpkt_get_timestamp(ef_vi *vi, uint32_t pkt_id, ef_timespec *ts_out,
					     unsigned *flags_out)
{
	ef_precisetime ts = { 0, 0, 0, 0 };
	int rc = ef_vi_receive_get_precise_timestamp(vi, efct_vi_rxpkt_get(vi, pkt_id), &ts);

	ts_out->tv_sec = (time_t)ts.tv_sec;
	ts_out->tv_nsec = (long)ts.tv_nsec;
	*flags_out = ts.tv_flags;
	return rc;
}

#ifdef __cplusplus
}
#endif

#endif
