/* SPDX-License-Identifier: BSD-2-Clause */
/* convert.h - what the monitor does with its converter beyond the public calls. */
#ifndef KBP_CLOCK_CONVERT_H
#define KBP_CLOCK_CONVERT_H

#include "clock_parts.h"

/* Take in a PHC that came later; one that is in already is fine. 0 or -errno. */
int kbp_converter_add_phc(struct kbp_converter *c, int32_t phc);

#endif
