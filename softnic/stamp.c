/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp.c - times of received frames. The NIC writes only the part below the second in front of a
 * frame; the last clock event tells the second, if it is not too far from the frame.
 */
#include "internal.h"

uint32_t sn_stamp_minor(const struct softnic_vi *v, uint64_t ns)
{
	uint64_t below = ns % SN_NS;

	if (v->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS)
		return (uint32_t)(below * 4);
	return (uint32_t)((below << 27) / SN_NS);
}

int sn_ring_stamp(ef_vi *vi, const void *pkt, ef_precisetime *ts)
{
	ef_eventq_state *s = &vi->evq_vi->ep_state->evq;
	bool quarters = vi->ts_format == TS_FORMAT_SECONDS_QTR_NANOSECONDS;
	uint32_t second = quarters ? 4 * SN_NS : 1u << 27, sync = s->sync_timestamp_minor;
	uint32_t minor, diff;
	uint64_t ns27;

	memset(ts, 0, sizeof(*ts));
	if (!s->sync_timestamp_synchronised)
		return -EL2NSYNC;
	memcpy(&minor, (const uint8_t *)pkt + SN_PREFIX_TIME_AT, 4);
	if (quarters ? minor == 0xffffffffu : minor >> 31)
		return -ENODATA;
	diff = minor >= sync ? minor - sync : minor + (second - sync);
	if (diff < second / 4 + second / 5) {
		ts->tv_sec = (int64_t)s->sync_timestamp_major + (minor < sync);
	} else if (diff > second - second / 10) {
		ts->tv_sec = (int64_t)s->sync_timestamp_major - (minor > sync);
	} else {
		s->sync_timestamp_synchronised = 0;
		return -EL2NSYNC;
	}
	if (quarters) {
		ts->tv_nsec = minor >> 2;
		ts->tv_nsec_frac = (uint16_t)(minor << 14);
	} else {
		ns27 = (uint64_t)minor * SN_NS;
		ts->tv_nsec = (uint32_t)(ns27 >> 27);
		ts->tv_nsec_frac = (uint16_t)(ns27 >> 11);
	}
	ts->tv_flags = (uint16_t)s->sync_flags;
	return 0;
}

SN_PUBLIC int ef_vi_receive_get_timestamp_with_sync_flags(ef_vi *vi, const void *pkt,
							  ef_timespec *ts_out, unsigned *flags_out)
{
	ef_precisetime ts;
	int rc = ef_vi_receive_get_precise_timestamp(vi, pkt, &ts);

	ts_out->tv_sec = (time_t)ts.tv_sec;
	ts_out->tv_nsec = (long)ts.tv_nsec;
	*flags_out = ts.tv_flags;
	return rc;
}

SN_PUBLIC int ef_vi_receive_get_timestamp(ef_vi *vi, const void *pkt, ef_timespec *ts_out)
{
	unsigned flags;

	return ef_vi_receive_get_timestamp_with_sync_flags(vi, pkt, ts_out, &flags) < 0 ? -1 : 0;
}
