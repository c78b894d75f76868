/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures into schedules. libpcap knows the formats; this file gives it an unbuffered stream, so
 * that the stream's position is the record's, and decides what can be replayed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"
#include "tools/traffic/stream.h"

#define ASK_RECORDS 1024u /* go_on is asked after so many */
#define ETH_LEN_MIN 60u	  /* without FCS; shorter packets are padded to it */
#define ETH_HEAD 14u
#define NS_PER_S 1000000000u

struct reader {
	const char *path;
	char step[96];
	struct kbp_stream *stream;
	FILE *file;   /* over stream; closes it */
	pcap_t *pcap; /* over file; closes it */
	const struct kbp_capture_opts *opts;
	struct kbp_capture_report *report;
	struct kbp_builder builder;
	struct kbp_capture_place place; /* of the record in hand */
	uint64_t first_ns, last_ns;	/* stamps of the first frame kept, and the latest so far */
	uint8_t *frame;			/* a copy to edit */
	size_t frame_room;
	bool no_ethernet; /* records are IP packets */
	uint8_t *made;	  /* the one in hand behind an Ethernet header */
	size_t made_room;
};

/* ---------------------------------------------------------------- opening */

static ssize_t cookie_read(void *cookie, char *buf, size_t n)
{
	return kbp_stream_read(cookie, buf, n);
}

static int cookie_close(void *cookie)
{
	kbp_stream_close(cookie);
	return 0;
}

static int open_failed(struct reader *r, int code, struct kbp_error *err)
{
	const char *next = "check the path and its permissions";

	if (code == -EISDIR)
		next = "name a capture file in it";
	return kbp_fail(err, code, r->step, "%s: %s", strerror(-code), next);
}

static int file_open(struct reader *r, struct kbp_error *err)
{
	const cookie_io_functions_t io = { .read = cookie_read, .close = cookie_close };
	struct stat st;
	int fd, code;

	/* not blocking: opening a FIFO would wait for its writer */
	fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return open_failed(r, -errno, err);
	if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
		code = S_ISDIR(st.st_mode) ? -EISDIR : -errno;
		close(fd);
		return open_failed(r, code, err);
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return kbp_fail(
			err, -EINVAL, r->step,
			"it is no regular file: write what comes out of it to one, and give that");
	}
	if (st.st_size == 0) {
		close(fd);
		return kbp_fail(err, -ENODATA, r->step, "the file is empty: nothing to replay");
	}
	r->stream = kbp_stream_open(fd);
	if (!r->stream)
		return kbp_fail(err, -ENOMEM, r->step, "no memory to read it");
	r->file = fopencookie(r->stream, "r", io);
	if (!r->file) {
		kbp_stream_close(r->stream);
		return kbp_fail(err, -ENOMEM, r->step, "no memory to read it");
	}
	setvbuf(r->file, NULL, _IONBF, 0);
	return 0;
}

static int capture_open(struct reader *r, struct kbp_error *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int rc = file_open(r, err), type;

	if (rc)
		return rc;
	r->pcap = pcap_fopen_offline_with_tstamp_precision(r->file, PCAP_TSTAMP_PRECISION_NANO, text);
	r->report->gzip = r->stream->gzip;
	if (!r->pcap) {
		rc = kbp_fail(err, -EINVAL, r->step,
			      "no pcap or pcapng file, damaged at byte %llu of its header: %s%s%s; "
			      "give a capture, plain or gzip",
			      (unsigned long long)r->stream->offset, text,
			      r->stream->complaint[0] ? "; " : "", r->stream->complaint);
		fclose(r->file);
		return rc;
	}
	type = pcap_datalink(r->pcap);
	r->no_ethernet = type == DLT_RAW; /* what kbypass capture writes of sockets */
	if (type != DLT_EN10MB && !r->no_ethernet) {
		const char *name = pcap_datalink_val_to_name(type);

		rc = kbp_fail(err, -EPROTONOSUPPORT, r->step,
			      "its link type is %s (%d), only Ethernet (EN10MB, 1) and IP packets (RAW, 101) can be "
			      "replayed: capture on the interface itself, not on \"any\"",
			      name ? name : "unknown", type);
		pcap_close(r->pcap);
		return rc;
	}
	return 0;
}

/* ---------------------------------------------------------------- one frame */

static bool any_set(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return true;
	return false;
}

/* Addresses for this wire. True when the frame was meant for another unicast receiver. */
static bool readdress(struct reader *r, struct kbp_udp_layout *l, struct kbp_datagram *d)
{
	const struct kbp_capture_opts *o = r->opts;
	const struct kbp_addr *to = l->ipv6 ? &o->to_ip6 : &o->to_ip4;
	const struct kbp_addr *from = l->ipv6 ? &o->from_ip6 : &o->from_ip4;
	size_t ip_len = l->ipv6 ? 16 : 4;
	uint8_t *src = r->frame + l->ip + (l->ipv6 ? 8 : 12), *dst = src + ip_len;
	bool changed = false;

	if (any_set(o->from_mac, 6))
		memcpy(r->frame + 6, o->from_mac, 6);
	if ((o->flags & KBP_CAPTURE_SOURCE) && from->family)
		memcpy(src, from->bytes, ip_len);
	if (kbp_addr_is_multicast(&d->dst)) {
		kbp_group_mac(&d->dst, r->frame);
		return false;
	}
	if (any_set(o->to_mac, 6) && memcmp(r->frame, o->to_mac, 6)) {
		memcpy(r->frame, o->to_mac, 6);
		changed = true;
	}
	if (to->family && memcmp(dst, to->bytes, ip_len)) {
		memcpy(dst, to->bytes, ip_len);
		d->dst = *to;
		changed = true;
	}
	return changed;
}

static void skip(struct kbp_capture_report *rep, enum kbp_parse why)
{
	switch (why) {
	case KBP_PARSE_NOT_IP:
		rep->skipped_not_ip++;
		break;
	case KBP_PARSE_NOT_UDP:
		rep->skipped_not_udp++;
		break;
	case KBP_PARSE_FRAGMENT:
		rep->skipped_fragment++;
		break;
	case KBP_PARSE_TRUNCATED:
		rep->skipped_truncated++;
		break;
	default:
		rep->skipped_malformed++;
		break;
	}
}

/* When the frame is due. A stamp that goes back is counted, and the frame is due with its
 * predecessor. */
static uint64_t due(struct reader *r, const struct pcap_pkthdr *h)
{
	struct kbp_capture_report *rep = r->report;
	/* with nanosecond precision tv_usec holds nanoseconds */
	/* pcap stores 32 bits without a sign, which libpcap takes for signed: 2038 is no end */
	uint64_t ns = (uint64_t)(uint32_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec;

	if (!rep->frames) {
		r->first_ns = r->last_ns = ns;
	} else if (ns < r->last_ns) {
		if (!rep->out_of_order++)
			rep->first_out_of_order = r->place;
		if (r->last_ns - ns > rep->backwards_max_ns)
			rep->backwards_max_ns = r->last_ns - ns;
	} else {
		if (ns - r->last_ns > rep->gap_max_ns) {
			rep->gap_max_ns = ns - r->last_ns;
			rep->gap_max = r->place;
		}
		r->last_ns = ns;
	}
	return r->last_ns - r->first_ns;
}

static int room(uint8_t **p, size_t *have, size_t need)
{
	uint8_t *more = need > *have ? realloc(*p, need) : *p;

	if (!more)
		return -ENOMEM;
	*p = more;
	*have = need > *have ? need : *have;
	return 0;
}

/* An Ethernet header in front of an IP packet. Its addresses are zero: readdress() knows a group's, and those that
 * were asked for. */
static int ethernet_make(struct reader *r, const uint8_t **bytes, uint32_t *len)
{
	uint32_t type = *len && **bytes >> 4 == 6 ? 0x86dd : 0x0800;

	if (room(&r->made, &r->made_room, ETH_HEAD + (size_t)*len))
		return -ENOMEM;
	memset(r->made, 0, ETH_HEAD);
	r->made[12] = (uint8_t)(type >> 8);
	r->made[13] = (uint8_t)type;
	if (*len)
		memcpy(r->made + ETH_HEAD, *bytes, *len);
	*bytes = r->made;
	*len += ETH_HEAD;
	return 0;
}

static int frame_add(struct reader *r, const struct pcap_pkthdr *h, const uint8_t *bytes)
{
	struct kbp_capture_report *rep = r->report;
	struct kbp_udp_layout l;
	struct kbp_datagram d;
	enum kbp_parse parse;
	uint32_t len = h->caplen, payload_at;
	uint64_t at_ns;
	int flow;

	if (r->no_ethernet && ethernet_make(r, &bytes, &len))
		return -ENOMEM;
	parse = kbp_datagram_parse(bytes, len, false, &d);
	if (parse == KBP_PARSE_OK) {
		kbp_udp_locate(bytes, &d, &l);
		payload_at = (uint32_t)((const uint8_t *)d.payload - bytes);
		if (l.ip_end > len)
			parse = KBP_PARSE_TRUNCATED;
	}
	if (parse != KBP_PARSE_OK) {
		skip(rep, parse);
		return 0;
	}
	/* What switches append, or the FCS, is no part of what a sender sends, and may not fit the
	 * MTU. */
	if (len > l.ip_end && len > ETH_LEN_MIN) {
		len = l.ip_end > ETH_LEN_MIN ? l.ip_end : ETH_LEN_MIN;
		rep->trailers++;
	}
	if (room(&r->frame, &r->frame_room, len))
		return -ENOMEM;
	memcpy(r->frame, bytes, len);
	if (kbp_udp_mend(r->frame, &l))
		rep->mended++;
	if (readdress(r, &l, &d))
		rep->readdressed++;
	kbp_udp_mend(r->frame, &l);
	if (d.vlan)
		rep->tagged++;
	at_ns = due(r, h);
	rep->frames++;
	flow = kbp_builder_flow(&r->builder, &d.dst, d.dst_port, d.vlan);
	if (flow < 0)
		return flow;
	return kbp_builder_add(&r->builder, r->frame, len, payload_at, d.len, (uint32_t)flow, at_ns);
}

/* ---------------------------------------------------------------- the whole file */

static void damaged(struct reader *r, const char *text)
{
	struct kbp_capture_report *rep = r->report;
	const char *packing = r->stream->complaint;

	rep->damage = r->place;
	snprintf(rep->damage_text, sizeof(rep->damage_text), "%s%s%s", text ? text : "",
		 text && *packing ? "; " : "", packing);
}

static int frames_read(struct reader *r, struct kbp_error *err)
{
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int rc;

	for (;;) {
		r->place.record++;
		r->place.offset = r->stream->offset;
		if (r->opts->go_on && r->place.record % ASK_RECORDS == 0 &&
		    !r->opts->go_on(r->opts->arg))
			return kbp_fail(err, -ECANCELED, r->step, "stopped on request");
		rc = pcap_next_ex(r->pcap, &h, &bytes);
		if (rc != 1)
			break;
		r->report->records++;
		rc = frame_add(r, h, bytes);
		if (rc)
			return kbp_fail(
				err, rc, r->step,
				rc == -E2BIG ?
					"record %llu at byte %llu is one frame or flow too many (at most 65535 flows): "
					"split the capture" :
					"no memory for record %llu at byte %llu: split the capture",
				(unsigned long long)r->place.record,
				(unsigned long long)r->place.offset);
	}
	if (rc == PCAP_ERROR)
		damaged(r, pcap_geterr(r->pcap));
	else if (r->stream->complaint[0])
		damaged(r, NULL);
	return 0;
}

static int nothing_to_replay(struct reader *r, struct kbp_error *err)
{
	const struct kbp_capture_report *rep = r->report;

	if (rep->damage.record)
		return kbp_fail(
			err, -ENODATA, r->step,
			"nothing to replay: none of %llu whole records is a UDP datagram, and record %llu at "
			"byte %llu is damaged: %s",
			(unsigned long long)rep->records, (unsigned long long)rep->damage.record,
			(unsigned long long)rep->damage.offset, rep->damage_text);
	if (!rep->records)
		return kbp_fail(err, -ENODATA, r->step,
				"nothing to replay: the capture holds no packets");
	return kbp_fail(
		err, -ENODATA, r->step,
		"nothing to replay: of %llu records %llu are not IP, %llu not UDP, %llu fragments, %llu cut short "
		"by the snapshot length, %llu malformed; give a capture with whole UDP datagrams",
		(unsigned long long)rep->records, (unsigned long long)rep->skipped_not_ip,
		(unsigned long long)rep->skipped_not_udp, (unsigned long long)rep->skipped_fragment,
		(unsigned long long)rep->skipped_truncated,
		(unsigned long long)rep->skipped_malformed);
}

int kbp_schedule_from_capture(const char *path, const struct kbp_capture_opts *opts,
			      const struct kbp_timing *timing, struct kbp_schedule **s,
			      struct kbp_capture_report *report, struct kbp_error *err)
{
	struct kbp_capture_report own = { 0 };
	struct reader r = { .path = path, .opts = opts, .report = report ? report : &own };
	int rc;

	*s = NULL;
	memset(r.report, 0, sizeof(*r.report));
	snprintf(r.step, sizeof(r.step), "read capture %s", path);
	if (opts->size != sizeof(*opts))
		return kbp_fail(
			err, -EINVAL, r.step,
			"opts->size is not sizeof(struct kbp_capture_opts): set it, or rebuild the program");
	rc = kbp_timing_check(timing, err);
	if (!rc)
		rc = capture_open(&r, err);
	if (rc)
		return rc;
	rc = frames_read(&r, err);
	pcap_close(r.pcap);
	if (!rc && !r.builder.n_frames)
		rc = nothing_to_replay(&r, err);
	if (!rc)
		rc = kbp_builder_finish(&r.builder, timing, s, err);
	kbp_builder_free(&r.builder);
	free(r.frame);
	free(r.made);
	return rc;
}
