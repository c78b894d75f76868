/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_pci.c - who holds a PCI device, whether EAL can have it, and the commands that make it so.
 *
 * Which kernel drivers EAL works through is said by pci_scan_one in drivers/bus/pci/linux/pci.c of DPDK:
 * vfio-pci, uio_pci_generic and igb_uio. Any other one leaves the device out without a word, unless its PMD
 * is bifurcated.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/dpdk_env.h"

#define PCI_DIR "/sys/bus/pci/devices"
#define NET_DIR "/sys/class/net"
#define UPPER_MAX 4 /* bond, bridge, VLAN above each other */

#define ROUTE_UP 0x1u	    /* RTF_UP of linux/route.h */
#define ROUTE_REJECT 0x200u /* RTF_REJECT */

/* ---------------------------------------------------------------- names */

/* 03:00.0 or 0000:03:00.0, in any case; domains of VMD and Hyper-V have more digits. */
static bool addr_read(const char *name, char *addr, size_t size)
{
	unsigned domain = 0, bus, dev, fn;
	int end = -1;

	if (sscanf(name, "%8x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end) != 4 || end < 0 ||
	    name[end]) {
		domain = 0;
		end = -1;
		if (sscanf(name, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end) != 3 || end < 0 || name[end])
			return false;
	}
	if (strspn(name, "0123456789abcdefABCDEF:.") != strlen(name) || dev > 31 || fn > 7)
		return false;
	return (size_t)snprintf(addr, size, "%04x:%02x:%02x.%x", domain, bus, dev, fn) < size;
}

/* The address of the PCI device behind NET_DIR/IF/device. Only the device itself counts, or the one that a
 * virtio device sits on: what is further up is a controller that others use too (USB). */
static int addr_of_interface(const char *root, const char *ifname, char *addr, size_t size)
{
	char path[PATH_MAX], *real, *last, bus[16];
	bool found = false;

	if ((size_t)snprintf(path, sizeof(path), "%s" NET_DIR "/%s/device", root, ifname) >=
	    sizeof(path))
		return -ENXIO;
	if (kbp_env_link(root, bus, sizeof(bus), NET_DIR "/%s/device/subsystem", ifname) < 0)
		return -ENXIO;
	real = realpath(path, NULL);
	if (!real)
		return -ENXIO;
	last = strrchr(real, '/');
	if (!strcmp(bus, "virtio") && last) {
		*last = '\0';
		last = strrchr(real, '/');
		/* virtio over MMIO or S/390 channels has another parent */
		found = last && addr_read(last + 1, addr, size);
	} else if (!strcmp(bus, "pci") && last) {
		found = addr_read(last + 1, addr, size);
	}
	free(real);
	return found ? 0 : -ENXIO;
}

/* ---------------------------------------------------------------- routes */

struct routes {
	bool any, is_default;
};

/* Columns of /proc/net/route: interface, destination, gateway, flags, counts, metric, mask. */
static void routes_v4(FILE *f, const char *ifname, struct routes *r)
{
	char line[256], name[32];
	unsigned dst, flags, mask;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s %x %*x %x %*d %*d %*d %x", name, &dst, &flags, &mask) != 4 ||
		    strcmp(name, ifname) || !(flags & ROUTE_UP) || flags & ROUTE_REJECT)
			continue;
		r->any = true;
		r->is_default |= !dst && !mask;
	}
}

/* Columns of /proc/net/ipv6_route: destination, its prefix length, source, its prefix length, next hop,
 * metric, two counts, flags, interface. Link-local and multicast routes come with every interface that is
 * up, and do not count. */
static void routes_v6(FILE *f, const char *ifname, struct routes *r)
{
	char line[256], name[32], dst[33];
	unsigned plen, flags;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%32s %x %*s %*x %*s %*x %*x %*x %x %31s", dst, &plen, &flags,
			   name) != 4 ||
		    strcmp(name, ifname) || !(flags & ROUTE_UP) || flags & ROUTE_REJECT)
			continue;
		if (!strncmp(dst, "fe8", 3) || !strncmp(dst, "ff", 2))
			continue;
		r->any = true;
		r->is_default |= !plen && strspn(dst, "0") == 32;
	}
}

static void routes_read(const char *root, const char *ifname, struct routes *r)
{
	static const struct {
		const char *path;
		void (*read)(FILE *f, const char *ifname, struct routes *r);
	} files[] = { { "/proc/net/route", routes_v4 }, { "/proc/net/ipv6_route", routes_v6 } };

	for (size_t i = 0; i < KBP_ARRAY_SIZE(files); i++) {
		char path[PATH_MAX];
		FILE *f;

		if ((size_t)snprintf(path, sizeof(path), "%s%s", root, files[i].path) >= sizeof(path))
			continue;
		f = fopen(path, "re");
		if (!f)
			continue;
		files[i].read(f, ifname, r);
		fclose(f);
	}
}

/* An interface under a bond, a bridge or a VLAN carries their routes: NET_DIR/IF/upper_NAME. */
static void routes_above(const char *root, const char *ifname, int depth, struct routes *r)
{
	unsigned n;
	char **upper;

	routes_read(root, ifname, r);
	if (depth >= UPPER_MAX)
		return;
	upper = kbp_env_list(root, "upper_", &n, NET_DIR "/%s", ifname);
	for (unsigned i = 0; i < n; i++)
		routes_above(root, upper[i] + strlen("upper_"), depth + 1, r);
	free(upper);
}

/* ---------------------------------------------------------------- one device */

/* They leave the device with the kernel and reach it through RDMA verbs or a library of their own. The
 * PMDs' own words: RTE_PMD_REGISTER_KMOD_DEP in drivers/net/{mlx4,mlx5,mana,nfb}. gve and netvsc, which
 * clouds offer too, are none of them (igb_uio | vfio-pci, uio_hv_generic). */
static bool driver_is_bifurcated(const char *driver)
{
	return !strcmp(driver, "mlx4_core") || !strcmp(driver, "mlx5_core") ||
	       !strcmp(driver, "mana") || !strcmp(driver, "nfb");
}

/* The kernel driver such a device belongs to, also when it is bound to another one; NULL: not of the kind.
 * IDs: mlx4_pci_id_map and mana_pci_id_map; what else has Mellanox' vendor ID is mlx5's. */
static const char *bifurcated_driver(const struct kbp_dpdk_pci *d)
{
	if (driver_is_bifurcated(d->driver))
		return d->driver;
	if (d->class_code >> 16 != 0x02)
		return NULL;
	if (d->vendor == 0x1414 && d->device == 0x00ba)
		return "mana";
	if (d->vendor != 0x15b3)
		return NULL;
	return d->device == 0x1003 || d->device == 0x1004 || d->device == 0x1007 ? "mlx4_core" :
										   "mlx5_core";
}

static void interface_add(const char *root, const char *ifname, struct kbp_dpdk_pci *d)
{
	struct routes r = { 0 };

	if (strlen(ifname) >= sizeof(d->ifname))
		return;
	if (!d->ifname[0])
		memcpy(d->ifname, ifname, strlen(ifname) + 1);
	d->interfaces++;
	d->up |= (kbp_env_number(root, 0, NET_DIR "/%s/flags", ifname) & IFF_UP) != 0;
	routes_above(root, ifname, 0, &r);
	d->routed |= r.any;
	d->default_route |= r.is_default;
}

/* PCI_DIR/ADDR/net/IF, and a virtio device's PCI_DIR/ADDR/virtioN/net/IF */
static void interfaces_read(const char *root, struct kbp_dpdk_pci *d)
{
	unsigned n, n_virtio;
	char **ifs = kbp_env_list(root, "", &n, PCI_DIR "/%s/net", d->addr);
	char **virtio = kbp_env_list(root, "virtio", &n_virtio, PCI_DIR "/%s", d->addr);

	for (unsigned i = 0; i < n; i++)
		interface_add(root, ifs[i], d);
	free(ifs);
	for (unsigned v = 0; v < n_virtio; v++) {
		ifs = kbp_env_list(root, "", &n, PCI_DIR "/%s/%s/net", d->addr, virtio[v]);
		for (unsigned i = 0; i < n; i++)
			interface_add(root, ifs[i], d);
		free(ifs);
	}
	free(virtio);
}

/* What the kernel lets stay in a group that user space has: no driver, vfio's, pci-stub, and bridges (those
 * drivers set driver_managed_dma; before Linux 5.19 vfio_dev_viable said the same). */
static bool mate_holds(const struct kbp_dpdk_pci *mate)
{
	return mate->driver[0] && !strstr(mate->driver, "vfio") && strcmp(mate->driver, "pci-stub") &&
	       strcmp(mate->driver, "pcieport") && mate->class_code >> 16 != 0x06;
}

static void mate_read(const char *root, const char *addr, struct kbp_dpdk_pci *mate)
{
	memset(mate, 0, sizeof(*mate));
	snprintf(mate->addr, sizeof(mate->addr), "%.15s", addr);
	mate->vendor = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/vendor", addr);
	mate->device = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/device", addr);
	mate->class_code = (uint32_t)kbp_env_number(root, 0, PCI_DIR "/%s/class", addr);
	kbp_env_link(root, mate->driver, sizeof(mate->driver), PCI_DIR "/%s/driver", addr);
	interfaces_read(root, mate);
}

static void mates_read(const char *root, struct kbp_dpdk_pci *d)
{
	unsigned n;
	char **mates = kbp_env_list(root, "", &n, PCI_DIR "/%s/iommu_group/devices", d->addr);
	size_t used = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t left = sizeof(d->mates) - used;
		struct kbp_dpdk_pci mate;

		if (!strcmp(mates[i], d->addr) || strlen(mates[i]) >= sizeof(mate.addr))
			continue;
		mate_read(root, mates[i], &mate);
		if (!mate_holds(&mate))
			continue;
		if (mate.class_code >> 16 != 0x02 || mate.default_route || bifurcated_driver(&mate))
			d->mates_stay = true;
		if (strlen(mates[i]) + 2 > left) {
			d->mates_stay = true;
			break;
		}
		used += (size_t)snprintf(d->mates + used, left, "%s%s", used ? " " : "", mates[i]);
	}
	free(mates);
}

static void group_read(const char *root, struct kbp_dpdk_pci *d)
{
	char number[16], kind[32];

	d->group = -1;
	if (kbp_env_link(root, number, sizeof(number), PCI_DIR "/%s/iommu_group", d->addr) <= 0)
		return;
	d->group = atoi(number);
	/* vfio_noiommu_group_alloc in drivers/vfio names it */
	kbp_env_read(root, kind, sizeof(kind), PCI_DIR "/%s/iommu_group/name", d->addr);
	d->noiommu = !strcmp(kind, "vfio-noiommu");
	d->iommu = !d->noiommu;
	/* DMA, DMA-FQ, identity: Documentation/ABI/testing/sysfs-kernel-iommu_groups */
	kbp_env_read(root, kind, sizeof(kind), PCI_DIR "/%s/iommu_group/type", d->addr);
	d->translated = d->iommu && !strncmp(kind, "DMA", 3);
	mates_read(root, d);
}

static void device_read(const char *root, struct kbp_dpdk_pci *d)
{
	const char *a = d->addr;

	d->vendor = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/vendor", a);
	d->device = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/device", a);
	d->subvendor = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/subsystem_vendor", a);
	d->subdevice = (uint16_t)kbp_env_number(root, 0, PCI_DIR "/%s/subsystem_device", a);
	d->class_code = (uint32_t)kbp_env_number(root, 0, PCI_DIR "/%s/class", a);
	/* "-1" where the firmware does not say */
	d->node = (int)kbp_env_number(root, UINT64_MAX, PCI_DIR "/%s/numa_node", a);
	kbp_env_link(root, d->driver, sizeof(d->driver), PCI_DIR "/%s/driver", a);
	kbp_env_read(root, d->override, sizeof(d->override), PCI_DIR "/%s/driver_override", a);
	if (!strcmp(d->override, "(null)"))
		d->override[0] = '\0';
	d->verbs = kbp_env_exists(root, PCI_DIR "/%s/infiniband", a);
	d->bifurcated = bifurcated_driver(d) != NULL;
	interfaces_read(root, d);
	group_read(root, d);
}

int kbp_dpdk_pci_find(const char *root, const char *name, struct kbp_dpdk_pci *d,
		      struct kbp_error *err)
{
	memset(d, 0, sizeof(*d));
	d->node = d->group = -1;
	if (addr_read(name, d->addr, sizeof(d->addr))) {
		if (!kbp_env_exists(root, PCI_DIR "/%s", d->addr))
			return kbp_failf(err, -ENODEV, "lspci -D lists the PCI devices of this host",
					 "find PCI device %s: there is none", d->addr);
		device_read(root, d);
		return 0;
	}
	if (!name[0] || strlen(name) >= IFNAMSIZ || strchr(name, '/') || name[0] == '.' ||
	    !kbp_env_exists(root, NET_DIR "/%s", name))
		return kbp_failf(
			err, -ENODEV,
			"give an interface of this network namespace (ip link lists them) or a PCI "
			"address like 0000:03:00.0 (lspci -D lists them)",
			"find device \"%.40s\"", name);
	if (addr_of_interface(root, name, d->addr, sizeof(d->addr)) ||
	    !kbp_env_exists(root, PCI_DIR "/%s", d->addr))
		return kbp_failf(
			err, -ENXIO,
			"it is virtual, or on another bus: DPDK reaches it with a virtual device over "
			"it, like net_af_packet or net_af_xdp",
			"find the PCI device of %s: it has none", name);
	snprintf(d->ifname, sizeof(d->ifname), "%s", name);
	device_read(root, d);
	return 0;
}

/* ---------------------------------------------------------------- can EAL have it? */

static int refuse(struct kbp_error *err, int code, const struct kbp_hint *h,
		  const struct kbp_dpdk_pci *d)
{
	return kbp_failf(err, code, h->text, "give PCI device %s to DPDK", d->addr);
}

/* May this user read and write the file? As the kernel will see it: with the effective user. */
static bool may_open(const char *root, const char *file)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s%s", root, file) < sizeof(path) &&
	       !faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS);
}

static bool have_devbind(const char *root)
{
	return kbp_env_exists(root, "/usr/bin/dpdk-devbind.py") ||
	       kbp_env_exists(root, "/usr/sbin/dpdk-devbind.py") ||
	       kbp_env_exists(root, "/usr/local/bin/dpdk-devbind.py");
}

/* The script of DPDK's that binds, and what it does, by hand. */
static void say_devbind(struct kbp_hint *h, const struct kbp_dpdk_pci *d, const char *begin,
			const char *driver)
{
	const bool all = !strcmp(driver, "vfio-pci") && d->mates[0];

	kbp_hint_add(h, "%sdpdk-devbind.py --bind=%s %s%s%s\".", begin, driver, d->addr,
		     all ? " " : "", all ? d->mates : "");
}

static void say_sysfs(struct kbp_hint *h, const struct kbp_dpdk_pci *d, const char *begin,
		      const char *driver)
{
	kbp_hint_add(h,
		     "%scd " PCI_DIR "/%s; echo %s >driver_override; echo %s | tee %s"
		     "/sys/bus/pci/drivers_probe\".",
		     begin, d->addr, driver, d->addr, d->driver[0] ? "driver/unbind " : "");
}

/* First the way that is sure to be there, and `between` the two what matters more than a second way. */
static void say_binding(const char *root, struct kbp_hint *h, const struct kbp_dpdk_pci *d,
			const char *driver, const char *between)
{
	const bool script_first = have_devbind(root) || d->mates[0];
	char begin[128], modprobe[48] = "", down[48] = "";

	if (!kbp_env_exists(root, "/sys/bus/pci/drivers/%s", driver))
		snprintf(modprobe, sizeof(modprobe), "modprobe %s; ", driver);
	/* the script refuses an interface with routes; the kernel does not */
	if (script_first && (d->up || d->routed))
		snprintf(down, sizeof(down), "ip link set %s down; ", d->ifname);
	snprintf(begin, sizeof(begin), "As root: \"%s%s", modprobe, down);
	(script_first ? say_devbind : say_sysfs)(h, d, begin, driver);
	if (between)
		kbp_hint_add(h, "%s", between);
	if (script_first && !d->mates[0])
		say_sysfs(h, d, "By hand: \"", driver);
	else if (!script_first)
		say_devbind(h, d, "With package dpdk: \"", driver);
}

#define IOMMU_ON "(in the firmware, and intel_iommu=on or amd_iommu=on on the kernel command line)"

/* Behind an IOMMU it is vfio-pci; without one that fails to probe, with -22: the device has no group. */
static void say_how(const char *root, struct kbp_hint *h, const struct kbp_dpdk_pci *d)
{
	unsigned n;

	if (d->iommu) {
		if (d->mates[0])
			kbp_hint_add(h, "Its IOMMU group %d goes as a whole, with %s.", d->group,
				     d->mates);
		if (d->mates_stay)
			kbp_hint_add(h, "Not all of those can be spared: take another device, or another slot, "
					"where the group is smaller.");
		else
			say_binding(root, h, d, "vfio-pci", NULL);
		return;
	}
	free(kbp_env_list(root, "", &n, "/sys/class/iommu"));
	if (!strcmp(d->override, "vfio-pci"))
		kbp_hint_add(h, "vfio-pci was tried: without an IOMMU it fails with -22.");
	else
		kbp_hint_add(h, "No IOMMU is %s: vfio-pci would fail with -22.",
			     n ? "in front of it" : "active (/sys/class/iommu is empty)");
	if (kbp_env_exists(root, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")) {
		say_binding(root, h, d, "uio_pci_generic",
			    "Or switch the IOMMU on (intel_iommu=on, amd_iommu=on), or vfio's "
			    "enable_unsafe_noiommu_mode.");
		return;
	}
	say_binding(root, h, d, "uio_pci_generic",
		    "Or switch the IOMMU on: intel_iommu=on or amd_iommu=on, and the firmware.");
	kbp_hint_add(h, "(vfio without one: CONFIG_VFIO_NOIOMMU, off in Debian.)");
}

static int held_by_kernel(const char *root, const struct kbp_dpdk_pci *d, struct kbp_error *err)
{
	struct kbp_hint h = { 0 };

	if (d->class_code >> 16 != 0x02) {
		kbp_hint_add(&h,
			     "it is not a network device (class 0x%06" PRIx32
			     ", kernel driver %s): name another. lspci -D lists them.",
			     d->class_code, d->driver[0] ? d->driver : "none");
		return refuse(err, -ENODEV, &h, d);
	}
	if (d->default_route) {
		kbp_hint_add(
			&h,
			"kernel driver %s holds it, and the default route goes through it (interface %s): "
			"without it this host may no longer be reached. Take another device, or reach this one with the "
			"backend socket or af_xdp, or with a virtual device over it (net_af_packet).",
			d->driver, d->ifname);
		return refuse(err, -EBUSY, &h, d);
	}
	if (!d->driver[0])
		kbp_hint_add(&h, "no kernel driver holds it, and DPDK needs one of its own.");
	else if (d->ifname[0])
		kbp_hint_add(&h, "kernel driver %s holds it: interface %s%s is %s%s.", d->driver,
			     d->ifname, d->interfaces > 1 ? " (and others)" : "",
			     d->up ? "up" : "down", d->routed ? " and has routes" : "");
	else
		kbp_hint_add(&h,
			     "kernel driver %s holds it, with no interface here (see other network "
			     "namespaces).",
			     d->driver);
	say_how(root, &h, d);
	return refuse(err, d->driver[0] ? -EBUSY : -ENODEV, &h, d);
}

static int usable_bifurcated(const char *root, const struct kbp_dpdk_pci *d, struct kbp_error *err)
{
	const char *driver = bifurcated_driver(d);
	const char *ib = !strcmp(driver, "mana")      ? "mana_ib" :
			 !strcmp(driver, "mlx4_core") ? "mlx4_ib" :
							"mlx5_ib";
	struct kbp_hint h = { 0 };

	if (strcmp(d->driver, driver)) {
		kbp_hint_add(&h, "DPDK uses it beside its kernel driver %s, and it is bound to %s.",
			     driver, d->driver[0] ? d->driver : "none");
		say_binding(root, &h, d, driver, NULL);
		return refuse(err, d->driver[0] ? -EBUSY : -ENODEV, &h, d);
	}
	if (d->verbs || !strcmp(driver, "nfb"))
		return 0;
	kbp_hint_add(&h,
		     "kernel driver %s stays, and DPDK comes in through RDMA verbs, which the device does not "
		     "have now (no " PCI_DIR "/%s/infiniband).",
		     driver, d->addr);
	kbp_hint_add(&h, "As root: \"modprobe -a %s ib_uverbs\".", ib);
	return refuse(err, -ENODEV, &h, d);
}

static int usable_vfio(const char *root, const struct kbp_dpdk_pci *d, bool privileged,
		       struct kbp_error *err)
{
	struct kbp_hint h = { 0 };
	char file[48];

	if (d->group < 0) {
		kbp_hint_add(&h,
			     "vfio-pci holds it, but it is in no IOMMU group: switch the IOMMU on " IOMMU_ON
			     ".");
		return refuse(err, -EOPNOTSUPP, &h, d);
	}
	if (d->mates[0]) {
		kbp_hint_add(&h,
			     "its IOMMU group %d is not viable: kernel drivers hold %s. A group goes as a "
			     "whole.",
			     d->group, d->mates);
		if (!d->mates_stay)
			kbp_hint_add(&h,
				     "When this host can do without them, as root: "
				     "\"dpdk-devbind.py --bind=vfio-pci %s\".",
				     d->mates);
		kbp_hint_add(&h, "Or put the card into a slot where the group is smaller.");
		return refuse(err, -EBUSY, &h, d);
	}
	snprintf(file, sizeof(file), "/dev/vfio/%s%d", d->noiommu ? "noiommu-" : "", d->group);
	if (d->noiommu && !privileged) {
		kbp_hint_add(&h, "without an IOMMU %s opens only for CAP_SYS_RAWIO: run as root.",
			     file);
		return refuse(err, -EPERM, &h, d);
	}
	if (!kbp_env_exists(root, "%s", file)) {
		kbp_hint_add(&h, "vfio-pci holds it, but there is no %s here.", file);
		kbp_hint_add(&h, "In a container, hand in %s and /dev/vfio/vfio.", file);
		return refuse(err, -ENODEV, &h, d);
	}
	if (may_open(root, file) && may_open(root, "/dev/vfio/vfio"))
		return 0;
	kbp_hint_add(&h, "this user may not open %s.",
		     may_open(root, file) ? "/dev/vfio/vfio" : file);
	kbp_hint_add(&h, "As root: \"chown USER %s\".", file);
	kbp_hint_add(&h, "For good: a udev rule SUBSYSTEM==\"vfio\", OWNER=\"USER\".");
	kbp_hint_add(&h, "Packet memory gets locked too: ulimit -l has to be as large.");
	return refuse(err, -EACCES, &h, d);
}

static int usable_uio(const char *root, const struct kbp_dpdk_pci *d, bool privileged,
		      struct kbp_error *err)
{
	struct kbp_hint h = { 0 };

	if (d->translated) {
		kbp_hint_add(&h,
			     "%s gives the device physical addresses, and the IOMMU in front of it lets none "
			     "pass (%s/%s/iommu_group/type): it would receive nothing.",
			     d->driver, PCI_DIR, d->addr);
		say_how(root, &h, d);
		kbp_hint_add(&h, "Or iommu=pt on the kernel command line.");
		return refuse(err, -EOPNOTSUPP, &h, d);
	}
	if (privileged)
		return 0;
	kbp_hint_add(&h,
		     "%s gives the device physical addresses, which only root may see (/proc/self/pagemap): "
		     "run as root.",
		     d->driver);
	kbp_hint_add(&h, "An ordinary user needs vfio-pci and an IOMMU.");
	return refuse(err, -EPERM, &h, d);
}

int kbp_dpdk_pci_usable(const char *root, const struct kbp_dpdk_pci *d, bool privileged,
			struct kbp_error *err)
{
	if (d->bifurcated)
		return usable_bifurcated(root, d, err);
	if (!strcmp(d->driver, "vfio-pci"))
		return usable_vfio(root, d, privileged, err);
	if (!strcmp(d->driver, "uio_pci_generic") || !strcmp(d->driver, "igb_uio"))
		return usable_uio(root, d, privileged, err);
	return held_by_kernel(root, d, err);
}
