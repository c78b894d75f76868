/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket backend on a veth pair and on loopback. */
#include "sock_lab.h"

/* ---------------------------------------------------------------- receive */

static void a_datagram_arrives_with_its_source_and_destination(void **state)
{
	struct kbp_datagram d;
	struct kbp_frame f;

	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000");
	inject(FAR_IP, 4000, NEAR_IP, 5000, "hello", 5);
	assert_int_equal(next_frame(&f), 1);
	assert_int_equal(kbp_datagram(q, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, 5);
	assert_memory_equal(d.payload, "hello", 5);
	assert_int_equal(d.src_port, 4000);
	assert_int_equal(d.dst_port, 5000);
	assert_memory_equal(d.src.bytes, ((uint8_t[]){ 10, 77, 0, 2 }), 4);
	assert_memory_equal(d.dst.bytes, ((uint8_t[]){ 10, 77, 0, 1 }), 4);
	kbp_rx_release(q, &f, 1);
}

static void a_port_nobody_asked_for_stays_with_the_kernel(void **state)
{
	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000");
	inject(FAR_IP, 4000, NEAR_IP, 5001, "other", 5);
	expect_nothing();
	inject(FAR_IP, 4000, NEAR_IP, 5000, "mine", 4);
	expect_text("mine");
}

static void a_source_address_is_matched_and_the_others_are_counted(void **state)
{
	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000@10.77.0.2");
	inject(0x0a4d0003, 4000, NEAR_IP, 5000, "foreign", 7);
	inject(FAR_IP, 4000, NEAR_IP, 5000, "mine", 4);
	inject(0x0a4d0003, 4000, NEAR_IP, 5000, "foreign", 7);
	expect_text("mine");
	expect_nothing();
	assert_int_equal(counter("rx_filtered"), 2);
	assert_int_equal(counter("rx_frames"), 1);
}

static void a_source_with_its_port_is_matched_by_the_kernel(void **state)
{
	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000@10.77.0.2:4000");
	inject(FAR_IP, 4001, NEAR_IP, 5000, "foreign", 7);
	inject(FAR_IP, 4000, NEAR_IP, 5000, "mine", 4);
	expect_text("mine");
	expect_nothing();
	assert_int_equal(counter("rx_filtered"), 0);
}

static void several_flows_are_served_in_turn(void **state)
{
	struct kbp_frame f[8];
	unsigned seen[2] = { 0 };

	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000");
	listen_to("10.77.0.1:5001");
	for (unsigned i = 0; i < 8; i++)
		inject(FAR_IP, 4000, NEAR_IP, (uint16_t)(5000 + i % 2), "x", 1);
	for (unsigned poll = 0; poll < 4; poll++) {
		unsigned n = kbp_rx_peek(q, f, 2);

		assert_int_equal(n, 2);
		for (unsigned i = 0; i < n; i++) {
			struct kbp_datagram d;

			kbp_datagram(q, &f[i], &d);
			seen[d.dst_port - 5000]++;
		}
		kbp_rx_release(q, f, n);
		assert_true(seen[0] + 2 >= seen[1] && seen[1] + 2 >= seen[0]);
	}
	assert_int_equal(seen[0], 4);
	assert_int_equal(seen[1], 4);
}

static void held_frames_keep_their_bytes_and_stop_at_the_bound(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	struct kbp_frame f[8];
	struct kbp_datagram d;

	(void)state;
	opts.flags = KBP_QUEUE_RX;
	opts.hold_max = 4;
	open_queue(NEAR, 0, &opts);
	listen_to("10.77.0.1:5000");
	for (unsigned i = 0; i < 6; i++)
		inject(FAR_IP, (uint16_t)(4000 + i), NEAR_IP, 5000, &i, sizeof(i));
	assert_int_equal(kbp_rx_peek(q, f, 2), 2);
	assert_int_equal(kbp_rx_peek(q, f + 2, 8), 2);
	assert_int_equal(kbp_rx_peek(q, f + 4, 8), 0);
	assert_int_equal(q->held, 4);
	assert_true(counter("rx_hold_limited") > 0);
	kbp_rx_release(q, &f[2], 1);
	kbp_rx_release(q, &f[0], 1);
	assert_int_equal(kbp_rx_peek(q, f + 4, 8), 2);
	for (unsigned i = 0; i < 6; i++) {
		if (i == 0 || i == 2)
			continue;
		assert_memory_equal(f[i].data, &i, sizeof(i));
		kbp_datagram(q, &f[i], &d);
		assert_int_equal(d.src_port, 4000 + i);
		kbp_rx_release(q, &f[i], 1);
	}
	assert_int_equal(q->held, 0);
}

struct script {
	unsigned n, stop_at, keep_at;
	unsigned char text[32];
	uint64_t kept;
};

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct script *s = arg;
	unsigned verdict = KBP_DONE;

	(void)rx;
	s->text[s->n++] = *(const unsigned char *)f.data;
	if (s->n == s->keep_at) {
		s->kept = f.token;
		verdict |= KBP_KEEP;
	}
	if (s->n == s->stop_at)
		verdict |= KBP_STOP;
	return verdict;
}

static void stop_leaves_the_rest_for_the_next_poll_in_order(void **state)
{
	struct script s = { .stop_at = 3, .keep_at = 2 };
	struct kbp_frame f;

	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("10.77.0.1:5000");
	for (unsigned char c = 'a'; c < 'h'; c++)
		inject(FAR_IP, 4000, NEAR_IP, 5000, &c, 1);
	assert_int_equal(kbp_rx_each(kbp_rx_of(q), 32, on_frame, &s), 3);
	assert_int_equal(q->held, 1);
	assert_true(kbp_wait(&q, 1, 0) > 0); /* what is left over is no longer in the socket */
	assert_int_equal(kbp_rx_peek(q, &f, 1), 1);
	s.text[s.n++] = *(unsigned char *)f.data;
	kbp_rx_release(q, &f, 1);
	assert_int_equal(kbp_rx_each(kbp_rx_as(q, KBP_SOCKET), 2, on_frame, &s), 2);
	assert_int_equal(kbp_rx_each(kbp_rx_of(q), 32, on_frame, &s), 1);
	assert_memory_equal(s.text, "abcdefg", 7);
	kbp_rx_return(kbp_rx_of(q), s.kept);
	assert_int_equal(q->held, 0);
	assert_int_equal(counter("rx_frames"), 7);
}

static unsigned on_kept(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_frame *kept = arg;

	(void)rx;
	kept[*(unsigned char *)f.data] = f;
	return KBP_KEEP;
}

static void kept_frames_survive_later_polls(void **state)
{
	struct kbp_frame kept[16];
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	unsigned got = 0;

	(void)state;
	opts.flags = KBP_QUEUE_RX;
	opts.hold_max = 8;
	open_queue(NEAR, 0, &opts);
	listen_to("10.77.0.1:5000");
	for (unsigned char i = 0; i < 16; i++) {
		unsigned char bytes[2] = { i, (unsigned char)~i };

		inject(FAR_IP, 4000, NEAR_IP, 5000, bytes, 2);
	}
	for (unsigned i = 0; i < 4; i++)
		got += kbp_rx_each(kbp_rx_of(q), 3, on_kept, kept);
	assert_int_equal(got, 8);
	assert_int_equal(q->held, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(((unsigned char *)kept[i].data)[1], (unsigned char)~i);
		kbp_rx_return(kbp_rx_of(q), kept[7 - i].token);
	}
	for (unsigned i = 0; i < 4; i++)
		got += kbp_rx_each(kbp_rx_of(q), 32, on_kept, kept);
	assert_int_equal(got, 16);
	for (unsigned i = 8; i < 16; i++)
		assert_int_equal(((unsigned char *)kept[i].data)[1], (unsigned char)~i);
}

static void a_datagram_larger_than_a_buffer_is_dropped_and_counted(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	uint8_t big[600] = { 0 };

	(void)state;
	opts.flags = KBP_QUEUE_RX;
	open_queue(NEAR, 256, &opts);
	listen_to("10.77.0.1:5000");
	inject(FAR_IP, 4000, NEAR_IP, 5000, big, sizeof(big));
	inject(FAR_IP, 4000, NEAR_IP, 5000, "small", 5);
	expect_text("small");
	assert_int_equal(counter("rx_truncated"), 1);
	assert_int_equal(counter("rx_frames"), 1);
}

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned on_stamp(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	*(struct kbp_stamp *)arg = kbp_frame_ts(rx, &f);
	return KBP_DONE;
}

static void stamps_are_the_kernels_and_lie_between_send_and_poll(void **state)
{
	uint64_t before = realtime_ns(), after;
	struct kbp_queue_info info;
	struct kbp_stamp stamp = { 0 };
	struct kbp_frame f = { 0 };

	(void)state;
	open_near(KBP_QUEUE_RX | KBP_QUEUE_RX_STAMPS);
	listen_to("10.77.0.1:5000");
	inject(FAR_IP, 4000, NEAR_IP, 5000, "x", 1);
	assert_int_equal(next_frame(&f), 1);
	kbp_rx_release(q, &f, 1);
	after = realtime_ns();
	assert_true(f.flags & KBP_FRAME_TS);
	assert_true(f.ts_ns >= before && f.ts_ns <= after);
	inject(FAR_IP, 4000, NEAR_IP, 5000, "x", 1);
	assert_int_equal(kbp_rx_each(kbp_rx_of(q), 1, on_stamp, &stamp), 1);
	assert_true(stamp.flags & KBP_FRAME_TS);
	assert_true(stamp.ns >= after && stamp.ns <= realtime_ns());
	kbp_queue_info(q, &info);
	assert_int_equal(info.ts_source, KBP_TS_KERNEL);
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	assert_int_equal(info.ts_epoch, KBP_EPOCH_UTC);
}

static void an_overflowing_receive_buffer_closes_the_account(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	struct kbp_frame f[64];
	uint8_t payload[200] = { 0 };
	const unsigned sent = 3000;
	unsigned delivered = 0, n;

	(void)state;
	opts.flags = KBP_QUEUE_RX;
	opts.rcvbuf_bytes = 64 << 10;
	open_queue(NEAR, 0, &opts);
	listen_to("10.77.0.1:5000");
	for (unsigned i = 0; i < sent; i++)
		inject(FAR_IP, 4000, NEAR_IP, 5000, payload, sizeof(payload));
	while ((n = kbp_rx_peek(q, f, 64))) {
		delivered += n;
		kbp_rx_release(q, f, n);
	}
	assert_true(delivered < sent);
	assert_int_equal(delivered + counter("socket_dropped"), sent);
}

static void a_deleted_flow_takes_its_drops_and_its_unread_frames_into_the_account(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow_ref *ref;
	struct kbp_frame f;
	uint8_t payload[200] = { 0 };
	const unsigned sent = 2000;

	(void)state;
	opts.flags = KBP_QUEUE_RX;
	opts.rcvbuf_bytes = 64 << 10;
	open_queue(NEAR, 0, &opts);
	ref = listen_to("10.77.0.1:5000");
	for (unsigned i = 0; i < sent; i++)
		inject(FAR_IP, 4000, NEAR_IP, 5000, payload, sizeof(payload));
	assert_int_equal(next_frame(&f), 1);
	ok(kbp_flow_del(ref, &err));
	assert_true(counter("socket_dropped") > 0);
	assert_int_equal(1 + counter("socket_dropped") + counter("socket_unread_at_flow_del"), sent);
	kbp_rx_release(q, &f, 1);
	assert_int_equal(q->held, 0);
}

static void the_queue_says_what_it_is(void **state)
{
	struct kbp_queue_info info;

	(void)state;
	open_near(KBP_QUEUE_RX | KBP_QUEUE_TX | KBP_QUEUE_BUSY_POLL);
	listen_to("10.77.0.1:5000");
	kbp_queue_info(q, &info);
	assert_int_equal(info.mode, KBP_MODE_KERNEL);
	assert_int_equal(info.proof, KBP_BOUND);
	assert_int_equal(info.busy_poll, KBP_UNKNOWN);
	assert_int_equal(info.accelerated, KBP_NO);
	assert_int_equal(info.payload_max, 1472);
	assert_true(info.rcvbuf_bytes >= 2u * (8 << 20));
	inject(FAR_IP, 4000, NEAR_IP, 5000, "x", 1);
	expect_text("x");
	kbp_queue_info(q, &info);
	assert_int_equal(info.proof, KBP_PROVEN);
	/* a veth without XDP has no NAPI of its own */
	assert_int_equal(info.busy_poll, KBP_NO);
	assert_non_null(strstr(info.note, "NAPI"));
}

static void what_a_socket_cannot_do_is_refused(void **state)
{
	struct kbp_flow vlan = flow_of("10.77.0.1:5000%7"), foreign = flow_of("10.77.9.9:5000");
	struct kbp_flow mine = flow_of("10.77.0.1:5000"), taken = flow_of("10.77.0.1:5000@10.77.0.2");
	struct kbp_txflow *t;

	(void)state;
	open_near(0);
	assert_int_equal(kbp_flow_add(q, &vlan, NULL, &err), -EOPNOTSUPP);
	assert_int_equal(kbp_flow_add(q, &foreign, NULL, &err), -EADDRNOTAVAIL);
	ok(kbp_flow_add(q, &mine, NULL, &err));
	assert_int_equal(kbp_flow_add(q, &mine, NULL, &err), -EEXIST);
	assert_int_equal(kbp_flow_add(q, &taken, NULL, &err), -EADDRINUSE);
	assert_int_equal(kbp_txflow_open_raw(q, &t, &err), -EOPNOTSUPP);
	assert_null(t);
	assert_true(err.hint[0] != '\0');
}

/* ---------------------------------------------------------------- send */

static void put(struct kbp_frame *f, const void *bytes, uint32_t len)
{
	memcpy(f->data, bytes, len);
	f->len = len;
}

static void expect_on_wire(const void *payload, uint32_t len)
{
	uint8_t frame[2048];
	uint32_t n = far_udp(frame, sizeof(frame));

	assert_true(n >= FRAME_UDP_HDR + len);
	assert_true(frame_checksums_ok(frame, n));
	assert_int_equal(frame[38] << 8 | frame[39], len + 8);
	assert_memory_equal(frame + FRAME_UDP_HDR, payload, len);
}

static void sent_frames_are_on_the_wire_with_right_checksums(void **state)
{
	struct kbp_txflow *t, *group;
	struct kbp_frame f[3];
	uint8_t frame[2048];

	(void)state;
	open_near(KBP_QUEUE_TX);
	t = send_to("10.77.0.2:6000");
	group = send_to("239.7.7.7:6001");
	assert_int_equal(t->room, 1472);
	assert_int_equal(kbp_tx_reserve(t, f, 1), 1);
	assert_int_equal(kbp_tx_reserve(group, f + 1, 1), 1);
	assert_int_equal(kbp_tx_reserve(t, f + 2, 1), 1);
	put(&f[0], "one", 3);
	put(&f[1], "two", 3);
	put(&f[2], "three", 5);
	assert_int_equal(kbp_tx_submit(q, f, 3), 3);
	expect_on_wire("one", 3);
	assert_int_equal(far_udp(frame, sizeof(frame)), FRAME_UDP_HDR + 3);
	assert_memory_equal(frame, ((uint8_t[]){ 0x01, 0x00, 0x5e, 0x07, 0x07, 0x07 }), 6);
	assert_int_equal(frame[22], 1); /* hop limit */
	assert_true(frame_checksums_ok(frame, FRAME_UDP_HDR + 3));
	expect_on_wire("three", 5);
	assert_int_equal(counter("tx_frames"), 3);
	assert_int_equal(counter("tx_errors"), 0);
}

static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	unsigned *left = arg;

	(void)tx;
	if (!*left)
		return KBP_TX_END;
	memset(f.data, (int)*left, 9);
	(*left)--;
	return 9;
}

static void a_filler_sends_until_it_ends(void **state)
{
	unsigned left = 3;
	struct kbp_txflow *t;

	(void)state;
	open_near(KBP_QUEUE_TX);
	t = send_to("10.77.0.2:6000");
	assert_int_equal(kbp_tx_each(kbp_tx_of(t), 32, fill, &left), 3);
	assert_int_equal(kbp_tx_each(kbp_tx_as(t, KBP_SOCKET), 32, fill, &left), 0);
	expect_on_wire("\3\3\3\3\3\3\3\3\3", 9);
	expect_on_wire("\2\2\2\2\2\2\2\2\2", 9);
	expect_on_wire("\1\1\1\1\1\1\1\1\1", 9);
	assert_int_equal(counter("tx_frames"), 3);
}

static void cancelled_and_refused_frames_go_back(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	struct kbp_frame f[16];
	struct kbp_txflow *t;

	(void)state;
	opts.flags = KBP_QUEUE_TX;
	opts.tx_ring = 8;
	open_queue(NEAR, 0, &opts);
	t = send_to("10.77.0.2:6000");
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(kbp_tx_reserve(t, f, 16), 8);
		put(&f[0], "good", 4);
		f[1].len = t->room + 1;
		assert_int_equal(kbp_tx_submit(q, f, 8), 1);
		kbp_tx_cancel(q, f + 1, 7);
	}
	assert_int_equal(kbp_cold(q)->reserved, 0);
	assert_int_equal(counter("tx_frames"), 100);
}

static void every_accepted_frame_completes_once_and_in_order(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	unsigned total = 0, left = 1000, n;
	struct kbp_completion c[512];
	struct kbp_frame f[16];
	struct kbp_txflow *t;

	(void)state;
	opts.flags = KBP_QUEUE_TX | KBP_QUEUE_COMPLETIONS;
	opts.tx_ring = 8;
	open_queue(NEAR, 0, &opts);
	t = send_to("10.77.0.2:6000");
	assert_int_equal(kbp_tx_reserve(t, f, 16), 16);
	for (unsigned i = 0; i < 16; i++)
		put(&f[i], &i, sizeof(i));
	assert_int_equal(kbp_tx_submit(q, f, 16), 16);
	assert_int_equal(kbp_tx_reap(q, c, 512), 16);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(c[i].token, f[i].token);
		assert_int_equal(c[i].error, 0);
	}
	/* without reaping the buffers are used up */
	while ((n = kbp_tx_each(kbp_tx_of(t), 32, fill, &left)))
		total += n;
	assert_true(total < 1000);
	assert_int_equal(kbp_tx_reserve(t, f, 1), 0);
	assert_int_equal(kbp_tx_reap(q, c, 512), total);
	assert_int_equal(kbp_tx_reserve(t, f, 1), 1);
	kbp_tx_cancel(q, f, 1);
}

static void completions_carry_the_kernels_stamp(void **state)
{
	unsigned stamped = 0, done = 0, template_at = 3;
	struct kbp_completion c[8];
	struct kbp_template *tpl;
	struct kbp_frame f[8];
	struct kbp_txflow *t;
	uint64_t before = realtime_ns(), last = 0;

	(void)state;
	open_near(KBP_QUEUE_TX | KBP_QUEUE_TX_STAMPS);
	t = send_to("10.77.0.2:6000");
	ok(kbp_template_open(t, "template", 8, &tpl, &err));
	for (unsigned round = 0; round < 6; round++) {
		/* a template in between must not shift the numbering of the stamps */
		if (round == template_at)
			assert_int_equal(kbp_template_send(tpl), 1);
		assert_int_equal(kbp_tx_reserve(t, f, 4), 4);
		for (unsigned i = 0; i < 4; i++)
			put(&f[i], "stamp", 5);
		assert_int_equal(kbp_tx_submit(q, f, 4), 4);
		for (unsigned got = 0; got < 4;) {
			unsigned n = kbp_tx_reap(q, c, 8);

			for (unsigned i = 0; i < n; i++, got++, done++) {
				assert_int_equal(c[i].token, f[got].token);
				if (!(c[i].flags & KBP_FRAME_TS))
					continue;
				stamped++;
				assert_true(c[i].ts_ns >= before && c[i].ts_ns <= realtime_ns());
				assert_true(c[i].ts_ns >= last);
				last = c[i].ts_ns;
			}
		}
	}
	assert_int_equal(done, 24);
	assert_true(stamped > 0);
}

static void a_template_is_patched_and_sent_again(void **state)
{
	struct kbp_template *tpl;
	struct kbp_txflow *t;

	(void)state;
	open_near(KBP_QUEUE_TX);
	t = send_to("10.77.0.2:6000");
	ok(kbp_template_open(t, "order 0001 buy", 14, &tpl, &err));
	assert_int_equal(kbp_template_send(tpl), 1);
	assert_int_equal(kbp_template_patch(tpl, 9, "2", 1), 1);
	assert_int_equal(kbp_template_patch(tpl, 13, "xx", 2), 0);
	assert_int_equal(kbp_template_send(tpl), 1);
	expect_on_wire("order 0001 buy", 14);
	expect_on_wire("order 0002 buy", 14);
	assert_int_equal(kbp_queue_close(q, 0, &err), -EBUSY);
	kbp_template_close(tpl);
}

static void a_frame_the_kernel_refuses_is_counted_and_completed_with_its_error(void **state)
{
	struct kbp_completion c[4];
	struct kbp_frame f[2];
	struct kbp_txflow *t;

	(void)state;
	open_near(KBP_QUEUE_TX | KBP_QUEUE_COMPLETIONS);
	t = send_to("10.77.0.2:6000");
	assert_int_equal(kbp_tx_reserve(t, f, 2), 2);
	put(&f[0], "a", 1);
	put(&f[1], "b", 1);
	assert_int_equal(netns_run("ip link set " NEAR " down"), 0);
	assert_int_equal(kbp_tx_submit(q, f, 2), 2);
	assert_int_equal(kbp_tx_reap(q, c, 4), 2);
	assert_int_not_equal(c[0].error, 0);
	assert_int_equal(counter("tx_errors"), 2);
	assert_int_equal(
		netns_run("ip link set " NEAR " up && ip route replace 224.0.0.0/4 dev " NEAR), 0);
}

static void a_destination_that_does_not_answer_is_refused_at_open(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.66:6000");
	struct kbp_txflow *t;

	(void)state;
	open_near(KBP_QUEUE_TX);
	assert_int_equal(kbp_txflow_open(q, &flow, &t, &err), -EHOSTUNREACH);
	assert_null(t);
	assert_non_null(strstr(err.hint, "ip neigh"));
}

/* ---------------------------------------------------------------- loopback */

static void an_icmp_error_costs_no_frame(void **state)
{
	struct kbp_frame f;
	struct kbp_txflow *t;

	(void)state;
	open_queue("lo", 2048, NULL);
	t = send_to("127.0.0.1:6999"); /* nobody listens: each send is answered by port
				        * unreachable */
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
		put(&f, "x", 1);
		assert_int_equal(kbp_tx_submit(q, &f, 1), 1);
	}
	assert_int_equal(counter("tx_frames"), 10);
	assert_int_equal(counter("tx_errors"), 0);
}

static void ipv6_goes_both_ways(void **state)
{
	struct kbp_datagram d;
	struct kbp_txflow *t;
	struct kbp_frame f;

	(void)state;
	assert_int_equal(netns_run("echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6"), 0);
	open_queue("lo", 2048, NULL);
	listen_to("[::1]:5006");
	t = send_to("[::1]:5006@[::1]:4006");
	assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
	put(&f, "six", 3);
	assert_int_equal(kbp_tx_submit(q, &f, 1), 1);
	assert_int_equal(next_frame(&f), 1);
	assert_int_equal(kbp_datagram(q, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.src.family, AF_INET6);
	assert_int_equal(d.src.bytes[15], 1);
	assert_int_equal(d.src_port, 4006);
	assert_int_equal(d.dst_port, 5006);
	assert_memory_equal(d.payload, "six", 3);
	kbp_rx_release(q, &f, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_datagram_arrives_with_its_source_and_destination,
					  lab_close),
		cmocka_unit_test_teardown(a_port_nobody_asked_for_stays_with_the_kernel, lab_close),
		cmocka_unit_test_teardown(a_source_address_is_matched_and_the_others_are_counted,
					  lab_close),
		cmocka_unit_test_teardown(a_source_with_its_port_is_matched_by_the_kernel, lab_close),
		cmocka_unit_test_teardown(several_flows_are_served_in_turn, lab_close),
		cmocka_unit_test_teardown(held_frames_keep_their_bytes_and_stop_at_the_bound,
					  lab_close),
		cmocka_unit_test_teardown(stop_leaves_the_rest_for_the_next_poll_in_order, lab_close),
		cmocka_unit_test_teardown(kept_frames_survive_later_polls, lab_close),
		cmocka_unit_test_teardown(a_datagram_larger_than_a_buffer_is_dropped_and_counted,
					  lab_close),
		cmocka_unit_test_teardown(stamps_are_the_kernels_and_lie_between_send_and_poll,
					  lab_close),
		cmocka_unit_test_teardown(an_overflowing_receive_buffer_closes_the_account, lab_close),
		cmocka_unit_test_teardown(
			a_deleted_flow_takes_its_drops_and_its_unread_frames_into_the_account,
			lab_close),
		cmocka_unit_test_teardown(the_queue_says_what_it_is, lab_close),
		cmocka_unit_test_teardown(what_a_socket_cannot_do_is_refused, lab_close),
		cmocka_unit_test_teardown(sent_frames_are_on_the_wire_with_right_checksums, lab_close),
		cmocka_unit_test_teardown(a_filler_sends_until_it_ends, lab_close),
		cmocka_unit_test_teardown(cancelled_and_refused_frames_go_back, lab_close),
		cmocka_unit_test_teardown(every_accepted_frame_completes_once_and_in_order, lab_close),
		cmocka_unit_test_teardown(completions_carry_the_kernels_stamp, lab_close),
		cmocka_unit_test_teardown(a_template_is_patched_and_sent_again, lab_close),
		cmocka_unit_test_teardown(
			a_frame_the_kernel_refuses_is_counted_and_completed_with_its_error, lab_close),
		cmocka_unit_test_teardown(a_destination_that_does_not_answer_is_refused_at_open,
					  lab_close),
		cmocka_unit_test_teardown(an_icmp_error_costs_no_frame, lab_close),
		cmocka_unit_test_teardown(ipv6_goes_both_ways, lab_close),
	};
	int skip = lab_main();

	return skip ? skip : cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
