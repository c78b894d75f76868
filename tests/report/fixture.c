/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.c - results as a bench could have left them, for the tests of the page and of the exports.
 *
 *   fixture DIR        results of a bench: backends of three classes, intervals, verdicts, causes, noise, a profile
 *   fixture DIR hostile     the same, with text that tries to be markup in every place that text can stand in
 *
 * DIR/page.html is the page of the structures themselves, so that tests tell a fault of the page from one of reading back.
 * Numbers are drawn with a fixed seed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

#define ROUNDS 6u
#define PER_ROUND ((size_t)20000)
#define WARMUP 1000u

static uint64_t state = 88172645463325252u;

static double uniform(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double)(state >> 11) / 9007199254740992.0;
}

/* Roughly normal, by the sum of twelve. */
static double normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += uniform();
	return sum;
}

static void text(char *to, size_t size, const char *plain, bool hostile)
{
	/* breaks out of text, of an attribute, of a title; turns the direction of writing; is no UTF-8 */
	static const char *const bad[] = { "<script>alert(1)</script>", "\"><img src=x onerror=a()>",
					   "</title></svg><b>", "&lt;\xe2\x80\xae'--><!--" };
	static unsigned turn;

	snprintf(to, size, "%s", hostile ? bad[turn++ % 4] : plain);
}

static uint32_t sample(double median, double spread, double tail)
{
	double v = median * exp(spread * normal());

	if (uniform() < 0.012)
		v += tail * -log(uniform() + 1e-9);
	v = floor(v / 10) * 10; /* a clock of 10 ns */
	return v < 10 ? 10 : v > 4e9 ? 4000000000u : (uint32_t)v;
}

static void rounds(struct kbp_result_run *r)
{
	r->round = calloc(ROUNDS, sizeof(*r->round));
	if (!r->round)
		abort();
	r->n_rounds = ROUNDS;
	for (uint32_t i = 0; i < ROUNDS; i++)
		r->round[i] = (struct kbp_result_round){ .position = i % 3,
							 .sent = PER_ROUND,
							 .delivered = PER_ROUND,
							 .first_sample = i * PER_ROUND,
							 .samples = PER_ROUND,
							 .warmup = WARMUP };
}

static void quantiles(const struct kbp_result_run *r, const uint32_t *ns, struct kbp_latency *l)
{
	size_t n;
	uint32_t *sorted = kbp_samples_sorted(r, ns, false, &n);

	if (!sorted)
		abort();
	kbp_latency_of(sorted, n, l);
	free(sorted);
}

static void outliers(struct kbp_result_run *r, const uint32_t *ns, bool hostile)
{
	static const char *const kind[] = { "irq", "softirq", "switch", "fault", "syscall", "gap" };
	static const char *const name[] = { "virtio0-input.0", "NET_RX", "kworker/1:2",
					    "page_fault_user", "futex",	 "" };
	struct kbp_result_explain *e = &r->explain;

	e->threshold_ns = r->latency.p999_ns;
	e->events = 48211;
	e->gap_min_ns = 1000;
	e->cause = calloc(6, sizeof(*e->cause));
	e->outlier = calloc(200, sizeof(*e->outlier));
	if (!e->cause || !e->outlier)
		abort();
	e->n_causes = 6;
	for (unsigned i = 0; i < 6; i++) {
		struct kbp_explain_cause *c = &e->cause[i];

		snprintf(c->kind, sizeof(c->kind), "%s", kind[i]);
		text(c->name, sizeof(c->name), name[i], hostile);
		c->share = (double[]){ 0.41, 0.27, 0.16, 0.08, 0.05, 0.03 }[i];
		c->gap_ns = r->latency.gap_ns - (uint32_t)(c->share * r->latency.gap_ns);
		c->time_ns = (uint64_t)(c->share * 9e6);
	}
	for (size_t i = 0; i < r->n_rounds * PER_ROUND; i++) {
		uint32_t cause = (uint32_t)(i / 7 + e->tail / 3) % 6;

		if (ns[i] <= e->threshold_ns)
			continue;
		e->tail++;
		e->cause[cause].samples++;
		if (e->n_outliers < 200)
			e->outlier[e->n_outliers++] = (struct kbp_explain_outlier){ .sample = i,
										    .ns = ns[i],
										    .cause = cause };
	}
}

static void run(struct kbp_result_run *r, const char *dir, const char *name, double median,
		double spread, double tail, bool hostile)
{
	uint32_t *ns = malloc(ROUNDS * PER_ROUND * sizeof(*ns));
	struct kbp_result_intervals *i = &r->interval;

	if (!ns)
		abort();
	rounds(r);
	text(r->backend, sizeof(r->backend), name, hostile);
	snprintf(r->base, sizeof(r->base), "socket");
	strcpy(r->kind, "one_way");
	strcpy(r->mode, "kernel");
	strcpy(r->requested, "auto");
	strcpy(r->proof, "proven");
	text(r->note, sizeof(r->note), "", hostile);
	strcpy(r->digest, "d");
	strcpy(r->digest_expected, "d");
	r->queues = 1;
	r->scheduled = r->sent = ROUNDS * PER_ROUND;
	r->delivered = r->sent;
	for (size_t k = 0; k < ROUNDS * PER_ROUND; k++)
		ns[k] = sample(median * (1 + 0.01 * (double)(k / PER_ROUND % 3)), spread, tail);
	quantiles(r, ns, &r->latency);
	i->known = true;
	i->p50 = (struct kbp_interval){ r->latency.p50_ns * 0.99, r->latency.p50_ns * 1.012 };
	i->p99 = (struct kbp_interval){ r->latency.p99_ns * 0.95, r->latency.p99_ns * 1.06 };
	i->gap = (struct kbp_interval){ r->latency.gap_ns * 0.9, r->latency.gap_ns * 1.1 };
	snprintf(r->samples_file, sizeof(r->samples_file), "samples/%s.u32", name);
	if (kbp_samples_write(dir, r->samples_file, ns, ROUNDS * PER_ROUND, NULL))
		abort();
	if (r->traced)
		outliers(r, ns, hostile);
	free(ns);
}

static void verdict(struct kbp_verdict *v, const struct kbp_result_run *a,
		    const struct kbp_result_run *b, const char *metric, bool resolved, bool hostile)
{
	double x = !strcmp(metric, "gap") ? a->latency.gap_ns : a->latency.p50_ns,
	       y = !strcmp(metric, "gap") ? b->latency.gap_ns : b->latency.p50_ns;

	snprintf(v->a, sizeof(v->a), "%s", a->backend);
	snprintf(v->b, sizeof(v->b), "%s", b->backend);
	strcpy(v->kind, "one_way");
	strcpy(v->metric, metric);
	v->measured = a->emulated == b->emulated && a->virtual_device == b->virtual_device;
	if (v->measured) {
		double width = resolved ? fabs(x - y) * 0.15 : fabs(x - y) * 1.4;

		v->diff_ns = x - y;
		v->lo_ns = x - y - width;
		v->hi_ns = x - y + width;
		v->p = resolved ? 0.0004 : 0.21;
		v->p_table = resolved ? 0.0016 : 0.42;
		v->samples_needed = resolved ? 41000 : 1900000;
		v->rounds_needed = resolved ? 3 : 95;
		v->work_us_per_s = (x - y) * 0.05;
	}
	v->resolved = resolved;
	strcpy(v->why, resolved ? "resolved" : v->measured ? "overlap" : "class");
	text(v->text, sizeof(v->text),
	     resolved	 ? "the first is lower" :
	     v->measured ? "not told apart" :
			   "one device is emulated, the other virtual",
	     hostile);
}

static void profile(struct kbp_results *res, bool hostile)
{
	static const char *const op[] = { "poll_empty", "poll_one", "rx_full", "tx_full" };
	static const double low[] = { 2, 8, 15, 18 }, high[] = { 3, 12, 22, 28 };

	res->profile = calloc(4, sizeof(*res->profile));
	if (!res->profile)
		abort();
	res->n_profile = 4;
	for (unsigned i = 0; i < 4; i++) {
		struct kbp_profile_op *r = &res->profile[i];

		strcpy(r->backend, "ef_vi_sim");
		r->emulated = true;
		strcpy(r->op, op[i]);
		strcpy(r->form, "inline");
		r->batch = i ? 1 : 44;
		r->samples = 5000;
		r->timer_ns = 11.5;
		r->ns = (struct kbp_profile_cost){ 6.0 + 21 * i, 9.5 + 34 * i, 3.5 + 13 * i,
						   5.5 + 18 * i };
		r->cycles = (struct kbp_profile_cost){ 15.0 + 52 * i, 24.0 + 85 * i, 9.0 + 33 * i,
						       14.0 + 45 * i };
		r->published.low_ns = low[i];
		r->published.high_ns = high[i];
		text(r->published.device, sizeof(r->published.device), "SFN8522", hostile);
		text(r->published.source, sizeof(r->published.source), "an article", hostile);
		text(r->note, sizeof(r->note),
		     i == 3 ? "the device takes the frame inside the call" : "", hostile);
	}
}

static void noise(struct kbp_results *res)
{
	res->n_noise = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct kbp_noise *n = &res->noise[i];

		n->cpu = (int32_t)i;
		strcpy(n->role, i ? "tx" : "rx");
		n->spun_ns = 3000000000u;
		n->max_ns = 3100000u + i;
		n->steal_ns = 10000000u;
		for (unsigned b = 0; b < 12; b++) {
			n->bucket[b] = (uint64_t)(900 * exp(-0.6 * b) + (b == 7 ? 30 : 0) + 3 * i);
			n->gaps += n->bucket[b];
		}
		n->lost_ns = 41000000u;
	}
}

static void facts(struct kbp_results *res, bool hostile)
{
	char value[64];

	text(value, sizeof(value), "Some CPU 3.0 GHz", hostile);
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, "cpu_model", "%s", value);
	text(value, sizeof(value), "6.1.0-13-amd64", hostile);
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, "kernel", "%s", value);
	kbp_fact_text(
		&res->fingerprint, &res->n_fingerprint, "cmdline",
		"BOOT_IMAGE=/vmlinuz-6.1 root=/dev/vda1 ro isolcpus=managed_irq,domain,2-3 "
		"nohz_full=2-3 rcu_nocbs=2-3 averyveryverylongwordthathasnoplacetobreakanywhereinit=1");
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, "driver", "veth");
	kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, "tsc_quantum_ns", "10");
	text(value, sizeof(value), "generator", hostile);
	kbp_fact_text(&res->setup, &res->n_setup, "source", "%s", value);
	kbp_fact_literal(&res->setup, &res->n_setup, "rate_pps", "50000");
	kbp_fact_literal(&res->setup, &res->n_setup, "rounds", "%u", ROUNDS);
}

static void fill(struct kbp_results *res, const char *dir, bool hostile)
{
	struct kbp_result_run *r = res->run;
	static const struct {
		const char *name;
		double median, spread, tail;
	} spec[] = { { "socket", 9200, 0.07, 9000 },
		     { "af_xdp", 6100, 0.05, 2600 },
		     { "dpdk:af_xdp", 6180, 0.05, 2900 },
		     { "af_xdp~traced", 6300, 0.06, 3100 },
		     { "ef_vi_sim", 840, 0.05, 500 } };

	for (unsigned i = 0; i < 5; i++) {
		r[i].virtual_device = i < 4;
		r[i].emulated = i == 4;
		r[i].variant = r[i].traced = i == 3;
		run(&r[i], dir, spec[i].name, spec[i].median, spec[i].spread, spec[i].tail, hostile);
	}
	if (!hostile)
		strcpy(r[3].base, "af_xdp");
	r[0].delivered -= 412;
	strcpy(r[0].drop[0].name, "socket_rcvbuf_full");
	r[0].drop[0].value = 400;
	r[0].n_drops = 1;
	r[0].unattributed = 12;
	verdict(&res->verdict[0], &r[0], &r[1], "gap", true, hostile);
	verdict(&res->verdict[1], &r[0], &r[1], "p50", true, hostile);
	verdict(&res->verdict[2], &r[1], &r[2], "gap", false, hostile);
	verdict(&res->verdict[3], &r[1], &r[2], "p50", false, hostile);
	verdict(&res->verdict[4], &r[1], &r[4], "gap", false, hostile);
	verdict(&res->verdict[5], &r[3], &r[1], "gap", false, hostile);
}

/* The page as kbp_report_write makes it, but of these structures. */
static int page(struct kbp_results *res, const char *dir, struct kbp_error *err)
{
	static struct kbp_report report; /* as the results: nothing is left behind, the process ends */
	char path[300];
	FILE *f;

	res->dir = strdup(dir);
	if (!res->dir)
		return -1;
	if (kbp_report_gather(&report, res, err) || kbp_report_page(&report, err))
		return -1;
	snprintf(path, sizeof(path), "%s/page.html", dir);
	f = fopen(path, "we");
	if (!f)
		return -1;
	fwrite(report.out.text, 1, report.out.len, f);
	return fclose(f);
}

int main(int argc, char **argv)
{
	static struct kbp_results *res;
	struct kbp_error err = { 0 };
	char value[64];
	bool hostile = argc > 2 && !strcmp(argv[2], "hostile");

	res = calloc(1, sizeof(*res));
	if (argc < 2 || !res || kbp_results_dir_prepare(argv[1], &err)) {
		fprintf(stderr, "fixture: %s: %s\n", err.step, err.hint);
		return 1;
	}
	res->run = calloc(5, sizeof(*res->run));
	res->verdict = calloc(6, sizeof(*res->verdict));
	if (!res->run || !res->verdict)
		return 1;
	res->n_runs = 5;
	res->n_verdicts = 6;
	facts(res, hostile);
	fill(res, argv[1], hostile);
	profile(res, hostile);
	noise(res);
	text(value, sizeof(value), "0.3 % of the frames were lost", hostile);
	kbp_finding_add(res, false, "loss", "socket", "%s", value);
	text(value, sizeof(value), "memory is not locked", hostile);
	kbp_finding_add(res, true, "memory_not_locked", "", "%s", value);
	if (kbp_results_save(res, argv[1], &err) || page(res, argv[1], &err)) {
		fprintf(stderr, "fixture: %s: %s\n", err.step, err.hint);
		return 1;
	}
	return 0;
}
