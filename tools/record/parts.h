/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.h - what the parts of the recorder share: the ring (ring.c, the hot thread's half), the writer
 * (recorder.c) and its files (files.c). Nothing here is installed.
 */
#ifndef KBP_RECORD_PARTS_H
#define KBP_RECORD_PARTS_H

#include <limits.h>
#include <pthread.h>

#include <kbypass/record.h>

#include "tools/record/pcapng.h"

#define KBP_REC_SNAPLEN_MAX 262144u /* what Wireshark takes */
#define KBP_REC_BUFFER (1u << 20)   /* of the writer: several of the largest blocks */
#define KBP_REC_SCHEMA "kbypass.capture/1"
#define KBP_LINKTYPE_ETHERNET 1u
#define KBP_LINKTYPE_RAW 101u

enum kbp_rec_kind { KBP_REC_BYTES = 0, KBP_REC_DATAGRAM, KBP_REC_WRAP };

/* In front of the bytes in the ring. */
struct kbp_rec_head {
	uint32_t size; /* of the whole record: a multiple of 8 */
	uint8_t kind;
	uint8_t source;
	uint16_t ts_flags;
	uint32_t len, original_len; /* DATAGRAM: of the payload */
	uint64_t ts_ns;
	uint64_t app_ns;  /* CLOCK_REALTIME */
	uint64_t mono_ns; /* CLOCK_MONOTONIC, at the same moment */
	uint64_t lost;	  /* packets of this source dropped by the recorder right before */
};

/* Behind the head of a DATAGRAM: the writer makes the headers up from it. */
struct kbp_rec_ends {
	struct kbp_addr src, dst;
	uint16_t src_port, dst_port;
	uint16_t pad;
};

_Static_assert(sizeof(struct kbp_rec_head) == 48 && sizeof(struct kbp_rec_ends) == 40,
	       "multiples of 8");

struct kbp_rec_source {
	struct kbp_queue *q; /* NULL: none */
	struct kbp_clock *clock;
	char name[64];
	char description[320];
	uint16_t linktype;
	bool datagrams; /* frames are no Ethernet frames */
	bool first_of_port;
	enum kbp_ts_source ts_source;
	enum kbp_proof ts_proof;
	enum kbp_epoch ts_epoch;
	int32_t ts_phc;
	uint32_t ts_resolution_ps;
	/* the hot thread's */
	uint64_t lost; /* since the last packet that found room */
	uint64_t received, overrun;
	/* the writer's */
	uint64_t looked_ns; /* when ts_proof was last asked for */
	bool clock_asked;   /* clock_of was, for this ts_epoch and ts_phc */
	uint64_t put;	    /* packets given to files and not lost there */
	uint64_t put_here;  /* of them, in this file */
	uint64_t unwritten; /* lost there */
	int32_t id;	    /* number in this file; -1: not described yet */
};

struct kbp_recorder {
	/* the hot thread's lines */
	uint64_t head __attribute__((aligned(64))); /* bytes ever put in the ring */
	uint64_t tail_seen;
	uint64_t received, overrun, shortened, fill_max;
	uint8_t pad[16];
	/* the writer's lines */
	uint64_t tail __attribute__((aligned(64))); /* bytes ever taken out */
	uint64_t written, unwritten, taken, unsettled;
	uint64_t sync[3], source_used[4];
	uint64_t bytes, files;
	int32_t code;
	uint8_t pad2[12];
	/* both read */
	uint8_t *ring __attribute__((aligned(64)));
	uint64_t ring_bytes;
	struct kbp_recorder_opts o;
	struct kbp_rec_source src[KBP_RECORD_SOURCES_MAX];
	unsigned n_src;
	uint32_t stop;
	pthread_t thread;
	/* the writer's own */
	struct kbp_png buf;
	uint64_t buffered;   /* packets in buf */
	uint64_t flushed_ns; /* CLOCK_MONOTONIC */
	uint64_t start_utc_ns;
	int fd;
	bool regular;
	bool made;		/* it was not there before */
	bool old;		/* what was in it before still is: until the first flush */
	bool abandoned;		/* nothing of this run is to stay */
	uint64_t file_bytes;	/* of this file, in the kernel's hands */
	uint64_t file_packets;	/* of this file, buf included */
	uint64_t file_since_ns; /* CLOCK_MONOTONIC of its first packet */
	uint32_t ids;		/* interfaces described in this file */
	char hardware[128], os[256];
	char **kept;	      /* names of the last opts.keep files, a ring */
	pthread_mutex_t lock; /* of path */
	char path[PATH_MAX];
	char base[PATH_MAX]; /* opts.path, copied */
};

uint64_t kbp_rec_clock(clockid_t id);

/* ---------------------------------------------------------------- ring.c */

/* The record at the tail, or NULL; *fill is how many bytes wait. */
const struct kbp_rec_head *kbp_rec_first(struct kbp_recorder *rec, uint64_t *fill);
void kbp_rec_pop(struct kbp_recorder *rec, const struct kbp_rec_head *h);

/* ---------------------------------------------------------------- files.c: 0, or the -errno in rec->code */

int kbp_rec_file_open(struct kbp_recorder *rec, struct kbp_error *err);
/* One packet of source `s`; p->interface is filled in here. Rotates before it where that is due. */
void kbp_rec_file_put(struct kbp_recorder *rec, struct kbp_rec_source *s, struct kbp_png_packet *p);
int kbp_rec_flush(struct kbp_recorder *rec);
/* Rotates when the time is up. */
void kbp_rec_file_tick(struct kbp_recorder *rec, uint64_t now_ns);
/* Statistics, flush, close. */
void kbp_rec_file_close(struct kbp_recorder *rec);
/* Close it as if nobody had opened it, before the first packet. */
void kbp_rec_file_abandon(struct kbp_recorder *rec);

#endif
