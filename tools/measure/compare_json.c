/* SPDX-License-Identifier: BSD-2-Clause */
/* compare_json.c - a comparison as a document; doc/RESULTS.md has the schema. */
#include <stdlib.h>
#include <string.h>

#include "tools/measure/json.h"

static void put_fact(json_t *o, const char *name, const char *value, bool *bad)
{
	if (value)
		kbp_json_put_text(o, name, value, bad);
	else
		kbp_json_put(o, name, json_null(), bad);
}

static json_t *side_json(const struct kbp_results *r, bool *bad)
{
	json_t *o = json_object();

	put_fact(o, "dir", r->dir, bad);
	put_fact(o, "kbypass", kbp_results_fact(r, "kbypass"), bad);
	put_fact(o, "commit", kbp_results_fact(r, "commit"), bad);
	kbp_put_noise(o, r, bad);
	return o;
}

static json_t *difference_json(const struct kbp_fact_difference *d, bool *bad)
{
	static const char *const kinds[] = { "identity", "subject", "incidental" };
	json_t *o = json_object();

	kbp_json_put_text(o, "name", d->name, bad);
	kbp_json_put_text(o, "part", d->setup ? "setup" : "fingerprint", bad);
	kbp_json_put_text(o, "kind", kinds[d->kind], bad);
	put_fact(o, "a", d->a, bad);
	put_fact(o, "b", d->b, bad);
	kbp_json_put_bool(o, "unknown", d->unknown, bad);
	kbp_json_put_bool(o, "refuses", d->refuses, bad);
	return o;
}

static json_t *run_json(const struct kbp_result_run *a, const struct kbp_result_run *b, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "backend", a->backend, bad);
	kbp_json_put_count(o, "rate_pps", a->rate_pps, bad);
	kbp_json_put(o, "a", kbp_json_latency(a->kind, &a->latency, bad), bad);
	kbp_json_put(o, "b", kbp_json_latency(b->kind, &b->latency, bad), bad);
	return o;
}

char *kbp_comparison_json(const struct kbp_comparison *cmp, const struct kbp_results *a,
			  const struct kbp_results *b)
{
	const struct kbp_results judged = { .verdict = cmp->verdict, .n_verdicts = cmp->n_verdicts };
	json_t *root = json_object(), *differences = json_array(), *runs = json_array();
	bool bad = false;
	char *text;

	kbp_json_put_text(root, "schema", "kbypass.compare/1", &bad);
	kbp_json_put(root, "a", side_json(a, &bad), &bad);
	kbp_json_put(root, "b", side_json(b, &bad), &bad);
	kbp_json_put_bool(root, "comparable", !cmp->n_refusing, &bad);
	kbp_json_put_bool(root, "forced", cmp->forced, &bad);
	for (uint32_t i = 0; i < cmp->n_differences; i++)
		kbp_json_append(differences, difference_json(&cmp->difference[i], &bad), &bad);
	kbp_json_put(root, "differences", differences, &bad);
	for (uint32_t i = 0; i < cmp->n_runs; i++)
		kbp_json_append(runs, run_json(&a->run[cmp->run[i].a], &b->run[cmp->run[i].b], &bad),
				&bad);
	kbp_json_put(root, "runs", runs, &bad);
	kbp_json_put_count(root, "only_a", cmp->only_a, &bad);
	kbp_json_put_count(root, "only_b", cmp->only_b, &bad);
	kbp_put_verdicts(root, &judged, &bad);
	text = bad ? NULL :
		     json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER |
					      JSON_REAL_PRECISION(KBP_RESULTS_REAL_DIGITS));
	json_decref(root);
	return text;
}
