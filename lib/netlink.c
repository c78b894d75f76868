/* SPDX-License-Identifier: BSD-2-Clause */
/* netlink.c - just enough rtnetlink for interfaces, routes and neighbours. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "netlink.h"

#define ANSWER_BYTES \
	32768u /* what the kernel fills a dump's messages up to (net/netlink/af_netlink.c) */
#define ANSWER_SECONDS 2

int kbp_nl_socket(void)
{
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	return fd;
}

void kbp_nl_begin(struct kbp_nl *nl, uint16_t type, uint16_t flags, const void *head,
		  size_t head_bytes)
{
	memset(nl, 0, sizeof(*nl));
	nl->h.nlmsg_type = type;
	nl->h.nlmsg_flags = NLM_F_REQUEST | flags;
	nl->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(head_bytes);
	memcpy(nl->body, head, head_bytes);
}

void kbp_nl_put(struct kbp_nl *nl, uint16_t type, const void *data, size_t bytes)
{
	size_t at = NLMSG_ALIGN(nl->h.nlmsg_len);
	struct rtattr attr = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(bytes) };

	if (at + RTA_SPACE(bytes) > sizeof(*nl))
		return; /* every request here is far below KBP_NL_REQUEST */
	memcpy((uint8_t *)nl + at, &attr, sizeof(attr));
	memcpy((uint8_t *)nl + at + RTA_LENGTH(0), data, bytes);
	nl->h.nlmsg_len = (uint32_t)(at + RTA_LENGTH(bytes));
}

/* One datagram of the answer. *more: the answer goes on. */
static int answer_walk(const uint8_t *buf, size_t bytes, uint32_t seq, kbp_nl_fn fn, void *arg,
		       bool *more)
{
	for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, bytes);
	     h = NLMSG_NEXT(h, bytes)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);
		int rc;

		if (h->nlmsg_seq != seq)
			continue;
		*more = h->nlmsg_flags & NLM_F_MULTI;
		if (h->nlmsg_type == NLMSG_DONE) {
			*more = false;
			return 0;
		}
		if (h->nlmsg_type == NLMSG_ERROR) {
			*more = false;
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EBADMSG : e->error;
		}
		rc = fn ? fn(h, arg) : 0;
		if (rc) {
			*more = false;
			return rc;
		}
	}
	return 0;
}

int kbp_nl_ask(int fd, struct kbp_nl *nl, kbp_nl_fn fn, void *arg)
{
	static uint32_t next_seq;
	uint8_t buf[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	uint32_t seq = __atomic_add_fetch(&next_seq, 1, __ATOMIC_RELAXED);
	bool more = true;
	int rc = 0;

	nl->h.nlmsg_seq = seq;
	if (send(fd, nl, nl->h.nlmsg_len, 0) < 0)
		return -errno;
	while (more) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if ((size_t)n > sizeof(buf))
			return -EMSGSIZE;
		rc = answer_walk(buf, (size_t)n, seq, fn, arg, &more);
	}
	return rc;
}

static const struct rtattr *attr_find(const struct rtattr *a, size_t bytes, uint16_t type,
				      size_t min_bytes)
{
	for (; RTA_OK(a, bytes); a = RTA_NEXT(a, bytes))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return RTA_PAYLOAD(a) >= min_bytes ? a : NULL;
	return NULL;
}

const struct rtattr *kbp_nl_attr(const struct nlmsghdr *h, size_t head_bytes, uint16_t type,
				 size_t min_bytes)
{
	size_t head = NLMSG_SPACE(head_bytes);

	if (h->nlmsg_len < head)
		return NULL;
	return attr_find((const void *)((const uint8_t *)h + head), h->nlmsg_len - head, type,
			 min_bytes);
}

const struct rtattr *kbp_nl_nested(const struct rtattr *outer, uint16_t type, size_t min_bytes)
{
	return outer ? attr_find(RTA_DATA(outer), RTA_PAYLOAD(outer), type, min_bytes) : NULL;
}
