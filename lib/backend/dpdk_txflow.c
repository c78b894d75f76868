/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk_txflow.c - the cold side of sending by dpdk: destinations and resident frames. */
#include "dpdk.h"

int kbp_dpdk_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	const struct kbp_dpdk_port *e = kbp_dpdk_port(t->q->port);
	uint32_t room = e->tx_bytes - t->hdr_len;

	(void)flow;
	(void)err;
	if (!t->room || t->room > room)
		t->room = room;
	/* what kbp_tx_each takes buffers from, when it has to ask nothing else */
	if (t->hdr_len && !kbp_dpdk(t->q)->tx_careful)
		t->priv = kbp_dpdk(t->q)->tx_pool;
	return 0;
}

int kbp_dpdk_template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	struct kbp_dpdk_full *f = kbp_dpdk_full(tpl->t->q);
	struct kbp_dpdk_template *slot = NULL;

	for (unsigned i = 0; i < KBP_DPDK_TEMPLATES && !slot; i++)
		if (!f->tpl[i].open && (!f->tpl[i].m || rte_mbuf_refcnt_read(f->tpl[i].m) == 1))
			slot = &f->tpl[i];
	if (!slot)
		return kbp_fail(err, -ENOMEM, "open a template",
				"a queue has %u templates, and all are open or in flight",
				KBP_DPDK_TEMPLATES);
	/* the buffer stays the slot's until the queue is closed: it may be in flight when the template is not
	 * any more */
	if (!slot->m)
		slot->m = rte_pktmbuf_alloc(f->x.tx_pool);
	if (!slot->m)
		return kbp_fail(err, -ENOMEM, "open a template",
				"no buffer is free: send or reap first");
	slot->open = true;
	tpl->priv = slot;
	tpl->token = (uint64_t)(uintptr_t)slot->m;
	tpl->payload = rte_pktmbuf_mtod(slot->m, uint8_t *) + tpl->t->hdr_len;
	return 0;
}

void kbp_dpdk_template_close(struct kbp_template *tpl)
{
	((struct kbp_dpdk_template *)tpl->priv)->open = false;
}
