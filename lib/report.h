/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - membership reports of our own, for a port that the kernel does not see.
 *
 * Without a kernel membership nobody tells the switch which groups this port wants, and a switch
 * that snoops does not forward them. This is the part without I/O: which IGMPv3 (RFC 3376) and
 * MLDv2 (RFC 3810) reports are due when, their bytes, and what a query heard on the wire asks for.
 * The caller has the clock, sends what kbp_reports_next writes and hands in what it receives.
 *
 * What is sent:
 *   - a change, at once and, for the case that it is lost, again a second later;
 *   - the answer to a query, general or specific, in the first half of the time it allows;
 *   - the current state of a membership, whenever nothing asked for it for a minute. A switch that
 *     is queried on another VLAN only, or not at all, keeps forwarding; a lost query does no harm.
 * Where an IGMPv2 or MLDv1 querier was heard, reports are of its version until it has been silent
 * for KBP_REPORT_OLD_NS. An IGMPv1 querier gets IGMPv2 reports. The older versions let a host be
 * silent where it hears another's report; a switch needs to hear every port, so this one never is.
 *
 * Memberships are counted per group, source and VLAN: flows that differ in their ports share one.
 * A flow without a VLAN is reported untagged and answers untagged (or priority-tagged) queries. A
 * device that strips tags must not be the one that hands in frames.
 *
 * Nothing here allocates, blocks or locks: one caller at a time. Times are nanoseconds of one
 * monotonic clock.
 */
#ifndef KBP_REPORT_H
#define KBP_REPORT_H

#include <kbypass/kbypass.h>

#define KBP_REPORTS_MAX 64u
/* Ethernet with tag, IPv6 with Router Alert, and a record of as many sources as there can be. */
#define KBP_REPORT_BYTES (18u + 48u + 8u + 20u + 16u * KBP_REPORTS_MAX)

#define KBP_REPORT_ROBUSTNESS 2u
#define KBP_REPORT_REPEAT_NS 1000000000ull
#define KBP_REPORT_REFRESH_NS 60000000000ull
/* RFC 3376 8.12 wants twice the query interval and 10 s: 260 s by default. But queries of the older
 * versions do not say their interval; this bears one of three minutes too. */
#define KBP_REPORT_OLD_NS 400000000000ull
/* No membership is reported more often in answer to queries: what a flood of them can cause. The
 * shortest time that a querier can ask for is as long. */
#define KBP_REPORT_GAP_NS 100000000ull

struct kbp_report_member {
	struct kbp_addr group;
	struct kbp_addr source; /* family 0: any */
	uint16_t vlan;
	uint8_t repeats;       /* reports of the last change still to send */
	uint32_t uses;	       /* flows; 0 and no repeats: a free place */
	uint64_t change_ns;    /* with repeats: when the next is due */
	uint64_t answer_ns;    /* with uses: when the current state is due */
	uint64_t answered_ns;  /* when it was reported last */
	uint64_t old_until_ns; /* an older querier is on this VLAN; a free place still knows */
};

struct kbp_reports {
	uint8_t mac[6];
	uint8_t ip4[4];	 /* source address; 0.0.0.0: not known */
	uint8_t ip6[16]; /* source address: link-local, made from the MAC */
	uint32_t random; /* state of a xorshift, seeded from the MAC */
	struct kbp_report_member members[KBP_REPORTS_MAX];
};

/* `ip4` NULL: the IPv4 address is not known, and reports come from 0.0.0.0 (RFC 3376 4.2.13). */
void kbp_reports_init(struct kbp_reports *r, const uint8_t mac[6], const uint8_t ip4[4]);

/* One more or one less flow, in normal form (kbp_flow_normalise). Flows that need no report
 * (unicast, KBP_FLOW_NO_JOIN, groups of this node or of all nodes) and, in del, unknown ones are
 * passed over. 0, or -ENOSPC: KBP_REPORTS_MAX memberships are there already. */
int kbp_reports_add(struct kbp_reports *r, const struct kbp_flow *flow, uint64_t now_ns);
void kbp_reports_del(struct kbp_reports *r, const struct kbp_flow *flow, uint64_t now_ns);

/* All memberships as if they were new: the link came back, and the switch knows nothing. */
void kbp_reports_resend(struct kbp_reports *r, uint64_t now_ns);

/* Looks at a received Ethernet frame, whatever it is; the caller keeps it. True: it was a valid
 * query, and answers are due if it asked for anything that is wanted here. */
bool kbp_reports_hear(struct kbp_reports *r, const void *frame, uint32_t len, uint64_t now_ns);

/* Writes the next frame that is due, at least 60 bytes long and without FCS; its length, or 0:
 * nothing is due. Call until 0. `size` below KBP_REPORT_BYTES is refused: 0, and what is due stays
 * due. */
uint32_t kbp_reports_next(struct kbp_reports *r, void *frame, uint32_t size, uint64_t now_ns);

/* When to call kbp_reports_next again. UINT64_MAX: not before the next add, del, resend or hear. */
uint64_t kbp_reports_due(const struct kbp_reports *r);

/* The Max Resp Code of an IGMPv3 query (RFC 3376 4.1.1) and of an MLDv2 query (RFC 3810 5.1.3). */
uint64_t kbp_reports_igmp_code_ns(uint8_t code);
uint64_t kbp_reports_mld_code_ns(uint16_t code);

#endif
