/* SPDX-License-Identifier: BSD-2-Clause */
/* nic.c - the NICs of this process: by which name, alive from when to when. */
#include "internal.h"

#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIM_IFINDEX 0x51000000 /* of sim0: no kernel counts that far */

static struct {
	pthread_mutex_t lock;
	struct sn_nic *nics; /* never freed: options and counters outlive PDs and VIs */
	softnic_violation_fn fn;
	void *arg;
} reg = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint32_t sn_first_index;

static int sim_number(const char *name)
{
	char *end;
	unsigned long n;

	if (strncmp(name, "sim", 3) || name[3] < '0' || name[3] > '9' || (name[3] == '0' && name[4]))
		return -1;
	n = strtoul(name + 3, &end, 10);
	return !*end && n < SOFTNIC_SIM_MAX ? (int)n : -1;
}

/* The network namespace of the calling thread: the same name may mean two interfaces. */
static uint64_t netns_id(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 1 : (uint64_t)st.st_ino;
}

static struct sn_nic *nic_new(const char *name, uint64_t netns, int sim)
{
	struct sn_nic *nic = calloc(1, sizeof(*nic));

	if (!nic)
		return NULL;
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	nic->netns = netns;
	nic->sim = sim;
	nic->attached = sim < 0;
	nic->model = &sn_models[0];
	nic->check = SN_CHECK_ON;
	nic->sync_status = true;
	nic->mtu = 1500;
	nic->kick_fd = -1;
	pthread_mutex_init(&nic->lock, NULL);
	pthread_mutex_init(&nic->life_lock, NULL);
	pthread_mutex_init(&nic->said_lock, NULL);
	sn_fifo_init(&nic->arrived);
	sn_fifo_init(&nic->sent);
	if (sim >= 0) {
		nic->ifindex = SIM_IFINDEX + sim;
		nic->mac[0] = 2;
		nic->mac[5] = (uint8_t)(sim + 1);
	}
	nic->next = reg.nics;
	reg.nics = nic;
	return nic;
}

/* The kernel is not asked again for a name that is a memory NIC's already: tests inject by name. */
static struct sn_nic *sim_in_use(const char *name)
{
	struct sn_nic *nic;

	pthread_mutex_lock(&reg.lock);
	for (nic = reg.nics; nic; nic = nic->next)
		if (!nic->netns && !strcmp(nic->name, name))
			break;
	pthread_mutex_unlock(&reg.lock);
	return nic && (sn_load(&nic->n_pds) || sn_load(&nic->n_vis)) ? nic : NULL;
}

/* New ones come in front of the list and none goes: what is behind its head can be walked unlocked. */
void sn_nics_close(ef_driver_handle dh)
{
	struct sn_nic *nic;

	pthread_mutex_lock(&reg.lock);
	nic = reg.nics;
	pthread_mutex_unlock(&reg.lock);
	for (; nic; nic = nic->next)
		sn_filter_close(nic, dh);
}

struct sn_nic *sn_nic_find(const char *name)
{
	int ifindex, sim;
	uint64_t netns = 0;
	struct sn_nic *nic;

	if (!name || !*name || strlen(name) >= sizeof(nic->name))
		return NULL;
	sim = sim_number(name);
	nic = sim < 0 ? NULL : sim_in_use(name);
	if (nic)
		return nic;
	ifindex = (int)if_nametoindex(name);
	if (ifindex) {
		netns = netns_id();
		sim = -1;
	} else if (sim < 0) {
		return NULL;
	}
	pthread_mutex_lock(&reg.lock);
	for (nic = reg.nics; nic; nic = nic->next)
		if (!strcmp(nic->name, name) && nic->netns == netns)
			break;
	if (!nic)
		nic = nic_new(name, netns, sim);
	if (nic && ifindex)
		sn_store(&nic->ifindex, ifindex); /* it may have been made anew */
	pthread_mutex_unlock(&reg.lock);
	return nic;
}

struct sn_nic *sn_nic_by_index(int ifindex)
{
	char name[IF_NAMESIZE];

	if (ifindex >= SIM_IFINDEX && ifindex < SIM_IFINDEX + (int)SOFTNIC_SIM_MAX)
		snprintf(name, sizeof(name), "sim%d", ifindex - SIM_IFINDEX);
	else if (ifindex <= 0 || !if_indextoname((unsigned)ifindex, name))
		return NULL;
	return sn_nic_find(name);
}

int sn_nic_hold(struct sn_nic *nic, bool pd)
{
	int rc = 0;

	pthread_mutex_lock(&nic->lock);
	if (!nic->n_pds && !nic->n_vis) {
		if (nic->attached)
			rc = sn_packet_open(nic);
		if (!rc)
			rc = sn_memory_reset(nic);
	}
	if (!rc && pd)
		sn_store(&nic->n_pds, nic->n_pds + 1);
	if (!rc && !pd)
		sn_store(&nic->n_vis, nic->n_vis + 1);
	pthread_mutex_unlock(&nic->lock);
	return rc;
}

void sn_nic_drop(struct sn_nic *nic, bool pd)
{
	pthread_mutex_lock(&nic->lock);
	if (pd)
		sn_store(&nic->n_pds, nic->n_pds - 1);
	else
		sn_store(&nic->n_vis, nic->n_vis - 1);
	if (!nic->n_pds && !nic->n_vis) {
		if (nic->attached)
			sn_packet_close(nic);
		sn_memory_reset(nic);
		/* frames that nobody took are gone, as with the last owner of a queue */
		sn_fifo_clear(&nic->arrived);
	}
	pthread_mutex_unlock(&nic->lock);
}

/* ---------------------------------------------------------------- violations */

SN_PUBLIC void softnic_on_violation(softnic_violation_fn fn, void *arg)
{
	pthread_mutex_lock(&reg.lock);
	reg.fn = fn;
	reg.arg = arg;
	pthread_mutex_unlock(&reg.lock);
}

void sn_violation(struct sn_nic *nic, const char *fmt, ...)
{
	softnic_violation_fn fn;
	char what[sizeof(nic->last_violation)];
	void *arg;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	sn_add(&nic->c.violations, 1);
	pthread_mutex_lock(&nic->said_lock);
	memcpy(nic->last_violation, what, sizeof(what));
	pthread_mutex_unlock(&nic->said_lock);
	pthread_mutex_lock(&reg.lock);
	fn = reg.fn;
	arg = reg.arg;
	pthread_mutex_unlock(&reg.lock);
	if (fn)
		fn(arg, nic->name, what);
}

/* ---------------------------------------------------------------- clock */

uint64_t sn_now(struct sn_nic *nic)
{
	struct timespec ts;

	if (sn_load(&nic->manual))
		return sn_load(&nic->manual_ns);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * SN_NS + (uint64_t)ts.tv_nsec;
}

static int clock_move(const char *ifname, uint64_t ns, bool set)
{
	struct sn_nic *nic = sn_nic_find(ifname);
	int rc = 0;

	if (!nic)
		return -ENODEV;
	pthread_mutex_lock(&nic->lock);
	if (!nic->manual) {
		rc = -EINVAL;
	} else {
		sn_store(&nic->manual_ns, set ? ns : nic->manual_ns + ns);
		/* a clock that was set tells its VIs at once */
		for (struct softnic_vi *v = set ? nic->vis : NULL; v; v = v->next)
			sn_store(&v->own_evq.next_sync, ns);
	}
	pthread_mutex_unlock(&nic->lock);
	sn_kick(nic);
	return rc;
}

SN_PUBLIC int softnic_clock_set(const char *ifname, uint64_t ns)
{
	return clock_move(ifname, ns, true);
}

SN_PUBLIC int softnic_clock_advance(const char *ifname, uint64_t ns)
{
	return clock_move(ifname, ns, false);
}

SN_PUBLIC int softnic_clock_get(const char *ifname, uint64_t *ns)
{
	struct sn_nic *nic = sn_nic_find(ifname);

	if (!nic)
		return -ENODEV;
	*ns = sn_now(nic);
	return 0;
}

SN_PUBLIC void softnic_first_index(uint32_t index)
{
	sn_store(&sn_first_index, index & ~63u);
}
