/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The digest: per flow, XXH3-64 over the sequence of (payload hash, length); over the flows, in the
 * order of their keys, XXH3-64 over (key, count, bytes, the flow's hash). Little-endian throughout.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/internal.h"
#include "tools/traffic/schedule.h"

/* What a flow contributes, without padding: address family, address, port, VLAN. */
struct flow_key {
	uint8_t text[24];
};

struct digest_flow {
	XXH3_state_t state; /* 64-byte aligned: comes first */
	struct flow_key key;
	uint64_t n, bytes;
};

struct kbp_digest {
	uint32_t n;
	struct digest_flow *flows; /* as given */
	uint32_t *order;	   /* by key */
};

uint64_t kbp_payload_hash(const void *payload, size_t len)
{
	return XXH3_64bits(payload, len);
}

static struct flow_key key_of(const struct kbp_flow *f)
{
	struct flow_key k = { { 0 } };

	k.text[0] = f->dst.family;
	memcpy(k.text + 1, f->dst.bytes, sizeof(f->dst.bytes));
	kbp_store_be16(k.text + 17, f->dst_port);
	kbp_store_be16(k.text + 19, f->vlan);
	return k;
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct digest_flow *flows = arg;
	uint32_t i, j;

	memcpy(&i, a, sizeof(i));
	memcpy(&j, b, sizeof(j));
	return memcmp(&flows[i].key, &flows[j].key, sizeof(struct flow_key));
}

int kbp_digest_open(const struct kbp_flow *flows, uint32_t n, struct kbp_digest **out)
{
	struct kbp_digest *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->n = n;
	d->order = calloc(n ? n : 1, sizeof(*d->order));
	d->flows = aligned_alloc(_Alignof(struct digest_flow), (n ? n : 1) * sizeof(*d->flows));
	if (!d->order || !d->flows) {
		kbp_digest_close(d);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		memset(&d->flows[i], 0, sizeof(d->flows[i]));
		XXH3_64bits_reset(&d->flows[i].state);
		d->flows[i].key = key_of(&flows[i]);
		d->order[i] = i;
	}
	qsort_r(d->order, n, sizeof(*d->order), by_key, d->flows);
	*out = d;
	return 0;
}

void kbp_digest_add(struct kbp_digest *d, uint32_t flow, uint64_t payload_hash, uint32_t payload_len)
{
	struct digest_flow *f;
	uint8_t item[12];

	if (flow >= d->n)
		return;
	f = &d->flows[flow];
	memcpy(item, &payload_hash, 8);
	memcpy(item + 8, &payload_len, 4);
	XXH3_64bits_update(&f->state, item, sizeof(item));
	f->n++;
	f->bytes += payload_len;
}

void kbp_digest_hex(const struct kbp_digest *d, char hex[17])
{
	XXH3_state_t all;

	XXH3_64bits_reset(&all);
	for (uint32_t i = 0; i < d->n; i++) {
		const struct digest_flow *f = &d->flows[d->order[i]];
		uint64_t part[3] = { f->n, f->bytes, XXH3_64bits_digest(&f->state) };

		XXH3_64bits_update(&all, f->key.text, sizeof(f->key.text));
		XXH3_64bits_update(&all, part, sizeof(part));
	}
	snprintf(hex, 17, "%016llx", (unsigned long long)XXH3_64bits_digest(&all));
}

void kbp_digest_close(struct kbp_digest *d)
{
	if (!d)
		return;
	free(d->flows);
	free(d->order);
	free(d);
}

int kbp_schedule_digest(const struct kbp_schedule *s, const uint64_t *sent_ticks, char hex[17])
{
	struct kbp_digest *d;
	int rc = kbp_digest_open(s->flows, s->n_flows, &d);

	if (rc)
		return rc;
	for (uint64_t i = 0; i < s->n_total; i++) {
		const struct kbp_schedule_frame *f = &s->frames[i % s->n_frames];

		if (!sent_ticks || sent_ticks[i])
			kbp_digest_add(d, f->flow, f->payload_hash, f->payload_len);
	}
	kbp_digest_hex(d, hex);
	kbp_digest_close(d);
	return 0;
}
