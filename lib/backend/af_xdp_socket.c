/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp_socket.c - the AF_XDP socket itself: packet memory registered, rings made and mapped, bound to a
 * channel (Documentation/networking/af_xdp.rst).
 *
 * By the kernel's own interface: the room for metadata of sent frames is a member of struct xdp_umem_reg that
 * libxdp 1.3 does not know.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_xdp.h>

#include "af_xdp.h"

/* struct xdp_umem_reg of kernel 6.8; older headers have padding where tx_metadata_len is. */
struct umem_reg {
	uint64_t addr, len;
	uint32_t chunk_size, headroom, flags, tx_metadata_len;
};

_Static_assert(sizeof(struct umem_reg) == sizeof(struct xdp_umem_reg), "what the kernel reads");

static int set(int fd, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, SOL_XDP, option, value, len) ? -errno : 0;
}

/* Maps a ring of n entries and says where its parts are. Its memory is full->map[i]. */
static int ring_map(struct kbp_axdp_full *full, unsigned i, struct kbp_axdp_ring *r,
		    const struct xdp_ring_offset *at, uint32_t n, size_t entry, uint64_t pgoff)
{
	size_t bytes = at->desc + n * entry;
	uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			     full->fd, (off_t)pgoff);

	if (base == MAP_FAILED)
		return -errno;
	full->map[i].base = base;
	full->map[i].bytes = bytes;
	r->prod = (uint32_t *)(void *)(base + at->producer);
	r->cons = (uint32_t *)(void *)(base + at->consumer);
	r->flags = (uint32_t *)(void *)(base + at->flags);
	r->slots = base + at->desc;
	r->mask = n - 1;
	r->size = n;
	r->idx = r->seen = 0; /* a new ring is empty */
	return 0;
}

static int rings_map(struct kbp_axdp_full *full, const struct kbp_axdp_sizes *n)
{
	struct kbp_axdp_queue *x = &full->x;
	struct xdp_mmap_offsets at;
	socklen_t len = sizeof(at);
	int rc;

	if (getsockopt(full->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &len))
		return -errno;
	if (len != sizeof(at))
		return -ENOSYS; /* before 5.4 rings had no flags */
	rc = ring_map(full, 0, &x->fill, &at.fr, n->fill, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	if (!rc)
		rc = ring_map(full, 1, &x->comp, &at.cr, n->comp, sizeof(uint64_t),
			      XDP_UMEM_PGOFF_COMPLETION_RING);
	if (!rc && n->rx)
		rc = ring_map(full, 2, &x->rx, &at.rx, n->rx, sizeof(struct xdp_desc),
			      XDP_PGOFF_RX_RING);
	if (!rc && n->tx)
		rc = ring_map(full, 3, &x->tx, &at.tx, n->tx, sizeof(struct xdp_desc),
			      XDP_PGOFF_TX_RING);
	return rc;
}

/* Of kernels without metadata of sent frames *meta becomes 0. */
static int memory_register(struct kbp_axdp_full *full, uint32_t *meta)
{
	struct umem_reg reg = {
		.addr = (uintptr_t)full->mem.base,
		.len = full->mem.bytes,
		.chunk_size = full->x.chunk,
		.flags = *meta ? XDP_UMEM_TX_METADATA_LEN : 0,
		.tx_metadata_len = *meta,
	};
	int rc = set(full->fd, XDP_UMEM_REG, &reg, sizeof(reg));

	if (rc != -EINVAL || !*meta)
		return rc;
	*meta = reg.flags = reg.tx_metadata_len = 0;
	return set(full->fd, XDP_UMEM_REG, &reg, sizeof(reg));
}

int kbp_axdp_socket_open(struct kbp_axdp_full *full, const struct kbp_axdp_sizes *n, uint32_t *meta)
{
	int rc;

	full->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (full->fd < 0)
		return -errno;
	rc = memory_register(full, meta);
	if (!rc)
		rc = set(full->fd, XDP_UMEM_FILL_RING, &n->fill, sizeof(n->fill));
	if (!rc)
		rc = set(full->fd, XDP_UMEM_COMPLETION_RING, &n->comp, sizeof(n->comp));
	if (!rc && n->rx)
		rc = set(full->fd, XDP_RX_RING, &n->rx, sizeof(n->rx));
	if (!rc && n->tx)
		rc = set(full->fd, XDP_TX_RING, &n->tx, sizeof(n->tx));
	if (!rc)
		rc = rings_map(full, n);
	return rc;
}

int kbp_axdp_socket_bind(struct kbp_axdp_full *full, uint32_t ifindex, uint32_t channel,
			 uint16_t flags)
{
	struct sockaddr_xdp to = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = channel,
	};

	return bind(full->fd, (const struct sockaddr *)&to, sizeof(to)) ? -errno : 0;
}

void kbp_axdp_socket_close(struct kbp_axdp_full *full)
{
	/* unmapped before it is closed: otherwise the channel stays busy */
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(full->map); i++)
		if (full->map[i].base)
			munmap(full->map[i].base, full->map[i].bytes);
	if (full->fd >= 0)
		close(full->fd);
}
