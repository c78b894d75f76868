/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * series.h - one clock against CLOCK_MONOTONIC_RAW: points read together, kept in a ring, and what lies between and
 * after them. Arithmetic alone, so that tests can make up any clock.
 */
#ifndef KBP_CLOCK_SERIES_H
#define KBP_CLOCK_SERIES_H

#include <kbypass/clock.h>

/* At raw_ns the clock showed `value`, within error_ns. */
struct kbp_point {
	uint64_t raw_ns, value;
	uint32_t error_ns;
	uint32_t part; /* counts how often it was set before */
};

struct kbp_series {
	struct kbp_point *point; /* number i at i % room */
	uint64_t n;
	uint32_t room, holdover_ppb;
	bool cut;   /* the next point begins a new part */
	bool ticks; /* its rate is not one a second: cannot be told to have been set */
};

int kbp_series_init(struct kbp_series *s, uint32_t room, uint32_t holdover_ppb, bool ticks);
void kbp_series_free(struct kbp_series *s);
/* false: not after the last one. */
bool kbp_series_add(struct kbp_series *s, uint64_t raw_ns, uint64_t value, uint64_t error_ns);
/* What comes next need not be the same clock. */
void kbp_series_cut(struct kbp_series *s);
/* As kbp_convert returns. Of ticks, m->error_ns is in ns all the same. */
int kbp_series_at_raw(const struct kbp_series *s, uint64_t raw_ns, struct kbp_moment *m);
int kbp_series_to_raw(const struct kbp_series *s, uint64_t value, struct kbp_moment *m);

#endif
