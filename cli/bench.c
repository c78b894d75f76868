/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.c - kbypass bench: options in, table or JSON out. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"

#define NOT_GIVEN UINT32_MAX

struct given {
	struct kbp_bench_opts o;
	const char *mode, *timing, *rates;
	uint64_t rate_list[KBP_BENCH_RATES_MAX];
	uint32_t rate, rounds, burst, size, cpu_rx, cpu_tx, ring, rcvbuf, seed, flows;
	double delay_ns;
	uint32_t trials, samples;
	bool lab, poisson, json, profile, self_test;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---------------------------------------------------------------- options */

static int read_mode(struct given *g)
{
	static const char *const names[] = { "auto", "zerocopy", "copy", "generic" };
	static const enum kbp_mode modes[] = { KBP_MODE_AUTO, KBP_MODE_ZEROCOPY, KBP_MODE_COPY,
					       KBP_MODE_GENERIC };
	const char *near;

	for (size_t i = 0; i < 4; i++) {
		if (!g->mode || !strcmp(g->mode, names[i])) {
			g->o.mode = modes[i];
			return CLI_OK;
		}
	}
	near = cli_nearest(g->mode, names, 4);
	return cli_misuse("bench", "--mode %s: there is auto, zerocopy, copy and generic%s%s%s",
			  g->mode, near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

/* "1000,10000,50000" */
static int read_rates(struct given *g)
{
	const char *at = g->rates;
	char *end;

	if (!at)
		return CLI_OK;
	if (g->rate != NOT_GIVEN)
		return cli_misuse(
			"bench",
			"--rate and --rates contradict each other: add that rate to the list");
	for (;; at = end + 1) {
		double pps = strtod(at, &end);

		if (g->o.n_rates == KBP_BENCH_RATES_MAX)
			return cli_misuse("bench", "--rates %s: at most %u rates", g->rates,
					  KBP_BENCH_RATES_MAX);
		if (end == at || (*end && *end != ',') || !(pps >= 1) || pps > 1e9 ||
		    pps > floor(pps))
			return cli_misuse(
				"bench",
				"--rates %s: give whole numbers of frames a second, 1 to 1000000000, "
				"with commas between, like 1000,10000,50000",
				g->rates);
		g->rate_list[g->o.n_rates++] = (uint64_t)pps;
		if (!*end)
			break;
	}
	g->o.rates = g->rate_list;
	return CLI_OK;
}

/* "bursts", "bursts:250" */
static int read_bursts(struct given *g)
{
	const char *gap = g->timing + 6;
	double us = 0;
	char *end;

	g->o.timing = KBP_TIMING_BURSTS;
	if (!*gap)
		return CLI_OK;
	us = *gap == ':' ? strtod(gap + 1, &end) : 0;
	if (*gap != ':' || end == gap + 1 || *end || !(us >= 0.001) || us > 1e9)
		return cli_misuse(
			"bench",
			"--timing %s: the longest silence to keep is a number of us, 0.001 to 1000000000, "
			"as in bursts:250",
			g->timing);
	g->o.burst_gap_ns = (uint64_t)llround(us * 1e3);
	return CLI_OK;
}

static int read_timing(struct given *g)
{
	bool rate_given = g->rate != NOT_GIVEN;
	char *end;

	g->o.rate_pps = rate_given ? g->rate : g->o.n_rates || g->o.rtt ? 0 : 50000;
	g->o.timing = g->poisson ? KBP_TIMING_POISSON : KBP_TIMING_CONSTANT;
	if (!g->timing || !strcmp(g->timing, "constant"))
		return CLI_OK;
	if (g->poisson)
		return cli_misuse("bench",
				  "--poisson and --timing %s contradict each other: give one of them",
				  g->timing);
	g->o.timing = KBP_TIMING_RECORDED;
	g->o.rate_pps = rate_given ? g->rate : 0;
	if (!strcmp(g->timing, "recorded"))
		return CLI_OK;
	if (strncmp(g->timing, "scaled:", 7) != 0 && strncmp(g->timing, "bursts", 6) != 0)
		return cli_misuse(
			"bench",
			"--timing %s: there is recorded, scaled:FACTOR, bursts[:GAP_US] and constant",
			g->timing);
	if (rate_given || g->rates)
		return cli_misuse("bench",
				  "--%s and --timing %s contradict each other: give one of them",
				  g->rates ? "rates" : "rate", g->timing);
	if (g->timing[0] == 'b')
		return read_bursts(g);
	g->o.speed = strtod(g->timing + 7, &end);
	if (end == g->timing + 7 || *end || !isfinite(g->o.speed) || g->o.speed <= 0)
		return cli_misuse("bench",
				  "--timing %s: the factor is a number above 0, 2 being twice as fast",
				  g->timing);
	return CLI_OK;
}

/* What a closed loop has no use for. */
static int rtt_options(const struct given *g)
{
	const struct kbp_bench_opts *o = &g->o;
	const struct {
		const char *name;
		bool given;
	} none[] = {
		{ "pcap", o->capture },	 { "feed", o->feed },
		{ "flows", g->flows },	 { "seed", g->seed },
		{ "timing", g->timing }, { "poisson", g->poisson },
		{ "burst", g->burst },	 { "handler-delay", g->delay_ns > 0 },
		{ "stamps", o->stamps }, { "explain", o->explain },
	};

	for (size_t i = 0; o->rtt && i < sizeof(none) / sizeof(none[0]); i++)
		if (none[i].given)
			return cli_misuse(
				"bench",
				"--rtt and --%s: a closed loop has one datagram at a time, of its own; "
				"leave one of them out",
				none[i].name);
	return CLI_OK;
}

static int read_options(struct given *g)
{
	int rc;

	if (g->lab && (g->o.rx_ifname || g->o.tx_ifname))
		return cli_misuse(
			"bench", "--lab makes its own interfaces: leave --rx and --tx out, or --lab");
	rc = read_mode(g);
	if (rc == CLI_OK)
		rc = rtt_options(g);
	if (rc == CLI_OK)
		rc = read_rates(g);
	if (rc == CLI_OK)
		rc = read_timing(g);
	g->o.rounds = g->rounds;
	g->o.rx_burst = g->burst;
	g->o.frame_bytes = g->size;
	g->o.flows = g->flows;
	g->o.seed = g->seed;
	g->o.rx_ring = g->ring;
	g->o.rcvbuf_bytes = g->rcvbuf;
	g->o.handler_delay_ns = (uint64_t)g->delay_ns;
	g->o.cpu_rx = g->cpu_rx == NOT_GIVEN ? 0 : (int)g->cpu_rx + 1;
	g->o.cpu_tx = g->cpu_tx == NOT_GIVEN ? 0 : (int)g->cpu_tx + 1;
	return rc;
}

/* "generator: the feed's shape: itch (default), pitch ..." */
static void feeds_list(char *buf, size_t size)
{
	const struct kbp_generator_profile *p;
	size_t at = (size_t)snprintf(buf, size, "generator: the feed's shape:");

	for (unsigned i = 0; at < size && (p = kbp_generator_profile(i)) != NULL; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s %s%s", i ? "," : "", p->name,
				       i ? "" : " (default)");
}

static int parse(struct given *g, int argc, char **argv)
{
	struct kbp_bench_opts *o = &g->o;
	char feeds[160];
	const struct cli_option options[] = {
		{ "lab", NULL, "on a lab made for this run (the default without --rx and --tx)",
		  CLI_FLAG, &g->lab, 0, 0 },
		{ "rx", "IF", "receive on this interface", CLI_TEXT, &o->rx_ifname, 0, 0 },
		{ "tx", "IF", "send on this interface, the other end of the wire", CLI_TEXT,
		  &o->tx_ifname, 0, 0 },
		{ "rx-netns", "NAME", "network namespace of --rx", CLI_TEXT, &o->rx_netns, 0, 0 },
		{ "tx-netns", "NAME", "network namespace of --tx", CLI_TEXT, &o->tx_netns, 0, 0 },
		{ "backend", "LIST",
		  "like socket,dpdk:af_xdp (default: every one that works here); NAME+NS: with a planted delay",
		  CLI_TEXT, &o->backends, 0, 0 },
		{ "mode", "MODE", "af_xdp: auto (default), zerocopy, copy or generic", CLI_TEXT,
		  &g->mode, 0, 0 },
		{ "ef-vi", "WORDS", "ef_vi, ef_vi_sim: how, like tx=dma or nic=x3522", CLI_TEXT,
		  &o->ef_vi_words, 0, 0 },
		{ "strict", NULL, "refuse a lesser mode (default: take it and report it)", CLI_FLAG,
		  &o->strict, 0, 0 },
		{ "pcap", "FILE", "replay a capture (pcap, pcapng, gzip)", CLI_TEXT, &o->capture, 0,
		  0 },
		{ "feed", "NAME", feeds, CLI_TEXT, &o->feed, 0, 0 },
		{ "size", "BYTES",
		  "generator: every frame so long, 60 to 65535 (default: the feed's sizes; rtt: 60)",
		  CLI_U32, &g->size, 60, 65535 },
		{ "flows", "N", "generator: groups to spread over (default 1)", CLI_U32, &g->flows,
		  1, 65535 },
		{ "seed", "N", "generator and --poisson: another seed, other frames", CLI_U32,
		  &g->seed, 0, 0 },
		{ "timing", "HOW",
		  "constant (default), recorded, scaled:FACTOR, or bursts[:GAP_US]: recorded, with "
		  "silences cut to GAP_US (default 1000)",
		  CLI_TEXT, &g->timing, 0, 0 },
		{ "rate", "PPS",
		  "frames per second (default 50000); recorded: scale to it; rtt: at most", CLI_U32,
		  &g->rate, 1, 1e9 },
		{ "rates", "LIST", "a sweep: every backend at each of up to 8 rates, like 1000,50000",
		  CLI_TEXT, &g->rates, 0, 0 },
		{ "poisson", NULL, "random gaps with that rate", CLI_FLAG, &g->poisson, 0, 0 },
		{ "seconds", "N", "for each backend and rate, all rounds together (default 5)",
		  CLI_REAL, &o->seconds, 0.01, 86400 },
		{ "rounds", "N", "parts in which the backends take turns (default 10)", CLI_U32,
		  &g->rounds, 1, 10000 },
		{ "over", "SECONDS", "spread the rounds over so long (default: one after the other)",
		  CLI_REAL, &o->over_seconds, 0.1, 86400 },
		{ "burst", "N", "frames a poll hands over at most (default 32)", CLI_U32, &g->burst,
		  1, 256 },
		{ "ring", "N", "receive descriptors, a power of two (default 2048)", CLI_U32,
		  &g->ring, 8, 65536 },
		{ "rcvbuf", "BYTES", "socket: receive buffer (default 8 MiB)", CLI_U32, &g->rcvbuf,
		  2048, 1073741824 },
		{ "cpu-rx", "N", "CPU of the receiver", CLI_U32, &g->cpu_rx, 0, 65535 },
		{ "cpu-tx", "N", "CPU of the sender", CLI_U32, &g->cpu_tx, 0, 65535 },
		{ "fifo", NULL, "SCHED_FIFO, where it is allowed", CLI_FLAG, &o->fifo, 0, 0 },
		{ "handler-delay", "NS", "plant a delay: the handler spins so long over a frame",
		  CLI_REAL, &g->delay_ns, 0, 1e9 },
		{ "stamps", NULL, "receive stamps: where on its way each frame's latency arose",
		  CLI_FLAG, &o->stamps, 0, 0 },
		{ "explain", NULL, "once more under tracing: what made the tail, by cause",
		  CLI_FLAG, &o->explain, 0, 0 },
		{ "explain-over", "NS", "the tail is what lies above NS (default: above P99)",
		  CLI_U32, &o->explain_over_ns, 1, 0xffffffff },
		{ "rtt", NULL,
		  "a closed loop: round trips of one datagram, sent and answered by each backend",
		  CLI_FLAG, &o->rtt, 0, 0 },
		{ "resolve", "NS", "say how many samples a difference of NS takes to be found",
		  CLI_REAL, &o->resolve_ns, 0.1, 1e9 },
		{ "self-test", NULL, "try the method on made-up samples, instead of measuring",
		  CLI_FLAG, &g->self_test, 0, 0 },
		{ "trials", "N", "self-test: of each case (default 2000)", CLI_U32, &g->trials, 10,
		  1000000 },
		{ "profile", NULL, "what each operation costs, instead of rounds", CLI_FLAG,
		  &g->profile, 0, 0 },
		{ "samples", "N", "profile: of each operation (default 5000)", CLI_U32, &g->samples,
		  1000, 1000000 },
		{ "out", "DIR", "write results.json and every sample there", CLI_TEXT, &o->out_dir,
		  0, 0 },
		CLI_JSON_OPTION(&g->json),
	};
	const struct cli_usage usage = {
		"bench [--lab | --rx IF --tx IF] [OPTION]...\n"
		"       kbypass bench --self-test [--trials N] [--seed N] [--json]\n"
		"       kbypass bench --profile [--rx IF --tx IF] [OPTION]...",
		"Sends the same frames at the same times to every backend, in rounds that rotate the order\n"
		"and restart the receiver, and shows what each delivers, loses and costs. Latency is\n"
		"one-way: from the intended send time to the moment the program holds the pointer; gap is\n"
		"P99 - P50. The mode stands with how it is known: claimed by the driver, bound (the kernel\n"
		"accepted it), or proven by a received frame.\n"
		"With --stamps it is parted, frame by frame, at the moment the NIC, the driver or the kernel\n"
		"stamped the frame; that costs something, and is recorded with the result.\n"
		"With --rtt one program sends a datagram and spins until another one has answered it, both\n"
		"by the same backend: round trips, and what sending takes of them, by one clock.\n"
		"Exit status 1 when something does not add up: see the findings below the table.\n"
		"Verdicts say for each pair whether there is a difference in P50, P99 and gap, by the\n"
		"spread between rounds, or how many samples would tell. socket,socket+18 shows whether\n"
		"18 ns would be found here, socket,socket+0 whether nothing is found where nothing is.\n"
		"With --explain every backend is measured a second time, under tracing (NAME~traced): which\n"
		"interrupt, softirq, thread, fault or system call had the receiver's CPU while the samples\n"
		"of the tail were on their way. What tracing adds is the verdict of NAME~traced - NAME.\n"
		"With --profile it times the operations of the data path one by one instead: an empty\n"
		"poll, a received frame, a sent one. It takes --backend, --ef-vi, --rx, --tx, --ring,\n"
		"--samples, --cpu-rx, --fifo, --out and --json, and needs no root for ef_vi_sim.",
		options, sizeof(options) / sizeof(options[0])
	};

	feeds_list(feeds, sizeof(feeds));
	return cli_parse(&usage, argc, argv, NULL, 0);
}

/* ---------------------------------------------------------------- progress */

static bool progress(const struct kbp_bench_progress *p, void *arg)
{
	char rate[32] = "", of[32] = "";

	(void)arg;
	if (p->rate_pps)
		snprintf(rate, sizeof(rate), " at %llu/s", (unsigned long long)p->rate_pps);
	if (p->total)
		snprintf(of, sizeof(of), " of %llu", (unsigned long long)p->total);
	if (p->backend[0])
		cli_progress("round %u/%u  %-8s%s %s  %llu%s frames", p->round, p->rounds,
			     p->backend, rate, p->doing, (unsigned long long)p->sent, of);
	else
		cli_progress("%s", p->doing);
	return !stop;
}

/* ---------------------------------------------------------------- the profile */

static bool profile_progress(const struct kbp_bench_progress *p, void *arg)
{
	(void)arg;
	if (p->backend[0])
		cli_progress("%-9s %-20s %llu of %llu samples", p->backend, p->doing,
			     (unsigned long long)p->sent, (unsigned long long)p->total);
	else
		cli_progress("%s", p->doing);
	return !stop;
}

/* A profile has frames and a wire of its own; whatever else is asked for would be ignored. */
static int profile_options(const struct given *g)
{
	const struct kbp_bench_opts *o = &g->o;
	const struct {
		const char *name;
		bool given;
	} none[] = {
		{ "lab", g->lab },
		{ "rx-netns", o->rx_netns },
		{ "tx-netns", o->tx_netns },
		{ "mode", g->mode },
		{ "strict", o->strict },
		{ "pcap", o->capture },
		{ "feed", o->feed },
		{ "size", g->size },
		{ "flows", g->flows },
		{ "seed", g->seed },
		{ "timing", g->timing },
		{ "rate", g->rate != NOT_GIVEN },
		{ "rates", g->rates },
		{ "rtt", o->rtt },
		{ "poisson", g->poisson },
		{ "seconds", o->seconds > 0 },
		{ "rounds", g->rounds },
		{ "burst", g->burst },
		{ "rcvbuf", g->rcvbuf },
		{ "cpu-tx", g->cpu_tx != NOT_GIVEN },
		{ "handler-delay", g->delay_ns > 0 },
		{ "stamps", o->stamps },
		{ "over", o->over_seconds > 0 },
		{ "resolve", o->resolve_ns > 0 },
		{ "explain", o->explain },
		{ "explain-over", o->explain_over_ns > 0 },
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (none[i].given)
			return cli_misuse(
				"bench",
				"--profile and --%s: a profile times operations on frames and a wire "
				"of its own; leave one of them out",
				none[i].name);
	return CLI_OK;
}

static int profile_run(const struct given *g, struct kbp_results **res, struct kbp_error *err)
{
	struct kbp_profile_opts o = KBP_PROFILE_OPTS_INIT;

	o.rx_ifname = g->o.rx_ifname;
	o.tx_ifname = g->o.tx_ifname;
	o.backends = g->o.backends;
	o.ef_vi_words = g->o.ef_vi_words;
	o.rx_ring = g->ring;
	o.samples = g->samples;
	o.cpu = g->cpu_rx == NOT_GIVEN ? 0 : (int)g->cpu_rx + 1;
	o.fifo = g->o.fifo;
	o.out_dir = g->o.out_dir;
	return kbp_profile_run(&o, profile_progress, NULL, res, err);
}

/* ---------------------------------------------------------------- the command */

static int print_json(const struct kbp_results *res)
{
	char *text = kbp_results_json(res);

	if (!text)
		return cli_misuse("bench", "print JSON: memory is out");
	puts(text);
	free(text);
	return CLI_OK;
}

static void signals_set(void)
{
	struct sigaction on = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGHUP, &on, NULL);
	signal(SIGPIPE, SIG_IGN); /* whoever reads our output may leave: the lab is taken down
				   * anyway */
	signal(SIGCHLD, SIG_DFL); /* ignored by some parents, and then no child can be waited for */
}

int cmd_bench(int argc, char **argv)
{
	struct given g = { .o = KBP_BENCH_OPTS_INIT,
			   .rate = NOT_GIVEN,
			   .cpu_rx = NOT_GIVEN,
			   .cpu_tx = NOT_GIVEN };
	struct kbp_results *res;
	struct kbp_error err;
	int rc = parse(&g, argc, argv), failed;

	if (rc)
		return rc == -2 ? CLI_OK : CLI_ERROR;
	signals_set();
	if (g.self_test)
		return cli_self_test(g.trials, g.seed, &stop, g.json);
	rc = g.profile ? profile_options(&g) : read_options(&g);
	if (rc)
		return rc;
	failed = g.profile ? profile_run(&g, &res, &err) :
			     kbp_bench_run(&g.o, progress, NULL, &res, &err);
	if (!res)
		return cli_fail(&err);
	cli_progress_end();
	rc = CLI_OK;
	if (g.json)
		rc = print_json(res);
	else if (g.profile)
		cli_profile_table(res);
	else
		cli_bench_table(res);
	for (uint32_t i = 0; i < res->n_findings && rc == CLI_OK; i++) {
		if (!res->finding[i].note)
			rc = CLI_FINDINGS;
	}
	kbp_results_free(res);
	if (failed) { /* measured and shown, but not written */
		fflush(stdout);
		return cli_fail(&err);
	}
	return rc;
}
