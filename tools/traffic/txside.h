/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * txside.h - the sender's way out through a backend: whole frames by one raw txflow, or payloads by a txflow
 * for each flow; and what becomes of frames that were handed over. Nothing here is installed.
 */
#ifndef KBP_TRAFFIC_TXSIDE_H
#define KBP_TRAFFIC_TXSIDE_H

#include <kbypass/traffic.h>

struct kbp_pending {
	uint64_t token;
	uint64_t frame; /* its number + 1; 0: free */
};

/* What a sender's options say, and frames whose completion is awaited, found by their tokens. */
struct kbp_txside {
	const struct kbp_schedule *s;
	const struct kbp_sender_opts *opts;
	struct kbp_queue *q; /* NULL: the sender has a packet socket */
	bool completions;
	struct kbp_pending *pending; /* open addressing */
	uint32_t mask, n_pending;
	uint32_t reap_at;  /* with so many pending, they are collected at once */
	uint64_t n_record; /* frames whose times are recorded */
};

/* Checks that every frame fits. -EINVAL, -EMSGSIZE, -ENOMEM. */
int kbp_txside_open(struct kbp_txside *x, const struct kbp_schedule *s,
		    const struct kbp_sender_opts *opts, const char *step, struct kbp_error *err);
void kbp_txside_close(struct kbp_txside *x);
/* 0, or the errno of a frame that was not accepted. */
int kbp_txside_try(struct kbp_txside *x, const struct kbp_schedule_frame *f, const uint8_t *bytes,
		   uint64_t number);
/* Takes in what the device has let go of; frames that it refused after all are no longer sent. */
void kbp_txside_reap(struct kbp_txside *x, struct kbp_sender_result *r);
/* 0, or -errno: frames lead nowhere any more. */
int kbp_txside_state(const struct kbp_txside *x);

#endif
