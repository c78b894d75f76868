/* SPDX-License-Identifier: BSD-2-Clause */
/* The noise control: made-up readings of the clock give the histogram that they should, and it survives JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/measure/host.h"

#define TICKS_PER_NS 2u

static struct kbp_tsc tsc;

static int clock_make(void **state)
{
	(void)state;
	return kbp_tsc_set_hz(&tsc, TICKS_PER_NS * 1000000000ull);
}

static uint64_t ns(uint64_t v)
{
	return v * TICKS_PER_NS;
}

/* Readings with these gaps between them, in ns. */
static void feed(struct kbp_noise *n, const uint64_t *gap_ns, size_t count)
{
	uint64_t at[32] = { ns(1000000) };

	assert_true(count < 32);
	for (size_t i = 0; i < count; i++)
		at[i + 1] = at[i] + ns(gap_ns[i]);
	kbp_noise_feed(n, &tsc, at, count + 1);
}

static uint64_t in_buckets(const struct kbp_noise *n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < KBP_ARRAY_SIZE(n->bucket); i++)
		sum += n->bucket[i];
	return sum;
}

static void readings_close_together_are_no_gaps(void **state)
{
	static const uint64_t gaps[] = { 10, 20, 990, 10 };
	struct kbp_noise n = { 0 };

	(void)state;
	feed(&n, gaps, 4);
	assert_int_equal(n.gaps, 0);
	assert_int_equal(n.lost_ns, 0);
	assert_int_equal(n.max_ns, 0);
	assert_in_range(n.spun_ns, 1029, 1031);
}

static void each_gap_is_in_the_bucket_of_its_power_of_two(void **state)
{
	static const uint64_t gaps[] = { 1010, 1100, 2040, 2060, 10, 400000, 400000 };
	struct kbp_noise n = { 0 };

	(void)state;
	feed(&n, gaps, 7);
	assert_int_equal(n.gaps, 6);
	assert_int_equal(n.bucket[0], 3); /* from 1000 to below 2048 */
	assert_int_equal(n.bucket[1], 1);
	assert_int_equal(n.bucket[8], 2); /* 262,144 to below 524,288 */
	assert_int_equal(in_buckets(&n), n.gaps);
	assert_in_range(n.max_ns, 399999, 400001);
	assert_in_range(n.lost_ns, 1010 + 1100 + 2040 + 2060 + 800000 - 6,
			1010 + 1100 + 2040 + 2060 + 800000 + 6);
}

static void a_gap_beyond_all_buckets_is_in_the_last_one(void **state)
{
	static const uint64_t gaps[] = { 3600000000000ull };
	struct kbp_noise n = { 0 };

	(void)state;
	feed(&n, gaps, 1);
	assert_int_equal(n.bucket[23], 1);
	assert_int_equal(in_buckets(&n), 1);
}

static void a_reading_behind_its_predecessor_is_no_gap(void **state)
{
	const uint64_t at[] = { ns(5000), ns(4000), ns(4010), ns(5020) };
	struct kbp_noise n = { 0 };

	(void)state;
	kbp_noise_feed(&n, &tsc, at, 4);
	assert_int_equal(n.gaps, 1);
	assert_in_range(n.max_ns, 1009, 1011);
}

static void rounds_add_up(void **state)
{
	static const uint64_t first[] = { 5000, 10 }, second[] = { 3000, 10 };
	struct kbp_noise n = { 0 };

	(void)state;
	feed(&n, first, 2);
	feed(&n, second, 2);
	assert_int_equal(n.gaps, 2);
	assert_in_range(n.max_ns, 4999, 5001);
	assert_in_range(n.spun_ns, 8016, 8024);
}

/* ---------------------------------------------------------------- notes */

static void noise_that_reaches_the_tail_is_noted(void **state)
{
	struct kbp_results res = { .n_noise = 1 };

	(void)state;
	res.noise[0] = (struct kbp_noise){ .cpu = 3,
					   .role = "rx",
					   .spun_ns = 1000000000,
					   .gaps = 1,
					   .lost_ns = 19000000,
					   .max_ns = 412000 };
	kbp_noise_notes(&res, 1000000000);
	assert_int_equal(res.n_findings, 1);
	assert_string_equal(res.finding[0].code, "host_noise");
	assert_true(res.finding[0].note);
	assert_non_null(strstr(res.finding[0].text, "CPU 3 (receiver)"));
	assert_non_null(strstr(res.finding[0].text, "1.9 %"));
	free(res.finding);
}

static void a_quiet_host_gets_no_note(void **state)
{
	struct kbp_results res = { .n_noise = 1 };

	(void)state;
	res.noise[0] = (struct kbp_noise){ .role = "tx",
					   .spun_ns = 1000000000,
					   .gaps = 9,
					   .lost_ns = 90000,
					   .max_ns = 12000 };
	kbp_noise_notes(&res, 1000000000);
	assert_int_equal(res.n_findings, 0);
}

static void steal_is_noted_where_it_is_known(void **state)
{
	struct kbp_results res = { .n_noise = 2 };

	(void)state;
	res.noise[0] = (struct kbp_noise){ .role = "rx", .spun_ns = 1, .steal_ns = 20000000 };
	res.noise[1] =
		(struct kbp_noise){ .role = "tx", .spun_ns = 1, .steal_ns = KBP_NOISE_STEAL_UNKNOWN };
	kbp_noise_notes(&res, 1000000000);
	assert_int_equal(res.n_findings, 1);
	assert_string_equal(res.finding[0].code, "steal");
	free(res.finding);
}

/* ---------------------------------------------------------------- JSON */

static char dir[64];

/* Results with this noise, written and read back; NULL and *err when reading refuses. */
static struct kbp_results *there_and_back(const struct kbp_noise *noise, uint32_t n,
					  struct kbp_error *err)
{
	struct kbp_results *out = calloc(1, sizeof(*out)), *back = NULL;
	char cmd[96];

	assert_non_null(out);
	strcpy(dir, "/tmp/kbp-noise-XXXXXX");
	assert_non_null(mkdtemp(dir));
	if (n)
		memcpy(out->noise, noise, n * sizeof(*noise));
	out->n_noise = n;
	assert_int_equal(kbp_results_save(out, dir, err), 0);
	kbp_results_load(dir, &back, err);
	kbp_results_free(out);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
	return back;
}

static void noise_reads_back_as_it_was_written(void **state)
{
	struct kbp_noise n[2] = {
		{ .cpu = 1,
		  .role = "rx",
		  .spun_ns = 500,
		  .gaps = 3,
		  .lost_ns = 90,
		  .max_ns = 40,
		  .bucket = { 2, 0, 1 },
		  .steal_ns = 7 },
		{ .cpu = 0, .role = "tx", .spun_ns = 5, .steal_ns = KBP_NOISE_STEAL_UNKNOWN }
	};
	struct kbp_error err = { 0 };
	struct kbp_results *back = there_and_back(n, 2, &err);

	(void)state;
	assert_non_null(back);
	assert_int_equal(back->n_noise, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(back->noise[i].cpu, n[i].cpu);
		assert_string_equal(back->noise[i].role, n[i].role);
		assert_int_equal(back->noise[i].spun_ns, n[i].spun_ns);
		assert_int_equal(back->noise[i].gaps, n[i].gaps);
		assert_int_equal(back->noise[i].lost_ns, n[i].lost_ns);
		assert_int_equal(back->noise[i].max_ns, n[i].max_ns);
		assert_int_equal(back->noise[i].steal_ns, n[i].steal_ns);
		assert_memory_equal(back->noise[i].bucket, n[i].bucket, sizeof(n[i].bucket));
	}
	kbp_results_free(back);
}

static void results_without_noise_read_back_without(void **state)
{
	struct kbp_error err = { 0 };
	struct kbp_results *back = there_and_back(NULL, 0, &err);

	(void)state;
	assert_non_null(back);
	assert_int_equal(back->n_noise, 0);
	kbp_results_free(back);
}

static void noise_that_contradicts_itself_is_named_by_its_place(void **state)
{
	const struct kbp_noise wrong = { .role = "rx",
					 .spun_ns = 500,
					 .gaps = 3,
					 .lost_ns = 90,
					 .max_ns = 40,
					 .bucket = { 1 } };
	struct kbp_error err = { 0 };

	(void)state;
	assert_null(there_and_back(&wrong, 1, &err));
	assert_non_null(strstr(err.hint, "noise[0].gaps, buckets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings_close_together_are_no_gaps),
		cmocka_unit_test(each_gap_is_in_the_bucket_of_its_power_of_two),
		cmocka_unit_test(a_gap_beyond_all_buckets_is_in_the_last_one),
		cmocka_unit_test(a_reading_behind_its_predecessor_is_no_gap),
		cmocka_unit_test(rounds_add_up),
		cmocka_unit_test(noise_that_reaches_the_tail_is_noted),
		cmocka_unit_test(a_quiet_host_gets_no_note),
		cmocka_unit_test(steal_is_noted_where_it_is_known),
		cmocka_unit_test(noise_reads_back_as_it_was_written),
		cmocka_unit_test(results_without_noise_read_back_without),
		cmocka_unit_test(noise_that_contradicts_itself_is_named_by_its_place),
	};

	return cmocka_run_group_tests(tests, clock_make, NULL);
}
