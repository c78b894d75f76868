/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.c - facts of an interface, by netlink and ioctl.
 *
 * Not from sysfs: /sys shows the namespace it was mounted in, which need not be ours. The NUMA node
 * is known nowhere else, so that one is read there when the interface it shows is the same.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"
#include "netlink.h"

#define LOWER_MAX 4 /* VLANs stacked on VLANs */

/* What RTM_NEWLINK says. */
struct link_facts {
	uint32_t ifindex;
	uint32_t flags;
	uint32_t mtu;
	uint32_t rx_queues, tx_queues;
	uint32_t lower; /* the interface this one lies on, in the same namespace; 0: none */
	uint16_t vlan;
	uint8_t mac[6];
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "vlan", ...; "" for a device with a driver of its own */
};

static uint32_t attr_u32(const struct rtattr *a, uint32_t otherwise)
{
	uint32_t v;

	if (!a)
		return otherwise;
	memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static void attr_text(const struct rtattr *a, char *to, size_t size)
{
	size_t n = a ? RTA_PAYLOAD(a) : 0;

	if (n >= size)
		n = size - 1;
	if (n)
		memcpy(to, RTA_DATA(a), n);
	to[n] = '\0';
}

static void facts_read(const struct nlmsghdr *h, struct link_facts *f)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *info = kbp_nl_attr(h, sizeof(*ifi), IFLA_LINKINFO, 0);
	const struct rtattr *mac = kbp_nl_attr(h, sizeof(*ifi), IFLA_ADDRESS, sizeof(f->mac));
	const struct rtattr *vlan;

	memset(f, 0, sizeof(*f));
	f->ifindex = (uint32_t)ifi->ifi_index;
	f->flags = ifi->ifi_flags;
	f->mtu = attr_u32(kbp_nl_attr(h, sizeof(*ifi), IFLA_MTU, 4), 0);
	f->rx_queues = attr_u32(kbp_nl_attr(h, sizeof(*ifi), IFLA_NUM_RX_QUEUES, 4), 1);
	f->tx_queues = attr_u32(kbp_nl_attr(h, sizeof(*ifi), IFLA_NUM_TX_QUEUES, 4), 1);
	if (!kbp_nl_attr(h, sizeof(*ifi), IFLA_LINK_NETNSID, 4))
		f->lower = attr_u32(kbp_nl_attr(h, sizeof(*ifi), IFLA_LINK, 4), 0);
	if (mac)
		memcpy(f->mac, RTA_DATA(mac), sizeof(f->mac));
	attr_text(kbp_nl_attr(h, sizeof(*ifi), IFLA_IFNAME, 1), f->name, sizeof(f->name));
	attr_text(kbp_nl_nested(info, IFLA_INFO_KIND, 1), f->kind, sizeof(f->kind));
	vlan = kbp_nl_nested(kbp_nl_nested(info, IFLA_INFO_DATA, 0), IFLA_VLAN_ID, sizeof(f->vlan));
	if (!strcmp(f->kind, "vlan") && vlan)
		memcpy(&f->vlan, RTA_DATA(vlan), sizeof(f->vlan));
}

static int facts_take(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWLINK && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		facts_read(h, arg);
	return 0;
}

/* By name, or by index when ifname is NULL. */
static int facts_ask(int nl, const char *ifname, uint32_t ifindex, struct link_facts *f)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct kbp_nl req;
	int rc;

	kbp_nl_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	if (ifname)
		kbp_nl_put(&req, IFLA_IFNAME, ifname, strlen(ifname) + 1);
	f->ifindex = 0;
	rc = kbp_nl_ask(nl, &req, facts_take, f);
	if (rc)
		return rc;
	return f->ifindex ? 0 : -ENODEV;
}

static int ethtool(int fd, const char *ifname, void *cmd)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ifr.ifr_data = cmd;
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

/* Devices without hardware behind them, or with a hypervisor in between. */
static bool is_virtual(const struct link_facts *f, const char *driver, const char *bus)
{
	static const char *const drivers[] = { "virtio_net", "xen_netfront", "vif",
					       "hv_netvsc",  "vmxnet3",	     "netvsc",
					       "netdevsim",  "tun",	     "veth" };

	if (f->kind[0] || f->flags & IFF_LOOPBACK || !bus[0])
		return true;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(drivers); i++)
		if (!strcmp(driver, drivers[i]))
			return true;
	return false;
}

static int32_t numa_node(const char *ifname, uint32_t ifindex)
{
	char path[64];
	unsigned shown = 0;
	int node = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", ifname);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%u", &shown) != 1)
		shown = 0;
	fclose(f);
	if (shown != ifindex)
		return -1;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/numa_node", ifname);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &node) != 1)
		node = -1;
	fclose(f);
	return node;
}

static void channels_read(int fd, const struct link_facts *f, struct kbp_link *l)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };

	/* the queues the device was made with; fewer may be in use, which only the driver says */
	l->rx_channels = f->rx_queues;
	l->tx_channels = f->tx_queues;
	if (ethtool(fd, f->name, &ch))
		return;
	if (ch.rx_count + ch.combined_count)
		l->rx_channels = ch.rx_count + ch.combined_count;
	if (ch.tx_count + ch.combined_count)
		l->tx_channels = ch.tx_count + ch.combined_count;
}

/* include/uapi/linux/ethtool.h: ETH_FLAG_RXVLAN */
static bool strips_vlan(int fd, const char *ifname)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GFLAGS };

	return !ethtool(fd, ifname, &v) && v.data & ETH_FLAG_RXVLAN;
}

static int32_t phc_read(int fd, const char *ifname)
{
	struct ethtool_ts_info info = { .cmd = ETHTOOL_GET_TS_INFO };

	return ethtool(fd, ifname, &info) ? -1 : info.phc_index;
}

/* A VLAN interface is as real as what it lies on. */
static void lowest(int nl, const struct link_facts *top, struct link_facts *f)
{
	*f = *top;
	for (int i = 0; i < LOWER_MAX && !strcmp(f->kind, "vlan") && f->lower; i++) {
		struct link_facts under = { 0 };

		if (facts_ask(nl, NULL, f->lower, &under))
			return;
		*f = under;
	}
}

static void driver_read(int fd, int nl, const struct link_facts *f, struct kbp_link *l)
{
	struct ethtool_drvinfo own = { .cmd = ETHTOOL_GDRVINFO }, real = { .cmd = ETHTOOL_GDRVINFO };
	struct link_facts device;

	if (!ethtool(fd, f->name, &own))
		snprintf(l->driver, sizeof(l->driver), "%s", own.driver);
	lowest(nl, f, &device);
	if (ethtool(fd, device.name, &real))
		memset(&real, 0, sizeof(real));
	/* "N/A" is what drivers without a bus write (bridge, tun) */
	if (!strcmp(real.bus_info, "N/A"))
		real.bus_info[0] = '\0';
	l->virtual_device = is_virtual(&device, real.driver, real.bus_info);
	l->numa_node = numa_node(device.name, device.ifindex);
}

int kbp_link_read(const char *ifname, struct kbp_link *l, struct kbp_error *err)
{
	int nl = -1, fd = -1, rc;
	struct link_facts f;

	memset(l, 0, sizeof(*l));
	l->numa_node = l->phc = -1;
	if (!ifname[0] || strlen(ifname) >= IFNAMSIZ)
		return kbp_failf(err, -ENODEV, "a name has 1 to 15 characters",
				 "read interface %.40s", ifname);
	nl = kbp_nl_socket();
	if (nl < 0)
		return kbp_failf(err, nl, strerror(-nl), "read interface %s: netlink", ifname);
	rc = facts_ask(nl, ifname, 0, &f);
	fd = rc ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!rc && fd < 0)
		rc = -errno;
	if (!rc) {
		l->ifindex = f.ifindex;
		memcpy(l->mac, f.mac, sizeof(l->mac));
		l->mtu = f.mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)f.mtu;
		l->running = (f.flags & IFF_UP) && (f.flags & IFF_RUNNING);
		driver_read(fd, nl, &f, l);
		channels_read(fd, &f, l);
		l->strips_vlan = strips_vlan(fd, f.name);
		l->phc = phc_read(fd, f.name);
	}
	if (fd >= 0)
		close(fd);
	close(nl);
	if (rc == -ENODEV)
		return kbp_failf(
			err, rc,
			"there is no such interface in this network namespace: ip link lists them",
			"read interface %s", ifname);
	return rc ? kbp_failf(err, rc, strerror(-rc), "read interface %s", ifname) : 0;
}

/* ---------------------------------------------------------------- the NIC's stamping */

static int hwtstamp(int fd, unsigned long request, uint32_t ifindex, struct hwtstamp_config *c)
{
	struct ifreq ifr = { .ifr_ifindex = (int)ifindex };

	if (ioctl(fd, SIOCGIFNAME, &ifr)) /* it may have been renamed */
		return -errno;
	ifr.ifr_data = (void *)c;
	return ioctl(fd, request, &ifr) ? -errno : 0;
}

static const char *stamping_refused(int rc)
{
	switch (rc) {
	case -EOPNOTSUPP:
		return "its driver has no NIC stamps";
	case -ERANGE:
		return "the NIC cannot stamp all frames";
	case -EPERM:
		return "the NIC's stamping needs CAP_NET_ADMIN: run as root";
	default:
		return strerror(-rc);
	}
}

/* Documentation/networking/timestamping.rst, 3: a driver may answer with more than was asked for. */
int kbp_link_stamping_on(const char *ifname, struct kbp_stamping *s, char *why, size_t size)
{
	struct hwtstamp_config want = { .tx_type = HWTSTAMP_TX_ON, .rx_filter = HWTSTAMP_FILTER_ALL };
	bool known;
	int rc;

	why[0] = '\0';
	s->ifindex = if_nametoindex(ifname);
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		rc = -errno;
		snprintf(why, size, "the NIC's stamping is not set: %s", strerror(-rc));
		return rc;
	}
	known = !hwtstamp(s->fd, SIOCGHWTSTAMP, s->ifindex, &s->before);
	if (known && s->before.tx_type != HWTSTAMP_TX_OFF) {
		want.tx_type = s->before.tx_type; /* a one-step clock stamps as well */
		if (s->before.rx_filter == HWTSTAMP_FILTER_ALL) {
			rc = 0;
			goto leave;
		}
	}
	rc = hwtstamp(s->fd, SIOCSHWTSTAMP, s->ifindex, &want);
	if (!rc && want.rx_filter != HWTSTAMP_FILTER_ALL) {
		rc = -ERANGE;
		if (known)
			hwtstamp(s->fd, SIOCSHWTSTAMP, s->ifindex, &s->before);
	}
	if (rc)
		snprintf(why, size, "%s", stamping_refused(rc));
	else if (!known)
		snprintf(why, size,
			 "the NIC stamps all frames, and will afterwards: its setting cannot be read");
	s->ours = want;
	if (!rc && known)
		return 0;
leave:
	close(s->fd);
	s->fd = -1;
	return rc;
}

void kbp_link_stamping_restore(struct kbp_stamping *s)
{
	struct hwtstamp_config now = { 0 };

	if (s->fd < 0)
		return;
	if (!hwtstamp(s->fd, SIOCGHWTSTAMP, s->ifindex, &now) && now.tx_type == s->ours.tx_type &&
	    now.rx_filter == s->ours.rx_filter)
		hwtstamp(s->fd, SIOCSHWTSTAMP, s->ifindex, &s->before);
	close(s->fd);
	s->fd = -1;
}

/* ---------------------------------------------------------------- statistics */

static int stats_take(const struct nlmsghdr *h, void *arg)
{
	const struct rtattr *a;
	size_t n;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	a = kbp_nl_attr(h, sizeof(struct ifinfomsg), IFLA_STATS64, sizeof(uint64_t));
	if (!a)
		return -ENODATA;
	n = RTA_PAYLOAD(a);
	memcpy(arg, RTA_DATA(a),
	       n < sizeof(struct rtnl_link_stats64) ? n : sizeof(struct rtnl_link_stats64));
	return 0;
}

int kbp_link_stats(uint32_t ifindex, struct rtnl_link_stats64 *s)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct kbp_nl req;
	int nl = kbp_nl_socket(), rc;

	memset(s, 0, sizeof(*s));
	if (nl < 0)
		return nl;
	kbp_nl_begin(&req, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	rc = kbp_nl_ask(nl, &req, stats_take, s);
	close(nl);
	return rc;
}

/* Names and values are two lists of the driver's, in the same order (ETHTOOL_GSTRINGS, _GSTATS). */
static int driver_stats_read(int fd, const char *ifname, const char *name, uint64_t *value)
{
	union {
		struct ethtool_sset_info head;
		uint32_t word[sizeof(struct ethtool_sset_info) / sizeof(uint32_t) + 1]; /* and one count */
	} set = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_STATS } };
	struct ethtool_gstrings *names = NULL;
	struct ethtool_stats *values = NULL;
	int rc = ethtool(fd, ifname, &set) || !set.head.sset_mask ? -ENOENT : 0;
	uint32_t n = set.word[sizeof(set.head) / sizeof(uint32_t)];

	if (rc)
		return rc;
	names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + (size_t)n * sizeof(uint64_t));
	if (!names || !values) {
		rc = -ENOMEM;
		goto out;
	}
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = values->n_stats = n;
	values->cmd = ETHTOOL_GSTATS;
	rc = ethtool(fd, ifname, names) || ethtool(fd, ifname, values) ? -ENOENT : 0;
	for (uint32_t i = 0; !rc; i++) {
		if (i == n || i == names->len || i == values->n_stats) {
			rc = -ENOENT;
		} else if (!strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, name,
				    ETH_GSTRING_LEN)) {
			memcpy(value, (const uint8_t *)values->data + i * sizeof(*value),
			       sizeof(*value));
			break;
		}
	}
out:
	free(names);
	free(values);
	return rc;
}

int kbp_link_driver_stat(const char *ifname, const char *name, uint64_t *value)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	rc = driver_stats_read(fd, ifname, name, value);
	close(fd);
	return rc;
}

/* ---------------------------------------------------------------- VLAN interfaces */

struct vlan_search {
	uint32_t lower;
	uint16_t vlan;
	uint32_t found;
};

static int vlan_take(const struct nlmsghdr *h, void *arg)
{
	struct vlan_search *s = arg;
	struct link_facts f = { 0 };

	facts_take(h, &f);
	if (f.lower == s->lower && f.vlan == s->vlan)
		s->found = f.ifindex;
	return 0;
}

uint32_t kbp_link_vlan(uint32_t ifindex, uint16_t vlan)
{
	struct vlan_search s = { .lower = ifindex, .vlan = vlan };
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct kbp_nl req;
	int nl = kbp_nl_socket();

	if (nl < 0)
		return 0;
	kbp_nl_begin(&req, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi));
	kbp_nl_ask(nl, &req, vlan_take, &s);
	close(nl);
	return s.found;
}
