/* SPDX-License-Identifier: BSD-2-Clause */
/* test.h - cmocka with the headers it needs in front of it. */
#ifndef KBP_TEST_TEST_H
#define KBP_TEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What meson takes as "not run here". */
#define TEST_SKIP 77

#endif
