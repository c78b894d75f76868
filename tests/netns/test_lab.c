// SPDX-License-Identifier: BSD-2-Clause
/* test_lab.c - labs come, are found, and go without a trace, killed runs included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kbypass/lab.h>
#include <libmnl/libmnl.h>

#include "lib/internal.h"
#include "tools/lab/lab_net.h"

#define NOBODY 65534

static char prefix[16]; /* of this run's labs */

static bool folder_has(const char *folder, const char *beginning)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	bool found = false;

	while (dir && (e = readdir(dir)))
		found = found || !strncmp(e->d_name, beginning, strlen(beginning));
	if (dir)
		closedir(dir);
	return found;
}

static void assert_nothing_left(const char *beginning)
{
	char line[1024], mount[64];
	struct if_nameindex *links = if_nameindex();
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	snprintf(mount, sizeof(mount), "/netns/%s", beginning);
	assert_non_null(links);
	assert_non_null(mounts);
	while (fgets(line, sizeof(line), mounts))
		assert_null(strstr(line, mount));
	fclose(mounts);
	for (struct if_nameindex *l = links; l->if_index; l++)
		assert_int_not_equal(strncmp(l->if_name, beginning, strlen(beginning)), 0);
	if_freenameindex(links);
	assert_false(folder_has("/run/netns", beginning));
	assert_false(folder_has("/run/kbypass/lab", beginning));
}

static struct kbp_lab_opts options(void)
{
	struct kbp_lab_opts opts = KBP_LAB_OPTS_INIT;

	opts.prefix = prefix;
	return opts;
}

static struct kbp_lab_info up(const struct kbp_lab_opts *opts)
{
	struct kbp_lab_info info;
	struct kbp_error err;

	if (kbp_lab_up(opts, &info, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return info;
}

static int take_down(void **state)
{
	struct kbp_error err;

	(void)state;
	if (kbp_lab_down(prefix, &err) < 0) {
		print_error("%s: %s\n", err.step, err.hint);
		return -1;
	}
	return 0;
}

static void a_lab_is_found_as_it_was_asked_for(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info made, found;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	opts.queues = 3;
	opts.mtu = 9000;
	opts.net4 = (struct kbp_addr){ AF_INET, { 192, 168, 7, 0 } };
	made = up(&opts);
	assert_false(made.existed);
	assert_int_equal(kbp_lab_find(prefix, &found, NULL), 0);
	assert_memory_equal(&found, &made, sizeof(found));
	assert_int_equal(found.queues, 3);
	assert_int_equal(found.mtu, 9000);
	assert_string_equal(inet_ntop(AF_INET, found.host[KBP_LAB_RX].ip4.bytes, text, sizeof(text)),
			    "192.168.7.2");
	assert_int_not_equal(found.host[KBP_LAB_TX].ifindex, 0);
}

static void up_twice_finds_the_same_lab(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info first = up(&opts), second = up(&opts);

	(void)state;
	assert_true(second.existed);
	assert_memory_equal(first.host, second.host, sizeof(first.host));
}

static void up_with_other_options_makes_it_anew(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info;

	(void)state;
	up(&opts);
	opts.queues = 4;
	info = up(&opts);
	assert_false(info.existed);
	assert_int_equal(info.queues, 4);
}

static void down_leaves_nothing_and_can_be_repeated(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info;

	(void)state;
	up(&opts);
	assert_int_equal(kbp_lab_down(prefix, NULL), 1);
	assert_nothing_left(prefix);
	assert_int_equal(kbp_lab_down(prefix, NULL), 0);
	assert_int_equal(kbp_lab_find(prefix, &info, NULL), -ENOENT);
}

/* The kill falls anywhere from before the first to after the last step. */
static void a_killed_up_is_mended_by_up_and_removed_by_down(void **state)
{
	struct kbp_lab_opts opts = options();

	(void)state;
	for (long us = 0; us < 16000; us += 500) {
		struct timespec wait = { .tv_nsec = us * 1000 };
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			struct kbp_lab_info info;

			_exit(kbp_lab_up(&opts, &info, NULL) ? 1 : 0);
		}
		nanosleep(&wait, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		if (us / 500 % 2)
			up(&opts);
		assert_true(kbp_lab_down(prefix, NULL) >= 0);
		assert_nothing_left(prefix);
	}
}

static void half_a_lab_is_told_from_a_whole_one(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info = up(&opts);
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_lab_netns_remove(info.host[KBP_LAB_RX].netns, NULL), 0);
	assert_int_equal(kbp_lab_find(prefix, &info, &err), -ENODEV);
	assert_non_null(strstr(err.hint, "kbypass lab down"));
	info = up(&opts);
	assert_false(info.existed);
}

/* Makes an ephemeral lab in a child and says its name; the child then waits to be killed. */
static pid_t ephemeral_in_child(char *name)
{
	struct kbp_lab_opts opts = KBP_LAB_OPTS_INIT;
	struct kbp_lab_info info;
	int pipe_fd[2];
	pid_t child;

	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		opts.prefix = "kte";
		opts.flags = KBP_LAB_EPHEMERAL;
		if (kbp_lab_up(&opts, &info, NULL) ||
		    write(pipe_fd[1], info.prefix, sizeof(info.prefix)) != sizeof(info.prefix))
			_exit(1);
		pause();
		_exit(0);
	}
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], name, sizeof(info.prefix)), sizeof(info.prefix));
	close(pipe_fd[0]);
	return child;
}

static void a_living_processs_lab_is_refused_a_dead_ones_reclaimed(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info;
	struct kbp_error err;
	char name[16];
	siginfo_t dead;
	pid_t child = ephemeral_in_child(name);

	(void)state;
	assert_int_equal(kbp_lab_down(name, &err), -EBUSY);
	opts.prefix = name;
	assert_int_equal(kbp_lab_up(&opts, &info, &err), -EBUSY);
	opts.prefix = prefix;
	up(&opts);
	assert_int_equal(kbp_lab_find(name, &info, NULL), 0);
	assert_int_equal(info.owner_pid, child);

	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &dead, WEXITED | WNOWAIT), 0);
	up(&opts);
	assert_nothing_left(name);
	waitpid(child, NULL, 0);
}

static void a_namespace_of_somebody_else_is_left_alone(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info;
	struct mnl_socket *nl;
	struct kbp_error err;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%s-rx", prefix);
	assert_int_equal(kbp_lab_netns_make(name, &nl, NULL), 0);
	mnl_socket_close(nl);
	assert_int_equal(kbp_lab_up(&opts, &info, &err), -EEXIST);
	assert_non_null(strstr(err.hint, name));
	assert_int_equal(kbp_lab_down(prefix, NULL), 0);
	assert_true(kbp_lab_netns_exists(name));
	assert_int_equal(kbp_lab_netns_remove(name, NULL), 0);
	assert_nothing_left(prefix);
}

static void without_privilege_the_missing_capabilities_are_named(void **state)
{
	struct kbp_lab_opts opts = options();
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		struct kbp_lab_info info;
		struct kbp_error err;

		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		if (kbp_lab_up(&opts, &info, &err) != -EPERM ||
		    !strstr(err.hint, "CAP_NET_ADMIN") || !strstr(err.hint, "CAP_SYS_ADMIN"))
			_exit(2);
		_exit(kbp_lab_down(prefix, &err) == -EPERM ? 0 : 3);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_nothing_left(prefix);
}

static void assert_refused(const struct kbp_lab_opts *opts, const char *because)
{
	struct kbp_lab_info info;
	struct kbp_error err;

	assert_int_equal(kbp_lab_up(opts, &info, &err), -EINVAL);
	assert_non_null(strstr(err.hint, because));
}

static void options_out_of_range_are_refused(void **state)
{
	struct kbp_lab_opts opts = options();

	(void)state;
	opts.queues = 65;
	assert_refused(&opts, "65 queues");
	opts = options();
	opts.mtu = 1279;
	assert_refused(&opts, "MTU 1279");
	opts = options();
	opts.prefix = "../etc";
	assert_refused(&opts, "../etc");
	opts.prefix = "fourteen_chars";
	assert_refused(&opts, "fourteen_chars");
	opts = options();
	opts.net4 = (struct kbp_addr){ AF_INET, { 224, 1, 1, 0 } };
	assert_refused(&opts, "net4");
	opts = options();
	opts.net6 = (struct kbp_addr){ AF_INET6, { 0xff, 2 } };
	assert_refused(&opts, "net6");
	assert_nothing_left(prefix);
}

/* ---------------------------------------------------------------- the wire */

struct host_thread {
	const struct kbp_lab_info *info;
	enum kbp_lab_side side;
	int fd; /* a UDP socket made on that host; -1: failed */
};

static void *open_socket(void *arg)
{
	struct host_thread *t = arg;

	t->fd = -1;
	if (!kbp_lab_enter(t->info, t->side, NULL) && if_nametoindex(t->info->host[t->side].ifname))
		t->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return NULL;
}

static int socket_on(const struct kbp_lab_info *info, enum kbp_lab_side side)
{
	struct host_thread t = { info, side, -1 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, open_socket, &t), 0);
	pthread_join(thread, NULL);
	assert_true(t.fd >= 0);
	return t.fd;
}

static void a_multicast_datagram_crosses_and_the_caller_stays_outside(void **state)
{
	struct kbp_lab_opts opts = options();
	struct kbp_lab_info info = up(&opts);
	struct sockaddr_in group = { .sin_family = AF_INET, .sin_port = htons(5000) };
	struct timeval patience = { .tv_sec = 10 };
	struct ip_mreqn join = { .imr_ifindex = (int)info.host[KBP_LAB_RX].ifindex };
	int tx = socket_on(&info, KBP_LAB_TX), rx = socket_on(&info, KBP_LAB_RX);
	char got[8] = "";

	(void)state;
	assert_int_equal(if_nametoindex(info.host[KBP_LAB_RX].ifname), 0);
	inet_pton(AF_INET, "239.1.2.3", &group.sin_addr);
	join.imr_multiaddr = group.sin_addr;
	assert_int_equal(bind(rx, (struct sockaddr *)&group, sizeof(group)), 0);
	assert_int_equal(setsockopt(rx, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)), 0);
	assert_int_equal(setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(sendto(tx, "hello", 5, 0, (struct sockaddr *)&group, sizeof(group)), 5);
	assert_int_equal(recv(rx, got, sizeof(got), 0), 5);
	assert_string_equal(got, "hello");
	close(tx);
	close(rx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_lab_is_found_as_it_was_asked_for, take_down),
		cmocka_unit_test_teardown(up_twice_finds_the_same_lab, take_down),
		cmocka_unit_test_teardown(up_with_other_options_makes_it_anew, take_down),
		cmocka_unit_test(down_leaves_nothing_and_can_be_repeated),
		cmocka_unit_test_teardown(a_killed_up_is_mended_by_up_and_removed_by_down, take_down),
		cmocka_unit_test_teardown(half_a_lab_is_told_from_a_whole_one, take_down),
		cmocka_unit_test_teardown(a_living_processs_lab_is_refused_a_dead_ones_reclaimed,
					  take_down),
		cmocka_unit_test(a_namespace_of_somebody_else_is_left_alone),
		cmocka_unit_test(without_privilege_the_missing_capabilities_are_named),
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test_teardown(a_multicast_datagram_crosses_and_the_caller_stays_outside,
					  take_down),
	};
	char caps[64];

	kbp_missing_caps(1ull << CAP_SYS_ADMIN | 1ull << CAP_NET_ADMIN, caps, sizeof(caps));
	if (caps[0]) {
		printf("SKIP: network namespaces need %s\n", caps);
		return 77;
	}
	snprintf(prefix, sizeof(prefix), "kt%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
