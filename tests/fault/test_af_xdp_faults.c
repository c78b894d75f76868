/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes wrong around af_xdp: killed owners, foreign programs, vanished interfaces, missing
 * privilege. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "../netns/af_xdp_lab.h"

static const char *rx_if(void)
{
	return lab.host[KBP_LAB_RX].ifname;
}

static uint32_t program_on_rx(void)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, o);

	assert_int_equal(bpf_xdp_query((int)lab.host[KBP_LAB_RX].ifindex, 0, &o), 0);
	return o.prog_id;
}

static void nap(void)
{
	struct timespec ts = { .tv_nsec = 10000000 };

	nanosleep(&ts, NULL);
}

/* A child that owns port and queue and says so, then waits to be killed. */
static pid_t owner(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct kbp_port *port;
		struct kbp_queue *q;

		if (kbp_port_open("af_xdp", rx_if(), NULL, &port, NULL) ||
		    kbp_queue_open(port, NULL, &q, NULL))
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_killed_owner_leaves_no_program_and_the_next_opens_at_once(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;
	pid_t pid = owner();

	(void)state;
	assert_true(program_on_rx() != 0);
	reap(pid);
	for (int i = 0; i < 100 && program_on_rx(); i++) /* the link is released by a kernel
							  * worker */
		nap();
	assert_int_equal(program_on_rx(), 0);
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void an_interface_in_use_names_the_program_in_the_way(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;
	pid_t pid = owner();
	char id[16];

	(void)state;
	snprintf(id, sizeof(id), "program %u", program_on_rx());
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	assert_int_equal(kbp_queue_open(port, NULL, &q, &err), -EBUSY);
	assert_non_null(strstr(err.hint, id));
	assert_non_null(strstr(err.hint, "flow_redirect"));
	reap(pid);
	ok(kbp_port_close(port, &err));
}

static void a_channel_open_twice_is_refused(void **state)
{
	struct kbp_queue_opts tx = KBP_QUEUE_OPTS_INIT;
	struct kbp_port *port, *second;
	struct kbp_queue *q, *other;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	assert_int_equal(kbp_queue_open(port, NULL, &other, &err), -EBUSY);
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &second, &err));
	tx.flags = KBP_QUEUE_TX;
	assert_int_equal(kbp_queue_open(second, &tx, &other, &err), -EBUSY);
	assert_non_null(strstr(err.hint, "another AF_XDP socket"));
	ok(kbp_port_close(second, &err));
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static enum kbp_queue_state state_soon(const struct kbp_queue *q)
{
	for (int i = 0; i < 300 && kbp_queue_state(q) == KBP_QUEUE_UP; i++)
		nap();
	return kbp_queue_state(q);
}

static void a_program_taken_away_by_somebody_else_is_noticed(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;
	uint32_t id = 0, mine;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	mine = program_on_rx();
	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = { 0 };
		uint32_t len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) && info.prog_id == mine)
			assert_int_equal(bpf_link_detach(fd), 0);
		if (fd >= 0)
			close(fd);
	}
	assert_int_equal(state_soon(q), KBP_QUEUE_REPLACED);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void a_lost_link_is_seen_and_comes_back(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;
	char cmd[128];

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	snprintf(cmd, sizeof(cmd), "ip -n %s link set %s down", lab.host[KBP_LAB_TX].netns,
		 lab.host[KBP_LAB_TX].ifname);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(state_soon(q), KBP_QUEUE_LINK_DOWN);
	snprintf(cmd, sizeof(cmd), "ip -n %s link set %s up", lab.host[KBP_LAB_TX].netns,
		 lab.host[KBP_LAB_TX].ifname);
	assert_int_equal(system(cmd), 0);
	for (int i = 0; i < 300 && kbp_queue_state(q) != KBP_QUEUE_UP; i++)
		nap();
	assert_int_equal(kbp_queue_state(q), KBP_QUEUE_UP);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void without_privilege_the_missing_capability_is_named(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		struct kbp_port *port;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		if (kbp_port_open("af_xdp", rx_if(), NULL, &port, &err) != -EPERM)
			_exit(3);
		_exit(strstr(err.step, "CAP_") || strstr(err.hint, "CAP_") ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void without_hugepages_it_works_and_says_so(void **state)
{
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "r");
	struct kbp_queue_info info;
	struct kbp_port *port;
	struct kbp_queue *q;
	long pages = -1;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	if (pages) {
		printf("SKIP: this host has hugepages\n");
		skip();
	}
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	kbp_queue_info(q, &info);
	assert_false(info.hugepages);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void a_program_started_by_the_owner_does_not_keep_the_channel(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;
	pid_t pid;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execlp("sleep", "sleep", "20", (char *)NULL);
		_exit(1);
	}
	nap(); /* until it is the other program */
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	reap(pid);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void a_forked_child_is_refused_and_harms_nothing(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct kbp_port *port;
	struct kbp_queue *q, *other;
	int status;
	pid_t pid;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(kbp_queue_open(port, NULL, &other, &err) != -ECHILD ||
		      kbp_flow_add(q, &flow, NULL, &err) != -ECHILD ||
		      kbp_queue_close(q, KBP_CLOSE_FORCE, &err) != -ECHILD ||
		      kbp_port_close(port, &err) != -ECHILD);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(access(kbp_port_counters_path(port), F_OK), 0);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void another_network_namespace_is_refused(void **state)
{
	struct kbp_flow flow = flow_of("239.1.2.3:5000");
	struct kbp_port *port;
	struct kbp_queue *q, *other;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	enter(KBP_LAB_TX);
	assert_int_equal(kbp_flow_add(q, &flow, NULL, &err), -ENODEV);
	assert_int_equal(kbp_queue_open(port, NULL, &other, &err), -ENODEV);
	enter(KBP_LAB_RX);
	ok(kbp_flow_add(q, &flow, NULL, &err));
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void a_group_in_a_vlan_is_not_joined_in_the_wrong_one(void **state)
{
	struct kbp_flow flow = flow_of("239.1.2.3:5000%5");
	struct kbp_port *port;
	struct kbp_queue *q;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	assert_int_equal(kbp_flow_add(q, &flow, NULL, &err), -ENODEV);
	assert_non_null(strstr(err.step, "static join needed"));
	flow.flags |= KBP_FLOW_NO_JOIN;
	ok(kbp_flow_add(q, &flow, NULL, &err));
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static void a_template_closed_in_flight_is_not_overwritten_by_the_next(void **state)
{
	struct kbp_flow to = flow_of("10.77.0.1:7000");
	struct kbp_template *a, *b;
	struct kbp_txflow *t;
	struct kbp_port *port;
	struct kbp_queue *q;
	uint64_t token;
	char cmd[128];

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	ok(kbp_txflow_open(q, &to, &t, &err));
	ok(kbp_template_open(t, "A", 1, &a, &err));
	token = kbp_template_token(a);
	snprintf(cmd, sizeof(cmd), "ip link set %s down", rx_if());
	assert_int_equal(system(cmd), 0);
	assert_int_equal(kbp_template_send(a), 1);
	assert_int_equal(kbp_template_send(a), 0);
	kbp_template_close(a);
	ok(kbp_template_open(t, "B", 1, &b, &err));
	assert_true(kbp_template_token(b) != token);
	kbp_template_close(b);
	kbp_txflow_close(t);
	/* nothing is reserved: what the device still has does not stand in the way */
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
	snprintf(cmd, sizeof(cmd), "ip link set %s up", rx_if());
	assert_int_equal(system(cmd), 0);
}

static void unknown_names_are_refused_with_the_known_ones(void **state)
{
	struct kbp_port *port;

	(void)state;
	assert_int_equal(kbp_port_open("af_xpd", rx_if(), NULL, &port, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "af_xdp"));
	assert_int_equal(kbp_port_open("../evil", rx_if(), NULL, &port, &err), -ENOENT);
	assert_int_equal(kbp_port_open("af_xdp", "nosuch0", NULL, &port, &err), -ENODEV);
	assert_non_null(strstr(err.step, "nosuch0"));
	assert_int_equal(kbp_port_open("af_xdp", "", NULL, &port, &err), -EINVAL);
	assert_null(port);
}

static void an_mtu_that_buffers_cannot_hold_is_refused(void **state)
{
	struct kbp_port *port;
	struct kbp_queue *q;

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	assert_int_equal(kbp_queue_open(port, NULL, &q, &err), -EMSGSIZE);
	assert_non_null(strstr(err.hint, "KBP_QUEUE_MULTI_BUFFER"));
	ok(kbp_port_close(port, &err));
}

/* Last: it takes the lab with it. */
static void a_removed_interface_ends_the_queue(void **state)
{
	struct kbp_queue *queues[1];
	struct kbp_port *port;
	char cmd[128];

	(void)state;
	ok(kbp_port_open("af_xdp", rx_if(), NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &queues[0], &err));
	snprintf(cmd, sizeof(cmd), "ip -n %s link del %s", lab.host[KBP_LAB_RX].netns, rx_if());
	assert_int_equal(system(cmd), 0);
	assert_int_equal(state_soon(queues[0]), KBP_QUEUE_GONE);
	assert_int_equal(kbp_wait(queues, 1, 1000000000), 1);
	ok(kbp_queue_close(queues[0], 0, &err));
	ok(kbp_port_close(port, &err));
}

static int lab_close(void **state)
{
	(void)state;
	return kbp_lab_down(lab.prefix, NULL) < 0;
}

int main(void)
{
	const struct CMUnitTest jumbo[] = { cmocka_unit_test(
		an_mtu_that_buffers_cannot_hold_is_refused) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_killed_owner_leaves_no_program_and_the_next_opens_at_once),
		cmocka_unit_test(an_interface_in_use_names_the_program_in_the_way),
		cmocka_unit_test(a_channel_open_twice_is_refused),
		cmocka_unit_test(a_program_taken_away_by_somebody_else_is_noticed),
		cmocka_unit_test(a_lost_link_is_seen_and_comes_back),
		cmocka_unit_test(without_privilege_the_missing_capability_is_named),
		cmocka_unit_test(without_hugepages_it_works_and_says_so),
		cmocka_unit_test(a_program_started_by_the_owner_does_not_keep_the_channel),
		cmocka_unit_test(a_forked_child_is_refused_and_harms_nothing),
		cmocka_unit_test(another_network_namespace_is_refused),
		cmocka_unit_test(a_group_in_a_vlan_is_not_joined_in_the_wrong_one),
		cmocka_unit_test(a_template_closed_in_flight_is_not_overwritten_by_the_next),
		cmocka_unit_test(unknown_names_are_refused_with_the_known_ones),
		cmocka_unit_test(a_removed_interface_ends_the_queue),
	};
	int failed;

	lab_open(1, 9000);
	enter(KBP_LAB_RX);
	failed = cmocka_run_group_tests_name("MTU 9000", jumbo, NULL, lab_close);
	lab_open(1, 1500);
	enter(KBP_LAB_RX);
	return failed + cmocka_run_group_tests_name("af_xdp faults", tests, NULL, lab_close);
}
