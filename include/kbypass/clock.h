/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - watch the clocks that timestamps come from, and convert between them.
 *
 *   monitor   a thread of its own that looks at every clock of this host several times a second: what
 *             steers it, whether that still has something to follow, how far it is off. Keeps the
 *             account of each (struct kbp_clock of <kbypass/stamp.h>) and calls back when one changes
 *   converter samples of all clocks of this host taken together, and times of one told in another, each
 *             with its error; right across a clock that was set, and across leap seconds
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

/* ---------------------------------------------------------------- conversions */

struct kbp_converter;

/* What a time is told in. */
enum kbp_scale {
	KBP_SCALE_TSC = 1,   /* ticks of the CPU's cycle counter (aarch64: cntvct_el0) */
	KBP_SCALE_RAW,	     /* CLOCK_MONOTONIC_RAW */
	KBP_SCALE_MONOTONIC, /* CLOCK_MONOTONIC */
	KBP_SCALE_UTC,	     /* CLOCK_REALTIME: ns since 1970 without leap seconds */
	KBP_SCALE_TAI, /* by the kernel's offset (CLOCK_TAI), or by the table of leap seconds */
	KBP_SCALE_PHC, /* /dev/ptpN, whatever it was set to */
};

/* A moment, told in the scale it was converted to. */
struct kbp_moment {
	uint64_t value;	   /* ns; ticks of KBP_SCALE_TSC */
	uint64_t error_ns; /* it is right within this, as far as the clocks tell */
	uint32_t flags;	   /* KBP_MOMENT_* */
};

/* Later than the last sample: the error grows by the holdover rate, and a clock set since then is not known of. */
#define KBP_MOMENT_EXTRAPOLATED 1u
/* UTC's value is in the last second of a day that has a leap second, and stands for two moments: in a value converted
 * from UTC the first one, a second later the leap second itself; one converted to UTC is in the leap second. */
#define KBP_MOMENT_LEAP 2u
/* The table of leap seconds says nothing of that time any more: there may have been one since. */
#define KBP_MOMENT_EXPIRED 4u

/* Zero is the default of every member; set `size`. */
struct kbp_converter_opts {
	size_t size;
	uint32_t samples;      /* remembered; 0: 4096 */
	uint32_t holdover_ppb; /* how much a clock's rate may change unseen; 0: 200 */
	const int32_t *phc;    /* N of each /dev/ptpN to take in, n_phc of them */
	uint32_t n_phc;
};

#define KBP_CONVERTER_OPTS_INIT KBP_OPTS_INIT(struct kbp_converter_opts)

/* kbp_converter_open - begin to take samples of the clocks.
 *
 * Takes the first two. A program without a monitor takes the others by kbp_converter_sample.
 * Returns:  0 and *conv, or -errno and *conv = NULL.
 * Errors:   -EINVAL a member of opts; -ENODEV, -EACCES a PHC that cannot be read; -ENOMEM.
 * Owns:     the caller owns *conv until kbp_converter_close.
 * Blocks:   10 ms.
 * Threads:  any. */
KBP_API int kbp_converter_open(const struct kbp_converter_opts *opts, struct kbp_converter **conv,
			       struct kbp_error *err);

/* kbp_converter_close - forget the samples.
 *
 * Returns:  nothing.
 * Owns:     conv is gone.
 * Blocks:   never.
 * Threads:  not while another thread converts. NULL is fine. */
KBP_API void kbp_converter_close(struct kbp_converter *conv);

/* kbp_converter_sample - read all clocks together once more.
 *
 * The oftener, the smaller the errors: between two samples a clock's rate is taken as even.
 * Returns:  nothing; a clock that cannot be read is left out this time.
 * Owns:     nothing changes hands.
 * Blocks:   never; some microseconds for each clock, some tens for a PHC.
 * Threads:  one at a time. */
KBP_API void kbp_converter_sample(struct kbp_converter *conv);

/* kbp_convert - a time of one clock told by another.
 *
 * phc: N of the PHC, where either scale is one; two PHCs are converted by way of KBP_SCALE_RAW.
 * Between UTC and TAI leap seconds are counted by the table; times of any year since 1972 can be converted.
 * Returns:  0 and *m, or -errno, *m untouched: -ENODEV no such clock here; -ERANGE before the first sample that is
 *           kept, or, for UTC and TAI, before 1972; -ENODATA the clock never showed this time, or may not have: it was
 *           set forward over it; -ENOTUNIQ it showed it twice, or was set at that very moment.
 * Owns:     *m is the caller's.
 * Blocks:   briefly, while a sample is taken in. Not for the hot thread.
 * Threads:  any. */
KBP_API int kbp_convert(struct kbp_converter *conv, enum kbp_scale from, enum kbp_scale to,
			int32_t phc, uint64_t value, struct kbp_moment *m);

/* kbp_utc_to_tai - by the table of leap seconds alone: the host's, or the one of this build.
 *
 * Returns:  0 and *m, error_ns 0, or -ERANGE before 1972, or -ENODATA in a second that was left out.
 * Owns:     *m is the caller's.
 * Blocks:   the first call reads /usr/share/zoneinfo/leap-seconds.list.
 * Threads:  any. */
KBP_API int kbp_utc_to_tai(uint64_t utc_ns, struct kbp_moment *m);

/* kbp_tai_to_utc - by the table of leap seconds alone.
 *
 * Returns:  0 and *m, error_ns 0, or -ERANGE before 1972.
 * Owns:     *m is the caller's.
 * Blocks:   as kbp_utc_to_tai.
 * Threads:  any. */
KBP_API int kbp_tai_to_utc(uint64_t tai_ns, struct kbp_moment *m);

/* kbp_monitor_converter - the monitor's own: it takes a sample at each look, of all PHCs too.
 *
 * Returns:  the converter; never NULL.
 * Owns:     the monitor owns it.
 * Blocks:   never.
 * Threads:  any. Not for kbp_converter_sample. */
KBP_API struct kbp_converter *kbp_monitor_converter(struct kbp_monitor *mon);

#ifdef __cplusplus
}
#endif
#endif
