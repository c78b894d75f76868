/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw_sock.h - recvmmsg and sendmmsg by hand: message arrays that persist, source addresses kept
 * usable, truncated datagrams passed over, frames and system calls counted.
 */
#ifndef KBP_BENCH_RAW_SOCK_H
#define KBP_BENCH_RAW_SOCK_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <kbypass/hot.h>

#define RAW_SOCK_BATCH 64u
#define RAW_SOCK_ROOM 2048u

struct raw_sock {
	int fd;
	uint64_t frames;
	struct mmsghdr msg[RAW_SOCK_BATCH];
	struct iovec iov[RAW_SOCK_BATCH];
	struct sockaddr_in6 from[RAW_SOCK_BATCH];
	uint64_t calls;
	uint8_t data[RAW_SOCK_BATCH][RAW_SOCK_ROOM];
};

static inline void raw_sock_init(struct raw_sock *s, int fd, bool rx)
{
	s->fd = fd;
	for (unsigned i = 0; i < RAW_SOCK_BATCH; i++) {
		s->iov[i].iov_base = s->data[i];
		s->iov[i].iov_len = RAW_SOCK_ROOM;
		s->msg[i].msg_hdr.msg_iov = &s->iov[i];
		s->msg[i].msg_hdr.msg_iovlen = 1;
		s->msg[i].msg_hdr.msg_name = rx ? &s->from[i] : NULL;
		s->msg[i].msg_hdr.msg_namelen = rx ? sizeof(s->from[i]) : 0;
	}
}

KBP_INLINE unsigned raw_sock_rx(struct raw_sock *s, unsigned max,
				void (*fn)(const uint8_t *data, uint32_t len, void *arg), void *arg)
{
	int n = recvmmsg(s->fd, s->msg, max, MSG_DONTWAIT, NULL);

	s->calls++;
	for (int i = 0; i < n; i++) {
		struct mmsghdr *m = &s->msg[i];

		if (!(m->msg_hdr.msg_flags & MSG_TRUNC))
			fn((const uint8_t *)s->iov[i].iov_base, m->msg_len, arg);
		m->msg_hdr.msg_namelen = sizeof(struct sockaddr_in6);
	}
	if (n <= 0)
		return 0;
	s->frames += (unsigned)n;
	return (unsigned)n;
}

/* The kernel did not take all: once more, from where it stopped. */
static __attribute__((noinline)) unsigned raw_sock_tx_rest(struct raw_sock *s, unsigned n, int sent)
{
	unsigned done = sent > 0 ? (unsigned)sent : 0;

	sent = sendmmsg(s->fd, s->msg + done, n - done, MSG_DONTWAIT);
	s->calls++;
	done += sent > 0 ? (unsigned)sent : 0;
	s->frames += done;
	return done;
}

KBP_INLINE unsigned raw_sock_tx(struct raw_sock *s, unsigned n,
				uint32_t (*fn)(uint8_t *payload, void *arg), void *arg)
{
	int sent;

	for (unsigned i = 0; i < n; i++)
		s->iov[i].iov_len = fn((uint8_t *)s->iov[i].iov_base, arg);
	sent = sendmmsg(s->fd, s->msg, n, MSG_DONTWAIT);
	s->calls++;
	if (KBP_UNLIKELY((unsigned)sent != n))
		return raw_sock_tx_rest(s, n, sent);
	s->frames += n;
	return n;
}

#endif
