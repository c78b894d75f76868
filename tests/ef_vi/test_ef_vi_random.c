/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ef_vi_random.c - everything that a program may do with a queue of ef_vi, in an order that chance gives,
 * on every kind of adapter: frames come in order and once, no buffer gets lost, the account closes.
 *
 * A seed gives the same run each time. KBP_SEEDS=FIRST-LAST runs others than the usual ones.
 */
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

#define STEPS 1500u
#define HELD_MAX 512u
#define RESERVED_MAX 2048u
#define TEMPLATES 4u

static struct {
	uint64_t random;
	uint32_t keep_of_10; /* frames that a handler keeps */
	bool reaps, stamps, deaths;
	/* received */
	uint64_t injected, packets;
	int64_t last; /* number of the last packet */
	bool inside;  /* of a packet whose parts are coming */
	struct kbp_frame held[HELD_MAX];
	unsigned n_held;
	/* to send */
	struct kbp_txflow *t, *raw;
	struct kbp_template *tpl[TEMPLATES];
	struct kbp_frame reserved[RESERVED_MAX];
	unsigned n_reserved;
	uint64_t sent, reaped;
} w;

static uint32_t pick(uint32_t below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return (uint32_t)((w.random >> 11) % below);
}

static bool one_in(uint32_t n)
{
	return !pick(n);
}

/* ---------------------------------------------------------------- what must hold at any time */

static void check_frame(const struct kbp_frame *f)
{
	uint32_t number;

	if (!w.inside) {
		memcpy(&number, (const uint8_t *)f->data + 42, sizeof(number));
		assert_true((int64_t)number > w.last);
		w.last = number;
		w.packets++;
	}
	w.inside = f->flags & KBP_FRAME_MORE;
}

static void check_queue(void)
{
	const struct kbp_efvi_full *f = kbp_efvi_full_q(r.q);
	const struct kbp_efvi_queue *x = &f->x;

	assert_false(w.inside); /* no packet is handed over in two calls */
	assert_int_equal(r.q->held, w.n_held);
	assert_true(r.q->held <= r.q->hold_max);
	assert_true(x->tx_floor <= x->n_free && x->n_free <= f->n_tx);
	assert_true(x->pio_free <= x->pio_slots);
	assert_true(f->n_spare <= f->n_rx);
	if (!x->dead)
		assert_true(x->n_free - x->tx_floor <= kbp_efvi_tx_space(f));
}

/* ---------------------------------------------------------------- handlers */

static uint32_t on_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	uint32_t len = (tx.t == w.raw ? 60 : 4) + pick(400);

	(void)arg;
	if (one_in(20))
		return KBP_TX_END;
	memset(f.data, 0x55, len);
	return len;
}

static void give_one_back(struct kbp_rx rx)
{
	unsigned i = pick(w.n_held);

	kbp_rx_return(rx, w.held[i].token);
	w.held[i] = w.held[--w.n_held];
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	bool whole = !w.inside && !(f.flags & KBP_FRAME_MORE);
	unsigned verdict = one_in(12) ? KBP_STOP : KBP_DONE;
	uint32_t what = pick(10);

	(void)arg;
	if (w.stamps && !w.inside)
		(void)kbp_frame_ts(rx, &f);
	check_frame(&f);
	if (what < w.keep_of_10 && w.n_held < HELD_MAX) {
		w.held[w.n_held++] = f;
		return verdict | KBP_KEEP;
	}
	if (what == 9 && whole && kbp_tx_submit(rx.q, &f, 1) == 1) {
		w.sent++;
		return verdict | KBP_KEEP;
	}
	if (w.n_held && one_in(8))
		give_one_back(rx);
	if (one_in(12))
		w.sent += kbp_tx_each(kbp_tx_of(w.t), 1 + pick(4), on_fill, NULL);
	return verdict;
}

/* ---------------------------------------------------------------- steps */

static void frames_come(bool jumbo)
{
	for (unsigned n = pick(40); n; n--) {
		rig_inject(1, 4 + (jumbo && one_in(3) ? pick(8900) : pick(1400)),
			   one_in(30) ? SOFTNIC_BAD_FCS : 0);
		w.injected++;
	}
}

static void peek(void)
{
	struct kbp_frame f[64];
	unsigned n = kbp_rx_peek(r.q, f, 1 + pick(64)), back = 0;

	for (unsigned i = 0; i < n; i++) {
		check_frame(&f[i]);
		if (pick(10) < w.keep_of_10 && w.n_held < HELD_MAX)
			w.held[w.n_held++] = f[i];
		else
			f[back++] = f[i];
	}
	kbp_rx_release(r.q, f, back);
}

static void reserve(void)
{
	struct kbp_frame *f = w.reserved + w.n_reserved;
	unsigned n = 0;

	if (w.n_reserved + 16 <= RESERVED_MAX)
		n = kbp_tx_reserve(one_in(2) ? w.t : w.raw, f, 1 + pick(16));
	for (unsigned i = 0; i < n; i++) {
		memset(f[i].data, 1, 60);
		f[i].len = 60;
	}
	w.n_reserved += n;
}

/* The last ones that were reserved are sent, some of them, and those that do not go are given up. */
static void submit_or_cancel(void)
{
	unsigned n = w.n_reserved < 32 ? pick(w.n_reserved + 1) : pick(33), sent = 0;
	struct kbp_frame *f = w.reserved + w.n_reserved - n;

	if (!one_in(3))
		sent = kbp_tx_submit(r.q, f, n);
	w.sent += sent;
	kbp_tx_cancel(r.q, f + sent, n - sent);
	w.n_reserved -= n;
}

static void reap(void)
{
	struct kbp_completion c[32];

	if (w.reaps)
		w.reaped += kbp_tx_reap(r.q, c, 1 + pick(32));
}

static void wire_empty(void)
{
	uint8_t frame[10000];

	while (rig_collect(frame, sizeof(frame)))
		;
}

static void adapter_acts(void)
{
	static const enum softnic_fault faults[] = { SOFTNIC_HOLD_TX, SOFTNIC_EVERY_CTPIO_LOSES,
						     SOFTNIC_CTPIO_FULL };

	if (one_in(3))
		wire_empty();
	if (one_in(2))
		softnic_fault("sim0", faults[pick(KBP_ARRAY_SIZE(faults))], pick(3));
	if (w.deaths && one_in(20))
		softnic_fault("sim0", one_in(2) ? SOFTNIC_RESET : SOFTNIC_OVERFLOW, 1);
}

static void revive(void)
{
	ok(kbp_queue_reopen(r.q, &r.err));
	w.n_held = w.n_reserved = 0; /* void */
}

static void step(struct kbp_rx rx, bool jumbo)
{
	switch (pick(14)) {
	case 0:
	case 1:
		frames_come(jumbo);
		break;
	case 2:
	case 3:
	case 4:
		kbp_rx_each(rx, one_in(4) ? 1 : 1 + pick(40), on_frame, NULL);
		break;
	case 5:
		peek();
		break;
	case 6:
		for (unsigned n = pick(w.n_held + 1); n; n--)
			give_one_back(rx);
		break;
	case 7:
		w.sent +=
			kbp_tx_each(kbp_tx_of(one_in(2) ? w.t : w.raw), 1 + pick(50), on_fill, NULL);
		break;
	case 8:
		reserve();
		break;
	case 9:
		submit_or_cancel();
		break;
	case 10:
		w.sent += kbp_template_send(w.tpl[pick(TEMPLATES)]);
		break;
	case 11:
		if (one_in(4))
			kbp_tx_warm(w.t);
		break;
	case 12:
		reap();
		break;
	default:
		adapter_acts();
	}
}

/* ---------------------------------------------------------------- a run */

static const char *const adapters[] = {
	"nic=sfn8522", "nic=sfn8522,tx=dma",	"nic=sfn8522,merging=on",
	"nic=x2522",   "nic=x2522,step=thread", "nic=x3522",
	"nic=x4542",   "nic=x4542,express"
};

static bool open_by_chance(const char *words)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	bool jumbo = one_in(3), refs = strstr(words, "x3522") || strstr(words, "express");
	char why[64];

	assert_int_equal(softnic_options("sim0", "merging=off,step=poll", why, sizeof(why)), 0);
	assert_int_equal(softnic_options("sim0", jumbo && !refs ? "mtu=9000" : "mtu=1500", why,
					 sizeof(why)),
			 0);
	rig_port(words, one_in(2) ? KBP_PORT_NO_MONITOR : 0);
	w.reaps = one_in(2);
	w.stamps = one_in(2);
	w.deaths = one_in(2);
	w.keep_of_10 = pick(4);
	o.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | (w.reaps ? KBP_QUEUE_COMPLETIONS : 0) |
		  (w.stamps ? KBP_QUEUE_RX_STAMPS : 0) |
		  (jumbo && one_in(2) ? KBP_QUEUE_MULTI_BUFFER : 0);
	o.rx_ring = 8u << pick(7);
	o.tx_ring = 512;
	o.hold_max = 8 + pick(200);
	ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	rig_flow(r.q, one_in(4) ? "10.77.0.1:0" : "10.77.0.1:5000");
	w.t = rig_txflow(r.q);
	ok(kbp_txflow_open_raw(r.q, &w.raw, &r.err));
	for (unsigned i = 0; i < TEMPLATES; i++)
		ok(kbp_template_open(w.t, "abcdefghijklmnopqrstuvwxyz", 26, &w.tpl[i], &r.err));
	return jumbo && !refs;
}

/* Everything goes home; then it is counted. */
static void settle(struct kbp_rx rx)
{
	const struct kbp_efvi_full *f = kbp_efvi_full_q(r.q);

	softnic_faults_clear("sim0");
	w.keep_of_10 = 0;
	kbp_tx_cancel(r.q, w.reserved, w.n_reserved);
	w.n_reserved = 0;
	for (unsigned quiet = 0; quiet < 300; quiet++) {
		if (kbp_rx_each(rx, 64, on_frame, NULL))
			quiet = 0;
		if (kbp_queue_state(r.q) > KBP_QUEUE_LINK_DOWN)
			revive();
		while (w.n_held)
			give_one_back(rx);
		reap();
		wire_empty();
		usleep(100); /* the device may be a thread */
	}
	check_queue();
	assert_int_equal(f->x.n_free, f->n_tx);
	assert_int_equal(f->stash.in, f->stash.out);
	if (w.deaths)
		return; /* how many were lost is unknown, and said to be */
	assert_int_equal(w.packets + rig_drops(r.q), w.injected);
	if (w.reaps)
		assert_int_equal(w.reaped, w.sent);
}

static void run(uint32_t seed)
{
	struct softnic_owned owned;
	const struct kbp_efvi_full *f;
	struct kbp_rx rx;
	bool jumbo;

	print_message("seed %u, %s\n", seed, adapters[seed % KBP_ARRAY_SIZE(adapters)]);
	memset(&w, 0, sizeof(w));
	w.random = seed * 0x9e3779b97f4a7c15ull + 12345;
	w.last = -1;
	r.sent = 0;
	jumbo = open_by_chance(adapters[seed % KBP_ARRAY_SIZE(adapters)]);
	f = kbp_efvi_full_q(r.q);
	rx = one_in(3) ? kbp_rx_as(r.q, KBP_NONE) : kbp_rx_of(r.q);
	for (unsigned i = 0; i < STEPS; i++) {
		step(rx, jumbo);
		check_queue();
		if (kbp_queue_state(r.q) > KBP_QUEUE_LINK_DOWN && one_in(4))
			revive();
	}
	settle(rx);
	assert_int_equal(softnic_owned_by_nic(&f->x.vi, &owned), 0);
	if (f->x.refs)
		assert_int_equal(owned.pkts_out, 0);
	else
		assert_int_equal(owned.rx_posted + owned.rx_unpushed + f->n_spare, f->n_rx);
	for (unsigned i = 0; i < TEMPLATES; i++)
		kbp_template_close(w.tpl[i]);
	kbp_txflow_close(w.raw);
	kbp_txflow_close(w.t);
}

static void whatever_is_done_every_frame_and_buffer_is_accounted_for(void **state)
{
	const char *seeds = getenv("KBP_SEEDS");
	uint32_t first = 1, last = 32;

	(void)state;
	if (seeds && sscanf(seeds, "%u-%u", &first, &last) != 2)
		fail_msg("KBP_SEEDS=%s: give FIRST-LAST, like 1-1000", seeds);
	for (uint32_t seed = first; seed <= last; seed++) {
		if (r.q)
			rig_close();
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whatever_is_done_every_frame_and_buffer_is_accounted_for,
						rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
