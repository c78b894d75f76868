/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - exact quantiles, and the arithmetic of the account.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/measure/parts.h"

static int compare_u32(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Nearest rank in integers: number ceil(permille * n / 1000), counted from 1. */
static uint32_t quantile(const uint32_t *sorted, size_t n, unsigned permille)
{
	size_t rank = (n / 1000) * permille + ((n % 1000) * permille + 999) / 1000;

	return sorted[rank ? rank - 1 : 0];
}

bool kbp_latency_known(const struct kbp_latency *l, unsigned permille)
{
	if (!permille || permille >= 1000)
		return l->samples > 0;
	return l->samples >= (10000 + (1000 - permille) - 1) / (1000 - permille);
}

void kbp_latency_of(uint32_t *samples_ns, size_t n, struct kbp_latency *l)
{
	memset(l, 0, sizeof(*l));
	if (!n)
		return;
	qsort(samples_ns, n, sizeof(*samples_ns), compare_u32);
	l->samples = n;
	while (l->saturated < n && samples_ns[n - 1 - l->saturated] == UINT32_MAX)
		l->saturated++;
	l->min_ns = samples_ns[0];
	l->p50_ns = quantile(samples_ns, n, 500);
	l->p90_ns = quantile(samples_ns, n, 900);
	l->p99_ns = quantile(samples_ns, n, 990);
	l->p999_ns = quantile(samples_ns, n, 999);
	l->max_ns = samples_ns[n - 1];
	l->gap_ns = l->p99_ns - l->p50_ns;
}

/* Adds to the entry of that name, or makes one. A full list is a programming error of ours, and
 * what does not fit then shows as unattributed: never lost silently. Zero is no entry. */
void kbp_named_add(struct kbp_named_count *list, uint32_t *n, const char *name, uint64_t value)
{
	uint32_t i;

	if (!value)
		return;
	for (i = 0; i < *n && strcmp(list[i].name, name) != 0; i++)
		;
	if (i == KBP_RESULTS_COUNTS_MAX)
		return;
	if (i == *n) {
		memset(&list[i], 0, sizeof(list[i]));
		strncpy(list[i].name, name, sizeof(list[i].name) - 1);
		++*n;
	}
	list[i].value += value;
}

/* A packet socket that bypasses the queueing discipline is told of a frame that the device dropped
 * (ENOBUFS from packet_snd, net/packet/af_packet.c), and the sender tries again or gives up: such a
 * frame is not in `sent`. What the device dropped beyond that was sent, and is lost. */
void kbp_account_sender(struct kbp_result_run *run, uint64_t device_dropped, uint64_t told)
{
	kbp_named_add(run->cause, &run->n_causes, "tx_device_refused",
		      device_dropped < told ? device_dropped : told);
	if (device_dropped > told)
		kbp_named_add(run->drop, &run->n_drops, "tx_device_dropped", device_dropped - told);
}

void kbp_account_close(struct kbp_result_run *run)
{
	uint64_t known = run->delivered;

	for (uint32_t i = 0; i < run->n_drops; i++)
		known += run->drop[i].value;
	run->unattributed = run->sent > known ? run->sent - known : 0;
	run->over_attributed = known > run->sent ? known - run->sent : 0;
}
