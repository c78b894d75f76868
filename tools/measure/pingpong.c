/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pingpong.c - a closed loop: the initiator sends a datagram and spins until its answer is there, the echo process
 * answers each from inside its receive handler. Both receive and send by the backend under test, in the inline form
 * where this program has it. Between opening and end neither loop makes a system call of its own, allocates anything,
 * or touches memory that is not there.
 *
 * All times are the initiator's: one CPU's counter has them.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/measure/host.h"
#include "tools/measure/pingpong.h"
#include "tools/measure/plant.h"
#include "tools/traffic/schedule.h"

#define FIRST_NS \
	3000000000ull /* for the first answer: neighbours, carriers, a device that wakes up */
#define FIRST_EVERY_NS 20000000u
#define ACCEPT_NS 50000u /* a full device is tried so long, as by the open-loop sender */
#define BURST 32u
#define BUFFER 2048u	     /* of the longest frame */
#define MTU_ONE_BUFFER 3498u /* native XDP without multi-buffer ends there on most drivers */

#define PORT_PING 31001u
#define PORT_ANSWER 31002u

/* What both ends are. */
struct end {
	struct kbp_bench *b;
	struct kbp_round_shared *sh;
	struct kbp_port *port;
	struct kbp_queue *q[KBP_BENCH_QUEUES_MAX];
	struct kbp_txflow *t;
	struct kbp_tx tx;
	unsigned n_queues;
	int mute;	      /* socket that keeps the kernel from answering; -1: none */
	uint16_t port_in;     /* what comes in is addressed to */
	uint32_t len;	      /* of a payload */
	uint32_t headers;     /* bytes in front of it in a slot: of raw frames; otherwise 0 */
	uint8_t slot[BUFFER]; /* headers and payload as they are sent */
};

struct initiator {
	struct end e;
	struct kbp_plant plant;
	uint64_t begun, answered; /* ticks of this ping; answered 0: not yet */
	uint64_t number;	  /* of this ping, and in its payload */
	uint64_t late, twice, foreign;
};

struct echo {
	struct end e;
	const uint8_t *payload; /* of the ping at hand */
	uint64_t foreign, refused;
};

/* ---------------------------------------------------------------- opening and closing */

/* Where no socket has the port, the kernel would answer each datagram that it sees too with an ICMP message. This
 * one takes them and throws them away. Without it all works the same, but slower. */
static void mute_open(struct end *e, const struct kbp_addr *ip)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog drop = { .len = 1, .filter = &none };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(e->port_in) };

	memcpy(&at.sin_addr, ip->bytes, 4);
	e->mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (e->mute < 0)
		return;
	if (setsockopt(e->mute, SOL_SOCKET, SO_ATTACH_FILTER, &drop, sizeof(drop)) ||
	    bind(e->mute, (struct sockaddr *)&at, sizeof(at))) {
		close(e->mute);
		e->mute = -1;
	}
}

/* Headers of raw frames; the checksum of UDP is left out, as IPv4 allows. */
static void headers_write(struct end *e, const struct kbp_flow *to, enum kbp_lab_side side)
{
	const struct kbp_lab_host *me = &e->b->net.host[side],
				  *other = &e->b->net.host[side == KBP_LAB_RX ? KBP_LAB_TX : KBP_LAB_RX];
	struct kbp_udp_layout l = { .ip = 14, .udp = 34, .ip_end = 42 + e->len };
	struct kbp_flow flow = *to;

	flow.src = me->ip4;
	flow.src_port = e->port_in;
	e->headers = kbp_udp_write(e->slot, &flow, me->mac, other->mac, e->len);
	memset(e->slot + l.udp + 6, 0, 2);
	kbp_udp_mend(e->slot, &l);
}

static int flows_open(struct end *e, enum kbp_lab_side side, bool memory, struct kbp_error *err)
{
	enum kbp_lab_side far = side == KBP_LAB_RX ? KBP_LAB_TX : KBP_LAB_RX;
	struct kbp_flow in = { .proto = IPPROTO_UDP, .dst_port = e->port_in },
			to = { .proto = IPPROTO_UDP };
	int rc;

	in.dst = e->b->net.host[side].ip4;
	in.flags = memory ? KBP_FLOW_NO_JOIN : 0;
	to.dst = e->b->net.host[far].ip4;
	to.dst_port = e->port_in == PORT_PING ? PORT_ANSWER : PORT_PING;
	rc = kbp_flow_add(e->q[0], &in, NULL, err);
	if (rc)
		return rc;
	if (memory) {
		headers_write(e, &to, side);
		rc = kbp_txflow_open_raw(e->q[0], &e->t, err);
	} else {
		kbp_end_carrier(e->q[0]);
		if (e->q[0]->kind != KBP_SOCKET)
			mute_open(e, &in.dst);
		rc = kbp_txflow_open(e->q[0], &to, &e->t, err);
	}
	if (!rc)
		e->tx = kbp_tx_of(e->t);
	return rc;
}

static int end_open(struct end *e, struct kbp_bench *b, enum kbp_lab_side side, struct kbp_error *err)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_bench_path path;
	struct kbp_port_info info;
	int rc, n;

	e->b = b;
	e->sh = b->sh;
	e->mute = -1;
	e->len = b->o.frame_bytes - KBP_PING_HEADERS;
	e->port_in = side == KBP_LAB_RX ? PORT_PING : PORT_ANSWER;
	kbp_bench_path(b->at.backend, &path);
	po.mode = b->o.mode;
	po.flags = b->o.strict ? KBP_PORT_STRICT : 0;
	po.label = "bench";
	rc = kbp_bench_port(b, b->at.backend, side, &po, &e->port, err);
	if (rc)
		return rc;
	kbp_port_info(e->port, &info);
	qo.flags = KBP_QUEUE_RX | KBP_QUEUE_TX |
		   (info.mtu > MTU_ONE_BUFFER ? KBP_QUEUE_MULTI_BUFFER : 0u);
	qo.rx_ring = b->o.rx_ring;
	qo.rcvbuf_bytes = b->o.rcvbuf_bytes;
	n = kbp_queues_open(e->port, &qo, e->q, KBP_BENCH_QUEUES_MAX, err);
	if (n < 0)
		return n;
	e->n_queues = (unsigned)n;
	return flows_open(e, side, path.memory, err);
}

static void end_close(struct end *e)
{
	if (e->mute >= 0)
		close(e->mute);
	kbp_txflow_close(e->t);
	while (e->n_queues)
		kbp_queue_close(e->q[--e->n_queues], KBP_CLOSE_FORCE, NULL);
	kbp_port_close(e->port, NULL);
}

/* The payload of a datagram for us, or NULL. */
static inline const uint8_t *payload_of(const struct end *e, struct kbp_rx rx,
					const struct kbp_frame *f)
{
	struct kbp_datagram d;

	if (KBP_UNLIKELY(kbp_datagram(rx.q, f, &d) != KBP_PARSE_OK) || d.dst_port != e->port_in ||
	    d.len != e->len)
		return NULL;
	return d.payload;
}

/* Returns 0, or the state of the queue that died. */
static inline uint32_t poll_all(struct end *e, kbp_handler fn, void *arg)
{
	for (unsigned i = 0; i < e->n_queues; i++) {
		kbp_rx_each(kbp_rx_of(e->q[i]), BURST, fn, arg);
		if (KBP_UNLIKELY(kbp_queue_state(e->q[i]) != KBP_QUEUE_UP))
			return kbp_queue_state(e->q[i]);
	}
	return 0;
}

static int died(struct end *e, uint32_t state, const char *what, struct kbp_error *err)
{
	state = kbp_end_death(e->q, e->n_queues, state);
	return kbp_failf(err, state == KBP_QUEUE_GONE ? -ENODEV : -ENETDOWN,
			 kbp_end_state_text(state), "%s with %s", what, e->b->at.backend);
}

/* ---------------------------------------------------------------- the echo process */

static inline uint32_t answer_write(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	const struct echo *c = arg;
	uint8_t *slot = f.data;

	(void)tx;
	if (c->e.headers)
		memcpy(slot, c->e.slot, c->e.headers);
	memcpy(slot + c->e.headers, c->payload, c->e.len);
	return c->e.headers + c->e.len;
}

static inline unsigned on_ping(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct echo *c = arg;

	c->payload = payload_of(&c->e, rx, &f);
	if (KBP_UNLIKELY(!c->payload)) {
		c->foreign++;
		return KBP_DONE;
	}
	if (KBP_UNLIKELY(!kbp_tx_each(c->e.tx, 1, answer_write, c)))
		c->refused++;
	return KBP_DONE;
}

static uint32_t answer_all(struct echo *c)
{
	uint32_t dead = 0;

	while (!dead && __atomic_load_n(&c->e.sh->tx_stage, __ATOMIC_ACQUIRE) < KBP_STAGE_DONE)
		dead = poll_all(&c->e, on_ping, c);
	return dead;
}

/* What both ends lost explains timeouts, and is added to none of them. */
static void echo_report(struct echo *c)
{
	struct kbp_round_shared *sh = c->e.sh;
	const struct kbp_end_counts to = { sh->cause, sh->cause, &sh->n_causes, &sh->n_causes };

	kbp_end_counters(c->e.q, c->e.n_queues, &to, &sh->queue);
	kbp_named_add(sh->cause, &sh->n_causes, "echo_tx_refused", c->refused);
	kbp_end_port(c->e.port, &sh->port);
	kbp_libraries_seen(sh->libraries, sizeof(sh->libraries));
	sh->n_queues = c->e.n_queues;
	sh->foreign = c->foreign;
}

int kbp_pingpong_echo(void *arg)
{
	static struct echo c; /* a forked process has its own */
	struct kbp_bench *b = arg;
	struct kbp_round_shared *sh = b->sh;
	uint32_t dead;
	int rc = end_open(&c.e, b, KBP_LAB_RX, &sh->rx_error);

	if (!rc)
		rc = kbp_end_settle(b->cpu_rx, b->o.fifo, "echo process", &sh->rx_locked,
				    &sh->rx_fifo, &sh->rx_error);
	if (rc) {
		__atomic_store_n(&sh->rx_stage, KBP_STAGE_FAILED, __ATOMIC_RELEASE);
		end_close(&c.e);
		return 0;
	}
	kbp_port_info(c.e.port, &sh->port);
	__atomic_store_n(&sh->rx_stage, KBP_STAGE_READY, __ATOMIC_RELEASE);
	if (!sh->port.ifindex)
		kbp_end_carrier(c.e.q[0]); /* a wire in memory is up when the other end is there */
	dead = answer_all(&c);
	echo_report(&c);
	if (dead)
		died(&c.e, dead, "answer", &sh->rx_error);
	__atomic_store_n(&sh->rx_stage, dead ? KBP_STAGE_FAILED : KBP_STAGE_DONE, __ATOMIC_RELEASE);
	end_close(&c.e);
	__atomic_store_n(&sh->rx_closed, 1, __ATOMIC_RELEASE);
	return 0;
}

/* ---------------------------------------------------------------- the initiator */

static inline uint32_t ping_write(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct initiator *p = arg;
	uint8_t *slot = f.data;

	(void)tx;
	p->begun = kbp_tsc_now();
	memcpy(slot, p->e.slot, p->e.headers + p->e.len);
	memcpy(slot + p->e.headers, &p->number, sizeof(p->number));
	return p->e.headers + p->e.len;
}

static inline unsigned on_answer(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct initiator *p = arg;
	const uint8_t *payload;
	uint64_t ticks, number;

	if (KBP_UNLIKELY(p->plant.on))
		kbp_plant_work(p->plant.n);
	ticks = kbp_tsc_now(); /* the program holds the pointer from here on */
	payload = payload_of(&p->e, rx, &f);
	if (KBP_UNLIKELY(!payload) ||
	    memcmp(payload + sizeof(number), p->e.slot + p->e.headers + sizeof(number),
		   p->e.len - sizeof(number)) != 0) {
		p->foreign++;
		return KBP_DONE;
	}
	memcpy(&number, payload, sizeof(number));
	if (KBP_LIKELY(number == p->number && !p->answered))
		p->answered = ticks;
	else if (number < p->number)
		p->late++;
	else if (number == p->number)
		p->twice++;
	else
		p->foreign++;
	return KBP_DONE;
}

static bool stopped(const struct initiator *p)
{
	return __atomic_load_n(&p->e.sh->stop, __ATOMIC_RELAXED);
}

/* Sends the next ping. False: its device did not take it. *dead as poll_all. */
static bool ping_send(struct initiator *p, uint32_t *dead)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&p->e.b->tsc, ACCEPT_NS);

	p->number++;
	p->answered = 0;
	while (!kbp_tx_each(p->e.tx, 1, ping_write, p)) {
		*dead = poll_all(&p->e, on_answer, p);
		if (*dead || kbp_tsc_now() > until)
			return false;
	}
	return true;
}

/* Until an answer or that time. */
static inline uint32_t answer_wait(struct initiator *p, uint64_t until)
{
	uint32_t dead;

	do {
		dead = poll_all(&p->e, on_answer, p);
	} while (!dead && !p->answered && kbp_tsc_now() < until);
	return dead;
}

/* Nothing of this is counted: it shows that the loop closes. */
static int first_answer(struct initiator *p, struct kbp_error *err)
{
	const struct kbp_tsc *tsc = &p->e.b->tsc;
	const uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(tsc, FIRST_NS),
		       every = kbp_tsc_ticks(tsc, FIRST_EVERY_NS);
	uint32_t dead = 0;

	while (!dead && !p->answered && kbp_tsc_now() < until && !stopped(p)) {
		ping_send(p, &dead);
		if (!dead)
			dead = answer_wait(p, kbp_tsc_now() + every);
	}
	if (dead)
		return died(&p->e, dead, "send the first datagram", err);
	if (!p->answered)
		return kbp_failf(
			err, -ETIMEDOUT,
			"not one datagram was answered in 3 s: look at the wire, at rp_filter and at firewalls "
			"of both ends",
			"close the loop with %s", p->e.b->at.backend);
	p->late = p->twice = p->foreign = 0;
	return 0;
}

static uint32_t clip_ticks(uint64_t ticks)
{
	return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

/* Until the round's time is over or its room is full. Returns as poll_all. */
static uint32_t loop_run(struct initiator *p)
{
	struct kbp_bench *b = p->e.b;
	struct kbp_pingpong_shared *r = &p->e.sh->rtt;
	struct kbp_sender_result *tx = &p->e.sh->tx;
	const uint64_t pps = b->at.rate_pps ? b->at.rate_pps : b->o.rate_pps,
		       period = pps ? b->tsc.hz / pps : 0,
		       timeout = kbp_tsc_ticks(&b->tsc, KBP_BENCH_RTT_TIMEOUT_NS),
		       start = kbp_tsc_now(),
		       end = start +
			     kbp_tsc_ticks(&b->tsc, (uint64_t)(b->o.seconds / b->o.rounds * 1e9)),
		       warm = start + kbp_tsc_ticks(&b->tsc, KBP_BENCH_WARMUP_NS);
	uint64_t n = 0, due = start, now = start, sent;
	uint32_t dead = 0;

	__atomic_store_n(&tx->start_ticks, start, __ATOMIC_RELEASE);
	while (n < b->pings_max && now < end && !stopped(p)) {
		if (now < due) { /* spinning as a program does that has nothing to send */
			dead = poll_all(&p->e, on_answer, p);
			now = kbp_tsc_now();
			if (dead)
				break;
			continue;
		}
		due = now + period;
		if (!ping_send(p, &dead)) {
			tx->send_errors++;
			now = kbp_tsc_now();
			if (dead)
				break;
			continue;
		}
		sent = kbp_tsc_now();
		__atomic_store_n(&tx->sent, tx->sent + 1, __ATOMIC_RELAXED);
		dead = answer_wait(p, sent + timeout);
		if (KBP_LIKELY(p->answered)) {
			b->pings[n].rtt_ticks = clip_ticks(p->answered - p->begun);
			b->pings[n++].tx_ticks = clip_ticks(sent - p->begun);
			r->early += p->begun < warm;
		} else {
			r->timeouts++;
		}
		if (dead)
			break;
		now = kbp_tsc_now();
	}
	r->n_pings = n;
	r->late = p->late;
	r->twice = p->twice;
	r->foreign = p->foreign;
	return dead;
}

static int initiator_settle(struct initiator *p, struct kbp_error *err)
{
	struct kbp_bench *b = p->e.b;
	struct kbp_bench_path path;
	int rc;

	/* two real-time spinners on a machine of two CPUs would leave the kernel's own threads none */
	rc = kbp_end_settle(b->cpu_tx, b->o.fifo && b->n_cpus > 2, "initiator", &b->sh->tx_locked,
			    &b->sh->tx_fifo, err);
	if (rc)
		return rc;
	kbp_bench_path(b->at.backend, &path);
	p->plant.on = b->planting;
	if (path.planted_ns > 0)
		p->plant.n = kbp_plant_calibrate(&b->tsc, path.planted_ns, &b->sh->planted_ns);
	/* what an answer has to bring back, beside its number */
	for (uint32_t i = 0; i < p->e.len; i++)
		p->e.slot[p->e.headers + i] = (uint8_t)(i * 37 + 11);
	p->number = kbp_tsc_now(); /* those of an earlier round are other ones */
	return 0;
}

static int initiate(struct initiator *p, struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_pingpong_shared *r = &b->sh->rtt;
	const struct kbp_end_counts to = { r->cause, r->cause, &r->n_causes, &r->n_causes };
	struct kbp_bench_path path;
	uint32_t dead;
	int rc = end_open(&p->e, b, KBP_LAB_TX, err);

	kbp_bench_path(b->at.backend, &path);
	if (!rc && path.memory)
		rc = kbp_bench_link(p->e.q[0], b->at.backend, err);
	if (!rc)
		rc = initiator_settle(p, err);
	if (!rc)
		rc = first_answer(p, err);
	if (rc)
		return rc;
	r->opened = true;
	dead = loop_run(p);
	kbp_end_counters(p->e.q, p->e.n_queues, &to, &r->queue);
	if (dead)
		return died(&p->e, dead, "receive answers", err);
	if (path.memory)
		kbp_bench_linger(b);
	return 0;
}

int kbp_pingpong_initiate(void *arg)
{
	static struct initiator p; /* a forked process has its own */
	struct kbp_bench *b = arg;
	int rc = initiate(&p, b, &b->sh->tx_error);

	__atomic_store_n(&b->sh->tx_stage, rc ? KBP_STAGE_FAILED : KBP_STAGE_DONE, __ATOMIC_RELEASE);
	end_close(&p.e);
	return 0;
}
