/* SPDX-License-Identifier: BSD-2-Clause */
/* socket_txflow.c - a connected socket for every txflow, and templates sent over it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"

#define UDP4_MAX 65507u /* 65535 less the IPv4 and UDP headers */
#define UDP6_MAX 65527u /* 65535 less the UDP header */
#define SNDBUF_BYTES (4 << 20)

/* ---------------------------------------------------------------- txflows */

static int tx_options(int fd, const struct kbp_port *p, const struct kbp_flow *flow, bool stamps,
		      struct kbp_error *err)
{
	struct ip_mreqn out = { .imr_ifindex = (int)p->info.ifindex };
	bool v6 = flow->dst.family == AF_INET6;
	int rc, sndbuf = SNDBUF_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf)))
		sock_set_int(fd, SOL_SOCKET, SO_SNDBUF, sndbuf);
	/* a bypass sends past the host's own receivers: so does this. The hop limit of groups stays
	 * at 1 */
	if (v6)
		rc = sock_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) ||
		     sock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, out.imr_ifindex) ||
		     sock_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
	else
		rc = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) ||
		     sock_set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) ||
		     sock_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (rc)
		return sock_fail(err, p, flow, "multicast options", NULL);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->info.interface,
		       (socklen_t)strlen(p->info.interface)))
		return sock_fail(err, p, flow, "bind to device",
				 errno == EPERM ? "CAP_NET_RAW is missing" : NULL);
	if (stamps && sock_tx_stamps(fd))
		return sock_fail(err, p, flow, "SO_TIMESTAMPING", NULL);
	return 0;
}

static int tx_connect(int fd, const struct kbp_port *p, const struct kbp_flow *flow,
		      struct kbp_error *err)
{
	struct sockaddr_storage ss;
	socklen_t len;

	if (flow->src.family || flow->src_port) {
		struct kbp_addr own = flow->src;

		own.family = flow->dst.family;
		len = kbp_addr_to_sockaddr(&own, flow->src_port, (int)p->info.ifindex, &ss);
		if (bind(fd, (struct sockaddr *)&ss, len))
			return sock_fail(
				err, p, flow, "bind the source",
				errno == EADDRINUSE ?
					"the source port is taken (ss -uapn shows by whom); 0 lets the kernel choose" :
				errno == EADDRNOTAVAIL ? "the source is not an address of this host" :
							 NULL);
	}
	len = kbp_addr_to_sockaddr(&flow->dst, flow->dst_port, (int)p->info.ifindex, &ss);
	if (!connect(fd, (struct sockaddr *)&ss, len))
		return 0;
	if (errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EADDRNOTAVAIL) {
		errno = EHOSTUNREACH;
		return sock_fail(err, p, flow, "connect",
				 "no route out of this interface: give it an address in the "
				 "destination's network, or add one with ip route add");
	}
	return sock_fail(err, p, flow, "connect", NULL);
}

int sock_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	struct sock_queue *sq = sock_queue(t->q);
	struct kbp_port *p = t->q->port;
	uint32_t head = flow->dst.family == AF_INET6 ? 48 : 28;
	uint32_t max = flow->dst.family == AF_INET6 ? UDP6_MAX : UDP4_MAX;
	struct sock_tx *tx;
	int rc;

	tx = calloc(1, sizeof(*tx));
	if (!tx)
		return kbp_fail(err, -ENOMEM, "open a txflow", "out of memory");
	tx->hot.fd = socket(flow->dst.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = tx->hot.fd < 0 ? sock_fail(err, p, flow, "open", NULL) : 0;
	if (!rc)
		rc = tx_options(tx->hot.fd, p, flow, t->q->flags & KBP_QUEUE_TX_STAMPS, err);
	if (!rc)
		rc = tx_connect(tx->hot.fd, p, flow, err);
	if (rc) {
		if (tx->hot.fd >= 0)
			close(tx->hot.fd);
		free(tx);
		return rc;
	}
	/* a larger slot asked for on purpose: the kernel fragments */
	t->room = p->opts.frame_bytes ? sq->tx_bytes :
		  sq->tx_bytes > head ? sq->tx_bytes - head :
					0;
	if (t->room > max)
		t->room = max;
	tx->hot.limit = t->q->flags & KBP_QUEUE_COMPLETIONS ? 0 : KBP_SOCK_BATCH;
	tx->hot.iov = sq->tx->iov;
	tx->hot.msg = sq->tx->msg;
	tx->hot.count = t->q->tx_count;
	tx->next = sq->txs;
	sq->txs = tx;
	t->priv = tx;
	return 0;
}

void sock_txflow_close(struct kbp_txflow *t)
{
	struct sock_queue *sq = sock_queue(t->q);
	struct sock_tx *tx = t->priv, **at = &sq->txs;

	sock_tx_forget(sq, tx);
	while (*at != tx)
		at = &(*at)->next;
	*at = tx->next;
	close(tx->hot.fd);
	free(tx);
}

/* ---------------------------------------------------------------- templates */

int sock_template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	tpl->priv = malloc(KBP_HDR_ROOM + tpl->t->room);
	if (!tpl->priv)
		return kbp_fail(err, -ENOMEM, "open a template", "out of memory");
	tpl->payload = (uint8_t *)tpl->priv + KBP_HDR_ROOM;
	return 0;
}

bool sock_template_busy(struct kbp_template *tpl)
{
	(void)tpl;
	return false;
}

/* A template yields no completion, so it must not take a stamp's number either: an empty
 * SO_TIMESTAMPING message switches the stamp off for this one send (net/core/sock.c,
 * __sock_cmsg_send). */
static ssize_t template_try(const struct kbp_template *tpl, bool stamps)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(uint32_t))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(uint32_t)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SO_TIMESTAMPING } };
	struct iovec iov = { .iov_base = tpl->payload, .iov_len = tpl->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const struct sock_tx *tx = tpl->t->priv;

	if (stamps) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(tx->hot.fd, &msg, MSG_DONTWAIT);
}

unsigned sock_template_send(struct kbp_template *tpl)
{
	struct kbp_queue *q = tpl->t->q;
	struct kbp_hot_tx *count = q->tx_count;

	/* the first try may only report an ICMP error of an earlier send */
	for (unsigned i = 0; i < 2; i++) {
		count->kernel_calls++;
		if (template_try(tpl, q->flags & KBP_QUEUE_TX_STAMPS) >= 0) {
			count->frames++;
			return 1;
		}
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR) {
			count->ring_full++;
			return 0;
		}
	}
	count->frames++;
	count->errors++;
	return 1;
}

void sock_template_close(struct kbp_template *tpl)
{
	free(tpl->priv);
}
