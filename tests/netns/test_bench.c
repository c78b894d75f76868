/* SPDX-License-Identifier: BSD-2-Clause */
/* The bench on labs: accounts close, every byte arrives, results are kept. Nothing here depends on
 * speed: rounds that must be lossless are smaller than the receive rings. */
#include "tests/lib/test.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/capture_craft.h"
#include "tools/measure/parts.h"

static char dir[64];

static struct kbp_bench_opts small(void)
{
	struct kbp_bench_opts o = KBP_BENCH_OPTS_INIT;

	o.timing = KBP_TIMING_CONSTANT;
	o.rate_pps = 2000;
	o.seconds = 1;
	o.rounds = 2;
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

static const struct kbp_finding *finding(const struct kbp_results *res, const char *code)
{
	for (uint32_t i = 0; i < res->n_findings; i++) {
		if (!strcmp(res->finding[i].code, code))
			return &res->finding[i];
	}
	return NULL;
}

static uint64_t drops(const struct kbp_result_run *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n_drops; i++)
		sum += r->drop[i].value;
	return sum;
}

static void assert_whole(const struct kbp_result_run *r, uint64_t frames)
{
	assert_int_equal(r->scheduled, frames);
	assert_int_equal(r->sent, frames);
	assert_int_equal(r->delivered, frames);
	assert_int_equal(drops(r), 0);
	assert_int_equal(r->unattributed + r->over_attributed + r->foreign + r->out_of_order +
				 r->ambiguous,
			 0);
	assert_string_equal(r->digest, r->digest_expected);
}

static void both_backends_deliver_every_byte_in_order_and_alike(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;

	(void)state;
	o.flows = 3;
	res = bench(&o);
	assert_int_equal(res->n_runs, 2);
	assert_string_equal(res->run[0].backend, "socket");
	assert_string_equal(res->run[1].backend, "af_xdp");
	for (int i = 0; i < 2; i++) {
		assert_whole(&res->run[i], 2000);
		assert_string_equal(res->run[i].proof, "proven");
		assert_true(res->run[i].virtual_device);
		assert_int_equal(res->run[i].n_rounds, 2);
		assert_int_equal(res->run[i].latency.samples,
				 1800); /* a tenth of each round is warm-up */
	}
	assert_string_equal(res->run[0].digest, res->run[1].digest);
	kbp_results_free(res);
}

static void the_order_of_the_backends_rotates(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res = bench(&o);

	(void)state;
	assert_int_equal(res->run[0].round[0].position, 0);
	assert_int_equal(res->run[1].round[0].position, 1);
	assert_int_equal(res->run[0].round[1].position, 1);
	assert_int_equal(res->run[1].round[1].position, 0);
	kbp_results_free(res);
}

static void every_mode_that_veth_has_is_achieved_when_asked_for(void **state)
{
	static const struct {
		enum kbp_mode mode;
		const char *name;
	} modes[] = { { KBP_MODE_COPY, "copy" }, { KBP_MODE_GENERIC, "generic" } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct kbp_bench_opts o = small();
		struct kbp_results *res;

		o.backends = "af_xdp";
		o.mode = modes[i].mode;
		o.strict = true;
		o.rounds = 1;
		o.seconds = 0.5;
		res = bench(&o);
		assert_int_equal(res->n_runs, 1);
		assert_string_equal(res->run[0].mode, modes[i].name);
		assert_whole(&res->run[0], 1000);
		kbp_results_free(res);
	}
}

static void an_overloaded_receiver_loses_nine_in_ten_and_every_loss_has_a_name(void **state)
{
	static const enum kbp_mode modes[] = { KBP_MODE_COPY, KBP_MODE_GENERIC };

	(void)state;
	for (int m = 0; m < 2; m++) {
		struct kbp_bench_opts o = small();
		struct kbp_results *res;

		o.mode = modes[m];
		o.rate_pps = 20000;
		o.rounds = 1;
		o.handler_delay_ns = 5000000;
		o.rx_ring = 64;
		o.rcvbuf_bytes = 65536;
		res = bench(&o);
		assert_int_equal(res->n_runs, 2);
		for (int i = 0; i < 2; i++) {
			const struct kbp_result_run *r = &res->run[i];

			assert_true(r->sent > 0);
			assert_true(r->delivered * 10 <= r->sent);
			assert_int_equal(r->sent, r->delivered + drops(r));
			assert_int_equal(r->unattributed, 0);
			assert_int_equal(r->over_attributed, 0);
			assert_int_equal(r->foreign + r->out_of_order, 0);
		}
		assert_non_null(finding(res, "loss"));
		kbp_results_free(res);
	}
}

/* 100 frames of different lengths to a group, tagged when asked; `cut` bytes missing at the end. */
static int capture(char path[64], unsigned what, size_t cut)
{
	static struct craft c;
	uint8_t frame[256], payload[128];

	memset(&c, 0, sizeof(c));
	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t n;

		memset(payload, (int)i, sizeof(payload));
		n = craft_frame(frame, what | CRAFT_BAD_SUMS, 5000, payload, 20 + i);
		craft_record(&c, 1, i * 100, frame, n, n);
	}
	c.len -= cut;
	return craft_path(&c, path);
}

static void a_capture_is_replayed_round_and_round(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	char path[64];
	int fd = capture(path, CRAFT_GROUP, 0);

	(void)state;
	o.capture = path;
	o.rounds = 3; /* 666 or 667 frames: rounds begin inside the capture */
	res = bench(&o);
	for (int i = 0; i < 2; i++)
		assert_whole(&res->run[i], 2000);
	assert_string_equal(res->run[0].digest, res->run[1].digest);
	kbp_results_free(res);
	close(fd);
}

static void a_unicast_capture_is_addressed_to_the_receiver(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	char path[64];
	int fd = capture(path, 0, 0);

	(void)state;
	o.capture = path;
	res = bench(&o);
	for (int i = 0; i < 2; i++)
		assert_whole(&res->run[i], 2000);
	kbp_results_free(res);
	close(fd);
}

static void a_capture_that_ends_in_mid_record_is_reported_and_the_rest_replayed(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	const struct kbp_finding *f;
	char path[64];
	int fd = capture(path, CRAFT_GROUP, 10);

	(void)state;
	o.capture = path;
	res = bench(&o);
	f = finding(res, "capture_damaged");
	assert_non_null(f);
	assert_true(f->note);
	assert_non_null(strstr(f->text, "record 100 "));
	assert_whole(&res->run[0], 2000);
	kbp_results_free(res);
	close(fd);
}

static void a_backend_that_cannot_carry_the_frames_is_left_out_with_the_reason(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	char path[64];
	int fd = capture(path, CRAFT_GROUP | CRAFT_VLAN, 0);

	(void)state;
	o.capture = path; /* VLAN tags: sockets cannot ask for one */
	res = bench(&o);
	assert_int_equal(res->n_runs, 1);
	assert_string_equal(res->run[0].backend, "af_xdp");
	assert_whole(&res->run[0], 2000);
	assert_non_null(finding(res, "unavailable"));
	assert_string_equal(finding(res, "unavailable")->backend, "socket");
	kbp_results_free(res);
	close(fd);
}

static void frames_larger_than_a_buffer_arrive_whole(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;

	(void)state;
	o.frame_bytes = 9000;
	o.rate_pps = 400;
	res = bench(&o);
	for (uint32_t i = 0; i < res->n_runs; i++)
		assert_whole(&res->run[i], 400);
	assert_int_equal(res->n_runs, 2);
	kbp_results_free(res);
}

static void given_interfaces_are_used_and_left_as_they_are(void **state)
{
	struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
	struct kbp_bench_opts o = small();
	struct kbp_lab_info lab;
	struct kbp_results *res;
	struct kbp_error err;

	(void)state;
	l.flags = KBP_LAB_EPHEMERAL;
	l.prefix = "kbt";
	assert_int_equal(kbp_lab_up(&l, &lab, &err), 0);
	o.rx_ifname = lab.host[KBP_LAB_RX].ifname;
	o.rx_netns = lab.host[KBP_LAB_RX].netns;
	o.tx_ifname = lab.host[KBP_LAB_TX].ifname;
	o.tx_netns = lab.host[KBP_LAB_TX].netns;
	res = bench(&o);
	for (int i = 0; i < 2; i++)
		assert_whole(&res->run[i], 2000);
	assert_string_equal(kbp_results_fact(res, "lab"), "false");
	assert_string_equal(kbp_results_fact(res, "rx_interface"), lab.host[KBP_LAB_RX].ifname);
	kbp_results_free(res);
	assert_int_equal(kbp_lab_find(lab.prefix, &lab, &err), 0);
	assert_int_equal(kbp_lab_down(lab.prefix, &err), 1);
}

static void results_and_every_sample_are_on_disk(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res, *back;
	struct kbp_error err;
	struct stat st;
	char path[160], *a, *b;

	(void)state;
	o.out_dir = dir;
	res = bench(&o);
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	a = kbp_results_json(res);
	b = kbp_results_json(back);
	assert_string_equal(a, b);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, back->run[i].samples_file);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 2000 * 4);
	}
	free(a);
	free(b);
	kbp_results_free(res);
	kbp_results_free(back);
	kbp_results_free(bench(&o)); /* our own results may be replaced */
}

static bool stop_at_once(const struct kbp_bench_progress *p, void *arg)
{
	if (!strcmp(p->doing, "sending"))
		*(bool *)arg = true;
	return strcmp(p->doing, "sending") != 0;
}

static void a_bench_that_is_stopped_ends_with_nothing_left(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	struct kbp_lab_info lab;
	struct kbp_error err;
	bool seen = false;
	char prefix[16];

	(void)state;
	o.seconds = 20;
	o.rounds = 1;
	assert_int_equal(kbp_bench_run(&o, stop_at_once, &seen, &res, &err), -ECANCELED);
	assert_null(res);
	assert_true(seen);
	snprintf(prefix, sizeof(prefix), "kbp%d", getpid());
	assert_int_equal(kbp_lab_find(prefix, &lab, &err), -ENOENT);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kbp-bench-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_backends_deliver_every_byte_in_order_and_alike),
		cmocka_unit_test(the_order_of_the_backends_rotates),
		cmocka_unit_test(every_mode_that_veth_has_is_achieved_when_asked_for),
		cmocka_unit_test(an_overloaded_receiver_loses_nine_in_ten_and_every_loss_has_a_name),
		cmocka_unit_test(a_capture_is_replayed_round_and_round),
		cmocka_unit_test(a_unicast_capture_is_addressed_to_the_receiver),
		cmocka_unit_test(a_capture_that_ends_in_mid_record_is_reported_and_the_rest_replayed),
		cmocka_unit_test(a_backend_that_cannot_carry_the_frames_is_left_out_with_the_reason),
		cmocka_unit_test(frames_larger_than_a_buffer_arrive_whole),
		cmocka_unit_test(given_interfaces_are_used_and_left_as_they_are),
		cmocka_unit_test_setup_teardown(results_and_every_sample_are_on_disk, make_dir,
						remove_dir),
		cmocka_unit_test(a_bench_that_is_stopped_ends_with_nothing_left),
	};
	struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
	struct kbp_lab_info lab;
	struct kbp_error err;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 2) {
		printf("skipped: a bench needs two CPUs\n");
		return TEST_SKIP;
	}
	l.flags = KBP_LAB_EPHEMERAL;
	if (kbp_lab_up(&l, &lab, &err)) {
		printf("skipped: %s: %s\n", err.step, err.hint);
		return TEST_SKIP;
	}
	kbp_lab_down(lab.prefix, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
