/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.c - samples back from their files, checked against what the results say of them. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/measure/compare.h"

/* "samples/NAME", and no way out of that directory: results may come from anybody. */
static bool is_inside(const char *file)
{
	return !strncmp(file, "samples/", 8) && file[8] && !strchr(file + 8, '/');
}

/* No link is followed out of the directory, and no pipe waited for. */
static FILE *open_plain(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), e;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (fd >= 0 && !f) {
		e = errno;
		close(fd);
		errno = e;
	}
	return f;
}

static int read_all(const char *path, size_t n, uint32_t *samples, struct kbp_error *err)
{
	FILE *f = open_plain(path);
	size_t got = 0;
	struct stat st;
	int rc = 0;

	if (!f)
		return kbp_failf(err, -errno, strerror(errno), "read samples %.200s", path);
	if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode))
		rc = kbp_failf(err, -EBADMSG, "it is no file", "read samples %.200s", path);
	else if ((uint64_t)st.st_size != 4 * (uint64_t)n) {
		char hint[160];

		snprintf(hint, sizeof(hint),
			 "it has %llu bytes and the rounds have %zu samples of 4: it ends at sample %llu; "
			 "the file is damaged, or of another run",
			 (unsigned long long)st.st_size, n, (unsigned long long)st.st_size / 4);
		rc = kbp_failf(err, -EBADMSG, hint, "read samples %.200s", path);
	}
	if (!rc)
		got = fread(samples, sizeof(*samples), n, f);
	if (!rc && got != n) {
		char hint[80];

		snprintf(hint, sizeof(hint), "it ends at sample %zu of %zu", got, n);
		rc = kbp_failf(err, -EBADMSG, hint, "read samples %.200s", path);
	}
	for (size_t i = 0; i < got; i++)
		samples[i] = le32toh(samples[i]);
	fclose(f);
	return rc;
}

int kbp_samples_read(const struct kbp_results *res, const struct kbp_result_run *run,
		     const char *samples_file, uint32_t **samples, size_t *n, struct kbp_error *err)
{
	const struct kbp_result_round *last = run->n_rounds ? &run->round[run->n_rounds - 1] : NULL;
	uint64_t total = last ? last->first_sample + last->samples : 0;
	char path[PATH_MAX];
	struct stat st;
	int rc;

	*samples = NULL;
	*n = 0;
	if (!res->dir || !samples_file[0])
		return kbp_failf(err, -ENOENT,
				 "they were not kept: `kbypass bench --out DIR` keeps them",
				 "read the samples of %s", run->backend);
	if (!is_inside(samples_file))
		return kbp_failf(err, -EBADMSG, "samples_file leads out of the directory samples",
				 "read the samples of %s", run->backend);
	if (snprintf(path, sizeof(path), "%s/%s", res->dir, samples_file) >= (int)sizeof(path))
		return kbp_fail(err, -ENAMETOOLONG, "read the samples", "give a shorter path");
	/* room only for what is there: the results alone could ask for any amount */
	if (stat(path, &st) < 0)
		return kbp_failf(err, -errno, strerror(errno), "read samples %.200s", path);
	if (total > (uint64_t)st.st_size / 4)
		return kbp_failf(
			err, -EBADMSG,
			"it is shorter than the rounds of results.json say: damaged, or of another run",
			"read samples %.200s from sample %llu", path,
			(unsigned long long)st.st_size / 4);
	*samples = malloc((size_t)total * sizeof(**samples) + 1);
	if (!*samples)
		return kbp_fail(err, -ENOMEM, "read the samples", "memory is out");
	rc = read_all(path, (size_t)total, *samples, err);
	if (rc) {
		free(*samples);
		*samples = NULL;
		return rc;
	}
	*n = (size_t)total;
	return 0;
}
