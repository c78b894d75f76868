/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_show.c - what `kbypass replay` found, for people and as JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"
#include "replay.h"

#define SCHEMA "kbypass.replay/1"
#define FINDINGS_MAX 16
#define GAP_NS 1000000000u /* a longer silence in a capture is pointed out */

typedef unsigned long long ull;

struct finding {
	const char *code;
	bool note;
	char text[384];
};

struct findings {
	struct finding f[FINDINGS_MAX];
	int n;
};

static const char *const source_name[] = { "none", "kernel", "driver", "nic" };
static const char *const epoch_name[] = { "none", "utc", "tai", "phc", "monotonic" };
static const char *const proof_name[] = { "none", "claimed", "bound", "proven" };
static const char *const mode_name[] = { "auto", "zerocopy", "copy", "generic", "kernel", "emulated" };

/* ---------------------------------------------------------------- findings */

static void add(struct findings *l, bool note, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct findings *l, bool note, const char *code, const char *fmt, ...)
{
	struct finding *f = &l->f[l->n];
	va_list ap;

	if (l->n == FINDINGS_MAX)
		return;
	l->n++;
	f->note = note;
	f->code = code;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

static void capture_findings(const struct cli_replay *c, struct findings *l)
{
	const struct kbp_capture_report *r = &c->capture;

	if (r->damage_text[0])
		add(l, true, "capture_damaged",
		    "the capture is damaged: record %llu at byte %llu: %.150s; the %llu frames before it are "
		    "replayed",
		    (ull)r->damage.record, (ull)r->damage.offset, r->damage_text, (ull)r->frames);
	if (r->out_of_order)
		add(l, true, "capture_out_of_order",
		    "%llu records are stamped before their predecessor, by up to %llu ns, first record %llu at "
		    "byte %llu: due with it",
		    (ull)r->out_of_order, (ull)r->backwards_max_ns,
		    (ull)r->first_out_of_order.record, (ull)r->first_out_of_order.offset);
	if (r->records > r->frames)
		add(l, true, "capture_skipped",
		    "%llu of %llu records are no whole UDP datagram and are left out: %llu not IP, %llu not UDP, "
		    "%llu fragments, %llu cut short, %llu malformed",
		    (ull)(r->records - r->frames), (ull)r->records, (ull)r->skipped_not_ip,
		    (ull)r->skipped_not_udp, (ull)r->skipped_fragment, (ull)r->skipped_truncated,
		    (ull)r->skipped_malformed);
	if (c->timing.kind == KBP_TIMING_RECORDED && r->gap_max_ns > GAP_NS)
		add(l, true, "capture_gap",
		    "the longest time between two of its frames is %.3f s, before record %llu at byte %llu: "
		    "--speed or --rate make it shorter",
		    (double)r->gap_max_ns / 1e9, (ull)r->gap_max.record, (ull)r->gap_max.offset);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void sending_findings(const struct cli_replay *c, struct findings *l)
{
	const struct kbp_replay_result *r = &c->result;

	if (r->passed_over[0])
		add(l, true, "fallback", "af_xdp does not open here, so socket sends: %s",
		    r->passed_over);
	if (r->tx.send_errors)
		add(l, false, "send_refused",
		    "%llu of %llu frames were refused (%s): they were not sent",
		    (ull)r->tx.send_errors, (ull)r->scheduled,
		    r->tx.first_errno ? strerror(r->tx.first_errno) : "no reason given");
	if (r->tx.unsent)
		add(l, false, "unsent", "%llu of %llu frames were not tried: it was stopped before",
		    (ull)r->tx.unsent, (ull)r->scheduled);
	if (percent(r->tx.late, r->tx.sent) > c->late_limit)
		add(l, false, "late",
		    "%.3g %% of the frames were handed over more than %u us after their time",
		    percent(r->tx.late, r->tx.sent), KBP_SENDER_LATE_NS / 1000);
	if (r->tx.unfinished)
		add(l, true, "unfinished",
		    "of %llu sent frames nothing was heard again: they may be in the device still",
		    (ull)r->tx.unfinished);
	if (r->timed < r->tx.sent)
		add(l, true, "not_timed", "the figures speak of the first %llu frames",
		    (ull)r->timed);
	if (c->opts.flags & KBP_REPLAY_FIFO && !r->fifo)
		add(l, true, "no_fifo", "SCHED_FIFO is not allowed here");
}

static void stamp_findings(const struct cli_replay *c, struct findings *l)
{
	const struct kbp_replay_result *r = &c->result;

	if (c->opts.flags & KBP_REPLAY_NO_STAMPS)
		return;
	if (r->no_stamps[0])
		add(l, true, r->stepped ? "clock_stepped" : "no_stamps", "no timing by stamps: %s",
		    r->no_stamps);
	else if (r->unstamped)
		add(l, true, "unstamped", "%llu sent frames have no stamp that can be compared",
		    (ull)r->unstamped);
	if (r->impossible)
		add(l, false, "stamp_impossible",
		    "%llu stamps are from before the frame was handed over, by more than the clocks' error",
		    (ull)r->impossible);
}

/* ---------------------------------------------------------------- text */

static bool known(const struct kbp_spread *s, unsigned permille)
{
	struct kbp_latency l = { .samples = s->samples };

	return kbp_latency_known(&l, permille);
}

static void print_spread(const char *clock, const char *what, const struct kbp_spread *s)
{
	const struct {
		unsigned permille;
		int64_t ns;
	} q[] = { { 500, s->p50_ns },
		  { 900, s->p90_ns },
		  { 990, s->p99_ns },
		  { 999, s->p999_ns },
		  { 1000, s->max_ns } };

	printf("%-24s %-5s", clock, what);
	for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
		if (known(s, q[i].permille))
			printf(" %10.2f", (double)q[i].ns / 1e3);
		else
			printf(" %10s", "-");
	}
	printf("\n");
}

static void print_times(const struct kbp_replay_result *r)
{
	char clock[48];

	printf("\n%s%-24s %-5s %10s %10s %10s %10s %10s%s\n", cli_bold(), "us, by", "", "P50",
	       "P90", "P99", "P99.9", "max", cli_plain());
	print_spread("hand-over, TSC", "late", &r->handed.late);
	print_spread("", "gap", &r->handed.gap);
	if (r->stamp.late.samples) {
		snprintf(clock, sizeof(clock), "stamp, %s %s", source_name[r->queue.ts_source_tx],
			 epoch_name[r->queue.ts_epoch_tx]);
		print_spread(clock, "late", &r->stamp.late);
		print_spread("", "gap", &r->stamp.gap);
	}
	printf("late: after the intended time; gap: how far the time between two frames is from the intended one\n");
	if (r->stamp.late.samples)
		printf("stamps are by the %s%s; compared with intended times within %.3g us\n",
		       source_name[r->queue.ts_source_tx],
		       r->port.emulated ? " of an emulated NIC" : "",
		       (double)r->stamp_error_ns / 1e3);
}

static void print_timing(const struct cli_replay *c)
{
	if (c->timing.kind == KBP_TIMING_CONSTANT)
		printf("%llu a second", (ull)c->timing.rate_pps);
	else if (c->timing.speed > 0)
		printf("%.6g times as fast as recorded", c->timing.speed);
	else
		printf("as recorded");
	if (c->timing.loops > 1)
		printf(", %u times over", c->timing.loops);
}

static void print_text(const struct cli_replay *c, const struct findings *l)
{
	const struct kbp_replay_result *r = &c->result;
	const struct kbp_capture_report *p = &c->capture;

	printf("capture: %s, %llu frames of %llu records; checksums mended in %llu, readdressed %llu\n",
	       c->file, (ull)p->frames, (ull)p->records, (ull)p->mended, (ull)p->readdressed);
	printf("sent by: %s on %s%s%s, %s (%s)%s%s; %s\n", r->port.backend, c->opts.ifname,
	       c->netns ? " in " : "", c->netns ? c->netns : "", mode_name[r->queue.mode],
	       proof_name[r->queue.proof], r->port.virtual_device ? ", virtual device" : "",
	       r->port.emulated ? ", emulated" : "",
	       r->frames ? "whole frames" : "payloads: headers and sources are this host's own");
	printf("timing:  ");
	print_timing(c);
	printf("; %llu frames late by more than %u us (%.3g %%), at most %.1f us\n",
	       (ull)r->tx.late, KBP_SENDER_LATE_NS / 1000, percent(r->tx.late, r->tx.sent),
	       (double)r->tx.late_max_ns / 1e3);
	printf("account: scheduled %llu = sent %llu + refused %llu + unsent %llu\n",
	       (ull)r->scheduled, (ull)r->tx.sent, (ull)r->tx.send_errors, (ull)r->tx.unsent);
	if (r->digest[0])
		printf("digest:  %s of the payloads sent\n", r->digest);
	print_times(r);
	for (int i = 0; i < l->n; i++)
		printf("%s: %s\n", l->f[i].note ? "note" : "FINDING", l->f[i].text);
}

/* ---------------------------------------------------------------- JSON */

static json_t *quantile(const struct kbp_spread *s, unsigned permille, int64_t ns)
{
	return known(s, permille) ? json_integer(ns) : json_null();
}

static json_t *spread_json(const struct kbp_spread *s)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "samples", (json_int_t)s->samples,
			 "min", quantile(s, 0, s->min_ns), "p50", quantile(s, 500, s->p50_ns),
			 "p90", quantile(s, 900, s->p90_ns), "p99", quantile(s, 990, s->p99_ns),
			 "p999", quantile(s, 999, s->p999_ns), "max", quantile(s, 1000, s->max_ns));
}

static json_t *stamps_json(const struct kbp_replay_result *r)
{
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:b, s:s, s:o, s:o}", "source",
		source_name[r->queue.ts_source_tx], "epoch", epoch_name[r->queue.ts_epoch_tx],
		"proof", proof_name[r->queue.ts_proof_tx], "resolution_ps",
		(json_int_t)r->queue.ts_resolution_ps, "unstamped", (json_int_t)r->unstamped,
		"impossible", (json_int_t)r->impossible, "error_ns",
		r->stamp.late.samples ? json_integer((json_int_t)r->stamp_error_ns) : json_null(),
		"clock_stepped", (int)r->stepped, "why_not", r->no_stamps, "late_ns",
		spread_json(&r->stamp.late), "gap_error_ns", spread_json(&r->stamp.gap));
}

static json_t *capture_json(const struct cli_replay *c)
{
	const struct kbp_capture_report *r = &c->capture;

	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
		"file", c->file, "records", (json_int_t)r->records, "frames", (json_int_t)r->frames,
		"mended", (json_int_t)r->mended, "trailers", (json_int_t)r->trailers, "readdressed",
		(json_int_t)r->readdressed, "tagged", (json_int_t)r->tagged, "skipped_not_ip",
		(json_int_t)r->skipped_not_ip, "skipped_not_udp", (json_int_t)r->skipped_not_udp,
		"skipped_fragment", (json_int_t)r->skipped_fragment, "skipped_truncated",
		(json_int_t)r->skipped_truncated, "skipped_malformed",
		(json_int_t)r->skipped_malformed, "out_of_order", (json_int_t)r->out_of_order,
		"damaged_record", (json_int_t)r->damage.record, "damaged_byte",
		(json_int_t)r->damage.offset, "damage", r->damage_text);
}

static json_t *timing_json(const struct cli_replay *c)
{
	const struct kbp_timing *t = &c->timing;

	return json_pack("{s:s, s:f, s:I, s:I, s:f}", "kind",
			 t->kind == KBP_TIMING_CONSTANT ? "constant" : "recorded", "speed",
			 t->speed > 0 ? t->speed : 1.0, "rate_pps", (json_int_t)t->rate_pps,
			 "loops", (json_int_t)t->loops, "seconds", t->seconds);
}

static json_t *sender_json(const struct cli_replay *c)
{
	const struct kbp_replay_result *r = &c->result;

	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:b}", "backend",
			 r->port.backend, "named", c->opts.backend != NULL, "interface",
			 c->opts.ifname, "driver", r->port.driver, "mode", mode_name[r->queue.mode],
			 "proof", proof_name[r->queue.proof], "emulated", (int)r->port.emulated,
			 "virtual", (int)r->port.virtual_device, "sends",
			 r->frames ? "frames" : "payloads", "fifo", (int)r->fifo);
}

static json_t *findings_json(const struct findings *l)
{
	json_t *a = json_array();

	for (int i = 0; i < l->n; i++)
		json_array_append_new(a, json_pack("{s:s, s:b, s:s}", "code", l->f[i].code, "note",
						   (int)l->f[i].note, "text", l->f[i].text));
	return a;
}

static int print_json(const struct cli_replay *c, const struct findings *l,
		      const struct kbp_error *err)
{
	const struct kbp_replay_result *r = &c->result;
	json_t *e = err ? json_pack("{s:i, s:s, s:s}", "code", err->code, "step", err->step, "hint",
				    err->hint) :
			  json_null();

	return cli_json(json_pack(
		"{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I, s:I}, s:{s:I, s:o, s:o}, s:o, "
		"s:o, s:o}",
		"schema", SCHEMA, "capture", capture_json(c), "timing", timing_json(c), "sender",
		sender_json(c), "scheduled", (json_int_t)r->scheduled, "sent", (json_int_t)r->tx.sent,
		"refused", (json_int_t)r->tx.send_errors, "unsent", (json_int_t)r->tx.unsent,
		"sent_bytes", (json_int_t)r->tx.sent_bytes, "digest", r->digest, "late", "after_ns",
		(json_int_t)KBP_SENDER_LATE_NS, "frames", (json_int_t)r->tx.late, "max_ns",
		(json_int_t)r->tx.late_max_ns, "hand_over", "timed", (json_int_t)r->timed, "late_ns",
		spread_json(&r->handed.late), "gap_error_ns", spread_json(&r->handed.gap), "stamps",
		stamps_json(r), "findings", findings_json(l), "error", e));
}

int cli_replay_show(const struct cli_replay *c, const struct kbp_error *err, bool json)
{
	struct findings l = { .n = 0 };
	int status = CLI_OK;

	capture_findings(c, &l);
	sending_findings(c, &l);
	stamp_findings(c, &l);
	for (int i = 0; i < l.n; i++)
		status = l.f[i].note ? status : CLI_FINDINGS;
	if (!json)
		print_text(c, &l);
	else if (print_json(c, &l, err))
		return CLI_ERROR;
	return status;
}
