/* SPDX-License-Identifier: BSD-2-Clause */
/* Clock events and the stamps that depend on them: a transcript. The clock is the test's. */
#include "nic.h"

#define SECOND 1000000000ull
#define START (1000 * SECOND)
#define TOLERANCE 8 /* ns: what a stamp in 2^-27 s cannot tell apart */

static struct nic n;
static enum nic_model model;

static int begin_as(enum nic_model m)
{
	model = m;
	nic_begin(m);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_as(NIC_EF10);
}

static int begin_quarters(void **state)
{
	(void)state;
	return begin_as(NIC_EF10_CTPIO);
}

static int end(void **state)
{
	(void)state;
	if (n.mem)
		nic_close(&n);
	return nic_violations() != 0;
}

static void open_stamped(unsigned flags)
{
	nic_open(&n, -1, flags & EF_VI_RX_TIMESTAMPS ? -1 : 0, flags & EF_VI_TX_TIMESTAMPS ? -1 : 0,
		 flags);
	if (flags & EF_VI_RX_TIMESTAMPS)
		nic_post(&n, 64);
}

/* Receives one small frame now; its stamp. */
static int stamp_of_one(uint64_t *ns, unsigned *flags)
{
	ef_event evs[8];

	nic_inject_small(1);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	return nic_stamp(&n, nic_buf(&n, EF_EVENT_RX_RQ_ID(evs[0])), ns, flags);
}

static void assert_near(uint64_t ns, uint64_t want)
{
	assert_in_range(ns, want - (model == NIC_EF10 ? TOLERANCE : 0), want);
}

static void a_stamp_is_the_time_of_arrival(void **state)
{
	uint64_t ns;
	unsigned flags;

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	for (uint64_t t = START; t < START + 3 * SECOND; t += 123456789) {
		assert_int_equal(stamp_of_one(&ns, &flags), 0);
		assert_near(ns, t);
		assert_int_equal(flags, EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC);
		nic_clock_advance(123456789);
	}
}

static void there_is_no_stamp_before_the_first_clock_event(void **state)
{
	uint64_t ns;
	unsigned flags;

	(void)state;
	nic_clock_events(false);
	open_stamped(EF_VI_RX_TIMESTAMPS);
	assert_int_equal(stamp_of_one(&ns, &flags), -EL2NSYNC);
	assert_int_equal(ns, 0);
	nic_clock_events(true);
	nic_clock_advance(SECOND / 4);
	assert_int_equal(stamp_of_one(&ns, &flags), 0);
	assert_near(ns, START + SECOND / 4);
}

static void without_clock_events_stamps_end_after_450_ms(void **state)
{
	uint64_t ns;
	unsigned flags;

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	assert_int_equal(stamp_of_one(&ns, &flags), 0);
	nic_clock_events(false);
	nic_clock_advance(440000000);
	assert_int_equal(stamp_of_one(&ns, &flags), 0);
	assert_near(ns, START + 440000000);
	nic_clock_advance(160000000);
	assert_int_equal(stamp_of_one(&ns, &flags), -EL2NSYNC);
	/* unsynchronised from then on, whatever the stamp */
	nic_clock_advance(450000000);
	assert_int_equal(stamp_of_one(&ns, &flags), -EL2NSYNC);
	nic_clock_events(true);
	nic_clock_advance(SECOND / 4);
	assert_int_equal(stamp_of_one(&ns, &flags), 0);
}

static void a_stamp_just_before_the_clock_event_belongs_to_the_second_before(void **state)
{
	ef_event evs[8];
	uint64_t ns;
	unsigned flags;

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	nic_poll(&n, evs, 8);
	nic_clock_set(START + SECOND - 1000);
	nic_poll(&n, evs, 8);
	nic_inject_small(1);
	nic_clock_advance(1000);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	/* against the rules: the clock event of the next second is let in first */
	assert_int_equal(nic_poll(&n, evs + 1, 2), 0);
	assert_int_equal(nic_stamp(&n, nic_buf(&n, 0), &ns, &flags), 0);
	assert_near(ns, START + SECOND - 1000);
}

static void a_frame_without_stamp_says_so(void **state)
{
	uint8_t frame[64];
	uint32_t len = nic_frame(frame, NIC_IP, NIC_PORT, 18);
	uint64_t ns;
	unsigned flags;
	ef_event evs[8];

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	nic_inject(frame, len, NIC_NO_STAMP);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(nic_stamp(&n, nic_buf(&n, 0), &ns, &flags), -ENODATA);
}

static void a_poll_ends_at_a_clock_event(void **state)
{
	ef_event evs[8];

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	assert_int_equal(nic_poll(&n, evs, 8), 0); /* the first clock event */
	nic_inject_small(1);
	nic_clock_advance(SECOND / 4);
	nic_inject_small(1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(nic_poll(&n, evs, 8), 0);
}

static void flags_are_those_of_the_last_clock_event(void **state)
{
	uint64_t ns;
	unsigned flags;

	(void)state;
	open_stamped(EF_VI_RX_TIMESTAMPS);
	assert_true(n.vi.vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS);
	for (unsigned want = 0; want < 4; want++) {
		nic_clock_state(want & EF_VI_SYNC_FLAG_CLOCK_SET,
				want & EF_VI_SYNC_FLAG_CLOCK_IN_SYNC);
		nic_clock_advance(SECOND / 4);
		assert_int_equal(stamp_of_one(&ns, &flags), 0);
		assert_int_equal(flags, want);
		nic_clock_state(true, true);
		assert_int_equal(stamp_of_one(&ns, &flags), 0);
		assert_int_equal(flags, want);
	}
}

static void without_sync_status_the_clock_is_taken_for_good(void **state)
{
	uint64_t ns;
	unsigned flags;

	(void)state;
	nic_sync_status(false);
	nic_clock_state(false, false);
	open_stamped(EF_VI_RX_TIMESTAMPS);
	assert_false(n.vi.vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS);
	assert_int_equal(stamp_of_one(&ns, &flags), 0);
	assert_int_equal(flags, EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC);
}

static void stamped_sends_complete_one_by_one(void **state)
{
	ef_event evs[32];

	(void)state;
	open_stamped(EF_VI_TX_TIMESTAMPS);
	nic_poll(&n, evs, 32);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(nic_send(&n, i, 18), 0);
	assert_int_equal(nic_poll_until(&n, evs, 20), 20);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t ns = EF_EVENT_TX_WITH_TIMESTAMP_SEC(evs[i]) * SECOND +
			      EF_EVENT_TX_WITH_TIMESTAMP_NSEC(evs[i]);

		assert_int_equal(EF_EVENT_TYPE(evs[i]), EF_EVENT_TYPE_TX_WITH_TIMESTAMP);
		assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(evs[i]), i);
		assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_SYNC_FLAGS(evs[i]), 3);
		assert_near(ns, START);
	}
	assert_int_equal(ef_vi_transmit_fill_level(&n.vi), 0);
}

static void a_full_ring_of_stamped_sends_fits_the_event_queue(void **state)
{
	ef_event evs[64];
	unsigned got = 0;
	int k;

	(void)state;
	open_stamped(EF_VI_TX_TIMESTAMPS | EF_VI_RX_TIMESTAMPS);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(nic_send(&n, i + 64, 18), 0);
	while ((k = nic_poll(&n, evs, 64)) > 0) {
		assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX_WITH_TIMESTAMP);
		got += (unsigned)k;
	}
	assert_int_equal(got, 511);
}

static void without_a_clock_event_a_send_is_stamped_zero(void **state)
{
	ef_event evs[8];

	(void)state;
	nic_clock_events(false);
	open_stamped(EF_VI_TX_TIMESTAMPS);
	assert_int_equal(nic_send(&n, 3, 18), 0);
	assert_int_equal(nic_poll_until(&n, evs, 1), 1);
	assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(evs[0]), 3);
	assert_int_equal(EF_EVENT_TX_WITH_TIMESTAMP_SEC(evs[0]), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define Q(f) cmocka_unit_test_setup_teardown(f, begin_quarters, end)
	const struct CMUnitTest tests[] = {
		T(a_stamp_is_the_time_of_arrival),
		Q(a_stamp_is_the_time_of_arrival),
		T(there_is_no_stamp_before_the_first_clock_event),
		Q(there_is_no_stamp_before_the_first_clock_event),
		T(without_clock_events_stamps_end_after_450_ms),
		Q(without_clock_events_stamps_end_after_450_ms),
		T(a_stamp_just_before_the_clock_event_belongs_to_the_second_before),
		Q(a_stamp_just_before_the_clock_event_belongs_to_the_second_before),
		T(a_frame_without_stamp_says_so),
		Q(a_frame_without_stamp_says_so),
		T(a_poll_ends_at_a_clock_event),
		T(flags_are_those_of_the_last_clock_event),
		T(without_sync_status_the_clock_is_taken_for_good),
		T(stamped_sends_complete_one_by_one),
		Q(stamped_sends_complete_one_by_one),
		T(a_full_ring_of_stamped_sends_fits_the_event_queue),
		T(without_a_clock_event_a_send_is_stamped_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
