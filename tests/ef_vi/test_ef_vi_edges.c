/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ef_vi_edges.c - the ends of things in ef_vi: small rings, jumbos, dead queues, a reopen that fails. */
#include "rig.h"

static bool no_vi; /* the adapter has none left */

int __real_ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle dh, struct ef_pd *pd,
			       ef_driver_handle pd_dh, int evq, int rxq, int txq, ef_vi *evq_vi,
			       ef_driver_handle evq_dh, enum ef_vi_flags flags);
int __wrap_ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle dh, struct ef_pd *pd,
			       ef_driver_handle pd_dh, int evq, int rxq, int txq, ef_vi *evq_vi,
			       ef_driver_handle evq_dh, enum ef_vi_flags flags);

int __wrap_ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle dh, struct ef_pd *pd,
			       ef_driver_handle pd_dh, int evq, int rxq, int txq, ef_vi *evq_vi,
			       ef_driver_handle evq_dh, enum ef_vi_flags flags)
{
	if (no_vi)
		return -ENOSPC;
	return __real_ef_vi_alloc_from_pd(vi, dh, pd, pd_dh, evq, rxq, txq, evq_vi, evq_dh, flags);
}

static uint32_t on_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	(void)arg;
	memset(f.data, 1, 10);
	return 10;
}

static void wire_empty(void)
{
	uint8_t frame[2048];

	while (rig_collect(frame, sizeof(frame)))
		;
}

static struct kbp_queue *queue(uint32_t flags, uint32_t rx_ring, uint32_t hold_max)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue *q;

	o.flags = flags;
	o.rx_ring = rx_ring;
	o.tx_ring = 512;
	o.hold_max = hold_max;
	ok(kbp_queue_open(r.port, &o, &q, &r.err));
	return q;
}

/* ---------------------------------------------------------------- receive */

static void as_many_frames_as_promised_are_held_over_any_ring(void **state)
{
	(void)state;
	for (uint32_t ring = 8; ring <= 64; ring *= 2) {
		struct kbp_frame held[100];
		unsigned n = 0;

		if (r.q)
			rig_close();
		rig_port("nic=sfn8522", KBP_PORT_NO_MONITOR);
		r.q = queue(KBP_QUEUE_RX, ring, 256);
		rig_flow(r.q, "10.77.0.1:5000");
		for (unsigned i = 0; i < KBP_ARRAY_SIZE(held); i++) {
			rig_inject(1, 50, 0);
			n += kbp_rx_peek(r.q, held + n, 1);
		}
		assert_int_equal(n, KBP_ARRAY_SIZE(held));
		kbp_rx_release(r.q, held, n);
		assert_int_equal(rig_drops(r.q), 0);
	}
}

struct stamps {
	unsigned n;
	uint64_t first;
};

static unsigned on_part(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp s = kbp_frame_ts(rx, &f);
	struct stamps *all = arg;

	assert_true(s.flags & KBP_FRAME_TS);
	if (!all->n++)
		all->first = s.ns;
	assert_int_equal(s.ns, all->first);
	return KBP_DONE;
}

static void every_part_of_a_chain_has_the_stamp_of_its_packet(void **state)
{
	struct stamps all = { 0, 0 };
	char why[64];

	(void)state;
	assert_int_equal(softnic_options("sim0", "mtu=9000", why, sizeof(why)), 0);
	rig_port("nic=sfn8522", KBP_PORT_STRICT | KBP_PORT_NO_MONITOR);
	r.q = rig_queue(KBP_QUEUE_RX | KBP_QUEUE_RX_STAMPS | KBP_QUEUE_MULTI_BUFFER, 0, 512);
	rig_flow(r.q, "10.77.0.1:5000");
	rig_drain(r.q); /* the clock is set */
	softnic_clock_advance("sim0", 10000000);
	rig_inject(1, 4000, 0);
	for (int i = 0; i < 4; i++)
		kbp_rx_each(kbp_rx_of(r.q), 32, on_part, &all);
	assert_int_equal(all.n, 3);
	assert_true(all.first > r.epoch_ns);
}

/* Nobody wants a chain, and the buffers run out in its middle: it is one packet. */
static void a_packet_that_is_lost_twice_is_counted_once(void **state)
{
	char why[64];

	(void)state;
	assert_int_equal(softnic_options("sim0", "mtu=9000", why, sizeof(why)), 0);
	rig_port("nic=sfn8522", KBP_PORT_NO_MONITOR);
	r.q = queue(KBP_QUEUE_RX, 8, 8);
	rig_flow(r.q, "10.77.0.1:5000");
	rig_inject(6, 50, 0);
	rig_inject(1, 8000, 0);
	assert_int_equal(rig_drain(r.q), 6);
	assert_int_equal(rig_drops(r.q), 1);
}

/* An adapter may say only of the last buffer that the frame was damaged. */
static void a_chain_whose_end_is_damaged_is_dropped_whole(void **state)
{
	char why[64];
	ef_event e[8];

	(void)state;
	assert_int_equal(softnic_options("sim0", "mtu=9000", why, sizeof(why)), 0);
	rig_port("nic=sfn8522", KBP_PORT_STRICT | KBP_PORT_NO_MONITOR);
	r.q = rig_queue(KBP_QUEUE_RX | KBP_QUEUE_MULTI_BUFFER, 0, 64);
	rig_flow(r.q, "10.77.0.1:5000");
	for (int i = 0; i < 40; i++) { /* more than there are buffers, should one stay away */
		rig_inject(1, 4000, 0);
		assert_int_equal(ef_eventq_poll(&kbp_efvi(r.q)->vi, e, 8), 3);
		e[2].rx_discard.type = EF_EVENT_TYPE_RX_DISCARD;
		e[2].rx_discard.subtype = EF_EVENT_RX_DISCARD_CRC_BAD;
		kbp_efvi_sort(kbp_efvi(r.q), e, 3);
		kbp_efvi_push_rx(kbp_efvi_full_q(r.q));
		assert_int_equal(rig_drain(r.q), 0);
	}
	assert_int_equal(rig_counter(r.q, "rx_discard_fcs"), 40);
	assert_int_equal(rig_drops(r.q), 40);
	rig_inject(1, 4000, 0);
	assert_int_equal(rig_drain(r.q), 3);
}

/* ---------------------------------------------------------------- completions */

static unsigned on_forward(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	if (kbp_tx_submit(rx.q, &f, 1) != 1)
		return KBP_DONE;
	++*(unsigned *)arg;
	return KBP_KEEP;
}

/* By reference, frames that are sent on are not bounded by buffers of ours. */
static void completions_that_nobody_fetches_stop_forwarding_and_lose_nothing(void **state)
{
	struct kbp_completion c[64];
	struct kbp_frame f[8];
	struct kbp_txflow *t;
	unsigned sent = 0, own = 0, reaped = 0, n;

	(void)state;
	rig_open("nic=x3522", KBP_QUEUE_COMPLETIONS);
	t = rig_txflow(r.q);
	for (int i = 0; i < 3000; i++) {
		rig_inject(1, 50, 0);
		for (int k = 0; k < 3; k++)
			kbp_rx_each(kbp_rx_of(r.q), 32, on_forward, &sent);
		wire_empty();
	}
	assert_true(sent >= 512 && sent < 3000);
	for (int i = 0; i < 100; i++) {
		n = kbp_tx_reserve(t, f, 8);
		for (unsigned k = 0; k < n; k++) {
			memset(f[k].data, 1, 10);
			f[k].len = 10;
		}
		own += kbp_tx_submit(r.q, f, n);
		rig_drain(r.q);
		wire_empty();
	}
	assert_true(own > 0);
	while ((n = kbp_tx_reap(r.q, c, 64)))
		reaped += n;
	assert_int_equal(reaped, sent + own);
	kbp_txflow_close(t);
}

/* As the library makes it: zero, and its correction. */
static void a_completion_without_a_stamp_has_none(void **state)
{
	struct kbp_completion c;
	struct kbp_frame f;
	struct kbp_txflow *t;
	ef_event e;

	(void)state;
	rig_open("nic=x2522", KBP_QUEUE_COMPLETIONS | KBP_QUEUE_TX_STAMPS);
	t = rig_txflow(r.q);
	assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
	memset(&e, 0, sizeof(e));
	e.tx_timestamp.type = EF_EVENT_TYPE_TX_WITH_TIMESTAMP;
	e.tx_timestamp.rq_id = (uint32_t)f.token;
	e.tx_timestamp.ts_nsec = 178;
	e.tx_timestamp.ts_flags = 3;
	r.q->tx_count->frames++;
	kbp_efvi_sort(kbp_efvi(r.q), &e, 1);
	assert_int_equal(kbp_tx_reap(r.q, &c, 1), 1);
	assert_int_equal(c.flags & KBP_FRAME_TS, 0);
	assert_int_equal(c.ts_ns, 0);
	kbp_txflow_close(t);
}

/* The software NIC refuses no frame: an event of its own is turned into what a device says of one. */
static void a_frame_that_the_device_refuses_is_counted_and_its_buffer_comes_back(void **state)
{
	struct kbp_completion c[4];
	struct kbp_txflow *t;
	ef_event e[8];
	int n;

	(void)state;
	rig_open("nic=sfn8522,tx=dma", KBP_QUEUE_COMPLETIONS);
	t = rig_txflow(r.q);
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 4);
	n = ef_eventq_poll(&kbp_efvi(r.q)->vi, e, 8);
	assert_int_equal(n, 1);
	assert_int_equal(EF_EVENT_TYPE(e[0]), EF_EVENT_TYPE_TX);
	e[0].tx_error.type = EF_EVENT_TYPE_TX_ERROR;
	e[0].tx_error.subtype = EF_EVENT_TX_ERROR_2BIG;
	kbp_efvi_sort(kbp_efvi(r.q), e, 1);
	assert_int_equal(kbp_tx_reap(r.q, c, 4), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(c[i].error, EIO);
	assert_int_equal(rig_counter(r.q, "tx_errors"), 4);
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 4);
	rig_drain(r.q);
	assert_int_equal(kbp_tx_reap(r.q, c, 4), 4);
	wire_empty();
	kbp_txflow_close(t);
}

static void the_devices_memory_is_used_by_both_forms(void **state)
{
	struct kbp_frame f;
	struct kbp_txflow *t;

	(void)state;
	rig_open("nic=sfn8522,tx=pio", 0);
	t = rig_txflow(r.q);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(kbp_tx_each(kbp_tx_of(t), 1, on_fill, NULL), 1);
		assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
		memset(f.data, 1, 10);
		f.len = 10;
		assert_int_equal(kbp_tx_submit(r.q, &f, 1), 1);
		wire_empty();
	}
	assert_int_equal(rig_counter(r.q, "tx_by_dma_instead"), 0);
	kbp_txflow_close(t);
	rig_drain(r.q);
	wire_empty();
}

static void a_frame_that_rings_for_itself_is_no_doorbell_in_either_form(void **state)
{
	static const struct {
		const char *words;
		unsigned bells;
	} ways[] = { { "nic=sfn8522,tx=dma", 2 },
		     { "nic=sfn8522,tx=pio", 0 },
		     { "nic=x2522,tx=ctpio", 0 } };

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		struct kbp_frame f[4];
		struct kbp_txflow *t;

		if (r.q)
			rig_close();
		rig_open(ways[i].words, 0);
		t = rig_txflow(r.q);
		assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 4);
		assert_int_equal(kbp_tx_reserve(t, f, 4), 4);
		for (unsigned k = 0; k < 4; k++) {
			memset(f[k].data, 1, 10);
			f[k].len = 10;
		}
		assert_int_equal(kbp_tx_submit(r.q, f, 4), 4);
		assert_int_equal(rig_counter(r.q, "tx_frames"), 8);
		assert_int_equal(rig_counter(r.q, "tx_doorbells"), ways[i].bells);
		rig_drain(r.q);
		wire_empty();
		kbp_txflow_close(t);
	}
}

/* ---------------------------------------------------------------- dead queues */

static void what_comes_behind_a_reset_in_one_poll_revives_nothing(void **state)
{
	struct kbp_frame f[4];
	struct kbp_txflow *t;
	ef_event e[9];
	int n;

	(void)state;
	rig_open("nic=sfn8522,tx=dma", 0);
	t = rig_txflow(r.q);
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 8, on_fill, NULL), 8);
	memset(e, 0, sizeof(e));
	e[0].generic.type = EF_EVENT_TYPE_RESET;
	n = 1 + ef_eventq_poll(&kbp_efvi(r.q)->vi, e + 1, 8);
	assert_true(n > 1);
	kbp_efvi_sort(kbp_efvi(r.q), e, (unsigned)n);
	assert_int_equal(kbp_queue_state(r.q), KBP_QUEUE_RESET);
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 0);
	assert_int_equal(kbp_tx_reserve(t, f, 4), 0);
	wire_empty();
	ok(kbp_queue_reopen(r.q, &r.err));
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 4);
	wire_empty();
	kbp_txflow_close(t);
}

static void received_frames_can_be_given_up_by_cancel_on_a_dead_queue(void **state)
{
	struct kbp_frame f[8];

	(void)state;
	rig_open("nic=sfn8522,tx=dma", 0);
	rig_inject(8, 50, 0);
	assert_int_equal(kbp_rx_peek(r.q, f, 8), 8);
	softnic_fault("sim0", SOFTNIC_RESET, 1);
	rig_drain(r.q);
	kbp_tx_cancel(r.q, f, 8);
	assert_int_equal(r.q->held, 0); /* the teardown closes without force */
}

static void a_reopen_that_fails_leaves_a_queue_that_can_be_tried_again(void **state)
{
	static const char *const words[] = { "nic=x2522", "nic=x3522" };

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(words); i++) {
		struct kbp_template *tpl;
		struct kbp_frame f[8];
		struct kbp_txflow *t;
		struct kbp_flow flow;

		if (r.q)
			rig_close();
		rig_open(words[i], 0);
		t = rig_txflow(r.q);
		ok(kbp_template_open(t, "abcd", 4, &tpl, &r.err));
		rig_inject(8, 50, 0);
		assert_int_equal(kbp_rx_peek(r.q, f, 8), 8);
		softnic_fault("sim0", SOFTNIC_RESET, 1);
		rig_drain(r.q);
		no_vi = true;
		assert_int_equal(kbp_queue_reopen(r.q, &r.err), -ENOSPC);
		kbp_rx_release(r.q, f, 8);
		assert_int_equal(kbp_rx_peek(r.q, f, 8), 0);
		assert_int_equal(kbp_template_send(tpl), 0);
		assert_int_equal(kbp_tx_each(kbp_tx_of(t), 4, on_fill, NULL), 0);
		ok(kbp_flow_parse("10.77.0.1:5001", &flow, &r.err));
		assert_true(kbp_flow_add(r.q, &flow, NULL, &r.err) < 0);
		assert_int_equal(kbp_queue_fd(r.q), -1);
		assert_int_equal(rig_drops(r.q), 0);
		no_vi = false;
		ok(kbp_queue_reopen(r.q, &r.err));
		rig_inject(20, 50, 0);
		assert_int_equal(rig_drain(r.q), 20);
		kbp_template_close(tpl);
		kbp_txflow_close(t);
	}
}

#define edge(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		edge(as_many_frames_as_promised_are_held_over_any_ring),
		edge(every_part_of_a_chain_has_the_stamp_of_its_packet),
		edge(a_packet_that_is_lost_twice_is_counted_once),
		edge(a_chain_whose_end_is_damaged_is_dropped_whole),
		edge(completions_that_nobody_fetches_stop_forwarding_and_lose_nothing),
		edge(a_completion_without_a_stamp_has_none),
		edge(a_frame_that_the_device_refuses_is_counted_and_its_buffer_comes_back),
		edge(the_devices_memory_is_used_by_both_forms),
		edge(a_frame_that_rings_for_itself_is_no_doorbell_in_either_form),
		edge(what_comes_behind_a_reset_in_one_poll_revives_nothing),
		edge(received_frames_can_be_given_up_by_cancel_on_a_dead_queue),
		edge(a_reopen_that_fails_leaves_a_queue_that_can_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
