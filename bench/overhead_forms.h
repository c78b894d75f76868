/* SPDX-License-Identifier: BSD-2-Clause */
/* overhead_forms.h - what the forms over different backends (overhead.c, overhead_efvi.c, overhead_dpdk.c) share:
 * the work of their handlers, and how they are listed. */
#ifndef KBP_BENCH_OVERHEAD_FORMS_H
#define KBP_BENCH_OVERHEAD_FORMS_H

#include <stdbool.h>
#include <string.h>

#include <kbypass/hot.h>

#include "look.h"
#include "overhead.h"

#define BURST_MAX 32u

/* ---------------------------------------------------------------- the work of the handlers */

KBP_INLINE uint32_t write_payload(struct seen *s, uint8_t *payload)
{
	memcpy(payload, &s->words, sizeof(s->words));
	s->words++;
	s->bytes += s->payload;
	return s->payload;
}

KBP_INLINE uint32_t raw_write(uint8_t *payload, void *arg)
{
	return write_payload((struct seen *)arg, payload);
}

KBP_INLINE uint32_t each_write(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	return write_payload((struct seen *)arg, (uint8_t *)f.data);
}

KBP_INLINE void array_receive(struct kbp_queue *q, unsigned burst, struct seen *s)
{
	struct kbp_frame f[BURST_MAX];
	unsigned n = kbp_rx_peek(q, f, burst);

	for (unsigned i = 0; i < n; i++)
		look(s, (const uint8_t *)f[i].data, f[i].len);
	kbp_rx_release(q, f, n);
}

KBP_INLINE void array_send(struct kbp_txflow *t, struct kbp_queue *q, unsigned burst, struct seen *s)
{
	struct kbp_frame f[BURST_MAX];
	unsigned n = kbp_tx_reserve(t, f, burst);

	for (unsigned i = 0; i < n; i++)
		f[i].len = write_payload(s, (uint8_t *)f[i].data);
	kbp_tx_submit(q, f, n);
}

/* ---------------------------------------------------------------- forms, and who has some */

/* Over a `struct bench` of the including file. The burst is a literal in each loop; what `make` gives is made
 * outside of it, as a program does. */
#define FORM_OF(name, once, make, burst)                                                       \
	static __attribute__((noinline)) void name##_##burst(struct bench *b, unsigned bursts) \
	{                                                                                      \
		__typeof__(make) h = make;                                                     \
                                                                                               \
		for (unsigned i = 0; i < bursts; i++)                                          \
			once(b, h, burst);                                                     \
	}

#define FORM_BY_BURST(name, once, make)                                \
	FORM_OF(name, once, make, 1)                                   \
	FORM_OF(name, once, make, 8)                                   \
	FORM_OF(name, once, make, 32)                                  \
	static void name(void *bench, unsigned burst, unsigned bursts) \
	{                                                              \
		if (burst == 1)                                        \
			name##_1(bench, bursts);                       \
		else if (burst == 8)                                   \
			name##_8(bench, bursts);                       \
		else                                                   \
			name##_32(bench, bursts);                      \
	}

struct form {
	const char *name; /* "backend/direction/form" */
	void (*run)(void *bench, unsigned burst, unsigned bursts);
	bool idle; /* no frames pass through the handler */
};

/* The forms of one translation unit; they work on a bench of its own. */
struct forms {
	const struct form *form;
	unsigned n;
	void *bench;
	struct seen *seen;
	void (*reset)(void *bench, const struct form *form);
	/* After a run: what is where it should not be, or NULL. May be missing. */
	const char *(*wrong)(void *bench, unsigned frames);
};

struct forms efvi_forms(void);
/* Starts DPDK; without forms: it did not start. */
struct forms dpdk_forms(void);

/* A destination of UDP over IPv4. */
void flow_fill(struct kbp_txflow *t, struct kbp_queue *q);

#endif
