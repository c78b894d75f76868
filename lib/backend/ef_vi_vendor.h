/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi_vendor.h - what differs between the headers that ef_vi is compiled against: versions of the vendor's
 * (Onload 8.1, 9.x, 10) and the software NIC's. KBP_EFVI_HAVE_* come from the build's compile probes:
 * enumerators cannot be asked for by the preprocessor.
 */
#ifndef KBP_BACKEND_EF_VI_VENDOR_H
#define KBP_BACKEND_EF_VI_VENDOR_H

#include <errno.h>

#include <etherfabric/base.h>
#include <etherfabric/capabilities.h>
#include <etherfabric/ef_vi.h>
#include <etherfabric/efct_vi.h>
#include <etherfabric/memreg.h>
#include <etherfabric/pd.h>
#include <etherfabric/pio.h>
#include <etherfabric/vi.h>

#ifdef KBP_HOT_EF_VI_SIM
#include <softnic.h>
#define KBP_EFVI_HAVE_PD_CAPS 1
#define KBP_EFVI_HAVE_RX_REF 1
#define KBP_EFVI_HAVE_EXPRESS 1
#define KBP_EFVI_NAME "ef_vi_sim"
#define KBP_EFVI_BACKEND kbp_backend_ef_vi_sim
#define KBP_EFVI_EMULATED true
#define KBP_EFVI_EPOCH KBP_EPOCH_UTC /* its clock is the system's (softnic.h, clock=host) */
#else
#define KBP_EFVI_NAME "ef_vi"
#define KBP_EFVI_BACKEND kbp_backend_ef_vi
#define KBP_EFVI_EMULATED false
#define KBP_EFVI_EPOCH \
	KBP_EPOCH_PHC /* the adapter's own clock: sfptpd or ptp4l sets it to UTC or TAI */
#endif

/* The capability of this protection domain; before 9.1 of its interface. 0: it has it not, or nobody
 * says. */
static inline unsigned long kbp_efvi_cap(ef_driver_handle dh, ef_pd *pd, int ifindex,
					 enum ef_vi_capability cap)
{
	unsigned long value = 0;
#ifdef KBP_EFVI_HAVE_PD_CAPS
	int rc = ef_pd_capabilities_get(dh, pd, dh, cap, &value);

	(void)ifindex;
#else
	int rc = ef_vi_capabilities_get(dh, ifindex, cap, &value);

	(void)pd;
#endif
	return rc ? 0 : value;
}

/* Does this protection domain receive by reference? Before 9.1 only X3 did, which sends by CTPIO alone.
 */
static inline bool kbp_efvi_cap_refs(ef_driver_handle dh, ef_pd *pd, int ifindex)
{
#ifdef KBP_EFVI_HAVE_RX_REF
	return kbp_efvi_cap(dh, pd, ifindex, EF_VI_CAP_RX_REF) != 0;
#else
	return kbp_efvi_cap(dh, pd, ifindex, EF_VI_CAP_CTPIO_ONLY) != 0;
#endif
}

/* The flag of ef_pd_alloc that chooses the express datapath; 0: this library knows none. */
#if defined(KBP_EFVI_HAVE_EXPRESS)
#define KBP_EFVI_PD_EXPRESS EF_PD_EXPRESS
#elif defined(KBP_EFVI_HAVE_LLCT)
#define KBP_EFVI_PD_EXPRESS EF_PD_LLCT
#else
#define KBP_EFVI_PD_EXPRESS EF_PD_DEFAULT
#endif

/* Picoseconds of the device's unit of time: 2^-27 s, or a quarter of a nanosecond (7000-series and
 * SFN8000: the former; X2 and later: the latter). */
static inline uint32_t kbp_efvi_resolution_ps(const ef_vi *vi)
{
	return vi->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS ? 250 : 7451;
}

static inline uint16_t kbp_efvi_tx_frac(const ef_event *e)
{
#ifdef EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16
	return (uint16_t)EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16(*e);
#else
	(void)e;
	return 0;
#endif
}

/* Before 9.0 the two sync flags were the low bits of the nanoseconds. */
static inline uint64_t kbp_efvi_tx_ns(const ef_event *e)
{
	uint64_t ns = EF_EVENT_TX_WITH_TIMESTAMP_NSEC(*e);

#ifndef EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16
	ns &= ~(uint64_t)EF_EVENT_TX_WITH_TIMESTAMP_SYNC_MASK;
#endif
	return (uint64_t)EF_EVENT_TX_WITH_TIMESTAMP_SEC(*e) * 1000000000u + ns;
}

#endif
