/* SPDX-License-Identifier: BSD-2-Clause */
/* report_file.c - where results are read from, and where pages and exports go. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/measure/report_parts.h"

static int write_failed(struct kbp_error *err, int e, const char *file)
{
	char hint[160];

	snprintf(hint, sizeof(hint), "%s: %s, or name another file with --out", strerror(e),
		 e == ENOSPC || e == EDQUOT ? "make room" : "mend that");
	return kbp_failf(err, -e, hint, "write %s", file);
}

int kbp_sink_open(struct kbp_sink *s, const char *file, int fd, struct kbp_error *err)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, to, e;
	struct stat st;

	s->tmp[0] = '\0';
	if (snprintf(s->file, sizeof(s->file), "%s", file ? file : "standard output") >=
	    (int)sizeof(s->file) - 8)
		return write_failed(err, ENAMETOOLONG, "a file");
	if (file && (stat(file, &st) < 0 || S_ISREG(st.st_mode))) {
		snprintf(s->tmp, sizeof(s->tmp), "%s.tmp", file);
		flags |= O_NOFOLLOW;
	}
	to = file ? open(s->tmp[0] ? s->tmp : file, flags, 0666) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	s->f = to < 0 ? NULL : fdopen(to, "w");
	if (s->f)
		return 0;
	e = errno;
	if (to >= 0)
		close(to);
	return write_failed(err, e, s->file);
}

int kbp_sink_close(struct kbp_sink *s, int rc, struct kbp_error *err)
{
	int e = 0;

	errno = 0;
	if (fflush(s->f) || ferror(s->f))
		e = errno ? errno : EIO;
	if (fclose(s->f) && !e)
		e = errno;
	if (!e && !rc && s->tmp[0] && rename(s->tmp, s->file) < 0)
		e = errno;
	if ((e || rc) && s->tmp[0])
		unlink(s->tmp);
	return rc ? rc : e ? write_failed(err, e, s->file) : 0;
}

int kbp_results_dir_of(const char *path, char dir[PATH_MAX], struct kbp_error *err)
{
	struct stat st;

	if (!stat(path, &st) && !S_ISDIR(st.st_mode))
		return kbp_failf(err, -ENOTDIR, "give the directory that `kbypass bench --out` wrote",
				 "read results %s: it is no directory", path);
	if (snprintf(dir, PATH_MAX, "%s", path) >= PATH_MAX - 64)
		return kbp_fail(err, -ENAMETOOLONG, "read results", "give a shorter path");
	return 0;
}
