/* SPDX-License-Identifier: BSD-2-Clause */
/* pd.h - protection domains. Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_PD_H
#define SOFTNIC_ETHERFABRIC_PD_H

#include <etherfabric/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ef_pd_flags {
	EF_PD_DEFAULT = 0x0,
	EF_PD_VF = 0x1,
	EF_PD_PHYS_MODE = 0x2,
	EF_PD_RX_PACKED_STREAM = 0x4,
	EF_PD_VPORT = 0x8,
	EF_PD_MCAST_LOOP = 0x10,
	EF_PD_MEMREG_64KiB = 0x20,
	EF_PD_IGNORE_BLACKLIST = 0x40,
	EF_PD_EXPRESS = 0x80, /* the low-latency datapath of a NIC that has two */
};

#define EF_PD_VLAN_NONE (-1)

struct softnic_pd;

typedef struct ef_pd {
	enum ef_pd_flags pd_flags;
	unsigned pd_resource_id;
	char *pd_intf_name;
	struct softnic_pd *pd_softnic;
} ef_pd;

extern int ef_pd_alloc(ef_pd *pd, ef_driver_handle pd_dh, int ifindex, enum ef_pd_flags flags);
extern int ef_pd_alloc_by_name(ef_pd *pd, ef_driver_handle pd_dh, const char *cluster_or_intf_name,
			       enum ef_pd_flags flags);
extern const char *ef_pd_interface_name(ef_pd *pd);
extern int ef_pd_free(ef_pd *pd, ef_driver_handle pd_dh);

#ifdef __cplusplus
}
#endif

#endif
