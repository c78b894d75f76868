/* SPDX-License-Identifier: BSD-2-Clause */
/* vi.c - VIs: allocating them, giving them back, what they tell of themselves. */
#include "internal.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---------------------------------------------------------------- operations */

static int set_discards(ef_vi *vi, unsigned flags)
{
	unsigned known = EF_VI_DISCARD_RX_L4_CSUM_ERR | EF_VI_DISCARD_RX_L3_CSUM_ERR |
			 EF_VI_DISCARD_RX_ETH_FCS_ERR | EF_VI_DISCARD_RX_ETH_LEN_ERR;

	if (vi->softnic->r)
		known |= EF_VI_DISCARD_RX_L2_CLASS_OTHER | EF_VI_DISCARD_RX_L3_CLASS_OTHER |
			 EF_VI_DISCARD_RX_L4_CLASS_OTHER;
	else
		known |= EF_VI_DISCARD_RX_INNER_L3_CSUM_ERR | EF_VI_DISCARD_RX_INNER_L4_CSUM_ERR;
	vi->rx_discard_mask = flags & known;
	return 0;
}

static uint64_t get_discards(ef_vi *vi)
{
	return vi->rx_discard_mask;
}

static int no_receive_init(ef_vi *vi, ef_addr addr, ef_request_id id)
{
	(void)vi;
	(void)addr;
	(void)id;
	return -ENOSYS;
}

static void no_receive_push(ef_vi *vi)
{
	(void)vi;
}

static const struct ef_vi ring_ops = { .ops = {
					       .transmit = sn_transmit,
					       .transmitv = sn_transmitv,
					       .transmitv_init = sn_transmitv_init,
					       .transmit_push = sn_transmit_push,
					       .transmit_pio = sn_transmit_pio,
					       .transmit_copy_pio = sn_transmit_copy_pio,
					       .start_transmit_warm = sn_warm_start,
					       .stop_transmit_warm = sn_warm_stop,
					       .transmit_pio_warm = sn_transmit_pio_warm,
					       .transmit_copy_pio_warm = sn_transmit_copy_pio_warm,
					       .transmitv_ctpio = sn_ctpio,
					       .transmitv_ctpio_copy = sn_ctpio_copy,
					       .transmit_ctpio_fallback = sn_ctpio_fallback,
					       .transmitv_ctpio_fallback = sn_ctpiov_fallback,
					       .receive_set_discards = set_discards,
					       .receive_get_discards = get_discards,
					       .receive_init = sn_receive_init,
					       .receive_push = sn_receive_push,
					       .receive_get_timestamp = sn_ring_stamp,
					       .eventq_poll = sn_ring_poll,
					       .eventq_prime = sn_prime,
					       .eventq_has_event = sn_has_event,
					       .eventq_has_many_events = sn_has_many_events,
				       } };

static void init_ops(ef_vi *vi)
{
	vi->ops = ring_ops.ops;
	if (!vi->softnic->ref)
		return;
	vi->ops.transmit = sn_fifo_transmit;
	vi->ops.transmitv = sn_fifo_transmitv;
	vi->ops.transmitv_init = sn_fifo_transmitv;
	vi->ops.transmit_push = sn_fifo_push;
	vi->ops.transmitv_ctpio = sn_fifo_ctpio;
	vi->ops.transmit_ctpio_fallback = sn_fifo_fallback;
	vi->ops.transmitv_ctpio_fallback = sn_fifo_fallbackv;
	vi->ops.receive_init = no_receive_init;
	vi->ops.receive_push = no_receive_push;
	vi->ops.receive_get_timestamp = sn_ref_stamp;
	vi->ops.eventq_poll = sn_ref_poll;
}

/* ---------------------------------------------------------------- allocating */

/* A power of two from 512 on; -1: the default; 0: none. -EINVAL: too many. */
static int ring_size(int asked, unsigned standard, unsigned max)
{
	unsigned size = 512;

	if (!asked)
		return 0;
	while (size < (asked < 0 ? standard : (unsigned)asked))
		size *= 2;
	return size <= max ? (int)size : -EINVAL;
}

static int ref_alloc(struct softnic_vi *v, unsigned rxq)
{
	struct sn_ref *r = calloc(1, sizeof(*r));
	unsigned ring = 4;

	if (!r)
		return -ENOMEM;
	v->r = r;
	r->n = (rxq + SN_SUPERBUF_PKTS - 1) / SN_SUPERBUF_PKTS;
	r->n = r->n < 2 ? 2 : r->n;
	while (ring <= r->n)
		ring *= 2;
	r->ring_mask = ring - 1;
	r->dev_sb = r->drv_sb = -1;
	r->free = calloc(ring, sizeof(*r->free));
	r->begun = calloc(ring, sizeof(*r->begun));
	r->refs = calloc(r->n, sizeof(*r->refs));
	r->out = calloc(r->n, SN_SUPERBUF_PKTS);
	r->mem = mmap(NULL, (size_t)r->n * SN_SUPERBUF_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!r->free || !r->begun || !r->refs || !r->out || r->mem == MAP_FAILED)
		return -ENOMEM;
	r->free_put = r->free_get = r->begun_put = r->begun_get = sn_load(&sn_first_index);
	for (unsigned i = 0; i < r->n; i++)
		r->free[r->free_put++ & r->ring_mask] = i;
	return 0;
}

static void device_free(struct softnic_vi *v)
{
	if (v->r) {
		if (v->r->mem && v->r->mem != MAP_FAILED)
			munmap(v->r->mem, (size_t)v->r->n * SN_SUPERBUF_BYTES);
		free(v->r->free);
		free(v->r->begun);
		free(v->r->refs);
		free(v->r->out);
		free(v->r);
	}
	if (v->wake_fd >= 0)
		close(v->wake_fd);
	free(v->own_evq.slot);
	free(v->rxd);
	free(v->txd);
	free(v->tx_ns);
	free(v->tx_frame);
	free(v->fifo);
	free(v);
}

static struct softnic_vi *device_alloc(struct softnic_pd *p, unsigned evq, unsigned rxq,
				       unsigned txq, unsigned flags)
{
	struct softnic_vi *v = calloc(1, sizeof(*v));
	uint32_t first = sn_load(&sn_first_index);
	bool ok = true;

	if (!v)
		return NULL;
	v->nic = p->nic;
	v->check = p->nic->check;
	v->ref = p->ref;
	v->variant = p->nic->model->variant;
	v->ts_format = p->nic->model->ts_format;
	v->flags = flags;
	v->merge = flags & EF_VI_RX_EVENT_MERGE;
	if (p->nic->merging && rxq && !p->ref && !v->merge)
		sn_wrong(v,
			 "ef_vi_alloc: this NIC merges events, and EF_VI_RX_EVENT_MERGE is not asked for");
	v->rx_stamps = flags & EF_VI_RX_TIMESTAMPS;
	v->tx_stamps = flags & EF_VI_TX_TIMESTAMPS;
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->own_evq.owner = v;
	v->evq = &v->own_evq;
	if (evq) {
		v->own_evq.slot = calloc(evq, sizeof(uint64_t));
		v->own_evq.mask = evq - 1;
		v->own_evq.put = first;
		v->own_evq.wants_sync = v->rx_stamps || v->tx_stamps;
		v->own_evq.next_sync = sn_now(p->nic);
		ok = v->own_evq.slot != NULL;
	}
	if (rxq && p->ref)
		ok &= !ref_alloc(v, rxq);
	if (rxq && !p->ref) {
		v->rxd = calloc(rxq, sizeof(*v->rxd));
		v->rx_mask = rxq - 1;
		ok &= v->rxd != NULL;
	}
	if (txq) {
		v->txd = calloc(txq, sizeof(*v->txd));
		v->tx_ns = calloc(txq, sizeof(*v->tx_ns));
		v->tx_frame = calloc(1, SN_FRAME_MAX + 64);
		v->fifo = p->ref ? calloc(1, SN_FIFO_BYTES) : NULL;
		v->tx_mask = txq - 1;
		ok &= v->txd && v->tx_ns && v->tx_frame && (v->fifo || !p->ref);
	}
	v->rx_posted = v->rx_taken = v->tx_pushed = v->tx_taken = v->tx_told = first;
	if (ok && v->wake_fd >= 0)
		return v;
	device_free(v);
	return NULL;
}

static int driver_init(ef_vi *vi, struct softnic_vi *v, unsigned evq, unsigned rxq, unsigned txq)
{
	uint32_t first = sn_load(&sn_first_index), *ids;
	ef_vi_state *s = calloc(1, sizeof(*s) + (rxq + txq) * sizeof(*ids));

	if (!s)
		return -ENOMEM;
	ids = (uint32_t *)(void *)(s + 1);
	memset(ids, 0xff, (rxq + txq) * sizeof(*ids));
	vi->ep_state = s;
	vi->evq_mask = evq ? evq * 8 - 1 : 0;
	vi->vi_rxq.mask = rxq ? rxq - 1 : 0;
	vi->vi_rxq.ids = ids;
	vi->vi_rxq.descriptors = v->rxd;
	vi->vi_txq.mask = txq ? txq - 1 : 0;
	vi->vi_txq.ids = ids + rxq;
	vi->vi_txq.descriptors = v->txd;
	/* hardware keeps a line of 64 bytes and the header for itself */
	vi->vi_txq.ct_fifo_bytes = v->ref ? SN_FIFO_BYTES - 64 - 8 : 0x7fffffff;
	s->evq.evq_ptr = first * 8;
	s->evq.sync_timestamp_major = 0xffffffffu;
	s->txq.previous = s->txq.added = s->txq.removed = first;
	s->txq.ct_added = s->txq.ct_removed = first;
	s->rxq.posted = s->rxq.added = s->rxq.removed = first;
	s->rxq.last_desc_i = first & 15u;
	if (v->ref) { /* nothing is posted: the ring looks full */
		s->rxq.added = rxq;
		s->rxq.removed = 0;
	}
	return 0;
}

static int flags_check(const struct softnic_pd *p, unsigned flags)
{
	if (flags & (EF_VI_RX_PACKED_STREAM | EF_VI_TX_ALT))
		return -EOPNOTSUPP;
	if (p->ref && flags & EF_VI_RX_EVENT_MERGE)
		return -EOPNOTSUPP;
	if (!p->ref && flags & EF_VI_TX_CTPIO && !p->nic->model->ctpio)
		return -EOPNOTSUPP;
	return 0;
}

/* Beside the NIC's other VIs, where frames find it. */
static int link_vi(ef_vi *vi, struct softnic_vi *v)
{
	struct sn_nic *nic = v->nic;
	int rc = sn_nic_hold(nic, false);

	if (rc)
		return rc;
	pthread_mutex_lock(&nic->lock);
	sn_step_locked(nic, SN_BACKLOG); /* frames of before are not for this one */
	vi->vi_i = vi->vi_resource_id = nic->next_vi++;
	v->next = nic->vis;
	nic->vis = v;
	pthread_mutex_lock(&nic->arrived.lock);
	v->wake_next = nic->wakers;
	nic->wakers = v;
	pthread_mutex_unlock(&nic->arrived.lock);
	pthread_mutex_unlock(&nic->lock);
	return 0;
}

static void unlink_vi(struct softnic_vi *v)
{
	struct sn_nic *nic = v->nic;
	struct softnic_vi **at;

	pthread_mutex_lock(&nic->lock);
	sn_filter_forget(v);
	for (at = &nic->vis; *at && *at != v; at = &(*at)->next)
		;
	if (*at)
		*at = v->next;
	pthread_mutex_lock(&nic->arrived.lock);
	for (at = &nic->wakers; *at && *at != v; at = &(*at)->wake_next)
		;
	if (*at)
		*at = v->wake_next;
	pthread_mutex_unlock(&nic->arrived.lock);
	pthread_mutex_unlock(&nic->lock);
}

static int vi_alloc(ef_vi *vi, struct softnic_pd *p, unsigned evq, unsigned rxq, unsigned txq,
		    ef_vi *evq_vi, unsigned flags)
{
	struct sn_nic *nic = p->nic;
	struct softnic_vi *v = device_alloc(p, evq, rxq, txq, flags);
	int rc = v ? 0 : -ENOMEM;

	if (!rc) {
		vi->softnic = v;
		v->vi = vi;
		rc = driver_init(vi, v, evq, rxq, txq);
	}
	if (!rc) {
		v->label = evq_vi ? (unsigned)evq_vi->vi_qs_n : 0;
		v->evq = evq_vi ? &evq_vi->softnic->own_evq : &v->own_evq;
		rc = link_vi(vi, v);
	}
	if (!rc && nic->step_thread && !nic->running) {
		rc = sn_thread_start(nic);
		if (rc) {
			unlink_vi(v);
			sn_nic_drop(nic, false);
		}
	}
	if (rc) {
		free(vi->ep_state);
		if (v)
			device_free(v);
		return rc;
	}
	return 0;
}

SN_PUBLIC int ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle vi_dh, ef_pd *pd,
				  ef_driver_handle pd_dh, int evq_capacity, int rxq_capacity,
				  int txq_capacity, ef_vi *evq_opt, ef_driver_handle evq_dh,
				  enum ef_vi_flags flags)
{
	struct softnic_pd *p = pd->pd_softnic;
	unsigned bits = (unsigned)flags, per_tx = bits & EF_VI_TX_TIMESTAMPS ? 3 : 1, need;
	int evq = 0, rc = flags_check(p, bits), rxq = 0, txq = 0;

	(void)pd_dh;
	(void)evq_dh;
	memset(vi, 0, sizeof(*vi));
	if (!rc && ((evq_opt != NULL) == (evq_capacity != 0) ||
		    (evq_opt && evq_opt->vi_qs_n == EF_VI_MAX_QS)))
		rc = -EINVAL;
	if (!rc)
		rc = rxq = ring_size(rxq_capacity, SN_RXQ_DEFAULT, p->ref ? 32768 : SN_RXQ_MAX);
	if (rc >= 0)
		rc = txq = ring_size(txq_capacity, SN_TXQ_DEFAULT, SN_TXQ_MAX);
	if (rc < 0)
		return rc;
	/* stamps bring clock events too: room for some that nobody polls */
	need = (unsigned)rxq + (unsigned)txq * per_tx +
	       (bits & (EF_VI_TX_TIMESTAMPS | EF_VI_RX_TIMESTAMPS) ? 64 : 0);
	rc = evq = ring_size(evq_capacity, need, SN_EVQ_MAX);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->nic->life_lock);
	rc = vi_alloc(vi, p, (unsigned)evq, (unsigned)rxq, (unsigned)txq, evq_opt, bits);
	pthread_mutex_unlock(&p->nic->life_lock);
	if (rc)
		return rc;
	if (p->ref && txq)
		bits |= EF_VI_TX_CTPIO;
	vi->dh = vi_dh;
	vi->vi_flags = (enum ef_vi_flags)bits;
	vi->vi_out_flags = p->nic->sync_status ? EF_VI_OUT_CLOCK_SYNC_STATUS :
						 (enum ef_vi_out_flags)0;
	vi->rx_buffer_len = p->ref ? 0 : SN_RX_BUFFER_DEFAULT;
	vi->rx_prefix_len =
		!p->ref && bits & (EF_VI_RX_TIMESTAMPS | EF_VI_RX_EVENT_MERGE) ? SN_PREFIX : 0;
	vi->ts_format = p->nic->model->ts_format;
	vi->ts_subnano_bits = vi->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS ? 2 : 0;
	vi->nic_type.arch = (unsigned char)p->arch;
	vi->nic_type.variant = p->nic->model->variant;
	init_ops(vi);
	set_discards(vi, EF_VI_DISCARD_RX_L4_CSUM_ERR | EF_VI_DISCARD_RX_L3_CSUM_ERR |
				 EF_VI_DISCARD_RX_ETH_FCS_ERR | EF_VI_DISCARD_RX_ETH_LEN_ERR |
				 EF_VI_DISCARD_RX_INNER_L3_CSUM_ERR |
				 EF_VI_DISCARD_RX_INNER_L4_CSUM_ERR);
	vi->evq_vi = evq_opt ? evq_opt : vi;
	vi->evq_vi->vi_qs[vi->evq_vi->vi_qs_n++] = vi;
	return (int)vi->softnic->label;
}

SN_PUBLIC int ef_vi_free(ef_vi *vi, ef_driver_handle nic_dh)
{
	struct softnic_vi *v = vi->softnic;
	struct sn_nic *nic = v->nic;

	(void)nic_dh;
	for (int i = 0; vi->evq_vi == vi && i < vi->vi_qs_n; i++)
		if (vi->vi_qs[i] && vi->vi_qs[i] != vi)
			return -EBUSY; /* its event queue is another VI's too */
	sn_ctpio_check(vi);
	pthread_mutex_lock(&nic->life_lock);
	unlink_vi(v);
	if (!nic->vis && nic->running)
		sn_thread_stop(nic);
	sn_nic_drop(nic, false);
	pthread_mutex_unlock(&nic->life_lock);
	/* the NIC has stopped: what it had is the application's again */
	for (uint32_t i = vi->ep_state->rxq.removed; !v->ref && i != vi->ep_state->rxq.added; i++)
		sn_rx_gone(vi, i & vi->vi_rxq.mask);
	for (uint32_t i = vi->ep_state->txq.removed; !v->ref && i != vi->ep_state->txq.added; i++)
		sn_tx_gone(vi, i & vi->vi_txq.mask);
	vi->evq_vi->vi_qs[v->label] = NULL;
	if (vi->linked_pio)
		vi->linked_pio->pio_links--;
	free(vi->ep_state);
	device_free(v);
	memset(vi, 0, sizeof(*vi));
	return 0;
}

/* The queues stop; nothing more is received or sent. */
SN_PUBLIC int ef_vi_flush(ef_vi *vi, ef_driver_handle nic)
{
	(void)nic;
	sn_release(&vi->softnic->own_evq.dead, 1);
	return 0;
}

/* ---------------------------------------------------------------- telling */

SN_PUBLIC unsigned ef_vi_mtu(ef_vi *vi, ef_driver_handle vi_dh)
{
	(void)vi_dh;
	return vi->softnic->nic->mtu;
}

SN_PUBLIC int ef_vi_get_mac(ef_vi *vi, ef_driver_handle vi_dh, void *mac_out)
{
	(void)vi_dh;
	memcpy(mac_out, vi->softnic->nic->mac, 6);
	return 0;
}

SN_PUBLIC const char *ef_vi_version_str(void)
{
	return "softnic";
}

SN_PUBLIC const char *ef_vi_driver_interface_str(void)
{
	return "softnic";
}

SN_PUBLIC int ef_eventq_capacity(ef_vi *vi)
{
	return (int)vi->softnic->own_evq.mask;
}

static const ef_vi_stats_layout stats_layout = {
	.evsl_data_size = 16,
	.evsl_fields_num = 4,
	.evsl_fields = { { (char *)(uintptr_t) "RX CRC errors", 0, 4 },
			 { (char *)(uintptr_t) "RX trunk errors", 4, 4 },
			 { (char *)(uintptr_t) "RX no descriptor errors", 8, 4 },
			 { (char *)(uintptr_t) "RX abort errors", 12, 4 } },
};

SN_PUBLIC int ef_vi_stats_query_layout(ef_vi *vi, const ef_vi_stats_layout **const layout_out)
{
	if (vi->softnic->ref)
		return -EINVAL;
	*layout_out = &stats_layout;
	return 0;
}

SN_PUBLIC int ef_vi_stats_query(ef_vi *vi, ef_driver_handle vi_dh, void *data, int do_reset)
{
	struct softnic_vi *v = vi->softnic;

	(void)vi_dh;
	if (v->ref) {
		sn_wrong(v, "ef_vi_stats_query: this NIC has none to ask for");
		return -EINVAL;
	}
	pthread_mutex_lock(&v->nic->lock);
	memcpy(data, v->stat, sizeof(v->stat));
	if (do_reset)
		memset(v->stat, 0, sizeof(v->stat));
	pthread_mutex_unlock(&v->nic->lock);
	return 0;
}

SN_PUBLIC int softnic_owned_by_nic(const ef_vi *vi, struct softnic_owned *owned)
{
	const ef_vi_rxq_state *rx = &vi->ep_state->rxq;
	const struct sn_ref *r = vi->softnic->r;

	memset(owned, 0, sizeof(*owned));
	owned->tx_in_flight = vi->ep_state->txq.added - vi->ep_state->txq.removed;
	if (!vi->softnic->ref) {
		owned->rx_posted = rx->posted - rx->removed;
		owned->rx_unpushed = rx->added - rx->posted;
	}
	if (r) {
		owned->pkts_out = r->pkts_out;
		owned->superbufs = r->n;
		for (unsigned i = 0; i < r->n; i++)
			owned->superbufs_pinned += r->refs[i] != 0;
	}
	return 0;
}
