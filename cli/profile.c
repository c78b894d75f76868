/* SPDX-License-Identifier: BSD-2-Clause */
/* profile.c - what each operation costs, for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/measure.h>

#include "cli.h"

static const char *fact(const struct kbp_results *res, const char *name)
{
	const char *v = kbp_results_fact(res, name);

	return v ? v : "unknown";
}

static void print_head(const struct kbp_results *res)
{
	bool fifo = !strcmp(fact(res, "fifo"), "true");

	printf("profile: what one operation costs, ns and TSC cycles; gap is P99 - P50; nothing is subtracted\n");
	printf("clock:   TSC, %.1f MHz, quantum %s ns\n", strtod(fact(res, "tsc_hz"), NULL) / 1e6,
	       fact(res, "tsc_quantum_ns"));
	printf("timer:   P50 %.1f, P99 %.1f, min %.1f ns for two readings (batched by %s); the part of it in a figure "
	       "stands beside it\n",
	       strtod(fact(res, "timer_p50_ns"), NULL), strtod(fact(res, "timer_p99_ns"), NULL),
	       strtod(fact(res, "timer_min_ns"), NULL), fact(res, "timer_batch"));
	printf("samples: %s of each after %s of warm-up, frames of %s bytes; what is short against the quantum is\n"
	       "         batched: P50 and P99 are then of means, which hide what single operations vary\n",
	       fact(res, "samples"), fact(res, "warmup"), fact(res, "frame_bytes"));
	printf("CPU:     %s, %s\n", fact(res, "cpu"), fifo ? "SCHED_FIFO" : "normal scheduling");
}

/* "batched by 44" */
static const char *batch_text(const struct kbp_profile_op *r, char buf[32])
{
	if (r->batch == 1)
		strcpy(buf, "one by one");
	else
		snprintf(buf, 32, "batched by %u", r->batch);
	return buf;
}

/* "2-3" */
static const char *published_text(const struct kbp_profile_op *r, char buf[64])
{
	const struct kbp_published *p = &r->published;

	strcpy(buf, "-");
	if (p->high_ns > 0)
		snprintf(buf, 64, "%.3g-%.3g", p->low_ns, p->high_ns);
	return buf;
}

static void print_row(const struct kbp_profile_op *r)
{
	char batch[32], published[64];

	printf("%-10s %-6s %8.1f %8.1f %8.1f %8.1f  %8.0f %8.0f %8.0f %8.0f  %-16s %6.1f  %s\n",
	       r->op, r->form, r->ns.p50, r->ns.p99, r->ns.gap, r->ns.min, r->cycles.p50,
	       r->cycles.p99, r->cycles.gap, r->cycles.min, batch_text(r, batch), r->timer_ns,
	       published_text(r, published));
}

/* Whose figures stand beside ours: each device once, with the operations. */
static void print_published(const struct kbp_profile_op *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct kbp_published *p = &r[i].published;
		bool told = !(p->high_ns > 0);

		for (uint32_t k = 0; k < i && !told; k++)
			told = r[k].published.high_ns > 0 &&
			       !strcmp(r[k].published.device, p->device);
		if (told)
			continue;
		printf("published, %s: ", p->device);
		for (uint32_t k = i; k < n; k++)
			if (!strcmp(r[k].published.device, p->device) &&
			    (k == i || strcmp(r[k].op, r[k - 1].op) != 0))
				printf("%s%s", k == i ? "" : ", ", r[k].op);
		printf(", by \"%s\"\n", p->source);
	}
}

/* Notes of the rows, each once, with the rows it belongs to. */
static void print_notes(const struct kbp_profile_op *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool told = !r[i].note[0];

		for (uint32_t k = 0; k < i && !told; k++)
			told = !strcmp(r[k].note, r[i].note);
		if (told)
			continue;
		printf("note: %s", r[i].op);
		for (uint32_t k = i + 1; k < n; k++)
			if (!strcmp(r[k].note, r[i].note) && strcmp(r[k].op, r[k - 1].op) != 0)
				printf(", %s", r[k].op);
		printf(": %s\n", r[i].note);
	}
}

/* The n rows of one backend. */
static void print_block(const struct kbp_results *res, const struct kbp_profile_op *r, uint32_t n)
{
	char wire[48];

	snprintf(wire, sizeof(wire), "wire_%s", r->backend);
	printf("\n%s: %s, wire %s\n", r->backend,
	       r->emulated ? "emulated (software NIC): these figures say nothing about a NIC" :
	       r->virtual_device ? "virtual device: the software's own work, and nothing about a NIC" :
				   "real device",
	       fact(res, wire));
	printf("%s%-10s %-6s %8s %8s %8s %8s  %8s %8s %8s %8s  %-16s %6s  %s%s\n", cli_bold(),
	       "operation", "form", "P50 ns", "P99 ns", "gap ns", "min ns", "P50 cyc", "P99 cyc",
	       "gap cyc", "min cyc", "timed", "timer", "published", cli_plain());
	for (uint32_t i = 0; i < n; i++)
		print_row(&r[i]);
	print_published(r, n);
	print_notes(r, n);
}

void cli_profile_table(const struct kbp_results *res)
{
	print_head(res);
	for (uint32_t i = 0, n; i < res->n_profile; i += n) {
		for (n = 1; i + n < res->n_profile &&
			    !strcmp(res->profile[i].backend, res->profile[i + n].backend);
		     n++)
			;
		print_block(res, &res->profile[i], n);
	}
	printf("\n");
	for (uint32_t i = 0; i < res->n_findings; i++) {
		const struct kbp_finding *f = &res->finding[i];

		printf("%s: %s%s%s\n", f->note ? "note" : "FINDING", f->backend,
		       f->backend[0] ? ": " : "", f->text);
	}
}
