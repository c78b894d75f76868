/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ef_vi_tx.c - sending by ef_vi: the three ways and their fallbacks, stamps, warming, templates. */
#include "rig.h"

static const char *const ways[] = { "nic=sfn8522,tx=dma", "nic=sfn8522", "nic=x2522", "nic=x3522",
				    "nic=x4542,express" };
static const enum kbp_tx_mode modes[] = { KBP_TX_MODE_DMA, KBP_TX_MODE_PIO, KBP_TX_MODE_CTPIO,
					  KBP_TX_MODE_CTPIO, KBP_TX_MODE_CTPIO };

static void again(const char *words, uint32_t flags)
{
	if (r.q)
		rig_close();
	softnic_wire_clear("sim0");
	rig_open(words, flags);
}

static uint32_t on_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	uint32_t *number = arg, len = *number % 900 + 4;

	(void)tx;
	memset(f.data, (int)(*number & 0x7f), len);
	memcpy(f.data, number, sizeof(*number));
	++*number;
	return len;
}

/* What was sent is frame `number`, once, whole and with right checksums. */
static void expect(uint32_t number)
{
	uint8_t frame[2048];
	uint32_t n = rig_collect(frame, sizeof(frame)), got, len = number % 900 + 4;

	assert_int_equal(n, len + 42 < 60 ? 60 : len + 42);
	assert_true(frame_checksums_ok(frame, n));
	memcpy(&got, frame + 42, sizeof(got));
	assert_int_equal(got, number);
	for (uint32_t i = 4; i < len; i++)
		assert_int_equal(frame[42 + i], number & 0x7f);
}

static unsigned send_some(struct kbp_txflow *t, unsigned n, uint32_t *number)
{
	return kbp_tx_each(kbp_tx_of(t), n, on_fill, number);
}

static void nothing_more(void)
{
	uint8_t frame[2048];

	rig_drain(r.q);
	assert_int_equal(rig_collect(frame, sizeof(frame)), 0);
}

static void the_quickest_way_is_chosen_and_reported(void **state)
{
	struct kbp_queue_info info;

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		again(ways[i], 0);
		kbp_queue_info(r.q, &info);
		assert_int_equal(info.tx_mode, modes[i]);
	}
}

static void every_way_sends_the_same_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		uint32_t number = 0, seen = 0;
		struct kbp_txflow *t;

		again(ways[i], 0);
		t = rig_txflow(r.q);
		while (number < 3000) {
			send_some(t, number % 29 + 1, &number);
			while (seen < number)
				expect(seen++);
		}
		nothing_more();
		assert_int_equal(rig_counter(r.q, "tx_frames"), number);
		kbp_txflow_close(t);
	}
}

static void a_way_the_adapter_lacks_is_refused_or_reported(void **state)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	struct kbp_port_info info;
	struct kbp_queue_info qi;

	(void)state;
	o.args = "nic=sfn8522,tx=ctpio";
	o.flags = KBP_PORT_STRICT | KBP_PORT_NO_MONITOR;
	assert_int_equal(kbp_port_open("ef_vi_sim", "sim0", &o, &r.port, &r.err), -EOPNOTSUPP);
	assert_null(r.port);
	o.flags = KBP_PORT_NO_MONITOR;
	ok(kbp_port_open("ef_vi_sim", "sim0", &o, &r.port, &r.err));
	kbp_port_info(r.port, &info);
	assert_int_not_equal(info.note[0], 0);
	r.q = rig_queue(0, 0, 512);
	kbp_queue_info(r.q, &qi);
	assert_int_equal(qi.tx_mode, KBP_TX_MODE_PIO);
	assert_string_equal(qi.note, info.note);
}

/* The device's memory takes a few short frames at a time; the rest goes by DMA, in order. */
static void what_does_not_fit_pio_goes_by_dma(void **state)
{
	uint32_t number = 300, seen = 300; /* frames of more than 256 bytes */
	struct kbp_txflow *t;

	(void)state;
	rig_open("nic=sfn8522", 0);
	t = rig_txflow(r.q);
	assert_int_equal(send_some(t, 10, &number), 10);
	assert_int_equal(rig_counter(r.q, "tx_by_dma_instead"), 10);
	while (seen < number)
		expect(seen++);
	number = seen = 0;
	softnic_fault("sim0", SOFTNIC_HOLD_TX, 1); /* parts stay in use */
	assert_int_equal(send_some(t, 30, &number), 30);
	assert_in_range(rig_counter(r.q, "tx_by_dma_instead"), 10 + 30 - KBP_EFVI_PIO_SLOTS, 10 + 29);
	softnic_fault("sim0", SOFTNIC_HOLD_TX, 0);
	while (seen < number)
		expect(seen++);
	nothing_more();
	kbp_txflow_close(t);
}

static void a_cut_through_send_that_fails_goes_out_by_its_fallback_once(void **state)
{
	uint32_t number = 0, seen = 0;
	struct kbp_txflow *t;

	(void)state;
	rig_open("nic=x2522", 0);
	t = rig_txflow(r.q);
	softnic_fault("sim0", SOFTNIC_EVERY_CTPIO_LOSES, 2);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(send_some(t, 5, &number), 5);
	while (seen < number)
		expect(seen++);
	nothing_more();
	kbp_txflow_close(t);
}

static void a_full_fifo_refuses_and_then_goes_on(void **state)
{
	uint32_t number = 0, seen = 0;
	struct kbp_txflow *t;

	(void)state;
	rig_open("nic=x3522", 0);
	t = rig_txflow(r.q);
	softnic_fault("sim0", SOFTNIC_CTPIO_FULL, 1);
	assert_int_equal(send_some(t, 5, &number), 0);
	assert_true(rig_counter(r.q, "tx_ring_full") > 0);
	softnic_fault("sim0", SOFTNIC_CTPIO_FULL, 0);
	nothing_more();
	number = 0;
	assert_int_equal(send_some(t, 5, &number), 5);
	while (seen < number)
		expect(seen++);
	kbp_txflow_close(t);
}

/* ---------------------------------------------------------------- completions */

struct both {
	uint32_t frames;
	struct kbp_txflow *t;
	uint32_t number;
};

static unsigned on_frame_send(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct both *b = arg;
	struct kbp_frame out;

	(void)f;
	b->frames++;
	if (kbp_tx_reserve(b->t, &out, 1) != 1)
		return KBP_DONE;
	out.len = on_fill(kbp_tx_of(b->t), out, &b->number);
	if (kbp_tx_submit(rx.q, &out, 1) != 1)
		kbp_tx_cancel(rx.q, &out, 1);
	return KBP_DONE;
}

/* One event queue for both: stamped completions that are met while polling for frames wait, in order. */
static void stamped_completions_met_while_receiving_are_kept_in_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		struct both b = { 0 };
		struct kbp_completion c[64];
		uint64_t last = 0;
		unsigned n = 0, got;

		again(ways[i], KBP_QUEUE_TX_STAMPS | KBP_QUEUE_RX_STAMPS);
		b.t = rig_txflow(r.q);
		softnic_clock_advance("sim0", 300000000);
		rig_drain(r.q);
		while (b.number < 400) {
			rig_inject(4, 50, 0);
			softnic_clock_advance("sim0", 1000);
			for (unsigned polls = 0; polls < 6; polls++)
				kbp_rx_each(kbp_rx_of(r.q), 8, on_frame_send, &b);
		}
		assert_int_equal(b.frames, b.number);
		do {
			got = kbp_tx_reap(r.q, c, 64);
			for (unsigned k = 0; k < got; k++, n++) {
				assert_true(c[k].flags & KBP_FRAME_TS);
				assert_int_equal((c[k].flags & KBP_FRAME_SYNC_MASK) >>
							 KBP_FRAME_SYNC_SHIFT,
						 KBP_SYNC_IN);
				assert_true(c[k].ts_ns >= last);
				last = c[k].ts_ns;
			}
		} while (got);
		assert_int_equal(n, b.number);
		kbp_txflow_close(b.t);
	}
}

/* ---------------------------------------------------------------- warming, templates */

static void warming_sends_nothing_and_leaves_no_trace(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		uint32_t number = 0, seen = 0;
		struct kbp_txflow *t, *raw;

		again(ways[i], KBP_QUEUE_COMPLETIONS);
		t = rig_txflow(r.q);
		ok(kbp_txflow_open_raw(r.q, &raw, &r.err));
		for (unsigned k = 0; k < 600; k++) { /* more often than the ring is long */
			kbp_tx_warm(t);
			kbp_tx_warm(raw);
			if (k % 100 == 99) {
				struct kbp_completion c[8];

				nothing_more();
				assert_int_equal(send_some(t, 3, &number), 3);
				while (seen < number)
					expect(seen++);
				assert_int_equal(kbp_tx_reap(r.q, c, 8), 3);
			}
		}
		kbp_txflow_close(raw);
		kbp_txflow_close(t);
	}
}

static void templates_lie_in_registered_memory_and_go_every_way(void **state)
{
	uint8_t payload[100], frame[256];

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		struct kbp_template *tpl;
		struct kbp_txflow *t;

		again(ways[i], 0);
		t = rig_txflow(r.q);
		memset(payload, 7, sizeof(payload));
		ok(kbp_template_open(t, payload, sizeof(payload), &tpl, &r.err));
		for (uint32_t k = 0; k < 1200; k++) {
			assert_int_equal(kbp_template_patch(tpl, 10, &k, sizeof(k)), sizeof(k));
			assert_int_equal(kbp_template_send(tpl), 1);
			assert_int_equal(rig_collect(frame, sizeof(frame)), 142);
			assert_true(frame_checksums_ok(frame, 142));
			assert_memory_equal(frame + 42 + 10, &k, sizeof(k));
		}
		kbp_template_close(tpl);
		kbp_txflow_close(t);
	}
}

/* A device that lets go late: nothing blocks, nothing is sent twice. */
static void late_completions_hold_buffers_back_and_nothing_else(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(ways); i++) {
		uint32_t number = 0, seen = 0, sent;
		struct kbp_txflow *t;

		again(ways[i], 0);
		t = rig_txflow(r.q);
		softnic_fault("sim0", SOFTNIC_HOLD_TX, 1);
		while ((sent = send_some(t, 32, &number)))
			;
		sent = (uint32_t)rig_counter(r.q, "tx_frames");
		assert_in_range(sent, 20, 512);
		assert_int_equal(rig_counter(r.q, "tx_completions"), 0);
		softnic_fault("sim0", SOFTNIC_HOLD_TX, 0);
		while (seen < sent)
			expect(seen++);
		nothing_more();
		assert_int_equal(rig_counter(r.q, "tx_completions"), sent);
		kbp_txflow_close(t);
	}
}

static void a_dead_queue_takes_nothing_and_says_so(void **state)
{
	struct kbp_txflow *t;
	struct kbp_frame f[4];
	uint32_t number = 0;

	(void)state;
	rig_open("nic=x2522", 0);
	t = rig_txflow(r.q);
	assert_int_equal(kbp_tx_reserve(t, f, 4), 4);
	softnic_fault("sim0", SOFTNIC_RESET, 1);
	rig_drain(r.q);
	assert_int_equal(kbp_queue_state(r.q), KBP_QUEUE_RESET);
	for (unsigned i = 0; i < 4; i++)
		f[i].len = 10;
	assert_int_equal(kbp_tx_submit(r.q, f, 4), 0);
	kbp_tx_cancel(r.q, f, 4);
	assert_int_equal(send_some(t, 8, &number), 0);
	assert_int_equal(kbp_tx_reserve(t, f, 4), 0);
	ok(kbp_queue_reopen(r.q, &r.err));
	number = 0;
	assert_int_equal(send_some(t, 8, &number), 8);
	for (uint32_t i = 0; i < 8; i++)
		expect(i);
	kbp_txflow_close(t);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_quickest_way_is_chosen_and_reported),
		TEST(every_way_sends_the_same_bytes),
		TEST(a_way_the_adapter_lacks_is_refused_or_reported),
		TEST(what_does_not_fit_pio_goes_by_dma),
		TEST(a_cut_through_send_that_fails_goes_out_by_its_fallback_once),
		TEST(a_full_fifo_refuses_and_then_goes_on),
		TEST(stamped_completions_met_while_receiving_are_kept_in_order),
		TEST(warming_sends_nothing_and_leaves_no_trace),
		TEST(templates_lie_in_registered_memory_and_go_every_way),
		TEST(late_completions_hold_buffers_back_and_nothing_else),
		TEST(a_dead_queue_takes_nothing_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
