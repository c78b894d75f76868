/* SPDX-License-Identifier: BSD-2-Clause */
/* test_dpdk_hooks.c - nothing sleeps in a poll: no receive interrupts, and a hook on it, as rte_power sets, shows. */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_dev_conf_get, experimental until 23.11 */
#include <rte_ethdev.h>

#include "rig.h"

static struct wire wire;

static int open_queue(void **state)
{
	(void)state;
	rig_port(&wire, NULL, 0);
	ok(kbp_queue_open(r.port, NULL, &r.q, &r.err));
	return 0;
}

static int close_queue(void **state)
{
	(void)state;
	ok(kbp_queue_close(r.q, 0, &r.err));
	ok(kbp_port_close(r.port, &r.err));
	rig_no_pools();
	return 0;
}

static void receive_interrupts_are_off(void **state)
{
	struct rte_eth_conf conf;

	(void)state;
	assert_int_equal(rte_eth_dev_conf_get(kbp_dpdk_port(r.port)->id, &conf), 0);
	assert_int_equal(conf.intr_conf.rxq, 0);
}

static void a_poll_has_no_hooks(void **state)
{
	(void)state;
	assert_int_equal(rig_counter(r.q, "rx_poll_hooks"), 0);
}

static uint16_t on_poll(uint16_t port, uint16_t queue, struct rte_mbuf **m, uint16_t n,
			uint16_t max, void *arg)
{
	(void)port;
	(void)queue;
	(void)m;
	(void)max;
	(void)arg;
	return n;
}

static void a_hook_on_the_poll_is_counted_while_it_is_there(void **state)
{
	uint16_t id = kbp_dpdk_port(r.port)->id;
	const struct rte_eth_rxtx_callback *hook = rte_eth_add_rx_callback(id, 0, on_poll, NULL);

	(void)state;
	assert_non_null(hook);
	assert_int_equal(rig_counter(r.q, "rx_poll_hooks"), 1);
	assert_int_equal(rte_eth_remove_rx_callback(id, 0, hook), 0);
	assert_int_equal(rig_counter(r.q, "rx_poll_hooks"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(receive_interrupts_are_off, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(a_poll_has_no_hooks, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(a_hook_on_the_poll_is_counted_while_it_is_there,
						open_queue, close_queue),
	};

	rig_begin();
	rig_wire(&wire, "hooks", 1, 64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
