/* SPDX-License-Identifier: BSD-2-Clause */
/* fake.c - the wire in memory and what both fake devices share. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake.h"
#include "../lib/test.h"

struct parcel {
	struct parcel *next;
	uint32_t len;
	bool bad;
	uint8_t bytes[];
};

struct line {
	struct parcel *first, **end;
};

static pthread_mutex_t wire_lock = PTHREAD_MUTEX_INITIALIZER; /* tests may inject from another
							       * thread */
static struct line towards_us = { NULL, &towards_us.first }, from_us = { NULL, &from_us.first };
static struct fake_queue *queues;
static uint64_t now_ns = 1700000000000000000u;
uint32_t fake_first_index;
bool fake_tx_stalled;

void fake_move(uint8_t *owner, uint32_t n, uint64_t token, enum fake_owner from, enum fake_owner to,
	       const char *why)
{
	static const char *const names[] = { "the driver", "the NIC", "the stash", "the caller",
					     "a template" };

	if (token >= n)
		fail_msg("%s: token %llu names no buffer (there are %u)", why,
			 (unsigned long long)token, n);
	if (owner[token] != from)
		fail_msg("%s: buffer %llu belongs to %s, expected %s", why,
			 (unsigned long long)token, names[owner[token]], names[from]);
	owner[token] = (uint8_t)to;
}

/* ---------------------------------------------------------------- the wire */

static void line_put(struct line *l, const void *bytes, uint32_t len, bool bad)
{
	struct parcel *p = malloc(sizeof(*p) + len);

	assert_non_null(p);
	p->next = NULL;
	p->len = len;
	p->bad = bad;
	memcpy(p->bytes, bytes, len);
	*l->end = p;
	l->end = &p->next;
}

static struct parcel *line_get(struct line *l)
{
	struct parcel *p = l->first;

	if (!p)
		return NULL;
	l->first = p->next;
	if (!l->first)
		l->end = &l->first;
	return p;
}

void fake_inject(const void *frame, uint32_t len, bool bad)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&wire_lock);
	line_put(&towards_us, frame, len, bad);
	for (struct fake_queue *fq = queues; fq; fq = fq->next)
		assert_int_equal(write(fq->event_fd, &one, sizeof(one)), sizeof(one));
	pthread_mutex_unlock(&wire_lock);
}

uint32_t fake_collect(void *buf, uint32_t size)
{
	struct parcel *p;
	uint32_t len = 0;

	pthread_mutex_lock(&wire_lock);
	p = line_get(&from_us);
	pthread_mutex_unlock(&wire_lock);
	if (p) {
		len = p->len < size ? p->len : size;
		memcpy(buf, p->bytes, len);
		free(p);
	}
	return len;
}

void fake_wire_clear(void)
{
	struct parcel *p;

	pthread_mutex_lock(&wire_lock);
	while ((p = line_get(&towards_us)) || (p = line_get(&from_us)))
		free(p);
	pthread_mutex_unlock(&wire_lock);
}

void fake_transmit(const uint8_t *frame, uint32_t len)
{
	pthread_mutex_lock(&wire_lock);
	line_put(&from_us, frame, len, false);
	pthread_mutex_unlock(&wire_lock);
}

uint64_t fake_clock_ns(void)
{
	return now_ns += 1000;
}

/* A frame that damage keeps from being parsed in its payload still has the headers that steering
 * reads. */
static bool steers_to(const struct fake_queue *fq, const struct kbp_datagram *d)
{
	for (unsigned i = 0; i < fq->n_flows; i++)
		if (kbp_flow_matches(&fq->flows[i], d))
			return true;
	return false;
}

void fake_tick(void)
{
	struct kbp_datagram d;
	struct parcel *p;

	for (;;) {
		pthread_mutex_lock(&wire_lock);
		p = line_get(&towards_us);
		pthread_mutex_unlock(&wire_lock);
		if (!p)
			return;
		if (kbp_datagram_parse(p->bytes, p->len, false, &d) == KBP_PARSE_OK) {
			for (struct fake_queue *fq = queues; fq; fq = fq->next) {
				if (!(fq->head.flags & KBP_QUEUE_RX) || !steers_to(fq, &d))
					continue;
				fq->steered++;
				fq->deliver(fq, p->bytes, p->len, p->bad);
			}
		}
		free(p);
	}
}

void fake_quiet(struct fake_queue *fq)
{
	uint64_t n;

	pthread_mutex_lock(&wire_lock);
	if (!towards_us.first)
		(void)!read(fq->event_fd, &n, sizeof(n));
	pthread_mutex_unlock(&wire_lock);
}

void fake_attach(struct fake_queue *fq)
{
	fq->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(fq->event_fd >= 0);
	pthread_mutex_lock(&wire_lock);
	fq->next = queues;
	queues = fq;
	pthread_mutex_unlock(&wire_lock);
}

void fake_detach(struct fake_queue *fq)
{
	struct fake_queue **at = &queues;

	pthread_mutex_lock(&wire_lock);
	while (*at != fq)
		at = &(*at)->next;
	*at = fq->next;
	pthread_mutex_unlock(&wire_lock);
	close(fq->event_fd);
}

/* ---------------------------------------------------------------- calls of struct kbp_backend */

int fake_port_open(struct kbp_port *p, struct kbp_error *err)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

	(void)err;
	memcpy(p->info.mac, mac, sizeof(mac));
	p->info.mtu = FAKE_MTU;
	p->info.numa_node = -1;
	p->info.rx_channels = p->info.tx_channels = 4;
	p->info.achieved = KBP_MODE_EMULATED;
	p->info.proof = KBP_PROVEN;
	p->info.emulated = true;
	return 0;
}

void fake_port_close(struct kbp_port *p)
{
	(void)p;
}

unsigned fake_port_channels(const struct kbp_port *p)
{
	(void)p;
	return 1;
}

int fake_queue_fd(const struct kbp_queue *q)
{
	return ((const struct fake_queue *)(const void *)q)->event_fd;
}

int fake_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct fake_queue *fq = (struct fake_queue *)(void *)q;

	if (fq->n_flows == FAKE_FLOWS)
		return kbp_fail(err, -ENOSPC, "add a filter", "the fake device has %u", FAKE_FLOWS);
	fq->flows[fq->n_flows++] = ref->flow;
	return 0;
}

int fake_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct fake_queue *fq = (struct fake_queue *)(void *)q;

	for (unsigned i = 0; i < fq->n_flows; i++) {
		if (!memcmp(&fq->flows[i], &ref->flow, sizeof(ref->flow))) {
			fq->flows[i] = fq->flows[--fq->n_flows];
			return 0;
		}
	}
	return kbp_fail(err, -ENOENT, "remove a filter", "the fake device does not have it");
}
