/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A market data feed made up: MoldUDP64 packets (NASDAQ, "MoldUDP64 Protocol Specification" 1.00)
 * whose sizes and gaps follow quantiles measured on real captures.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"

#define MOLD_HEADER 20u /* session[10], sequence u64, count u16, big-endian */
#define MESSAGE_MIN 12u /* ITCH: system event */
#define MESSAGE_SOLE 6u /* shortest in a frame of its own; PITCH: time */
#define MESSAGE_MAX 50u /* ITCH: NOII */
#define FRAME_MAX 9018u /* jumbo, tagged */
#define GENERATED_BYTES_MAX (256u << 20)
#define BURST_GAP_NS 50u /* inside a burst frames come as fast as the windows allow */
#define BURST_SHARE 0.01 /* of all frames belong to the largest bursts */

static const struct kbp_generator_profile profiles[] = {
	{ "itch", "NASDAQ TotalView-ITCH", 100, 209, 2, 5174, 13, 54, 190 },
	{ "cme", "CME MDP3 channel, incrementals", 134, 974, 7, 92420, 4, 10, 78 },
	{ "edgx", "EDGX depth, one unit", 80, 1506, 22, 623548, 4, 17, 146 },
	{ "pitch", "BATS PITCH, one unit", 76, 142, 1260, 96639, 62, 96, 96 },
	{ "line70", "a line of 70 groups, together", 73, 127, 15, 896, 9, 40, 216 },
};

const struct kbp_generator_profile *kbp_generator_profile(unsigned i)
{
	return i < KBP_ARRAY_SIZE(profiles) ? &profiles[i] : NULL;
}

/* One destination's session. */
struct session {
	struct kbp_flow flow;
	uint8_t dst_mac[6];
	uint64_t sequence; /* of the next message, from 1 */
	uint32_t index;	   /* in the builder */
};

struct generator {
	const struct kbp_generator_opts *opts;
	const struct kbp_generator_profile *shape;
	struct session *sessions;
	uint32_t n_sessions;
	uint64_t random;
	uint32_t headers;	      /* bytes in front of a payload */
	uint32_t burst_left;	      /* frames still to come of a burst */
	uint8_t frame[FRAME_MAX + 8]; /* message bytes are written eight at a time */
};

/* A quantile function through (0, lo), (0.5, p50), (0.99, p99), (1, hi), straight on a log
 * scale. */
static double quantile(double u, double lo, double p50, double p99, double hi)
{
	if (u < 0.5)
		return lo * pow(p50 / lo, u / 0.5);
	if (u < 0.99)
		return p50 * pow(p99 / p50, (u - 0.5) / 0.49);
	return p99 * pow(hi / p99, (u - 0.99) / 0.01);
}

static uint32_t frame_size(struct generator *g)
{
	const struct kbp_generator_profile *p = g->shape;
	uint32_t least = g->headers + MOLD_HEADER + 2 + MESSAGE_SOLE, size;
	double hi = p->size_p99 < 1000 ? 1.3 * p->size_p99 : 1514;

	if (g->opts->frame_bytes)
		return g->opts->frame_bytes;
	size = (uint32_t)lround(
		quantile(kbp_random_unit(&g->random), 64, p->size_p50, p->size_p99, hi));
	return size > least ? size : least;
}

/* When frame number b->n_frames is due. The windows bound how many fall into 10 us, 100 us and 1
 * ms. */
static uint64_t next_at(struct generator *g, const struct kbp_builder *b)
{
	const struct kbp_generator_profile *p = g->shape;
	const uint32_t most[3] = { p->burst_10us, p->burst_100us, p->burst_1ms };
	static const uint64_t window_ns[3] = { 10000, 100000, 1000000 };
	double p50 = 1e3 * p->gap_us_p50, p99 = 1e3 * p->gap_us_p99;
	uint32_t n = b->n_frames;
	uint64_t at;

	if (!n)
		return 0;
	at = b->frames[n - 1].at_ns;
	if (g->burst_left) {
		g->burst_left--;
		at += BURST_GAP_NS;
	} else {
		at += (uint64_t)quantile(kbp_random_unit(&g->random), p50 / 20, p50, p99, 2 * p99);
		if (kbp_random_unit(&g->random) < BURST_SHARE / p->burst_1ms)
			g->burst_left = p->burst_1ms;
	}
	for (unsigned i = 0; i < 3; i++)
		if (n >= most[i] && at < b->frames[n - most[i]].at_ns + window_ns[i])
			at = b->frames[n - most[i]].at_ns + window_ns[i];
	return at;
}

static void store_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* Fill the payload with length-prefixed messages; returns how many. */
static uint32_t messages_write(struct generator *g, uint8_t *p, uint32_t room)
{
	static const char types[] =
		"AAAAAFEECXDDDDUP"; /* ITCH message types, about as often as they come */
	uint32_t count = 0;

	while (room) {
		uint64_t r = kbp_random(&g->random);
		uint32_t len = MESSAGE_MIN + (uint32_t)(r >> 32) % (MESSAGE_MAX - MESSAGE_MIN + 1);

		/* the last one takes what is left, unless two fit */
		if (room < 2 + len + 2 + MESSAGE_MIN)
			len = room - 2;
		kbp_store_be16(p, len);
		for (uint32_t i = 0; i < len; i += 8)
			store_be64(p + 2 + i, kbp_random(&g->random));
		p[2] = (uint8_t)types[r % (sizeof(types) - 1)];
		p += 2 + len;
		room -= 2 + len;
		count++;
	}
	return count;
}

static int frame_add(struct generator *g, struct kbp_builder *b)
{
	struct session *s = &g->sessions[kbp_random(&g->random) % g->n_sessions];
	uint32_t size = frame_size(g), payload_len = size - g->headers, count;
	uint8_t *mold = g->frame + g->headers;
	struct kbp_udp_layout l;
	char name[11];

	snprintf(name, sizeof(name), "KBP%07u", s->index + 1);
	memcpy(mold, name, 10);
	store_be64(mold + 10, s->sequence);
	count = messages_write(g, mold + MOLD_HEADER, payload_len - MOLD_HEADER);
	kbp_store_be16(mold + 18, count);
	s->sequence += count;

	kbp_udp_write(g->frame, &s->flow, g->opts->src_mac, s->dst_mac, payload_len);
	l.ipv6 = s->flow.dst.family == AF_INET6;
	l.udp = g->headers - 8;
	l.ip = l.udp - (l.ipv6 ? 40 : 20);
	l.ip_end = size;
	kbp_udp_mend(g->frame, &l);
	return kbp_builder_add(b, g->frame, size, g->headers, payload_len, s->index, next_at(g, b));
}

static int opts_check(const struct kbp_generator_opts *o, const struct kbp_timing *t,
		      struct generator *g, struct kbp_error *err)
{
	const char *step = "read the generator's options", *name = o->profile ? o->profile : "itch";
	uint32_t n = o->n_flows ? o->n_flows : 1, least;

	for (unsigned i = 0; i < KBP_ARRAY_SIZE(profiles); i++)
		if (strcmp(name, profiles[i].name) == 0)
			g->shape = &profiles[i];
	if (!g->shape)
		return kbp_fail(err, -EINVAL, step,
				"no feed is called \"%s\": take itch, cme, edgx, pitch or line70",
				name);
	if (o->flow.dst.family != AF_INET && o->flow.dst.family != AF_INET6)
		return kbp_fail(err, -EINVAL, step, "there is no destination address: set flow.dst");
	if (o->flow.src.family != o->flow.dst.family)
		return kbp_fail(err, -EINVAL, step,
				"source and destination address are of different families: "
				"set flow.src to an address of the sending interface");
	if (!o->flow.dst_port || n > KBP_FLOWS_MAX || o->flow.dst_port + n - 1 > 65535)
		return kbp_fail(
			err, -EINVAL, step,
			"ports %u to %u are no UDP ports: lower the port or the number of flows",
			o->flow.dst_port, o->flow.dst_port + n - 1);
	if (o->flow.vlan > 4094)
		return kbp_fail(err, -EINVAL, step, "VLAN %u: give 1 to 4094, or 0 for no tag",
				o->flow.vlan);
	if (t->seconds <= 0 && !t->frames)
		return kbp_fail(err, -EINVAL, step,
				"a feed without end: say for how many seconds or frames");
	g->headers =
		14u + (o->flow.vlan ? 4u : 0u) + (o->flow.dst.family == AF_INET6 ? 40u : 20u) + 8u;
	least = g->headers + MOLD_HEADER + 2 + 1;
	if (o->frame_bytes && (o->frame_bytes < least || o->frame_bytes > FRAME_MAX))
		return kbp_fail(err, -EINVAL, step,
				"frames of %u bytes: give %u to %u (headers and one message need %u)",
				o->frame_bytes, least, FRAME_MAX, least);
	g->n_sessions = n;
	return 0;
}

/* Group k is the first one's address plus k; false when the addresses run out of multicast. */
static bool group_next(struct kbp_addr *a)
{
	for (int i = a->family == AF_INET ? 3 : 15; i > 0; i--)
		if (++a->bytes[i])
			return true;
	return a->family == AF_INET && (++a->bytes[0] & 0xf0) == 0xe0;
}

static int sessions_init(struct generator *g, struct kbp_builder *b, struct kbp_error *err)
{
	struct kbp_flow flow = g->opts->flow;
	bool multicast = kbp_addr_is_multicast(&flow.dst);

	g->sessions = calloc(g->n_sessions, sizeof(*g->sessions));
	if (!g->sessions)
		return kbp_fail(err, -ENOMEM, "generate frames", "no memory for %u flows",
				g->n_sessions);
	for (uint32_t i = 0; i < g->n_sessions; i++) {
		struct session *s = &g->sessions[i];
		int index = kbp_builder_flow(b, &flow.dst, flow.dst_port, flow.vlan);

		if (index < 0)
			return kbp_fail(err, index, "generate frames", "no memory for %u flows",
					g->n_sessions);
		s->flow = flow;
		s->index = (uint32_t)index;
		s->sequence = 1;
		if (multicast)
			kbp_group_mac(&flow.dst, s->dst_mac);
		else
			memcpy(s->dst_mac, g->opts->dst_mac, 6);
		flow.dst_port++;
		if (multicast && !group_next(&flow.dst) && i + 1 < g->n_sessions)
			return kbp_fail(
				err, -EINVAL, "generate frames",
				"%u groups from this address on leave the multicast range: start lower",
				g->n_sessions);
	}
	return 0;
}

/* How many frames to make: all that the timing asks for, or, when it counts by profile time, until
 * then. */
static int frames_make(struct generator *g, struct kbp_builder *b, const struct kbp_timing *t,
		       struct kbp_error *err)
{
	uint64_t want = UINT64_MAX, gap_max = kbp_timing_gap(t), before = 0, at;
	double end_ns = INFINITY, silence = 0; /* what is cut out of the profile's times */
	int rc;

	if (t->rate_pps || t->seconds <= 0)
		want = kbp_timing_frames(t, 0);
	else
		end_ns = t->seconds * 1e9 * (t->speed > 0 ? t->speed : 1);
	if (t->frames && want > t->frames)
		want = t->frames;
	while (b->n_frames < want &&
	       (!b->n_frames || (double)b->frames[b->n_frames - 1].at_ns - silence < end_ns)) {
		if (b->n_bytes >= GENERATED_BYTES_MAX || b->n_frames == UINT32_MAX) {
			b->loop = true;
			break;
		}
		rc = frame_add(g, b);
		if (rc)
			return kbp_fail(err, rc, "generate frames",
					"no memory after %u frames: shorten the run", b->n_frames);
		at = b->frames[b->n_frames - 1].at_ns;
		if (at - before > gap_max)
			silence += (double)(at - before - gap_max);
		before = at;
	}
	return 0;
}

int kbp_schedule_generate(const struct kbp_generator_opts *opts, const struct kbp_timing *timing,
			  struct kbp_schedule **s, struct kbp_error *err)
{
	struct kbp_builder b = { 0 };
	struct generator *g;
	int rc;

	*s = NULL;
	if (opts->size != sizeof(*opts))
		return kbp_fail(
			err, -EINVAL, "read the generator's options",
			"opts->size is not sizeof(struct kbp_generator_opts): set it, or rebuild the program");
	rc = kbp_timing_check(timing, err);
	if (!rc && timing->loops)
		rc = kbp_fail(
			err, -EINVAL, "read the timing",
			"%u loops: a feed is made as long as it is asked for; captures are looped",
			timing->loops);
	if (rc)
		return rc;
	g = calloc(1, sizeof(*g));
	if (!g)
		return kbp_fail(err, -ENOMEM, "generate frames", "no memory");
	g->opts = opts;
	g->random = opts->seed;
	rc = opts_check(opts, timing, g, err);
	if (!rc)
		rc = sessions_init(g, &b, err);
	if (!rc)
		rc = frames_make(g, &b, timing, err);
	if (!rc)
		rc = kbp_builder_finish(&b, timing, s, err);
	kbp_builder_free(&b);
	free(g->sessions);
	free(g);
	return rc;
}
