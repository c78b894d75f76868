/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock monitor with real ptp4l processes over a veth pair. Neither can touch this machine's clock: the master
 * runs with free_running, and both without CAP_SYS_TIME, so that the slave's servo locks and steers nothing. Both
 * read the same clock: the offset is a microsecond or so.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kbypass/clock.h>

#include "netns.h"

#define MASTER_IF "kbpckm"
#define SLAVE_IF "kbpcks"
/* announceReceiptTimeout 3, logAnnounceInterval -2: 0.75 s */
#define ANNOUNCE_TIMEOUT_MS 750
#define PATIENCE_MS 20000

static char dir[64];
static pid_t master, slave;
static int master_net = -1; /* keeps the link up when the master dies */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---------------------------------------------------------------- daemons */

static void config_write(const char *name, const char *more)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.cfg", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"[global]\nlogAnnounceInterval -2\nannounceReceiptTimeout 3\nlogSyncInterval -3\n"
		"logMinDelayReqInterval -3\ntime_stamping software\nnetwork_transport L2\n"
		"pi_proportional_const 0.7\npi_integral_const 0.3\nsummary_interval 10\n"
		"use_syslog 0\nlogging_level 6\nuds_address %s/%s\n%s",
		dir, name, more);
	fclose(f);
}

/* The child, without the right to set a clock. own_net: in a network namespace of its own, to which its end of the
 * veth pair goes. */
static pid_t daemon_start(const char *name, const char *interface, bool own_net)
{
	char config[128], log[128], up[64], byte = 0;
	int ready[2], go[2];
	pid_t pid;

	snprintf(config, sizeof(config), "%s/%s.cfg", dir, name);
	snprintf(log, sizeof(log), "%s/%s.log", dir, name);
	snprintf(up, sizeof(up), "ip link set %s up", interface);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int fd = open(log, O_CREAT | O_WRONLY | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ||
		    (own_net && unshare(CLONE_NEWNET)) || write(ready[1], &byte, 1) != 1 ||
		    read(go[0], &byte, 1) != 1 || system(up) ||
		    prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0))
			_exit(1);
		execlp("ptp4l", "ptp4l", "-f", config, "-i", interface, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (own_net)
		assert_int_equal(netns_run("ip link set %s netns %d", interface, (int)pid), 0);
	assert_int_equal(write(go[1], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	return pid;
}

static void daemon_kill(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void master_start(void)
{
	char path[64];

	netns_run("ip link del %s 2>/dev/null || true", SLAVE_IF);
	assert_int_equal(netns_run("ip link add %s type veth peer name %s", SLAVE_IF, MASTER_IF), 0);
	assert_int_equal(netns_run("ip link set %s up", SLAVE_IF), 0);
	master = daemon_start("master", MASTER_IF, true);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)master);
	master_net = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(master_net >= 0);
}

static int pair_start(void **state)
{
	(void)state;
	config_write("master", "free_running 1\npriority1 10\nclockClass 6\nclockAccuracy 0x21\n");
	config_write("slave", "slaveOnly 1\n");
	master_start();
	slave = daemon_start("slave", SLAVE_IF, false);
	return 0;
}

static int pair_stop(void **state)
{
	(void)state;
	daemon_kill(&slave);
	daemon_kill(&master);
	if (master_net >= 0)
		close(master_net);
	master_net = -1;
	return 0;
}

/* ---------------------------------------------------------------- what the monitor says */

/* The events of one monitor, in order. */
struct events {
	pthread_mutex_t lock;
	unsigned n;
	struct kbp_clock_event e[64];
};

static void on_event(const struct kbp_clock_event *e, void *arg)
{
	struct events *ev = arg;

	pthread_mutex_lock(&ev->lock);
	if (ev->n < 64)
		ev->e[ev->n++] = *e;
	pthread_mutex_unlock(&ev->lock);
}

/* The first event of that cause at or after number `from`. */
static bool event_of(struct events *ev, const char *name, enum kbp_clock_cause cause, unsigned from,
		     struct kbp_clock_event *e)
{
	bool found = false;

	for (unsigned waited = 0; !found && waited < PATIENCE_MS; waited += 10) {
		pthread_mutex_lock(&ev->lock);
		for (unsigned i = from; i < ev->n && !found; i++) {
			found = ev->e[i].now.cause == cause && strstr(ev->e[i].now.name, name);
			*e = ev->e[i];
		}
		pthread_mutex_unlock(&ev->lock);
		if (!found)
			pause_ms(10);
	}
	return found;
}

static struct kbp_monitor *monitor_open(uint64_t limit_ns, struct events *ev, bool both)
{
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	static char paths[2][128];
	const char *list[3] = { paths[0], NULL, NULL };
	struct kbp_monitor *mon;
	struct kbp_error err;

	snprintf(paths[0], sizeof(paths[0]), "%s/slave", dir);
	snprintf(paths[1], sizeof(paths[1]), "%s/master", dir);
	list[1] = both ? paths[1] : NULL;
	o.ptp4l = list;
	o.sfptpd = dir;
	o.limit_ns = limit_ns;
	o.reference_ns = 100;
	o.interval_ms = 50;
	if (ev) {
		memset(ev, 0, sizeof(*ev));
		pthread_mutex_init(&ev->lock, NULL);
		o.event = on_event;
		o.arg = ev;
	}
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), 0);
	return mon;
}

static bool status_of(struct kbp_monitor *mon, const char *name, struct kbp_clock_status *s)
{
	struct kbp_clock_status all[8];
	unsigned n = kbp_monitor_status(mon, all, 8);

	for (unsigned i = 0; i < n && i < 8; i++)
		if (strstr(all[i].name, name)) {
			*s = all[i];
			return true;
		}
	return false;
}

static bool wait_for(struct kbp_monitor *mon, const char *name, enum kbp_clock_cause cause,
		     struct kbp_clock_status *s)
{
	for (unsigned waited = 0; waited < PATIENCE_MS; waited += 10) {
		if (status_of(mon, name, s) && s->cause == cause)
			return true;
		pause_ms(10);
	}
	print_message("%s: %s, waited for %s: %s\n", s->name, kbp_clock_cause_name(s->cause),
		      kbp_clock_cause_name(cause), s->text);
	return false;
}

/* What ptp4l's own client shows of the slave. */
static void pmc(const char *what, char *out, size_t size)
{
	char command[256];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "pmc -u -b 0 -i %s/pmc -s %s/slave 'GET %s'", dir, dir,
		 what);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	pclose(f);
}

/* ---------------------------------------------------------------- tests */

static void a_slave_in_sync_is_found_so_and_its_clocks_account_too(void **state)
{
	struct kbp_monitor *mon = monitor_open(1000000, NULL, false);
	struct kbp_clock_status s = { 0 };
	struct kbp_claim claim;

	(void)state;
	assert_true(wait_for(mon, "slave", KBP_CLOCK_FINE, &s));
	pause_ms(200);
	assert_true(status_of(mon, "slave", &s));
	assert_int_equal(s.sync, KBP_SYNC_IN);
	assert_int_equal(s.witness, KBP_WITNESS_PTP4L);
	assert_int_equal(s.epoch, KBP_EPOCH_UTC); /* software timestamping: the system's clock */
	assert_string_equal(s.interface, SLAVE_IF);
	assert_string_equal(s.state, "SLAVE");
	assert_true(s.have_offset);
	/* the offset, the path delay and the master's own error */
	assert_true(s.bound_ns > 100 && s.bound_ns < KBP_BOUND_UNKNOWN);
	kbp_clock_judge(kbp_monitor_clock(mon, KBP_EPOCH_UTC, -1), clock_ns(CLOCK_REALTIME), &claim);
	assert_int_equal(claim.sync, KBP_SYNC_IN);
	assert_true(claim.bound_ns >= s.bound_ns / 2 && claim.bound_ns < KBP_BOUND_UNKNOWN);
	assert_true(claim.verified_ns > 0);
	kbp_monitor_close(mon);
}

static void two_instances_are_told_apart_across_network_namespaces(void **state)
{
	struct kbp_monitor *mon = monitor_open(1000000, NULL, true);
	struct kbp_clock_status s = { 0 }, m = { 0 };

	(void)state;
	assert_true(wait_for(mon, "slave", KBP_CLOCK_FINE, &s));
	/* it gives time and follows none: no statement on its clock, and no alarm */
	assert_true(wait_for(mon, "master", KBP_CLOCK_UNWATCHED, &m));
	assert_int_equal(m.sync, KBP_SYNC_UNKNOWN);
	assert_string_equal(m.state, "MASTER");
	assert_string_equal(m.interface, MASTER_IF);
	assert_string_equal(m.reference, s.reference);
	kbp_monitor_close(mon);
}

static void an_offset_beyond_the_limit_is_told(void **state)
{
	struct kbp_clock_status s = { 0 };
	struct kbp_monitor *mon = monitor_open(1000000, NULL, false);

	(void)state;
	assert_true(wait_for(mon, "slave", KBP_CLOCK_FINE, &s));
	kbp_monitor_close(mon);
	/* software timestamps a nanosecond apart would be a wonder, but happen */
	mon = monitor_open(1, NULL, false);
	assert_true(wait_for(mon, "slave", KBP_CLOCK_OFFSET, &s));
	assert_int_equal(s.sync, KBP_SYNC_NOT);
	assert_non_null(strstr(s.text, "limit"));
	kbp_monitor_close(mon);
}

static void a_lost_master_is_told_in_time_though_ptp4l_still_says_it_is_present(void **state)
{
	static struct events ev;
	struct kbp_monitor *mon = monitor_open(1000000, &ev, false);
	struct kbp_clock *clock = kbp_monitor_clock(mon, KBP_EPOCH_UTC, -1);
	struct kbp_clock_status s = { 0 };
	struct kbp_clock_event e = { 0 };
	struct kbp_claim before, after;
	uint64_t lost_ns, stamp_ns;
	char out[2048];

	(void)state;
	assert_true(wait_for(mon, "slave", KBP_CLOCK_FINE, &s));
	pause_ms(300);
	daemon_kill(&master);
	lost_ns = clock_ns(CLOCK_MONOTONIC_RAW);
	stamp_ns = clock_ns(CLOCK_REALTIME);
	pause_ms(120);
	kbp_clock_judge(clock, stamp_ns, &before); /* nobody knows yet */
	assert_true(event_of(&ev, "slave", KBP_CLOCK_MASTER_LOST, 0, &e));
	assert_int_equal(e.before, KBP_SYNC_IN);
	assert_int_equal(e.now.sync, KBP_SYNC_NOT);
	assert_true(e.raw_ns <= lost_ns + (ANNOUNCE_TIMEOUT_MS + 1000) * 1000000ull);
	/* once found out, what was stamped since the last sync reads otherwise */
	pause_ms(120);
	kbp_clock_judge(clock, stamp_ns, &after);
	assert_int_equal(before.sync, KBP_SYNC_IN);
	assert_int_equal(after.sync, KBP_SYNC_NOT);
	assert_int_equal(after.cause, KBP_CLOCK_MASTER_LOST);
	assert_true(after.settled);
	/* by its own word all is well, but for the port's state */
	for (unsigned i = 0; i < 100; i++) {
		pmc("PORT_DATA_SET", out, sizeof(out));
		if (strstr(out, "LISTENING"))
			break;
		pause_ms(50);
	}
	assert_non_null(strstr(out, "LISTENING"));
	pmc("TIME_STATUS_NP", out, sizeof(out));
	assert_non_null(strstr(out, "gmPresent                  true"));
	/* a monitor that comes later sees it too */
	kbp_monitor_close(mon);
	mon = monitor_open(1000000, NULL, false);
	assert_true(wait_for(mon, "slave", KBP_CLOCK_MASTER_LOST, &s));
	kbp_monitor_close(mon);
}

static void a_killed_daemon_is_told_and_its_return_too(void **state)
{
	static struct events ev;
	struct kbp_monitor *mon = monitor_open(1000000, &ev, false);
	struct kbp_clock_status s = { 0 };
	struct kbp_clock_event e = { 0 };
	unsigned n;

	(void)state;
	assert_true(wait_for(mon, "slave", KBP_CLOCK_FINE, &s));
	daemon_kill(&slave); /* its socket stays */
	assert_true(event_of(&ev, "slave", KBP_CLOCK_DAEMON_GONE, 0, &e));
	assert_int_equal(e.now.sync, KBP_SYNC_NOT);
	n = ev.n;
	slave = daemon_start("slave", SLAVE_IF, false);
	assert_true(event_of(&ev, "slave", KBP_CLOCK_FINE, n, &e));
	kbp_monitor_close(mon);
}

static void a_monitor_that_was_there_first_sees_a_slave_come_and_settle(void **state)
{
	static struct events ev;
	struct kbp_monitor *mon;
	struct kbp_clock_status s = { 0 };
	struct kbp_clock_event e = { 0 };

	pair_stop(state);
	mon = monitor_open(1000000, &ev, false);
	assert_true(status_of(mon, "slave", &s));
	assert_int_equal(s.cause, KBP_CLOCK_DAEMON_GONE);
	pair_start(state);
	assert_true(event_of(&ev, "slave", KBP_CLOCK_NOT_YET, 0, &e));
	assert_int_equal(e.now.sync, KBP_SYNC_NOT);
	assert_true(event_of(&ev, "slave", KBP_CLOCK_FINE, 0, &e));
	kbp_monitor_close(mon);
}

static void a_slave_that_only_measures_is_not_in_sync(void **state)
{
	struct kbp_monitor *mon;
	struct kbp_clock_status s = { 0 };

	pair_stop(state);
	config_write("slave", "slaveOnly 1\nfree_running 1\n");
	master_start();
	slave = daemon_start("slave", SLAVE_IF, false);
	mon = monitor_open(1000000, NULL, false);
	for (unsigned waited = 0; waited < PATIENCE_MS && !s.have_offset; waited += 10) {
		pause_ms(10);
		status_of(mon, "slave", &s);
	}
	assert_true(s.have_offset);
	pause_ms(500);
	assert_true(status_of(mon, "slave", &s));
	assert_string_equal(s.state, "UNCALIBRATED");
	assert_int_equal(s.sync, KBP_SYNC_NOT);
	assert_int_equal(s.cause, KBP_CLOCK_NOT_YET);
	kbp_monitor_close(mon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slave_in_sync_is_found_so_and_its_clocks_account_too),
		cmocka_unit_test(two_instances_are_told_apart_across_network_namespaces),
		cmocka_unit_test(an_offset_beyond_the_limit_is_told),
		cmocka_unit_test(a_killed_daemon_is_told_and_its_return_too),
		cmocka_unit_test(a_lost_master_is_told_in_time_though_ptp4l_still_says_it_is_present),
		cmocka_unit_test(a_monitor_that_was_there_first_sees_a_slave_come_and_settle),
		cmocka_unit_test(a_slave_that_only_measures_is_not_in_sync),
	};
	const char *why = netns_enter();
	char command[128];
	int rc;

	if (!why && system("command -v ptp4l >/dev/null && command -v pmc >/dev/null"))
		why = "linuxptp is not installed: apt-get install linuxptp";
	if (why) {
		print_message("%s\n", why);
		return TEST_SKIP;
	}
	snprintf(dir, sizeof(dir), "/tmp/kbypass-clock-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, pair_start, pair_stop);
	snprintf(command, sizeof(command), "%s %s", rc ? "echo left:" : "rm -r", dir);
	return system(command) || rc ? 1 : 0;
}
