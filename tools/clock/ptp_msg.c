/* SPDX-License-Identifier: BSD-2-Clause */
/* ptp_msg.c - IEEE 1588-2019 clause 15: management messages, byte by byte. */
#include "ptp_msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MANAGEMENT 0x0du
#define VERSION 2u
#define ACTION_GET 0u
#define ACTION_RESPONSE 2u
#define TLV_MANAGEMENT 1u
#define TLV_ERROR 2u
#define HEADER_BYTES 48u /* up to the TLV */

/* What is left of a message: reading beyond its end gives zeroes and is remembered. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool over;
};

static uint64_t take(struct reader *r, unsigned bytes)
{
	uint64_t v = 0;

	if (r->left < bytes) {
		r->over = true;
		r->left = 0;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | r->p[i];
	r->p += bytes;
	r->left -= bytes;
	return v;
}

static void take_bytes(struct reader *r, void *to, size_t n)
{
	if (r->left < n) {
		r->over = true;
		r->left = 0;
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->p, n);
	r->p += n;
	r->left -= n;
}

static void skip(struct reader *r, size_t n)
{
	if (r->left < n) {
		r->over = true;
		r->left = 0;
		return;
	}
	r->p += n;
	r->left -= n;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

size_t kbp_ptp_request(uint8_t buf[PTP_REQUEST_BYTES], uint16_t id, uint16_t sequence,
		       uint8_t domain, uint8_t transport)
{
	memset(buf, 0, PTP_REQUEST_BYTES);
	buf[0] = (uint8_t)((unsigned)transport << 4 | MANAGEMENT);
	buf[1] = VERSION;
	put16(buf + 2, PTP_REQUEST_BYTES);
	buf[4] = domain;
	put16(buf + 30, sequence);
	buf[32] = 4; /* controlField of management */
	buf[33] = 0x7f;
	memset(buf + 34, 0xff, 10); /* every clock, every port */
	buf[46] = ACTION_GET;
	put16(buf + 48, TLV_MANAGEMENT);
	put16(buf + 50, 2); /* the id, no data */
	put16(buf + 52, id);
	return PTP_REQUEST_BYTES;
}

/* A TimeInterval: ns and 16 bits of fraction. */
static int64_t interval_ns(uint64_t v)
{
	return (int64_t)v / 65536;
}

static void parse_description(struct reader *d, struct kbp_ptp_reply *r)
{
	uint64_t n;

	skip(d, 2);		     /* clockType */
	skip(d, (size_t)take(d, 1)); /* physicalLayerProtocol */
	n = take(d, 2);
	if (n == sizeof(r->u.description.mac)) {
		take_bytes(d, r->u.description.mac, sizeof(r->u.description.mac));
		r->u.description.have_mac = !d->over;
	}
}

static void parse_port_props(struct reader *d, struct kbp_ptp_reply *r)
{
	uint64_t n;
	char name[256] = "";

	skip(d, 8);
	r->u.port_props.number = (uint16_t)take(d, 2);
	r->u.port_props.state = (uint8_t)take(d, 1);
	r->u.port_props.timestamping = (uint8_t)take(d, 1);
	n = take(d, 1);
	take_bytes(d, name, (size_t)n);
	if (strlen(name) < sizeof(r->u.port_props.interface))
		memcpy(r->u.port_props.interface, name, strlen(name) + 1);
}

static bool parse_data(struct reader *d, struct kbp_ptp_reply *r)
{
	switch (r->id) {
	case PTP_DEFAULT_DATA_SET:
		skip(d, 2);
		r->u.defaults.ports = (uint16_t)take(d, 2);
		skip(d, 6); /* priority1, clockQuality, priority2 */
		take_bytes(d, r->u.defaults.identity, 8);
		r->u.defaults.domain = (uint8_t)take(d, 1);
		break;
	case PTP_CURRENT_DATA_SET:
		r->u.current.steps_removed = (uint16_t)take(d, 2);
		r->u.current.offset_ns = interval_ns(take(d, 8));
		r->u.current.path_delay_ns = interval_ns(take(d, 8));
		break;
	case PTP_PARENT_DATA_SET:
		skip(d, 19); /* parent's port, statistics, grandmasterPriority1 */
		r->u.parent.gm_class = (uint8_t)take(d, 1);
		r->u.parent.gm_accuracy = (uint8_t)take(d, 1);
		skip(d, 3);
		take_bytes(d, r->u.parent.gm, 8);
		break;
	case PTP_TIME_PROPERTIES:
		r->u.properties.utc_offset = (int16_t)take(d, 2);
		r->u.properties.flags = (uint8_t)take(d, 1);
		r->u.properties.source = (uint8_t)take(d, 1);
		break;
	case PTP_PORT_DATA_SET:
		skip(d, 8);
		r->u.port_data.number = (uint16_t)take(d, 2);
		r->u.port_data.state = (uint8_t)take(d, 1);
		skip(d, 9); /* logMinDelayReqInterval, peerMeanPathDelay */
		r->u.port_data.log_announce = (int8_t)take(d, 1);
		r->u.port_data.announce_timeout = (uint8_t)take(d, 1);
		r->u.port_data.log_sync = (int8_t)take(d, 1);
		skip(d, 3);
		break;
	case PTP_TIME_STATUS_NP:
		r->u.status.offset_ns = (int64_t)take(d, 8);
		r->u.status.ingress_ns = (int64_t)take(d, 8);
		skip(d, 22); /* rate offset, phase change, time base indicator */
		r->u.status.gm_present = take(d, 4) != 0;
		take_bytes(d, r->u.status.gm, 8);
		break;
	case PTP_PORT_PROPERTIES_NP:
		parse_port_props(d, r);
		break;
	case PTP_CLOCK_DESCRIPTION:
		parse_description(d, r);
		break;
	default:
		return false;
	}
	return !d->over;
}

int kbp_ptp_parse(const uint8_t *buf, size_t len, struct kbp_ptp_reply *r)
{
	struct reader m = { buf, len, false }, d;
	uint64_t type, tlv_len, message_len;

	memset(r, 0, sizeof(*r));
	if (len < HEADER_BYTES + 6 || (buf[0] & 0x0f) != MANAGEMENT || (buf[1] & 0x0f) != VERSION ||
	    (buf[46] & 0x0f) != ACTION_RESPONSE)
		return -EBADMSG;
	skip(&m, 2);
	message_len = take(&m, 2);
	if (message_len < HEADER_BYTES + 6 || message_len > len)
		return -EBADMSG;
	r->domain = buf[4];
	r->transport = buf[0] >> 4;
	skip(&m, 16);
	take_bytes(&m, r->clock, 8);
	r->port = (uint16_t)take(&m, 2);
	r->sequence = (uint16_t)take(&m, 2);
	skip(&m, 16);
	type = take(&m, 2);
	tlv_len = take(&m, 2);
	if (tlv_len < 2 || tlv_len > message_len - HEADER_BYTES - 4)
		return -EBADMSG;
	d = (struct reader){ m.p, (size_t)tlv_len, false };
	if (type == TLV_ERROR) {
		r->error = (uint16_t)take(&d, 2);
		r->id = (uint16_t)take(&d, 2);
		return d.over || !r->error ? -EBADMSG : 0;
	}
	r->id = (uint16_t)take(&d, 2);
	if (type != TLV_MANAGEMENT || !parse_data(&d, r))
		return -EBADMSG;
	return 0;
}

const char *kbp_ptp_state_name(unsigned state)
{
	static const char *const names[] = {
		"",	  "INITIALIZING", "FAULTY",	  "DISABLED", "LISTENING",    "PRE_MASTER",
		"MASTER", "PASSIVE",	  "UNCALIBRATED", "SLAVE",    "GRAND_MASTER",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "";
}

void kbp_ptp_identity(const uint8_t id[8], char buf[24])
{
	snprintf(buf, 24, "%02x%02x%02x.%02x%02x.%02x%02x%02x", id[0], id[1], id[2], id[3], id[4],
		 id[5], id[6], id[7]);
}

uint64_t kbp_ptp_accuracy_ns(unsigned accuracy)
{
	/* from 0x17: 1 ps, rounded up to whole ns, to 0x30: 10 s. 0x31, more than 10 s, is no bound */
	static const uint64_t ns[] = {
		1,	  1,	     1,		1,	    1,		 1,	  1,
		3,	  10,	     25,	100,	    250,	 1000,	  2500,
		10000,	  25000,     100000,	250000,	    1000000,	 2500000, 10000000,
		25000000, 100000000, 250000000, 1000000000, 10000000000,
	};

	if (accuracy < 0x17 || accuracy - 0x17 >= sizeof(ns) / sizeof(ns[0]))
		return UINT64_MAX;
	return ns[accuracy - 0x17];
}
