/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw_efvi.h - ef_vi by hand: the loops of the vendor's sample programs (Onload, src/tests/ef_vi: efsink,
 * efforward, eflatency), as tight as they can be written. A received buffer is posted again at once; the
 * doorbell moves in steps of 8. Sent buffers go straight from the event onto the stack of free ones.
 * efsink counts each packet and its bytes; here packets are counted once per burst.
 */
#ifndef KBP_BENCH_RAW_EFVI_H
#define KBP_BENCH_RAW_EFVI_H

#include <etherfabric/ef_vi.h>
#include <etherfabric/efct_vi.h>

#include <kbypass/hot.h>

#define RAW_EFVI_EVENTS 32u
#define RAW_EFVI_BUFFER 2048u
#define RAW_EFVI_CT_THRESHOLD 64u /* bytes, as in eflatency */
#define RAW_EFVI_PIO_SLOT 256u
#define RAW_EFVI_PIO (1 << 30) /* in a request id: the frame lies in the card's memory */

enum raw_efvi_how { RAW_EFVI_DMA, RAW_EFVI_CTPIO, RAW_EFVI_PIO_COPY };

struct raw_efvi {
	ef_vi vi;
	uint8_t *mem;	    /* buffer 0 */
	uint8_t *rx_data;   /* where the frame begins in it */
	const ef_addr *dma; /* of each buffer */
	uint32_t prefix;
	uint32_t unpushed; /* posted without a doorbell */
	ef_request_id *free;
	uint32_t n_free;
	uint32_t pio_slots, pio_next, pio_free; /* they go round, and come back in order */
	uint64_t rx_frames, tx_frames, odd;
};

/* Sent buffers back onto the stack. */
KBP_INLINE void raw_efvi_sent(struct raw_efvi *r, const ef_event *e, enum raw_efvi_how how)
{
	ef_request_id *top = r->free + r->n_free;
	int n = ef_vi_transmit_unbundle(&r->vi, e, top);

	r->n_free += (uint32_t)n;
	for (int i = 0; how == RAW_EFVI_PIO_COPY && i < n; i++)
		if (top[i] & RAW_EFVI_PIO) {
			top[i] &= ~RAW_EFVI_PIO;
			r->pio_free++;
		}
}

/* Discards, jumbos, errors. */
static __attribute__((noinline)) void raw_efvi_odd(struct raw_efvi *r, const ef_event *e)
{
	r->odd++;
	if (EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_TX)
		raw_efvi_sent(r, e, RAW_EFVI_DMA);
	else if (EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX_DISCARD)
		(void)ef_vi_receive_init(&r->vi, r->dma[EF_EVENT_RX_DISCARD_RQ_ID(*e)],
					 (ef_request_id)EF_EVENT_RX_DISCARD_RQ_ID(*e));
	else if (EF_EVENT_TYPE(*e) == EF_EVENT_TYPE_RX_REF_DISCARD)
		efct_vi_rxpkt_release(&r->vi, e->rx_ref_discard.pkt_id);
}

KBP_INLINE unsigned raw_efvi_rx(struct raw_efvi *r, unsigned max,
				void (*fn)(const uint8_t *data, uint32_t len, void *arg), void *arg)
{
	ef_event evs[RAW_EFVI_EVENTS];
	int n = ef_eventq_poll(&r->vi, evs, (int)max);
	const ef_event *e = evs, *end;
	unsigned frames;

	if (KBP_LIKELY(!n))
		return 0;
	frames = (unsigned)n;
	end = e + n;
	do {
		uint32_t id = EF_EVENT_RX_RQ_ID(*e);

		if (KBP_UNLIKELY(EF_EVENT_TYPE(*e) != EF_EVENT_TYPE_RX || !EF_EVENT_RX_SOP(*e) ||
				 EF_EVENT_RX_CONT(*e))) {
			raw_efvi_odd(r, e);
			frames--;
			continue;
		}
		fn(r->rx_data + (size_t)id * RAW_EFVI_BUFFER,
		   (uint32_t)EF_EVENT_RX_BYTES(*e) - r->prefix, arg);
		(void)ef_vi_receive_init(&r->vi, r->dma[id], (ef_request_id)id);
	} while (++e != end);
	r->rx_frames += frames;
	r->unpushed += frames;
	if (r->unpushed >= 8) {
		ef_vi_receive_push(&r->vi);
		r->unpushed &= 7u;
	}
	return frames;
}

/* The same with frames by reference. */
KBP_INLINE unsigned raw_efvi_rx_refs(struct raw_efvi *r, unsigned max,
				     void (*fn)(const uint8_t *data, uint32_t len, void *arg),
				     void *arg)
{
	ef_event evs[RAW_EFVI_EVENTS];
	int n = ef_eventq_poll(&r->vi, evs, (int)max);
	const ef_event *e = evs, *end;
	unsigned frames;

	if (KBP_LIKELY(!n))
		return 0;
	frames = (unsigned)n;
	end = e + n;
	do {
		uint32_t id = e->rx_ref.pkt_id;

		if (KBP_UNLIKELY(EF_EVENT_TYPE(*e) != EF_EVENT_TYPE_RX_REF)) {
			raw_efvi_odd(r, e);
			frames--;
			continue;
		}
		fn((const uint8_t *)efct_vi_rxpkt_get(&r->vi, id), e->rx_ref.len, arg);
		efct_vi_rxpkt_release(&r->vi, id);
	} while (++e != end);
	r->rx_frames += frames;
	return frames;
}

/* Take sent buffers back, until there are n or no more events. */
static __attribute__((noinline)) void raw_efvi_complete(struct raw_efvi *r, uint32_t n,
							enum raw_efvi_how how)
{
	ef_event evs[RAW_EFVI_EVENTS];
	int got;

	do {
		got = ef_eventq_poll(&r->vi, evs, (int)RAW_EFVI_EVENTS);
		for (int i = 0; i < got; i++) {
			if (EF_EVENT_TYPE(evs[i]) == EF_EVENT_TYPE_TX)
				raw_efvi_sent(r, &evs[i], how);
			else
				raw_efvi_odd(r, &evs[i]);
		}
	} while (got && r->n_free < n);
}

/* One frame; 0, or an error with nothing sent. */
KBP_INLINE int raw_efvi_send(struct raw_efvi *r, ef_request_id id, const uint8_t *frame,
			     uint32_t len, enum raw_efvi_how how)
{
	ef_iovec iov;

	if (how == RAW_EFVI_CTPIO) {
		ef_vi_transmit_ctpio(&r->vi, frame, len, RAW_EFVI_CT_THRESHOLD);
		return ef_vi_transmit_ctpio_fallback(&r->vi, r->dma[id], len, id);
	}
	if (how == RAW_EFVI_PIO_COPY) {
		uint32_t slot = r->pio_next;

		if (KBP_UNLIKELY(!r->pio_free || len > RAW_EFVI_PIO_SLOT))
			return ef_vi_transmit(&r->vi, r->dma[id], (int)len, id);
		r->pio_free--;
		r->pio_next = slot + 1 == r->pio_slots ? 0 : slot + 1;
		return ef_vi_transmit_copy_pio(&r->vi, (int)(slot * RAW_EFVI_PIO_SLOT), frame,
					       (int)len, id | RAW_EFVI_PIO);
	}
	/* what ef_vi_transmit_init does, without its call */
	iov.iov_base = r->dma[id];
	iov.iov_len = len;
	return ef_vi_transmitv_init(&r->vi, &iov, 1, id);
}

/* Send a burst to one destination. There is a descriptor for every buffer; only the cut-through FIFO can
 * be full. */
KBP_INLINE unsigned raw_efvi_tx(struct raw_efvi *r, const struct kbp_txflow *t, unsigned n,
				enum raw_efvi_how how, uint32_t (*fn)(uint8_t *payload, void *arg),
				void *arg)
{
	const ef_request_id *top, *end;

	if (KBP_UNLIKELY(r->n_free < n)) {
		raw_efvi_complete(r, n, how);
		if (r->n_free < n)
			n = r->n_free;
		if (!n)
			return 0;
	}
	top = r->free + r->n_free;
	end = top - n;
	do {
		ef_request_id id = *--top;
		uint8_t *frame = r->mem + (size_t)(uint32_t)id * RAW_EFVI_BUFFER,
			*payload = frame + t->hdr_len;
		uint32_t len;

		kbp_udp_head(t, frame);
		len = fn(payload, arg);
		kbp_udp_finish(t, payload, len);
		if (KBP_UNLIKELY(raw_efvi_send(r, id, frame, len + t->hdr_len, how)) &&
		    how == RAW_EFVI_CTPIO) {
			top++;
			break;
		}
	} while (top != end);
	n -= (uint32_t)(top - end);
	if (how == RAW_EFVI_DMA)
		ef_vi_transmit_push(&r->vi);
	r->n_free -= n;
	r->tx_frames += n;
	return n;
}

#endif
