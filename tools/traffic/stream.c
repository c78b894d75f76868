/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/traffic/stream.h"

#define GZIP_ONLY (15 + 16) /* largest window, gzip header and trailer (zlib.h, inflateInit2) */

/* More input behind what is there. False at the end of the file. */
static bool fill(struct kbp_stream *s)
{
	ssize_t got;

	if (s->z.avail_in)
		memmove(s->in, s->z.next_in, s->z.avail_in);
	s->z.next_in = s->in;
	do {
		got = read(s->fd, s->in + s->z.avail_in, sizeof(s->in) - s->z.avail_in);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		snprintf(s->complaint, sizeof(s->complaint), "%s", strerror(errno));
	s->damaged = s->damaged || got < 0;
	s->z.avail_in += got > 0 ? (unsigned)got : 0;
	return got > 0;
}

/* Two bytes tell gzip (RFC 1952, 2.3.1). */
static bool at_gzip(struct kbp_stream *s)
{
	while (s->z.avail_in < 2 && fill(s))
		;
	return s->z.avail_in >= 2 && s->z.next_in[0] == 0x1f && s->z.next_in[1] == 0x8b;
}

struct kbp_stream *kbp_stream_open(int fd)
{
	struct kbp_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	s->fd = fd;
	s->gzip = at_gzip(s);
	if (s->gzip && inflateInit2(&s->z, GZIP_ONLY) != Z_OK) {
		s->gzip = false;
		kbp_stream_close(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void kbp_stream_close(struct kbp_stream *s)
{
	if (s->gzip)
		inflateEnd(&s->z);
	close(s->fd);
	free(s);
}

/* One step of unpacking into z.next_out. */
static void unpack(struct kbp_stream *s)
{
	int rc;

	if (!s->z.avail_in && !fill(s)) {
		s->ended = true;
		if (!s->damaged)
			strcpy(s->complaint, "the gzip stream ends early");
		return;
	}
	rc = inflate(&s->z, Z_NO_FLUSH);
	if (rc == Z_STREAM_END) { /* another member may follow; what else does is no gzip's */
		s->ended = !at_gzip(s);
		if (!s->ended)
			inflateReset(&s->z);
	} else if (rc != Z_OK && rc != Z_BUF_ERROR) {
		s->ended = s->damaged = true;
		snprintf(s->complaint, sizeof(s->complaint), "the gzip stream is damaged: %s",
			 s->z.msg ? s->z.msg : "no reason given");
	}
}

static size_t copy(struct kbp_stream *s, void *buf, size_t n)
{
	if (!s->z.avail_in && !fill(s)) {
		s->ended = true;
		return 0;
	}
	n = n < s->z.avail_in ? n : s->z.avail_in;
	memcpy(buf, s->z.next_in, n);
	s->z.next_in += n;
	s->z.avail_in -= (unsigned)n;
	return n;
}

ssize_t kbp_stream_read(struct kbp_stream *s, void *buf, size_t n)
{
	size_t got = 0;

	n = n < INT32_MAX ? n : INT32_MAX;
	if (s->gzip) {
		s->z.next_out = buf;
		s->z.avail_out = (unsigned)n;
		while (s->z.avail_out && !s->ended)
			unpack(s);
		got = n - s->z.avail_out;
	} else if (!s->ended) {
		got = copy(s, buf, n);
	}
	s->offset += got;
	if (!got && n && s->damaged) {
		errno = EIO;
		return -1;
	}
	return (ssize_t)got;
}
