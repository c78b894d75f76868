/* SPDX-License-Identifier: BSD-2-Clause */
/* profile_bed.h - the two ends of a wire that a profile is measured on, in the hands of one thread. */
#ifndef KBP_TOOLS_MEASURE_PROFILE_BED_H
#define KBP_TOOLS_MEASURE_PROFILE_BED_H

#include "tools/measure/parts.h"

#define KBP_BED_BURST 32u
#define KBP_BED_APART_NS 20000u /* frames sent together arrive within that of each other, each */

/* A queue that receives, and what arrives at it. */
struct kbp_bed_target {
	struct kbp_queue *q;
	struct kbp_txflow *feed;
};

/* Two ports on one wire, and what goes over it. */
struct kbp_bed {
	const struct kbp_profile_work *w;
	struct kbp_port *rx_port, *tx_port;
	struct kbp_bed_target target[2]; /* without and with receive stamps */
	struct kbp_queue *txq;
	struct kbp_txflow *aside; /* arrives at nobody's queue */
	struct kbp_tx tx;	  /* of aside */
	/* the target in use */
	struct kbp_queue *rxq;
	struct kbp_rx rx;
	struct kbp_txflow *feed;
	bool inline_form, emulated, virtual_device, zerocopy;
	bool both;	   /* targets are open at once: an adapter tells their flows apart */
	uint32_t out;	   /* frames sent to rxq that it has not handed over */
	uint64_t apart_ns; /* what frames behind the first one are given to arrive */
	/* what handlers see and do */
	uint64_t end;
	uint64_t words; /* of frames read and stamps taken: so that they are */
	uint32_t n_kept, want_kept;
	struct kbp_frame kept[KBP_BED_BURST];
};

/* Ports, queues, flows; then the target without stamps is in use. */
int kbp_bed_open(struct kbp_bed *b, struct kbp_error *err);
void kbp_bed_close(struct kbp_bed *b);
/* The queue without or with receive stamps is in use from now on; where there is room for one, the other is closed. */
int kbp_bed_use(struct kbp_bed *b, bool stamps, struct kbp_error *err);

#endif
