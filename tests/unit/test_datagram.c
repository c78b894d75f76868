/* SPDX-License-Identifier: BSD-2-Clause */
/* From Ethernet frame to datagram. Every frame is parsed from a buffer of exactly its size, so
 * that a sanitizer sees the first byte read beyond it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PAYLOAD "market data"
#define PAYLOAD_LEN ((uint32_t)sizeof(PAYLOAD) - 1)

struct packet {
	uint8_t b[512];
	uint32_t n;
	uint32_t ip, udp; /* where these headers begin */
};

static void put(struct packet *p, const void *bytes, uint32_t n)
{
	memcpy(p->b + p->n, bytes, n);
	p->n += n;
}

static void put16(struct packet *p, unsigned v)
{
	uint16_t be = htons((uint16_t)v);

	put(p, &be, 2);
}

static void set16(struct packet *p, uint32_t at, unsigned v)
{
	p->b[at] = (uint8_t)(v >> 8);
	p->b[at + 1] = (uint8_t)v;
}

/* Ethernet with tags: pairs of type and TCI, ending in 0. */
static void put_eth(struct packet *p, const unsigned *tags, unsigned type)
{
	memset(p, 0, sizeof(*p));
	put(p, "\1\0\136\1\1\1\2\0\0\0\0\1", 12);
	for (; tags && *tags; tags += 2) {
		put16(p, tags[0]);
		put16(p, tags[1]);
	}
	put16(p, type);
	p->ip = p->n;
}

static void put_udp(struct packet *p)
{
	p->udp = p->n;
	put16(p, 4000);
	put16(p, 5000);
	put16(p, 8 + PAYLOAD_LEN);
	put16(p, 0);
	put(p, PAYLOAD, PAYLOAD_LEN);
}

static struct packet ipv4(const unsigned *tags, uint32_t options)
{
	struct packet p;

	put_eth(&p, tags, 0x0800);
	p.b[p.n] = (uint8_t)(0x40 + 5 + options / 4);
	p.b[p.n + 8] = 64;
	p.b[p.n + 9] = IPPROTO_UDP;
	set16(&p, p.n + 2, 20 + options + 8 + PAYLOAD_LEN);
	memcpy(p.b + p.n + 12, "\300\0\2\1\357\1\1\1", 8);
	memset(p.b + p.n + 20, 1, options);
	p.n += 20 + options;
	put_udp(&p);
	return p;
}

/* `exts`: n bytes of extension headers, the first of kind `next`, the last one naming UDP. */
static struct packet ipv6(const unsigned *tags, uint8_t next, const void *exts, uint32_t n)
{
	struct packet p;

	put_eth(&p, tags, 0x86dd);
	p.b[p.n] = 0x60;
	p.b[p.n + 6] = next;
	set16(&p, p.n + 4, n + 8 + PAYLOAD_LEN);
	inet_pton(AF_INET6, "2001:db8::1", p.b + p.n + 8);
	inet_pton(AF_INET6, "ff15::1", p.b + p.n + 24);
	p.n += 40;
	put(&p, exts, n);
	put_udp(&p);
	return p;
}

static uint8_t *exact; /* what d->payload points into */

static enum kbp_parse parse_n(const struct packet *p, uint32_t n, bool more, struct kbp_datagram *d)
{
	free(exact);
	exact = malloc(n ? n : 1);
	memcpy(exact, p->b, n);
	return kbp_datagram_parse(exact, n, more, d);
}

static enum kbp_parse parse(const struct packet *p)
{
	struct kbp_datagram d;

	return parse_n(p, p->n, false, &d);
}

static void expect_payload(const struct packet *p, uint16_t vlan, const char *src, const char *dst)
{
	struct kbp_datagram d;
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(parse_n(p, p->n, false, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, PAYLOAD_LEN);
	assert_int_equal(d.total_len, PAYLOAD_LEN);
	assert_memory_equal(d.payload, PAYLOAD, PAYLOAD_LEN);
	assert_int_equal(d.src_port, 4000);
	assert_int_equal(d.dst_port, 5000);
	assert_int_equal(d.vlan, vlan);
	assert_string_equal(inet_ntop(d.src.family, d.src.bytes, text, sizeof(text)), src);
	assert_string_equal(inet_ntop(d.dst.family, d.dst.bytes, text, sizeof(text)), dst);
}

static const unsigned one_tag[] = { 0x8100, 0xe064, 0 }; /* priority 7, VLAN 100 */
static const unsigned two_tags[] = { 0x88a8, 200, 0x8100, 100, 0 };
static const unsigned old_two_tags[] = { 0x8100, 200, 0x8100, 100, 0 };
static const unsigned three_tags[] = { 0x88a8, 1, 0x8100, 2, 0x8100, 3, 0 };

#define V4 "192.0.2.1", "239.1.1.1"
#define V6 "2001:db8::1", "ff15::1"

/* hop-by-hop of 8 bytes, destination options of 16, routing of 8 */
static const uint8_t exts[32] = {
	[0] = IPPROTO_DSTOPTS,
	[8] = IPPROTO_ROUTING,
	[9] = 1,
	[24] = IPPROTO_UDP,
};
/* the fourth byte has reserved bits set, which are ignored */
static const uint8_t atomic_fragment[8] = { IPPROTO_UDP, 0, 0, 0x06, 1, 2, 3, 4 };

static void ipv4_and_ipv6_give_payload_and_addresses(void **state)
{
	struct packet p = ipv4(NULL, 0), q = ipv6(NULL, IPPROTO_UDP, "", 0);

	(void)state;
	expect_payload(&p, 0, V4);
	expect_payload(&q, 0, V6);
}

static void tags_are_skipped_and_the_outer_one_reported(void **state)
{
	struct packet p;

	(void)state;
	p = ipv4(one_tag, 0);
	expect_payload(&p, 100, V4);
	p = ipv4(two_tags, 0);
	expect_payload(&p, 200, V4);
	p = ipv4(old_two_tags, 0);
	expect_payload(&p, 200, V4);
	p = ipv6(two_tags, IPPROTO_UDP, "", 0);
	expect_payload(&p, 200, V6);
	p = ipv4(three_tags, 0);
	assert_int_equal(parse(&p), KBP_PARSE_NOT_IP);
}

static void ip_options_are_skipped(void **state)
{
	(void)state;
	for (uint32_t options = 4; options <= 40; options += 4) {
		struct packet p = ipv4(NULL, options);

		expect_payload(&p, 0, V4);
	}
}

static void extension_headers_are_walked(void **state)
{
	struct packet p = ipv6(NULL, IPPROTO_HOPOPTS, exts, sizeof(exts));

	(void)state;
	expect_payload(&p, 0, V6);
	p = ipv6(one_tag, IPPROTO_FRAGMENT, atomic_fragment, sizeof(atomic_fragment));
	expect_payload(&p, 100, V6);
}

static void a_chain_of_extension_headers_has_an_end(void **state)
{
	uint8_t many[9 * 8] = { 0 };
	struct packet p;

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		many[i * 8] = IPPROTO_DSTOPTS;
	many[7 * 8] = IPPROTO_UDP;
	p = ipv6(NULL, IPPROTO_DSTOPTS, many, 8 * 8);
	assert_int_equal(parse(&p), KBP_PARSE_OK);
	many[7 * 8] = IPPROTO_DSTOPTS;
	many[8 * 8] = IPPROTO_UDP;
	p = ipv6(NULL, IPPROTO_DSTOPTS, many, 9 * 8);
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
}

static void fragments_are_named_as_such(void **state)
{
	uint8_t frag[8] = { IPPROTO_UDP, 0, 0, 1 };
	struct packet p = ipv4(NULL, 0);

	(void)state;
	set16(&p, p.ip + 6, 0x2000);
	assert_int_equal(parse(&p), KBP_PARSE_FRAGMENT);
	set16(&p, p.ip + 6, 0x0001);
	assert_int_equal(parse(&p), KBP_PARSE_FRAGMENT);
	set16(&p, p.ip + 6, 0x4000); /* don't fragment */
	assert_int_equal(parse(&p), KBP_PARSE_OK);
	p = ipv6(NULL, IPPROTO_FRAGMENT, frag, 8);
	assert_int_equal(parse(&p), KBP_PARSE_FRAGMENT);
	frag[3] = 8;
	p = ipv6(NULL, IPPROTO_FRAGMENT, frag, 8);
	assert_int_equal(parse(&p), KBP_PARSE_FRAGMENT);
}

static void other_traffic_is_told_apart(void **state)
{
	struct packet p = ipv4(NULL, 0);

	(void)state;
	p.b[p.ip + 9] = IPPROTO_TCP;
	assert_int_equal(parse(&p), KBP_PARSE_NOT_UDP);
	set16(&p, p.ip + 6, 0x2000); /* a fragment of TCP is no part of a datagram */
	assert_int_equal(parse(&p), KBP_PARSE_NOT_UDP);
	p = ipv6(NULL, IPPROTO_ICMPV6, "", 0);
	assert_int_equal(parse(&p), KBP_PARSE_NOT_UDP);
	p = ipv6(NULL, IPPROTO_NONE, "", 0);
	set16(&p, p.ip + 4, 0);
	assert_int_equal(parse(&p), KBP_PARSE_NOT_UDP);
	p = ipv4(NULL, 0);
	set16(&p, 12, 0x0806);
	assert_int_equal(parse(&p), KBP_PARSE_NOT_IP);
	set16(&p, 12, 46); /* 802.3 length: spanning tree */
	assert_int_equal(parse(&p), KBP_PARSE_NOT_IP);
}

static void padding_and_trailers_are_no_payload(void **state)
{
	struct packet p = ipv4(NULL, 0);

	(void)state;
	put(&p, "trailer", 7);
	expect_payload(&p, 0, V4);
	/* bytes between the UDP datagram and the end of the IP packet are not UDP's either */
	set16(&p, p.ip + 2, 20 + 8 + PAYLOAD_LEN + 7);
	expect_payload(&p, 0, V4);
	p = ipv6(NULL, IPPROTO_UDP, "", 0);
	put(&p, "trailer", 7);
	expect_payload(&p, 0, V6);
}

static void an_empty_datagram_is_a_datagram(void **state)
{
	struct packet p = ipv4(NULL, 0);
	struct kbp_datagram d;

	(void)state;
	set16(&p, p.udp + 4, 8);
	set16(&p, p.ip + 2, 28);
	assert_int_equal(parse_n(&p, p.udp + 8, false, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, 0);
	assert_int_equal(d.total_len, 0);
	assert_ptr_equal(d.payload, exact + p.udp + 8);
}

static void lengths_that_contradict_each_other_are_malformed(void **state)
{
	struct packet p, good = ipv4(NULL, 0);

	(void)state;
	for (unsigned udp_len = 0; udp_len < 8; udp_len++) {
		p = good;
		set16(&p, p.udp + 4, udp_len);
		assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	}
	p = good;
	set16(&p, p.udp + 4, 8 + PAYLOAD_LEN + 1); /* beyond the IP packet */
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p = good;
	set16(&p, p.ip + 2, 19); /* total length below the header's */
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	set16(&p, p.ip + 2, 27); /* no room for the UDP header */
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p = good;
	p.b[p.ip] = 0x44;
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p.b[p.ip] = 0x65;
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p = ipv6(NULL, IPPROTO_UDP, "", 0);
	p.b[p.ip] = 0x40;
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p = ipv6(NULL, IPPROTO_UDP, "", 0);
	set16(&p, p.ip + 4, 0); /* a jumbogram */
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
	p = ipv6(NULL, IPPROTO_HOPOPTS, exts, sizeof(exts));
	p.b[p.ip + 40 + 1] = 200; /* an extension header longer than the packet */
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
}

/* With four words of header the UDP header would begin inside the addresses, and make sense
 * there. */
static void an_ip_header_below_five_words_is_malformed(void **state)
{
	struct packet p = ipv4(NULL, 0);

	(void)state;
	p.b[p.ip] = 0x44;
	set16(&p, p.udp, 12);
	assert_int_equal(parse(&p), KBP_PARSE_MALFORMED);
}

/* The sender's claim alone is wrong; that the frame ends there too changes nothing. */
static void a_packet_without_room_for_the_next_header_is_malformed_though_cut_there(void **state)
{
	struct packet p = ipv4(NULL, 0);
	struct kbp_datagram d;

	(void)state;
	set16(&p, p.ip + 2, 24);
	assert_int_equal(parse_n(&p, p.ip + 24, false, &d), KBP_PARSE_MALFORMED);
	p = ipv6(NULL, IPPROTO_HOPOPTS, exts, sizeof(exts));
	set16(&p, p.ip + 4, 4);
	assert_int_equal(parse_n(&p, p.ip + 44, false, &d), KBP_PARSE_MALFORMED);
}

static void a_frame_that_ends_before_its_payload_is_truncated(void **state)
{
	struct packet p = ipv4(NULL, 0);
	struct kbp_datagram d;

	(void)state;
	assert_int_equal(parse_n(&p, p.n - 1, false, &d), KBP_PARSE_TRUNCATED);
}

static void the_first_frame_of_a_chain_gives_what_it_has(void **state)
{
	struct packet p = ipv4(NULL, 0);
	struct kbp_datagram d;

	(void)state;
	for (uint32_t n = p.udp + 8; n <= p.n; n++) {
		assert_int_equal(parse_n(&p, n, true, &d), KBP_PARSE_OK);
		assert_int_equal(d.len, n - p.udp - 8);
		assert_int_equal(d.total_len, PAYLOAD_LEN);
	}
	assert_int_equal(parse_n(&p, p.udp + 7, true, &d), KBP_PARSE_TRUNCATED);
}

/* No prefix of a good frame is anything but truncated, whatever its shape. */
static void every_prefix_is_truncated_and_never_read_beyond(void **state)
{
	const struct packet all[] = {
		ipv4(NULL, 0),
		ipv4(one_tag, 40),
		ipv4(two_tags, 4),
		ipv6(NULL, IPPROTO_UDP, "", 0),
		ipv6(two_tags, IPPROTO_HOPOPTS, exts, sizeof(exts)),
		ipv6(NULL, IPPROTO_FRAGMENT, atomic_fragment, sizeof(atomic_fragment)),
	};
	struct kbp_datagram d;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(all); i++) {
		for (uint32_t n = 0; n < all[i].n; n++)
			assert_int_equal(parse_n(&all[i], n, false, &d), KBP_PARSE_TRUNCATED);
		assert_int_equal(parse(&all[i]), KBP_PARSE_OK);
	}
}

static void a_frame_may_stand_at_any_alignment(void **state)
{
	struct packet p = ipv6(one_tag, IPPROTO_HOPOPTS, exts, sizeof(exts));
	struct kbp_datagram d;

	(void)state;
	for (uint32_t shift = 0; shift < 8; shift++) {
		uint8_t *b = malloc(p.n + shift);

		memcpy(b + shift, p.b, p.n);
		assert_int_equal(kbp_datagram_parse(b + shift, p.n, false, &d), KBP_PARSE_OK);
		assert_memory_equal(d.payload, PAYLOAD, PAYLOAD_LEN);
		free(b);
	}
}

/* ---------------------------------------------------------------- by queue */

static enum kbp_parse own_datagram(const struct kbp_queue *q, const struct kbp_frame *f,
				   struct kbp_datagram *d)
{
	(void)q;
	memset(d, 0, sizeof(*d));
	d->payload = f->data;
	d->len = d->total_len = f->len;
	d->dst_port = 77;
	return KBP_PARSE_OK;
}

static void frames_of_an_ethernet_backend_are_parsed(void **state)
{
	const struct kbp_backend l2 = { .name = "l2", .l2 = true };
	struct kbp_port port = { .b = &l2 };
	struct kbp_queue q = { .port = &port };
	struct packet p = ipv4(NULL, 0);
	struct kbp_frame f = { .data = p.b, .len = p.n - 1 };
	struct kbp_datagram d;

	(void)state;
	assert_int_equal(kbp_datagram(&q, &f, &d), KBP_PARSE_TRUNCATED);
	f.flags = KBP_FRAME_MORE;
	assert_int_equal(kbp_datagram(&q, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.total_len, d.len + 1);
}

static void a_backend_without_ethernet_answers_itself(void **state)
{
	const struct kbp_backend own = { .name = "own", .datagram = own_datagram };
	struct kbp_port port = { .b = &own };
	struct kbp_queue q = { .port = &port };
	struct kbp_frame f = { .data = (void *)(uintptr_t)PAYLOAD, .len = PAYLOAD_LEN };
	struct kbp_datagram d;

	(void)state;
	assert_int_equal(kbp_datagram(&q, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.dst_port, 77);
	assert_ptr_equal(d.payload, f.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_and_ipv6_give_payload_and_addresses),
		cmocka_unit_test(tags_are_skipped_and_the_outer_one_reported),
		cmocka_unit_test(ip_options_are_skipped),
		cmocka_unit_test(extension_headers_are_walked),
		cmocka_unit_test(a_chain_of_extension_headers_has_an_end),
		cmocka_unit_test(fragments_are_named_as_such),
		cmocka_unit_test(other_traffic_is_told_apart),
		cmocka_unit_test(padding_and_trailers_are_no_payload),
		cmocka_unit_test(an_empty_datagram_is_a_datagram),
		cmocka_unit_test(lengths_that_contradict_each_other_are_malformed),
		cmocka_unit_test(an_ip_header_below_five_words_is_malformed),
		cmocka_unit_test(
			a_packet_without_room_for_the_next_header_is_malformed_though_cut_there),
		cmocka_unit_test(a_frame_that_ends_before_its_payload_is_truncated),
		cmocka_unit_test(the_first_frame_of_a_chain_gives_what_it_has),
		cmocka_unit_test(every_prefix_is_truncated_and_never_read_beyond),
		cmocka_unit_test(a_frame_may_stand_at_any_alignment),
		cmocka_unit_test(frames_of_an_ethernet_backend_are_parsed),
		cmocka_unit_test(a_backend_without_ethernet_answers_itself),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(exact);
	return rc;
}
