/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stamps of a NIC on af_xdp, without such a NIC: the port's program is the real one, but for the driver's answer,
 * which stands in the packet (nic_stamp.bpf.c).
 */
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "af_xdp_lab.h"

#include "backend/af_xdp.h"
#include "flow_redirect.skel.h"

static const char *program;
static struct kbp_port *port;
static struct kbp_queue *q;
static struct kbp_queue_info info;
static struct kbp_clock *watched;
static int far;

/* In the place of the program that asks the driver. */
static void put_program(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "flow_redirect");
	struct kbp_axdp_port *a = port->priv;
	struct bpf_object *obj = bpf_object__open_file(program, &opts);
	struct bpf_map *map;

	assert_non_null(obj);
	bpf_object__for_each_map(map, obj)
	{
		struct bpf_map *own = bpf_object__find_map_by_name(a->skel->obj, bpf_map__name(map));

		assert_non_null(own);
		assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(own)), 0);
	}
	assert_int_equal(bpf_object__load(obj), 0);
	assert_int_equal(bpf_link_update(a->link_fd,
					 bpf_program__fd(bpf_object__find_program_by_name(
						 obj, "flow_redirect")),
					 NULL),
			 0);
	bpf_object__close(obj);
}

static int open_all(void **state)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow flow = flow_of("10.77.0.2:5000");

	(void)state;
	po.mode = KBP_MODE_COPY;
	po.flags = KBP_PORT_NO_MONITOR; /* which would find a program of somebody else's */
	qo.flags = KBP_QUEUE_RX | KBP_QUEUE_RX_STAMPS;
	enter(KBP_LAB_RX);
	ok(kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, &po, &port, &err));
	ok(kbp_queue_open(port, &qo, &q, &err));
	ok(kbp_flow_add(q, &flow, NULL, &err));
	if (((struct kbp_axdp_port *)port->priv)->stamps_less[0]) {
		printf("SKIP: %s\n", ((struct kbp_axdp_port *)port->priv)->stamps_less);
		exit(77);
	}
	put_program();
	far = far_socket();
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	kbp_queue_close(q, KBP_CLOSE_FORCE, NULL);
	ok(kbp_port_close(port, &err));
	kbp_clock_close(watched);
	watched = NULL;
	close(far);
	return 0;
}

/* A packet that the NIC gives this stamp. */
static struct kbp_stamp receive(uint64_t nic)
{
	struct kbp_queue *from;
	struct kbp_stamp s;
	struct kbp_frame f;

	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, &nic, sizeof(nic));
	assert_int_equal(peek_soon(&q, 1, &f, 1, &from), 1);
	s = kbp_frame_ts(kbp_rx_of(q), &f);
	assert_int_equal(s.ns, f.ts_ns);
	assert_memory_equal((uint8_t *)f.data + 42, &nic, sizeof(nic));
	kbp_rx_release(q, &f, 1);
	kbp_queue_info(q, &info);
	return s;
}

static uint64_t ns_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void the_nics_stamps_are_taken_when_the_first_packet_has_one(void **state)
{
	(void)state;
	kbp_queue_info(q, &info);
	assert_int_equal(info.ts_source, KBP_TS_DRIVER); /* none was seen: none is promised */
	assert_int_equal(receive(1000).ns, 1000);
	assert_int_equal(info.ts_source, KBP_TS_NIC);
	assert_int_equal(info.ts_epoch, KBP_EPOCH_PHC);
	assert_int_equal(info.ts_proof, KBP_BOUND);
	assert_int_equal(receive(2000).flags, KBP_FRAME_TS);
	assert_int_equal(info.ts_proof, KBP_PROVEN);
	assert_int_equal(kbp_axdp(q)->special, 0);
}

static void a_packet_the_nic_did_not_stamp_has_none_rather_than_another_clocks(void **state)
{
	struct kbp_stamp s;

	(void)state;
	receive(1000);
	s = receive(0);
	assert_int_equal(s.ns, 0);
	assert_int_equal(s.flags, KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT);
	assert_int_equal(receive(3000).ns, 3000);
}

static void a_nic_that_is_silent_at_first_is_not_listened_to_later(void **state)
{
	uint64_t before = ns_of(CLOCK_TAI), first, second;

	(void)state;
	first = receive(0).ns;
	second = receive(5000).ns;
	assert_in_range(first, before, second - 1);
	assert_in_range(second, before, ns_of(CLOCK_TAI));
	assert_int_equal(info.ts_source, KBP_TS_DRIVER);
	assert_int_equal(info.ts_epoch, KBP_EPOCH_TAI);
	assert_int_equal(info.ts_proof, KBP_PROVEN);
}

static void watch(enum kbp_epoch epoch)
{
	struct kbp_clock_opts opts = KBP_CLOCK_OPTS_INIT;

	opts.epoch = epoch;
	ok(kbp_clock_open(&opts, &watched, &err));
}

static void who_watches_first_keeps_the_announced_source(void **state)
{
	uint64_t before = ns_of(CLOCK_TAI), ns;

	(void)state;
	watch(KBP_EPOCH_TAI);
	ok(kbp_queue_watch(q, watched, &err));
	ns = receive(1000).ns;
	assert_in_range(ns, before, ns_of(CLOCK_TAI));
	assert_int_equal(info.ts_source, KBP_TS_DRIVER);
}

static void a_nics_stamps_follow_the_account_of_its_clock(void **state)
{
	struct kbp_clock_look l = { .at_ns = 1ull << 40, .sync = KBP_SYNC_IN, .bound_ns = 100 };

	(void)state;
	receive(1000);
	watch(KBP_EPOCH_PHC);
	ok(kbp_queue_watch(q, watched, &err));
	l.raw_ns = ns_of(CLOCK_MONOTONIC_RAW);
	assert_int_equal(kbp_clock_add(watched, &l), 0);
	assert_false(kbp_stamp_in_sync(receive(l.at_ns - 1)));
	assert_true(kbp_stamp_in_sync(receive(l.at_ns)));
	assert_false(kbp_stamp_in_sync(receive(l.at_ns + 2 * KBP_SYNC_SPAN_NS)));
	assert_false(kbp_stamp_in_sync(receive(0)));
}

static int lab_close(void **state)
{
	(void)state;
	return kbp_lab_down(lab.prefix, NULL) < 0;
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		T(the_nics_stamps_are_taken_when_the_first_packet_has_one),
		T(a_packet_the_nic_did_not_stamp_has_none_rather_than_another_clocks),
		T(a_nic_that_is_silent_at_first_is_not_listened_to_later),
		T(who_watches_first_keeps_the_announced_source),
		T(a_nics_stamps_follow_the_account_of_its_clock),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: netns_af_xdp_nic nic_stamp.bpf.o\n");
		return 2;
	}
	program = argv[1];
	lab_open(1, 1500);
	return cmocka_run_group_tests_name("af_xdp, stamps of a NIC", tests, NULL, lab_close);
}
