/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.h - look into a running program's counters from another one. */
#ifndef KBYPASS_COUNTERS_H
#define KBYPASS_COUNTERS_H

#include <kbypass/kbypass.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The counters file: shared memory that any process may map and read while the owner runs.
 * A header, then `n_desc` descriptors, then the values. Values are native 64-bit words written
 * without locks by one thread each. The owner holds a write lock (F_OFD_SETLK) on byte 0: no lock,
 * no owner. */
#define KBP_COUNTERS_MAGIC \
	0x31544e434250424bull /* "KBPBCNT1" as stored on little-endian machines */
#define KBP_COUNTERS_VERSION 1u

struct kbp_counters_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* offset of the first descriptor */
	uint32_t desc_bytes;   /* size of one descriptor */
	uint32_t n_desc;       /* grows while the owner runs: read with acquire */
	uint32_t file_bytes;
	int32_t pid;
	uint64_t start_ns; /* CLOCK_REALTIME at creation */
	char label[32];
	char backend[16];
	uint8_t reserved[40];
};

enum kbp_value_type {
	KBP_VALUE_COUNTER = 1,	 /* only grows */
	KBP_VALUE_GAUGE = 2,	 /* now */
	KBP_VALUE_HIGH_MARK = 3, /* largest seen */
	KBP_VALUE_HEARTBEAT = 4, /* a counter that moves as long as the hot loop turns */
	KBP_VALUE_HISTOGRAM = 5, /* n_words buckets; bounds as `unit` and `scale` say */
};

struct kbp_counters_desc {
	char name[32];
	char unit[12];	  /* "frames", "polls", "bytes", "ns" */
	uint16_t type;	  /* enum kbp_value_type */
	uint16_t cls;	  /* enum kbp_count_class */
	uint32_t queue;	  /* channel; UINT32_MAX: the port */
	uint32_t offset;  /* of the first word in the file */
	uint32_t n_words; /* 1, or the buckets of a histogram */
	uint32_t scale;	  /* histogram: sub-buckets per power of two */
};

KBP_STATIC_ASSERT(sizeof(struct kbp_counters_header) == 128, "part of the file format");
KBP_STATIC_ASSERT(sizeof(struct kbp_counters_desc) == 64, "part of the file format");

struct kbp_counters; /* a reader's view */

/* kbp_counters_open - map another process's counters file, read only.
 *
 * Returns:  0 and *view, or -errno and *view = NULL.
 * Errors:   -ENOENT, -EACCES; -EPROTO not a counters file or one of another version; -EBADMSG
 *           damaged.
 * Owns:     the caller owns *view until kbp_counters_close.
 * Blocks:   briefly; enters the kernel.
 * Threads:  any. */
KBP_API int kbp_counters_open(const char *path, struct kbp_counters **view, struct kbp_error *err);

/* kbp_counters_header - who writes this file.
 *
 * Returns:  the mapped header.
 * Owns:     the view owns it.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const struct kbp_counters_header *kbp_counters_header(const struct kbp_counters *view);

/* kbp_counters_at - the i-th descriptor and its words.
 *
 * Returns:  the descriptor and *words, or NULL when there are no more (or the file is damaged
 *           there).
 * Owns:     the view owns both; words[0..desc->n_words) move while you look: load each once.
 * Blocks:   never.
 * Threads:  any.
 * Fence:    acquire on n_desc; pairs with the release when the owner adds descriptors. */
KBP_API const struct kbp_counters_desc *kbp_counters_at(const struct kbp_counters *view, unsigned i,
							const uint64_t **words);

/* kbp_counters_alive - does the owner still run?
 *
 * Returns:  true while the owner holds its lock.
 * Owns:     nothing changes hands.
 * Blocks:   never; enters the kernel.
 * Threads:  any. */
KBP_API bool kbp_counters_alive(const struct kbp_counters *view);

/* kbp_counters_close - unmap.
 *
 * Returns:  nothing.
 * Owns:     view is gone.
 * Blocks:   never.
 * Threads:  any. NULL is fine. */
KBP_API void kbp_counters_close(struct kbp_counters *view);

#ifdef __cplusplus
}
#endif
#endif
