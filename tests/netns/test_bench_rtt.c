/* SPDX-License-Identifier: BSD-2-Clause */
/* Closed loops and sweeps on labs: every backend answers by itself, accounts close, each rate has results of its
 * own. Nothing here depends on speed. */
#include "tests/lib/test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/measure/parts.h"

static const char *const names[] = {
	"socket",	  "af_xdp",
#ifdef HAVE_DPDK
	"dpdk:af_packet", "dpdk:af_xdp", "dpdk:memif",
#endif
	"ef_vi_sim",
};

static char dir[64];

static struct kbp_bench_opts loop(void)
{
	struct kbp_bench_opts o = KBP_BENCH_OPTS_INIT;

	o.rtt = true;
	o.seconds = 0.6;
	o.rounds = 2;
	o.backends = "socket,af_xdp,ef_vi_sim";
	return o;
}

static struct kbp_results *bench(const struct kbp_bench_opts *o)
{
	struct kbp_error err = { 0 };
	struct kbp_results *res = NULL;

	if (kbp_bench_run(o, NULL, NULL, &res, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return res;
}

static uint64_t drop(const struct kbp_result_run *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_drops; i++)
		if (!strcmp(r->drop[i].name, name))
			return r->drop[i].value;
	return 0;
}

static void assert_is_loop(const struct kbp_result_run *r)
{
	uint64_t samples = 0;

	assert_string_equal(r->kind, "rtt");
	assert_true(r->sent > 0);
	assert_true(r->delivered > 0);
	assert_int_equal(r->sent, r->delivered + drop(r, "rtt_timeout"));
	assert_int_equal(r->unattributed + r->over_attributed + r->foreign + r->out_of_order, 0);
	assert_string_equal(r->proof, "proven");
	assert_string_equal(r->digest, "");
	assert_int_equal(r->n_rounds, 2);
	for (uint32_t i = 0; i < r->n_rounds; i++)
		samples += r->round[i].samples;
	assert_int_equal(samples, r->delivered);
	assert_true(r->latency.samples > 0);
	assert_int_equal(r->tx.samples, r->latency.samples);
	/* sending is a part of the round trip */
	assert_true(r->tx.p50_ns > 0);
	assert_true(r->latency.p50_ns > r->tx.min_ns);
	assert_int_equal(r->lateness.samples, 0);
}

static void every_backend_answers_and_is_answered(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_results *res;

	(void)state;
	o.backends = NULL;
	res = bench(&o);
	assert_int_equal(res->n_runs, KBP_ARRAY_SIZE(names));
	for (uint32_t i = 0; i < res->n_runs; i++) {
		assert_string_equal(res->run[i].backend, names[i]);
		assert_is_loop(&res->run[i]);
	}
	assert_string_equal(kbp_results_fact(res, "kind"), "rtt");
	assert_string_equal(kbp_results_fact(res, "frame_bytes"), "60");
	kbp_results_free(res);
}

static void frames_up_to_the_longest_go_round(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_results *res;

	(void)state;
	o.frame_bytes = 1514;
	res = bench(&o);
	for (uint32_t i = 0; i < res->n_runs; i++)
		assert_is_loop(&res->run[i]);
	kbp_results_free(res);
}

static void a_rate_bounds_the_loop(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_results *res;

	(void)state;
	o.rate_pps = 100;
	o.backends = "socket,af_xdp";
	res = bench(&o);
	for (uint32_t i = 0; i < res->n_runs; i++) {
		assert_is_loop(&res->run[i]);
		assert_true(res->run[i].sent <= 62); /* 0.6 s, and the first of each round */
	}
	kbp_results_free(res);
}

static off_t size_of(const char *file)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return stat(path, &st) ? -1 : st.st_size;
}

static const struct kbp_result_run *run_of(const struct kbp_results *res, const char *backend,
					   uint64_t rate_pps)
{
	for (uint32_t i = 0; i < res->n_runs; i++)
		if (!strcmp(res->run[i].backend, backend) && res->run[i].rate_pps == rate_pps)
			return &res->run[i];
	fail_msg("no run of %s at %llu", backend, (unsigned long long)rate_pps);
	return NULL;
}

static void round_trips_and_their_sending_parts_are_kept_and_read_back(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_results *res, *back;
	struct kbp_error err;

	(void)state;
	o.backends = "socket";
	o.out_dir = dir;
	res = bench(&o);
	assert_string_equal(res->run[0].tx_file, "samples/socket.tx.u32");
	assert_int_equal(size_of(res->run[0].samples_file), 4 * res->run[0].delivered);
	assert_int_equal(size_of(res->run[0].tx_file), 4 * res->run[0].delivered);
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	assert_string_equal(back->run[0].kind, "rtt");
	assert_memory_equal(&back->run[0].tx, &res->run[0].tx, sizeof(back->run[0].tx));
	assert_string_equal(back->run[0].tx_file, res->run[0].tx_file);
	kbp_results_free(back);
	kbp_results_free(res);
}

static void a_sweep_has_a_run_with_files_of_its_own_for_each_backend_and_rate(void **state)
{
	static const uint64_t rates[] = { 100, 3000 };
	static const char *const both[] = { "socket", "af_xdp" };
	struct kbp_bench_opts o = loop();
	struct kbp_results *res, *back;
	struct kbp_error err;

	(void)state;
	o.rtt = false;
	o.timing = KBP_TIMING_CONSTANT;
	o.rates = rates;
	o.n_rates = 2;
	o.seconds = 1;
	o.backends = "socket,af_xdp";
	o.out_dir = dir;
	res = bench(&o);
	assert_int_equal(res->n_runs, 4);
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	for (int i = 0; i < 4; i++) {
		const struct kbp_result_run *r = run_of(res, both[i % 2], rates[i / 2]);
		char file[96];

		assert_string_equal(r->kind, "one_way");
		assert_int_equal(r->scheduled, rates[i / 2]);
		assert_int_equal(r->sent,
				 r->delivered + r->unattributed + drop(r, "xdp_rx_ring_full"));
		snprintf(file, sizeof(file), "samples/%s@%llu.u32", r->backend,
			 (unsigned long long)r->rate_pps);
		assert_string_equal(r->samples_file, file);
		assert_int_equal(size_of(file), 4 * (r->delivered - r->ambiguous));
		assert_int_equal(run_of(back, both[i % 2], rates[i / 2])->delivered, r->delivered);
	}
	/* 80 samples tell a median, and no P99 */
	assert_true(kbp_latency_known(&run_of(res, "socket", 100)->latency, 500));
	assert_false(kbp_latency_known(&run_of(res, "socket", 100)->latency, 990));
	assert_string_equal(kbp_results_fact(res, "rates"), "100,3000");
	kbp_results_free(back);
	kbp_results_free(res);
}

static void no_verdict_is_between_two_rates(void **state)
{
	static const uint64_t rates[] = { 500, 1000 };
	struct kbp_bench_opts o = loop();
	struct kbp_results *res;

	(void)state;
	o.rates = rates;
	o.n_rates = 2;
	o.backends = "socket,af_xdp";
	res = bench(&o);
	assert_int_equal(res->n_runs, 4);
	assert_true(res->n_verdicts > 0);
	for (uint32_t i = 0; i < res->n_verdicts; i++) {
		assert_true(res->verdict[i].rate_pps == 500 || res->verdict[i].rate_pps == 1000);
		assert_string_not_equal(res->verdict[i].a, res->verdict[i].b);
		assert_string_not_equal(res->verdict[i].kind, "one_way");
	}
	kbp_results_free(res);
}

static void bursts_are_played_and_described(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_results *res;
	bool noted = false;

	(void)state;
	o.rtt = false;
	o.timing = KBP_TIMING_BURSTS;
	o.burst_gap_ns = 20000;
	o.backends = "socket";
	res = bench(&o);
	assert_int_equal(res->run[0].sent, res->run[0].scheduled);
	assert_string_equal(kbp_results_fact(res, "timing"), "bursts");
	assert_string_equal(kbp_results_fact(res, "burst_gap_ns"), "20000");
	for (uint32_t i = 0; i < res->n_findings; i++)
		noted = noted || !strcmp(res->finding[i].code, "burst_place");
	assert_true(noted);
	assert_true(strtoull(kbp_results_fact(res, "bursts"), NULL, 10) > 0);
	assert_true(strtoull(kbp_results_fact(res, "memory_bytes"), NULL, 10) > 1000);
	kbp_results_free(res);
}

static bool watch(const struct kbp_bench_progress *p, void *arg)
{
	if (!strcmp(p->doing, "sending") && p->sent)
		__atomic_store_n((uint32_t *)arg, 1, __ATOMIC_RELEASE);
	return true;
}

static void a_killed_echo_process_is_said_to_be_gone(void **state)
{
	struct kbp_bench_opts o = loop();
	struct kbp_error *err = mmap(NULL, sizeof(*err) + 64, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *sending = (uint32_t *)(void *)(err + 1);
	struct timespec ms = { .tv_nsec = 1000000 };
	char cmd[128];
	pid_t pid;
	int status;

	(void)state;
	assert_true(err != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct kbp_results *res;

		o.seconds = 120;
		o.rate_pps = 1000;
		o.rounds = 1;
		o.backends = "socket";
		_exit(-kbp_bench_run(&o, watch, sending, &res, err));
	}
	while (!__atomic_load_n(sending, __ATOMIC_ACQUIRE))
		nanosleep(&ms, NULL);
	/* it was started first */
	snprintf(cmd, sizeof(cmd), "kill -9 $(ps -o pid= --ppid %d | head -n 1)", pid);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EIO);
	assert_non_null(strstr(err->step, "echo process"));
	assert_non_null(strstr(err->step, "signal 9"));
	munmap(err, sizeof(*err) + 64);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kbp-rtt-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[80];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_backend_answers_and_is_answered),
		T(frames_up_to_the_longest_go_round),
		T(a_rate_bounds_the_loop),
		T(round_trips_and_their_sending_parts_are_kept_and_read_back),
		T(a_sweep_has_a_run_with_files_of_its_own_for_each_backend_and_rate),
		T(no_verdict_is_between_two_rates),
		T(bursts_are_played_and_described),
		T(a_killed_echo_process_is_said_to_be_gone),
	};
	cpu_set_t set;

	if (geteuid() != 0) {
		printf("skipped: a lab needs root\n");
		return TEST_SKIP;
	}
	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 2) {
		printf("skipped: a bench needs two CPUs\n");
		return TEST_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
