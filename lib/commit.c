/* SPDX-License-Identifier: BSD-2-Clause */
/* commit.c - what the library was built from; a file of its own, because it is compiled anew with every commit. */
#include <kbypass/kbypass.h>

#include "commit.h"

const char *kbp_commit(void)
{
	return KBP_COMMIT;
}
