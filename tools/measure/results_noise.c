/* SPDX-License-Identifier: BSD-2-Clause */
/* results_noise.c - what the host took away, as JSON and back. */
#include <stdlib.h>
#include <string.h>

#include "tools/measure/host.h"
#include "tools/measure/json.h"

void kbp_put_noise(json_t *root, const struct kbp_results *res, bool *bad)
{
	json_t *list;

	if (!res->n_noise)
		return;
	list = json_array();
	for (uint32_t i = 0; i < res->n_noise; i++) {
		const struct kbp_noise *n = &res->noise[i];
		json_t *o = json_object(), *buckets = json_array();

		kbp_json_put_count(o, "cpu", (uint64_t)n->cpu, bad);
		kbp_json_put_text(o, "role", n->role, bad);
		kbp_json_put_count(o, "spun_ns", n->spun_ns, bad);
		kbp_json_put_count(o, "gaps", n->gaps, bad);
		kbp_json_put_count(o, "lost_ns", n->lost_ns, bad);
		kbp_json_put_count(o, "max_ns", n->max_ns, bad);
		for (size_t k = 0; k < KBP_ARRAY_SIZE(n->bucket); k++)
			kbp_json_append(buckets, json_integer((json_int_t)n->bucket[k]), bad);
		kbp_json_put(o, "buckets", buckets, bad);
		if (n->steal_ns == KBP_NOISE_STEAL_UNKNOWN)
			kbp_json_put(o, "steal_ns", json_null(), bad);
		else
			kbp_json_put_count(o, "steal_ns", n->steal_ns, bad);
		kbp_json_append(list, o, bad);
	}
	kbp_json_put(root, "noise", list, bad);
}

/* As many as struct kbp_noise has, which add up to its gaps. */
static void read_buckets(struct kbp_json_place *p, json_t *o, struct kbp_noise *n)
{
	json_t *a = kbp_json_member(p, o, "buckets", JSON_ARRAY, "is no array"), *v;
	uint64_t sum = 0;
	size_t i;

	if (!a)
		return;
	if (json_array_size(a) != KBP_ARRAY_SIZE(n->bucket)) {
		kbp_json_complain(p, "buckets", "has not 24 members");
		return;
	}
	json_array_foreach(a, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 0) {
			kbp_json_complain(p, "buckets", "holds something that is no count");
			return;
		}
		n->bucket[i] = (uint64_t)json_integer_value(v);
		sum += n->bucket[i];
	}
	if (sum != n->gaps)
		kbp_json_complain(p, "gaps, buckets", "contradict each other");
}

static void read_one(struct kbp_json_place *p, json_t *o, struct kbp_noise *n)
{
	static const char *const roles[] = { "rx", "tx", NULL };
	char role[16] = "";

	n->cpu = (int32_t)kbp_json_u64(p, o, "cpu", INT32_MAX);
	kbp_json_one_of(p, o, "role", role, roles);
	memcpy(n->role, role, sizeof(n->role));
	n->spun_ns = kbp_json_u64(p, o, "spun_ns", KBP_JSON_COUNT_MAX);
	n->gaps = kbp_json_u64(p, o, "gaps", KBP_JSON_COUNT_MAX);
	n->lost_ns = kbp_json_u64(p, o, "lost_ns", KBP_JSON_COUNT_MAX);
	n->max_ns = kbp_json_u64(p, o, "max_ns", KBP_JSON_COUNT_MAX);
	read_buckets(p, o, n);
	if (json_is_null(json_object_get(o, "steal_ns")))
		n->steal_ns = KBP_NOISE_STEAL_UNKNOWN;
	else
		n->steal_ns = kbp_json_u64(p, o, "steal_ns", KBP_JSON_COUNT_MAX);
	if (!p->bad && (n->lost_ns > n->spun_ns || n->max_ns > n->lost_ns))
		kbp_json_complain(p, "spun_ns, lost_ns, max_ns", "contradict each other");
}

/* The first files of this schema have none. */
void kbp_read_noise(struct kbp_json_place *p, json_t *root, struct kbp_results *res)
{
	json_t *a, *o;
	size_t i;

	if (!json_object_get(root, "noise"))
		return;
	a = kbp_json_member(p, root, "noise", JSON_ARRAY, "is no array");
	if (!a)
		return;
	if (json_array_size(a) > KBP_ARRAY_SIZE(res->noise)) {
		kbp_json_complain(p, "noise", "has more than two members");
		return;
	}
	json_array_foreach(a, i, o) {
		snprintf(p->at, sizeof(p->at), "noise[%zu]", i);
		read_one(p, o, &res->noise[res->n_noise++]);
	}
	p->at[0] = '\0';
}
