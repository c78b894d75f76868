/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - by how much each cause made which samples longer.
 *
 * A cause is what had the CPU instead of the hot thread, innermost first: of an interrupt during another thread's
 * turn, the interrupt. What a sample around the median has of a cause is the path itself (a softirq that delivers every
 * frame); only what a sample of the tail has beyond that explains why it is in the tail.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "tools/measure/explain.h"

#define DEPTH_MAX 16u
#define NOBODY UINT32_MAX
#define MIDDLE_LOW 450u /* permille: samples around the median */
#define MIDDLE_HIGH 550u

struct cause {
	char kind[12], name[48];
	int trace_kind, id;
};

struct amount {
	uint32_t sample, cause;
	uint32_t ns;
};

struct list {
	void *p;
	size_t n, room;
};

struct kbp_tail {
	const struct kbp_tsc *tsc;
	struct cause cause[KBP_CAUSES_MAX];
	uint32_t n_causes;
	struct list spans, amounts, samples; /* of struct kbp_span, struct amount, struct sample */
	uint64_t events;
	size_t round_first; /* sample */
	/* while events are read */
	struct {
		int kind, id;
		uint32_t cause;
	} open[DEPTH_MAX];
	uint32_t depth, switch_depth;
	uint32_t other; /* cause: another thread has the CPU; NOBODY: the hot one */
	uint64_t since;
	bool no_memory;
};

struct sample {
	uint32_t ns;
	bool counts;
};

/* Room for one more, all zero; NULL without memory. */
static void *add(struct list *l, size_t size)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 1024;
		void *p = realloc(l->p, room * size);

		if (!p)
			return NULL;
		l->p = p;
		l->room = room;
	}
	return memset((char *)l->p + size * l->n++, 0, size);
}

/* ---------------------------------------------------------------- names */

static const char *const softirqs[] = { "HI",	    "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
					"IRQ_POLL", "TASKLET", "SCHED",	 "HRTIMER", "RCU" };
static const char *const vectors[] = { "local timer", "reschedule", "function call",
				       "function call", "irq work" };
static const struct {
	int id;
	const char *name;
} calls[] = {
	{ SYS_read, "read" },
	{ SYS_write, "write" },
	{ SYS_mmap, "mmap" },
	{ SYS_munmap, "munmap" },
	{ SYS_madvise, "madvise" },
	{ SYS_brk, "brk" },
	{ SYS_ioctl, "ioctl" },
	{ SYS_futex, "futex" },
	{ SYS_nanosleep, "nanosleep" },
	{ SYS_sendto, "sendto" },
	{ SYS_clock_nanosleep, "clock_nanosleep" },
	{ SYS_getpid, "getpid" },
	{ SYS_clock_gettime, "clock_gettime" },
	{ SYS_recvmsg, "recvmsg" },
	{ SYS_recvmmsg, "recvmmsg" },
	{ SYS_recvfrom, "recvfrom" },
	{ SYS_sched_yield, "sched_yield" },
	{ SYS_getsockopt, "getsockopt" },
};

static void call_name(struct cause *c)
{
	snprintf(c->name, sizeof(c->name), "system call %d", c->id);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(calls); i++)
		if (calls[i].id == c->id)
			snprintf(c->name, sizeof(c->name), "%s", calls[i].name);
}

static void cause_name(struct cause *c, const struct kbp_trace_event *e)
{
	static const char *const kinds[] = { "irq", "irq", "softirq", "switch", "fault", "syscall" };
	unsigned id = (unsigned)e->id;

	snprintf(c->kind, sizeof(c->kind), "%s", kinds[e->kind]);
	switch (e->kind) {
	case KBP_TRACE_IRQ:
		snprintf(c->name, sizeof(c->name), "%.15s, irq %d", e->name, e->id);
		break;
	case KBP_TRACE_VECTOR:
		snprintf(c->name, sizeof(c->name), "%s", id < KBP_VECTORS ? vectors[id] : "vector");
		break;
	case KBP_TRACE_SOFTIRQ:
		snprintf(c->name, sizeof(c->name), "%s",
			 id < KBP_ARRAY_SIZE(softirqs) ? softirqs[id] : "softirq");
		break;
	case KBP_TRACE_SWITCH:
		snprintf(c->name, sizeof(c->name), "%.15s", e->name);
		break;
	case KBP_TRACE_FAULT:
		snprintf(c->name, sizeof(c->name), "page fault");
		break;
	default:
		call_name(c);
	}
}

/* Threads are told apart by name, since workers of one kind are many. */
static bool same_cause(const struct cause *c, const struct kbp_trace_event *e)
{
	if (c->trace_kind != e->kind)
		return false;
	return e->kind == KBP_TRACE_SWITCH ? !strncmp(c->name, e->name, 15) : c->id == e->id;
}

static uint32_t cause_of(struct kbp_tail *t, const struct kbp_trace_event *e)
{
	struct cause *c;

	for (uint32_t i = KBP_CAUSES_FIXED; i < t->n_causes; i++)
		if (same_cause(&t->cause[i], e))
			return i;
	if (t->n_causes == KBP_CAUSES_MAX)
		return KBP_CAUSE_REST;
	c = &t->cause[t->n_causes];
	c->trace_kind = e->kind;
	c->id = e->id;
	cause_name(c, e);
	return t->n_causes++;
}

/* ---------------------------------------------------------------- events to spans */

static uint32_t owner(const struct kbp_tail *t)
{
	if (t->depth > t->switch_depth)
		return t->open[t->depth - 1].cause;
	if (t->other != NOBODY)
		return t->other;
	return t->depth ? t->open[t->depth - 1].cause : NOBODY;
}

/* Whoever had the CPU had it until now. */
static void span_until(struct kbp_tail *t, uint64_t now)
{
	uint32_t who = owner(t);

	if (who != NOBODY && now > t->since) {
		struct kbp_span *s = add(&t->spans, sizeof(*s));

		if (s)
			*s = (struct kbp_span){ .begin = t->since, .end = now, .cause = who };
		else
			t->no_memory = true;
	}
	t->since = now;
}

static bool is_open(const struct kbp_tail *t, uint32_t d, const struct kbp_trace_event *e)
{
	return t->open[d].kind == e->kind && (e->kind == KBP_TRACE_SYSCALL || t->open[d].id == e->id);
}

/* None of these is ever inside of its like: an end was lost. */
static void on_begin(struct kbp_tail *t, const struct kbp_trace_event *e)
{
	for (uint32_t d = t->switch_depth; d < t->depth; d++)
		if (is_open(t, d, e))
			t->depth = d;
	if (t->depth == DEPTH_MAX)
		return;
	t->open[t->depth].kind = e->kind;
	t->open[t->depth].id = e->id;
	t->open[t->depth++].cause = cause_of(t, e);
}

/* What began inside and did not end there, has ended too: its end was lost. */
static void on_end(struct kbp_tail *t, const struct kbp_trace_event *e)
{
	for (uint32_t d = t->depth; d-- > 0;) {
		if (!is_open(t, d, e))
			continue;
		t->depth = d;
		if (t->switch_depth > d)
			t->switch_depth = d;
		return;
	}
}

/* A thread that sleeps in a call of its own has the call to blame, not who runs meanwhile. */
static void on_switch(struct kbp_tail *t, const struct kbp_trace_event *e, pid_t hot_tid)
{
	bool by_itself = e->end && t->other == NOBODY && t->depth;

	if (e->id == hot_tid) {
		t->other = NOBODY;
		t->switch_depth = 0;
		return;
	}
	if (t->other == NOBODY)
		t->switch_depth = t->depth;
	t->other = by_itself ? t->open[t->depth - 1].cause : cause_of(t, e);
}

static int by_begin(const void *a, const void *b)
{
	const struct kbp_span *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static const struct kbp_span *spans_of(const struct kbp_tail *t)
{
	return t->spans.p;
}

/* The first of the n spans that ends after `at`. */
static size_t first_after(const struct kbp_tail *t, size_t n, uint64_t at)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (spans_of(t)[mid].end <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Where the loop stood still and nobody is known to have had the CPU. */
static void stalls_add(struct kbp_tail *t, const uint64_t (*gaps)[2], uint32_t n_gaps)
{
	const size_t n = t->spans.n;

	for (uint32_t g = 0; g < n_gaps; g++) {
		uint64_t at = gaps[g][0];

		for (size_t i = first_after(t, n, at); at < gaps[g][1]; i++) {
			uint64_t until = i < n && spans_of(t)[i].begin < gaps[g][1] ?
						 spans_of(t)[i].begin :
						 gaps[g][1];
			struct kbp_span *s = until > at ? add(&t->spans, sizeof(*s)) : NULL;

			if (s)
				*s = (struct kbp_span){ .begin = at,
							.end = until,
							.cause = KBP_CAUSE_STALL };
			else if (until > at)
				t->no_memory = true;
			at = i < n && until < gaps[g][1] ? spans_of(t)[i].end : gaps[g][1];
		}
	}
	if (t->spans.n > 1)
		qsort(t->spans.p, t->spans.n, sizeof(struct kbp_span), by_begin);
}

/* A fault that the kernel did not count (it ended in a signal, or nothing counts them here) has no end. */
static bool endless_fault(const struct kbp_trace_event *e, uint32_t n, uint32_t i)
{
	if (e[i].kind != KBP_TRACE_FAULT || e[i].end)
		return false;
	for (i++; i < n && e[i].kind != KBP_TRACE_FAULT && e[i].kind != KBP_TRACE_SYSCALL; i++)
		;
	return i == n || e[i].kind != KBP_TRACE_FAULT || !e[i].end;
}

int kbp_tail_round(struct kbp_tail *t, const struct kbp_trace_event *events, const uint64_t *ticks,
		   uint32_t n, pid_t hot_tid, const uint64_t (*gaps)[2], uint32_t n_gaps)
{
	t->spans.n = 0;
	t->depth = t->switch_depth = 0;
	t->other = NOBODY;
	t->since = n ? ticks[0] : 0;
	t->events += n;
	t->round_first = t->samples.n;
	for (uint32_t i = 0; i < n; i++) {
		if (endless_fault(events, n, i))
			continue;
		span_until(t, ticks[i]);
		if (events[i].kind == KBP_TRACE_SWITCH)
			on_switch(t, &events[i], hot_tid);
		else if (events[i].end)
			on_end(t, &events[i]);
		else
			on_begin(t, &events[i]);
	}
	stalls_add(t, gaps, n_gaps);
	return t->no_memory ? -ENOMEM : 0;
}

const struct kbp_span *kbp_tail_spans(const struct kbp_tail *t, uint32_t *n)
{
	*n = (uint32_t)t->spans.n;
	return spans_of(t);
}

/* ---------------------------------------------------------------- samples */

static void amount_add(struct kbp_tail *t, uint32_t cause, uint64_t ticks)
{
	struct amount *a;
	uint64_t ns = kbp_tsc_ns(t->tsc, ticks);

	if (!ns)
		return;
	a = add(&t->amounts, sizeof(*a));
	if (!a) {
		t->no_memory = true;
		return;
	}
	a->sample = (uint32_t)t->samples.n - 1;
	a->cause = cause;
	a->ns = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

int kbp_tail_sample(struct kbp_tail *t, const struct kbp_way *w, uint32_t ns)
{
	struct sample *s = add(&t->samples, sizeof(*s));
	uint64_t from = w->sent > w->due ? w->sent : w->due, sum[KBP_CAUSES_MAX] = { 0 };

	if (!s)
		return -ENOMEM;
	s->ns = ns;
	s->counts = true;
	if (from > w->got)
		from = w->got;
	if (from > w->due)
		sum[KBP_CAUSE_SENDER] = from - w->due;
	for (size_t i = first_after(t, t->spans.n, from); i < t->spans.n; i++) {
		const struct kbp_span *p = &spans_of(t)[i];
		uint64_t begin = p->begin > from ? p->begin : from,
			 end = p->end < w->got ? p->end : w->got;

		if (p->begin >= w->got)
			break;
		sum[p->cause] += end - begin;
	}
	for (uint32_t c = 0; c < t->n_causes; c++)
		if (sum[c])
			amount_add(t, c, sum[c]);
	return t->no_memory ? -ENOMEM : 0;
}

void kbp_tail_warmup(struct kbp_tail *t, uint64_t n)
{
	struct sample *s = t->samples.p;

	for (size_t i = t->round_first; i < t->samples.n && n; i++, n--)
		s[i].counts = false;
}

/* ---------------------------------------------------------------- the tail */

struct sums {
	uint32_t p50, threshold;
	double base[KBP_CAUSES_MAX]; /* what a sample around the median has of each */
	double time[KBP_CAUSES_MAX];
	uint64_t main_of[KBP_CAUSES_MAX];
	double all;
	uint64_t tail;
};

static const struct sample *samples_of(const struct kbp_tail *t)
{
	return t->samples.p;
}

static const struct amount *amounts_of(const struct kbp_tail *t)
{
	return t->amounts.p;
}

/* Those that count, less `without[i]`; NULL: less nothing. Room for all in `out`. */
static void quantiles_of(const struct kbp_tail *t, const uint32_t *without, uint32_t *out,
			 struct kbp_latency *l)
{
	size_t n = 0;

	for (size_t i = 0; i < t->samples.n; i++)
		if (samples_of(t)[i].counts)
			out[n++] = samples_of(t)[i].ns - (without ? without[i] : 0);
	kbp_latency_of(out, n, l);
}

static uint32_t permille_of(const uint32_t *sorted, size_t n, uint32_t permille)
{
	return n ? sorted[(size_t)((uint64_t)(n - 1) * permille / 1000)] : 0;
}

/* `sorted` has the samples that count. */
static void base_of(const struct kbp_tail *t, const uint32_t *sorted, size_t n, struct sums *s)
{
	uint32_t low = permille_of(sorted, n, MIDDLE_LOW), high = permille_of(sorted, n, MIDDLE_HIGH);
	uint64_t count = 0;

	for (size_t i = 0; i < t->samples.n; i++)
		count += samples_of(t)[i].counts && samples_of(t)[i].ns >= low &&
			 samples_of(t)[i].ns <= high;
	for (size_t k = 0; k < t->amounts.n && count; k++) {
		const struct amount *a = &amounts_of(t)[k];
		const struct sample *of = &samples_of(t)[a->sample];

		if (of->counts && of->ns >= low && of->ns <= high)
			s->base[a->cause] += (double)a->ns / (double)count;
	}
}

/* What each cause added to sample i beyond the median's amount, all together no more than it lies beyond the median;
 * what is left is the rest's. *k: the first of its amounts, moved on to the next sample's. */
static void beyond(const struct kbp_tail *t, const struct sums *s, size_t i, size_t *k,
		   double more[KBP_CAUSES_MAX])
{
	double far = samples_of(t)[i].ns > s->p50 ? (double)(samples_of(t)[i].ns - s->p50) : 0,
	       sum = 0;

	memset(more, 0, KBP_CAUSES_MAX * sizeof(*more));
	for (; *k < t->amounts.n && amounts_of(t)[*k].sample == i; ++*k) {
		const struct amount *a = &amounts_of(t)[*k];

		if (a->ns > s->base[a->cause]) {
			more[a->cause] += a->ns - s->base[a->cause];
			sum += a->ns - s->base[a->cause];
		}
	}
	for (uint32_t c = 0; sum > far && c < t->n_causes; c++)
		more[c] *= far / sum;
	more[KBP_CAUSE_REST] += sum < far ? far - sum : 0;
}

static uint32_t largest(const struct kbp_tail *t, const double more[KBP_CAUSES_MAX])
{
	uint32_t main_one = KBP_CAUSE_REST;

	for (uint32_t c = 0; c < t->n_causes; c++)
		if (more[c] > more[main_one])
			main_one = c;
	return main_one;
}

static int by_time(const void *a, const void *b)
{
	const struct kbp_explain_outlier *x = a, *y = b;

	if (x->ns != y->ns)
		return (x->ns < y->ns) - (x->ns > y->ns);
	return (x->sample > y->sample) - (x->sample < y->sample);
}

static int tail_sum(const struct kbp_tail *t, struct sums *s, struct kbp_result_explain *e)
{
	double more[KBP_CAUSES_MAX];
	struct list outliers = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < t->samples.n; i++) {
		const struct sample *of = &samples_of(t)[i];
		struct kbp_explain_outlier *o;

		beyond(t, s, i, &k, more);
		if (!of->counts || of->ns <= s->threshold)
			continue;
		s->tail++;
		for (uint32_t c = 0; c < t->n_causes; c++) {
			s->time[c] += more[c];
			s->all += more[c];
		}
		s->main_of[largest(t, more)]++;
		o = add(&outliers, sizeof(*o));
		if (!o) {
			free(outliers.p);
			return -ENOMEM;
		}
		*o = (struct kbp_explain_outlier){ .sample = i,
						   .ns = of->ns,
						   .cause = largest(t, more) };
	}
	if (outliers.n)
		qsort(outliers.p, outliers.n, sizeof(struct kbp_explain_outlier), by_time);
	e->outlier = outliers.p;
	e->n_outliers = outliers.n < KBP_EXPLAIN_OUTLIERS_MAX ? (uint32_t)outliers.n :
								KBP_EXPLAIN_OUTLIERS_MAX;
	return 0;
}

/* The gap, had this cause taken nothing beyond the median's amount. */
static uint32_t gap_without(const struct kbp_tail *t, const struct sums *s, uint32_t cause,
			    uint32_t *without, uint32_t *room)
{
	double more[KBP_CAUSES_MAX];
	struct kbp_latency l;
	size_t k = 0;

	for (size_t i = 0; i < t->samples.n; i++) {
		beyond(t, s, i, &k, more);
		without[i] = (uint32_t)more[cause];
	}
	quantiles_of(t, without, room, &l);
	return l.gap_ns;
}

static int by_share(const void *a, const void *b)
{
	const struct kbp_explain_cause *x = a, *y = b;

	return (x->share < y->share) - (x->share > y->share);
}

static int causes_list(struct kbp_tail *t, const struct sums *s, uint32_t *without, uint32_t *room,
		       struct kbp_result_explain *e)
{
	uint32_t place[KBP_CAUSES_MAX];

	e->cause = calloc(t->n_causes, sizeof(*e->cause));
	if (!e->cause)
		return -ENOMEM;
	for (uint32_t c = 0; c < t->n_causes; c++) {
		struct kbp_explain_cause *x = &e->cause[e->n_causes];

		if (!s->main_of[c] && s->time[c] < 1)
			continue;
		e->n_causes++;
		strcpy(x->kind, t->cause[c].kind);
		strcpy(x->name, t->cause[c].name);
		x->samples = s->main_of[c];
		x->time_ns = (uint64_t)s->time[c];
		x->share = s->all > 0 ? s->time[c] / s->all : 0;
		x->gap_ns = gap_without(t, s, c, without, room);
	}
	qsort(e->cause, e->n_causes, sizeof(*e->cause), by_share);
	for (uint32_t c = 0; c < t->n_causes; c++)
		for (uint32_t i = place[c] = 0; i < e->n_causes; i++)
			if (!strcmp(e->cause[i].kind, t->cause[c].kind) &&
			    !strcmp(e->cause[i].name, t->cause[c].name))
				place[c] = i;
	for (uint32_t i = 0; i < e->n_outliers; i++)
		e->outlier[i].cause = place[e->outlier[i].cause];
	return 0;
}

int kbp_tail_finish(struct kbp_tail *t, uint32_t threshold_ns, struct kbp_result_explain *e)
{
	uint32_t *room = malloc((t->samples.n + 1) * sizeof(*room)),
		 *without = malloc((t->samples.n + 1) * sizeof(*without));
	struct sums s = { 0 };
	struct kbp_latency l;
	int rc = room && without ? 0 : -ENOMEM;

	if (!rc) {
		quantiles_of(t, NULL, room, &l);
		s.p50 = l.p50_ns;
		s.threshold = threshold_ns ? threshold_ns : l.p99_ns;
		base_of(t, room, l.samples, &s);
		s.base[KBP_CAUSE_REST] = 0;
		rc = tail_sum(t, &s, e);
	}
	if (!rc) {
		e->threshold_ns = s.threshold;
		e->tail = s.tail;
		e->events = t->events;
		rc = causes_list(t, &s, without, room, e);
	}
	free(room);
	free(without);
	return rc;
}

int kbp_tail_open(const struct kbp_tsc *tsc, struct kbp_tail **out)
{
	static const struct cause fixed[] = {
		{ "sender", "sent late", -1, 0 },
		{ "gap", "the CPU stood still, nothing traced", -1, 0 },
		{ "gap", "unaccounted", -1, 0 },
	};
	struct kbp_tail *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -ENOMEM;
	t->tsc = tsc;
	t->n_causes = KBP_CAUSES_FIXED;
	memcpy(t->cause, fixed, sizeof(fixed));
	return 0;
}

void kbp_tail_close(struct kbp_tail *t)
{
	if (!t)
		return;
	free(t->spans.p);
	free(t->amounts.p);
	free(t->samples.p);
	free(t);
}
