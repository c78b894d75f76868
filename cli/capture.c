/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.c - kbypass capture: an interface's flows into pcapng files, with what each stamp is worth. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <kbypass/clock.h>
#include <kbypass/record.h>

#include "cli.h"

#define SCHEMA "kbypass.capture/1"
#define BURST 64u
#define CHAIN_MAX 256u
#define QUEUES_MAX KBP_RECORD_SOURCES_MAX
#define COUNTERS_MAX 96u
#define NAMED_MAX 128u
#define WITNESSES_MAX 16u
#define IDLE_POLLS 200u
#define WAIT_NS 10000000
#define ONE_BUFFER_MTU 3498u /* larger packets may take several buffers */
#define NOT_GIVEN UINT32_MAX

struct given {
	struct kbp_recorder_opts o;
	const char *ifname, *backend, *flows, *netns, *args;
	struct cli_clock clock;
	uint32_t cpu, snaplen, keep, ring_mb, judge_ms;
	double rotate_mb, rotate_s, seconds, count;
	bool json, stamping;
};

struct named {
	char name[32];
	uint64_t value;
};

struct capture {
	const struct given *g;
	struct kbp_monitor *mon;
	/* the writer's thread's */
	int tai_s;	    /* CLOCK_TAI - CLOCK_REALTIME; 0 where nobody set it */
	uint64_t tai_since; /* UTC: it has been so since then */
	struct kbp_recorder *rec;
	struct kbp_port *port;
	struct kbp_queue *q[QUEUES_MAX];
	unsigned n_queues, burst;
	const char *ended; /* "signal", "seconds", "count", "write error", or how a queue died */
	bool dead;
	/* the account */
	struct kbp_port_info info;
	struct kbp_queue_info queue; /* of the queue that delivered most */
	struct kbp_recorder_stats st;
	struct named drop[NAMED_MAX];
	unsigned n_drops;
	char last_file[4096];
	struct kbp_clock_status clock[WITNESSES_MAX];
	unsigned n_clocks;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---------------------------------------------------------------- options */

static int parse(struct given *g, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ "backend", "NAME", "socket (default), af_xdp, dpdk, ef_vi or ef_vi_sim", CLI_TEXT,
		  &g->backend, 0, 0 },
		{ "flow", "LIST", "flows, by commas: DST:PORT[@SRC[:PORT]][%VLAN][+nojoin]",
		  CLI_TEXT, &g->flows, 0, 0 },
		{ "out", "FILE", "pcapng file to write (default IFACE.pcapng)", CLI_TEXT,
		  &g->o.path, 0, 0 },
		{ "force", NULL, "overwrite a file that is there", CLI_FLAG, &g->o.force, 0, 0 },
		{ "snaplen", "BYTES", "of each packet, 1 to 262144 (default all)", CLI_U32,
		  &g->snaplen, 1, 262144 },
		{ "rotate-size", "MB", "a new file when this one has so many megabytes", CLI_REAL,
		  &g->rotate_mb, 0.01, 1e9 },
		{ "rotate-time", "S", "a new file so many seconds after the first packet of this one",
		  CLI_REAL, &g->rotate_s, 0.1, 1e9 },
		{ "keep", "N", "keep the last N files only, when they rotate", CLI_U32, &g->keep, 1,
		  65536 },
		{ "seconds", "N", "end after so long (default: at SIGINT or SIGTERM)", CLI_REAL,
		  &g->seconds, 0.01, 1e9 },
		{ "count", "N", "end after so many packets", CLI_REAL, &g->count, 1, 1e18 },
		{ "ring", "MB", "memory between polling and writing (default 64)", CLI_U32,
		  &g->ring_mb, 1, 65536 },
		{ "judge", "MS",
		  "wait so long for what tells whether the clock was in sync (default 2500)",
		  CLI_U32, &g->judge_ms, 1, 60000 },
		{ "netns", "NAME", "network namespace of IFACE", CLI_TEXT, &g->netns, 0, 0 },
		{ "cpu", "N", "CPU of the thread that polls", CLI_U32, &g->cpu, 0, 1023 },
		{ "stamping", NULL, "have the NIC stamp all frames; put back at the end", CLI_FLAG,
		  &g->stamping, 0, 0 },
		CLI_CLOCK_OPTIONS(&g->clock),
		{ "args", "WORDS", "the backend's own words, like nic=x3522 for ef_vi_sim",
		  CLI_TEXT, &g->args, 0, 0 },
		CLI_JSON_OPTION(&g->json),
	};
	const struct cli_usage usage = {
		"capture IFACE --flow FLOW[,FLOW]... [OPTION]...",
		"Writes the packets of some flows to a pcapng file, times in UTC to the nanosecond: the NIC's\n"
		"where its stamps are proven, otherwise the driver's or the kernel's, otherwise the time of\n"
		"the poll. The comment of each packet says which, and whether that clock was in sync.\n"
		"What the writer cannot keep up with is dropped and counted; polling never waits for it.\n"
		"Exit status 1 when packets were lost anywhere on the way.",
		options, sizeof(options) / sizeof(options[0])
	};

	return cli_parse(&usage, argc, argv, &g->ifname, 1);
}

static int read_options(struct given *g)
{
	static char path[64];

	if (!g->ifname)
		return cli_misuse("capture",
				  "name an interface: kbypass capture IFACE --flow DST:PORT");
	if (!g->flows)
		return cli_misuse("capture", "say what to capture: --flow DST:PORT[,DST:PORT]...");
	if (g->keep && g->rotate_mb <= 0 && g->rotate_s <= 0)
		return cli_misuse("capture", "--keep counts rotated files: give --rotate-size or "
					     "--rotate-time too");
	if (!g->o.path) {
		snprintf(path, sizeof(path), "%.40s.pcapng", g->ifname);
		g->o.path = path;
	}
	g->o.snaplen = g->snaplen;
	g->o.keep = g->keep;
	g->o.ring_bytes = (uint64_t)g->ring_mb << 20;
	g->o.judge_ms = g->judge_ms;
	g->o.rotate_bytes = (uint64_t)(g->rotate_mb * 1e6);
	g->o.rotate_ns = (uint64_t)(g->rotate_s * 1e9);
	return CLI_OK;
}

/* ---------------------------------------------------------------- open */

/* This process moves there before it starts any thread. */
static int memory_out(struct kbp_error *err)
{
	err->code = -ENOMEM;
	snprintf(err->step, sizeof(err->step), "read the options");
	snprintf(err->hint, sizeof(err->hint), "memory is out");
	return -ENOMEM;
}

/* Reads the flows, and with `add` adds them: a typo is told before anything is opened. */
static int flows(struct capture *c, bool add, struct kbp_error *err)
{
	char *text;
	const char **words = cli_words(c->g->flows, &text);
	int rc = words ? 0 : memory_out(err);

	for (unsigned i = 0; !rc && words[i]; i++) {
		struct kbp_flow flow;

		rc = kbp_flow_parse(words[i], &flow, err);
		if (rc || !add)
			continue;
		if (!c->info.ifindex)
			flow.flags |= KBP_FLOW_NO_JOIN; /* the kernel has nothing to join on */
		rc = kbp_flow_add(c->q[0], &flow, NULL, err);
	}
	free(words);
	free(text);
	return rc;
}

static int port_open(struct capture *c, struct kbp_error *err)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	const char *backend = c->g->backend ? c->g->backend : "socket";
	int rc, n;

	po.flags = c->g->stamping ? KBP_PORT_STAMPING : 0;
	po.args = c->g->args;
	po.label = "capture";
	rc = kbp_port_open(backend, c->g->ifname, &po, &c->port, err);
	if (rc)
		return rc;
	kbp_port_info(c->port, &c->info);
	qo.flags = KBP_QUEUE_RX | KBP_QUEUE_RX_STAMPS;
	if (c->info.mtu > ONE_BUFFER_MTU)
		qo.flags |= KBP_QUEUE_MULTI_BUFFER;
	n = kbp_queues_open(c->port, &qo, c->q, QUEUES_MAX, err);
	if (n < 0)
		return n;
	c->n_queues = (unsigned)n;
	return 0;
}

/* A software stamp of epoch TAI is CLOCK_TAI, whatever offset the kernel has been told; none at all often. A stamp from
 * before the offset was changed cannot be told any more. */
static int tai_to_utc(struct capture *c, uint64_t ns, uint64_t *utc_ns)
{
	struct timex t = { 0 };

	if (adjtimex(&t) < 0)
		return -errno;
	if (t.tai != c->tai_s) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		c->tai_s = t.tai;
		c->tai_since = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	*utc_ns = ns - (uint64_t)((int64_t)t.tai * 1000000000);
	return *utc_ns < c->tai_since ? -ENOTUNIQ : 0;
}

/* Called by the writer. The monitor takes the samples, of every NIC clock that can be read: a stamp whose clock it has
 * looked at since lies between two of them. One of a clock that cannot be read is not converted, and says so. */
static int to_utc(void *arg, enum kbp_epoch epoch, int32_t phc, uint64_t ns, uint64_t *utc_ns,
		  uint64_t *error_ns)
{
	static const enum kbp_scale scales[] = { [KBP_EPOCH_UTC] = KBP_SCALE_UTC,
						 [KBP_EPOCH_PHC] = KBP_SCALE_PHC,
						 [KBP_EPOCH_MONOTONIC] = KBP_SCALE_MONOTONIC };
	struct capture *c = arg;
	struct kbp_moment m;
	int rc;

	*error_ns = 0;
	if (epoch == KBP_EPOCH_TAI)
		return tai_to_utc(c, ns, utc_ns);
	if (epoch < KBP_EPOCH_UTC || epoch > KBP_EPOCH_MONOTONIC)
		return -EINVAL;
	rc = kbp_convert(kbp_monitor_converter(c->mon), scales[epoch], KBP_SCALE_UTC, phc, ns, &m);
	if (rc)
		return rc;
	*utc_ns = m.value;
	*error_ns = m.error_ns;
	return 0;
}

static struct kbp_clock *clock_of(void *arg, enum kbp_epoch epoch, int32_t phc)
{
	return kbp_monitor_clock(arg, epoch, phc);
}

static int recorder_open(struct capture *c, struct kbp_error *err)
{
	struct kbp_recorder_opts o = c->g->o;
	int rc;

	o.utc = kbp_monitor_clock(c->mon, KBP_EPOCH_UTC, -1);
	o.clock_of = clock_of;
	o.clock_arg = c->mon;
	o.to_utc = to_utc;
	o.to_utc_arg = c;
	rc = kbp_recorder_open(&o, &c->rec, err);
	for (unsigned i = 0; !rc && i < c->n_queues; i++) {
		struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
		struct kbp_queue_info info;

		kbp_queue_info(c->q[i], &info);
		s.queue = c->q[i];
		rc = kbp_recorder_add(c->rec, &s, err);
		rc = rc < 0 ? rc : 0;
		c->burst = info.chain_max > c->burst ? info.chain_max : c->burst;
		/* a queue without stamps, or of a clock that nobody knows, has nothing to watch: its packets say so */
		if (info.ts_source != KBP_TS_NONE)
			kbp_queue_watch(c->q[i],
					kbp_monitor_clock(c->mon, info.ts_epoch, info.ts_phc), NULL);
	}
	return rc;
}

static int open_all(struct capture *c, struct kbp_error *err)
{
	struct timex t = { 0 };
	int rc = flows(c, false, err);

	c->tai_s = adjtimex(&t) < 0 ? 0 : t.tai;
	if (!rc)
		rc = cli_netns_enter(c->g->netns, err);
	if (!rc)
		rc = cli_monitor_open(&c->g->clock, &c->mon, err);
	if (!rc)
		rc = port_open(c, err);
	if (!rc)
		rc = recorder_open(c, err);
	if (!rc)
		rc = flows(c, true, err);
	return rc;
}

static int run_on_cpu(uint32_t cpu, struct kbp_error *err)
{
	cpu_set_t set;

	if (cpu == NOT_GIVEN)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 0;
	err->code = -errno;
	snprintf(err->step, sizeof(err->step), "run on CPU %u", cpu);
	snprintf(err->hint, sizeof(err->hint),
		 "%s: /sys/devices/system/cpu/online says which there are", strerror(errno));
	return err->code;
}

/* ---------------------------------------------------------------- the loop */

static const char *state_text(enum kbp_queue_state state)
{
	switch (state) {
	case KBP_QUEUE_GONE:
		return "the interface was removed";
	case KBP_QUEUE_OVERFLOWED:
		return "the device lost events, and how many packets with them is unknown";
	case KBP_QUEUE_RESET:
		return "the device was reset";
	case KBP_QUEUE_REPLACED:
		return "another program replaced our XDP program";
	default:
		return "the queue died";
	}
}

/* A link that is down may come back; everything else ends the capture. */
static bool queue_lives(struct capture *c, const struct kbp_queue *q)
{
	enum kbp_queue_state state = kbp_queue_state(q);

	if (state == KBP_QUEUE_UP || state == KBP_QUEUE_LINK_DOWN)
		return true;
	c->ended = state_text(state);
	c->dead = true;
	return false;
}

static unsigned poll_queue(struct capture *c, unsigned i, uint64_t left)
{
	struct kbp_frame f[CHAIN_MAX];
	struct kbp_queue_info info;
	unsigned max = left < c->burst ? (unsigned)left : c->burst, n;

	if (max < c->burst && c->burst > BURST) { /* never less than a whole chain */
		kbp_queue_info(c->q[i], &info);
		max = max < info.chain_max ? info.chain_max : max;
	}
	n = kbp_rx_peek(c->q[i], f, max);
	if (n) {
		kbp_recorder_frames(c->rec, i, f, n);
		kbp_rx_release(c->q[i], f, n);
	}
	return n;
}

static void say(const struct capture *c)
{
	struct kbp_recorder_stats st;

	kbp_recorder_stats(c->rec, &st);
	cli_progress("%" PRIu64 " packets received, %" PRIu64 " written, %" PRIu64
		     " waiting, %" PRIu64 " overrun, file %" PRIu64,
		     st.received, st.written, st.waiting, st.overrun, st.files);
}

/* False: enough. */
static bool go_on(struct capture *c, uint64_t begin, uint64_t *said)
{
	uint64_t now = now_ns();

	if (stop)
		c->ended = "signal";
	else if (c->g->seconds > 0 && (double)(now - begin) >= c->g->seconds * 1e9)
		c->ended = "seconds";
	else if (kbp_recorder_failed(c->rec))
		c->ended = "write error";
	if (now - *said >= 1000000000u) {
		*said = now;
		say(c);
	}
	return !c->ended;
}

static void receive(struct capture *c)
{
	uint64_t begin = now_ns(), said = begin, seen = 0, count = (uint64_t)c->g->count;
	unsigned idle = 0, turn = 0;

	while (!c->ended) {
		unsigned got = 0;

		for (unsigned i = 0; i < c->n_queues && !c->ended; i++) {
			got += poll_queue(c, i, count ? count - seen : UINT64_MAX);
			if (count && got) { /* chains are packets once */
				struct kbp_recorder_stats st;

				kbp_recorder_stats(c->rec, &st);
				seen = st.received;
				if (seen >= count)
					c->ended = "count";
			}
			queue_lives(c, c->q[i]);
		}
		idle = got ? 0 : idle + 1;
		if (c->ended)
			return;
		if (idle >= IDLE_POLLS)
			kbp_wait(c->q, c->n_queues, WAIT_NS);
		if ((idle >= IDLE_POLLS || ++turn % 256 == 0) && !go_on(c, begin, &said))
			return;
	}
}

/* ---------------------------------------------------------------- the account */

static void drop_add(struct capture *c, const char *name, uint64_t value)
{
	unsigned i = 0;

	while (i < c->n_drops && strcmp(c->drop[i].name, name) != 0)
		i++;
	if (i == NAMED_MAX)
		return;
	if (i == c->n_drops) {
		snprintf(c->drop[i].name, sizeof(c->drop[i].name), "%.31s", name);
		c->drop[i].value = 0;
		c->n_drops++;
	}
	c->drop[i].value += value;
}

static void account(struct capture *c)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < c->n_queues; i++) {
		struct kbp_counter k[COUNTERS_MAX];
		unsigned n = kbp_queue_counters(c->q[i], k, COUNTERS_MAX);

		for (unsigned j = 0; j < n && j < COUNTERS_MAX; j++)
			if (k[j].cls == KBP_COUNT_DROP && !(i && k[j].interface_wide))
				drop_add(c, k[j].name, k[j].value);
		if (!i || c->q[i]->rx_count->frames > most) {
			most = c->q[i]->rx_count->frames;
			kbp_queue_info(c->q[i], &c->queue);
		}
	}
	c->n_clocks = kbp_monitor_status(c->mon, c->clock, WITNESSES_MAX);
	c->n_clocks = c->n_clocks < WITNESSES_MAX ? c->n_clocks : WITNESSES_MAX;
}

static uint64_t lost(const struct capture *c)
{
	uint64_t sum = c->st.overrun + c->st.unwritten;

	for (unsigned i = 0; i < c->n_drops; i++)
		sum += c->drop[i].value;
	return sum;
}

static const char *const proof_names[] = { "none", "claimed", "bound", "proven" };
static const char *const source_names[] = { "application", "kernel", "driver", "nic" };
static const char *const epoch_names[] = { "none", "utc", "tai", "phc", "monotonic" };
static const char *const sync_names[] = { "unknown", "not", "in" };
static const char *const mode_names[] = { "auto",    "zerocopy", "copy",
					  "generic", "kernel",	 "emulated" };

static json_t *json_clocks(const struct capture *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->n_clocks; i++) {
		const struct kbp_clock_status *s = &c->clock[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:s}", "name", s->name,
						      "sync", sync_names[s->sync % 3], "cause",
						      kbp_clock_cause_name(s->cause), "bound_ns",
						      s->bound_ns == KBP_BOUND_UNKNOWN ?
							      json_null() :
							      json_integer((json_int_t)s->bound_ns),
						      "text", s->text));
	}
	return list;
}

static int print_json(const struct capture *c)
{
	const struct kbp_recorder_stats *st = &c->st;
	json_t *drops = json_object(), *sync = json_object(), *source = json_object(), *doc;

	for (unsigned i = 0; i < c->n_drops; i++)
		json_object_set_new(drops, c->drop[i].name,
				    json_integer((json_int_t)c->drop[i].value));
	for (unsigned i = 0; i < 3; i++)
		json_object_set_new(sync, sync_names[i], json_integer((json_int_t)st->sync[i]));
	for (unsigned i = 0; i < 4; i++)
		json_object_set_new(source, source_names[i], json_integer((json_int_t)st->source[i]));
	doc = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:b, s:b}, s:{s:s, s:s, s:s}}", "schema",
			SCHEMA, "interface", c->info.interface, "backend", c->info.backend, "ended",
			c->ended, "achieved", "mode", mode_names[c->queue.mode % 6], "proof",
			proof_names[c->queue.proof % 4], "emulated", (int)c->info.emulated,
			"virtual", (int)c->info.virtual_device, "stamps", "source",
			source_names[c->queue.ts_source % 4], "proof",
			proof_names[c->queue.ts_proof % 4], "epoch",
			epoch_names[c->queue.ts_epoch % 5]);
	json_object_update_new(
		doc, json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:s, s:o}",
			       "received", (json_int_t)st->received, "written",
			       (json_int_t)st->written, "capture_overrun", (json_int_t)st->overrun,
			       "capture_unwritten", (json_int_t)st->unwritten, "shortened",
			       (json_int_t)st->shortened, "drops", drops, "sync", sync, "sources",
			       source, "unsettled", (json_int_t)st->unsettled, "bytes",
			       (json_int_t)st->bytes, "files", (json_int_t)st->files, "last_file",
			       c->last_file, "clocks", json_clocks(c)));
	return cli_json(doc);
}

static void print_text(const struct capture *c)
{
	const struct kbp_recorder_stats *st = &c->st;

	printf("%s on %s, %s%s: ended by %s\n", c->info.backend, c->info.interface,
	       mode_names[c->queue.mode % 6],
	       c->info.emulated && c->queue.mode != KBP_MODE_EMULATED ? ", emulated" : "", c->ended);
	printf("received %" PRIu64 " = written %" PRIu64 " + capture_overrun %" PRIu64
	       " + capture_unwritten %" PRIu64 "\n",
	       st->received, st->written, st->overrun, st->unwritten);
	printf("dropped before:");
	for (unsigned i = 0; i < c->n_drops; i++)
		if (c->drop[i].value)
			printf(" %s %" PRIu64, c->drop[i].name, c->drop[i].value);
	printf(lost(c) == st->overrun + st->unwritten ? " none\n" : "\n");
	printf("times:");
	for (unsigned i = 4; i--;)
		if (st->source[i])
			printf(" %s %" PRIu64, source_names[i], st->source[i]);
	printf("%s; clock in sync %" PRIu64 ", not %" PRIu64 ", unknown %" PRIu64 "\n",
	       st->sync[0] + st->sync[1] + st->sync[2] ? "" : " none", st->sync[KBP_SYNC_IN],
	       st->sync[KBP_SYNC_NOT], st->sync[KBP_SYNC_UNKNOWN]);
	for (unsigned i = 0; i < c->n_clocks; i++) {
		const struct kbp_clock_status *s = &c->clock[i];

		printf("clock %s: %s%s (%s)%s%s\n", s->name,
		       s->sync == KBP_SYNC_IN ? "in sync" : sync_names[s->sync % 3],
		       s->sync == KBP_SYNC_NOT ? " in sync" : "", kbp_clock_cause_name(s->cause),
		       s->text[0] ? ": " : "", s->text);
	}
	printf("%" PRIu64 " bytes in %" PRIu64 " file%s, the last is %s\n", st->bytes, st->files,
	       st->files == 1 ? "" : "s", c->last_file);
}

static void close_all(struct capture *c)
{
	while (c->n_queues)
		kbp_queue_close(c->q[--c->n_queues], KBP_CLOSE_FORCE, NULL);
	kbp_port_close(c->port, NULL);
	kbp_monitor_close(c->mon);
}

/* Nothing was captured: no file stays, but for one that was there before, as it was. */
static void give_up(struct capture *c)
{
	kbp_recorder_abandon(c->rec);
	close_all(c);
}

int cmd_capture(int argc, char **argv)
{
	struct given g = { .o = KBP_RECORDER_OPTS_INIT, .cpu = NOT_GIVEN };
	struct sigaction on = { .sa_handler = on_signal };
	struct capture c = { .g = &g, .burst = BURST };
	struct kbp_error err, write_err;
	int n = parse(&g, argc, argv), rc, failed;

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	rc = read_options(&g);
	if (rc)
		return rc;
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGHUP, &on, NULL);
	signal(SIGPIPE, SIG_IGN);
	rc = open_all(&c, &err);
	if (!rc) /* after the threads were started, which run elsewhere */
		rc = run_on_cpu(g.cpu, &err);
	if (rc) {
		give_up(&c);
		return cli_fail(&err);
	}
	cli_progress("capturing on %s with %s", c.info.interface, c.info.backend);
	receive(&c);
	kbp_recorder_path(c.rec, c.last_file, sizeof(c.last_file));
	failed = kbp_recorder_close(c.rec, &c.st, &write_err);
	account(&c);
	close_all(&c);
	cli_progress_end();
	rc = CLI_OK;
	if (g.json)
		rc = print_json(&c);
	else
		print_text(&c);
	if (failed)
		return cli_fail(&write_err);
	if (c.dead)
		return cli_misuse("capture",
				  "%s: the capture ended early; what was written is whole", c.ended);
	return rc ? rc : lost(&c) ? CLI_FINDINGS : CLI_OK;
}
