/* SPDX-License-Identifier: BSD-2-Clause */
/* vi.h - allocating VIs, filters, statistics. Part of softnic: see <softnic.h>. */
#ifndef SOFTNIC_ETHERFABRIC_VI_H
#define SOFTNIC_ETHERFABRIC_VI_H

#include <etherfabric/base.h>
#include <etherfabric/ef_vi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ef_pd;
struct in6_addr;

/* ---------------------------------------------------------------- VIs */

/* Capacities: -1 for the default, 0 for none. Returns the queue's label (>= 0) or -errno. */
extern int ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle vi_dh, struct ef_pd *pd,
			       ef_driver_handle pd_dh, int evq_capacity, int rxq_capacity,
			       int txq_capacity, ef_vi *evq_opt, ef_driver_handle evq_dh,
			       enum ef_vi_flags flags);
extern int ef_vi_free(ef_vi *vi, ef_driver_handle nic);
extern int ef_vi_flush(ef_vi *vi, ef_driver_handle nic);
extern unsigned ef_vi_mtu(ef_vi *vi, ef_driver_handle vi_dh);
extern int ef_vi_get_mac(ef_vi *vi, ef_driver_handle vi_dh, void *mac_out);

/* `dh` becomes readable once there may be events after current_ptr (of ef_eventq_current). */
extern int ef_vi_prime(ef_vi *vi, ef_driver_handle dh, unsigned current_ptr);

/* ---------------------------------------------------------------- filters */

enum ef_filter_flags {
	EF_FILTER_FLAG_NONE = 0x0,
	EF_FILTER_FLAG_MCAST_LOOP_RECEIVE = 0x2,
	EF_FILTER_FLAG_EXCLUSIVE_RXQ = 0x4,
	EF_FILTER_FLAG_SHARED_RXQ = 0x8,
	EF_FILTER_FLAG_REQUEST_WAKEUPS = 0x10,
};

/* To be filled in by the calls below. */
typedef struct ef_filter_spec {
	unsigned type;
	unsigned flags;
	unsigned data[12];
} ef_filter_spec;

enum {
	EF_FILTER_VLAN_ID_ANY = -1,
};

typedef struct ef_filter_cookie {
	int filter_id;
	int filter_type;
} ef_filter_cookie;

/* Setters: 0, or -EPROTONOSUPPORT when the spec holds something it cannot be combined with.
 * Addresses and ports are big-endian; protocol is IPPROTO_UDP or IPPROTO_TCP. */
extern void ef_filter_spec_init(ef_filter_spec *spec, enum ef_filter_flags flags);
extern int ef_filter_spec_set_ip4_local(ef_filter_spec *spec, int protocol, unsigned host_be32,
					int port_be16);
extern int ef_filter_spec_set_ip4_full(ef_filter_spec *spec, int protocol, unsigned host_be32,
				       int port_be16, unsigned rhost_be32, int rport_be16);
extern int ef_filter_spec_set_ip6_local(ef_filter_spec *spec, int protocol,
					const struct in6_addr *host, int port_be16);
extern int ef_filter_spec_set_ip6_full(ef_filter_spec *spec, int protocol,
				       const struct in6_addr *host, int port_be16,
				       const struct in6_addr *rhost, int rport_be16);
extern int ef_filter_spec_set_vlan(ef_filter_spec *spec, int vlan_id);
extern int ef_filter_spec_set_eth_local(ef_filter_spec *spec, int vlan_id, const void *mac);
extern int ef_filter_spec_set_unicast_all(ef_filter_spec *spec);
extern int ef_filter_spec_set_multicast_all(ef_filter_spec *spec);
extern int ef_filter_spec_set_port_sniff(ef_filter_spec *spec, int promiscuous);

/* -EEXIST: the VI has this filter, or a unicast one belongs to another VI. */
extern int ef_vi_filter_add(ef_vi *vi, ef_driver_handle vi_dh, const ef_filter_spec *filter_spec,
			    ef_filter_cookie *filter_cookie_out);
extern int ef_vi_filter_del(ef_vi *vi, ef_driver_handle vi_dh, ef_filter_cookie *filter_cookie);

/* ---------------------------------------------------------------- statistics */

typedef struct {
	char *evsfl_name;
	int evsfl_offset;
	int evsfl_size;
} ef_vi_stats_field_layout;

typedef struct {
	int evsl_data_size;
	int evsl_fields_num;
	ef_vi_stats_field_layout evsl_fields[];
} ef_vi_stats_layout;

/* Descriptor NICs only: -EINVAL elsewhere. */
extern int ef_vi_stats_query_layout(ef_vi *vi, const ef_vi_stats_layout **const layout_out);
extern int ef_vi_stats_query(ef_vi *vi, ef_driver_handle vi_dh, void *data, int do_reset);

#ifdef __cplusplus
}
#endif

#endif
