/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.c - what to measure: options checked, CPUs chosen, the schedule made and cut into rounds.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/measure/explain.h"
#include "tools/measure/parts.h"

#define SECONDS_MAX 86400.0
#define ROUNDS 10u
#define PLANT_MAX_NS 1e6
#define GROUP_PORT 31001u /* MoldUDP64 feeds use such ports */

/* What is measured when nothing is named: what is built into libkbypass, and the modules that are there. */
static const char *const built_in[] = { "socket", "af_xdp" };
static const struct {
	const char *name;
	bool lab, wire; /* on a lab's devices, on interfaces that were named */
} modules[] = {
	{ "dpdk", false, true },	{ "dpdk:af_packet", true, false },
	{ "dpdk:af_xdp", true, false }, { "dpdk:memif", true, false },
	{ "ef_vi", false, true }, /* a lab's devices are nobody's adapter */
	{ "ef_vi_sim", true, true },
};

void kbp_bench_path(const char *listed, struct kbp_bench_path *path)
{
	size_t whole = strcspn(listed, "+~"), n;

	memset(path, 0, sizeof(*path));
	snprintf(path->base, sizeof(path->base), "%.*s", (int)whole, listed);
	n = strcspn(path->base, ":");
	snprintf(path->name, sizeof(path->name), "%.*s", (int)n, path->base);
	if (path->base[n])
		snprintf(path->pmd, sizeof(path->pmd), "%s", path->base + n + 1);
	path->memory = !strcmp(path->pmd, "memif");
	path->variant = listed[whole] != '\0';
	path->traced = !strcmp(listed + whole, "~traced");
	if (listed[whole] == '+')
		path->planted_ns = strtod(listed + whole + 1, NULL);
}

/* What stands behind a backend's name: nothing, or a delay to plant. */
static int variant_read(struct kbp_bench *b, const char *name, struct kbp_error *err)
{
	const char *at = name + strcspn(name, "+~");
	double ns;
	char *end;

	if (at - name >= 16 || (*at && at == name))
		return kbp_failf(err, -EINVAL, "names of backends have 1 to 15 characters",
				 "read the backend \"%s\"", name);
	if (!*at)
		return 0;
	ns = strtod(at + 1, &end);
	if (*at == '+' && at[1] >= '0' && at[1] <= '9' && !*end && ns <= PLANT_MAX_NS) {
		b->planting = true;
		return 0;
	}
	return kbp_failf(
		err, -EINVAL,
		"a delay in ns, up to a million, is planted by NAME+NS, like socket+18; socket+0 is "
		"the same thing twice",
		"read the backend \"%s\"", name);
}

/* One name of the list, blanks around it allowed. */
static int backend_read(struct kbp_bench *b, const char *at, size_t len, struct kbp_error *err)
{
	char *name = b->backend[b->n_backends];
	struct kbp_bench_path path;
	int rc;

	while (len && *at == ' ') {
		at++;
		len--;
	}
	while (len && at[len - 1] == ' ')
		len--;
	if (!len || len >= KBP_SUBJECT_MAX)
		return kbp_failf(err, -EINVAL,
				 "give names of backends with commas between, like socket,af_xdp",
				 "read the list of backends \"%.40s\"", b->o.backends);
	memcpy(name, at, len);
	rc = variant_read(b, name, err);
	if (rc)
		return rc;
	kbp_bench_path(name, &path);
	if (strchr(name, ':') && (strcmp(path.name, "dpdk") != 0 || !path.pmd[0]))
		return kbp_failf(
			err, -EINVAL,
			"only dpdk takes a driver behind a colon, like dpdk:af_xdp, dpdk:af_packet or "
			"dpdk:memif",
			"read the backend \"%s\"", name);
	for (uint32_t i = 0; i < b->n_backends; i++) {
		if (!strcmp(b->backend[i], name))
			return kbp_failf(err, -EINVAL, "name each backend once",
					 "read the list of backends \"%.40s\"", b->o.backends);
	}
	b->work[b->n_backends++].wanted = true;
	return 0;
}

/* Is there a module of that name? Asked in a child, because a module stays loaded. No interface can be
 * called "/": a backend that is there says so. */
static bool module_there(const char *name)
{
	pid_t pid = fork();
	int status = 1;

	if (!pid) {
		struct kbp_port *port;
		int rc = kbp_port_open(name, "/", NULL, &port, NULL);

		_exit(rc == -ENOENT || rc == -ENOEXEC);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

static void backends_default(struct kbp_bench *b)
{
	for (size_t i = 0; i < KBP_ARRAY_SIZE(built_in); i++)
		strcpy(b->backend[b->n_backends++], built_in[i]);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(modules); i++) {
		struct kbp_bench_path path;

		kbp_bench_path(modules[i].name, &path);
		if ((b->o.rx_ifname ? modules[i].wire : modules[i].lab) && module_there(path.name))
			strcpy(b->backend[b->n_backends++], modules[i].name);
	}
}

/* Is there a backend of every name? Asked before the first is measured, and in a child, because a
 * module stays loaded. No interface can be called "/": a backend that is there says so. */
static int backends_check(const struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_error *e =
		mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int rc;

	if (e == MAP_FAILED)
		return kbp_fail(err, -errno, "look for the backends", "%s", strerror(errno));
	pid = fork();
	if (!pid) {
		for (uint32_t i = 0; i < b->n_backends; i++) {
			struct kbp_bench_path path;
			struct kbp_port *port;

			kbp_bench_path(b->backend[i], &path);
			rc = kbp_port_open(path.name, "/", NULL, &port, e);
			if (rc == -ENOENT || rc == -ENOEXEC)
				break;
			memset(e, 0, sizeof(*e));
		}
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	rc = e->code;
	if (rc && err)
		*err = *e;
	munmap(e, sizeof(*e));
	return rc;
}

int kbp_bench_backends(struct kbp_bench *b, struct kbp_error *err)
{
	const char *at = b->o.backends;

	if (!at) {
		backends_default(b);
		return 0;
	}
	for (;;) {
		size_t len = strcspn(at, ",");
		int rc = backend_read(b, at, len, err);

		if (rc)
			return rc;
		at += len;
		if (!*at++)
			return backends_check(b, err);
		if (b->n_backends == KBP_BENCH_BACKENDS_MAX)
			return kbp_fail(err, -EINVAL, "read the list of backends",
					"at most %u can be compared", KBP_BENCH_BACKENDS_MAX);
	}
}

/* The highest CPU of `set` but `taken`; -1: none. Low CPUs tend to have the interrupts. */
int kbp_cpu_pick(const cpu_set_t *set, int taken)
{
	for (int c = CPU_SETSIZE - 1; c >= 0; c--) {
		if (CPU_ISSET((size_t)c, set) && c != taken)
			return c;
	}
	return -1;
}

int kbp_cpu_check(const cpu_set_t *set, int cpu, const char *who, struct kbp_error *err)
{
	if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((size_t)cpu, set))
		return 0;
	return kbp_failf(
		err, -EINVAL,
		"it is offline, or not among those this process may use: `taskset -pc $$` shows them",
		"put the %s on CPU %d", who, cpu);
}

static int cpus_choose(struct kbp_bench *b, struct kbp_error *err)
{
	cpu_set_t set;
	int rc = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return kbp_fail(err, -errno, "ask which CPUs may be used", "%s", strerror(errno));
	b->n_cpus = (uint32_t)CPU_COUNT(&set);
	if (b->n_cpus < 2)
		return kbp_fail(err, -EINVAL, "choose two CPUs",
				"this process may use one CPU only, and sender and receiver each spin on their own: run it "
				"where it may use two, for example with `taskset -c 0,1`");
	b->cpu_rx = b->o.cpu_rx - 1;
	b->cpu_tx = b->o.cpu_tx - 1;
	if (b->cpu_rx < 0)
		b->cpu_rx = kbp_cpu_pick(&set, b->cpu_tx);
	if (b->cpu_tx < 0)
		b->cpu_tx = kbp_cpu_pick(&set, b->cpu_rx);
	rc = kbp_cpu_check(&set, b->cpu_rx, "receiver", err);
	if (!rc)
		rc = kbp_cpu_check(&set, b->cpu_tx, "sender", err);
	if (!rc && b->cpu_rx == b->cpu_tx)
		rc = kbp_failf(err, -EINVAL, "both spin: give them two different CPUs",
			       "put sender and receiver on CPU %d", b->cpu_rx);
	return rc;
}

static int numbers_check(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_bench_opts *o = &b->o;
	uint32_t most;

	if (!(o->seconds >= 0) || o->seconds > SECONDS_MAX)
		return kbp_fail(err, -EINVAL, "read the options",
				"%g seconds: give a duration up to %g", o->seconds, SECONDS_MAX);
	if (o->rounds > KBP_RESULTS_ROUNDS_MAX)
		return kbp_fail(err, -EINVAL, "read the options", "%u rounds: at most %u",
				o->rounds, KBP_RESULTS_ROUNDS_MAX);
	if ((o->timing == KBP_TIMING_CONSTANT || o->timing == KBP_TIMING_POISSON) && !o->rate_pps &&
	    !o->n_rates && !o->rtt)
		return kbp_fail(err, -EINVAL, "read the options",
				"a rate of 0 packets per second sends nothing: give a rate");
	if (o->handler_delay_ns > 1000000000u)
		return kbp_fail(err, -EINVAL, "read the options",
				"a handler delay of %llu ns: at most 1 s",
				(unsigned long long)o->handler_delay_ns);
	if (!o->rx_ifname != !o->tx_ifname)
		return kbp_fail(
			err, -EINVAL, "read the options",
			"one interface is given: give both ends of the wire, or none for a lab");
	if (!o->rx_ifname && (o->rx_netns || o->tx_netns))
		return kbp_fail(
			err, -EINVAL, "read the options",
			"a namespace is given without its interface: name both interfaces too");
	if (o->rx_ring & (o->rx_ring - 1))
		return kbp_fail(err, -EINVAL, "read the options",
				"a ring of %u descriptors: give a power of two, like 1024 or 2048",
				o->rx_ring);
	if (o->capture && (o->feed || o->frame_bytes || o->flows))
		return kbp_fail(
			err, -EINVAL, "read the options",
			"a capture brings its own frames: feed, size and flows are the generator's");
	o->seconds = o->seconds > 0 ? o->seconds : 5;
	o->rounds = o->rounds ? o->rounds : ROUNDS;
	o->rx_burst = o->rx_burst ? o->rx_burst : 32;
	most = o->seconds < 2 * KBP_BENCH_ROUND_MIN_S ?
		       1 :
		       (uint32_t)(o->seconds / KBP_BENCH_ROUND_MIN_S);
	if (o->rounds > most) {
		kbp_finding_add(
			b->res, true, "rounds_reduced", "",
			"%u rounds instead of %u: one of less than %g s would be mostly warm-up",
			most, o->rounds, KBP_BENCH_ROUND_MIN_S);
		o->rounds = most;
	}
	return 0;
}

int kbp_bench_check(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = b->o.rtt ? kbp_pingpong_check(b, err) : 0; /* of what was given, not of defaults */

	if (!rc)
		rc = numbers_check(b, err);
	if (!rc)
		rc = kbp_sweep_check(b, err);
	if (!rc)
		rc = kbp_bench_backends(b, err);
	if (!rc)
		rc = cpus_choose(b, err);
	if (!rc && b->o.explain)
		rc = kbp_explain_plan(b, err);
	return rc;
}

/* ---------------------------------------------------------------- frames */

/* Where frames claim to come from. On one host that is both ends, its own address as a source would
 * be dropped as martian (net/ipv4/fib_frontend.c, __fib_validate_source): take one of the range for
 * benchmarks (RFC 2544). */
static struct kbp_addr source_address(const struct kbp_bench *b)
{
	struct kbp_addr a = b->net.host[KBP_LAB_TX].ip4;

	if (b->loopback || !a.family)
		a = (struct kbp_addr){ .family = AF_INET, .bytes = { 198, 18, 0, 1 } };
	return a;
}

static int generate(struct kbp_bench *b, const struct kbp_timing *t, struct kbp_error *err)
{
	struct kbp_generator_opts g = { .size = sizeof(g) };

	g.profile = b->o.feed;
	g.frame_bytes = b->o.frame_bytes;
	g.n_flows = b->o.flows;
	g.seed = b->o.seed;
	g.flow.dst = (struct kbp_addr){ .family = AF_INET, .bytes = { 239, 77, 0, 1 } };
	g.flow.dst_port = GROUP_PORT;
	g.flow.src = source_address(b);
	g.flow.src_port = GROUP_PORT;
	memcpy(g.src_mac, b->net.host[KBP_LAB_TX].mac, 6);
	memcpy(g.dst_mac, b->net.host[KBP_LAB_RX].mac, 6);
	return kbp_schedule_generate(&g, t, &b->whole, err);
}

static bool go_on(void *arg)
{
	return kbp_bench_tell(arg, "reading the capture");
}

static int replay(struct kbp_bench *b, const struct kbp_timing *t, struct kbp_error *err)
{
	struct kbp_capture_opts c = { .size = sizeof(c),
				      .flags = KBP_CAPTURE_SOURCE,
				      .go_on = go_on,
				      .arg = b };

	memcpy(c.from_mac, b->net.host[KBP_LAB_TX].mac, 6);
	memcpy(c.to_mac, b->net.host[KBP_LAB_RX].mac, 6);
	c.from_ip4 = source_address(b);
	c.from_ip6 = b->net.host[KBP_LAB_TX].ip6;
	c.to_ip4 = b->net.host[KBP_LAB_RX].ip4;
	c.to_ip6 = b->net.host[KBP_LAB_RX].ip6;
	return kbp_schedule_from_capture(b->o.capture, &c, t, &b->whole, &b->capture, err);
}

/* One schedule for all rounds: round r sends its r-th part, so that a long capture is replayed
 * whole. */
int kbp_bench_schedule(struct kbp_bench *b, uint64_t rate_pps, struct kbp_error *err)
{
	struct kbp_timing t = { .kind = b->o.timing,
				.rate_pps = rate_pps,
				.speed = b->o.speed,
				.seconds = b->o.seconds,
				.seed = b->o.seed,
				.gap_ns = b->o.burst_gap_ns };

	return b->o.capture ? replay(b, &t, err) : generate(b, &t, err);
}

int kbp_slice_make(struct kbp_slice *sl, const struct kbp_schedule *whole, uint64_t first, uint64_t n)
{
	uint64_t base, at;

	sl->frames = malloc((n ? n : 1) * sizeof(*sl->frames));
	if (!sl->frames)
		return -ENOMEM;
	kbp_schedule_at(whole, first, &base);
	for (uint64_t i = 0; i < n; i++) {
		sl->frames[i] = whole->frames[kbp_schedule_at(whole, first + i, &at)];
		sl->frames[i].at_ns = at - base;
	}
	sl->s = *whole;
	sl->s.frames = sl->frames;
	sl->s.n_frames = (uint32_t)n;
	sl->s.n_total = n;
	sl->s.times = NULL;
	sl->s.timing = (struct kbp_timing){ .kind = KBP_TIMING_RECORDED };
	sl->s.period_ns = n ? sl->frames[n - 1].at_ns + 1 : 1;
	sl->s.map_len = 0; /* not a mapping of its own */
	return 0;
}

void kbp_slice_free(struct kbp_slice *sl)
{
	free(sl->frames);
	memset(sl, 0, sizeof(*sl));
}
