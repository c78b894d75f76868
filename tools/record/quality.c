/* SPDX-License-Identifier: BSD-2-Clause */
/* quality.c - what is known of a packet's time, as a comment that people and programs read. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kbypass/record.h>

#include "lib/internal.h"

/* The stable words; index is the enum's value. */
static const char *const sync_words[] = { "unknown", "not", "in" };
static const char *const source_words[] = { "application", "kernel", "driver", "nic" };
static const char *const proof_words[] = { "none", "claimed", "bound", "proven" };
static const char *const epoch_words[] = { "none", "utc", "tai", "phc", "monotonic" };
static const char *const unused_words[] = { "", "unproven", "no_conversion" };
static const char *const bool_words[] = { "no", "yes" };

#define NS_PER_S 1000000000u

static const char *word(const char *const *words, size_t n, unsigned i)
{
	return i < n ? words[i] : "unknown";
}

#define WORD(words, i) word(words, KBP_ARRAY_SIZE(words), (unsigned)(i))

/* snprintf behind what is there; *at may run beyond size. */
static void add(char *buf, size_t size, size_t *at, const char *fmt, ...) KBP_PRINTF(4, 5);

static void add(char *buf, size_t size, size_t *at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(*at < size ? buf + *at : NULL, *at < size ? size - *at : 0, fmt, ap);
	va_end(ap);
	*at += n > 0 ? (size_t)n : 0;
}

static void add_time(char *buf, size_t size, size_t *at, const char *key, uint64_t ns)
{
	add(buf, size, at, " %s=%" PRIu64 ".%09" PRIu64, key, ns / NS_PER_S, ns % NS_PER_S);
}

int kbp_quality_format(const struct kbp_quality *q, char *buf, size_t size)
{
	const struct kbp_claim *c = &q->claim;
	size_t at = 0;

	add(buf, size, &at, "sync=%s", WORD(sync_words, c->sync));
	if (c->bound_ns == KBP_BOUND_UNKNOWN)
		add(buf, size, &at, " bound_ns=unknown");
	else
		add(buf, size, &at, " bound_ns=%" PRIu64, c->bound_ns);
	if (c->verified_ns)
		add_time(buf, size, &at, "verified_ns", c->verified_ns);
	else
		add(buf, size, &at, " verified_ns=never");
	add(buf, size, &at, " source=%s cause=%s settled=%s proof=%s", WORD(source_words, c->source),
	    kbp_clock_cause_name(c->cause), bool_words[c->settled], WORD(proof_words, c->proof));
	if (c->resolution_ps)
		add(buf, size, &at, " resolution_ps=%u", c->resolution_ps);
	else
		add(buf, size, &at, " resolution_ps=unknown");
	if (q->unused) {
		add(buf, size, &at, " unused=%s unused_epoch=%s", WORD(unused_words, q->unused),
		    WORD(epoch_words, q->unused_epoch));
		add_time(buf, size, &at, "unused_ns", q->unused_ns);
	}
	return (int)at;
}

/* ---------------------------------------------------------------- reading */

struct span {
	const char *p;
	size_t n;
};

static bool is(struct span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

static bool pick(struct span s, const char *const *words, size_t n, unsigned *i)
{
	for (*i = 0; *i < n; ++*i)
		if (words[*i][0] && is(s, words[*i]))
			return true;
	return false;
}

static bool number(struct span s, uint64_t max, uint64_t *v)
{
	if (!s.n || s.n > 20)
		return false;
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(*v, 10u, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(s.p[i] - '0'), v))
			return false;
	}
	return *v <= max;
}

/* SECONDS.NNNNNNNNN */
static bool time_of(struct span s, uint64_t *ns)
{
	struct span whole = s, part = s;
	uint64_t fraction;

	if (s.n < 11 || s.p[s.n - 10] != '.')
		return false;
	whole.n = s.n - 10;
	part.p = s.p + whole.n + 1;
	part.n = 9;
	return number(whole, UINT64_MAX / NS_PER_S - 1, ns) &&
	       number(part, NS_PER_S - 1, &fraction) &&
	       !__builtin_add_overflow(*ns * NS_PER_S, fraction, ns);
}

static bool cause_of(struct span s, enum kbp_clock_cause *cause)
{
	for (unsigned i = KBP_CLOCK_FINE; i <= KBP_CLOCK_AMBIGUOUS; i++) {
		*cause = (enum kbp_clock_cause)i;
		if (is(s, kbp_clock_cause_name(*cause)))
			return true;
	}
	return false;
}

#define PICK(value, words, to, type) \
	(pick(value, words, KBP_ARRAY_SIZE(words), &i) && ((to) = (type)i, true))

/* False: a word we know has a value that it cannot have. */
static bool take(struct span key, struct span value, struct kbp_quality *q)
{
	struct kbp_claim *c = &q->claim;
	uint64_t v = 0;
	unsigned i;

	if (is(key, "bound_ns"))
		return is(value, "unknown") || number(value, KBP_BOUND_UNKNOWN - 1, &c->bound_ns);
	if (is(key, "verified_ns"))
		return is(value, "never") || time_of(value, &c->verified_ns);
	if (is(key, "source"))
		return PICK(value, source_words, c->source, enum kbp_ts_source);
	if (is(key, "cause"))
		return cause_of(value, &c->cause);
	if (is(key, "settled"))
		return PICK(value, bool_words, c->settled, bool);
	if (is(key, "proof"))
		return PICK(value, proof_words, c->proof, enum kbp_proof);
	if (is(key, "resolution_ps")) {
		if (is(value, "unknown"))
			return true;
		if (!number(value, UINT32_MAX, &v))
			return false;
		c->resolution_ps = (uint32_t)v;
		return true;
	}
	if (is(key, "unused"))
		return PICK(value, unused_words, q->unused, enum kbp_unused);
	if (is(key, "unused_epoch"))
		return PICK(value, epoch_words, q->unused_epoch, enum kbp_epoch);
	if (is(key, "unused_ns"))
		return time_of(value, &q->unused_ns);
	return true;
}

int kbp_quality_parse(const char *text, size_t len, struct kbp_quality *q)
{
	bool first = true;
	unsigned i;

	memset(q, 0, sizeof(*q));
	q->claim.epoch = KBP_EPOCH_UTC;
	q->claim.cause = KBP_CLOCK_UNWATCHED;
	q->claim.bound_ns = KBP_BOUND_UNKNOWN;
	while (first || len) {
		const char *blank = len ? memchr(text, ' ', len) : NULL;
		struct span key = { text, blank ? (size_t)(blank - text) : len }, value = { NULL, 0 };
		size_t word_len = key.n;
		const char *equal = key.n ? memchr(text, '=', key.n) : NULL;

		if (!equal)
			return -EINVAL;
		key.n = (size_t)(equal - text);
		value.p = equal + 1;
		value.n = word_len - key.n - 1;
		if (first) { /* what makes it one of ours */
			if (!is(key, "sync") ||
			    !PICK(value, sync_words, q->claim.sync, enum kbp_sync))
				return -EINVAL;
		} else if (is(key, "sync") || !take(key, value, q)) {
			return -EINVAL;
		}
		first = false;
		text += word_len + (blank ? 1 : 0);
		len -= word_len + (blank ? 1 : 0);
		if (blank && !len)
			return -EINVAL;
	}
	return 0;
}
