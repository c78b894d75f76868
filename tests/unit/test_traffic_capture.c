/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures of every form and every kind of damage: what is kept, what is said about the rest. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <kbypass/traffic.h>

#include "capture_craft.h"

static struct craft c, gz;
static struct kbp_capture_report report;
static struct kbp_error err;
static struct kbp_capture_opts opts;
static struct kbp_timing timing;

static int setup(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&gz, 0, sizeof(gz));
	memset(&err, 0, sizeof(err));
	memset(&opts, 0, sizeof(opts));
	memset(&timing, 0, sizeof(timing));
	opts.size = sizeof(opts);
	return 0;
}

static int load_from(const struct craft *file, struct kbp_schedule **s)
{
	char path[64];
	int fd = craft_path(file, path);
	int rc = kbp_schedule_from_capture(path, &opts, &timing, s, &report, &err);

	close(fd);
	return rc;
}

/* Load what was crafted, or fail the test with the library's reason. */
static struct kbp_schedule *load(const struct craft *file)
{
	struct kbp_schedule *s;

	if (load_from(file, &s))
		fail_msg("%s: %s", err.step, err.hint);
	return s;
}

static void refused(const struct craft *file, int code, const char *says)
{
	struct kbp_schedule *s = (void *)&c;

	assert_int_equal(load_from(file, &s), code);
	assert_null(s);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.step, "/proc/self/fd/"));
	if (!strstr(err.hint, says))
		fail_msg("\"%s\" does not say \"%s\"", err.hint, says);
}

static void add(unsigned what, uint32_t s, uint32_t frac, const char *payload)
{
	uint8_t frame[256];
	uint32_t n = craft_frame(frame, what, 5000, payload, (uint32_t)strlen(payload));

	craft_record(&c, s, frac, frame, n, n);
}

static const char *payload_of(const struct kbp_schedule *s, uint32_t i)
{
	return (const char *)s->bytes + s->frames[i].offset + s->frames[i].payload_offset;
}

static const uint8_t *frame_of(const struct kbp_schedule *s, uint32_t i)
{
	return s->bytes + s->frames[i].offset;
}

/* ---------------------------------------------------------------- forms */

static void two_frames_are_read(const struct craft *file, uint64_t gap_ns)
{
	struct kbp_schedule *s = load(file);

	assert_int_equal(s->n_frames, 2);
	assert_int_equal(s->n_total, 2);
	assert_int_equal(report.records, 2);
	assert_int_equal(report.damage.record, 0);
	assert_int_equal(s->n_flows, 1);
	assert_int_equal(s->flows[0].dst_port, 5000);
	assert_int_equal(s->frames[0].at_ns, 0);
	assert_int_equal(s->frames[1].at_ns, gap_ns);
	assert_int_equal(s->frames[1].payload_len, 6);
	assert_memory_equal(payload_of(s, 1), "second", 6);
	assert_int_equal(s->frames[1].payload_hash, kbp_payload_hash("second", 6));
	kbp_schedule_close(s);
}

static void a_pcap_with_microseconds_is_read(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 100, 999999, "first");
	add(CRAFT_GROUP, 101, 1, "second");
	two_frames_are_read(&c, 2000);
}

static void a_pcap_with_nanoseconds_is_read(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_NS, 65535, 1);
	add(CRAFT_GROUP, 100, 999999999, "first");
	add(CRAFT_GROUP, 101, 1, "second");
	two_frames_are_read(&c, 2);
}

static void a_big_endian_pcap_is_read(void **state)
{
	(void)state;
	c.big = 1;
	craft_pcap(&c, CRAFT_NS, 65535, 1);
	add(CRAFT_GROUP, 100, 10, "first");
	add(CRAFT_GROUP, 100, 25, "second");
	two_frames_are_read(&c, 15);
}

static void pcapng(int ns, int unknown)
{
	uint8_t frame[256];
	uint32_t n;

	craft_pcapng(&c, 1, ns);
	if (unknown)
		craft_block(&c, 0x0bad0bad, "whatever", 8);
	n = craft_frame(frame, CRAFT_GROUP, 5000, "first", 5);
	craft_packet_block(&c, 1000, frame, n);
	if (unknown)
		craft_block(&c, 5, "\0\0\0\0\0\0\0\0\0\0\0", 12); /* interface statistics */
	n = craft_frame(frame, CRAFT_GROUP, 5000, "second", 6);
	craft_packet_block(&c, 1007, frame, n);
}

static void a_pcapng_with_microseconds_is_read(void **state)
{
	(void)state;
	pcapng(0, 0);
	two_frames_are_read(&c, 7000);
}

static void a_pcapng_with_nanoseconds_is_read(void **state)
{
	(void)state;
	pcapng(1, 0);
	two_frames_are_read(&c, 7);
}

static void a_big_endian_pcapng_is_read(void **state)
{
	(void)state;
	c.big = 1;
	pcapng(1, 0);
	two_frames_are_read(&c, 7);
}

static void unknown_pcapng_blocks_are_passed_over(void **state)
{
	(void)state;
	pcapng(0, 1);
	two_frames_are_read(&c, 7000);
}

static void gzip_is_read_transparently(void **state)
{
	(void)state;
	pcapng(1, 0);
	craft_gzip(&c, &gz);
	two_frames_are_read(&gz, 7);
	assert_true(report.gzip);
}

/* ---------------------------------------------------------------- damage */

static void a_file_that_ends_in_mid_record_keeps_what_precedes(void **state)
{
	struct kbp_schedule *s;
	size_t whole;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	add(0, 2, 0, "second");
	whole = c.len;
	add(0, 3, 0, "third");
	c.len -= 3;
	s = load(&c);
	assert_int_equal(s->n_frames, 2);
	assert_int_equal(report.damage.record, 3);
	assert_int_equal(report.damage.offset, whole);
	assert_non_null(strstr(report.damage_text, "truncated"));
	kbp_schedule_close(s);
}

static void a_file_that_ends_in_a_record_header_keeps_what_precedes(void **state)
{
	struct kbp_schedule *s;
	size_t whole;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	whole = c.len;
	craft_u32(&c, 2);
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.damage.record, 2);
	assert_int_equal(report.damage.offset, whole);
	kbp_schedule_close(s);
}

static void a_pcapng_that_ends_in_mid_block_keeps_what_precedes(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	pcapng(0, 0);
	c.len -= 5;
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.damage.record, 2);
	kbp_schedule_close(s);
}

static void a_giant_record_length_is_reported_with_its_place(void **state)
{
	struct kbp_schedule *s;
	size_t whole;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	whole = c.len;
	craft_u32(&c, 1);
	craft_u32(&c, 0);
	craft_u32(&c, 0x7fffffff);
	craft_u32(&c, 0x7fffffff);
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.damage.record, 2);
	assert_int_equal(report.damage.offset, whole);
	assert_true(report.damage_text[0]);
	kbp_schedule_close(s);
}

static void a_truncated_gzip_keeps_what_precedes(void **state)
{
	struct kbp_schedule *s;
	uint32_t noise = 1;
	char payload[64];

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (uint32_t i = 0; i < 2000; i++) {
		noise = noise * 1664525 + 1013904223;
		snprintf(payload, sizeof(payload), "%08x%08x", noise, noise ^ i);
		add(0, i, 0, payload);
	}
	craft_gzip(&c, &gz);
	gz.len = gz.len * 3 / 4;
	s = load(&gz);
	assert_in_range(s->n_frames, 1000, 1999);
	assert_int_equal(report.damage.record, s->n_frames + 1);
	assert_non_null(strstr(report.damage_text, "gzip stream ends early"));
	kbp_schedule_close(s);
}

static void a_gzip_cut_between_records_is_reported_too(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	craft_gzip(&c, &gz);
	gz.len -= 8; /* all the data, but not the checksum and length behind it */
	s = load(&gz);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.damage.record, 2);
	assert_non_null(strstr(report.damage_text, "gzip"));
	kbp_schedule_close(s);
}

static void a_gzip_with_a_wrong_checksum_keeps_every_record(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "first");
	add(CRAFT_GROUP, 1, 1, "second");
	craft_gzip(&c, &gz);
	gz.bytes[gz.len - 6] ^= 0xff; /* in the CRC-32 */
	s = load(&gz);
	assert_int_equal(s->n_frames, 2);
	assert_int_equal(report.damage.record, 3);
	assert_int_equal(report.damage.offset, c.len);
	assert_non_null(strstr(report.damage_text, "gzip"));
	assert_null(strstr(report.damage_text, "<fd"));
	kbp_schedule_close(s);
}

static void gzips_one_after_the_other_are_one_capture(void **state)
{
	static struct craft half;
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "first");
	craft_gzip(&c, &gz);
	c.len = 0;
	add(CRAFT_GROUP, 1, 1, "second");
	craft_gzip(&c, &half);
	memcpy(gz.bytes + gz.len, half.bytes, half.len);
	gz.len += half.len;
	s = load(&gz);
	assert_int_equal(s->n_frames, 2);
	assert_int_equal(report.damage.record, 0);
	kbp_schedule_close(s);
}

static void stamps_beyond_2038_are_in_order(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 0x7fffffff, 999999, "first");
	add(CRAFT_GROUP, 0x80000000, 0, "second");
	s = load(&c);
	assert_int_equal(report.out_of_order, 0);
	assert_int_equal(s->frames[1].at_ns, 1000);
	kbp_schedule_close(s);
}

static void a_fifo_is_refused_and_not_waited_for(void **state)
{
	struct kbp_schedule *s;
	char path[] = "/tmp/kbp-fifo-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(kbp_schedule_from_capture(path, &opts, &timing, &s, &report, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "no regular file"));
	unlink(path);
}

static bool never(void *arg)
{
	++*(unsigned *)arg;
	return false;
}

static void reading_ends_when_it_is_told_to(void **state)
{
	struct kbp_schedule *s;
	unsigned asked = 0;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (uint32_t i = 0; i < 1500; i++)
		add(CRAFT_GROUP, 1, i, "x");
	opts.go_on = never;
	opts.arg = &asked;
	assert_int_equal(load_from(&c, &s), -ECANCELED);
	assert_int_equal(asked, 1);
}

static void a_damaged_gzip_is_reported(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	craft_gzip(&c, &gz);
	memset(gz.bytes + 10, 0xff, gz.len - 10);
	refused(&gz, -EINVAL, "at byte");
}

static void an_empty_file_is_refused(void **state)
{
	(void)state;
	refused(&c, -ENODATA, "empty");
}

static void a_truncated_file_header_is_refused(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	c.len = 11;
	refused(&c, -EINVAL, "at byte 11");
}

static void a_file_without_packets_is_refused(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	refused(&c, -ENODATA, "holds no packets");
}

static void a_bad_magic_is_refused(void **state)
{
	(void)state;
	craft_pcap(&c, 0xa1b2c3d5u, 65535, 1);
	add(0, 1, 0, "first");
	refused(&c, -EINVAL, "no pcap or pcapng file");
}

static void garbage_is_refused(void **state)
{
	uint32_t x = 7;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		x = x * 1664525 + 1013904223;
		craft_u32(&c, x);
	}
	refused(&c, -EINVAL, "no pcap or pcapng file");
}

static void a_first_record_that_is_damaged_leaves_nothing_and_says_where(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 1, 0, "first");
	c.len -= 1;
	refused(&c, -ENODATA, "record 1 at byte 24");
}

static void a_link_type_other_than_ethernet_is_refused(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 113);
	add(0, 1, 0, "first");
	refused(&c, -EPROTONOSUPPORT, "LINUX_SLL");
}

/* An IP packet without its Ethernet header, as kbypass capture writes of sockets. */
static void add_ip(unsigned what, const char *payload)
{
	uint8_t frame[256];
	uint32_t n = craft_frame(frame, what, 5000, payload, (uint32_t)strlen(payload)) - 14;

	craft_record(&c, 1, 0, frame + 14, n, n);
}

static void ip_packets_get_an_ethernet_header(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 101);
	add_ip(CRAFT_GROUP, "to all");
	add_ip(CRAFT_GROUP | CRAFT_IPV6, "to all");
	add_ip(0, "to one");
	craft_record(&c, 1, 0, "", 0, 0);
	craft_record(&c, 1, 0, "E", 1, 1);
	s = load(&c);
	assert_int_equal(s->n_frames, 3);
	assert_int_equal(report.records, 5);
	assert_memory_equal(frame_of(s, 0), "\x01\x00\x5e\x01\x02\x03\0\0\0\0\0\0\x08\x00\x45", 15);
	assert_memory_equal(frame_of(s, 1), "\x33\x33\x00\x00\x00\x05\0\0\0\0\0\0\x86\xdd\x60", 15);
	assert_memory_equal(frame_of(s, 2), "\0\0\0\0\0\0\0\0\0\0\0\0\x08\x00\x45", 15);
	for (uint32_t i = 0; i < 3; i++) {
		assert_memory_equal(payload_of(s, i), i < 2 ? "to all" : "to one", 6);
		assert_true(craft_sums_right(frame_of(s, i)));
	}
	kbp_schedule_close(s);
}

static void ip_packets_get_the_addresses_that_were_asked_for(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 101);
	add_ip(0, "to one");
	memcpy(opts.to_mac, "\x02\x22\x22\x22\x22\x22", 6);
	memcpy(opts.from_mac, "\x02\x11\x11\x11\x11\x11", 6);
	s = load(&c);
	assert_memory_equal(frame_of(s, 0),
			    "\x02\x22\x22\x22\x22\x22\x02\x11\x11\x11\x11\x11\x08\x00", 14);
	kbp_schedule_close(s);
}

static void missing_files_and_directories_are_refused(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	assert_int_equal(kbp_schedule_from_capture("/nonexistent/x.pcap", &opts, &timing, &s, NULL,
						   &err),
			 -ENOENT);
	assert_non_null(strstr(err.step, "/nonexistent/x.pcap"));
	assert_int_equal(kbp_schedule_from_capture("/proc", &opts, &timing, &s, NULL, &err), -EISDIR);
	assert_null(s);
}

static void an_unreadable_file_is_refused(void **state)
{
	char path[] = "/tmp/kbypass-capture-XXXXXX";
	struct kbp_schedule *s;
	bool root = geteuid() == 0;
	int fd = mkstemp(path), rc;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0), 0);
	close(fd);
	if (root)
		assert_int_equal(seteuid(65534), 0); /* root reads everything */
	rc = kbp_schedule_from_capture(path, &opts, &timing, &s, NULL, &err);
	if (root)
		assert_int_equal(seteuid(0), 0);
	unlink(path);
	assert_int_equal(rc, -EACCES);
}

static void a_snapshot_length_of_zero_is_tolerated(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 0, 1);
	add(0, 1, 0, "first");
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	kbp_schedule_close(s);
}

static void empty_records_are_skipped(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	craft_record(&c, 1, 0, "", 0, 0);
	add(0, 1, 0, "first");
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.records, 2);
	assert_int_equal(report.skipped_truncated + report.skipped_malformed + report.skipped_not_ip,
			 1);
	kbp_schedule_close(s);
}

/* ---------------------------------------------------------------- frames */

static void what_is_no_whole_datagram_is_skipped_by_name(void **state)
{
	struct kbp_schedule *s;
	uint8_t frame[256];
	uint32_t n;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_ARP, 1, 0, "arp");
	add(CRAFT_TCP, 1, 0, "tcp segment, long enough");
	add(CRAFT_FRAGMENT, 1, 0, "fragment");
	n = craft_frame(frame, 0, 5000, "cut by snaplen", 14);
	craft_record(&c, 1, 0, frame, n - 6, n);
	frame[39] = 200; /* UDP length beyond the IP packet */
	craft_record(&c, 1, 0, frame, n, n);
	add(0, 2, 0, "whole");
	s = load(&c);
	assert_int_equal(s->n_frames, 1);
	assert_int_equal(report.skipped_not_ip, 1);
	assert_int_equal(report.skipped_not_udp, 1);
	assert_int_equal(report.skipped_fragment, 1);
	assert_int_equal(report.skipped_truncated, 1);
	assert_int_equal(report.skipped_malformed, 1);
	assert_int_equal(report.records, 6);
	kbp_schedule_close(s);
}

static void a_capture_without_datagrams_is_refused_with_the_counts(void **state)
{
	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_TCP, 1, 0, "tcp segment, long enough");
	refused(&c, -ENODATA, "1 not UDP");
}

static void vlan_tags_are_kept(void **state)
{
	struct kbp_datagram d = { .dst = { AF_INET, { 239, 1, 2, 3 } }, .dst_port = 5000, .vlan = 7 };
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "untagged");
	add(CRAFT_GROUP | CRAFT_VLAN, 1, 0, "tagged");
	s = load(&c);
	assert_int_equal(report.tagged, 1);
	assert_int_equal(s->n_flows, 2);
	assert_int_equal(s->flows[1].vlan, 7);
	assert_memory_equal(frame_of(s, 1) + 12, "\x81\x00\x00\x07\x08\x00", 6);
	assert_memory_equal(payload_of(s, 1), "tagged", 6);
	assert_int_equal(kbp_schedule_flow(s, &d), 1);
	d.vlan = 0;
	assert_int_equal(kbp_schedule_flow(s, &d), 0);
	d.vlan = 8;
	assert_int_equal(kbp_schedule_flow(s, &d), -1);
	kbp_schedule_close(s);
}

static void trailers_are_cut_and_counted(void **state)
{
	static const char payload[] = "a payload longer than the shortest Ethernet frame is";
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_TRAILER, 1, 0, payload);
	s = load(&c);
	assert_int_equal(report.trailers, 1);
	assert_int_equal(s->frames[0].payload_len, sizeof(payload) - 1);
	assert_int_equal(s->frames[0].len, 42 + sizeof(payload) - 1);
	kbp_schedule_close(s);
}

static void ethernet_padding_is_no_trailer(void **state)
{
	struct kbp_schedule *s;
	uint8_t frame[60] = { 0 };

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	craft_frame(frame, 0, 5000, "ab", 2);
	craft_record(&c, 1, 0, frame, 60, 60);
	s = load(&c);
	assert_int_equal(report.trailers, 0);
	assert_int_equal(s->frames[0].len, 60);
	assert_int_equal(s->frames[0].payload_len, 2);
	kbp_schedule_close(s);
}

static void wrong_checksums_are_mended_and_counted(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "right");
	add(CRAFT_GROUP | CRAFT_BAD_SUMS, 1, 0, "wrong, odd");
	add(CRAFT_GROUP | CRAFT_IPV6 | CRAFT_BAD_SUMS, 1, 0, "wrong too");
	add(CRAFT_GROUP | CRAFT_IPV6 | CRAFT_NO_UDP_SUM, 1, 0, "IPv6 must have one");
	s = load(&c);
	assert_int_equal(report.mended, 3);
	for (uint32_t i = 0; i < s->n_frames; i++)
		assert_true(craft_sums_right(frame_of(s, i)));
	kbp_schedule_close(s);
}

static void a_datagram_without_checksum_stays_without(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_NO_UDP_SUM, 1, 0, "none");
	s = load(&c);
	assert_int_equal(report.mended, 0);
	assert_memory_equal(frame_of(s, 0) + 40, "\0\0", 2);
	kbp_schedule_close(s);
}

static void stamps_out_of_order_are_counted_and_never_go_back(void **state)
{
	struct kbp_schedule *s;
	size_t third;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(0, 10, 0, "a");
	add(0, 10, 500, "b");
	third = c.len;
	add(0, 10, 200, "c");
	add(0, 9, 999999, "d");
	add(0, 10, 600, "e");
	s = load(&c);
	assert_int_equal(report.out_of_order, 2);
	assert_int_equal(report.first_out_of_order.record, 3);
	assert_int_equal(report.first_out_of_order.offset, third);
	assert_int_equal(report.backwards_max_ns, 501000);
	assert_int_equal(report.gap_max_ns, 500000);
	assert_int_equal(report.gap_max.record, 2);
	assert_int_equal(s->frames[2].at_ns, 500000);
	assert_int_equal(s->frames[3].at_ns, 500000);
	assert_int_equal(s->frames[4].at_ns, 600000);
	kbp_schedule_close(s);
}

/* ---------------------------------------------------------------- rewriting */

static void rewrite_to(void)
{
	memcpy(opts.from_mac, "\x02\x11\x11\x11\x11\x11", 6);
	memcpy(opts.to_mac, "\x02\x22\x22\x22\x22\x22", 6);
	opts.from_ip4 = (struct kbp_addr){ AF_INET, { 192, 0, 2, 1 } };
	opts.to_ip4 = (struct kbp_addr){ AF_INET, { 192, 0, 2, 2 } };
	opts.to_ip6 = (struct kbp_addr){ AF_INET6, { 0x20, 1, 0xd, 0xb8, 0, 9 } };
}

static void unicast_goes_to_the_receiver(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_VLAN, 1, 0, "to me");
	add(CRAFT_IPV6, 1, 0, "to me too");
	rewrite_to();
	s = load(&c);
	assert_int_equal(report.readdressed, 2);
	assert_int_equal(report.mended, 0);
	assert_memory_equal(frame_of(s, 0), "\x02\x22\x22\x22\x22\x22\x02\x11\x11\x11\x11\x11", 12);
	assert_memory_equal(frame_of(s, 0) + 18 + 12, "\x0a\x01\x01\x01\xc0\x00\x02\x02", 8);
	assert_memory_equal(s->flows[0].dst.bytes, opts.to_ip4.bytes, 16);
	assert_memory_equal(frame_of(s, 1) + 14 + 24, opts.to_ip6.bytes, 16);
	assert_true(craft_sums_right(frame_of(s, 0)));
	assert_true(craft_sums_right(frame_of(s, 1)));
	kbp_schedule_close(s);
}

static void groups_keep_their_address_and_get_its_mac(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "to all");
	add(CRAFT_GROUP | CRAFT_IPV6, 1, 0, "to all");
	rewrite_to();
	s = load(&c);
	assert_int_equal(report.readdressed, 0);
	assert_memory_equal(frame_of(s, 0), "\x01\x00\x5e\x01\x02\x03\x02\x11\x11\x11\x11\x11", 12);
	assert_memory_equal(frame_of(s, 0) + 30, "\xef\x01\x02\x03", 4);
	assert_memory_equal(frame_of(s, 1), "\x33\x33\x00\x00\x00\x05", 6);
	kbp_schedule_close(s);
}

static void the_source_address_is_rewritten_only_when_asked_for(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	craft_pcap(&c, CRAFT_US, 65535, 1);
	add(CRAFT_GROUP, 1, 0, "to all");
	rewrite_to();
	opts.flags = KBP_CAPTURE_SOURCE;
	s = load(&c);
	assert_memory_equal(frame_of(s, 0) + 26, "\xc0\x00\x02\x01", 4);
	assert_true(craft_sums_right(frame_of(s, 0)));
	kbp_schedule_close(s);
}

/* Three frames, at 0, 1000 and 3000 us. */
static void three_frames(void)
{
	static const uint32_t at_us[] = { 0, 1000, 3000 };
	uint8_t frame[256];

	craft_pcap(&c, CRAFT_US, 65535, 1);
	for (int i = 0; i < 3; i++) {
		uint32_t n = craft_frame(frame, CRAFT_GROUP, 5000, "xyz", (uint32_t)i + 1);

		craft_record(&c, 1, at_us[i], frame, n, n);
	}
}

static void a_capture_is_played_as_often_as_asked(void **state)
{
	struct kbp_schedule *s;
	uint64_t at;

	(void)state;
	three_frames();
	timing.loops = 3;
	s = load(&c);
	assert_int_equal(s->n_total, 9);
	assert_int_equal(kbp_schedule_at(s, 7, &at), 1);
	assert_int_equal(at, 2 * s->period_ns + 1000000);
	kbp_schedule_close(s);
	timing.seconds = 0.0055; /* a loop takes 4.5 ms: the second frame of the second is due then */
	s = load(&c);
	assert_int_equal(s->n_total, 4);
	kbp_schedule_close(s);
	timing.seconds = 100;
	s = load(&c);
	assert_int_equal(s->n_total, 9);
	kbp_schedule_close(s);
}

static void loops_at_a_rate_end_with_the_last_frame_or_the_time(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	three_frames();
	timing.kind = KBP_TIMING_CONSTANT;
	timing.rate_pps = 10;
	timing.loops = 4;
	s = load(&c);
	assert_int_equal(s->n_total, 12);
	kbp_schedule_close(s);
	timing.seconds = 0.5;
	s = load(&c);
	assert_int_equal(s->n_total, 5);
	kbp_schedule_close(s);
	timing.seconds = 100;
	s = load(&c);
	assert_int_equal(s->n_total, 12);
	kbp_schedule_close(s);
	timing.loops = 0; /* as a bench does: as often as fits */
	s = load(&c);
	assert_int_equal(s->n_total, 1000);
	kbp_schedule_close(s);
}

static void loops_beyond_all_time_are_refused(void **state)
{
	struct kbp_schedule *s;

	(void)state;
	three_frames();
	timing.loops = UINT32_MAX;
	timing.speed = 1e-6; /* 4.5 ms become 75 minutes */
	assert_int_equal(load_from(&c, &s), -EINVAL);
	assert_non_null(strstr(err.hint, "years"));
	timing.speed = 0;
	timing.kind = KBP_TIMING_CONSTANT;
	timing.rate_pps = 1;
	assert_int_equal(load_from(&c, &s), -EINVAL);
	timing.rate_pps = 1000000000;
	s = load(&c);
	assert_int_equal(s->n_total, 3ull * UINT32_MAX);
	kbp_schedule_close(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		T(a_pcap_with_microseconds_is_read),
		T(a_pcap_with_nanoseconds_is_read),
		T(a_big_endian_pcap_is_read),
		T(a_pcapng_with_microseconds_is_read),
		T(a_pcapng_with_nanoseconds_is_read),
		T(a_big_endian_pcapng_is_read),
		T(unknown_pcapng_blocks_are_passed_over),
		T(gzip_is_read_transparently),
		T(a_file_that_ends_in_mid_record_keeps_what_precedes),
		T(a_file_that_ends_in_a_record_header_keeps_what_precedes),
		T(a_pcapng_that_ends_in_mid_block_keeps_what_precedes),
		T(a_giant_record_length_is_reported_with_its_place),
		T(a_truncated_gzip_keeps_what_precedes),
		T(a_gzip_cut_between_records_is_reported_too),
		T(a_gzip_with_a_wrong_checksum_keeps_every_record),
		T(gzips_one_after_the_other_are_one_capture),
		T(stamps_beyond_2038_are_in_order),
		T(a_fifo_is_refused_and_not_waited_for),
		T(reading_ends_when_it_is_told_to),
		T(a_damaged_gzip_is_reported),
		T(an_empty_file_is_refused),
		T(a_truncated_file_header_is_refused),
		T(a_file_without_packets_is_refused),
		T(a_bad_magic_is_refused),
		T(garbage_is_refused),
		T(a_first_record_that_is_damaged_leaves_nothing_and_says_where),
		T(a_link_type_other_than_ethernet_is_refused),
		T(ip_packets_get_an_ethernet_header),
		T(ip_packets_get_the_addresses_that_were_asked_for),
		T(missing_files_and_directories_are_refused),
		T(an_unreadable_file_is_refused),
		T(a_snapshot_length_of_zero_is_tolerated),
		T(empty_records_are_skipped),
		T(what_is_no_whole_datagram_is_skipped_by_name),
		T(a_capture_without_datagrams_is_refused_with_the_counts),
		T(vlan_tags_are_kept),
		T(trailers_are_cut_and_counted),
		T(ethernet_padding_is_no_trailer),
		T(wrong_checksums_are_mended_and_counted),
		T(a_datagram_without_checksum_stays_without),
		T(stamps_out_of_order_are_counted_and_never_go_back),
		T(unicast_goes_to_the_receiver),
		T(groups_keep_their_address_and_get_its_mac),
		T(the_source_address_is_rewritten_only_when_asked_for),
		T(a_capture_is_played_as_often_as_asked),
		T(loops_at_a_rate_end_with_the_last_frame_or_the_time),
		T(loops_beyond_all_time_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
