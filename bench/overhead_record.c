/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overhead_record.c - what keeping a sample adds to a handler: tools/measure/record.h as `kbypass bench` compiles it.
 *
 * Both handlers get the frame, read the clock and look at the first bytes and the length. "raw" ends there, with all
 * that a record is made of in registers; "inline" keeps it. Read as overhead.c is, by bench/overhead.py. Without
 * valgrind it runs and checks the records, and measures nothing.
 */
#undef KBP_HOT_EF_VI_SIM

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#include <kbypass/hot.h>

#include "look.h"

#include "../lib/internal.h"
#include "../tools/clock/tsc.h"
#include "../tools/measure/record.h"

#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif

#define FRAMES 16384u /* a multiple of every burst */
#define WARM 1024u
#define FLOW 3u

struct bench {
	struct kbp_queue q;
	struct kbp_record rec;
	struct seen seen;
	struct kbp_seen records[2 * FRAMES];
	uint64_t stamps[2 * FRAMES];
	uint8_t packet[FRAME_BYTES];
};

/* A queue of a program's own: as many frames as are asked for, all of them alike. */
static unsigned peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	struct bench *b = q->priv;

	for (unsigned i = 0; i < max; i++) {
		memset(&f[i], 0, sizeof(f[i]));
		f[i].data = b->packet;
		f[i].len = FRAME_BYTES;
		f[i].token = FLOW;
	}
	return max;
}

static void release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	(void)q;
	(void)f;
	(void)n;
}

/* The flow stands where a look-up in a table would be, the first bytes where the payload's hash would. */
KBP_INLINE unsigned handle(const struct kbp_frame *f, struct bench *b, bool keep)
{
	uint64_t ticks = kbp_tsc_now(), hash;
	int flow = (int)f->token;

	look(&b->seen, f->data, f->len);
	memcpy(&hash, f->data, sizeof(hash));
	__asm__ volatile("" : "+r"(ticks), "+r"(hash), "+r"(flow));
	if (keep && kbp_record_wants(&b->rec, flow))
		kbp_record_add(&b->rec, ticks, f->ts_ns, hash, f->len, flow);
	return KBP_DONE;
}

KBP_INLINE unsigned on_frame_alone(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	return handle(&f, (struct bench *)arg, false);
}

KBP_INLINE unsigned on_frame_kept(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	return handle(&f, (struct bench *)arg, true);
}

static __attribute__((noinline)) void run_alone(struct bench *b, unsigned burst, unsigned bursts)
{
	for (unsigned i = 0; i < bursts; i++)
		kbp_rx_each(kbp_rx_as(&b->q, KBP_KIND_USER), burst, on_frame_alone, b);
}

static __attribute__((noinline)) void run_kept(struct bench *b, unsigned burst, unsigned bursts)
{
	for (unsigned i = 0; i < bursts; i++)
		kbp_rx_each(kbp_rx_as(&b->q, KBP_KIND_USER), burst, on_frame_kept, b);
}

static const struct form {
	const char *name;
	void (*run)(struct bench *b, unsigned burst, unsigned bursts);
	bool kept, stamps;
} forms[] = {
	{ "record/rx/raw", run_alone, false, false },
	{ "record/rx/inline", run_kept, true, false },
	{ "record-stamps/rx/raw", run_alone, false, true },
	{ "record-stamps/rx/inline", run_kept, true, true },
};

static bool right(const struct bench *b, const struct form *f, unsigned frames)
{
	const struct kbp_seen *last = b->rec.next - 1;

	if (b->seen.bytes != (uint64_t)frames * FRAME_BYTES)
		return false;
	if (!f->kept)
		return b->rec.next == b->rec.first;
	return (size_t)(b->rec.next - b->rec.first) == frames && last->len == FRAME_BYTES &&
	       last->flow == FLOW && last->ticks && last->hash && !b->rec.overflow;
}

static int measure(struct bench *b, const struct form *f, unsigned burst, unsigned frames)
{
	char name[64];

	memset(&b->seen, 0, sizeof(b->seen));
	kbp_record_init(&b->rec, b->records, KBP_ARRAY_SIZE(b->records));
	if (f->stamps)
		kbp_record_stamps(&b->rec, b->stamps);
	snprintf(name, sizeof(name), COMPILER "/%s/%u/%u", f->name, burst, frames);
	CALLGRIND_ZERO_STATS;
	f->run(b, burst, frames / burst);
	CALLGRIND_DUMP_STATS_AT(name);
	if (right(b, f, frames))
		return 0;
	fprintf(stderr, "overhead_record: %s: other records than frames\n", name);
	return -1;
}

int main(void)
{
	static const unsigned bursts[] = { 1, 8, 32 };
	struct bench *b = calloc(1, sizeof(*b));

	if (!b)
		return 2;
	memset(b->packet, 1, sizeof(b->packet));
	b->q.kind = KBP_KIND_USER;
	b->q.priv = b;
	b->q.rx_peek = peek;
	b->q.rx_release = b->q.rx_putback = release;
	CALLGRIND_START_INSTRUMENTATION;
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(forms); i++)
		for (unsigned k = 0; k < KBP_ARRAY_SIZE(bursts); k++)
			if (measure(b, &forms[i], bursts[k], WARM) ||
			    measure(b, &forms[i], bursts[k], FRAMES) ||
			    measure(b, &forms[i], bursts[k], 2 * FRAMES))
				return 1;
	free(b);
	return 0;
}
