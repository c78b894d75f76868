/* SPDX-License-Identifier: BSD-2-Clause */
/* noise.c - what the host took away during a bench, a line for each CPU below the table. */
#include <stdio.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"

/* "1.9 %", "0.0031 %", "nothing" */
static void share_text(const struct kbp_noise *n, char *buf, size_t size)
{
	if (!n->lost_ns)
		snprintf(buf, size, "nothing");
	else
		snprintf(buf, size, "%.2g %%", 100.0 * (double)n->lost_ns / (double)n->spun_ns);
}

void cli_noise_lines(const struct kbp_results *res, const char *whose)
{
	for (uint32_t i = 0; i < res->n_noise; i++) {
		const struct kbp_noise *n = &res->noise[i];
		char share[32];

		share_text(n, share, sizeof(share));
		printf("%shost: CPU %d (%s) lost %s of %.2g s to %llu gap%s of 1 us and more",
		       whose, n->cpu, strcmp(n->role, "rx") ? "sender" : "receiver", share,
		       (double)n->spun_ns / 1e9, (unsigned long long)n->gaps,
		       n->gaps == 1 ? "" : "s");
		if (n->gaps)
			printf(", longest %.4g %s",
			       (double)n->max_ns / (n->max_ns < 1000000 ? 1e3 : 1e6),
			       n->max_ns < 1000000 ? "us" : "ms");
		if (n->steal_ns == UINT64_MAX)
			printf("; whether the hypervisor took time is unknown\n");
		else
			printf("; the kernel admits %.0f us of steal during the bench\n",
			       (double)n->steal_ns / 1e3);
	}
}
