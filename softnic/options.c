/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - the words of softnic_options, faults, what a NIC tells of itself. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int say(char *why, size_t size, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int say(char *why, size_t size, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why && size)
		vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return rc;
}

static int set_model(struct sn_nic *nic, const char *value)
{
	for (unsigned i = 0; i < sn_n_models; i++)
		if (!strcmp(sn_models[i].name, value)) {
			nic->model = &sn_models[i];
			return 0;
		}
	return -EINVAL;
}

/* One of `words`, separated by '|': its position, or -EINVAL. */
static int choice(const char *value, const char *words)
{
	size_t len = strlen(value);

	for (int i = 0; *words; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && !memcmp(words, value, n))
			return i;
		words += n + (words[n] == '|');
	}
	return -EINVAL;
}

static int set_mtu(struct sn_nic *nic, const char *value)
{
	char *end;
	unsigned long mtu = strtoul(value, &end, 10);

	if (nic->attached || *end || mtu < 64 || mtu > 9216)
		return -EINVAL;
	nic->mtu = (unsigned)mtu;
	return 0;
}

static int set_peer(struct sn_nic *nic, const char *value)
{
	struct sn_nic *peer = NULL, *was = nic->peer;

	if (strcmp(value, "none")) {
		peer = sn_nic_find(value);
		if (!peer || peer == nic || peer->attached || nic->attached)
			return -EINVAL;
	}
	if (was)
		__atomic_store_n(&was->peer, NULL, __ATOMIC_RELEASE);
	if (peer) {
		if (peer->peer)
			__atomic_store_n(&peer->peer->peer, NULL, __ATOMIC_RELEASE);
		__atomic_store_n(&peer->peer, nic, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&nic->peer, peer, __ATOMIC_RELEASE);
	return 0;
}

enum word { W_NIC, W_STEP, W_MTU, W_PEER, W_CLOCK, W_SYNC, W_MERGING, W_CHECK };

static const struct {
	const char *name, *values;
	bool needs_new;
} words_known[] = {
	[W_NIC] = { "nic", "sfn8522, x2522, x3522 or x4542", true },
	[W_STEP] = { "step", "poll or thread", true },
	[W_MTU] = { "mtu", "64 to 9216, of a memory wire", true },
	[W_PEER] = { "peer", "another memory NIC, or none", false },
	[W_CLOCK] = { "clock", "host or manual", false },
	[W_SYNC] = { "sync_status", "on or off", false },
	[W_MERGING] = { "merging", "on or off", true },
	[W_CHECK] = { "check", "off, on or deep", true },
};

static int take_word(struct sn_nic *nic, enum word w, const char *value)
{
	int n;

	switch (w) {
	case W_NIC:
		return set_model(nic, value);
	case W_STEP:
		n = choice(value, "poll|thread");
		if (n >= 0)
			sn_store(&nic->step_thread, n == 1);
		break;
	case W_MTU:
		return set_mtu(nic, value);
	case W_PEER:
		return set_peer(nic, value);
	case W_CLOCK:
		n = choice(value, "host|manual");
		if (n == 1 && !nic->manual)
			sn_store(&nic->manual_ns, sn_now(nic));
		if (n >= 0)
			sn_store(&nic->manual, n == 1);
		break;
	case W_SYNC:
		n = choice(value, "off|on");
		if (n >= 0)
			nic->sync_status = n == 1;
		break;
	case W_MERGING:
		n = choice(value, "off|on");
		if (n >= 0)
			nic->merging = n == 1;
		break;
	default:
		n = choice(value, "off|on|deep");
		if (n >= 0)
			nic->check = (enum sn_check)n;
	}
	return n < 0 ? n : 0;
}

static int one_word(struct sn_nic *nic, char *word, char *why, size_t why_size)
{
	char *value = strchr(word, '=');
	unsigned i, n = sizeof(words_known) / sizeof(words_known[0]);
	int rc;

	if (value)
		*value++ = '\0';
	for (i = 0; i < n && strcmp(word, words_known[i].name); i++)
		;
	if (i == n)
		return say(why, why_size, -EINVAL,
			   "%s: unknown; words are nic, step, mtu, peer, clock, sync_status, merging, check",
			   word);
	if (!value)
		return say(why, why_size, -EINVAL, "%s: needs a value: %s", word,
			   words_known[i].values);
	if (words_known[i].needs_new && (nic->n_pds || nic->n_vis))
		return say(why, why_size, -EBUSY, "%s: %s is in use: free its PDs and VIs first",
			   word, nic->name);
	rc = take_word(nic, (enum word)i, value);
	return rc ? say(why, why_size, rc, "%s=%s: the value must be %s", word, value,
			words_known[i].values) :
		    0;
}

SN_PUBLIC int softnic_options(const char *ifname, const char *words, char *why, size_t why_size)
{
	struct sn_nic *nic = sn_nic_find(ifname);
	char *copy, *at, *word;
	int rc = 0;

	if (!nic)
		return say(why, why_size, -ENODEV, "%s: neither an interface nor sim0 to sim%u",
			   ifname ? ifname : "(null)", SOFTNIC_SIM_MAX - 1);
	at = copy = strdup(words ? words : "");
	if (!copy)
		return say(why, why_size, -ENOMEM, "out of memory");
	pthread_mutex_lock(&nic->lock);
	while (!rc && (word = strsep(&at, ",")))
		if (*word)
			rc = one_word(nic, word, why, why_size);
	pthread_mutex_unlock(&nic->lock);
	free(copy);
	sn_kick(nic);
	return rc;
}

/* ---------------------------------------------------------------- faults */

static void fault_now(struct sn_nic *nic, enum softnic_fault fault)
{
	for (struct softnic_vi *v = nic->vis; v; v = v->next) {
		struct sn_evq *q = v->evq == &v->own_evq ? v->evq : NULL;

		if (fault == SOFTNIC_ROLLOVER && v->ref) {
			sn_ref_rollover(v);
		} else if (fault == SOFTNIC_OVERFLOW && q) {
			sn_add(&nic->c.ev_overflows, sn_load(&q->overflow) ? 0 : 1);
			sn_release(&q->overflow, 1);
			sn_wake(v);
		} else if (fault == SOFTNIC_RESET && q && !sn_load(&q->dead)) {
			sn_event_put(q, SN_EV_MAKE(SN_EV_RESET, 0, 0));
			sn_release(&q->dead, 1);
		}
	}
}

SN_PUBLIC int softnic_fault(const char *ifname, enum softnic_fault fault, unsigned value)
{
	struct sn_nic *nic = sn_nic_find(ifname);

	if (!nic)
		return -ENODEV;
	if ((unsigned)fault >= SOFTNIC_FAULTS)
		return -EINVAL;
	pthread_mutex_lock(&nic->lock);
	if (fault == SOFTNIC_OVERFLOW || fault == SOFTNIC_RESET || fault == SOFTNIC_ROLLOVER)
		fault_now(nic, fault);
	else
		sn_store(&nic->fault[fault], value);
	pthread_mutex_unlock(&nic->lock);
	/* what was held back may be due: those who sleep have to look */
	pthread_mutex_lock(&nic->arrived.lock);
	for (struct softnic_vi *v = nic->wakers; v; v = v->wake_next)
		sn_wake(v);
	pthread_mutex_unlock(&nic->arrived.lock);
	sn_kick(nic);
	return 0;
}

SN_PUBLIC int softnic_faults_clear(const char *ifname)
{
	int rc = 0;

	for (unsigned i = 0; i < SOFTNIC_FAULTS && !rc; i++)
		if (i != SOFTNIC_OVERFLOW && i != SOFTNIC_RESET && i != SOFTNIC_ROLLOVER)
			rc = softnic_fault(ifname, (enum softnic_fault)i, 0);
	return rc;
}

/* ---------------------------------------------------------------- telling */

SN_PUBLIC int softnic_info_get(const char *ifname, struct softnic_info *info)
{
	struct sn_nic *nic = sn_nic_find(ifname);
	struct sn_counters *c;

	if (!nic)
		return -ENODEV;
	memset(info, 0, sizeof(*info));
	c = &nic->c;
	pthread_mutex_lock(&nic->lock);
	if (nic->packet)
		sn_packet_count(nic);
	snprintf(info->model, sizeof(info->model), "%s", nic->model->name);
	memcpy(info->mac, nic->mac, 6);
	info->attached = nic->attached;
	info->ifindex = sn_load(&nic->ifindex);
	info->mtu = nic->mtu;
	info->n_pds = nic->n_pds;
	info->n_vis = nic->n_vis;
	for (struct softnic_vi *v = nic->vis; v; v = v->next)
		info->reset |= sn_load(&v->own_evq.dead) != 0;
	info->wire_rx = sn_load(&c->wire_rx);
	info->wire_tx = sn_load(&c->wire_tx);
	info->wire_dropped = sn_load(&c->wire_dropped);
	info->wire_oversize = sn_load(&c->wire_oversize);
	info->wire_tx_dropped = sn_load(&c->wire_tx_dropped);
	info->filter_missed = sn_load(&c->filter_missed);
	info->delivered = sn_load(&c->delivered);
	info->rx_no_desc = sn_load(&c->rx_no_desc);
	info->rx_trunc = sn_load(&c->rx_trunc);
	info->rx_bad_fcs = sn_load(&c->rx_bad_fcs);
	info->rx_bad_csum = sn_load(&c->rx_bad_csum);
	info->rx_lost = sn_load(&c->rx_lost);
	info->ctpio_sent = sn_load(&c->ctpio_sent);
	info->ctpio_failed = sn_load(&c->ctpio_failed);
	info->ev_overflows = sn_load(&c->ev_overflows);
	info->violations = sn_load(&c->violations);
	pthread_mutex_unlock(&nic->lock);
	pthread_mutex_lock(&nic->said_lock);
	memcpy(info->last_violation, nic->last_violation, sizeof(info->last_violation));
	pthread_mutex_unlock(&nic->said_lock);
	return 0;
}

SN_PUBLIC int softnic_ethtool_stat(const char *ifname, const char *name, uint64_t *value)
{
	struct sn_nic *nic = sn_nic_find(ifname);

	if (!nic)
		return -ENODEV;
	if (!strcmp(name, "port_rx_nodesc_drops"))
		*value = sn_load(&nic->c.rx_no_desc);
	else if (!strcmp(name, "rx_nodesc_trunc"))
		*value = sn_load(&nic->c.rx_trunc);
	else
		return -ENOENT;
	return 0;
}
