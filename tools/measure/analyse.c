/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * analyse.c - from what one round left in shared memory to an account, a digest and samples; and at
 * the end from all rounds to a result.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/method.h>

#include "tools/measure/explain.h"
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

int kbp_samples_room(struct kbp_samples *s, size_t more)
{
	size_t need = s->n + more;
	uint32_t *p;

	if (need <= s->room)
		return 0;
	p = realloc(s->ns, need * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->ns = p;
	s->room = need;
	return 0;
}

static uint32_t sample_ns(const struct kbp_tsc *tsc, uint64_t from, uint64_t to)
{
	uint64_t ns = to > from ? kbp_tsc_ns(tsc, to - from) : 0;

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* The frames that were sent, as a list of their own. Returns how many, and adds them to the digest
 * and to the sender's lateness. */
static uint32_t sent_list(const struct kbp_bench *b, struct kbp_run_work *w, struct kbp_seen *sent,
			  uint64_t *handed)
{
	const struct kbp_schedule *s = &b->slice.s;
	uint32_t n = 0;

	for (uint64_t i = 0; i < s->n_total; i++) {
		const struct kbp_schedule_frame *f = &s->frames[i];
		uint64_t due = b->sh->tx.start_ticks + kbp_tsc_ticks(&b->tsc, f->at_ns);

		if (!b->sent_ticks[i])
			continue;
		kbp_digest_add(w->sent, f->flow, f->payload_hash, f->payload_len);
		w->lateness.ns[w->lateness.n++] = sample_ns(&b->tsc, due, b->sent_ticks[i]);
		handed[n] = b->sent_ticks[i];
		sent[n++] = (struct kbp_seen){ .ticks = due,
					       .hash = f->payload_hash,
					       .len = f->payload_len,
					       .flow = f->flow };
	}
	return n;
}

struct outcome {
	struct kbp_match_count count;
	uint64_t early;	  /* samples of frames due within the time of warming up */
	uint64_t clipped; /* samples below 0 */
};

/* Identifies the frames and appends their latencies, in the order of arrival. */
static int samples_add(const struct kbp_bench *b, struct kbp_run_work *w,
		       struct kbp_result_stamps *st, struct outcome *o)
{
	const uint64_t offset = (uint64_t)llabs(b->skew.ticks) + b->skew.bound_ticks,
		       warm = b->sh->tx.start_ticks + kbp_tsc_ticks(&b->tsc, KBP_BENCH_WARMUP_NS);
	const uint32_t n_got = (uint32_t)b->sh->n_records;
	struct kbp_seen *sent = calloc(b->slice.s.n_total + 1, sizeof(*sent));
	uint64_t *handed =
		malloc((b->slice.s.n_total + 1) * sizeof(*handed)); /* over to the kernel, when */
	uint32_t *pos = malloc((n_got + 1u) * sizeof(*pos)), n_sent;
	int rc = sent && pos && handed ? kbp_samples_room(&w->latency, n_got) : -ENOMEM;

	memset(o, 0, sizeof(*o));
	if (!rc)
		rc = kbp_samples_room(&w->lateness, b->slice.s.n_total);
	if (!rc && b->o.timing == KBP_TIMING_BURSTS)
		rc = kbp_samples_room(&w->burst_first, n_got);
	if (!rc && b->o.stamps)
		rc = kbp_samples_room(&w->rx_path, n_got);
	if (!rc && b->o.stamps)
		rc = kbp_samples_room(&w->wire, n_got);
	if (!rc) {
		n_sent = sent_list(b, w, sent, handed);
		rc = kbp_match(sent, n_sent, b->records, n_got, b->slice.s.n_flows,
			       offset + kbp_tsc_ticks(&b->tsc, SLACK_NS), pos, &o->count);
	}
	for (uint32_t i = 0; !rc && i < n_got; i++) {
		const struct kbp_seen *got = &b->records[i];
		uint64_t due;

		if (pos[i] != KBP_POS_FOREIGN)
			kbp_digest_add(w->got, got->flow, got->hash, got->len);
		if (pos[i] >= KBP_POS_FOREIGN)
			continue;
		due = sent[pos[i]].ticks;
		o->early += due < warm;
		o->clipped += got->ticks < due;
		if (b->o.timing == KBP_TIMING_BURSTS && kbp_burst_begins(b, sent, pos[i]))
			w->burst_first.ns[w->burst_first.n++] = (uint32_t)w->latency.n;
		w->latency.ns[w->latency.n++] = sample_ns(&b->tsc, due, got->ticks);
		if (b->o.stamps)
			kbp_stamped_add(b, w, st, i, due);
		if (w->tail) {
			struct kbp_way way = { .due = due, .sent = handed[pos[i]], .got = got->ticks };

			rc = kbp_tail_sample(w->tail, &way, w->latency.ns[w->latency.n - 1]);
		}
	}
	free(handed);
	free(pos);
	free(sent);
	return rc;
}

uint64_t kbp_bench_warmup(uint64_t samples, uint64_t early)
{
	uint64_t n = early > KBP_BENCH_WARMUP_FRAMES ? early : KBP_BENCH_WARMUP_FRAMES;

	return n < samples / KBP_BENCH_WARMUP_SHARE ? n : samples / KBP_BENCH_WARMUP_SHARE;
}

/* ---------------------------------------------------------------- one round */

void kbp_bench_achieved(struct kbp_bench *b, struct kbp_result_run *run)
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
	run->emulated = sh->port.emulated;
	run->virtual_device = sh->port.virtual_device;
	run->queues = sh->n_queues;
	run->rcvbuf_bytes = sh->queue.rcvbuf_bytes;
	run->rx_ring = sh->queue.rx_ring;
	run->planted_ns += (sh->planted_ns - run->planted_ns) /
			   (run->n_rounds + 1); /* the mean of all rounds */
}

static void round_add(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w,
		      const struct kbp_result_round *d, const struct outcome *o)
{
	const struct kbp_round_shared *sh = b->sh;

	run->scheduled += b->slice.s.n_total;
	run->sent += d->sent;
	run->send_errors += sh->tx.send_errors;
	run->late += d->late;
	run->delivered += d->delivered;
	run->foreign += sh->foreign + o->count.foreign;
	run->out_of_order += o->count.out_of_order;
	run->ambiguous += o->count.ambiguous;
	run->clipped += o->clipped;
	w->send_errno = w->send_errno ? w->send_errno : sh->tx.first_errno;
	for (uint32_t i = 0; i < sh->n_drops; i++)
		kbp_named_add(run->drop, &run->n_drops, sh->drop[i].name, sh->drop[i].value);
	for (uint32_t i = 0; i < sh->n_causes; i++)
		kbp_named_add(run->cause, &run->n_causes, sh->cause[i].name, sh->cause[i].value);
	kbp_account_sender(run, sh->tx_dropped, sh->tx.retries + sh->tx.send_errors);
}

int kbp_bench_add_round(struct kbp_bench *b, uint32_t subject, uint32_t position,
			struct kbp_error *err)
{
	struct kbp_result_run *run = &b->res->run[subject];
	struct kbp_run_work *w = &b->work[subject];
	const struct kbp_round_shared *sh = b->sh;
	struct kbp_result_round *d = &run->round[run->n_rounds];
	struct outcome o;
	size_t before = w->latency.n;
	int rc = kbp_bench_step(b, "matching", err);

	uint32_t findings = b->res->n_findings;

	if (rc)
		return rc;
	if (b->o.rtt)
		return kbp_pingpong_add_round(b, subject, position, err);
	if (b->o.stamps)
		kbp_stamped_round(b, run);
	if (kbp_explain_round(b, subject) || samples_add(b, w, &run->stamps, &o))
		return kbp_fail(err, -ENOMEM, "match the frames of a round",
				"memory is out: take more and shorter rounds");
	kbp_bench_achieved(b, run);
	run->n_rounds++;
	d->position = position;
	d->sent = sh->tx.sent;
	d->delivered = sh->n_records + sh->overflow - o.count.foreign;
	d->late = sh->tx.late;
	d->ambiguous = o.count.ambiguous;
	d->first_sample = before;
	d->samples = w->latency.n - before;
	d->warmup = kbp_bench_warmup(d->samples, o.early);
	if (w->tail)
		kbp_tail_warmup(w->tail, d->warmup);
	round_add(b, run, w, d, &o);
	kbp_bench_round_findings(b, run);
	kbp_sweep_findings(b->res, findings, run);
	return 0;
}

/* ---------------------------------------------------------------- the end */

int kbp_run_quantiles(const struct kbp_result_run *run, const struct kbp_samples *s, bool gaps,
		      struct kbp_latency *l)
{
	uint32_t *ns =
		malloc((s->n + 1) * sizeof(*ns)); /* sorted, and whoever judges needs the order */
	size_t n = 0, kept = 0;

	if (!ns)
		return -ENOMEM;

	for (uint32_t i = 0; i < run->n_rounds; i++) {
		const struct kbp_result_round *d = &run->round[i];
		size_t from = d->first_sample + d->warmup, len = d->samples - d->warmup;

		if (len)
			memcpy(ns + n, s->ns + from, len * sizeof(*ns));
		n += len;
	}
	for (size_t i = 0; gaps && i < n; i++) {
		if (ns[i] != KBP_SAMPLE_NONE)
			ns[kept++] = ns[i] == KBP_SAMPLE_MOST ? UINT32_MAX : ns[i];
	}
	kbp_latency_of(ns, gaps ? kept : n, l);
	free(ns);
	return 0;
}

static int out_of_memory(struct kbp_error *err)
{
	return kbp_fail(err, -ENOMEM, "sort the samples",
			"memory is out: take fewer seconds or a lower rate");
}

static int run_finish(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w,
		      bool write, struct kbp_error *err)
{
	uint32_t findings = b->res->n_findings;
	int rc = 0;

	if (!b->o.rtt) { /* of which nobody keeps the contents */
		kbp_digest_hex(w->got, run->digest);
		kbp_digest_hex(w->sent, run->digest_expected);
	}
	kbp_account_close(run);
	if (write) {
		kbp_sweep_file(run, NULL, run->samples_file, sizeof(run->samples_file));
		rc = kbp_samples_write(b->o.out_dir, run->samples_file, w->latency.ns, w->latency.n,
				       err);
	}
	if (b->o.stamps && !rc)
		rc = kbp_stamped_finish(b, run, w, write, err);
	else if (b->o.stamps)
		kbp_stamped_finish(b, run, w, false, NULL);
	if (b->o.rtt && write && !rc) {
		kbp_sweep_file(run, "tx", run->tx_file, sizeof(run->tx_file));
		rc = kbp_samples_write(b->o.out_dir, run->tx_file, w->tx.ns, w->tx.n, err);
	}
	if (kbp_run_quantiles(run, &w->latency, false, &run->latency) ||
	    (b->o.rtt && kbp_run_quantiles(run, &w->tx, false, &run->tx)))
		rc = rc ? rc : out_of_memory(err);
	if (w->tail && kbp_explain_finish(b, run, w))
		rc = rc ? rc : out_of_memory(err);
	kbp_latency_of(w->lateness.ns, w->lateness.n, &run->lateness);
	kbp_bench_run_findings(b, run, w->send_errno);
	if (b->o.timing == KBP_TIMING_BURSTS)
		kbp_burst_note(b, run, w);
	if (b->o.stamps)
		kbp_bench_stamp_findings(b, run);
	kbp_sweep_findings(b->res, findings, run);
	return rc;
}

int kbp_bench_finish(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_run_samples samples[KBP_BENCH_SUBJECTS_MAX] = { 0 };
	uint32_t kept = 0;
	int rc = 0;

	kbp_bench_tell(b, "sorting");
	for (uint32_t i = 0; i < b->n_subjects; i++) {
		struct kbp_result_run *run = &b->res->run[i];

		if (b->work[i].skipped) {
			free(run->round);
			continue;
		}
		/* what cannot be written can still be shown */
		if (rc)
			run_finish(b, run, &b->work[i], false, NULL);
		else
			rc = run_finish(b, run, &b->work[i], b->o.out_dir != NULL, err);
		if (kept != i)
			b->res->run[kept] = *run;
		samples[kept].latency = b->work[i].latency.ns;
		samples[kept].rx_path = b->work[i].rx_path.ns;
		samples[kept].tx = b->work[i].tx.ns;
		kept++;
	}
	b->res->n_runs = kept;
	kbp_bench_tell(b, "comparing");
	if (kbp_results_judge(b->res, samples, b->o.resolve_ns) && !rc)
		rc = out_of_memory(err);
	return rc;
}
