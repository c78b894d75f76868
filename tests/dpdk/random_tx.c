/* SPDX-License-Identifier: BSD-2-Clause */
/* random_tx.c - see random.h. */
#include "random.h"

struct model w;

/* ---------------------------------------------------------------- bytes */

static void bytes_make(uint8_t *p, uint32_t number, uint32_t len)
{
	memcpy(p, &number, sizeof(number));
	for (uint32_t i = sizeof(number); i < len; i++)
		p[i] = (uint8_t)(number * 31u + i * 7u);
}

const uint8_t *packet_bytes(uint32_t number)
{
	static uint8_t frame[PACKET_MAX], payload[PACKET_MAX];
	static struct packet of; /* what is in `frame`, with the number below */
	static uint32_t last;
	const struct packet *p = &w.packet[number];
	struct frame_addr a = { .src_mac = { 2, 0, 0, 0, 0, 9 },
				.dst_mac = { 2, 0, 0, 0, 0, 1 },
				.src_ip = PEER_IP,
				.dst_ip = OUR_IP,
				.src_port = 4000,
				.dst_port = (uint16_t)(PORT + p->flow) };

	if (last == number && of.len == p->len && of.flow == p->flow)
		return frame;
	of = *p;
	last = number;
	bytes_make(payload, number, p->len - FRAME_UDP_HDR);
	frame_udp(frame, &a, payload, p->len - FRAME_UDP_HDR);
	return frame;
}

static uint32_t tx_len(uint32_t number)
{
	return 4 + number * 37u % 700u;
}

static uint32_t raw_len(uint32_t number)
{
	return 60 + number * 37u % 700u;
}

static const char letters[TEMPLATE_BYTES + 1] = "abcdefghijklmnopqrstuvwxyz";

/* ---------------------------------------------------------------- what is sent */

static void expect(unsigned kind, uint32_t number, const struct kbp_frame *f, unsigned parts)
{
	assert_true(w.out_in - w.out_out < EXPECTED_MAX);
	w.expected[w.out_in++ % EXPECTED_MAX] = (struct expected){ kind, number, parts };
	w.sent += parts;
	for (unsigned i = 0; w.reaps && i < parts; i++)
		w.token[w.flight_in++ % EXPECTED_MAX] = f[i].token;
}

static uint32_t fill(const struct kbp_txflow *t, const struct kbp_frame *f, uint32_t number)
{
	uint32_t len = t == w.raw ? raw_len(number) : tx_len(number);

	assert_true(len <= f->len);
	assert_true(f->flags & KBP_FRAME_TX);
	bytes_make(f->data, number, len);
	return len;
}

static uint32_t on_fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)arg;
	if (one_in(20))
		return KBP_TX_END;
	assert_in_range(w.n_filled, 0, BURST_MAX - 1);
	w.filled[w.n_filled] = w.next_tx++;
	w.reserved[RESERVED_MAX - BURST_MAX + w.n_filled] = f;
	return fill(tx.t, &f, w.filled[w.n_filled++]);
}

void send_each(unsigned max)
{
	struct kbp_txflow *t = one_in(2) ? w.t : w.raw;
	struct kbp_tx tx = one_in(2) ? kbp_tx_of(t) : kbp_tx_as(t, KBP_NONE);
	unsigned sent;

	w.n_filled = 0;
	sent = kbp_tx_each(tx, max, on_fill, NULL);
	assert_true(sent <= w.n_filled);
	for (unsigned i = 0; i < sent; i++)
		expect(t == w.raw ? RAW : UDP, w.filled[i],
		       &w.reserved[RESERVED_MAX - BURST_MAX + i], 1);
}

bool forward(struct kbp_queue *q, const struct kbp_frame *f, unsigned parts, uint32_t number)
{
	unsigned n = kbp_tx_submit(q, f, parts);

	assert_true(!n || n == parts); /* no half a packet */
	if (n)
		expect(FORWARD, number, f, parts);
	return n;
}

void reserve(void)
{
	struct kbp_frame *f = w.reserved + w.n_reserved;
	struct kbp_txflow *t = one_in(2) ? w.t : w.raw;
	unsigned n = 0;

	if (w.n_reserved + 2 * BURST_MAX <= RESERVED_MAX)
		n = kbp_tx_reserve(t, f, 1 + pick(BURST_MAX));
	for (unsigned i = 0; i < n; i++) {
		w.reserved_number[w.n_reserved + i] = w.next_tx++;
		f[i].len = fill(t, &f[i], w.next_tx - 1);
	}
	w.n_reserved += n;
}

static void check_reserved(unsigned i)
{
	uint8_t want[1000];

	bytes_make(want, w.reserved_number[i], w.reserved[i].len);
	assert_memory_equal(w.reserved[i].data, want, w.reserved[i].len);
}

static void swap_reserved(unsigned a, unsigned b)
{
	struct kbp_frame f = w.reserved[a];
	uint32_t number = w.reserved_number[a];

	w.reserved[a] = w.reserved[b];
	w.reserved_number[a] = w.reserved_number[b];
	w.reserved[b] = f;
	w.reserved_number[b] = number;
}

void submit_or_cancel(void)
{
	unsigned n = w.n_reserved < 80 ? pick(w.n_reserved + 1) : pick(80), sent = 0, at;
	struct kbp_frame *f;

	for (unsigned i = 0; w.n_reserved && i < 8; i++)
		swap_reserved(pick(w.n_reserved), pick(w.n_reserved));
	at = w.n_reserved - n;
	f = w.reserved + at;
	for (unsigned i = 0; i < n; i++)
		check_reserved(at + i);
	if (!one_in(3))
		sent = kbp_tx_submit(r.q, f, n);
	for (unsigned i = 0; i < sent; i++)
		expect(f[i].txflow == w.raw ? RAW : UDP, w.reserved_number[at + i], &f[i], 1);
	if (one_in(2)) {
		kbp_tx_cancel(r.q, f + sent, n - sent);
		w.n_reserved -= n;
		return;
	}
	memmove(f, f + sent, (n - sent) * sizeof(f[0]));
	memmove(w.reserved_number + at, w.reserved_number + at + sent,
		(n - sent) * sizeof(w.reserved_number[0]));
	w.n_reserved -= sent;
}

/* What is in flight is a copy: the template can be written at any time. */
void send_template(unsigned i)
{
	struct kbp_frame f = { .token = kbp_template_token(w.tpl[i]) };

	if (one_in(2)) {
		w.tpl_number[i] = w.next_tx++;
		assert_int_equal(kbp_template_patch(w.tpl[i], 0, &w.tpl_number[i], 4), 4);
	}
	if (kbp_template_send(w.tpl[i]))
		expect(RESIDENT, w.tpl_number[i], &f, 1);
}

void template_open(unsigned i)
{
	uint8_t payload[TEMPLATE_BYTES];

	memcpy(payload, letters, sizeof(payload));
	w.tpl_number[i] = w.next_tx++;
	memcpy(payload, &w.tpl_number[i], 4);
	ok(kbp_template_open(w.t, payload, sizeof(payload), &w.tpl[i], &r.err));
}

/* ---------------------------------------------------------------- the far end */

static void check_out(const struct expected *e, const uint8_t *frame, uint32_t n)
{
	struct kbp_datagram d;
	uint8_t want[1000];

	if (e->kind == FORWARD) {
		assert_int_equal(n, w.packet[e->number].len);
		assert_memory_equal(frame, packet_bytes(e->number), n);
		return;
	}
	if (e->kind == RAW) {
		assert_int_equal(n, raw_len(e->number));
		bytes_make(want, e->number, n);
		assert_memory_equal(frame, want, n);
		return;
	}
	assert_int_equal(kbp_datagram_parse(frame, n, false, &d), KBP_PARSE_OK);
	assert_true(frame_checksums_ok(frame, n));
	assert_int_equal(d.dst_port, 6000);
	if (e->kind == UDP) {
		assert_int_equal(d.len, tx_len(e->number));
		bytes_make(want, e->number, d.len);
	} else {
		assert_int_equal(d.len, TEMPLATE_BYTES);
		memcpy(want, letters, TEMPLATE_BYTES);
		memcpy(want, &e->number, 4);
	}
	assert_memory_equal(d.payload, want, d.len);
}

static bool collect_one(void)
{
	struct expected e = w.expected[w.out_out % EXPECTED_MAX];
	uint8_t frame[PACKET_MAX];
	struct rte_mbuf *m;
	uint32_t n = 0;

	if (rte_ring_dequeue(w.wire->out[0], (void **)&m))
		return false;
	assert_true(w.out_out < w.out_in);
	assert_int_equal(m->nb_segs, e.parts);
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		assert_in_range(s->data_len, 1, sizeof(frame) - n);
		memcpy(frame + n, rte_pktmbuf_mtod(s, const void *), s->data_len);
		n += s->data_len;
	}
	assert_int_equal(n, m->pkt_len);
	check_out(&e, frame, n);
	w.out_out++;
	w.flown += w.reaps ? e.parts : 0;
	rte_pktmbuf_free(m);
	return true;
}

void collect(unsigned n)
{
	while (n-- && collect_one())
		;
}

void reap(unsigned max)
{
	struct kbp_completion c[BURST_MAX];
	unsigned n = kbp_tx_reap(r.q, c, max);

	assert_true(n <= max && (w.reaps || !n));
	for (unsigned i = 0; i < n; i++) {
		assert_true(w.flight_out < w.flown);
		assert_int_equal(c[i].token, w.token[w.flight_out++ % EXPECTED_MAX]);
		assert_int_equal(c[i].error, 0);
	}
}
