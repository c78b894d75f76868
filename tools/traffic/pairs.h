/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.h - a clock of the system beside the CPU's cycle counter: what was tick T by that clock, and the
 * other way round, with the error stated. Nothing here is installed.
 *
 * A pair is one reading of both. Between two pairs the clock is taken to run evenly; what it may really
 * have done shows in how much its rate differs from one stretch to the next. A clock that was set is found
 * by more than steering explains, and then nothing is converted.
 */
#ifndef KBP_TRAFFIC_PAIRS_H
#define KBP_TRAFFIC_PAIRS_H

#include <time.h>

#include <kbypass/kbypass.h>

#include "tools/clock/tsc.h"

#define KBP_PAIRS_MAX 1024u
#define KBP_PAIRS_EVERY_NS 50000000u

struct kbp_pair {
	uint64_t ticks, ns;
	uint64_t half_ticks; /* the clock was read within ticks +- half_ticks */
};

/* Plain data but for fd: may be in shared memory. */
struct kbp_pairs {
	struct kbp_tsc tsc;
	clockid_t id;
	int fd;		  /* of a PHC; -1: none */
	uint32_t n;	  /* pairs kept */
	uint64_t every;	  /* ticks between two that kbp_pairs_tend takes */
	uint64_t next_at; /* tick of the next */
	bool stepped;	  /* the clock was set in between: nothing can be converted */
	struct kbp_pair p[KBP_PAIRS_MAX];
};

/* The clock that stamps of this source, epoch and PHC are of. -EOPNOTSUPP with the reason: there is none that
 * can be read here. Takes the first pair. */
int kbp_pairs_open(struct kbp_pairs *c, enum kbp_ts_source source, enum kbp_epoch epoch,
		   int32_t phc, const struct kbp_tsc *tsc, struct kbp_error *err);
/* Reads both now, some ten times, and keeps the closest reading: about 1 us. */
void kbp_pairs_take(struct kbp_pairs *c);
/* Takes a pair when it is time for one. */
static inline void kbp_pairs_tend(struct kbp_pairs *c, uint64_t now)
{
	if (now >= c->next_at)
		kbp_pairs_take(c);
}
/* A pair that was read elsewhere. */
void kbp_pairs_add(struct kbp_pairs *c, const struct kbp_pair *pair);
/* Tick of a time between the first pair and the last, right within *error_ns. False: it lies outside, or
 * the clock was set. */
bool kbp_pairs_ticks(const struct kbp_pairs *c, uint64_t ns, uint64_t *ticks, uint64_t *error_ns);
void kbp_pairs_close(struct kbp_pairs *c);

#endif
