/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_kernel.c - plays the kernel, in the same way for every form: AF_XDP rings on plain
 * memory move on by a burst, recvmmsg and sendmmsg accept everything at once.
 */
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "overhead.h"

uint64_t kernel_socket_calls;

/* n prefilled descriptors become visible; all buffers of the fill ring are taken. */
void kernel_receives(struct plain_rings *r, uint32_t n)
{
	r->fill.cons = __atomic_load_n(&r->fill.prod, __ATOMIC_ACQUIRE);
	__atomic_store_n(&r->rx.prod, r->rx.prod + n, __ATOMIC_RELEASE);
}

/* The next n descriptors of the TX ring are sent and completed. */
void kernel_sends(struct plain_rings *r, uint32_t n)
{
	uint32_t from = r->tx.cons, to = r->comp.prod;

	for (uint32_t i = 0; i < n; i++)
		r->comp_addr[to++ % RING] = r->tx_desc[from++ % RING].addr;
	__atomic_store_n(&r->tx.cons, from, __ATOMIC_RELEASE);
	__atomic_store_n(&r->comp.prod, to, __ATOMIC_RELEASE);
}

/* These two take the place of the C library's in this program. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's begin with __ */
int recvmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags, struct timespec *timeout)
{
	(void)fd;
	(void)flags;
	(void)timeout;
	kernel_socket_calls++;
	for (unsigned int i = 0; i < n; i++) {
		msg[i].msg_len = 60;
		msg[i].msg_hdr.msg_namelen = 16;
		msg[i].msg_hdr.msg_flags = 0;
	}
	return (int)n;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int sendmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags)
{
	(void)fd;
	(void)flags;
	kernel_socket_calls++;
	for (unsigned int i = 0; i < n; i++)
		msg[i].msg_len = PAYLOAD;
	return (int)n;
}
