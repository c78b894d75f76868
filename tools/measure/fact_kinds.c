/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fact_kinds.c - which facts make two results incomparable when they differ. doc/RESULTS.md has this table, and a test
 * compares both.
 */
#include <string.h>

#include "tools/measure/compare.h"

#define ID KBP_FACT_IDENTITY
#define SUBJECT KBP_FACT_SUBJECT
#define INCIDENTAL KBP_FACT_INCIDENTAL

/* The first line that fits counts. A name that ends with '*' stands for all that begin so. What no line names is of
 * the identity: nobody has said that it does not matter. */
static const struct kbp_fact_rule rules[] = {
	{ "kbypass", SUBJECT, false, false, "what one compares" },
	{ "commit", SUBJECT, false, false, "what one compares" },
	{ "compiler", SUBJECT, false, false, "what one compares" },
	{ "handler_delay_ns", SUBJECT, false, false, "planted on purpose" },

	{ "tsc_hz", INCIDENTAL, false, false, "measured anew each time" },
	{ "tsc_error_ppm", INCIDENTAL, false, false, "measured anew each time" },
	{ "tsc_offset_*", INCIDENTAL, false, false, "measured anew each time" },
	{ "timer_*", INCIDENTAL, false, false, "measured anew each time" },
	{ "actual_pps", INCIDENTAL, false, false, "follows from rate_pps and the random gaps" },
	{ "smt_sibling_busy*", INCIDENTAL, false, false, "load: a note says when it hurt" },
	{ "rx_interface", INCIDENTAL, false, false, "a name; rx_nic_model and _bus say what it is" },
	{ "tx_interface", INCIDENTAL, false, false, "a name; tx_nic_model and _bus say what it is" },
	{ "rx_nic_irqs", INCIDENTAL, false, false, "numbers change with every boot; irq_cpus counts" },
	{ "tx_nic_irqs", INCIDENTAL, false, false, "numbers change with every boot; irq_cpus counts" },
	{ "driver", INCIDENTAL, false, false, "of the backend that was last; rx_nic_driver counts" },
	{ "mtu", INCIDENTAL, false, false, "of the backend that was last; rx_nic_mtu counts" },
	{ "rx_channels", INCIDENTAL, false, false,
	  "of the backend that was last; rx_nic_channels counts" },
	{ "seconds", INCIDENTAL, false, false, "more of the same; the intervals tell" },
	{ "rounds", INCIDENTAL, false, false, "more of the same; the intervals tell" },
	{ "frames", INCIDENTAL, false, false, "more of the same; the intervals tell" },
	{ "over_seconds", INCIDENTAL, false, false, "more of the same; the intervals tell" },
	{ "seed", INCIDENTAL, false, false, "other frames of the same kind" },
	{ "memory_bytes", INCIDENTAL, false, false, "follows from how much is measured" },
	{ "bursts", INCIDENTAL, false, false, "more of the same; burst_gap_ns counts" },
	{ "burst_longest", INCIDENTAL, false, false, "more of the same; burst_gap_ns counts" },
	{ "burst_within_10us", INCIDENTAL, false, false, "more of the same; burst_gap_ns counts" },

	{ "library_*", ID, true, false,
	  "loaded only where a backend needs it: counts where both have it" },

	{ "cmdline", ID, false, false,
	  "isolation, mitigations, timers: the kernel as it was started" },
	{ "kernel*", ID, false, false, "the kernel" },
	{ "machine", ID, false, false, "the CPU's architecture" },
	{ "cpu_model", ID, false, false, "the CPU" },
	{ "microcode", ID, false, false, "mitigations of the CPU itself" },
	{ "mitigations", ID, false, false, "what each entry into the kernel costs" },
	{ "virtual_machine", ID, false, false, "who else decides over the CPUs" },
	{ "governor*", ID, false, false, "the CPU's frequency" },
	{ "frequency_*", ID, false, false, "the CPU's frequency" },
	{ "boost", ID, false, false, "the CPU's frequency" },
	{ "idle_*", ID, false, false, "what waking up costs" },
	{ "cpu_dma_latency_us", ID, false, false, "what waking up costs" },
	{ "resume_latency_us*", ID, false, false, "what waking up costs" },
	{ "smt*", ID, false, false, "whether a core is shared" },
	{ "cpus_*", ID, false, false, "who else may run on a CPU" },
	{ "nohz_full", ID, false, false, "who else may run on a CPU" },
	{ "rcu_nocbs", ID, false, false, "who else may run on a CPU" },
	{ "sched_*", ID, false, false, "how long a spinner may spin" },
	{ "fair_server", ID, false, false, "how long a spinner may spin" },
	{ "numa_*", ID, false, false, "how far memory and NIC are" },
	{ "clocksource", ID, false, false, "what the kernel's own clock costs" },
	{ "tsc_quantum_ns", ID, false, true, "what the clock resolves; its rate is measured anew" },
	{ "tsc_*", ID, false, false, "whether the clock is steady" },
	{ "rx_nic_*", ID, false, false, "the receiving interface and how it is set" },
	{ "tx_nic_*", ID, false, false, "the sending interface and how it is set" },
	{ "capture*", ID, false, false, "which frames" },
	{ "*", ID, false, false, "how it was run; and whatever is not named here" },
};

const struct kbp_fact_rule *kbp_fact_rule(const char *name)
{
	for (size_t i = 0; i < KBP_ARRAY_SIZE(rules); i++) {
		size_t len = strcspn(rules[i].name, "*");

		if (rules[i].name[len] ? !strncmp(name, rules[i].name, len) :
					 !strcmp(name, rules[i].name))
			return &rules[i];
	}
	return &rules[KBP_ARRAY_SIZE(rules) - 1];
}

const struct kbp_fact_rule *kbp_fact_rule_at(size_t i)
{
	return i < KBP_ARRAY_SIZE(rules) ? &rules[i] : NULL;
}
