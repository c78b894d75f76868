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
	struct kbp_seen *next, *end;
	const struct kbp_seen *first;
	uint64_t *stamps;  /* of each record; NULL: none are kept */
	uint64_t foreign;  /* of no flow */
	uint64_t overflow; /* beyond the room */
};

/* Is there a place for a frame of this flow (-1: nobody's)? Otherwise it is counted here. */
KBP_INLINE bool kbp_record_wants(struct kbp_record *r, int flow)
{
	if (KBP_UNLIKELY(flow < 0)) {
		r->foreign++;
		return false;
	}
	if (KBP_UNLIKELY(r->next == r->end)) {
		r->overflow++;
		return false;
	}
	return true;
}

/* Keeps a frame that kbp_record_wants. */
KBP_INLINE void kbp_record_add(struct kbp_record *r, uint64_t ticks, uint64_t stamp, uint64_t hash,
			       uint32_t len, int flow)
{
	struct kbp_seen *s = r->next;

	if (KBP_UNLIKELY(r->stamps != NULL))
		r->stamps[s - r->first] = stamp;
	r->next = s + 1;
	s->ticks = ticks;
	s->hash = hash;
	s->len = len;
	s->flow = (uint32_t)flow;
}

#endif
