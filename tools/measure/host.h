/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - what the host is, and what it does to a bench: facts for the fingerprint, conditions that hurt, and the
 * noise on the cores of the bench.
 *
 * Everything under /proc, /sys and /dev is read through one seam, kbp_host_open: with another root than "" it reads a
 * tree of files from elsewhere, so that tests can be hosts that we do not have. What cannot be read is a fact all the
 * same: "unknown: why". Nothing is guessed.
 */
#ifndef KBP_MEASURE_HOST_H
#define KBP_MEASURE_HOST_H

#include <stdio.h>

#include "tools/measure/parts.h"

/* ---------------------------------------------------------------- host.c: the seam */

struct kbp_host {
	const char *root;    /* before every path; "": this host */
	char hypervisor[13]; /* what CPUID says it is called: "KVMKVMKVM"; "": nothing */
};

#define KBP_HOST_PATH_MAX 512

/* This host. */
void kbp_host_here(struct kbp_host *h);
/* The file, or NULL and errno. */
FILE *kbp_host_open(const struct kbp_host *h, const char *path_fmt, ...) KBP_PRINTF(2, 3);
/* The first line without blanks around it. 0, or -errno; an empty one is "". */
int kbp_host_line(const struct kbp_host *h, char *buf, size_t size, const char *path_fmt, ...)
	KBP_PRINTF(4, 5);
/* A whole number that is the first word of a file. 0, or -errno; -EBADMSG it is none. */
int kbp_host_number(const struct kbp_host *h, int64_t *value, const char *path_fmt, ...)
	KBP_PRINTF(3, 4);
/* Is CPU `cpu` in a list like "0,4-7"? */
bool kbp_cpulist_has(const char *list, int cpu);
/* The first CPU of the list other than `cpu`; -1: there is none. */
int kbp_cpulist_other(const char *list, int cpu);

/* Facts of the fingerprint: text that is known; why it is not. */
void kbp_host_fact(struct kbp_results *res, const char *name, const char *fmt, ...) KBP_PRINTF(3, 4);
void kbp_host_unknown(struct kbp_results *res, const char *name, const char *fmt, ...)
	KBP_PRINTF(3, 4);
bool kbp_fact_is_unknown(const char *value);

/* ---------------------------------------------------------------- facts_host.c */

/* The host, as files say it is. cpu_tx: -1 when nobody sends. */
void kbp_host_facts(struct kbp_results *res, const struct kbp_host *h, int cpu_rx, int cpu_tx);
/* "yes: KVM", "no", or "unknown: why". */
void kbp_host_machine(const struct kbp_host *h, char *buf, size_t size);

/* ---------------------------------------------------------------- facts_nic.c */

/* One interface of the network namespace that we are in; names begin with `prefix`. */
void kbp_nic_facts(struct kbp_results *res, const struct kbp_host *h, const char *prefix,
		   const char *ifname);
/* The same by its place on the bus alone, which files tell: model, NUMA node, interrupts. */
void kbp_nic_bus_facts(struct kbp_results *res, const struct kbp_host *h, const char *prefix,
		       const char *bus, const char *ifname);
/* Of the libraries that decide about results: the files that are loaded in this process, "libbpf.so.1.1.0 ...". Those
 * that `buf` names already stay in it once. */
void kbp_libraries_seen(char *buf, size_t size);
/* Adds a word to a list with blanks between, once. */
void kbp_word_add(char *list, size_t size, const char *word);
/* One fact for each: library_libbpf. */
void kbp_library_facts(struct kbp_results *res, const char *seen);

/* ---------------------------------------------------------------- host_notes.c */

/* Time of one CPU by /proc/stat, in ns since the start. */
struct kbp_cpu_time {
	bool known;
	uint64_t busy_ns, idle_ns, steal_ns;
};

int kbp_cpu_time_read(const struct kbp_host *h, int cpu, struct kbp_cpu_time *t);

/* How a bench used the host. */
struct kbp_host_use {
	int cpu_rx, cpu_tx;
	bool fifo_rx, fifo_tx;
	uint64_t bench_ns; /* so long it took, all in all */
};

/* What hurts is said as a note; doc/RESULTS.md lists the codes. */
void kbp_host_notes(struct kbp_results *res, const struct kbp_host *h,
		    const struct kbp_host_use *use);
/* From res->noise. */
void kbp_noise_notes(struct kbp_results *res, uint64_t bench_ns);

/* ---------------------------------------------------------------- noise.c */

#define KBP_NOISE_MS 60u       /* on each CPU, before each round */
#define KBP_NOISE_GAP_NS 1000u /* shorter ones are the reading itself, and SMIs at their best */
#define KBP_NOISE_STEAL_UNKNOWN UINT64_MAX

/* Two readings of the clock lie `ticks` apart. */
void kbp_noise_gap(struct kbp_noise *n, const struct kbp_tsc *tsc, uint64_t ticks);
/* All of a sequence of readings, in ticks: what a spinner would have seen. */
void kbp_noise_feed(struct kbp_noise *n, const struct kbp_tsc *tsc, const uint64_t *readings,
		    size_t count);

/* ---------------------------------------------------------------- host_watch.c: the bench's calls */

#define KBP_SIBLING_BUSY_PERCENT 5

struct kbp_watched_cpu {
	int cpu; /* -1: none */
	struct kbp_cpu_time before;
};

struct kbp_watch {
	struct kbp_noise *noise; /* two, of receiver and sender; shared with who listens */
	struct kbp_watched_cpu role[2], sibling[2];
	struct kbp_results nic; /* facts alone: of both interfaces */
	char libraries[256];
	uint64_t begun_ns;
};

/* How busy a hot core's other thread was; a note when it was. */
void kbp_sibling_fact(struct kbp_results *res, const char *name, const struct kbp_watched_cpu *w,
		      const struct kbp_cpu_time *after, int other_role_cpu);

/* Before the first round: what has to be read where it lives, and what is compared at the end. */
int kbp_watch_open(struct kbp_bench *b, struct kbp_error *err);
/* Before each round: listens to the host. */
int kbp_watch_round(struct kbp_bench *b, struct kbp_error *err);
/* noise.c: one such listening, on both CPUs at once. */
int kbp_noise_listen(struct kbp_bench *b, struct kbp_error *err);
/* After a backend's part of a round. */
void kbp_watch_backend(struct kbp_bench *b);
/* After the last round: noise, notes and the facts of this bench. */
void kbp_watch_finish(struct kbp_bench *b);
void kbp_watch_close(struct kbp_bench *b);

#endif
