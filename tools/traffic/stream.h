/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - a file's bytes, unpacked when it is gzip. zlib's own gz* calls drop what they had
 * unpacked of a block when the checksum behind it turns out wrong; here everything that was
 * readable is handed out first.
 */
#ifndef KBP_TRAFFIC_STREAM_H
#define KBP_TRAFFIC_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <zlib.h>

struct kbp_stream {
	int fd;
	bool gzip;
	bool ended;	    /* no more bytes will come */
	bool damaged;	    /* ... because the rest cannot be unpacked */
	uint64_t offset;    /* bytes handed out */
	char complaint[96]; /* what is wrong with the packing; "" */
	z_stream z;
	uint8_t in[64 << 10];
};

/* Takes the descriptor over, also when it fails. Returns NULL with errno set. */
struct kbp_stream *kbp_stream_open(int fd);
/* As read(2): 0 at the end; -1 with errno EIO after the last byte before the damage. */
ssize_t kbp_stream_read(struct kbp_stream *s, void *buf, size_t n);
void kbp_stream_close(struct kbp_stream *s);

#endif
