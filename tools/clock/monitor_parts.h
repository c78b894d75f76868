/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor_parts.h - the monitor itself: between monitor.c (thread, witnesses) and accounts.c (clocks). */
#ifndef KBP_CLOCK_MONITOR_PARTS_H
#define KBP_CLOCK_MONITOR_PARTS_H

#include <pthread.h>

#include "convert.h"
#include "kernel.h"
#include "leap.h"
#include "phc.h"
#include "ptp4l.h"
#include "sfptpd.h"

/* The monitor's thread writes it. */
struct witness {
	enum kbp_witness kind;
	struct kbp_ptp4l *ptp4l;
	int32_t phc;	 /* of KBP_WITNESS_PHC */
	unsigned sfptpd; /* which of its files, of KBP_WITNESS_SFPTPD */
	struct kbp_finding_of_clock next;
	uint64_t good_raw_ns; /* it was last found in sync; 0: never */
	enum kbp_sync sync;   /* as it was said before */
	enum kbp_clock_cause cause;
};

/* One clock and what was found of it at this look. */
struct account {
	struct kbp_clock *clock; /* NULL: there is no such clock */
	int fd;			 /* of a PHC */
	struct kbp_clock_look look;
	bool told; /* by a witness of its own, and not by way of another clock */
};

struct kbp_monitor {
	struct kbp_monitor_opts opts;
	struct kbp_watch watch;
	bool named; /* the sockets were: no others are looked for */

	pthread_mutex_t lock; /* stop, shown, and which accounts there are */
	pthread_cond_t wake;
	pthread_t thread;
	bool stop;
	bool started;			 /* the first look is done: changes are told from now on */
	struct kbp_converter *converter; /* it has a lock of its own */
	struct kbp_clock_status *shown;
	unsigned n_shown, shown_room;

	/* the monitor's thread's own */
	struct witness *witness;
	unsigned n_witnesses, room;
	uint64_t scanned_ns;
	struct kbp_sfptpd *sfptpd;
	unsigned n_sfptpd; /* witnesses of it there are */
	int tai_s;	   /* the kernel's offset of TAI from UTC; 0: not set */
	struct account utc, tai, phc[KBP_PHC_MAX];
};

/* accounts.c */
int kbp_accounts_open(struct kbp_monitor *m, struct kbp_error *err);
void kbp_accounts_close(struct kbp_monitor *m);
/* PHCs that came since. */
void kbp_accounts_scan(struct kbp_monitor *m);
/* Writes what the witnesses found into the accounts. */
void kbp_accounts_look(struct kbp_monitor *m);
struct witness *kbp_monitor_witness(struct kbp_monitor *m);

#endif
