/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts that we do not have, as trees of files: what is read from them, what is unknown, and what hurts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/measure/host.h"

static char root[64];
static struct kbp_host host;
static struct kbp_results res;

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/kbp-host-XXXXXX");
	memset(&host, 0, sizeof(host));
	memset(&res, 0, sizeof(res));
	host.root = root;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char cmd[96];

	(void)state;
	free(res.fingerprint);
	free(res.finding);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd);
}

/* A file of the other host, with the directories above it. */
static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	assert_true(snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full));
	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		assert_true(!mkdir(full, 0755) || errno == EEXIST);
		*at = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_bytes(const char *path, const void *data, size_t n)
{
	char full[256];
	FILE *f;

	put(path, "");
	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static const char *fact(const char *name)
{
	const char *v = kbp_results_fact(&res, name);

	if (!v)
		fail_msg("there is no fact %s", name);
	return v;
}

static bool is_unknown(const char *name)
{
	const char *v = fact(name);

	return kbp_fact_is_unknown(v) && strlen(v) > strlen("unknown: ");
}

static const struct kbp_finding *note(const char *code)
{
	for (uint32_t i = 0; i < res.n_findings; i++)
		if (!strcmp(res.finding[i].code, code))
			return &res.finding[i];
	return NULL;
}

#define CPU "/sys/devices/system/cpu"

static void put_idle(int cpu, int state, const char *name, const char *latency, const char *disable)
{
	char path[128];

	snprintf(path, sizeof(path), CPU "/cpu%d/cpuidle/state%d/name", cpu, state);
	put(path, name);
	snprintf(path, sizeof(path), CPU "/cpu%d/cpuidle/state%d/latency", cpu, state);
	put(path, latency);
	snprintf(path, sizeof(path), CPU "/cpu%d/cpuidle/state%d/disable", cpu, state);
	put(path, disable);
}

static void put_cpu(int cpu, const char *governor, const char *siblings)
{
	char path[128];

	snprintf(path, sizeof(path), CPU "/cpu%d/cpufreq/scaling_governor", cpu);
	put(path, governor);
	snprintf(path, sizeof(path), CPU "/cpu%d/cpufreq/scaling_driver", cpu);
	put(path, "intel_pstate\n");
	snprintf(path, sizeof(path), CPU "/cpu%d/cpufreq/scaling_min_freq", cpu);
	put(path, "800000\n");
	snprintf(path, sizeof(path), CPU "/cpu%d/cpufreq/scaling_max_freq", cpu);
	put(path, "4000000\n");
	snprintf(path, sizeof(path), CPU "/cpu%d/topology/thread_siblings_list", cpu);
	put(path, siblings);
	snprintf(path, sizeof(path), CPU "/cpu%d/power/pm_qos_resume_latency_us", cpu);
	put(path, "0\n");
	snprintf(path, sizeof(path), CPU "/cpu%d/node1/cpulist", cpu);
	put(path, "2-3\n");
	put_idle(cpu, 0, "POLL\n", "0\n", "0\n");
	put_idle(cpu, 1, "C1\n", "2\n", "0\n");
	put_idle(cpu, 2, "C6\n", "133\n", "0\n");
}

/* A server of two sockets as it comes from the shop: frequency scaling, deep idle states, SMT. */
static void put_intel(void)
{
	int32_t no_limit = 2000000000;

	put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6334\n"
			     "microcode\t: 0xd0003a5\nflags\t\t: fpu tsc constant_tsc\n\n");
	put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz isolcpus=2-3 rcu_nocbs=2-3 quiet\n");
	put(CPU "/vulnerabilities/meltdown", "Not affected\n");
	put(CPU "/vulnerabilities/spectre_v1", "Mitigation: usercopy\n");
	put(CPU "/vulnerabilities/mds", "Vulnerable\n");
	put(CPU "/online", "0-7\n");
	put(CPU "/isolated", "2-3\n");
	put(CPU "/nohz_full", "\n");
	put(CPU "/smt/control", "on\n");
	put(CPU "/intel_pstate/no_turbo", "0\n");
	put(CPU "/cpuidle/current_driver", "intel_idle\n");
	put(CPU "/cpuidle/current_governor", "menu\n");
	put("/sys/devices/system/node/online", "0-1\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put("/proc/sys/kernel/sched_rt_runtime_us", "950000\n");
	put("/proc/sys/kernel/sched_rt_period_us", "1000000\n");
	put_bytes("/dev/cpu_dma_latency", &no_limit, sizeof(no_limit));
	put_cpu(2, "powersave\n", "2,6\n");
	put_cpu(3, "performance\n", "3,7\n");
}

static void a_bare_metal_host_is_read_to_the_last_fact(void **state)
{
	(void)state;
	put_intel();
	kbp_host_facts(&res, &host, 2, 3);
	assert_string_equal(fact("cpu_model"), "Intel(R) Xeon(R) Gold 6334");
	assert_string_equal(fact("microcode"), "0xd0003a5");
	assert_string_equal(fact("mitigations"), "mds: Vulnerable; spectre_v1: Mitigation: usercopy");
	assert_string_equal(fact("virtual_machine"), "no");
	assert_string_equal(fact("cpus_isolated"), "2-3");
	assert_string_equal(fact("nohz_full"), "none");
	assert_string_equal(fact("rcu_nocbs"), "2-3");
	assert_string_equal(fact("frequency_driver"), "intel_pstate");
	assert_string_equal(fact("boost"), "on");
	assert_string_equal(fact("governor"), "powersave");
	assert_string_equal(fact("governor_tx"), "performance");
	assert_string_equal(fact("frequency_khz"), "800000 to 4000000");
	assert_string_equal(fact("idle_states"), "POLL 0 us, C1 2 us, C6 133 us");
	assert_string_equal(fact("cpu_dma_latency_us"), "2000000000");
	assert_string_equal(fact("smt_siblings"), "2,6");
	assert_string_equal(fact("numa_node_cpu"), "1");
	assert_true(is_unknown("fair_server"));
}

static void a_virtual_machine_without_frequency_driver_says_why_it_is_unknown(void **state)
{
	(void)state;
	put("/proc/cpuinfo", "model name\t: AMD EPYC\nflags\t\t: fpu hypervisor tsc\n");
	strcpy(host.hypervisor, "KVMKVMKVM");
	put("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
	put(CPU "/cpu1/topology/thread_siblings_list", "1\n");
	kbp_host_facts(&res, &host, 1, -1);
	assert_string_equal(fact("virtual_machine"), "yes: KVMKVMKVM, Amazon EC2");
	assert_true(is_unknown("governor"));
	assert_non_null(strstr(fact("governor"), "no frequency driver"));
	assert_true(is_unknown("boost"));
	assert_true(is_unknown("idle_states"));
	assert_true(is_unknown("microcode"));
	assert_null(kbp_results_fact(&res, "governor_tx")); /* nobody sends */
}

static void an_arm_host_is_known_by_its_cpu_s_numbers_and_the_rest_is_unknown(void **state)
{
	(void)state;
	put("/proc/cpuinfo",
	    "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n"
	    "CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n");
	kbp_host_facts(&res, &host, 0, 1);
	assert_string_equal(fact("cpu_model"),
			    "implementer 0x41, part 0xd0c, variant 0x3, revision 1");
	assert_true(is_unknown("virtual_machine"));
	assert_true(is_unknown("smt"));
	assert_true(is_unknown("mitigations"));
	assert_true(is_unknown("sched_rt_runtime_us"));
	assert_true(is_unknown("cpu_dma_latency_us"));
	assert_true(is_unknown("numa_node_cpu"));
	assert_true(is_unknown("rcu_nocbs"));
}

static void every_fact_that_is_unknown_names_a_file_or_a_reason(void **state)
{
	(void)state;
	kbp_host_facts(&res, &host, 0, 1);
	assert_true(res.n_fingerprint > 20);
	for (uint32_t i = 0; i < res.n_fingerprint; i++)
		if (!strncmp(res.fingerprint[i].value, "unknown", 7))
			assert_true(is_unknown(res.fingerprint[i].name));
}

/* ---------------------------------------------------------------- what hurts */

static void what_hurts_on_a_host_as_it_comes_is_noted(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 3, .fifo_rx = true };

	(void)state;
	put_intel();
	kbp_host_notes(&res, &host, &use);
	assert_null(note("virtual_machine"));
	assert_non_null(note("rt_throttling"));
	assert_non_null(strstr(note("rt_throttling")->text, "50000 of 1000000 us"));
	assert_non_null(note("cpu_frequency"));
	assert_non_null(strstr(note("cpu_frequency")->text, "powersave"));
	assert_non_null(note("idle_states"));
	assert_non_null(strstr(note("idle_states")->text, "C6"));
	assert_null(note("smt_siblings"));
	for (uint32_t i = 0; i < res.n_findings; i++)
		assert_true(res.finding[i].note);
}

static void a_tuned_host_gets_no_notes(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 3, .cpu_tx = 3, .fifo_rx = true };
	int32_t zero = 0;

	(void)state;
	put_intel();
	put(CPU "/cpu3/cpufreq/scaling_min_freq", "4000000\n");
	put_bytes("/dev/cpu_dma_latency", &zero, sizeof(zero));
	put("/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	put("/proc/sys/kernel/osrelease", "6.1.0-28-amd64\n");
	kbp_host_notes(&res, &host, &use);
	assert_int_equal(res.n_findings, 0);
}

static void a_frequency_that_may_move_under_performance_is_noted(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 3, .cpu_tx = 3 };

	(void)state;
	put_intel();
	kbp_host_notes(&res, &host, &use);
	assert_non_null(strstr(note("cpu_frequency")->text, "800 to 4000 MHz"));
}

static void idle_states_that_are_switched_off_do_not_hurt(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 2 };

	(void)state;
	put_intel();
	put_idle(2, 2, "C6\n", "133\n", "1\n");
	kbp_host_notes(&res, &host, &use);
	assert_null(note("idle_states"));
	kbp_host_facts(&res, &host, 2, -1);
	assert_string_equal(fact("idle_states"), "POLL 0 us, C1 2 us, C6 133 us off");
}

static void a_cpu_s_own_latency_limit_keeps_it_out_of_deep_states(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 2 };

	(void)state;
	put_intel();
	put(CPU "/cpu2/power/pm_qos_resume_latency_us", "50\n");
	kbp_host_notes(&res, &host, &use);
	assert_null(note("idle_states"));
}

static void without_fifo_throttling_is_no_matter(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 3, .cpu_tx = 3 };

	(void)state;
	put_intel();
	kbp_host_notes(&res, &host, &use);
	assert_null(note("rt_throttling"));
}

static void the_fair_server_is_what_takes_time_where_there_is_one(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 3, .fifo_rx = true };

	(void)state;
	put_intel();
	put("/sys/kernel/debug/sched/fair_server/cpu2/runtime", "50000000\n");
	put("/sys/kernel/debug/sched/fair_server/cpu2/period", "1000000000\n");
	kbp_host_notes(&res, &host, &use);
	assert_non_null(strstr(note("rt_throttling")->text, "50000000 of 1000000000 ns"));
	kbp_host_facts(&res, &host, 2, 3);
	assert_string_equal(fact("fair_server"), "50000000 of 1000000000 ns");
}

static void a_fair_server_that_cannot_be_read_is_said_to_be_there(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 3, .fifo_rx = true };

	(void)state;
	put_intel();
	put("/proc/sys/kernel/osrelease", "6.12.3-arch1\n");
	kbp_host_notes(&res, &host, &use);
	assert_non_null(strstr(note("rt_throttling")->text, "cannot be read"));
	put("/proc/sys/kernel/osrelease", "6.8.0-45-generic\n");
	res.n_findings = 0;
	kbp_host_notes(&res, &host, &use);
	assert_non_null(strstr(note("rt_throttling")->text, "50000 of 1000000 us"));
}

static void two_roles_on_one_core_are_noted(void **state)
{
	const struct kbp_host_use use = { .cpu_rx = 2, .cpu_tx = 6 };

	(void)state;
	put_intel();
	kbp_host_notes(&res, &host, &use);
	assert_non_null(note("smt_siblings"));
}

/* ---------------------------------------------------------------- /proc/stat */

static void time_of_a_cpu_is_of_that_cpu(void **state)
{
	struct kbp_cpu_time t;
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	put("/proc/stat", "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 3 40 5 6 7 8 0 0\n"
			  "cpu11 100 0 0 0 0 0 0 200 0 0\nintr 5\n");
	assert_int_equal(kbp_cpu_time_read(&host, 11, &t), 0);
	assert_true(t.known);
	assert_int_equal(t.busy_ns, 100 * tick_ns);
	assert_int_equal(t.steal_ns, 200 * tick_ns);
	assert_int_equal(kbp_cpu_time_read(&host, 1, &t), 0);
	assert_int_equal(t.busy_ns, (1 + 2 + 3 + 6 + 7) * tick_ns);
	assert_int_equal(t.idle_ns, 45 * tick_ns);
	assert_int_equal(t.steal_ns, 8 * tick_ns);
}

static void a_cpu_that_proc_stat_does_not_name_is_unknown(void **state)
{
	struct kbp_cpu_time t;

	(void)state;
	put("/proc/stat", "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 3 40\n");
	assert_int_not_equal(kbp_cpu_time_read(&host, 1, &t), 0);
	assert_false(t.known);
	assert_int_not_equal(kbp_cpu_time_read(&host, 2, &t), 0);
}

static void a_busy_sibling_is_a_fact_and_a_note(void **state)
{
	const struct kbp_watched_cpu w = { .cpu = 6, .before = { .known = true } };
	const struct kbp_cpu_time busy = { .known = true, .busy_ns = 300, .idle_ns = 700 };
	const struct kbp_cpu_time idle = { .known = true, .busy_ns = 10, .idle_ns = 990 };

	(void)state;
	kbp_sibling_fact(&res, "smt_sibling_busy", &w, &idle, 3);
	assert_string_equal(fact("smt_sibling_busy"), "CPU 6 busy 1.0 %");
	assert_null(note("smt_busy"));
	kbp_sibling_fact(&res, "smt_sibling_busy_tx", &w, &busy, 3);
	assert_string_equal(fact("smt_sibling_busy_tx"), "CPU 6 busy 30.0 %");
	assert_non_null(note("smt_busy"));
}

/* ---------------------------------------------------------------- interfaces */

static void a_pci_nic_is_known_by_model_node_and_interrupts(void **state)
{
	(void)state;
	put("/sys/bus/pci/devices/0000:03:00.0/vendor", "0x15b3\n");
	put("/sys/bus/pci/devices/0000:03:00.0/device", "0x101d\n");
	put("/sys/bus/pci/devices/0000:03:00.0/subsystem_vendor", "0x15b3\n");
	put("/sys/bus/pci/devices/0000:03:00.0/subsystem_device", "0x0043\n");
	put("/sys/bus/pci/devices/0000:03:00.0/numa_node", "1\n");
	put("/sys/bus/pci/devices/0000:03:00.0/msi_irqs/101", "msix\n");
	put("/sys/bus/pci/devices/0000:03:00.0/msi_irqs/99", "msix\n");
	put("/sys/bus/pci/devices/0000:03:00.0/msi_irqs/100", "msix\n"); /* not in use */
	put("/proc/irq/99/effective_affinity_list", "4\n");
	put("/proc/irq/101/effective_affinity_list", "\n");
	put("/proc/irq/101/smp_affinity_list", "0-7\n");
	kbp_nic_bus_facts(&res, &host, "rx_nic_", "0000:03:00.0", "eth1");
	assert_string_equal(fact("rx_nic_model"), "15b3:101d, subsystem 15b3:0043");
	assert_string_equal(fact("rx_nic_numa_node"), "1");
	assert_string_equal(fact("rx_nic_irqs"), "99 101");
	assert_string_equal(fact("rx_nic_irq_cpus"), "4 0-7");
}

static void a_virtio_nic_has_the_interrupts_that_carry_its_name(void **state)
{
	(void)state;
	put("/proc/interrupts", "           CPU0       CPU1\n"
				" 24:         10          0   PCI-MSI 0-edge      virtio1-req.0\n"
				" 36:          1          2   PCI-MSI 1-edge      virtio0-input.0\n"
				" 37:          3          4   PCI-MSI 2-edge      virtio0-output.0\n"
				"NMI:          0          0   Non-maskable interrupts\n");
	put("/proc/irq/36/effective_affinity_list", "1\n");
	put("/proc/irq/37/effective_affinity_list", "0\n");
	kbp_nic_bus_facts(&res, &host, "rx_nic_", "virtio0", "eth0");
	assert_string_equal(fact("rx_nic_irqs"), "36 37");
	assert_string_equal(fact("rx_nic_irq_cpus"), "1 0");
	assert_string_equal(fact("rx_nic_model"), "none");
}

static void a_nic_whose_bus_cannot_be_read_is_unknown(void **state)
{
	(void)state;
	kbp_nic_bus_facts(&res, &host, "tx_nic_", "0000:03:00.0", "eth1");
	assert_true(is_unknown("tx_nic_model"));
	assert_true(is_unknown("tx_nic_numa_node"));
	assert_true(is_unknown("tx_nic_irq_cpus"));
}

static void an_interface_that_is_not_there_is_unknown_throughout(void **state)
{
	(void)state;
	kbp_nic_facts(&res, &host, "rx_nic_", "no_such_if0");
	assert_true(res.n_fingerprint >= 15);
	for (uint32_t i = 0; i < res.n_fingerprint; i++)
		assert_true(is_unknown(res.fingerprint[i].name));
}

static void lists_of_cpus_are_read_with_ranges(void **state)
{
	(void)state;
	assert_true(kbp_cpulist_has("0,4-7", 6));
	assert_false(kbp_cpulist_has("0,4-7", 3));
	assert_int_equal(kbp_cpulist_other("2,6", 2), 6);
	assert_int_equal(kbp_cpulist_other("2,6", 6), 2);
	assert_int_equal(kbp_cpulist_other("4-5", 4), 5);
	assert_int_equal(kbp_cpulist_other("3", 3), -1);
	assert_int_equal(kbp_cpulist_other("", 3), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bare_metal_host_is_read_to_the_last_fact),
		TEST(a_virtual_machine_without_frequency_driver_says_why_it_is_unknown),
		TEST(an_arm_host_is_known_by_its_cpu_s_numbers_and_the_rest_is_unknown),
		TEST(every_fact_that_is_unknown_names_a_file_or_a_reason),
		TEST(what_hurts_on_a_host_as_it_comes_is_noted),
		TEST(a_tuned_host_gets_no_notes),
		TEST(a_frequency_that_may_move_under_performance_is_noted),
		TEST(idle_states_that_are_switched_off_do_not_hurt),
		TEST(a_cpu_s_own_latency_limit_keeps_it_out_of_deep_states),
		TEST(without_fifo_throttling_is_no_matter),
		TEST(the_fair_server_is_what_takes_time_where_there_is_one),
		TEST(a_fair_server_that_cannot_be_read_is_said_to_be_there),
		TEST(two_roles_on_one_core_are_noted),
		TEST(time_of_a_cpu_is_of_that_cpu),
		TEST(a_cpu_that_proc_stat_does_not_name_is_unknown),
		TEST(a_busy_sibling_is_a_fact_and_a_note),
		TEST(a_pci_nic_is_known_by_model_node_and_interrupts),
		TEST(a_virtio_nic_has_the_interrupts_that_carry_its_name),
		TEST(a_nic_whose_bus_cannot_be_read_is_unknown),
		TEST(an_interface_that_is_not_there_is_unknown_throughout),
		TEST(lists_of_cpus_are_read_with_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
