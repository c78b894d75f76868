/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_notes.c - what about the host hurts, said as notes. A condition that cannot be read is a fact of the fingerprint
 * ("unknown: why") and no note.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/measure/host.h"

#define IDLE_LEAVE_US 10 /* an idle state that takes longer to leave shows in a tail */
#define LOST_SHARE \
	1000.0 /* lost to gaps: more than one part in so many is a note: P99.9 is then the host's */
#define STEAL_SHARE 1000.0 /* the same for what the hypervisor admits */

int kbp_cpu_time_read(const struct kbp_host *h, int cpu, struct kbp_cpu_time *t)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
	FILE *f = kbp_host_open(h, "/proc/stat");
	const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	char line[1024];
	int number, rc = f ? -ENODATA : -errno;

	memset(t, 0, sizeof(*t));
	while (f && rc && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &number, &user,
			   &nice, &system, &idle, &iowait, &irq, &softirq, &steal) != 9 ||
		    number != cpu)
			continue;
		t->busy_ns = (user + nice + system + irq + softirq) * tick_ns;
		t->idle_ns = (idle + iowait) * tick_ns;
		t->steal_ns = steal * tick_ns;
		t->known = true;
		rc = 0;
	}
	if (f)
		fclose(f);
	return rc;
}

/* Since Linux 6.12 a server of the fair class takes the place of real-time throttling (kernel/sched, commits d741f297,
 * 5f6bd380): others that wait get its share of a CPU, and without them nothing is taken. */
static bool has_fair_server(const struct kbp_host *h)
{
	char release[64], *end;
	long major, minor;

	if (kbp_host_line(h, release, sizeof(release), "/proc/sys/kernel/osrelease"))
		return false;
	major = strtol(release, &end, 10);
	minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 12);
}

static void rt_note(struct kbp_results *res, const struct kbp_host *h, const struct kbp_host_use *use)
{
	static const char dir[] = "/sys/kernel/debug/sched/fair_server";
	int64_t runtime, period;
	int cpu = use->fifo_rx ? use->cpu_rx : use->cpu_tx;

	if (!use->fifo_rx && !use->fifo_tx)
		return;
	if (!kbp_host_number(h, &runtime, "%s/cpu%d/runtime", dir, cpu) &&
	    !kbp_host_number(h, &period, "%s/cpu%d/period", dir, cpu)) {
		if (runtime > 0)
			kbp_finding_add(
				res, true, "rt_throttling", "",
				"the fair server takes up to %lld of %lld ns of CPU %d from a SCHED_FIFO spinner "
				"when other tasks wait there: keep them off that CPU, or write 0 to %s/cpu%d/runtime",
				(long long)runtime, (long long)period, cpu, dir, cpu);
	} else if (has_fair_server(h)) {
		kbp_finding_add(
			res, true, "rt_throttling", "",
			"how much the fair server may take of CPU %d from a SCHED_FIFO spinner cannot be "
			"read (is debugfs mounted?): by default 50 ms a second, when other tasks wait there",
			cpu);
	} else if (!kbp_host_number(h, &runtime, "/proc/sys/kernel/sched_rt_runtime_us") &&
		   !kbp_host_number(h, &period, "/proc/sys/kernel/sched_rt_period_us") &&
		   runtime >= 0 && runtime < period) {
		kbp_finding_add(res, true, "rt_throttling", "",
				"SCHED_FIFO may be stopped for %lld of %lld us: write -1 to "
				"/proc/sys/kernel/sched_rt_runtime_us",
				(long long)(period - runtime), (long long)period);
	}
}

static void frequency_note(struct kbp_results *res, const struct kbp_host *h, int cpu)
{
	char governor[64];
	int64_t lo, hi;

	if (!kbp_host_line(h, governor, sizeof(governor),
			   "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu) &&
	    strcmp(governor, "performance") != 0)
		kbp_finding_add(res, true, "cpu_frequency", "",
				"CPU %d has the governor %s: its frequency follows its load; performance "
				"keeps it up",
				cpu, governor);
	else if (!kbp_host_number(h, &lo, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_min_freq",
				  cpu) &&
		 !kbp_host_number(h, &hi, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_max_freq",
				  cpu) &&
		 lo < hi)
		kbp_finding_add(res, true, "cpu_frequency", "",
				"CPU %d runs at %lld to %lld MHz: its frequency is not fixed, and boost may "
				"come and go",
				cpu, (long long)(lo / 1000), (long long)(hi / 1000));
}

/* The limit that programs hold on all CPUs, and the one on this CPU; -1: there is none. */
static int64_t idle_limit_us(const struct kbp_host *h, int cpu)
{
	FILE *f = kbp_host_open(h, "/dev/cpu_dma_latency");
	int64_t limit = -1, own;
	int32_t us;

	if (f) {
		setvbuf(f, NULL, _IONBF, 0);
		if (fread(&us, sizeof(us), 1, f) == 1)
			limit = us;
		fclose(f);
	}
	if (!kbp_host_number(h, &own,
			     "/sys/devices/system/cpu/cpu%d/power/pm_qos_resume_latency_us", cpu) &&
	    own > 0 && (limit < 0 || own < limit))
		limit = own; /* 0 says that there is no limit; "n/a", no number, none is allowed */
	return limit;
}

static void idle_note(struct kbp_results *res, const struct kbp_host *h, int cpu)
{
	static const char dir[] = "/sys/devices/system/cpu";
	char name[64], deepest[64] = "", own[16] = "";
	int64_t us, off, worst = 0, limit = idle_limit_us(h, cpu);

	kbp_host_line(h, own, sizeof(own), "%s/cpu%d/power/pm_qos_resume_latency_us", dir, cpu);
	if (!strcmp(own, "n/a"))
		return;
	for (int i = 0;
	     !kbp_host_line(h, name, sizeof(name), "%s/cpu%d/cpuidle/state%d/name", dir, cpu, i);
	     i++) {
		if (kbp_host_number(h, &us, "%s/cpu%d/cpuidle/state%d/latency", dir, cpu, i) ||
		    kbp_host_number(h, &off, "%s/cpu%d/cpuidle/state%d/disable", dir, cpu, i))
			continue;
		if (!off && us > worst && (limit < 0 || us <= limit)) {
			worst = us;
			memcpy(deepest, name, sizeof(deepest));
		}
	}
	if (worst > IDLE_LEAVE_US)
		kbp_finding_add(
			res, true, "idle_states", "",
			"CPU %d may sleep in %s, which takes %lld us to leave: interrupts and "
			"wake-ups after a silence are that late; hold /dev/cpu_dma_latency at 0",
			cpu, deepest, (long long)worst);
}

static void smt_note(struct kbp_results *res, const struct kbp_host *h, const struct kbp_host_use *use)
{
	char list[256];

	if (!kbp_host_line(h, list, sizeof(list),
			   "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
			   use->cpu_rx) &&
	    use->cpu_tx != use->cpu_rx && kbp_cpulist_has(list, use->cpu_tx))
		kbp_finding_add(res, true, "smt_siblings", "",
				"CPU %d (receiver) and CPU %d (sender) are two threads of one core, which "
				"they share: give them cores of their own",
				use->cpu_rx, use->cpu_tx);
}

static void machine_note(struct kbp_results *res, const struct kbp_host *h)
{
	char which[320];

	kbp_host_machine(h, which, sizeof(which));
	if (!strncmp(which, "yes", 3))
		kbp_finding_add(res, true, "virtual_machine", "",
				"this is a virtual machine (%.120s): its CPUs stop when the hypervisor wants, and "
				"their frequency and idle states are not seen from here",
				which + 5);
}

void kbp_host_notes(struct kbp_results *res, const struct kbp_host *h, const struct kbp_host_use *use)
{
	machine_note(res, h);
	rt_note(res, h, use);
	frequency_note(res, h, use->cpu_rx);
	frequency_note(res, h, use->cpu_tx);
	idle_note(res, h, use->cpu_rx);
	idle_note(res, h, use->cpu_tx);
	smt_note(res, h, use);
}

void kbp_noise_notes(struct kbp_results *res, uint64_t bench_ns)
{
	for (uint32_t i = 0; i < res->n_noise; i++) {
		const struct kbp_noise *n = &res->noise[i];
		const char *who = strcmp(n->role, "rx") ? "sender" : "receiver";

		if ((double)n->lost_ns * LOST_SHARE > (double)n->spun_ns)
			kbp_finding_add(
				res, true, "host_noise", "",
				"CPU %d (%s) was away for %.2g %% of the time with nothing but a clock "
				"to read, for up to %.4g %s at once: tails of that size are the host's",
				n->cpu, who, 100.0 * (double)n->lost_ns / (double)n->spun_ns,
				(double)n->max_ns / (n->max_ns < 1000000 ? 1e3 : 1e6),
				n->max_ns < 1000000 ? "us" : "ms");
		if (n->steal_ns != KBP_NOISE_STEAL_UNKNOWN &&
		    (double)n->steal_ns * STEAL_SHARE > (double)bench_ns)
			kbp_finding_add(
				res, true, "steal", "",
				"the hypervisor took CPU %d (%s) away for %.4g ms of %.3g s, by its own "
				"account",
				n->cpu, who, (double)n->steal_ns / 1e6, (double)bench_ns / 1e9);
	}
}
