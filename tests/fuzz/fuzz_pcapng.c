/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damaged captures by the thousand, the same ones every time, into the reader behind the report: whatever comes in,
 * either a clear error or an account that adds up comes out; and comments into the reader of comments.
 *
 *   fuzz_pcapng [ITERATIONS [SEED]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kbypass/record.h>

#include "tools/record/pcapng.h"
#include "tools/traffic/schedule.h"

#define ITERATIONS 20000ul
#define SIZE 8192u
#define SEEDS 2u

static uint8_t seed[SEEDS][SIZE], input[SIZE];
static size_t seed_len[SEEDS];
static uint64_t state;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(kbp_random(&state) % n);
}

static void fail(unsigned long iteration, const char *what)
{
	fprintf(stderr, "iteration %lu: %s\n", iteration, what);
	abort();
}

static void seed_pcapng(void)
{
	struct kbp_png b = { seed[0], 0, SIZE };
	char comment[KBP_QUALITY_TEXT_MAX];

	kbp_png_section(&b, "cpu", "os", "kbypass 0.1.0", "kbypass.capture/1: fuzz");
	kbp_png_interface(&b, 1, 0, "if0", "one");
	kbp_png_interface(&b, 101, 96, "if1", "two");
	for (uint64_t i = 0; i < 12; i++) {
		struct kbp_quality q = { .claim = { .sync = KBP_SYNC_IN,
						    .settled = true,
						    .source = (enum kbp_ts_source)(i % 4),
						    .bound_ns = i * 1000,
						    .verified_ns = 1790000000000000000u } };
		struct kbp_png_packet p = { .interface = (uint32_t)i % 2,
					    .ts_ns = 1790000000000000000u + i * 1000000u,
					    .body = "a payload of some length",
					    .body_len = (uint32_t)i * 2,
					    .original_len = 100,
					    .drops = i % 3 ? KBP_PNG_NONE : i,
					    .comment = comment };

		kbp_quality_format(&q, comment, sizeof(comment));
		kbp_png_packet(&b, &p);
	}
	seed_len[0] = b.len;
}

static void seed_pcap(void)
{
	static const uint32_t head[6] = { 0xa1b23c4d, 0x00040002, 0, 0, 65535, 1 };
	size_t at = sizeof(head);

	memcpy(seed[1], head, sizeof(head));
	for (uint32_t i = 0; i < 20; i++) {
		const uint32_t record[4] = { 1790000000, i * 1000, 60, 60 };

		memcpy(seed[1] + at, record, sizeof(record));
		at += sizeof(record) + 60;
	}
	seed_len[1] = at;
}

static size_t damage(void)
{
	static const uint32_t words[] = { 0,	      1,	  4,	      12,	0x7fffffff,
					  0x80000000, 0xffffffff, 0xfffffff0, 16u << 20 };
	unsigned which = below(SEEDS), hits = 1 + below(6);
	size_t len = seed_len[which];

	memcpy(input, seed[which], len);
	while (hits--) {
		size_t at = below((uint32_t)len);

		switch (below(5)) {
		case 0:
			input[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			input[at] = (uint8_t)below(256);
			break;
		case 2: /* lengths stand at multiples of 4 */
			at &= ~(size_t)3;
			if (at + 4 <= len)
				memcpy(input + at, &words[below(sizeof(words) / sizeof(words[0]))],
				       4);
			break;
		case 3:
			len = at ? at : 1;
			break;
		default: /* a block twice, or a piece of one */
			if (len + 64 < SIZE && at + 64 < len) {
				memmove(input + at + 64, input + at, len - at);
				len += 64;
			}
		}
	}
	return len;
}

static void file_check(unsigned long iteration, int fd, const char *path, size_t len)
{
	struct kbp_rts25_result *res = malloc(sizeof(*res));
	struct kbp_rts25_file file;
	struct kbp_error err = { 0 };
	struct kbp_rts25 *r = NULL;
	uint64_t begin;
	int rc;

	if (!res || ftruncate(fd, 0) || pwrite(fd, input, len, 0) != (ssize_t)len ||
	    kbp_rts25_open(NULL, &r, NULL))
		fail(iteration, "no memory");
	rc = kbp_rts25_add_file(r, path, &file, &err);
	if (rc && (!err.hint[0] || err.code != rc))
		fail(iteration, "an error without a reason");
	if (rc && rc != -EBADMSG && rc != -EINVAL)
		fail(iteration, err.hint);
	if (file.cut && file.cut_at > len)
		fail(iteration, "cut beyond its end");
	kbp_rts25_begin(path, &begin, NULL);
	kbp_rts25_result(r, res);
	for (unsigned i = 0; i < KBP_RTS25_CLASSES; i++) {
		if (res->cls[i].within_ns + res->cls[i].beyond_ns + res->unknown_ns != res->total_ns)
			fail(iteration, "the account does not add up");
		if (res->cls[i].verdict == KBP_RTS25_COMPLIANT && res->unknown_ns)
			fail(iteration, "unknown time counts as compliant");
	}
	kbp_rts25_close(r);
	free(res);
}

static void comment_check(unsigned long iteration)
{
	char text[KBP_QUALITY_TEXT_MAX];
	struct kbp_quality q = { .claim = { .sync = KBP_SYNC_IN, .bound_ns = kbp_random(&state) } };
	uint32_t n = (uint32_t)kbp_quality_format(&q, text, sizeof(text));
	char *copy;

	for (unsigned hits = below(4); hits--;)
		text[below(n)] = (char)below(256);
	n = below(n + 1);
	copy = malloc(n + 1); /* its end is where the sanitizer sees a read beyond it */
	if (!copy)
		fail(iteration, "no memory");
	memcpy(copy, text, n);
	if (!kbp_quality_parse(copy, n, &q) && (unsigned)q.claim.sync > KBP_SYNC_IN)
		fail(iteration, "a state that does not exist");
	free(copy);
}

int main(int argc, char **argv)
{
	unsigned long iterations = argc > 1 ? strtoul(argv[1], NULL, 0) : ITERATIONS;
	int fd = memfd_create("fuzz", 0);
	char path[64];

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	seed_pcapng();
	seed_pcap();
	for (unsigned long i = 0; i < iterations; i++) {
		file_check(i, fd, path, damage());
		comment_check(i);
	}
	close(fd);
	printf("%lu damaged captures\n", iterations);
	return 0;
}
