/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_event.h - what the tracing programs write and the reader reads. Compiled for BPF too. */
#ifndef KBP_TOOLS_MEASURE_EXPLAIN_EVENT_H
#define KBP_TOOLS_MEASURE_EXPLAIN_EVENT_H

enum kbp_trace_kind {
	KBP_TRACE_IRQ = 0, /* id: the interrupt; name: its handler's */
	KBP_TRACE_VECTOR,  /* id: enum kbp_trace_vector */
	KBP_TRACE_SOFTIRQ, /* id: its vector */
	KBP_TRACE_SWITCH,  /* id: the thread that runs from here on; name: its own */
	KBP_TRACE_FAULT,   /* of the hot thread */
	KBP_TRACE_SYSCALL, /* id: its number; of the hot thread */
	KBP_TRACE_KINDS
};

enum kbp_trace_vector {
	KBP_VECTOR_TIMER = 0,
	KBP_VECTOR_RESCHEDULE,
	KBP_VECTOR_CALL,
	KBP_VECTOR_CALL_SINGLE,
	KBP_VECTOR_IRQ_WORK,
	KBP_VECTORS
};

struct kbp_trace_event {
	unsigned long long ns; /* CLOCK_MONOTONIC */
	unsigned char kind;    /* enum kbp_trace_kind */
	unsigned char end; /* 0: it begins here; 1: it ends here. Of a switch: 1: the thread before went by itself */
	unsigned short pad;
	int id;
	char name[16];
};

#endif
