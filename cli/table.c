/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - the results of a bench for people: who delivers what, and how soon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"

typedef unsigned long long ull;

static const char *fact(const struct kbp_results *res, const char *name)
{
	const char *v = kbp_results_fact(res, name);

	return v ? v : "unknown";
}

static ull fact_count(const struct kbp_results *res, const char *name)
{
	return strtoull(fact(res, name), NULL, 10);
}

/* "1 round", "5 rounds" */
static const char *plural(ull n)
{
	return n == 1 ? "" : "s";
}

/* "xdp_rx_ring_full 120, ..." */
static void drops_text(const struct kbp_result_run *r, char *buf, size_t size)
{
	size_t at = 0;

	snprintf(buf, size, "none");
	for (uint32_t i = 0; i < r->n_drops && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s %llu", i ? ", " : "",
				       r->drop[i].name, (ull)r->drop[i].value);
}

/* ---------------------------------------------------------------- above the table */

static void print_capture(const struct kbp_results *res)
{
	static const struct {
		const char *fact, *words;
	} done[] = {
		{ "capture_mended", "checksums mended in" },
		{ "capture_readdressed", "readdressed" },
		{ "capture_tagged", "with VLAN tags" },
		{ "capture_trailers", "trailers cut off" },
		{ "capture_out_of_order", "stamped out of order" },
	};

	if (!kbp_results_fact(res, "capture_frames"))
		return;
	printf("capture: %s frames of %s records", fact(res, "capture_frames"),
	       fact(res, "capture_records"));
	for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		if (fact_count(res, done[i].fact))
			printf(", %s %llu", done[i].words, fact_count(res, done[i].fact));
	}
	printf("; longest time between two %.6g s\n",
	       (double)fact_count(res, "capture_gap_max_ns") / 1e9);
}

static bool is_rtt(const struct kbp_results *res)
{
	return !strcmp(fact(res, "kind"), "rtt");
}

/* "50000 a second", "at 100,1000 a second" */
static void print_rates(const struct kbp_results *res)
{
	const char *rates = kbp_results_fact(res, "rates");

	if (rates)
		printf("at %s%s a second", is_rtt(res) ? "most " : "", rates);
	else if (!is_rtt(res))
		printf("%.6g a second", strtod(fact(res, "actual_pps"), NULL));
	else if (fact_count(res, "rate_pps"))
		printf("at most %llu a second", fact_count(res, "rate_pps"));
	else
		printf("as fast as the loop closes");
}

static void print_loop(const struct kbp_results *res)
{
	ull rounds = fact_count(res, "rounds");

	printf("loop:    one frame of %s bytes and its answer, ", fact(res, "frame_bytes"));
	print_rates(res);
	printf(", %s s for each backend%s in %llu round%s; no answer in %llu ms is a loss\n",
	       fact(res, "seconds"), kbp_results_fact(res, "rates") ? " and rate" : "", rounds,
	       plural(rounds), fact_count(res, "rtt_timeout_ns") / 1000000);
}

static void print_bursts(const struct kbp_results *res)
{
	ull bursts = fact_count(res, "bursts");

	if (kbp_results_fact(res, "bursts"))
		printf("bursts:  %llu burst%s, %.6g us or more apart; the longest has %s frames; at most %s within 10 us\n",
		       bursts, plural(bursts), (double)fact_count(res, "burst_gap_ns") / 1e3,
		       fact(res, "burst_longest"), fact(res, "burst_within_10us"));
}

static void print_timing(const struct kbp_results *res)
{
	double speed = strtod(fact(res, "speed"), NULL);
	const char *what = kbp_results_fact(res, "capture");
	ull rounds = fact_count(res, "rounds");

	printf("frames:  %s, ", what ? what : fact(res, "feed"));
	if (speed < 1 || speed > 1)
		printf("scaled:%.6g timing", speed);
	else
		printf("%s timing", fact(res, "timing"));
	printf(", ");
	print_rates(res);
	printf(", %s for each backend in %llu round%s\n", fact(res, "frames"), rounds,
	       plural(rounds));
}

static void print_head(const struct kbp_results *res)
{
	bool fifo = !strcmp(fact(res, "fifo_rx"), "true");

	if (is_rtt(res)) {
		printf("latency: round trip, from before the payload is written to the program holding the pointer of the answer;\n"
		       "         tx: the part until submit has returned; us; gap is P99 - P50\n");
		print_loop(res);
	} else {
		printf("latency: one way, from intended send time to the program holding the pointer; us; gap is P99 - P50\n");
		print_timing(res);
		print_bursts(res);
	}
	print_capture(res);
	printf("clock:   TSC, %.1f MHz, quantum %s ns\n", strtod(fact(res, "tsc_hz"), NULL) / 1e6,
	       fact(res, "tsc_quantum_ns"));
	printf("CPUs:    %s %s, %s %s, %s\n\n", is_rtt(res) ? "echo" : "receiver",
	       fact(res, "cpu_rx"), is_rtt(res) ? "initiator" : "sender", fact(res, "cpu_tx"),
	       !fifo	   ? "normal scheduling" :
	       is_rtt(res) ? "echo SCHED_FIFO" :
			     "receiver SCHED_FIFO");
}

/* ---------------------------------------------------------------- the table */

static double us(uint32_t ns)
{
	return ns / 1e3;
}

/* "12.34"; "-" with too few samples; ">4294967" when it is known from below only. */
static const char *quantile(const struct kbp_latency *l, unsigned permille, uint32_t ns, char buf[24])
{
	if (!kbp_latency_known(l, permille))
		strcpy(buf, "-");
	else if (ns == UINT32_MAX)
		strcpy(buf, ">4294967");
	else
		snprintf(buf, 24, "%.2f", us(ns));
	return buf;
}

static void print_quantiles(const struct kbp_latency *l, const char *interval)
{
	char b[6][24];
	bool gap = kbp_latency_known(l, 990) && l->p99_ns != UINT32_MAX;

	if (gap)
		snprintf(b[5], sizeof(b[5]), "%.2f", us(l->gap_ns));
	printf(" %9s %9s %9s %9s %10s %9s%s\n", quantile(l, 500, l->p50_ns, b[0]),
	       quantile(l, 900, l->p90_ns, b[1]), quantile(l, 990, l->p99_ns, b[2]),
	       quantile(l, 999, l->p999_ns, b[3]), quantile(l, 1000, l->max_ns, b[4]),
	       gap ? b[5] : "-", interval);
}

/* "  1.20 to 1.35"; "  -" when rounds or samples are too few. */
static const char *interval_text(const struct kbp_result_intervals *i, char buf[48])
{
	strcpy(buf, "  -");
	if (i->known)
		snprintf(buf, 48, "  %.2f to %.2f", i->gap.lo / 1e3, i->gap.hi / 1e3);
	return buf;
}

/* Devices of one class: real, virtual or emulated. They are never ranked against each other, and nor are rates. */
struct block {
	const char *title;
	bool virtual_device, emulated;
};

static const struct block blocks[] = {
	{ "real devices", false, false },
	{ "virtual devices (veth, virtio, tap, memory): not to be compared with real ones", true,
	  false },
	{ "emulated (software NIC): not to be compared with devices", false, true },
	{ "emulated (software NIC): not to be compared with devices", true, true },
};

static bool in_block(const struct kbp_result_run *r, const struct block *b, uint64_t rate_pps)
{
	return r->virtual_device == b->virtual_device && r->emulated == b->emulated &&
	       r->rate_pps == rate_pps;
}

static void print_block(const struct kbp_results *res, const struct block *b, uint64_t rate_pps)
{
	int width = 5, name_width = 9, n = 0;
	char drops[1024];

	for (uint32_t i = 0; i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];

		if (!in_block(r, b, rate_pps))
			continue;
		drops_text(r, drops, sizeof(drops));
		width = (int)strlen(drops) > width ? (int)strlen(drops) : width;
		name_width = (int)strlen(r->backend) > name_width ? (int)strlen(r->backend) :
								    name_width;
		n++;
	}
	if (!n)
		return;
	if (rate_pps)
		printf("at %llu a second: ", (ull)rate_pps);
	printf("%s\n%s%-*s %-18s %9s %9s  %-*s %9s %9s %9s %9s %9s %10s %9s  %s%s\n", b->title,
	       cli_bold(), name_width, "backend", "achieved", "sent", "delivered", width, "drops",
	       "unattrib.", "P50", "P90", "P99", "P99.9", "max", "gap", "95 % of gap", cli_plain());
	for (uint32_t i = 0; i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];
		char mode[40], interval[48];

		if (!in_block(r, b, rate_pps))
			continue;
		drops_text(r, drops, sizeof(drops));
		snprintf(mode, sizeof(mode), "%s (%s)", r->mode, r->proof);
		printf("%-*s %-18s %9llu %9llu  %-*s %9llu", name_width, r->backend, mode,
		       (ull)r->sent, (ull)r->delivered, width, drops, (ull)r->unattributed);
		print_quantiles(&r->latency, interval_text(&r->interval, interval));
		if (!r->tx.samples)
			continue;
		printf("%-*s %-18s %9s %9s  %-*s %9s", name_width, "", "tx", "", "", width, "", "");
		print_quantiles(&r->tx, interval_text(&r->tx_interval, interval));
	}
	printf("\n");
}

/* ---------------------------------------------------------------- stamps */

/* Both parts of a latency, in the order in which a frame meets them. */
static void print_stamps(const struct kbp_results *res)
{
	int width = 9;
	bool any = false;

	for (uint32_t i = 0; i < res->n_runs; i++) {
		any = any || res->run[i].stamps.source[0];
		width = (int)strlen(res->run[i].backend) > width ? (int)strlen(res->run[i].backend) :
								   width;
	}
	if (!any)
		return;
	printf("parts of the one-way latency, by receive stamps: kernels, drivers and NICs stamp at different moments,\n"
	       "so parts are compared with nothing but themselves\n%s%-*s %-22s %8s %9s  %-13s %9s %9s %9s %9s %10s %9s%s\n",
	       cli_bold(), width, "backend", "stamped by", "within", "unstamped", "part", "P50",
	       "P90", "P99", "P99.9", "max", "gap", cli_plain());
	for (uint32_t i = 0; i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];
		const struct kbp_result_stamps *s = &r->stamps;
		ull without = s->unstamped;
		char by[48], within[24];

		if (!s->source[0])
			continue;
		without += s->voided + s->impossible;
		snprintf(by, sizeof(by), "%s%s, %s", s->source, r->emulated ? " (emulated)" : "",
			 s->epoch);
		snprintf(within, sizeof(within), "%.3f", (double)s->error_ns / 1e3);
		printf("%-*s %-22s %8s %9llu  %-13s", width, r->backend, by,
		       s->rx_path.samples ? within : "-", without, "wire to stamp");
		print_quantiles(&s->wire_to_stamp, "");
		printf("%-*s %-22s %8s %9s  %-13s", width, "", "", "", "", "rx_path");
		print_quantiles(&s->rx_path, "");
	}
	printf("\n");
}

/* ---------------------------------------------------------------- medians */

static double late_percent(const struct kbp_result_run *r)
{
	return r->sent ? 100.0 * (double)r->late / (double)r->sent : 0;
}

/* Why this run's median may not be put beside another's; NULL: it may. */
static const char *not_comparable(const struct kbp_result_run *r)
{
	if (!kbp_latency_known(&r->latency, 500))
		return "has too few samples";
	if (r->delivered < r->sent || r->send_errors)
		return "lost frames";
	if (r->ambiguous)
		return "has frames that could not be timed";
	if (r->latency.saturated)
		return "has samples beyond 4.29 s";
	if (r->foreign || r->out_of_order)
		return "got frames that were not sent so";
	return NULL;
}

static void print_ratio(const struct kbp_result_run *r, const struct kbp_result_run *base,
			const char *base_name)
{
	const struct kbp_result_run *bad = not_comparable(r)	? r :
					   not_comparable(base) ? base :
								  NULL;
	double late = late_percent(r) > late_percent(base) ? late_percent(r) : late_percent(base);
	char a[24], b[24], rate[48] = "";

	if (r->rate_pps)
		snprintf(rate, sizeof(rate), "at %llu a second, ", (ull)r->rate_pps);
	if (bad) {
		printf("median:  %s%s %s us, %s %s us; not comparable: %s %s\n", rate, r->backend,
		       quantile(&r->latency, 500, r->latency.p50_ns, a), base->backend,
		       quantile(&base->latency, 500, base->latency.p50_ns, b), bad->backend,
		       not_comparable(bad));
		return;
	}
	if (!base->latency.p50_ns)
		return;
	printf("median:  %s%s is %.3g times %s (%.2f / %.2f us, same interleaved run)", rate,
	       r->backend, (double)r->latency.p50_ns / base->latency.p50_ns, base_name,
	       us(r->latency.p50_ns), us(base->latency.p50_ns));
	if (late > 1)
		printf(" (the sender was late for up to %.3g %% of the frames; P99 and gap include that)",
		       late);
	printf("\n");
}

static const struct kbp_result_run *run_of(const struct kbp_results *res, const char *backend,
					   uint64_t rate_pps)
{
	for (uint32_t i = 0; i < res->n_runs; i++)
		if (!strcmp(res->run[i].backend, backend) && res->run[i].rate_pps == rate_pps)
			return &res->run[i];
	return NULL;
}

/* On the same wire? One in memory is another than that between two interfaces. */
static bool same_wire(const struct kbp_result_run *a, const struct kbp_result_run *b)
{
	return a->emulated == b->emulated && a->virtual_device == b->virtual_device &&
	       !strcmp(a->mode, "emulated") == !strcmp(b->mode, "emulated");
}

static void print_ratios(const struct kbp_results *res, uint64_t rate_pps)
{
	const struct kbp_result_run *base = run_of(res, "socket", rate_pps),
				    *ours = run_of(res, "af_xdp", rate_pps),
				    *theirs = run_of(res, "dpdk:af_xdp", rate_pps);

	for (uint32_t i = 0; base && i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];

		if (r != base && !r->variant && r->rate_pps == rate_pps && same_wire(r, base))
			print_ratio(r, base, "the spinning UDP socket's");
	}
	if (ours && theirs && same_wire(ours, theirs))
		print_ratio(ours, theirs, "that of DPDK's net_af_xdp");
}

/* ---------------------------------------------------------------- below the table */

/* "af_xdp", "af_xdp at 1000 a second" */
static void print_subject(const struct kbp_result_run *r)
{
	printf("%s", r->backend);
	if (r->rate_pps)
		printf(" at %llu a second", (ull)r->rate_pps);
	printf(": ");
}

static void print_digest(const struct kbp_result_run *r)
{
	printf("digest %s, ", r->digest);
	if (!strcmp(r->digest, r->digest_expected))
		printf("as sent");
	else if (r->delivered < r->sent && !r->foreign && !r->out_of_order)
		printf("the delivered part as sent, in order; %llu lost",
		       (ull)(r->sent - r->delivered));
	else
		printf("not as sent");
}

static void print_samples(const struct kbp_result_run *r)
{
	ull warmup = 0;

	for (uint32_t i = 0; i < r->n_rounds; i++)
		warmup += r->round[i].warmup;
	printf("%s%llu sample%s after %llu of warm-up", r->digest[0] ? "; " : "",
	       (ull)r->latency.samples, plural(r->latency.samples), warmup);
	if (r->ambiguous)
		printf("; %llu frames not timed: equal payloads around a loss", (ull)r->ambiguous);
	printf("\n");
}

static void print_sender(const struct kbp_results *res, const struct kbp_result_run *r)
{
	const struct kbp_latency *l = &r->lateness;
	char b[3][24];

	print_subject(r);
	printf("the sender was late by P50 %s, P99 %s, max %s us; over %s ns with %llu frame%s",
	       quantile(l, 500, l->p50_ns, b[0]), quantile(l, 990, l->p99_ns, b[1]),
	       quantile(l, 1000, l->max_ns, b[2]), fact(res, "late_after_ns"), (ull)r->late,
	       plural(r->late));
	if (r->send_errors)
		printf("; %llu refused by its device", (ull)r->send_errors);
	printf("\n");
}

/* Of the runs of its rate this one is listed first. */
static bool first_of_rate(const struct kbp_results *res, uint32_t run)
{
	for (uint32_t i = 0; i < run; i++)
		if (res->run[i].rate_pps == res->run[run].rate_pps)
			return false;
	return true;
}

static void print_rest(const struct kbp_results *res)
{
	for (uint32_t i = 0; i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];

		print_subject(r);
		if (r->digest[0]) /* a closed loop has none, and no times that were meant */
			print_digest(r);
		print_samples(r);
		if (r->digest[0])
			print_sender(res, r);
		if (r->note[0])
			printf("%s: %s\n", r->backend, r->note);
		for (uint32_t k = 0; k < r->n_causes; k++)
			printf("%s: cause %s %llu (explains drops, not added up)\n", r->backend,
			       r->cause[k].name, (ull)r->cause[k].value);
	}
	for (uint32_t i = 0; i < res->n_runs; i++)
		if (first_of_rate(res, i))
			print_ratios(res, res->run[i].rate_pps);
	if (is_rtt(res))
		printf("published: half round trips of 4 bytes on an X4 (AMD UG1586): ef_vi 590 ns, TCPDirect UDP 635, Onload UDP\n"
		       "         717. They are of that device and host; nothing here was halved\n");
	cli_noise_lines(res, "");
	for (uint32_t i = 0; i < res->n_findings; i++) {
		const struct kbp_finding *f = &res->finding[i];

		printf("%s: %s%s%s\n", f->note ? "note" : "FINDING", f->backend,
		       f->backend[0] ? ": " : "", f->text);
	}
}

void cli_bench_table(const struct kbp_results *res)
{
	print_head(res);
	for (uint32_t i = 0; i < res->n_runs; i++)
		for (size_t k = 0; first_of_rate(res, i) && k < sizeof(blocks) / sizeof(blocks[0]);
		     k++)
			print_block(res, &blocks[k], res->run[i].rate_pps);
	print_stamps(res);
	cli_verdicts(res);
	cli_explain(res);
	print_rest(res);
}
