/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_port.c - ports of the dpdk module: which device a name means, and getting it from DPDK.
 *
 *   0000:03:00.0, 03:00.0   a PCI device that is bound for DPDK, or bifurcated
 *   an interface            the same by its name; one without a PCI device, or with the word pmd=: a virtual
 *                           device over it (net_af_packet, net_af_xdp)
 *   net_ring0, net_memif0   a virtual device
 *   any name DPDK has       a device that the program made itself
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "dpdk.h"
#include "dpdk_eal.h"

#define TICK_MS 100 /* how often the monitor looks at the link of a device the kernel has not */
#define AF_PACKET_FRAMES 2048u
#define AF_PACKET_BLOCK 65536u
#define EAL_BYTES \
	(8u << 20) /* what EAL, ethdev and a PMD take besides buffers: measured 3 to 6 MiB */

/* ---------------------------------------------------------------- words */

struct words {
	char eal[512];
	char pmd[64];
	char devargs[256];
};

static int word_read(struct kbp_dpdk_port *e, struct words *w, const char *word)
{
	unsigned n;
	char end;

	if (!strncmp(word, "pmd=", 4))
		snprintf(w->pmd, sizeof(w->pmd), "%s%s", strncmp(word + 4, "net_", 4) ? "net_" : "",
			 word + 4);
	else if (!strncmp(word, "devargs=", 8))
		snprintf(w->devargs, sizeof(w->devargs), "%s", word + 8);
	else if (sscanf(word, "queues=%u%c", &n, &end) == 1 && n && n <= KBP_DPDK_QUEUES)
		e->n_queues = (uint16_t)n;
	else if (sscanf(word, "mtu=%u%c", &n, &end) == 1 && n >= 68 && n <= 9600)
		e->want_mtu = (uint16_t)n;
	else if (!strcmp(word, "match=off"))
		e->match = false;
	else if (!strcmp(word, "isolate"))
		e->isolated = true;
	else if (!strcmp(word, "reports") ||
		 sscanf(word, "reports=%hhu.%hhu.%hhu.%hhu%c", &e->report_ip4[0], &e->report_ip4[1],
			&e->report_ip4[2], &e->report_ip4[3], &end) == 4)
		e->want_reports = true;
	else
		return -EINVAL;
	return 0;
}

/* Ours by name; whatever begins with a dash is EAL's, with the word behind it when that is none of ours. */
static int words_read(struct kbp_port *p, struct words *w, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = p->priv;
	char *text = strdup(p->opts.args), *rest = text;
	bool eal = false;
	int rc = text ? 0 : kbp_fail(err, -ENOMEM, "open a dpdk port", "out of memory");

	for (char *word; !rc && (word = strsep(&rest, " \t\n"));) {
		size_t at = strlen(w->eal);

		if (!*word)
			continue;
		if (*word != '-' && !word_read(e, w, word)) {
			eal = false;
			continue;
		}
		if (*word != '-' && !eal)
			rc = kbp_failf(
				err, -EINVAL,
				"words are: pmd=NAME, devargs=KEY=VALUE[,...], queues=1..64, mtu=68..9600, "
				"match=off, isolate, reports[=ADDRESS], and EAL's own arguments, which begin with a dash",
				"read \"%.40s\" among the words of dpdk port %s", word,
				p->info.interface);
		else if (at + strlen(word) + 2 > sizeof(w->eal))
			rc = kbp_fail(err, -E2BIG, "open a dpdk port", "its args are too long");
		else
			snprintf(w->eal + at, sizeof(w->eal) - at, "%s%s", at ? " " : "", word);
		eal = *word == '-';
	}
	free(text);
	if (!rc && e->want_reports && (!e->match || e->isolated))
		rc = kbp_fail(err, -EINVAL, "read the words of a dpdk port",
			      "\"reports\" answers queries, which neither \"match=off\" nor \"isolate\" lets this "
			      "library see");
	if (!rc && e->want_mtu && p->info.ifindex)
		rc = kbp_failf(err, -EINVAL, "the kernel has this interface: ip link set IFACE mtu N",
			       "set the MTU of %s by a word", p->info.interface);
	return rc;
}

/* ---------------------------------------------------------------- which device */

struct device {
	bool existing;
	bool is_pci;
	struct kbp_dpdk_pci pci;
	char name[64];	   /* DPDK's */
	char devargs[384]; /* of a virtual one */
};

static bool is_vdev_name(const char *name)
{
	return !strncmp(name, "net_", 4) || !strncmp(name, "eth_", 4);
}

/* The PMD's library, by the name of a device: "net_virtio_user0" is librte_net_virtio's. */
static int pmd_check(const char *name, struct kbp_error *err)
{
	char pmd[64];
	size_t n;

	snprintf(pmd, sizeof(pmd), "%s", name);
	n = strlen(pmd);
	while (n && isdigit((unsigned char)pmd[n - 1]))
		pmd[--n] = '\0';
	if (!strcmp(pmd, "net_virtio_user"))
		snprintf(pmd, sizeof(pmd), "net_virtio");
	return kbp_dpdk_pmd_check(RTE_EAL_PMD_PATH, pmd, err);
}

static uint32_t pow2_above(uint32_t n)
{
	uint32_t v = 1;

	while (v < n)
		v <<= 1;
	return v;
}

/* A virtual device over an interface of the kernel's. */
static int over_interface(struct kbp_port *p, const struct words *w, struct device *d,
			  struct kbp_error *err)
{
	static unsigned number;
	struct kbp_dpdk_port *e = p->priv;
	const char *pmd = w->pmd[0] ? w->pmd : "net_af_packet";
	uint32_t frame =
		pow2_above(p->info.mtu + 14u + 4u + 128u); /* TPACKET2_HDRLEN and a tag besides */
	int rc = pmd_check(pmd, err), n;

	if (rc)
		return rc;
	frame = frame < 2048 ? 2048 : frame;
	snprintf(d->name, sizeof(d->name), "%.40s_kbp%u", pmd,
		 __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED));
	n = snprintf(d->devargs, sizeof(d->devargs), "iface=%s", p->info.interface);
	/* what the user says comes last and counts; where it says the same, ours is left out */
	if (!strcmp(pmd, "net_af_packet") && !strstr(w->devargs, "framesz")) {
		n += snprintf(d->devargs + n, sizeof(d->devargs) - (size_t)n,
			      ",qpairs=%u,framesz=%u,blocksz=%u,framecnt=%u", e->n_queues, frame,
			      frame < AF_PACKET_BLOCK ? AF_PACKET_BLOCK : frame, AF_PACKET_FRAMES);
		e->least_buf = frame; /* it does not cut frames into parts */
	}
	if (!strcmp(pmd, "net_af_xdp")) {
		n += snprintf(d->devargs + n, sizeof(d->devargs) - (size_t)n, ",queue_count=%u",
			      e->n_queues);
		/* its busy polling costs every empty poll a system call, whether or not the driver can */
		if (!strstr(w->devargs, "busy_budget"))
			n += snprintf(d->devargs + n, sizeof(d->devargs) - (size_t)n,
				      ",busy_budget=0");
	}
	if (w->devargs[0])
		snprintf(d->devargs + n, sizeof(d->devargs) - (size_t)n, ",%s", w->devargs);
	return 0;
}

static int pci_find(struct kbp_port *p, const char *address, struct device *d, struct kbp_error *err)
{
	int rc = kbp_dpdk_pci_find("", address, &d->pci, err);

	if (rc)
		return rc;
	d->is_pci = true;
	snprintf(d->name, sizeof(d->name), "%s", d->pci.addr);
	rc = kbp_dpdk_pci_usable("", &d->pci, geteuid() == 0, err);
	if (rc)
		return rc;
	((struct kbp_dpdk_port *)p->priv)->bifurcated = d->pci.bifurcated;
	return 0;
}

static bool looks_like_pci(const char *name)
{
	unsigned v[4];
	char end;

	return sscanf(name, "%x:%x:%x.%x%c", &v[0], &v[1], &v[2], &v[3], &end) == 4 ||
	       sscanf(name, "%x:%x.%x%c", &v[0], &v[1], &v[2], &end) == 3;
}

/* The PCI address behind an interface, "" for one without. By ethtool: /sys shows the namespace it was mounted
 * in. */
static void interface_address(const char *ifname, char *address, size_t size)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };

	address[0] = '\0';
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%.15s", ifname);
	req.ifr_data = (void *)&info;
	if (fd >= 0 && !ioctl(fd, SIOCETHTOOL, &req) && looks_like_pci(info.bus_info))
		snprintf(address, size, "%s", info.bus_info);
	if (fd >= 0)
		close(fd);
}

static int device_find(struct kbp_port *p, const struct words *w, struct device *d,
		       struct kbp_error *err)
{
	const char *name = p->info.interface;
	char address[32];
	uint16_t id;
	int rc;

	if (!rte_eth_dev_get_port_by_name(name, &id)) {
		d->existing = true;
		snprintf(d->name, sizeof(d->name), "%s", name);
		return 0;
	}
	if (p->info.ifindex && w->pmd[0])
		return over_interface(p, w, d, err);
	if (p->info.ifindex) {
		interface_address(name, address, sizeof(address));
		return address[0] ? pci_find(p, address, d, err) : over_interface(p, w, d, err);
	}
	if (looks_like_pci(name))
		return pci_find(p, name, d, err);
	if (!is_vdev_name(name))
		return kbp_failf(
			err, -ENODEV,
			"it is no interface in this network namespace (ip link lists them), no PCI "
			"address (lspci -D lists them) and no virtual device of DPDK's (net_ring0, "
			"net_memif0, ...)",
			"open dpdk on %s", name);
	rc = pmd_check(name, err);
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->devargs, sizeof(d->devargs), "%s", w->devargs);
	return rc;
}

/* ---------------------------------------------------------------- sockets of a PMD */

static void sockets_list(int *fd, unsigned *n, unsigned max)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *at;

	*n = 0;
	while (dir && (at = readdir(dir)) && *n < max) {
		int f = atoi(at->d_name), family;
		socklen_t len = sizeof(family);

		if (isdigit((unsigned char)at->d_name[0]) &&
		    !getsockopt(f, SOL_SOCKET, SO_DOMAIN, &family, &len) &&
		    (family == AF_PACKET || family == AF_XDP))
			fd[(*n)++] = f;
	}
	if (dir)
		closedir(dir);
}

void kbp_dpdk_sockets_before(struct kbp_dpdk_before *b)
{
	sockets_list(b->fd, &b->n, KBP_ARRAY_SIZE(b->fd));
}

/* Those that are there now and were not before are the PMD's; of AF_PACKET only those on our interface. */
void kbp_dpdk_sockets_after(const struct kbp_dpdk_before *b, struct kbp_port *p)
{
	struct kbp_dpdk_port *e = p->priv;
	const int one = 1;
	int fd[256];
	unsigned n;

	sockets_list(fd, &n, KBP_ARRAY_SIZE(fd));
	for (unsigned i = 0; i < n && e->n_sock < KBP_DPDK_SOCKETS; i++) {
		struct sockaddr_ll ll = { 0 };
		socklen_t len = sizeof(ll);
		bool known = false;
		int family = 0;

		for (unsigned k = 0; k < b->n; k++)
			known |= b->fd[k] == fd[i];
		for (unsigned k = 0; k < e->n_sock; k++)
			known |= e->sock[k].fd == fd[i];
		if (known)
			continue;
		len = sizeof(family);
		getsockopt(fd[i], SOL_SOCKET, SO_DOMAIN, &family, &len);
		len = sizeof(ll);
		if (family == AF_PACKET && (getsockname(fd[i], (struct sockaddr *)&ll, &len) ||
					    (uint32_t)ll.sll_ifindex != p->info.ifindex))
			continue;
		/* what the host sends is not received, and the PMD does not say so */
		if (family == AF_PACKET)
			setsockopt(fd[i], SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
		e->sock[e->n_sock++] = (struct kbp_dpdk_socket){ .fd = fd[i], .family = family };
	}
}

/* ---------------------------------------------------------------- open */

/* Drivers return -1 for whatever went wrong, which is -EPERM: what they said decides, or trying it ourselves. */
static bool denied(const struct kbp_port *p, int rc, const char *said)
{
	bool no;
	int fd;

	if (rc == -EACCES || strstr(said, "not permitted") || strstr(said, "ermission denied"))
		return true;
	if (!p->info.ifindex)
		return false;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	no = fd < 0 && errno == EPERM;
	if (fd >= 0)
		close(fd);
	return no;
}

static int probe_failed(const struct kbp_port *p, const struct device *d, int rc,
			struct kbp_error *err)
{
	const char *said = kbp_dpdk_said(), *last, *at;
	struct kbp_dpdk_need need = { .node = -1,
				      .no_huge = !kbp_dpdk_eal_huge(),
				      .privileged = geteuid() == 0,
				      .pci = d->is_pci ? &d->pci : NULL,
				      .pmd_dir = RTE_EAL_PMD_PATH };
	char line[200];

	if (d->is_pci)
		return kbp_dpdk_explain_no_port("", said, &need, err);
	/* the first complaint is the cause, what follows are its consequences */
	for (at = kbp_dpdk_said_error(); *at && isspace((unsigned char)*at); at++)
		;
	last = *at ? at : "DPDK did not say why";
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(last, "\n"), last);
	if (denied(p, rc, said))
		return kbp_failf(
			err, -EPERM,
			"it needs privilege: CAP_NET_RAW for net_af_packet; CAP_NET_ADMIN, CAP_BPF and "
			"CAP_NET_RAW for net_af_xdp; run as root",
			"make the virtual device %s over %s", d->name, p->info.interface);
	return kbp_failf(err, rc && rc != -1 ? rc : -ENODEV, line,
			 "make the virtual device %s (%.40s)", d->name, d->devargs);
}

static int probe(struct kbp_port *p, const struct device *d, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = p->priv;
	struct kbp_dpdk_before before;
	char text[512];
	int rc;

	snprintf(e->name, sizeof(e->name), "%s", d->name);
	/* at the start of EAL, or as another port of ours; then it is somebody's */
	if (!rte_eth_dev_get_port_by_name(d->name, &e->id)) {
		e->ours = !d->existing && kbp_dpdk_eal_ours();
		return 0;
	}
	snprintf(text, sizeof(text), "%s%s%s", d->name, d->devargs[0] ? "," : "", d->devargs);
	kbp_dpdk_said_begin();
	kbp_dpdk_sockets_before(&before);
	rc = rte_dev_probe(text);
	if (rc || rte_eth_dev_get_port_by_name(d->name, &e->id))
		return probe_failed(p, d, rc, err);
	kbp_dpdk_sockets_after(&before, p);
	e->ours = true;
	return 0;
}

/* ---------------------------------------------------------------- what the device is */

/* Device drivers with a hypervisor or nothing behind them. */
static bool is_virtual(const struct device *d, const char *driver)
{
	return !d->is_pci || !strcmp(driver, "net_virtio") || !strcmp(driver, "net_vmxnet3") ||
	       !strcmp(driver, "net_avp");
}

static enum kbp_mode mode_of(const struct device *d, const char *driver)
{
	if (d->is_pci)
		return KBP_MODE_ZEROCOPY;
	if (!strcmp(driver, "net_af_packet") || !strcmp(driver, "net_tap") ||
	    !strcmp(driver, "net_pcap"))
		return KBP_MODE_KERNEL;
	if (!strcmp(driver, "net_af_xdp"))
		return KBP_MODE_COPY; /* at the least: the PMD does not say which it got */
	return KBP_MODE_EMULATED;
}

static int facts_read(struct kbp_port *p, const struct device *d, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	const char *driver;
	struct rte_ether_addr mac;
	int rc = rte_eth_dev_info_get(e->id, &e->dev);
	uint16_t mtu;

	if (rc)
		return kbp_failf(err, rc, strerror(-rc), "ask DPDK what %s is", d->name);
	driver = e->dev.driver_name ? e->dev.driver_name : "";
	if (p->info.ifindex)
		e->want_reports = false; /* the kernel has the interface, and joins */
	if (e->n_queues > e->dev.max_rx_queues || e->n_queues + e->want_reports > e->dev.max_tx_queues)
		return kbp_failf(err, -EINVAL,
				 e->want_reports ?
					 "reports of our own take a TX queue more: fewer queues=, or "
					 "configure the switch by hand" :
					 "give a smaller queues=",
				 "open %s: %s has %u RX and %u TX queues", p->info.interface,
				 driver, e->dev.max_rx_queues, e->dev.max_tx_queues);
	if (d->is_pci && e->want_mtu > e->dev.max_mtu)
		return kbp_failf(err, -EINVAL,
				 "give a smaller mtu=", "open %s: %s takes an MTU of %u",
				 p->info.interface, driver, e->dev.max_mtu);
	snprintf(p->info.driver, sizeof(p->info.driver), "%s", driver);
	if (!p->info.ifindex && !rte_eth_macaddr_get(e->id, &mac))
		memcpy(p->info.mac, mac.addr_bytes, 6);
	if (!p->info.ifindex && !rte_eth_dev_get_mtu(e->id, &mtu))
		p->info.mtu = mtu ? mtu : 1500;
	if (!p->info.ifindex && e->want_mtu)
		p->info.mtu = e->want_mtu;
	if (!p->info.ifindex) {
		p->info.virtual_device = is_virtual(d, driver);
		p->info.numa_node = rte_eth_dev_socket_id(e->id);
	}
	p->info.rx_channels = p->info.tx_channels = e->n_queues;
	p->info.achieved = mode_of(d, driver);
	p->info.proof = KBP_BOUND;
	snprintf(p->info.note, sizeof(p->info.note), "%s", kbp_dpdk_eal_note());
	return 0;
}

/* ---------------------------------------------------------------- events of the device */

/* On EAL's interrupt thread. A reset device has to be set up anew, all queues of it: that is closing it. */
static int on_event(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct kbp_dpdk_port *e = arg;

	(void)id;
	(void)type;
	(void)ret;
	__atomic_store_n(&e->removed, true, __ATOMIC_RELAXED);
	return 0;
}

static void events_watch(struct kbp_dpdk_port *e, bool on)
{
	static const enum rte_eth_event_type types[] = { RTE_ETH_EVENT_INTR_RMV,
							 RTE_ETH_EVENT_INTR_RESET };

	for (size_t i = 0; i < KBP_ARRAY_SIZE(types); i++) {
		if (on)
			rte_eth_dev_callback_register(e->id, types[i], on_event, e);
		while (!on && rte_eth_dev_callback_unregister(e->id, types[i], on_event, e) == -EAGAIN)
			sched_yield(); /* it is running */
	}
}

static void port_check(struct kbp_port *p)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct rte_eth_link link = { 0 };

	kbp_dpdk_reports_service(p);
	if (p->info.ifindex && !__atomic_load_n(&e->removed, __ATOMIC_RELAXED))
		return; /* the kernel tells of its link */
	if (!e->started)
		return;
	if (!e->removed)
		rte_eth_link_get_nowait(e->id, &link);
	for (const struct kbp_queue_cold *c = p->queues; c; c = c->next)
		kbp_queue_set_state(c->q, e->removed	   ? KBP_QUEUE_GONE :
					  link.link_status ? KBP_QUEUE_UP :
							     KBP_QUEUE_LINK_DOWN);
}

/* ---------------------------------------------------------------- open and close */

/* The libraries under net_af_xdp print what they think, unless they are told where to. */
static int libbpf_says(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[256];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	(void)level;
	while (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
		text[--n] = '\0';
	kbp_log(KBP_LOG_DEBUG, "%s", text);
	return n;
}

static int libxdp_says(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return libbpf_says(LIBBPF_DEBUG, fmt, ap);
}

static int device_own(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct rte_eth_dev_owner owner = { .name = "kbypass" };

	if (rte_eth_dev_owner_new(&owner.id) || rte_eth_dev_owner_set(e->id, &owner)) {
		e->ours = false;
		return kbp_failf(err, -EBUSY,
				 "another port of this process has it, or the program itself",
				 "open dpdk on %s", p->info.interface);
	}
	e->owner = owner.id;
	events_watch(e, true);
	return 0;
}

static void device_close(struct kbp_dpdk_port *e)
{
	struct rte_eth_dev_info info;

	if (!e->owner)
		return;
	events_watch(e, false);
	rte_eth_dev_owner_unset(e->id, e->owner);
	e->owner = 0;
	if (e->ours && !rte_eth_dev_info_get(e->id, &info)) {
		rte_eth_dev_close(e->id);
		rte_dev_remove(info.device);
	}
	kbp_dpdk_pools_free(e);
}

static int device_open(struct kbp_port *p, const struct words *w, struct device *d,
		       struct kbp_error *err)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);
	struct kbp_dpdk_want want = { .args = w->eal,
				      .node = d->is_pci ? d->pci.node : -1,
				      .pci = d->is_pci ? &d->pci : NULL,
				      .strict = p->opts.flags & KBP_PORT_STRICT,
				      .no_huge = p->opts.flags & KBP_PORT_NO_HUGEPAGES };
	int rc;

	libbpf_set_print(libbpf_says);
	libxdp_set_print(libxdp_says);
	want.bytes = EAL_BYTES + e->n_queues * kbp_dpdk_queue_bytes(2048, 1024, 256,
								    kbp_dpdk_buf_bytes(p, false));
	rc = kbp_dpdk_eal_start(&want, err);
	if (!rc)
		rc = probe(p, d, err);
	if (rc)
		return rc;
	rc = device_own(p, err);
	if (rc)
		return rc;
	rc = facts_read(p, d, err);
	if (rc)
		return rc;
	if (e->want_reports) {
		e->reports = calloc(1, sizeof(*e->reports));
		if (!e->reports)
			return kbp_fail(err, -ENOMEM, "open a dpdk port", "out of memory");
		kbp_reports_init(e->reports, p->info.mac, e->report_ip4);
	}
	return 0;
}

static int port_open(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_dpdk_port *e = calloc(1, sizeof(*e));
	struct words w = { 0 };
	struct device d = { 0 };
	int rc;

	if (!e)
		return kbp_fail(err, -ENOMEM, "open a dpdk port", "out of memory");
	p->priv = e;
	e->n_queues = 1;
	e->match = true;
	rc = words_read(p, &w, err);
	if (!rc)
		rc = device_find(p, &w, &d, err);
	if (!rc) {
		kbp_dpdk_lock();
		rc = device_open(p, &w, &d, err);
		if (rc)
			device_close(e);
		kbp_dpdk_unlock();
	}
	if (rc) {
		free(e);
		p->priv = NULL;
	}
	return rc;
}

static void port_close(struct kbp_port *p)
{
	struct kbp_dpdk_port *e = kbp_dpdk_port(p);

	kbp_dpdk_lock();
	device_close(e);
	kbp_dpdk_unlock();
	kbp_dpdk_flows_free(e);
	free(e->reports);
	free(e);
}

/* Without rules the device spreads frames over all of its queues by a hash. */
static unsigned port_channels(const struct kbp_port *p)
{
	return kbp_dpdk_port(p)->n_queues;
}

/* ---------------------------------------------------------------- the module */

const struct kbp_backend kbp_backend_dpdk = {
	.name = "dpdk",
	.kind = KBP_DPDK,
	.l2 = true,
	.no_device = true,
	.port_open = port_open,
	.port_close = port_close,
	.port_channels = port_channels,
	.port_check = port_check,
	.tick_ms = TICK_MS,
	.queue_open = kbp_dpdk_queue_open,
	.queue_close = kbp_dpdk_queue_close,
	.queue_drain = kbp_dpdk_queue_drain,
	.queue_reserved = kbp_dpdk_queue_reserved,
	.queue_info = kbp_dpdk_queue_info,
	.queue_pending = kbp_dpdk_queue_pending,
	.queue_counters = kbp_dpdk_queue_counters,
	.flow_add = kbp_dpdk_flow_add,
	.flow_del = kbp_dpdk_flow_del,
	.flow_join = kbp_dpdk_flow_join,
	.flow_leave = kbp_dpdk_flow_leave,
	.txflow_open = kbp_dpdk_txflow_open,
	.template_open = kbp_dpdk_template_open,
	.template_busy = kbp_dpdk_template_busy,
	.template_send = kbp_dpdk_template_send,
	.template_close = kbp_dpdk_template_close,
};

KBP_MODULE(kbp_backend_dpdk);
