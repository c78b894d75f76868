/* SPDX-License-Identifier: BSD-2-Clause */
/* socket_setup.c - the cold half of the socket backend: one socket per flow, one per txflow. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>

#include "socket.h"

#define TX_ROOM_MAX 9216u /* default slot where the MTU is larger (loopback): jumbo frames fit */
#define UDP4_MAX 65507u	  /* 65535 less the IPv4 and UDP headers */
#define UDP6_MAX 65527u	  /* 65535 less the UDP header */
#define DRAIN_MAX \
	(1u << 20) /* datagrams looked at when a flow goes: bounds what a flood can make us do */
#define SLOT_ALIGN 64u
#define STAMP_START_MS 50 /* the work item is run within a scheduler tick or two */

/* ---------------------------------------------------------------- port */

static int port_open(struct kbp_port *p, struct kbp_error *err)
{
	(void)err;
	p->info.achieved = KBP_MODE_KERNEL;
	p->info.proof = KBP_BOUND;
	return 0;
}

static void port_close(struct kbp_port *p)
{
	(void)p;
}

/* A socket receives whatever channel a frame came in by. */
static unsigned port_channels(const struct kbp_port *p)
{
	(void)p;
	return 1;
}

/* Onload takes socket calls over by LD_PRELOAD and exports onload_is_present
 * (onload/extensions.h). */
static enum kbp_tristate onload_underneath(void)
{
	int (*present)(void);
	void *sym = dlsym(RTLD_DEFAULT, "onload_is_present");
	char line[512];
	bool mapped = false;
	FILE *maps;

	if (sym) {
		memcpy(&present, &sym, sizeof(present));
		return present() ? KBP_YES : KBP_NO;
	}
	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return KBP_UNKNOWN;
	while (!mapped && fgets(line, sizeof(line), maps))
		mapped = strstr(line, "/libonload.so");
	fclose(maps);
	return mapped ? KBP_YES : KBP_NO;
}

/* ---------------------------------------------------------------- queue */

/* Bytes of a slot: whole cache lines, an odd number of them, so that the heads of slots do not all
 * fall into the same few sets of the cache. */
static size_t slot_stride(size_t bytes)
{
	size_t lines = (bytes + SLOT_ALIGN - 1) / SLOT_ALIGN;

	return (lines | 1) * SLOT_ALIGN;
}

static struct kbp_sock_burst *burst_new(void)
{
	struct kbp_sock_burst *b = calloc(1, sizeof(*b));

	for (unsigned i = 0; b && i < KBP_SOCK_BATCH; i++) {
		b->msg[i].hdr.msg_iov = &b->iov[i];
		b->msg[i].hdr.msg_iovlen = 1;
	}
	return b;
}

static int memory_for(struct kbp_port *p, struct kbp_memory *m, size_t bytes, struct kbp_error *err)
{
	return kbp_memory_alloc(m, bytes, p->info.numa_node,
				!(p->opts.flags & KBP_PORT_NO_HUGEPAGES), err);
}

/* What the kernel grants. It doubles what it is asked for, to account for its own bookkeeping
 * (socket(7)). */
static uint32_t rcvbuf_set(int fd, uint32_t want)
{
	int bytes = want > INT32_MAX / 2 ? INT32_MAX / 2 : (int)want, got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len);
	return got > 0 ? (uint32_t)got : 0;
}

/* Before the first flow: what a socket here is granted. */
static int rcvbuf_probe(struct kbp_port *p, struct sock_queue *sq, uint32_t want,
			struct kbp_error *err)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return kbp_failf(err, -errno, strerror(errno), "open a socket on %s",
				 p->info.interface);
	sq->rcvbuf_bytes = rcvbuf_set(fd, want);
	close(fd);
	if (sq->rcvbuf_bytes / 2 >= want)
		return 0;
	snprintf(sq->note, sizeof(sq->note),
		 "receive buffer: asked for %u bytes, granted %u: raise "
		 "net.core.rmem_max or run with CAP_NET_ADMIN. ",
		 want, sq->rcvbuf_bytes / 2);
	if (p->opts.flags & KBP_PORT_STRICT)
		return kbp_failf(err, -EOPNOTSUPP, sq->note,
				 "open a socket queue on %s with KBP_PORT_STRICT", p->info.interface);
	kbp_log(KBP_LOG_WARN, "%s: %s", p->info.interface, sq->note);
	return 0;
}

/* One datagram over loopback. 1: it was stamped; 0: not; -1: there is no loopback here to try it
 * on. */
static int stamp_probe(int fd)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[KBP_SOCK_CONTROL];
	} control;
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };

	if (send(fd, &byte, 1, MSG_DONTWAIT) != 1 || recvmsg(fd, &msg, MSG_DONTWAIT) != 1)
		return -1;
	return CMSG_FIRSTHDR(&msg) ? 1 : 0;
}

/* The first socket that wants stamps makes the kernel switch stamping on in a work item, some time
 * later (net/core/dev.c, net_enable_timestamp). A socket of the queue's own waits for that now and
 * keeps it on, so that no frame of a flow goes without. */
static int stamps_start(struct sock_queue *sq, struct kbp_error *err)
{
	struct sockaddr_in lo = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timespec ms = { .tv_nsec = 1000000 };
	socklen_t len = sizeof(lo);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sq->stamp_fd = fd;
	if (fd < 0 || sock_set_int(fd, SOL_SOCKET, SO_TIMESTAMPING,
				   SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE))
		return kbp_fail(err, -errno, "switch receive stamps on", "%s", strerror(errno));
	if (!bind(fd, (struct sockaddr *)&lo, sizeof(lo)) &&
	    !getsockname(fd, (struct sockaddr *)&lo, &len) &&
	    !connect(fd, (struct sockaddr *)&lo, len))
		sock_set_int(fd, SOL_SOCKET, SO_RCVBUF, 0);
	for (int i = 0; i < STAMP_START_MS && stamp_probe(fd) != 1; i++)
		nanosleep(&ms, NULL);
	return 0;
}

static int rx_open(struct kbp_port *p, const struct kbp_queue_opts *o, struct sock_queue *sq,
		   struct kbp_error *err)
{
	size_t slots = KBP_SOCK_BATCH + o->hold_max, stride;
	uint32_t special = SPECIAL_FLOWS;
	int rc;

	sq->rx_bytes = p->opts.frame_bytes ? p->opts.frame_bytes : p->info.mtu;
	if (sq->rx_bytes > UDP6_MAX)
		sq->rx_bytes = UDP6_MAX;
	stride = slot_stride(KBP_SOCK_SLOT_HEAD + sq->rx_bytes);
	sq->s.rx = burst_new();
	sq->rx_free = calloc(o->hold_max, sizeof(void *));
	if (!sq->s.rx || !sq->rx_free)
		return kbp_fail(err, -ENOMEM, "open a socket queue", "out of memory");
	rc = memory_for(p, &sq->rx_mem, slots * stride, err);
	if (rc)
		return rc;
	sq->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sq->epoll_fd < 0)
		return kbp_fail(err, -errno, "open a socket queue: epoll", "%s", strerror(errno));
	for (size_t i = 0; i < slots; i++) {
		struct kbp_sock_slot *slot = (void *)(sq->rx_mem.base + i * stride);

		if (i < KBP_SOCK_BATCH)
			sock_rx_attach(sq, &sq->s.rx->msg[i], slot);
		else
			sq->rx_free[sq->n_rx_free++] = slot;
	}
	sq->s.first = sq->next = sq->end = sq->s.rx->msg;
	if (o->flags & KBP_QUEUE_RX_STAMPS)
		special |= SPECIAL_STAMPS;
	if (o->flags & KBP_QUEUE_BUSY_POLL)
		special |= SPECIAL_BUSY_POLL;
	sock_special(sq, special, 0);
	rc = o->flags & KBP_QUEUE_RX_STAMPS ? stamps_start(sq, err) : 0;
	if (rc)
		return rc;
	return rcvbuf_probe(p, sq, o->rcvbuf_bytes, err);
}

static int tx_open(struct kbp_port *p, const struct kbp_queue_opts *o, struct sock_queue *sq,
		   struct kbp_error *err)
{
	bool keep = o->flags & KBP_QUEUE_COMPLETIONS;
	uint32_t ring = 1, bytes = p->info.mtu < TX_ROOM_MAX ? p->info.mtu : TX_ROOM_MAX;
	size_t stride;
	int rc;

	if (p->opts.frame_bytes)
		bytes = p->opts.frame_bytes < UDP6_MAX ? p->opts.frame_bytes : UDP6_MAX;
	sq->tx_bytes = bytes;
	sq->n_tx = o->tx_ring + KBP_SOCK_BATCH;
	while (ring < sq->n_tx)
		ring *= 2;
	stride = slot_stride(bytes);
	sq->tx = burst_new();
	sq->submit = burst_new();
	sq->tx_free = calloc(sq->n_tx, sizeof(*sq->tx_free));
	sq->done = calloc(ring, sizeof(*sq->done));
	sq->done_mask = ring - 1;
	if (!sq->tx || !sq->submit || !sq->tx_free || !sq->done)
		return kbp_fail(err, -ENOMEM, "open a socket queue", "out of memory");
	rc = memory_for(p, &sq->tx_mem, sq->n_tx * stride, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < sq->n_tx; i++) {
		void *slot = sq->tx_mem.base + i * stride;

		/* without completions the messages keep their slots for good */
		if (!keep && i < KBP_SOCK_BATCH)
			sq->tx->iov[i].iov_base = slot;
		else
			sq->tx_free[sq->n_tx_free++] = slot;
	}
	return 0;
}

static void flow_close(struct sock_queue *sq, struct sock_flow *flow);

static void queue_close(struct kbp_queue *q)
{
	struct sock_queue *sq = sock_queue(q);

	while (sq->n_flows)
		flow_close(sq, sq->flows[sq->n_flows - 1]);
	if (sq->epoll_fd >= 0)
		close(sq->epoll_fd);
	if (sq->stamp_fd >= 0)
		close(sq->stamp_fd);
	free(sq->flows);
	free(sq->rx_free);
	free(sq->s.rx);
	free(sq->tx_free);
	free(sq->tx);
	free(sq->submit);
	free(sq->done);
	kbp_memory_free(&sq->rx_mem);
	kbp_memory_free(&sq->tx_mem);
	free(sq);
}

static int queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
		      struct kbp_error *err)
{
	const struct kbp_queue_opts *o = &c->opts;
	struct sock_queue *sq;
	int rc;

	if (o->channel)
		return kbp_failf(err, -EINVAL, "a socket queue has no channels: leave it 0",
				 "open channel %u of %s with sockets", o->channel, p->info.interface);
	sq = aligned_alloc(SLOT_ALIGN, (sizeof(*sq) + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN);
	if (!sq)
		return kbp_fail(err, -ENOMEM, "open a socket queue", "out of memory");
	memset(sq, 0, sizeof(*sq));
	sq->epoll_fd = sq->stamp_fd = -1;
	sq->rx_mem.node = sq->tx_mem.node = -1;
	sq->s.fd = -1;
	sq->s.ts_which = KBP_SOCK_TS_UNDECIDED;
	sq->nic_told = o->flags & KBP_QUEUE_RX_STAMPS && kbp_link_stamps_all(p->info.interface);
	sq->s.q = (struct kbp_queue){
		.rx_peek = sock_rx_peek,
		.rx_release = sock_rx_release,
		.rx_putback = sock_rx_putback,
		.tx_reserve = sock_tx_reserve,
		.tx_submit = sock_tx_submit,
		.tx_cancel = sock_tx_cancel,
		.tx_reap = sock_tx_reap,
		.kind = KBP_SOCKET,
		.hold_max = o->hold_max,
		.flags = o->flags,
		.chain_max = 1,
		.port = p,
		.priv = c,
	};
	rc = o->flags & KBP_QUEUE_RX ? rx_open(p, o, sq, err) : 0;
	if (!rc && o->flags & KBP_QUEUE_TX)
		rc = tx_open(p, o, sq, err);
	if (rc) {
		queue_close(&sq->s.q);
		return rc;
	}
	*q = &sq->s.q;
	return 0;
}

/* sendmmsg has copied every frame when it returns. */
static unsigned queue_drain(struct kbp_queue *q)
{
	(void)q;
	return 0;
}

static void note_busy_poll(const struct sock_queue *sq, struct kbp_queue_info *info)
{
	size_t used = strlen(info->note);

	info->busy_poll = sq->busy_poll;
	info->napi_id = sq->napi_id;
	if (sq->busy_poll == KBP_NO)
		snprintf(info->note + used, sizeof(info->note) - used,
			 sq->napi_id ? "busy poll: the kernel refused SO_BUSY_POLL (CAP_NET_ADMIN)" :
				       "busy poll: this driver has no NAPI id, it would do nothing");
}

static void queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	const struct sock_queue *sq = sock_queue(q);
	const struct kbp_memory *m = q->flags & KBP_QUEUE_RX ? &sq->rx_mem : &sq->tx_mem;

	info->rx_ring = q->flags & KBP_QUEUE_RX ? KBP_SOCK_BATCH : 0;
	info->rcvbuf_bytes = sq->rcvbuf_bytes;
	info->hugepages = m->hugepages;
	info->numa_node = m->node;
	info->mode = KBP_MODE_KERNEL;
	info->proof = q->rx_count->frames || q->tx_count->frames ? KBP_PROVEN : KBP_BOUND;
	info->accelerated = onload_underneath();
	if (q->flags & KBP_QUEUE_TX) {
		uint32_t room = sq->tx_bytes;

		if (!q->port->opts.frame_bytes)
			room = room > 28 ? room - 28 : 0;
		info->payload_max = room < UDP4_MAX ? room : UDP4_MAX;
	}
	memcpy(info->note, sq->note, sizeof(info->note));
	if (q->flags & KBP_QUEUE_BUSY_POLL)
		note_busy_poll(sq, info);
	if (q->flags & KBP_QUEUE_RX_STAMPS) {
		bool nic = sq->s.ts_which == 2;

		info->ts_source = nic ? KBP_TS_NIC : KBP_TS_KERNEL;
		info->ts_epoch = nic ? KBP_EPOCH_PHC : KBP_EPOCH_UTC;
		info->ts_phc = nic ? q->port->phc : -1;
		info->ts_proof = kbp_stamp_proof(&sq->proof);
		if (!sq->s.ts_which && sq->nic_told && info->ts_proof == KBP_PROVEN)
			snprintf(info->note, sizeof(info->note),
				 "the NIC accepted to stamp and wrote no stamp: not proven, these are the "
				 "kernel's");
		info->ts_resolution_ps = 1000; /* a struct timespec; of a NIC's own clock, no finer */
	}
	if (q->flags & KBP_QUEUE_TX_STAMPS) {
		info->ts_source_tx = KBP_TS_KERNEL;
		info->ts_epoch_tx = KBP_EPOCH_UTC;
		info->ts_proof_tx = kbp_stamp_proof(&sq->tx_proof);
	}
}

/* A clock is watched before the first stamp came: it is the one that was announced, the system's. Another
 * thread finds it settled. */
static void queue_sync(struct kbp_queue *q, uint64_t shift, bool watched)
{
	struct kbp_sock_queue *s = kbp_sock(q);

	(void)shift;
	if (watched && s->ts_which == KBP_SOCK_TS_UNDECIDED)
		s->ts_which = 0;
}

static int queue_fd(const struct kbp_queue *q)
{
	return sock_queue(q)->epoll_fd;
}

static bool queue_pending(struct kbp_queue *q)
{
	return sock_queue(q)->special & SPECIAL_STASH;
}

/* ---------------------------------------------------------------- flows */

/* sk_drops: the receive buffer was full; a bad UDP checksum counts too (net/ipv4/udp.c). The kernel
 * keeps no count that tells the two apart for one socket. */
static uint64_t flow_drops(struct sock_flow *flow)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	if (!getsockopt(flow->fd, SOL_SOCKET, SO_MEMINFO, mem, &len) &&
	    len > SK_MEMINFO_DROPS * sizeof(mem[0])) {
		flow->drops += (uint32_t)(mem[SK_MEMINFO_DROPS] - flow->drops_seen);
		flow->drops_seen = mem[SK_MEMINFO_DROPS];
	}
	return flow->drops;
}

static void queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	struct sock_queue *sq = sock_queue(q);
	uint64_t drops, unread, filtered;

	if (!(q->flags & KBP_QUEUE_RX))
		return;
	pthread_mutex_lock(&q->port->lock);
	drops = sq->dropped_before;
	for (unsigned i = 0; i < sq->n_flows; i++)
		drops += flow_drops(sq->flows[i]);
	unread = sq->unread;
	filtered = __atomic_load_n(&sq->filtered, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&q->port->lock);
	kbp_count_add(l, "socket_dropped", drops, KBP_COUNT_DROP, false);
	kbp_count_add(l, "socket_unread_at_flow_del", unread, KBP_COUNT_DROP, false);
	kbp_count_add(l, "rx_filtered", filtered, KBP_COUNT_INFO, false);
}

int sock_fail(struct kbp_error *err, const struct kbp_port *p, const struct kbp_flow *flow,
	      const char *what, const char *hint)
{
	int code = -errno;
	char text[96] = "";

	kbp_flow_format(flow, text, sizeof(text));
	return kbp_failf(err, code, hint ? hint : strerror(-code), "%s: socket for %s on %s", what,
			 text, p->info.interface);
}

int sock_set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int flow_bind(int fd, struct kbp_port *p, const struct kbp_flow *flow, struct kbp_error *err)
{
	struct sockaddr_storage ss;
	socklen_t len = kbp_addr_to_sockaddr(&flow->dst, flow->dst_port, (int)p->info.ifindex, &ss);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->info.interface,
		       (socklen_t)strlen(p->info.interface)))
		return sock_fail(err, p, flow, "bind to device",
				 errno == EPERM ? "CAP_NET_RAW is missing" : NULL);
	if (!bind(fd, (struct sockaddr *)&ss, len))
		return 0;
	switch (errno) {
	case EADDRINUSE:
		return sock_fail(err, p, flow, "bind",
				 "another socket has this address and port to itself (ss -ulpn "
				 "shows it); one flow without a source serves several senders");
	case EADDRNOTAVAIL:
		return sock_fail(
			err, p, flow, "bind",
			"the destination is neither a group nor an address of this "
			"host (ip address shows them; a fresh IPv6 address is tentative for a second)");
	case EACCES:
		return sock_fail(err, p, flow, "bind",
				 "ports below net.ipv4.ip_unprivileged_port_start need "
				 "CAP_NET_BIND_SERVICE");
	default:
		return sock_fail(err, p, flow, "bind", NULL);
	}
}

/* The kernel matches the source itself: of SSM groups by the join, of one sender's port by connect.
 * A group-bound socket cannot connect (the group is no source address, net/ipv4/route.c). */
static bool flow_needs_filter(int fd, const struct kbp_port *p, const struct kbp_flow *flow)
{
	bool joins = kbp_addr_is_multicast(&flow->dst) && !(flow->flags & KBP_FLOW_NO_JOIN);
	struct sockaddr_storage ss;
	socklen_t len;

	if (!flow->src.family || joins)
		return flow->src_port;
	if (!flow->src_port || kbp_addr_is_multicast(&flow->dst))
		return true;
	len = kbp_addr_to_sockaddr(&flow->src, flow->src_port, (int)p->info.ifindex, &ss);
	if (connect(fd, (struct sockaddr *)&ss, len))
		return true;
	/* what came in between bind and connect may be anyone's */
	for (unsigned i = 0; i < DRAIN_MAX && recv(fd, NULL, 0, MSG_DONTWAIT) >= 0; i++)
		;
	return false;
}

static int flow_options(struct kbp_port *p, struct sock_queue *sq, struct sock_flow *flow,
			struct kbp_error *err)
{
	const struct kbp_flow *f = &flow->flow;
	bool v6 = f->dst.family == AF_INET6, multicast = kbp_addr_is_multicast(&f->dst);
	int stamps = SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE |
		     SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	uint32_t got;

	if (v6 && sock_set_int(flow->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
		return sock_fail(err, p, f, "IPV6_V6ONLY", NULL);
	/* a group is for everyone on the host; an address is ours alone, and nobody may slip in
	 * beside us */
	if (multicast && sock_set_int(flow->fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return sock_fail(err, p, f, "SO_REUSEADDR", NULL);
	/* without a join of its own the socket lives off the joins of others */
	if (multicast && sock_set_int(flow->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				      v6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL,
				      f->flags & KBP_FLOW_NO_JOIN ? 1 : 0))
		return sock_fail(err, p, f, "IP_MULTICAST_ALL", NULL);
	if (sq->s.q.flags & KBP_QUEUE_RX_STAMPS &&
	    sock_set_int(flow->fd, SOL_SOCKET, SO_TIMESTAMPING, stamps))
		return sock_fail(err, p, f, "SO_TIMESTAMPING", NULL);
	got = rcvbuf_set(flow->fd, kbp_cold(&sq->s.q)->opts.rcvbuf_bytes);
	if (got < sq->rcvbuf_bytes)
		sq->rcvbuf_bytes = got;
	return 0;
}

/* Called with every change of the flows. */
static void flows_changed(struct sock_queue *sq)
{
	uint32_t special = sq->n_flows == 1 ? 0 : SPECIAL_FLOWS;

	for (unsigned i = 0; i < sq->n_flows; i++)
		if (sq->flows[i]->filter)
			special |= SPECIAL_FILTER;
	sock_special(sq, special, SPECIAL_FLOWS | SPECIAL_FILTER);
	sq->cursor = 0;
	if (sq->n_flows == 1)
		sq->s.fd = sq->flows[0]->fd;
}

static int flow_insert(struct sock_queue *sq, struct sock_flow *flow, struct kbp_error *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct sock_flow **grown = realloc(sq->flows, (sq->n_flows + 1) * sizeof(struct sock_flow *));

	if (!grown)
		return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
	sq->flows = grown;
	if (epoll_ctl(sq->epoll_fd, EPOLL_CTL_ADD, flow->fd, &ev))
		return kbp_fail(err, -errno, "add a flow: epoll", "%s", strerror(errno));
	sq->flows[sq->n_flows++] = flow;
	/* frames lent or left over belong to the flow of the latest messages: the fast path must
	 * not meet them with another one */
	if (!sq->cur)
		sq->cur = flow;
	flows_changed(sq);
	return 0;
}

static int flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct sock_queue *sq = sock_queue(q);
	struct sock_flow *flow;
	int rc;

	if (!(q->flags & KBP_QUEUE_RX))
		return kbp_failf(err, -EINVAL, "open the queue with KBP_QUEUE_RX",
				 "add a flow to a TX-only queue of %s", q->port->info.interface);
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return kbp_fail(err, -ENOMEM, "add a flow", "out of memory");
	flow->flow = ref->flow;
	flow->fd = socket(ref->flow.dst.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = flow->fd < 0 ? sock_fail(err, q->port, &ref->flow, "open", NULL) : 0;
	if (!rc)
		rc = flow_options(q->port, sq, flow, err);
	if (!rc)
		rc = flow_bind(flow->fd, q->port, &ref->flow, err);
	if (!rc) {
		flow->filter = flow_needs_filter(flow->fd, q->port, &ref->flow);
		rc = flow_insert(sq, flow, err);
	}
	if (!rc && !(ref->flow.flags & KBP_FLOW_NO_JOIN)) {
		rc = kbp_membership_join(flow->fd, (int)q->port->info.ifindex, &ref->flow, err);
		if (rc) {
			flow_close(sq, flow);
			return rc;
		}
	}
	if (rc) {
		if (flow->fd >= 0)
			close(flow->fd);
		free(flow);
		return rc;
	}
	ref->priv = flow;
	return 0;
}

/* What is still in the socket will not be delivered: it is counted, and so are the socket's
 * drops. */
static void flow_close(struct sock_queue *sq, struct sock_flow *flow)
{
	unsigned at = 0;

	if (sq->cur == flow) {
		sq->unread += sock_rx_settle(sq);
		sq->cur = NULL;
	}
	for (unsigned i = 0; i < DRAIN_MAX && recv(flow->fd, NULL, 0, MSG_DONTWAIT) >= 0; i++)
		sq->unread++;
	sq->dropped_before += flow_drops(flow);
	while (sq->flows[at] != flow)
		at++;
	sq->flows[at] = sq->flows[--sq->n_flows];
	if (!sq->cur && sq->n_flows)
		sq->cur = sq->flows[0];
	flows_changed(sq);
	close(flow->fd);
	free(flow);
}

static int flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct sock_flow *flow = ref->priv;

	(void)err;
	if (kbp_addr_is_multicast(&flow->flow.dst) && !(flow->flow.flags & KBP_FLOW_NO_JOIN))
		kbp_membership_leave(flow->fd, (int)q->port->info.ifindex, &flow->flow);
	flow_close(sock_queue(q), flow);
	return 0;
}

static enum kbp_parse datagram(const struct kbp_queue *q, const struct kbp_frame *f,
			       struct kbp_datagram *d)
{
	const struct kbp_sock_slot *slot = kbp_sock_slot_of(f->token);
	const struct sock_queue *sq = sock_queue(q);
	struct sockaddr_storage ss;

	memset(d, 0, sizeof(*d));
	memcpy(&ss, &slot->name, sizeof(slot->name));
	kbp_addr_from_sockaddr(&ss, &d->src, &d->src_port);
	d->dst = slot->msg ? sq->cur->flow.dst : slot->dst;
	d->dst_port = slot->msg ? sq->cur->flow.dst_port : slot->dst_port;
	d->payload = f->data;
	d->len = d->total_len = f->len;
	return KBP_PARSE_OK;
}

const struct kbp_backend kbp_backend_socket = {
	.name = "socket",
	.kind = KBP_SOCKET,
	.l2 = false,
	.own_join = true,
	.port_open = port_open,
	.port_close = port_close,
	.port_channels = port_channels,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.queue_drain = queue_drain,
	.queue_info = queue_info,
	.queue_sync = queue_sync,
	.queue_fd = queue_fd,
	.queue_pending = queue_pending,
	.queue_counters = queue_counters,
	.flow_add = flow_add,
	.flow_del = flow_del,
	.datagram = datagram,
	.txflow_open = sock_txflow_open,
	.txflow_close = sock_txflow_close,
	.template_open = sock_template_open,
	.template_busy = sock_template_busy,
	.template_send = sock_template_send,
	.template_close = sock_template_close,
};
