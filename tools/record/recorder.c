/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - the writer: takes records out of the ring, in order, waits a bounded time until later looks at the
 * clock tell what each stamp was worth, and gives them to the file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "lib/internal.h"
#include "tools/record/parts.h"

#define RING_BYTES (64ull << 20)
#define RING_BYTES_MIN (1ull << 20) /* several of the largest packets */
#define RING_BYTES_MAX (1ull << 36)
#define FLUSH_MS 200u
#define JUDGE_MS 2500u /* a ptp4l with one sync message a second, which may miss one */
#define KEEP_MAX 65536u
#define ROTATE_BYTES_MIN 4096u
#define EMPTY_NS 500000u    /* between looks at an empty ring */
#define WAITING_NS 5000000u /* ... and at a packet whose clock is not settled */
#define PROOF_NS 10000000u  /* between questions whether a source has been proven */
#define HEADERS_MAX 48u	    /* IPv6 and UDP */
#define TTL 64u

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- what a packet's time is worth */

/* Whose stamps a queue gives may show with the first one only (a socket's: the NIC's or the kernel's), so what is
 * believed of a stamp has to be asked after it came. */
static void source_refresh(const struct kbp_recorder *rec, struct kbp_rec_source *s,
			   const struct kbp_rec_head *h, uint64_t now_ns)
{
	struct kbp_queue_info info;
	bool same;

	if (!s->q || (s->ts_proof == KBP_PROVEN && s->clock_asked))
		return;
	if (s->looked_ns > h->mono_ns && now_ns - s->looked_ns < PROOF_NS)
		return;
	s->looked_ns = now_ns;
	kbp_queue_info(s->q, &info);
	same = s->clock_asked && s->ts_epoch == info.ts_epoch && s->ts_phc == info.ts_phc;
	s->ts_source = info.ts_source;
	s->ts_proof = info.ts_proof;
	s->ts_epoch = info.ts_epoch;
	s->ts_phc = info.ts_phc;
	s->ts_resolution_ps = info.ts_resolution_ps;
	if (!same && rec->o.clock_of)
		s->clock = info.ts_source == KBP_TS_NONE ?
				   NULL :
				   rec->o.clock_of(rec->o.clock_arg, info.ts_epoch, info.ts_phc);
	s->clock_asked = true;
}

/* As kbp_stamp_claim does: what the device says of its own clock can only take away. */
static void claim_of_stamp(const struct kbp_rec_source *s, const struct kbp_rec_head *h,
			   struct kbp_claim *c)
{
	enum kbp_sync device = (h->ts_flags & KBP_FRAME_DEVICE_MASK) >> KBP_FRAME_DEVICE_SHIFT;

	if (s->clock) {
		kbp_clock_judge(s->clock, h->ts_ns, c);
		if (device == KBP_SYNC_NOT && c->sync == KBP_SYNC_IN) {
			c->sync = KBP_SYNC_NOT;
			c->cause = KBP_CLOCK_UNSYNCHRONISED;
		}
	} else {
		c->sync = device;
		c->settled = true;
		c->cause = device == KBP_SYNC_IN  ? KBP_CLOCK_FINE :
			   device == KBP_SYNC_NOT ? KBP_CLOCK_UNSYNCHRONISED :
						    KBP_CLOCK_UNWATCHED;
		c->bound_ns = KBP_BOUND_UNKNOWN;
	}
	c->source = s->ts_source;
	c->proof = s->ts_proof;
	c->resolution_ps = s->ts_resolution_ps;
}

/* The device's stamp in UTC, or why not. */
static enum kbp_unused stamp_to_utc(const struct kbp_recorder *rec, const struct kbp_rec_source *s,
				    const struct kbp_rec_head *h, uint64_t *utc_ns,
				    uint64_t *error_ns)
{
	bool software = s->ts_source == KBP_TS_KERNEL;

	*error_ns = 0;
	*utc_ns = h->ts_ns;
	if (!software && s->ts_proof != KBP_PROVEN)
		return KBP_UNUSED_UNPROVEN;
	if (s->ts_epoch == KBP_EPOCH_UTC)
		return KBP_UNUSED_NONE;
	if (!rec->o.to_utc ||
	    rec->o.to_utc(rec->o.to_utc_arg, s->ts_epoch, s->ts_phc, h->ts_ns, utc_ns, error_ns))
		return KBP_UNUSED_NO_CONVERSION;
	return KBP_UNUSED_NONE;
}

static void claim_of_program(const struct kbp_recorder *rec, uint64_t ns, struct kbp_claim *c)
{
	struct timespec step;

	if (rec->o.utc) {
		kbp_clock_judge(rec->o.utc, ns, c);
	} else {
		c->settled = true;
		c->cause = KBP_CLOCK_UNWATCHED;
		c->bound_ns = KBP_BOUND_UNKNOWN;
	}
	if (!clock_getres(CLOCK_REALTIME, &step) && !step.tv_sec && step.tv_nsec <= 4000000)
		c->resolution_ps = (uint32_t)step.tv_nsec * 1000u;
}

/* Fills the time and its quality; false while waiting may still change them. */
static bool judge(const struct kbp_recorder *rec, struct kbp_rec_source *s,
		  const struct kbp_rec_head *h, uint64_t *utc_ns, struct kbp_quality *q)
{
	bool stamped = h->ts_flags & KBP_FRAME_TS && h->ts_ns && s->ts_source != KBP_TS_NONE;
	uint64_t error_ns = 0;

	memset(q, 0, sizeof(*q));
	*utc_ns = h->app_ns;
	if (stamped)
		q->unused = stamp_to_utc(rec, s, h, utc_ns, &error_ns);
	if (stamped && !q->unused) {
		claim_of_stamp(s, h, &q->claim);
		if (q->claim.bound_ns != KBP_BOUND_UNKNOWN)
			q->claim.bound_ns += error_ns;
		if (q->claim.verified_ns) /* was by the clock itself */
			q->claim.verified_ns = *utc_ns - (h->ts_ns - q->claim.verified_ns);
	} else {
		*utc_ns = h->app_ns;
		claim_of_program(rec, h->app_ns, &q->claim);
		if (q->unused) {
			q->unused_epoch = s->ts_epoch;
			q->unused_ns = h->ts_ns;
		}
	}
	q->claim.epoch = KBP_EPOCH_UTC;
	return q->claim.settled && q->unused != KBP_UNUSED_UNPROVEN;
}

/* ---------------------------------------------------------------- headers of datagrams */

static uint32_t sum_add(uint32_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (; n > 1; n -= 2, p += 2) {
		sum += (uint32_t)p[0] << 8 | p[1];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (n)
		sum += (uint32_t)p[0] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

static void store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The UDP checksum over all of it; 0, "there is none", when part of the payload is not there. */
static uint32_t udp_sum(const struct kbp_rec_ends *e, size_t addr_len, const uint8_t *udp,
			uint32_t udp_len, const void *payload, uint32_t have)
{
	uint32_t sum = IPPROTO_UDP + udp_len;

	if (have + 8 != udp_len)
		return 0;
	sum = sum_add(sum, e->src.bytes, addr_len);
	sum = sum_add(sum, e->dst.bytes, addr_len);
	sum = sum_add(sum, udp, 8);
	sum = ~sum_add(sum, payload, have) & 0xffff;
	return sum ? sum : 0xffff;
}

/* Headers for a datagram of `total` payload bytes, of which `have` are there. Returns their length. */
static uint32_t headers_make(const struct kbp_rec_ends *e, const void *payload, uint32_t have,
			     uint32_t total, uint8_t to[HEADERS_MAX])
{
	bool v6 = e->dst.family == AF_INET6;
	uint32_t ip_len = v6 ? 40 : 20;
	uint8_t *udp = to + ip_len;

	memset(to, 0, HEADERS_MAX);
	if (v6) {
		to[0] = 0x60;
		store16(to + 4, total + 8);
		to[6] = IPPROTO_UDP;
		to[7] = TTL;
		memcpy(to + 8, e->src.bytes, 16);
		memcpy(to + 24, e->dst.bytes, 16);
	} else {
		to[0] = 0x45;
		store16(to + 2, total + 28);
		to[6] = 0x40; /* DF: an identification of 0 is fine then */
		to[8] = TTL;
		to[9] = IPPROTO_UDP;
		memcpy(to + 12, e->src.bytes, 4);
		memcpy(to + 16, e->dst.bytes, 4);
		store16(to + 10, ~sum_add(0, to, 20) & 0xffff);
	}
	store16(udp, e->src_port);
	store16(udp + 2, e->dst_port);
	store16(udp + 4, total + 8);
	store16(udp + 6, udp_sum(e, v6 ? 16 : 4, udp, total + 8, payload, have));
	return ip_len + 8;
}

/* ---------------------------------------------------------------- one record */

static void write_record(struct kbp_recorder *rec, struct kbp_rec_source *s,
			 const struct kbp_rec_head *h, uint64_t utc_ns, struct kbp_quality *q)
{
	const uint8_t *bytes = (const uint8_t *)(h + 1);
	struct kbp_png_packet p = { .ts_ns = utc_ns, .drops = h->lost ? h->lost : KBP_PNG_NONE };
	char comment[KBP_QUALITY_TEXT_MAX];
	uint8_t headers[HEADERS_MAX];

	if (!q->claim.settled) {
		count(&rec->unsettled, 1);
		if (q->claim.sync == KBP_SYNC_IN) { /* nobody looked after it: that is not known */
			q->claim.sync = KBP_SYNC_UNKNOWN;
			q->claim.cause = KBP_CLOCK_UNWATCHED;
		}
	}
	kbp_quality_format(q, comment, sizeof(comment));
	p.comment = comment;
	p.body = bytes;
	p.body_len = h->len;
	p.original_len = h->original_len;
	if (h->kind == KBP_REC_DATAGRAM) {
		const struct kbp_rec_ends *e = (const void *)bytes;

		p.body = bytes + sizeof(*e);
		p.head = headers;
		p.head_len = headers_make(e, p.body, h->len, h->original_len, headers);
		p.original_len += p.head_len;
		if (p.head_len > rec->o.snaplen)
			p.head_len = rec->o.snaplen;
		if (p.body_len > rec->o.snaplen - p.head_len)
			p.body_len = rec->o.snaplen - p.head_len;
	}
	count(&rec->sync[q->claim.sync % 3], 1);
	count(&rec->source_used[q->claim.source % 4], 1);
	kbp_rec_file_put(rec, s, &p);
	count(&rec->taken, 1);
}

/* Takes out the record at the tail when it is ready. Returns how long to sleep, ns. */
static uint64_t step(struct kbp_recorder *rec)
{
	uint64_t fill, utc_ns, now_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	const struct kbp_rec_head *h = kbp_rec_first(rec, &fill);
	struct kbp_rec_source *s;
	struct kbp_quality q;

	kbp_rec_file_tick(rec, now_ns);
	if (!h)
		return EMPTY_NS;
	s = &rec->src[h->source];
	source_refresh(rec, s, h, now_ns);
	if (!judge(rec, s, h, &utc_ns, &q) && fill < rec->ring_bytes / 2 && !rec->code &&
	    now_ns - h->mono_ns < rec->o.judge_ms * 1000000ull)
		return WAITING_NS;
	write_record(rec, s, h, utc_ns, &q);
	kbp_rec_pop(rec, h);
	return 0;
}

static void *writer(void *arg)
{
	struct kbp_recorder *rec = arg;

	for (;;) {
		/* pairs with the release in kbp_recorder_close: all that was recorded before is seen after */
		bool stop = __atomic_load_n(&rec->stop, __ATOMIC_ACQUIRE);
		uint64_t ns = step(rec);
		struct timespec t = { .tv_nsec = (long)ns };

		if (stop && ns == EMPTY_NS)
			break;
		if (ns)
			nanosleep(&t, NULL);
	}
	if (rec->abandoned)
		kbp_rec_file_abandon(rec);
	else
		kbp_rec_file_close(rec);
	return NULL;
}

/* ---------------------------------------------------------------- open */

static void machine(struct kbp_recorder *rec)
{
	struct utsname u;
	char line[256];
	FILE *f;

	if (!uname(&u))
		snprintf(rec->os, sizeof(rec->os), "%.60s %.90s", u.sysname, u.release);
	f = fopen("/proc/cpuinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(rec->hardware, sizeof(rec->hardware), "%.120s", colon + 2);
		break;
	}
	if (f)
		fclose(f);
}

static int opts_check(struct kbp_recorder_opts *o, struct kbp_error *err)
{
	const char *step_text = "open a recorder";
	uint64_t ring = RING_BYTES_MIN;

	if (!o->path || !*o->path || strlen(o->path) > PATH_MAX - 64)
		return kbp_fail(err, -EINVAL, step_text, "path is %s: name a file",
				o->path && *o->path ? "too long" : "missing");
	if (o->snaplen > KBP_REC_SNAPLEN_MAX)
		return kbp_fail(err, -EINVAL, step_text, "snaplen is %u: at most %u are possible",
				o->snaplen, KBP_REC_SNAPLEN_MAX);
	if (o->ring_bytes > RING_BYTES_MAX)
		return kbp_fail(err, -EINVAL, step_text,
				"ring_bytes is %llu: at most %llu are possible",
				(unsigned long long)o->ring_bytes,
				(unsigned long long)RING_BYTES_MAX);
	if (o->rotate_bytes && o->rotate_bytes < ROTATE_BYTES_MIN)
		return kbp_fail(err, -EINVAL, step_text, "rotate_bytes is %llu: at least %u",
				(unsigned long long)o->rotate_bytes, ROTATE_BYTES_MIN);
	if (o->keep > KEEP_MAX || (o->keep && !o->rotate_bytes && !o->rotate_ns))
		return kbp_fail(
			err, -EINVAL, step_text,
			"keep is %u: up to %u files can be kept, when they rotate by size or time",
			o->keep, KEEP_MAX);
	o->snaplen = o->snaplen ? o->snaplen : KBP_REC_SNAPLEN_MAX;
	o->ring_bytes = o->ring_bytes ? o->ring_bytes : RING_BYTES;
	while (ring < o->ring_bytes)
		ring *= 2;
	o->ring_bytes = ring;
	o->flush_ms = o->flush_ms ? o->flush_ms : FLUSH_MS;
	o->judge_ms = o->judge_ms ? o->judge_ms : JUDGE_MS;
	return 0;
}

static void release(struct kbp_recorder *rec)
{
	if (rec->ring)
		munmap(rec->ring, rec->ring_bytes);
	for (uint32_t i = 0; rec->kept && i < rec->o.keep; i++)
		free(rec->kept[i]);
	free(rec->kept);
	free(rec->buf.p);
	pthread_mutex_destroy(&rec->lock);
	free(rec);
}

static int memory(struct kbp_recorder *rec)
{
	void *p;

	rec->buf.cap = KBP_REC_BUFFER;
	rec->buf.p = malloc(rec->buf.cap);
	rec->kept = calloc(rec->o.keep ? rec->o.keep : 1, sizeof(*rec->kept));
	rec->ring_bytes = rec->o.ring_bytes;
	/* populated: the recording thread meets no page fault */
	p = mmap(NULL, rec->ring_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	rec->ring = p == MAP_FAILED ? NULL : p;
	return rec->buf.p && rec->kept && rec->ring ? 0 : -ENOMEM;
}

/* The writer takes no signals: one that ends a file's growth (SIGXFSZ) is an error of write(2) then. */
static int thread_start(struct kbp_recorder *rec)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&rec->thread, NULL, writer, rec);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -code;
}

int kbp_recorder_open(const struct kbp_recorder_opts *opts, struct kbp_recorder **out,
		      struct kbp_error *err)
{
	struct kbp_recorder *rec;
	struct kbp_recorder_opts o;
	int rc;

	*out = NULL;
	rc = kbp_opts_read(&o, sizeof(o), opts, "open a recorder", err);
	if (!rc)
		rc = opts_check(&o, err);
	if (rc)
		return rc;
	rec = aligned_alloc(64, (sizeof(*rec) + 63) / 64 * 64);
	if (!rec)
		return kbp_fail(err, -ENOMEM, "open a recorder", "memory is out");
	memset(rec, 0, sizeof(*rec));
	pthread_mutex_init(&rec->lock, NULL);
	rec->fd = -1;
	rec->o = o;
	snprintf(rec->base, sizeof(rec->base), "%s", o.path);
	rec->o.path = rec->base;
	machine(rec);
	rec->start_utc_ns = kbp_rec_clock(CLOCK_REALTIME);
	rec->flushed_ns = kbp_rec_clock(CLOCK_MONOTONIC);
	rc = memory(rec);
	if (rc) {
		kbp_fail(err, rc, "open a recorder",
			 "no memory for a ring of %llu bytes: ask for a smaller one",
			 (unsigned long long)rec->ring_bytes);
	} else {
		rc = kbp_rec_file_open(rec, err);
	}
	if (!rc) {
		rc = thread_start(rec);
		if (rc) {
			kbp_fail(err, rc, "start the recorder's thread", "%s", strerror(-rc));
			kbp_rec_file_abandon(rec);
		}
	}
	if (rc) {
		release(rec);
		return rc;
	}
	*out = rec;
	return 0;
}

/* ---------------------------------------------------------------- sources */

static void source_of_queue(struct kbp_recorder *rec, struct kbp_rec_source *s)
{
	struct kbp_port_info port;
	struct kbp_queue_info info;

	kbp_port_info(s->q->port, &port);
	kbp_queue_info(s->q, &info);
	snprintf(s->name, sizeof(s->name), "%s", port.interface);
	s->datagrams = !info.l2;
	s->linktype = info.l2 ? KBP_LINKTYPE_ETHERNET : KBP_LINKTYPE_RAW;
	s->ts_source = info.ts_source;
	s->ts_proof = info.ts_proof;
	s->ts_epoch = info.ts_epoch;
	s->ts_phc = info.ts_phc;
	s->ts_resolution_ps = info.ts_resolution_ps;
	s->first_of_port = true;
	for (unsigned i = 0; i < rec->n_src; i++) {
		if (rec->src[i].q && rec->src[i].q->port == s->q->port)
			s->first_of_port = false;
	}
}

int kbp_recorder_add(struct kbp_recorder *rec, const struct kbp_record_source *source,
		     struct kbp_error *err)
{
	struct kbp_record_source o;
	struct kbp_rec_source *s;
	int rc = kbp_opts_read(&o, sizeof(o), source, "add a source to a recorder", err);

	if (rc)
		return rc;
	if (rec->n_src == KBP_RECORD_SOURCES_MAX)
		return kbp_fail(err, -ENOSPC, "add a source to a recorder",
				"%u sources is all it takes", KBP_RECORD_SOURCES_MAX);
	if (rec->received)
		return kbp_fail(err, -EBUSY, "add a source to a recorder",
				"it records already: add all sources first");
	if (!o.queue && (!o.name || !o.linktype || o.linktype > UINT16_MAX))
		return kbp_fail(err, -EINVAL, "add a source to a recorder",
				"without a queue it needs a name and a linktype up to 65535");
	s = &rec->src[rec->n_src];
	memset(s, 0, sizeof(*s));
	s->id = -1;
	s->q = o.queue;
	s->clock = o.clock;
	if (o.queue) {
		source_of_queue(rec, s);
	} else {
		snprintf(s->name, sizeof(s->name), "%s", o.name);
		snprintf(s->description, sizeof(s->description), "%s",
			 o.description ? o.description : "");
		s->linktype = (uint16_t)o.linktype;
		s->ts_source = o.ts_source;
		s->ts_proof = o.ts_proof;
		s->ts_epoch = o.ts_epoch;
		s->ts_phc = o.ts_phc;
		s->ts_resolution_ps = o.ts_resolution_ps;
	}
	/* the writer sees it with the first record, which is published after it */
	rec->n_src++;
	return (int)rec->n_src - 1;
}

/* ---------------------------------------------------------------- account, close */

static uint64_t get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int kbp_recorder_failed(const struct kbp_recorder *rec)
{
	return __atomic_load_n(&rec->code, __ATOMIC_RELAXED);
}

void kbp_recorder_stats(const struct kbp_recorder *rec, struct kbp_recorder_stats *st)
{
	memset(st, 0, sizeof(*st));
	st->written = get(&rec->written);
	st->unwritten = get(&rec->unwritten);
	st->overrun = get(&rec->overrun);
	st->received = get(&rec->received);
	st->waiting = st->received - st->written - st->unwritten - st->overrun;
	st->shortened = get(&rec->shortened);
	st->unsettled = get(&rec->unsettled);
	for (int i = 0; i < 3; i++)
		st->sync[i] = get(&rec->sync[i]);
	for (int i = 0; i < 4; i++)
		st->source[i] = get(&rec->source_used[i]);
	st->bytes = get(&rec->bytes);
	st->files = get(&rec->files);
	st->ring_bytes = rec->ring_bytes;
	st->ring_fill_max = get(&rec->fill_max);
	st->code = kbp_recorder_failed(rec);
}

int kbp_recorder_path(const struct kbp_recorder *rec, char *buf, size_t size)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&rec->lock;
	int n;

	pthread_mutex_lock(lock);
	n = snprintf(buf, size, "%s", rec->path);
	pthread_mutex_unlock(lock);
	return n;
}

int kbp_recorder_close(struct kbp_recorder *rec, struct kbp_recorder_stats *stats,
		       struct kbp_error *err)
{
	struct kbp_recorder_stats st;
	int rc;

	if (stats)
		memset(stats, 0, sizeof(*stats));
	if (!rec)
		return 0;
	__atomic_store_n(&rec->stop, 1, __ATOMIC_RELEASE);
	pthread_join(rec->thread, NULL);
	kbp_recorder_stats(rec, &st);
	rc = st.code;
	if (rc) {
		char hint[sizeof(err->hint)];

		snprintf(hint, sizeof(hint),
			 "%s: %llu packets are written and readable, %llu are missing%s",
			 strerror(-rc), (unsigned long long)st.written,
			 (unsigned long long)st.unwritten,
			 rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG ?
				 "; make room, or let files rotate and keep fewer" :
				 "");
		kbp_failf(err, rc, hint, "write the capture file %.60s", rec->path);
	}
	if (stats)
		*stats = st;
	release(rec);
	return rc;
}

void kbp_recorder_abandon(struct kbp_recorder *rec)
{
	if (!rec)
		return;
	rec->abandoned = !rec->received;
	kbp_recorder_close(rec, NULL, NULL);
}
