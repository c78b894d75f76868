/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.c - the hot path of the socket backend in array form, and the calls behind the inline
 * form.
 *
 * RX: peek lends the slots out in their entries; the next receive swaps those still out for free
 *     ones.
 * TX: a frame is copied by the kernel in sendmmsg, so its slot is free again at once, unless
 *     completions are
 * kept: then when its completion is reaped. There is no doorbell of ours: the system calls are
 *       counted, and
 * completions where they are kept.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "socket.h"

#define NS_PER_S 1000000000u
#define BUSY_POLL_US 50 /* Documentation/networking/napi.rst: the suggested value for sockets */
#define STAMP_WAIT_NS \
	50000000u /* a software stamp is taken when the driver sends: long before this */
#define STAMP_BATCH 16u
#define STAMP_CONTROL 256u

/* ---------------------------------------------------------------- receive: slots */

void sock_rx_attach(struct sock_queue *sq, struct kbp_sock_msg *m, struct kbp_sock_slot *slot)
{
	bool stamps = sq->s.q.flags & KBP_QUEUE_RX_STAMPS;

	slot->msg = m;
	slot->state = KBP_SOCK_IDLE;
	m->hdr.msg_name = &slot->name;
	m->hdr.msg_namelen = sizeof(slot->name);
	m->hdr.msg_control = stamps ? slot->control : NULL;
	m->hdr.msg_controllen = stamps ? sizeof(slot->control) : 0;
	m->hdr.msg_iov->iov_base = (uint8_t *)slot + KBP_SOCK_SLOT_HEAD;
	m->hdr.msg_iov->iov_len = sq->rx_bytes;
}

/* The slot leaves its entry with the caller; a free one takes its place. There is always one:
 * hold_max of them exist beyond the entries, and no more than hold_max are held. */
static void rx_swap(struct sock_queue *sq, struct kbp_sock_msg *m)
{
	struct kbp_sock_slot *slot = kbp_sock_slot_of((uintptr_t)kbp_sock_payload(m));

	slot->control_len = (uint32_t)m->hdr.msg_controllen;
	slot->dst = sq->cur->flow.dst;
	slot->dst_port = sq->cur->flow.dst_port;
	slot->state = KBP_SOCK_IDLE;
	slot->msg = NULL;
	sock_rx_attach(sq, m, sq->rx_free[--sq->n_rx_free]);
}

static void rx_swap_lent(struct sock_queue *sq)
{
	for (unsigned i = 0; i < sq->used; i++)
		if (kbp_sock_slot_of((uintptr_t)kbp_sock_payload(&sq->s.rx->msg[i]))->state ==
		    KBP_SOCK_LENT)
			rx_swap(sq, &sq->s.rx->msg[i]);
	sock_special(sq, 0, SPECIAL_LENDING);
}

unsigned sock_rx_settle(struct sock_queue *sq)
{
	unsigned dropped = 0;

	if (sq->special & SPECIAL_LENDING)
		rx_swap_lent(sq);
	if (!(sq->special & SPECIAL_STASH))
		return 0;
	for (struct kbp_sock_msg *m = sq->next; m != sq->end; m++) {
		if (m->hdr.msg_flags & (MSG_TRUNC | KBP_SOCK_FILTERED))
			kbp_sock_rx_skip(&sq->s, m);
		else
			dropped++;
		m->hdr.msg_namelen = sizeof(struct sockaddr_in6);
	}
	sock_special(sq, 0, SPECIAL_STASH);
	return dropped;
}

static void rx_bound(struct sock_queue *sq)
{
	if (sq->s.q.held >= sq->s.q.hold_max)
		sock_special(sq, SPECIAL_AT_BOUND, 0);
	else
		sock_special(sq, 0, SPECIAL_AT_BOUND);
}

/* -------------------------------------------------------------- receive: behind the inline form */

/* The socket learns its NAPI id from the first frame (include/net/busy_poll.h, sk_mark_napi_id).
 * Without one SO_BUSY_POLL does nothing, so it is not set. */
static void rx_try_busy_poll(struct sock_queue *sq, int fd)
{
	int id = 0, us = BUSY_POLL_US;
	socklen_t len = sizeof(id);

	sock_special(sq, 0, SPECIAL_BUSY_POLL);
	sq->busy_poll = KBP_NO;
	if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len) || !id)
		return;
	sq->napi_id = (uint32_t)id;
	if (!setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us)))
		sq->busy_poll = KBP_YES;
}

static bool rx_source_fits(const struct kbp_flow *flow, const struct sockaddr_in6 *name)
{
	struct sockaddr_storage ss;
	struct kbp_addr addr;
	uint16_t port;

	memcpy(&ss, name, sizeof(*name));
	kbp_addr_from_sockaddr(&ss, &addr, &port);
	if (flow->src.family && memcmp(&flow->src, &addr, sizeof(addr)))
		return false;
	return !flow->src_port || flow->src_port == port;
}

static void rx_filter(struct sock_queue *sq, int n)
{
	for (int i = 0; i < n; i++) {
		struct kbp_sock_msg *m = &sq->s.rx->msg[i];

		if (!rx_source_fits(&sq->cur->flow, m->hdr.msg_name))
			m->hdr.msg_flags |= KBP_SOCK_FILTERED;
	}
}

static int rx_receive(struct sock_queue *sq, unsigned max)
{
	struct kbp_sock_queue *s = &sq->s;
	int n = 0;

	if (sq->special & SPECIAL_LENDING)
		rx_swap_lent(sq);
	if (sq->special & SPECIAL_STAMPS)
		for (unsigned i = 0; i < sq->used; i++)
			sq->s.rx->msg[i].hdr.msg_controllen = KBP_SOCK_CONTROL;
	for (unsigned i = 0; i < sq->n_flows && n <= 0; i++) {
		struct sock_flow *flow = sq->flows[sq->cursor];

		if (++sq->cursor == sq->n_flows)
			sq->cursor = 0;
		s->q.rx_count->kernel_calls++;
		n = kbp_sock_recvmmsg(flow->fd, sq->s.rx->msg, max, MSG_DONTWAIT, NULL);
		if (n > 0)
			sq->cur = flow;
	}
	if (n <= 0)
		return 0;
	sq->used = (unsigned)n;
	if (sq->cur->filter)
		rx_filter(sq, n);
	if (sq->special & SPECIAL_BUSY_POLL)
		rx_try_busy_poll(sq, sq->cur->fd);
	return n;
}

/* Of the frames just received: until it is proven that there are stamps. */
static __attribute__((noinline)) void rx_prove(struct sock_queue *sq, unsigned n)
{
	const struct kbp_rx rx = { &sq->s.q, KBP_SOCKET };

	for (unsigned i = 0; i < n; i++) {
		struct kbp_frame f = { .token = (uintptr_t)kbp_sock_payload(&sq->s.rx->msg[i]) };
		struct kbp_stamp s = kbp_sock_frame_ts(rx, &f);

		if (s.flags & KBP_FRAME_TS)
			kbp_stamp_prove(&sq->proof,
					sq->s.ts_which == 2 ? KBP_EPOCH_PHC : KBP_EPOCH_UTC, s.ns);
	}
}

int kbp_sock_rx_next(struct kbp_sock_queue *s, unsigned max)
{
	struct sock_queue *sq = sock_queue(&s->q);
	int n;

	if (max > KBP_SOCK_BATCH)
		max = KBP_SOCK_BATCH;
	if (sq->special & SPECIAL_AT_BOUND) {
		s->q.rx_count->hold_limited++;
		return 0;
	}
	if (sq->special & SPECIAL_STASH) {
		unsigned waiting = (unsigned)(sq->end - sq->next);

		s->first = sq->next;
		if (max < waiting) {
			sq->next += max;
			return (int)max;
		}
		sq->next = sq->end;
		sock_special(sq, 0, SPECIAL_STASH);
		return (int)waiting;
	}
	n = rx_receive(sq, max);
	if (!n)
		return 0;
	s->first = sq->s.rx->msg;
	sq->next = sq->end = sq->s.rx->msg + n;
	if (s->q.flags & KBP_QUEUE_RX_STAMPS && sq->proof.proof != KBP_PROVEN)
		rx_prove(sq, (unsigned)n);
	return n;
}

/* Messages from `next` up to the end of the burst, or of the stash it was part of, wait for the
 * next poll. */
static void rx_stash(struct sock_queue *sq, struct kbp_sock_msg *next, struct kbp_sock_msg *end)
{
	if (!(sq->special & SPECIAL_STASH))
		sq->end = end;
	sq->next = next;
	if (next != sq->end)
		sock_special(sq, SPECIAL_STASH, 0);
}

bool kbp_sock_rx_verdict(struct kbp_sock_queue *s, struct kbp_sock_msg *m, struct kbp_sock_msg *end,
			 unsigned verdict)
{
	struct kbp_sock_slot *slot = kbp_sock_slot_of((uintptr_t)kbp_sock_payload(m));
	struct sock_queue *sq = sock_queue(&s->q);

	if (verdict & KBP_KEEP) {
		s->q.held++;
		if (slot->state == KBP_SOCK_RETURNED)
			slot->state = KBP_SOCK_IDLE;
		else
			rx_swap(sq, m);
		rx_bound(sq);
		if ((sq->special & SPECIAL_AT_BOUND) && m + 1 != end)
			s->q.rx_count->hold_limited++;
	}
	if (!(verdict & KBP_STOP) && !(sq->special & SPECIAL_AT_BOUND))
		return false;
	/* the fast path leaves `used` alone: what is put aside needs it */
	if (sq->used < (unsigned)(end - sq->s.rx->msg))
		sq->used = (unsigned)(end - sq->s.rx->msg);
	rx_stash(sq, m + 1, end);
	return true;
}

void kbp_sock_rx_skip(struct kbp_sock_queue *s, struct kbp_sock_msg *m)
{
	if (m->hdr.msg_flags & KBP_SOCK_FILTERED)
		sock_queue(&s->q)->filtered++;
	else
		s->q.rx_count->truncated++;
	m->hdr.msg_namelen = sizeof(struct sockaddr_in6);
}

uint32_t kbp_sock_ts_decide(struct kbp_sock_queue *s, const struct timespec ts[3])
{
	s->ts_which = ts[2].tv_sec || ts[2].tv_nsec ? 2 : 0;
	return s->ts_which;
}

/* ---------------------------------------------------------------- receive: array form */

unsigned sock_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct sock_queue *sq = sock_queue(q);
	const struct kbp_rx rx = { q, KBP_SOCKET };
	unsigned room = q->hold_max - q->held, got = 0;
	int n;

	q->rx_count->polls++;
	n = kbp_sock_rx_next(&sq->s, max > room && room ? room : max);
	for (int i = 0; i < n; i++) {
		struct kbp_sock_msg *m = sq->s.first + i;
		struct kbp_frame *at = &f[got];
		struct kbp_sock_slot *slot;

		if (KBP_UNLIKELY(m->hdr.msg_flags & (MSG_TRUNC | KBP_SOCK_FILTERED))) {
			kbp_sock_rx_skip(&sq->s, m);
			continue;
		}
		m->hdr.msg_namelen = sizeof(struct sockaddr_in6);
		at->data = kbp_sock_payload(m);
		at->token = (uintptr_t)at->data;
		at->len = m->len;
		at->flags = 0;
		at->ts_frac = 0;
		at->ts_ns = 0;
		slot = kbp_sock_slot_of(at->token);
		slot->state = KBP_SOCK_LENT;
		if (q->flags & KBP_QUEUE_RX_STAMPS) {
			struct kbp_stamp stamp = kbp_sock_frame_ts(rx, at);

			at->ts_ns = stamp.ns;
			at->flags = stamp.flags;
		}
		got++;
	}
	if (!got)
		return 0;
	sock_special(sq, SPECIAL_LENDING, 0);
	q->held += got;
	q->rx_count->frames += got;
	rx_bound(sq);
	if (got == room && room < max)
		q->rx_count->hold_limited++;
	return got;
}

void sock_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct sock_queue *sq = sock_queue(q);

	for (unsigned i = 0; i < n; i++) {
		struct kbp_sock_slot *slot = kbp_sock_slot_of(f[i].token);

		if (!slot->msg)
			sq->rx_free[sq->n_rx_free++] = slot;
		else if (slot->state == KBP_SOCK_LENT)
			slot->state = KBP_SOCK_IDLE;
		else
			slot->state = KBP_SOCK_RETURNED;
	}
	q->held -= n;
	rx_bound(sq);
}

void sock_rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct sock_queue *sq = sock_queue(q);
	struct kbp_sock_msg *m = sq->next;

	(void)f;
	q->held -= n;
	q->rx_count->frames -= n;
	while (n) {
		m--;
		if (m->hdr.msg_flags & (MSG_TRUNC | KBP_SOCK_FILTERED)) {
			/* counted when it was passed over: not again on the second pass */
			if (m->hdr.msg_flags & KBP_SOCK_FILTERED)
				sq->filtered--;
			else
				q->rx_count->truncated--;
			continue;
		}
		kbp_sock_slot_of((uintptr_t)kbp_sock_payload(m))->state = KBP_SOCK_IDLE;
		n--;
	}
	rx_stash(sq, m, sq->next);
	rx_bound(sq);
}

/* ---------------------------------------------------------------- send: completions */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int sock_tx_stamps(int fd)
{
	int off = 0;
	int on = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		 SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;

	/* the counter restarts when OPT_ID is newly set (net/core/sock.c, sock_set_timestamping) */
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &off, sizeof(off)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &on, sizeof(on)))
		return -errno;
	return 0;
}

/* The kernel took these messages, or refused the one with `error`. Slots are never more than the
 * ring has room for, so the ring is never full. */
static void tx_account(struct sock_queue *sq, struct sock_tx *tx, const struct kbp_sock_msg *m,
		       unsigned n, uint32_t error)
{
	struct kbp_queue *q = &sq->s.q;
	bool stamps = (q->flags & KBP_QUEUE_TX_STAMPS) && !error && !tx->resync;
	uint64_t give_up = stamps ? now_ns() + STAMP_WAIT_NS : 0;

	q->tx_count->frames += n;
	if (error) {
		q->tx_count->errors += n;
		tx->resync = q->flags & KBP_QUEUE_TX_STAMPS;
	}
	if (!(q->flags & KBP_QUEUE_COMPLETIONS))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct sock_completion *c = &sq->done[sq->done_tail++ & sq->done_mask];

		*c = (struct sock_completion){
			.token = (uintptr_t)m[i].hdr.msg_iov->iov_base,
			.error = error,
		};
		if (stamps) {
			c->tx = tx;
			c->id = tx->next_id++;
			c->give_up_ns = give_up;
			tx->awaiting++;
		}
	}
	if (sq->done_tail - sq->done_head > q->tx_count->in_flight_max)
		q->tx_count->in_flight_max = sq->done_tail - sq->done_head;
}

void sock_tx_forget(struct sock_queue *sq, struct sock_tx *tx)
{
	for (uint32_t i = sq->done_head; i != sq->done_tail; i++)
		if (sq->done[i & sq->done_mask].tx == tx)
			sq->done[i & sq->done_mask].tx = NULL;
	tx->awaiting = 0;
}

static void tx_stamped(struct sock_queue *sq, struct sock_tx *tx, uint32_t id,
		       const struct timespec *ts)
{
	for (uint32_t i = sq->done_head; i != sq->done_tail; i++) {
		struct sock_completion *c = &sq->done[i & sq->done_mask];

		if (c->tx != tx || c->id != id)
			continue;
		c->ts_ns = (uint64_t)ts->tv_sec * NS_PER_S + (uint64_t)ts->tv_nsec;
		kbp_stamp_prove(&sq->tx_proof, KBP_EPOCH_UTC, c->ts_ns);
		c->tx = NULL;
		tx->awaiting--;
		return;
	}
}

static void tx_read_stamp(struct sock_queue *sq, struct sock_tx *tx, struct msghdr *hdr)
{
	const struct sock_extended_err *ee = NULL;
	const struct timespec *ts = NULL;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
			ts = (const void *)CMSG_DATA(c);
		else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			 (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			ee = (const void *)CMSG_DATA(c);
	}
	if (ts && ee && ee->ee_origin == SO_EE_ORIGIN_TIMESTAMPING && ee->ee_info == SCM_TSTAMP_SND)
		tx_stamped(sq, tx, ee->ee_data, ts);
}

/* Stamps of sent datagrams come back on the error queue
 * (Documentation/networking/timestamping.rst). */
static void tx_collect(struct sock_queue *sq, struct sock_tx *tx)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[STAMP_CONTROL];
	} control[STAMP_BATCH];
	struct kbp_sock_msg msg[STAMP_BATCH];
	int n;

	do {
		memset(msg, 0, sizeof(msg));
		for (unsigned i = 0; i < STAMP_BATCH; i++) {
			/* cppcheck-suppress legacyUninitvar ; the kernel fills it in */
			msg[i].hdr.msg_control = control[i].bytes;
			msg[i].hdr.msg_controllen = sizeof(control[i].bytes);
		}
		sq->s.q.tx_count->kernel_calls++;
		n = kbp_sock_recvmmsg(tx->hot.fd, msg, STAMP_BATCH, MSG_ERRQUEUE | MSG_DONTWAIT,
				      NULL);
		for (int i = 0; i < n; i++)
			tx_read_stamp(sq, tx, &msg[i].hdr);
	} while (n == (int)STAMP_BATCH);
}

/* Ids are known again: count from 0 on. What the error queue still has belongs to frames given
 * up. */
static void tx_resync(struct sock_queue *sq, struct sock_tx *tx)
{
	tx_collect(sq, tx);
	if (sock_tx_stamps(tx->hot.fd))
		return;
	tx->next_id = 0;
	tx->resync = false;
}

unsigned sock_tx_reap(struct kbp_queue *q, struct kbp_completion *out, unsigned max)
{
	struct sock_queue *sq = sock_queue(q);
	unsigned n = 0;
	uint64_t now = 0;

	for (struct sock_tx *tx = sq->txs; tx; tx = tx->next)
		if (tx->awaiting)
			tx_collect(sq, tx);
	while (n < max && sq->done_head != sq->done_tail) {
		struct sock_completion *c = &sq->done[sq->done_head & sq->done_mask];

		if (c->tx) {
			if (!now)
				now = now_ns();
			if (now < c->give_up_ns)
				break;
			c->tx->awaiting--;
		}
		out[n++] = (struct kbp_completion){
			.token = c->token,
			.ts_ns = c->ts_ns,
			.flags = c->ts_ns ? kbp_stamp_flags(q, c->ts_ns) : 0,
			.error = c->error,
		};
		sq->tx_free[sq->n_tx_free++] = (void *)(uintptr_t)c->token;
		sq->done_head++;
	}
	q->tx_count->completions += n;
	return n;
}

/* ---------------------------------------------------------------- send */

static bool tx_no_room(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* Send n messages; returns how many are accepted. A message that fails twice for a reason of its
 * own is accepted and counted as refused, so that it does not block those behind it. */
static unsigned tx_send(struct sock_queue *sq, struct sock_tx *tx, struct kbp_sock_msg *m, unsigned n)
{
	struct kbp_hot_tx *count = sq->s.q.tx_count;
	bool retried = false;
	unsigned done = 0;

	if (tx->resync && !tx->awaiting)
		tx_resync(sq, tx);
	while (done < n) {
		int rc = kbp_sock_sendmmsg(tx->hot.fd, m + done, n - done, MSG_DONTWAIT);

		count->kernel_calls++;
		if (rc > 0) {
			tx_account(sq, tx, m + done, (unsigned)rc, 0);
			done += (unsigned)rc;
			retried = false;
		} else if (tx_no_room(errno)) {
			count->ring_full++;
			break;
		} else if (!retried) {
			retried = true;
		} else {
			tx_account(sq, tx, m + done, 1, (uint32_t)errno);
			done++;
			retried = false;
		}
	}
	return done;
}

unsigned kbp_sock_tx_prepare(struct kbp_txflow *t, unsigned max)
{
	struct sock_queue *sq = sock_queue(t->q);

	if (max > KBP_SOCK_BATCH)
		max = KBP_SOCK_BATCH;
	for (unsigned i = 0; i < max; i++) {
		if (sq->tx->iov[i].iov_base)
			continue;
		if (!sq->n_tx_free) {
			t->q->tx_count->ring_full++;
			return i;
		}
		sq->tx->iov[i].iov_base = sq->tx_free[--sq->n_tx_free];
	}
	return max;
}

unsigned kbp_sock_tx_finish(struct kbp_txflow *t, unsigned n, unsigned sent)
{
	struct sock_queue *sq = sock_queue(t->q);
	struct sock_tx *tx = t->priv;

	if (sent)
		tx_account(sq, tx, sq->tx->msg, sent, 0);
	sent += tx_send(sq, tx, sq->tx->msg + sent, n - sent);
	if (t->q->flags & KBP_QUEUE_COMPLETIONS) /* these slots come back with their completions */
		for (unsigned i = 0; i < sent; i++)
			sq->tx->iov[i].iov_base = NULL;
	return sent;
}

unsigned sock_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct sock_queue *sq = sock_queue(t->q);

	if (n > sq->n_tx_free) {
		t->q->tx_count->ring_full++;
		n = sq->n_tx_free;
	}
	for (unsigned i = 0; i < n; i++) {
		f[i].data = sq->tx_free[--sq->n_tx_free];
		f[i].token = (uintptr_t)f[i].data;
		f[i].len = t->room;
		f[i].flags = KBP_FRAME_TX;
		f[i].ts_frac = 0;
		f[i].txflow = t;
	}
	kbp_cold(t->q)->reserved += n;
	return n;
}

void sock_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct sock_queue *sq = sock_queue(q);

	for (unsigned i = 0; i < n; i++)
		sq->tx_free[sq->n_tx_free++] = (void *)(uintptr_t)f[i].token;
	kbp_cold(q)->reserved -= n;
}

/* Messages for the frames from f[0] on that go the same way and are sound; at most a batch. */
static unsigned tx_run(struct sock_queue *sq, const struct kbp_frame *f, unsigned n)
{
	unsigned run = 0;

	while (run < n && run < KBP_SOCK_BATCH && (f[run].flags & KBP_FRAME_TX) &&
	       f[run].txflow == f[0].txflow && f[run].len <= f[0].txflow->room) {
		sq->submit->iov[run].iov_base = (void *)(uintptr_t)f[run].token;
		sq->submit->iov[run].iov_len = f[run].len;
		run++;
	}
	return run;
}

unsigned sock_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct sock_queue *sq = sock_queue(q);
	unsigned done = 0;

	while (done < n) {
		unsigned run = tx_run(sq, f + done, n - done), sent;

		/* a received frame, or a length beyond the slot: neither can be sent here */
		if (!run)
			break;
		sent = tx_send(sq, f[done].txflow->priv, sq->submit->msg, run);
		if (!(q->flags & KBP_QUEUE_COMPLETIONS))
			for (unsigned i = 0; i < sent; i++)
				sq->tx_free[sq->n_tx_free++] = sq->submit->iov[i].iov_base;
		done += sent;
		if (sent < run)
			break;
	}
	kbp_cold(q)->reserved -= done;
	return done;
}
