/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * explain.bpf.c - what runs on one CPU: interrupts, softirqs, context switches; and page faults and system calls of the
 * hot thread. Everything else is left at the first comparison, so that what is not looked at costs next to nothing.
 *
 * Nobody is woken when an event is written: the ring is read when the round is over.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../explain_event.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* As much of the kernel's own as is read here; offsets are found out when the programs are loaded. */
struct task_struct {
	int pid;
	char comm[16];
} __attribute__((preserve_access_index));

struct irqaction {
	const char *name;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24); /* set when it is opened */
} events SEC(".maps");

/* Set by the reader. `on` last, and cleared first. */
volatile int on, cpu, hot_tid, own_calls[4];
/* Counted here, on one CPU. */
volatile unsigned long long written, lost;
/* The hot thread is in a system call that is looked at. */
volatile int in_call;

static __always_inline bool here(void)
{
	return on && (int)bpf_get_smp_processor_id() == cpu;
}

static __always_inline bool hot(void)
{
	return here() && (int)bpf_get_current_pid_tgid() == hot_tid;
}

static __always_inline struct kbp_trace_event *event(unsigned char kind, unsigned char end, int id)
{
	struct kbp_trace_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lost++;
		return 0;
	}
	written++;
	e->ns = bpf_ktime_get_ns();
	e->kind = kind;
	e->end = end;
	e->pad = 0;
	e->id = id;
	e->name[0] = 0;
	return e;
}

static __always_inline int simple(unsigned char kind, unsigned char end, int id)
{
	struct kbp_trace_event *e = event(kind, end, id);

	if (e)
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(irq_handler_entry, int irq, struct irqaction *action)
{
	struct kbp_trace_event *e;

	if (!here())
		return 0;
	e = event(KBP_TRACE_IRQ, 0, irq);
	if (!e)
		return 0;
	bpf_probe_read_kernel_str(e->name, sizeof(e->name), BPF_CORE_READ(action, name));
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(irq_handler_exit, int irq)
{
	return here() ? simple(KBP_TRACE_IRQ, 1, irq) : 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vec)
{
	return here() ? simple(KBP_TRACE_SOFTIRQ, 0, (int)vec) : 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vec)
{
	return here() ? simple(KBP_TRACE_SOFTIRQ, 1, (int)vec) : 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct kbp_trace_event *e;

	if (!here())
		return 0;
	e = event(KBP_TRACE_SWITCH, !preempt, BPF_CORE_READ(next, pid));
	if (!e)
		return 0;
	bpf_probe_read_kernel_str(e->name, sizeof(e->name), next->comm);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

#define VECTOR(name, id)                                                     \
	SEC("tp_btf/" #name "_entry") int BPF_PROG(name##_entry, int vector) \
	{                                                                    \
		return here() ? simple(KBP_TRACE_VECTOR, 0, id) : 0;         \
	}                                                                    \
	SEC("tp_btf/" #name "_exit") int BPF_PROG(name##_exit, int vector)   \
	{                                                                    \
		return here() ? simple(KBP_TRACE_VECTOR, 1, id) : 0;         \
	}

VECTOR(local_timer, KBP_VECTOR_TIMER)
VECTOR(reschedule, KBP_VECTOR_RESCHEDULE)
VECTOR(call_function, KBP_VECTOR_CALL)
VECTOR(call_function_single, KBP_VECTOR_CALL_SINGLE)
VECTOR(irq_work, KBP_VECTOR_IRQ_WORK)

/* A fault begins at the tracepoint, and is over when the kernel counts it as minor or major: there is no tracepoint
 * there, and functions cannot be hooked on every kernel. */
SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault_user)
{
	return hot() ? simple(KBP_TRACE_FAULT, 0, 0) : 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(page_fault_kernel)
{
	return hot() ? simple(KBP_TRACE_FAULT, 0, 0) : 0;
}

SEC("perf_event")
int fault_counted(void *ctx)
{
	return hot() ? simple(KBP_TRACE_FAULT, 1, 0) : 0;
}

/* The backend's own way of receiving is the path and no cause. */
static __always_inline bool own(long id)
{
	return id == own_calls[0] || id == own_calls[1] || id == own_calls[2] || id == own_calls[3];
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, void *regs, long id)
{
	if (!hot() || own(id))
		return 0;
	in_call = 1;
	return simple(KBP_TRACE_SYSCALL, 0, (int)id);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, void *regs, long ret)
{
	if (!hot() || !in_call)
		return 0;
	in_call = 0;
	return simple(KBP_TRACE_SYSCALL, 1, 0);
}
