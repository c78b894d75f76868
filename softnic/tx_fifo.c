/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tx_fifo.c - sending through the FIFO of CTPIO-only NICs: frames are copied from any memory, as
 * they are, and take their bytes and 8 more, in steps of 64, until their completion.
 */
#include "internal.h"

#define HEADER 8u
#define STEP 64u
#define POSTED_ID 0xefc7efc7u /* of a CTPIO send before its fallback names it */

static bool fifo_room(ef_vi *vi, size_t len)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;

	return !sn_load(&vi->softnic->nic->fault[SOFTNIC_CTPIO_FULL]) && sn_tx_room(vi, 1) &&
	       len <= vi->vi_txq.ct_fifo_bytes - (q->ct_added - q->ct_removed);
}

static void fifo_copy(struct softnic_vi *v, uint32_t to, const uint8_t *from, size_t len)
{
	while (len) {
		size_t room = SN_FIFO_BYTES - (to & (SN_FIFO_BYTES - 1)), n = len < room ? len : room;

		memcpy(v->fifo + (to & (SN_FIFO_BYTES - 1)), from, n);
		to += (uint32_t)n;
		from += n;
		len -= n;
	}
}

static int fifo_send(ef_vi *vi, const struct iovec *iov, int n, ef_request_id id)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	struct softnic_vi *v = vi->softnic;
	uint32_t di = q->added & vi->vi_txq.mask, at = q->ct_added + HEADER, taken;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (!fifo_room(vi, len) || len > SN_FRAME_MAX)
		return -EAGAIN;
	for (int i = 0; i < n; i++) {
		fifo_copy(v, at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	taken = ((uint32_t)len + HEADER + STEP - 1) & ~(STEP - 1);
	v->txd[di] = (struct sn_desc){ .addr = (uint64_t)len << 32 | (q->ct_added + HEADER),
				       .len = taken,
				       .flags = SN_DESC_END | (v->warm ? SN_DESC_WARM : 0u) };
	vi->vi_txq.ids[di] = (uint32_t)id;
	q->ct_added += taken;
	q->added++;
	sn_release(&v->tx_pushed, q->added);
	sn_step_tx(v);
	return 0;
}

int sn_fifo_transmit(ef_vi *vi, ef_addr base, int len, ef_request_id id)
{
	struct iovec iov = { (void *)(uintptr_t)base, (size_t)len };

	return fifo_send(vi, &iov, 1, id);
}

int sn_fifo_transmitv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id)
{
	struct iovec parts[64];

	if (n > 64)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		parts[i] = (struct iovec){ (void *)(uintptr_t)iov[i].iov_base, iov[i].iov_len };
	return fifo_send(vi, parts, n, id);
}

/* Writing into the FIFO is sending: there is no doorbell. */
void sn_fifo_push(ef_vi *vi)
{
	(void)vi;
}

void sn_fifo_ctpio(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold)
{
	struct softnic_vi *v = vi->softnic;
	/* warm frames keep an id that unbundling passes over */
	uint32_t id = v->warm ? SN_NO_ID : POSTED_ID;

	(void)len;
	(void)threshold;
	vi->last_ctpio_failed = fifo_send(vi, iov, n, (ef_request_id)id) != 0;
	sn_add(vi->last_ctpio_failed ? &v->nic->c.ctpio_failed : &v->nic->c.ctpio_sent, 1);
}

int sn_fifo_fallbackv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id)
{
	ef_vi_txq_state *q = &vi->ep_state->txq;
	uint32_t di = (q->added - 1) & vi->vi_txq.mask;
	int rc;

	if (vi->last_ctpio_failed) {
		rc = sn_fifo_transmitv(vi, iov, n, id);
		vi->last_ctpio_failed = rc == -EAGAIN;
		return rc;
	}
	if (vi->softnic->warm)
		return 0;
	if (vi->vi_txq.ids[di] != POSTED_ID)
		sn_wrong(vi->softnic, "a CTPIO fallback without a CTPIO send");
	vi->vi_txq.ids[di] = (uint32_t)id;
	return 0;
}

int sn_fifo_fallback(ef_vi *vi, ef_addr addr, size_t len, ef_request_id id)
{
	ef_iovec iov = { .iov_base = addr, .iov_len = (unsigned)len };

	return sn_fifo_fallbackv(vi, &iov, 1, id);
}
