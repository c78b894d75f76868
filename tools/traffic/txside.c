/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/internal.h"
#include "tools/traffic/txside.h"

#define REAP_BURST 32u
/* A socket keeps the stamps of some 250 datagrams that nobody collects (SO_RCVBUF), then they are lost. */
#define REAP_AT 64u

/* ---------------------------------------------------------------- open, close */

static int raw_check(const struct kbp_txside *x, const struct kbp_schedule *s, const char *step,
		     struct kbp_error *err)
{
	const struct kbp_txflow *t = x->opts->txflow;

	if (t->hdr_len)
		return kbp_fail(err, -EINVAL, step,
				"it puts headers of its own in front: open it by kbp_txflow_open_raw");
	if (s->len_max > t->room)
		return kbp_fail(err, -EMSGSIZE, step,
				"the longest frame has %u bytes, and it takes %u: send smaller frames",
				s->len_max, t->room);
	return 0;
}

static int flows_check(const struct kbp_txside *x, const struct kbp_schedule *s, const char *step,
		       struct kbp_error *err)
{
	struct kbp_txflow *const *t = x->opts->txflows;

	for (uint32_t i = 0; i < s->n_flows; i++) {
		if (!t[i] || t[i]->q != x->q)
			return kbp_fail(err, -EINVAL, step,
					"flow %u has no txflow, or one of another queue: give one of "
					"the same queue for each flow of the schedule",
					i);
	}
	for (uint32_t i = 0; i < s->n_frames; i++) {
		const struct kbp_schedule_frame *f = &s->frames[i];

		if (f->payload_len > t[f->flow]->room)
			return kbp_fail(err, -EMSGSIZE, step,
					"the payload of frame %u has %u bytes, and its txflow takes %u: "
					"send smaller frames",
					i, f->payload_len, t[f->flow]->room);
	}
	return 0;
}

static int pending_alloc(struct kbp_txside *x, const char *step, struct kbp_error *err)
{
	struct kbp_queue_info info;
	uint32_t slots = 64;

	kbp_queue_info(x->q, &info);
	/* no more are out than there are buffers; socket and ef_vi have some beyond the ring */
	while (slots < 4 * info.tx_ring)
		slots *= 2;
	x->pending = calloc(slots, sizeof(*x->pending));
	if (!x->pending)
		return kbp_fail(err, -ENOMEM, step, "no memory");
	x->mask = slots - 1;
	x->reap_at = info.tx_ring / 2 < REAP_AT ? info.tx_ring / 2 : REAP_AT;
	x->completions = true;
	return 0;
}

int kbp_txside_open(struct kbp_txside *x, const struct kbp_schedule *s,
		    const struct kbp_sender_opts *opts, const char *step, struct kbp_error *err)
{
	int rc;

	x->s = s;
	x->opts = opts;
	x->n_record = opts->n_record && opts->n_record < s->n_total ? opts->n_record : s->n_total;
	if (!opts->txflow && !opts->txflows)
		return 0;
	if (opts->txflow && opts->txflows)
		return kbp_fail(err, -EINVAL, step,
				"a raw txflow and one for each flow are given: give one of them");
	if (!opts->txflow && (!s->n_flows || !opts->txflows[0]))
		return kbp_fail(
			err, -EINVAL, step,
			"there is no txflow for the first flow: give one for each flow of the schedule");
	x->q = opts->txflow ? opts->txflow->q : opts->txflows[0]->q;
	rc = opts->txflow ? raw_check(x, s, step, err) : flows_check(x, s, step, err);
	if (!rc && x->q->flags & KBP_QUEUE_COMPLETIONS)
		rc = pending_alloc(x, step, err);
	return rc;
}

void kbp_txside_close(struct kbp_txside *x)
{
	free(x->pending);
	x->pending = NULL;
}

/* ---------------------------------------------------------------- frames on their way */

static uint32_t home(const struct kbp_txside *x, uint64_t token)
{
	return (uint32_t)((token * 0x9e3779b97f4a7c15u) >> 32) & x->mask;
}

static void pending_add(struct kbp_txside *x, uint64_t token, uint64_t number)
{
	uint32_t i = home(x, token);

	while (x->pending[i].frame)
		i = (i + 1) & x->mask;
	x->pending[i] = (struct kbp_pending){ token, number + 1 };
	x->n_pending++;
}

/* The frame's number + 1, which is forgotten; 0: no frame of ours. What follows moves up, so that no search ends
 * early (Knuth, The Art of Computer Programming, 6.4 algorithm R). */
static uint64_t pending_take(struct kbp_txside *x, uint64_t token)
{
	uint32_t i = home(x, token), k;
	uint64_t frame;

	while (x->pending[i].frame && x->pending[i].token != token)
		i = (i + 1) & x->mask;
	frame = x->pending[i].frame;
	if (!frame)
		return 0;
	x->n_pending--;
	for (k = (i + 1) & x->mask; x->pending[k].frame; k = (k + 1) & x->mask) {
		uint32_t h = home(x, x->pending[k].token);

		if (((k - h) & x->mask) < ((k - i) & x->mask))
			continue;
		x->pending[i] = x->pending[k];
		i = k;
	}
	x->pending[i].frame = 0;
	return frame;
}

int kbp_txside_try(struct kbp_txside *x, const struct kbp_schedule_frame *f, const uint8_t *bytes,
		   uint64_t number)
{
	bool raw = x->opts->txflow != NULL;
	struct kbp_txflow *t = raw ? x->opts->txflow : x->opts->txflows[f->flow];
	struct kbp_frame frame;

	/* half of the table stays free, so that searches are short */
	if (x->completions && x->n_pending > x->mask / 2)
		return ENOBUFS;
	if (kbp_tx_reserve(t, &frame, 1) != 1)
		return ENOBUFS;
	frame.len = raw ? f->len : f->payload_len;
	memcpy(frame.data, raw ? bytes : bytes + f->payload_offset, frame.len);
	if (kbp_tx_submit(t->q, &frame, 1) != 1) {
		kbp_tx_cancel(t->q, &frame, 1);
		return ENOBUFS;
	}
	if (x->completions)
		pending_add(x, frame.token, number);
	return 0;
}

static void completed(struct kbp_txside *x, const struct kbp_completion *c,
		      struct kbp_sender_result *r)
{
	uint64_t frame = pending_take(x, c->token);
	bool recorded = frame && frame <= x->n_record;

	if (!frame)
		return;
	r->completed++;
	if (c->error) {
		__atomic_store_n(&r->sent, r->sent - 1, __ATOMIC_RELAXED);
		r->sent_bytes -= x->s->frames[(frame - 1) % x->s->n_frames].len;
		r->send_errors++;
		if (!r->first_errno)
			r->first_errno = (int32_t)c->error;
		if (recorded && x->opts->sent_ticks)
			x->opts->sent_ticks[frame - 1] = 0;
		return;
	}
	if (!(c->flags & KBP_FRAME_TS))
		return;
	r->stamped++;
	if (recorded && x->opts->stamps_ns)
		x->opts->stamps_ns[frame - 1] = c->ts_ns;
}

void kbp_txside_reap(struct kbp_txside *x, struct kbp_sender_result *r)
{
	struct kbp_completion c[REAP_BURST];
	unsigned n;

	if (!x->n_pending)
		return;
	do {
		n = kbp_tx_reap(x->q, c, REAP_BURST);
		for (unsigned i = 0; i < n; i++)
			completed(x, &c[i], r);
	} while (n == REAP_BURST);
}

int kbp_txside_state(const struct kbp_txside *x)
{
	switch (kbp_queue_state(x->q)) {
	case KBP_QUEUE_UP:
		return 0;
	case KBP_QUEUE_LINK_DOWN:
		return -ENETDOWN;
	case KBP_QUEUE_GONE:
		return -ENODEV;
	default:
		return -EIO;
	}
}
