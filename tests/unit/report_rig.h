/* SPDX-License-Identifier: BSD-2-Clause */
/* report_rig.h - reports taken from the code under test, and queries written from the querier's side. */
#ifndef KBP_TEST_REPORT_RIG_H
#define KBP_TEST_REPORT_RIG_H

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

static inline struct kbp_flow flow(const char *text)
{
	struct kbp_flow f;
	struct kbp_error err;

	if (kbp_flow_parse(text, &f, &err))
		fail_msg("%s: %s", text, err.hint);
	return f;
}

static inline void rig_init(struct rig *g)
{
	memset(g, 0, sizeof(*g));
	kbp_reports_init(&g->r, own_mac, own_ip4);
	g->now = START;
}

static inline void add(struct rig *g, const char *text)
{
	struct kbp_flow f = flow(text);

	assert_int_equal(kbp_reports_add(&g->r, &f, g->now), 0);
}

static inline void del(struct rig *g, const char *text)
{
	struct kbp_flow f = flow(text);

	kbp_reports_del(&g->r, &f, g->now);
}

static inline uint32_t next(struct rig *g)
{
	g->len = kbp_reports_next(&g->r, g->frame, sizeof(g->frame), g->now);
	return g->len;
}

/* Everything that is due by then, unseen; how many frames. */
static inline unsigned skip_to(struct rig *g, uint64_t ns)
{
	unsigned n = 0;

	g->now = ns;
	while (next(g))
		n++;
	return n;
}

/* A joined rig whose change is told: at START + 2 s nothing is due but the minute. */
static inline void rig_joined(struct rig *g, const char *text)
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

static inline const uint8_t *ip_of(const struct rig *g)
{
	return g->frame + (g->frame[12] == 0x81 ? 18 : 14);
}

static inline bool is_v6(const struct rig *g)
{
	return ip_of(g)[0] >> 4 == 6;
}

/* The IGMP or ICMPv6 message in the last frame, and its length. */
static inline const uint8_t *message(const struct rig *g, uint32_t *len)
{
	const uint8_t *ip = ip_of(g);
	uint32_t head = is_v6(g) ? 48 : 24;

	if (len)
		*len = is_v6(g) ? (uint32_t)(ip[4] << 8 | ip[5]) - 8 :
				  (uint32_t)(ip[2] << 8 | ip[3]) - 24;
	return ip + head;
}

static inline bool sums_ok(const struct rig *g)
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
static inline void expect_record(struct rig *g, unsigned type, unsigned n_sources)
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

static inline void expect_old(struct rig *g, unsigned type)
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

static inline void mend(struct query *q, bool v6)
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

static inline uint8_t *put_eth(struct query *q, const char *mac, uint16_t type)
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
static inline void query4(struct query *q)
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

static inline void query6(struct query *q)
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

static inline bool hear(struct rig *g, const struct query *q)
{
	/* an allocation of its own, so that a sanitizer sees a read beyond */
	uint8_t *copy = malloc(q->len ? q->len : 1);
	bool heard;

	memcpy(copy, q->frame, q->len);
	heard = kbp_reports_hear(&g->r, copy, q->len, g->now);
	free(copy);
	return heard;
}

static inline bool hear4(struct rig *g, struct query q)
{
	query4(&q);
	return hear(g, &q);
}

static inline bool hear6(struct rig *g, struct query q)
{
	query6(&q);
	return hear(g, &q);
}

#define QUERY(...) ((struct query){ __VA_ARGS__ })

#endif
