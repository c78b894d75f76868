/* SPDX-License-Identifier: BSD-2-Clause */
/* What a bench does when it is killed, when the wire goes away, and when it is asked for nonsense.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/measure/parts.h"

#define NOBODY 65534
#define HANG_S 120

static struct kbp_bench_opts small(void)
{
	struct kbp_bench_opts o = KBP_BENCH_OPTS_INIT;

	o.timing = KBP_TIMING_CONSTANT;
	o.rate_pps = 2000;
	o.seconds = 0.5;
	o.rounds = 1;
	return o;
}

/* ---------------------------------------------------------------- killed */

/* Tells the other process when frames of `backend` are on the way. */
struct watch {
	const char *backend;
	uint32_t *sending; /* shared */
};

static bool watch_sending(const struct kbp_bench_progress *p, void *arg)
{
	struct watch *w = arg;

	if (!strcmp(p->doing, "sending") && !strcmp(p->backend, w->backend) && p->sent)
		__atomic_store_n(w->sending, 1, __ATOMIC_RELEASE);
	return true;
}

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Does any interface of this lab carry an XDP program? */
static bool xdp_attached(const char *prefix)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd), "ip -n %s-rx -d link show 2>/dev/null | grep -q 'prog/xdp'",
		 prefix);
	return system(cmd) == 0;
}

static void a_killed_bench_leaves_no_program_and_the_next_one_starts_at_once(void **state)
{
	uint32_t *sending = mmap(NULL, sizeof(*sending), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	struct kbp_lab_info lab;
	struct kbp_error err;
	char prefix[16];
	pid_t pid;

	(void)state;
	assert_true(sending != MAP_FAILED);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* its children become ours to wait
							        * for */
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct watch w = { "af_xdp", sending };

		o.seconds = HANG_S;
		o.backends = "af_xdp";
		_exit(kbp_bench_run(&o, watch_sending, &w, &res, NULL) ? 1 : 0);
	}
	snprintf(prefix, sizeof(prefix), "kbp%d", pid);
	while (!__atomic_load_n(sending, __ATOMIC_ACQUIRE))
		sleep_ms(10);
	assert_true(xdp_attached(prefix)); /* the check below can fail */
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (wait(NULL) > 0) /* sender and receiver, which nobody stopped but the kernel */
		;
	assert_int_equal(errno, ECHILD);
	for (int i = 0; i < 500 && xdp_attached(prefix); i++)
		sleep_ms(10); /* the kernel frees a dead process's links from a work queue */
	assert_false(xdp_attached(prefix));
	assert_int_equal(kbp_bench_run(&o, NULL, NULL, &res, &err), 0);
	assert_int_equal(res->run[0].unattributed, 0);
	assert_int_equal(kbp_lab_find(prefix, &lab, &err), -ENOENT); /* reclaimed */
	kbp_results_free(res);
	munmap(sending, sizeof(*sending));
}

static void a_bench_whose_receiver_is_killed_says_so(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_error *err = mmap(NULL, sizeof(*err) + 64, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *sending = (uint32_t *)(void *)(err + 1);
	char cmd[128];
	pid_t pid;
	int status;

	(void)state;
	assert_true(err != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct watch w = { "socket", sending };
		struct kbp_results *res;

		o.seconds = HANG_S;
		o.backends = "socket";
		_exit(-kbp_bench_run(&o, watch_sending, &w, &res, err));
	}
	while (!__atomic_load_n(sending, __ATOMIC_ACQUIRE))
		sleep_ms(10);
	snprintf(cmd, sizeof(cmd), "kill -9 $(ps -o pid= --ppid %d | head -n 1)", pid);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EIO);
	assert_non_null(strstr(err->step, "signal 9"));
	munmap(err, sizeof(*err) + 64);
}

/* ---------------------------------------------------------------- the wire goes away */

static bool remove_interface(const struct kbp_bench_progress *p, void *arg)
{
	char *cmd = arg;

	if (!strcmp(p->doing, "sending") && p->sent && *cmd) {
		if (system(cmd))
			return false;
		*cmd = '\0';
	}
	return true;
}

static void an_interface_removed_in_mid_run_ends_the_bench_with_the_reason(void **state)
{
	static const char *const backends[] = { "socket", "af_xdp" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct kbp_bench_opts o = small();
		struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
		struct kbp_lab_info lab;
		struct kbp_results *res;
		struct kbp_error err = { 0 };
		char cmd[128];

		l.flags = KBP_LAB_EPHEMERAL;
		l.prefix = "kbf";
		assert_int_equal(kbp_lab_up(&l, &lab, &err), 0);
		o.rx_ifname = lab.host[KBP_LAB_RX].ifname;
		o.rx_netns = lab.host[KBP_LAB_RX].netns;
		o.tx_ifname = lab.host[KBP_LAB_TX].ifname;
		o.tx_netns = lab.host[KBP_LAB_TX].netns;
		o.backends = backends[i];
		o.seconds = HANG_S; /* ends long before, or the test's time runs out */
		snprintf(cmd, sizeof(cmd), "ip -n %s link del %s", o.rx_netns, o.rx_ifname);
		assert_int_equal(kbp_bench_run(&o, remove_interface, cmd, &res, &err), -ENODEV);
		assert_null(res);
		assert_non_null(strstr(err.step, o.rx_ifname));
		assert_non_null(strstr(err.hint, "removed"));
		kbp_lab_down(lab.prefix, NULL);
	}
}

/* ---------------------------------------------------------------- nonsense */

static void assert_refused(const struct kbp_bench_opts *o, int code, const char *text)
{
	struct kbp_error err = { 0 };
	struct kbp_results *res;
	char all[sizeof(err.step) + sizeof(err.hint) + 3];
	int rc = kbp_bench_run(o, NULL, NULL, &res, &err);

	snprintf(all, sizeof(all), "%s: %s", err.step, err.hint);
	if (rc != code || !strstr(all, text))
		fail_msg("expected %d with \"%s\", got %d: %s", code, text, rc, all);
	assert_null(res);
	assert_int_equal(err.code, code);
}

#define REFUSED(code, text, ...)                   \
	do {                                       \
		struct kbp_bench_opts o = small(); \
		__VA_ARGS__;                       \
		assert_refused(&o, code, text);    \
	} while (0)

static void options_that_make_no_sense_are_named(void **state)
{
	(void)state;
	REFUSED(-EINVAL, "rate of 0", o.rate_pps = 0);
	REFUSED(-EINVAL, "seconds", o.seconds = -1);
	REFUSED(-EINVAL, "seconds", o.seconds = 1e9);
	REFUSED(-EINVAL, "rounds", o.rounds = 100000);
	REFUSED(-EINVAL, "handler delay", o.handler_delay_ns = 2000000000);
	REFUSED(-EINVAL, "CPU 4000", o.cpu_rx = 4001);
	REFUSED(-EINVAL, "two different CPUs", o.cpu_rx = 1; o.cpu_tx = 1);
	REFUSED(-EINVAL, "power of two", o.rx_ring = 1000);
	REFUSED(-EINVAL, "commas", o.backends = "socket,,af_xdp");
	REFUSED(-EINVAL, "once", o.backends = "socket,socket");
	REFUSED(-EINVAL, "both ends", o.rx_ifname = "lo");
	REFUSED(-EINVAL, "namespace", o.rx_netns = "nowhere");
	REFUSED(-EINVAL, "no-such-feed", o.feed = "no-such-feed");
	REFUSED(-E2BIG, "lower the rate", o.rate_pps = 100000000; o.seconds = 100);
	REFUSED(-EINVAL, "opts.size", o.size = 1);
}

static void things_that_are_not_there_are_named(void **state)
{
	(void)state;
	REFUSED(-ENOENT, "ef_nope", o.backends = "socket, ef_nope");
	REFUSED(-ENODEV, "nosuch0", o.rx_ifname = "lo"; o.tx_ifname = "nosuch0");
	REFUSED(-ENOENT, "nowhere", o.rx_ifname = "lo"; o.tx_ifname = "lo"; o.rx_netns = "nowhere");
	REFUSED(-ENOENT, "/no/such.pcap", o.capture = "/no/such.pcap");
	REFUSED(-EISDIR, "/tmp", o.capture = "/tmp");
	REFUSED(-EINVAL, "/etc/hostname", o.capture = "/etc/hostname");
	REFUSED(-EEXIST, "/etc", o.out_dir = "/etc");
	REFUSED(-EINVAL, "name a directory", o.out_dir = "");
	REFUSED(-EINVAL, "no regular file", o.capture = "/dev/zero");
	REFUSED(-ENOENT, "/no/such", o.out_dir = "/no/such/dir");
}

/* A backend that is missing is told before the others are measured. */
static bool count_sending(const struct kbp_bench_progress *p, void *arg)
{
	*(unsigned *)arg += p->backend[0] != '\0';
	return true;
}

static void a_missing_backend_is_told_before_anything_is_measured(void **state)
{
	struct kbp_bench_opts o = small();
	struct kbp_results *res;
	unsigned measured = 0;

	(void)state;
	o.backends = "socket,ef_nope";
	assert_int_equal(kbp_bench_run(&o, count_sending, &measured, &res, NULL), -ENOENT);
	assert_int_equal(measured, 0);
}

static void a_frame_beyond_the_receivers_mtu_is_refused_before_the_start(void **state)
{
	struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
	struct kbp_bench_opts o = small();
	struct kbp_lab_info lab;
	struct kbp_error err;
	char cmd[128];

	(void)state;
	l.flags = KBP_LAB_EPHEMERAL;
	l.prefix = "kbm";
	l.mtu = 9000;
	assert_int_equal(kbp_lab_up(&l, &lab, &err), 0);
	o.rx_ifname = lab.host[KBP_LAB_RX].ifname;
	o.rx_netns = lab.host[KBP_LAB_RX].netns;
	o.tx_ifname = lab.host[KBP_LAB_TX].ifname;
	o.tx_netns = lab.host[KBP_LAB_TX].netns;
	o.frame_bytes = 4000;
	snprintf(cmd, sizeof(cmd), "ip -n %s link set %s mtu 1500", o.rx_netns, o.rx_ifname);
	assert_int_equal(system(cmd), 0);
	assert_refused(&o, -EMSGSIZE, "receive the longest frame");
	snprintf(cmd, sizeof(cmd), "ip -n %s link set %s mtu 1500", o.tx_netns, o.tx_ifname);
	assert_int_equal(system(cmd), 0);
	assert_refused(&o, -EMSGSIZE, "send the longest frame");
	kbp_lab_down(lab.prefix, NULL);
}

static void a_strict_request_that_veth_cannot_meet_is_refused(void **state)
{
	(void)state;
	REFUSED(-EOPNOTSUPP, "zero", o.backends = "af_xdp"; o.mode = KBP_MODE_ZEROCOPY;
		o.strict = true);
	REFUSED(-EOPNOTSUPP, "zero", o.mode = KBP_MODE_ZEROCOPY; o.strict = true);
}

/* Runs `body` in a child and hands back its exit status. */
static int in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* _exit(0) when the bench is refused as it should be; assertions do not cross processes. */
static void refused_in_child(int code, const char *text)
{
	struct kbp_bench_opts o = small();
	struct kbp_error err = { 0 };
	struct kbp_results *res;
	int rc = kbp_bench_run(&o, NULL, NULL, &res, &err);

	if (rc == code && (strstr(err.hint, text) || strstr(err.step, text)))
		_exit(0);
	fprintf(stderr, "expected %d with \"%s\", got %d: %s: %s\n", code, text, rc, err.step,
		err.hint);
	_exit(1);
}

static void as_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(2);
	refused_in_child(-EPERM, "CAP_");
}

static void on_one_cpu(void)
{
	cpu_set_t set;
	size_t cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(2);
	refused_in_child(-EINVAL, "one CPU only");
}

static void without_privilege_the_missing_capability_is_named(void **state)
{
	(void)state;
	assert_int_equal(in_child(as_nobody), 0);
}

static void one_cpu_is_not_enough_and_the_error_says_so(void **state)
{
	(void)state;
	assert_int_equal(in_child(on_one_cpu), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_killed_bench_leaves_no_program_and_the_next_one_starts_at_once),
		cmocka_unit_test(a_bench_whose_receiver_is_killed_says_so),
		cmocka_unit_test(an_interface_removed_in_mid_run_ends_the_bench_with_the_reason),
		cmocka_unit_test(options_that_make_no_sense_are_named),
		cmocka_unit_test(things_that_are_not_there_are_named),
		cmocka_unit_test(a_missing_backend_is_told_before_anything_is_measured),
		cmocka_unit_test(a_frame_beyond_the_receivers_mtu_is_refused_before_the_start),
		cmocka_unit_test(a_strict_request_that_veth_cannot_meet_is_refused),
		cmocka_unit_test(without_privilege_the_missing_capability_is_named),
		cmocka_unit_test(one_cpu_is_not_enough_and_the_error_says_so),
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
