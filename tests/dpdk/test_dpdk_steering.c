/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_steering.c - rules of the device, and what is believed of them. No device here steers: the calls of
 * rte_flow are recorded and answered by the test (link options --wrap), and the wire delivers what a device would
 * that keeps the rule, ignores it, or delivers more. Never run on hardware.
 */
#include "rig.h"

int __wrap_rte_flow_isolate(uint16_t port, int set, struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
					const struct rte_flow_item pattern[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);

static struct {
	bool refuse_isolate, refuse_rule;
	unsigned isolated, created, destroyed;
	uint16_t queue;
	uint32_t dst;
	uint16_t dst_port;
	uint16_t vlan; /* of the last rule; 0: no item for it */
} device;

int __wrap_rte_flow_isolate(uint16_t port, int set, struct rte_flow_error *error)
{
	(void)port;
	memset(error, 0, sizeof(*error));
	if (device.refuse_isolate)
		return -ENOTSUP;
	device.isolated += set != 0;
	return 0;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
					const struct rte_flow_item pattern[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error)
{
	(void)port;
	assert_true(attr->ingress && !attr->egress);
	assert_int_equal(actions[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	assert_int_equal(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	device.queue = ((const struct rte_flow_action_queue *)actions[0].conf)->index;
	device.vlan = 0;
	for (; pattern->type != RTE_FLOW_ITEM_TYPE_END; pattern++) {
		if (pattern->type == RTE_FLOW_ITEM_TYPE_VLAN)
			device.vlan = rte_be_to_cpu_16(
				((const struct rte_flow_item_vlan *)pattern->spec)->tci);
		if (pattern->type == RTE_FLOW_ITEM_TYPE_IPV4)
			device.dst = rte_be_to_cpu_32(
				((const struct rte_flow_item_ipv4 *)pattern->spec)->hdr.dst_addr);
		if (pattern->type == RTE_FLOW_ITEM_TYPE_UDP)
			device.dst_port = rte_be_to_cpu_16(
				((const struct rte_flow_item_udp *)pattern->spec)->hdr.dst_port);
	}
	error->message = "no such rule in the table";
	device.created += !device.refuse_rule;
	return device.refuse_rule ? NULL : (struct rte_flow *)(uintptr_t)0x1000;
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)port;
	(void)flow;
	(void)error;
	device.destroyed++;
	return 0;
}

/* ---------------------------------------------------------------- the wire */

static struct wire wire;
static struct rte_mempool *pool;

static void inject(unsigned queue, uint16_t port)
{
	const struct frame_addr a = { .src_ip = PEER_IP,
				      .dst_ip = OUR_IP,
				      .src_port = 4000,
				      .dst_port = port };
	uint8_t payload[18] = { 0 }, frame[128];
	uint32_t len = frame_udp(frame, &a, payload, sizeof(payload));

	assert_int_equal(rte_ring_enqueue(wire.in[queue], rig_packet(pool, frame, &len, 1)), 0);
}

static unsigned poll_all(struct kbp_queue *q)
{
	struct kbp_frame f[8];
	unsigned n = kbp_rx_peek(q, f, 8);

	kbp_rx_release(q, f, n);
	return n;
}

static bool noted(struct kbp_queue *q, const char *text)
{
	struct kbp_queue_info info;

	kbp_queue_info(q, &info);
	return strstr(info.note, text) != NULL;
}

static int begin(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	return 0;
}

static void end(struct kbp_queue *second)
{
	ok(kbp_queue_close(r.q, 0, &r.err));
	if (second)
		ok(kbp_queue_close(second, 0, &r.err));
	ok(kbp_port_close(r.port, &r.err));
	rig_pool_check(pool, 0);
}

/* ---------------------------------------------------------------- behaviours */

static void software_looks_until_the_isolated_device_has_shown_its_rule(void **state)
{
	struct kbp_flow_ref *ref;

	(void)state;
	rig_port(&wire, "isolate", 0);
	ok(kbp_queue_open(r.port, NULL, &r.q, &r.err));
	assert_int_equal(device.isolated, 1);
	ref = rig_flow(r.q, "10.77.0.1:5000%7");
	assert_int_equal(device.vlan, 7);
	ok(kbp_flow_del(ref, &r.err));
	assert_int_equal(device.destroyed, 1);
	rig_flow(r.q, "10.77.0.1:5000");
	assert_int_equal(device.queue, 0);
	assert_int_equal(device.dst, OUR_IP);
	assert_int_equal(device.dst_port, PORT);
	assert_int_equal(device.vlan, 0);
	assert_true(kbp_dpdk(r.q)->special & KBP_DPDK_MATCH);
	assert_true(noted(r.q, "1 rules, 0 proven"));
	inject(0, PORT);
	assert_int_equal(poll_all(r.q), 1);
	assert_false(kbp_dpdk(r.q)->special & KBP_DPDK_MATCH);
	assert_true(noted(r.q, "1 rules, 1 proven"));
	inject(0, PORT); /* straight from the burst now */
	assert_int_equal(poll_all(r.q), 1);
	end(NULL);
}

static void a_device_that_delivers_more_than_its_rules_is_never_believed(void **state)
{
	(void)state;
	rig_port(&wire, "isolate", 0);
	ok(kbp_queue_open(r.port, NULL, &r.q, &r.err));
	rig_flow(r.q, "10.77.0.1:5000");
	inject(0, PORT + 1);
	assert_int_equal(poll_all(r.q), 0);
	inject(0, PORT);
	assert_int_equal(poll_all(r.q), 1);
	assert_true(kbp_dpdk(r.q)->special & KBP_DPDK_MATCH);
	inject(0, PORT + 1);
	assert_int_equal(poll_all(r.q), 0);
	assert_int_equal(rig_counter(r.q, "rx_foreign"), 2);
	end(NULL);
}

static void a_rule_that_steers_nothing_is_named_and_its_frames_are_delivered(void **state)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue *second;

	(void)state;
	rig_port(&wire, "queues=2", 0);
	ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	o.channel = 1;
	ok(kbp_queue_open(r.port, &o, &second, &r.err));
	rig_flow(second, "10.77.0.1:5000");
	assert_int_equal(device.queue, 1);
	inject(0, PORT); /* where the device's hash puts it */
	assert_int_equal(poll_all(r.q), 1);
	assert_int_equal(rig_counter(r.q, "rx_flow_of_other_queue"), 1);
	assert_true(noted(second, "1 of 1 rules were accepted and steer nothing"));
	inject(1, PORT);
	assert_int_equal(poll_all(second), 1);
	end(second);
}

static void a_refused_rule_is_an_error_where_nothing_else_delivers(void **state)
{
	struct kbp_flow flow;

	(void)state;
	device.refuse_rule = true;
	rig_port(&wire, "isolate", 0);
	ok(kbp_queue_open(r.port, NULL, &r.q, &r.err));
	ok(kbp_flow_parse("10.77.0.1:5000", &flow, &r.err));
	assert_int_equal(kbp_flow_add(r.q, &flow, NULL, &r.err), -EOPNOTSUPP);
	assert_string_equal(r.err.hint, "no such rule in the table");
	end(NULL);
}

static void a_refused_rule_is_none_where_software_tells_flows_apart(void **state)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;

	(void)state;
	device.refuse_rule = true;
	rig_port(&wire, "queues=2", 0);
	ok(kbp_queue_open(r.port, &o, &r.q, &r.err));
	rig_flow(r.q, "10.77.0.1:5000");
	inject(0, PORT);
	assert_int_equal(poll_all(r.q), 1);
	assert_true(noted(r.q, "matched by software"));
	end(NULL);
}

static void a_device_that_cannot_isolate_says_so_when_the_queue_is_opened(void **state)
{
	(void)state;
	device.refuse_isolate = true;
	rig_port(&wire, "isolate", 0);
	assert_int_equal(kbp_queue_open(r.port, NULL, &r.q, &r.err), -EOPNOTSUPP);
	assert_non_null(strstr(r.err.step, "isolate"));
	ok(kbp_port_close(r.port, &r.err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(software_looks_until_the_isolated_device_has_shown_its_rule,
				       begin),
		cmocka_unit_test_setup(a_device_that_delivers_more_than_its_rules_is_never_believed,
				       begin),
		cmocka_unit_test_setup(
			a_rule_that_steers_nothing_is_named_and_its_frames_are_delivered, begin),
		cmocka_unit_test_setup(a_refused_rule_is_an_error_where_nothing_else_delivers, begin),
		cmocka_unit_test_setup(a_refused_rule_is_none_where_software_tells_flows_apart, begin),
		cmocka_unit_test_setup(a_device_that_cannot_isolate_says_so_when_the_queue_is_opened,
				       begin),
	};

	rig_begin();
	rig_wire(&wire, "steer", 2, 64);
	pool = rig_pool("steer", 255);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
