/* SPDX-License-Identifier: BSD-2-Clause */
/* base.h - what every header of kbypass begins with: macros, errors, and the names of the nouns. */
#ifndef KBYPASS_BASE_H
#define KBYPASS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define KBP_STATIC_ASSERT static_assert
#else
#define KBP_STATIC_ASSERT _Static_assert
#endif

#define KBP_API __attribute__((visibility("default")))

/* Initializer of an options struct: its size, all else zero. C++17 has no designated
 * initializers. */
#ifdef __cplusplus
#define KBP_OPTS_INIT(type)         \
	[] {                        \
		type o = {};        \
		o.size = sizeof(o); \
		return o;           \
	}()
#else
#define KBP_OPTS_INIT(type)          \
	{                            \
		.size = sizeof(type) \
	}
#endif

struct kbp_port;
struct kbp_queue;
struct kbp_txflow;
struct kbp_template;
struct kbp_flow_ref;
struct kbp_clock;
struct kbp_completion;

/* What failed, on which object, and what to do next. Always NUL-terminated, never empty after a
 * failure. */
struct kbp_error {
	int code;      /* the same -errno that was returned */
	char step[96]; /* what was being done, and to what: "bind af_xdp socket to veth0 queue 1" */
	char hint[416]; /* the reason and the next step, in a sentence a person can act on */
};

enum kbp_tristate { KBP_UNKNOWN = 0, KBP_NO = 1, KBP_YES = 2 };

/* How a statement about a mode, or about a source of timestamps, is known. */
enum kbp_proof {
	KBP_PROOF_NONE = 0, /* not looked at */
	KBP_CLAIMED = 1,    /* the driver or kernel says it can */
	KBP_BOUND = 2,	    /* it was asked for and accepted */
	KBP_PROVEN = 3,	    /* a packet went that way */
};

#ifdef __cplusplus
}
#endif
#endif
