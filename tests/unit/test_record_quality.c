/* SPDX-License-Identifier: BSD-2-Clause */
/* What is written beside a packet is read back as it was, and nothing else is. */
#include <errno.h>

#include "test.h"

#include <kbypass/record.h>

static void back_and_forth(const struct kbp_quality *q)
{
	char text[KBP_QUALITY_TEXT_MAX];
	struct kbp_quality read;
	int n = kbp_quality_format(q, text, sizeof(text));

	assert_true(n > 0 && n < (int)sizeof(text));
	assert_int_equal(kbp_quality_parse(text, (size_t)n, &read), 0);
	assert_int_equal(read.claim.sync, q->claim.sync);
	assert_int_equal(read.claim.cause, q->claim.cause);
	assert_int_equal(read.claim.settled, q->claim.settled);
	assert_int_equal(read.claim.source, q->claim.source);
	assert_int_equal(read.claim.proof, q->claim.proof);
	assert_int_equal(read.claim.bound_ns, q->claim.bound_ns);
	assert_int_equal(read.claim.verified_ns, q->claim.verified_ns);
	assert_int_equal(read.claim.resolution_ps, q->claim.resolution_ps);
	assert_int_equal(read.unused, q->unused);
	assert_int_equal(read.unused_epoch, q->unused_epoch);
	assert_int_equal(read.unused_ns, q->unused_ns);
}

static void the_text_is_the_documented_one(void **state)
{
	const struct kbp_quality q = { .claim = { .sync = KBP_SYNC_IN,
						  .cause = KBP_CLOCK_FINE,
						  .settled = true,
						  .source = KBP_TS_KERNEL,
						  .proof = KBP_PROVEN,
						  .bound_ns = 312,
						  .verified_ns = 1790000000123456789u,
						  .resolution_ps = 1000 } };
	char text[KBP_QUALITY_TEXT_MAX];

	(void)state;
	kbp_quality_format(&q, text, sizeof(text));
	assert_string_equal(
		text, "sync=in bound_ns=312 verified_ns=1790000000.123456789 source=kernel cause=fine "
		      "settled=yes proof=proven resolution_ps=1000");
}

static void every_value_comes_back(void **state)
{
	(void)state;
	for (unsigned sync = 0; sync < 3; sync++)
		for (unsigned cause = 0; cause <= KBP_CLOCK_AMBIGUOUS; cause++)
			for (unsigned source = 0; source < 4; source++) {
				struct kbp_quality q = {
					.claim = { .sync = (enum kbp_sync)sync,
						   .cause = (enum kbp_clock_cause)cause,
						   .source = (enum kbp_ts_source)source,
						   .proof = (enum kbp_proof)source,
						   .settled = source & 1,
						   .bound_ns = sync ? KBP_BOUND_UNKNOWN :
								      UINT64_MAX - 1,
						   .verified_ns = sync ? 0 : 17999999999999999999u }
				};

				back_and_forth(&q);
				q.claim.resolution_ps = UINT32_MAX;
				q.unused = source & 1 ? KBP_UNUSED_UNPROVEN :
							KBP_UNUSED_NO_CONVERSION;
				q.unused_epoch = (enum kbp_epoch)(cause % 5);
				q.unused_ns = 37000000001u;
				back_and_forth(&q);
			}
}

static void a_short_buffer_is_not_overrun(void **state)
{
	const struct kbp_quality q = { .claim = { .sync = KBP_SYNC_NOT } };
	char text[KBP_QUALITY_TEXT_MAX];

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		memset(text, '#', sizeof(text));
		assert_true(kbp_quality_format(&q, text, size) > 40);
		assert_int_equal(text[size], '#');
	}
}

static void words_of_later_versions_are_skipped(void **state)
{
	const char text[] = "sync=in novelty=1 bound_ns=5 other=";
	struct kbp_quality q;

	(void)state;
	assert_int_equal(kbp_quality_parse(text, strlen(text), &q), 0);
	assert_int_equal(q.claim.bound_ns, 5);
}

static void what_is_missing_is_unknown(void **state)
{
	struct kbp_quality q;

	(void)state;
	assert_int_equal(kbp_quality_parse("sync=in", 7, &q), 0);
	assert_false(q.claim.settled);
	assert_true(q.claim.bound_ns == KBP_BOUND_UNKNOWN);
	assert_int_equal(q.claim.cause, KBP_CLOCK_UNWATCHED);
}

static void damaged_comments_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"sync",
		"sync=",
		"sync=IN",
		"sync=in ",
		" sync=in",
		"sync=in  bound_ns=1",
		"bound_ns=1 sync=in",
		"sync=in sync=not",
		"sync=in word",
		"sync=in bound_ns=",
		"sync=in bound_ns=-1",
		"sync=in bound_ns=1x",
		"sync=in bound_ns=18446744073709551615", /* would read as unknown */
		"sync=in bound_ns=18446744073709551616",
		"sync=in bound_ns=111111111111111111111",
		"sync=in verified_ns=1.5",
		"sync=in verified_ns=1.1234567890",
		"sync=in verified_ns=.123456789",
		"sync=in verified_ns=18446744074.123456789",
		"sync=in source=magic",
		"sync=in cause=unknown",
		"sync=in settled=maybe",
		"sync=in resolution_ps=4294967296",
		"sync=in unused=",
		"a capture",
	};
	struct kbp_quality q;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (kbp_quality_parse(bad[i], strlen(bad[i]), &q) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_the_documented_one),
		cmocka_unit_test(every_value_comes_back),
		cmocka_unit_test(a_short_buffer_is_not_overrun),
		cmocka_unit_test(words_of_later_versions_are_skipped),
		cmocka_unit_test(what_is_missing_is_unknown),
		cmocka_unit_test(damaged_comments_are_refused),
	};

	return cmocka_run_group_tests_name("record_quality", tests, NULL, NULL);
}
