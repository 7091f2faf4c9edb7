/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broken invariants of skep's own. In the hypervisor assert_fail() panics; a host program
 * supplies its own. Never use these on anything that a guest or an image can influence.
 */
#ifndef LIB_ASSERT_H
#define LIB_ASSERT_H

#include "lib/types.h"

/* Supplied by the program that links the room. Does not return. */
NORETURN void assert_fail(const char *expr, const char *file, int line);

#define ASSERT(e) ((e) ? (void)0 : assert_fail(#e, __FILE__, __LINE__))

#endif
