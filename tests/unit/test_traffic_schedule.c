/* SPDX-License-Identifier: BSD-2-Clause */
/* The generator, the timing modes, looping and the digest. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <kbypass/traffic.h>

#include "capture_craft.h"
#include "tools/traffic/schedule.h"

static struct kbp_generator_opts gen;
static struct kbp_timing timing;
static struct kbp_error err;

static int setup(void **state)
{
	(void)state;
	memset(&gen, 0, sizeof(gen));
	memset(&timing, 0, sizeof(timing));
	memset(&err, 0, sizeof(err));
	gen.size = sizeof(gen);
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	gen.flow.dst_port = 5000;
	gen.flow.src_port = 6000;
	memcpy(gen.src_mac, "\x02\x00\x00\x00\x00\x01", 6);
	memcpy(gen.dst_mac, "\x02\x00\x00\x00\x00\x02", 6);
	gen.seed = 1;
	timing.frames = 1000;
	return 0;
}

static struct kbp_schedule *generate(void)
{
	struct kbp_schedule *s;

	if (kbp_schedule_generate(&gen, &timing, &s, &err))
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void refused(const char *says)
{
	struct kbp_schedule *s = (void *)&gen;

	assert_int_equal(kbp_schedule_generate(&gen, &timing, &s, &err), -EINVAL);
	assert_null(s);
	if (!strstr(err.hint, says))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, says);
}

static const uint8_t *frame_of(const struct kbp_schedule *s, uint32_t i)
{
	return s->bytes + s->frames[i].offset;
}

static uint64_t be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* ---------------------------------------------------------------- generator */

static void the_same_seed_gives_the_same_schedule(void **state)
{
	struct kbp_schedule *a, *b;

	(void)state;
	a = generate();
	b = generate();
	assert_int_equal(a->n_frames, 1000);
	assert_int_equal(a->n_bytes, b->n_bytes);
	assert_memory_equal(a->frames, b->frames, a->n_frames * sizeof(*a->frames));
	assert_memory_equal(a->bytes, b->bytes, a->n_bytes);
	kbp_schedule_close(b);
	gen.seed = 2;
	b = generate();
	assert_true(a->n_bytes != b->n_bytes || memcmp(a->bytes, b->bytes, a->n_bytes));
	kbp_schedule_close(a);
	kbp_schedule_close(b);
}

/* Walk the messages of a MoldUDP64 payload; returns how many there are, and fails when they do not
 * fill it. */
static uint64_t messages_count(const uint8_t *p, uint32_t len)
{
	uint32_t at = 20;
	uint64_t n = 0;

	for (; at < len; n++) {
		assert_true(at + 2 < len);
		assert_true(be(p + at, 2) > 0);
		at += 2 + (uint32_t)be(p + at, 2);
	}
	assert_int_equal(at, len);
	return n;
}

static void frames_are_whole_and_right(const struct kbp_schedule *s)
{
	uint64_t next[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	for (uint32_t i = 0; i < s->n_frames; i++) {
		const struct kbp_schedule_frame *f = &s->frames[i];
		const uint8_t *p = frame_of(s, i) + f->payload_offset;
		struct kbp_datagram d;

		assert_int_equal(kbp_datagram_parse(frame_of(s, i), f->len, false, &d), KBP_PARSE_OK);
		assert_ptr_equal(d.payload, p);
		assert_int_equal(d.len, f->payload_len);
		assert_int_equal(d.src_port, 6000);
		assert_int_equal(kbp_schedule_flow(s, &d), f->flow);
		assert_true(craft_sums_right(frame_of(s, i)));
		assert_int_equal(f->payload_hash, kbp_payload_hash(p, f->payload_len));
		assert_memory_equal(p, "KBP", 3);
		assert_int_equal(be(p + 10, 8), next[f->flow]);
		assert_int_equal(be(p + 18, 2), messages_count(p, f->payload_len));
		next[f->flow] += be(p + 18, 2);
	}
}

static void frames_are_valid_moldudp64_in_right_checksums(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	gen.n_flows = 8;
	s = generate();
	assert_int_equal(s->n_flows, 8);
	assert_int_equal(s->flows[7].dst_port, 5007);
	assert_int_equal(s->flows[7].dst.bytes[3], 8);
	frames_are_whole_and_right(s);
	assert_memory_equal(frame_of(s, 0) + 6, gen.src_mac, 6);
	assert_memory_equal(frame_of(s, 0), "\x01\x00\x5e\x01\x01", 5);
	kbp_schedule_close(s);
}

static void ipv6_and_vlan_frames_are_valid_too(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	gen.flow.dst = (struct kbp_addr){ AF_INET6, { 0xff, 0x3e, [15] = 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET6, { 0x20, 0x01, 0x0d, 0xb8 } };
	gen.flow.vlan = 12;
	s = generate();
	frames_are_whole_and_right(s);
	assert_int_equal(s->flows[0].vlan, 12);
	assert_memory_equal(frame_of(s, 0), "\x33\x33\x00\x00\x00\x01", 6);
	kbp_schedule_close(s);
}

static void unicast_flows_share_the_address_and_the_mac(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 10, 0, 0, 2 } };
	gen.n_flows = 3;
	s = generate();
	assert_int_equal(s->n_flows, 3);
	assert_int_equal(s->flows[2].dst.bytes[3], 2);
	assert_int_equal(s->flows[2].dst_port, 5002);
	assert_memory_equal(frame_of(s, 0), gen.dst_mac, 6);
	kbp_schedule_close(s);
}

static void constant_size_is_kept(void **state)
{
	static const uint32_t sizes[] = { 65, 66, 97, 128, 1514 };
	struct kbp_schedule *s;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		gen.frame_bytes = sizes[i];
		s = generate();
		for (uint32_t k = 0; k < s->n_frames; k++)
			assert_int_equal(s->frames[k].len, sizes[i]);
		frames_are_whole_and_right(s);
		kbp_schedule_close(s);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x < y ? -1 : x > y;
}

static uint32_t most_within(const struct kbp_schedule *s, uint64_t window_ns)
{
	uint32_t most = 0, first = 0;

	for (uint32_t i = 0; i < s->n_frames; i++) {
		while (s->frames[i].at_ns - s->frames[first].at_ns >= window_ns)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

static void within(double value, double wanted, double share)
{
	if (fabs(value - wanted) > share * wanted)
		fail_msg("%g is not within %g %% of %g", value, 100 * share, wanted);
}

static void profiles_have_the_shape_they_were_measured_with(void **state)
{
	const struct kbp_generator_profile *p;

	(void)state;
	timing.frames = 60000;
	for (unsigned i = 0; (p = kbp_generator_profile(i)); i++) {
		uint64_t *v = calloc(timing.frames, sizeof(*v));
		struct kbp_schedule *s;
		uint32_t n;

		gen.profile = p->name;
		s = generate();
		n = s->n_frames;
		for (uint32_t k = 0; k < n; k++)
			v[k] = s->frames[k].len;
		qsort(v, n, sizeof(*v), by_value);
		within((double)v[n / 2], p->size_p50, 0.03);
		within((double)v[n / 100 * 99], p->size_p99, 0.1);
		for (uint32_t k = 0; k + 1 < n; k++)
			v[k] = s->frames[k + 1].at_ns - s->frames[k].at_ns;
		qsort(v, n - 1, sizeof(*v), by_value);
		within((double)v[n / 2], 1e3 * p->gap_us_p50, 0.3);
		within((double)v[n / 100 * 99], 1e3 * p->gap_us_p99, 0.15);
		assert_int_equal(most_within(s, 10000), p->burst_10us);
		assert_int_equal(most_within(s, 100000), p->burst_100us);
		assert_int_equal(most_within(s, 1000000), p->burst_1ms);
		kbp_schedule_close(s);
		free(v);
	}
	assert_int_equal(timing.frames, 60000);
}

static void options_without_sense_are_refused_by_name(void **state)
{
	(void)state;
	gen.profile = "nyse";
	refused("nyse");
	setup(NULL);
	gen.frame_bytes = 64;
	refused("64");
	setup(NULL);
	gen.n_flows = 65535;
	refused("ports");
	setup(NULL);
	gen.flow.dst.family = 0;
	refused("destination");
	setup(NULL);
	gen.flow.src.family = AF_INET6;
	refused("families");
	setup(NULL);
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 255, 255, 254 } };
	gen.n_flows = 3;
	refused("multicast");
	setup(NULL);
	timing.frames = 0;
	refused("without end");
	setup(NULL);
	gen.size = 8;
	refused("size");
}

/* ---------------------------------------------------------------- timing */

static void timings_without_sense_are_refused_by_name(void **state)
{
	(void)state;
	timing.kind = KBP_TIMING_CONSTANT;
	refused("0 packets per second");
	timing.rate_pps = 2000000000;
	refused("2000000000");
	timing.rate_pps = 1000;
	timing.seconds = NAN;
	refused("seconds");
	timing.seconds = 1;
	timing.speed = 2;
	refused("contradict");
	timing.kind = KBP_TIMING_RECORDED;
	timing.rate_pps = 0;
	timing.speed = -1;
	refused("speed");
	timing.kind = (enum kbp_timing_kind)9;
	refused("kind");
}

static void constant_timing_is_exact_and_does_not_drift(void **state)
{
	struct kbp_schedule *s;
	uint64_t at;

	(void)state;
	timing.kind = KBP_TIMING_CONSTANT;
	timing.rate_pps = 30000;
	timing.frames = 0;
	timing.seconds = 1;
	s = generate();
	assert_int_equal(s->n_total, 30000);
	kbp_schedule_at(s, 1, &at);
	assert_int_equal(at, 33333);
	kbp_schedule_at(s, 29999, &at);
	assert_int_equal(at, 999966666);
	kbp_schedule_close(s);
}

/* Three datagrams, at 0, 1 and 3 ms. */
static struct kbp_schedule *three(void)
{
	static struct craft c;
	static const uint32_t at_us[] = { 0, 1000, 3000 };
	struct kbp_capture_opts opts = { .size = sizeof(opts) };
	struct kbp_schedule *s;
	uint8_t frame[128];
	char path[64];
	int fd, rc;

	memset(&c, 0, sizeof(c));
	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t n = craft_frame(frame, CRAFT_GROUP, (uint16_t)(5000 + i % 2), &"abc"[i], 1);

		craft_record(&c, 1, at_us[i], frame, n, n);
	}
	fd = craft_path(&c, path);
	rc = kbp_schedule_from_capture(path, &opts, &timing, &s, NULL, &err);
	close(fd);
	if (rc)
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void plays(struct kbp_schedule *s, uint64_t n, const uint64_t *at_us)
{
	assert_int_equal(s->n_total, n);
	assert_int_equal(s->n_frames, 3);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at_ns;

		assert_int_equal(kbp_schedule_at(s, i, &at_ns), i % 3);
		assert_int_equal(at_ns / 1000, at_us[i]);
	}
	kbp_schedule_close(s);
}

static void a_capture_at_a_constant_rate_is_looped_without_copies(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000, .seconds = 0.007 };
	plays(three(), 7, (const uint64_t[]){ 0, 1000, 2000, 3000, 4000, 5000, 6000 });
}

static void a_capture_at_a_constant_rate_without_limit_is_played_once(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000 };
	plays(three(), 3, (const uint64_t[]){ 0, 1000, 2000 });
}

static void recorded_timing_is_played_once(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .seconds = 100 };
	plays(three(), 3, (const uint64_t[]){ 0, 1000, 3000 });
}

static void recorded_timing_ends_when_told_to(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .seconds = 0.002 };
	plays(three(), 2, (const uint64_t[]){ 0, 1000 });
	timing = (struct kbp_timing){ .frames = 1 };
	plays(three(), 1, (const uint64_t[]){ 0 });
}

static void recorded_timing_is_scaled_by_speed_or_to_a_rate(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .speed = 0.5 };
	plays(three(), 3, (const uint64_t[]){ 0, 2000, 6000 });
	timing = (struct kbp_timing){ .rate_pps = 500 };
	plays(three(), 3, (const uint64_t[]){ 0, 1333, 4000 });
}

static void generated_times_repeat_where_the_frames_do(void **state)
{
	struct kbp_addr dst = { AF_INET, { 239, 1, 1, 1 } };
	struct kbp_builder b = { .loop = true };
	struct kbp_schedule *s;

	(void)state;
	timing = (struct kbp_timing){ .seconds = 0.0065 };
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(
			kbp_builder_add(&b, (const uint8_t *)"twelve bytes and more", 21, 14, 7,
					(uint32_t)kbp_builder_flow(&b, &dst, 5000, 0), i * 1000000),
			0);
	assert_int_equal(kbp_builder_finish(&b, &timing, &s, &err), 0);
	plays(s, 7, (const uint64_t[]){ 0, 1000, 2000, 3000, 4000, 5000, 6000 });
}

static void the_shortest_duration_holds_the_first_frame(void **state)
{
	(void)state;
	timing = (struct kbp_timing){ .seconds = 1e-12 };
	plays(three(), 1, (const uint64_t[]){ 0 });
}

static void poisson_gaps_are_seeded_monotone_and_right_on_average(void **state)
{
	struct kbp_schedule *a, *b;
	uint64_t last = 0, at, small = 0;

	(void)state;
	timing = (struct kbp_timing){ .kind = KBP_TIMING_POISSON,
				      .rate_pps = 50000,
				      .seconds = 2,
				      .seed = 3 };
	a = three();
	b = three();
	assert_int_equal(a->n_total, 100000);
	assert_memory_equal(a->times, b->times, 100000 * sizeof(*a->times));
	for (uint64_t i = 0; i < a->n_total; i++) {
		assert_int_equal(kbp_schedule_at(a, i, &at), i % 3);
		assert_true(at >= last);
		small += i && at - last < 20000;
		last = at;
	}
	within((double)last / 99999, 20000, 0.01);
	within((double)small / 99999, 1 - exp(-1), 0.01); /* of exponential gaps, below their
							   * mean */
	kbp_schedule_close(b);
	timing.seed = 4;
	b = three();
	assert_memory_not_equal(a->times, b->times, 100000 * sizeof(*a->times));
	kbp_schedule_close(a);
	kbp_schedule_close(b);
}

static void forked_children_see_the_schedule_and_cannot_change_it(void **state)
{
	struct kbp_schedule *s = generate();
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(kbp_payload_hash(frame_of(s, 5) + s->frames[5].payload_offset,
				       s->frames[5].payload_len) == s->frames[5].payload_hash ?
			      42 :
			      1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 42);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL); /* cmocka catches it */
		*(volatile uint8_t *)(uintptr_t)s->bytes = 0;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) ||
		    WEXITSTATUS(status)); /* sanitizers turn the signal into an exit */
	kbp_schedule_close(s);
}

/* ---------------------------------------------------------------- digest */

static const struct kbp_flow flows[2] = {
	{ .dst = { AF_INET, { 239, 1, 1, 1 } }, .dst_port = 1 },
	{ .dst = { AF_INET, { 239, 1, 1, 1 } }, .dst_port = 2 },
};

/* A digest over items "flow payload", in this order. */
static void digest(const struct kbp_flow *f, const char *items, char hex[17])
{
	struct kbp_digest *d;

	assert_int_equal(kbp_digest_open(f, 2, &d), 0);
	for (; *items; items += 2)
		kbp_digest_add(d, (uint32_t)(items[0] - '0'), kbp_payload_hash(items + 1, 1), 1);
	kbp_digest_hex(d, hex);
	kbp_digest_close(d);
}

static void order_matters_within_a_flow_only(void **state)
{
	char a[17], b[17];

	(void)state;
	digest(flows, "0a1x0b1y", a);
	digest(flows, "1x1y0a0b", b);
	assert_string_equal(a, b);
	digest(flows, "0b1x0a1y", b);
	assert_string_not_equal(a, b);
}

static void losses_repeats_and_strays_change_the_digest(void **state)
{
	char a[17], b[17];

	(void)state;
	digest(flows, "0a1x0b", a);
	digest(flows, "0a1x", b);
	assert_string_not_equal(a, b);
	digest(flows, "0a0a1x0b", b);
	assert_string_not_equal(a, b);
	digest(flows, "0a0x0b", b);
	assert_string_not_equal(a, b);
	digest(flows, "0a1x0c", b);
	assert_string_not_equal(a, b);
}

static void the_order_of_the_flows_does_not_matter(void **state)
{
	const struct kbp_flow turned[2] = { flows[1], flows[0] };
	char a[17], b[17];

	(void)state;
	digest(flows, "0a1x", a);
	digest(turned, "1a0x", b);
	assert_string_equal(a, b);
}

static void a_receiver_that_gets_everything_agrees_with_the_schedule(void **state)
{
	uint64_t *ticks = calloc(2500, sizeof(*ticks));
	char want[17], part[17], got[17];
	struct kbp_schedule *s;
	struct kbp_digest *d;

	(void)state;
	gen.n_flows = 4;
	timing.kind = KBP_TIMING_CONSTANT;
	timing.rate_pps = 1000;
	timing.frames = 2500;
	s = generate();
	assert_int_equal(kbp_digest_open(s->flows, s->n_flows, &d), 0);
	assert_int_equal(kbp_schedule_digest(s, ticks, part), 0);
	kbp_digest_hex(d, got);
	assert_string_equal(part, got); /* nothing sent, nothing received */
	for (uint64_t i = 0; i < s->n_total; i++) {
		uint64_t at;
		uint32_t k = kbp_schedule_at(s, i, &at);
		struct kbp_datagram dg;

		kbp_datagram_parse(frame_of(s, k), s->frames[k].len, false, &dg);
		kbp_digest_add(d, (uint32_t)kbp_schedule_flow(s, &dg),
			       kbp_payload_hash(dg.payload, dg.len), dg.len);
		ticks[i] = i != 77;
	}
	kbp_digest_hex(d, got);
	assert_int_equal(kbp_schedule_digest(s, NULL, want), 0);
	assert_string_equal(want, got);
	assert_int_equal(kbp_schedule_digest(s, ticks, part), 0);
	assert_string_not_equal(want, part); /* frame 77 was not sent */
	kbp_digest_close(d);
	kbp_schedule_close(s);
	free(ticks);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(the_same_seed_gives_the_same_schedule),
		T(frames_are_valid_moldudp64_in_right_checksums),
		T(ipv6_and_vlan_frames_are_valid_too),
		T(unicast_flows_share_the_address_and_the_mac),
		T(constant_size_is_kept),
		T(profiles_have_the_shape_they_were_measured_with),
		T(options_without_sense_are_refused_by_name),
		T(timings_without_sense_are_refused_by_name),
		T(constant_timing_is_exact_and_does_not_drift),
		T(a_capture_at_a_constant_rate_is_looped_without_copies),
		T(a_capture_at_a_constant_rate_without_limit_is_played_once),
		T(recorded_timing_is_played_once),
		T(recorded_timing_ends_when_told_to),
		T(recorded_timing_is_scaled_by_speed_or_to_a_rate),
		T(generated_times_repeat_where_the_frames_do),
		T(the_shortest_duration_holds_the_first_frame),
		T(poisson_gaps_are_seeded_monotone_and_right_on_average),
		T(forked_children_see_the_schedule_and_cannot_change_it),
		T(order_matters_within_a_flow_only),
		T(losses_repeats_and_strays_change_the_digest),
		T(the_order_of_the_flows_does_not_matter),
		T(a_receiver_that_gets_everything_agrees_with_the_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
