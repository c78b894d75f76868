/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp_stamps.c - timestamps of af_xdp: whose they are, whether they are proven, those of sent frames.
 *
 * The XDP program writes a stamp in front of each received packet: the NIC's, where the driver gives it to a
 * program bound to the device, or its own, software. Which of the two, the first packet of a port settles for
 * all of the port's life (lib/bpf/flow_redirect.bpf.c). Who makes a queue watch a clock before that has seen
 * software announced, and settles it so.
 */
#include <stdio.h>
#include <string.h>

#include "af_xdp.h"

static enum kbp_xdp_stamper stamper(const struct kbp_axdp_full *full)
{
	return (enum kbp_xdp_stamper)__atomic_load_n(full->stamper, __ATOMIC_RELAXED);
}

static bool rx_nic(const struct kbp_axdp_full *full)
{
	return full->stamper && stamper(full) == KBP_XDP_STAMPER_NIC;
}

/* Of the i-th frame that waits. */
static uint64_t *stamp_at(const struct kbp_axdp_queue *x, uint32_t i)
{
	const struct xdp_desc *desc = x->rx.slots;

	return (uint64_t *)(void *)(x->umem + desc[(x->rx.idx + i) & x->rx.mask].addr) - 1;
}

void kbp_axdp_stamps_look(struct kbp_axdp_queue *x, uint32_t n)
{
	struct kbp_axdp_full *full = kbp_axdp_full(&x->q);
	enum kbp_epoch epoch = rx_nic(full) ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;

	if (stamper(full) == KBP_XDP_STAMPER_NO_ROOM)
		x->ts_mask = 0; /* what stands in front of packets is not the program's */
	kbp_stamp_prove(&full->rx_proof, epoch, *stamp_at(x, 0) & x->ts_mask);
	if (kbp_stamp_prove(&full->rx_proof, epoch, *stamp_at(x, n - 1) & x->ts_mask) == KBP_PROVEN ||
	    !x->ts_mask)
		x->special &= ~(uint32_t)KBP_AXDP_STAMPS;
}

void kbp_axdp_stamps_spread(struct kbp_axdp_queue *x, uint32_t n)
{
	const struct xdp_desc *desc = x->rx.slots;

	for (uint32_t i = 1; i < n; i++)
		if (desc[(x->rx.idx + i - 1) & x->rx.mask].options & XDP_PKT_CONTD &&
		    desc[(x->rx.idx + i) & x->rx.mask].addr & (x->chunk - 1))
			*stamp_at(x, i) = *stamp_at(x, i - 1);
}

void kbp_axdp_stamps_begin(struct kbp_axdp_full *full, const struct kbp_axdp_port *a)
{
	full->stamper = a->stamper;
	full->x.ts_mask = UINT64_MAX;
	full->x.special |= KBP_AXDP_STAMPS;
}

void kbp_axdp_stamps_sync(struct kbp_queue *q, uint64_t shift, bool watched)
{
	uint32_t *s = kbp_axdp_full(q)->stamper, open = KBP_XDP_STAMPER_OPEN;

	(void)shift;
	if (watched && s)
		__atomic_compare_exchange_n(s, &open, KBP_XDP_STAMPER_SOFTWARE, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- sent frames */

/* In copy mode the kernel's, when the frame has left it (net/xdp/xsk.c, xsk_destruct_skb); in zero-copy the
 * NIC's. */
static bool tx_nic(const struct kbp_axdp_full *full)
{
	return full->mode == KBP_MODE_ZEROCOPY;
}

void kbp_axdp_stamps_sent(struct kbp_axdp_queue *x, struct kbp_completion *c)
{
	struct kbp_axdp_full *full = kbp_axdp_full(&x->q);
	struct kbp_axdp_tx_meta *meta = (void *)(x->umem + c->token - sizeof(*meta));
	enum kbp_epoch epoch = tx_nic(full) ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
	bool same_clock = !(x->q.flags & KBP_QUEUE_RX_STAMPS) || tx_nic(full) == rx_nic(full);

	c->ts_ns = meta->stamp;
	meta->stamp = 0;
	kbp_stamp_prove(&full->tx_proof, epoch, c->ts_ns);
	if (!c->ts_ns)
		c->flags = KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT;
	else
		c->flags = same_clock ? kbp_stamp_flags(&x->q, c->ts_ns) : KBP_FRAME_TS;
}

/* ---------------------------------------------------------------- facts */

void kbp_axdp_stamps_info(const struct kbp_axdp_full *full, struct kbp_queue_info *info)
{
	const struct kbp_queue *q = &full->x.q;
	bool nic = rx_nic(full);

	if (q->flags & KBP_QUEUE_RX_STAMPS && stamper(full) == KBP_XDP_STAMPER_NO_ROOM) {
		info->flags &= ~(uint32_t)KBP_QUEUE_RX_STAMPS;
		snprintf(info->note, sizeof(info->note),
			 "no RX stamps: driver %s keeps no room for them in front of packets",
			 q->port->info.driver);
	} else if (q->flags & KBP_QUEUE_RX_STAMPS) {
		info->ts_source = nic				 ? KBP_TS_NIC :
				  full->mode == KBP_MODE_GENERIC ? KBP_TS_KERNEL :
								   KBP_TS_DRIVER;
		info->ts_epoch = nic ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
		info->ts_proof = kbp_stamp_proof(&full->rx_proof);
	}
	if (q->flags & KBP_QUEUE_TX_STAMPS) {
		info->ts_source_tx = tx_nic(full) ? KBP_TS_NIC : KBP_TS_KERNEL;
		info->ts_epoch_tx = tx_nic(full) ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
		info->ts_proof_tx = kbp_stamp_proof(&full->tx_proof);
	}
	if (info->ts_source != KBP_TS_NONE || info->ts_source_tx != KBP_TS_NONE)
		info->ts_resolution_ps = 1000; /* what the words count */
	if (info->ts_source == KBP_TS_NIC || info->ts_source_tx == KBP_TS_NIC)
		info->ts_phc = full->x.q.port->phc;
}
