/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * network.c - the two ends of the wire: a lab made for this bench, or interfaces that are there.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lab/lab_net.h"
#include "tools/measure/parts.h"

#define LAB_MTU 1500u

int kbp_bench_enter(const struct kbp_bench *b, enum kbp_lab_side side, struct kbp_error *err)
{
	return b->net.host[side].netns[0] ? kbp_lab_enter(&b->net, side, err) : 0;
}

/* A wire in memory has no namespace but that of its socket's name, which both ends have to share. */
int kbp_bench_port(const struct kbp_bench *b, const char *backend, enum kbp_lab_side side,
		   const struct kbp_port_opts *opts, struct kbp_port **port, struct kbp_error *err)
{
	const char *ifname = b->net.host[side].ifname;
	struct kbp_port_opts o = *opts;
	struct kbp_bench_path path;
	char args[192] = "";
	int rc;

	kbp_bench_path(backend, &path);
	if (path.memory) {
		ifname = b->one_process && side == KBP_LAB_TX ? "net_memif1" : "net_memif0";
		snprintf(args, sizeof(args), "mtu=%u devargs=role=%s,socket=kbypass-%d,rsize=11",
			 b->whole && b->whole->mtu_min > LAB_MTU ? b->whole->mtu_min : LAB_MTU,
			 side == KBP_LAB_RX ? "server" : "client", (int)getppid());
	} else if (path.pmd[0]) {
		snprintf(args, sizeof(args), "pmd=%s", path.pmd);
	} else if (!strncmp(backend, "ef_vi", 5)) {
		snprintf(args, sizeof(args), "%s", b->o.ef_vi_words ? b->o.ef_vi_words : "");
	}
	o.args = args;
	rc = path.memory ? 0 : kbp_bench_enter(b, side, err);
	return rc ? rc : kbp_port_open(path.name, ifname, &o, port, err);
}

uint64_t kbp_bench_tx_dropped(const char *ifname)
{
	struct ifaddrs *list, *a;
	uint64_t dropped = 0;

	if (getifaddrs(&list))
		return 0;
	for (a = list; a; a = a->ifa_next) {
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET && a->ifa_data &&
		    !strcmp(a->ifa_name, ifname))
			dropped = ((const struct rtnl_link_stats *)a->ifa_data)->tx_dropped;
	}
	freeifaddrs(list);
	return dropped;
}

static void host_address(struct kbp_lab_host *h, const struct sockaddr *sa)
{
	struct sockaddr_in6 s6;
	struct sockaddr_in s4;
	struct sockaddr_ll ll;

	if (sa->sa_family == AF_PACKET) {
		memcpy(&ll, sa, sizeof(ll));
		h->ifindex = (uint32_t)ll.sll_ifindex;
		memcpy(h->mac, ll.sll_addr, sizeof(h->mac));
	} else if (sa->sa_family == AF_INET && !h->ip4.family) {
		memcpy(&s4, sa, sizeof(s4));
		h->ip4.family = AF_INET;
		memcpy(h->ip4.bytes, &s4.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6 && !h->ip6.family) {
		memcpy(&s6, sa, sizeof(s6));
		h->ip6.family = AF_INET6;
		memcpy(h->ip6.bytes, &s6.sin6_addr, 16);
	}
}

/* 0: it cannot be told. */
static uint32_t mtu_read(const char *ifname)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };
	uint32_t mtu = 0;

	if (fd < 0)
		return 0;
	memcpy(req.ifr_name, ifname, strlen(ifname));
	if (!ioctl(fd, SIOCGIFMTU, &req))
		mtu = (uint32_t)req.ifr_mtu;
	close(fd);
	return mtu;
}

/* MAC and addresses of an interface of the namespace we are in. */
static int host_read(struct kbp_lab_host *h, uint32_t *mtu, struct kbp_error *err)
{
	struct ifaddrs *list, *a;
	bool up = false;

	if (getifaddrs(&list))
		return kbp_fail(err, -errno, "list the interfaces", "%s", strerror(errno));
	for (a = list; a; a = a->ifa_next) {
		if (!a->ifa_addr || strcmp(a->ifa_name, h->ifname))
			continue;
		host_address(h, a->ifa_addr);
		up = a->ifa_flags & IFF_UP;
	}
	freeifaddrs(list);
	*mtu = mtu_read(h->ifname);
	if (!h->ifindex)
		return kbp_failf(
			err, -ENODEV,
			"there is none of that name: `ip -br link` lists them, `--lab` makes a pair",
			"find interface %s%s%s", h->ifname, h->netns[0] ? " in namespace " : "",
			h->netns);
	if (!up)
		return kbp_failf(err, -ENETDOWN, "it is down: `ip link set NAME up`",
				 "use interface %s", h->ifname);
	return 0;
}

struct scouted {
	struct kbp_lab_host host;
	uint32_t mtu;
	struct kbp_error err;
	int rc;
};

/* In a child, because entering a namespace is for good. */
static int scout(struct kbp_bench *b, enum kbp_lab_side side, struct kbp_error *err)
{
	struct kbp_lab_host *h = &b->net.host[side];
	struct scouted *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = -1;
	int rc = -EIO;

	if (s == MAP_FAILED)
		return kbp_fail(err, -errno, "look at the interfaces", "%s", strerror(errno));
	s->host = *h;
	s->rc = -EIO;
	pid = fork();
	if (pid == 0) {
		s->rc = kbp_bench_enter(b, side, &s->err);
		if (!s->rc)
			s->rc = host_read(&s->host, &s->mtu, &s->err);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (pid > 0)
		rc = s->rc;
	*h = s->host;
	b->mtu[side] = s->mtu;
	if (rc && s->err.code && err)
		*err = s->err;
	else if (rc)
		kbp_fail(err, rc, "look at the interfaces", "the helper process ended early");
	munmap(s, sizeof(*s));
	return rc;
}

static int host_name(struct kbp_lab_host *h, const char *ifname, const char *netns,
		     struct kbp_error *err)
{
	if (!*ifname || strlen(ifname) >= sizeof(h->ifname))
		return kbp_failf(err, -EINVAL, "names have 1 to 15 characters",
				 "use interface \"%.40s\"", ifname);
	if (netns && (!*netns || strlen(netns) >= sizeof(h->netns) || strchr(netns, '/')))
		return kbp_failf(err, -EINVAL,
				 "give a name of at most 23 characters that `ip netns list` shows",
				 "use network namespace \"%.40s\"", netns);
	strcpy(h->ifname, ifname);
	strcpy(h->netns, netns ? netns : "");
	return 0;
}

static int given_network(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_lab_host *tx = &b->net.host[KBP_LAB_TX], *rx = &b->net.host[KBP_LAB_RX];
	int rc = host_name(tx, b->o.tx_ifname, b->o.tx_netns, err);

	if (!rc)
		rc = host_name(rx, b->o.rx_ifname, b->o.rx_netns, err);
	if (!rc)
		rc = scout(b, KBP_LAB_TX, err);
	if (!rc)
		rc = scout(b, KBP_LAB_RX, err);
	b->loopback = !strcmp(tx->netns, rx->netns);
	if (!rc && b->loopback && tx->ifindex == rx->ifindex && strcmp(tx->ifname, "lo"))
		rc = kbp_failf(
			err, -EINVAL,
			"what a port sends does not come back to it: give the two ends of a wire",
			"send and receive on %s", tx->ifname);
	return rc;
}

static const struct kbp_lab_opts lab_opts = { .size = sizeof(lab_opts), .flags = KBP_LAB_EPHEMERAL };

int kbp_bench_network(struct kbp_bench *b, struct kbp_error *err)
{
	return b->o.rx_ifname ? given_network(b, err) : kbp_lab_plan(&lab_opts, &b->net, err);
}

/* A frame beyond the receiver's MTU would vanish without a word. */
static int fits(const struct kbp_bench *b, enum kbp_lab_side side, struct kbp_error *err)
{
	const struct kbp_lab_host *h = &b->net.host[side];

	if (!b->mtu[side] || b->whole->mtu_min <= b->mtu[side])
		return 0;
	return kbp_fail(
		err, -EMSGSIZE,
		side == KBP_LAB_RX ? "receive the longest frame" : "send the longest frame",
		"its %u bytes take an MTU of %u, %s%s%s has %u: `ip link set %s mtu %u` at both ends, "
		"or smaller frames",
		b->whole->len_max, b->whole->mtu_min, h->ifname, h->netns[0] ? " in namespace " : "",
		h->netns, b->mtu[side], h->ifname, b->whole->mtu_min);
}

int kbp_bench_wire(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_lab_opts l = lab_opts;
	int rc;

	if (b->o.rx_ifname) {
		rc = fits(b, KBP_LAB_TX, err);
		return rc ? rc : fits(b, KBP_LAB_RX, err);
	}
	l.mtu = b->whole->mtu_min > LAB_MTU ? b->whole->mtu_min : LAB_MTU;
	rc = kbp_lab_up(&l, &b->net, err);
	if (!rc)
		b->lab = true;
	return rc;
}
