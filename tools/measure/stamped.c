/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamped.c - receive stamps part a latency in two: wire to stamp, and stamp to pointer (rx_path). The receiver
 * has read the stamps' clock beside its CPU's counter, before, during and after the round; what lies between
 * two such pairs is converted within a stated error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/measure/parts.h"

static const char *source_name(enum kbp_ts_source s)
{
	static const char *const name[] = { "", "kernel", "driver", "nic" };

	return (unsigned)s < KBP_ARRAY_SIZE(name) ? name[s] : "";
}

static const char *epoch_name(enum kbp_epoch e)
{
	static const char *const name[] = { "", "utc", "tai", "phc", "monotonic" };

	return (unsigned)e < KBP_ARRAY_SIZE(name) ? name[e] : "";
}

static const char *proof_name(enum kbp_proof p)
{
	static const char *const name[] = { "none", "claimed", "bound", "proven" };

	return (unsigned)p < KBP_ARRAY_SIZE(name) ? name[p] : "none";
}

/* Did the stamps that came belong to the clock that was read? The first ones decide on some backends. */
static bool as_opened(const struct kbp_round_shared *sh)
{
	return sh->queue.ts_source == sh->stamps.ts_source &&
	       sh->queue.ts_epoch == sh->stamps.ts_epoch && sh->queue.ts_phc == sh->stamps.ts_phc;
}

static bool usable(const struct kbp_round_shared *sh)
{
	return sh->have_pairs && sh->queue.ts_proof == KBP_PROVEN && as_opened(sh);
}

void kbp_stamped_round(struct kbp_bench *b, struct kbp_result_run *run)
{
	const struct kbp_round_shared *sh = b->sh;
	struct kbp_result_stamps *st = &run->stamps;
	const char *source = source_name(sh->queue.ts_source),
		   *proof = proof_name(sh->queue.ts_proof);
	bool first = !run->n_rounds;

	if (first && !sh->have_pairs)
		kbp_finding_add(b->res, true, "no_stamps", run->backend, "%s", sh->no_pairs);
	if (!source[0])
		return;
	if (!first && st->source[0] && strcmp(st->source, source) != 0)
		kbp_finding_add(
			b->res, false, "stamps_changed", run->backend,
			"stamps are by the %s in one round and by the %s in another: not one measurement",
			st->source, source);
	if (sh->have_pairs && !as_opened(sh))
		kbp_finding_add(
			b->res, true, "no_stamps", run->backend,
			"round %u: stamps turned out to be of another clock than the queue said at first: not used",
			run->n_rounds + 1);
	if (sh->have_pairs && sh->pairs.stepped)
		kbp_finding_add(
			b->res, false, "clock_stepped", run->backend,
			"round %u: the stamps' clock was set meanwhile, and its stamps are not used",
			run->n_rounds + 1);
	snprintf(st->source, sizeof(st->source), "%s", source);
	snprintf(st->epoch, sizeof(st->epoch), "%s", epoch_name(sh->queue.ts_epoch));
	/* one round in which it was proven does not prove another, but its own samples stand */
	if (strcmp(st->proof, "proven") != 0)
		snprintf(st->proof, sizeof(st->proof), "%s", proof);
	st->resolution_ps = sh->queue.ts_resolution_ps;
}

/* ticks from `a` to `b` as a sample; before it counts in *clipped, and is kept as 0. */
static uint32_t part_ns(const struct kbp_tsc *tsc, uint64_t a, uint64_t b, uint64_t *clipped)
{
	uint64_t ns = b > a ? kbp_tsc_ns(tsc, b - a) : 0;

	*clipped += b < a;
	return ns < KBP_SAMPLE_MOST ? (uint32_t)ns : KBP_SAMPLE_MOST;
}

void kbp_stamped_add(const struct kbp_bench *b, struct kbp_run_work *w,
		     struct kbp_result_stamps *st, uint32_t i, uint64_t due)
{
	const struct kbp_round_shared *sh = b->sh;
	uint64_t got = b->records[i].ticks, at, error_ns, error, skew;
	uint32_t *rx = &w->rx_path.ns[w->rx_path.n++], *wire = &w->wire.ns[w->wire.n++];

	*rx = *wire = KBP_SAMPLE_NONE;
	if (sh->have_pairs && sh->pairs.stepped) {
		st->voided++;
		return;
	}
	if (!usable(sh) || !b->stamps_ns[i] ||
	    !kbp_pairs_ticks(&sh->pairs, b->stamps_ns[i], &at, &error_ns)) {
		st->unstamped++;
		return;
	}
	error = kbp_tsc_ticks(&b->tsc, error_ns);
	/* the intended time is by the sender's counter */
	skew = (uint64_t)(b->skew.ticks < 0 ? -b->skew.ticks : b->skew.ticks) + b->skew.bound_ticks;
	if (at > got + error || at + error + skew < due) {
		st->impossible++;
		return;
	}
	if (error_ns > st->error_ns)
		st->error_ns = error_ns;
	*rx = part_ns(&b->tsc, at, got, &st->clipped);
	*wire = part_ns(&b->tsc, due, at, &st->wire_clipped);
}

static int keep(struct kbp_bench *b, const struct kbp_result_run *run, const char *kind,
		const struct kbp_samples *s, char file[96], struct kbp_error *err)
{
	kbp_sweep_file(run, kind, file, 96);
	return kbp_samples_write(b->o.out_dir, file, s->ns, s->n, err);
}

int kbp_stamped_finish(struct kbp_bench *b, struct kbp_result_run *run, struct kbp_run_work *w,
		       bool write, struct kbp_error *err)
{
	struct kbp_result_stamps *st = &run->stamps;
	int rc = 0;

	if (!st->source[0])
		return 0;
	if (write)
		rc = keep(b, run, "rx_path", &w->rx_path, st->rx_path_file, err);
	if (write && !rc)
		rc = keep(b, run, "wire_to_stamp", &w->wire, st->wire_to_stamp_file, err);
	if (kbp_run_quantiles(run, &w->rx_path, true, &st->rx_path) ||
	    kbp_run_quantiles(run, &w->wire, true, &st->wire_to_stamp))
		rc = rc ? rc :
			  kbp_fail(err, -ENOMEM, "sort the samples",
				   "memory is out: take fewer seconds");
	return rc;
}
