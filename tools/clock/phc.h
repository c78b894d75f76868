/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * phc.h - a NIC's own clock, /dev/ptpN: which there are, whose they are, what they show, and how far from the
 * system's clock they are. Every way to the device goes through a table, so that tests can play it.
 */
#ifndef KBP_CLOCK_PHC_H
#define KBP_CLOCK_PHC_H

#include "clock_parts.h"

#define KBP_PHC_MAX 64

/* A reading of a PHC between two of the system's clock. */
struct kbp_phc_reading {
	uint64_t phc_ns, sys_ns; /* at the same moment, */
	uint64_t error_ns;	 /* within this */
	const char *how;	 /* "precise", "extended", "offset" */
};

/* How the device is reached. */
struct kbp_phc_ops {
	uint64_t (*list)(void); /* bit N: there is a /dev/ptpN */
	int (*open)(int phc);	/* a descriptor, or -errno */
	void (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg); /* 0 or -errno */
	int (*gettime)(int fd, struct timespec *t);		/* 0 or -errno */
	int32_t (*index)(const char *interface);		/* N, or -1 */
};

/* Play another device; NULL: the kernel's. For tests, before anything uses it. */
void kbp_phc_set_ops(const struct kbp_phc_ops *other);

uint64_t kbp_phc_list(void);
int kbp_phc_open(int phc);
void kbp_phc_close(int fd);
/* The tightest of a few readings: PTP_SYS_OFFSET_PRECISE where the device has it, else _EXTENDED, else plain
 * PTP_SYS_OFFSET. 0 or -errno. */
int kbp_phc_read(int fd, struct kbp_phc_reading *r);
int kbp_phc_gettime(int fd, uint64_t *ns);

/* N of the /dev/ptpN of an interface of this network namespace; -1: it has none. */
int32_t kbp_phc_of(const char *interface);
/* Has an interface of this network namespace that address? */
bool kbp_phc_interface_has(const char *interface, const uint8_t mac[6]);
/* The interface with that address; "" when there is none. */
void kbp_phc_interface_of(const uint8_t mac[6], char interface[16]);
/* Now by the system's clock (UTC) or a PHC; false: it cannot be read. */
bool kbp_phc_now(enum kbp_epoch epoch, int32_t phc, uint64_t *ns);

#endif
