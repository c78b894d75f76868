/* SPDX-License-Identifier: BSD-2-Clause */
/* tx_pio.c - sending by writing into the NIC: PIO regions, and CTPIO beside a ring. */
#include "internal.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- PIO */

SN_PUBLIC int ef_pio_alloc(ef_pio *pio, ef_driver_handle pio_dh, ef_pd *pd, unsigned len_hint,
			   ef_driver_handle pd_dh)
{
	struct softnic_pd *p = pd->pd_softnic;

	(void)pio_dh;
	(void)pd_dh;
	memset(pio, 0, sizeof(*pio));
	if (p->ref || !p->nic->model->pio)
		return -EOPNOTSUPP;
	pio->pio_len = len_hint < SN_PIO_BYTES ? len_hint : SN_PIO_BYTES;
	pio->pio_buffer = calloc(1, SN_PIO_BYTES);
	pio->pio_io = calloc(1, SN_PIO_BYTES);
	if (!pio->pio_buffer || !pio->pio_io) {
		free(pio->pio_buffer);
		free(pio->pio_io);
		return -ENOMEM;
	}
	pio->pio_pd = p;
	return 0;
}

SN_PUBLIC int ef_pio_free(ef_pio *pio, ef_driver_handle pio_dh)
{
	(void)pio_dh;
	if (pio->pio_links)
		sn_violation(pio->pio_pd->nic, "ef_pio_free: the region is linked to a VI");
	free(pio->pio_buffer);
	free(pio->pio_io);
	memset(pio, 0, sizeof(*pio));
	return 0;
}

SN_PUBLIC int ef_pio_link_vi(ef_pio *pio, ef_driver_handle pio_dh, ef_vi *vi, ef_driver_handle vi_dh)
{
	struct softnic_vi *v = vi->softnic;

	(void)pio_dh;
	(void)vi_dh;
	if (v->fifo || v->nic != pio->pio_pd->nic)
		return -EINVAL;
	if (vi->linked_pio)
		return -EBUSY;
	pthread_mutex_lock(&v->nic->lock);
	v->pio_mem = pio->pio_io;
	pthread_mutex_unlock(&v->nic->lock);
	vi->linked_pio = pio;
	pio->pio_links++;
	return 0;
}

SN_PUBLIC int ef_pio_unlink_vi(ef_pio *pio, ef_driver_handle pio_dh, ef_vi *vi, ef_driver_handle dh)
{
	struct softnic_vi *v = vi->softnic;

	(void)pio_dh;
	(void)dh;
	if (vi->linked_pio != pio)
		return -EINVAL;
	if (v->pio_busy && !sn_load(&v->evq->dead) && !sn_load(&v->evq->overflow))
		sn_wrong(v, "ef_pio_unlink_vi: %u sends from the region are in flight", v->pio_busy);
	pthread_mutex_lock(&v->nic->lock);
	v->pio_mem = NULL;
	pthread_mutex_unlock(&v->nic->lock);
	vi->linked_pio = NULL;
	pio->pio_links--;
	return 0;
}

SN_PUBLIC int ef_vi_get_pio_size(ef_vi *vi)
{
	return vi->linked_pio ? (int)vi->linked_pio->pio_len : -EINVAL;
}

/* Is anything of [offset, offset + len) still to be sent? */
static void pio_reuse_check(ef_vi *vi, int offset, int len)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	struct softnic_vi *v = vi->softnic;

	/* while it is warmed the ring only seems to be full */
	for (uint32_t i = v->warm ? v->warm_removed : q->removed;
	     v->check && v->pio_busy && i != q->added; i++) {
		const struct sn_desc *d = &v->txd[i & vi->vi_txq.mask];

		if (d->flags & SN_DESC_PIO && (uint64_t)offset < d->addr + d->len &&
		    d->addr < (uint64_t)offset + (uint64_t)len) {
			sn_wrong(v, "PIO: bytes %d to %d were written before their send completed",
				 offset, offset + len - 1);
			return;
		}
	}
}

static bool pio_range_ok(ef_vi *vi, int offset, int len)
{
	if (vi->linked_pio && offset >= 0 && len >= 0 &&
	    (unsigned)offset + (unsigned)len <= vi->linked_pio->pio_len)
		return true;
	sn_wrong(vi->softnic, "PIO: bytes %d to %d are not in the VI's region", offset,
		 offset + len - 1);
	return false;
}

SN_PUBLIC int ef_pio_memcpy(ef_vi *vi, const void *base, int offset, int len)
{
	if (!pio_range_ok(vi, offset, len))
		return -EINVAL;
	pio_reuse_check(vi, offset, len);
	memcpy(vi->linked_pio->pio_buffer + offset, base, (size_t)len);
	memcpy(vi->linked_pio->pio_io + offset, base, (size_t)len);
	return 0;
}

int sn_transmit_pio(ef_vi *vi, int offset, int len, ef_request_id id)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	struct softnic_vi *v = vi->softnic;
	uint32_t di = q->added & vi->vi_txq.mask;

	if (v->fifo)
		return -EOPNOTSUPP;
	if (offset & 63)
		return -EINVAL;
	sn_ctpio_check(vi);
	if (!v->warm && len < 16)
		sn_wrong(v, "PIO: %d bytes were sent, 16 are the least", len);
	if (!pio_range_ok(vi, offset, len))
		return -EINVAL;
	if (v->warm || !sn_tx_room(vi, 1))
		return -EAGAIN;
	v->txd[di] = (struct sn_desc){ .addr = (uint64_t)offset,
				       .len = (uint32_t)len,
				       .flags = SN_DESC_END | SN_DESC_PIO };
	vi->vi_txq.ids[di] = (uint32_t)id;
	v->pio_busy++;
	q->added++;
	sn_transmit_push(vi);
	return 0;
}

int sn_transmit_copy_pio(ef_vi *vi, int offset, const void *src, int len, ef_request_id id)
{
	if (vi->softnic->fifo)
		return -EOPNOTSUPP;
	if (offset & 63)
		return -EINVAL;
	if (!pio_range_ok(vi, offset, len))
		return -EINVAL;
	/* as with hardware, the copy is made even when the ring turns out to be full */
	pio_reuse_check(vi, offset, len);
	memcpy(vi->linked_pio->pio_io + offset, src, (size_t)len);
	return sn_transmit_pio(vi, offset, len, id);
}

/* ---------------------------------------------------------------- warming */

/* The ring seems full while it is warmed, so that nothing is sent. A FIFO is not: warm frames go
 * all the way, but not on the wire. */
void sn_warm_start(ef_vi *vi, ef_vi_tx_warm_state *saved, char *warm_ctpio)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	vi->softnic->warm = true;
	if (vi->softnic->fifo)
		return;
	if (!saved) {
		sn_wrong(vi->softnic, "ef_vi_start_transmit_warm: no room for the state");
		return;
	}
	saved->removed = vi->softnic->warm_removed = q->removed;
	saved->vi_ctpio_mmap_ptr = vi->vi_ctpio_mmap_ptr;
	vi->vi_ctpio_mmap_ptr = warm_ctpio;
	q->removed = q->added - vi->vi_txq.mask;
}

void sn_warm_stop(ef_vi *vi, ef_vi_tx_warm_state *saved)
{
	vi->softnic->warm = false;
	if (vi->softnic->fifo || !saved)
		return;
	vi->ep_state->txq.removed = saved->removed;
	vi->vi_ctpio_mmap_ptr = saved->vi_ctpio_mmap_ptr;
}

void sn_transmit_pio_warm(ef_vi *vi)
{
	ef_vi_tx_warm_state state;

	sn_warm_start(vi, &state, NULL);
	if (!vi->softnic->fifo)
		(void)sn_transmit_pio(vi, 0, 0, 0);
	sn_warm_stop(vi, &state);
}

void sn_transmit_copy_pio_warm(ef_vi *vi, int offset, const void *src, int len)
{
	ef_vi_tx_warm_state state;

	sn_warm_start(vi, &state, NULL);
	if (!vi->softnic->fifo)
		(void)sn_transmit_copy_pio(vi, offset, src, len, 0);
	sn_warm_stop(vi, &state);
}

/* ---------------------------------------------------------------- CTPIO beside a ring */

static bool ctpio_loses(struct sn_nic *nic)
{
	uint32_t every = sn_load(&nic->fault[SOFTNIC_EVERY_CTPIO_LOSES]);

	return sn_load(&nic->fault[SOFTNIC_CTPIO_FULL]) || (every && !(++nic->nth_ctpio % every));
}

/* The frame goes out now, unless the NIC is busy with what the ring holds: then the fallback is
 * sent. Nobody is told which. */
void sn_ctpio(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold)
{
	struct softnic_vi *v = vi->softnic;
	size_t at = 0;

	(void)threshold;
	sn_ctpio_check(vi);
	if (!(vi->vi_flags & EF_VI_TX_CTPIO))
		sn_wrong(v, "CTPIO: the VI was not allocated with EF_VI_TX_CTPIO");
	if (v->warm || !(vi->vi_flags & EF_VI_TX_CTPIO))
		return;
	v->ctpio_open = true;
	v->ctpio_sent = false;
	pthread_mutex_lock(&v->nic->lock);
	if (len <= SN_FRAME_MAX && !sn_load(&v->evq->dead) &&
	    v->tx_taken == sn_load(&v->tx_pushed) && !ctpio_loses(v->nic)) {
		for (int i = 0; i < n && at + iov[i].iov_len <= SN_FRAME_MAX; i++) {
			memcpy(v->tx_frame + at, iov[i].iov_base, iov[i].iov_len);
			at += iov[i].iov_len;
		}
		v->ctpio_sent = !sn_wire_send(v->nic, v->tx_frame, (uint32_t)at);
	}
	sn_add(v->ctpio_sent ? &v->nic->c.ctpio_sent : &v->nic->c.ctpio_failed, 1);
	pthread_mutex_unlock(&v->nic->lock);
	if (at && at != len)
		sn_wrong(v, "CTPIO: the parts have %zu bytes, the frame %zu", at, len);
}

void sn_ctpio_copy(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold,
		   void *fallback)
{
	uint8_t *to = fallback;

	ef_vi_transmitv_ctpio(vi, len, iov, n, threshold);
	for (int i = 0; i < n; to += iov[i++].iov_len)
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
}

int sn_ctpiov_fallback(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id)
{
	struct softnic_vi *v = vi->softnic;
	int rc;

	if (!(vi->vi_flags & EF_VI_TX_CTPIO))
		return -EOPNOTSUPP;
	if (!v->warm && !v->ctpio_open)
		sn_wrong(v, "a CTPIO fallback without a CTPIO send");
	v->ctpio_open = false;
	rc = sn_transmitv(vi, iov, n, id);
	/* full: the caller comes again with the same fallback */
	v->ctpio_open = rc == -EAGAIN && !v->warm;
	return rc;
}

int sn_ctpio_fallback(ef_vi *vi, ef_addr addr, size_t len, ef_request_id id)
{
	ef_iovec iov = { .iov_base = addr, .iov_len = (unsigned)len };

	return sn_ctpiov_fallback(vi, &iov, 1, id);
}
