/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk_eal.c - starting DPDK's environment without its manners showing: no worker threads, no change of
 * the caller's affinity or signals, nothing printed, no file left, no exit.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "dpdk_eal.h"

#define SAID_BYTES 2048u
#define ARGS_MAX 64
#define NO_HUGE_MB 96u /* besides what the port needs, twice; a program may lock its memory */

static struct {
	pthread_mutex_t lock;
	bool started;
	bool failed; /* once: it cannot be tried again */
	bool ours;   /* false: the program started it */
	bool pci;    /* with the PCI bus */
	bool huge;
	pid_t pid;
	char args[512];
	char note[160];
	char said[SAID_BYTES];
	size_t said_len, said_error; /* where its first error begins */
	FILE *log, *printed;	     /* where its log goes, and what it prints besides */
	FILE *out, *complaints;	     /* the program's own, while EAL prints into `printed` */
} eal = { .lock = PTHREAD_MUTEX_INITIALIZER };

void kbp_dpdk_lock(void)
{
	pthread_mutex_lock(&eal.lock);
}

void kbp_dpdk_unlock(void)
{
	pthread_mutex_unlock(&eal.lock);
}

bool kbp_dpdk_eal_huge(void)
{
	return eal.huge;
}

bool kbp_dpdk_eal_ours(void)
{
	return eal.ours;
}

const char *kbp_dpdk_eal_note(void)
{
	return eal.note;
}

/* ---------------------------------------------------------------- its log */

static void said_add(const char *text, size_t n)
{
	size_t keep = sizeof(eal.said) - 1;

	if (n > keep) {
		text += n - keep;
		n = keep;
	}
	if (eal.said_len + n > keep) {
		size_t drop = eal.said_len + n - keep;

		memmove(eal.said, eal.said + drop, eal.said_len - drop);
		eal.said_len -= drop;
	}
	memcpy(eal.said + eal.said_len, text, n);
	eal.said_len += n;
	eal.said[eal.said_len] = '\0';
}

/* A driver may log from a thread of its own, and while this process holds the lock. */
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

void kbp_dpdk_said_begin(void)
{
	pthread_mutex_lock(&said_lock);
	eal.said_len = 0;
	eal.said_error = SAID_BYTES;
	eal.said[0] = '\0';
	pthread_mutex_unlock(&said_lock);
}

/* A copy: drivers' threads may log meanwhile. */
const char *kbp_dpdk_said(void)
{
	static char copy[SAID_BYTES];

	pthread_mutex_lock(&said_lock);
	memcpy(copy, eal.said, sizeof(copy));
	pthread_mutex_unlock(&said_lock);
	return copy;
}

/* From the first error on, without the warnings before it; all of it when there is none. */
const char *kbp_dpdk_said_error(void)
{
	const char *copy = kbp_dpdk_said();
	size_t at;

	pthread_mutex_lock(&said_lock);
	at = eal.said_error < eal.said_len ? eal.said_error : 0;
	pthread_mutex_unlock(&said_lock);
	return copy + at;
}

static __thread bool starting; /* this thread is in rte_eal_init */

static ssize_t log_write(void *cookie, const char *text, size_t n)
{
	uint32_t level = (uint32_t)rte_log_cur_msg_loglevel();
	size_t len = n;

	(void)cookie;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (!len)
		return (ssize_t)n;
	if (level <= RTE_LOG_WARNING) {
		pthread_mutex_lock(&said_lock);
		if (level <= RTE_LOG_ERR && eal.said_error > eal.said_len)
			eal.said_error = eal.said_len;
		said_add(text, len);
		said_add("\n", 1);
		pthread_mutex_unlock(&said_lock);
	}
	/* the callback is the program's, and may print, which would end in our pipe */
	if (starting) {
		stdout = eal.out;
		stderr = eal.complaints;
	}
	kbp_log(level <= RTE_LOG_ERR	 ? KBP_LOG_ERROR :
		level == RTE_LOG_WARNING ? KBP_LOG_WARN :
		level <= RTE_LOG_INFO	 ? KBP_LOG_INFO :
					   KBP_LOG_DEBUG,
		"%.*s", (int)len, text);
	if (starting)
		stdout = stderr = eal.printed;
	return (ssize_t)n;
}

static ssize_t print_write(void *cookie, const char *text, size_t n)
{
	(void)cookie;
	/* ours is its usage; what it says of a failure is in its log, too. Other threads know nothing of this */
	if (!starting)
		fwrite(text, 1, n, eal.out);
	return (ssize_t)n;
}

static int log_open(void)
{
	const cookie_io_functions_t log = { .write = log_write }, print = { .write = print_write };

	eal.log = fopencookie(NULL, "w", log);
	eal.printed = fopencookie(NULL, "w", print);
	if (!eal.log || !eal.printed)
		return -ENOMEM;
	setvbuf(eal.log, NULL, _IOLBF, BUFSIZ);
	setvbuf(eal.printed, NULL, _IOLBF, BUFSIZ);
	return rte_openlog_stream(eal.log);
}

/* ---------------------------------------------------------------- its arguments */

struct words {
	char *word[ARGS_MAX], *own[ARGS_MAX]; /* EAL moves the words about and writes over some */
	int n;
	bool full;
};

static KBP_PRINTF(2, 3) void word_add(struct words *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (w->n + 1 >= ARGS_MAX || vasprintf(&w->own[w->n], fmt, ap) < 0) {
		w->full = true;
	} else {
		w->word[w->n] = w->own[w->n];
		w->word[++w->n] = NULL;
	}
	va_end(ap);
}

/* EAL keeps pointers into its arguments, so they are never freed once it has started. */
static void words_free(struct words *w)
{
	while (w->n)
		free(w->own[--w->n]);
}

static bool has_word(const struct words *w, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < w->n; i++)
		if (!strncmp(w->word[i], name, len) && (!w->word[i][len] || w->word[i][len] == '=' ||
							(len == 2 && name[1] != '-'))) /* "-l0" */
			return true;
	return false;
}

/* Words that print and end the process, in any spelling that getopt takes. */
static const char *forbidden(const struct words *w)
{
	for (int i = 1; i < w->n; i++) {
		const char *word = w->word[i];
		size_t n = strlen(word);

		if (word[0] != '-' || n < 2)
			continue;
		if (word[1] == 'h' || word[1] == 'v' || !strcmp(word, "--") ||
		    (n > 3 && (!strncmp(word, "--help", n) || !strncmp(word, "--version", n))))
			return word;
	}
	return NULL;
}

static void words_split(struct words *w, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " \t\n");

		if (n)
			word_add(w, "%.*s", (int)n, text);
		text += n;
		text += strspn(text, " \t\n");
	}
}

/* One logical core, free to run wherever the caller may: no thread is started, nobody is moved. */
static void cores_add(struct words *w)
{
	char list[1024] = "";
	size_t at = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set)) { /* more CPUs than a set has */
		word_add(w, "--lcores=0@%d", sched_getcpu());
		return;
	}
	for (int c = 0; c < CPU_SETSIZE && at < sizeof(list) - 16; c++)
		if (CPU_ISSET((size_t)c, &set))
			at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%d", at ? "," : "",
					       c);
	word_add(w, "--lcores=0@(%s)", list);
}

/* Ordinary pages: all of them at the start, and no file anywhere. */
static void no_huge_add(const struct kbp_dpdk_want *want, struct words *w)
{
	if (!has_word(w, "--no-huge"))
		word_add(w, "--no-huge");
	if (!has_word(w, "--no-shconf"))
		word_add(w, "--no-shconf");
	if (!has_word(w, "--iova-mode"))
		word_add(w, "--iova-mode=va");
	if (!has_word(w, "-m"))
		word_add(w, "-m%llu", (unsigned long long)(NO_HUGE_MB + 2 * want->bytes / 1048576u));
}

/* Hugepages where there are enough, memory without where there are not and nobody forbids it. */
static int memory_choose(const struct kbp_dpdk_want *want, struct words *w, struct kbp_error *err)
{
	static const char *const theirs[] = { "--huge-dir", "--legacy-mem", "--in-memory",
					      "--socket-mem", "--file-prefix" };
	struct kbp_error why = { 0 };
	int rc;

	eal.huge = !has_word(w, "--no-huge");
	for (size_t i = 0; i < KBP_ARRAY_SIZE(theirs); i++)
		if (has_word(w, theirs[i]))
			return 0; /* the caller knows */
	if (!eal.huge) {
		no_huge_add(want, w);
		return 0;
	}
	rc = want->no_huge ? -ENOMEM : kbp_dpdk_pages_check("", want->bytes, want->node, &why);
	if (!rc) {
		word_add(w, "--in-memory");
		return 0;
	}
	if (want->strict || want->pci) { /* a device needs addresses that do not move */
		if (want->no_huge)
			return kbp_fail(err, -EINVAL, "start DPDK",
					"a PCI device needs hugepages: open the port without "
					"KBP_PORT_NO_HUGEPAGES");
		if (err)
			*err = why;
		return rc;
	}
	eal.huge = false;
	snprintf(eal.note, sizeof(eal.note), "%s",
		 want->no_huge ? "" : "not enough free hugepages: DPDK runs on ordinary pages");
	no_huge_add(want, w);
	return 0;
}

static int words_make(const struct kbp_dpdk_want *want, struct words *w, struct kbp_error *err)
{
	const char *no;
	int rc;

	word_add(w, "kbypass");
	words_split(w, want->args);
	no = forbidden(w);
	if (no)
		return kbp_failf(err, -EINVAL, "it prints and ends the process",
				 "give DPDK the argument %s", no);
	rc = memory_choose(want, w, err);
	if (rc)
		return rc;
	if (!has_word(w, "-l") && !has_word(w, "-c") && !has_word(w, "--lcores"))
		cores_add(w);
	if (!has_word(w, "--telemetry"))
		word_add(w, "--no-telemetry");
	if (!want->pci && !has_word(w, "-a") && !has_word(w, "--allow"))
		word_add(w, "--no-pci");
	else if (want->pci && !has_word(w, "-a") && !has_word(w, "--allow"))
		word_add(w, "--allow=%s", want->pci->addr); /* nobody else's device is touched */
	return w->full ? kbp_fail(err, -E2BIG, "start DPDK", "there are too many arguments for EAL") :
			 0;
}

/* ---------------------------------------------------------------- start */

static int running_serves(const struct kbp_dpdk_want *want, struct kbp_error *err)
{
	if (eal.pid != getpid())
		return kbp_failf(err, -ECHILD,
				 "DPDK's environment does not survive a fork: open the port in the "
				 "process that uses it, before its parent opens one",
				 "use DPDK of process %d in its child", (int)eal.pid);
	if (want->args[0] && strcmp(want->args, eal.args) != 0)
		return kbp_failf(err, -EBUSY,
				 eal.ours ?
					 eal.args[0] ? eal.args : "it was started without arguments" :
					 "the program started it itself, with arguments of its own",
				 "start DPDK with \"%.50s\": a process starts it once, and it runs",
				 want->args);
	if (want->pci && !eal.pci)
		return kbp_failf(
			err, -EBUSY,
			"a process starts DPDK once; this one began with a virtual device and without "
			"the PCI bus: open the PCI port first, or give args \"-a ADDRESS\" there",
			"open %s with DPDK", want->pci->addr);
	return 0;
}

static int start(const struct kbp_dpdk_want *want, struct words *w, struct kbp_error *err)
{
	struct kbp_dpdk_need need = { .bytes = want->bytes,
				      .node = want->node,
				      .no_huge = !eal.huge,
				      .in_memory = true,
				      .privileged = geteuid() == 0,
				      .pci = want->pci,
				      .pmd_dir = RTE_EAL_PMD_PATH,
				      .args = want->args };
	int told = opterr;
	sigset_t all, signals;
	cpu_set_t cpus;
	bool have_cpus;
	int rc, error;

	have_cpus = !sched_getaffinity(0, sizeof(cpus), &cpus);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &signals); /* its threads inherit the mask */
	/* it prints its usage and its last words, whoever owns the terminal */
	fflush(stdout);
	eal.out = stdout;
	eal.complaints = stderr;
	stdout = stderr = eal.printed;
	starting = true;
	opterr = 0;
	rc = rte_eal_init(w->n, w->word);
	error = rte_errno;
	fflush(eal.printed);
	starting = false;
	stdout = eal.out;
	stderr = eal.complaints;
	opterr = told;
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	if (have_cpus)
		sched_setaffinity(0, sizeof(cpus), &cpus);
	if (rc >= 0)
		return 0;
	if (error == EALREADY)
		return kbp_fail(err, -EBUSY, "start DPDK",
				"an earlier try failed half-way, and a process has only one: mend what was wrong "
				"then, and start the program again");
	eal.failed = true;
	return kbp_dpdk_explain("", kbp_dpdk_said(), error, &need, err);
}

/* Without shared configuration it needs no directory, and makes one all the same. Only empty ones go. */
static void directory_remove(void)
{
	char dir[256];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
	if (!rmdir(dir) && (slash = strrchr(dir, '/'))) {
		*slash = '\0';
		(void)rmdir(dir);
	}
}

int kbp_dpdk_eal_start(const struct kbp_dpdk_want *want, struct kbp_error *err)
{
	static struct words w;				 /* EAL keeps pointers into it */
	bool program = !eal.failed && rte_lcore_count(); /* 0 before the environment is initialised */
	int rc = 0;

	if (eal.started)
		return running_serves(want, err);
	kbp_dpdk_said_begin();
	memset(&w, 0, sizeof(w));
	if (!program) {
		if (!eal.log && log_open())
			return kbp_fail(err, -ENOMEM, "start DPDK", "out of memory");
		eal.note[0] = '\0';
		rc = words_make(want, &w, err);
		if (!rc)
			rc = start(want, &w, err);
		directory_remove();
	}
	if (rc) {
		words_free(&w);
		return rc;
	}
	eal.started = true;
	eal.ours = !program;
	eal.pid = getpid();
	eal.huge = rte_eal_has_hugepages() != 0;
	eal.pci = rte_eal_has_pci() != 0;
	snprintf(eal.args, sizeof(eal.args), "%s", program ? "" : want->args);
	return running_serves(want, err);
}
