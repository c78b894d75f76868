/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * book.c - who owns a buffer: at any time the device, the queue or the caller, and never two of them.
 *
 * The array form is watched through the queue's own function pointers, the inline form through the handler.
 * What the device has is watched by the software NIC's checker, where that is the device.
 */
#include "contract.h"

#define ENTRIES (1u << 17)

enum state { NOBODY = 0, HELD, RESERVED, FLYING };

struct entry {
	const struct kbp_queue *q;
	uint64_t token;
	bool tx;
	enum state state;
};

static struct entry book[ENTRIES];
static struct kbp_queue real; /* the pointers of the last queue that was opened; all of a backend are alike */

static struct entry *entry_of(const struct kbp_queue *q, uint64_t token, bool tx)
{
	uint32_t at = (uint32_t)((token * 2654435761u + tx + (uintptr_t)q / 64) % ENTRIES);

	while (book[at].q && (book[at].q != q || book[at].token != token || book[at].tx != tx))
		at = (at + 1) % ENTRIES;
	book[at] = (struct entry){ q, token, tx, book[at].q ? book[at].state : NOBODY };
	return &book[at];
}

static void move(const struct kbp_queue *q, const struct kbp_frame *f, enum state from,
		 enum state to, const char *what)
{
	static const char *const names[] = { "nobody", "the receiver", "the sender", "the device" };
	struct entry *e = entry_of(q, f->token, f->flags & KBP_FRAME_TX);

	if (e->state != from)
		fail_msg("%s: buffer %llx is with %s, not with %s", what,
			 (unsigned long long)f->token, names[e->state], names[from]);
	e->state = to;
}

static unsigned rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	unsigned n = real.rx_peek(q, f, max);

	for (unsigned i = 0; i < n; i++)
		move(q, &f[i], NOBODY, HELD, "peek");
	return n;
}

static void rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct kbp_frame rx = f[i];

		rx.flags &= (uint16_t)~KBP_FRAME_TX;
		move(q, &rx, HELD, NOBODY, "release");
	}
	real.rx_release(q, f, n);
}

static void rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		move(q, &f[i], HELD, NOBODY, "put back");
	real.rx_putback(q, f, n);
}

static unsigned tx_reserve(struct kbp_txflow *tx, struct kbp_frame *f, unsigned n)
{
	n = real.tx_reserve(tx, f, n);
	for (unsigned i = 0; i < n; i++)
		move(tx->q, &f[i], NOBODY, RESERVED, "reserve");
	return n;
}

static unsigned tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	enum state to = q->flags & KBP_QUEUE_COMPLETIONS ? FLYING : NOBODY;

	n = real.tx_submit(q, f, n);
	for (unsigned i = 0; i < n; i++)
		move(q, &f[i], f[i].flags & KBP_FRAME_TX ? RESERVED : HELD, to, "submit");
	return n;
}

static void tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		move(q, &f[i], f[i].flags & KBP_FRAME_TX ? RESERVED : HELD, NOBODY, "cancel");
	real.tx_cancel(q, f, n);
}

static unsigned tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	unsigned n = real.tx_reap(q, c, max);

	for (unsigned i = 0; i < n; i++) {
		struct entry *rx = entry_of(q, c[i].token, false),
			     *tx = entry_of(q, c[i].token, true);
		struct entry *e = tx->state == FLYING ? tx : rx;

		/* templates are in no book */
		if (e->state != FLYING)
			continue;
		e->state = NOBODY;
	}
	return n;
}

void book_open(struct kbp_queue *q)
{
	real = *q;
	q->rx_peek = rx_peek;
	q->rx_release = rx_release;
	q->rx_putback = rx_putback;
	q->tx_reserve = tx_reserve;
	q->tx_submit = tx_submit;
	q->tx_cancel = tx_cancel;
	q->tx_reap = tx_reap;
}

void book_forget(void)
{
	memset(book, 0, sizeof(book));
}

/* ---------------------------------------------------------------- the inline form */

struct watched {
	kbp_handler fn;
	void *arg;
};

static unsigned on_watched(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct watched *w = arg;
	struct entry *e = entry_of(rx.q, f.token, false);
	unsigned verdict;

	if (e->state != NOBODY)
		fail_msg("a handler gets buffer %llx, which somebody has",
			 (unsigned long long)f.token);
	e->state = HELD;
	verdict = w->fn(rx, f, w->arg);
	if (!(verdict & KBP_KEEP)) {
		if (e->state != HELD)
			fail_msg("a handler is done with buffer %llx, and gave it away before",
				 (unsigned long long)f.token);
		e->state = NOBODY;
	}
	return verdict;
}

unsigned book_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct watched w = { fn, arg };

	return kbp_rx_each(rx, max, on_watched, &w);
}

void book_return(struct kbp_rx rx, uint64_t token)
{
	struct kbp_frame f = { .token = token };

	/* halves that are not compiled in go through rx_release, which keeps the book itself */
	if (rx.kind == KBP_AF_XDP || rx.kind == KBP_EF_VI_SIM || rx.kind == KBP_DPDK)
		move(rx.q, &f, HELD, NOBODY, "return");
	kbp_rx_return(rx, token);
}
