/* SPDX-License-Identifier: BSD-2-Clause */
/* clock_parts.h - what the parts of the clock monitor say to each other. Nothing here is installed. */
#ifndef KBP_CLOCK_PARTS_H
#define KBP_CLOCK_PARTS_H

#include <time.h>

#include <kbypass/clock.h>

#include "lib/internal.h"

#define NS_PER_S 1000000000ull

/* What all witnesses are judged by. */
struct kbp_watch {
	uint64_t limit_ns, reference_ns;
	uint32_t holdover_ppb;
};

/* What one witness says of its clock now. */
struct kbp_finding_of_clock {
	struct kbp_clock_status s; /* of name and witness the owner fills in what it has */
	bool present;		   /* it is worth a line in the table */
	bool fresh; /* it was looked at: there is something to write into the account */
	bool tells; /* it speaks of what its clock is worth; a master that follows none does not */
	uint64_t abs_offset_ns;
	uint64_t verified_ns; /* by its clock; 0: of now */
	uint64_t since_ns;
	uint64_t verified_raw_ns; /* about when; 0: never */
};

static inline uint64_t kbp_clock_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t))
		return 0;
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t kbp_abs_ns(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* An offset within the limit, so long ago that it may have passed the limit since. */
static inline bool kbp_outdated(const struct kbp_watch *w, uint64_t offset_ns, uint64_t age_ns)
{
	unsigned __int128 grown = (unsigned __int128)age_ns * w->holdover_ppb / NS_PER_S + offset_ns;

	return offset_ns <= w->limit_ns && grown > w->limit_ns;
}

/* a + b, or KBP_BOUND_UNKNOWN when either is, or the sum is no number. */
static inline uint64_t kbp_bound_sum(uint64_t a, uint64_t b)
{
	return a == KBP_BOUND_UNKNOWN || b == KBP_BOUND_UNKNOWN || a + b < a ? KBP_BOUND_UNKNOWN :
									       a + b;
}

#endif
