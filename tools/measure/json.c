/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - members of results, written and read back, with the place of whatever is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/json.h"

/* A member that could not be made must not vanish: memory is out, and there is no document. */
void kbp_json_put(json_t *o, const char *name, json_t *v, bool *bad)
{
	if (json_object_set_new(o, name, v))
		*bad = true;
}

void kbp_json_put_count(json_t *o, const char *name, uint64_t v, bool *bad)
{
	kbp_json_put(o, name, json_integer((json_int_t)v), bad);
}

/* JSON is UTF-8; a path, a kernel's command line and a device's words may be anything. Bytes that
 * are none of a text become \xNN. */
json_t *kbp_json_text(const char *text)
{
	json_t *v = json_string(text);
	char *escaped, *to;

	if (v)
		return v;
	escaped = to = calloc(4, strlen(text) + 1);
	if (!escaped)
		return NULL;
	for (; *text; text++)
		to += sprintf(to, *text & 0x80 ? "\\x%02x" : "%c", (unsigned char)*text);
	*to = '\0';
	v = json_string(escaped);
	free(escaped);
	return v;
}

void kbp_json_put_text(json_t *o, const char *name, const char *text, bool *bad)
{
	kbp_json_put(o, name, kbp_json_text(text), bad);
}

void kbp_json_put_bool(json_t *o, const char *name, bool v, bool *bad)
{
	kbp_json_put(o, name, json_boolean(v), bad);
}

void kbp_json_put_real(json_t *o, const char *name, double v, bool *bad)
{
	kbp_json_put(o, name, json_real(v), bad);
}

void kbp_json_append(json_t *a, json_t *v, bool *bad)
{
	if (json_array_append_new(a, v))
		*bad = true;
}

/* null: too few samples to tell, or known from below only. */
static json_t *quantile_json(const struct kbp_latency *l, unsigned permille, uint32_t ns)
{
	return kbp_latency_known(l, permille) && ns != UINT32_MAX ? json_integer((json_int_t)ns) :
								    json_null();
}

json_t *kbp_json_latency(const char *kind, const struct kbp_latency *l, bool *bad)
{
	json_t *o = json_object();

	kbp_json_put_text(o, "kind", kind, bad);
	kbp_json_put_count(o, "samples", l->samples, bad);
	kbp_json_put_count(o, "saturated", l->saturated, bad);
	kbp_json_put(o, "min", quantile_json(l, 0, l->min_ns), bad);
	kbp_json_put(o, "p50", quantile_json(l, 500, l->p50_ns), bad);
	kbp_json_put(o, "p90", quantile_json(l, 900, l->p90_ns), bad);
	kbp_json_put(o, "p99", quantile_json(l, 990, l->p99_ns), bad);
	kbp_json_put(o, "p999", quantile_json(l, 999, l->p999_ns), bad);
	kbp_json_put(o, "max", quantile_json(l, 1000, l->max_ns), bad);
	kbp_json_put(o, "gap",
		     quantile_json(l, 990, l->p99_ns == UINT32_MAX ? UINT32_MAX : l->gap_ns), bad);
	return o;
}

void kbp_json_complain(struct kbp_json_place *p, const char *member, const char *what)
{
	if (p->bad)
		return;
	p->bad = true;
	if (p->err)
		kbp_fail(p->err, -EBADMSG, "read results",
			 "%.200s: %s%s%s %s; the file is damaged or was edited by hand", p->file,
			 p->at, p->at[0] ? "." : "", member, what);
}

json_t *kbp_json_member(struct kbp_json_place *p, json_t *o, const char *name, json_type type,
			const char *what)
{
	json_t *m = json_object_get(o, name);

	if (!m)
		kbp_json_complain(p, name, "is missing");
	else if (json_typeof(m) != type)
		kbp_json_complain(p, name, what);
	else
		return m;
	return NULL;
}

void *kbp_json_list(struct kbp_json_place *p, json_t *o, const char *name, size_t max, size_t size,
		    json_t **list)
{
	json_t *a = kbp_json_member(p, o, name, JSON_ARRAY, "is no array");
	void *room;

	*list = NULL;
	if (!a)
		return NULL;
	if (json_array_size(a) > max) {
		kbp_json_complain(p, name, "has too many members");
		return NULL;
	}
	room = calloc(json_array_size(a) + 1, size);
	if (room)
		*list = a;
	else
		kbp_json_complain(p, name, "does not fit into memory");
	return room;
}

uint64_t kbp_json_u64(struct kbp_json_place *p, json_t *o, const char *name, uint64_t max)
{
	json_t *m = kbp_json_member(p, o, name, JSON_INTEGER, "is no whole number");

	if (!m)
		return 0;
	if (json_integer_value(m) < 0 || (uint64_t)json_integer_value(m) > max) {
		kbp_json_complain(p, name, "is out of range");
		return 0;
	}
	return (uint64_t)json_integer_value(m);
}

uint32_t kbp_json_u32(struct kbp_json_place *p, json_t *o, const char *name)
{
	return (uint32_t)kbp_json_u64(p, o, name, UINT32_MAX);
}

void kbp_json_read_text(struct kbp_json_place *p, json_t *o, const char *name, char *to, size_t size)
{
	json_t *m = kbp_json_member(p, o, name, JSON_STRING, "is no string");

	if (!m)
		return;
	if (json_string_length(m) >= size || strlen(json_string_value(m)) != json_string_length(m)) {
		kbp_json_complain(p, name, "is too long");
		return;
	}
	memcpy(to, json_string_value(m), json_string_length(m) + 1);
}

bool kbp_json_bool(struct kbp_json_place *p, json_t *o, const char *name)
{
	json_t *m = json_object_get(o, name);

	if (!json_is_boolean(m))
		kbp_json_complain(p, name, m ? "is neither true nor false" : "is missing");
	return json_is_true(m);
}

/* Written as null: too few samples, which reads as 0, or saturated. */
static uint32_t read_quantile(struct kbp_json_place *p, json_t *o, const struct kbp_latency *l,
			      const char *name, unsigned permille)
{
	if (!json_is_null(json_object_get(o, name)))
		return kbp_json_u32(p, o, name);
	if (!kbp_latency_known(l, permille))
		return 0;
	if (!l->saturated)
		kbp_json_complain(
			p, name, "is null, and neither too few samples nor a saturated one says why");
	return UINT32_MAX;
}

void kbp_json_read_latency(struct kbp_json_place *p, json_t *run, const char *name,
			   struct kbp_latency *l)
{
	json_t *o = kbp_json_member(p, run, name, JSON_OBJECT, "is no object");
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
	l->samples = kbp_json_u64(p, o, "samples", KBP_JSON_COUNT_MAX);
	l->saturated = kbp_json_u64(p, o, "saturated", KBP_JSON_COUNT_MAX);
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
		l->gap_ns = kbp_json_u32(p, o, "gap");
	if (!p->bad && (!ordered || (l->p99_ns && l->gap_ns != l->p99_ns - l->p50_ns)))
		kbp_json_complain(p, "p50 to max", "contradict each other");
	p->at[end] = '\0';
}

void kbp_json_one_of(struct kbp_json_place *p, json_t *o, const char *name, char to[16],
		     const char *const *words)
{
	kbp_json_read_text(p, o, name, to, 16);
	while (*words && strcmp(to, *words) != 0)
		words++;
	if (!*words)
		kbp_json_complain(p, name, "is none of the words it can be");
}

double kbp_json_number(struct kbp_json_place *p, json_t *o, const char *name)
{
	json_t *m = json_object_get(o, name);

	if (!json_is_number(m))
		kbp_json_complain(p, name, m ? "is no number" : "is missing");
	return json_is_number(m) ? json_number_value(m) : 0;
}

double kbp_json_real(struct kbp_json_place *p, json_t *o, const char *name)
{
	json_t *m = json_object_get(o, name);

	if (!json_is_number(m) || json_number_value(m) < 0)
		kbp_json_complain(p, name, m ? "is no number from 0" : "is missing");
	return json_is_number(m) ? json_number_value(m) : 0;
}
