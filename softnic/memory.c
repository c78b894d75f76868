/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - registered memory: bus addresses and owners.
 *
 * A bus address is the number of an entry of the NIC's page table and an offset. Neighbouring
 * pages never get neighbouring entries, so that a program which computes beyond 4 KiB is found.
 * Ownership is kept for each 64 bytes, of the buffer that holds their first byte: a bit for "posted
 * to receive", a count of sends in flight. The driver half keeps it, by atomics: VIs of several
 * threads may share memory.
 */
#include "internal.h"

#include <stdlib.h>

#define PAGE 4096u
#define GRAIN 64u
#define FIRST_ENTRY (1u << 20) /* bus addresses begin at 4 GiB: no pointer looks like one */
#define POSTED 0x8000u
#define PATTERN 0xa5u

struct sn_page {
	uint8_t *ptr; /* NULL: not registered */
	uint16_t owner[PAGE / GRAIN];
};

struct sn_chunk {
	struct sn_page page[SN_CHUNK_PAGES];
};

struct softnic_memreg {
	struct sn_nic *nic;
	uint32_t first, n; /* entries; n = 0: the NIC takes pointers */
};

static struct sn_page *page_at(struct sn_nic *nic, uint64_t addr)
{
	uint64_t entry = (addr >> EF_VI_NIC_PAGE_SHIFT) - FIRST_ENTRY;
	struct sn_chunk *c;

	if (entry >= (uint64_t)SN_CHUNKS * SN_CHUNK_PAGES)
		return NULL;
	/* pairs with the release in chunks_grow: pages are registered while others are in use */
	c = sn_acquire(&nic->chunk[entry / SN_CHUNK_PAGES]);
	return c && sn_load(&c->page[entry % SN_CHUNK_PAGES].ptr) ? &c->page[entry % SN_CHUNK_PAGES] :
								    NULL;
}

/* The first entry of `n` more, or -errno. Locked. */
static int64_t chunks_grow(struct sn_nic *nic, uint32_t n)
{
	uint32_t first = nic->n_pages;

	if (n > SN_CHUNKS * SN_CHUNK_PAGES - first)
		return -ENOSPC;
	for (uint32_t i = first / SN_CHUNK_PAGES; i <= (first + n - 1) / SN_CHUNK_PAGES; i++) {
		struct sn_chunk *c = nic->chunk[i];

		if (!c) {
			c = calloc(1, sizeof(*c));
			if (!c)
				return -ENOMEM;
			sn_release(&nic->chunk[i], c);
		}
	}
	nic->n_pages += n;
	return first;
}

int sn_memory_reset(struct sn_nic *nic)
{
	if (nic->n_pds || nic->n_vis || nic->n_regs)
		return 0;
	for (uint32_t i = 0; i < SN_CHUNKS && nic->chunk[i]; i++) {
		free(nic->chunk[i]);
		sn_store(&nic->chunk[i], NULL);
	}
	nic->n_pages = 0;
	return 0;
}

uint8_t *sn_memory_at(struct sn_nic *nic, uint64_t addr, uint32_t len)
{
	struct sn_page *p = page_at(nic, addr);
	uint32_t at = (uint32_t)addr & (PAGE - 1);

	return p && at + len <= PAGE ? p->ptr + at : NULL;
}

/* ---------------------------------------------------------------- registering */

SN_PUBLIC int ef_memreg_alloc(ef_memreg *mr, ef_driver_handle mr_dh, ef_pd *pd,
			      ef_driver_handle pd_dh, void *p_mem, size_t len_bytes)
{
	struct softnic_pd *p = pd->pd_softnic;
	struct sn_nic *nic = p->nic;
	uint32_t n = (uint32_t)((len_bytes + PAGE - 1) / PAGE), entries = (n + 1) & ~1u;
	struct softnic_memreg *r;
	ef_addr *addrs;
	int64_t first = 0;

	(void)mr_dh;
	(void)pd_dh;
	if ((uintptr_t)p_mem & (PAGE - 1) || !n ||
	    len_bytes > (size_t)SN_CHUNKS * SN_CHUNK_PAGES * PAGE)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	addrs = calloc(n, sizeof(*addrs));
	pthread_mutex_lock(&nic->lock);
	if (r && addrs && !p->ref)
		first = chunks_grow(nic, entries);
	if (r && addrs && first >= 0)
		nic->n_regs++;
	pthread_mutex_unlock(&nic->lock);
	if (!r || !addrs || first < 0) {
		free(r);
		free(addrs);
		return first < 0 ? (int)first : -ENOMEM;
	}
	r->nic = nic;
	r->first = (uint32_t)first;
	r->n = p->ref ? 0 : n;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *ptr = (uint8_t *)p_mem + (size_t)i * PAGE;
		uint32_t entry = (uint32_t)first + (i ^ 1);
		struct sn_page *page;

		if (p->ref) {
			addrs[i] = (uintptr_t)ptr;
			continue;
		}
		addrs[i] = (uint64_t)(FIRST_ENTRY + entry) << EF_VI_NIC_PAGE_SHIFT;
		page = &nic->chunk[entry / SN_CHUNK_PAGES]->page[entry % SN_CHUNK_PAGES];
		sn_release(&page->ptr, ptr);
	}
	mr->mr_dma_addrs = mr->mr_dma_addrs_base = addrs;
	mr->mr_softnic = r;
	return 0;
}

SN_PUBLIC int ef_memreg_free(ef_memreg *mr, ef_driver_handle mr_dh)
{
	struct softnic_memreg *r = mr->mr_softnic;
	struct sn_nic *nic = r->nic;
	bool owned = false;

	(void)mr_dh;
	for (uint32_t i = 0; i < r->n; i++) {
		struct sn_page *page = page_at(nic, mr->mr_dma_addrs[i]);

		for (uint32_t g = 0; page && g < PAGE / GRAIN; g++)
			owned |= __atomic_exchange_n(&page->owner[g], 0, __ATOMIC_RELAXED) != 0;
		if (page)
			sn_store(&page->ptr, NULL);
	}
	if (owned && nic->check)
		sn_violation(nic, "memory freed while the NIC has buffers in it");
	pthread_mutex_lock(&nic->lock);
	nic->n_regs--;
	sn_memory_reset(nic);
	pthread_mutex_unlock(&nic->lock);
	free(mr->mr_dma_addrs_base);
	free(r);
	memset(mr, 0, sizeof(*mr));
	return 0;
}

/* ---------------------------------------------------------------- owners */

static uint16_t *grain_at(struct sn_nic *nic, uint64_t grain)
{
	struct sn_page *page = page_at(nic, grain * GRAIN);

	return page ? &page->owner[grain % (PAGE / GRAIN)] : NULL;
}

static uint64_t first_grain(uint64_t addr)
{
	return (addr + GRAIN - 1) / GRAIN;
}

/* Everything a device is told to read or write must be registered, and of one page. */
static bool range_ok(struct softnic_vi *v, uint64_t addr, uint32_t len, const char *what)
{
	if (sn_memory_at(v->nic, addr, len))
		return true;
	if (page_at(v->nic, addr))
		sn_wrong(v, "%s: %u bytes at bus address 0x%" PRIx64 " leave their 4 KiB page",
			 what, len, addr);
	else
		sn_wrong(v, "%s: bus address 0x%" PRIx64 " is not registered", what, addr);
	return false;
}

void sn_own_post(struct softnic_vi *v, uint64_t addr, uint32_t len)
{
	unsigned was = 0;

	if (!v->check || !range_ok(v, addr, len, "receive"))
		return;
	for (uint64_t g = first_grain(addr); g < first_grain(addr + len); g++) {
		uint16_t *owner = grain_at(v->nic, g);

		if (owner)
			was |= __atomic_fetch_or(owner, POSTED, __ATOMIC_RELAXED);
	}
	if (was & POSTED)
		sn_wrong(v, "receive: the NIC has the buffer at bus address 0x%" PRIx64 " already",
			 addr);
	else if (was)
		sn_wrong(v, "receive: the buffer at bus address 0x%" PRIx64 " is being sent", addr);
	if (v->check == SN_CHECK_DEEP && !was)
		memset(sn_memory_at(v->nic, addr, len), PATTERN, len);
}

/* The device is about to write: does the pattern still stand? */
void sn_own_posted_check(struct softnic_vi *v, const uint8_t *p, uint32_t len)
{
	if (v->check != SN_CHECK_DEEP)
		return;
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != PATTERN) {
			sn_wrong(v, "byte %u of a posted buffer was written by the application", i);
			return;
		}
}

void sn_own_unpost(struct softnic_vi *v, uint64_t addr, uint32_t len)
{
	for (uint64_t g = first_grain(addr); v->check && g < first_grain(addr + len); g++) {
		uint16_t *owner = grain_at(v->nic, g);

		if (owner)
			__atomic_fetch_and(owner, (uint16_t)~POSTED, __ATOMIC_RELAXED);
	}
}

void sn_own_send(struct softnic_vi *v, uint64_t addr, uint32_t len)
{
	unsigned was = 0;

	if (!v->check || !range_ok(v, addr, len, "transmit"))
		return;
	for (uint64_t g = first_grain(addr); g < first_grain(addr + len); g++) {
		uint16_t *owner = grain_at(v->nic, g);

		if (owner)
			was |= __atomic_fetch_add(owner, 1, __ATOMIC_RELAXED);
	}
	if (was & POSTED)
		sn_wrong(v, "transmit: bus address 0x%" PRIx64 " is posted to receive", addr);
}

void sn_own_sent(struct softnic_vi *v, uint64_t addr, uint32_t len)
{
	for (uint64_t g = first_grain(addr); v->check && g < first_grain(addr + len); g++) {
		uint16_t *owner = grain_at(v->nic, g);

		if (owner && (sn_load(owner) & ~POSTED))
			__atomic_fetch_sub(owner, 1, __ATOMIC_RELAXED);
	}
}
