/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Five seconds of af_xdp receive, with the kernel's own counters on the hot thread: no system call,
 * no page fault; and no allocation, by a malloc of this program that counts.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/perf_event.h>

#include "af_xdp_lab.h"

#define SECONDS 5
#define GAP_US 50

static __thread uint64_t allocations;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t m);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t m);
void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	allocations++;
	return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

static int perf_open(uint32_t type, uint64_t config)
{
	struct perf_event_attr a = { .size = sizeof(a), .type = type, .config = config, .disabled = 1 };

	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The number of the tracepoint, from tracefs mounted where nobody else looks. */
static uint64_t tracepoint_id(void)
{
	char dir[] = "/tmp/kbp-tracefs-XXXXXX", path[128];
	unsigned long long id = 0;
	FILE *f;

	if (!mkdtemp(dir))
		return 0;
	if (!mount("tracefs", dir, "tracefs", 0, NULL)) {
		snprintf(path, sizeof(path), "%s/events/raw_syscalls/sys_enter/id", dir);
		f = fopen(path, "r");
		if (f && fscanf(f, "%llu", &id) != 1)
			id = 0;
		if (f)
			fclose(f);
		umount(dir);
	}
	rmdir(dir);
	return id;
}

static uint64_t perf_read(int fd)
{
	uint64_t v = 0;

	assert_int_equal(read(fd, &v, sizeof(v)), sizeof(v));
	return v;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts); /* vDSO */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static pid_t start_sender(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		uint64_t end = now_ns() + (SECONDS + 1) * 1000000000ull;
		int fd = far_socket();
		struct timespec gap = { .tv_nsec = GAP_US * 1000 };

		while (now_ns() < end) {
			far_send(fd, "10.77.0.1", "10.77.0.2", 9, 5000, 0, "tick", 4);
			nanosleep(&gap, NULL);
		}
		_exit(0);
	}
	return pid;
}

struct tally {
	uint64_t frames, bytes;
};

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct tally *t = arg;

	(void)rx;
	t->frames++;
	t->bytes += f.len + *(const uint8_t *)f.data;
	return KBP_DONE;
}

static void receiving_makes_no_system_call_allocation_or_page_fault(void **state)
{
	struct kbp_flow flow = flow_of("10.77.0.2:5000");
	uint64_t id = tracepoint_id(), end, syscalls_control, allocated;
	struct kbp_frame f[32];
	struct tally tally = { 0, 0 };
	struct kbp_port *port;
	struct kbp_queue *q;
	int calls, faults;
	pid_t sender;

	(void)state;
	calls = id ? perf_open(PERF_TYPE_TRACEPOINT, id) : -1;
	faults = perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);
	if (calls < 0 || faults < 0) {
		printf("SKIP: perf_event_open: no syscall tracepoint for this thread here\n");
		exit(77);
	}
	ok(kbp_port_open("af_xdp", lab.host[KBP_LAB_RX].ifname, NULL, &port, &err));
	ok(kbp_queue_open(port, NULL, &q, &err));
	ok(kbp_flow_add(q, &flow, NULL, &err));
	sender = start_sender();
	/* touch both forms and the stack once before counting */
	for (end = now_ns() + 200000000; now_ns() < end;) {
		unsigned n = kbp_rx_peek(q, f, 32);

		kbp_rx_release(q, f, n);
		kbp_rx_each(kbp_rx_of(q), 32, on_frame, &tally);
	}

	/* the counter counts: it must see the one call made here */
	ioctl(calls, PERF_EVENT_IOC_ENABLE, 0);
	syscall(SYS_getppid);
	ioctl(calls, PERF_EVENT_IOC_DISABLE, 0);
	syscalls_control = perf_read(calls);
	assert_true(syscalls_control >= 1);
	ioctl(calls, PERF_EVENT_IOC_RESET, 0);

	memset(&tally, 0, sizeof(tally));
	allocated = allocations;
	ioctl(faults, PERF_EVENT_IOC_ENABLE, 0);
	ioctl(calls, PERF_EVENT_IOC_ENABLE, 0);
	for (end = now_ns() + SECONDS * 1000000000ull; now_ns() < end;) {
		unsigned n;

		for (int i = 0; i < 1000; i++)
			kbp_rx_each(kbp_rx_of(q), 32, on_frame, &tally);
		n = kbp_rx_peek(q, f, 32);
		tally.frames += n;
		kbp_rx_release(q, f, n);
	}
	ioctl(calls, PERF_EVENT_IOC_DISABLE, 0);
	ioctl(faults, PERF_EVENT_IOC_DISABLE, 0);
	allocated = allocations - allocated;

	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	printf("%llu frames in %d s; system calls %llu (the one that ends the count included), page faults %llu, "
	       "allocations %llu\n",
	       (unsigned long long)tally.frames, SECONDS, (unsigned long long)perf_read(calls),
	       (unsigned long long)perf_read(faults), (unsigned long long)allocated);
	assert_true(tally.frames > 1000);
	/* the ioctl that ends the count is itself entered while it runs */
	assert_true(perf_read(calls) <= 1);
	assert_int_equal(perf_read(faults), 0);
	assert_int_equal(allocated, 0);
	assert_int_equal(q->rx_count->kernel_calls, 0);
	ok(kbp_queue_close(q, 0, &err));
	ok(kbp_port_close(port, &err));
}

static int lab_close(void **state)
{
	(void)state;
	return kbp_lab_down(lab.prefix, NULL) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receiving_makes_no_system_call_allocation_or_page_fault),
	};

	lab_open(1, 1500);
	enter(KBP_LAB_RX);
	return cmocka_run_group_tests_name("hot thread", tests, NULL, lab_close);
}
