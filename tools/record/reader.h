/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.h - packets of a pcapng or pcap file with their comments, which libpcap does not give. Every length is
 * checked before it is used. Nothing here is installed.
 */
#ifndef KBP_RECORD_READER_H
#define KBP_RECORD_READER_H

#include <kbypass/record.h>

struct kbp_reader;

struct kbp_reader_packet {
	bool timed;
	bool ours;	     /* of a section that this library wrote */
	uint64_t ns;	     /* UTC, with `timed` */
	const char *comment; /* the first that begins with "sync=", valid until the next call; NULL: none */
	size_t comment_len;
	uint32_t captured, original;
	uint64_t drops;	      /* before it, by this interface; 0: none, or not told */
	const uint8_t *bytes; /* captured bytes, valid until the next call; pcap: NULL */
};

int kbp_reader_open(const char *path, struct kbp_reader **out, struct kbp_error *err);
/* 1 and *p; 0 at the end (*cut: within a block); -EBADMSG or -ENOMEM with *err. */
int kbp_reader_next(struct kbp_reader *r, struct kbp_reader_packet *p, bool *cut,
		    struct kbp_error *err);
/* Bytes of whole blocks read. */
uint64_t kbp_reader_at(const struct kbp_reader *r);
void kbp_reader_close(struct kbp_reader *r);

#endif
