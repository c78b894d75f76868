/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - hosts made of files. Each test writes the parts of /sys, /proc, /dev and of DPDK's driver directory
 * that it is about below a directory of its own, `root`, and has a look at the error, `err`.
 */
#ifndef KBP_TEST_DPDK_HOST_H
#define KBP_TEST_DPDK_HOST_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/dpdk_env.h"
#include "../lib/test.h"

#define ADDR "0000:03:00.0"
#define ADDR_B "0000:03:00.1"
#define PMDS "/pmds-23.0"
#define INTEL_10G                                                                                 \
	"PMD_INFO_STRING= {\"name\": \"net_ixgbe\", \"params\": \"x=<0|1>\", \"kmod\": "          \
	"\"* igb_uio | uio_pci_generic | vfio-pci\", \"pci_ids\": [[32902, 4278, 65535, 65535], " \
	"[32902, 4347, 65535, 65535]]}"
#define AF_PACKET_PMD                                                                     \
	"PMD_INFO_STRING= {\"name\": \"net_af_packet\", \"params\": \"iface=<string>\", " \
	"\"pci_ids\": []}"

#define NODE0 "/sys/devices/system/node/node0/hugepages"
#define NODE1 "/sys/devices/system/node/node1/hugepages"
#define HOST "/sys/kernel/mm/hugepages"

extern char root[64];
extern struct kbp_error err;

/* cmocka's setup and teardown. */
int host_begin(void **state);
int host_end(void **state);

/* The file of the host, below the root; good until the call after the next. */
const char *at(const char *path);
void put_bytes(const char *path, const char *bytes, size_t n);
void put(const char *path, const char *text);
void put_dir(const char *path);
/* With the NUL that ends a text in .rodata. */
void put_info(const char *path, const char *text);
/* `target` from the root of the host; sysfs has relative links. */
void put_link(const char *path, const char *target);
void put_pages(const char *dir, unsigned kb, unsigned total, unsigned free_pages);

void put_pci_file(const char *addr, const char *name, const char *text);
/* A NIC, bound to `driver` unless that is NULL. */
void put_nic(const char *addr, const char *vendor, const char *device, const char *driver);
/* `under`: "0000:03:00.0", or "0000:03:00.0/virtio0" */
void put_interface(const char *name, const char *under, bool up);
/* `b` may be NULL. */
void put_group(unsigned group, const char *type, const char *a, const char *b);
void put_vfio_files(unsigned group);
void put_default_route(const char *ifname);

/* The error has this part; its hint has not. */
void says(const char *part);
void does_not_say(const char *part);
/* Failed with `code`, and nothing was cut: not the hint, not the step, and no command in quotes. */
void failed(int rc, int code);

struct kbp_dpdk_pci find(const char *name);
int usable(const char *name, bool privileged);
/* An 82599 on uio_pci_generic, without any file. */
struct kbp_dpdk_pci intel(void);

#endif
