/* SPDX-License-Identifier: BSD-2-Clause */
/* compare.h - what the parts of a comparison of two results share. Nothing here is installed. */
#ifndef KBP_MEASURE_COMPARE_H
#define KBP_MEASURE_COMPARE_H

#include <kbypass/method.h>

#include "tools/measure/parts.h"

/* fact_kinds.c */
struct kbp_fact_rule {
	const char *name; /* "governor*": all that begin so */
	enum kbp_fact_kind kind;
	bool both; /* a side that does not have it says nothing */
	bool near; /* numbers within 1 % are the same */
	const char *why;
};

/* Never NULL. */
const struct kbp_fact_rule *kbp_fact_rule(const char *name);
/* The i-th line of the table, or NULL. */
const struct kbp_fact_rule *kbp_fact_rule_at(size_t i);

/* samples.c: all samples of one file, as many as the rounds say. The caller frees *samples. */
int kbp_samples_read(const struct kbp_results *res, const struct kbp_result_run *run,
		     const char *samples_file, uint32_t **samples, size_t *n, struct kbp_error *err);

/* verdicts.c: what makes a run fit to be compared */
/* "a real device": runs of two classes are not compared. */
const char *kbp_run_class(const struct kbp_result_run *r);
/* What is wrong with a run by itself, and in one word; NULL: nothing. */
const char *kbp_run_unfit(const struct kbp_results *res, const struct kbp_result_run *r,
			  const char **why);
/* The run's rounds without their warm-up, made ready. `gaps`: some places hold no sample. 0, also where there are too
 * few: then *m is NULL and the error says so; -ENOMEM. */
int kbp_run_method(const struct kbp_result_run *r, const uint32_t *ns, bool gaps, double quantum_ns,
		   struct kbp_method **m, struct kbp_error *err);

/* compare_verdicts.c: from the samples of both, c->verdict. */
int kbp_comparison_judge(struct kbp_comparison *c, const struct kbp_results *a,
			 const struct kbp_results *b, struct kbp_error *err);

#endif
