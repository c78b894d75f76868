/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_devices.c - packets through every virtual device that the dpdk module takes: those in memory, one of
 * files, and those that have the kernel at the other end. As a program meets them: the public headers, the shared
 * library, the module. argv: the folder of the modules.
 */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kbypass/kbypass.h>

#include "../dpdk/child.h"
#include "../lib/frame.h"
#include "../lib/netns.h"

#define FLOW "239.7.7.7:5000@10.77.0.1:4000+nojoin"
#define N_FRAMES 200u
#define BURST 8u
#define N_ROUNDS 2u /* each device opens again in the same process */
#define LIMIT_S 10  /* of whatever is waited for */
#define QUIET_MS 20 /* for what should not arrive */
#define CLOSED_MS 100
#define PLACE "/run" /* the case's own, gone with it */

static const char *modules;
static struct kbp_error err;

#define ok(call)                                                                   \
	do {                                                                       \
		int rc_ = (call);                                                  \
		must(rc_ >= 0, "%s = %d: %s: %s", #call, rc_, err.step, err.hint); \
	} while (0)

/* ---------------------------------------------------------------- waiting */

static void nap_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t limit(void)
{
	return now_ms() + LIMIT_S * 1000;
}

/* Lets others run; false when it is time to give up. */
static bool still(int64_t until)
{
	struct timespec t = { .tv_nsec = 50000 };

	nanosleep(&t, NULL);
	return now_ms() < until;
}

/* ---------------------------------------------------------------- numbered datagrams */

static uint32_t length_of(uint32_t number)
{
	return 18 + number * 37 % 1400; /* no padding, and within 1500 */
}

static void numbered(uint8_t *payload, uint32_t number, uint32_t len)
{
	memcpy(payload, &number, sizeof(number));
	for (uint32_t i = sizeof(number); i < len; i++)
		payload[i] = (uint8_t)(number + i);
}

static void is_numbered(const void *payload, uint32_t len, uint32_t number, uint32_t want_len)
{
	uint8_t want[1500];
	uint32_t has = 0;

	must(len >= sizeof(has), "%u bytes", len);
	memcpy(&has, payload, sizeof(has));
	must(has == number, "%u where %u was next", has, number);
	must(len == want_len, "number %u: %u bytes, not %u", number, len, want_len);
	numbered(want, number, len);
	must(!memcmp(payload, want, len), "number %u has another payload", number);
}

/* ---------------------------------------------------------------- our end of a wire */

struct end {
	struct kbp_port *port;
	struct kbp_queue *q;
	struct kbp_txflow *t;
	uint32_t sent, got; /* the numbers that come next */
	uint32_t fixed_len; /* of payloads; 0: length_of */
};

static uint32_t end_length(const struct end *e, uint32_t number)
{
	return e->fixed_len ? e->fixed_len : length_of(number);
}

static void port_open(struct end *e, const char *name, const char *args)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	int rc;

	memset(e, 0, sizeof(*e));
	o.module_dir = modules;
	o.args = args;
	rc = kbp_port_open("dpdk", name, &o, &e->port, &err);
	if (rc == -ENOENT && strstr(err.step, "find DPDK's driver"))
		child_skip("%s: %s", err.step, err.hint);
	must(!rc, "%s: %d: %s: %s", name, rc, err.step, err.hint);
}

static void end_open(struct end *e, const char *name, const char *args, const char *driver,
		     uint32_t more_flags)
{
	struct kbp_queue_opts o = KBP_QUEUE_OPTS_INIT;
	struct kbp_port_info info;

	port_open(e, name, args);
	kbp_port_info(e->port, &info);
	must(!strcmp(info.driver, driver), "%s: the driver is \"%s\"", name, info.driver);
	must(info.virtual_device, "%s is told to be a device", name);
	o.flags = KBP_QUEUE_RX | KBP_QUEUE_TX | more_flags;
	ok(kbp_queue_open(e->port, &o, &e->q, &err));
}

/* With its flow, once there is another end. */
static void end_ready(struct end *e)
{
	int64_t until = limit();
	struct kbp_flow flow;

	while (kbp_queue_state(e->q) != KBP_QUEUE_UP)
		must(still(until), "no link: state %d", kbp_queue_state(e->q));
	ok(kbp_flow_parse(FLOW, &flow, &err));
	ok(kbp_flow_add(e->q, &flow, NULL, &err));
	ok(kbp_txflow_open(e->q, &flow, &e->t, &err));
}

static void end_close(struct end *e)
{
	int rc;

	kbp_txflow_close(e->t);
	rc = kbp_queue_close(e->q, 0, &err);
	must(!rc, "%d: %s: %s", rc, err.step, err.hint);
	rc = kbp_port_close(e->port, &err);
	must(!rc, "%d: %s: %s", rc, err.step, err.hint);
}

static void take(struct end *e, const struct kbp_frame *f)
{
	struct kbp_datagram d;
	enum kbp_parse parse = kbp_datagram(e->q, f, &d);

	must(parse == KBP_PARSE_OK, "number %u: parse %d", e->got, parse);
	must(!(f->flags & KBP_FRAME_MORE), "number %u came in parts", e->got);
	must(d.src_port == 4000 && d.dst_port == 5000, "from %u to %u", d.src_port, d.dst_port);
	is_numbered(d.payload, d.len, e->got, end_length(e, e->got));
	e->got++;
}

static unsigned poll_once(struct end *e)
{
	struct kbp_frame f[BURST];
	unsigned n = kbp_rx_peek(e->q, f, BURST);

	for (unsigned i = 0; i < n; i++)
		take(e, &f[i]);
	kbp_rx_release(e->q, f, n);
	return n;
}

static void receive(struct end *e, uint32_t until_number)
{
	int64_t until = limit();

	while (e->got < until_number)
		if (!poll_once(e))
			must(still(until), "%u of %u arrived", e->got, until_number);
}

static void nothing_more(struct end *e)
{
	for (unsigned ms = 0; ms < QUIET_MS; ms++) {
		must(!poll_once(e), "more than was sent");
		nap_ms(1);
	}
}

/* The tokens, when somebody asks. */
static void send_some(struct end *e, unsigned n, uint64_t *tokens)
{
	int64_t until = limit();
	struct kbp_frame f[BURST];
	unsigned have = 0, done = 0;

	while ((have += kbp_tx_reserve(e->t, f + have, n - have)) < n)
		must(still(until), "%u of %u buffers", have, n);
	for (unsigned i = 0; i < n; i++, e->sent++) {
		uint32_t len = end_length(e, e->sent);

		must(f[i].len >= len, "room for %u of %u bytes", f[i].len, len);
		numbered(f[i].data, e->sent, len);
		f[i].len = len;
		if (tokens)
			tokens[e->sent] = f[i].token;
	}
	while ((done += kbp_tx_submit(e->q, f + done, n - done)) < n)
		must(still(until), "%u of %u taken", done, n);
}

/* Paced by what arrives, so that no ring in between is ever full. A receiver looks before anybody sends: a client
 * of net_memif lends the other end its first buffers when it is polled. */
static void pass(struct end *from, struct end *to)
{
	from->sent = to->got = 0;
	nothing_more(to);
	while (from->sent < N_FRAMES) {
		send_some(from, BURST, NULL);
		receive(to, from->sent);
	}
	nothing_more(to);
}

/* ---------------------------------------------------------------- the kernel's end of a wire */

struct peer {
	int fd;
	uint8_t mac[6]; /* ours, which the peer sees */
};

static void peer_open(struct peer *p, const char *ifname, const struct end *ours)
{
	struct kbp_port_info info;

	kbp_port_info(ours->port, &info);
	memcpy(p->mac, info.mac, 6);
	p->fd = netns_packet_open(ifname);
	must(p->fd >= 0, "a packet socket on %s: %s", ifname, strerror(errno));
}

static uint32_t craft(uint8_t *frame, uint32_t number)
{
	const struct frame_addr a = { .src_mac = { 2, 0, 0, 0, 0, 7 },
				      .src_ip = 0x0a4d0001,
				      .dst_ip = 0xef070707,
				      .src_port = 4000,
				      .dst_port = 5000 };
	uint8_t payload[1500];

	numbered(payload, number, length_of(number));
	return frame_udp(frame, &a, payload, length_of(number));
}

static void is_sent_by_us(const uint8_t *frame, uint32_t len, const uint8_t mac[6], uint32_t number)
{
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 7, 7, 7 };

	must(len >= FRAME_UDP_HDR, "a frame of %u bytes", len);
	must(!memcmp(frame, group, 6) && !memcmp(frame + 6, mac, 6), "number %u: other addresses",
	     number);
	must(frame_checksums_ok(frame, len), "number %u: a checksum is wrong", number);
	is_numbered(frame + FRAME_UDP_HDR, len - FRAME_UDP_HDR, number, length_of(number));
}

static void pass_from_peer(const struct peer *p, struct end *to)
{
	uint8_t frame[1600];

	for (uint32_t sent = 0; sent < N_FRAMES; receive(to, sent))
		for (unsigned i = 0; i < BURST; i++) {
			uint32_t len = craft(frame, sent++);

			must(netns_packet_send(p->fd, frame, len), "%s", strerror(errno));
		}
	nothing_more(to);
}

/* What else the kernel has to say on a new interface is nobody's concern. */
static bool is_udp(const uint8_t *frame, uint32_t len)
{
	return len >= FRAME_UDP_HDR && frame[12] == 0x08 && frame[13] == 0 && frame[23] == 17;
}

static void pass_to_peer(struct end *from, const struct peer *p)
{
	uint8_t frame[1600];
	uint32_t got = 0, len;

	while (from->sent < N_FRAMES) {
		send_some(from, BURST, NULL);
		while (got < from->sent) {
			len = netns_packet_recv(p->fd, frame, sizeof(frame), LIMIT_S * 1000);
			must(len, "%u of %u arrived", got, from->sent);
			if (is_udp(frame, len))
				is_sent_by_us(frame, len, p->mac, got++);
		}
	}
	while ((len = netns_packet_recv(p->fd, frame, sizeof(frame), QUIET_MS)))
		must(!is_udp(frame, len), "more than was sent");
}

/* ---------------------------------------------------------------- places */

/* A network and a PLACE of the case's own. */
static void has_places(void)
{
	const char *why = netns_enter();

	if (!why)
		why = child_places();
	if (why)
		child_skip("%s", why);
}

/* ---------------------------------------------------------------- in memory */

static void ring(void)
{
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct end e;

		end_open(&e, "net_ring0", NULL, "net_ring", 0);
		end_ready(&e);
		pass(&e, &e);
		end_close(&e);
	}
}

static void net_ring_brings_back_what_it_is_given(void **state)
{
	(void)state;
	child_run(ring);
}

/* Two ports of one process with a wire between them. The first waits for the second, and is closed after it. */
struct pair {
	const char *name[2], *args[2], *driver[2];
};

#define MEMIF_SOCKET ",socket-abstract=no,socket=" PLACE "/memif.sock"

static const struct pair memif = {
	.name = { "net_memif0", "net_memif1" },
	.args = { "devargs=role=server" MEMIF_SOCKET, "devargs=role=client" MEMIF_SOCKET },
	.driver = { "net_memif", "net_memif" },
};

/* virtio_user last and closed first: as a server it blocks its opener until the other end is there, and it
 * writes to a socket whose other end is gone, which is SIGPIPE. */
static const struct pair vhost = {
	.name = { "net_vhost0", "net_virtio_user0" },
	.args = { "devargs=iface=" PLACE "/vhost.sock", "devargs=path=" PLACE "/vhost.sock" },
	.driver = { "net_vhost", "net_virtio_user" },
};

static void pair_open(const struct pair *p, struct end e[2], uint32_t more_flags)
{
	for (unsigned i = 0; i < 2; i++)
		end_open(&e[i], p->name[i], p->args[i], p->driver[i], more_flags);
	for (unsigned i = 0; i < 2; i++)
		end_ready(&e[i]);
}

static void pair_close(struct end e[2])
{
	int64_t until = limit();

	end_close(&e[1]);
	/* DPDK's thread deals with the other's leaving and does not look whether its own end is being closed */
	while (kbp_queue_state(e[0].q) == KBP_QUEUE_UP)
		must(still(until), "the link stays up");
	nap_ms(CLOSED_MS);
	end_close(&e[0]);
}

static void pair_passes(const struct pair *p)
{
	has_places();
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct end e[2];

		pair_open(p, e, 0);
		pass(&e[0], &e[1]);
		pass(&e[1], &e[0]);
		pair_close(e);
	}
}

static void memif_passes(void)
{
	pair_passes(&memif);
}

static void net_memif_passes_both_ways_between_two_ports_of_a_process(void **state)
{
	(void)state;
	child_run(memif_passes);
}

/* DPDK 22.11 closes the server's socket never: a path is removed, the name of an abstract one stays taken until the
 * process ends. The device that could not be made keeps its own name. */
static void memif_opens_again(void)
{
	struct pair p = memif;
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	struct kbp_port *port;
	struct end e[2];
	int rc;

	has_places();
	p.args[0] = "devargs=role=server,socket=kbypass-1";
	p.args[1] = "devargs=role=client,socket=kbypass-1";
	pair_open(&p, e, 0);
	pass(&e[1], &e[0]);
	pair_close(e);
	o.module_dir = modules;
	o.args = p.args[0];
	rc = kbp_port_open("dpdk", p.name[0], &o, &port, &err);
	must(rc < 0 && !port && err.code == rc, "%d: %s: %s", rc, err.step, err.hint);
	must(strstr(err.hint, "Address already in use"), "%d: %s: %s", rc, err.step, err.hint);
	must(rc != -EPERM, "%d: %s: %s", rc, err.step, err.hint);
	p.name[0] = "net_memif2";
	p.args[0] = "devargs=role=server,socket=kbypass-2";
	p.args[1] = "devargs=role=client,socket=kbypass-2";
	pair_open(&p, e, 0);
	pass(&e[1], &e[0]);
	pair_close(e);
}

static void a_name_that_net_memif_keeps_taken_is_told(void **state)
{
	(void)state;
	child_run(memif_opens_again);
}

static void vhost_passes(void)
{
	pair_passes(&vhost);
}

static void net_vhost_and_net_virtio_user_pass_both_ways(void **state)
{
	(void)state;
	child_run(vhost_passes);
}

/* ---------------------------------------------------------------- completions and templates */

static void reap(struct end *e, const uint64_t *tokens, uint32_t *reaped)
{
	struct kbp_completion c[2 * BURST];
	unsigned n = kbp_tx_reap(e->q, c, 2 * BURST);

	for (unsigned i = 0; i < n; i++, ++*reaped) {
		must(*reaped < e->sent, "more than was sent");
		must(c[i].token == tokens[*reaped], "completion %u is another's", *reaped);
		must(!c[i].error, "completion %u: %s", *reaped, strerror((int)c[i].error));
	}
}

/* Some drivers tell of the last frames only when more is sent: a ring more is enough for all. */
static void pair_completes(const struct pair *p)
{
	static uint64_t tokens[N_FRAMES + 4096];
	struct kbp_queue_info info;
	uint32_t reaped = 0, most;
	struct end e[2];

	has_places();
	pair_open(p, e, KBP_QUEUE_COMPLETIONS);
	kbp_queue_info(e[1].q, &info);
	must(info.flags & KBP_QUEUE_COMPLETIONS && info.tx_ring <= 2048, "a ring of %u",
	     info.tx_ring);
	most = N_FRAMES + 2 * info.tx_ring;
	while (reaped < N_FRAMES) {
		must(e[1].sent < most, "%u of %u completions for %u frames", reaped, N_FRAMES,
		     e[1].sent);
		send_some(&e[1], BURST, tokens);
		receive(&e[0], e[1].sent);
		reap(&e[1], tokens, &reaped);
	}
	pair_close(e);
}

static void memif_completes(void)
{
	pair_completes(&memif);
}

static void vhost_completes(void)
{
	pair_completes(&vhost);
}

static void each_sent_frame_completes_when_more_is_sent(void **state)
{
	(void)state;
	child_run(memif_completes);
	child_run(vhost_completes);
}

static void template_arrives(void)
{
	enum { TIMES = 50, LEN = 100 };
	struct kbp_template *tpl;
	uint8_t payload[LEN];
	struct end e[2];

	has_places();
	pair_open(&vhost, e, 0);
	e[0].fixed_len = LEN;
	numbered(payload, 0, LEN);
	ok(kbp_template_open(e[1].t, payload, LEN, &tpl, &err));
	for (uint32_t i = 0; i < TIMES; i++) {
		int64_t until = limit();

		numbered(payload, i, LEN);
		while (kbp_template_patch(tpl, 0, payload, LEN) != LEN)
			must(still(until), "number %u: still in flight", i);
		while (!kbp_template_send(tpl))
			must(still(until), "number %u is not taken", i);
		if (i % BURST == BURST - 1)
			receive(&e[0], i + 1);
	}
	receive(&e[0], TIMES);
	nothing_more(&e[0]);
	kbp_template_close(tpl);
	pair_close(e);
}

static void a_template_arrives_as_often_as_it_is_sent(void **state)
{
	(void)state;
	child_run(template_arrives);
}

/* ---------------------------------------------------------------- of files */

struct pcap_head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, network;
};

struct pcap_record {
	uint32_t s, frac, len, wire_len;
};

static void capture_write(const char *path)
{
	const struct pcap_head head = { .magic = 0xa1b2c3d4,
					.major = 2,
					.minor = 4,
					.snaplen = 65535,
					.network = 1 };
	FILE *f = fopen(path, "w");
	uint8_t frame[1600];

	must(f && fwrite(&head, sizeof(head), 1, f) == 1, "%s: %s", path, strerror(errno));
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		uint32_t len = craft(frame, i);
		struct pcap_record r = { .s = 1700000000 + i, .len = len, .wire_len = len };

		must(fwrite(&r, sizeof(r), 1, f) == 1 && fwrite(frame, len, 1, f) == 1, "%s: %s",
		     path, strerror(errno));
	}
	must(!fclose(f), "%s: %s", path, strerror(errno));
}

static void capture_read(const char *path, const uint8_t mac[6])
{
	FILE *f = fopen(path, "r");
	struct pcap_head head;
	struct pcap_record r;
	uint8_t frame[1600];
	uint32_t n = 0;

	must(f && fread(&head, sizeof(head), 1, f) == 1, "%s has no head", path);
	/* microseconds or nanoseconds */
	must(head.magic == 0xa1b2c3d4 || head.magic == 0xa1b23c4d, "magic %x", head.magic);
	must(head.network == 1, "link type %u", head.network);
	for (; fread(&r, sizeof(r), 1, f) == 1; n++) {
		must(r.len == r.wire_len && r.len <= sizeof(frame), "number %u: %u of %u bytes", n,
		     r.len, r.wire_len);
		must(fread(frame, r.len, 1, f) == 1, "number %u is cut", n);
		is_sent_by_us(frame, r.len, mac, n);
	}
	must(n == N_FRAMES, "%u of %u are in the file", n, N_FRAMES);
	fclose(f);
}

static void pcap(void)
{
	has_places();
	capture_write(PLACE "/in.pcap");
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct kbp_port_info info;
		struct end e;

		end_open(&e, "net_pcap0",
			 "devargs=rx_pcap=" PLACE "/in.pcap,tx_pcap=" PLACE "/out.pcap", "net_pcap",
			 0);
		end_ready(&e);
		receive(&e, N_FRAMES);
		nothing_more(&e);
		while (e.sent < N_FRAMES)
			send_some(&e, BURST, NULL);
		kbp_port_info(e.port, &info);
		end_close(&e);
		capture_read(PLACE "/out.pcap", info.mac);
	}
}

static void net_pcap_reads_one_file_and_writes_another(void **state)
{
	(void)state;
	child_run(pcap);
}

/* ---------------------------------------------------------------- with the kernel at the other end */

static void tap(void)
{
	has_places();
	if (access("/dev/net/tun", R_OK | W_OK))
		child_skip("/dev/net/tun: %s", strerror(errno));
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct peer p;
		struct end e;

		end_open(&e, "net_tap0", "devargs=iface=kbptap0", "net_tap", 0);
		end_ready(&e);
		peer_open(&p, "kbptap0", &e);
		pass_from_peer(&p, &e);
		pass_to_peer(&e, &p);
		close(p.fd);
		end_close(&e);
	}
}

static void net_tap_passes_to_and_from_the_kernel(void **state)
{
	(void)state;
	child_run(tap);
}

/* Another process sends; each frame is a signal to this one, because net_tap asks for it. */
static void tap_wakes(void)
{
	struct peer p;
	struct end e;
	int status;
	pid_t pid;

	has_places();
	if (access("/dev/net/tun", R_OK | W_OK))
		child_skip("/dev/net/tun: %s", strerror(errno));
	end_open(&e, "net_tap0", "devargs=iface=kbptap0", "net_tap", 0);
	end_ready(&e);
	peer_open(&p, "kbptap0", &e);
	pid = fork();
	must(pid >= 0, "%s", strerror(errno));
	for (uint32_t i = 0; !pid && i < BURST; i++) {
		uint8_t frame[1600];
		uint32_t len = craft(frame, i);

		nap_ms(20);
		must(netns_packet_send(p.fd, frame, len), "%s", strerror(errno));
	}
	if (!pid)
		_exit(0);
	while (e.got < BURST) {
		int n = kbp_wait(&e.q, 1, LIMIT_S * 1000000000ll);

		must(n == 1, "waiting for number %u: %d", e.got, n);
		poll_once(&e);
	}
	must(waitpid(pid, &status, 0) == pid && !status, "the other process: %x", status);
	close(p.fd);
	end_close(&e);
}

static void waiting_on_net_tap_ends_with_a_frame_and_not_with_its_signal(void **state)
{
	(void)state;
	child_run(tap_wakes);
}

static void has_veth(void)
{
	const char *why;

	has_places();
	why = netns_veth("kt0", "kt1", 1500, 1);
	if (why)
		child_skip("%s", why);
}

static void over_veth(const char *args, const char *driver)
{
	struct peer p;
	struct end e;

	end_open(&e, "kt0", args, driver, 0);
	end_ready(&e);
	peer_open(&p, "kt1", &e);
	pass_from_peer(&p, &e);
	pass_to_peer(&e, &p);
	close(p.fd);
	end_close(&e);
}

static void af_packet(void)
{
	has_veth();
	for (unsigned i = 0; i < N_ROUNDS; i++)
		over_veth(NULL, "net_af_packet");
}

static void net_af_packet_passes_over_an_interface(void **state)
{
	(void)state;
	child_run(af_packet);
}

/* DPDK 22.11 keeps the memory of its sockets until the process ends, and a second one crashes in it. */
static void af_xdp(void)
{
	struct end e;
	int rc;

	has_veth();
	over_veth("pmd=af_xdp", "net_af_xdp");
	port_open(&e, "kt0", "pmd=af_xdp");
	rc = kbp_queue_open(e.port, NULL, &e.q, &err);
	must(rc == -EBUSY && !e.q && err.code == -EBUSY, "%d: %s: %s", rc, err.step, err.hint);
	must(strstr(err.step, "kt0") && strstr(err.hint, "net_af_xdp keeps an interface"), "%s: %s",
	     err.step, err.hint);
	ok(kbp_port_close(e.port, &err));
}

static void net_af_xdp_passes_over_an_interface_once_and_says_why(void **state)
{
	(void)state;
	child_run(af_xdp);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_ring_brings_back_what_it_is_given),
		cmocka_unit_test(net_memif_passes_both_ways_between_two_ports_of_a_process),
		cmocka_unit_test(a_name_that_net_memif_keeps_taken_is_told),
		cmocka_unit_test(net_vhost_and_net_virtio_user_pass_both_ways),
		cmocka_unit_test(each_sent_frame_completes_when_more_is_sent),
		cmocka_unit_test(a_template_arrives_as_often_as_it_is_sent),
		cmocka_unit_test(net_pcap_reads_one_file_and_writes_another),
		cmocka_unit_test(net_tap_passes_to_and_from_the_kernel),
		cmocka_unit_test(waiting_on_net_tap_ends_with_a_frame_and_not_with_its_signal),
		cmocka_unit_test(net_af_packet_passes_over_an_interface),
		cmocka_unit_test(net_af_xdp_passes_over_an_interface_once_and_says_why),
	};

	if (argc != 2)
		return 2;
	if (geteuid()) {
		printf("SKIP: network namespaces and interfaces of its own: run as root\n");
		return TEST_SKIP;
	}
	modules = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
