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

/* The same, and when it came, by a clock that is in sync or not. */
KBP_INLINE void look_stamped(struct seen *s, const uint8_t *data, uint32_t len, uint64_t ns,
			     bool in_sync)
{
	look(s, data, len);
	s->ns += ns;
	s->in_sync += in_sync;
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

KBP_INLINE unsigned each_look_stamped(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp s = kbp_frame_ts(rx, &f);

	look_stamped((struct seen *)arg, (const uint8_t *)f.data, f.len, s.ns, kbp_stamp_in_sync(s));
	return KBP_DONE;
}

#endif
