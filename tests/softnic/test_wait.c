/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for events, and what NICs tell of themselves: a transcript. */
#include "nic.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

static struct nic n;

static int begin(void **state)
{
	(void)state;
	nic_begin(NIC_EF10);
	return 0;
}

static int begin_ref(void **state)
{
	(void)state;
	nic_begin(NIC_EFCT);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static bool readable(void)
{
	struct pollfd p = { .fd = n.dh, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int prime(void)
{
	return ef_vi_prime(&n.vi, n.dh, ef_eventq_current(&n.vi));
}

static void a_primed_handle_becomes_readable(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 8);
	assert_false(readable());
	assert_int_equal(prime(), 0);
	assert_false(readable());
	nic_inject_small(1);
	assert_true(readable());
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(prime(), 0);
	assert_false(readable());
}

static void priming_finds_what_came_before(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 8);
	nic_inject_small(2);
	assert_int_equal(prime(), 0);
	assert_true(readable());
	assert_int_equal(nic_poll(&n, evs, 8), 2);
	/* polled, but not to the end */
	nic_inject_small(3);
	assert_int_equal(nic_poll(&n, evs, 2), 2);
	assert_int_equal(prime(), 0);
	assert_true(readable());
}

static void completions_wake_too(void **state)
{
	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(prime(), 0);
	assert_int_equal(nic_send(&n, 0, 18), 0);
	assert_true(readable());
}

static void packets_by_reference_wake(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(prime(), 0);
	assert_false(readable());
	nic_inject_small(1);
	assert_true(readable());
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	efct_vi_rxpkt_release(&n.vi, evs[0].rx_ref.pkt_id);
	assert_int_equal(prime(), 0);
	assert_false(readable());
}

static void waiting_ends_with_the_timeout(void **state)
{
	struct timeval tv = { 0, 1000 };

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 8);
	assert_int_equal(ef_eventq_wait(&n.vi, n.dh, ef_eventq_current(&n.vi), &tv), -ETIMEDOUT);
	nic_inject_small(1);
	assert_int_equal(ef_eventq_wait(&n.vi, n.dh, ef_eventq_current(&n.vi), NULL), 0);
}

#define FRAMES 2000

static void *inject_many(void *arg)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	unsigned *given = arg;

	for (unsigned i = 0; i < FRAMES; i++) {
		nic_inject(frame, len, NIC_GOOD);
		__atomic_store_n(given, i + 1, __ATOMIC_RELEASE);
		/* one at a time, so that the other side has to sleep for each */
		while (__atomic_load_n(given + 1, __ATOMIC_ACQUIRE) != i + 1)
			sched_yield();
	}
	return NULL;
}

/* A lost wake-up would end this test by its timeout. */
static void no_wake_up_is_lost(void **state)
{
	unsigned count[2] = { 0, 0 }, got = 0;
	struct pollfd p = { .events = POLLIN };
	pthread_t t;

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 504);
	p.fd = n.dh;
	assert_int_equal(pthread_create(&t, NULL, inject_many, count), 0);
	while (got < FRAMES) {
		ef_event evs[8];
		int k = nic_poll(&n, evs, 8);

		for (int i = 0; i < k; i++)
			assert_int_equal(
				ef_vi_receive_post(&n.vi, nic_addr(&n, EF_EVENT_RX_RQ_ID(evs[i])),
						   (ef_request_id)EF_EVENT_RX_RQ_ID(evs[i])),
				0);
		got += (unsigned)k;
		__atomic_store_n(&count[1], got, __ATOMIC_RELEASE);
		if (!k && got < FRAMES) {
			assert_int_equal(prime(), 0);
			assert_int_equal(poll(&p, 1, 20000), 1);
		}
	}
	pthread_join(t, NULL);
	assert_int_equal(count[0], FRAMES);
}

/* Another thread may ask, which is for the thread sanitizer to judge. */
static void *ask(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		(void)ef_eventq_has_many_events(&n.vi, 4);
	return NULL;
}

static void another_thread_may_ask_for_many_events(void **state)
{
	ef_event evs[8];
	int stop = 0;
	pthread_t t;

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 256);
	assert_int_equal(pthread_create(&t, NULL, ask, &stop), 0);
	for (unsigned i = 0; i < 30; i++) {
		nic_inject_small(8);
		assert_int_equal(nic_poll_until(&n, evs, 8), 8);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
}

static void a_vi_tells_its_mac_and_mtu(void **state)
{
	static const uint8_t want[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t mac[6];

	(void)state;
	nic_open(&n, -1, -1, -1, 0);
	assert_int_equal(ef_vi_get_mac(&n.vi, n.dh, mac), 0);
	assert_memory_equal(mac, want, 6);
	assert_int_equal(ef_vi_mtu(&n.vi, n.dh), 1500);
	assert_string_equal(ef_pd_interface_name(&n.pd), nic_name());
	assert_non_null(ef_vi_version_str());
	assert_true(ef_vi_capabilities_max() > EF_VI_CAP_RX_SHARED);
	assert_non_null(ef_vi_capabilities_name(EF_VI_CAP_PIO));
	assert_int_equal(ef_vi_flush(&n.vi, n.dh), 0);
}

static void an_unknown_interface_is_no_device(void **state)
{
	ef_driver_handle dh;
	ef_pd pd;

	(void)state;
	assert_int_equal(ef_driver_open(&dh), 0);
	assert_int_equal(ef_pd_alloc_by_name(&pd, dh, "nosuchif0", EF_PD_DEFAULT), -ENODEV);
	assert_int_equal(ef_driver_close(dh), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(a_primed_handle_becomes_readable),
		T(priming_finds_what_came_before),
		T(completions_wake_too),
		cmocka_unit_test_setup_teardown(packets_by_reference_wake, begin_ref, end),
		T(waiting_ends_with_the_timeout),
		T(no_wake_up_is_lost),
		T(another_thread_may_ask_for_many_events),
		T(a_vi_tells_its_mac_and_mtu),
		T(an_unknown_interface_is_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
