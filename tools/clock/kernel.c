/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.c - the kernel as a witness: adjtimex, looked at and never set. */
#include "kernel.h"

#include <stdio.h>
#include <string.h>

static void say(struct kbp_finding_of_clock *f, enum kbp_sync sync, enum kbp_clock_cause cause,
		const char *text)
{
	f->s.sync = sync;
	f->s.cause = cause;
	snprintf(f->s.text, sizeof(f->s.text), "%s", text);
}

void kbp_kernel_judge(const struct timex *t, int state, const struct kbp_watch *w,
		      struct kbp_finding_of_clock *f)
{
	memset(f, 0, sizeof(*f));
	f->present = f->fresh = f->tells = true;
	f->s.witness = KBP_WITNESS_KERNEL;
	f->s.epoch = KBP_EPOCH_UTC;
	f->s.phc = -1;
	f->s.bound_ns = KBP_BOUND_UNKNOWN;
	snprintf(f->s.name, sizeof(f->s.name), "kernel");
	snprintf(f->s.state, sizeof(f->s.state), "%s",
		 state < 0 || (t->status & STA_UNSYNC)	    ? "UNSYNC" :
		 state == TIME_INS || (t->status & STA_INS) ? "leap second ahead" :
		 state == TIME_DEL || (t->status & STA_DEL) ? "leap second less" :
		 state == TIME_OOP			    ? "in a leap second" :
							      "synchronised");
	if (state < 0 || (t->status & STA_UNSYNC)) {
		say(f, KBP_SYNC_NOT, KBP_CLOCK_UNSYNCHRONISED,
		    "the kernel says that nothing keeps the system's clock: start chronyd, phc2sys or a ptp4l "
		    "with software timestamping");
		return;
	}
	/* linuxptp sets maxerror to 0 to keep the kernel content, from where it grows, and leaves esterror alone,
	 * which is never more than the maximum where both are meant (clockadj.c, sysclk_set_sync). */
	if (t->esterror > t->maxerror || t->maxerror <= 0) {
		say(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED,
		    "what keeps the system's clock tells the kernel no error: see the other lines, or use "
		    "chronyd");
		return;
	}
	f->s.bound_ns = (uint64_t)t->maxerror * 1000;
	f->abs_offset_ns = f->s.bound_ns;
	if (f->s.bound_ns <= w->limit_ns) {
		say(f, KBP_SYNC_IN, KBP_CLOCK_FINE, "");
		return;
	}
	f->s.sync = KBP_SYNC_UNKNOWN;
	f->s.cause = KBP_CLOCK_OFFSET;
	snprintf(f->s.text, sizeof(f->s.text),
		 "the system's clock may be up to %llu ns off by the kernel's word, the limit is %llu ns: NTP "
		 "promises no better; PTP does",
		 (unsigned long long)f->s.bound_ns, (unsigned long long)w->limit_ns);
}
