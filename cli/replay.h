/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - what the two files of `kbypass replay` share: the run, and how it is shown. */
#ifndef KBP_CLI_REPLAY_H
#define KBP_CLI_REPLAY_H

#include <kbypass/traffic.h>

struct cli_replay {
	const char *file, *netns;
	struct kbp_replay_opts opts;
	struct kbp_capture_opts capture_opts;
	struct kbp_timing timing;
	double late_limit; /* percent */
	struct kbp_schedule *sched;
	struct kbp_capture_report capture;
	bool ran; /* the result has something to say */
	struct kbp_replay_result result;
};

/* replay_show.c: as text or JSON; err: what ended it early, or NULL. Returns the exit status. */
int cli_replay_show(const struct cli_replay *c, const struct kbp_error *err, bool json);

#endif
