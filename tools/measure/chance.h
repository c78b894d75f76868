/* SPDX-License-Identifier: BSD-2-Clause */
/* chance.h - random numbers that are the same for the same seed, everywhere: xoshiro256** by Blackman and Vigna,
 * seeded by splitmix64 (both are in the public domain). */
#ifndef KBP_TOOLS_MEASURE_CHANCE_H
#define KBP_TOOLS_MEASURE_CHANCE_H

#include <math.h>
#include <stdint.h>

struct kbp_chance {
	uint64_t s[4];
};

static inline void kbp_chance_seed(struct kbp_chance *c, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		c->s[i] = z ^ (z >> 31);
	}
}

static inline uint64_t kbp_chance_turn(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

static inline uint64_t kbp_chance_next(struct kbp_chance *c)
{
	uint64_t *s = c->s, result = kbp_chance_turn(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = kbp_chance_turn(s[3], 45);
	return result;
}

/* From 0 to below n, evenly to one in 2^32. */
static inline uint32_t kbp_chance_below(struct kbp_chance *c, uint32_t n)
{
	return (uint32_t)(((kbp_chance_next(c) >> 32) * n) >> 32);
}

/* Above 0 and below 1. */
static inline double kbp_chance_even(struct kbp_chance *c)
{
	return ((double)(kbp_chance_next(c) >> 11) + 0.5) * 0x1p-53;
}

/* Mean 0, deviation 1 (Box and Muller). */
static inline double kbp_chance_normal(struct kbp_chance *c)
{
	double r = sqrt(-2 * log(kbp_chance_even(c)));

	return r * cos(2 * M_PI * kbp_chance_even(c));
}

#endif
