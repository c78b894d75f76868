/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp.h - what a timestamp claims, and what is known of the clock behind it.
 *
 *   stamp   when, by a queue's source; two bits of its flags say whether its clock was in sync then
 *   claim   all there is to say of a stamp: source, epoch, resolution, state of the clock, error
 *           bound, when the clock was last verified, and why it is not in sync
 *   clock   the account of one clock: what each look at it found. One thread writes it (the monitor of
 *           <kbypass/clock.h>, or a program's own), any thread reads it
 *
 * A queue that watches a clock (kbp_queue_watch) gives each stamp its state by one load of a word that
 * the clock's writer publishes: stamps within that window are in sync, all others are unknown, those
 * of a window that nobody renewed too. What that word cannot say, and what is found out later,
 * kbp_stamp_claim says.
 *
 * "In sync" means within the clock's limit of its reference, while a reference is being followed. The
 * error bound is another thing: how far from UTC the clock can be at most. It grows with the time since
 * the last look by the holdover rate, and is known without sync too (holdover), or not at all.
 */
#ifndef KBYPASS_STAMP_H
#define KBYPASS_STAMP_H

#include <kbypass/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who writes a timestamp. Software is never called NIC. */
enum kbp_ts_source { KBP_TS_NONE = 0, KBP_TS_KERNEL, KBP_TS_DRIVER, KBP_TS_NIC };

/* What a stamp counts from. PHC: whatever the NIC's own clock was set to. */
enum kbp_epoch {
	KBP_EPOCH_NONE = 0,
	KBP_EPOCH_UTC,	     /* ns since 1970 as CLOCK_REALTIME counts them: without leap seconds */
	KBP_EPOCH_TAI,	     /* CLOCK_TAI */
	KBP_EPOCH_PHC,	     /* /dev/ptpN; ptp4l sets it to TAI */
	KBP_EPOCH_MONOTONIC, /* CLOCK_MONOTONIC */
};

/* Whether the clock behind a timestamp is in sync. "Nobody looked" is unknown, never in sync. */
enum kbp_sync { KBP_SYNC_UNKNOWN = 0, KBP_SYNC_NOT = 1, KBP_SYNC_IN = 2 };

/* Why a frame has no stamp, where the device can tell. */
enum kbp_no_ts {
	KBP_NO_TS_UNTOLD = 0,  /* not asked for, or the source does not say */
	KBP_NO_TS_EARLY = 1,   /* the device's clock has not been heard of yet */
	KBP_NO_TS_STALE = 2,   /* it was heard of too long ago */
	KBP_NO_TS_MISSING = 3, /* this packet was not stamped */
};

/* A timestamp and what is known of it. flags: KBP_FRAME_TS and the sync bits; without KBP_FRAME_TS,
 * no stamp. */
struct kbp_stamp {
	uint64_t ns;
	uint16_t frac; /* 2^-16 ns */
	uint16_t flags;
};

/* Why a clock is not in sync, or not known to be. */
enum kbp_clock_cause {
	KBP_CLOCK_FINE = 0,
	KBP_CLOCK_UNWATCHED,	  /* nobody looked */
	KBP_CLOCK_EXPIRED,	  /* the last look is so old that the limit may have been passed */
	KBP_CLOCK_NOT_YET,	  /* a daemon works on it and is not done */
	KBP_CLOCK_DAEMON_GONE,	  /* nothing steers it any more */
	KBP_CLOCK_MASTER_LOST,	  /* a daemon runs, and has nothing to follow */
	KBP_CLOCK_OFFSET,	  /* farther from its reference than the limit */
	KBP_CLOCK_STEPPED,	  /* it was set, about then */
	KBP_CLOCK_UNSYNCHRONISED, /* the kernel or the device says that it is not in sync */
	KBP_CLOCK_AMBIGUOUS,	  /* it was set back: this time came twice */
};

#define KBP_BOUND_UNKNOWN UINT64_MAX

/* kbp_clock_cause_name - the stable name of a cause, as in the JSON: "master_lost".
 *
 * Returns:  a static string.
 * Owns:     the library owns it; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_clock_cause_name(enum kbp_clock_cause cause);

/* All there is to say of a stamp. */
struct kbp_claim {
	enum kbp_ts_source source;
	enum kbp_proof proof; /* of the source: PROVEN after a non-zero, plausible, advancing stamp */
	enum kbp_epoch epoch;
	uint32_t resolution_ps; /* 0: unknown */
	enum kbp_sync sync;	/* of the clock, at the time of the stamp */
	enum kbp_clock_cause cause;
	bool settled; /* there is evidence from after the stamp too: this does not change any more, unless the
		       * clock turns out to have been set back to before it, or it is so old that it is
		       * forgotten: then it reads unknown */
	uint64_t bound_ns; /* the clock was at most so far from UTC (or TAI); KBP_BOUND_UNKNOWN */
	uint64_t verified_ns; /* the last look before the stamp that found it in sync, by the clock itself;
			       * 0: there was none */
};

/* ---------------------------------------------------------------- clocks */

/* One clock. Zero is the default of every member; set `size`. */
struct kbp_clock_opts {
	size_t size;
	enum kbp_epoch epoch;  /* of its time: UTC, TAI or PHC; required */
	int32_t phc;	       /* N of /dev/ptpN, with KBP_EPOCH_PHC */
	uint64_t limit_ns;     /* in sync up to this offset from the reference; 0: 1000 */
	uint32_t holdover_ppb; /* how fast the error may grow unseen, ns per second; 0: 200 */
	uint32_t looks;	       /* remembered, for stamps that are judged later; 0: 8192 */
};

#define KBP_CLOCK_OPTS_INIT KBP_OPTS_INIT(struct kbp_clock_opts)

/* What one look at a clock found. */
struct kbp_clock_look {
	uint64_t at_ns;	    /* when, by the clock itself */
	uint64_t raw_ns;    /* CLOCK_MONOTONIC_RAW at the same moment: a clock that was set shows */
	enum kbp_sync sync; /* IN: a reference is followed. Beyond the limit it counts as NOT */
	enum kbp_clock_cause cause; /* with NOT and UNKNOWN */
	uint64_t offset_ns;	    /* with IN: magnitude of the offset from the reference */
	uint64_t bound_ns; /* distance from UTC at most; KBP_BOUND_UNKNOWN: this look does not tell */
	uint64_t verified_ns; /* offset and bound are of this time of the clock; 0: of at_ns */
	uint64_t verified_raw_ns; /* the same by CLOCK_MONOTONIC_RAW, where it is known; 0: as verified_ns says. A
				   * measurement from before a clock was set says nothing of it */
	uint64_t since_ns; /* with NOT and UNKNOWN: it began then, by the clock itself; 0: after the look before */
};

/* kbp_clock_open - the account of a clock, empty: nothing is known of it.
 *
 * Returns:  0 and *clock, or -errno and *clock = NULL.
 * Errors:   -EINVAL a member of opts; -ENOMEM.
 * Owns:     the caller owns *clock until kbp_clock_close.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_clock_open(const struct kbp_clock_opts *opts, struct kbp_clock **clock,
			   struct kbp_error *err);

/* kbp_clock_close - forget it. Queues that watch it watch nothing afterwards: their stamps are unknown.
 *
 * Returns:  nothing.
 * Owns:     clock is gone.
 * Blocks:   briefly.
 * Threads:  not while another thread adds to it or judges by it. NULL is fine. */
KBP_API void kbp_clock_close(struct kbp_clock *clock);

/* kbp_clock_add - write down what a look found, and publish it to the queues that watch.
 *
 * A look that shows the clock stepped, by more than holdover and the reading explain, begins a new part
 * of the account.
 * Returns:  0, or -EINVAL: a look before the last one by raw_ns, which is left out.
 * Errors:   -EINVAL.
 * Owns:     *look is copied.
 * Blocks:   briefly, while another thread judges.
 * Threads:  one at a time, never a hot one. */
KBP_API int kbp_clock_add(struct kbp_clock *clock, const struct kbp_clock_look *look);

/* kbp_clock_judge - what is known of the clock at a time of its own.
 *
 * Of a time since the last look this is what is known now; later looks can change it: the clock may
 * turn out to have lost its master, or to have been set, in between. `settled` says which it is.
 * Returns:  nothing; fills sync, cause, settled, bound_ns and verified_ns of *claim, and epoch.
 * Owns:     *claim is the caller's.
 * Blocks:   briefly, while another thread adds. Not for the hot thread.
 * Threads:  any. */
KBP_API void kbp_clock_judge(const struct kbp_clock *clock, uint64_t ns, struct kbp_claim *claim);

/* kbp_queue_watch - this queue's stamps are of that clock: their sync bits follow its account.
 *
 * Until the next look at the clock all is unknown. The clock must be the one that writes the stamps
 * (kbp_queue_info.ts_epoch and ts_phc). Where the first frame settles whose stamps they are (af_xdp),
 * watching before it settles that they are the announced ones. On ef_vi a stamp is in sync when the
 * adapter says so and the clock's account does.
 * clock:    NULL: no clock; stamps are unknown again (ef_vi: what the adapter says).
 * Returns:  0, or -errno.
 * Errors:   -EINVAL the queue has no stamps, or of another epoch or PHC than the clock's.
 * Owns:     the caller keeps the clock; either may be closed first.
 * Blocks:   briefly.
 * Threads:  the queue's thread. */
KBP_API int kbp_queue_watch(struct kbp_queue *q, struct kbp_clock *clock, struct kbp_error *err);

/* kbp_stamp_claim - all there is to say of a stamp of this queue, as far as it is known now.
 *
 * Asked again later of the same stamp, it says what was found out meanwhile.
 * Returns:  nothing; fills *claim. Without KBP_FRAME_TS in s->flags the source is KBP_TS_NONE.
 * Owns:     *claim is the caller's.
 * Blocks:   briefly. Not for the hot thread.
 * Threads:  any, while the queue is open. */
KBP_API void kbp_stamp_claim(const struct kbp_queue *q, const struct kbp_stamp *s,
			     struct kbp_claim *claim);

/* kbp_completion_claim - the same of the stamp of a sent frame.
 *
 * It is not known to be of the clock that the queue watches where sent and received frames are stamped by
 * different ones: then it is unknown.
 * Returns:  nothing; fills *claim. Without KBP_FRAME_TS in c->flags the source is KBP_TS_NONE.
 * Owns:     *claim is the caller's.
 * Blocks:   briefly. Not for the hot thread.
 * Threads:  any, while the queue is open. */
KBP_API void kbp_completion_claim(const struct kbp_queue *q, const struct kbp_completion *c,
				  struct kbp_claim *claim);

#ifdef __cplusplus
}
#endif
#endif
