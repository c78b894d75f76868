/* SPDX-License-Identifier: BSD-2-Clause */
/* Replay through every backend, seen frame by frame at the other end of a veth pair. Nothing here depends on
 * speed. Each replay runs in a child: it enters the sending host, and DPDK starts once in a process. */
#include "tests/lib/test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <kbypass/lab.h>
#include <kbypass/traffic.h>

#include "lib/internal.h"
#include "tests/lib/capture_craft.h"

#define PORT 5000
#define FRAMES 100

static struct kbp_lab_info lab;
static struct kbp_schedule *sched;
static struct kbp_replay_opts opts;
static struct shared {
	struct kbp_replay_result result;
	struct kbp_error err;
	int opened, rc;
	uint32_t stop;
} * sh;
static int sniffer = -1;
static int runs = 1;
static bool unprivileged; /* the child gives up its capabilities */

/* ---------------------------------------------------------------- the frames */

/* FRAMES frames of different lengths, 200 us apart, to two groups in turn. */
static int capture(char path[64], unsigned what)
{
	static struct craft c;
	uint8_t frame[1600], payload[1472];

	memset(&c, 0, sizeof(c));
	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t n;

		memset(payload, (int)i, sizeof(payload));
		n = craft_frame(frame, what | CRAFT_BAD_SUMS, (uint16_t)(PORT + i % 2), payload,
				20 + i * 14);
		craft_record(&c, 1, i * 200, frame, n, n);
	}
	return craft_path(&c, path);
}

static void load(unsigned what, struct kbp_timing timing)
{
	struct kbp_capture_opts co = { .size = sizeof(co) };
	struct kbp_error err = { 0 };
	char path[64];
	int fd = capture(path, what);

	memcpy(co.to_mac, lab.host[KBP_LAB_RX].mac, 6);
	co.to_ip4 = lab.host[KBP_LAB_RX].ip4;
	kbp_schedule_close(sched);
	sched = NULL;
	if (kbp_schedule_from_capture(path, &co, &timing, &sched, NULL, &err))
		fail_msg("%s: %s", err.step, err.hint);
	close(fd);
}

/* ---------------------------------------------------------------- both ends */

static int sniffer_open(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int size = 32 << 20;

	sniffer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = (int)lab.host[KBP_LAB_RX].ifindex;
	if (sniffer < 0 || setsockopt(sniffer, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		return -1;
	return bind(sniffer, (struct sockaddr *)&to, sizeof(to));
}

/* The next datagram to our ports that came in; 0: none. */
static uint32_t sniff(uint8_t *frame, uint32_t size, struct kbp_datagram *d)
{
	struct pollfd p = { .fd = sniffer, .events = POLLIN };

	while (poll(&p, 1, 200) > 0) {
		ssize_t n = recv(sniffer, frame, size, MSG_DONTWAIT);

		if (n > 0 && kbp_datagram_parse(frame, (uint32_t)n, false, d) == KBP_PARSE_OK &&
		    (d->dst_port == PORT || d->dst_port == PORT + 1))
			return (uint32_t)n;
	}
	return 0;
}

static void sniffer_empty(void)
{
	uint8_t frame[2048];

	while (recv(sniffer, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
}

static pid_t replay_begin(void)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	opts.stop = &sh->stop;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct kbp_replay *rp = NULL;

		sh->rc = kbp_lab_enter(&lab, KBP_LAB_TX, &sh->err);
		if (!sh->rc && unprivileged)
			sh->rc = -setresuid(65534, 65534, 65534);
		if (!sh->rc)
			sh->rc = kbp_replay_open(sched, &opts, &rp, &sh->err);
		sh->opened = !sh->rc;
		for (int i = 0; i < runs && !sh->rc; i++)
			sh->rc = kbp_replay_run(rp, &sh->result, &sh->err);
		kbp_replay_close(rp);
		_exit(0);
	}
	return pid;
}

static void replay_end(pid_t pid)
{
	int status = -1;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Replays, and fails the test with the reason when that fails. */
static const struct kbp_replay_result *replay(const char *backend, const char *args)
{
	opts.backend = backend;
	opts.args = args;
	sniffer_empty();
	replay_end(replay_begin());
	if (sh->rc)
		fail_msg("%s: %s: %s", backend, sh->err.step, sh->err.hint);
	return &sh->result;
}

static void account_closes(void)
{
	const struct kbp_sender_result *tx = &sh->result.tx;

	assert_int_equal(sh->result.scheduled, sched->n_total);
	assert_int_equal(tx->sent + tx->send_errors + tx->unsent, sched->n_total);
}

static int setup(void **state)
{
	(void)state;
	memset(&opts, 0, sizeof(opts));
	opts.size = sizeof(opts);
	opts.ifname = lab.host[KBP_LAB_TX].ifname;
	return 0;
}

/* ---------------------------------------------------------------- tests */

static void all_frames_arrive_as_they_are(const char *backend, const char *args)
{
	const struct kbp_replay_result *r;
	uint8_t frame[2048];
	struct kbp_datagram d = { 0 };
	char hex[17];

	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 2 });
	r = replay(backend, args);
	assert_string_equal(r->port.backend, backend);
	assert_true(r->frames);
	account_closes();
	assert_int_equal(r->tx.sent, 2 * FRAMES);
	assert_int_equal(r->timed, 2 * FRAMES);
	assert_int_equal(r->handed.late.samples, 2 * FRAMES);
	assert_int_equal(r->handed.gap.samples, 2 * FRAMES - 1);
	assert_true(r->handed.late.min_ns >= 0); /* never before its time */
	assert_int_equal(kbp_schedule_digest(sched, NULL, hex), 0);
	assert_string_equal(r->digest, hex);
	for (uint32_t i = 0; i < 2 * FRAMES; i++) {
		const struct kbp_schedule_frame *f = &sched->frames[i % FRAMES];

		assert_int_equal(sniff(frame, sizeof(frame), &d), f->len);
		assert_memory_equal(frame, sched->bytes + f->offset, f->len);
	}
	assert_int_equal(sniff(frame, sizeof(frame), &d), 0);
}

static void af_xdp_sends_every_byte_in_order(void **state)
{
	(void)state;
	all_frames_arrive_as_they_are("af_xdp", NULL);
}

static void ef_vi_sim_sends_every_byte_in_order(void **state)
{
	(void)state;
	all_frames_arrive_as_they_are("ef_vi_sim", NULL);
	assert_true(sh->result.port.emulated);
}

#ifdef HAVE_DPDK
static void dpdk_sends_every_byte_in_order(void **state)
{
	(void)state;
	all_frames_arrive_as_they_are("dpdk", "pmd=af_packet");
}
#endif

static void payloads_arrive(const struct kbp_replay_result *r, uint32_t n)
{
	uint8_t frame[2048];
	struct kbp_datagram d = { 0 };

	assert_false(r->frames);
	account_closes();
	assert_int_equal(r->tx.sent, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct kbp_schedule_frame *f = &sched->frames[i % FRAMES];

		assert_true(sniff(frame, sizeof(frame), &d) > 0);
		assert_int_equal(d.len, f->payload_len);
		assert_memory_equal(d.payload, sched->bytes + f->offset + f->payload_offset, d.len);
		assert_memory_equal(&d.dst, &sched->flows[f->flow].dst, sizeof(d.dst));
		assert_int_equal(d.dst_port, sched->flows[f->flow].dst_port);
		/* the kernel's own */
		assert_memory_equal(&d.src, &lab.host[KBP_LAB_TX].ip4, sizeof(d.src));
	}
	assert_int_equal(sniff(frame, sizeof(frame), &d), 0);
}

static void socket_sends_every_payload_in_order(void **state)
{
	char hex[17];

	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 2 });
	payloads_arrive(replay("socket", NULL), 2 * FRAMES);
	assert_int_equal(kbp_schedule_digest(sched, NULL, hex), 0);
	assert_string_equal(sh->result.digest, hex);
}

static void a_replay_can_be_run_again(void **state)
{
	uint8_t frame[2048];
	struct kbp_datagram d;
	unsigned n = 0;

	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	runs = 2;
	replay("socket", NULL);
	runs = 1;
	account_closes();
	assert_int_equal(sh->result.tx.sent, FRAMES);
	if (!sh->result.stepped)
		assert_int_equal(sh->result.stamp.late.samples + sh->result.unstamped, FRAMES);
	while (sniff(frame, sizeof(frame), &d))
		n++;
	assert_int_equal(n, 2 * FRAMES);
}

static void socket_sends_to_a_host_that_answers(void **state)
{
	(void)state;
	load(0, (struct kbp_timing){ .loops = 1 });
	payloads_arrive(replay("socket", NULL), FRAMES);
}

static void without_a_name_af_xdp_sends(void **state)
{
	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	assert_string_equal(replay(NULL, NULL)->port.backend, "af_xdp");
	assert_string_equal(sh->result.passed_over, "");
}

static void where_af_xdp_does_not_open_socket_sends_and_says_why(void **state)
{
	const struct kbp_replay_result *r;

	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	unprivileged = true;
	r = replay(NULL, NULL);
	assert_string_equal(r->port.backend, "socket");
	assert_non_null(strstr(r->passed_over, "CAP_"));
	payloads_arrive(r, FRAMES);
	opts.flags = KBP_REPLAY_STRICT;
	replay_end(replay_begin());
	unprivileged = false;
	assert_int_equal(sh->rc, -EPERM);
}

static void stamps_lie_after_the_hand_over_and_are_named(const char *backend, const char *args,
							 enum kbp_ts_source source)
{
	const struct kbp_replay_result *r;

	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 2 });
	r = replay(backend, args);
	assert_int_equal(r->queue.ts_source_tx, source);
	if (r->stepped) {
		print_message("the clock was set meanwhile: no stamps to look at\n");
		return;
	}
	if (!r->stamp.late.samples)
		fail_msg("%s: no timing by stamps: %s", backend, r->no_stamps);
	assert_int_equal(r->queue.ts_proof_tx, KBP_PROVEN);
	assert_int_equal(r->stamp.late.samples + r->unstamped + r->impossible, r->timed);
	assert_int_equal(r->impossible, 0);
	assert_true(r->stamp_error_ns > 0);
	/* what is sent is stamped after it was handed over */
	assert_true(r->stamp.late.min_ns + (int64_t)r->stamp_error_ns >= r->handed.late.min_ns);
	if (!r->unstamped)
		assert_true(r->stamp.late.max_ns + (int64_t)r->stamp_error_ns >=
			    r->handed.late.max_ns);
	assert_true(r->stamp.gap.samples < r->stamp.late.samples);
	assert_true(r->stamp.gap.min_ns >= 0);
}

static void stamps_of_a_socket_are_the_kernels(void **state)
{
	(void)state;
	stamps_lie_after_the_hand_over_and_are_named("socket", NULL, KBP_TS_KERNEL);
}

static void stamps_of_the_software_nic_are_no_nics(void **state)
{
	(void)state;
	stamps_lie_after_the_hand_over_and_are_named("ef_vi_sim", NULL, KBP_TS_DRIVER);
}

/* Linux has them since 6.8 (XDP_TX_METADATA); without a NIC they are software's. */
static void stamps_of_af_xdp_in_copy_mode_are_the_kernels_where_it_has_them(void **state)
{
	const struct kbp_replay_result *r;

	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	r = replay("af_xdp", NULL);
	if (r->queue.ts_source_tx != KBP_TS_NONE) {
		stamps_lie_after_the_hand_over_and_are_named("af_xdp", NULL, KBP_TS_KERNEL);
		return;
	}
	assert_int_equal(r->stamp.late.samples, 0);
	assert_int_equal(r->unstamped, FRAMES);
	assert_non_null(strstr(r->no_stamps, "without"));
}

static void without_stamps_the_hand_over_is_timed_all_the_same(void **state)
{
	const struct kbp_replay_result *r;

	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	opts.flags = KBP_REPLAY_NO_STAMPS;
	r = replay("socket", NULL);
	assert_int_equal(r->queue.ts_source_tx, KBP_TS_NONE);
	assert_int_equal(r->stamp.late.samples, 0);
	assert_int_equal(r->unstamped, FRAMES);
	assert_true(r->no_stamps[0]);
	assert_int_equal(r->handed.late.samples, FRAMES);
}

static void wait_until_sending(uint64_t frames)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(&sh->result.tx.sent, __ATOMIC_RELAXED) >= frames)
			return;
		nanosleep(&ms, NULL);
	}
	fail_msg("nothing is sent: %s: %s", sh->err.step, sh->err.hint);
}

static void link_set(const char *state)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd), "ip -n %s link set %s %s", lab.host[KBP_LAB_TX].netns,
		 lab.host[KBP_LAB_TX].ifname, state);
	assert_int_equal(system(cmd), 0);
}

static void an_interface_that_goes_down_ends_it_with_the_account(void **state)
{
	static const char *const backends[] = { "socket", "af_xdp" };

	(void)state;
	load(CRAFT_GROUP,
	     (struct kbp_timing){ .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000, .loops = 600 });
	for (int i = 0; i < 2; i++) {
		pid_t pid;

		opts.backend = backends[i];
		pid = replay_begin();
		wait_until_sending(50);
		link_set("down");
		replay_end(pid);
		link_set("up");
		assert_int_equal(sh->rc, -ENETDOWN);
		assert_non_null(strstr(sh->err.hint, "went down"));
		account_closes();
		assert_true(sh->result.tx.sent >= 50);
		assert_true(sh->result.tx.unsent > 0);
	}
}

static void address(const char *what)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd), "ip -n %s address %s 10.77.0.1/24 dev %s",
		 lab.host[KBP_LAB_TX].netns, what, lab.host[KBP_LAB_TX].ifname);
	assert_int_equal(system(cmd), 0);
}

static void what_was_refused_after_it_was_accepted_is_not_sent(void **state)
{
	const struct kbp_sender_result *tx = &sh->result.tx;
	uint64_t bytes = 0, n = 0;
	uint8_t frame[2048];
	struct kbp_datagram d;
	pid_t pid;

	(void)state;
	load(0, (struct kbp_timing){ .kind = KBP_TIMING_CONSTANT,
				     .rate_pps = 1000,
				     .frames = 500,
				     .loops = 5 });
	opts.backend = "socket";
	sniffer_empty();
	pid = replay_begin();
	wait_until_sending(50);
	address("delete"); /* there is no way to send any more, as the kernel finds out frame by frame */
	replay_end(pid);
	address("add");
	assert_int_equal(sh->rc, 0);
	account_closes();
	assert_true(tx->sent >= 50 && tx->send_errors > 0);
	assert_int_equal(tx->unsent, 0);
	assert_int_equal(tx->first_errno, ENETUNREACH);
	assert_int_equal(tx->completed, 500);
	assert_int_equal(sh->result.timed, tx->sent);
	while (sniff(frame, sizeof(frame), &d))
		n++;
	assert_int_equal(n, tx->sent);
	for (uint64_t i = 0; i < n; i++) /* the first ones */
		bytes += sched->frames[i % FRAMES].len;
	assert_int_equal(tx->sent_bytes, bytes);
}

static void the_stop_flag_ends_it_with_the_account(void **state)
{
	pid_t pid;

	(void)state;
	load(CRAFT_GROUP,
	     (struct kbp_timing){ .kind = KBP_TIMING_CONSTANT, .rate_pps = 1000, .loops = 600 });
	opts.backend = "af_xdp";
	pid = replay_begin();
	wait_until_sending(20);
	__atomic_store_n(&sh->stop, 1, __ATOMIC_RELAXED);
	replay_end(pid);
	assert_int_equal(sh->rc, 0);
	account_closes();
	assert_true(sh->result.tx.sent >= 20 && sh->result.tx.unsent > 0);
}

static void refused(const char *backend, int code, const char *says)
{
	opts.backend = backend;
	replay_end(replay_begin());
	assert_int_equal(sh->opened, 0);
	if (sh->rc != code || (!strstr(sh->err.hint, says) && !strstr(sh->err.step, says)))
		fail_msg("%s: %d, not %d with \"%s\": %s: %s", backend, sh->rc, code, says,
			 sh->err.step, sh->err.hint);
}

static void what_cannot_be_sent_is_refused_before_the_first_frame(void **state)
{
	(void)state;
	load(CRAFT_GROUP, (struct kbp_timing){ .loops = 1 });
	link_set("mtu 1300");
	refused("af_xdp", -EMSGSIZE, "MTU");
	refused("socket", -EMSGSIZE, "MTU is 1300");
	link_set("mtu 1500");
	link_set("down");
	refused("socket", -ENETDOWN, "down");
	link_set("up");
	opts.ifname = "nosuch0";
	refused(NULL, -ENODEV, "nosuch0");
	opts.ifname = "";
	refused(NULL, -EINVAL, "interface");
	opts.ifname = lab.host[KBP_LAB_TX].ifname;
	refused("nosuch", -ENOENT, "nosuch");
	load(CRAFT_GROUP | CRAFT_VLAN, (struct kbp_timing){ .loops = 1 });
	refused("socket", -EOPNOTSUPP, "VLAN 7");
	opts.size = 1;
	refused("socket", -EINVAL, "size");
}

/* ---------------------------------------------------------------- */

static void lab_down(void)
{
	if (lab.prefix[0])
		kbp_lab_down(lab.prefix, NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(af_xdp_sends_every_byte_in_order),
		T(ef_vi_sim_sends_every_byte_in_order),
#ifdef HAVE_DPDK
		T(dpdk_sends_every_byte_in_order),
#endif
		T(socket_sends_every_payload_in_order),
		T(a_replay_can_be_run_again),
		T(socket_sends_to_a_host_that_answers),
		T(without_a_name_af_xdp_sends),
		T(where_af_xdp_does_not_open_socket_sends_and_says_why),
		T(stamps_of_a_socket_are_the_kernels),
		T(stamps_of_the_software_nic_are_no_nics),
		T(stamps_of_af_xdp_in_copy_mode_are_the_kernels_where_it_has_them),
		T(without_stamps_the_hand_over_is_timed_all_the_same),
		T(an_interface_that_goes_down_ends_it_with_the_account),
		T(what_was_refused_after_it_was_accepted_is_not_sent),
		T(the_stop_flag_ends_it_with_the_account),
		T(what_cannot_be_sent_is_refused_before_the_first_frame),
	};
	struct kbp_lab_opts l = KBP_LAB_OPTS_INIT;
	struct kbp_error err;
	int failed;

	l.flags = KBP_LAB_EPHEMERAL;
	l.prefix = "kbrp";
	if (kbp_lab_up(&l, &lab, &err) || kbp_lab_enter(&lab, KBP_LAB_RX, &err)) {
		printf("SKIP: no lab: %s: %s\n", err.step, err.hint);
		lab_down();
		return TEST_SKIP;
	}
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	failed = sh == MAP_FAILED || sniffer_open() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
	kbp_schedule_close(sched);
	lab_down();
	return failed;
}
