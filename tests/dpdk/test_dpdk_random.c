/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_random.c - everything that a program may do with a queue of dpdk, in an order that chance gives:
 * packets come in order, once and whole, as they were sent; what is sent leaves in order; no buffer gets lost,
 * and the account closes.
 *
 * A seed gives the same run each time. KBP_SEEDS=FIRST-LAST runs others than the usual ones.
 */
#include <rte_mempool.h>

#include "random.h"

#define STEPS 1000u

static struct wire wires[3];
static struct rte_mempool *pool;

/* ---------------------------------------------------------------- what is received */

/* Why may this one not have come, and never come? */
static void check_missing(uint32_t number)
{
	const struct packet *p = &w.packet[number];

	w.missing += !p->lost;
	if (p->lost || (w.match && p->flow == 2) || (w.match && p->flow == 1 && w.last_off >= p->at))
		return;
	if (p->parts > 1 && !w.chains)
		return;
	for (uint32_t c = p->call; c < w.calls; c++)
		if (p->parts > w.polled[c] || p->parts > r.q->hold_max)
			return;
	fail_msg("packet %u of %u parts and flow %u never came, and %u did", number, p->parts,
		 p->flow, w.at);
}

static void check_first(const struct kbp_frame *f)
{
	const struct packet *p;
	uint32_t number;

	assert_true(f->len >= FRAME_UDP_HDR + sizeof(number));
	memcpy(&number, (const uint8_t *)f->data + FRAME_UDP_HDR, sizeof(number));
	assert_in_range(number, w.next, w.injected - 1);
	w.at = number;
	p = &w.packet[number];
	assert_false(p->lost);
	if (w.match && (p->flow == 2 || (p->flow == 1 && w.last_on < p->at)))
		fail_msg("packet %u is of no flow that was received", number);
	for (; w.next < number; w.next++)
		check_missing(w.next);
	w.next++;
	assert_true(p->parts == 1 || w.chains);
}

static void check_part(const struct kbp_frame *f)
{
	const struct packet *p;

	assert_false(w.stopped);
	if (!w.offset)
		check_first(f);
	p = &w.packet[w.at];
	assert_true(w.offset + f->len <= p->len);
	assert_memory_equal(f->data, packet_bytes(w.at) + w.offset, f->len);
	w.frames++;
}

/* How far the packet is after this part. */
static void part_done(const struct kbp_frame *f)
{
	w.offset += f->len;
	if (w.offset == w.packet[w.at].len)
		w.offset = 0;
	assert_int_equal(w.offset != 0, f->flags & KBP_FRAME_MORE);
}

static void hold(const struct kbp_frame *f, uint32_t number, uint32_t offset)
{
	assert_in_range(w.n_held, 0, HELD_MAX - 1);
	w.held[w.n_held++] = (struct held){ *f, number, offset };
}

/* Nobody has written into it. */
static struct kbp_frame take_held(unsigned i)
{
	struct held h = w.held[i];

	assert_memory_equal(h.f.data, packet_bytes(h.number) + h.offset, h.f.len);
	w.held[i] = w.held[--w.n_held];
	return h.f;
}

static struct kbp_rx some_rx(void)
{
	return one_in(2) ? kbp_rx_of(r.q) : kbp_rx_as(r.q, KBP_NONE);
}

static void give_one_back(struct kbp_rx rx)
{
	struct kbp_frame f = take_held(pick(w.n_held));

	kbp_rx_return(rx, f.token);
}

/* ---------------------------------------------------------------- receiving */

/* A part of a packet that is sent on once it is whole. */
static bool forward_part(struct kbp_rx rx, const struct kbp_frame *f)
{
	w.chain[w.n_chain++] = *f;
	if (f->flags & KBP_FRAME_MORE)
		return true;
	if (!forward(rx.q, w.chain, w.n_chain, w.at)) {
		uint32_t offset = 0;

		for (unsigned i = 0; i < w.n_chain; offset += w.chain[i++].len)
			hold(&w.chain[i], w.at, offset);
	}
	w.n_chain = 0;
	return true;
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	unsigned verdict = one_in(12) ? KBP_STOP : KBP_DONE;
	uint32_t what = pick(10), offset;
	bool keep = false;

	(void)arg;
	check_part(&f);
	offset = w.offset;
	part_done(&f);
	if (!offset)
		w.fate = what < w.keep_of_10 ? FATE_KEEP : what == 9 ? FATE_FORWARD : FATE_DONE;
	if (w.fate == FATE_FORWARD) {
		keep = forward_part(rx, &f);
	} else if (w.fate == FATE_KEEP && !one_in(4) && w.n_held < HELD_MAX - PARTS) {
		hold(&f, w.at, offset);
		keep = true;
	}
	if (!w.offset && !w.n_chain && w.n_held > keep && one_in(8)) {
		/* not the one that this call is about, nor a part of its packet */
		unsigned i = pick(w.n_held);

		if (w.held[i].number != w.at) {
			struct kbp_frame old = take_held(i);

			kbp_rx_return(rx, old.token);
		}
	}
	if (one_in(16))
		send_each(1 + pick(4));
	w.stopped = verdict & KBP_STOP && !w.offset;
	return verdict | (keep ? KBP_KEEP : 0);
}

static void poll_noted(unsigned max)
{
	assert_in_range(w.calls, 0, CALLS - 1);
	w.polled[w.calls++] = (uint8_t)max;
	w.stopped = false;
}

static void poll_each(unsigned max)
{
	bool at_bound = r.q->held == r.q->hold_max;
	uint64_t before = w.frames;
	struct kbp_rx rx = some_rx();
	unsigned n;

	poll_noted(max);
	n = one_in(4) ? kbp_generic_rx_each(rx, max, on_frame, NULL) :
			kbp_rx_each(rx, max, on_frame, NULL);
	assert_int_equal(n, w.frames - before);
	assert_true(n <= max && !(at_bound && n));
	w.stopped = false;
}

/* Of what comes a part is put back at once, whole packets; the rest is held, released or sent on. */
static void peek(void)
{
	unsigned max = one_in(4) ? 1 + pick(4) : 1 + pick(BURST_MAX);
	struct kbp_frame f[BURST_MAX], back[BURST_MAX];
	unsigned n, cut, n_back = 0;

	poll_noted(max);
	n = cut = kbp_rx_peek(r.q, f, max);
	assert_true(n <= max);
	if (n && one_in(3)) {
		cut = pick(n);
		while (cut && f[cut - 1].flags & KBP_FRAME_MORE)
			cut--;
		r.q->rx_putback(r.q, f + cut, n - cut);
	}
	for (unsigned i = 0, parts; i < cut; i += parts) {
		uint32_t what = pick(10), offset = 0;

		for (parts = 0; !parts || f[i + parts - 1].flags & KBP_FRAME_MORE; parts++) {
			assert_true(i + parts < cut);
			check_part(&f[i + parts]);
			part_done(&f[i + parts]);
		}
		if (what == 9 && forward(r.q, f + i, parts, w.at))
			continue;
		for (unsigned k = i; k < i + parts; offset += f[k++].len) {
			if (what < w.keep_of_10 && w.n_held < HELD_MAX)
				hold(&f[k], w.at, offset);
			else
				back[n_back++] = f[k];
		}
	}
	if (one_in(8))
		kbp_tx_cancel(r.q, back, n_back);
	else
		kbp_rx_release(r.q, back, n_back);
}

static void check_queue(void)
{
	const struct kbp_dpdk_full *f = kbp_dpdk_full(r.q);

	assert_int_equal(w.offset, 0); /* no packet is handed over in two calls */
	assert_int_equal(r.q->held, w.n_held);
	assert_true(r.q->held <= r.q->hold_max);
	assert_int_equal(f->x.n_reserved, w.n_reserved);
	assert_true(f->stash.in - f->stash.out <= KBP_DPDK_STASH);
	assert_int_equal(f->flight.in - f->flight.out, w.flight_in - w.flight_out);
	assert_int_equal(r.q->rx_count->frames, w.frames);
	assert_int_equal(r.q->tx_count->frames, w.sent);
}

/* ---------------------------------------------------------------- the near end */

static void packets_come(void)
{
	for (unsigned n = pick(40); n && w.injected < PACKETS; n--) {
		uint32_t number = w.injected, part[PARTS], len = 0;
		struct packet *p = &w.packet[number];
		struct rte_mbuf *m;

		*p = (struct packet){ .at = w.now, .call = w.calls };
		p->parts = (uint8_t)(one_in(4) ? 1 + pick(PARTS) : 1);
		p->flow = (uint8_t)(one_in(5) ? 1 + pick(2) : 0);
		for (unsigned i = 0; i < p->parts; i++) {
			part[i] = (i ? 1 : FRAME_UDP_HDR + 4) + pick(p->parts > 1 ? 350 : 1400);
			len += part[i];
		}
		p->len = (uint16_t)len;
		if (rte_mempool_avail_count(pool) < PARTS)
			return;
		m = rig_packet(pool, packet_bytes(number), part, p->parts);
		if (rte_ring_enqueue(w.wire->in[0], m)) {
			rte_pktmbuf_free(m);
			return;
		}
		w.injected++;
	}
}

static void toggle_flow(void)
{
	if (w.at_times) {
		ok(kbp_flow_del(w.at_times, &r.err));
		w.at_times = NULL;
	} else {
		w.at_times = rig_flow(r.q, "10.77.0.1:5001");
	}
	*(w.at_times ? &w.last_on : &w.last_off) = w.now;
}

/* ---------------------------------------------------------------- opening and closing */

static void queue_open(void)
{
	static const uint32_t bounds[] = { 1, 2, 3, 5, 8, 32, 200 };
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;

	w.reaps = one_in(2);
	w.chains = one_in(2);
	w.keep_of_10 = pick(4);
	o.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | (w.reaps ? KBP_QUEUE_COMPLETIONS : 0) |
		  (w.chains ? KBP_QUEUE_MULTI_BUFFER : 0);
	o.rx_ring = 8u << pick(6);
	o.tx_ring = 8u << pick(w.lazy ? 3 : 7);
	o.hold_max = bounds[pick(KBP_ARRAY_SIZE(bounds))];
	ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	rig_flow(r.q, "10.77.0.1:5000");
	w.t = rig_txflow(r.q);
	ok(kbp_txflow_open_raw(r.q, &w.raw, &r.err));
	for (unsigned i = 0; i < TEMPLATES; i++)
		template_open(i);
	w.frames = w.missing = w.sent = 0;
	w.flight_in = w.flight_out = w.flown = 0;
}

/* What the stash has goes with the queue; whatever else has not come by now never will. */
static void account_close(void)
{
	const struct kbp_dpdk_full *f = kbp_dpdk_full(r.q);

	for (uint32_t i = f->stash.out; i != f->stash.in; i++) {
		const struct rte_mbuf *m = f->stash.m[i & (KBP_DPDK_STASH - 1)];
		uint32_t number;

		memcpy(&number, rte_pktmbuf_mtod_offset(m, const uint8_t *, FRAME_UDP_HDR), 4);
		assert_in_range(number, w.next, w.injected - 1);
		w.packet[number].lost = true;
	}
	assert_int_equal(rte_ring_count(w.wire->in[0]), 0);
	w.at = w.injected;
	for (; w.next < w.injected; w.next++)
		check_missing(w.next);
	assert_int_equal(w.missing, rig_counter(r.q, "rx_foreign") +
					    rig_counter(r.q, "rx_chain_too_long") +
					    rig_counter(r.q, "rx_truncated"));
}

static void queue_close(void)
{
	struct rte_mempool *tx = kbp_dpdk_port(r.port)->pools->tx[0];

	while (w.n_held)
		give_one_back(some_rx());
	kbp_tx_cancel(r.q, w.reserved, w.n_reserved);
	w.n_reserved = 0;
	if (!one_in(8)) /* otherwise the far end has some still, or nobody asked what it let go of */
		collect(UINT32_MAX);
	while (w.flight_out < w.flown && !one_in(8))
		reap(BURST_MAX);
	check_queue();
	account_close();
	for (unsigned i = 0; i < TEMPLATES; i++)
		kbp_template_close(w.tpl[i]);
	kbp_txflow_close(w.raw);
	kbp_txflow_close(w.t);
	if (w.at_times)
		w.last_on = w.now;
	w.at_times = NULL;
	w.now++;
	w.last_off = w.now;
	ok(kbp_queue_close(r.q, 0, &r.err));
	r.q = NULL;
	collect(UINT32_MAX);
	rig_pool_check(tx, 0);
}

static void reopen(void)
{
	/* what one queue may drop another might receive: nothing is left between them */
	for (unsigned empty = 0; empty < 3;) {
		uint32_t before = rte_ring_count(w.wire->in[0]);

		poll_each(BURST_MAX);
		while (w.n_held)
			give_one_back(some_rx());
		empty = before ? 0 : empty + 1;
		if (!before && one_in(2))
			break;
	}
	queue_close();
	queue_open();
}

/* ---------------------------------------------------------------- a run */

static void step(void)
{
	w.now++;
	*(w.at_times ? &w.last_on : &w.last_off) = w.now;
	if (w.lazy && one_in(3))
		send_each(1 + pick(BURST_MAX));
	switch (pick(15)) {
	case 0:
	case 1:
		packets_come();
		break;
	case 2:
	case 3:
	case 4:
		poll_each(one_in(4) ? 1 + pick(3) : 1 + pick(BURST_MAX));
		break;
	case 5:
		peek();
		break;
	case 6:
		for (unsigned n = pick(w.n_held + 1); n; n--)
			give_one_back(some_rx());
		break;
	case 7:
		send_each(1 + pick(BURST_MAX));
		break;
	case 8:
		reserve();
		break;
	case 9:
		submit_or_cancel();
		break;
	case 10:
		send_template(pick(TEMPLATES));
		break;
	case 11:
		if (!w.lazy || one_in(40))
			collect(pick(80));
		break;
	case 12:
		reap(1 + pick(BURST_MAX));
		break;
	case 13:
		if (one_in(3))
			toggle_flow();
		break;
	default:
		if (one_in(4))
			kbp_tx_warm(w.t);
		else if (one_in(10))
			reopen();
		else
			assert_in_range(kbp_wait(&r.q, 1, 0), 0, 1);
	}
}

/* Everything goes home; then it is counted. */
static void settle(void)
{
	const struct kbp_dpdk_full *f;
	struct rte_mempool *tx = kbp_dpdk_port(r.port)->pools->tx[0];

	w.keep_of_10 = 0;
	kbp_tx_cancel(r.q, w.reserved, w.n_reserved);
	w.n_reserved = 0;
	for (unsigned quiet = 0; quiet < 5; quiet++) {
		uint64_t before = w.frames;

		poll_each(BURST_MAX);
		if (w.frames != before || rte_ring_count(w.wire->in[0]))
			quiet = 0;
		while (w.n_held)
			give_one_back(some_rx());
		collect(UINT32_MAX);
		while (w.flight_out < w.flown)
			reap(BURST_MAX);
	}
	check_queue();
	f = kbp_dpdk_full(r.q);
	assert_int_equal(f->stash.in, f->stash.out);
	assert_int_equal(w.out_in, w.out_out);
	assert_int_equal(f->flight.in, f->flight.out);
	assert_int_equal(r.q->tx_count->completions, w.reaps ? w.sent : 0);
	rig_pool_check(tx, 0);
	rig_pool_check(pool, 0);
}

static void run(uint32_t seed)
{
	memset(&w, 0, sizeof(w));
	w.random = seed * 0x9e3779b97f4a7c15ull + 12345;
	w.wire = &wires[pick(KBP_ARRAY_SIZE(wires))];
	w.match = !one_in(3);
	w.lazy = one_in(3);
	print_message("seed %u, %s%s\n", seed, w.wire->name, w.match ? "" : ", match=off");
	rig_port(w.wire, w.match ? NULL : "match=off", one_in(2) ? KBP_PORT_NO_MONITOR : 0);
	w.now = 1;
	queue_open();
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		check_queue();
	}
	settle();
	queue_close();
	ok(kbp_port_close(r.port, &r.err));
	r.port = NULL;
	rig_no_pools();
	rig_pool_check(pool, 0);
}

static void whatever_is_done_every_packet_and_buffer_is_accounted_for(void **state)
{
	const char *seeds = getenv("KBP_SEEDS");
	uint32_t first = 1, last = 32;

	(void)state;
	if (seeds && sscanf(seeds, "%u-%u", &first, &last) != 2)
		fail_msg("KBP_SEEDS=%s: give FIRST-LAST, like 1-1000", seeds);
	for (uint32_t seed = first; seed <= last; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_done_every_packet_and_buffer_is_accounted_for),
	};

	rig_begin();
	rig_wire(&wires[0], "o16", 1, 16);
	rig_wire(&wires[1], "o64", 1, 64);
	rig_wire(&wires[2], "o1k", 1, 1024);
	pool = rig_pool("packets", 4095);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
