/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor.c - the clock monitor as the commands' options ask for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <kbypass/clock.h>

#include "cli.h"

int cli_monitor_open(const struct cli_clock *clock, struct kbp_monitor **mon, struct kbp_error *err)
{
	struct kbp_monitor_opts o = KBP_MONITOR_OPTS_INIT;
	const char **sockets = NULL;
	char *text = NULL;
	int rc;

	*mon = NULL;
	if (clock->ptp4l) {
		sockets = cli_words(clock->ptp4l, &text);
		if (!sockets) {
			err->code = -ENOMEM;
			snprintf(err->step, sizeof(err->step), "read the options");
			snprintf(err->hint, sizeof(err->hint), "memory is out");
			return -ENOMEM;
		}
	}
	o.ptp4l = sockets;
	o.sfptpd = clock->sfptpd;
	o.limit_ns = (uint64_t)clock->limit_ns;
	o.reference_ns = (uint64_t)clock->reference_ns;
	rc = kbp_monitor_open(&o, mon, err);
	free(sockets);
	free(text);
	return rc;
}
