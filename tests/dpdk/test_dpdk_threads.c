/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_threads.c - a port's queues, each with a thread of its own that opens, polls, sends and closes it,
 * while another thread adds and deletes flows and reads the account: for the thread sanitizer to judge.
 *
 * Buffers stay with their thread: libdpdk is not instrumented, so the sanitizer would not see that its rings order
 * what passes from one thread to another.
 */
#include <pthread.h>
#include <sched.h>

#include "rig.h"

#define FRAMES 100000u
#define AHEAD 200u
#define FRAME_BYTES 100u
#define AT_TIMES 7u /* of so many frames one is of the flow that comes and goes */

struct worker {
	pthread_t thread;
	unsigned channel;
	struct kbp_queue *q;
	struct rte_mempool *pool;
	uint32_t injected, received, foreign, sent, collected;
	uint32_t next;
};

static struct wire wire;
static struct worker workers[WIRE_QUEUES];
static pthread_barrier_t open_all, begin_all, close_all;
static bool done[WIRE_QUEUES];
static const char *wrong; /* what failed first, in any thread: cmocka may fail in its own only */

static void check(bool holds, const char *what)
{
	const char *none = NULL;

	if (!holds)
		__atomic_compare_exchange_n(&wrong, &none, what, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

/* For the thread sanitizer. What is counted, and how many frames are held, are plain words that the queue's thread
 * alone writes and anyone reads (kbypass.h): these calls do nothing else without a lock. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:^look$\n"
	       "race:^kbp_queue_info$\n"
	       "race:^kbp_port_info$\n"
	       "race:^kbp_dpdk_queue_counters$\n";
}

/* ---------------------------------------------------------------- a worker */

static void inject(struct worker *w)
{
	struct frame_addr a = { .src_ip = PEER_IP, .dst_ip = OUR_IP, .src_port = 4000 };
	uint8_t payload[FRAME_BYTES - FRAME_UDP_HDR] = { 0 }, frame[FRAME_BYTES];
	uint32_t len = FRAME_BYTES;
	struct rte_mbuf *m;

	a.dst_port = (uint16_t)(PORT + !(w->injected % AT_TIMES));
	memcpy(payload, &w->injected, sizeof(w->injected));
	frame_udp(frame, &a, payload, sizeof(payload));
	m = rig_packet(w->pool, frame, &len, 1);
	check(!rte_ring_enqueue(wire.in[w->channel], m), "the wire is full");
	w->injected++;
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct worker *w = arg;
	uint32_t number;

	(void)rx;
	memcpy(&number, (const uint8_t *)f.data + FRAME_UDP_HDR, sizeof(number));
	for (; w->next < number; w->next++, w->foreign++)
		check(!(w->next % AT_TIMES), "a frame of the flow that stays was lost");
	check(w->next == number, "a frame came late or twice");
	w->next++;
	w->received++;
	return KBP_DONE;
}

static uint32_t on_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	struct worker *w = arg;

	(void)tx;
	memcpy(f.data, &w->channel, sizeof(w->channel));
	return sizeof(w->channel);
}

static void collect(struct worker *w)
{
	struct rte_mbuf *m;

	while (!rte_ring_dequeue(wire.out[w->channel], (void **)&m)) {
		check(*rte_pktmbuf_mtod_offset(m, uint8_t *, FRAME_UDP_HDR) == w->channel,
		      "a frame left by the wrong queue");
		rte_pktmbuf_free(m);
		w->collected++;
	}
}

static void work(struct worker *w, struct kbp_txflow *t)
{
	for (uint32_t turn = 0, idle = 0; idle < 10; turn++) {
		unsigned n = turn % 9;

		while (n-- && w->injected < FRAMES && w->injected - w->next < AHEAD)
			inject(w);
		n = turn % 2 ? kbp_rx_each(kbp_rx_of(w->q), 32, on_frame, w) :
			       kbp_rx_each(kbp_rx_as(w->q, KBP_NONE), 32, on_frame, w);
		if (!(turn % 4))
			w->sent += kbp_tx_each(kbp_tx_of(t), 4, on_fill, w);
		if (!(turn % 8))
			collect(w);
		/* frames of a flow that is gone do not come, so silence is the end */
		idle = n || rte_ring_count(wire.in[w->channel]) ? 0 : idle + 1;
		if (idle && w->injected < FRAMES) {
			idle = 0;
			w->foreign += w->injected - w->next;
			w->next = w->injected;
		}
	}
	w->foreign += w->injected - w->next;
	collect(w);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_error err = { 0 };
	struct kbp_txflow *t = NULL;
	struct kbp_flow flow;

	o.channel = w->channel;
	check(!kbp_queue_open(r.port, &o, &w->q, &err), "no queue");
	check(!kbp_flow_parse("239.7.7.8:6000@10.77.0.1:7000+nojoin", &flow, &err), "no flow");
	if (w->q)
		check(!kbp_txflow_open(w->q, &flow, &t, &err), "no txflow");
	pthread_barrier_wait(&open_all);
	pthread_barrier_wait(&begin_all); /* there is a flow */
	if (t)
		work(w, t);
	__atomic_store_n(&done[w->channel], true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&close_all);
	kbp_txflow_close(t);
	check(!kbp_queue_close(w->q, 0, &err), "the queue does not close");
	return NULL;
}

/* ---------------------------------------------------------------- the one that changes flows */

static void flow_comes_and_goes(struct kbp_queue *q)
{
	struct kbp_flow_ref *ref = NULL;
	struct kbp_error err = { 0 };
	struct kbp_flow flow;

	check(!kbp_flow_parse("10.77.0.1:5001", &flow, &err), "no flow");
	check(!kbp_flow_add(q, &flow, &ref, &err), "a flow cannot be added");
	sched_yield();
	check(!kbp_flow_del(ref, &err), "a flow cannot be deleted");
}

static void account_read(struct kbp_queue *q)
{
	struct kbp_counter c[64];
	struct kbp_queue_info info;
	struct kbp_port_info port;
	unsigned n = kbp_queue_counters(q, c, 64);

	check(n && n <= 64, "the number of counters");
	kbp_queue_info(q, &info);
	check(info.channel < WIRE_QUEUES, "the queue's facts");
	kbp_port_info(r.port, &port);
	check(port.open_queues == WIRE_QUEUES, "the port's facts");
}

static void flows_change_and_counters_are_read_while_queues_are_polled(void **state)
{
	unsigned changes = 0;

	(void)state;
	rig_port(&wire, "queues=2", 0);
	for (unsigned i = 0; i < WIRE_QUEUES; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]),
				 0);
	pthread_barrier_wait(&open_all);
	assert_null(wrong);
	rig_flow(workers[0].q, "10.77.0.1:5000");
	pthread_barrier_wait(&begin_all);
	while (!__atomic_load_n(&done[0], __ATOMIC_ACQUIRE) ||
	       !__atomic_load_n(&done[1], __ATOMIC_ACQUIRE)) {
		flow_comes_and_goes(workers[changes++ % WIRE_QUEUES].q);
		account_read(workers[changes % WIRE_QUEUES].q);
	}
	for (unsigned i = 0; i < WIRE_QUEUES; i++) {
		struct worker *w = &workers[i];

		print_message("queue %u: %u frames received, %u foreign, %u sent; %u changes\n", i,
			      w->received, w->foreign, w->sent, changes);
		assert_int_equal(w->injected, FRAMES);
		assert_int_equal(w->received + w->foreign, FRAMES);
		assert_int_equal(rig_counter(w->q, "rx_frames"), w->received);
		assert_int_equal(rig_counter(w->q, "rx_foreign"), w->foreign);
		assert_int_equal(rig_counter(w->q, "tx_frames"), w->sent);
		assert_int_equal(w->collected, w->sent);
	}
	pthread_barrier_wait(&close_all);
	for (unsigned i = 0; i < WIRE_QUEUES; i++)
		pthread_join(workers[i].thread, NULL);
	if (wrong)
		fail_msg("%s", wrong);
	ok(kbp_port_close(r.port, &r.err));
	rig_no_pools();
	for (unsigned i = 0; i < WIRE_QUEUES; i++)
		rig_pool_check(workers[i].pool, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_change_and_counters_are_read_while_queues_are_polled),
	};

	rig_begin();
	rig_wire(&wire, "two", WIRE_QUEUES, 512);
	for (unsigned i = 0; i < WIRE_QUEUES; i++) {
		workers[i].channel = i;
		workers[i].pool = rig_pool(i ? "second" : "first", 1023);
	}
	pthread_barrier_init(&open_all, NULL, WIRE_QUEUES + 1);
	pthread_barrier_init(&begin_all, NULL, WIRE_QUEUES + 1);
	pthread_barrier_init(&close_all, NULL, WIRE_QUEUES + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
