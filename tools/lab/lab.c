// SPDX-License-Identifier: BSD-2-Clause
/*
 * lab.c - making, finding and removing labs.
 *
 * What a lab was asked to be stands in /run/kbypass/lab/PREFIX, written before the first thing is
 * made and marked complete after the last. Whatever is found half-made belongs to a killed run and
 * may be removed. A lock on the folder lets one process at a time make or remove labs.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <kbypass/lab.h>
#include <libmnl/libmnl.h>

#include "lib/internal.h"
#include "tools/lab/lab_net.h"

#define STATE_DIR "/run/kbypass/lab"
#define STATE_SCHEMA "kbypass.lab-state/1"
#define PREFIX_MAX 13u		/* + "tx" fits an interface name */
#define PREFIX_MAX_EPHEMERAL 6u /* + a pid of up to seven digits */
#define CARRIER_WAIT_MS 3000

static const char *const side_names[2] = { "tx", "rx" };

/* What a lab is to be, or was asked to be. */
struct lab {
	char prefix[16];
	uint32_t queues, mtu;
	struct kbp_addr net4, net6;
	int32_t owner_pid;    /* ephemeral; 0 otherwise */
	uint64_t owner_start; /* when that process started: pids are reused */
	bool complete;
};

/* ---------------------------------------------------------------- names, options */

static bool prefix_valid(const char *prefix, size_t max)
{
	size_t n = strlen(prefix);

	return n >= 1 && n <= max &&
	       strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

static const char *prefix_or_default(const char *prefix)
{
	return prefix ? prefix : "kbp";
}

static int prefix_check(const char *prefix, size_t max, struct kbp_error *err)
{
	if (prefix_valid(prefix, max))
		return 0;
	return kbp_fail(err, -EINVAL, "name the lab",
			"\"%.40s\": the prefix is 1 to %zu letters, digits or '_'", prefix, max);
}

static void host_names(const struct lab *lab, struct kbp_lab_info *info)
{
	for (int s = 0; s < 2; s++) {
		struct kbp_lab_host *h = &info->host[s];

		snprintf(h->netns, sizeof(h->netns), "%s-%s", lab->prefix, side_names[s]);
		snprintf(h->ifname, sizeof(h->ifname), "%.13s%s", lab->prefix, side_names[s]);
	}
}

static void info_fill(const struct lab *lab, struct kbp_lab_info *info)
{
	memset(info, 0, sizeof(*info));
	memcpy(info->prefix, lab->prefix, sizeof(info->prefix));
	info->queues = lab->queues;
	info->mtu = lab->mtu;
	info->owner_pid = lab->owner_pid;
	host_names(lab, info);
	for (int s = 0; s < 2; s++) {
		/* locally administered, and the same on every lab: frames can be made before it */
		memcpy(info->host[s].mac,
		       (const uint8_t[6]){ 0x02, 'k', 'b', 'p', 0, (uint8_t)(s + 1) }, 6);
		info->host[s].ip4 = lab->net4;
		info->host[s].ip4.bytes[3] = (uint8_t)(s + 1);
		info->host[s].ip6 = lab->net6;
		if (lab->net6.family)
			info->host[s].ip6.bytes[15] = (uint8_t)(s + 1);
	}
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static int networks_check(struct lab *lab, struct kbp_error *err)
{
	static const char *step = "choose the lab's networks";
	static const struct kbp_addr default4 = { AF_INET, { 10, 77, 0, 0 } };
	static const struct kbp_addr default6 = { AF_INET6, { 0xfd, 0x77 } };
	bool ipv6 = !access("/proc/sys/net/ipv6", F_OK);

	if (!lab->net4.family)
		lab->net4 = default4;
	if (!lab->net6.family)
		lab->net6 = default6;
	if (lab->net4.family != AF_INET || lab->net4.bytes[3] || !lab->net4.bytes[0] ||
	    lab->net4.bytes[0] == 127 || lab->net4.bytes[0] >= 224)
		return kbp_fail(err, -EINVAL, step,
				"net4 is a unicast IPv4 /24 network, such as 10.77.0.0");
	if (lab->net6.family != AF_INET6 || !all_zero(lab->net6.bytes + 8, 8) ||
	    all_zero(lab->net6.bytes, 8) || lab->net6.bytes[0] == 0xff)
		return kbp_fail(err, -EINVAL, step,
				"net6 is a unicast IPv6 /64 network, such as fd77::");
	if (!ipv6)
		memset(&lab->net6, 0, sizeof(lab->net6));
	return 0;
}

/* When that process started, in ticks since boot (proc(5), stat field 22); 0: it does not run. */
static uint64_t process_start(int32_t pid)
{
	char path[32], text[1024], *p;
	uint64_t start = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name in field 2 may hold anything */
	if (p && strlen(p) > 2 && (p[2] == 'Z' || p[2] == 'X'))
		return 0; /* dead, and only its parent does not know yet */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		start = strtoull(p + 1, NULL, 10);
	return start;
}

static int lab_of_opts(const struct kbp_lab_opts *opts, struct lab *lab, struct kbp_error *err)
{
	struct kbp_lab_opts o = KBP_LAB_OPTS_INIT;
	const char *prefix;
	bool ephemeral;
	int rc;

	if (opts && opts->size < offsetof(struct kbp_lab_opts, prefix))
		return kbp_fail(err, -EINVAL, "read the lab's options",
				"size is %zu: begin with KBP_LAB_OPTS_INIT", opts->size);
	if (opts && opts->size > sizeof(o) &&
	    !all_zero((const uint8_t *)opts + sizeof(o), opts->size - sizeof(o)))
		return kbp_fail(err, -E2BIG, "read the lab's options",
				"they are of a later version of kbypass: unknown here");
	if (opts)
		memcpy(&o, opts, opts->size < sizeof(o) ? opts->size : sizeof(o));
	if (o.flags & ~(uint32_t)KBP_LAB_EPHEMERAL)
		return kbp_fail(err, -EINVAL, "read the lab's options", "unknown flags 0x%x",
				o.flags);
	ephemeral = o.flags & KBP_LAB_EPHEMERAL;
	prefix = prefix_or_default(o.prefix);
	rc = prefix_check(prefix, ephemeral ? PREFIX_MAX_EPHEMERAL : PREFIX_MAX, err);
	if (rc)
		return rc;
	memset(lab, 0, sizeof(*lab));
	lab->queues = o.queues ? o.queues : 2;
	lab->mtu = o.mtu ? o.mtu : 1500;
	lab->net4 = o.net4;
	lab->net6 = o.net6;
	if (lab->queues > 64)
		return kbp_fail(err, -EINVAL, "read the lab's options",
				"%u queues: 1 to 64 are possible", lab->queues);
	if (lab->mtu < 1280 || lab->mtu > 65535)
		return kbp_fail(err, -EINVAL, "read the lab's options",
				"MTU %u: 1280 (IPv6 needs it) to 65535 are possible", lab->mtu);
	if (ephemeral) {
		lab->owner_pid = getpid();
		lab->owner_start = process_start(lab->owner_pid);
		snprintf(lab->prefix, sizeof(lab->prefix), "%s%d", prefix, lab->owner_pid);
	} else {
		snprintf(lab->prefix, sizeof(lab->prefix), "%s", prefix);
	}
	return networks_check(lab, err);
}

/* ---------------------------------------------------------------- state */

static void state_path(const char *prefix, char *buf, size_t size)
{
	snprintf(buf, size, STATE_DIR "/%s", prefix);
}

static int privilege_check(struct kbp_error *err)
{
	char caps[64];

	kbp_missing_caps(1ull << CAP_SYS_ADMIN | 1ull << CAP_NET_ADMIN, caps, sizeof(caps));
	if (!caps[0])
		return 0;
	return kbp_fail(err, -EPERM, "make or remove a lab",
			"missing %s (network namespaces and interfaces need it): run as root", caps);
}

/* The folder of state files, locked until the returned descriptor is closed; or -errno. */
static int state_lock(struct kbp_error *err)
{
	int fd;

	if ((mkdir("/run/kbypass", 0755) && errno != EEXIST) ||
	    (mkdir(STATE_DIR, 0755) && errno != EEXIST))
		return kbp_fail(err, -errno, "make " STATE_DIR, "%s", strerror(errno));
	fd = open(STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return kbp_fail(err, -errno, "open " STATE_DIR, "%s", strerror(errno));
	while (flock(fd, LOCK_EX)) {
		int code = -errno;

		if (code == -EINTR)
			continue;
		close(fd);
		return kbp_fail(err, code, "lock " STATE_DIR, "%s", strerror(-code));
	}
	return fd;
}

/* Whole or not at all: a reader never sees half a file. */
static int state_write(const struct lab *lab, struct kbp_error *err)
{
	char net4[INET_ADDRSTRLEN], net6[INET6_ADDRSTRLEN] = "";
	char path[64], new_path[] = STATE_DIR "/.new";
	json_t *doc;
	int rc;

	state_path(lab->prefix, path, sizeof(path));
	inet_ntop(AF_INET, lab->net4.bytes, net4, sizeof(net4));
	if (lab->net6.family)
		inet_ntop(AF_INET6, lab->net6.bytes, net6, sizeof(net6));
	doc = json_pack("{s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:b}", "schema", STATE_SCHEMA,
			"queues", (int)lab->queues, "mtu", (int)lab->mtu, "net4", net4, "net6",
			net6, "owner_pid", (int)lab->owner_pid, "owner_start",
			(json_int_t)lab->owner_start, "complete", (int)lab->complete);
	rc = doc ? json_dump_file(doc, new_path, JSON_INDENT(1)) : -1;
	json_decref(doc);
	if (rc || chmod(new_path, 0644) || rename(new_path, path))
		return kbp_failf(err, errno ? -errno : -EIO, strerror(errno ? errno : EIO),
				 "write %s", path);
	return 0;
}

/* Returns 0; -ENOENT: no such lab; a damaged file reads as an incomplete lab of no owner. */
static int state_read(const char *prefix, struct lab *lab)
{
	const char *schema = "", *net4 = "", *net6 = "";
	int queues = 0, mtu = 0, pid = 0, complete = 0;
	json_int_t start = 0;
	char path[64];
	json_t *doc;

	memset(lab, 0, sizeof(*lab));
	snprintf(lab->prefix, sizeof(lab->prefix), "%s", prefix);
	state_path(prefix, path, sizeof(path));
	if (access(path, F_OK))
		return -ENOENT;
	doc = json_load_file(path, 0, NULL);
	if (!doc ||
	    json_unpack(doc, "{s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:b}", "schema", &schema,
			"queues", &queues, "mtu", &mtu, "net4", &net4, "net6", &net6, "owner_pid",
			&pid, "owner_start", &start, "complete", &complete) ||
	    strcmp(schema, STATE_SCHEMA) || inet_pton(AF_INET, net4, lab->net4.bytes) != 1)
		goto out;
	lab->net4.family = AF_INET;
	if (inet_pton(AF_INET6, net6, lab->net6.bytes) == 1)
		lab->net6.family = AF_INET6;
	lab->queues = (uint32_t)queues;
	lab->mtu = (uint32_t)mtu;
	lab->owner_pid = pid;
	lab->owner_start = (uint64_t)start;
	lab->complete = complete;
out:
	json_decref(doc);
	return 0;
}

static bool owner_lives(const struct lab *lab)
{
	return lab->owner_pid && process_start(lab->owner_pid) == lab->owner_start;
}

static bool owned_by_other(const struct lab *lab)
{
	return lab->owner_pid && lab->owner_pid != getpid() && owner_lives(lab);
}

/* ---------------------------------------------------------------- up, down */

/* Everything of that name, in whatever state; its file last, so that failures can be retried. */
static int dismantle(const char *prefix, struct kbp_error *err)
{
	struct lab lab = { 0 };
	struct kbp_lab_info info;
	char path[64];
	int rc = 0;

	snprintf(lab.prefix, sizeof(lab.prefix), "%s", prefix);
	info_fill(&lab, &info);
	for (int s = 0; s < 2; s++) {
		struct kbp_lab_host *h = &info.host[s];
		struct mnl_socket *nl;

		/* explicitly: a process still inside would keep the pair alive */
		if (kbp_lab_netns_exists(h->netns) && !kbp_lab_netns_socket(h->netns, &nl, NULL)) {
			rc = kbp_lab_link_delete(nl, h->ifname, err);
			mnl_socket_close(nl);
			if (rc)
				return rc;
		}
	}
	for (int s = 0; s < 2; s++) {
		rc = kbp_lab_netns_remove(info.host[s].netns, err);
		if (rc)
			return rc;
	}
	state_path(prefix, path, sizeof(path));
	if (unlink(path) && errno != ENOENT)
		return kbp_failf(err, -errno, strerror(errno), "remove %s", path);
	return 0;
}

/* Take down the ephemeral labs whose owners have died. What cannot be removed now stays for the
 * next time. */
static void reclaim_dead(void)
{
	struct dirent *e;
	DIR *dir = opendir(STATE_DIR);

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		struct kbp_error why;
		struct lab lab;

		if (!prefix_valid(e->d_name, PREFIX_MAX) || state_read(e->d_name, &lab) ||
		    !lab.owner_pid || owner_lives(&lab))
			continue;
		if (dismantle(e->d_name, &why))
			kbp_log(KBP_LOG_WARN, "lab %s of dead process %d: %s: %s", e->d_name,
				lab.owner_pid, why.step, why.hint);
	}
	closedir(dir);
}

static int wait_running(struct mnl_socket *nl, struct kbp_lab_host *h, struct kbp_error *err)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct kbp_lab_link link;

	for (int waited_ms = 0; waited_ms < CARRIER_WAIT_MS; waited_ms += 2) {
		int rc = kbp_lab_link_get(nl, h->ifname, &link, err);

		if (rc)
			return rc;
		if (link.running) {
			h->ifindex = link.ifindex;
			memcpy(h->mac, link.mac, sizeof(h->mac));
			return 0;
		}
		nanosleep(&pause, NULL);
	}
	return kbp_fail(err, -ETIMEDOUT, "wait for the lab's carrier",
			"%s did not come up within %d s", h->ifname, CARRIER_WAIT_MS / 1000);
}

/* Both ends exist: offloads, lo, addresses, routes, up. */
static int configure(struct mnl_socket *nl[2], struct kbp_lab_info *info, struct kbp_error *err)
{
	struct kbp_lab_link link;
	int rc = 0;

	for (int s = 0; !rc && s < 2; s++) {
		const struct kbp_lab_host *h = &info->host[s];

		rc = kbp_lab_link_no_tx_checksum_offload(nl[s], h->ifname, err);
		if (!rc)
			rc = kbp_lab_link_set_up(nl[s], "lo", err);
		if (!rc)
			rc = kbp_lab_link_set_up(nl[s], h->ifname, err);
	}
	for (int s = 0; !rc && s < 2; s++) {
		const struct kbp_lab_host *h = &info->host[s];

		rc = kbp_lab_link_get(nl[s], h->ifname, &link, err);
		if (!rc)
			rc = kbp_lab_link_add_address(nl[s], link.ifindex, &h->ip4, 24, err);
		if (!rc && h->ip6.family)
			rc = kbp_lab_link_add_address(nl[s], link.ifindex, &h->ip6, 64, err);
		if (!rc)
			rc = kbp_lab_link_add_multicast_route(nl[s], link.ifindex, err);
	}
	for (int s = 0; !rc && s < 2; s++)
		rc = wait_running(nl[s], &info->host[s], err);
	return rc;
}

static int assemble(struct lab *lab, struct kbp_lab_info *info, struct kbp_error *err)
{
	struct mnl_socket *nl[2] = { NULL, NULL };
	int rc;

	info_fill(lab, info);
	for (int s = 0; s < 2; s++)
		if (kbp_lab_netns_exists(info->host[s].netns))
			return kbp_fail(err, -EEXIST, "make the lab",
					"there is a network namespace %s that no lab made: choose another "
					"prefix, or remove it with `ip netns del %s`",
					info->host[s].netns, info->host[s].netns);
	rc = state_write(lab, err);
	for (int s = 0; !rc && s < 2; s++) {
		rc = kbp_lab_netns_remove(info->host[s].netns, err); /* a file without a mount */
		if (!rc)
			rc = kbp_lab_netns_make(info->host[s].netns, &nl[s], err);
	}
	if (!rc)
		rc = kbp_lab_veth_make(nl[KBP_LAB_TX], &info->host[KBP_LAB_TX],
				       &info->host[KBP_LAB_RX], lab->queues, lab->mtu, err);
	if (!rc)
		rc = configure(nl, info, err);
	if (!rc) {
		lab->complete = true;
		rc = state_write(lab, err);
	}
	for (int s = 0; s < 2; s++)
		if (nl[s])
			mnl_socket_close(nl[s]);
	if (rc)
		dismantle(lab->prefix, NULL); /* the first error is the one to report */
	return rc;
}

static bool same_options(const struct lab *a, const struct lab *b)
{
	return a->queues == b->queues && a->mtu == b->mtu && a->owner_pid == b->owner_pid &&
	       !memcmp(&a->net4, &b->net4, sizeof(a->net4)) &&
	       !memcmp(&a->net6, &b->net6, sizeof(a->net6));
}

static int up_locked(struct lab *want, struct kbp_lab_info *info, struct kbp_error *err)
{
	struct lab have;
	int rc;

	reclaim_dead();
	if (!state_read(want->prefix, &have)) {
		if (owned_by_other(&have))
			return kbp_fail(err, -EBUSY, "make the lab",
					"lab %s belongs to process %d: choose another prefix",
					want->prefix, have.owner_pid);
		if (same_options(want, &have) && !kbp_lab_find(want->prefix, info, NULL)) {
			info->existed = true;
			return 0;
		}
		rc = dismantle(want->prefix, err);
		if (rc)
			return rc;
	}
	return assemble(want, info, err);
}

int kbp_lab_plan(const struct kbp_lab_opts *opts, struct kbp_lab_info *info, struct kbp_error *err)
{
	struct lab want = { 0 };
	int rc = lab_of_opts(opts, &want, err);

	if (!rc)
		info_fill(&want, info);
	return rc;
}

int kbp_lab_up(const struct kbp_lab_opts *opts, struct kbp_lab_info *info, struct kbp_error *err)
{
	struct lab want;
	int lock, rc;

	rc = lab_of_opts(opts, &want, err);
	if (!rc)
		rc = privilege_check(err);
	if (rc)
		return rc;
	lock = state_lock(err);
	if (lock < 0)
		return lock;
	rc = up_locked(&want, info, err);
	close(lock);
	return rc;
}

int kbp_lab_down(const char *prefix, struct kbp_error *err)
{
	struct lab have;
	int lock, rc;

	prefix = prefix_or_default(prefix);
	rc = prefix_check(prefix, PREFIX_MAX, err);
	if (!rc)
		rc = privilege_check(err);
	if (rc)
		return rc;
	lock = state_lock(err);
	if (lock < 0)
		return lock;
	if (!state_read(prefix, &have)) {
		rc = owned_by_other(&have) ?
			     kbp_fail(err, -EBUSY, "take the lab down",
				      "lab %s belongs to process %d: it goes when that process ends",
				      prefix, have.owner_pid) :
			     dismantle(prefix, err);
		if (!rc)
			rc = 1;
	}
	reclaim_dead();
	close(lock);
	return rc;
}

/* ---------------------------------------------------------------- find, enter */

static int half_made(const char *prefix, struct kbp_error *err)
{
	return kbp_fail(
		err, -ENODEV, "find the lab",
		"lab %s is incomplete, left by a killed run or being made right now: "
		"`kbypass lab up --prefix %s` makes it anew, `kbypass lab down --prefix %s` removes it",
		prefix, prefix, prefix);
}

int kbp_lab_find(const char *prefix, struct kbp_lab_info *info, struct kbp_error *err)
{
	struct lab lab;
	int rc;

	prefix = prefix_or_default(prefix);
	rc = prefix_check(prefix, PREFIX_MAX, err);
	if (rc)
		return rc;
	if (state_read(prefix, &lab))
		return kbp_fail(err, -ENOENT, "find the lab",
				"there is no lab %s: make it with `kbypass lab up --prefix %s`",
				prefix, prefix);
	if (!lab.complete)
		return half_made(prefix, err);
	info_fill(&lab, info);
	for (int s = 0; s < 2; s++) {
		struct kbp_lab_host *h = &info->host[s];
		struct kbp_lab_link link;
		struct mnl_socket *nl;

		if (!kbp_lab_netns_exists(h->netns))
			return half_made(prefix, err);
		rc = kbp_lab_netns_socket(h->netns, &nl, err);
		if (rc == -EPERM)
			continue; /* names and addresses can be told all the same */
		if (rc)
			return rc;
		rc = kbp_lab_link_get(nl, h->ifname, &link, NULL);
		mnl_socket_close(nl);
		if (rc || link.mtu != lab.mtu || link.queues != lab.queues)
			return half_made(prefix, err);
		h->ifindex = link.ifindex;
		memcpy(h->mac, link.mac, sizeof(h->mac));
	}
	return 0;
}

int kbp_lab_list(struct kbp_lab_entry *list, unsigned max)
{
	DIR *dir = opendir(STATE_DIR);
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir))) {
		struct lab lab;

		if (!prefix_valid(e->d_name, PREFIX_MAX) || state_read(e->d_name, &lab))
			continue;
		if (n < max) {
			snprintf(list[n].prefix, sizeof(list[n].prefix), "%s", lab.prefix);
			list[n].owner_pid = lab.owner_pid;
			list[n].leftover = !lab.complete || (lab.owner_pid && !owner_lives(&lab));
		}
		n++;
	}
	if (dir)
		closedir(dir);
	return (int)n;
}

int kbp_lab_enter(const struct kbp_lab_info *info, enum kbp_lab_side side, struct kbp_error *err)
{
	if (side != KBP_LAB_TX && side != KBP_LAB_RX)
		return kbp_fail(err, -EINVAL, "enter a lab", "there is no side %d", (int)side);
	return kbp_lab_netns_enter(info->host[side].netns, err);
}
