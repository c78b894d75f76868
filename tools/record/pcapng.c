/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapng.c - blocks of a pcapng file, in this machine's byte order, whole or not at all. */
#include <string.h>

#include "tools/record/pcapng.h"

#define EPB_INBOUND 1u

static void put(struct kbp_png *b, const void *bytes, size_t n)
{
	if (n)
		memcpy(b->p + b->len, bytes, n);
	b->len += n;
}

static void put16(struct kbp_png *b, uint16_t v)
{
	put(b, &v, sizeof(v));
}

static void put32(struct kbp_png *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void put64(struct kbp_png *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

/* Timestamps are two words, the upper one first, in either byte order. */
static void put_time(struct kbp_png *b, uint64_t ns)
{
	put32(b, (uint32_t)(ns >> 32));
	put32(b, (uint32_t)ns);
}

static void pad(struct kbp_png *b, size_t n)
{
	static const uint8_t zero[3];

	put(b, zero, (4 - n % 4) % 4);
}

static void option(struct kbp_png *b, uint16_t code, const void *value, size_t n)
{
	put16(b, code);
	put16(b, (uint16_t)n);
	put(b, value, n);
	pad(b, n);
}

static size_t text_len(const char *text)
{
	return text ? strnlen(text, UINT16_MAX) : 0;
}

static void option_text(struct kbp_png *b, uint16_t code, const char *text)
{
	if (text_len(text))
		option(b, code, text, text_len(text));
}

static void option_count(struct kbp_png *b, uint16_t code, uint64_t v)
{
	if (v != KBP_PNG_NONE)
		option(b, code, &v, sizeof(v));
}

static void option_time(struct kbp_png *b, uint16_t code, uint64_t ns)
{
	put16(b, code);
	put16(b, 8);
	put_time(b, ns);
}

/* Where the block begins, with its length open. */
static size_t begin(struct kbp_png *b, uint32_t type)
{
	size_t at = b->len;

	put32(b, type);
	put32(b, 0);
	return at;
}

static bool end(struct kbp_png *b, size_t at)
{
	uint32_t len;

	put16(b, KBP_OPT_END);
	put16(b, 0);
	len = (uint32_t)(b->len + 4 - at);
	put32(b, len);
	memcpy(b->p + at + 4, &len, sizeof(len));
	return true;
}

static bool room(const struct kbp_png *b, size_t data, size_t text)
{
	return b->cap - b->len >= KBP_PNG_ROOM(data, text);
}

bool kbp_png_section(struct kbp_png *b, const char *hardware, const char *os,
		     const char *application, const char *comment)
{
	size_t at;

	if (!room(b, 0, text_len(hardware) + text_len(os) + text_len(application) + text_len(comment)))
		return false;
	at = begin(b, KBP_PNG_SHB);
	put32(b, KBP_PNG_MAGIC);
	put16(b, 1);
	put16(b, 0);
	put64(b, UINT64_MAX); /* the section's length: not known beforehand */
	option_text(b, KBP_OPT_COMMENT, comment);
	option_text(b, KBP_OPT_SHB_HARDWARE, hardware);
	option_text(b, KBP_OPT_SHB_OS, os);
	option_text(b, KBP_OPT_SHB_USERAPPL, application);
	return end(b, at);
}

bool kbp_png_interface(struct kbp_png *b, uint16_t linktype, uint32_t snaplen, const char *name,
		       const char *description)
{
	const uint8_t ns = 9;
	size_t at;

	if (!room(b, 0, text_len(name) + text_len(description)))
		return false;
	at = begin(b, KBP_PNG_IDB);
	put16(b, linktype);
	put16(b, 0);
	put32(b, snaplen);
	option_text(b, KBP_OPT_IF_NAME, name);
	option_text(b, KBP_OPT_IF_DESCRIPTION, description);
	option(b, KBP_OPT_IF_TSRESOL, &ns, 1);
	return end(b, at);
}

bool kbp_png_packet(struct kbp_png *b, const struct kbp_png_packet *p)
{
	const uint32_t flags = EPB_INBOUND;
	size_t at, captured = (size_t)p->head_len + p->body_len;

	if (!room(b, captured, text_len(p->comment)))
		return false;
	at = begin(b, KBP_PNG_EPB);
	put32(b, p->interface);
	put_time(b, p->ts_ns);
	put32(b, (uint32_t)captured);
	put32(b, p->original_len);
	put(b, p->head, p->head_len);
	put(b, p->body, p->body_len);
	pad(b, captured);
	option_text(b, KBP_OPT_COMMENT, p->comment);
	option(b, KBP_OPT_EPB_FLAGS, &flags, sizeof(flags));
	option_count(b, KBP_OPT_EPB_DROPCOUNT, p->drops);
	return end(b, at);
}

bool kbp_png_stats(struct kbp_png *b, const struct kbp_png_stats *s)
{
	size_t at;

	if (!room(b, 0, text_len(s->comment)))
		return false;
	at = begin(b, KBP_PNG_ISB);
	put32(b, s->interface);
	put_time(b, s->ts_ns);
	option_text(b, KBP_OPT_COMMENT, s->comment);
	option_time(b, KBP_OPT_ISB_STARTTIME, s->start_ns);
	option_time(b, KBP_OPT_ISB_ENDTIME, s->end_ns);
	option_count(b, KBP_OPT_ISB_IFDROP, s->ifdrop);
	option_count(b, KBP_OPT_ISB_FILTERACCEPT, s->filteraccept);
	option_count(b, KBP_OPT_ISB_OSDROP, s->osdrop);
	option_count(b, KBP_OPT_ISB_USRDELIV, s->usrdeliv);
	return end(b, at);
}
