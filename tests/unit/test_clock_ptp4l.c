/* SPDX-License-Identifier: BSD-2-Clause */
/* A ptp4l played by the test, answer by answer: what follows from what it says, and from bytes that are no answer. */
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tools/clock/phc.h"
#include "tools/clock/ptp4l.h"
#include "tools/clock/ptp_msg.h"

#define S 1000000000ull

/* The daemon: its socket, and what it answers. */
struct play {
	int fd;
	char path[108];
	uint8_t domain, state, gm_present, timestamping, ports, gm_class, flags, accuracy;
	int64_t offset, ingress, delay;
	bool mute, errors;
	const char *interface; /* three letters of a name at the most */
	const uint8_t *mac;    /* NULL: it does not tell */
};

static const struct kbp_watch watch = { .limit_ns = 1000, .holdover_ppb = 200 };

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

/* An answer to the request `q`; returns its length. */
static size_t answer(const struct play *d, const uint8_t *q, unsigned port, uint8_t *a)
{
	unsigned id = (unsigned)q[52] << 8 | q[53];
	uint8_t *v = a + 54;
	size_t n = 0;

	memset(a, 0, 256);
	memcpy(a, q, 34);
	a[4] = d->domain;
	put(a + 20, 0x0102030405060708u, 8);
	put(a + 28, port, 2);
	a[46] = 2;
	put(a + 48, 1, 2);
	put(a + 52, id, 2);
	switch (id) {
	case PTP_DEFAULT_DATA_SET:
		put(v + 2, d->ports, 2);
		n = 20;
		break;
	case PTP_CURRENT_DATA_SET:
		put(v + 2, (uint64_t)d->offset << 16, 8);
		put(v + 10, (uint64_t)d->delay << 16, 8);
		n = 18;
		break;
	case PTP_PARENT_DATA_SET:
		v[19] = d->gm_class;
		v[20] = d->accuracy;
		put(v + 24, 0xa0a1a2a3a4a5a6a7u, 8);
		n = 32;
		break;
	case PTP_TIME_PROPERTIES:
		v[1] = 37;
		v[2] = d->flags;
		n = 4;
		break;
	case PTP_PORT_DATA_SET:
		put(v + 8, port, 2);
		v[10] = port == d->ports ? d->state : PTP_STATE_LISTENING;
		v[20] = 0; /* a second */
		v[21] = 3;
		v[22] = 0;
		n = 26;
		break;
	case PTP_TIME_STATUS_NP:
		put(v, (uint64_t)d->offset, 8);
		put(v + 8, (uint64_t)d->ingress, 8);
		v[41] = d->gm_present;
		put(v + 42, 0xa0a1a2a3a4a5a6a7u, 8);
		n = 50;
		break;
	case PTP_PORT_PROPERTIES_NP:
		put(v + 8, port, 2);
		v[10] = d->state;
		v[11] = d->timestamping;
		v[12] = (uint8_t)strlen(d->interface);
		memcpy(v + 13, d->interface, v[12]);
		n = 13u + v[12] + (v[12] & 1 ? 0 : 1);
		break;
	case PTP_CLOCK_DESCRIPTION:
		if (d->mac) {
			put(v + 3, 6, 2); /* no name of a physical protocol */
			memcpy(v + 5, d->mac, 6);
			n = 12;
			break;
		}
		/* fallthrough */
	default:
		put(a + 48, 2, 2); /* an error: not supported */
		put(a + 50, 8, 2);
		put(a + 52, 6, 2);
		put(a + 54, id, 2);
		put(a + 2, 60, 2);
		return 60;
	}
	put(a + 50, n + 2, 2);
	put(a + 2, 54 + n, 2);
	return 54 + n;
}

static void play_bind(struct play *d)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	unlink(d->path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", d->path);
	d->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(d->fd, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void play_open(struct play *d)
{
	static unsigned n;

	memset(d, 0, sizeof(*d));
	snprintf(d->path, sizeof(d->path), "/tmp/kbypass-play-%d-%u", (int)getpid(), n++);
	play_bind(d);
	d->interface = "eth";
	d->ports = 1;
	d->state = PTP_STATE_SLAVE;
	d->gm_present = 1;
	d->ingress = (int64_t)kbp_clock_ns(CLOCK_REALTIME);
	d->offset = -300;
	d->delay = 500;
	d->gm_class = 6;
	d->accuracy = 0x21;
	d->flags = PTP_TIMESCALE | PTP_TIME_TRACEABLE;
}

static void play_close(struct play *d)
{
	close(d->fd);
	unlink(d->path);
}

/* Answers everything that was asked. */
static void play_round(struct play *d)
{
	uint8_t q[256], a[256];
	struct sockaddr_un from;
	socklen_t len;
	ssize_t n;

	for (;;) {
		unsigned id, ports;

		len = sizeof(from);
		n = recvfrom(d->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		assert_int_equal(n, PTP_REQUEST_BYTES);
		assert_int_equal(q[46] & 15, 0); /* only ever a GET, */
		assert_int_equal(q[45], 0);	 /* and never off this host */
		id = (unsigned)q[52] << 8 | q[53];
		if (d->mute || q[4] != d->domain || q[0] >> 4)
			continue;
		ports = id == PTP_PORT_DATA_SET || id == PTP_PORT_PROPERTIES_NP ? d->ports : 1;
		for (unsigned port = 1; port <= ports; port++) {
			size_t bytes = answer(d, q, port, a);

			assert_int_equal(sendto(d->fd, a, bytes, 0, (struct sockaddr *)&from, len),
					 bytes);
		}
	}
}

static void look(struct play *d, struct kbp_ptp4l *p, uint64_t now, struct kbp_finding_of_clock *f)
{
	kbp_ptp4l_ask(p);
	play_round(d);
	kbp_ptp4l_receive(p);
	kbp_ptp4l_judge(p, now, &watch, f);
}

/* Looks until it has told who it is. */
static void meet(struct play *d, struct kbp_ptp4l *p, uint64_t now, struct kbp_finding_of_clock *f)
{
	for (unsigned i = 0; i < 120; i++) {
		look(d, p, now, f);
		if (f->fresh)
			return;
	}
	fail();
}

static struct kbp_ptp4l *begin(struct play *d, struct kbp_finding_of_clock *f)
{
	struct kbp_ptp4l *p;

	play_open(d);
	p = kbp_ptp4l_new(d->path);
	assert_non_null(p);
	meet(d, p, 100 * S, f);
	return p;
}

static void a_slave_is_in_sync_and_its_bound_has_all_parts(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);

	(void)state;
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_int_equal(f.s.offset_ns, -300);
	assert_int_equal(f.abs_offset_ns, 300);
	assert_int_equal(f.verified_ns, d.ingress);
	assert_int_equal(f.s.bound_ns, 300 + 500 + 100); /* 0x21: 100 ns */
	assert_int_equal(f.s.epoch, KBP_EPOCH_UTC);
	assert_string_equal(f.s.interface, "eth");
	assert_string_equal(f.s.reference, "a0a1a2.a3a4.a5a6a7");
	d.offset = 900; /* the worst one of late counts */
	d.ingress += 1000000;
	look(&d, p, 101 * S, &f);
	d.offset = 10;
	d.ingress += 1000000;
	look(&d, p, 102 * S, &f);
	assert_int_equal(f.s.bound_ns, 900 + 500 + 100);
	assert_int_equal(f.abs_offset_ns, 10);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void without_a_stated_accuracy_there_is_no_bound(void **state)
{
	struct kbp_watch told = watch;
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p;

	(void)state;
	told.reference_ns = 5000;
	play_open(&d);
	d.accuracy = 0xfe;
	p = kbp_ptp4l_new(d.path);
	meet(&d, p, 100 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_int_equal(f.s.bound_ns, KBP_BOUND_UNKNOWN);
	kbp_ptp4l_judge(p, 100 * S, &told, &f);
	assert_int_equal(f.s.bound_ns, 300 + 500 + 5000);
	kbp_ptp4l_free(p);
	play_close(&d);
	play_open(&d); /* 25 ns, says a clock that runs free */
	d.gm_class = 248;
	d.flags = PTP_TIMESCALE;
	p = kbp_ptp4l_new(d.path);
	meet(&d, p, 100 * S, &f);
	assert_int_equal(f.s.bound_ns, KBP_BOUND_UNKNOWN);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void syncs_that_stop_are_a_lost_master_whatever_the_daemon_says(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);
	uint64_t last;

	(void)state;
	d.ingress += 1000;
	last = (uint64_t)d.ingress;
	look(&d, p, 200 * S, &f);
	look(&d, p, 203 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN); /* the announce timeout: 3 s */
	look(&d, p, 203 * S + 100000000, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_NOT);
	assert_int_equal(f.s.cause, KBP_CLOCK_MASTER_LOST);
	assert_int_equal(f.since_ns, last);
	d.ingress += 1000;
	look(&d, p, 204 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void a_port_that_listens_again_is_a_lost_master(void **state)
{
	static const uint8_t states[] = { PTP_STATE_LISTENING, PTP_STATE_FAULTY, PTP_STATE_MASTER,
					  PTP_STATE_PASSIVE, PTP_STATE_DISABLED };

	(void)state;
	for (size_t i = 0; i < sizeof(states); i++) {
		struct kbp_finding_of_clock f;
		struct play d;
		struct kbp_ptp4l *p = begin(&d, &f);

		d.state = states[i];
		look(&d, p, 101 * S, &f);
		assert_int_equal(f.s.sync, KBP_SYNC_NOT);
		assert_int_equal(f.s.cause, KBP_CLOCK_MASTER_LOST);
		assert_string_equal(f.s.state, kbp_ptp_state_name(states[i]));
		kbp_ptp4l_free(p);
		play_close(&d);
	}
}

static void a_master_that_never_followed_says_nothing_of_its_clock(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p;

	(void)state;
	play_open(&d);
	d.state = PTP_STATE_MASTER;
	d.ingress = 0;
	p = kbp_ptp4l_new(d.path);
	for (unsigned i = 0; i < 4; i++)
		look(&d, p, 100 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(f.s.cause, KBP_CLOCK_UNWATCHED);
	assert_false(f.tells);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void an_old_sync_at_the_first_look_is_known_as_old(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p;

	(void)state;
	play_open(&d);
	d.ingress -= (int64_t)(60 * S);
	p = kbp_ptp4l_new(d.path);
	meet(&d, p, 100 * S, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_MASTER_LOST);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void the_slave_port_of_a_boundary_clock_counts(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p;

	(void)state;
	play_open(&d);
	d.ports = 20; /* the last one follows */
	p = kbp_ptp4l_new(d.path);
	meet(&d, p, 100 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_string_equal(f.s.state, "SLAVE");
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void any_domain_is_found(void **state)
{
	static const uint8_t domains[] = { 24, 127, 77, 255 };

	(void)state;
	for (size_t i = 0; i < sizeof(domains); i++) {
		struct kbp_finding_of_clock f;
		struct play d;
		struct kbp_ptp4l *p;

		play_open(&d);
		d.domain = domains[i];
		p = kbp_ptp4l_new(d.path);
		meet(&d, p, 100 * S, &f);
		assert_int_equal(f.s.sync, KBP_SYNC_IN);
		kbp_ptp4l_free(p);
		play_close(&d);
	}
}

static void a_daemon_that_dies_or_falls_silent_is_gone(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);

	(void)state;
	d.mute = true;
	look(&d, p, 100 * S + 500000000, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN); /* late, once */
	assert_false(f.fresh);
	look(&d, p, 102 * S, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	assert_int_equal(f.s.sync, KBP_SYNC_NOT);
	assert_int_equal(f.since_ns, d.ingress);
	d.mute = false;
	d.ingress = (int64_t)kbp_clock_ns(CLOCK_REALTIME);
	for (unsigned i = 0; i < 5; i++)
		look(&d, p, 103 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	close(d.fd); /* killed: the socket file stays */
	kbp_ptp4l_ask(p);
	kbp_ptp4l_receive(p);
	kbp_ptp4l_judge(p, 103 * S, &watch, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	unlink(d.path);
	kbp_ptp4l_ask(p);
	kbp_ptp4l_judge(p, 103 * S, &watch, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	kbp_ptp4l_free(p);
}

static void what_is_in_doubt_begins_at_the_last_sync_within_the_limit(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);
	int64_t good = d.ingress + 1000;

	(void)state;
	d.ingress = good;
	look(&d, p, 101 * S, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	for (unsigned i = 0; i < 3; i++) {
		d.ingress += 1000;
		d.offset = 1500 + i;
		look(&d, p, 102 * S, &f);
		assert_int_equal(f.s.cause, KBP_CLOCK_OFFSET);
		assert_int_equal(f.since_ns, good);
		assert_int_equal(f.verified_ns, d.ingress);
	}
	kbp_ptp4l_free(p);
	play_close(&d);
	play_open(&d); /* one that never was within it */
	d.offset = 1500;
	p = kbp_ptp4l_new(d.path);
	meet(&d, p, 100 * S, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_OFFSET);
	assert_int_equal(f.since_ns, 0);
	kbp_ptp4l_free(p);
	play_close(&d);
}

/* dead: it was noticed that it was gone; else it came back between two rounds. */
static void restart(struct play *d, struct kbp_ptp4l *p, bool dead, struct kbp_finding_of_clock *f)
{
	close(d->fd);
	if (dead) {
		look(d, p, 101 * S, f);
		assert_int_equal(f->s.cause, KBP_CLOCK_DAEMON_GONE);
		assert_int_equal(f->s.epoch,
				 KBP_EPOCH_UTC); /* it is that clock that it steers no more */
		assert_int_equal(f->since_ns, d->ingress);
		look(d, p, 102 * S, f);
		assert_int_equal(f->since_ns, d->ingress);
	}
	play_bind(d);
}

static void a_restarted_daemon_that_is_master_has_followed_none(void **state)
{
	(void)state;
	for (unsigned dead = 0; dead < 2; dead++) {
		struct kbp_finding_of_clock f;
		struct play d;
		struct kbp_ptp4l *p = begin(&d, &f);

		restart(&d, p, dead, &f);
		d.state = PTP_STATE_MASTER;
		d.ingress = 0;
		for (unsigned i = 0; i < 6; i++)
			look(&d, p, 102 * S, &f);
		assert_true(f.fresh);
		assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
		assert_int_equal(f.s.cause, KBP_CLOCK_UNWATCHED);
		assert_false(f.tells);
		kbp_ptp4l_free(p);
		play_close(&d);
	}
}

static void a_restarted_daemon_may_steer_another_clock(void **state)
{
	(void)state;
	for (unsigned dead = 0; dead < 2; dead++) {
		struct kbp_finding_of_clock f;
		struct play d;
		struct kbp_ptp4l *p = begin(&d, &f);

		assert_int_equal(f.s.epoch, KBP_EPOCH_UTC);
		restart(&d, p, dead, &f);
		d.timestamping = 1;
		d.interface = "lan";
		d.ingress += 1000;
		for (unsigned i = 0; i < 6; i++)
			look(&d, p, 102 * S, &f);
		assert_int_equal(f.s.sync, KBP_SYNC_IN);
		assert_int_equal(f.s.epoch, KBP_EPOCH_PHC);
		assert_string_equal(f.s.interface, "lan");
		kbp_ptp4l_free(p);
		play_close(&d);
	}
}

static void a_daemon_that_only_hung_and_is_master_now_has_lost_its_own(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);

	(void)state;
	d.mute = true;
	look(&d, p, 102 * S, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	d.mute = false;
	d.state = PTP_STATE_MASTER;
	for (unsigned i = 0; i < 6; i++)
		look(&d, p, 103 * S, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_MASTER_LOST);
	assert_true(f.tells);
	kbp_ptp4l_free(p);
	play_close(&d);
}

static int32_t play_index(const char *interface)
{
	return !strcmp(interface, "lo") ? 5 : -1;
}

static int play_no_device(int phc)
{
	(void)phc;
	return -ENOENT;
}

static void an_interface_of_the_same_name_but_another_address_is_not_the_daemons(void **state)
{
	static const struct kbp_phc_ops ops = { .open = play_no_device, .index = play_index };
	static const uint8_t macs[][6] = { { 0 }, { 2, 0, 0, 0, 0, 1 } }; /* lo's, and another one's */
	static const int32_t phc[] = { 5, -1, -1 };

	(void)state;
	kbp_phc_set_ops(&ops);
	for (unsigned i = 0; i < 3; i++) {
		struct kbp_finding_of_clock f;
		struct kbp_ptp4l *p;
		struct play d;

		play_open(&d);
		d.timestamping = 1;
		d.interface = "lo";
		d.mac = i < 2 ? macs[i] : NULL;
		p = kbp_ptp4l_new(d.path);
		meet(&d, p, 100 * S, &f);
		assert_int_equal(f.s.epoch, KBP_EPOCH_PHC);
		assert_int_equal(f.s.phc, phc[i]);
		kbp_ptp4l_free(p);
		play_close(&d);
	}
	kbp_phc_set_ops(NULL);
}

static void a_file_that_is_no_socket_is_an_answer_too(void **state)
{
	struct kbp_finding_of_clock f;
	struct kbp_ptp4l *p = kbp_ptp4l_new("/etc/passwd");

	(void)state;
	assert_int_equal(kbp_ptp4l_ask(p), -1);
	kbp_ptp4l_judge(p, 100 * S, &watch, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	assert_true(f.s.text[0]);
	assert_false(f.tells);
	kbp_ptp4l_free(p);
}

/* ---------------------------------------------------------------- bytes */

static uint32_t seed = 1;

static uint32_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void damaged_answers_neither_crash_nor_pass_for_whole_ones(void **state)
{
	static const uint16_t ids[] = { PTP_DEFAULT_DATA_SET,  PTP_CURRENT_DATA_SET,
					PTP_PARENT_DATA_SET,   PTP_TIME_PROPERTIES,
					PTP_PORT_DATA_SET,     PTP_TIME_STATUS_NP,
					PTP_PORT_PROPERTIES_NP };
	struct kbp_ptp_reply r;
	struct play d;
	uint8_t q[PTP_REQUEST_BYTES], a[256], *exact;

	(void)state;
	play_open(&d);
	for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
		size_t n;

		kbp_ptp_request(q, ids[k], 7, 0, 0);
		n = answer(&d, q, 1, a);
		assert_int_equal(kbp_ptp_parse(a, n, &r), 0);
		assert_int_equal(r.id, ids[k]);
		assert_int_equal(r.sequence, 7);
		for (size_t cut = 0; cut < n;
		     cut++) { /* in memory of just that size, for the sanitizer */
			exact = malloc(cut ? cut : 1);
			memcpy(exact, a, cut);
			assert_int_equal(kbp_ptp_parse(exact, cut, &r), -EBADMSG);
			free(exact);
		}
		for (unsigned i = 0; i < 20000; i++) {
			n = answer(&d, q, 1, a);
			for (unsigned flips = chance() % 4 + 1; flips; flips--)
				a[chance() % n] = (uint8_t)chance();
			(void)kbp_ptp_parse(a, n, &r);
		}
	}
	play_close(&d);
}

static void garbage_on_the_socket_changes_nothing(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);
	struct sockaddr_un from;
	uint8_t q[256], junk[1600];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		socklen_t len = sizeof(from);
		size_t n = chance() % sizeof(junk);

		for (size_t k = 0; k < n; k++)
			junk[k] = (uint8_t)chance();
		kbp_ptp4l_ask(p);
		while (recvfrom(d.fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len) > 0)
			len = sizeof(from);
		(void)sendto(d.fd, junk, n, MSG_DONTWAIT, (struct sockaddr *)&from, sizeof(from));
		kbp_ptp4l_receive(p);
		kbp_ptp4l_judge(p, 100 * S, &watch, &f);
	}
	assert_int_equal(f.s.sync, KBP_SYNC_IN); /* the last answer, as the clock still says 100 s */
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void an_answer_of_an_earlier_round_does_not_count(void **state)
{
	struct kbp_finding_of_clock f;
	struct play d;
	struct kbp_ptp4l *p = begin(&d, &f);

	(void)state;
	kbp_ptp4l_ask(p);
	play_round(&d); /* lies there, unread */
	kbp_ptp4l_judge(p, 100 * S, &watch, &f);
	d.mute = true;
	kbp_ptp4l_ask(p);
	play_round(&d);
	assert_false(kbp_ptp4l_receive(p));
	kbp_ptp4l_free(p);
	play_close(&d);
}

static void accuracy_is_what_the_standard_says(void **state)
{
	(void)state;
	assert_int_equal(kbp_ptp_accuracy_ns(0x20), 25);
	assert_int_equal(kbp_ptp_accuracy_ns(0x21), 100);
	assert_int_equal(kbp_ptp_accuracy_ns(0x23), 1000);
	assert_int_equal(kbp_ptp_accuracy_ns(0x29), 1000000);
	assert_int_equal(kbp_ptp_accuracy_ns(0x2f), 1000000000);
	assert_int_equal(kbp_ptp_accuracy_ns(0x30), 10000000000);
	assert_int_equal(kbp_ptp_accuracy_ns(0x31), UINT64_MAX);
	assert_int_equal(kbp_ptp_accuracy_ns(0xfe), UINT64_MAX);
	assert_int_equal(kbp_ptp_accuracy_ns(0), UINT64_MAX);
}

static void a_socket_is_found_once_and_not_by_its_read_only_twin(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/kbypass-find-XXXXXX", pattern[96], link[64], again[96], **paths;
	static const char *const names[] = { "ptp4l", "ptp4lro", "ptp4l.eth1", "ptp4l.onlyro" };
	const char *patterns[] = { pattern, again, NULL };
	size_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, names[i]);
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		close(fd);
	}
	snprintf(pattern, sizeof(pattern), "%s/ptp4l*", dir);
	snprintf(link, sizeof(link), "%s/run", dir); /* as /var/run is /run */
	assert_int_equal(symlink(dir, link), 0);
	snprintf(again, sizeof(again), "%s/ptp4l*", link);
	n = kbp_ptp4l_find(patterns, &paths);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_null(strstr(paths[i], "ptp4lro"));
		assert_null(strstr(paths[i], "/run/"));
		free(paths[i]);
	}
	free(paths);
	snprintf(pattern, sizeof(pattern), "rm -r %s", dir);
	assert_int_equal(system(pattern), 0);
}

static void what_a_killed_process_left_is_swept_and_nothing_else(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/kbypass-sweep-XXXXXX", dead[96], alive[96], other[96], command[64];
	int fd[3];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(dead, sizeof(dead), "%s/kbypass-ptp.1.2.3", dir);
	snprintf(alive, sizeof(alive), "%s/kbypass-ptp.1.2.4", dir);
	snprintf(other, sizeof(other), "%s/ptp4l", dir);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(a.sun_path, sizeof(a.sun_path), "%s",
			 i == 0 ? dead :
			 i == 1 ? alive :
				  other);
		fd[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
		assert_int_equal(bind(fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
	}
	close(fd[0]);
	close(fd[2]);
	kbp_ptp4l_sweep(dir);
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(alive, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	close(fd[1]);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void a_hundred_daemons_and_as_many_dead_ones_hold_nobody_up(void **state)
{
	static struct play d[100];
	static const char *paths[201];
	static char dead[100][64];
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	static struct kbp_clock_status s[256];
	struct kbp_monitor *mon;
	struct kbp_error err;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		play_open(&d[i]); /* alive, and they never answer */
		snprintf(dead[i], sizeof(dead[i]), "/tmp/kbypass-dead-%d-%u", (int)getpid(), i);
		paths[2 * i] = d[i].path;
		paths[2 * i + 1] = dead[i];
	}
	o.ptp4l = paths;
	o.sfptpd = "/nonexistent";
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), 0);
	n = kbp_monitor_status(mon, s, 256);
	assert_int_equal(n, 201);
	for (unsigned i = 0; i < n; i++)
		assert_int_not_equal(s[i].sync, KBP_SYNC_IN);
	kbp_monitor_close(mon);
	for (unsigned i = 0; i < 100; i++)
		play_close(&d[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slave_is_in_sync_and_its_bound_has_all_parts),
		cmocka_unit_test(without_a_stated_accuracy_there_is_no_bound),
		cmocka_unit_test(syncs_that_stop_are_a_lost_master_whatever_the_daemon_says),
		cmocka_unit_test(a_port_that_listens_again_is_a_lost_master),
		cmocka_unit_test(a_master_that_never_followed_says_nothing_of_its_clock),
		cmocka_unit_test(an_old_sync_at_the_first_look_is_known_as_old),
		cmocka_unit_test(the_slave_port_of_a_boundary_clock_counts),
		cmocka_unit_test(any_domain_is_found),
		cmocka_unit_test(a_daemon_that_dies_or_falls_silent_is_gone),
		cmocka_unit_test(what_is_in_doubt_begins_at_the_last_sync_within_the_limit),
		cmocka_unit_test(a_restarted_daemon_that_is_master_has_followed_none),
		cmocka_unit_test(a_restarted_daemon_may_steer_another_clock),
		cmocka_unit_test(a_daemon_that_only_hung_and_is_master_now_has_lost_its_own),
		cmocka_unit_test(an_interface_of_the_same_name_but_another_address_is_not_the_daemons),
		cmocka_unit_test(a_file_that_is_no_socket_is_an_answer_too),
		cmocka_unit_test(damaged_answers_neither_crash_nor_pass_for_whole_ones),
		cmocka_unit_test(garbage_on_the_socket_changes_nothing),
		cmocka_unit_test(an_answer_of_an_earlier_round_does_not_count),
		cmocka_unit_test(accuracy_is_what_the_standard_says),
		cmocka_unit_test(a_socket_is_found_once_and_not_by_its_read_only_twin),
		cmocka_unit_test(what_a_killed_process_left_is_swept_and_nothing_else),
		cmocka_unit_test(a_hundred_daemons_and_as_many_dead_ones_hold_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
