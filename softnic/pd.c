/* SPDX-License-Identifier: BSD-2-Clause */
/* pd.c - driver handles and protection domains; what the models are. */
#include "internal.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

const struct sn_model sn_models[] = {
	{ "sfn8522", EF_VI_ARCH_EF10, 'B', TS_FORMAT_SECONDS_27FRACTION, true, false, false, true },
	{ "x2522", EF_VI_ARCH_EF10, 'C', TS_FORMAT_SECONDS_QTR_NANOSECONDS, true, true, false, true },
	{ "x3522", EF_VI_ARCH_EFCT, 'A', TS_FORMAT_SECONDS_QTR_NANOSECONDS, false, false, false,
	  false },
	{ "x4542", EF_VI_ARCH_EF10, 'D', TS_FORMAT_SECONDS_QTR_NANOSECONDS, false, false, true, true },
};

const unsigned sn_n_models = sizeof(sn_models) / sizeof(sn_models[0]);

SN_PUBLIC int ef_driver_open(ef_driver_handle *dh_out)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	*dh_out = fd;
	return 0;
}

SN_PUBLIC int ef_driver_close(ef_driver_handle dh)
{
	sn_nics_close(dh);
	return close(dh) ? -errno : 0;
}

static int pd_alloc(ef_pd *pd, struct sn_nic *nic, enum ef_pd_flags flags)
{
	struct softnic_pd *p;
	int rc;

	memset(pd, 0, sizeof(*pd));
	if (!nic)
		return -ENODEV;
	p = calloc(1, sizeof(*p));
	pd->pd_intf_name = strdup(nic->name);
	rc = p && pd->pd_intf_name ? sn_nic_hold(nic, true) : -ENOMEM;
	if (!rc && flags & EF_PD_EXPRESS && !nic->model->express) {
		sn_nic_drop(nic, true);
		rc = -EOPNOTSUPP;
	}
	if (rc) {
		free(p);
		free(pd->pd_intf_name);
		memset(pd, 0, sizeof(*pd));
		return rc;
	}
	p->nic = nic;
	p->arch = flags & EF_PD_EXPRESS ? EF_VI_ARCH_EF10CT : nic->model->arch;
	p->ref = p->arch != EF_VI_ARCH_EF10;
	pd->pd_flags = flags;
	pd->pd_softnic = p;
	return 0;
}

SN_PUBLIC int ef_pd_alloc(ef_pd *pd, ef_driver_handle pd_dh, int ifindex, enum ef_pd_flags flags)
{
	(void)pd_dh;
	return pd_alloc(pd, sn_nic_by_index(ifindex), flags);
}

SN_PUBLIC int ef_pd_alloc_by_name(ef_pd *pd, ef_driver_handle pd_dh,
				  const char *cluster_or_intf_name, enum ef_pd_flags flags)
{
	(void)pd_dh;
	return pd_alloc(pd, sn_nic_find(cluster_or_intf_name), flags);
}

SN_PUBLIC const char *ef_pd_interface_name(ef_pd *pd)
{
	return pd->pd_intf_name;
}

SN_PUBLIC int ef_pd_free(ef_pd *pd, ef_driver_handle pd_dh)
{
	(void)pd_dh;
	sn_nic_drop(pd->pd_softnic->nic, true);
	free(pd->pd_softnic);
	free(pd->pd_intf_name);
	memset(pd, 0, sizeof(*pd));
	return 0;
}
