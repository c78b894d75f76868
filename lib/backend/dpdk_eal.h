/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk_eal.h - DPDK's environment (EAL), which a process has once and for good. */
#ifndef KBP_BACKEND_DPDK_EAL_H
#define KBP_BACKEND_DPDK_EAL_H

#include "../internal.h"
#include "dpdk_env.h"

/* What a port needs of the environment. */
struct kbp_dpdk_want {
	const char *args;		/* EAL's own arguments, blanks between; "" none */
	const struct kbp_dpdk_pci *pci; /* NULL: a virtual device */
	uint64_t bytes;			/* of memory, for a port with default rings */
	int node;
	bool strict;  /* KBP_PORT_STRICT: hugepages or nothing */
	bool no_huge; /* KBP_PORT_NO_HUGEPAGES */
};

/* Starts the environment, or finds it started in a way that serves. 0, or -errno: -EBUSY it runs in another
 * way, -ECHILD in a parent of this process. Any thread; its CPU affinity and signal mask are as before. */
int kbp_dpdk_eal_start(const struct kbp_dpdk_want *w, struct kbp_error *err);

/* Memory of the environment: on hugepages, or "no hugepages". */
bool kbp_dpdk_eal_huge(void);
/* This library started it, not the program. */
bool kbp_dpdk_eal_ours(void);
/* Why it is not as it was wished for; "". */
const char *kbp_dpdk_eal_note(void);

/* What EAL and its drivers logged since the last begin, at most the last some hundred bytes: for errors. One
 * caller at a time: the lock below is held. */
void kbp_dpdk_said_begin(void);
const char *kbp_dpdk_said(void);
const char *kbp_dpdk_said_error(void); /* from its first error on */

/* Control calls of DPDK are not for several threads at once. */
void kbp_dpdk_lock(void);
void kbp_dpdk_unlock(void);

#endif
