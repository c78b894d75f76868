/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ef_vi.h - events, VIs and the calls of the data path, with the names and values of the vendor's
 * API. Part of softnic, a NIC made of software: see <softnic.h>.
 *
 * As with the vendor's header, hot calls are macros through the VI's table of operations.
 */
#ifndef SOFTNIC_ETHERFABRIC_EF_VI_H
#define SOFTNIC_ETHERFABRIC_EF_VI_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define ef_vi_inline static inline
#define EF_VI_ALIGN(x) __attribute__((aligned(x)))
#define EF_VI_DMA_ALIGN 64

#ifdef __cplusplus
extern "C" {
#endif

typedef int ef_driver_handle;
typedef uint32_t ef_eventq_ptr;
typedef uint64_t ef_addr; /* as the NIC sees memory */
typedef int ef_request_id;
struct ef_vi;
struct ef_pio;
struct softnic_vi;

#define EF_VI_MAX_QS 32
#define EF_VI_EVENT_POLL_MIN_EVS 2
#define EF_REQUEST_ID_MASK 0xffffffff
#define EF_VI_TX_TS_FRAC_NS_BITS 4
#define EF_VI_RECEIVE_BATCH 15
#define EF_VI_TRANSMIT_BATCH 64

/* ---------------------------------------------------------------- events */

/* Read through the macros below. */
typedef union {
	struct {
		unsigned type : 16;
	} generic;
	struct {
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned reserved_ : 8;
		unsigned rq_id : 32;
		unsigned len : 16;
		unsigned flags : 16;
		unsigned ofs : 16;
	} rx;
	struct { /* begins like rx */
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned reserved_ : 8;
		unsigned rq_id : 32;
		unsigned len : 16;
		unsigned flags : 16;
		unsigned subtype : 16;
	} rx_discard;
	struct {
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned flags : (8 - EF_VI_TX_TS_FRAC_NS_BITS);
		unsigned reserved_ : EF_VI_TX_TS_FRAC_NS_BITS;
		unsigned desc_id : 16;
		unsigned deferred_evs : 16;
	} tx;
	struct { /* begins like tx */
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned flags : (8 - EF_VI_TX_TS_FRAC_NS_BITS);
		unsigned reserved_ : EF_VI_TX_TS_FRAC_NS_BITS;
		unsigned desc_id : 16;
		unsigned deferred_evs : 16;
		unsigned subtype : 16;
	} tx_error;
	struct { /* like tx up to flags */
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned flags : (8 - EF_VI_TX_TS_FRAC_NS_BITS);
		unsigned ts_nsec_frac : EF_VI_TX_TS_FRAC_NS_BITS;
		unsigned rq_id : 32;
		unsigned ts_sec : 32;
		unsigned ts_nsec : 30;
		unsigned ts_flags : 2;
	} tx_timestamp;
	struct {
		unsigned type : 16;
		unsigned q_id : 8;
	} rx_no_desc_trunc;
	struct {
		unsigned type : 16;
		unsigned data;
	} sw;
	struct {
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned reserved_ : 8;
		unsigned n_descs : 16;
		unsigned flags : 16;
	} rx_multi;
	struct { /* begins like rx_multi */
		unsigned type : 16;
		unsigned q_id : 8;
		unsigned reserved_ : 8;
		unsigned n_descs : 16;
		unsigned flags : 16;
		unsigned subtype : 16;
	} rx_multi_discard;
	struct {
		unsigned type : 16;
		unsigned len : 16;
		unsigned pkt_id : 32;
		unsigned q_id : 8;
		unsigned filter_id : 16;
		unsigned user : 8;
	} rx_ref;
	struct { /* begins like rx_ref */
		unsigned type : 16;
		unsigned len : 16;
		unsigned pkt_id : 32;
		unsigned q_id : 8;
		unsigned filter_id : 16;
		unsigned user : 8;
		unsigned flags : 16;
	} rx_ref_discard;
} ef_event;

enum {
	EF_EVENT_TYPE_RX,
	EF_EVENT_TYPE_TX,
	EF_EVENT_TYPE_RX_DISCARD,
	EF_EVENT_TYPE_TX_ERROR,
	EF_EVENT_TYPE_RX_NO_DESC_TRUNC,
	EF_EVENT_TYPE_SW,
	EF_EVENT_TYPE_OFLOW,
	EF_EVENT_TYPE_TX_WITH_TIMESTAMP,
	EF_EVENT_TYPE_RX_PACKED_STREAM,
	EF_EVENT_TYPE_RX_MULTI,
	EF_EVENT_TYPE_TX_ALT,
	EF_EVENT_TYPE_RX_MULTI_DISCARD,
	EF_EVENT_TYPE_RESET,
	EF_EVENT_TYPE_RX_MULTI_PKTS,
	EF_EVENT_TYPE_RX_REF,
	EF_EVENT_TYPE_RX_REF_DISCARD,
	EF_EVENT_TYPE_MAX,
};

#define EF_EVENT_TYPE(e) ((e).generic.type)

#define EF_EVENT_FLAG_SOP 0x1
#define EF_EVENT_FLAG_CONT 0x2
#define EF_EVENT_FLAG_MULTICAST 0x8
#define EF_EVENT_FLAG_CTPIO 0x1 /* of TX events */

#define EF_EVENT_RX_BYTES(e) ((e).rx.len)
#define EF_EVENT_RX_Q_ID(e) ((e).rx.q_id)
#define EF_EVENT_RX_RQ_ID(e) ((e).rx.rq_id)
#define EF_EVENT_RX_CONT(e) ((e).rx.flags & EF_EVENT_FLAG_CONT)
#define EF_EVENT_RX_SOP(e) ((e).rx.flags & EF_EVENT_FLAG_SOP)

#define EF_EVENT_RX_DISCARD_Q_ID(e) ((e).rx_discard.q_id)
#define EF_EVENT_RX_DISCARD_RQ_ID(e) ((e).rx_discard.rq_id)
#define EF_EVENT_RX_DISCARD_CONT(e) ((e).rx_discard.flags & EF_EVENT_FLAG_CONT)
#define EF_EVENT_RX_DISCARD_SOP(e) ((e).rx_discard.flags & EF_EVENT_FLAG_SOP)
#define EF_EVENT_RX_DISCARD_TYPE(e) ((e).rx_discard.subtype)
#define EF_EVENT_RX_DISCARD_BYTES(e) ((e).rx_discard.len)

#define EF_EVENT_RX_MULTI_Q_ID(e) ((e).rx_multi.q_id)
#define EF_EVENT_RX_MULTI_CONT(e) ((e).rx_multi.flags & EF_EVENT_FLAG_CONT)
#define EF_EVENT_RX_MULTI_SOP(e) ((e).rx_multi.flags & EF_EVENT_FLAG_SOP)
#define EF_EVENT_RX_MULTI_DISCARD_TYPE(e) ((e).rx_multi_discard.subtype)

#define EF_EVENT_RX_NO_DESC_TRUNC_Q_ID(e) ((e).rx_no_desc_trunc.q_id)

#define EF_EVENT_TX_Q_ID(e) ((e).tx.q_id)
#define EF_EVENT_TX_CTPIO(e) ((e).tx.flags & EF_EVENT_FLAG_CTPIO)
#define EF_EVENT_TX_ERROR_Q_ID(e) ((e).tx_error.q_id)
#define EF_EVENT_TX_ERROR_TYPE(e) ((e).tx_error.subtype)

#define EF_VI_SYNC_FLAG_CLOCK_SET 1
#define EF_VI_SYNC_FLAG_CLOCK_IN_SYNC 2

#define EF_EVENT_TX_WITH_TIMESTAMP_Q_ID(e) ((e).tx_timestamp.q_id)
#define EF_EVENT_TX_WITH_TIMESTAMP_RQ_ID(e) ((e).tx_timestamp.rq_id)
#define EF_EVENT_TX_WITH_TIMESTAMP_SEC(e) ((e).tx_timestamp.ts_sec)
#define EF_EVENT_TX_WITH_TIMESTAMP_NSEC(e) ((e).tx_timestamp.ts_nsec)
#define EF_EVENT_TX_WITH_TIMESTAMP_NSEC_FRAC16(e) \
	((uint16_t)((uint16_t)(e).tx_timestamp.ts_nsec_frac << (16 - EF_VI_TX_TS_FRAC_NS_BITS)))
#define EF_EVENT_TX_WITH_TIMESTAMP_SYNC_MASK \
	(EF_VI_SYNC_FLAG_CLOCK_SET | EF_VI_SYNC_FLAG_CLOCK_IN_SYNC)
#define EF_EVENT_TX_WITH_TIMESTAMP_SYNC_FLAGS(e) \
	((e).tx_timestamp.ts_flags & EF_EVENT_TX_WITH_TIMESTAMP_SYNC_MASK)

enum {
	EF_EVENT_RX_DISCARD_CSUM_BAD,
	EF_EVENT_RX_DISCARD_MCAST_MISMATCH,
	EF_EVENT_RX_DISCARD_CRC_BAD,
	EF_EVENT_RX_DISCARD_TRUNC,
	EF_EVENT_RX_DISCARD_RIGHTS,
	EF_EVENT_RX_DISCARD_EV_ERROR,
	EF_EVENT_RX_DISCARD_OTHER,
	EF_EVENT_RX_DISCARD_INNER_CSUM_BAD,
	EF_EVENT_RX_DISCARD_MAX,
};

enum {
	EF_EVENT_TX_ERROR_RIGHTS,
	EF_EVENT_TX_ERROR_OFLOW,
	EF_EVENT_TX_ERROR_2BIG,
	EF_EVENT_TX_ERROR_BUS,
};

#define EF_EVENT_FMT "[ev:%x]"
#define EF_EVENT_PRI_ARG(e) (unsigned)(e).generic.type

/* ---------------------------------------------------------------- types */

typedef struct {
	ef_addr iov_base EF_VI_ALIGN(8);
	unsigned iov_len;
} ef_iovec;

#define ef_timespec struct timespec

typedef struct {
	int64_t tv_sec;
	uint32_t tv_nsec;
	uint16_t tv_nsec_frac; /* in 2^-16 ns */
	uint16_t tv_flags;     /* EF_VI_SYNC_FLAG_* */
} ef_precisetime;

enum ef_vi_flags {
	EF_VI_FLAGS_DEFAULT = 0x0,
	EF_VI_TX_PHYS_ADDR = 0x20,
	EF_VI_RX_PHYS_ADDR = 0x40,
	EF_VI_TX_IP_CSUM_DIS = 0x80,
	EF_VI_TX_TCPUDP_CSUM_DIS = 0x100,
	EF_VI_TX_TCPUDP_ONLY = 0x200,
	EF_VI_TX_FILTER_IP = 0x400,
	EF_VI_TX_FILTER_MAC = 0x800,
	EF_VI_TX_PUSH_DISABLE = 0x4000,
	EF_VI_TX_PUSH_ALWAYS = 0x8000,
	EF_VI_RX_TIMESTAMPS = 0x10000,
	EF_VI_TX_TIMESTAMPS = 0x20000,
	EF_VI_RX_PACKED_STREAM = 0x80000,
	EF_VI_RX_PS_BUF_SIZE_64K = 0x100000,
	EF_VI_RX_EVENT_MERGE = 0x200000,
	EF_VI_TX_ALT = 0x400000,
	EF_VI_ENABLE_EV_TIMER = 0x800000,
	EF_VI_TX_CTPIO = 0x1000000,
	EF_VI_TX_CTPIO_NO_POISON = 0x2000000,
	EF_VI_RX_ZEROCOPY = 0x4000000,
	EF_VI_ALLOW_MEMCPY = 0x8000000,
	EF_VI_EFCT_UNIQUEUE = 0x10000000,
	EF_VI_RX_EXCLUSIVE = 0x20000000,
	EF_VI_ENABLE_TPH = 0x40000000,
};

enum ef_vi_out_flags {
	EF_VI_OUT_CLOCK_SYNC_STATUS = 0x1, /* clock events tell the clock's state */
};

enum ef_vi_rx_discard_err_flags {
	EF_VI_DISCARD_RX_L4_CSUM_ERR = 0x1,
	EF_VI_DISCARD_RX_L3_CSUM_ERR = 0x2,
	EF_VI_DISCARD_RX_ETH_FCS_ERR = 0x4,
	EF_VI_DISCARD_RX_ETH_LEN_ERR = 0x8,
	EF_VI_DISCARD_RX_TOBE_DISC = 0x10,
	EF_VI_DISCARD_RX_INNER_L4_CSUM_ERR = 0x20,
	EF_VI_DISCARD_RX_INNER_L3_CSUM_ERR = 0x40,
	EF_VI_DISCARD_RX_L2_CLASS_OTHER = 0x80,
	EF_VI_DISCARD_RX_L3_CLASS_OTHER = 0x100,
	EF_VI_DISCARD_RX_L4_CLASS_OTHER = 0x200,
};

enum ef_timestamp_format {
	TS_FORMAT_SECONDS_27FRACTION = 0,
	TS_FORMAT_SECONDS_QTR_NANOSECONDS = 1,
};

enum ef_vi_arch {
	EF_VI_ARCH_FALCON,
	EF_VI_ARCH_EF10,
	EF_VI_ARCH_EF100,
	EF_VI_ARCH_EFCT,
	EF_VI_ARCH_AF_XDP,
	EF_VI_ARCH_EF10CT,
};

struct ef_vi_nic_type {
	unsigned char arch; /* enum ef_vi_arch */
	char variant;
	unsigned char revision;
	unsigned char nic_flags;
};

/* The driver's half of the rings. Indices run free and are masked on use. */
typedef struct {
	uint32_t previous; /* descriptors: rung; EFCT: completed */
	uint32_t added;
	uint32_t removed;
	uint32_t ct_added; /* bytes of the FIFO; EFCT only */
	uint32_t ct_removed;
	uint32_t ts_nsec;
	uint16_t ts_nsec_frac;
	uint16_t ts_flags;
} ef_vi_txq_state;

typedef struct {
	uint32_t posted; /* rung: a multiple of 8 */
	uint32_t added;
	uint32_t removed;
	uint32_t in_jumbo;
	uint32_t bytes_acc;
	uint16_t last_desc_i;
} ef_vi_rxq_state;

typedef struct {
	ef_eventq_ptr evq_ptr; /* in bytes, runs free */
	uint32_t sync_timestamp_major;
	uint32_t sync_timestamp_minor;
	uint32_t sync_timestamp_minimum;
	uint32_t sync_timestamp_synchronised;
	uint32_t sync_flags;
} ef_eventq_state;

typedef struct {
	uint32_t mask;
	uint32_t ct_fifo_bytes;
	void *descriptors;
	uint32_t *ids;
} ef_vi_txq;

typedef struct {
	uint32_t mask;
	void *descriptors;
	uint32_t *ids;
} ef_vi_rxq;

typedef struct {
	ef_eventq_state evq;
	ef_vi_txq_state txq;
	ef_vi_rxq_state rxq;
} ef_vi_state;

typedef struct {
	unsigned removed;
	char *vi_ctpio_mmap_ptr;
} ef_vi_tx_warm_state;

typedef struct ef_vi {
	unsigned vi_resource_id;
	unsigned vi_i;
	ef_driver_handle dh;
	unsigned rx_buffer_len;
	unsigned rx_prefix_len;
	uint8_t last_ctpio_failed;
	uint8_t ts_subnano_bits;
	uint64_t rx_discard_mask; /* enum ef_vi_rx_discard_err_flags */
	enum ef_timestamp_format ts_format;
	struct ef_pio *linked_pio;
	char *vi_ctpio_mmap_ptr;
	unsigned evq_mask;
	ef_vi_txq vi_txq;
	ef_vi_rxq vi_rxq;
	ef_vi_state *ep_state;
	enum ef_vi_flags vi_flags;
	enum ef_vi_out_flags vi_out_flags;
	struct ef_vi *evq_vi;
	struct ef_vi *vi_qs[EF_VI_MAX_QS];
	int vi_qs_n;
	struct ef_vi_nic_type nic_type;
	struct softnic_vi *softnic; /* the device's half */
	struct ops {
		int (*transmit)(struct ef_vi *, ef_addr base, int len, ef_request_id);
		int (*transmitv)(struct ef_vi *, const ef_iovec *, int iov_len, ef_request_id);
		int (*transmitv_init)(struct ef_vi *, const ef_iovec *, int iov_len, ef_request_id);
		void (*transmit_push)(struct ef_vi *);
		int (*transmit_pio)(struct ef_vi *, int offset, int len, ef_request_id);
		int (*transmit_copy_pio)(struct ef_vi *, int pio_offset, const void *src_buf,
					 int len, ef_request_id);
		void (*start_transmit_warm)(struct ef_vi *, ef_vi_tx_warm_state *saved_state,
					    char *warm_ctpio_mmap_ptr);
		void (*stop_transmit_warm)(struct ef_vi *, ef_vi_tx_warm_state *saved_state);
		void (*transmit_pio_warm)(struct ef_vi *);
		void (*transmit_copy_pio_warm)(struct ef_vi *, int pio_offset, const void *src_buf,
					       int len);
		void (*transmitv_ctpio)(struct ef_vi *, size_t frame_len, const struct iovec *,
					int iov_len, unsigned threshold);
		void (*transmitv_ctpio_copy)(struct ef_vi *, size_t frame_len, const struct iovec *,
					     int iov_len, unsigned threshold, void *fallback);
		int (*transmit_ctpio_fallback)(struct ef_vi *, ef_addr dma_addr, size_t len,
					       ef_request_id);
		int (*transmitv_ctpio_fallback)(struct ef_vi *, const ef_iovec *, int iov_len,
						ef_request_id);
		int (*receive_set_discards)(struct ef_vi *, unsigned discard_err_flags);
		uint64_t (*receive_get_discards)(struct ef_vi *);
		int (*receive_init)(struct ef_vi *, ef_addr, ef_request_id);
		void (*receive_push)(struct ef_vi *);
		int (*receive_get_timestamp)(struct ef_vi *, const void *pkt, ef_precisetime *);
		int (*eventq_poll)(struct ef_vi *, ef_event *, int evs_len);
		void (*eventq_prime)(struct ef_vi *);
		int (*eventq_has_event)(const struct ef_vi *);
		int (*eventq_has_many_events)(const struct ef_vi *, int n_events);
	} ops;
} ef_vi;

ef_vi_inline unsigned ef_vi_resource_id(ef_vi *vi)
{
	return vi->vi_resource_id;
}

ef_vi_inline enum ef_vi_flags ef_vi_flags(ef_vi *vi)
{
	return vi->vi_flags;
}

ef_vi_inline unsigned ef_vi_instance(ef_vi *vi)
{
	return vi->vi_i;
}

extern const char *ef_vi_version_str(void);
extern const char *ef_vi_driver_interface_str(void);

/* ---------------------------------------------------------------- receive */

/* Bytes the NIC writes in front of a packet. */
ef_vi_inline int ef_vi_receive_prefix_len(const ef_vi *vi)
{
	return (int)vi->rx_prefix_len;
}

/* Bytes the NIC writes into one buffer. */
ef_vi_inline int ef_vi_receive_buffer_len(const ef_vi *vi)
{
	return (int)vi->rx_buffer_len;
}

ef_vi_inline void ef_vi_receive_set_buffer_len(ef_vi *vi, unsigned buf_len)
{
	vi->rx_buffer_len = buf_len;
}

ef_vi_inline int ef_vi_receive_fill_level(const ef_vi *vi)
{
	return (int)(vi->ep_state->rxq.added - vi->ep_state->rxq.removed);
}

ef_vi_inline int ef_vi_receive_space(const ef_vi *vi)
{
	return (int)vi->vi_rxq.mask - ef_vi_receive_fill_level(vi);
}

ef_vi_inline int ef_vi_receive_capacity(const ef_vi *vi)
{
	return (int)vi->vi_rxq.mask;
}

#define ef_vi_receive_init(vi, addr, dma_id) (vi)->ops.receive_init((vi), (addr), (dma_id))
#define ef_vi_receive_push(vi) (vi)->ops.receive_push((vi))
extern int ef_vi_receive_post(ef_vi *vi, ef_addr addr, ef_request_id dma_id);

extern int ef_vi_receive_get_timestamp(ef_vi *vi, const void *pkt, ef_timespec *ts_out);
extern int ef_vi_receive_get_timestamp_with_sync_flags(ef_vi *vi, const void *pkt,
						       ef_timespec *ts_out, unsigned *flags_out);
#define ef_vi_receive_get_precise_timestamp(vi, pkt, ts_out) \
	(vi)->ops.receive_get_timestamp((vi), (pkt), (ts_out))

extern int ef_vi_receive_get_bytes(ef_vi *vi, const void *pkt, uint16_t *bytes_out);
extern int ef_vi_receive_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids);

#define ef_vi_receive_set_discards(vi, discard_err_flags) \
	(vi)->ops.receive_set_discards((vi), (discard_err_flags))
#define ef_vi_receive_get_discards(vi) (vi)->ops.receive_get_discards((vi))

/* ---------------------------------------------------------------- transmit */

ef_vi_inline int ef_vi_transmit_fill_level(const ef_vi *vi)
{
	return (int)(vi->ep_state->txq.added - vi->ep_state->txq.removed);
}

ef_vi_inline int ef_vi_transmit_space(const ef_vi *vi)
{
	return (int)vi->vi_txq.mask - ef_vi_transmit_fill_level(vi);
}

ef_vi_inline int ef_vi_transmit_fill_level_bytes(const ef_vi *vi)
{
	return (int)(vi->ep_state->txq.ct_added - vi->ep_state->txq.ct_removed);
}

ef_vi_inline int ef_vi_transmit_space_bytes(const ef_vi *vi)
{
	return (int)vi->vi_txq.ct_fifo_bytes - ef_vi_transmit_fill_level_bytes(vi);
}

ef_vi_inline int ef_vi_transmit_capacity(const ef_vi *vi)
{
	return (int)vi->vi_txq.mask;
}

extern int ef_vi_transmit_init(ef_vi *vi, ef_addr addr, int bytes, ef_request_id dma_id);
extern void ef_vi_transmit_init_undo(ef_vi *vi);
extern int ef_vi_transmit_unbundle(ef_vi *vi, const ef_event *event, ef_request_id *ids);
extern void ef_vi_set_tx_push_threshold(ef_vi *vi, unsigned threshold);

#define ef_vi_transmit(vi, base, len, dma_id) (vi)->ops.transmit((vi), (base), (len), (dma_id))
#define ef_vi_transmitv(vi, iov, iov_len, dma_id) \
	(vi)->ops.transmitv((vi), (iov), (iov_len), (dma_id))
#define ef_vi_transmitv_init(vi, iov, iov_len, dma_id) \
	(vi)->ops.transmitv_init((vi), (iov), (iov_len), (dma_id))
#define ef_vi_transmit_push(vi) (vi)->ops.transmit_push((vi))
#define ef_vi_transmit_pio(vi, offset, len, dma_id) \
	(vi)->ops.transmit_pio((vi), (offset), (len), (dma_id))
#define ef_vi_transmit_copy_pio(vi, pio_offset, src_buf, len, dma_id) \
	(vi)->ops.transmit_copy_pio((vi), (pio_offset), (src_buf), (len), (dma_id))
#define ef_vi_transmit_pio_warm(vi) (vi)->ops.transmit_pio_warm((vi))
#define ef_vi_transmit_copy_pio_warm(vi, pio_offset, src_buf, len) \
	(vi)->ops.transmit_copy_pio_warm((vi), (pio_offset), (src_buf), (len))
#define ef_vi_start_transmit_warm(vi, saved_state, warm_ctpio_mmap_ptr) \
	(vi)->ops.start_transmit_warm((vi), (saved_state), (warm_ctpio_mmap_ptr))
#define ef_vi_stop_transmit_warm(vi, saved_state) (vi)->ops.stop_transmit_warm((vi), (saved_state))

#define EF_VI_CTPIO_CT_THRESHOLD_SNF 0xffff
#define ef_vi_transmitv_ctpio(vi, frame_len, frame_iov, frame_iov_len, ct_threshold) \
	(vi)->ops.transmitv_ctpio((vi), (frame_len), (frame_iov), (frame_iov_len), (ct_threshold))
#define ef_vi_transmitv_ctpio_copy(vi, frame_len, frame_iov, frame_iov_len, ct_threshold, copy) \
	(vi)->ops.transmitv_ctpio_copy((vi), (frame_len), (frame_iov), (frame_iov_len),         \
				       (ct_threshold), (copy))

ef_vi_inline void ef_vi_transmit_ctpio(ef_vi *vi, const void *frame_buf, size_t frame_len,
				       unsigned ct_threshold)
{
	struct iovec iov = { (void *)(uintptr_t)frame_buf, frame_len };

	ef_vi_transmitv_ctpio(vi, frame_len, &iov, 1, ct_threshold);
}

#define ef_vi_transmit_ctpio_fallback(vi, dma_addr, len, dma_id) \
	(vi)->ops.transmit_ctpio_fallback((vi), (dma_addr), (len), (dma_id))
#define ef_vi_transmitv_ctpio_fallback(vi, dma_iov, dma_iov_len, dma_id) \
	(vi)->ops.transmitv_ctpio_fallback((vi), (dma_iov), (dma_iov_len), (dma_id))

/* ---------------------------------------------------------------- event queue */

#define ef_eventq_poll(evq, evs, evs_len) (evq)->ops.eventq_poll((evq), (evs), (evs_len))
#define ef_eventq_prime(vi) (vi)->ops.eventq_prime((vi))
#define ef_eventq_has_event(vi) (vi)->ops.eventq_has_event((vi))
/* Are there more than `n_events` events? May be asked by any thread. */
#define ef_eventq_has_many_events(vi, n_events) (vi)->ops.eventq_has_many_events((vi), (n_events))
extern int ef_eventq_capacity(ef_vi *vi);

ef_vi_inline unsigned ef_eventq_current(ef_vi *evq)
{
	return __atomic_load_n(&evq->ep_state->evq.evq_ptr, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif
