/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends at rates: who is at its turn, what files are called, how much is kept, and what makes no sense. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "tools/measure/parts.h"
#include "tools/measure/record.h"

static struct kbp_bench b;
static struct kbp_results results;
static struct kbp_error err;

static int setup(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	memset(&results, 0, sizeof(results));
	memset(&err, 0, sizeof(err));
	b.res = &results;
	b.o.timing = KBP_TIMING_CONSTANT;
	b.o.seconds = 2;
	b.o.rounds = 4;
	b.n_backends = 3;
	b.n_rates = 1;
	return 0;
}

static void every_subject_has_one_turn_a_round_and_those_of_a_rate_follow_each_other(void **state)
{
	(void)state;
	b.n_rates = 2;
	b.n_subjects = 6;
	for (uint32_t round = 0; round < 7; round++) {
		bool seen[6] = { false };

		for (uint32_t i = 0; i < 6; i++) {
			uint32_t s = kbp_sweep_subject(&b, round, i);

			assert_in_range(s, 0, 5);
			assert_false(seen[s]);
			seen[s] = true;
			assert_int_equal(s / 3, kbp_sweep_subject(&b, round, i / 3 * 3) / 3);
		}
	}
}

static void backends_and_rates_both_move_on_from_round_to_round(void **state)
{
	(void)state;
	b.n_rates = 2;
	b.n_subjects = 6;
	assert_int_equal(kbp_sweep_subject(&b, 0, 0), 0); /* backend 0 at rate 0 */
	assert_int_equal(kbp_sweep_subject(&b, 1, 0), 4); /* backend 1 at rate 1 */
	assert_int_equal(kbp_sweep_subject(&b, 2, 0), 2); /* backend 2 at rate 0 */
}

static void without_a_sweep_the_order_is_that_of_the_list_rotated(void **state)
{
	(void)state;
	b.n_subjects = 3;
	for (uint32_t round = 0; round < 4; round++)
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(kbp_sweep_subject(&b, round, i), (i + round) % 3);
}

static void files_of_samples_are_named_with_the_rate(void **state)
{
	struct kbp_result_run run = { .backend = "dpdk:af_xdp+18" };
	char file[96];

	(void)state;
	kbp_sweep_file(&run, NULL, file, sizeof(file));
	assert_string_equal(file, "samples/dpdk:af_xdp+18.u32");
	run.rate_pps = 10000;
	kbp_sweep_file(&run, NULL, file, sizeof(file));
	assert_string_equal(file, "samples/dpdk:af_xdp+18@10000.u32");
	kbp_sweep_file(&run, "tx", file, sizeof(file));
	assert_string_equal(file, "samples/dpdk:af_xdp+18@10000.tx.u32");
}

static void findings_of_a_sweep_say_at_which_rate(void **state)
{
	struct kbp_result_run run = { .backend = "socket", .rate_pps = 700 };

	(void)state;
	kbp_finding_add(&results, true, "loss", "socket", "before");
	kbp_finding_add(&results, true, "loss", "socket", "some were lost");
	kbp_sweep_findings(&results, 1, &run);
	assert_string_equal(results.finding[0].text, "before");
	assert_string_equal(results.finding[1].text, "some were lost (at 700 a second)");
	free(results.finding);
}

static void refused(int rc, const char *says)
{
	assert_int_equal(rc, -EINVAL);
	if (!strstr(err.hint, says))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, says);
}

static void rates_without_sense_are_refused_by_name(void **state)
{
	static const uint64_t twice[] = { 100, 200, 100 }, none[] = { 100, 0 };

	(void)state;
	b.o.rates = twice;
	b.o.n_rates = 3;
	refused(kbp_sweep_check(&b, &err), "100 stands there twice");
	b.o.rates = none;
	b.o.n_rates = 2;
	refused(kbp_sweep_check(&b, &err), "rate of 0");
	b.o.rates = twice;
	b.o.rate_pps = 5;
	refused(kbp_sweep_check(&b, &err), "contradict");
	b.o.rate_pps = 0;
	b.o.timing = KBP_TIMING_BURSTS;
	refused(kbp_sweep_check(&b, &err), "bursts");
	b.o.n_rates = KBP_BENCH_RATES_MAX + 1;
	refused(kbp_sweep_check(&b, &err), "at most 8");
}

static void what_a_closed_loop_does_not_go_with_is_refused_by_name(void **state)
{
	(void)state;
	b.o.capture = "x.pcap";
	refused(kbp_pingpong_check(&b, &err), "rtt and capture");
	b.o.capture = NULL;
	b.o.feed = "itch";
	refused(kbp_pingpong_check(&b, &err), "rtt and feed");
	b.o.feed = NULL;
	b.o.stamps = true;
	refused(kbp_pingpong_check(&b, &err), "receive stamps");
	b.o.stamps = false;
	b.o.explain = true;
	refused(kbp_pingpong_check(&b, &err), "explain");
	b.o.explain = false;
	b.o.handler_delay_ns = 1;
	refused(kbp_pingpong_check(&b, &err), "handler delay");
	b.o.handler_delay_ns = 0;
	b.o.timing = KBP_TIMING_BURSTS;
	refused(kbp_pingpong_check(&b, &err), "bursts");
	b.o.timing = KBP_TIMING_POISSON;
	refused(kbp_pingpong_check(&b, &err), "Poisson");
	b.o.timing = KBP_TIMING_CONSTANT;
	b.o.frame_bytes = 59;
	refused(kbp_pingpong_check(&b, &err), "60 to 1514");
	b.o.frame_bytes = 0;
	assert_int_equal(kbp_pingpong_check(&b, &err), 0);
	assert_int_equal(b.o.frame_bytes, 60);
}

static void a_loop_between_two_interfaces_of_one_host_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		b.net.host[i].ip4 = (struct kbp_addr){ .family = AF_INET, .bytes = { 10, 0, 0, 1 } };
	strcpy(b.net.host[0].ifname, "eth1");
	strcpy(b.net.host[1].ifname, "eth2");
	b.loopback = true;
	b.o.frame_bytes = 60;
	refused(kbp_pingpong_schedule(&b, &err), "one network namespace");
	b.net.host[1].ip4.family = 0;
	assert_int_equal(kbp_pingpong_schedule(&b, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.hint, "eth2"));
}

static void a_loop_keeps_no_more_than_its_rate_allows(void **state)
{
	(void)state;
	assert_in_range(kbp_pingpong_room(&b, 100), 50, 80); /* half a second a round */
	assert_in_range(kbp_pingpong_room(&b, 0), 400000, KBP_BENCH_ROUND_MAX);
	b.o.seconds = 86400;
	assert_int_equal(kbp_pingpong_room(&b, 0), KBP_BENCH_ROUND_MAX);
}

/* ---------------------------------------------------------------- bursts */

static void a_frame_after_a_silence_begins_a_burst(void **state)
{
	const struct kbp_seen sent[] = { { .ticks = 5000 },
					 { .ticks = 5999 },
					 { .ticks = 6998 },
					 { .ticks = 7999 } };

	(void)state;
	assert_int_equal(kbp_tsc_set_hz(&b.tsc, 1000000000), 0);
	b.o.burst_gap_ns = 1001;
	for (uint32_t i = 0; i < 4;
	     i++) /* the last one is 1001 behind, of which rounding may take one */
		assert_int_equal(kbp_burst_begins(&b, sent, i), i == 0 || i == 3);
}

static void first_frames_of_bursts_are_told_from_the_others_without_warm_up(void **state)
{
	uint32_t ns[] = { 900, 1, 50, 2, 3, 800, 70, 4 }, first[] = { 0, 2, 5, 6 };
	struct kbp_result_round rounds[2] = { { .first_sample = 0, .samples = 5, .warmup = 1 },
					      { .first_sample = 5, .samples = 3, .warmup = 1 } };
	struct kbp_result_run run = { .round = rounds, .n_rounds = 2 };
	struct kbp_run_work w = { .latency = { ns, 8, 8 }, .burst_first = { first, 4, 4 } };
	struct kbp_latency one, two;

	(void)state;
	assert_int_equal(kbp_burst_split(&run, &w, &one, &two), 0);
	assert_int_equal(one.samples, 2);
	assert_int_equal(one.min_ns, 50);
	assert_int_equal(one.max_ns, 70);
	assert_int_equal(two.samples, 4);
	assert_int_equal(two.min_ns, 1);
	assert_int_equal(two.max_ns, 4);
}

/* ---------------------------------------------------------------- memory */

static void meminfo(const char *text, char path[32])
{
	int fd;

	strcpy(path, "/tmp/kbp-meminfo-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void what_is_kept_is_told_and_refused_where_it_is_not_there(void **state)
{
	struct kbp_schedule whole = { .n_total = 1000000, .map_len = 4096 };
	char path[32];

	(void)state;
	b.rate[0].whole = &whole;
	meminfo("MemTotal: 99999999 kB\nMemAvailable:   20000 kB\n", path);
	assert_int_equal(kbp_memory_available(path), 20000 * 1024);
	assert_int_equal(kbp_memory_announce(&b, path, &err), -ENOMEM);
	assert_non_null(strstr(err.hint, "20.5 MB are available"));
	unlink(path);
	meminfo("MemAvailable: 2000000 kB\n", path);
	assert_int_equal(kbp_memory_announce(&b, path, &err), 0);
	/* two files of samples of three backends, and the records of a round, at the least */
	assert_true(b.memory_bytes > 24000000u + 250000ull * sizeof(struct kbp_seen));
	assert_non_null(strstr(b.memory_text, "MB of records and samples"));
	unlink(path);
	assert_int_equal(kbp_memory_announce(&b, path, &err), 0); /* nobody knows: go on */
}

static void a_sweep_keeps_the_samples_of_every_rate(void **state)
{
	struct kbp_schedule whole = { .n_total = 1000000 };
	uint64_t one;

	(void)state;
	b.rate[0].whole = b.rate[1].whole = &whole;
	one = kbp_memory_needed(&b);
	b.n_rates = 2;
	assert_true(kbp_memory_needed(&b) >= one + 24000000u);
}

/* ---------------------------------------------------------------- records */

static void what_has_no_room_is_counted_and_not_kept(void **state)
{
	struct kbp_seen room[3] = { { 0 } };
	struct kbp_record r;

	(void)state;
	kbp_record_init(&r, room, 2);
	assert_false(kbp_record_wants(&r, -1));
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(kbp_record_wants(&r, 7));
		kbp_record_add(&r, 100 + i, 0, 200 + i, 300 + i, 7);
	}
	assert_int_equal(r.foreign, 1);
	assert_int_equal(r.overflow, 3);
	assert_int_equal(r.next - r.first, 2);
	assert_int_equal(room[1].ticks, 101);
	assert_int_equal(room[1].hash, 201);
	assert_int_equal(room[1].len, 301);
	assert_int_equal(room[1].flow, 7);
	assert_int_equal(room[2].ticks, 0);
}

static void a_stamp_stands_beside_its_record(void **state)
{
	struct kbp_seen room[2] = { { 0 } };
	uint64_t stamps[3] = { 0 };
	struct kbp_record r;

	(void)state;
	kbp_record_init(&r, room, 2);
	kbp_record_stamps(&r, stamps);
	for (uint32_t i = 0; i < 3; i++)
		kbp_record_add(&r, i, 50 + i, 0, 0, 0);
	assert_int_equal(stamps[0], 50);
	assert_int_equal(stamps[1], 51);
	assert_int_equal(stamps[2], 0);
	assert_int_equal(r.overflow, 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(every_subject_has_one_turn_a_round_and_those_of_a_rate_follow_each_other),
		T(backends_and_rates_both_move_on_from_round_to_round),
		T(without_a_sweep_the_order_is_that_of_the_list_rotated),
		T(files_of_samples_are_named_with_the_rate),
		T(findings_of_a_sweep_say_at_which_rate),
		T(rates_without_sense_are_refused_by_name),
		T(what_a_closed_loop_does_not_go_with_is_refused_by_name),
		T(a_loop_between_two_interfaces_of_one_host_is_refused),
		T(a_loop_keeps_no_more_than_its_rate_allows),
		T(a_frame_after_a_silence_begins_a_burst),
		T(first_frames_of_bursts_are_told_from_the_others_without_warm_up),
		T(what_is_kept_is_told_and_refused_where_it_is_not_there),
		T(a_sweep_keeps_the_samples_of_every_rate),
		T(what_has_no_room_is_counted_and_not_kept),
		T(a_stamp_stands_beside_its_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
