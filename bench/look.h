/* SPDX-License-Identifier: BSD-2-Clause */
/* look.h - what the handlers of all measurements here do with a frame that arrived, in a raw loop and in ours. */
#ifndef KBP_BENCH_LOOK_H
#define KBP_BENCH_LOOK_H

#include <string.h>

#include <kbypass/hot.h>

#include "overhead.h"

KBP_INLINE void look(struct seen *s, const uint8_t *data, uint32_t len)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	s->words += word;
	s->bytes += len;
}

KBP_INLINE void raw_look(const uint8_t *data, uint32_t len, void *arg)
{
	look((struct seen *)arg, data, len);
}

KBP_INLINE unsigned each_look(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	look((struct seen *)arg, (const uint8_t *)f.data, f.len);
	return KBP_DONE;
}

#endif
