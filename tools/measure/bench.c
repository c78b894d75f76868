/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - kbp_bench_run: from options to results, in the order in which it happens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/measure/explain.h"
#include "tools/measure/host.h"

#define CALIBRATE_MS 200

static void release(struct kbp_bench *b)
{
	kbp_watch_close(b);
	kbp_explain_release(b);
	kbp_memory_release(b);
	kbp_sweep_free(b);
	if (b->lab)
		kbp_lab_down(b->net.prefix, NULL);
	if (b->out_fd >= 0)
		close(b->out_fd);
}

/* The clock first: every latency is a difference of two CPUs' counters. */
static int clock_check(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = kbp_bench_step(b, "calibrating the clock", err);

	if (!rc)
		rc = kbp_tsc_calibrate(&b->tsc, CALIBRATE_MS, err);
	if (!rc)
		rc = kbp_tsc_skew(b->cpu_tx, b->cpu_rx, &b->skew, err);
	if (!rc)
		kbp_bench_host_findings(b);
	return rc;
}

/* Frames first: whatever is wrong with them, or stops us meanwhile, leaves no lab. */
static int wire_up(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = kbp_bench_network(b, err);

	if (!rc)
		rc = kbp_bench_step(b, b->o.capture ? "reading the capture" : "making frames", err);
	if (!rc)
		rc = kbp_sweep_schedules(b, err);
	if (!rc)
		rc = kbp_memory_announce(b, "/proc/meminfo", err);
	if (!rc)
		rc = kbp_bench_step(b, "making the lab", err);
	return rc ? rc : kbp_bench_wire(b, err);
}

/* A backend of the default list that cannot be opened here is left out and said so; one that was
 * named, or af_xdp in a mode that was insisted on, is an error, and so is whatever would stop every
 * backend. */
static bool may_skip(const struct kbp_bench *b, uint32_t backend, uint32_t round, int rc)
{
	bool at_opening = b->sh->rx_stage == KBP_STAGE_FAILED && !b->sh->tx_stage;

	if (b->o.rtt) /* the first answer tells that both ends can send */
		at_opening = !b->sh->rtt.opened && (b->sh->rx_stage == KBP_STAGE_FAILED ||
						    b->sh->tx_stage == KBP_STAGE_FAILED);
	if (b->o.strict && !strcmp(b->backend[backend], "af_xdp"))
		return false;
	return !round && !b->work[backend].wanted && at_opening && rc != -ENODEV &&
	       rc != -ENETDOWN && rc != -ECANCELED;
}

/* At no rate, now that it cannot be opened. */
static void skip(struct kbp_bench *b, uint32_t backend)
{
	const struct kbp_error *e = b->sh->rx_stage == KBP_STAGE_FAILED ? &b->sh->rx_error :
									  &b->sh->tx_error;

	kbp_finding_add(b->res, true, "unavailable", b->backend[backend], "%.100s: %.180s", e->step,
			e->hint);
	for (uint32_t i = backend; i < b->n_subjects; i += b->n_backends)
		b->work[i].skipped = true;
}

static int round_run(struct kbp_bench *b, uint32_t round, uint32_t *left, struct kbp_error *err)
{
	for (uint32_t i = 0; i < b->n_subjects; i++) {
		uint32_t subject = kbp_sweep_subject(b, round, i), backend = subject % b->n_backends;
		int rc;

		if (b->work[subject].skipped)
			continue;
		rc = kbp_bench_round(b, subject, err);
		if (!rc)
			rc = kbp_bench_add_round(b, subject, i, err);
		if (!rc)
			kbp_watch_backend(b);
		/* what opened at one rate opens at the others */
		if (rc && (!may_skip(b, backend, round, rc) || *left == 1 ||
			   b->res->run[backend].n_rounds))
			return rc;
		if (rc) {
			skip(b, backend);
			--*left;
		}
	}
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* A round begins no sooner than its share of the time that all of them are to be spread over. */
static int spread(struct kbp_bench *b, uint32_t round, int64_t begin, struct kbp_error *err)
{
	int64_t due = begin + (int64_t)(b->o.over_seconds * 1e9 * round / b->o.rounds);
	struct timespec tenth = { .tv_nsec = 100000000 };
	int rc = 0;

	while (!rc && now_ns() < due) {
		nanosleep(&tenth, NULL);
		rc = kbp_bench_step(b, "waiting for the next round's time", err);
	}
	return rc;
}

static int all_rounds(struct kbp_bench *b, struct kbp_error *err)
{
	const int64_t begin = now_ns();
	uint32_t left = b->n_backends;
	int rc = 0;

	b->at.rounds = b->o.rounds;
	for (uint32_t r = 0; r < b->o.rounds && !rc; r++) {
		b->at.round = r + 1;
		rc = spread(b, r, begin, err);
		if (!rc)
			rc = kbp_sweep_slices(b, r, err);
		if (!rc)
			rc = kbp_watch_round(b, err);
		if (!rc)
			rc = round_run(b, r, &left, err);
	}
	kbp_sweep_turn(b, 0);
	b->at.backend = "";
	return rc;
}

int kbp_bench_out_take(struct kbp_bench *b, struct kbp_error *err)
{
	int rc;

	if (!b->o.out_dir)
		return 0;
	b->out_made = access(b->o.out_dir, F_OK) < 0;
	rc = kbp_results_dir_prepare(b->o.out_dir, err);
	if (rc)
		return rc;
	b->out_fd = kbp_results_dir_lock(b->o.out_dir, err);
	return b->out_fd < 0 ? b->out_fd : 0;
}

static int prepare(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = kbp_bench_check(b, err);

	if (!rc)
		rc = kbp_bench_out_take(b, err);
	if (!rc)
		rc = wire_up(b, err);
	if (!rc)
		rc = clock_check(b, err);
	if (!rc)
		rc = kbp_memory_get(b, err);
	if (!rc)
		rc = kbp_watch_open(b, err);
	return rc;
}

static int run(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = prepare(b, err);

	if (!rc) {
		kbp_bench_capture_findings(b);
		rc = all_rounds(b, err);
	}
	if (rc) {
		if (b->out_fd >= 0)
			kbp_results_dir_abandon(b->o.out_dir, b->out_made);
		return rc;
	}
	kbp_bench_fingerprint(b);
	kbp_bench_setup(b);
	kbp_watch_finish(b);
	if (b->o.fifo && !b->sh->rx_fifo)
		kbp_finding_add(
			b->res, true, "no_fifo", "",
			"SCHED_FIFO was asked for and refused (CAP_SYS_NICE): measured without");
	rc = kbp_bench_finish(b, err);
	b->measured = true;
	if (!rc && b->o.out_dir)
		rc = kbp_results_save(b->res, b->o.out_dir, err);
	if (rc)
		kbp_results_dir_abandon(b->o.out_dir, b->out_made);
	return rc;
}

int kbp_bench_run(const struct kbp_bench_opts *opts, kbp_bench_progress_fn progress, void *arg,
		  struct kbp_results **res, struct kbp_error *err)
{
	struct kbp_bench *b;
	int rc;

	*res = NULL;
	if (opts->size < sizeof(size_t) || opts->size > sizeof(*opts))
		return kbp_fail(err, -EINVAL, "read the options",
				"opts.size is %zu: begin with KBP_BENCH_OPTS_INIT", opts->size);
	b = calloc(1, sizeof(*b));
	if (b)
		b->res = calloc(1, sizeof(*b->res));
	if (!b || !b->res) {
		free(b);
		return kbp_fail(err, -ENOMEM, "bench", "memory is out");
	}
	memcpy(&b->o, opts, opts->size);
	b->progress = progress;
	b->progress_arg = arg;
	b->at.backend = "";
	b->out_fd = -1;
	rc = run(b, err);
	release(b);
	if (b->measured)
		*res = b->res;
	else
		kbp_results_free(b->res);
	free(b);
	return rc;
}
