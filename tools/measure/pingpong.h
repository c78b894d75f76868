/* SPDX-License-Identifier: BSD-2-Clause */
/* pingpong.h - what the plan of a closed loop and its processes agree on. */
#ifndef KBP_MEASURE_PINGPONG_H
#define KBP_MEASURE_PINGPONG_H

#define KBP_PING_HEADERS 42u /* Ethernet, IPv4, UDP */
#define KBP_PING_BYTES_MIN \
	60u /* with the FCS the shortest frame that Ethernet has; its number needs 8 bytes */
#define KBP_PING_BYTES_MAX 1514u

#endif
