/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters file: its writer, its reader, and readers of damaged files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/kbp-test-counters-XXXXXX");
	return mkdtemp(dir) && !setenv("KBP_RUNTIME_DIR", dir, 1) ? 0 : -1;
}

static unsigned files_in_dir(bool remove)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (remove)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	return n;
}

static int drop_dir(void **state)
{
	(void)state;
	files_in_dir(true);
	return rmdir(dir);
}

static const struct kbp_counters_desc *find(const struct kbp_counters *v, const char *name,
					    uint32_t queue, const uint64_t **words)
{
	const struct kbp_counters_desc *d;

	for (unsigned i = 0; (d = kbp_counters_at(v, i, words)); i++)
		if (!strcmp(d->name, name) && d->queue == queue)
			return d;
	return NULL;
}

/* ---------------------------------------------------------------- the file */

static void the_file_tells_who_writes_it(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("feed-a", "af_xdp");
	const struct kbp_counters_header *h;
	struct kbp_counters *v;
	char prefix[128];
	struct stat st;

	(void)state;
	snprintf(prefix, sizeof(prefix), "%s/feed-a-%d-", dir, (int)getpid());
	assert_memory_equal(kbp_counters_file_path(f), prefix, strlen(prefix));
	assert_string_equal(strrchr(kbp_counters_file_path(f), '.'), ".counters");
	assert_int_equal(stat(kbp_counters_file_path(f), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(kbp_counters_open(kbp_counters_file_path(f), &v, NULL), 0);
	h = kbp_counters_header(v);
	assert_string_equal(h->label, "feed-a");
	assert_string_equal(h->backend, "af_xdp");
	assert_int_equal(h->pid, getpid());
	assert_int_equal(h->file_bytes, st.st_size);
	assert_int_equal(h->version, KBP_COUNTERS_VERSION);
	assert_int_equal(h->n_desc, 0);
	assert_true(h->start_ns > UINT64_C(1500000000) * 1000000000);
	kbp_counters_close(v);
	kbp_counters_destroy(f);
}

static void a_strict_umask_does_not_hide_the_file(void **state)
{
	mode_t old = umask(0777);
	struct kbp_counters_file *f = kbp_counters_create("m", "b");
	struct stat st;

	(void)state;
	umask(old);
	assert_int_equal(stat(kbp_counters_file_path(f), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	kbp_counters_destroy(f);
}

static void every_hot_word_is_described(void **state)
{
	static const struct {
		const char *name, *unit;
		uint16_t type, cls;
	} want[] = {
		{ "rx_polls", "polls", KBP_VALUE_HEARTBEAT, KBP_COUNT_INFO },
		{ "rx_frames", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "rx_hold_limited", "polls", KBP_VALUE_COUNTER, KBP_COUNT_CAUSE },
		{ "rx_ring_fill", "frames", KBP_VALUE_GAUGE, KBP_COUNT_INFO },
		{ "rx_ring_fill_max", "frames", KBP_VALUE_HIGH_MARK, KBP_COUNT_INFO },
		{ "rx_chain_too_long", "packets", KBP_VALUE_COUNTER, KBP_COUNT_DROP },
		{ "rx_truncated", "frames", KBP_VALUE_COUNTER, KBP_COUNT_DROP },
		{ "rx_kernel_calls", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "tx_frames", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "tx_doorbells", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "tx_ring_full", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "tx_completions", "frames", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
		{ "tx_errors", "frames", KBP_VALUE_COUNTER, KBP_COUNT_TX_DROP },
		{ "tx_in_flight_max", "frames", KBP_VALUE_HIGH_MARK, KBP_COUNT_INFO },
		{ "tx_kernel_calls", "calls", KBP_VALUE_COUNTER, KBP_COUNT_INFO },
	};
	struct kbp_counters_file *f = kbp_counters_create("hot", "b");
	const struct kbp_counters_desc *d;
	struct kbp_counters *v;
	struct kbp_hot_rx *rx;
	struct kbp_hot_tx *tx;
	const uint64_t *words;

	(void)state;
	assert_int_equal(kbp_counters_open(kbp_counters_file_path(f), &v, NULL), 0);
	assert_null(kbp_counters_at(v, 0, &words));
	assert_int_equal(kbp_counters_add_queue(f, 5, &rx, &tx), 0);
	assert_int_equal((uintptr_t)rx % 64, 0);
	assert_int_equal((uintptr_t)tx % 64, 0);
	/* number the words; the reader finds each number under its name, while the owner runs */
	for (uint64_t i = 0; i < 8; i++) {
		((uint64_t *)rx)[i] = 1 + i;
		((uint64_t *)tx)[i] = 9 + i;
	}
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(want); i++) {
		d = kbp_counters_at(v, i, &words);
		assert_non_null(d);
		assert_string_equal(d->name, want[i].name);
		assert_string_equal(d->unit, want[i].unit);
		assert_int_equal(d->type, want[i].type);
		assert_int_equal(d->cls, want[i].cls);
		assert_int_equal(d->queue, 5);
		assert_int_equal(d->n_words, 1);
		assert_int_equal(words[0], i + 1);
	}
	assert_null(kbp_counters_at(v, KBP_ARRAY_SIZE(want), &words));
	assert_null(words);
	d = kbp_counters_at(v, 0, &words);
	assert_int_equal(d->offset % 64, 0);
	kbp_counters_close(v);
	kbp_counters_destroy(f);
}

static void a_queue_opened_again_takes_its_old_place_zeroed(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("again", "b");
	struct kbp_hot_rx *rx, *other, *rx2;
	struct kbp_hot_tx *tx, *tx2;
	struct kbp_counters *v;
	uint32_t n_desc;

	(void)state;
	assert_int_equal(kbp_counters_open(kbp_counters_file_path(f), &v, NULL), 0);
	assert_int_equal(kbp_counters_add_queue(f, 1, &rx, &tx), 0);
	assert_int_equal(kbp_counters_add_queue(f, 2, &other, &tx2), 0);
	n_desc = kbp_counters_header(v)->n_desc;
	rx->frames = 10;
	tx->reserved = 10;
	other->frames = 11;
	kbp_counters_drop_queue(f, rx);
	assert_int_equal(rx->frames, 10); /* still to be read */
	assert_int_equal(kbp_counters_add_queue(f, 1, &rx2, &tx2), 0);
	assert_ptr_equal(rx2, rx);
	assert_ptr_equal(tx2, tx);
	assert_int_equal(rx2->frames, 0);
	assert_int_equal(tx2->reserved, 0);
	assert_int_equal(other->frames, 11);
	assert_int_equal(kbp_counters_header(v)->n_desc, n_desc);
	kbp_counters_close(v);
	kbp_counters_destroy(f);
}

static void two_queues_on_one_channel_share_no_words(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("two", "b");
	struct kbp_hot_rx *a, *b;
	struct kbp_hot_tx *tx;

	(void)state;
	assert_int_equal(kbp_counters_add_queue(f, 1, &a, &tx), 0);
	assert_int_equal(kbp_counters_add_queue(f, 1, &b, &tx), 0);
	assert_ptr_not_equal(a, b);
	kbp_counters_destroy(f);
}

static void a_full_file_refuses_and_goes_on(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("full", "b");
	struct kbp_hot_rx *rx, *first;
	struct kbp_hot_tx *tx;
	uint32_t n = 1;

	(void)state;
	assert_int_equal(kbp_counters_add_queue(f, 0, &first, &tx), 0);
	while (n < 10000 && !kbp_counters_add_queue(f, n, &rx, &tx))
		n++;
	assert_true(n >= 128 && n < 10000);
	assert_int_equal(kbp_counters_add_queue(f, n, &rx, &tx), -ENOSPC);
	kbp_counters_drop_queue(f, first);
	assert_int_equal(kbp_counters_add_queue(f, 0, &rx, &tx), 0);
	assert_ptr_equal(rx, first);
	kbp_counters_destroy(f);
}

static void histograms_are_described_and_kept_on_reopen(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("histo", "b");
	const struct kbp_counters_desc *d;
	uint64_t *h = kbp_counters_add_histogram(f, "rx_path", "ns", 3, 1000, 16);
	const uint64_t *words;
	struct kbp_counters *v;

	(void)state;
	assert_non_null(h);
	h[0] = 1;
	h[999] = 2;
	assert_int_equal(kbp_counters_open(kbp_counters_file_path(f), &v, NULL), 0);
	d = find(v, "rx_path", 3, &words);
	assert_non_null(d);
	assert_int_equal(d->type, KBP_VALUE_HISTOGRAM);
	assert_string_equal(d->unit, "ns");
	assert_int_equal(d->n_words, 1000);
	assert_int_equal(d->scale, 16);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[999], 2);
	assert_ptr_equal(kbp_counters_add_histogram(f, "rx_path", "ns", 3, 1000, 16), h);
	assert_int_equal(h[999], 0);
	assert_ptr_not_equal(kbp_counters_add_histogram(f, "rx_path", "ns", 4, 1000, 16), h);
	assert_null(kbp_counters_add_histogram(f, "big", "ns", 3, UINT32_MAX, 16));
	assert_null(kbp_counters_add_histogram(f, "none", "ns", 3, 0, 16));
	kbp_counters_close(v);
	kbp_counters_destroy(f);
}

/* ---------------------------------------------------------------- life and death of the owner */

static void the_owner_is_alive_until_it_lets_go(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("alive", "b");
	struct kbp_counters *v;
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s", kbp_counters_file_path(f));
	assert_int_equal(kbp_counters_open(path, &v, NULL), 0);
	assert_true(kbp_counters_alive(v));
	kbp_counters_destroy(f);
	assert_false(kbp_counters_alive(v));
	assert_int_equal(access(path, F_OK), -1);
	kbp_counters_close(v);
}

/* A child that dies with its file open, as by kill -9. Answers the file's path. */
static void abandon_a_file(char *path, size_t size)
{
	int status, fds[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		struct kbp_counters_file *f = kbp_counters_create("dead", "b");
		const char *p = f ? kbp_counters_file_path(f) : "";

		_exit(write(fds[1], p, strlen(p)) == (ssize_t)strlen(p) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	n = read(fds[0], path, size - 1);
	assert_true(n > 0);
	path[n] = '\0';
	close(fds[0]);
	close(fds[1]);
}

static void the_next_owner_removes_what_a_killed_one_left(void **state)
{
	struct kbp_counters_file *live = kbp_counters_create("live", "b"), *next;
	struct kbp_counters *v;
	char path[256];

	(void)state;
	abandon_a_file(path, sizeof(path));
	assert_int_equal(kbp_counters_open(path, &v, NULL), 0);
	assert_false(kbp_counters_alive(v));
	assert_int_equal(files_in_dir(false), 2);
	next = kbp_counters_create("next", "b");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(kbp_counters_file_path(live), F_OK), 0);
	assert_int_equal(files_in_dir(false), 2);
	kbp_counters_close(v);
	kbp_counters_destroy(next);
	kbp_counters_destroy(live);
	assert_int_equal(files_in_dir(false), 0);
}

static void write_file(const char *name, const void *bytes, size_t n, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static void files_of_other_programs_are_left_alone(void **state)
{
	struct kbp_counters_file *f;
	char theirs[256], link[256];

	(void)state;
	write_file("theirs.counters", "hello, I am not yours", 21, theirs, sizeof(theirs));
	snprintf(link, sizeof(link), "%s/link.counters", dir);
	assert_int_equal(symlink("/dev/null", link), 0);
	f = kbp_counters_create("x", "b");
	assert_int_equal(access(theirs, F_OK), 0);
	assert_int_equal(access(link, F_OK), 0);
	kbp_counters_destroy(f);
}

static void without_a_directory_the_counters_work_all_the_same(void **state)
{
	struct kbp_counters_file *f;
	struct kbp_hot_rx *rx;
	struct kbp_hot_tx *tx;

	(void)state;
	setenv("KBP_RUNTIME_DIR", "/proc/no/such/place", 1);
	f = kbp_counters_create("x", "b");
	assert_non_null(f);
	assert_string_equal(kbp_counters_file_path(f), "");
	assert_int_equal(kbp_counters_add_queue(f, 0, &rx, &tx), 0);
	rx->polls++;
	assert_int_equal(rx->polls, 1);
	kbp_counters_destroy(f);
}

static void a_forked_child_cannot_write_the_counters(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("fork", "b");
	struct kbp_hot_rx *rx;
	struct kbp_hot_tx *tx;
	void *page;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(kbp_counters_add_queue(f, 0, &rx, &tx), 0);
	page = (void *)((uintptr_t)rx & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1));
	pid = fork();
	if (!pid) /* msync says whether something is mapped there without touching it */
		_exit(msync(page, 1, MS_ASYNC) == -1 && errno == ENOMEM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	kbp_counters_destroy(f);
}

static void a_label_cannot_lead_out_of_the_directory(void **state)
{
	struct kbp_counters_file *f = kbp_counters_create("../../etc/pass wd\n", "b");
	const char *path = kbp_counters_file_path(f);

	(void)state;
	assert_memory_equal(path, dir, strlen(dir));
	assert_null(strchr(path + strlen(dir) + 1, '/'));
	assert_null(strpbrk(path, " \n"));
	kbp_counters_destroy(f);
	f = kbp_counters_create(NULL, NULL);
	assert_non_null(strstr(kbp_counters_file_path(f), "/port-"));
	kbp_counters_destroy(f);
}

/* ---------------------------------------------------------------- readers of bad files */

struct image {
	_Alignas(8) uint8_t bytes[256 * 1024];
	size_t n;
};

/* The bytes of a sound file with a queue and a histogram. */
static struct image *sound_image(void)
{
	struct kbp_counters_file *f = kbp_counters_create("image", "b");
	struct image *im = calloc(1, sizeof(*im));
	struct kbp_hot_rx *rx;
	struct kbp_hot_tx *tx;
	ssize_t n;
	int fd;

	assert_int_equal(kbp_counters_add_queue(f, 0, &rx, &tx), 0);
	assert_non_null(kbp_counters_add_histogram(f, "h", "ns", 0, 100, 4));
	fd = open(kbp_counters_file_path(f), O_RDONLY);
	n = read(fd, im->bytes, sizeof(im->bytes));
	assert_true(n > 0);
	im->n = (size_t)n;
	close(fd);
	kbp_counters_destroy(f);
	return im;
}

static int open_image(const struct image *im, size_t n, struct kbp_counters **v, struct kbp_error *err)
{
	char path[256];

	write_file("image", im->bytes, n, path, sizeof(path));
	return kbp_counters_open(path, v, err);
}

static void files_that_are_no_counters_files_are_refused(void **state)
{
	struct kbp_counters *v = (void *)&v;
	struct kbp_error err;
	char path[256];
	char zeros[4096] = "";

	(void)state;
	assert_int_equal(kbp_counters_open("/no/such/file", &v, &err), -ENOENT);
	assert_null(v);
	assert_non_null(strstr(err.step, "/no/such/file"));
	assert_int_equal(kbp_counters_open(NULL, &v, &err), -EINVAL);
	assert_int_equal(kbp_counters_open(dir, &v, &err), -EPROTO);
	assert_int_equal(kbp_counters_open("/dev/zero", &v, &err), -EPROTO);
	write_file("zeros", zeros, sizeof(zeros), path, sizeof(path));
	assert_int_equal(kbp_counters_open(path, &v, &err), -EPROTO);
	write_file("empty", zeros, 0, path, sizeof(path));
	assert_int_equal(kbp_counters_open(path, &v, &err), -EBADMSG);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(kbp_counters_open(path, &v, &err), -EPROTO);
}

static void damaged_headers_are_refused(void **state)
{
	const struct {
		size_t at;
		uint32_t value;
		int rc;
	} damage[] = {
		{ 0, 1, -EPROTO },
		{ offsetof(struct kbp_counters_header, version), KBP_COUNTERS_VERSION + 1, -EPROTO },
		{ offsetof(struct kbp_counters_header, version), 0, -EPROTO },
		{ offsetof(struct kbp_counters_header, header_bytes), 127, -EBADMSG },
		{ offsetof(struct kbp_counters_header, header_bytes), 132, -EBADMSG },
		{ offsetof(struct kbp_counters_header, header_bytes), UINT32_MAX - 7, -EBADMSG },
		{ offsetof(struct kbp_counters_header, desc_bytes), 0, -EBADMSG },
		{ offsetof(struct kbp_counters_header, desc_bytes), 63, -EBADMSG },
		{ offsetof(struct kbp_counters_header, desc_bytes), UINT32_MAX - 7, -EBADMSG },
		{ offsetof(struct kbp_counters_header, n_desc), 100000, -EBADMSG },
		{ offsetof(struct kbp_counters_header, n_desc), UINT32_MAX, -EBADMSG },
		{ offsetof(struct kbp_counters_header, file_bytes), 0, -EBADMSG },
		{ offsetof(struct kbp_counters_header, file_bytes), UINT32_MAX, -EBADMSG },
	};
	struct image *im = sound_image();
	struct kbp_counters *v;
	struct kbp_error err;

	(void)state;
	assert_int_equal(open_image(im, im->n, &v, &err), 0);
	kbp_counters_close(v);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(damage); i++) {
		uint32_t old;

		memcpy(&old, im->bytes + damage[i].at, 4);
		memcpy(im->bytes + damage[i].at, &damage[i].value, 4);
		assert_int_equal(open_image(im, im->n, &v, &err), damage[i].rc);
		assert_null(v);
		assert_true(err.hint[0]);
		memcpy(im->bytes + damage[i].at, &old, 4);
	}
	memset(im->bytes + offsetof(struct kbp_counters_header, label), 'x', 32);
	assert_int_equal(open_image(im, im->n, &v, &err), -EBADMSG);
	free(im);
}

static void a_file_cut_short_is_refused(void **state)
{
	struct image *im = sound_image();
	struct kbp_counters *v;
	size_t cuts[] = { 1, 8, 127, 128, 129, 4096, im->n - 1 };

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(cuts); i++)
		assert_int_equal(open_image(im, cuts[i], &v, NULL), -EBADMSG);
	free(im);
}

static void a_damaged_descriptor_is_not_followed(void **state)
{
	const struct {
		size_t at;
		uint32_t value;
	} damage[] = {
		{ offsetof(struct kbp_counters_desc, name), 0 },
		{ offsetof(struct kbp_counters_desc, type), 0 },
		{ offsetof(struct kbp_counters_desc, offset), 0 },
		{ offsetof(struct kbp_counters_desc, offset), 64 },
		{ offsetof(struct kbp_counters_desc, offset), 200001 },
		{ offsetof(struct kbp_counters_desc, offset), 256 * 1024 },
		{ offsetof(struct kbp_counters_desc, offset), UINT32_MAX - 7 },
		{ offsetof(struct kbp_counters_desc, n_words), 0 },
		{ offsetof(struct kbp_counters_desc, n_words), 2 },
		{ offsetof(struct kbp_counters_desc, n_words), UINT32_MAX },
	};
	const size_t desc = sizeof(struct kbp_counters_header);
	struct image *im = sound_image();
	const uint64_t *words;
	struct kbp_counters *v;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(damage); i++) {
		uint32_t old;

		memcpy(&old, im->bytes + desc + damage[i].at, 4);
		memcpy(im->bytes + desc + damage[i].at, &damage[i].value, 4);
		assert_int_equal(open_image(im, im->n, &v, NULL), 0);
		assert_null(kbp_counters_at(v, 0, &words));
		assert_null(words);
		assert_non_null(kbp_counters_at(v, 1, &words));
		kbp_counters_close(v);
		memcpy(im->bytes + desc + damage[i].at, &old, 4);
	}
	memset(im->bytes + desc, 'x', sizeof(((struct kbp_counters_desc *)0)->name));
	assert_int_equal(open_image(im, im->n, &v, NULL), 0);
	assert_null(kbp_counters_at(v, 0, &words));
	kbp_counters_close(v);
	free(im);
}

static void a_file_that_shrinks_under_the_reader_is_not_touched(void **state)
{
	struct image *im = sound_image();
	const uint64_t *words;
	struct kbp_counters *v;
	char path[256];

	(void)state;
	write_file("shrinks", im->bytes, im->n, path, sizeof(path));
	assert_int_equal(kbp_counters_open(path, &v, NULL), 0);
	assert_non_null(kbp_counters_at(v, 0, &words));
	assert_int_equal(truncate(path, 0), 0);
	assert_null(kbp_counters_at(v, 0, &words));
	assert_null(kbp_counters_at(v, 1, &words));
	kbp_counters_close(v);
	kbp_counters_close(NULL);
	free(im);
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void random_damage_never_leads_out_of_the_file(void **state)
{
	struct image *im = sound_image();
	const size_t heads =
		sizeof(struct kbp_counters_header) + 17 * sizeof(struct kbp_counters_desc);
	volatile uint64_t sink = 0;
	uint64_t seed = 42;
	unsigned seen = 0;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint8_t saved[4096];
		const struct kbp_counters_desc *d;
		const uint64_t *words;
		struct kbp_counters *v;

		memcpy(saved, im->bytes, heads);
		for (uint64_t k = 0, n = 1 + next_random(&seed) % 4; k < n; k++)
			im->bytes[8 + next_random(&seed) % (heads - 8)] = (uint8_t)next_random(&seed);
		if (!open_image(im, im->n, &v, NULL)) {
			for (unsigned i = 0; i < 64; i++) {
				d = kbp_counters_at(v, i, &words);
				for (uint32_t w = 0; d && w < d->n_words; w++)
					sink ^= words[w];
				seen += d != NULL;
			}
			kbp_counters_close(v);
		}
		memcpy(im->bytes, saved, heads);
	}
	assert_true(seen > 1000);
	(void)sink;
	free(im);
}

/* ---------------------------------------------------------------- lists */

static void counting_goes_on_beyond_the_room(void **state)
{
	struct kbp_counter c[2];
	struct kbp_counter_list l = { c, 0, 2 };

	(void)state;
	kbp_count_add(&l, "one", 1, KBP_COUNT_DROP, true);
	kbp_count_add(&l, "a_name_of_more_than_thirty_one_characters", 2, KBP_COUNT_CAUSE, false);
	kbp_count_add(&l, "three", 3, KBP_COUNT_INFO, false);
	assert_int_equal(l.n, 3);
	assert_string_equal(c[0].name, "one");
	assert_int_equal(c[0].cls, KBP_COUNT_DROP);
	assert_true(c[0].interface_wide);
	assert_int_equal(strlen(c[1].name), sizeof(c[1].name) - 1);
	assert_int_equal(c[1].value, 2);
}

static void no_counters(const struct kbp_queue *q, struct kbp_counter_list *l)
{
	(void)q;
	(void)l;
}

/* What a program reads by call and what a monitor reads from the file must not drift apart. */
static void the_file_and_the_call_agree_on_names_and_classes(void **state)
{
	const struct kbp_backend b = { .name = "b", .queue_counters = no_counters };
	struct kbp_counters_file *f = kbp_counters_create("agree", "b");
	struct kbp_queue_cold cold = { 0 };
	struct kbp_port port = { .b = &b };
	struct kbp_queue q = { .port = &port, .priv = &cold, .flags = KBP_QUEUE_RX | KBP_QUEUE_TX };
	const struct kbp_counters_desc *d;
	struct kbp_counter c[32];
	struct kbp_counters *v;
	const uint64_t *words;
	unsigned n, found = 0;

	(void)state;
	assert_int_equal(kbp_counters_add_queue(f, 0, &q.rx_count, &q.tx_count), 0);
	for (uint64_t i = 0; i < 8; i++) {
		((uint64_t *)q.rx_count)[i] = 1 + i;
		((uint64_t *)q.tx_count)[i] = 9 + i;
	}
	n = kbp_queue_counters(&q, c, 32);
	assert_true(n > 10 && n <= 32);
	assert_int_equal(kbp_counters_open(kbp_counters_file_path(f), &v, NULL), 0);
	for (unsigned i = 0; i < n; i++) {
		d = find(v, c[i].name, 0, &words);
		if (!d && strcmp(c[i].name, "rx_lost_unknown_events"))
			fail_msg("%s is not in the file", c[i].name);
		if (!d)
			continue;
		found++;
		assert_int_equal(d->cls, c[i].cls);
		assert_int_equal(words[0], c[i].value);
	}
	for (unsigned i = 0; (d = kbp_counters_at(v, i, &words)); i++)
		if (d->type != KBP_VALUE_GAUGE && d->type != KBP_VALUE_HIGH_MARK)
			found--;
	assert_true((int)found >= 0); /* every count of the file is in the list */
	kbp_counters_close(v);
	kbp_counters_destroy(f);
}

#define IN_DIR(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(the_file_tells_who_writes_it),
		IN_DIR(a_strict_umask_does_not_hide_the_file),
		IN_DIR(every_hot_word_is_described),
		IN_DIR(a_queue_opened_again_takes_its_old_place_zeroed),
		IN_DIR(two_queues_on_one_channel_share_no_words),
		IN_DIR(a_full_file_refuses_and_goes_on),
		IN_DIR(histograms_are_described_and_kept_on_reopen),
		IN_DIR(the_owner_is_alive_until_it_lets_go),
		IN_DIR(the_next_owner_removes_what_a_killed_one_left),
		IN_DIR(files_of_other_programs_are_left_alone),
		IN_DIR(without_a_directory_the_counters_work_all_the_same),
		IN_DIR(a_forked_child_cannot_write_the_counters),
		IN_DIR(a_label_cannot_lead_out_of_the_directory),
		IN_DIR(files_that_are_no_counters_files_are_refused),
		IN_DIR(damaged_headers_are_refused),
		IN_DIR(a_file_cut_short_is_refused),
		IN_DIR(a_damaged_descriptor_is_not_followed),
		IN_DIR(a_file_that_shrinks_under_the_reader_is_not_touched),
		IN_DIR(random_damage_never_leads_out_of_the_file),
		cmocka_unit_test(counting_goes_on_beyond_the_room),
		IN_DIR(the_file_and_the_call_agree_on_names_and_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
