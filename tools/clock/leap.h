/* SPDX-License-Identifier: BSD-2-Clause */
/* leap.h - TAI minus UTC since 1972: from the host's list of leap seconds, or a dated table of our own. */
#ifndef KBP_CLOCK_LEAP_H
#define KBP_CLOCK_LEAP_H

#include <stdbool.h>
#include <stdint.h>

#include <kbypass/clock.h>

#define KBP_LEAP_MAX 64u

struct kbp_leap_table {
	struct {
		int64_t utc_s; /* from then on, seconds since 1970 */
		int tai_s;     /* TAI - UTC */
	} step[KBP_LEAP_MAX];
	unsigned n;
	int64_t expires_s; /* it says nothing of what comes after */
	bool built_in;
};

/* A list in the format of IERS's leap-seconds.list. 0; -EBADMSG: it is none; -errno of reading it. */
int kbp_leap_read(const char *path, struct kbp_leap_table *t);
/* The built-in one. */
void kbp_leap_built_in(struct kbp_leap_table *t);
/* The host's, if it is there and knows at least as much as the built-in one. Read once. */
const struct kbp_leap_table *kbp_leap_table(void);

/* As kbp_utc_to_tai and kbp_tai_to_utc, by any table. */
int kbp_leap_utc_to_tai(const struct kbp_leap_table *t, uint64_t utc_ns, struct kbp_moment *m);
int kbp_leap_tai_to_utc(const struct kbp_leap_table *t, uint64_t tai_ns, struct kbp_moment *m);

/* TAI - UTC now, by the table. */
int kbp_leap_now(void);
/* May the kernel's offset be right? An expired table cannot say no to a larger one. */
bool kbp_leap_agrees(int tai_s, uint64_t utc_ns);

#endif
