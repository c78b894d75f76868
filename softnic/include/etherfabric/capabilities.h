/* SPDX-License-Identifier: BSD-2-Clause */
/* capabilities.h - what a NIC can do. Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_CAPABILITIES_H
#define SOFTNIC_ETHERFABRIC_CAPABILITIES_H

#include <etherfabric/base.h>
#include <etherfabric/pd.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ef_vi_capability {
	EF_VI_CAP_PIO = 0,
	EF_VI_CAP_PIO_BUFFER_SIZE,
	EF_VI_CAP_PIO_BUFFER_COUNT,
	EF_VI_CAP_HW_MULTICAST_LOOPBACK,
	EF_VI_CAP_HW_MULTICAST_REPLICATION,
	EF_VI_CAP_HW_RX_TIMESTAMPING,
	EF_VI_CAP_HW_TX_TIMESTAMPING,
	EF_VI_CAP_PACKED_STREAM,
	EF_VI_CAP_PACKED_STREAM_BUFFER_SIZES,
	EF_VI_CAP_VPORTS,
	EF_VI_CAP_PHYS_MODE,
	EF_VI_CAP_BUFFER_MODE,
	EF_VI_CAP_MULTICAST_FILTER_CHAINING,
	EF_VI_CAP_MAC_SPOOFING,
	EF_VI_CAP_RX_FILTER_TYPE_UDP_LOCAL,
	EF_VI_CAP_RX_FILTER_TYPE_TCP_LOCAL,
	EF_VI_CAP_RX_FILTER_TYPE_UDP_FULL,
	EF_VI_CAP_RX_FILTER_TYPE_TCP_FULL,
	EF_VI_CAP_RX_FILTER_TYPE_IP_VLAN,
	EF_VI_CAP_RX_FILTER_TYPE_UDP6_LOCAL,
	EF_VI_CAP_RX_FILTER_TYPE_TCP6_LOCAL,
	EF_VI_CAP_RX_FILTER_TYPE_UDP6_FULL,
	EF_VI_CAP_RX_FILTER_TYPE_TCP6_FULL,
	EF_VI_CAP_RX_FILTER_TYPE_IP6_VLAN,
	EF_VI_CAP_RX_FILTER_TYPE_ETH_LOCAL,
	EF_VI_CAP_RX_FILTER_TYPE_ETH_LOCAL_VLAN,
	EF_VI_CAP_RX_FILTER_TYPE_UCAST_ALL,
	EF_VI_CAP_RX_FILTER_TYPE_MCAST_ALL,
	EF_VI_CAP_RX_FILTER_TYPE_UCAST_MISMATCH,
	EF_VI_CAP_RX_FILTER_TYPE_MCAST_MISMATCH,
	EF_VI_CAP_RX_FILTER_TYPE_SNIFF,
	EF_VI_CAP_TX_FILTER_TYPE_SNIFF,
	EF_VI_CAP_RX_FILTER_IP4_PROTO,
	EF_VI_CAP_RX_FILTER_ETHERTYPE,
	EF_VI_CAP_RXQ_SIZES,
	EF_VI_CAP_TXQ_SIZES,
	EF_VI_CAP_EVQ_SIZES,
	EF_VI_CAP_ZERO_RX_PREFIX,
	EF_VI_CAP_TX_PUSH_ALWAYS,
	EF_VI_CAP_NIC_PACE,
	EF_VI_CAP_RX_MERGE,
	EF_VI_CAP_TX_ALTERNATIVES,
	EF_VI_CAP_TX_ALTERNATIVES_VFIFOS,
	EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFERS,
	EF_VI_CAP_RX_FW_VARIANT,
	EF_VI_CAP_TX_FW_VARIANT,
	EF_VI_CAP_CTPIO,
	EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFER_SIZE,
	EF_VI_CAP_RX_FORCE_EVENT_MERGING,
	EF_VI_CAP_MIN_BUFFER_MODE_SIZE,
	EF_VI_CAP_CTPIO_ONLY,
	EF_VI_CAP_RX_SHARED,
	EF_VI_CAP_RX_FILTER_SET_DEST,
	EF_VI_CAP_RX_FILTER_MAC_IP4_PROTO,
	EF_VI_CAP_RX_POLL,
	EF_VI_CAP_RX_REF,
	EF_VI_CAP_EXTRA_DATAPATHS, /* bits of enum ef_vi_extra_datapaths */
	EF_VI_CAP_RX_FILTER_ID,
	EF_VI_CAP_MAX, /* not a capability */
};

enum ef_vi_extra_datapaths {
	EF_VI_EXTRA_DATAPATH_EXPRESS = 1 << 0,
};

/* All: 0 and a value; -EOPNOTSUPP where the NIC cannot; -ENOSYS for what nobody knows. */
extern int ef_vi_capabilities_get(ef_driver_handle handle, int ifindex, enum ef_vi_capability cap,
				  unsigned long *value);
extern int ef_pd_capabilities_get(ef_driver_handle handle, ef_pd *pd, ef_driver_handle pd_dh,
				  enum ef_vi_capability cap, unsigned long *value);
extern int ef_vi_capabilities_get_from_pd_flags(ef_driver_handle handle, int ifindex,
						enum ef_pd_flags pd_flags,
						enum ef_vi_capability cap, unsigned long *value);
extern int ef_vi_capabilities_max(void);
extern const char *ef_vi_capabilities_name(enum ef_vi_capability cap);

#ifdef __cplusplus
}
#endif

#endif
