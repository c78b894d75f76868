/* SPDX-License-Identifier: BSD-2-Clause */
/* rts25.h - between the account of time and what fills it from files. Nothing here is installed. */
#ifndef KBP_RECORD_RTS25_H
#define KBP_RECORD_RTS25_H

#include <kbypass/record.h>

/* UTC of the latest claim; 0: there is none. */
uint64_t kbp_rts25_latest(const struct kbp_rts25 *r);

#endif
