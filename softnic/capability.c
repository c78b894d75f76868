/* SPDX-License-Identifier: BSD-2-Clause */
/* capability.c - what the models can do. */
#include "internal.h"

static const char *const names[EF_VI_CAP_MAX + 1] = {
	[EF_VI_CAP_PIO] = "PIO",
	[EF_VI_CAP_PIO_BUFFER_SIZE] = "PIO buffer size",
	[EF_VI_CAP_PIO_BUFFER_COUNT] = "PIO buffer count",
	[EF_VI_CAP_HW_MULTICAST_LOOPBACK] = "multicast loopback",
	[EF_VI_CAP_HW_MULTICAST_REPLICATION] = "multicast replication",
	[EF_VI_CAP_HW_RX_TIMESTAMPING] = "RX timestamps",
	[EF_VI_CAP_HW_TX_TIMESTAMPING] = "TX timestamps",
	[EF_VI_CAP_BUFFER_MODE] = "buffer addressing",
	[EF_VI_CAP_RX_FILTER_TYPE_UDP_LOCAL] = "IPv4 UDP local filters",
	[EF_VI_CAP_RX_FILTER_TYPE_TCP_LOCAL] = "IPv4 TCP local filters",
	[EF_VI_CAP_RX_FILTER_TYPE_UDP_FULL] = "IPv4 UDP full filters",
	[EF_VI_CAP_RX_FILTER_TYPE_TCP_FULL] = "IPv4 TCP full filters",
	[EF_VI_CAP_RX_FILTER_TYPE_IP_VLAN] = "IPv4 filters with VLAN",
	[EF_VI_CAP_RX_FILTER_TYPE_UDP6_LOCAL] = "IPv6 UDP local filters",
	[EF_VI_CAP_RX_FILTER_TYPE_TCP6_LOCAL] = "IPv6 TCP local filters",
	[EF_VI_CAP_RX_FILTER_TYPE_UDP6_FULL] = "IPv6 UDP full filters",
	[EF_VI_CAP_RX_FILTER_TYPE_TCP6_FULL] = "IPv6 TCP full filters",
	[EF_VI_CAP_RX_FILTER_TYPE_IP6_VLAN] = "IPv6 filters with VLAN",
	[EF_VI_CAP_RX_FILTER_TYPE_ETH_LOCAL] = "MAC filters",
	[EF_VI_CAP_RX_FILTER_TYPE_ETH_LOCAL_VLAN] = "MAC filters with VLAN",
	[EF_VI_CAP_RX_FILTER_TYPE_UCAST_ALL] = "all unicast",
	[EF_VI_CAP_RX_FILTER_TYPE_MCAST_ALL] = "all multicast",
	[EF_VI_CAP_RX_FILTER_TYPE_SNIFF] = "port sniffing",
	[EF_VI_CAP_RXQ_SIZES] = "RX ring sizes",
	[EF_VI_CAP_TXQ_SIZES] = "TX ring sizes",
	[EF_VI_CAP_EVQ_SIZES] = "event queue sizes",
	[EF_VI_CAP_ZERO_RX_PREFIX] = "RX without prefix",
	[EF_VI_CAP_TX_PUSH_ALWAYS] = "TX push always",
	[EF_VI_CAP_RX_FORCE_EVENT_MERGING] = "RX events always merged",
	[EF_VI_CAP_RX_MERGE] = "RX event merging",
	[EF_VI_CAP_CTPIO] = "CTPIO",
	[EF_VI_CAP_MIN_BUFFER_MODE_SIZE] = "smallest page of buffer addressing",
	[EF_VI_CAP_CTPIO_ONLY] = "CTPIO only",
	[EF_VI_CAP_RX_SHARED] = "shared receive queues",
	[EF_VI_CAP_RX_REF] = "RX_REF events",
	[EF_VI_CAP_EXTRA_DATAPATHS] = "extra datapaths",
};

/* 0: not supported. */
static unsigned long value_of(const struct sn_nic *nic, bool ref, enum ef_vi_capability cap)
{
	const struct sn_model *m = nic->model;

	switch (cap) {
	case EF_VI_CAP_PIO:
		return !ref && m->pio;
	case EF_VI_CAP_PIO_BUFFER_SIZE:
		return !ref && m->pio ? SN_PIO_BYTES : 0;
	case EF_VI_CAP_PIO_BUFFER_COUNT:
		return !ref && m->pio ? 16 : 0;
	case EF_VI_CAP_CTPIO:
		return ref || m->ctpio;
	case EF_VI_CAP_CTPIO_ONLY:
	case EF_VI_CAP_RX_SHARED:
	case EF_VI_CAP_RX_REF:
		return ref;
	case EF_VI_CAP_HW_RX_TIMESTAMPING:
	case EF_VI_CAP_HW_TX_TIMESTAMPING:
	case EF_VI_CAP_HW_MULTICAST_REPLICATION:
	case EF_VI_CAP_ZERO_RX_PREFIX:
	case EF_VI_CAP_RX_FILTER_TYPE_UCAST_ALL:
	case EF_VI_CAP_RX_FILTER_TYPE_MCAST_ALL:
		return 1;
	case EF_VI_CAP_BUFFER_MODE:
	case EF_VI_CAP_RX_MERGE:
	case EF_VI_CAP_TX_PUSH_ALWAYS:
		return !ref;
	case EF_VI_CAP_RX_FORCE_EVENT_MERGING:
		return !ref && nic->merging;
	case EF_VI_CAP_MIN_BUFFER_MODE_SIZE:
		return ref ? 0 : 4096;
	case EF_VI_CAP_RX_FILTER_TYPE_SNIFF:
		return !ref && m->sniff;
	case EF_VI_CAP_RXQ_SIZES:
		return 512 | 1024 | 2048 | 4096;
	case EF_VI_CAP_TXQ_SIZES:
		return 512 | 1024 | 2048;
	case EF_VI_CAP_EVQ_SIZES:
		return 512 | 1024 | 2048 | 4096 | 8192 | 16384 | 32768;
	case EF_VI_CAP_EXTRA_DATAPATHS:
		return m->express ? EF_VI_EXTRA_DATAPATH_EXPRESS : 0;
	default:
		return cap >= EF_VI_CAP_RX_FILTER_TYPE_UDP_LOCAL &&
		       cap <= EF_VI_CAP_RX_FILTER_TYPE_ETH_LOCAL_VLAN;
	}
}

static int get(const struct sn_nic *nic, bool ref, enum ef_vi_capability cap, unsigned long *value)
{
	if ((unsigned)cap >= EF_VI_CAP_MAX)
		return -ENOSYS;
	*value = value_of(nic, ref, cap);
	return *value ? 0 : -EOPNOTSUPP;
}

SN_PUBLIC int ef_vi_capabilities_get_from_pd_flags(ef_driver_handle handle, int ifindex,
						   enum ef_pd_flags pd_flags,
						   enum ef_vi_capability cap, unsigned long *value)
{
	struct sn_nic *nic = sn_nic_by_index(ifindex);

	(void)handle;
	if (!nic)
		return -ENODEV;
	if (pd_flags & EF_PD_EXPRESS && !nic->model->express)
		return -EOPNOTSUPP;
	return get(nic, pd_flags & EF_PD_EXPRESS || nic->model->arch != EF_VI_ARCH_EF10, cap, value);
}

SN_PUBLIC int ef_vi_capabilities_get(ef_driver_handle handle, int ifindex,
				     enum ef_vi_capability cap, unsigned long *value)
{
	return ef_vi_capabilities_get_from_pd_flags(handle, ifindex, EF_PD_DEFAULT, cap, value);
}

SN_PUBLIC int ef_pd_capabilities_get(ef_driver_handle handle, ef_pd *pd, ef_driver_handle pd_dh,
				     enum ef_vi_capability cap, unsigned long *value)
{
	(void)handle;
	(void)pd_dh;
	return get(pd->pd_softnic->nic, pd->pd_softnic->ref, cap, value);
}

SN_PUBLIC int ef_vi_capabilities_max(void)
{
	return EF_VI_CAP_MAX - 1;
}

SN_PUBLIC const char *ef_vi_capabilities_name(enum ef_vi_capability cap)
{
	const char *name = (unsigned)cap < EF_VI_CAP_MAX ? names[cap] : NULL;

	return name ? name : "unknown to softnic";
}
