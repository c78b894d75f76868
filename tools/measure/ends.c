/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ends.c - what the processes of a bench that poll queues have in common, outside of their loops.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tools/measure/parts.h"

#define CARRIER_MS 10000
#define REMOVAL_MS 200 /* a link that goes down for good is reported down first, then gone */
#define FIFO_PRIORITY 10

const char *kbp_end_state_text(uint32_t state)
{
	switch ((enum kbp_queue_state)state) {
	case KBP_QUEUE_LINK_DOWN:
		return "the link went down during the round: look at the cable or at the other end, then run again";
	case KBP_QUEUE_GONE:
		return "the interface was removed during the round: nothing can be received any more; make it again, "
		       "then run again";
	case KBP_QUEUE_OVERFLOWED:
		return "the device lost events, and how many frames with them is unknown: a larger --ring may help";
	case KBP_QUEUE_RESET:
		return "the device was reset during the round: see the kernel log, then run again";
	case KBP_QUEUE_REPLACED:
		return "another program replaced our XDP program: stop it, then run again";
	default:
		return "the queue died";
	}
}

void kbp_end_carrier(const struct kbp_queue *q)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < CARRIER_MS && kbp_queue_state(q) == KBP_QUEUE_LINK_DOWN; i++)
		nanosleep(&ms, NULL);
}

uint32_t kbp_end_death(struct kbp_queue *const *q, unsigned n, uint32_t state)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < REMOVAL_MS && state == KBP_QUEUE_LINK_DOWN; i++) {
		nanosleep(&ms, NULL);
		for (unsigned k = 0; k < n && state == KBP_QUEUE_LINK_DOWN; k++) {
			if (kbp_queue_state(q[k]) != KBP_QUEUE_UP)
				state = kbp_queue_state(q[k]);
		}
	}
	return state;
}

int kbp_end_settle(int cpu, bool fifo, const char *who, bool *locked, bool *got_fifo,
		   struct kbp_error *err)
{
	struct sched_param priority = { .sched_priority = FIFO_PRIORITY };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return kbp_failf(err, -errno, strerror(errno), "run the %s on CPU %d", who, cpu);
	*locked = !mlockall(MCL_CURRENT);
	if (fifo)
		*got_fifo = !sched_setscheduler(0, SCHED_FIFO, &priority);
	return 0;
}

void kbp_end_counters(struct kbp_queue *const *q, unsigned n, const struct kbp_end_counts *to,
		      struct kbp_queue_info *info)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < n; i++) {
		struct kbp_counter c[96];
		unsigned have = kbp_queue_counters(q[i], c, KBP_ARRAY_SIZE(c));

		for (unsigned k = 0; k < have && k < KBP_ARRAY_SIZE(c); k++) {
			if (i && c[k].interface_wide)
				continue; /* the same number stands in every queue of the port */
			if (c[k].cls == KBP_COUNT_DROP)
				kbp_named_add(to->drop, to->n_drops, c[k].name, c[k].value);
			else if (c[k].cls == KBP_COUNT_CAUSE)
				kbp_named_add(to->cause, to->n_causes, c[k].name, c[k].value);
		}
		if (!i || q[i]->rx_count->frames > most) {
			most = q[i]->rx_count->frames;
			kbp_queue_info(q[i], info);
		}
	}
}

void kbp_end_port(const struct kbp_port *port, struct kbp_port_info *info)
{
	char note[sizeof(info->note)];

	kbp_port_info(port, info);
	if (info->kind != KBP_DPDK)
		return;
	/* this program has not its inline half: it does not link DPDK */
	snprintf(note, sizeof(note), "driver %s, array form%s%.80s", info->driver,
		 info->note[0] ? "; " : "", info->note);
	memcpy(info->note, note, sizeof(note));
}
