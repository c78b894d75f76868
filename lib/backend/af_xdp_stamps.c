/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp_stamps.c - timestamps of af_xdp: whose a queue reports, whether they are proven, those of sent frames.
 *
 * The XDP program writes two stamps in front of a received packet (struct kbp_xdp_stamps): the NIC's, where the
 * driver gives it to a program bound to the device, and its own, software. A queue reports one of the two for
 * all of its life. Which, the first frame settles: a driver may offer the call and have no stamp (veth). Who
 * makes the queue watch a clock before that has seen it announce software, and settles it so.
 */
#include <stdio.h>
#include <string.h>

#include "af_xdp.h"

static enum kbp_axdp_stamps settled(const struct kbp_axdp_full *full)
{
	return __atomic_load_n(&full->stamps, __ATOMIC_RELAXED);
}

static bool settle(struct kbp_axdp_full *full, enum kbp_axdp_stamps to)
{
	enum kbp_axdp_stamps open = KBP_AXDP_STAMPS_OPEN;

	return __atomic_compare_exchange_n(&full->stamps, &open, to, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

/* From here on the accessor finds them. */
static void apply(struct kbp_axdp_full *full)
{
	size_t at = settled(full) == KBP_AXDP_STAMPS_NIC ? offsetof(struct kbp_xdp_stamps, nic) :
							   offsetof(struct kbp_xdp_stamps, software);

	full->x.ts_at = (int32_t)at - (int32_t)sizeof(struct kbp_xdp_stamps);
	full->x.ts_mask = UINT64_MAX;
}

static uint8_t *frame_at(const struct kbp_axdp_queue *x, uint32_t i)
{
	const struct xdp_desc *desc = x->rx.slots;

	return x->umem + desc[(x->rx.idx + i) & x->rx.mask].addr;
}

static struct kbp_xdp_stamps *stamps_of(uint8_t *frame)
{
	return (struct kbp_xdp_stamps *)(void *)(frame - sizeof(struct kbp_xdp_stamps));
}

static void none_after_all(struct kbp_axdp_full *full)
{
	__atomic_store_n(&full->stamps, KBP_AXDP_STAMPS_NONE, __ATOMIC_RELAXED);
	full->x.ts_mask = 0;
	full->x.ts_at = 0;
	full->x.special &= ~(uint32_t)KBP_AXDP_STAMPS;
}

void kbp_axdp_stamps_look(struct kbp_axdp_queue *x, uint32_t n)
{
	struct kbp_axdp_full *full = kbp_axdp_full(&x->q);
	const struct kbp_xdp_stamps *first = stamps_of(frame_at(x, 0)),
				    *last = stamps_of(frame_at(x, n - 1));
	enum kbp_epoch epoch;
	bool nic;

	/* what stands in front of the packet is then not the program's */
	if (full->no_room && __atomic_load_n(full->no_room, __ATOMIC_RELAXED)) {
		none_after_all(full);
		return;
	}
	if (!x->ts_mask) {
		if (!first->nic && !first->software)
			return;
		settle(full, first->nic ? KBP_AXDP_STAMPS_NIC : KBP_AXDP_STAMPS_SOFTWARE);
		apply(full);
	}
	nic = settled(full) == KBP_AXDP_STAMPS_NIC;
	epoch = nic ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
	kbp_stamp_prove(&full->rx_proof, epoch, nic ? first->nic : first->software);
	if (kbp_stamp_prove(&full->rx_proof, epoch, nic ? last->nic : last->software) == KBP_PROVEN)
		x->special &= ~(uint32_t)KBP_AXDP_STAMPS;
}

void kbp_axdp_stamps_spread(struct kbp_axdp_queue *x, uint32_t n)
{
	const struct xdp_desc *desc = x->rx.slots;

	for (uint32_t i = 1; i < n; i++) {
		uint64_t addr = desc[(x->rx.idx + i) & x->rx.mask].addr;

		if (desc[(x->rx.idx + i - 1) & x->rx.mask].options & XDP_PKT_CONTD &&
		    (addr & (x->chunk - 1)) >= sizeof(struct kbp_xdp_stamps))
			*stamps_of(frame_at(x, i)) = *stamps_of(frame_at(x, i - 1));
	}
}

void kbp_axdp_stamps_begin(struct kbp_axdp_full *full, const struct kbp_axdp_port *a)
{
	full->stamps = a->stamps;
	full->no_room = a->no_room;
	full->x.special |= KBP_AXDP_STAMPS;
	if (a->stamps == KBP_AXDP_STAMPS_SOFTWARE)
		apply(full);
}

void kbp_axdp_stamps_watch(struct kbp_queue *q, bool watched)
{
	if (watched)
		settle(kbp_axdp_full(q), KBP_AXDP_STAMPS_SOFTWARE);
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
	bool same_clock = !(x->q.flags & KBP_QUEUE_RX_STAMPS) ||
			  tx_nic(full) == (settled(full) == KBP_AXDP_STAMPS_NIC);

	c->ts_ns = meta->stamp;
	meta->stamp = 0;
	kbp_stamp_prove(&full->tx_proof, epoch, c->ts_ns);
	if (!c->ts_ns)
		c->flags = KBP_NO_TS_MISSING << KBP_FRAME_NO_TS_SHIFT;
	else
		c->flags = same_clock ? kbp_stamp_flags(&x->q, c->ts_ns) : KBP_FRAME_TS;
}

/* ---------------------------------------------------------------- facts */

static enum kbp_proof proof(const struct kbp_stamp_proof *p)
{
	return __atomic_load_n(&p->proof, __ATOMIC_RELAXED) == KBP_PROVEN ? KBP_PROVEN : KBP_BOUND;
}

void kbp_axdp_stamps_info(const struct kbp_axdp_full *full, struct kbp_queue_info *info)
{
	const struct kbp_queue *q = &full->x.q;
	bool nic = settled(full) == KBP_AXDP_STAMPS_NIC;

	if (q->flags & KBP_QUEUE_RX_STAMPS && settled(full) == KBP_AXDP_STAMPS_NONE) {
		info->flags &= ~(uint32_t)KBP_QUEUE_RX_STAMPS;
		snprintf(info->note, sizeof(info->note),
			 "no RX stamps: driver %s keeps no room for them in front of packets",
			 q->port->info.driver);
	} else if (q->flags & KBP_QUEUE_RX_STAMPS) {
		info->ts_source = nic				      ? KBP_TS_NIC :
				  full->mode == KBP_MODE_GENERIC ? KBP_TS_KERNEL :
								   KBP_TS_DRIVER;
		info->ts_epoch = nic ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
		info->ts_proof = proof(&full->rx_proof);
	}
	if (q->flags & KBP_QUEUE_TX_STAMPS) {
		info->ts_source_tx = tx_nic(full) ? KBP_TS_NIC : KBP_TS_KERNEL;
		info->ts_epoch_tx = tx_nic(full) ? KBP_EPOCH_PHC : KBP_EPOCH_TAI;
		info->ts_proof_tx = proof(&full->tx_proof);
	}
	if (info->ts_source != KBP_TS_NONE || info->ts_source_tx != KBP_TS_NONE)
		info->ts_resolution_ps = 1000; /* what the words count */
	if (info->ts_source == KBP_TS_NIC || info->ts_source_tx == KBP_TS_NIC)
		info->ts_phc = full->phc;
}
