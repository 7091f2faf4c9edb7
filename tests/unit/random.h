/* SPDX-License-Identifier: BSD-2-Clause */
/* Pseudo-random numbers, small and fast (xorshift64*): the same sequence on every machine. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include "lib/types.h"

/* *state: not 0. */
static inline u64 random_u64(u64 *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

#endif
