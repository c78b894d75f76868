/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi_setup.c - the cold half of ef_vi: ports, queues, memory, counters, templates; the module's door.
 *
 * A port is a driver handle and a protection domain. A queue is a virtual interface (VI) of it: an RX ring, a
 * TX ring and one event queue for both, with memory of its own that the adapter may reach. Any number of
 * VIs shares an interface: what arrives where is said by filters, not by channels.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ef_vi.h"

#define LOOK_MS 1		/* how often the monitor looks how full the rings are */
#define VIS_MAX 64u		/* channel numbers; VIs as such are plenty */
#define CT_THRESHOLD 64u	/* bytes: what the vendor's eflatency begins to send after */
#define CTPIO_BYTES 4096u	/* size of a VI's cut-through region */
#define PAGE 4096u		/* of the adapter's (EF_VI_NIC_PAGE_SIZE) */
#define SUPERBUFFER_FRAMES 512u /* 1 MiB of 2 KiB each (efct_vi.h) */
#define SPARE_SUPERBUFFERS 8u
#define STASH_REFS 8192u /* frames; references are not bounded by buffers of ours */

/* ---------------------------------------------------------------- port: words */

static int word_read(struct kbp_port *p, const char *word, enum ef_pd_flags *flags,
		     struct kbp_error *err)
{
	struct kbp_efvi_port *e = p->priv;

	if (!strcmp(word, "express")) {
		*flags = KBP_EFVI_PD_EXPRESS;
		return KBP_EFVI_PD_EXPRESS != EF_PD_DEFAULT ?
			       0 :
			       kbp_fail(err, -EOPNOTSUPP, "read the words of an ef_vi port",
					"\"express\": the Onload this was built with is older than 9.0");
	}
	if (!strcmp(word, "enterprise"))
		*flags = EF_PD_DEFAULT;
	else if (!strcmp(word, "tx=dma"))
		e->tx_wanted = KBP_TX_MODE_DMA;
	else if (!strcmp(word, "tx=pio"))
		e->tx_wanted = KBP_TX_MODE_PIO;
	else if (!strcmp(word, "tx=ctpio"))
		e->tx_wanted = KBP_TX_MODE_CTPIO;
	else
		return 1;
	return 0;
}

/* What a word is not ours may be the software NIC's. */
static int word_other(struct kbp_port *p, const char *word, struct kbp_error *err)
{
#ifdef KBP_HOT_EF_VI_SIM
	char why[160] = "";
	int rc = softnic_options(p->info.interface, word, why, sizeof(why));

	return rc ? kbp_failf(err, rc, why, "set \"%s\" for the software NIC on %s", word,
			      p->info.interface) :
		    0;
#else
	return kbp_failf(err, -EINVAL, "words are: express, enterprise, tx=dma, tx=pio, tx=ctpio",
			 "read \"%s\" among the words of ef_vi port %s", word, p->info.interface);
#endif
}

static int words_read(struct kbp_port *p, enum ef_pd_flags *flags, struct kbp_error *err)
{
	char *words = strdup(p->opts.args), *rest = words;
	int rc = words ? 0 : kbp_fail(err, -ENOMEM, "open an ef_vi port", "out of memory");

	for (char *word; !rc && (word = strsep(&rest, ", "));) {
		if (!*word)
			continue;
		rc = word_read(p, word, flags, err);
		if (rc > 0)
			rc = word_other(p, word, err);
	}
	free(words);
	return rc;
}

/* ---------------------------------------------------------------- port: device */

#ifdef KBP_HOT_EF_VI_SIM
/* Of the wires in memory the kernel knows nothing. */
static int device_facts(struct kbp_port *p, struct kbp_error *err)
{
	struct softnic_info info;

	if (p->info.ifindex)
		return 0;
	if (softnic_info_get(p->info.interface, &info))
		return kbp_failf(
			err, -ENODEV,
			"there is no such interface in this network namespace (ip link lists them), and "
			"the software NIC's own in memory are called sim0 to sim63",
			"open ef_vi_sim on %s", p->info.interface);
	memcpy(p->info.mac, info.mac, sizeof(p->info.mac));
	p->info.mtu = (uint16_t)info.mtu;
	return 0;
}
#else
static int device_facts(struct kbp_port *p, struct kbp_error *err)
{
	(void)p;
	(void)err;
	return 0;
}
#endif

static const char *open_hint(int rc)
{
	switch (-rc) {
	case ENOENT:
	case ENXIO:
		return "the driver sfc_char is not loaded (no /dev/sfc_char): load it, \"onload_tool reload\"";
	case EPERM:
	case EACCES:
		return KBP_EFVI_EMULATED ?
			       "the software NIC needs CAP_NET_RAW for a packet socket: run as root" :
			       "the driver does not let this user: run as root, or see the enable files "
			       "under /proc/driver/sfc_resource";
	case ENODEV:
	case EOPNOTSUPP:
	case EINVAL:
		return "this is no Solarflare or X3/X4 interface that ef_vi can use: ethtool -i shows its "
		       "driver, which has to be sfc or xilinx_efct";
	default:
		return strerror(-rc);
	}
}

static void capabilities(struct kbp_port *p, struct kbp_efvi_port *e)
{
	const int at = (int)p->info.ifindex;

	e->refs = kbp_efvi_cap_refs(e->dh, &e->pd, at);
	e->shared = kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_RX_SHARED) != 0;
	e->vlan_filters = kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_RX_FILTER_TYPE_IP_VLAN) != 0;
	e->merging = !e->refs && kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_RX_FORCE_EVENT_MERGING);
	e->rx_stamps = kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_HW_RX_TIMESTAMPING) != 0;
	e->tx_stamps = kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_HW_TX_TIMESTAMPING) != 0;
	e->must_ctpio = kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_CTPIO_ONLY) != 0;
	e->tx_mode = KBP_TX_MODE_DMA;
	if (kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_PIO))
		e->tx_mode = KBP_TX_MODE_PIO;
	if (e->must_ctpio || kbp_efvi_cap(e->dh, &e->pd, at, EF_VI_CAP_CTPIO))
		e->tx_mode = KBP_TX_MODE_CTPIO;
}

/* The mode that was asked for, when the adapter has it. */
static int tx_mode_choose(struct kbp_port *p, struct kbp_efvi_port *e, struct kbp_error *err)
{
	bool has = e->tx_wanted == KBP_TX_MODE_DMA ?
			   !e->must_ctpio :
		   e->tx_wanted == KBP_TX_MODE_PIO ?
			   kbp_efvi_cap(e->dh, &e->pd, (int)p->info.ifindex, EF_VI_CAP_PIO) != 0 :
			   e->tx_mode == KBP_TX_MODE_CTPIO;

	if (e->tx_wanted == KBP_TX_MODE_NONE)
		return 0;
	if (has) {
		e->tx_mode = e->tx_wanted;
		return 0;
	}
	if (p->opts.flags & KBP_PORT_STRICT)
		return kbp_failf(err, -EOPNOTSUPP,
				 "leave the word tx= out, or open without KBP_PORT_STRICT",
				 "send on %s in the way asked for: the adapter cannot",
				 p->info.interface);
	snprintf(e->note, sizeof(e->note), "the adapter cannot send in the way asked for");
	return 0;
}

static void express_note(const struct kbp_port *p, struct kbp_efvi_port *e, enum ef_pd_flags flags)
{
#ifdef KBP_EFVI_HAVE_EXPRESS
	unsigned long paths =
		kbp_efvi_cap(e->dh, &e->pd, (int)p->info.ifindex, EF_VI_CAP_EXTRA_DATAPATHS);

	if (!e->note[0] && flags == EF_PD_DEFAULT && paths & EF_VI_EXTRA_DATAPATH_EXPRESS)
		snprintf(e->note, sizeof(e->note),
			 "this adapter has the express datapath too: args \"express\"");
#else
	(void)p;
	(void)e;
	(void)flags;
#endif
}

static int port_open(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_efvi_port *e = calloc(1, sizeof(*e));
	enum ef_pd_flags flags = EF_PD_DEFAULT;
	int rc;

	if (!e)
		return kbp_fail(err, -ENOMEM, "open an ef_vi port", "out of memory");
	p->priv = e;
	rc = words_read(p, &flags, err);
	if (!rc && p->opts.frame_bytes && p->opts.frame_bytes != KBP_EFVI_BUFFER)
		rc = kbp_fail(err, -EINVAL, "open an ef_vi port",
			      "frame_bytes is %u: buffers have %u", p->opts.frame_bytes,
			      KBP_EFVI_BUFFER);
	if (!rc)
		rc = device_facts(p, err);
	if (rc)
		goto fail;
	rc = ef_driver_open(&e->dh);
	if (rc) {
		kbp_failf(err, rc, open_hint(rc), "open the ef_vi driver for %s", p->info.interface);
		goto fail;
	}
	rc = ef_pd_alloc_by_name(&e->pd, e->dh, p->info.interface, flags);
	if (rc) {
		kbp_failf(err, rc, open_hint(rc), "allocate a protection domain on %s",
			  p->info.interface);
		ef_driver_close(e->dh);
		goto fail;
	}
	capabilities(p, e);
	rc = tx_mode_choose(p, e, err);
	if (rc) {
		ef_pd_free(&e->pd, e->dh);
		ef_driver_close(e->dh);
		goto fail;
	}
	express_note(p, e, flags);
	p->info.rx_channels = p->info.tx_channels = VIS_MAX;
	p->info.achieved = KBP_EFVI_EMULATED ? KBP_MODE_EMULATED : KBP_MODE_ZEROCOPY;
	p->info.proof = KBP_BOUND;
	snprintf(p->info.note, sizeof(p->info.note), "%s", e->note);
	return 0;
fail:
	free(e);
	p->priv = NULL;
	return rc;
}

static void port_close(struct kbp_port *p)
{
	struct kbp_efvi_port *e = p->priv;

	ef_pd_free(&e->pd, e->dh);
	ef_driver_close(e->dh);
	free(e);
}

/* Filters steer: one queue serves all flows. */
static unsigned port_channels(const struct kbp_port *p)
{
	(void)p;
	return 1;
}

static void port_check(struct kbp_port *p)
{
	for (const struct kbp_queue_cold *c = p->queues; c; c = c->next)
		if (c->q->flags & KBP_QUEUE_RX)
			kbp_efvi_look(kbp_efvi_full_q(c->q));
}

/* ---------------------------------------------------------------- queue: VI */

static void note(struct kbp_efvi_full *f, const char *text)
{
	size_t n = strlen(f->note);

	snprintf(f->note + n, sizeof(f->note) - n, "%s%s", n ? "; " : "", text);
}

static uint32_t pow2_above(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

/* A ring size the adapter has: the mask of sizes is a capability. Nobody says: what was asked for. */
static uint32_t ring_size(struct kbp_port *p, enum ef_vi_capability cap, uint32_t wanted)
{
	struct kbp_efvi_port *e = p->priv;
	unsigned long sizes = kbp_efvi_cap(e->dh, &e->pd, (int)p->info.ifindex, cap);
	uint32_t size = wanted;

	for (size = wanted; sizes && size && !(sizes & size); size <<= 1)
		;
	for (uint32_t s = wanted; !size && s; s >>= 1)
		if (sizes & s)
			size = s;
	return size ? size : wanted;
}

static int vi_flags(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_efvi_full *f,
		    unsigned *flags, struct kbp_error *err)
{
	const struct kbp_efvi_port *e = p->priv;
	const uint32_t asked = c->opts.flags;

	/* checksums are ours in every mode: cut-through sends bytes as they are, X3 knows no other way */
	*flags = EF_VI_TX_IP_CSUM_DIS | EF_VI_TX_TCPUDP_CSUM_DIS;
	if (e->tx_mode == KBP_TX_MODE_CTPIO && asked & KBP_QUEUE_TX) /* no half frames on the wire */
		*flags |= EF_VI_TX_CTPIO | EF_VI_TX_CTPIO_NO_POISON;
	if (e->merging && asked & KBP_QUEUE_RX)
		*flags |= EF_VI_RX_EVENT_MERGE;
	if (asked & KBP_QUEUE_RX_STAMPS) {
		if (e->rx_stamps)
			*flags |= EF_VI_RX_TIMESTAMPS;
		else
			c->opts.flags &= ~(uint32_t)KBP_QUEUE_RX_STAMPS;
	}
	if (asked & KBP_QUEUE_TX_STAMPS) {
		if (e->tx_stamps)
			*flags |= EF_VI_TX_TIMESTAMPS;
		else
			c->opts.flags &= ~(uint32_t)KBP_QUEUE_TX_STAMPS;
	}
	if (asked == c->opts.flags)
		return 0;
	if (p->opts.flags & KBP_PORT_STRICT)
		return kbp_fail(err, -EOPNOTSUPP, "open an ef_vi queue",
				"the adapter does not stamp frames (a licence or the firmware variant may be "
				"missing: sfkey, sfboot), or open without KBP_PORT_STRICT");
	note(f, "the adapter does not stamp frames");
	return 0;
}

/* Of references a ring has no descriptors, its size says how many superbuffers there are. A held frame keeps
 * one of them, so there are a few more than the frames that may wait need. */
static uint32_t rx_wanted(const struct kbp_efvi_port *e, const struct kbp_queue_opts *o)
{
	uint32_t spare = o->hold_max < SPARE_SUPERBUFFERS ? o->hold_max : SPARE_SUPERBUFFERS;

	return e->refs ? pow2_above(o->rx_ring + spare * SUPERBUFFER_FRAMES) : o->rx_ring;
}

static int handle_open(struct kbp_port *p, ef_driver_handle *dh, bool *have, struct kbp_error *err)
{
	int rc = ef_driver_open(dh);

	*have = !rc;
	return rc ? kbp_failf(err, rc, open_hint(rc), "open the ef_vi driver for %s",
			      p->info.interface) :
		    0;
}

static int vi_alloc(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_efvi_full *f,
		    struct kbp_error *err)
{
	struct kbp_efvi_port *e = p->priv;
	uint32_t rxq = 0, txq = 0;
	unsigned flags;
	int rc = vi_flags(p, c, f, &flags, err);

	/* of its own: its descriptor wakes this queue's thread only */
	if (!rc)
		rc = handle_open(p, &f->dh, &f->have_dh, err);
	if (rc)
		return rc;
	if (c->opts.flags & KBP_QUEUE_RX)
		rxq = ring_size(p, EF_VI_CAP_RXQ_SIZES, rx_wanted(e, &c->opts));
	if (c->opts.flags & KBP_QUEUE_TX)
		txq = ring_size(p, EF_VI_CAP_TXQ_SIZES, c->opts.tx_ring);
	rc = ef_vi_alloc_from_pd(&f->x.vi, f->dh, &e->pd, e->dh, -1, (int)rxq, (int)txq, NULL, -1,
				 (enum ef_vi_flags)flags);
	if (rc < 0)
		return kbp_failf(err, rc,
				 rc == -EBUSY || rc == -ENOSPC || rc == -ENOMEM ?
					 "the adapter has no virtual interface or no memory left: close "
					 "others (see also the driver's module parameters)" :
					 open_hint(rc),
				 "allocate a virtual interface on %s with rings of %u and %u",
				 p->info.interface, rxq, txq);
	f->have_vi = true;
	/* masked errors would come as good frames */
	ef_vi_receive_set_discards(
		&f->x.vi, EF_VI_DISCARD_RX_L4_CSUM_ERR | EF_VI_DISCARD_RX_L3_CSUM_ERR |
				  EF_VI_DISCARD_RX_ETH_FCS_ERR | EF_VI_DISCARD_RX_ETH_LEN_ERR |
				  EF_VI_DISCARD_RX_INNER_L3_CSUM_ERR |
				  EF_VI_DISCARD_RX_INNER_L4_CSUM_ERR);
	if (rxq && !e->refs && (uint32_t)ef_vi_receive_buffer_len(&f->x.vi) > KBP_EFVI_BUFFER)
		return kbp_fail(err, -EINVAL, "open an ef_vi queue",
				"the adapter writes %d bytes into a buffer of %u",
				ef_vi_receive_buffer_len(&f->x.vi), KBP_EFVI_BUFFER);
	return 0;
}

static void tx_how_choose(struct kbp_port *p, struct kbp_efvi_full *f)
{
	struct kbp_efvi_port *e = p->priv;
	struct kbp_efvi_queue *x = &f->x;

	x->ct_threshold = CT_THRESHOLD;
	x->tx_how = KBP_TX_MODE_DMA;
	x->pio_slots = 0;
	if (e->tx_mode == KBP_TX_MODE_CTPIO)
		x->tx_how = KBP_TX_MODE_CTPIO;
	if (e->tx_mode != KBP_TX_MODE_PIO)
		return;
	if (ef_pio_alloc(&f->pio, f->dh, &e->pd, UINT_MAX, e->dh)) {
		note(f, "all of the adapter's PIO memory is in use: sending by DMA");
		return;
	}
	if (ef_pio_link_vi(&f->pio, f->dh, &x->vi, f->dh)) {
		ef_pio_free(&f->pio, f->dh);
		note(f, "the adapter's PIO memory could not be linked: sending by DMA");
		return;
	}
	f->have_pio = true;
	x->tx_how = KBP_TX_MODE_PIO;
	x->pio_slots = (uint32_t)ef_vi_get_pio_size(&x->vi) / KBP_EFVI_PIO_SLOT;
	if (x->pio_slots > KBP_EFVI_PIO_SLOTS)
		x->pio_slots = KBP_EFVI_PIO_SLOTS;
}

static void vi_free(struct kbp_efvi_full *f)
{
	if (f->have_pio) {
		ef_pio_unlink_vi(&f->pio, f->dh, &f->x.vi, f->dh);
		ef_pio_free(&f->pio, f->dh);
	}
	if (f->have_vi)
		ef_vi_free(&f->x.vi, f->dh);
	if (f->have_dh)
		ef_driver_close(f->dh);
	f->have_pio = f->have_vi = f->have_dh = false;
}

/* ---------------------------------------------------------------- queue: memory */

static int arrays_make(struct kbp_efvi_full *f, struct kbp_error *err)
{
	struct kbp_efvi_queue *x = &f->x;
	uint32_t n_buf = f->n_rx + f->n_tx + KBP_EFVI_TEMPLATES;
	uint32_t stash = pow2_above(x->refs ? STASH_REFS : f->n_rx + KBP_EFVI_EVENTS);
	uint32_t done = pow2_above(2 * n_buf); /* by reference, frames sent on come besides */

	f->dma = calloc(n_buf, sizeof(*f->dma));
	f->spare = calloc(f->n_rx + 1u, sizeof(*f->spare));
	f->next_part = calloc(f->n_rx + 1u, sizeof(*f->next_part));
	f->later = calloc(x->q.hold_max + KBP_EFVI_EVENTS + 1u, sizeof(*f->later));
	f->stash.frame = calloc(stash, sizeof(*f->stash.frame));
	f->stash.mask = stash - 1;
	f->done.c = calloc(done, sizeof(*f->done.c));
	f->done.mask = done - 1;
	x->tx_free = calloc(f->n_tx + 1u, sizeof(*x->tx_free));
	f->warm = aligned_alloc(CTPIO_BYTES, CTPIO_BYTES);
	if (f->dma && f->spare && f->next_part && f->later && f->stash.frame && f->done.c &&
	    x->tx_free && f->warm)
		return 0;
	return kbp_fail(err, -ENOMEM, "open an ef_vi queue", "out of memory");
}

static int memory_make(struct kbp_port *p, struct kbp_efvi_full *f, struct kbp_error *err)
{
	struct kbp_efvi_port *e = p->priv;
	uint32_t n_buf = f->n_rx + f->n_tx + KBP_EFVI_TEMPLATES;
	int rc = arrays_make(f, err);

	if (!rc)
		rc = kbp_memory_alloc(&f->mem,
				      ((size_t)n_buf * KBP_EFVI_BUFFER + PAGE - 1) / PAGE * PAGE,
				      p->info.numa_node, !(p->opts.flags & KBP_PORT_NO_HUGEPAGES),
				      err);
	if (rc)
		return rc;
	f->x.mem = f->mem.base;
	rc = ef_memreg_alloc(&f->mr, f->mr_dh, &e->pd, e->dh, f->mem.base, f->mem.bytes);
	if (rc)
		return kbp_failf(
			err, rc,
			rc == -ENOMEM || rc == -ENOSPC ?
				"locked memory is bounded (ulimit -l) or the adapter's table is full: "
				"smaller rings, or hugepages, which take fewer entries" :
				open_hint(rc),
			"register %zu bytes of packet memory with %s", f->mem.bytes,
			p->info.interface);
	f->have_mr = true;
	for (uint32_t i = 0; i < n_buf; i++)
		f->dma[i] = ef_memreg_dma_addr(&f->mr, (size_t)i * KBP_EFVI_BUFFER);
	return 0;
}

/* ---------------------------------------------------------------- queue: open and close */

static void queue_free(struct kbp_efvi_full *f)
{
	vi_free(f);
	if (f->have_mr)
		ef_memreg_free(&f->mr, f->mr_dh);
	if (f->have_mr_dh)
		ef_driver_close(f->mr_dh);
	kbp_memory_free(&f->mem);
	free(f->dma);
	free(f->spare);
	free(f->next_part);
	free(f->later);
	free(f->stash.frame);
	free(f->done.c);
	free(f->x.tx_free);
	free(f->warm);
	free(f);
}

static void sizes(struct kbp_queue_cold *c, struct kbp_efvi_full *f)
{
	uint32_t room;

	f->target = f->n_rx = f->n_tx = 0;
	if (c->opts.flags & KBP_QUEUE_TX)
		f->n_tx = (uint32_t)ef_vi_transmit_capacity(&f->x.vi);
	if (f->n_tx > c->opts.tx_ring)
		f->n_tx = c->opts.tx_ring;
	if (!(c->opts.flags & KBP_QUEUE_RX) || f->x.refs)
		return;
	/* the doorbell moves in steps of 8, and a ring holds one less than its size */
	room = (uint32_t)ef_vi_receive_capacity(&f->x.vi);
	f->target = (room < c->opts.rx_ring ? room : c->opts.rx_ring) & ~7u;
	f->n_rx = f->target + c->opts.hold_max;
}

static uint32_t chain_max(const struct kbp_port *p, const struct kbp_efvi_full *f)
{
	uint32_t bytes = p->info.mtu + 14u + 8u + (uint32_t)ef_vi_receive_prefix_len(&f->x.vi);
	uint32_t each = (uint32_t)ef_vi_receive_buffer_len(&f->x.vi), n = (bytes + each - 1) / each;

	return n < KBP_EFVI_PARTS ? n : KBP_EFVI_PARTS;
}

static int queue_open(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
		      struct kbp_error *err)
{
	const struct kbp_efvi_port *e = p->priv;
	struct kbp_efvi_full *f = aligned_alloc(64, (sizeof(*f) + 63) & ~63ul);
	int rc;

	if (!f)
		return kbp_fail(err, -ENOMEM, "open an ef_vi queue", "out of memory");
	memset(f, 0, sizeof(*f));
	f->x.refs = e->refs;
	f->x.q.hold_max = c->opts.hold_max;
	f->match = e->shared && c->opts.flags & KBP_QUEUE_RX;
	snprintf(f->note, sizeof(f->note), "%s", e->note);
	rc = handle_open(p, &f->mr_dh, &f->have_mr_dh, err);
	if (!rc)
		rc = vi_alloc(p, c, f, err);
	if (!rc) {
		sizes(c, f);
		rc = memory_make(p, f, err);
	}
	if (rc) {
		queue_free(f);
		return rc;
	}
	if (c->opts.flags & KBP_QUEUE_TX)
		tx_how_choose(p, f);
	f->x.q.flags = c->opts.flags;
	f->x.q.chain_max = 1;
	if (c->opts.flags & KBP_QUEUE_MULTI_BUFFER && !e->refs)
		f->x.q.chain_max = chain_max(p, f);
	else if (c->opts.flags & KBP_QUEUE_MULTI_BUFFER)
		note(f, "frames come in one piece on this datapath: those above 2 KiB do not come");
	f->told = f->x.vi.vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS;
	kbp_efvi_queue_sync(&f->x.q, KBP_SYNC_NEVER, false);
	kbp_efvi_stats_begin(f);
	kbp_efvi_bases(f, p);
	kbp_efvi_start(f);
	*q = &f->x.q;
	return 0;
}

static void queue_close(struct kbp_queue *q)
{
	queue_free(kbp_efvi_full_q(q));
}

static unsigned queue_drain(struct kbp_queue *q)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);

	if (f->x.dead)
		return 0;
	kbp_efvi_collect(f);
	return (unsigned)kbp_efvi_in_flight(f);
}

/* Buffers that are neither free nor in flight are with the caller. */
static unsigned queue_reserved(const struct kbp_queue *q)
{
	const struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	uint32_t away = f->n_tx - f->x.n_free;
	uint64_t sent = kbp_efvi_in_flight(f);

	if (f->x.dead)
		return 0;
	sent += f->done.in - f->done.out;
	sent -= f->strange;
	return away > sent ? away - (uint32_t)sent : 0;
}

/* The protection domain and the registered memory stay; the VI is a new one, on a new handle: the driver
 * keeps the old one, and its filters, until that is closed. */
static int queue_reopen(struct kbp_queue *q, struct kbp_error *err)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct kbp_queue_cold *c = kbp_cold(q);
	int rc;

	kbp_efvi_stats_keep(f);
	vi_free(f);
	snprintf(f->note, sizeof(f->note), "%s", ((struct kbp_efvi_port *)q->port->priv)->note);
	rc = vi_alloc(q->port, c, f, err);
	if (!rc)
		rc = kbp_efvi_filters_again(f, err);
	if (rc) {
		vi_free(f);
		kbp_efvi_stop(f);
		return rc;
	}
	if (c->opts.flags & KBP_QUEUE_TX)
		tx_how_choose(q->port, f);
	kbp_efvi_stats_begin(f);
	f->told = f->x.vi.vi_out_flags & EF_VI_OUT_CLOCK_SYNC_STATUS;
	f->tx_gone += kbp_efvi_in_flight(f);
	c->reserved = 0;
	kbp_efvi_start(f);
	return 0;
}

/* ---------------------------------------------------------------- queue: facts */

static int queue_fd(const struct kbp_queue *q)
{
	const struct kbp_efvi_full *f = kbp_efvi_full_q(q);

	return f->have_dh ? f->dh : -1;
}

/* Right before the thread sleeps: the event queue is asked to wake the descriptor. */
static bool queue_pending(struct kbp_queue *q)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);

	if (f->stash.out != f->stash.whole)
		return true;
	if (f->x.dead)
		return false;
	if (!ef_eventq_has_event(&f->x.vi))
		ef_vi_prime(&f->x.vi, f->dh, ef_eventq_current(&f->x.vi));
	return ef_eventq_has_event(&f->x.vi) != 0;
}

/* ---------------------------------------------------------------- the module */

const struct kbp_backend KBP_EFVI_BACKEND = {
	.name = KBP_EFVI_NAME,
	.kind = KBP_HOT_EF_VI_KIND,
	.l2 = true,
	.no_device = KBP_EFVI_EMULATED,
	.emulated = KBP_EFVI_EMULATED,
	.port_open = port_open,
	.port_close = port_close,
	.port_channels = port_channels,
	.port_check = port_check,
	.tick_ms = LOOK_MS,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.queue_drain = queue_drain,
	.queue_reserved = queue_reserved,
	.queue_reopen = queue_reopen,
	.queue_info = kbp_efvi_queue_info,
	.queue_fd = queue_fd,
	.queue_pending = queue_pending,
	.queue_sync = kbp_efvi_queue_sync,
	.queue_counters = kbp_efvi_queue_counters,
	.flow_add = kbp_efvi_flow_add,
	.flow_del = kbp_efvi_flow_del,
	.txflow_open = kbp_efvi_txflow_open,
	.tx_warm = kbp_efvi_tx_warm,
	.template_open = kbp_efvi_template_open,
	.template_busy = kbp_efvi_template_busy,
	.template_send = kbp_efvi_template_send,
	.template_close = kbp_efvi_template_close,
};

KBP_MODULE(KBP_EFVI_BACKEND);
