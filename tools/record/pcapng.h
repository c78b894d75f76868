/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - blocks of a pcapng file, written whole into a buffer (draft-ietf-opsawg-pcapng). Nothing here is
 * installed.
 */
#ifndef KBP_RECORD_PCAPNG_H
#define KBP_RECORD_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KBP_PNG_SHB = 0x0a0d0d0a,
	KBP_PNG_MAGIC = 0x1a2b3c4d,
	KBP_PNG_IDB = 1,
	KBP_PNG_SPB = 3,
	KBP_PNG_ISB = 5,
	KBP_PNG_EPB = 6,
};

enum {
	KBP_OPT_END = 0,
	KBP_OPT_COMMENT = 1,
	KBP_OPT_SHB_HARDWARE = 2,
	KBP_OPT_SHB_OS = 3,
	KBP_OPT_SHB_USERAPPL = 4,
	KBP_OPT_IF_NAME = 2,
	KBP_OPT_IF_DESCRIPTION = 3,
	KBP_OPT_IF_TSRESOL = 9,
	KBP_OPT_IF_TSOFFSET = 14,
	KBP_OPT_EPB_FLAGS = 2,
	KBP_OPT_EPB_DROPCOUNT = 4,
	KBP_OPT_ISB_STARTTIME = 2,
	KBP_OPT_ISB_ENDTIME = 3,
	KBP_OPT_ISB_IFDROP = 5,
	KBP_OPT_ISB_FILTERACCEPT = 6,
	KBP_OPT_ISB_OSDROP = 7,
	KBP_OPT_ISB_USRDELIV = 8,
};

#define KBP_PNG_NONE UINT64_MAX /* a number that is not known: its option is left out */

/* A block that would not fit is not begun: the caller makes room first. */
struct kbp_png {
	uint8_t *p;
	size_t len, cap;
};

/* Bytes that a block with this much in it needs at most. */
#define KBP_PNG_ROOM(data, text) ((size_t)(data) + (size_t)(text) + 192u)

struct kbp_png_packet {
	uint32_t interface;
	uint64_t ts_ns;		 /* UTC */
	const void *head, *body; /* one after the other; either may be empty */
	uint32_t head_len, body_len;
	uint32_t original_len;
	uint64_t drops; /* since the packet before; KBP_PNG_NONE */
	const char *comment;
};

struct kbp_png_stats {
	uint32_t interface;
	uint64_t ts_ns, start_ns, end_ns;
	uint64_t ifdrop, filteraccept, osdrop, usrdeliv;
	const char *comment;
};

/* Each: false when the block does not fit; then nothing is written. Texts may be NULL, and are cut to 65535. */
bool kbp_png_section(struct kbp_png *b, const char *hardware, const char *os,
		     const char *application, const char *comment);
bool kbp_png_interface(struct kbp_png *b, uint16_t linktype, uint32_t snaplen, const char *name,
		       const char *description);
bool kbp_png_packet(struct kbp_png *b, const struct kbp_png_packet *p);
bool kbp_png_stats(struct kbp_png *b, const struct kbp_png_stats *s);

#endif
