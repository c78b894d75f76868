/* SPDX-License-Identifier: BSD-2-Clause */
/* tshark reads what a recorder writes, without a word: the same nanoseconds, bytes, order and comments. */
#include <arpa/inet.h>
#include <unistd.h>

#include "test.h"

#include <kbypass/record.h>

#define T0 1790000000000000000u
#define N 500u
#define LINE 1024

static char path[] = "/tmp/kbp-tshark-XXXXXX", err_path[64];

static uint64_t ns_of(unsigned i)
{
	return T0 + i * 1000000007ull + i;
}

static uint32_t len_of(unsigned i)
{
	return 60 + i % 200;
}

static void write_capture(void)
{
	struct kbp_recorder_opts o = KBP_RECORDER_OPTS_INIT;
	struct kbp_record_source s = KBP_RECORD_SOURCE_INIT;
	struct kbp_recorder *rec;
	uint8_t bytes[260];

	o.path = path;
	o.force = true;
	assert_int_equal(kbp_recorder_open(&o, &rec, NULL), 0);
	for (unsigned k = 0; k < 2; k++) {
		s.name = k ? "if1" : "if0";
		s.description = "crafted";
		s.linktype =
			147; /* for private use: tshark shows the bytes and has nothing to dissect */
		s.ts_source = KBP_TS_NIC;
		s.ts_proof = KBP_PROVEN;
		s.ts_epoch = KBP_EPOCH_UTC;
		s.ts_resolution_ps = 250;
		assert_int_equal(kbp_recorder_add(rec, &s, NULL), k);
	}
	for (unsigned i = 0; i < N; i++) {
		const struct kbp_stamp stamp = { .ns = ns_of(i), .flags = KBP_FRAME_TS };

		memset(bytes, (int)i, sizeof(bytes));
		assert_int_equal(kbp_recorder_packet(rec, i % 2, bytes, len_of(i), &stamp), 1);
	}
	assert_int_equal(kbp_recorder_close(rec, NULL, NULL), 0);
}

static FILE *tshark(const char *more)
{
	char cmd[512];
	FILE *f;

	snprintf(cmd, sizeof(cmd), "tshark -n -r %s %s 2>%s", path, more, err_path);
	f = popen(cmd, "r");
	assert_non_null(f);
	return f;
}

/* But for what it says to root. */
static void it_was_silent(FILE *f)
{
	char line[LINE];
	FILE *e;

	assert_int_equal(pclose(f), 0);
	e = fopen(err_path, "r");
	assert_non_null(e);
	while (fgets(line, sizeof(line), e)) {
		if (strncmp(line, "Running as user", 15) != 0)
			fail_msg("tshark says: %s", line);
	}
	fclose(e);
}

static void nanoseconds_order_lengths_and_comments_are_the_same(void **state)
{
	FILE *f = tshark("-T fields -e frame.number -e frame.time_epoch -e frame.cap_len -e frame.len "
			 "-e frame.interface_name -e frame.comment");
	char line[LINE], want[LINE];
	unsigned i = 0;

	(void)state;
	for (; fgets(line, sizeof(line), f); i++) {
		snprintf(want, sizeof(want),
			 "%u\t%llu.%09llu\t%u\t%u\tif%u\tsync=unknown bound_ns=unknown verified_ns=never "
			 "source=nic cause=unwatched settled=yes proof=proven resolution_ps=250\n",
			 i + 1, (unsigned long long)(ns_of(i) / 1000000000u),
			 (unsigned long long)(ns_of(i) % 1000000000u), len_of(i), len_of(i), i % 2);
		assert_string_equal(line, want);
	}
	assert_int_equal(i, N);
	it_was_silent(f);
}

static void bytes_are_the_same(void **state)
{
	FILE *f = tshark("-T fields -e data.data");
	char line[LINE];
	unsigned i = 0;

	(void)state;
	for (; fgets(line, sizeof(line), f); i++) {
		char want[3];

		snprintf(want, sizeof(want), "%02x", i & 0xff);
		assert_int_equal(strlen(line), len_of(i) * 2 + 1);
		for (uint32_t k = 0; k < len_of(i); k++)
			assert_memory_equal(line + (size_t)k * 2, want, 2);
	}
	assert_int_equal(i, N);
	it_was_silent(f);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	snprintf(err_path, sizeof(err_path), "%s.err", path);
	write_capture();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return unlink(err_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nanoseconds_order_lengths_and_comments_are_the_same),
		cmocka_unit_test(bytes_are_the_same),
	};

	if (system("tshark --version >/dev/null 2>&1")) {
		puts("SKIP: tshark is not installed");
		return TEST_SKIP;
	}
	return cmocka_run_group_tests_name("record_tshark", tests, setup, teardown);
}
