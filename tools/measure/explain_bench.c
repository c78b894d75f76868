/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_bench.c - a bench's part in explaining the tail: each backend is measured once more under tracing, as a variant of
 * itself. The programs are attached for those rounds only, so that the others know nothing of them, and what tracing
 * itself adds is a verdict like any other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tools/measure/explain.h"

#define TRACED "~traced"

static bool is_traced(const char *listed)
{
	struct kbp_bench_path path;

	kbp_bench_path(listed, &path);
	return path.traced;
}

int kbp_explain_plan(struct kbp_bench *b, struct kbp_error *err)
{
	const uint32_t n = b->n_backends;

	b->gaps = mmap(NULL, KBP_BENCH_GAPS_MAX * sizeof(*b->gaps), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (b->gaps == MAP_FAILED) {
		b->gaps = NULL;
		return kbp_fail(err, -ENOMEM, "make room for the trace", "memory is out");
	}
	for (uint32_t i = 0; i < n; i++) {
		struct kbp_bench_path path;

		kbp_bench_path(b->backend[i], &path);
		if (path.variant)
			continue;
		if (b->n_backends == KBP_BENCH_BACKENDS_MAX)
			return kbp_fail(
				err, -EINVAL, "read the list of backends",
				"each is measured twice to be explained, and %u are the most: name fewer",
				KBP_BENCH_BACKENDS_MAX);
		snprintf(b->backend[b->n_backends], KBP_SUBJECT_MAX, "%s" TRACED, path.base);
		b->work[b->n_backends].wanted = b->work[i].wanted;
		b->n_backends++;
	}
	return 0;
}

int kbp_explain_begin(struct kbp_bench *b, pid_t receiver, struct kbp_error *err)
{
	/* a backend's own way of receiving is the path, not a cause */
	static const int own[4] = { SYS_recvmmsg, SYS_recvfrom, SYS_recvmsg, SYS_sendto };
	int rc;

	/* of a round that failed: nothing may stay attached while others are measured */
	kbp_trace_close(b->trace);
	b->trace = NULL;
	if (!is_traced(b->at.backend))
		return 0;
	rc = kbp_trace_open(b->cpu_rx, &b->tsc, &b->trace, b->trace_missing, err);
	if (rc)
		return rc;
	b->trace_tid = receiver;
	kbp_trace_start(b->trace, receiver, own);
	return 0;
}

void kbp_explain_tend(struct kbp_bench *b)
{
	if (b->trace)
		kbp_trace_tend(b->trace);
}

void kbp_explain_end(struct kbp_bench *b)
{
	if (b->trace)
		kbp_trace_stop(b->trace);
}

/* Those events whose time is known, with it. */
static uint32_t known(struct kbp_bench *b, struct kbp_trace_event *e, uint32_t n, uint64_t *ticks)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!kbp_trace_ticks(b->trace, e[i].ns, &ticks[kept]))
			continue;
		e[kept++] = e[i];
	}
	return kept;
}

int kbp_explain_round(struct kbp_bench *b, uint32_t backend)
{
	struct kbp_run_work *w = &b->work[backend];
	const struct kbp_trace_event *from;
	struct kbp_trace_event *events;
	uint64_t *ticks, lost;
	uint32_t n, kept;
	int rc = -ENOMEM;

	if (!b->trace)
		return 0;
	from = kbp_trace_events(b->trace, &n, &lost);
	events = malloc((n + 1) * sizeof(*events));
	ticks = malloc((n + 1) * sizeof(*ticks));
	if (!w->tail)
		kbp_tail_open(&b->tsc, &w->tail);
	if (events && ticks && w->tail) {
		if (n)
			memcpy(events, from, n * sizeof(*events));
		kept = known(b, events, n, ticks);
		w->trace_lost += lost + n - kept;
		rc = kbp_tail_round(w->tail, events, ticks, kept, b->trace_tid,
				    (const uint64_t(*)[2])b->gaps, b->sh->n_gaps);
	}
	free(events);
	free(ticks);
	kbp_trace_close(b->trace);
	b->trace = NULL;
	return rc;
}

int kbp_explain_finish(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w)
{
	int rc = kbp_tail_finish(w->tail, b->o.explain_over_ns, &run->explain);

	run->explain.lost = w->trace_lost;
	run->explain.gap_min_ns = KBP_BENCH_GAP_NS;
	if (w->trace_lost)
		kbp_finding_add(
			b->res, true, "trace_lost", run->backend,
			"%llu events of the trace are lost: what they would have explained is unaccounted",
			(unsigned long long)w->trace_lost);
	if (b->trace_missing[0])
		kbp_finding_add(b->res, true, "trace_missing", run->backend,
				"this kernel has no tracepoint %s: causes of that kind are unaccounted",
				b->trace_missing);
	return rc;
}

void kbp_explain_release(struct kbp_bench *b)
{
	kbp_trace_close(b->trace);
	if (b->gaps)
		munmap(b->gaps, KBP_BENCH_GAPS_MAX * sizeof(*b->gaps));
}
