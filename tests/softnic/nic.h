/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic.h - what the transcript tests need: a NIC opened through ef_vi alone, and a hand on its wire
 * and clock. The second half is the NIC's own business: nic_softnic.c has it for softnic.
 */
#ifndef KBP_TEST_SOFTNIC_NIC_H
#define KBP_TEST_SOFTNIC_NIC_H

#include "../lib/test.h"

#include "../lib/frame.h"

#include <arpa/inet.h>
#include <etherfabric/base.h>
#include <etherfabric/capabilities.h>
#include <etherfabric/ef_vi.h>
#include <etherfabric/efct_vi.h>
#include <etherfabric/memreg.h>
#include <etherfabric/pd.h>
#include <etherfabric/pio.h>
#include <etherfabric/vi.h>
#include <netinet/in.h>

#define NIC_BUF_BYTES 2048u
#define NIC_BUFS 1200u
#define NIC_IP 0x0a000001u /* 10.0.0.1 */
#define NIC_PORT 5000u

struct nic {
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;
	ef_memreg mr;
	uint8_t *mem;
	unsigned next; /* buffer to post */
};

/* ---------------------------------------------------------------- through ef_vi: nic.c */

/* Capacities as ef_vi_alloc_from_pd takes them. Memory for NIC_BUFS buffers is registered, a filter
 * for NIC_IP:NIC_PORT over UDP is installed when there is an RX ring. */
void nic_open(struct nic *n, int evq, int rxq, int txq, unsigned flags);
void nic_open_without_filter(struct nic *n, int evq, int rxq, int txq, unsigned flags);
/* All of the NICs left open. */
void nic_close(struct nic *n);
uint8_t *nic_buf(struct nic *n, unsigned i);
ef_addr nic_addr(struct nic *n, unsigned i);
/* Post the next `count` buffers, each under its number, and ring. */
void nic_post(struct nic *n, unsigned count);
int nic_filter_udp(struct nic *n, uint32_t ip, uint16_t port, ef_filter_cookie *cookie);
/* Polls once with room for `max`. */
int nic_poll(struct nic *n, ef_event *evs, int max);
/* Polls until there were `want` events or many empty polls; the number of events. */
int nic_poll_until(struct nic *n, ef_event *evs, int want);
/* Frames with `len` bytes of payload; the frame's length. */
uint32_t nic_frame(uint8_t *frame, uint32_t dst_ip, uint16_t port, uint32_t len);
/* `count` frames for the filter of nic_open, of 60 bytes. */
void nic_inject_small(unsigned count);
/* Send buffer `i`, filled with a frame of `len` bytes of payload, under its number. */
int nic_send(struct nic *n, unsigned i, uint32_t len);
/* The stamp of a received packet: what the newest call of the headers says. */
int nic_stamp(struct nic *n, const void *pkt, uint64_t *ns, unsigned *flags);
/* Received by reference? Its event's packet and length. */
unsigned nic_stat(struct nic *n, int field);

/* ---------------------------------------------------------------- the wire's side */

enum { NIC_GOOD, NIC_BAD_FCS, NIC_NO_STAMP };

/* A NIC of this kind with a wire in memory and a manual clock, no faults and no frames. */
enum nic_model { NIC_EF10, NIC_EF10_CTPIO, NIC_EFCT };
void nic_begin(enum nic_model model);
const char *nic_name(void);
int nic_inject(const void *frame, uint32_t len, int how);
uint32_t nic_collect(void *buf, uint32_t size);
void nic_mtu(unsigned mtu);
void nic_clock_set(uint64_t ns);
void nic_clock_advance(uint64_t ns);
void nic_clock_events(bool on);
void nic_clock_state(bool set, bool in_sync);
void nic_sync_status(bool on);
void nic_hold_completions(bool on);
void nic_ctpio_loses(bool on);
void nic_reset(void);
uint64_t nic_interface_drops(void);
/* How often the rules of the API were broken since nic_begin. */
unsigned nic_violations(void);

#endif
