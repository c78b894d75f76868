/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - the inline half of the socket backend: recvmmsg and sendmmsg over message arrays that
 * persist.
 *
 * RX: every message points at a slot: a head (source address, control data) and the payload behind
 *     it.
 * A slot whose handler answers KBP_DONE stays in its message, ready for the next call; a kept one
 * is swapped for a free one. The token is the address of the slot's payload.
 *
 * The loop below is what a hand-written one is. Everything else (several flows, frames left over by
 * KBP_STOP, frames lent by the array form, timestamps, filters in software) makes `limit` zero, and
 * kbp_sock_rx_next then chooses the messages. A poll receives from one socket: of several flows the
 * next in turn that has something.
 *
 * TX: every message has a payload slot of its own. The token is its address.
 */
#ifndef KBYPASS_HOT_H
#include <kbypass/hot.h> /* which includes this file in its place */
#elif !defined(KBYPASS_HOT_SOCKET_H)
#define KBYPASS_HOT_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBP_SOCK_BATCH 256u	/* messages of one system call: more take several polls */
#define KBP_SOCK_CONTROL 64u	/* one SCM_TIMESTAMPING: a cmsghdr and three timespec */
#define KBP_SOCK_SLOT_HEAD 128u /* bytes in front of a received payload */
#define KBP_SOCK_NAME_AT 36u

/* struct mmsghdr and its calls, which the C library hides without _GNU_SOURCE. */
struct kbp_sock_msg {
	struct msghdr hdr;
	unsigned int len;
};

int kbp_sock_recvmmsg(int fd, struct kbp_sock_msg *msg, unsigned int n, int flags,
		      struct timespec *timeout) __asm__("recvmmsg");
int kbp_sock_sendmmsg(int fd, struct kbp_sock_msg *msg, unsigned int n,
		      int flags) __asm__("sendmmsg");

/* The head of a slot. */
struct kbp_sock_slot {
	struct kbp_sock_msg *msg; /* the message it sits in; NULL: kept by the caller, or free */
	uint32_t control_len;	  /* of a kept slot: what the kernel wrote */
	uint32_t state;		  /* enum kbp_sock_slot_state */
	struct kbp_addr dst;	  /* of a kept slot */
	uint8_t pad;
	uint16_t dst_port;
	struct sockaddr_in6 name; /* source, IPv4 or IPv6 */
	uint8_t control[KBP_SOCK_CONTROL];
};

KBP_STATIC_ASSERT(sizeof(struct kbp_sock_slot) == KBP_SOCK_SLOT_HEAD, "the payload follows at once");
KBP_STATIC_ASSERT(offsetof(struct kbp_sock_slot, name) == KBP_SOCK_NAME_AT, "found from msg_name");
KBP_STATIC_ASSERT(CMSG_SPACE(3 * sizeof(struct timespec)) <= KBP_SOCK_CONTROL, "one stamp fits");

enum kbp_sock_slot_state {
	KBP_SOCK_IDLE = 0,
	KBP_SOCK_LENT,	   /* given out by the array form, still in its message */
	KBP_SOCK_RETURNED, /* given back by the handler that is looking at it */
};

#define KBP_SOCK_FILTERED 0x40000000 /* our mark in msg_flags: a foreign source */
#define KBP_SOCK_TS_UNDECIDED 3u

/* Messages with their payloads, for one call. */
struct kbp_sock_burst {
	struct kbp_sock_msg msg[KBP_SOCK_BATCH]; /* first: one address for both */
	struct iovec iov[KBP_SOCK_BATCH];
};

struct kbp_sock_queue {
	struct kbp_queue q;
	uint32_t limit; /* messages of a poll that the loop may receive by itself; 0: see
			 * kbp_sock_rx_next */
	int32_t fd;	/* the socket of the only flow */
	struct kbp_sock_burst *rx;
	struct kbp_sock_msg *first; /* of this poll, from kbp_sock_rx_next */
	uint32_t ts_which; /* which of the three timespec: 0 software, 2 NIC, or undecided */
	uint8_t pad[36];
};

KBP_STATIC_ASSERT(sizeof(struct kbp_sock_queue) == 192, "the head and one line");

/* What hangs on a txflow. */
struct kbp_sock_tx {
	int32_t fd;
	uint32_t limit;	   /* messages the loop may send by itself; 0: completions are kept */
	struct iovec *iov; /* the queue's ... */
	struct kbp_sock_msg *msg; /* ... and the messages over them */
	struct kbp_hot_tx *count;
};

/* kbp_sock_rx_next - the messages of this poll, when they are not simply the next of the only flow.
 *
 * Frames left over from an earlier poll come first. Then the flows in turn, until one has
 * something.
 * Returns:  the number of messages from s->first on, at most `max`; 0: nothing.
 * Owns:     the slots stay the queue's.
 * Blocks:   never. Enters the kernel: recvmmsg, at most once per flow.
 * Threads:  one caller per queue. */
KBP_API int kbp_sock_rx_next(struct kbp_sock_queue *s, unsigned max);

/* kbp_sock_rx_verdict - what a handler answered other than KBP_DONE.
 *
 * m is the message it answered for, `end` the end of the burst. KBP_KEEP swaps the slot; KBP_STOP,
 * or the last frame that hold_max allows, leaves the messages behind m for the next poll.
 * Returns:  true when the burst ends here.
 * Owns:     a kept slot is the caller's.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_API bool kbp_sock_rx_verdict(struct kbp_sock_queue *s, struct kbp_sock_msg *m,
				 struct kbp_sock_msg *end, unsigned verdict);

/* kbp_sock_rx_skip - count a message that is not handed over: truncated, or from a foreign source.
 *
 * Returns:  nothing.
 * Owns:     the slot stays the queue's.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_API void kbp_sock_rx_skip(struct kbp_sock_queue *s, struct kbp_sock_msg *m);

/* kbp_sock_ts_decide - the first stamp of a queue settles whose stamps it reports.
 *
 * The NIC's when it wrote one, otherwise the kernel's. Later frames without a stamp of that source
 * have none: the two run on different clocks, and a queue never mixes them.
 * Returns:  the index into the three timespec of SCM_TIMESTAMPING.
 * Owns:     nothing changes hands.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_API uint32_t kbp_sock_ts_decide(struct kbp_sock_queue *s, const struct timespec ts[3]);

/* kbp_sock_tx_prepare - slots for a burst that is large, or on a queue that keeps completions.
 *
 * Returns:  how many of the first `max` messages have a slot.
 * Owns:     the slots stay the queue's.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_API unsigned kbp_sock_tx_prepare(struct kbp_txflow *t, unsigned max);

/* kbp_sock_tx_finish - the rest of a burst that the kernel did not take in one call.
 *
 * sent: how many of the n messages are sent already. A pending error of the socket (an ICMP
 *       message) is
 * cleared by the call that reports it, so the frame is tried once more before it counts as refused.
 * Returns:  frames accepted of the n, `sent` included.
 * Owns:     messages that were not accepted keep their slots.
 * Blocks:   never. Enters the kernel: sendmmsg.
 * Threads:  one caller per queue. */
KBP_API unsigned kbp_sock_tx_finish(struct kbp_txflow *t, unsigned n, unsigned sent);

KBP_INLINE struct kbp_sock_queue *kbp_sock(struct kbp_queue *q)
{
	return (struct kbp_sock_queue *)(void *)q;
}

KBP_INLINE struct kbp_sock_slot *kbp_sock_slot_of(uint64_t token)
{
	return (struct kbp_sock_slot *)(uintptr_t)(token - KBP_SOCK_SLOT_HEAD);
}

/* msg_name leads to the slot: one load less than by way of the iovec. */
KBP_INLINE uint8_t *kbp_sock_payload(const struct kbp_sock_msg *m)
{
	return (uint8_t *)m->hdr.msg_name + (KBP_SOCK_SLOT_HEAD - KBP_SOCK_NAME_AT);
}

KBP_INLINE unsigned kbp_sock_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct kbp_sock_queue *s = kbp_sock(rx.q);
	struct kbp_hot_rx *count = s->q.rx_count;
	struct kbp_sock_msg *m, *end;
	int n;

	count->polls++;
	if (KBP_LIKELY(max <= s->limit)) {
		m = s->rx->msg;
		count->kernel_calls++;
		n = kbp_sock_recvmmsg(s->fd, m, max, MSG_DONTWAIT, NULL);
	} else {
		n = kbp_sock_rx_next(s, max);
		m = s->first;
	}
	if (n <= 0)
		return 0;
	count->frames += (unsigned)n; /* counted here, and taken back where one is not handed
				       * over */
	end = m + n;
	do {
		struct kbp_frame f;
		unsigned verdict;

		if (KBP_UNLIKELY(m->hdr.msg_flags & (MSG_TRUNC | KBP_SOCK_FILTERED))) {
			kbp_sock_rx_skip(s, m);
			s->q.rx_count->frames--;
			n--;
			continue;
		}
		f.data = kbp_sock_payload(m);
		f.token = (uintptr_t)f.data;
		f.len = m->len;
		f.flags = 0;
		f.ts_frac = 0;
		f.ts_ns = 0;
		verdict = fn(rx, f, arg);
		m->hdr.msg_namelen = sizeof(struct sockaddr_in6);
		if (KBP_UNLIKELY(verdict) && kbp_sock_rx_verdict(s, m, end, verdict)) {
			unsigned left = (unsigned)(end - m) - 1;

			s->q.rx_count->frames -= left;
			return (unsigned)n - left;
		}
	} while (++m != end);
	return (unsigned)n;
}

KBP_INLINE struct kbp_stamp kbp_sock_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	struct kbp_sock_queue *s = kbp_sock(rx.q);
	const struct kbp_sock_slot *slot = kbp_sock_slot_of(f->token);
	const struct cmsghdr *c = (const struct cmsghdr *)(const void *)slot->control;
	const struct timespec *ts =
		(const struct timespec *)(const void *)(slot->control + CMSG_LEN(0));
	size_t len = slot->msg ? slot->msg->hdr.msg_controllen : slot->control_len;
	uint32_t which = s->ts_which;
	struct kbp_stamp stamp = { 0, 0, 0 };

	/* SCM_TIMESTAMPING has the number of SO_TIMESTAMPING (include/uapi/asm-generic/socket.h).
	 * The kernel writes it first (net/socket.c, sock_recv_timestamp), and nothing else is
	 * enabled. */
	if (len < CMSG_LEN(3 * sizeof(*ts)) || c->cmsg_type != SO_TIMESTAMPING)
		return stamp;
	if (KBP_UNLIKELY(which == KBP_SOCK_TS_UNDECIDED))
		which = kbp_sock_ts_decide(s, ts);
	stamp.ns = (uint64_t)ts[which].tv_sec * 1000000000u + (uint64_t)ts[which].tv_nsec;
	stamp.flags = stamp.ns ? kbp_stamp_flags(rx.q, stamp.ns) : 0;
	return stamp;
}

/* Lets the filler write up to n payloads. Returns how many it wrote. */
KBP_INLINE unsigned kbp_sock_tx_fill(struct iovec *iov, struct kbp_tx tx, unsigned n, kbp_filler fn,
				     void *arg)
{
	unsigned left = n;

	do {
		struct kbp_frame f;
		uint32_t len;

		f.data = iov->iov_base;
		f.token = (uintptr_t)f.data;
		f.len = tx.t->room;
		f.flags = KBP_FRAME_TX;
		f.ts_frac = 0;
		f.txflow = tx.t;
		len = fn(tx, f, arg);
		if (KBP_UNLIKELY(len == KBP_TX_END))
			break;
		iov->iov_len = len;
		iov++;
	} while (--left);
	return n - left;
}

KBP_INLINE unsigned kbp_sock_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	const struct kbp_sock_tx *x = (const struct kbp_sock_tx *)tx.t->priv;
	unsigned n;
	int sent;

	if (KBP_UNLIKELY(max - 1 >= x->limit)) { /* or max is 0 */
		n = kbp_sock_tx_prepare(tx.t, max);
		if (n)
			n = kbp_sock_tx_fill(x->iov, tx, n, fn, arg);
		return n ? kbp_sock_tx_finish(tx.t, n, 0) : 0;
	}
	n = kbp_sock_tx_fill(x->iov, tx, max, fn, arg);
	if (KBP_UNLIKELY(n != max) && !n)
		return 0;
	x->count->kernel_calls++;
	x->count->frames += n;
	sent = kbp_sock_sendmmsg(x->fd, x->msg, n, MSG_DONTWAIT);
	if (KBP_UNLIKELY((unsigned)sent != n)) {
		x->count->frames -= n; /* counted there */
		return kbp_sock_tx_finish(tx.t, n, sent > 0 ? (unsigned)sent : 0);
	}
	return n;
}

#ifdef __cplusplus
}
#endif
#endif
