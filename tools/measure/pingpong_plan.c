/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pingpong_plan.c - a closed loop before and after: what it does not go with, how much it keeps, what it found.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>

#include "tools/measure/parts.h"
#include "tools/measure/pingpong.h"
#include "tools/traffic/schedule.h"

#define RTT_LEAST_NS \
	1000u /* bounds what is kept; if loops close sooner, the round ends sooner (an X4: 1180 ns) */
#define ROOM_SPARE 16u

int kbp_pingpong_check(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_bench_opts *o = &b->o;
	const struct {
		const char *name;
		bool given;
	} none[] = {
		{ "capture", o->capture != NULL },
		{ "feed", o->feed != NULL },
		{ "flows", o->flows != 0 },
		{ "seed", o->seed != 0 },
		{ "speed", o->speed > 0 },
		{ "Poisson timing", o->timing == KBP_TIMING_POISSON },
		{ "bursts", o->timing == KBP_TIMING_BURSTS || o->burst_gap_ns },
		{ "rx_burst", o->rx_burst != 0 },
		{ "a handler delay", o->handler_delay_ns != 0 },
		{ "receive stamps", o->stamps },
		{ "explain", o->explain },
	};

	for (size_t i = 0; i < KBP_ARRAY_SIZE(none); i++)
		if (none[i].given)
			return kbp_fail(
				err, -EINVAL, "read the options",
				"rtt and %s: a closed loop has one datagram at a time, of its own; leave one of them out",
				none[i].name);
	if (!o->frame_bytes)
		o->frame_bytes = KBP_PING_BYTES_MIN;
	if (o->frame_bytes < KBP_PING_BYTES_MIN || o->frame_bytes > KBP_PING_BYTES_MAX)
		return kbp_fail(err, -EINVAL, "read the options",
				"rtt with frames of %u bytes: give %u to %u", o->frame_bytes,
				KBP_PING_BYTES_MIN, KBP_PING_BYTES_MAX);
	return 0;
}

/* Both ends have to be hosts of their own, with addresses. */
static int hosts_check(const struct kbp_bench *b, struct kbp_error *err)
{
	const char *step = "plan a closed loop";

	for (int side = 0; side < 2; side++)
		if (b->net.host[side].ip4.family != AF_INET)
			return kbp_fail(err, -EADDRNOTAVAIL, step,
					"%s has no IPv4 address, to which the other end could send: "
					"`ip addr add ADDRESS/LEN dev %s`",
					b->net.host[side].ifname, b->net.host[side].ifname);
	if (b->loopback && strcmp(b->net.host[0].ifname, "lo") != 0)
		return kbp_fail(
			err, -EINVAL, step,
			"both ends are in one network namespace, whose kernel sends nothing to itself over a wire: "
			"put one of them into another and name it with --rx-netns or --tx-netns");
	return 0;
}

int kbp_pingpong_schedule(struct kbp_bench *b, struct kbp_error *err)
{
	const struct kbp_lab_host *to = &b->net.host[KBP_LAB_RX];
	const struct kbp_timing t = { .kind = KBP_TIMING_CONSTANT, .rate_pps = 1, .frames = 1 };
	uint8_t frame[KBP_PING_BYTES_MAX] = { 0 };
	struct kbp_builder builder = { 0 };
	int rc = hosts_check(b, err), flow;

	if (rc)
		return rc;
	flow = kbp_builder_flow(&builder, &to->ip4, 1, 0);
	rc = flow < 0 ? flow :
			kbp_builder_add(&builder, frame, b->o.frame_bytes, KBP_PING_HEADERS,
					b->o.frame_bytes - KBP_PING_HEADERS, 0, 0);
	if (!rc)
		return kbp_builder_finish(&builder, &t, &b->whole, err);
	kbp_builder_free(&builder);
	return kbp_fail(err, rc, "plan a closed loop", "memory is out");
}

uint64_t kbp_pingpong_room(const struct kbp_bench *b, uint64_t rate_pps)
{
	double round_s = b->o.seconds / b->o.rounds, most = round_s * 1e9 / RTT_LEAST_NS;
	uint64_t room;

	if (rate_pps && round_s * (double)rate_pps < most)
		most = round_s * (double)rate_pps;
	room = most < KBP_BENCH_ROUND_MAX ? (uint64_t)ceil(most) + ROOM_SPARE : KBP_BENCH_ROUND_MAX;
	return room;
}

/* ---------------------------------------------------------------- one round */

static uint32_t ticks_ns(const struct kbp_tsc *tsc, uint32_t ticks)
{
	uint64_t ns = kbp_tsc_ns(tsc, ticks);

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int samples_add(const struct kbp_bench *b, struct kbp_run_work *w)
{
	uint64_t n = b->sh->rtt.n_pings;

	if (kbp_samples_room(&w->latency, n) || kbp_samples_room(&w->tx, n))
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		w->latency.ns[w->latency.n++] = ticks_ns(&b->tsc, b->pings[i].rtt_ticks);
		w->tx.ns[w->tx.n++] = ticks_ns(&b->tsc, b->pings[i].tx_ticks);
	}
	return 0;
}

static void counts_add(struct kbp_result_run *run, const struct kbp_result_round *d,
		       const struct kbp_round_shared *sh)
{
	const struct kbp_pingpong_shared *r = &sh->rtt;

	run->scheduled += d->sent + sh->tx.send_errors;
	run->sent += d->sent;
	run->send_errors += sh->tx.send_errors;
	run->delivered += d->delivered;
	run->foreign += sh->foreign + r->foreign;
	run->out_of_order += r->twice;
	kbp_named_add(run->drop, &run->n_drops, "rtt_timeout", r->timeouts);
	kbp_named_add(run->cause, &run->n_causes, "rtt_late_answer", r->late);
	for (uint32_t i = 0; i < sh->n_causes; i++)
		kbp_named_add(run->cause, &run->n_causes, sh->cause[i].name, sh->cause[i].value);
	for (uint32_t i = 0; i < r->n_causes; i++)
		kbp_named_add(run->cause, &run->n_causes, r->cause[i].name, r->cause[i].value);
}

int kbp_pingpong_add_round(struct kbp_bench *b, uint32_t subject, uint32_t position,
			   struct kbp_error *err)
{
	struct kbp_result_run *run = &b->res->run[subject];
	const struct kbp_round_shared *sh = b->sh;
	struct kbp_result_round *d = &run->round[run->n_rounds];
	uint32_t findings = b->res->n_findings;

	d->first_sample = b->work[subject].latency.n;
	if (samples_add(b, &b->work[subject]))
		return kbp_fail(err, -ENOMEM, "keep the samples of a round",
				"memory is out: take fewer seconds");
	kbp_bench_achieved(b, run);
	if (sh->rtt.queue.mode != sh->queue.mode)
		kbp_finding_add(b->res, false, "mode_changed", run->backend,
				"round %u: the two ends achieved different modes: not one measurement",
				run->n_rounds + 1);
	run->n_rounds++;
	d->position = position;
	d->sent = sh->tx.sent;
	d->delivered = d->samples = sh->rtt.n_pings;
	d->warmup = kbp_bench_warmup(d->samples, sh->rtt.early);
	counts_add(run, d, sh);
	kbp_bench_round_findings(b, run);
	kbp_sweep_findings(b->res, findings, run);
	return 0;
}
