/* SPDX-License-Identifier: BSD-2-Clause */
/* What the page is made of: harmless text, lines, places on axes, buckets that lose nothing, percentiles, bounded reading. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/measure/report_parts.h"

/* ---------------------------------------------------------------- text */

static void expect_text(const char *text, const char *as)
{
	struct kbp_out o = { 0 };

	kbp_out_text(&o, text);
	assert_false(o.bad);
	assert_string_equal(o.text, as);
	free(o.text);
}

static void markup_in_text_shows_as_it_reads(void **state)
{
	(void)state;
	expect_text("<script>alert('x' & \"y\")</script>",
		    "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
	expect_text("&lt;", "&amp;lt;");
}

static void letters_of_any_language_stay(void **state)
{
	(void)state;
	expect_text("\u00b5s \u2212 \u4e2d \U0001f600", "\u00b5s \u2212 \u4e2d \U0001f600");
}

static void controls_and_turns_of_direction_show_as_escapes(void **state)
{
	(void)state;
	expect_text("a\nb\x1b[31m\x7f", "a\\u000ab\\u001b[31m\\u007f");
	expect_text("abc\u202edef\u2066\u200b\ufeff", "abc\\u202edef\\u2066\\u200b\\ufeff");
}

static void bytes_that_are_no_utf8_show_as_escapes(void **state)
{
	(void)state;
	expect_text("\xff<", "\\xff&lt;");
	/* too long a form of '<', a surrogate, a character cut off by the end */
	expect_text("\xc0\xbc", "\\xc0\\xbc");
	expect_text("\xed\xa0\x80", "\\xed\\xa0\\x80");
	expect_text("\xe2\x82", "\\xe2\\x82");
}

static void expect_ns(double ns, const char *as)
{
	char buf[32];

	assert_string_equal(kbp_text_ns(ns, buf), as);
}

static void a_time_has_a_unit_and_four_digits(void **state)
{
	(void)state;
	expect_ns(0, "0.00 ns");
	expect_ns(18, "18.0 ns");
	expect_ns(850, "850 ns");
	expect_ns(999.7, "1.000 \u00b5s");
	expect_ns(12345, "12.35 \u00b5s");
	expect_ns(123456, "123.5 \u00b5s");
	expect_ns(-1620, "\u22121.620 \u00b5s");
	expect_ns(4294967295.0, "4.295 s");
	expect_ns(NAN, "unknown");
}

static void a_count_is_parted_by_thousands(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(kbp_text_count(0, buf), "0");
	assert_string_equal(kbp_text_count(999, buf), "999");
	assert_string_equal(kbp_text_count(1234567, buf), "1,234,567");
	assert_string_equal(kbp_text_count(UINT64_MAX, buf), "18,446,744,073,709,551,615");
}

/* ---------------------------------------------------------------- lines and axes */

static void a_line_begins_with_a_move_and_breaks_where_there_is_no_number(void **state)
{
	struct kbp_out o = { 0 };
	struct kbp_path p = { .o = &o };

	(void)state;
	kbp_path_to(&p, 10, 20);
	kbp_path_to(&p, 30.54, -0.04);
	kbp_path_to(&p, NAN, 1);
	kbp_path_to(&p, 1, 2.06);
	kbp_path_to(&p, 1e99, -7.5);
	assert_string_equal(o.text, "M10 20L30.5 0M1 2.1L0 -7.5");
	free(o.text);
}

static void no_figure_leaves_its_axis(void **state)
{
	struct kbp_axis a;

	(void)state;
	kbp_axis_make(&a, false, 0, 10, 100, 200);
	assert_true(kbp_axis_at(&a, 5) == 150);
	assert_true(kbp_axis_at(&a, -1) == 100);
	assert_true(kbp_axis_at(&a, 1e300) == 200);
	assert_true(kbp_axis_at(&a, NAN) == 100);
	assert_true(kbp_axis_at(&a, INFINITY) == 200);
	kbp_axis_make(&a, true, 1, 100, 0, 50);
	assert_true(fabs(kbp_axis_at(&a, 10) - 25) < 1e-9);
	assert_true(kbp_axis_at(&a, 0) == 0);
}

static void an_axis_of_nothing_can_be_drawn(void **state)
{
	static const double odd[][2] = { { 5, 5 },	  { 9, 3 },   { NAN, 1 }, { INFINITY, 0 },
					 { 0, INFINITY }, { -3, -3 }, { 0, 0 } };
	struct kbp_axis a;
	double tick[KBP_TICKS_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * KBP_ARRAY_SIZE(odd); i++) {
		kbp_axis_make(&a, i % 2, odd[i / 2][0], odd[i / 2][1], 0, 100);
		assert_true(a.lo < a.hi);
		assert_true(isfinite(kbp_axis_at(&a, odd[i / 2][0])));
		assert_true(kbp_axis_ticks(&a, tick) <= KBP_TICKS_MAX);
	}
}

static void ticks_are_round_and_lie_on_the_axis(void **state)
{
	static const double range[][2] = { { 0, 2.7 },	 { 5000, 30000 }, { 840, 900 },
					   { 1, 4.3e9 }, { 10, 99 },	  { 0, 1e-6 } };
	struct kbp_axis a;
	double tick[KBP_TICKS_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * KBP_ARRAY_SIZE(range); i++) {
		unsigned n;

		kbp_axis_make(&a, i % 2, range[i / 2][0], range[i / 2][1], 0, 100);
		n = kbp_axis_ticks(&a, tick);
		assert_in_range(n, 2, KBP_TICKS_MAX);
		for (unsigned k = 0; k < n; k++) {
			assert_true(tick[k] >= a.lo * 0.999 - 1e-9 && tick[k] <= a.hi * 1.001);
			assert_true(!k || tick[k] > tick[k - 1]);
		}
	}
}

/* ---------------------------------------------------------------- samples */

static void what_is_rare_survives_in_a_bucket(void **state)
{
	const size_t n = 100000;
	uint32_t *ns = malloc(n * sizeof(*ns));
	struct kbp_bucket b[100];

	(void)state;
	assert_non_null(ns);
	for (size_t i = 0; i < n; i++)
		ns[i] = 1000 + (uint32_t)(i % 7);
	ns[54321] = 4000000000u;
	ns[12345] = 3;
	assert_int_equal(kbp_buckets_of(ns, n, b, 100), 100);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(b[i].min, i == 12 ? 3 : 1000);
		assert_int_equal(b[i].max, i == 54 ? 4000000000u : 1006);
		assert_int_equal(b[i].p99, 1006);
		assert_int_equal(ns[b[i].at_max], b[i].max);
	}
	assert_int_equal(b[54].at_max, 54321);
	free(ns);
}

static void fewer_samples_than_buckets_are_a_bucket_each(void **state)
{
	const uint32_t ns[] = { 5, 4, 9 };
	struct kbp_bucket b[10];

	(void)state;
	assert_int_equal(kbp_buckets_of(ns, 3, b, 10), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(b[i].min == ns[i] && b[i].p99 == ns[i] && b[i].max == ns[i]);
	assert_int_equal(kbp_buckets_of(ns, 0, b, 10), 0);
}

static void a_bucket_of_a_thousand_has_the_p99_of_nearest_rank(void **state)
{
	uint32_t ns[1000];
	struct kbp_bucket b;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		ns[i] = (i * 617) % 1000 + 1; /* 1 to 1000, each once */
	assert_int_equal(kbp_buckets_of(ns, 1000, &b, 1), 1);
	assert_int_equal(b.p99, 990);
}

static void sorting_leaves_out_warmup_and_what_is_no_sample(void **state)
{
	const uint32_t ns[] = { 1, 70000, 3, KBP_SAMPLE_NONE, 2, 9, KBP_SAMPLE_MOST, 16777216 };
	struct kbp_result_round round[] = {
		{ .first_sample = 0, .samples = 4, .warmup = 1 },
		{ .first_sample = 4, .samples = 4, .warmup = 1 },
	};
	struct kbp_result_run run = { .round = round, .n_rounds = 2 };
	const uint32_t expect[] = { 3, 9, 70000, 16777216, UINT32_MAX };
	size_t n;
	uint32_t *sorted = kbp_samples_sorted(&run, ns, true, &n);

	(void)state;
	assert_non_null(sorted);
	assert_int_equal(n, 5);
	assert_memory_equal(sorted, expect, sizeof(expect));
	free(sorted);
}

static char dir[64];

static int make_dir(void **state)
{
	char samples[80];

	(void)state;
	strcpy(dir, "/tmp/kbp-report-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(samples, sizeof(samples), "%s/samples", dir);
	return mkdir(samples, 0755);
}

static int remove_dir(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static void write_bytes(const char *name, size_t n)
{
	char path[120];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		fputc((int)(i + 1), f);
	assert_int_equal(fclose(f), 0);
}

/* Reads `name` as the samples of one round of n. */
static int read_of(const char *name, uint64_t n, uint32_t **ns, struct kbp_error *err)
{
	struct kbp_result_round round = { .samples = n };
	struct kbp_result_run run = { .round = &round, .n_rounds = 1 };
	struct kbp_results res = { .dir = dir };
	size_t got;

	return kbp_samples_read(&res, &run, name, ns, &got, err);
}

static void samples_are_little_endian(void **state)
{
	struct kbp_error err;
	uint32_t *ns;

	(void)state;
	write_bytes("samples/a.u32", 8);
	assert_int_equal(read_of("samples/a.u32", 2, &ns, &err), 0);
	assert_int_equal(ns[0], 0x04030201);
	assert_int_equal(ns[1], 0x08070605);
	free(ns);
}

static void a_file_of_another_length_is_refused(void **state)
{
	struct kbp_error err;
	uint32_t *ns;

	(void)state;
	write_bytes("samples/a.u32", 9);
	assert_int_equal(read_of("samples/a.u32", 2, &ns, &err), -EBADMSG);
	assert_null(ns);
	assert_non_null(strstr(err.hint, "it has 9 bytes"));
	assert_int_equal(read_of("samples/a.u32", UINT64_MAX, &ns, &err), -EBADMSG);
	assert_int_equal(read_of("samples/none.u32", 2, &ns, &err), -ENOENT);
	assert_int_equal(read_of("", 2, &ns, &err), -ENOENT);
}

static void a_name_does_not_lead_out_of_the_results(void **state)
{
	static const char *const names[] = { "/etc/passwd", "samples/../x", "../samples/a.u32",
					     "samples/",    "samples/..",   "other/a.u32",
					     "samples/b/c" };
	struct kbp_error err;
	uint32_t *ns;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(names); i++)
		assert_int_equal(read_of(names[i], 2, &ns, &err), -EBADMSG);
}

static void a_link_or_a_pipe_is_no_file_of_samples(void **state)
{
	struct kbp_error err;
	char path[120];
	uint32_t *ns;

	(void)state;
	snprintf(path, sizeof(path), "%s/samples/link.u32", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(read_of("samples/link.u32", 2, &ns, &err), -ELOOP);
	snprintf(path, sizeof(path), "%s/samples/pipe.u32", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(read_of("samples/pipe.u32", 2, &ns, &err), -EBADMSG);
}

/* ---------------------------------------------------------------- percentiles */

/* By hand: five steps to each halving of what is left to 100 %. */
static void levels_are_those_of_hdr_histogram(void **state)
{
	static const uint32_t sorted[] = { 10, 20, 20, 30, 40, 50, 60, 70, 80, 100 };
	static const struct kbp_level expect[] = {
		{ 0.0, 10, 1 },	   { 0.1, 10, 1 },   { 0.2, 20, 3 },	  { 0.3, 20, 3 },
		{ 0.4, 30, 4 },	   { 0.5, 40, 5 },   { 0.55, 50, 6 },	  { 0.6, 50, 6 },
		{ 0.65, 60, 7 },   { 0.7, 60, 7 },   { 0.75, 70, 8 },	  { 0.775, 70, 8 },
		{ 0.8, 70, 8 },	   { 0.825, 80, 9 }, { 0.85, 80, 9 },	  { 0.875, 80, 9 },
		{ 0.8875, 80, 9 }, { 0.9, 80, 9 },   { 0.9125, 100, 10 }, { 1, 100, 10 },
	};
	struct kbp_level level[KBP_LEVELS_MAX];
	unsigned n = kbp_levels_of(sorted, 10, level);

	(void)state;
	assert_int_equal(n, KBP_ARRAY_SIZE(expect));
	for (unsigned i = 0; i < n; i++) {
		assert_true(fabs(level[i].q - expect[i].q) < 1e-12);
		assert_int_equal(level[i].ns, expect[i].ns);
		assert_int_equal(level[i].rank, expect[i].rank);
	}
	assert_int_equal(kbp_levels_of(sorted, 0, level), 0);
}

static void levels_of_many_equal_samples_end(void **state)
{
	const size_t n = 3000000;
	uint32_t *ns = calloc(n, sizeof(*ns));
	struct kbp_level level[KBP_LEVELS_MAX];
	unsigned count;

	(void)state;
	assert_non_null(ns);
	ns[n - 1] = UINT32_MAX;
	count = kbp_levels_of(ns, n, level);
	assert_in_range(count, 100, KBP_LEVELS_MAX);
	assert_true(level[count - 1].q >= 1 && level[count - 1].ns == UINT32_MAX);
	assert_true(level[count - 2].ns == UINT32_MAX && level[count - 3].ns == 0);
	free(ns);
}

/* ---------------------------------------------------------------- exports */

/* Results of one run: two rounds of seven samples, of which two each are warm-up. */
static void write_results(void)
{
	static const uint32_t ns[] = { 900, 800, 10, 20, 20, 30, 40, 700, 600, 50, 60, 70, 80, 100 };
	struct kbp_results *res = calloc(1, sizeof(*res));
	struct kbp_result_run *r = calloc(1, sizeof(*r));

	assert_true(res && r);
	r->round = calloc(2, sizeof(*r->round));
	assert_non_null(r->round);
	res->run = r;
	res->n_runs = 1;
	strcpy(r->backend, "socket");
	strcpy(r->base, "socket");
	strcpy(r->kind, "one_way");
	strcpy(r->samples_file, "samples/socket.u32");
	r->n_rounds = 2;
	for (unsigned i = 0; i < 2; i++)
		r->round[i] = (struct kbp_result_round){ .first_sample = i * 7ull,
							 .samples = 7,
							 .warmup = 2 };
	assert_int_equal(kbp_samples_write(dir, r->samples_file, ns, 14, NULL), 0);
	assert_int_equal(kbp_results_save(res, dir, NULL), 0);
	kbp_results_free(res);
}

static void expect_export(enum kbp_export_format format, const char *expect)
{
	struct kbp_export_opts o = KBP_EXPORT_OPTS_INIT;
	char path[100], text[4096] = "";
	struct kbp_error err = { 0 };
	FILE *f;

	write_results();
	snprintf(path, sizeof(path), "%s/export", dir);
	o.format = format;
	o.file = path;
	assert_int_equal(kbp_export(dir, &o, &err), 0);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_string_equal(text, expect);
}

static void percentiles_are_written_as_hdr_histogram_does(void **state)
{
	(void)state;
	expect_export(KBP_EXPORT_HDR, "       Value     Percentile TotalCount 1/(1-Percentile)\n"
				      "\n"
				      "      10.000 0.000000000000          1           1.00\n"
				      "      10.000 0.100000000000          1           1.11\n"
				      "      20.000 0.200000000000          3           1.25\n"
				      "      20.000 0.300000000000          3           1.43\n"
				      "      30.000 0.400000000000          4           1.67\n"
				      "      40.000 0.500000000000          5           2.00\n"
				      "      50.000 0.550000000000          6           2.22\n"
				      "      50.000 0.600000000000          6           2.50\n"
				      "      60.000 0.650000000000          7           2.86\n"
				      "      60.000 0.700000000000          7           3.33\n"
				      "      70.000 0.750000000000          8           4.00\n"
				      "      70.000 0.775000000000          8           4.44\n"
				      "      70.000 0.800000000000          8           5.00\n"
				      "      80.000 0.825000000000          9           5.71\n"
				      "      80.000 0.850000000000          9           6.67\n"
				      "      80.000 0.875000000000          9           8.00\n"
				      "      80.000 0.887500000000          9           8.89\n"
				      "      80.000 0.900000000000          9          10.00\n"
				      "     100.000 0.912500000000         10          11.43\n"
				      "     100.000 1.000000000000         10\n"
				      "#[Mean    =       48.000, StdDeviation   =       27.857]\n"
				      "#[Max     =      100.000, Total count    =           10]\n"
				      "#[Buckets =            1, SubBuckets     =   4294967296]\n");
}

static void samples_are_written_as_csv(void **state)
{
	(void)state;
	expect_export(KBP_EXPORT_CSV, "backend,round,index,warmup,ns\n"
				      "socket,1,0,1,900\nsocket,1,1,1,800\nsocket,1,2,0,10\n"
				      "socket,1,3,0,20\nsocket,1,4,0,20\nsocket,1,5,0,30\n"
				      "socket,1,6,0,40\nsocket,2,0,1,700\nsocket,2,1,1,600\n"
				      "socket,2,2,0,50\nsocket,2,3,0,60\nsocket,2,4,0,70\n"
				      "socket,2,5,0,80\nsocket,2,6,0,100\n");
}

static void samples_are_written_as_json(void **state)
{
	(void)state;
	expect_export(KBP_EXPORT_JSON,
		      "{\"schema\": \"kbypass.samples/1\", \"metric\": \"one_way\", \"unit\": \"ns\", \"runs\": [\n"
		      "{\"backend\": \"socket\", \"rate_pps\": 0, \"rounds\": [\n"
		      "{\"warmup\": 2, \"ns\": [900,800,10,20,20,30,40]},\n"
		      "{\"warmup\": 2, \"ns\": [700,600,50,60,70,80,100]}]}\n"
		      "]}\n");
}

static void options_of_another_size_are_refused(void **state)
{
	struct kbp_export_opts o = { .size = sizeof(o) + 8 };
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_export("/", &o, &err), -EINVAL);
	o.size = 0;
	assert_int_equal(kbp_export("/", &o, &err), -EINVAL);
}

/* ---------------------------------------------------------------- what may be said */

static void expect_lower(struct kbp_verdict v, bool emulated, int lower)
{
	struct kbp_results res = { .run = calloc(2, sizeof(*res.run)), .n_runs = 2 };
	struct kbp_report *p = calloc(1, sizeof(*p));
	struct kbp_error err;

	assert_true(p && res.run);
	strcpy(res.run[0].backend, "a");
	strcpy(res.run[1].backend, "b");
	res.run[1].emulated = emulated;
	strcpy(v.a, "a");
	strcpy(v.b, "b");
	assert_int_equal(kbp_report_gather(p, &res, &err), 0);
	assert_int_equal(kbp_verdict_lower(p, &v), lower);
	free(res.run);
	free(p->run);
	free(p);
}

static void only_a_verdict_that_holds_ranks(void **state)
{
	const struct kbp_verdict less = { .measured = true,
					  .resolved = true,
					  .diff_ns = -5,
					  .lo_ns = -8,
					  .hi_ns = -2 };
	struct kbp_verdict v = less;

	(void)state;
	expect_lower(less, false, -1);
	/* of another class of devices, whatever the verdict says */
	expect_lower(less, true, 0);
	v.resolved = false;
	expect_lower(v, false, 0);
	v = less;
	v.measured = false;
	expect_lower(v, false, 0);
	/* an interval that holds 0 */
	v = less;
	v.hi_ns = 1;
	expect_lower(v, false, 0);
	v = (struct kbp_verdict){ .measured = true,
				  .resolved = true,
				  .diff_ns = 5,
				  .lo_ns = 2,
				  .hi_ns = 8 };
	expect_lower(v, false, 1);
}

static void runs_of_one_name_cannot_be_told_apart(void **state)
{
	struct kbp_results res = { .run = calloc(3, sizeof(*res.run)), .n_runs = 3 };
	struct kbp_report *p = calloc(1, sizeof(*p));
	struct kbp_error err;

	(void)state;
	assert_true(p && res.run);
	for (unsigned i = 0; i < 3; i++)
		strcpy(res.run[i].backend, i < 2 ? "a" : "b");
	assert_int_equal(kbp_report_gather(p, &res, &err), 0);
	assert_null(kbp_report_find(p, "a", 0));
	assert_ptr_equal(kbp_report_find(p, "b", 0), &p->run[2]);
	assert_null(kbp_report_find(p, "c", 0));
	free(res.run);
	free(p->run);
	free(p);
}

/* ---------------------------------------------------------------- the whole */

static void a_page_of_nothing_says_so(void **state)
{
	struct kbp_results res = { 0 };
	struct kbp_report *p = calloc(1, sizeof(*p));
	struct kbp_error err;

	(void)state;
	assert_non_null(p);
	assert_int_equal(kbp_report_gather(p, &res, &err), 0);
	assert_int_equal(kbp_report_page(p, &err), 0);
	assert_non_null(strstr(p->out.text, "Nothing was measured."));
	free(p->out.text);
	free(p->run);
	free(p);
}

static void a_page_without_samples_says_so_and_shows_the_table(void **state)
{
	struct kbp_result_run run = { .backend = "socket", .samples_file = "samples/gone.u32" };
	struct kbp_results res = { .dir = dir, .run = &run, .n_runs = 1 };
	struct kbp_report *p = calloc(1, sizeof(*p));
	struct kbp_error err;

	(void)state;
	assert_non_null(p);
	run.latency = (struct kbp_latency){ .samples = 5000,
					    .p50_ns = 4321,
					    .p99_ns = 5000,
					    .max_ns = 6000,
					    .gap_ns = 679 };
	assert_int_equal(kbp_report_gather(p, &res, &err), 0);
	assert_int_equal(kbp_report_page(p, &err), 0);
	assert_non_null(strstr(p->out.text, "title=\"4321 ns\">4.321"));
	assert_non_null(strstr(p->out.text, "No curve of socket: read"));
	free(p->out.text);
	free(p->run);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markup_in_text_shows_as_it_reads),
		cmocka_unit_test(letters_of_any_language_stay),
		cmocka_unit_test(controls_and_turns_of_direction_show_as_escapes),
		cmocka_unit_test(bytes_that_are_no_utf8_show_as_escapes),
		cmocka_unit_test(a_time_has_a_unit_and_four_digits),
		cmocka_unit_test(a_count_is_parted_by_thousands),
		cmocka_unit_test(a_line_begins_with_a_move_and_breaks_where_there_is_no_number),
		cmocka_unit_test(no_figure_leaves_its_axis),
		cmocka_unit_test(an_axis_of_nothing_can_be_drawn),
		cmocka_unit_test(ticks_are_round_and_lie_on_the_axis),
		cmocka_unit_test(what_is_rare_survives_in_a_bucket),
		cmocka_unit_test(fewer_samples_than_buckets_are_a_bucket_each),
		cmocka_unit_test(a_bucket_of_a_thousand_has_the_p99_of_nearest_rank),
		cmocka_unit_test(sorting_leaves_out_warmup_and_what_is_no_sample),
		cmocka_unit_test_setup_teardown(samples_are_little_endian, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_file_of_another_length_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_name_does_not_lead_out_of_the_results, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_link_or_a_pipe_is_no_file_of_samples, make_dir,
						remove_dir),
		cmocka_unit_test(levels_are_those_of_hdr_histogram),
		cmocka_unit_test(levels_of_many_equal_samples_end),
		cmocka_unit_test_setup_teardown(percentiles_are_written_as_hdr_histogram_does,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(samples_are_written_as_csv, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(samples_are_written_as_json, make_dir, remove_dir),
		cmocka_unit_test(options_of_another_size_are_refused),
		cmocka_unit_test(only_a_verdict_that_holds_ranks),
		cmocka_unit_test(runs_of_one_name_cannot_be_told_apart),
		cmocka_unit_test(a_page_of_nothing_says_so),
		cmocka_unit_test_setup_teardown(a_page_without_samples_says_so_and_shows_the_table,
						make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
