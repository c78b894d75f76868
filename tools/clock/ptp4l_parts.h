/* SPDX-License-Identifier: BSD-2-Clause */
/* ptp4l_parts.h - a ptp4l and what is known of it: between ptp4l.c and ptp4l_io.c. */
#ifndef KBP_CLOCK_PTP4L_PARTS_H
#define KBP_CLOCK_PTP4L_PARTS_H

#include <sys/types.h>

#include "ptp4l.h"
#include "ptp_msg.h"

#define PTP4L_PORTS 64u	  /* looked at; more are left out */
#define PTP4L_OFFSETS 16u /* the worst of so many syncs goes into the bound */

struct ptp4l_port {
	uint16_t number;
	uint8_t state, announce_timeout;
	int8_t log_announce, log_sync;
	uint32_t round; /* heard of in this round */
	uint8_t timestamping;
	bool have_props, have_mac;
	uint8_t mac[6]; /* of its interface */
	char interface[16];
};

struct kbp_ptp4l {
	char path[108];

	/* the way there */
	int fd;
	int why; /* it is not open: -errno */
	bool by_path;
	char own[108];
	ino_t ino;
	dev_t dev;
	uint16_t sequence;

	/* who it is */
	bool found; /* in which domain it is, is known */
	uint8_t domain, transport;
	unsigned probe;
	uint16_t n_ports;

	/* this round */
	uint32_t round;
	uint16_t round_sequence; /* answers from before it are of no use */
	bool got_status, got_current, complete;

	/* its answers */
	struct ptp4l_port port[PTP4L_PORTS];
	unsigned n_known; /* of port */
	struct kbp_ptp_reply status, current, parent, properties;
	bool have_parent, have_properties;

	/* what follows from them */
	uint64_t complete_ns; /* CLOCK_MONOTONIC_RAW of the last complete round; 0: never */
	uint64_t reached_ns;  /* of the first question while nothing was answered */
	bool followed;	      /* it has followed a master */
	int64_t ingress_ns;   /* of the last sync; 0: none yet */
	int64_t good_ns;      /* ... of the last one that was within the limit; 0: none */
	uint64_t advanced_ns; /* CLOCK_MONOTONIC_RAW when a new one showed */
	uint64_t offset[PTP4L_OFFSETS];
	uint64_t n_offsets;
	uint8_t gm[8];
	int32_t phc;
	enum kbp_epoch epoch;
	char interface[16];
	struct kbp_finding_of_clock last;
};

/* Open the way, or make it anew when another daemon has taken the place. 0, or -errno, also in p->why. */
int kbp_ptp4l_connect(struct kbp_ptp4l *p);
void kbp_ptp4l_disconnect(struct kbp_ptp4l *p);
/* 0, -EAGAIN: not now; any other: the daemon is gone, and p is disconnected. */
int kbp_ptp4l_send(struct kbp_ptp4l *p, uint16_t id, uint8_t domain, uint8_t transport);

#endif
