/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Little-endian numbers in tables and images, at any address. The processor is little-endian and
 * reads at any alignment, so that each is one instruction.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include "lib/types.h"

#define BYTES_NUMBER(bits)                                                                         \
    static ALWAYS_INLINE u##bits get##bits(const void *p)                                          \
    {                                                                                              \
        u##bits v;                                                                                 \
        __builtin_memcpy(&v, p, sizeof(v));                                                        \
        return v;                                                                                  \
    }                                                                                              \
    static ALWAYS_INLINE void put##bits(void *p, u##bits v)                                        \
    {                                                                                              \
        __builtin_memcpy(p, &v, sizeof(v));                                                        \
    }
BYTES_NUMBER(16)
BYTES_NUMBER(32)
BYTES_NUMBER(64)
#undef BYTES_NUMBER

#endif
