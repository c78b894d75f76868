/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - write down what was received, with what each stamp is worth; and tell from such files, or
 * live, how far the clock was from UTC.
 *
 *   recorder   a bounded ring in memory between the thread that polls and a writer thread of its own,
 *              which writes pcapng files
 *   quality    what is written beside each packet: the claim of its stamp, as text
 *   rts25      shares of time within the limits of RTS 25, from captures or live
 */
#ifndef KBYPASS_RECORD_H
#define KBYPASS_RECORD_H

#include <kbypass/clock.h>
#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- quality */

/* Why a device's stamp is not the packet's time in the file. */
enum kbp_unused {
	KBP_UNUSED_NONE = 0,
	KBP_UNUSED_UNPROVEN,	  /* its source has not been proven */
	KBP_UNUSED_NO_CONVERSION, /* nobody could convert it to UTC */
};

/* What is known of the time of a recorded packet. */
struct kbp_quality {
	struct kbp_claim claim; /* of the time in the file, UTC; source NONE: the program's own, read when
				 * it polled */
	enum kbp_unused unused; /* of the device's stamp; then these two: */
	enum kbp_epoch unused_epoch;
	uint64_t unused_ns;
};

#define KBP_QUALITY_TEXT_MAX 320u

/* kbp_quality_format - the comment of a packet: "sync=in bound_ns=312 verified_ns=17.123456789 ...".
 *
 * The grammar is in doc/CAPTURE.md.
 * Returns:  the length of the text, as snprintf does.
 * Owns:     writes at most `size` bytes at `buf`, NUL included.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_quality_format(const struct kbp_quality *quality, char *buf, size_t size);

/* kbp_quality_parse - read such a comment back. Words of later versions are skipped.
 *
 * Returns:  0 and *quality, or -EINVAL: it is no such comment, or one of its words is damaged.
 * Owns:     *quality is the caller's; `text` need not end in NUL.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_quality_parse(const char *text, size_t len, struct kbp_quality *quality);

/* ---------------------------------------------------------------- recorder */

struct kbp_recorder;

/* Converts a stamp to UTC, and says how wrong that may be. Called from the writer's thread.
 * Returns 0, or -errno: it cannot be told. */
typedef int (*kbp_record_utc_fn)(void *arg, enum kbp_epoch epoch, int32_t phc, uint64_t ns,
				 uint64_t *utc_ns, uint64_t *error_ns);

/* The account of the clock with that epoch (kbp_monitor_clock); NULL: there is none. Called from the
 * writer's thread, when a queue's first stamp has shown whose its stamps are. */
typedef struct kbp_clock *(*kbp_record_clock_fn)(void *arg, enum kbp_epoch epoch, int32_t phc);

#define KBP_RECORD_SOURCES_MAX 64u

/* How to record. Zero is the default of every member but path; set `size`. */
struct kbp_recorder_opts {
	size_t size;
	const char *path; /* "NAME.pcapng"; when files rotate NAME_00001_<UTC>.pcapng and so on */
	bool force; /* overwrite a file that is there: with the first packet, or when closed */
	uint32_t snaplen; /* bytes of a packet to keep; 0: 262144, which is all of it */
	uint64_t ring_bytes; /* memory between the two threads, rounded up to a power of two; 0: 64 MiB */
	uint64_t rotate_bytes; /* a new file when this one would get longer; 0: never */
	uint64_t rotate_ns;    /* a new file so long after the first packet of this one; 0: never */
	uint32_t keep;	       /* remove the oldest beyond so many; 0: keep all */
	uint32_t flush_ms;     /* nothing waits longer in the writer's own buffer; 0: 200 */
	uint32_t judge_ms;     /* wait so long for what later looks at the clock say; 0: 2500 */
	struct kbp_clock *utc; /* account of the system's clock, for packets without a stamp; NULL: none */
	kbp_record_clock_fn clock_of; /* for queues, whatever their source says; NULL: none */
	void *clock_arg;
	kbp_record_utc_fn to_utc; /* for stamps of other epochs than UTC; NULL: they cannot be converted */
	void *to_utc_arg;
};

#define KBP_RECORDER_OPTS_INIT KBP_OPTS_INIT(struct kbp_recorder_opts)

/* One interface of the file: a queue's, or, with queue = NULL, whatever the program says. */
struct kbp_record_source {
	size_t size;
	struct kbp_queue *queue;      /* must stay open until kbp_recorder_close */
	struct kbp_clock *clock;      /* account of the clock that stamps its packets; NULL: none */
	const char *name;	      /* without a queue: if_name ... */
	const char *description;      /* ... and if_description; NULL: "" */
	uint32_t linktype;	      /* ... 1: Ethernet; 101: IPv4 or IPv6 */
	enum kbp_ts_source ts_source; /* ... and what kbp_queue_info would say of its stamps */
	enum kbp_proof ts_proof;
	enum kbp_epoch ts_epoch;
	int32_t ts_phc;
	uint32_t ts_resolution_ps;
};

#define KBP_RECORD_SOURCE_INIT KBP_OPTS_INIT(struct kbp_record_source)

/* The account, in packets: received = written + overrun + unwritten + waiting. */
struct kbp_recorder_stats {
	uint64_t received;  /* handed to kbp_recorder_frames and kbp_recorder_packet */
	uint64_t written;   /* in the kernel's hands */
	uint64_t overrun;   /* no room in the ring: the counter `capture_overrun` of the file */
	uint64_t unwritten; /* the disk refused them: `capture_unwritten` */
	uint64_t waiting;   /* in the ring, or in the writer's buffer */
	uint64_t shortened; /* to snaplen, among received */
	uint64_t sync[3];   /* taken over by the writer, by enum kbp_sync of the state written */
	uint64_t source[4]; /* the same, by enum kbp_ts_source; NONE: the program's own time */
	uint64_t unsettled; /* written before a look at the clock could confirm their state */
	uint64_t bytes;	    /* of all files */
	uint64_t files;	    /* opened; removed ones count */
	uint64_t ring_bytes, ring_fill_max;
	int32_t code; /* 0, or the -errno that ended the writing */
};

/* kbp_recorder_open - make the ring, the file and the thread that writes.
 *
 * Returns:  0 and *rec, or -errno and *rec = NULL.
 * Errors:   -EEXIST the file is there: opts->force; -EINVAL a member of opts; -ENOMEM; -EAGAIN no thread;
 *           others as open(2).
 * Owns:     the caller owns *rec until kbp_recorder_close; strings are copied; clocks must outlive it.
 * Blocks:   briefly. Starts one thread, which blocks all signals.
 * Threads:  any. */
KBP_API int kbp_recorder_open(const struct kbp_recorder_opts *opts, struct kbp_recorder **rec,
			      struct kbp_error *err);

/* kbp_recorder_add - one more interface of the file.
 *
 * Returns:  its number for kbp_recorder_frames and kbp_recorder_packet, or -errno.
 * Errors:   -ENOSPC there are KBP_RECORD_SOURCES_MAX; -EBUSY something was recorded already; -EINVAL.
 * Owns:     strings are copied; queue and clock must outlive the recorder.
 * Blocks:   briefly.
 * Threads:  one at a time, before the first packet. */
KBP_API int kbp_recorder_add(struct kbp_recorder *rec, const struct kbp_record_source *source,
			     struct kbp_error *err);

/* kbp_recorder_frames - record what kbp_rx_peek gave.
 *
 * Copies the bytes once; a chain becomes one packet. What finds no room in the ring is counted and left
 * out. Enters the kernel only where clock_gettime does (a clock source other than the TSC).
 * Returns:  how many packets found room.
 * Owns:     the frames stay the caller's: release them as usual.
 * Blocks:   never.
 * Threads:  one, the same for all sources and for kbp_recorder_packet.
 * Fence:    release on the ring's head; pairs with the acquire in the writer. */
KBP_API unsigned kbp_recorder_frames(struct kbp_recorder *rec, unsigned source,
				     const struct kbp_frame *f, unsigned n);

/* kbp_recorder_packet - record bytes that came from anywhere.
 *
 * stamp:    as kbp_frame_ts gives it; NULL, or without KBP_FRAME_TS: the time of this call is written.
 * Returns:  1, or 0: no room, or no such source.
 * Owns:     the bytes are copied.
 * Blocks:   never.
 * Threads:  as kbp_recorder_frames.
 * Fence:    as kbp_recorder_frames. */
KBP_API unsigned kbp_recorder_packet(struct kbp_recorder *rec, unsigned source, const void *bytes,
				     uint32_t len, const struct kbp_stamp *stamp);

/* kbp_recorder_stats - the account so far.
 *
 * Returns:  nothing; fills *stats. Adds up once the recording thread rests.
 * Owns:     *stats is the caller's.
 * Blocks:   never.
 * Threads:  any. */
KBP_API void kbp_recorder_stats(const struct kbp_recorder *rec, struct kbp_recorder_stats *stats);

/* kbp_recorder_failed - did the writing end, and why?
 *
 * Returns:  0, or the -errno of the first write that failed; what comes after is counted as unwritten.
 * Owns:     nothing changes hands.
 * Blocks:   never; one load.
 * Threads:  any. */
KBP_API int kbp_recorder_failed(const struct kbp_recorder *rec);

/* kbp_recorder_path - the file that is being written, or was last.
 *
 * Returns:  the length of the path, as snprintf does.
 * Owns:     writes at most `size` bytes at `buf`, NUL included.
 * Blocks:   briefly.
 * Threads:  any. */
KBP_API int kbp_recorder_path(const struct kbp_recorder *rec, char *buf, size_t size);

/* kbp_recorder_close - write what waits, the statistics, and close the file.
 *
 * Close it before its queues and clocks. stats may be NULL.
 * Returns:  0, or the -errno that ended the writing; what was written before is a whole file.
 * Errors:   those of write(2) and close(2), with the file and how many packets are missing.
 * Owns:     rec is gone in any case.
 * Blocks:   up to opts.judge_ms for the last packets' clock, and for the disk.
 * Threads:  not while another thread uses it. NULL is fine: 0. */
KBP_API int kbp_recorder_close(struct kbp_recorder *rec, struct kbp_recorder_stats *stats,
			       struct kbp_error *err);

/* kbp_recorder_abandon - close a recorder that never began: what else it takes did not start.
 *
 * A file that the recorder made is removed, one that was there before (opts.force) stays as it was. After a packet it
 * is kbp_recorder_close.
 * Returns:  nothing.
 * Owns:     rec is gone.
 * Blocks:   briefly.
 * Threads:  not while another thread uses it. NULL is fine. */
KBP_API void kbp_recorder_abandon(struct kbp_recorder *rec);

/* ---------------------------------------------------------------- RTS 25 */

/* A limit of RTS 25: how far a clock may be from UTC, and how fine its stamps have to be. */
struct kbp_rts25_class {
	const char *name;  /* "hft" */
	const char *title; /* "high-frequency algorithmic trading" */
	uint64_t divergence_ns;
	uint64_t granularity_ns;
};

#define KBP_RTS25_CLASSES 3u

/* kbp_rts25_class - the i-th class, from the strictest on.
 *
 * Returns:  the class, or NULL when there are no more.
 * Owns:     the library owns it; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const struct kbp_rts25_class *kbp_rts25_class(unsigned i);

/* kbp_rts25_law - where the limits come from, and of when they are.
 *
 * Returns:  a static string.
 * Owns:     the library owns it; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_rts25_law(void);

enum kbp_rts25_verdict {
	KBP_RTS25_NOT_SHOWN =
		0, /* part of the time, or the granularity, is unknown; none of it was beyond */
	KBP_RTS25_NOT_COMPLIANT,
	KBP_RTS25_COMPLIANT, /* all of the time, and the granularity */
};

struct kbp_rts25;

/* Zero is the default of every member; set `size`. */
struct kbp_rts25_opts {
	size_t size;
	uint64_t gap_ns; /* longer time between two claims is unknown; 0: one second */
};

#define KBP_RTS25_OPTS_INIT KBP_OPTS_INIT(struct kbp_rts25_opts)

#define KBP_RTS25_PERIODS_MAX 64u

/* A time of which nothing is known. */
struct kbp_rts25_period {
	uint64_t from_ns, to_ns; /* UTC */
	char cause[24]; /* a name of enum kbp_clock_cause, or "gap", "no_claim", "no_bound", "unsettled" */
};

struct kbp_rts25_result {
	uint64_t from_ns, to_ns; /* UTC, of the first claim and the last */
	uint64_t total_ns;	 /* the time in between */
	uint64_t unknown_ns;	 /* of it */
	uint64_t claims;	 /* stamps, or moments that were asked for live */
	uint64_t unknown_claims; /* of them */
	uint64_t backwards;	 /* claims earlier than one before them, by up to gap_ns */
	uint64_t breaks; /* ... by more: the clock was set back. What is between is not shown */
	uint64_t worst_bound_ns; /* of the claims that are known; KBP_BOUND_UNKNOWN: there is none */
	uint64_t worst_at_ns;	 /* UTC */
	uint64_t step_ns; /* the largest step that all stamps of a source have in common, of the coarsest
				   * source; 0: fewer than two stamps differ. Of a driver's or NIC's stamps, which
				   * may have been converted, no finer than it states */
	uint64_t steps;		/* how many stamps of that source differ from the one before */
	uint64_t resolution_ps; /* the coarsest that a source states; 0: none does */
	struct {
		uint64_t within_ns; /* within the divergence: known, of total_ns */
		uint64_t beyond_ns; /* not within: known */
		enum kbp_rts25_verdict verdict;
	} cls[KBP_RTS25_CLASSES];
	uint64_t periods; /* of unknown; the first KBP_RTS25_PERIODS_MAX of them: */
	uint32_t n_periods;
	struct kbp_rts25_period period[KBP_RTS25_PERIODS_MAX];
};

/* kbp_rts25_open - an empty account of time.
 *
 * Returns:  0 and *r, or -errno and *r = NULL.
 * Errors:   -EINVAL a member of opts; -ENOMEM.
 * Owns:     the caller owns *r until kbp_rts25_close.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_rts25_open(const struct kbp_rts25_opts *opts, struct kbp_rts25 **r,
			   struct kbp_error *err);

/* kbp_rts25_add - what is known of the clock at a time; in order of time.
 *
 * The time between two claims is within a limit when both are known and within it, and the time is no
 * longer than gap_ns; it is unknown when one of them is unknown, or it is longer. A claim earlier than
 * one before it takes no time of its own: the worse of the two stands for the moment.
 * Known is a claim that is settled, whose state is not unknown, and which has a bound.
 * Returns:  nothing.
 * Owns:     *claim is copied. NULL: there is no claim.
 * Blocks:   never.
 * Threads:  one at a time. */
KBP_API void kbp_rts25_add(struct kbp_rts25 *r, uint64_t utc_ns, const struct kbp_claim *claim);

/* kbp_rts25_stamp - a stamp for the granularity alone.
 *
 * A source that states a coarser resolution_ps than a limit is too coarse, whatever its stamps show. A driver's or a
 * NIC's may have been converted to UTC, which hides their true steps: of them only what is stated shows fineness.
 * Returns:  nothing.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one at a time. */
KBP_API void kbp_rts25_stamp(struct kbp_rts25 *r, enum kbp_ts_source source, uint64_t ns,
			     uint32_t resolution_ps);

/* What was read. */
struct kbp_rts25_file {
	uint64_t packets;
	uint64_t foreign;	 /* of them, without a claim */
	uint64_t damaged;	 /* of them, with a claim that cannot be read: counts as none */
	bool cut;		 /* the file ends within a block: what precedes it counts */
	uint64_t cut_at;	 /* bytes from its start */
	uint64_t from_ns, to_ns; /* UTC: earliest and latest packet */
};

/* kbp_rts25_add_file - every packet of a pcapng or pcap file, as kbp_rts25_add and kbp_rts25_stamp.
 *
 * A packet that this library did not write has no claim: its time is unknown. Several files in order of
 * time. A damaged block ends the reading with an error; what precedes it has been added.
 * Returns:  0 and *file (may be NULL), or -errno.
 * Errors:   -ENOENT, -EACCES as open(2); -EINVAL no capture; -EBADMSG damaged, with the place; -ERANGE it
 *           begins before the file before it ended; -ENOMEM.
 * Owns:     *file is the caller's; path is not kept.
 * Blocks:   for as long as reading takes.
 * Threads:  one at a time. */
KBP_API int kbp_rts25_add_file(struct kbp_rts25 *r, const char *path, struct kbp_rts25_file *file,
			       struct kbp_error *err);

/* kbp_rts25_begin - when a capture begins: to put files in order.
 *
 * Returns:  0 and *utc_ns of its first packet (UINT64_MAX: it has none), or -errno.
 * Errors:   as kbp_rts25_add_file.
 * Owns:     path is not kept.
 * Blocks:   briefly.
 * Threads:  any. */
KBP_API int kbp_rts25_begin(const char *path, uint64_t *utc_ns, struct kbp_error *err);

/* kbp_rts25_live - watch the system's clock, a thousand moments a second, each judged after the look
 * behind it.
 *
 * go_on:    asked ten times a second; false ends it. May be NULL.
 * Returns:  0, or -errno.
 * Errors:   -ENODEV the monitor has no account of the system's clock; -EINVAL.
 * Owns:     nothing changes hands.
 * Blocks:   for `seconds` and the time until the last look.
 * Threads:  one at a time. */
KBP_API int kbp_rts25_live(struct kbp_rts25 *r, struct kbp_monitor *mon, double seconds,
			   bool (*go_on)(void *arg), void *arg, struct kbp_error *err);

/* kbp_rts25_result - shares and verdicts so far.
 *
 * Returns:  nothing; fills *result.
 * Owns:     *result is the caller's.
 * Blocks:   never.
 * Threads:  one at a time. */
KBP_API void kbp_rts25_result(const struct kbp_rts25 *r, struct kbp_rts25_result *result);

/* kbp_rts25_close - free.
 *
 * Returns:  nothing.
 * Owns:     r is gone.
 * Blocks:   never.
 * Threads:  one at a time. NULL is fine. */
KBP_API void kbp_rts25_close(struct kbp_rts25 *r);

#ifdef __cplusplus
}
#endif
#endif
