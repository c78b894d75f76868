/* SPDX-License-Identifier: BSD-2-Clause */
/* none.c - a shared object that has the name of a module and is none. */
int nothing(void);

int nothing(void)
{
	return 0;
}
