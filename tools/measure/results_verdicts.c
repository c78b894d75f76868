/* SPDX-License-Identifier: BSD-2-Clause */
/* results_verdicts.c - intervals and verdicts of results, as JSON and back. */
#include <string.h>

#include "tools/measure/json.h"

#define VERDICTS_MAX 100000u

static json_t *range_json(double lo, double hi, bool *bad)
{
	json_t *a = json_array();

	kbp_json_append(a, json_real(lo), bad);
	kbp_json_append(a, json_real(hi), bad);
	return a;
}

/* Two numbers, the lower one first. */
static void range_read(struct kbp_json_place *p, json_t *o, const char *name, double *lo, double *hi)
{
	json_t *a = kbp_json_member(p, o, name, JSON_ARRAY, "is no array");

	if (!a)
		return;
	*lo = json_number_value(json_array_get(a, 0));
	*hi = json_number_value(json_array_get(a, 1));
	if (json_array_size(a) != 2 || !json_is_number(json_array_get(a, 0)) ||
	    !json_is_number(json_array_get(a, 1)) || *lo > *hi)
		kbp_json_complain(p, name, "is no pair of numbers, the lower one first");
}

void kbp_put_intervals(json_t *latency, const struct kbp_result_intervals *i, bool *bad)
{
	json_t *o;

	if (!i->known)
		return;
	o = json_object();
	kbp_json_put(o, "p50", range_json(i->p50.lo, i->p50.hi, bad), bad);
	kbp_json_put(o, "p99", range_json(i->p99.lo, i->p99.hi, bad), bad);
	kbp_json_put(o, "gap", range_json(i->gap.lo, i->gap.hi, bad), bad);
	kbp_json_put(latency, "ci95", o, bad);
}

void kbp_read_intervals(struct kbp_json_place *p, json_t *latency, struct kbp_result_intervals *i)
{
	size_t end = strlen(p->at);
	json_t *o;

	if (!json_object_get(latency, "ci95"))
		return;
	o = kbp_json_member(p, latency, "ci95", JSON_OBJECT, "is no object");
	strncat(p->at, ".ci95", sizeof(p->at) - end - 1);
	range_read(p, o, "p50", &i->p50.lo, &i->p50.hi);
	range_read(p, o, "p99", &i->p99.lo, &i->p99.hi);
	range_read(p, o, "gap", &i->gap.lo, &i->gap.hi);
	i->known = true;
	p->at[end] = '\0';
}

static json_t *verdict_json(const struct kbp_verdict *v, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "a", v->a, bad);
	kbp_json_put_text(o, "b", v->b, bad);
	kbp_json_put_count(o, "rate_pps", v->rate_pps, bad);
	kbp_json_put_text(o, "kind", v->kind, bad);
	kbp_json_put_text(o, "metric", v->metric, bad);
	if (v->measured) {
		kbp_json_put_real(o, "diff_ns", v->diff_ns, bad);
		kbp_json_put(o, "ci95", range_json(v->lo_ns, v->hi_ns, bad), bad);
		kbp_json_put_real(o, "p", v->p, bad);
		kbp_json_put_real(o, "p_table", v->p_table, bad);
		kbp_json_put_real(o, "resolvable_ns", v->resolvable_ns, bad);
		kbp_json_put_real(o, "work_us_per_s", v->work_us_per_s, bad);
	} else {
		kbp_json_put(o, "diff_ns", json_null(), bad);
	}
	kbp_json_put_bool(o, "resolved", v->resolved, bad);
	kbp_json_put_text(o, "why", v->why, bad);
	kbp_json_put_text(o, "text", v->text, bad);
	kbp_json_put_count(o, "samples_needed", v->samples_needed, bad);
	kbp_json_put_count(o, "rounds_needed", v->rounds_needed, bad);
	return o;
}

/* Only where there was something to compare. */
void kbp_put_verdicts(json_t *root, const struct kbp_results *res, bool *bad)
{
	json_t *a;

	if (!res->n_verdicts)
		return;
	a = json_array();
	for (uint32_t i = 0; i < res->n_verdicts; i++)
		kbp_json_append(a, verdict_json(&res->verdict[i], bad), bad);
	kbp_json_put(root, "verdicts", a, bad);
}

static void verdict_read(struct kbp_json_place *p, json_t *o, struct kbp_verdict *v)
{
	static const char *const kinds[] = { "one_way", "rtt", "tx", "rx_path", NULL };
	static const char *const metrics[] = { "p50", "p99", "gap", NULL };
	char kind[16] = "", metric[16] = "";

	kbp_json_read_text(p, o, "a", v->a, sizeof(v->a));
	kbp_json_read_text(p, o, "b", v->b, sizeof(v->b));
	v->rate_pps = kbp_json_u64(p, o, "rate_pps", KBP_JSON_COUNT_MAX);
	kbp_json_one_of(p, o, "kind", kind, kinds);
	kbp_json_one_of(p, o, "metric", metric, metrics);
	memcpy(v->kind, kind, sizeof(v->kind));
	memcpy(v->metric, metric, sizeof(v->metric));
	v->resolved = kbp_json_bool(p, o, "resolved");
	kbp_json_read_text(p, o, "why", v->why, sizeof(v->why));
	kbp_json_read_text(p, o, "text", v->text, sizeof(v->text));
	v->samples_needed = kbp_json_u64(p, o, "samples_needed", KBP_JSON_COUNT_MAX);
	v->rounds_needed = kbp_json_u32(p, o, "rounds_needed");
	v->measured = !json_is_null(json_object_get(o, "diff_ns"));
	if (!v->measured) {
		if (v->resolved)
			kbp_json_complain(p, "resolved, diff_ns", "contradict each other");
		return;
	}
	v->diff_ns = kbp_json_number(p, o, "diff_ns");
	range_read(p, o, "ci95", &v->lo_ns, &v->hi_ns);
	v->p = kbp_json_real(p, o, "p");
	v->p_table = kbp_json_real(p, o, "p_table");
	v->resolvable_ns = kbp_json_real(p, o, "resolvable_ns");
	v->work_us_per_s = kbp_json_number(p, o, "work_us_per_s");
}

void kbp_read_verdicts(struct kbp_json_place *p, json_t *root, struct kbp_results *res)
{
	json_t *a, *o;
	size_t i;

	if (!json_object_get(root, "verdicts"))
		return;
	res->verdict = kbp_json_list(p, root, "verdicts", VERDICTS_MAX, sizeof(*res->verdict), &a);
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "verdicts[%zu]", i);
		verdict_read(p, o, &res->verdict[res->n_verdicts++]);
	}
	p->at[0] = '\0';
}
