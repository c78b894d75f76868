/* SPDX-License-Identifier: BSD-2-Clause */
/* The sender behind a device made up here, which lets frames go in an order of chance: each completion finds its
 * frame, and what was refused after it was accepted is not sent. */
#include "tests/lib/test.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/internal.h"
#include "tools/clock/tsc.h"
#include "tools/traffic/schedule.h"

#define BUFFERS 40u /* more than the sender's table takes with a ring of 16 */
#define FRAMES 3000u
#define REFUSED_EVERY 7u

static struct device {
	struct kbp_queue q;
	uint8_t bytes[BUFFERS][2048];
	uint32_t state[BUFFERS];  /* 0 free, 1 reserved, 2 in flight */
	uint64_t number[BUFFERS]; /* of the frame in it */
	uint64_t submitted, chance;
	uint32_t foreign; /* completions of nobody's are mixed in */
	uint32_t keep;	  /* frames that never come back */
} dev;

static struct kbp_backend backend;
static struct kbp_port port;
static struct kbp_queue_cold cold;
static struct kbp_txflow raw, by_flow[2];
static struct kbp_txflow *flows[2] = { &by_flow[0], &by_flow[1] };
static struct kbp_schedule *sched;
static struct kbp_sender_opts opts;
static struct kbp_sender_result result;
static struct kbp_error err;
static struct kbp_tsc tsc;
static uint64_t ticks[FRAMES], stamps[FRAMES];

/* ---------------------------------------------------------------- the device */

/* Tokens that fall on eight of the table's places by the sender's hash, so that they stand in each other's way. */
static uint64_t token[BUFFERS];

static void tokens_choose(void)
{
	uint64_t t = 0x7f0000000000u;

	for (uint32_t i = 0; i < BUFFERS; t += 64)
		if (((t * 0x9e3779b97f4a7c15u) >> 32 & 63) < 8)
			token[i++] = t;
}

static unsigned reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	for (uint32_t i = 0; n && i < BUFFERS; i++) {
		if (dev.state[i])
			continue;
		dev.state[i] = 1;
		*f = (struct kbp_frame){ .token = token[i],
					 .len = 2048,
					 .data = dev.bytes[i],
					 .txflow = t };
		return 1;
	}
	return 0;
}

static uint32_t buffer_of(uint64_t t)
{
	uint32_t i = 0;

	while (token[i] != t)
		i++;
	return i;
}

static unsigned submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	uint32_t i = buffer_of(f->token);
	const struct kbp_schedule_frame *due = &sched->frames[dev.submitted % sched->n_frames];
	const uint8_t *whole = sched->bytes + due->offset;

	(void)q;
	assert_int_equal(n, 1);
	assert_int_equal(dev.state[i], 1);
	if (opts.txflow) {
		assert_int_equal(f->len, due->len);
		assert_memory_equal(f->data, whole, f->len);
	} else {
		assert_ptr_equal(f->txflow, flows[due->flow]);
		assert_int_equal(f->len, due->payload_len);
		assert_memory_equal(f->data, whole + due->payload_offset, f->len);
	}
	dev.state[i] = 2;
	dev.number[i] = dev.submitted++;
	return 1;
}

static void cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	(void)q;
	(void)n;
	dev.state[buffer_of(f->token)] = 0;
}

/* About half of what is in flight, beginning anywhere. */
static unsigned reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	uint32_t start = (uint32_t)kbp_random(&dev.chance) % BUFFERS;
	unsigned n = 0;

	(void)q;
	for (uint32_t k = 0; k < BUFFERS && n < max / 2; k++) {
		uint32_t i = (start + k) % BUFFERS;
		uint64_t number = dev.number[i];

		if (dev.state[i] != 2 || number < dev.keep || kbp_random(&dev.chance) % 2)
			continue;
		dev.state[i] = 0;
		c[n++] = (struct kbp_completion){
			.token = token[i],
			.ts_ns = 1000 + number,
			.flags = KBP_FRAME_TS,
			.error = number % REFUSED_EVERY ? 0 : EPERM,
		};
	}
	if (n < max && dev.foreign) {
		dev.foreign--;
		c[n++] = (struct kbp_completion){ .token = 12345, .ts_ns = 1, .flags = KBP_FRAME_TS };
	}
	return n;
}

static void info(const struct kbp_queue *q, struct kbp_queue_info *i)
{
	(void)q;
	i->tx_ring = 16;
}

/* ---------------------------------------------------------------- setup */

static int setup(void **state)
{
	struct kbp_generator_opts gen = { .size = sizeof(gen), .profile = "pitch", .n_flows = 2 };
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT,
				     .rate_pps = 1000000,
				     .frames = FRAMES };

	(void)state;
	memset(&dev, 0, sizeof(dev));
	memset(&opts, 0, sizeof(opts));
	memset(&result, 0, sizeof(result));
	memset(stamps, 0, sizeof(stamps));
	backend.queue_info = info;
	backend.l2 = true;
	port.b = &backend;
	cold.q = &dev.q;
	dev.q.port = &port;
	dev.q.priv = &cold;
	dev.q.flags = KBP_QUEUE_TX | KBP_QUEUE_COMPLETIONS | KBP_QUEUE_TX_STAMPS;
	dev.q.tx_reserve = reserve;
	dev.q.tx_submit = submit;
	dev.q.tx_cancel = cancel;
	dev.q.tx_reap = reap;
	raw = (struct kbp_txflow){ .q = &dev.q, .room = 1518 };
	by_flow[0] = by_flow[1] = (struct kbp_txflow){ .q = &dev.q, .room = 1472, .hdr_len = 42 };
	opts.size = sizeof(opts);
	opts.tsc = &tsc;
	opts.retry_ns = 1000000000;
	opts.sent_ticks = ticks;
	opts.stamps_ns = stamps;
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	gen.flow.dst_port = 5000;
	return kbp_schedule_generate(&gen, &timing, &sched, &err);
}

static int teardown(void **state)
{
	(void)state;
	kbp_schedule_close(sched);
	return 0;
}

static void send_all(void)
{
	struct kbp_sender *snd;

	if (kbp_sender_open(sched, &opts, &snd, &err))
		fail_msg("%s: %s", err.step, err.hint);
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	kbp_sender_close(snd);
	assert_int_equal(result.sent + result.send_errors + result.unsent, FRAMES);
}

/* ---------------------------------------------------------------- tests */

static void each_completion_finds_its_frame(void)
{
	const uint32_t refused = (FRAMES + REFUSED_EVERY - 1) / REFUSED_EVERY;
	uint64_t bytes = 0;

	dev.foreign = 100;
	send_all();
	assert_int_equal(dev.submitted, FRAMES);
	assert_int_equal(result.completed, FRAMES);
	assert_int_equal(result.send_errors, refused);
	assert_int_equal(result.first_errno, EPERM);
	assert_int_equal(result.sent, FRAMES - refused);
	assert_int_equal(result.stamped, FRAMES - refused);
	assert_int_equal(result.unfinished, 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		bool sent = i % REFUSED_EVERY;

		assert_int_equal(stamps[i], sent ? 1000 + i : 0);
		assert_int_equal(ticks[i] != 0, sent);
		bytes += sent ? sched->frames[i].len : 0;
	}
	assert_int_equal(result.sent_bytes, bytes);
}

static void whole_frames_are_matched_in_any_order(void **state)
{
	(void)state;
	opts.txflow = &raw;
	each_completion_finds_its_frame();
}

static void payloads_by_flow_are_matched_in_any_order(void **state)
{
	(void)state;
	opts.txflows = flows;
	each_completion_finds_its_frame();
}

static void frames_that_never_come_back_are_sent_and_unfinished(void **state)
{
	(void)state;
	opts.txflow = &raw;
	dev.keep = 3;
	send_all();
	assert_int_equal(result.unfinished, 3);
	assert_int_equal(result.completed, FRAMES - 3);
	assert_true(ticks[0] && ticks[1] && ticks[2]);
	assert_int_equal(stamps[0] + stamps[1] + stamps[2], 0);
}

static void beyond_what_is_recorded_frames_are_counted_all_the_same(void **state)
{
	(void)state;
	opts.txflow = &raw;
	opts.n_record = 100;
	memset(ticks, 0xff, sizeof(ticks));
	send_all();
	assert_int_equal(result.completed, FRAMES);
	assert_int_equal(stamps[99], 1099);
	assert_int_equal(stamps[100], 0);
	assert_true(ticks[100] == UINT64_MAX); /* not touched */
}

static void idle_called(uint64_t now, void *arg)
{
	assert_true(now > 0);
	++*(unsigned *)arg;
}

static void there_is_time_for_something_else(void **state)
{
	struct kbp_generator_opts gen = { .size = sizeof(gen), .flow = { .dst_port = 5000 } };
	struct kbp_timing timing = { .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000, .frames = 50 };
	struct kbp_sender *snd;
	unsigned calls = 0;

	(void)state;
	kbp_schedule_close(sched);
	gen.flow.dst = (struct kbp_addr){ AF_INET, { 239, 1, 1, 1 } };
	gen.flow.src = (struct kbp_addr){ AF_INET, { 10, 0, 0, 1 } };
	assert_int_equal(kbp_schedule_generate(&gen, &timing, &sched, &err), 0);
	opts.txflow = &raw;
	opts.idle = idle_called;
	opts.idle_arg = &calls;
	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), 0);
	assert_int_equal(kbp_sender_run(snd, &result, &err), 0);
	kbp_sender_close(snd);
	assert_int_equal(result.sent + result.send_errors, 50);
	assert_true(calls > 0);
}

static void a_queue_that_dies_ends_it(void **state)
{
	static const struct {
		enum kbp_queue_state state;
		int code;
	} dead[] = { { KBP_QUEUE_LINK_DOWN, -ENETDOWN },
		     { KBP_QUEUE_GONE, -ENODEV },
		     { KBP_QUEUE_RESET, -EIO } };
	struct kbp_sender *snd;

	(void)state;
	opts.txflow = &raw;
	for (int i = 0; i < 3; i++) {
		dev.q.state = dead[i].state;
		assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), 0);
		assert_int_equal(kbp_sender_run(snd, &result, &err), dead[i].code);
		assert_int_equal(result.unsent, FRAMES);
		kbp_sender_close(snd);
	}
}

static void refused(const char *says, int code)
{
	struct kbp_sender *snd;

	assert_int_equal(kbp_sender_open(sched, &opts, &snd, &err), code);
	assert_null(snd);
	if (!strstr(err.hint, says))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, says);
}

static void txflows_that_do_not_fit_are_refused(void **state)
{
	struct kbp_queue other = { 0 };

	(void)state;
	opts.txflow = &by_flow[0];
	refused("kbp_txflow_open_raw", -EINVAL);
	raw.room = 60;
	opts.txflow = &raw;
	refused("longest frame", -EMSGSIZE);
	opts.txflows = flows;
	refused("give one of them", -EINVAL);
	opts.txflow = NULL;
	by_flow[1].room = 10;
	refused("payload of frame", -EMSGSIZE);
	by_flow[1].q = &other;
	refused("flow 1", -EINVAL);
	flows[0] = NULL;
	refused("first flow", -EINVAL);
	flows[0] = &by_flow[0];
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(whole_frames_are_matched_in_any_order),
		T(payloads_by_flow_are_matched_in_any_order),
		T(frames_that_never_come_back_are_sent_and_unfinished),
		T(beyond_what_is_recorded_frames_are_counted_all_the_same),
		T(there_is_time_for_something_else),
		T(a_queue_that_dies_ends_it),
		T(txflows_that_do_not_fit_are_refused),
	};

	tokens_choose();
	if (kbp_tsc_calibrate(&tsc, KBP_TSC_CALIBRATE_MS_MIN, &err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
