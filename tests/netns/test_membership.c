/* SPDX-License-Identifier: BSD-2-Clause */
/* Multicast on the socket backend: what is delivered, and what the far end hears of the
 * membership. */
#include "sock_lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* RFC 3376 section 4.2.12 and RFC 3810 section 5.2.12 */
enum { TO_IN = 3, TO_EX = 4, ALLOW_NEW = 5, BLOCK_OLD = 6 };

#define GROUP 0xef010101u /* 239.1.1.1 */
#define OTHER 0xef010102u
#define SSM 0xe8010101u /* 232.1.1.1 */
#define SOURCE 0x0a4d0005u

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Wait for an IGMPv3 report with such a record. source 0: a record without sources. */
static bool far_hears_igmp(uint8_t type, uint32_t group, uint32_t source)
{
	uint8_t f[2048];

	for (int i = 0; i < 100; i++) {
		uint32_t n = netns_packet_recv(far, f, sizeof(f), 2000);
		const uint8_t *ip = f + 14, *rec;

		if (!n)
			return false;
		if (f[12] != 8 || f[13] || ip[9] != IPPROTO_IGMP)
			continue;
		ip += (ip[0] & 15) * 4;
		if (ip[0] != 0x22)
			continue;
		rec = ip + 8;
		for (unsigned k = (unsigned)ip[6] << 8 | ip[7]; k && rec + 8 <= f + n; k--) {
			unsigned sources = (unsigned)rec[2] << 8 | rec[3];

			if (rec[0] == type && be32(rec + 4) == group &&
			    (source ? sources == 1 && be32(rec + 8) == source : sources == 0))
				return true;
			rec += 8 + 4 * sources + 4 * rec[1];
		}
	}
	return false;
}

static void joining_and_leaving_a_group_is_heard_on_the_far_end(void **state)
{
	struct kbp_flow_ref *ref;

	(void)state;
	open_near(KBP_QUEUE_RX);
	ref = listen_to("239.1.1.1:5000");
	assert_true(far_hears_igmp(TO_EX, GROUP, 0));
	ok(kbp_flow_del(ref, &err));
	assert_true(far_hears_igmp(TO_IN, GROUP, 0));
}

static void a_source_specific_join_names_its_source(void **state)
{
	struct kbp_flow_ref *ref;

	(void)state;
	open_near(KBP_QUEUE_RX);
	ref = listen_to("232.1.1.1:5000@10.77.0.5");
	assert_true(far_hears_igmp(ALLOW_NEW, SSM, SOURCE));
	ok(kbp_flow_del(ref, &err));
	assert_true(far_hears_igmp(BLOCK_OLD, SSM, SOURCE));
}

static void closing_the_queue_leaves_the_group(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;

	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("239.1.1.1:5000");
	assert_true(far_hears_igmp(TO_EX, GROUP, 0));
	ok(kbp_queue_close(q, 0, &err));
	assert_true(far_hears_igmp(TO_IN, GROUP, 0));
	ok(kbp_queue_open(port, &opts, &q, &err)); /* for the teardown */
}

static void a_group_is_delivered_from_any_source(void **state)
{
	struct kbp_datagram d;
	struct kbp_frame f;

	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("239.1.1.1:5000");
	inject(SOURCE, 4000, GROUP, 5000, "a", 1);
	inject(FAR_IP, 4000, GROUP, 5000, "b", 1);
	assert_int_equal(next_frame(&f), 1);
	assert_int_equal(kbp_datagram(q, &f, &d), KBP_PARSE_OK);
	assert_memory_equal(d.dst.bytes, ((uint8_t[]){ 239, 1, 1, 1 }), 4);
	assert_memory_equal(d.src.bytes, ((uint8_t[]){ 10, 77, 0, 5 }), 4);
	kbp_rx_release(q, &f, 1);
	expect_text("b");
}

static void another_group_on_the_same_port_is_not_delivered(void **state)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(5000) };
	struct kbp_flow other = flow_of("239.1.1.2:5000");
	int one = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	/* somebody else on this host is in both groups */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	open_near(KBP_QUEUE_RX);
	ok(kbp_membership_join(fd, (int)port->info.ifindex, &other, &err));
	listen_to("239.1.1.1:5000");
	inject(FAR_IP, 4000, OTHER, 5000, "other", 5);
	assert_int_equal(recv(fd, (char[8]){ 0 }, 8, 0), 5);
	expect_nothing();
	inject(FAR_IP, 4000, GROUP, 5000, "mine", 4);
	expect_text("mine");
	close(fd);
}

static void a_wrong_source_is_not_delivered_to_a_source_specific_flow(void **state)
{
	(void)state;
	open_near(KBP_QUEUE_RX);
	listen_to("232.1.1.1:5000@10.77.0.5");
	inject(FAR_IP, 4000, SSM, 5000, "foreign", 7);
	inject(SOURCE, 4000, SSM, 5000, "mine", 4);
	expect_text("mine");
	expect_nothing();
}

static void two_sources_of_one_group_are_two_flows(void **state)
{
	struct kbp_flow_ref *five;

	(void)state;
	open_near(KBP_QUEUE_RX);
	five = listen_to("232.1.1.1:5000@10.77.0.5");
	listen_to("232.1.1.1:5000@10.77.0.2");
	inject(FAR_IP, 4000, SSM, 5000, "two", 3);
	expect_text("two");
	inject(SOURCE, 4000, SSM, 5000, "five", 4);
	expect_text("five");
	expect_nothing();
	ok(kbp_flow_del(five, &err));
	inject(SOURCE, 4000, SSM, 5000, "five", 4);
	inject(FAR_IP, 4000, SSM, 5000, "two", 3);
	expect_text("two");
	expect_nothing();
}

static void without_a_join_no_report_is_sent_and_others_joins_suffice(void **state)
{
	struct kbp_flow flow = flow_of("239.1.1.1:5000");
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	open_near(KBP_QUEUE_RX);
	flow.flags = KBP_FLOW_NO_JOIN;
	ok(kbp_flow_add(q, &flow, NULL, &err));
	inject(FAR_IP, 4000, GROUP, 5000, "early", 5);
	expect_nothing(); /* the kernel's own filter of groups still stands in front of sockets */
	ok(kbp_membership_join(fd, (int)port->info.ifindex, &flow, &err));
	inject(FAR_IP, 4000, GROUP, 5000, "late", 4);
	expect_text("late");
	close(fd);
}

static void an_ipv6_group_is_reported_by_mld(void **state)
{
	const uint8_t group[16] = { 0xff, 0x0e, [15] = 0x77 };
	uint8_t f[2048];
	bool heard = false;

	(void)state;
	assert_int_equal(netns_run("echo 0 > /proc/sys/net/ipv6/conf/" NEAR "/disable_ipv6; "
				   "ip -6 addr add 2001:db8::1/64 dev " NEAR " nodad"),
			 0);
	open_near(KBP_QUEUE_RX);
	listen_to("[ff0e::77]:5000");
	for (int i = 0; i < 100 && !heard; i++) {
		uint32_t n = netns_packet_recv(far, f, sizeof(f), 2000);
		const uint8_t *icmp =
			f + 14 + 40 + 8; /* behind the hop-by-hop header with the router alert */

		if (!n)
			break;
		if (f[12] != 0x86 || f[13] != 0xdd || icmp + 28 > f + n || icmp[0] != 143)
			continue;
		for (const uint8_t *rec = icmp + 8; rec + 20 <= f + n; rec += 20)
			heard |= (rec[0] == TO_EX || rec[0] == 2) && !memcmp(rec + 4, group, 16);
	}
	assert_true(heard);
	assert_int_equal(netns_run("echo 1 > /proc/sys/net/ipv6/conf/" NEAR "/disable_ipv6"), 0);
}

static void a_refused_join_says_what_to_do(void **state)
{
	struct kbp_flow flow = flow_of("239.1.1.1:5000");
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	open_near(KBP_QUEUE_RX);
	assert_int_equal(kbp_membership_join(fd, 9999, &flow, &err), -ENODEV);
	assert_non_null(strstr(err.step, "239.1.1.1"));
	assert_non_null(strstr(err.hint, "ip link"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(joining_and_leaving_a_group_is_heard_on_the_far_end,
					  lab_close),
		cmocka_unit_test_teardown(a_source_specific_join_names_its_source, lab_close),
		cmocka_unit_test_teardown(closing_the_queue_leaves_the_group, lab_close),
		cmocka_unit_test_teardown(a_group_is_delivered_from_any_source, lab_close),
		cmocka_unit_test_teardown(another_group_on_the_same_port_is_not_delivered, lab_close),
		cmocka_unit_test_teardown(a_wrong_source_is_not_delivered_to_a_source_specific_flow,
					  lab_close),
		cmocka_unit_test_teardown(two_sources_of_one_group_are_two_flows, lab_close),
		cmocka_unit_test_teardown(without_a_join_no_report_is_sent_and_others_joins_suffice,
					  lab_close),
		cmocka_unit_test_teardown(an_ipv6_group_is_reported_by_mld, lab_close),
		cmocka_unit_test_teardown(a_refused_join_says_what_to_do, lab_close),
	};
	int skip = lab_main();

	return skip ? skip : cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
