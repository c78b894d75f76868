/* SPDX-License-Identifier: BSD-2-Clause */
/* The rounds of a bench, one after the other, are the whole schedule: the same frames, the same
 * distances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "tools/measure/parts.h"

static struct kbp_schedule *generated(const struct kbp_timing *t)
{
	struct kbp_generator_opts g = { .size = sizeof(g) };
	struct kbp_schedule *s = NULL;
	struct kbp_error err;

	g.flow.dst = (struct kbp_addr){ .family = AF_INET, .bytes = { 239, 1, 2, 3 } };
	g.flow.dst_port = 5000;
	g.flow.src = (struct kbp_addr){ .family = AF_INET, .bytes = { 10, 0, 0, 1 } };
	g.flow.src_port = 5000;
	g.n_flows = 3;
	if (kbp_schedule_generate(&g, t, &s, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void assert_rounds_are_the_whole(const struct kbp_timing *t, uint64_t rounds)
{
	struct kbp_schedule *whole = generated(t);
	uint64_t n = whole->n_total;

	assert_true(n > rounds);
	for (uint64_t r = 0; r < rounds; r++) {
		uint64_t from = n * r / rounds, to = n * (r + 1) / rounds, base;
		struct kbp_slice sl;

		assert_int_equal(kbp_slice_make(&sl, whole, from, to - from), 0);
		kbp_schedule_at(whole, from, &base);
		assert_int_equal(sl.s.n_total, to - from);
		for (uint64_t i = 0; i < to - from; i++) {
			uint64_t at_whole, at_slice;
			const struct kbp_schedule_frame *a =
				&whole->frames[kbp_schedule_at(whole, from + i, &at_whole)];
			const struct kbp_schedule_frame *b =
				&sl.s.frames[kbp_schedule_at(&sl.s, i, &at_slice)];

			assert_int_equal(at_slice, at_whole - base);
			assert_int_equal(a->offset, b->offset);
			assert_int_equal(a->payload_hash, b->payload_hash);
			assert_int_equal(a->flow, b->flow);
		}
		kbp_slice_free(&sl);
	}
	kbp_schedule_close(whole);
}

static void rounds_of_constant_timing_are_the_whole(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_CONSTANT, .rate_pps = 30000, .seconds = 0.1 };

	(void)state;
	assert_rounds_are_the_whole(&t, 7);
	assert_rounds_are_the_whole(&t, 1);
}

static void rounds_of_poisson_timing_are_the_whole(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_POISSON,
				      .rate_pps = 30000,
				      .seconds = 0.1,
				      .seed = 5 };

	(void)state;
	assert_rounds_are_the_whole(&t, 3);
}

static void rounds_of_recorded_timing_are_the_whole(void **state)
{
	const struct kbp_timing t = { .kind = KBP_TIMING_RECORDED, .rate_pps = 1000, .seconds = 1 };

	(void)state;
	assert_rounds_are_the_whole(&t, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_of_constant_timing_are_the_whole),
		cmocka_unit_test(rounds_of_poisson_timing_are_the_whole),
		cmocka_unit_test(rounds_of_recorded_timing_are_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
