/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sent frame a received one is, from content and order alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/measure/parts.h"

#define STEP 1000u /* ticks between intended send times */
#define DELAY 300u /* ticks on the way */

/* The n-th frame sent has payload `payload`. */
static struct kbp_seen sent_at(uint32_t n, uint64_t payload, uint32_t flow)
{
	return (struct kbp_seen){ .ticks = (uint64_t)n * STEP,
				  .hash = payload * 0x9e3779b97f4a7c15ull,
				  .len = 100,
				  .flow = flow };
}

static struct kbp_seen got_of(const struct kbp_seen *sent)
{
	struct kbp_seen g = *sent;

	g.ticks += DELAY;
	return g;
}

/* Matches got against sent, checks that every certain answer is the truth, hands out the counts. */
static struct kbp_match_count match(const struct kbp_seen *sent, uint32_t n_sent,
				    const struct kbp_seen *got, const uint32_t *truth,
				    uint32_t n_got, uint32_t n_flows)
{
	uint32_t *pos = calloc(n_got + 1u, sizeof(*pos));
	struct kbp_match_count c;
	uint64_t certain = 0;

	assert_non_null(pos);
	assert_int_equal(kbp_match(sent, n_sent, got, n_got, n_flows, 0, pos, &c), 0);
	for (uint32_t i = 0; i < n_got; i++) {
		if (pos[i] == KBP_POS_NONE || pos[i] == KBP_POS_FOREIGN)
			continue;
		certain++;
		assert_int_equal(pos[i], truth[i]);
	}
	assert_int_equal(certain, c.certain);
	assert_int_equal(c.certain + c.ambiguous + c.foreign + c.out_of_order, n_got);
	free(pos);
	return c;
}

static void a_lossless_round_is_certain_even_when_payloads_repeat(void **state)
{
	enum { N = 10000 };
	static struct kbp_seen sent[N], got[N];
	static uint32_t truth[N];
	struct kbp_match_count c;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		sent[i] = sent_at(i, i % 7, 0);
		got[i] = got_of(&sent[i]);
		truth[i] = i;
	}
	c = match(sent, N, got, truth, N, 1);
	assert_int_equal(c.certain, N);
}

static void a_loss_between_equal_payloads_is_ambiguous_and_nothing_else_is(void **state)
{
	/* A A B: one of the two A's is lost, nobody can say which; both were sent before it arrived
	 */
	struct kbp_seen sent[4] = { sent_at(0, 9, 0), sent_at(1, 1, 0), sent_at(2, 1, 0),
				    sent_at(3, 2, 0) };
	struct kbp_seen got[3] = { got_of(&sent[0]), got_of(&sent[2]), got_of(&sent[3]) };
	uint32_t truth[3] = { 0, 2, 3 };
	struct kbp_match_count c = match(sent, 4, got, truth, 3, 1);

	(void)state;
	assert_int_equal(c.certain, 2);
	assert_int_equal(c.ambiguous, 1);
}

static void a_frame_received_before_its_twin_was_sent_is_certain(void **state)
{
	struct kbp_seen sent[3] = { sent_at(0, 1, 0), sent_at(1, 1, 0), sent_at(2, 2, 0) };
	struct kbp_seen got[2] = { got_of(&sent[0]), got_of(&sent[2]) };
	uint32_t truth[2] = { 0, 2 };
	struct kbp_match_count c = match(sent, 3, got, truth, 2, 1);

	(void)state;
	assert_int_equal(c.certain, 2);
}

static void ninety_percent_loss_of_a_looped_capture_stays_certain(void **state)
{
	enum { N = 100000, LOOP = 1000 };
	struct kbp_seen *sent = calloc(N, sizeof(*sent)), *got = calloc(N, sizeof(*got));
	uint32_t *truth = calloc(N, sizeof(*truth)), n = 0, seed = 1;
	struct kbp_match_count c;

	(void)state;
	assert_true(sent && got && truth);
	for (uint32_t i = 0; i < N; i++) {
		sent[i] = sent_at(i, i % LOOP, 0);
		seed = seed * 1664525u + 1013904223u;
		if ((seed >> 16) % 10 == 0) {
			truth[n] = i;
			got[n++] = got_of(&sent[i]);
		}
	}
	c = match(sent, N, got, truth, n, 1);
	assert_int_equal(c.foreign, 0);
	assert_int_equal(c.out_of_order, 0);
	assert_int_equal(c.certain, n);
	free(sent);
	free(got);
	free(truth);
}

static void a_lost_stretch_longer_than_the_loop_never_gives_a_wrong_answer(void **state)
{
	enum { N = 5000, LOOP = 10 };
	static struct kbp_seen sent[N], got[N];
	static uint32_t truth[N];
	uint32_t n = 0;
	struct kbp_match_count c;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		sent[i] = sent_at(i, i % LOOP, 0);
		if (i < 100 || (i > 2000 && i < 2100) || i > 4900) {
			truth[n] = i;
			got[n] = got_of(&sent[i]);
			got[n++].ticks += 50 * STEP; /* waited in a queue: time does not settle
						      * it */
		}
	}
	c = match(sent, N, got, truth, n, 1);
	assert_true(c.ambiguous > 0);
	assert_int_equal(c.out_of_order + c.foreign, 0);
}

static void a_payload_that_was_never_sent_is_foreign(void **state)
{
	struct kbp_seen sent[2] = { sent_at(0, 1, 0), sent_at(1, 2, 0) };
	struct kbp_seen got[3] = { got_of(&sent[0]), sent_at(1, 77, 0), got_of(&sent[1]) };
	uint32_t truth[3] = { 0, KBP_POS_FOREIGN, 1 };
	struct kbp_match_count c = match(sent, 2, got, truth, 3, 1);

	(void)state;
	assert_int_equal(c.foreign, 1);
	assert_int_equal(c.certain, 2);
}

static void equal_hashes_of_another_length_or_flow_are_not_the_same_frame(void **state)
{
	struct kbp_seen sent[2] = { sent_at(0, 1, 0), sent_at(1, 2, 1) };
	struct kbp_seen got[2] = { got_of(&sent[0]), got_of(&sent[1]) };
	uint32_t truth[2] = { KBP_POS_FOREIGN, KBP_POS_FOREIGN };
	struct kbp_match_count c;

	(void)state;
	got[0].len++;
	got[1].flow = 0;
	c = match(sent, 2, got, truth, 2, 2);
	assert_int_equal(c.foreign, 2);
}

static void swapped_frames_are_reported_out_of_order(void **state)
{
	enum { N = 1000 };
	static struct kbp_seen sent[N], got[N];
	static uint32_t truth[N];
	struct kbp_match_count c;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t from = i == 500 ? 501 : i == 501 ? 500 : i;

		sent[i] = sent_at(i, i, 0);
		truth[i] = from;
		got[i] = sent_at(from, from, 0);
		got[i].ticks = (uint64_t)i * STEP + 5 * STEP;
	}
	c = match(sent, N, got, truth, N, 1);
	assert_int_equal(c.out_of_order, 1);
	assert_int_equal(c.certain, N - 1);
}

static void a_frame_delivered_twice_is_out_of_order_in_a_loop_too(void **state)
{
	enum { N = 3000, LOOP = 1000 };
	static struct kbp_seen sent[N], got[N + 1];
	static uint32_t truth[N + 1];
	uint32_t n = 0;
	struct kbp_match_count c;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		sent[i] = sent_at(i, i % LOOP, 0);
		truth[n] = i;
		got[n++] = got_of(&sent[i]);
		if (i == 1500) {
			truth[n] = i;
			got[n++] = got_of(&sent[i]);
		}
	}
	c = match(sent, N, got, truth, n, 1);
	assert_int_equal(c.out_of_order, 1);
	assert_int_equal(c.certain, N);
}

static void order_counts_within_a_flow_only(void **state)
{
	/* flow 1 is delivered wholly before flow 0, as two RX queues polled in turn may do */
	struct kbp_seen sent[4] = { sent_at(0, 1, 0), sent_at(1, 1, 1), sent_at(2, 2, 0),
				    sent_at(3, 2, 1) };
	struct kbp_seen got[4] = { sent[1], sent[3], sent[0], sent[2] };
	uint32_t truth[4] = { 1, 3, 0, 2 };
	struct kbp_match_count c;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		got[i].ticks = 10 * STEP + i;
	c = match(sent, 4, got, truth, 4, 2);
	assert_int_equal(c.certain, 4);
}

static void nothing_sent_and_nothing_received_is_fine(void **state)
{
	struct kbp_seen one = sent_at(0, 1, 0);
	struct kbp_match_count c;
	uint32_t pos[1];

	(void)state;
	assert_int_equal(kbp_match(&one, 0, &one, 0, 1, 0, pos, &c), 0);
	assert_int_equal(kbp_match(&one, 1, &one, 0, 1, 0, pos, &c), 0);
	assert_int_equal(kbp_match(&one, 0, &one, 1, 1, 0, pos, &c), 0);
	assert_int_equal(c.foreign, 1);
	one.flow = 1;
	assert_int_equal(kbp_match(&one, 0, &one, 1, 1, 0, pos, &c), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lossless_round_is_certain_even_when_payloads_repeat),
		cmocka_unit_test(a_loss_between_equal_payloads_is_ambiguous_and_nothing_else_is),
		cmocka_unit_test(a_frame_received_before_its_twin_was_sent_is_certain),
		cmocka_unit_test(ninety_percent_loss_of_a_looped_capture_stays_certain),
		cmocka_unit_test(a_lost_stretch_longer_than_the_loop_never_gives_a_wrong_answer),
		cmocka_unit_test(a_payload_that_was_never_sent_is_foreign),
		cmocka_unit_test(equal_hashes_of_another_length_or_flow_are_not_the_same_frame),
		cmocka_unit_test(swapped_frames_are_reported_out_of_order),
		cmocka_unit_test(a_frame_delivered_twice_is_out_of_order_in_a_loop_too),
		cmocka_unit_test(order_counts_within_a_flow_only),
		cmocka_unit_test(nothing_sent_and_nothing_received_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
