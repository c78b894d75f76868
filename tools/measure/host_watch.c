/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_watch.c - the host during one bench: what is read before the first round and after the last, and where it can
 * be read. Interfaces may be in namespaces of their own, and entering one is for good: a child reads them there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tools/measure/host.h"

#define NIC_FACTS_MAX 48u

/* What a child found, in memory that it shares with us. */
struct found {
	uint32_t n;
	struct kbp_fact fact[NIC_FACTS_MAX];
};

struct reader {
	const struct kbp_bench *b;
	enum kbp_lab_side side;
	struct found *found;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *shared_get(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---------------------------------------------------------------- the two interfaces */

static int nic_child(void *arg)
{
	const struct reader *r = arg;
	struct kbp_results list = { 0 };
	struct kbp_host here;
	struct kbp_error err = { 0 };
	const char *rx = r->side == KBP_LAB_RX ? "rx_nic_" : "tx_nic_";
	char name[31];

	kbp_host_here(&here);
	snprintf(name, sizeof(name), "%sdriver", rx);
	if (kbp_bench_enter(r->b, r->side, &err))
		kbp_host_unknown(&list, name, "%s: %s", err.step, err.hint);
	else
		kbp_nic_facts(&list, &here, rx, r->b->net.host[r->side].ifname);
	for (uint32_t i = 0; i < list.n_fingerprint && i < NIC_FACTS_MAX; i++) {
		r->found->fact[i] = list.fingerprint[i];
		r->found->n = i + 1;
	}
	free(list.fingerprint);
	return 0;
}

static void nic_read(struct kbp_bench *b, enum kbp_lab_side side)
{
	struct reader r = { .b = b, .side = side, .found = shared_get(sizeof(*r.found)) };
	struct kbp_results *list = &b->watch->nic;
	struct kbp_child c = { .fd = -1 };

	if (!r.found)
		return;
	if (!kbp_child_start(&c, "reader of facts", nic_child, &r, NULL))
		while (c.pid) {
			kbp_children_wait(&c, NULL, 1000);
			if (kbp_child_look(&c, NULL))
				break;
		}
	for (uint32_t i = 0; i < r.found->n; i++) {
		const struct kbp_fact *f = &r.found->fact[i];

		(f->literal ? kbp_fact_literal : kbp_fact_text)(
			&list->fingerprint, &list->n_fingerprint, f->name, "%s", f->value);
	}
	munmap(r.found, sizeof(*r.found));
}

/* ---------------------------------------------------------------- CPU time */

static void cpu_begin(struct kbp_watched_cpu *w, const struct kbp_host *h, int cpu)
{
	w->cpu = cpu;
	if (cpu >= 0)
		kbp_cpu_time_read(h, cpu, &w->before);
}

/* Its other thread; -1: there is none, or it is not known. */
static int sibling_of(const struct kbp_host *h, int cpu)
{
	char list[256];

	if (kbp_host_line(h, list, sizeof(list),
			  "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		return -1;
	return kbp_cpulist_other(list, cpu);
}

void kbp_sibling_fact(struct kbp_results *res, const char *name, const struct kbp_watched_cpu *w,
		      const struct kbp_cpu_time *after, int other_role_cpu)
{
	uint64_t busy = after->busy_ns - w->before.busy_ns;
	uint64_t all =
		busy + after->idle_ns - w->before.idle_ns + after->steal_ns - w->before.steal_ns;
	double percent = all ? 100.0 * (double)busy / (double)all : 0;

	if (w->cpu < 0) {
		kbp_host_fact(res, name, "none");
		return;
	}
	if (!w->before.known || !after->known || !all) {
		kbp_host_unknown(res, name, "/proc/stat does not tell of CPU %d", w->cpu);
		return;
	}
	kbp_host_fact(res, name, "CPU %d busy %.1f %%", w->cpu, percent);
	if (percent > KBP_SIBLING_BUSY_PERCENT && w->cpu != other_role_cpu)
		kbp_finding_add(res, true, "smt_busy", "",
				"CPU %d is the other thread of a core of the bench and was busy for %.1f %% of "
				"the time: both share the core",
				w->cpu, percent);
}

static void siblings_finish(struct kbp_bench *b, const struct kbp_host *h)
{
	static const char *const names[] = { "smt_sibling_busy", "smt_sibling_busy_tx" };

	for (int i = 0; i < 2; i++) {
		struct kbp_cpu_time after = { 0 };
		const struct kbp_watched_cpu *w = &b->watch->sibling[i];

		if (w->cpu >= 0)
			kbp_cpu_time_read(h, w->cpu, &after);
		kbp_sibling_fact(b->res, names[i], w, &after, i ? b->cpu_rx : b->cpu_tx);
	}
}

/* ---------------------------------------------------------------- the bench's calls */

int kbp_watch_open(struct kbp_bench *b, struct kbp_error *err)
{
	struct kbp_watch *w = calloc(1, sizeof(*w));
	struct kbp_host here;

	b->watch = w;
	if (w)
		w->noise = shared_get(2 * sizeof(*w->noise));
	if (!w || !w->noise)
		return kbp_fail(err, -ENOMEM, "look at the host", "memory is out");
	kbp_host_here(&here);
	nic_read(b, KBP_LAB_RX);
	nic_read(b, KBP_LAB_TX);
	cpu_begin(&w->role[0], &here, b->cpu_rx);
	cpu_begin(&w->role[1], &here, b->cpu_tx);
	cpu_begin(&w->sibling[0], &here, sibling_of(&here, b->cpu_rx));
	cpu_begin(&w->sibling[1], &here, sibling_of(&here, b->cpu_tx));
	w->begun_ns = now_ns();
	return 0;
}

int kbp_watch_round(struct kbp_bench *b, struct kbp_error *err)
{
	return kbp_noise_listen(b, err);
}

void kbp_watch_backend(struct kbp_bench *b)
{
	char seen[sizeof(b->sh->libraries)], *word, *at = seen;

	memcpy(seen, b->sh->libraries, sizeof(seen));
	seen[sizeof(seen) - 1] = '\0';
	while ((word = strsep(&at, " ")) != NULL)
		kbp_word_add(b->watch->libraries, sizeof(b->watch->libraries), word);
}

static void noise_finish(struct kbp_bench *b, const struct kbp_host *h)
{
	static const char *const roles[] = { "rx", "tx" };

	for (int i = 0; i < 2; i++) {
		struct kbp_noise *to = &b->res->noise[b->res->n_noise];
		struct kbp_watched_cpu *w = &b->watch->role[i];
		struct kbp_cpu_time after = { 0 };

		if (!b->watch->noise[i].spun_ns)
			continue; /* it was never let run there */
		*to = b->watch->noise[i];
		to->cpu = w->cpu;
		strcpy(to->role, roles[i]);
		kbp_cpu_time_read(h, w->cpu, &after);
		to->steal_ns = w->before.known && after.known ? after.steal_ns - w->before.steal_ns :
								KBP_NOISE_STEAL_UNKNOWN;
		b->res->n_noise++;
	}
}

void kbp_watch_finish(struct kbp_bench *b)
{
	const uint64_t took = now_ns() - b->watch->begun_ns;
	const struct kbp_host_use use = { .cpu_rx = b->cpu_rx,
					  .cpu_tx = b->cpu_tx,
					  .fifo_rx = b->sh->rx_fifo,
					  .fifo_tx = b->sh->tx_fifo,
					  .bench_ns = took };
	const struct kbp_results *nic = &b->watch->nic;
	struct kbp_host here;

	kbp_host_here(&here);
	for (uint32_t i = 0; i < nic->n_fingerprint; i++) {
		const struct kbp_fact *f = &nic->fingerprint[i];

		(f->literal ? kbp_fact_literal : kbp_fact_text)(
			&b->res->fingerprint, &b->res->n_fingerprint, f->name, "%s", f->value);
	}
	kbp_library_facts(b->res, b->watch->libraries);
	noise_finish(b, &here);
	siblings_finish(b, &here);
	kbp_host_notes(b->res, &here, &use);
	kbp_noise_notes(b->res, took);
}

void kbp_watch_close(struct kbp_bench *b)
{
	if (!b->watch)
		return;
	free(b->watch->nic.fingerprint);
	if (b->watch->noise)
		munmap(b->watch->noise, 2 * sizeof(*b->watch->noise));
	free(b->watch);
	b->watch = NULL;
}
