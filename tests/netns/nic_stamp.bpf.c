/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * nic_stamp.bpf.c - the program that asks the driver for the NIC's stamp, with an answer of the test's: what the
 * first eight bytes of the UDP payload say, over IPv4.
 */
#include <linux/bpf.h>

#define KBP_STAMP
#define KBP_STAMP_NIC
#define bpf_xdp_metadata_rx_timestamp stamp_of_payload

static inline __attribute__((always_inline)) int stamp_of_payload(const struct xdp_md *ctx, __u64 *ns)
{
	void *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (p + 50 > end)
		return -61; /* ENODATA, as a driver answers */
	__builtin_memcpy(ns, p + 42, sizeof(*ns));
	return 0;
}

#include "../../lib/bpf/flow_redirect.bpf.c"
