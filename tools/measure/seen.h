/* SPDX-License-Identifier: BSD-2-Clause */
/* seen.h - a frame as it is kept. */
#ifndef KBP_MEASURE_SEEN_H
#define KBP_MEASURE_SEEN_H

#include <stdint.h>

/* A frame as the sender meant it, or as the receiver saw it. The payload is never touched: no stamp
 * and no sequence number is written into it, so captures replay byte for byte. */
struct kbp_seen {
	uint64_t ticks; /* sent: intended send time; received: when the application held the
			 * pointer */
	uint64_t hash;	/* XXH3-64 of the UDP payload */
	uint32_t len;	/* payload bytes */
	uint32_t flow;	/* index into the schedule's flows */
};

#endif
