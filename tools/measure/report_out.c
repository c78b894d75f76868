/* SPDX-License-Identifier: BSD-2-Clause */
/* report_out.c - text that grows, and text from elsewhere made harmless. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/measure/report_parts.h"

/* Room for `more` bytes and the NUL. */
static bool out_room(struct kbp_out *o, size_t more)
{
	size_t need = o->len + more + 1, room = o->room ? o->room : 4096;
	char *p;

	if (o->bad)
		return false;
	if (need <= o->room)
		return true;
	while (room < need)
		room *= 2;
	p = realloc(o->text, room);
	if (!p) {
		o->bad = true;
		return false;
	}
	o->text = p;
	o->room = room;
	return true;
}

static void out_bytes(struct kbp_out *o, const char *s, size_t n)
{
	if (!out_room(o, n))
		return;
	memcpy(o->text + o->len, s, n);
	o->len += n;
	o->text[o->len] = '\0';
}

void kbp_out_raw(struct kbp_out *o, const char *s)
{
	out_bytes(o, s, strlen(s));
}

void kbp_outf(struct kbp_out *o, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		o->bad = true;
	else if (out_room(o, (size_t)n)) {
		vsnprintf(o->text + o->len, (size_t)n + 1, fmt, again);
		o->len += (size_t)n;
	}
	va_end(again);
}

/* ---------------------------------------------------------------- escaping */

/* Bytes of the character at s; 0: it is no UTF-8. *c is its number. */
static size_t utf8_at(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80		 ? 1 :
		   (s[0] & 0xe0) == 0xc0 ? 2 :
		   (s[0] & 0xf0) == 0xe0 ? 3 :
		   (s[0] & 0xf8) == 0xf0 ? 4 :
					   0;

	if (n < 2) {
		*c = s[0];
		return n;
	}
	*c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3fu);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : n;
}

/* Has no place in a line of text: controls, and what turns the direction of writing or hides. */
static bool is_unruly(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

void kbp_out_text(struct kbp_out *o, const char *s)
{
	const unsigned char *at = (const unsigned char *)s;
	uint32_t c;
	size_t n;

	for (; *at; at += n ? n : 1) {
		n = utf8_at(at, &c);
		if (!n)
			kbp_outf(o, "\\x%02x", *at);
		else if (is_unruly(c))
			kbp_outf(o, "\\u%04x", c);
		else if (c == '&')
			kbp_out_raw(o, "&amp;");
		else if (c == '<')
			kbp_out_raw(o, "&lt;");
		else if (c == '>')
			kbp_out_raw(o, "&gt;");
		else if (c == '"')
			kbp_out_raw(o, "&quot;");
		else if (c == '\'')
			kbp_out_raw(o, "&#39;");
		else
			out_bytes(o, (const char *)at, n);
	}
}

void kbp_out_in(struct kbp_out *o, const char *before, const char *text, const char *after)
{
	kbp_out_raw(o, before);
	kbp_out_text(o, text);
	kbp_out_raw(o, after);
}

/* ---------------------------------------------------------------- numbers */

const char *kbp_text_ns(double ns, char buf[32])
{
	static const char *const unit[] = { "ns", "\u00b5s", "ms", "s" };
	const char *sign = ns < 0 ? "\u2212" : "";
	double v = fabs(ns);
	unsigned i = 0;

	if (!isfinite(ns))
		return strcpy(buf, "unknown");
	for (; i < 3 && v >= 999.5; i++)
		v /= 1e3;
	/* four digits; a nanosecond's tenths only where they are most of it */
	if (v >= 1e6)
		snprintf(buf, 32, "%s%.3g %s", sign, v, unit[i]);
	else if (v >= 100)
		snprintf(buf, 32, "%s%.*f %s", sign, i ? 1 : 0, v, unit[i]);
	else
		snprintf(buf, 32, "%s%.*f %s", sign, v >= 10 ? (i ? 2 : 1) : (i ? 3 : 2), v, unit[i]);
	return buf;
}

const char *kbp_text_count(uint64_t v, char buf[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v), at = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}
