/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * receiver.c - the receiving process of one round: what a strategy process would be, with a record
 * instead of a strategy. Between READY and DONE its loop makes no system call of its own, allocates
 * nothing and touches only memory that is there.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tools/measure/host.h"
#include "tools/measure/plant.h"
#include "tools/measure/record.h"

#define QUIET_NS 200000000ull /* nothing for so long after the last send: all there is has come */
#define DELAY_AFTER_NS 10000000000ull	/* a planted delay ends so long after the last send */
#define DRAIN_NS 30000000000ull		/* whatever still comes then belongs to nobody */
#define ONE_BUFFER_BYTES (2048u - 256u) /* a buffer of the usual size without its headroom */
#define MTU_ONE_BUFFER 3498u /* native XDP without multi-buffer ends there on most drivers */

struct receiver {
	struct kbp_bench *b;
	struct kbp_round_shared *sh;
	const struct kbp_schedule *s;
	uint64_t delay_ticks;
	struct kbp_plant plant;
	bool traced;
	struct kbp_record rec;
	bool stamps;
	uint64_t pair_at; /* tick of the next look at the stamps' clock; UINT64_MAX: never */
	/* a packet in parts */
	uint64_t part_ticks, part_stamp;
	uint32_t part_len, part_total;
	int part_flow; /* -1: none under way, or not ours */
	bool in_parts;
	uint8_t parts[65536];
	struct kbp_port *port;
	struct kbp_queue *q[KBP_BENCH_QUEUES_MAX];
	unsigned n_queues;
};

/* ---------------------------------------------------------------- the handler */

static inline void record(struct receiver *r, uint64_t ticks, uint64_t stamp, const void *payload,
			  uint32_t len, int flow)
{
	if (KBP_LIKELY(kbp_record_wants(&r->rec, flow)))
		kbp_record_add(&r->rec, ticks, stamp, kbp_payload_hash(payload, len), len, flow);
}

static void part_begin(struct receiver *r, uint64_t ticks, uint64_t stamp,
		       const struct kbp_datagram *d, int flow)
{
	r->in_parts = true;
	r->part_stamp = stamp;
	r->part_ticks = ticks;
	r->part_flow = flow;
	r->part_total = d->total_len < sizeof(r->parts) ? d->total_len : (uint32_t)sizeof(r->parts);
	r->part_len = d->len < r->part_total ? d->len : r->part_total;
	memcpy(r->parts, d->payload, r->part_len);
}

static void part_add(struct receiver *r, const struct kbp_frame *f)
{
	uint32_t room = r->part_total - r->part_len, n = f->len < room ? f->len : room;

	memcpy(r->parts + r->part_len, f->data, n);
	r->part_len += n;
	if (f->flags & KBP_FRAME_MORE)
		return;
	r->in_parts = false;
	record(r, r->part_ticks, r->part_stamp, r->parts, r->part_len, r->part_flow);
}

static inline unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct receiver *r = arg;
	struct kbp_datagram d;
	uint64_t ticks, stamp_ns = 0;
	int flow = -1;

	if (KBP_UNLIKELY(r->plant.on))
		kbp_plant_work(r->plant.n);
	ticks = kbp_tsc_now(); /* first of all: the application holds the pointer from here on */
	if (KBP_UNLIKELY(r->stamps)) {
		struct kbp_stamp stamp = kbp_frame_ts(rx, &f);

		stamp_ns = stamp.flags & KBP_FRAME_TS ? stamp.ns : 0;
	}
	if (KBP_UNLIKELY(r->in_parts)) {
		part_add(r, &f);
		return KBP_DONE;
	}
	if (KBP_LIKELY(kbp_datagram(rx.q, &f, &d) == KBP_PARSE_OK)) {
		flow = kbp_schedule_flow(r->s, &d);
	} else {
		d.payload = f.data;
		d.len = d.total_len = 0;
	}
	if (KBP_UNLIKELY(f.flags & KBP_FRAME_MORE))
		part_begin(r, ticks, stamp_ns, &d, flow);
	else
		record(r, ticks, stamp_ns, d.payload, d.len, flow);
	if (KBP_UNLIKELY(r->delay_ticks)) {
		while (kbp_tsc_now() - ticks < r->delay_ticks)
			;
	}
	return KBP_DONE;
}

/* ---------------------------------------------------------------- the loop */

/* The stamps' clock beside ours. While frames come in a row this is put off, up to ten times as long. */
static void pair_take(struct receiver *r, uint64_t now, bool busy)
{
	struct kbp_pairs *c = &r->sh->pairs;

	if (busy && now - r->pair_at < 10 * c->every)
		return;
	kbp_pairs_take(c);
	r->pair_at = now + c->every;
}

/* Between two looks at the counter nothing was received, and more time passed than a poll takes. */
static void gap_note(struct receiver *r, uint64_t begin, uint64_t end)
{
	uint32_t n = r->sh->n_gaps;

	if (n == KBP_BENCH_GAPS_MAX)
		return;
	r->b->gaps[n][0] = begin;
	r->b->gaps[n][1] = end;
	r->sh->n_gaps = n + 1;
}

/* Returns 0, or the state of the queue that died. */
static uint32_t receive_until_quiet(struct receiver *r)
{
	const struct kbp_tsc *tsc = &r->b->tsc;
	const uint64_t quiet = kbp_tsc_ticks(tsc, QUIET_NS), drain = kbp_tsc_ticks(tsc, DRAIN_NS),
		       delay_after = kbp_tsc_ticks(tsc, DELAY_AFTER_NS);
	const uint32_t burst = r->b->o.rx_burst;
	/* never, unless somebody asks */
	const uint64_t gap = r->traced ? kbp_tsc_ticks(tsc, KBP_BENCH_GAP_NS) : UINT64_MAX;
	uint64_t last = kbp_tsc_now(), ended = 0, before = last;

	for (;;) {
		unsigned got = 0;
		uint64_t now;

		for (unsigned i = 0; i < r->n_queues; i++) {
			got += kbp_rx_each(kbp_rx_of(r->q[i]), burst, on_frame, r);
			if (KBP_UNLIKELY(kbp_queue_state(r->q[i]) != KBP_QUEUE_UP))
				return kbp_queue_state(r->q[i]);
		}
		now = kbp_tsc_now();
		if (got)
			last = now;
		else if (KBP_UNLIKELY(now - before > gap))
			gap_note(r, before, now);
		before = now;
		if (KBP_UNLIKELY(now >= r->pair_at))
			pair_take(r, now, got != 0);
		if (KBP_LIKELY(__atomic_load_n(&r->sh->tx_stage, __ATOMIC_ACQUIRE) < KBP_STAGE_DONE))
			continue;
		if (!ended)
			last = ended = now;
		if (now - last > quiet)
			return 0;
		if (now - ended > delay_after)
			r->delay_ticks = 0;
		if (now - ended > drain) {
			r->sh->drain_cut = true;
			return 0;
		}
	}
}

/* ---------------------------------------------------------------- open, close */

static int open_all(struct receiver *r, const char *backend, struct kbp_error *err)
{
	const struct kbp_bench *b = r->b;
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_port_info info;
	int rc, n;

	po.mode = b->o.mode;
	po.flags = b->o.strict ? KBP_PORT_STRICT : 0;
	po.label = "bench";
	rc = kbp_bench_port(b, backend, KBP_LAB_RX, &po, &r->port, err);
	if (rc)
		return rc;
	qo.flags = KBP_QUEUE_RX | (b->o.stamps ? KBP_QUEUE_RX_STAMPS : 0u);
	kbp_port_info(r->port, &info);
	if (b->whole->len_max > ONE_BUFFER_BYTES || info.mtu > MTU_ONE_BUFFER)
		qo.flags |= KBP_QUEUE_MULTI_BUFFER;
	qo.rx_ring = b->o.rx_ring;
	qo.rcvbuf_bytes = b->o.rcvbuf_bytes;
	n = kbp_queues_open(r->port, &qo, r->q, KBP_BENCH_QUEUES_MAX, err);
	if (n < 0)
		return n;
	r->n_queues = (unsigned)n;
	for (uint32_t i = 0; i < r->s->n_flows; i++) {
		struct kbp_flow flow = r->s->flows[i];

		/* no switch there, and no VLAN interface; or no interface at all */
		if ((b->lab && flow.vlan) || !info.ifindex)
			flow.flags |= KBP_FLOW_NO_JOIN;
		rc = kbp_flow_add(r->q[0], &flow, NULL, err);
		if (rc)
			return rc;
	}
	if (info.ifindex)
		kbp_end_carrier(r->q[0]);
	return 0;
}

/* The clock that the stamps are of, if it can be read. */
static void clock_open(struct receiver *r)
{
	struct kbp_round_shared *sh = r->sh;
	struct kbp_queue_info *q = &sh->stamps;
	struct kbp_error e = { 0 };

	r->pair_at = UINT64_MAX;
	if (!r->b->o.stamps)
		return;
	kbp_queue_info(r->q[0], q);
	if (q->ts_source == KBP_TS_NONE) {
		snprintf(sh->no_pairs, sizeof(sh->no_pairs),
			 "received frames have no stamps%s%.159s", q->note[0] ? ": " : "", q->note);
	} else if (kbp_pairs_open(&sh->pairs, q->ts_source, q->ts_epoch, q->ts_phc, &r->b->tsc, &e)) {
		snprintf(sh->no_pairs, sizeof(sh->no_pairs), "%.60s: %.90s", e.step, e.hint);
	} else {
		sh->have_pairs = r->stamps = true;
		kbp_record_stamps(&r->rec, r->b->stamps_ns);
		r->pair_at = kbp_tsc_now();
	}
}

/* On the CPU it will run on. */
static void plant(struct receiver *r)
{
	struct kbp_bench_path path;

	kbp_bench_path(r->b->at.backend, &path);
	r->traced = path.traced;
	r->plant.on = r->b->planting;
	if (path.planted_ns > 0)
		r->plant.n = kbp_plant_calibrate(&r->b->tsc, path.planted_ns, &r->sh->planted_ns);
}

/* After open_all: the port's monitor thread keeps the scheduling it was started with. */
static int settle(struct receiver *r, struct kbp_error *err)
{
	int rc;

	memset(r->parts, 0, sizeof(r->parts));
	rc = kbp_end_settle(r->b->cpu_rx, r->b->o.fifo, "receiver", &r->sh->rx_locked,
			    &r->sh->rx_fifo, err);
	if (!rc)
		plant(r);
	return rc;
}

static void report(struct receiver *r)
{
	struct kbp_round_shared *sh = r->sh;
	const struct kbp_end_counts to = { sh->drop, sh->cause, &sh->n_drops, &sh->n_causes };

	kbp_end_counters(r->q, r->n_queues, &to, &sh->queue);
	kbp_end_port(r->port, &sh->port);
	kbp_libraries_seen(sh->libraries, sizeof(sh->libraries));
	sh->n_queues = r->n_queues;
	sh->n_records = (uint64_t)(r->rec.next - r->rec.first);
	sh->overflow = r->rec.overflow;
	sh->foreign = r->rec.foreign;
}

static void close_all(struct receiver *r)
{
	while (r->n_queues)
		kbp_queue_close(r->q[--r->n_queues], KBP_CLOSE_FORCE, NULL);
	kbp_port_close(r->port, NULL);
	__atomic_store_n(&r->sh->rx_closed, 1, __ATOMIC_RELEASE);
}

int kbp_bench_receive(struct kbp_bench *b, const char *backend)
{
	static struct receiver r; /* a forked process has its own */
	struct kbp_round_shared *sh = b->sh;
	uint32_t dead;
	int rc;

	r.b = b;
	r.sh = sh;
	r.s = &b->slice.s;
	kbp_record_init(&r.rec, b->records, b->records_max);
	r.delay_ticks = kbp_tsc_ticks(&b->tsc, b->o.handler_delay_ns);
	rc = open_all(&r, backend, &sh->rx_error);
	if (!rc)
		rc = settle(&r, &sh->rx_error);
	if (!rc)
		clock_open(&r);
	if (rc) {
		__atomic_store_n(&sh->rx_stage, KBP_STAGE_FAILED, __ATOMIC_RELEASE);
		close_all(&r);
		return 0;
	}
	kbp_port_info(r.port, &sh->port);
	__atomic_store_n(&sh->rx_stage, KBP_STAGE_READY, __ATOMIC_RELEASE);
	if (!sh->port.ifindex)
		kbp_end_carrier(r.q[0]); /* a wire in memory is up when the other end is there */
	dead = receive_until_quiet(&r);
	if (sh->have_pairs)
		kbp_pairs_take(&sh->pairs);
	if (dead)
		dead = kbp_end_death(r.q, r.n_queues, dead);
	report(&r);
	if (dead)
		kbp_failf(&sh->rx_error, dead == KBP_QUEUE_GONE ? -ENODEV : -ENETDOWN,
			  kbp_end_state_text(dead), "receive on %s with %s",
			  b->net.host[KBP_LAB_RX].ifname, backend);
	__atomic_store_n(&sh->rx_stage, dead ? KBP_STAGE_FAILED : KBP_STAGE_DONE, __ATOMIC_RELEASE);
	close_all(&r);
	return 0;
}
