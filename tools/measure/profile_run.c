/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_run.c - the measuring process of a profile: a wire, and each operation timed on it.
 *
 * One thread is both ends, so that nothing but the operation happens between the two readings of the
 * clock: a frame is sent and has arrived before the poll that is timed; what the sending end has to tidy
 * up is tidied up outside. Every sample of an operation consists of pieces: as many operations as can be
 * done without anything in between, timed together.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/measure/profile_bed.h"

#define FIFO_PRIORITY 10
#define TX_AT_ONCE 8u	    /* as many as fit the part of an adapter's memory that PIO gives a VI */
#define SETTLE_NS 20000000u /* a frame takes no longer, on any wire between two ports */
#define STAMPS_NS 2000000000u /* the first clock event: a second at the most */
#define TRIES_APART 8u	      /* failures in a row after which a software NIC is waited for too */
#define TRIES 1000u	      /* of a piece, one after the other ... */
#define TRIES_NS 1000000000u  /* ... or for so long */
#define PROBES 200u	      /* samples of a first look at how long it takes */
#define PROBES_MAX 4u
#define PROBE_BATCH 64u

/* An operation in one form. A piece is n operations at most `at_once`; false: it did not come off as
 * meant and is tried again. */
struct way {
	const char *op, *form, *note, *note_emulated;
	uint32_t at_once;
	bool stamps; /* on a queue with receive stamps */
	bool (*piece)(struct kbp_bed *b, uint32_t n, uint64_t *ticks);
};

/* ---------------------------------------------------------------- the clock */

/* Nothing of the operation begins before the clock is read, and all of it is over when it is read again
 * (Intel SDM vol. 2, RDTSC; Arm ARM D11.1.2). */
static inline __attribute__((always_inline)) uint64_t timer_begin(void)
{
	uint64_t t = kbp_tsc_now_ordered();

#if defined(__x86_64__)
	_mm_lfence();
#else
	__asm__ volatile("isb" ::: "memory");
#endif
	__asm__ volatile("" ::: "memory");
	return t;
}

static inline __attribute__((always_inline)) uint64_t timer_end(void)
{
	__asm__ volatile("" ::: "memory");
	return kbp_tsc_now_ordered();
}

static bool timer_piece(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	uint64_t begin = timer_begin();

	(void)b;
	(void)n;
	*ticks = timer_end() - begin;
	return true;
}

/* ---------------------------------------------------------------- outside of the timed part */

static uint32_t payload_write(struct kbp_bed *b, const struct kbp_frame *f)
{
	memcpy(f->data, &b->words, sizeof(b->words));
	return KBP_PROFILE_PAYLOAD;
}

static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	return payload_write(arg, &f);
}

/* What was sent is told of, and its buffers come back. */
static void sent_collect(struct kbp_bed *b)
{
	const struct kbp_hot_tx *count = b->txq->tx_count;
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&b->w->tsc, SETTLE_NS);

	if (!b->both) /* buffers come back by themselves */
		return;
	do {
		struct kbp_frame f[KBP_BED_BURST];
		unsigned n = kbp_rx_peek(b->txq, f, KBP_BED_BURST);

		if (n)
			kbp_rx_release(b->txq, f, n);
	} while (count->completions != count->frames && kbp_tsc_now() < until);
}

static bool ready(struct kbp_bed *b)
{
	return kbp_wait(&b->rxq, 1, 0) > 0;
}

/* Whatever an earlier piece left behind is received. */
static void rx_drain(struct kbp_bed *b)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&b->w->tsc, SETTLE_NS);

	while (b->out && kbp_tsc_now() < until) {
		struct kbp_frame f[KBP_BED_BURST];
		unsigned n = kbp_rx_peek(b->rxq, f, KBP_BED_BURST);

		if (n)
			kbp_rx_release(b->rxq, f, n);
		b->out -= n < b->out ? n : b->out;
	}
	b->out = 0; /* lost */
}

/* n frames wait at rxq and nothing else does; the device has had its turn. */
static bool frames_wait(struct kbp_bed *b, uint32_t n)
{
	uint64_t now, first = 0, until, apart = kbp_tsc_ticks(&b->w->tsc, b->apart_ns);

	rx_drain(b);
	for (uint32_t k = 0; b->out < n; k++) {
		unsigned sent = kbp_tx_each(kbp_tx_of(b->feed), n - b->out, fill, b);

		b->out += sent;
		sent_collect(b);
		if (!sent && k == TRIES)
			return false;
	}
	until = kbp_tsc_now() + kbp_tsc_ticks(&b->w->tsc, SETTLE_NS);
	/* only the first can be waited for: on a real wire the others come right behind it */
	do {
		now = kbp_tsc_now();
		if (!first && ready(b))
			first = now;
	} while (first ? now - first < apart * n : now < until);
	return first && kbp_queue_state(b->rxq) == KBP_QUEUE_UP;
}

static void received(struct kbp_bed *b, uint32_t n)
{
	b->out -= n < b->out ? n : b->out;
}

static inline void look(struct kbp_bed *b, const struct kbp_frame *f)
{
	uint64_t word;

	memcpy(&word, f->data, sizeof(word));
	b->words += word;
}

/* ---------------------------------------------------------------- receive */

static unsigned on_read(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	look(arg, &f);
	return KBP_DONE;
}

static bool poll_empty_inline(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	const struct kbp_rx rx = b->rx;
	unsigned got = 0;
	uint64_t begin;

	rx_drain(b);
	(void)ready(b);
	begin = timer_begin();
	for (uint32_t i = 0; i < n; i++)
		got += kbp_rx_each(rx, KBP_BED_BURST, on_read, b);
	*ticks = timer_end() - begin;
	return !got;
}

static bool poll_empty_array(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	struct kbp_frame f[KBP_BED_BURST];
	unsigned got = 0;
	uint64_t begin;

	rx_drain(b);
	(void)ready(b);
	begin = timer_begin();
	for (uint32_t i = 0; i < n && !got; i++)
		got = kbp_rx_peek(b->rxq, f, KBP_BED_BURST);
	*ticks = timer_end() - begin;
	if (got)
		kbp_rx_release(b->rxq, f, got);
	return !got;
}

static unsigned on_arrival(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_bed *b = arg;

	b->end = timer_end();
	(void)rx;
	(void)f;
	return KBP_DONE;
}

static bool poll_one_inline(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	const struct kbp_rx rx = b->rx;
	uint64_t begin;
	unsigned got;

	(void)n;
	if (!frames_wait(b, 1))
		return false;
	begin = timer_begin();
	got = kbp_rx_each(rx, KBP_BED_BURST, on_arrival, b);
	*ticks = b->end - begin;
	received(b, got);
	return got == 1;
}

static bool poll_one_array(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	struct kbp_frame f[KBP_BED_BURST];
	uint64_t begin;
	unsigned got;

	(void)n;
	if (!frames_wait(b, 1))
		return false;
	begin = timer_begin();
	got = kbp_rx_peek(b->rxq, f, KBP_BED_BURST);
	*ticks = timer_end() - begin;
	kbp_rx_release(b->rxq, f, got);
	received(b, got);
	return got == 1;
}

static bool rx_full_inline(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	const struct kbp_rx rx = b->rx;
	uint64_t begin;
	unsigned got;

	(void)n;
	if (!frames_wait(b, 1))
		return false;
	begin = timer_begin();
	got = kbp_rx_each(rx, KBP_BED_BURST, on_read, b);
	*ticks = timer_end() - begin;
	received(b, got);
	return got == 1;
}

static bool rx_full_array(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	struct kbp_frame f[KBP_BED_BURST];
	uint64_t begin;
	unsigned got;

	(void)n;
	if (!frames_wait(b, 1))
		return false;
	begin = timer_begin();
	got = kbp_rx_peek(b->rxq, f, KBP_BED_BURST);
	for (unsigned i = 0; i < got; i++)
		look(b, &f[i]);
	kbp_rx_release(b->rxq, f, got);
	*ticks = timer_end() - begin;
	received(b, got);
	return got == 1;
}

/* n frames are held, as a program holds what a poll handed over. */
static bool release_array(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&b->w->tsc, SETTLE_NS), begin;
	struct kbp_frame f[KBP_BED_BURST];
	unsigned got = 0;

	if (!frames_wait(b, n))
		return false;
	while (got < n && kbp_tsc_now() < until)
		got += kbp_rx_peek(b->rxq, f + got, KBP_BED_BURST - got);
	received(b, got);
	begin = timer_begin();
	for (unsigned i = 0; i < got; i++)
		kbp_rx_release(b->rxq, &f[i], 1);
	*ticks = timer_end() - begin;
	return got == n;
}

/* ---------------------------------------------------------------- timestamps */

static unsigned on_keep(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_bed *b = arg;

	(void)rx;
	b->kept[b->n_kept++] = f;
	return b->n_kept == b->want_kept ? KBP_KEEP | KBP_STOP : KBP_KEEP;
}

/* Each stamp is of another frame, as it is in a program. */
static bool timestamp(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	const struct kbp_rx rx = b->rx;
	bool stamped = true;
	uint64_t begin;

	if (!frames_wait(b, n))
		return false;
	b->n_kept = 0;
	b->want_kept = n;
	(void)kbp_rx_each(rx, KBP_BED_BURST, on_keep, b);
	begin = timer_begin();
	for (uint32_t i = 0; i < b->n_kept; i++) {
		struct kbp_stamp s = kbp_frame_ts(rx, &b->kept[i]);

		stamped = stamped && s.flags & KBP_FRAME_TS;
		b->words += s.ns;
	}
	*ticks = timer_end() - begin;
	for (uint32_t i = 0; i < b->n_kept; i++)
		kbp_rx_return(rx, b->kept[i].token);
	received(b, b->n_kept);
	return b->n_kept == n && stamped;
}

/* ---------------------------------------------------------------- send */

static bool tx_full_inline(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	const struct kbp_tx tx = b->tx;
	unsigned sent = 0;
	uint64_t begin = timer_begin();

	for (uint32_t i = 0; i < n; i++)
		sent += kbp_tx_each(tx, 1, fill, b);
	*ticks = timer_end() - begin;
	sent_collect(b);
	(void)ready(b); /* the other end has its turn: it lets them pass */
	return sent == n;
}

static bool tx_full_array(struct kbp_bed *b, uint32_t n, uint64_t *ticks)
{
	struct kbp_frame f;
	unsigned sent = 0;
	uint64_t begin = timer_begin();

	for (uint32_t i = 0; i < n; i++) {
		if (!kbp_tx_reserve(b->aside, &f, 1))
			break;
		f.len = payload_write(b, &f);
		if (!kbp_tx_submit(b->txq, &f, 1)) {
			kbp_tx_cancel(b->txq, &f, 1);
			break;
		}
		sent++;
	}
	*ticks = timer_end() - begin;
	sent_collect(b);
	(void)ready(b);
	return sent == n;
}

/* ---------------------------------------------------------------- all of them */

#define POLLS "unless step=thread, the software NIC looks for work inside every poll"
#define GIVES "the software NIC's own descriptors and doorbell are in it"
#define TAKES \
	"unless step=thread, the software NIC takes the frame inside the call: in it are its lock and the copy to the other end"

static const struct way ways[] = {
	{ "poll_empty", "inline", "", POLLS, KBP_PROFILE_BATCH, false, poll_empty_inline },
	{ "poll_empty", "array", "", POLLS, KBP_PROFILE_BATCH, false, poll_empty_array },
	{ "poll_one", "inline", "", POLLS, 1, false, poll_one_inline },
	{ "poll_one", "array", "", POLLS, 1, false, poll_one_array },
	{ "rx_full", "inline", "", POLLS "; " GIVES, 1, false, rx_full_inline },
	{ "rx_full", "array", "", POLLS "; " GIVES, 1, false, rx_full_array },
	{ "release", "array", "", GIVES, KBP_BED_BURST, false, release_array },
	{ "tx_full", "inline", "", TAKES, TX_AT_ONCE, false, tx_full_inline },
	{ "tx_full", "array", "", TAKES, TX_AT_ONCE, false, tx_full_array },
	{ "timestamp", "inline", "", "the software NIC's own reading of the prefix is in it",
	  TX_AT_ONCE, true, timestamp },
	/* only where there is no inline form */
	{ "timestamp", "array", "the poll has read it along, which is not in this figure", "",
	  TX_AT_ONCE, true, timestamp },
};

static const struct way timer_way = { "timer", "", "", "", 1, false, timer_piece };

static bool way_is_here(const struct kbp_bed *b, const struct way *w)
{
	if (!strcmp(w->op, "timestamp"))
		return b->inline_form == !strcmp(w->form, "inline");
	return b->inline_form || strcmp(w->form, "inline") != 0;
}

/* A piece that did not come off: it may be tried again, or it is hopeless. */
static bool piece_failed(struct kbp_bed *b, uint32_t tries, uint64_t since)
{
	if (tries == TRIES_APART)
		b->apart_ns = KBP_BED_APART_NS;
	return tries < TRIES && kbp_queue_state(b->rxq) == KBP_QUEUE_UP &&
	       kbp_tsc_now() - since < kbp_tsc_ticks(&b->w->tsc, TRIES_NS);
}

/* One sample. */
static int sample(struct kbp_bed *b, const struct way *way, uint32_t batch, uint64_t *sum,
		  struct kbp_error *err)
{
	uint64_t since = kbp_tsc_now();

	*sum = 0;
	for (uint32_t left = batch, tries = 0; left;) {
		uint32_t n = left < way->at_once ? left : way->at_once;
		uint64_t ticks;

		if (way->piece(b, n, &ticks)) {
			*sum += ticks;
			left -= n;
			tries = 0;
			since = kbp_tsc_now();
		} else if (!piece_failed(b, ++tries, since)) {
			return kbp_failf(
				err, -ETIMEDOUT,
				"are the two interfaces the ends of one wire, both up, with nobody "
				"else's frames of 239.77.0.1 on it?",
				"time %s of %s: frames do not arrive as they were sent", way->op,
				b->w->backend);
		}
	}
	return 0;
}

static int samples_take(struct kbp_bed *b, const struct way *way, uint32_t batch, uint32_t *ticks,
			uint32_t warmup, uint32_t n, struct kbp_error *err)
{
	for (uint32_t i = 0; i < warmup + n; i++) {
		uint64_t sum;
		int rc = sample(b, way, batch, &sum, err);

		if (rc)
			return rc;
		if (i >= warmup)
			ticks[i - warmup] = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
		__atomic_store_n(&b->w->sh->done, i < warmup ? 0 : i - warmup + 1, __ATOMIC_RELAXED);
	}
	return 0;
}

/* How many operations make a sample? What comes after other work takes longer than what is repeated, so a
 * batch is looked at again for whether a smaller one would do. */
static int batch_choose(struct kbp_bed *b, const struct way *way, uint32_t *ticks,
			struct kbp_profile_op *row, struct kbp_error *err)
{
	const struct kbp_tsc *tsc = &b->w->tsc;
	uint32_t next = way->at_once < PROBE_BATCH ? way->at_once : PROBE_BATCH;
	int rc;

	row->batch = KBP_PROFILE_BATCH;
	for (unsigned i = 0; i < PROBES_MAX && next < row->batch; i++) {
		row->batch = next;
		rc = samples_take(b, way, row->batch, ticks, PROBES, PROBES, err);
		if (rc)
			return rc;
		kbp_profile_figures(ticks, PROBES, tsc->hz, row);
		next = kbp_profile_batch(row->cycles.p50, tsc->quantum_ticks, way->at_once);
		if (!i)
			row->batch = KBP_PROFILE_BATCH; /* the first was a guess */
	}
	row->batch = next;
	return 0;
}

/* Where the operation enters the kernel, what the kernel does there is in the figure. */
static const char *kernel_note(const struct kbp_bed *b, const struct way *way)
{
	bool sends = !strncmp(way->op, "tx", 2),
	     receives = !strncmp(way->op, "poll", 4) || !strncmp(way->op, "rx", 2);

	if (b->rxq->kind == KBP_SOCKET && receives)
		return "recvmmsg is in it";
	if (b->rxq->kind == KBP_SOCKET && sends)
		return "sendmmsg is in it, with all that the kernel does in that call: on a veth up to the other end's "
		       "receive queue";
	if (b->rxq->kind == KBP_AF_XDP && sends && !b->zerocopy)
		return "sendto is in it (copy mode), with all that the kernel does in that call: on a veth up to the "
		       "other end's receive queue";
	return "";
}

static int way_time(struct kbp_bed *b, const struct way *way, struct kbp_profile_op *row,
		    struct kbp_error *err)
{
	const struct kbp_profile_work *w = b->w;
	const struct kbp_published *p = kbp_profile_published(w->backend, way->op, b->zerocopy);
	uint32_t *ticks = malloc(w->samples * sizeof(*ticks));
	int rc;

	memset(row, 0, sizeof(*row));
	if (!ticks)
		return kbp_fail(err, -ENOMEM, "make room for the samples", "memory is out");
	snprintf(row->backend, sizeof(row->backend), "%s", w->backend);
	snprintf(row->op, sizeof(row->op), "%s", way->op);
	snprintf(row->form, sizeof(row->form), "%s", way->form);
	snprintf(row->note, sizeof(row->note), "%s",
		 b->emulated && way->note_emulated[0] ? way->note_emulated :
		 b->both || way->note[0]	      ? way->note :
							kernel_note(b, way));
	row->emulated = b->emulated;
	row->virtual_device = b->virtual_device;
	if (p)
		row->published = *p;
	rc = batch_choose(b, way, ticks, row, err);
	if (!rc)
		rc = samples_take(b, way, row->batch, ticks, KBP_PROFILE_WARMUP, w->samples, err);
	if (!rc) {
		kbp_profile_figures(ticks, w->samples, w->tsc.hz, row);
		row->timer_ns =
			kbp_profile_timer_share(w->sh->timer.ns.p50, row->batch, way->at_once);
	}
	free(ticks);
	return rc;
}

/* ---------------------------------------------------------------- the process */

/* After the ports are open, whose monitor threads keep the CPUs they were started on. */
static int settle(const struct kbp_profile_work *w, struct kbp_error *err)
{
	struct sched_param fifo = { .sched_priority = FIFO_PRIORITY };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)w->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return kbp_failf(err, -errno, strerror(errno), "measure on CPU %d", w->cpu);
	w->sh->locked = !mlockall(MCL_CURRENT);
	if (w->fifo)
		w->sh->fifo = !sched_setscheduler(0, SCHED_FIFO, &fifo);
	return 0;
}

/* Until the device's clock was heard of there are no stamps. False: there are none at all. */
static bool stamps_wait(struct kbp_bed *b)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&b->w->tsc, STAMPS_NS), ticks;

	if (!(b->rxq->flags & KBP_QUEUE_RX_STAMPS))
		return false;
	while (!timestamp(b, 1, &ticks)) {
		if (kbp_tsc_now() > until)
			return false;
	}
	return true;
}

static int ways_time(struct kbp_bed *b, bool stamps, struct kbp_error *err)
{
	struct kbp_profile_shared *sh = b->w->sh;
	/* DPDK has no stamps here, and its net_af_xdp no second queue in a process */
	bool none = stamps && b->rxq->kind == KBP_DPDK;
	int rc = none ? 0 : kbp_bed_use(b, stamps, err);

	if (rc)
		return rc;
	if (none || (stamps && !stamps_wait(b))) {
		snprintf(sh->stamps_note, sizeof(sh->stamps_note),
			 "timestamp is not profiled: received frames are not stamped, by the adapter's "
			 "lack or because its clock is not set");
		return 0;
	}
	for (size_t i = 0; i < KBP_ARRAY_SIZE(ways) && !rc; i++) {
		if (ways[i].stamps != stamps || !way_is_here(b, &ways[i]))
			continue;
		__atomic_store_n(&sh->done, 0, __ATOMIC_RELAXED);
		snprintf(sh->doing, sizeof(sh->doing), "%s, %s", ways[i].op, ways[i].form);
		rc = way_time(b, &ways[i], &sh->op[sh->row], err);
		if (!rc)
			__atomic_store_n(&sh->row, sh->row + 1, __ATOMIC_RELEASE);
	}
	return rc;
}

static int profile(struct kbp_bed *b, struct kbp_error *err)
{
	int rc = kbp_bed_open(b, err);

	if (!rc)
		rc = settle(b->w, err);
	if (!rc)
		rc = way_time(b, &timer_way, &b->w->sh->timer, err);
	if (!rc)
		rc = ways_time(b, false, err);
	return rc ? rc : ways_time(b, true, err);
}

int kbp_profile_child(void *arg)
{
	const struct kbp_profile_work *w = arg;
	struct kbp_bed b = { .w = w };
	int rc = profile(&b, &w->sh->error);

	kbp_bed_close(&b);
	__atomic_store_n(&w->sh->stage, rc ? KBP_STAGE_FAILED : KBP_STAGE_DONE, __ATOMIC_RELEASE);
	return 0;
}
