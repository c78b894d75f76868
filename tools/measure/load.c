/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.c - results back from JSON. Whatever is wrong with the file is named by its place in it.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/measure/parts.h"

/* Where we are in the file, and the first thing wrong there. Readers below do nothing once `bad` is
 * set. */
struct place {
	const char *file;
	char at[96]; /* "runs[1].latency_ns" */
	bool bad;
	struct kbp_error *err;
};

static void complain(struct place *p, const char *member, const char *what)
{
	if (p->bad)
		return;
	p->bad = true;
	if (p->err)
		kbp_fail(p->err, -EBADMSG, "read results",
			 "%.200s: %s%s%s %s; the file is damaged or was edited by hand", p->file,
			 p->at, p->at[0] ? "." : "", member, what);
}

static json_t *member_of(struct place *p, json_t *o, const char *name, json_type type,
			 const char *what)
{
	json_t *m = json_object_get(o, name);

	if (!m)
		complain(p, name, "is missing");
	else if (json_typeof(m) != type)
		complain(p, name, what);
	else
		return m;
	return NULL;
}

static uint64_t read_u64(struct place *p, json_t *o, const char *name, uint64_t max)
{
	json_t *m = member_of(p, o, name, JSON_INTEGER, "is no whole number");

	if (!m)
		return 0;
	if (json_integer_value(m) < 0 || (uint64_t)json_integer_value(m) > max) {
		complain(p, name, "is out of range");
		return 0;
	}
	return (uint64_t)json_integer_value(m);
}

#define COUNT_MAX ((uint64_t)INT64_MAX)

static uint32_t read_u32(struct place *p, json_t *o, const char *name)
{
	return (uint32_t)read_u64(p, o, name, UINT32_MAX);
}

static void read_text(struct place *p, json_t *o, const char *name, char *to, size_t size)
{
	json_t *m = member_of(p, o, name, JSON_STRING, "is no string");

	if (!m)
		return;
	if (json_string_length(m) >= size || strlen(json_string_value(m)) != json_string_length(m)) {
		complain(p, name, "is too long");
		return;
	}
	memcpy(to, json_string_value(m), json_string_length(m) + 1);
}

static bool read_bool(struct place *p, json_t *o, const char *name)
{
	json_t *m = json_object_get(o, name);

	if (!json_is_boolean(m))
		complain(p, name, m ? "is neither true nor false" : "is missing");
	return json_is_true(m);
}

static bool read_fact(struct kbp_fact *f, const char *name, json_t *v)
{
	char *text = NULL;
	bool fits;

	if (json_is_number(v) || json_is_boolean(v)) {
		text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(KBP_RESULTS_REAL_DIGITS));
		f->literal = true;
	} else if (json_is_string(v)) {
		text = strdup(json_string_value(v));
	}
	fits = text && strlen(text) < sizeof(f->value) && strlen(name) < sizeof(f->name);
	if (fits) {
		strcpy(f->name, name);
		strcpy(f->value, text);
	}
	free(text);
	return fits;
}

static void read_facts(struct place *p, json_t *root, const char *name, struct kbp_fact **list,
		       uint32_t *n)
{
	json_t *o = member_of(p, root, name, JSON_OBJECT, "is no object"), *v;
	const char *key;

	if (!o)
		return;
	*list = calloc(json_object_size(o) + 1, sizeof(**list));
	if (!*list) {
		complain(p, name, "does not fit into memory");
		return;
	}
	json_object_foreach(o, key, v) {
		if (!read_fact(&(*list)[*n], key, v)) {
			complain(p, name,
				 "holds something that is no fact (text of at most 2015 bytes, a number, "
				 "true or false)");
			return;
		}
		++*n;
	}
}

static void read_counts(struct place *p, json_t *run, const char *name, struct kbp_named_count *c,
			uint32_t *n)
{
	json_t *o = member_of(p, run, name, JSON_OBJECT, "is no object"), *v;
	const char *key;

	if (!o)
		return;
	json_object_foreach(o, key, v) {
		if (*n == KBP_RESULTS_COUNTS_MAX || strlen(key) >= sizeof(c->name) ||
		    !json_is_integer(v) || json_integer_value(v) < 0) {
			complain(p, name, "holds something that is no count");
			return;
		}
		strcpy(c[*n].name, key);
		c[*n].value = (uint64_t)json_integer_value(v);
		++*n;
	}
}

/* Written as null: too few samples, which reads as 0, or saturated. */
static uint32_t read_quantile(struct place *p, json_t *o, const struct kbp_latency *l,
			      const char *name, unsigned permille)
{
	if (!json_is_null(json_object_get(o, name)))
		return read_u32(p, o, name);
	if (!kbp_latency_known(l, permille))
		return 0;
	if (!l->saturated)
		complain(p, name,
			 "is null, and neither too few samples nor a saturated one says why");
	return UINT32_MAX;
}

static void read_latency(struct place *p, json_t *run, const char *name, struct kbp_latency *l)
{
	json_t *o = member_of(p, run, name, JSON_OBJECT, "is no object");
	size_t end = strlen(p->at);
	uint32_t *const q[] = { &l->min_ns, &l->p50_ns,	 &l->p90_ns,
				&l->p99_ns, &l->p999_ns, &l->max_ns };
	static const char *const names[] = { "min", "p50", "p90", "p99", "p999", "max" };
	static const unsigned permille[] = { 0, 500, 900, 990, 999, 1000 };
	uint32_t last = 0;
	bool ordered = true;

	if (!o)
		return;
	snprintf(p->at + end, sizeof(p->at) - end, ".%s", name);
	l->samples = read_u64(p, o, "samples", COUNT_MAX);
	l->saturated = read_u64(p, o, "saturated", COUNT_MAX);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(q); i++) {
		*q[i] = read_quantile(p, o, l, names[i], permille[i]);
		if (json_is_null(json_object_get(o, names[i])))
			continue;
		ordered = ordered && *q[i] >= last;
		last = *q[i];
	}
	if (json_is_null(json_object_get(o, "gap")))
		l->gap_ns = l->p99_ns > l->p50_ns ? l->p99_ns - l->p50_ns : 0;
	else
		l->gap_ns = read_u32(p, o, "gap");
	if (!p->bad && (!ordered || (l->p99_ns && l->gap_ns != l->p99_ns - l->p50_ns)))
		complain(p, "p50 to max", "contradict each other");
	p->at[end] = '\0';
}

static void read_one_of(struct place *p, json_t *o, const char *name, char to[16],
			const char *const *words)
{
	read_text(p, o, name, to, 16);
	while (*words && strcmp(to, *words) != 0)
		words++;
	if (!*words)
		complain(p, name, "is none of the words it can be");
}

/* Only of a bench with receive stamps. */
static void read_stamps(struct place *p, json_t *run, struct kbp_result_run *r)
{
	static const char *const sources[] = { "nic", "driver", "kernel", NULL };
	static const char *const epochs[] = { "utc", "tai", "phc", "monotonic", NULL };
	static const char *const proofs[] = { "none", "claimed", "bound", "proven", NULL };
	struct kbp_result_stamps *s = &r->stamps;
	size_t end = strlen(p->at);
	json_t *o;
	char source[16] = "";

	if (!json_object_get(run, "rx_path") && !json_object_get(run, "wire_to_stamp"))
		return;
	o = member_of(p, run, "rx_path", JSON_OBJECT, "is no object");
	snprintf(p->at + end, sizeof(p->at) - end, ".rx_path");
	read_one_of(p, o, "source", s->source, sources);
	read_one_of(p, o, "epoch", s->epoch, epochs);
	read_one_of(p, o, "proof", s->proof, proofs);
	s->resolution_ps = read_u32(p, o, "resolution_ps");
	s->error_ns = read_u64(p, o, "error_ns", COUNT_MAX);
	s->unstamped = read_u64(p, o, "unstamped", COUNT_MAX);
	s->voided = read_u64(p, o, "voided", COUNT_MAX);
	s->impossible = read_u64(p, o, "impossible", COUNT_MAX);
	s->clipped = read_u64(p, o, "clipped", COUNT_MAX);
	read_latency(p, o, "latency_ns", &s->rx_path);
	read_text(p, o, "samples_file", s->rx_path_file, sizeof(s->rx_path_file));
	if (!p->bad && s->rx_path.samples && strcmp(s->proof, "proven") != 0)
		complain(p, "proof, latency_ns.samples", "contradict each other");
	p->at[end] = '\0';
	o = member_of(p, run, "wire_to_stamp", JSON_OBJECT, "is no object");
	snprintf(p->at + end, sizeof(p->at) - end, ".wire_to_stamp");
	read_one_of(p, o, "source", source, sources);
	s->wire_clipped = read_u64(p, o, "clipped", COUNT_MAX);
	read_latency(p, o, "latency_ns", &s->wire_to_stamp);
	read_text(p, o, "samples_file", s->wire_to_stamp_file, sizeof(s->wire_to_stamp_file));
	if (!p->bad &&
	    (strcmp(source, s->source) != 0 || s->wire_to_stamp.samples != s->rx_path.samples ||
	     s->rx_path.samples > r->latency.samples))
		complain(p, "source, latency_ns.samples",
			 "contradict those of rx_path or of the run");
	p->at[end] = '\0';
}

/* Members that the first files of this schema did not have. */
static void read_later_members(struct place *p, json_t *o, struct kbp_result_run *r)
{
	if (json_object_get(o, "rx_ring"))
		r->rx_ring = read_u32(p, o, "rx_ring");
	if (json_object_get(o, "clipped"))
		r->clipped = read_u64(p, o, "clipped", COUNT_MAX);
	if (json_object_get(o, "lateness_ns"))
		read_latency(p, o, "lateness_ns", &r->lateness);
	read_stamps(p, o, r);
}

static void read_rounds(struct place *p, json_t *run, struct kbp_result_run *r)
{
	json_t *a = member_of(p, run, "rounds", JSON_ARRAY, "is no array"), *o;
	size_t i, end = strlen(p->at);
	uint64_t samples = 0;

	if (!a)
		return;
	if (json_array_size(a) > KBP_RESULTS_ROUNDS_MAX) {
		complain(p, "rounds", "has too many members");
		return;
	}
	r->round = calloc(json_array_size(a) + 1, sizeof(*r->round));
	if (!r->round) {
		complain(p, "rounds", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		struct kbp_result_round *d = &r->round[r->n_rounds++];

		snprintf(p->at + end, sizeof(p->at) - end, ".rounds[%zu]", i);
		d->position = read_u32(p, o, "position");
		d->sent = read_u64(p, o, "sent", COUNT_MAX);
		d->delivered = read_u64(p, o, "delivered", COUNT_MAX);
		d->late = read_u64(p, o, "late", COUNT_MAX);
		d->ambiguous = read_u64(p, o, "ambiguous", COUNT_MAX);
		d->first_sample = read_u64(p, o, "first_sample", COUNT_MAX);
		d->samples = read_u64(p, o, "samples", UINT32_MAX);
		d->warmup = read_u64(p, o, "warmup", UINT32_MAX);
		if (!p->bad && (d->first_sample != samples || d->warmup > d->samples))
			complain(p, "first_sample, samples, warmup", "contradict each other");
		samples += d->samples;
	}
	p->at[end] = '\0';
}

static void read_run(struct place *p, json_t *o, struct kbp_result_run *r)
{
	json_t *a = member_of(p, o, "achieved", JSON_OBJECT, "is no object");
	struct kbp_result_run check;

	read_text(p, o, "backend", r->backend, sizeof(r->backend));
	if (a) {
		read_text(p, a, "mode", r->mode, sizeof(r->mode));
		read_text(p, a, "requested", r->requested, sizeof(r->requested));
		read_text(p, a, "proof", r->proof, sizeof(r->proof));
		read_text(p, a, "note", r->note, sizeof(r->note));
	}
	r->emulated = read_bool(p, o, "emulated");
	r->virtual_device = read_bool(p, o, "virtual");
	r->queues = read_u32(p, o, "queues");
	r->rcvbuf_bytes = read_u32(p, o, "rcvbuf_bytes");
	r->scheduled = read_u64(p, o, "scheduled", COUNT_MAX);
	r->sent = read_u64(p, o, "sent", COUNT_MAX);
	r->send_errors = read_u64(p, o, "send_errors", COUNT_MAX);
	r->late = read_u64(p, o, "late", COUNT_MAX);
	r->delivered = read_u64(p, o, "delivered", COUNT_MAX);
	r->foreign = read_u64(p, o, "foreign", COUNT_MAX);
	r->out_of_order = read_u64(p, o, "out_of_order", COUNT_MAX);
	r->ambiguous = read_u64(p, o, "ambiguous", COUNT_MAX);
	r->unattributed = read_u64(p, o, "unattributed", COUNT_MAX);
	r->over_attributed = read_u64(p, o, "over_attributed", COUNT_MAX);
	read_counts(p, o, "drops", r->drop, &r->n_drops);
	read_counts(p, o, "causes", r->cause, &r->n_causes);
	read_text(p, o, "digest", r->digest, sizeof(r->digest));
	read_text(p, o, "digest_expected", r->digest_expected, sizeof(r->digest_expected));
	read_text(p, o, "samples_file", r->samples_file, sizeof(r->samples_file));
	read_latency(p, o, "latency_ns", &r->latency);
	read_later_members(p, o, r);
	read_rounds(p, o, r);
	check = *r;
	kbp_account_close(&check);
	if (!p->bad &&
	    (check.unattributed != r->unattributed || check.over_attributed != r->over_attributed))
		complain(p, "sent, delivered, drops, unattributed", "do not add up");
}

static void read_runs(struct place *p, json_t *root, struct kbp_results *res)
{
	json_t *a = member_of(p, root, "runs", JSON_ARRAY, "is no array"), *o;
	size_t i;

	if (!a)
		return;
	res->run = calloc(json_array_size(a) + 1, sizeof(*res->run));
	if (!res->run) {
		complain(p, "runs", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "runs[%zu]", i);
		read_run(p, o, &res->run[res->n_runs++]);
	}
	p->at[0] = '\0';
}

/* ---------------------------------------------------------------- profile */

static double read_real(struct place *p, json_t *o, const char *name)
{
	json_t *m = json_object_get(o, name);

	if (!json_is_number(m) || json_number_value(m) < 0)
		complain(p, name, m ? "is no number from 0" : "is missing");
	return json_is_number(m) ? json_number_value(m) : 0;
}

static void read_cost(struct place *p, json_t *row, const char *name, struct kbp_profile_cost *c)
{
	json_t *o = member_of(p, row, name, JSON_OBJECT, "is no object");
	size_t end = strlen(p->at);

	if (!o)
		return;
	snprintf(p->at + end, sizeof(p->at) - end, ".%s", name);
	c->min = read_real(p, o, "min");
	c->p50 = read_real(p, o, "p50");
	c->p99 = read_real(p, o, "p99");
	c->gap = read_real(p, o, "gap");
	/* each was rounded to nine digits when it was written */
	if (!p->bad && (c->min > c->p50 || c->p50 > c->p99 ||
			fabs(c->p99 - c->p50 - c->gap) > 1e-6 * (1 + c->p99)))
		complain(p, "min, p50, p99, gap", "contradict each other");
	p->at[end] = '\0';
}

static void read_published(struct place *p, json_t *row, struct kbp_published *to)
{
	size_t end = strlen(p->at);
	json_t *o;

	if (json_is_null(json_object_get(row, "published")))
		return;
	o = member_of(p, row, "published", JSON_OBJECT, "is neither an object nor null");
	if (!o)
		return;
	snprintf(p->at + end, sizeof(p->at) - end, ".published");
	to->low_ns = read_real(p, o, "low_ns");
	to->high_ns = read_real(p, o, "high_ns");
	read_text(p, o, "device", to->device, sizeof(to->device));
	read_text(p, o, "source", to->source, sizeof(to->source));
	p->at[end] = '\0';
}

static void read_row(struct place *p, json_t *o, struct kbp_profile_op *r)
{
	read_text(p, o, "backend", r->backend, sizeof(r->backend));
	r->emulated = read_bool(p, o, "emulated");
	read_text(p, o, "op", r->op, sizeof(r->op));
	read_text(p, o, "form", r->form, sizeof(r->form));
	r->batch = read_u32(p, o, "batch");
	if (!p->bad && !r->batch)
		complain(p, "batch", "is 0");
	r->samples = read_u64(p, o, "samples", COUNT_MAX);
	r->timer_ns = read_real(p, o, "timer_ns");
	read_cost(p, o, "ns", &r->ns);
	read_cost(p, o, "cycles", &r->cycles);
	read_published(p, o, &r->published);
	read_text(p, o, "note", r->note, sizeof(r->note));
}

/* Only of results of a profile. */
static void read_profile(struct place *p, json_t *root, struct kbp_results *res)
{
	json_t *a, *o;
	size_t i;

	if (!json_object_get(root, "profile"))
		return;
	a = member_of(p, root, "profile", JSON_ARRAY, "is no array");
	if (!a)
		return;
	res->profile = calloc(json_array_size(a) + 1, sizeof(*res->profile));
	if (!res->profile) {
		complain(p, "profile", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "profile[%zu]", i);
		read_row(p, o, &res->profile[res->n_profile++]);
	}
	p->at[0] = '\0';
}

/* ---------------------------------------------------------------- the rest, and all of it */

static void read_findings(struct place *p, json_t *root, struct kbp_results *res)
{
	json_t *a = member_of(p, root, "findings", JSON_ARRAY, "is no array"), *o;
	size_t i;

	if (!a)
		return;
	res->finding = calloc(json_array_size(a) + 1, sizeof(*res->finding));
	if (!res->finding) {
		complain(p, "findings", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		struct kbp_finding *f = &res->finding[res->n_findings++];

		snprintf(p->at, sizeof(p->at), "findings[%zu]", i);
		read_text(p, o, "code", f->code, sizeof(f->code));
		read_text(p, o, "backend", f->backend, sizeof(f->backend));
		read_text(p, o, "text", f->text, sizeof(f->text));
		f->note = read_bool(p, o, "note");
	}
	p->at[0] = '\0';
}

/* The file itself, or results.json in the directory. */
static int results_path(const char *path, char *file, size_t size, struct kbp_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return kbp_fail(err, -errno, "read results",
				"%.300s: %s; give a directory that `kbypass bench --out` wrote",
				path, strerror(errno));
	if (snprintf(file, size, S_ISDIR(st.st_mode) ? "%s/results.json" : "%s", path) >= (int)size)
		return kbp_fail(err, -ENAMETOOLONG, "read results", "give a shorter path");
	if (stat(file, &st) < 0)
		return kbp_fail(err, -errno, "read results",
				"%.300s: %s; give a directory that `kbypass bench --out` wrote",
				file, strerror(errno));
	return 0;
}

int kbp_results_load(const char *path, struct kbp_results **out, struct kbp_error *err)
{
	char file[PATH_MAX];
	struct place p = { .file = file, .err = err };
	struct kbp_results *res;
	const char *schema;
	json_error_t je;
	json_t *root;
	int rc;

	*out = NULL;
	rc = results_path(path, file, sizeof(file), err);
	if (rc)
		return rc;
	root = json_load_file(file, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return kbp_fail(err, je.line < 0 ? -EACCES : -EBADMSG, "read results",
				"%.200s: line %d, column %d: %s", file, je.line, je.column, je.text);
	schema = json_string_value(json_object_get(root, "schema"));
	if (!schema || strcmp(schema, KBP_RESULTS_SCHEMA)) {
		rc = kbp_fail(err, -EPROTO, "read results",
			      "%.200s: schema \"%.40s\" is not " KBP_RESULTS_SCHEMA
			      ": written by another version, or no results file",
			      file, schema ? schema : "");
		json_decref(root);
		return rc;
	}
	res = calloc(1, sizeof(*res));
	if (!res) {
		json_decref(root);
		return kbp_fail(err, -ENOMEM, "read results", "memory is out");
	}
	read_facts(&p, root, "fingerprint", &res->fingerprint, &res->n_fingerprint);
	read_facts(&p, root, "setup", &res->setup, &res->n_setup);
	read_runs(&p, root, res);
	read_profile(&p, root, res);
	read_findings(&p, root, res);
	json_decref(root);
	if (p.bad) {
		kbp_results_free(res);
		return -EBADMSG;
	}
	*out = res;
	return 0;
}
