/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptp4l.h - one ptp4l as seen through its management socket: asks, collects the answers, and says what follows
 * from them. Never sets anything.
 */
#ifndef KBP_CLOCK_PTP4L_H
#define KBP_CLOCK_PTP4L_H

#include "clock_parts.h"

struct kbp_ptp4l;

/* Nothing is opened yet; NULL: out of memory. */
struct kbp_ptp4l *kbp_ptp4l_new(const char *path);
void kbp_ptp4l_free(struct kbp_ptp4l *p);
const char *kbp_ptp4l_path(const struct kbp_ptp4l *p);

/* Begin a round of questions. Never blocks. Returns the descriptor whose readiness kbp_ptp4l_receive waits for,
 * or -1: there is nothing to wait for. */
int kbp_ptp4l_ask(struct kbp_ptp4l *p);
/* Take what has come. Returns true once the round is complete. Never blocks. */
bool kbp_ptp4l_receive(struct kbp_ptp4l *p);
/* What is known now, with the round that is complete or without it. `now_ns` is CLOCK_MONOTONIC_RAW. */
void kbp_ptp4l_judge(struct kbp_ptp4l *p, uint64_t now_ns, const struct kbp_watch *watch,
		     struct kbp_finding_of_clock *f);
/* Is it there, and has not said yet what it is? */
bool kbp_ptp4l_pending(const struct kbp_ptp4l *p);

/* The management sockets of this host's ptp4l processes, each once: in the patterns' order, without the
 * read-only twin of another. Returns how many; *paths is malloc-ed, and so is each of them. */
size_t kbp_ptp4l_find(const char *const *patterns, char ***paths);
/* Sockets of ours that a killed process left. */
void kbp_ptp4l_sweep(const char *dir);

#endif
