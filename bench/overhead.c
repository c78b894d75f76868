/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead.c - what does this library add to the loop you would write by hand?
 *
 * Every form of receiving and sending does the same work on the same rings, and the same stand-in
 * for the kernel moves the rings on between bursts. Run under callgrind, each measurement is dumped
 * under the name "compiler/backend/direction/form/burst/frames"; bench/overhead.py reads the dumps.
 * Without valgrind it runs and checks that all frames were handled, and measures nothing.
 */
/* what every program has: the socket and af_xdp halves */
#undef KBP_HOT_EF_VI_SIM

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

#include <kbypass/hot.h>

#include "overhead_forms.h"
#include "raw_sock.h"
#include "raw_xsk.h"

#include "../lib/backend/af_xdp.h"

#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif

#define STAMP_NS 0x0101010101010101u /* of every frame: what the UMEM is filled with */
#define FRAMES 16384u		     /* a multiple of every burst and of TX_BUFFERS */

struct bench {
	struct plain_rings rings;
	struct kbp_axdp_full axdp;
	struct raw_xsk raw_xsk;
	struct raw_sock raw_sock;
	struct kbp_hot_rx rx_count;
	struct kbp_hot_tx tx_count;
	struct kbp_txflow axdp_flow;
	struct kbp_queue *sock;
	struct kbp_txflow *sock_flow;
	struct seen seen;
	const struct form *form;
	uint8_t *umem;
	uint64_t free[2 * TX_BUFFERS], returned[RING];
};

/* ---------------------------------------------------------------- the forms */

#define FORM(name, kernel, form)                                                                 \
	static __attribute__((noinline)) void name(void *bench, unsigned burst, unsigned bursts) \
	{                                                                                        \
		struct bench *b = bench;                                                         \
		struct seen *s = &b->seen;                                                       \
                                                                                                 \
		for (unsigned i = 0; i < bursts; i++) {                                          \
			kernel;                                                                  \
			form;                                                                    \
		}                                                                                \
	}

/* A handle made once, outside the loop, as a program does. */
#define FORM_RX(name, kernel, queue, make)                                                       \
	static __attribute__((noinline)) void name(void *bench, unsigned burst, unsigned bursts) \
	{                                                                                        \
		struct bench *b = bench;                                                         \
		struct kbp_queue *q = queue;                                                     \
		struct kbp_rx rx = make;                                                         \
		struct seen *s = &b->seen;                                                       \
                                                                                                 \
		for (unsigned i = 0; i < bursts; i++) {                                          \
			kernel;                                                                  \
			kbp_rx_each(rx, burst, each_look, s);                                    \
		}                                                                                \
	}

#define FORM_TX(name, kernel, flow, make)                                                        \
	static __attribute__((noinline)) void name(void *bench, unsigned burst, unsigned bursts) \
	{                                                                                        \
		struct bench *b = bench;                                                         \
		struct kbp_txflow *t = flow;                                                     \
		struct kbp_tx tx = make;                                                         \
		struct seen *s = &b->seen;                                                       \
                                                                                                 \
		for (unsigned i = 0; i < bursts; i++) {                                          \
			kbp_tx_each(tx, burst, each_write, s);                                   \
			kernel;                                                                  \
		}                                                                                \
	}

#define RX_KERNEL kernel_receives(&b->rings, burst)
#define TX_KERNEL kernel_sends(&b->rings, burst)

FORM(axdp_rx_none, RX_KERNEL, (void)s)
FORM(axdp_rx_raw, RX_KERNEL, raw_xsk_rx(&b->raw_xsk, burst, raw_look, s))
FORM_RX(axdp_rx_inline, RX_KERNEL, &b->axdp.x.q, kbp_rx_as(q, KBP_AF_XDP))
FORM_RX(axdp_rx_run_time, RX_KERNEL, &b->axdp.x.q, kbp_rx_of(q))
FORM(axdp_rx_array, RX_KERNEL, array_receive(&b->axdp.x.q, burst, s))

/* With the stamp that the XDP program left in front of the packet. Of its clock nothing is said there, only by 0
 * that there is none. */
KBP_INLINE void raw_look_stamped(const uint8_t *data, uint32_t len, void *arg)
{
	uint64_t ns;

	memcpy(&ns, data - sizeof(ns), sizeof(ns));
	look_stamped((struct seen *)arg, data, len, ns, ns != 0);
}

KBP_INLINE void each_stamped(struct bench *b, struct kbp_rx rx, unsigned burst)
{
	kernel_receives(&b->rings, burst);
	kbp_rx_each(rx, burst, each_look_stamped, &b->seen);
}

FORM(axdp_ts_raw, RX_KERNEL, raw_xsk_rx(&b->raw_xsk, burst, raw_look_stamped, s))
FORM(axdp_ts_inline, (void)s, each_stamped(b, kbp_rx_as(&b->axdp.x.q, KBP_AF_XDP), burst))

FORM(axdp_tx_none, (void)s, TX_KERNEL)
FORM(axdp_tx_raw, raw_xsk_tx(&b->raw_xsk, &b->axdp_flow, burst, raw_write, s), TX_KERNEL)
FORM_TX(axdp_tx_inline, TX_KERNEL, &b->axdp_flow, kbp_tx_as(t, KBP_AF_XDP))
FORM_TX(axdp_tx_run_time, TX_KERNEL, &b->axdp_flow, kbp_tx_of(t))
FORM(axdp_tx_array, array_send(&b->axdp_flow, &b->axdp.x.q, burst, s), TX_KERNEL)

FORM(sock_rx_raw, (void)0, raw_sock_rx(&b->raw_sock, burst, raw_look, s))
FORM_RX(sock_rx_inline, (void)0, b->sock, kbp_rx_as(q, KBP_SOCKET))
FORM_RX(sock_rx_run_time, (void)0, b->sock, kbp_rx_of(q))
FORM(sock_rx_array, (void)0, array_receive(b->sock, burst, s))

FORM(sock_tx_raw, (void)0, raw_sock_tx(&b->raw_sock, burst, raw_write, s))
FORM_TX(sock_tx_inline, (void)0, b->sock_flow, kbp_tx_as(t, KBP_SOCKET))
FORM_TX(sock_tx_run_time, (void)0, b->sock_flow, kbp_tx_of(t))
FORM(sock_tx_array, (void)0, array_send(b->sock_flow, b->sock, burst, s))

static const struct form forms[] = {
	{ "af_xdp/rx/none", axdp_rx_none, true },
	{ "af_xdp/rx/raw", axdp_rx_raw, false },
	{ "af_xdp/rx/inline", axdp_rx_inline, false },
	{ "af_xdp/rx/run-time", axdp_rx_run_time, false },
	{ "af_xdp/rx/array", axdp_rx_array, false },
	{ "af_xdp-ts/rx/none", axdp_rx_none, true },
	{ "af_xdp-ts/rx/raw", axdp_ts_raw, false },
	{ "af_xdp-ts/rx/inline", axdp_ts_inline, false },
	{ "af_xdp/tx/none", axdp_tx_none, true },
	{ "af_xdp/tx/raw", axdp_tx_raw, false },
	{ "af_xdp/tx/inline", axdp_tx_inline, false },
	{ "af_xdp/tx/run-time", axdp_tx_run_time, false },
	{ "af_xdp/tx/array", axdp_tx_array, false },
	{ "socket/rx/raw", sock_rx_raw, false },
	{ "socket/rx/inline", sock_rx_inline, false },
	{ "socket/rx/run-time", sock_rx_run_time, false },
	{ "socket/rx/array", sock_rx_array, false },
	{ "socket/tx/raw", sock_tx_raw, false },
	{ "socket/tx/inline", sock_tx_inline, false },
	{ "socket/tx/run-time", sock_tx_run_time, false },
	{ "socket/tx/array", sock_tx_array, false },
};

/* ---------------------------------------------------------------- setting the rings up */

void flow_fill(struct kbp_txflow *t, struct kbp_queue *q)
{
	memset(t, 0, sizeof(*t));
	t->q = q;
	t->hdr_len = 42;
	t->room = CHUNK - KBP_HDR_ROOM;
	memset(t->hdr, 0x11, 12);
	kbp_store_be16(t->hdr + 12, 0x0800);
	t->hdr[14] = 0x45;
	t->hdr[22] = 16;
	t->hdr[23] = IPPROTO_UDP;
	t->ip_sum = kbp_csum_fold(kbp_csum_add(t->hdr + 14, 20, 0));
	t->udp_sum = kbp_csum_fold(kbp_csum_add(t->hdr + 26, 12, 0x1100));
}

#define RING_PLAIN(name, memory, entries)                                                     \
	(struct kbp_axdp_ring)                                                                \
	{                                                                                     \
		.prod = &b->rings.name.prod, .cons = &b->rings.name.cons,                     \
		.flags = &b->rings.name.flags, .slots = b->rings.memory, .mask = (entries)-1, \
		.size = (entries),                                                            \
	}

#define RING_RAW(raw, name, memory, entries)          \
	do {                                          \
		(raw).producer = &b->rings.name.prod; \
		(raw).consumer = &b->rings.name.cons; \
		(raw).flags = &b->rings.name.flags;   \
		(raw).ring = b->rings.memory;         \
		(raw).mask = (entries)-1;             \
		(raw).size = (entries);               \
	} while (0)

/* All rings empty; every TX buffer free; the RX ring's descriptors written once and for all. */
static void rings_reset(struct bench *b)
{
	struct kbp_axdp_queue *x = &b->axdp.x;

	memset(&b->rings, 0, sizeof(b->rings));
	for (uint32_t i = 0; i < RING; i++)
		b->rings.rx_desc[i] = (struct xdp_desc){ .addr = i * CHUNK + 256, .len = 60 };
	for (uint32_t i = 0; i < TX_BUFFERS; i++)
		b->free[i] = b->free[TX_BUFFERS + i] = (uint64_t)(RING + i) * CHUNK;
	memset(&b->axdp, 0, sizeof(b->axdp));
	x->rx = RING_PLAIN(rx, rx_desc, RING);
	x->fill = RING_PLAIN(fill, fill_addr, 2 * RING);
	x->tx = RING_PLAIN(tx, tx_desc, RING);
	x->comp = RING_PLAIN(comp, comp_addr, RING);
	x->umem = b->umem;
	x->returned = b->returned;
	x->tx_free = b->free;
	x->tx_top = x->tx_free + TX_BUFFERS;
	x->n_tx = TX_BUFFERS;
	x->chunk = CHUNK;
	x->rx_bytes = (uint64_t)RING * CHUNK;
	x->tx_end = x->rx_bytes + (uint64_t)TX_BUFFERS * CHUNK;
	x->q.rx_count = &b->rx_count;
	x->q.tx_count = &b->tx_count;
	x->q.hold_max = 256;
	x->q.chain_max = 1;
	x->q.flags = KBP_QUEUE_RX | KBP_QUEUE_TX;
	kbp_axdp_set_calls(&x->q);
	flow_fill(&b->axdp_flow, &x->q);

	memset(&b->raw_xsk, 0, sizeof(b->raw_xsk));
	RING_RAW(b->raw_xsk.rx, rx, rx_desc, RING);
	RING_RAW(b->raw_xsk.fill, fill, fill_addr, 2 * RING);
	RING_RAW(b->raw_xsk.tx, tx, tx_desc, RING);
	RING_RAW(b->raw_xsk.comp, comp, comp_addr, RING);
	/* libxdp's producers keep the consumer's index a whole ring ahead */
	b->raw_xsk.fill.cached_cons = 2 * RING;
	b->raw_xsk.tx.cached_cons = RING;
	b->raw_xsk.umem = b->umem;
	b->raw_xsk.free = b->free + TX_BUFFERS;
	b->raw_xsk.n_free = TX_BUFFERS;
}

/* The socket backend opens as it always does; what it then calls is overhead_kernel.c. */
static int sock_open(struct bench *b)
{
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_error err = { 0 };
	struct kbp_flow flow;
	struct kbp_port *port;

	po.flags = KBP_PORT_NO_MONITOR | KBP_PORT_NO_HUGEPAGES;
	if (kbp_flow_parse("127.0.0.1:40404", &flow, &err) ||
	    kbp_port_open("socket", "lo", &po, &port, &err) ||
	    kbp_queue_open(port, &qo, &b->sock, &err) || kbp_flow_add(b->sock, &flow, NULL, &err) ||
	    kbp_txflow_open(b->sock, &flow, &b->sock_flow, &err)) {
		fprintf(stderr, "overhead: %s: %s\n", err.step, err.hint);
		return -1;
	}
	return 0;
}

static void reset(void *bench, const struct form *form)
{
	struct bench *b = bench;

	b->form = form;
	rings_reset(b);
	if (strstr(form->name, "-ts/")) { /* as it is while a clock is watched, and found in sync */
		b->axdp.x.ts_mask = UINT64_MAX;
		b->axdp.x.q.sync_shift = (uint64_t)0 - STAMP_NS;
	}
	raw_sock_init(&b->raw_sock, -1, strstr(form->name, "/rx/") != NULL);
}

static const char *wrong(void *bench, unsigned frames)
{
	const struct bench *b = bench;

	return strstr(b->form->name, "-ts/inline") && b->seen.in_sync != frames ?
		       "stamps that are not in sync" :
		       NULL;
}

/* ---------------------------------------------------------------- measuring */

static int measure(const struct forms *all, const struct form *form, unsigned burst, unsigned frames)
{
	const char *why = NULL;
	uint64_t bytes = 0;
	char name[64];

	all->reset(all->bench, form);
	memset(all->seen, 0, sizeof(*all->seen));
	all->seen->payload = PAYLOAD;
	snprintf(name, sizeof(name), COMPILER "/%s/%u/%u", form->name, burst, frames);
	CALLGRIND_ZERO_STATS;
	form->run(all->bench, burst, frames / burst);
	CALLGRIND_DUMP_STATS_AT(name);
	if (!form->idle)
		bytes = (uint64_t)frames * (strstr(name, "/rx/") ? FRAME_BYTES : PAYLOAD);
	if (all->seen->bytes != bytes)
		why = "the handler saw other bytes";
	else if (all->wrong)
		why = all->wrong(all->bench, frames);
	if (why)
		fprintf(stderr, "overhead: %s: %s\n", name, why);
	return why ? -1 : 0;
}

static int measure_all(const struct forms *all)
{
	static const unsigned bursts[] = { 1, 8, 32 };

	for (unsigned form = 0; form < all->n; form++)
		for (unsigned i = 0; i < KBP_ARRAY_SIZE(bursts); i++) {
			const struct form *f = &all->form[form];

			if (strstr(f->name, "/poll/") && bursts[i] != 1)
				continue;
			/* once to settle lazy binding, then N and 2N frames */
			if (measure(all, f, bursts[i], TX_BUFFERS) ||
			    measure(all, f, bursts[i], FRAMES) ||
			    measure(all, f, bursts[i], 2 * FRAMES))
				return -1;
		}
	return 0;
}

int main(void)
{
	struct forms mine = { forms, KBP_ARRAY_SIZE(forms), NULL, NULL, reset, wrong }, efvi;
	struct forms dpdk = { 0 };
	struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
	uint8_t *umem = aligned_alloc(4096, (size_t)(RING + TX_BUFFERS) * CHUNK);

	if (!b || !umem)
		return 2;
	memset(b, 0, sizeof(*b));
	memset(umem, 1, (size_t)(RING + TX_BUFFERS) * CHUNK);
	b->umem = umem;
	mine.bench = b;
	mine.seen = &b->seen;
	if (sock_open(b))
		return 2;
	efvi = efvi_forms();
#ifdef OVERHEAD_DPDK
	dpdk = dpdk_forms();
	if (!dpdk.n)
		return 2;
#endif
	CALLGRIND_START_INSTRUMENTATION;
	if (measure_all(&mine) || measure_all(&efvi) || measure_all(&dpdk))
		return 1;
	free(umem);
	free(b);
	return 0;
}
