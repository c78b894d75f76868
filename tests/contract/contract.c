/* SPDX-License-Identifier: BSD-2-Clause */
/* contract.c - the fixture, and the list of what is run: contract BACKEND. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "contract.h"

struct fixture t;

#ifdef KBP_HOT_DPDK
extern const struct kbp_backend kbp_backend_dpdk;
#endif

static const struct subject subjects[] = {
	{ "socket", "socket", NULL, KBP_MODE_AUTO, &wire_veth, T_LOSS, NULL },
	{ "af_xdp-generic", "af_xdp", NULL, KBP_MODE_GENERIC, &wire_veth, T_L2 | T_LOSS, NULL },
	{ "af_xdp-copy", "af_xdp", NULL, KBP_MODE_COPY, &wire_veth, T_L2 | T_LOSS | T_CHAIN, NULL },
	/* descriptors, sent by PIO; by DMA; by CTPIO; references, as X3 and X4 do */
	{ "ef_vi_sim-sfn8522", "ef_vi_sim", "nic=sfn8522,check=deep", KBP_MODE_AUTO, &wire_memory,
	  T_L2 | T_LOSS | T_SIM | T_CHAIN | T_DESC | T_TS, sim_check_idle },
	{ "ef_vi_sim-dma", "ef_vi_sim", "nic=sfn8522,tx=dma,check=deep", KBP_MODE_AUTO,
	  &wire_memory, T_L2 | T_LOSS | T_SIM | T_CHAIN | T_DESC | T_TS, sim_check_idle },
	{ "ef_vi_sim-x2522", "ef_vi_sim", "nic=x2522,check=deep", KBP_MODE_AUTO, &wire_memory,
	  T_L2 | T_LOSS | T_SIM | T_CHAIN | T_DESC | T_TS, sim_check_idle },
	{ "ef_vi_sim-merging", "ef_vi_sim", "nic=sfn8522,merging=on,check=deep", KBP_MODE_AUTO,
	  &wire_memory, T_L2 | T_LOSS | T_SIM | T_CHAIN | T_DESC | T_TS, sim_check_idle },
	{ "ef_vi_sim-x3522", "ef_vi_sim", "nic=x3522,check=deep", KBP_MODE_AUTO, &wire_memory,
	  T_L2 | T_LOSS | T_SIM | T_REFS | T_TS, sim_check_idle },
	{ "ef_vi_sim-x4542", "ef_vi_sim", "nic=x4542,express,check=deep", KBP_MODE_AUTO,
	  &wire_memory, T_L2 | T_LOSS | T_SIM | T_REFS | T_TS, sim_check_idle },
	{ "ef_vi_sim-thread", "ef_vi_sim", "nic=x2522,step=thread", KBP_MODE_AUTO,
	  &wire_memory_thread, T_L2 | T_LOSS, NULL },
	{ "ef_vi_sim-veth", "ef_vi_sim", "nic=x2522", KBP_MODE_AUTO, &wire_veth,
	  T_L2 | T_LOSS | T_CHAIN, NULL },
	{ "ef_vi_sim-veth-x3522", "ef_vi_sim", "nic=x3522", KBP_MODE_AUTO, &wire_veth,
	  T_L2 | T_LOSS | T_REFS, NULL },
#ifdef KBP_HOT_DPDK
	/* a program's own device and environment; one that this library makes, over a veth */
	{ "dpdk-ring", "dpdk", NULL, KBP_MODE_AUTO, &wire_dring, T_L2 | T_CHAIN, NULL },
	{ "dpdk-af_packet", "dpdk", "pmd=af_packet --no-huge", KBP_MODE_AUTO, &wire_veth,
	  T_L2 | T_LOSS, NULL },
#endif
};

/* ---------------------------------------------------------------- setup */

struct kbp_flow flow_of(uint32_t dst_ip, uint16_t dst_port)
{
	struct kbp_flow f = { .dst.family = AF_INET, .dst_port = dst_port };

	frame_be32(f.dst.bytes, dst_ip);
	return f;
}

static void must(int rc, const char *what)
{
	if (rc < 0)
		fail_msg("%s: %d: %s: %s", what, rc, t.err.step, t.err.hint);
}

void open_port(void)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	o.mode = t.s->mode;
	o.args = t.s->words;
	o.flags = KBP_PORT_NO_MONITOR | (t.lenient ? 0 : KBP_PORT_STRICT);
	must(kbp_port_open(t.s->backend, t.s->wire->ifname, &o, &t.port, &t.err), "open port");
}

struct kbp_queue *open_queue(uint32_t flags, uint32_t rx_ring, uint32_t tx_ring, uint32_t hold_max)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;

	o.flags = flags;
	o.rx_ring = rx_ring;
	o.tx_ring = tx_ring;
	o.hold_max = hold_max;
	must(kbp_queue_open(t.port, &o, &t.q, &t.err), "open queue");
	book_open(t.q);
	return t.q;
}

void open_default(uint32_t flags, uint32_t hold_max)
{
	struct kbp_flow flow = flow_of(OUR_IP, RX_PORT);

	open_port();
	open_queue(flags | KBP_QUEUE_RX | KBP_QUEUE_TX, 512, 512, hold_max);
	must(kbp_flow_add(t.q, &flow, &t.ref, &t.err), "add flow");
}

struct kbp_txflow *open_txflow(struct kbp_queue *q)
{
	struct kbp_flow flow = flow_of(TX_GROUP, TX_PORT);
	struct kbp_txflow *tx;

	flow.src.family = AF_INET;
	frame_be32(flow.src.bytes, OUR_IP);
	flow.src_port = RX_PORT + 1;
	must(kbp_txflow_open(q, &flow, &tx, &t.err), "open txflow");
	return tx;
}

static int setup(void **state)
{
	const struct subject *s = t.s;
	const char *why;

	(void)state;
	t = (struct fixture){ .s = s, .inline_form = t.inline_form };
	why = s->wire->open(0);
	if (why) {
		print_error("%s\n", why);
		return -1;
	}
	s->wire->close();
	sim_begin();
	book_forget();
	s->wire->mac(t.rx_addr.dst_mac, t.rx_addr.src_mac);
	t.rx_addr.src_ip = PEER_IP;
	t.rx_addr.dst_ip = OUR_IP;
	t.rx_addr.src_port = 4000;
	t.rx_addr.dst_port = RX_PORT;
	return 0;
}

/* A test gives back what it took: anything else is a leak of the library's or the test's. */
static int teardown(void **state)
{
	int rc = 0;

	(void)state;
	if (t.q) {
		rc = kbp_queue_close(t.q, 0, &t.err);
		if (rc) {
			print_error("left over: %s: %s\n", t.err.step, t.err.hint);
			kbp_queue_close(t.q, KBP_CLOSE_FORCE, NULL);
		}
	}
	if (t.port && kbp_port_close(t.port, &t.err)) {
		print_error("left over: %s: %s\n", t.err.step, t.err.hint);
		rc = -1;
	}
	t.s->wire->close();
	return rc;
}

/* ---------------------------------------------------------------- traffic */

uint32_t payload_make(uint8_t *p, uint32_t number, uint32_t len)
{
	if (!len)
		len = 18 + number * 7919u % 1300u;
	memcpy(p, &number, sizeof(number));
	for (uint32_t i = sizeof(number); i < len; i++)
		p[i] = (uint8_t)(number * 31u + i * 7u);
	return len;
}

void payload_check(const void *p, uint32_t len, uint32_t number)
{
	uint8_t want[FRAME_MAX];

	assert_in_range(len, sizeof(number), FRAME_MAX);
	payload_make(want, number, len);
	assert_memory_equal(p, want, len);
}

static void inject_frame(uint32_t number, uint32_t len, uint16_t port)
{
	uint8_t payload[FRAME_MAX], frame[FRAME_MAX + FRAME_UDP_HDR];
	struct frame_addr a = t.rx_addr;

	a.dst_port = port;
	len = payload_make(payload, number, len);
	t.s->wire->inject(frame, frame_udp(frame, &a, payload, len), false);
}

void inject_sized(uint32_t len)
{
	inject_frame(t.next_out++, len, RX_PORT);
	t.injected++;
}

void inject(unsigned n)
{
	while (n--)
		inject_sized(0);
}

void inject_to(uint16_t port, uint32_t number)
{
	inject_frame(number, 64, port);
}

uint32_t collect(uint8_t *payload, uint32_t size)
{
	uint8_t frame[FRAME_MAX];
	struct kbp_datagram d;
	uint32_t n;

	while ((n = t.s->wire->collect(frame, sizeof(frame), t.s->wire->immediate ? 0 : 500))) {
		assert_int_equal(kbp_datagram_parse(frame, n, false, &d), KBP_PARSE_OK);
		if (d.dst_port != TX_PORT)
			continue;
		assert_true(frame_checksums_ok(frame, n));
		assert_in_range(d.len, 1, size);
		memcpy(payload, d.payload, d.len);
		return d.len;
	}
	return 0;
}

/* ---------------------------------------------------------------- receiving */

unsigned pump(struct kbp_queue *q, unsigned max, kbp_handler fn, void *arg)
{
	return t.inline_form ? book_rx_each(kbp_rx_of(q), max, fn, arg) :
			       kbp_generic_rx_each(kbp_rx_of(q), max, fn, arg);
}

/* Between polls of a real wire the kernel gets the CPU; a memory wire needs no time. */
void give_way(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	if (!t.s->wire->immediate)
		nanosleep(&ms, NULL);
}

static bool again(unsigned *empty)
{
	give_way();
	return ++*empty < (t.s->wire->immediate ? 2000u : 3000u);
}

void pump_until(struct kbp_queue *q, unsigned max, kbp_handler fn, void *arg, const uint32_t *count,
		uint32_t want)
{
	unsigned empty = 0;

	while (*count < want) {
		if (pump(q, max, fn, arg))
			empty = 0;
		else if (!again(&empty))
			fail_msg("%u of %u frames came, then none any more", *count, want);
	}
}

void pump_idle(struct kbp_queue *q, kbp_handler fn, void *arg)
{
	for (unsigned empty = 0; empty < 50;) {
		empty = pump(q, 32, fn, arg) ? 0 : empty + 1;
		give_way();
	}
}

const void *payload_of(struct kbp_queue *q, const struct kbp_frame *f, uint32_t *len)
{
	struct kbp_datagram d;

	assert_int_equal(kbp_datagram(q, f, &d), KBP_PARSE_OK);
	*len = d.len;
	return d.payload;
}

unsigned on_numbered(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct sink *s = arg;
	uint32_t len;
	const void *p = payload_of(rx.q, &f, &len);

	payload_check(p, len, s->next++);
	s->frames++;
	s->bytes += len;
	return KBP_DONE;
}

void hold_frames(struct kbp_queue *q, struct kbp_frame *f, unsigned want)
{
	unsigned empty = 0, n = 0;

	while (n < want) {
		unsigned got = kbp_rx_peek(q, f + n, want - n);

		n += got;
		if (!got && !again(&empty))
			fail_msg("%u of %u frames came, then none any more", n, want);
	}
}

/* ---------------------------------------------------------------- counters */

uint64_t counter(struct kbp_queue *q, const char *name)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	fail_msg("there is no counter %s", name);
	return 0;
}

uint64_t drops(struct kbp_queue *q)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);
	uint64_t sum = 0;

	assert_in_range(n, 1, 64);
	for (unsigned i = 0; i < n; i++)
		sum += c[i].cls == KBP_COUNT_DROP ? c[i].value : 0;
	return sum;
}

uint64_t counters_named(struct kbp_queue *q, const char *begin)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);
	uint64_t sum = 0;

	assert_in_range(n, 1, 64);
	for (unsigned i = 0; i < n; i++)
		sum += strncmp(c[i].name, begin, strlen(begin)) ? 0 : c[i].value;
	return sum;
}

/* ---------------------------------------------------------------- the list */

static struct CMUnitTest tests[256];
static char names[256][160];
static unsigned n_tests;

static int setup_array(void **state)
{
	t.inline_form = false;
	return setup(state);
}

static int setup_inline(void **state)
{
	t.inline_form = true;
	return setup(state);
}

static void list_add(const struct behaviour *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned form = FORM_ARRAY; form <= FORM_INLINE; form++) {
			if ((b[i].needs & t.s->traits) != b[i].needs || !(b[i].forms & form))
				continue;
			assert_in_range(n_tests, 0, 255);
			snprintf(names[n_tests], sizeof(names[0]), "%s%s", b[i].says,
				 b[i].forms != FORM_BOTH ? "" :
				 form == FORM_ARRAY	 ? " (array form)" :
							   " (inline form)");
			tests[n_tests] = (struct CMUnitTest){ .name = names[n_tests],
							      .test_func = b[i].run,
							      .setup_func = form == FORM_ARRAY ?
										    setup_array :
										    setup_inline,
							      .teardown_func = teardown };
			n_tests++;
		}
	}
}

int main(int argc, char **argv)
{
	const char *why;

	for (unsigned i = 0; argc == 2 && i < KBP_ARRAY_SIZE(subjects); i++)
		if (!strcmp(argv[1], subjects[i].arg))
			t.s = &subjects[i];
	if (!t.s) {
		fprintf(stderr, "usage: contract SUBJECT; one of:");
		for (unsigned i = 0; i < KBP_ARRAY_SIZE(subjects); i++)
			fprintf(stderr, " %s", subjects[i].arg);
		fprintf(stderr, "\n");
		return 2;
	}
	why = t.s->wire->open(0);
	if (why) {
		printf("SKIP: contract on %s: %s\n", t.s->arg, why);
		return TEST_SKIP;
	}
	sim_register();
#ifdef KBP_HOT_DPDK
	kbp_backend_register(&kbp_backend_dpdk);
#endif
	list_add(rx_behaviours, n_rx_behaviours);
	list_add(tx_behaviours, n_tx_behaviours);
	list_add(life_behaviours, n_life_behaviours);
	return _cmocka_run_group_tests(t.s->arg, tests, n_tests, NULL, NULL);
}
