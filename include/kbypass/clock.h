/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - watch the clocks that timestamps come from, and convert between them.
 *
 *   monitor   a thread of its own that looks at every clock of this host several times a second: what
 *             steers it, whether that still has something to follow, how far it is off. Keeps the
 *             account of each (struct kbp_clock of <kbypass/stamp.h>) and calls back when one changes
 *
 * Reads only: no daemon and no clock is ever set.
 */
#ifndef KBYPASS_CLOCK_H
#define KBYPASS_CLOCK_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- monitor */

struct kbp_monitor;

/* Who says what is known of a clock. */
enum kbp_witness {
	KBP_WITNESS_KERNEL = 1, /* adjtimex: the system clock */
	KBP_WITNESS_PTP4L,	/* a ptp4l, by its management socket */
	KBP_WITNESS_SFPTPD,	/* sfptpd, by the state it publishes */
	KBP_WITNESS_PHC,	/* a NIC's clock read against the system's (PTP_SYS_OFFSET_*) */
};

/* What one witness says now. */
struct kbp_clock_status {
	char name[108]; /* "/run/ptp4l", "sfptpd", "kernel", "ptp0" */
	enum kbp_witness witness;
	enum kbp_epoch epoch; /* of the clock it speaks of: UTC is the system's, PHC a NIC's */
	int32_t phc;	      /* N of /dev/ptpN; -1: none */
	char interface[16];   /* "" where it is not known */
	enum kbp_sync sync;
	enum kbp_clock_cause cause;
	int64_t offset_ns; /* of the clock from its reference; valid with have_offset */
	bool have_offset;
	uint64_t bound_ns;  /* from UTC at most, now; KBP_BOUND_UNKNOWN */
	uint64_t age_ns;    /* since it was last verified; UINT64_MAX: never */
	char state[24];	    /* the daemon's own word: "SLAVE", "LISTENING"; "" */
	char reference[24]; /* the grandmaster's identity; "" */
	char text[256];	    /* what is wrong and what to do, a sentence; "" when all is well */
};

/* One witness's clock changed: of sync or cause. */
struct kbp_clock_event {
	uint64_t utc_ns, raw_ns; /* CLOCK_REALTIME, CLOCK_MONOTONIC_RAW when it was noticed */
	enum kbp_sync before;
	enum kbp_clock_cause cause_before;
	struct kbp_clock_status now;
};

/* Called from the monitor's thread. Must not call the monitor. */
typedef void (*kbp_clock_event_fn)(const struct kbp_clock_event *event, void *arg);

/* Zero is the default of every member; set `size`. */
struct kbp_monitor_opts {
	size_t size;
	const char *const *ptp4l; /* management sockets, NULL-terminated; NULL: those in /run and /var/run */
	const char *sfptpd;    /* directory of its published state; NULL: where it is by default */
	uint64_t limit_ns;     /* in sync up to this offset; 0: 1000 */
	uint32_t holdover_ppb; /* 0: 200 */
	uint32_t interval_ms;  /* between looks, 10 to 500; 0: 100 */
	uint64_t reference_ns; /* the grandmaster's own error, where it does not state it; 0: unknown */
	kbp_clock_event_fn event; /* NULL: none */
	void *arg;
};

#define KBP_MONITOR_OPTS_INIT KBP_OPTS_INIT(struct kbp_monitor_opts)

/* kbp_monitor_open - start watching.
 *
 * Returns after the first look at everything.
 * Returns:  0 and *mon, or -errno and *mon = NULL. A daemon that is not there is a status, no error.
 * Errors:   -EINVAL a member of opts; -ENOMEM; -EAGAIN no thread.
 * Owns:     the caller owns *mon until kbp_monitor_close; strings are copied.
 * Blocks:   up to a second. Starts one thread.
 * Threads:  any. */
KBP_API int kbp_monitor_open(const struct kbp_monitor_opts *opts, struct kbp_monitor **mon,
			     struct kbp_error *err);

/* kbp_monitor_close - stop watching. Queues that watch one of its clocks watch nothing afterwards.
 *
 * Returns:  nothing.
 * Owns:     mon and its clocks are gone.
 * Blocks:   up to a second.
 * Threads:  any but the monitor's. NULL is fine. */
KBP_API void kbp_monitor_close(struct kbp_monitor *mon);

/* kbp_monitor_clock - the account of a clock.
 *
 * epoch, phc: as in kbp_queue_info (ts_epoch, ts_phc). UTC and TAI are the system's clock.
 * Returns:  the clock for kbp_queue_watch and kbp_clock_judge; NULL: this host has no such clock.
 * Owns:     the monitor owns it.
 * Blocks:   briefly.
 * Threads:  any. */
KBP_API struct kbp_clock *kbp_monitor_clock(struct kbp_monitor *mon, enum kbp_epoch epoch,
					    int32_t phc);

/* kbp_monitor_status - what each witness says now.
 *
 * Returns:  how many witnesses there are; the first `max` of them are in s.
 * Owns:     s is the caller's.
 * Blocks:   briefly.
 * Threads:  any. */
KBP_API unsigned kbp_monitor_status(struct kbp_monitor *mon, struct kbp_clock_status *s,
				    unsigned max);

#ifdef __cplusplus
}
#endif
#endif
