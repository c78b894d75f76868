/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - what a bench keeps: told before it starts, there before the first frame.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/measure/explain.h"

#define RECORDS_SPARE 4096u /* room for frames that others send to the same groups */
/* Telling which frame is which, once per round (match.c): the sent ones as a list, where each was found, and chains. */
#define MATCH_BYTES \
	(sizeof(struct kbp_seen) + sizeof(uint32_t) + 4 * sizeof(uint64_t) + 3 * sizeof(uint32_t))
#define SORT_COPIES 3u /* of one run's samples at the end, while they are sorted */

static uint64_t records_of(uint64_t round_frames)
{
	return round_frames + round_frames / 8 + RECORDS_SPARE;
}

static uint64_t round_frames(const struct kbp_bench *b, uint32_t rate)
{
	return b->rate[rate].whole->n_total / b->o.rounds + 1;
}

static uint64_t round_frames_max(const struct kbp_bench *b)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < b->n_rates; i++)
		if (round_frames(b, i) > most)
			most = round_frames(b, i);
	return most;
}

static uint64_t pings_max(const struct kbp_bench *b)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < b->n_rates; i++) {
		uint64_t room = kbp_pingpong_room(b, b->o.n_rates ? b->rate[i].pps : b->o.rate_pps);

		if (room > most)
			most = room;
	}
	return most;
}

/* Samples of a run: so many, in so many lists, of which those that are compared are copied (method.c). */
static uint64_t samples_bytes(const struct kbp_bench *b, uint32_t rate, uint64_t *one_list)
{
	uint64_t n, lists = 2 + 1; /* latency and lateness, and the copy of one */

	if (b->o.rtt)
		n = b->o.rounds *
		    kbp_pingpong_room(b, b->o.n_rates ? b->rate[rate].pps : b->o.rate_pps);
	else
		n = b->rate[rate].whole->n_total;
	if (b->o.rtt)
		lists = 2 + 2; /* rtt and tx, and copies of both */
	if (b->o.stamps)
		lists += 2 + 1;
	lists += b->o.timing == KBP_TIMING_BURSTS;
	*one_list = n * sizeof(uint32_t);
	return *one_list * lists * b->n_backends;
}

uint64_t kbp_memory_needed(const struct kbp_bench *b)
{
	uint64_t bytes = sizeof(*b->sh), longest = 0, one_list, frames;

	for (uint32_t i = 0; i < b->n_rates; i++) {
		bytes += samples_bytes(b, i, &one_list);
		longest = one_list > longest ? one_list : longest;
		bytes += b->rate[i].whole->map_len;
		if (!b->o.rtt)
			bytes += round_frames(b, i) * sizeof(struct kbp_schedule_frame);
	}
	bytes += SORT_COPIES * longest;
	if (b->o.rtt)
		return bytes + pings_max(b) * sizeof(struct kbp_ping);
	frames = round_frames_max(b);
	bytes += records_of(frames) *
		 (sizeof(struct kbp_seen) + (b->o.stamps ? sizeof(uint64_t) : 0));
	return bytes + frames * (sizeof(uint64_t) + MATCH_BYTES);
}

uint64_t kbp_memory_available(const char *meminfo)
{
	FILE *f = fopen(meminfo, "re");
	unsigned long long kib = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
		;
	fclose(f);
	return kib * 1024;
}

int kbp_memory_announce(struct kbp_bench *b, const char *meminfo, struct kbp_error *err)
{
	uint64_t have = kbp_memory_available(meminfo);

	b->memory_bytes = kbp_memory_needed(b);
	snprintf(b->memory_text, sizeof(b->memory_text),
		 "keeping at most %.1f MB of records and samples", (double)b->memory_bytes / 1e6);
	if (have && b->memory_bytes > have)
		return kbp_fail(err, -ENOMEM, "make room for records and samples",
				"they take up to %.1f MB, and %.1f MB are available: fewer seconds, a lower rate, or "
				"fewer backends or rates take less",
				(double)b->memory_bytes / 1e6, (double)have / 1e6);
	return kbp_bench_step(b, b->memory_text, err);
}

/* ---------------------------------------------------------------- the memory itself */

static void *shared_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool shared_get(struct kbp_bench *b)
{
	uint64_t frames = round_frames_max(b);

	b->sh = shared_alloc(sizeof(*b->sh));
	if (b->o.rtt) {
		b->pings_max = pings_max(b);
		b->pings = shared_alloc(b->pings_max * sizeof(*b->pings));
		return b->sh && b->pings;
	}
	b->records_max = records_of(frames);
	b->records = shared_alloc(b->records_max * sizeof(*b->records));
	b->sent_ticks = shared_alloc(frames * sizeof(*b->sent_ticks));
	b->shared_bytes = frames * sizeof(*b->sent_ticks);
	b->stamps_ns = b->o.stamps ? shared_alloc(b->records_max * sizeof(*b->stamps_ns)) : NULL;
	return b->sh && b->records && b->sent_ticks && (b->stamps_ns || !b->o.stamps);
}

static bool run_get(struct kbp_bench *b, uint32_t i)
{
	const struct kbp_schedule *whole = b->rate[i / b->n_backends].whole;
	struct kbp_result_run *run = &b->res->run[i];
	struct kbp_bench_path path;

	kbp_bench_path(b->backend[i % b->n_backends], &path);
	strcpy(run->backend, b->backend[i % b->n_backends]);
	strcpy(run->base, path.base);
	strcpy(run->kind, b->o.rtt ? "rtt" : "one_way");
	run->variant = path.variant;
	run->traced = path.traced;
	run->rate_pps = b->rate[i / b->n_backends].pps;
	run->round = calloc(b->o.rounds, sizeof(*run->round));
	return run->round && !kbp_digest_open(whole->flows, whole->n_flows, &b->work[i].got) &&
	       !kbp_digest_open(whole->flows, whole->n_flows, &b->work[i].sent);
}

int kbp_memory_get(struct kbp_bench *b, struct kbp_error *err)
{
	bool ok = shared_get(b);

	b->res->run = calloc(b->n_subjects, sizeof(*b->res->run));
	ok = ok && b->res->run;
	if (b->res->run)
		b->res->n_runs = b->n_subjects;
	for (uint32_t i = 0; ok && i < b->n_subjects; i++)
		ok = run_get(b, i);
	if (ok)
		return 0;
	return kbp_fail(
		err, -ENOMEM, "make room for the records",
		"no memory for %llu frames a round: lower the rate, or take more and shorter rounds",
		(unsigned long long)(b->o.rtt ? pings_max(b) : round_frames_max(b)));
}

static void shared_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

void kbp_memory_release(struct kbp_bench *b)
{
	for (uint32_t i = 0; i < KBP_BENCH_SUBJECTS_MAX; i++) {
		struct kbp_run_work *w = &b->work[i];

		kbp_digest_close(w->got);
		kbp_digest_close(w->sent);
		kbp_tail_close(w->tail);
		free(w->latency.ns);
		free(w->lateness.ns);
		free(w->rx_path.ns);
		free(w->wire.ns);
		free(w->tx.ns);
		free(w->burst_first.ns);
	}
	shared_free(b->sent_ticks, b->shared_bytes);
	shared_free(b->stamps_ns, b->records_max * sizeof(*b->stamps_ns));
	shared_free(b->records, b->records_max * sizeof(*b->records));
	shared_free(b->pings, b->pings_max * sizeof(*b->pings));
	shared_free(b->sh, sizeof(*b->sh));
}
