/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare.c - two results side by side: first whether they are of the same thing, then what they say.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/compare.h"
#include "tools/measure/host.h"

#define NAMED_MAX 4u /* differences that an error spells out */

enum kbp_fact_kind kbp_fact_kind(const char *name, const char **why)
{
	const struct kbp_fact_rule *rule = kbp_fact_rule(name);

	if (why)
		*why = rule->why;
	return rule->kind;
}

/* ---------------------------------------------------------------- facts */

struct facts {
	const struct kbp_fact *fact;
	uint32_t n;
	bool setup;
	bool captured; /* a capture was replayed, on one side at least */
};

static const char *value_of(const struct facts *f, const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->fact[i].name, name))
			return f->fact[i].value;
	return NULL;
}

/* How long a generator is run does not change what it sends; of a capture it is another part. */
static enum kbp_fact_kind kind_of(const struct facts *f, const char *name)
{
	if (f->setup && f->captured && (!strcmp(name, "seconds") || !strcmp(name, "frames")))
		return KBP_FACT_IDENTITY;
	return kbp_fact_rule(name)->kind;
}

static bool same(const char *name, const char *a, const char *b)
{
	double x, y;

	if (!strcmp(a, b))
		return true;
	if (!kbp_fact_rule(name)->near)
		return false;
	x = strtod(a, NULL);
	y = strtod(b, NULL);
	return x > 0 && y > 0 && fabs(x - y) < 0.01 * y;
}

/* What neither side knows is no difference that anybody has seen. */
static void fact_compare(struct kbp_comparison *c, const struct facts *f, const char *name,
			 const char *a, const char *b)
{
	bool known_a = a && !kbp_fact_is_unknown(a), known_b = b && !kbp_fact_is_unknown(b);
	struct kbp_fact_difference *d;

	if (!known_a && !known_b)
		return;
	if ((!a || !b) && kbp_fact_rule(name)->both)
		return;
	if (known_a && known_b && same(name, a, b))
		return;
	d = &c->difference[c->n_differences++];
	d->name = name;
	d->a = a;
	d->b = b;
	d->kind = kind_of(f, name);
	d->setup = f->setup;
	d->unknown = !known_a || !known_b;
	d->refuses = d->kind == KBP_FACT_IDENTITY;
	c->n_refusing += d->refuses;
}

static void facts_compare(struct kbp_comparison *c, const struct facts *a, const struct facts *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		fact_compare(c, a, a->fact[i].name, a->fact[i].value, value_of(b, a->fact[i].name));
	for (uint32_t i = 0; i < b->n; i++)
		if (!value_of(a, b->fact[i].name))
			fact_compare(c, b, b->fact[i].name, NULL, b->fact[i].value);
}

static bool is_captured(const struct kbp_results *r)
{
	const char *source = kbp_results_fact(r, "source");

	return source && !strcmp(source, "capture");
}

/* Those that refuse first, and each kind in the order of the results. */
static void sort(struct kbp_comparison *c)
{
	uint32_t front = 0;

	for (uint32_t i = 0; i < c->n_differences; i++) {
		struct kbp_fact_difference d = c->difference[i];

		if (!d.refuses)
			continue;
		memmove(&c->difference[front + 1], &c->difference[front], (i - front) * sizeof(d));
		c->difference[front++] = d;
	}
}

static void all_facts(struct kbp_comparison *c, const struct kbp_results *a,
		      const struct kbp_results *b)
{
	const bool captured = is_captured(a) || is_captured(b);
	const struct facts side[4] = {
		{ a->fingerprint, a->n_fingerprint, false, captured },
		{ b->fingerprint, b->n_fingerprint, false, captured },
		{ a->setup, a->n_setup, true, captured },
		{ b->setup, b->n_setup, true, captured },
	};

	facts_compare(c, &side[0], &side[1]);
	facts_compare(c, &side[2], &side[3]);
	sort(c);
}

/* "kernel (Linux 6.1, Linux 6.2), mtu (1500, unknown there); and 3 more" */
static int refuse(const struct kbp_comparison *c, struct kbp_error *err)
{
	char text[400] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < c->n_refusing && i < NAMED_MAX && at < sizeof(text); i++) {
		const struct kbp_fact_difference *d = &c->difference[i];

		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s%s: \"%.30s\" and \"%.30s\"", i ? "; " : "", d->name,
				       d->a ? d->a : "unknown", d->b ? d->b : "unknown");
	}
	if (c->n_refusing > NAMED_MAX && at < sizeof(text))
		snprintf(text + at, sizeof(text) - at, "; and %u more", c->n_refusing - NAMED_MAX);
	return kbp_fail(err, -EXDEV, "compare results of different hosts or setups",
			"%s: --force compares all the same, and resolves nothing", text);
}

/* ---------------------------------------------------------------- runs */

static const struct kbp_result_run *find(const struct kbp_results *r,
					 const struct kbp_result_run *like, uint32_t *number)
{
	for (uint32_t i = 0; i < r->n_runs; i++) {
		const struct kbp_result_run *run = &r->run[i];

		if (!strcmp(run->backend, like->backend) && !strcmp(run->kind, like->kind) &&
		    run->rate_pps == like->rate_pps) {
			*number = i;
			return run;
		}
	}
	return NULL;
}

static int runs_pair(struct kbp_comparison *c, const struct kbp_results *a,
		     const struct kbp_results *b, struct kbp_error *err)
{
	uint32_t k;

	for (uint32_t i = 0; i < a->n_runs; i++) {
		if (find(b, &a->run[i], &k))
			c->run[c->n_runs++] = (struct kbp_compared_run){ .a = i, .b = k };
		else
			c->only_a++;
	}
	for (uint32_t i = 0; i < b->n_runs; i++)
		c->only_b += !find(a, &b->run[i], &k);
	if (c->n_runs)
		return 0;
	return kbp_fail(err, -ENODATA, "compare results",
			a->n_profile || b->n_profile ?
				"a profile has no runs: give results of rounds" :
				"no run of one has the backend, kind and rate of one of the other");
}

int kbp_results_compare(const struct kbp_results *a, const struct kbp_results *b, unsigned flags,
			struct kbp_comparison **cmp, struct kbp_error *err)
{
	struct kbp_comparison *c;
	int rc;

	*cmp = NULL;
	if (flags & ~(unsigned)KBP_COMPARE_FORCE)
		return kbp_fail(err, -EINVAL, "compare results", "there are no such flags: %#x",
				flags);
	c = calloc(1, sizeof(*c));
	if (c) {
		c->difference = calloc((size_t)a->n_fingerprint + a->n_setup + b->n_fingerprint +
					       b->n_setup + 1,
				       sizeof(*c->difference));
		c->run = calloc((size_t)a->n_runs + 1, sizeof(*c->run));
	}
	if (!c || !c->difference || !c->run) {
		kbp_comparison_free(c);
		return kbp_fail(err, -ENOMEM, "compare results", "memory is out");
	}
	all_facts(c, a, b);
	c->forced = c->n_refusing && flags & KBP_COMPARE_FORCE;
	rc = runs_pair(c, a, b, err);
	if (!rc && c->n_refusing && !c->forced) {
		*cmp = c;
		return refuse(c, err);
	}
	if (!rc)
		rc = kbp_comparison_judge(c, a, b, err);
	if (rc) {
		kbp_comparison_free(c);
		return rc;
	}
	*cmp = c;
	return 0;
}

void kbp_comparison_free(struct kbp_comparison *cmp)
{
	if (!cmp)
		return;
	free(cmp->difference);
	free(cmp->run);
	free(cmp->verdict);
	free(cmp);
}
