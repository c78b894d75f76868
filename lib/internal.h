/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * internal.h - what the parts of libkbypass share: the backend interface, the cold halves of port,
 * queue, flow and txflow, and the helpers one noun offers to the others. Nothing here is installed.
 */
#ifndef KBP_INTERNAL_H
#define KBP_INTERNAL_H

#include <linux/if_link.h>
#include <linux/net_tstamp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <kbypass/counters.h>
#include <kbypass/hot.h>

#define KBP_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KBP_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Exported for libkbypass-tools of the same build, under the version KBYPASS_PRIVATE; not for
 * programs. */
#define KBP_PRIVATE __attribute__((visibility("default")))

/* ---------------------------------------------------------------- error.c */

/* Fills *err (may be NULL) and returns `code`, so that `return kbp_fail(...)` reads well. */
KBP_PRIVATE int kbp_fail(struct kbp_error *err, int code, const char *step, const char *hint_fmt,
			 ...) KBP_PRINTF(4, 5);
/* The same with a formatted step: put "step|hint" together: kbp_failf(err, code, hint, "bind %s",
 * x). */
KBP_PRIVATE int kbp_failf(struct kbp_error *err, int code, const char *hint, const char *step_fmt,
			  ...) KBP_PRINTF(4, 5);
KBP_PRIVATE void kbp_log(enum kbp_log_level level, const char *fmt, ...) KBP_PRINTF(2, 3);
/* "CAP_NET_ADMIN, CAP_BPF": which of the capabilities in `mask` (bit per CAP_*) this thread
 * lacks. */
KBP_PRIVATE const char *kbp_missing_caps(uint64_t mask, char *buf, size_t size);

/* ---------------------------------------------------------------- backend interface */

struct kbp_queue_cold;
struct kbp_counter_list;
struct kbp_counters_file;

struct kbp_flow_ref {
	struct kbp_flow_ref *next;
	struct kbp_queue *q;
	struct kbp_flow flow; /* normalised: proto set, unused bytes zero */
	int join_fd;	      /* membership held for this flow; -1: none */
	bool joined;	      /* ... held by the backend */
	void *priv;	      /* the backend's */
};

/* What a backend is. Every call is cold; hot calls hang on struct kbp_queue. */
struct kbp_backend {
	const char *name;
	uint32_t kind;
	bool l2;       /* frames are whole Ethernet frames */
	bool own_join; /* flow_add joins the group on its own socket (socket backend) */
	bool no_device; /* a device without a kernel interface is fine: the backend looks whether it knows
			 * the name */
	bool emulated;

	/* p->name, ifindex, mac, mtu, opts are filled in. Set p->priv, p->info's mode, proof, note,
	 * channels. */
	int (*port_open)(struct kbp_port *p, struct kbp_error *err);
	void (*port_close)(struct kbp_port *p);
	/* Channels that must have a queue so that no flow is missed. */
	unsigned (*port_channels)(const struct kbp_port *p);
	/* Looked at after every link event and every `tick_ms` (monitor thread, port locked).
	 * May be NULL. */
	void (*port_check)(struct kbp_port *p);
	int tick_ms;

	/* Allocates the queue (struct kbp_queue first), fills the head: calls, kind, and c->q. */
	int (*queue_open)(struct kbp_port *p, struct kbp_queue_cold *c, struct kbp_queue **q,
			  struct kbp_error *err);
	/* Frames still in flight are waited for by the caller through queue_drain. Frees the
	 * queue. */
	void (*queue_close)(struct kbp_queue *q);
	/* Frames given to the device and not back yet; collects completions. */
	unsigned (*queue_drain)(struct kbp_queue *q);
	/* TX frames the caller has reserved and neither submitted nor cancelled. NULL: the backend
	 * keeps kbp_queue_cold.reserved itself. */
	unsigned (*queue_reserved)(const struct kbp_queue *q);
	/* NULL: never needed. The port is locked. */
	int (*queue_reopen)(struct kbp_queue *q, struct kbp_error *err);
	void (*queue_info)(const struct kbp_queue *q,
			   struct kbp_queue_info *info); /* completes the generic part */
	int (*queue_fd)(const struct kbp_queue *q);
	/* True when frames are waiting already: kbp_wait must not sleep. Called right before
	 * poll(2). */
	bool (*queue_pending)(struct kbp_queue *q);
	/* kbp_queue.sync_shift has changed; `watched`: the queue watches a clock. For backends that have a copy
	 * of their own; any thread, but whether it is watched changes on the queue's own. May be NULL. */
	void (*queue_sync)(struct kbp_queue *q, uint64_t shift, bool watched);
	/* Appends counters; see kbp_count_add. */
	void (*queue_counters)(const struct kbp_queue *q, struct kbp_counter_list *l);

	int (*flow_add)(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);
	int (*flow_del)(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err);

	/* Membership where the kernel has no interface to join on. NULL: there is none. */
	int (*flow_join)(struct kbp_queue *q, const struct kbp_flow_ref *ref, struct kbp_error *err);
	void (*flow_leave)(struct kbp_queue *q, const struct kbp_flow_ref *ref);

	/* What kbp_datagram says of a held frame. NULL: frames are Ethernet and kbp_datagram_parse
	 * reads them. */
	enum kbp_parse (*datagram)(const struct kbp_queue *q, const struct kbp_frame *f,
				   struct kbp_datagram *d);

	/* t->q, room, hdr (L2) are filled in; socket opens its connected socket here. May be
	 * NULL. */
	int (*txflow_open)(struct kbp_txflow *t, const struct kbp_flow *flow, struct kbp_error *err);
	void (*txflow_close)(struct kbp_txflow *t);
	/* A frame of this txflow, reserved and with its header finished, goes the way of a submit up to
	 * where it would be sent. NULL: there is nothing beyond what reserve touches. */
	void (*tx_warm)(struct kbp_txflow *t, const struct kbp_frame *f);

	/* A resident buffer with KBP_HDR_ROOM bytes in front. */
	int (*template_open)(struct kbp_template *tpl, struct kbp_error *err);
	bool (*template_busy)(struct kbp_template *tpl); /* collects completions first */
	unsigned (*template_send)(struct kbp_template *tpl);
	void (*template_close)(struct kbp_template *tpl);
};

/* port.c. Built-in backends are in its table; modules and tests add theirs. */
int kbp_backend_register(const struct kbp_backend *b);

/* What a module libkbypass-NAME.so exports as `kbp_backend_module`. The structures of this file change
 * with every build: a module belongs to the library of its own version and to no other. */
#define KBP_MODULE_ABI 1u
struct kbp_module {
	uint32_t abi;
	uint32_t hot_abi;
	const char *version;
	const struct kbp_backend *backend;
};

#ifdef KBP_NO_MODULE /* several backends are compiled into one program */
#define KBP_MODULE(b) KBP_STATIC_ASSERT(sizeof(b), "a backend")
#else
#define KBP_MODULE(b)                                                          \
	KBP_API const struct kbp_module kbp_backend_module;                    \
	const struct kbp_module kbp_backend_module = { .abi = KBP_MODULE_ABI,  \
						       .hot_abi = KBP_HOT_ABI, \
						       .version = KBP_VERSION, \
						       .backend = &(b) }
#endif
extern const struct kbp_backend kbp_backend_socket, kbp_backend_af_xdp;

/* ---------------------------------------------------------------- cold halves */

/* The NIC's stamping, as kbp_link_stamping_on found and set it. */
struct kbp_stamping {
	int fd; /* a socket of the namespace the interface is in; -1: there is nothing to put back */
	uint32_t ifindex;
	struct hwtstamp_config before, ours;
};

struct kbp_port {
	const struct kbp_backend *b;
	struct kbp_port_opts opts; /* strings point to copies in `strings` */
	char *strings;
	struct kbp_port_info info;
	pthread_mutex_t lock; /* queues, flows, info */
	struct kbp_queue_cold *queues;
	int link_fd; /* rtnetlink, link events */
	int stop_fd; /* eventfd that ends the monitor; -1: no monitor */
	pthread_t monitor;
	uint64_t netns_ino; /* namespace the port lives in */
	int32_t pid;	    /* opener: a forked child's use is an error */
	struct kbp_counters_file *counters;
	struct kbp_stamping stamping; /* KBP_PORT_STAMPING */
	int32_t phc;		      /* N of the interface's /dev/ptpN; -1: none, or unknown */
	void *priv;
};

struct kbp_queue_cold {
	struct kbp_queue_cold *next;
	struct kbp_queue *q;
	struct kbp_port *port;
	struct kbp_queue_opts opts; /* defaults filled in */
	struct kbp_flow_ref *flows;
	unsigned txflows, templates; /* open */
	unsigned reserved;     /* TX frames the caller has reserved; kept by backends that can */
	uint64_t lost_unknown; /* reopen events */
	struct kbp_txflow_cold *txflow_list; /* txflow.c */
	struct rtnl_link_stats64 stats_base; /* of the interface when the queue was opened */
	struct kbp_clock *clock;	     /* that it watches; stamp.c */
	struct kbp_queue_cold *next_watcher; /* of the same clock */
	bool watches; /* ... or did, until that clock was closed: then all is unknown */
};

static inline struct kbp_queue_cold *kbp_cold(const struct kbp_queue *q)
{
	return (struct kbp_queue_cold *)q->priv;
}

struct kbp_template {
	struct kbp_txflow *t;
	uint8_t *payload; /* resident; KBP_HDR_ROOM bytes in front of it */
	uint32_t len;
	uint64_t token; /* the backend's */
	void *priv;	/* the backend's */
};

/* An option struct, which begins with its size, into `to` of `known` bytes; what the caller's version
 * lacks is zero. -E2BIG: it asks for something of a later version. `from` may be NULL. */
KBP_PRIVATE int kbp_opts_read(void *to, size_t known, const void *from, const char *step,
			      struct kbp_error *err);
/* 0, or -ECHILD: a forked child of the opener. */
int kbp_port_mine(const struct kbp_port *p, struct kbp_error *err);
/* Is the calling thread in the port's network namespace? */
bool kbp_port_here(const struct kbp_port *p);
/* Adds to why what was achieved differs from what was asked for. The port is locked, or not open yet. */
void kbp_port_note(struct kbp_port *p, const char *text);
/* Both: what every call needs that opens sockets or names the interface. */
int kbp_port_usable(const struct kbp_port *p, struct kbp_error *err);

/* Writes the state that kbp_queue_state reads. Never overwrites KBP_QUEUE_GONE. Any thread. */
KBP_PRIVATE void kbp_queue_set_state(struct kbp_queue *q, enum kbp_queue_state state);

/* ---------------------------------------------------------------- memory.c */

struct kbp_memory {
	uint8_t *base;
	size_t bytes;
	bool hugepages;
	int32_t node; /* where the pages are; -1 unknown */
};

/* memfd, hugetlb when there are free pages and `huge`, MAP_SHARED, MADV_DONTFORK, on `node` (-1:
 * any), faulted in. */
KBP_PRIVATE int kbp_memory_alloc(struct kbp_memory *m, size_t bytes, int node, bool huge,
				 struct kbp_error *err);
KBP_PRIVATE void kbp_memory_free(struct kbp_memory *m);

/* ---------------------------------------------------------------- stamp.c */

/* Whether a source of stamps stamps at all. Zero: nothing was seen. */
struct kbp_stamp_proof {
	uint64_t first_ns, first_raw_ns; /* of the first plausible stamp, and when it was seen */
	uint32_t proof;			 /* enum kbp_proof: PROVEN, or BOUND; any thread reads */
};

/* One more stamp; 0: the frame has none. Proven by two that are not zero, plausible for the epoch, and apart
 * by no more than the time that passed. Cheap enough for the first frames of a queue, not for all. */
KBP_PRIVATE enum kbp_proof kbp_stamp_prove(struct kbp_stamp_proof *p, enum kbp_epoch epoch,
					   uint64_t ns);
/* BOUND until it is PROVEN. Any thread. */
static inline enum kbp_proof kbp_stamp_proof(const struct kbp_stamp_proof *p)
{
	return __atomic_load_n(&p->proof, __ATOMIC_RELAXED) == KBP_PROVEN ? KBP_PROVEN : KBP_BOUND;
}

/* Fills what the clock that the queue watches says of now. */
void kbp_queue_clock_info(const struct kbp_queue *q, struct kbp_queue_info *info);
/* What is published, once more: the backend's copy of it may be gone. */
void kbp_queue_sync_again(struct kbp_queue *q);
/* The queue closes: it watches nothing any more. */
void kbp_queue_unwatch(struct kbp_queue *q);

/* ---------------------------------------------------------------- membership.c */

/* Join the flow's group (its source only, when it has one) on `ifindex` with socket `fd`. Unicast:
 * nothing to do. */
int kbp_membership_join(int fd, int ifindex, const struct kbp_flow *flow, struct kbp_error *err);
/* Leave it again; closing the fd does the same. */
int kbp_membership_leave(int fd, int ifindex, const struct kbp_flow *flow);
KBP_PRIVATE bool kbp_addr_is_multicast(const struct kbp_addr *a);

/* ---------------------------------------------------------------- neighbour.c */

/* Route and neighbour of `dst` out of `ifindex`: own source address and destination MAC.
 * Waits up to `timeout_ms` for ARP/ND. src is read when its family is set, else written. */
int kbp_neighbour_resolve(int ifindex, const struct kbp_addr *dst, struct kbp_addr *src,
			  uint8_t mac[6], int timeout_ms, struct kbp_error *err);

/* ---------------------------------------------------------------- txflow.c */

/* Closes the templates and txflows of a queue that are still open. */
void kbp_txflows_close_all(struct kbp_queue_cold *c);

/* ---------------------------------------------------------------- flow.c */

int kbp_flow_normalise(const struct kbp_flow *in, struct kbp_flow *out, bool l2,
		       struct kbp_error *err);
KBP_PRIVATE bool kbp_flow_matches(const struct kbp_flow *flow, const struct kbp_datagram *d);
socklen_t kbp_addr_to_sockaddr(const struct kbp_addr *a, uint16_t port, int ifindex,
			       struct sockaddr_storage *ss);
void kbp_addr_from_sockaddr(const struct sockaddr_storage *ss, struct kbp_addr *a, uint16_t *port);

/* ---------------------------------------------------------------- counters.c */

struct kbp_counter_list {
	struct kbp_counter *c;
	unsigned n, max;
};

KBP_PRIVATE void kbp_count_add(struct kbp_counter_list *l, const char *name, uint64_t value,
			       enum kbp_count_class cls, bool interface_wide);

/* Never NULL but for want of memory: without a directory to write to, the counters live in
 * anonymous memory. The file calls are not serialised here: hold the port's lock. */
struct kbp_counters_file *kbp_counters_create(const char *label, const char *backend);
void kbp_counters_destroy(struct kbp_counters_file *f);
/* A queue's hot lines inside the file, zeroed and described. */
int kbp_counters_add_queue(struct kbp_counters_file *f, uint32_t channel, struct kbp_hot_rx **rx,
			   struct kbp_hot_tx **tx);
/* Free again: the descriptors stay, the values no longer move. */
void kbp_counters_drop_queue(struct kbp_counters_file *f, struct kbp_hot_rx *rx);
/* A histogram of n_words buckets, zeroed; NULL when the file is full. Asking again for the same
 * name, channel and shape gives the same words: a queue that is opened again does not use the file
 * up. */
uint64_t *kbp_counters_add_histogram(struct kbp_counters_file *f, const char *name, const char *unit,
				     uint32_t channel, uint32_t n_words, uint32_t scale);
const char *kbp_counters_file_path(const struct kbp_counters_file *f);

/* ---------------------------------------------- link.c: facts of an interface, by netlink/ioctl */

struct kbp_link {
	uint32_t ifindex;
	uint8_t mac[6];
	uint16_t mtu;
	bool running; /* IFF_UP and IFF_RUNNING */
	char driver[32];
	int32_t numa_node;
	uint32_t rx_channels, tx_channels;
	bool virtual_device;
	bool strips_vlan; /* the device takes tags out of received frames */
	int32_t phc;	  /* N of its /dev/ptpN; -1: none */
};

int kbp_link_read(const char *ifname, struct kbp_link *l, struct kbp_error *err);
/* Have the NIC stamp all frames, sent ones too. 0, or -errno and what it means in `why`; `why` may say something
 * of a success too, otherwise it is "". */
int kbp_link_stamping_on(const char *ifname, struct kbp_stamping *s, char *why, size_t size);
/* Put the setting back, unless somebody else changed it meanwhile. */
void kbp_link_stamping_restore(struct kbp_stamping *s);
/* Has the NIC been told to stamp every received frame, by whomever? */
bool kbp_link_stamps_all(const char *ifname);
/* rtnl_link_stats64 of the interface; -errno. */
struct rtnl_link_stats64;
int kbp_link_stats(uint32_t ifindex, struct rtnl_link_stats64 *s);
/* One of the driver's own counters (ethtool -S), by name. -ENOENT: it has none of that name. */
KBP_PRIVATE int kbp_link_driver_stat(const char *ifname, const char *name, uint64_t *value);

#endif
