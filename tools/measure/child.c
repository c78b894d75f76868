/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.c - processes of ours that measure. They die with the process that started them
 * (PR_SET_PDEATHSIG), however it ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/measure/parts.h"

int kbp_child_start(struct kbp_child *c, const char *what, int (*body)(void *arg), void *arg,
		    struct kbp_error *err)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return kbp_failf(err, -errno, strerror(errno), "start the %s", what);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);	 /* it died before we could ask to be told */
		signal(SIGINT, SIG_IGN); /* a key press reaches the whole group: the parent
					  * decides */
		signal(SIGTERM, SIG_DFL);
		_exit(body(arg));
	}
	c->what = what;
	c->pid = pid;
	c->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return 0;
}

static void child_forget(struct kbp_child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->pid = 0;
}

void kbp_child_kill(struct kbp_child *c)
{
	if (!c->pid)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	child_forget(c);
}

int kbp_child_look(struct kbp_child *c, struct kbp_error *err)
{
	int status;
	pid_t got;

	if (!c->pid)
		return 0;
	got = waitpid(c->pid, &status, WNOHANG);
	if (!got)
		return 0;
	child_forget(c);
	if (got > 0 && WIFSIGNALED(status))
		return kbp_failf(
			err, -EIO,
			WTERMSIG(status) == SIGKILL ?
				"somebody killed it, perhaps the kernel for lack of memory: see the kernel log" :
				"this is a bug: please report it with the command line",
			"run the %s: it ended by signal %d (%s)", c->what, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	if (got < 0)
		return kbp_failf(err, -EIO,
				 "its end went unseen: SIGCHLD must not be ignored while a bench runs",
				 "run the %s", c->what);
	if (WEXITSTATUS(status))
		return kbp_failf(
			err, -EIO,
			"its last words are above; this is a bug: please report it with the command line",
			"run the %s: it ended with status %d", c->what, WEXITSTATUS(status));
	return 0;
}

void kbp_children_wait(const struct kbp_child *a, const struct kbp_child *b, int ms)
{
	struct pollfd fds[2] = { { .fd = a && a->pid ? a->fd : -1, .events = POLLIN },
				 { .fd = b && b->pid ? b->fd : -1, .events = POLLIN } };

	poll(fds, 2, ms);
}
