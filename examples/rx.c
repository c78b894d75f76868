// SPDX-License-Identifier: BSD-2-Clause
/* rx.c - print datagrams received by any backend: rx [-n N] BACKEND IFACE FLOW... */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kbypass/hot.h>

#define MAX_QUEUES 64

static volatile sig_atomic_t stop;
static long left = -1; /* datagrams still to print; negative: no end */

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int fail(const struct kbp_error *err)
{
	fprintf(stderr, "rx: %s: %s\n", err->step, err->hint);
	return 2;
}

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "";
	struct kbp_datagram d;

	(void)arg;
	if (kbp_datagram(rx.q, &f, &d) != KBP_PARSE_OK)
		return KBP_DONE;
	inet_ntop(d.src.family, d.src.bytes, src, sizeof(src));
	inet_ntop(d.dst.family, d.dst.bytes, dst, sizeof(dst));
	printf("%s port %u > %s port %u: %u bytes\n", src, d.src_port, dst, d.dst_port, d.total_len);
	if (left > 0 && --left == 0)
		stop = 1;
	return stop ? KBP_DONE | KBP_STOP : KBP_DONE;
}

static int receive(struct kbp_queue **q, unsigned n)
{
	static const char *const states[] = { "up",	     "link down",    "interface removed",
					      "events lost", "device reset", "XDP program replaced" };
	while (!stop) {
		int rc = kbp_wait(q, n, 200000000);

		if (rc < 0 && rc != -EINTR)
			return fprintf(stderr, "rx: wait: %s\n", strerror(-rc)), 2;
		for (unsigned i = 0; i < n && !stop; i++) {
			enum kbp_queue_state state = kbp_queue_state(q[i]);

			if (state != KBP_QUEUE_UP && state != KBP_QUEUE_LINK_DOWN) {
				fprintf(stderr, "rx: queue %u: %s\n", i, states[state]);
				return 1;
			}
			kbp_rx_each(kbp_rx_of(q[i]), 32, on_frame, NULL);
		}
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct kbp_queue_opts qo = KBP_QUEUE_OPTS_INIT;
	struct kbp_queue *q[MAX_QUEUES];
	struct kbp_port *port;
	struct kbp_error err;
	struct kbp_flow flow;
	int c, n, rc;

	while ((c = getopt(argc, argv, "n:")) != -1)
		if (c != 'n' || (left = atol(optarg)) <= 0)
			return fprintf(stderr, "rx: -n wants a number above 0\n"), 2;
	if (argc - optind < 3)
		return fprintf(stderr, "usage: rx [-n N] BACKEND IFACE FLOW...\n"), 2;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (kbp_port_open(argv[optind], argv[optind + 1], NULL, &port, &err))
		return fail(&err);
	qo.flags = KBP_QUEUE_RX;
	n = kbp_queues_open(port, &qo, q, MAX_QUEUES, &err);
	rc = n < 0 ? fail(&err) : 0;
	for (int i = optind + 2; !rc && i < argc; i++)
		if (kbp_flow_parse(argv[i], &flow, &err) || kbp_flow_add(q[0], &flow, NULL, &err))
			rc = fail(&err);
	if (!rc)
		rc = receive(q, (unsigned)n);
	for (int i = 0; i < n; i++)
		kbp_queue_close(q[i], KBP_CLOSE_FORCE, NULL);
	kbp_port_close(port, NULL);
	return rc;
}
