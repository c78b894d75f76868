/* SPDX-License-Identifier: BSD-2-Clause */
/* The checksums and headers of hot/udp.h, against a sum written straight from RFC 1071. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* RFC 1071 section 1, over big-endian words, folded at every step. */
static uint32_t plain_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next_random(&seed);
}

static void the_sum_is_that_of_rfc_1071(void **state)
{
	(void)state;
	for (uint32_t len = 0; len <= 1600; len++) {
		for (uint32_t shift = 0; shift < 4; shift++) {
			uint8_t *b = malloc(len + shift + 1), *p = b + shift;
			uint16_t sum, want;

			fill(p, len, len * 4 + shift + 1);
			sum = kbp_csum_fold(kbp_csum_add(p, len, 0));
			want = (uint16_t)plain_sum(p, len, 0);
			assert_int_equal(__builtin_bswap16(sum), want);
			free(b);
		}
	}
}

static void the_largest_datagram_of_ones_does_not_overflow(void **state)
{
	uint8_t *p = malloc(65536);

	(void)state;
	memset(p, 0xff, 65536);
	assert_int_equal(kbp_csum_fold(kbp_csum_add(p, 65536, UINT32_MAX)), 0xffff);
	memset(p, 0, 65536);
	assert_int_equal(kbp_csum_fold(kbp_csum_add(p, 65536, 0)), 0);
	free(p);
}

static void a_sum_can_be_taken_in_parts(void **state)
{
	uint8_t p[300];

	(void)state;
	fill(p, sizeof(p), 99);
	for (uint32_t cut = 0; cut <= sizeof(p); cut += 2) {
		uint64_t sum = kbp_csum_add(p, cut, 0);

		sum = kbp_csum_add(p + cut, (uint32_t)sizeof(p) - cut, sum);
		assert_int_equal(kbp_csum_fold(sum), kbp_csum_fold(kbp_csum_add(p, sizeof(p), 0)));
	}
}

static void folding_keeps_any_sum(void **state)
{
	static const uint64_t sums[] = { 0,
					 1,
					 0xffff,
					 0x10000,
					 0x1ffff,
					 UINT32_MAX,
					 UINT32_MAX + 1ull,
					 0xfffffffffffffffe,
					 UINT64_MAX,
					 0xffffffff00000001 };
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		uint64_t s = i < KBP_ARRAY_SIZE(sums) ? sums[i] : next_random(&seed), slow = s;

		while (slow >> 16)
			slow = (slow & 0xffff) + (slow >> 16);
		assert_int_equal(kbp_csum_fold(s), slow);
	}
}

/* A destination as kbp_txflow_open prepares it: lengths and checksums zero. */
static void make_txflow(struct kbp_txflow *t, bool v6, bool tag)
{
	uint64_t udp_sum = kbp_csum_add((const uint8_t *)"\0\21", 2, 0);
	uint8_t *h, *ip, *udp;

	memset(t, 0, sizeof(*t));
	t->ipv6 = v6;
	t->hdr_len = (uint8_t)(14 + (tag ? 4 : 0) + (v6 ? 40 : 20) + 8);
	h = t->hdr;
	udp = h + t->hdr_len - 8;
	ip = udp - (v6 ? 40 : 20);
	memcpy(h, "\1\0\136\1\1\1\2\0\0\0\0\1", 12);
	memcpy(h + 12, tag ? "\201\0\0\144" : "", tag ? 4 : 0);
	memcpy(ip - 2, v6 ? "\206\335" : "\10\0", 2);
	memcpy(udp, "\17\240\23\210", 4); /* 4000 -> 5000 */
	if (v6) {
		memcpy(ip, "\140\0\0\0\0\0\21\1", 8);
		fill(ip + 8, 32, 3);
		udp_sum = kbp_csum_add(ip + 8, 32, udp_sum);
	} else {
		memcpy(ip, "\105\0\0\0\0\0\100\0\1\21\0\0", 12);
		memcpy(ip + 12, "\377\0\2\377\357\1\1\377", 8);
		t->ip_sum = kbp_csum_fold(kbp_csum_add(ip, 20, 0));
		udp_sum = kbp_csum_add(ip + 12, 8, udp_sum);
	}
	t->udp_sum = kbp_csum_fold(kbp_csum_add(udp, 4, udp_sum));
}

/* The receiver's view: verify both checksums over the finished frame. */
static void expect_good_frame(const struct kbp_txflow *t, const uint8_t *payload, uint32_t len)
{
	const uint8_t *udp = payload - 8, *ip = udp - (t->ipv6 ? 40 : 20),
		      *frame = payload - t->hdr_len;
	const uint8_t pseudo[4] = { 0, 17, udp[4], udp[5] };
	struct kbp_datagram d;
	uint32_t sum;

	assert_int_equal(be16(udp + 4), len + 8);
	if (t->ipv6) {
		assert_int_equal(be16(ip + 4), len + 8);
		sum = plain_sum(ip + 8, 32, 0);
	} else {
		assert_int_equal(be16(ip + 2), len + 28);
		assert_int_equal(plain_sum(ip, 20, 0), 0xffff);
		sum = plain_sum(ip + 12, 8, 0);
	}
	assert_int_not_equal(be16(udp + 6), 0);
	assert_int_equal(plain_sum(udp, len + 8, plain_sum(pseudo, 4, sum)), 0xffff);
	assert_int_equal(kbp_datagram_parse(frame, t->hdr_len + len, false, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, len);
	assert_ptr_equal(d.payload, payload);
	assert_int_equal(d.src_port, 4000);
	assert_int_equal(d.dst_port, 5000);
}

static void finished_frames_verify_at_every_length(void **state)
{
	uint8_t *buf = malloc(KBP_HDR_ROOM + 9000), *payload = buf + KBP_HDR_ROOM;
	struct kbp_txflow t;

	(void)state;
	for (int shape = 0; shape < 4; shape++) {
		make_txflow(&t, shape & 1, shape & 2);
		for (uint32_t len = 0; len <= 9000; len += len < 1500 ? 1 : 499) {
			memset(buf, 0xdd, KBP_HDR_ROOM);
			kbp_udp_begin(&t, payload);
			fill(payload, len, len + 1);
			kbp_udp_finish(&t, payload, len);
			expect_good_frame(&t, payload, len);
		}
	}
	free(buf);
}

static void the_header_is_copied_whole_and_stays_inside_the_buffer(void **state)
{
	uint8_t buf[16 + KBP_HDR_ROOM + KBP_HDR_ROOM];
	uint8_t *payload = buf + 16 + KBP_HDR_ROOM;
	struct kbp_txflow t;

	(void)state;
	for (int shape = 0; shape < 4; shape++) {
		make_txflow(&t, shape & 1, shape & 2);
		memset(buf, 0xdd, sizeof(buf));
		kbp_udp_begin(&t, payload);
		assert_memory_equal(payload - t.hdr_len, t.hdr, t.hdr_len);
		for (uint8_t *p = buf; p < payload - t.hdr_len; p++)
			assert_int_equal(*p, 0xdd);
		/* it may run on into the payload, but no further than the header's room would */
		for (uint8_t *p = payload + KBP_HDR_ROOM - t.hdr_len; p < buf + sizeof(buf); p++)
			assert_int_equal(*p, 0xdd);
	}
}

static void finishing_again_with_another_length_is_right(void **state)
{
	uint8_t buf[KBP_HDR_ROOM + 64];
	uint8_t *payload = buf + KBP_HDR_ROOM;
	struct kbp_txflow t;

	(void)state;
	make_txflow(&t, false, false);
	kbp_udp_begin(&t, payload);
	fill(payload, 64, 11);
	kbp_udp_finish(&t, payload, 64);
	kbp_udp_finish(&t, payload, 7);
	expect_good_frame(&t, payload, 7);
}

static void a_sum_of_zero_is_sent_as_ffff(void **state)
{
	uint8_t buf[KBP_HDR_ROOM + 64];
	uint8_t *payload = buf + KBP_HDR_ROOM;
	struct kbp_txflow t;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		make_txflow(&t, v6, false);
		kbp_udp_begin(&t, payload);
		memset(payload, 0, 2);
		kbp_udp_finish(&t, payload, 2);
		/* with the checksum itself as payload, all the rest sums to ffff, its complement
		 * to zero */
		memcpy(payload, payload - 2, 2);
		kbp_udp_finish(&t, payload, 2);
		assert_int_equal(be16(payload - 2), 0xffff);
		expect_good_frame(&t, payload, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_is_that_of_rfc_1071),
		cmocka_unit_test(the_largest_datagram_of_ones_does_not_overflow),
		cmocka_unit_test(a_sum_can_be_taken_in_parts),
		cmocka_unit_test(folding_keeps_any_sum),
		cmocka_unit_test(finished_frames_verify_at_every_length),
		cmocka_unit_test(the_header_is_copied_whole_and_stays_inside_the_buffer),
		cmocka_unit_test(finishing_again_with_another_length_is_right),
		cmocka_unit_test(a_sum_of_zero_is_sent_as_ffff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
