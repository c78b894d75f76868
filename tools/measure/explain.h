/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - what ran on the hot CPU while the frames of the tail were on their way.
 *
 *   trace    what happened on one CPU, written by programs in the kernel, read when a round is over
 *   spans    from that: who had the CPU, from when until when, innermost first; not listed: the hot thread
 *   tail     from spans and samples: by how much each cause made which samples longer
 */
#ifndef KBP_TOOLS_MEASURE_EXPLAIN_H
#define KBP_TOOLS_MEASURE_EXPLAIN_H

#include "tools/measure/explain_event.h"
#include "tools/measure/parts.h"

/* ---------------------------------------------------------------- explain_bench.c: a bench's part in it */

/* Adds a traced variant of each backend. */
int kbp_explain_plan(struct kbp_bench *b, struct kbp_error *err);
/* Around a round of a traced variant; nothing on others. */
int kbp_explain_begin(struct kbp_bench *b, pid_t receiver, struct kbp_error *err);
void kbp_explain_tend(struct kbp_bench *b);
void kbp_explain_end(struct kbp_bench *b);
/* What the round's trace says of run `backend`, before its samples: 0 or -ENOMEM. */
int kbp_explain_round(struct kbp_bench *b, uint32_t backend);
int kbp_explain_finish(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w);
void kbp_explain_release(struct kbp_bench *b);

/* ---------------------------------------------------------------- explain_trace.c */

struct kbp_trace;

/* Loads and attaches the programs, which do nothing yet. `missing` says which tracepoints this kernel does not have: causes
 * of that kind stay unknown. -EPERM, -EOPNOTSUPP with the reason. */
int kbp_trace_open(int cpu, const struct kbp_tsc *tsc, struct kbp_trace **t, char missing[160],
		   struct kbp_error *err);
/* From here on until kbp_trace_stop. `calls`: system calls of the hot thread that are its way of receiving. */
void kbp_trace_start(struct kbp_trace *t, pid_t hot_tid, const int calls[4]);
/* The kernel's clock beside the CPU's counter: now and then, a few times a second. */
void kbp_trace_tend(struct kbp_trace *t);
void kbp_trace_stop(struct kbp_trace *t);
/* What the round gave, in the order in which it happened; belongs to t, until the next start. */
const struct kbp_trace_event *kbp_trace_events(struct kbp_trace *t, uint32_t *n, uint64_t *lost);
/* When an event was, by the CPU's counter. False: nobody can tell. */
bool kbp_trace_ticks(const struct kbp_trace *t, uint64_t ns, uint64_t *ticks);
void kbp_trace_close(struct kbp_trace *t);

/* ---------------------------------------------------------------- explain.c */

#define KBP_CAUSES_MAX 64u
#define KBP_CAUSE_SENDER 0u /* the frame was sent late */
#define KBP_CAUSE_STALL 1u  /* the loop stood still, and nothing was traced: hypervisor, SMI */
#define KBP_CAUSE_REST 2u   /* what is left: not on this CPU, or not traced */
#define KBP_CAUSES_FIXED 3u

/* Somebody had the CPU, or it stood still. Spans do not overlap, and are in order. */
struct kbp_span {
	uint64_t begin, end; /* ticks */
	uint32_t cause;
};

/* A sample on its way: intended, sent, and at the pointer. */
struct kbp_way {
	uint64_t due, sent, got; /* ticks */
};

struct kbp_tail;

int kbp_tail_open(const struct kbp_tsc *tsc, struct kbp_tail **t);
/* Events of a round, `ticks` by event, to spans; and loop gaps, [begin, end] each. Replaces those of the round before. */
int kbp_tail_round(struct kbp_tail *t, const struct kbp_trace_event *events, const uint64_t *ticks,
		   uint32_t n, pid_t hot_tid, const uint64_t (*gaps)[2], uint32_t n_gaps);
/* The next sample; `ns` is as in the samples file. */
int kbp_tail_sample(struct kbp_tail *t, const struct kbp_way *w, uint32_t ns);
/* The first n samples of the round do not count. */
void kbp_tail_warmup(struct kbp_tail *t, uint64_t n);
/* All rounds are in. threshold_ns 0: P99. */
int kbp_tail_finish(struct kbp_tail *t, uint32_t threshold_ns, struct kbp_result_explain *e);
/* For tests: the spans of the round. */
const struct kbp_span *kbp_tail_spans(const struct kbp_tail *t, uint32_t *n);
void kbp_tail_close(struct kbp_tail *t);

#endif
