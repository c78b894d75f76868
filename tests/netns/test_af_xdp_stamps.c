/* SPDX-License-Identifier: BSD-2-Clause */
/* Timestamps of af_xdp on a veth pair: software ones, and said to be so. What a stamp must lie between is read from
 * the clock that it counts by: an order, not a speed. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "af_xdp_lab.h"

static struct kbp_port *port;
static struct kbp_queue *q[4];
static int n_q, far;
static struct kbp_clock *watched;
static struct kbp_queue_info info;

static void open_port(enum kbp_mode mode, uint32_t flags)
{
	struct kbp_port_opts opts = KBP_PORT_OPTS_INIT;

	opts.mode = mode;
	opts.flags = flags;
	enter(KBP_LAB_RX);
	ok(kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, &opts, &port, &err));
}

/* Queues on all channels, with the flow that send_one sends. */
static void open_queues(uint32_t flags)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;

	opts.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | flags;
	n_q = kbp_queues_open(port, &opts, q, 4, &err);
	ok(n_q);
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	far = far_socket();
}

static int close_all(void **state)
{
	(void)state;
	for (int i = 0; i < n_q; i++)
		kbp_queue_close(q[i], KBP_CLOSE_FORCE, NULL);
	n_q = 0;
	ok(kbp_port_close(port, &err));
	port = NULL;
	kbp_clock_close(watched);
	watched = NULL;
	if (far > 0)
		close(far);
	far = 0;
	return 0;
}

static uint64_t ns_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void send_one(void)
{
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "stamp", 5);
}

/* The next frame of any queue, by the array form; held. */
static struct kbp_queue *receive(struct kbp_frame *f)
{
	struct kbp_queue *from = NULL;

	assert_int_equal(peek_soon(q, (unsigned)n_q, f, 1, &from), 1);
	return from;
}

static unsigned take(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	*(struct kbp_stamp *)arg = kbp_frame_ts(rx, &f);
	return KBP_DONE;
}

/* The stamp of the next frame, by the inline form. */
static struct kbp_stamp receive_inline(void)
{
	struct kbp_stamp s = { 0, 0, 0 };

	for (int i = 0; i < 20; i++) {
		kbp_wait(q, (unsigned)n_q, 100000000);
		for (int k = 0; k < n_q; k++)
			if (kbp_rx_each(kbp_rx_of(q[k]), 1, take, &s))
				return s;
	}
	fail_msg("no frame came");
	return s;
}

static enum kbp_sync sync_of(uint16_t flags)
{
	return (flags & KBP_FRAME_SYNC_MASK) >> KBP_FRAME_SYNC_SHIFT;
}

/* ---------------------------------------------------------------- receiving */

static void stamps_are_the_programs(enum kbp_mode mode, enum kbp_ts_source source)
{
	uint64_t before = 0;

	open_port(mode, KBP_PORT_STRICT);
	open_queues(KBP_QUEUE_RX_STAMPS);
	for (int k = 0; k < n_q; k++) {
		kbp_queue_info(q[k], &info);
		assert_int_equal(info.ts_source, source);
		assert_int_equal(info.ts_proof, KBP_BOUND);
		assert_true(info.flags & KBP_QUEUE_RX_STAMPS);
	}
	for (unsigned i = 0; i < 6; i++) {
		struct kbp_queue *from;
		struct kbp_stamp s;
		struct kbp_frame f;

		if (!before)
			before = ns_of(CLOCK_TAI);
		send_one();
		if (i & 1) {
			s = receive_inline();
		} else {
			from = receive(&f);
			s = kbp_frame_ts(kbp_rx_of(from), &f);
			assert_int_equal(s.ns, f.ts_ns);
			assert_int_equal(s.flags, f.flags);
			kbp_rx_release(from, &f, 1);
		}
		assert_int_equal(s.flags, KBP_FRAME_TS); /* nobody watches a clock: unknown */
		assert_in_range(s.ns, before, ns_of(CLOCK_TAI));
		before = s.ns + 1; /* each is later than the one before */
	}
	for (int k = 0; k < n_q; k++) {
		kbp_queue_info(q[k], &info);
		assert_int_equal(info.ts_source, source);
		assert_int_equal(info.ts_epoch, KBP_EPOCH_TAI);
		assert_int_equal(info.ts_phc, -1);
		assert_int_equal(info.ts_resolution_ps, 1000);
		assert_int_equal(info.ts_source_tx, KBP_TS_NONE);
		assert_int_equal(info.ts_sync, KBP_SYNC_UNKNOWN);
		/* on the channel that nothing came to it stays bound */
		assert_int_equal(info.ts_proof, counter(q[k], "rx_frames") ? KBP_PROVEN : KBP_BOUND);
	}
}

static void in_native_mode_stamps_are_the_drivers_side_software(void **state)
{
	(void)state;
	stamps_are_the_programs(KBP_MODE_COPY, KBP_TS_DRIVER);
}

static void in_generic_mode_stamps_are_the_kernels(void **state)
{
	(void)state;
	stamps_are_the_programs(KBP_MODE_GENERIC, KBP_TS_KERNEL);
	assert_non_null(strstr(info.note, "no NIC stamps"));
}

static void a_queue_that_asked_for_none_has_none(void **state)
{
	struct kbp_stamp s;
	struct kbp_frame f;
	struct kbp_queue *from;

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(0);
	kbp_queue_info(q[0], &info);
	assert_int_equal(info.ts_source, KBP_TS_NONE);
	assert_int_equal(info.ts_resolution_ps, 0);
	send_one();
	from = receive(&f);
	assert_int_equal(f.flags, 0);
	assert_int_equal(kbp_frame_ts(kbp_rx_of(from), &f).flags, 0);
	kbp_rx_release(from, &f, 1);
	send_one();
	s = receive_inline();
	assert_int_equal(s.flags, 0);
	assert_int_equal(s.ns, 0);
}

static uint32_t program_on_rx(void)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, o);

	assert_int_equal(bpf_xdp_query((int)lab.host[KBP_LAB_RX].ifindex, 0, &o), 0);
	return o.prog_id;
}

/* One channel has stamps, the other not. */
static void a_later_queue_brings_the_stamping_program(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	unsigned stamped = 0;
	uint32_t plain;

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	ok(kbp_queue_open(port, NULL, &q[0], &err));
	n_q = 1;
	ok(kbp_flow_add(q[0], &flow, NULL, &err));
	plain = program_on_rx();
	opts.channel = 1;
	opts.flags = KBP_QUEUE_RX_STAMPS;
	ok(kbp_queue_open(port, &opts, &q[1], &err));
	n_q = 2;
	assert_true(program_on_rx() && program_on_rx() != plain);
	far = far_socket();
	/* which channel a frame takes is the veth's to choose: by the core it is sent on */
	for (unsigned i = 0; i < 20; i++) {
		struct kbp_frame f;
		struct kbp_queue *from;

		send_one();
		from = receive(&f);
		assert_int_equal(!!(f.flags & KBP_FRAME_TS), from == q[1]);
		stamped += from == q[1];
		kbp_rx_release(from, &f, 1);
	}
	usleep(300000); /* the monitor looks four times a second whether the program is ours */
	assert_int_equal(kbp_queue_state(q[0]), KBP_QUEUE_UP);
	assert_int_equal(kbp_queue_state(q[1]), KBP_QUEUE_UP);
	assert_int_equal(counter(q[1], "rx_frames"), stamped);
}

static void a_received_frame_is_forwarded_without_its_stamp(void **state)
{
	uint8_t buf[2048];
	struct kbp_frame f;
	struct kbp_queue *from;

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS);
	send_one();
	from = receive(&f);
	memcpy(f.data, lab.host[KBP_LAB_TX].mac, 6);
	assert_int_equal(kbp_tx_submit(from, &f, 1), 1);
	for (;;) {
		ssize_t n = recv(far, buf, sizeof(buf), 0);

		assert_true(n > 0);
		if (n == 47 && !memcmp(buf, lab.host[KBP_LAB_TX].mac, 6))
			break;
	}
	assert_memory_equal(buf + 42, "stamp", 5);
}

/* ---------------------------------------------------------------- clocks */

/* What the program of a clock's monitor would write: in sync, as of `ago_ns`. */
static void look(uint64_t ago_ns)
{
	struct kbp_clock_look l = { .at_ns = ns_of(CLOCK_TAI) - ago_ns,
				    .raw_ns = ns_of(CLOCK_MONOTONIC_RAW) - ago_ns,
				    .sync = KBP_SYNC_IN,
				    .bound_ns = 500 };

	assert_int_equal(kbp_clock_add(watched, &l), 0);
}

static void watch(enum kbp_epoch epoch)
{
	struct kbp_clock_opts opts = KBP_CLOCK_OPTS_INIT;

	opts.epoch = epoch;
	ok(kbp_clock_open(&opts, &watched, &err));
}

static enum kbp_sync sync_of_next(void)
{
	struct kbp_stamp s;

	send_one();
	s = receive_inline();
	assert_true(s.flags & KBP_FRAME_TS);
	return sync_of(s.flags);
}

static void stamps_are_in_sync_while_their_clock_is_looked_at(void **state)
{
	struct kbp_stamp early, late;

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS);
	watch(KBP_EPOCH_TAI);
	for (int i = 0; i < n_q; i++)
		ok(kbp_queue_watch(q[i], watched, &err));
	assert_int_equal(sync_of_next(), KBP_SYNC_UNKNOWN); /* nobody looked yet */
	/* a look of long ago: what it knew has run out */
	look(10000000000u);
	assert_int_equal(sync_of_next(), KBP_SYNC_UNKNOWN);
	/* stamped before this look, read after it: the look before it was too old to vouch */
	send_one();
	usleep(2000);
	kbp_clock_close(watched);
	watch(KBP_EPOCH_TAI);
	for (int i = 0; i < n_q; i++)
		ok(kbp_queue_watch(q[i], watched, &err));
	look(0);
	early = receive_inline();
	assert_int_equal(sync_of(early.flags), KBP_SYNC_UNKNOWN);
	send_one();
	late = receive_inline();
	assert_true(late.ns > early.ns);
	assert_int_equal(sync_of(late.flags), KBP_SYNC_IN);
	for (int i = 0; i < n_q; i++)
		ok(kbp_queue_watch(q[i], NULL, &err));
	assert_int_equal(sync_of_next(), KBP_SYNC_UNKNOWN);
}

static void a_nics_clock_is_not_that_of_software_stamps(void **state)
{
	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS);
	watch(KBP_EPOCH_PHC);
	assert_int_equal(kbp_queue_watch(q[0], watched, &err), -EINVAL);
	send_one();
	receive_inline();
	assert_int_equal(kbp_queue_watch(q[0], watched, &err), -EINVAL);
}

/* ---------------------------------------------------------------- sending */

static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	(void)arg;
	memset(f.data, 7, 32);
	return 32;
}

/* The next completion, which has to come within two seconds. */
static struct kbp_completion reap(struct kbp_queue *from)
{
	struct kbp_completion c;

	for (int i = 0; i < 2000; i++) {
		if (kbp_tx_reap(from, &c, 1))
			return c;
		usleep(1000);
	}
	fail_msg("no completion came");
	return c;
}

static void open_sender(enum kbp_mode mode, struct kbp_txflow **t)
{
	struct kbp_flow to = flow_of("10.77.0.1:7000");

	open_port(mode, 0);
	open_queues(KBP_QUEUE_RX_STAMPS | KBP_QUEUE_TX_STAMPS);
	kbp_queue_info(q[0], &info);
	if (info.ts_source_tx == KBP_TS_NONE) {
		printf("SKIP: %s\n", info.note);
		skip();
	}
	assert_int_equal(info.ts_proof_tx, KBP_BOUND);
	ok(kbp_txflow_open(q[0], &to, t, &err));
}

static void sent_frames_are_stamped(enum kbp_mode mode)
{
	struct kbp_txflow *t;
	uint64_t before;

	open_sender(mode, &t);
	before = ns_of(CLOCK_TAI);
	for (unsigned i = 0; i < 6; i++) {
		struct kbp_completion c;
		struct kbp_frame f;

		if (i & 1) {
			assert_int_equal(kbp_tx_each(kbp_tx_of(t), 1, fill, NULL), 1);
		} else {
			assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
			memset(f.data, 7, 32);
			f.len = 32;
			assert_int_equal(kbp_tx_submit(q[0], &f, 1), 1);
		}
		c = reap(q[0]);
		assert_int_equal(c.flags, KBP_FRAME_TS);
		assert_in_range(c.ts_ns, before, ns_of(CLOCK_TAI));
		if (!(i & 1))
			assert_int_equal(c.token, f.token);
		before = c.ts_ns + 1;
	}
	kbp_queue_info(q[0], &info);
	assert_int_equal(info.ts_source_tx,
			 KBP_TS_KERNEL); /* copied and stamped by the kernel, not the NIC */
	assert_int_equal(info.ts_epoch_tx, KBP_EPOCH_TAI);
	assert_int_equal(info.ts_proof_tx, KBP_PROVEN);
	kbp_txflow_close(t);
}

static void in_native_mode_completions_name_a_time(void **state)
{
	(void)state;
	sent_frames_are_stamped(KBP_MODE_COPY);
}

static void in_generic_mode_completions_name_a_time(void **state)
{
	(void)state;
	sent_frames_are_stamped(KBP_MODE_GENERIC);
}

static void templates_and_forwarded_frames_are_stamped_too(void **state)
{
	struct kbp_template *tpl;
	struct kbp_completion c;
	struct kbp_txflow *t;
	struct kbp_frame f;
	struct kbp_queue *from;
	uint64_t before;

	(void)state;
	open_sender(KBP_MODE_COPY, &t);
	ok(kbp_template_open(t, "resident", 8, &tpl, &err));
	before = ns_of(CLOCK_TAI);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kbp_template_send(tpl), 1);
		c = reap(q[0]);
		assert_int_equal(c.token, kbp_template_token(tpl));
		assert_int_equal(c.flags, KBP_FRAME_TS);
		assert_in_range(c.ts_ns, before, ns_of(CLOCK_TAI));
		before = c.ts_ns + 1;
	}
	kbp_template_close(tpl);
	send_one();
	from = receive(&f);
	memcpy(f.data, lab.host[KBP_LAB_TX].mac, 6);
	assert_int_equal(kbp_tx_submit(from, &f, 1), 1);
	c = reap(from);
	assert_int_equal(c.token, f.token);
	assert_int_equal(c.flags, KBP_FRAME_TS);
	assert_in_range(c.ts_ns, f.ts_ns, ns_of(CLOCK_TAI));
	kbp_txflow_close(t);
}

static void the_largest_payload_fits_behind_the_stamp(void **state)
{
	static uint8_t payload[4096];
	struct kbp_txflow *t;
	struct kbp_frame f;
	uint8_t buf[8192];
	ssize_t n;

	(void)state;
	open_sender(KBP_MODE_COPY, &t);
	kbp_queue_info(q[0], &info);
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 11 >> 2);
	assert_int_equal(kbp_tx_reserve(t, &f, 1), 1);
	assert_true(f.len >= info.payload_max);
	memcpy(f.data, payload, info.payload_max);
	f.len = info.payload_max;
	assert_int_equal(kbp_tx_submit(q[0], &f, 1), 1);
	assert_true(reap(q[0]).flags & KBP_FRAME_TS);
	do
		n = recv(far, buf, sizeof(buf), 0);
	while (n >= 0 && n != 42 + info.payload_max);
	assert_memory_equal(buf + 42, payload, info.payload_max);
	kbp_txflow_close(t);
}

/* ---------------------------------------------------------------- chains */

static void all_parts_of_a_chain_carry_its_stamp(void **state)
{
	static uint8_t payload[8000];
	struct kbp_queue *from = NULL;
	uint64_t before;
	struct kbp_frame f[64];

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS | KBP_QUEUE_MULTI_BUFFER);
	before = ns_of(CLOCK_TAI);
	for (int round = 0; round < 40;
	     round++) { /* buffers come round again, with old stamps in them */
		unsigned n;

		far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, payload, sizeof(payload));
		n = peek_soon(q, (unsigned)n_q, f, 64, &from);
		assert_true(n > 1);
		for (unsigned i = 0; i < n; i++) {
			assert_true(f[i].flags & KBP_FRAME_TS);
			assert_int_equal(!!(f[i].flags & KBP_FRAME_MORE), i + 1 < n);
			assert_int_equal(f[i].ts_ns, f[0].ts_ns);
			assert_int_equal(kbp_frame_ts(kbp_rx_of(from), &f[i]).ns, f[0].ts_ns);
		}
		assert_in_range(f[0].ts_ns, before, ns_of(CLOCK_TAI));
		before = f[0].ts_ns + 1;
		kbp_rx_release(from, f, n);
	}
}

static void a_chain_sent_on_has_one_stamp(void **state)
{
	static uint8_t payload[8000];
	struct kbp_queue *from = NULL;
	struct kbp_frame f[64];
	unsigned n;

	(void)state;
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS | KBP_QUEUE_TX_STAMPS | KBP_QUEUE_MULTI_BUFFER);
	kbp_queue_info(q[0], &info);
	if (info.ts_source_tx == KBP_TS_NONE) {
		printf("SKIP: %s\n", info.note);
		skip();
	}
	far_send(far, "10.77.0.1", "10.77.0.2", 9, 5000, 0, payload, sizeof(payload));
	n = peek_soon(q, (unsigned)n_q, f, 64, &from);
	assert_true(n > 1);
	memcpy(f[0].data, lab.host[KBP_LAB_TX].mac, 6);
	assert_int_equal(kbp_tx_submit(from, f, n), n);
	for (unsigned i = 0; i < n; i++) {
		struct kbp_completion c = reap(from);

		assert_int_equal(c.token, f[i].token);
		assert_int_equal(!!(c.flags & KBP_FRAME_TS), i == 0);
	}
}

/* ---------------------------------------------------------------- the NIC's setting, and what is left */

static void a_nic_without_stamps_is_noted_or_refused(void **state)
{
	struct kbp_port_opts opts = KBP_PORT_OPTS_INIT;
	struct kbp_port_info p;
	struct kbp_port *strict;

	(void)state;
	open_port(KBP_MODE_COPY, KBP_PORT_STAMPING);
	kbp_port_info(port, &p);
	assert_non_null(strstr(p.note, "no NIC stamps"));
	opts.flags = KBP_PORT_STAMPING | KBP_PORT_STRICT;
	assert_int_equal(kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, &opts, &strict, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.step, lab.host[KBP_LAB_RX].ifname));
	assert_null(strict);
}

static void a_killed_owner_leaves_no_stamping_program(void **state)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	enter(KBP_LAB_RX);
	opts.flags = KBP_QUEUE_RX_STAMPS | KBP_QUEUE_TX_STAMPS;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, NULL, &port, NULL) ||
		    kbp_queue_open(port, &opts, &q[0], NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_true(program_on_rx() != 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 100 && program_on_rx(); i++)
		usleep(10000);
	assert_int_equal(program_on_rx(), 0);
	open_port(KBP_MODE_COPY, 0);
	open_queues(KBP_QUEUE_RX_STAMPS);
	send_one();
	assert_true(receive_inline().flags & KBP_FRAME_TS);
}

static int lab_close(void **state)
{
	(void)state;
	return kbp_lab_down(lab.prefix, NULL) < 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, close_all)
	const struct CMUnitTest standard[] = {
		T(in_native_mode_stamps_are_the_drivers_side_software),
		T(in_generic_mode_stamps_are_the_kernels),
		T(a_queue_that_asked_for_none_has_none),
		T(a_later_queue_brings_the_stamping_program),
		T(a_received_frame_is_forwarded_without_its_stamp),
		T(stamps_are_in_sync_while_their_clock_is_looked_at),
		T(a_nics_clock_is_not_that_of_software_stamps),
		T(in_native_mode_completions_name_a_time),
		T(in_generic_mode_completions_name_a_time),
		T(templates_and_forwarded_frames_are_stamped_too),
		T(the_largest_payload_fits_behind_the_stamp),
		T(a_nic_without_stamps_is_noted_or_refused),
		T(a_killed_owner_leaves_no_stamping_program),
	};
	const struct CMUnitTest jumbo[] = { T(all_parts_of_a_chain_carry_its_stamp),
					    T(a_chain_sent_on_has_one_stamp) };
	int failed;

	lab_open(2, 1500);
	failed = cmocka_run_group_tests_name("af_xdp stamps", standard, NULL, lab_close);
	lab_open(1, 9000);
	return failed +
	       cmocka_run_group_tests_name("af_xdp stamps, MTU 9000", jumbo, NULL, lab_close);
}
