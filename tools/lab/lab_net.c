// SPDX-License-Identifier: BSD-2-Clause
/* lab_net.c - named network namespaces as ip-netns(8) makes them, and rtnetlink inside them. */
#include "tools/lab/lab_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "lib/internal.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673 /* linux/magic.h */
#endif

/* ---------------------------------------------------------------- namespaces */

static void netns_path(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", KBP_LAB_NETNS_DIR, name);
}

bool kbp_lab_netns_exists(const char *name)
{
	char path[64];
	struct statfs fs;

	netns_path(name, path, sizeof(path));
	return !statfs(path, &fs) && fs.f_type == NSFS_MAGIC;
}

/* /run/netns has to be a shared mount of its own, so that names made here show in other mount
 * namespaces and removing one there frees it everywhere: what ip netns does (iproute2,
 * ip/ipnetns.c, netns_add), under the same lock. */
static int netns_folder(struct kbp_error *err)
{
	static const char *step = "prepare " KBP_LAB_NETNS_DIR;
	int fd, rc = 0;

	if (mkdir(KBP_LAB_NETNS_DIR, 0755) && errno != EEXIST)
		return kbp_fail(err, -errno, step, "cannot make the folder: %s", strerror(errno));
	fd = open(KBP_LAB_NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		rc = kbp_fail(err, -errno, step, "cannot lock the folder: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (mount("", KBP_LAB_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) &&
	    (errno != EINVAL ||
	     mount(KBP_LAB_NETNS_DIR, KBP_LAB_NETNS_DIR, "none", MS_BIND | MS_REC, NULL) ||
	     mount("", KBP_LAB_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL)))
		rc = kbp_fail(err, -errno, step, "cannot make it a shared mount: %s",
			      strerror(errno));
	close(fd);
	return rc;
}

/* What a thread of ours does in another namespace, so that the caller's never moves. */
struct visit {
	const char *name;
	bool make;
	struct mnl_socket *nl;
	int error;	    /* errno */
	const char *failed; /* at what */
};

static bool write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	close(fd);
	return n == (ssize_t)strlen(value);
}

/* Addresses usable at once and no packets but ours. Absent files: a kernel without IPv6, nothing to
 * quieten. /proc/sys/net shows the namespace of the thread that opens it. */
static void quieten_ipv6(void)
{
	write_sysctl("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	write_sysctl("/proc/sys/net/ipv6/conf/default/router_solicitations", "0");
	write_sysctl("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
}

static int visit_fail(struct visit *v, const char *what)
{
	v->error = errno;
	v->failed = what;
	return -1;
}

static int visit_make(struct visit *v)
{
	char path[64];
	int fd;

	netns_path(v->name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return visit_fail(v, "cannot create its file");
	close(fd);
	if (unshare(CLONE_NEWNET))
		return visit_fail(v, "unshare");
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL))
		return visit_fail(v, "cannot mount it");
	quieten_ipv6();
	return 0;
}

static int visit_existing(struct visit *v)
{
	char path[64];
	int fd;

	netns_path(v->name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return visit_fail(v, "cannot open it");
	if (setns(fd, CLONE_NEWNET)) {
		visit_fail(v, "setns");
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	if (v->make ? visit_make(v) : visit_existing(v))
		return NULL;
	/* a socket stays in the namespace it was made in */
	v->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!v->nl || mnl_socket_bind(v->nl, 0, MNL_SOCKET_AUTOPID)) {
		visit_fail(v, "cannot open a netlink socket");
		if (v->nl)
			mnl_socket_close(v->nl);
		v->nl = NULL;
	}
	return NULL;
}

static int denied(const struct visit *v, struct kbp_error *err)
{
	char caps[64], hint[160];

	kbp_missing_caps(1ull << CAP_SYS_ADMIN, caps, sizeof(caps));
	if (caps[0])
		snprintf(hint, sizeof(hint), "%s is missing: run as root", caps);
	else
		snprintf(hint, sizeof(hint),
			 "%s: a container or security policy forbids it, although "
			 "CAP_SYS_ADMIN is there: run it privileged",
			 v->failed);
	return kbp_failf(err, -EPERM, hint, "network namespace %s: %s", v->name, v->failed);
}

static int visit(struct visit *v, struct kbp_error *err)
{
	sigset_t all, old;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the application's signals are not for this
						   * thread */
	rc = pthread_create(&thread, NULL, visit_thread, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return kbp_fail(err, -rc, "enter a network namespace", "cannot start a thread: %s",
				strerror(rc));
	pthread_join(thread, NULL);
	if (!v->error)
		return 0;
	if (v->error == EPERM)
		return denied(v, err);
	return kbp_failf(err, -v->error, strerror(v->error), "network namespace %s: %s", v->name,
			 v->failed);
}

int kbp_lab_netns_make(const char *name, struct mnl_socket **nl, struct kbp_error *err)
{
	struct visit v = { .name = name, .make = true };
	int rc = netns_folder(err);

	if (!rc)
		rc = visit(&v, err);
	*nl = v.nl;
	return rc;
}

int kbp_lab_netns_socket(const char *name, struct mnl_socket **nl, struct kbp_error *err)
{
	struct visit v = { .name = name };
	int rc = visit(&v, err);

	*nl = v.nl;
	return rc;
}

int kbp_lab_netns_remove(const char *name, struct kbp_error *err)
{
	char path[64];

	netns_path(name, path, sizeof(path));
	/* EINVAL: a plain file, no mount; ENOENT: nothing at all */
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		return kbp_failf(err, -errno, strerror(errno), "unmount %s", path);
	if (unlink(path) && errno != ENOENT)
		return kbp_failf(err, -errno, strerror(errno), "remove %s", path);
	return 0;
}

int kbp_lab_netns_enter(const char *name, struct kbp_error *err)
{
	struct visit v = { .name = name };

	if (!visit_existing(&v))
		return 0;
	if (v.error == EPERM)
		return denied(&v, err);
	return kbp_failf(
		err, -v.error,
		v.error == ENOENT ?
			"there is none of that name: `ip netns list` shows them, `kbypass lab up` makes a lab" :
			strerror(v.error),
		"enter network namespace %s", name);
}

/* ---------------------------------------------------------------- rtnetlink */

#define REQUEST_BYTES 1024u /* the largest request here, a veth pair, takes about 250 */

/* Send one request, run `cb` on what comes back, wait for the acknowledgement. 0 or -errno. */
static int request(struct mnl_socket *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	static unsigned counter;
	char buf[32768]; /* MNL_SOCKET_BUFFER_SIZE can be 8 KiB: too small for some links */
	unsigned seq = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
	ssize_t n;
	int rc;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), cb, arg);
		if (rc < 0)
			return -errno;
	} while (rc > MNL_CB_STOP);
	return 0;
}

static struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, unsigned up)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_flags = up;
	ifi->ifi_change = up;
	return nlh;
}

static void put_link(struct nlmsghdr *nlh, const struct kbp_lab_host *h, uint32_t queues, uint32_t mtu)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, h->ifname);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(h->mac), h->mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, queues);
	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, queues);
}

int kbp_lab_veth_make(struct mnl_socket *nl, const struct kbp_lab_host *here,
		      const struct kbp_lab_host *there, uint32_t queues, uint32_t mtu,
		      struct kbp_error *err)
{
	char buf[REQUEST_BYTES], path[64];
	struct nlattr *info, *data, *other;
	struct nlmsghdr *nlh;
	int fd, rc;

	netns_path(there->netns, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kbp_failf(err, -errno, strerror(errno), "open %s", path);
	nlh = link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	put_link(nlh, here, queues, mtu);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	put_link(nlh, there, queues, mtu);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)fd);
	mnl_attr_nest_end(nlh, other);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	rc = request(nl, nlh, NULL, NULL);
	close(fd);
	if (rc == -EOPNOTSUPP)
		return kbp_failf(err, rc, "this kernel has no veth (CONFIG_VETH, module veth)",
				 "make the veth pair %s, %s", here->ifname, there->ifname);
	if (rc)
		return kbp_failf(err, rc, strerror(-rc),
				 "make the veth pair %s, %s with %u queues and MTU %u",
				 here->ifname, there->ifname, queues, mtu);
	return 0;
}

struct link_answer {
	struct kbp_lab_link *link;
	uint32_t rx_queues, tx_queues;
};

static int read_link_attr(const struct nlattr *attr, void *arg)
{
	struct link_answer *a = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(a->link->mac))
			memcpy(a->link->mac, mnl_attr_get_payload(attr), sizeof(a->link->mac));
		break;
	case IFLA_MTU:
		a->link->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_RX_QUEUES:
		a->rx_queues = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_TX_QUEUES:
		a->tx_queues = mnl_attr_get_u32(attr);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct kbp_lab_link *link = arg;
	struct link_answer answer = { .link = link };

	link->ifindex = (uint32_t)ifi->ifi_index;
	link->running = (ifi->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	if (mnl_attr_parse(nlh, sizeof(*ifi), read_link_attr, &answer) < 0)
		return MNL_CB_ERROR;
	link->queues = answer.rx_queues < answer.tx_queues ? answer.rx_queues : answer.tx_queues;
	return MNL_CB_OK;
}

int kbp_lab_link_get(struct mnl_socket *nl, const char *ifname, struct kbp_lab_link *link,
		     struct kbp_error *err)
{
	char buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = link_request(buf, RTM_GETLINK, 0, 0);
	int rc;

	memset(link, 0, sizeof(*link));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	rc = request(nl, nlh, read_link, link);
	return rc ? kbp_failf(err, rc, strerror(-rc), "look at interface %s", ifname) : 0;
}

int kbp_lab_link_set_up(struct mnl_socket *nl, const char *ifname, struct kbp_error *err)
{
	char buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = link_request(buf, RTM_NEWLINK, 0, IFF_UP);
	int rc;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	rc = request(nl, nlh, NULL, NULL);
	return rc ? kbp_failf(err, rc, strerror(-rc), "set interface %s up", ifname) : 0;
}

int kbp_lab_link_delete(struct mnl_socket *nl, const char *ifname, struct kbp_error *err)
{
	char buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = link_request(buf, RTM_DELLINK, 0, 0);
	int rc;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	rc = request(nl, nlh, NULL, NULL);
	if (!rc || rc == -ENODEV)
		return 0;
	return kbp_failf(err, rc, strerror(-rc), "delete interface %s", ifname);
}

int kbp_lab_link_add_address(struct mnl_socket *nl, uint32_t ifindex, const struct kbp_addr *a,
			     uint8_t prefix_len, struct kbp_error *err)
{
	char buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	size_t bytes = a->family == AF_INET ? 4 : 16;
	struct ifaddrmsg *ifa;
	int rc;

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = a->family;
	ifa->ifa_prefixlen = prefix_len;
	ifa->ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0;
	ifa->ifa_index = ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, bytes, a->bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, bytes, a->bytes);
	rc = request(nl, nlh, NULL, NULL);
	return rc ? kbp_failf(err, rc, strerror(-rc), "add an IPv%c address to interface %u",
			      a->family == AF_INET ? '4' : '6', ifindex) :
		    0;
}

int kbp_lab_link_add_multicast_route(struct mnl_socket *nl, uint32_t ifindex, struct kbp_error *err)
{
	static const uint8_t groups[4] = { 224, 0, 0, 0 };
	char buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;
	int rc;

	nlh->nlmsg_type = RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 4;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_BOOT;
	rtm->rtm_scope = RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, sizeof(groups), groups);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	rc = request(nl, nlh, NULL, NULL);
	return rc ? kbp_failf(err, rc, strerror(-rc), "route 224.0.0.0/4 to interface %u", ifindex) :
		    0;
}

int kbp_lab_link_no_tx_checksum_offload(struct mnl_socket *nl, const char *ifname,
					struct kbp_error *err)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
	struct ifreq ifr = { .ifr_data = (void *)&off };

	/* netdevice(7): any socket will do, and this one is in the right namespace */
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(mnl_socket_get_fd(nl), SIOCETHTOOL, &ifr))
		return kbp_failf(err, -errno, strerror(errno),
				 "switch off TX checksum offload of %s", ifname);
	return 0;
}
