/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tracing programs note, on causes that are really produced: needs root, and no network at all. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/measure/explain.h"

#define PAGES 200u
#define CALLS 200u
#define SLEEPS 20u
#define SPIN_MS 50

static const int no_calls[4] = { -1, -1, -1, -1 };
static struct kbp_tsc tsc;
static int cpu;
static volatile int *go; /* shared: 1: begin; 2: done */

static void spin_ms(unsigned ms)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&tsc, ms * 1000000u);

	while (kbp_tsc_now() < until)
		;
}

static void hot_faults(void)
{
	char *p =
		mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < PAGES; i++)
		((volatile char *)p)[i * 4096] = 1;
}

static void hot_calls(void)
{
	for (unsigned i = 0; i < CALLS; i++)
		syscall(SYS_getpid);
}

static void hot_sleeps(void)
{
	struct timespec ms = { .tv_nsec = 200000 };

	for (unsigned i = 0; i < SLEEPS; i++)
		syscall(SYS_nanosleep, &ms, NULL);
}

static void hot_spin(void)
{
	spin_ms(SPIN_MS);
}

/* A thread on the CPU that is looked at, which does `what` when told to. */
static pid_t hot_start(void (*what)(void))
{
	pid_t pid = fork();
	cpu_set_t set;

	if (pid)
		return pid;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (*go != 1)
		;
	what();
	spin_ms(2); /* whatever ends the last one is noted too */
	*go = 2;
	for (;;)
		pause();
}

/* How many begin: events of that kind and id; -1: any. */
static unsigned begun(const struct kbp_trace_event *e, uint32_t n, enum kbp_trace_kind kind, int id)
{
	unsigned k = 0;

	for (uint32_t i = 0; i < n; i++)
		k += e[i].kind == (unsigned char)kind && !e[i].end && (id < 0 || e[i].id == id);
	return k;
}

/* Traces `what`; the events belong to the trace. */
static struct kbp_trace *traced(void (*what)(void), const int calls[4],
				const struct kbp_trace_event **events, uint32_t *n, pid_t *pid)
{
	struct kbp_trace *t;
	struct kbp_error err;
	char missing[160];
	uint64_t lost;

	if (kbp_trace_open(cpu, &tsc, &t, missing, &err))
		fail_msg("%s: %s", err.step, err.hint);
	if (missing[0])
		print_message("this kernel has not: %s\n", missing);
	*go = 0;
	*pid = hot_start(what);
	usleep(20000);
	kbp_trace_start(t, *pid, calls);
	*go = 1;
	while (*go != 2)
		usleep(1000);
	kbp_trace_stop(t);
	*events = kbp_trace_events(t, n, &lost);
	assert_int_equal(lost, 0);
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	return t;
}

static void page_faults_of_the_hot_thread_have_a_beginning_and_an_end(void **state)
{
	const struct kbp_trace_event *e;
	unsigned ends = 0;
	uint32_t n;
	pid_t pid;
	struct kbp_trace *t = traced(hot_faults, no_calls, &e, &n, &pid);

	(void)state;
	assert_true(begun(e, n, KBP_TRACE_FAULT, -1) >= PAGES);
	for (uint32_t i = 0; i < n; i++)
		ends += e[i].kind == KBP_TRACE_FAULT && e[i].end;
	assert_true(ends >= PAGES);
	kbp_trace_close(t);
}

static void system_calls_are_noted_but_for_the_backends_own(void **state)
{
	const int own[4] = { SYS_getpid, -1, -1, -1 };
	const struct kbp_trace_event *e;
	struct kbp_trace *t;
	uint32_t n;
	pid_t pid;

	(void)state;
	t = traced(hot_calls, no_calls, &e, &n, &pid);
	assert_true(begun(e, n, KBP_TRACE_SYSCALL, SYS_getpid) >= CALLS);
	kbp_trace_close(t);
	t = traced(hot_calls, own, &e, &n, &pid);
	assert_int_equal(begun(e, n, KBP_TRACE_SYSCALL, SYS_getpid), 0);
	kbp_trace_close(t);
}

static void a_thread_that_sleeps_is_switched_away_from_by_itself(void **state)
{
	const struct kbp_trace_event *e;
	unsigned away = 0, back = 0;
	uint32_t n;
	pid_t pid;
	struct kbp_trace *t = traced(hot_sleeps, no_calls, &e, &n, &pid);

	(void)state;
	assert_true(begun(e, n, KBP_TRACE_SYSCALL, SYS_nanosleep) >= SLEEPS);
	for (uint32_t i = 0; i < n; i++) {
		back += e[i].kind == KBP_TRACE_SWITCH && e[i].id == pid;
		away += e[i].kind == KBP_TRACE_SWITCH && e[i].id != pid && e[i].end;
	}
	/* one that is over before the thread is away needs no switch */
	assert_true(away >= SLEEPS / 2 && back >= SLEEPS / 2);
	kbp_trace_close(t);
}

static void times_lie_within_the_round_by_the_cpus_counter(void **state)
{
	const struct kbp_trace_event *e;
	uint64_t before = kbp_tsc_now(), after, at, last = 0;
	uint32_t n;
	pid_t pid;
	struct kbp_trace *t = traced(hot_spin, no_calls, &e, &n, &pid);

	(void)state;
	after = kbp_tsc_now();
	assert_true(begun(e, n, KBP_TRACE_VECTOR, KBP_VECTOR_TIMER) >=
		    1); /* a spinning thread has a tick */
	for (uint32_t i = 0; i < n; i++) {
		assert_true(kbp_trace_ticks(t, e[i].ns, &at));
		assert_true(before <= at && at <= after && at >= last);
		last = at;
	}
	kbp_trace_close(t);
}

static void nothing_is_noted_when_nobody_asks(void **state)
{
	const struct kbp_trace_event *e;
	struct kbp_trace *t;
	struct kbp_error err;
	char missing[160];
	uint64_t lost;
	uint32_t n;

	(void)state;
	assert_int_equal(kbp_trace_open(cpu, &tsc, &t, missing, &err), 0);
	usleep(50000);
	e = kbp_trace_events(t, &n, &lost);
	(void)e;
	assert_int_equal(n, 0);
	kbp_trace_close(t);
}

static void a_fault_of_the_hot_thread_explains_its_sample(void **state)
{
	const struct kbp_trace_event *e;
	struct kbp_tail *tail;
	struct kbp_result_explain x = { 0 };
	uint64_t *ticks, first = 0, last = 0;
	uint32_t n, spans;
	pid_t pid;
	struct kbp_trace *t = traced(hot_faults, no_calls, &e, &n, &pid);

	(void)state;
	ticks = malloc((n + 1) * sizeof(*ticks));
	for (uint32_t i = 0; i < n; i++) {
		assert_true(kbp_trace_ticks(t, e[i].ns, &ticks[i]));
		if (e[i].kind == KBP_TRACE_FAULT) {
			first = first ? first : ticks[i];
			last = ticks[i];
		}
	}
	assert_int_equal(kbp_tail_open(&tsc, &tail), 0);
	assert_int_equal(kbp_tail_round(tail, e, ticks, n, pid, NULL, 0), 0);
	kbp_tail_spans(tail, &spans);
	assert_true(spans >= PAGES);
	/* frames before all that, and one that waited through it */
	for (uint64_t i = 1; i <= 50; i++) {
		uint64_t due = first - kbp_tsc_ticks(&tsc, 1000000u + i * 10000u);
		struct kbp_way w = { .due = due, .sent = due, .got = due + kbp_tsc_ticks(&tsc, 1000) };

		kbp_tail_sample(tail, &w, 1000);
	}
	kbp_tail_sample(tail, &(struct kbp_way){ .due = first, .sent = first, .got = last },
			(uint32_t)kbp_tsc_ns(&tsc, last - first));
	assert_int_equal(kbp_tail_finish(tail, 2000, &x), 0);
	assert_int_equal(x.tail, 1);
	for (uint32_t i = 0; i < x.n_causes; i++)
		print_message("%5.1f %% %s %s\n", 100 * x.cause[i].share, x.cause[i].kind,
			      x.cause[i].name);
	/* the rest is the handler's own: touching the pages */
	assert_true(!strcmp(x.cause[0].kind, "fault") || !strcmp(x.cause[1].kind, "fault"));
	free(x.cause);
	free(x.outlier);
	free(ticks);
	kbp_tail_close(tail);
	kbp_trace_close(t);
}

static int setup(void **state)
{
	cpu_set_t set;

	(void)state;
	sched_getaffinity(0, sizeof(set), &set);
	for (int c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET((size_t)c, &set))
			cpu = c;
	go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return go == MAP_FAILED || kbp_tsc_calibrate(&tsc, 100, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_faults_of_the_hot_thread_have_a_beginning_and_an_end),
		cmocka_unit_test(system_calls_are_noted_but_for_the_backends_own),
		cmocka_unit_test(a_thread_that_sleeps_is_switched_away_from_by_itself),
		cmocka_unit_test(times_lie_within_the_round_by_the_cpus_counter),
		cmocka_unit_test(nothing_is_noted_when_nobody_asks),
		cmocka_unit_test(a_fault_of_the_hot_thread_explains_its_sample),
	};

	if (geteuid()) {
		puts("needs root: it traces a CPU by BPF");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}
