/* SPDX-License-Identifier: BSD-2-Clause */
/* ef_vi_txflow.c - the cold side of sending by ef_vi: destinations, warming, resident frames. */
#include <string.h>

#include "ef_vi.h"

int kbp_efvi_txflow_open(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err)
{
	const struct kbp_efvi_queue *x = kbp_efvi(t->q);
	uint32_t room = KBP_EFVI_BUFFER - (t->hdr_len ? KBP_HDR_ROOM : 0);

	(void)flow;
	(void)err;
	if (!t->room || t->room > room)
		t->room = room;
	t->tx_mode = t->hdr_len ? x->tx_how : KBP_TX_MODE_NONE;
	return 0;
}

/* The path of a send, up to where it would leave: the vendor's warming, which differs between versions. */
void kbp_efvi_tx_warm(struct kbp_txflow *t, const struct kbp_frame *frame)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(t->q);
	struct kbp_efvi_queue *x = &f->x;
	const uint8_t *start = (const uint8_t *)frame->data - t->hdr_len;
	int len = (int)(frame->len + t->hdr_len);
	uint32_t at = x->pio_next * KBP_EFVI_PIO_SLOT;

	if (x->dead || x->in_burst || !kbp_efvi_tx_space(f))
		return;
	if (x->tx_how == KBP_TX_MODE_PIO && !x->pio_free)
		return; /* the device's memory is in use */
#ifdef ef_vi_start_transmit_warm
	{
		ef_vi_tx_warm_state state;

		ef_vi_start_transmit_warm(&x->vi, &state, (char *)f->warm);
		if (x->tx_how == KBP_TX_MODE_PIO)
			(void)ef_vi_transmit_copy_pio(&x->vi, (int)at, start, len,
						      (ef_request_id)frame->token);
		else if (x->tx_how == KBP_TX_MODE_CTPIO)
			(void)kbp_efvi_tx_one(x, (ef_request_id)frame->token, start, (uint32_t)len,
					      KBP_TX_MODE_CTPIO);
		else
			(void)kbp_efvi_tx_one(x, (ef_request_id)frame->token, start, (uint32_t)len,
					      KBP_TX_MODE_DMA);
		ef_vi_stop_transmit_warm(&x->vi, &state);
	}
#else /* Onload before 9.0: PIO and X3 only */
	if (x->tx_how == KBP_TX_MODE_PIO) {
		ef_vi_transmit_copy_pio_warm(&x->vi, (int)at, start, len);
	} else if (x->refs) {
		efct_vi_start_transmit_warm(&x->vi);
		(void)kbp_efvi_tx_one(x, (ef_request_id)frame->token, start, (uint32_t)len,
				      KBP_TX_MODE_CTPIO);
		efct_vi_stop_transmit_warm(&x->vi);
	}
#endif
}

static uint32_t template_slot(const struct kbp_efvi_full *f, const struct kbp_template *tpl)
{
	return (uint32_t)tpl->token - f->n_rx - f->n_tx;
}

int kbp_efvi_template_open(struct kbp_template *tpl, struct kbp_error *err)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(tpl->t->q);
	uint32_t i;

	kbp_efvi_collect(f);
	for (i = 0; i < KBP_EFVI_TEMPLATES; i++)
		if (!f->tpl_open[i] && !f->tpl_busy[i])
			break;
	if (i == KBP_EFVI_TEMPLATES)
		return kbp_fail(err, -ENOMEM, "open a template",
				"a queue has %u templates, and all are open or in flight",
				KBP_EFVI_TEMPLATES);
	f->tpl_open[i] = true;
	tpl->token = f->n_rx + f->n_tx + i;
	tpl->payload = f->x.mem + tpl->token * KBP_EFVI_BUFFER + tpl->t->hdr_len;
	return 0;
}

bool kbp_efvi_template_busy(struct kbp_template *tpl)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(tpl->t->q);
	const bool *busy = &f->tpl_busy[template_slot(f, tpl)];

	if (*busy)
		kbp_efvi_collect(f);
	return *busy;
}

unsigned kbp_efvi_template_send(struct kbp_template *tpl)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(tpl->t->q);
	uint32_t hdr_len = tpl->t->hdr_len;

	if (f->x.dead)
		return 0;
	if (!kbp_efvi_tx_space(f))
		kbp_efvi_collect(f);
	if (f->x.dead || kbp_efvi_send(f, (ef_request_id)tpl->token, tpl->payload - hdr_len,
				       tpl->len + hdr_len, f->x.tx_how))
		return 0;
	f->x.tx_floor = f->x.n_free;
	f->tpl_busy[template_slot(f, tpl)] = true;
	f->strange++;
	tpl->t->q->tx_count->frames++;
	tpl->t->q->tx_count->doorbells += f->x.tx_how == KBP_TX_MODE_DMA;
	return 1;
}

void kbp_efvi_template_close(struct kbp_template *tpl)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(tpl->t->q);

	f->tpl_open[template_slot(f, tpl)] = false;
}
