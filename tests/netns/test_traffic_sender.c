/* SPDX-License-Identifier: BSD-2-Clause */
/* The sender on a tap interface in a network namespace of its own: what comes out, and what goes
 * wrong. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include <cmocka.h>

#include <kbypass/traffic.h>

#include "tools/clock/tsc.h"

#define TAP "kbtap0"
#define TAP_QUEUE 100 /* frames that the tap holds before it drops */

static int tap = -1, ctl = -1;
static struct kbp_tsc tsc;
static struct kbp_schedule *sched;
static struct kbp_sender_opts opts;
static struct kbp_sender_result result;
static struct kbp_error err;

static int tap_flags(short flags)
{
	struct ifreq req = { .ifr_name = TAP, .ifr_flags = flags };

	return ioctl(ctl, SIOCSIFFLAGS, &req);
}

static int setup(void **state)
{
	struct ifreq req = { .ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct kbp_generator_opts gen = { .size = sizeof(gen), .profile = "pitch", .n_flows = 3 };
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000000, .frames = 60 };

	(void)state;
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &req))
		return -1;
	req.ifr_qlen = TAP_QUEUE;
	if (ioctl(ctl, SIOCSIFTXQLEN, &req) || tap_flags(IFF_UP))
		return -1;
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	gen.flow.dst_port = 5000;
	memset(&opts, 0, sizeof(opts));
	memset(&result, 0, sizeof(result));
	opts.size = sizeof(opts);
	opts.ifname = TAP;
	opts.tsc = &tsc;
	return kbp_schedule_generate(&gen, &timing, &sched, &err);
}

static int teardown(void **state)
{
	(void)state;
	kbp_schedule_close(sched);
	if (tap >= 0)
		close(tap);
	tap = -1;
	return 0;
}

static struct kbp_sender *opened(void)
{
	struct kbp_sender *snd;

	if (kbp_sender_open(sched, &opts, &snd, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return snd;
}

/* The next of our frames out of the tap; 0 when there are no more. The kernel sends some of its own
 * (IPv6). */
static ssize_t tap_read(uint8_t *buf, size_t size)
{
	for (;;) {
		ssize_t n = read(tap, buf, size);

		if (n < 0)
			return 0;
		if (n > 14 && buf[12] == 0x08 && buf[13] == 0x00)
			return n;
	}
}

static void account_closes(uint64_t n)
{
	assert_int_equal(result.sent + result.send_errors + result.unsent, n);
}

static void every_frame_goes_out_in_order_and_unchanged(void **state)
{
	struct kbp_sender *snd = opened();
	uint64_t ticks[60], bytes = 0;
	uint8_t buf[2048];

	(void)state;
	kbp_sender_close(snd);
	opts.sent_ticks = ticks;
	snd = opened();
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	assert_int_equal(result.sent, 60);
	account_closes(60);
	for (uint32_t i = 0; i < 60; i++) {
		const struct kbp_schedule_frame *f = &sched->frames[i];

		assert_int_equal(tap_read(buf, sizeof(buf)), f->len);
		assert_memory_equal(buf, sched->bytes + f->offset, f->len);
		bytes += f->len;
		/* never before its time, and after its predecessor */
		assert_true(ticks[i] >= result.start_ticks + kbp_tsc_ticks(&tsc, 1000ull * i));
		assert_true(!i || ticks[i] > ticks[i - 1]);
	}
	assert_int_equal(tap_read(buf, sizeof(buf)), 0);
	assert_int_equal(result.sent_bytes, bytes);
	assert_int_equal(result.ticks_hz, tsc.hz);
	kbp_sender_close(snd);
}

static void frames_that_are_late_go_at_once_and_are_counted(void **state)
{
	struct kbp_generator_opts gen = { .size = sizeof(gen), .flow = { .dst_port = 5000 } };
	/* all due at once: 60 system calls take longer than the 1 us that is no lateness yet */
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT,
				     .rate_pps = 1000000000,
				     .frames = 60 };
	struct kbp_sender *snd;

	(void)state;
	kbp_schedule_close(sched);
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	assert_int_equal(kbp_schedule_generate(&gen, &timing, &sched, &err), 0);
	snd = opened();
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	assert_int_equal(result.sent, 60);
	assert_true(result.late > 0);
	assert_true(result.late_max_ns > KBP_SENDER_LATE_NS);
	kbp_sender_close(snd);
}

static void a_full_device_is_retried_then_given_up_and_counted(void **state)
{
	struct kbp_generator_opts gen = { .size = sizeof(gen), .flow = { .dst_port = 5000 } };
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT,
				     .rate_pps = 1000000,
				     .frames = 3 * TAP_QUEUE };
	uint64_t ticks[3 * TAP_QUEUE], never = 0;
	struct kbp_sender *snd;
	uint8_t buf[2048];
	uint64_t seen = 0;

	(void)state;
	kbp_schedule_close(sched);
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	assert_int_equal(kbp_schedule_generate(&gen, &timing, &sched, &err), 0);
	opts.retry_ns = 20000;
	opts.sent_ticks = ticks;
	snd = opened();
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	account_closes(3 * TAP_QUEUE);
	assert_int_equal(result.unsent, 0);
	assert_true(result.send_errors >=
		    2 * TAP_QUEUE - 16); /* the kernel's own frames take places too */
	assert_true(result.retries > 0);
	assert_int_equal(result.first_errno, ENOBUFS);
	while (tap_read(buf, sizeof(buf)) > 0)
		seen++;
	assert_int_equal(seen, result.sent);
	for (unsigned i = 0; i < 3 * TAP_QUEUE; i++)
		never += !ticks[i];
	assert_int_equal(never, result.send_errors);
	kbp_sender_close(snd);
}

static void the_stop_flag_ends_it(void **state)
{
	const uint32_t stop = 1;
	struct kbp_sender *snd;

	(void)state;
	opts.stop = &stop;
	snd = opened();
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	assert_int_equal(result.sent, 0);
	assert_int_equal(result.unsent, 60);
	kbp_sender_close(snd);
}

static void an_interface_that_is_down_is_refused_at_open(void **state)
{
	struct kbp_sender *snd;

	(void)state;
	assert_int_equal(tap_flags(0), 0);
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -ENETDOWN);
	assert_null(snd);
	assert_non_null(strstr(err.hint, "ip link set " TAP " up"));
}

static void an_interface_that_goes_down_ends_it_with_the_reason(void **state)
{
	struct kbp_sender *snd = opened();

	(void)state;
	assert_int_equal(tap_flags(0), 0);
	assert_int_equal(kbp_sender_run(snd, &result, &err), -ENETDOWN);
	assert_int_equal(result.code, -ENETDOWN);
	assert_non_null(strstr(err.hint, "down"));
	assert_string_equal(err.hint, result.error.hint);
	account_closes(60);
	assert_int_equal(result.sent, 0);
	kbp_sender_close(snd);
}

static void an_interface_that_is_removed_ends_it_with_the_reason(void **state)
{
	struct kbp_sender *snd = opened();
	int rc;

	(void)state;
	close(tap);
	tap = -1;
	rc = kbp_sender_run(snd, &result, &err);
	if (rc != -ENXIO && rc != -ENODEV && rc != -ENETDOWN)
		fail_msg("%d", rc);
	account_closes(60);
	assert_int_equal(result.unsent, 60);
	kbp_sender_close(snd);
}

static void frames_beyond_the_mtu_are_refused_at_open(void **state)
{
	struct ifreq req = { .ifr_name = TAP, .ifr_mtu = 100 };
	struct kbp_sender *snd;

	(void)state;
	assert_int_equal(ioctl(ctl, SIOCSIFMTU, &req), 0);
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -EMSGSIZE);
	assert_non_null(strstr(err.hint, "MTU is 100"));
}

static void names_and_cpus_that_do_not_exist_are_refused(void **state)
{
	struct kbp_sender *snd;

	(void)state;
	opts.ifname = "nosuch0";
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -ENODEV);
	assert_non_null(strstr(err.step, "nosuch0"));
	opts.ifname = "";
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -ENODEV);
	opts.ifname = "much_too_long_a_name";
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -ENODEV);
	opts.ifname = TAP;
	opts.cpu = -5;
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), -EINVAL);
	opts.cpu = CPU_SETSIZE;
	snd = opened();
	assert_int_equal(kbp_sender_run(snd, &result, &err), -EINVAL);
	assert_int_equal(result.unsent, 60);
	kbp_sender_close(snd);
}

static void it_runs_in_a_forked_child_and_reports_through_shared_memory(void **state)
{
	struct kbp_sender_result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t buf[2048];
	unsigned seen = 0;
	int status;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct kbp_sender *snd;

		if (kbp_sender_open(sched, &opts, &snd, NULL))
			_exit(1);
		_exit(kbp_sender_run(snd, shared, NULL) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared->sent, 60);
	while (tap_read(buf, sizeof(buf)) > 0)
		seen++;
	assert_int_equal(seen, 60);
	munmap(shared, sizeof(*shared));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_frame_goes_out_in_order_and_unchanged),
		T(frames_that_are_late_go_at_once_and_are_counted),
		T(a_full_device_is_retried_then_given_up_and_counted),
		T(the_stop_flag_ends_it),
		T(an_interface_that_is_down_is_refused_at_open),
		T(an_interface_that_goes_down_ends_it_with_the_reason),
		T(an_interface_that_is_removed_ends_it_with_the_reason),
		T(frames_beyond_the_mtu_are_refused_at_open),
		T(names_and_cpus_that_do_not_exist_are_refused),
		T(it_runs_in_a_forked_child_and_reports_through_shared_memory),
	};

	if (unshare(CLONE_NEWNET)) {
		printf("SKIP: no network namespace of our own (%s): needs CAP_SYS_ADMIN\n",
		       strerror(errno));
		return 77;
	}
	if (access("/dev/net/tun", R_OK | W_OK)) {
		printf("SKIP: /dev/net/tun: %s\n", strerror(errno));
		return 77;
	}
	ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ctl < 0 || kbp_tsc_calibrate(&tsc, KBP_TSC_CALIBRATE_MS_MIN, &err)) {
		printf("%s: %s\n", err.step, err.hint);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
