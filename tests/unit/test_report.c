/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own IGMP and MLD reports: their bytes, when they are sent, and what queries bring about. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "frame.h"
#include "internal.h"
#include "report.h"
#include "test.h"

#define SEC 1000000000ull
#define MS 1000000ull
#define START (1000 * SEC)

static const uint8_t own_mac[6] = { 0x00, 0x0f, 0x53, 0x01, 0x02, 0x03 };
static const uint8_t own_ip4[4] = { 192, 0, 2, 10 };

/* fe80::20f:53ff:fe01:203 */
#define OWN_IP6 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x0f, 0x53, 0xff, 0xfe, 0x01, 0x02, 0x03
#define ETH4(a, b, c) 0x01, 0x00, 0x5e, a, b, c, 0x00, 0x0f, 0x53, 0x01, 0x02, 0x03
#define ETH6(a, b, c, d) 0x33, 0x33, a, b, c, d, 0x00, 0x0f, 0x53, 0x01, 0x02, 0x03
/* total length, checksum: the rest of the IPv4 header of every report, up to the destination */
#define IP4(len, sum_hi, sum_lo) \
	0x46, 0xc0, 0, len, 0, 0, 0x40, 0, 1, 2, sum_hi, sum_lo, 192, 0, 2, 10
#define ALERT4 0x94, 4, 0, 0
#define IP6(len) 0x60, 0, 0, 0, 0, len, 0, 1, OWN_IP6
#define ALERT6 58, 0, 5, 2, 0, 0, 1, 0
#define GROUP6 0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0x02
#define SSM6 0xff, 0x3e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01
#define SOURCE6 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01
#define REPORTS6 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16
#define ROUTERS6 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02

struct rig {
	struct kbp_reports r;
	uint64_t now;
	uint32_t len;
	uint8_t frame[KBP_REPORT_BYTES];
};

static struct kbp_flow flow(const char *text)
{
	struct kbp_flow f;
	struct kbp_error err;

	if (kbp_flow_parse(text, &f, &err))
		fail_msg("%s: %s", text, err.hint);
	return f;
}

static void rig_init(struct rig *g)
{
	memset(g, 0, sizeof(*g));
	kbp_reports_init(&g->r, own_mac, own_ip4);
	g->now = START;
}

static void add(struct rig *g, const char *text)
{
	struct kbp_flow f = flow(text);

	assert_int_equal(kbp_reports_add(&g->r, &f, g->now), 0);
}

static void del(struct rig *g, const char *text)
{
	struct kbp_flow f = flow(text);

	kbp_reports_del(&g->r, &f, g->now);
}

static uint32_t next(struct rig *g)
{
	g->len = kbp_reports_next(&g->r, g->frame, sizeof(g->frame), g->now);
	return g->len;
}

/* Everything that is due by then, unseen; how many frames. */
static unsigned skip_to(struct rig *g, uint64_t ns)
{
	unsigned n = 0;

	g->now = ns;
	while (next(g))
		n++;
	return n;
}

/* A joined rig whose change is told: at START + 2 s nothing is due but the minute. */
static void rig_joined(struct rig *g, const char *text)
{
	rig_init(g);
	add(g, text);
	assert_int_equal(skip_to(g, START), 1);
	assert_int_equal(skip_to(g, START + SEC), 1);
	assert_int_equal(skip_to(g, START + 2 * SEC), 0);
}

#define expect_frame(g, ...)                                           \
	do {                                                           \
		const uint8_t want_[] = { __VA_ARGS__ };               \
		assert_int_not_equal(next(g), 0);                      \
		assert_int_equal((g)->len, sizeof(want_));             \
		assert_memory_equal((g)->frame, want_, sizeof(want_)); \
	} while (0)

static const uint8_t *ip_of(const struct rig *g)
{
	return g->frame + (g->frame[12] == 0x81 ? 18 : 14);
}

static bool is_v6(const struct rig *g)
{
	return ip_of(g)[0] >> 4 == 6;
}

/* The IGMP or ICMPv6 message in the last frame, and its length. */
static const uint8_t *message(const struct rig *g, uint32_t *len)
{
	const uint8_t *ip = ip_of(g);
	uint32_t head = is_v6(g) ? 48 : 24;

	if (len)
		*len = is_v6(g) ? (uint32_t)(ip[4] << 8 | ip[5]) - 8 :
				  (uint32_t)(ip[2] << 8 | ip[3]) - 24;
	return ip + head;
}

static bool sums_ok(const struct rig *g)
{
	const uint8_t *ip = ip_of(g), *body;
	uint32_t len;

	body = message(g, &len);
	if ((uint32_t)(body - g->frame) + len > g->len)
		return false;
	if (is_v6(g))
		return frame_fold(frame_sum(body, len, frame_sum(ip + 8, 32, len + 58))) == 0xffff;
	return frame_fold(frame_sum(ip, 24, 0)) == 0xffff &&
	       frame_fold(frame_sum(body, len, 0)) == 0xffff;
}

/* The next frame is a report of version 3 (MLD: 2), of one record of that type with so many
 * sources. */
static void expect_record(struct rig *g, unsigned type, unsigned n_sources)
{
	const uint8_t *p;

	assert_int_not_equal(next(g), 0);
	assert_true(sums_ok(g));
	p = message(g, NULL);
	assert_int_equal(p[0], is_v6(g) ? 143 : 0x22);
	assert_int_equal(p[7], 1);
	assert_int_equal(p[8], type);
	assert_int_equal(p[10] << 8 | p[11], n_sources);
}

static void expect_old(struct rig *g, unsigned type)
{
	assert_int_not_equal(next(g), 0);
	assert_true(sums_ok(g));
	assert_int_equal(message(g, NULL)[0], type);
}

enum { IS_IN = 1, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK };

/* ---------------------------------------------------------------- queries to hear */

struct query {
	unsigned version;  /* of IGMP; MLDv1 and MLDv2 are 2 and 3 */
	const char *group; /* NULL: general, to all nodes */
	const char *sources[4];
	const char *dst; /* NULL: as it should be */
	uint16_t code;
	uint16_t vlan;
	uint32_t len; /* written: bytes of the frame */
	uint8_t frame[256];
};

static void mend(struct query *q, bool v6)
{
	uint8_t *ip = q->frame + (q->frame[12] == 0x81 ? 18 : 14);

	if (v6) {
		uint8_t *body = ip + 40 + (ip[41] + (size_t)1) * 8;
		uint32_t len = (uint32_t)(ip[4] << 8 | ip[5]) - (uint32_t)(body - ip - 40);

		frame_be16(body + 2, 0);
		frame_be16(body + 2, (uint16_t)~frame_fold(
					     frame_sum(body, len, frame_sum(ip + 8, 32, len + 58))));
	} else {
		uint32_t head = (ip[0] & 15u) * 4, len = (uint32_t)(ip[2] << 8 | ip[3]) - head;

		frame_be16(ip + 10, 0);
		frame_be16(ip + 10, (uint16_t)~frame_fold(frame_sum(ip, head, 0)));
		frame_be16(ip + head + 2, 0);
		frame_be16(ip + head + 2, (uint16_t)~frame_fold(frame_sum(ip + head, len, 0)));
	}
}

static uint8_t *put_eth(struct query *q, const char *mac, uint16_t type)
{
	uint8_t *p = q->frame + 12;

	memset(q->frame, 0, sizeof(q->frame));
	memcpy(q->frame, mac, 6);
	memcpy(q->frame + 6, "\x02\x00\x00\x00\x00\x01", 6);
	if (q->vlan) {
		frame_be16(p, 0x8100);
		frame_be16(p + 2, q->vlan);
		p += 4;
	}
	frame_be16(p, type);
	return p + 2;
}

/* From the querier's side; nothing of the code under test is used. */
static void query4(struct query *q)
{
	uint8_t *ip = put_eth(q, "\x01\x00\x5e\x00\x00\x01", 0x0800), *p = ip + 24;
	uint32_t len = q->version == 3 ? 12 : 8;

	p[0] = 0x11;
	p[1] = (uint8_t)q->code;
	if (q->group)
		inet_pton(AF_INET, q->group, p + 4);
	for (unsigned i = 0; i < 4 && q->sources[i]; i++, len += 4) {
		inet_pton(AF_INET, q->sources[i], p + len);
		p[11]++;
	}
	ip[0] = 0x46;
	ip[1] = 0xc0;
	frame_be16(ip + 2, 24 + len);
	ip[8] = 1;
	ip[9] = 2;
	inet_pton(AF_INET, "192.0.2.254", ip + 12);
	inet_pton(AF_INET, q->dst ? q->dst : q->group ? q->group : "224.0.0.1", ip + 16);
	ip[20] = 0x94;
	ip[21] = 4;
	q->len = (uint32_t)(p - q->frame) + len;
	if (q->len < 60)
		q->len = 60;
	mend(q, false);
}

static void query6(struct query *q)
{
	static const uint8_t alert[] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	uint8_t *ip = put_eth(q, "\x33\x33\x00\x00\x00\x01", 0x86dd), *p = ip + 48;
	uint32_t len = q->version == 3 ? 28 : 24;

	p[0] = 130;
	frame_be16(p + 4, q->code);
	if (q->group)
		inet_pton(AF_INET6, q->group, p + 8);
	for (unsigned i = 0; i < 4 && q->sources[i]; i++, len += 16) {
		inet_pton(AF_INET6, q->sources[i], p + len);
		p[27]++;
	}
	ip[0] = 0x60;
	frame_be16(ip + 4, 8 + len);
	ip[7] = 1;
	inet_pton(AF_INET6, "fe80::fffe", ip + 8);
	inet_pton(AF_INET6, q->dst ? q->dst : q->group ? q->group : "ff02::1", ip + 24);
	memcpy(ip + 40, alert, sizeof(alert));
	q->len = (uint32_t)(p - q->frame) + len;
	mend(q, true);
}

static bool hear(struct rig *g, const struct query *q)
{
	/* an allocation of its own, so that a sanitizer sees a read beyond */
	uint8_t *copy = malloc(q->len ? q->len : 1);
	bool heard;

	memcpy(copy, q->frame, q->len);
	heard = kbp_reports_hear(&g->r, copy, q->len, g->now);
	free(copy);
	return heard;
}

static bool hear4(struct rig *g, struct query q)
{
	query4(&q);
	return hear(g, &q);
}

static bool hear6(struct rig *g, struct query q)
{
	query6(&q);
	return hear(g, &q);
}

#define QUERY(...) ((struct query){ __VA_ARGS__ })

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
