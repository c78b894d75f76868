/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - a schedule through a backend's own way of sending, and how well its times were kept: by the
 * CPU's counter when a frame was handed over, and by the stamps that sent frames come back with. The two are
 * never mixed.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/internal.h"
#include "tools/traffic/pairs.h"
#include "tools/traffic/schedule.h"

#define SOCKET_RING 8192u /* completions wait for their stamps, up to 50 ms */
#define CARRIER_MS 10000
#define FIFO_PRIORITY 10
#define DIGEST_MAX (1u << 28) /* frames: some seconds */

struct kbp_replay {
	const struct kbp_schedule *s;
	struct kbp_replay_opts opts;
	struct kbp_tsc tsc;
	struct kbp_pairs pairs;
	bool comparable; /* stamps have a clock that can be read: pairs is open */
	struct kbp_port *port;
	struct kbp_queue *q;
	struct kbp_txflow **txflow; /* one raw, or one for each flow */
	uint32_t n_txflows;
	bool raw;
	struct kbp_sender *snd;
	uint64_t n_timed;
	uint64_t *sent_ticks, *stamps_ns; /* one mapping */
	size_t map_bytes;
	char passed_over[256];
	char no_clock[256]; /* why stamps cannot be compared */
};

/* ---------------------------------------------------------------- open */

static int port_open(struct kbp_replay *rp, const char *backend, struct kbp_error *err)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	uint32_t flags = rp->opts.flags;
	int rc;

	po.mode = rp->opts.mode;
	po.args = rp->opts.args;
	po.label = "replay";
	po.flags = (flags & KBP_REPLAY_STRICT ? KBP_PORT_STRICT : 0u) |
		   (flags & KBP_REPLAY_STAMPING ? KBP_PORT_STAMPING : 0u);
	rc = kbp_port_open(backend, rp->opts.ifname, &po, &rp->port, err);
	if (rc)
		return rc;
	/* completions tell frames that are refused after they were accepted */
	qo.flags = KBP_QUEUE_TX | KBP_QUEUE_COMPLETIONS |
		   (flags & KBP_REPLAY_NO_STAMPS ? 0u : KBP_QUEUE_TX_STAMPS);
	qo.tx_ring = rp->opts.tx_ring		? rp->opts.tx_ring :
		     !strcmp(backend, "socket") ? SOCKET_RING :
						  0;
	rc = kbp_queue_open(rp->port, &qo, &rp->q, err);
	if (rc) {
		kbp_port_close(rp->port, NULL);
		rp->port = NULL;
	}
	return rc;
}

/* The named backend, or the first that opens. What stops any backend is an error of the first. */
static int backend_open(struct kbp_replay *rp, struct kbp_error *err)
{
	struct kbp_error e = { 0 };
	int rc;

	if (rp->opts.backend)
		return port_open(rp, rp->opts.backend, err);
	rc = port_open(rp, "af_xdp", &e);
	if (!rc)
		return 0;
	if (rc == -ENODEV || rp->opts.flags & KBP_REPLAY_STRICT) {
		if (err)
			*err = e;
		return rc;
	}
	snprintf(rp->passed_over, sizeof(rp->passed_over), "%.90s: %.160s", e.step, e.hint);
	return port_open(rp, "socket", err);
}

/* Down by somebody's will: no carrier comes. */
static bool is_down(const char *ifname)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };
	bool down;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	down = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &req) && !(req.ifr_flags & IFF_UP);
	if (fd >= 0)
		close(fd);
	return down;
}

/* Attaching native XDP takes the link of some drivers down for seconds. */
static int carrier_wait(const struct kbp_replay *rp, struct kbp_error *err)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < CARRIER_MS && kbp_queue_state(rp->q) == KBP_QUEUE_LINK_DOWN; i++) {
		if (i % 100 == 0 && is_down(rp->opts.ifname))
			break;
		nanosleep(&ms, NULL);
	}
	if (kbp_queue_state(rp->q) == KBP_QUEUE_UP)
		return 0;
	return kbp_failf(err, -ENETDOWN,
			 "it is down, or has no carrier: `ip link set NAME up`, or mend the link",
			 "replay on %s", rp->opts.ifname);
}

static int mtu_check(const struct kbp_replay *rp, const struct kbp_port_info *info,
		     struct kbp_error *err)
{
	if (rp->s->mtu_min <= info->mtu)
		return 0;
	return kbp_failf(err, -EMSGSIZE,
			 "raise it with `ip link set NAME mtu N`, here and at the receiver, or replay "
			 "smaller frames",
			 "replay on %s: its MTU is %u, the longest frame of %u bytes needs %u",
			 rp->opts.ifname, info->mtu, rp->s->len_max, rp->s->mtu_min);
}

/* One for each flow: the kernel makes the headers. */
static int flows_open(struct kbp_replay *rp, struct kbp_error *err)
{
	const struct kbp_schedule *s = rp->s;
	int rc = 0;

	for (; rp->n_txflows < s->n_flows && !rc; rp->n_txflows += !rc) {
		const struct kbp_flow *f = &s->flows[rp->n_txflows];

		if (f->vlan)
			rc = kbp_failf(err, -EOPNOTSUPP,
				       "the kernel makes the headers, and tags are the VLAN interface's: "
				       "use af_xdp, dpdk or ef_vi for whole frames",
				       "replay frames tagged with VLAN %u by socket", f->vlan);
		else
			rc = kbp_txflow_open(rp->q, f, &rp->txflow[rp->n_txflows], err);
		if (rc == -EMFILE)
			rc = kbp_failf(err, rc,
				       "each flow takes a descriptor: raise `ulimit -n`, or use af_xdp, "
				       "dpdk or ef_vi",
				       "open socket %u of %u", rp->n_txflows + 1, s->n_flows);
	}
	return rc;
}

static int txflows_open(struct kbp_replay *rp, struct kbp_error *err)
{
	struct kbp_queue_info info;
	int rc;

	kbp_queue_info(rp->q, &info);
	rp->raw = info.l2;
	rp->txflow = calloc(rp->raw ? 1 : rp->s->n_flows, sizeof(struct kbp_txflow *));
	if (!rp->txflow)
		return kbp_fail(err, -ENOMEM, "open the txflows", "no memory");
	if (!rp->raw)
		return flows_open(rp, err);
	rc = kbp_txflow_open_raw(rp->q, &rp->txflow[0], err);
	rp->n_txflows = !rc;
	return rc;
}

static int times_alloc(struct kbp_replay *rp, struct kbp_error *err)
{
	void *p;

	rp->n_timed = rp->s->n_total < KBP_REPLAY_TIMED_MAX ? rp->s->n_total : KBP_REPLAY_TIMED_MAX;
	rp->map_bytes = 2 * rp->n_timed * sizeof(uint64_t);
	p = mmap(NULL, rp->map_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return kbp_fail(err, -ENOMEM, "make room for the times of sent frames",
				"no memory for %llu frames", (unsigned long long)rp->n_timed);
	rp->sent_ticks = p;
	rp->stamps_ns = rp->sent_ticks + rp->n_timed;
	return 0;
}

/* The clock first, so that pairs lie around the calibration too. */
static int clock_open(struct kbp_replay *rp, struct kbp_error *err)
{
	struct kbp_queue_info info;
	struct kbp_error e = { 0 };
	int rc = kbp_tsc_calibrate(&rp->tsc, KBP_TSC_CALIBRATE_MS_MIN, err);

	if (rc)
		return rc;
	kbp_queue_info(rp->q, &info);
	rc = kbp_pairs_open(&rp->pairs, info.ts_source_tx, info.ts_epoch_tx, info.ts_phc, &rp->tsc,
			    &e);
	rp->comparable = !rc;
	if (info.ts_source_tx == KBP_TS_NONE)
		snprintf(rp->no_clock, sizeof(rp->no_clock), "sent frames come back without%s%s",
			 info.note[0] ? ": " : "", info.note);
	else if (rc)
		snprintf(rp->no_clock, sizeof(rp->no_clock), "%.90s: %.160s", e.step, e.hint);
	return 0;
}

static void tend(uint64_t now, void *arg)
{
	struct kbp_replay *rp = arg;

	if (rp->comparable)
		kbp_pairs_tend(&rp->pairs, now);
}

static int sender_open(struct kbp_replay *rp, struct kbp_error *err)
{
	struct kbp_sender_opts o = { .size = sizeof(o) };

	o.tsc = &rp->tsc;
	o.cpu = rp->opts.cpu;
	o.retry_ns = rp->opts.retry_ns;
	o.stop = rp->opts.stop;
	o.sent_ticks = rp->sent_ticks;
	o.stamps_ns = rp->stamps_ns;
	o.n_record = rp->n_timed;
	o.idle = tend;
	o.idle_arg = rp;
	if (rp->raw)
		o.txflow = rp->txflow[0];
	else
		o.txflows = rp->txflow;
	return kbp_sender_open(rp->s, &o, &rp->snd, err);
}

static int cpu_check(int cpu, struct kbp_error *err)
{
	cpu_set_t set;

	if (!cpu || (cpu > 0 && cpu <= CPU_SETSIZE && !sched_getaffinity(0, sizeof(set), &set) &&
		     CPU_ISSET((size_t)cpu - 1, &set)))
		return 0;
	return kbp_failf(
		err, -EINVAL,
		"it is offline, or not among those this process may use: `taskset -pc $$` shows them",
		"send on CPU %d", cpu - 1);
}

static int open_all(struct kbp_replay *rp, struct kbp_error *err)
{
	struct kbp_port_info info;
	int rc = cpu_check(rp->opts.cpu, err);

	if (!rc)
		rc = backend_open(rp, err);
	if (rc)
		return rc;
	kbp_port_info(rp->port, &info);
	rc = mtu_check(rp, &info, err);
	if (!rc)
		rc = carrier_wait(rp, err);
	if (!rc)
		rc = txflows_open(rp, err);
	if (!rc)
		rc = times_alloc(rp, err);
	if (!rc)
		rc = clock_open(rp, err);
	return rc ? rc : sender_open(rp, err);
}

int kbp_replay_open(const struct kbp_schedule *s, const struct kbp_replay_opts *opts,
		    struct kbp_replay **out, struct kbp_error *err)
{
	struct kbp_replay *rp;
	int rc;

	*out = NULL;
	if (opts->size != sizeof(*opts))
		return kbp_fail(
			err, -EINVAL, "open a replay",
			"opts->size is not sizeof(struct kbp_replay_opts): set it, or rebuild the program");
	if (!opts->ifname || !*opts->ifname)
		return kbp_fail(err, -EINVAL, "open a replay",
				"no interface: name one, see `ip link`");
	rp = calloc(1, sizeof(*rp));
	if (!rp)
		return kbp_fail(err, -ENOMEM, "open a replay", "no memory");
	rp->s = s;
	rp->opts = *opts;
	rp->pairs.fd = -1;
	rc = open_all(rp, err);
	if (rc) {
		kbp_replay_close(rp);
		return rc;
	}
	*out = rp;
	return 0;
}

void kbp_replay_close(struct kbp_replay *rp)
{
	if (!rp)
		return;
	kbp_sender_close(rp->snd);
	while (rp->n_txflows)
		kbp_txflow_close(rp->txflow[--rp->n_txflows]);
	free(rp->txflow);
	if (rp->q)
		kbp_queue_close(rp->q, KBP_CLOSE_FORCE, NULL);
	if (rp->port)
		kbp_port_close(rp->port, NULL);
	kbp_pairs_close(&rp->pairs);
	if (rp->sent_ticks)
		munmap(rp->sent_ticks, rp->map_bytes);
	free(rp);
}

/* ---------------------------------------------------------------- figures */

static int by_value(const void *a, const void *b)
{
	int64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static int64_t rank(const int64_t *sorted, size_t n, unsigned permille)
{
	size_t at = (n * permille + 999) / 1000;

	return sorted[at ? at - 1 : 0];
}

/* Sorts. */
static void spread(int64_t *v, size_t n, struct kbp_spread *s)
{
	memset(s, 0, sizeof(*s));
	s->samples = n;
	if (!n)
		return;
	qsort(v, n, sizeof(*v), by_value);
	s->min_ns = v[0];
	s->p50_ns = rank(v, n, 500);
	s->p90_ns = rank(v, n, 900);
	s->p99_ns = rank(v, n, 990);
	s->p999_ns = rank(v, n, 999);
	s->max_ns = v[n - 1];
}

static int64_t span_ns(const struct kbp_tsc *tsc, uint64_t from, uint64_t to)
{
	return to >= from ? (int64_t)kbp_tsc_ns(tsc, to - from) :
			    -(int64_t)kbp_tsc_ns(tsc, from - to);
}

/* at_ticks[i]: when frame i went, by some clock that was converted; 0: not known. */
static void times_of(const struct kbp_replay *rp, const struct kbp_replay_result *r,
		     const uint64_t *at_ticks, int64_t *room, struct kbp_replay_times *t)
{
	size_t n = 0;
	int64_t before_late = 0;
	uint64_t at_ns;

	for (uint64_t i = 0; i < rp->n_timed; i++) {
		if (!at_ticks[i])
			continue;
		kbp_schedule_at(rp->s, i, &at_ns);
		room[n++] = span_ns(&rp->tsc, r->tx.start_ticks + kbp_tsc_ticks(&rp->tsc, at_ns),
				    at_ticks[i]);
	}
	spread(room, n, &t->late);
	/* apart, minus as meant: what the second frame is later than the first */
	n = 0;
	for (uint64_t i = 0; i < rp->n_timed; i++) {
		int64_t late;

		if (!at_ticks[i])
			continue;
		kbp_schedule_at(rp->s, i, &at_ns);
		late = span_ns(&rp->tsc, r->tx.start_ticks + kbp_tsc_ticks(&rp->tsc, at_ns),
			       at_ticks[i]);
		if (i && at_ticks[i - 1])
			room[n++] = late > before_late ? late - before_late : before_late - late;
		before_late = late;
	}
	spread(room, n, &t->gap);
}

/* Stamps become ticks, in place; what cannot be compared becomes 0. */
static void stamps_convert(struct kbp_replay *rp, struct kbp_replay_result *r)
{
	uint64_t ticks, error_ns;

	for (uint64_t i = 0; i < rp->n_timed; i++) {
		uint64_t ns = rp->stamps_ns[i], sent = rp->sent_ticks[i];

		rp->stamps_ns[i] = 0;
		if (!sent)
			continue;
		if (!ns || !kbp_pairs_ticks(&rp->pairs, ns, &ticks, &error_ns)) {
			r->unstamped++;
			continue;
		}
		if (ticks + kbp_tsc_ticks(&rp->tsc, error_ns) < sent) {
			r->impossible++;
			continue;
		}
		rp->stamps_ns[i] = ticks;
		if (error_ns > r->stamp_error_ns)
			r->stamp_error_ns = error_ns;
	}
}

static void stamps_judge(struct kbp_replay *rp, struct kbp_replay_result *r, int64_t *room)
{
	const char *why = NULL;

	r->stepped = rp->comparable && rp->pairs.stepped;
	if (!rp->comparable)
		why = rp->no_clock;
	else if (r->stepped)
		why = "the stamps' clock was set while frames were sent";
	else if (r->queue.ts_proof_tx != KBP_PROVEN)
		why = "no plausible stamp that moves on was seen";
	if (why) {
		snprintf(r->no_stamps, sizeof(r->no_stamps), "%s", why);
		for (uint64_t i = 0; i < rp->n_timed; i++)
			r->unstamped += rp->sent_ticks[i] != 0;
		return;
	}
	stamps_convert(rp, r);
	times_of(rp, r, rp->stamps_ns, room, &r->stamp);
	if (!r->stamp.late.samples)
		snprintf(r->no_stamps, sizeof(r->no_stamps),
			 "no sent frame has a stamp that can be compared");
}

static void digest(const struct kbp_replay *rp, struct kbp_replay_result *r)
{
	const uint64_t n = rp->s->n_total, *sent = rp->n_timed == n ? rp->sent_ticks : NULL;

	if ((!sent && r->tx.sent != n) || n > DIGEST_MAX ||
	    kbp_schedule_digest(rp->s, sent, r->digest))
		r->digest[0] = '\0';
}

static int figures(struct kbp_replay *rp, struct kbp_replay_result *r, struct kbp_error *err)
{
	int64_t *room = malloc((rp->n_timed + 1) * sizeof(*room));

	if (!room)
		return kbp_fail(err, -ENOMEM, "see how well times were kept", "no memory");
	for (uint64_t i = 0; i < rp->n_timed; i++)
		r->timed += rp->sent_ticks[i] != 0;
	digest(rp, r);
	times_of(rp, r, rp->sent_ticks, room, &r->handed);
	stamps_judge(rp, r, room);
	free(room);
	return 0;
}

/* ---------------------------------------------------------------- run */

static int fifo_begin(const struct kbp_replay *rp, struct sched_param *before)
{
	struct sched_param fifo = { .sched_priority = FIFO_PRIORITY };
	int policy = sched_getscheduler(0);

	if (!(rp->opts.flags & KBP_REPLAY_FIFO) || policy < 0 || sched_getparam(0, before) ||
	    sched_setscheduler(0, SCHED_FIFO, &fifo))
		return -1;
	return policy;
}

int kbp_replay_run(struct kbp_replay *rp, struct kbp_replay_result *r, struct kbp_error *err)
{
	struct sched_param before;
	int policy, rc, failed;

	memset(r, 0, sizeof(*r));
	r->scheduled = r->tx.unsent = rp->s->n_total;
	r->frames = rp->raw;
	memcpy(r->passed_over, rp->passed_over, sizeof(r->passed_over));
	kbp_port_info(rp->port, &r->port);
	if (rp->pairs.stepped) { /* in an earlier run */
		rp->pairs.stepped = false;
		rp->pairs.n = 0;
	}
	if (rp->comparable)
		kbp_pairs_take(&rp->pairs);
	policy = fifo_begin(rp, &before);
	r->fifo = policy >= 0;
	rc = kbp_sender_run(rp->snd, &r->tx, err);
	if (policy >= 0)
		sched_setscheduler(0, policy, &before);
	if (rp->comparable)
		kbp_pairs_take(&rp->pairs);
	kbp_port_info(rp->port, &r->port);
	kbp_queue_info(rp->q, &r->queue);
	failed = figures(rp, r, rc ? NULL : err);
	return rc ? rc : failed;
}
