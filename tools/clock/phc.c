/* SPDX-License-Identifier: BSD-2-Clause */
/* phc.c - reading a NIC's clock. The requests are those of linux/ptp_clock.h. */
#include "phc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SAMPLES 5u
/* The clock id of an open PHC: clock_getres(2), "dynamic clocks". */
#define FD_TO_CLOCKID(fd) ((clockid_t)((((unsigned)~(fd)) << 3) | 3u))

static uint64_t real_list(void)
{
	DIR *d = opendir("/dev");
	struct dirent *e;
	uint64_t mask = 0;
	unsigned n;
	char end;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		if (sscanf(e->d_name, "ptp%u%c", &n, &end) == 1 && n < KBP_PHC_MAX)
			mask |= 1ull << n;
	closedir(d);
	return mask;
}

static int real_open(int phc)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/ptp%d", phc);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void real_close(int fd)
{
	close(fd);
}

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static int real_gettime(int fd, struct timespec *t)
{
	return clock_gettime(FD_TO_CLOCKID(fd), t) ? -errno : 0;
}

static int32_t real_index(const char *interface)
{
	struct ethtool_ts_info info = { .cmd = ETHTOOL_GET_TS_INFO };
	struct ifreq req;
	int fd, rc;

	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", interface);
	req.ifr_data = (void *)&info;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	rc = ioctl(fd, SIOCETHTOOL, &req);
	close(fd);
	return rc ? -1 : info.phc_index;
}

static const struct kbp_phc_ops real = { real_list,  real_open,	   real_close,
					 real_ioctl, real_gettime, real_index };
static const struct kbp_phc_ops *ops = &real;

void kbp_phc_set_ops(const struct kbp_phc_ops *other)
{
	ops = other ? other : &real;
}

uint64_t kbp_phc_list(void)
{
	return ops->list();
}

int kbp_phc_open(int phc)
{
	return ops->open(phc);
}

void kbp_phc_close(int fd)
{
	if (fd >= 0)
		ops->close(fd);
}

int kbp_phc_gettime(int fd, uint64_t *ns)
{
	struct timespec t;
	int rc = ops->gettime(fd, &t);

	if (!rc)
		*ns = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
	return rc;
}

/* ---------------------------------------------------------------- readings */

static uint64_t stamp(const struct ptp_clock_time *t)
{
	return (uint64_t)t->sec * NS_PER_S + t->nsec;
}

/* The PHC was read between these two of the system's clock. Keeps the tightest. */
static void between(uint64_t before, uint64_t phc, uint64_t after, struct kbp_phc_reading *r)
{
	uint64_t half = (after - before) / 2;

	if (after < before || half >= r->error_ns)
		return;
	r->phc_ns = phc;
	r->sys_ns = before + half;
	r->error_ns = half + 1;
}

/* Both clocks latched by hardware at one moment: what is left is their resolution. */
static int read_precise(int fd, struct kbp_phc_reading *r)
{
	struct ptp_sys_offset_precise p;
	int rc;

	memset(&p, 0, sizeof(p));
	rc = ops->ioctl(fd, PTP_SYS_OFFSET_PRECISE, &p);
	if (rc)
		return rc;
	r->phc_ns = stamp(&p.device);
	r->sys_ns = stamp(&p.sys_realtime);
	r->error_ns = 1;
	r->how = "precise";
	return 0;
}

static int read_extended(int fd, struct kbp_phc_reading *r)
{
	struct ptp_sys_offset_extended e;
	int rc;

	memset(&e, 0, sizeof(e));
	e.n_samples = SAMPLES;
	rc = ops->ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < SAMPLES; i++)
		between(stamp(&e.ts[i][0]), stamp(&e.ts[i][1]), stamp(&e.ts[i][2]), r);
	r->how = "extended";
	return 0;
}

/* system, PHC, system, PHC, ..., system */
static int read_plain(int fd, struct kbp_phc_reading *r)
{
	struct ptp_sys_offset o;
	int rc;

	memset(&o, 0, sizeof(o));
	o.n_samples = SAMPLES;
	rc = ops->ioctl(fd, PTP_SYS_OFFSET, &o);
	if (rc)
		return rc;
	for (size_t i = 0; i < SAMPLES; i++)
		between(stamp(&o.ts[2 * i]), stamp(&o.ts[2 * i + 1]), stamp(&o.ts[2 * i + 2]), r);
	r->how = "offset";
	return 0;
}

int kbp_phc_read(int fd, struct kbp_phc_reading *r)
{
	int rc;

	memset(r, 0, sizeof(*r));
	r->error_ns = UINT64_MAX;
	rc = read_precise(fd, r);
	if (rc)
		rc = read_extended(fd, r);
	if (rc)
		rc = read_plain(fd, r);
	if (!rc && r->error_ns == UINT64_MAX)
		rc = -ERANGE; /* the system's clock was set between each two */
	return rc;
}

/* ---------------------------------------------------------------- whose clock */

int32_t kbp_phc_of(const char *interface)
{
	return ops->index(interface);
}

static bool has_mac(int fd, const char *interface, const uint8_t mac[6])
{
	struct ifreq req;

	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", interface);
	return !ioctl(fd, SIOCGIFHWADDR, &req) && !memcmp(req.ifr_hwaddr.sa_data, mac, 6);
}

bool kbp_phc_interface_has(const char *interface, const uint8_t mac[6])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && has_mac(fd, interface, mac);

	if (fd >= 0)
		close(fd);
	return has;
}

void kbp_phc_interface_of(const uint8_t mac[6], char interface[16])
{
	struct if_nameindex *list = if_nameindex();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	interface[0] = '\0';
	for (struct if_nameindex *i = list; fd >= 0 && i && i->if_index; i++) {
		if (has_mac(fd, i->if_name, mac)) {
			snprintf(interface, 16, "%s", i->if_name);
			break;
		}
	}
	if (fd >= 0)
		close(fd);
	if (list)
		if_freenameindex(list);
}

bool kbp_phc_now(enum kbp_epoch epoch, int32_t phc, uint64_t *ns)
{
	int fd, rc;

	if (epoch == KBP_EPOCH_UTC) {
		*ns = kbp_clock_ns(CLOCK_REALTIME);
		return true;
	}
	if (epoch != KBP_EPOCH_PHC || phc < 0)
		return false;
	fd = kbp_phc_open(phc);
	if (fd < 0)
		return false;
	rc = kbp_phc_gettime(fd, ns);
	kbp_phc_close(fd);
	return !rc;
}
