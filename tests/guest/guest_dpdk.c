/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_dpdk.c - what runs inside the guest: real drivers through the public calls alone. The last line it
 * prints is the result in words.
 *
 *   guest_dpdk diagnose ADDR        the dpdk backend must refuse a device that its kernel driver holds
 *   guest_dpdk xdp IFNAME           native XDP: 0 it was bound; 3 refused, and without strict generic instead
 *   guest_dpdk pass BACKEND A B N   N datagrams from A to B: every one, in order, and all counters agree
 *   guest_dpdk stamps BACKEND A B   datagrams from A to B, whose NIC was told to stamp them: whose stamps there are
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <kbypass/hot.h>

#define REFUSED 3 /* the exit status of `xdp` */
#define BURST 8u  /* frames sent at a time */
#define AHEAD 64u /* frames sent and not yet received */
#define STALL_NS 20000000000ll
#define HEADER_BYTES 42u /* Ethernet, IPv4, UDP */
#define FLOW "239.7.7.7:5000@10.7.7.1:4000"
#define STAMPED 40u /* datagrams whose stamps are looked at */

/* Ethernet to the group's address (RFC 1112), IPv4 with TTL 1, UDP; lengths and sums are filled in later. */
static const char header[HEADER_BYTES + 1] =
	"\x01\x00\x5e\x07\x07\x07\x02\x00\x00\x00\x00\x01\x08\x00"
	"\x45\x00\x00\x00\x00\x00\x40\x00\x01\x11\x00\x00\x0a\x07\x07\x01\xef\x07\x07\x07"
	"\x0f\xa0\x13\x88\x00\x00\x00\x00";

static uint8_t source[4] = { 10, 7, 7, 1 };

struct end {
	struct kbp_port *port;
	struct kbp_queue *q;
};

struct book {
	uint32_t received; /* also the number the next datagram must have */
	uint32_t wrong;
};

static const char *const mode_name[] = { "auto",    "zero-copy", "copy",
					 "generic", "kernel",	 "emulated" };
static const char *const proof_name[] = { "not looked at", "claimed", "bound", "proven" };
static struct kbp_error err;

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	printf("%s: %d: %s: %s\n", what, rc, err.step, err.hint);
	exit(1);
}

static void on_log(enum kbp_log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level < KBP_LOG_DEBUG)
		printf("log: %s\n", text);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* ---------------------------------------------------------------- diagnose */

static int diagnose(const char *addr)
{
	struct kbp_port *port;
	int rc = kbp_port_open("dpdk", addr, NULL, &port, &err);

	if (!rc) {
		printf("%s was opened\n", addr);
		return 1;
	}
	printf("%s: %s (%s)\n", err.step, err.hint, strerror(-rc));
	return port || err.code != rc || !err.step[0] || !err.hint[0];
}

/* ---------------------------------------------------------------- xdp */

static int xdp_open(const char *ifname, uint32_t flags, struct end *e)
{
	struct kbp_port_opts opts = KBP_PORT_OPTS_INIT;
	int rc;

	opts.mode = KBP_MODE_COPY;
	opts.flags = flags;
	rc = kbp_port_open("af_xdp", ifname, &opts, &e->port, &err);
	if (rc)
		return rc;
	rc = kbp_queue_open(e->port, NULL, &e->q, &err);
	if (rc)
		kbp_port_close(e->port, NULL);
	return rc;
}

static void end_close(struct end *e)
{
	must(kbp_queue_close(e->q, 0, &err), "close the queue");
	must(kbp_port_close(e->port, &err), "close the port");
}

static int xdp(const char *ifname)
{
	struct kbp_queue_info qi;
	struct kbp_port_info pi;
	struct kbp_error refused;
	struct end e;
	int rc = xdp_open(ifname, KBP_PORT_STRICT, &e);

	if (rc) {
		refused = err;
		must(xdp_open(ifname, 0, &e), "without strict");
	}
	kbp_port_info(e.port, &pi);
	kbp_queue_info(e.q, &qi);
	end_close(&e);
	if (!rc) {
		printf("%s (%s): %s, %s\n", ifname, pi.driver, mode_name[qi.mode],
		       proof_name[qi.proof]);
		return qi.mode != KBP_MODE_COPY || qi.proof < KBP_BOUND ||
		       pi.achieved != KBP_MODE_COPY;
	}
	printf("%s: %s (%s); without strict: %s, %s\n", refused.step, refused.hint, strerror(-rc),
	       mode_name[qi.mode], pi.note);
	return rc == -EOPNOTSUPP && refused.code == rc && qi.mode == KBP_MODE_GENERIC && pi.note[0] ?
		       REFUSED :
		       1;
}

/* ---------------------------------------------------------------- pass */

/* A number, then bytes that depend on it; many lengths. */
static uint32_t payload_write(uint8_t *p, uint32_t number)
{
	uint32_t len = 4 + number * 37 % 1400;

	memcpy(p, &number, 4);
	for (uint32_t i = 4; i < len; i++)
		p[i] = (uint8_t)(number + i);
	return len;
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct book *b = arg;
	struct kbp_datagram d;
	uint8_t want[1500];
	uint32_t len = payload_write(want, b->received);

	if (kbp_datagram(rx.q, &f, &d) != KBP_PARSE_OK || d.len != len || d.dst_port != 5000 ||
	    d.src_port != 4000 || memcmp(d.payload, want, len) != 0) {
		if (!b->wrong++)
			printf("frame %u of %u bytes is not the one that was sent\n", b->received,
			       f.len);
	}
	b->received++;
	return KBP_DONE;
}

/* By hand, where kbp_txflow_open_raw gives the whole frame: a UDP sum of 0 is none (RFC 768). */
static uint32_t raw_write(uint8_t *p, uint32_t number)
{
	uint32_t len = payload_write(p + HEADER_BYTES, number), sum = 0;

	memcpy(p, header, HEADER_BYTES);
	memcpy(p + 26, source, sizeof(source));
	kbp_store_be16(p + 16, len + 28);
	kbp_store_be16(p + 38, len + 8);
	for (uint32_t i = 14; i < 34; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	kbp_store_be16(p + 24, ~(sum + (sum >> 16)));
	return len + HEADER_BYTES;
}

/* Returns how many were accepted. */
static uint32_t send_some(struct kbp_queue *q, struct kbp_txflow *t, bool raw, uint32_t first,
			  uint32_t n)
{
	struct kbp_frame f[BURST];
	unsigned got, sent;

	got = kbp_tx_reserve(t, f, n < BURST ? n : BURST);
	for (unsigned i = 0; i < got; i++)
		f[i].len = raw ? raw_write(f[i].data, first + i) :
				 payload_write(f[i].data, first + i);
	sent = kbp_tx_submit(q, f, got);
	kbp_tx_cancel(q, f + sent, got - sent);
	return sent;
}

static void end_open(const char *backend, const char *name, struct end *e)
{
	must(kbp_port_open(backend, name, NULL, &e->port, &err), name);
	must(kbp_queue_open(e->port, NULL, &e->q, &err), name);
}

/* A link takes a second or so; what is sent before is lost. */
static bool both_up(const struct end *a, const struct end *b)
{
	for (int64_t start = now_ns(); now_ns() - start < STALL_NS;)
		if (kbp_queue_state(a->q) == KBP_QUEUE_UP && kbp_queue_state(b->q) == KBP_QUEUE_UP)
			return true;
	printf("the link did not come up: states %d and %d\n", (int)kbp_queue_state(a->q),
	       (int)kbp_queue_state(b->q));
	return false;
}

static uint64_t counter_sum(const struct kbp_queue *q, enum kbp_count_class cls, const char *name,
			    bool tell)
{
	struct kbp_counter c[64];
	unsigned n = kbp_queue_counters(q, c, 64);
	uint64_t sum = 0;

	for (unsigned i = 0; i < n && i < 64; i++) {
		if (tell && c[i].value)
			printf("%s = %llu\n", c[i].name, (unsigned long long)c[i].value);
		if (c[i].cls == cls && (!name || !strcmp(c[i].name, name)))
			sum += c[i].value;
	}
	return sum;
}

static bool account_closes(const struct end *a, const struct end *b, uint32_t n, bool tell)
{
	uint64_t sent = counter_sum(a->q, KBP_COUNT_INFO, "tx_frames", tell);
	uint64_t lost = counter_sum(a->q, KBP_COUNT_TX_DROP, NULL, false);
	uint64_t received = counter_sum(b->q, KBP_COUNT_INFO, "rx_frames", tell);
	uint64_t dropped = counter_sum(b->q, KBP_COUNT_DROP, NULL, false);

	return sent == n && !lost && received == n && !dropped;
}

static int pass(const char *backend, const char *from, const char *to, uint32_t n)
{
	struct kbp_txflow *t[2]; /* by turns: one with a prebuilt header, one without */
	struct book book = { 0 };
	struct kbp_queue_info qi;
	struct kbp_port_info pi;
	struct kbp_flow flow;
	struct end a, b;
	uint32_t sent = 0;
	int64_t start, progress;
	bool good;

	end_open(backend, from, &a);
	end_open(backend, to, &b);
	kbp_port_info(b.port, &pi);
	must(kbp_flow_parse(FLOW, &flow, &err), "parse " FLOW);
	/* a kernel's interface lets the group in because the kernel has joined it */
	flow.flags = pi.ifindex ? 0 : KBP_FLOW_NO_JOIN;
	must(kbp_flow_add(b.q, &flow, NULL, &err), "add the flow");
	must(kbp_txflow_open(a.q, &flow, &t[0], &err), "open a txflow");
	must(kbp_txflow_open_raw(a.q, &t[1], &err), "open a raw txflow");
	if (!both_up(&a, &b))
		return 1;
	start = progress = now_ns();
	for (unsigned turn = 0; book.received < n && now_ns() - progress < STALL_NS; turn++) {
		uint32_t room = AHEAD - (sent - book.received);
		uint32_t todo = n - sent < room ? n - sent : room;

		if (todo)
			sent += send_some(a.q, t[turn & 1], turn & 1, sent, todo);
		if (kbp_rx_each(kbp_rx_of(b.q), 32, on_frame, &book))
			progress = now_ns();
	}
	good = book.received == n && !book.wrong && account_closes(&a, &b, n, false);
	if (!good)
		account_closes(&a, &b, n, true);
	kbp_queue_info(b.q, &qi);
	kbp_txflow_close(t[0]);
	kbp_txflow_close(t[1]);
	end_close(&a);
	end_close(&b);
	printf("%u sent, %u received, %u wrong in %lld ms; driver %s, %s, %s\n", sent,
	       book.received, book.wrong, (long long)(now_ns() - start) / 1000000, pi.driver,
	       mode_name[qi.mode], proof_name[qi.proof]);
	return !good || qi.proof != KBP_PROVEN;
}

/* ---------------------------------------------------------------- stamps */

struct stamps {
	uint64_t last;
	unsigned frames, stamped, backwards, in_sync;
};

static unsigned on_stamp(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp s = kbp_frame_ts(rx, &f);
	struct stamps *b = arg;

	b->frames++;
	b->stamped += (s.flags & KBP_FRAME_TS) != 0;
	b->in_sync += (s.flags & KBP_FRAME_SYNC_MASK) != 0;
	b->backwards += s.flags & KBP_FRAME_TS && s.ns <= b->last;
	b->last = s.ns;
	return KBP_DONE;
}

/* What the NIC is told to stamp; "none" where the driver has no such setting. */
static const char *stamping(const char *ifname)
{
	struct hwtstamp_config c = { 0 };
	struct ifreq ifr = { .ifr_data = (void *)&c };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool there;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	there = !ioctl(fd, SIOCGHWTSTAMP, &ifr);
	close(fd);
	if (!there)
		return "none";
	if (c.rx_filter == HWTSTAMP_FILTER_NONE && c.tx_type == HWTSTAMP_TX_OFF)
		return "off";
	return c.rx_filter == HWTSTAMP_FILTER_ALL && c.tx_type == HWTSTAMP_TX_ON ? "all" : "some";
}

static int stamps(const char *backend, const char *from, const char *to)
{
	static const char *const source_name[] = { "none", "kernel", "driver", "NIC" };
	struct kbp_port_opts po = KBP_PORT_OPTS_INIT;
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	const char *before = stamping(to), *during, *after;
	struct kbp_queue_info qi;
	struct kbp_port_info pi;
	struct stamps b = { 0 };
	struct kbp_flow flow;
	struct kbp_txflow *t;
	struct end a, e;
	uint32_t sent = 0;
	int64_t start;

	end_open("af_xdp", from, &a);
	po.flags = KBP_PORT_STAMPING;
	qo.flags = KBP_QUEUE_RX_STAMPS | KBP_QUEUE_TX_STAMPS;
	must(kbp_port_open(backend, to, &po, &e.port, &err), to);
	must(kbp_queue_open(e.port, &qo, &e.q, &err), to);
	during = stamping(to);
	must(kbp_flow_parse("239.7.7.7:5000", &flow, &err), "parse the flow");
	must(kbp_flow_add(e.q, &flow, NULL, &err), "add the flow");
	must(kbp_txflow_open_raw(a.q, &t, &err), "open a raw txflow");
	if (!both_up(&a, &e))
		return 1;
	source[1] = 9; /* of another host: the kernel takes no datagram of its own address from a wire */
	for (start = now_ns(); b.frames < STAMPED && now_ns() - start < STALL_NS;) {
		if (sent < STAMPED && sent - b.frames < BURST)
			sent += send_some(a.q, t, true, sent, 1);
		kbp_rx_each(kbp_rx_of(e.q), 32, on_stamp, &b);
	}
	kbp_port_info(e.port, &pi);
	kbp_queue_info(e.q, &qi);
	kbp_txflow_close(t);
	end_close(&a);
	end_close(&e);
	after = stamping(to);
	printf("the port says: %s\nthe queue says: %s\n", pi.note, qi.note);
	printf("stamping %s, %s, %s; %u of %u frames stamped, %u not advancing, %u in sync; source %s, %s; tx %s\n",
	       before, during, after, b.stamped, b.frames, b.backwards, b.in_sync,
	       source_name[qi.ts_source], proof_name[qi.ts_proof], source_name[qi.ts_source_tx]);
	return b.frames != STAMPED || b.in_sync || b.backwards || strcmp(before, after) != 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	kbp_log_set(on_log, NULL);
	if (argc == 3 && !strcmp(argv[1], "diagnose"))
		return diagnose(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "xdp"))
		return xdp(argv[2]);
	if (argc == 6 && !strcmp(argv[1], "pass"))
		return pass(argv[2], argv[3], argv[4], (uint32_t)strtoul(argv[5], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "stamps"))
		return stamps(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: guest_dpdk diagnose ADDR | xdp IFNAME | pass BACKEND A B N | "
			"stamps BACKEND A B\n");
	return 2;
}
