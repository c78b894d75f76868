/* SPDX-License-Identifier: BSD-2-Clause */
/* Damaged texts through kbp_flow_parse. Deterministic: the same texts on every run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kbypass/kbypass.h>

#define ROUNDS 200000
#define TEXT_MAX 160u

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % n;
}

static const char *const corpus[] = {
	"239.1.1.1:5000",
	"udp:239.1.1.1:5000@192.0.2.1:4000%100",
	"[ff3e::1]:5000@[2001:db8::1]",
	"232.1.1.1:0@10.0.0.1+nojoin",
	"239.255.0.1:65535@*:1%4094+nojoin",
	"[ff15::1:2]:1@*:65535",
};

static const char *const pieces[] = {
	"udp:",
	"[",
	"]",
	"::",
	":",
	"@",
	"@*:",
	"%",
	"+nojoin",
	"0",
	"65536",
	"4095",
	"-1",
	" ",
	"\n",
	"%s",
	"%n",
	"255.255.255.255",
	"::ffff:1.2.3.4",
	"99999999999999999999",
	"\377",
};

static void damage(char *text)
{
	for (uint32_t k = random_below(4); k; k--) {
		size_t n = strlen(text), at = random_below((uint32_t)n + 1);
		const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
		size_t add = strlen(piece);

		switch (random_below(4)) {
		case 0: /* put in */
			if (n + add >= TEXT_MAX)
				break;
			memmove(text + at + add, text + at, n - at + 1);
			memcpy(text + at, piece, add);
			break;
		case 1: /* take out */
			if (at < n)
				memmove(text + at, text + at + 1, n - at);
			break;
		case 2: /* cut */
			text[at] = '\0';
			break;
		default:
			if (at < n)
				text[at] = (char)(1 + random_below(255));
		}
	}
}

static void damaged_texts_are_flows_that_survive_or_errors_with_a_column(void **state)
{
	unsigned good = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		char text[TEXT_MAX + 1], printed[TEXT_MAX], *exact;
		struct kbp_flow f, back;
		struct kbp_error err;
		int column = 0;

		strcpy(text, corpus[random_below(sizeof(corpus) / sizeof(corpus[0]))]);
		damage(text);
		exact = strdup(text);
		assert_non_null(exact);
		memset(&err, 0xff, sizeof(err));
		if (!kbp_flow_parse(exact, &f, &err)) {
			good++;
			assert_true(kbp_flow_format(&f, printed, sizeof(printed)) <
				    (int)sizeof(printed));
			assert_int_equal(kbp_flow_parse(printed, &back, NULL), 0);
			assert_memory_equal(&back, &f, sizeof(f));
		} else {
			assert_true(err.code < 0);
			assert_non_null(memchr(err.step, '\0', sizeof(err.step)));
			assert_non_null(memchr(err.hint, '\0', sizeof(err.hint)));
			assert_int_equal(sscanf(err.hint, "column %d:", &column), 1);
			assert_true(column >= 1 && (size_t)column <= strlen(exact) + 1);
		}
		free(exact);
	}
	assert_true(good > ROUNDS / 10 && good < ROUNDS - ROUNDS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_texts_are_flows_that_survive_or_errors_with_a_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
