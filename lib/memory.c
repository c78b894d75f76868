/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - buffers that a device reads and writes: shared, resident, on one node, not
 * inherited by fork. */
#include <errno.h>
#include <linux/memfd.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define NODE_SAMPLES 64u

/* Preferred, not bound: a node that is short of (huge)pages must not end in SIGBUS at the first
 * touch. Where the pages came from is read back afterwards and reported. */
static void memory_prefer_node(const struct kbp_memory *m, int node)
{
	struct bitmask *mask;

	if (node < 0 || numa_available() < 0)
		return;
	if (node > numa_max_node()) {
		kbp_log(KBP_LOG_WARN, "memory: this machine has no NUMA node %d", node);
		return;
	}
	mask = numa_allocate_nodemask();
	if (!mask)
		return;
	numa_bitmask_setbit(mask, (unsigned)node);
	if (mbind(m->base, m->bytes, MPOL_PREFERRED, mask->maskp, mask->size + 1, 0))
		kbp_log(KBP_LOG_WARN, "memory: cannot prefer NUMA node %d: %s", node,
			strerror(errno));
	numa_bitmask_free(mask);
}

/* The node of pages spread over the buffer, when they agree. */
static int32_t memory_node(const struct kbp_memory *m, size_t page)
{
	size_t pages = m->bytes / page, n = pages < NODE_SAMPLES ? pages : NODE_SAMPLES;
	void *at[NODE_SAMPLES];
	int status[NODE_SAMPLES];

	for (size_t i = 0; i < n; i++) {
		at[i] = m->base + i * pages / n * page;
		status[i] = -1;
	}
	if (move_pages(0, n, at, NULL, status, 0))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (status[i] < 0 || status[i] != status[0])
			return -1;
	return status[0];
}

/* Populating answers a shortage with an errno where a plain store would answer with SIGBUS
 * (madvise(2)). Kernels before 5.14 do not know it; there the pages were accounted for at mmap. */
static int memory_populate(const struct kbp_memory *m, size_t page)
{
	if (!madvise(m->base, m->bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (size_t at = 0; at < m->bytes; at += page)
		__atomic_store_n(m->base + at, 0, __ATOMIC_RELAXED);
	return 0;
}

static int memory_map(struct kbp_memory *m, size_t bytes, int node, bool huge)
{
	struct stat st;
	size_t page;
	int rc, fd = memfd_create("kbypass", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0u));

	if (fd < 0)
		return -errno;
	/* hugetlbfs gives its page size as the block size, tmpfs the base page's */
	if (fstat(fd, &st)) {
		rc = -errno;
		goto out;
	}
	page = (size_t)st.st_blksize;
	if (bytes > (size_t)INT64_MAX - page) {
		rc = -ENOMEM;
		goto out;
	}
	m->bytes = (bytes + page - 1) / page * page;
	m->hugepages = huge;
	if (ftruncate(fd, (off_t)m->bytes)) {
		rc = -errno;
		goto out;
	}
	m->base = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m->base == MAP_FAILED) {
		rc = -errno;
		goto out;
	}
	memory_prefer_node(m, node);
	rc = madvise(m->base, m->bytes, MADV_DONTFORK) ? -errno : memory_populate(m, page);
	if (rc) {
		munmap(m->base, m->bytes);
		goto out;
	}
	if (mlock(m->base, m->bytes))
		kbp_log(KBP_LOG_WARN, "memory: %zu bytes stay unlocked: %s (raise RLIMIT_MEMLOCK)",
			m->bytes, strerror(errno));
	m->node = memory_node(m, page);
out:
	close(fd);
	return rc;
}

int kbp_memory_alloc(struct kbp_memory *m, size_t bytes, int node, bool huge, struct kbp_error *err)
{
	int rc;

	*m = (struct kbp_memory){ .node = -1 };
	if (!bytes)
		return kbp_fail(err, -EINVAL, "allocate packet buffers", "zero bytes were asked for");
	if (huge) {
		rc = memory_map(m, bytes, node, true);
		if (!rc)
			return 0;
		kbp_log(KBP_LOG_INFO,
			"memory: no hugepages for %zu bytes (%s): normal pages. "
			"Reserve some in /proc/sys/vm/nr_hugepages",
			bytes, strerror(-rc));
	}
	rc = memory_map(m, bytes, node, false);
	if (!rc)
		return 0;
	*m = (struct kbp_memory){ .node = -1 };
	return kbp_failf(
		err, rc,
		rc == -ENOMEM ?
			"out of memory: use fewer or smaller buffers, or raise the memory limit" :
			strerror(-rc),
		"allocate %zu bytes of packet buffers", bytes);
}

void kbp_memory_free(struct kbp_memory *m)
{
	if (m->base)
		munmap(m->base, m->bytes);
	*m = (struct kbp_memory){ .node = -1 };
}
