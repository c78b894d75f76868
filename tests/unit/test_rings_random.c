/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings_random.c - everything af_xdp can do, at random: each buffer has one owner. */
#include "rings_rig.h"

/* ---------------------------------------------------------------- all of it at random */

struct soup {
	struct kbp_frame held[HOLD_MAX], reserved[N_TX];
	unsigned n_held, n_reserved;
	uint64_t random;
	uint32_t next; /* number expected next; chains: of parts */
	uint32_t filled;
	uint64_t received, forwarded, returned, stopped;
	bool chains;
};

static unsigned pick(struct soup *s, unsigned n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (unsigned)(s->random >> 33) % n;
}

static void expect_next(struct soup *s, const struct kbp_frame *f)
{
	uint32_t number = number_of(f);

	/* dropped chains leave a gap */
	assert_true(s->chains ? number - s->next < 64 : number == s->next);
	s->next = number + 1;
	s->received++;
}

static unsigned soup_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct soup *s = arg;
	unsigned verdict = pick(s, 5) ? KBP_DONE : KBP_STOP, what = pick(s, 6);

	expect_next(s, &f);
	s->stopped += verdict == KBP_STOP;
	if (what == 0 && s->n_held) {
		unsigned i = pick(s, s->n_held);

		kbp_rx_return(rx, s->held[i].token);
		s->held[i] = s->held[--s->n_held];
		s->returned++;
	}
	if (what == 1 && !(f.flags & KBP_FRAME_MORE) && kbp_tx_submit(rx.q, &f, 1) == 1) {
		s->forwarded++;
		return verdict | KBP_KEEP;
	}
	if (what > 3 && s->n_held < HOLD_MAX) {
		s->held[s->n_held++] = f;
		return verdict | KBP_KEEP;
	}
	return verdict;
}

static uint32_t soup_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct soup *s = arg;

	(void)tx;
	if (pick(s, 6) == 0)
		return KBP_TX_END;
	memcpy(f.data, &s->filled, sizeof(s->filled));
	s->filled++;
	return 4 + pick(s, 60);
}

/* Moves n random entries of `from` to its end and returns where they begin. */
static struct kbp_frame *choose(struct soup *s, struct kbp_frame *from, unsigned total, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned k = pick(s, total - i);
		struct kbp_frame f = from[k];

		from[k] = from[total - 1 - i];
		from[total - 1 - i] = f;
	}
	return from + total - n;
}

static void soup_peek(struct soup *s)
{
	struct kbp_frame f[RX_RING];
	unsigned n = kbp_rx_peek(rig_q(), f, 1 + pick(s, 10)), keep = n;

	if (!s->chains && n && pick(s, 3) == 0) {
		unsigned back = pick(s, n + 1);

		rig_q()->rx_putback(rig_q(), NULL, back);
		keep = n -= back;
	}
	for (unsigned i = 0; i < n; i++)
		expect_next(s, &f[i]);
	if (n && pick(s, 2)) { /* the usual caller: all back, in order */
		kbp_rx_release(rig_q(), f, n);
		keep = 0;
	}
	assert_true(s->n_held + keep <= HOLD_MAX);
	memcpy(s->held + s->n_held, f, keep * sizeof(*f));
	s->n_held += keep;
}

static void soup_receive_side(struct soup *s)
{
	unsigned n;

	switch (pick(s, 6)) {
	case 0:
	case 1:
		kernel_receive(1 + pick(s, s->chains ? 4 : 8), s->chains && pick(s, 2));
		break;
	case 2:
		soup_peek(s);
		break;
	case 3:
		kbp_rx_each(rig_rx(), pick(s, 12), soup_frame, s);
		break;
	case 4:
		n = pick(s, s->n_held + 1);
		kbp_rx_release(rig_q(), choose(s, s->held, s->n_held, n), n);
		s->n_held -= n;
		break;
	default:
		n = pick(s, s->n_held + 1);
		n = kbp_tx_submit(rig_q(), choose(s, s->held, s->n_held, n), n);
		/* those accepted are the first of the chosen: close the gap */
		if (n) {
			struct kbp_frame kept[HOLD_MAX];
			unsigned left = 0;

			for (unsigned i = 0; i < s->n_held; i++) {
				bool gone = false;

				for (uint32_t at = rig->tx.prod - n; at != rig->tx.prod; at++)
					gone |= rig->tx_desc[at & (TX_RING - 1)].addr ==
						s->held[i].token;
				if (!gone)
					kept[left++] = s->held[i];
			}
			assert_int_equal(left, s->n_held - n);
			memcpy(s->held, kept, left * sizeof(kept[0]));
			s->n_held = left;
			s->forwarded += n;
		}
	}
}

static void soup_send_side(struct soup *s)
{
	struct kbp_completion c[4];
	struct kbp_frame *f;
	unsigned n, got;

	switch (pick(s, 8)) {
	case 0:
		s->n_reserved += kbp_tx_reserve(&rig->flow, s->reserved + s->n_reserved,
						pick(s, N_TX - s->n_reserved + 1));
		break;
	case 1:
		n = pick(s, s->n_reserved + 1);
		f = choose(s, s->reserved, s->n_reserved, n);
		for (unsigned i = 0; i < n; i++)
			f[i].len = 4 + pick(s, 60);
		got = kbp_tx_submit(rig_q(), f, n);
		memmove(f, f + got, (n - got) * sizeof(*f));
		s->n_reserved -= got;
		break;
	case 2:
		n = pick(s, s->n_reserved + 1);
		kbp_tx_cancel(rig_q(), choose(s, s->reserved, s->n_reserved, n), n);
		s->n_reserved -= n;
		break;
	case 3:
		kbp_tx_each(rig_tx(pick(s, 2) ? &rig->flow : &rig->raw), pick(s, 10), soup_fill, s);
		break;
	case 4:
		n = pick(s, N_TPL);
		if (!kbp_backend_af_xdp.template_busy(&rig->tpl[n]))
			kbp_backend_af_xdp.template_send(&rig->tpl[n]);
		break;
	case 5:
		kernel_take(pick(s, 6));
		break;
	case 6:
		kernel_complete(pick(s, 8));
		break;
	default:
		kbp_tx_reap(rig_q(), c, pick(s, 5));
	}
}

static void soup_cook(uint64_t seed, bool chains)
{
	struct soup s = { .random = seed, .chains = chains };

	for (unsigned i = 0; i < 20000; i++) {
		if (pick(&s, 2))
			soup_receive_side(&s);
		else
			soup_send_side(&s);
		check_owners(s.held, s.n_held, s.reserved, s.n_reserved);
	}
	/* everything back, and everything is where it was in the beginning */
	kbp_rx_release(rig_q(), s.held, s.n_held);
	kbp_tx_cancel(rig_q(), s.reserved, s.n_reserved);
	s.n_held = s.n_reserved = 0;
	for (unsigned i = 0; i < 64; i++) {
		struct kbp_completion c[8];
		struct kbp_frame f[HOLD_MAX];
		unsigned n = kbp_rx_peek(rig_q(), f, HOLD_MAX);

		s.received += n;
		kbp_rx_release(rig_q(), f, n);
		kernel_send(TX_RING);
		kbp_tx_reap(rig_q(), c, 8);
		kbp_axdp_complete(rig_x());
		check_owners(NULL, 0, NULL, 0);
	}
	assert_int_equal(rig->fill.prod - rig->fill.cons, N_RX);
	assert_int_equal(rig_x()->tx_top - rig_x()->tx_free, N_TX);
	assert_int_equal(rig_x()->n_strange, 0);
	/* and it was no idle run */
	assert_true(s.received > 2000 && s.forwarded > 200 && s.returned > 50 && s.stopped > 100 &&
		    rig->sent > 1000);
	assert_int_equal(rig->rx_count.frames, s.received);
}

static void every_buffer_has_one_owner_whatever_happens(void **state)
{
	(void)state;
	soup_cook(0x9e3779b97f4a7c15ull, false);
}

static void every_buffer_has_one_owner_with_chains(void **state)
{
	(void)state;
	soup_cook(0xd1b54a32d192ed03ull, true);
}

static void every_buffer_has_one_owner_with_kept_completions(void **state)
{
	(void)state;
	soup_cook(0x94d049bb133111ebull, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(every_buffer_has_one_owner_whatever_happens),
		CHAINS(every_buffer_has_one_owner_with_chains),
		COMPLETIONS(every_buffer_has_one_owner_with_kept_completions),
	};

	return cmocka_run_group_tests_name("rings, at random", tests, NULL, NULL);
}
