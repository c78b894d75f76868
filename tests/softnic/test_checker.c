/* SPDX-License-Identifier: BSD-2-Clause */
/* Breaches of the API's rules are found, and told in words. */
#include "nic.h"

#include <softnic.h>

static struct nic n;
static unsigned told;
static char words[200];

static void on_violation(void *arg, const char *ifname, const char *what)
{
	assert_ptr_equal(arg, &n);
	assert_string_equal(ifname, nic_name());
	snprintf(words, sizeof(words), "%s", what);
	told++;
}

static void begin_as(enum nic_model model)
{
	nic_begin(model);
	softnic_on_violation(on_violation, &n);
	told = 0;
	words[0] = '\0';
}

static int begin(void **state)
{
	(void)state;
	begin_as(NIC_EF10);
	return 0;
}

static int begin_ctpio(void **state)
{
	(void)state;
	begin_as(NIC_EF10_CTPIO);
	return 0;
}

static int begin_ref(void **state)
{
	(void)state;
	begin_as(NIC_EFCT);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	softnic_on_violation(NULL, NULL);
	return 0;
}

/* One breach since the last time, and its words hold `part`. */
static void expect(const char *part)
{
	if (told != 1 || !strstr(words, part))
		fail_msg("%u breaches, the last: %s; expected one: %s", told, words, part);
	told = 0;
}

static void a_buffer_posted_twice_is_found(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	assert_int_equal(told, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	expect("already");
	/* two posted, neither rung */
	nic_close(&n);
	assert_int_equal(told, 0);
}

static void a_buffer_may_be_posted_again_after_its_event(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 0), 0), 0);
	assert_int_equal(told, 0);
}

static void sending_what_is_posted_is_found(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 8);
	assert_int_equal(nic_send(&n, 2, 18), 0);
	expect("posted to receive");
}

static void posting_what_is_being_sent_is_found(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(nic_send(&n, 2, 18), 0);
	assert_int_equal(nic_send(&n, 2, 18), 0); /* twice is fine: the NIC only reads */
	assert_int_equal(told, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 2), 2), 0);
	expect("is being sent");
}

static void addresses_beyond_a_page_are_found(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_vi_transmit_init(&n.vi, nic_addr(&n, 1) + 1000, 1200, 0), 0);
	expect("leave their 4 KiB page");
	ef_vi_transmit_init_undo(&n.vi);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 1) + 1000, 1), 0);
	expect("leave their 4 KiB page");
	assert_int_equal(ef_vi_receive_init(&n.vi, (uintptr_t)n.mem, 1), 0);
	expect("not registered");
}

static void memory_freed_under_the_nic_is_found(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	assert_int_equal(ef_memreg_free(&n.mr, n.dh), 0);
	expect("memory freed");
	assert_int_equal(ef_memreg_alloc(&n.mr, n.dh, &n.pd, n.dh, n.mem, 4096), 0);
}

static void writing_into_a_posted_buffer_is_found(void **state)
{
	char why[100];
	ef_event evs[8];

	(void)state;
	assert_int_equal(softnic_options(nic_name(), "check=deep", why, sizeof(why)), 0);
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_buf(&n, 1)[500] = 0;
	nic_inject_small(2);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	expect("byte 500");
}

static void a_poll_needs_room_for_two(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 1), 1);
	expect("room for 1 events");
}

static void a_missing_fallback_is_found(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 18);

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	assert_int_equal(told, 0);
	ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
	expect("not followed by its fallback");
	assert_int_equal(nic_send(&n, 0, 18), 0);
	expect("not followed by its fallback");
	assert_int_equal(ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, 0), len, 0), 0);
	expect("without a CTPIO send");
}

static void pio_regions_are_guarded(void **state)
{
	uint8_t frame[200];
	uint32_t len = nic_frame(frame, 0x0a000002, 6000, 100);
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	ef_event evs[8];
	ef_pio pio;

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	assert_int_equal(ef_pio_alloc(&pio, n.dh, &n.pd, 2048, n.dh), 0);
	assert_int_equal(ef_pio_link_vi(&pio, n.dh, &n.vi, n.dh), 0);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 0, frame, (int)len, 0), 0);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 192, frame, (int)len, 1), 0);
	assert_int_equal(told, 0);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 128, frame, (int)len, 2), 0);
	expect("before their send completed");
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 1984, frame, (int)len, 3), -EINVAL);
	expect("not in the VI's region");
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 1024, frame, 14, 4), 0);
	expect("16 are the least");
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 4);
	assert_int_equal(ef_vi_transmit_copy_pio(&n.vi, 0, frame, (int)len, 5), 0);
	assert_int_equal(told, 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(ef_vi_transmit_unbundle(&n.vi, &evs[0], ids), 1);
	assert_int_equal(ef_pio_unlink_vi(&pio, n.dh, &n.vi, n.dh), 0);
	assert_int_equal(ef_pio_free(&pio, n.dh), 0);
}

static void a_packet_is_the_applications_once(void **state)
{
	struct softnic_owned owned;
	ef_event evs[8];
	uint32_t id;

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_inject_small(2);
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	id = evs[0].rx_ref.pkt_id;
	efct_vi_rxpkt_release(&n.vi, id);
	assert_int_equal(told, 0);
	efct_vi_rxpkt_release(&n.vi, id);
	expect("rxpkt_release");
	(void)efct_vi_rxpkt_get(&n.vi, id);
	expect("rxpkt_get");
	efct_vi_rxpkt_release(&n.vi, 0x7000000);
	expect("rxpkt_release");
	assert_int_equal(softnic_owned_by_nic(&n.vi, &owned), 0);
	assert_int_equal(owned.pkts_out, 1);
}

static void statistics_of_a_ctpio_only_nic_are_not_asked_for(void **state)
{
	uint32_t v[4];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_vi_stats_query(&n.vi, n.dh, v, 0), -EINVAL);
	expect("ef_vi_stats_query");
}

static void a_frame_beyond_the_mtu_is_found(void **state)
{
	uint8_t out[4096];

	(void)state;
	nic_open(&n, -1, 0, -1, 0);
	assert_int_equal(ef_vi_transmit(&n.vi, nic_addr(&n, 0), 1700, 0), 0);
	expect("the MTU is 1500");
	assert_int_equal(nic_collect(out, sizeof(out)), 0);
}

static void the_account_of_buffers_closes(void **state)
{
	struct softnic_owned owned;
	ef_event evs[64];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 20);
	assert_int_equal(nic_send(&n, 100, 18), 0);
	nic_inject_small(5);
	assert_int_equal(nic_poll(&n, evs, 64), 6);
	assert_int_equal(softnic_owned_by_nic(&n.vi, &owned), 0);
	assert_int_equal(owned.rx_posted, 16 - 5);
	assert_int_equal(owned.rx_unpushed, 4);
	assert_int_equal(owned.tx_in_flight, 1); /* polled, not unbundled */
}

static void without_a_handler_breaches_are_counted(void **state)
{
	struct softnic_info info;

	(void)state;
	softnic_on_violation(NULL, NULL);
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	assert_int_equal(softnic_info_get(nic_name(), &info), 0);
	assert_true(info.violations > 0);
	assert_non_null(strstr(info.last_violation, "already"));
	assert_int_equal(told, 0);
}

static void with_check_off_nothing_is_said(void **state)
{
	(void)state;
	assert_int_equal(softnic_options(nic_name(), "check=off", NULL, 0), 0);
	nic_open(&n, -1, -1, 0, 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, 3), 3), 0);
	assert_int_equal(told, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define C(f) cmocka_unit_test_setup_teardown(f, begin_ctpio, end)
#define R(f) cmocka_unit_test_setup_teardown(f, begin_ref, end)
	const struct CMUnitTest tests[] = {
		T(a_buffer_posted_twice_is_found),
		T(a_buffer_may_be_posted_again_after_its_event),
		T(sending_what_is_posted_is_found),
		T(posting_what_is_being_sent_is_found),
		T(addresses_beyond_a_page_are_found),
		T(memory_freed_under_the_nic_is_found),
		T(writing_into_a_posted_buffer_is_found),
		T(a_poll_needs_room_for_two),
		C(a_missing_fallback_is_found),
		T(pio_regions_are_guarded),
		R(a_packet_is_the_applications_once),
		R(statistics_of_a_ctpio_only_nic_are_not_asked_for),
		T(a_frame_beyond_the_mtu_is_found),
		T(the_account_of_buffers_closes),
		T(without_a_handler_breaches_are_counted),
		T(with_check_off_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
