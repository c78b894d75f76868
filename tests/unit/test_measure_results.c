/* SPDX-License-Identifier: BSD-2-Clause */
/* Results survive the way to disk and back; damaged files are named by the place of the damage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "tools/measure/parts.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kbp-results-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static struct kbp_results *example(void)
{
	struct kbp_results *res = calloc(1, sizeof(*res));
	struct kbp_result_run *r;

	assert_non_null(res);
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, "kernel", "6.1 \"quoted\" \\ text");
	kbp_fact_literal(&res->setup, &res->n_setup, "rate_pps", "50000");
	kbp_fact_literal(&res->setup, &res->n_setup, "quantum", "0.385");
	kbp_fact_literal(&res->setup, &res->n_setup, "lab", "true");
	res->run = calloc(1, sizeof(*res->run));
	assert_non_null(res->run);
	res->n_runs = 1;
	r = &res->run[0];
	strcpy(r->backend, "socket");
	strcpy(r->base, "socket");
	strcpy(r->kind, "one_way");
	strcpy(r->mode, "kernel");
	strcpy(r->requested, "auto");
	strcpy(r->proof, "proven");
	r->virtual_device = true;
	r->sent = 1000;
	r->delivered = 900;
	kbp_named_add(r->drop, &r->n_drops, "rcvbuf_full", 60);
	kbp_named_add(r->cause, &r->n_causes, "why", 7);
	kbp_account_close(r);
	strcpy(r->digest, "0123");
	strcpy(r->digest_expected, "4567");
	r->latency = (struct kbp_latency){ .samples = 10890,
					   .min_ns = 1,
					   .p50_ns = 2,
					   .p90_ns = 3,
					   .p99_ns = 40,
					   .p999_ns = 50,
					   .max_ns = 60,
					   .gap_ns = 38 };
	r->lateness = (struct kbp_latency){ .samples = 1, .min_ns = 7, .p50_ns = 7, .max_ns = 7 };
	r->rx_ring = 2048;
	r->clipped = 3;
	r->round = calloc(2, sizeof(*r->round));
	assert_non_null(r->round);
	r->n_rounds = 2;
	r->round[0] = (struct kbp_result_round){ .sent = 500,
						 .delivered = 450,
						 .samples = 450,
						 .warmup = 10 };
	r->round[1] = (struct kbp_result_round){ .position = 1, .first_sample = 450, .samples = 450 };
	kbp_finding_add(res, false, "unattributed", "socket", "%d frames", 40);
	return res;
}

static void with_stamps(struct kbp_result_run *r)
{
	struct kbp_result_stamps *s = &r->stamps;

	strcpy(s->source, "kernel");
	strcpy(s->epoch, "utc");
	strcpy(s->proof, "proven");
	s->resolution_ps = 1000;
	s->error_ns = 41;
	s->unstamped = 5;
	s->voided = 6;
	s->impossible = 7;
	s->clipped = 8;
	s->wire_clipped = 9;
	s->rx_path = r->latency;
	s->rx_path.p50_ns = 1;
	s->rx_path.gap_ns = 39;
	s->rx_path.samples = 10880;
	s->wire_to_stamp = s->rx_path;
	s->wire_to_stamp.max_ns = 61;
	strcpy(s->rx_path_file, "samples/socket.rx_path.u32");
	strcpy(s->wire_to_stamp_file, "samples/socket.wire_to_stamp.u32");
}

static void write_file(const char *text)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/results.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static bool stamped; /* expect_damage works on results with stamps */

/* Loads what `text` with `from` replaced by `to` gives; fails the test when it loads at all. */
static void expect_damage(const char *from, const char *to, int code, const char *hint)
{
	struct kbp_results *res = example(), *back;
	struct kbp_error err = { 0 };
	char *text, *at, *changed;

	if (stamped)
		with_stamps(&res->run[0]);
	text = kbp_results_json(res);
	at = strstr(text, from);
	assert_non_null(at);
	changed = malloc(strlen(text) + strlen(to) + 1);
	assert_non_null(changed);
	sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	write_file(changed);
	assert_int_equal(kbp_results_load(dir, &back, &err), code);
	assert_null(back);
	assert_int_equal(err.code, code);
	if (!strstr(err.hint, hint))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, hint);
	free(changed);
	free(text);
	kbp_results_free(res);
}

static void results_come_back_as_they_were_written(void **state)
{
	struct kbp_results *res = example(), *back = NULL;
	struct kbp_error err = { 0 };
	char *a, *b;

	(void)state;
	assert_int_equal(kbp_results_dir_prepare(dir, &err), 0);
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	a = kbp_results_json(res);
	b = kbp_results_json(back);
	assert_string_equal(a, b);
	assert_string_equal(kbp_results_fact(back, "rate_pps"), "50000");
	assert_string_equal(kbp_results_fact(back, "kernel"), "6.1 \"quoted\" \\ text");
	assert_string_equal(kbp_results_fact(back, "quantum"), "0.385");
	assert_null(kbp_results_fact(back, "nothing"));
	assert_int_equal(back->run[0].unattributed, 40);
	assert_int_equal(back->run[0].round[1].position, 1);
	free(a);
	free(b);
	kbp_results_free(res);
	kbp_results_free(back);
}

static json_t *member(const struct kbp_results *res, const char *object, const char *name)
{
	char *text = kbp_results_json(res);
	json_t *root = json_loads(text, 0, NULL);
	json_t *run = json_array_get(json_object_get(root, "runs"), 0);
	json_t *m = json_incref(json_object_get(json_object_get(run, object), name));

	json_decref(root);
	free(text);
	return m;
}

static void a_quantile_of_too_few_samples_is_null(void **state)
{
	struct kbp_results *res = example();
	json_t *m;

	(void)state;
	res->run[0].latency.samples = 999;
	m = member(res, "latency_ns", "p90");
	assert_int_equal(json_integer_value(m), 3);
	json_decref(m);
	assert_true(json_is_null(member(res, "latency_ns", "p99")));
	assert_true(json_is_null(member(res, "latency_ns", "gap")));
	assert_true(json_is_null(member(res, "lateness_ns", "p50")));
	kbp_results_free(res);
}

static void a_saturated_quantile_is_null_and_reads_back_as_saturated(void **state)
{
	struct kbp_results *res = example(), *back;
	struct kbp_latency *l = &res->run[0].latency;
	struct kbp_error err = { 0 };

	(void)state;
	l->p99_ns = l->p999_ns = l->max_ns = UINT32_MAX;
	l->gap_ns = UINT32_MAX - l->p50_ns;
	l->saturated = 200;
	assert_true(json_is_null(member(res, "latency_ns", "p99")));
	assert_true(json_is_null(member(res, "latency_ns", "max")));
	assert_true(json_is_null(member(res, "latency_ns", "gap")));
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	if (kbp_results_load(dir, &back, &err))
		fail_msg("%s", err.hint);
	assert_int_equal(back->run[0].latency.p99_ns, UINT32_MAX);
	assert_int_equal(back->run[0].latency.p90_ns, 3);
	kbp_results_free(back);
	kbp_results_free(res);
}

static void bytes_that_are_no_text_are_escaped_and_no_member_vanishes(void **state)
{
	struct kbp_results *res = example(), *back;
	struct kbp_error err = { 0 };

	(void)state;
	kbp_fact_text(&res->setup, &res->n_setup, "capture", "/tmp/caf\xe9.pcap");
	kbp_fact_literal(&res->setup, &res->n_setup, "odd", "no number");
	kbp_finding_add(res, true, "n", "", "\xff");
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	assert_string_equal(kbp_results_fact(back, "capture"), "/tmp/caf\\xe9.pcap");
	assert_string_equal(kbp_results_fact(back, "odd"), "no number");
	assert_string_equal(back->finding[1].text, "\\xff");
	kbp_results_free(back);
	kbp_results_free(res);
}

static bool there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void parts_of_a_latency_come_back_and_results_without_have_none(void **state)
{
	struct kbp_results *res = example(), *back = NULL;
	struct kbp_error err = { 0 };
	char *a = kbp_results_json(res), *b;

	(void)state;
	assert_null(strstr(a, "rx_path"));
	assert_null(strstr(a, "wire_to_stamp"));
	free(a);
	with_stamps(&res->run[0]);
	assert_int_equal(kbp_results_dir_prepare(dir, &err), 0);
	assert_int_equal(kbp_samples_write(dir, "samples/socket.rx_path.u32", NULL, 0, NULL), 0);
	assert_int_equal(kbp_samples_write(dir, "samples/socket.wire_to_stamp.u32", NULL, 0, NULL),
			 0);
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	assert_true(there("samples/socket.rx_path.u32") && there("samples/socket.wire_to_stamp.u32"));
	if (kbp_results_load(dir, &back, &err))
		fail_msg("%s", err.hint);
	assert_memory_equal(&back->run[0].stamps, &res->run[0].stamps, sizeof(back->run[0].stamps));
	a = kbp_results_json(res);
	b = kbp_results_json(back);
	assert_string_equal(a, b);
	free(a);
	free(b);
	kbp_results_free(back);
	kbp_results_free(res);
}

static void samples_take_their_place_with_the_results_and_others_go(void **state)
{
	struct kbp_results *res = example();
	uint32_t samples[2] = { 1, 2 };

	(void)state;
	assert_int_equal(kbp_results_dir_prepare(dir, NULL), 0);
	strcpy(res->run[0].samples_file, "samples/other.u32");
	assert_int_equal(kbp_samples_write(dir, "samples/other.u32", samples, 2, NULL), 0);
	assert_false(there("samples/other.u32"));
	assert_int_equal(kbp_results_save(res, dir, NULL), 0);
	assert_true(there("samples/other.u32"));
	strcpy(res->run[0].samples_file, "samples/socket.u32");
	assert_int_equal(kbp_samples_write(dir, "samples/socket.u32", samples, 2, NULL), 0);
	assert_true(there("samples/other.u32") && there("results.json"));
	assert_int_equal(kbp_results_save(res, dir, NULL), 0);
	assert_true(there("samples/socket.u32"));
	assert_false(there("samples/other.u32"));
	kbp_results_free(res);
}

static void a_full_disk_leaves_the_earlier_results_and_says_what_to_do(void **state)
{
	static uint32_t samples[1 << 18];
	struct kbp_results *res = example(), *back;
	struct kbp_error err = { 0 };

	(void)state;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, "size=65536"))
		skip(); /* needs CAP_SYS_ADMIN */
	assert_int_equal(kbp_results_dir_prepare(dir, &err), 0);
	assert_int_equal(kbp_results_save(res, dir, &err), 0);
	assert_int_equal(kbp_samples_write(dir, "samples/socket.u32", samples,
					   KBP_ARRAY_SIZE(samples), &err),
			 -ENOSPC);
	assert_non_null(strstr(err.hint, "make room"));
	assert_false(there("samples/socket.u32.tmp"));
	assert_int_equal(kbp_results_load(dir, &back, &err), 0);
	kbp_results_free(back);
	kbp_results_free(res);
	assert_int_equal(umount(dir), 0);
}

static void a_second_bench_is_kept_out_of_the_directory(void **state)
{
	struct kbp_error err = { 0 };
	int fd = kbp_results_dir_lock(dir, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(kbp_results_dir_lock(dir, &err), -EBUSY);
	assert_non_null(strstr(err.hint, "another bench"));
	close(fd);
	fd = kbp_results_dir_lock(dir, &err);
	assert_true(fd >= 0);
	close(fd);
}

static void a_directory_given_up_is_as_it_was(void **state)
{
	char path[96];

	(void)state;
	assert_int_equal(kbp_results_dir_prepare(dir, NULL), 0);
	kbp_results_dir_abandon(dir, false);
	assert_false(there("samples"));
	assert_true(there("."));
	snprintf(path, sizeof(path), "%s/new", dir);
	assert_int_equal(kbp_results_dir_prepare(path, NULL), 0);
	kbp_results_dir_abandon(path, true);
	assert_false(there("new"));
	assert_int_equal(kbp_results_dir_prepare("", NULL), -EINVAL);
}

static void no_temporary_file_stays_behind(void **state)
{
	struct kbp_results *res = example();
	char path[96];

	(void)state;
	assert_int_equal(kbp_results_save(res, dir, NULL), 0);
	snprintf(path, sizeof(path), "%s/results.json.tmp", dir);
	assert_int_equal(access(path, F_OK), -1);
	kbp_results_free(res);
}

static void broken_json_is_named_by_line_and_column(void **state)
{
	struct kbp_error err = { 0 };
	struct kbp_results *res;

	(void)state;
	write_file("{\n \"schema\": \"kbypass.bench/1\",\n oops\n}\n");
	assert_int_equal(kbp_results_load(dir, &res, &err), -EBADMSG);
	assert_non_null(strstr(err.hint, "line 3"));
	write_file("");
	assert_int_equal(kbp_results_load(dir, &res, &err), -EBADMSG);
	write_file("[1, 2]");
	assert_int_equal(kbp_results_load(dir, &res, &err), -EPROTO);
}

static void every_truncation_of_a_file_is_an_error_and_no_crash(void **state)
{
	struct kbp_results *res = example(), *back;
	char *text = kbp_results_json(res);
	size_t n = strlen(text);

	(void)state;
	for (size_t cut = 1; cut < n; cut += 7) {
		text[n - cut] = '\0';
		write_file(text);
		assert_true(kbp_results_load(dir, &back, NULL) < 0);
		assert_null(back);
	}
	free(text);
	kbp_results_free(res);
}

static void damage_of_stamps_is_named_by_its_member(void **state)
{
	(void)state;
	stamped = true;
	expect_damage("\"source\": \"kernel\"", "\"source\": \"satellite\"", -EBADMSG,
		      "runs[0].rx_path.source");
	expect_damage("\"epoch\": \"utc\"", "\"epoch\": \"\"", -EBADMSG, "runs[0].rx_path.epoch");
	expect_damage("\"proof\": \"proven\",\n    \"resolution_ps\"",
		      "\"proof\": \"claimed\",\n    \"resolution_ps\"", -EBADMSG, "contradict");
	expect_damage("\"error_ns\": 41", "\"error_ns\": -1", -EBADMSG, "runs[0].rx_path.error_ns");
	expect_damage("\"unstamped\": 5,", "", -EBADMSG, "runs[0].rx_path.unstamped is missing");
	expect_damage("\"samples\": 10880", "\"samples\": 10881", -EBADMSG, "contradict those");
	expect_damage("\"max\": 61", "\"max\": 6", -EBADMSG, "runs[0].wire_to_stamp.latency_ns");
	expect_damage("\"wire_to_stamp\": {", "\"wire\": {", -EBADMSG,
		      "runs[0].wire_to_stamp is missing");
	expect_damage("\"rx_path\": {", "\"path\": {", -EBADMSG, "runs[0].rx_path is missing");
	stamped = false;
}

static void damage_is_named_by_its_member(void **state)
{
	(void)state;
	expect_damage("\"p50\": 2", "\"p50\": \"2\"", -EBADMSG, "runs[0].latency_ns.p50");
	expect_damage("\"p50\": 2", "\"p51\": 2", -EBADMSG, "runs[0].latency_ns.p50 is missing");
	expect_damage("\"p50\": 2", "\"p50\": 4", -EBADMSG, "contradict");
	expect_damage("\"sent\": 1000", "\"sent\": -1", -EBADMSG, "runs[0].sent is out of range");
	expect_damage("\"sent\": 1000", "\"sent\": 1001", -EBADMSG, "do not add up");
	expect_damage("\"max\": 60", "\"max\": 4294967296", -EBADMSG,
		      "runs[0].latency_ns.max is out of range");
	expect_damage("\"rcvbuf_full\": 60", "\"rcvbuf_full\": 6.5", -EBADMSG, "runs[0].drops");
	expect_damage("\"first_sample\": 450", "\"first_sample\": 449", -EBADMSG,
		      "runs[0].rounds[1]");
	expect_damage("\"backend\": \"socket\"",
		      "\"backend\": \"socketsocketsocketsocketsocketsocket\"", -EBADMSG,
		      "is too long");
	expect_damage("\"virtual\": true", "\"virtual\": 1", -EBADMSG, "runs[0].virtual");
	expect_damage("\"lab\": true", "\"lab\": null", -EBADMSG, "setup holds something");
	expect_damage("\"code\": \"unattributed\"", "\"code\": 5", -EBADMSG, "findings[0].code");
	expect_damage("kbypass.bench/1", "kbypass.bench/9", -EPROTO, "kbypass.bench/9");
}

static void an_unknown_member_is_ignored_so_that_the_schema_can_grow(void **state)
{
	struct kbp_results *res = example(), *back;
	char *text = kbp_results_json(res), *more;

	(void)state;
	more = malloc(strlen(text) + 64);
	assert_non_null(more);
	sprintf(more, "{ \"later\": [1, {}], %s", text + 1);
	write_file(more);
	assert_int_equal(kbp_results_load(dir, &back, NULL), 0);
	kbp_results_free(back);
	kbp_results_free(res);
	free(text);
	free(more);
}

static void a_missing_file_names_the_file(void **state)
{
	struct kbp_error err = { 0 };
	struct kbp_results *res;

	(void)state;
	assert_int_equal(kbp_results_load("/nonexistent/dir", &res, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "/nonexistent/dir"));
	assert_int_equal(kbp_results_load(dir, &res, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "results.json"));
}

static void a_directory_with_other_files_is_refused(void **state)
{
	struct kbp_error err = { 0 };
	char path[96];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/thesis.txt", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(kbp_results_dir_prepare(dir, &err), -EEXIST);
	assert_non_null(strstr(err.step, dir));
	assert_int_equal(kbp_results_dir_prepare(path, &err), -EEXIST);
}

static void an_empty_directory_and_one_with_our_results_are_taken(void **state)
{
	char path[96];

	(void)state;
	assert_int_equal(kbp_results_dir_prepare(dir, NULL), 0);
	write_file("{\n \"schema\": \"kbypass.bench/1\", cut off");
	assert_int_equal(kbp_results_dir_prepare(dir, NULL), 0);
	snprintf(path, sizeof(path), "%s/results.json", dir);
	assert_int_equal(unlink(path), 0); /* a bench killed while it wrote: samples, no results */
	assert_int_equal(kbp_results_dir_prepare(dir, NULL), 0);
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(kbp_results_dir_prepare(path, NULL), -ENOENT);
	path[strlen(path) - 2] = '\0';
	assert_int_equal(kbp_results_dir_prepare(path, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(results_come_back_as_they_were_written, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_quantile_of_too_few_samples_is_null, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_saturated_quantile_is_null_and_reads_back_as_saturated,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			bytes_that_are_no_text_are_escaped_and_no_member_vanishes, make_dir,
			remove_dir),
		cmocka_unit_test_setup_teardown(samples_take_their_place_with_the_results_and_others_go,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_full_disk_leaves_the_earlier_results_and_says_what_to_do, make_dir,
			remove_dir),
		cmocka_unit_test_setup_teardown(a_second_bench_is_kept_out_of_the_directory,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_directory_given_up_is_as_it_was, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(no_temporary_file_stays_behind, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(broken_json_is_named_by_line_and_column, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(every_truncation_of_a_file_is_an_error_and_no_crash,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(damage_is_named_by_its_member, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(damage_of_stamps_is_named_by_its_member, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(
			parts_of_a_latency_come_back_and_results_without_have_none, make_dir,
			remove_dir),
		cmocka_unit_test_setup_teardown(an_unknown_member_is_ignored_so_that_the_schema_can_grow,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_missing_file_names_the_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_directory_with_other_files_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(an_empty_directory_and_one_with_our_results_are_taken,
						make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
