/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match.c - which sent frame is this received one, when payloads carry no mark of ours?
 *
 * Within a flow the network keeps order, so the received frames are a subsequence of the sent ones.
 * Every way to embed that subsequence lies between the earliest one (greedy from the front) and the
 * latest one (greedy from the back). Where the two agree, the frame's identity is certain; where
 * they differ, the same payload was sent more than once inside a stretch with losses, and nobody
 * can tell: such frames give no sample. A frame cannot be received before its intended send time,
 * which narrows both embeddings when a capture is sent round and round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/parts.h"

/* All sent frames with the same payload and flow, chained in send order. */
struct chain {
	uint32_t first, last;
};

struct matcher {
	const struct kbp_seen *sent;
	struct chain *chains; /* open-addressed; first == KBP_POS_NONE: free */
	uint32_t mask;
	uint32_t *next, *prev; /* of each sent frame in its chain */
	uint32_t *bound;       /* per flow: last position taken */
};

static bool same_frame(const struct kbp_seen *a, const struct kbp_seen *b)
{
	return a->hash == b->hash && a->len == b->len && a->flow == b->flow;
}

/* The chain of this payload, or the free slot where it belongs. */
static struct chain *chain_find(const struct matcher *m, const struct kbp_seen *s)
{
	uint32_t i = (uint32_t)(s->hash ^ (s->hash >> 32)) + s->flow * 0x9e3779b9u;

	for (;; i++) {
		struct chain *c = &m->chains[i & m->mask];

		if (c->first == KBP_POS_NONE || same_frame(&m->sent[c->first], s))
			return c;
	}
}

static void matcher_free(struct matcher *m)
{
	free(m->chains);
	free(m->next);
	free(m->prev);
	free(m->bound);
}

static int matcher_init(struct matcher *m, const struct kbp_seen *sent, uint32_t n, uint32_t n_flows)
{
	uint32_t slots = 16;

	while (slots < 2u * n)
		slots *= 2;
	m->sent = sent;
	m->mask = slots - 1;
	m->chains = malloc(slots * sizeof(*m->chains));
	m->next = malloc((n + 1u) * sizeof(*m->next));
	m->prev = malloc((n + 1u) * sizeof(*m->prev));
	m->bound = malloc((n_flows + 1u) * sizeof(*m->bound));
	if (!m->chains || !m->next || !m->prev || !m->bound) {
		matcher_free(m);
		return -ENOMEM;
	}
	memset(m->chains, 0xff, slots * sizeof(*m->chains));
	for (uint32_t p = 0; p < n; p++) {
		struct chain *c = chain_find(m, &sent[p]);

		m->next[p] = KBP_POS_NONE;
		m->prev[p] = c->first == KBP_POS_NONE ? KBP_POS_NONE : c->last;
		if (c->first == KBP_POS_NONE)
			c->first = p;
		else
			m->next[c->last] = p;
		c->last = p;
	}
	return 0;
}

/* Earliest embedding. What does not fit is left out, so that the rest does embed. A chain's front
 * only moves forward, so the whole pass is linear; the fronts are kept in `front`, indexed by the
 * chain's first frame, because the chains are needed whole for the second pass. */
static void embed_forward(struct matcher *m, const struct kbp_seen *got, uint32_t n, uint64_t slack,
			  uint32_t *front, uint32_t *pos, struct kbp_match_count *count)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct chain *c = chain_find(m, &got[i]);
		uint32_t p, *bound = &m->bound[got[i].flow];

		pos[i] = KBP_POS_NONE;
		if (c->first == KBP_POS_NONE) {
			count->foreign++;
			pos[i] = KBP_POS_FOREIGN;
			continue;
		}
		p = front[c->first];
		while (p != KBP_POS_NONE && *bound != KBP_POS_NONE && p <= *bound)
			p = m->next[p];
		front[c->first] = p;
		if (p == KBP_POS_NONE || m->sent[p].ticks > got[i].ticks + slack)
			count->out_of_order++;
		else
			pos[i] = *bound = p;
	}
}

/* Latest embedding of what the earliest one, in `pos`, holds; certain where the two agree. */
static void embed_backward(struct matcher *m, const struct kbp_seen *got, uint32_t n,
			   uint64_t slack, uint32_t *pos, struct kbp_match_count *count)
{
	for (uint32_t i = n; i-- > 0;) {
		uint32_t p, *bound = &m->bound[got[i].flow];
		struct chain *c;

		if (pos[i] >= KBP_POS_FOREIGN)
			continue;
		c = chain_find(m, &got[i]);
		p = c->last;
		while (p > pos[i] && (p >= *bound || m->sent[p].ticks > got[i].ticks + slack))
			p = m->prev[p];
		c->last = p; /* what came later in the chain fits no earlier frame either */
		*bound = p;
		if (p == pos[i]) {
			count->certain++;
		} else {
			count->ambiguous++;
			pos[i] = KBP_POS_NONE;
		}
	}
}

int kbp_match(const struct kbp_seen *sent, uint32_t n_sent, const struct kbp_seen *got,
	      uint32_t n_got, uint32_t n_flows, uint64_t slack_ticks, uint32_t *pos,
	      struct kbp_match_count *count)
{
	struct matcher m;
	uint32_t *front;
	int rc;

	memset(count, 0, sizeof(*count));
	if (n_sent >= UINT32_MAX / 4)
		return -EINVAL;
	for (uint32_t i = 0; i < n_got; i++) {
		if (got[i].flow >= n_flows)
			return -EINVAL;
	}
	rc = matcher_init(&m, sent, n_sent, n_flows);
	if (rc)
		return rc;
	front = malloc((n_sent + 1u) * sizeof(*front));
	if (!front) {
		matcher_free(&m);
		return -ENOMEM;
	}
	for (uint32_t p = 0; p < n_sent; p++)
		front[p] = p;
	memset(m.bound, 0xff, n_flows * sizeof(*m.bound));
	embed_forward(&m, got, n_got, slack_ticks, front, pos, count);
	memset(m.bound, 0xff, n_flows * sizeof(*m.bound));
	embed_backward(&m, got, n_got, slack_ticks, pos, count);
	free(front);
	matcher_free(&m);
	return 0;
}
