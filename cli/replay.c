/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.c - kbypass replay: options in, the schedule sent, an account out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ether.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli.h"
#include "replay.h"

#define NOT_GIVEN UINT32_MAX

struct given {
	struct cli_replay r;
	const char *mode, *netns, *from_mac, *to_mac, *from_ip, *to_ip;
	uint32_t rate, loops, cpu, ring;
	double speed, seconds, late_limit;
	bool as_recorded, fifo, stamping, no_stamps, strict, json;
};

static uint32_t stop; /* read by the sender, atomically */

static void on_signal(int sig)
{
	(void)sig;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

static bool go_on(void *arg)
{
	(void)arg;
	cli_progress("reading the capture");
	return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- options */

static int parse(struct given *g, int argc, char **argv)
{
	const char *words[2] = { NULL, NULL };
	const struct cli_option options[] = {
		{ "backend", "NAME",
		  "socket, af_xdp, dpdk ... (default: af_xdp, or socket where it does not open)",
		  CLI_TEXT, &g->r.opts.backend, 0, 0 },
		{ "args", "WORDS", "how the backend is opened, like pmd=af_packet or tx=dma",
		  CLI_TEXT, &g->r.opts.args, 0, 0 },
		{ "mode", "MODE", "af_xdp: auto (default), zerocopy, copy or generic", CLI_TEXT,
		  &g->mode, 0, 0 },
		{ "strict", NULL, "refuse a lesser mode, and socket in place of af_xdp", CLI_FLAG,
		  &g->strict, 0, 0 },
		{ "netns", "NAME", "network namespace of the interface", CLI_TEXT, &g->netns, 0, 0 },
		{ "as-recorded", NULL, "at the times of the capture (default)", CLI_FLAG,
		  &g->as_recorded, 0, 0 },
		{ "speed", "X", "so many times as fast as recorded", CLI_REAL, &g->speed, 1e-6, 1e6 },
		{ "rate", "PPS", "evenly, so many frames a second", CLI_U32, &g->rate, 1, 1e9 },
		{ "loop", "N", "play it N times (default 1)", CLI_U32, &g->loops, 1, 1e9 },
		{ "seconds", "N", "no longer than that", CLI_REAL, &g->seconds, 0.001, 1e7 },
		{ "to-mac", "MAC", "destination of unicast frames", CLI_TEXT, &g->to_mac, 0, 0 },
		{ "from-mac", "MAC", "source of all frames", CLI_TEXT, &g->from_mac, 0, 0 },
		{ "to-ip", "ADDR", "destination of unicast frames of that family", CLI_TEXT,
		  &g->to_ip, 0, 0 },
		{ "from-ip", "ADDR", "source of all frames of that family", CLI_TEXT, &g->from_ip,
		  0, 0 },
		{ "cpu", "N", "CPU to send on", CLI_U32, &g->cpu, 0, 65535 },
		{ "fifo", NULL, "SCHED_FIFO, where it is allowed", CLI_FLAG, &g->fifo, 0, 0 },
		{ "ring", "N", "send descriptors, a power of two (default 1024, socket 8192)",
		  CLI_U32, &g->ring, 8, 65536 },
		{ "stamping", NULL,
		  "have the NIC stamp all frames, and put its setting back afterwards", CLI_FLAG,
		  &g->stamping, 0, 0 },
		{ "no-stamps", NULL, "ask for no stamps of sent frames", CLI_FLAG, &g->no_stamps, 0,
		  0 },
		{ "late-limit", "PERCENT",
		  "a finding when more of the frames are late (default 100: never)", CLI_REAL,
		  &g->late_limit, 0, 100 },
		CLI_JSON_OPTION(&g->json),
	};
	const struct cli_usage usage = {
		"replay FILE INTERFACE [OPTION]...",
		"Sends the UDP datagrams of a capture (pcap, pcapng, gzip) at their times, through a backend's\n"
		"own way of sending: whole frames on af_xdp, dpdk, ef_vi and ef_vi_sim; payloads on socket,\n"
		"where the kernel makes the headers and sources are this host's own. Then shows how well the\n"
		"times were kept: by the CPU's counter when a frame was handed over, and by the stamps that sent\n"
		"frames come back with, where there are some. Late is what was handed over more than 1 us after\n"
		"its time; it goes at once.\n"
		"Exit status 1 when not every frame was sent, or more than --late-limit of them were late.",
		options, sizeof(options) / sizeof(options[0])
	};
	int n = cli_parse(&usage, argc, argv, words, 2);

	if (n < 0)
		return n;
	if (n < 2) {
		cli_misuse("replay",
			   n ? "name the interface to send on: kbypass replay FILE INTERFACE" :
			       "name a capture and an interface: kbypass replay FILE INTERFACE");
		return -1;
	}
	g->r.file = words[0];
	g->r.opts.ifname = words[1];
	return 0;
}

static int read_mode(struct given *g)
{
	static const char *const names[] = { "auto", "zerocopy", "copy", "generic" };
	static const enum kbp_mode modes[] = { KBP_MODE_AUTO, KBP_MODE_ZEROCOPY, KBP_MODE_COPY,
					       KBP_MODE_GENERIC };

	for (size_t i = 0; i < 4; i++) {
		if (!g->mode || !strcmp(g->mode, names[i])) {
			g->r.opts.mode = modes[i];
			return CLI_OK;
		}
	}
	return cli_misuse("replay", "--mode %s: there is auto, zerocopy, copy and generic", g->mode);
}

static int read_timing(struct given *g)
{
	struct kbp_timing *t = &g->r.timing;
	bool rate = g->rate != NOT_GIVEN, speed = g->speed > 0;

	if (rate + speed + g->as_recorded > 1)
		return cli_misuse("replay",
				  "--as-recorded, --speed and --rate contradict each other: give one "
				  "of them");
	t->kind = rate ? KBP_TIMING_CONSTANT : KBP_TIMING_RECORDED;
	t->rate_pps = rate ? g->rate : 0;
	t->speed = g->speed;
	t->seconds = g->seconds;
	t->loops = g->loops;
	return CLI_OK;
}

static int read_mac(const char *option, const char *text, uint8_t mac[6])
{
	struct ether_addr a;

	if (!text)
		return CLI_OK;
	if (!ether_aton_r(text, &a))
		return cli_misuse("replay", "--%s %s: that is no MAC address like 02:00:00:00:00:01",
				  option, text);
	memcpy(mac, a.ether_addr_octet, 6);
	return CLI_OK;
}

static int read_ip(const char *option, const char *text, struct kbp_addr *ip4, struct kbp_addr *ip6)
{
	if (!text)
		return CLI_OK;
	if (inet_pton(AF_INET, text, ip4->bytes) == 1)
		ip4->family = AF_INET;
	else if (inet_pton(AF_INET6, text, ip6->bytes) == 1)
		ip6->family = AF_INET6;
	else
		return cli_misuse("replay", "--%s %s: that is no IPv4 or IPv6 address", option, text);
	return CLI_OK;
}

static int read_options(struct given *g)
{
	struct kbp_capture_opts *c = &g->r.capture_opts;
	struct kbp_replay_opts *o = &g->r.opts;
	int rc = read_mode(g);

	if (!rc)
		rc = read_timing(g);
	if (!rc && g->stamping && g->no_stamps)
		rc = cli_misuse("replay",
				"--stamping and --no-stamps contradict each other: give one of them");
	if (!rc)
		rc = read_mac("to-mac", g->to_mac, c->to_mac);
	if (!rc)
		rc = read_mac("from-mac", g->from_mac, c->from_mac);
	if (!rc)
		rc = read_ip("to-ip", g->to_ip, &c->to_ip4, &c->to_ip6);
	if (!rc)
		rc = read_ip("from-ip", g->from_ip, &c->from_ip4, &c->from_ip6);
	c->flags = g->from_ip ? KBP_CAPTURE_SOURCE : 0;
	o->flags = (g->stamping ? KBP_REPLAY_STAMPING : 0u) |
		   (g->no_stamps ? KBP_REPLAY_NO_STAMPS : 0u) |
		   (g->strict ? KBP_REPLAY_STRICT : 0u) | (g->fifo ? KBP_REPLAY_FIFO : 0u);
	o->cpu = g->cpu == NOT_GIVEN ? 0 : (int)g->cpu + 1;
	o->tx_ring = g->ring;
	g->r.netns = g->netns;
	g->r.late_limit = g->late_limit;
	return rc;
}

/* ---------------------------------------------------------------- the run */

struct watch {
	const struct kbp_sender_result *tx;
	uint64_t total;
	bool done;
};

/* Says where the sender is, which spins on another CPU and knows nothing of it. */
static void *watch(void *arg)
{
	struct watch *w = arg;
	struct timespec t = { .tv_nsec = 100000000 };

	while (!__atomic_load_n(&w->done, __ATOMIC_RELAXED)) {
		nanosleep(&t, NULL);
		cli_progress("%llu of %llu frames",
			     (unsigned long long)__atomic_load_n(&w->tx->sent, __ATOMIC_RELAXED),
			     (unsigned long long)w->total);
	}
	return NULL;
}

static int send_all(struct cli_replay *c, struct kbp_error *err)
{
	struct kbp_replay *rp;
	struct watch w = { .tx = &c->result.tx, .total = c->sched->n_total };
	pthread_t thread;
	bool watched;
	int rc = kbp_replay_open(c->sched, &c->opts, &rp, err);

	if (rc)
		return rc;
	watched = !pthread_create(&thread, NULL, watch, &w);
	c->ran = true;
	rc = kbp_replay_run(rp, &c->result, err);
	__atomic_store_n(&w.done, true, __ATOMIC_RELAXED);
	if (watched)
		pthread_join(thread, NULL);
	kbp_replay_close(rp);
	return rc;
}

/* socket: a descriptor for each flow. */
static void descriptors_raise(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l)) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void signals_set(void)
{
	struct sigaction on = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGHUP, &on, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run(struct cli_replay *c, struct kbp_error *err)
{
	int rc = kbp_schedule_from_capture(c->file, &c->capture_opts, &c->timing, &c->sched,
					   &c->capture, err);

	if (!rc)
		rc = cli_netns_enter(c->netns, err);
	return rc ? rc : send_all(c, err);
}

int cmd_replay(int argc, char **argv)
{
	static struct given g = { .rate = NOT_GIVEN, .cpu = NOT_GIVEN, .loops = 1, .late_limit = 100 };
	struct kbp_error err = { 0 };
	int rc, failed, status;

	g.r.opts.size = sizeof(g.r.opts);
	g.r.opts.stop = &stop;
	g.r.capture_opts.size = sizeof(g.r.capture_opts);
	g.r.capture_opts.go_on = go_on;
	rc = parse(&g, argc, argv);
	if (rc)
		return rc == -2 ? CLI_OK : CLI_ERROR;
	rc = read_options(&g);
	if (rc)
		return rc;
	signals_set();
	descriptors_raise();
	failed = run(&g.r, &err);
	if (!g.r.ran) {
		kbp_schedule_close(g.r.sched);
		return cli_fail(&err);
	}
	cli_progress_end();
	status = cli_replay_show(&g.r, failed ? &err : NULL, g.json);
	kbp_schedule_close(g.r.sched);
	if (failed) { /* what went before it is shown */
		fflush(stdout);
		return cli_fail(&err);
	}
	return status;
}
