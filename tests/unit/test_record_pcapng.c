/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks are what draft-ietf-opsawg-pcapng says, byte by byte, and whole or not there. */
#include "test.h"

#include "tools/record/pcapng.h"

static uint8_t memory[4096];

static struct kbp_png buffer(size_t cap)
{
	struct kbp_png b = { memory, 0, cap };

	memset(memory, 0xee, sizeof(memory));
	return b;
}

static void check(const struct kbp_png *b, const uint8_t *want, size_t n)
{
	assert_int_equal(b->len, n);
	assert_memory_equal(b->p, want, n);
	assert_int_equal(b->p[n], 0xee);
}

static void a_section_begins_the_file(void **state)
{
	static const uint8_t want[] = { 0x0a, 0x0d, 0x0d, 0x0a, 56, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a,
					1, 0, 0, 0, /* 1.0 */
					0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff,				/* length not known */
					1, 0, 2, 0, 'h', 'i', 0, 0,	/* comment */
					2, 0, 1, 0, 'c', 0, 0, 0,	/* hardware */
					3, 0, 4, 0, 'o', 's', '-', '1', /* os */
					/* no application: an empty text is left out */
					0, 0, 0, 0, 56, 0, 0, 0 };
	struct kbp_png b = buffer(1024);

	(void)state;
	assert_true(kbp_png_section(&b, "c", "os-1", "", "hi"));
	check(&b, want, sizeof(want));
}

static void an_interface_counts_nanoseconds(void **state)
{
	static const uint8_t want[] = { 1, 0, 0, 0, 44,	 0,   0,   0,	101, 0, 0, 0,
					0, 0, 4, 0, /* snaplen 262144 */
					2, 0, 5, 0, 'k', 'b', 'p', 'r', 'x', 0, 0, 0, /* if_name */
					9, 0, 1, 0, 9,	 0,   0,   0, /* if_tsresol: 10^-9 */
					0, 0, 0, 0, 44,	 0,   0,   0 };
	struct kbp_png b = buffer(1024);

	(void)state;
	assert_true(kbp_png_interface(&b, 101, 262144, "kbprx", NULL));
	check(&b, want, sizeof(want));
}

static void a_packet_has_its_time_in_two_words_and_its_padding(void **state)
{
	static const uint8_t want[] = {
		6,    0,    0,	  0,	72,   0,    0,	  0,	3, 0, 0, 0, /* interface */
		0x84, 0x5b, 0xd7, 0x18, 0x15, 0xcd, 0x4e, 0x2b, /* 1790000000123456789: the upper word first */
		5,    0,    0,	  0,	9,    0,    0,	  0,		    /* captured, original */
		'a',  'b',  'c',  'd',	'e',  0,    0,	  0,		    /* padded */
		1,    0,    3,	  0,	'x',  '=',  '1',  0,		    /* comment */
		2,    0,    4,	  0,	1,    0,    0,	  0,		    /* epb_flags: inbound */
		4,    0,    8,	  0,	7,    0,    0,	  0,	0, 0, 0, 0, /* epb_dropcount */
		0,    0,    0,	  0,	72,   0,    0,	  0
	};
	const uint64_t ns = 1790000000123456789u;
	struct kbp_png_packet p = { .interface = 3,
				    .ts_ns = ns,
				    .head = "ab",
				    .head_len = 2,
				    .body = "cde",
				    .body_len = 3,
				    .original_len = 9,
				    .drops = 7,
				    .comment = "x=1" };
	struct kbp_png b = buffer(1024);

	(void)state;
	assert_true(kbp_png_packet(&b, &p));
	check(&b, want, sizeof(want));
}

static void a_packet_without_losses_has_no_drop_count(void **state)
{
	struct kbp_png_packet p = { .body = "a",
				    .body_len = 1,
				    .original_len = 1,
				    .drops = KBP_PNG_NONE };
	struct kbp_png b = buffer(1024);

	(void)state;
	assert_true(kbp_png_packet(&b, &p));
	assert_int_equal(b.len, 28 + 4 + 8 + 4 + 4); /* head, padded byte, flags, end, length */
}

static void statistics_say_only_what_is_known(void **state)
{
	static const uint8_t want[] = {
		5, 0, 0, 0, 84,	 0,   0,   0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, /* at 9 ns */
		1, 0, 3, 0, 'a', '=', '2', 0,					  /* comment */
		2, 0, 8, 0, 0,	 0,   0,   0, 7, 0, 0, 0, /* isb_starttime */
		3, 0, 8, 0, 1,	 0,   0,   0, 8, 0, 0, 0, /* isb_endtime: 2^32 + 8 */
		7, 0, 8, 0, 5,	 0,   0,   0, 0, 0, 0, 0, /* isb_osdrop */
		8, 0, 8, 0, 6,	 0,   0,   0, 0, 0, 0, 0, /* isb_usrdeliv */
		0, 0, 0, 0, 84,	 0,   0,   0
	};
	struct kbp_png_stats s = { .interface = 1,
				   .ts_ns = 9,
				   .start_ns = 7,
				   .end_ns = (1ull << 32) + 8,
				   .ifdrop = KBP_PNG_NONE,
				   .filteraccept = KBP_PNG_NONE,
				   .osdrop = 5,
				   .usrdeliv = 6,
				   .comment = "a=2" };
	struct kbp_png b = buffer(1024);

	(void)state;
	assert_true(kbp_png_stats(&b, &s));
	check(&b, want, sizeof(want));
}

static void what_does_not_fit_is_not_begun(void **state)
{
	static const uint8_t body[100];
	struct kbp_png_packet p = { .body = body,
				    .body_len = 100,
				    .original_len = 100,
				    .comment = "sync=in" };
	struct kbp_png b = buffer(1024);
	size_t n = 1, one;

	(void)state;
	assert_true(kbp_png_packet(&b, &p));
	one = b.len;
	while (kbp_png_packet(&b, &p))
		n++;
	assert_true(n > 2);
	assert_int_equal(b.len, n * one);
	assert_true(b.len <= 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_begins_the_file),
		cmocka_unit_test(an_interface_counts_nanoseconds),
		cmocka_unit_test(a_packet_has_its_time_in_two_words_and_its_padding),
		cmocka_unit_test(a_packet_without_losses_has_no_drop_count),
		cmocka_unit_test(statistics_say_only_what_is_known),
		cmocka_unit_test(what_does_not_fit_is_not_begun),
	};

	return cmocka_run_group_tests_name("record_pcapng", tests, NULL, NULL);
}
