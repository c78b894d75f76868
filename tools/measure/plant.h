/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plant.h - a delay of known length, to see whether the method finds it.
 *
 * Work that nothing can hurry: multiplications, each of which waits for the one before. Nothing of what is around
 * overlaps with it, for it is fenced at both ends. How long it takes is measured where it runs. There is no loop in
 * the first 32, so that no branch is predicted wrongly at its end.
 */
#ifndef KBP_TOOLS_MEASURE_PLANT_H
#define KBP_TOOLS_MEASURE_PLANT_H

#include "tools/clock/tsc.h"

struct kbp_plant {
	bool on;    /* fenced, even when it is of no length: so are those it is compared with */
	uint32_t n; /* multiplications */
};

static inline void kbp_plant_fence(void)
{
#if defined(__x86_64__)
	_mm_lfence();
#else
	__asm__ volatile("isb" ::: "memory");
#endif
}

#define KBP_PLANT_STEP            \
	x *= 0x9e3779b97f4a7c15u; \
	__asm__ volatile("" : "+r"(x)) /* one by one */
#define KBP_PLANT_CASE(n)       \
	case n:                 \
		KBP_PLANT_STEP; \
		__attribute__((fallthrough))
#define KBP_PLANT_CASES(n)       \
	KBP_PLANT_CASE((n) + 3); \
	KBP_PLANT_CASE((n) + 2); \
	KBP_PLANT_CASE((n) + 1); \
	KBP_PLANT_CASE(n)

static inline void kbp_plant_work(uint32_t n)
{
	uint64_t x = n | 1;

	kbp_plant_fence();
	for (; n >= 32; n--) {
		KBP_PLANT_STEP;
	}
	switch (n) {
		/* NOLINTNEXTLINE(bugprone-branch-clone): the same step each time is the point */
		KBP_PLANT_CASES(28);
		KBP_PLANT_CASES(24);
		KBP_PLANT_CASES(20);
		KBP_PLANT_CASES(16);
		KBP_PLANT_CASES(12);
		KBP_PLANT_CASES(8);
		KBP_PLANT_CASES(4);
		KBP_PLANT_CASE(3);
		KBP_PLANT_CASE(2);
		KBP_PLANT_CASE(1);
	default:
		break;
	}
	kbp_plant_fence();
}

/* As many multiplications as come closest to `ns` on this CPU; *real_ns is what they take. Blocks for a few ms. */
uint32_t kbp_plant_calibrate(const struct kbp_tsc *tsc, double ns, double *real_ns);

#endif
