/* SPDX-License-Identifier: BSD-2-Clause */
/* reader.c - a bounded reader of pcapng (draft-ietf-opsawg-pcapng) and of pcap. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/internal.h"
#include "tools/record/pcapng.h"
#include "tools/record/reader.h"

#define BLOCK_MAX (16u << 20) /* what Wireshark takes */
#define INTERFACES_MAX 4096u
#define PCAP_US 0xa1b2c3d4u
#define PCAP_NS 0xa1b23c4du
#define NS_PER_S 1000000000u
#define TIME_MAX (UINT64_MAX / 2)

struct interface {
	uint8_t resolution; /* if_tsresol */
	int64_t offset_s;
};

struct kbp_reader {
	FILE *f;
	char name[64];
	bool swapped, ng, ns, ours;
	uint64_t at; /* of the block being read */
	uint8_t *block;
	size_t room;
	struct interface *interface;
	uint32_t n_interfaces;
};

struct opt {
	uint16_t code, len;
	const uint8_t *value;
};

/* ---------------------------------------------------------------- bytes */

static uint16_t get16(const struct kbp_reader *r, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? __builtin_bswap16(v) : v;
}

static uint32_t get32(const struct kbp_reader *r, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? __builtin_bswap32(v) : v;
}

static int damaged(const struct kbp_reader *r, struct kbp_error *err, const char *what)
{
	char hint[160];

	snprintf(hint, sizeof(hint), "damaged at byte %llu: %s; what precedes it can be used",
		 (unsigned long long)r->at, what);
	return kbp_failf(err, -EBADMSG, hint, "read the capture %s", r->name);
}

static bool read_all(struct kbp_reader *r, void *to, size_t n)
{
	return fread(to, 1, n, r->f) == n;
}

/* The buffer grows with what the file really has, not with what it says. */
static int read_block(struct kbp_reader *r, size_t from, size_t len)
{
	while (from < len) {
		size_t step = len - from < 65536 ? len - from : 65536;

		if (from + step > r->room) {
			size_t room = r->room * 2 > from + step ? r->room * 2 : from + step;
			uint8_t *p = realloc(r->block, room);

			if (!p)
				return -ENOMEM;
			r->block = p;
			r->room = room;
		}
		if (!read_all(r, r->block + from, step))
			return -ENODATA;
		from += step;
	}
	return 0;
}

/* The next option of [*p, end), or false: there is none, or it is damaged. */
static bool option_next(const struct kbp_reader *r, const uint8_t **p, const uint8_t *end,
			struct opt *o)
{
	size_t padded;

	if (end - *p < 4)
		return false;
	o->code = get16(r, *p);
	o->len = get16(r, *p + 2);
	o->value = *p + 4;
	padded = ((size_t)o->len + 3) & ~(size_t)3;
	if (o->code == KBP_OPT_END || (size_t)(end - o->value) < padded)
		return false;
	*p = o->value + padded;
	return true;
}

static bool begins(const struct opt *o, const char *text)
{
	return o->len >= strlen(text) && !memcmp(o->value, text, strlen(text));
}

/* ---------------------------------------------------------------- blocks */

static void section(struct kbp_reader *r, uint32_t len)
{
	const uint8_t *p = r->block + 24, *end = r->block + len - 4;
	bool application = false, schema = false;
	struct opt o;

	r->n_interfaces = 0;
	while (option_next(r, &p, end, &o)) {
		application |= o.code == KBP_OPT_SHB_USERAPPL && begins(&o, "kbypass ");
		schema |= o.code == KBP_OPT_COMMENT && begins(&o, "kbypass.capture/1");
	}
	r->ours = application && schema;
}

static int interface(struct kbp_reader *r, uint32_t len, struct kbp_error *err)
{
	const uint8_t *p = r->block + 16, *end = r->block + len - 4;
	struct interface *list, *i;
	struct opt o;

	if (len < 20)
		return damaged(r, err, "an interface block is too short");
	if (r->n_interfaces == INTERFACES_MAX)
		return damaged(r, err, "it has more than 4096 interfaces");
	list = realloc(r->interface, (r->n_interfaces + 1) * sizeof(*list));
	if (!list)
		return kbp_failf(err, -ENOMEM, "memory is out", "read the capture %s", r->name);
	r->interface = list;
	i = &list[r->n_interfaces++];
	i->resolution = 6;
	i->offset_s = 0;
	while (option_next(r, &p, end, &o)) {
		if (o.code == KBP_OPT_IF_TSRESOL && o.len == 1)
			i->resolution = o.value[0];
		if (o.code == KBP_OPT_IF_TSOFFSET && o.len == 8) {
			uint64_t v;

			memcpy(&v, o.value, 8);
			i->offset_s = (int64_t)(r->swapped ? __builtin_bswap64(v) : v);
		}
	}
	return 0;
}

/* Ticks of an interface in ns since 1970; false: no such time. */
static bool to_ns(const struct interface *i, uint64_t ticks, uint64_t *ns)
{
	unsigned __int128 v = ticks;
	unsigned digits = i->resolution & 0x7f;
	__int128 sum;

	if (i->resolution & 0x80) {
		if (digits > 64)
			return false;
		v = (v * NS_PER_S) >> digits;
	} else {
		for (; digits < 9; digits++)
			v *= 10;
		for (; digits > 9 && v; digits--)
			v /= 10;
	}
	if (v > TIME_MAX)
		return false;
	sum = (__int128)v + (__int128)i->offset_s * NS_PER_S;
	if (sum < 0 || sum > (__int128)TIME_MAX)
		return false;
	*ns = (uint64_t)sum;
	return true;
}

static int packet(struct kbp_reader *r, uint32_t len, struct kbp_reader_packet *out,
		  struct kbp_error *err)
{
	const uint8_t *p = r->block, *end = r->block + len - 4;
	uint32_t id, captured;
	struct opt o;

	if (len < 32)
		return damaged(r, err, "a packet block is too short");
	id = get32(r, p + 8);
	captured = get32(r, p + 20);
	if (id >= r->n_interfaces)
		return damaged(r, err, "a packet is of an interface that is not described");
	if (captured > (size_t)(end - p) - 28)
		return damaged(r, err, "a packet is longer than its block");
	memset(out, 0, sizeof(*out));
	out->captured = captured;
	out->original = get32(r, p + 24);
	out->bytes = p + 28;
	out->ours = r->ours;
	out->timed = to_ns(&r->interface[id], (uint64_t)get32(r, p + 12) << 32 | get32(r, p + 16),
			   &out->ns);
	p += 28 + (((size_t)captured + 3) & ~(size_t)3);
	while (p < end && option_next(r, &p, end, &o)) {
		if (o.code == KBP_OPT_COMMENT && begins(&o, "sync=") && !out->comment) {
			out->comment = (const char *)o.value;
			out->comment_len = o.len;
		}
		if (o.code == KBP_OPT_EPB_DROPCOUNT && o.len == 8) {
			memcpy(&out->drops, o.value, 8);
			out->drops = r->swapped ? __builtin_bswap64(out->drops) : out->drops;
		}
	}
	return 1;
}

/* ---------------------------------------------------------------- reading on */

/* A block's first 12 bytes are in r->block: its length, or 0 with *err. */
static uint32_t block_len(struct kbp_reader *r, struct kbp_error *err)
{
	uint32_t type, magic, len;

	memcpy(&type, r->block, 4); /* a section header reads the same both ways round */
	if (type == KBP_PNG_SHB) {
		memcpy(&magic, r->block + 8, 4);
		if (magic != KBP_PNG_MAGIC && magic != __builtin_bswap32(KBP_PNG_MAGIC)) {
			damaged(r, err, "a section has no byte order");
			return 0;
		}
		r->swapped = magic != KBP_PNG_MAGIC;
	}
	len = get32(r, r->block + 4);
	if (len < (type == KBP_PNG_SHB ? 28u : 12u) || len % 4 || len > BLOCK_MAX) {
		damaged(r, err, "a block has a length that cannot be");
		return 0;
	}
	return len;
}

static int ng_next(struct kbp_reader *r, struct kbp_reader_packet *p, bool *cut, struct kbp_error *err)
{
	for (;;) {
		size_t got = fread(r->block, 1, 12, r->f);
		uint32_t len, type;
		int rc;

		*cut = got && got < 12;
		if (got < 12)
			return 0;
		len = block_len(r, err);
		if (!len)
			return -EBADMSG;
		rc = read_block(r, 12, len);
		*cut = rc == -ENODATA;
		if (rc)
			return *cut ? 0 :
				      kbp_failf(err, rc, "memory is out", "read the capture %s",
						r->name);
		if (get32(r, r->block + len - 4) != len)
			return damaged(r, err, "the two lengths of a block differ");
		type = get32(r, r->block);
		if (type == KBP_PNG_SHB)
			section(r, len);
		else if (type == KBP_PNG_IDB)
			rc = interface(r, len, err);
		else if (type == KBP_PNG_EPB)
			rc = packet(r, len, p, err);
		else if (type == KBP_PNG_SPB) {
			memset(p, 0, sizeof(*p)); /* has no time */
			rc = 1;
		}
		if (rc >= 0)
			r->at += len;
		if (rc)
			return rc;
	}
}

static int pcap_next(struct kbp_reader *r, struct kbp_reader_packet *p, bool *cut,
		     struct kbp_error *err)
{
	uint8_t h[16];
	size_t got = fread(h, 1, sizeof(h), r->f);
	uint32_t part, captured;
	int rc;

	*cut = got && got < sizeof(h);
	if (got < sizeof(h))
		return 0;
	captured = get32(r, h + 8);
	part = get32(r, h + 4);
	if (captured > BLOCK_MAX)
		return damaged(r, err, "a packet has a length that cannot be");
	if (part >= (r->ns ? NS_PER_S : 1000000u))
		return damaged(r, err, "a packet has a time that cannot be");
	rc = read_block(r, 0, captured);
	*cut = rc == -ENODATA;
	if (rc)
		return *cut ? 0 : kbp_failf(err, rc, "memory is out", "read the capture %s", r->name);
	memset(p, 0, sizeof(*p));
	p->timed = true;
	p->captured = captured;
	p->original = get32(r, h + 12);
	p->ns = (uint64_t)get32(r, h) * NS_PER_S + (r->ns ? part : part * 1000u);
	r->at += sizeof(h) + captured;
	return 1;
}

int kbp_reader_next(struct kbp_reader *r, struct kbp_reader_packet *p, bool *cut,
		    struct kbp_error *err)
{
	return r->ng ? ng_next(r, p, cut, err) : pcap_next(r, p, cut, err);
}

uint64_t kbp_reader_at(const struct kbp_reader *r)
{
	return r->at;
}

/* ---------------------------------------------------------------- open, close */

/* Which kind of file it is; the first block stays to be read. */
static bool recognise(struct kbp_reader *r)
{
	uint8_t head[24];
	uint32_t magic;

	if (!read_all(r, head, sizeof(head)))
		return false;
	memcpy(&magic, head, 4);
	r->ng = magic == KBP_PNG_SHB;
	if (r->ng)
		return !fseek(r->f, 0, SEEK_SET);
	r->swapped = magic == __builtin_bswap32(PCAP_US) || magic == __builtin_bswap32(PCAP_NS);
	magic = r->swapped ? __builtin_bswap32(magic) : magic;
	r->ns = magic == PCAP_NS;
	r->at = sizeof(head);
	return magic == PCAP_US || magic == PCAP_NS;
}

int kbp_reader_open(const char *path, struct kbp_reader **out, struct kbp_error *err)
{
	struct kbp_reader *r = calloc(1, sizeof(*r));
	struct stat st;
	int rc = 0;

	*out = NULL;
	if (r)
		r->block = malloc(65536);
	if (!r || !r->block) {
		free(r);
		return kbp_failf(err, -ENOMEM, "memory is out", "read the capture %.60s", path);
	}
	r->room = 65536;
	snprintf(r->name, sizeof(r->name), "%s", path);
	r->f = fopen(path, "re");
	if (!r->f)
		rc = kbp_failf(err, -errno, strerror(errno), "read the capture %s", r->name);
	else if (fstat(fileno(r->f), &st) || !S_ISREG(st.st_mode))
		rc = kbp_failf(err, -EINVAL, "it is no regular file", "read the capture %s", r->name);
	else if (!recognise(r))
		rc = kbp_failf(err, -EINVAL,
			       "it is neither pcapng nor pcap; unpack it first if it is compressed",
			       "read the capture %s", r->name);
	if (rc) {
		kbp_reader_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

void kbp_reader_close(struct kbp_reader *r)
{
	if (!r)
		return;
	if (r->f)
		fclose(r->f);
	free(r->block);
	free(r->interface);
	free(r);
}
