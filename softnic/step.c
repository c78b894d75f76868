/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * step.c - the device at work: inside the driver's calls, or in a thread of its own; and how those
 * who sleep are woken.
 *
 * No wake-up is lost: who waits swaps `primed` (or `sleeping`) to 1 and looks once more; who has
 * news publishes it and swaps `primed` to 0. Swaps of one word come one after the other: either the
 * second is the waker's, and it finds the 1, or it is the sleeper's, and it acquires the news.
 */
#include "internal.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SPINS 200u  /* of an idle device thread before it sleeps */
#define SLEEP_MS 20 /* clock events wait for no other news */
#define THREAD_BUDGET 256u

/* ---------------------------------------------------------------- a step */

/* "Every N": is it this one's turn? */
static bool every(struct sn_nic *nic, enum softnic_fault fault, uint32_t *nth)
{
	uint32_t n = sn_load(&nic->fault[fault]);

	return n && !(++*nth % n);
}

static void arrive(struct sn_nic *nic, struct sn_rx *rx)
{
	struct sn_parsed p;
	unsigned errors;

	sn_add(&nic->c.wire_rx, 1);
	if (rx->len > nic->mtu + 18) {
		sn_add(&nic->c.wire_oversize, 1);
		return;
	}
	if (rx->len < SN_FRAME_MIN) {
		memset(rx->frame + rx->len, 0, SN_FRAME_MIN - rx->len);
		rx->len = SN_FRAME_MIN;
	}
	sn_frame_parse(rx->frame, rx->len, &p);
	errors = sn_frame_verify(rx->frame, rx->len, &p);
	if (every(nic, SOFTNIC_EVERY_BAD_CSUM, &nic->nth_csum) || rx->flags & SOFTNIC_BAD_CSUM)
		errors |= EF_VI_DISCARD_RX_L4_CSUM_ERR;
	if (every(nic, SOFTNIC_EVERY_BAD_FCS, &nic->nth_fcs) || rx->flags & SOFTNIC_BAD_FCS)
		errors |= EF_VI_DISCARD_RX_ETH_FCS_ERR;
	if (every(nic, SOFTNIC_EVERY_NO_STAMP, &nic->nth_stamp))
		rx->flags |= SOFTNIC_NO_STAMP;
	if (errors & EF_VI_DISCARD_RX_ETH_FCS_ERR)
		sn_add(&nic->c.rx_bad_fcs, 1);
	if (errors & (EF_VI_DISCARD_RX_L3_CSUM_ERR | EF_VI_DISCARD_RX_L4_CSUM_ERR))
		sn_add(&nic->c.rx_bad_csum, 1);
	sn_filter_deliver(nic, rx, &p, errors);
}

/* In order of time: a clock event that was due before a frame comes before it. */
bool sn_step_locked(struct sn_nic *nic, uint32_t budget)
{
	struct sn_rx rx;
	bool did = false;

	while (budget && sn_wire_take(nic, &rx)) {
		sn_event_sync(nic, rx.ns);
		arrive(nic, &rx);
		did = true;
		budget--;
	}
	for (struct softnic_vi *v = nic->vis; v; v = v->next) {
		sn_ring_flush(v);
		did |= sn_tx_fetch(v);
	}
	sn_event_sync(nic, sn_now(nic));
	for (struct softnic_vi *v = nic->vis; v; v = v->next)
		did |= sn_tx_complete(v);
	return did;
}

bool sn_step(struct sn_nic *nic, uint32_t budget)
{
	bool did;

	/* another VI's thread is at it: what is due will be there for the next poll */
	if (pthread_mutex_trylock(&nic->lock))
		return false;
	did = sn_step_locked(nic, budget);
	pthread_mutex_unlock(&nic->lock);
	return did;
}

bool sn_step_due(struct softnic_vi *v)
{
	uint32_t taken = sn_load(&v->tx_taken);

	if (sn_wire_pending(v->nic) || sn_event_sync_due(v))
		return true;
	if (taken != sn_load(&v->tx_pushed))
		return true;
	return taken != sn_load(&v->tx_told) && !sn_load(&v->nic->fault[SOFTNIC_HOLD_TX]);
}

void sn_poll_step(ef_vi *vi, int n)
{
	struct softnic_vi *v = vi->softnic;
	struct sn_nic *nic = v->nic;

	if (nic->step_thread || !sn_step_due(v))
		return;
	/* A memory wire does not wait for anyone. The kernel's ring does: its frames come as fast
	 * as the VI is polled, and wait there while there is something to poll here. */
	if (!nic->attached)
		sn_step(nic, SN_ALL);
	else
		sn_step(nic, sn_event_waiting(v) ? 0 : (uint32_t)n);
}

void sn_step_tx(struct softnic_vi *v)
{
	if (v->nic->step_thread) {
		sn_kick(v->nic);
		return;
	}
	pthread_mutex_lock(&v->nic->lock);
	sn_tx_fetch(v);
	pthread_mutex_unlock(&v->nic->lock);
	sn_wake(v); /* the completion is due at the next poll */
}

int sn_has_event(const ef_vi *vi)
{
	struct softnic_vi *v = vi->softnic;

	if (v->reset_seen)
		return 0;
	if (!sn_event_waiting(v) && !sn_ref_waiting(v))
		sn_poll_step((ef_vi *)(uintptr_t)vi, 16);
	return sn_event_waiting(v) || sn_ref_waiting(v);
}

/* ---------------------------------------------------------------- waking and waiting */

static void fd_signal(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is readable already */
}

static void fd_drain(int fd)
{
	uint64_t n;

	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return;
}

void sn_wake(struct softnic_vi *v)
{
	/* pairs with the swap in vi_prime */
	if (sn_swap(&v->primed, 0))
		fd_signal(v->wake_fd);
}

void sn_kick(struct sn_nic *nic)
{
	if (!sn_load(&nic->running))
		return;
	/* pairs with the swap in device_main */
	if (sn_swap(&nic->sleeping, 0))
		fd_signal(nic->kick_fd);
}

/* One-shot, as an interrupt is: ready again only after the next prime. */
static int watch(ef_driver_handle dh, int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };

	if (!epoll_ctl(dh, EPOLL_CTL_MOD, fd, &e))
		return 0;
	return errno == ENOENT && !epoll_ctl(dh, EPOLL_CTL_ADD, fd, &e) ? 0 : -errno;
}

static int vi_prime(ef_vi *vi, ef_driver_handle dh)
{
	struct softnic_vi *v = vi->softnic;
	int rc, wire = v->nic->attached && !v->nic->step_thread ? sn_packet_fd(v->nic) : -1;

	fd_drain(v->wake_fd);
	rc = watch(dh, v->wake_fd);
	/* nobody in this process sees frames arrive at the kernel's ring */
	if (!rc && wire >= 0)
		rc = watch(dh, wire);
	if (rc)
		return rc;
	sn_swap(&v->primed, 1);
	if (sn_event_waiting(v) || sn_ref_waiting(v) || (!v->nic->step_thread && sn_step_due(v)))
		sn_wake(v);
	return 0;
}

SN_PUBLIC int ef_vi_prime(ef_vi *vi, ef_driver_handle dh, unsigned current_ptr)
{
	(void)current_ptr; /* events are looked for where the driver reads next */
	return vi_prime(vi, dh);
}

void sn_prime(ef_vi *vi)
{
	(void)vi_prime(vi, vi->dh);
}

SN_PUBLIC int ef_eventq_wait(ef_vi *vi, ef_driver_handle vi_dh, unsigned current_ptr,
			     const struct timeval *timeout)
{
	struct pollfd p = { .fd = vi_dh, .events = POLLIN };
	struct timespec ts = { 0, 0 };
	int rc = ef_vi_prime(vi, vi_dh, current_ptr);

	if (rc)
		return rc;
	if (timeout)
		ts = (struct timespec){ timeout->tv_sec, timeout->tv_usec * 1000 };
	rc = ppoll(&p, 1, ts.tv_sec || ts.tv_nsec ? &ts : NULL, NULL);
	return rc < 0 ? -errno : rc ? 0 : -ETIMEDOUT;
}

/* ---------------------------------------------------------------- the device's thread */

static bool device_due(struct sn_nic *nic)
{
	bool due = sn_wire_pending(nic) || sn_load(&nic->stop);

	pthread_mutex_lock(&nic->lock);
	for (struct softnic_vi *v = nic->vis; v && !due; v = v->next)
		due = sn_step_due(v);
	pthread_mutex_unlock(&nic->lock);
	return due;
}

static void *device_main(void *arg)
{
	struct sn_nic *nic = arg;
	unsigned idle = 0;

	while (!sn_acquire(&nic->stop)) {
		struct pollfd p[2] = { { .fd = nic->kick_fd, .events = POLLIN },
				       { .fd = sn_packet_fd(nic), .events = POLLIN } };
		bool did;

		pthread_mutex_lock(&nic->lock);
		did = sn_step_locked(nic, THREAD_BUDGET);
		pthread_mutex_unlock(&nic->lock);
		if (did) {
			idle = 0;
			continue;
		}
		sched_yield();
		if (++idle < SPINS)
			continue;
		idle = 0;
		sn_swap(&nic->sleeping, 1); /* pairs with the swap in sn_kick */
		if (!device_due(nic))
			poll(p, 2, SLEEP_MS);
		sn_store(&nic->sleeping, 0);
		fd_drain(nic->kick_fd);
	}
	return NULL;
}

int sn_thread_start(struct sn_nic *nic)
{
	int rc;

	nic->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (nic->kick_fd < 0)
		return -errno;
	sn_store(&nic->stop, 0);
	rc = -pthread_create(&nic->thread, NULL, device_main, nic);
	if (rc) {
		close(nic->kick_fd);
		nic->kick_fd = -1;
		return rc;
	}
	sn_release(&nic->running, true);
	return 0;
}

void sn_thread_stop(struct sn_nic *nic)
{
	sn_release(&nic->stop, 1);
	fd_signal(nic->kick_fd);
	pthread_join(nic->thread, NULL);
	sn_store(&nic->running, false);
	close(nic->kick_fd);
	nic->kick_fd = -1;
}
