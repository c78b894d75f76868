/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.c - what the reader of the results has to know. A finding makes the exit status 1, a
 * note does not; doc/RESULTS.md lists the codes.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/measure/parts.h"

#define AMBIGUOUS_SHARE 1000u /* frames not timed: more than one in so many is a finding */
#define LOSS_SHARE 100u	      /* lost frames: more than one in so many */
#define LATE_SHARE 100u	      /* sent late: more than one in so many is a note */
#define GAP_NS 1000000000u    /* a longer silence in a capture is pointed out */
#define LABS_MAX 256u

/* ---------------------------------------------------------------- the capture */

/* With the capture's own timing a jump of its clock, or a night without traffic, is played too. */
static void gap_note(struct kbp_bench *b)
{
	const struct kbp_capture_report *c = &b->capture;
	const struct kbp_schedule *s = b->whole;

	if (b->o.timing != KBP_TIMING_RECORDED ||
	    (c->gap_max_ns <= GAP_NS && s->n_total >= c->frames))
		return;
	kbp_finding_add(
		b->res, true, "capture_gap", "",
		"%llu of its %llu frames are due within %g s; the longest time between two is %.3f s, before "
		"record %llu at byte %llu: more --seconds, --rate, --timing scaled:FACTOR or constant show more",
		(unsigned long long)(s->n_total < c->frames ? s->n_total : c->frames),
		(unsigned long long)c->frames, b->o.seconds, (double)c->gap_max_ns / 1e9,
		(unsigned long long)c->gap_max.record, (unsigned long long)c->gap_max.offset);
}

void kbp_bench_capture_findings(struct kbp_bench *b)
{
	const struct kbp_capture_report *c = &b->capture;

	if (!b->o.capture)
		return;
	if (c->damage_text[0])
		kbp_finding_add(
			b->res, true, "capture_damaged", "",
			"record %llu at byte %llu: %.150s; the %llu frames before it are replayed",
			(unsigned long long)c->damage.record, (unsigned long long)c->damage.offset,
			c->damage_text, (unsigned long long)c->frames);
	if (c->out_of_order)
		kbp_finding_add(
			b->res, true, "capture_out_of_order", "",
			"%llu records are stamped before their predecessor, by up to %llu ns, first record %llu at byte %llu",
			(unsigned long long)c->out_of_order, (unsigned long long)c->backwards_max_ns,
			(unsigned long long)c->first_out_of_order.record,
			(unsigned long long)c->first_out_of_order.offset);
	if (c->records > c->frames)
		kbp_finding_add(
			b->res, true, "capture_skipped", "",
			"%llu of %llu records are no whole UDP datagram and are left out: %llu not IP, %llu not UDP, "
			"%llu fragments, %llu cut short, %llu malformed",
			(unsigned long long)(c->records - c->frames), (unsigned long long)c->records,
			(unsigned long long)c->skipped_not_ip, (unsigned long long)c->skipped_not_udp,
			(unsigned long long)c->skipped_fragment,
			(unsigned long long)c->skipped_truncated,
			(unsigned long long)c->skipped_malformed);
	gap_note(b);
}

/* ---------------------------------------------------------------- the host */

/* Another bench on the same CPUs spins against this one. */
static void neighbours_note(struct kbp_bench *b)
{
	static struct kbp_lab_entry list[LABS_MAX];
	int n = kbp_lab_list(list, LABS_MAX);

	for (int i = 0; i < n && i < (int)LABS_MAX; i++) {
		if (list[i].leftover || !list[i].owner_pid || list[i].owner_pid == getpid())
			continue;
		kbp_finding_add(
			b->res, true, "not_alone", "",
			"process %d has a lab too (%s): if it measures, both disturb each other; run one after the other",
			list[i].owner_pid, list[i].prefix);
		return;
	}
}

void kbp_bench_host_findings(struct kbp_bench *b)
{
	int64_t ticks = b->skew.ticks < 0 ? -b->skew.ticks : b->skew.ticks;

	if ((uint64_t)ticks > b->skew.bound_ticks)
		kbp_finding_add(
			b->res, false, "clock_offset", "",
			"the counters of CPU %d and %d are %.1f ns apart, which is in every latency",
			b->cpu_tx, b->cpu_rx, (double)ticks * 1e9 / (double)b->tsc.hz);
	if (b->tsc.constant == KBP_NO || b->tsc.nonstop == KBP_NO)
		kbp_finding_add(b->res, false, "clock_unsteady", "",
				"the cycle counter %s: latencies drift with the CPU's state",
				b->tsc.constant == KBP_NO ? "changes its rate" :
							    "stops in deep idle states");
	neighbours_note(b);
}

/* ---------------------------------------------------------------- one round */

void kbp_bench_round_findings(struct kbp_bench *b, const struct kbp_result_run *run)
{
	const struct kbp_round_shared *sh = b->sh;

	if (sh->drain_cut)
		kbp_finding_add(b->res, false, "drain_cut", run->backend,
				"round %u: frames still came 30 s after the last was sent",
				run->n_rounds);
	if (sh->overflow)
		kbp_finding_add(
			b->res, false, "records_full", run->backend,
			"round %u: %llu frames more came than were sent and recorded: counted, not timed",
			run->n_rounds, (unsigned long long)sh->overflow);
	if (run->n_rounds != 1)
		return;
	if (sh->queue.accelerated == KBP_YES)
		kbp_finding_add(
			b->res, true, "accelerated", run->backend,
			"another stack (Onload) sits under these sockets: this is not the kernel's path");
	if (!sh->rx_locked || !sh->tx_locked)
		kbp_finding_add(b->res, true, "memory_not_locked", run->backend,
				"locking the memory of the %s is not allowed here (ulimit -l, CAP_IPC_LOCK): page "
				"faults may show",
				sh->rx_locked ? "sender" :
				sh->tx_locked ? "receiver" :
						"receiver and the sender");
}

/* ---------------------------------------------------------------- one backend */

static void account_findings(struct kbp_bench *b, const struct kbp_result_run *r, int send_errno)
{
	struct kbp_results *res = b->res;

	if (r->send_errors)
		kbp_finding_add(
			res, false, "send_refused", r->backend,
			"the sender's device refused %llu of %llu frames (%s): they were never on the wire",
			(unsigned long long)r->send_errors, (unsigned long long)r->scheduled,
			send_errno ? strerror(send_errno) : "no reason given");
	if (r->unattributed)
		kbp_finding_add(res, false, "unattributed", r->backend,
				"%llu of %llu frames are lost and no counter says where",
				(unsigned long long)r->unattributed, (unsigned long long)r->sent);
	if (r->over_attributed)
		kbp_finding_add(res, false, "over_attributed", r->backend,
				"the counters name %llu frames more than were lost: other traffic on the interface, or "
				"counters that overlap",
				(unsigned long long)r->over_attributed);
	if (!r->sent)
		kbp_finding_add(res, false, "nothing_sent", r->backend,
				"the sender's device took no frame");
	else if (!r->delivered)
		kbp_finding_add(
			res, false, "nothing_delivered", r->backend,
			"not one frame arrived: check the wire, rp_filter and firewalls of the receiver");
	else if (r->delivered < r->sent) /* with a planted delay, loss is what was asked for */
		kbp_finding_add(
			res, b->o.handler_delay_ns || r->sent - r->delivered <= r->sent / LOSS_SHARE,
			"loss", r->backend, "%.3g %% of the frames were lost",
			100.0 * (double)(r->sent - r->delivered) / (double)r->sent);
}

static void content_findings(struct kbp_results *res, const struct kbp_result_run *r)
{
	if (r->delivered == r->sent && strcmp(r->digest, r->digest_expected) != 0)
		kbp_finding_add(
			res, false, "digest_differs", r->backend,
			"as many frames as were sent, but not the same bytes in the same order");
	if (r->foreign)
		kbp_finding_add(res, false, "foreign", r->backend,
				"%llu frames came with an unknown or altered payload: somebody else uses these groups "
				"here, or something on the way damages frames",
				(unsigned long long)r->foreign);
	if (r->out_of_order)
		kbp_finding_add(res, false, "out_of_order", r->backend,
				"%llu frames came out of order or twice",
				(unsigned long long)r->out_of_order);
	if (r->ambiguous > r->delivered / AMBIGUOUS_SHARE)
		kbp_finding_add(res, false, "ambiguous", r->backend,
				"%llu of %llu delivered frames are not timed: equal payloads around a loss; the quantiles "
				"speak of the others only",
				(unsigned long long)r->ambiguous, (unsigned long long)r->delivered);
}

/* kbp_stamped_round has said what was wrong with single rounds. */
void kbp_bench_stamp_findings(struct kbp_bench *b, const struct kbp_result_run *r)
{
	const struct kbp_result_stamps *s = &r->stamps;

	if (s->impossible)
		kbp_finding_add(b->res, false, "stamp_impossible", r->backend,
				"%llu stamps lie before their frame was due or after the program had it, by more than "
				"the clocks' error: they are not used, and the others are in doubt",
				(unsigned long long)s->impossible);
	if (s->source[0] && s->unstamped)
		kbp_finding_add(
			b->res, true, "unstamped", r->backend,
			"%llu frames have no proven stamp that can be converted, and no rx_path",
			(unsigned long long)s->unstamped);
	if (s->rx_path.samples && s->error_ns > s->rx_path.p50_ns)
		kbp_finding_add(b->res, true, "coarse_stamps", r->backend,
				"stamps are converted within %llu ns, which is more than the median rx_path: it "
				"says little",
				(unsigned long long)s->error_ns);
}

void kbp_bench_run_findings(struct kbp_bench *b, const struct kbp_result_run *r, int send_errno)
{
	struct kbp_results *res = b->res;

	account_findings(b, r, send_errno);
	content_findings(res, r);
	if (r->late > r->sent / LATE_SHARE)
		kbp_finding_add(
			res, true, "late", r->backend,
			"%.3g %% of the frames were sent over %u us after their time: P99 and gap include "
			"the sender's own lateness",
			100.0 * (double)r->late / (double)r->sent, KBP_SENDER_LATE_NS / 1000);
	if (r->latency.saturated)
		kbp_finding_add(res, true, "saturated", r->backend,
				"%llu samples are 4.29 s or more: how much more is unknown",
				(unsigned long long)r->latency.saturated);
	if (r->clipped)
		kbp_finding_add(
			res, true, "clipped", r->backend,
			"%llu samples are below 0 by the CPUs' counters, and kept as 0: the counters are apart",
			(unsigned long long)r->clipped);
}
