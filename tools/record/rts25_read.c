/* SPDX-License-Identifier: BSD-2-Clause */
/* rts25_read.c - the account of time from captures: every packet is a moment, its comment the claim. */
#include <errno.h>
#include <string.h>

#include "lib/internal.h"
#include "tools/record/reader.h"
#include "tools/record/rts25.h"

#define OVERLAP_NS \
	1000000000u /* packets of several queues are a little out of order at a rotation */

static void packet_add(struct kbp_rts25 *r, const struct kbp_reader_packet *p,
		       struct kbp_rts25_file *file)
{
	struct kbp_quality q;
	bool claimed = p->ours && p->comment;

	file->packets++;
	if (claimed && kbp_quality_parse(p->comment, p->comment_len, &q)) {
		file->damaged++;
		claimed = false;
	} else if (!claimed) {
		file->foreign++;
	}
	if (!p->timed)
		return;
	if (file->from_ns > p->ns)
		file->from_ns = p->ns;
	if (file->to_ns < p->ns)
		file->to_ns = p->ns;
	kbp_rts25_add(r, p->ns, claimed ? &q.claim : NULL);
	kbp_rts25_stamp(r, claimed ? q.claim.source : KBP_TS_NONE, p->ns,
			claimed ? q.claim.resolution_ps : 0);
}

int kbp_rts25_add_file(struct kbp_rts25 *r, const char *path, struct kbp_rts25_file *out,
		       struct kbp_error *err)
{
	struct kbp_rts25_file file = { .from_ns = UINT64_MAX };
	uint64_t before = kbp_rts25_latest(r);
	struct kbp_reader_packet p;
	struct kbp_reader *reader;
	int rc = kbp_reader_open(path, &reader, err);

	while (!rc && (rc = kbp_reader_next(reader, &p, &file.cut, err)) == 1) {
		rc = 0;
		if (file.from_ns == UINT64_MAX && p.timed && p.ns + OVERLAP_NS < before)
			rc = kbp_failf(err, -ERANGE,
				       "it begins before the file read before it ended: report on captures of the "
				       "same time one by one",
				       "read the capture %.60s", path);
		else
			packet_add(r, &p, &file);
	}
	if (file.cut)
		file.cut_at = kbp_reader_at(reader);
	kbp_reader_close(reader);
	if (out)
		*out = file;
	return rc;
}

int kbp_rts25_begin(const char *path, uint64_t *utc_ns, struct kbp_error *err)
{
	struct kbp_reader_packet p;
	struct kbp_reader *reader;
	bool cut = false;
	int rc = kbp_reader_open(path, &reader, err);

	*utc_ns = UINT64_MAX;
	while (!rc && (rc = kbp_reader_next(reader, &p, &cut, err)) == 1) {
		rc = 0;
		if (p.timed) {
			*utc_ns = p.ns;
			break;
		}
	}
	kbp_reader_close(reader);
	return rc;
}
