/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_packet.c - a kernel interface as the wire: a packet socket with a ring shared with the
 * kernel (packet(7), PACKET_RX_RING, TPACKET_V2). Frames leave by send, past the queueing
 * discipline.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_BYTES (1u << 18)
#define RING_FRAMES 4096u      /* for frames of up to 2 KiB */
#define RING_BYTES (16u << 20) /* for longer ones */
#define HEAD_BYTES 128u	       /* what the kernel puts in front of a frame, generously */

struct sn_packet {
	int fd;
	uint8_t *ring;
	size_t bytes;
	uint32_t frame_bytes, frames, at;
	bool only_udp;
	struct tpacket2_hdr *taken; /* the frame in rx_frame came from here */
};

_Static_assert(sizeof(struct tpacket2_hdr) % TPACKET_ALIGNMENT == 0, "an address follows at once");

static struct tpacket2_hdr *slot_at(const struct sn_packet *k, uint32_t i)
{
	/* blocks hold a whole number of frames: the ring is one array */
	return (struct tpacket2_hdr *)(void *)(k->ring + (size_t)i * k->frame_bytes);
}

/* ---------------------------------------------------------------- opening */

static int read_interface(struct sn_nic *nic, int fd)
{
	struct ifreq ifr = { .ifr_ifindex = 0 };

	memcpy(ifr.ifr_name, nic->name, sizeof(nic->name));
	if (ioctl(fd, SIOCGIFMTU, &ifr))
		return -errno;
	nic->mtu = (unsigned)ifr.ifr_mtu;
	if (nic->mtu > SN_FRAME_MAX - 18)
		nic->mtu = SN_FRAME_MAX - 18;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		return -errno;
	memcpy(nic->mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

static int map_ring(struct sn_nic *nic, struct sn_packet *k)
{
	int version = TPACKET_V2;
	struct tpacket_req req;

	k->frame_bytes = 2048;
	while (k->frame_bytes < nic->mtu + 18 + HEAD_BYTES)
		k->frame_bytes *= 2;
	k->frames = k->frame_bytes == 2048 ? RING_FRAMES : RING_BYTES / k->frame_bytes;
	k->bytes = (size_t)k->frames * k->frame_bytes;
	req = (struct tpacket_req){ .tp_block_size = BLOCK_BYTES,
				    .tp_block_nr = (unsigned)(k->bytes / BLOCK_BYTES),
				    .tp_frame_size = k->frame_bytes,
				    .tp_frame_nr = k->frames };
	if (setsockopt(k->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(k->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return -errno;
	k->ring = mmap(NULL, k->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
	if (k->ring == MAP_FAILED) {
		k->ring = NULL;
		return -errno;
	}
	return 0;
}

int sn_packet_open(struct sn_nic *nic)
{
	struct packet_mreq all = { .mr_ifindex = nic->ifindex, .mr_type = PACKET_MR_PROMISC };
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = nic->ifindex };
	struct sn_packet *k = calloc(1, sizeof(*k));
	int on = 1, rc;

	if (!k)
		return -ENOMEM;
	/* protocol 0: nothing is received before it is bound to its interface */
	k->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = k->fd < 0 ? -errno : read_interface(nic, k->fd);
	if (!rc)
		rc = map_ring(nic, k);
	if (!rc) {
		/* the first two are kinder, not needed: see packet_wanted and sn_packet_send */
		setsockopt(k->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
		setsockopt(k->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
		if (setsockopt(k->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) ||
		    bind(k->fd, (struct sockaddr *)&ll, sizeof(ll)))
			rc = -errno;
	}
	nic->packet = k;
	if (rc)
		sn_packet_close(nic);
	return rc;
}

void sn_packet_close(struct sn_nic *nic)
{
	struct sn_packet *k = nic->packet;

	if (!k)
		return;
	if (k->ring) {
		sn_packet_count(nic);
		munmap(k->ring, k->bytes);
	}
	if (k->fd >= 0)
		close(k->fd);
	free(k);
	nic->packet = NULL;
}

int sn_packet_fd(struct sn_nic *nic)
{
	return nic->packet ? nic->packet->fd : -1;
}

void sn_packet_count(struct sn_nic *nic)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	/* the kernel begins anew with each reading */
	if (nic->packet && !getsockopt(nic->packet->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		sn_add(&nic->c.wire_dropped, st.tp_drops);
}

/* Headers of the kernel's copy are untagged; a second tag is let through. IPv6 with extension headers too,
 * but for those that begin neighbour discovery and group reports. */
void sn_packet_only_udp(struct sn_nic *nic, bool only)
{
	enum { IPV4_PROTO = 23, IPV6_NEXT = 20, ALL = 0x40000, NEXT_HOP_BY_HOP = 0 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021Q, 8, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV4_PROTO),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 4, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_NEXT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NEXT_HOP_BY_HOP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, ALL),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	int none = 0;

	if (!nic->packet || nic->packet->only_udp == only)
		return;
	nic->packet->only_udp = only;
	if (only)
		setsockopt(nic->packet->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		setsockopt(nic->packet->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}

/* ---------------------------------------------------------------- receiving */

bool sn_packet_pending(struct sn_nic *nic)
{
	const struct sn_packet *k = nic->packet;

	/* pairs with the kernel's barrier in front of its write of the status */
	return sn_acquire(&slot_at(k, sn_load(&k->at))->tp_status) & TP_STATUS_USER;
}

static bool packet_wanted(const struct tpacket2_hdr *h)
{
	const struct sockaddr_ll *ll =
		(const struct sockaddr_ll *)(const void *)((const uint8_t *)h + sizeof(*h));

	return ll->sll_pkttype != PACKET_OUTGOING;
}

/* As the wire would have carried it: with its VLAN tag and its checksums. */
static void packet_copy(struct sn_nic *nic, const struct tpacket2_hdr *h, struct sn_rx *rx)
{
	const uint8_t *from = (const uint8_t *)h + h->tp_mac;
	uint32_t len = h->tp_snaplen, head = 0;

	rx->frame = nic->rx_frame;
	rx->flags = 0;
	rx->ns = nic->manual ? sn_now(nic) : (uint64_t)h->tp_sec * SN_NS + h->tp_nsec;
	if (h->tp_status & TP_STATUS_VLAN_VALID && len >= 12) {
		uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid :
									   ETH_P_8021Q;

		memcpy(rx->frame, from, 12);
		rx->frame[12] = (uint8_t)(tpid >> 8);
		rx->frame[13] = (uint8_t)tpid;
		rx->frame[14] = (uint8_t)(h->tp_vlan_tci >> 8);
		rx->frame[15] = (uint8_t)h->tp_vlan_tci;
		head = 16;
		from += 12;
		len -= 12;
	}
	memcpy(rx->frame + head, from, len);
	rx->len = head + len;
	if (h->tp_status & TP_STATUS_CSUMNOTREADY)
		sn_frame_checksum(rx->frame, rx->len, false, true);
}

bool sn_packet_take(struct sn_nic *nic, struct sn_rx *rx)
{
	struct sn_packet *k = nic->packet;

	while (k && sn_packet_pending(nic)) {
		struct tpacket2_hdr *h = slot_at(k, k->at);
		bool wanted = packet_wanted(h);

		/* segments that a NIC would still have to cut are no frames of a wire */
		if (wanted && (h->tp_len > nic->mtu + 18 || h->tp_len != h->tp_snaplen)) {
			sn_add(&nic->c.wire_oversize, 1);
			sn_add(&nic->c.wire_rx, 1);
			wanted = false;
		}
		if (wanted)
			packet_copy(nic, h, rx);
		/* the kernel may write there again: release, after all reads */
		sn_release(&h->tp_status, TP_STATUS_KERNEL);
		sn_store(&k->at, (k->at + 1) % k->frames);
		if (wanted)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- sending */

int sn_packet_send(struct sn_nic *nic, const uint8_t *frame, uint32_t len)
{
	if (!nic->packet)
		return -ENODEV;
	if (send(nic->packet->fd, frame, len, MSG_DONTWAIT) == (ssize_t)len)
		return 0;
	return errno == ENOBUFS || errno == EAGAIN ? -EAGAIN : -errno;
}
