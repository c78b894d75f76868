/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shape.h - what every proof of shape runs: one program written against <kbypass/hot.h>,
 * instantiated over a half written against a real vendor API. A half that cannot carry the program
 * does not compile.
 */
#ifndef KBP_TEST_SHAPE_H
#define KBP_TEST_SHAPE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/hot.h>
#include <kbypass/hot/udp.h>

#define SHAPE_KEPT 64u

/* The inline half of a backend, as <kbypass/hot.h> calls it. */
typedef unsigned (*shape_rx_each_fn)(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg);
typedef unsigned (*shape_tx_each_fn)(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg);
typedef struct kbp_stamp (*shape_ts_fn)(struct kbp_rx rx, const struct kbp_frame *f);

/* What the program saw; payload word 0 of every frame is its number. */
struct shape_app {
	struct kbp_txflow *t;
	shape_ts_fn stamp;
	struct kbp_frame kept[SHAPE_KEPT];
	unsigned n_kept;
	uint32_t next;	    /* number expected in the next frame */
	unsigned misplaced; /* frames whose number was another */
	uint64_t frames, parts, replies, stamps;
};

#define SHAPE_CHECK(cond)                                                          \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                   \
		}                                                                  \
	} while (0)

/* Any-order return from inside the handler: the oldest, then the youngest. */
KBP_INLINE void shape_return_some(struct kbp_rx rx, struct shape_app *a)
{
	rx.q->rx_release(rx.q, &a->kept[0], 1);
	a->kept[0] = a->kept[--a->n_kept];
	if (a->n_kept)
		rx.q->rx_release(rx.q, &a->kept[--a->n_kept], 1);
}

/* Verdicts by number: every 3rd is kept, every 7th stops, every 5th is answered from inside. */
KBP_INLINE unsigned shape_on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct shape_app *a = (struct shape_app *)arg;
	unsigned verdict = KBP_DONE;
	struct kbp_frame reply;
	uint32_t number;

	a->parts++;
	if (f.flags & KBP_FRAME_MORE)
		return KBP_DONE | KBP_STOP; /* STOP inside a chain must be ignored */
	memcpy(&number, f.data, sizeof(number));
	a->misplaced += number != a->next;
	a->next = number + 1;
	a->frames++;
	a->stamps += (a->stamp(rx, &f).flags & KBP_FRAME_TS) != 0;
	if (number % 5 == 0 && a->t && rx.q->tx_reserve(a->t, &reply, 1) == 1) {
		memcpy(reply.data, &number, sizeof(number));
		reply.len = sizeof(number);
		a->replies += rx.q->tx_submit(rx.q, &reply, 1);
	}
	if (a->n_kept == SHAPE_KEPT)
		shape_return_some(rx, a);
	if (number % 3 == 0) {
		a->kept[a->n_kept++] = f;
		verdict |= KBP_KEEP;
	}
	if (number % 7 == 0)
		verdict |= KBP_STOP;
	return verdict;
}

/* Fills until `next` reaches a multiple of 16, then ends early. */
KBP_INLINE uint32_t shape_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct shape_app *a = (struct shape_app *)arg;

	(void)tx;
	if (a->next % 16 == 15) {
		a->next++;
		return KBP_TX_END;
	}
	memcpy(f.data, &a->next, sizeof(a->next));
	a->next++;
	return sizeof(a->next);
}

/* The array form doing what the inline form does: peek, put the tail back, release the rest in
 * reverse. */
static inline unsigned shape_array_burst(struct kbp_queue *q, struct shape_app *a)
{
	struct kbp_frame f[8];
	unsigned n = kbp_rx_peek(q, f, 8),
		 give_back = n > 5 && !(f[4].flags & KBP_FRAME_MORE) ? n - 5 : 0;
	uint32_t number;

	if (give_back)
		q->rx_putback(q, f + n - give_back, give_back);
	n -= give_back;
	for (unsigned i = 0; i < n; i++) {
		a->parts++;
		if (f[i].flags & KBP_FRAME_MORE)
			continue;
		memcpy(&number, f[i].data, sizeof(number));
		a->misplaced += number != a->next;
		a->next = number + 1;
		a->frames++;
	}
	for (unsigned i = n; i-- > 0;)
		kbp_rx_release(q, &f[i], 1);
	return n;
}

#endif
