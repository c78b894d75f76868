/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fingerprint.c - what a result depends on besides the backend: the host, and how the bench was
 * run. A fact that could not be read says so, and why; none is guessed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "tools/measure/host.h"

static const char *tristate(enum kbp_tristate t)
{
	return t == KBP_YES ? "yes" : t == KBP_NO ? "no" : "unknown";
}

void kbp_host_fingerprint(struct kbp_results *res, int cpu_rx, int cpu_tx, const struct kbp_tsc *tsc)
{
	struct kbp_fact **f = &res->fingerprint;
	uint32_t *n = &res->n_fingerprint;
	struct utsname u;
	struct kbp_host here;

	kbp_fact_text(f, n, "kbypass", "%s", kbp_version());
	kbp_fact_text(f, n, "commit", "%s", kbp_commit());
	if (!uname(&u)) {
		kbp_fact_text(f, n, "kernel", "%s %s", u.sysname, u.release);
		kbp_fact_text(f, n, "kernel_build", "%s", u.version);
		kbp_fact_text(f, n, "machine", "%s", u.machine);
	}
	kbp_fact_text(f, n, "compiler", "%s", __VERSION__);
	kbp_host_here(&here);
	kbp_host_facts(res, &here, cpu_rx, cpu_tx);
	kbp_fact_literal(f, n, "tsc_hz", "%llu", (unsigned long long)tsc->hz);
	kbp_fact_literal(f, n, "tsc_error_ppm", "%.4f", tsc->hz_error_ppm);
	kbp_fact_literal(f, n, "tsc_quantum_ns", "%.3f", tsc->quantum_ns);
	kbp_fact_text(f, n, "tsc_constant", "%s", tristate(tsc->constant));
	kbp_fact_text(f, n, "tsc_nonstop", "%s", tristate(tsc->nonstop));
}

void kbp_bench_fingerprint(struct kbp_bench *b)
{
	struct kbp_fact **f = &b->res->fingerprint;
	uint32_t *n = &b->res->n_fingerprint;

	kbp_host_fingerprint(b->res, b->cpu_rx, b->cpu_tx, &b->tsc);
	kbp_fact_literal(f, n, "tsc_offset_ns", "%.3f",
			 (double)b->skew.ticks * 1e9 / (double)b->tsc.hz);
	kbp_fact_literal(f, n, "tsc_offset_bound_ns", "%.3f",
			 (double)b->skew.bound_ticks * 1e9 / (double)b->tsc.hz);
	kbp_fact_text(f, n, "driver", "%s", b->sh->port.driver);
	kbp_fact_literal(f, n, "mtu", "%u", b->sh->port.mtu);
	kbp_fact_literal(f, n, "rx_channels", "%u", b->sh->port.rx_channels);
}

/* What the capture held, and what was done to it so that it fits this wire. */
static void capture_facts(struct kbp_bench *b)
{
	const struct kbp_capture_report *c = &b->capture;
	const struct {
		const char *name;
		uint64_t value;
	} facts[] = {
		{ "capture_records", c->records },
		{ "capture_frames", c->frames },
		{ "capture_mended", c->mended },
		{ "capture_trailers", c->trailers },
		{ "capture_readdressed", c->readdressed },
		{ "capture_tagged", c->tagged },
		{ "capture_skipped_not_ip", c->skipped_not_ip },
		{ "capture_skipped_not_udp", c->skipped_not_udp },
		{ "capture_skipped_fragment", c->skipped_fragment },
		{ "capture_skipped_truncated", c->skipped_truncated },
		{ "capture_skipped_malformed", c->skipped_malformed },
		{ "capture_out_of_order", c->out_of_order },
		{ "capture_gap_max_ns", c->gap_max_ns },
		{ "capture_damaged_record", c->damage.record },
		{ "capture_damaged_byte", c->damage.offset },
	};

	for (size_t i = 0; i < KBP_ARRAY_SIZE(facts); i++)
		kbp_fact_literal(&b->res->setup, &b->res->n_setup, facts[i].name, "%llu",
				 (unsigned long long)facts[i].value);
}

/* Frames a second that the schedule comes to. */
static double actual_rate(const struct kbp_schedule *s)
{
	uint64_t last;

	kbp_schedule_at(s, s->n_total - 1, &last);
	return last ? (double)(s->n_total - 1) * 1e9 / (double)last : 0;
}

/* "1000,10000" */
static void rates_fact(struct kbp_bench *b)
{
	char list[24 * KBP_BENCH_RATES_MAX] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < b->n_rates; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%llu", i ? "," : "",
				       (unsigned long long)b->rate[i].pps);
	kbp_fact_text(&b->res->setup, &b->res->n_setup, "rates", "%s", list);
}

static void burst_facts(struct kbp_bench *b)
{
	struct kbp_fact **f = &b->res->setup;
	uint32_t *n = &b->res->n_setup;
	struct kbp_bursts k;

	kbp_schedule_bursts(b->whole, b->o.burst_gap_ns, &k);
	kbp_fact_literal(f, n, "burst_gap_ns", "%llu", (unsigned long long)k.gap_ns);
	kbp_fact_literal(f, n, "bursts", "%llu", (unsigned long long)k.bursts);
	kbp_fact_literal(f, n, "burst_longest", "%llu", (unsigned long long)k.longest);
	kbp_fact_literal(f, n, "burst_within_10us", "%llu", (unsigned long long)k.within_10us);
}

/* For each backend, at all rates; 0: a closed loop, nobody knows. */
static uint64_t frames_planned(const struct kbp_bench *b)
{
	uint64_t frames = 0;

	for (uint32_t i = 0; i < b->n_rates && !b->o.rtt; i++)
		frames += b->rate[i].whole->n_total;
	return frames;
}

void kbp_bench_setup(struct kbp_bench *b)
{
	static const char *const timing[] = { "recorded", "constant", "poisson", "bursts" };
	const struct kbp_bench_opts *o = &b->o;
	struct kbp_fact **f = &b->res->setup;
	uint32_t *n = &b->res->n_setup;

	kbp_fact_literal(f, n, "lab", b->lab ? "true" : "false");
	kbp_fact_text(f, n, "rx_interface", "%s", b->lab ? "veth" : b->net.host[KBP_LAB_RX].ifname);
	kbp_fact_text(f, n, "tx_interface", "%s", b->lab ? "veth" : b->net.host[KBP_LAB_TX].ifname);
	kbp_fact_text(f, n, "kind", "%s", o->rtt ? "rtt" : "one_way");
	kbp_fact_text(f, n, "source", "%s",
		      o->rtt	 ? "closed_loop" :
		      o->capture ? "capture" :
				   "generator");
	if (o->capture)
		kbp_fact_text(f, n, "capture", "%s", o->capture);
	else if (!o->rtt)
		kbp_fact_text(f, n, "feed", "%s", o->feed ? o->feed : kbp_generator_profile(0)->name);
	kbp_fact_text(f, n, "timing", "%s", o->rtt ? "closed_loop" : timing[o->timing]);
	kbp_fact_literal(f, n, "rate_pps", "%llu", (unsigned long long)o->rate_pps);
	if (o->n_rates)
		rates_fact(b);
	else if (!o->rtt)
		kbp_fact_literal(f, n, "actual_pps", "%.9g", actual_rate(b->whole));
	if (o->timing == KBP_TIMING_BURSTS)
		burst_facts(b);
	kbp_fact_literal(f, n, "memory_bytes", "%llu", (unsigned long long)b->memory_bytes);
	kbp_fact_literal(f, n, "speed", "%.9g", o->speed > 0 ? o->speed : 1.0);
	kbp_fact_literal(f, n, "seconds", "%.9g", o->seconds);
	kbp_fact_literal(f, n, "over_seconds", "%.9g", o->over_seconds);
	kbp_fact_literal(f, n, "rounds", "%u", o->rounds);
	kbp_fact_literal(f, n, "frames", "%llu", (unsigned long long)frames_planned(b));
	kbp_fact_literal(f, n, "flows", "%u", b->whole->n_flows);
	if (o->rtt)
		kbp_fact_literal(f, n, "rtt_timeout_ns", "%u", KBP_BENCH_RTT_TIMEOUT_NS);
	kbp_fact_literal(f, n, "frame_bytes", "%u", o->frame_bytes);
	kbp_fact_literal(f, n, "seed", "%llu", (unsigned long long)o->seed);
	kbp_fact_literal(f, n, "rx_burst", "%u", o->rx_burst);
	kbp_fact_literal(f, n, "rx_ring", "%u", o->rx_ring);
	kbp_fact_literal(f, n, "rcvbuf_bytes", "%u", o->rcvbuf_bytes);
	kbp_fact_literal(f, n, "cpu_rx", "%d", b->cpu_rx);
	kbp_fact_literal(f, n, "cpu_tx", "%d", b->cpu_tx);
	kbp_fact_literal(f, n, "fifo_rx", b->sh->rx_fifo ? "true" : "false");
	kbp_fact_literal(f, n, "fifo_tx", b->sh->tx_fifo ? "true" : "false");
	kbp_fact_literal(f, n, "stamps", o->stamps ? "true" : "false");
	kbp_fact_literal(f, n, "handler_delay_ns", "%llu", (unsigned long long)o->handler_delay_ns);
	kbp_fact_literal(f, n, "memory_locked_rx", b->sh->rx_locked ? "true" : "false");
	kbp_fact_literal(f, n, "memory_locked_tx", b->sh->tx_locked ? "true" : "false");
	kbp_fact_literal(f, n, "warmup_frames", "%u", KBP_BENCH_WARMUP_FRAMES);
	kbp_fact_literal(f, n, "warmup_ns", "%u", KBP_BENCH_WARMUP_NS);
	kbp_fact_literal(f, n, "late_after_ns", "%u", KBP_SENDER_LATE_NS);
	if (o->capture)
		capture_facts(b);
}
