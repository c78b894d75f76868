/* SPDX-License-Identifier: BSD-2-Clause */
/* contract_life.c - behaviours of opening, waiting, dying and closing. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "contract.h"

static void close_with_held_frames_is_refused_and_says_how_many(void **state)
{
	struct kbp_frame f[3];

	(void)state;
	open_default(0, 0);
	inject(3);
	hold_frames(t.q, f, 3);
	assert_int_equal(kbp_queue_close(t.q, 0, &t.err), -EBUSY);
	assert_non_null(strstr(t.err.step, "3 frames"));
	assert_int_equal(t.err.code, -EBUSY);
	kbp_rx_release(t.q, f, 2);
	assert_int_equal(kbp_queue_close(t.q, 0, &t.err), -EBUSY);
	assert_non_null(strstr(t.err.step, "1 frame"));
	kbp_rx_release(t.q, f + 2, 1);
	inject(1); /* a refused close changed nothing */
	hold_frames(t.q, f, 1);
	kbp_rx_release(t.q, f, 1);
	assert_int_equal(kbp_queue_close(t.q, 0, &t.err), 0);
	t.q = NULL;
}

static void close_with_force_takes_everything_back(void **state)
{
	struct kbp_template *tpl;
	struct kbp_txflow *tx;
	struct kbp_frame f[4], out[4];

	(void)state;
	open_default(0, 0);
	inject(4);
	hold_frames(t.q, f, 4);
	tx = open_txflow(t.q);
	assert_int_equal(kbp_tx_reserve(tx, out, 4), 4);
	assert_int_equal(kbp_template_open(tx, "abcd", 4, &tpl, &t.err), 0);
	assert_int_equal(kbp_port_close(t.port, &t.err), -EBUSY);
	assert_int_equal(kbp_queue_close(t.q, KBP_CLOSE_FORCE, &t.err), 0);
	t.q = NULL;
	open_queue(0, 512, 512, 0); /* the channel is free again */
}

static void close_with_an_open_txflow_is_refused(void **state)
{
	struct kbp_txflow *tx;

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	assert_int_equal(kbp_queue_close(t.q, 0, &t.err), -EBUSY);
	assert_non_null(strstr(t.err.step, "1 txflow"));
	kbp_txflow_close(tx);
}

static void close_with_reserved_frames_is_refused(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f[2];

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	assert_int_equal(kbp_tx_reserve(tx, f, 2), 2);
	assert_int_equal(kbp_queue_close(t.q, 0, &t.err), -EBUSY);
	assert_non_null(strstr(t.err.step, "2 reserved"));
	kbp_tx_cancel(t.q, f, 2);
	kbp_txflow_close(tx);
}

static void a_foreign_hot_abi_is_refused(void **state)
{
	struct kbp_queue *q = (void *)&t;

	(void)state;
	open_port();
	assert_int_equal(kbp_queue_open_abi(t.port, NULL, KBP_HOT_ABI + 1, &q, &t.err), -ENOEXEC);
	assert_null(q);
	assert_int_not_equal(t.err.hint[0], 0);
}

static void options_that_make_no_sense_are_refused(void **state)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue *q;

	(void)state;
	open_port();
	o.rx_ring = 100;
	assert_int_equal(kbp_queue_open(t.port, &o, &q, &t.err), -EINVAL);
	assert_null(q);
	o.rx_ring = 0;
	o.hold_max = UINT32_MAX;
	assert_int_equal(kbp_queue_open(t.port, &o, &q, &t.err), -EINVAL);
	o.hold_max = 0;
	o.size = 2;
	assert_int_equal(kbp_queue_open(t.port, &o, &q, &t.err), -EINVAL);
}

static void an_rx_queue_receives_and_refuses_to_send(void **state)
{
	struct kbp_flow flow = flow_of(OUR_IP, RX_PORT), out = flow_of(TX_GROUP, TX_PORT);
	struct kbp_txflow *tx = (void *)&t;
	struct kbp_completion c;
	struct sink s = { 0 };

	(void)state;
	open_port();
	open_queue(KBP_QUEUE_RX, 512, 512, 0);
	assert_int_equal(kbp_flow_add(t.q, &flow, NULL, &t.err), 0);
	assert_int_equal(kbp_txflow_open(t.q, &out, &tx, &t.err), -EINVAL);
	assert_null(tx);
	assert_int_equal(kbp_tx_reap(t.q, &c, 1), 0);
	inject(20);
	pump_until(t.q, 8, on_numbered, &s, &s.frames, 20);
}

static void a_tx_queue_sends_and_receives_nothing(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f;
	uint8_t payload[FRAME_MAX];
	struct sink s = { 0 };

	(void)state;
	open_port();
	open_queue(KBP_QUEUE_TX, 512, 512, 0);
	tx = open_txflow(t.q);
	for (uint32_t i = 0; i < 600; i++) {
		assert_int_equal(kbp_tx_reserve(tx, &f, 1), 1);
		f.len = payload_make(f.data, i, 0);
		assert_int_equal(kbp_tx_submit(t.q, &f, 1), 1);
		assert_int_not_equal(collect(payload, sizeof(payload)), 0);
	}
	inject(2);
	assert_int_equal(pump(t.q, 8, on_numbered, &s), 0);
	kbp_txflow_close(tx);
}

/* ---------------------------------------------------------------- waiting */

static void *inject_later(void *arg)
{
	struct timespec ms = { .tv_nsec = 20000000 };

	(void)arg;
	nanosleep(&ms, NULL);
	inject(1);
	return NULL;
}

static void wait_wakes_on_arrival(void **state)
{
	struct sink s = { 0 };
	pthread_t thread;

	(void)state;
	open_default(0, 0);
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(pthread_create(&thread, NULL, inject_later, NULL), 0);
		assert_int_equal(kbp_wait(&t.q, 1, FOREVER_NS), 1);
		pthread_join(thread, NULL);
		pump_until(t.q, 8, on_numbered, &s, &s.frames, round + 1);
		pump_idle(t.q, on_numbered, &s);
	}
}

static void wait_returns_at_once_when_frames_are_there(void **state)
{
	struct sink s = { 0 };

	(void)state;
	open_default(0, 0);
	inject(5);
	pump_until(t.q, 1, on_numbered, &s, &s.frames, 2);
	assert_int_equal(kbp_wait(&t.q, 1, FOREVER_NS), 1); /* three are left */
	pump_until(t.q, 1, on_numbered, &s, &s.frames, 5);
}

static void wait_times_out_on_a_quiet_wire(void **state)
{
	struct sink s = { 0 };

	(void)state;
	open_default(0, 0);
	assert_int_equal(kbp_wait(&t.q, 1, 0), 0);
	assert_int_equal(kbp_wait(&t.q, 1, 3000000), 0);
	inject(1);
	pump_until(t.q, 8, on_numbered, &s, &s.frames, 1);
	pump_idle(t.q, on_numbered, &s);
	assert_int_equal(kbp_wait(&t.q, 1, 3000000), 0);
	assert_int_equal(kbp_wait(&t.q, 0, 0), -EINVAL);
}

static void wait_returns_a_dead_queue(void **state)
{
	(void)state;
	open_default(0, 0);
	assert_int_equal(kbp_queue_state(t.q), KBP_QUEUE_UP);
	kbp_queue_set_state(t.q, KBP_QUEUE_GONE);
	assert_int_equal(kbp_wait(&t.q, 1, FOREVER_NS), 1);
	assert_int_equal(kbp_queue_state(t.q), KBP_QUEUE_GONE);
}

/* ---------------------------------------------------------------- death and return */

static void an_overflow_is_seen_in_the_state_and_reopen_recovers(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f[4];
	struct sink s = { 0 };
	uint8_t payload[FRAME_MAX];

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	inject(5);
	pump_until(t.q, 8, on_numbered, &s, &s.frames, 5);
	inject(4);
	hold_frames(t.q, f, 4); /* held while it dies: void afterwards */
	sim_overflow();
	inject(10);
	pump_idle(t.q, on_numbered, &s);
	assert_int_equal(s.frames, 5);
	assert_int_equal(kbp_queue_state(t.q), KBP_QUEUE_OVERFLOWED);
	assert_int_equal(kbp_wait(&t.q, 1, FOREVER_NS), 1);
	assert_int_equal(kbp_queue_reopen(t.q, &t.err), 0);
	book_forget(); /* what was held is void */
	assert_int_equal(kbp_queue_state(t.q), KBP_QUEUE_UP);
	assert_int_equal(t.q->held, 0);
	assert_int_equal(counter(t.q, "rx_lost_unknown_events"), 1);
	s.next = t.next_out;
	inject(600);
	pump_until(t.q, 8, on_numbered, &s, &s.frames, 405);
	assert_int_equal(kbp_tx_reserve(tx, f, 1), 1); /* the txflow survived */
	f[0].len = payload_make(f[0].data, 9, 50);
	assert_int_equal(kbp_tx_submit(t.q, f, 1), 1);
	assert_int_equal(collect(payload, sizeof(payload)), 50);
	pump_idle(t.q, on_numbered, &s);
	kbp_txflow_close(tx);
}

static void a_healthy_queue_is_not_reopened(void **state)
{
	(void)state;
	open_default(0, 0);
	assert_int_equal(kbp_queue_reopen(t.q, &t.err), -EINVAL);
}

static void nothing_is_left_after_thousands_of_frames_both_ways(void **state)
{
	struct kbp_txflow *tx;
	struct kbp_frame f[8];
	struct sink s = { 0 };

	(void)state;
	open_default(0, 0);
	tx = open_txflow(t.q);
	for (unsigned round = 0; round < 1000; round++) {
		unsigned n;

		inject(8);
		pump_until(t.q, 8, on_numbered, &s, &s.frames, t.next_out);
		n = kbp_tx_reserve(tx, f, 8);
		assert_int_equal(n, 8);
		for (unsigned i = 0; i < n; i++)
			f[i].len = 20;
		assert_int_equal(kbp_tx_submit(t.q, f, n), n);
	}
	kbp_txflow_close(tx);
	t.s->check_idle(t.q);
}

const struct behaviour life_behaviours[] = {
	{ "close with held frames is refused and says how many",
	  close_with_held_frames_is_refused_and_says_how_many, 0, FORM_ARRAY },
	{ "close with force takes everything back", close_with_force_takes_everything_back, 0,
	  FORM_ARRAY },
	{ "close with an open txflow is refused", close_with_an_open_txflow_is_refused, 0,
	  FORM_ARRAY },
	{ "close with reserved frames is refused", close_with_reserved_frames_is_refused, 0,
	  FORM_ARRAY },
	{ "a foreign hot ABI is refused", a_foreign_hot_abi_is_refused, 0, FORM_ARRAY },
	{ "options that make no sense are refused", options_that_make_no_sense_are_refused, 0,
	  FORM_ARRAY },
	{ "an RX queue receives and refuses to send", an_rx_queue_receives_and_refuses_to_send, 0,
	  FORM_BOTH },
	{ "a TX queue sends and receives nothing", a_tx_queue_sends_and_receives_nothing, 0,
	  FORM_BOTH },
	{ "wait wakes on arrival", wait_wakes_on_arrival, 0, FORM_BOTH },
	{ "wait returns at once when frames are there", wait_returns_at_once_when_frames_are_there,
	  0, FORM_BOTH },
	{ "wait times out on a quiet wire", wait_times_out_on_a_quiet_wire, 0, FORM_ARRAY },
	{ "wait returns a dead queue", wait_returns_a_dead_queue, 0, FORM_ARRAY },
	{ "an overflow is seen in the state and reopen recovers",
	  an_overflow_is_seen_in_the_state_and_reopen_recovers, T_SIM, FORM_BOTH },
	{ "a healthy queue is not reopened", a_healthy_queue_is_not_reopened, 0, FORM_ARRAY },
	{ "nothing is left after thousands of frames both ways",
	  nothing_is_left_after_thousands_of_frames_both_ways, T_SIM, FORM_BOTH },
};

const unsigned n_life_behaviours = KBP_ARRAY_SIZE(life_behaviours);
