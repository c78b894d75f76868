/* SPDX-License-Identifier: BSD-2-Clause */
/* child.c - see child.h. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

#define DEADLINE_S 60 /* of a case; a start under a sanitizer takes 5 */

#define RETURNED 42 /* the case's exit status: libraries that end a process do so with 0 or 1 */

enum { OUT, ERR, VERDICT, N_PIPES };

static int verdict_fd;

static void say(const char *begin, const char *fmt, va_list ap)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s", begin);

	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	if (write(verdict_fd, text, strlen(text)) < 0)
		_exit(2);
}

void child_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	char begin[512];
	va_list ap;

	snprintf(begin, sizeof(begin), "%s:%d: %s: ", file, line, cond);
	va_start(ap, fmt);
	say(begin, fmt, ap);
	va_end(ap);
	_exit(1);
}

void child_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	_exit(TEST_SKIP);
}

static void be_child(void (*fn)(void), int fds[N_PIPES][2])
{
	/* the parent's cmocka would take a crash for one of its own */
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		signal(crashes[i], SIG_DFL);
	alarm(DEADLINE_S);
	dup2(fds[OUT][1], STDOUT_FILENO);
	dup2(fds[ERR][1], STDERR_FILENO);
	verdict_fd = fds[VERDICT][1];
	fn();
	fflush(NULL);
	_exit(RETURNED); /* what is registered for the exit is the parent's */
}

/* Until the pipes are closed, which is when the case and all that it forked are gone. */
static void collect(int fds[N_PIPES][2], char *text[N_PIPES], size_t size)
{
	struct pollfd p[N_PIPES];
	size_t n[N_PIPES] = { 0 };
	int left = N_PIPES;

	for (int i = 0; i < N_PIPES; i++)
		p[i] = (struct pollfd){ .fd = fds[i][0], .events = POLLIN };
	while (left && poll(p, N_PIPES, -1) >= 0) {
		for (int i = 0; i < N_PIPES; i++) {
			char piece[512];
			ssize_t got;
			size_t room = size - 1 - n[i], take;

			if (!p[i].revents)
				continue;
			got = read(p[i].fd, piece, sizeof(piece));
			take = got > 0 ? (size_t)got : 0;
			take = take < room ? take : room;
			memcpy(text[i] + n[i], piece, take);
			n[i] += take;
			if (got <= 0) {
				close(p[i].fd);
				p[i].fd = -1;
				left--;
			}
		}
	}
	for (int i = 0; i < N_PIPES; i++)
		text[i][n[i]] = '\0';
}

void child_run_loud(void (*fn)(void), struct child_said *said)
{
	static char verdict[8192];
	char *text[N_PIPES] = { said->out, said->err, verdict };
	int fds[N_PIPES][2], status = 0;
	pid_t pid;

	for (int i = 0; i < N_PIPES; i++)
		assert_int_equal(pipe(fds[i]), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		be_child(fn, fds);
	for (int i = 0; i < N_PIPES; i++)
		close(fds[i][1]);
	collect(fds, text, sizeof(verdict));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIP) {
		print_message("SKIP: %s\n", verdict);
		skip();
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != RETURNED || verdict[0])
		fail_msg("%s (%s %d; stdout \"%s\", stderr \"%s\")",
			 verdict[0] ? verdict : "it ended before its end",
			 WIFEXITED(status) ? "exit status" : "signal",
			 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), said->out,
			 said->err);
}

void child_run(void (*fn)(void))
{
	static struct child_said said;

	child_run_loud(fn, &said);
	assert_string_equal(said.out, "");
	assert_string_equal(said.err, "");
}

const char *child_places(void)
{
	static const char *const places[] = { "/run", "/dev/shm" };

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace of our own: run as root";
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (mount("none", places[i], "tmpfs", 0, "mode=1777"))
			return "nothing can be mounted here";
	return NULL;
}

const char *child_names(const char *dir)
{
	static char names[512];
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	names[0] = '\0';
	while (d && (e = readdir(d)) && n < sizeof(names) - 1)
		if (e->d_name[0] != '.' && strcmp(e->d_name, "kbypass") != 0)
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? " " : "",
					      e->d_name);
	if (d)
		closedir(d);
	return names;
}
