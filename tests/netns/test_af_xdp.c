/* SPDX-License-Identifier: BSD-2-Clause */
/* af_xdp on a veth pair: flows, modes, membership, sending. Its ring arithmetic is tested in
 * unit. */
#include "af_xdp_lab.h"

static struct kbp_port *port;
static struct kbp_queue *q[4];
static int n_q, far;

static void open_port(enum kbp_mode mode, uint32_t flags)
{
	struct kbp_port_opts opts = KBP_PORT_OPTS_INIT;

	opts.mode = mode;
	opts.flags = flags;
	enter(KBP_LAB_RX);
	ok(kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, &opts, &port, &err));
}

static void open_all(enum kbp_mode mode)
{
	open_port(mode, 0);
	n_q = kbp_queues_open(port, NULL, q, 4, &err);
	ok(n_q);
	far = far_socket();
}

static int close_all(void **state)
{
	(void)state;
	for (int i = 0; i < n_q; i++)
		kbp_queue_close(q[i], KBP_CLOSE_FORCE, NULL);
	n_q = 0;
	ok(kbp_port_close(port, &err));
	port = NULL;
	if (far > 0)
		close(far);
	far = 0;
	return 0;
}

static void expect_payload(const char *text, uint16_t vlan)
{
	struct kbp_queue *from = NULL;
	struct kbp_datagram d;
	struct kbp_frame f;

	assert_int_equal(peek_soon(q, (unsigned)n_q, &f, 1, &from), 1);
	assert_int_equal(kbp_datagram(from, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, strlen(text));
	assert_memory_equal(d.payload, text, d.len);
	assert_int_equal(d.vlan, vlan);
	kbp_rx_release(from, &f, 1);
}

static void expect_nothing(void)
{
	struct kbp_frame f;

	kbp_wait(q, (unsigned)n_q, 50000000);
	for (int i = 0; i < n_q; i++)
		assert_int_equal(kbp_rx_peek(q[i], &f, 1), 0);
}

static void chosen_flows_arrive_and_the_rest_stays_with_the_kernel(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(5001) };
	char buf[16];
	int udp;

	(void)state;
	open_all(KBP_MODE_AUTO);
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(udp, (struct sockaddr *)&me, sizeof(me)), 0);
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5001, 0, "kernel", 6);
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "bypass", 6);
	expect_payload("bypass", 0);
	expect_nothing();
	assert_int_equal(recv(udp, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "kernel", 6);
	close(udp);
}

static void a_flow_may_name_its_source_and_its_tag(void **state)
{
	static const struct {
		const char *flow, *src;
		uint16_t port, vlan;
	} sent[] = {
		{ "239.1.1.1:6000@10.77.0.1", "10.77.0.1", 6000, 0 },
		{ "239.1.1.1:6001@10.77.0.1:77", "10.77.0.1", 6001, 0 },
		{ "239.1.1.1:6002%42+nojoin", "10.77.0.9", 6002, 42 },
		{ "239.1.1.1:6003", "10.77.0.9", 6003, 42 },
	};

	(void)state;
	open_all(KBP_MODE_AUTO);
	for (unsigned i = 0; i < 4; i++) {
		struct kbp_flow flow = flow_of(sent[i].flow);

		ok(kbp_flow_add(q[0], &flow, NULL, &err));
		assert_int_equal(kbp_flow_add(q[0], &flow, NULL, &err), -EEXIST);
	}
	for (unsigned i = 0; i < 4; i++) {
		far_send(far, sent[i].src, "239.1.1.1", 77, sent[i].port, sent[i].vlan, "yes", 3);
		expect_payload("yes", sent[i].vlan);
	}
	far_send(far, "10.77.0.3", "239.1.1.1", 77, 6000, 0, "no", 2);
	far_send(far, "10.77.0.1", "239.1.1.1", 78, 6001, 0, "no", 2);
	far_send(far, "10.77.0.9", "239.1.1.1", 77, 6002, 43, "no", 2);
	far_send(far, "10.77.0.9", "239.1.1.1", 77, 6002, 0, "no", 2);
	far_send(far, "10.77.0.9", "239.1.1.2", 77, 6003, 0, "no", 2);
	expect_nothing();
}

static void a_deleted_flow_goes_back_to_the_kernel(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct kbp_flow_ref *ref;

	(void)state;
	open_all(KBP_MODE_AUTO);
	ok(kbp_flow_add(q[0], &flow, &ref, &err));
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "one", 3);
	expect_payload("one", 0);
	ok(kbp_flow_del(ref, &err));
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "two", 3);
	expect_nothing();
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "three", 5);
	expect_payload("three", 0);
}

static void the_ninth_wildcard_shape_is_refused(void **state)
{
	/* which of source, source port, destination port and VLAN are open */
	static const char *const shape[] = {
		"10.77.0.2:1",	 "10.77.0.2:2@10.77.0.1",   "10.77.0.2:3@10.77.0.1:9",
		"10.77.0.2:4%5", "10.77.0.2:5@10.77.0.1%5", "10.77.0.2:6@10.77.0.1:9%5"
	};
	struct kbp_flow flow;

	(void)state;
	open_all(KBP_MODE_AUTO);
	for (unsigned i = 0; i < 6; i++) {
		flow = flow_of(shape[i]);
		ok(kbp_flow_add(q[0], &flow, NULL, &err));
	}
	flow = flow_of(shape[0]);
	flow.dst_port = 0;
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	flow.vlan = 5;
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	flow = flow_of(shape[1]);
	flow.dst_port = 0;
	assert_int_equal(kbp_flow_add(q[0], &flow, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.hint, "8 shapes"));
	flow = flow_of("10.77.0.2:7");
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
}

static void a_flow_on_a_channel_without_a_queue_is_counted(void **state)
{
	struct kbp_queue_opts tx_only = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct kbp_port *tx_port;
	struct kbp_queue *tx;
	struct kbp_port_info info;
	struct kbp_txflow *t;
	struct kbp_frame f;

	(void)state;
	open_port(KBP_MODE_AUTO, 0);
	ok(kbp_queue_open(port, NULL, &q[0], &err));
	n_q = 1;
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	kbp_port_info(port, &info);
	assert_int_equal(info.rx_channels, 2);
	assert_int_equal(info.unserved_channels, 1);

	/* TX channel 1 of the far end leads to RX channel 1 of ours */
	enter(KBP_LAB_TX);
	ok(kbp_port_open("af_xdp", lab.host[KBP_LAB_TX].ifname, NULL, &tx_port, &err));
	tx_only.flags = KBP_QUEUE_TX;
	tx_only.channel = 1;
	ok(kbp_queue_open(tx_port, &tx_only, &tx, &err));
	ok(kbp_txflow_open(tx, &flow, &t, &err));
	assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
	memcpy(f.data, "lost", 4);
	f.len = 4;
	assert_int_equal(kbp_tx_submit(tx, &f, 1), 1);
	kbp_txflow_close(t);
	ok(kbp_queue_close(tx, 0, &err));
	ok(kbp_port_close(tx_port, &err));
	enter(KBP_LAB_RX);
	expect_nothing();
	assert_int_equal(counter(q[0], "flow_on_unserved_queue"), 1);
}

static void every_mode_says_what_was_achieved(void **state)
{
	static const enum kbp_mode mode[] = { KBP_MODE_AUTO, KBP_MODE_ZEROCOPY, KBP_MODE_COPY,
					      KBP_MODE_GENERIC };
	struct kbp_port_info info;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct kbp_flow flow = flow_of("10.77.0.2:5000");

		open_all(mode[i]);
		ok(kbp_flow_add(q[0], &flow, NULL, &err));
		kbp_port_info(port, &info);
		assert_int_equal(info.requested, mode[i]);
		/* veth has native XDP and no zero-copy */
		assert_int_equal(info.achieved,
				 mode[i] == KBP_MODE_GENERIC ? KBP_MODE_GENERIC : KBP_MODE_COPY);
		assert_int_equal(info.proof, KBP_BOUND);
		assert_int_equal(!!info.note[0], mode[i] <= KBP_MODE_ZEROCOPY);
		assert_true(info.virtual_device);
		far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "x", 1);
		expect_payload("x", 0);
		kbp_port_info(port, &info);
		assert_int_equal(info.proof, KBP_PROVEN);
		if (i < 3)
			close_all(NULL);
	}
}

static void strict_refuses_less_than_what_was_asked_for(void **state)
{
	(void)state;
	open_port(KBP_MODE_ZEROCOPY, KBP_PORT_STRICT);
	assert_int_equal(kbp_queue_open(port, NULL, &q[0], &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.hint, "zero-copy"));
}

static bool is_igmp(const uint8_t *p, uint32_t len)
{
	return len > 34 && p[12] == 8 && !p[13] && p[23] == 2;
}

/* RFC 3376: the first group record's type, group and first source. */
static void expect_report(uint8_t type, const char *group, const char *source)
{
	uint8_t buf[2048];
	uint32_t want = inet_addr(group), src = inet_addr(source);

	for (int i = 0; i < 20; i++) {
		uint32_t n = far_recv(far, buf, sizeof(buf), is_igmp);
		const uint8_t *igmp = buf + 14 + (buf[14] & 15) * 4;

		assert_true(n);
		if (igmp[0] != 0x22 || memcmp(igmp + 12, &want, 4))
			continue;
		if (igmp[8] != type)
			continue;
		if (type == 5 || type == 6)
			assert_memory_equal(igmp + 16, &src, 4);
		return;
	}
	fail_msg("no IGMP report of type %u for %s", type, group);
}

static void a_group_is_joined_and_left_on_the_wire(void **state)
{
	struct kbp_flow asm_flow = flow_of("239.2.2.2:5000"),
			ssm_flow = flow_of("232.3.3.3:5000@10.77.0.1");
	struct kbp_flow_ref *a, *s;

	(void)state;
	open_all(KBP_MODE_AUTO);
	ok(kbp_flow_add(q[0], &asm_flow, &a, &err));
	expect_report(4, "239.2.2.2", "0.0.0.0"); /* CHANGE_TO_EXCLUDE_MODE: any source */
	ok(kbp_flow_add(q[0], &ssm_flow, &s, &err));
	expect_report(5, "232.3.3.3", "10.77.0.1"); /* ALLOW_NEW_SOURCES */
	ok(kbp_flow_del(a, &err));
	expect_report(3, "239.2.2.2", "0.0.0.0"); /* CHANGE_TO_INCLUDE_MODE of nothing: leave */
	ok(kbp_flow_del(s, &err));
	expect_report(6, "232.3.3.3", "10.77.0.1"); /* BLOCK_OLD_SOURCES */
}

static bool is_udp_7000(const uint8_t *p, uint32_t len)
{
	return len >= 42 && p[12] == 8 && !p[13] && p[23] == 17 && p[36] == 7000 >> 8 &&
	       p[37] == (7000 & 255);
}

static void sent_datagrams_arrive_whole_with_good_checksums(void **state)
{
	struct kbp_flow to = flow_of("10.77.0.1:7000");
	struct kbp_txflow *t;
	uint8_t buf[2048];

	(void)state;
	open_all(KBP_MODE_AUTO);
	ok(kbp_txflow_open(q[0], &to, &t, &err));
	for (uint32_t len = 0; len <= 1472; len += 368) {
		struct kbp_datagram d;
		struct kbp_frame f;
		uint32_t n;

		assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
		assert_true(f.len >= 1472);
		memset(f.data, (int)len & 0xff, len);
		f.len = len;
		assert_int_equal(kbp_tx_submit(q[0], &f, 1), 1);
		n = far_recv(far, buf, sizeof(buf), is_udp_7000);
		assert_int_equal(n, 42 + len);
		assert_int_equal(kbp_datagram_parse(buf, n, false, &d), KBP_PARSE_OK);
		assert_int_equal(d.len, len);
		/* RFC 768: the sum over pseudo header and datagram, checksum included, is all
		 * ones */
		assert_int_equal(
			kbp_csum_fold(kbp_csum_add(buf + 26, 8,
						   kbp_csum_add(buf + 34, len + 8, htons(17))) +
				      htons((uint16_t)(len + 8))),
			0xffff);
		assert_int_equal(kbp_csum_fold(kbp_csum_add(buf + 14, 20, 0)), 0xffff);
		memset(buf, (int)len & 0xff, 16);
		assert_memory_equal(d.payload, buf, len < 16 ? len : 16);
	}
	kbp_txflow_close(t);
}

static void jumbo_packets_arrive_as_whole_chains(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	static uint8_t payload[8000];
	struct kbp_queue *from = NULL;
	struct kbp_datagram d;
	struct kbp_frame f[64];
	uint32_t at = 0;
	unsigned n;

	(void)state;
	open_port(KBP_MODE_AUTO, 0);
	opts.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | KBP_QUEUE_MULTI_BUFFER;
	n_q = kbp_queues_open(port, &opts, q, 4, &err);
	if (n_q == -EINVAL) {
		n_q = 0;
		printf("SKIP: no multi-buffer AF_XDP in this kernel: %s\n", err.hint);
		skip();
	}
	ok(n_q);
	far = far_socket();
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 >> 3);
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, payload, sizeof(payload));
	n = peek_soon(q, (unsigned)n_q, f, 64, &from);
	assert_true(n > 1);
	assert_int_equal(kbp_datagram(from, &f[0], &d), KBP_PARSE_OK);
	assert_int_equal(d.total_len, sizeof(payload));
	assert_memory_equal(d.payload, payload, d.len);
	at = d.len;
	for (unsigned i = 1; i < n; i++) {
		assert_memory_equal(f[i].data, payload + at, f[i].len);
		at += f[i].len;
	}
	assert_int_equal(at, sizeof(payload));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(!!(f[i].flags & KBP_FRAME_MORE), i + 1 < n);
	kbp_rx_release(from, f, n);

	/* a chain that `max` cannot hold is dropped, counted, and does not block the next packet */
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, payload, sizeof(payload));
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "short", 5);
	assert_int_equal(peek_soon(q, (unsigned)n_q, f, 1, &from), 1);
	assert_int_equal(kbp_datagram(from, &f[0], &d), KBP_PARSE_OK);
	assert_int_equal(d.len, 5);
	assert_int_equal(counter(from, "rx_chain_too_long"), 1);
	kbp_rx_release(from, f, 1);
}

static int lab_close(void **state)
{
	(void)state;
	return kbp_lab_down(lab.prefix, NULL) < 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, close_all)
	const struct CMUnitTest standard[] = {
		T(chosen_flows_arrive_and_the_rest_stays_with_the_kernel),
		T(a_flow_may_name_its_source_and_its_tag),
		T(a_deleted_flow_goes_back_to_the_kernel),
		T(the_ninth_wildcard_shape_is_refused),
		T(a_flow_on_a_channel_without_a_queue_is_counted),
		T(every_mode_says_what_was_achieved),
		T(strict_refuses_less_than_what_was_asked_for),
		T(a_group_is_joined_and_left_on_the_wire),
		T(sent_datagrams_arrive_whole_with_good_checksums),
	};
	const struct CMUnitTest jumbo[] = { T(jumbo_packets_arrive_as_whole_chains) };
	int failed;

	lab_open(2, 1500);
	failed = cmocka_run_group_tests_name("af_xdp", standard, NULL, lab_close);
	lab_open(1, 9000);
	return failed + cmocka_run_group_tests_name("af_xdp, MTU 9000", jumbo, NULL, lab_close);
}
