/* SPDX-License-Identifier: BSD-2-Clause */
/* nic_softnic.c - the wire's side of nic.h, by softnic's control calls. */
#include "nic.h"

#include <softnic.h>

#define SIM "sim0"

static uint64_t violations_before;

const char *nic_name(void)
{
	return SIM;
}

static void options(const char *words)
{
	char why[128] = "";

	if (softnic_options(SIM, words, why, sizeof(why)))
		fail_msg("%s: %s", words, why);
}

void nic_begin(enum nic_model model)
{
	static const char *const words[] = { "nic=sfn8522", "nic=x2522", "nic=x3522" };
	struct softnic_info info;

	assert_int_equal(softnic_info_get(SIM, &info), 0);
	assert_int_equal(info.n_pds, 0);
	options(words[model]);
	options("step=poll,mtu=1500,peer=none,clock=manual,sync_status=on,check=on");
	assert_int_equal(softnic_faults_clear(SIM), 0);
	assert_int_equal(softnic_wire_clear(SIM), 0);
	softnic_first_index(0);
	nic_clock_set(1000000000000u);
	violations_before = info.violations;
}

int nic_inject(const void *frame, uint32_t len, int how)
{
	static const unsigned flags[] = { 0, SOFTNIC_BAD_FCS, SOFTNIC_NO_STAMP };

	return softnic_inject(SIM, frame, len, flags[how]);
}

uint32_t nic_collect(void *buf, uint32_t size)
{
	ssize_t n = softnic_collect(SIM, buf, size);

	assert_true(n >= 0);
	return (uint32_t)n;
}

void nic_mtu(unsigned mtu)
{
	char word[16];

	snprintf(word, sizeof(word), "mtu=%u", mtu);
	options(word);
}

void nic_clock_set(uint64_t ns)
{
	assert_int_equal(softnic_clock_set(SIM, ns), 0);
}

void nic_clock_advance(uint64_t ns)
{
	assert_int_equal(softnic_clock_advance(SIM, ns), 0);
}

void nic_clock_events(bool on)
{
	assert_int_equal(softnic_fault(SIM, SOFTNIC_CLOCK_LOST, !on), 0);
}

void nic_clock_state(bool set, bool in_sync)
{
	assert_int_equal(softnic_fault(SIM, SOFTNIC_CLOCK_UNSET, !set), 0);
	assert_int_equal(softnic_fault(SIM, SOFTNIC_CLOCK_OUT_OF_SYNC, !in_sync), 0);
}

void nic_sync_status(bool on)
{
	options(on ? "sync_status=on" : "sync_status=off");
}

void nic_hold_completions(bool on)
{
	assert_int_equal(softnic_fault(SIM, SOFTNIC_HOLD_TX, on), 0);
}

void nic_ctpio_loses(bool on)
{
	assert_int_equal(softnic_fault(SIM, SOFTNIC_EVERY_CTPIO_LOSES, on), 0);
}

void nic_reset(void)
{
	assert_int_equal(softnic_fault(SIM, SOFTNIC_RESET, 1), 0);
}

uint64_t nic_interface_drops(void)
{
	uint64_t v;

	assert_int_equal(softnic_ethtool_stat(SIM, "port_rx_nodesc_drops", &v), 0);
	return v;
}

unsigned nic_violations(void)
{
	struct softnic_info info;

	assert_int_equal(softnic_info_get(SIM, &info), 0);
	if (info.violations != violations_before)
		print_message("violation: %s\n", info.last_violation);
	return (unsigned)(info.violations - violations_before);
}
