/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c - the counters file: what the hot path counts, in memory that other processes may map.
 *
 * The file has a fixed size, so that nothing in it ever moves: header, room for DESC_MAX
 * descriptors, values. The owner's write lock on byte 0 is its sign of life; it goes with the
 * process, however that ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define FILE_BYTES 262144u
#define DESC_MAX 2048u
#define VALUES_AT (sizeof(struct kbp_counters_header) + DESC_MAX * sizeof(struct kbp_counters_desc))
#define LINE_BYTES 64u
#define READ_BYTES_MAX 16777216u /* no honest file comes near it */
#define SUFFIX ".counters"
#define CREATE_TRIES 16

KBP_STATIC_ASSERT(VALUES_AT % LINE_BYTES == 0 && VALUES_AT < FILE_BYTES, "hot lines are cache lines");

/* What the hot lines hold, in the order of the structs' members, under the names of
 * kbp_queue_counters. */
struct hot_value {
	const char *name, *unit;
	enum kbp_value_type type;
	enum kbp_count_class cls;
	uint32_t at;
};

#define RX(m) offsetof(struct kbp_hot_rx, m)
#define TX(m) offsetof(struct kbp_hot_tx, m)

static const struct hot_value hot_rx[] = {
	{ "rx_polls", "polls", KBP_VALUE_HEARTBEAT, KBP_COUNT_INFO, RX(polls) },
	{ "rx_frames", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO, RX(frames) },
	{ "rx_hold_limited", "polls", KBP_VALUE_COUNTER, KBP_COUNT_CAUSE, RX(hold_limited) },
	{ "rx_ring_fill", "frames", KBP_VALUE_GAUGE, KBP_COUNT_INFO, RX(ring_fill) },
	{ "rx_ring_fill_max", "frames", KBP_VALUE_HIGH_MARK, KBP_COUNT_INFO, RX(ring_fill_max) },
	{ "rx_chain_too_long", "packets", KBP_VALUE_COUNTER, KBP_COUNT_DROP, RX(chain_drops) },
	{ "rx_truncated", "frames", KBP_VALUE_COUNTER, KBP_COUNT_DROP, RX(truncated) },
	{ "rx_kernel_calls", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO, RX(kernel_calls) },
};

static const struct hot_value hot_tx[] = {
	{ "tx_frames", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO, TX(frames) },
	{ "tx_doorbells", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO, TX(doorbells) },
	{ "tx_ring_full", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO, TX(ring_full) },
	{ "tx_completions", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO, TX(completions) },
	{ "tx_errors", "frames", KBP_VALUE_COUNTER, KBP_COUNT_TX_DROP, TX(errors) },
	{ "tx_in_flight_max", "frames", KBP_VALUE_HIGH_MARK, KBP_COUNT_INFO, TX(in_flight_max) },
	{ "tx_kernel_calls", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO, TX(kernel_calls) },
};

KBP_STATIC_ASSERT(KBP_ARRAY_SIZE(hot_rx) == sizeof(struct kbp_hot_rx) / 8,
		  "every member is described");
KBP_STATIC_ASSERT(KBP_ARRAY_SIZE(hot_tx) == sizeof(struct kbp_hot_tx) / 8 - 1, "all but `reserved`");

#define QUEUE_DESCS (KBP_ARRAY_SIZE(hot_rx) + KBP_ARRAY_SIZE(hot_tx))
#define QUEUE_BYTES (sizeof(struct kbp_hot_rx) + sizeof(struct kbp_hot_tx))
#define QUEUES_MAX (DESC_MAX / QUEUE_DESCS)

/* A queue's lines and who has them. */
struct slot {
	struct kbp_hot_rx *rx;
	uint32_t channel;
	bool taken;
};

struct kbp_counters_file {
	struct kbp_counters_header *head;
	int fd; /* holds the lock; -1: anonymous memory */
	uint32_t n_desc;
	uint32_t used; /* bytes of the file */
	unsigned n_slots;
	struct slot slots[QUEUES_MAX];
	char path[PATH_MAX];
};

/* ---------------------------------------------------------------- the file on disk */

/* Open file description locks are the owner's as long as it lives and conflict even inside one
 * process. */
static bool lock_owner(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	return !fcntl(fd, F_OFD_SETLK, &l);
}

/* Ours by its magic; or empty: an owner died between creating and marking it. */
static bool is_counters_file(int fd)
{
	struct stat st;
	uint64_t magic;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	if (!st.st_size)
		return true;
	return pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == KBP_COUNTERS_MAGIC;
}

/* Leave no trace: files whose owners are gone without having unlinked them (kill -9). The lock
 * is kept over the unlink; a creator that lost this race sees its link count at zero and starts
 * again. */
static void remove_stale(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);
		int fd;

		if (n < sizeof(SUFFIX) || strcmp(e->d_name + n - sizeof(SUFFIX) + 1, SUFFIX))
			continue;
		fd = openat(dir, e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_counters_file(fd) && lock_owner(fd) && !unlinkat(dir, e->d_name, 0))
			kbp_log(KBP_LOG_INFO, "counters: removed %s, whose owner is gone", e->d_name);
		close(fd);
	}
	closedir(d);
}

/* Ownership first, then the magic, then room for all of it: a full tmpfs is noticed here, not as
 * a SIGBUS in the hot loop. */
static int claim(int fd)
{
	const uint64_t magic = KBP_COUNTERS_MAGIC;
	struct stat st;

	if (!lock_owner(fd))
		return -EAGAIN;
	if (fstat(fd, &st))
		return -errno;
	if (!st.st_nlink)
		return -EAGAIN;
	if (pwrite(fd, &magic, sizeof(magic), 0) != sizeof(magic) || fchmod(fd, 0644))
		return -errno;
	return -posix_fallocate(fd, 0, FILE_BYTES);
}

static int file_create(struct kbp_counters_file *f, const char *dir_path, const char *label)
{
	static unsigned next;
	struct statfs fs;
	int dir, fd, rc = -EAGAIN;

	if (mkdir(dir_path, 0755) && errno != EEXIST)
		return -errno;
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	remove_stale(dir);
	for (int i = 0; i < CREATE_TRIES && rc == -EAGAIN; i++) {
		unsigned n = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
		int len = snprintf(f->path, sizeof(f->path), "%s/%s-%d-%u" SUFFIX, dir_path, label,
				   (int)getpid(), n);

		if (len < 0 || (size_t)len >= sizeof(f->path)) {
			rc = -ENAMETOOLONG;
			break;
		}
		fd = openat(dir, f->path + strlen(dir_path) + 1,
			    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0) {
			rc = errno == EEXIST ? -EAGAIN : -errno;
			continue;
		}
		rc = claim(fd);
		if (!rc) {
			f->fd = fd;
			break;
		}
		unlink(f->path);
		close(fd);
	}
	if (!rc && !fstatfs(f->fd, &fs) && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
		kbp_log(KBP_LOG_WARN,
			"counters: %s is not on tmpfs: write-back may stall the hot loop", dir_path);
	close(dir);
	if (rc)
		f->path[0] = '\0';
	return rc;
}

/* $KBP_RUNTIME_DIR, or else the first of the usual places that can be written. */
static void file_place(struct kbp_counters_file *f, const char *label)
{
	const char *own = secure_getenv("KBP_RUNTIME_DIR"), *xdg = secure_getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	int rc;

	if (own && *own) {
		rc = file_create(f, own, label);
		if (rc)
			kbp_log(KBP_LOG_WARN, "counters: no file in $KBP_RUNTIME_DIR (%s): %s", own,
				strerror(-rc));
		return;
	}
	rc = file_create(f, "/run/kbypass", label);
	if (rc && xdg && *xdg && snprintf(path, sizeof(path), "%s/kbypass", xdg) < (int)sizeof(path))
		rc = file_create(f, path, label);
	if (rc)
		kbp_log(KBP_LOG_INFO, "counters: no directory for a file: %s", strerror(-rc));
}

static bool file_map(struct kbp_counters_file *f)
{
	int flags = f->fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;

	f->head = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, flags, f->fd, 0);
	if (f->head == MAP_FAILED)
		return false;
	/* the hot loop must not fault; failing here costs a fault at first touch, nothing else */
	madvise(f->head, FILE_BYTES, MADV_DONTFORK);
	madvise(f->head, FILE_BYTES, MADV_POPULATE_WRITE);
	mlock(f->head, FILE_BYTES);
	return true;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* A label becomes part of a file name. */
static void file_label(char *to, size_t size, const char *label)
{
	copy_text(to, size, label && *label ? label : "port");
	for (char *c = to; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' ||
			     (*c == '.' && c != to);

		if (!plain)
			*c = '_';
	}
}

struct kbp_counters_file *kbp_counters_create(const char *label, const char *backend)
{
	struct kbp_counters_file *f = calloc(1, sizeof(*f));
	struct kbp_counters_header *h;
	struct timespec now;
	char name[sizeof(h->label)];

	if (!f)
		return NULL;
	f->fd = -1;
	file_label(name, sizeof(name), label);
	file_place(f, name);
	if (!file_map(f)) {
		f->head = NULL;
		kbp_counters_destroy(f);
		return NULL;
	}
	h = f->head;
	clock_gettime(CLOCK_REALTIME, &now);
	h->magic = KBP_COUNTERS_MAGIC;
	h->header_bytes = sizeof(*h);
	h->desc_bytes = sizeof(struct kbp_counters_desc);
	h->file_bytes = FILE_BYTES;
	h->pid = (int32_t)getpid();
	h->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	copy_text(h->label, sizeof(h->label), label);
	copy_text(h->backend, sizeof(h->backend), backend);
	f->used = VALUES_AT;
	/* last: pairs with the acquire in kbp_counters_open, which refuses version 0 */
	__atomic_store_n(&h->version, KBP_COUNTERS_VERSION, __ATOMIC_RELEASE);
	return f;
}

void kbp_counters_destroy(struct kbp_counters_file *f)
{
	if (!f)
		return;
	/* unlink before the lock goes, or a new owner of the name could lose its file */
	if (f->path[0])
		unlink(f->path);
	if (f->head)
		munmap(f->head, FILE_BYTES);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

const char *kbp_counters_file_path(const struct kbp_counters_file *f)
{
	return f->path;
}

/* ---------------------------------------------------------------- what is in it */

static struct kbp_counters_desc *desc_at(const struct kbp_counters_file *f, uint32_t i)
{
	return (struct kbp_counters_desc *)(void *)(f->head + 1) + i;
}

/* The next free bytes, a cache line on their own; NULL when there are none, or no descriptors. */
static void *take(struct kbp_counters_file *f, size_t bytes, size_t descs)
{
	void *p = (uint8_t *)f->head + f->used;

	bytes = (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
	if (bytes > FILE_BYTES - f->used || descs > DESC_MAX - f->n_desc)
		return NULL;
	f->used += (uint32_t)bytes;
	return p;
}

static void describe(struct kbp_counters_file *f, const struct kbp_counters_desc *desc)
{
	*desc_at(f, f->n_desc++) = *desc;
}

/* Pairs with the acquire in kbp_counters_at. */
static void publish(struct kbp_counters_file *f)
{
	__atomic_store_n(&f->head->n_desc, f->n_desc, __ATOMIC_RELEASE);
}

static void describe_hot(struct kbp_counters_file *f, const struct hot_value *v, size_t n,
			 uint32_t channel, const void *line)
{
	uint32_t offset = (uint32_t)((const uint8_t *)line - (const uint8_t *)f->head);

	for (size_t i = 0; i < n; i++) {
		struct kbp_counters_desc desc = {
			.type = (uint16_t)v[i].type,
			.cls = (uint16_t)v[i].cls,
			.queue = channel,
			.offset = offset + v[i].at,
			.n_words = 1,
		};

		copy_text(desc.name, sizeof(desc.name), v[i].name);
		copy_text(desc.unit, sizeof(desc.unit), v[i].unit);
		describe(f, &desc);
	}
}

static void zero_words(uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
}

int kbp_counters_add_queue(struct kbp_counters_file *f, uint32_t channel, struct kbp_hot_rx **rx,
			   struct kbp_hot_tx **tx)
{
	struct slot *s = NULL;

	for (unsigned i = 0; i < f->n_slots && !s; i++)
		if (!f->slots[i].taken && f->slots[i].channel == channel)
			s = &f->slots[i];
	if (s) {
		zero_words((uint64_t *)(void *)s->rx, QUEUE_BYTES / sizeof(uint64_t));
	} else {
		void *lines = f->n_slots < QUEUES_MAX ? take(f, QUEUE_BYTES, QUEUE_DESCS) : NULL;

		if (!lines)
			return -ENOSPC;
		s = &f->slots[f->n_slots++];
		s->channel = channel;
		s->rx = lines;
		describe_hot(f, hot_rx, KBP_ARRAY_SIZE(hot_rx), channel, s->rx);
		describe_hot(f, hot_tx, KBP_ARRAY_SIZE(hot_tx), channel, s->rx + 1);
		publish(f);
	}
	s->taken = true;
	*rx = s->rx;
	*tx = (struct kbp_hot_tx *)(void *)(s->rx + 1);
	return 0;
}

void kbp_counters_drop_queue(struct kbp_counters_file *f, struct kbp_hot_rx *rx)
{
	for (unsigned i = 0; i < f->n_slots; i++)
		if (f->slots[i].rx == rx)
			f->slots[i].taken = false;
}

uint64_t *kbp_counters_add_histogram(struct kbp_counters_file *f, const char *name, const char *unit,
				     uint32_t channel, uint32_t n_words, uint32_t scale)
{
	struct kbp_counters_desc desc = {
		.type = KBP_VALUE_HISTOGRAM,
		.queue = channel,
		.n_words = n_words,
		.scale = scale,
	};
	uint64_t *words;

	if (!n_words || !name || !*name)
		return NULL;
	copy_text(desc.name, sizeof(desc.name), name);
	copy_text(desc.unit, sizeof(desc.unit), unit);
	for (uint32_t i = 0; i < f->n_desc; i++) {
		const struct kbp_counters_desc *old = desc_at(f, i);

		if (old->type == desc.type && old->queue == channel && old->n_words == n_words &&
		    old->scale == scale && !strcmp(old->name, desc.name) &&
		    !strcmp(old->unit, desc.unit)) {
			words = (uint64_t *)(void *)((uint8_t *)f->head + old->offset);
			zero_words(words, n_words);
			return words;
		}
	}
	words = take(f, (size_t)n_words * sizeof(*words), 1);
	if (!words)
		return NULL;
	desc.offset = (uint32_t)((uint8_t *)words - (uint8_t *)f->head);
	describe(f, &desc);
	publish(f);
	return words;
}

/* ---------------------------------------------------------------- the reader */

/* A descriptor is copied and checked when it is first asked for, so that a writer gone wrong
 * cannot change it between the check and the use. */
struct kbp_counters {
	const struct kbp_counters_header *head;
	int fd;
	size_t map_bytes;
	uint32_t header_bytes, desc_bytes, file_bytes, desc_max;
	pthread_mutex_t lock; /* copies */
	struct kbp_counters_desc *copies;
	bool *copied;
};

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* Checks the mapped header against the file's size and keeps the layout. */
static int view_check(struct kbp_counters *v, struct kbp_error *err, const char *step)
{
	const struct kbp_counters_header *h = v->head;
	uint32_t version, n_desc;

	if (h->magic != KBP_COUNTERS_MAGIC)
		return kbp_fail(err, -EPROTO, step, "this is no counters file");
	version = __atomic_load_n(&h->version, __ATOMIC_ACQUIRE);
	if (!version)
		return kbp_fail(err, -EPROTO, step,
				"its owner has not finished writing it: try again");
	if (version != KBP_COUNTERS_VERSION)
		return kbp_fail(err, -EPROTO, step,
				"it has version %u, this library reads version %u: use "
				"the kbypass that wrote it",
				version, KBP_COUNTERS_VERSION);
	v->header_bytes = h->header_bytes;
	v->desc_bytes = h->desc_bytes;
	v->file_bytes = h->file_bytes;
	if (v->file_bytes > v->map_bytes)
		return kbp_fail(err, -EBADMSG, step, "the file is cut short: %zu bytes of %u",
				v->map_bytes, v->file_bytes);
	if (v->header_bytes < sizeof(*h) || v->header_bytes > v->file_bytes || v->header_bytes % 8 ||
	    v->desc_bytes < sizeof(struct kbp_counters_desc) || v->desc_bytes % 8)
		return kbp_fail(err, -EBADMSG, step,
				"damaged header: %u bytes of header, %u a descriptor, "
				"%u in all",
				v->header_bytes, v->desc_bytes, v->file_bytes);
	v->desc_max = (v->file_bytes - v->header_bytes) / v->desc_bytes;
	n_desc = __atomic_load_n(&h->n_desc, __ATOMIC_ACQUIRE);
	if (n_desc > v->desc_max)
		return kbp_fail(err, -EBADMSG, step, "damaged header: %u descriptors, room for %u",
				n_desc, v->desc_max);
	if (!terminated(h->label, sizeof(h->label)) || !terminated(h->backend, sizeof(h->backend)))
		return kbp_fail(err, -EBADMSG, step, "damaged header: a name without an end");
	return 0;
}

static int view_map(struct kbp_counters *v, const char *path, struct kbp_error *err, const char *step)
{
	struct stat st;
	void *map;

	v->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* non-blocking: it may be a FIFO */
	if (v->fd < 0)
		return kbp_fail(err, -errno, step,
				errno == ENOENT ?
					"no such file: its owner has ended, or the path is wrong" :
					"%s",
				strerror(errno));
	if (fstat(v->fd, &st))
		return kbp_fail(err, -errno, step, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > READ_BYTES_MAX)
		return kbp_fail(err, -EPROTO, step, "this is no counters file");
	if ((size_t)st.st_size < sizeof(*v->head))
		return kbp_fail(err, -EBADMSG, step,
				"the file is cut short: %lld bytes, the header alone has "
				"%zu",
				(long long)st.st_size, sizeof(*v->head));
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, v->fd, 0);
	if (map == MAP_FAILED)
		return kbp_fail(err, -errno, step, "%s", strerror(errno));
	v->head = map;
	v->map_bytes = (size_t)st.st_size;
	return view_check(v, err, step);
}

int kbp_counters_open(const char *path, struct kbp_counters **view, struct kbp_error *err)
{
	struct kbp_counters *v;
	char step[sizeof(err->step)];
	int rc;

	*view = NULL;
	if (!path || !*path)
		return kbp_fail(err, -EINVAL, "open a counters file", "no path was given");
	snprintf(step, sizeof(step), "open counters file %s", path);
	v = calloc(1, sizeof(*v));
	if (!v)
		return kbp_fail(err, -ENOMEM, step, "out of memory");
	v->fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	rc = view_map(v, path, err, step);
	if (!rc) {
		v->copies = calloc(v->desc_max + 1u, sizeof(*v->copies));
		v->copied = calloc(v->desc_max + 1u, sizeof(*v->copied));
		if (!v->copies || !v->copied)
			rc = kbp_fail(err, -ENOMEM, step, "out of memory");
	}
	if (rc) {
		kbp_counters_close(v);
		return rc;
	}
	*view = v;
	return 0;
}

const struct kbp_counters_header *kbp_counters_header(const struct kbp_counters *view)
{
	return view->head;
}

static bool desc_is_sound(const struct kbp_counters *v, const struct kbp_counters_desc *d)
{
	return terminated(d->name, sizeof(d->name)) && d->name[0] &&
	       terminated(d->unit, sizeof(d->unit)) && d->type && d->n_words && d->offset % 8 == 0 &&
	       d->offset >= v->header_bytes && (d->type == KBP_VALUE_HISTOGRAM || d->n_words == 1) &&
	       d->offset + (uint64_t)d->n_words * 8 <= v->file_bytes;
}

const struct kbp_counters_desc *kbp_counters_at(const struct kbp_counters *view, unsigned i,
						const uint64_t **words)
{
	struct kbp_counters *v = (struct kbp_counters *)(uintptr_t)view; /* the copies are a
									  * cache */
	const uint8_t *base = (const uint8_t *)v->head;
	struct kbp_counters_desc *d = &v->copies[i < v->desc_max ? i : v->desc_max];
	struct stat st;

	*words = NULL;
	/* a page beyond the end of a file that shrank since would be a SIGBUS */
	if (fstat(v->fd, &st) || st.st_size < (off_t)v->file_bytes)
		return NULL;
	if (i >= v->desc_max || i >= __atomic_load_n(&v->head->n_desc, __ATOMIC_ACQUIRE))
		return NULL;
	pthread_mutex_lock(&v->lock);
	if (!v->copied[i]) {
		memcpy(d, base + v->header_bytes + (size_t)i * v->desc_bytes, sizeof(*d));
		v->copied[i] = true;
	}
	pthread_mutex_unlock(&v->lock);
	if (!desc_is_sound(v, d))
		return NULL;
	*words = (const uint64_t *)(const void *)(base + d->offset);
	return d;
}

bool kbp_counters_alive(const struct kbp_counters *view)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	return !fcntl(view->fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

void kbp_counters_close(struct kbp_counters *view)
{
	if (!view)
		return;
	if (view->head)
		munmap((void *)(uintptr_t)view->head, view->map_bytes);
	if (view->fd >= 0)
		close(view->fd);
	pthread_mutex_destroy(&view->lock);
	free(view->copies);
	free(view->copied);
	free(view);
}
