/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw_xsk.h - AF_XDP by hand: the loops that the documentation of libxdp teaches (xdp-tools,
 * lib/libxdp/README.org) and its sample program counts frames in (xdpsock: rx_npkts, tx_npkts).
 */
#ifndef KBP_BENCH_RAW_XSK_H
#define KBP_BENCH_RAW_XSK_H

#include <sys/socket.h>

#include <xdp/xsk.h>

#include <kbypass/hot.h>

struct raw_xsk {
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod fill, tx;
	uint8_t *umem;
	uint64_t *free; /* stack of free TX buffers */
	uint32_t n_free;
	int fd;
	uint64_t rx_frames, tx_frames;
};

typedef void (*raw_rx_fn)(const uint8_t *data, uint32_t len, void *arg);
typedef uint32_t (*raw_tx_fn)(uint8_t *payload, void *arg);

/* Receive a burst; every buffer goes straight back to the fill ring. */
KBP_INLINE unsigned raw_xsk_rx(struct raw_xsk *x, unsigned max, raw_rx_fn fn, void *arg)
{
	uint32_t from = 0, to = 0;
	unsigned n = xsk_ring_cons__peek(&x->rx, max, &from);

	if (!n) {
		if (xsk_ring_prod__needs_wakeup(&x->fill))
			recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		return 0;
	}
	while (xsk_ring_prod__reserve(&x->fill, n, &to) != n)
		if (xsk_ring_prod__needs_wakeup(&x->fill))
			recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	for (unsigned i = 0; i < n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, from++);
		uint64_t addr = d->addr;

		fn(xsk_umem__get_data(x->umem, addr), d->len, arg);
		*xsk_ring_prod__fill_addr(&x->fill, to++) = addr;
	}
	xsk_ring_prod__submit(&x->fill, n);
	xsk_ring_cons__release(&x->rx, n);
	x->rx_frames += n;
	return n;
}

/* Sent buffers back onto the stack. */
KBP_INLINE void raw_xsk_complete(struct raw_xsk *x)
{
	uint32_t from = 0;
	unsigned n = xsk_ring_cons__peek(&x->comp, UINT32_MAX, &from);

	for (unsigned i = 0; i < n; i++)
		x->free[x->n_free++] = *xsk_ring_cons__comp_addr(&x->comp, from++);
	if (n)
		xsk_ring_cons__release(&x->comp, n);
}

/* Send a burst to one destination: header copied, payload written, lengths and checksums filled
 * in. */
KBP_INLINE unsigned raw_xsk_tx(struct raw_xsk *x, const struct kbp_txflow *t, unsigned n,
			       raw_tx_fn fn, void *arg)
{
	uint32_t to = 0;

	if (x->n_free < n) {
		raw_xsk_complete(x);
		if (x->n_free < n)
			n = x->n_free;
	}
	if (!xsk_ring_prod__reserve(&x->tx, n, &to)) {
		if (xsk_ring_prod__needs_wakeup(&x->tx))
			sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		return 0;
	}
	for (unsigned i = 0; i < n; i++) {
		uint64_t addr = x->free[--x->n_free];
		uint8_t *frame = (uint8_t *)xsk_umem__get_data(x->umem, addr),
			*payload = frame + t->hdr_len;
		struct xdp_desc *d = xsk_ring_prod__tx_desc(&x->tx, to++);
		uint32_t len;

		kbp_udp_head(t, frame);
		len = fn(payload, arg);
		kbp_udp_finish(t, payload, len);
		d->addr = addr;
		d->len = len + t->hdr_len;
		d->options = 0;
	}
	xsk_ring_prod__submit(&x->tx, n);
	x->tx_frames += n;
	if (xsk_ring_prod__needs_wakeup(&x->tx))
		sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
	return n;
}

#endif
