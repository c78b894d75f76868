/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softnic.h - control of softnic, a NIC made of software behind the ef_vi API: programs written
 * for <etherfabric/ef_vi.h> run against it where there is no such NIC.
 *
 * A NIC is named like an interface. When the calling thread's network namespace has an interface
 * of that name, the NIC is attached to it by a packet socket and sees its frames (the kernel goes
 * on seeing copies of them, unlike behind a real NIC's filters). Otherwise "sim0" to "sim63" are
 * NICs in the memory of this process: tests inject what arrives and collect what was sent.
 *
 * All functions return 0 (or what they say) and -errno; none prints, exits or aborts. Unless it
 * says otherwise, a call takes locks, never sleeps on a device and may be made by any thread.
 * -ENODEV: neither an interface nor a sim name.
 */
#ifndef SOFTNIC_H
#define SOFTNIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ef_vi;

#define SOFTNIC_API __attribute__((visibility("default")))

#define SOFTNIC_SIM_MAX 64u	/* sim0 .. sim63 */
#define SOFTNIC_WIRE_MAX 65536u /* frames that a memory wire holds, each way */
#define SOFTNIC_FRAME_MAX \
	9234u /* bytes of the longest frame: MTU 9216, Ethernet header, VLAN tag */

/* softnic_options - say what a NIC is and how it runs, in comma-separated words.
 *
 *   nic=sfn8522       EF10: DMA and PIO; stamps in 2^-27 s. The default.
 *   nic=x2522         EF10: DMA, PIO and CTPIO; stamps in quarters of a nanosecond.
 *   nic=x3522         EFCT: RX_REF events, shared receive queue, CTPIO only, no statistics query.
 *   nic=x4542         both: DMA, or, through a PD with EF_PD_EXPRESS, as x3522.
 *   step=poll         the device works inside ef_eventq_poll, has_event and transmit. The default.
 *   step=thread       the device has a thread of its own while VIs exist.
 *   mtu=N             of a memory wire (64..9216; 1500 by default).
 *   peer=NAME         what this memory NIC sends arrives at that one, and back. peer=none: parted.
 *   clock=host        the NIC's clock is CLOCK_REALTIME. The default.
 *   clock=manual      the clock stands still until softnic_clock_set or _advance.
 *   sync_status=on    clock events say whether the clock is set and in sync. The default.
 *   sync_status=off   they do not: VIs are allocated without EF_VI_OUT_CLOCK_SYNC_STATUS.
 *   merging=off       one event for each buffer, unless a VI asks for merged ones. The default.
 *   merging=on        firmware that merges them always: EF_VI_CAP_RX_FORCE_EVENT_MERGING.
 *   check=on          ownership of buffers is checked. The default.
 *   check=deep        and posted buffers are filled with a pattern, to find who writes into them.
 *   check=off         neither.
 *
 * Returns:  0; -EINVAL: an unknown word or value; -EBUSY: the word (nic, step, mtu, merging, check) needs a
 *           NIC without PDs, and this one has some. Words before the wrong one were taken. `why`
 *           names the word and the reason.
 * Owns:     nothing is kept of the arguments; `why` may be NULL.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_options(const char *ifname, const char *words, char *why, size_t why_size);

/* What a NIC is and what it counted since the process began. */
struct softnic_info {
	char model[16];
	uint8_t mac[6];
	bool attached; /* to a kernel interface; else in memory */
	bool reset;    /* SOFTNIC_RESET happened and VIs of before it still exist */
	int ifindex;   /* what ef_pd_alloc takes */
	unsigned mtu;
	unsigned n_pds, n_vis;
	uint64_t wire_rx;	  /* frames that arrived */
	uint64_t wire_tx;	  /* frames that left */
	uint64_t wire_dropped;	  /* lost in front of the device: a full wire or kernel ring */
	uint64_t wire_oversize;	  /* longer than the MTU allows, either way */
	uint64_t wire_tx_dropped; /* the kernel or a full wire refused them for good */
	uint64_t filter_missed;	  /* no VI's filter matched */
	uint64_t delivered;	  /* frames handed to VIs; once for each VI */
	uint64_t rx_no_desc;	  /* frames that found no buffer */
	uint64_t rx_trunc;	  /* frames cut short for want of buffers */
	uint64_t rx_bad_fcs, rx_bad_csum;
	uint64_t rx_lost; /* frames for VIs whose event queue overflowed or that were reset */
	uint64_t ctpio_sent, ctpio_failed;
	uint64_t ev_overflows;
	uint64_t violations;
	char last_violation[160];
};

/* softnic_info_get - what a NIC is and what it counted.
 *
 * Returns:  0 and *info, or -errno.
 * Owns:     *info is the caller's.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_info_get(const char *ifname, struct softnic_info *info);

/* softnic_ethtool_stat - a counter of the whole interface, as ethtool -S would show it:
 * "port_rx_nodesc_drops" (frames that found no buffer of the queue) or "rx_nodesc_trunc".
 *
 * Returns:  0 and *value; -ENOENT: no such counter.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_ethtool_stat(const char *ifname, const char *name, uint64_t *value);

/* ---------------------------------------------------------------- memory wires */

enum softnic_frame_flags {
	SOFTNIC_BAD_FCS = 1,   /* arrives with a bad frame check sequence */
	SOFTNIC_BAD_CSUM = 2,  /* the device finds an L4 checksum bad, whatever it is */
	SOFTNIC_NO_STAMP = 4,  /* the NIC does not stamp it */
	SOFTNIC_UNMATCHED = 8, /* reaches VIs of shared receive queues, filters or not */
};

/* softnic_inject - let a frame (no FCS) arrive at a memory NIC. It is stamped with the NIC's time
 * now, padded to 60 bytes, and its IPv4, UDP and TCP checksums are verified.
 *
 * Returns:  0; -ENOBUFS: the wire is full, counted as wire_dropped; -EINVAL: not a memory NIC, or a
 *           length of 0 or above SOFTNIC_FRAME_MAX.
 * Owns:     the frame is copied.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_inject(const char *ifname, const void *frame, size_t len, unsigned flags);

/* softnic_collect - take the oldest frame that a memory NIC without a peer sent.
 *
 * Returns:  its length (cut to size bytes); 0: there is none; or -errno.
 * Owns:     buf is the caller's.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API ssize_t softnic_collect(const char *ifname, void *buf, size_t size);

/* softnic_wire_clear - forget what is on a memory wire, both ways.
 *
 * Returns:  0 or -errno.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_wire_clear(const char *ifname);

/* ---------------------------------------------------------------- faults */

/* "Every N": 1 each, 2 every second one, 0 none. "While": 1 begins it, 0 ends it. */
enum softnic_fault {
	SOFTNIC_EVERY_BAD_FCS,	/* every N received frames one has a bad FCS */
	SOFTNIC_EVERY_BAD_CSUM, /* ... a bad L4 checksum */
	SOFTNIC_EVERY_NO_STAMP, /* ... no stamp */
	SOFTNIC_STARVE,	     /* while: the device sees no posted buffers, nor free superbuffers */
	SOFTNIC_CLOCK_LOST,  /* while: no clock events */
	SOFTNIC_CLOCK_UNSET, /* while: clock events say that the clock is not set */
	SOFTNIC_CLOCK_OUT_OF_SYNC, /* while: clock events say that it is not in sync */
	SOFTNIC_HOLD_TX,	   /* while: frames leave, completions are held back */
	SOFTNIC_CTPIO_FULL,	   /* while: no frame fits into the CTPIO FIFO */
	SOFTNIC_EVERY_CTPIO_LOSES, /* every N CTPIO sends one fails and its fallback is sent */
	SOFTNIC_OVERFLOW, /* now: the event queues of all VIs overflow. The value is ignored */
	SOFTNIC_RESET,	  /* now: a RESET event, then nothing more of any VI. Likewise */
	SOFTNIC_ROLLOVER, /* now: EFCT superbuffers end before they are full. Likewise */
	SOFTNIC_FAULTS
};

/* softnic_fault - begin, change or end a fault.
 *
 * Returns:  0; -EINVAL: no such fault.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_fault(const char *ifname, enum softnic_fault fault, unsigned value);

/* softnic_faults_clear - end all faults. What overflowed or was reset stays so.
 *
 * Returns:  0 or -errno.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_faults_clear(const char *ifname);

/* softnic_first_index - the rings of VIs allocated from now on begin at this free-running index
 * (rounded down to a multiple of 64), so that they wrap early. 0 to begin with.
 *
 * Returns:  nothing.
 * Owns:     nothing.
 * Blocks:   never.
 * Threads:  any. */
SOFTNIC_API void softnic_first_index(uint32_t index);

/* ---------------------------------------------------------------- clock */

/* softnic_clock_set - set a manual clock to `ns` since the epoch.
 *
 * Returns:  0; -EINVAL: the clock is not manual.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_clock_set(const char *ifname, uint64_t ns);

/* softnic_clock_advance - move a manual clock forward.
 *
 * Returns:  0; -EINVAL: the clock is not manual.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_clock_advance(const char *ifname, uint64_t ns);

/* softnic_clock_get - the NIC's time in ns since the epoch.
 *
 * Returns:  0 and *ns, or -errno.
 * Owns:     nothing.
 * Blocks:   for locks only.
 * Threads:  any. */
SOFTNIC_API int softnic_clock_get(const char *ifname, uint64_t *ns);

/* ---------------------------------------------------------------- ownership */

/* softnic_violation_fn - told of each breach of the API's rules, on the thread that found it, maybe
 * with locks held: it must not call softnic or ef_vi. */
typedef void (*softnic_violation_fn)(void *arg, const char *ifname, const char *what);

/* softnic_on_violation - have breaches of the API's rules reported. NULL: they are only counted in
 * struct softnic_info, with the words of the last one.
 *
 * Returns:  nothing.
 * Owns:     arg must live until another handler is set.
 * Blocks:   for locks only.
 * Threads:  any; set it before VIs are allocated. */
SOFTNIC_API void softnic_on_violation(softnic_violation_fn fn, void *arg);

/* What the NIC has of a VI, and what the application has of the NIC. */
struct softnic_owned {
	unsigned rx_posted;	   /* buffers pushed to the NIC whose event was not polled yet */
	unsigned rx_unpushed;	   /* buffers in the ring that no doorbell covered */
	unsigned tx_in_flight;	   /* descriptors whose completion was not unbundled yet */
	unsigned pkts_out;	   /* RX_REF packets not released */
	unsigned superbufs;	   /* superbuffers there are */
	unsigned superbufs_pinned; /* ... that packets not released keep from the NIC */
};

/* softnic_owned_by_nic - who has what, so that a test can close its account.
 *
 * Returns:  0 and *owned.
 * Owns:     *owned is the caller's.
 * Blocks:   never.
 * Threads:  the VI's. */
SOFTNIC_API int softnic_owned_by_nic(const struct ef_vi *vi, struct softnic_owned *owned);

#ifdef __cplusplus
}
#endif

#endif
