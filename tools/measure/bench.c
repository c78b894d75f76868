/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - kbp_bench_run: from options to results, in the order in which it happens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/measure/host.h"

#define CALIBRATE_MS 200
#define RECORDS_SPARE 4096u /* room for frames that others send to the same groups */

static void *shared_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Everything is allocated and faulted in before the first frame. */
static int memory_get(struct kbp_bench *b, struct kbp_error *err)
{
	uint64_t round_max = b->whole->n_total / b->o.rounds + 1;

	b->records_max = round_max + round_max / 8 + RECORDS_SPARE;
	b->sh = shared_alloc(sizeof(*b->sh));
	b->records = shared_alloc(b->records_max * sizeof(*b->records));
	b->sent_ticks = shared_alloc(round_max * sizeof(*b->sent_ticks));
	b->stamps_ns = b->o.stamps ? shared_alloc(b->records_max * sizeof(*b->stamps_ns)) : NULL;
	b->res->run = calloc(b->n_backends, sizeof(*b->res->run));
	if (!b->sh || !b->records || !b->sent_ticks || !b->res->run || (b->o.stamps && !b->stamps_ns))
		goto fail;
	b->shared_bytes = round_max * sizeof(*b->sent_ticks);
	b->res->n_runs = b->n_backends;
	for (uint32_t i = 0; i < b->n_backends; i++) {
		struct kbp_result_run *run = &b->res->run[i];
		struct kbp_bench_path path;

		kbp_bench_path(b->backend[i], &path);
		strcpy(run->backend, b->backend[i]);
		strcpy(run->base, path.base);
		strcpy(run->kind, "one_way");
		run->variant = path.variant;
		run->traced = path.traced;
		run->round = calloc(b->o.rounds, sizeof(*run->round));
		if (!run->round ||
		    kbp_digest_open(b->whole->flows, b->whole->n_flows, &b->work[i].got) ||
		    kbp_digest_open(b->whole->flows, b->whole->n_flows, &b->work[i].sent))
			goto fail;
	}
	return 0;
fail:
	return kbp_fail(
		err, -ENOMEM, "make room for the records",
		"no memory for %llu frames a round: lower the rate, or take more and shorter rounds",
		(unsigned long long)round_max);
}

static void release(struct kbp_bench *b)
{
	for (uint32_t i = 0; i < b->n_backends; i++) {
		kbp_digest_close(b->work[i].got);
		kbp_digest_close(b->work[i].sent);
		free(b->work[i].latency.ns);
		free(b->work[i].lateness.ns);
		free(b->work[i].rx_path.ns);
		free(b->work[i].wire.ns);
	}
	kbp_watch_close(b);
	kbp_slice_free(&b->slice);
	kbp_schedule_close(b->whole);
	if (b->sent_ticks)
		munmap(b->sent_ticks, b->shared_bytes);
	if (b->stamps_ns)
		munmap(b->stamps_ns, b->records_max * sizeof(*b->stamps_ns));
	if (b->records)
		munmap(b->records, b->records_max * sizeof(*b->records));
	if (b->sh)
		munmap(b->sh, sizeof(*b->sh));
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
		rc = kbp_bench_schedule(b, err);
	if (!rc)
		rc = kbp_bench_step(b, "making the lab", err);
	return rc ? rc : kbp_bench_wire(b, err);
}

/* A backend of the default list that cannot be opened here is left out and said so; one that was
 * named, or af_xdp in a mode that was insisted on, is an error, and so is whatever would stop every
 * backend. */
static bool may_skip(const struct kbp_bench *b, uint32_t backend, uint32_t round, int rc)
{
	if (b->o.strict && !strcmp(b->backend[backend], "af_xdp"))
		return false;
	return !round && !b->work[backend].wanted && b->sh->rx_stage == KBP_STAGE_FAILED &&
	       !b->sh->tx_stage && rc != -ENODEV && rc != -ENETDOWN && rc != -ECANCELED;
}

static int round_run(struct kbp_bench *b, uint32_t round, uint32_t *left, struct kbp_error *err)
{
	for (uint32_t i = 0; i < b->n_backends; i++) {
		uint32_t backend = (i + round) % b->n_backends;
		int rc;

		if (b->work[backend].skipped)
			continue;
		rc = kbp_bench_round(b, backend, err);
		if (!rc)
			rc = kbp_bench_add_round(b, backend, i, err);
		if (!rc)
			kbp_watch_backend(b);
		if (rc && (!may_skip(b, backend, round, rc) || *left == 1))
			return rc;
		if (rc) {
			kbp_finding_add(b->res, true, "unavailable", b->backend[backend],
					"%.100s: %.180s", b->sh->rx_error.step, b->sh->rx_error.hint);
			b->work[backend].skipped = true;
			--*left;
		}
	}
	return 0;
}

static int all_rounds(struct kbp_bench *b, struct kbp_error *err)
{
	const uint64_t total = b->whole->n_total;
	uint32_t left = b->n_backends;
	int rc = 0;

	b->at.rounds = b->o.rounds;
	for (uint32_t r = 0; r < b->o.rounds && !rc; r++) {
		uint64_t from = total * r / b->o.rounds, to = total * (r + 1) / b->o.rounds;

		b->at.round = r + 1;
		kbp_slice_free(&b->slice);
		if (kbp_slice_make(&b->slice, b->whole, from, to - from))
			return kbp_fail(err, -ENOMEM, "cut the schedule into rounds",
					"memory is out: take more rounds");
		rc = kbp_watch_round(b, err);
		if (!rc)
			rc = round_run(b, r, &left, err);
	}
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
		rc = memory_get(b, err);
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
