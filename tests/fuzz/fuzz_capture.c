/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damaged captures by the thousand, the same ones every time: whatever comes in, either a clear
 * error or a schedule that keeps its promises comes out.
 *
 *   fuzz_capture [ITERATIONS [SEED]]
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <kbypass/traffic.h>

#include "capture_craft.h"
#include "tools/traffic/schedule.h"

#define SEEDS 7
#define ITERATIONS 4000ul

static struct craft seeds[SEEDS], input, packed;
static uint64_t state;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(kbp_random(&state) % n);
}

static void fail(unsigned long iteration, const char *what)
{
	fprintf(stderr, "iteration %lu: %s\n", iteration, what);
	abort();
}

static void seeds_make(void)
{
	static const unsigned kinds[] = { 0,
					  CRAFT_GROUP,
					  CRAFT_VLAN,
					  CRAFT_BAD_SUMS,
					  CRAFT_TRAILER,
					  CRAFT_TCP,
					  CRAFT_FRAGMENT,
					  CRAFT_IPV6,
					  CRAFT_IPV6 | CRAFT_GROUP | CRAFT_VLAN };
	static const char text[] =
		"a payload of some length, so that a frame is longer than the shortest one";

	for (unsigned i = 0; i < SEEDS; i++) {
		struct craft *c = &seeds[i];

		c->big = i & 1;
		if (i < 4)
			craft_pcap(c, i & 2 ? CRAFT_NS : CRAFT_US, 65535, 1);
		else
			craft_pcapng(c, 1, i & 2);
		for (uint32_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			uint8_t f[256];
			uint32_t n = craft_frame(f, kinds[k], (uint16_t)(5000 + k % 3), text,
						 (uint32_t)(sizeof(text) - k));

			if (i < 4)
				craft_record(c, k, k * 7, f, n, n);
			else
				craft_packet_block(c, 1000 * k, f, n);
		}
	}
}

static void mutate(struct craft *c)
{
	static const uint32_t nasty[] = { 0,	      1,	   0x7f,       0x80,
					  0xff,	      0x7fff,	   0xffff,     0x40000,
					  0x7fffffff, 0x80000000u, 0xffffffffu };

	for (uint32_t n = 1 + below(6); n && c->len > 8; n--) {
		uint32_t at = below((uint32_t)c->len - 4), v, len;

		switch (below(6)) {
		case 0: /* a bit */
			c->bytes[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1: /* a byte */
			c->bytes[at] = (uint8_t)kbp_random(&state);
			break;
		case 2: /* a word that programs trip over, in either byte order */
			v = nasty[below(sizeof(nasty) / sizeof(nasty[0]))];
			v = below(2) ? v : __builtin_bswap32(v);
			memcpy(c->bytes + at, &v, 4);
			break;
		case 3: /* the end is missing */
			if (below(4) == 0)
				c->len = at;
			break;
		case 4: /* a part is missing */
			len = below((uint32_t)c->len - at);
			len = len > 64 ? below(64) : len;
			memmove(c->bytes + at, c->bytes + at + len, c->len - at - len);
			c->len -= len;
			break;
		default: /* a part comes twice */
			len = below((uint32_t)c->len - at);
			len = len > 4096 ? 4096 : len; /* so that it never outgrows the buffer */
			memmove(c->bytes + at + len, c->bytes + at, c->len - at);
			c->len += len;
			break;
		}
	}
}

static void schedule_check(const struct kbp_schedule *s, unsigned long i)
{
	uint64_t last = 0, at;
	char hex[17];

	if (!s->n_frames || !s->n_flows || !s->n_total)
		fail(i, "an empty schedule");
	for (uint32_t k = 0; k < s->n_frames; k++) {
		const struct kbp_schedule_frame *f = &s->frames[k];
		const uint8_t *bytes = s->bytes + f->offset;
		struct kbp_udp_layout l;
		struct kbp_datagram d;
		uint8_t copy[2048];

		if (f->offset + f->len > s->n_bytes || f->payload_offset + f->payload_len > f->len)
			fail(i, "a frame out of bounds");
		if (f->at_ns < last || f->flow >= s->n_flows)
			fail(i, "times or flows out of order");
		last = f->at_ns;
		if (kbp_datagram_parse(bytes, f->len, false, &d) != KBP_PARSE_OK ||
		    d.len != f->payload_len || d.payload != bytes + f->payload_offset)
			fail(i, "a frame that is no datagram");
		if (kbp_payload_hash(d.payload, d.len) != f->payload_hash)
			fail(i, "another payload's hash");
		if (f->len <= sizeof(copy)) {
			memcpy(copy, bytes, f->len);
			kbp_udp_locate(bytes, &d, &l);
			if (kbp_udp_mend(copy, &l))
				fail(i, "a wrong checksum");
		}
	}
	kbp_schedule_at(s, s->n_total - 1, &at);
	if (kbp_schedule_digest(s, NULL, hex) || strlen(hex) != 16)
		fail(i, "no digest");
}

int main(int argc, char **argv)
{
	unsigned long iterations = argc > 1 ? strtoul(argv[1], NULL, 0) : ITERATIONS, whole = 0,
		      cut = 0;
	struct kbp_capture_opts opts = { .size = sizeof(opts), .from_mac = { 2 }, .to_mac = { 2, 1 } };
	struct kbp_timing timing = { .kind = KBP_TIMING_RECORDED };

	state = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	opts.to_ip4 = (struct kbp_addr){ AF_INET, { 10, 0, 0, 2 } };
	seeds_make();
	for (unsigned long i = 0; i < iterations; i++) {
		struct kbp_capture_report report;
		struct kbp_schedule *s;
		struct kbp_error err = { 0 };
		char path[64];
		int fd, rc;

		input = seeds[below(SEEDS)];
		if (i >= SEEDS)
			mutate(&input);
		if (below(8) == 0) { /* packed, and damaged once more at times */
			craft_gzip(&input, &packed);
			input = packed;
			if (below(2))
				mutate(&input);
		}
		fd = craft_path(&input, path);
		rc = kbp_schedule_from_capture(path, &opts, &timing, &s, &report, &err);
		close(fd);
		if (!rc == !s)
			fail(i, "neither a schedule nor an error, or both");
		if (rc && (err.code != rc || !err.step[0] || !err.hint[0]))
			fail(i, "an error without a reason");
		if (report.records != report.frames + report.skipped_not_ip +
					      report.skipped_not_udp + report.skipped_fragment +
					      report.skipped_truncated + report.skipped_malformed)
			fail(i, "records that are not accounted for");
		if (!report.damage.record != !report.damage_text[0])
			fail(i, "damage without a place, or a place without damage");
		if (s) {
			schedule_check(s, i);
			whole++;
			cut += report.damage.record != 0;
		}
		kbp_schedule_close(s);
	}
	printf("%lu captures: %lu replayable, %lu of them damaged at the end\n", iterations, whole,
	       cut);
	return whole && cut && whole < iterations ? 0 : 1;
}
