/* SPDX-License-Identifier: BSD-2-Clause */
/* Real captures, which are not part of the project: KBP_DATA_DIR names their directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <kbypass/traffic.h>

static char dir[512];
static struct kbp_capture_report report;

static struct kbp_schedule *load(const char *name)
{
	struct kbp_capture_opts opts = { .size = sizeof(opts) };
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT, .rate_pps = 50000, .seconds = 5 };
	struct kbp_schedule *s;
	struct kbp_error err;
	char path[640];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (access(path, R_OK)) {
		print_message("%s is not there\n", path);
		skip();
	}
	if (kbp_schedule_from_capture(path, &opts, &timing, &s, &report, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void iex_tops_is_read_whole(void **state)
{
	struct kbp_schedule *s = load("iex-tops16-13k.pcapng.gz");

	(void)state;
	assert_int_equal(s->n_frames, 13022);
	assert_int_equal(s->n_total, 250000);
	assert_int_equal(s->n_flows, 1);
	assert_int_equal(s->flows[0].dst_port, 16642);
	assert_memory_equal(s->flows[0].dst.bytes, "\xe0\x43\x00\xc7", 4);
	assert_int_equal(report.damage.record, 0);
	kbp_schedule_close(s);
}

static void iex_deep_ends_in_mid_record_and_the_rest_is_kept(void **state)
{
	struct kbp_schedule *s = load("iex-deep10-121k.pcap.gz");

	(void)state;
	assert_int_equal(s->n_frames, 121314);
	assert_int_equal(s->flows[0].dst_port, 16648);
	assert_int_equal(report.damage.record, 121315);
	assert_non_null(strstr(report.damage_text, "truncated"));
	print_message("record %llu at byte %llu: %s\n", (unsigned long long)report.damage.record,
		      (unsigned long long)report.damage.offset, report.damage_text);
	kbp_schedule_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iex_tops_is_read_whole),
		cmocka_unit_test(iex_deep_ends_in_mid_record_and_the_rest_is_kept),
	};
	const char *named = getenv("KBP_DATA_DIR");

	snprintf(dir, sizeof(dir), "%s", named ? named : KBP_DATA_DIR_DEFAULT);
	if (access(dir, R_OK | X_OK)) {
		printf("SKIP: no captures in %s: set KBP_DATA_DIR\n", dir);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
