/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The open-loop sender. It sends through a raw packet socket, so that the same frames, made by the
 * same code, reach every backend that is compared; or through a backend (txside.c).
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/if_packet.h>

#include "lib/internal.h"
#include "tools/clock/tsc.h"
#include "tools/traffic/schedule.h"
#include "tools/traffic/txside.h"

#define RETRY_NS_DEFAULT 50000u
#define START_DELAY_NS 1000000u
#define SNDBUF_BYTES (4 << 20)
#define IDLE_NS 10000u		/* until the next frame: time enough for something else */
#define REAP_EVERY_NS 20000u	/* while idle */
#define TEND_EVERY_NS 10000000u /* opts->idle is called */
#define DRAIN_NS \
	300000000u /* after the last frame: completions that have not come by then do not come */

struct kbp_sender {
	const struct kbp_schedule *sched;
	struct kbp_sender_opts opts;
	char ifname[IFNAMSIZ];
	struct kbp_tsc tsc;
	struct kbp_txside tx;
	uint64_t retry_ticks, idle_ticks, reap_ticks, tend_ticks;
	uint64_t reap_at, tend_at; /* ticks: not before */
	int fd;
};

/* ---------------------------------------------------------------- open, close */

static int flags_read(int fd, const char *ifname, short *flags)
{
	struct ifreq req = { 0 };

	memcpy(req.ifr_name, ifname, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFFLAGS, &req))
		return -errno;
	*flags = req.ifr_flags;
	return 0;
}

static int interface_check(struct kbp_sender *snd, const char *step, struct kbp_error *err)
{
	const struct kbp_schedule *s = snd->sched;
	struct ifreq req = { 0 };
	short flags = 0;
	int rc;

	rc = flags_read(snd->fd, snd->ifname, &flags);
	if (rc)
		return kbp_fail(err, rc, step, "%s: see `ip link` in this network namespace",
				strerror(-rc));
	if (!(flags & IFF_UP) || !(flags & IFF_RUNNING))
		return kbp_fail(err, -ENETDOWN, step,
				"it is down%s: `ip link set %s up`, or mend the link",
				flags & IFF_UP ? " (no carrier)" : "", snd->ifname);
	memcpy(req.ifr_name, snd->ifname, IFNAMSIZ);
	if (ioctl(snd->fd, SIOCGIFMTU, &req))
		return kbp_fail(err, -errno, step, "its MTU cannot be read: %s", strerror(errno));
	if ((int)s->mtu_min > req.ifr_mtu)
		return kbp_fail(err, -EMSGSIZE, step,
				"its MTU is %d, the longest frame of %u bytes needs %u: `ip link set %s mtu %u` here and "
				"at the receiver, or send smaller frames",
				req.ifr_mtu, s->len_max, s->mtu_min, snd->ifname, s->mtu_min);
	return 0;
}

static int socket_open(struct kbp_sender *snd, const char *step, struct kbp_error *err)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	int size = SNDBUF_BYTES, one = 1;
	char caps[64];

	/* protocol 0: this socket receives nothing */
	snd->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (snd->fd < 0 && (errno == EPERM || errno == EACCES))
		return kbp_fail(err, -EPERM, step,
				"raw packets need %s: run as root or give the program that capability",
				kbp_missing_caps(1ull << CAP_NET_RAW, caps, sizeof(caps)));
	if (snd->fd < 0)
		return kbp_fail(err, -errno, step, "no packet socket: %s", strerror(errno));
	to.sll_ifindex = (int)if_nametoindex(snd->ifname);
	if (!to.sll_ifindex)
		return kbp_fail(err, -ENODEV, step,
				"no such interface: see `ip link` in this network namespace");
	if (bind(snd->fd, (struct sockaddr *)&to, sizeof(to)))
		return kbp_fail(err, -errno, step, "the packet socket cannot be bound to it: %s",
				strerror(errno));
	if (setsockopt(snd->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		return kbp_fail(err, -errno, step,
				"PACKET_QDISC_BYPASS is refused: %s; a kernel of 3.14 or later has it",
				strerror(errno));
	if (setsockopt(snd->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(snd->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

int kbp_sender_open(const struct kbp_schedule *s, const struct kbp_sender_opts *opts,
		    struct kbp_sender **out, struct kbp_error *err)
{
	bool by_txflow = opts->txflow || opts->txflows;
	struct kbp_sender *snd;
	char step[96];
	int rc;

	*out = NULL;
	snprintf(step, sizeof(step), "open the sender on %s",
		 by_txflow    ? "a txflow" :
		 opts->ifname ? opts->ifname :
				"no interface");
	if (opts->size != sizeof(*opts))
		return kbp_fail(
			err, -EINVAL, step,
			"opts->size is not sizeof(struct kbp_sender_opts): set it, or rebuild the program");
	if (!by_txflow && (!opts->ifname || !*opts->ifname || strlen(opts->ifname) >= IFNAMSIZ))
		return kbp_fail(err, -ENODEV, step, "that is no interface name: see `ip link`");
	if (opts->cpu < 0 || opts->cpu > CPU_SETSIZE)
		return kbp_fail(err, -EINVAL, step, "there is no CPU %d: see `lscpu -e`",
				opts->cpu - 1);
	snd = calloc(1, sizeof(*snd));
	if (!snd)
		return kbp_fail(err, -ENOMEM, step, "no memory");
	snd->sched = s;
	snd->opts = *opts;
	snd->fd = -1;
	snprintf(snd->ifname, sizeof(snd->ifname), "%s", by_txflow ? "a txflow" : opts->ifname);
	if (!snd->opts.retry_ns)
		snd->opts.retry_ns = RETRY_NS_DEFAULT;
	rc = kbp_txside_open(&snd->tx, s, &snd->opts, step, err);
	if (!rc && !by_txflow)
		rc = socket_open(snd, step, err);
	if (!rc && !by_txflow)
		rc = interface_check(snd, step, err);
	/* A child inherits the mapping without page tables: fault them in now rather than while
	 * sending. Linux before 5.14 does not know this advice, and faults then. */
	if (!rc)
		madvise((void *)(uintptr_t)s, s->map_len, MADV_POPULATE_READ);
	if (!rc && opts->tsc)
		snd->tsc = *opts->tsc;
	else if (!rc)
		rc = kbp_tsc_calibrate(&snd->tsc, KBP_TSC_CALIBRATE_MS_MIN, err);
	if (rc) {
		kbp_sender_close(snd);
		return rc;
	}
	snd->retry_ticks = kbp_tsc_ticks(&snd->tsc, snd->opts.retry_ns);
	snd->idle_ticks = kbp_tsc_ticks(&snd->tsc, IDLE_NS);
	snd->reap_ticks = kbp_tsc_ticks(&snd->tsc, REAP_EVERY_NS);
	snd->tend_ticks = kbp_tsc_ticks(&snd->tsc, TEND_EVERY_NS);
	*out = snd;
	return 0;
}

void kbp_sender_close(struct kbp_sender *snd)
{
	if (!snd)
		return;
	if (snd->fd >= 0)
		close(snd->fd);
	kbp_txside_close(&snd->tx);
	free(snd);
}

/* ---------------------------------------------------------------- sending */

static bool stopped(const struct kbp_sender *snd)
{
	return snd->opts.stop && __atomic_load_n(snd->opts.stop, __ATOMIC_RELAXED);
}

/* There is time until the next frame. */
static void idle(struct kbp_sender *snd, uint64_t now, struct kbp_sender_result *r)
{
	if (snd->tx.n_pending && now >= snd->reap_at) {
		kbp_txside_reap(&snd->tx, r);
		snd->reap_at = now + snd->reap_ticks;
	} else if (snd->opts.idle && now >= snd->tend_at) {
		snd->opts.idle(now, snd->opts.idle_arg);
		snd->tend_at = now + snd->tend_ticks;
	}
}

/* True at the frame's time, false when told to stop before. */
static bool wait_until(struct kbp_sender *snd, uint64_t due, uint64_t *now,
		       struct kbp_sender_result *r)
{
	while ((*now = kbp_tsc_now()) < due) {
		if (stopped(snd))
			return false;
		if (due - *now > snd->idle_ticks)
			idle(snd, *now, r);
		kbp_tsc_relax();
	}
	return !stopped(snd);
}

/* Does the interface still carry frames? A driver without carrier drops them with ENOBUFS
 * (__dev_direct_xmit, net/core/dev.c), just like one whose ring is full. */
static int link_state(const struct kbp_sender *snd)
{
	short flags = 0;
	int rc;

	if (snd->tx.q)
		return kbp_txside_state(&snd->tx);
	rc = flags_read(snd->fd, snd->ifname, &flags);
	if (rc)
		return rc;
	return (flags & IFF_UP) && (flags & IFF_RUNNING) ? 0 : -ENETDOWN;
}

/* 0, or the errno of a send that was refused. */
static int frame_try(struct kbp_sender *snd, const struct kbp_schedule_frame *f, uint64_t number)
{
	const uint8_t *bytes = snd->sched->bytes + f->offset;

	if (snd->tx.q)
		return kbp_txside_try(&snd->tx, f, bytes, number);
	return send(snd->fd, bytes, f->len, MSG_DONTWAIT) == (ssize_t)f->len ? 0 : errno;
}

/* Tries from *now on and leaves there when it was accepted. Returns 0: sent; 1: given up, and counted;
 * -errno: the interface is of no use any more, and the frame is not counted. */
static int frame_send(struct kbp_sender *snd, const struct kbp_schedule_frame *f, uint64_t number,
		      uint64_t *now, struct kbp_sender_result *r)
{
	const uint64_t until = *now + snd->retry_ticks;
	int e = snd->tx.q ? -kbp_txside_state(&snd->tx) : 0;

	if (e)
		return -e;
	for (;;) {
		e = frame_try(snd, f, number);
		if (!e)
			return 0;
		if (e == ENETDOWN || e == ENXIO || e == ENODEV)
			return -e;
		if ((e != ENOBUFS && e != EAGAIN && e != EINTR) || stopped(snd))
			break;
		kbp_txside_reap(&snd->tx, r);
		*now = kbp_tsc_now();
		if (*now > until)
			break;
		r->retries++;
	}
	r->send_errors++;
	if (!r->first_errno)
		r->first_errno = e;
	return 1;
}

static void late_count(const struct kbp_sender *snd, uint64_t late_ticks, struct kbp_sender_result *r)
{
	uint64_t ns = kbp_tsc_ns(&snd->tsc, late_ticks);

	if (ns <= KBP_SENDER_LATE_NS)
		return;
	r->late++;
	if (ns > r->late_max_ns)
		r->late_max_ns = ns;
}

/* After the last frame: what becomes of those under way. */
static void drain(struct kbp_sender *snd, struct kbp_sender_result *r)
{
	uint64_t until = kbp_tsc_now() + kbp_tsc_ticks(&snd->tsc, DRAIN_NS), now;

	while (snd->tx.n_pending && (now = kbp_tsc_now()) < until) {
		idle(snd, now, r);
		kbp_tsc_relax();
	}
	r->unfinished = snd->tx.n_pending;
}

static int play(struct kbp_sender *snd, struct kbp_sender_result *r)
{
	const struct kbp_schedule *s = snd->sched;
	uint64_t *sent_ticks = snd->opts.sent_ticks;
	uint64_t i, now, at_ns;
	int rc = 0;

	for (i = 0; i < s->n_total && rc >= 0; i++) {
		const struct kbp_schedule_frame *f = &s->frames[kbp_schedule_at(s, i, &at_ns)];
		uint64_t due = r->start_ticks + kbp_tsc_ticks(&snd->tsc, at_ns);

		if (!wait_until(snd, due, &now, r))
			break;
		rc = frame_send(snd, f, i, &now, r);
		if (rc < 0)
			break; /* it is the first of the unsent */
		if (rc) {
			rc = link_state(snd);
			continue;
		}
		late_count(snd, now - due, r);
		r->sent_bytes += f->len;
		if (sent_ticks && i < snd->tx.n_record)
			sent_ticks[i] = now;
		__atomic_store_n(&r->sent, r->sent + 1, __ATOMIC_RELAXED);
		if (snd->tx.n_pending >= snd->tx.reap_at)
			kbp_txside_reap(&snd->tx, r);
	}
	drain(snd, r);
	r->unsent = s->n_total - r->sent - r->send_errors;
	return rc;
}

static int pin(int cpu, cpu_set_t *before)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_getaffinity(0, sizeof(*before), before) || sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	return 0;
}

int kbp_sender_run(struct kbp_sender *snd, struct kbp_sender_result *r, struct kbp_error *err)
{
	const struct kbp_sender_opts *o = &snd->opts;
	struct kbp_error *e = &r->error;
	uint64_t start;
	cpu_set_t before;
	char step[96];
	int rc = 0;

	memset(r, 0, sizeof(*r));
	r->ticks_hz = snd->tsc.hz;
	r->unsent = snd->sched->n_total;
	snprintf(step, sizeof(step), "send on %s", snd->ifname);
	if (o->cpu)
		rc = pin(o->cpu - 1, &before);
	if (rc) {
		kbp_fail(e, rc, step, "the sender may not run on CPU %d (%s): see `taskset -p $$`",
			 o->cpu - 1, strerror(-rc));
		goto out;
	}
	if (o->sent_ticks)
		memset(o->sent_ticks, 0, snd->tx.n_record * sizeof(*o->sent_ticks));
	if (o->stamps_ns)
		memset(o->stamps_ns, 0, snd->tx.n_record * sizeof(*o->stamps_ns));
	start = kbp_tsc_now() + kbp_tsc_ticks(&snd->tsc, START_DELAY_NS);
	__atomic_store_n(&r->start_ticks, start, __ATOMIC_RELEASE);
	rc = play(snd, r);
	if (rc)
		kbp_fail(e, rc, step, "%s after %llu of %llu frames: bring it back and start again",
			 rc == -ENETDOWN ? "the interface went down" :
			 rc == -EIO ? "the queue died, because the device was reset or replaced," :
				      "the interface went away",
			 (unsigned long long)r->sent, (unsigned long long)snd->sched->n_total);
	if (o->cpu)
		sched_setaffinity(0, sizeof(before), &before);
out:
	r->code = rc;
	if (rc && err)
		*err = *e;
	return rc;
}
