/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - the recording thread's half: bytes into the ring, or a count of what found no room. One producer, one
 * consumer; indices run free, records lie in one piece, and a record that says WRAP fills the end.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/internal.h"
#include "tools/record/parts.h"

uint64_t kbp_rec_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One writer each: no read-modify-write is needed, and readers see whole words. */
static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Where a record of `size` bytes goes, or NULL. *skip: bytes at the end of the ring to leave out first. */
static uint8_t *reserve(struct kbp_recorder *rec, uint32_t size, uint64_t *skip)
{
	uint64_t mask = rec->ring_bytes - 1, at = rec->head & mask, to_end = rec->ring_bytes - at,
		 need;

	*skip = to_end < size ? to_end : 0;
	need = size + *skip;
	if (rec->head + need - rec->tail_seen > rec->ring_bytes) {
		/* pairs with the release in kbp_rec_pop: what was there has been read */
		rec->tail_seen = __atomic_load_n(&rec->tail, __ATOMIC_ACQUIRE);
		if (rec->head + need - rec->tail_seen > rec->ring_bytes)
			return NULL;
	}
	if (*skip) { /* to_end is a multiple of 8: there is room for the first 8 bytes of a head */
		struct kbp_rec_head *h = (struct kbp_rec_head *)(void *)(rec->ring + at);

		h->size = (uint32_t)*skip;
		h->kind = KBP_REC_WRAP;
		at = 0;
	}
	return rec->ring + at;
}

static void publish(struct kbp_recorder *rec, uint64_t bytes)
{
	uint64_t head = rec->head + bytes;

	/* pairs with the acquire in kbp_rec_first */
	__atomic_store_n(&rec->head, head, __ATOMIC_RELEASE);
	if (head - rec->tail_seen > rec->fill_max) {
		rec->tail_seen = __atomic_load_n(&rec->tail, __ATOMIC_ACQUIRE);
		if (head - rec->tail_seen > rec->fill_max)
			count(&rec->fill_max, head - rec->tail_seen - rec->fill_max);
	}
}

/* The bytes of parts[0..n) as one packet. */
static bool put(struct kbp_recorder *rec, struct kbp_rec_source *s, struct kbp_rec_head *h,
		const struct kbp_rec_ends *ends, const struct kbp_frame *parts, unsigned n)
{
	uint32_t left = h->original_len < rec->o.snaplen ? h->original_len : rec->o.snaplen;
	uint64_t skip;
	uint8_t *to;

	h->len = left;
	h->size = ((uint32_t)sizeof(*h) + (ends ? (uint32_t)sizeof(*ends) : 0) + left + 7) & ~7u;
	count(&rec->received, 1);
	count(&s->received, 1);
	if (left < h->original_len)
		count(&rec->shortened, 1);
	to = reserve(rec, h->size, &skip);
	if (KBP_UNLIKELY(!to)) {
		count(&rec->overrun, 1);
		count(&s->overrun, 1);
		s->lost++;
		return false;
	}
	h->lost = s->lost;
	s->lost = 0;
	memcpy(to, h, sizeof(*h));
	to += sizeof(*h);
	if (ends) {
		memcpy(to, ends, sizeof(*ends));
		to += sizeof(*ends);
	}
	for (unsigned i = 0; i < n && left; i++) {
		uint32_t take = parts[i].len < left ? parts[i].len : left;

		memcpy(to, parts[i].data, take);
		to += take;
		left -= take;
	}
	publish(rec, skip + h->size);
	return true;
}

/* Frames of one packet; returns whether it found room. */
static bool put_frames(struct kbp_recorder *rec, unsigned source, const struct kbp_frame *f,
		       unsigned n, uint64_t utc_ns, uint64_t mono_ns)
{
	struct kbp_rec_source *s = &rec->src[source];
	struct kbp_rec_head h = { .source = (uint8_t)source,
				  .ts_flags = f->flags,
				  .ts_ns = f->ts_ns,
				  .app_ns = utc_ns,
				  .mono_ns = mono_ns };
	struct kbp_rec_ends ends = { 0 };
	struct kbp_datagram d;

	for (unsigned i = 0; i < n; i++)
		h.original_len += f[i].len;
	if (!s->datagrams || kbp_datagram(s->q, f, &d) != KBP_PARSE_OK)
		return put(rec, s, &h, NULL, f, n);
	h.kind = KBP_REC_DATAGRAM;
	ends.src = d.src;
	ends.dst = d.dst;
	ends.src_port = d.src_port;
	ends.dst_port = d.dst_port;
	return put(rec, s, &h, &ends, f, n);
}

unsigned kbp_recorder_frames(struct kbp_recorder *rec, unsigned source, const struct kbp_frame *f,
			     unsigned n)
{
	uint64_t utc_ns, mono_ns;
	unsigned taken = 0;

	if (!n || source >= rec->n_src)
		return 0;
	utc_ns = kbp_rec_clock(CLOCK_REALTIME);
	mono_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	for (unsigned i = 0, parts; i < n; i += parts) {
		for (parts = 1; f[i + parts - 1].flags & KBP_FRAME_MORE && i + parts < n; parts++)
			;
		taken += put_frames(rec, source, f + i, parts, utc_ns, mono_ns);
	}
	return taken;
}

unsigned kbp_recorder_packet(struct kbp_recorder *rec, unsigned source, const void *bytes,
			     uint32_t len, const struct kbp_stamp *stamp)
{
	struct kbp_frame f = { .len = len, .data = (void *)(uintptr_t)bytes };
	struct kbp_rec_head h = { .source = (uint8_t)source, .original_len = len };

	if (source >= rec->n_src)
		return 0;
	h.app_ns = kbp_rec_clock(CLOCK_REALTIME);
	h.mono_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	if (stamp) {
		h.ts_flags = stamp->flags;
		h.ts_ns = stamp->ns;
	}
	return put(rec, &rec->src[source], &h, NULL, &f, 1);
}

/* ---------------------------------------------------------------- the writer's end */

const struct kbp_rec_head *kbp_rec_first(struct kbp_recorder *rec, uint64_t *fill)
{
	/* pairs with the release in publish */
	uint64_t head = __atomic_load_n(&rec->head, __ATOMIC_ACQUIRE);
	const struct kbp_rec_head *h;

	for (;;) {
		*fill = head - rec->tail;
		if (!*fill)
			return NULL;
		h = (const void *)(rec->ring + (rec->tail & (rec->ring_bytes - 1)));
		if (h->kind != KBP_REC_WRAP)
			return h;
		kbp_rec_pop(rec, h);
	}
}

void kbp_rec_pop(struct kbp_recorder *rec, const struct kbp_rec_head *h)
{
	/* pairs with the acquire in reserve */
	__atomic_store_n(&rec->tail, rec->tail + h->size, __ATOMIC_RELEASE);
}
