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
#include <sys/stat.h>
#include <unistd.h>

#include "tools/measure/parts.h"

static json_t *count_json(const struct kbp_named_count *c, uint32_t n)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(o, c[i].name, json_integer((json_int_t)c[i].value));
	return o;
}

static json_t *facts_json(const struct kbp_fact *f, uint32_t n)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(o, f[i].name,
				    f[i].literal ? json_loads(f[i].value, JSON_DECODE_ANY, NULL) :
						   json_string(f[i].value));
	return o;
}

static json_t *rounds_json(const struct kbp_result_run *r)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < r->n_rounds; i++) {
		const struct kbp_result_round *d = &r->round[i];

		json_array_append_new(
			a, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "position",
				     (json_int_t)d->position, "sent", (json_int_t)d->sent,
				     "delivered", (json_int_t)d->delivered, "late",
				     (json_int_t)d->late, "ambiguous", (json_int_t)d->ambiguous,
				     "first_sample", (json_int_t)d->first_sample, "samples",
				     (json_int_t)d->samples, "warmup", (json_int_t)d->warmup));
	}
	return a;
}

static json_t *latency_json(const struct kbp_latency *l)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "kind", "one_way", "samples",
			 (json_int_t)l->samples, "saturated", (json_int_t)l->saturated, "min",
			 (json_int_t)l->min_ns, "p50", (json_int_t)l->p50_ns, "p90",
			 (json_int_t)l->p90_ns, "p99", (json_int_t)l->p99_ns, "p999",
			 (json_int_t)l->p999_ns, "max", (json_int_t)l->max_ns, "gap",
			 (json_int_t)l->gap_ns);
}

static json_t *run_json(const struct kbp_result_run *r)
{
	json_t *o = json_pack("{s:s,s:{s:s,s:s,s:s,s:s},s:b,s:b,s:I,s:I}", "backend", r->backend,
			      "achieved", "mode", r->mode, "requested", r->requested, "proof",
			      r->proof, "note", r->note, "emulated", r->emulated, "virtual",
			      r->virtual_device, "queues", (json_int_t)r->queues, "rcvbuf_bytes",
			      (json_int_t)r->rcvbuf_bytes);
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "scheduled", r->scheduled },	     { "sent", r->sent },
		{ "send_errors", r->send_errors },   { "late", r->late },
		{ "delivered", r->delivered },	     { "foreign", r->foreign },
		{ "out_of_order", r->out_of_order }, { "ambiguous", r->ambiguous },
		{ "unattributed", r->unattributed }, { "over_attributed", r->over_attributed },
	};

	for (size_t i = 0; i < KBP_ARRAY_SIZE(counts); i++)
		json_object_set_new(o, counts[i].name, json_integer((json_int_t)counts[i].value));
	json_object_set_new(o, "drops", count_json(r->drop, r->n_drops));
	json_object_set_new(o, "causes", count_json(r->cause, r->n_causes));
	json_object_set_new(o, "digest", json_string(r->digest));
	json_object_set_new(o, "digest_expected", json_string(r->digest_expected));
	json_object_set_new(o, "latency_ns", latency_json(&r->latency));
	json_object_set_new(o, "samples_file", json_string(r->samples_file));
	json_object_set_new(o, "rounds", rounds_json(r));
	return o;
}

char *kbp_results_json(const struct kbp_results *res)
{
	json_t *root = json_pack("{s:s}", "schema", KBP_RESULTS_SCHEMA);
	json_t *runs = json_array(), *findings = json_array();
	char *text;

	json_object_set_new(root, "fingerprint", facts_json(res->fingerprint, res->n_fingerprint));
	json_object_set_new(root, "setup", facts_json(res->setup, res->n_setup));
	for (uint32_t i = 0; i < res->n_runs; i++)
		json_array_append_new(runs, run_json(&res->run[i]));
	json_object_set_new(root, "runs", runs);
	for (uint32_t i = 0; i < res->n_findings; i++) {
		const struct kbp_finding *f = &res->finding[i];

		json_array_append_new(findings,
				      json_pack("{s:s,s:s,s:b,s:s}", "code", f->code, "backend",
						f->backend, "note", f->note, "text", f->text));
	}
	json_object_set_new(root, "findings", findings);
	text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER |
					JSON_REAL_PRECISION(KBP_RESULTS_REAL_DIGITS));
	json_decref(root);
	return text;
}

void kbp_results_free(struct kbp_results *res)
{
	if (!res)
		return;
	for (uint32_t i = 0; i < res->n_runs; i++)
		free(res->run[i].round);
	free(res->run);
	free(res->fingerprint);
	free(res->setup);
	free(res->finding);
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
	static const char *const ours[] = { ".", "..", "samples", "results.json.tmp" };
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

int kbp_results_dir_prepare(const char *dir, struct kbp_error *err)
{
	char samples[PATH_MAX];

	if (snprintf(samples, sizeof(samples), "%s/samples", dir) >= (int)sizeof(samples) - 64)
		return kbp_failf(err, -ENAMETOOLONG, "give a shorter path",
				 "use \"%.40s...\" for results", dir);
	if (mkdir(dir, 0777) < 0) {
		int e = errno;

		if (e != EEXIST)
			return kbp_failf(
				err, -e,
				e == ENOENT ? "the directory above it does not exist: make it first" :
					      strerror(e),
				"make results directory %s", dir);
		if (!dir_is_free(dir) && !dir_is_ours(dir))
			return kbp_failf(
				err, -EEXIST,
				"it is no directory, or holds files that are no results of kbypass: name "
				"another one, or empty it",
				"use %s for results", dir);
	}
	if (mkdir(samples, 0777) < 0 && errno != EEXIST)
		return kbp_failf(err, -errno, strerror(errno), "make %s", samples);
	if (access(samples, W_OK) < 0)
		return kbp_failf(err, -errno, strerror(errno), "write into %s", samples);
	return 0;
}

void kbp_results_dir_clear(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/results.json", dir);
	unlink(path);
}

/* Write beside, then rename: a reader sees the old file or the new one, never a part. */
int kbp_file_write(const char *path, const void *data, size_t bytes, struct kbp_error *err)
{
	char tmp[PATH_MAX];
	FILE *f;
	int e = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return kbp_failf(err, -ENAMETOOLONG, "give a shorter path", "write %.60s", path);
	f = fopen(tmp, "we");
	if (!f)
		return kbp_failf(err, -errno, strerror(errno), "write %s", tmp);
	if (fwrite(data, 1, bytes, f) != bytes || fflush(f) || fsync(fileno(f)))
		e = errno ? errno : EIO;
	if (fclose(f) && !e)
		e = errno;
	if (!e && rename(tmp, path) < 0)
		e = errno;
	if (e) {
		unlink(tmp);
		return kbp_failf(err, -e, strerror(e), "write %s", path);
	}
	return 0;
}

int kbp_results_save(const struct kbp_results *res, const char *dir, struct kbp_error *err)
{
	char path[PATH_MAX], *text = kbp_results_json(res);
	size_t n;
	int rc;

	if (!text)
		return kbp_fail(err, -ENOMEM, "write results", "memory is out");
	n = strlen(text);
	text[n] = '\n'; /* in place of the NUL: files end with a newline */
	snprintf(path, sizeof(path), "%s/results.json", dir);
	rc = kbp_file_write(path, text, n + 1, err);
	free(text);
	return rc;
}
