/* SPDX-License-Identifier: BSD-2-Clause */
/* The other witnesses: the kernel's word, sfptpd's files, a NIC's clock that the test plays; and what an account of a
 * clock makes of a loss that is found out late. */
#include "test.h"

#include <errno.h>
#include <linux/ptp_clock.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "tools/clock/kernel.h"
#include "tools/clock/phc.h"
#include "tools/clock/sfptpd.h"

#define S 1000000000ull

static const struct kbp_watch watch = { .limit_ns = 1000000, .holdover_ppb = 200 };

static uint64_t now_ns(clockid_t id)
{
	return kbp_clock_ns(id);
}

/* ---------------------------------------------------------------- kernel */

static void the_kernels_bound_counts_only_where_somebody_meant_it(void **state)
{
	struct timex t = { .maxerror = 800, .esterror = 20 };
	struct kbp_finding_of_clock f;

	(void)state;
	kbp_kernel_judge(&t, TIME_OK, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_int_equal(f.s.bound_ns, 800000);
	t.maxerror = 1200;
	kbp_kernel_judge(&t, TIME_OK, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(f.s.cause, KBP_CLOCK_OFFSET);
	assert_int_equal(f.s.bound_ns, 1200000);
	t.maxerror = 3; /* as linuxptp leaves it */
	t.esterror = 16000000;
	kbp_kernel_judge(&t, TIME_OK, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(f.s.bound_ns, KBP_BOUND_UNKNOWN);
	t.maxerror = t.esterror = 0; /* as it is read after a boot with linuxptp alone */
	kbp_kernel_judge(&t, TIME_OK, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(f.s.cause, KBP_CLOCK_UNWATCHED);
	assert_int_equal(f.s.bound_ns, KBP_BOUND_UNKNOWN);
	t.status = STA_UNSYNC;
	kbp_kernel_judge(&t, TIME_ERROR, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_NOT);
	assert_int_equal(f.s.cause, KBP_CLOCK_UNSYNCHRONISED);
	t.status = STA_INS;
	kbp_kernel_judge(&t, TIME_INS, &watch, &f);
	assert_string_equal(f.s.state, "leap second ahead");
}

/* ---------------------------------------------------------------- sfptpd */

/* As ptp_on_save_state writes it for a slave. */
static const char slave_text[] =
	"instance: ptp1\nclock-name: phc0(eth0/eth1)\nclock-id: 000f:53ff:fe01:0203\n"
	"state: ptp-slave\nalarms: none\n"
	"control-flags: selected, timestamp-processing, clock-ctrl\n"
	"interface: eth0 (bond0)\ntransport: ipv4\ntimestamping: hw\n"
	"offset-from-master: -12.500\none-way-delay: 450.250\n"
	"freq-adjustment-ppb: 1203.000\nin-sync: 1\nptp-domain: 0\nsteps-removed: 1\n"
	"grandmaster-id: 001c:73ff:ff00:0102\ngrandmaster-clock-class: 6\n"
	"grandmaster-clock-accuracy: 33 (<100ns)\ntimescale: tai\n"
	"current-utc-offset: 37\n";
static const char system_text[] =
	"clock-name: system\nclock-id: 0000:0000:0000:0000\nstate: local-slave\n"
	"alarms: none\nreference-clock-name: phc0(eth0/eth1)\n"
	"offset-from-reference: 80.000\nin-sync: 1\n";

static char dir[64];

static void file_write(const char *name, const char *text, size_t len, int age_s)
{
	char path[128];
	struct utimbuf t = { time(NULL) - age_s, time(NULL) - age_s };
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(text, 1, len, f);
	fclose(f);
	assert_int_equal(utime(path, &t), 0);
}

static int dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/kbypass-sfptpd-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int dir_remove(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* The witness for a file's name or clock among those of the directory. */
static void judge(const char *name, struct kbp_finding_of_clock *f)
{
	struct kbp_sfptpd *s = kbp_sfptpd_new(dir);
	unsigned n = kbp_sfptpd_look(s);
	bool found = false;

	for (unsigned i = 0; i < n && !found; i++) {
		kbp_sfptpd_judge(s, i, now_ns(CLOCK_MONOTONIC_RAW), &watch, f);
		found = !strcmp(f->s.name, name);
	}
	kbp_sfptpd_free(s);
	assert_true(found);
}

static void a_selected_slave_of_sfptpds_is_in_sync_as_of_its_files_time(void **state)
{
	struct kbp_finding_of_clock f;

	(void)state;
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, 20);
	file_write("state-system", system_text, sizeof(system_text) - 1, 20);
	file_write("stats-ptp1", "x", 1, 0);
	judge("sfptpd:ptp1", &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_int_equal(f.s.epoch, KBP_EPOCH_PHC);
	assert_int_equal(f.s.phc, 0);
	assert_string_equal(f.s.interface, "eth0");
	assert_true(f.s.offset_ns == -12 || f.s.offset_ns == -13);
	assert_int_equal(f.s.bound_ns, kbp_abs_ns(f.s.offset_ns) + 450 + 100);
	assert_true(now_ns(CLOCK_MONOTONIC_RAW) - f.verified_raw_ns >= 19 * S);
	/* the system's clock is as good as the one it is slaved to, and the distance */
	judge("sfptpd:system", &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_int_equal(f.s.epoch, KBP_EPOCH_UTC);
	assert_in_range(f.s.bound_ns, 80 + 450 + 100 + 12, 80 + 450 + 100 + 13);
	assert_true(now_ns(CLOCK_REALTIME) - f.verified_ns >= 19 * S);
}

static void what_sfptpd_complains_of_is_told(void **state)
{
	static const struct {
		const char *from, *to;
		enum kbp_sync sync;
		enum kbp_clock_cause cause;
	} cases[] = {
		{ "in-sync: 1", "in-sync: 0", KBP_SYNC_NOT, KBP_CLOCK_NOT_YET },
		{ "ptp-slave", "ptp-listening", KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST },
		{ "alarms: none", "alarms: no-sync-pkts", KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST },
		{ "selected, ", "", KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED },
		{ "-12.500", "1500000.000", KBP_SYNC_NOT, KBP_CLOCK_OFFSET },
		{ "offset-from-master", "x", KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED },
		{ "-12.500", "nan", KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kbp_finding_of_clock f;
		const char *at = strstr(slave_text, cases[i].from);
		char text[2048];

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - slave_text), slave_text,
			 cases[i].to, at + strlen(cases[i].from));
		file_write("state-ptp1", text, strlen(text), 0);
		judge("sfptpd:ptp1", &f);
		assert_int_equal(f.s.sync, cases[i].sync);
		assert_int_equal(f.s.cause, cases[i].cause);
		assert_true(f.s.text[0]);
	}
}

static void a_clock_slaved_to_another_is_worth_what_that_one_is(void **state)
{
	static const struct {
		const char *from, *to; /* of the instance that steers the other */
		int age_s;
		enum kbp_sync sync;
		enum kbp_clock_cause cause;
	} cases[] = {
		{ "ptp-slave", "ptp-listening", 0, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST },
		{ "alarms: none", "alarms: no-sync-pkts", 0, KBP_SYNC_NOT, KBP_CLOCK_MASTER_LOST },
		{ "in-sync: 1", "in-sync: 0", 0, KBP_SYNC_NOT, KBP_CLOCK_NOT_YET },
		{ "selected, ", "", 0, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED },
		{ "phc0(", "phc1(", 0, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED },
		{ "-12.500", "1500000.000", 0, KBP_SYNC_NOT, KBP_CLOCK_OFFSET },
		{ "ptp-slave", "ptp-slave", 160, KBP_SYNC_NOT, KBP_CLOCK_DAEMON_GONE },
		{ "ptp-slave", "ptp-slave", 0, KBP_SYNC_IN, KBP_CLOCK_FINE },
	};

	(void)state;
	file_write("state-system", system_text, sizeof(system_text) - 1, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kbp_finding_of_clock f;
		const char *at = strstr(slave_text, cases[i].from);
		char text[2048];

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - slave_text), slave_text,
			 cases[i].to, at + strlen(cases[i].from));
		file_write("state-ptp1", text, strlen(text), cases[i].age_s);
		judge("sfptpd:system", &f);
		assert_int_equal(f.s.sync, cases[i].sync);
		assert_int_equal(f.s.cause, cases[i].cause);
		/* the account goes by the distance from the master, not from the clock in between */
		if (f.s.cause == KBP_CLOCK_OFFSET)
			assert_true(f.abs_offset_ns > watch.limit_ns);
	}
}

static void the_evidence_of_a_slaved_clock_is_as_old_as_the_older_file(void **state)
{
	struct kbp_finding_of_clock f;

	(void)state;
	file_write("state-system", system_text, sizeof(system_text) - 1, 0);
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, 20);
	judge("sfptpd:system", &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_true(now_ns(CLOCK_MONOTONIC_RAW) - f.verified_raw_ns >= 19 * S);
}

static void a_state_file_of_the_future_is_no_evidence_until_it_is_written_again(void **state)
{
	struct kbp_sfptpd *s = kbp_sfptpd_new(dir);
	struct kbp_finding_of_clock f;
	uint64_t raw;

	(void)state;
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, -3600);
	assert_int_equal(kbp_sfptpd_look(s), 1);
	raw = now_ns(CLOCK_MONOTONIC_RAW);
	kbp_sfptpd_judge(s, 0, raw, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_UNKNOWN);
	assert_int_equal(f.s.cause, KBP_CLOCK_STEPPED);
	assert_true(f.s.text[0]);
	kbp_sfptpd_judge(s, 0, raw + 160 * S, &watch, &f); /* and it does not stay so for ever */
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	usleep(250000);
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, -3660);
	kbp_sfptpd_look(s);
	raw = now_ns(CLOCK_MONOTONIC_RAW);
	kbp_sfptpd_judge(s, 0, raw, &watch, &f); /* seen to change: no older than the look before */
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	assert_true(raw - f.verified_raw_ns >= 250000000);
	kbp_sfptpd_judge(s, 0, raw + 160 * S, &watch, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	kbp_sfptpd_free(s);
}

static void writings_close_together_do_not_make_a_live_sfptpd_look_dead(void **state)
{
	struct kbp_sfptpd *s = kbp_sfptpd_new(dir);
	struct kbp_finding_of_clock f;

	(void)state;
	for (int i = 0; i < 2; i++) { /* a second apart, as utime tells it */
		file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, 1 - i);
		kbp_sfptpd_look(s);
		usleep(250000);
	}
	/* its interval is a minute for all that is known */
	kbp_sfptpd_judge(s, 0, now_ns(CLOCK_MONOTONIC_RAW) + 60 * S, &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	kbp_sfptpd_free(s);
}

static void an_sfptpd_that_writes_no_more_is_gone(void **state)
{
	struct kbp_finding_of_clock f;
	struct kbp_sfptpd *s;
	char path[128];

	(void)state;
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, 160);
	judge("sfptpd:ptp1", &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	/* it deletes its files when it starts */
	file_write("state-ptp1", slave_text, sizeof(slave_text) - 1, 0);
	s = kbp_sfptpd_new(dir);
	assert_int_equal(kbp_sfptpd_look(s), 1);
	kbp_sfptpd_judge(s, 0, now_ns(CLOCK_MONOTONIC_RAW), &watch, &f);
	assert_int_equal(f.s.sync, KBP_SYNC_IN);
	snprintf(path, sizeof(path), "%s/state-ptp1", dir);
	assert_int_equal(unlink(path), 0);
	usleep(250000);
	assert_int_equal(kbp_sfptpd_look(s), 1);
	kbp_sfptpd_judge(s, 0, now_ns(CLOCK_MONOTONIC_RAW), &watch, &f);
	assert_int_equal(f.s.cause, KBP_CLOCK_DAEMON_GONE);
	kbp_sfptpd_free(s);
}

static void damaged_state_files_do_not_crash(void **state)
{
	struct kbp_sfptpd_state st;
	uint32_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = sizeof(slave_text) - 1;
		char *text = malloc(n);

		memcpy(text, slave_text, n);
		for (unsigned k = 0; k < 8; k++) {
			seed = seed * 1664525u + 1013904223u;
			text[(seed >> 8) % n] = (char)(seed >> 24);
		}
		n = i % n;
		text = realloc(text, n ? n : 1);
		(void)kbp_sfptpd_parse(text, n, &st);
		free(text);
	}
	assert_int_equal(kbp_sfptpd_parse("", 0, &st), -EBADMSG);
	assert_int_equal(kbp_sfptpd_parse("state: x\n", 9, &st), -EBADMSG);
}

static void evidence_that_is_too_old_is_expired_for_the_witness_and_the_account(void **state)
{
	static const char *const none[] = { "/nonexistent/ptp4l", NULL };
	static const char clock_line[] = "clock-name: phc0(eth0/eth1)";
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	struct kbp_clock_status s[8];
	struct kbp_monitor *mon;
	struct kbp_error err;
	struct kbp_claim claim;
	const char *at = strstr(slave_text, clock_line);
	char text[2048];
	unsigned n, i;

	(void)state;
	snprintf(text, sizeof(text), "%.*sclock-name: system%s", (int)(at - slave_text), slave_text,
		 at + sizeof(clock_line) - 1);
	file_write("state-ptp1", text, strlen(text), 20); /* 4 us of holdover */
	o.ptp4l = none;
	o.sfptpd = dir;
	for (unsigned wide = 0; wide < 2; wide++) {
		o.limit_ns = wide ? 1000000 : 1000;
		assert_int_equal(kbp_monitor_open(&o, &mon, &err), 0);
		n = kbp_monitor_status(mon, s, 8);
		for (i = 0; i < n && s[i].witness != KBP_WITNESS_SFPTPD; i++)
			;
		assert_true(i < n);
		kbp_clock_judge(kbp_monitor_clock(mon, KBP_EPOCH_UTC, -1), now_ns(CLOCK_REALTIME),
				&claim);
		assert_int_equal(s[i].sync, wide ? KBP_SYNC_IN : KBP_SYNC_UNKNOWN);
		assert_int_equal(s[i].cause, wide ? KBP_CLOCK_FINE : KBP_CLOCK_EXPIRED);
		assert_int_equal(claim.sync, s[i].sync);
		assert_int_equal(claim.cause, s[i].cause);
		assert_true(s[i].age_ns >= 19 * S && s[i].age_ns < UINT64_MAX);
		kbp_monitor_close(mon);
	}
}

/* ---------------------------------------------------------------- PHC */

/* A device that is ahead of the system's clock by so much. */
static int64_t ahead_ns;
static unsigned long knows; /* the best request it knows */
static bool there;

static uint64_t play_list(void)
{
	return there ? 8 : 0; /* /dev/ptp3 */
}

static int plugged = 33; /* the descriptor that reads it; others are of a device that was taken away */
static unsigned n_closed;

static int play_open(int phc)
{
	return phc == 3 && plugged ? plugged : -ENOENT;
}

static void play_close(int fd)
{
	assert_true(fd == 33 || fd == 34);
	n_closed++;
}

static struct ptp_clock_time play_time(uint64_t ns)
{
	struct ptp_clock_time t = { .sec = (int64_t)(ns / S), .nsec = (uint32_t)(ns % S) };

	return t;
}

static int play_ioctl(int fd, unsigned long request, void *arg)
{
	uint64_t now = now_ns(CLOCK_REALTIME), phc = now + (uint64_t)ahead_ns;

	if (fd != plugged)
		return -ENODEV;
	if (request == PTP_SYS_OFFSET_PRECISE && knows == PTP_SYS_OFFSET_PRECISE) {
		struct ptp_sys_offset_precise *p = arg;

		p->device = play_time(phc);
		p->sys_realtime = play_time(now);
		return 0;
	}
	if (request == PTP_SYS_OFFSET_EXTENDED && knows == PTP_SYS_OFFSET_EXTENDED) {
		struct ptp_sys_offset_extended *e = arg;

		for (unsigned i = 0; i < e->n_samples; i++) { /* one tight, the others wide */
			uint64_t half = i == 2 ? 40 : 4000;

			e->ts[i][0] = play_time(now - half);
			e->ts[i][1] = play_time(phc);
			e->ts[i][2] = play_time(now + half);
		}
		return 0;
	}
	if (request == PTP_SYS_OFFSET && knows == PTP_SYS_OFFSET) {
		struct ptp_sys_offset *o = arg;

		for (unsigned i = 0; i < 2 * o->n_samples + 1; i++)
			o->ts[i] = play_time(i % 2 ? phc + i * 300 : now + i * 300);
		return 0;
	}
	return -EOPNOTSUPP;
}

static int play_gettime(int fd, struct timespec *t)
{
	uint64_t ns = now_ns(CLOCK_REALTIME) + (uint64_t)ahead_ns;

	if (fd != plugged)
		return -ENODEV;
	t->tv_sec = (time_t)(ns / S);
	t->tv_nsec = (long)(ns % S);
	return 0;
}

static int32_t play_index(const char *interface)
{
	(void)interface;
	return -1;
}

static const struct kbp_phc_ops play = { play_list,  play_open,	   play_close,
					 play_ioctl, play_gettime, play_index };

static void a_phc_is_read_by_the_best_way_it_has(void **state)
{
	static const struct {
		unsigned long request;
		const char *how;
		uint64_t error_ns;
	} ways[] = {
		{ PTP_SYS_OFFSET_PRECISE, "precise", 1 },
		{ PTP_SYS_OFFSET_EXTENDED, "extended", 41 },
		{ PTP_SYS_OFFSET, "offset", 301 },
	};
	struct kbp_phc_reading r;

	(void)state;
	kbp_phc_set_ops(&play);
	ahead_ns = 123456;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		knows = ways[i].request;
		assert_int_equal(kbp_phc_read(33, &r), 0);
		assert_string_equal(r.how, ways[i].how);
		assert_int_equal(r.error_ns, ways[i].error_ns);
		assert_int_equal(r.phc_ns - r.sys_ns, 123456);
	}
	knows = 0;
	assert_int_equal(kbp_phc_read(33, &r), -EOPNOTSUPP);
	kbp_phc_set_ops(NULL);
}

static void a_monitor_reads_a_phc_and_has_an_account_and_conversions_of_it(void **state)
{
	static const char *const none[] = { "/nonexistent/ptp4l", NULL };
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	struct kbp_clock_status s[8];
	struct kbp_monitor *mon;
	struct kbp_moment m;
	struct kbp_error err;
	struct kbp_claim claim;
	uint64_t utc;
	unsigned n, i;

	(void)state;
	kbp_phc_set_ops(&play);
	there = true;
	knows = PTP_SYS_OFFSET_EXTENDED;
	ahead_ns = 37 * (int64_t)S + 250; /* TAI, as ptp4l sets it */
	o.ptp4l = none;
	o.sfptpd = "/nonexistent";
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), 0);
	n = kbp_monitor_status(mon, s, 8);
	for (i = 0; i < n && s[i].witness != KBP_WITNESS_PHC; i++)
		;
	assert_true(i < n);
	assert_string_equal(s[i].name, "ptp3");
	assert_int_equal(s[i].phc, 3);
	assert_true(s[i].have_offset);
	assert_int_equal(s[i].offset_ns, 250);
	/* nobody steers it, and the system's clock is not in sync either, or agrees within the limit */
	kbp_clock_judge(kbp_monitor_clock(mon, KBP_EPOCH_PHC, 3),
			now_ns(CLOCK_REALTIME) + (uint64_t)ahead_ns, &claim);
	assert_int_equal(claim.epoch, KBP_EPOCH_PHC);
	assert_int_equal(claim.sync, s[i].sync);
	assert_null(kbp_monitor_clock(mon, KBP_EPOCH_PHC, 4));
	assert_null(kbp_monitor_clock(mon, KBP_EPOCH_PHC, -1));
	assert_null(kbp_monitor_clock(mon, KBP_EPOCH_MONOTONIC, 0));
	utc = now_ns(CLOCK_REALTIME);
	usleep(250000);
	assert_int_equal(
		kbp_convert(kbp_monitor_converter(mon), KBP_SCALE_UTC, KBP_SCALE_PHC, 3, utc, &m), 0);
	assert_true(m.value - utc >= 37 * S + 250 - m.error_ns &&
		    m.value - utc <= 37 * S + 250 + m.error_ns);
	kbp_monitor_close(mon);
	kbp_phc_set_ops(NULL);
	there = false;
}

static void a_phc_that_was_taken_away_comes_back_as_another_part(void **state)
{
	struct kbp_converter_opts o = KBP_CONVERTER_OPTS_INIT;
	const int32_t phc = 3;
	struct kbp_converter *c;
	struct kbp_moment m;
	struct kbp_error err;
	uint64_t gap, raw;

	(void)state;
	kbp_phc_set_ops(&play);
	ahead_ns = 0;
	n_closed = 0;
	o.phc = &phc;
	o.n_phc = 1;
	assert_int_equal(kbp_converter_open(&o, &c, &err), 0);
	plugged = 0;
	kbp_converter_sample(c);
	assert_int_equal(n_closed, 1); /* the dead descriptor is not kept */
	gap = now_ns(CLOCK_MONOTONIC_RAW);
	kbp_converter_sample(c);
	plugged = 34;
	for (unsigned i = 0; i < 2; i++) {
		usleep(2000);
		kbp_converter_sample(c);
	}
	raw = now_ns(CLOCK_MONOTONIC_RAW);
	kbp_converter_sample(c);
	assert_int_equal(kbp_convert(c, KBP_SCALE_RAW, KBP_SCALE_PHC, 3, raw, &m), 0);
	assert_false(m.flags & KBP_MOMENT_EXTRAPOLATED);
	/* that both show the same time is chance */
	assert_int_equal(kbp_convert(c, KBP_SCALE_RAW, KBP_SCALE_PHC, 3, gap, &m), -ENOTUNIQ);
	kbp_converter_close(c);
	assert_int_equal(n_closed, 2);
	plugged = 33;
	kbp_phc_set_ops(NULL);
}

static void a_monitor_refuses_what_it_cannot_do(void **state)
{
	static const char *const empty[] = { "", NULL };
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	struct kbp_monitor *mon;
	struct kbp_error err;

	(void)state;
	o.interval_ms = 501;
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), -EINVAL);
	assert_null(mon);
	o.interval_ms = 9;
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), -EINVAL);
	o.interval_ms = 0;
	o.ptp4l = empty;
	assert_int_equal(kbp_monitor_open(&o, &mon, &err), -EINVAL);
	assert_true(err.hint[0]);
	kbp_monitor_close(NULL);
}

/* ---------------------------------------------------------------- accounts */

static void look_at(struct kbp_clock *c, uint64_t at, enum kbp_sync sync, uint64_t verified,
		    uint64_t since)
{
	struct kbp_clock_look l = { .at_ns = at,
				    .raw_ns = at - 900 * S,
				    .sync = sync,
				    .bound_ns = 500,
				    .verified_ns = verified,
				    .since_ns = since,
				    .cause = sync == KBP_SYNC_IN ? KBP_CLOCK_FINE :
								   KBP_CLOCK_MASTER_LOST };

	assert_int_equal(kbp_clock_add(c, &l), 0);
}

static void a_loss_that_is_found_late_requalifies_all_stamps_since_the_last_sync(void **state)
{
	struct kbp_clock_opts o = KBP_CLOCK_OPTS_INIT;
	const uint64_t ms = 1000000, t0 = 1000 * S;
	struct kbp_clock *c;
	struct kbp_claim claim;

	(void)state;
	o.epoch = KBP_EPOCH_UTC;
	assert_int_equal(kbp_clock_open(&o, &c, NULL), 0);
	look_at(c, t0, KBP_SYNC_IN, t0 - 10 * ms, 0);
	look_at(c, t0 + 100 * ms, KBP_SYNC_IN, t0 + 90 * ms, 0); /* the last sync */
	look_at(c, t0 + 200 * ms, KBP_SYNC_IN, t0 + 90 * ms, 0);
	look_at(c, t0 + 300 * ms, KBP_SYNC_IN, t0 + 90 * ms, 0);
	kbp_clock_judge(c, t0 + 150 * ms, &claim);
	assert_int_equal(claim.sync, KBP_SYNC_IN);
	assert_false(claim.settled); /* looked at since, and nothing new was seen */
	kbp_clock_judge(c, t0 + 50 * ms, &claim);
	assert_true(claim.settled);
	look_at(c, t0 + 400 * ms, KBP_SYNC_NOT, 0, t0 + 90 * ms);
	for (unsigned at = 110; at < 400; at += 20) {
		kbp_clock_judge(c, t0 + at * ms, &claim);
		assert_int_equal(claim.sync, KBP_SYNC_NOT);
		assert_int_equal(claim.cause, KBP_CLOCK_MASTER_LOST);
	}
	kbp_clock_judge(c, t0 + 80 * ms, &claim);
	assert_int_equal(claim.sync, KBP_SYNC_IN);
	assert_true(claim.settled);
	kbp_clock_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_bound_counts_only_where_somebody_meant_it),
		cmocka_unit_test_setup_teardown(
			a_selected_slave_of_sfptpds_is_in_sync_as_of_its_files_time, dir_make,
			dir_remove),
		cmocka_unit_test_setup_teardown(what_sfptpd_complains_of_is_told, dir_make,
						dir_remove),
		cmocka_unit_test_setup_teardown(a_clock_slaved_to_another_is_worth_what_that_one_is,
						dir_make, dir_remove),
		cmocka_unit_test_setup_teardown(
			the_evidence_of_a_slaved_clock_is_as_old_as_the_older_file, dir_make,
			dir_remove),
		cmocka_unit_test_setup_teardown(
			a_state_file_of_the_future_is_no_evidence_until_it_is_written_again,
			dir_make, dir_remove),
		cmocka_unit_test_setup_teardown(
			writings_close_together_do_not_make_a_live_sfptpd_look_dead, dir_make,
			dir_remove),
		cmocka_unit_test_setup_teardown(an_sfptpd_that_writes_no_more_is_gone, dir_make,
						dir_remove),
		cmocka_unit_test_setup_teardown(
			evidence_that_is_too_old_is_expired_for_the_witness_and_the_account,
			dir_make, dir_remove),
		cmocka_unit_test(damaged_state_files_do_not_crash),
		cmocka_unit_test(a_phc_is_read_by_the_best_way_it_has),
		cmocka_unit_test(a_monitor_reads_a_phc_and_has_an_account_and_conversions_of_it),
		cmocka_unit_test(a_phc_that_was_taken_away_comes_back_as_another_part),
		cmocka_unit_test(a_monitor_refuses_what_it_cannot_do),
		cmocka_unit_test(a_loss_that_is_found_late_requalifies_all_stamps_since_the_last_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
