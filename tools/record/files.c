/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files.c - the files a recorder writes: each whole in itself, blocks never split by us. What a disk did not take
 * is cut off behind the last whole block and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/internal.h"
#include "tools/record/parts.h"

#define SUFFIX ".pcapng"
#define COUNTERS_MAX 96u
#define STATS_TEXT 2048u

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void fail(struct kbp_recorder *rec, int code)
{
	if (!rec->code)
		__atomic_store_n(&rec->code, code, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- what is in the buffer */

static uint32_t word_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Bytes of whole blocks among the first `n` of the buffer, and how many of them are packets. */
static size_t whole_blocks(const struct kbp_recorder *rec, size_t n, uint64_t *packets)
{
	size_t at = 0;

	*packets = 0;
	while (at < rec->buf.len && at + word_at(rec->buf.p + at + 4) <= n) {
		*packets += word_at(rec->buf.p + at) == KBP_PNG_EPB;
		at += word_at(rec->buf.p + at + 4);
	}
	return at;
}

static void forget_packet(struct kbp_recorder *rec, uint32_t id)
{
	count(&rec->unwritten, 1);
	rec->file_packets--;
	for (unsigned i = 0; i < rec->n_src; i++) {
		if (rec->src[i].id == (int32_t)id) {
			rec->src[i].put--;
			rec->src[i].put_here--;
			rec->src[i].unwritten++;
		}
	}
}

/* The blocks from there on are lost: packets, and interfaces that statistics must not name any more. */
static void forget(struct kbp_recorder *rec, size_t from)
{
	uint32_t interfaces = 0;

	for (size_t at = from; at < rec->buf.len; at += word_at(rec->buf.p + at + 4)) {
		if (word_at(rec->buf.p + at) == KBP_PNG_EPB)
			forget_packet(rec, word_at(rec->buf.p + at + 8));
		interfaces += word_at(rec->buf.p + at) == KBP_PNG_IDB;
	}
	rec->ids -= interfaces;
	for (unsigned i = 0; i < rec->n_src; i++) {
		if (rec->src[i].id >= (int32_t)rec->ids)
			rec->src[i].id = -1;
	}
}

int kbp_rec_flush(struct kbp_recorder *rec)
{
	size_t done = 0, whole;
	uint64_t packets;
	int code = 0;

	rec->flushed_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	if (!rec->buf.len)
		return rec->code;
	if (rec->old && ftruncate(rec->fd, 0))
		code = -errno;
	rec->old = false;
	while (done < rec->buf.len && !code) {
		ssize_t n = write(rec->fd, rec->buf.p + done, rec->buf.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			code = n == 0 ? -EIO : -errno;
	}
	whole = whole_blocks(rec, done, &packets);
	count(&rec->written, packets);
	count(&rec->bytes, whole);
	rec->file_bytes += whole;
	if (code) {
		fail(rec, code);
		forget(rec, whole);
		/* the place goes back too: statistics may still follow. Fails on what is no regular file */
		if (done > whole && !ftruncate(rec->fd, (off_t)rec->file_bytes))
			lseek(rec->fd, (off_t)rec->file_bytes, SEEK_SET);
	}
	rec->buf.len = 0;
	rec->buffered = 0;
	return code;
}

/* ---------------------------------------------------------------- statistics */

struct named {
	uint64_t drops;
	char text[STATS_TEXT];
};

static void queue_drops(const struct kbp_rec_source *s, struct named *n)
{
	struct kbp_counter c[COUNTERS_MAX];
	unsigned known = s->q ? kbp_queue_counters(s->q, c, COUNTERS_MAX) : 0;
	size_t at = strlen(n->text);

	for (unsigned i = 0; i < known && i < COUNTERS_MAX; i++) {
		if (c[i].cls != KBP_COUNT_DROP || (c[i].interface_wide && !s->first_of_port))
			continue;
		n->drops += c[i].value;
		if (at < sizeof(n->text))
			at += (size_t)snprintf(n->text + at, sizeof(n->text) - at, " %s=%llu",
					       c[i].name, (unsigned long long)c[i].value);
	}
}

/* A statistics block for one interface: totals since the capture began. */
static void stats_put(struct kbp_recorder *rec, const struct kbp_rec_source *s)
{
	uint64_t received = __atomic_load_n(&s->received, __ATOMIC_RELAXED);
	uint64_t overrun = __atomic_load_n(&s->overrun, __ATOMIC_RELAXED);
	struct kbp_png_stats st = { .interface = (uint32_t)s->id,
				    .start_ns = rec->start_utc_ns,
				    .ifdrop = KBP_PNG_NONE,
				    .filteraccept = KBP_PNG_NONE,
				    .osdrop = KBP_PNG_NONE,
				    .usrdeliv = s->put };
	struct named n = { 0 };

	st.ts_ns = st.end_ns = kbp_rec_clock(CLOCK_REALTIME);
	snprintf(n.text, sizeof(n.text),
		 "received=%llu written=%llu in_this_file=%llu capture_overrun=%llu capture_unwritten=%llu waiting=%llu",
		 (unsigned long long)received, (unsigned long long)s->put,
		 (unsigned long long)s->put_here, (unsigned long long)overrun,
		 (unsigned long long)s->unwritten,
		 (unsigned long long)(received - s->put - overrun - s->unwritten));
	queue_drops(s, &n);
	if (s->q) {
		bool kernel = s->q->kind == KBP_SOCKET || s->q->kind == KBP_AF_XDP;

		*(kernel ? &st.osdrop : &st.ifdrop) = n.drops;
		st.filteraccept = received + n.drops;
	}
	st.comment = n.text;
	kbp_png_stats(&rec->buf, &st);
}

/* ---------------------------------------------------------------- opening, closing */

static void name_next(const struct kbp_recorder *rec, char *path, size_t size)
{
	size_t stem = strlen(rec->base), suffix = strlen(SUFFIX);
	time_t now = (time_t)(kbp_rec_clock(CLOCK_REALTIME) / 1000000000u);
	char when[32];
	struct tm tm;

	if (!rec->o.rotate_bytes && !rec->o.rotate_ns) {
		snprintf(path, size, "%s", rec->base);
		return;
	}
	if (stem > suffix && !strcmp(rec->base + stem - suffix, SUFFIX))
		stem -= suffix;
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(path, size, "%.*s_%05llu_%s" SUFFIX, (int)stem, rec->base,
		 (unsigned long long)rec->files + 1, when);
}

/* The file that is one too many, when this one is kept. */
static void keep(struct kbp_recorder *rec, const char *path)
{
	char **slot;

	if (!rec->o.keep)
		return;
	slot = &rec->kept[rec->files % rec->o.keep];
	if (*slot)
		unlink(*slot);
	free(*slot);
	*slot = strdup(path);
}

static int section_put(struct kbp_recorder *rec)
{
	char application[64];

	snprintf(application, sizeof(application), "kbypass %s", kbp_version());
	rec->ids = 0;
	rec->file_bytes = rec->file_packets = 0;
	for (unsigned i = 0; i < rec->n_src; i++) {
		rec->src[i].id = -1;
		rec->src[i].put_here = 0;
	}
	return kbp_png_section(&rec->buf, rec->hardware, rec->os, application,
			       KBP_REC_SCHEMA
			       ": the comment of each packet says what its time is worth") ?
		       0 :
		       -ENOSPC;
}

int kbp_rec_file_open(struct kbp_recorder *rec, struct kbp_error *err)
{
	char path[PATH_MAX];
	struct stat st;

	name_next(rec, path, sizeof(path));
	rec->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	rec->made = rec->fd >= 0;
	if (rec->fd < 0 && errno == EEXIST && rec->o.force)
		rec->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (rec->fd < 0) {
		int code = -errno;

		fail(rec, code);
		return kbp_failf(
			err, code,
			code == -EEXIST ?
				"it is there already: choose another name, or overwrite it with --force" :
				strerror(-code),
			"create the capture file %.60s", path);
	}
	rec->regular = !fstat(rec->fd, &st) && S_ISREG(st.st_mode);
	rec->old = rec->regular && !rec->made;
	pthread_mutex_lock(&rec->lock);
	memcpy(rec->path, path, sizeof(rec->path));
	pthread_mutex_unlock(&rec->lock);
	keep(rec, path);
	count(&rec->files, 1);
	return section_put(rec);
}

static void interface_put(struct kbp_recorder *rec, struct kbp_rec_source *s);

void kbp_rec_file_close(struct kbp_recorder *rec)
{
	if (rec->fd < 0)
		return;
	if (rec->buf.cap - rec->buf.len <
	    rec->n_src * KBP_PNG_ROOM(0, STATS_TEXT + sizeof(rec->src->description)))
		kbp_rec_flush(rec);
	/* a file whose very beginning found no room stays empty */
	for (unsigned i = 0; i < rec->n_src && (rec->file_bytes || rec->buf.len); i++) {
		if (rec->src[i].id < 0)
			interface_put(rec, &rec->src[i]);
		if (rec->src[i].id >= 0)
			stats_put(rec, &rec->src[i]);
	}
	kbp_rec_flush(rec);
	if (close(rec->fd))
		fail(rec, -errno);
	rec->fd = -1;
}

void kbp_rec_file_abandon(struct kbp_recorder *rec)
{
	close(rec->fd);
	rec->fd = -1;
	if (rec->made)
		unlink(rec->path);
}

static void rotate(struct kbp_recorder *rec)
{
	kbp_rec_file_close(rec);
	if (!rec->code)
		kbp_rec_file_open(rec, NULL);
}

/* ---------------------------------------------------------------- packets */

static const char *mode_word(enum kbp_mode mode)
{
	static const char *const words[] = { "auto",	"zerocopy", "copy",
					     "generic", "kernel",   "emulated" };

	return (unsigned)mode < KBP_ARRAY_SIZE(words) ? words[mode] : "unknown";
}

static const char *proof_word(enum kbp_proof proof)
{
	static const char *const words[] = { "not looked at", "claimed", "bound", "proven" };

	return (unsigned)proof < KBP_ARRAY_SIZE(words) ? words[proof] : "unknown";
}

/* What the interface is and how that is known, as it is now: after the first packet, if there is one. */
static void describe(struct kbp_rec_source *s)
{
	static const char *const sources[] = { "none: times are the program's", "kernel", "driver",
					       "NIC" };
	static const char *const epochs[] = { "none", "UTC", "TAI", "PHC", "monotonic" };
	struct kbp_port_info port;
	struct kbp_queue_info info;
	char stamps[96] = "", resolution[32] = "unknown";

	if (!s->q)
		return;
	kbp_port_info(s->q->port, &port);
	kbp_queue_info(s->q, &info);
	if (info.ts_resolution_ps)
		snprintf(resolution, sizeof(resolution), "%u ps", info.ts_resolution_ps);
	if (info.ts_source != KBP_TS_NONE)
		snprintf(stamps, sizeof(stamps), ", %s, epoch %s, resolution %s",
			 proof_word(info.ts_proof), epochs[info.ts_epoch % 5], resolution);
	snprintf(s->description, sizeof(s->description),
		 "%s queue %u, mode %s (%s)%s%s; stamps: %s%s%s", port.backend, info.channel,
		 mode_word(info.mode), proof_word(info.proof), port.emulated ? ", emulated" : "",
		 port.virtual_device ? ", virtual device" : "", sources[info.ts_source % 4], stamps,
		 s->datagrams ? "; IP and UDP headers are made up from what the kernel told: TTL, "
				"identification and DF are not the wire's" :
				"");
}

static void interface_put(struct kbp_recorder *rec, struct kbp_rec_source *s)
{
	describe(s);
	if (kbp_png_interface(&rec->buf, s->linktype, rec->o.snaplen, s->name, s->description))
		s->id = (int32_t)rec->ids++;
}

static void lose(struct kbp_recorder *rec, struct kbp_rec_source *s)
{
	count(&rec->unwritten, 1);
	s->unwritten++;
}

static bool room_for(const struct kbp_recorder *rec, const struct kbp_png_packet *p, size_t *need)
{
	*need = KBP_PNG_ROOM((size_t)p->head_len + p->body_len, strlen(p->comment)) +
		KBP_PNG_ROOM(0, sizeof(rec->src->name) + sizeof(rec->src->description));
	return rec->buf.cap - rec->buf.len >= *need;
}

void kbp_rec_file_put(struct kbp_recorder *rec, struct kbp_rec_source *s, struct kbp_png_packet *p)
{
	size_t need;
	bool fits = room_for(rec, p, &need);

	if (rec->o.rotate_bytes && rec->regular && rec->file_packets && !rec->code &&
	    rec->file_bytes + rec->buf.len + need > rec->o.rotate_bytes)
		rotate(rec);
	if (!fits && !rec->code)
		kbp_rec_flush(rec);
	if (rec->code || rec->fd < 0) {
		lose(rec, s);
		return;
	}
	if (s->id < 0)
		interface_put(rec, s);
	p->interface = (uint32_t)s->id;
	if (!kbp_png_packet(&rec->buf, p)) {
		lose(rec, s);
		return;
	}
	if (!rec->file_packets++)
		rec->file_since_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	s->put++;
	s->put_here++;
	rec->buffered++;
}

void kbp_rec_file_tick(struct kbp_recorder *rec, uint64_t now_ns)
{
	if (rec->o.rotate_ns && rec->regular && rec->file_packets && !rec->code &&
	    now_ns - rec->file_since_ns >= rec->o.rotate_ns)
		rotate(rec);
	/* an old file goes with the first packet: until then the program may still give up */
	if (now_ns - rec->flushed_ns >= rec->o.flush_ms * 1000000ull && !rec->code &&
	    !(rec->old && !rec->file_packets))
		kbp_rec_flush(rec);
}
