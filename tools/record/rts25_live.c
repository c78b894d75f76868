/* SPDX-License-Identifier: BSD-2-Clause */
/* rts25_live.c - the account of time by asking the monitor's account of the system's clock, moment by moment. */
#include <errno.h>
#include <time.h>

#include "lib/internal.h"
#include "tools/record/rts25.h"

#define GRID_NS 1000000u
#define ROUND_NS 100000000u
#define SET_BACK_NS 1000000000u
#define PATIENCE_NS 2500000000u /* for the look behind a moment */
#define JUMP_NS 5000000000u
#define BURST 64u

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void grain_of_the_clock(struct kbp_rts25 *r)
{
	struct timespec step = { 0 };
	uint32_t step_ps = UINT32_MAX; /* coarser than that */

	clock_getres(CLOCK_REALTIME, &step);
	if (!step.tv_sec && step.tv_nsec <= 4000000)
		step_ps = (uint32_t)step.tv_nsec * 1000u;
	for (unsigned i = 0; i < BURST; i++)
		kbp_rts25_stamp(r, KBP_TS_NONE, now_ns(CLOCK_REALTIME), step_ps);
}

/* Judges the moments from *next up to `end`; stops at one whose look is still to come. */
static void moments_judge(struct kbp_rts25 *r, const struct kbp_clock *clock, uint64_t *next,
			  uint64_t end, uint64_t utc_ns)
{
	for (; *next <= end; *next += GRID_NS) {
		struct kbp_claim c;

		kbp_clock_judge(clock, *next, &c);
		if (!c.settled && utc_ns < *next + PATIENCE_NS)
			return;
		kbp_rts25_add(r, *next, &c);
	}
}

int kbp_rts25_live(struct kbp_rts25 *r, struct kbp_monitor *mon, double seconds,
		   bool (*go_on)(void *arg), void *arg, struct kbp_error *err)
{
	const struct timespec nap = { .tv_nsec = ROUND_NS };
	struct kbp_clock *clock = kbp_monitor_clock(mon, KBP_EPOCH_UTC, -1);
	uint64_t start = now_ns(CLOCK_MONOTONIC_RAW), next = now_ns(CLOCK_REALTIME), end = 0,
		 deadline = 0;

	if (!(seconds > 0 && seconds < 1e9))
		return kbp_fail(err, -EINVAL, "watch the clock for RTS 25",
				"seconds must be above 0");
	if (!clock)
		return kbp_fail(err, -ENODEV, "watch the clock for RTS 25",
				"the monitor has no account of the system's clock");
	for (;;) {
		uint64_t utc = now_ns(CLOCK_REALTIME), raw = now_ns(CLOCK_MONOTONIC_RAW);

		if (!deadline && ((double)(raw - start) >= seconds * 1e9 || (go_on && !go_on(arg)))) {
			end = utc;
			deadline = raw + PATIENCE_NS + ROUND_NS;
		}
		if (utc > next + JUMP_NS || utc + SET_BACK_NS < next)
			next = utc; /* the clock was set, or this process slept */
		moments_judge(r, clock, &next, deadline ? end : utc, utc);
		grain_of_the_clock(r);
		if (deadline && (next > end || raw >= deadline))
			return 0;
		nanosleep(&nap, NULL);
	}
}
