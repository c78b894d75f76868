/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptp4l_io.c - the way to a ptp4l and back: an unnamed datagram socket connected to its management socket.
 *
 * Connected, for three reasons: a dead daemon refuses at once; nobody else can send to us; and its answers are
 * never held up by our queue being full, which would stop a daemon that steers a clock
 * (net/unix/af_unix.c, unix_dgram_sendmsg: a full queue is looked at only when the receiver's peer is another).
 *
 * ptp4l answers to the address a question came from. An abstract one leaves nothing behind and needs no
 * directory, but belongs to the network namespace: a ptp4l in another one cannot answer it. Then a name in the
 * file system is used. Which of the two it is shows by who gets an answer.
 */
#include "ptp4l_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OWN_PREFIX "kbypass-ptp."

/* Field 22 of /proc/PID/stat: with the pid it names a process for ever. 0: there is none. */
static unsigned long long start_time(long pid)
{
	char path[64], line[1024];
	unsigned long long t = 0;
	char *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f) && (at = strrchr(line, ')')))
		if (sscanf(at + 1,
			   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			   &t) != 1)
			t = 0;
	fclose(f);
	return t;
}

/* Nobody holds the socket behind this name any more. The pid in it tells less: it may be another namespace's. */
static bool abandoned(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool dead;

	if (fd < 0)
		return false;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	dead = connect(fd, (struct sockaddr *)&a, sizeof(a)) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

void kbp_ptp4l_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[108];

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, OWN_PREFIX, strlen(OWN_PREFIX)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
			continue;
		if (abandoned(path))
			unlink(path);
	}
	closedir(d);
}

void kbp_ptp4l_disconnect(struct kbp_ptp4l *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (p->own[0])
		unlink(p->own);
	p->own[0] = '\0';
}

/* A name of its own in the first directory that takes it. */
static int bind_path(struct kbp_ptp4l *p)
{
	static const char *const dirs[] = { "/run/kbypass", "/tmp" };
	static unsigned counter;
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)mkdir(dirs[0], 0755);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(dirs); i++) {
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/" OWN_PREFIX "%ld.%llu.%u", dirs[i],
			 (long)getpid(), start_time(getpid()),
			 __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
		if (bind(p->fd, (struct sockaddr *)&a, sizeof(a)))
			continue;
		snprintf(p->own, sizeof(p->own), "%s", a.sun_path);
		/* a ptp4l that runs as another user must be able to answer; it alone can */
		(void)chmod(p->own, 0666);
		return 0;
	}
	return -errno;
}

static int bind_abstract(struct kbp_ptp4l *p)
{
	sa_family_t family = AF_UNIX; /* no name: the kernel finds one, unix(7) "autobind" */

	return bind(p->fd, (struct sockaddr *)&family, sizeof(family)) ? -errno : 0;
}

static int go_wrong(struct kbp_ptp4l *p, int code)
{
	kbp_ptp4l_disconnect(p);
	p->why = code;
	return code;
}

int kbp_ptp4l_connect(struct kbp_ptp4l *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int rc;

	if (stat(p->path, &st))
		return go_wrong(p, -errno);
	if (p->fd >= 0 && st.st_ino == p->ino && st.st_dev == p->dev)
		return 0;
	kbp_ptp4l_disconnect(p); /* another daemon has taken its place */
	if (!S_ISSOCK(st.st_mode))
		return go_wrong(p, -ENOTSOCK);
	p->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return go_wrong(p, -errno);
	rc = p->by_path ? bind_path(p) : bind_abstract(p);
	if (rc)
		return go_wrong(p, rc);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->path);
	if (connect(p->fd, (struct sockaddr *)&a, sizeof(a)))
		return go_wrong(p, -errno);
	p->ino = st.st_ino;
	p->dev = st.st_dev;
	p->why = 0;
	return 0;
}

int kbp_ptp4l_send(struct kbp_ptp4l *p, uint16_t id, uint8_t domain, uint8_t transport)
{
	uint8_t buf[PTP_REQUEST_BYTES];
	size_t len = kbp_ptp_request(buf, id, p->sequence, domain, transport);

	if (send(p->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len) {
		p->sequence++;
		return 0;
	}
	if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
		return -EAGAIN; /* its queue is full: it does not get round to it */
	return go_wrong(p, -errno);
}

/* ---------------------------------------------------------------- which sockets there are */

static bool is_socket(const char *path, struct stat *st)
{
	return !stat(path, st) && S_ISSOCK(st->st_mode);
}

/* The read-only twin of a socket that we may use: /run/ptp4lro beside /run/ptp4l. */
static bool is_twin(const char *path)
{
	char base[sizeof(((struct sockaddr_un *)0)->sun_path)];
	size_t n = strlen(path);
	struct stat st;

	if (n < 3 || n >= sizeof(base) || strcmp(path + n - 2, "ro"))
		return false;
	snprintf(base, sizeof(base), "%.*s", (int)(n - 2), path);
	return is_socket(base, &st) && !access(base, W_OK);
}

static bool have_twin(const char *path)
{
	char twin[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat st;

	if (strlen(path) + 2 >= sizeof(twin))
		return false;
	snprintf(twin, sizeof(twin), "%sro", path);
	return is_socket(twin, &st);
}

size_t kbp_ptp4l_find(const char *const *patterns, char ***paths)
{
	glob_t g = { 0 };
	struct stat st, other;
	char **found;
	size_t n = 0;

	*paths = NULL;
	for (size_t i = 0; patterns[i]; i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &g);
	found = calloc(g.gl_pathc + 1, sizeof(*found));
	for (size_t i = 0; found && i < g.gl_pathc; i++) {
		const char *path = g.gl_pathv[i];
		bool twice = false;

		if (!is_socket(path, &st) || is_twin(path) || (access(path, W_OK) && have_twin(path)))
			continue;
		for (size_t k = 0; k < n && !twice; k++) /* /var/run is /run on most hosts */
			twice = !stat(found[k], &other) && other.st_ino == st.st_ino &&
				other.st_dev == st.st_dev;
		if (!twice && (found[n] = strdup(path)))
			n++;
	}
	globfree(&g);
	*paths = found;
	return found ? n : 0;
}
