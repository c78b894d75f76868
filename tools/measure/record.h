/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - what it takes to keep a sample: one store of 24 bytes behind a bounds check. In a header, so that
 * bench/overhead_record.c counts the instructions of the very code that the receiver runs.
 */
#ifndef KBP_MEASURE_RECORD_H
#define KBP_MEASURE_RECORD_H

#include <kbypass/hot.h>

#include "tools/measure/seen.h"

/* One writer, and nothing of it shared while it is hot. */
struct kbp_record {
	struct kbp_seen *next;
	const struct kbp_seen *limit; /* up to here there is nothing but to store; with stamps `first` */
	const struct kbp_seen *first, *end;
	uint64_t *stamps;  /* of each record; NULL: none are kept */
	uint64_t foreign;  /* of no flow */
	uint64_t overflow; /* beyond the room */
};

static inline void kbp_record_init(struct kbp_record *r, struct kbp_seen *room, size_t n)
{
	*r = (struct kbp_record){ .next = room, .first = room, .limit = room + n, .end = room + n };
}

/* From now on with the stamp of each. */
static inline void kbp_record_stamps(struct kbp_record *r, uint64_t *stamps)
{
	r->stamps = stamps;
	r->limit = r->first;
}

/* Beyond the limit. False: there is no room. */
static inline bool kbp_record_slow(struct kbp_record *r, uint64_t stamp)
{
	if (r->next == r->end) {
		r->overflow++;
		return false;
	}
	r->stamps[r->next - r->first] = stamp;
	return true;
}

/* Is this a frame of the bench (flow -1: nobody's)? Otherwise it is counted here. */
KBP_INLINE bool kbp_record_wants(struct kbp_record *r, int flow)
{
	if (KBP_LIKELY(flow >= 0))
		return true;
	r->foreign++;
	return false;
}

/* Keeps a frame that kbp_record_wants. */
KBP_INLINE void kbp_record_add(struct kbp_record *r, uint64_t ticks, uint64_t stamp, uint64_t hash,
			       uint32_t len, int flow)
{
	struct kbp_seen *s = r->next;

	if (KBP_UNLIKELY(s >= r->limit) && !kbp_record_slow(r, stamp))
		return;
	r->next = s + 1;
	s->ticks = ticks;
	s->hash = hash;
	s->len = len;
	s->flow = (uint32_t)flow;
}

#endif
