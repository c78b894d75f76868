/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af_xdp_flows.c - the XDP program of a port: load, attach, flow table, counts.
 *
 * One program per port, attached by bpf_link: the kernel detaches it when the process ends, however
 * it ends. libxdp's dispatcher is not used: it needs freplace, which locked-down kernels refuse.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "af_xdp.h"
#include "flow_redirect.skel.h"
#include "flow_stamp.skel.h"
#include "flow_stamp_nic.skel.h"

static struct kbp_axdp_port *axdp_port(const struct kbp_port *p)
{
	return p->priv;
}

static int libbpf_says(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	kbp_log(level == LIBBPF_WARN ? KBP_LOG_WARN : KBP_LOG_DEBUG, "libbpf: %s", text);
	return 0;
}

int kbp_axdp_program_load(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_axdp_port *a = axdp_port(p);
	char missing[96];
	int rc;

	libbpf_set_print(libbpf_says);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	a->skel = flow_redirect__open_and_load();
	if (a->skel)
		return 0;
	rc = -errno;
	kbp_missing_caps(1ull << CAP_BPF | 1ull << CAP_NET_ADMIN, missing, sizeof(missing));
	if ((rc == -EPERM || rc == -EACCES) && missing[0])
		return kbp_failf(err, -EPERM,
				 "the process lacks the capabilities; run as root, or grant them with "
				 "setcap cap_bpf,cap_net_admin,cap_net_raw+ep",
				 "load the XDP program for %s (needs %s)", p->info.interface,
				 missing);
	return kbp_failf(err, rc,
			 "the kernel's verifier or a lockdown refused it; kbp_log_set shows the reason",
			 "load the XDP program for %s", p->info.interface);
}

/* Says whose program is in the way. */
static int busy(struct kbp_port *p, int rc, struct kbp_error *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd;

	if (bpf_xdp_query((int)p->info.ifindex, 0, &q) || !q.prog_id)
		return kbp_failf(err, rc, "another XDP program is attached",
				 "attach the XDP program to %s", p->info.interface);
	fd = bpf_prog_get_fd_by_id(q.prog_id);
	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	return kbp_fail(err, -EBUSY, "attach the XDP program",
			"%s already runs XDP program %u (%s) of somebody else; "
			"end its owner, or remove it with: ip link set dev %s xdp off",
			p->info.interface, q.prog_id, info.name[0] ? info.name : "unnamed",
			p->info.interface);
}

int kbp_axdp_program_attach(struct kbp_port *p, struct kbp_error *err)
{
	static const struct {
		uint32_t flags;
		enum kbp_mode mode;
	} way[] = { { XDP_FLAGS_DRV_MODE, KBP_MODE_COPY }, { XDP_FLAGS_SKB_MODE, KBP_MODE_GENERIC } };
	struct kbp_axdp_port *a = axdp_port(p);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int prog = bpf_program__fd(a->skel->progs.flow_redirect), rc = 0;
	unsigned first = p->info.requested == KBP_MODE_GENERIC ? 1 : 0;
	char why[96];

	if (a->link_fd >= 0)
		return 0;
	for (unsigned i = first; i < KBP_ARRAY_SIZE(way); i++) {
		LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = way[i].flags);

		a->link_fd = bpf_link_create(prog, (int)p->info.ifindex, BPF_XDP, &opts);
		if (a->link_fd >= 0) {
			a->native = way[i].mode != KBP_MODE_GENERIC;
			break;
		}
		rc = -errno;
		if (rc == -EBUSY || rc == -EEXIST)
			return busy(p, rc, err);
		if (rc == -EPERM)
			return kbp_failf(err, rc, "needs CAP_NET_ADMIN and CAP_BPF: run as root",
					 "attach the XDP program to %s", p->info.interface);
		if (p->opts.flags & KBP_PORT_STRICT && p->info.requested != KBP_MODE_AUTO)
			break;
		if (!i) {
			snprintf(why, sizeof(why), "driver %s refused native XDP (%s)",
				 p->info.driver,
				 rc == -ERANGE ? "MTU too large for it" : strerror(-rc));
			kbp_port_note(p, why);
		}
	}
	if (a->link_fd < 0)
		return kbp_failf(
			err, rc == -ERANGE ? -EMSGSIZE : rc,
			rc == -ERANGE ?
				"the MTU is too large for native XDP: lower it, or ask for generic mode" :
				"the driver does not support this mode of XDP: ask for another one",
			"attach the XDP program to %s", p->info.interface);
	if (!bpf_obj_get_info_by_fd(prog, &info, &len))
		a->prog_id = info.id;
	return 0;
}

/* ---------------------------------------------------------------- programs that write stamps */

/* All maps are the base program's. */
static int maps_share(struct kbp_axdp_port *a, struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		struct bpf_map *own = bpf_object__find_map_by_name(a->skel->obj, bpf_map__name(map));
		int rc = own ? bpf_map__reuse_fd(map, bpf_map__fd(own)) : -ENOENT;

		if (rc)
			return rc;
	}
	return 0;
}

/* Loads one and puts it in the place of the attached one, without a packet in between. bound: to the device,
 * whose driver it may then ask for stamps (Documentation/networking/xdp-rx-metadata.rst). */
static int program_replace(struct kbp_port *p, const void *elf, size_t bytes, bool bound)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "flow_redirect");
	struct kbp_axdp_port *a = axdp_port(p);
	struct bpf_object *obj = bpf_object__open_mem(elf, bytes, &opts);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	struct bpf_program *prog;
	int rc;

	if (!obj)
		return -errno;
	rc = maps_share(a, obj);
	prog = bpf_object__find_program_by_name(obj, "flow_redirect");
	if (!rc && bound) {
		bpf_program__set_ifindex(prog, p->info.ifindex);
		rc = bpf_program__set_flags(prog,
					    bpf_program__flags(prog) | BPF_F_XDP_DEV_BOUND_ONLY);
	}
	if (!rc)
		rc = bpf_object__load(obj);
	if (!rc && bpf_link_update(a->link_fd, bpf_program__fd(prog), NULL))
		rc = -errno;
	if (!rc && !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		a->prog_id = info.id;
	bpf_object__close(obj); /* the link holds the program, the base object the maps */
	return rc;
}

void kbp_axdp_program_stamp(struct kbp_port *p)
{
	struct kbp_axdp_port *a = axdp_port(p);
	size_t bytes;
	const void *elf;
	int rc = -EOPNOTSUPP;

	if (a->stamps)
		return;
	a->stamper = &a->skel->bss->stamper;
	a->stamps_less[0] = '\0';
	if (a->native) {
		elf = flow_stamp_nic__elf_bytes(&bytes);
		rc = program_replace(p, elf, bytes, true);
	}
	a->stamps = !rc;
	if (a->stamps)
		return;
	snprintf(a->stamps_less, sizeof(a->stamps_less), "no NIC stamps: %s",
		 a->native ? "the kernel (6.3 or later) or driver does not give them to XDP" :
			     "generic XDP never has them");
	*a->stamper = KBP_XDP_STAMPER_SOFTWARE;
	elf = flow_stamp__elf_bytes(&bytes);
	rc = program_replace(p, elf, bytes, false);
	a->stamps = !rc;
	if (rc)
		snprintf(a->stamps_less, sizeof(a->stamps_less),
			 "the XDP program that writes them was refused (%s): the kernel has to be 6.1 or later",
			 strerror(-rc));
}

void kbp_axdp_program_unload(struct kbp_port *p)
{
	struct kbp_axdp_port *a = axdp_port(p);

	if (a->link_fd >= 0)
		close(a->link_fd);
	flow_redirect__destroy(a->skel);
}

/* A detached link stays open but names no interface any more. */
bool kbp_axdp_program_lost(struct kbp_port *p)
{
	struct kbp_axdp_port *a = axdp_port(p);
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return a->link_fd >= 0 && !bpf_obj_get_info_by_fd(a->link_fd, &info, &len) &&
	       (!info.xdp.ifindex || info.prog_id != a->prog_id);
}

/* fd < 0 takes the channel's socket out. */
int kbp_axdp_map_socket(struct kbp_port *p, uint32_t channel, int fd)
{
	int map = bpf_map__fd(axdp_port(p)->skel->maps.xsks);

	if (fd < 0)
		return bpf_map_delete_elem(map, &channel) ? -errno : 0;
	return bpf_map_update_elem(map, &channel, &fd, 0) ? -errno : 0;
}

/* ---------------------------------------------------------------- flow table */

static void flow_key(const struct kbp_flow *flow, struct kbp_flow_key *key, struct kbp_flow_key *mask)
{
	memset(key, 0, sizeof(*key));
	memset(mask, 0, sizeof(*mask));
	memcpy(key->dst, flow->dst.bytes, 16);
	memcpy(key->src, flow->src.bytes, 16);
	key->dst_port = htons(flow->dst_port);
	key->src_port = htons(flow->src_port);
	key->vlan = flow->vlan;
	key->family = flow->dst.family == AF_INET ? 4 : 6;
	key->proto = flow->proto;
	memset(mask->dst, 0xff, sizeof(mask->dst));
	if (flow->src.family)
		memset(mask->src, 0xff, sizeof(mask->src));
	mask->dst_port = flow->dst_port ? 0xffff : 0;
	mask->src_port = flow->src_port ? 0xffff : 0;
	mask->vlan = flow->vlan ? 0xffff : 0;
	mask->family = 0xff;
	mask->proto = 0xff;
}

/* The shape's place in the program's list: where it is, else where none is in use, else at the end.
 * A shape in use never moves, so no packet of its flows is missed while the list changes. */
static int shape_use(struct kbp_axdp_port *a, const struct kbp_flow_key *mask)
{
	uint32_t n = a->skel->bss->n_shapes, at = n;

	for (uint32_t i = 0; i < n; i++) {
		bool same = !memcmp(&a->shape[i].mask, mask, sizeof(*mask));

		if (same && a->shape[i].users) {
			a->shape[i].users++;
			return (int)i;
		}
		if (at == n && !a->shape[i].users)
			at = i;
	}
	if (at == KBP_SHAPES_MAX)
		return -ENOSPC;
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.shapes), &at, mask, 0))
		return -errno;
	a->shape[at].mask = *mask;
	a->shape[at].users = 1;
	if (at == n)
		__atomic_store_n(&a->skel->bss->n_shapes, n + 1, __ATOMIC_RELEASE);
	return (int)at;
}

int kbp_axdp_flow_add(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_axdp_port *a = axdp_port(q->port);
	struct kbp_flow_key key, mask;
	struct kbp_link link;
	uint32_t one = 1;
	int shape;

	if (!(q->flags & KBP_QUEUE_RX))
		return kbp_fail(err, -EINVAL, "add a flow",
				"the queue was opened without KBP_QUEUE_RX");
	if (ref->flow.vlan && !kbp_link_read(q->port->info.interface, &link, NULL) &&
	    link.strips_vlan && strcmp(link.driver, "veth")) /* veth strips nothing */
		return kbp_fail(err, -EOPNOTSUPP, "add a flow",
				"%s takes VLAN tags out of the frames, so the program cannot see them: "
				"ethtool -K %s rxvlan off, or leave the VLAN open",
				q->port->info.interface, q->port->info.interface);
	flow_key(&ref->flow, &key, &mask);
	shape = shape_use(a, &mask);
	if (shape < 0)
		return kbp_fail(err, shape, "add a flow",
				"af_xdp serves %d shapes of wildcards at once (which of source, "
				"ports and VLAN are left open); add flows of a shape in use",
				KBP_SHAPES_MAX);
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.flows), &key, &one, BPF_NOEXIST)) {
		int rc = -errno;

		a->shape[shape].users--;
		return kbp_fail(err, rc == -E2BIG ? -ENOSPC : rc, "add a flow",
				rc == -E2BIG ? "the flow table is full (%d flows)" :
					       "the flow table refused it (of %d flows)",
				KBP_FLOWS_MAX);
	}
	return 0;
}

int kbp_axdp_flow_del(struct kbp_queue *q, struct kbp_flow_ref *ref, struct kbp_error *err)
{
	struct kbp_axdp_port *a = axdp_port(q->port);
	struct kbp_flow_key key, mask;

	flow_key(&ref->flow, &key, &mask);
	for (unsigned i = 0; i < KBP_SHAPES_MAX; i++)
		if (a->shape[i].users && !memcmp(&a->shape[i].mask, &mask, sizeof(mask)))
			a->shape[i].users--;
	if (bpf_map_delete_elem(bpf_map__fd(a->skel->maps.flows), &key))
		return kbp_fail(err, -errno, "delete a flow", "the flow table no longer has it");
	return 0;
}

uint64_t kbp_axdp_program_count(const struct kbp_port *p, enum kbp_xdp_count which)
{
	struct kbp_axdp_port *a = axdp_port(p);
	int n = libbpf_num_possible_cpus();
	uint64_t sum = 0, value[1024];
	uint32_t key = which;

	if (n < 1 || n > (int)KBP_ARRAY_SIZE(value) ||
	    bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.counts), &key, value))
		return 0;
	for (int i = 0; i < n; i++)
		sum += value[i];
	return sum;
}
