/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * internal.h - the parts of softnic and what they share.
 *
 *   wire -> step -> filter -> RX ring or superbuffers -> event queue -> driver half (ops) -> user
 *   user -> driver half -> TX ring or FIFO -> step -> wire; completions -> event queue
 *
 * Two halves meet in memory as they do with hardware: the driver half runs in the thread that uses
 * the VI and owns ef_vi.ep_state; the device half runs in sn_step under the NIC's lock, inside the
 * driver's calls or in a thread of its own. They share doorbells (driver releases, device
 * acquires) and event slots or packet headers (device releases, driver acquires), nothing else.
 */
#ifndef SOFTNIC_INTERNAL_H
#define SOFTNIC_INTERNAL_H

#include <etherfabric/base.h>
#include <etherfabric/capabilities.h>
#include <etherfabric/ef_vi.h>
#include <etherfabric/memreg.h>
#include <etherfabric/pd.h>
#include <etherfabric/pio.h>
#include <etherfabric/vi.h>
#include <pthread.h>
#include <softnic.h>
#include <string.h>

#define SN_PUBLIC __attribute__((visibility("default")))

#define SN_NS 1000000000u
#define SN_SYNC_NS (SN_NS / 4) /* four clock events a second */
#define SN_PREFIX 14u
#define SN_PREFIX_LEN_AT 8u   /* u16: length of the frame */
#define SN_PREFIX_TIME_AT 10u /* u32: minor part of the stamp */
#define SN_RX_BUFFER_DEFAULT 1792u
#define SN_RXQ_DEFAULT 512u
#define SN_RXQ_MAX 4096u
#define SN_TXQ_DEFAULT 512u
#define SN_TXQ_MAX 2048u
#define SN_EVQ_MAX 32768u
#define SN_DOORBELL 8u /* RX descriptors go live in multiples of this */
#define SN_FRAME_MIN 60u
#define SN_FRAME_MAX SOFTNIC_FRAME_MAX
#define SN_PIO_BYTES 2048u
#define SN_FILTERS_MAX 1024u
#define SN_SUPERBUF_BYTES (1u << 20)
#define SN_STRIDE 2048u
#define SN_SUPERBUF_PKTS (SN_SUPERBUF_BYTES / SN_STRIDE)
#define SN_FIFO_BYTES 32768u
#define SN_PKT_AT 66u /* of the frame in its 2 KiB */
#define SN_NO_ID 0xffffffffu

/* ---------------------------------------------------------------- atomics, each naming its pair */

#define sn_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define sn_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define sn_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define sn_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define sn_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
/* Swaps of one word are in one order: of two sides that publish, then swap, one sees the other. */
#define sn_swap(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* ---------------------------------------------------------------- a NIC */

struct sn_model {
	const char *name;
	enum ef_vi_arch arch; /* of a PD without EF_PD_EXPRESS */
	char variant;
	enum ef_timestamp_format ts_format;
	bool pio, ctpio;
	bool express; /* EF_PD_EXPRESS gives EF10CT */
	bool sniff;   /* port_sniff filters */
};

extern const struct sn_model sn_models[];
extern const unsigned sn_n_models;

/* A frame on a memory wire. */
struct sn_block {
	struct sn_block *next;
	uint64_t ns;
	uint32_t len, flags;
	uint8_t bytes[];
};

/* Frames in order. The lock is a leaf: nothing is locked under it. */
struct sn_fifo {
	pthread_mutex_t lock;
	struct sn_block *head, **tail;
	struct sn_block *spare; /* to use again */
	uint32_t n;		/* read without the lock: is there anything? */
};

/* A frame as it enters the device. */
struct sn_rx {
	uint8_t *frame;
	uint32_t len, flags;
	uint64_t ns;
};

enum sn_vlan { SN_VLAN_NONE = 0xffff };

/* What filters and checksum engines see of a frame. */
struct sn_parsed {
	uint16_t ethertype;
	uint16_t vlan; /* outer VLAN id or SN_VLAN_NONE */
	uint8_t ip;    /* 4, 6 or 0 */
	uint8_t proto; /* of the packet, fragment or not */
	bool ports;    /* UDP or TCP, not a fragment, header whole */
	bool multicast;
	uint16_t sport, dport; /* as on the wire */
	uint32_t l3_at, l4_at, l4_len;
	const uint8_t *src, *dst; /* IP addresses */
};

struct sn_filter {
	struct softnic_vi *v; /* NULL: freed, and its driver handle is still open */
	int id;
	ef_filter_spec spec;
	ef_driver_handle dh;
};

enum sn_check { SN_CHECK_OFF, SN_CHECK_ON, SN_CHECK_DEEP };

struct sn_counters { /* written under the NIC's lock or by atomic adds */
	uint64_t wire_rx, wire_tx, wire_dropped, wire_oversize, wire_tx_dropped;
	uint64_t filter_missed, delivered, rx_no_desc, rx_trunc, rx_bad_fcs, rx_bad_csum, rx_lost;
	uint64_t ctpio_sent, ctpio_failed, ev_overflows, violations;
};

struct sn_packet; /* the packet socket of an attached NIC */
struct sn_chunk;  /* of the table of registered pages */

#define SN_CHUNKS 4096u
#define SN_CHUNK_PAGES 1024u

struct sn_nic {
	char name[16];
	uint64_t netns; /* 0 for memory NICs */
	struct sn_nic *next;
	pthread_mutex_t lock;
	pthread_mutex_t life_lock; /* VIs come and go; taken before lock */
	/* options */
	const struct sn_model *model;
	enum sn_check check;
	bool step_thread, manual, sync_status, merging;
	unsigned mtu;
	struct sn_nic *peer;
	/* identity */
	bool attached;
	int sim; /* number of a memory NIC, or -1 */
	int ifindex;
	uint8_t mac[6];
	/* life */
	unsigned n_pds, n_vis, next_vi;
	struct softnic_vi *vis;
	/* wire */
	struct sn_fifo arrived, sent;
	struct softnic_vi *wakers; /* every VI once more, under arrived.lock */
	struct sn_packet *packet;
	uint8_t rx_frame[SN_FRAME_MAX + 64];
	/* steering */
	struct sn_filter filters[SN_FILTERS_MAX];
	unsigned n_filters;
	int next_filter;
	/* memory */
	struct sn_chunk *chunk[SN_CHUNKS];
	uint32_t n_pages, n_regs;
	/* clock and faults */
	uint64_t manual_ns;
	uint32_t fault[SOFTNIC_FAULTS];
	uint32_t nth_fcs, nth_csum, nth_stamp, nth_ctpio;
	struct sn_counters c;
	pthread_mutex_t said_lock;
	char last_violation[160];
	/* thread */
	pthread_t thread;
	bool running;
	uint32_t stop, sleeping;
	int kick_fd;
};

struct softnic_pd {
	struct sn_nic *nic;
	bool ref; /* receives by reference: EFCT, EF10CT */
	enum ef_vi_arch arch;
};

/* ---------------------------------------------------------------- a VI's device half */

enum { SN_DESC_END = 1, SN_DESC_PIO = 2, SN_DESC_CTPIO_SENT = 4, SN_DESC_WARM = 8 };

struct sn_desc {
	uint64_t addr; /* bus address, offset in the PIO region or in the FIFO */
	uint32_t len, flags;
};

struct sn_evq {
	uint64_t *slot; /* 0: empty */
	uint32_t mask;
	uint32_t put;	   /* the device's index */
	uint32_t overflow; /* sticky */
	uint32_t dead;	   /* a reset happened: nothing is delivered any more */
	bool wants_sync;
	uint64_t next_sync; /* when the next clock event is due */
	struct softnic_vi *owner;
};

/* Receiving by reference: superbuffers go round between device and driver. */
struct sn_ref {
	uint8_t *mem;
	unsigned n;	 /* superbuffers */
	uint32_t *free;	 /* driver -> device: superbuffer numbers; size: a power of two above n */
	uint32_t *begun; /* device -> driver */
	uint32_t ring_mask;
	uint32_t free_put, free_get, begun_put, begun_get;
	/* device */
	int dev_sb; /* being filled, or -1 */
	uint32_t dev_pkt;
	/* driver */
	int drv_sb;
	uint32_t drv_pkt;
	uint32_t *refs; /* of each superbuffer: packets not released yet, or never arrived */
	uint8_t *out;	/* of each packet: 1 while the application has it */
	uint32_t pkts_out;
};

struct softnic_vi {
	struct ef_vi *vi;
	struct sn_nic *nic;
	struct softnic_vi *next, *wake_next;
	struct sn_evq *evq; /* its own or another VI's */
	unsigned label;
	bool ref, merge, rx_stamps, tx_stamps;
	bool exclusive, attached_rxq, hit; /* of the filters; hit: by the frame in hand */
	char variant;
	enum ef_timestamp_format ts_format;
	unsigned flags;
	enum sn_check check;
	/* doorbells: released by the driver, acquired by the device */
	uint32_t rx_posted, tx_pushed;
	struct sn_desc *rxd, *txd;
	uint32_t rx_mask, tx_mask;
	uint64_t *tx_ns; /* when the packet ending here left */
	/* device */
	uint32_t rx_taken; /* descriptors consumed */
	uint32_t tx_taken; /* descriptors sent; also read by the driver: is there work? */
	uint32_t tx_told;  /* descriptors completed by an event */
	uint8_t *tx_frame; /* being gathered */
	uint32_t merge_n, merge_multicast; /* the RX_MULTI event in the making */
	uint32_t stat[4];		   /* CRC, truncated, no descriptor, abort */
	uint8_t *fifo;			   /* of CTPIO-only NICs */
	uint8_t *pio_mem;		   /* of the linked region */
	struct sn_ref *r;
	/* driver */
	bool warm, ctpio_open, ctpio_sent, reset_seen;
	uint32_t warm_removed; /* what `removed` is while it is warmed */
	uint32_t pio_busy;     /* PIO descriptors in flight */
	/* waiting */
	int wake_fd;
	uint32_t primed;
	struct sn_evq own_evq;
};

/* ---------------------------------------------------------------- event words */

enum sn_ev {
	SN_EV_RX = 1,
	SN_EV_TX,
	SN_EV_TX_LO,
	SN_EV_TX_HI,
	SN_EV_TIME,
	SN_EV_RESET,
};

#define SN_EV_CODE(w) ((enum sn_ev)((w) >> 60))
#define SN_EV_LABEL(w) ((unsigned)((w) >> 52) & 31u)
#define SN_EV_MAKE(code, label, bits) \
	((uint64_t)(code) << 60 | (uint64_t)(label) << 52 | (uint64_t)(bits))
/* RX: bytes 0..13, CONT 14, multicast 15, errors 16..25, low bits of the next descriptor 26..29 */
#define SN_EV_RX_CONT (1u << 14)
#define SN_EV_RX_MULTICAST (1u << 15)
/* TX, TX_LO, TX_HI: value 0..31, CTPIO 32. TIME: major 0..31, minor 32..47, set 48, in sync 49 */
#define SN_EV_TX_BY_CTPIO (1ull << 32)
#define SN_EV_TIME_SET (1ull << 48)
#define SN_EV_TIME_IN_SYNC (1ull << 49)

/* ---------------------------------------------------------------- nic.c, options.c */

struct sn_nic *sn_nic_find(const char *name); /* by the rules of softnic.h; NULL: -ENODEV */
struct sn_nic *sn_nic_by_index(int ifindex);
int sn_nic_hold(struct sn_nic *nic, bool pd); /* a PD or a VI more; opens the wire */
void sn_nic_drop(struct sn_nic *nic, bool pd);
uint64_t sn_now(struct sn_nic *nic);

/* ---------------------------------------------------------------- wires */

/* What arrived next, or false. The frame stays valid until the next call. Under the NIC's lock. */
bool sn_wire_take(struct sn_nic *nic, struct sn_rx *rx);
bool sn_wire_pending(struct sn_nic *nic); /* cheap, no lock */
/* 0: sent; -EAGAIN: try again later; other: gone. `frame` has room for padding up to 60 bytes. */
int sn_wire_send(struct sn_nic *nic, uint8_t *frame, uint32_t len);

int sn_packet_open(struct sn_nic *nic);
void sn_packet_close(struct sn_nic *nic);
bool sn_packet_take(struct sn_nic *nic, struct sn_rx *rx);
bool sn_packet_pending(struct sn_nic *nic);
int sn_packet_send(struct sn_nic *nic, const uint8_t *frame, uint32_t len);
int sn_packet_fd(struct sn_nic *nic);
void sn_packet_count(struct sn_nic *nic); /* fetches the kernel's drops */
/* Nobody wants anything but UDP: the rest is to take no room in the ring, and no part in its drops. */
void sn_packet_only_udp(struct sn_nic *nic, bool only);

void sn_fifo_init(struct sn_fifo *f);
int sn_fifo_put(struct sn_fifo *f, const void *frame, uint32_t len, uint64_t ns, uint32_t flags);
/* Copies the oldest frame out; its length or 0. */
uint32_t sn_fifo_get(struct sn_fifo *f, void *buf, uint32_t size, uint64_t *ns, uint32_t *flags);
void sn_fifo_clear(struct sn_fifo *f);
int sn_memory_arrive(struct sn_nic *nic, const void *frame, uint32_t len, uint32_t flags);

/* ---------------------------------------------------------------- the device */

#define SN_ALL 0xffffffffu
#define SN_BACKLOG (2 * SOFTNIC_WIRE_MAX) /* all that a wire holds, but not for ever */
/* Move at most `budget` frames in, and whatever is due out. Locks. True: something happened. */
bool sn_step(struct sn_nic *nic, uint32_t budget);
bool sn_step_locked(struct sn_nic *nic, uint32_t budget);
bool sn_step_due(struct softnic_vi *v); /* cheap: may a step have something to do for this VI? */
void sn_step_tx(struct softnic_vi *v);	/* after a doorbell */
int sn_thread_start(struct sn_nic *nic);
void sn_thread_stop(struct sn_nic *nic);
void sn_kick(struct sn_nic *nic); /* wake the device's thread */

void sn_frame_parse(const uint8_t *frame, uint32_t len, struct sn_parsed *p);
/* Flags of enum ef_vi_rx_discard_err_flags: what is wrong with the checksums, and classes. */
unsigned sn_frame_verify(const uint8_t *frame, uint32_t len, const struct sn_parsed *p);
void sn_frame_checksum(uint8_t *frame, uint32_t len, bool l3, bool l4);

void sn_filter_deliver(struct sn_nic *nic, const struct sn_rx *rx, const struct sn_parsed *p,
		       unsigned errors);
void sn_filter_forget(struct softnic_vi *v);
void sn_filter_close(struct sn_nic *nic, ef_driver_handle dh);
void sn_nics_close(ef_driver_handle dh); /* what was of that handle goes */

/* Under the NIC's lock. */
void sn_ring_deliver(struct softnic_vi *v, const struct sn_rx *rx, bool multicast, unsigned errors);
void sn_ring_flush(struct softnic_vi *v);
void sn_ref_deliver(struct softnic_vi *v, const struct sn_rx *rx, unsigned errors);
void sn_ref_rollover(struct softnic_vi *v);
bool sn_tx_fetch(struct softnic_vi *v);
bool sn_tx_complete(struct softnic_vi *v);

void sn_event_put(struct sn_evq *q, uint64_t word);
void sn_event_sync(struct sn_nic *nic, uint64_t until); /* clock events due up to then */
bool sn_event_sync_due(const struct softnic_vi *v);
bool sn_event_waiting(const struct softnic_vi *v);
bool sn_ref_waiting(const struct softnic_vi *v);
void sn_wake(struct softnic_vi *v);
uint32_t sn_stamp_minor(const struct softnic_vi *v, uint64_t ns);

/* ---------------------------------------------------------------- the driver half */

int sn_ring_poll(ef_vi *vi, ef_event *evs, int n);
int sn_ref_poll(ef_vi *vi, ef_event *evs, int n);
int sn_has_event(const ef_vi *vi);
int sn_has_many_events(const ef_vi *vi, int n);
void sn_prime(ef_vi *vi);
void sn_poll_step(ef_vi *vi, int n);
void sn_reset_event(ef_vi *vi, ef_event *e);
bool sn_poll_begin(ef_vi *vi, ef_event *evs, int n, int *done);
int sn_ring_stamp(ef_vi *vi, const void *pkt, ef_precisetime *ts);
int sn_ref_stamp(ef_vi *vi, const void *pkt, ef_precisetime *ts);

int sn_receive_init(ef_vi *vi, ef_addr addr, ef_request_id id);
void sn_receive_push(ef_vi *vi);
void sn_rx_gone(ef_vi *vi, uint32_t index); /* the descriptor's buffer is the application's again */
int sn_transmit(ef_vi *vi, ef_addr base, int len, ef_request_id id);
int sn_transmitv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id);
int sn_transmitv_init(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id);
void sn_transmit_push(ef_vi *vi);
void sn_tx_gone(ef_vi *vi, uint32_t index);
bool sn_tx_room(ef_vi *vi, uint32_t n);
void sn_ctpio_check(ef_vi *vi);

int sn_transmit_pio(ef_vi *vi, int offset, int len, ef_request_id id);
int sn_transmit_copy_pio(ef_vi *vi, int offset, const void *src, int len, ef_request_id id);
void sn_transmit_pio_warm(ef_vi *vi);
void sn_transmit_copy_pio_warm(ef_vi *vi, int offset, const void *src, int len);
void sn_warm_start(ef_vi *vi, ef_vi_tx_warm_state *saved, char *warm_ctpio);
void sn_warm_stop(ef_vi *vi, ef_vi_tx_warm_state *saved);
void sn_ctpio(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold);
void sn_ctpio_copy(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold,
		   void *fallback);
int sn_ctpio_fallback(ef_vi *vi, ef_addr addr, size_t len, ef_request_id id);
int sn_ctpiov_fallback(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id);

int sn_fifo_transmit(ef_vi *vi, ef_addr base, int len, ef_request_id id);
int sn_fifo_transmitv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id);
void sn_fifo_push(ef_vi *vi);
void sn_fifo_ctpio(ef_vi *vi, size_t len, const struct iovec *iov, int n, unsigned threshold);
int sn_fifo_fallback(ef_vi *vi, ef_addr addr, size_t len, ef_request_id id);
int sn_fifo_fallbackv(ef_vi *vi, const ef_iovec *iov, int n, ef_request_id id);

/* ---------------------------------------------------------------- memory and its owners */

int sn_memory_reset(struct sn_nic *nic);
/* Where the device finds `len` bytes at a bus address; NULL: not registered. */
uint8_t *sn_memory_at(struct sn_nic *nic, uint64_t addr, uint32_t len);
void sn_own_post(struct softnic_vi *v, uint64_t addr, uint32_t len);
void sn_own_posted_check(struct softnic_vi *v, const uint8_t *p, uint32_t len);
void sn_own_unpost(struct softnic_vi *v, uint64_t addr, uint32_t len);
void sn_own_send(struct softnic_vi *v, uint64_t addr, uint32_t len);
void sn_own_sent(struct softnic_vi *v, uint64_t addr, uint32_t len);

void sn_violation(struct sn_nic *nic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define sn_wrong(v, ...)                                     \
	do {                                                 \
		if ((v)->check)                              \
			sn_violation((v)->nic, __VA_ARGS__); \
	} while (0)

extern uint32_t sn_first_index;

#endif
