/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damaged Ethernet frames through kbp_datagram_parse. Deterministic: the same frames on every run.
 * Each stands in a buffer of exactly its size, so that a sanitizer build sees the first byte read
 * beyond it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <kbypass/kbypass.h>

#define ROUNDS 400000
#define FRAME_MAX 128u
#define TRAILER_MAX 16u

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % n;
}

static const struct {
	uint32_t n;
	const char *bytes;
} corpus[] = {
	/* IPv4, 4 bytes of payload */
	{ 46, "\1\0\136\1\1\1\2\0\0\0\0\1\10\0"
	      "\105\0\0\40\0\0\100\0\1\21\0\0\300\0\2\1\357\1\1\1"
	      "\17\240\23\210\0\14\0\0"
	      "data" },
	/* two tags, IPv4 with 4 bytes of options */
	{ 58, "\1\0\136\1\1\1\2\0\0\0\0\1\210\250\0\1\201\0\0\2\10\0"
	      "\106\0\0\44\0\0\100\0\1\21\0\0\300\0\2\1\357\1\1\1\1\1\1\1"
	      "\17\240\23\210\0\14\0\0"
	      "data" },
	/* IPv6, hop-by-hop, routing, atomic fragment */
	{ 90, "\63\63\0\0\0\1\2\0\0\0\0\1\206\335"
	      "\140\0\0\0\0\44\0\1\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\377\25\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
	      "\53\0\0\0\0\0\0\0"
	      "\54\0\0\0\0\0\0\0"
	      "\21\0\0\0\0\0\0\0"
	      "\17\240\23\210\0\14\0\0"
	      "data" },
};

/* Values that parsers trip over, at the places where lengths and types stand. */
static void damage(uint8_t *p, uint32_t n)
{
	static const uint8_t nasty[] = { 0,    1,    4,	   7,	 8,    0x0f, 0x11, 0x2c, 0x3c, 0x40,
					 0x45, 0x4f, 0x60, 0x7f, 0x80, 0x81, 0x88, 0xa8, 0xdd, 0xff };

	for (uint32_t k = random_below(5); k && n; k--) {
		uint32_t at = random_below(n);

		switch (random_below(3)) {
		case 0:
			p[at] = nasty[random_below(sizeof(nasty))];
			break;
		case 1:
			p[at] ^= (uint8_t)(1u << random_below(8));
			break;
		default:
			p[at] = (uint8_t)random_below(256);
		}
	}
}

static void damaged_frames_give_payload_inside_or_a_reason(void **state)
{
	unsigned seen[KBP_PARSE_MALFORMED + 1] = { 0 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t pick = random_below(sizeof(corpus) / sizeof(corpus[0]));
		uint32_t n = corpus[pick].n;
		bool more = random_below(2);
		struct kbp_datagram d, again;
		enum kbp_parse rc;
		uint8_t buf[FRAME_MAX + TRAILER_MAX], *exact;

		memcpy(buf, corpus[pick].bytes, n);
		if (!random_below(4))
			n = random_below(n + 1);
		damage(buf, n);
		exact = malloc(n ? n : 1);
		assert_non_null(exact);
		memcpy(exact, buf, n);
		rc = kbp_datagram_parse(exact, n, more, &d);
		assert_true((unsigned)rc <= KBP_PARSE_MALFORMED);
		seen[rc]++;
		if (rc == KBP_PARSE_OK) {
			const uint8_t *payload = d.payload;

			assert_true(payload >= exact + 14 && payload <= exact + n);
			assert_true(d.len <= (size_t)(exact + n - payload));
			assert_true(d.len == d.total_len || (more && d.len < d.total_len));
			assert_true(d.src.family == d.dst.family && d.src.family);
			assert_true(d.vlan < 4096);
			if (!more) { /* what follows a whole datagram changes nothing */
				for (uint32_t i = 0; i < TRAILER_MAX; i++)
					buf[n + i] = (uint8_t)random_below(256);
				assert_int_equal(
					kbp_datagram_parse(buf, n + TRAILER_MAX, false, &again), rc);
				assert_int_equal(again.total_len, d.total_len);
				assert_int_equal((const uint8_t *)again.payload - buf,
						 payload - exact);
			}
		}
		free(exact);
	}
	/* the mutations reach every answer, or this would test little */
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		assert_true(seen[i] > ROUNDS / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_frames_give_payload_inside_or_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
