/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab.h - a throw-away network of two hosts on this machine, to try everything on.
 *
 *      network namespace kbp-tx                      network namespace kbp-rx
 *   kbptx  10.77.0.1/24  fd77::1/64  <== veth ==>  kbprx  10.77.0.2/24  fd77::2/64
 *
 * The namespaces are named the way ip-netns(8) names them: `ip netns exec kbp-rx COMMAND` works.
 * Nothing of the host's own network is touched, so the addresses cannot collide with it. Both
 * interfaces have as many RX and TX queues as asked for; what is sent on TX queue q of one arrives
 * on RX queue q of the other. Packets look as they would on a wire: checksums are complete (TX
 * checksum offload is off), no router solicitations, no duplicate address detection.
 *
 * Their MACs are 02:6b:62:70:00:01 and :02. All of it needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
 */
#ifndef KBYPASS_LAB_H
#define KBYPASS_LAB_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	KBP_LAB_EPHEMERAL = 1u << 0, /* named with the caller's pid, reclaimed when it has died */
};

/* Everything a lab can be asked for. Zero is the default of every member; set `size`. */
struct kbp_lab_opts {
	size_t size;	    /* sizeof(struct kbp_lab_opts): later versions add members at the end */
	const char *prefix; /* of all names; NULL: "kbp". Letters, digits, '_': 1..13, ephemeral
			     * 1..6 */
	uint32_t queues;    /* RX and TX queues at both ends, 1..64; 0: 2 */
	uint32_t mtu;	    /* 1280..65535; 0: 1500 */
	uint32_t flags;	    /* KBP_LAB_* */
	struct kbp_addr net4; /* IPv4 /24 network, last byte 0; family 0: 10.77.0.0 */
	struct kbp_addr net6; /* IPv6 /64 network, last 8 bytes 0; family 0: fd77:: */
};

/* clang-format off */
#define KBP_LAB_OPTS_INIT KBP_OPTS_INIT(struct kbp_lab_opts)
/* clang-format on */

/* The two hosts. */
enum kbp_lab_side { KBP_LAB_TX = 0, KBP_LAB_RX = 1 };

struct kbp_lab_host {
	char netns[24];	  /* "kbp-tx": the file /run/netns/kbp-tx */
	char ifname[16];  /* "kbptx" */
	uint32_t ifindex; /* inside its namespace; 0: not seen for lack of privilege
			   * (kbp_lab_find) */
	uint8_t mac[6];
	struct kbp_addr ip4; /* /24 */
	struct kbp_addr ip6; /* /64; family 0 where the kernel has no IPv6 */
};

struct kbp_lab_info {
	char prefix[16]; /* what kbp_lab_down and kbp_lab_find take; with the pid when ephemeral */
	uint32_t queues;
	uint32_t mtu;
	int32_t owner_pid;	     /* of an ephemeral lab; 0: it stays until kbp_lab_down */
	bool existed;		     /* kbp_lab_up found it there, as asked for */
	struct kbp_lab_host host[2]; /* by enum kbp_lab_side */
};

/* One lab of this machine. */
struct kbp_lab_entry {
	char prefix[16];
	int32_t owner_pid; /* of an ephemeral lab; 0: it stays until kbp_lab_down */
	bool leftover;	   /* half made, or its owner has died */
};

/* kbp_lab_up - make the lab, or find it made already.
 *
 * A lab of that name with other options, or half of one, is taken down first and made anew.
 * Ephemeral labs whose owner has died are taken down on the way.
 * Returns:  0 and *info, or -errno with nothing left behind.
 * Errors:   -EPERM names the missing capability; -EEXIST a namespace of that name that no lab made;
 *           -EBUSY another process's ephemeral lab has that name; -EINVAL a member of opts;
 *           -E2BIG opts of a later version; -EOPNOTSUPP the kernel has no veth.
 * Owns:     the system keeps the lab until kbp_lab_down; *info is the caller's, opts may be NULL.
 * Blocks:   up to seconds (carrier, a concurrent kbp_lab_up or kbp_lab_down).
 * Threads:  any; the caller's network namespace is not changed. */
KBP_API int kbp_lab_up(const struct kbp_lab_opts *opts, struct kbp_lab_info *info,
		       struct kbp_error *err);

/* kbp_lab_down - remove interfaces, namespaces and their mounts; whole, or what is left of one.
 *
 * prefix:   NULL: "kbp". An ephemeral lab: kbp_lab_info.prefix.
 * Returns:  1 when there was something to take down, 0 when there was not, or -errno.
 * Errors:   -EPERM names the missing capability; -EBUSY it is a living process's ephemeral lab and
 *           not ours; -EINVAL no such name can be; others as the kernel gave them.
 * Owns:     nothing stays; a process still inside a namespace keeps that namespace, now empty,
 *           until it ends. The folders /run/netns and /run/kbypass/lab stay.
 * Blocks:   up to seconds.
 * Threads:  any. */
KBP_API int kbp_lab_down(const char *prefix, struct kbp_error *err);

/* kbp_lab_find - is there a lab of that name, and what is it like?
 *
 * prefix:   NULL: "kbp".
 * Returns:  0 and *info, or -errno.
 * Errors:   -ENOENT there is none; -ENODEV there is half of one: up or down mends it; -EINVAL.
 * Owns:     *info is the caller's.
 * Blocks:   briefly; enters the kernel. Without the privilege ifindex stays zero.
 * Threads:  any. */
KBP_API int kbp_lab_find(const char *prefix, struct kbp_lab_info *info, struct kbp_error *err);

/* kbp_lab_list - the labs of this machine, whole or left over.
 *
 * Returns:  how many there are; list[0..min(that, max)) is filled.
 * Owns:     list is the caller's.
 * Blocks:   briefly; enters the kernel.
 * Threads:  any. */
KBP_API int kbp_lab_list(struct kbp_lab_entry *list, unsigned max);

/* kbp_lab_enter - move the calling thread into one host's network namespace.
 *
 * Sockets and ports opened by this thread from here on, and by threads and children it starts, live
 * on that host. Mounts are not changed: /sys/class/net goes on showing the network of whoever
 * mounted it. A program that wants to stay outside as well enters in a thread of its own.
 * Returns:  0, or -errno with the thread where it was.
 * Errors:   -ENOENT the namespace is gone; -EPERM names the missing capability.
 * Owns:     nothing changes hands.
 * Blocks:   briefly; enters the kernel.
 * Threads:  any; moves the calling one only. */
KBP_API int kbp_lab_enter(const struct kbp_lab_info *info, enum kbp_lab_side side,
			  struct kbp_error *err);

#ifdef __cplusplus
}
#endif
#endif
