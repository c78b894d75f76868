/* SPDX-License-Identifier: BSD-2-Clause */
/* Flows: their text, their normal form, what they match, and socket addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static struct kbp_addr addr(const char *text)
{
	struct kbp_addr a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	assert_int_equal(inet_pton(a.family, text, a.bytes), 1);
	return a;
}

static void good_flows_read_and_print_in_one_form(void **state)
{
	static const struct {
		const char *text, *printed;
	} good[] = {
		{ "239.1.1.1:5000", NULL },
		{ "udp:239.1.1.1:5000", "239.1.1.1:5000" },
		{ "10.0.0.1:0", NULL },
		{ "10.0.0.1:65535", NULL },
		{ "255.255.255.255:67", NULL },
		{ "232.1.1.1:5000@192.0.2.1", NULL },
		{ "239.1.1.1:5000@192.0.2.1:4000", NULL },
		{ "239.1.1.1:5000@192.0.2.1:0", "239.1.1.1:5000@192.0.2.1" },
		{ "239.1.1.1:5000@*:4000", NULL },
		{ "239.1.1.1:5000%1", NULL },
		{ "239.1.1.1:5000@192.0.2.1:4000%4094", NULL },
		{ "239.1.1.1:5000+nojoin", NULL },
		{ "232.1.1.1:5000+nojoin", NULL },
		{ "239.1.1.1:5000@192.0.2.1:4000%100+nojoin", NULL },
		{ "[ff3e::1]:5000@[2001:db8::1]", NULL },
		{ "udp:[FF15:0:0::1]:5000%7", "[ff15::1]:5000%7" },
		{ "[2001:db8::5]:9@[fe80::1]:8", NULL },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0]:65535"
		  "@[2001:ffff:ffff:ffff:ffff:ffff:ffff:fff0]:65535%4094+nojoin",
		  NULL },
	};
	char buf[160];

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(good); i++) {
		const char *want = good[i].printed ? good[i].printed : good[i].text;
		struct kbp_error err = { 0 };
		struct kbp_flow f;

		if (kbp_flow_parse(good[i].text, &f, &err))
			fail_msg("%s: %s", good[i].text, err.hint);
		assert_int_equal(kbp_flow_format(&f, buf, sizeof(buf)), strlen(want));
		assert_string_equal(buf, want);
	}
}

static void the_members_are_what_the_text_says(void **state)
{
	struct kbp_flow f, want = {
		.dst_port = 5000,
		.src_port = 4000,
		.vlan = 100,
		.proto = IPPROTO_UDP,
		.flags = KBP_FLOW_NO_JOIN,
	};

	(void)state;
	want.dst = addr("239.1.2.3");
	want.src = addr("192.0.2.1");
	assert_int_equal(kbp_flow_parse("239.1.2.3:5000@192.0.2.1:4000%100+nojoin", &f, NULL), 0);
	assert_memory_equal(&f, &want, sizeof(f));
}

static void bad_flows_are_refused_with_the_column(void **state)
{
	static const struct {
		const char *text;
		int column;
		const char *why;
	} bad[] = {
		{ "", 1, "IPv4" },
		{ "udp:", 5, "IPv4" },
		{ "tcp:239.1.1.1:5000", 1, "IPv4" },
		{ "feed.example:5000", 1, "not looked up" },
		{ "239.1.1.1", 10, "port is missing" },
		{ "239.1.1.1:", 11, "0 to 65535" },
		{ "239.1.1.1:65536", 11, "0 to 65535" },
		{ "239.1.1.1:99999999999999999999", 11, "0 to 65535" },
		{ "239.1.1.1:-1", 11, "0 to 65535" },
		{ "239.1.1.1:+1", 11, "0 to 65535" },
		{ "239.1.1.1:007", 11, "leading zeros" },
		{ "239.1.1.1:0x10", 12, "nothing was expected" },
		{ "239.1.1.1:5000 ", 15, "nothing was expected" },
		{ " 239.1.1.1:5000", 1, "IPv4" },
		{ "239.1.1:5000", 1, "IPv4" },
		{ "239.1.1.256:5000", 1, "IPv4" },
		{ "239.1.1.1.1:5000", 1, "IPv4" },
		{ "ff3e::1:5000", 1, "brackets" },
		{ "[ff15::1:5000", 1, "never closed" },
		{ "[ff15::zz]:5000", 2, "IPv6" },
		{ "[fe80::1%eth0]:5000", 2, "IPv6" },
		{ "[239.1.1.1]:5000", 2, "IPv6" },
		{ "[ff15::1]5000", 10, "port is missing" },
		{ "[00000000000000000000000000000000000000000000000000]:1", 2, "IPv6" },
		{ "239.1.1.1:5000@", 16, "IPv4" },
		{ "239.1.1.1:5000@*", 17, "with a port only" },
		{ "239.1.1.1:5000@*:0", 18, "any source and any port" },
		{ "239.1.1.1:5000@192.0.2.1:", 26, "0 to 65535" },
		{ "239.1.1.1:5000@192.0.2.1@192.0.2.2", 25, "nothing was expected" },
		{ "239.1.1.1:5000@[2001:db8::1]", 16, "one address family" },
		{ "[ff15::1]:5000@192.0.2.1", 16, "one address family" },
		{ "239.1.1.1:5000@239.1.1.2", 16, "multicast" },
		{ "239.1.1.1:5000@0.0.0.0", 16, "one address" },
		{ "[2001:db8::1]:5000@[::ffff:10.0.0.1]", 20, "IPv4-mapped" },
		{ "0.0.0.0:5000", 1, "unspecified" },
		{ "udp:[::]:5000", 5, "unspecified" },
		{ "[::ffff:10.0.0.1]:5000", 1, "IPv4-mapped" },
		{ "239.1.1.1:5000%", 16, "1 to 4094" },
		{ "239.1.1.1:5000%0", 16, "1 to 4094" },
		{ "239.1.1.1:5000%4095", 16, "1 to 4094" },
		{ "239.1.1.1:5000%10%11", 18, "nothing was expected" },
		{ "239.1.1.1:5000%10@192.0.2.1", 18, "nothing was expected" },
		{ "239.1.1.1:5000+join", 15, "nothing was expected" },
		{ "239.1.1.1:5000+nojoinx", 15, "nothing was expected" },
		{ "udp:232.1.1.1:5000", 5, "name the source" },
		{ "[ff3e::1]:5000", 1, "name the source" },
		{ "232.1.1.1:5000@*:4000", 1, "name the source" },
	};

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(bad); i++) {
		struct kbp_flow f, before;
		struct kbp_error err;
		int column = 0;

		memset(&f, 0x5a, sizeof(f));
		before = f;
		if (kbp_flow_parse(bad[i].text, &f, &err) != -EINVAL)
			fail_msg("accepted: %s", bad[i].text);
		if (sscanf(err.hint, "column %d:", &column) != 1 || column != bad[i].column ||
		    !strstr(err.hint, bad[i].why))
			fail_msg("\"%s\": %s", bad[i].text, err.hint);
		assert_memory_equal(&f, &before, sizeof(f));
		assert_int_equal(kbp_flow_parse(bad[i].text, &f, NULL), -EINVAL);
	}
}

static void control_characters_do_not_reach_the_message(void **state)
{
	struct kbp_error err;
	struct kbp_flow f;
	char text[500];

	(void)state;
	assert_int_equal(kbp_flow_parse("239.1.1.1:5000\033[2J\n", &f, &err), -EINVAL);
	assert_null(strpbrk(err.step, "\033\n"));
	assert_null(strpbrk(err.hint, "\033\n"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(kbp_flow_parse(text, &f, &err), -EINVAL);
	assert_non_null(strstr(err.step, "aaa...\""));
	assert_int_equal(kbp_flow_parse(NULL, &f, &err), -EINVAL);
}

static void a_short_buffer_is_cut_and_the_length_told(void **state)
{
	struct kbp_flow f;
	char buf[8];

	(void)state;
	assert_int_equal(kbp_flow_parse("239.1.1.1:5000", &f, NULL), 0);
	assert_int_equal(kbp_flow_format(&f, buf, sizeof(buf)), 14);
	assert_string_equal(buf, "239.1.1");
	assert_int_equal(kbp_flow_format(&f, NULL, 0), 14);
	f.dst.family = 0;
	assert_int_equal(kbp_flow_format(&f, buf, sizeof(buf)), -EINVAL);
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void random_addr(struct kbp_addr *a, uint8_t family, uint8_t first, uint64_t *seed)
{
	memset(a, 0, sizeof(*a));
	a->family = family;
	/* runs of zeros, so that "::" is printed in all places */
	for (size_t i = 1; i < (family == AF_INET ? 4 : 16); i++)
		a->bytes[i] = next_random(seed) & 1 ? (uint8_t)next_random(seed) : 0;
	a->bytes[0] = first;
}

static void any_flow_survives_print_and_read(void **state)
{
	uint64_t seed = 7;
	char buf[160];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t r = next_random(&seed);
		uint8_t family = r & 1 ? AF_INET : AF_INET6;
		struct kbp_flow f = { .proto = IPPROTO_UDP }, back;
		struct kbp_error err;

		random_addr(&f.dst, family, r & 2 ? (family == AF_INET ? 239 : 0xff) : 0x20, &seed);
		if (r & 4)
			random_addr(&f.src, family, 0x20, &seed);
		f.dst_port = (uint16_t)(r >> 8);
		f.src_port = r & 8 ? (uint16_t)(r >> 24) : 0;
		f.vlan = r & 16 ? (uint16_t)(1 + (r >> 40) % 4094) : 0;
		f.flags = r & 32 ? KBP_FLOW_NO_JOIN : 0;
		if (kbp_flow_normalise(&f, &f, true, NULL))
			f.flags |= KBP_FLOW_NO_JOIN; /* came out source-specific without a source */
		assert_true(kbp_flow_format(&f, buf, sizeof(buf)) < (int)sizeof(buf));
		if (kbp_flow_parse(buf, &back, &err))
			fail_msg("%s: %s", buf, err.hint);
		assert_memory_equal(&back, &f, sizeof(f));
	}
}

/* ---------------------------------------------------------------- normal form */

static void the_normal_form_has_no_stray_bytes(void **state)
{
	struct kbp_flow f, n, clean = { .dst_port = 5000, .proto = IPPROTO_UDP };

	(void)state;
	memset(&f, 0xee, sizeof(f));
	f.dst.family = AF_INET;
	memcpy(f.dst.bytes, "\xef\x01\x01\x01", 4);
	f.src.family = 0;
	f.dst_port = 5000;
	f.src_port = f.vlan = 0;
	f.proto = f.flags = 0;
	clean.dst = addr("239.1.1.1");
	assert_int_equal(kbp_flow_normalise(&f, &n, false, NULL), 0);
	assert_memory_equal(&n, &clean, sizeof(n));
	assert_int_equal(kbp_flow_normalise(&f, &f, true, NULL), 0);
	assert_memory_equal(&f, &clean, sizeof(n));
}

static void flows_no_backend_can_have_are_refused(void **state)
{
	struct kbp_flow good = { .dst_port = 1 }, f, n;
	struct kbp_error err;

	(void)state;
	good.dst = addr("239.1.1.1");
	assert_int_equal(kbp_flow_normalise(NULL, &n, true, &err), -EINVAL);
	f = good;
	f.dst.family = 0;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	f = good;
	f.dst.family = AF_UNIX;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	f = good;
	f.proto = IPPROTO_TCP;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	f = good;
	f.vlan = 4095;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	f = good;
	f.flags = 0x80;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	f = good;
	f.src = addr("2001:db8::1");
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), -EINVAL);
	assert_int_equal(kbp_flow_normalise(&good, &n, true, &err), 0);
}

static void tags_and_any_port_need_a_backend_with_ethernet(void **state)
{
	struct kbp_flow f = { .dst_port = 1, .vlan = 5 }, n;
	struct kbp_error err;

	(void)state;
	f.dst = addr("239.1.1.1");
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), 0);
	assert_int_equal(kbp_flow_normalise(&f, &n, false, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.hint, "VLAN interface"));
	f.vlan = 0;
	assert_int_equal(kbp_flow_normalise(&f, &n, false, &err), 0);
	f.dst_port = 0;
	assert_int_equal(kbp_flow_normalise(&f, &n, true, &err), 0);
	assert_int_equal(kbp_flow_normalise(&f, &n, false, &err), -EINVAL);
}

/* ---------------------------------------------------------------- matching */

static void every_member_that_is_set_must_match(void **state)
{
	struct kbp_datagram d = { .src_port = 4000, .dst_port = 5000, .vlan = 10 };
	static const char *const yes[] = {
		"239.1.1.1:5000", "239.1.1.1:0", "239.1.1.1:5000@192.0.2.1", "239.1.1.1:5000@*:4000",
		"239.1.1.1:5000%10", "239.1.1.1:5000@192.0.2.1:4000%10",
	}, *const no[] = {
		"239.1.1.2:5000", "239.1.1.1:5001", "239.1.1.1:5000@192.0.2.2", "239.1.1.1:5000@*:4001",
		"239.1.1.1:5000%11", "[ef01:101::]:5000",
	};
	struct kbp_flow f;

	(void)state;
	d.dst = addr("239.1.1.1");
	d.src = addr("192.0.2.1");
	for (size_t i = 0; i < KBP_ARRAY_SIZE(yes); i++) {
		assert_int_equal(kbp_flow_parse(yes[i], &f, NULL), 0);
		assert_true(kbp_flow_matches(&f, &d));
	}
	for (size_t i = 0; i < KBP_ARRAY_SIZE(no); i++) {
		assert_int_equal(kbp_flow_parse(no[i], &f, NULL), 0);
		assert_false(kbp_flow_matches(&f, &d));
	}
}

static void ipv6_matches_to_the_last_byte(void **state)
{
	struct kbp_datagram d = { .dst_port = 5000 };
	struct kbp_flow f;

	(void)state;
	d.dst = addr("ff15::1:2");
	d.src = addr("2001:db8::1");
	assert_int_equal(kbp_flow_parse("[ff15::1:2]:5000@[2001:db8::1]", &f, NULL), 0);
	assert_true(kbp_flow_matches(&f, &d));
	d.dst.bytes[15] ^= 1;
	assert_false(kbp_flow_matches(&f, &d));
	d.dst.bytes[15] ^= 1;
	d.src.bytes[15] ^= 1;
	assert_false(kbp_flow_matches(&f, &d));
}

/* ---------------------------------------------------------------- socket addresses */

static void addresses_survive_the_socket_form(void **state)
{
	static const char *const texts[] = { "10.1.2.3", "2001:db8::7", "fe80::1" };
	struct sockaddr_storage ss;
	struct kbp_addr a, back;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(texts); i++) {
		a = addr(texts[i]);
		assert_int_equal(kbp_addr_to_sockaddr(&a, 5000, 3, &ss),
				 a.family == AF_INET ? sizeof(struct sockaddr_in) :
						       sizeof(struct sockaddr_in6));
		kbp_addr_from_sockaddr(&ss, &back, &port);
		assert_memory_equal(&back, &a, sizeof(a));
		assert_int_equal(port, 5000);
	}
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_port, htons(5000));
}

static void only_scoped_addresses_get_a_scope(void **state)
{
	static const struct {
		const char *text;
		uint32_t scope;
	} want[] = {
		{ "fe80::1", 3 }, { "febf::1", 3 },	{ "ff02::1", 3 }, { "ff11::1", 3 },
		{ "ff05::1", 0 }, { "2001:db8::1", 0 }, { "fec0::1", 0 },
	};
	struct sockaddr_storage ss;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(want); i++) {
		struct kbp_addr a = addr(want[i].text);

		kbp_addr_to_sockaddr(&a, 1, 3, &ss);
		assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_scope_id, want[i].scope);
	}
}

static void no_family_is_no_socket_address(void **state)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	struct kbp_addr a = { 0 };
	uint16_t port = 7;

	(void)state;
	kbp_addr_from_sockaddr(&ss, &a, &port);
	assert_int_equal(a.family, 0);
	assert_int_equal(port, 0);
	assert_int_equal(kbp_addr_to_sockaddr(&a, 1, 0, &ss), 0);
	assert_int_equal(ss.ss_family, AF_UNSPEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_flows_read_and_print_in_one_form),
		cmocka_unit_test(the_members_are_what_the_text_says),
		cmocka_unit_test(bad_flows_are_refused_with_the_column),
		cmocka_unit_test(control_characters_do_not_reach_the_message),
		cmocka_unit_test(a_short_buffer_is_cut_and_the_length_told),
		cmocka_unit_test(any_flow_survives_print_and_read),
		cmocka_unit_test(the_normal_form_has_no_stray_bytes),
		cmocka_unit_test(flows_no_backend_can_have_are_refused),
		cmocka_unit_test(tags_and_any_port_need_a_backend_with_ethernet),
		cmocka_unit_test(every_member_that_is_set_must_match),
		cmocka_unit_test(ipv6_matches_to_the_last_byte),
		cmocka_unit_test(addresses_survive_the_socket_form),
		cmocka_unit_test(only_scoped_addresses_get_a_scope),
		cmocka_unit_test(no_family_is_no_socket_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
