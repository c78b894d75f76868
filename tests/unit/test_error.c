/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors, log, version, capabilities. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static void a_failure_says_what_and_why_and_returns_its_code(void **state)
{
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_fail(&err, -ENODEV, "open eth9", "no interface %s", "eth9"), -ENODEV);
	assert_int_equal(err.code, -ENODEV);
	assert_string_equal(err.step, "open eth9");
	assert_string_equal(err.hint, "no interface eth9");
}

static void a_failure_can_format_its_step(void **state)
{
	struct kbp_error err;

	(void)state;
	assert_int_equal(kbp_failf(&err, -EBUSY, "100% taken", "bind queue %d", 3), -EBUSY);
	assert_string_equal(err.step, "bind queue 3");
	assert_string_equal(err.hint, "100% taken");
}

static void a_caller_without_an_error_struct_gets_the_code(void **state)
{
	(void)state;
	assert_int_equal(kbp_fail(NULL, -EPERM, "x", "y"), -EPERM);
	assert_int_equal(kbp_failf(NULL, -EPERM, "x", "y"), -EPERM);
}

static void a_failure_is_never_empty_and_never_success(void **state)
{
	struct kbp_error err;
	const char *nothing = "";

	(void)state;
	assert_int_equal(kbp_fail(&err, -ENOMEM, "", "%s", nothing), -ENOMEM);
	assert_true(err.step[0]);
	assert_string_equal(err.hint, strerror(ENOMEM));
	assert_int_equal(kbp_fail(&err, 0, "x", "y"), -EIO);
	assert_int_equal(kbp_fail(&err, EINVAL, "x", "y"), -EINVAL);
}

static void a_text_too_long_is_cut_and_terminated(void **state)
{
	struct kbp_error err;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	kbp_fail(&err, -EIO, text, "%s", text);
	assert_int_equal(strlen(err.step), sizeof(err.step) - 1);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void an_error_can_quote_itself(void **state)
{
	struct kbp_error err;

	(void)state;
	kbp_fail(&err, -EIO, "inner", "disk on fire");
	kbp_failf(&err, -EIO, err.hint, "outer: %s", err.step);
	assert_string_equal(err.step, "outer: inner");
	assert_string_equal(err.hint, "disk on fire");
	kbp_fail(&err, -EIO, err.step, "again: %s", err.hint);
	assert_string_equal(err.step, "outer: inner");
	assert_string_equal(err.hint, "again: disk on fire");
}

struct heard {
	enum kbp_log_level level;
	char text[64];
	int calls;
};

static void listen_to(enum kbp_log_level level, const char *text, void *arg)
{
	struct heard *h = arg;

	h->level = level;
	h->calls++;
	snprintf(h->text, sizeof(h->text), "%s", text);
	errno = 0;
}

static void the_log_callback_hears_text_and_level_and_leaves_errno(void **state)
{
	struct heard h = { 0 };

	(void)state;
	kbp_log_set(listen_to, &h);
	errno = ENOSPC;
	kbp_log(KBP_LOG_WARN, "%d of %s", 3, "four");
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(h.level, KBP_LOG_WARN);
	assert_string_equal(h.text, "3 of four");
	kbp_log_set(NULL, NULL);
	kbp_log(KBP_LOG_WARN, "nobody listens");
	assert_int_equal(h.calls, 1);
}

static void the_version_has_three_numbers(void **state)
{
	int a, b, c, end = 0;

	(void)state;
	assert_int_equal(sscanf(kbp_version(), "%d.%d.%d%n", &a, &b, &c, &end), 3);
	assert_int_equal(kbp_version()[end], '\0');
}

#define BIT(cap) (UINT64_C(1) << (cap))

/* Empties the effective set; the permitted one stays, so that it can be taken back. */
static void set_effective(const uint32_t effective[2], uint32_t old[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	for (int i = 0; i < 2; i++) {
		if (old)
			old[i] = data[i].effective;
		data[i].effective = effective[i];
	}
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

static void missing_capabilities_are_named(void **state)
{
	static const uint32_t none[2];
	uint32_t old[2];
	char buf[160];

	(void)state;
	set_effective(none, old);
	assert_string_equal(kbp_missing_caps(BIT(CAP_NET_ADMIN) | BIT(CAP_BPF), buf, sizeof(buf)),
			    "CAP_NET_ADMIN, CAP_BPF");
	assert_string_equal(kbp_missing_caps(BIT(CAP_NET_RAW) | BIT(CAP_IPC_LOCK) |
						     BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_NICE) |
						     BIT(CAP_PERFMON),
					     buf, sizeof(buf)),
			    "CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_PERFMON");
	assert_string_equal(kbp_missing_caps(BIT(63), buf, sizeof(buf)), "capability 63");
	assert_string_equal(kbp_missing_caps(0, buf, sizeof(buf)), "");
	set_effective(old, NULL);
	for (unsigned cap = 0; cap < 32; cap++)
		assert_int_equal(!kbp_missing_caps(BIT(cap), buf, sizeof(buf))[0], old[0] >> cap & 1);
}

static void a_small_buffer_cuts_the_list_of_capabilities(void **state)
{
	static const uint32_t none[2];
	uint32_t old[2];
	char buf[8];

	(void)state;
	set_effective(none, old);
	assert_string_equal(kbp_missing_caps(UINT64_MAX, buf, sizeof(buf)), "capabil");
	assert_string_equal(kbp_missing_caps(UINT64_MAX, buf, 0), "");
	set_effective(old, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_says_what_and_why_and_returns_its_code),
		cmocka_unit_test(a_failure_can_format_its_step),
		cmocka_unit_test(a_caller_without_an_error_struct_gets_the_code),
		cmocka_unit_test(a_failure_is_never_empty_and_never_success),
		cmocka_unit_test(a_text_too_long_is_cut_and_terminated),
		cmocka_unit_test(an_error_can_quote_itself),
		cmocka_unit_test(the_log_callback_hears_text_and_level_and_leaves_errno),
		cmocka_unit_test(the_version_has_three_numbers),
		cmocka_unit_test(missing_capabilities_are_named),
		cmocka_unit_test(a_small_buffer_cuts_the_list_of_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
