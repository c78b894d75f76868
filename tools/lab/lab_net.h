/* SPDX-License-Identifier: BSD-2-Clause */
/* lab_net.h - what a lab asks of the kernel: named network namespaces, a veth pair in them. */
#ifndef KBP_LAB_NET_H
#define KBP_LAB_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <kbypass/lab.h>

#define KBP_LAB_NETNS_DIR "/run/netns" /* where ip-netns(8) looks */

struct mnl_socket;

/* What kbp_lab_up would make of these options, before there is anything: names and addresses. */
int kbp_lab_plan(const struct kbp_lab_opts *opts, struct kbp_lab_info *info, struct kbp_error *err);

/* One end of the pair, as the kernel has it. */
struct kbp_lab_link {
	uint32_t ifindex;
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t queues; /* the fewer of RX and TX */
	bool running;
};

/* Is there a namespace of that name? A plain file left by a killed run or a reboot is none. */
bool kbp_lab_netns_exists(const char *name);
/* Make a named namespace and open a netlink socket in it. */
int kbp_lab_netns_make(const char *name, struct mnl_socket **nl, struct kbp_error *err);
/* Unmount and remove the name, whatever is left of it. Nothing of that name is success. */
int kbp_lab_netns_remove(const char *name, struct kbp_error *err);
/* A netlink socket inside a namespace; the caller's thread stays where it is. */
int kbp_lab_netns_socket(const char *name, struct mnl_socket **nl, struct kbp_error *err);
/* Move the calling thread. */
int kbp_lab_netns_enter(const char *name, struct kbp_error *err);

/* A veth pair: host `here` where nl is, `there` in its namespace. */
int kbp_lab_veth_make(struct mnl_socket *nl, const struct kbp_lab_host *here,
		      const struct kbp_lab_host *there, uint32_t queues, uint32_t mtu,
		      struct kbp_error *err);
int kbp_lab_link_get(struct mnl_socket *nl, const char *ifname, struct kbp_lab_link *link,
		     struct kbp_error *err);
int kbp_lab_link_set_up(struct mnl_socket *nl, const char *ifname, struct kbp_error *err);
/* No such link is success. */
int kbp_lab_link_delete(struct mnl_socket *nl, const char *ifname, struct kbp_error *err);
int kbp_lab_link_add_address(struct mnl_socket *nl, uint32_t ifindex, const struct kbp_addr *a,
			     uint8_t prefix_len, struct kbp_error *err);
/* 224.0.0.0/4 out of this link, so that joins and sends that name no interface find one. */
int kbp_lab_link_add_multicast_route(struct mnl_socket *nl, uint32_t ifindex, struct kbp_error *err);
/* Complete checksums in every packet, as on a wire: without this veth hands partial ones to the
 * other end. */
int kbp_lab_link_no_tx_checksum_offload(struct mnl_socket *nl, const char *ifname,
					struct kbp_error *err);

#endif
