/* SPDX-License-Identifier: BSD-2-Clause */
/* ef_vi_facts.c - what an ef_vi queue says of itself: modes, stamps, the account of what was lost. */
#include <stdio.h>
#include <string.h>

#include "ef_vi.h"

#define NO_BUFFER "port_rx_nodesc_drops" /* the drivers' name of it, for the whole interface */

/* The vendor's names of what it counts for a VI (its vi_stats.c). */
enum { CRC_ERRORS, CUT_SHORT, NO_DESCRIPTOR, ABORTED };

static const char *const stat_name[KBP_EFVI_STATS] = { "RX CRC errors", "RX trunk errors",
						       "RX no descriptor errors", "RX abort errors" };

#ifdef KBP_HOT_EF_VI_SIM
/* What was lost in front of the software NIC: the kernel's ring or the memory was full. */
static uint64_t wire_dropped(const struct kbp_port *p)
{
	struct softnic_info info;

	return softnic_info_get(p->info.interface, &info) ? 0 : info.wire_dropped;
}

int kbp_efvi_driver_stat(const struct kbp_port *p, const char *name, uint64_t *value)
{
	return softnic_ethtool_stat(p->info.interface, name, value);
}
#else
/* A real wire tells nobody what it lost. */
static uint64_t wire_dropped(const struct kbp_port *p)
{
	(void)p;
	return 0;
}

int kbp_efvi_driver_stat(const struct kbp_port *p, const char *name, uint64_t *value)
{
	return kbp_link_driver_stat(p->info.interface, name, value);
}
#endif

/* The vendor's counts of a VI, by name; generations after EF10 have none and must not be asked. `begin`: they
 * are zero from here on. */
static bool vi_stats(const struct kbp_efvi_full *f, const char *name, bool begin, uint64_t *value)
{
	ef_vi *vi = (ef_vi *)(uintptr_t)&f->x.vi;
	const ef_vi_stats_layout *layout;
	uint8_t data[256];

	if (f->x.refs || !f->have_vi || ef_vi_stats_query_layout(vi, &layout) ||
	    layout->evsl_data_size > (int)sizeof(data) || ef_vi_stats_query(vi, f->dh, data, begin))
		return false;
	for (int i = 0; i < layout->evsl_fields_num; i++) {
		const ef_vi_stats_field_layout *field = &layout->evsl_fields[i];
		uint32_t v32;

		if (strcmp(field->evsfl_name, name) != 0 || field->evsfl_size != sizeof(v32))
			continue;
		memcpy(&v32, data + field->evsfl_offset, sizeof(v32));
		*value = v32;
		return true;
	}
	return false;
}

void kbp_efvi_stats_begin(struct kbp_efvi_full *f)
{
	uint64_t begun;

	f->own_stats = vi_stats(f, stat_name[NO_DESCRIPTOR], true, &begun);
}

void kbp_efvi_bases(struct kbp_efvi_full *f, const struct kbp_port *p)
{
	if (kbp_efvi_driver_stat(p, NO_BUFFER, &f->lost_base))
		f->lost_base = 0;
	f->wire_base = wire_dropped(p);
}

void kbp_efvi_stats_keep(struct kbp_efvi_full *f)
{
	uint64_t value;

	for (unsigned i = 0; i < KBP_EFVI_STATS; i++)
		if (vi_stats(f, stat_name[i], false, &value))
			f->stat_before[i] += value;
}

/* ---------------------------------------------------------------- modes and stamps */

/* The window is asked for only where the vendor's flags are both set, which 3 is; see kbp_efvi_stamp_flags. */
void kbp_efvi_queue_sync(struct kbp_queue *q, uint64_t shift, bool watched)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_efvi_queue *x = &f->x;
	uint64_t in = !f->told ? KBP_SYNC_NEVER : watched ? shift : 0, span;

	for (unsigned flags = 0; flags < 3; flags++)
		__atomic_store_n(&x->sync_shift[flags], KBP_SYNC_NEVER, __ATOMIC_RELAXED);
	__atomic_store_n(&x->sync_shift[3], in, __ATOMIC_RELAXED);
	span = watched ? KBP_SYNC_SPAN_NS : KBP_SYNC_NEVER;
	if (x->sync_span != span) /* on the queue's own thread only, which reads it */
		x->sync_span = span;
}

void kbp_efvi_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info)
{
	const struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	/* a stamp of the software NIC is no NIC's */
	const enum kbp_ts_source source = KBP_EFVI_EMULATED ? KBP_TS_DRIVER : KBP_TS_NIC;
	uint32_t mtu = q->port->info.mtu, room = KBP_EFVI_BUFFER - KBP_HDR_ROOM;
	bool rx = q->flags & KBP_QUEUE_RX_STAMPS, tx = q->flags & KBP_QUEUE_TX_STAMPS;

	if (q->flags & KBP_QUEUE_RX && !f->x.refs)
		info->rx_ring = f->target;
	info->l2 = true;
	info->hugepages = f->mem.hugepages;
	info->numa_node = f->mem.node;
	info->mode = q->port->info.achieved;
	info->proof = q->rx_count->frames ? KBP_PROVEN : KBP_BOUND;
	info->payload_max = mtu > 28u && mtu - 28u < room ? mtu - 28u : room;
	info->ts_source = rx ? source : KBP_TS_NONE;
	info->ts_source_tx = tx ? source : KBP_TS_NONE;
	info->ts_proof = rx ? kbp_stamp_proof(&f->proof) : KBP_PROOF_NONE;
	info->ts_epoch = rx ? KBP_EFVI_EPOCH : KBP_EPOCH_NONE;
	info->ts_phc = KBP_EFVI_EMULATED ? -1 : q->port->phc;
	info->ts_proof_tx = tx ? kbp_stamp_proof(&f->tx_proof) : KBP_PROOF_NONE;
	info->ts_epoch_tx = tx ? KBP_EFVI_EPOCH : KBP_EPOCH_NONE;
	info->ts_resolution_ps = rx || tx ? kbp_efvi_resolution_ps(&f->x.vi) : 0;
	info->tx_mode = q->flags & KBP_QUEUE_TX ? f->x.tx_how : KBP_TX_MODE_NONE;
	info->accelerated = KBP_NO;
	snprintf(info->note, sizeof(info->note), "%s", f->note);
}

/* ---------------------------------------------------------------- queue: counters */

static void count_discards(const struct kbp_efvi_full *f, struct kbp_counter_list *l)
{
	static const char *const names[EF_EVENT_RX_DISCARD_MAX] = {
		[EF_EVENT_RX_DISCARD_CSUM_BAD] = "rx_discard_checksum",
		[EF_EVENT_RX_DISCARD_MCAST_MISMATCH] = "rx_discard_multicast",
		[EF_EVENT_RX_DISCARD_CRC_BAD] = "rx_discard_fcs",
		[EF_EVENT_RX_DISCARD_TRUNC] = "rx_discard_truncated",
		[EF_EVENT_RX_DISCARD_RIGHTS] = "rx_discard_rights",
		[EF_EVENT_RX_DISCARD_EV_ERROR] = "rx_discard_event_error",
		[EF_EVENT_RX_DISCARD_OTHER] = "rx_discard_other",
		[EF_EVENT_RX_DISCARD_INNER_CSUM_BAD] = "rx_discard_inner_checksum",
	};

	for (unsigned i = 0; i < EF_EVENT_RX_DISCARD_MAX; i++)
		kbp_count_add(l, names[i], f->count.discard[i], KBP_COUNT_DROP, false);
}

/* Frames for which there was no buffer: the VI's own count where its generation has one, the interface's
 * otherwise. Where there is neither, such a loss stays unattributed. */
static void count_no_buffer(const struct kbp_queue *q, const struct kbp_efvi_full *f,
			    struct kbp_counter_list *l)
{
	static const char *const causes[KBP_EFVI_STATS] = { [CRC_ERRORS] = "rx_crc_errors",
							    [CUT_SHORT] = "rx_cut_short",
							    [ABORTED] = "rx_aborted" };
	uint64_t value;

	for (unsigned i = 0; i < KBP_EFVI_STATS; i++) {
		if (!f->own_stats)
			break;
		if (!vi_stats(f, stat_name[i], false, &value))
			value = 0; /* no VI after a reopen that failed */
		value += f->stat_before[i];
		if (causes[i]) /* an event told of each already */
			kbp_count_add(l, causes[i], value, KBP_COUNT_CAUSE, false);
		else
			kbp_count_add(l, "rx_no_descriptor", value, KBP_COUNT_DROP, false);
	}
	if (!f->own_stats && !kbp_efvi_driver_stat(q->port, NO_BUFFER, &value))
		kbp_count_add(l, "rx_no_descriptor", value - f->lost_base, KBP_COUNT_DROP, true);
}

static void count_rx(const struct kbp_queue *q, struct kbp_efvi_full *f, struct kbp_counter_list *l)
{
	const uint64_t *no = f->count.no_stamp;

	kbp_efvi_look(f);
	if (!f->x.refs) {
		uint64_t most = __atomic_load_n(&q->rx_count->ring_fill_max, __ATOMIC_RELAXED);

		kbp_count_add(l, "rx_ring_fill",
			      __atomic_load_n(&q->rx_count->ring_fill, __ATOMIC_RELAXED),
			      KBP_COUNT_INFO, false);
		/* up to 7 buffers wait for a doorbell: these are surely left */
		kbp_count_add(l, "rx_ring_low_water",
			      most + 7 < f->target ? f->target - 7 - most : 0, KBP_COUNT_INFO, false);
	} else {
		kbp_count_add(l, "rx_superbuffers_pinned", f->count.pins, KBP_COUNT_INFO, false);
		kbp_count_add(l, "rx_superbuffers_pinned_max", f->count.pins_max, KBP_COUNT_INFO,
			      false);
		kbp_count_add(l, "rx_stash_full", f->count.stash_full, KBP_COUNT_DROP, false);
	}
	count_discards(f, l);
	count_no_buffer(q, f, l);
	if (KBP_EFVI_EMULATED)
		kbp_count_add(l, "wire_dropped", wire_dropped(q->port) - f->wire_base,
			      KBP_COUNT_DROP, true);
	kbp_count_add(l, "rx_foreign", f->count.foreign, KBP_COUNT_INFO, false);
	kbp_count_add(l, "rx_strange_events", f->count.strange, KBP_COUNT_INFO, false);
	if (!(q->flags & KBP_QUEUE_RX_STAMPS))
		return;
	kbp_count_add(l, "rx_no_stamp_early", no[KBP_NO_TS_EARLY], KBP_COUNT_INFO, false);
	kbp_count_add(l, "rx_no_stamp_stale", no[KBP_NO_TS_STALE], KBP_COUNT_INFO, false);
	kbp_count_add(l, "rx_no_stamp_missing", no[KBP_NO_TS_MISSING], KBP_COUNT_INFO, false);
}

void kbp_efvi_queue_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_port *p = q->port;

	pthread_mutex_lock(&p->lock); /* a reopen puts another VI into its place */
	if (q->flags & KBP_QUEUE_RX)
		count_rx(q, f, l);
	if (q->flags & KBP_QUEUE_TX)
		kbp_count_add(l, "tx_by_dma_instead", f->count.ctpio_missed, KBP_COUNT_INFO, false);
	pthread_mutex_unlock(&p->lock);
}
