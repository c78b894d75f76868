/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure.h - put the backends side by side on one wire, and keep what was seen.
 *
 *   bench     rounds that rotate the order of the backends and restart the receiving process each
 *             round; every backend gets the same frames at the same intended times
 *   profile   what each operation of a backend costs, one by one: an empty poll, a received frame, a
 *             sent one
 *   results   what a bench or a profile found: account, latency, digest, costs; written to
 *             DIR/results.json and read back
 *
 * Latency here is `one_way`: from the intended send time of a frame to the moment the receiving
 * application holds the pointer to it. A late sender therefore counts against the frame, as it
 * should (no coordinated omission). Payloads are not touched: which sent frame a received one is
 * follows from its content and order.
 *
 * Or it is `rtt`, of a closed loop (kbp_bench_opts.rtt): one program sends a datagram, another one answers it, and
 * both do so by the backend under test. From before the payload is written to the pointer of the answer; one clock
 * has both. The part until submit has returned is `tx`. An rtt is not twice a one_way, and none is ranked with it.
 *
 * With receive stamps each one_way is parted in two: `wire_to_stamp`, from the intended send time to the
 * stamp, and `rx_path`, from the stamp to the pointer. Whose stamp it is stands with the figures; what a
 * NIC, a driver and the kernel stamp are different moments, and neither kind is ever ranked with one_way.
 */
#ifndef KBYPASS_MEASURE_H
#define KBYPASS_MEASURE_H

#include <kbypass/kbypass.h>
#include <kbypass/traffic.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- quantiles */

/* Exact: nearest rank over all samples, no buckets. Quantile q of n sorted samples is the one with
 * number ceil(q * n), counted from 1. */
struct kbp_latency {
	uint64_t samples;
	uint64_t saturated; /* samples of 2^32 - 1 ns or more, kept as 2^32 - 1 */
	uint32_t min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
	uint32_t gap_ns; /* p99 - p50 */
};

/* kbp_latency_of - exact quantiles of n samples.
 *
 * Returns:  nothing; fills *l, all zero when n is 0.
 * Owns:     sorts samples_ns[0..n) in place; it stays the caller's.
 * Blocks:   for the sort.
 * Threads:  any. */
KBP_API void kbp_latency_of(uint32_t *samples_ns, size_t n, struct kbp_latency *l);

/* kbp_latency_known - are there samples enough to tell this quantile?
 *
 * Quantile q takes 10/(1 - q) of them, so that some ten lie beyond it: 20 for P50, 1000 for P99.
 * The minimum (0) and the maximum (1000) take one. What is UINT32_MAX is known from below only.
 * Returns:  whether.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  any. */
KBP_API bool kbp_latency_known(const struct kbp_latency *l, unsigned permille);

/* ---------------------------------------------------------------- results */

#define KBP_RESULTS_SCHEMA "kbypass.bench/1"
#define KBP_RESULTS_COUNTS_MAX 32u
#define KBP_RESULTS_ROUNDS_MAX 10000u
#define KBP_SUBJECT_MAX 32u

struct kbp_named_count {
	char name[32];
	uint64_t value;
};

/* One fact of the host a result depends on. Names are stable, see doc/RESULTS.md. */
struct kbp_fact {
	char name[31];
	bool literal; /* `value` is a JSON number, true or false; otherwise it is text */
	char value[2016];
};

/* Something the reader of a result has to know. A note does not change the exit status, a finding
 * does. */
struct kbp_finding {
	char code[32];		       /* stable: "unattributed", "digest_differs" ... */
	char backend[KBP_SUBJECT_MAX]; /* "" when it concerns the whole bench */
	bool note;
	char text[288];
};

/* One backend in one round. Its samples are number [first_sample, first_sample + samples) of the
 * file. */
struct kbp_result_round {
	uint32_t position; /* in the rotated order of this round, from 0 */
	uint64_t sent, delivered, late, ambiguous;
	uint64_t first_sample, samples;
	uint64_t warmup; /* of these, the first that the quantiles leave out */
};

/* 95 % intervals of a run's P50, P99 and gap, by rounds (method.h); not known: all 0. */
struct kbp_result_intervals {
	bool known;
	struct kbp_interval {
		double lo, hi; /* ns */
	} p50, p99, gap;
};

/* One backend's receive stamps, with kbp_bench_opts.stamps. Frame by frame wire_to_stamp + rx_path is one_way,
 * but for what was clipped. */
struct kbp_result_stamps {
	char source[16]; /* whose: "nic", "driver", "kernel"; "": none were asked for, or there are none */
	char epoch[16]; /* "utc", "tai", "phc", "monotonic" */
	char proof[16]; /* "proven" after a plausible stamp that moved on; otherwise there are no samples */
	uint32_t resolution_ps; /* 0: unknown */
	uint64_t error_ns; /* stamps were converted to the CPU's counter within this, at the worst */
	uint64_t unstamped; /* frames with a one_way, and without a proven stamp that can be converted */
	uint64_t voided; /* such frames of rounds in which the stamps' clock was set: not used */
	uint64_t impossible; /* stamps outside of send and pointer by more than the error: not used */
	uint64_t clipped;    /* rx_path below 0 within the error, kept as 0 */
	uint64_t wire_clipped; /* wire_to_stamp below 0 within the error, kept as 0 */
	struct kbp_latency rx_path, wire_to_stamp;
	char rx_path_file[96], wire_to_stamp_file[96]; /* relative to the results' directory; "" */
};

/* What a sample beyond the threshold overlaps with. */
struct kbp_explain_cause {
	char kind[12]; /* "irq", "softirq", "switch", "fault", "syscall"; "sender": sent late; "gap": nothing accounts for it */
	char name[48]; /* which: "virtio0-input.0", "NET_RX", "kworker/1:2", "page_fault_user" ... */
	uint64_t samples; /* of the tail, with this as their main cause: the longest overlap */
	uint64_t time_ns; /* of it inside of the tail's samples, all of them */
	double share; /* of the tail's time beyond the run's P50, 0 to 1; the shares of all causes add up to 1 */
	uint32_t gap_ns; /* P99 - P50 of the run without the time that this took */
};

/* One sample of the tail. */
struct kbp_explain_outlier {
	uint64_t sample; /* number in the samples file */
	uint32_t ns;
	uint32_t cause; /* of kbp_result_explain.cause: its main one */
};

#define KBP_EXPLAIN_OUTLIERS_MAX 1000u /* the longest ones; all count for the causes */

/* What ran on the receiver's CPU while the samples of the tail were on their way. Only of a run with `traced`. */
struct kbp_result_explain {
	uint32_t threshold_ns; /* a sample above it is of the tail: P99, or what was asked for */
	uint64_t tail;	       /* samples of the tail */
	uint64_t events,
		lost; /* trace events taken; lost for lack of room: causes are then incomplete */
	uint64_t gap_min_ns; /* a gap in the spinning loop that no event accounts for counts from here */
	struct kbp_explain_cause *cause; /* by share, the largest first */
	uint32_t n_causes;
	struct kbp_explain_outlier *outlier; /* by time */
	uint32_t n_outliers;
};

/* What the host itself takes away: a thread that does nothing but read the clock, on the CPUs of the
 * bench, between the rounds of the same run. */
struct kbp_noise {
	int32_t cpu;
	char role[8];	  /* "rx", "tx" */
	uint64_t spun_ns; /* in all */
	uint64_t gaps;	  /* between two readings, of 1 us and more */
	uint64_t lost_ns; /* in them */
	uint64_t max_ns;  /* the longest */
	uint64_t bucket[24]; /* gaps of 2^(10 + i) ns to below 2^(11 + i); the first from 1000, the last: and longer */
	uint64_t steal_ns; /* by /proc/stat, during the whole bench: what the hypervisor admits; UINT64_MAX: unknown */
};

/* One backend (or one variant of it) at one rate, all rounds. The account: sent = delivered + sum of drops +
 * unattributed - over_attributed. A run is known by `backend` and `rate_pps`. */
struct kbp_result_run {
	char backend[KBP_SUBJECT_MAX]; /* as listed: "af_xdp", "dpdk:memif"; variants "af_xdp+18" (planted delay)
					* and "af_xdp~traced" */
	char base[16];		       /* the backend without its variant */
	double planted_ns; /* variant: worked off before the clock is read, as calibrated */
	bool variant;	   /* compared with its base alone */
	bool traced;	   /* variant: under --explain's tracing */
	uint64_t rate_pps; /* of a rate sweep; 0: the one of the setup */
	char kind[12];	   /* of latency: "one_way", or "rtt" of a closed loop */
	char mode[16];	   /* achieved: "zerocopy", "copy", "generic", "kernel", "emulated" */
	char requested[16];
	char proof[16];	       /* of mode: "none", "claimed", "bound", "proven" */
	char note[160];	       /* why mode is not what was requested; "" otherwise */
	bool emulated;	       /* a software NIC: never ranked against devices */
	bool virtual_device;   /* veth, virtio, tap: never ranked against hardware */
	uint32_t queues;       /* polled by the one receiving thread */
	uint32_t rcvbuf_bytes; /* socket: granted; 0 elsewhere */
	uint32_t rx_ring;      /* descriptors of a queue, as opened */
	uint64_t scheduled;    /* frames the schedule asked for */
	uint64_t sent;	       /* accepted by the sender's kernel */
	uint64_t send_errors;  /* refused there: not sent */
	uint64_t late;	       /* sent later than intended by more than the schedule's tolerance */
	uint64_t delivered;    /* frames of this bench that the application got */
	uint64_t foreign;      /* frames with an unknown or altered payload */
	uint64_t out_of_order; /* frames that came out of order or twice */
	uint64_t ambiguous; /* delivered, but without a sample: which of several equal payloads it
			     * was is unknown */
	uint64_t clipped;   /* samples below 0, by what the CPUs' counters are apart: kept as 0 */
	struct kbp_named_count drop[KBP_RESULTS_COUNTS_MAX];  /* disjoint; those above zero */
	struct kbp_named_count cause[KBP_RESULTS_COUNTS_MAX]; /* explain drops; never added up */
	uint32_t n_drops, n_causes;
	uint64_t unattributed;	  /* lost, and no counter says where */
	uint64_t over_attributed; /* the counters say more than was lost */
	char digest[36];	  /* of the delivered payloads, in order, per flow */
	char digest_expected[36]; /* of the sent ones */
	struct kbp_latency latency;
	struct kbp_result_intervals interval;
	struct kbp_latency lateness; /* of the sender: handed over after its time; every frame */
	char samples_file[96];	     /* relative to the results' directory; "" when none was kept */
	struct kbp_latency tx; /* rtt: from before the payload is written until submit has returned */
	struct kbp_result_intervals tx_interval;
	char tx_file[96];
	struct kbp_result_stamps stamps;
	struct kbp_result_explain explain; /* of a traced one */
	struct kbp_result_round *round;
	uint32_t n_rounds;
};

/* Two runs, one metric: is there a difference? */
struct kbp_verdict {
	char a[KBP_SUBJECT_MAX], b[KBP_SUBJECT_MAX]; /* runs, by `backend` */
	uint64_t rate_pps;			     /* of both */
	char kind[12];	/* "one_way", "rtt", "tx", "rx_path": never two of them mixed */
	char metric[8]; /* "p50", "p99", "gap" */
	bool measured;	/* otherwise there is no figure: `why` says what forbids it */
	double diff_ns, lo_ns, hi_ns; /* a - b, and the 95 % interval of this one comparison */
	double p, p_table; /* of no difference; and corrected for all comparisons of the table (Holm) */
	bool resolved;	   /* p_table below 0.05, and the difference above the clock's quantum */
	char why[16]; /* "resolved"; or not: "overlap", "table", "rounds", "samples", "loss", "quantum", "class"
				 * (emulated, virtual, real), "mode", "source", "fingerprint" ... (RESULTS.md) */
	char text[200];		 /* the same for people */
	uint64_t samples_needed; /* of each, for 95 % power at this difference and this noise; 0: unknown */
	uint32_t rounds_needed; /* of the size of these */
	double resolvable_ns;	/* the smallest difference that these rounds would have resolved */
	double work_us_per_s;	/* difference times the rate: microseconds of work in a second */
};

/* What an operation costs. Exact quantiles, as in struct kbp_latency, of samples in whole ticks. */
struct kbp_profile_cost {
	double p50, p99, gap, min; /* gap is p99 - p50 */
};

/* What somebody else published for an operation. */
struct kbp_published {
	double low_ns, high_ns; /* both 0: nothing was published */
	char device[32];	/* it was measured on */
	char source[128];
};

/* One operation of a backend in one form. Nothing is subtracted: what the timer itself adds to each
 * figure stands beside it. */
struct kbp_profile_op {
	char backend[KBP_SUBJECT_MAX];
	bool emulated;	     /* a software NIC: says nothing about a device */
	bool virtual_device; /* veth, memory: the software's own work alone */
	char op[16];	     /* stable: "poll_empty", "poll_one", "rx_full", "release", "tx_full",
			* "timestamp" */
	char form[8];	     /* "inline" or "array" */
	uint32_t batch; /* operations in a sample, whose mean the sample is; 1: each by itself */
	uint64_t samples;
	double timer_ns;		    /* the timer's own part of each figure, at the median */
	struct kbp_profile_cost ns, cycles; /* cycles of the TSC, for one operation */
	struct kbp_published published;
	char note[192]; /* what else is in the figure; "" otherwise */
};

struct kbp_results {
	struct kbp_fact *fingerprint, *setup; /* host; how this bench was run */
	uint32_t n_fingerprint, n_setup;
	struct kbp_result_run *run;
	uint32_t n_runs;
	struct kbp_profile_op *profile; /* in the order measured, a backend's together */
	uint32_t n_profile;
	struct kbp_noise noise[2];
	uint32_t n_noise;
	struct kbp_verdict *verdict;
	uint32_t n_verdicts;
	struct kbp_finding *finding;
	uint32_t n_findings;
	char *dir; /* where files of samples are relative to; NULL: not read from a file */
};

/* kbp_results_load - read a results file back.
 *
 * path:     the file, or the directory it lies in as results.json.
 * Returns:  0 and *res, or -errno and *res = NULL.
 * Errors:   -ENOENT, -EACCES; -EBADMSG damaged, with line and column or the member that is wrong;
 *           -EPROTO another schema.
 * Owns:     the caller owns *res until kbp_results_free.
 * Blocks:   for the reading.
 * Threads:  any. */
KBP_API int kbp_results_load(const char *path, struct kbp_results **res, struct kbp_error *err);

/* kbp_results_json - the results as the text of results.json.
 *
 * Returns:  the text, NUL-terminated; NULL when memory is out.
 * Owns:     the caller frees it with free().
 * Blocks:   never.
 * Threads:  any. */
KBP_API char *kbp_results_json(const struct kbp_results *res);

/* kbp_results_fact - one fact by name, from the fingerprint or the setup.
 *
 * Returns:  its value, or NULL when it was not recorded.
 * Owns:     res owns the text.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_results_fact(const struct kbp_results *res, const char *name);

/* kbp_results_free - forget results.
 *
 * Returns:  nothing.
 * Owns:     res is gone.
 * Blocks:   never.
 * Threads:  any. NULL is fine. */
KBP_API void kbp_results_free(struct kbp_results *res);

/* ---------------------------------------------------------------- compare */

/* What a difference between two results' facts means. The table of names is in doc/RESULTS.md. */
enum kbp_fact_kind {
	KBP_FACT_IDENTITY = 0, /* results are not comparable */
	KBP_FACT_SUBJECT,    /* it is what one compares: our version and commit, a planted delay */
	KBP_FACT_INCIDENTAL, /* differs in every run, or says nothing of what was measured */
};

/* kbp_fact_kind - what kind of fact is that?
 *
 * Returns:  the kind; KBP_FACT_IDENTITY for a name that is not known.
 * Owns:     nothing changes hands. `why` may be NULL; *why is static.
 * Blocks:   never.
 * Threads:  any. */
KBP_API enum kbp_fact_kind kbp_fact_kind(const char *name, const char **why);

/* A fact that is not the same in both. */
struct kbp_fact_difference {
	const char *name;
	const char *a, *b; /* values; NULL: not recorded there */
	enum kbp_fact_kind kind;
	bool setup;   /* of the setup; otherwise of the fingerprint */
	bool unknown; /* known on one side only, so that nobody can tell */
	bool refuses; /* of the identity, and so counted in n_refusing */
};

/* A run that both have: number of it in each. */
struct kbp_compared_run {
	uint32_t a, b;
};

/* Two results side by side. */
struct kbp_comparison {
	struct kbp_fact_difference *difference; /* those that refuse first */
	uint32_t n_differences, n_refusing;
	struct kbp_compared_run *run; /* of the same backend, kind of latency and rate */
	uint32_t n_runs;
	uint32_t only_a, only_b;     /* runs that the other one has not */
	struct kbp_verdict *verdict; /* a - b; both names are that of the run */
	uint32_t n_verdicts, n_resolved;
	bool forced; /* fingerprints or setups differ: no verdict is resolved */
};

enum {
	KBP_COMPARE_FORCE = 1u << 0, /* though facts of the identity differ */
};

/* kbp_results_compare - is there a difference between two results?
 *
 * Facts of host and setup are compared first: where one differs that results depend on, two figures are of two
 * things. With KBP_COMPARE_FORCE they are compared all the same, and no verdict is `resolved`: `why` is
 * "fingerprint". The rounds of both are taken as unpaired: they were not measured in turn.
 * Returns:  0 and *cmp; -errno and *cmp = NULL, but with -EXDEV *cmp has the differences.
 * Errors:   -EXDEV facts of the identity differ, or are known on one side only: the error names some; -ENODATA no run
 *           is in both; -ENOENT there are no samples; -EBADMSG a file of samples is damaged; -EINVAL flags; -ENOMEM.
 * Owns:     the caller owns *cmp until kbp_comparison_free; it points into a and b, which stay the caller's.
 * Blocks:   for reading and sorting the samples.
 * Threads:  any. */
KBP_API int kbp_results_compare(const struct kbp_results *a, const struct kbp_results *b,
				unsigned flags, struct kbp_comparison **cmp, struct kbp_error *err);

/* kbp_comparison_json - the comparison as a document of schema "kbypass.compare/1".
 *
 * Returns:  the text, NUL-terminated; NULL when memory is out.
 * Owns:     the caller frees it with free().
 * Blocks:   never.
 * Threads:  any. */
KBP_API char *kbp_comparison_json(const struct kbp_comparison *cmp, const struct kbp_results *a,
				  const struct kbp_results *b);

/* kbp_comparison_free - forget a comparison.
 *
 * Returns:  nothing.
 * Owns:     cmp is gone.
 * Blocks:   never.
 * Threads:  any. NULL is fine. */
KBP_API void kbp_comparison_free(struct kbp_comparison *cmp);

/* ---------------------------------------------------------------- bench */

/* Everything a bench can be asked for. Zero is the default of every member; set `size`. */
struct kbp_bench_opts {
	size_t size;
	const char *rx_ifname, *tx_ifname; /* both or none; none: a lab of its own, gone
					    * afterwards */
	const char *rx_netns, *tx_netns;   /* names as in ip-netns(8); NULL: where the caller is */
	const char *backends;	     /* "af_xdp, dpdk:af_xdp"; NULL: every one that is installed and
					    * works here, ef_vi only with rx_ifname. "dpdk:NAME" is by
					    * that driver; dpdk:memif a wire in memory. "NAME+NS" is NAME with
					    * a delay of so many ns before the clock is read */
	enum kbp_mode mode;	     /* af_xdp */
	bool strict;		     /* refuse a lesser mode instead of reporting it, and af_xdp
				      * must work */
	const char *capture;	     /* pcap or pcapng to replay; NULL: the generator */
	const char *ef_vi_words;     /* kbp_port_opts.args of ef_vi and ef_vi_sim; NULL: none */
	const char *feed;	     /* generator: kbp_generator_profile; NULL: the default one */
	uint32_t frame_bytes;	     /* generator: size of every frame; 0: the feed's sizes */
	uint32_t flows;		     /* generator: groups to spread over; 0: 1 */
	uint64_t seed;		     /* generator, Poisson */
	enum kbp_timing_kind timing; /* RECORDED, unless rate_pps or the kind says otherwise */
	uint64_t rate_pps; /* CONSTANT and POISSON: required. With rtt at most so many; 0: as the
				      * loop closes */
	double speed;	   /* RECORDED: 2 is twice as fast; 0 means 1 */
	double seconds;	   /* for each backend, and each of `rates`, all rounds together; 0: 5 */
	uint32_t rounds;   /* 0: 10 */
	uint32_t rx_burst; /* frames per poll at most; 0: 32 */
	uint32_t rx_ring;  /* descriptors; 0: the library's default */
	uint32_t rcvbuf_bytes; /* socket; 0: the library's default */
	int cpu_rx, cpu_tx;    /* CPU + 1; 0: chosen among those this process may use */
	bool fifo; /* SCHED_FIFO for the receiver; for the sender too with more than two CPUs */
	uint64_t handler_delay_ns; /* planted: the handler spins so long over every frame */
	const char *out_dir;	   /* results.json and samples/; NULL: kept nowhere */
	bool explain; /* every backend once more under tracing: what made the tail; takes
				    * CAP_BPF and CAP_PERFMON */
	uint32_t explain_over_ns; /* samples above it are the tail; 0: above P99 */
	double over_seconds; /* spread the rounds over so long, with pauses: a host has moods that
				    * outlast a short bench; 0: one after the other */
	double resolve_ns;   /* say how many samples such a difference takes; 0: the one found */
	const uint64_t *rates; /* a sweep: every backend at each of these instead of rate_pps, in the same rounds */
	uint64_t burst_gap_ns; /* BURSTS: kbp_timing.gap_ns; 0: 1 ms */
	uint32_t n_rates;      /* up to KBP_BENCH_RATES_MAX; 0: no sweep */
	bool stamps; /* receive stamps: rx_path and wire_to_stamp too. Costs something on every frame */
	bool rtt; /* a closed loop instead of a schedule: datagrams of frame_bytes (0: 60) and their answers */
};

#define KBP_BENCH_RATES_MAX 8u
#define KBP_BENCH_RTT_TIMEOUT_NS 100000000u /* an answer that takes longer is lost: "rtt_timeout" */

#define KBP_BENCH_OPTS_INIT KBP_OPTS_INIT(struct kbp_bench_opts)

struct kbp_bench_progress {
	const char *backend;	/* "" while nothing is sent */
	uint32_t round, rounds; /* from 1 */
	uint64_t sent, total;	/* frames of this round; total 0: as many as it comes to */
	const char *doing;	/* "opening", "sending", "draining", "sorting" ... */
	uint64_t rate_pps;	/* of a rate sweep; 0: there is none */
};

/* Called before every step of kbp_bench_run and a few times a second in long ones. False ends the
 * bench with -ECANCELED. */
typedef bool (*kbp_bench_progress_fn)(const struct kbp_bench_progress *p, void *arg);

/* kbp_bench_run - send the same frames at the same times to every backend, in rounds, and count and
 * time them.
 *
 * Findings (an account that does not close, a digest that differs) are in the results and no error. What the bench
 * will keep at most is known before anything is started: fact `memory_bytes`, and -ENOMEM when it is not there.
 * Returns:  0 and *res, or -errno and *res = NULL; -errno and *res when all was measured and only
 *           writing it to out_dir failed.
 * Errors:   -EINVAL a member of opts; -EPERM names the missing capability; -ENODEV no such
 *           interface, or it went away during a round; -ENOENT no such backend, capture or
 *           namespace; -EMSGSIZE a frame is longer than the MTU of either end; -EEXIST out_dir
 *           holds other files; -EBUSY another bench writes there; -ENOSPC and others of writing;
 *           -ETIMEDOUT a child hung, or no datagram of a closed loop was answered; -EADDRNOTAVAIL rtt: an end
 *           has no IPv4 address; -ENOMEM; -ECANCELED `progress` said so; those of kbp_port_open,
 *           kbp_schedule_from_capture and kbp_sender_open.
 * Owns:     the caller owns *res until kbp_results_free. Nothing else stays: the lab is taken down,
 *           the children are gone. Killed with SIGKILL, the children die with the caller.
 * Blocks:   for seconds x backends x rates and some more; forks. SIGCHLD must not be ignored.
 * Threads:  one at a time, in a process that has no other threads. */
KBP_API int kbp_bench_run(const struct kbp_bench_opts *opts, kbp_bench_progress_fn progress,
			  void *arg, struct kbp_results **res, struct kbp_error *err);

/* ---------------------------------------------------------------- profile */

/* Everything a profile can be asked for. Zero is the default of every member; set `size`. */
struct kbp_profile_opts {
	size_t size;
	const char *rx_ifname, *tx_ifname; /* ef_vi: both ends of a wire, both or none. ef_vi_sim
					    * has wires in memory */
	const char *backends;		   /* "ef_vi, ef_vi_sim"; NULL: every one there is */
	const char *ef_vi_words; /* kbp_port_opts.args of ef_vi and ef_vi_sim; NULL: none */
	uint32_t samples;	 /* of each operation, 1000 to 1000000; 0: 5000 */
	uint32_t rx_ring;	 /* descriptors; 0: the library's default */
	int cpu;		 /* CPU + 1; 0: chosen among those this process may use */
	bool fifo;		 /* SCHED_FIFO */
	const char *out_dir;	 /* results.json; NULL: kept nowhere */
};

#define KBP_PROFILE_OPTS_INIT KBP_OPTS_INIT(struct kbp_profile_opts)

/* kbp_profile_run - time the operations of the data path one by one.
 *
 * Measured in a child process on one CPU: first the clock's quantum and what reading it costs, then
 * each operation, by itself when it takes 20 quanta, and otherwise in batches that take as long. A
 * backend that is not profiled yet, or cannot be here, is a note in the results; one that was named
 * and failed is a finding. res->profile has the costs, res->run nothing. `progress` has the operation
 * in `doing`, its samples in sent and total.
 * Returns:  0 and *res, or -errno and *res = NULL; -errno and *res when all was measured and only
 *           writing it to out_dir failed.
 * Errors:   -EINVAL a member of opts; -ENOENT no such backend; -EOPNOTSUPP none of the backends can
 *           be profiled; -ETIMEDOUT no frame came through the wire; -EEXIST, -EBUSY, -ENOSPC and
 *           others of out_dir; -ECANCELED `progress` said so; those of kbp_port_open.
 * Owns:     the caller owns *res until kbp_results_free. Nothing else stays.
 * Blocks:   for a few seconds; forks. SIGCHLD must not be ignored.
 * Threads:  one at a time, in a process that has no other threads. */
KBP_API int kbp_profile_run(const struct kbp_profile_opts *opts, kbp_bench_progress_fn progress,
			    void *arg, struct kbp_results **res, struct kbp_error *err);

/* kbp_profile_published - what was published for an operation.
 *
 * zerocopy: af_xdp: that is the mode; otherwise figures of copy mode are given, where they differ.
 * Returns:  the figure, its device and its source; NULL when there is none.
 * Owns:     static; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const struct kbp_published *kbp_profile_published(const char *backend, const char *op,
							  bool zerocopy);

#ifdef __cplusplus
}
#endif
#endif
