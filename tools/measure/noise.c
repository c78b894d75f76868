/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * noise.c - the noise control: a process that does nothing but read the clock, on the CPUs of the bench and as the
 * bench's processes run there. A gap between two readings is time that the host took: an interrupt, another task, an
 * SMI, the hypervisor. Whatever a backend's tail shows beyond that is its own.
 *
 * Spinning makes no system call and touches no memory but, after a gap, one page that was touched before.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tools/measure/host.h"

#define SETTLE_NS 200000u /* first: pages are copied, the CPU is reached */
#define FIFO_PRIORITY 10  /* as that of the bench's processes */
#define SPARE_MS 10000	  /* beyond its time; longer, and something else has the CPU */

void kbp_noise_gap(struct kbp_noise *n, const struct kbp_tsc *tsc, uint64_t ticks)
{
	uint64_t ns = kbp_tsc_ns(tsc, ticks);
	unsigned i = 0;

	if (ns < KBP_NOISE_GAP_NS)
		return;
	n->gaps++;
	n->lost_ns += ns;
	if (ns > n->max_ns)
		n->max_ns = ns;
	while (i + 1 < KBP_ARRAY_SIZE(n->bucket) && ns >> (11 + i))
		i++;
	n->bucket[i]++;
}

void kbp_noise_feed(struct kbp_noise *n, const struct kbp_tsc *tsc, const uint64_t *readings,
		    size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (readings[i] > readings[i - 1])
			kbp_noise_gap(n, tsc, readings[i] - readings[i - 1]);
	if (count && readings[count - 1] > readings[0])
		n->spun_ns += kbp_tsc_ns(tsc, readings[count - 1] - readings[0]);
}

static void spin(struct kbp_noise *n, const struct kbp_tsc *tsc, uint64_t ns)
{
	const uint64_t gap = kbp_tsc_ticks(tsc, KBP_NOISE_GAP_NS);
	uint64_t begin = kbp_tsc_now(), end = begin + kbp_tsc_ticks(tsc, ns), last = begin,
		 now = begin;

	while (now < end) {
		now = kbp_tsc_now();
		if (now - last >= gap)
			kbp_noise_gap(n, tsc, now - last);
		last = now;
	}
	n->spun_ns += kbp_tsc_ns(tsc, now - begin);
}

struct listener {
	const struct kbp_bench *b;
	struct kbp_noise *noise; /* shared with the parent */
	int cpu;
	bool fifo;
};

/* What it heard is given only when all of it is there. */
static int listen_child(void *arg)
{
	const struct listener *l = arg;
	struct sched_param fifo = { .sched_priority = FIFO_PRIORITY };
	struct kbp_noise n = { 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)l->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return 0;
	(void)mlockall(MCL_CURRENT); /* as they do; without, it is as noisy as they are */
	if (l->fifo)
		(void)sched_setscheduler(0, SCHED_FIFO, &fifo);
	spin(&n, &l->b->tsc, SETTLE_NS);
	memset(&n, 0, sizeof(n));
	spin(&n, &l->b->tsc, KBP_NOISE_MS * 1000000ull);
	l->noise->spun_ns += n.spun_ns;
	l->noise->gaps += n.gaps;
	l->noise->lost_ns += n.lost_ns;
	if (n.max_ns > l->noise->max_ns)
		l->noise->max_ns = n.max_ns;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(n.bucket); i++)
		l->noise->bucket[i] += n.bucket[i];
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Both at once, as receiver and sender spin. On the hosts of a bench that has one CPU for both, one after the other
 * would not be quieter. */
int kbp_noise_listen(struct kbp_bench *b, struct kbp_error *err)
{
	struct listener l[2] = {
		{ .b = b, .noise = &b->watch->noise[0], .cpu = b->cpu_rx, .fifo = b->o.fifo },
		{ .b = b,
		  .noise = &b->watch->noise[1],
		  .cpu = b->cpu_tx,
		  .fifo = b->o.fifo && b->n_cpus > 2 },
	};
	struct kbp_child child[2] = { { .fd = -1 }, { .fd = -1 } };
	int64_t until = now_ms() + KBP_NOISE_MS + SPARE_MS;
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++)
		rc = kbp_child_start(&child[i], "noise control", listen_child, &l[i], err);
	while (!rc && (child[0].pid || child[1].pid)) {
		kbp_children_wait(&child[0], &child[1], KBP_NOISE_MS);
		rc = kbp_child_look(&child[0], err);
		if (!rc)
			rc = kbp_child_look(&child[1], err);
		if (!rc)
			rc = kbp_bench_step(b, "listening to the host", err);
		if (now_ms() > until)
			break; /* it never had the CPU: then this round has no control */
	}
	kbp_child_kill(&child[0]);
	kbp_child_kill(&child[1]);
	return rc;
}
