/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts_nic.c - an interface in the fingerprint: what it is, and how it is set, by ethtool's ioctls (linux/ethtool.h)
 * and by its place on the bus. Files under /sys/class/net would speak of the namespace that mounted them, not of the
 * one we are in; those of the bus have no namespace. And libraries, as they are loaded.
 */
#include <dirent.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <link.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/measure/host.h"

#define STRINGS_MAX 1024u /* features, private flags */
#define IRQS_MAX 512

struct nic {
	struct kbp_results *res;
	const char *prefix, *ifname;
	int fd;
};

/* 0, or -errno. `data` begins with its command. */
static int ask(const struct nic *n, void *data)
{
	struct ifreq req = { 0 };

	memcpy(req.ifr_name, n->ifname, strlen(n->ifname));
	req.ifr_data = data;
	return ioctl(n->fd, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

static const char *fact_name(const struct nic *n, const char *name, char buf[31])
{
	snprintf(buf, 31, "%s%s", n->prefix, name);
	return buf;
}

static void fact(const struct nic *n, const char *name, const char *text)
{
	char full[31];

	kbp_host_fact(n->res, fact_name(n, name, full), "%s", text);
}

/* A driver without such a call has nothing to set there; that is known. */
static void none_or_unknown(const struct nic *n, const char *name, int rc)
{
	char full[31];

	if (rc == -EOPNOTSUPP)
		fact(n, name, "none");
	else
		kbp_host_unknown(n->res, fact_name(n, name, full), "%s: %s", n->ifname,
				 strerror(-rc));
}

/* ---------------------------------------------------------------- how it is set */

static void ring_fact(const struct nic *n)
{
	struct ethtool_ringparam r = { .cmd = ETHTOOL_GRINGPARAM };
	char text[96];
	int rc = ask(n, &r);

	if (rc) {
		none_or_unknown(n, "ring", rc);
		return;
	}
	snprintf(text, sizeof(text), "rx %u of %u, tx %u of %u", r.rx_pending, r.rx_max_pending,
		 r.tx_pending, r.tx_max_pending);
	fact(n, "ring", text);
}

static void channels_fact(const struct nic *n)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };
	char text[96];
	int rc = ask(n, &c);

	if (rc) {
		none_or_unknown(n, "channels", rc);
		return;
	}
	snprintf(text, sizeof(text), "rx %u, tx %u, combined %u", c.rx_count, c.tx_count,
		 c.combined_count);
	fact(n, "channels", text);
}

static void coalesce_fact(const struct nic *n)
{
	struct ethtool_coalesce c = { .cmd = ETHTOOL_GCOALESCE };
	char text[192];
	int rc = ask(n, &c);

	if (rc) {
		none_or_unknown(n, "coalesce", rc);
		return;
	}
	snprintf(text, sizeof(text), "rx %u us %u frames, tx %u us %u frames, adaptive rx %s tx %s",
		 c.rx_coalesce_usecs, c.rx_max_coalesced_frames, c.tx_coalesce_usecs,
		 c.tx_max_coalesced_frames, c.use_adaptive_rx_coalesce ? "on" : "off",
		 c.use_adaptive_tx_coalesce ? "on" : "off");
	fact(n, "coalesce", text);
}

static void link_fact(const struct nic *n)
{
	struct ethtool_cmd c = { .cmd = ETHTOOL_GSET };
	char text[64];
	uint32_t mbps;
	int rc = ask(n, &c);

	if (rc) {
		none_or_unknown(n, "link", rc);
		return;
	}
	mbps = ethtool_cmd_speed(&c);
	if (mbps == (uint32_t)SPEED_UNKNOWN)
		snprintf(text, sizeof(text), "unknown: the driver does not say");
	else
		snprintf(text, sizeof(text), "%u Mb/s", mbps);
	fact(n, "link", text);
}

/* Names of what bits mean, ETH_GSTRING_LEN bytes each; the caller frees *names. How many, or -errno. */
static int strings_of(const struct nic *n, uint32_t set, struct ethtool_gstrings **names)
{
	union {
		struct ethtool_sset_info head;
		char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]; /* one count */
	} info = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << set } };
	struct ethtool_gstrings *s;
	uint32_t count;
	int rc = ask(n, &info);

	*names = NULL;
	memcpy(&count, info.room + sizeof(info.head), sizeof(count));
	if (rc || !info.head.sset_mask || !count || count > STRINGS_MAX)
		return rc ? rc : -EOPNOTSUPP;
	s = calloc(1, sizeof(*s) + ((size_t)count + 1) * ETH_GSTRING_LEN);
	if (!s)
		return -ENOMEM;
	s->cmd = ETHTOOL_GSTRINGS;
	s->string_set = set;
	s->len = count;
	rc = ask(n, s);
	if (rc) {
		free(s);
		return rc;
	}
	*names = s;
	return (int)count;
}

static void append(char *text, size_t size, const char *word)
{
	size_t at = strlen(text);

	if (at + 1 < size)
		snprintf(text + at, size - at, "%s%.32s", at ? " " : "", word);
}

static void offloads_fact(const struct nic *n)
{
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *f;
	char text[2000] = "", word[ETH_GSTRING_LEN + 1];
	int count = strings_of(n, ETH_SS_FEATURES, &names), rc = count < 0 ? count : -ENOMEM;
	uint32_t blocks = count < 0 ? 0 : ((uint32_t)count + 31) / 32;

	f = calloc(1, sizeof(*f) + blocks * sizeof(f->features[0]));
	if (f && count >= 0) {
		f->cmd = ETHTOOL_GFEATURES;
		f->size = blocks;
		rc = ask(n, f);
	}
	for (int i = 0; f && !rc && i < count; i++) {
		if (!(f->features[i / 32].active & 1u << i % 32))
			continue;
		snprintf(word, sizeof(word), "%.32s",
			 (const char *)names->data + (size_t)i * ETH_GSTRING_LEN);
		append(text, sizeof(text), word);
	}
	free(f);
	free(names);
	if (rc)
		none_or_unknown(n, "offloads", rc);
	else
		fact(n, "offloads", text[0] ? text : "none");
}

/* A driver's own switches, like mlx5's rx_striding_rq. */
static void private_flags_fact(const struct nic *n)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GPFLAGS };
	struct ethtool_gstrings *names;
	char text[1024] = "", word[ETH_GSTRING_LEN + 1];
	int count = strings_of(n, ETH_SS_PRIV_FLAGS, &names), rc = count < 0 ? count : ask(n, &v);

	for (int i = 0; !rc && i < count && i < 32; i++) {
		if (!(v.data & 1u << i))
			continue;
		snprintf(word, sizeof(word), "%.32s",
			 (const char *)names->data + (size_t)i * ETH_GSTRING_LEN);
		append(text, sizeof(text), word);
	}
	free(names);
	if (rc)
		none_or_unknown(n, "private_flags", rc);
	else
		fact(n, "private_flags", text[0] ? text : "none");
}

static void mtu_fact(const struct nic *n)
{
	struct ifreq req = { 0 };
	char full[31];

	memcpy(req.ifr_name, n->ifname, strlen(n->ifname));
	if (ioctl(n->fd, SIOCGIFMTU, &req) < 0)
		none_or_unknown(n, "mtu", -errno);
	else
		kbp_fact_literal(&n->res->fingerprint, &n->res->n_fingerprint,
				 fact_name(n, "mtu", full), "%d", req.ifr_mtu);
}

/* ---------------------------------------------------------------- where it is */

static bool is_pci(const char *bus)
{
	unsigned domain, slot, device, function;

	return sscanf(bus, "%x:%x:%x.%x", &domain, &slot, &device, &function) == 4;
}

/* "15b3:101d, subsystem 15b3:0043", as pci.ids has them. */
static void model_fact(const struct nic *n, const struct kbp_host *h, const char *bus)
{
	static const char *const files[] = { "vendor", "device", "subsystem_vendor",
					     "subsystem_device" };
	char id[4][16], text[96], full[31];

	for (size_t i = 0; i < 4; i++) {
		int rc = kbp_host_line(h, id[i], sizeof(id[i]), "/sys/bus/pci/devices/%s/%s", bus,
				       files[i]);

		if (rc) {
			kbp_host_unknown(n->res, fact_name(n, "model", full),
					 "/sys/bus/pci/devices/%s/%s: %s", bus, files[i],
					 strerror(-rc));
			return;
		}
	}
	for (size_t i = 0; i < 4; i++)
		if (!strncmp(id[i], "0x", 2))
			memmove(id[i], id[i] + 2, strlen(id[i] + 2) + 1);
	snprintf(text, sizeof(text), "%s:%s, subsystem %s:%s", id[0], id[1], id[2], id[3]);
	fact(n, "model", text);
}

static void node_fact(const struct nic *n, const struct kbp_host *h, const char *bus)
{
	char full[31];
	int64_t node;
	int rc = kbp_host_number(h, &node, "/sys/bus/pci/devices/%s/numa_node", bus);

	fact_name(n, "numa_node", full);
	if (rc)
		kbp_host_unknown(n->res, full, "/sys/bus/pci/devices/%s/numa_node: %s", bus,
				 strerror(-rc));
	else if (node < 0)
		kbp_host_fact(n->res, full,
			      "none"); /* the kernel's word for: the host has no such thing */
	else
		kbp_fact_literal(&n->res->fingerprint, &n->res->n_fingerprint, full, "%lld",
				 (long long)node);
}

/* ---------------------------------------------------------------- interrupts */

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Of a PCI device: the names in its directory msi_irqs are their numbers. */
static int irqs_of_pci(const struct kbp_host *h, const char *bus, int *irq)
{
	char path[KBP_HOST_PATH_MAX];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/msi_irqs", h->root, bus);
	d = opendir(path);
	if (!d)
		return -errno;
	while (n < IRQS_MAX && (e = readdir(d)) != NULL)
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			irq[n++] = (int)strtol(e->d_name, NULL, 10);
	closedir(d);
	return n;
}

/* Of others: the lines of /proc/interrupts that name the device, as "virtio0-input.0" does, or the interface. */
static int irqs_by_name(const struct kbp_host *h, const char *bus, const char *ifname, int *irq)
{
	FILE *f = kbp_host_open(h, "/proc/interrupts");
	char *line = NULL;
	size_t size = 0;
	int n = 0;

	if (!f)
		return -errno;
	while (n < IRQS_MAX && getline(&line, &size, f) > 0) {
		char *word, *end, *at, *last = NULL;
		long number = strtol(line, &end, 10);
		size_t len;

		if (end == line || *end != ':')
			continue;
		for (at = end + 1; (word = strsep(&at, " \t\n")) != NULL;)
			if (*word)
				last = word;
		if (!last)
			continue;
		len = strlen(bus);
		if (!len || strncmp(last, bus, len) != 0 || (last[len] && last[len] != '-')) {
			len = strlen(ifname);
			if (strncmp(last, ifname, len) != 0 || (last[len] && last[len] != '-'))
				continue;
		}
		irq[n++] = (int)number;
	}
	free(line);
	fclose(f);
	return n;
}

/* Numbers change with every boot; which CPUs they interrupt, in their order, is how the host is set. */
static void irq_facts(const struct nic *n, const struct kbp_host *h, const char *bus)
{
	static int irq[IRQS_MAX];
	char numbers[1000] = "", cpus[1000] = "", list[64], word[96], full[31];
	int found = is_pci(bus) ? irqs_of_pci(h, bus, irq) : -ENOENT;

	if (found == -ENOENT || !found)
		found = irqs_by_name(h, bus, n->ifname, irq);
	if (found > 0)
		qsort(irq, (size_t)found, sizeof(*irq), by_number);
	for (int i = 0; i < found; i++) {
		int rc = kbp_host_line(h, list, sizeof(list),
				       "/proc/irq/%d/effective_affinity_list", irq[i]);

		if (rc || !list[0])
			rc = kbp_host_line(h, list, sizeof(list), "/proc/irq/%d/smp_affinity_list",
					   irq[i]);
		if (rc)
			continue; /* allocated to the device, and not in use */
		snprintf(word, sizeof(word), "%d", irq[i]);
		append(numbers, sizeof(numbers), word);
		append(cpus, sizeof(cpus), list);
	}
	if (found < 0) {
		kbp_host_unknown(n->res, fact_name(n, "irqs", full), "%s", strerror(-found));
		kbp_host_unknown(n->res, fact_name(n, "irq_cpus", full), "%s", strerror(-found));
	} else if (!found && bus[0]) {
		kbp_host_unknown(n->res, fact_name(n, "irqs", full), "%s names none", bus);
		kbp_host_unknown(n->res, fact_name(n, "irq_cpus", full), "%s names none", bus);
	} else {
		fact(n, "irqs", numbers[0] ? numbers : "none");
		fact(n, "irq_cpus", cpus[0] ? cpus : "none");
	}
}

void kbp_nic_bus_facts(struct kbp_results *res, const struct kbp_host *h, const char *prefix,
		       const char *bus, const char *ifname)
{
	struct nic n = { .res = res, .prefix = prefix, .ifname = ifname, .fd = -1 };

	fact(&n, "bus", bus[0] ? bus : "none");
	if (is_pci(bus)) {
		model_fact(&n, h, bus);
		node_fact(&n, h, bus);
	} else {
		fact(&n, "model", "none");
		fact(&n, "numa_node", "none");
	}
	irq_facts(&n, h, bus);
}

static void driver_facts(const struct nic *n, const struct kbp_host *h)
{
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };
	static const char *const names[] = { "driver", "driver_version", "firmware", "bus",
					     "model",  "numa_node",	 "irqs",     "irq_cpus" };
	int rc = ask(n, &d);

	if (rc) {
		for (size_t i = 0; i < KBP_ARRAY_SIZE(names); i++)
			none_or_unknown(n, names[i], rc);
		return;
	}
	d.driver[sizeof(d.driver) - 1] = d.version[sizeof(d.version) - 1] = '\0';
	d.fw_version[sizeof(d.fw_version) - 1] = d.bus_info[sizeof(d.bus_info) - 1] = '\0';
	if (!strcmp(d.fw_version, "N/A"))
		d.fw_version[0] = '\0';
	if (!strcmp(d.bus_info, "N/A"))
		d.bus_info[0] = '\0';
	fact(n, "driver", d.driver[0] ? d.driver : "none");
	fact(n, "driver_version", d.version[0] ? d.version : "none");
	fact(n, "firmware", d.fw_version[0] ? d.fw_version : "none");
	kbp_nic_bus_facts(n->res, h, n->prefix, d.bus_info, n->ifname);
}

void kbp_nic_facts(struct kbp_results *res, const struct kbp_host *h, const char *prefix,
		   const char *ifname)
{
	struct nic n = { .res = res,
			 .prefix = prefix,
			 .ifname = ifname,
			 .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) };

	driver_facts(&n, h);
	mtu_fact(&n);
	link_fact(&n);
	ring_fact(&n);
	channels_fact(&n);
	coalesce_fact(&n);
	offloads_fact(&n);
	private_flags_fact(&n);
	if (n.fd >= 0)
		close(n.fd);
}

/* ---------------------------------------------------------------- libraries */

struct seen {
	char *buf;
	size_t size;
};

/* Those that frames or programs pass through; the loader's names lead to files that carry the whole version. */
static const char *const libraries[] = { "libbpf", "libxdp", "librte_eal", "libciul" };

static bool names_word(const char *list, const char *word)
{
	const char *at = list;
	size_t len = strlen(word);

	while ((at = strstr(at, word)) != NULL) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

void kbp_word_add(char *list, size_t size, const char *word)
{
	if (*word && !names_word(list, word) && strlen(list) + strlen(word) + 1 < size)
		append(list, size, word);
}

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct seen *s = arg;
	char file[PATH_MAX];
	const char *base;

	(void)size;
	if (!info->dlpi_name[0] || !realpath(info->dlpi_name, file))
		return 0;
	base = strrchr(file, '/');
	base = base ? base + 1 : file;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(libraries); i++) {
		size_t len = strlen(libraries[i]);

		if (!strncmp(base, libraries[i], len) && !strncmp(base + len, ".so", 3) &&
		    strlen(base) <= 32)
			kbp_word_add(s->buf, s->size, base);
	}
	return 0;
}

void kbp_libraries_seen(char *buf, size_t size)
{
	struct seen s = { .buf = buf, .size = size };

	dl_iterate_phdr(look, &s);
}

void kbp_library_facts(struct kbp_results *res, const char *seen)
{
	char list[512], name[31], *word, *at = list;

	kbp_host_fact(res, "library_libc", "%s", gnu_get_libc_version());
	snprintf(list, sizeof(list), "%s", seen);
	while ((word = strsep(&at, " ")) != NULL) {
		if (!*word)
			continue;
		snprintf(name, sizeof(name), "library_%.*s", (int)strcspn(word, "."), word);
		kbp_host_fact(res, name, "%s", word);
	}
}
