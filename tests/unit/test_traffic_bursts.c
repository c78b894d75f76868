/* SPDX-License-Identifier: BSD-2-Clause */
/* Bursts: recorded times to the nanosecond, with the silences between them shortened. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"

static struct kbp_error err;

/* Frames due at these times, as captured. */
static struct kbp_schedule *schedule(const struct kbp_timing *t, const uint64_t *at_ns, unsigned n)
{
	const struct kbp_addr dst = { AF_INET, { 239, 1, 1, 1 } };
	struct kbp_builder b = { 0 };
	struct kbp_schedule *s = NULL;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			kbp_builder_add(&b, (const uint8_t *)"twelve bytes and more", 21, 14, 7,
					(uint32_t)kbp_builder_flow(&b, &dst, 5000, 0), at_ns[i]),
			0);
	if (kbp_builder_finish(&b, t, &s, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void plays(struct kbp_schedule *s, const uint64_t *at_ns, uint64_t n)
{
	assert_int_equal(s->n_total, n);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at;

		kbp_schedule_at(s, i, &at);
		assert_int_equal(at, at_ns[i]);
	}
	kbp_schedule_close(s);
}

static const uint64_t recorded[] = { 0, 7, 1006, 2006, 5000002006, 5000002007 };

static void gaps_below_the_limit_are_kept_and_longer_ones_become_it(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_BURSTS, .gap_ns = 1000 };
	static const uint64_t due[] = { 0, 7, 1006, 2006, 3006, 3007 };

	(void)state;
	plays(schedule(&t, recorded, 6), due, 6);
}

static void the_limit_is_a_millisecond_when_none_is_given(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_BURSTS };
	static const uint64_t due[] = { 0, 7, 1006, 2006, 1002006, 1002007 };

	(void)state;
	plays(schedule(&t, recorded, 6), due, 6);
}

static void a_capture_is_played_again_until_the_time_is_over(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_BURSTS, .gap_ns = 1000, .seconds = 8.015e-6 };
	/* from loop to loop it is one more silence */
	static const uint64_t due[] = { 0,    7,    1006, 2006, 3006, 3007, 4007,
					4014, 5013, 6013, 7013, 7014, 8014 };

	(void)state;
	plays(schedule(&t, recorded, 6), due, 13);
}

static void loops_bound_the_playing(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_BURSTS,
				      .gap_ns = 1000,
				      .seconds = 1,
				      .loops = 1 };
	static const uint64_t due[] = { 0, 7, 1006, 2006, 3006, 3007 };

	(void)state;
	plays(schedule(&t, recorded, 6), due, 6);
}

static void the_shape_of_bursts_is_counted(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_BURSTS, .gap_ns = 20000 };
	/* 3 frames; 5 frames, of which 4 within 10 us and the fifth just not; 1 frame */
	static const uint64_t at[] = { 0,	19999,	 39998,	  1000000, 1000001,
				       1000002, 1009999, 1010000, 9000000 };
	struct kbp_schedule *s = schedule(&t, at, 9);
	struct kbp_bursts k;

	(void)state;
	kbp_schedule_bursts(s, 20000, &k);
	assert_int_equal(k.gap_ns, 20000);
	assert_int_equal(k.bursts, 3);
	assert_int_equal(k.longest, 5);
	assert_int_equal(k.within_10us, 4);
	kbp_schedule_bursts(s, 0, &k);
	assert_int_equal(k.gap_ns, KBP_BURST_GAP_NS);
	assert_int_equal(k.bursts, 1);
	assert_int_equal(k.longest, 9);
	kbp_schedule_close(s);
}

static void a_generated_feed_fills_the_time_with_its_own_bursts(void **state)
{
	struct kbp_generator_opts g = { .size = sizeof(g), .seed = 3 };
	struct kbp_timing t = { .kind = KBP_TIMING_RECORDED, .seconds = 1 };
	struct kbp_schedule *whole, *s;
	uint64_t at, last = 0, was, was_last = 0;

	(void)state;
	g.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	g.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	g.flow.dst_port = g.flow.src_port = 5000;
	assert_int_equal(kbp_schedule_generate(&g, &t, &whole, &err), 0);
	t.kind = KBP_TIMING_BURSTS;
	t.gap_ns = 100000;
	assert_int_equal(kbp_schedule_generate(&g, &t, &s, &err), 0);
	assert_true(s->n_total > 2 * whole->n_total);
	for (uint64_t i = 0; i < s->n_total; i++) {
		kbp_schedule_at(s, i, &at);
		if (i && i < whole->n_total) { /* the same feed */
			kbp_schedule_at(whole, i, &was);
			assert_int_equal(at - last,
					 was - was_last < 100000 ? was - was_last : 100000);
			was_last = was;
		}
		last = at;
	}
	assert_true(last < 1000000000 && last > 1000000000 - 100000);
	kbp_schedule_close(s);
	kbp_schedule_close(whole);
}

static void what_contradicts_bursts_is_refused_by_name(void **state)
{
	const struct {
		struct kbp_timing t;
		const char *says;
	} bad[] = {
		{ { .kind = KBP_TIMING_BURSTS, .rate_pps = 1000 }, "rate" },
		{ { .kind = KBP_TIMING_BURSTS, .speed = 2 }, "speed" },
		{ { .kind = KBP_TIMING_BURSTS, .gap_ns = UINT64_MAX }, "shorter" },
		{ { .kind = KBP_TIMING_RECORDED, .gap_ns = 1000 }, "only bursts" },
	};

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(bad); i++) {
		assert_int_equal(kbp_timing_check(&bad[i].t, &err), -EINVAL);
		if (!strstr(err.hint, bad[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.hint, bad[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_below_the_limit_are_kept_and_longer_ones_become_it),
		cmocka_unit_test(the_limit_is_a_millisecond_when_none_is_given),
		cmocka_unit_test(a_capture_is_played_again_until_the_time_is_over),
		cmocka_unit_test(loops_bound_the_playing),
		cmocka_unit_test(the_shape_of_bursts_is_counted),
		cmocka_unit_test(a_generated_feed_fills_the_time_with_its_own_bursts),
		cmocka_unit_test(what_contradicts_bursts_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
