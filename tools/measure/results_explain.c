/* SPDX-License-Identifier: BSD-2-Clause */
/* results_explain.c - what made the tail, as JSON and back. */
#include <string.h>

#include "tools/measure/json.h"

#define CAUSES_MAX 1000u

static json_t *cause_json(const struct kbp_explain_cause *c, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "kind", c->kind, bad);
	kbp_json_put_text(o, "name", c->name, bad);
	kbp_json_put_count(o, "samples", c->samples, bad);
	kbp_json_put_count(o, "time_ns", c->time_ns, bad);
	kbp_json_put_real(o, "share", c->share, bad);
	kbp_json_put_count(o, "gap_without_ns", c->gap_ns, bad);
	return o;
}

static json_t *outlier_json(const struct kbp_explain_outlier *x, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_count(o, "sample", x->sample, bad);
	kbp_json_put_count(o, "ns", x->ns, bad);
	kbp_json_put_count(o, "cause", x->cause, bad);
	return o;
}

void kbp_put_explain(json_t *run, const struct kbp_result_explain *e, bool *bad)
{
	json_t *o, *causes, *outliers;

	if (!e->cause)
		return;
	o = json_object();
	causes = json_array();
	outliers = json_array();
	kbp_json_put_count(o, "threshold_ns", e->threshold_ns, bad);
	kbp_json_put_count(o, "tail", e->tail, bad);
	kbp_json_put_count(o, "events", e->events, bad);
	kbp_json_put_count(o, "lost", e->lost, bad);
	kbp_json_put_count(o, "gap_min_ns", e->gap_min_ns, bad);
	for (uint32_t i = 0; i < e->n_causes; i++)
		kbp_json_append(causes, cause_json(&e->cause[i], bad), bad);
	for (uint32_t i = 0; i < e->n_outliers; i++)
		kbp_json_append(outliers, outlier_json(&e->outlier[i], bad), bad);
	kbp_json_put(o, "causes", causes, bad);
	kbp_json_put(o, "outliers", outliers, bad);
	kbp_json_put(run, "explain", o, bad);
}

static void causes_read(struct kbp_json_place *p, json_t *o, struct kbp_result_explain *e)
{
	static const char *const kinds[] = { "irq",	"softirq", "switch", "fault",
					     "syscall", "sender",  "gap",    NULL };
	json_t *a, *m;
	size_t i;

	e->cause = kbp_json_list(p, o, "causes", CAUSES_MAX, sizeof(*e->cause), &a);
	json_array_foreach(a, i, m) {
		struct kbp_explain_cause *c = &e->cause[e->n_causes++];
		char kind[16] = "";

		kbp_json_one_of(p, m, "kind", kind, kinds);
		memcpy(c->kind, kind, sizeof(c->kind));
		kbp_json_read_text(p, m, "name", c->name, sizeof(c->name));
		c->samples = kbp_json_u64(p, m, "samples", KBP_JSON_COUNT_MAX);
		c->time_ns = kbp_json_u64(p, m, "time_ns", KBP_JSON_COUNT_MAX);
		c->share = kbp_json_real(p, m, "share");
		c->gap_ns = kbp_json_u32(p, m, "gap_without_ns");
	}
}

static void outliers_read(struct kbp_json_place *p, json_t *o, struct kbp_result_explain *e)
{
	json_t *a, *m;
	size_t i;

	e->outlier =
		kbp_json_list(p, o, "outliers", KBP_EXPLAIN_OUTLIERS_MAX, sizeof(*e->outlier), &a);
	json_array_foreach(a, i, m) {
		struct kbp_explain_outlier *x = &e->outlier[e->n_outliers++];

		x->sample = kbp_json_u64(p, m, "sample", KBP_JSON_COUNT_MAX);
		x->ns = kbp_json_u32(p, m, "ns");
		x->cause = kbp_json_u32(p, m, "cause");
		if (!p->bad && x->cause >= e->n_causes)
			kbp_json_complain(p, "outliers.cause", "is none of the causes");
	}
}

/* Only of a traced run. */
void kbp_read_explain(struct kbp_json_place *p, json_t *run, struct kbp_result_explain *e)
{
	size_t end = strlen(p->at);
	json_t *o;

	if (!json_object_get(run, "explain"))
		return;
	o = kbp_json_member(p, run, "explain", JSON_OBJECT, "is no object");
	if (!o)
		return;
	strncat(p->at, ".explain", sizeof(p->at) - end - 1);
	e->threshold_ns = kbp_json_u32(p, o, "threshold_ns");
	e->tail = kbp_json_u64(p, o, "tail", KBP_JSON_COUNT_MAX);
	e->events = kbp_json_u64(p, o, "events", KBP_JSON_COUNT_MAX);
	e->lost = kbp_json_u64(p, o, "lost", KBP_JSON_COUNT_MAX);
	e->gap_min_ns = kbp_json_u64(p, o, "gap_min_ns", KBP_JSON_COUNT_MAX);
	causes_read(p, o, e);
	outliers_read(p, o, e);
	p->at[end] = '\0';
}
