/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round.c - one backend, one round: a fresh receiving process, then a sending one, and we look
 * after both.
 *
 * While frames are on the way this process sleeps.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tools/measure/explain.h"
#include "tools/measure/parts.h"

#define TELL_MS 200
#define OPEN_MS 60000 /* driver restarts and carrier take seconds; longer is a hang */
#define SPARE_MS \
	60000 /* beyond the planned time of sending and the receiver's own bound for draining */
#define FIFO_PRIORITY 10
#define MEMORY_RETRY_NS 100000000u /* such a wire loses nothing: who is too fast, waits */
#define CLOSED_MS 50		   /* for the thread of net_memif to notice it */
#define LINK_MS 10000		   /* for the two ends of a wire in memory to meet */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool kbp_bench_tell(struct kbp_bench *b, const char *doing)
{
	b->at.doing = doing;
	b->at.sent = b->sh ? __atomic_load_n(&b->sh->tx.sent, __ATOMIC_RELAXED) : 0;
	return !b->progress || b->progress(&b->at, b->progress_arg);
}

int kbp_bench_step(struct kbp_bench *b, const char *doing, struct kbp_error *err)
{
	if (kbp_bench_tell(b, doing))
		return 0;
	return kbp_fail(err, -ECANCELED, "bench", "stopped on request; nothing was written");
}

/* ---------------------------------------------------------------- the sending process */

int kbp_bench_link(const struct kbp_queue *q, const char *backend, struct kbp_error *err)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < LINK_MS && kbp_queue_state(q) != KBP_QUEUE_UP; i++)
		nanosleep(&ms, NULL);
	return kbp_queue_state(q) == KBP_QUEUE_UP ?
		       0 :
		       kbp_failf(err, -ENETDOWN, "the receiving process is not there",
				 "connect the sender to %s", backend);
}

/* The sending end of a wire in memory: raw frames by the backend's own way of sending. */
static int memory_open(struct kbp_bench *b, struct kbp_port **port, struct kbp_queue **q,
		       struct kbp_txflow **t, struct kbp_error *err)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	int rc = kbp_bench_port(b, b->at.backend, KBP_LAB_TX, &po, port, err);

	qo.flags = KBP_QUEUE_TX;
	if (!rc)
		rc = kbp_queue_open(*port, &qo, q, err);
	if (!rc)
		rc = kbp_txflow_open_raw(*q, t, err);
	return rc ? rc : kbp_bench_link(*q, b->at.backend, err);
}

/* The wire lasts as long as both ends do: what is in it is received first. And one end at a time is closed:
 * net_memif's thread, which deals with the other's leaving, does not look whether its own is being closed. */
void kbp_bench_linger(struct kbp_bench *b)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	__atomic_store_n(&b->sh->tx_stage, KBP_STAGE_DONE, __ATOMIC_RELEASE);
	for (int i = 0; i < SPARE_MS && !__atomic_load_n(&b->sh->rx_closed, __ATOMIC_ACQUIRE); i++)
		nanosleep(&ms, NULL);
	for (int i = 0; i < CLOSED_MS; i++)
		nanosleep(&ms, NULL);
}

static void memory_close(struct kbp_port *port, struct kbp_queue *q)
{
	kbp_queue_close(q, KBP_CLOSE_FORCE, NULL);
	kbp_port_close(port, NULL);
}

static int send_by(struct kbp_bench *b, struct kbp_sender_opts *o, struct kbp_error *err)
{
	struct sched_param fifo = { .sched_priority = FIFO_PRIORITY };
	struct kbp_sender *snd = NULL;
	int rc;

	o->tsc = &b->tsc;
	o->cpu = b->cpu_tx + 1;
	o->stop = &b->sh->stop;
	o->sent_ticks = b->sent_ticks;
	rc = kbp_sender_open(&b->slice.s, o, &snd, err);
	if (rc)
		return rc;
	b->sh->tx_locked = !mlockall(MCL_CURRENT);
	/* two real-time spinners on a machine of two CPUs would leave the kernel's own threads none
	 */
	if (b->o.fifo && b->n_cpus > 2)
		b->sh->tx_fifo = !sched_setscheduler(0, SCHED_FIFO, &fifo);
	rc = kbp_sender_run(snd, &b->sh->tx, err);
	kbp_sender_close(snd);
	return rc;
}

static int send_all(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_sender_opts o = { .size = sizeof(o) };
	struct kbp_bench_path path;
	struct kbp_port *port = NULL;
	struct kbp_queue *q = NULL;
	uint64_t dropped;
	int rc;

	kbp_bench_path(b->at.backend, &path);
	if (path.memory) {
		o.retry_ns = MEMORY_RETRY_NS;
		rc = memory_open(b, &port, &q, &o.txflow, err);
		if (!rc)
			rc = send_by(b, &o, err);
		if (!rc)
			kbp_bench_linger(b);
		memory_close(port, q);
		return rc;
	}
	rc = kbp_bench_enter(b, KBP_LAB_TX, err);
	if (rc)
		return rc;
	o.ifname = b->net.host[KBP_LAB_TX].ifname;
	dropped = kbp_bench_tx_dropped(o.ifname);
	rc = send_by(b, &o, err);
	b->sh->tx_dropped = (uint32_t)(kbp_bench_tx_dropped(o.ifname) - dropped); /* a 32-bit
										   * counter */
	return rc;
}

static int send_child(void *arg)
{
	struct kbp_bench *b = arg;
	int rc = send_all(b, &b->sh->tx_error);

	__atomic_store_n(&b->sh->tx_stage, rc ? KBP_STAGE_FAILED : KBP_STAGE_DONE, __ATOMIC_RELEASE);
	return 0;
}

/* ---------------------------------------------------------------- the round */

static int receive_child(void *arg)
{
	struct kbp_bench *b = arg;

	return kbp_bench_receive(b, b->at.backend);
}

static uint32_t stage(const uint32_t *s)
{
	return __atomic_load_n(s, __ATOMIC_ACQUIRE);
}

static int wait_ready(struct kbp_bench *b, struct kbp_child *rx, struct kbp_error *err)
{
	int64_t until = now_ms() + OPEN_MS, tell = 0;

	while (stage(&b->sh->rx_stage) == KBP_STAGE_OPENING) {
		int rc = kbp_child_look(rx, err);

		if (rc)
			return rc;
		if (!rx->pid && stage(&b->sh->rx_stage) == KBP_STAGE_OPENING)
			return kbp_fail(err, -EIO, "run the receiver", "it ended without a word");
		if (now_ms() > until)
			return kbp_failf(err, -ETIMEDOUT,
					 "see the kernel log for the driver's messages",
					 "open %s with %s: not done after %d s",
					 b->net.host[KBP_LAB_RX].ifname, b->at.backend,
					 OPEN_MS / 1000);
		if (now_ms() > tell) {
			rc = kbp_bench_step(b, "opening", err);
			if (rc)
				return rc;
			tell = now_ms() + TELL_MS;
		}
		kbp_children_wait(rx, NULL, 2);
	}
	if (stage(&b->sh->rx_stage) == KBP_STAGE_READY)
		return 0;
	if (err)
		*err = b->sh->rx_error;
	return b->sh->rx_error.code;
}

static int wait_end(struct kbp_bench *b, struct kbp_child *rx, struct kbp_child *tx,
		    struct kbp_error *err)
{
	int64_t sending_ms =
		b->o.rtt ? (int64_t)(b->o.seconds / b->o.rounds * 1e3) :
			   (int64_t)(b->slice.frames[b->slice.s.n_total - 1].at_ns / 1000000);
	int64_t until = now_ms() + sending_ms + SPARE_MS;

	while (rx->pid || tx->pid) {
		const char *doing = stage(&b->sh->tx_stage) < KBP_STAGE_DONE ? "sending" : "draining";
		int rc;

		kbp_children_wait(rx, tx, TELL_MS);
		kbp_explain_tend(b);
		rc = kbp_child_look(rx, err);
		if (!rc)
			rc = kbp_child_look(tx, err);
		if (rc)
			return rc;
		if (!rx->pid) /* nobody receives any more */
			__atomic_store_n(&b->sh->stop, 1, __ATOMIC_RELAXED);
		if (now_ms() > until)
			return kbp_failf(err, -ETIMEDOUT,
					 "both CPUs must be free for the bench: is something else running "
					 "on them?",
					 "finish a round of %s", b->at.backend);
		rc = kbp_bench_step(b, doing, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int outcome(const struct kbp_bench *b, struct kbp_error *err)
{
	const struct kbp_error *e = NULL;
	struct kbp_bench_path path;

	kbp_bench_path(b->at.backend, &path);
	/* when the sender fails, a wire in memory goes down for the receiver */
	if (b->sh->rx_stage == KBP_STAGE_FAILED &&
	    !(path.memory && b->sh->tx_stage == KBP_STAGE_FAILED))
		e = &b->sh->rx_error;
	else if (b->sh->tx_stage == KBP_STAGE_FAILED)
		e = &b->sh->tx_error;
	if (!e)
		return 0;
	if (err)
		*err = *e;
	return e->code ? e->code : -EIO;
}

int kbp_bench_round(struct kbp_bench *b, uint32_t subject, struct kbp_error *err)
{
	struct kbp_child rx = { .fd = -1 }, tx = { .fd = -1 };
	int rc;

	memset(b->sh, 0, sizeof(*b->sh));
	kbp_sweep_turn(b, subject);
	if (!b->o.rtt)
		memset(b->sent_ticks, 0, b->slice.s.n_total * sizeof(*b->sent_ticks));
	b->at.total = b->slice.s.n_total; /* 0: a closed loop, nobody knows */
	b->at.rate_pps = b->rate[subject / b->n_backends].pps;
	rc = b->o.rtt ? kbp_child_start(&rx, "echo process", kbp_pingpong_echo, b, err) :
			kbp_child_start(&rx, "receiver", receive_child, b, err);
	if (!rc)
		rc = wait_ready(b, &rx, err);
	if (!rc)
		rc = kbp_explain_begin(b, rx.pid, err);
	if (!rc)
		rc = b->o.rtt ? kbp_child_start(&tx, "initiator", kbp_pingpong_initiate, b, err) :
				kbp_child_start(&tx, "sender", send_child, b, err);
	if (!rc)
		rc = wait_end(b, &rx, &tx, err);
	kbp_explain_end(b);
	if (!rc)
		rc = outcome(b, err);
	kbp_child_kill(&rx);
	kbp_child_kill(&tx);
	b->at.backend = "";
	return rc;
}
