/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_count.c - what DPDK says by itself, without anything of ours: it is started with the arguments given, as
 * EAL takes them, and the last line is "count N", how many ports it has. Where our diagnosis refuses a device,
 * DPDK says 0 and calls that a success.
 */
#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

int main(int argc, char **argv)
{
	if (rte_eal_init(argc, argv) < 0) {
		printf("rte_eal_init: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	printf("count %u\n", (unsigned)rte_eth_dev_count_avail());
	return rte_eal_cleanup() != 0;
}
