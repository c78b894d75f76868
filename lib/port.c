/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - ports: find the backend, open the interface, watch its link.
 *
 * The monitor turns what happens to the interface into queue states, so that the hot thread learns
 * of it by one load and without a system call.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "internal.h"

/* ---------------------------------------------------------------- backends */

static const struct kbp_backend *backends[16] = { &kbp_backend_socket, &kbp_backend_af_xdp };
static pthread_mutex_t backends_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct kbp_backend *backend_find(const char *name)
{
	const struct kbp_backend *found = NULL;

	pthread_mutex_lock(&backends_lock);
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(backends) && backends[i] && !found; i++)
		if (!strcmp(backends[i]->name, name))
			found = backends[i];
	pthread_mutex_unlock(&backends_lock);
	return found;
}

int kbp_backend_register(const struct kbp_backend *b)
{
	int rc = -ENOSPC;

	pthread_mutex_lock(&backends_lock);
	for (unsigned i = 0; i < KBP_ARRAY_SIZE(backends); i++) {
		if (backends[i] == b) {
			rc = 0;
			break;
		}
		if (!backends[i]) {
			backends[i] = b;
			rc = 0;
			break;
		}
	}
	pthread_mutex_unlock(&backends_lock);
	return rc;
}

/* Where modules are, the first of which is looked into first: where the caller says; beside the program
 * or library that this code is in, as an installation or a build lays them out; the installed place. */
struct module_dirs {
	char dir[2][PATH_MAX + 16];
	unsigned n;
};

/* The directory of that program or library. A program may call itself anything: what the kernel started
 * counts, and a program with more rights than its user looks in the installed place only. */
static bool own_dir(char dir[PATH_MAX])
{
	struct link_map *map = NULL;
	ssize_t n = -1;
	Dl_info self;
	char *slash;

	if (getauxval(AT_SECURE))
		return false;
	if (dladdr1((void *)(uintptr_t)own_dir, &self, (void **)&map, RTLD_DL_LINKMAP) && map &&
	    map->l_name[0] == '/')
		n = snprintf(dir, PATH_MAX, "%s", map->l_name);
	else if (map && !map->l_name[0])
		n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	if (n <= 0 || n >= PATH_MAX)
		return false;
	dir[n] = 0;
	slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
	return slash != NULL;
}

static void module_dirs(const char *wanted, struct module_dirs *d)
{
	char own[PATH_MAX];
	struct stat st;

	d->n = 0;
	if (wanted[0]) {
		snprintf(d->dir[d->n++], sizeof(d->dir[0]), "%s", wanted);
		return;
	}
	if (own_dir(own)) {
		snprintf(d->dir[0], sizeof(d->dir[0]), "%s/kbypass", own);
		if (stat(d->dir[0], &st) || !S_ISDIR(st.st_mode))
			snprintf(d->dir[0], sizeof(d->dir[0]), "%s/../modules", own);
		d->n++;
	}
	snprintf(d->dir[d->n++], sizeof(d->dir[0]), "%s", KBP_MODULE_DIR);
}

static void modules_name(const char *dir, char *known, size_t size)
{
	size_t n = strlen(known);
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) && n < size - 40) {
		char module[32], listed[40];
		int end = 0;

		if (sscanf(e->d_name, "libkbypass-%31[a-z0-9_].so%n", module, &end) != 1 || !end ||
		    e->d_name[end])
			continue; /* also another version's "….so.3", or what a build leaves beside it */
		snprintf(listed, sizeof(listed), ", %s", module);
		if (!strstr(known, listed))
			n += (size_t)snprintf(known + n, size - n, "%s", listed);
	}
	if (d)
		closedir(d);
}

static int no_backend(const char *name, const struct module_dirs *dirs, struct kbp_error *err)
{
	char known[192] = "socket, af_xdp";

	for (unsigned i = 0; i < dirs->n; i++)
		modules_name(dirs->dir[i], known, sizeof(known));
	return kbp_failf(err, -ENOENT, known, "open backend \"%s\": there is none; known here", name);
}

static int module_load(const char *path, const char *name, const struct kbp_backend **b,
		       struct kbp_error *err)
{
	const struct kbp_module *m;
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return kbp_failf(err, -ENOEXEC, dlerror(), "load module %s", path);
	m = (const struct kbp_module *)dlsym(handle, "kbp_backend_module");
	if (!m || m->abi != KBP_MODULE_ABI || m->hot_abi != KBP_HOT_ABI ||
	    strcmp(m->version, KBP_VERSION) != 0) {
		dlclose(handle);
		return kbp_failf(err, -ENOEXEC,
				 m ? "it is of another version of kbypass than this library " KBP_VERSION
				     ": install both from one build" :
				     "it has no kbp_backend_module: not a kbypass module",
				 "load module %s", path);
	}
	if (strcmp(m->backend->name, name) != 0) {
		kbp_failf(err, -ENOEXEC, "it is the module of another backend under this one's name",
			  "load module %s", path);
		dlclose(handle);
		return -ENOEXEC;
	}
	*b = m->backend; /* stays loaded: queues hold pointers into it */
	return kbp_backend_register(*b) ? kbp_failf(err, -ENOSPC, "too many backends were loaded",
						    "load module %s", path) :
					  0;
}

static int backend_load(const char *name, const char *dir, const struct kbp_backend **b,
			struct kbp_error *err)
{
	struct module_dirs dirs;
	char path[sizeof(dirs.dir[0]) + 64];
	struct stat st;

	*b = backend_find(name);
	if (*b)
		return 0;
	module_dirs(dir, &dirs);
	if (!name[0] || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
		return no_backend(name, &dirs, err);
	for (unsigned i = 0; i < dirs.n; i++) {
		snprintf(path, sizeof(path), "%s/libkbypass-%s.so", dirs.dir[i], name);
		if (!lstat(path, &st)) /* a link that leads nowhere: the loader says so */
			return module_load(path, name, b, err);
	}
	return no_backend(name, &dirs, err);
}

/* ---------------------------------------------------------------- who may use a port */

static uint64_t netns_ino(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : (uint64_t)st.st_ino;
}

int kbp_port_mine(const struct kbp_port *p, struct kbp_error *err)
{
	if (p->pid == getpid())
		return 0;
	return kbp_failf(err, -ECHILD, "open ports after fork, in the process that uses them",
			 "use port %s of process %d in a forked child", p->info.interface, p->pid);
}

bool kbp_port_here(const struct kbp_port *p)
{
	uint64_t now = netns_ino();

	return !p->netns_ino || !now || now == p->netns_ino;
}

int kbp_port_usable(const struct kbp_port *p, struct kbp_error *err)
{
	int rc = kbp_port_mine(p, err);

	if (rc || kbp_port_here(p))
		return rc;
	return kbp_failf(err, -ENODEV,
			 "call from a thread in the network namespace the port was opened in (setns)",
			 "use port %s from another network namespace", p->info.interface);
}

/* ---------------------------------------------------------------- link events */

void kbp_queue_set_state(struct kbp_queue *q, enum kbp_queue_state state)
{
	uint32_t now = __atomic_load_n(&q->state, __ATOMIC_RELAXED);

	do {
		if (now == KBP_QUEUE_GONE || now == (uint32_t)state)
			return;
		/* a link that comes and goes must not hide that the queue itself needs something */
		if (state <= KBP_QUEUE_LINK_DOWN && now > KBP_QUEUE_LINK_DOWN)
			return;
	} while (!__atomic_compare_exchange_n(&q->state, &now, (uint32_t)state, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static void set_all(struct kbp_port *p, enum kbp_queue_state state)
{
	for (struct kbp_queue_cold *c = p->queues; c; c = c->next) {
		enum kbp_queue_state before = kbp_queue_state(c->q);

		kbp_queue_set_state(c->q, state);
		if (kbp_queue_state(c->q) != before)
			kbp_log(state == KBP_QUEUE_UP ? KBP_LOG_INFO : KBP_LOG_WARN,
				"%s channel %u: %s", p->info.interface, c->opts.channel,
				state == KBP_QUEUE_UP	? "link up" :
				state == KBP_QUEUE_GONE ? "interface removed" :
							  "link down");
	}
}

/* Events were lost: ask. */
static void link_resync(struct kbp_port *p)
{
	struct kbp_link link;

	if (!kbp_port_here(p))
		return; /* the name means another interface here */
	if (kbp_link_read(p->info.interface, &link, NULL) || link.ifindex != p->info.ifindex)
		set_all(p, KBP_QUEUE_GONE);
	else
		set_all(p, link.running ? KBP_QUEUE_UP : KBP_QUEUE_LINK_DOWN);
}

static int link_message(struct kbp_port *p, const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return 0;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)) || (uint32_t)ifi->ifi_index != p->info.ifindex)
		return 0;
	/* RTM_DELLINK of family AF_BRIDGE means "left the bridge" */
	if (h->nlmsg_type == RTM_DELLINK) {
		if (ifi->ifi_family != AF_UNSPEC)
			return 0;
		set_all(p, KBP_QUEUE_GONE);
	} else {
		bool up = ifi->ifi_flags & IFF_UP && ifi->ifi_flags & IFF_RUNNING;

		set_all(p, up ? KBP_QUEUE_UP : KBP_QUEUE_LINK_DOWN);
	}
	return 1;
}

static int link_events(struct kbp_port *p)
{
	char buf[8192] __attribute__((aligned(8)));
	int events = 0;

	while (p->link_fd >= 0) {
		ssize_t n = recv(p->link_fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			link_resync(p);
			events++;
			continue;
		}
		if (n <= 0)
			break;
		for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, (size_t)n);
		     h = NLMSG_NEXT(h, n))
			events += link_message(p, h);
	}
	if (p->b->port_check)
		p->b->port_check(p);
	return events;
}

static void *monitor_run(void *arg)
{
	struct kbp_port *p = arg;
	struct pollfd fds[2] = { { .fd = p->link_fd, .events = POLLIN },
				 { .fd = p->stop_fd, .events = POLLIN } };

	while (poll(fds, 2, p->b->port_check ? p->b->tick_ms : -1) >= 0 || errno == EINTR) {
		if (fds[1].revents)
			break;
		pthread_mutex_lock(&p->lock);
		link_events(p);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static int link_watch(struct kbp_port *p, struct kbp_error *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };

	p->link_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (p->link_fd < 0 || bind(p->link_fd, (struct sockaddr *)&addr, sizeof(addr)))
		return kbp_failf(err, -errno, strerror(errno), "watch the link of %s",
				 p->info.interface);
	return 0;
}

static int monitor_start(struct kbp_port *p, struct kbp_error *err)
{
	sigset_t all, old;
	int rc;

	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (p->stop_fd < 0)
		return kbp_failf(err, -errno, strerror(errno), "start the monitor of %s",
				 p->info.interface);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the program's, not ours */
	rc = pthread_create(&p->monitor, NULL, monitor_run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		close(p->stop_fd);
		p->stop_fd = -1;
		return kbp_failf(err, -rc, strerror(rc), "start the monitor of %s",
				 p->info.interface);
	}
	pthread_setname_np(p->monitor, "kbp-monitor");
	if (p->opts.monitor_cpu > 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)p->opts.monitor_cpu - 1, &set);
		rc = pthread_setaffinity_np(p->monitor, sizeof(set), &set);
		if (rc)
			return kbp_failf(err, -EINVAL, "no such CPU",
					 "pin the monitor of %s to CPU %d", p->info.interface,
					 p->opts.monitor_cpu - 1);
	}
	return 0;
}

static void monitor_stop(struct kbp_port *p)
{
	uint64_t one = 1;

	if (p->stop_fd >= 0) {
		if (write(p->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
			pthread_join(p->monitor, NULL);
		close(p->stop_fd);
	}
	if (p->link_fd >= 0)
		close(p->link_fd);
	p->stop_fd = p->link_fd = -1;
}

int kbp_port_fd(const struct kbp_port *port)
{
	return port->stop_fd >= 0 ? -1 : port->link_fd;
}

int kbp_port_service(struct kbp_port *port)
{
	int events;

	if (port->stop_fd >= 0)
		return -EALREADY;
	pthread_mutex_lock(&port->lock);
	events = link_events(port);
	pthread_mutex_unlock(&port->lock);
	return events;
}

/* ---------------------------------------------------------------- open and close */

int kbp_opts_read(void *to, size_t known, const void *from, const char *step, struct kbp_error *err)
{
	const uint8_t *raw = from;
	size_t size = known;

	memset(to, 0, known);
	if (from)
		memcpy(&size, from, sizeof(size));
	if (size < sizeof(size))
		return kbp_fail(err, -EINVAL, step,
				"opts.size is %zu: begin with the struct's _OPTS_INIT", size);
	for (size_t i = known; i < size; i++)
		if (raw[i])
			return kbp_fail(err, -E2BIG, step,
					"opts are of a later version of kbypass and ask for "
					"something this one does not know");
	if (from)
		memcpy(to, from, size < known ? size : known);
	memcpy(to, &known, sizeof(known));
	return 0;
}

static int opts_copy(struct kbp_port *p, const struct kbp_port_opts *opts, struct kbp_error *err)
{
	const char *dir = "", *args = "", *label = p->info.interface;
	size_t bytes;
	int rc = kbp_opts_read(&p->opts, sizeof(p->opts), opts, "open a port", err);

	if (rc)
		return rc;
	if (p->opts.module_dir)
		dir = p->opts.module_dir;
	if (p->opts.args)
		args = p->opts.args;
	if (p->opts.label)
		label = p->opts.label;
	bytes = strlen(dir) + strlen(args) + strlen(label) + 3;
	p->strings = malloc(bytes);
	if (!p->strings)
		return kbp_fail(err, -ENOMEM, "open a port", "out of memory");
	p->opts.module_dir = strcpy(p->strings, dir);
	p->opts.args = strcpy(p->strings + strlen(dir) + 1, args);
	p->opts.label = strcpy(p->strings + strlen(dir) + strlen(args) + 2, label);
	p->info.requested = p->opts.mode;
	return 0;
}

static int device_read(struct kbp_port *p, struct kbp_error *err)
{
	struct kbp_link link;
	int rc;

	p->info.numa_node = -1;
	p->info.rx_channels = p->info.tx_channels = 1;
	p->phc = -1;
	rc = kbp_link_read(p->info.interface, &link, err);
	if (rc)
		return rc == -ENODEV && p->b->no_device ? 0 : rc;
	p->info.ifindex = link.ifindex;
	memcpy(p->info.mac, link.mac, sizeof(link.mac));
	p->info.mtu = link.mtu;
	p->info.numa_node = link.numa_node;
	p->phc = link.phc;
	p->info.rx_channels = link.rx_channels;
	p->info.tx_channels = link.tx_channels;
	p->info.virtual_device = link.virtual_device;
	snprintf(p->info.driver, sizeof(p->info.driver), "%s", link.driver);
	return link_watch(p, err);
}

void kbp_port_note(struct kbp_port *p, const char *text)
{
	size_t n = strlen(p->info.note);

	if (!strstr(p->info.note, text))
		snprintf(p->info.note + n, sizeof(p->info.note) - n, "%s%s", n ? "; " : "", text);
}

/* Before the backend opens: a driver may restart its rings for it. */
static int stamping_on(struct kbp_port *p, char *why, size_t size, struct kbp_error *err)
{
	int rc;

	why[0] = '\0';
	if (!(p->opts.flags & KBP_PORT_STAMPING))
		return 0;
	if (p->info.ifindex) {
		rc = kbp_link_stamping_on(p->info.interface, &p->stamping, why, size);
	} else {
		snprintf(why, size,
			 "the kernel has no such interface whose NIC's stamping could be set");
		rc = -ENODEV;
	}
	if (rc && p->opts.flags & KBP_PORT_STRICT)
		return kbp_failf(err, rc == -ERANGE || rc == -ENODEV ? -EOPNOTSUPP : rc, why,
				 "have the NIC of %s stamp all frames", p->info.interface);
	return 0;
}

static void port_free(struct kbp_port *p)
{
	monitor_stop(p);
	kbp_link_stamping_restore(&p->stamping);
	if (p->counters)
		kbp_counters_destroy(p->counters);
	pthread_mutex_destroy(&p->lock);
	free(p->strings);
	free(p);
}

int kbp_port_open(const char *backend, const char *ifname, const struct kbp_port_opts *opts,
		  struct kbp_port **port, struct kbp_error *err)
{
	struct kbp_port *p;
	char why[96];
	int rc;

	*port = NULL;
	if (!backend || !ifname || !ifname[0] || strlen(ifname) >= sizeof(p->info.interface))
		return kbp_failf(err, -EINVAL, "give a backend and a name of at most 31 characters",
				 "open interface \"%s\"", ifname ? ifname : "");
	p = calloc(1, sizeof(*p));
	if (!p)
		return kbp_fail(err, -ENOMEM, "open a port", "out of memory");
	pthread_mutex_init(&p->lock, NULL);
	p->link_fd = p->stop_fd = p->stamping.fd = -1;
	p->pid = getpid();
	p->netns_ino = netns_ino();
	strcpy(p->info.interface, ifname);
	rc = opts_copy(p, opts, err);
	if (!rc)
		rc = backend_load(backend, p->opts.module_dir, &p->b, err);
	if (rc)
		goto fail;
	snprintf(p->info.backend, sizeof(p->info.backend), "%s", p->b->name);
	p->info.kind = p->b->kind;
	p->info.emulated = p->b->emulated;
	rc = device_read(p, err);
	if (!rc)
		rc = stamping_on(p, why, sizeof(why), err);
	if (!rc)
		rc = p->b->port_open(p, err);
	if (rc)
		goto fail;
	if (why[0])
		kbp_port_note(p, why);
	p->counters = kbp_counters_create(p->opts.label, p->b->name);
	if (!p->counters)
		rc = kbp_fail(err, -ENOMEM, "open a port", "out of memory for the counters");
	if (!rc && (p->link_fd >= 0 || p->b->port_check) && !(p->opts.flags & KBP_PORT_NO_MONITOR))
		rc = monitor_start(p, err);
	if (rc) {
		monitor_stop(p);
		p->b->port_close(p);
		goto fail;
	}
	*port = p;
	return 0;
fail:
	port_free(p);
	return rc;
}

int kbp_port_close(struct kbp_port *port, struct kbp_error *err)
{
	unsigned n = 0;
	int rc;

	if (!port)
		return 0;
	rc = kbp_port_mine(port, err);
	if (rc)
		return rc;
	for (const struct kbp_queue_cold *c = port->queues; c; c = c->next)
		n++;
	if (n)
		return kbp_failf(err, -EBUSY, "close them first",
				 "close port %s: %u queues are open", port->info.interface, n);
	monitor_stop(port);
	port->b->port_close(port);
	port_free(port);
	return 0;
}

void kbp_port_info(const struct kbp_port *port, struct kbp_port_info *info)
{
	struct kbp_port *p = (struct kbp_port *)(uintptr_t)port;
	unsigned needed = port->b->port_channels ? port->b->port_channels(port) : 1, served = 0;

	pthread_mutex_lock(&p->lock);
	*info = port->info;
	info->open_queues = 0;
	for (const struct kbp_queue_cold *c = port->queues; c; c = c->next) {
		info->open_queues++;
		if (!(c->q->flags & KBP_QUEUE_RX))
			continue;
		served++;
		if (c->q->rx_count->frames && info->proof == KBP_BOUND)
			info->proof = KBP_PROVEN;
	}
	info->unserved_channels = served < needed ? needed - served : 0;
	pthread_mutex_unlock(&p->lock);
}

const char *kbp_port_counters_path(const struct kbp_port *port)
{
	return kbp_counters_file_path(port->counters);
}
