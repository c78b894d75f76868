/* SPDX-License-Identifier: BSD-2-Clause */
/* The bench on labs: accounts close, every byte arrives, results are kept. Nothing here depends on
 * speed: rounds that must be lossless are smaller than the receive rings. */
#include "tests/lib/test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/capture_craft.h"
#include "tools/measure/parts.h"

static char dir[64];

static const char *const all_names[] = {
	"socket",	  "af_xdp",
#ifdef HAVE_DPDK
	"dpdk:af_packet", "dpdk:af_xdp", "dpdk:memif",
#endif
	"ef_vi_sim",
};

/* What a lab is measured with when nothing is named. */
#define BACKENDS ((int)KBP_ARRAY_SIZE(all_names))
/* Where that would only take longer: one that is built in, a module, one that is emulated. */
#define SOME "socket,af_xdp,ef_vi_sim"
#define SOME_BACKENDS 3

static struct kbp_bench_opts small(void)
{
	struct kbp_bench_opts o = KBP_BENCH_OPTS_INIT;

	o.timing = KBP_TIMING_CONSTANT;
	o.rate_pps = 2000;
	o.seconds = 1;
	o.rounds = 2;
	o.backends = SOME;
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

static void every_backend_delivers_every_byte_in_order_and_alike(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;

	(void)state;
	o.flows = 3;
	o.backends = NULL;
	res = bench(&o);
	assert_int_equal(res->n_runs, BACKENDS);
	for (int i = 0; i < BACKENDS; i++) {
		assert_string_equal(res->run[i].backend, all_names[i]);
		assert_whole(&res->run[i], 2000);
		assert_string_equal(res->run[i].proof, "proven");
		assert_true(res->run[i].virtual_device);
		assert_int_equal(res->run[i].n_rounds, 2);
		assert_int_equal(res->run[i].latency.samples,
				 1600); /* a fifth of each round is warm-up */
		assert_int_equal(res->run[i].lateness.samples, 2000);
		assert_true(res->run[i].rx_ring > 0 || i == 0);
	}
	for (int i = 1; i < BACKENDS; i++)
		assert_string_equal(res->run[0].digest, res->run[i].digest);
	kbp_results_free(res);
}

static void the_order_of_the_backends_rotates(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;

	(void)state;
	res = bench(&o);
	for (uint32_t i = 0; i < SOME_BACKENDS; i++) {
		assert_int_equal(res->run[i].round[0].position, i);
		assert_int_equal(res->run[(i + 1) % SOME_BACKENDS].round[1].position, i);
	}
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
		assert_int_equal(res->n_runs, SOME_BACKENDS);
		for (int i = 0; i < SOME_BACKENDS; i++) {
			const struct kbp_result_run *r = &res->run[i];

			assert_true(r->sent > 0);
			/* the software NIC's wire has a ring of 4096 frames of its own */
			assert_true(r->delivered <= r->sent / 10 + (i == 2 ? 4096 : 0));
			assert_int_equal(r->sent, r->delivered + drops(r));
			assert_int_equal(r->unattributed, 0);
			assert_int_equal(r->over_attributed, 0);
			assert_int_equal(r->foreign + r->out_of_order, 0);
		}
		assert_non_null(finding(res, "loss"));
		assert_true(finding(res, "loss")->note); /* it was asked for */
		kbp_results_free(res);
	}
}

/* 100 frames of different lengths to a group, tagged when asked; `cut` bytes missing at the end. */
static uint32_t jump_s; /* of the capture's clock, in its middle */

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
		craft_record(&c, i < 50 ? 1 : 1 + jump_s, i * 100, frame, n, n);
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

static void a_jump_of_the_captures_clock_that_cuts_the_replay_is_pointed_out(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	const struct kbp_finding *f;
	char path[64];
	int fd;

	(void)state;
	jump_s = 1000;
	fd = capture(path, CRAFT_GROUP, 0);
	jump_s = 0;
	o.capture = path;
	o.timing = KBP_TIMING_RECORDED;
	o.rate_pps = 0;
	o.rounds = 1;
	o.backends = "socket";
	res = bench(&o);
	assert_whole(&res->run[0], 50);
	f = finding(res, "capture_gap");
	assert_non_null(f);
	assert_non_null(strstr(f->text, "50 of its 100 frames"));
	assert_non_null(strstr(f->text, "record 51 "));
	assert_string_equal(kbp_results_fact(res, "capture_mended"), "100");
	kbp_results_free(res);
	close(fd);
}

static void another_living_bench_is_noted(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_lab_entry list[256];
	struct kbp_results *res;
	int ready[2], n, status;
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
		struct kbp_lab_info lab;

		l.flags = KBP_LAB_EPHEMERAL;
		l.prefix = "kbn";
		byte = kbp_lab_up(&l, &lab, NULL) == 0;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	o.backends = "socket";
	o.rounds = 1;
	o.seconds = 0.5;
	res = bench(&o);
	assert_non_null(finding(res, "not_alone"));
	assert_true(finding(res, "not_alone")->note);
	kbp_results_free(res);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = kbp_lab_list(list, 256);
	for (int i = 0; i < n && i < 256; i++) {
		if (list[i].owner_pid == pid) {
			assert_true(list[i].leftover);
			assert_int_equal(kbp_lab_down(list[i].prefix, NULL), 1);
			pid = 0;
		}
	}
	assert_int_equal(pid, 0);
	close(ready[0]);
	close(ready[1]);
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
	o.backends = NULL; /* none is named, so none must work */
	o.capture = path;  /* VLAN tags: sockets cannot ask for one */
	res = bench(&o);
	assert_int_equal(res->n_runs, BACKENDS - 1);
	assert_string_equal(res->run[0].backend, "af_xdp");
	assert_whole(&res->run[0], 2000);
	assert_whole(&res->run[1], 2000);
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
#ifdef HAVE_DPDK /* net_af_xdp takes no more than a page */
	o.backends = SOME ",dpdk:af_packet,dpdk:memif";
#endif
	res = bench(&o);
	for (uint32_t i = 0; i < res->n_runs; i++)
		assert_whole(&res->run[i], 400);
	assert_in_range(res->n_runs, SOME_BACKENDS, BACKENDS);
	assert_null(finding(res, "unavailable"));
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

/* Whoever fires into our group while frames are sent. */
static bool intrude(const struct kbp_bench_progress *p, void *arg)
{
	char cmd[256];

	if (strcmp(p->doing, "sending") != 0 || !p->sent || *(bool *)arg)
		return true;
	snprintf(cmd, sizeof(cmd),
		 "ip netns exec kbp%d-tx python3 -c \"import socket; socket.socket(socket.AF_INET, "
		 "socket.SOCK_DGRAM).sendto(b'not ours', ('239.77.0.1', 31001))\"",
		 getpid());
	*(bool *)arg = system(cmd) == 0;
	return true;
}

static void a_foreign_payload_is_counted_and_no_part_of_the_digest(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_error err = { 0 };
	struct kbp_results *res;
	bool done = false;

	(void)state;
	o.backends = " af_xdp ";
	o.rounds = 1;
	o.rate_pps = 500; /* long enough for a slow machine to intrude */
	o.seconds = 4;
	if (kbp_bench_run(&o, intrude, &done, &res, &err))
		fail_msg("%s: %s", err.step, err.hint);
	assert_true(done);
	assert_int_equal(res->run[0].foreign, 1);
	assert_int_equal(res->run[0].delivered, res->run[0].sent);
	assert_string_equal(res->run[0].digest, res->run[0].digest_expected);
	assert_false(finding(res, "foreign")->note);
	kbp_results_free(res);
}

static void frames_that_the_device_refuses_are_a_finding(void **state)
{
	struct kbp_results res = { 0 };
	struct kbp_bench b = { .res = &res };
	struct kbp_result_run r = { .backend = "socket",
				    .scheduled = 2000,
				    .sent = 1990,
				    .send_errors = 10,
				    .delivered = 1990 };

	(void)state;
	kbp_bench_run_findings(&b, &r, ENOBUFS);
	assert_int_equal(res.n_findings, 1);
	assert_string_equal(res.finding[0].code, "send_refused");
	assert_false(res.finding[0].note);
	assert_non_null(strstr(res.finding[0].text, "10 of 2000"));
	assert_non_null(strstr(res.finding[0].text, strerror(ENOBUFS)));
	free(res.finding);
}

static void loss_and_frames_not_timed_are_findings_from_a_share_on(void **state)
{
	struct kbp_results res = { 0 };
	struct kbp_bench b = { .res = &res };
	struct kbp_result_run r = { .backend = "socket", .sent = 10000, .delivered = 9900 };

	(void)state;
	r.ambiguous = 9;
	kbp_bench_run_findings(&b, &r, 0);
	assert_true(finding(&res, "loss")->note);
	assert_null(finding(&res, "ambiguous"));
	res.n_findings = 0;
	r.delivered = 9899;
	r.ambiguous = 10;
	kbp_bench_run_findings(&b, &r, 0);
	assert_false(finding(&res, "loss")->note);
	assert_false(finding(&res, "ambiguous")->note);
	free(res.finding);
}

static void results_that_cannot_be_written_are_handed_over_all_the_same(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	struct kbp_error err = { 0 };
	char path[96];

	(void)state;
	o.backends = "socket";
	o.rounds = 1;
	o.out_dir = dir;
	snprintf(path, sizeof(path), "%s/results.json.tmp", dir);
	assert_int_equal(mkdir(path, 0700), 0); /* in the way of the file of that name */
	assert_int_equal(kbp_bench_run(&o, NULL, NULL, &res, &err), -EISDIR);
	assert_non_null(res);
	assert_whole(&res->run[0], 2000);
	kbp_results_free(res);
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

static uint32_t *samples_read(const char *file, size_t n)
{
	uint32_t *v = malloc((n + 1) * sizeof(*v));
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(v, sizeof(*v), n + 1, f), n);
	fclose(f);
	return v;
}

/* Frame by frame the parts of a latency make the whole, but for rounding and for what was clipped at 0. */
static void parts_make_the_whole(const struct kbp_result_run *r, size_t n)
{
	uint32_t *whole = samples_read(r->samples_file, n),
		 *rx = samples_read(r->stamps.rx_path_file, n),
		 *wire = samples_read(r->stamps.wire_to_stamp_file, n);
	size_t parted = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t sum = (uint64_t)rx[i] + wire[i];

		assert_int_equal(rx[i] == UINT32_MAX, wire[i] == UINT32_MAX);
		if (rx[i] == UINT32_MAX)
			continue;
		parted++;
		if (rx[i] && wire[i])
			assert_in_range(sum, whole[i] - 1, whole[i]);
		else
			assert_in_range(sum, whole[i], whole[i] + r->stamps.error_ns + 2);
	}
	assert_int_equal(parted + r->stamps.unstamped + r->stamps.voided + r->stamps.impossible, n);
	free(whole);
	free(rx);
	free(wire);
}

static void a_latency_is_parted_at_the_stamp_and_the_stamp_is_named(void **state)
{
	static const char *const source[] = { "kernel", "driver", "driver" };
	struct kbp_bench_opts o = small();
	struct kbp_results *res;

	(void)state;
	o.out_dir = dir;
	o.stamps = true;
	res = bench(&o);
	assert_string_equal(kbp_results_fact(res, "stamps"), "true");
	for (uint32_t i = 0; i < res->n_runs; i++) {
		const struct kbp_result_run *r = &res->run[i];

		assert_whole(r, 2000);
		if (!r->stamps.source[0]) {
			const struct kbp_finding *f = finding(res, "no_stamps");

			assert_true(f && f->note);
			assert_string_equal(f->backend, r->backend);
			continue;
		}
		assert_string_equal(r->stamps.source, source[i]);
		parts_make_the_whole(r, 2000);
		if (finding(res, "clock_stepped"))
			continue; /* somebody sets the clock */
		assert_string_equal(r->stamps.proof, "proven");
		assert_true(r->stamps.error_ns > 0);
		assert_int_equal(r->stamps.impossible, 0);
		/* the first stamps after they were switched on can be missing */
		assert_true(r->stamps.rx_path.samples > 800);
		assert_int_equal(r->stamps.rx_path.samples, r->stamps.wire_to_stamp.samples);
		assert_true(r->stamps.rx_path.samples <= r->latency.samples);
	}
	assert_string_equal(res->run[0].stamps.source, "kernel");
	assert_string_equal(res->run[2].stamps.source, "driver");
	assert_true(res->run[2].emulated);
	kbp_results_free(res);
	o.stamps = false;
	o.backends = "socket";
	o.rounds = 1;
	o.seconds = 0.3;
	res = bench(&o); /* takes the place of the earlier results, and of their files */
	assert_string_equal(res->run[0].stamps.source, "");
	assert_string_equal(kbp_results_fact(res, "stamps"), "false");
	kbp_results_free(res);
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
	o.out_dir = dir;
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(kbp_bench_run(&o, stop_at_once, &seen, &res, &err), -ECANCELED);
	assert_int_equal(access(dir, F_OK), -1);
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
		cmocka_unit_test(every_backend_delivers_every_byte_in_order_and_alike),
		cmocka_unit_test(the_order_of_the_backends_rotates),
		cmocka_unit_test(every_mode_that_veth_has_is_achieved_when_asked_for),
		cmocka_unit_test(an_overloaded_receiver_loses_nine_in_ten_and_every_loss_has_a_name),
		cmocka_unit_test(a_capture_is_replayed_round_and_round),
		cmocka_unit_test(a_unicast_capture_is_addressed_to_the_receiver),
		cmocka_unit_test(a_jump_of_the_captures_clock_that_cuts_the_replay_is_pointed_out),
		cmocka_unit_test(another_living_bench_is_noted),
		cmocka_unit_test(a_capture_that_ends_in_mid_record_is_reported_and_the_rest_replayed),
		cmocka_unit_test(a_backend_that_cannot_carry_the_frames_is_left_out_with_the_reason),
		cmocka_unit_test(frames_larger_than_a_buffer_arrive_whole),
		cmocka_unit_test(given_interfaces_are_used_and_left_as_they_are),
		cmocka_unit_test(a_foreign_payload_is_counted_and_no_part_of_the_digest),
		cmocka_unit_test(frames_that_the_device_refuses_are_a_finding),
		cmocka_unit_test(loss_and_frames_not_timed_are_findings_from_a_share_on),
		cmocka_unit_test_setup_teardown(
			results_that_cannot_be_written_are_handed_over_all_the_same, make_dir,
			remove_dir),
		cmocka_unit_test_setup_teardown(results_and_every_sample_are_on_disk, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_latency_is_parted_at_the_stamp_and_the_stamp_is_named,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_bench_that_is_stopped_ends_with_nothing_left,
						make_dir, remove_dir),
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
