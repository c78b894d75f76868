/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_env.c - the host's hugepages as EAL counts them, and how these files read sysfs and word their hints.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/dpdk_env.h"

#define NODE_DIR "/sys/devices/system/node"
#define HOST_DIR "/sys/kernel/mm/hugepages"
#define ENTRIES_MAX 128u /* sizes times nodes */
#define LIST_MAX 4096u	 /* names of one directory */

/* ---------------------------------------------------------------- hints */

bool kbp_hint_add(struct kbp_hint *h, const char *fmt, ...)
{
	const size_t space = h->used ? 1 : 0;
	char sentence[sizeof(h->text)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	/* one byte less than there is: a full hint cannot be told from a cut one */
	if (n <= 0 || h->used + space + (size_t)n + 2 > sizeof(h->text))
		return false;
	if (space)
		h->text[h->used++] = ' ';
	memcpy(h->text + h->used, sentence, (size_t)n + 1);
	h->used += (size_t)n;
	return true;
}

/* ---------------------------------------------------------------- files */

static bool path_make(char *path, const char *root, const char *fmt, va_list ap) KBP_PRINTF(3, 0);

static bool path_make(char *path, const char *root, const char *fmt, va_list ap)
{
	size_t at = strlen(root);
	int n;

	if (at >= PATH_MAX)
		return false;
	memcpy(path, root, at + 1);
	n = vsnprintf(path + at, PATH_MAX - at, fmt, ap);
	return n >= 0 && (size_t)n < PATH_MAX - at;
}

static int line_read(char *buf, size_t size, const char *path)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (int)strlen(buf);
}

int kbp_env_read(const char *root, char *buf, size_t size, const char *path_fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, path_fmt);
	fits = path_make(path, root, path_fmt, ap);
	va_end(ap);
	buf[0] = '\0';
	return fits ? line_read(buf, size, path) : -ENAMETOOLONG;
}

int kbp_env_link(const char *root, char *buf, size_t size, const char *path_fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	va_list ap;
	bool fits;
	ssize_t n;

	va_start(ap, path_fmt);
	fits = path_make(path, root, path_fmt, ap);
	va_end(ap);
	buf[0] = '\0';
	if (!fits)
		return -ENAMETOOLONG;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	snprintf(buf, size, "%.*s", (int)size - 1, last);
	return (int)strlen(buf);
}

uint64_t kbp_env_number(const char *root, uint64_t otherwise, const char *path_fmt, ...)
{
	char path[PATH_MAX], text[32], *end;
	unsigned long long value;
	va_list ap;
	bool fits;

	va_start(ap, path_fmt);
	fits = path_make(path, root, path_fmt, ap);
	va_end(ap);
	if (!fits || line_read(text, sizeof(text), path) <= 0)
		return otherwise;
	value = strtoull(text, &end, 0);
	return end == text ? otherwise : value;
}

bool kbp_env_exists(const char *root, const char *path_fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, path_fmt);
	fits = path_make(path, root, path_fmt, ap);
	va_end(ap);
	return fits && !access(path, F_OK);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Twice over the directory: first the sizes, then the names behind the pointers, in one piece. */
static char **names_take(DIR *dir, const char *begin, unsigned *n)
{
	const size_t len = strlen(begin);
	unsigned count = 0;
	size_t bytes = 0;
	char **list, *at, *end;

	for (struct dirent *e; count < LIST_MAX && (e = readdir(dir));) {
		if (strncmp(e->d_name, begin, len) || e->d_name[0] == '.')
			continue;
		bytes += strlen(e->d_name) + 1;
		count++;
	}
	list = count ? malloc(count * sizeof(*list) + bytes) : NULL;
	if (!list)
		return NULL;
	at = (char *)(list + count);
	end = at + bytes;
	rewinddir(dir);
	/* it may have changed in between */
	for (struct dirent *e; *n < count && (e = readdir(dir));) {
		size_t size = strlen(e->d_name) + 1;

		if (strncmp(e->d_name, begin, len) || e->d_name[0] == '.' ||
		    size > (size_t)(end - at))
			continue;
		list[(*n)++] = memcpy(at, e->d_name, size);
		at += size;
	}
	qsort(list, *n, sizeof(*list), by_name);
	return list;
}

char **kbp_env_list(const char *root, const char *begin, unsigned *n, const char *path_fmt, ...)
{
	char path[PATH_MAX], **list;
	va_list ap;
	bool fits;
	DIR *dir;

	*n = 0;
	va_start(ap, path_fmt);
	fits = path_make(path, root, path_fmt, ap);
	va_end(ap);
	dir = fits ? opendir(path) : NULL;
	if (!dir)
		return NULL;
	list = names_take(dir, begin, n);
	closedir(dir);
	return list;
}

/* ---------------------------------------------------------------- hugepages: reading */

/* "hugepages-2048kB" */
static uint64_t page_bytes_of(const char *name)
{
	unsigned long long kb;
	char unit[3];

	if (sscanf(name, "hugepages-%llu%2s", &kb, unit) != 2 || strcmp(unit, "kB"))
		return 0;
	return kb > UINT64_MAX / 1024 ? 0 : kb * 1024;
}

/* The sizes below one directory; node -1: HOST_DIR, where pages that others have reserved and not touched
 * yet count as free and are not. */
static unsigned sizes_read(const char *root, int node, struct kbp_dpdk_pages *p, unsigned max)
{
	char dir[64] = HOST_DIR;
	unsigned n, used = 0;
	char **list;

	if (node >= 0)
		snprintf(dir, sizeof(dir), NODE_DIR "/node%d/hugepages", node);
	list = kbp_env_list(root, "hugepages-", &n, "%s", dir);
	for (unsigned i = 0; i < n && used < max; i++) {
		struct kbp_dpdk_pages *e = &p[used];
		uint64_t reserved;

		e->page_bytes = page_bytes_of(list[i]);
		if (!e->page_bytes)
			continue;
		e->node = node;
		e->total = kbp_env_number(root, 0, "%s/%s/nr_hugepages", dir, list[i]);
		e->free = kbp_env_number(root, 0, "%s/%s/free_hugepages", dir, list[i]);
		reserved = kbp_env_number(root, 0, "%s/%s/resv_hugepages", dir, list[i]);
		e->free -= reserved < e->free ? reserved : e->free;
		used++;
	}
	free(list);
	return used;
}

static int by_size_and_node(const void *a, const void *b)
{
	const struct kbp_dpdk_pages *x = a, *y = b;

	if (x->page_bytes != y->page_bytes)
		return x->page_bytes < y->page_bytes ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

unsigned kbp_dpdk_pages_read(const char *root, struct kbp_dpdk_pages *p, unsigned max)
{
	unsigned n_nodes, n = 0;
	char **nodes = kbp_env_list(root, "node", &n_nodes, NODE_DIR);

	for (unsigned i = 0; i < n_nodes; i++) {
		char *end;
		long node = strtol(nodes[i] + 4, &end, 10);

		if (end != nodes[i] + 4 && !*end && node >= 0 && node <= INT_MAX)
			n += sizes_read(root, (int)node, p + n, max - n);
	}
	free(nodes);
	if (!n)
		n = sizes_read(root, -1, p, max);
	if (n)
		qsort(p, n, sizeof(*p), by_size_and_node);
	return n;
}

/* ---------------------------------------------------------------- hugepages: enough of them? */

/* Of one page size. */
struct stock {
	uint64_t page_bytes, needed;
	uint64_t total, free; /* where they have to be */
	uint64_t on_demand;   /* pages the kernel would make */
	uint64_t host_total;
};

/* Nodes do not know what is reserved; the host does. It also knows of pages it would make on demand
 * (nr_overcommit_hugepages), which EAL counts only when no node has a free one (calc_num_pages in
 * lib/eal/linux/eal_hugepage_info.c). */
static void stock_correct(const char *root, struct stock *s)
{
	struct kbp_dpdk_pages host[ENTRIES_MAX];
	unsigned n = sizes_read(root, -1, host, ENTRIES_MAX);
	char dir[64];
	uint64_t over, surplus;

	snprintf(dir, sizeof(dir), HOST_DIR "/hugepages-%" PRIu64 "kB", s->page_bytes / 1024);
	for (unsigned i = 0; i < n; i++)
		if (host[i].page_bytes == s->page_bytes && host[i].free < s->free)
			s->free = host[i].free;
	over = kbp_env_number(root, 0, "%s/nr_overcommit_hugepages", dir);
	surplus = kbp_env_number(root, 0, "%s/surplus_hugepages", dir);
	if (!s->free && over > surplus)
		s->on_demand = over - surplus;
}

static struct stock stock_of(const char *root, const struct kbp_dpdk_pages *p, unsigned n,
			     uint64_t page_bytes, uint64_t bytes, int node)
{
	struct stock s = { .page_bytes = page_bytes, .needed = bytes / page_bytes };

	if (!s.needed || bytes % page_bytes)
		s.needed++;
	for (unsigned i = 0; i < n; i++) {
		if (p[i].page_bytes != page_bytes)
			continue;
		s.host_total += p[i].total;
		if (node >= 0 && p[i].node >= 0 && p[i].node != node)
			continue;
		s.total += p[i].total;
		s.free += p[i].free;
	}
	stock_correct(root, &s);
	return s;
}

/* The size vm.nr_hugepages speaks of, when the host has it: what people know how to reserve. */
static uint64_t default_size(const char *root, const struct kbp_dpdk_pages *p, unsigned n)
{
	uint64_t bytes = p[0].page_bytes;
	char path[PATH_MAX], line[128];
	unsigned long long kb;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/proc/meminfo", root) >= sizeof(path))
		return bytes;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (unsigned i = 0; sscanf(line, "Hugepagesize: %llu kB", &kb) == 1 && i < n; i++)
			if (p[i].page_bytes / 1024 == kb)
				bytes = p[i].page_bytes;
	if (f)
		fclose(f);
	return bytes;
}

#define WITHOUT_PAGES \
	"Or do without: args \"--no-huge\", which is slower and has no physical addresses."

/* The node whose number of pages is to be raised, and that number now: the one asked for, or the one that
 * has most. A host without nodes in sysfs has one path for all. */
static void raise_where(const struct kbp_dpdk_pages *p, unsigned n, const struct stock *s,
			int wanted, int *node, uint64_t *total)
{
	*node = -1;
	*total = s->total;
	for (unsigned i = 0; i < n; i++) {
		if (p[i].page_bytes != s->page_bytes || p[i].node < 0)
			continue;
		if (wanted >= 0 ? p[i].node != wanted : *node >= 0 && p[i].total <= *total)
			continue;
		*node = p[i].node;
		*total = p[i].total;
	}
}

static int pages_short(const struct kbp_dpdk_pages *p, unsigned n, const struct stock *s,
		       uint64_t bytes, int wanted, struct kbp_error *err)
{
	const uint64_t kb = s->page_bytes / 1024, lack = s->needed - s->free;
	struct kbp_hint h = { 0 };
	char where[32] = "", dir[64] = HOST_DIR;
	uint64_t total;
	int node;

	raise_where(p, n, s, wanted, &node, &total);
	if (node >= 0)
		snprintf(dir, sizeof(dir), NODE_DIR "/node%d/hugepages", node);
	if (wanted >= 0 && node >= 0)
		snprintf(where, sizeof(where), " on node %d", node);
	kbp_hint_add(&h,
		     "%" PRIu64 " hugepage%s of %" PRIu64 " kB %s needed%s, %" PRIu64 " of %" PRIu64
		     " are free.",
		     s->needed, s->needed == 1 ? "" : "s", kb, s->needed == 1 ? "is" : "are", where,
		     s->free, s->total);
	kbp_hint_add(&h, "As root: \"echo %" PRIu64 " > %s/hugepages-%" PRIu64 "kB/nr_hugepages\".",
		     total + lack, dir, kb);
	kbp_hint_add(&h,
		     "For good: vm.nr_hugepages=%" PRIu64 " in /etc/sysctl.d, or hugepages=%" PRIu64
		     " on the kernel command line.",
		     s->host_total + lack, s->host_total + lack);
	kbp_hint_add(&h, WITHOUT_PAGES);
	return kbp_failf(err, -ENOMEM, h.text, "find hugepages for %" PRIu64 " MiB of packet memory",
			 (bytes >> 20) + (bytes & 0xfffff ? 1 : 0));
}

static bool node_known(const struct kbp_dpdk_pages *p, unsigned n, int node)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].node == node || p[i].node < 0)
			return true;
	return false;
}

int kbp_dpdk_pages_check(const char *root, uint64_t bytes, int node, struct kbp_error *err)
{
	struct kbp_dpdk_pages p[ENTRIES_MAX];
	unsigned n = kbp_dpdk_pages_read(root, p, ENTRIES_MAX);
	struct stock s;

	if (!n)
		return kbp_fail(
			err, -ENOMEM, "find hugepages for packet memory",
			"the kernel offers none: " HOST_DIR
			" is empty (no CONFIG_HUGETLBFS, or /sys is not mounted). " WITHOUT_PAGES);
	if (node >= 0 && !node_known(p, n, node))
		return kbp_failf(err, -EINVAL, "lscpu lists the host's NUMA nodes; -1 takes any",
				 "find hugepages on NUMA node %d, which the host does not have",
				 node);
	for (unsigned i = 0; i < n; i++) {
		s = stock_of(root, p, n, p[i].page_bytes, bytes, node);
		if (s.free >= s.needed || s.on_demand >= s.needed)
			return 0;
	}
	s = stock_of(root, p, n, default_size(root, p, n), bytes, node);
	return pages_short(p, n, &s, bytes, node, err);
}
