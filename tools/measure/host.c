/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - reads files of /proc, /sys and /dev, of this host or of a tree that stands for another one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "tools/measure/host.h"

#define HYPERVISOR_LEAF \
	0x40000000u /* its name, in EBX, ECX, EDX; reserved for hypervisors by Intel and AMD */

void kbp_host_here(struct kbp_host *h)
{
	memset(h, 0, sizeof(*h));
	h->root = "";
#if defined(__x86_64__)
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31))
		return;
	__cpuid(HYPERVISOR_LEAF, a, b, c, d);
	memcpy(h->hypervisor, &b, 4);
	memcpy(h->hypervisor + 4, &c, 4);
	memcpy(h->hypervisor + 8, &d, 4);
	for (size_t i = 0; h->hypervisor[i]; i++)
		if (!isprint((unsigned char)h->hypervisor[i]))
			h->hypervisor[i] = '\0';
#endif
}

static FILE *open_at(const struct kbp_host *h, const char *path_fmt, va_list ap)
{
	char path[KBP_HOST_PATH_MAX];
	int at = snprintf(path, sizeof(path), "%s", h->root);

	if (at < 0 || at >= (int)sizeof(path) ||
	    vsnprintf(path + at, sizeof(path) - (size_t)at, path_fmt, ap) >= (int)sizeof(path) - at) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(path, "re");
}

FILE *kbp_host_open(const struct kbp_host *h, const char *path_fmt, ...)
{
	va_list ap;
	FILE *f;

	va_start(ap, path_fmt);
	f = open_at(h, path_fmt, ap);
	va_end(ap);
	return f;
}

static int line_at(const struct kbp_host *h, char *buf, size_t size, const char *path_fmt, va_list ap)
{
	FILE *f = open_at(h, path_fmt, ap);
	size_t len, skip;
	int rc = 0;

	if (!f)
		return -errno;
	errno = 0;
	if (!fgets(buf, (int)size, f)) {
		rc = ferror(f) ? -(errno ? errno : EIO) : 0;
		buf[0] = '\0';
	}
	fclose(f);
	len = strlen(buf);
	while (len && isspace((unsigned char)buf[len - 1]))
		buf[--len] = '\0';
	skip = strspn(buf, " \t");
	memmove(buf, buf + skip, len - skip + 1);
	return rc;
}

int kbp_host_line(const struct kbp_host *h, char *buf, size_t size, const char *path_fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, path_fmt);
	rc = line_at(h, buf, size, path_fmt, ap);
	va_end(ap);
	return rc;
}

int kbp_host_number(const struct kbp_host *h, int64_t *value, const char *path_fmt, ...)
{
	char text[64], *end;
	va_list ap;
	int rc;

	va_start(ap, path_fmt);
	rc = line_at(h, text, sizeof(text), path_fmt, ap);
	va_end(ap);
	if (rc)
		return rc;
	errno = 0;
	*value = strtoll(text, &end, 10);
	return end == text || errno ? -EBADMSG : 0;
}

/* The next "4" or "4-7" of a list; false at its end, or where it is no list. */
static bool list_next(const char **at, long *from, long *to)
{
	char *end;

	*at += strspn(*at, ", \t");
	if (!isdigit((unsigned char)**at))
		return false;
	*from = *to = strtol(*at, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		*to = strtol(end + 1, &end, 10);
	*at = end;
	return true;
}

bool kbp_cpulist_has(const char *list, int cpu)
{
	long from, to;

	while (list_next(&list, &from, &to))
		if (from <= cpu && cpu <= to)
			return true;
	return false;
}

int kbp_cpulist_other(const char *list, int cpu)
{
	long from, to;

	while (list_next(&list, &from, &to)) {
		if (from != cpu)
			return (int)from;
		if (to > from)
			return (int)from + 1;
	}
	return -1;
}

void kbp_host_fact(struct kbp_results *res, const char *name, const char *fmt, ...)
{
	char text[sizeof(((struct kbp_fact *)0)->value)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, name, "%s", text);
}

void kbp_host_unknown(struct kbp_results *res, const char *name, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	kbp_fact_text(&res->fingerprint, &res->n_fingerprint, name, "unknown: %s", why);
}

bool kbp_fact_is_unknown(const char *value)
{
	return !strncmp(value, "unknown", 7) && (!value[7] || value[7] == ':');
}
