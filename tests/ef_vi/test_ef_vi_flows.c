/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ef_vi_flows.c - flows as filters, words, capabilities, and what is said when something cannot be. */
#include "rig.h"

static const char *const nics[] = { "nic=sfn8522", "nic=x2522", "nic=x3522" };

static void begin(const char *words)
{
	if (r.q)
		rig_close();
	rig_port(words, KBP_PORT_STRICT | KBP_PORT_NO_MONITOR);
	r.q = rig_queue(KBP_QUEUE_RX, 0, 512);
}

static unsigned on_seen(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_datagram d;
	uint32_t *src = arg;

	assert_int_equal(kbp_datagram(rx.q, &f, &d), KBP_PARSE_OK);
	memcpy(src, d.src.bytes, 4);
	src[1]++;
	return KBP_DONE;
}

/* How many frames came of those on the wire; the last one's source. */
static unsigned seen(struct kbp_queue *q, uint32_t *src)
{
	uint32_t s[2] = { 0, 0 };

	for (unsigned empty = 0; empty < 4;)
		empty = kbp_rx_each(kbp_rx_of(q), 32, on_seen, s) ? 0 : empty + 1;
	if (src)
		*src = __builtin_bswap32(s[0]);
	return s[1];
}

static struct frame_addr to_group(uint32_t group, uint16_t port, uint32_t src)
{
	struct frame_addr a = r.addr;

	a.dst_ip = group;
	a.dst_port = port;
	a.src_ip = src;
	return a;
}

/* The device cannot ask for a source without its port: our own filter does, and counts what it keeps out. */
static void a_source_specific_group_takes_that_source_only(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(nics); i++) {
		struct frame_addr good = to_group(GROUP, PORT, PEER_IP),
				  bad = to_group(GROUP, PORT, 0x0a4d0063);
		uint32_t src;

		begin(nics[i]);
		rig_flow(r.q, "239.7.7.8:5000@10.77.0.2+nojoin");
		for (unsigned k = 0; k < 50; k++) {
			rig_inject_at(&bad, 40, 0);
			rig_inject_at(&good, 40, 0);
		}
		assert_int_equal(seen(r.q, &src), 50);
		assert_int_equal(src, PEER_IP);
		assert_int_equal(rig_counter(r.q, "rx_foreign"), 50);
		assert_int_equal(rig_drops(r.q), 0);
	}
}

static void a_source_with_its_port_is_the_devices_own_filter(void **state)
{
	struct frame_addr good = to_group(GROUP, PORT, PEER_IP), bad = good;

	(void)state;
	begin("nic=sfn8522");
	rig_flow(r.q, "239.7.7.8:5000@10.77.0.2:4000+nojoin");
	bad.src_port = 4001;
	rig_inject_at(&bad, 40, 0);
	rig_inject_at(&good, 40, 0);
	assert_int_equal(seen(r.q, NULL), 1);
	assert_int_equal(rig_counter(r.q, "rx_foreign"), 0);
}

/* A and B lines: two groups on one queue, or each on its own. */
static void lines_of_a_feed_come_on_one_queue_or_on_two(void **state)
{
	struct frame_addr a = to_group(GROUP, PORT, PEER_IP),
			  b = to_group(GROUP + 1, PORT + 1, PEER_IP);
	struct kbp_flow_ref *line_b;
	struct kbp_queue *second;

	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(nics); i++) {
		begin(nics[i]);
		rig_flow(r.q, "239.7.7.8:5000+nojoin");
		line_b = rig_flow(r.q, "239.7.7.9:5001+nojoin");
		for (unsigned k = 0; k < 20; k++) {
			rig_inject_at(&a, 40, 0);
			rig_inject_at(&b, 40, 0);
		}
		assert_int_equal(seen(r.q, NULL), 40);
		ok(kbp_flow_del(line_b, &r.err));
		second = rig_queue(KBP_QUEUE_RX, 1, 512);
		rig_flow(second, "239.7.7.9:5001+nojoin");
		for (unsigned k = 0; k < 20; k++) {
			rig_inject_at(&a, 40, 0);
			rig_inject_at(&b, 40, 0);
		}
		/* where the receive queue is shared, each sees the other's frames and keeps them out */
		assert_int_equal(seen(r.q, NULL), 20);
		assert_int_equal(seen(second, NULL), 20);
		assert_int_equal(rig_drops(second), 0);
		ok(kbp_queue_close(second, 0, &r.err));
	}
}

static void frames_of_other_programs_on_a_shared_queue_are_kept_out(void **state)
{
	struct softnic_owned owned;

	(void)state;
	begin("nic=x3522");
	rig_flow(r.q, "10.77.0.1:5000");
	for (unsigned k = 0; k < 2000; k++) {
		struct frame_addr other = to_group(OUR_IP, 9999, PEER_IP);

		rig_inject_at(&other, 40, SOFTNIC_UNMATCHED);
		rig_inject(1, 40, 0);
		if (k % 100 == 99)
			assert_int_equal(seen(r.q, NULL), 100);
	}
	assert_int_equal(rig_counter(r.q, "rx_foreign"), 2000);
	assert_int_equal(rig_drops(r.q), 0);
	/* each reference was given back, once */
	assert_int_equal(softnic_owned_by_nic(&kbp_efvi(r.q)->vi, &owned), 0);
	assert_int_equal(owned.pkts_out, 0);
}

/* A tagged frame, made of an untagged one. */
static void inject_tagged(const struct frame_addr *a, uint16_t vlan)
{
	uint8_t frame[256], tagged[260], payload[64] = { 1 };
	uint32_t n = frame_udp(frame, a, payload, sizeof(payload));

	memcpy(tagged, frame, 12);
	frame_be16(tagged + 12, 0x8100);
	frame_be16(tagged + 14, vlan);
	memcpy(tagged + 16, frame + 12, n - 12);
	assert_int_equal(softnic_inject("sim0", tagged, n + 4, 0), 0);
}

static void a_flow_with_a_tag_takes_that_tag_and_one_without_takes_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(nics); i++) {
		begin(nics[i]);
		rig_flow(r.q, "10.77.0.1:5000%7");
		inject_tagged(&r.addr, 7);
		inject_tagged(&r.addr, 8);
		rig_inject(1, 64, 0);
		assert_int_equal(seen(r.q, NULL), 1);
		assert_int_equal(rig_drops(r.q), 0);
	}
	begin("nic=sfn8522");
	rig_flow(r.q, "10.77.0.1:5000");
	inject_tagged(&r.addr, 7);
	rig_inject(1, 64, 0);
	assert_int_equal(seen(r.q, NULL), 2);
}

static void a_flow_of_any_port_takes_all_ports_and_no_other_address(void **state)
{
	struct frame_addr a = r.addr, other = r.addr;
	struct kbp_flow flow = { .dst = { .family = AF_INET, .bytes = { 10, 77, 0, 1 } } };

	(void)state;
	begin("nic=sfn8522");
	memcpy(a.dst_mac, r.port->info.mac, 6);
	memcpy(other.dst_mac, r.port->info.mac, 6);
	ok(kbp_flow_add(r.q, &flow, NULL, &r.err));
	for (uint16_t port = 1000; port < 1020; port++) {
		a.dst_port = port;
		rig_inject_at(&a, 40, 0);
	}
	other.dst_ip = OUR_IP + 7;
	rig_inject_at(&other, 40, 0);
	assert_int_equal(seen(r.q, NULL), 20);
	assert_int_equal(rig_counter(r.q, "rx_foreign"), 1);
}

/* Two flows that need the same filter of the device: it goes with the last of them. */
static void flows_that_share_a_filter_keep_it_until_the_last_goes(void **state)
{
	struct frame_addr a = to_group(GROUP, PORT, PEER_IP), b = to_group(GROUP, PORT, PEER_IP + 1);
	struct kbp_flow_ref *first, *second;
	struct softnic_info info;
	uint64_t missed;

	(void)state;
	begin("nic=sfn8522");
	first = rig_flow(r.q, "239.7.7.8:5000@10.77.0.2+nojoin");
	second = rig_flow(r.q, "239.7.7.8:5000@10.77.0.3+nojoin");
	rig_inject_at(&a, 40, 0);
	rig_inject_at(&b, 40, 0);
	assert_int_equal(seen(r.q, NULL), 2);
	ok(kbp_flow_del(first, &r.err));
	rig_inject_at(&a, 40, 0);
	rig_inject_at(&b, 40, 0);
	assert_int_equal(seen(r.q, NULL), 1);
	ok(kbp_flow_del(second, &r.err));
	assert_int_equal(softnic_info_get("sim0", &info), 0);
	missed = info.filter_missed;
	rig_inject_at(&b, 40, 0);
	assert_int_equal(seen(r.q, NULL), 0);
	assert_int_equal(softnic_info_get("sim0", &info), 0);
	assert_int_equal(info.filter_missed, missed + 1); /* the device does not deliver it any more */
}

static void filters_come_back_with_a_reopened_queue(void **state)
{
	struct frame_addr a = to_group(GROUP, PORT, PEER_IP),
			  b = to_group(GROUP + 1, PORT, PEER_IP + 1);

	(void)state;
	begin("nic=sfn8522");
	rig_flow(r.q, "239.7.7.8:5000+nojoin");
	rig_flow(r.q, "239.7.7.9:5000@10.77.0.2+nojoin");
	softnic_fault("sim0", SOFTNIC_RESET, 1);
	rig_drain(r.q);
	ok(kbp_queue_reopen(r.q, &r.err));
	rig_inject_at(&a, 40, 0);
	rig_inject_at(&b, 40, 0);
	assert_int_equal(seen(r.q, NULL), 1);
}

/* ---------------------------------------------------------------- words and errors */

static int port_rc(const char *ifname, const char *words)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	struct kbp_port *port;
	int rc;

	o.args = words;
	o.flags = KBP_PORT_NO_MONITOR;
	rc = kbp_port_open("ef_vi_sim", ifname, &o, &port, &r.err);
	if (!rc)
		ok(kbp_port_close(port, &r.err));
	return rc;
}

static void wrong_words_and_names_are_named(void **state)
{
	(void)state;
	assert_int_equal(port_rc("sim0", "nic=sfn9999"), -EINVAL);
	assert_non_null(strstr(r.err.step, "nic=sfn9999"));
	assert_int_equal(port_rc("sim0", "express,tx=quick"), -EINVAL);
	assert_non_null(strstr(r.err.step, "tx=quick"));
	assert_int_equal(port_rc("sim64", NULL), -ENODEV);
	assert_non_null(strstr(r.err.hint, "sim0"));
	assert_int_equal(port_rc("nosuch0", NULL), -ENODEV);
	assert_int_equal(port_rc("sim0", " nic=x2522, tx=dma,, "), 0);
	begin("nic=sfn8522");
	/* another port of that adapter lives: it cannot become another adapter */
	assert_int_equal(port_rc("sim0", "nic=x3522"), -EBUSY);
}

static void a_card_of_two_datapaths_says_so_and_takes_the_word(void **state)
{
	struct kbp_port_info info;

	(void)state;
	begin("nic=x4542");
	kbp_port_info(r.port, &info);
	assert_non_null(strstr(info.note, "express"));
	assert_false(kbp_efvi(r.q)->refs);
	begin("nic=x4542,express");
	kbp_port_info(r.port, &info);
	assert_string_equal(info.note, "");
	assert_true(kbp_efvi(r.q)->refs);
}

static void everything_says_that_it_is_emulated(void **state)
{
	struct kbp_queue_info qi;
	struct kbp_port_info info;

	(void)state;
	begin("nic=sfn8522");
	kbp_port_info(r.port, &info);
	assert_string_equal(info.backend, "ef_vi_sim");
	assert_true(info.emulated);
	assert_int_equal(info.achieved, KBP_MODE_EMULATED);
	kbp_queue_info(r.q, &qi);
	assert_int_equal(qi.mode, KBP_MODE_EMULATED);
	assert_int_equal(r.q->kind, KBP_EF_VI_SIM);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_source_specific_group_takes_that_source_only),
		TEST(a_source_with_its_port_is_the_devices_own_filter),
		TEST(lines_of_a_feed_come_on_one_queue_or_on_two),
		TEST(frames_of_other_programs_on_a_shared_queue_are_kept_out),
		TEST(a_flow_with_a_tag_takes_that_tag_and_one_without_takes_all),
		TEST(a_flow_of_any_port_takes_all_ports_and_no_other_address),
		TEST(flows_that_share_a_filter_keep_it_until_the_last_goes),
		TEST(filters_come_back_with_a_reopened_queue),
		TEST(wrong_words_and_names_are_named),
		TEST(a_card_of_two_datapaths_says_so_and_takes_the_word),
		TEST(everything_says_that_it_is_emulated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
