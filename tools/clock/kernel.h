/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h - what the kernel says of the system's clock (adjtimex). */
#ifndef KBP_CLOCK_KERNEL_H
#define KBP_CLOCK_KERNEL_H

#include <sys/timex.h>

#include "clock_parts.h"

/* What follows from what adjtimex filled in and returned. */
void kbp_kernel_judge(const struct timex *t, int state, const struct kbp_watch *w,
		      struct kbp_finding_of_clock *f);

#endif
