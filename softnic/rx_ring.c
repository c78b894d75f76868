/* SPDX-License-Identifier: BSD-2-Clause */
/* rx_ring.c - receiving into posted buffers: the descriptor ring, from both ends. */
#include "internal.h"

/* ---------------------------------------------------------------- the driver */

int sn_receive_init(ef_vi *vi, ef_addr addr, ef_request_id id)
{
	ef_vi_rxq_state *q = &vi->ep_state->rxq;
	struct softnic_vi *v = vi->softnic;
	uint32_t di = q->added & vi->vi_rxq.mask;

	if (!vi->vi_rxq.mask || q->added - q->removed >= vi->vi_rxq.mask)
		return -EAGAIN;
	sn_own_post(v, addr, vi->rx_buffer_len);
	vi->vi_rxq.ids[di] = (uint32_t)id;
	v->rxd[di] = (struct sn_desc){ .addr = addr, .len = vi->rx_buffer_len };
	q->added++;
	return 0;
}

void sn_receive_push(ef_vi *vi)
{
	ef_vi_rxq_state *q = &vi->ep_state->rxq;
	uint32_t posted = q->added & ~(SN_DOORBELL - 1);

	if (posted == q->posted)
		return;
	q->posted = posted;
	/* pairs with the acquire in sn_ring_deliver: the device sees whole descriptors */
	sn_release(&vi->softnic->rx_posted, posted);
}

void sn_rx_gone(ef_vi *vi, uint32_t index)
{
	const struct sn_desc *d = &vi->softnic->rxd[index];

	sn_own_unpost(vi->softnic, d->addr, d->len);
}

SN_PUBLIC int ef_vi_receive_post(ef_vi *vi, ef_addr addr, ef_request_id dma_id)
{
	int rc = ef_vi_receive_init(vi, addr, dma_id);

	if (!rc)
		ef_vi_receive_push(vi);
	return rc;
}

SN_PUBLIC int ef_vi_receive_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids)
{
	ef_vi_rxq_state *q = &vi->ep_state->rxq;
	int n = 0;

	for (unsigned i = 0; i < event->rx_multi.n_descs; i++) {
		uint32_t di = q->removed++ & vi->vi_rxq.mask;

		if (vi->vi_rxq.ids[di] == SN_NO_ID)
			continue;
		ids[n++] = (ef_request_id)vi->vi_rxq.ids[di];
		vi->vi_rxq.ids[di] = SN_NO_ID;
		sn_rx_gone(vi, di);
	}
	return n;
}

SN_PUBLIC int ef_vi_receive_get_bytes(ef_vi *vi, const void *pkt, uint16_t *bytes_out)
{
	if (!vi->rx_prefix_len)
		return -EINVAL;
	memcpy(bytes_out, (const uint8_t *)pkt + SN_PREFIX_LEN_AT, 2);
	return 0;
}

/* ---------------------------------------------------------------- the device */

static void rx_put(struct softnic_vi *v, uint32_t bytes, bool cont, bool multicast, unsigned errors)
{
	uint32_t bits = bytes & 0x3fffu;

	errors &= EF_VI_DISCARD_RX_L4_CSUM_ERR | EF_VI_DISCARD_RX_L3_CSUM_ERR |
		  EF_VI_DISCARD_RX_ETH_FCS_ERR | EF_VI_DISCARD_RX_ETH_LEN_ERR;
	if (cont)
		bits |= SN_EV_RX_CONT;
	if (multicast)
		bits |= SN_EV_RX_MULTICAST;
	bits |= errors << 16 | (v->rx_taken & 15u) << 26;
	sn_event_put(v->evq, SN_EV_MAKE(SN_EV_RX, v->label, bits));
}

void sn_ring_flush(struct softnic_vi *v)
{
	if (!v->merge_n)
		return;
	v->merge_n = 0;
	rx_put(v, 0, false, v->merge_multicast, 0);
}

/* One event for up to 15 good frames that fit into their buffers. */
static void rx_merge(struct softnic_vi *v, bool multicast)
{
	v->merge_multicast = multicast;
	if (++v->merge_n == EF_VI_RECEIVE_BATCH)
		sn_ring_flush(v);
}

static void write_prefix(const struct softnic_vi *v, const struct sn_rx *rx, uint8_t *at)
{
	uint32_t minor = sn_stamp_minor(v, rx->ns);
	uint16_t len = (uint16_t)rx->len;

	memset(at, 0, SN_PREFIX);
	if (rx->flags & SOFTNIC_NO_STAMP || !v->rx_stamps)
		minor = v->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS ? 0xffffffffu : 0x80000000u;
	memcpy(at + SN_PREFIX_LEN_AT, &len, 2);
	memcpy(at + SN_PREFIX_TIME_AT, &minor, 4);
}

/* Writes bytes [from, from + n) of prefix and frame, as far as there is memory to write to. */
static void write_part(struct softnic_vi *v, const struct sn_rx *rx, const struct sn_desc *d,
		       uint32_t from, uint32_t n, uint32_t prefix)
{
	uint8_t *at = sn_memory_at(v->nic, d->addr, d->len), head[SN_PREFIX];
	uint32_t skip = 0;

	if (!at)
		return;
	sn_own_posted_check(v, at, d->len);
	if (from < prefix) {
		write_prefix(v, rx, head);
		skip = prefix - from < n ? prefix - from : n;
		memcpy(at, head + from, skip);
	}
	memcpy(at + skip, rx->frame + (from + skip - prefix), n - skip);
}

void sn_ring_deliver(struct softnic_vi *v, const struct sn_rx *rx, bool multicast, unsigned errors)
{
	struct sn_counters *c = &v->nic->c;
	uint32_t prefix = v->merge || v->rx_stamps ? SN_PREFIX : 0, total = prefix + rx->len,
		 done = 0;
	uint32_t posted = sn_acquire(&v->rx_posted);
	bool first_fits = false;

	if (sn_load(&v->evq->dead) || sn_load(&v->evq->overflow)) {
		sn_add(&c->rx_lost, 1);
		return;
	}
	if (errors & EF_VI_DISCARD_RX_ETH_FCS_ERR)
		v->stat[0]++;
	if (sn_load(&v->nic->fault[SOFTNIC_STARVE]) || posted == v->rx_taken) {
		v->stat[2]++;
		sn_add(&c->rx_no_desc, 1);
		return;
	}
	if (v->merge)
		first_fits = !(errors & 0xfu) && total <= v->rxd[v->rx_taken & v->rx_mask].len;
	if (!first_fits || v->merge_multicast != multicast)
		sn_ring_flush(v);
	while (done < total) {
		const struct sn_desc *d = &v->rxd[v->rx_taken & v->rx_mask];
		uint32_t n;

		if (v->rx_taken == posted) { /* an event that consumes no descriptor */
			rx_put(v, 0, false, multicast, 0);
			v->stat[1]++;
			sn_add(&c->rx_trunc, 1);
			return;
		}
		n = total - done < d->len ? total - done : d->len;
		write_part(v, rx, d, done, n, prefix);
		done += n;
		v->rx_taken++;
		if (first_fits)
			rx_merge(v, multicast);
		else
			rx_put(v, n, done < total, multicast, errors);
	}
	sn_add(&c->delivered, 1);
}
