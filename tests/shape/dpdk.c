/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk.c - proof that both forms can be carried by DPDK's ethdev and mbufs (22.11): the program of
 * shape.h runs over two net_ring ports, frames in by port 0, answers out by port 1. No huge pages,
 * no PCI, no root.
 *
 *   token        the mbuf of one segment; a chain is unlinked at receive, each segment goes home by
 *   itself stash        what rx_burst gave beyond `max`, beyond hold_max or after STOP: DPDK has no
 *   way back completions  DPDK reports none: an extra reference on each mbuf, and the PMD's release
 *   seen as refcnt == 1
 */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include "shape.h"

#define BURST 32u
#define STASH 1024u
#define FLIGHT 256u

struct dq {
	struct kbp_queue head;
	uint16_t rx_port, tx_port;
	int ts_offset;
	uint64_t ts_flag;
	struct rte_mempool *pool;
	struct kbp_frame stash[STASH];
	uint32_t stash_in, stash_out;
	struct rte_mbuf *flight[FLIGHT]; /* submitted, in order */
	uint32_t flight_in, flight_out;
};

static struct dq *dq_of(struct kbp_queue *q)
{
	return (struct dq *)(void *)q;
}

KBP_INLINE struct rte_mbuf *dq_mbuf(uint64_t token)
{
	return (struct rte_mbuf *)(uintptr_t)token;
}

KBP_INLINE struct kbp_frame dq_frame(struct rte_mbuf *m)
{
	struct kbp_frame f = { .token = (uintptr_t)m,
			       .len = m->data_len,
			       .data = rte_pktmbuf_mtod(m, void *) };

	return f;
}

/* Only a chain pays for this: each segment becomes an mbuf of its own, so that any order of release
 * is legal. */
static void dq_stash(struct dq *d, struct rte_mbuf *m)
{
	while (m) {
		struct rte_mbuf *next = m->next;
		struct kbp_frame f = dq_frame(m);

		f.flags = next ? KBP_FRAME_MORE : 0;
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
		d->stash[d->stash_in++ & (STASH - 1)] = f;
		m = next;
	}
}

/* Frames of the stash that may go out now, whole packets only. */
static unsigned dq_stash_whole(const struct dq *d, unsigned max)
{
	unsigned n = d->stash_in - d->stash_out;

	n = n < max ? n : max;
	while (n && (d->stash[(d->stash_out + n - 1) & (STASH - 1)].flags & KBP_FRAME_MORE))
		n--;
	return n;
}

KBP_INLINE struct kbp_stamp dq_frame_ts(struct kbp_rx rx, const struct kbp_frame *f)
{
	const struct dq *d = (const struct dq *)(void *)rx.q;
	const struct rte_mbuf *m = dq_mbuf(f->token);
	struct kbp_stamp s = { 0, 0, 0 };

	if (m->ol_flags & d->ts_flag) {
		s.ns = *RTE_MBUF_DYNFIELD(m, (size_t)d->ts_offset, const rte_mbuf_timestamp_t *);
		s.flags = KBP_FRAME_TS;
	}
	return s;
}

KBP_INLINE unsigned dq_rx_each(struct kbp_rx rx, unsigned max, kbp_handler fn, void *arg)
{
	struct dq *d = (struct dq *)(void *)rx.q;
	struct rte_mbuf *pkts[BURST], *back[BURST];
	uint32_t room = d->head.hold_max - d->head.held;
	unsigned n, done = 0, n_back = 0, i, verdict = KBP_DONE;

	max = max < room ? max : room;
	max = max < BURST ? max : BURST;
	if (d->stash_in == d->stash_out) {
		n = rte_eth_rx_burst(d->rx_port, 0, pkts, (uint16_t)max);
		for (i = 0; i < n && !(verdict & KBP_STOP) && pkts[i]->nb_segs == 1; i++) {
			verdict = fn(rx, dq_frame(pkts[i]), arg);
			if (verdict & KBP_KEEP)
				d->head.held++;
			else
				back[n_back++] = pkts[i];
		}
		done = i;
		while (i < n)
			dq_stash(d, pkts[i++]);
	}
	for (n = verdict & KBP_STOP ? 0 : dq_stash_whole(d, max - done); n; n--) {
		struct kbp_frame f = d->stash[d->stash_out++ & (STASH - 1)];

		verdict = fn(rx, f, arg);
		if (verdict & KBP_KEEP)
			d->head.held++;
		else
			back[n_back++] = dq_mbuf(f.token);
		done++;
		if ((verdict & KBP_STOP) && !(f.flags & KBP_FRAME_MORE))
			break;
	}
	rte_pktmbuf_free_bulk(back, n_back);
	return done;
}

static unsigned dq_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct dq *d = dq_of(q);
	struct kbp_rx rx = { q, KBP_DPDK };
	struct rte_mbuf *pkts[BURST];
	uint32_t room = q->hold_max - q->held;
	unsigned n;

	max = max < room ? max : room;
	if (d->stash_in == d->stash_out) {
		n = rte_eth_rx_burst(d->rx_port, 0, pkts, (uint16_t)(max < BURST ? max : BURST));
		for (unsigned i = 0; i < n; i++)
			dq_stash(d, pkts[i]);
	}
	n = dq_stash_whole(d, max);
	for (unsigned i = 0; i < n; i++) {
		struct kbp_stamp s;

		f[i] = d->stash[d->stash_out++ & (STASH - 1)];
		s = dq_frame_ts(rx, &f[i]);
		f[i].ts_ns = s.ns;
		f[i].flags |= s.flags;
	}
	q->held += n;
	return n;
}

static void dq_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free_seg(dq_mbuf(f[i].token));
	q->held -= n;
}

static void dq_rx_putback(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	(void)f;
	dq_of(q)->stash_out -= n; /* still there: nothing was stashed since */
	q->held -= n;
}

static unsigned dq_tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	struct dq *d = dq_of(q);
	unsigned n = 0;

	if (d->flight_in != d->flight_out)
		rte_eth_tx_done_cleanup(d->tx_port, 0, 0); /* -ENOTSUP on many: the next burst does
							    * it */
	while (n < max && d->flight_in != d->flight_out) {
		struct rte_mbuf *m = d->flight[d->flight_out & (FLIGHT - 1)];

		if (rte_mbuf_refcnt_read(m) != 1)
			break;
		d->flight_out++;
		if (c)
			c[n] = (struct kbp_completion){ .token = (uintptr_t)m };
		n++;
		rte_pktmbuf_free(m);
	}
	return n;
}

static unsigned dq_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	struct dq *d = dq_of(t->q);
	unsigned i;

	for (i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(d->pool);

		if (!m)
			break;
		kbp_udp_begin(t, rte_pktmbuf_mtod(m, uint8_t *));
		f[i] = (struct kbp_frame){ .token = (uintptr_t)m,
					   .len = t->room,
					   .flags = KBP_FRAME_TX,
					   .data = rte_pktmbuf_mtod(m, void *),
					   .txflow = t };
	}
	return i;
}

KBP_INLINE struct rte_mbuf *dq_tx_prepare(const struct kbp_frame *f)
{
	struct rte_mbuf *m = dq_mbuf(f->token);

	if (f->flags & KBP_FRAME_TX) {
		uint32_t hdr = f->txflow->hdr_len;

		/* from f->data, not by prepending: a tail left by a partial submit comes here
		 * again */
		m->data_off = (uint16_t)((uintptr_t)f->data - hdr - (uintptr_t)m->buf_addr);
		if (hdr)
			kbp_udp_finish(f->txflow, (uint8_t *)f->data, f->len);
		m->data_len = (uint16_t)(f->len + hdr);
		m->pkt_len = m->data_len;
	}
	rte_mbuf_refcnt_update(m, 1);
	return m;
}

/* One packet, relinking what dq_stash unlinked. Returns its frames; *head is NULL when its end is
 * missing. */
static unsigned dq_tx_packet(const struct kbp_frame *f, unsigned n, struct rte_mbuf **head)
{
	struct rte_mbuf *last;
	unsigned i = 1;

	*head = last = dq_tx_prepare(f);
	for (; i < n && (f[i - 1].flags & KBP_FRAME_MORE); i++) {
		last->next = dq_tx_prepare(&f[i]);
		last = last->next;
		(*head)->nb_segs++;
		(*head)->pkt_len += last->data_len;
	}
	return i;
}

static unsigned dq_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	struct dq *d = dq_of(q);
	unsigned i = 0;

	while (i < n && d->flight_in - d->flight_out < FLIGHT - BURST) {
		struct rte_mbuf *m;
		unsigned parts = dq_tx_packet(f + i, n - i, &m);
		bool ours = f[i].flags & KBP_FRAME_TX;

		if (rte_eth_tx_burst(d->tx_port, 0, &m, 1) != 1) {
			while (m) {
				struct rte_mbuf *next = m->next;

				m->next = NULL;
				m->nb_segs = 1;
				rte_mbuf_refcnt_update(m, -1);
				m = next;
			}
			break;
		}
		/* a forwarded frame is the caller's no longer: held goes down now, its buffer
		 * returns later */
		for (unsigned k = 0; k < parts; k++)
			d->flight[d->flight_in++ & (FLIGHT - 1)] = dq_mbuf(f[i + k].token);
		q->held -= ours ? 0 : parts;
		i += parts;
	}
	return i;
}

static void dq_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	(void)q;
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(dq_mbuf(f[i].token));
}

KBP_INLINE unsigned dq_tx_each(struct kbp_tx tx, unsigned max, kbp_filler fn, void *arg)
{
	struct dq *d = (struct dq *)(void *)tx.t->q;
	struct rte_mbuf *pkts[BURST];
	unsigned n = 0, sent;

	max = max < BURST ? max : BURST;
	if (rte_pktmbuf_alloc_bulk(d->pool, pkts, max))
		return 0;
	while (n < max) {
		uint8_t *payload = rte_pktmbuf_mtod(pkts[n], uint8_t *);
		struct kbp_frame f = { .token = (uintptr_t)pkts[n],
				       .len = tx.t->room,
				       .flags = KBP_FRAME_TX,
				       .data = payload,
				       .txflow = tx.t };
		uint32_t len;

		kbp_udp_begin(tx.t, payload);
		len = fn(tx, f, arg);
		if (len == KBP_TX_END)
			break;
		kbp_udp_finish(tx.t, payload, len);
		pkts[n]->data_off = (uint16_t)(pkts[n]->data_off - tx.t->hdr_len);
		pkts[n]->pkt_len = pkts[n]->data_len = (uint16_t)(len + tx.t->hdr_len);
		n++;
	}
	sent = rte_eth_tx_burst(d->tx_port, 0, pkts, (uint16_t)n);
	rte_pktmbuf_free_bulk(pkts + sent, max - sent);
	return sent;
}

/* ---------------------------------------------------------------- the wire, and the run */

static void wire_deliver(struct dq *d, uint32_t *number, unsigned n)
{
	while (n--) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(d->pool), *tail;

		SHAPE_CHECK(m);
		memcpy(rte_pktmbuf_append(m, 60), number, sizeof(*number));
		if (*number % 11 == 4) {
			tail = m;
			m = rte_pktmbuf_alloc(d->pool);
			SHAPE_CHECK(m && rte_pktmbuf_append(m, 60));
			SHAPE_CHECK(rte_pktmbuf_chain(m, tail) == 0);
			tail->ol_flags |= d->ts_flag; /* the program looks at the last part */
		}
		m->ol_flags |= d->ts_flag;
		if (rte_eth_tx_burst(d->rx_port, 0, &m, 1) != 1) {
			rte_pktmbuf_free(m);
			return;
		}
		(*number)++;
	}
}

static unsigned wire_drain(struct dq *d)
{
	struct rte_mbuf *pkts[BURST];
	unsigned n = rte_eth_rx_burst(d->tx_port, 0, pkts, BURST);

	for (unsigned i = 0; i < n; i++)
		SHAPE_CHECK(pkts[i]->pkt_len == 42 + sizeof(uint32_t) || pkts[i]->pkt_len % 60 == 0);
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static void port_start(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf;

	memset(&conf, 0, sizeof(conf));
	SHAPE_CHECK(rte_eth_dev_configure(port, 1, 1, &conf) == 0);
	SHAPE_CHECK(rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) == 0);
	SHAPE_CHECK(rte_eth_tx_queue_setup(port, 0, 512, 0, NULL) == 0);
	SHAPE_CHECK(rte_eth_dev_start(port) == 0);
}

static void run(struct dq *d)
{
	static const shape_rx_each_fn rx_each = dq_rx_each;
	static const shape_tx_each_fn tx_each = dq_tx_each;
	struct kbp_txflow t = { .q = &d->head, .room = 1400, .hdr_len = 42 };
	struct shape_app a = { .t = &t, .stamp = dq_frame_ts }, fill = { .t = &t };
	struct kbp_rx rx = kbp_rx_as(&d->head, KBP_DPDK);
	struct kbp_tx tx = kbp_tx_as(&t, KBP_DPDK);
	struct kbp_completion c[8];
	struct kbp_frame f[4];
	uint32_t number = 0;
	unsigned n, forwarded = 0;

	for (unsigned i = 0; i < 2000; i++) {
		wire_deliver(d, &number, i % 7);
		dq_rx_each(rx, 8, shape_on_frame, &a);
		dq_tx_each(tx, 8, shape_fill, &fill);
		while (wire_drain(d) || kbp_tx_reap(&d->head, c, 8))
			;
	}
	while (dq_rx_each(rx, 8, shape_on_frame, &a))
		;
	while (a.n_kept)
		shape_return_some(rx, &a);
	for (unsigned i = 0; i < 2000; i++) {
		wire_deliver(d, &number, i % 7);
		shape_array_burst(&d->head, &a);
	}
	while (shape_array_burst(&d->head, &a))
		;
	SHAPE_CHECK(a.misplaced == 0);
	SHAPE_CHECK(a.next == number);
	SHAPE_CHECK(a.stamps > 5000);
	SHAPE_CHECK(a.frames > 5000 && a.parts > a.frames && a.replies > 500);
	/* received frames, chains among them, sent on as they are */
	wire_deliver(d, &number, 16);
	while ((n = kbp_rx_peek(&d->head, f, 4)))
		forwarded += kbp_tx_submit(&d->head, f, n);
	while (wire_drain(d) || kbp_tx_reap(&d->head, c, 8))
		;
	SHAPE_CHECK(forwarded > 16 && d->head.held == 0 && d->flight_in == d->flight_out);
	SHAPE_CHECK(rte_mempool_in_use_count(d->pool) == 0);
	SHAPE_CHECK(rx_each && tx_each);
	printf("DPDK carries both forms: %llu frames, %llu parts, %llu replies, %u parts forwarded\n",
	       (unsigned long long)a.frames, (unsigned long long)a.parts,
	       (unsigned long long)a.replies, forwarded);
}

int main(int argc, char **argv)
{
	static char *eal[] = { (char *)(uintptr_t) "shape",
			       (char *)(uintptr_t) "--no-pci",
			       (char *)(uintptr_t) "--no-huge",
			       (char *)(uintptr_t) "-m",
			       (char *)(uintptr_t) "64",
			       (char *)(uintptr_t) "--no-shconf",
			       (char *)(uintptr_t) "--no-telemetry",
			       (char *)(uintptr_t) "--vdev=net_ring0",
			       (char *)(uintptr_t) "--vdev=net_ring1",
			       (char *)(uintptr_t) "--log-level=error" };
	struct dq *d = calloc(1, sizeof(*d));

	(void)argc;
	(void)argv;
	SHAPE_CHECK(d);
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0) {
		printf("SKIP: EAL does not start here: %s\n", rte_strerror(rte_errno));
		return 77;
	}
	if (rte_eth_dev_count_avail() != 2) {
		printf("SKIP: %u of 2 net_ring ports: is DPDK's ring PMD installed?\n",
		       rte_eth_dev_count_avail());
		return 77;
	}
	d->pool = rte_pktmbuf_pool_create("shape", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					  SOCKET_ID_ANY);
	SHAPE_CHECK(d->pool);
	SHAPE_CHECK(rte_mbuf_dyn_rx_timestamp_register(&d->ts_offset, &d->ts_flag) == 0);
	d->rx_port = 0;
	d->tx_port = 1;
	port_start(0, d->pool);
	port_start(1, d->pool);
	d->head = (struct kbp_queue){ .rx_peek = dq_rx_peek,
				      .rx_release = dq_rx_release,
				      .rx_putback = dq_rx_putback,
				      .tx_reserve = dq_tx_reserve,
				      .tx_submit = dq_tx_submit,
				      .tx_cancel = dq_tx_cancel,
				      .tx_reap = dq_tx_reap,
				      .kind = KBP_DPDK,
				      .hold_max = SHAPE_KEPT + 16 };
	run(d);
	rte_eal_cleanup();
	free(d);
	return 0;
}
