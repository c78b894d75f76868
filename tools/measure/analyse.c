/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * analyse.c - from what one round left in shared memory to an account, a digest and samples; and at
 * the end from all rounds to a result.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/parts.h"

#define SLACK_NS 1000u /* beyond the measured offset of the two CPUs' counters */

static const char *mode_name(enum kbp_mode m)
{
	static const char *const name[] = { "auto",    "zerocopy", "copy",
					    "generic", "kernel",   "emulated" };

	return (unsigned)m < KBP_ARRAY_SIZE(name) ? name[m] : "unknown";
}

static const char *proof_name(enum kbp_proof p)
{
	static const char *const name[] = { "none", "claimed", "bound", "proven" };

	return (unsigned)p < KBP_ARRAY_SIZE(name) ? name[p] : "unknown";
}

/* ---------------------------------------------------------------- samples */

static int samples_room(struct kbp_run_work *w, size_t more)
{
	size_t need = w->n_samples + more;
	uint32_t *p;

	if (need <= w->room)
		return 0;
	p = realloc(w->samples, need * sizeof(*p));
	if (!p)
		return -ENOMEM;
	w->samples = p;
	w->room = need;
	return 0;
}

static uint32_t sample_ns(const struct kbp_tsc *tsc, uint64_t sent, uint64_t got)
{
	uint64_t ns = got > sent ? kbp_tsc_ns(tsc, got - sent) : 0;

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* The frames that were sent, as a list of their own. Returns how many, and adds them to the digest.
 */
static uint32_t sent_list(const struct kbp_bench *b, struct kbp_digest *digest, struct kbp_seen *sent)
{
	const struct kbp_schedule *s = &b->slice.s;
	uint32_t n = 0;

	for (uint64_t i = 0; i < s->n_total; i++) {
		const struct kbp_schedule_frame *f = &s->frames[i];

		if (!b->sent_ticks[i])
			continue;
		kbp_digest_add(digest, f->flow, f->payload_hash, f->payload_len);
		sent[n++] = (struct kbp_seen){ .ticks = b->sh->tx.start_ticks +
							kbp_tsc_ticks(&b->tsc, f->at_ns),
					       .hash = f->payload_hash,
					       .len = f->payload_len,
					       .flow = f->flow };
	}
	return n;
}

/* Identifies the frames and appends their latencies, in the order of arrival. */
static int samples_add(const struct kbp_bench *b, struct kbp_run_work *w,
		       struct kbp_match_count *count)
{
	const uint64_t offset = (uint64_t)llabs(b->skew.ticks) + b->skew.bound_ticks;
	const uint32_t n_got = (uint32_t)b->sh->n_records;
	struct kbp_seen *sent = calloc(b->slice.s.n_total + 1, sizeof(*sent));
	uint32_t *pos = malloc((n_got + 1u) * sizeof(*pos)), n_sent;
	int rc = sent && pos ? samples_room(w, n_got) : -ENOMEM;

	if (!rc) {
		n_sent = sent_list(b, w->sent, sent);
		rc = kbp_match(sent, n_sent, b->records, n_got, b->slice.s.n_flows,
			       offset + kbp_tsc_ticks(&b->tsc, SLACK_NS), pos, count);
	}
	for (uint32_t i = 0; !rc && i < n_got; i++) {
		kbp_digest_add(w->got, b->records[i].flow, b->records[i].hash, b->records[i].len);
		if (pos[i] != KBP_POS_NONE)
			w->samples[w->n_samples++] =
				sample_ns(&b->tsc, sent[pos[i]].ticks, b->records[i].ticks);
	}
	free(pos);
	free(sent);
	return rc;
}

/* ---------------------------------------------------------------- one round */

static void achieved(struct kbp_bench *b, struct kbp_result_run *run)
{
	const struct kbp_round_shared *sh = b->sh;
	const char *mode = mode_name(sh->queue.mode);

	if (run->mode[0] && strcmp(run->mode, mode) != 0)
		kbp_finding_add(b->res, false, "mode_changed", run->backend,
				"achieved %s in one round and %s in another: not one measurement",
				run->mode, mode);
	snprintf(run->mode, sizeof(run->mode), "%s", mode);
	snprintf(run->requested, sizeof(run->requested), "%s", mode_name(sh->port.requested));
	snprintf(run->proof, sizeof(run->proof), "%s", proof_name(sh->queue.proof));
	snprintf(run->note, sizeof(run->note), "%s",
		 sh->port.note[0] ? sh->port.note : sh->queue.note);
	if (sh->queue.accelerated == KBP_YES && !run->n_rounds)
		kbp_finding_add(
			b->res, true, "accelerated", run->backend,
			"another stack (Onload) sits under these sockets: this is not the kernel's path");
	run->emulated = sh->port.emulated;
	run->virtual_device = sh->port.virtual_device;
	run->queues = sh->n_queues;
	run->rcvbuf_bytes = sh->queue.rcvbuf_bytes;
}

int kbp_bench_add_round(struct kbp_bench *b, uint32_t backend, uint32_t position,
			struct kbp_error *err)
{
	struct kbp_result_run *run = &b->res->run[backend];
	struct kbp_run_work *w = &b->work[backend];
	const struct kbp_round_shared *sh = b->sh;
	struct kbp_result_round *d;
	struct kbp_match_count count;
	size_t before = w->n_samples;

	if (!kbp_bench_tell(b, "matching"))
		return kbp_fail(err, -ECANCELED, "bench", "stopped on request; nothing was written");
	if (samples_add(b, w, &count))
		return kbp_fail(err, -ENOMEM, "match the frames of a round",
				"memory is out: take more and shorter rounds");
	achieved(b, run);
	d = &run->round[run->n_rounds++];
	d->position = position;
	d->sent = sh->tx.sent;
	d->delivered = sh->n_records + sh->overflow - count.foreign;
	d->late = sh->tx.late;
	d->ambiguous = count.ambiguous;
	d->first_sample = before;
	d->samples = w->n_samples - before;
	d->warmup = d->samples / 10 < KBP_BENCH_WARMUP_MAX ? d->samples / 10 : KBP_BENCH_WARMUP_MAX;
	run->scheduled += b->slice.s.n_total;
	run->sent += d->sent;
	run->send_errors += sh->tx.send_errors;
	run->late += d->late;
	run->delivered += d->delivered;
	run->foreign += sh->foreign + count.foreign;
	run->out_of_order += count.out_of_order;
	run->ambiguous += count.ambiguous;
	for (uint32_t i = 0; i < sh->n_drops; i++)
		kbp_named_add(run->drop, &run->n_drops, sh->drop[i].name, sh->drop[i].value);
	for (uint32_t i = 0; i < sh->n_causes; i++)
		kbp_named_add(run->cause, &run->n_causes, sh->cause[i].name, sh->cause[i].value);
	kbp_account_sender(run, sh->tx_dropped, sh->tx.retries + sh->tx.send_errors);
	if (sh->drain_cut)
		kbp_finding_add(b->res, false, "drain_cut", run->backend,
				"round %u: frames still came 30 s after the last was sent",
				run->n_rounds);
	if (sh->overflow)
		kbp_finding_add(
			b->res, false, "records_full", run->backend,
			"round %u: %llu frames more came than were sent and recorded: counted, not timed",
			run->n_rounds, (unsigned long long)sh->overflow);
	if (!sh->rx_locked && run->n_rounds == 1)
		kbp_finding_add(
			b->res, true, "memory_not_locked", run->backend,
			"locking memory is not allowed here (ulimit -l, CAP_IPC_LOCK): page faults may show");
	return 0;
}

/* ---------------------------------------------------------------- the end */

static int samples_write(const struct kbp_bench *b, struct kbp_result_run *run,
			 const struct kbp_run_work *w, struct kbp_error *err)
{
	char path[PATH_MAX];

	if (!b->o.out_dir)
		return 0;
	snprintf(run->samples_file, sizeof(run->samples_file), "samples/%s.u32", run->backend);
	if (snprintf(path, sizeof(path), "%s/%s", b->o.out_dir, run->samples_file) >=
	    (int)sizeof(path))
		return kbp_fail(err, -ENAMETOOLONG, "write the samples", "give a shorter path");
	return kbp_file_write(path, w->samples, w->n_samples * sizeof(*w->samples), err);
}

/* Quantiles of all rounds, each without its warm-up. The samples are compacted in place: they are
 * on disk. */
static void quantiles(struct kbp_result_run *run, struct kbp_run_work *w)
{
	size_t n = 0;

	for (uint32_t i = 0; i < run->n_rounds; i++) {
		const struct kbp_result_round *d = &run->round[i];
		size_t from = d->first_sample + d->warmup, len = d->samples - d->warmup;

		if (len)
			memmove(w->samples + n, w->samples + from, len * sizeof(*w->samples));
		n += len;
	}
	kbp_latency_of(w->samples, n, &run->latency);
}

static void findings(struct kbp_results *res, const struct kbp_result_run *r)
{
	if (r->unattributed)
		kbp_finding_add(res, false, "unattributed", r->backend,
				"%llu of %llu frames are lost and no counter says where",
				(unsigned long long)r->unattributed, (unsigned long long)r->sent);
	if (r->over_attributed)
		kbp_finding_add(res, false, "over_attributed", r->backend,
				"the counters name %llu frames more than were lost: other traffic on the interface, or "
				"counters that overlap",
				(unsigned long long)r->over_attributed);
	if (r->delivered == r->sent && strcmp(r->digest, r->digest_expected) != 0)
		kbp_finding_add(
			res, false, "digest_differs", r->backend,
			"as many frames as were sent, but not the same bytes in the same order");
	if (r->foreign)
		kbp_finding_add(
			res, false, "foreign", r->backend,
			"%llu frames came that this bench did not send: somebody else uses these groups here",
			(unsigned long long)r->foreign);
	if (r->out_of_order)
		kbp_finding_add(res, false, "out_of_order", r->backend,
				"%llu frames came out of order or twice",
				(unsigned long long)r->out_of_order);
	if (!r->sent)
		kbp_finding_add(res, false, "nothing_sent", r->backend,
				"the sender's device took no frame");
	else if (!r->delivered)
		kbp_finding_add(
			res, false, "nothing_delivered", r->backend,
			"not one frame arrived: check the wire, rp_filter and firewalls of the receiver");
	if (r->delivered < r->sent && r->delivered)
		kbp_finding_add(res, true, "loss", r->backend, "%.3g %% of the frames were lost",
				100.0 * (double)(r->sent - r->delivered) / (double)r->sent);
	if (r->late > r->sent / 100)
		kbp_finding_add(
			res, true, "late", r->backend,
			"%.3g %% of the frames were sent over %u us late, which counts as latency: the sender "
			"cannot keep this rate here",
			100.0 * (double)r->late / (double)r->sent, KBP_SENDER_LATE_NS / 1000);
	if (r->latency.saturated)
		kbp_finding_add(res, true, "saturated", r->backend,
				"%llu samples of 4.29 s or more count as 4.29 s",
				(unsigned long long)r->latency.saturated);
}

int kbp_bench_finish(struct kbp_bench *b, struct kbp_error *err)
{
	uint32_t kept = 0;
	int rc = 0;

	kbp_bench_tell(b, "sorting");
	if (b->o.out_dir)
		kbp_results_dir_clear(b->o.out_dir);
	for (uint32_t i = 0; i < b->n_backends; i++) {
		struct kbp_result_run *run = &b->res->run[i];

		if (!b->work[i].skipped) {
			kbp_digest_hex(b->work[i].got, run->digest);
			kbp_digest_hex(b->work[i].sent, run->digest_expected);
			kbp_account_close(run);
			rc = rc ? rc : samples_write(b, run, &b->work[i], err);
			quantiles(run, &b->work[i]);
			findings(b->res, run);
			if (kept != i)
				b->res->run[kept] = *run;
			kept++;
		} else {
			free(run->round);
		}
	}
	b->res->n_runs = kept;
	return rc;
}
