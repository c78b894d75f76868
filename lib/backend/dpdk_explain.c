/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_explain.c - what EAL's last words mean.
 *
 * The texts are those of DPDK 22.11 (lib/eal/linux/eal.c, eal_hugepage_info.c, eal_memalloc.c, eal_vfio.c,
 * lib/eal/common/eal_common_options.c, drivers/bus/pci). Its rte_errno is no help: missing hugepages are
 * "Permission denied", even for root, and another process with the same files is "Success". So the text
 * decides, and then the host is asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dpdk_env.h"

#define LINE_MAX_LEN 256
#define QUOTE_MAX 150

struct said {
	const char *root, *text;
	const struct kbp_dpdk_need *need;
	char line[LINE_MAX_LEN]; /* the one the rule was found in, without "EAL: " */
	struct kbp_error *err;
};

/* ---------------------------------------------------------------- lines */

/* Copies the line at `p` and returns the next one; NULL: it was the last. */
static const char *line_take(const char *p, char *line)
{
	size_t len = strcspn(p, "\r\n"), keep;
	const char *next = p + len;

	if (!strncmp(p, "EAL: ", 5)) {
		p += 5;
		len -= 5;
	}
	if (len > 7 && !strncmp(p, "FATAL: ", 7)) { /* and the same follows without */
		p += 7;
		len -= 7;
	}
	for (; len && *p == ' '; len--)
		p++;
	keep = len < LINE_MAX_LEN ? len : LINE_MAX_LEN - 1;
	memcpy(line, p, keep);
	line[keep] = '\0';
	next += strspn(next, "\r\n");
	return *next ? next : NULL;
}

static bool line_find(const char *text, const char *part, char *line)
{
	for (const char *p = text; p && *p;) {
		p = line_take(p, line);
		if (strstr(line, part))
			return true;
	}
	line[0] = '\0';
	return false;
}

/* What EAL says at every start, and what does not matter. */
static bool line_is_noise(const char *line)
{
	static const char *const noise[] = {
		"Detected ",
		"Multi-process socket",
		"Selected IOVA mode",
		"Static memory layout",
		"Physical addresses are unavailable",
		"Probe PCI driver:",
		"VFIO support ",
		"Using IOMMU type",
		"No available ",
		"IOMMU is ",
		"Buses did not request",
	};

	for (size_t i = 0; i < KBP_ARRAY_SIZE(noise); i++)
		if (!strncmp(line, noise[i], strlen(noise[i])))
			return true;
	return !line[0];
}

/* The last line that says something, and the one before that: the last is often only "Cannot init memory".
 * EAL's lines and those of PMDs ("vdev_probe(): ..."); usage texts are neither. */
static void lines_last(const char *text, char *before, char *last)
{
	char line[LINE_MAX_LEN];

	before[0] = last[0] = '\0';
	for (const char *p = text; p && *p;) {
		bool ours = !strncmp(p, "EAL: ", 5);

		p = line_take(p, line);
		if ((!ours && !strstr(line, "(): ") && !strstr(line, ": unrecognized option")) ||
		    line_is_noise(line) || !strcmp(line, last))
			continue;
		memcpy(before, last, LINE_MAX_LEN);
		memcpy(last, line, LINE_MAX_LEN);
	}
}

/* The text between the first two of `mark` in the line; "" and false: it has none. */
static bool between(const char *line, char mark, char *buf, size_t size)
{
	const char *a = strchr(line, mark), *b = a ? strchr(a + 1, mark) : NULL;
	size_t len = b ? (size_t)(b - a) - 1 : 0;

	buf[0] = '\0';
	if (!len || len >= size)
		return false;
	memcpy(buf, a + 1, len);
	buf[len] = '\0';
	return true;
}

/* Adds  WHOSE: "TEXT".  with the text in one piece: quotes of its own become single ones. */
static void hint_cite(struct kbp_hint *h, const char *whose, const char *text)
{
	char own[QUOTE_MAX + 4];
	size_t len = strlen(text);

	if (!text[0])
		return;
	snprintf(own, sizeof(own), "%.*s%s", QUOTE_MAX, text, len > QUOTE_MAX ? "..." : "");
	for (char *p = own; *p; p++)
		if (*p == '"')
			*p = '\'';
	kbp_hint_add(h, "%s: \"%s\".", whose, own);
}

static void hint_quote(struct kbp_hint *h, const char *line)
{
	hint_cite(h, "EAL said", line);
}

static int tell(const struct said *s, int code, const char *step, const struct kbp_hint *h)
{
	return kbp_failf(s->err, code, h->text, "start DPDK's EAL: %.70s", step);
}

/* ---------------------------------------------------------------- processes, files, arguments */

static int say_primary(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char file[128];

	if (!between(s->line, '\'', file, sizeof(file)))
		return 0;
	kbp_hint_add(&h, "another DPDK process holds %s (\"fuser %s\" names it).", file, file);
	kbp_hint_add(&h, "Stop it, or keep apart from it: args \"--file-prefix=NAME\", or "
			 "\"--in-memory\", which needs no files.");
	return tell(s, -EBUSY, "its files are in use", &h);
}

static int say_again(const struct said *s)
{
	struct kbp_hint h = { 0 };

	kbp_hint_add(&h, "EAL starts once in a process, and what an earlier start that failed left behind "
			 "stays: begin with a new process, and see the first error.");
	hint_quote(&h, s->line);
	return tell(s, -EALREADY, "it was started before", &h);
}

/* Which directory: eal_create_runtime_dir in lib/eal/unix/eal_filesystem.c */
static void hint_runtime(struct kbp_hint *h, const struct said *s)
{
	if (s->need->privileged)
		kbp_hint_add(h, "It is made below RUNTIME_DIRECTORY when that is set, or else below /var/run, "
				"which must be writable.");
	else
		kbp_hint_add(h, "Set XDG_RUNTIME_DIR to a directory that this user may write, like "
				"/run/user/UID.");
	kbp_hint_add(h, "Or do without files: args \"--in-memory\".");
}

static int say_runtime_dir(const struct said *s)
{
	struct kbp_hint h = { 0 };
	const char *why = strrchr(s->line, ':');
	char dir[128];

	if (!between(s->line, '\'', dir, sizeof(dir)))
		return 0;
	kbp_hint_add(&h, "the directory %s for its files cannot be made%.60s.", dir, why ? why : "");
	hint_runtime(&h, s);
	return tell(s, -EACCES, "no runtime directory", &h);
}

static int say_runtime_file(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char file[128];

	if (!between(s->line, '\'', file, sizeof(file)))
		return 0;
	kbp_hint_add(&h,
		     "%s cannot be written: mostly another user's DPDK left it there. "
		     "Remove it, when no process uses it (\"fuser %s\").",
		     file, file);
	hint_runtime(&h, s);
	return tell(s, -EACCES, "its files are another user's", &h);
}

/* EAL's own option, "--iova-mode" or "-l", out of its complaint; "": it does not name one. */
static void option_of(const char *line, char *option, size_t size)
{
	const char *p = strchr(line, '-');
	size_t len;

	while (p && (p == line || !strchr(" '(", p[-1])))
		p = strchr(p + 1, '-');
	len = p ? strcspn(p, " '),;:=") : 0;
	snprintf(option, size, "%.*s", (int)(len < size ? len : size - 1), p ? p : "");
	if (strstr(line, "Main lcore"))
		snprintf(option, size, "--main-lcore");
	else if (!option[0] && (strstr(line, "core list") || strstr(line, "lcore")))
		snprintf(option, size, "-l");
}

static int say_argument(const struct said *s)
{
	char option[32], step[80], line[LINE_MAX_LEN];
	struct kbp_hint h = { 0 };

	option_of(s->line, option, sizeof(option));
	snprintf(step, sizeof(step), "%s%s", option[0] ? "bad argument " : "bad arguments", option);
	hint_quote(&h, s->line);
	/* why: the line in front of "invalid core list syntax" */
	if (strstr(s->line, "core list") && line_find(s->text, "RTE_MAX_LCORE", line))
		hint_cite(&h, "Before that", line);
	if (s->need->args)
		hint_cite(&h, "The args were", s->need->args);
	kbp_hint_add(&h, "EAL's arguments: dpdk-testpmd --help, and the DPDK guide, EAL parameters.");
	if (!strcmp(option, "-l"))
		kbp_hint_add(&h, "\"lscpu -e\" lists the host's CPUs.");
	return tell(s, -EINVAL, step, &h);
}

static int say_affinity(const struct said *s)
{
	struct kbp_hint h = { 0 };

	kbp_hint_add(&h, "the CPU given with -l is not one that this process may run on (taskset, a cpuset or "
			 "a container's limit): \"grep Cpus_allowed_list /proc/self/status\".");
	return tell(s, -EINVAL, "no CPU to run on", &h);
}

static int say_cpu(const struct said *s)
{
	struct kbp_hint h = { 0 };

	kbp_hint_add(&h, "this libdpdk was built for a processor with instructions that this one lacks: use "
			 "the distribution's, or build it with -Dcpu_instruction_set=generic.");
	return tell(s, -ENOTSUP, "the CPU is not supported", &h);
}

/* ---------------------------------------------------------------- devices and libraries */

static int say_parse_device(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char device[64];
	unsigned domain, bus, dev, fn;

	if (!between(s->line, '"', device, sizeof(device)))
		return 0;
	if (s->need->pmd_dir && !strncmp(device, "net_", 4)) {
		int rc = kbp_dpdk_pmd_check(s->need->pmd_dir, device, s->err);

		if (rc)
			return rc;
	}
	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4)
		kbp_hint_add(
			&h,
			"EAL knows no PCI bus to look for %s on: librte_bus_pci.so is not among its "
			"drivers%s%.120s. Install package librte-bus-pci of this DPDK's version.",
			device, s->need->pmd_dir ? " in " : "",
			s->need->pmd_dir ? s->need->pmd_dir : "");
	else
		kbp_hint_add(&h,
			     "\"%s\" is neither a PCI address (0000:03:00.0) nor a virtual device of an "
			     "installed driver (net_af_packet0,iface=eth1): look for a typing error.",
			     device);
	kbp_hint_add(&h, "\"apt search librte-net\" lists Debian's drivers.");
	return tell(s, -ENODEV, "it cannot read a device's name", &h);
}

static int say_plugin(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char line[LINE_MAX_LEN];

	if (line_find(s->text, "is world-writable", line)) {
		hint_quote(&h, line);
		kbp_hint_add(&h, "It loads no driver from a place that anybody may write: \"chmod o-w\" that "
				 "directory.");
		return tell(s, -EPERM, "its drivers are not safe to load", &h);
	}
	if (!line_find(s->text, "cannot open shared object", line))
		memcpy(line, s->line, sizeof(line));
	hint_quote(&h, line);
	kbp_hint_add(&h, "One library that cannot be loaded keeps all of DPDK from starting.");
	kbp_hint_add(&h, "Install what it lacks, or take away the driver that needs it%s%.100s.",
		     s->need->pmd_dir ? " from " : "", s->need->pmd_dir ? s->need->pmd_dir : "");
	return tell(s, -ELIBACC, "a driver library cannot be loaded", &h);
}

static int say_requested(const struct said *s)
{
	char before[LINE_MAX_LEN], last[LINE_MAX_LEN];
	struct kbp_hint h = { 0 };

	if (s->need->pci) {
		int rc = kbp_dpdk_pci_usable(s->root, s->need->pci, s->need->privileged, s->err);

		if (rc)
			return rc;
	}
	lines_last(s->text, before, last);
	kbp_hint_add(&h, "its driver gave up.");
	hint_quote(&h, before[0] ? before : last);
	kbp_hint_add(&h, "\"dmesg\" may say more, and args \"--log-level=pmd:debug\".");
	return tell(s, -EIO, "the device cannot be used", &h);
}

static int say_vdev(const struct said *s)
{
	char last[LINE_MAX_LEN] = "", line[LINE_MAX_LEN];
	struct kbp_hint h = { 0 };

	/* the line in front of "vdev_probe(): failed to initialize net_af_packet0 device" has the reason */
	for (const char *p = s->text; p && *p;) {
		p = line_take(p, line);
		if (strstr(line, "failed to initialize"))
			break;
		memcpy(last, line, sizeof(last));
	}
	kbp_hint_add(&h, "DPDK goes on without it.");
	hint_quote(&h, line_is_noise(last) ? line : last);
	if (strstr(last, "AF_PACKET socket") || strstr(last, "not permitted"))
		kbp_hint_add(
			&h, "It needs CAP_NET_RAW, for some drivers CAP_NET_ADMIN too: run as root.");
	else
		kbp_hint_add(&h, "Look at its arguments: does the interface exist (\"ip link\"), does the "
				 "driver know each of them?");
	if (s->need->vdev)
		hint_cite(&h, "They were", s->need->vdev);
	return tell(s, -ENODEV, "the virtual device failed", &h);
}

/* ---------------------------------------------------------------- VFIO and addresses */

static bool asked_of_vfio(const struct said *s)
{
	return !s->need->pci || !strcmp(s->need->pci->driver, "vfio-pci");
}

static int say_viable(const struct said *s)
{
	struct kbp_hint h = { 0 };

	if (s->need->pci && s->need->pci->mates[0])
		return kbp_dpdk_pci_usable(s->root, s->need->pci, s->need->privileged, s->err);
	kbp_hint_add(&h,
		     "another device of its IOMMU group is still with a kernel driver: \"ls "
		     "/sys/bus/pci/devices/%s/iommu_group/devices\" lists them, and each has to go to "
		     "vfio-pci or to no driver.",
		     s->need->pci ? s->need->pci->addr : "ADDR");
	kbp_hint_add(&h, "Or put the card into a slot where the group is smaller.");
	return tell(s, -EBUSY, "the IOMMU group is not viable", &h);
}

/* The VFIO container is opened whether a device wants it or not, and may fail without harm. */
static int say_vfio_open(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char file[64];
	const char *at = strstr(s->line, "/dev/vfio");

	if (!at || !asked_of_vfio(s))
		return 0;
	snprintf(file, sizeof(file), "%.*s", (int)strcspn(at, ",: "), at);
	if (strstr(s->line, "busy")) {
		kbp_hint_add(&h,
			     "another process has %s open (\"fuser %s\" names it): a virtual machine or "
			     "another DPDK program has the device. Stop it.",
			     file, file);
		return tell(s, -EBUSY, "the device is in use", &h);
	}
	hint_quote(&h, s->line);
	kbp_hint_add(&h,
		     "As root: \"chown USER %s\", for good by a udev rule (SUBSYSTEM==\"vfio\", "
		     "OWNER=\"USER\").",
		     file);
	kbp_hint_add(&h, "Where the file does not exist: \"modprobe vfio-pci\".");
	return tell(s, -EACCES, "a file of vfio cannot be opened", &h);
}

static int say_vfio_type(const struct said *s)
{
	struct kbp_hint h = { 0 };

	if (!asked_of_vfio(s))
		return 0;
	hint_quote(&h, s->line);
	kbp_hint_add(&h,
		     "vfio has no IOMMU to work with: \"modprobe vfio_iommu_type1\"; if that changes "
		     "nothing, switch the IOMMU on (firmware, and intel_iommu=on or amd_iommu=on), or bind "
		     "the device to uio_pci_generic.");
	return tell(s, -EOPNOTSUPP, "vfio without an IOMMU", &h);
}

static int say_dma(const struct said *s)
{
	struct kbp_hint h = { 0 };

	if (strstr(s->line, "error 12") || strstr(s->line, "annot allocate") ||
	    strstr(s->text, "error 12")) {
		kbp_hint_add(&h, "the memory for the device has to be locked, and this user may not lock "
				 "so much (\"ulimit -l\").");
		if (s->need->bytes)
			kbp_hint_add(&h, "It takes %" PRIu64 " KiB at the least.",
				     s->need->bytes >> 10);
		kbp_hint_add(&h, "\"ulimit -l unlimited\" as root, memlock in /etc/security/limits.conf, or "
				 "LimitMEMLOCK=infinity in the systemd unit.");
		return tell(s, -ENOMEM, "too little memory may be locked", &h);
	}
	hint_quote(&h, s->line);
	kbp_hint_add(&h, "The IOMMU does not take the addresses of the memory: try args \"--iova-mode=va\", "
			 "or \"--iova-mode=pa\" as root.");
	return tell(s, -EIO, "the device cannot reach the memory", &h);
}

static int say_iova(const struct said *s)
{
	struct kbp_hint h = { 0 };

	hint_quote(&h, s->line);
	if (strstr(s->line, "Expecting 'VA'")) {
		kbp_hint_add(&h, "Its driver takes virtual addresses only: args \"--iova-mode=va\", with the "
				 "device on vfio-pci behind an IOMMU.");
		return tell(s, -EOPNOTSUPP, "the device needs virtual addresses", &h);
	}
	if (strstr(s->line, "exceeding limits")) {
		kbp_hint_add(&h, "The IOMMU reaches fewer addresses than the memory has: args "
				 "\"--iova-mode=pa\" as root, or \"--base-virtaddr=0x100000000\".");
		return tell(s, -EOPNOTSUPP, "the IOMMU cannot reach the memory", &h);
	}
	kbp_hint_add(&h, "Without an IOMMU (uio_pci_generic, igb_uio) a device needs physical addresses, and "
			 "only root has them, with hugepages.");
	if (s->need->no_huge)
		kbp_hint_add(&h, "Leave out --no-huge.");
	if (!s->need->privileged)
		kbp_hint_add(&h, "Run as root.");
	kbp_hint_add(&h, "Leave out --iova-mode=va, or bind the device to vfio-pci behind an IOMMU.");
	return tell(s, -EOPNOTSUPP, "the device needs physical addresses", &h);
}

/* ---------------------------------------------------------------- memory */

/* 0: there are pages enough, as far as is known how many are needed. */
static int pages_short(const struct said *s)
{
	uint64_t bytes = s->need->bytes ? s->need->bytes : 1;

	return s->need->no_huge ? 0 : kbp_dpdk_pages_check(s->root, bytes, s->need->node, s->err);
}

/* Where hugetlbfs is mounted, "" for nowhere; the mount that EAL takes is the first of the page size. */
static void hugetlbfs_mount(const struct said *s, char *dir, size_t size)
{
	char path[PATH_MAX], line[512], where[128], type[32];
	FILE *f;

	dir[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/proc/mounts", s->root) >= sizeof(path))
		return;
	f = fopen(path, "re");
	if (!f)
		return;
	while (!dir[0] && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %127s %31s", where, type) == 2 && !strcmp(type, "hugetlbfs"))
			snprintf(dir, size, "%s", where);
	fclose(f);
}

static int say_huge_info(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char line[LINE_MAX_LEN], mount[128];
	int rc = pages_short(s);

	if (rc)
		return rc;
	hugetlbfs_mount(s, mount, sizeof(mount));
	if (line_find(s->text, "no mounted hugetlbfs", line) || (!s->need->in_memory && !mount[0])) {
		kbp_hint_add(&h,
			     "there are free hugepages, but no hugetlbfs is mounted for their size.");
		kbp_hint_add(&h, "As root: \"mkdir -p /dev/hugepages; mount -t hugetlbfs none "
				 "/dev/hugepages\" (for other sizes with -o pagesize=1G).");
		kbp_hint_add(&h, "Or without files: args \"--in-memory\".");
		return tell(s, -ENOENT, "hugetlbfs is not mounted", &h);
	}
	if (!line_find(s->text, "hugepage directory", line))
		line_find(s->text, "hugepage dir", line);
	hint_quote(&h, line);
	kbp_hint_add(
		&h,
		"There are free hugepages, but %s cannot be used: may this user read and write it?",
		mount[0] ? mount : "hugetlbfs");
	kbp_hint_add(&h, "Without files: args \"--in-memory\".");
	return tell(s, -EACCES, "the hugepage directory", &h);
}

static int say_huge_file(const struct said *s)
{
	struct kbp_hint h = { 0 };
	char mount[128];
	int rc = pages_short(s);

	if (rc)
		return rc;
	hugetlbfs_mount(s, mount, sizeof(mount));
	kbp_hint_add(&h, "there are free hugepages, but this user may not make files in %s.",
		     mount[0] ? mount : "the hugetlbfs mount");
	kbp_hint_add(&h, "Without files: args \"--in-memory\".");
	kbp_hint_add(&h, "Or, as root: \"mkdir -p /mnt/huge; mount -t hugetlbfs -o uid=USER,mode=700 none "
			 "/mnt/huge\", and args \"--huge-dir=/mnt/huge\".");
	return tell(s, -EACCES, "no hugepage file", &h);
}

static int say_memory(const struct said *s)
{
	char before[LINE_MAX_LEN], last[LINE_MAX_LEN];
	struct kbp_hint h = { 0 };
	int rc = pages_short(s);

	if (rc)
		return rc;
	lines_last(s->text, before, last);
	hint_quote(&h, before[0] ? before : last);
	if (s->need->no_huge)
		kbp_hint_add(
			&h,
			"Without hugepages it takes ordinary memory, as much as -m says (64 MiB if "
			"nothing): is there so much (\"free -m\"), is it allowed (\"ulimit -v\", the "
			"cgroup's memory.max)?");
	else
		kbp_hint_add(&h,
			     "The hugepages are there, so something else is in the way: address space "
			     "(\"ulimit -v\"), the cgroup's hugetlb limit, or pages that are free on "
			     "another NUMA node.");
	return tell(s, -ENOMEM, "it got no memory", &h);
}

/* ---------------------------------------------------------------- the table */

/* In this order: what ends EAL for sure comes before what it also says when it goes on. A rule may decline
 * with 0. */
static const struct {
	const char *part;
	int (*say)(const struct said *s);
} rules[] = {
	{ "is ignored, because (", say_again },
	{ "already called initialization", say_again },
	{ "Cannot create lock on", say_primary },
	{ "Error creating '", say_runtime_dir },
	{ "for rte_mem_config", say_runtime_file },
	{ "unsupported cpu type", say_cpu },
	{ "does not support \"", say_cpu },
	{ "failed to parse device", say_parse_device },
	{ "Cannot init plugins", say_plugin },
	{ "Cannot get hugepage information", say_huge_info },
	{ "Couldn't get fd on hugepage file", say_huge_file },
	{ "Cannot allocate memseg list", say_memory },
	{ "Cannot init memory", say_memory },
	{ "Cannot init memzone", say_memory },
	{ "Cannot set affinity", say_affinity },
	{ "DMA remapping", say_dma },
	{ "map user memory for DMA", say_dma },
	{ "map vaddr for IOMMU", say_dma },
	{ "register vaddr for IOMMU", say_dma },
	{ "group is not viable", say_viable },
	{ "Cannot open /dev/vfio", say_vfio_open },
	{ "cannot add VFIO group", say_vfio_type },
	{ "failed to select IOMMU type", say_vfio_type },
	{ "No supported IOMMU extensions", say_vfio_type },
	{ "IOVA mode but current mode", say_iova },
	{ "Cannot use IOVA as", say_iova },
	{ "Unsupported IOVA mode", say_iova },
	{ "IOVA exceeding limits", say_iova },
	{ "Cannot open VFIO container", say_vfio_open },
	{ "not managed by VFIO driver", say_requested },
	{ "Requested device", say_requested },
	{ "(vdev) probe failed", say_vdev },
	{ "Error allocating from heap", say_memory },
	{ "Not enough memory", say_memory },
	{ "Cannot allocate memory", say_memory },
	/* and what is wrong with an argument has as many texts as there are arguments */
	{ "unrecognized option", say_argument },
	{ "invalid option --", say_argument },
	{ "requires an argument", say_argument },
	{ "is ambiguous", say_argument },
	{ "please check specified cores", say_argument },
	{ "invalid core list syntax", say_argument },
	{ "nvalid param", say_argument },
	{ "invalid ", say_argument },
	{ "Invalid char", say_argument },
	{ "Invalid length", say_argument },
	{ "Invalid process type", say_argument },
	{ "Invalid bitwidth", say_argument },
	{ "is not enabled for DPDK", say_argument },
	{ "not compatible with", say_argument },
	{ "only supported in", say_argument },
	{ "be specified ", say_argument },
	{ "be used at the same time", say_argument },
	{ "is not supported on Linux", say_argument },
	{ "Invalid 'command line' arguments", say_argument },
};

/* No rule knows it: its own words, and what rte_errno adds. */
static int say_unknown(const struct said *s, int eal_errno)
{
	char before[LINE_MAX_LEN], last[LINE_MAX_LEN];
	struct kbp_hint h = { 0 };

	lines_last(s->text, before, last);
	hint_quote(&h, last);
	hint_cite(&h, "Before that", before);
	if (!h.used)
		kbp_hint_add(&h, "EAL gave no reason.");
	if (eal_errno)
		kbp_hint_add(&h, "Its error number means: %s.", strerror(eal_errno));
	kbp_hint_add(&h, "More with args \"--log-level=lib.eal:debug\".");
	return tell(s, eal_errno ? -eal_errno : -EIO, "it failed", &h);
}

static int rules_ask(struct said *s)
{
	for (size_t i = 0; i < KBP_ARRAY_SIZE(rules); i++) {
		int rc = line_find(s->text, rules[i].part, s->line) ? rules[i].say(s) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

int kbp_dpdk_explain(const char *root, const char *said, int eal_errno,
		     const struct kbp_dpdk_need *need, struct kbp_error *err)
{
	struct said s = { .root = root, .text = said ? said : "", .need = need, .err = err };
	int rc = rules_ask(&s);

	if (rc)
		return rc;
	if (eal_errno < 0)
		eal_errno = eal_errno > INT_MIN ? -eal_errno : EIO;
	if (eal_errno == ENOMEM)
		return say_memory(&s);
	if (eal_errno == EALREADY)
		return say_again(&s);
	return say_unknown(&s, eal_errno);
}

/* ---------------------------------------------------------------- no port */

/* Does EAL's argument `word` name the device? Its own arguments may follow after a comma, and the domain may
 * be left out. */
static bool names_device(const char *word, const struct kbp_dpdk_pci *d)
{
	size_t len = strcspn(word, ", ");
	const char *addr = d->addr;

	if (!strncmp(word, "pci:", 4)) {
		word += 4;
		len -= 4;
	}
	if (!strncmp(addr, "0000:", 5) && len + 5 == strlen(addr))
		addr += 5;
	return len == strlen(addr) && !strncasecmp(word, addr, len);
}

/* The value of option -x V, -xV or --long=V at `p`; *p moves to the next word. NULL: another word. */
static const char *option_value(const char **p, const char *shrt, const char *lng)
{
	const char *word = *p, *value = NULL;
	size_t len = strcspn(word, " ");

	*p += len;
	*p += strspn(*p, " ");
	if (!strncmp(word, lng, strlen(lng)) && word[strlen(lng)] == '=')
		return word + strlen(lng) + 1;
	if ((len == 2 && !strncmp(word, shrt, 2)) ||
	    (len == strlen(lng) && !strncmp(word, lng, len))) {
		value = *p;
		*p += strcspn(*p, " ");
		*p += strspn(*p, " ");
	} else if (len > 2 && !strncmp(word, shrt, 2)) {
		value = word + 2;
	}
	return value;
}

/* Do the args keep EAL away from the device: --no-pci, an allow list without it, a block list with it? */
static bool shut_out(const struct kbp_dpdk_need *need, char *why, size_t size)
{
	const char *args = need->args ? need->args : "";
	bool allow = false, named = false;

	args += strspn(args, " ");
	for (const char *p = args; *p;) {
		const char *word = p, *value;

		if (!strncmp(word, "--no-pci", 8) && (!word[8] || word[8] == ' ')) {
			snprintf(why, size,
				 "--no-pci keeps EAL from looking at PCI devices: leave it out");
			return true;
		}
		value = option_value(&p, "-b", "--block");
		if (value && names_device(value, need->pci)) {
			snprintf(why, size, "-b keeps EAL away from it: leave that out");
			return true;
		}
		p = word;
		value = option_value(&p, "-a", "--allow");
		allow |= value != NULL;
		named |= value && names_device(value, need->pci);
	}
	snprintf(why, size, "-a allows other devices only: add \"-a %s\"", need->pci->addr);
	return allow && !named;
}

static int no_pci_port(const struct said *s)
{
	const struct kbp_dpdk_need *need = s->need;
	struct kbp_hint h = { 0 };
	struct kbp_dpdk_pmd pmd;
	struct kbp_error unknown;
	char why[96];
	int rc = kbp_dpdk_pci_usable(s->root, need->pci, need->privileged, s->err);

	if (rc)
		return rc;
	if (need->pmd_dir && kbp_dpdk_pmd_find(need->pmd_dir, need->pci, &pmd))
		rc = kbp_dpdk_pmd_missing(need->pmd_dir, need->pci, &unknown);
	if (rc != -ENOENT && shut_out(need, why, sizeof(why))) {
		kbp_hint_add(&h, "among the args, %s.", why);
		return kbp_failf(s->err, -EINVAL, h.text, "find DPDK's port of PCI device %s",
				 need->pci->addr);
	}
	if (rc && s->err)
		*s->err = unknown;
	return rc;
}

int kbp_dpdk_explain_no_port(const char *root, const char *said, const struct kbp_dpdk_need *need,
			     struct kbp_error *err)
{
	struct said s = { .root = root, .text = said ? said : "", .need = need, .err = err };
	struct kbp_hint h = { 0 };
	char before[LINE_MAX_LEN], last[LINE_MAX_LEN];
	int rc = 0;

	if (need->pci)
		rc = no_pci_port(&s);
	else if (need->vdev && need->pmd_dir)
		rc = kbp_dpdk_pmd_check(need->pmd_dir, need->vdev, err);
	if (!rc)
		rc = rules_ask(&s);
	if (rc)
		return rc;
	lines_last(s.text, before, last);
	kbp_hint_add(&h, "EAL is up and made no port of it.");
	hint_quote(&h, last);
	kbp_hint_add(&h, "The driver says why with args \"--log-level=pmd:debug\".");
	return kbp_failf(err, -ENODEV, h.text, "find DPDK's port of %.40s",
			 need->pci  ? need->pci->addr :
			 need->vdev ? need->vdev :
				      "any device");
}
