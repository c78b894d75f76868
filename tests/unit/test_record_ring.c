/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is handed to a recorder is in its files, in order, with its bytes, its nanoseconds and what they are
 * worth; or it is counted under a name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#include <kbypass/record.h>

#include "tools/record/reader.h"

#define T0 1790000000000000000u
#define MS 1000000ull
#define S 1000000000ull

static char dir[64], path[128];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/kbp-record-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/a.pcapng", dir);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* A recorder with one source, whose stamps are the kernel's, UTC. */
static struct kbp_recorder *open_with(struct kbp_recorder_opts *o,
				      const struct kbp_record_source *more)
{
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder *rec;
	struct kbp_error err;

	if (more)
		s = *more;
	s.name = "test0";
	s.linktype = 1;
	if (!more) {
		s.ts_source = KBP_TS_KERNEL;
		s.ts_epoch = KBP_EPOCH_UTC;
	}
	o->path = o->path ? o->path : path;
	o->ring_bytes = o->ring_bytes ? o->ring_bytes : 1 << 20;
	if (kbp_recorder_open(o, &rec, &err))
		fail_msg("%s: %s", err.step, err.hint);
	assert_int_equal(kbp_recorder_add(rec, &s, &err), 0);
	return rec;
}

static unsigned give(struct kbp_recorder *rec, const void *bytes, uint32_t len, uint64_t ns)
{
	const struct kbp_stamp stamp = { .ns = ns, .flags = KBP_FRAME_TS };

	return kbp_recorder_packet(rec, 0, bytes, len, &stamp);
}

static void account_closes(const struct kbp_recorder_stats *st)
{
	assert_int_equal(st->received, st->written + st->overrun + st->unwritten + st->waiting);
	assert_int_equal(st->waiting, 0);
}

struct seen {
	uint64_t ns;
	uint32_t captured, original;
	uint8_t first, last;
	struct kbp_quality q;
};

static uint64_t drops; /* told by the packets of the file read last */

/* All packets of a file; fails when it is not whole. */
static unsigned read_file(const char *name, struct seen *seen, unsigned max)
{
	struct kbp_reader_packet p;
	struct kbp_reader *r;
	struct kbp_error err;
	bool cut = false;
	unsigned n = 0;
	int rc;

	drops = 0;
	if (kbp_reader_open(name, &r, &err))
		fail_msg("%s: %s", err.step, err.hint);
	while ((rc = kbp_reader_next(r, &p, &cut, &err)) == 1) {
		assert_true(p.ours && p.timed && p.comment);
		drops += p.drops;
		if (n < max) {
			struct seen *s = &seen[n];

			s->ns = p.ns;
			s->captured = p.captured;
			s->original = p.original;
			s->first = p.captured ? p.bytes[0] : 0;
			s->last = p.captured ? p.bytes[p.captured - 1] : 0;
			assert_int_equal(kbp_quality_parse(p.comment, p.comment_len, &s->q), 0);
		}
		n++;
	}
	kbp_reader_close(r);
	assert_int_equal(rc, 0);
	assert_false(cut);
	return n;
}

/* ---------------------------------------------------------------- contents */

static void nanoseconds_bytes_and_order_come_back(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec = open_with(&o, NULL);
	struct kbp_recorder_stats st;
	struct seen seen[100];
	uint8_t bytes[200];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		assert_int_equal(give(rec, bytes, 60 + i, T0 + i * 1000003ull), 1);
	}
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	account_closes(&st);
	assert_int_equal(st.written, 100);
	assert_int_equal(read_file(path, seen, 100), 100);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(seen[i].ns, T0 + i * 1000003ull);
		assert_int_equal(seen[i].captured, 60 + i);
		assert_int_equal(seen[i].first, i);
		assert_int_equal(seen[i].last, i);
		assert_int_equal(seen[i].q.claim.source, KBP_TS_KERNEL);
		assert_int_equal(seen[i].q.claim.sync, KBP_SYNC_UNKNOWN); /* nobody watched */
	}
}

static void a_chain_becomes_one_packet(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec = open_with(&o, NULL);
	uint8_t a[40], b[30], c[50];
	struct kbp_frame f[3] = {
		{ .data = a, .len = 40, .flags = KBP_FRAME_MORE | KBP_FRAME_TS, .ts_ns = T0 },
		{ .data = b, .len = 30 },
		{ .data = c, .len = 50, .flags = KBP_FRAME_TS, .ts_ns = T0 + 5 },
	};
	struct seen seen[2];

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	memset(c, 'c', sizeof(c));
	assert_int_equal(kbp_recorder_frames(rec, 0, f, 3), 2);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, seen, 2), 2);
	assert_int_equal(seen[0].captured, 70);
	assert_int_equal(seen[0].first, 'a');
	assert_int_equal(seen[0].last, 'b');
	assert_int_equal(seen[1].captured, 50);
	assert_int_equal(seen[1].ns, T0 + 5);
}

static void one_byte_of_a_packet_may_be_kept_and_its_length_is_told(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	struct seen seen[1];

	(void)state;
	o.snaplen = 1;
	rec = open_with(&o, NULL);
	give(rec, "hello", 5, T0);
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	assert_int_equal(st.shortened, 1);
	assert_int_equal(read_file(path, seen, 1), 1);
	assert_int_equal(seen[0].captured, 1);
	assert_int_equal(seen[0].original, 5);
}

/* ---------------------------------------------------------------- what time is worth */

static void look(struct kbp_clock *c, uint64_t at, enum kbp_sync sync, enum kbp_clock_cause cause,
		 uint64_t since)
{
	struct kbp_clock_look l = { .at_ns = at,
				    .raw_ns = at - T0 + S,
				    .sync = sync,
				    .cause = cause,
				    .offset_ns = 10,
				    .bound_ns = 300,
				    .since_ns = since };

	assert_int_equal(kbp_clock_add(c, &l), 0);
}

static struct kbp_clock *clock_utc(void)
{
	struct kbp_clock_opts co = KBP_CLOCK_OPTS_INIT;
	struct kbp_clock *c;

	co.epoch = KBP_EPOCH_UTC;
	assert_int_equal(kbp_clock_open(&co, &c, NULL), 0);
	return c;
}

static void a_loss_that_is_found_later_is_written(void **state)
{
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_clock *clock = clock_utc();
	struct kbp_recorder *rec;
	struct seen seen[3];

	(void)state;
	s.ts_source = KBP_TS_KERNEL;
	s.ts_epoch = KBP_EPOCH_UTC;
	s.clock = clock;
	o.judge_ms = 60000;
	rec = open_with(&o, &s);
	look(clock, T0, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	give(rec, "a", 1, T0 + 10 * MS); /* in sync, as far as is known by now */
	give(rec, "b", 1, T0 + 110 * MS);
	give(rec, "c", 1, T0 + 160 * MS);
	look(clock, T0 + 100 * MS, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	look(clock, T0 + 200 * MS, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST, T0 + 150 * MS);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, seen, 3), 3);
	assert_int_equal(seen[0].q.claim.sync, KBP_SYNC_IN);
	assert_true(seen[0].q.claim.settled);
	assert_true(seen[0].q.claim.bound_ns >= 300 && seen[0].q.claim.bound_ns < 400);
	assert_int_equal(seen[0].q.claim.verified_ns, T0);
	assert_int_equal(seen[1].q.claim.sync, KBP_SYNC_IN);
	assert_int_equal(seen[2].q.claim.sync, KBP_SYNC_NOT);
	assert_int_equal(seen[2].q.claim.cause, KBP_CLOCK_MASTER_LOST);
	kbp_clock_close(clock);
}

static void what_no_look_confirmed_does_not_read_as_in_sync(void **state)
{
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_clock *clock = clock_utc();
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	struct seen seen[1];

	(void)state;
	s.ts_source = KBP_TS_KERNEL;
	s.ts_epoch = KBP_EPOCH_UTC;
	s.clock = clock;
	o.judge_ms = 10;
	rec = open_with(&o, &s);
	look(clock, T0, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	give(rec, "a", 1, T0 + MS);
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	assert_int_equal(st.unsettled, 1);
	assert_int_equal(st.sync[KBP_SYNC_IN], 0);
	assert_int_equal(read_file(path, seen, 1), 1);
	assert_int_equal(seen[0].q.claim.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(seen[0].q.claim.cause, KBP_CLOCK_UNWATCHED);
	assert_false(seen[0].q.claim.settled);
	kbp_clock_close(clock);
}

/* ptp4l's default is one sync message a second: evidence may come that late, and a little. */
static void evidence_that_comes_after_more_than_a_second_is_waited_for(void **state)
{
	const struct timespec later = { .tv_sec = 1, .tv_nsec = 300000000 };
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_clock *clock = clock_utc();
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	struct timespec from, to;
	struct seen seen[1];

	(void)state;
	s.ts_source = KBP_TS_KERNEL;
	s.ts_epoch = KBP_EPOCH_UTC;
	s.clock = clock;
	rec = open_with(&o, &s);
	look(clock, T0, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	give(rec, "a", 1, T0 + MS);
	nanosleep(&later, NULL);
	look(clock, T0 + 1300 * MS, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	if ((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 > 2400) {
		print_message("this test was held up for longer than the writer waits\n");
		kbp_clock_close(clock);
		skip();
	}
	assert_int_equal(st.unsettled, 0);
	assert_int_equal(read_file(path, seen, 1), 1);
	assert_true(seen[0].q.claim.settled);
	kbp_clock_close(clock);
}

static void the_device_can_only_take_away(void **state)
{
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	const struct kbp_stamp stamp = { .ns = T0 + MS,
					 .flags = KBP_FRAME_TS |
						  KBP_SYNC_NOT << KBP_FRAME_DEVICE_SHIFT };
	struct kbp_clock *clock = clock_utc();
	struct kbp_recorder *rec;
	struct seen seen[1];

	(void)state;
	s.ts_source = KBP_TS_NIC;
	s.ts_proof = KBP_PROVEN;
	s.ts_epoch = KBP_EPOCH_UTC;
	s.clock = clock;
	rec = open_with(&o, &s);
	look(clock, T0, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	look(clock, T0 + 100 * MS, KBP_SYNC_IN, KBP_CLOCK_FINE, 0);
	kbp_recorder_packet(rec, 0, "a", 1, &stamp);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, seen, 1), 1);
	assert_int_equal(seen[0].q.claim.sync, KBP_SYNC_NOT);
	assert_int_equal(seen[0].q.claim.cause, KBP_CLOCK_UNSYNCHRONISED);
	kbp_clock_close(clock);
}

static int to_utc(void *arg, enum kbp_epoch epoch, int32_t phc, uint64_t ns, uint64_t *utc_ns,
		  uint64_t *error_ns)
{
	assert_int_equal(epoch, KBP_EPOCH_PHC);
	assert_int_equal(phc, 3);
	*utc_ns = ns - 37 * S;
	*error_ns = 50;
	return *(const bool *)arg ? 0 : -EAGAIN;
}

static void phc_case(bool convertible, bool proven, struct seen *seen)
{
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec;

	s.ts_source = KBP_TS_NIC;
	s.ts_proof = proven ? KBP_PROVEN : KBP_BOUND;
	s.ts_epoch = KBP_EPOCH_PHC;
	s.ts_phc = 3;
	o.to_utc = to_utc;
	o.to_utc_arg = &convertible;
	o.judge_ms = 10;
	o.force = true;
	rec = open_with(&o, &s);
	give(rec, "a", 1, T0 + 37 * S + 7);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, seen, 1), 1);
}

static void stamps_of_another_epoch_are_converted_or_left_out_and_said_so(void **state)
{
	uint64_t now = (uint64_t)time(NULL) * S;
	struct seen seen;

	(void)state;
	phc_case(true, true, &seen);
	assert_int_equal(seen.ns, T0 + 7);
	assert_int_equal(seen.q.claim.source, KBP_TS_NIC);
	assert_int_equal(seen.q.unused, KBP_UNUSED_NONE);
	phc_case(false, true, &seen);
	assert_true(seen.ns >= now); /* the program's time */
	assert_int_equal(seen.q.claim.source, KBP_TS_NONE);
	assert_int_equal(seen.q.unused, KBP_UNUSED_NO_CONVERSION);
	assert_int_equal(seen.q.unused_epoch, KBP_EPOCH_PHC);
	assert_int_equal(seen.q.unused_ns, T0 + 37 * S + 7);
	phc_case(true, false, &seen);
	assert_int_equal(seen.q.claim.source, KBP_TS_NONE);
	assert_int_equal(seen.q.unused, KBP_UNUSED_UNPROVEN);
}

/* ---------------------------------------------------------------- losses */

static void *drain(void *arg)
{
	const char *to = arg;
	int in = open(path, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0600);
	static char buf[65536];
	ssize_t n;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
	return NULL;
}

static void a_full_ring_drops_counts_and_never_waits(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	static uint8_t bytes[1000];
	pthread_t reader;
	char copy[160];
	int hold;

	(void)state;
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	hold = open(path, O_RDWR); /* a disk that takes 64 KiB and then nothing */
	o.force = true;
	rec = open_with(&o, NULL);
	for (unsigned i = 0; i < 20000; i++)
		give(rec, bytes, sizeof(bytes), T0 + i);
	kbp_recorder_stats(rec, &st);
	assert_int_equal(st.received, 20000);
	assert_true(st.overrun > 0);
	assert_int_equal(st.received, st.written + st.overrun + st.unwritten + st.waiting);
	assert_true(st.ring_fill_max <= st.ring_bytes);
	assert_int_equal(pthread_create(&reader, NULL, drain, copy), 0);
	while (st.waiting) { /* now there is room again */
		usleep(1000);
		kbp_recorder_stats(rec, &st);
	}
	assert_int_equal(give(rec, bytes, sizeof(bytes), T0 + 20000), 1);
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	close(hold);
	pthread_join(reader, NULL);
	account_closes(&st);
	assert_int_equal(st.received, 20001);
	assert_int_equal(st.unwritten, 0);
	assert_int_equal(read_file(copy, NULL, 0), st.written);
	assert_int_equal(drops, st.overrun);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void a_full_disk_leaves_a_whole_file_and_the_count(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	static uint8_t bytes[700];
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	struct kbp_error err;
	struct stat file;

	(void)state;
	rec = open_with(&o, NULL);
	limit_file_size(100001); /* within a block */
	for (unsigned i = 0; i < 1000; i++)
		give(rec, bytes, sizeof(bytes), T0 + i);
	assert_int_equal(kbp_recorder_close(rec, &st, &err), -EFBIG);
	limit_file_size(RLIM_INFINITY);
	account_closes(&st);
	assert_int_equal(st.code, -EFBIG);
	assert_true(st.written > 50 && st.unwritten > 500);
	assert_non_null(strstr(err.hint, "are missing"));
	assert_int_equal(stat(path, &file), 0);
	assert_true(file.st_size <= 100001);
	assert_int_equal(read_file(path, NULL, 0), st.written);
}

static void a_disk_without_any_room_is_an_error(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	struct kbp_error err;

	(void)state;
	o.path = "/dev/full";
	o.force = true;
	rec = open_with(&o, NULL);
	give(rec, "a", 1, T0);
	assert_int_equal(kbp_recorder_close(rec, &st, &err), -ENOSPC);
	assert_int_equal(st.written, 0);
	assert_int_equal(st.unwritten, 1);
}

/* ---------------------------------------------------------------- files */

static unsigned files_read(uint64_t *packets, off_t *longest)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	unsigned n = 0;

	*packets = 0;
	*longest = 0;
	while ((e = readdir(d)) != NULL) {
		char name[400];
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		assert_int_equal(stat(name, &st), 0);
		*longest = st.st_size > *longest ? st.st_size : *longest;
		*packets += read_file(name, NULL, 0);
		n++;
	}
	closedir(d);
	return n;
}

static void rotate(unsigned keep, unsigned *files, uint64_t *packets, struct kbp_recorder_stats *st)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	static uint8_t bytes[900];
	struct kbp_recorder *rec;
	off_t longest;

	o.rotate_bytes = 65536;
	o.keep = keep;
	rec = open_with(&o, NULL);
	for (unsigned i = 0; i < 800; i++)
		assert_int_equal(give(rec, bytes, sizeof(bytes), T0 + i), 1);
	assert_int_equal(kbp_recorder_close(rec, st, NULL), 0);
	*files = files_read(packets, &longest);
	assert_true(longest < 65536 + 4096); /* statistics come on top */
}

static void files_rotate_by_size_and_each_is_whole(void **state)
{
	struct kbp_recorder_stats st;
	uint64_t packets;
	unsigned files;

	(void)state;
	rotate(0, &files, &packets, &st);
	assert_true(files > 8);
	assert_int_equal(files, st.files);
	assert_int_equal(packets, 800);
}

static void only_so_many_files_are_kept(void **state)
{
	struct kbp_recorder_stats st;
	uint64_t packets;
	unsigned files;

	(void)state;
	rotate(3, &files, &packets, &st);
	assert_int_equal(files, 3);
	assert_true(st.files > 8);
	assert_true(packets < 800 && packets > 100);
}

static void files_rotate_by_time(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder_stats st;
	struct kbp_recorder *rec;
	uint64_t packets;
	off_t longest;

	(void)state;
	o.rotate_ns = 20 * MS;
	rec = open_with(&o, NULL);
	do {
		give(rec, "a", 1, T0);
		usleep(1000);
		kbp_recorder_stats(rec, &st);
	} while (st.files < 4);
	assert_int_equal(kbp_recorder_close(rec, &st, NULL), 0);
	assert_int_equal(files_read(&packets, &longest), st.files);
	assert_int_equal(packets, st.written);
}

static void a_file_that_is_there_is_not_overwritten(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec;
	struct kbp_error err;

	(void)state;
	o.path = path;
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), -EEXIST);
	assert_null(rec);
	assert_non_null(strstr(err.hint, "--force"));
	o.force = true;
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), 0);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
}

static void text_of(const char *name, char text[64])
{
	FILE *f = fopen(name, "re");

	assert_non_null(f);
	text[fread(text, 1, 63, f)] = '\0';
	fclose(f);
}

static void a_recorder_that_never_began_leaves_the_old_file_as_it_was(void **state)
{
	const struct timespec flushes = { .tv_nsec = 50000000 };
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec;
	char text[64];
	FILE *f;

	(void)state;
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("an older capture", f);
	fclose(f);
	o.force = true;
	o.flush_ms = 1;
	rec = open_with(&o, NULL);
	nanosleep(&flushes, NULL);
	kbp_recorder_abandon(rec);
	text_of(path, text);
	assert_string_equal(text, "an older capture");
	rec = open_with(&o, NULL);
	give(rec, "a", 1, T0);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, NULL, 0), 1); /* and nothing of the old one */
	rec = open_with(&o, NULL);
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
	assert_int_equal(read_file(path, NULL, 0), 0);
}

static void a_recorder_that_never_began_leaves_no_file(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;

	(void)state;
	kbp_recorder_abandon(open_with(&o, NULL));
	assert_int_equal(access(path, F_OK), -1);
	kbp_recorder_abandon(NULL);
}

static void senseless_options_are_refused(void **state)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_recorder *rec;
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), -EINVAL); /* no path */
	o.path = path;
	o.keep = 2; /* without rotation */
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), -EINVAL);
	o.keep = 0;
	o.snaplen = 1 << 20;
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), -EINVAL);
	o.snaplen = 0;
	o.path = "/nonexistent/a.pcapng";
	assert_int_equal(kbp_recorder_open(&o, &rec, &err), -ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nanoseconds_bytes_and_order_come_back),
		TEST(a_chain_becomes_one_packet),
		TEST(one_byte_of_a_packet_may_be_kept_and_its_length_is_told),
		TEST(a_loss_that_is_found_later_is_written),
		TEST(what_no_look_confirmed_does_not_read_as_in_sync),
		TEST(evidence_that_comes_after_more_than_a_second_is_waited_for),
		TEST(the_device_can_only_take_away),
		TEST(stamps_of_another_epoch_are_converted_or_left_out_and_said_so),
		TEST(a_full_ring_drops_counts_and_never_waits),
		TEST(a_full_disk_leaves_a_whole_file_and_the_count),
		TEST(a_disk_without_any_room_is_an_error),
		TEST(files_rotate_by_size_and_each_is_whole),
		TEST(only_so_many_files_are_kept),
		TEST(files_rotate_by_time),
		TEST(a_file_that_is_there_is_not_overwritten),
		TEST(a_recorder_that_never_began_leaves_the_old_file_as_it_was),
		TEST(a_recorder_that_never_began_leaves_no_file),
		TEST(senseless_options_are_refused),
	};

	return cmocka_run_group_tests_name("record_ring", tests, NULL, NULL);
}
