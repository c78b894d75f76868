/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * results.c - results as JSON, and into a directory without ever leaving half a file.
 * doc/RESULTS.md has the schema; members are only ever added to it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/measure/json.h"

static json_t *count_json(const struct kbp_named_count *c, uint32_t n, bool *bad)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < n; i++)
		kbp_json_put_count(o, c[i].name, c[i].value, bad);
	return o;
}

static json_t *facts_json(const struct kbp_fact *f, uint32_t n, bool *bad)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < n; i++) {
		json_t *v = f[i].literal ? json_loads(f[i].value, JSON_DECODE_ANY, NULL) : NULL;

		kbp_json_put(o, f[i].name, v ? v : kbp_json_text(f[i].value), bad);
	}
	return o;
}

static json_t *rounds_json(const struct kbp_result_run *r, bool *bad)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < r->n_rounds; i++) {
		const struct kbp_result_round *d = &r->round[i];

		if (json_array_append_new(
			    a, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "position",
					 (json_int_t)d->position, "sent", (json_int_t)d->sent,
					 "delivered", (json_int_t)d->delivered, "late",
					 (json_int_t)d->late, "ambiguous", (json_int_t)d->ambiguous,
					 "first_sample", (json_int_t)d->first_sample, "samples",
					 (json_int_t)d->samples, "warmup", (json_int_t)d->warmup)))
			*bad = true;
	}
	return a;
}

/* Only where there are stamps. */
static void put_stamps(json_t *run, const struct kbp_result_stamps *s, bool *bad)
{
	json_t *rx, *wire;

	if (!s->source[0])
		return;
	rx = json_object();
	kbp_json_put_text(rx, "source", s->source, bad);
	kbp_json_put_text(rx, "epoch", s->epoch, bad);
	kbp_json_put_text(rx, "proof", s->proof, bad);
	kbp_json_put_count(rx, "resolution_ps", s->resolution_ps, bad);
	kbp_json_put_count(rx, "error_ns", s->error_ns, bad);
	kbp_json_put_count(rx, "unstamped", s->unstamped, bad);
	kbp_json_put_count(rx, "voided", s->voided, bad);
	kbp_json_put_count(rx, "impossible", s->impossible, bad);
	kbp_json_put_count(rx, "clipped", s->clipped, bad);
	kbp_json_put(rx, "latency_ns", kbp_json_latency("rx_path", &s->rx_path, bad), bad);
	kbp_json_put_text(rx, "samples_file", s->rx_path_file, bad);
	kbp_json_put(run, "rx_path", rx, bad);
	wire = json_object();
	kbp_json_put_text(wire, "source", s->source, bad);
	kbp_json_put_count(wire, "clipped", s->wire_clipped, bad);
	kbp_json_put(wire, "latency_ns", kbp_json_latency("wire_to_stamp", &s->wire_to_stamp, bad),
		     bad);
	kbp_json_put_text(wire, "samples_file", s->wire_to_stamp_file, bad);
	kbp_json_put(run, "wire_to_stamp", wire, bad);
}

static json_t *with_intervals(const char *kind, const struct kbp_latency *l,
			      const struct kbp_result_intervals *i, bool *bad)
{
	json_t *o = kbp_json_latency(kind, l, bad);

	kbp_put_intervals(o, i, bad);
	return o;
}

/* Which backend in which variant, at which rate of a sweep. */
static void put_variant(json_t *o, const struct kbp_result_run *r, bool *bad)
{
	if (r->rate_pps)
		kbp_json_put_count(o, "rate_pps", r->rate_pps, bad);
	if (!r->variant)
		return;
	kbp_json_put_text(o, "variant_of", r->base, bad);
	kbp_json_put_bool(o, "traced", r->traced, bad);
	kbp_json_put_real(o, "planted_ns", r->planted_ns, bad);
}

static json_t *run_json(const struct kbp_result_run *r, bool *bad)
{
	json_t *o = json_object(), *achieved = json_object();
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "queues", r->queues },
		{ "rcvbuf_bytes", r->rcvbuf_bytes },
		{ "rx_ring", r->rx_ring },
		{ "scheduled", r->scheduled },
		{ "sent", r->sent },
		{ "send_errors", r->send_errors },
		{ "late", r->late },
		{ "delivered", r->delivered },
		{ "foreign", r->foreign },
		{ "out_of_order", r->out_of_order },
		{ "ambiguous", r->ambiguous },
		{ "clipped", r->clipped },
		{ "unattributed", r->unattributed },
		{ "over_attributed", r->over_attributed },
	};

	kbp_json_put_text(achieved, "mode", r->mode, bad);
	kbp_json_put_text(achieved, "requested", r->requested, bad);
	kbp_json_put_text(achieved, "proof", r->proof, bad);
	kbp_json_put_text(achieved, "note", r->note, bad);
	kbp_json_put_text(o, "backend", r->backend, bad);
	put_variant(o, r, bad);
	kbp_json_put(o, "achieved", achieved, bad);
	kbp_json_put(o, "emulated", json_boolean(r->emulated), bad);
	kbp_json_put(o, "virtual", json_boolean(r->virtual_device), bad);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(counts); i++)
		kbp_json_put_count(o, counts[i].name, counts[i].value, bad);
	kbp_json_put(o, "drops", count_json(r->drop, r->n_drops, bad), bad);
	kbp_json_put(o, "causes", count_json(r->cause, r->n_causes, bad), bad);
	kbp_json_put_text(o, "digest", r->digest, bad);
	kbp_json_put_text(o, "digest_expected", r->digest_expected, bad);
	kbp_json_put(o, "latency_ns", with_intervals(r->kind, &r->latency, &r->interval, bad), bad);
	kbp_json_put(o, "lateness_ns", kbp_json_latency("sender", &r->lateness, bad), bad);
	kbp_json_put_text(o, "samples_file", r->samples_file, bad);
	put_stamps(o, &r->stamps, bad);
	if (r->tx.samples) {
		kbp_json_put(o, "tx_ns", with_intervals("tx", &r->tx, &r->tx_interval, bad), bad);
		kbp_json_put_text(o, "tx_file", r->tx_file, bad);
	}
	kbp_put_explain(o, &r->explain, bad);
	kbp_json_put(o, "rounds", rounds_json(r, bad), bad);
	return o;
}

static json_t *cost_json(const struct kbp_profile_cost *c, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put(o, "p50", json_real(c->p50), bad);
	kbp_json_put(o, "p99", json_real(c->p99), bad);
	kbp_json_put(o, "gap", json_real(c->gap), bad);
	kbp_json_put(o, "min", json_real(c->min), bad);
	return o;
}

static json_t *published_json(const struct kbp_published *p, bool *bad)
{
	json_t *o;

	if (!(p->high_ns > 0))
		return json_null();
	o = json_object();
	kbp_json_put(o, "low_ns", json_real(p->low_ns), bad);
	kbp_json_put(o, "high_ns", json_real(p->high_ns), bad);
	kbp_json_put_text(o, "device", p->device, bad);
	kbp_json_put_text(o, "source", p->source, bad);
	return o;
}

static json_t *profile_json(const struct kbp_profile_op *r, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "backend", r->backend, bad);
	kbp_json_put(o, "emulated", json_boolean(r->emulated), bad);
	kbp_json_put_bool(o, "virtual", r->virtual_device, bad);
	kbp_json_put_text(o, "op", r->op, bad);
	kbp_json_put_text(o, "form", r->form, bad);
	kbp_json_put_count(o, "batch", r->batch, bad);
	kbp_json_put_count(o, "samples", r->samples, bad);
	kbp_json_put(o, "timer_ns", json_real(r->timer_ns), bad);
	kbp_json_put(o, "ns", cost_json(&r->ns, bad), bad);
	kbp_json_put(o, "cycles", cost_json(&r->cycles, bad), bad);
	kbp_json_put(o, "published", published_json(&r->published, bad), bad);
	kbp_json_put_text(o, "note", r->note, bad);
	return o;
}

/* Results of a bench have no such member. */
static void put_profile(json_t *root, const struct kbp_results *res, bool *bad)
{
	json_t *a;

	if (!res->n_profile)
		return;
	a = json_array();
	for (uint32_t i = 0; i < res->n_profile; i++)
		*bad |= json_array_append_new(a, profile_json(&res->profile[i], bad)) != 0;
	kbp_json_put(root, "profile", a, bad);
}

static json_t *finding_json(const struct kbp_finding *f, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "code", f->code, bad);
	kbp_json_put_text(o, "backend", f->backend, bad);
	kbp_json_put(o, "note", json_boolean(f->note), bad);
	kbp_json_put_text(o, "text", f->text, bad);
	return o;
}

char *kbp_results_json(const struct kbp_results *res)
{
	json_t *root = json_object(), *runs = json_array(), *findings = json_array();
	bool bad = false;
	char *text;

	kbp_json_put_text(root, "schema", KBP_RESULTS_SCHEMA, &bad);
	kbp_json_put(root, "fingerprint", facts_json(res->fingerprint, res->n_fingerprint, &bad),
		     &bad);
	kbp_json_put(root, "setup", facts_json(res->setup, res->n_setup, &bad), &bad);
	for (uint32_t i = 0; i < res->n_runs; i++)
		bad |= json_array_append_new(runs, run_json(&res->run[i], &bad)) != 0;
	kbp_json_put(root, "runs", runs, &bad);
	put_profile(root, res, &bad);
	kbp_put_noise(root, res, &bad);
	kbp_put_verdicts(root, res, &bad);
	for (uint32_t i = 0; i < res->n_findings; i++)
		bad |= json_array_append_new(findings, finding_json(&res->finding[i], &bad)) != 0;
	kbp_json_put(root, "findings", findings, &bad);
	text = bad ? NULL :
		     json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER |
					      JSON_REAL_PRECISION(KBP_RESULTS_REAL_DIGITS));
	json_decref(root);
	return text;
}

void kbp_results_free(struct kbp_results *res)
{
	if (!res)
		return;
	for (uint32_t i = 0; i < res->n_runs; i++) {
		free(res->run[i].round);
		free(res->run[i].explain.cause);
		free(res->run[i].explain.outlier);
	}
	free(res->run);
	free(res->profile);
	free(res->fingerprint);
	free(res->setup);
	free(res->finding);
	free(res->verdict);
	free(res->dir);
	free(res);
}

const char *kbp_results_fact(const struct kbp_results *res, const char *name)
{
	for (uint32_t i = 0; i < res->n_fingerprint; i++) {
		if (!strcmp(res->fingerprint[i].name, name))
			return res->fingerprint[i].value;
	}
	for (uint32_t i = 0; i < res->n_setup; i++) {
		if (!strcmp(res->setup[i].name, name))
			return res->setup[i].value;
	}
	return NULL;
}

static void fact_add(struct kbp_fact **list, uint32_t *n, bool literal, const char *name,
		     const char *fmt, va_list ap)
{
	struct kbp_fact *f = realloc(*list, (*n + 1u) * sizeof(*f));

	if (!f)
		return;
	*list = f;
	f += (*n)++;
	memset(f, 0, sizeof(*f));
	f->literal = literal;
	snprintf(f->name, sizeof(f->name), "%s", name);
	vsnprintf(f->value, sizeof(f->value), fmt, ap);
}

void kbp_fact_text(struct kbp_fact **list, uint32_t *n, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fact_add(list, n, false, name, fmt, ap);
	va_end(ap);
}

void kbp_fact_literal(struct kbp_fact **list, uint32_t *n, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fact_add(list, n, true, name, fmt, ap);
	va_end(ap);
}

void kbp_finding_add(struct kbp_results *res, bool note, const char *code, const char *backend,
		     const char *fmt, ...)
{
	struct kbp_finding *f = realloc(res->finding, (res->n_findings + 1u) * sizeof(*f));
	va_list ap;

	if (!f)
		return;
	res->finding = f;
	f += res->n_findings++;
	memset(f, 0, sizeof(*f));
	f->note = note;
	snprintf(f->code, sizeof(f->code), "%s", code);
	snprintf(f->backend, sizeof(f->backend), "%s", backend);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

/* ---------------------------------------------------------------- the directory */

/* Nothing in it, or only what a bench has written before it was killed. */
static bool dir_is_free(const char *path)
{
	static const char *const ours[] = { ".", "..", "samples", "results.json.tmp", "report.html" };
	DIR *d = opendir(path);
	struct dirent *e;
	bool found = true;

	if (!d)
		return false;
	while (found && (e = readdir(d)) != NULL) {
		found = false;
		for (size_t i = 0; i < KBP_ARRAY_SIZE(ours); i++)
			found = found || !strcmp(e->d_name, ours[i]);
	}
	closedir(d);
	return found;
}

/* Ours: a results.json that names our schema, in whatever state the rest of it is. */
static bool dir_is_ours(const char *path)
{
	char file[PATH_MAX], head[256] = "";
	size_t n;
	FILE *f;

	if (snprintf(file, sizeof(file), "%s/results.json", path) >= (int)sizeof(file))
		return false;
	f = fopen(file, "re");
	if (!f)
		return false;
	n = fread(head, 1, sizeof(head) - 1, f);
	head[n] = '\0';
	fclose(f);
	return strstr(head, "\"kbypass.bench/") != NULL;
}

/* errno says why. */
static int write_failed(struct kbp_error *err, const char *path)
{
	int e = errno;
	char hint[160];

	snprintf(hint, sizeof(hint), "%s: %s, or name another directory", strerror(e),
		 e == ENOSPC || e == EDQUOT ? "make room" : "mend that");
	return kbp_failf(err, -e, hint, "write %s", path);
}

int kbp_results_dir_prepare(const char *dir, struct kbp_error *err)
{
	char samples[PATH_MAX];

	if (!*dir)
		return kbp_fail(err, -EINVAL, "use \"\" for results", "name a directory");
	if (snprintf(samples, sizeof(samples), "%s/samples", dir) >= (int)sizeof(samples) - 64)
		return kbp_failf(err, -ENAMETOOLONG, "give a shorter path",
				 "use \"%.40s...\" for results", dir);
	if (mkdir(dir, 0777) < 0) {
		int e = errno;

		if (e == ENOENT)
			return kbp_failf(err, -e,
					 "the directory above it does not exist: make it first",
					 "make results directory %s", dir);
		if (e != EEXIST)
			return write_failed(err, dir);
		if (!dir_is_free(dir) && !dir_is_ours(dir))
			return kbp_failf(
				err, -EEXIST,
				"it is no directory, or holds files that are no (or damaged) results of kbypass: name "
				"another one, or empty it",
				"use %s for results", dir);
	}
	if ((mkdir(samples, 0777) < 0 && errno != EEXIST) || access(samples, W_OK) < 0)
		return write_failed(err, samples);
	return 0;
}

int kbp_results_dir_lock(const char *dir, struct kbp_error *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), e;

	if (fd < 0)
		return write_failed(err, dir);
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	e = errno;
	close(fd);
	if (e == EWOULDBLOCK)
		return kbp_failf(
			err, -EBUSY,
			"another bench writes its results there: wait for its end, or name another directory",
			"use %s for results", dir);
	errno = e;
	return write_failed(err, dir);
}

void kbp_results_dir_abandon(const char *dir, bool made)
{
	char samples[PATH_MAX];

	/* both refuse when there is something inside */
	snprintf(samples, sizeof(samples), "%s/samples", dir);
	rmdir(samples);
	if (made)
		rmdir(dir);
}

/* ---------------------------------------------------------------- writing */

/* Into path.tmp: a reader sees the old file or the new one, never a part. */
static int tmp_write(const char *path, const void *data, size_t bytes, struct kbp_error *err)
{
	char tmp[PATH_MAX];
	FILE *f;
	int e = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return kbp_failf(err, -ENAMETOOLONG, "give a shorter path", "write %.60s", path);
	f = fopen(tmp, "we");
	if (!f)
		return write_failed(err, tmp);
	if ((bytes && fwrite(data, 1, bytes, f) != bytes) || fflush(f) || fsync(fileno(f)))
		e = errno ? errno : EIO;
	if (fclose(f) && !e)
		e = errno;
	if (!e)
		return 0;
	unlink(tmp);
	errno = e;
	return write_failed(err, path);
}

int kbp_samples_write(const char *dir, const char *samples_file, const uint32_t *samples, size_t n,
		      struct kbp_error *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, samples_file) >= (int)sizeof(path))
		return kbp_fail(err, -ENAMETOOLONG, "write the samples", "give a shorter path");
	return tmp_write(path, samples, n * sizeof(*samples), err);
}

static int tmp_into_place(const char *dir, const char *file, struct kbp_error *err)
{
	char path[PATH_MAX], tmp[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	snprintf(tmp, sizeof(tmp), "%s/%s.tmp", dir, file);
	return rename(tmp, path) < 0 ? write_failed(err, path) : 0;
}

#define FILES_OF_RUN 4

/* The k-th file of samples of a run; "": there is none. */
static const char *file_of(const struct kbp_result_run *r, int k)
{
	return k == 0 ? r->samples_file :
	       k == 1 ? r->stamps.rx_path_file :
	       k == 2 ? r->stamps.wire_to_stamp_file :
			r->tx_file;
}

static bool is_of(const struct kbp_results *res, const char *name)
{
	for (uint32_t i = 0; i < FILES_OF_RUN * res->n_runs; i++) {
		const char *file = file_of(&res->run[i / FILES_OF_RUN], (int)(i % FILES_OF_RUN));

		if (!strncmp(file, "samples/", 8) && !strcmp(file + 8, name))
			return true;
	}
	return false;
}

/* Samples in dir/samples that are not of these results: an earlier run's, or half written ones. */
static void samples_sweep(const struct kbp_results *res, const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/samples", dir);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		const char *end = strstr(e->d_name, ".u32");

		if (!end || (strcmp(end, ".u32") != 0 && strcmp(end, ".u32.tmp") != 0))
			continue;
		if (!is_of(res, e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

int kbp_results_save(const struct kbp_results *res, const char *dir, struct kbp_error *err)
{
	char path[PATH_MAX], page[PATH_MAX], *text = kbp_results_json(res);
	size_t n;
	int rc;

	if (!text)
		return kbp_fail(err, -ENOMEM, "write results", "memory is out");
	n = strlen(text);
	text[n] = '\n'; /* in place of the NUL: files end with a newline */
	snprintf(path, sizeof(path), "%s/results.json", dir);
	snprintf(page, sizeof(page), "%s/report.html", dir);
	rc = tmp_write(path, text, n + 1, err);
	free(text);
	if (rc)
		return rc;
	/* all is on the disk. In between there are no results rather than old ones with new
	 * samples */
	unlink(path);
	unlink(page); /* it is of the old ones */
	for (uint32_t i = 0; i < FILES_OF_RUN * res->n_runs && !rc; i++) {
		const char *file = file_of(&res->run[i / FILES_OF_RUN], (int)(i % FILES_OF_RUN));

		if (file[0])
			rc = tmp_into_place(dir, file, err);
	}
	if (!rc)
		rc = tmp_into_place(dir, "results.json", err);
	if (!rc)
		samples_sweep(res, dir);
	return rc;
}
