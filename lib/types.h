/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words everything else is written in: fixed-width integers, the kinds of address, error
 * codes, and a few macros. Floor 0: includes nothing but the compiler's own headers.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 gla_t; /* guest linear address */
typedef u64 gpa_t; /* guest physical address */
typedef u64 hpa_t; /* host physical address */

/* Results of functions that can fail: 0 is success, errors are negative. */
enum err {
    OK = 0,
    ERR_NOMEM = -1,  /* out of frames, slots or room */
    ERR_INVAL = -2,  /* an argument or an input makes no sense */
    ERR_RANGE = -3,  /* an address or a size is out of bounds */
    ERR_EXISTS = -4, /* overlaps or duplicates what is there */
    ERR_NOENT = -5,  /* nothing there */
    ERR_NOSUP = -6,  /* the processor or skep cannot do this */
    ERR_BUSY = -7,   /* held, or in use */
};

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (PAGE_SIZE - 1)

#define KIB (1024ull)
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define BIT(n)                        (1ull << (n))
#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a)              ((x) & ~((__typeof__(x))(a)-1)) /* a: a power of two */
#define ALIGN_UP(x, a)                ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define IS_ALIGNED(x, a)              (((x) & ((__typeof__(x))(a)-1)) == 0)
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Memory is read and written anew after it. */
#define barrier() __asm__ volatile("" : : : "memory")

#define PACKED     __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))
/* Off the way of an exit: kept out of its callers, so that they save no registers for it. */
#define COLD          __attribute__((noinline, cold))
#define NORETURN      __attribute__((noreturn))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define FALLTHROUGH   __attribute__((fallthrough))
#define ALWAYS_INLINE __attribute__((always_inline)) inline

#define ASSERT_SIZE(type, n) _Static_assert(sizeof(type) == (n), "size of " #type)
#define ASSERT_OFFSET(type, field, n)                                                              \
    _Static_assert(offsetof(type, field) == (n), "offset of " #type "." #field)

#endif
