/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - what the writers and readers of results share. results.c and load.c put a document together; each part of it
 * that has a file of its own (results_NAME.c) writes and reads its members by these.
 *
 * Writers set *bad when memory is out, and the document is then not written. Readers note the first thing that is
 * wrong, with its place, and do nothing from then on.
 */
#ifndef KBP_TOOLS_MEASURE_JSON_H
#define KBP_TOOLS_MEASURE_JSON_H

#include <jansson.h>

#include "tools/measure/parts.h"

/* ---------------------------------------------------------------- writing */

/* A member that could not be made must not vanish: memory is out, and there is no document. */
void kbp_json_put(json_t *o, const char *name, json_t *v, bool *bad);
void kbp_json_put_count(json_t *o, const char *name, uint64_t v, bool *bad);
void kbp_json_put_text(json_t *o, const char *name, const char *text, bool *bad);
void kbp_json_put_bool(json_t *o, const char *name, bool v, bool *bad);
void kbp_json_put_real(json_t *o, const char *name, double v, bool *bad);
/* Appends to an array. */
void kbp_json_append(json_t *a, json_t *v, bool *bad);
/* Text as JSON, whatever bytes are in it. */
json_t *kbp_json_text(const char *text);
json_t *kbp_json_latency(const char *kind, const struct kbp_latency *l, bool *bad);

/* ---------------------------------------------------------------- reading */

#define KBP_JSON_COUNT_MAX ((uint64_t)INT64_MAX)

/* Where we are in the file, and the first thing wrong there. */
struct kbp_json_place {
	const char *file;
	char at[128]; /* "runs[1].latency_ns" */
	bool bad;
	struct kbp_error *err;
};

void kbp_json_complain(struct kbp_json_place *p, const char *member, const char *what);
/* The member, or NULL and a complaint: `what` says what it is not. */
json_t *kbp_json_member(struct kbp_json_place *p, json_t *o, const char *name, json_type type,
			const char *what);
/* Room for the members of a list of at most `max`, `size` bytes each, all zero, which the caller frees; *list is the
 * list. NULL, and *list too, after a complaint. */
void *kbp_json_list(struct kbp_json_place *p, json_t *o, const char *name, size_t max, size_t size,
		    json_t **list);
uint64_t kbp_json_u64(struct kbp_json_place *p, json_t *o, const char *name, uint64_t max);
uint32_t kbp_json_u32(struct kbp_json_place *p, json_t *o, const char *name);
/* Any number; from 0. */
double kbp_json_number(struct kbp_json_place *p, json_t *o, const char *name);
double kbp_json_real(struct kbp_json_place *p, json_t *o, const char *name);
bool kbp_json_bool(struct kbp_json_place *p, json_t *o, const char *name);
void kbp_json_read_text(struct kbp_json_place *p, json_t *o, const char *name, char *to, size_t size);
/* One of the words, which end with NULL. */
void kbp_json_one_of(struct kbp_json_place *p, json_t *o, const char *name, char to[16],
		     const char *const *words);
void kbp_json_read_latency(struct kbp_json_place *p, json_t *run, const char *name,
			   struct kbp_latency *l);

/* ---------------------------------------------------------------- parts with files of their own */

/* results_explain.c */
void kbp_put_explain(json_t *run, const struct kbp_result_explain *e, bool *bad);
void kbp_read_explain(struct kbp_json_place *p, json_t *run, struct kbp_result_explain *e);
/* results_verdicts.c */
void kbp_put_intervals(json_t *latency, const struct kbp_result_intervals *i, bool *bad);
void kbp_read_intervals(struct kbp_json_place *p, json_t *latency, struct kbp_result_intervals *i);
void kbp_put_verdicts(json_t *root, const struct kbp_results *res, bool *bad);
void kbp_read_verdicts(struct kbp_json_place *p, json_t *root, struct kbp_results *res);

/* results_noise.c */
void kbp_put_noise(json_t *root, const struct kbp_results *res, bool *bad);
void kbp_read_noise(struct kbp_json_place *p, json_t *root, struct kbp_results *res);

#endif
