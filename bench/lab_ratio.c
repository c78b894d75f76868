/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_ratio.c - the raw loops and both forms of this library on real sockets: cycles per frame,
 * interleaved.
 *
 * A lab of its own (namespaces and a veth pair). In every round each form in turn drains the same
 * number of frames that lie ready, so that whatever slows the machine down slows all forms down;
 * who begins rotates. What is timed is the drain alone, not the arrival. A virtual device tells
 * nothing of a NIC; the ratios tell what the forms cost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kbypass/hot.h>
#include <kbypass/lab.h>

#include "look.h"
#include "overhead.h"
#include "raw_sock.h"
#include "raw_xsk.h"

#include "../lib/backend/af_xdp.h"
#include "../tools/clock/tsc.h"

#define FRAMES 256u
#define BURST 32u
#define ROUNDS 300u
#define ROUNDS_MAX 10000u
#define PORT_XDP 40401
#define PORT_SOCKET 40402
#define WAIT_US 100000

struct ratio {
	struct kbp_lab_info lab;
	struct kbp_port *xdp_port, *sock_port;
	struct kbp_queue *xdp, *sock;
	struct raw_xsk raw_xsk;
	struct raw_sock raw_sock, send;
	struct seen seen;
	struct kbp_error err;
};

typedef unsigned (*drain_fn)(struct ratio *r);

KBP_INLINE unsigned array_look(struct kbp_queue *q, struct seen *s)
{
	struct kbp_frame f[BURST];
	unsigned n = kbp_rx_peek(q, f, BURST);

	for (unsigned i = 0; i < n; i++)
		look(s, f[i].data, f[i].len);
	kbp_rx_release(q, f, n);
	return n;
}

/* Drains until a poll finds nothing. */
#define DRAIN(name, poll)                     \
	static unsigned name(struct ratio *r) \
	{                                     \
		unsigned n, total = 0;        \
                                              \
		while ((n = (poll)) > 0)      \
			total += n;           \
		return total;                 \
	}

DRAIN(xdp_raw, raw_xsk_rx(&r->raw_xsk, BURST, raw_look, &r->seen))
DRAIN(xdp_inline, kbp_rx_each(kbp_rx_as(r->xdp, KBP_AF_XDP), BURST, each_look, &r->seen))
DRAIN(xdp_run_time, kbp_rx_each(kbp_rx_of(r->xdp), BURST, each_look, &r->seen))
DRAIN(xdp_array, array_look(r->xdp, &r->seen))
DRAIN(sock_raw, raw_sock_rx(&r->raw_sock, BURST, raw_look, &r->seen))
DRAIN(sock_inline, kbp_rx_each(kbp_rx_as(r->sock, KBP_SOCKET), BURST, each_look, &r->seen))
DRAIN(sock_run_time, kbp_rx_each(kbp_rx_of(r->sock), BURST, each_look, &r->seen))
DRAIN(sock_array, array_look(r->sock, &r->seen))

#define FORMS 4u

static const struct {
	const char *name;
	drain_fn drain[2]; /* af_xdp, socket */
} forms[FORMS] = {
	{ "raw", { xdp_raw, sock_raw } },
	{ "inline", { xdp_inline, sock_inline } },
	{ "run-time", { xdp_run_time, sock_run_time } },
	{ "array", { xdp_array, sock_array } },
};

/* ---------------------------------------------------------------- one set of rings, two owners */

/* libxdp's idea of the indices and ours are brought together around a raw drain, outside the timed
 * part. */
static void raw_borrow(struct ratio *r)
{
	const struct kbp_axdp_queue *x = kbp_axdp(r->xdp);

	r->raw_xsk.rx.cached_cons = x->rx.idx;
	r->raw_xsk.rx.cached_prod = x->rx.seen;
	r->raw_xsk.fill.cached_prod = x->fill.idx;
	r->raw_xsk.fill.cached_cons = __atomic_load_n(x->fill.cons, __ATOMIC_ACQUIRE) + x->fill.size;
}

static void raw_give_back(struct ratio *r)
{
	struct kbp_axdp_queue *x = kbp_axdp(r->xdp);

	x->rx.idx = r->raw_xsk.rx.cached_cons;
	x->rx.seen = r->raw_xsk.rx.cached_prod;
	x->fill.idx = r->raw_xsk.fill.cached_prod;
}

/* ---------------------------------------------------------------- setting up */

static int port_open(struct ratio *r, const char *backend, uint16_t port, uint32_t rx_ring,
		     struct kbp_port **p, struct kbp_queue **q)
{
	const struct kbp_lab_host *host = &r->lab.host[KBP_LAB_RX];
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow flow = { .dst = host->ip4, .dst_port = port };
	int rc;

	qo.flags = KBP_QUEUE_RX;
	qo.rx_ring = rx_ring;
	rc = kbp_port_open(backend, host->ifname, NULL, p, &r->err);
	if (!rc)
		rc = kbp_queue_open(*p, &qo, q, &r->err);
	if (!rc)
		rc = kbp_flow_add(*q, &flow, NULL, &r->err);
	return rc;
}

static int sender_open(struct ratio *r)
{
	int fd, rc = kbp_lab_enter(&r->lab, KBP_LAB_TX, &r->err);

	if (rc)
		return rc;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return kbp_fail(&r->err, -errno, "open the sender's socket", "%s", strerror(errno));
	raw_sock_init(&r->send, fd, false);
	return kbp_lab_enter(&r->lab, KBP_LAB_RX, &r->err);
}

/* libxdp's words for one of our rings; its cached indices are set around each drain. */
#define RING_OF(r)                                                              \
	{                                                                       \
		.mask = (r)->mask, .size = (r)->size, .producer = (r)->prod,    \
		.consumer = (r)->cons, .ring = (r)->slots, .flags = (r)->flags, \
	}

static int set_up(struct ratio *r)
{
	struct kbp_lab_opts lo = KBP_LAB_OPTS_INIT;
	const struct kbp_axdp_full *full;
	int rc;

	lo.prefix = "kbrat";
	lo.queues = 1;
	lo.flags = KBP_LAB_EPHEMERAL;
	rc = kbp_lab_up(&lo, &r->lab, &r->err);
	if (!rc)
		rc = sender_open(r);
	if (!rc)
		rc = port_open(r, "af_xdp", PORT_XDP, 1024, &r->xdp_port, &r->xdp);
	if (!rc)
		rc = port_open(r, "socket", PORT_SOCKET, 0, &r->sock_port, &r->sock);
	if (rc)
		return rc;
	full = kbp_axdp_full(r->xdp);
	r->raw_xsk.rx = (struct xsk_ring_cons)RING_OF(&full->x.rx);
	r->raw_xsk.fill = (struct xsk_ring_prod)RING_OF(&full->x.fill);
	r->raw_xsk.umem = full->x.umem;
	r->raw_xsk.fd = (int)full->x.fd;
	raw_sock_init(&r->raw_sock, kbp_sock(r->sock)->fd, true);
	return 0;
}

static void tear_down(struct ratio *r)
{
	kbp_queue_close(r->xdp, KBP_CLOSE_FORCE, NULL);
	kbp_queue_close(r->sock, KBP_CLOSE_FORCE, NULL);
	kbp_port_close(r->xdp_port, NULL);
	kbp_port_close(r->sock_port, NULL);
	if (r->send.fd > 0)
		close(r->send.fd);
	if (r->lab.prefix[0])
		kbp_lab_down(r->lab.prefix, NULL);
}

/* ---------------------------------------------------------------- rounds */

static uint32_t fill_in_payload(uint8_t *payload, void *arg)
{
	(void)arg;
	memset(payload, 1, 64);
	return 64;
}

static void send_all(struct ratio *r, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	memcpy(&to.sin_addr, r->lab.host[KBP_LAB_RX].ip4.bytes, 4);
	for (unsigned i = 0; i < RAW_SOCK_BATCH; i++) {
		r->send.msg[i].msg_hdr.msg_name = &to;
		r->send.msg[i].msg_hdr.msg_namelen = sizeof(to);
	}
	for (unsigned sent = 0; sent < FRAMES; sent += BURST)
		raw_sock_tx(&r->send, BURST, fill_in_payload, NULL);
}

/* On veth the frames have arrived when sendmmsg returns, unless the kernel thread for soft
 * interrupts took over: wait for it. A socket does not say how many datagrams it has, so it is
 * given a moment. */
static void wait_arrived(struct ratio *r, bool xdp)
{
	const struct kbp_axdp_queue *x = kbp_axdp(r->xdp);

	for (int us = 0; us < WAIT_US; us += 50) {
		if (xdp && __atomic_load_n(x->rx.prod, __ATOMIC_ACQUIRE) - x->rx.idx >= FRAMES)
			return;
		usleep(50);
		if (!xdp)
			return;
	}
}

/* Cycles per frame of one drain; 0: not all frames were there. */
static double drain_once(struct ratio *r, unsigned form, unsigned backend)
{
	bool raw_xdp = form == 0 && backend == 0;
	uint64_t before, after;
	unsigned n;

	send_all(r, backend ? PORT_SOCKET : PORT_XDP);
	wait_arrived(r, backend == 0);
	if (raw_xdp)
		raw_borrow(r);
	before = kbp_tsc_now_ordered();
	n = forms[form].drain[backend](r);
	after = kbp_tsc_now_ordered();
	if (raw_xdp)
		raw_give_back(r);
	return n == FRAMES ? (double)(after - before) / FRAMES : 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* v[0..n) sorted: its value at fraction q. */
static double quantile(const double *sorted, unsigned n, double q)
{
	return sorted[(unsigned)(q * (n - 1) + 0.5)];
}

/* Ratios are taken within a round, where all forms met the same machine. */
static void print_form(unsigned form, double cycles[][FORMS], unsigned n, double *scratch)
{
	double middle;

	for (unsigned i = 0; i < n; i++)
		scratch[i] = cycles[i][form];
	qsort(scratch, n, sizeof(*scratch), by_value);
	middle = quantile(scratch, n, 0.5);
	for (unsigned i = 0; i < n; i++)
		scratch[i] = cycles[i][form] / cycles[i][0];
	qsort(scratch, n, sizeof(*scratch), by_value);
	printf("  %-9s %8.1f cycles/frame   %.3f of raw (half of the rounds: %.3f to %.3f)\n",
	       forms[form].name, middle, quantile(scratch, n, 0.5), quantile(scratch, n, 0.25),
	       quantile(scratch, n, 0.75));
}

static int compare(struct ratio *r, unsigned backend, unsigned rounds)
{
	double(*cycles)[FORMS] = calloc(rounds, sizeof(*cycles)),
	*scratch = calloc(rounds, sizeof(*scratch));
	unsigned n = 0;

	for (unsigned i = 0; cycles && scratch && i < rounds; i++) {
		bool all = true;

		for (unsigned k = 0; k < FORMS; k++) {
			unsigned form = (i + k) % FORMS;

			cycles[n][form] = drain_once(r, form, backend);
			all &= cycles[n][form] > 0;
		}
		n += all;
	}
	printf("%s, receive, bursts of %u, medians of %u rounds of %u frames (%u rounds lost frames)\n",
	       backend ? "socket" : "af_xdp", BURST, n, FRAMES, rounds - n);
	for (unsigned form = 0; form < FORMS && n; form++)
		print_form(form, cycles, n, scratch);
	free(cycles);
	free(scratch);
	return n ? 0 : -1;
}

static const char *mode_name(enum kbp_mode mode)
{
	return mode == KBP_MODE_ZEROCOPY ? "zero-copy" : mode == KBP_MODE_COPY ? "copy" : "generic";
}

int main(int argc, char **argv)
{
	struct ratio *r = aligned_alloc(64, (sizeof(*r) + 63) & ~(size_t)63);
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
	struct kbp_port_info info;
	cpu_set_t cpu;
	int rc;

	if (!r || argc > 2 || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: lab_ratio [ROUNDS]   1..%u, default %u\n", ROUNDS_MAX,
			ROUNDS);
		return 2;
	}
	memset(r, 0, sizeof(*r));
	CPU_ZERO(&cpu);
	CPU_SET((size_t)sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	rc = set_up(r);
	if (rc) {
		fprintf(stderr, "lab_ratio: %s: %s\n", r->err.step, r->err.hint);
	} else {
		kbp_port_info(r->xdp_port, &info);
		printf("%s, driver %s, mode %s: a virtual device. Only the ratios mean anything, and only here.\n\n",
		       info.interface, info.driver, mode_name(info.achieved));
		rc = compare(r, 0, (unsigned)rounds);
		if (!rc)
			rc = compare(r, 1, (unsigned)rounds);
		if (rc)
			fprintf(stderr, "lab_ratio: frames did not arrive\n");
	}
	tear_down(r);
	free(r);
	return rc ? 2 : 0;
}
