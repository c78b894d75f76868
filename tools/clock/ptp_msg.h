/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptp_msg.h - management messages of IEEE 1588: a GET made, an answer taken apart. No socket in here, so that
 * it can be tested with any bytes.
 */
#ifndef KBP_CLOCK_PTP_MSG_H
#define KBP_CLOCK_PTP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* managementId: IEEE 1588-2019 table 59; those ending in _NP are linuxptp's own (tlv.h). */
enum {
	PTP_CLOCK_DESCRIPTION = 0x0001,
	PTP_DEFAULT_DATA_SET = 0x2000,
	PTP_CURRENT_DATA_SET = 0x2001,
	PTP_PARENT_DATA_SET = 0x2002,
	PTP_TIME_PROPERTIES = 0x2003,
	PTP_PORT_DATA_SET = 0x2004,
	PTP_TIME_STATUS_NP = 0xc000,
	PTP_PORT_PROPERTIES_NP = 0xc004,
};

/* portState: IEEE 1588-2019 table 20; linuxptp answers MASTER for its own GRAND_MASTER. */
enum {
	PTP_STATE_INITIALIZING = 1,
	PTP_STATE_FAULTY,
	PTP_STATE_DISABLED,
	PTP_STATE_LISTENING,
	PTP_STATE_PRE_MASTER,
	PTP_STATE_MASTER,
	PTP_STATE_PASSIVE,
	PTP_STATE_UNCALIBRATED,
	PTP_STATE_SLAVE,
	PTP_STATE_GRAND_MASTER,
};

/* flagField[1] of the time properties. */
enum {
	PTP_LEAP_61 = 1,
	PTP_LEAP_59 = 2,
	PTP_UTC_VALID = 4,
	PTP_TIMESCALE = 8,
	PTP_TIME_TRACEABLE = 16,
};

#define PTP_REQUEST_BYTES 54u
#define PTP_MESSAGE_MAX 1500u

struct kbp_ptp_reply {
	uint16_t id, sequence;
	uint16_t port;	  /* that answers; 0: the clock as a whole */
	uint8_t clock[8]; /* whose port */
	uint8_t domain, transport;
	uint16_t error; /* managementErrorId; 0: none, and the member of `id` is filled in */
	union {
		struct {
			uint16_t ports;
			uint8_t identity[8], domain;
		} defaults;
		struct {
			uint16_t steps_removed;
			int64_t offset_ns, path_delay_ns;
		} current;
		struct {
			uint8_t gm[8], gm_class, gm_accuracy;
		} parent;
		struct {
			int16_t utc_offset;
			uint8_t flags, source;
		} properties;
		struct {
			uint16_t number;
			uint8_t state, announce_timeout;
			int8_t log_announce, log_sync;
		} port_data;
		struct {
			int64_t offset_ns, ingress_ns;
			bool gm_present;
			uint8_t gm[8];
		} status;
		struct {
			uint16_t number;
			uint8_t state, timestamping; /* 0: software */
			char interface[16];
		} port_props;
		struct {
			uint8_t mac[6];
			bool have_mac;
		} description;
	} u;
};

/* A GET of `id` to all ports of the clock of that domain. No boundary hops: it must not leave the host. Returns
 * its length, PTP_REQUEST_BYTES. */
size_t kbp_ptp_request(uint8_t buf[PTP_REQUEST_BYTES], uint16_t id, uint16_t sequence,
		       uint8_t domain, uint8_t transport);

/* Takes an answer apart. Returns 0, or -EBADMSG: it is none, or damaged, or of an id that is not known here. */
int kbp_ptp_parse(const uint8_t *buf, size_t len, struct kbp_ptp_reply *r);

/* "SLAVE" */
const char *kbp_ptp_state_name(unsigned state);
/* "001122.fffe.334455" */
void kbp_ptp_identity(const uint8_t id[8], char buf[24]);
/* clockAccuracy in ns (IEEE 1588-2019 table 5); UINT64_MAX: it does not say. */
uint64_t kbp_ptp_accuracy_ns(unsigned accuracy);

#endif
