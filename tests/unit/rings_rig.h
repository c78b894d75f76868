/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings_rig.h - an af_xdp queue on plain memory, and the kernel's half of its four rings.
 *
 * The doorbell and the wake-up call end here too: sendto and recvfrom are this program's own.
 */
#ifndef KBP_TEST_RINGS_RIG_H
#define KBP_TEST_RINGS_RIG_H

#include <errno.h>
#include <sys/socket.h>

#include "../lib/test.h"

#include "../../lib/backend/af_xdp.h"

#define RX_RING 16u
#define HOLD_MAX 8u
#define N_RX (RX_RING + HOLD_MAX)
#define FILL_RING 32u
#define TX_RING 8u
#define N_TX TX_RING
#define COMP_RING 16u
#define N_TPL 2u
#define N_BUFFERS (N_RX + N_TX + N_TPL)
#define CHUNK 2048u
#define HEADROOM 256u
#define FRAME_LEN 60u
#define NEAR_WRAP (UINT32_MAX - 20u) /* all indices pass 2^32 early in every test */

/* One ring in shared memory: only what both sides see. */
struct shared {
	uint32_t prod, cons, flags;
};

struct rig {
	struct kbp_axdp_full full;
	struct kbp_queue_cold cold;
	struct kbp_hot_rx rx_count;
	struct kbp_hot_tx tx_count;
	struct kbp_txflow flow, raw;
	struct kbp_template tpl[N_TPL];
	struct shared rx, fill, tx, comp;
	struct xdp_desc rx_desc[RX_RING], tx_desc[TX_RING];
	uint64_t fill_addr[FILL_RING], comp_addr[COMP_RING];
	uint64_t returned[N_RX + 1], tx_stack[N_TX + 1];
	uint8_t *umem;
	/* the device: frames taken from the TX ring, not completed yet */
	uint64_t device[TX_RING + COMP_RING];
	unsigned n_device;
	uint32_t arrived; /* number of the next frame to arrive; parts of a chain count one by
			   * one */
	unsigned sent;
	uint32_t last_len; /* of the frame taken last */
	/* what the doorbell does */
	unsigned rings, takes; /* rung; frames taken at each */
	int answer;	       /* errno; 0: fine */
	unsigned wakes;	       /* recvfrom */
	/* what the XDP program writes in front of frames, and the NIC into sent ones */
	uint64_t rx_stamp, tx_stamp;
	uint32_t stamper; /* enum kbp_xdp_stamper */
	unsigned asked;	  /* frames whose stamp was asked for */
};

static struct rig *rig;

static inline struct kbp_axdp_queue *rig_x(void)
{
	return &rig->full.x;
}

static inline struct kbp_queue *rig_q(void)
{
	return &rig->full.x.q;
}

/* The handle of the inline form. */
static inline struct kbp_rx rig_rx(void)
{
	return kbp_rx_as(rig_q(), KBP_AF_XDP);
}

static inline struct kbp_tx rig_tx(struct kbp_txflow *t)
{
	return kbp_tx_as(t, KBP_AF_XDP);
}

/* ---------------------------------------------------------------- the kernel's half */

/* Up to n frames arrive; options of the last (chains: XDP_PKT_CONTD on all but the last). Returns
 * how many. */
static inline unsigned kernel_receive(unsigned n, bool chain)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		uint32_t prod = __atomic_load_n(&rig->fill.prod, __ATOMIC_ACQUIRE);
		uint64_t addr;

		if (rig->fill.cons == prod ||
		    rig->rx.prod - __atomic_load_n(&rig->rx.cons, __ATOMIC_ACQUIRE) == RX_RING)
			break;
		/* aligned mode: whatever offset came back is masked away (xp_check_aligned) */
		addr = rig->fill_addr[rig->fill.cons++ & (FILL_RING - 1)] & ~(uint64_t)(CHUNK - 1);
		assert_true(addr < rig_x()->rx_bytes);
		addr += HEADROOM;
		memcpy(rig->umem + addr, &rig->arrived, sizeof(rig->arrived));
		if (!chain || !i) /* a chain has one stamp, in front of its first part */
			memcpy(rig->umem + addr - 8, &rig->rx_stamp, 8);
		rig->arrived++;
		rig->rx_desc[rig->rx.prod & (RX_RING - 1)] = (struct xdp_desc){
			.addr = addr,
			.len = FRAME_LEN,
			.options = chain && i + 1 < n ? XDP_PKT_CONTD : 0,
		};
		__atomic_store_n(&rig->rx.prod, rig->rx.prod + 1, __ATOMIC_RELEASE);
	}
	return i;
}

/* Up to n frames leave the TX ring for the device. */
static inline unsigned kernel_take(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct xdp_desc *d = &rig->tx_desc[rig->tx.cons & (TX_RING - 1)];
		uint32_t comp_used =
			rig->comp.prod - __atomic_load_n(&rig->comp.cons, __ATOMIC_ACQUIRE);

		/* a comp slot is reserved with every frame (xsk_cq_reserve_addr_locked) */
		if (rig->tx.cons == __atomic_load_n(&rig->tx.prod, __ATOMIC_ACQUIRE) ||
		    comp_used + rig->n_device == COMP_RING)
			break;
		assert_int_equal(d->options & ~(uint32_t)(XDP_PKT_CONTD | XDP_TX_METADATA), 0);
		if (d->options & XDP_TX_METADATA) {
			struct kbp_axdp_tx_meta *m = (void *)(rig->umem + d->addr - sizeof(*m));

			assert_int_equal(m->flags, XDP_TXMD_FLAGS_TIMESTAMP);
			m->stamp = rig->tx_stamp;
			rig->asked++;
		}
		rig->last_len = d->len;
		rig->device[rig->n_device++] = d->addr;
		__atomic_store_n(&rig->tx.cons, rig->tx.cons + 1, __ATOMIC_RELEASE);
		rig->sent++;
	}
	return i;
}

/* Up to n frames are sent: their addresses go into the comp ring, in order. */
static inline unsigned kernel_complete(unsigned n)
{
	unsigned i;

	for (i = 0; i < n && rig->n_device; i++) {
		rig->comp_addr[rig->comp.prod & (COMP_RING - 1)] = rig->device[0];
		memmove(rig->device, rig->device + 1, --rig->n_device * sizeof(rig->device[0]));
		__atomic_store_n(&rig->comp.prod, rig->comp.prod + 1, __ATOMIC_RELEASE);
	}
	return i;
}

static inline unsigned kernel_send(unsigned n)
{
	kernel_take(n);
	return kernel_complete(n);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	(void)fd;
	(void)buf;
	(void)len;
	(void)flags;
	(void)to;
	(void)to_len;
	rig->rings++;
	kernel_take(rig->takes);
	if (!rig->answer)
		return 0;
	errno = rig->answer;
	return -1;
}

ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *from_len)
{
	(void)fd;
	(void)buf;
	(void)len;
	(void)flags;
	(void)from;
	(void)from_len;
	rig->wakes++;
	return 0;
}

/* ---------------------------------------------------------------- who owns what */

static inline unsigned buffer_of(uint64_t addr)
{
	assert_true(addr / CHUNK < N_BUFFERS);
	return (unsigned)(addr / CHUNK);
}

static inline void seen_once(uint8_t *seen, uint64_t addr)
{
	assert_int_equal(seen[buffer_of(addr)]++, 0);
}

/* Every buffer has exactly one owner: the fill ring, the RX ring, the caller (held, reserved), the
 * list of returned ones, the TX ring, the device, the comp ring, the stack of free ones. Templates
 * at rest are nobody's: they are counted here as long as they are not in flight. */
static inline void check_owners(const struct kbp_frame *held, unsigned n_held,
				const struct kbp_frame *reserved, unsigned n_reserved)
{
	const struct kbp_axdp_queue *x = rig_x();
	uint8_t seen[N_BUFFERS] = { 0 };

	assert_int_equal(x->fill.idx, rig->fill.prod);
	assert_true(rig->fill.prod - rig->fill.cons <= FILL_RING);
	for (uint32_t i = rig->fill.cons; i != rig->fill.prod; i++)
		seen_once(seen, rig->fill_addr[i & (FILL_RING - 1)]);
	assert_true(x->rx.idx - rig->rx.cons <= RX_RING && rig->rx.prod - rig->rx.cons <= RX_RING);
	for (uint32_t i = x->rx.idx; i != rig->rx.prod; i++)
		seen_once(seen, rig->rx_desc[i & (RX_RING - 1)].addr);
	for (unsigned i = 0; i < n_held; i++)
		seen_once(seen, held[i].token);
	for (unsigned i = 0; i < x->n_returned; i++)
		seen_once(seen, x->returned[i]);
	for (unsigned i = 0; i < n_reserved; i++)
		seen_once(seen, reserved[i].token);
	assert_int_equal(x->tx.idx, rig->tx.prod);
	for (uint32_t i = rig->tx.cons; i != rig->tx.prod; i++)
		seen_once(seen, rig->tx_desc[i & (TX_RING - 1)].addr);
	for (unsigned i = 0; i < rig->n_device; i++)
		seen_once(seen, rig->device[i]);
	for (uint32_t i = x->comp.idx; i != rig->comp.prod; i++)
		seen_once(seen, rig->comp_addr[i & (COMP_RING - 1)]);
	for (const uint64_t *p = x->tx_free; p != x->tx_top; p++)
		seen_once(seen, *p);
	for (unsigned i = 0; i < N_TPL; i++)
		if (!rig->full.tpl_busy[i])
			seen_once(seen, x->tx_end + i * CHUNK);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(x->q.held, n_held);
	assert_true(n_held <= HOLD_MAX);
}

/* ---------------------------------------------------------------- setting up */

#define RIG_RING(name, memory, entries)                                                         \
	(struct kbp_axdp_ring)                                                                  \
	{                                                                                       \
		.prod = &rig->name.prod, .cons = &rig->name.cons, .flags = &rig->name.flags,    \
		.slots = rig->memory, .mask = (entries)-1, .size = (entries), .idx = NEAR_WRAP, \
		.seen = NEAR_WRAP,                                                              \
	}

static inline void rig_flow(struct kbp_txflow *t, uint8_t hdr_len)
{
	t->q = rig_q();
	t->hdr_len = hdr_len;
	t->room = CHUNK - KBP_HDR_ROOM - rig->full.tx_head;
	memset(t->hdr, 0x77, hdr_len);
}

static inline void rig_up(uint32_t flags, uint32_t chain_max)
{
	struct kbp_axdp_queue *x;

	rig = aligned_alloc(64, (sizeof(*rig) + 63) & ~63ul);
	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	rig->umem = calloc(N_BUFFERS, CHUNK);
	assert_non_null(rig->umem);
	rig->rx.prod = rig->rx.cons = rig->fill.prod = rig->fill.cons = NEAR_WRAP;
	rig->tx.prod = rig->tx.cons = rig->comp.prod = rig->comp.cons = NEAR_WRAP;
	x = rig_x();
	rig->full.tx_head = flags & KBP_QUEUE_TX_STAMPS ? KBP_AXDP_TX_HEAD : 0;
	x->rx = RIG_RING(rx, rx_desc, RX_RING);
	x->fill = RIG_RING(fill, fill_addr, FILL_RING);
	x->tx = RIG_RING(tx, tx_desc, TX_RING);
	x->comp = RIG_RING(comp, comp_addr, COMP_RING);
	x->umem = rig->umem;
	x->fd = UINT32_MAX;
	x->chunk = CHUNK;
	x->returned = rig->returned;
	x->rx_bytes = N_RX * CHUNK;
	x->n_tx = N_TX;
	x->tx_end = x->rx_bytes + N_TX * CHUNK;
	x->tx_free = x->tx_top = rig->tx_stack;
	for (uint64_t i = 0; i < N_TX; i++)
		*x->tx_top++ = x->rx_bytes + i * CHUNK + rig->full.tx_head;
	for (uint64_t i = 0; i < N_RX; i++)
		rig->fill_addr[x->fill.idx++ & (FILL_RING - 1)] = i * CHUNK;
	rig->fill.prod = x->fill.idx;
	x->q.rx_count = &rig->rx_count;
	x->q.tx_count = &rig->tx_count;
	x->q.priv = &rig->cold;
	x->q.hold_max = HOLD_MAX;
	x->q.chain_max = chain_max;
	x->q.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | flags;
	x->q.sync_shift = KBP_SYNC_NEVER;
	kbp_axdp_set_calls(&x->q);
	rig_flow(&rig->flow, 42);
	rig_flow(&rig->raw, 0);
	for (unsigned i = 0; i < N_TPL; i++) {
		rig->tpl[i].t = &rig->flow;
		rig->tpl[i].len = 4;
		assert_int_equal(kbp_backend_af_xdp.template_open(&rig->tpl[i], NULL), 0);
	}
}

static inline int rig_plain(void **state)
{
	(void)state;
	rig_up(0, 1);
	return 0;
}

static inline int rig_chains(void **state)
{
	(void)state;
	rig_up(KBP_QUEUE_MULTI_BUFFER, 4);
	return 0;
}

static inline int rig_completions(void **state)
{
	(void)state;
	rig_up(KBP_QUEUE_COMPLETIONS, 1);
	return 0;
}

static inline int rig_down(void **state)
{
	(void)state;
	free(rig->umem);
	free(rig);
	rig = NULL;
	return 0;
}

/* ---------------------------------------------------------------- handlers, fillers */

static inline uint32_t number_of(const struct kbp_frame *f)
{
	uint32_t number;

	assert_true(f->data == rig->umem + f->token);
	memcpy(&number, f->data, sizeof(number));
	return number;
}

/* What the inline handler answers: verdict[i] to the i-th frame of a test, KBP_DONE beyond the
 * list. */
struct script {
	const unsigned *verdict;
	unsigned n, frames, kept;
	uint32_t first; /* number expected of the first frame */
	struct kbp_frame keep[N_RX];
};

static inline unsigned play(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct script *s = arg;
	unsigned verdict = s->frames < s->n ? s->verdict[s->frames] : KBP_DONE;

	(void)rx;
	assert_int_equal(number_of(&f), s->first + s->frames);
	assert_int_equal(f.len, FRAME_LEN);
	s->frames++;
	if (verdict & KBP_KEEP)
		s->keep[s->kept++] = f;
	return verdict;
}

static inline uint32_t write_number(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	uint32_t *next = arg;

	(void)tx;
	assert_true(f.flags & KBP_FRAME_TX);
	memcpy(f.data, next, sizeof(*next));
	(*next)++;
	return sizeof(*next);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, rig_plain, rig_down)
#define CHAINS(test) cmocka_unit_test_setup_teardown(test, rig_chains, rig_down)
#define COMPLETIONS(test) cmocka_unit_test_setup_teardown(test, rig_completions, rig_down)

#endif
