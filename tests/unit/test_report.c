/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own IGMP and MLD reports: their bytes, when they are sent, and which memberships they tell of. */
#include "report_rig.h"

/* ---------------------------------------------------------------- bytes */

static void an_any_source_join_is_change_to_exclude_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "239.1.1.1:5000");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(40, 0x41, 0xef), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1, 0, 0, 0, 0, 0, 0);
	assert_int_equal(next(&g), 0);
}

static void an_any_source_leave_is_change_to_include_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5000");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(40, 0x41, 0xef), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0xea, 0xfb, 0, 0, 0, 1, 3, 0, 0, 0, 239, 1, 1, 1, 0, 0, 0, 0, 0, 0);
}

static void the_state_of_an_any_source_group_is_exclude_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	g.now = START + 60 * SEC;
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(40, 0x41, 0xef), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0xeb, 0xfb, 0, 0, 0, 1, 2, 0, 0, 0, 239, 1, 1, 1, 0, 0, 0, 0, 0, 0);
}

static void a_source_is_allowed_stated_and_blocked(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "232.1.1.1:5000@192.0.2.1");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(44, 0x41, 0xeb), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0x2d, 0xf9, 0, 0, 0, 1, 5, 0, 0, 1, 232, 1, 1, 1, 192, 0, 2, 1, 0, 0);
	skip_to(&g, START + 2 * SEC);
	g.now = START + 60 * SEC;
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(44, 0x41, 0xeb), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0x31, 0xf9, 0, 0, 0, 1, 1, 0, 0, 1, 232, 1, 1, 1, 192, 0, 2, 1, 0, 0);
	del(&g, "232.1.1.1:5000@192.0.2.1");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, IP4(44, 0x41, 0xeb), 224, 0, 0, 22, ALERT4,
		     0x22, 0, 0x2c, 0xf9, 0, 0, 0, 1, 6, 0, 0, 1, 232, 1, 1, 1, 192, 0, 2, 1, 0, 0);
}

static void an_unknown_address_is_zero(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	kbp_reports_init(&g.r, own_mac, NULL);
	add(&g, "239.1.1.1:5000");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x08, 0x00, 0x46, 0xc0, 0, 40, 0, 0, 0x40, 0, 1, 2, 0x03,
		     0xfa, 0, 0, 0, 0, 224, 0, 0, 22, ALERT4, 0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0,
		     0, 0, 239, 1, 1, 1, 0, 0, 0, 0, 0, 0);
}

static void an_mld_join_goes_to_all_mldv2_routers(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "[ff15::1:2]:5000");
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x86, 0xdd, IP6(36), REPORTS6, ALERT6, 143, 0, 0x19,
		     0xe2, 0, 0, 0, 1, 4, 0, 0, 0, GROUP6);
	skip_to(&g, START + 2 * SEC);
	del(&g, "[ff15::1:2]:5000");
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x86, 0xdd, IP6(36), REPORTS6, ALERT6, 143, 0, 0x1a,
		     0xe2, 0, 0, 0, 1, 3, 0, 0, 0, GROUP6);
}

static void an_mld_source_is_allowed_and_blocked(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "[ff3e::1]:5000@[2001:db8::1]");
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x86, 0xdd, IP6(52), REPORTS6, ALERT6, 143, 0, 0xea,
		     0xef, 0, 0, 0, 1, 5, 0, 0, 1, SSM6, SOURCE6);
	skip_to(&g, START + 2 * SEC);
	g.now = START + 60 * SEC;
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x86, 0xdd, IP6(52), REPORTS6, ALERT6, 143, 0, 0xee,
		     0xef, 0, 0, 0, 1, 1, 0, 0, 1, SSM6, SOURCE6);
	del(&g, "[ff3e::1]:5000@[2001:db8::1]");
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x86, 0xdd, IP6(52), REPORTS6, ALERT6, 143, 0, 0xe9,
		     0xef, 0, 0, 0, 1, 6, 0, 0, 1, SSM6, SOURCE6);
}

static void a_flow_with_a_tag_is_reported_with_it(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "239.1.1.1:5000%300");
	expect_frame(&g, ETH4(0, 0, 0x16), 0x81, 0x00, 0x01, 0x2c, 0x08, 0x00, IP4(40, 0x41, 0xef),
		     224, 0, 0, 22, ALERT4, 0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1,
		     1, 0, 0);
	add(&g, "[ff15::1:2]:5000%300");
	expect_frame(&g, ETH6(0, 0, 0, 0x16), 0x81, 0x00, 0x01, 0x2c, 0x86, 0xdd, IP6(36), REPORTS6,
		     ALERT6, 143, 0, 0x19, 0xe2, 0, 0, 0, 1, 4, 0, 0, 0, GROUP6);
}

static void igmpv2_reports_go_to_the_group_and_leaves_to_the_routers(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.129.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 2, .code = 100)));
	del(&g, "239.129.1.1:5000");
	add(&g, "239.1.1.1:5000");
	expect_frame(&g, ETH4(0, 0, 0x02), 0x08, 0x00, IP4(32, 0x42, 0x0b), 224, 0, 0, 2, ALERT4,
		     0x17, 0, 0xf8, 0x7c, 239, 129, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_frame(&g, ETH4(1, 1, 1), 0x08, 0x00, IP4(32, 0x32, 0x0b), 239, 1, 1, 1, ALERT4, 0x16,
		     0, 0xf9, 0xfc, 239, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	skip_to(&g, START + 10 * SEC);
	add(&g, "239.129.1.1:5000");
	expect_old(&g, 0x16);
	assert_memory_equal(g.frame, "\x01\x00\x5e\x01\x01\x01", 6); /* 23 bits of the group */
}

static void mldv1_reports_go_to_the_group_and_dones_to_the_routers(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "[ff15::1:2]:5000");
	assert_true(hear6(&g, QUERY(.version = 2, .code = 0)));
	expect_frame(&g, ETH6(0, 1, 0, 2), 0x86, 0xdd, IP6(32), GROUP6, ALERT6, 131, 0, 0x29, 0xe7,
		     0, 0, 0, 0, GROUP6);
	del(&g, "[ff15::1:2]:5000");
	expect_frame(&g, ETH6(0, 0, 0, 2), 0x86, 0xdd, IP6(32), ROUTERS6, ALERT6, 132, 0, 0x28,
		     0xfb, 0, 0, 0, 0, GROUP6);
}

static void the_link_local_address_is_the_macs(void **state)
{
	static const struct {
		uint8_t mac[6];
		const char *want;
	} cases[] = {
		{ { 0x00, 0x0f, 0x53, 0x01, 0x02, 0x03 }, "fe80::20f:53ff:fe01:203" },
		{ { 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde }, "fe80::3656:78ff:fe9a:bcde" },
		{ { 0x02, 0x00, 0x00, 0x00, 0x00, 0x01 }, "fe80::ff:fe00:1" },
	};
	char text[INET6_ADDRSTRLEN];
	struct kbp_reports r;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(cases); i++) {
		kbp_reports_init(&r, cases[i].mac, own_ip4);
		inet_ntop(AF_INET6, r.ip6, text, sizeof(text));
		assert_string_equal(text, cases[i].want);
	}
}

static void every_frame_has_right_checksums(void **state)
{
	struct rig g;
	char text[96];

	(void)state;
	rig_init(&g);
	for (unsigned i = 1; i < 30; i++) {
		snprintf(text, sizeof(text), "239.%u.255.%u:5@198.51.%u.7", i, 255 - i, i * 7);
		add(&g, text);
		snprintf(text, sizeof(text), "[ff15:%x::ffff:%x]:5%%%u", i * 999, 65535 - i, i);
		add(&g, text);
	}
	for (uint64_t t = START; t < START + 130 * SEC; t += SEC)
		for (g.now = t; next(&g);)
			assert_true(sums_ok(&g));
}

/* ---------------------------------------------------------------- when */

static void a_change_is_sent_at_once_and_again_after_a_second(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	assert_true(kbp_reports_due(&g.r) == UINT64_MAX);
	add(&g, "239.1.1.1:5000");
	assert_true(kbp_reports_due(&g.r) == START);
	expect_record(&g, TO_EX, 0);
	assert_true(kbp_reports_due(&g.r) == START + SEC);
	assert_int_equal(skip_to(&g, START + SEC - 1), 0);
	g.now = START + SEC;
	expect_record(&g, TO_EX, 0);
	assert_int_equal(next(&g), 0);
	assert_true(kbp_reports_due(&g.r) == START + 60 * SEC);
}

static void a_leave_is_sent_twice_and_then_forgotten(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5000");
	expect_record(&g, TO_IN, 0);
	assert_int_equal(next(&g), 0);
	g.now += SEC;
	expect_record(&g, TO_IN, 0);
	assert_true(kbp_reports_due(&g.r) == UINT64_MAX);
	assert_int_equal(skip_to(&g, START + 1000 * SEC), 0);
}

static void a_join_takes_back_a_leave(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5000");
	expect_record(&g, TO_IN, 0);
	add(&g, "239.1.1.1:5000");
	expect_record(&g, TO_EX, 0);
	g.now += SEC;
	expect_record(&g, TO_EX, 0);
	assert_int_equal(next(&g), 0);
}

static void without_a_query_the_state_is_sent_every_minute(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	for (uint64_t i = 1; i < 10; i++) {
		assert_int_equal(skip_to(&g, START + i * 60 * SEC - 1), 0);
		g.now = START + i * 60 * SEC;
		expect_record(&g, IS_EX, 0);
		assert_int_equal(next(&g), 0);
	}
}

static void an_answer_puts_the_minute_off(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	g.now = START + 50 * SEC;
	assert_true(hear4(&g, QUERY(.version = 3, .code = 0)));
	expect_record(&g, IS_EX, 0);
	assert_true(kbp_reports_due(&g.r) == START + 110 * SEC);
}

static void a_link_that_came_back_is_told_everything_again(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	kbp_reports_resend(&g.r, g.now);
	expect_record(&g, TO_EX, 0);
	assert_int_equal(next(&g), 0);
	g.now += SEC;
	expect_record(&g, TO_EX, 0);
	assert_int_equal(next(&g), 0);
}

static void a_change_and_an_answer_that_are_due_together_are_both_sent(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	g.now = START + 60 * SEC;
	kbp_reports_resend(&g.r, g.now);
	expect_record(&g, TO_EX, 0);
	expect_record(&g, IS_EX, 0);
	assert_int_equal(next(&g), 0);
}

static void a_buffer_that_may_be_too_small_is_refused(void **state)
{
	uint8_t small[KBP_REPORT_BYTES - 1];
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "239.1.1.1:5000");
	assert_int_equal(kbp_reports_next(&g.r, small, sizeof(small), g.now), 0);
	expect_record(&g, TO_EX, 0);
}

/* ---------------------------------------------------------------- memberships */

static void flows_that_differ_in_ports_share_a_membership(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	add(&g, "239.1.1.1:5001");
	add(&g, "239.1.1.1:5002");
	assert_int_equal(next(&g), 0);
	del(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5002");
	assert_int_equal(next(&g), 0);
	del(&g, "239.1.1.1:5001");
	expect_record(&g, TO_IN, 0);
	del(&g, "239.1.1.1:5001"); /* one too many */
	assert_int_equal(next(&g), 0);
	assert_int_equal(skip_to(&g, g.now + SEC), 1);
	assert_true(kbp_reports_due(&g.r) == UINT64_MAX);
}

static void the_same_group_on_two_vlans_is_two_memberships(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000%10");
	add(&g, "239.1.1.1:5000%11");
	expect_record(&g, TO_EX, 0);
	assert_int_equal(g.frame[15], 11);
	del(&g, "239.1.1.1:5000%10");
	expect_record(&g, TO_IN, 0);
	assert_int_equal(g.frame[15], 10);
	add(&g, "239.1.1.1:5000@192.0.2.1%10");
	expect_record(&g, ALLOW, 1);
	add(&g, "239.1.1.1:5000@192.0.2.1%11");
	assert_int_equal(next(&g), 0);
}

static void a_source_of_a_group_wanted_from_any_is_no_change(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	add(&g, "239.1.1.1:5001@192.0.2.1");
	assert_int_equal(next(&g), 0);
	assert_int_equal(skip_to(&g, START + 10 * SEC), 0);
	del(&g, "239.1.1.1:5001@192.0.2.1");
	assert_int_equal(skip_to(&g, START + 20 * SEC), 0);
}

static void a_group_no_longer_wanted_from_any_keeps_its_sources(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	add(&g, "239.1.1.1:5001@192.0.2.1");
	add(&g, "239.1.1.1:5001@192.0.2.2");
	skip_to(&g, START + 10 * SEC);
	del(&g, "239.1.1.1:5000");
	expect_record(&g, TO_IN, 2);
	assert_memory_equal(message(&g, NULL) + 16, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
}

static void the_sources_of_a_group_are_stated_together(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "232.1.1.1:5000@192.0.2.1");
	add(&g, "232.1.1.1:5000@192.0.2.2");
	add(&g, "232.1.1.2:5000@192.0.2.3");
	skip_to(&g, START + 10 * SEC);
	assert_true(hear4(&g, QUERY(.version = 3)));
	expect_record(&g, IS_IN, 2);
	expect_record(&g, IS_IN, 1);
	assert_int_equal(next(&g), 0);
}

static void the_fullest_report_fits(void **state)
{
	struct rig g;
	char text[96];

	(void)state;
	rig_init(&g);
	for (unsigned i = 0; i < KBP_REPORTS_MAX; i++) {
		snprintf(text, sizeof(text), "[ff3e::1]:5000@[2001:db8::%x]%%7", i + 1);
		add(&g, text);
	}
	skip_to(&g, START);
	skip_to(&g, START + 10 * SEC);
	assert_true(hear6(&g, QUERY(.version = 3, .vlan = 7)));
	expect_record(&g, IS_IN, KBP_REPORTS_MAX);
	assert_int_equal(g.len, KBP_REPORT_BYTES);
	assert_int_equal(next(&g), 0);
}

static void a_full_table_says_so_and_takes_known_groups_still(void **state)
{
	struct kbp_flow f;
	struct rig g;
	char text[64];

	(void)state;
	rig_init(&g);
	for (unsigned i = 0; i < KBP_REPORTS_MAX; i++) {
		snprintf(text, sizeof(text), "239.1.1.%u:5000", i);
		add(&g, text);
	}
	f = flow("239.2.2.2:5000");
	assert_int_equal(kbp_reports_add(&g.r, &f, g.now), -ENOSPC);
	add(&g, "239.1.1.5:6000");
	assert_int_equal(skip_to(&g, START), KBP_REPORTS_MAX);
}

static void a_place_is_free_once_its_leave_was_sent(void **state)
{
	struct kbp_flow f = flow("239.2.2.2:5000");
	struct rig g;
	char text[64];

	(void)state;
	rig_init(&g);
	for (unsigned i = 0; i < KBP_REPORTS_MAX; i++) {
		snprintf(text, sizeof(text), "239.1.1.%u:5000", i);
		add(&g, text);
	}
	skip_to(&g, START);
	skip_to(&g, START + 2 * SEC);
	del(&g, "239.1.1.9:5000");
	assert_int_equal(kbp_reports_add(&g.r, &f, g.now), -ENOSPC);
	expect_record(&g, TO_IN, 0);
	assert_int_equal(kbp_reports_add(&g.r, &f, g.now), 0);
	expect_record(&g, TO_EX, 0);
}

static void a_leave_is_repeated_while_there_are_other_places(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5000");
	expect_record(&g, TO_IN, 0);
	add(&g, "239.1.1.2:5000");
	expect_record(&g, TO_EX, 0);
	g.now += SEC;
	expect_record(&g, TO_IN, 0);
	expect_record(&g, TO_EX, 0);
	assert_int_equal(next(&g), 0);
}

static void what_needs_no_report_gets_none(void **state)
{
	static const char *const texts[] = {
		"192.0.2.1:5000",   "[2001:db8::1]:5000", "224.0.0.1:5000",	   "[ff02::1]:5000",
		"[ff01::5:6]:5000", "[ff10::5:6]:5000",	  "239.1.1.1:5000+nojoin",
	};
	struct rig g;

	(void)state;
	rig_init(&g);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(texts); i++) {
		add(&g, texts[i]);
		assert_int_equal(next(&g), 0);
		del(&g, texts[i]);
		assert_int_equal(next(&g), 0);
	}
	add(&g, "224.0.0.2:5000");
	expect_record(&g, TO_EX, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_any_source_join_is_change_to_exclude_nothing),
		cmocka_unit_test(an_any_source_leave_is_change_to_include_nothing),
		cmocka_unit_test(the_state_of_an_any_source_group_is_exclude_nothing),
		cmocka_unit_test(a_source_is_allowed_stated_and_blocked),
		cmocka_unit_test(an_unknown_address_is_zero),
		cmocka_unit_test(an_mld_join_goes_to_all_mldv2_routers),
		cmocka_unit_test(an_mld_source_is_allowed_and_blocked),
		cmocka_unit_test(a_flow_with_a_tag_is_reported_with_it),
		cmocka_unit_test(igmpv2_reports_go_to_the_group_and_leaves_to_the_routers),
		cmocka_unit_test(mldv1_reports_go_to_the_group_and_dones_to_the_routers),
		cmocka_unit_test(the_link_local_address_is_the_macs),
		cmocka_unit_test(every_frame_has_right_checksums),
		cmocka_unit_test(a_change_is_sent_at_once_and_again_after_a_second),
		cmocka_unit_test(a_leave_is_sent_twice_and_then_forgotten),
		cmocka_unit_test(a_join_takes_back_a_leave),
		cmocka_unit_test(without_a_query_the_state_is_sent_every_minute),
		cmocka_unit_test(an_answer_puts_the_minute_off),
		cmocka_unit_test(a_link_that_came_back_is_told_everything_again),
		cmocka_unit_test(a_change_and_an_answer_that_are_due_together_are_both_sent),
		cmocka_unit_test(a_buffer_that_may_be_too_small_is_refused),
		cmocka_unit_test(flows_that_differ_in_ports_share_a_membership),
		cmocka_unit_test(the_same_group_on_two_vlans_is_two_memberships),
		cmocka_unit_test(a_source_of_a_group_wanted_from_any_is_no_change),
		cmocka_unit_test(a_group_no_longer_wanted_from_any_keeps_its_sources),
		cmocka_unit_test(the_sources_of_a_group_are_stated_together),
		cmocka_unit_test(the_fullest_report_fits),
		cmocka_unit_test(a_full_table_says_so_and_takes_known_groups_still),
		cmocka_unit_test(a_place_is_free_once_its_leave_was_sent),
		cmocka_unit_test(a_leave_is_repeated_while_there_are_other_places),
		cmocka_unit_test(what_needs_no_report_gets_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
