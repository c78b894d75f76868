/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sweep.c - subjects: every backend at every rate. All of them take turns in the same rounds; those of one rate
 * follow each other, because they are compared.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/parts.h"

int kbp_sweep_check(struct kbp_bench *b, struct kbp_error *err)
{
	const struct kbp_bench_opts *o = &b->o;
	const char *step = "read the rates";

	b->n_rates = o->n_rates ? o->n_rates : 1;
	if (o->n_rates > KBP_BENCH_RATES_MAX)
		return kbp_fail(err, -EINVAL, step, "%u rates: at most %u", o->n_rates,
				KBP_BENCH_RATES_MAX);
	if (o->n_rates && o->rate_pps)
		return kbp_fail(err, -EINVAL, step,
				"rate_pps and rates contradict each other: give one of them");
	if (o->n_rates && (o->speed > 0 || o->timing == KBP_TIMING_BURSTS))
		return kbp_fail(err, -EINVAL, step,
				"%s: times that are scaled by a factor, or kept, come to no given rate",
				o->speed > 0 ? "rates and speed" : "rates and bursts");
	for (uint32_t i = 0; i < o->n_rates; i++) {
		b->rate[i].pps = o->rates[i];
		if (!o->rates[i])
			return kbp_fail(err, -EINVAL, step,
					"a rate of 0 packets per second sends nothing");
		for (uint32_t k = 0; k < i; k++)
			if (o->rates[k] == o->rates[i])
				return kbp_fail(err, -EINVAL, step,
						"%llu stands there twice: name each rate once",
						(unsigned long long)o->rates[i]);
	}
	return 0;
}

/* Rounds of every rate are as many, so that all take turns; the slowest one bounds them. */
static int rounds_fit(struct kbp_bench *b, struct kbp_error *err)
{
	for (uint32_t i = 0; i < b->n_rates; i++) {
		uint64_t n = b->rate[i].whole->n_total;

		if (n / b->o.rounds >= KBP_BENCH_ROUND_MAX)
			return kbp_fail(
				err, -E2BIG, "plan the rounds",
				"%llu frames in %u rounds: a round keeps at most %u frames; lower the rate or take more rounds",
				(unsigned long long)n, b->o.rounds, KBP_BENCH_ROUND_MAX);
		if (n < b->o.rounds)
			b->o.rounds = (uint32_t)n;
		if (!b->o.rounds)
			return kbp_fail(
				err, -ENODATA, "plan the rounds",
				"no frame is due within %g seconds: give more seconds or another timing",
				b->o.seconds);
	}
	return 0;
}

int kbp_sweep_schedules(struct kbp_bench *b, struct kbp_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < b->n_rates && !rc; i++) {
		b->whole = NULL;
		if (b->o.rtt)
			rc = kbp_pingpong_schedule(b, err);
		else
			rc = kbp_bench_schedule(b, b->o.n_rates ? b->rate[i].pps : b->o.rate_pps,
						err);
		b->rate[i].whole = b->whole;
	}
	b->whole = b->rate[0].whole;
	b->n_subjects = b->n_backends * b->n_rates;
	return rc || b->o.rtt ? rc : rounds_fit(b, err);
}

int kbp_sweep_slices(struct kbp_bench *b, uint32_t round, struct kbp_error *err)
{
	for (uint32_t i = 0; i < b->n_rates && !b->o.rtt; i++) {
		struct kbp_bench_rate *r = &b->rate[i];
		uint64_t total = r->whole->n_total, from = total * round / b->o.rounds,
			 to = total * (round + 1) / b->o.rounds;

		kbp_slice_free(&r->slice);
		if (kbp_slice_make(&r->slice, r->whole, from, to - from))
			return kbp_fail(err, -ENOMEM, "cut the schedule into rounds",
					"memory is out: take more rounds");
	}
	return 0;
}

uint32_t kbp_sweep_subject(const struct kbp_bench *b, uint32_t round, uint32_t i)
{
	uint32_t rate = (i / b->n_backends + round) % b->n_rates,
		 backend = (i % b->n_backends + round) % b->n_backends;

	return rate * b->n_backends + backend;
}

void kbp_sweep_turn(struct kbp_bench *b, uint32_t subject)
{
	const struct kbp_bench_rate *r = &b->rate[subject / b->n_backends];

	b->whole = r->whole;
	b->slice = r->slice;
	b->at.backend = b->backend[subject % b->n_backends];
}

void kbp_sweep_free(struct kbp_bench *b)
{
	for (uint32_t i = 0; i < KBP_BENCH_RATES_MAX; i++) {
		kbp_slice_free(&b->rate[i].slice);
		kbp_schedule_close(b->rate[i].whole);
	}
}

void kbp_sweep_file(const struct kbp_result_run *run, const char *what, char *file, size_t size)
{
	char rate[24] = "";

	if (run->rate_pps)
		snprintf(rate, sizeof(rate), "@%llu", (unsigned long long)run->rate_pps);
	snprintf(file, size, "samples/%s%s%s%s.u32", run->backend, rate, what ? "." : "",
		 what ? what : "");
}

void kbp_sweep_findings(struct kbp_results *res, uint32_t from, const struct kbp_result_run *run)
{
	if (!run->rate_pps)
		return;
	for (; from < res->n_findings; from++) {
		char *text = res->finding[from].text;
		size_t n = strlen(text);

		snprintf(text + n, sizeof(res->finding[from].text) - n, " (at %llu a second)",
			 (unsigned long long)run->rate_pps);
	}
}
