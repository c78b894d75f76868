/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_env.h - what has to be known of the host before DPDK's EAL is started, and what its failures mean.
 *
 * Nothing here needs DPDK: it is sysfs, procfs and the text of PMD libraries, read and never written. EAL can
 * be started once in a process, and most of its failures are final, so the checks come first. `root` stands
 * in front of /sys, /proc and /dev: "" in earnest, a directory in tests; messages name the real path. Calls
 * return 0 or -errno and fill *err. Threads: any; they keep no state.
 */
#ifndef KBP_BACKEND_DPDK_ENV_H
#define KBP_BACKEND_DPDK_ENV_H

#include "../internal.h"

/* ---------------------------------------------------------------- hugepages: dpdk_env.c */

struct kbp_dpdk_pages {
	uint64_t page_bytes;
	int node; /* -1: the host as a whole */
	uint64_t total, free;
};

/* The hugepages of the host, one entry for each size and node, in order of both; the number of entries. */
unsigned kbp_dpdk_pages_read(const char *root, struct kbp_dpdk_pages *p, unsigned max);

/* 0: one page size has enough free pages for `bytes`, on `node` when that is not -1.
 * -ENOMEM: none has. -EINVAL: the host has no such node. */
int kbp_dpdk_pages_check(const char *root, uint64_t bytes, int node, struct kbp_error *err);

/* ---------------------------------------------------------------- PCI devices: dpdk_pci.c */

struct kbp_dpdk_pci {
	char addr[16]; /* 0000:03:00.0 */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	int node;	   /* -1: the host does not say */
	char driver[32];   /* kernel driver it is bound to; "": none */
	char override[32]; /* driver_override; "": none */
	char ifname[16]; /* the interface asked for, or the first; "": none in this network namespace */
	unsigned interfaces; /* a function may have several */
	bool up, routed;     /* one of them is up; a route goes out of one of them */
	bool default_route;  /* of one of them, or of a bond, bridge or VLAN above it */
	bool bifurcated;     /* its PMD works beside the kernel driver: it stays bound to that */
	bool verbs; /* it has an RDMA device, which is the way in for bifurcated PMDs but nfb's */
	int group;  /* IOMMU group; -1: none */
	bool iommu; /* an IOMMU is in front of it */
	bool translated; /* and gives it no physical addresses */
	bool noiommu;	 /* vfio's mode without an IOMMU made the group */
	char mates[112]; /* addresses in its group that kernel drivers hold; "": none */
	bool mates_stay; /* one of those is no NIC or has the default route, or there are too many */
};

/* `name` is 0000:03:00.0, 03:00.0 or an interface of this network namespace.
 * -ENODEV: there is no such. -ENXIO: the interface exists and has no PCI device of its own behind it, so a
 * virtual device over it is the way. */
int kbp_dpdk_pci_find(const char *root, const char *name, struct kbp_dpdk_pci *d,
		      struct kbp_error *err);

/* 0: EAL can take the device as it is. Otherwise who holds it and the commands that change that; they never
 * take the interface of the default route, and never unbind a bifurcated device or one that is no NIC.
 * -EBUSY: a kernel driver holds it, or a mate of its IOMMU group. -ENODEV: no driver, or half of one.
 * -EACCES, -EPERM: not this user. -EOPNOTSUPP: the IOMMU and the driver do not go together. */
int kbp_dpdk_pci_usable(const char *root, const struct kbp_dpdk_pci *d, bool privileged,
			struct kbp_error *err);

/* ---------------------------------------------------------------- PMD libraries: dpdk_pmd.c */

struct kbp_dpdk_pmd {
	char library[64]; /* librte_net_ixgbe.so */
	char driver[48];  /* net_ixgbe */
	char kmod[96];	  /* "* igb_uio | uio_pci_generic | vfio-pci"; "": it does not say */
};

/* Which library in `pmd_dir` (RTE_EAL_PMD_PATH) knows the device. -ENOENT: none does, or there is no such
 * directory. */
int kbp_dpdk_pmd_find(const char *pmd_dir, const struct kbp_dpdk_pci *d, struct kbp_dpdk_pmd *pmd);

/* Is the library there that a virtual device needs? `name` is "net_af_packet", "net_af_packet0" or with its
 * arguments, "net_af_packet0,iface=eth1". -ENOENT: it is not, and what to install. */
int kbp_dpdk_pmd_check(const char *pmd_dir, const char *name, struct kbp_error *err);

/* No library in `pmd_dir` knows the device: why. -ENOENT: the library that would is not installed. -ENODEV:
 * this DPDK has no driver for it. */
int kbp_dpdk_pmd_missing(const char *pmd_dir, const struct kbp_dpdk_pci *d, struct kbp_error *err);

/* ---------------------------------------------------------------- what EAL said: dpdk_explain.c */

/* What EAL was asked for. Zero and NULL: not known. */
struct kbp_dpdk_need {
	uint64_t bytes;			/* of packet memory */
	int node;			/* it has to be on; -1: any */
	bool no_huge, in_memory;	/* EAL's --no-huge, --in-memory */
	bool privileged;		/* runs as root */
	const struct kbp_dpdk_pci *pci; /* the device asked for */
	const char *vdev;		/* or the virtual one, with its arguments */
	const char *pmd_dir;
	const char *args; /* as given by the user, words with spaces between */
};

/* rte_eal_init failed: fills *err with the cause and the remedy, and returns its code, never 0. `said` is
 * what EAL logged, `eal_errno` its rte_errno, of either sign. */
int kbp_dpdk_explain(const char *root, const char *said, int eal_errno,
		     const struct kbp_dpdk_need *need, struct kbp_error *err);

/* EAL is up and the port is not there: DPDK counts that as success and mostly says nothing. Looks for the
 * cause in the order in which DPDK would have stumbled. Returns its code, never 0. */
int kbp_dpdk_explain_no_port(const char *root, const char *said, const struct kbp_dpdk_need *need,
			     struct kbp_error *err);

/* ---------------------------------------------------------------- shared by these files */

/* A hint is put together from sentences, the most important first. One that does not fit any more is left
 * out as a whole, and false comes back. */
struct kbp_hint {
	char text[sizeof(((struct kbp_error *)0)->hint)];
	size_t used;
};
bool kbp_hint_add(struct kbp_hint *h, const char *fmt, ...) KBP_PRINTF(2, 3);

/* First line of a file without the end of line, cut to `size`: its length, or -errno. */
int kbp_env_read(const char *root, char *buf, size_t size, const char *path_fmt, ...)
	KBP_PRINTF(4, 5);
/* Last component of where a symbolic link points, in the same way. */
int kbp_env_link(const char *root, char *buf, size_t size, const char *path_fmt, ...)
	KBP_PRINTF(4, 5);
/* A number in a file, in C notation; `otherwise` when there is none. */
uint64_t kbp_env_number(const char *root, uint64_t otherwise, const char *path_fmt, ...)
	KBP_PRINTF(3, 4);
bool kbp_env_exists(const char *root, const char *path_fmt, ...) KBP_PRINTF(2, 3);
/* Entries of a directory whose names begin with `begin`, sorted, in memory that the caller frees as one;
 * NULL: none. */
char **kbp_env_list(const char *root, const char *begin, unsigned *n, const char *path_fmt, ...)
	KBP_PRINTF(4, 5);

#endif
