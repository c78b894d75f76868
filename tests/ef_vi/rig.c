/* SPDX-License-Identifier: BSD-2-Clause */
/* rig.c - see rig.h. */
#include "rig.h"

struct rig r;

static void on_violation(void *arg, const char *ifname, const char *what)
{
	(void)arg;
	fail_msg("the software NIC on %s: %s", ifname, what);
}

int rig_setup(void **state)
{
	char why[160];

	(void)state;
	memset(&r, 0, sizeof(r));
	kbp_backend_register(&kbp_backend_ef_vi_sim);
	softnic_on_violation(on_violation, NULL);
	softnic_faults_clear("sim0");
	softnic_wire_clear("sim0");
	if (softnic_options("sim0",
			    "nic=sfn8522,mtu=1500,sync_status=on,clock=manual,check=deep,step=poll",
			    why, sizeof(why)))
		fail_msg("%s", why);
	r.epoch_ns = (uint64_t)time(NULL) * 1000000000u;
	assert_int_equal(softnic_clock_set("sim0", r.epoch_ns), 0);
	softnic_first_index(0xffffff00u);
	r.addr = (struct frame_addr){ .src_mac = { 2, 0, 0, 0, 0, 9 },
				      .dst_mac = { 2, 0, 0, 0, 0, 1 },
				      .src_ip = PEER_IP,
				      .dst_ip = OUR_IP,
				      .src_port = 4000,
				      .dst_port = PORT };
	return 0;
}

void rig_close(void)
{
	ok(kbp_queue_close(r.q, 0, &r.err));
	ok(kbp_port_close(r.port, &r.err));
	r.q = NULL;
	r.port = NULL;
}

int rig_teardown(void **state)
{
	struct softnic_info info;

	(void)state;
	rig_close();
	assert_int_equal(softnic_info_get("sim0", &info), 0);
	assert_int_equal(info.n_vis, 0);
	assert_int_equal(info.n_pds, 0);
	return 0;
}

void rig_ok(int rc, const char *what)
{
	if (rc < 0)
		fail_msg("%s = %d: %s: %s", what, rc, r.err.step, r.err.hint);
}

void rig_port(const char *words, uint32_t port_flags)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;

	o.args = words;
	o.flags = port_flags | KBP_PORT_NO_HUGEPAGES;
	ok(kbp_port_open("ef_vi_sim", "sim0", &o, &r.port, &r.err));
}

struct kbp_queue *rig_queue(uint32_t flags, uint32_t channel, uint32_t ring)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue *q;

	o.flags = flags;
	o.channel = channel;
	o.rx_ring = o.tx_ring = ring;
	o.hold_max = 64;
	ok(kbp_queue_open(r.port, &o, &q, &r.err));
	return q;
}

struct kbp_flow_ref *rig_flow(struct kbp_queue *q, const char *text)
{
	struct kbp_flow_ref *ref;
	struct kbp_flow flow;

	ok(kbp_flow_parse(text, &flow, &r.err));
	ok(kbp_flow_add(q, &flow, &ref, &r.err));
	return ref;
}

void rig_open(const char *words, uint32_t flags)
{
	rig_port(words, KBP_PORT_STRICT | KBP_PORT_NO_MONITOR);
	r.q = rig_queue(flags | KBP_QUEUE_RX | KBP_QUEUE_TX, 0, 512);
	rig_flow(r.q, "10.77.0.1:5000");
}

void rig_inject_at(const struct frame_addr *a, uint32_t len, unsigned softnic_flags)
{
	uint8_t payload[9000], frame[9100];
	uint32_t n;

	memset(payload, (int)(r.sent & 0x7f), sizeof(payload));
	memcpy(payload, &r.sent, sizeof(r.sent));
	r.sent++;
	n = frame_udp(frame, a, payload, len);
	assert_int_equal(softnic_inject("sim0", frame, n, softnic_flags), 0);
}

void rig_inject(unsigned n, uint32_t len, unsigned softnic_flags)
{
	while (n--)
		rig_inject_at(&r.addr, len, softnic_flags);
}

uint32_t rig_collect(uint8_t *frame, uint32_t size)
{
	ssize_t n = softnic_collect("sim0", frame, size);

	return n > 0 ? (uint32_t)n : 0;
}

static unsigned on_any(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	(void)f;
	++*(unsigned *)arg;
	return KBP_DONE;
}

unsigned rig_drain(struct kbp_queue *q)
{
	unsigned n = 0;

	for (unsigned empty = 0; empty < 4;)
		empty = kbp_rx_each(kbp_rx_of(q), 32, on_any, &n) ? 0 : empty + 1;
	return n;
}

static const struct kbp_counter *find(struct kbp_queue *q, const char *name)
{
	static struct kbp_counter c[96];
	unsigned n = kbp_queue_counters(q, c, KBP_ARRAY_SIZE(c));

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return &c[i];
	fail_msg("there is no counter %s", name);
	return NULL;
}

uint64_t rig_counter(struct kbp_queue *q, const char *name)
{
	return find(q, name)->value;
}

bool rig_counter_is(struct kbp_queue *q, const char *name, enum kbp_count_class cls, bool wide)
{
	const struct kbp_counter *c = find(q, name);

	return c->cls == (uint8_t)cls && c->interface_wide == wide;
}

uint64_t rig_drops(struct kbp_queue *q)
{
	struct kbp_counter c[96];
	unsigned n = kbp_queue_counters(q, c, KBP_ARRAY_SIZE(c));
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += c[i].cls == KBP_COUNT_DROP ? c[i].value : 0;
	return sum;
}

struct kbp_txflow *rig_txflow(struct kbp_queue *q)
{
	struct kbp_txflow *t;
	struct kbp_flow flow;

	ok(kbp_flow_parse("239.7.7.8:6000@10.77.0.1:7000+nojoin", &flow, &r.err));
	ok(kbp_txflow_open(q, &flow, &t, &r.err));
	return t;
}
