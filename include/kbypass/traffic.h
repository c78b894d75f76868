/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.h - what is sent, when, and how to tell that it arrived whole.
 *
 *   schedule   frames and the time each is due; made by the generator or from a capture
 *   sender     plays a schedule, open loop: a late frame is sent at once and counted, never skipped
 *   replay     a schedule through a backend's own way of sending, and how well its times were kept
 *   digest     what was delivered, flow by flow and in order, in 16 letters; equal to the
 *   schedule's
 *              when every payload arrived whole, once and in order
 */
#ifndef KBYPASS_TRAFFIC_H
#define KBYPASS_TRAFFIC_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kbp_tsc;
struct kbp_sender;
struct kbp_replay;
struct kbp_digest;

/* ---------------------------------------------------------------- schedule */

/* One frame, stored once however often it is sent. */
struct kbp_schedule_frame {
	uint64_t at_ns;		 /* recorded or generated time after the first frame, speed applied;
			 * monotone */
	uint64_t payload_hash;	 /* kbp_payload_hash of the UDP payload */
	uint64_t offset;	 /* of the Ethernet header, in kbp_schedule.bytes */
	uint32_t len;		 /* bytes of the Ethernet frame */
	uint32_t payload_len;	 /* bytes of the UDP payload */
	uint16_t payload_offset; /* from the Ethernet header */
	uint16_t flow;		 /* index in kbp_schedule.flows */
	uint32_t reserved;
};

enum kbp_timing_kind {
	KBP_TIMING_RECORDED = 0, /* as captured, or with the profile's own bursts */
	KBP_TIMING_CONSTANT,	 /* one every 1/rate_pps seconds */
	KBP_TIMING_POISSON,	 /* exponential gaps, 1/rate_pps on average; the seed decides */
	KBP_TIMING_BURSTS,	 /* RECORDED, with silences of more than gap_ns shortened to that */
};

/* When frames are due, and how many there are. */
struct kbp_timing {
	enum kbp_timing_kind kind;
	uint64_t rate_pps; /* CONSTANT, POISSON: required. RECORDED: scale to this average; 0: do
			    * not */
	double speed;	   /* RECORDED: 2 is twice as fast; 0 means 1 */
	double seconds;	   /* how long; 0: a capture is played once */
	uint64_t frames;   /* stop after so many; 0: no limit */
	uint64_t seed;	   /* POISSON */
	uint32_t loops; /* a capture: play it so often, or until seconds or frames end it; 0: once, but at a
			 * rate, and in BURSTS, as often as fits into seconds */
	uint64_t gap_ns; /* BURSTS: times between two frames below this are kept to the nanosecond, longer ones
			  * become this; 0: KBP_BURST_GAP_NS */
};

#define KBP_BURST_GAP_NS 1000000u

/* An immutable list of frames in one shared, read-only mapping: forked children see the same memory
 * at the same address. Frame i of n_total is frames[i % n_frames]: a capture that is looped is
 * stored once. */
struct kbp_schedule {
	const struct kbp_schedule_frame *frames;
	const struct kbp_flow *flows; /* distinct (dst, dst_port, vlan), in order of appearance; src
				       * is "any" */
	const uint8_t *bytes;
	const uint64_t *times; /* POISSON: when each of n_total frames is due; otherwise NULL */
	const uint32_t *flow_slots; /* hash table of kbp_schedule_flow */
	uint64_t n_total;	    /* frames to send */
	uint64_t n_bytes;
	uint64_t period_ns;	  /* RECORDED, BURSTS: from one loop to the next */
	struct kbp_timing timing; /* as asked for */
	uint32_t n_frames;	  /* stored frames */
	uint32_t n_flows;
	uint32_t flow_mask;
	uint32_t len_max; /* longest frame, bytes */
	uint32_t mtu_min; /* smallest interface MTU that carries every frame */
	size_t map_len;
};

/* kbp_schedule_at - which frame is the i-th (0 <= i < n_total), and when is it due?
 *
 * Returns:  the index in s->frames; *at_ns is the intended time after the start.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any, and any process that inherited the mapping. */
KBP_API uint32_t kbp_schedule_at(const struct kbp_schedule *s, uint64_t i, uint64_t *at_ns);

/* The bursts of a schedule: frames less than gap_ns apart, one after the other. */
struct kbp_bursts {
	uint64_t gap_ns;
	uint64_t bursts;
	uint64_t longest;     /* frames of the longest one */
	uint64_t within_10us; /* most frames within 10 us */
};

/* kbp_schedule_bursts - how many bursts there are, and how hard they are.
 *
 * gap_ns: what separates two; 0: KBP_BURST_GAP_NS.
 * Returns:  nothing; fills *b.
 * Owns:     nothing changes hands.
 * Blocks:   for as long as n_total takes (some 10 ns each).
 * Threads:  any. */
KBP_API void kbp_schedule_bursts(const struct kbp_schedule *s, uint64_t gap_ns, struct kbp_bursts *b);

/* kbp_schedule_flow - which of the schedule's flows a received datagram belongs to.
 *
 * A datagram without a tag matches a tagged flow too, because `socket` does not show tags.
 * Returns:  the index in s->flows, or -1.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_schedule_flow(const struct kbp_schedule *s, const struct kbp_datagram *d);

/* kbp_schedule_digest - the digest a receiver gets when everything arrives.
 *
 * sent_ticks: what the sender recorded: frames with 0 there were not sent and do not count; NULL:
 *             all count.
 * Returns:  0 and the text in hex, or -ENOMEM.
 * Owns:     writes 17 bytes at hex.
 * Blocks:   for as long as n_total takes (some 10 ns each).
 * Threads:  any. */
KBP_API int kbp_schedule_digest(const struct kbp_schedule *s, const uint64_t *sent_ticks,
				char hex[17]);

/* kbp_schedule_close - unmap.
 *
 * Returns:  nothing.
 * Owns:     s is gone in this process; a forked child's mapping stays until its own close or exit.
 * Blocks:   never.
 * Threads:  not while another thread uses it. NULL is fine. */
KBP_API void kbp_schedule_close(struct kbp_schedule *s);

/* ---------------------------------------------------------------- generator */

/* What to generate: MoldUDP64 packets (session, sequence number, count, length-prefixed
 * messages). */
struct kbp_generator_opts {
	size_t size;
	const char *profile;  /* kbp_generator_profile; NULL: "itch" */
	uint32_t frame_bytes; /* every frame so long, Ethernet header included; 0: the profile's
			       * sizes */
	struct kbp_flow flow; /* first destination, VLAN, and the source address and port in the
			       * headers */
	uint32_t n_flows; /* destinations; 0: 1. Group k has port + k and, multicast, address + k */
	uint8_t src_mac[6];
	uint8_t dst_mac[6]; /* unicast; a group's MAC follows from its address */
	uint64_t seed;	    /* sizes, contents, gaps, choice of flow */
};

/* A feed's shape, as measured on captures. */
struct kbp_generator_profile {
	const char *name;
	const char *what;
	uint32_t size_p50, size_p99;		     /* frame bytes */
	uint32_t gap_us_p50, gap_us_p99;	     /* between frames */
	uint32_t burst_10us, burst_100us, burst_1ms; /* most frames within */
};

/* kbp_generator_profile - the i-th shape that the generator knows.
 *
 * Returns:  the profile, or NULL when there are no more.
 * Owns:     the library owns it; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const struct kbp_generator_profile *kbp_generator_profile(unsigned i);

/* kbp_schedule_generate - a feed made up from a profile; the same options give the same bytes and
 * times.
 *
 * timing->seconds or timing->frames says how much. At most 256 MiB are generated: beyond that they
 * repeat.
 * Returns:  0 and *s, or -errno and *s = NULL.
 * Errors:   -EINVAL a member of opts or timing, named; -E2BIG more frames than a schedule holds;
 *           -ENOMEM.
 * Owns:     the caller owns *s until kbp_schedule_close; strings are not kept.
 * Blocks:   for as long as it takes (about 1 s for 256 MiB).
 * Threads:  any. */
KBP_API int kbp_schedule_generate(const struct kbp_generator_opts *opts,
				  const struct kbp_timing *timing, struct kbp_schedule **s,
				  struct kbp_error *err);

/* ---------------------------------------------------------------- captures */

enum {
	KBP_CAPTURE_SOURCE = 1u << 0, /* rewrite the source address too, to from_ip4 or from_ip6 */
};

/* How a captured frame is made to fit this wire. Zero members change nothing. */
struct kbp_capture_opts {
	size_t size;
	uint32_t flags;	     /* KBP_CAPTURE_* */
	uint8_t from_mac[6]; /* every source MAC becomes this */
	uint8_t to_mac[6];   /* destination MAC of unicast frames; groups get the MAC of their
			    * address */
	struct kbp_addr from_ip4, from_ip6;
	struct kbp_addr to_ip4, to_ip6; /* destination address of unicast frames; groups keep
					 * theirs */
	bool (*go_on)(void *arg);	/* asked now and then while reading; false ends it. May be
					 * NULL */
	void *arg;
};

/* A place in a capture. */
struct kbp_capture_place {
	uint64_t record; /* from 1; 0: there is no such place */
	uint64_t offset; /* bytes from the start of the (uncompressed) file */
};

/* What was found in a capture. records = frames + the five skipped. */
struct kbp_capture_report {
	uint64_t records; /* read whole */
	uint64_t frames;  /* kept */
	uint64_t skipped_not_ip, skipped_not_udp, skipped_fragment;
	uint64_t skipped_truncated; /* cut short by the capture's snapshot length */
	uint64_t skipped_malformed; /* lengths that contradict each other */
	uint64_t tagged;	    /* with a VLAN tag, which is kept */
	uint64_t trailers; /* with bytes beyond the IP packet (FCS, switch timestamps): cut off */
	uint64_t mended;   /* with a wrong IP or UDP checksum: recomputed */
	uint64_t readdressed;  /* unicast to another address or MAC: rewritten to the receiver's */
	uint64_t out_of_order; /* stamped before their predecessor: due at its time instead */
	struct kbp_capture_place first_out_of_order;
	uint64_t backwards_max_ns; /* largest such step */
	uint64_t gap_max_ns;	   /* longest time between two frames */
	struct kbp_capture_place gap_max;
	struct kbp_capture_place damage; /* where reading had to end */
	char damage_text[200];		 /* why; "" when the file ends as it should */
	bool gzip;
};

/* kbp_schedule_from_capture - the UDP datagrams of a pcap or pcapng file, plain or gzip.
 *
 * Frames that are no whole UDP datagram are skipped and counted. A damaged record ends the reading:
 * it is reported, what precedes it is kept. `report` may be NULL; it is filled on failure too.
 * Returns:  0 and *s, or -errno and *s = NULL.
 * Errors:   -ENOENT, -EACCES, -EISDIR as open(2); -EINVAL no capture, no regular file, or a member
 *           of timing; -ECANCELED opts->go_on said so;
 *           -EPROTONOSUPPORT neither Ethernet nor IP packets; -ENODATA nothing to replay, with the reason and the
 *           place; -E2BIG; -ENOMEM.
 * Owns:     the caller owns *s until kbp_schedule_close; path is not kept.
 * Blocks:   for as long as reading the file takes.
 * Threads:  any. */
KBP_API int kbp_schedule_from_capture(const char *path, const struct kbp_capture_opts *opts,
				      const struct kbp_timing *timing, struct kbp_schedule **s,
				      struct kbp_capture_report *report, struct kbp_error *err);

/* ---------------------------------------------------------------- sender */

#define KBP_SENDER_LATE_NS 1000u /* a frame handed over later than this counts as late */

/* How to send. Zero is the default of every member but ifname; set `size`. */
struct kbp_sender_opts {
	size_t size;
	const char *ifname;	   /* in the calling thread's network namespace */
	const struct kbp_tsc *tsc; /* calibration to use; NULL: kbp_sender_open takes 100 ms to make
				    * one */
	int cpu;		   /* CPU + 1 to run on during kbp_sender_run; 0: anywhere */
	uint64_t retry_ns;	   /* a frame that a full device refuses is tried again for so long;
				    * 0: 50000 */
	const uint32_t *stop; /* non-zero ends the sending; any thread or process may set it; NULL:
			       * none */
	uint64_t *sent_ticks; /* n_total entries: when each was handed over, 0 if never; NULL:
			       * none */
	struct kbp_txflow *txflow; /* send by this raw one (kbp_txflow_open_raw), of the calling thread's
				    * queue, and not by a packet socket on ifname; NULL: by ifname */
	struct kbp_txflow *const *txflows; /* or payloads by these, one for each of the schedule's flows, all
					    * of one queue; NULL: do not */
	uint64_t *stamps_ns; /* n_total entries: with a txflow of a queue with KBP_QUEUE_TX_STAMPS, the
			      * stamp of each frame's completion, 0 where there is none; NULL: none */
	uint64_t n_record; /* sent_ticks and stamps_ns have so many entries, and later frames leave
			    * none; 0: n_total */
	void (*idle)(uint64_t now_ticks,
		     void *arg); /* called now and then, when no frame is due for 10 us,
						      * by the sending thread; must take less. May be NULL */
	void *idle_arg;
};

/* What was sent. Plain data, meant for shared memory: `sent` and `start_ticks` move while the
 * sender runs. sent + send_errors + unsent = n_total. */
struct kbp_sender_result {
	uint64_t start_ticks; /* when time 0 was; 0: not started yet */
	uint64_t ticks_hz;    /* of start_ticks and sent_ticks */
	uint64_t sent;	      /* accepted by the kernel or device, and not refused later */
	uint64_t sent_bytes;  /* of Ethernet frames */
	uint64_t late;	      /* handed over more than KBP_SENDER_LATE_NS after their time */
	uint64_t late_max_ns;
	uint64_t retries;     /* tries beyond the first, over all frames */
	uint64_t send_errors; /* given up, or refused later, as its completion said */
	uint64_t unsent;      /* never tried: stopped, or the interface went away */
	uint64_t completed;   /* completions seen, where the queue keeps them */
	uint64_t stamped;     /* of these, with a stamp */
	uint64_t unfinished;  /* of `sent`, without a completion 300 ms after the last frame */
	int32_t first_errno;  /* of the first frame given up; 0: none */
	int32_t code;	      /* what kbp_sender_run returned */
	struct kbp_error error;
};

/* kbp_sender_open - a raw packet socket on opts->ifname, bypassing the queueing discipline.
 *
 * Returns:  0 and *snd, or -errno and *snd = NULL.
 * Errors:   -ENODEV no such interface; -ENETDOWN it is down; -EPERM CAP_NET_RAW is missing;
 *           -EMSGSIZE a frame is longer than its MTU allows; -EINVAL a member of opts; -ENOMEM.
 * Owns:     the caller owns *snd until kbp_sender_close; the schedule, tsc and arrays must outlive
 *           it.
 * Blocks:   100 ms without opts->tsc.
 * Threads:  any. Open it in the process and network namespace that will send. */
KBP_API int kbp_sender_open(const struct kbp_schedule *s, const struct kbp_sender_opts *opts,
			    struct kbp_sender **snd, struct kbp_error *err);

/* kbp_sender_run - send every frame at its time, spinning in between.
 *
 * Open loop: what becomes of a frame does not change when another is due. A frame that is late goes
 * at once. A device that is full holds up what follows by opts->retry_ns a frame at most: the frame
 * is then given up and counted, and what goes out later than it was due is counted as late.
 * Returns:  0 when all were tried or *stop was set, or -errno; also in result->code and ->error.
 * Errors:   -ENETDOWN, -ENXIO, -ENODEV the interface went down or away; -EIO the txflow's queue died;
 *           -EINVAL opts->cpu may not be used.
 * Owns:     fills *result; keeps no pointer.
 * Blocks:   until the last frame's time, and up to 300 ms more for completions; the CPU is busy
 *           throughout.
 * Threads:  one at a time. */
KBP_API int kbp_sender_run(struct kbp_sender *snd, struct kbp_sender_result *result,
			   struct kbp_error *err);

/* kbp_sender_close - close the socket.
 *
 * Returns:  nothing.
 * Owns:     snd is gone.
 * Blocks:   never.
 * Threads:  not while kbp_sender_run runs. NULL is fine. */
KBP_API void kbp_sender_close(struct kbp_sender *snd);

/* ---------------------------------------------------------------- replay */

enum {
	KBP_REPLAY_NO_STAMPS = 1u << 0, /* ask for no stamps of sent frames */
	KBP_REPLAY_STAMPING = 1u << 1,	/* KBP_PORT_STAMPING: have the NIC stamp all frames */
	KBP_REPLAY_STRICT = 1u << 2,	/* KBP_PORT_STRICT */
	KBP_REPLAY_FIFO = 1u << 3, /* SCHED_FIFO while sending, where it is allowed; said in the result */
};

#define KBP_REPLAY_TIMED_MAX \
	(1u << 22) /* frames whose times are kept, 16 bytes each: the first ones of a longer replay */

/* How to replay. Zero is the default of every member but ifname; set `size`. */
struct kbp_replay_opts {
	size_t size;
	const char *ifname;  /* in the calling thread's network namespace */
	const char *backend; /* NULL: af_xdp where it opens, otherwise socket */
	const char *args;    /* kbp_port_opts.args; NULL: none */
	enum kbp_mode mode;  /* af_xdp */
	uint32_t flags;	     /* KBP_REPLAY_* */
	uint32_t tx_ring;    /* descriptors; 0: 1024, socket 8192 */
	int cpu;	     /* CPU + 1 to run on while sending; 0: anywhere */
	uint64_t retry_ns;   /* as kbp_sender_opts */
	const uint32_t *stop;
};

#define KBP_REPLAY_OPTS_INIT KBP_OPTS_INIT(struct kbp_replay_opts)

/* Exact quantiles by nearest rank of signed ns. */
struct kbp_spread {
	uint64_t samples;
	int64_t min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};

/* How well times were kept, by one clock. */
struct kbp_replay_times {
	struct kbp_spread late; /* after the intended time; what lies below 0 is the clocks' error */
	struct kbp_spread gap; /* between two frames in a row: apart, and as meant to be; magnitude of the
				 * difference */
};

/* What was replayed. Plain data; tx.sent moves while it runs. tx.sent + tx.send_errors + tx.unsent =
 * scheduled. */
struct kbp_replay_result {
	struct kbp_sender_result tx;
	uint64_t scheduled;
	uint64_t timed; /* frames that the figures below speak of */
	struct kbp_port_info port;
	struct kbp_queue_info queue; /* ts_source_tx, ts_proof_tx and ts_epoch_tx say what stamps are */
	bool frames; /* whole frames as in the schedule; otherwise payloads, and the kernel made the headers */
	bool fifo;
	char passed_over[256]; /* why it is not af_xdp, which was tried first; "": it was not tried, or works */
	char digest[17]; /* of the payloads sent; "" of more than KBP_REPLAY_TIMED_MAX that were not all sent */
	struct kbp_replay_times handed; /* to the backend, by the CPU's counter: always */
	struct kbp_replay_times stamp; /* by the stamps of sent frames; no samples: there is no proven stamp,
					 * or its clock cannot be compared */
	uint64_t stamp_error_ns; /* stamps were compared with intended times within this */
	uint64_t unstamped;	 /* frames sent and timed, without a stamp that can be compared */
	uint64_t impossible; /* stamps before the frame was handed over, by more than the error: not used */
	bool stepped;	     /* the stamps' clock was set meanwhile: stamps are not used */
	char no_stamps[256]; /* why `stamp` has no samples; "" */
};

/* kbp_replay_open - get a backend ready to send a schedule.
 *
 * By the raw frames of an L2 backend; by payloads on `socket`, where the kernel makes the headers: source
 * addresses, ports and MACs are then the host's own, and tagged frames are refused.
 * Returns:  0 and *rp, or -errno and *rp = NULL.
 * Errors:   -EMSGSIZE a frame is longer than the interface's MTU allows; -ENETDOWN it is down; -EINVAL a
 *           member of opts; -EOPNOTSUPP tagged frames on socket; -EHOSTUNREACH socket: nobody answers for a
 *           unicast address; -EMFILE socket: more flows than descriptors; those of kbp_port_open,
 *           kbp_queue_open and kbp_sender_open.
 * Owns:     the caller owns *rp until kbp_replay_close; the schedule and stop must outlive it.
 * Blocks:   up to seconds (driver restart, carrier, neighbours).
 * Threads:  any; the thread that runs it, in the network namespace it was opened in. */
KBP_API int kbp_replay_open(const struct kbp_schedule *s, const struct kbp_replay_opts *opts,
			    struct kbp_replay **rp, struct kbp_error *err);

/* kbp_replay_run - send every frame at its time, and see how well that went.
 *
 * Open loop, as kbp_sender_run. Can be run again.
 * Returns:  0 when all were tried or *stop was set, or -errno with the account up to there in *r.
 * Errors:   as kbp_sender_run; -ENOMEM.
 * Owns:     fills *r; keeps no pointer.
 * Blocks:   until the last frame's time and up to 300 ms more; the CPU is busy throughout.
 * Threads:  the one that opened it. */
KBP_API int kbp_replay_run(struct kbp_replay *rp, struct kbp_replay_result *r, struct kbp_error *err);

/* kbp_replay_close - give the interface back.
 *
 * Returns:  nothing.
 * Owns:     rp is gone.
 * Blocks:   briefly (frames in flight drain).
 * Threads:  the one that opened it. NULL is fine. */
KBP_API void kbp_replay_close(struct kbp_replay *rp);

/* ---------------------------------------------------------------- digest */

/* kbp_payload_hash - XXH3 (64 bits) of a payload.
 *
 * Returns:  the hash.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API uint64_t kbp_payload_hash(const void *payload, size_t len);

/* kbp_digest_open - an empty digest over n flows.
 *
 * Returns:  0 and *d, or -ENOMEM and *d = NULL.
 * Owns:     the caller owns *d until kbp_digest_close; the flows are copied.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_digest_open(const struct kbp_flow *flows, uint32_t n, struct kbp_digest **d);

/* kbp_digest_add - the next payload of a flow.
 *
 * Order matters within a flow, not between flows. Returns without effect when flow >= n.
 * Returns:  nothing.
 * Owns:     nothing changes hands.
 * Blocks:   never; never allocates.
 * Threads:  one at a time. */
KBP_API void kbp_digest_add(struct kbp_digest *d, uint32_t flow, uint64_t payload_hash,
			    uint32_t payload_len);

/* kbp_digest_hex - the digest so far, over all flows; more may be added afterwards.
 *
 * The order in which the flows were given does not matter.
 * Returns:  nothing.
 * Owns:     writes 17 bytes at hex.
 * Blocks:   never.
 * Threads:  one at a time. */
KBP_API void kbp_digest_hex(const struct kbp_digest *d, char hex[17]);

/* kbp_digest_close - free.
 *
 * Returns:  nothing.
 * Owns:     d is gone.
 * Blocks:   never.
 * Threads:  one at a time. NULL is fine. */
KBP_API void kbp_digest_close(struct kbp_digest *d);

#ifdef __cplusplus
}
#endif
#endif
