/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own IGMP and MLD reports: what queries bring about, and what is no query. */
#include "report_rig.h"

/* ---------------------------------------------------------------- queries */

static void response_codes_are_decoded(void **state)
{
	(void)state;
	assert_true(kbp_reports_igmp_code_ns(0) == 0);
	assert_true(kbp_reports_igmp_code_ns(100) == 10 * SEC);
	assert_true(kbp_reports_igmp_code_ns(127) == 12700 * MS);
	assert_true(kbp_reports_igmp_code_ns(0x80) == 12800 * MS);   /* 16 << 3 */
	assert_true(kbp_reports_igmp_code_ns(0x8f) == 24800 * MS);   /* 31 << 3 */
	assert_true(kbp_reports_igmp_code_ns(0x95) == 33600 * MS);   /* 21 << 4 */
	assert_true(kbp_reports_igmp_code_ns(0xff) == 3174400 * MS); /* 31 << 10 */
	assert_true(kbp_reports_mld_code_ns(0) == 0);
	assert_true(kbp_reports_mld_code_ns(10000) == 10 * SEC);
	assert_true(kbp_reports_mld_code_ns(32767) == 32767 * MS);
	assert_true(kbp_reports_mld_code_ns(0x8000) == 32768 * MS);   /* 4096 << 3 */
	assert_true(kbp_reports_mld_code_ns(0x9001) == 65552 * MS);   /* 4097 << 4 */
	assert_true(kbp_reports_mld_code_ns(0xffff) == 8387584 * MS); /* 8191 << 10 */
}

static void a_general_query_is_answered_for_every_group_within_half_the_time(void **state)
{
	struct rig g;
	uint64_t due_ns;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	add(&g, "232.1.1.1:5000@192.0.2.1");
	add(&g, "[ff15::1:2]:5000");
	skip_to(&g, START + 10 * SEC);
	skip_to(&g, START + 12 * SEC);
	assert_true(hear4(&g, QUERY(.version = 3, .code = 100)));
	due_ns = kbp_reports_due(&g.r);
	assert_true(due_ns > g.now && due_ns <= g.now + 5 * SEC);
	assert_int_equal(next(&g), 0);
	g.now = due_ns;
	expect_record(&g, IS_EX, 0);
	expect_record(&g, IS_IN, 1);
	assert_int_equal(next(&g), 0);
	g.now = START + 20 * SEC;
	assert_true(hear6(&g, QUERY(.version = 3, .code = 10000)));
	due_ns = kbp_reports_due(&g.r);
	assert_true(due_ns > g.now && due_ns <= g.now + 5 * SEC);
	g.now = due_ns;
	expect_record(&g, IS_EX, 0);
	assert_true(is_v6(&g));
	assert_int_equal(next(&g), 0);
}

/* Asks a hundred times: the answers must be spread over the first half of the time, and keep to
 * it. */
static void expect_spread(struct rig *g, bool v6, struct query q, uint64_t max_ns)
{
	uint64_t last = 0, low = UINT64_MAX, high = 0;

	for (unsigned i = 0; i < 100; i++) {
		uint64_t delay;

		g->now += SEC;
		assert_true(v6 ? hear6(g, q) : hear4(g, q));
		delay = kbp_reports_due(&g->r) - g->now;
		assert_true(delay != last && delay <= max_ns / 2);
		last = delay;
		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
		assert_int_equal(skip_to(g, g->now + delay), 1);
	}
	assert_true(low < max_ns / 10 && high > max_ns / 2 - max_ns / 10);
}

static void answers_are_spread(void **state)
{
	static const uint8_t zeros[6];
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	expect_spread(&g, false, QUERY(.version = 3, .code = 100), 10 * SEC);
	rig_init(&g);
	kbp_reports_init(&g.r, zeros, NULL);
	add(&g, "[ff15::1:2]:5000");
	skip_to(&g, START);
	skip_to(&g, START + 2 * SEC);
	expect_spread(&g, true, QUERY(.version = 3, .code = 10000), 10 * SEC);
}

static void the_older_versions_have_no_exponent(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	expect_spread(&g, false, QUERY(.version = 2, .code = 255), 25500 * MS);
	expect_spread(&g, false, QUERY(.version = 1), 10 * SEC);
	rig_joined(&g, "[ff15::1:2]:5000");
	expect_spread(&g, true, QUERY(.version = 2, .code = 0x9000), 36864 * MS);
}

static void an_earlier_answer_is_not_put_off(void **state)
{
	struct rig g;
	uint64_t due_ns;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 3, .code = 10)));
	due_ns = kbp_reports_due(&g.r);
	assert_true(hear4(&g, QUERY(.version = 3, .code = 0xff)));
	assert_true(kbp_reports_due(&g.r) <= due_ns);
}

static void a_group_specific_query_is_answered_for_its_group_only(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	add(&g, "239.1.1.2:5000");
	skip_to(&g, START + 5 * SEC);
	skip_to(&g, START + 7 * SEC);
	assert_true(hear4(&g, QUERY(.version = 3, .group = "239.1.1.2")));
	expect_record(&g, IS_EX, 0);
	assert_memory_equal(message(&g, NULL) + 12, "\xef\x01\x01\x02", 4);
	assert_int_equal(next(&g), 0);
	g.now += SEC;
	assert_true(hear4(&g, QUERY(.version = 3, .group = "239.1.1.3")));
	assert_int_equal(next(&g), 0);
}

static void a_query_of_sources_is_answered_by_those_named(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "232.1.1.1:5000@192.0.2.1");
	add(&g, "232.1.1.1:5000@192.0.2.2");
	skip_to(&g, START + 5 * SEC);
	skip_to(&g, START + 7 * SEC);
	assert_true(hear4(&g, QUERY(.version = 3, .group = "232.1.1.1",
				    .sources = { "192.0.2.9", "192.0.2.2" })));
	expect_record(&g, IS_IN, 1);
	assert_memory_equal(message(&g, NULL) + 16, "\xc0\x00\x02\x02", 4);
	assert_int_equal(next(&g), 0);
	g.now += SEC;
	assert_true(hear4(&g, QUERY(.version = 3, .group = "232.1.1.1", .sources = { "192.0.2.9" })));
	assert_int_equal(next(&g), 0);
}

static void a_query_of_mld_sources_is_answered_by_those_named(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "[ff3e::1]:5000@[2001:db8::1]");
	assert_true(hear6(&g, QUERY(.version = 3, .group = "ff3e::1", .sources = { "2001:db8::2" })));
	assert_int_equal(next(&g), 0);
	assert_true(hear6(&g, QUERY(.version = 3, .group = "ff3e::1",
				    .sources = { "2001:db8::2", "2001:db8::1" })));
	expect_record(&g, IS_IN, 1);
}

static void a_query_of_sources_of_a_group_wanted_from_any_is_answered(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 3, .group = "239.1.1.1", .sources = { "192.0.2.9" })));
	expect_record(&g, IS_EX, 0);
}

static void a_query_on_another_vlan_is_not_answered(void **state)
{
	struct query service = { .version = 3, .vlan = 10 };
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000%10");
	assert_true(hear4(&g, QUERY(.version = 3, .vlan = 11)));
	assert_true(hear4(&g, QUERY(.version = 3)));
	assert_int_equal(next(&g), 0);
	assert_true(hear4(&g, QUERY(.version = 3, .vlan = 10)));
	expect_record(&g, IS_EX, 0);
	g.now += SEC;
	query4(&service);
	frame_be16(service.frame + 12, 0x88a8);
	assert_true(hear(&g, &service));
	expect_record(&g, IS_EX, 0);
}

static void a_flow_without_tag_answers_untagged_and_priority_tagged_queries(void **state)
{
	struct query q = { .version = 3, .vlan = 0xe000 };
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 3, .vlan = 10)));
	assert_int_equal(next(&g), 0);
	query4(&q);
	assert_true(hear(&g, &q));
	expect_record(&g, IS_EX, 0);
	g.now += SEC;
	assert_true(hear4(&g, QUERY(.version = 3)));
	expect_record(&g, IS_EX, 0);
}

static void a_flood_of_queries_costs_ten_answers_a_second(void **state)
{
	unsigned n = 0;
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	for (unsigned i = 0; i < 1000; i++, g.now += MS) {
		assert_true(hear4(&g, QUERY(.version = 3)));
		while (next(&g))
			n++;
	}
	assert_int_equal(n, 10);
}

static void a_left_group_is_not_answered_for(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	del(&g, "239.1.1.1:5000");
	expect_record(&g, TO_IN, 0);
	assert_true(hear4(&g, QUERY(.version = 3)));
	assert_int_equal(next(&g), 0);
}

/* ---------------------------------------------------------------- older queriers */

static void an_igmpv2_querier_gets_igmpv2_for_400_seconds(void **state)
{
	struct rig g;
	uint64_t heard;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	heard = g.now;
	assert_true(hear4(&g, QUERY(.version = 2, .code = 100)));
	assert_true(kbp_reports_due(&g.r) <= g.now + 5 * SEC);
	g.now = kbp_reports_due(&g.r);
	expect_old(&g, 0x16);
	g.now = heard + 400 * SEC - 1;
	add(&g, "239.1.1.2:5000");
	expect_old(&g, 0x16); /* the minute's */
	expect_old(&g, 0x16); /* the join, on a VLAN that is known */
	g.now = heard + 400 * SEC;
	kbp_reports_resend(&g.r, g.now);
	expect_record(&g, TO_EX, 0);
}

static void a_newer_query_does_not_end_the_older_version(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 2, .code = 100)));
	assert_true(hear4(&g, QUERY(.version = 3)));
	expect_old(&g, 0x16);
}

static void a_specific_igmpv2_query_is_answered_in_the_version_in_use(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	assert_true(hear4(&g, QUERY(.version = 2, .code = 10, .group = "239.1.1.1")));
	g.now += SEC / 2;
	expect_record(&g, IS_EX, 0);
}

static void an_older_querier_is_remembered_while_nothing_is_joined(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000%10");
	assert_true(hear4(&g, QUERY(.version = 2, .code = 100, .vlan = 10)));
	del(&g, "239.1.1.1:5000%10");
	skip_to(&g, START + 5 * SEC);
	skip_to(&g, START + 10 * SEC);
	assert_true(kbp_reports_due(&g.r) == UINT64_MAX);
	add(&g, "239.1.1.2:5000%10");
	expect_old(&g, 0x16);
	add(&g, "239.1.1.2:5000%11");
	expect_record(&g, TO_EX, 0);
}

static void an_older_version_is_left_when_the_last_source_is(void **state)
{
	struct rig g;

	(void)state;
	rig_joined(&g, "232.1.1.1:5000@192.0.2.1");
	add(&g, "232.1.1.1:5000@192.0.2.2");
	assert_true(hear4(&g, QUERY(.version = 2, .code = 100)));
	assert_int_equal(skip_to(&g, START + 10 * SEC), 2); /* the join, the state */
	skip_to(&g, START + 12 * SEC);
	del(&g, "232.1.1.1:5000@192.0.2.1");
	assert_int_equal(next(&g), 0);
	del(&g, "232.1.1.1:5000@192.0.2.2");
	expect_old(&g, 0x17);
}

static void an_mldv1_querier_gets_mldv1_until_it_is_silent(void **state)
{
	struct rig g;
	uint64_t heard;

	(void)state;
	rig_joined(&g, "[ff15::1:2]:5000");
	add(&g, "239.1.1.1:5000");
	heard = g.now;
	assert_true(hear6(&g, QUERY(.version = 2, .code = 10000)));
	expect_record(&g, TO_EX, 0);
	assert_false(is_v6(&g)); /* IGMP is as it was */
	g.now = heard + 5 * SEC;
	expect_old(&g, 131);
	skip_to(&g, heard + 399 * SEC);
	g.now = heard + 459 * SEC;
	expect_record(&g, IS_EX, 0);
	assert_true(is_v6(&g));
}

/* ---------------------------------------------------------------- what is no query */

static void an_igmp_query_must_be_whole_and_from_this_link(void **state)
{
	/* offset in the frame, new value, and whether the checksums are made right again */
	static const struct {
		uint8_t at, value;
		bool mended;
	} bad[] = {
		{ 12, 0x09, true },  /* type */
		{ 14, 0x56, true },  /* IP version */
		{ 14, 0x44, false }, /* header shorter than one can be */
		{ 14, 0x4f, false }, /* header longer than the packet */
		{ 17, 23, false },   /* packet shorter than its header */
		{ 17, 200, false },  /* longer than the frame */
		{ 17, 35, true },    /* 11 bytes of IGMP: no version's */
		{ 17, 31, true },    /* 7 */
		{ 20, 0x20, true },  /* more fragments */
		{ 21, 0x01, true },  /* a later fragment */
		{ 22, 2, true },     /* TTL */
		{ 22, 255, true },   /* TTL */
		{ 23, 17, true },    /* UDP */
		{ 24, 0xaa, false }, /* IP checksum */
		{ 33, 9, true },     /* general, to another group */
		{ 38, 0x12, true },  /* an IGMPv1 report */
		{ 39, 7, false },    /* IGMP checksum */
		{ 42, 10, true },    /* of a group that is none */
		{ 49, 1, true },     /* a source in a general one, which is not there either */
	};
	struct query q = { .version = 3 };
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	for (size_t i = 0; i < KBP_ARRAY_SIZE(bad); i++) {
		query4(&q);
		q.frame[bad[i].at] = bad[i].value;
		if (bad[i].mended)
			mend(&q, false);
		if (hear(&g, &q))
			fail_msg("case %zu was taken for a query", i);
	}
	assert_int_equal(next(&g), 0);
	query4(&q);
	assert_true(hear(&g, &q));
}

static void an_mld_query_must_be_whole_and_from_this_link(void **state)
{
	static const struct {
		uint8_t at, value;
		bool mended;
	} bad[] = {
		{ 14, 0x40, true }, /* IP version */
		{ 18, 1, false },   /* longer than the frame */
		{ 19, 7, false },   /* shorter than its options */
		{ 19, 33, true },   /* 25 bytes of MLD: no version's */
		{ 19, 31, true },   /* 23 */
		{ 20, 58, false },  /* no options, and so no Router Alert */
		{ 21, 2, true },    /* hop limit */
		{ 22, 0x20, true }, /* from a global address */
		{ 23, 0xc0, true }, /* from a site-local one */
		{ 53, 9, true },    /* general, to another group */
		{ 54, 17, true },   /* UDP */
		{ 55, 200, false }, /* options longer than the packet */
		{ 56, 1, true },    /* an option, but no Router Alert */
		{ 57, 200, true },  /* one that is longer than all of them */
		{ 58, 1, true },    /* Router Alert of another protocol */
		{ 62, 131, true },  /* a report */
		{ 65, 7, false },   /* checksum */
		{ 70, 0x20, true }, /* of a group that is none */
		{ 89, 1, true },    /* a source in a general one, which is not there either */
	};
	struct query q = { .version = 3 };
	struct rig g;

	(void)state;
	rig_joined(&g, "[ff15::1:2]:5000");
	for (size_t i = 0; i < KBP_ARRAY_SIZE(bad); i++) {
		query6(&q);
		q.frame[bad[i].at] = bad[i].value;
		if (bad[i].mended)
			mend(&q, true);
		if (hear(&g, &q))
			fail_msg("case %zu was taken for a query", i);
	}
	assert_int_equal(next(&g), 0);
	query6(&q);
	assert_true(hear(&g, &q));
}

static void more_sources_than_there_is_room_for_are_no_query(void **state)
{
	struct query q = { .version = 3, .group = "232.1.1.1", .sources = { "192.0.2.1" } };
	struct rig g;

	(void)state;
	rig_joined(&g, "232.1.1.1:5000@192.0.2.1");
	query4(&q);
	q.frame[49] = 2;
	mend(&q, false);
	assert_false(hear(&g, &q));
	q.frame[48] = 0xff;
	mend(&q, false);
	assert_false(hear(&g, &q));
	q.frame[48] = 0;
	q.frame[49] = 0;
	mend(&q, false);
	assert_true(hear(&g, &q)); /* bytes beyond are allowed */
}

static void a_general_query_names_no_sources(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	assert_false(hear4(&g, QUERY(.version = 3, .sources = { "192.0.2.1" })));
	assert_false(hear6(&g, QUERY(.version = 3, .sources = { "2001:db8::1" })));
}

static void queries_to_ourselves_and_without_router_alert_are_heard(void **state)
{
	struct query q = { .version = 3, .dst = "192.0.2.10" };
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	query4(&q);
	assert_true(hear(&g, &q));
	assert_true(hear6(&g, QUERY(.version = 3, .dst = "fe80::20f:53ff:fe01:203")));
	assert_false(hear4(&g, QUERY(.version = 3, .dst = "192.0.2.11")));
	assert_false(hear6(&g, QUERY(.version = 3, .dst = "fe80::1")));
	kbp_reports_init(&g.r, own_mac, NULL);
	assert_false(hear4(&g, QUERY(.version = 3, .dst = "0.0.0.0")));
	/* the options end where the message begins: the same, 4 bytes shorter */
	q.dst = NULL;
	query4(&q);
	memmove(q.frame + 34, q.frame + 38, 12);
	q.frame[14] = 0x45;
	q.frame[17] = 32;
	mend(&q, false);
	assert_true(hear(&g, &q));
}

static void our_own_reports_are_no_queries(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	add(&g, "239.1.1.1:5000");
	add(&g, "[ff15::1:2]:5000");
	while (next(&g))
		assert_false(kbp_reports_hear(&g.r, g.frame, g.len, g.now));
}

static void a_truncated_query_is_none(void **state)
{
	struct query q4 = { .version = 3, .group = "232.1.1.1", .sources = { "192.0.2.1" }, .vlan = 5 };
	struct query q6 = { .version = 3, .group = "ff3e::1", .sources = { "2001:db8::1" }, .vlan = 5 };
	struct query *const all[] = { &q4, &q6 };
	struct rig g;

	(void)state;
	rig_init(&g);
	query4(&q4);
	query6(&q6);
	q4.len = 58; /* without padding */
	for (size_t i = 0; i < KBP_ARRAY_SIZE(all); i++) {
		uint32_t whole = all[i]->len;

		assert_true(hear(&g, all[i]));
		for (all[i]->len = 0; all[i]->len < whole; all[i]->len++)
			assert_false(hear(&g, all[i]));
	}
}

static uint32_t next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static void damaged_queries_do_no_harm(void **state)
{
	uint32_t seed = 1, heard = 0;
	struct rig g;

	(void)state;
	rig_joined(&g, "232.1.1.1:5000@192.0.2.1");
	add(&g, "[ff3e::1]:5000@[2001:db8::1]%5");
	for (unsigned i = 0; i < 200000; i++) {
		struct query q = { .version = 2 + (i & 1), .vlan = i & 2 ? 5 : 0 };
		bool v6 = i & 4, mended = next_random(&seed) & 1;

		q.group = i & 8 ? NULL : v6 ? "ff3e::1" : "232.1.1.1";
		q.sources[0] = (i & 1) && q.group ? (v6 ? "2001:db8::1" : "192.0.2.1") : NULL;
		if (v6)
			query6(&q);
		else
			query4(&q);
		for (unsigned n = next_random(&seed) % 4; n; n--)
			q.frame[14 + next_random(&seed) % (q.len - 14)] ^=
				(uint8_t)(1u << next_random(&seed) % 8);
		/* right checksums bring the damage past the first check */
		if (mended && v6) {
			uint8_t *ip = q.frame + (q.frame[12] == 0x81 ? 18 : 14);

			if (ip[41] == 0 && ip[4] == 0 && ip[5] >= 8 && ip[5] < 120)
				mend(&q, true);
		} else if (mended) {
			uint8_t *ip = q.frame + (q.frame[12] == 0x81 ? 18 : 14);

			if (ip[2] == 0 && ip[3] >= (ip[0] & 15u) * 4 + 4 && ip[3] < 120)
				mend(&q, false);
		}
		if (!(next_random(&seed) & 15))
			q.len = next_random(&seed) % (q.len + 1);
		heard += hear(&g, &q);
		g.now += next_random(&seed) % SEC;
		while (next(&g))
			assert_true(sums_ok(&g));
		assert_true(kbp_reports_due(&g.r) > g.now);
	}
	assert_true(heard > 10000 && heard < 190000);
}

static void random_frames_are_no_queries(void **state)
{
	struct query q = { 0 };
	uint32_t seed = 7;
	struct rig g;

	(void)state;
	rig_joined(&g, "239.1.1.1:5000");
	for (unsigned i = 0; i < 100000; i++) {
		for (unsigned k = 0; k < 128; k += 4) {
			uint32_t v = next_random(&seed);

			memcpy(q.frame + k, &v, 4);
		}
		frame_be16(q.frame + 12, i & 1 ? 0x0800 : 0x86dd);
		q.frame[14] = i & 1 ? 0x45 : 0x60;
		q.len = next_random(&seed) % 129;
		assert_false(hear(&g, &q));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(response_codes_are_decoded),
		cmocka_unit_test(a_general_query_is_answered_for_every_group_within_half_the_time),
		cmocka_unit_test(answers_are_spread),
		cmocka_unit_test(the_older_versions_have_no_exponent),
		cmocka_unit_test(an_earlier_answer_is_not_put_off),
		cmocka_unit_test(a_group_specific_query_is_answered_for_its_group_only),
		cmocka_unit_test(a_query_of_sources_is_answered_by_those_named),
		cmocka_unit_test(a_query_of_mld_sources_is_answered_by_those_named),
		cmocka_unit_test(a_query_of_sources_of_a_group_wanted_from_any_is_answered),
		cmocka_unit_test(a_query_on_another_vlan_is_not_answered),
		cmocka_unit_test(a_flow_without_tag_answers_untagged_and_priority_tagged_queries),
		cmocka_unit_test(a_flood_of_queries_costs_ten_answers_a_second),
		cmocka_unit_test(a_left_group_is_not_answered_for),
		cmocka_unit_test(an_igmpv2_querier_gets_igmpv2_for_400_seconds),
		cmocka_unit_test(a_newer_query_does_not_end_the_older_version),
		cmocka_unit_test(a_specific_igmpv2_query_is_answered_in_the_version_in_use),
		cmocka_unit_test(an_older_querier_is_remembered_while_nothing_is_joined),
		cmocka_unit_test(an_older_version_is_left_when_the_last_source_is),
		cmocka_unit_test(an_mldv1_querier_gets_mldv1_until_it_is_silent),
		cmocka_unit_test(an_igmp_query_must_be_whole_and_from_this_link),
		cmocka_unit_test(an_mld_query_must_be_whole_and_from_this_link),
		cmocka_unit_test(more_sources_than_there_is_room_for_are_no_query),
		cmocka_unit_test(a_general_query_names_no_sources),
		cmocka_unit_test(queries_to_ourselves_and_without_router_alert_are_heard),
		cmocka_unit_test(our_own_reports_are_no_queries),
		cmocka_unit_test(a_truncated_query_is_none),
		cmocka_unit_test(damaged_queries_do_no_harm),
		cmocka_unit_test(random_frames_are_no_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
