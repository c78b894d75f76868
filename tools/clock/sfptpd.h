/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sfptpd.h - sfptpd by the state it publishes: a file for each sync instance and for each clock that is slaved to
 * another, "key: value" a line, replaced as a whole (sfptpd_logging.c, sfptpd_log_write_state).
 */
#ifndef KBP_CLOCK_SFPTPD_H
#define KBP_CLOCK_SFPTPD_H

#include "clock_parts.h"

#define KBP_SFPTPD_MAX 32u
/* "reporting_intervals save_state" of sfptpd's configuration, where it is not seen to be another. */
#define KBP_SFPTPD_SAVE_NS (60 * NS_PER_S)

/* One state file. */
struct kbp_sfptpd_state {
	char file[64];
	char instance[32], clock[64], reference_clock[64], state[24], alarms[128], grandmaster[24];
	char interface[16];
	bool have_offset, have_delay, have_in_sync, in_sync;
	bool instance_file; /* a sync instance; else a clock slaved to another of this host */
	bool selected; /* sfptpd follows this instance; without the line: unknown, taken as so */
	bool tai;      /* the master's timescale is PTP's */
	int64_t offset_ns, delay_ns;
	int accuracy; /* clockAccuracy of the grandmaster; -1: not told */
	int gm_class;
	int32_t phc; /* -1: the system's clock, or not known */
	bool system;
};

struct kbp_sfptpd;

/* The file's text, `len` bytes of it. 0, or -EBADMSG: it is no state file. */
int kbp_sfptpd_parse(const char *text, size_t len, struct kbp_sfptpd_state *s);

/* dir: NULL: /var/lib/sfptpd, or /var/lib/sfptpd-* where that link is missing. */
struct kbp_sfptpd *kbp_sfptpd_new(const char *dir);
void kbp_sfptpd_free(struct kbp_sfptpd *s);
/* Reads what has changed. Returns how many clocks and instances it has ever told of. */
unsigned kbp_sfptpd_look(struct kbp_sfptpd *s);
void kbp_sfptpd_judge(struct kbp_sfptpd *s, unsigned i, uint64_t now_raw_ns,
		      const struct kbp_watch *w, struct kbp_finding_of_clock *f);

#endif
