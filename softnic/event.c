/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event.c - the event queue: the device writes words into slots, the driver reads and empties them.
 *
 * The device releases a slot and the driver acquires it: with the event come the buffer's bytes.
 * The driver releases the emptied slot and the device acquires it. A slot that is still full when
 * the device comes round has been overrun: the queue has overflowed, for good.
 */
#include "internal.h"

void sn_event_put(struct sn_evq *q, uint64_t word)
{
	uint64_t *slot = &q->slot[q->put & q->mask];

	if (sn_load(&q->dead) || sn_load(&q->overflow))
		return;
	/* one slot stays empty, by which the driver knows its place */
	if (sn_acquire(slot) || sn_acquire(&q->slot[(q->put + 1) & q->mask])) {
		sn_add(&q->owner->nic->c.ev_overflows, 1);
		sn_release(&q->overflow, 1);
	} else {
		sn_release(slot, word);
		q->put++;
	}
	sn_wake(q->owner);
}

/* ---------------------------------------------------------------- clock events */

static uint64_t time_word(struct sn_nic *nic, const struct softnic_vi *v, uint64_t ns)
{
	uint64_t word = SN_EV_MAKE(SN_EV_TIME, 0, (ns / SN_NS) & 0xffffffffu);
	uint32_t minor = sn_stamp_minor(v, ns);

	/* an event has room for the upper bits only: 15 ms or so */
	minor = v->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS ? minor >> 26 : minor >> 21;
	word |= (uint64_t)(minor & 63) << 32;
	if (!sn_load(&nic->fault[SOFTNIC_CLOCK_UNSET]))
		word |= SN_EV_TIME_SET;
	if (!sn_load(&nic->fault[SOFTNIC_CLOCK_OUT_OF_SYNC]))
		word |= SN_EV_TIME_IN_SYNC;
	return word;
}

void sn_event_sync(struct sn_nic *nic, uint64_t until)
{
	for (struct softnic_vi *v = nic->vis; v; v = v->next) {
		struct sn_evq *q = &v->own_evq;
		uint64_t due = sn_load(&q->next_sync);

		if (!q->wants_sync || due > until)
			continue;
		/* a program that was not running for long finds the last two seconds' events */
		if (until - due > 2ull * SN_NS)
			due = until - 2ull * SN_NS;
		for (; due <= until; due = (due / SN_SYNC_NS + 1) * SN_SYNC_NS) {
			if (!sn_load(&nic->fault[SOFTNIC_CLOCK_LOST]))
				sn_event_put(q, time_word(nic, v, due));
		}
		sn_store(&q->next_sync, due);
	}
}

/* Asked by every poll of a VI with stamps: the coarse clock lags by a few ms, which no clock event
 * minds. */
bool sn_event_sync_due(const struct softnic_vi *v)
{
	const struct sn_evq *q = &v->own_evq;
	struct timespec ts;
	uint64_t now;

	if (!q->wants_sync)
		return false;
	if (sn_load(&v->nic->manual)) {
		now = sn_load(&v->nic->manual_ns);
	} else {
		clock_gettime(CLOCK_REALTIME_COARSE, &ts);
		now = (uint64_t)ts.tv_sec * SN_NS + (uint64_t)ts.tv_nsec;
	}
	return sn_load(&q->next_sync) <= now;
}

static void clock_event(ef_vi *vi, uint64_t w)
{
	ef_eventq_state *s = &vi->ep_state->evq;
	bool quarters = vi->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS;

	s->sync_timestamp_major = (uint32_t)w;
	s->sync_timestamp_minor = ((uint32_t)(w >> 32) & 63u) << (quarters ? 26 : 21);
	s->sync_timestamp_minimum = s->sync_timestamp_major - 1;
	s->sync_timestamp_synchronised = 1;
	s->sync_flags = EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC;
	/* events that say nothing of the clock's state are taken for the best */
	if (vi->vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS)
		s->sync_flags = (w & SN_EV_TIME_SET ? EF_VI_SYNC_FLAG_CLOCK_SET : 0u) |
				(w & SN_EV_TIME_IN_SYNC ? EF_VI_SYNC_FLAG_CLOCK_IN_SYNC : 0u);
}

/* ---------------------------------------------------------------- the driver: one event */

static void rx_trunc(ef_vi *vi, unsigned label, ef_event *e)
{
	e->rx_no_desc_trunc.type = EF_EVENT_TYPE_RX_NO_DESC_TRUNC;
	e->rx_no_desc_trunc.q_id = (uint8_t)label;
	vi->ep_state->rxq.in_jumbo = 0;
}

static unsigned discard_type(unsigned errors)
{
	if (errors & (EF_VI_DISCARD_RX_ETH_FCS_ERR | EF_VI_DISCARD_RX_ETH_LEN_ERR))
		return EF_EVENT_RX_DISCARD_CRC_BAD;
	if (errors & (EF_VI_DISCARD_RX_L3_CSUM_ERR | EF_VI_DISCARD_RX_L4_CSUM_ERR))
		return EF_EVENT_RX_DISCARD_CSUM_BAD;
	return EF_EVENT_RX_DISCARD_INNER_CSUM_BAD;
}

static unsigned rx_flags(ef_vi_rxq_state *q, uint64_t w)
{
	unsigned flags = q->in_jumbo ? 0 : EF_EVENT_FLAG_SOP;

	q->in_jumbo = w & SN_EV_RX_CONT ? 1 : 0;
	if (w & SN_EV_RX_CONT)
		flags |= EF_EVENT_FLAG_CONT;
	if (w & SN_EV_RX_MULTICAST)
		flags |= EF_EVENT_FLAG_MULTICAST;
	return flags & 0xffffu;
}

/* Several descriptors in one event: the application unbundles them. */
static void rx_multi_event(ef_vi *vi, uint64_t w, ef_event *e)
{
	ef_vi_rxq_state *q = &vi->ep_state->rxq;
	unsigned short_di = (unsigned)(w >> 26) & 15u, label = SN_EV_LABEL(w);
	unsigned n = (short_di - q->last_desc_i) & 15u;
	unsigned errors = (unsigned)(w >> 16) & 0x3ffu & (unsigned)vi->rx_discard_mask;

	q->last_desc_i = (uint16_t)short_di;
	if (!n) {
		rx_trunc(vi, label, e);
		return;
	}
	e->rx_multi.type = EF_EVENT_TYPE_RX_MULTI;
	e->rx_multi.q_id = (uint8_t)label;
	e->rx_multi.n_descs = n & 15u;
	e->rx_multi.flags = (uint16_t)rx_flags(q, w);
	if (errors) {
		e->rx_multi_discard.type = EF_EVENT_TYPE_RX_MULTI_DISCARD;
		e->rx_multi_discard.subtype = (uint16_t)discard_type(errors);
	}
}

static void rx_event(ef_vi *vi, uint64_t w, ef_event *e)
{
	ef_vi_rxq_state *q = &vi->ep_state->rxq;
	unsigned label = SN_EV_LABEL(w), di = q->removed & vi->vi_rxq.mask;
	unsigned errors = (unsigned)(w >> 16) & 0x3ffu & (unsigned)vi->rx_discard_mask;

	if (vi->vi_flags & EF_VI_RX_EVENT_MERGE) {
		rx_multi_event(vi, w, e);
		return;
	}
	/* no descriptor further: the buffers ran out in the middle of a frame */
	if ((((unsigned)(w >> 26) - q->removed) & 15u) == 0) {
		rx_trunc(vi, label, e);
		return;
	}
	e->rx.type = EF_EVENT_TYPE_RX;
	e->rx.q_id = (uint8_t)label;
	e->rx.ofs = 0;
	e->rx.rq_id = vi->vi_rxq.ids[di];
	q->bytes_acc = (q->in_jumbo ? q->bytes_acc : 0) + ((uint32_t)w & 0x3fffu);
	e->rx.flags = (uint16_t)rx_flags(q, w);
	e->rx.len = (uint16_t)q->bytes_acc;
	if (errors) {
		e->rx_discard.type = EF_EVENT_TYPE_RX_DISCARD;
		e->rx_discard.subtype = (uint16_t)discard_type(errors);
	}
	vi->vi_rxq.ids[di] = SN_NO_ID;
	sn_rx_gone(vi, di);
	q->removed++;
}

/* With stamps the completion itself says nothing: the first half of the stamp is kept until the
 * second comes. True: *e was written. */
static bool tx_stamp_event(ef_vi *vi, uint64_t w, ef_event *e)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	ef_eventq_state *s = &vi->evq_vi->ep_state->evq;
	uint32_t value = (uint32_t)w;

	if (SN_EV_CODE(w) == SN_EV_TX)
		return false;
	if (SN_EV_CODE(w) == SN_EV_TX_LO) {
		if (vi->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS) {
			q->ts_nsec = value >> 2;
			q->ts_nsec_frac = (uint16_t)(value << 14);
		} else {
			uint64_t ns27 = (uint64_t)value * SN_NS;

			q->ts_nsec = (uint32_t)(ns27 >> 27);
			q->ts_nsec_frac = (uint16_t)(ns27 >> 11);
		}
		q->ts_flags = (uint16_t)s->sync_flags;
		return false;
	}
	e->tx_timestamp.type = EF_EVENT_TYPE_TX_WITH_TIMESTAMP;
	e->tx_timestamp.q_id = (uint8_t)SN_EV_LABEL(w);
	e->tx_timestamp.flags = w & SN_EV_TX_BY_CTPIO ? EF_EVENT_FLAG_CTPIO : 0;
	e->tx_timestamp.ts_flags = q->ts_flags & 3u;
	e->tx_timestamp.ts_nsec = q->ts_nsec & 0x3fffffffu;
	e->tx_timestamp.ts_nsec_frac = (q->ts_nsec_frac >> 12) & 15u;
	e->tx_timestamp.ts_sec = value;
	if (vi->nic_type.variant > 'A') {
		/* only 16 bits of the seconds travel; the clock events know the rest */
		uint16_t delta = (uint16_t)(value - s->sync_timestamp_minimum);

		e->tx_timestamp.ts_sec = delta + s->sync_timestamp_minimum;
		if (!s->sync_timestamp_synchronised) {
			e->tx_timestamp.ts_sec = 0;
			e->tx_timestamp.ts_nsec = 0;
		}
	}
	while (vi->vi_txq.ids[q->removed & vi->vi_txq.mask] == SN_NO_ID)
		sn_tx_gone(vi, q->removed++ & vi->vi_txq.mask);
	e->tx_timestamp.rq_id = vi->vi_txq.ids[q->removed & vi->vi_txq.mask];
	vi->vi_txq.ids[q->removed & vi->vi_txq.mask] = SN_NO_ID;
	sn_tx_gone(vi, q->removed++ & vi->vi_txq.mask);
	return true;
}

static bool tx_event(ef_vi *vi, uint64_t w, ef_event *e)
{
	if (vi->vi_flags & EF_VI_TX_TIMESTAMPS)
		return tx_stamp_event(vi, w, e);
	e->tx.type = EF_EVENT_TYPE_TX;
	e->tx.q_id = (uint8_t)SN_EV_LABEL(w);
	e->tx.flags = w & SN_EV_TX_BY_CTPIO ? EF_EVENT_FLAG_CTPIO : 0;
	e->tx.desc_id = (uint16_t)(w + 1);
	e->tx.deferred_evs = 0;
	return true;
}

/* ---------------------------------------------------------------- the driver: polling */

/* The last thing that is ever heard of this VI. */
void sn_reset_event(ef_vi *vi, ef_event *e)
{
	e->generic.type = EF_EVENT_TYPE_RESET;
	vi->softnic->reset_seen = true;
}

/* What every poll begins with. False: the answer is *done. */
bool sn_poll_begin(ef_vi *vi, ef_event *evs, int n, int *done)
{
	struct softnic_vi *v = vi->softnic;

	*done = 0;
	if (n < EF_VI_EVENT_POLL_MIN_EVS) {
		sn_wrong(v, "ef_eventq_poll: room for %d events, %d is the least", n,
			 EF_VI_EVENT_POLL_MIN_EVS);
		if (n < 1)
			return false;
	}
	if (v->reset_seen || (!v->own_evq.slot && !v->r))
		return false;
	sn_poll_step(vi, n);
	if (sn_acquire(&v->own_evq.overflow)) {
		evs[0].generic.type = EF_EVENT_TYPE_OFLOW;
		*done = 1;
		return false;
	}
	return true;
}

int sn_ring_poll(ef_vi *vi, ef_event *evs, int n)
{
	struct sn_evq *q = &vi->softnic->own_evq;
	ef_eventq_state *s = &vi->ep_state->evq;
	uint32_t ptr = s->evq_ptr;
	int done;

	if (!sn_poll_begin(vi, evs, n, &done))
		return done;
	while (done < n) {
		uint64_t *slot = &q->slot[ptr / 8 & q->mask];
		uint64_t w = sn_acquire(slot);
		ef_vi *owner;

		/* the stamps of events that were handed out belong to the clock event before */
		if (!w || (SN_EV_CODE(w) == SN_EV_TIME && done))
			break;
		owner = vi->vi_qs[SN_EV_LABEL(w)];
		if (SN_EV_CODE(w) == SN_EV_TIME)
			clock_event(vi, w);
		else if (SN_EV_CODE(w) == SN_EV_RESET)
			sn_reset_event(vi, &evs[done++]);
		else if (owner && SN_EV_CODE(w) == SN_EV_RX)
			rx_event(owner, w, &evs[done++]);
		else if (owner)
			done += tx_event(owner, w, &evs[done]);
		sn_release(slot, 0);
		ptr += 8;
		sn_store(&s->evq_ptr, ptr); /* has_many_events may be asked by another thread */
	}
	return done;
}

int sn_has_many_events(const ef_vi *vi, int n)
{
	const struct sn_evq *q = &vi->softnic->own_evq;
	uint32_t at = sn_load(&vi->ep_state->evq.evq_ptr) / 8 + (uint32_t)n;

	return sn_acquire(&q->slot[at & q->mask]) != 0;
}

bool sn_event_waiting(const struct softnic_vi *v)
{
	const struct sn_evq *q = &v->own_evq;

	return q->slot && (sn_acquire(&q->overflow) || sn_has_many_events(v->vi, 0));
}
