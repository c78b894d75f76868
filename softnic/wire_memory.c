/* SPDX-License-Identifier: BSD-2-Clause */
/* wire_memory.c - wires in memory: what tests inject, what they collect, NICs back to back. */
#include "internal.h"

#include <stdlib.h>

#define BLOCK_BYTES 2048u /* of most blocks, so that used ones serve again */

void sn_fifo_init(struct sn_fifo *f)
{
	pthread_mutex_init(&f->lock, NULL);
	f->tail = &f->head;
}

static struct sn_block *block_get(struct sn_fifo *f, uint32_t len)
{
	struct sn_block *b = f->spare;

	if (len > BLOCK_BYTES)
		return malloc(sizeof(*b) + len);
	if (!b)
		return malloc(sizeof(*b) + BLOCK_BYTES);
	f->spare = b->next;
	return b;
}

/* Locked by the caller. */
static int put_locked(struct sn_fifo *f, const void *frame, uint32_t len, uint64_t ns, uint32_t flags)
{
	struct sn_block *b;

	if (f->n == SOFTNIC_WIRE_MAX)
		return -ENOBUFS;
	b = block_get(f, len);
	if (!b)
		return -ENOMEM;
	b->next = NULL;
	b->ns = ns;
	b->len = len;
	b->flags = flags;
	memcpy(b->bytes, frame, len);
	*f->tail = b;
	f->tail = &b->next;
	sn_release(&f->n, f->n + 1); /* pairs with the acquire in sn_wire_pending */
	return 0;
}

int sn_fifo_put(struct sn_fifo *f, const void *frame, uint32_t len, uint64_t ns, uint32_t flags)
{
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = put_locked(f, frame, len, ns, flags);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

uint32_t sn_fifo_get(struct sn_fifo *f, void *buf, uint32_t size, uint64_t *ns, uint32_t *flags)
{
	struct sn_block *b;
	uint32_t len = 0;

	pthread_mutex_lock(&f->lock);
	b = f->head;
	if (b) {
		f->head = b->next;
		if (!f->head)
			f->tail = &f->head;
		sn_store(&f->n, f->n - 1);
		len = b->len < size ? b->len : size;
		memcpy(buf, b->bytes, len);
		*ns = b->ns;
		*flags = b->flags;
		if (b->len > BLOCK_BYTES) {
			free(b);
		} else {
			b->next = f->spare;
			f->spare = b;
		}
	}
	pthread_mutex_unlock(&f->lock);
	return len;
}

void sn_fifo_clear(struct sn_fifo *f)
{
	struct sn_block *b, *next;

	pthread_mutex_lock(&f->lock);
	for (b = f->head; b; b = next) {
		next = b->next;
		free(b);
	}
	for (b = f->spare; b; b = next) {
		next = b->next;
		free(b);
	}
	f->head = f->spare = NULL;
	f->tail = &f->head;
	sn_store(&f->n, 0);
	pthread_mutex_unlock(&f->lock);
}

/* A frame arrives at a memory NIC. No lock of the NIC is taken: its peer calls this holding its
 * own. */
int sn_memory_arrive(struct sn_nic *nic, const void *frame, uint32_t len, uint32_t flags)
{
	uint64_t now = sn_now(nic);
	int rc;

	pthread_mutex_lock(&nic->arrived.lock);
	rc = put_locked(&nic->arrived, frame, len, now, flags);
	if (rc)
		sn_add(&nic->c.wire_dropped, 1);
	else if (!sn_load(&nic->step_thread))
		for (struct softnic_vi *v = nic->wakers; v; v = v->wake_next)
			sn_wake(v);
	pthread_mutex_unlock(&nic->arrived.lock);
	if (!rc)
		sn_kick(nic);
	return rc;
}

/* ---------------------------------------------------------------- either wire */

bool sn_wire_pending(struct sn_nic *nic)
{
	return nic->attached ? sn_packet_pending(nic) : sn_acquire(&nic->arrived.n) != 0;
}

bool sn_wire_take(struct sn_nic *nic, struct sn_rx *rx)
{
	if (nic->attached)
		return sn_packet_take(nic, rx);
	if (!sn_acquire(&nic->arrived.n))
		return false;
	rx->frame = nic->rx_frame;
	rx->len = sn_fifo_get(&nic->arrived, rx->frame, SN_FRAME_MAX, &rx->ns, &rx->flags);
	return rx->len != 0;
}

int sn_wire_send(struct sn_nic *nic, uint8_t *frame, uint32_t len)
{
	struct sn_nic *peer = __atomic_load_n(&nic->peer, __ATOMIC_ACQUIRE);
	int rc;

	if (len > nic->mtu + 18) {
		sn_add(&nic->c.wire_oversize, 1);
		return -EMSGSIZE;
	}
	if (len < SN_FRAME_MIN) {
		memset(frame + len, 0, SN_FRAME_MIN - len);
		len = SN_FRAME_MIN;
	}
	if (nic->attached)
		rc = sn_packet_send(nic, frame, len);
	else if (peer)
		rc = sn_memory_arrive(peer, frame, len, 0);
	else
		rc = sn_fifo_put(&nic->sent, frame, len, 0, 0);
	if (!rc)
		sn_add(&nic->c.wire_tx, 1);
	else if (nic->attached ? rc != -EAGAIN : !peer)
		sn_add(&nic->c.wire_tx_dropped, 1);
	/* a full memory wire loses the frame, as wires do; only the kernel asks for patience */
	return nic->attached ? rc : 0;
}

/* ---------------------------------------------------------------- the tests' side */

SN_PUBLIC int softnic_inject(const char *ifname, const void *frame, size_t len, unsigned flags)
{
	struct sn_nic *nic = sn_nic_find(ifname);
	static const uint8_t zeros[SN_FRAME_MIN];
	uint8_t padded[SN_FRAME_MIN];

	if (!nic)
		return -ENODEV;
	if (nic->sim < 0 || !len || len > SN_FRAME_MAX)
		return -EINVAL;
	if (len < SN_FRAME_MIN) {
		memcpy(padded, frame, len);
		memcpy(padded + len, zeros, SN_FRAME_MIN - len);
		frame = padded;
		len = SN_FRAME_MIN;
	}
	return sn_memory_arrive(nic, frame, (uint32_t)len, flags);
}

SN_PUBLIC ssize_t softnic_collect(const char *ifname, void *buf, size_t size)
{
	struct sn_nic *nic = sn_nic_find(ifname);
	uint64_t ns;
	uint32_t flags;

	if (!nic)
		return -ENODEV;
	if (nic->sim < 0)
		return -EINVAL;
	return sn_fifo_get(&nic->sent, buf, size < SN_FRAME_MAX ? (uint32_t)size : SN_FRAME_MAX,
			   &ns, &flags);
}

SN_PUBLIC int softnic_wire_clear(const char *ifname)
{
	struct sn_nic *nic = sn_nic_find(ifname);

	if (!nic)
		return -ENODEV;
	sn_fifo_clear(&nic->arrived);
	sn_fifo_clear(&nic->sent);
	return 0;
}
