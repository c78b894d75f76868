/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.c - kbp_profile_run: which backends, each measured in a process of its own, into results.
 *
 * A process of its own, because a module stays loaded, because memory wires are connected for as long as
 * their process lives, and because its CPU and scheduling are not the caller's.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/measure/parts.h"

#define CALIBRATE_MS 200
#define TELL_MS 200
#define STILL_MAX \
	300u /* tellings without anything new: a minute, as long as a driver's restart may take */
#define SAMPLES 5000u
#define RING_MIN 64u	  /* two bursts */
#define SAMPLES_MIN 1000u /* below, P99 is not known */
#define SAMPLES_MAX 1000000u
#define SIM_NICS 64u /* sim0 .. sim63 are the software NIC's names for wires in memory */

struct profile {
	struct kbp_profile_opts o; /* defaults filled in */
	struct kbp_bench b; /* the part it shares with a bench: backends, results, out_dir, progress */
	struct kbp_profile_shared *sh;
	bool timer_told;
	struct kbp_error why_not; /* the last backend that failed */
};

/* ---------------------------------------------------------------- published figures */

#define ARTICLE "Solarflare ef_vi vs DPDK vs AF_XDP: A Decision Framework for Kernel Bypass in 2026"

/* The software NIC stands in for the same card, so it stands beside the same figures. */
static const struct {
	const char *op;
	struct kbp_published figure;
} published[] = {
	{ "poll_empty", { 2, 3, "SFN8522", ARTICLE } },
	{ "poll_one", { 8, 12, "SFN8522", ARTICLE } },
	{ "rx_full", { 15, 22, "SFN8522", ARTICLE } },
	{ "tx_full", { 18, 28, "SFN8522", ARTICLE } },
};

const struct kbp_published *kbp_profile_published(const char *backend, const char *op)
{
	if (strcmp(backend, "ef_vi") != 0 && strcmp(backend, "ef_vi_sim") != 0)
		return NULL;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(published); i++)
		if (!strcmp(published[i].op, op))
			return &published[i].figure;
	return NULL;
}

/* ---------------------------------------------------------------- options */

static int options_check(struct profile *p, struct kbp_error *err)
{
	struct kbp_profile_opts *o = &p->o;

	if (!o->rx_ifname != !o->tx_ifname)
		return kbp_fail(
			err, -EINVAL, "read the options",
			"one interface is given: give both ends of the wire, or none for wires in memory");
	if (o->rx_ring & (o->rx_ring - 1) || (o->rx_ring && o->rx_ring < RING_MIN))
		return kbp_fail(
			err, -EINVAL, "read the options",
			"a ring of %u descriptors: give a power of two from %u, like 1024 or 2048",
			o->rx_ring, RING_MIN);
	o->samples = o->samples ? o->samples : SAMPLES;
	if (o->samples < SAMPLES_MIN || o->samples > SAMPLES_MAX)
		return kbp_fail(err, -EINVAL, "read the options",
				"%u samples of each operation: P99 takes from %u, and %u are the most",
				o->samples, SAMPLES_MIN, SAMPLES_MAX);
	return 0;
}

/* All that there are, so that each that is left out is told of with its reason. */
static int backends_read(struct profile *p, struct kbp_error *err)
{
	static const char *const all[] = { "socket", "af_xdp", "ef_vi", "ef_vi_sim" };
	int rc;

	if (!p->o.backends) {
		for (size_t i = 0; i < KBP_ARRAY_SIZE(all); i++) {
			/* who names interfaces wants ef_vi on them */
			p->b.work[i].wanted = p->o.rx_ifname && !strcmp(all[i], "ef_vi");
			strcpy(p->b.backend[p->b.n_backends++], all[i]);
		}
		return 0;
	}
	rc = kbp_bench_backends(&p->b, err);
	if (!rc && p->o.rx_ifname && p->b.n_backends == 1 && !strcmp(p->b.backend[0], "ef_vi_sim"))
		rc = kbp_fail(err, -EINVAL, "read the options",
			      "ef_vi_sim is profiled on wires in memory: leave the interfaces out, or "
			      "profile ef_vi on them");
	return rc;
}

static int cpu_choose(struct profile *p, struct kbp_error *err)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return kbp_fail(err, -errno, "ask which CPUs may be used", "%s", strerror(errno));
	p->b.cpu_rx = p->o.cpu - 1;
	if (p->b.cpu_rx < 0)
		p->b.cpu_rx = kbp_cpu_pick(&set, -1);
	return kbp_cpu_check(&set, p->b.cpu_rx, "profile", err);
}

/* ---------------------------------------------------------------- progress */

static int tell(struct profile *p, const char *backend, const char *doing, struct kbp_error *err)
{
	struct kbp_bench_progress *at = &p->b.at;

	at->backend = backend;
	at->doing = doing;
	at->sent = backend[0] ? __atomic_load_n(&p->sh->done, __ATOMIC_RELAXED) : 0;
	at->total = p->o.samples;
	if (!p->b.progress || p->b.progress(at, p->b.progress_arg))
		return 0;
	return kbp_fail(err, -ECANCELED, "profile", "stopped on request; nothing was written");
}

/* ---------------------------------------------------------------- one backend */

static void timer_facts(struct profile *p)
{
	const struct kbp_profile_op *t = &p->sh->timer;
	struct kbp_fact **f = &p->b.res->setup;
	uint32_t *n = &p->b.res->n_setup;

	if (p->timer_told)
		return;
	p->timer_told = true;
	kbp_fact_literal(f, n, "timer_p50_ns", "%.9g", t->ns.p50);
	kbp_fact_literal(f, n, "timer_p99_ns", "%.9g", t->ns.p99);
	kbp_fact_literal(f, n, "timer_min_ns", "%.9g", t->ns.min);
	kbp_fact_literal(f, n, "timer_batch", "%u", t->batch);
	kbp_fact_literal(f, n, "memory_locked", p->sh->locked ? "true" : "false");
	kbp_fact_literal(f, n, "fifo", p->sh->fifo ? "true" : "false");
	if (p->o.fifo && !p->sh->fifo)
		kbp_finding_add(
			p->b.res, true, "no_fifo", "",
			"SCHED_FIFO was asked for and refused (CAP_SYS_NICE): measured without");
}

static int rows_take(struct profile *p, const char *backend, struct kbp_error *err)
{
	struct kbp_results *res = p->b.res;
	const struct kbp_profile_shared *sh = p->sh;
	struct kbp_profile_op *rows =
		realloc(res->profile, (res->n_profile + sh->row) * sizeof(*rows));

	if (!rows)
		return kbp_fail(err, -ENOMEM, "keep the profile", "memory is out");
	memcpy(rows + res->n_profile, sh->op, sh->row * sizeof(*rows));
	res->profile = rows;
	for (uint32_t i = 0; i < sh->row; i++) {
		const struct kbp_profile_op *row = &rows[res->n_profile++];

		if (row->cycles.p50 * row->batch < KBP_PROFILE_QUANTA * p->b.tsc.quantum_ticks / 2.0)
			kbp_finding_add(
				res, true, "coarse", backend,
				"%s, %s: a sample of %u operations is only %.3g quanta of the clock",
				row->op, row->form, row->batch,
				row->cycles.p50 * row->batch / p->b.tsc.quantum_ticks);
	}
	timer_facts(p);
	if (sh->inline_note[0])
		kbp_finding_add(res, true, "no_inline_form", backend, "%s", sh->inline_note);
	if (sh->stamps_note[0])
		kbp_finding_add(res, true, "no_stamps", backend, "%s", sh->stamps_note);
	return 0;
}

/* 0 when the child has done its work; otherwise what kept it from that. *ours: we did, not the backend. */
static int child_run(struct profile *p, struct kbp_profile_work *w, bool *ours, struct kbp_error *err)
{
	struct kbp_child c = { .fd = -1 };
	uint32_t last = 0, still = 0;
	int rc;

	memset(p->sh, 0, sizeof(*p->sh));
	rc = kbp_child_start(&c, "measuring process", kbp_profile_child, w, err);
	*ours = rc;
	while (!rc && c.pid) {
		char doing[sizeof(p->sh->doing)];

		kbp_children_wait(&c, NULL, TELL_MS);
		memcpy(doing, p->sh->doing, sizeof(doing));
		doing[sizeof(doing) - 1] = '\0';
		rc = tell(p, w->backend, doing[0] ? doing : "opening", err);
		*ours = rc;
		if (!rc)
			rc = kbp_child_look(&c, err);
		still = last == p->sh->row + p->b.at.sent ? still + 1 : 0;
		last = p->sh->row + (uint32_t)p->b.at.sent;
		if (!rc && c.pid && still > STILL_MAX)
			rc = kbp_failf(err, -ETIMEDOUT,
				       "see the kernel log for the driver's messages",
				       "profile %s: %s took longer than a minute", w->backend, doing);
	}
	kbp_child_kill(&c);
	if (rc || __atomic_load_n(&p->sh->stage, __ATOMIC_ACQUIRE) == KBP_STAGE_DONE)
		return rc;
	*err = p->sh->error;
	return err->code ? err->code : -EIO;
}

/* Two names that no interface has: one of that name would be attached to. */
static bool sim_names(char name[2][IF_NAMESIZE])
{
	unsigned found = 0;

	for (unsigned i = 0; i < SIM_NICS && found < 2; i++) {
		snprintf(name[found], IF_NAMESIZE, "sim%u", i);
		found += !if_nametoindex(name[found]);
	}
	return found == 2;
}

/* The ends of the wire. Words of the caller's come last, so that they have the last word. */
static int wire_choose(const struct profile *p, struct kbp_profile_work *w,
		       char name[2][IF_NAMESIZE], char words[2][512], struct kbp_error *err)
{
	const char *mine = p->o.ef_vi_words ? p->o.ef_vi_words : "";

	w->rx_ifname = p->o.rx_ifname;
	w->tx_ifname = p->o.tx_ifname;
	w->rx_words = w->tx_words = p->o.ef_vi_words;
	if (strcmp(w->backend, "ef_vi_sim") != 0)
		return 0;
	if (!sim_names(name))
		return kbp_fail(err, -EADDRINUSE, "choose a wire in memory",
				"interfaces have all the names sim0 to sim63: rename one");
	/* the software NIC's own bookkeeping is no part of any operation */
	if (snprintf(words[0], sizeof(words[0]), "check=off,peer=%s,%s", name[1], mine) >=
		    (int)sizeof(words[0]) ||
	    snprintf(words[1], sizeof(words[1]), "check=off,%s", mine) >= (int)sizeof(words[1]))
		return kbp_fail(err, -EINVAL, "read the words for ef_vi_sim", "give fewer");
	w->rx_ifname = name[0];
	w->tx_ifname = name[1];
	w->rx_words = words[0];
	w->tx_words = words[1];
	return 0;
}

static int backend_profile(struct profile *p, const char *backend, bool *ours, struct kbp_error *err)
{
	struct kbp_profile_work w = { .backend = backend,
				      .samples = p->o.samples,
				      .rx_ring = p->o.rx_ring,
				      .cpu = p->b.cpu_rx,
				      .fifo = p->o.fifo,
				      .tsc = p->b.tsc,
				      .sh = p->sh };
	char name[2][IF_NAMESIZE], words[2][512], wire[24];
	int rc = wire_choose(p, &w, name, words, err);

	*ours = false;
	if (!rc)
		rc = child_run(p, &w, ours, err);
	if (rc)
		return rc;
	*ours = true;
	snprintf(wire, sizeof(wire), "wire_%s", backend);
	kbp_fact_text(&p->b.res->setup, &p->b.res->n_setup, wire, "%s to %s%s", w.tx_ifname,
		      w.rx_ifname, strcmp(backend, "ef_vi_sim") ? "" : ", in memory");
	return rows_take(p, backend, err);
}

/* Why this backend is not even tried; NULL: it is. */
static const char *left_out(const struct profile *p, const char *backend)
{
	if (strcmp(backend, "ef_vi") != 0 && strcmp(backend, "ef_vi_sim") != 0)
		return "not profiled yet: ef_vi and ef_vi_sim are";
	if (!strcmp(backend, "ef_vi") && !p->o.rx_ifname)
		return "not profiled: that takes two of its interfaces at the ends of one wire, and none were named "
		       "(--rx and --tx)";
	return NULL;
}

static int backends_profile(struct profile *p, struct kbp_error *err)
{
	for (uint32_t i = 0; i < p->b.n_backends; i++) {
		const char *backend = p->b.backend[i], *why = left_out(p, backend);
		struct kbp_error e = { 0 };
		bool ours;
		int rc;

		if (why) {
			kbp_finding_add(p->b.res, true, "not_profiled", backend, "%s", why);
			continue;
		}
		rc = backend_profile(p, backend, &ours, &e);
		if (!rc)
			continue;
		if (err && ours)
			*err = e;
		if (ours)
			return rc;
		p->why_not = e;
		kbp_finding_add(p->b.res, !p->b.work[i].wanted, "not_profiled", backend,
				"not profiled: %.90s: %.170s", e.step, e.hint);
	}
	return 0;
}

/* ---------------------------------------------------------------- all of it */

/* With one reason, that is the error; otherwise each backend's in its turn. */
static int nothing_profiled(const struct profile *p, struct kbp_error *err)
{
	const struct kbp_results *res = p->b.res;
	char hint[sizeof(err->hint)];
	size_t at = 0;

	if (p->why_not.code) {
		if (err)
			*err = p->why_not;
		return p->why_not.code;
	}
	hint[0] = '\0';
	for (uint32_t i = 0; i < res->n_findings && at < sizeof(hint); i++)
		if (!strcmp(res->finding[i].code, "not_profiled"))
			at += (size_t)snprintf(hint + at, sizeof(hint) - at, "%s%s %s",
					       at ? "; " : "", res->finding[i].backend,
					       res->finding[i].text);
	return kbp_fail(err, -EOPNOTSUPP, "profile", "%s", hint);
}

static void setup_facts(struct profile *p)
{
	struct kbp_fact **f = &p->b.res->setup;
	uint32_t *n = &p->b.res->n_setup;

	kbp_fact_text(f, n, "kind", "profile");
	kbp_fact_literal(f, n, "samples", "%u", p->o.samples);
	kbp_fact_literal(f, n, "warmup", "%u", KBP_PROFILE_WARMUP);
	kbp_fact_literal(f, n, "frame_bytes", "%u", 42 + KBP_PROFILE_PAYLOAD); /* Ethernet, IP, UDP */
	kbp_fact_literal(f, n, "rx_ring_asked", "%u", p->o.rx_ring);
	kbp_fact_literal(f, n, "cpu", "%d", p->b.cpu_rx);
	if (p->o.ef_vi_words)
		kbp_fact_text(f, n, "ef_vi_words", "%s", p->o.ef_vi_words);
}

static int profile_all(struct profile *p, struct kbp_error *err)
{
	int rc = options_check(p, err);

	if (!rc)
		rc = backends_read(p, err);
	if (!rc)
		rc = cpu_choose(p, err);
	if (!rc)
		rc = kbp_bench_out_take(&p->b, err);
	if (!rc)
		rc = tell(p, "", "calibrating the clock", err);
	if (!rc)
		rc = kbp_tsc_calibrate(&p->b.tsc, CALIBRATE_MS, err);
	if (rc)
		return rc;
	kbp_host_fingerprint(p->b.res, p->b.cpu_rx, -1, &p->b.tsc);
	setup_facts(p);
	rc = backends_profile(p, err);
	if (!rc && !p->b.res->n_profile)
		rc = nothing_profiled(p, err);
	return rc;
}

static int profile_and_keep(struct profile *p, struct kbp_error *err)
{
	int rc = profile_all(p, err);

	p->b.measured = !rc;
	if (!rc && p->o.out_dir)
		rc = kbp_results_save(p->b.res, p->o.out_dir, err);
	/* a profile has no samples to keep */
	if (p->b.out_fd >= 0)
		kbp_results_dir_abandon(p->o.out_dir, rc && p->b.out_made);
	return rc;
}

int kbp_profile_run(const struct kbp_profile_opts *opts, kbp_bench_progress_fn progress, void *arg,
		    struct kbp_results **res, struct kbp_error *err)
{
	struct profile *p;
	int rc;

	*res = NULL;
	if (opts->size < sizeof(size_t) || opts->size > sizeof(*opts))
		return kbp_fail(err, -EINVAL, "read the options",
				"opts.size is %zu: begin with KBP_PROFILE_OPTS_INIT", opts->size);
	p = calloc(1, sizeof(*p));
	if (!p)
		return kbp_fail(err, -ENOMEM, "profile", "memory is out");
	p->b.res = calloc(1, sizeof(*p->b.res));
	p->sh = mmap(NULL, sizeof(*p->sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(&p->o, opts, opts->size);
	p->b.o.backends = p->o.backends;
	p->b.o.out_dir = p->o.out_dir;
	p->b.out_fd = -1;
	p->b.progress = progress;
	p->b.progress_arg = arg;
	if (!p->b.res || p->sh == MAP_FAILED)
		rc = kbp_fail(err, -ENOMEM, "profile", "memory is out");
	else
		rc = profile_and_keep(p, err);
	if (p->b.out_fd >= 0)
		close(p->b.out_fd);
	if (p->sh != MAP_FAILED)
		munmap(p->sh, sizeof(*p->sh));
	if (p->b.measured)
		*res = p->b.res;
	else
		kbp_results_free(p->b.res);
	free(p);
	return rc;
}
