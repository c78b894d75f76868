/* SPDX-License-Identifier: BSD-2-Clause */
/* Which frames a filter lets in: a transcript. */
#include "nic.h"

#define GROUP 0xef010203u

static struct nic n, other;

static int begin(void **state)
{
	(void)state;
	nic_begin(NIC_EF10);
	nic_open_without_filter(&n, -1, -1, 0, 0);
	nic_open_without_filter(&other, -1, -1, 0, 0);
	nic_post(&n, 256);
	nic_post(&other, 256);
	return 0;
}

static int end(void **state)
{
	(void)state;
	nic_close(&other);
	nic_close(&n);
	return nic_violations() != 0;
}

static unsigned arrivals(struct nic *at)
{
	ef_event evs[64];

	return (unsigned)nic_poll(at, evs, 64);
}

/* Does the frame come to `n`? */
static unsigned comes(const void *frame, uint32_t len)
{
	assert_int_equal(nic_inject(frame, len, NIC_GOOD), 0);
	return arrivals(&n);
}

static unsigned udp_comes(uint32_t ip, uint16_t port)
{
	uint8_t frame[64];

	return comes(frame, nic_frame(frame, ip, port, 18));
}

/* `frame` with a VLAN tag. */
static uint32_t tag(uint8_t *frame, uint32_t len, uint16_t vlan)
{
	memmove(frame + 16, frame + 12, len - 12);
	frame_be16(frame + 12, 0x8100);
	frame_be16(frame + 14, vlan);
	return len + 4;
}

static ef_filter_spec spec(void)
{
	ef_filter_spec fs;

	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	return fs;
}

static int add(struct nic *to, const ef_filter_spec *fs, ef_filter_cookie *cookie)
{
	return ef_vi_filter_add(&to->vi, to->dh, fs, cookie);
}

static void nothing_comes_without_a_filter(void **state)
{
	(void)state;
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT), 0);
}

static void ip4_local_asks_for_address_port_and_protocol(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);

	(void)state;
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), 0);
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT), 1);
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT + 1), 0);
	assert_int_equal(udp_comes(NIC_IP + 1, NIC_PORT), 0);
	frame[23] = 6; /* as TCP */
	assert_int_equal(comes(frame, len), 0);
}

static void ip4_full_asks_for_the_sender_too(void **state)
{
	ef_filter_spec fs = spec();

	(void)state;
	ef_filter_spec_set_ip4_full(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(NIC_PORT),
				    htonl(0x0a000002), htons(4000));
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT), 1);
	fs = spec();
	ef_filter_spec_set_ip4_full(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(6000), htonl(0x0a000003),
				    htons(4000));
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(udp_comes(NIC_IP, 6000), 0);
}

static void the_most_specific_filter_gets_a_unicast_frame(void **state)
{
	(void)state;
	/* whichever came first */
	for (unsigned i = 0; i < 2; i++) {
		ef_filter_spec fs = spec();
		uint16_t port = (uint16_t)(6000 + i);

		if (i)
			assert_int_equal(nic_filter_udp(&other, NIC_IP, port, NULL), 0);
		ef_filter_spec_set_ip4_full(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(port),
					    htonl(0x0a000002), htons(4000));
		assert_int_equal(add(&n, &fs, NULL), 0);
		if (!i)
			assert_int_equal(nic_filter_udp(&other, NIC_IP, port, NULL), 0);
		assert_int_equal(udp_comes(NIC_IP, port), 1);
		assert_int_equal(arrivals(&other), 0);
	}
}

static void fragments_match_no_port(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);

	(void)state;
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), 0);
	frame_be16(frame + 20, 0x2000); /* more fragments */
	frame_be16(frame + 24, 0);
	frame_be16(frame + 24, (uint16_t)~frame_fold(frame_sum(frame + 14, 20, 0)));
	assert_int_equal(comes(frame, len), 0);
}

static void a_tag_does_not_matter_unless_the_filter_names_one(void **state)
{
	uint8_t frame[80];
	ef_filter_spec fs = spec();
	uint32_t len;

	(void)state;
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), 0);
	len = tag(frame, nic_frame(frame, NIC_IP, NIC_PORT, 18), 7);
	assert_int_equal(comes(frame, len), 1);
	ef_filter_spec_set_ip4_local(&fs, IPPROTO_UDP, htonl(NIC_IP), htons(6000));
	assert_int_equal(ef_filter_spec_set_vlan(&fs, 7), 0);
	assert_int_equal(add(&n, &fs, NULL), 0);
	len = tag(frame, nic_frame(frame, NIC_IP, 6000, 18), 7);
	assert_int_equal(comes(frame, len), 1);
	len = tag(frame, nic_frame(frame, NIC_IP, 6000, 18), 8);
	assert_int_equal(comes(frame, len), 0);
	assert_int_equal(udp_comes(NIC_IP, 6000), 0);
}

static void eth_local_asks_for_a_mac_and_perhaps_a_tag(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t frame[80];
	ef_filter_cookie cookie;
	ef_filter_spec fs = spec();
	uint32_t len;

	(void)state;
	ef_filter_spec_set_eth_local(&fs, EF_FILTER_VLAN_ID_ANY, mac);
	assert_int_equal(add(&n, &fs, &cookie), 0);
	assert_int_equal(udp_comes(0x01020304, 9), 1);
	len = tag(frame, nic_frame(frame, 0x01020304, 9, 18), 7);
	assert_int_equal(comes(frame, len), 1);
	assert_int_equal(ef_vi_filter_del(&n.vi, n.dh, &cookie), 0);
	fs = spec();
	ef_filter_spec_set_eth_local(&fs, 7, mac);
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(comes(frame, len), 1);
	assert_int_equal(udp_comes(0x01020304, 9), 0);
}

static void ip6_filters_match_ip6(void **state)
{
	struct in6_addr host = { { { 0x20, 1, 0xd, 0xb8, [15] = 7 } } };
	uint8_t frame[80] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60 };
	ef_filter_spec fs = spec();

	(void)state;
	frame_be16(frame + 18, 16);
	frame[20] = 17;
	frame[21] = 64;
	frame[22] = 0xfe;
	memcpy(frame + 38, &host, 16);
	frame_be16(frame + 54, 4000);
	frame_be16(frame + 56, NIC_PORT);
	frame_be16(frame + 58, 16);
	frame_be16(frame + 60, (uint16_t)~frame_fold(frame_sum(frame + 54, 16,
							       frame_sum(frame + 22, 32, 17 + 16))));
	ef_filter_spec_set_ip6_local(&fs, IPPROTO_UDP, &host, htons(NIC_PORT));
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(comes(frame, 70), 1);
	frame[53] ^= 1;
	assert_int_equal(comes(frame, 70), 0);
}

static void multicast_all_and_unicast_all(void **state)
{
	ef_filter_cookie cookie;
	ef_filter_spec fs = spec();

	(void)state;
	ef_filter_spec_set_multicast_all(&fs);
	assert_int_equal(add(&n, &fs, &cookie), 0);
	assert_int_equal(udp_comes(GROUP, 9), 1);
	assert_int_equal(udp_comes(NIC_IP, 9), 0);
	assert_int_equal(ef_vi_filter_del(&n.vi, n.dh, &cookie), 0);
	fs = spec();
	ef_filter_spec_set_unicast_all(&fs);
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(udp_comes(GROUP, 9), 0);
	assert_int_equal(udp_comes(NIC_IP, 9), 1);
}

static void a_sniffer_gets_copies(void **state)
{
	ef_filter_spec fs = spec();

	(void)state;
	assert_int_equal(nic_filter_udp(&other, NIC_IP, NIC_PORT, NULL), 0);
	ef_filter_spec_set_port_sniff(&fs, 1);
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT), 1);
	assert_int_equal(arrivals(&other), 1);
	assert_int_equal(udp_comes(0x01020304, 9), 1);
}

static void the_same_unicast_filter_exists_once(void **state)
{
	(void)state;
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), 0);
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), -EEXIST);
	assert_int_equal(nic_filter_udp(&other, NIC_IP, NIC_PORT, NULL), -EEXIST);
}

static void multicast_is_replicated_to_every_vi_once(void **state)
{
	ef_filter_spec fs = spec();

	(void)state;
	assert_int_equal(nic_filter_udp(&n, GROUP, NIC_PORT, NULL), 0);
	assert_int_equal(nic_filter_udp(&n, GROUP, NIC_PORT, NULL), -EEXIST);
	assert_int_equal(nic_filter_udp(&other, GROUP, NIC_PORT, NULL), 0);
	ef_filter_spec_set_multicast_all(&fs);
	assert_int_equal(add(&n, &fs, NULL), 0);
	assert_int_equal(udp_comes(GROUP, NIC_PORT), 1);
	assert_int_equal(arrivals(&other), 1);
}

static void a_deleted_filter_lets_nothing_in(void **state)
{
	ef_filter_cookie cookie, again;

	(void)state;
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, &cookie), 0);
	nic_inject_small(1);
	assert_int_equal(ef_vi_filter_del(&n.vi, n.dh, &cookie), 0);
	assert_int_equal(arrivals(&n), 1); /* it came before */
	assert_int_equal(udp_comes(NIC_IP, NIC_PORT), 0);
	assert_int_equal(nic_filter_udp(&other, NIC_IP, NIC_PORT, &again), 0);
	assert_true(ef_vi_filter_del(&n.vi, n.dh, &again) < 0); /* another VI's */
}

static void frames_from_before_a_filter_are_not_for_it(void **state)
{
	(void)state;
	nic_inject_small(3);
	assert_int_equal(nic_filter_udp(&n, NIC_IP, NIC_PORT, NULL), 0);
	assert_int_equal(arrivals(&n), 0);
}

static void specs_refuse_what_cannot_be_combined(void **state)
{
	static const uint8_t mac[6] = { 2 };
	ef_filter_spec fs = spec();

	(void)state;
	assert_int_equal(ef_filter_spec_set_multicast_all(&fs), 0);
	assert_int_equal(ef_filter_spec_set_ip4_local(&fs, IPPROTO_UDP, 1, 1), -EPROTONOSUPPORT);
	assert_int_equal(ef_filter_spec_set_eth_local(&fs, 1, mac), -EPROTONOSUPPORT);
	assert_int_equal(ef_filter_spec_set_port_sniff(&fs, 0), -EPROTONOSUPPORT);
	assert_int_equal(ef_filter_spec_set_vlan(&fs, 1), -EPROTONOSUPPORT);
	fs = spec();
	assert_int_equal(add(&n, &fs, NULL), -EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(nothing_comes_without_a_filter),
		T(ip4_local_asks_for_address_port_and_protocol),
		T(ip4_full_asks_for_the_sender_too),
		T(the_most_specific_filter_gets_a_unicast_frame),
		T(fragments_match_no_port),
		T(a_tag_does_not_matter_unless_the_filter_names_one),
		T(eth_local_asks_for_a_mac_and_perhaps_a_tag),
		T(ip6_filters_match_ip6),
		T(multicast_all_and_unicast_all),
		T(a_sniffer_gets_copies),
		T(the_same_unicast_filter_exists_once),
		T(multicast_is_replicated_to_every_vi_once),
		T(a_deleted_filter_lets_nothing_in),
		T(frames_from_before_a_filter_are_not_for_it),
		T(specs_refuse_what_cannot_be_combined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
