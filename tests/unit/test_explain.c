/* SPDX-License-Identifier: BSD-2-Clause */
/* Which cause made which samples longer, on events that are made up. A tick is a nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "tools/measure/explain.h"

#define HOT 100
#define OTHER 200

static struct kbp_tsc tsc;
static struct kbp_tail *tail;
static struct kbp_trace_event event[64];
static uint64_t ticks[64];
static uint32_t n_events;

static int setup(void **state)
{
	(void)state;
	memset(&tsc, 0, sizeof(tsc));
	assert_int_equal(kbp_tsc_calibrate(&tsc, 100, NULL), 0);
	n_events = 0;
	return kbp_tail_open(&tsc, &tail);
}

static int teardown(void **state)
{
	(void)state;
	kbp_tail_close(tail);
	return 0;
}

static uint64_t at(uint64_t ns)
{
	return 1000000000u + kbp_tsc_ticks(&tsc, ns);
}

static void happens(uint64_t ns, enum kbp_trace_kind kind, bool end, int id, const char *name)
{
	struct kbp_trace_event *e = &event[n_events];

	memset(e, 0, sizeof(*e));
	e->kind = (unsigned char)kind;
	e->end = end;
	e->id = id;
	strcpy(e->name, name);
	ticks[n_events++] = at(ns);
}

static void round_end(const uint64_t (*gaps)[2], uint32_t n)
{
	assert_int_equal(kbp_tail_round(tail, event, ticks, n_events, HOT, gaps, n), 0);
}

static void sample(uint64_t due, uint64_t sent, uint64_t got)
{
	struct kbp_way w = { .due = at(due), .sent = at(sent), .got = at(got) };

	assert_int_equal(kbp_tail_sample(tail, &w, (uint32_t)(got - due)), 0);
}

/* n samples of 1 us each, from `due` on, 10 us apart. */
static void quiet_samples(uint64_t due, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sample(due + 10000 * i, due + 10000 * i, due + 10000 * i + 1000);
}

static void free_explain(struct kbp_result_explain *e)
{
	free(e->cause);
	free(e->outlier);
}

static const struct kbp_explain_cause *cause(const struct kbp_result_explain *e, const char *kind,
					     const char *name)
{
	for (uint32_t i = 0; i < e->n_causes; i++)
		if (!strcmp(e->cause[i].kind, kind) && strstr(e->cause[i].name, name))
			return &e->cause[i];
	return NULL;
}

static double shares(const struct kbp_result_explain *e)
{
	double sum = 0;

	for (uint32_t i = 0; i < e->n_causes; i++)
		sum += e->cause[i].share;
	return sum;
}

static void expect_spans(const uint64_t (*expected)[2], uint32_t n)
{
	uint32_t got;
	const struct kbp_span *s = kbp_tail_spans(tail, &got);

	assert_int_equal(got, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(s[i].begin, at(expected[i][0]));
		assert_int_equal(s[i].end, at(expected[i][1]));
	}
}

/* ---------------------------------------------------------------- spans */

static void what_is_inside_owns_the_time_and_nothing_counts_twice(void **state)
{
	static const uint64_t expected[][2] = { { 1000, 2000 }, { 2000, 3000 }, { 3000, 4000 } };
	uint32_t n;

	(void)state;
	happens(1000, KBP_TRACE_SOFTIRQ, false, 3, "");
	happens(2000, KBP_TRACE_IRQ, false, 25, "eth");
	happens(3000, KBP_TRACE_IRQ, true, 25, "");
	happens(4000, KBP_TRACE_SOFTIRQ, true, 3, "");
	happens(9000, KBP_TRACE_SOFTIRQ, true, 3, ""); /* of nobody */
	round_end(NULL, 0);
	expect_spans(expected, 3);
	assert_int_equal(kbp_tail_spans(tail, &n)[0].cause, kbp_tail_spans(tail, &n)[2].cause);
	assert_int_not_equal(kbp_tail_spans(tail, &n)[0].cause, kbp_tail_spans(tail, &n)[1].cause);
}

static void another_thread_has_the_cpu_until_the_hot_one_is_back(void **state)
{
	static const uint64_t expected[][2] = { { 1000, 2000 },
						{ 2000, 2500 },
						{ 2500, 5000 },
						{ 5000, 6000 } };

	(void)state;
	happens(1000, KBP_TRACE_SWITCH, false, OTHER, "cc1");
	happens(2000, KBP_TRACE_VECTOR, false, KBP_VECTOR_TIMER, "");
	happens(2500, KBP_TRACE_VECTOR, true, KBP_VECTOR_TIMER, "");
	happens(5000, KBP_TRACE_SWITCH, false, OTHER + 1, "ld");
	happens(6000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	happens(9000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	round_end(NULL, 0);
	expect_spans(expected, 4);
}

static void a_lost_end_does_not_own_the_rest_of_the_round(void **state)
{
	static const uint64_t expected[][2] = { { 1000, 2000 }, { 2000, 3000 } };

	(void)state;
	happens(1000, KBP_TRACE_IRQ, false, 25, "eth"); /* its end is lost */
	happens(2000, KBP_TRACE_IRQ, false, 25, "eth");
	happens(3000, KBP_TRACE_IRQ, true, 25, "");
	happens(9000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	round_end(NULL, 0);
	expect_spans(expected, 2);
}

static void a_fault_without_an_end_is_not_listed(void **state)
{
	static const uint64_t expected[][2] = { { 3000, 4000 } };

	(void)state;
	happens(1000, KBP_TRACE_FAULT, false, 0, "");
	happens(3000, KBP_TRACE_FAULT, false, 0, "");
	happens(4000, KBP_TRACE_FAULT, true, 0, "");
	happens(5000, KBP_TRACE_FAULT, false, 0, "");
	happens(9000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	round_end(NULL, 0);
	expect_spans(expected, 1);
}

static void a_stall_is_what_nobody_else_has(void **state)
{
	const uint64_t gaps[][2] = { { at(500), at(4500) }, { at(8000), at(9000) } };
	static const uint64_t expected[][2] = {
		{ 500, 1000 },	{ 1000, 2000 }, { 2000, 3000 },
		{ 3000, 4000 }, { 4000, 4500 }, { 8000, 9000 },
	};
	uint32_t n;

	(void)state;
	happens(1000, KBP_TRACE_IRQ, false, 25, "eth");
	happens(2000, KBP_TRACE_IRQ, true, 25, "");
	happens(3000, KBP_TRACE_IRQ, false, 25, "eth");
	happens(4000, KBP_TRACE_IRQ, true, 25, "");
	round_end(gaps, 2);
	expect_spans(expected, 6);
	assert_int_equal(kbp_tail_spans(tail, &n)[0].cause, KBP_CAUSE_STALL);
	assert_int_equal(kbp_tail_spans(tail, &n)[5].cause, KBP_CAUSE_STALL);
}

/* ---------------------------------------------------------------- the tail */

static void the_tail_is_explained_by_what_ran_in_it(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	happens(2000500, KBP_TRACE_SWITCH, false, OTHER, "cc1");
	happens(2030500, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	happens(3000500, KBP_TRACE_IRQ, false, 25, "eth0-rx");
	happens(3010500, KBP_TRACE_IRQ, true, 25, "");
	happens(9000000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	round_end(NULL, 0);
	quiet_samples(1000, 100);
	sample(2000000, 2000000, 2031000); /* 30 us of cc1 */
	sample(3000000, 3000000, 3011000); /* 10 us of the interrupt */
	assert_int_equal(kbp_tail_finish(tail, 5000, &e), 0);
	assert_int_equal(e.tail, 2);
	assert_string_equal(e.cause[0].name, "cc1");
	assert_string_equal(e.cause[0].kind, "switch");
	assert_int_equal(e.cause[0].samples, 1);
	assert_true(e.cause[0].share > 0.74 && e.cause[0].share < 0.76);
	assert_int_equal(cause(&e, "irq", "eth0-rx, irq 25")->samples, 1);
	assert_true(shares(&e) > 0.999999 && shares(&e) < 1.000001);
	/* the longest first, by number */
	assert_int_equal(e.n_outliers, 2);
	assert_int_equal(e.outlier[0].sample, 100);
	assert_int_equal(e.outlier[0].ns, 31000);
	assert_string_equal(e.cause[e.outlier[1].cause].name, "eth0-rx, irq 25");
	free_explain(&e);
}

static void what_every_sample_has_explains_nothing(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	/* a softirq of 400 ns delivers each frame; one takes 5.4 us */
	for (unsigned i = 0; i < 20; i++) {
		happens(10000 * i + 200, KBP_TRACE_SOFTIRQ, false, 3, "");
		happens(10000 * i + (i == 10 ? 5600 : 600), KBP_TRACE_SOFTIRQ, true, 3, "");
	}
	round_end(NULL, 0);
	for (unsigned i = 0; i < 20; i++)
		sample(10000 * i, 10000 * i, 10000 * i + (i == 10 ? 6000 : 1000));
	assert_int_equal(kbp_tail_finish(tail, 1500, &e), 0);
	assert_int_equal(e.tail, 1);
	assert_true(cause(&e, "softirq", "NET_RX")->time_ns >= 4990 &&
		    cause(&e, "softirq", "NET_RX")->time_ns <= 5001);
	free_explain(&e);
}

static void a_late_sender_is_not_the_receivers_fault(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	happens(2000000, KBP_TRACE_SWITCH, false, OTHER, "cc1"); /* while the frame is not even sent */
	happens(2018000, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	round_end(NULL, 0);
	quiet_samples(1000, 100);
	sample(2000000, 2020000, 2021000);
	assert_int_equal(kbp_tail_finish(tail, 5000, &e), 0);
	assert_string_equal(e.cause[0].kind, "sender");
	assert_true(e.cause[0].share > 0.999);
	free_explain(&e);
}

static void what_nobody_is_known_to_have_caused_is_said_so(void **state)
{
	const uint64_t gap[][2] = { { at(2000100), at(2010100) } };
	struct kbp_result_explain e = { 0 };

	(void)state;
	round_end(gap, 1);
	quiet_samples(1000, 100);
	sample(2000000, 2000000, 2021000); /* half of it the CPU stood still */
	assert_int_equal(kbp_tail_finish(tail, 5000, &e), 0);
	assert_true(cause(&e, "gap", "stood still")->share > 0.49 &&
		    cause(&e, "gap", "stood still")->share < 0.51);
	assert_true(cause(&e, "gap", "unaccounted")->share > 0.49);
	assert_true(shares(&e) > 0.999999 && shares(&e) < 1.000001);
	free_explain(&e);
}

static void the_gap_without_a_cause_is_that_of_the_samples_less_its_time(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		happens(20000000 + 100000 * i + 500, KBP_TRACE_SWITCH, false, OTHER, "cc1");
		happens(20000000 + 100000 * i + 30500, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	}
	round_end(NULL, 0);
	quiet_samples(1000, 980);
	for (unsigned i = 0; i < 20; i++)
		sample(20000000 + 100000 * i, 20000000 + 100000 * i,
		       20000000 + 100000 * i + 31000 + i);
	assert_int_equal(kbp_tail_finish(tail, 0, &e), 0);
	/* of 1000 samples number 990 is the 10th of the twenty: P99 - P50 is 31009 - 1000, and 1009 - 1000 without */
	assert_int_equal(e.threshold_ns, 31009);
	assert_true(cause(&e, "switch", "cc1")->gap_ns >= 8 &&
		    cause(&e, "switch", "cc1")->gap_ns <= 11);
	free_explain(&e);
}

static void warm_up_does_not_count(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	round_end(NULL, 0);
	sample(0, 0, 900000);
	quiet_samples(1000000, 100);
	kbp_tail_warmup(tail, 1);
	assert_int_equal(kbp_tail_finish(tail, 5000, &e), 0);
	assert_int_equal(e.tail, 0);
	assert_int_equal(e.n_outliers, 0);
	free_explain(&e);
}

static void a_call_that_sleeps_is_the_call_and_not_who_runs_meanwhile(void **state)
{
	struct kbp_result_explain e = { 0 };

	(void)state;
	happens(2000100, KBP_TRACE_SYSCALL, false, SYS_nanosleep, "");
	happens(2000200, KBP_TRACE_SWITCH, true, 0, "swapper/1");
	happens(2020200, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	happens(2020300, KBP_TRACE_SYSCALL, true, 0, "");
	/* sent away against its will */
	happens(3000100, KBP_TRACE_SYSCALL, false, SYS_getpid, "");
	happens(3000200, KBP_TRACE_SWITCH, false, OTHER, "cc1");
	happens(3020200, KBP_TRACE_SWITCH, true, HOT, "kbypass");
	happens(3020300, KBP_TRACE_SYSCALL, true, 0, "");
	round_end(NULL, 0);
	quiet_samples(1000, 100);
	sample(2000000, 2000000, 2021000);
	sample(3000000, 3000000, 3021000);
	assert_int_equal(kbp_tail_finish(tail, 5000, &e), 0);
	assert_null(cause(&e, "switch", "swapper"));
	assert_int_equal(cause(&e, "syscall", "nanosleep")->samples, 1);
	assert_int_equal(cause(&e, "switch", "cc1")->samples, 1);
	free_explain(&e);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_inside_owns_the_time_and_nothing_counts_twice),
		T(another_thread_has_the_cpu_until_the_hot_one_is_back),
		T(a_lost_end_does_not_own_the_rest_of_the_round),
		T(a_fault_without_an_end_is_not_listed),
		T(a_stall_is_what_nobody_else_has),
		T(the_tail_is_explained_by_what_ran_in_it),
		T(what_every_sample_has_explains_nothing),
		T(a_late_sender_is_not_the_receivers_fault),
		T(what_nobody_is_known_to_have_caused_is_said_so),
		T(the_gap_without_a_cause_is_that_of_the_samples_less_its_time),
		T(warm_up_does_not_count),
		T(a_call_that_sleeps_is_the_call_and_not_who_runs_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
