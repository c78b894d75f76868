/* SPDX-License-Identifier: BSD-2-Clause */
/* Packet memory: size, residence, fork, hugepages, node. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static void memory_is_zeroed_writable_and_whole_pages(void **state)
{
	struct kbp_memory m;

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, PAGE + 1, -1, false, NULL), 0);
	assert_int_equal(m.bytes, 2 * PAGE);
	assert_false(m.hugepages);
	for (size_t i = 0; i < m.bytes; i++)
		assert_int_equal(m.base[i], 0);
	memset(m.base, 0xa5, m.bytes);
	kbp_memory_free(&m);
	assert_null(m.base);
	kbp_memory_free(&m);
}

static void every_page_is_resident(void **state)
{
	struct kbp_memory m;
	unsigned char in[300];

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, sizeof(in) * PAGE, -1, false, NULL), 0);
	assert_int_equal(mincore(m.base, m.bytes, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		assert_true(in[i] & 1);
	kbp_memory_free(&m);
}

static void a_forked_child_does_not_have_it(void **state)
{
	struct kbp_memory m;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, PAGE, -1, false, NULL), 0);
	pid = fork();
	if (!pid) /* msync says whether something is mapped there without touching it */
		_exit(msync(m.base, m.bytes, MS_ASYNC) == -1 && errno == ENOMEM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(msync(m.base, m.bytes, MS_ASYNC), 0);
	kbp_memory_free(&m);
}

static void nothing_is_no_size(void **state)
{
	struct kbp_error err;
	struct kbp_memory m;

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, 0, -1, false, &err), -EINVAL);
	assert_null(m.base);
	assert_string_equal(err.hint, "zero bytes were asked for");
}

static void impossible_sizes_fail_and_leave_nothing(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 60 };
	struct kbp_error err;
	struct kbp_memory m;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(sizes); i++) {
		for (int huge = 0; huge < 2; huge++) {
			assert_true(kbp_memory_alloc(&m, sizes[i], -1, huge, &err) < 0);
			assert_null(m.base);
			assert_int_equal(m.bytes, 0);
			assert_false(m.hugepages);
			assert_true(err.hint[0]);
		}
	}
	assert_int_equal(kbp_memory_alloc(&m, SIZE_MAX, -1, false, &err), -ENOMEM); /* no wrap */
}

static long free_hugepages(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "HugePages_Free: %ld", &n);
	fclose(f);
	return n;
}

static void hugepages_are_reported_as_got_not_as_asked(void **state)
{
	long before = free_hugepages();
	struct kbp_memory m;

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, 3 * PAGE, -1, true, NULL), 0);
	/* somebody else may take or give pages meanwhile; what can be known for sure is checked */
	if (m.hugepages)
		assert_true(m.bytes > 3 * PAGE && m.bytes % (64 * 1024) == 0);
	else
		assert_int_equal(m.bytes, 3 * PAGE);
	if (!before && !free_hugepages())
		assert_false(m.hugepages);
	memset(m.base, 1, m.bytes);
	kbp_memory_free(&m);
}

static void the_node_is_read_back(void **state)
{
	struct kbp_memory m;

	(void)state;
	assert_int_equal(kbp_memory_alloc(&m, 4 * PAGE, 0, false, NULL), 0);
	assert_true(m.node == 0 || m.node == -1); /* -1: a kernel or container that does not tell */
	kbp_memory_free(&m);
	assert_int_equal(kbp_memory_alloc(&m, 4 * PAGE, 99999, false, NULL), 0);
	assert_true(m.node >= -1 && m.node < 99999);
	kbp_memory_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_writable_and_whole_pages),
		cmocka_unit_test(every_page_is_resident),
		cmocka_unit_test(a_forked_child_does_not_have_it),
		cmocka_unit_test(nothing_is_no_size),
		cmocka_unit_test(impossible_sizes_fail_and_leave_nothing),
		cmocka_unit_test(hugepages_are_reported_as_got_not_as_asked),
		cmocka_unit_test(the_node_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
