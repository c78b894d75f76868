/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_trace.c - the tracing programs: loaded, switched on for a round, and read after it.
 *
 * Nothing is read while a round runs: the reader would disturb it. The ring holds what one round brings; what does not
 * fit is counted.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tools/measure/explain.h"
#include "tools/traffic/pairs.h"

/* generated */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "explain.skel.h"
#pragma GCC diagnostic pop

#define EVENTS_FIRST (1u << 16)

static const unsigned faults[] = { PERF_COUNT_SW_PAGE_FAULTS_MIN, PERF_COUNT_SW_PAGE_FAULTS_MAJ };

struct kbp_trace {
	struct explain *skel;
	struct ring_buffer *ring;
	struct kbp_pairs pairs;
	struct kbp_trace_event *event;
	uint32_t n, room;
	struct bpf_link *fault[KBP_ARRAY_SIZE(faults)];
	uint64_t unread; /* there was no memory for them */
};

/* Programs whose tracepoint may not be there. */
static const char *const hooks[] = {
	"irq_handler_entry",
	"irq_handler_exit",
	"softirq_entry",
	"softirq_exit",
	"sched_switch",
	"local_timer_entry",
	"local_timer_exit",
	"reschedule_entry",
	"reschedule_exit",
	"call_function_entry",
	"call_function_exit",
	"call_function_single_entry",
	"call_function_single_exit",
	"irq_work_entry",
	"irq_work_exit",
	"page_fault_user",
	"page_fault_kernel",
	"sys_enter",
	"sys_exit",
};

static int says_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* Leaves out what this kernel has no hook for, and names it. */
static void programs_choose(struct explain *skel, char missing[160])
{
	size_t at = 0;

	missing[0] = '\0';
	for (size_t i = 0; i < KBP_ARRAY_SIZE(hooks); i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(skel->obj, hooks[i]);

		if (libbpf_find_vmlinux_btf_id(hooks[i], BPF_TRACE_RAW_TP) > 0)
			continue;
		bpf_program__set_autoload(p, false);
		if (at < 160)
			at += (size_t)snprintf(missing + at, 160 - at, "%s%s", at ? ", " : "",
					       hooks[i]);
	}
}

static int load_failed(int rc, struct kbp_error *err)
{
	const char *hint =
		rc == -EPERM || rc == -EACCES ?
			"it takes CAP_BPF and CAP_PERFMON (or root), and a kernel that is not locked down" :
		rc == -ESRCH || rc == -ENOENT || rc == -ENOTSUP ?
			"this kernel has no BTF (/sys/kernel/btf/vmlinux), or no tracing by BPF" :
			strerror(-rc);

	return kbp_failf(err, rc, hint, "trace the receiver's CPU");
}

static int event_take(void *arg, void *data, size_t size)
{
	struct kbp_trace *t = arg;

	if (size < sizeof(*t->event))
		return 0;
	if (t->n == t->room) {
		uint32_t room = t->room ? 2 * t->room : EVENTS_FIRST;
		struct kbp_trace_event *e = realloc(t->event, room * sizeof(*e));

		if (!e) {
			t->unread++;
			return 0;
		}
		t->event = e;
		t->room = room;
	}
	memcpy(&t->event[t->n++], data, sizeof(*t->event));
	return 0;
}

/* Where the kernel counts a fault. Without it a fault has a beginning and no end, and is not listed. */
static void fault_attach(struct kbp_trace *t, int cpu)
{
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(faults); i++) {
		struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
					     .size = sizeof(a),
					     .config = faults[i],
					     .sample_period = 1 };
		int fd = (int)syscall(SYS_perf_event_open, &a, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd >= 0)
			t->fault[i] =
				bpf_program__attach_perf_event(t->skel->progs.fault_counted, fd);
		if (fd >= 0 && !t->fault[i])
			close(fd);
	}
}

static int open_all(struct kbp_trace *t, int cpu, const struct kbp_tsc *tsc, char missing[160],
		    struct kbp_error *err)
{
	int rc;

	t->skel = explain__open();
	if (!t->skel)
		return load_failed(-errno, err);
	programs_choose(t->skel, missing);
	rc = explain__load(t->skel);
	if (rc)
		return load_failed(rc, err);
	t->skel->bss->cpu = cpu;
	rc = explain__attach(t->skel);
	if (rc)
		return load_failed(rc, err);
	fault_attach(t, cpu);
	t->ring = ring_buffer__new(bpf_map__fd(t->skel->maps.events), event_take, t, NULL);
	if (!t->ring)
		return load_failed(-errno, err);
	return kbp_pairs_open(&t->pairs, KBP_TS_KERNEL, KBP_EPOCH_MONOTONIC, -1, tsc, err);
}

int kbp_trace_open(int cpu, const struct kbp_tsc *tsc, struct kbp_trace **out, char missing[160],
		   struct kbp_error *err)
{
	struct kbp_trace *t = calloc(1, sizeof(*t));
	libbpf_print_fn_t before;
	int rc;

	*out = NULL;
	if (!t)
		return kbp_fail(err, -ENOMEM, "trace the receiver's CPU", "memory is out");
	t->pairs.fd = -1;
	before = libbpf_set_print(says_nothing);
	rc = open_all(t, cpu, tsc, missing, err);
	libbpf_set_print(before);
	if (rc) {
		kbp_trace_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

void kbp_trace_start(struct kbp_trace *t, pid_t hot_tid, const int calls[4])
{
	t->n = 0;
	t->unread = 0;
	t->skel->bss->lost = t->skel->bss->written = 0;
	t->skel->bss->hot_tid = hot_tid;
	for (int i = 0; i < 4; i++)
		t->skel->bss->own_calls[i] = calls[i];
	t->pairs.n = 0;
	t->pairs.stepped = false;
	kbp_pairs_take(&t->pairs);
	__atomic_store_n(&t->skel->bss->on, 1, __ATOMIC_RELEASE);
}

void kbp_trace_tend(struct kbp_trace *t)
{
	kbp_pairs_take(&t->pairs);
}

void kbp_trace_stop(struct kbp_trace *t)
{
	__atomic_store_n(&t->skel->bss->on, 0, __ATOMIC_RELEASE);
	kbp_pairs_take(&t->pairs);
}

/* Two readings of the clock may change places when one program interrupts another. */
static int by_time(const void *a, const void *b)
{
	const struct kbp_trace_event *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

static bool in_order(const struct kbp_trace *t)
{
	for (uint32_t i = 1; i < t->n; i++)
		if (t->event[i].ns < t->event[i - 1].ns)
			return false;
	return true;
}

const struct kbp_trace_event *kbp_trace_events(struct kbp_trace *t, uint32_t *n, uint64_t *lost)
{
	ring_buffer__consume(t->ring);
	if (!in_order(t))
		qsort(t->event, t->n, sizeof(*t->event), by_time);
	*n = t->n;
	*lost = t->skel->bss->lost + t->unread;
	return t->event;
}

bool kbp_trace_ticks(const struct kbp_trace *t, uint64_t ns, uint64_t *ticks)
{
	uint64_t error_ns;

	return kbp_pairs_ticks(&t->pairs, ns, ticks, &error_ns);
}

void kbp_trace_close(struct kbp_trace *t)
{
	if (!t)
		return;
	kbp_pairs_close(&t->pairs);
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(faults); i++)
		bpf_link__destroy(t->fault[i]);
	ring_buffer__free(t->ring);
	explain__destroy(t->skel);
	free(t->event);
	free(t);
}
