/* SPDX-License-Identifier: BSD-2-Clause */
/* host.c - see host.h. */
#include <ftw.h>

#include "host.h"

char root[64];
struct kbp_error err;

/* ---------------------------------------------------------------- files */

const char *at(const char *path)
{
	static char full[2][512];
	static unsigned turn;

	turn = !turn;
	snprintf(full[turn], sizeof(full[turn]), "%s%s", root, path);
	return full[turn];
}

static void make_parents(const char *full)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", full);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

void put_bytes(const char *path, const char *bytes, size_t n)
{
	FILE *f;

	make_parents(at(path));
	f = fopen(at(path), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

void put_info(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text) + 1);
}

void put_dir(const char *path)
{
	make_parents(at(path));
	assert_true(!mkdir(at(path), 0755) || errno == EEXIST);
}

void put_link(const char *path, const char *target)
{
	char up[512] = "";

	make_parents(at(path));
	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/'))
		strcat(up, "../");
	strcat(up, target + 1);
	assert_int_equal(symlink(up, at(path)), 0);
}

void put_pages(const char *dir, unsigned kb, unsigned total, unsigned free_pages)
{
	char path[256], number[16];

	snprintf(path, sizeof(path), "%s/hugepages-%ukB/nr_hugepages", dir, kb);
	snprintf(number, sizeof(number), "%u\n", total);
	put(path, number);
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/free_hugepages", dir, kb);
	snprintf(number, sizeof(number), "%u\n", free_pages);
	put(path, number);
}

void put_pci_file(const char *addr, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/%s", addr, name);
	put(path, text);
}

void put_nic(const char *addr, const char *vendor, const char *device, const char *driver)
{
	char path[256], target[256];

	put_pci_file(addr, "vendor", vendor);
	put_pci_file(addr, "device", device);
	put_pci_file(addr, "subsystem_vendor", "0x8086\n");
	put_pci_file(addr, "subsystem_device", "0x0003\n");
	put_pci_file(addr, "class", "0x020000\n");
	put_pci_file(addr, "numa_node", "-1\n");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", addr);
	snprintf(target, sizeof(target), "/sys/devices/pci0000:00/%s", addr);
	put_link(path, target);
	put_dir("/sys/bus/pci/drivers");
	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/subsystem", addr);
	put_link(path, "/sys/bus/pci");
	if (!driver)
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	put_dir(path);
	snprintf(target, sizeof(target), "/sys/devices/pci0000:00/%s/driver", addr);
	put_link(target, path);
}

void put_interface(const char *name, const char *under, bool up)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/net/%s/flags", under, name);
	put(path, up ? "0x1003\n" : "0x1002\n");
	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/net/%s/device", under, name);
	snprintf(target, sizeof(target), "/sys/devices/pci0000:00/%s", under);
	put_link(path, target);
	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	snprintf(target, sizeof(target), "/sys/devices/pci0000:00/%s/net/%s", under, name);
	put_link(path, target);
}

void put_group(unsigned group, const char *type, const char *a, const char *b)
{
	const char *members[] = { a, b };
	char path[256], target[256];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/type", group);
	put(path, type);
	put_dir("/sys/class/iommu/dmar0");
	for (int i = 0; i < 2 && members[i]; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices/%s", group,
			 members[i]);
		snprintf(target, sizeof(target), "/sys/devices/pci0000:00/%s", members[i]);
		put_link(path, target);
		snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/iommu_group", members[i]);
		snprintf(target, sizeof(target), "/sys/kernel/iommu_groups/%u", group);
		put_link(path, target);
	}
}

void put_vfio_files(unsigned group)
{
	char path[64];

	put("/dev/vfio/vfio", "");
	snprintf(path, sizeof(path), "/dev/vfio/%u", group);
	put(path, "");
}

void put_default_route(const char *ifname)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
		 "%s\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
		 ifname);
	put("/proc/net/route", text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int host_begin(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/kbp_dpdk_env.XXXXXX");
	memset(&err, 0, sizeof(err));
	/* another user looks at it, in one test */
	return mkdtemp(root) ? chmod(root, 0755) : -1;
}

int host_end(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---------------------------------------------------------------- what is said */

void says(const char *part)
{
	if (!strstr(err.hint, part) && !strstr(err.step, part))
		fail_msg("\"%s\" is not in: %s | %s", part, err.step, err.hint);
}

void does_not_say(const char *part)
{
	if (strstr(err.hint, part))
		fail_msg("\"%s\" is in: %s | %s", part, err.step, err.hint);
}

void failed(int rc, int code)
{
	size_t quotes = 0;

	if (getenv("SHOW"))
		printf("    %d %s | %s\n", rc, err.step, err.hint);
	assert_int_equal(rc, code);
	assert_int_equal(err.code, code);
	assert_true(strlen(err.hint) < sizeof(err.hint) - 1);
	assert_true(strlen(err.step) < sizeof(err.step) - 1);
	assert_true(err.hint[0] && err.step[0]);
	for (const char *p = err.hint; *p; p++)
		quotes += *p == '"';
	assert_int_equal(quotes % 2, 0);
}

struct kbp_dpdk_pci find(const char *name)
{
	struct kbp_dpdk_pci d;

	assert_int_equal(kbp_dpdk_pci_find(root, name, &d, &err), 0);
	return d;
}

int usable(const char *name, bool privileged)
{
	struct kbp_dpdk_pci d = find(name);

	return kbp_dpdk_pci_usable(root, &d, privileged, &err);
}

struct kbp_dpdk_pci intel(void)
{
	return (struct kbp_dpdk_pci){ .addr = ADDR,
				      .vendor = 0x8086,
				      .device = 0x10fb,
				      .subvendor = 0x8086,
				      .subdevice = 3,
				      .class_code = 0x020000,
				      .driver = "uio_pci_generic",
				      .node = -1,
				      .group = -1 };
}
