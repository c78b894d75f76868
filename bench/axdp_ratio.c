/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * axdp_ratio.c - one veth, received from by this library's af_xdp and by DPDK's driver for the same
 * kind of socket (net_af_xdp): cycles per frame and per empty poll, interleaved.
 *
 * A lab of its own (namespaces and a veth pair). In every round each path in turn has the veth's
 * queue to itself and drains frames that lie ready, so that whatever slows the machine down slows
 * all of them down; who begins rotates. What is timed is the drain alone: the kernel's copies and
 * the XDP programs have run by then.
 *
 * Every measurement is a process of its own: net_af_xdp of DPDK 22.11 leaves its memory's socket
 * mapped when it is closed, and cannot have the same queue a second time in one process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#define KBP_HOT_DPDK
#include <kbypass/hot.h>
#include <kbypass/lab.h>

#include "look.h"
#include "overhead.h"
#include "raw_dpdk.h"
#include "raw_sock.h"

#include "../tools/clock/tsc.h"

#define FRAMES 256u
#define BURST 32u
#define BYTES 64u      /* of payload */
#define FRAME_LEN 106u /* with the headers */
#define DRAINS 40u     /* of one measurement */
#define WARM_UPS 16u   /* once through all buffers that are under way */
#define EMPTIES 1000u  /* polls that find nothing, timed as one */
#define ROUNDS 20u
#define ROUNDS_MAX 1000u
#define DESCS 2048u /* the default of both */
#define MBUFS 8191u /* as in DPDK's skeleton example, and its cache */
#define MBUF_CACHE 250u
#define PORT 40403
#define SETTLE_US 300	/* they arrive during sendmmsg, or a kernel thread brings them */
#define LET_GO_US 60000 /* the kernel frees a queue some time after its owner has gone */
#define CHILD_S 60u

/* What a child tells; in memory that it shares with its parent. */
struct result {
	double frame[DRAINS], empty[DRAINS];
	unsigned drains, lost, empties;
	bool done;
	char mode[32];
	char why[560]; /* it could not measure */
};

struct child {
	const struct kbp_lab_info *lab;
	struct result *res;
	struct raw_sock send;
	struct sockaddr_in to;
	struct kbp_port *port;
	struct kbp_queue *q;
	struct raw_dpdk raw;
	struct seen seen;
	struct kbp_error err;
};

static int fail(struct child *c, int rc, const char *step, const char *why)
{
	snprintf(c->err.step, sizeof(c->err.step), "%s", step);
	snprintf(c->err.hint, sizeof(c->err.hint), "%s", why);
	return rc;
}

/* Until a poll finds nothing; and polls that ought to find nothing. */
#define PATH(name, poll)                               \
	static unsigned name##_drain(struct child *c)  \
	{                                              \
		unsigned n, total = 0;                 \
                                                       \
		while ((n = (poll)) > 0)               \
			total += n;                    \
		return total;                          \
	}                                              \
                                                       \
	static unsigned name##_polls(struct child *c)  \
	{                                              \
		unsigned total = 0;                    \
                                                       \
		for (unsigned i = 0; i < EMPTIES; i++) \
			total += (poll);               \
		return total;                          \
	}

PATH(axdp, kbp_rx_each(kbp_rx_as(c->q, KBP_AF_XDP), BURST, each_look, &c->seen))
PATH(pmd, raw_dpdk_rx(&c->raw, BURST, raw_look, &c->seen))
PATH(pmd_bulk, raw_dpdk_rx_bulk(&c->raw, BURST, raw_look, &c->seen))
PATH(over_pmd, kbp_rx_each(kbp_rx_as(c->q, KBP_DPDK), BURST, each_look, &c->seen))

/* ---------------------------------------------------------------- ours */

static int ours_open(struct child *c, const char *backend, const char *args, uint32_t kind)
{
	const struct kbp_lab_host *host = &c->lab->host[KBP_LAB_RX];
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_flow flow = { .dst = host->ip4, .dst_port = PORT };
	int rc;

	po.mode = KBP_MODE_COPY;
	po.flags = KBP_PORT_NO_HUGEPAGES; /* nor has the PMD any */
	po.args = args;
	qo.flags = KBP_QUEUE_RX;
	qo.rx_ring = DESCS;
	rc = kbp_port_open(backend, host->ifname, &po, &c->port, &c->err);
	if (!rc)
		rc = kbp_queue_open(c->port, &qo, &c->q, &c->err);
	if (!rc)
		rc = kbp_flow_add(c->q, &flow, NULL, &c->err);
	if (!rc && kbp_rx_of(c->q).kind != kind)
		rc = fail(c, -ENOEXEC, "take the inline form",
			  "the module was compiled against another libdpdk than this program");
	return rc;
}

static void ours_close(struct child *c)
{
	kbp_queue_close(c->q, KBP_CLOSE_FORCE, NULL);
	kbp_port_close(c->port, NULL);
}

static int axdp_open(struct child *c)
{
	return ours_open(c, "af_xdp", NULL, KBP_AF_XDP);
}

/* match=off: software does not look whose a frame is, as nobody does in the loops by hand. */
static int over_pmd_open(struct child *c)
{
	return ours_open(c, "dpdk", "pmd=af_xdp match=off", KBP_DPDK);
}

/* ---------------------------------------------------------------- DPDK by hand */

static int eal_start(const char *ifname)
{
	static char lcore[32], vdev[80],
		name[] = "axdp_ratio", no_pci[] = "--no-pci", no_huge[] = "--no-huge", m[] = "-m",
		mb[] = "64", no_shconf[] = "--no-shconf", no_telemetry[] = "--no-telemetry",
		iova[] = "--iova-mode=va", log[] = "--log-level=error";
	char *argv[] = { name,	    lcore,	  no_pci, no_huge, m,	 mb,
			 no_shconf, no_telemetry, iova,	  log,	   vdev, NULL };
	int cpu = sched_getcpu(), rc;
	char dir[256], *slash;

	snprintf(lcore, sizeof(lcore), "--lcores=0@%d", cpu < 0 ? 0 : cpu);
	snprintf(vdev, sizeof(vdev), "--vdev=net_af_xdp0,iface=%s,queue_count=1,busy_budget=0",
		 ifname);
	rc = rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv);
	/* it makes a directory that it does not need; only empty ones go */
	snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
	if (!rmdir(dir) && (slash = strrchr(dir, '/'))) {
		*slash = '\0';
		(void)rmdir(dir);
	}
	return rc;
}

static int raw_fail(struct child *c, const char *step, int rc)
{
	return fail(c, rc < 0 ? rc : -EIO, step, rte_strerror(rc < -1 ? -rc : rte_errno));
}

static int raw_open(struct child *c)
{
	struct rte_eth_conf conf;
	int rc;

	memset(&conf, 0, sizeof(conf));
	rc = eal_start(c->lab->host[KBP_LAB_RX].ifname);
	if (rc < 0)
		return raw_fail(c, "start DPDK", rc);
	rc = rte_eth_dev_get_port_by_name("net_af_xdp0", &c->raw.port);
	if (rc)
		return raw_fail(c, "make DPDK's net_af_xdp (is its driver installed?)", rc);
	c->raw.pool = rte_pktmbuf_pool_create("pool", MBUFS, MBUF_CACHE, 0,
					      RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!c->raw.pool)
		return raw_fail(c, "make DPDK's buffers", -1);
	rc = rte_eth_dev_configure(c->raw.port, 1, 1, &conf);
	if (!rc)
		rc = rte_eth_rx_queue_setup(c->raw.port, 0, DESCS, (unsigned)SOCKET_ID_ANY, NULL,
					    c->raw.pool);
	if (!rc)
		rc = rte_eth_tx_queue_setup(c->raw.port, 0, DESCS, (unsigned)SOCKET_ID_ANY, NULL);
	if (!rc)
		rc = rte_eth_dev_start(c->raw.port);
	return rc ? raw_fail(c, "set up DPDK's net_af_xdp", rc) : 0;
}

static void raw_close(struct child *c)
{
	rte_eth_dev_stop(c->raw.port);
	rte_eth_dev_close(c->raw.port);
	rte_eal_cleanup();
}

/* ---------------------------------------------------------------- the paths */

enum { AXDP, PMD, PMD_BULK, OVER_PMD, PATHS };

static const struct {
	const char *name, *what;
	int (*open)(struct child *c);
	void (*close)(struct child *c);
	unsigned (*drain)(struct child *c);
	unsigned (*polls)(struct child *c);
} paths[PATHS] = {
	[AXDP] = { "af_xdp", "ours: kbp_rx_each, the backend a constant", axdp_open, ours_close,
		   axdp_drain, axdp_polls },
	[PMD] = { "net_af_xdp", "DPDK's by hand: rte_eth_rx_burst, rte_pktmbuf_free", raw_open,
		  raw_close, pmd_drain, pmd_polls },
	[PMD_BULK] = { "net_af_xdp-bulk", "the same, rte_pktmbuf_free_bulk", raw_open, raw_close,
		       pmd_bulk_drain, pmd_bulk_polls },
	[OVER_PMD] = { "dpdk", "ours over DPDK's: kbp_rx_each, the backend a constant, match=off",
		       over_pmd_open, ours_close, over_pmd_drain, over_pmd_polls },
};

/* ---------------------------------------------------------------- in the child */

/* Where a path takes all frames of the queue, the receiving host never sees a request for its
 * address. */
static int neighbour_add(struct child *c)
{
	const struct kbp_lab_host *tx = &c->lab->host[KBP_LAB_TX], *rx = &c->lab->host[KBP_LAB_RX];
	struct arpreq a = { .arp_flags = ATF_PERM | ATF_COM };

	memcpy(&a.arp_pa, &c->to, sizeof(c->to));
	a.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(a.arp_ha.sa_data, rx->mac, 6);
	snprintf(a.arp_dev, sizeof(a.arp_dev), "%s", tx->ifname);
	if (ioctl(c->send.fd, SIOCSARP, &a))
		return fail(c, -errno, "tell the sender its neighbour", strerror(errno));
	return 0;
}

static uint32_t fill_in_payload(uint8_t *payload, void *arg)
{
	(void)arg;
	memset(payload, 1, BYTES);
	return BYTES;
}

static int sender_open(struct child *c)
{
	int fd, rc = kbp_lab_enter(c->lab, KBP_LAB_TX, &c->err);

	if (rc)
		return rc;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(c, -errno, "open the sender's socket", strerror(errno));
	raw_sock_init(&c->send, fd, false);
	c->to.sin_family = AF_INET;
	c->to.sin_port = htons(PORT);
	memcpy(&c->to.sin_addr, c->lab->host[KBP_LAB_RX].ip4.bytes, 4);
	for (unsigned i = 0; i < RAW_SOCK_BATCH; i++) {
		c->send.msg[i].msg_hdr.msg_name = &c->to;
		c->send.msg[i].msg_hdr.msg_namelen = sizeof(c->to);
	}
	rc = neighbour_add(c);
	return rc ? rc : kbp_lab_enter(c->lab, KBP_LAB_RX, &c->err);
}

/* What the kernel says of the sockets and the XDP program that this path has got. */
static void mode_read(struct child *c)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	const char *bound = "no socket", *attached = "no program";

	for (int fd = 3; fd < 256; fd++) {
		struct xdp_options o = { 0 };
		socklen_t len = sizeof(o);

		if (getsockopt(fd, SOL_XDP, XDP_OPTIONS, &o, &len))
			continue;
		bound = o.flags & XDP_OPTIONS_ZEROCOPY ? "zero-copy" : "copy";
		if (o.flags & XDP_OPTIONS_ZEROCOPY)
			break;
	}
	if (!bpf_xdp_query((int)c->lab->host[KBP_LAB_RX].ifindex, 0, &q))
		attached = q.attach_mode == XDP_ATTACHED_DRV ? "native" :
			   q.attach_mode == XDP_ATTACHED_SKB ? "generic" :
							       "no program";
	snprintf(c->res->mode, sizeof(c->res->mode), "%s, %s", attached, bound);
}

static void drain_once(struct child *c, unsigned path, bool count)
{
	struct result *r = c->res;
	uint64_t before, after, bytes;
	unsigned n, sent = 0;

	paths[path].drain(c);
	for (unsigned i = 0; i < FRAMES / BURST; i++)
		sent += raw_sock_tx(&c->send, BURST, fill_in_payload, NULL);
	usleep(SETTLE_US);
	bytes = c->seen.bytes;
	before = kbp_tsc_now_ordered();
	n = paths[path].drain(c);
	after = kbp_tsc_now_ordered();
	if (!count)
		return;
	/* a frame of somebody else's shows in the bytes */
	if (n != FRAMES || sent != FRAMES || c->seen.bytes - bytes != (uint64_t)FRAMES * FRAME_LEN)
		r->lost++;
	else
		r->frame[r->drains++] = (double)(after - before) / FRAMES;
	before = kbp_tsc_now_ordered();
	n = paths[path].polls(c);
	after = kbp_tsc_now_ordered();
	if (!n)
		r->empty[r->empties++] = (double)(after - before) / EMPTIES;
}

/* EAL, drivers and the libraries under them print what they think. */
static void be_quiet(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static _Noreturn void child_main(const struct kbp_lab_info *lab, unsigned path, struct result *res)
{
	struct child *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
	int rc;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(CHILD_S);
	be_quiet();
	if (!c)
		_exit(2);
	memset(c, 0, sizeof(*c));
	c->lab = lab;
	c->res = res;
	rc = sender_open(c);
	if (!rc)
		rc = paths[path].open(c);
	if (rc) {
		snprintf(res->why, sizeof(res->why), "%s: %s", c->err.step, c->err.hint);
		_exit(2);
	}
	mode_read(c);
	for (unsigned i = 0; i < WARM_UPS + DRAINS; i++)
		drain_once(c, path, i >= WARM_UPS);
	paths[path].close(c);
	res->done = true;
	_exit(0);
}

/* ---------------------------------------------------------------- in the parent */

struct series {
	double *v;
	unsigned n;
};

struct quarters {
	double low, middle, high;
};

struct tally {
	struct series frame, empty;		/* all drains, all empty polls */
	struct series frame_round, empty_round; /* the median of each round */
	unsigned lost;
	char mode[32];
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* Measures one path. Returns 0, or -1 and says why. */
static int child_wait(const struct kbp_lab_info *lab, unsigned path, struct result *res)
{
	int status = 0;
	pid_t pid;

	memset(res, 0, sizeof(*res));
	fflush(NULL); /* or the child would have it, too */
	pid = fork();
	if (!pid)
		child_main(lab, path, res);
	if (pid < 0) {
		fprintf(stderr, "axdp_ratio: fork: %s\n", strerror(errno));
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		if (stopped)
			kill(pid, SIGKILL);
	if (stopped) {
		fprintf(stderr, "axdp_ratio: stopped\n");
		return -1;
	}
	usleep(LET_GO_US);
	if (res->done)
		return 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "axdp_ratio: %s: killed by signal %d (%s)\n", paths[path].name,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "axdp_ratio: %s: %s\n", paths[path].name,
			res->why[0] ? res->why : "it ended early");
	return -1;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* v[0..n) sorted: its value at fraction q. */
static double quantile(const double *sorted, unsigned n, double q)
{
	return sorted[(unsigned)(q * (n - 1) + 0.5)];
}

static struct quarters quarters_of(double *v, unsigned n)
{
	struct quarters q = { 0 };

	if (!n)
		return q;
	qsort(v, n, sizeof(*v), by_value);
	q.low = quantile(v, n, 0.25);
	q.middle = quantile(v, n, 0.5);
	q.high = quantile(v, n, 0.75);
	return q;
}

static void series_add(struct series *s, const double *v, unsigned n)
{
	memcpy(s->v + s->n, v, n * sizeof(*v));
	s->n += n;
}

/* Of two paths, within each round, where both met the same machine. */
static struct quarters ratio_of(const struct series *a, const struct series *base, double *scratch)
{
	for (unsigned i = 0; i < a->n; i++)
		scratch[i] = a->v[i] / base->v[i];
	return quarters_of(scratch, a->n);
}

/* A round counts when every path could be measured in it. */
static void round_add(struct tally *t, struct result *res)
{
	bool whole = true;

	for (unsigned p = 0; p < PATHS; p++) {
		whole &= res[p].drains && res[p].empties;
		t[p].lost += res[p].lost;
		memcpy(t[p].mode, res[p].mode, sizeof(t[p].mode));
	}
	for (unsigned p = 0; whole && p < PATHS; p++) {
		double middle;

		series_add(&t[p].frame, res[p].frame, res[p].drains);
		series_add(&t[p].empty, res[p].empty, res[p].empties);
		middle = quarters_of(res[p].frame, res[p].drains).middle;
		series_add(&t[p].frame_round, &middle, 1);
		middle = quarters_of(res[p].empty, res[p].empties).middle;
		series_add(&t[p].empty_round, &middle, 1);
	}
}

static int tally_make(struct tally *t, unsigned rounds)
{
	for (unsigned p = 0; p < PATHS; p++) {
		t[p].frame.v = calloc((size_t)rounds * DRAINS, sizeof(double));
		t[p].empty.v = calloc((size_t)rounds * DRAINS, sizeof(double));
		t[p].frame_round.v = calloc(rounds, sizeof(double));
		t[p].empty_round.v = calloc(rounds, sizeof(double));
		if (!t[p].frame.v || !t[p].empty.v || !t[p].frame_round.v || !t[p].empty_round.v)
			return -1;
	}
	return 0;
}

static void tally_free(struct tally *t)
{
	for (unsigned p = 0; p < PATHS; p++) {
		free(t[p].frame.v);
		free(t[p].empty.v);
		free(t[p].frame_round.v);
		free(t[p].empty_round.v);
	}
}

static int measure(const struct kbp_lab_info *lab, struct tally *t, unsigned rounds)
{
	size_t bytes = PATHS * sizeof(struct result);
	struct result *res =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = res == MAP_FAILED ? -1 : 0;

	if (rc)
		fprintf(stderr, "axdp_ratio: out of memory\n");
	for (unsigned i = 0; !rc && i < rounds; i++) {
		for (unsigned k = 0; !rc && k < PATHS; k++) {
			unsigned path = (i + k) % PATHS;

			rc = child_wait(lab, path, &res[path]);
		}
		if (!rc)
			round_add(t, res);
	}
	if (!rc && !t->frame_round.n) {
		fprintf(stderr, "axdp_ratio: frames did not arrive\n");
		rc = -1;
	}
	if (res != MAP_FAILED)
		munmap(res, bytes);
	return rc;
}

/* ---------------------------------------------------------------- what is printed */

struct row {
	struct quarters frame, empty;		  /* cycles */
	struct quarters frame_ratio, empty_ratio; /* to the base, within a round */
};

static void rows_make(struct tally *t, unsigned base, struct row *rows, double *scratch)
{
	for (unsigned p = 0; p < PATHS; p++) {
		rows[p].frame_ratio = ratio_of(&t[p].frame_round, &t[base].frame_round, scratch);
		rows[p].empty_ratio = ratio_of(&t[p].empty_round, &t[base].empty_round, scratch);
		rows[p].frame = quarters_of(t[p].frame.v, t[p].frame.n);
		rows[p].empty = quarters_of(t[p].empty.v, t[p].empty.n);
	}
}

/* Of the two loops by hand, the one that took less. */
static unsigned better_by_hand(struct tally *t)
{
	return quarters_of(t[PMD].frame.v, t[PMD].frame.n).middle <=
			       quarters_of(t[PMD_BULK].frame.v, t[PMD_BULK].frame.n).middle ?
		       PMD :
		       PMD_BULK;
}

static void head_print(const struct tally *t, unsigned base, unsigned rounds)
{
	printf("A veth with one queue, %s. %u rounds, who begins rotates; in each round every\n"
	       "path drains %u times %u frames of %u bytes in bursts of %u, from a ring of %u in\n"
	       "ordinary pages. Cycles are those of the CPU's counter; half of all values lie between\n"
	       "the two in brackets. Ratios are taken within a round, to %s: of the two loops\n"
	       "by hand the better one. A virtual device: only the ratios mean anything, and only here.\n\n",
	       rte_version(), rounds, DRAINS, FRAMES, FRAME_LEN, BURST, DESCS, paths[base].name);
	printf("net_af_xdp has busy_budget=0: without that, each of its empty polls is a system call.\n"
	       "Its XDP program sends all frames of the queue to the socket, ours those of the flow;\n"
	       "both have run before the clock does.\n\n");
	for (unsigned p = 0; p < PATHS; p++)
		printf("  %-16s %s (%s)\n", paths[p].name, paths[p].what, t[p].mode);
}

static void line_print(unsigned path, const struct quarters *cycles, const struct quarters *ratio)
{
	printf("  %-16s %8.1f (%.1f to %.1f)   ratio %.3f (%.3f to %.3f)", paths[path].name,
	       cycles->middle, cycles->low, cycles->high, ratio->middle, ratio->low, ratio->high);
}

static void text_print(const struct tally *t, const struct row *rows, unsigned base, unsigned asked)
{
	const struct quarters *q = &rows[AXDP].frame_ratio;

	head_print(t, base, asked);
	printf("\ncycles per received frame\n");
	for (unsigned p = 0; p < PATHS; p++) {
		line_print(p, &rows[p].frame, &rows[p].frame_ratio);
		printf("   %u drains, %u incomplete\n", t[p].frame.n, t[p].lost);
	}
	printf("\ncycles per empty poll\n");
	for (unsigned p = 0; p < PATHS; p++) {
		line_print(p, &rows[p].empty, &rows[p].empty_ratio);
		printf("   %u times %u polls\n", t[p].empty.n, EMPTIES);
	}
	if (t->frame_round.n < asked)
		printf("\n%u rounds are left out: not every path could be measured in them\n",
		       asked - t->frame_round.n);
	printf("\naf_xdp: %.2f times the cycles of DPDK's net_af_xdp per received packet (median of %u rounds; half of them %.2f to %.2f)\n",
	       q->middle, t->frame_round.n, q->low, q->high);
}

static void json_quarters(const char *name, const struct quarters *q)
{
	printf(", \"%s\": {\"median\": %.4f, \"low\": %.4f, \"high\": %.4f}", name, q->middle,
	       q->low, q->high);
}

static void json_print(const struct tally *t, const struct row *rows, unsigned base)
{
	printf("{\"dpdk\": \"%s\", \"rounds\": %u, \"frames\": %u, \"frame_bytes\": %u, \"burst\": %u, \"ring\": %u, \"ratios_to\": \"%s\", \"paths\": [",
	       rte_version(), t->frame_round.n, FRAMES, FRAME_LEN, BURST, DESCS, paths[base].name);
	for (unsigned p = 0; p < PATHS; p++) {
		printf("%s\n  {\"name\": \"%s\", \"mode\": \"%s\", \"drains\": %u, \"incomplete\": %u",
		       p ? "," : "", paths[p].name, t[p].mode, t[p].frame.n, t[p].lost);
		json_quarters("cycles_per_frame", &rows[p].frame);
		json_quarters("ratio", &rows[p].frame_ratio);
		json_quarters("cycles_per_empty_poll", &rows[p].empty);
		json_quarters("empty_ratio", &rows[p].empty_ratio);
		printf("}");
	}
	printf("\n]}\n");
}

/* ---------------------------------------------------------------- all of it */

static int usage(void)
{
	fprintf(stderr, "usage: axdp_ratio [--json] [ROUNDS]   1..%u, default %u\n", ROUNDS_MAX,
		ROUNDS);
	return 2;
}

static int compare(unsigned rounds, bool json)
{
	struct kbp_lab_opts lo = KBP_LAB_OPTS_INIT;
	struct kbp_lab_info lab = { 0 };
	struct tally t[PATHS] = { 0 };
	struct kbp_error err = { 0 };
	struct row rows[PATHS];
	double *scratch = calloc(rounds, sizeof(*scratch));
	int rc = scratch ? tally_make(t, rounds) : -1;

	if (rc) {
		fprintf(stderr, "axdp_ratio: out of memory\n");
	} else {
		lo.prefix = "kbaxr";
		lo.queues = 1;
		lo.flags = KBP_LAB_EPHEMERAL;
		rc = kbp_lab_up(&lo, &lab, &err);
		if (rc)
			fprintf(stderr, "axdp_ratio: %s: %s\n", err.step, err.hint);
		else
			rc = measure(&lab, t, rounds);
		if (lab.prefix[0])
			kbp_lab_down(lab.prefix, NULL);
	}
	if (!rc) {
		unsigned base = better_by_hand(t);

		rows_make(t, base, rows, scratch);
		if (json)
			json_print(t, rows, base);
		else
			text_print(t, rows, base, rounds);
	}
	tally_free(t);
	free(scratch);
	return rc ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stop }; /* the lab goes, whoever ends this early */
	bool json = argc > 1 && !strcmp(argv[1], "--json");
	unsigned long rounds = ROUNDS;
	char *end = NULL;
	cpu_set_t cpu;

	if (argc > 2 + json)
		return usage();
	if (argc == 2 + json) {
		rounds = strtoul(argv[1 + json], &end, 10);
		if (*end || !rounds || rounds > ROUNDS_MAX)
			return usage();
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	CPU_ZERO(&cpu);
	CPU_SET((size_t)sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	return compare((unsigned)rounds, json);
}
