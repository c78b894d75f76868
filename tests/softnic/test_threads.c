/* SPDX-License-Identifier: BSD-2-Clause */
/* The device in a thread of its own: everything it shares with the driver, for the thread sanitizer
 * to judge; no test here knows what time it takes. */
#include "nic.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <softnic.h>

#define FRAMES 3000u

static struct nic n;

static int begin_as(enum nic_model model)
{
	nic_begin(model);
	assert_int_equal(softnic_options(nic_name(), "step=thread,clock=host", NULL, 0), 0);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_as(NIC_EF10_CTPIO);
}

static int begin_ref(void **state)
{
	(void)state;
	return begin_as(NIC_EFCT);
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static unsigned injected, seen;

/* Never more on their way than there are buffers. */
static void *inject(void *arg)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);

	(void)arg;
	while (injected < FRAMES) {
		if ((int)(injected - __atomic_load_n(&seen, __ATOMIC_ACQUIRE)) >= 200) {
			sched_yield();
			continue;
		}
		frame_be32(frame + 42, injected++);
		frame_be16(frame + 40, 0);
		nic_inject(frame, len, NIC_GOOD);
	}
	return NULL;
}

static void expect_number(const uint8_t *frame)
{
	uint8_t want[4];

	frame_be32(want, seen);
	assert_memory_equal(frame + 42, want, 4);
}

static void frames_arrive_in_order_while_indices_wrap(void **state)
{
	ef_event evs[32];
	pthread_t t;

	(void)state;
	injected = seen = 0;
	softnic_first_index(0xffffff00u);
	nic_open(&n, -1, -1, -1, EF_VI_RX_TIMESTAMPS);
	nic_post(&n, 504);
	assert_int_equal(pthread_create(&t, NULL, inject, NULL), 0);
	while (seen < FRAMES) {
		int k = nic_poll(&n, evs, 32);

		for (int i = 0; i < k; i++) {
			ef_request_id id = (ef_request_id)EF_EVENT_RX_RQ_ID(evs[i]);

			assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_RX);
			expect_number(nic_buf(&n, (unsigned)id) + 14);
			assert_int_equal(ef_vi_receive_init(&n.vi, nic_addr(&n, (unsigned)id), id),
					 0);
			__atomic_store_n(&seen, seen + 1, __ATOMIC_RELEASE);
		}
		ef_vi_receive_push(&n.vi);
		if (!k)
			sched_yield();
	}
	pthread_join(t, NULL);
}

static void packets_by_reference_arrive_in_order(void **state)
{
	ef_event evs[32];
	pthread_t t;

	(void)state;
	injected = seen = 0;
	nic_open(&n, -1, -1, -1, EF_VI_RX_TIMESTAMPS);
	assert_int_equal(pthread_create(&t, NULL, inject, NULL), 0);
	while (seen < FRAMES) {
		int k = nic_poll(&n, evs, 32);

		for (int i = 0; i < k; i++) {
			expect_number(efct_vi_rxpkt_get(&n.vi, evs[i].rx_ref.pkt_id));
			efct_vi_rxpkt_release(&n.vi, evs[i].rx_ref.pkt_id);
			__atomic_store_n(&seen, seen + 1, __ATOMIC_RELEASE);
		}
		if (!k)
			sched_yield();
	}
	pthread_join(t, NULL);
}

/* Sends until the ring is full, reaps, and so on; every frame reaches the wire, every id comes back
 * in order. */
static void send_all(unsigned flags)
{
	unsigned sent = 0, done = 0, out = 0;
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t frame[2048];
	ef_event evs[16];
	int k;

	nic_open(&n, -1, 0, -1, flags);
	while (done < FRAMES) {
		while (sent < FRAMES && !nic_send(&n, sent % 1000, 18))
			sent++;
		k = nic_poll(&n, evs, 16);
		for (int i = 0; i < k; i++) {
			int got = 1;

			if (EF_EVENT_TYPE(evs[i]) == EF_EVENT_TYPE_TX)
				got = ef_vi_transmit_unbundle(&n.vi, &evs[i], ids);
			else
				ids[0] = (ef_request_id)EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(evs[i]);
			for (int j = 0; j < got; j++)
				assert_int_equal(ids[j], done++ % 1000);
		}
		while (nic_collect(frame, sizeof(frame)))
			out++;
		if (!k)
			sched_yield();
	}
	assert_int_equal(out, FRAMES);
}

static void sends_complete_in_order(void **state)
{
	(void)state;
	send_all(0);
}

static void stamped_sends_complete_in_order(void **state)
{
	(void)state;
	send_all(EF_VI_TX_TIMESTAMPS);
}

static void ctpio_keeps_its_place_among_sends(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	unsigned done = 0, out = 0;
	uint8_t frame[64], got[2048];
	ef_event evs[16];

	(void)state;
	nic_open(&n, -1, 0, -1, EF_VI_TX_CTPIO);
	for (unsigned i = 0; i < 400; i++) {
		uint32_t len = nic_frame(frame, 0x0a000002, (uint16_t)i, 18);

		memcpy(nic_buf(&n, i), frame, len);
		if (i % 3)
			ef_vi_transmit_ctpio(&n.vi, frame, len, 64);
		assert_int_equal(i % 3 ? ef_vi_transmit_ctpio_fallback(&n.vi, nic_addr(&n, i), len,
								       (ef_request_id)i) :
					 ef_vi_transmit(&n.vi, nic_addr(&n, i), (int)len,
							(ef_request_id)i),
				 0);
	}
	while (done < 400) {
		int k = nic_poll(&n, evs, 16);

		for (int i = 0; i < k; i++)
			done += (unsigned)ef_vi_transmit_unbundle(&n.vi, &evs[i], ids);
		sched_yield();
	}
	for (; nic_collect(got, sizeof(got)); out++)
		assert_int_equal(got[36] << 8 | got[37], out);
	assert_int_equal(out, 400);
}

static void sleepers_are_woken(void **state)
{
	struct pollfd p = { .events = POLLIN };
	ef_event evs[8];

	(void)state;
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 504);
	p.fd = n.dh;
	for (unsigned i = 0; i < 300; i++) {
		int k = 0;

		assert_int_equal(ef_vi_prime(&n.vi, n.dh, ef_eventq_current(&n.vi)), 0);
		nic_inject_small(1);
		while (!k) {
			assert_int_equal(poll(&p, 1, 20000), 1);
			k = nic_poll(&n, evs, 8);
			if (!k)
				assert_int_equal(ef_vi_prime(&n.vi, n.dh, ef_eventq_current(&n.vi)),
						 0);
		}
		assert_int_equal(k, 1);
	}
}

static void vis_come_and_go_while_frames_arrive(void **state)
{
	pthread_t t;

	(void)state;
	injected = 0;
	__atomic_store_n(&seen, FRAMES, __ATOMIC_RELEASE); /* nobody counts */
	assert_int_equal(pthread_create(&t, NULL, inject, NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		ef_event evs[8];

		nic_open(&n, -1, -1, -1, EF_VI_RX_TIMESTAMPS);
		nic_post(&n, 64);
		for (unsigned j = 0; j < 20; j++)
			nic_poll(&n, evs, 8);
		nic_close(&n);
	}
	pthread_join(t, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define R(f) cmocka_unit_test_setup_teardown(f, begin_ref, end)
	const struct CMUnitTest tests[] = {
		T(frames_arrive_in_order_while_indices_wrap),
		R(packets_by_reference_arrive_in_order),
		T(sends_complete_in_order),
		T(stamped_sends_complete_in_order),
		T(ctpio_keeps_its_place_among_sends),
		T(sleepers_are_woken),
		T(vis_come_and_go_while_frames_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
