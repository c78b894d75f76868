/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_reports.c - a port that the kernel does not see: membership is said to be missing, or this library
 * reports it. What the reports look like is tests/unit/test_report's business; here is that they go out, by a TX
 * queue of their own, and that queries are heard.
 */
#include <time.h>

#include "rig.h"

#define WAIT_MS 10000

static struct wire wire;
static struct rte_mempool *pool;

static int close_all(void **state)
{
	(void)state;
	ok(kbp_queue_close(r.q, 0, &r.err));
	ok(kbp_port_close(r.port, &r.err));
	return 0;
}

static void open_all(const char *words)
{
	rig_port(&wire, words, KBP_PORT_NO_MONITOR);
	ok(kbp_queue_open(r.port, NULL, &r.q, &r.err));
}

/* The next IGMPv3 report: the type of its one record. 0: none comes. */
static unsigned report(int wait_ms)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	static const uint8_t group[4] = { 239, 7, 7, 7 };
	struct rte_mbuf *m;

	for (int i = 0; i <= wait_ms; i++) {
		const uint8_t *p;
		unsigned type;

		assert_true(kbp_port_service(r.port) >= 0);
		if (rte_ring_dequeue(wire.out[1], (void **)&m)) {
			nanosleep(&ms, NULL);
			continue;
		}
		p = rte_pktmbuf_mtod(m, const uint8_t *);
		assert_memory_equal(p, "\x01\x00\x5e\x00\x00\x16", 6); /* 224.0.0.22 */
		assert_memory_equal(p + 26, "\x0a\x4d\x00\x01", 4);
		assert_int_equal(p[38], 0x22);
		assert_memory_equal(p + 50, group, 4);
		type = p[46];
		rte_pktmbuf_free(m);
		return type;
	}
	return 0;
}

static void a_group_without_reports_needs_a_static_join_and_says_so(void **state)
{
	struct kbp_flow flow;

	open_all(NULL);
	ok(kbp_flow_parse("239.7.7.7:5000", &flow, &r.err));
	assert_int_equal(kbp_flow_add(r.q, &flow, NULL, &r.err), -ENODEV);
	assert_non_null(strstr(r.err.step, "static join needed"));
	assert_non_null(strstr(r.err.hint, "reports"));
	flow.flags = KBP_FLOW_NO_JOIN;
	ok(kbp_flow_add(r.q, &flow, NULL, &r.err));
	close_all(state);
}

static void joining_and_leaving_are_reported_at_once(void **state)
{
	struct kbp_flow_ref *ref;

	open_all("reports=10.77.0.1");
	ref = rig_flow(r.q, "239.7.7.7:5000");
	assert_int_equal(report(0), 4); /* CHANGE_TO_EXCLUDE_MODE {} (RFC 3376 4.2.12) */
	assert_int_equal(rig_counter(r.q, "reports_sent"), 1);
	ok(kbp_flow_del(ref, &r.err));
	assert_int_equal(report(0), 3); /* CHANGE_TO_INCLUDE_MODE {} */
	while (report(0))
		;
	close_all(state);
}

/* RFC 3376 4.1: general, answered within 0.1 s; unpadded, as virtual wires carry it. */
static void inject_query(void)
{
	static const uint8_t query[50] = {
		0x01, 0x00, 0x5e, 0,  0, 1, 2,	  2, 2, 2, 2, 2, 0x08, 0, /* to all hosts */
		0x46, 0xc0, 0,	  36, 0, 0, 0,	  0, 1, 2, 0, 0, 10,   77, 0, 9,   224, 0,
		0,    1,    0x94, 4,  0, 0, 0x11, 1, 0, 0, 0, 0, 0,    0,  2, 125, 0,	0,
	};
	static const uint32_t len = sizeof(query);
	uint8_t frame[sizeof(query)];
	uint16_t sum;

	memcpy(frame, query, sizeof(query));
	sum = (uint16_t)~kbp_csum_fold(kbp_csum_add(frame + 14, 24, 0));
	memcpy(frame + 24, &sum, 2);
	sum = (uint16_t)~kbp_csum_fold(kbp_csum_add(frame + 38, 12, 0));
	memcpy(frame + 40, &sum, 2);
	assert_int_equal(rte_ring_enqueue(wire.in[0], rig_packet(pool, frame, &len, 1)), 0);
}

static void a_query_is_heard_and_answered_and_not_delivered(void **state)
{
	struct kbp_flow_ref *ref;
	struct kbp_frame f;

	open_all("reports=10.77.0.1");
	ref = rig_flow(r.q, "239.7.7.7:5000");
	assert_int_equal(report(0), 4);
	assert_int_equal(report(WAIT_MS), 4); /* once more, in case it was lost */
	inject_query();
	assert_int_equal(kbp_rx_peek(r.q, &f, 1), 0);
	assert_int_equal(rig_counter(r.q, "rx_foreign"), 1);
	assert_int_equal(report(WAIT_MS), 2); /* MODE_IS_EXCLUDE {} */
	ok(kbp_flow_del(ref, &r.err));
	while (report(0))
		;
	close_all(state);
}

static void words_that_keep_queries_away_do_not_go_with_reports(void **state)
{
	static const char *const words[] = { "reports match=off", "reports isolate" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

		o.args = words[i];
		assert_int_equal(kbp_port_open("dpdk", wire.name, &o, &r.port, &r.err), -EINVAL);
		assert_non_null(strstr(r.err.hint, "queries"));
	}
}

static void the_queue_for_reports_must_be_there(void **state)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	(void)state;
	o.args = "queues=2 reports";
	assert_int_equal(kbp_port_open("dpdk", wire.name, &o, &r.port, &r.err), -EINVAL);
	assert_non_null(strstr(r.err.hint, "TX queue more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_without_reports_needs_a_static_join_and_says_so),
		cmocka_unit_test(joining_and_leaving_are_reported_at_once),
		cmocka_unit_test(a_query_is_heard_and_answered_and_not_delivered),
		cmocka_unit_test(words_that_keep_queries_away_do_not_go_with_reports),
		cmocka_unit_test(the_queue_for_reports_must_be_there),
	};

	rig_begin();
	rig_wire(&wire, "rep", 2, 64);
	pool = rig_pool("rep", 63);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
