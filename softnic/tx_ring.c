/* SPDX-License-Identifier: BSD-2-Clause */
/* tx_ring.c - sending from registered memory: the descriptor ring, from both ends. */
#include "internal.h"

/* ---------------------------------------------------------------- the driver */

/* Between a CTPIO send and its fallback nothing may be sent: the NIC could not tell whose fallback
 * it is. */
void sn_ctpio_check(ef_vi *vi)
{
	struct softnic_vi *v = vi->softnic;

	if (!v->ctpio_open)
		return;
	v->ctpio_open = false;
	sn_wrong(v, "a CTPIO send was not followed by its fallback");
}

bool sn_tx_room(ef_vi *vi, uint32_t n)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	return vi->vi_txq.mask && q->added - q->removed + n <= vi->vi_txq.mask;
}

static int tx_describe(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id, uint32_t flags)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	struct softnic_vi *v = vi->softnic;
	uint32_t first = q->added;

	for (int i = 0; i < n; i++) {
		uint64_t addr = iov[i].iov_base;
		uint32_t left = iov[i].iov_len;

		do { /* a descriptor ends with its page */
			uint32_t part = 4096u - ((uint32_t)addr & 4095u);
			bool end;

			part = part < left ? part : left;
			end = i == n - 1 && part == left;
			if (!sn_tx_room(vi, 1)) {
				q->added = first;
				return -EAGAIN;
			}
			vi->vi_txq.ids[q->added & vi->vi_txq.mask] = end ? (uint32_t)id : SN_NO_ID;
			v->txd[q->added++ & vi->vi_txq.mask] =
				(struct sn_desc){ .addr = addr,
						  .len = part,
						  .flags = end ? SN_DESC_END | flags : flags };
			addr += part;
			left -= part;
		} while (left);
	}
	for (int i = 0; v->check && i < n; i++)
		if ((iov[i].iov_base & 4095u) + iov[i].iov_len > 4096u)
			sn_wrong(v,
				 "transmit: %u bytes at bus address 0x%" PRIx64
				 " leave their 4 KiB page",
				 iov[i].iov_len, iov[i].iov_base);
	for (uint32_t i = first; i != q->added; i++) {
		const struct sn_desc *d = &v->txd[i & vi->vi_txq.mask];

		sn_own_send(v, d->addr, d->len);
	}
	return 0;
}

int sn_transmitv_init(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id)
{
	struct softnic_vi *v = vi->softnic;
	uint32_t flags = v->ctpio_sent ? SN_DESC_CTPIO_SENT : 0;
	int rc;

	sn_ctpio_check(vi);
	if (id == (ef_request_id)EF_REQUEST_ID_MASK)
		sn_wrong(v, "transmit: request id -1 means that there is none");
	rc = tx_describe(vi, iov, n, id, flags);
	if (!rc)
		v->ctpio_sent = false;
	return rc;
}

void sn_transmit_push(ef_vi *vi)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	if (q->previous == q->added)
		sn_wrong(vi->softnic, "ef_vi_transmit_push: nothing was added");
	q->previous = q->added;
	/* pairs with the acquire in sn_tx_fetch */
	sn_release(&vi->softnic->tx_pushed, q->added);
	sn_step_tx(vi->softnic);
}

int sn_transmitv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id)
{
	int rc = sn_transmitv_init(vi, iov, n, id);

	if (!rc)
		sn_transmit_push(vi);
	return rc;
}

int sn_transmit(ef_vi *vi, ef_addr base, int len, ef_request_id id)
{
	ef_iovec iov = { .iov_base = base, .iov_len = (unsigned)len };

	return sn_transmitv(vi, &iov, 1, id);
}

void sn_tx_gone(ef_vi *vi, uint32_t index)
{
	struct softnic_vi *v = vi->softnic;
	const struct sn_desc *d = &v->txd[index];

	if (v->fifo)
		return;
	if (d->flags & SN_DESC_PIO)
		v->pio_busy--;
	else
		sn_own_sent(v, d->addr, d->len);
}

SN_PUBLIC int ef_vi_transmit_init(ef_vi *vi, ef_addr addr, int bytes, ef_request_id dma_id)
{
	ef_iovec iov = { .iov_base = addr, .iov_len = (unsigned)bytes };

	return ef_vi_transmitv_init(vi, &iov, 1, dma_id);
}

SN_PUBLIC void ef_vi_transmit_init_undo(ef_vi *vi)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	if (vi->softnic->fifo) /* what is in the FIFO is on its way */
		return;
	while (q->added != q->previous) {
		uint32_t di = --q->added & vi->vi_txq.mask;

		vi->vi_txq.ids[di] = SN_NO_ID;
		sn_tx_gone(vi, di);
	}
}

SN_PUBLIC int ef_vi_transmit_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	uint32_t mask = vi->vi_txq.mask, stop = event->tx.desc_id & mask;
	int n = 0;

	for (; (q->removed & mask) != stop; q->removed++) {
		uint32_t di = q->removed & mask;

		if (vi->vi_txq.ids[di] != SN_NO_ID)
			ids[n++] = (ef_request_id)vi->vi_txq.ids[di];
		vi->vi_txq.ids[di] = SN_NO_ID;
		sn_tx_gone(vi, di);
	}
	q->removed += event->tx.deferred_evs;
	return n;
}

SN_PUBLIC void ef_vi_set_tx_push_threshold(ef_vi *vi, unsigned threshold)
{
	(void)vi; /* doorbells of software cost the same with and without a descriptor */
	(void)threshold;
}

/* ---------------------------------------------------------------- the device */

/* Copies the bytes of the packet that begins at `at` to v->tx_frame; its descriptors, or 0 when its
 * last one is not there yet. *len is 0 for a frame that cannot be sent. */
static uint32_t tx_gather(struct softnic_vi *v, uint32_t at, uint32_t end, uint32_t *len)
{
	uint32_t n = 0, total = 0;
	bool lost = false;

	*len = 0;
	while (at + n != end) {
		const struct sn_desc *d = &v->txd[(at + n++) & v->tx_mask];
		const uint8_t *from = NULL;

		if (d->flags & SN_DESC_PIO)
			from = v->pio_mem ? v->pio_mem + d->addr : NULL;
		else
			from = sn_memory_at(v->nic, d->addr, d->len);
		if (!from || total + d->len > SN_FRAME_MAX)
			lost = true;
		else
			memcpy(v->tx_frame + total, from, d->len);
		total += lost ? 0 : d->len;
		if (d->flags & SN_DESC_END) {
			*len = lost ? 0 : total;
			return n;
		}
	}
	return 0;
}

/* CTPIO-only NICs: the frame lies in the FIFO, around its end perhaps. */
static uint32_t fifo_gather(struct softnic_vi *v, uint32_t at, uint32_t *len)
{
	const struct sn_desc *d = &v->txd[at & v->tx_mask];
	uint32_t from = (uint32_t)d->addr & (SN_FIFO_BYTES - 1);

	*len = (uint32_t)(d->addr >> 32);
	for (uint32_t i = 0; i < *len;) {
		uint32_t n = SN_FIFO_BYTES - from < *len - i ? SN_FIFO_BYTES - from : *len - i;

		memcpy(v->tx_frame + i, v->fifo + from, n);
		i += n;
		from = 0;
	}
	return 1;
}

/* True: it is gone, one way or the other. */
static bool tx_emit(struct softnic_vi *v, uint32_t last, uint32_t len)
{
	const struct sn_desc *d = &v->txd[last & v->tx_mask];
	int rc = 0;

	if (len > v->nic->mtu + 18)
		sn_wrong(v, "a frame of %u bytes was sent, the MTU is %u", len, v->nic->mtu);
	if (len && !(d->flags & (SN_DESC_CTPIO_SENT | SN_DESC_WARM))) {
		if (!v->fifo)
			sn_frame_checksum(v->tx_frame, len, !(v->flags & EF_VI_TX_IP_CSUM_DIS),
					  !(v->flags & EF_VI_TX_TCPUDP_CSUM_DIS));
		rc = sn_wire_send(v->nic, v->tx_frame, len);
	}
	if (rc == -EAGAIN)
		return false;
	v->tx_ns[last & v->tx_mask] = sn_now(v->nic);
	return true;
}

/* Everything that the doorbell covers goes out, as far as the wire takes it. */
bool sn_tx_fetch(struct softnic_vi *v)
{
	uint32_t pushed, did = 0;

	if (!v->tx_mask || sn_load(&v->evq->dead))
		return false;
	pushed = sn_acquire(&v->tx_pushed);
	while (v->tx_taken != pushed) {
		uint32_t len, n;

		n = v->fifo ? fifo_gather(v, v->tx_taken, &len) :
			      tx_gather(v, v->tx_taken, pushed, &len);
		if (!n || !tx_emit(v, v->tx_taken + n - 1, len))
			break;
		sn_store(&v->tx_taken, v->tx_taken + n);
		did++;
	}
	return did != 0;
}

/* A completion for each packet, and its stamp. */
static void complete_stamped(struct softnic_vi *v, uint32_t last)
{
	const struct sn_desc *d = &v->txd[last & v->tx_mask];
	uint64_t by = v->fifo || d->flags & SN_DESC_CTPIO_SENT ? SN_EV_TX_BY_CTPIO : 0;
	uint64_t ns = v->tx_ns[last & v->tx_mask], seconds = ns / SN_NS;

	if (v->variant > 'A')
		seconds &= v->fifo ? 0xffu : 0xffffu;
	sn_event_put(v->evq, SN_EV_MAKE(SN_EV_TX, v->label, by | (v->fifo ? last : last & 0xffffu)));
	sn_event_put(v->evq, SN_EV_MAKE(SN_EV_TX_LO, v->label, sn_stamp_minor(v, ns)));
	sn_event_put(v->evq, SN_EV_MAKE(SN_EV_TX_HI, v->label, by | (seconds & 0xffffffffu)));
}

/* Completions of what was sent: one event for up to 64 packets of a kind, with stamps three for
 * each. */
bool sn_tx_complete(struct softnic_vi *v)
{
	uint32_t at = v->tx_told, packets = 0;
	bool did = v->tx_told != v->tx_taken;

	if (!did || sn_load(&v->nic->fault[SOFTNIC_HOLD_TX]))
		return false;
	while (at != v->tx_taken) {
		uint32_t flags = v->txd[at & v->tx_mask].flags, last = at++;
		uint64_t by = v->fifo || flags & SN_DESC_CTPIO_SENT ? SN_EV_TX_BY_CTPIO : 0;

		if (!(flags & SN_DESC_END))
			continue;
		if (v->tx_stamps) {
			complete_stamped(v, last);
			continue;
		}
		if (++packets < EF_VI_TRANSMIT_BATCH && at != v->tx_taken && at - v->tx_told < 112 &&
		    !((flags ^ v->txd[at & v->tx_mask].flags) & SN_DESC_CTPIO_SENT))
			continue;
		sn_event_put(v->evq,
			     SN_EV_MAKE(SN_EV_TX, v->label, by | (v->fifo ? last : last & 0xffffu)));
		sn_store(&v->tx_told, at);
		packets = 0;
	}
	sn_store(&v->tx_told, at);
	return did;
}
