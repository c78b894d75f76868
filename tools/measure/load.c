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

#include "tools/measure/json.h"

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

static void read_facts(struct kbp_json_place *p, json_t *root, const char *name,
		       struct kbp_fact **list, uint32_t *n)
{
	json_t *o = kbp_json_member(p, root, name, JSON_OBJECT, "is no object"), *v;
	const char *key;

	if (!o)
		return;
	*list = calloc(json_object_size(o) + 1, sizeof(**list));
	if (!*list) {
		kbp_json_complain(p, name, "does not fit into memory");
		return;
	}
	json_object_foreach(o, key, v) {
		if (!read_fact(&(*list)[*n], key, v)) {
			kbp_json_complain(
				p, name,
				"holds something that is no fact (text of at most 2015 bytes, a number, "
				"true or false)");
			return;
		}
		++*n;
	}
}

static void read_counts(struct kbp_json_place *p, json_t *run, const char *name,
			struct kbp_named_count *c, uint32_t *n)
{
	json_t *o = kbp_json_member(p, run, name, JSON_OBJECT, "is no object"), *v;
	const char *key;

	if (!o)
		return;
	json_object_foreach(o, key, v) {
		if (*n == KBP_RESULTS_COUNTS_MAX || strlen(key) >= sizeof(c->name) ||
		    !json_is_integer(v) || json_integer_value(v) < 0) {
			kbp_json_complain(p, name, "holds something that is no count");
			return;
		}
		strcpy(c[*n].name, key);
		c[*n].value = (uint64_t)json_integer_value(v);
		++*n;
	}
}

/* Only of a bench with receive stamps. */
static void read_stamps(struct kbp_json_place *p, json_t *run, struct kbp_result_run *r)
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
	o = kbp_json_member(p, run, "rx_path", JSON_OBJECT, "is no object");
	snprintf(p->at + end, sizeof(p->at) - end, ".rx_path");
	kbp_json_one_of(p, o, "source", s->source, sources);
	kbp_json_one_of(p, o, "epoch", s->epoch, epochs);
	kbp_json_one_of(p, o, "proof", s->proof, proofs);
	s->resolution_ps = kbp_json_u32(p, o, "resolution_ps");
	s->error_ns = kbp_json_u64(p, o, "error_ns", KBP_JSON_COUNT_MAX);
	s->unstamped = kbp_json_u64(p, o, "unstamped", KBP_JSON_COUNT_MAX);
	s->voided = kbp_json_u64(p, o, "voided", KBP_JSON_COUNT_MAX);
	s->impossible = kbp_json_u64(p, o, "impossible", KBP_JSON_COUNT_MAX);
	s->clipped = kbp_json_u64(p, o, "clipped", KBP_JSON_COUNT_MAX);
	kbp_json_read_latency(p, o, "latency_ns", &s->rx_path);
	kbp_json_read_text(p, o, "samples_file", s->rx_path_file, sizeof(s->rx_path_file));
	if (!p->bad && s->rx_path.samples && strcmp(s->proof, "proven") != 0)
		kbp_json_complain(p, "proof, latency_ns.samples", "contradict each other");
	p->at[end] = '\0';
	o = kbp_json_member(p, run, "wire_to_stamp", JSON_OBJECT, "is no object");
	snprintf(p->at + end, sizeof(p->at) - end, ".wire_to_stamp");
	kbp_json_one_of(p, o, "source", source, sources);
	s->wire_clipped = kbp_json_u64(p, o, "clipped", KBP_JSON_COUNT_MAX);
	kbp_json_read_latency(p, o, "latency_ns", &s->wire_to_stamp);
	kbp_json_read_text(p, o, "samples_file", s->wire_to_stamp_file,
			   sizeof(s->wire_to_stamp_file));
	if (!p->bad &&
	    (strcmp(source, s->source) != 0 || s->wire_to_stamp.samples != s->rx_path.samples ||
	     s->rx_path.samples > r->latency.samples))
		kbp_json_complain(p, "source, latency_ns.samples",
				  "contradict those of rx_path or of the run");
	p->at[end] = '\0';
}

/* What the run is of, and what its latency is. */
static void read_variant(struct kbp_json_place *p, json_t *o, struct kbp_result_run *r)
{
	static const char *const kinds[] = { "one_way", "rtt", NULL };
	size_t end = strlen(p->at);
	char kind[16] = "";

	strncat(p->at, ".latency_ns", sizeof(p->at) - end - 1);
	kbp_json_one_of(p, json_object_get(o, "latency_ns"), "kind", kind, kinds);
	p->at[end] = '\0';
	memcpy(r->kind, kind, sizeof(r->kind));
	if (json_object_get(o, "rate_pps"))
		r->rate_pps = kbp_json_u64(p, o, "rate_pps", KBP_JSON_COUNT_MAX);
	r->variant = json_object_get(o, "variant_of") != NULL;
	if (!r->variant) {
		snprintf(r->base, sizeof(r->base), "%.*s", (int)sizeof(r->base) - 1, r->backend);
		return;
	}
	kbp_json_read_text(p, o, "variant_of", r->base, sizeof(r->base));
	r->traced = kbp_json_bool(p, o, "traced");
	r->planted_ns = kbp_json_real(p, o, "planted_ns");
}

/* Members that the first files of this schema did not have. */
static void read_later_members(struct kbp_json_place *p, json_t *o, struct kbp_result_run *r)
{
	read_variant(p, o, r);
	kbp_read_explain(p, o, &r->explain);
	kbp_read_intervals(p, json_object_get(o, "latency_ns"), &r->interval);
	if (json_object_get(o, "tx_ns")) {
		kbp_json_read_latency(p, o, "tx_ns", &r->tx);
		kbp_read_intervals(p, json_object_get(o, "tx_ns"), &r->tx_interval);
		kbp_json_read_text(p, o, "tx_file", r->tx_file, sizeof(r->tx_file));
	}
	if (json_object_get(o, "rx_ring"))
		r->rx_ring = kbp_json_u32(p, o, "rx_ring");
	if (json_object_get(o, "clipped"))
		r->clipped = kbp_json_u64(p, o, "clipped", KBP_JSON_COUNT_MAX);
	if (json_object_get(o, "lateness_ns"))
		kbp_json_read_latency(p, o, "lateness_ns", &r->lateness);
	read_stamps(p, o, r);
}

static void read_rounds(struct kbp_json_place *p, json_t *run, struct kbp_result_run *r)
{
	json_t *a = kbp_json_member(p, run, "rounds", JSON_ARRAY, "is no array"), *o;
	size_t i, end = strlen(p->at);
	uint64_t samples = 0;

	if (!a)
		return;
	if (json_array_size(a) > KBP_RESULTS_ROUNDS_MAX) {
		kbp_json_complain(p, "rounds", "has too many members");
		return;
	}
	r->round = calloc(json_array_size(a) + 1, sizeof(*r->round));
	if (!r->round) {
		kbp_json_complain(p, "rounds", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		struct kbp_result_round *d = &r->round[r->n_rounds++];

		snprintf(p->at + end, sizeof(p->at) - end, ".rounds[%zu]", i);
		d->position = kbp_json_u32(p, o, "position");
		d->sent = kbp_json_u64(p, o, "sent", KBP_JSON_COUNT_MAX);
		d->delivered = kbp_json_u64(p, o, "delivered", KBP_JSON_COUNT_MAX);
		d->late = kbp_json_u64(p, o, "late", KBP_JSON_COUNT_MAX);
		d->ambiguous = kbp_json_u64(p, o, "ambiguous", KBP_JSON_COUNT_MAX);
		d->first_sample = kbp_json_u64(p, o, "first_sample", KBP_JSON_COUNT_MAX);
		d->samples = kbp_json_u64(p, o, "samples", UINT32_MAX);
		d->warmup = kbp_json_u64(p, o, "warmup", UINT32_MAX);
		if (!p->bad && (d->first_sample != samples || d->warmup > d->samples))
			kbp_json_complain(p, "first_sample, samples, warmup",
					  "contradict each other");
		samples += d->samples;
	}
	p->at[end] = '\0';
}

static void read_run(struct kbp_json_place *p, json_t *o, struct kbp_result_run *r)
{
	json_t *a = kbp_json_member(p, o, "achieved", JSON_OBJECT, "is no object");
	struct kbp_result_run check;

	kbp_json_read_text(p, o, "backend", r->backend, sizeof(r->backend));
	if (a) {
		kbp_json_read_text(p, a, "mode", r->mode, sizeof(r->mode));
		kbp_json_read_text(p, a, "requested", r->requested, sizeof(r->requested));
		kbp_json_read_text(p, a, "proof", r->proof, sizeof(r->proof));
		kbp_json_read_text(p, a, "note", r->note, sizeof(r->note));
	}
	r->emulated = kbp_json_bool(p, o, "emulated");
	r->virtual_device = kbp_json_bool(p, o, "virtual");
	r->queues = kbp_json_u32(p, o, "queues");
	r->rcvbuf_bytes = kbp_json_u32(p, o, "rcvbuf_bytes");
	r->scheduled = kbp_json_u64(p, o, "scheduled", KBP_JSON_COUNT_MAX);
	r->sent = kbp_json_u64(p, o, "sent", KBP_JSON_COUNT_MAX);
	r->send_errors = kbp_json_u64(p, o, "send_errors", KBP_JSON_COUNT_MAX);
	r->late = kbp_json_u64(p, o, "late", KBP_JSON_COUNT_MAX);
	r->delivered = kbp_json_u64(p, o, "delivered", KBP_JSON_COUNT_MAX);
	r->foreign = kbp_json_u64(p, o, "foreign", KBP_JSON_COUNT_MAX);
	r->out_of_order = kbp_json_u64(p, o, "out_of_order", KBP_JSON_COUNT_MAX);
	r->ambiguous = kbp_json_u64(p, o, "ambiguous", KBP_JSON_COUNT_MAX);
	r->unattributed = kbp_json_u64(p, o, "unattributed", KBP_JSON_COUNT_MAX);
	r->over_attributed = kbp_json_u64(p, o, "over_attributed", KBP_JSON_COUNT_MAX);
	read_counts(p, o, "drops", r->drop, &r->n_drops);
	read_counts(p, o, "causes", r->cause, &r->n_causes);
	kbp_json_read_text(p, o, "digest", r->digest, sizeof(r->digest));
	kbp_json_read_text(p, o, "digest_expected", r->digest_expected, sizeof(r->digest_expected));
	kbp_json_read_text(p, o, "samples_file", r->samples_file, sizeof(r->samples_file));
	kbp_json_read_latency(p, o, "latency_ns", &r->latency);
	read_later_members(p, o, r);
	read_rounds(p, o, r);
	check = *r;
	kbp_account_close(&check);
	if (!p->bad &&
	    (check.unattributed != r->unattributed || check.over_attributed != r->over_attributed))
		kbp_json_complain(p, "sent, delivered, drops, unattributed", "do not add up");
}

static void read_runs(struct kbp_json_place *p, json_t *root, struct kbp_results *res)
{
	json_t *a = kbp_json_member(p, root, "runs", JSON_ARRAY, "is no array"), *o;
	size_t i;

	if (!a)
		return;
	res->run = calloc(json_array_size(a) + 1, sizeof(*res->run));
	if (!res->run) {
		kbp_json_complain(p, "runs", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "runs[%zu]", i);
		read_run(p, o, &res->run[res->n_runs++]);
	}
	p->at[0] = '\0';
}

/* ---------------------------------------------------------------- profile */

static void read_cost(struct kbp_json_place *p, json_t *row, const char *name,
		      struct kbp_profile_cost *c)
{
	json_t *o = kbp_json_member(p, row, name, JSON_OBJECT, "is no object");
	size_t end = strlen(p->at);

	if (!o)
		return;
	snprintf(p->at + end, sizeof(p->at) - end, ".%s", name);
	c->min = kbp_json_real(p, o, "min");
	c->p50 = kbp_json_real(p, o, "p50");
	c->p99 = kbp_json_real(p, o, "p99");
	c->gap = kbp_json_real(p, o, "gap");
	/* each was rounded to nine digits when it was written */
	if (!p->bad && (c->min > c->p50 || c->p50 > c->p99 ||
			fabs(c->p99 - c->p50 - c->gap) > 1e-6 * (1 + c->p99)))
		kbp_json_complain(p, "min, p50, p99, gap", "contradict each other");
	p->at[end] = '\0';
}

static void read_published(struct kbp_json_place *p, json_t *row, struct kbp_published *to)
{
	size_t end = strlen(p->at);
	json_t *o;

	if (json_is_null(json_object_get(row, "published")))
		return;
	o = kbp_json_member(p, row, "published", JSON_OBJECT, "is neither an object nor null");
	if (!o)
		return;
	snprintf(p->at + end, sizeof(p->at) - end, ".published");
	to->low_ns = kbp_json_real(p, o, "low_ns");
	to->high_ns = kbp_json_real(p, o, "high_ns");
	kbp_json_read_text(p, o, "device", to->device, sizeof(to->device));
	kbp_json_read_text(p, o, "source", to->source, sizeof(to->source));
	p->at[end] = '\0';
}

static void read_row(struct kbp_json_place *p, json_t *o, struct kbp_profile_op *r)
{
	kbp_json_read_text(p, o, "backend", r->backend, sizeof(r->backend));
	r->emulated = kbp_json_bool(p, o, "emulated");
	kbp_json_read_text(p, o, "op", r->op, sizeof(r->op));
	kbp_json_read_text(p, o, "form", r->form, sizeof(r->form));
	r->batch = kbp_json_u32(p, o, "batch");
	if (!p->bad && !r->batch)
		kbp_json_complain(p, "batch", "is 0");
	r->samples = kbp_json_u64(p, o, "samples", KBP_JSON_COUNT_MAX);
	r->timer_ns = kbp_json_real(p, o, "timer_ns");
	read_cost(p, o, "ns", &r->ns);
	read_cost(p, o, "cycles", &r->cycles);
	read_published(p, o, &r->published);
	kbp_json_read_text(p, o, "note", r->note, sizeof(r->note));
}

/* Only of results of a profile. */
static void read_profile(struct kbp_json_place *p, json_t *root, struct kbp_results *res)
{
	json_t *a, *o;
	size_t i;

	if (!json_object_get(root, "profile"))
		return;
	a = kbp_json_member(p, root, "profile", JSON_ARRAY, "is no array");
	if (!a)
		return;
	res->profile = calloc(json_array_size(a) + 1, sizeof(*res->profile));
	if (!res->profile) {
		kbp_json_complain(p, "profile", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "profile[%zu]", i);
		read_row(p, o, &res->profile[res->n_profile++]);
	}
	p->at[0] = '\0';
}

/* ---------------------------------------------------------------- the rest, and all of it */

static void read_findings(struct kbp_json_place *p, json_t *root, struct kbp_results *res)
{
	json_t *a = kbp_json_member(p, root, "findings", JSON_ARRAY, "is no array"), *o;
	size_t i;

	if (!a)
		return;
	res->finding = calloc(json_array_size(a) + 1, sizeof(*res->finding));
	if (!res->finding) {
		kbp_json_complain(p, "findings", "does not fit into memory");
		return;
	}
	json_array_foreach(a, i, o) {
		struct kbp_finding *f = &res->finding[res->n_findings++];

		snprintf(p->at, sizeof(p->at), "findings[%zu]", i);
		kbp_json_read_text(p, o, "code", f->code, sizeof(f->code));
		kbp_json_read_text(p, o, "backend", f->backend, sizeof(f->backend));
		kbp_json_read_text(p, o, "text", f->text, sizeof(f->text));
		f->note = kbp_json_bool(p, o, "note");
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

/* The directory that a file lies in; the caller frees it. */
static char *dir_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		return strdup(".");
	return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

int kbp_results_load(const char *path, struct kbp_results **out, struct kbp_error *err)
{
	char file[PATH_MAX];
	struct kbp_json_place p = { .file = file, .err = err };
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
	kbp_read_noise(&p, root, res);
	kbp_read_verdicts(&p, root, res);
	read_findings(&p, root, res);
	json_decref(root);
	if (p.bad) {
		kbp_results_free(res);
		return -EBADMSG;
	}
	res->dir = dir_of(file);
	if (!res->dir) {
		kbp_results_free(res);
		return kbp_fail(err, -ENOMEM, "read results", "memory is out");
	}
	*out = res;
	return 0;
}
