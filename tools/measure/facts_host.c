/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts_host.c - the host in the fingerprint: kernel, CPU, frequency, idle states, SMT, NUMA, isolation. Where the
 * kernel documents a file: Documentation/ABI/{stable,testing}/sysfs-devices-system-cpu, admin-guide/pm/{cpufreq,
 * cpuidle}.rst, scheduler/sched-rt-group.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/host.h"

#define CPU_DIR "/sys/devices/system/cpu"
#define IDLE_STATES_MAX 16

/* One line of a file as a fact; `empty` is what an empty file says. */
static void file_fact(struct kbp_results *res, const struct kbp_host *h, const char *name,
		      const char *path, const char *empty)
{
	char text[2000];
	int rc = kbp_host_line(h, text, sizeof(text), "%s", path);

	if (rc)
		kbp_host_unknown(res, name, "%s: %s", path, strerror(-rc));
	else if (text[0] && strcmp(text, "(null)") != 0)
		kbp_host_fact(res, name, "%s", text);
	else if (empty)
		kbp_host_fact(res, name, "%s", empty);
	else
		kbp_host_unknown(res, name, "%s is empty", path);
}

/* The same as a number. */
static void number_fact(struct kbp_results *res, const struct kbp_host *h, const char *name,
			const char *path)
{
	int64_t v;
	int rc = kbp_host_number(h, &v, "%s", path);

	if (rc)
		kbp_host_unknown(res, name, "%s: %s", path, strerror(-rc));
	else
		kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, name, "%lld", (long long)v);
}

/* ---------------------------------------------------------------- the CPU */

/* "model name<tab>: AMD EPYC" of the first CPU that has it. */
static bool cpuinfo(const struct kbp_host *h, const char *key, char *buf, size_t size)
{
	FILE *f = kbp_host_open(h, "/proc/cpuinfo");
	size_t len = strlen(key);
	bool found = false;
	char line[4096];

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, key, len) != 0 || !colon ||
		    strspn(line + len, "\t ") != (size_t)(colon - line) - len)
			continue;
		colon += 1 + strspn(colon + 1, " ");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(buf, size, "%s", colon);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

/* arm64 has no names for its CPUs, but their numbers (arch/arm64/kernel/cpuinfo.c). */
static void cpu_facts(struct kbp_results *res, const struct kbp_host *h)
{
	char a[256] = "", part[32] = "", variant[32] = "", revision[32] = "";

	if (cpuinfo(h, "model name", a, sizeof(a)))
		kbp_host_fact(res, "cpu_model", "%s", a);
	else if (cpuinfo(h, "CPU implementer", a, sizeof(a)) &&
		 cpuinfo(h, "CPU part", part, sizeof(part)) &&
		 cpuinfo(h, "CPU variant", variant, sizeof(variant)) &&
		 cpuinfo(h, "CPU revision", revision, sizeof(revision)))
		kbp_host_fact(res, "cpu_model", "implementer %.20s, part %s, variant %s, revision %s",
			      a, part, variant, revision);
	else
		kbp_host_unknown(res, "cpu_model", "/proc/cpuinfo names none");
	if (cpuinfo(h, "microcode", a, sizeof(a)))
		kbp_host_fact(res, "microcode", "%s", a);
	else
		kbp_host_unknown(res, "microcode", "/proc/cpuinfo names none");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a directory, sorted; the caller frees each and the list. -errno when it cannot be read. */
static int names_in(const struct kbp_host *h, const char *path, char ***list)
{
	char full[KBP_HOST_PATH_MAX];
	char **names = NULL;
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	d = opendir(full);
	if (!d)
		return -errno;
	while ((e = readdir(d)) != NULL) {
		char **more = e->d_name[0] == '.' ? NULL :
						    realloc(names, ((size_t)n + 1) * sizeof(*names));

		if (!more)
			continue;
		names = more;
		names[n] = strdup(e->d_name);
		if (names[n])
			n++;
	}
	closedir(d);
	if (n)
		qsort(names, (size_t)n, sizeof(*names), by_name);
	*list = names;
	return n;
}

/* Of what this CPU is not affected by, nothing is mitigated: left out. */
static void mitigations_fact(struct kbp_results *res, const struct kbp_host *h)
{
	static const char dir[] = CPU_DIR "/vulnerabilities";
	char text[1900] = "", one[512];
	char **names = NULL;
	int n = names_in(h, dir, &names);
	size_t at = 0;

	for (int i = 0; names && i < n; i++) {
		int rc = kbp_host_line(h, one, sizeof(one), "%s/%s", dir, names[i]);

		if (rc)
			snprintf(one, sizeof(one), "unknown: %s", strerror(-rc));
		if (strcmp(one, "Not affected") != 0 && at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s: %s",
					       at ? "; " : "", names[i], one);
		free(names[i]);
	}
	free(names);
	if (n < 0)
		kbp_host_unknown(res, "mitigations", "%s: %s", dir, strerror(-n));
	else if (!n)
		kbp_host_unknown(res, "mitigations", "%s is empty", dir);
	else
		kbp_host_fact(res, "mitigations", "%s", at ? text : "not affected by any it knows");
}

/* ---------------------------------------------------------------- a virtual machine? */

static bool has_flag(const struct kbp_host *h)
{
	FILE *f = kbp_host_open(h, "/proc/cpuinfo");
	char line[8192];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *flag = strncmp(line, "flags", 5) ? NULL : strstr(line, " hypervisor");

		found = flag && (flag[11] == ' ' || flag[11] == '\n' || !flag[11]);
	}
	if (f)
		fclose(f);
	return found;
}

static bool is_x86(const struct kbp_host *h)
{
	char flags[16];

	return cpuinfo(h, "flags", flags, sizeof(flags));
}

/* Who makes the machine, or the hypervisor's own word. */
void kbp_host_machine(const struct kbp_host *h, char *buf, size_t size)
{
	char type[64] = "", vendor[96] = "", product[96] = "";
	bool flag = has_flag(h);

	kbp_host_line(h, type, sizeof(type), "/sys/hypervisor/type");
	kbp_host_line(h, vendor, sizeof(vendor), "/sys/class/dmi/id/sys_vendor");
	kbp_host_line(h, product, sizeof(product), "/sys/class/dmi/id/product_name");
	if (!flag && !type[0]) {
		if (is_x86(h))
			snprintf(buf, size, "no");
		else
			snprintf(buf, size, "unknown: /proc/cpuinfo of this CPU does not say");
		return;
	}
	if (!h->hypervisor[0] && !type[0] && !vendor[0] && !product[0])
		snprintf(buf, size, "yes: it does not say which");
	else
		snprintf(buf, size, "yes: %s%s%s%s%s%s%s", h->hypervisor,
			 h->hypervisor[0] && type[0] ? ", " : "", type,
			 (h->hypervisor[0] || type[0]) && (vendor[0] || product[0]) ? ", " : "",
			 vendor, vendor[0] && product[0] ? " " : "", product);
}

/* ---------------------------------------------------------------- frequency */

/* Files of cpufreq that are not there are one thing, files that cannot be read another. */
static void cpufreq_unknown(struct kbp_results *res, const char *name, const char *path, int rc)
{
	if (rc == -ENOENT)
		kbp_host_unknown(res, name,
				 "the kernel has no frequency driver for this CPU: firmware or the "
				 "hypervisor decide");
	else
		kbp_host_unknown(res, name, "%s: %s", path, strerror(-rc));
}

static void frequency_facts(struct kbp_results *res, const struct kbp_host *h, int cpu,
			    const char *suffix)
{
	char path[96], name[31], text[128];
	int64_t lo, hi;
	int rc;

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/cpufreq/scaling_governor", cpu);
	snprintf(name, sizeof(name), "governor%s", suffix);
	rc = kbp_host_line(h, text, sizeof(text), "%s", path);
	if (rc)
		cpufreq_unknown(res, name, path, rc);
	else
		kbp_host_fact(res, name, "%s", text);
	snprintf(name, sizeof(name), "frequency_khz%s", suffix);
	rc = kbp_host_number(h, &lo, CPU_DIR "/cpu%d/cpufreq/scaling_min_freq", cpu);
	if (!rc)
		rc = kbp_host_number(h, &hi, CPU_DIR "/cpu%d/cpufreq/scaling_max_freq", cpu);
	if (rc)
		cpufreq_unknown(res, name, CPU_DIR, rc);
	else
		kbp_host_fact(res, name, "%lld to %lld", (long long)lo, (long long)hi);
}

/* Of the whole host: which driver, and may a CPU run faster than its nominal rate? */
static void boost_facts(struct kbp_results *res, const struct kbp_host *h, int cpu)
{
	char text[128], path[96];
	int64_t v;
	int rc;

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/cpufreq/scaling_driver", cpu);
	rc = kbp_host_line(h, text, sizeof(text), "%s", path);
	if (rc)
		cpufreq_unknown(res, "frequency_driver", path, rc);
	else
		kbp_host_fact(res, "frequency_driver", "%s", text);
	if (!kbp_host_number(h, &v, CPU_DIR "/intel_pstate/no_turbo"))
		kbp_host_fact(res, "boost", "%s", v ? "off" : "on");
	else if (!(rc = kbp_host_number(h, &v, CPU_DIR "/cpufreq/boost")))
		kbp_host_fact(res, "boost", "%s", v ? "on" : "off");
	else
		cpufreq_unknown(res, "boost", CPU_DIR "/cpufreq/boost", rc);
}

/* ---------------------------------------------------------------- idle states */

/* "POLL 0 us, C1 2 us, C6 133 us off": each with the time it takes to leave it. */
static void idle_states_fact(struct kbp_results *res, const struct kbp_host *h, int cpu,
			     const char *suffix)
{
	char text[512] = "", state[64], name[31];
	size_t at = 0;
	int rc = 0;

	snprintf(name, sizeof(name), "idle_states%s", suffix);
	for (int i = 0; i < IDLE_STATES_MAX && at < sizeof(text); i++) {
		int64_t us = 0, off = 0;

		rc = kbp_host_line(h, state, sizeof(state), CPU_DIR "/cpu%d/cpuidle/state%d/name",
				   cpu, i);
		if (rc)
			break;
		rc = kbp_host_number(h, &us, CPU_DIR "/cpu%d/cpuidle/state%d/latency", cpu, i);
		if (!rc)
			rc = kbp_host_number(h, &off, CPU_DIR "/cpu%d/cpuidle/state%d/disable", cpu,
					     i);
		if (rc)
			break;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %lld us%s",
				       i ? ", " : "", state, (long long)us, off ? " off" : "");
	}
	if (at)
		kbp_host_fact(res, name, "%s", text);
	else if (rc == -ENOENT)
		kbp_host_unknown(res, name,
				 "the kernel has no idle driver for this CPU: firmware or the "
				 "hypervisor decide");
	else
		kbp_host_unknown(res, name, CPU_DIR "/cpu%d/cpuidle: %s", cpu, strerror(-rc));
}

/* What some program holds /dev/cpu_dma_latency open with: 32 bits, in us. */
static void dma_latency_fact(struct kbp_results *res, const struct kbp_host *h)
{
	FILE *f = kbp_host_open(h, "/dev/cpu_dma_latency");
	int32_t us = 0;
	bool ok;

	if (!f) {
		kbp_host_unknown(res, "cpu_dma_latency_us", "/dev/cpu_dma_latency: %s",
				 strerror(errno));
		return;
	}
	setvbuf(f, NULL, _IONBF, 0);
	ok = fread(&us, sizeof(us), 1, f) == 1;
	fclose(f);
	if (!ok)
		kbp_host_unknown(res, "cpu_dma_latency_us", "/dev/cpu_dma_latency holds no number");
	else
		kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, "cpu_dma_latency_us", "%d",
				 us);
}

static void idle_facts(struct kbp_results *res, const struct kbp_host *h)
{
	char governor[64];

	file_fact(res, h, "idle_driver", CPU_DIR "/cpuidle/current_driver", NULL);
	if (!kbp_host_line(h, governor, sizeof(governor), CPU_DIR "/cpuidle/current_governor") &&
	    governor[0])
		kbp_host_fact(res, "idle_governor", "%s", governor);
	else
		file_fact(res, h, "idle_governor", CPU_DIR "/cpuidle/current_governor_ro", NULL);
	dma_latency_fact(res, h);
}

/* ---------------------------------------------------------------- topology */

/* Directories tell the node: cpu3/node0. Kernels without NUMA have none. */
static void node_fact(struct kbp_results *res, const struct kbp_host *h, int cpu, const char *suffix)
{
	char path[96], name[31];
	char **names = NULL;
	int n, node = -1;

	snprintf(name, sizeof(name), "numa_node_cpu%s", suffix);
	snprintf(path, sizeof(path), CPU_DIR "/cpu%d", cpu);
	n = names_in(h, path, &names);
	for (int i = 0; names && i < n; i++) {
		if (!strncmp(names[i], "node", 4) && strspn(names[i] + 4, "0123456789") && node < 0)
			node = (int)strtol(names[i] + 4, NULL, 10);
		free(names[i]);
	}
	free(names);
	if (node >= 0)
		kbp_fact_literal(&res->fingerprint, &res->n_fingerprint, name, "%d", node);
	else
		kbp_host_unknown(res, name, n < 0 ? "%s: %s" : "%s names no node%s", path,
				 n < 0 ? strerror(-n) : "");
}

static void one_cpu_facts(struct kbp_results *res, const struct kbp_host *h, int cpu,
			  const char *suffix)
{
	char path[96], name[31];

	frequency_facts(res, h, cpu, suffix);
	idle_states_fact(res, h, cpu, suffix);
	snprintf(name, sizeof(name), "resume_latency_us%s", suffix);
	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/power/pm_qos_resume_latency_us", cpu);
	file_fact(res, h, name, path, NULL);
	snprintf(name, sizeof(name), "smt_siblings%s", suffix);
	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/topology/thread_siblings_list", cpu);
	file_fact(res, h, name, path, NULL);
	node_fact(res, h, cpu, suffix);
}

/* "nohz_full=2-7 rcu_nocbs=2-7": what a word of the kernel's command line is set to. */
static void boot_fact(struct kbp_results *res, const struct kbp_host *h, const char *name)
{
	char line[2048], *word, *at = line;
	size_t len = strlen(name);
	int rc = kbp_host_line(h, line, sizeof(line), "/proc/cmdline");

	if (rc) {
		kbp_host_unknown(res, name, "/proc/cmdline: %s", strerror(-rc));
		return;
	}
	while ((word = strsep(&at, " ")) != NULL) {
		if (!strncmp(word, name, len) && word[len] == '=') {
			kbp_host_fact(res, name, "%s", word + len + 1);
			return;
		}
	}
	kbp_host_fact(res, name, "none");
}

/* ---------------------------------------------------------------- real time */

/* Since Linux 6.12 a server of the fair class may have some of a CPU that real-time tasks would not let go; debugfs. */
static void fair_server_fact(struct kbp_results *res, const struct kbp_host *h, int cpu)
{
	static const char dir[] = "/sys/kernel/debug/sched/fair_server";
	int64_t runtime, period;
	int rc = kbp_host_number(h, &runtime, "%s/cpu%d/runtime", dir, cpu);

	if (!rc)
		rc = kbp_host_number(h, &period, "%s/cpu%d/period", dir, cpu);
	if (rc)
		kbp_host_unknown(res, "fair_server", "%s/cpu%d: %s", dir, cpu, strerror(-rc));
	else
		kbp_host_fact(res, "fair_server", "%lld of %lld ns", (long long)runtime,
			      (long long)period);
}

void kbp_host_facts(struct kbp_results *res, const struct kbp_host *h, int cpu_rx, int cpu_tx)
{
	char machine[320];

	file_fact(res, h, "cmdline", "/proc/cmdline", "none");
	cpu_facts(res, h);
	mitigations_fact(res, h);
	kbp_host_machine(h, machine, sizeof(machine));
	kbp_host_fact(res, "virtual_machine", "%s", machine);
	file_fact(res, h, "cpus_online", CPU_DIR "/online", NULL);
	file_fact(res, h, "cpus_isolated", CPU_DIR "/isolated", "none");
	file_fact(res, h, "nohz_full", CPU_DIR "/nohz_full", "none");
	boot_fact(res, h, "rcu_nocbs");
	file_fact(res, h, "smt", CPU_DIR "/smt/control", NULL);
	boost_facts(res, h, cpu_rx);
	idle_facts(res, h);
	file_fact(res, h, "numa_nodes", "/sys/devices/system/node/online", NULL);
	file_fact(res, h, "clocksource",
		  "/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL);
	number_fact(res, h, "sched_rt_runtime_us", "/proc/sys/kernel/sched_rt_runtime_us");
	number_fact(res, h, "sched_rt_period_us", "/proc/sys/kernel/sched_rt_period_us");
	fair_server_fact(res, h, cpu_rx);
	one_cpu_facts(res, h, cpu_rx, "");
	if (cpu_tx >= 0)
		one_cpu_facts(res, h, cpu_tx, "_tx");
}
