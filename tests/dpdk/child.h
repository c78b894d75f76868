/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.h - a case in a process of its own, because a process starts DPDK's environment once. What the case
 * prints on stdout and stderr is part of its outcome.
 */
#ifndef KBP_TEST_DPDK_CHILD_H
#define KBP_TEST_DPDK_CHILD_H

#include <stdbool.h>

#include "../lib/test.h"

struct child_said {
	char out[8192], err[8192]; /* text, cut at the end */
};

/* Runs the case; fails when a must() of it did, when it ended in another way than by returning, or when it
 * printed anything. */
void child_run(void (*fn)(void));
/* What it prints is the caller's to judge. */
void child_run_loud(void (*fn)(void), struct child_said *said);

/* In the case: ends it. A failure inside a process that the case forked ends that one, and fails the case. */
#define must(cond, ...) ((cond) ? (void)0 : child_fail(__FILE__, __LINE__, #cond, __VA_ARGS__))
void child_fail(const char *file, int line, const char *cond, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 4, 5)));
void child_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* In the case: /run and /dev/shm become empty directories that only this process sees. NULL, or why not. */
const char *child_places(void);
/* Names in a directory, blanks between, but for "kbypass", which is ours. */
const char *child_names(const char *dir);

#endif
