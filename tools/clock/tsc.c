/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/internal.h"
#include "tools/clock/tsc.h"

#define NS_PER_S 1000000000u
#define HZ_MIN 4000000u
#define HZ_MAX 200000000000u
#define PAIR_TRIES 64u /* the narrowest of so many brackets is taken: one of them is undisturbed */
#define QUANTUM_BATCHES 31u
#define QUANTUM_READS 100u /* in a batch */
#define SKEW_ROUNDS 2000u
#define SKEW_TIMEOUT_NS 200000000u

/* The same moment on both clocks, within `width` ticks. */
struct moment {
	uint64_t ticks, raw_ns, width;
};

static uint64_t raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void moment_read(struct moment *best)
{
	best->width = UINT64_MAX;
	for (unsigned i = 0; i < PAIR_TRIES; i++) {
		uint64_t before = kbp_tsc_now_ordered();
		uint64_t ns = raw_ns();
		uint64_t after = kbp_tsc_now_ordered();

		if (after < before || after - before >= best->width)
			continue;
		best->width = after - before;
		best->ticks = before + best->width / 2;
		best->raw_ns = ns;
	}
}

int kbp_tsc_set_hz(struct kbp_tsc *c, uint64_t hz)
{
	if (hz < HZ_MIN || hz > HZ_MAX)
		return -ERANGE;
	c->hz = hz;
	c->ns_mult = (uint64_t)(((unsigned __int128)NS_PER_S << KBP_TSC_FRACTION) / hz);
	c->ticks_mult = (uint64_t)(((unsigned __int128)hz << KBP_TSC_FRACTION) / NS_PER_S);
	return 0;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Common divisor of the steps between reads that are far enough apart for the counter to have
 * moved. */
static uint64_t steps_divisor(void)
{
	uint64_t last = kbp_tsc_now_ordered(), divisor = 0;

	for (unsigned i = 0; i < QUANTUM_READS; i++) {
		uint64_t t;

		for (unsigned k = 0; k < 16 + i % 7; k++)
			kbp_tsc_relax();
		t = kbp_tsc_now_ordered();
		if (t > last)
			divisor = gcd(t - last, divisor);
		last = t;
	}
	return divisor;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

uint32_t kbp_tsc_quantum(void)
{
	uint64_t divisors[QUANTUM_BATCHES];

	/* the median: a batch that was moved to another CPU in the middle may be off the grid */
	for (unsigned i = 0; i < QUANTUM_BATCHES; i++)
		divisors[i] = steps_divisor();
	qsort(divisors, QUANTUM_BATCHES, sizeof(divisors[0]), by_value);
	return (uint32_t)divisors[QUANTUM_BATCHES / 2];
}

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = strstr(line, word); p; p = strstr(p + n, word))
		if ((p == line || p[-1] == ' ' || p[-1] == '\t') && strchr(" \n", p[n]))
			return true;
	return false;
}

void kbp_tsc_flags_read(const char *path, enum kbp_tristate *constant, enum kbp_tristate *nonstop)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	*constant = *nonstop = KBP_UNKNOWN;
	f = fopen(path, "re");
	if (!f)
		return;
	while (getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5) == 0) {
			*constant = has_word(line, "constant_tsc") ? KBP_YES : KBP_NO;
			*nonstop = has_word(line, "nonstop_tsc") ? KBP_YES : KBP_NO;
			break;
		}
	}
	free(line);
	fclose(f);
}

int kbp_tsc_calibrate(struct kbp_tsc *c, unsigned ms, struct kbp_error *err)
{
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };
	struct moment a, b;
	uint64_t span_ns, span_ticks;

	memset(c, 0, sizeof(*c));
	if (ms < KBP_TSC_CALIBRATE_MS_MIN)
		return kbp_fail(err, -EINVAL, "calibrate the cycle counter",
				"%u ms are too short to tell its rate: take at least %u", ms,
				KBP_TSC_CALIBRATE_MS_MIN);
	moment_read(&a);
	while (nanosleep(&left, &left) && errno == EINTR)
		;
	moment_read(&b);
	if (a.width == UINT64_MAX || b.width == UINT64_MAX || b.ticks <= a.ticks ||
	    b.raw_ns <= a.raw_ns)
		return kbp_fail(
			err, -ERANGE, "calibrate the cycle counter",
			"it went backwards between two reads: the cores' counters are not synchronised; "
			"pin the process to one CPU or boot with a TSC the kernel trusts "
			"(/sys/devices/system/clocksource/clocksource0/current_clocksource)");
	span_ns = b.raw_ns - a.raw_ns;
	span_ticks = b.ticks - a.ticks;
	if (kbp_tsc_set_hz(c, (uint64_t)((unsigned __int128)span_ticks * NS_PER_S / span_ns)))
		return kbp_fail(err, -ERANGE, "calibrate the cycle counter",
				"%llu ticks in %llu ns is no rate a cycle counter has",
				(unsigned long long)span_ticks, (unsigned long long)span_ns);
	c->hz_error_ppm = 1e6 * ((double)(a.width + b.width) / 2 + 1) / (double)span_ticks;
	c->base_ticks = b.ticks;
	c->base_raw_ns = b.raw_ns;
	c->quantum_ticks = kbp_tsc_quantum();
	c->quantum_ns = (double)c->quantum_ticks * 1e9 / (double)c->hz;
#if defined(__aarch64__)
	/* The generic timer has a fixed rate and is always on (Arm ARM D11.1.2). */
	c->constant = c->nonstop = KBP_YES;
#else
	kbp_tsc_flags_read("/proc/cpuinfo", &c->constant, &c->nonstop);
#endif
	return 0;
}

/* ---------------------------------------------------------------- offset between two CPUs */

/* `turn` is odd while b has the token; release/acquire on it orders b_ticks. */
struct skew {
	uint32_t turn;
	uint32_t rounds;
	uint64_t b_ticks;
	uint64_t deadline_ns;
	uint64_t best_trip;
	int64_t best_offset;
};

static bool turn_wait(struct skew *s, uint32_t turn)
{
	for (unsigned spins = 1; __atomic_load_n(&s->turn, __ATOMIC_ACQUIRE) != turn; spins++) {
		kbp_tsc_relax();
		if (spins % 1024 == 0 && raw_ns() > s->deadline_ns)
			return false;
	}
	return true;
}

static void *skew_b(void *arg)
{
	struct skew *s = arg;

	for (uint32_t i = 0; i < SKEW_ROUNDS && turn_wait(s, 2 * i + 1); i++) {
		s->b_ticks = kbp_tsc_now_ordered();
		__atomic_store_n(&s->turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *skew_a(void *arg)
{
	struct skew *s = arg;

	for (uint32_t i = 0; i < SKEW_ROUNDS; i++) {
		uint64_t before = kbp_tsc_now_ordered(), after, trip;

		__atomic_store_n(&s->turn, 2 * i + 1, __ATOMIC_RELEASE);
		if (!turn_wait(s, 2 * i + 2))
			break;
		after = kbp_tsc_now_ordered();
		trip = after - before;
		s->rounds++;
		if (trip < s->best_trip) {
			s->best_trip = trip;
			s->best_offset = (int64_t)(s->b_ticks - (before + trip / 2));
		}
	}
	return NULL;
}

static int pinned_thread(pthread_t *t, int cpu, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int rc;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	pthread_attr_init(&attr);
	rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (!rc)
		rc = pthread_create(t, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -rc;
}

int kbp_tsc_skew(int cpu_a, int cpu_b, struct kbp_tsc_offset *o, struct kbp_error *err)
{
	struct skew s = { .best_trip = UINT64_MAX };
	pthread_t a = 0, b = 0;
	int rc;

	memset(o, 0, sizeof(*o));
	if (cpu_a == cpu_b || cpu_a < 0 || cpu_b < 0 || cpu_a >= CPU_SETSIZE || cpu_b >= CPU_SETSIZE)
		return kbp_fail(err, -EINVAL, "compare two CPUs' cycle counters",
				"CPUs %d and %d: name two different ones", cpu_a, cpu_b);
	s.deadline_ns = raw_ns() + SKEW_TIMEOUT_NS;
	rc = pinned_thread(&b, cpu_b, skew_b, &s);
	if (rc)
		return kbp_fail(err, rc, "compare two CPUs' cycle counters",
				"no thread on CPU %d: %s", cpu_b, strerror(-rc));
	rc = pinned_thread(&a, cpu_a, skew_a, &s);
	if (!rc)
		pthread_join(a, NULL);
	pthread_join(b, NULL);
	if (rc)
		return kbp_fail(err, rc, "compare two CPUs' cycle counters",
				"no thread on CPU %d: %s", cpu_a, strerror(-rc));
	if (!s.rounds)
		return kbp_fail(err, -ETIMEDOUT, "compare two CPUs' cycle counters",
				"CPU %d did not answer CPU %d within 200 ms: one of them is taken by a process of "
				"higher priority",
				cpu_b, cpu_a);
	o->ticks = s.best_offset;
	o->bound_ticks = s.best_trip / 2 + 1;
	o->rounds = s.rounds;
	return 0;
}
