/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp_setup.c - the cold half of af_xdp: open and close ports and queues, modes, counters,
 * templates.
 *
 * Order of opening a queue, each step for a reason on record: attach the program first (drivers
 * restart their rings then), wait for the carrier, fill the fill ring BEFORE bind (on igb zero-copy
 * a late fill receives nothing and says nothing), bind, and only then put the socket into the
 * program's map.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include "af_xdp.h"

#define CARRIER_WAIT_MS 10000 /* igb and ixgbe bounce the link for seconds when XDP is attached */
#define BUSY_WAIT_MS 1000     /* a queue is released up to 40 ms after its owner has gone */
#define CHECK_MS 250	      /* a replaced XDP program sends no link event: looked at this often */
#define XDP_HEADROOM 256u     /* XDP_PACKET_HEADROOM, include/uapi/linux/bpf.h */

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static uint32_t pow2_at_least(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

/* Bytes of a received frame that fit one buffer. */
static uint32_t frame_room(uint32_t chunk)
{
	return chunk - XDP_HEADROOM;
}

/* Largest Ethernet frame of an MTU, with two tags. */
static uint32_t frame_max(uint32_t mtu)
{
	return mtu + 14 + 8;
}

uint32_t kbp_axdp_chunk(uint32_t mtu, uint32_t wanted)
{
	if (wanted)
		return wanted;
	return frame_max(mtu) <= frame_room(2048) ? 2048 : 4096;
}

/* ---------------------------------------------------------------- port */

static int port_open(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_axdp_port *a;
	int rc;

	if (p->opts.frame_bytes && p->opts.frame_bytes != 2048 && p->opts.frame_bytes != 4096)
		return kbp_fail(err, -EINVAL, "open an af_xdp port",
				"frame_bytes is %u: the kernel takes 2048 or 4096",
				p->opts.frame_bytes);
	if (p->info.requested > KBP_MODE_GENERIC)
		return kbp_fail(err, -EINVAL, "open an af_xdp port",
				"mode is none of auto, zero-copy, copy and generic");
	a = calloc(1, sizeof(*a));
	if (!a)
		return kbp_fail(err, -ENOMEM, "open an af_xdp port", "out of memory");
	a->link_fd = -1;
	p->priv = a;
	rc = kbp_axdp_program_load(p, err);
	if (rc) {
		free(a);
		return rc;
	}
	p->info.achieved = p->info.requested;
	p->info.proof = KBP_PROOF_NONE;
	return 0;
}

static void port_close(struct kbp_port *p)
{
	kbp_axdp_program_unload(p);
	free(p->priv);
}

static unsigned port_channels(const struct kbp_port *p)
{
	return p->info.rx_channels;
}

static void port_check(struct kbp_port *p)
{
	struct kbp_link link;

	/* a removed interface loses its program too; the link event says that better */
	if (!kbp_axdp_program_lost(p) || kbp_link_read(p->info.interface, &link, NULL))
		return;
	for (struct kbp_queue_cold *c = p->queues; c; c = c->next)
		if (c->q->flags & KBP_QUEUE_RX && kbp_queue_state(c->q) < KBP_QUEUE_GONE) {
			kbp_queue_set_state(c->q, KBP_QUEUE_REPLACED);
			kbp_log(KBP_LOG_WARN, "%s channel %u: somebody took the XDP program away",
				p->info.interface, c->opts.channel);
		}
}

static int wait_carrier(struct kbp_port *p, bool was_running, struct kbp_error *err)
{
	struct kbp_link link;

	for (int ms = 0; was_running; ms += 10) {
		if (kbp_link_read(p->info.interface, &link, err))
			return -ENODEV;
		if (link.running)
			break;
		if (ms >= CARRIER_WAIT_MS)
			return kbp_failf(err, -ENETDOWN,
					 "the link was up before XDP was attached and has not come back in "
					 "10 s: look at the cable, the switch port and dmesg",
					 "wait for the carrier of %s", p->info.interface);
		sleep_ms(10);
	}
	return 0;
}

/* ---------------------------------------------------------------- queue: memory and rings */

static void note(struct kbp_axdp_full *full, const char *fmt, ...) KBP_PRINTF(2, 3);

/* Adds to what was asked for and not got. */
static void note(struct kbp_axdp_full *full, const char *fmt, ...)
{
	size_t n = strlen(full->note);
	va_list args;

	if (n && n < sizeof(full->note) - 2)
		n += (size_t)snprintf(full->note + n, sizeof(full->note) - n, "; ");
	va_start(args, fmt);
	if (n < sizeof(full->note))
		vsnprintf(full->note + n, sizeof(full->note) - n, fmt, args);
	va_end(args);
}

/* Stamps of one direction that were asked for cannot be had: refused, or noted and taken out of the options. */
static int stamps_lacking(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_axdp_full *full,
			  uint32_t which, const char *why, struct kbp_error *err)
{
	const char *dir = which == KBP_QUEUE_TX_STAMPS ? "TX" : "RX";

	if (p->opts.flags & KBP_PORT_STRICT)
		return kbp_failf(err, -EOPNOTSUPP, why, "open an af_xdp queue on %s with %s stamps",
				 p->info.interface, dir);
	note(full, "no %s stamps: %s", dir, why);
	c->opts.flags &= ~which;
	return 0;
}

/* Why memory or rings could not be had. */
static int memory_failed(struct kbp_port *p, const struct kbp_axdp_full *full, int rc,
			 struct kbp_error *err)
{
	return kbp_failf(err, rc,
			 rc == -EPERM ?
				 "needs CAP_NET_RAW, and CAP_IPC_LOCK or a larger RLIMIT_MEMLOCK "
				 "(ulimit -l): run as root" :
				 "the kernel refused the memory: is CONFIG_XDP_SOCKETS on?",
			 "register %zu bytes of packet memory for %s", full->mem.bytes,
			 p->info.interface);
}

/* Every buffer to its place: in the fill ring, or on the stack of free TX buffers. */
static int buffers_make(struct kbp_axdp_full *full, uint32_t n_rx, struct kbp_error *err)
{
	struct kbp_axdp_queue *x = &full->x;

	x->returned = calloc(n_rx + 1u, sizeof(*x->returned));
	x->tx_free = calloc(x->n_tx + 1u, sizeof(*x->tx_free));
	if (!x->returned || !x->tx_free)
		return kbp_fail(err, -ENOMEM, "open an af_xdp queue", "out of memory");
	for (uint32_t i = 0; i < n_rx; i++)
		((uint64_t *)x->fill.slots)[x->fill.idx++ & x->fill.mask] = (uint64_t)i * x->chunk;
	__atomic_store_n(x->fill.prod, x->fill.idx, __ATOMIC_RELEASE);
	x->tx_top = x->tx_free;
	for (uint32_t i = 0; i < x->n_tx; i++)
		*x->tx_top++ = x->rx_bytes + (uint64_t)i * x->chunk + full->tx_head;
	return 0;
}

static int umem_make(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_axdp_full *full,
		     struct kbp_error *err)
{
	struct kbp_axdp_queue *x = &full->x;
	bool rx = c->opts.flags & KBP_QUEUE_RX, tx = c->opts.flags & KBP_QUEUE_TX;
	uint32_t n_rx = rx ? c->opts.rx_ring + c->opts.hold_max : 0;
	uint32_t n_tpl = tx ? KBP_AXDP_TEMPLATES : 0;
	uint32_t meta = c->opts.flags & KBP_QUEUE_TX_STAMPS ? sizeof(struct kbp_axdp_tx_meta) : 0;
	struct kbp_axdp_sizes sizes = {
		.fill = pow2_at_least(n_rx ? n_rx : 2),
		/* the kernel reserves a comp slot with each TX descriptor, so the TX ring bounds
		 * it */
		.comp = tx ? 2 * c->opts.tx_ring : 2,
		.rx = rx ? c->opts.rx_ring : 0,
		.tx = tx ? c->opts.tx_ring : 0,
	};
	int rc;

	x->chunk = kbp_axdp_chunk(p->info.mtu, p->opts.frame_bytes);
	x->n_tx = sizes.tx;
	x->rx_bytes = (uint64_t)n_rx * x->chunk;
	x->tx_end = x->rx_bytes + (uint64_t)x->n_tx * x->chunk;
	rc = kbp_memory_alloc(&full->mem, x->tx_end + (uint64_t)n_tpl * x->chunk, p->info.numa_node,
			      !(p->opts.flags & KBP_PORT_NO_HUGEPAGES), err);
	if (rc)
		return rc;
	x->umem = full->mem.base;
	rc = kbp_axdp_socket_open(full, &sizes, &meta);
	if (rc)
		return memory_failed(p, full, rc, err);
	if (c->opts.flags & KBP_QUEUE_TX_STAMPS && !meta) {
		rc = stamps_lacking(p, c, full, KBP_QUEUE_TX_STAMPS,
				    "the kernel (6.8 or later) has no metadata of sent frames", err);
		if (rc)
			return rc;
	}
	full->tx_head = meta ? KBP_AXDP_TX_HEAD : 0;
	return buffers_make(full, n_rx, err);
}

/* One attempt to bind in one mode; waits while an earlier owner lets go. */
static int bind_once(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_axdp_full *full,
		     uint16_t flags)
{
	flags |= XDP_USE_NEED_WAKEUP;
	if (c->opts.flags & KBP_QUEUE_MULTI_BUFFER)
		flags |= XDP_USE_SG;
	for (int ms = 0;; ms += 5) {
		int rc = kbp_axdp_socket_bind(full, p->info.ifindex, c->opts.channel, flags);

		if (rc != -EBUSY || ms >= BUSY_WAIT_MS)
			return rc;
		sleep_ms(5);
	}
}

static int bind_failed(struct kbp_port *p, struct kbp_queue_cold *c, int rc, struct kbp_error *err)
{
	const char *hint = "the driver refused; ask for another mode";

	if (rc == -EBUSY)
		hint = "another AF_XDP socket owns this queue: end its owner, or choose another channel";
	else if (rc == -EPERM)
		hint = "needs CAP_NET_RAW: run as root";
	else if (rc == -EINVAL && c->opts.flags & KBP_QUEUE_MULTI_BUFFER)
		hint = "the kernel (6.6 or later) or driver has no multi-buffer support: open without "
		       "KBP_QUEUE_MULTI_BUFFER and lower the MTU";
	else if (rc == -EOPNOTSUPP)
		hint = "the driver has no zero-copy: ask for copy or auto";
	else if (rc == -ENETDOWN)
		hint = "the interface is down: ip link set dev IFACE up";
	return kbp_failf(err, rc, hint, "bind an af_xdp socket to %s channel %u", p->info.interface,
			 c->opts.channel);
}

static int bind_best(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_axdp_full *full,
		     struct kbp_error *err)
{
	struct kbp_axdp_port *a = p->priv;
	enum kbp_mode want = p->info.requested;
	struct xdp_options got = { 0 };
	socklen_t len = sizeof(got);
	int rc = -EOPNOTSUPP;
	bool tried;

	/* generic XDP copies always; zero-copy without a program is fine (TX only) */
	tried = (want == KBP_MODE_AUTO || want == KBP_MODE_ZEROCOPY) && (a->native || a->link_fd < 0);
	if (tried) {
		rc = bind_once(p, c, full, XDP_ZEROCOPY);
		if (rc == -EBUSY)
			return bind_failed(p, c, rc, err);
	}
	if (rc && want == KBP_MODE_ZEROCOPY && p->opts.flags & KBP_PORT_STRICT)
		return bind_failed(p, c, rc, err);
	if (rc) {
		if (tried)
			note(full, "driver %s has no zero-copy (%s)", p->info.driver, strerror(-rc));
		rc = bind_once(p, c, full, XDP_COPY);
	}
	if (rc)
		return bind_failed(p, c, rc, err);
	full->mode = a->native || a->link_fd < 0 ? KBP_MODE_COPY : KBP_MODE_GENERIC;
	if (!getsockopt(full->fd, SOL_XDP, XDP_OPTIONS, &got, &len) &&
	    got.flags & XDP_OPTIONS_ZEROCOPY)
		full->mode = KBP_MODE_ZEROCOPY;
	return 0;
}

/* ---------------------------------------------------------------- queue: open and close */

static void busy_poll_set(struct kbp_axdp_full *full)
{
	int fd = full->fd, one = 1, usecs = 20, budget = 64;
	socklen_t len = sizeof(full->napi_id);

	/* without a NAPI id the options are accepted and do nothing (veth) */
	if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &full->napi_id, &len) || !full->napi_id) {
		note(full, "busy polling would do nothing: the driver has no NAPI id");
		return;
	}
	full->busy_poll_works =
		!setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one)) &&
		!setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &usecs, sizeof(usecs)) &&
		!setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget));
	if (!full->busy_poll_works)
		note(full, "busy polling refused: %s", strerror(errno));
	full->x.busy_poll = full->busy_poll_works;
}

static void queue_free(struct kbp_axdp_full *full)
{
	kbp_axdp_socket_close(full);
	kbp_memory_free(&full->mem);
	free(full->x.returned);
	free(full->x.tx_free);
	free(full);
}

/* A driver may use as many fragments as an sk_buff has (MAX_SKB_FRAGS and the head); copy mode
 * fills buffers. */
static uint32_t chain_max(const struct kbp_port *p, const struct kbp_axdp_queue *x)
{
	uint32_t filled = (frame_max(p->info.mtu) + frame_room(x->chunk) - 1) / frame_room(x->chunk);

	return filled > 18 ? filled : 18;
}

static int queue_check(struct kbp_port *p, const struct kbp_queue_opts *o, struct kbp_error *err)
{
	uint32_t room = frame_room(kbp_axdp_chunk(p->info.mtu, p->opts.frame_bytes));

	if (o->flags & KBP_QUEUE_RX && !(o->flags & KBP_QUEUE_MULTI_BUFFER) &&
	    frame_max(p->info.mtu) > room)
		return kbp_fail(err, -EMSGSIZE, "open an af_xdp queue",
				"MTU %u of %s is too large for buffers of %u bytes: "
				"frames above %u bytes would be dropped; lower the MTU to %u, or open with "
				"KBP_QUEUE_MULTI_BUFFER",
				p->info.mtu, p->info.interface,
				kbp_axdp_chunk(p->info.mtu, p->opts.frame_bytes), room, room - 22);
	return 0;
}

/* The program that this queue's frames go through. */
static int program_ready(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_axdp_full *full,
			 struct kbp_error *err)
{
	const struct kbp_axdp_port *a = p->priv;
	int rc = kbp_axdp_program_attach(p, err);

	if (rc || !(c->opts.flags & KBP_QUEUE_RX_STAMPS))
		return rc;
	kbp_axdp_program_stamp(p);
	if (!a->stamps)
		return stamps_lacking(p, c, full, KBP_QUEUE_RX_STAMPS, a->stamps_less, err);
	if (a->stamps_less[0])
		note(full, "%s", a->stamps_less);
	return 0;
}

static int queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
		      struct kbp_error *err)
{
	struct kbp_axdp_full *full;
	struct kbp_link before;
	int rc = queue_check(p, &c->opts, err);

	if (!rc)
		rc = kbp_link_read(p->info.interface, &before, err);
	if (!rc && before.ifindex != p->info.ifindex)
		rc = kbp_failf(err, -ENODEV,
			       "the interface the port was opened on is gone, another has its name now: "
			       "open a new port",
			       "open an af_xdp queue on %s", p->info.interface);
	if (rc)
		return rc;
	full = aligned_alloc(64, (sizeof(*full) + 63) & ~63ul);
	if (!full)
		return kbp_fail(err, -ENOMEM, "open an af_xdp queue", "out of memory");
	memset(full, 0, sizeof(*full));
	full->fd = -1;
	if (c->opts.flags & KBP_QUEUE_RX) {
		rc = program_ready(p, c, full, err);
		if (!rc)
			rc = wait_carrier(p, before.running, err);
	}
	if (!rc)
		rc = umem_make(p, c, full, err);
	if (!rc)
		rc = bind_best(p, c, full, err);
	if (rc)
		goto fail;
	full->x.fd = (uint32_t)full->fd;
	if (c->opts.flags & KBP_QUEUE_BUSY_POLL)
		busy_poll_set(full);
	if (c->opts.flags & KBP_QUEUE_RX_STAMPS)
		kbp_axdp_stamps_begin(full, p->priv);
	for (int i = 0; i < KBP_XDP_COUNTS; i++)
		full->count_base[i] = kbp_axdp_program_count(p, (enum kbp_xdp_count)i);
	if (c->opts.flags & KBP_QUEUE_RX) {
		rc = kbp_axdp_map_socket(p, c->opts.channel, full->fd);
		if (rc) {
			kbp_failf(err, rc, "the program's socket map refused it",
				  "serve channel %u of %s", c->opts.channel, p->info.interface);
			goto fail;
		}
	}
	p->info.achieved = full->mode;
	p->info.proof = KBP_BOUND;
	if (full->note[0])
		kbp_port_note(p, full->note);
	full->x.q.flags = c->opts.flags;
	full->x.q.chain_max = c->opts.flags & KBP_QUEUE_MULTI_BUFFER ? chain_max(p, &full->x) : 1;
	kbp_axdp_set_calls(&full->x.q);
	*q = &full->x.q;
	return 0;
fail:
	queue_free(full);
	return rc;
}

static void queue_close(struct kbp_queue *q)
{
	if (q->flags & KBP_QUEUE_RX)
		kbp_axdp_map_socket(q->port, kbp_cold(q)->opts.channel, -1);
	queue_free(kbp_axdp_full(q));
}

static unsigned queue_drain(struct kbp_queue *q)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);
	uint32_t done;

	if (!(q->flags & KBP_QUEUE_TX))
		return 0;
	kbp_axdp_kick_rest(x);
	done = __atomic_load_n(x->comp.prod, __ATOMIC_ACQUIRE) - x->comp.idx;
	if (done)
		kbp_axdp_collect(x, done);
	return x->tx.idx - x->comp.idx;
}

/* Of the pool's buffers those neither free nor in flight. */
static unsigned queue_reserved(const struct kbp_queue *q)
{
	const struct kbp_axdp_queue *x = &kbp_axdp_full(q)->x;

	return x->n_tx - kbp_axdp_tx_buffers_free(x) - (x->tx.idx - x->comp.idx - x->n_strange);
}

/* ---------------------------------------------------------------- queue: facts */

static void queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	const struct kbp_axdp_full *full = kbp_axdp_full(q);
	uint32_t room = full->x.chunk - KBP_HDR_ROOM - full->tx_head;

	info->l2 = true;
	info->hugepages = full->mem.hugepages;
	info->numa_node = full->mem.node;
	info->mode = full->mode;
	info->proof = q->rx_count->frames ? KBP_PROVEN : KBP_BOUND;
	info->payload_max = q->port->info.mtu - 28u;
	if (room < info->payload_max)
		info->payload_max = room;
	info->napi_id = full->napi_id;
	info->busy_poll = q->flags & KBP_QUEUE_BUSY_POLL ?
				  (full->busy_poll_works ? KBP_YES : KBP_NO) :
				  KBP_UNKNOWN;
	info->accelerated = KBP_NO;
	snprintf(info->note, sizeof(info->note), "%s", full->note);
	kbp_axdp_stamps_info(full, info);
}

static int queue_fd(const struct kbp_queue *q)
{
	return (int)kbp_axdp((struct kbp_queue *)(uintptr_t)q)->fd;
}

static bool queue_pending(struct kbp_queue *q)
{
	struct kbp_axdp_queue *x = kbp_axdp(q);

	return q->flags & KBP_QUEUE_RX && __atomic_load_n(x->rx.prod, __ATOMIC_ACQUIRE) != x->rx.idx;
}

static uint64_t program_count(const struct kbp_queue *q, enum kbp_xdp_count which)
{
	return kbp_axdp_program_count(q->port, which) - kbp_axdp_full(q)->count_base[which];
}

static void queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	struct xdp_statistics s = { 0 };
	socklen_t len = sizeof(s);

	/* rx_dropped: no buffer in the fill ring, or frame too large; rx_ring_full: no slot in the
	 * RX ring. The empty fill ring is counted a second time as the cause, and by driver polls
	 * without any packet. */
	getsockopt((int)kbp_axdp_full(q)->x.fd, SOL_XDP, XDP_STATISTICS, &s, &len);
	kbp_count_add(l, "xdp_rx_dropped", s.rx_dropped, KBP_COUNT_DROP, false);
	kbp_count_add(l, "xdp_rx_ring_full", s.rx_ring_full, KBP_COUNT_DROP, false);
	kbp_count_add(l, "xdp_fill_ring_empty", s.rx_fill_ring_empty_descs, KBP_COUNT_CAUSE, false);
	kbp_count_add(l, "xdp_rx_invalid_descs", s.rx_invalid_descs, KBP_COUNT_CAUSE, false);
	kbp_count_add(l, "xdp_tx_invalid_descs", s.tx_invalid_descs, KBP_COUNT_TX_DROP, false);
	kbp_count_add(l, "xdp_tx_ring_empty", s.tx_ring_empty_descs, KBP_COUNT_INFO, false);
	kbp_count_add(l, "flow_matched", program_count(q, KBP_XDP_MATCHED), KBP_COUNT_INFO, true);
	kbp_count_add(l, "flow_on_unserved_queue", program_count(q, KBP_XDP_UNSERVED),
		      KBP_COUNT_DROP, true);
	kbp_count_add(l, "fragments_to_kernel", program_count(q, KBP_XDP_FRAGMENTS), KBP_COUNT_INFO,
		      true);
}

/* ---------------------------------------------------------------- transmit, cold */

static int txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	const struct kbp_axdp_queue *x = kbp_axdp(t->q);
	uint32_t room = x->chunk - t->hdr_len - kbp_axdp_full(t->q)->tx_head;

	(void)flow;
	(void)err;
	if (!t->room || t->room > room)
		t->room = room;
	return 0;
}

static uint32_t template_slot(const struct kbp_template *tpl)
{
	const struct kbp_axdp_queue *x = kbp_axdp(tpl->t->q);

	return (uint32_t)((tpl->token - x->tx_end) / x->chunk);
}

static bool template_busy(struct kbp_template *tpl)
{
	struct kbp_axdp_full *full = kbp_axdp_full(tpl->t->q);
	const bool *busy = &full->tpl_busy[template_slot(tpl)];

	if (*busy) {
		kbp_axdp_kick_rest(&full->x);
		kbp_axdp_complete(&full->x);
	}
	return *busy;
}

static int template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	struct kbp_axdp_full *full = kbp_axdp_full(tpl->t->q);
	uint32_t i;

	kbp_axdp_complete(&full->x);
	for (i = 0; i < KBP_AXDP_TEMPLATES; i++)
		if (!full->tpl_open[i] && !full->tpl_busy[i])
			break;
	if (i == KBP_AXDP_TEMPLATES)
		return kbp_fail(err, -ENOMEM, "open a template",
				"a queue has %u templates, and all are open or in flight",
				KBP_AXDP_TEMPLATES);
	full->tpl_open[i] = true;
	tpl->token = full->x.tx_end + (uint64_t)i * full->x.chunk + full->tx_head;
	tpl->payload = full->x.umem + tpl->token + tpl->t->hdr_len;
	return 0;
}

static unsigned template_send(struct kbp_template *tpl)
{
	struct kbp_axdp_queue *x = kbp_axdp(tpl->t->q);
	struct xdp_desc *d;

	if (!kbp_axdp_tx_room(x, 1)) {
		kbp_axdp_kick(x);
		return 0;
	}
	d = &((struct xdp_desc *)x->tx.slots)[x->tx.idx & x->tx.mask];
	d->addr = tpl->token;
	d->len = tpl->len + tpl->t->hdr_len;
	d->options = x->q.flags & KBP_QUEUE_TX_STAMPS ? kbp_axdp_tx_ask(x, d->addr, true) : 0;
	kbp_axdp_full(&x->q)->tpl_busy[template_slot(tpl)] = true;
	x->n_strange++;
	kbp_axdp_tx_publish(x, x->tx.idx + 1, 1);
	return 1;
}

static void template_close(struct kbp_template *tpl)
{
	kbp_axdp_full(tpl->t->q)->tpl_open[template_slot(tpl)] = false;
}

const struct kbp_backend kbp_backend_af_xdp = {
	.name = "af_xdp",
	.kind = KBP_AF_XDP,
	.l2 = true,
	.port_open = port_open,
	.port_close = port_close,
	.port_channels = port_channels,
	.port_check = port_check,
	.tick_ms = CHECK_MS,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.queue_drain = queue_drain,
	.queue_reserved = queue_reserved,
	.queue_info = queue_info,
	.queue_fd = queue_fd,
	.queue_pending = queue_pending,
	.queue_sync = kbp_axdp_stamps_sync,
	.queue_counters = queue_counters,
	.flow_add = kbp_axdp_flow_add,
	.flow_del = kbp_axdp_flow_del,
	.txflow_open = txflow_open,
	.template_open = template_open,
	.template_busy = template_busy,
	.template_send = template_send,
	.template_close = template_close,
};
