/* SPDX-License-Identifier: BSD-2-Clause */
/* error.c - how the cold path says what went wrong, and the log callback. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static kbp_log_fn log_fn;
static void *log_arg;

const char *kbp_version(void)
{
	return KBP_VERSION;
}

void kbp_log_set(kbp_log_fn fn, void *arg)
{
	log_arg = arg;
	log_fn = fn;
}

void kbp_log(enum kbp_log_level level, const char *fmt, ...)
{
	char text[512];
	int saved = errno;
	va_list ap;

	if (!log_fn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_fn(level, text, log_arg);
	errno = saved;
}

/* `from` is never *err itself: callers quote the error of a lower layer in their own, and
 * snprintf must not read what it writes. A failure without an errno would read as success, so it
 * becomes -EIO. */
static int fail_set(struct kbp_error *err, int code, struct kbp_error *from)
{
	if (code >= 0)
		code = code ? -code : -EIO;
	if (!err)
		return code;
	from->code = code;
	if (!from->step[0])
		snprintf(from->step, sizeof(from->step), "kbypass");
	if (!from->hint[0])
		snprintf(from->hint, sizeof(from->hint), "%s", strerror(-code));
	*err = *from;
	return code;
}

int kbp_fail(struct kbp_error *err, int code, const char *step, const char *hint_fmt, ...)
{
	struct kbp_error from = { 0 };
	va_list ap;

	if (err) {
		snprintf(from.step, sizeof(from.step), "%s", step);
		va_start(ap, hint_fmt);
		vsnprintf(from.hint, sizeof(from.hint), hint_fmt, ap);
		va_end(ap);
	}
	return fail_set(err, code, &from);
}

int kbp_failf(struct kbp_error *err, int code, const char *hint, const char *step_fmt, ...)
{
	struct kbp_error from = { 0 };
	va_list ap;

	if (err) {
		snprintf(from.hint, sizeof(from.hint), "%s", hint);
		va_start(ap, step_fmt);
		vsnprintf(from.step, sizeof(from.step), step_fmt, ap);
		va_end(ap);
	}
	return fail_set(err, code, &from);
}

static const struct {
	unsigned bit;
	const char *name;
} cap_names[] = {
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_NET_RAW, "CAP_NET_RAW" },
	{ CAP_IPC_LOCK, "CAP_IPC_LOCK" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	{ CAP_SYS_NICE, "CAP_SYS_NICE" },
	{ CAP_PERFMON, "CAP_PERFMON" },
	{ CAP_BPF, "CAP_BPF" },
};

static uint64_t effective_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

const char *kbp_missing_caps(uint64_t mask, char *buf, size_t size)
{
	uint64_t missing = mask & ~effective_caps();
	size_t used = 0;

	if (!size)
		return "";
	buf[0] = '\0';
	for (unsigned bit = 0; bit < 64 && used < size; bit++) {
		char number[16];
		const char *name = number;

		if (!(missing >> bit & 1))
			continue;
		snprintf(number, sizeof(number), "capability %u", bit);
		for (size_t i = 0; i < KBP_ARRAY_SIZE(cap_names); i++)
			if (cap_names[i].bit == bit)
				name = cap_names[i].name;
		used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", name);
	}
	return buf;
}
