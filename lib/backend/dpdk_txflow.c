/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk_txflow.c - the cold side of sending by dpdk: destinations and resident frames. */
#include <errno.h>
#include <stdlib.h>

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
	uint8_t *frame = calloc(1, KBP_HDR_ROOM + (size_t)tpl->t->hdr_len + tpl->t->room);

	if (!frame)
		return kbp_fail(err, -ENOMEM, "open a template", "out of memory");
	tpl->priv = frame;
	tpl->token = (uint64_t)(uintptr_t)frame;
	tpl->payload = frame + tpl->t->hdr_len;
	return 0;
}

void kbp_dpdk_template_close(struct kbp_template *tpl)
{
	free(tpl->priv);
}
