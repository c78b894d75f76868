/* SPDX-License-Identifier: BSD-2-Clause */
/* A NIC attached to one end of a veth pair; the other end is the test's raw socket. */
#include "../lib/test.h"

#include "../lib/frame.h"
#include "../lib/netns.h"

#include <arpa/inet.h>
#include <etherfabric/pd.h>
#include <etherfabric/memreg.h>
#include <etherfabric/vi.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <softnic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEAR "nicnear"
#define FAR "nicfar"
#define BUFS 64u
#define NEAR_IP 0x0a4d0001u

static struct {
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;
	ef_memreg mr;
	uint8_t *mem;
	int peer;
} t;

static ef_addr addr(unsigned i)
{
	return ef_memreg_dma_addr(&t.mr, (size_t)i * 2048);
}

static void options(const char *words)
{
	char why[200] = "";

	if (softnic_options(NEAR, words, why, sizeof(why)))
		fail_msg("%s: %s", words, why);
}

static struct softnic_info info(void)
{
	struct softnic_info i;

	assert_int_equal(softnic_info_get(NEAR, &i), 0);
	return i;
}

static void open_nic(unsigned flags)
{
	ef_filter_spec fs;

	assert_int_equal(ef_driver_open(&t.dh), 0);
	assert_int_equal(ef_pd_alloc_by_name(&t.pd, t.dh, NEAR, EF_PD_DEFAULT), 0);
	assert_true(ef_vi_alloc_from_pd(&t.vi, t.dh, &t.pd, t.dh, -1, -1, -1, NULL, -1,
					(enum ef_vi_flags)flags) >= 0);
	assert_int_equal(ef_memreg_alloc(&t.mr, t.dh, &t.pd, t.dh, t.mem, BUFS * 2048), 0);
	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	ef_filter_spec_set_ip4_local(&fs, 17, htonl(NEAR_IP), htons(5000));
	assert_int_equal(ef_vi_filter_add(&t.vi, t.dh, &fs, NULL), 0);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(ef_vi_receive_post(&t.vi, addr(i), (ef_request_id)i), 0);
}

static int begin(void **state)
{
	(void)state;
	t.peer = netns_packet_open(FAR);
	assert_true(t.peer >= 0);
	t.mem = mmap(NULL, BUFS * 2048, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	options("nic=sfn8522,step=poll,clock=host,check=on");
	assert_int_equal(softnic_faults_clear(NEAR), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (t.vi.softnic) {
		assert_int_equal(ef_vi_free(&t.vi, t.dh), 0);
		assert_int_equal(ef_memreg_free(&t.mr, t.dh), 0);
		assert_int_equal(ef_pd_free(&t.pd, t.dh), 0);
		assert_int_equal(ef_driver_close(t.dh), 0);
	}
	munmap(t.mem, BUFS * 2048);
	close(t.peer);
	memset(&t, 0, sizeof(t));
	return 0;
}

static uint32_t udp(uint8_t *frame, uint32_t dst, uint16_t port, uint32_t len)
{
	static const uint8_t payload[2000] = "payload";
	struct frame_addr a = { .src_ip = 0x0a4d0002,
				.dst_ip = dst,
				.src_port = 4000,
				.dst_port = port };

	netns_mac(NEAR, a.dst_mac);
	netns_mac(FAR, a.src_mac);
	return frame_udp(frame, &a, payload, len);
}

static void peer_sends(const uint8_t *frame, uint32_t len)
{
	assert_true(netns_packet_send(t.peer, frame, len));
}

/* Polls until an event came; gives up after very many. */
static int poll_for(ef_event *evs, int want)
{
	int got = 0;

	for (unsigned tries = 0; got < want && tries < 200000; tries++) {
		got += ef_eventq_poll(&t.vi, evs + got, want - got < 2 ? 2 : want - got);
		if (tries % 100 == 99)
			usleep(1000);
	}
	return got;
}

static void frames_of_the_kernels_wire_arrive(void **state)
{
	uint8_t frame[1514];
	uint32_t len = udp(frame, NEAR_IP, 5000, 100);
	ef_event evs[8];

	(void)state;
	open_nic(0);
	assert_true(info().attached);
	assert_int_equal(info().ifindex, if_nametoindex(NEAR));
	assert_int_equal(info().mtu, 1500);
	peer_sends(frame, len);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), len);
	assert_memory_equal(t.mem, frame, len);
}

static void short_frames_are_padded_as_a_wire_would(void **state)
{
	uint8_t frame[64];
	ef_event evs[8];

	(void)state;
	open_nic(0);
	peer_sends(frame, udp(frame, NEAR_IP, 5000, 1));
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), 60);
}

static void a_vlan_tag_is_put_back(void **state)
{
	uint8_t frame[200];
	uint32_t len = udp(frame, NEAR_IP, 5000, 100);
	ef_event evs[8];

	(void)state;
	open_nic(0);
	memmove(frame + 16, frame + 12, len - 12);
	frame_be16(frame + 12, 0x8100);
	frame_be16(frame + 14, 7);
	peer_sends(frame, len + 4);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_RX_BYTES(evs[0]), len + 4);
	assert_memory_equal(t.mem, frame, len + 4);
}

static void checksum_offload_on(const char *ifname)
{
	struct ethtool_value on = { .cmd = ETHTOOL_STXCSUM, .data = 1 };
	struct ifreq ifr = { .ifr_data = (void *)&on };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
}

/* Sent by the kernel itself, which leaves the checksum to a NIC that is not there. */
static void a_checksum_left_open_is_completed(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(5000),
				  .sin_addr.s_addr = htonl(0x0a580001) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ef_filter_spec fs;
	ef_event evs[8];

	(void)state;
	open_nic(0);
	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	ef_filter_spec_set_ip4_local(&fs, 17, to.sin_addr.s_addr, to.sin_port);
	assert_int_equal(ef_vi_filter_add(&t.vi, t.dh, &fs, NULL), 0);
	checksum_offload_on(FAR);
	assert_int_equal(netns_run("ip addr add 10.88.0.2/24 dev " FAR
				   " && ip neigh add 10.88.0.1 lladdr 02:00:00:00:00:55 dev " FAR),
			 0);
	assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_true(frame_checksums_ok(t.mem, EF_EVENT_RX_BYTES(evs[0])));
	assert_memory_equal(t.mem + 42, "hello", 5);
	close(fd);
}

static void sent_frames_reach_the_other_end(void **state)
{
	ef_request_id ids[EF_VI_TRANSMIT_BATCH];
	uint8_t got[2048];
	uint32_t len;
	ef_event evs[8];

	(void)state;
	open_nic(0);
	len = udp(t.mem + 40 * 2048, 0x0a4d0002, 6000, 100);
	memset(t.mem + 40 * 2048 + 40, 0, 2);
	assert_int_equal(ef_vi_transmit(&t.vi, addr(40), (int)len, 40), 0);
	assert_int_equal(netns_packet_recv(t.peer, got, sizeof(got), 5000), len);
	assert_true(frame_checksums_ok(got, len));
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_int_equal(ef_vi_transmit_unbundle(&t.vi, &evs[0], ids), 1);
	assert_int_equal(info().violations, 0);
}

static void own_frames_do_not_come_back(void **state)
{
	uint8_t got[2048];
	uint64_t before = info().wire_rx;
	ef_event evs[8];

	(void)state;
	open_nic(0);
	/* addressed to itself: a wire would carry it away all the same */
	assert_int_equal(ef_vi_transmit(&t.vi, addr(40),
					(int)udp(t.mem + 40 * 2048, NEAR_IP, 5000, 100), 40),
			 0);
	assert_int_equal(netns_packet_recv(t.peer, got, sizeof(got), 5000), 142);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_int_equal(info().wire_rx, before);
}

static void the_kernel_goes_on_seeing_its_frames(void **state)
{
	uint8_t frame[1514];
	uint32_t len = udp(frame, NEAR_IP, 5000, 5);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(5000) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	open_nic(0);
	peer_sends(frame, len);
	assert_int_equal(poll(&p, 1, 5000), 1);
	close(fd);
}

static void frames_wait_in_the_kernels_ring_until_they_are_polled(void **state)
{
	uint8_t frame[1514];
	uint32_t len = udp(frame, NEAR_IP, 5000, 100);
	ef_event evs[8];
	unsigned got = 0;

	(void)state;
	open_nic(0);
	for (unsigned i = 0; i < 200; i++)
		peer_sends(frame, len);
	/* 32 buffers, reposted at once: nothing is lost */
	while (got < 200) {
		int k = poll_for(evs, 2);

		assert_true(k > 0);
		for (int i = 0; i < k; i++, got++)
			assert_int_equal(ef_vi_receive_post(&t.vi, addr(EF_EVENT_RX_RQ_ID(evs[i])),
							    (ef_request_id)EF_EVENT_RX_RQ_ID(evs[i])),
					 0);
	}
	assert_int_equal(info().rx_no_desc, 0);
}

static void the_kernels_drops_are_counted(void **state)
{
	uint8_t frame[1514];
	uint32_t len = udp(frame, NEAR_IP, 5000, 18);
	uint64_t before = info().wire_dropped;

	(void)state;
	open_nic(0);
	for (unsigned i = 0; i < 5000; i++)
		peer_sends(frame, len);
	usleep(100000);
	assert_in_range(info().wire_dropped - before, 5000 - 4096, 5000);
}

static void nothing_is_received_without_a_vi(void **state)
{
	uint8_t frame[64];
	uint32_t len = udp(frame, NEAR_IP, 5000, 18);
	uint64_t before = info().wire_rx;
	ef_event evs[8];

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		peer_sends(frame, len);
	usleep(20000);
	open_nic(0);
	assert_int_equal(ef_eventq_poll(&t.vi, evs, 8), 0);
	assert_int_equal(info().wire_rx, before);
}

static void stamps_are_the_kernels(void **state)
{
	uint8_t frame[64];
	struct timespec now;
	ef_precisetime ts;
	ef_event evs[8];

	(void)state;
	open_nic(EF_VI_RX_TIMESTAMPS);
	(void)ef_eventq_poll(&t.vi, evs, 8);
	peer_sends(frame, udp(frame, NEAR_IP, 5000, 18));
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(ef_vi_receive_get_precise_timestamp(&t.vi, t.mem, &ts), 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - ts.tv_sec, 0, 60);
}

static bool waits(void)
{
	struct pollfd p = { .fd = t.dh, .events = POLLIN };

	return poll(&p, 1, 10000) == 1;
}

static void a_sleeper_is_woken_by_the_kernels_ring(void **state)
{
	uint8_t frame[64];
	uint32_t len = udp(frame, NEAR_IP, 5000, 18);
	ef_event evs[8];

	(void)state;
	for (unsigned thread = 0; thread < 2; thread++) {
		options(thread ? "step=thread" : "step=poll");
		open_nic(0);
		for (unsigned i = 0; i < 20; i++) {
			int k = 0;

			assert_int_equal(ef_vi_prime(&t.vi, t.dh, ef_eventq_current(&t.vi)), 0);
			peer_sends(frame, len);
			while (!k) {
				assert_true(waits());
				k = ef_eventq_poll(&t.vi, evs, 8);
				if (!k)
					assert_int_equal(ef_vi_prime(&t.vi, t.dh,
								     ef_eventq_current(&t.vi)),
							 0);
			}
		}
		if (!thread)
			assert_int_equal(end(state) + begin(state), 0);
	}
}

static void an_interface_that_goes_down_loses_what_is_sent(void **state)
{
	uint64_t before = info().wire_tx_dropped;
	uint8_t frame[64];
	ef_event evs[8];

	(void)state;
	open_nic(0);
	assert_int_equal(netns_run("ip link set " NEAR " down"), 0);
	assert_int_equal(ef_vi_transmit(&t.vi, addr(40),
					(int)udp(t.mem + 40 * 2048, 0x0a4d0002, 6000, 18), 40),
			 0);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
	assert_int_equal(info().wire_tx_dropped - before, 1);
	assert_int_equal(netns_run("ip link set " NEAR " up"), 0);
	usleep(50000);
	peer_sends(frame, udp(frame, NEAR_IP, 5000, 18));
	assert_int_equal(poll_for(evs, 1), 1);
}

static void a_removed_interface_is_survived(void **state)
{
	ef_event evs[8];

	(void)state;
	open_nic(0);
	assert_int_equal(netns_run("ip link del " NEAR), 0);
	assert_int_equal(ef_vi_transmit(&t.vi, addr(40), 60, 40), 0);
	assert_int_equal(poll_for(evs, 1), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_TX);
}

static void without_the_capability_it_is_eperm(void **state)
{
	ef_driver_handle dh;
	pid_t child;
	ef_pd pd;
	int status;

	(void)state;
	child = fork();
	if (!child) {
		/* a user without capabilities */
		if (setgid(65534) || setuid(65534) || ef_driver_open(&dh))
			_exit(100);
		_exit(-ef_pd_alloc_by_name(&pd, dh, NEAR, EF_PD_DEFAULT));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(frames_of_the_kernels_wire_arrive),
		T(short_frames_are_padded_as_a_wire_would),
		T(a_vlan_tag_is_put_back),
		T(a_checksum_left_open_is_completed),
		T(sent_frames_reach_the_other_end),
		T(own_frames_do_not_come_back),
		T(the_kernel_goes_on_seeing_its_frames),
		T(frames_wait_in_the_kernels_ring_until_they_are_polled),
		T(the_kernels_drops_are_counted),
		T(nothing_is_received_without_a_vi),
		T(stamps_are_the_kernels),
		T(a_sleeper_is_woken_by_the_kernels_ring),
		T(an_interface_that_goes_down_loses_what_is_sent),
		cmocka_unit_test(without_the_capability_it_is_eperm),
		T(a_removed_interface_is_survived),
	};
	const char *why = netns_enter();

	if (!why)
		why = netns_veth(NEAR, FAR, 1500, 1);
	if (why) {
		printf("SKIP: %s\n", why);
		return TEST_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
