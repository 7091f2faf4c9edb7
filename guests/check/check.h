/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-guest test suite's frame. A test is a function in a group's table; it ends well unless it
 * called check_fail(), EXPECT() or let an exception escape. Before each test the machine is put
 * back in order: control and debug registers, flags, handlers of interrupts, local APIC, PICs.
 */
#ifndef GUESTS_CHECK_CHECK_H
#define GUESTS_CHECK_CHECK_H

#include "guests/lib/apic.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/exit.h"
#include "guests/lib/snippet.h"
#include "guests/lib/trap.h"

/* Where a test makes sense. */
enum check_where {
    ANYWHERE,
    SKEP_ONLY,      /* holds under skep alone */
    BARE_ONLY,      /* holds on the bare machine alone */
    NOT_TCG,        /* not where QEMU TCG is the processor, bare or below skep: it has it wrong */
    NOT_BARE_TCG,   /* TCG has it wrong, but under skep it must hold */
    NOT_BARE_BOCHS, /* Bochs has it wrong, but under skep it must hold */
};

struct check {
    const char *name;
    void (*fn)(void);
    enum check_where where;
};

struct check_group {
    const char *name;
    const struct check *checks;
    unsigned count;
};

#define CHECK_GROUP(group, list) const struct check_group group = {#group, list, ARRAY_SIZE(list)}

/* Fails the running test; the first reason is the one that is printed. */
void check_fail(const char *fmt, ...) PRINTF(1, 2);

/* Says that the running test does not apply to this machine. */
void check_skip(const char *fmt, ...) PRINTF(1, 2);

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_fail(__VA_ARGS__);                                                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define EXPECT_EQ(actual, expected)                                                                \
    do {                                                                                           \
        u64 a_ = (u64)(actual);                                                                    \
        u64 e_ = (u64)(expected);                                                                  \
        if (a_ != e_) {                                                                            \
            check_fail("%s:%d: %s is %jx, not %jx", __func__, __LINE__, #actual, a_, e_);          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_skip(__VA_ARGS__);                                                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/*
 * fn(arg) must raise this vector with this error code, at that address if it is not NULL; vector
 * -1: it must work. At CPL 0 or, _user, at CPL 3. On a difference the test fails: false.
 */
bool check_trap(void (*fn)(void *), void *arg, int vector, ulong error, const void *at);
bool check_trap_user(void (*fn)(void *), void *arg, int vector, ulong error, const void *at);

/* How the last check_trap() ended. */
extern struct trap check_last;

#define EXPECT_TRAP(fn, arg, vector, error, at)                                                    \
    do {                                                                                           \
        if (!check_trap(fn, arg, vector, error, at))                                               \
            return;                                                                                \
    } while (0)

/* What runs below. */
bool on_skep(void);
bool cpu_is_tcg(void); /* QEMU's TCG is the processor, bare or below skep */
bool cpu_is_amd(void);

/* Whether testdev's ports and MMIO are there: under skep by the command line, else by trying. */
bool have_testdev(void);

/* TSC frequency, measured once at the start. */
extern u64 tsc_khz;

/* Waits with interrupts on until *p is at least n, or so many milliseconds have passed. */
bool wait_count(const volatile u32 *p, u32 n, u32 ms);

/* Lets interrupts in and waits. */
void wait_ms(u32 ms);

/* A page each, aligned, for tests to scribble on. */
extern u8 scratch[4][4096];

/*
 * A piece of code as a function of its own, void name(void *arg), with label name_at on one
 * instruction. It may use every register that a call may change.
 */
#define SNIPPET(name, before, insn)                                                                \
    extern const u8 name##_at[];                                                                   \
    void name(void *arg);                                                                          \
    asm(".pushsection .text\n" #name ":\n" before "\n" #name "_at:\n" insn "\nret\n.globl " #name  \
        "_end\n" #name "_end:\n.popsection\n")

#endif
