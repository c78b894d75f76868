/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kbypass.h - one data path over ef_vi, DPDK, AF_XDP and kernel sockets.
 *
 *   port    one interface opened with one backend
 *   queue   one RX and/or TX ring of a port, used by one thread at a time
 *   flow    which datagrams a queue receives; the same struct on every backend
 *   frame   32 bytes that name one received or outgoing packet; the packet itself is never copied
 *   txflow  a destination: neighbour resolved, header prebuilt
 *
 * Two forms of the hot calls. The array form in this file costs one indirect call per burst. The
 * inline form, kbp_rx_each and kbp_tx_each in <kbypass/hot.h>, runs inside the backend's own loop.
 *
 * Cold calls return 0 or -errno and fill a struct kbp_error. Hot calls return counts. Nothing here
 * prints, exits, aborts or installs a signal handler.
 *
 * Every prototype carries its contract: what it Returns, who Owns the memory, whether it Blocks,
 * which Threads may call it. `err` may be NULL everywhere. All integers are in host byte order
 * unless named _be.
 */
#ifndef KBYPASS_H
#define KBYPASS_H

#include <kbypass/base.h>
#include <kbypass/stamp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bumped whenever a layout or a call in this file's or hot/'s inline code changes. Checked at
 * open. */
#define KBP_HOT_ABI 4u

/* ---------------------------------------------------------------- errors, log */

enum kbp_log_level { KBP_LOG_ERROR, KBP_LOG_WARN, KBP_LOG_INFO, KBP_LOG_DEBUG };

typedef void (*kbp_log_fn)(enum kbp_log_level level, const char *text, void *arg);

/* kbp_log_set - give the library somewhere to say what it does on the cold path.
 *
 * Returns:  nothing. Without a callback nothing is said anywhere.
 * Owns:     `arg` stays the caller's and must outlive every port.
 * Blocks:   never.
 * Threads:  call before the first port is opened; the callback may come from any thread that makes
 *           a cold call, from a port's monitor thread and from DPDK's own threads, which may hold the
 *           port's lock: it must not call the library. Hot calls never log; a driver of DPDK's may. */
KBP_API void kbp_log_set(kbp_log_fn fn, void *arg);

/* kbp_version - the library's version, "MAJOR.MINOR.PATCH".
 *
 * Returns:  a static string.
 * Owns:     the library owns it; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_version(void);

/* kbp_commit - what it was built from: the commit, "-dirty" behind it when files had been changed.
 *
 * Returns:  like "d91b398" or "v0.1-3-gd91b398"; "unknown" when it was built from a tarball.
 * Owns:     static; never freed.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_commit(void);

/* ---------------------------------------------------------------- frames */

/* What the bits of kbp_frame.flags say. */
enum {
	KBP_FRAME_MORE = 1u << 0, /* another frame of the same packet follows (a chain) */
	KBP_FRAME_TX = 1u << 1,	  /* came from kbp_tx_reserve: `txflow` is valid */
	KBP_FRAME_TS = 1u << 2,	  /* ts_ns is a stamp of the queue's source
				 * (kbp_queue_info.ts_source) */
	KBP_FRAME_SYNC_SHIFT = 4, /* two bits: enum kbp_sync of the stamp's clock */
	KBP_FRAME_SYNC_MASK = 3u << 4,
	KBP_FRAME_NO_TS_SHIFT = 6, /* two bits, without KBP_FRAME_TS: enum kbp_no_ts */
	KBP_FRAME_NO_TS_MASK = 3u << 6,
	KBP_FRAME_DEVICE_SHIFT = 8, /* two bits: enum kbp_sync as the device itself says (ef_vi) */
	KBP_FRAME_DEVICE_MASK = 3u << 8
};

/* One packet, or one part of a chained packet. The first 16 bytes have the layout of struct
 * xdp_desc, so that the AF_XDP array form copies descriptors whole; KBP_FRAME_MORE is
 * XDP_PKT_CONTD. */
struct kbp_frame {
	uint64_t token; /* names the buffer to its backend; opaque to the caller, unique while
			 * held */
	uint32_t len;	/* bytes at data. After kbp_tx_reserve: the room there; set before submit */
	uint16_t flags; /* KBP_FRAME_* */
	uint16_t ts_frac; /* 2^-16 ns beyond ts_ns, where the source resolves it; otherwise 0 */
	void *data; /* RX: Ethernet header (socket: UDP payload). TX: payload (raw txflow: Ethernet
		     * header) */
	union {
		uint64_t ts_ns;		   /* RX with KBP_FRAME_TS: ns of the source's epoch */
		struct kbp_txflow *txflow; /* TX with KBP_FRAME_TX */
	};
};

KBP_STATIC_ASSERT(sizeof(struct kbp_frame) == 32, "two frames a cache line");
KBP_STATIC_ASSERT(offsetof(struct kbp_frame, len) == 8, "as struct xdp_desc");
KBP_STATIC_ASSERT(offsetof(struct kbp_frame, flags) == 12, "as struct xdp_desc.options");
KBP_STATIC_ASSERT(offsetof(struct kbp_frame, data) == 16, "second half");
KBP_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		  "flags and ts_frac share a word with xdp_desc.options");

/* A sent frame that the device has let go of. */
struct kbp_completion {
	uint64_t token;	  /* the frame's token as it was submitted */
	uint64_t ts_ns;	  /* with KBP_FRAME_TS in flags: when it was sent, by the queue's
			 * ts_source_tx */
	uint16_t flags;	  /* KBP_FRAME_TS and the sync bits */
	uint16_t ts_frac; /* 2^-16 ns */
	uint32_t error;	  /* 0, or the errno the device or kernel gave for this frame */
};

/* ---------------------------------------------------------------- addresses, flows */

/* An IPv4 or IPv6 address; family 0 means "any". */
struct kbp_addr {
	uint8_t family;	   /* AF_INET, AF_INET6 or 0 */
	uint8_t bytes[16]; /* network order, IPv4 in the first four; the rest zero */
};

/* Which datagrams. Zeroed members mean "any", but dst is required; dst_port 0 is for L2 backends
 * only. */
struct kbp_flow {
	struct kbp_addr dst; /* group or own unicast address */
	struct kbp_addr src; /* set for source-specific multicast, or to accept one sender only */
	uint16_t dst_port;
	uint16_t src_port;
	uint16_t vlan; /* 1..4094: that tag only; 0: tagged or not. `socket` refuses non-zero: open
		        * the VLAN interface */
	uint8_t proto; /* IPPROTO_UDP; 0 means the same */
	uint8_t flags; /* KBP_FLOW_* */
};

enum {
	KBP_FLOW_NO_JOIN =
		1u << 0, /* multicast without a kernel join: the switch is configured by hand, and so
			  * is the NIC's own filter (ip link set IFACE allmulticast on) */
};

/* kbp_flow_parse - read a flow as people write it: "[udp:]DST:PORT[@SRC[:PORT]][%VLAN][+nojoin]".
 *
 * IPv6 addresses stand in brackets: "[ff3e::1]:5000@[2001:db8::1]". "@*:PORT" is any source on that
 * port.
 * Returns:  0, or -EINVAL.
 * Errors:   -EINVAL with the place (1-based column) in err->hint.
 * Owns:     fills *flow; keeps no pointer.
 * Blocks:   never; names are not looked up.
 * Threads:  any. */
KBP_API int kbp_flow_parse(const char *text, struct kbp_flow *flow, struct kbp_error *err);

/* kbp_flow_format - the text that kbp_flow_parse reads back to the same flow.
 *
 * Returns:  the length of the text, as snprintf does; -EINVAL when the flow is no flow.
 * Owns:     writes at most `size` bytes at `buf`, NUL included.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_flow_format(const struct kbp_flow *flow, char *buf, size_t size);

/* ---------------------------------------------------------------- ports */

/* The kinds of backend. The number is in kbp_queue.kind and is part of the ABI. */
enum kbp_kind {
	KBP_NONE = 0,
	KBP_SOCKET = 1,	   /* kernel UDP sockets */
	KBP_AF_XDP = 2,	   /* AF_XDP rings */
	KBP_DPDK = 3,	   /* module */
	KBP_EF_VI = 4,	   /* module, vendor's library */
	KBP_EF_VI_SIM = 5, /* module, software NIC: emulated */
	KBP_KIND_USER = 64 /* from here on: backends that a program registers itself */
};

/* How frames get from the device to us. */
enum kbp_mode {
	KBP_MODE_AUTO = 0, /* request: the best that works, reported */
	KBP_MODE_ZEROCOPY, /* the NIC writes into our memory */
	KBP_MODE_COPY,	   /* native XDP, the driver's data copied once */
	KBP_MODE_GENERIC,  /* XDP on sk_buffs */
	KBP_MODE_KERNEL,   /* the socket path */
	KBP_MODE_EMULATED, /* no device at all */
};

/* How a frame to send gets to the device. */
enum kbp_tx_mode {
	KBP_TX_MODE_NONE = 0, /* the queue does not send, or the backend has one way only */
	KBP_TX_MODE_DMA,      /* the device fetches it after the doorbell */
	KBP_TX_MODE_PIO,      /* copied into the device's memory, then the doorbell */
	KBP_TX_MODE_CTPIO,    /* written through the device while it is being sent: cut-through */
};

enum {
	KBP_PORT_STRICT = 1u << 0,     /* refuse whatever is less than requested, instead of falling
				    * back */
	KBP_PORT_NO_MONITOR = 1u << 1, /* no monitor thread: the caller polls kbp_port_fd and calls
			  * kbp_port_service */
	KBP_PORT_NO_HUGEPAGES = 1u << 2, /* do not try hugepages */
	KBP_PORT_STAMPING = 1u << 3, /* have the NIC stamp all frames, as SIOCSHWTSTAMP does, and put its
				      * setting back at close (after kill -9 it stays); what cannot be
				      * set is noted. Otherwise what is set there stays */
};

/* Everything a port can be asked for. Zero is the default of every member; set `size`. */
struct kbp_port_opts {
	size_t size; /* sizeof(struct kbp_port_opts): later versions add members at the end */
	enum kbp_mode mode; /* af_xdp: zero-copy, copy or generic; others ignore it */
	uint32_t flags;	    /* KBP_PORT_* */
	uint32_t frame_bytes; /* buffer size; 0: from the MTU. af_xdp: 2048 or 4096. dpdk: at least this */
	const char *module_dir; /* of backend modules; NULL: beside this library, or as installed */
	const char *args;  /* backend's own words (dpdk, ef_vi: see kbp_port_open); NULL: none */
	const char *label; /* name in the counters file; NULL: the interface's */
	int monitor_cpu;   /* CPU + 1 for the monitor thread; 0: wherever the opener may run */
};

#define KBP_PORT_OPTS_INIT KBP_OPTS_INIT(struct kbp_port_opts)
#define KBP_QUEUE_OPTS_INIT KBP_OPTS_INIT(struct kbp_queue_opts)

/* What was asked for and what was got. */
struct kbp_port_info {
	char backend[16];
	char interface[32]; /* as it was opened: an interface, or what a backend calls its device */
	char driver[32];    /* kernel driver, or "" where there is none; dpdk: DPDK's driver */
	uint32_t kind;	    /* enum kbp_kind */
	uint32_t ifindex;   /* 0 where the kernel has no such interface */
	uint8_t mac[6];
	uint16_t mtu;
	int32_t numa_node;    /* -1: unknown or none */
	uint32_t rx_channels; /* RX queues the device spreads frames over */
	uint32_t tx_channels;
	uint32_t open_queues;
	uint32_t unserved_channels; /* RX channels without an open queue: flows may land there */
	enum kbp_mode requested, achieved;
	enum kbp_proof proof; /* of `achieved` */
	bool emulated;	      /* software NIC */
	bool virtual_device;  /* veth, virtio, tap: never rank against hardware */
	char note[160];	      /* why achieved differs from requested; "" when it does not */
};

/* kbp_port_open - open interface `ifname` with the backend of that name.
 *
 * backend:  "socket", "af_xdp", or the name of a module ("dpdk", "ef_vi", "ef_vi_sim").
 * ifname:   an interface; dpdk: also a PCI address ("0000:03:00.0"), a virtual device of DPDK's
 *           ("net_memif0"), or a device that the program made with DPDK itself.
 * args:     ef_vi: "express" or "enterprise" chooses the datapath of a card that has both;
 *           "tx=dma", "tx=pio" or "tx=ctpio" the way frames are sent (default: the quickest the
 *           card has). ef_vi_sim: the software NIC's own words too (softnic.h), like "nic=x3522".
 *           dpdk, blanks between: "pmd=NAME" a virtual device over the interface (default where there
 *           is no PCI device: net_af_packet), "devargs=K=V,..." of a virtual device, "queues=N",
 *           "mtu=N" where the kernel has no interface, "match=off" deliver every frame, "isolate" let
 *           the device keep other frames away, "reports" or "reports=ADDRESS" send IGMP and MLD reports
 *           of our own; and arguments of DPDK's EAL, which a process starts once (doc/DPDK.md).
 * Returns:  0 and *port, or -errno and *port = NULL.
 * Errors:   -ENODEV no such interface; -ENOENT no such backend or module; -EPERM a named capability
 *           is missing; -EBUSY somebody else's XDP program, a device that a kernel driver holds, or a
 *           DPDK that runs already in another way; -ENOMEM hugepages; -ECHILD DPDK runs in a parent of
 *           this process; -EOPNOTSUPP refused by KBP_PORT_STRICT;
 *           -EINVAL a member of opts.
 * Owns:     the caller owns *port until kbp_port_close; strings in opts are copied.
 * Blocks:   up to seconds (driver restart, carrier, module load).
 * Threads:  any. Starts one monitor thread unless KBP_PORT_NO_MONITOR: asleep until a link event;
 *           on af_xdp it also looks four times a second whether the XDP program is still ours, on
 *           ef_vi a thousand times a second how full the receive rings are, on dpdk ten times a second
 *           at the link where the kernel has no interface. What other threads print while the first
 *           dpdk port starts EAL goes through. */
KBP_API int kbp_port_open(const char *backend, const char *ifname, const struct kbp_port_opts *opts,
			  struct kbp_port **port, struct kbp_error *err);

/* kbp_port_close - give the interface back as it was.
 *
 * Returns:  0, or -EBUSY while queues are open.
 * Errors:   -EBUSY says how many queues.
 * Owns:     on 0 the port is gone; on -EBUSY it is unchanged.
 * Blocks:   briefly (the monitor thread is joined).
 * Threads:  not while another thread uses the port. NULL is fine. */
KBP_API int kbp_port_close(struct kbp_port *port, struct kbp_error *err);

/* kbp_port_info - requested and achieved mode and how it is known.
 *
 * Returns:  nothing; fills *info.
 * Owns:     *info is the caller's.
 * Blocks:   while another thread opens or closes a queue of this port.
 * Threads:  any. */
KBP_API void kbp_port_info(const struct kbp_port *port, struct kbp_port_info *info);

/* kbp_port_fd - readable when kbp_port_service has something to do.
 *
 * Returns:  a descriptor to poll, or -1 when the monitor thread runs (it does the work), or where
 *           nothing would wake it (dpdk without a kernel interface: call kbp_port_service now and then).
 * Owns:     the library owns it; do not read or close it.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_port_fd(const struct kbp_port *port);

/* kbp_port_service - take in link events: removed or downed interface, replaced XDP program.
 *
 * Sets the state of the port's queues, which kbp_queue_state reads. Only with KBP_PORT_NO_MONITOR.
 * Returns:  the number of events taken in, or -errno.
 * Owns:     nothing changes hands.
 * Blocks:   never; enters the kernel.
 * Threads:  one at a time, any thread but a hot one. */
KBP_API int kbp_port_service(struct kbp_port *port);

/* ---------------------------------------------------------------- queues */

enum kbp_queue_state {
	KBP_QUEUE_UP = 0,
	KBP_QUEUE_LINK_DOWN,  /* may come back by itself; nothing arrives now */
	KBP_QUEUE_GONE,	      /* the interface was removed: close */
	KBP_QUEUE_OVERFLOWED, /* events lost, number unknown: kbp_queue_reopen */
	KBP_QUEUE_RESET,      /* the device was reset: kbp_queue_reopen */
	KBP_QUEUE_REPLACED,   /* our XDP program was replaced by somebody else's: close */
};

enum {
	KBP_QUEUE_RX = 1u << 0,
	KBP_QUEUE_TX = 1u << 1,
	KBP_QUEUE_RX_STAMPS = 1u << 2, /* receive timestamps; achieved source in kbp_queue_info */
	KBP_QUEUE_TX_STAMPS = 1u << 3, /* stamps in completions; implies KBP_QUEUE_COMPLETIONS */
	KBP_QUEUE_COMPLETIONS =
		1u << 4, /* keep completions for kbp_tx_reap; default: recycled internally */
	KBP_QUEUE_MULTI_BUFFER = 1u << 5, /* packets larger than a buffer arrive as chains */
	KBP_QUEUE_BUSY_POLL = 1u << 6,	  /* drive NAPI from the poll, where a NAPI id shows that it
				        * works */
};

/* Everything a queue can be asked for. Zero is the default of every member; set `size`. */
struct kbp_queue_opts {
	size_t size;
	uint32_t flags;	       /* KBP_QUEUE_*; 0 means RX | TX */
	uint32_t channel;      /* which of the device's RX/TX channels */
	uint32_t rx_ring;      /* descriptors, a power of two; 0: 2048 */
	uint32_t tx_ring;      /* descriptors, a power of two; 0: 1024 */
	uint32_t hold_max;     /* frames the caller may hold at once; 0: 256 */
	uint32_t rcvbuf_bytes; /* socket: receive buffer; 0: 8 MiB. Achieved size in
			        * kbp_queue_info */
};

struct kbp_queue_info {
	uint32_t channel;
	uint32_t flags;		   /* KBP_QUEUE_* in force */
	uint32_t rx_ring, tx_ring; /* descriptors */
	uint32_t hold_max, held;   /* frames */
	uint32_t chain_max;	   /* frames the longest chain can have; 1 without
			     * KBP_QUEUE_MULTI_BUFFER */
	uint32_t rcvbuf_bytes;	   /* socket: what the kernel granted, as it accounts it */
	uint32_t payload_max;	   /* largest UDP payload a txflow of this queue can send (IPv4,
			       * untagged) */
	bool l2;		   /* frames are whole Ethernet frames */
	bool hugepages;		   /* buffers on hugepages */
	int32_t numa_node;	   /* of the buffers; -1 unknown */
	enum kbp_mode mode;
	enum kbp_proof proof;	      /* of mode: PROVEN after the first frame */
	enum kbp_ts_source ts_source; /* of received frames */
	enum kbp_proof ts_proof;      /* PROVEN after a non-zero, plausible, advancing stamp */
	enum kbp_epoch ts_epoch;
	int32_t ts_phc; /* N of the /dev/ptpN that the stamps come from; -1: none, or unknown */
	enum kbp_sync ts_sync; /* of the clock that the queue watches, now */
	enum kbp_clock_cause ts_cause;
	uint64_t ts_bound_ns; /* that clock's distance from UTC at most, now; KBP_BOUND_UNKNOWN */
	uint64_t ts_verified_ns; /* when it was last found in sync, by itself; 0: never */
	enum kbp_ts_source ts_source_tx;
	enum kbp_proof ts_proof_tx;
	enum kbp_epoch ts_epoch_tx;
	uint32_t ts_resolution_ps; /* of the device's stamps, in picoseconds; 0: unknown */
	enum kbp_tx_mode tx_mode; /* the way short frames go; longer ones than it takes go by DMA */
	uint32_t napi_id;	  /* 0: the driver has none, busy polling would do nothing */
	enum kbp_tristate busy_poll;   /* does busy polling do anything here */
	enum kbp_tristate accelerated; /* socket: another stack (Onload) sits under it */
	char note[160];		       /* what was asked for and not got, and why */
};

/* The public head of a queue: what the inline calls below need. Behind it lies the backend's own
 * part. */
struct kbp_queue {
	/* line 0: the array form */
	unsigned (*rx_peek)(struct kbp_queue *q, struct kbp_frame *f, unsigned max);
	void (*rx_release)(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
	void (*rx_putback)(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
	unsigned (*tx_reserve)(struct kbp_txflow *t, struct kbp_frame *f, unsigned n);
	unsigned (*tx_submit)(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
	void (*tx_cancel)(struct kbp_queue *q, const struct kbp_frame *f, unsigned n);
	unsigned (*tx_reap)(struct kbp_queue *q, struct kbp_completion *c, unsigned max);
	uint32_t kind;	/* enum kbp_kind; constant */
	uint32_t state; /* enum kbp_queue_state; written by the monitor and by the backend */
	/* line 1: what all inline halves share */
	struct kbp_hot_rx *rx_count; /* in the counters file; written by this queue's thread only */
	struct kbp_hot_tx *tx_count;
	uint32_t held; /* frames the caller holds now */
	uint32_t hold_max;
	uint32_t flags; /* KBP_QUEUE_* in force */
	uint32_t chain_max;
	struct kbp_port *port;
	void *priv;	 /* the cold half */
	uint64_t layout; /* of the vendor's structures behind this queue; 0: there are none */
	uint64_t sync_shift; /* added to a stamp's ns: its place in the window of KBP_SYNC_SPAN_NS that is in
			      * sync; KBP_SYNC_NEVER: beyond it,
			      * for any time before the year 2262 */
};

/* The window of time in which stamps are known to be in sync. Its length is fixed, so that one word tells it;
 * the clock's writer moves it on. */
#define KBP_SYNC_SPAN_NS (1ull << 30)
#define KBP_SYNC_NEVER (1ull << 63)

KBP_STATIC_ASSERT(offsetof(struct kbp_queue, kind) == 56, "calls, kind and state in line 0");
KBP_STATIC_ASSERT(offsetof(struct kbp_queue, rx_count) == 64, "line 1");
KBP_STATIC_ASSERT(sizeof(struct kbp_queue) == 128, "two cache lines");

/* Hot counters: plain 64-bit words, each written by the queue's thread alone, read by anyone. */
struct kbp_hot_rx {
	uint64_t polls;		/* heartbeat: counts every poll, empty ones too */
	uint64_t frames;	/* delivered to the caller; each part of a chain counts */
	uint64_t hold_limited;	/* polls cut short because hold_max was reached */
	uint64_t ring_fill;	/* frames waiting at the last look */
	uint64_t ring_fill_max; /* most frames ever waiting: rx_ring minus this is the low-water
				 * mark */
	uint64_t chain_drops;	/* packets dropped because their chain was longer than `max` */
	uint64_t truncated;	/* frames dropped because they did not fit a buffer */
	uint64_t kernel_calls;	/* system calls made by RX calls */
};

struct kbp_hot_tx {
	uint64_t frames; /* accepted by submit */
	uint64_t doorbells;
	uint64_t ring_full;	/* submit or reserve found no room */
	uint64_t completions;	/* buffers that came back */
	uint64_t errors;	/* frames the kernel or device refused after submit accepted them */
	uint64_t in_flight_max; /* as seen whenever buffers ran short */
	uint64_t kernel_calls;	/* system calls made by TX calls */
	uint64_t reserved;
};

KBP_STATIC_ASSERT(sizeof(struct kbp_hot_rx) == 64 && sizeof(struct kbp_hot_tx) == 64, "a line each");

/* kbp_queue_open_abi - what kbp_queue_open calls; refuses a caller compiled for another hot ABI.
 *
 * Returns:  0 and *q, or -errno and *q = NULL.
 * Errors:   as kbp_queue_open, and -ENOEXEC for a foreign ABI.
 * Owns:     as kbp_queue_open.
 * Blocks:   as kbp_queue_open.
 * Threads:  as kbp_queue_open. */
KBP_API int kbp_queue_open_abi(struct kbp_port *port, const struct kbp_queue_opts *opts,
			       uint32_t hot_abi, struct kbp_queue **q, struct kbp_error *err);

/* kbp_queue_open - one RX and/or TX ring on one channel of the device.
 *
 * dpdk: a device has all its rings made before it is started. The first queue of a port makes them all, of
 * its own sizes, and starts the device; the last one that is closed stops it.
 * Returns:  0 and *q, or -errno and *q = NULL.
 * Errors:   -EBUSY the channel is taken; -EINVAL a member of opts, or a channel the device lacks;
 *           -ENOMEM; -EPERM; -EOPNOTSUPP refused by KBP_PORT_STRICT.
 * Owns:     the caller owns *q until kbp_queue_close.
 * Blocks:   up to seconds (driver restart, bounded retry while an earlier owner lets go).
 * Threads:  any; afterwards one thread at a time uses the queue. */
static inline int kbp_queue_open(struct kbp_port *port, const struct kbp_queue_opts *opts,
				 struct kbp_queue **q, struct kbp_error *err)
{
	return kbp_queue_open_abi(port, opts, KBP_HOT_ABI, q, err);
}

/* kbp_queues_open - a queue on every channel on which the device may deliver this port's flows.
 *
 * The default way in: no flow can land where nobody looks. Queues beyond the device's TX channels
 * are for receiving only. One queue where the backend steers, one
 * per RX channel where only the device's hash decides (af_xdp). opts->channel is ignored. The
 * caller polls all.
 * Returns:  how many were opened into q[0..max), or -errno with none left open.
 * Errors:   as kbp_queue_open; -ENOSPC when `max` is less than the channels needed.
 * Owns:     as kbp_queue_open, each.
 * Blocks:   as kbp_queue_open.
 * Threads:  any. */
KBP_API int kbp_queues_open(struct kbp_port *port, const struct kbp_queue_opts *opts,
			    struct kbp_queue **q, unsigned max, struct kbp_error *err);

/* kbp_queue_close - drain TX, let go of the ring.
 *
 * Returns:  0, or -EBUSY when frames, txflows or templates of this queue are still out.
 * Errors:   -EBUSY says how many of which; KBP_CLOSE_FORCE takes them back instead (dpdk: buffers that
 *           are out are written off until the port's last queue is closed).
 * Owns:     on 0 the queue and its flows are gone; on -EBUSY it is unchanged.
 * Blocks:   up to 100 ms while frames in flight drain.
 * Threads:  the queue's thread. NULL is fine. */
KBP_API int kbp_queue_close(struct kbp_queue *q, unsigned flags, struct kbp_error *err);

enum { KBP_CLOSE_FORCE = 1u << 0 };

/* kbp_queue_reopen - bring a queue back after KBP_QUEUE_OVERFLOWED or KBP_QUEUE_RESET, with its
 * flows.
 *
 * On dpdk a reset device is KBP_QUEUE_GONE: close the port and open it again.
 * Frames held before are void, also when it fails: whether they are given back or not, nothing of them
 * is to be read. The number of frames lost is unknown and counted as one event `lost_unknown`.
 * Returns:  0, or -errno with the queue still dead.
 * Errors:   as kbp_queue_open; -ENODEV when the interface is gone.
 * Owns:     the same pointer stays valid; txflows stay, reserved frames do not.
 * Blocks:   as kbp_queue_open.
 * Threads:  the queue's thread. */
KBP_API int kbp_queue_reopen(struct kbp_queue *q, struct kbp_error *err);

/* kbp_queue_info - what this queue is and how that is known.
 *
 * Returns:  nothing; fills *info.
 * Owns:     *info is the caller's.
 * Blocks:   briefly, while a look at the clock that it watches is written down.
 * Threads:  any; members that the hot thread moves are a snapshot. */
KBP_API void kbp_queue_info(const struct kbp_queue *q, struct kbp_queue_info *info);

/* kbp_queue_fd - a descriptor for the caller's own epoll loop.
 *
 * Readable when frames may be waiting: after a wake-up poll until empty. ef_vi arms its interrupt anew
 * for every sleep: there call kbp_wait(&q, 1, 0) before sleeping, and sleep only when it returns 0; and
 * has another descriptor after kbp_queue_reopen.
 * Returns:  a descriptor, or -1 where the backend has none.
 * Owns:     the library owns it; do not read or close it.
 * Blocks:   never.
 * Threads:  any. */
KBP_API int kbp_queue_fd(const struct kbp_queue *q);

/* kbp_wait - sleep until one of the queues may have frames, or dies.
 *
 * The only call of the data path that blocks. At most 64 queues. dpdk has no descriptor to sleep on:
 * with one of its queues among them this wakes up every 100 us to look.
 * Returns:  the number of queues that may have frames or are no longer up; 0 at the timeout;
 *           -errno.
 * Owns:     nothing changes hands; `queues` is read only.
 * Blocks:   up to timeout_ns nanoseconds; < 0 means for ever, 0 not at all.
 * Threads:  the thread that polls all these queues. */
KBP_API int kbp_wait(struct kbp_queue *const *queues, unsigned n, int64_t timeout_ns);

/* kbp_queue_state - is this queue alive? A dead queue is not an idle one.
 *
 * Returns:  the state.
 * Owns:     nothing changes hands.
 * Blocks:   never; one load.
 * Threads:  any.
 * Fence:    relaxed; the state is advice to stop, it orders nothing. */
static inline enum kbp_queue_state kbp_queue_state(const struct kbp_queue *q)
{
	return (enum kbp_queue_state)__atomic_load_n(&q->state, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- flows */

/* kbp_flow_add - receive these datagrams on this queue.
 *
 * Filter first, kernel join second (multicast). On af_xdp the flow belongs to the port: frames
 * arrive on the served channel that the device chose; on a channel without a queue they are counted
 * `flow_on_unserved_queue`.
 * Returns:  0 and *ref (ref may be NULL), or -errno.
 * Errors:   -EEXIST the port has this flow; -ENOSPC filters or wildcard shapes are used up;
 *           -EOPNOTSUPP the backend cannot express it; -ENODEV "no membership: static join needed";
 *           -EINVAL.
 * Owns:     the queue owns the flow until kbp_flow_del or kbp_queue_close.
 * Blocks:   briefly; enters the kernel.
 * Threads:  af_xdp, dpdk: any. socket, ef_vi: the queue's thread. */
KBP_API int kbp_flow_add(struct kbp_queue *q, const struct kbp_flow *flow,
			 struct kbp_flow_ref **ref, struct kbp_error *err);

/* kbp_flow_del - leave the group, then remove the filter.
 *
 * Returns:  0, or -errno when the filter could not be removed (it is forgotten all the same).
 * Errors:   those of the kernel or device.
 * Owns:     ref is gone.
 * Blocks:   briefly; enters the kernel.
 * Threads:  as kbp_flow_add. */
KBP_API int kbp_flow_del(struct kbp_flow_ref *ref, struct kbp_error *err);

/* ---------------------------------------------------------------- receive, array form */

/* kbp_rx_peek - borrow up to `max` received frames.
 *
 * Chains are whole: a chain longer than `max` is dropped and counted (`rx_chain_too_long`), so give
 * at least kbp_queue_info.chain_max.
 * Received bytes are to be read only: some devices map them so.
 * Returns:  frames written to f[0..max); fewer than max does not mean empty. Never negative.
 * Owns:     buffers are the caller's until kbp_rx_release, in any order; at most hold_max at a
 *           time.
 * Blocks:   never. Enters the kernel: socket (recvmmsg, one per flow); af_xdp only with driver busy
 *           polling or when the driver asks for a wake-up after the fill ring ran dry (recvfrom); dpdk
 *           where the driver does (net_af_xdp with a busy_budget).
 * Threads:  one caller per queue.
 * Fence:    acquire on the producer index; pairs with the release in the kernel's or NIC's
 *           publish. */
static inline unsigned kbp_rx_peek(struct kbp_queue *q, struct kbp_frame *f, unsigned max)
{
	return q->rx_peek(q, f, max);
}

/* kbp_rx_release - give buffers back.
 *
 * Not inside a handler of kbp_rx_each: there kbp_rx_return.
 * Returns:  nothing.
 * Owns:     the n frames are the device's again: each exactly once, any order, any later time.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue.
 * Fence:    release on the fill producer; pairs with the acquire in the kernel's or NIC's fetch. */
static inline void kbp_rx_release(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	q->rx_release(q, f, n);
}

/* kbp_rx_copy - keep a frame's bytes for long without holding its buffer.
 *
 * Returns:  bytes copied: the smaller of f->len and size.
 * Owns:     the frame stays held; release it as usual.
 * Blocks:   never.
 * Threads:  one caller per queue. */
static inline size_t kbp_rx_copy(const struct kbp_frame *f, void *buf, size_t size)
{
	size_t n = f->len < size ? f->len : size;

	__builtin_memcpy(buf, f->data, n);
	return n;
}

/* A received datagram, alike on all backends. */
struct kbp_datagram {
	const void *payload;
	uint32_t len;	    /* payload bytes at `payload`: in this frame */
	uint32_t total_len; /* payload bytes of the whole datagram: more than len when the frame is
			     * chained */
	struct kbp_addr src, dst;
	uint16_t src_port, dst_port;
	uint16_t vlan; /* 0: untagged, or not visible on this backend (socket) */
};

/* Why a frame is no UDP datagram. */
enum kbp_parse {
	KBP_PARSE_OK = 0,
	KBP_PARSE_NOT_IP,
	KBP_PARSE_NOT_UDP,
	KBP_PARSE_FRAGMENT,  /* a part of a fragmented datagram; only the kernel path reassembles */
	KBP_PARSE_TRUNCATED, /* headers or payload end beyond the frame */
	KBP_PARSE_MALFORMED, /* lengths that contradict each other */
};

/* kbp_datagram - payload, source and destination of a held frame, alike on every backend.
 *
 * Returns:  KBP_PARSE_OK and *d, or why not.
 * Owns:     d->payload points into the frame: valid while it is held.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_API enum kbp_parse kbp_datagram(const struct kbp_queue *q, const struct kbp_frame *f,
				    struct kbp_datagram *d);

/* kbp_datagram_parse - the same for bytes of an Ethernet frame that came from anywhere.
 *
 * more:     the frame is the first of a chain: the payload may go on in the next frame.
 * Returns:  KBP_PARSE_OK and *d, or why not.
 * Owns:     d->payload points into `frame`.
 * Blocks:   never.
 * Threads:  any. */
KBP_API enum kbp_parse kbp_datagram_parse(const void *frame, uint32_t len, bool more,
					  struct kbp_datagram *d);

/* ---------------------------------------------------------------- transmit, array form */

/* kbp_txflow_open - a destination: route and neighbour resolved, header prebuilt.
 *
 * flow->dst and dst_port say where to; src and src_port where from (0: the interface's address, and
 * a port the kernel reserves); vlan adds a tag (L2 backends).
 * Returns:  0 and *t, or -errno and *t = NULL.
 * Errors:   -EHOSTUNREACH no route or the neighbour did not answer; -EOPNOTSUPP vlan on socket;
 *           -EINVAL the queue has no TX; -ENOMEM.
 * Owns:     the caller owns *t until kbp_txflow_close; it belongs to q.
 * Blocks:   up to 3 s for the neighbour's answer.
 * Threads:  the queue's thread. */
KBP_API int kbp_txflow_open(struct kbp_queue *q, const struct kbp_flow *flow, struct kbp_txflow **t,
			    struct kbp_error *err);

/* kbp_txflow_open_raw - a txflow without header: the caller writes whole Ethernet frames, checksums
 * included.
 *
 * Returns:  0 and *t, or -errno and *t = NULL.
 * Errors:   -EOPNOTSUPP on socket, which has no Ethernet; -EINVAL; -ENOMEM.
 * Owns:     the caller owns *t until kbp_txflow_close; it belongs to q.
 * Blocks:   never.
 * Threads:  the queue's thread. */
KBP_API int kbp_txflow_open_raw(struct kbp_queue *q, struct kbp_txflow **t, struct kbp_error *err);

/* kbp_txflow_refresh - look the neighbour up again, after a failover of the gateway.
 *
 * Returns:  0, or -errno with the old header kept.
 * Errors:   as kbp_txflow_open; -EBUSY while a template of it is in flight.
 * Owns:     nothing changes hands; frames reserved before keep the old header.
 * Blocks:   as kbp_txflow_open.
 * Threads:  the queue's thread. */
KBP_API int kbp_txflow_refresh(struct kbp_txflow *t, struct kbp_error *err);

/* kbp_txflow_close - forget the destination.
 *
 * Returns:  nothing.
 * Owns:     t is gone. Cancel or submit frames reserved from it before.
 * Blocks:   never; may enter the kernel.
 * Threads:  the queue's thread. NULL is fine. */
KBP_API void kbp_txflow_close(struct kbp_txflow *t);

/* kbp_tx_reserve - up to n writable payloads with the header ready in front.
 *
 * Write f[i].data, set f[i].len (at most what it says), submit. Reserving and submitting keep no
 * order between them: any frames, any order, in parts.
 * Returns:  frames written to f[0..n); fewer when buffers are out: submit, or reap if completions
 *           are kept.
 * Owns:     the buffers are the caller's until kbp_tx_submit accepts them or kbp_tx_cancel.
 * Blocks:   never. Enters the kernel: af_xdp, only when every buffer is out and the kernel has left
 *           frames in the ring (sendto).
 * Threads:  one caller per queue.
 * Fence:    acquire on the completion producer; pairs with the release in the kernel's or NIC's
 *           publish. */
static inline unsigned kbp_tx_reserve(struct kbp_txflow *t, struct kbp_frame *f, unsigned n)
{
	/* every txflow begins with its queue; see struct kbp_txflow in hot/udp.h */
	struct kbp_queue *q = *(struct kbp_queue *const *)(const void *)t;

	return q->tx_reserve(t, f, n);
}

/* kbp_tx_submit - send, with one doorbell.
 *
 * Lengths and checksums are filled in here. A received frame may be submitted on the queue that
 * received it (L2 backends) as it is, a chain whole in one call; its buffer then returns to the RX
 * side by itself and must not be released. What is accepted while the link is down goes out late,
 * with a doorbell after it is back, or is dropped and counted: look at kbp_queue_state before
 * sending.
 * Returns:  how many were accepted; f[returned..n) stays with the caller (submit again, or cancel).
 * Owns:     accepted buffers are the device's; contents must not be touched any more.
 * Blocks:   never, but for drivers of DPDK's that do (net_af_packet waits for its full ring). Enters
 *           the kernel: socket (sendmmsg); af_xdp (sendto, when the driver wants the kick); dpdk where
 *           the driver does (net_af_packet, net_af_xdp, net_tap).
 * Threads:  one caller per queue.
 * Fence:    release on the TX producer; pairs with the acquire in the kernel's or NIC's fetch. */
static inline unsigned kbp_tx_submit(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	return q->tx_submit(q, f, n);
}

/* kbp_tx_cancel - give reserved frames back unsent; received ones that were not forwarded go back
 * too.
 *
 * Returns:  nothing.
 * Owns:     the buffers are the queue's again.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
static inline void kbp_tx_cancel(struct kbp_queue *q, const struct kbp_frame *f, unsigned n)
{
	q->tx_cancel(q, f, n);
}

/* kbp_tx_reap - which submitted frames are done. Only with KBP_QUEUE_COMPLETIONS.
 *
 * Every accepted frame gives one, forwarded ones too, and on L2 backends the sends of templates
 * (kbp_template_token; a socket has copied them when the send returns). With KBP_QUEUE_TX_STAMPS each
 * brings its stamp, where the device wrote one: of a forwarded chain the first part. DPDK has none of its own: a frame
 * is done when the driver lets go of it, which some drivers do only when more is sent; and net_ring only
 * when the other end does, which must not be this queue's own program.
 * Returns:  completions written to c[0..max), in the order of submission as the device reports
 *           them; 0 always without KBP_QUEUE_COMPLETIONS.
 * Owns:     a reaped buffer is the queue's again; one not reaped is not reused.
 * Blocks:   never. Enters the kernel: socket with KBP_QUEUE_TX_STAMPS (recvmmsg on the error
 *           queue); af_xdp when frames are in flight and the driver wants a kick to finish them
 *           (sendto).
 * Threads:  one caller per queue.
 * Fence:    acquire on the completion producer; pairs with the release in the kernel's or NIC's
 *           publish. */
static inline unsigned kbp_tx_reap(struct kbp_queue *q, struct kbp_completion *c, unsigned max)
{
	return q->tx_reap(q, c, max);
}

/* kbp_tx_warm - touch the code and memory of the TX path without sending.
 *
 * Returns:  nothing.
 * Owns:     nothing changes hands.
 * Blocks:   never. Enters the kernel: as kbp_tx_reserve.
 * Threads:  one caller per queue. */
KBP_API void kbp_tx_warm(struct kbp_txflow *t);

/* ---------------------------------------------------------------- templates */

/* kbp_template_open - a resident frame: written once, patched and sent many times.
 *
 * Returns:  0 and *tpl, or -errno and *tpl = NULL.
 * Errors:   -EMSGSIZE payload larger than kbp_queue_info.payload_max; -ENOMEM no buffer left.
 * Owns:     the caller owns *tpl until kbp_template_close; `payload` is copied.
 * Blocks:   never.
 * Threads:  the queue's thread. */
KBP_API int kbp_template_open(struct kbp_txflow *t, const void *payload, uint32_t len,
			      struct kbp_template **tpl, struct kbp_error *err);

/* kbp_template_patch - change bytes of the payload.
 *
 * Returns:  len, or 0: the last send is still in flight, or offset + len is beyond the payload.
 *           Then nothing is changed.
 * Owns:     `bytes` is copied.
 * Blocks:   never. Enters the kernel: never.
 * Threads:  one caller per queue. */
KBP_API unsigned kbp_template_patch(struct kbp_template *tpl, uint32_t offset, const void *bytes,
				    uint32_t len);

/* kbp_template_send - send it as it stands.
 *
 * Returns:  1, or 0: the last send is still in flight, or the ring is full.
 * Owns:     the device reads the buffer until its completion; patch refuses till then. With
 *           KBP_QUEUE_COMPLETIONS the completion must be reaped first, by kbp_tx_reap. dpdk sends a
 *           copy: it can be patched and sent again at once.
 * Blocks:   never. Enters the kernel: as kbp_tx_submit.
 * Threads:  one caller per queue.
 * Fence:    as kbp_tx_submit. */
KBP_API unsigned kbp_template_send(struct kbp_template *tpl);

/* kbp_template_token - what the completions of this template's sends carry.
 *
 * Returns:  the token in kbp_completion.token.
 * Owns:     nothing changes hands.
 * Blocks:   never.
 * Threads:  one caller per queue. */
KBP_API uint64_t kbp_template_token(const struct kbp_template *tpl);

/* kbp_template_close - give the resident buffer back.
 *
 * Returns:  nothing.
 * Owns:     tpl is gone.
 * Blocks:   up to 100 ms while the last send is in flight.
 * Threads:  the queue's thread. NULL is fine. */
KBP_API void kbp_template_close(struct kbp_template *tpl);

/* ---------------------------------------------------------------- counters */

/* How a counter enters the account: sent = delivered + sum of all KBP_COUNT_DROP. */
enum kbp_count_class {
	KBP_COUNT_INFO = 0,    /* no loss */
	KBP_COUNT_DROP = 1,    /* received frames lost here and counted nowhere else */
	KBP_COUNT_CAUSE = 2,   /* explains drops that another counter has; never added up */
	KBP_COUNT_TX_DROP = 3, /* frames accepted by submit and lost here; their own account */
};

struct kbp_counter {
	char name[32];	     /* stable, lower_case; part of the JSON schema */
	uint64_t value;	     /* since the queue was opened */
	uint8_t cls;	     /* enum kbp_count_class */
	bool interface_wide; /* counts the whole interface, not this queue alone */
};

/* kbp_queue_counters - every count this queue knows, hot and cold.
 *
 * Returns:  how many counters there are; the first `max` of them are in c.
 * Owns:     c is the caller's.
 * Blocks:   briefly; enters the kernel. Not for the hot thread.
 * Threads:  any. Interface-wide counters stand in every queue of the port: add them once. */
KBP_API unsigned kbp_queue_counters(const struct kbp_queue *q, struct kbp_counter *c, unsigned max);

/* kbp_port_counters_path - where this port's counters file is.
 *
 * Returns:  the path, or "" when no directory could be written (the counters work all the same).
 * Owns:     the port owns it.
 * Blocks:   never.
 * Threads:  any. */
KBP_API const char *kbp_port_counters_path(const struct kbp_port *port);

#ifdef __cplusplus
}
#endif
#endif
