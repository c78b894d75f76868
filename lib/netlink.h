/* SPDX-License-Identifier: BSD-2-Clause */
/* netlink.h - just enough rtnetlink for interfaces, routes and neighbours. */
#ifndef KBP_NETLINK_H
#define KBP_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#define KBP_NL_REQUEST 512u

/* A request under construction: netlink header, the family's own header, attributes. */
struct kbp_nl {
	struct nlmsghdr h;
	uint8_t body[KBP_NL_REQUEST];
};

/* One message of the answer; non-zero ends the walk and is returned. */
typedef int (*kbp_nl_fn)(const struct nlmsghdr *h, void *arg);

int kbp_nl_socket(void);
void kbp_nl_begin(struct kbp_nl *nl, uint16_t type, uint16_t flags, const void *head,
		  size_t head_bytes);
void kbp_nl_put(struct kbp_nl *nl, uint16_t type, const void *data, size_t bytes);
/* Sends the request and hands every message of the answer to fn. Returns fn's word, 0, or the
 * kernel's -errno. */
int kbp_nl_ask(int fd, struct kbp_nl *nl, kbp_nl_fn fn, void *arg);
/* Attribute of that type behind a family header of head_bytes; NULL: none, or shorter than
 * min_bytes. */
const struct rtattr *kbp_nl_attr(const struct nlmsghdr *h, size_t head_bytes, uint16_t type,
				 size_t min_bytes);
/* The same inside a nested attribute. */
const struct rtattr *kbp_nl_nested(const struct rtattr *outer, uint16_t type, size_t min_bytes);

/* link.c: the VLAN interface with that tag on top of `ifindex`, or 0. */
uint32_t kbp_link_vlan(uint32_t ifindex, uint16_t vlan);

#endif
