/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes, neighbours and interface facts: asked of the kernel, answered by a hand-made far end. */
#include "sock_lab.h"

#include <net/if.h>
#include <pthread.h>

#include <linux/if_link.h>

#include "netlink.h"

static const uint8_t answer_mac[6] = { 0x02, 0x77, 0, 0, 0, 0x09 };
static struct kbp_addr dst, src;
static uint8_t mac[6];

static int resolve(const char *to, int timeout_ms)
{
	struct kbp_flow flow;
	char text[64];

	snprintf(text, sizeof(text), "%s:1", to);
	flow = flow_of(text);
	dst = flow.dst;
	memset(&src, 0, sizeof(src));
	memset(mac, 0, sizeof(mac));
	return kbp_neighbour_resolve((int)if_nametoindex(NEAR), &dst, &src, mac, timeout_ms, &err);
}

/* Answers the ARP requests for 10.77.0.9 until one came. */
static void *answer_arp(void *arg)
{
	uint8_t f[2048], r[42];

	(void)arg;
	for (;;) {
		uint32_t n = netns_packet_recv(far, f, sizeof(f), 3000);

		if (!n)
			return NULL;
		if (n < 42 || f[12] != 8 || f[13] != 6 || f[21] != 1 ||
		    memcmp(f + 38, "\x0a\x4d\0\x09", 4))
			continue;
		memcpy(r, f, sizeof(r));
		memcpy(r, f + 6, 6);
		memcpy(r + 6, answer_mac, 6);
		r[21] = 2;
		memcpy(r + 22, answer_mac, 6);
		memcpy(r + 28, f + 38, 4);
		memcpy(r + 32, f + 22, 10);
		netns_packet_send(far, r, sizeof(r));
		return NULL;
	}
}

static void a_neighbour_is_found_by_arp(void **state)
{
	pthread_t peer;
	int rc;

	(void)state;
	assert_int_equal(pthread_create(&peer, NULL, answer_arp, NULL), 0);
	rc = resolve("10.77.0.9", 3000);
	pthread_join(peer, NULL);
	ok(rc);
	assert_memory_equal(mac, answer_mac, 6);
	assert_memory_equal(src.bytes, ((uint8_t[]){ 10, 77, 0, 1 }), 4);
}

static void a_known_neighbour_needs_no_question(void **state)
{
	uint8_t far_mac[6];

	(void)state;
	netns_mac(FAR, far_mac);
	ok(resolve("10.77.0.2", 0));
	assert_memory_equal(mac, far_mac, 6);
}

static void a_silent_neighbour_is_a_host_unreachable_with_a_next_step(void **state)
{
	(void)state;
	assert_int_equal(resolve("10.77.0.66", 100), -EHOSTUNREACH);
	assert_non_null(strstr(err.step, "10.77.0.66"));
	assert_non_null(strstr(err.step, NEAR));
	assert_non_null(strstr(err.hint, "ip neigh"));
}

static void a_gateway_answers_for_what_lies_behind_it(void **state)
{
	uint8_t far_mac[6];

	(void)state;
	netns_mac(FAR, far_mac);
	assert_int_equal(netns_run("ip route add 192.0.2.0/24 via 10.77.0.2 dev " NEAR), 0);
	ok(resolve("192.0.2.77", 0));
	assert_memory_equal(mac, far_mac, 6);
}

static void no_route_is_a_host_unreachable_with_a_next_step(void **state)
{
	(void)state;
	assert_int_equal(netns_run("ip route add unreachable 198.51.100.0/24"), 0);
	assert_int_equal(resolve("198.51.100.1", 0), -EHOSTUNREACH);
	assert_non_null(strstr(err.hint, "ip route add"));
}

static void own_addresses_are_not_on_the_wire(void **state)
{
	(void)state;
	assert_int_equal(resolve("10.77.0.1", 0), -EHOSTUNREACH);
	assert_non_null(strstr(err.hint, "address of this host"));
}

static void groups_have_computed_addresses(void **state)
{
	(void)state;
	ok(resolve("239.129.2.3", 0));
	assert_memory_equal(mac, ((uint8_t[]){ 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 }), 6);
	assert_memory_equal(src.bytes, ((uint8_t[]){ 10, 77, 0, 1 }), 4);
	assert_int_equal(netns_run("echo 0 > /proc/sys/net/ipv6/conf/" NEAR "/disable_ipv6; "
				   "ip -6 addr add 2001:db8::1/64 dev " NEAR " nodad"),
			 0);
	ok(resolve("[ff0e::1:2:3]", 0));
	assert_memory_equal(mac, ((uint8_t[]){ 0x33, 0x33, 0x00, 0x02, 0x00, 0x03 }), 6);
	assert_int_equal(src.family, AF_INET6);
	assert_int_equal(src.bytes[15], 1);
	assert_int_equal(netns_run("echo 1 > /proc/sys/net/ipv6/conf/" NEAR "/disable_ipv6"), 0);
}

static void an_interface_is_described(void **state)
{
	struct kbp_link l;
	uint8_t near_mac[6];

	(void)state;
	netns_mac(NEAR, near_mac);
	ok(kbp_link_read(NEAR, &l, &err));
	assert_int_equal(l.ifindex, if_nametoindex(NEAR));
	assert_memory_equal(l.mac, near_mac, 6);
	assert_int_equal(l.mtu, 1500);
	assert_true(l.running);
	assert_string_equal(l.driver, "veth");
	assert_int_equal(l.numa_node, -1);
	assert_int_equal(l.rx_channels, 1);
	assert_int_equal(l.tx_channels, 1);
	assert_true(l.virtual_device);
	ok(kbp_link_read("lo", &l, &err));
	assert_true(l.virtual_device);
	assert_int_equal(kbp_link_read("kbpt-none", &l, &err), -ENODEV);
	assert_non_null(strstr(err.step, "kbpt-none"));
}

static void received_frames_show_in_the_statistics(void **state)
{
	struct rtnl_link_stats64 before, after;

	(void)state;
	ok(kbp_link_stats(if_nametoindex(NEAR), &before));
	for (unsigned i = 0; i < 7; i++)
		inject(FAR_IP, 1, NEAR_IP, 9, "x", 1);
	ok(kbp_link_stats(if_nametoindex(NEAR), &after));
	assert_true(after.rx_packets >= before.rx_packets + 7);
	assert_int_equal(kbp_link_stats(9999, &after), -ENODEV);
}

static void a_vlan_interface_is_found_by_its_tag(void **state)
{
	uint32_t ifindex = if_nametoindex(NEAR);

	(void)state;
	assert_int_equal(kbp_link_vlan(ifindex, 7), 0);
	if (netns_run("ip link add link " NEAR " name kbpt-sock-v7 type vlan id 7")) {
		print_message("this kernel has no VLAN interfaces (8021q)\n");
		skip();
	}
	assert_int_equal(kbp_link_vlan(ifindex, 7), if_nametoindex("kbpt-sock-v7"));
	assert_int_equal(kbp_link_vlan(ifindex, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_neighbour_is_found_by_arp),
		cmocka_unit_test(a_known_neighbour_needs_no_question),
		cmocka_unit_test(a_silent_neighbour_is_a_host_unreachable_with_a_next_step),
		cmocka_unit_test(a_gateway_answers_for_what_lies_behind_it),
		cmocka_unit_test(no_route_is_a_host_unreachable_with_a_next_step),
		cmocka_unit_test(own_addresses_are_not_on_the_wire),
		cmocka_unit_test(groups_have_computed_addresses),
		cmocka_unit_test(an_interface_is_described),
		cmocka_unit_test(received_frames_show_in_the_statistics),
		cmocka_unit_test(a_vlan_interface_is_found_by_its_tag),
	};
	int skip = lab_main();

	return skip ? skip : cmocka_run_group_tests_name("neighbour", tests, NULL, NULL);
}
