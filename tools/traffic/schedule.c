/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <math.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"

#define NS_PER_S 1000000000u
#define WITHIN_NS 10000u
#define RATE_MAX 1000000000u /* one a nanosecond */
#define SECONDS_MAX 1e7
#define TIMES_MAX (1ull << 28)	 /* 2 GiB of due times */
#define BUILDER_SLOTS (1u << 17) /* at most half full with KBP_FLOWS_MAX */
#define ALIGN64(x) (((x) + 63u) & ~(size_t)63u)

/* ---------------------------------------------------------------- flows */

static uint32_t flow_hash(const struct kbp_addr *dst, uint16_t dst_port)
{
	return (uint32_t)XXH3_64bits_withSeed(dst->bytes, sizeof(dst->bytes), dst_port);
}

static bool flow_is(const struct kbp_flow *f, const struct kbp_addr *dst, uint16_t dst_port)
{
	return f->dst_port == dst_port && f->dst.family == dst->family &&
	       memcmp(f->dst.bytes, dst->bytes, sizeof(dst->bytes)) == 0;
}

static void slots_fill(uint32_t *slots, uint32_t mask, const struct kbp_flow *flows, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = flow_hash(&flows[i].dst, flows[i].dst_port) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
}

int kbp_schedule_flow(const struct kbp_schedule *s, const struct kbp_datagram *d)
{
	uint32_t at = flow_hash(&d->dst, d->dst_port) & s->flow_mask;

	for (; s->flow_slots[at]; at = (at + 1) & s->flow_mask) {
		const struct kbp_flow *f = &s->flows[s->flow_slots[at] - 1];

		if (flow_is(f, &d->dst, d->dst_port) && (f->vlan == d->vlan || !d->vlan))
			return (int)s->flow_slots[at] - 1;
	}
	return -1;
}

/* ---------------------------------------------------------------- timing */

/* Times that came with the frames. */
static bool as_recorded(const struct kbp_timing *t)
{
	return t->kind == KBP_TIMING_RECORDED || t->kind == KBP_TIMING_BURSTS;
}

int kbp_timing_check(const struct kbp_timing *t, struct kbp_error *err)
{
	const char *step = "read the timing";

	if (t->kind != KBP_TIMING_CONSTANT && t->kind != KBP_TIMING_POISSON && !as_recorded(t))
		return kbp_fail(err, -EINVAL, step,
				"%d is no kind of timing: take recorded, bursts, constant or Poisson",
				(int)t->kind);
	if (t->kind == KBP_TIMING_BURSTS && (t->rate_pps || t->speed > 0))
		return kbp_fail(err, -EINVAL, step,
				"bursts keep their recorded times: a %s cannot be had with them",
				t->rate_pps ? "rate" : "speed");
	if (t->gap_ns && (t->kind != KBP_TIMING_BURSTS || t->gap_ns >= KBP_AT_NS_MAX))
		return kbp_fail(err, -EINVAL, step, "a gap of %llu ns: %s",
				(unsigned long long)t->gap_ns,
				t->kind == KBP_TIMING_BURSTS ? "give a shorter one" :
							       "only bursts are that far apart");
	if (t->rate_pps > RATE_MAX || (!as_recorded(t) && !t->rate_pps))
		return kbp_fail(
			err, -EINVAL, step,
			"a rate of %llu packets per second cannot be sent: give one from 1 to %u",
			(unsigned long long)t->rate_pps, RATE_MAX);
	if (!isfinite(t->seconds) || t->seconds < 0 || t->seconds > SECONDS_MAX)
		return kbp_fail(err, -EINVAL, step,
				"%g seconds: give a duration from 0 (no limit) to %g", t->seconds,
				SECONDS_MAX);
	if (!isfinite(t->speed) || t->speed < 0)
		return kbp_fail(err, -EINVAL, step,
				"a speed of %g: give a positive factor, 2 being twice as fast",
				t->speed);
	if (t->speed > 0 && (t->rate_pps || !as_recorded(t)))
		return kbp_fail(err, -EINVAL, step,
				"a speed and a rate contradict each other: give one of them");
	return 0;
}

uint64_t kbp_timing_frames(const struct kbp_timing *t, uint64_t once)
{
	uint64_t n = once * (t->loops ? t->loops : 1u), in_time;

	if (t->seconds > 0) {
		in_time = (uint64_t)(t->seconds * (double)t->rate_pps);
		n = t->loops && n < in_time ? n : in_time;
	} else if (t->frames && !t->loops) {
		n = t->frames;
	}
	if (t->frames && n > t->frames)
		n = t->frames;
	return n ? n : 1;
}

uint32_t kbp_schedule_at(const struct kbp_schedule *s, uint64_t i, uint64_t *at_ns)
{
	uint32_t index = (uint32_t)(i % s->n_frames);
	uint64_t rate = s->timing.rate_pps;

	if (s->times)
		*at_ns = s->times[i];
	else if (s->timing.kind == KBP_TIMING_CONSTANT)
		*at_ns = i / rate * NS_PER_S + i % rate * NS_PER_S / rate;
	else
		*at_ns = i / s->n_frames * s->period_ns + s->frames[index].at_ns;
	return index;
}

void kbp_schedule_bursts(const struct kbp_schedule *s, uint64_t gap_ns, struct kbp_bursts *b)
{
	uint64_t last = 0, frames = 0, first = 0, at, first_at;

	memset(b, 0, sizeof(*b));
	b->gap_ns = gap_ns ? gap_ns : KBP_BURST_GAP_NS;
	for (uint64_t i = 0; i < s->n_total; i++) {
		kbp_schedule_at(s, i, &at);
		if (!i || at - last >= b->gap_ns) {
			b->bursts++;
			frames = 0;
		}
		last = at;
		if (++frames > b->longest)
			b->longest = frames;
		while (kbp_schedule_at(s, first, &first_at), at - first_at >= WITHIN_NS)
			first++;
		if (i - first + 1 > b->within_10us)
			b->within_10us = i - first + 1;
	}
}

static uint64_t scaled(uint64_t at_ns, double factor)
{
	double at = (double)at_ns * factor;

	return at < (double)KBP_AT_NS_MAX ? (uint64_t)at : KBP_AT_NS_MAX;
}

/* RECORDED: of frames whose times are settled, how many fall into the time, loops and number asked for. */
static uint64_t recorded_count(const struct kbp_builder *b, const struct kbp_timing *t,
			       uint64_t period_ns)
{
	uint64_t most = (uint64_t)b->n_frames * (t->loops ? t->loops : 1u), total = most, end,
		 whole = 0, n = 0;

	if (t->seconds > 0) {
		end = (uint64_t)(t->seconds * 1e9);
		if (b->loop || t->loops)
			whole = end / period_ns;
		end -= whole * period_ns;
		while (n < b->n_frames && b->frames[n].at_ns < end)
			n++;
		total = whole * b->n_frames + n;
		if (!b->loop && total > most)
			total = most;
		if (!total)
			total = 1; /* the first frame's time is 0: it fits into any duration */
	} else if (b->loop && t->frames) {
		total = t->frames;
	}
	return t->frames && total > t->frames ? t->frames : total;
}

uint64_t kbp_timing_gap(const struct kbp_timing *t)
{
	if (t->kind != KBP_TIMING_BURSTS)
		return UINT64_MAX;
	return t->gap_ns ? t->gap_ns : KBP_BURST_GAP_NS;
}

/* BURSTS: the time between two frames is the recorded one, but for silences. */
static void silences_shorten(struct kbp_builder *b, uint64_t most_ns)
{
	uint64_t before = b->frames[0].at_ns;

	for (uint32_t i = 1; i < b->n_frames; i++) {
		uint64_t at = b->frames[i].at_ns, gap = at - before;

		b->frames[i].at_ns = b->frames[i - 1].at_ns + (gap < most_ns ? gap : most_ns);
		before = at;
	}
}

/* RECORDED: apply speed or average rate to the frames, and count those that are to be sent. */
static int recorded_fit(struct kbp_builder *b, const struct kbp_timing *t, uint64_t *period_ns,
			uint64_t *n_total, struct kbp_error *err)
{
	uint64_t span = b->frames[b->n_frames - 1].at_ns;
	double factor = t->speed > 0 ? 1 / t->speed : 1;

	if (t->rate_pps && b->n_frames > 1) {
		if (!span)
			return kbp_fail(err, -EINVAL, "scale the recorded times to a rate",
					"all %u frames have the same time: ask for constant timing",
					b->n_frames);
		factor = (double)(b->n_frames - 1) * 1e9 / (double)t->rate_pps / (double)span;
	}
	if (factor != 1)
		for (uint32_t i = 0; i < b->n_frames; i++)
			b->frames[i].at_ns = scaled(b->frames[i].at_ns, factor);
	if (t->kind == KBP_TIMING_BURSTS) {
		silences_shorten(b, kbp_timing_gap(t));
		b->loop = b->loop || (t->seconds > 0 && !t->loops);
	}
	span = b->frames[b->n_frames - 1].at_ns;
	*period_ns = span + (b->n_frames > 1 ? span / (b->n_frames - 1) : NS_PER_S);
	if (t->kind == KBP_TIMING_BURSTS) /* the next loop begins with a burst of its own */
		*period_ns = span + kbp_timing_gap(t);
	if (!*period_ns)
		*period_ns = 1;
	*n_total = recorded_count(b, t, *period_ns);
	return 0;
}

static void poisson_fill(uint64_t *times, uint64_t n, const struct kbp_timing *t)
{
	uint64_t seed = t->seed ^ 0x706f6973736f6e00u;
	double mean_ns = 1e9 / (double)t->rate_pps, at = 0;

	for (uint64_t i = 0; i < n; i++) {
		times[i] = (uint64_t)at;
		at += -log1p(-kbp_random_unit(&seed)) * mean_ns;
	}
}

/* ---------------------------------------------------------------- builder */

/* Room for `need` elements in the array at *p. */
static int grow(void *p, size_t *room, size_t need, size_t element)
{
	size_t n = *room ? *room : 1024;
	void *old, *new;

	if (need <= *room)
		return 0;
	while (n < need)
		n += n / 2;
	memcpy(&old, p, sizeof(old));
	new = reallocarray(old, n, element);
	if (!new)
		return -ENOMEM;
	memcpy(p, &new, sizeof(new));
	*room = n;
	return 0;
}

int kbp_builder_flow(struct kbp_builder *b, const struct kbp_addr *dst, uint16_t dst_port,
		     uint16_t vlan)
{
	const uint32_t mask = BUILDER_SLOTS - 1;
	uint32_t at = flow_hash(dst, dst_port) & mask;
	struct kbp_flow *f;

	if (!b->slots)
		b->slots = calloc(BUILDER_SLOTS, sizeof(*b->slots));
	if (!b->slots)
		return -ENOMEM;
	for (; b->slots[at]; at = (at + 1) & mask) {
		f = &b->flows[b->slots[at] - 1];
		if (flow_is(f, dst, dst_port) && f->vlan == vlan)
			return (int)b->slots[at] - 1;
	}
	if (b->n_flows == KBP_FLOWS_MAX)
		return -E2BIG;
	if (grow(&b->flows, &b->flows_room, b->n_flows + 1u, sizeof(*b->flows)))
		return -ENOMEM;
	f = &b->flows[b->n_flows++];
	memset(f, 0, sizeof(*f));
	f->dst = *dst;
	f->dst_port = dst_port;
	f->vlan = vlan;
	f->proto = IPPROTO_UDP;
	b->slots[at] = b->n_flows;
	return (int)b->n_flows - 1;
}

int kbp_builder_add(struct kbp_builder *b, const uint8_t *frame, uint32_t len,
		    uint32_t payload_offset, uint32_t payload_len, uint32_t flow, uint64_t at_ns)
{
	struct kbp_schedule_frame *f;
	uint32_t mtu;

	if (b->n_frames == UINT32_MAX || payload_offset > UINT16_MAX)
		return -E2BIG;
	if (grow(&b->frames, &b->frames_room, b->n_frames + 1ull, sizeof(*b->frames)) ||
	    grow(&b->bytes, &b->bytes_room, b->n_bytes + len, 1))
		return -ENOMEM;
	memcpy(b->bytes + b->n_bytes, frame, len);
	f = &b->frames[b->n_frames++];
	memset(f, 0, sizeof(*f));
	f->at_ns = at_ns < KBP_AT_NS_MAX ? at_ns : KBP_AT_NS_MAX;
	f->offset = b->n_bytes;
	f->len = len;
	f->payload_len = payload_len;
	f->payload_offset = (uint16_t)payload_offset;
	f->payload_hash = kbp_payload_hash(frame + payload_offset, payload_len);
	f->flow = (uint16_t)flow;
	b->n_bytes += len;
	if (len > b->len_max)
		b->len_max = len;
	/* one 802.1Q tag comes on top of the MTU (packet_extra_vlan_len_allowed,
	 * net/packet/af_packet.c) */
	mtu = len - ETHER_HDR_LEN - (frame[12] == 0x81 && frame[13] == 0x00 ? 4 : 0);
	if (mtu > b->mtu_min)
		b->mtu_min = mtu;
	return 0;
}

void kbp_builder_free(struct kbp_builder *b)
{
	free(b->frames);
	free(b->flows);
	free(b->bytes);
	free(b->slots);
	memset(b, 0, sizeof(*b));
}

/* One mapping: the schedule itself, then its arrays, each on its own cache line. */
static struct kbp_schedule *map_all(const struct kbp_builder *b, uint64_t n_times, uint32_t n_slots)
{
	size_t frames_at = ALIGN64(sizeof(struct kbp_schedule));
	size_t flows_at = ALIGN64(frames_at + b->n_frames * sizeof(*b->frames));
	size_t slots_at = ALIGN64(flows_at + b->n_flows * sizeof(*b->flows));
	size_t times_at = ALIGN64(slots_at + n_slots * sizeof(uint32_t));
	size_t bytes_at = ALIGN64(times_at + n_times * sizeof(uint64_t));
	size_t len = bytes_at + b->n_bytes;
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kbp_schedule *s = (struct kbp_schedule *)(void *)p;

	if (p == MAP_FAILED)
		return NULL;
	memcpy(p + frames_at, b->frames, b->n_frames * sizeof(*b->frames));
	memcpy(p + flows_at, b->flows, b->n_flows * sizeof(*b->flows));
	memcpy(p + bytes_at, b->bytes, b->n_bytes);
	s->frames = (const struct kbp_schedule_frame *)(void *)(p + frames_at);
	s->flows = (const struct kbp_flow *)(void *)(p + flows_at);
	s->flow_slots = (const uint32_t *)(void *)(p + slots_at);
	s->times = n_times ? (const uint64_t *)(void *)(p + times_at) : NULL;
	s->bytes = p + bytes_at;
	s->map_len = len;
	s->flow_mask = n_slots - 1;
	slots_fill((uint32_t *)(void *)(p + slots_at), s->flow_mask, s->flows, b->n_flows);
	return s;
}

/* Times beyond KBP_AT_NS_MAX would overflow. */
static int length_check(const struct kbp_timing *t, uint64_t n_total, uint32_t n_frames,
			uint64_t period_ns, struct kbp_error *err)
{
	double ns = as_recorded(t) ? (double)n_total / n_frames * (double)period_ns :
				     (double)n_total * 1e9 / (double)t->rate_pps;

	if (ns < (double)KBP_AT_NS_MAX)
		return 0;
	return kbp_fail(err, -EINVAL, "lay out the schedule",
			"%llu frames would take %.3g years: ask for fewer loops or more speed",
			(unsigned long long)n_total, ns / 1e9 / 3600 / 24 / 365);
}

int kbp_builder_finish(struct kbp_builder *b, const struct kbp_timing *t, struct kbp_schedule **out,
		       struct kbp_error *err)
{
	uint64_t period_ns = 0, n_total = 0, n_times = 0;
	uint32_t n_slots = 4;
	struct kbp_schedule *s;
	int rc = 0;

	if (as_recorded(t))
		rc = recorded_fit(b, t, &period_ns, &n_total, err);
	else
		n_total = kbp_timing_frames(t, b->n_frames);
	if (!rc && t->loops)
		rc = length_check(t, n_total, b->n_frames, period_ns, err);
	if (!rc && t->kind == KBP_TIMING_POISSON) {
		n_times = n_total;
		if (n_times > TIMES_MAX)
			rc = kbp_fail(
				err, -E2BIG, "lay out the schedule",
				"%llu frames with Poisson gaps: at most %llu; shorten the run or lower the rate",
				(unsigned long long)n_total, TIMES_MAX);
	}
	if (rc)
		goto out;
	while (n_slots < 2 * b->n_flows)
		n_slots *= 2;
	s = map_all(b, n_times, n_slots);
	if (!s) {
		rc = kbp_fail(
			err, -ENOMEM, "lay out the schedule",
			"no memory for %llu bytes of frames: shorten the run or use a smaller capture",
			(unsigned long long)b->n_bytes);
		goto out;
	}
	if (n_times) /* still writable here; read-only from the mprotect on */
		poisson_fill((uint64_t *)(uintptr_t)s->times, n_times, t);
	s->n_total = n_total;
	s->n_bytes = b->n_bytes;
	s->period_ns = period_ns;
	s->timing = *t;
	s->n_frames = b->n_frames;
	s->n_flows = b->n_flows;
	s->len_max = b->len_max;
	s->mtu_min = b->mtu_min;
	mprotect(s, s->map_len, PROT_READ);
	*out = s;
out:
	kbp_builder_free(b);
	return rc;
}

void kbp_schedule_close(struct kbp_schedule *s)
{
	if (s)
		munmap(s, s->map_len);
}
