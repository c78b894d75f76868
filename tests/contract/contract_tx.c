/* SPDX-License-Identifier: BSD-2-Clause */
/* contract_tx.c - behaviours of sending: ownership, partial submits, completions, templates,
 * checksums. */
#include <errno.h>
#include <time.h>

#include "contract.h"

static void fill(struct kbp_frame *f, uint32_t number, uint32_t len)
{
	assert_true(f->flags & KBP_FRAME_TX);
	f->len = payload_make(f->data, number, len);
}

/* Everything that was sent, in order, from `first` on. */
static void expect_sent(uint32_t first, uint32_t n, uint32_t len)
{
	uint8_t payload[FRAME_MAX];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t got = collect(payload, sizeof(payload));

		assert_int_not_equal(got, 0);
		if (len)
			assert_int_equal(got, len);
		payload_check(payload, got, first + i);
	}
}

/* Reserve as one does after a burst: buffers come back when the device is done. */
static unsigned reserve_all(struct kbp_txflow *tx, struct kbp_frame *f, unsigned want)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	unsigned n = 0;

	for (unsigned tries = 0; n < want && tries < 2000; tries++) {
		unsigned got = kbp_tx_reserve(tx, f + n, want - n);

		n += got;
		if (!got)
			nanosleep(&ms, NULL);
	}
	return n;
}

static void sent_frames_carry_payload_lengths_and_right_checksums(void **state)
{
	static const uint32_t lens[] = { 4, 5, 18, 19, 63, 64, 65, 200, 1000, 1471, 1472 };
	struct kbp_txflow *tx;
	struct kbp_frame f;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (uint32_t i = 0; i < KBP_ARRAY_SIZE(lens); i++) {
		assert_int_equal(reserve_all(tx, &f, 1), 1);
		assert_true(f.len >= 1472);
		fill(&f, i, lens[i]);
		assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
		expect_sent(i, 1, lens[i]); /* collect() checks both checksums */
	}
	kbp_txflow_close(tx);
}

/* The one payload whose sum is 0xffff: its checksum would be 0, which means "none" (RFC 768). */
static void a_checksum_of_zero_is_sent_as_all_ones(void **state)
{
	struct kbp_txflow *tx;
	uint8_t payload[8], frame[128];
	struct kbp_frame f;
	struct frame_addr a = { .src_ip = OUR_IP,
				.dst_ip = TX_GROUP,
				.src_port = RX_PORT + 1,
				.dst_port = TX_PORT };
	uint16_t sum;
	uint32_t n;

	(void)state;
	memset(payload, 0, sizeof(payload));
	frame_udp(frame, &a, payload, sizeof(payload));
	sum = (uint16_t)(frame[40] << 8 |
			 frame[41]); /* what this word must add to make the sum all ones */
	frame_be16(payload, sum);
	open_default(0, 0);
	tx = open_txflow(t.q);
	assert_int_equal(reserve_all(tx, &f, 1), 1);
	memcpy(f.data, payload, sizeof(payload));
	f.len = sizeof(payload);
	assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
	while ((n = t.s->wire->collect(frame, sizeof(frame), 500)) &&
	       (frame[36] << 8 | frame[37]) != TX_PORT)
		;
	assert_true(n >= 50);
	assert_int_equal(frame[40] << 8 | frame[41], 0xffff);
	assert_true(frame_checksums_ok(frame, n));
	kbp_txflow_close(tx);
}

static void headers_name_source_and_destination(void **state)
{
	struct kbp_txflow *tx;
	uint8_t frame[FRAME_MAX];
	struct kbp_datagram d;
	struct kbp_frame f;
	uint32_t n;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	assert_int_equal(reserve_all(tx, &f, 1), 1);
	fill(&f, 1, 100);
	assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
	do {
		n = t.s->wire->collect(frame, sizeof(frame), 500);
		assert_int_not_equal(n, 0);
		assert_int_equal(kbp_datagram_parse(frame, n, false, &d), KBP_PARSE_OK);
	} while (d.dst_port != TX_PORT);
	assert_memory_equal(frame, "\x01\x00\x5e\x07\x07\x08", 6);
	assert_memory_equal(frame + 6, t.rx_addr.dst_mac, 6);
	assert_memory_equal(d.src.bytes, "\x0a\x4d\x00\x01", 4);
	assert_memory_equal(d.dst.bytes, "\xef\x07\x07\x08", 4);
	assert_int_equal(d.src_port, RX_PORT + 1);
	kbp_txflow_close(tx);
}

/* Frames of three reservations are submitted and cancelled in parts and out of order, many times
 * over. */
static void reserve_submit_and_cancel_mix_in_any_order_without_leak(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame a[16], b[16], c[16];
	uint32_t sent = 0;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 200; round++) {
		unsigned part = round % 15 + 1;

		assert_int_equal(reserve_all(tx, a, 16), 16);
		assert_int_equal(reserve_all(tx, b, 16), 16);
		kbp_tx_cancel(t.q, a + part, 16 - part);
		assert_int_equal(reserve_all(tx, c, 4), 4);
		for (unsigned i = 0; i < 4; i++)
			fill(&c[i], sent + i, 60);
		assert_int_equal(kbp_tx_submit(t.q, c, 4), 4);
		for (unsigned i = 0; i < part; i++)
			fill(&a[i], sent + 4 + i, 60);
		assert_int_equal(kbp_tx_submit(t.q, a, part), part);
		kbp_tx_cancel(t.q, b + 8, 8);
		kbp_tx_cancel(t.q, b, 8);
		expect_sent(sent, 4 + part, 60);
		sent += 4 + part;
	}
	assert_int_equal(counter(t.q, "tx_frames"), sent);
	kbp_txflow_close(tx);
}

/* More than the rings hold, as fast as the caller can: the tail stays his, and nothing is sent
 * twice or lost. */
static void a_partial_submit_leaves_the_tail_with_the_caller(void **state)
{
	static struct kbp_frame f[600];
	struct kbp_txflow *tx;
	uint32_t sent = 0, seen = 0, n;
	unsigned stalls = 0, have;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	while (sent < 2000) {
		have = kbp_tx_reserve(tx, f, 600);
		assert_in_range(have, 0, 600);
		for (unsigned i = 0; i < have; i++)
			fill(&f[i], sent + i, 32);
		for (unsigned at = 0; at < have; at += n) {
			n = kbp_tx_submit(t.q, f + at, have - at);
			assert_in_range(n, 0, have - at);
			expect_sent(seen, n, 32);
			seen += n;
			if (!n)
				assert_in_range(stalls++, 0, 100000);
		}
		sent += have;
		if (!have)
			assert_in_range(stalls++, 0, 100000);
	}
	assert_int_equal(counter(t.q, "tx_frames"), sent);
	kbp_txflow_close(tx);
}

static void all_buffers_can_be_reserved_and_no_more(void **state)
{
	static struct kbp_frame f[4096];
	struct kbp_txflow *tx;
	unsigned n, again;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 3; round++) {
		n = kbp_tx_reserve(tx, f, 4096);
		assert_in_range(n, 200, 4095);
		assert_int_equal(kbp_tx_reserve(tx, f + n, 1), 0);
		for (unsigned i = 1; i < n; i++) /* no buffer twice */
			assert_ptr_not_equal(f[i].data, f[i - 1].data);
		kbp_tx_cancel(t.q, f, n);
		again = kbp_tx_reserve(tx, f, 4096);
		assert_int_equal(again, n);
		kbp_tx_cancel(t.q, f, n);
	}
	assert_true(counter(t.q, "tx_ring_full") > 0);
	kbp_txflow_close(tx);
}

/* ---------------------------------------------------------------- the inline form */

struct filler {
	uint32_t next, end;
};

static uint32_t on_slot(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct filler *s = arg;

	(void)tx;
	if (s->next == s->end)
		return KBP_TX_END;
	assert_true(f.len >= 1400);
	return payload_make(f.data, s->next++, 0);
}

static void a_filler_sends_until_it_says_end(void **state)
{
	struct kbp_txflow *tx;
	struct filler s = { 0 };
	uint32_t seen = 0;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 100; round++) {
		unsigned sent;

		s.end = s.next + round % 11;
		sent = t.inline_form ? kbp_tx_each(kbp_tx_of(tx), 16, on_slot, &s) :
				       kbp_generic_tx_each(kbp_tx_of(tx), 16, on_slot, &s);
		assert_int_equal(sent, round % 11);
		expect_sent(seen, sent, 0);
		seen += sent;
	}
	s.end = UINT32_MAX;
	assert_int_equal(kbp_tx_each(kbp_tx_of(tx), 5, on_slot, &s), 5);
	expect_sent(seen, 5, 0);
	kbp_txflow_close(tx);
}

/* ---------------------------------------------------------------- completions */

static void completions_come_once_each_in_order_of_submission(void **state)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	struct kbp_txflow *tx;
	struct kbp_frame f[8];
	struct kbp_completion c[16];
	uint64_t tokens[512];
	unsigned in = 0, out = 0, idle = 0;

	(void)state;
	open_default(KBP_QUEUE_COMPLETIONS, 0);
	tx = open_txflow(t.q);
	while (out < 1600) {
		unsigned n = 0;

		if (in < 1600 && in - out < 400 && kbp_tx_reserve(tx, f, 8) == 8) {
			for (unsigned i = 0; i < 8; i++) {
				fill(&f[i], in + i, 40);
				tokens[(in + i) % 512] = f[i].token;
			}
			assert_int_equal(kbp_tx_submit(t.q, f, 8), 8);
			expect_sent(in, 8, 40);
			in += 8;
		}
		if (in % 64 == 0 || in == 1600 || in - out >= 400)
			n = kbp_tx_reap(t.q, c, 16);
		for (unsigned i = 0; i < n; i++, out++) {
			assert_true(out < in);
			assert_int_equal(c[i].token, tokens[out % 512]);
			assert_int_equal(c[i].error, 0);
		}
		if (!n && in == 1600) {
			assert_in_range(idle++, 0, 3000);
			nanosleep(&ms, NULL);
		}
	}
	assert_int_equal(kbp_tx_reap(t.q, c, 16), 0);
	kbp_txflow_close(tx);
}

static void without_the_flag_there_are_no_completions(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f;
	struct kbp_completion c[4];

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(reserve_all(tx, &f, 1), 1);
		fill(&f, i, 40);
		assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
		expect_sent(i, 1, 40);
		assert_int_equal(kbp_tx_reap(t.q, c, 4), 0);
	}
	kbp_txflow_close(tx);
}

/* RX and TX share an event queue on some devices: what one side meets of the other's is kept for
 * it. */
static void receiving_loses_no_completion_and_sending_no_frame(void **state)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	struct kbp_txflow *tx;
	struct kbp_frame f[4];
	struct kbp_completion c[64];
	struct sink s = { 0 };
	unsigned reaped = 0, idle = 0;

	(void)state;
	open_default(KBP_QUEUE_COMPLETIONS, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 100; round++) {
		inject(3);
		assert_int_equal(kbp_tx_reserve(tx, f, 4), 4);
		for (unsigned i = 0; i < 4; i++)
			fill(&f[i], round * 4 + i, 50);
		assert_int_equal(kbp_tx_submit(t.q, f, 4), 4);
		if (round % 3 == 0) /* this side meets the other's events */
			pump_until(t.q, 4, on_numbered, &s, &s.frames, t.next_out);
		if (round % 10 == 9)
			reaped += kbp_tx_reap(t.q, c, 64);
		expect_sent(round * 4, 4, 50);
	}
	pump_until(t.q, 4, on_numbered, &s, &s.frames, 300);
	while (reaped < 400 && idle < 3000) {
		unsigned n = kbp_tx_reap(t.q, c, 64);

		reaped += n;
		if (!n) {
			idle++;
			nanosleep(&ms, NULL);
		}
	}
	assert_int_equal(reaped, 400);
	kbp_txflow_close(tx);
}

static void a_forwarded_frame_comes_home_with_its_completion(void **state)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	uint8_t frame[FRAME_MAX];
	struct kbp_completion c[8];
	struct kbp_frame f[4];

	(void)state;
	open_default(KBP_QUEUE_COMPLETIONS, 16);
	for (unsigned i = 0; i < 400; i++) {
		unsigned n = 0;

		inject(4);
		hold_frames(t.q, f, 4);
		assert_int_equal(kbp_tx_submit(t.q, f, 4), 4);
		assert_int_equal(t.q->held, 0);
		for (unsigned k = 0; k < 4; k++)
			assert_int_not_equal(t.s->wire->collect(frame, sizeof(frame), 500), 0);
		for (unsigned tries = 0; n < 4 && tries < 2000; tries++) {
			unsigned got = kbp_tx_reap(t.q, c + n, 8 - n);

			n += got;
			if (!got)
				nanosleep(&ms, NULL);
		}
		assert_int_equal(n, 4);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(c[k].token, f[k].token);
	}
	assert_int_equal(kbp_tx_reap(t.q, c, 8), 0);
}

static void stamped_completions_name_a_time(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f[8];
	struct kbp_completion c[8];
	uint64_t last = 0;

	(void)state;
	open_default(KBP_QUEUE_TX_STAMPS, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(kbp_tx_reserve(tx, f, 8), 8);
		for (unsigned i = 0; i < 8; i++)
			fill(&f[i], i, 50);
		assert_int_equal(kbp_tx_submit(t.q, f, 8), 8);
		assert_int_equal(kbp_tx_reap(t.q, c, 8), 8);
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(c[i].token, f[i].token);
			assert_true(c[i].flags & KBP_FRAME_TS && c[i].ts_ns > last);
			last = c[i].ts_ns;
		}
	}
	kbp_txflow_close(tx);
}

/* ---------------------------------------------------------------- templates */

static unsigned patch_when_free(struct kbp_template *tpl, uint32_t at, const void *bytes, uint32_t len)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	unsigned n = 0;

	for (unsigned tries = 0; !n && tries < 2000; tries++) {
		n = kbp_template_patch(tpl, at, bytes, len);
		if (!n)
			nanosleep(&ms, NULL);
	}
	return n;
}

static void a_template_is_patched_and_sent_many_times(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_template *tpl;
	uint8_t payload[100];

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	payload_make(payload, 0, sizeof(payload));
	assert_int_equal(kbp_template_open(tx, payload, sizeof(payload), &tpl, &t.err), 0);
	for (uint32_t i = 0; i < 600; i++) {
		payload_make(payload, i, sizeof(payload));
		assert_int_equal(patch_when_free(tpl, 0, payload, 50), 50);
		assert_int_equal(patch_when_free(tpl, 50, payload + 50, 50), 50);
		assert_int_equal(kbp_template_send(tpl), 1);
		expect_sent(i, 1, sizeof(payload));
	}
	assert_int_equal(patch_when_free(tpl, 0, payload, 1), 1);
	assert_int_equal(kbp_template_patch(tpl, 100, payload, 1), 0);
	assert_int_equal(kbp_template_patch(tpl, 99, payload, 2), 0);
	assert_int_equal(kbp_template_patch(tpl, 4, payload, UINT32_MAX - 2), 0);
	kbp_template_close(tpl);
	kbp_txflow_close(tx);
}

static void a_template_in_flight_is_not_touched(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_template *tpl;
	uint8_t payload[64];
	struct sink s = { 0 };

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	payload_make(payload, 3, sizeof(payload));
	assert_int_equal(kbp_template_open(tx, payload, sizeof(payload), &tpl, &t.err), 0);
	sim_stall_tx(true);
	assert_int_equal(kbp_template_send(tpl), 1);
	assert_int_equal(kbp_template_patch(tpl, 0, "x", 1), 0);
	assert_int_equal(kbp_template_send(tpl), 0);
	sim_stall_tx(false);
	inject(1);
	pump_until(t.q, 4, on_numbered, &s, &s.frames, 1); /* its completion is met on the RX
							    * side */
	assert_int_equal(patch_when_free(tpl, 0, payload, 64), 64);
	assert_int_equal(kbp_template_send(tpl), 1);
	expect_sent(3, 1, 64);
	expect_sent(3, 1, 64);
	kbp_template_close(tpl);
	kbp_txflow_close(tx);
}

static void a_txflow_closed_with_a_template_in_flight_leaves_its_buffer_alone(void **state)
{
	struct kbp_template *first, *second;
	struct kbp_txflow *tx;
	uint8_t payload[64];

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	payload_make(payload, 5, sizeof(payload));
	assert_int_equal(kbp_template_open(tx, payload, sizeof(payload), &first, &t.err), 0);
	sim_stall_tx(true);
	assert_int_equal(kbp_template_send(first), 1);
	kbp_txflow_close(tx);
	tx = open_txflow(t.q);
	memset(payload, 0, sizeof(payload));
	assert_int_equal(kbp_template_open(tx, payload, sizeof(payload), &second, &t.err), 0);
	sim_stall_tx(false);
	inject(1); /* the device goes on */
	expect_sent(5, 1, 64);
	kbp_template_close(second);
	kbp_txflow_close(tx);
}

static void received_frames_may_be_cancelled_instead_of_sent_on(void **state)
{
	struct kbp_frame f[8];

	(void)state;
	open_default(0, 8);
	for (unsigned i = 0; i < 500; i++) { /* more than there are buffers */
		inject(8);
		hold_frames(t.q, f, 8);
		kbp_tx_cancel(t.q, f, 8);
		assert_int_equal(t.q->held, 0);
	}
}

/* Ring and buffers full because the device does nothing: no call blocks, nothing is lost when it
 * goes on. */
static void a_stalled_device_refuses_and_then_goes_on(void **state)
{
	static struct kbp_frame f[600];
	struct kbp_txflow *tx;
	unsigned have, sent;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	sim_stall_tx(true);
	have = kbp_tx_reserve(tx, f, 600);
	for (unsigned i = 0; i < have; i++)
		fill(&f[i], i, 40);
	sent = kbp_tx_submit(t.q, f, have);
	if (t.s->traits & T_DESC)
		assert_int_equal(sent, 511); /* one less than the ring's size */
	else
		assert_in_range(sent, 1, 511); /* what fits the FIFO */
	assert_int_equal(kbp_tx_submit(t.q, f + sent, have - sent), 0);
	assert_true(counter(t.q, "tx_ring_full") > 0);
	sim_stall_tx(false);
	for (unsigned tries = 0; sent < have; sent += kbp_tx_submit(t.q, f + sent, have - sent))
		assert_in_range(tries++, 0, 10);
	expect_sent(0, have, 40);
	kbp_txflow_close(tx);
}

static void a_template_larger_than_a_frame_is_refused(void **state)
{
	static uint8_t payload[65536];
	struct kbp_txflow *tx;
	struct kbp_template *tpl = (void *)payload;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	assert_int_equal(kbp_template_open(tx, payload, sizeof(payload), &tpl, &t.err), -EMSGSIZE);
	assert_null(tpl);
	kbp_txflow_close(tx);
}

/* ---------------------------------------------------------------- raw frames */

static void raw_frames_go_out_as_written(void **state)
{
	struct kbp_txflow *raw;
	struct kbp_frame f;
	uint8_t payload[200], frame[256], got[FRAME_MAX];
	struct frame_addr a = { .src_ip = OUR_IP,
				.dst_ip = TX_GROUP,
				.src_port = 77,
				.dst_port = TX_PORT };
	uint32_t len, n;

	(void)state;
	open_default(0, 0);
	assert_int_equal(kbp_txflow_open_raw(t.q, &raw, &t.err), 0);
	memcpy(a.src_mac, t.rx_addr.dst_mac, 6);
	for (uint32_t i = 0; i < 20; i++) {
		len = frame_udp(frame, &a, payload, payload_make(payload, i, 100 + i));
		assert_int_equal(reserve_all(raw, &f, 1), 1);
		memcpy(f.data, frame, len);
		f.len = len;
		assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
		n = t.s->wire->collect(got, sizeof(got), 500);
		assert_int_equal(n, len);
		assert_memory_equal(got, frame, len);
	}
	kbp_txflow_close(raw);
}

static void raw_frames_are_refused_where_there_is_no_ethernet(void **state)
{
	struct kbp_txflow *raw = (void *)&t;
	int rc;

	(void)state;
	open_default(0, 0);
	rc = kbp_txflow_open_raw(t.q, &raw, &t.err);
	if (t.s->traits & T_L2) {
		assert_int_equal(rc, 0);
		kbp_txflow_close(raw);
	} else {
		assert_int_equal(rc, -EOPNOTSUPP);
		assert_null(raw);
		assert_int_not_equal(t.err.hint[0], 0);
	}
}

const struct behaviour tx_behaviours[] = {
	{ "sent frames carry payload, lengths and right checksums",
	  sent_frames_carry_payload_lengths_and_right_checksums, 0, FORM_ARRAY },
	{ "a checksum of zero is sent as all ones", a_checksum_of_zero_is_sent_as_all_ones, 0,
	  FORM_ARRAY },
	{ "headers name source and destination", headers_name_source_and_destination, 0, FORM_ARRAY },
	{ "reserve, submit and cancel mix in any order without leak",
	  reserve_submit_and_cancel_mix_in_any_order_without_leak, 0, FORM_ARRAY },
	{ "a partial submit leaves the tail with the caller",
	  a_partial_submit_leaves_the_tail_with_the_caller, 0, FORM_ARRAY },
	{ "all buffers can be reserved, and no more", all_buffers_can_be_reserved_and_no_more, 0,
	  FORM_ARRAY },
	{ "a filler sends until it says end", a_filler_sends_until_it_says_end, 0, FORM_BOTH },
	{ "completions come once each, in order of submission",
	  completions_come_once_each_in_order_of_submission, 0, FORM_ARRAY },
	{ "without the flag there are no completions", without_the_flag_there_are_no_completions, 0,
	  FORM_ARRAY },
	{ "receiving loses no completion and sending no frame",
	  receiving_loses_no_completion_and_sending_no_frame, 0, FORM_BOTH },
	{ "a forwarded frame comes home with its completion",
	  a_forwarded_frame_comes_home_with_its_completion, T_L2, FORM_ARRAY },
	{ "stamped completions name a time", stamped_completions_name_a_time, T_SIM | T_TS,
	  FORM_ARRAY },
	{ "a template is patched and sent many times", a_template_is_patched_and_sent_many_times, 0,
	  FORM_ARRAY },
	{ "a template in flight is not touched", a_template_in_flight_is_not_touched, T_SIM,
	  FORM_ARRAY },
	{ "a txflow closed with a template in flight leaves its buffer alone",
	  a_txflow_closed_with_a_template_in_flight_leaves_its_buffer_alone, T_SIM, FORM_ARRAY },
	{ "received frames may be cancelled instead of sent on",
	  received_frames_may_be_cancelled_instead_of_sent_on, T_L2, FORM_ARRAY },
	{ "a stalled device refuses, and then goes on", a_stalled_device_refuses_and_then_goes_on,
	  T_SIM, FORM_ARRAY },
	{ "a template larger than a frame is refused", a_template_larger_than_a_frame_is_refused, 0,
	  FORM_ARRAY },
	{ "raw frames go out as written", raw_frames_go_out_as_written, T_L2, FORM_ARRAY },
	{ "raw frames are refused where there is no Ethernet",
	  raw_frames_are_refused_where_there_is_no_ethernet, 0, FORM_ARRAY },
};

const unsigned n_tx_behaviours = KBP_ARRAY_SIZE(tx_behaviours);
