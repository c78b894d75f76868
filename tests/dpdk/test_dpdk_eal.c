/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_eal.c - the manners of DPDK's environment inside a program of somebody else's: the public headers,
 * the shared library, the module, and what the process looks like afterwards. argv: the folder of the modules.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kbypass/kbypass.h>

#include "../lib/netns.h"
#include "child.h"

#define NOBODY 65534

static const char *modules;
static struct kbp_error err;
static struct kbp_port *port;

static int try_open(const char *name, const char *args, uint32_t flags)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	memset(&err, 0, sizeof(err));
	o.module_dir = modules;
	o.args = args;
	o.flags = flags;
	return kbp_port_open("dpdk", name, &o, &port, &err);
}

static void open_port(const char *name, const char *args, uint32_t flags)
{
	int rc = try_open(name, args, flags);

	must(!rc, "%s: %d: %s: %s", name, rc, err.step, err.hint);
}

static void close_port(void)
{
	must(!kbp_port_close(port, &err), "%s: %s", err.step, err.hint);
}

static void refused(int rc, int code)
{
	must(rc == code && !port && err.code == code, "%d: %s: %s", rc, err.step, err.hint);
}

static void says(const char *part)
{
	must(strstr(err.step, part) || strstr(err.hint, part), "nothing like \"%s\" in: %s: %s",
	     part, err.step, err.hint);
}

static bool hugepages_free(void)
{
	static const char *const sizes[] = { "2048", "1048576" };
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !n; i++) {
		char path[96];
		FILE *f;

		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%skB/free_hugepages", sizes[i]);
		f = fopen(path, "r");
		if (f && fscanf(f, "%u", &n) != 1)
			n = 0;
		if (f)
			fclose(f);
	}
	return n;
}

static void become_nobody(void)
{
	char path[512];

	if (geteuid())
		return;
	must(!setresuid(NOBODY, NOBODY, NOBODY), "%s", strerror(errno));
	snprintf(path, sizeof(path), "%s/libkbypass-dpdk.so", modules);
	if (access(path, R_OK))
		child_skip("%s: an ordinary user cannot read it", path);
}

/* ---------------------------------------------------------------- what stays as it was */

static void opens_and_closes(void)
{
	open_port("net_ring0", NULL, 0);
	close_port();
}

static void a_port_opens_and_closes_and_nothing_is_printed(void **state)
{
	(void)state;
	child_run(opens_and_closes);
}

static void prints_around_the_start(void)
{
	printf("before, ");
	open_port("net_ring0", NULL, 0);
	printf("between, ");
	close_port();
	printf("after");
	fprintf(stderr, "complaint");
}

static void what_the_program_prints_itself_comes_out_once_and_in_order(void **state)
{
	struct child_said said;

	(void)state;
	child_run_loud(prints_around_the_start, &said);
	assert_string_equal(said.out, "before, between, after");
	assert_string_equal(said.err, "complaint");
}

static void on_log(enum kbp_log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	printf("log: %s\n", text);
}

static void logs_to_stdout(void)
{
	kbp_log_set(on_log, NULL);
	open_port("net_ring0", "--log-level=lib.eal:debug", 0);
	close_port();
}

static void a_log_callback_that_prints_is_heard_during_the_start(void **state)
{
	struct child_said said;

	(void)state;
	child_run_loud(logs_to_stdout, &said);
	assert_non_null(strstr(said.out, "log: EAL: "));
	assert_string_equal(said.err, "");
}

/* Of the whole set the kernel knows and fills in the first words only. */
static bool same_set(const sigset_t *a, const sigset_t *b)
{
	for (int s = 1; s < 65; s++)
		if (sigismember(a, s) != sigismember(b, s))
			return false;
	return true;
}

static void handlers_read(struct sigaction a[65])
{
	memset(a, 0, 65 * sizeof(a[0]));
	for (int s = 1; s < 65; s++)
		sigaction(s, NULL, &a[s]); /* glibc refuses two that are its own */
}

static void keeps_handlers(void)
{
	struct sigaction before[65], after[65];

	signal(SIGPIPE, SIG_IGN);
	handlers_read(before);
	open_port("net_ring0", NULL, 0);
	handlers_read(after);
	close_port();
	for (int s = 1; s < 65; s++)
		must(before[s].sa_handler == after[s].sa_handler &&
			     before[s].sa_flags == after[s].sa_flags &&
			     same_set(&before[s].sa_mask, &after[s].sa_mask),
		     "the handler of signal %d was changed", s);
}

static void signal_handlers_stay_as_they_were(void **state)
{
	(void)state;
	child_run(keeps_handlers);
}

static void keeps_mask(void)
{
	sigset_t before, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	open_port("net_ring0", NULL, 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	close_port();
	must(same_set(&before, &after), "the mask is another one");
}

static void the_openers_signal_mask_stays_as_it_was(void **state)
{
	(void)state;
	child_run(keeps_mask);
}

static void affinity_stays(const cpu_set_t *wanted)
{
	cpu_set_t after;

	must(!sched_setaffinity(0, sizeof(*wanted), wanted), "%s", strerror(errno));
	open_port("net_ring0", NULL, 0);
	must(!sched_getaffinity(0, sizeof(after), &after), "%s", strerror(errno));
	must(CPU_EQUAL(wanted, &after), "from %d CPUs to %d", CPU_COUNT(wanted), CPU_COUNT(&after));
	close_port();
}

static void keeps_all_cpus(void)
{
	cpu_set_t all;

	must(!sched_getaffinity(0, sizeof(all), &all), "%s", strerror(errno));
	affinity_stays(&all);
}

static void keeps_last_cpu(void)
{
	cpu_set_t all, one;
	size_t last = 0;

	must(!sched_getaffinity(0, sizeof(all), &all), "%s", strerror(errno));
	for (size_t c = 0; c < CPU_SETSIZE; c++)
		last = CPU_ISSET(c, &all) ? c : last;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	affinity_stays(&one);
}

static void the_opener_may_run_where_it_might_before(void **state)
{
	(void)state;
	child_run(keeps_all_cpus);
	child_run(keeps_last_cpu);
}

static void file_line(const char *path, const char *begin, char *line, size_t size)
{
	FILE *f = fopen(path, "r");

	must(f, "%s: %s", path, strerror(errno));
	do
		must(fgets(line, (int)size, f), "%s: no line %s", path, begin);
	while (strncmp(line, begin, strlen(begin)) != 0);
	fclose(f);
}

static void keeps_name(void)
{
	char before[64], after[64];

	file_line("/proc/self/comm", "", before, sizeof(before));
	open_port("net_ring0", NULL, 0);
	file_line("/proc/self/comm", "", after, sizeof(after));
	close_port();
	must(!strcmp(before, after), "from %s to %s", before, after);
}

static void the_opening_thread_keeps_its_name(void **state)
{
	(void)state;
	child_run(keeps_name);
}

/* SIGKILL and SIGSTOP cannot be blocked, and glibc keeps 32 and 33 to itself. */
static void blocks_signals(void)
{
	const uint64_t all = ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 3ull << 31);
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	open_port("net_ring0", NULL, 0);
	d = opendir("/proc/self/task");
	must(d, "%s", strerror(errno));
	while ((e = readdir(d))) {
		char path[64], line[128], name[128];
		unsigned long long blocked;

		if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", e->d_name);
		file_line(path, "Name:", name, sizeof(name));
		file_line(path, "SigBlk:", line, sizeof(line));
		must(sscanf(line, "SigBlk: %llx", &blocked) == 1, "%s", line);
		must((blocked & all) == all, "%s", strcat(name, line));
		n++;
	}
	closedir(d);
	must(n >= 2, "%u threads besides the opener: EAL's and the monitor were expected", n);
	close_port();
}

static void no_thread_but_the_programs_gets_its_signals(void **state)
{
	(void)state;
	child_run(blocks_signals);
}

/* ---------------------------------------------------------------- files */

static void nothing_is_left(const char *when)
{
	must(!child_names("/run")[0], "%s: /run has %s", when, child_names("/run"));
	must(!child_names("/dev/shm")[0], "%s: /dev/shm has %s", when, child_names("/dev/shm"));
	must(!child_names("/dev/hugepages")[0], "%s: /dev/hugepages has %s", when,
	     child_names("/dev/hugepages"));
}

static void has_places(void)
{
	const char *why = child_places();

	if (why)
		child_skip("%s", why);
	setenv("XDG_RUNTIME_DIR", "/dev/shm", 1); /* an ordinary user's /run */
}

static void opens_without_files(void)
{
	has_places();
	open_port("net_ring0", NULL, 0);
	nothing_is_left("while a port is open");
	close_port();
	nothing_is_left("when it is closed");
}

static void opens_without_files_as_nobody(void)
{
	has_places();
	become_nobody();
	open_port("net_ring0", NULL, 0);
	nothing_is_left("while a port is open");
	close_port();
	nothing_is_left("when it is closed");
}

static void no_file_is_left_anywhere(void **state)
{
	(void)state;
	child_run(opens_without_files);
	child_run(opens_without_files_as_nobody);
}

static void fails_without_files(void)
{
	has_places();
	must(try_open("net_ring0", "--no-such-word", 0), "it was opened");
	nothing_is_left("after a failed start");
}

static void a_start_that_fails_leaves_no_file(void **state)
{
	(void)state;
	child_run(fails_without_files);
}

/* ---------------------------------------------------------------- arguments */

static void gives_bad_argument(void)
{
	refused(try_open("net_ring0", "--no-such-word", 0), -EINVAL);
	says("no-such-word");
}

static void an_argument_that_eal_does_not_know_is_named(void **state)
{
	(void)state;
	child_run(gives_bad_argument);
}

static const char *ending;

static void asks_for_usage(void)
{
	refused(try_open("net_ring0", ending, 0), -EINVAL);
	says(ending);
	open_port("net_ring0", NULL, 0);
	close_port();
}

static void an_argument_that_ends_the_process_is_refused(void **state)
{
	static const char *const args[] = { "-h", "--help", "-v", "--version" };

	(void)state;
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		ending = args[i];
		child_run(asks_for_usage);
	}
}

/* getopt_long takes the beginning of a word for the word, and letters together for each of them. */
static void asks_for_usage_in_short(void)
{
	must(try_open("net_ring0", ending, 0), "%s was taken", ending);
}

static void one_that_ends_the_process_is_refused_in_any_spelling(void **state)
{
	static const char *const args[] = { "--hel", "--vers", "-vh" };

	(void)state;
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		ending = args[i];
		child_run(asks_for_usage_in_short);
	}
}

static void gives_unknown_word(void)
{
	refused(try_open("net_ring0", "nonsense", 0), -EINVAL);
	says("nonsense");
	says("queues=");
	says("match=off");
	says("isolate");
	open_port("net_ring0", NULL, 0); /* nothing was started with it */
	close_port();
}

static void an_unknown_word_lists_the_words(void **state)
{
	(void)state;
	child_run(gives_unknown_word);
}

static void opens_two(void)
{
	struct kbp_port *first;

	open_port("net_ring0", "--no-huge", 0);
	first = port;
	open_port("net_ring1", "--no-huge", 0);
	close_port();
	open_port("net_ring1", NULL, 0); /* no wishes */
	close_port();
	port = first;
	close_port();
}

static void a_second_port_with_the_same_arguments_opens(void **state)
{
	(void)state;
	child_run(opens_two);
}

static void opens_two_ways(void)
{
	open_port("net_ring0", "--no-huge", 0);
	refused(try_open("net_ring1", "--no-huge -m 64", 0), -EBUSY);
	says("--no-huge -m 64");
	must(!strcmp(err.hint, "--no-huge") || strstr(err.hint, "--no-huge"), "%s", err.hint);
}

static void other_arguments_are_refused_with_those_that_run(void **state)
{
	(void)state;
	child_run(opens_two_ways);
}

/* ---------------------------------------------------------------- one process, once */

static void opens_again(void)
{
	for (unsigned i = 0; i < 20; i++)
		opens_and_closes();
}

static void a_port_opens_again_and_again(void **state)
{
	(void)state;
	child_run(opens_again);
}

static void forks_and_opens(void)
{
	pid_t pid;
	int status;

	open_port("net_ring0", NULL, 0);
	pid = fork();
	must(pid >= 0, "%s", strerror(errno));
	if (!pid) {
		refused(try_open("net_ring1", NULL, 0), -ECHILD);
		says("fork");
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && !status, "the forked process: status %x", status);
	close_port();
}

static void a_forked_process_is_refused(void **state)
{
	(void)state;
	child_run(forks_and_opens);
}

static void opens_pci_that_is_not_there(void)
{
	open_port("net_ring0", NULL, 0);
	refused(try_open("ffff:1f:00.7", NULL, 0), -ENODEV);
	says("ffff:1f:00.7");
}

static void a_pci_address_that_is_not_there_is_named(void **state)
{
	(void)state;
	child_run(opens_pci_that_is_not_there);
}

/* A device of files, seen by this process alone: nothing real can be touched, whatever the code under test does. */
static void fake_pci(const char *addr)
{
	static const char *const facts[][2] = {
		{ "vendor", "0x8086" },		  { "device", "0x10fb" },
		{ "subsystem_vendor", "0x8086" }, { "subsystem_device", "0x0003" },
		{ "class", "0x020000" },	  { "numa_node", "-1" }
	};
	char path[128];

	if (mount("none", "/sys/bus/pci/devices", "tmpfs", 0, NULL))
		child_skip("nothing can be mounted over /sys/bus/pci/devices here");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", addr);
	must(!mkdir(path, 0755), "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", addr, facts[i][0]);
		f = fopen(path, "w");
		must(f, "%s: %s", path, strerror(errno));
		fprintf(f, "%s\n", facts[i][1]);
		fclose(f);
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", addr);
	must(!symlink("../../drivers/uio_pci_generic", path), "%s: %s", path, strerror(errno));
}

static void opens_pci_too_late(void)
{
	has_places();
	fake_pci("0000:1f:00.7");
	open_port("net_ring0", NULL, 0);
	close_port();
	refused(try_open("0000:1f:00.7", NULL, 0), -EBUSY);
	says("0000:1f:00.7");
	says("virtual device");
	says("-a ADDRESS");
	open_port("net_ring0", NULL, 0);
	close_port();
}

static void a_pci_device_after_a_virtual_one_is_refused(void **state)
{
	(void)state;
	child_run(opens_pci_too_late);
}

/* ---------------------------------------------------------------- devices */

static void opens_missing_pmd(void)
{
	refused(try_open("net_nix0", NULL, 0), -ENOENT);
	says("net_nix");
	says("librte-net-nix"); /* the package */
}

static void a_driver_that_is_not_installed_is_named(void **state)
{
	(void)state;
	child_run(opens_missing_pmd);
}

static void opens_unknown_name(void)
{
	refused(try_open("nix0", NULL, 0), -ENODEV);
	says("nix0");
	says("net_ring0");
}

static void a_name_that_means_nothing_tells_what_would(void **state)
{
	(void)state;
	child_run(opens_unknown_name);
}

/* ---------------------------------------------------------------- memory */

static void opens_strictly(void)
{
	if (hugepages_free())
		child_skip("this machine has free hugepages");
	refused(try_open("net_ring0", NULL, KBP_PORT_STRICT), -ENOMEM);
	says("node");
	says("MiB");
	says("free");
	says("nr_hugepages");
}

static void strict_without_hugepages_says_how_many_are_missing_and_what_to_do(void **state)
{
	(void)state;
	child_run(opens_strictly);
}

static void opens_without_hugepages(void)
{
	struct kbp_port_info info;

	if (hugepages_free())
		child_skip("this machine has free hugepages");
	open_port("net_ring0", NULL, 0);
	kbp_port_info(port, &info);
	close_port();
	must(strstr(info.note, "ordinary pages"), "the note is \"%s\"", info.note);
}

static void without_hugepages_the_port_says_so(void **state)
{
	(void)state;
	child_run(opens_without_hugepages);
}

static void opens_strictly_without(void)
{
	struct kbp_port_info info;

	open_port("net_ring0", "--no-huge", KBP_PORT_STRICT);
	kbp_port_info(port, &info);
	close_port();
	must(!info.note[0], "the note is \"%s\"", info.note);
}

static void ordinary_pages_that_were_asked_for_are_fine_under_strict(void **state)
{
	(void)state;
	child_run(opens_strictly_without);
}

/* ---------------------------------------------------------------- privilege */

static void opens_as_nobody(void)
{
	become_nobody();
	open_port("net_ring0", NULL, 0);
	close_port();
}

static void an_ordinary_user_may_open_a_device_in_memory(void **state)
{
	(void)state;
	child_run(opens_as_nobody);
}

static void opens_interface_as_nobody(void)
{
	const char *why = netns_enter();

	if (!why)
		why = netns_veth("kt0", "kt1", 1500, 1);
	if (why)
		child_skip("%s", why);
	become_nobody();
	refused(try_open("kt0", NULL, 0), -EPERM);
	says("CAP_NET_RAW");
	says("kt0");
}

static void an_interface_without_privilege_names_the_capability(void **state)
{
	(void)state;
	child_run(opens_interface_as_nobody);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_opens_and_closes_and_nothing_is_printed),
		cmocka_unit_test(what_the_program_prints_itself_comes_out_once_and_in_order),
		cmocka_unit_test(a_log_callback_that_prints_is_heard_during_the_start),
		cmocka_unit_test(signal_handlers_stay_as_they_were),
		cmocka_unit_test(the_openers_signal_mask_stays_as_it_was),
		cmocka_unit_test(the_opener_may_run_where_it_might_before),
		cmocka_unit_test(the_opening_thread_keeps_its_name),
		cmocka_unit_test(no_thread_but_the_programs_gets_its_signals),
		cmocka_unit_test(no_file_is_left_anywhere),
		cmocka_unit_test(a_start_that_fails_leaves_no_file),
		cmocka_unit_test(an_argument_that_eal_does_not_know_is_named),
		cmocka_unit_test(an_argument_that_ends_the_process_is_refused),
		cmocka_unit_test(one_that_ends_the_process_is_refused_in_any_spelling),
		cmocka_unit_test(an_unknown_word_lists_the_words),
		cmocka_unit_test(a_second_port_with_the_same_arguments_opens),
		cmocka_unit_test(other_arguments_are_refused_with_those_that_run),
		cmocka_unit_test(a_port_opens_again_and_again),
		cmocka_unit_test(a_forked_process_is_refused),
		cmocka_unit_test(a_pci_address_that_is_not_there_is_named),
		cmocka_unit_test(a_pci_device_after_a_virtual_one_is_refused),
		cmocka_unit_test(a_driver_that_is_not_installed_is_named),
		cmocka_unit_test(a_name_that_means_nothing_tells_what_would),
		cmocka_unit_test(strict_without_hugepages_says_how_many_are_missing_and_what_to_do),
		cmocka_unit_test(without_hugepages_the_port_says_so),
		cmocka_unit_test(ordinary_pages_that_were_asked_for_are_fine_under_strict),
		cmocka_unit_test(an_ordinary_user_may_open_a_device_in_memory),
		cmocka_unit_test(an_interface_without_privilege_names_the_capability),
	};

	if (argc != 2)
		return 2;
	modules = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
