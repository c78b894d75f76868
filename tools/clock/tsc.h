/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tsc.h - the CPU's cycle counter as a clock: read, calibrated, and honest about what it resolves.
 *
 * x86-64: the TSC (rdtsc). aarch64: the virtual counter (cntvct_el0). Ticks of different cores may
 * be compared only where kbp_tsc_skew says so. Nothing here is installed.
 */
#ifndef KBP_CLOCK_TSC_H
#define KBP_CLOCK_TSC_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include <kbypass/kbypass.h>

#define KBP_TSC_FRACTION \
	56 /* bits behind the point of the factors: 0.01 ppb at 4 MHz and at 200 GHz */
#define KBP_TSC_CALIBRATE_MS_MIN 100u

/* One calibration. Plain data: may be copied and shared with forked children. */
struct kbp_tsc {
	uint64_t hz;		/* ticks per second of CLOCK_MONOTONIC_RAW */
	double hz_error_ppm;	/* hz is right within this: how well the two clocks could be read
			      * together */
	uint64_t ns_mult;	/* ns = ticks * ns_mult >> KBP_TSC_FRACTION */
	uint64_t ticks_mult;	/* ticks = ns * ticks_mult >> KBP_TSC_FRACTION */
	uint64_t base_ticks;	/* this tick ... */
	uint64_t base_raw_ns;	/* ... was at this time of CLOCK_MONOTONIC_RAW */
	uint32_t quantum_ticks; /* the counter moves in multiples of this: nothing shorter can be
				 * timed */
	double quantum_ns;
	enum kbp_tristate constant; /* same rate in all P-states */
	enum kbp_tristate nonstop;  /* runs on in deep C-states */
};

/* How far the counter of CPU b is ahead of the one of CPU a. */
struct kbp_tsc_offset {
	int64_t ticks;	      /* best estimate */
	uint64_t bound_ticks; /* the truth is within ticks +- bound_ticks */
	uint32_t rounds;      /* exchanges it rests on */
};

/* The counter, at the CPU's leisure: earlier loads may still be under way, later ones already
 * done. */
static inline uint64_t kbp_tsc_now(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
#error "no cycle counter known for this CPU: add it here"
#endif
}

/* The counter, after every earlier load has completed (Intel SDM vol. 2, RDTSC; Arm ARM
 * D11.1.2). */
static inline uint64_t kbp_tsc_now_ordered(void)
{
#if defined(__x86_64__)
	_mm_lfence();
#else
	__asm__ volatile("isb" ::: "memory");
#endif
	return kbp_tsc_now();
}

/* What a spinning loop says to the core it shares with a sibling. */
static inline void kbp_tsc_relax(void)
{
#if defined(__x86_64__)
	_mm_pause();
#else
	__asm__ volatile("yield");
#endif
}

/* A span of ticks in ns. Exact products of 128 bits: no span overflows. */
static inline uint64_t kbp_tsc_ns(const struct kbp_tsc *c, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * c->ns_mult >> KBP_TSC_FRACTION);
}

/* A span of ns in ticks. */
static inline uint64_t kbp_tsc_ticks(const struct kbp_tsc *c, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * c->ticks_mult >> KBP_TSC_FRACTION);
}

/* Fill the two factors for a counter of `hz`. Returns 0, or -ERANGE outside 4 MHz .. 200 GHz. */
int kbp_tsc_set_hz(struct kbp_tsc *c, uint64_t hz);

/* kbp_tsc_calibrate - measure the counter against CLOCK_MONOTONIC_RAW over `ms` (at least 100).
 *
 * Sleeps in between, so that it costs no CPU. Also measures the quantum and reads the flags.
 * Returns:  0, or -errno.
 * Errors:   -ERANGE the counter stands still, jumped, or ticks at an absurd rate; -EINVAL ms.
 * Owns:     fills *c; keeps no pointer.
 * Blocks:   ms.
 * Threads:  any. */
int kbp_tsc_calibrate(struct kbp_tsc *c, unsigned ms, struct kbp_error *err);

/* kbp_tsc_quantum - the grid that the counter's values lie on.
 *
 * Not the smallest step between two reads: where the counter is coarse, some CPUs add 1 to a value
 * they have given before, so that no two reads are equal (seen on AMD family 25, where it moves by
 * 26).
 * Returns:  ticks; 0: it never moved.
 * Owns:     nothing changes hands.
 * Blocks:   about 1 ms, busy.
 * Threads:  any. */
uint32_t kbp_tsc_quantum(void);

/* constant_tsc and nonstop_tsc from a file in the format of /proc/cpuinfo; UNKNOWN where it does
 * not say. */
void kbp_tsc_flags_read(const char *path, enum kbp_tristate *constant, enum kbp_tristate *nonstop);

/* kbp_tsc_skew - by how much two CPUs' counters differ, by passing a token back and forth.
 *
 * Returns:  0, or -errno.
 * Errors:   -EINVAL the same CPU twice, or one this process may not run on; -ETIMEDOUT the other
 *           CPU did not answer within 200 ms; -EAGAIN no thread could be started.
 * Owns:     fills *o; keeps no pointer.
 * Blocks:   at most 200 ms, during which both CPUs spin.
 * Threads:  any; starts two threads and joins them. */
int kbp_tsc_skew(int cpu_a, int cpu_b, struct kbp_tsc_offset *o, struct kbp_error *err);

#endif
