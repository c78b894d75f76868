/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_pmd.c - which PMD libraries are installed and what they drive.
 *
 * EAL loads every library of one directory and says nothing of one that is not there: it finds no port, and
 * that is success. Each PMD carries a text in .rodata, written by buildtools/pmdinfogen.py of DPDK and read by
 * usertools/dpdk-pmdinfo.py:
 *	PMD_INFO_STRING= {"name": "net_ixgbe", "kmod": "* igb_uio | ...", "pci_ids": [[32902, 4278, 65535,
 *	65535], ...]}
 * The files are read as bytes and may be anything: nothing in them is taken for granted.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/dpdk_env.h"

#define INFO_MARK "PMD_INFO_STRING="
#define LIBRARY_MAX (64u << 20) /* bytes; the largest of DPDK 22.11 has 3 MiB */
#define ID_ANY 65535u		/* RTE_PCI_ANY_ID */

/* ---------------------------------------------------------------- one text */

struct span {
	const char *at, *end;
};

/* The value of "key": the rest of the text behind the colon. JSON escapes quotes inside of strings, so a key
 * that is part of some value does not match. */
static bool value_find(struct span info, const char *key, struct span *value)
{
	char quoted[24];
	int len = snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	const char *p = memmem(info.at, (size_t)(info.end - info.at), quoted, (size_t)len);

	if (!p)
		return false;
	for (p += len; p < info.end && (*p == ' ' || *p == ':'); p++)
		;
	value->at = p;
	value->end = info.end;
	return true;
}

/* A string value that fits; false: none. */
static bool string_read(struct span info, const char *key, char *buf, size_t size)
{
	struct span v;
	const char *end;

	buf[0] = '\0';
	if (!value_find(info, key, &v) || v.at == v.end || *v.at != '"')
		return false;
	v.at++;
	end = memchr(v.at, '"', (size_t)(v.end - v.at));
	if (!end || (size_t)(end - v.at) >= size)
		return false;
	memcpy(buf, v.at, (size_t)(end - v.at));
	buf[end - v.at] = '\0';
	return true;
}

static bool row_matches(const unsigned *id, unsigned n, const struct kbp_dpdk_pci *d)
{
	const unsigned own[4] = { d->vendor, d->device, d->subvendor, d->subdevice };

	for (unsigned i = 0; i < n; i++)
		if (id[i] != own[i] && id[i] != ID_ANY)
			return false;
	return n >= 2;
}

/* [[vendor, device, subvendor, subdevice], ...]. Whatever does not belong there ends it. */
static bool ids_match(struct span info, const struct kbp_dpdk_pci *d)
{
	unsigned id[4] = { 0 }, n = 0;
	int depth = 0;
	struct span v;

	if (!value_find(info, "pci_ids", &v))
		return false;
	for (const char *p = v.at; p < v.end; p++) {
		if (*p == '[') {
			n = 0;
			if (++depth > 2)
				return false;
		} else if (*p == ']') {
			if (depth == 2 && row_matches(id, n, d))
				return true;
			if (--depth <= 0)
				return false;
		} else if (isdigit((unsigned char)*p)) {
			unsigned value = 0;

			for (; p < v.end && isdigit((unsigned char)*p); p++)
				value = value > ID_ANY ? value : value * 10 + (unsigned)(*p - '0');
			p--;
			if (n == 4)
				return false;
			id[n++] = value;
		} else if (*p != ',' && *p != ' ') {
			return false;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- one library */

static char *library_load(const char *dir, const char *name, size_t *size)
{
	char path[PATH_MAX], *data = NULL;
	struct stat st;
	int fd;

	*size = 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= LIBRARY_MAX)
		data = malloc((size_t)st.st_size);
	while (data && *size < (size_t)st.st_size) {
		ssize_t n = read(fd, data + *size, (size_t)st.st_size - *size);
		if (n <= 0)
			break;
		*size += (size_t)n;
	}
	close(fd);
	return data;
}

/* What is looked for: the PMD of a PCI device or that of a virtual device's name. */
struct wanted {
	const struct kbp_dpdk_pci *pci;
	const char *vdev;
};

/* A virtual device belongs to the PMD whose name its own begins with (vdev_parse in drivers/bus/vdev). */
static bool info_is(struct span info, const struct wanted *w, const char *driver)
{
	return w->pci ? ids_match(info, w->pci) : !strncmp(w->vdev, driver, strlen(driver));
}

static bool library_search(const char *dir, const char *name, const struct wanted *w,
			   struct kbp_dpdk_pmd *pmd)
{
	const size_t mark = strlen(INFO_MARK);
	bool found = false;
	size_t size;
	char *data = library_load(dir, name, &size);
	struct span rest = { data, data ? data + size : NULL };

	while (data && !found) {
		const char *at = memmem(rest.at, (size_t)(rest.end - rest.at), INFO_MARK, mark);
		const char *end = at ? memchr(at, '\0', (size_t)(rest.end - at)) : NULL;
		struct span info = { at, end };

		if (!end)
			break;
		info.at += mark;
		rest.at = end;
		if (!string_read(info, "name", pmd->driver, sizeof(pmd->driver)) ||
		    !pmd->driver[0] || !info_is(info, w, pmd->driver))
			continue;
		string_read(info, "kmod", pmd->kmod, sizeof(pmd->kmod));
		snprintf(pmd->library, sizeof(pmd->library), "%s", name);
		found = true;
	}
	free(data);
	return found;
}

/* ---------------------------------------------------------------- the directory */

/* librte_net_x.so, .so.23 and .so.23.0 are one: the length up to there, 0: no library. */
static size_t library_stem(const char *name)
{
	const char *so = strstr(name, ".so");

	return so && (!so[3] || so[3] == '.') ? (size_t)(so - name) : 0;
}

static int directory_search(const char *pmd_dir, const struct wanted *w, struct kbp_dpdk_pmd *pmd)
{
	unsigned n;
	char **names = kbp_env_list(pmd_dir, "librte_net_", &n, "/");
	const char *last = "";
	bool found = false;

	for (unsigned i = 0; i < n && !found; i++) {
		size_t stem = library_stem(names[i]);

		if (!stem || strlen(names[i]) >= sizeof(pmd->library) ||
		    (library_stem(last) == stem && !strncmp(last, names[i], stem)))
			continue;
		last = names[i];
		found = library_search(pmd_dir, names[i], w, pmd);
	}
	free(names);
	if (!found)
		memset(pmd, 0, sizeof(*pmd));
	return found ? 0 : -ENOENT;
}

int kbp_dpdk_pmd_find(const char *pmd_dir, const struct kbp_dpdk_pci *d, struct kbp_dpdk_pmd *pmd)
{
	const struct wanted w = { .pci = d };

	memset(pmd, 0, sizeof(*pmd));
	return directory_search(pmd_dir, &w, pmd);
}

/* ---------------------------------------------------------------- what to install */

/* Debian's package of a PMD: librte-net-af-packet23, and with a dash where the name ends in a digit,
 * librte-net-mlx5-23. The number is the ABI, which the directory's name says: pmds-23.0. */
static bool package_of(const char *pmd_dir, const char *pmd, char *package, size_t size)
{
	const char *abi = strrchr(pmd_dir, '/');
	size_t len = strlen(pmd);
	int digits, n;

	abi = strstr(abi && abi[1] ? abi : pmd_dir, "pmds-");
	digits = abi ? (int)strspn(abi + 5, "0123456789") : 0;
	package[0] = '\0';
	if (!digits || digits > 3 || !len)
		return false;
	n = snprintf(package, size, "librte-net-%s%s%.*s", pmd,
		     isdigit((unsigned char)pmd[len - 1]) ? "-" : "", digits, abi + 5);
	for (char *p = package; *p; p++)
		if (*p == '_')
			*p = '-';
	return n > 0 && (size_t)n < size;
}

/* A directory without PMDs, in which no device of any kind is found: -ENOENT and what to do. */
static int directory_check(const char *pmd_dir, const char *package, struct kbp_error *err)
{
	struct kbp_hint h = { 0 };
	struct stat st;
	unsigned n;

	if (stat(pmd_dir, &st) || !S_ISDIR(st.st_mode)) {
		kbp_hint_add(&h, "there is no directory %.160s, from where DPDK loads its drivers.",
			     pmd_dir);
		kbp_hint_add(&h, "This libdpdk was built for that place (RTE_EAL_PMD_PATH): its drivers are not "
				 "installed, or are of another version.");
	} else {
		free(kbp_env_list(pmd_dir, "librte_net_", &n, "/"));
		if (n)
			return 0;
		kbp_hint_add(&h, "%.160s holds no network driver of DPDK at all.", pmd_dir);
	}
	if (package[0])
		kbp_hint_add(&h, "As root: \"apt install %s\".", package);
	else
		kbp_hint_add(&h, "Install DPDK's drivers (\"apt search librte-net\").");
	return kbp_fail(err, -ENOENT, "find DPDK's drivers", "%s", h.text);
}

/* "net_af_packet0,iface=eth1" -> "af_packet"; the digits are the device's number, unless the driver is known
 * by them. True: there were none, so that it may be the name of a driver itself. */
static bool pmd_of_name(const char *name, char *pmd, size_t size)
{
	static const char *const numbered[] = { "dpaa2", "e1000", "hns3", "mlx4", "mlx5", "vmxnet3" };
	/* libraries with more than one driver */
	static const struct {
		const char *driver, *library;
	} others[] = { { "virtio_user", "virtio" }, { "tun", "tap" }, { "bonding", "bond" } };
	size_t len, bare;

	if (!strncmp(name, "net_", 4) || !strncmp(name, "eth_", 4))
		name += 4;
	len = bare = strcspn(name, ", ");
	while (bare && isdigit((unsigned char)name[bare - 1]))
		bare--;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(numbered); i++)
		if (strlen(numbered[i]) == len && !strncmp(name, numbered[i], len))
			bare = len;
	snprintf(pmd, size, "%.*s", (int)(bare < size ? bare : size - 1), name);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(others); i++)
		if (!strcmp(pmd, others[i].driver))
			snprintf(pmd, size, "%s", others[i].library);
	return bare == len;
}

static bool installed(const char *pmd_dir, const char *pmd)
{
	char begin[64];
	unsigned n;

	snprintf(begin, sizeof(begin), "librte_net_%s.so", pmd);
	free(kbp_env_list(pmd_dir, begin, &n, "/"));
	return n > 0;
}

int kbp_dpdk_pmd_check(const char *pmd_dir, const char *name, struct kbp_error *err)
{
	struct kbp_hint h = { 0 };
	struct kbp_dpdk_pmd pmd;
	char vdev[64], library[32], package[64];
	struct wanted w = { .vdev = vdev };
	bool bare;
	int rc;

	bare = pmd_of_name(name, library, sizeof(library));
	package_of(pmd_dir, library, package, sizeof(package));
	rc = directory_check(pmd_dir, package, err);
	if (rc)
		return rc;
	/* the older names, eth_pcap for net_pcap, are aliases that the texts do not have */
	snprintf(vdev, sizeof(vdev), "%s%.50s", strncmp(name, "eth_", 4) ? "" : "net_",
		 strncmp(name, "eth_", 4) ? name : name + 4);
	if (!directory_search(pmd_dir, &w, &pmd) || (bare && installed(pmd_dir, library)))
		return 0;
	kbp_hint_add(&h, "no library in %.160s has it, and without DPDK finds no port.", pmd_dir);
	if (package[0])
		kbp_hint_add(&h,
			     "If DPDK has such a driver (\"apt search librte-net\"), as root: \"apt install "
			     "%s\".",
			     package);
	else
		kbp_hint_add(&h, "It would be librte_net_%s.so, of this DPDK's version.", library);
	return kbp_failf(err, -ENOENT, h.text, "find DPDK's driver of \"%.*s\"",
			 (int)(strcspn(name, ", ") < 40 ? strcspn(name, ", ") : 40), name);
}

/* ---------------------------------------------------------------- a device nobody knows */

/* Who makes NICs that DPDK 22.11 drives, and with which PMDs: the ID tables in drivers/net. */
static const struct {
	uint16_t vendor;
	const char *pmds;
} makers[] = {
	{ 0x8086, "e1000 fm10k i40e iavf ice idpf igc ixgbe" },
	{ 0x15b3, "mlx4 mlx5" },
	{ 0x14e4, "bnx2x bnxt" },
	{ 0x1924, "sfc" },
	{ 0x1af4, "virtio" },
	{ 0x15ad, "vmxnet3" },
	{ 0x1d0f, "ena" },
	{ 0x1ae0, "gve" },
	{ 0x1414, "mana" },
	{ 0x1077, "qede" },
	{ 0x1137, "enic" },
	{ 0x1425, "cxgbe" },
	{ 0x1dd8, "ionic" },
	{ 0x19e5, "hinic hns3" },
	{ 0x177d, "cnxk liquidio octeon_ep thunderx" },
	{ 0x19ee, "nfp" },
	{ 0x1d6a, "atlantic" },
	{ 0x8088, "ngbe txgbe" },
	{ 0x1022, "axgbe" },
};

/* The packages of a maker's PMDs that are not there, with spaces between. */
static void missing_of(const char *pmd_dir, uint16_t vendor, char *buf, size_t size)
{
	char pmds[64] = "", *rest = pmds, *pmd;
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < KBP_ARRAY_SIZE(makers); i++)
		if (makers[i].vendor == vendor)
			snprintf(pmds, sizeof(pmds), "%s", makers[i].pmds);
	while (used < size && (pmd = strsep(&rest, " "))) {
		char name[64];

		if (!*pmd || installed(pmd_dir, pmd))
			continue;
		if (!package_of(pmd_dir, pmd, name, sizeof(name)))
			snprintf(name, sizeof(name), "librte_net_%s.so", pmd);
		used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "", name);
	}
}

int kbp_dpdk_pmd_missing(const char *pmd_dir, const struct kbp_dpdk_pci *d, struct kbp_error *err)
{
	struct kbp_hint h = { 0 };
	char missing[224];
	int rc = directory_check(pmd_dir, "", err);

	if (rc)
		return rc;
	missing_of(pmd_dir, d->vendor, missing, sizeof(missing));
	if (missing[0]) {
		kbp_hint_add(&h, "no driver in %.120s knows it.", pmd_dir);
		kbp_hint_add(&h, "Of its maker's, these are not installed: %s.", missing);
		rc = -ENOENT;
	} else {
		kbp_hint_add(&h, "none of the drivers in %.120s knows this device.", pmd_dir);
		kbp_hint_add(&h, "A later DPDK may. Until then: the backend af_xdp or socket on its interface, "
				 "bound to its kernel driver.");
		rc = -ENODEV;
	}
	return kbp_failf(err, rc, h.text, "find DPDK's driver for PCI device %s (%04x:%04x)",
			 d->addr, d->vendor, d->device);
}
