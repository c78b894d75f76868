/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptp4l.c - what a ptp4l knows, and what follows from it.
 *
 * Its offset alone tells nothing: when the master is gone it stays what it was, and gmPresent stays true. What
 * tells is that no port is SLAVE any more, and, sooner than that, that the time of the last sync (ingress_time)
 * stands still.
 */
#include "ptp4l_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "phc.h"

#define SLOW_ROUNDS 10u /* what hardly changes is asked that seldom */
#define SILENCE_NS \
	NS_PER_S  /* a daemon that says nothing for so long steers nothing that we know of */
#define PROBES 6u /* domains tried in one round */
#define SETTLE_NS 250000000u /* between two looks, and some */

struct kbp_ptp4l *kbp_ptp4l_new(const char *path)
{
	struct kbp_ptp4l *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	snprintf(p->path, sizeof(p->path), "%s", path);
	p->fd = -1;
	p->phc = p->last.s.phc = -1;
	return p;
}

void kbp_ptp4l_free(struct kbp_ptp4l *p)
{
	if (!p)
		return;
	kbp_ptp4l_disconnect(p);
	free(p);
}

const char *kbp_ptp4l_path(const struct kbp_ptp4l *p)
{
	return p->path;
}

/* The next one there may be another, in another domain, with another clock. dead: it surely is, and what the one
 * before has done says nothing of it. */
static void forget(struct kbp_ptp4l *p, bool dead)
{
	p->found = false;
	p->probe = 0;
	p->n_known = 0;
	p->have_parent = p->have_properties = false;
	p->epoch = KBP_EPOCH_NONE;
	p->phc = -1;
	p->interface[0] = '\0';
	if (!dead)
		return;
	p->followed = false;
	p->ingress_ns = p->good_ns = 0;
	p->advanced_ns = 0;
	p->n_offsets = 0;
}

/* ---------------------------------------------------------------- asking */

/* ptp4l ignores questions of another domain and transportSpecific than its own, without a word: all are tried,
 * the usual ones first. */
static int probe(struct kbp_ptp4l *p)
{
	static const uint8_t usual[][2] = { { 0, 0 },  { 0, 1 },   { 24, 0 },
					    { 44, 0 }, { 127, 0 }, { 1, 0 } };
	int rc = 0;

	if (p->complete_ns) /* it was there before */
		rc = kbp_ptp4l_send(p, PTP_DEFAULT_DATA_SET, p->domain, p->transport);
	for (unsigned i = 0; i < PROBES && !rc; i++) {
		unsigned n = p->probe / 2 * PROBES + i;

		if (n < KBP_ARRAY_SIZE(usual))
			rc = kbp_ptp4l_send(p, PTP_DEFAULT_DATA_SET, usual[n][0], usual[n][1]);
		else
			rc = kbp_ptp4l_send(p, PTP_DEFAULT_DATA_SET,
					    (uint8_t)((n - KBP_ARRAY_SIZE(usual)) % 256), 0);
	}
	p->probe++;
	return rc;
}

static int ask_all(struct kbp_ptp4l *p)
{
	static const uint16_t slow[] = { PTP_DEFAULT_DATA_SET, PTP_PARENT_DATA_SET,
					 PTP_TIME_PROPERTIES, PTP_PORT_PROPERTIES_NP,
					 PTP_CLOCK_DESCRIPTION };
	static const uint16_t always[] = { PTP_CURRENT_DATA_SET, PTP_PORT_DATA_SET,
					   PTP_TIME_STATUS_NP };
	int rc = 0;

	/* answers come in the order of the questions: the last one completes a round */
	if (!p->complete_ns || p->round % SLOW_ROUNDS == 0 || !p->have_parent)
		for (size_t i = 0; i < KBP_ARRAY_SIZE(slow) && !rc; i++)
			rc = kbp_ptp4l_send(p, slow[i], p->domain, p->transport);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(always) && !rc; i++)
		rc = kbp_ptp4l_send(p, always[i], p->domain, p->transport);
	return rc;
}

int kbp_ptp4l_ask(struct kbp_ptp4l *p)
{
	ino_t ino = p->ino;
	dev_t dev = p->dev;

	p->complete = false;
	if (!p->found) { /* the other kind of address */
		kbp_ptp4l_disconnect(p);
		p->by_path = p->probe % 2;
	}
	if (kbp_ptp4l_connect(p))
		return -1;
	if (p->complete_ns && (p->ino != ino || p->dev != dev))
		forget(p, true); /* restarted, between two rounds */
	p->round++;
	p->round_sequence = p->sequence;
	p->got_status = p->got_current = false;
	if (p->found)
		(void)ask_all(p);
	else
		(void)probe(p);
	return p->fd;
}

/* ---------------------------------------------------------------- answers */

static struct ptp4l_port *port_of(struct kbp_ptp4l *p, uint16_t number)
{
	for (unsigned i = 0; i < p->n_known; i++)
		if (p->port[i].number == number)
			return &p->port[i];
	if (p->n_known == PTP4L_PORTS)
		return NULL;
	p->port[p->n_known] = (struct ptp4l_port){ .number = number };
	return &p->port[p->n_known++];
}

static void take_port(struct kbp_ptp4l *p, const struct kbp_ptp_reply *r)
{
	struct ptp4l_port *port = port_of(p, r->u.port_data.number);

	if (!port)
		return;
	port->state = r->u.port_data.state;
	port->announce_timeout = r->u.port_data.announce_timeout;
	port->log_announce = r->u.port_data.log_announce;
	port->log_sync = r->u.port_data.log_sync;
	port->round = p->round;
}

static void take_port_props(struct kbp_ptp4l *p, const struct kbp_ptp_reply *r)
{
	struct ptp4l_port *port = port_of(p, r->u.port_props.number);

	if (!port)
		return;
	port->timestamping = r->u.port_props.timestamping;
	port->have_props = true;
	memcpy(port->interface, r->u.port_props.interface, sizeof(port->interface));
}

static void take_description(struct kbp_ptp4l *p, const struct kbp_ptp_reply *r)
{
	struct ptp4l_port *port = r->port ? port_of(p, r->port) : NULL;

	if (!port || !r->u.description.have_mac)
		return;
	memcpy(port->mac, r->u.description.mac, sizeof(port->mac));
	port->have_mac = true;
}

static void take(struct kbp_ptp4l *p, const struct kbp_ptp_reply *r)
{
	switch (r->id) {
	case PTP_DEFAULT_DATA_SET:
		p->found = true;
		p->domain = r->domain;
		p->transport = r->transport;
		p->n_ports = r->u.defaults.ports;
		break;
	case PTP_CURRENT_DATA_SET:
		p->current = *r;
		p->got_current = true;
		break;
	case PTP_PARENT_DATA_SET:
		p->parent = *r;
		p->have_parent = true;
		break;
	case PTP_TIME_PROPERTIES:
		p->properties = *r;
		p->have_properties = true;
		break;
	case PTP_PORT_DATA_SET:
		take_port(p, r);
		break;
	case PTP_PORT_PROPERTIES_NP:
		take_port_props(p, r);
		break;
	case PTP_CLOCK_DESCRIPTION:
		take_description(p, r);
		break;
	default:
		p->status = *r;
		p->got_status = true;
	}
}

static bool round_complete(const struct kbp_ptp4l *p)
{
	unsigned ports = 0, want = p->n_ports < PTP4L_PORTS ? p->n_ports : PTP4L_PORTS;

	for (unsigned i = 0; i < p->n_known; i++)
		ports += p->port[i].round == p->round;
	return p->found && p->got_status && p->got_current && ports && ports >= want;
}

bool kbp_ptp4l_receive(struct kbp_ptp4l *p)
{
	uint8_t buf[PTP_MESSAGE_MAX];
	struct kbp_ptp_reply r;
	ssize_t n;

	for (unsigned i = 0; p->fd >= 0 && i < 4 * PTP4L_PORTS; i++) {
		n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			break;
		if (kbp_ptp_parse(buf, (size_t)n, &r))
			continue;
		/* of this round, counting around 65536; errors answer questions too, with nothing in them */
		if ((uint16_t)(r.sequence - p->round_sequence) <
			    (uint16_t)(p->sequence - p->round_sequence) &&
		    !r.error)
			take(p, &r);
	}
	if (!p->complete && round_complete(p))
		p->complete = true;
	return p->complete;
}

/* ---------------------------------------------------------------- which clock it steers */

static void find_clock(struct kbp_ptp4l *p, const struct ptp4l_port *port)
{
	p->epoch = KBP_EPOCH_NONE;
	p->phc = -1;
	if (port->have_props)
		memcpy(p->interface, port->interface, sizeof(p->interface));
	else if (port->have_mac)
		kbp_phc_interface_of(port->mac, p->interface);
	if (!port->have_props)
		return; /* by whose time it goes, it does not say: of what clock it speaks is not known */
	if (!port->timestamping) {
		p->epoch = KBP_EPOCH_UTC;
		return;
	}
	p->epoch = KBP_EPOCH_PHC;
	/* the name is of the daemon's network namespace; what is called so in ours may be another NIC */
	if (port->have_mac && kbp_phc_interface_has(p->interface, port->mac))
		p->phc = kbp_phc_of(p->interface);
}

/* ---------------------------------------------------------------- judging */

/* n times 2^log seconds; linuxptp allows log_seconds from -128 to 127, sense ends long before. */
static uint64_t interval_ns(unsigned n, int log_seconds)
{
	if (log_seconds > 12)
		log_seconds = 12;
	if (log_seconds < -20)
		log_seconds = -20;
	return log_seconds >= 0 ? (n * NS_PER_S) << log_seconds : (n * NS_PER_S) >> -log_seconds;
}

/* The port whose state is the daemon's: the one that follows, or is nearest to it. */
static const struct ptp4l_port *foremost(const struct kbp_ptp4l *p)
{
	static const uint8_t rank[] = {
		[PTP_STATE_SLAVE] = 9,	  [PTP_STATE_UNCALIBRATED] = 8, [PTP_STATE_LISTENING] = 7,
		[PTP_STATE_MASTER] = 6,	  [PTP_STATE_GRAND_MASTER] = 6, [PTP_STATE_PRE_MASTER] = 5,
		[PTP_STATE_PASSIVE] = 4,  [PTP_STATE_INITIALIZING] = 3, [PTP_STATE_FAULTY] = 2,
		[PTP_STATE_DISABLED] = 1,
	};
	const struct ptp4l_port *best = NULL;
	unsigned best_rank = 0;

	for (unsigned i = 0; i < p->n_known; i++) {
		unsigned r = p->port[i].state < KBP_ARRAY_SIZE(rank) ? rank[p->port[i].state] : 0;

		if (p->port[i].round == p->round && (!best || r > best_rank)) {
			best = &p->port[i];
			best_rank = r;
		}
	}
	return best;
}

/* A new sync shows by its time. At the first look it may be an old one: the clock itself tells. */
static void follow_ingress(struct kbp_ptp4l *p, uint64_t now_ns)
{
	int64_t ingress = p->status.u.status.ingress_ns;
	uint64_t clock_now, age;

	if (ingress <= 0 || ingress == p->ingress_ns)
		return;
	if (!p->ingress_ns && kbp_phc_now(p->epoch, p->phc, &clock_now)) {
		age = clock_now > (uint64_t)ingress ? clock_now - (uint64_t)ingress : 0;
		p->advanced_ns = age < now_ns ? now_ns - age : 1;
	} else {
		p->advanced_ns = now_ns;
	}
	p->ingress_ns = ingress;
	p->offset[p->n_offsets++ % PTP4L_OFFSETS] = kbp_abs_ns(p->status.u.status.offset_ns);
}

static uint64_t worst_offset(const struct kbp_ptp4l *p)
{
	uint64_t worst = 0, n = p->n_offsets < PTP4L_OFFSETS ? p->n_offsets : PTP4L_OFFSETS;

	for (uint64_t i = 0; i < n; i++)
		worst = p->offset[i] > worst ? p->offset[i] : worst;
	return worst;
}

/* How far the grandmaster is from UTC, by its own word if that is worth something: it is traceable to a primary
 * reference, or locked to one or in holdover within its specification (clockClass 6, 7). */
static uint64_t master_error(const struct kbp_ptp4l *p, const struct kbp_watch *w)
{
	uint64_t stated = UINT64_MAX;
	unsigned flags = p->properties.u.properties.flags, gm_class = p->parent.u.parent.gm_class;

	if (p->have_parent && p->have_properties && (flags & PTP_TIMESCALE) &&
	    !memcmp(p->parent.u.parent.gm, p->status.u.status.gm, 8) &&
	    ((flags & PTP_TIME_TRACEABLE) || gm_class == 6 || gm_class == 7))
		stated = kbp_ptp_accuracy_ns(p->parent.u.parent.gm_accuracy);
	if (stated != UINT64_MAX)
		return stated;
	return w->reference_ns ? w->reference_ns : KBP_BOUND_UNKNOWN;
}

static void verdict(struct kbp_finding_of_clock *f, enum kbp_sync sync, enum kbp_clock_cause cause,
		    const char *text)
{
	f->s.sync = sync;
	f->s.cause = cause;
	snprintf(f->s.text, sizeof(f->s.text), "%s", text);
}

static void judge_following(struct kbp_ptp4l *p, const struct kbp_watch *w,
			    struct kbp_finding_of_clock *f)
{
	int64_t delay = p->current.u.current.path_delay_ns;

	p->followed = true;
	f->verified_ns = (uint64_t)p->ingress_ns;
	f->verified_raw_ns = p->advanced_ns;
	/* the whole delay: a path that is slow one way only shifts the offset by up to half of the trip */
	f->s.bound_ns = kbp_bound_sum(worst_offset(p) + kbp_abs_ns(delay), master_error(p, w));
	if (f->abs_offset_ns <= w->limit_ns) {
		p->good_ns = p->ingress_ns;
		verdict(f, KBP_SYNC_IN, KBP_CLOCK_FINE, "");
		return;
	}
	f->since_ns = (uint64_t)p->good_ns; /* when in between it went too far, nobody saw */
	f->s.sync = KBP_SYNC_NOT;
	f->s.cause = KBP_CLOCK_OFFSET;
	snprintf(f->s.text, sizeof(f->s.text),
		 "%lld ns off its master, more than the limit of %llu ns: look for asymmetric or varying "
		 "path delay, software timestamping, or another program that sets the same clock",
		 (long long)f->s.offset_ns, (unsigned long long)w->limit_ns);
}

static void lost(const struct kbp_ptp4l *p, struct kbp_finding_of_clock *f, const char *how)
{
	f->since_ns = p->ingress_ns > 0 ? (uint64_t)p->ingress_ns : 0;
	f->s.sync = KBP_SYNC_NOT;
	f->s.cause = KBP_CLOCK_MASTER_LOST;
	snprintf(f->s.text, sizeof(f->s.text),
		 "%s: the clock runs free. Look at the master, the link of %s and its multicast (journalctl -u "
		 "ptp4l)",
		 how, p->interface[0] ? p->interface : "its interface");
}

static void judge_state(struct kbp_ptp4l *p, const struct ptp4l_port *port, uint64_t now_ns,
			const struct kbp_watch *w, struct kbp_finding_of_clock *f)
{
	uint64_t timeout = interval_ns(port->announce_timeout, port->log_announce);
	uint64_t two_syncs = interval_ns(2, port->log_sync) + SETTLE_NS;
	uint64_t patience = timeout > two_syncs ? timeout : two_syncs;
	bool fed = p->advanced_ns && now_ns - p->advanced_ns <= patience;
	bool zero = p->status.u.status.ingress_ns == 0;

	f->since_ns = p->followed && p->ingress_ns > 0 ? (uint64_t)p->ingress_ns : 0;
	switch (port->state) {
	case PTP_STATE_SLAVE:
	case PTP_STATE_UNCALIBRATED:
		if (!fed && p->advanced_ns)
			lost(p, f,
			     "no sync has come from the master for longer than its announce timeout");
		else if (port->state == PTP_STATE_SLAVE && !zero)
			judge_following(p, w, f);
		else
			verdict(f, KBP_SYNC_NOT, KBP_CLOCK_NOT_YET,
				"ptp4l is not done yet; with free_running it only measures, and never is. "
				"When it takes long, see pi_proportional_const and first_step_threshold in "
				"ptp4l(8)");
		break;
	case PTP_STATE_MASTER:
	case PTP_STATE_GRAND_MASTER:
	case PTP_STATE_PRE_MASTER:
		if (p->followed) {
			lost(p, f, "no master is heard any more, and ptp4l became one itself");
			break;
		}
		f->tells = false;
		verdict(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED,
			"this ptp4l gives time to others and follows none: what steers its clock it does not "
			"say");
		break;
	default:
		if (p->followed || p->status.u.status.gm_present)
			lost(p, f, "no master is heard any more");
		else
			verdict(f, KBP_SYNC_NOT, KBP_CLOCK_NOT_YET,
				"no master has been heard yet: look at the interface, the domain and the "
				"transport in ptp4l's configuration");
	}
}

static void judge_round(struct kbp_ptp4l *p, uint64_t now_ns, const struct kbp_watch *w,
			struct kbp_finding_of_clock *f)
{
	const struct ptp4l_port *port = foremost(p);
	const struct kbp_ptp_reply *st = &p->status;

	if (p->round % SLOW_ROUNDS == 0 || !p->complete_ns || p->epoch == KBP_EPOCH_NONE)
		find_clock(p, port);
	if (memcmp(p->gm, st->u.status.gm, 8)) { /* what was asked of the one before is void */
		memcpy(p->gm, st->u.status.gm, 8);
		p->n_offsets = 0;
		if (memcmp(p->parent.u.parent.gm, p->gm, 8))
			p->have_parent = false;
	}
	follow_ingress(p, now_ns);
	p->complete_ns = now_ns;
	memset(f, 0, sizeof(*f));
	f->present = f->fresh = f->tells = true;
	f->s.epoch = p->epoch;
	f->s.phc = p->phc;
	f->s.offset_ns = st->u.status.offset_ns;
	f->s.have_offset = p->ingress_ns != 0 && st->u.status.ingress_ns != 0;
	f->abs_offset_ns = kbp_abs_ns(f->s.offset_ns);
	f->s.bound_ns = KBP_BOUND_UNKNOWN;
	f->verified_raw_ns = p->last.verified_raw_ns;
	snprintf(f->s.interface, sizeof(f->s.interface), "%s", p->interface);
	snprintf(f->s.state, sizeof(f->s.state), "%s", kbp_ptp_state_name(port->state));
	kbp_ptp_identity(st->u.status.gm, f->s.reference);
	judge_state(p, port, now_ns, w, f);
}

static void judge_silent(struct kbp_ptp4l *p, uint64_t now_ns, struct kbp_finding_of_clock *f)
{
	bool gone = p->fd < 0;

	*f = p->last; /* and of the same clock, for as long as nothing else is known there */
	f->present = true;
	f->fresh = false;
	if (p->complete_ns && (gone || now_ns - p->complete_ns > SILENCE_NS)) {
		if (p->last.s.cause != KBP_CLOCK_DAEMON_GONE) {
			f->since_ns = p->followed && p->ingress_ns > 0 ? (uint64_t)p->ingress_ns : 0;
			forget(p, gone);
		} else if (gone) {
			forget(p, true);
		}
	}
	if (!gone && p->complete_ns && now_ns - p->complete_ns <= SILENCE_NS)
		return; /* late, once */
	if (gone)
		p->reached_ns = 0;
	else if (!p->reached_ns)
		p->reached_ns = now_ns;
	if (!gone && !p->complete_ns && now_ns - p->reached_ns <= SILENCE_NS) {
		verdict(f, KBP_SYNC_UNKNOWN, KBP_CLOCK_UNWATCHED,
			"asked, and it has not answered yet");
		return;
	}
	f->fresh = f->tells = p->complete_ns != 0;
	f->s.sync = KBP_SYNC_NOT;
	f->s.cause = KBP_CLOCK_DAEMON_GONE;
	f->s.bound_ns = KBP_BOUND_UNKNOWN;
	f->s.have_offset = false;
	f->s.state[0] = '\0';
	if (gone && p->why == -EACCES)
		snprintf(f->s.text, sizeof(f->s.text),
			 "not permitted to ask at %s: run as root, or set uds_ro_file_mode and name the "
			 "read-only socket",
			 p->path);
	else if (gone)
		snprintf(f->s.text, sizeof(f->s.text), "no ptp4l answers at %s (%s): %s it",
			 p->path, strerror(-p->why), p->complete_ns ? "restart" : "start");
	else
		snprintf(f->s.text, sizeof(f->s.text),
			 "the ptp4l at %s does not answer: it hangs, or runs in another network namespace and "
			 "cannot reach /run/kbypass",
			 p->path);
	if (gone && p->why == -EACCES && !p->complete_ns) {
		f->s.sync = KBP_SYNC_UNKNOWN;
		f->s.cause = KBP_CLOCK_UNWATCHED;
	}
}

void kbp_ptp4l_judge(struct kbp_ptp4l *p, uint64_t now_ns, const struct kbp_watch *watch,
		     struct kbp_finding_of_clock *f)
{
	if (p->complete)
		judge_round(p, now_ns, watch, f);
	else
		judge_silent(p, now_ns, f);
	f->s.witness = KBP_WITNESS_PTP4L;
	snprintf(f->s.name, sizeof(f->s.name), "%s", p->path);
	p->last = *f;
}

bool kbp_ptp4l_pending(const struct kbp_ptp4l *p)
{
	return p->fd >= 0 && !p->complete_ns;
}
