/* SPDX-License-Identifier: BSD-2-Clause */
/* sock_lab.h - what the tests of sockets, membership and neighbours share: near has the port, far
 * sees frames. */
#ifndef SOCK_LAB_H
#define SOCK_LAB_H

#include "test.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "frame.h"
#include "netns.h"

#define NEAR "kbpt-sock-a"
#define FAR "kbpt-sock-b"
#define NEAR_IP 0x0a4d0001u /* 10.77.0.1 */
#define FAR_IP 0x0a4d0002u
#define WAIT_NS 2000000000ll

static struct kbp_error err;
static struct kbp_port *port;
static struct kbp_queue *q;
static int far = -1;

/* Every failure of the library shows what it said. */
#define ok(call)                                                                     \
	do {                                                                         \
		int rc_ = (call);                                                    \
		if (rc_ < 0)                                                         \
			fail_msg("%s = %d: %s: %s", #call, rc_, err.step, err.hint); \
	} while (0)

static inline int lab_main(void)
{
	const char *why = netns_enter();

	if (!why)
		why = netns_veth(NEAR, FAR, 1500, 1);
	if (why) {
		printf("SKIP: %s\n", why);
		return TEST_SKIP;
	}
	far = netns_packet_open(FAR);
	return far < 0 ? TEST_SKIP : 0;
}

static inline void open_queue(const char *ifname, uint32_t frame_bytes, struct kbp_queue_opts *opts)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;

	po.flags = KBP_PORT_NO_HUGEPAGES;
	po.frame_bytes = frame_bytes;
	ok(kbp_port_open("socket", ifname, &po, &port, &err));
	ok(kbp_queue_open(port, opts, &q, &err));
}

static inline void open_near(uint32_t flags)
{
	struct kbp_queue_opts opts = KBP_QUEUE_OPTS_INIT;

	opts.flags = flags;
	open_queue(NEAR, 0, &opts);
}

static inline int lab_close(void **state)
{
	uint8_t frame[2048];

	(void)state;
	ok(kbp_queue_close(q, KBP_CLOSE_FORCE, &err));
	ok(kbp_port_close(port, &err));
	q = NULL;
	port = NULL;
	while (netns_packet_recv(far, frame, sizeof(frame), 0))
		;
	return 0;
}

static inline struct kbp_flow flow_of(const char *text)
{
	struct kbp_flow flow;

	ok(kbp_flow_parse(text, &flow, &err));
	return flow;
}

static inline struct kbp_flow_ref *listen_to(const char *text)
{
	struct kbp_flow flow = flow_of(text);
	struct kbp_flow_ref *ref;

	ok(kbp_flow_add(q, &flow, &ref, &err));
	return ref;
}

static inline void inject(uint32_t src, uint16_t src_port, uint32_t dst, uint16_t dst_port,
			  const void *payload, uint32_t len)
{
	struct frame_addr a = { .src_ip = src,
				.dst_ip = dst,
				.src_port = src_port,
				.dst_port = dst_port };
	uint8_t frame[2048];

	netns_mac(FAR, a.src_mac);
	netns_mac(NEAR, a.dst_mac);
	assert_true(netns_packet_send(far, frame, frame_udp(frame, &a, payload, len)));
}

/* The next frame, waited for; 0 when none came. */
static inline unsigned next_frame(struct kbp_frame *f)
{
	unsigned n = kbp_rx_peek(q, f, 1);

	if (!n && kbp_wait(&q, 1, WAIT_NS) > 0)
		n = kbp_rx_peek(q, f, 1);
	return n;
}

static inline void expect_text(const char *text)
{
	struct kbp_frame f;

	assert_int_equal(next_frame(&f), 1);
	assert_int_equal(f.len, strlen(text));
	assert_memory_equal(f.data, text, f.len);
	kbp_rx_release(q, &f, 1);
}

/* A veth delivers inside the sender's send: what has not arrived by now will not. */
static inline void expect_nothing(void)
{
	struct kbp_frame f;

	assert_int_equal(kbp_rx_peek(q, &f, 1), 0);
}

static inline uint64_t counter(const char *name)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);

	assert_true(n <= 64);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	fail_msg("no counter %s", name);
	return 0;
}

/* The next UDP frame on the far end; its length, or 0 after two seconds without. */
static inline uint32_t far_udp(uint8_t *frame, uint32_t size)
{
	for (int i = 0; i < 100; i++) {
		uint32_t n = netns_packet_recv(far, frame, size, 2000);

		if (!n || (frame[12] == 8 && !frame[13] && frame[23] == 17))
			return n;
	}
	return 0;
}

static inline struct kbp_txflow *send_to(const char *text)
{
	struct kbp_flow flow = flow_of(text);
	struct kbp_txflow *t;

	ok(kbp_txflow_open(q, &flow, &t, &err));
	return t;
}

#endif
