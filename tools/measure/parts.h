/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.h - what the files of tools/measure share. Nothing here is installed.
 */
#ifndef KBP_MEASURE_PARTS_H
#define KBP_MEASURE_PARTS_H

#include <sched.h>
#include <sys/types.h>

#include <kbypass/lab.h>
#include <kbypass/measure.h>

#include "lib/internal.h"
#include "tools/clock/tsc.h"
#include "tools/measure/seen.h"
#include "tools/traffic/pairs.h"

/* ------------------------------------------------------- match.c: which sent frame is this one? */

#define KBP_POS_NONE UINT32_MAX
#define KBP_POS_FOREIGN (UINT32_MAX - 1)

struct kbp_match_count {
	uint64_t certain;      /* received frames whose sent frame is known */
	uint64_t ambiguous;    /* the same payload was sent several times inside a lost stretch */
	uint64_t foreign;      /* a payload that was never sent */
	uint64_t out_of_order; /* a payload that was sent, but not here: reordered or duplicated */
};

/* pos[i] becomes the index of the sent frame that got[i] certainly is, KBP_POS_FOREIGN for a
 * payload that was never sent, or KBP_POS_NONE.
 * slack_ticks: how far the clocks of the two CPUs may be apart. Returns 0, -EINVAL or -ENOMEM. */
int kbp_match(const struct kbp_seen *sent, uint32_t n_sent, const struct kbp_seen *got,
	      uint32_t n_got, uint32_t n_flows, uint64_t slack_ticks, uint32_t *pos,
	      struct kbp_match_count *count);

/* ---------------------------------------------------------------- stats.c */

/* Adds to the counter of that name, or makes one; zero is not listed. */
void kbp_named_add(struct kbp_named_count *list, uint32_t *n, const char *name, uint64_t value);
/* What the sending device dropped, and how often the sender was told so (tries repeated and given
 * up). */
void kbp_account_sender(struct kbp_result_run *run, uint64_t device_dropped, uint64_t told);
/* From sent, delivered and the drops: what no counter explains, or what the counters say too much.
 */
void kbp_account_close(struct kbp_result_run *run);

/* ---------------------------------------------------------------- results.c */

#define KBP_RESULTS_REAL_DIGITS 9 /* of numbers that are not whole: more would be noise */

/* A fact as text; a fact as a JSON number, true or false. Without memory the fact is left out. */
void kbp_fact_text(struct kbp_fact **list, uint32_t *n, const char *name, const char *fmt, ...)
	KBP_PRINTF(4, 5);
void kbp_fact_literal(struct kbp_fact **list, uint32_t *n, const char *name, const char *fmt, ...)
	KBP_PRINTF(4, 5);
void kbp_finding_add(struct kbp_results *res, bool note, const char *code, const char *backend,
		     const char *fmt, ...) KBP_PRINTF(5, 6);
/* Makes `dir` and dir/samples; refuses a directory with other people's files in it. */
int kbp_results_dir_prepare(const char *dir, struct kbp_error *err);
/* Keeps other benches out until the returned descriptor is closed; or -errno. */
int kbp_results_dir_lock(const char *dir, struct kbp_error *err);
/* Nothing was written: takes dir/samples away when it is empty, and `dir` too when `made`. */
void kbp_results_dir_abandon(const char *dir, bool made);
/* Writes beside the file of the same name that is there, as PATH.tmp, until kbp_results_save. */
int kbp_samples_write(const char *dir, const char *samples_file, const uint32_t *samples, size_t n,
		      struct kbp_error *err);
/* Writes results.json, and puts it and the samples in the place of earlier ones. */
int kbp_results_save(const struct kbp_results *res, const char *dir, struct kbp_error *err);

/* ---------------------------------------------------------------- child.c */

/* A process of ours; it dies with us. */
struct kbp_child {
	const char *what;
	pid_t pid; /* 0: not started, or gone and accounted for */
	int fd;	   /* pidfd */
};

/* Runs body(arg) in a forked process, which ends with what that returns. */
int kbp_child_start(struct kbp_child *c, const char *what, int (*body)(void *arg), void *arg,
		    struct kbp_error *err);
void kbp_child_kill(struct kbp_child *c);
/* Collects a child that has ended. -EIO when it ended otherwise than by its own doing. */
int kbp_child_look(struct kbp_child *c, struct kbp_error *err);
/* Sleeps until one of the children ends, at most `ms`. Either may be NULL. */
void kbp_children_wait(const struct kbp_child *a, const struct kbp_child *b, int ms);

/* ---------------------------------------------------------------- the bench, as it runs */

#define KBP_BENCH_BACKENDS_MAX 16u
#define KBP_BENCH_SUBJECTS_MAX (KBP_BENCH_BACKENDS_MAX * KBP_BENCH_RATES_MAX)
#define KBP_BENCH_QUEUES_MAX 64u
#define KBP_BENCH_GAPS_MAX 65536u
#define KBP_BENCH_GAP_NS \
	2000u /* the loop stood still: a poll that finds nothing takes less on every backend */
#define KBP_BENCH_ROUND_MIN_S 0.3 /* shorter rounds are mostly warm-up */
#define KBP_BENCH_ROUND_MAX \
	(1u << 24) /* frames: what a round keeps in memory is about 100 bytes each */
/* What the quantiles leave out of each round: so many frames and so long, whichever is more, but no
 * more than a fifth. */
#define KBP_BENCH_WARMUP_FRAMES 1000u
#define KBP_BENCH_WARMUP_NS 50000000u
#define KBP_BENCH_WARMUP_SHARE 5u

/* A closed loop, as its initiator saw it. */
struct kbp_ping {
	uint32_t rtt_ticks; /* from before the payload was written to the pointer of the answer */
	uint32_t tx_ticks;  /* until submit had returned */
};

/* The part of struct kbp_round_shared that the initiator of a closed loop writes. */
struct kbp_pingpong_shared {
	uint64_t n_pings;  /* answered in time, in b->pings */
	uint64_t early;	   /* of these, begun within the time of warming up */
	uint64_t timeouts; /* sent, and not answered in time */
	uint64_t late;	   /* of these, answered later */
	uint64_t foreign, twice;
	struct kbp_queue_info queue;
	struct kbp_named_count cause[KBP_RESULTS_COUNTS_MAX];
	uint32_t n_causes;
	bool opened; /* the first answer has come */
};

enum kbp_stage { KBP_STAGE_OPENING = 0, KBP_STAGE_READY, KBP_STAGE_DONE, KBP_STAGE_FAILED };

/* What the three processes of a round say to each other. Stages are stored with release after what
 * they announce and loaded with acquire. */
struct kbp_round_shared {
	uint32_t rx_stage, tx_stage; /* enum kbp_stage */
	uint32_t stop;		     /* the sender ends early */
	uint32_t rx_closed;	     /* the receiver has closed its port */
	/* written by the receiver */
	struct kbp_error rx_error;
	struct kbp_port_info port;
	struct kbp_queue_info queue; /* of the queue that received most */
	uint32_t n_queues;
	uint32_t n_drops, n_causes;
	struct kbp_named_count drop[KBP_RESULTS_COUNTS_MAX], cause[KBP_RESULTS_COUNTS_MAX];
	uint64_t n_records;
	uint64_t overflow; /* received beyond the room for records */
	uint64_t foreign;  /* no datagram, or of no flow of the schedule */
	double planted_ns; /* as calibrated; 0: nothing was planted */
	bool rx_locked;	   /* memory is locked */
	bool rx_fifo;
	uint32_t n_gaps;	      /* in b->gaps: the loop stood still */
	bool drain_cut;		      /* frames still came when the time for draining was over */
	bool have_pairs;	      /* stamps can be converted */
	char no_pairs[200];	      /* why not */
	struct kbp_queue_info stamps; /* as opened: the clock that `pairs` are of */
	struct kbp_pairs pairs;	      /* taken by the receiver, on its CPU */
	/* written by the sender */
	struct kbp_sender_result tx;
	struct kbp_error tx_error;
	uint64_t tx_dropped; /* by the sending device, during the round */
	bool tx_fifo, tx_locked;
	struct kbp_pingpong_shared rtt; /* of a closed loop */
	char libraries[256]; /* loaded in the receiving process, see kbp_libraries_seen */
};

/* A part of the schedule as a schedule of its own: the frames' bytes and flows are the whole one's.
 */
struct kbp_slice {
	struct kbp_schedule s;
	struct kbp_schedule_frame *frames;
};

struct kbp_samples {
	uint32_t *ns;
	size_t n, room;
};

/* One rate of a sweep. A bench that is none has one. */
struct kbp_bench_rate {
	uint64_t pps; /* 0: as the options say */
	struct kbp_schedule *whole;
	struct kbp_slice slice; /* of this round */
};

/* Of rx_path and wire_to_stamp: no sample; and that long or longer. */
#define KBP_SAMPLE_NONE UINT32_MAX
#define KBP_SAMPLE_MOST (UINT32_MAX - 1)

struct kbp_tail;
struct kbp_trace;

struct kbp_run_work {
	struct kbp_tail *tail; /* of a traced variant */
	uint64_t trace_lost;
	bool wanted;  /* named by the caller: must work */
	bool skipped; /* does not work here */
	struct kbp_digest *got, *sent;
	struct kbp_samples latency, lateness;
	struct kbp_samples rx_path,
		wire;	       /* as many as in `latency`, KBP_SAMPLE_NONE where there is none */
	struct kbp_samples tx; /* rtt: as many as in `latency` */
	struct kbp_samples burst_first; /* numbers of samples in `latency`, ascending: first ones of bursts */
	int send_errno;			/* of the first frame that the sender's device refused */
};

struct kbp_watch;

struct kbp_bench {
	struct kbp_bench_opts o; /* defaults filled in */
	struct kbp_lab_info net; /* the two hosts; netns "": where we are */
	bool lab;
	bool loopback;	  /* one host is both ends */
	bool one_process; /* is both ends of the wire */
	uint32_t mtu[2];  /* of given interfaces, by enum kbp_lab_side */
	int out_fd;	  /* holds the lock on out_dir; -1: none */
	bool out_made;	  /* there was no out_dir */
	bool measured;	  /* the results are complete, whether or not they could be written */
	int cpu_rx, cpu_tx;
	uint32_t n_cpus; /* this process may use */
	struct kbp_tsc tsc;
	struct kbp_tsc_offset skew;
	struct kbp_bench_rate rate[KBP_BENCH_RATES_MAX];
	uint32_t n_rates;
	/* those of the rate that is at its turn; owned there */
	struct kbp_schedule *whole;
	struct kbp_slice slice;
	struct kbp_capture_report capture;
	uint64_t memory_bytes; /* kept at most */
	char memory_text[80];  /* the same, for people */
	struct kbp_round_shared *sh;
	struct kbp_seen *records; /* shared: written by the receiver */
	uint64_t *sent_ticks;	  /* shared: written by the sender */
	uint64_t *stamps_ns;	/* shared: of records, 0 where there is none; NULL: not asked for */
	struct kbp_ping *pings; /* shared: written by the initiator; NULL: no rtt */
	size_t records_max, pings_max, shared_bytes;
	struct kbp_trace *trace; /* of this round */
	pid_t trace_tid;	 /* the hot thread */
	char trace_missing[160]; /* tracepoints that this kernel has not */
	uint64_t (*gaps)[2]; /* shared: when the receiver's loop stood still; NULL: nobody asks */
	uint32_t n_backends;
	uint32_t n_subjects; /* backends at rates: number i is backend i % n_backends at rate i / n_backends */
	char backend[KBP_BENCH_BACKENDS_MAX][KBP_SUBJECT_MAX];
	bool planting; /* one of them has a planted delay: all are fenced where it stands */
	struct kbp_run_work work[KBP_BENCH_SUBJECTS_MAX];
	struct kbp_results *res; /* res->run[i] is subject i, until finished */
	struct kbp_watch *watch; /* of the host, host.h */
	kbp_bench_progress_fn progress;
	void *progress_arg;
	struct kbp_bench_progress at;
};

/* A backend as lists name it. "+NS" plants a delay before the clock is read, "~traced" is under tracing, and both
 * are variants, compared with what stands before. "dpdk:af_xdp" is dpdk by that driver; "dpdk:memif" is a wire in memory between
 * the two processes, which no kernel sees. */
struct kbp_bench_path {
	char name[16]; /* kbp_port_open's */
	char pmd[16];
	char base[16]; /* without the variant */
	bool memory;
	bool variant, traced;
	double planted_ns;
};

/* plan.c: what to do, on which CPUs, with which frames */
void kbp_bench_path(const char *listed, struct kbp_bench_path *path);
int kbp_bench_check(struct kbp_bench *b, struct kbp_error *err);
/* The names in b->o.backends, each of which must be there. */
int kbp_bench_backends(struct kbp_bench *b, struct kbp_error *err);
/* The CPU that is taken when none is named, other than `taken`; -1: there is none. */
int kbp_cpu_pick(const cpu_set_t *set, int taken);
int kbp_cpu_check(const cpu_set_t *set, int cpu, const char *who, struct kbp_error *err);
/* Makes b->whole, at this rate. */
int kbp_bench_schedule(struct kbp_bench *b, uint64_t rate_pps, struct kbp_error *err);
int kbp_slice_make(struct kbp_slice *sl, const struct kbp_schedule *whole, uint64_t first,
		   uint64_t n);
void kbp_slice_free(struct kbp_slice *sl);

/* network.c: the two ends */
/* Names and addresses of both, before a lab is there: frames need them. */
int kbp_bench_network(struct kbp_bench *b, struct kbp_error *err);
/* Makes the lab for these frames, or checks that they fit the given interfaces. */
int kbp_bench_wire(struct kbp_bench *b, struct kbp_error *err);
int kbp_bench_enter(const struct kbp_bench *b, enum kbp_lab_side side, struct kbp_error *err);
/* Opens the port of one end, in its namespace; opts->args are filled in here. */
int kbp_bench_port(const struct kbp_bench *b, const char *backend, enum kbp_lab_side side,
		   const struct kbp_port_opts *opts, struct kbp_port **port, struct kbp_error *err);
/* Frames the device dropped on sending so far; 0 when it does not say. */
uint64_t kbp_bench_tx_dropped(const char *ifname);

/* receiver.c: the body of the receiving process. Returns its exit status. */
int kbp_bench_receive(struct kbp_bench *b, const char *backend);

/* ends.c: what a receiving process and both ends of a closed loop have in common */
/* Attaching native XDP takes the link of some drivers down for seconds. */
void kbp_end_carrier(const struct kbp_queue *q);
/* Of a queue that died, once the kernel has said all. */
uint32_t kbp_end_death(struct kbp_queue *const *q, unsigned n, uint32_t state);
const char *kbp_end_state_text(uint32_t state);
/* Runs this process on that CPU from now on, its memory locked. */
int kbp_end_settle(int cpu, bool fifo, const char *who, bool *locked, bool *got_fifo,
		   struct kbp_error *err);
/* Adds the queues' counters up: losses to `drop`, what explains losses to `cause`; they may be one list.
 * *info is that of the queue that received most. */
struct kbp_end_counts {
	struct kbp_named_count *drop, *cause;
	uint32_t *n_drops, *n_causes;
};
void kbp_end_counters(struct kbp_queue *const *q, unsigned n, const struct kbp_end_counts *to,
		      struct kbp_queue_info *info);
/* The port's info, with which of DPDK's drivers it was. */
void kbp_end_port(const struct kbp_port *port, struct kbp_port_info *info);

/* sweep.c: subjects, which are backends at rates */
int kbp_sweep_check(struct kbp_bench *b, struct kbp_error *err);
/* A schedule for every rate; b->whole becomes the first one. */
int kbp_sweep_schedules(struct kbp_bench *b, struct kbp_error *err);
/* Round `round` of all rates: b->rate[].slice. */
int kbp_sweep_slices(struct kbp_bench *b, uint32_t round, struct kbp_error *err);
/* The subject that is number i in this round. Those of one rate follow each other. */
uint32_t kbp_sweep_subject(const struct kbp_bench *b, uint32_t round, uint32_t i);
/* b->whole and b->slice are those of the rate of this subject. */
void kbp_sweep_turn(struct kbp_bench *b, uint32_t subject);
void kbp_sweep_free(struct kbp_bench *b);
/* "samples/af_xdp@1000.tx.u32" */
void kbp_sweep_file(const struct kbp_result_run *run, const char *what, char *file, size_t size);
/* Findings from number `from` on are of this run: say at which rate. */
void kbp_sweep_findings(struct kbp_results *res, uint32_t from, const struct kbp_result_run *run);

/* burst_place.c */
/* Frame i of those that were sent begins a burst. */
bool kbp_burst_begins(const struct kbp_bench *b, const struct kbp_seen *sent, uint32_t i);
/* Latencies of first frames and of those behind them, without warm-up. 0 or -ENOMEM. */
int kbp_burst_split(const struct kbp_result_run *run, const struct kbp_run_work *w,
		    struct kbp_latency *first, struct kbp_latency *later);
void kbp_burst_note(struct kbp_bench *b, const struct kbp_result_run *run,
		    const struct kbp_run_work *w);

/* memory.c */
/* What the bench will keep at most. */
uint64_t kbp_memory_needed(const struct kbp_bench *b);
/* MemAvailable of a file like /proc/meminfo, in bytes; 0: it does not say. */
uint64_t kbp_memory_available(const char *meminfo);
/* Says so, and refuses what is not there. Before anything is started. */
int kbp_memory_announce(struct kbp_bench *b, const char *meminfo, struct kbp_error *err);
/* All of it but the samples, which are kept between the rounds. Faulted in before the first frame. */
int kbp_memory_get(struct kbp_bench *b, struct kbp_error *err);
void kbp_memory_release(struct kbp_bench *b);

/* pingpong.c: the bodies of the two processes of a closed loop; arg is a struct kbp_bench. */
int kbp_pingpong_initiate(void *arg);
int kbp_pingpong_echo(void *arg);

/* pingpong_plan.c: before and after */
int kbp_pingpong_check(struct kbp_bench *b, struct kbp_error *err);
/* One frame: its length and its flow are all that is needed. */
int kbp_pingpong_schedule(struct kbp_bench *b, struct kbp_error *err);
/* So many answers of a round are kept, at most. */
uint64_t kbp_pingpong_room(const struct kbp_bench *b, uint64_t rate_pps);
int kbp_pingpong_add_round(struct kbp_bench *b, uint32_t subject, uint32_t position,
			   struct kbp_error *err);

/* round.c: one subject, one round; fills b->sh, b->records, b->sent_ticks. */
int kbp_bench_round(struct kbp_bench *b, uint32_t subject, struct kbp_error *err);
/* The sending end of a wire in memory: waits for the other one to come, and for it to have left. */
int kbp_bench_link(const struct kbp_queue *q, const char *backend, struct kbp_error *err);
void kbp_bench_linger(struct kbp_bench *b);
/* Tells the caller where we are; false: it wants to stop. */
bool kbp_bench_tell(struct kbp_bench *b, const char *doing);
/* The same as an error: 0 or -ECANCELED. */
int kbp_bench_step(struct kbp_bench *b, const char *doing, struct kbp_error *err);

/* stamped.c: receive stamps */
/* Parts the one_way of record i, due at `due`, at its stamp; appends to w->rx_path and w->wire. */
void kbp_stamped_add(const struct kbp_bench *b, struct kbp_run_work *w,
		     struct kbp_result_stamps *st, uint32_t i, uint64_t due);
/* Before the records of a round: are its stamps what those of the rounds before were? */
void kbp_stamped_round(struct kbp_bench *b, struct kbp_result_run *run);
/* After all rounds: files and quantiles. */
int kbp_stamped_finish(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w,
		       bool write, struct kbp_error *err);
/* Quantiles of all rounds, each without its warm-up; KBP_SAMPLE_NONE are left out. 0 or -ENOMEM. */
int kbp_run_quantiles(const struct kbp_result_run *run, const struct kbp_samples *s, bool gaps,
		      struct kbp_latency *l);
/* So many samples more. 0 or -ENOMEM. */
int kbp_samples_room(struct kbp_samples *s, size_t more);

/* analyse.c: what a round gave, added to its run; and the end of it all. */
int kbp_bench_add_round(struct kbp_bench *b, uint32_t subject, uint32_t position,
			struct kbp_error *err);
/* What the round's port and queue were; finding when it is another than before. */
void kbp_bench_achieved(struct kbp_bench *b, struct kbp_result_run *run);
/* How many of a round's first samples the quantiles leave out, `early` of which began while warming up. */
uint64_t kbp_bench_warmup(uint64_t samples, uint64_t early);
int kbp_bench_finish(struct kbp_bench *b, struct kbp_error *err);

/* findings.c: what the reader of the results has to know */
void kbp_bench_capture_findings(struct kbp_bench *b);
void kbp_bench_host_findings(struct kbp_bench *b);
void kbp_bench_round_findings(struct kbp_bench *b, const struct kbp_result_run *run);
void kbp_bench_stamp_findings(struct kbp_bench *b, const struct kbp_result_run *run);
void kbp_bench_run_findings(struct kbp_bench *b, const struct kbp_result_run *run, int send_errno);

/* bench.c: b->o.out_dir is ours until b->out_fd is closed. */
int kbp_bench_out_take(struct kbp_bench *b, struct kbp_error *err);

/* fingerprint.c */
/* What concerns the host alone; the CPUs are those measured on, cpu_tx is -1 where nobody sends. */
void kbp_host_fingerprint(struct kbp_results *res, int cpu_rx, int cpu_tx, const struct kbp_tsc *tsc);
void kbp_bench_fingerprint(struct kbp_bench *b);
void kbp_bench_setup(struct kbp_bench *b);

/* ---------------------------------------------------------------- profile */

#define KBP_PROFILE_ROWS 16u	/* of one backend */
#define KBP_PROFILE_QUANTA 20u	/* a sample takes so many at least: 5 % is the clock's */
#define KBP_PROFILE_BATCH 4096u /* operations in a sample, at the most */
#define KBP_PROFILE_WARMUP 500u /* samples left out */
#define KBP_PROFILE_PAYLOAD 18u /* bytes: a frame of 60, the shortest */

/* What the measuring process and its parent share. */
struct kbp_profile_shared {
	uint32_t stage;	    /* enum kbp_stage, as in struct kbp_round_shared */
	uint32_t row, done; /* rows measured; samples of the next one */
	char doing[32];	    /* operation and form of that one, for the eye alone */
	struct kbp_error error;
	bool locked, fifo;
	struct kbp_profile_op timer; /* what timing costs: two readings of the clock */
	struct kbp_profile_op op[KBP_PROFILE_ROWS];
	char inline_note[160],
		stamps_note[160]; /* why there is no inline form, or no stamps; else "" */
};

/* One backend to be measured, in a process of its own. */
struct kbp_profile_work {
	const char *backend;
	const struct kbp_bench *bench; /* whose network it is; NULL: ef_vi's by the names below */
	const char *rx_ifname, *tx_ifname;
	const char *rx_words, *tx_words; /* kbp_port_opts.args */
	uint32_t samples, rx_ring;
	int cpu;
	bool fifo;
	struct kbp_tsc tsc;
	struct kbp_profile_shared *sh;
};

/* profile_run.c: the body of the measuring process; arg is a struct kbp_profile_work. */
int kbp_profile_child(void *arg);

/* profile_stat.c: so many operations of `op_ticks` make a sample that is long enough; more than
 * `at_once` in whole multiples of it. */
uint32_t kbp_profile_batch(double op_ticks, uint32_t quantum_ticks, uint32_t at_once);
/* From samples of row->batch operations each, in ticks: row->samples, ns, cycles. Sorts them. */
void kbp_profile_figures(uint32_t *ticks, size_t n, uint64_t hz, struct kbp_profile_op *row);
/* A batch is timed in pieces of at most `at_once` operations, each of which costs `timer_ns`. */
double kbp_profile_timer_share(double timer_ns, uint32_t batch, uint32_t at_once);

#endif
