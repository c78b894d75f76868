/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rx_ref.c - receiving by reference: the NIC fills superbuffers of its own, the application gets
 * packet numbers and gives each back. A superbuffer goes back to the NIC when all its packets did.
 *
 *   driver: free[] -> device: fills, begun[] -> driver: polls the header of the next packet
 *
 * The device clears a superbuffer's headers, announces it in begun[] (release; the driver acquires
 * begun_put), and then releases each header word as its packet is whole.
 */
#include "internal.h"

#include <etherfabric/efct_vi.h>

/* In front of each packet, in the 66 bytes that it leaves free. */
struct ref_header {
	uint64_t word; /* 0: nothing yet */
	uint64_t ns;
	uint32_t stamped, sync_flags;
};

#define HDR_VALID (1ull << 63)
#define HDR_ROLLOVER (1ull << 62)

#define PKT_OF(id) ((id)&0xffffu)
#define SB_OF(id) ((id) >> 16 & 0x7ffu)

static struct ref_header *header_at(const struct sn_ref *r, uint32_t sb, uint32_t pkt)
{
	return (struct ref_header *)(void *)(r->mem + (size_t)sb * SN_SUPERBUF_BYTES +
					     (size_t)pkt * SN_STRIDE);
}

/* ---------------------------------------------------------------- the device */

static bool superbuf_begin(struct softnic_vi *v)
{
	struct sn_ref *r = v->r;
	uint32_t sb;

	if (sn_load(&v->nic->fault[SOFTNIC_STARVE]) || r->free_get == sn_acquire(&r->free_put))
		return false;
	sb = r->free[r->free_get++ & r->ring_mask];
	for (uint32_t i = 0; i < SN_SUPERBUF_PKTS; i++)
		sn_store(&header_at(r, sb, i)->word, 0);
	r->dev_sb = (int)sb;
	r->dev_pkt = 0;
	r->begun[r->begun_put & r->ring_mask] = sb;
	sn_release(&r->begun_put, r->begun_put + 1);
	return true;
}

void sn_ref_deliver(struct softnic_vi *v, const struct sn_rx *rx, unsigned errors)
{
	struct sn_counters *c = &v->nic->c;
	struct sn_ref *r = v->r;
	struct ref_header *h;

	if (sn_load(&v->evq->dead) || sn_load(&v->evq->overflow)) {
		sn_add(&c->rx_lost, 1);
		return;
	}
	if (rx->len > SN_STRIDE - SN_PKT_AT) {
		sn_add(&c->wire_oversize, 1);
		return;
	}
	if (sn_load(&v->nic->fault[SOFTNIC_STARVE]) || (r->dev_sb < 0 && !superbuf_begin(v))) {
		sn_add(&c->rx_no_desc, 1);
		return;
	}
	h = header_at(r, (uint32_t)r->dev_sb, r->dev_pkt);
	memcpy((uint8_t *)h + SN_PKT_AT, rx->frame, rx->len);
	h->ns = rx->ns;
	h->stamped = !(rx->flags & SOFTNIC_NO_STAMP);
	h->sync_flags = 0;
	if (!sn_load(&v->nic->fault[SOFTNIC_CLOCK_UNSET]))
		h->sync_flags |= EF_VI_SYNC_FLAG_CLOCK_SET;
	if (!sn_load(&v->nic->fault[SOFTNIC_CLOCK_OUT_OF_SYNC]))
		h->sync_flags |= EF_VI_SYNC_FLAG_CLOCK_IN_SYNC;
	sn_release(&h->word, HDR_VALID | (uint64_t)(errors & 0xffffu) << 16 | rx->len);
	if (++r->dev_pkt == SN_SUPERBUF_PKTS)
		r->dev_sb = -1;
	sn_add(&c->delivered, 1);
	sn_wake(v);
}

void sn_ref_rollover(struct softnic_vi *v)
{
	struct sn_ref *r = v->r;

	if (!r || r->dev_sb < 0)
		return;
	sn_release(&header_at(r, (uint32_t)r->dev_sb, r->dev_pkt)->word, HDR_VALID | HDR_ROLLOVER);
	r->dev_sb = -1;
}

/* ---------------------------------------------------------------- the driver: packets */

static void superbuf_put(struct sn_ref *r, uint32_t sb, uint32_t refs)
{
	r->refs[sb] -= refs;
	if (r->refs[sb])
		return;
	r->free[r->free_put & r->ring_mask] = sb;
	/* pairs with the acquire in superbuf_begin: the application has stopped reading */
	sn_release(&r->free_put, r->free_put + 1);
}

/* The next superbuffer, when the last one is read to its end. */
static bool superbuf_next(struct sn_ref *r)
{
	if (r->drv_sb >= 0 && r->drv_pkt < SN_SUPERBUF_PKTS)
		return true;
	if (r->begun_get == sn_acquire(&r->begun_put))
		return false;
	r->drv_sb = (int)r->begun[r->begun_get++ & r->ring_mask];
	r->drv_pkt = 0;
	r->refs[r->drv_sb] = SN_SUPERBUF_PKTS;
	return true;
}

static int poll_packets(ef_vi *vi, ef_event *evs, int n)
{
	struct sn_ref *r = vi->softnic->r;
	int done = 0;

	while (done < n && superbuf_next(r)) {
		uint32_t sb = (uint32_t)r->drv_sb, pkt_id = sb << 16 | r->drv_pkt;
		uint64_t w = sn_acquire(&header_at(r, sb, r->drv_pkt)->word);
		unsigned flags = (unsigned)(w >> 16) & 0xffffu & (unsigned)vi->rx_discard_mask;
		ef_event *e = &evs[done];

		if (!w)
			break;
		if (w & HDR_ROLLOVER) {
			superbuf_put(r, sb, SN_SUPERBUF_PKTS - r->drv_pkt);
			r->drv_sb = -1;
			break;
		}
		memset(e, 0, sizeof(*e));
		e->rx_ref.type = EF_EVENT_TYPE_RX_REF;
		e->rx_ref.len = (uint16_t)w;
		e->rx_ref.pkt_id = pkt_id;
		if (flags) {
			e->rx_ref_discard.type = EF_EVENT_TYPE_RX_REF_DISCARD;
			e->rx_ref_discard.flags = (uint16_t)flags;
		}
		r->out[sb * SN_SUPERBUF_PKTS + r->drv_pkt++] = 1;
		r->pkts_out++;
		done++;
		if (r->drv_pkt == SN_SUPERBUF_PKTS)
			break; /* one poll does not cross superbuffers */
	}
	return done;
}

/* Is there a packet to poll? */
bool sn_ref_waiting(const struct softnic_vi *v)
{
	const struct sn_ref *r = v->r;

	if (!r)
		return false;
	if (r->drv_sb >= 0 && r->drv_pkt < SN_SUPERBUF_PKTS)
		return sn_acquire(&header_at(r, (uint32_t)r->drv_sb, r->drv_pkt)->word) != 0;
	return r->begun_get != sn_acquire(&r->begun_put);
}

static bool out_with_app(ef_vi *vi, uint32_t pkt_id)
{
	struct sn_ref *r = vi->softnic->r;

	return r && SB_OF(pkt_id) < r->n && PKT_OF(pkt_id) < SN_SUPERBUF_PKTS && !(pkt_id >> 27) &&
	       r->out[SB_OF(pkt_id) * SN_SUPERBUF_PKTS + PKT_OF(pkt_id)];
}

SN_PUBLIC const void *efct_vi_rxpkt_get(ef_vi *vi, uint32_t pkt_id)
{
	struct sn_ref *r = vi->softnic->r;

	if (!out_with_app(vi, pkt_id)) {
		sn_wrong(vi->softnic, "efct_vi_rxpkt_get: packet 0x%x is not the application's",
			 pkt_id);
		if (!r || SB_OF(pkt_id) >= r->n || PKT_OF(pkt_id) >= SN_SUPERBUF_PKTS)
			return NULL;
	}
	return (uint8_t *)header_at(r, SB_OF(pkt_id), PKT_OF(pkt_id)) + SN_PKT_AT;
}

SN_PUBLIC void efct_vi_rxpkt_release(ef_vi *vi, uint32_t pkt_id)
{
	struct sn_ref *r = vi->softnic->r;

	if (!out_with_app(vi, pkt_id)) {
		sn_wrong(vi->softnic, "efct_vi_rxpkt_release: packet 0x%x is not the application's",
			 pkt_id);
		return;
	}
	r->out[SB_OF(pkt_id) * SN_SUPERBUF_PKTS + PKT_OF(pkt_id)] = 0;
	r->pkts_out--;
	superbuf_put(r, SB_OF(pkt_id), 1);
}

int sn_ref_stamp(ef_vi *vi, const void *pkt, ef_precisetime *ts)
{
	const struct ref_header *h =
		(const struct ref_header *)(const void *)((const uint8_t *)pkt - SN_PKT_AT);

	(void)vi;
	memset(ts, 0, sizeof(*ts));
	if (!h->stamped)
		return -ENODATA;
	ts->tv_sec = (int64_t)(h->ns / SN_NS);
	ts->tv_nsec = (uint32_t)(h->ns % SN_NS);
	ts->tv_flags = (uint16_t)h->sync_flags;
	return 0;
}

/* ---------------------------------------------------------------- the driver: completions */

static void fifo_event(ef_vi *vi, uint64_t w)
{
	ef_eventq_state *s = &vi->ep_state->evq;

	s->sync_timestamp_major = (uint32_t)w;
	s->sync_timestamp_synchronised = 1;
	s->sync_flags = EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC;
	if (vi->vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS)
		s->sync_flags = (w & SN_EV_TIME_SET ? EF_VI_SYNC_FLAG_CLOCK_SET : 0u) |
				(w & SN_EV_TIME_IN_SYNC ? EF_VI_SYNC_FLAG_CLOCK_IN_SYNC : 0u);
}

/* The FIFO's bytes are free with the event; ids are unbundled later, except with stamps. */
static void fifo_completed(ef_vi *vi, uint32_t upto)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	while (q->previous != upto)
		q->ct_removed += vi->softnic->txd[q->previous++ & vi->vi_txq.mask].len;
}

static bool fifo_tx_event(ef_vi *vi, uint64_t w, ef_event *e)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	ef_eventq_state *s = &vi->evq_vi->ep_state->evq;
	uint32_t value = (uint32_t)w;

	if (SN_EV_CODE(w) == SN_EV_TX) {
		fifo_completed(vi, value + 1);
		if (vi->vi_flags & EF_VI_TX_TIMESTAMPS)
			return false;
		e->tx.type = EF_EVENT_TYPE_TX;
		e->tx.q_id = (uint8_t)SN_EV_LABEL(w);
		e->tx.flags = EF_EVENT_FLAG_CTPIO;
		e->tx.desc_id = (uint16_t)(value + 1);
		e->tx.deferred_evs = 0;
		return true;
	}
	if (SN_EV_CODE(w) == SN_EV_TX_LO) {
		q->ts_nsec = value >> 2;
		q->ts_nsec_frac = (uint16_t)(value << 14);
		return false;
	}
	e->tx_timestamp.type = EF_EVENT_TYPE_TX_WITH_TIMESTAMP;
	e->tx_timestamp.q_id = (uint8_t)SN_EV_LABEL(w);
	e->tx_timestamp.flags = EF_EVENT_FLAG_CTPIO;
	/* eight bits of the seconds travel: either those of the last clock event or one more */
	e->tx_timestamp.ts_sec = s->sync_timestamp_major +
				 ((value & 255u) == ((s->sync_timestamp_major + 1) & 255u));
	e->tx_timestamp.ts_nsec = q->ts_nsec & 0x3fffffffu;
	e->tx_timestamp.ts_nsec_frac = (q->ts_nsec_frac >> 12) & 15u;
	e->tx_timestamp.ts_flags = s->sync_flags & 3u;
	e->tx_timestamp.rq_id = vi->vi_txq.ids[q->removed & vi->vi_txq.mask];
	vi->vi_txq.ids[q->removed++ & vi->vi_txq.mask] = SN_NO_ID;
	return true;
}

static int poll_events(ef_vi *vi, ef_event *evs, int n)
{
	struct sn_evq *q = &vi->softnic->own_evq;
	ef_eventq_state *s = &vi->ep_state->evq;
	uint32_t ptr = s->evq_ptr;
	int done = 0;

	while (done < n) {
		uint64_t *slot = &q->slot[ptr / 8 & q->mask];
		uint64_t w = sn_acquire(slot);
		ef_vi *owner;

		if (!w)
			break;
		owner = vi->vi_qs[SN_EV_LABEL(w)];
		if (SN_EV_CODE(w) == SN_EV_TIME)
			fifo_event(vi, w);
		else if (SN_EV_CODE(w) == SN_EV_RESET)
			sn_reset_event(vi, &evs[done++]);
		else if (owner)
			done += fifo_tx_event(owner, w, &evs[done]);
		sn_release(slot, 0);
		ptr += 8;
		sn_store(&s->evq_ptr, ptr);
	}
	return done;
}

int sn_ref_poll(ef_vi *vi, ef_event *evs, int n)
{
	int done;

	if (!sn_poll_begin(vi, evs, n, &done))
		return done;
	if (vi->softnic->r)
		done = poll_packets(vi, evs, n);
	if (vi->softnic->own_evq.slot)
		done += poll_events(vi, evs + done, n - done);
	return done;
}
