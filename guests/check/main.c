/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check32, check64: what a guest may rely on, tested from inside. One line a test, "PASS name",
 * "FAIL name: why" or "SKIP name: why", then "N passed, N failed"; the status is the number failed.
 *
 * Words on the command line: only=NAME (a test or a group; may be given several times), skip=NAME,
 * list, verbose (a line before each test, to see which one hangs), testdev, ten (everything ten
 * times), seconds=N and counted (ticks.c).
 */
#include "guests/check/check.h"
#include "guests/check/groups.h"
#include "guests/lib/guest.h"
#include "guests/lib/paging.h"
#include "guests/lib/pit.h"
#include "lib/print.h"
#include "lib/string.h"

#define MAX_STATUS 100

enum outcome { PASSED, FAILED, SKIPPED };

/* What every test starts from. */
struct order {
    ulong cr0, cr4;
    u64 efer;
};

u8 scratch[4][4096] ALIGNED(4096);
u64 tsc_khz;
struct trap check_last;

static enum outcome outcome;
static char reason[200];
static struct order order;

static const struct check_group *const groups[] = {CHECK_GROUPS};

static void end_as(enum outcome how, const char *fmt, va_list ap)
{
    if (outcome != PASSED)
        return;
    outcome = how;
    fmt_vprint(reason, sizeof(reason), fmt, ap);
}

void check_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    end_as(FAILED, fmt, ap);
    va_end(ap);
}

void check_skip(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    end_as(SKIPPED, fmt, ap);
    va_end(ap);
}

static bool judge(int vector, ulong error, const void *at)
{
    const struct trap *t = &check_last;

    if (t->vector != vector)
        check_fail("vector %d (error %lx, at %lx), not %d", t->vector, t->error, t->ip, vector);
    else if (t->error != error)
        check_fail("error code %lx of vector %d, not %lx", t->error, vector, error);
    else if (at && t->ip != (ulong)at)
        check_fail("vector %d at %lx, not %lx", vector, t->ip, (ulong)at);
    else
        return true;
    return false;
}

bool check_trap(void (*fn)(void *), void *arg, int vector, ulong error, const void *at)
{
    trap_try(&check_last, fn, arg);
    return judge(vector, error, at);
}

bool check_trap_user(void (*fn)(void *), void *arg, int vector, ulong error, const void *at)
{
    trap_try_user(&check_last, fn, arg);
    return judge(vector, error, at);
}

static bool hypervisor_is(const char *name)
{
    struct cpuid c = {0, 0, 0, 0};
    u32 text[3];

    if (cpu_has_1_ecx(CPUID1_ECX_HYPERVISOR))
        c = cpuid(0x40000000, 0);
    text[0] = c.ebx;
    text[1] = c.ecx;
    text[2] = c.edx;
    return memcmp(text, name, sizeof(text)) == 0;
}

bool on_skep(void)
{
    return hypervisor_is("SkepSkepSkep");
}

bool cpu_is_tcg(void)
{
    struct cpuid c = {0, 0, 0, 0};

    if (cpu_has_leaf(0x80000002))
        c = cpuid(0x80000002, 0);
    return memcmp(&c, "QEMU TCG", 8) == 0;
}

bool cpu_is_amd(void)
{
    return cpuid(0, 0).ebx == 0x68747541;
}

bool have_testdev(void)
{
    if (!boot_word("testdev"))
        return false;
    if (on_skep())
        return true;
    out32(TESTDEV_BYTES, 0x5aa51234);
    return in32(TESTDEV_BYTES) == 0x5aa51234;
}

bool wait_count(const volatile u32 *p, u32 n, u32 ms)
{
    u64 start = rdtsc();
    ulong flags = flags_read();

    cpu_sti();
    while (*p < n && rdtsc() - start < tsc_khz * ms)
        cpu_pause();
    flags_write(flags);
    return *p >= n;
}

void wait_ms(u32 ms)
{
    u32 never = 0;

    wait_count(&never, 1, ms);
}

/* After whatever a test did: machine and tables as they were. */
static void put_in_order(void)
{
    cpu_cli();
    flags_write(FLAG_FIXED);
    asm volatile("mov %0, %%fs\n mov %0, %%gs" : : "r"(SEL_DATA));
    idt_reload();
    cr0_write(order.cr0);
    cr4_write(order.cr4);
    dr7_write(0x400);
    dr6_write(0xffff0ff0);
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    for (unsigned v = 0; v < 256; v++) {
        if (v == VECTOR_USER_EXIT)
            continue;
        trap_set((u8)v, NULL);
        trap_set_stub((u8)v);
    }
    apic_enable();
    for (unsigned i = 0; i < 16; i++) /* of handlers that were left by an exception */
        apic_eoi();
    for (unsigned pin = 0; pin < ioapic_pins(); pin++)
        ioapic_route(pin, IOAPIC_MASKED, 0);
}

static bool applies(const struct check *c)
{
    switch (c->where) {
    case ANYWHERE:
        return true;
    case SKEP_ONLY:
        return on_skep();
    case BARE_ONLY:
        return !on_skep();
    case NOT_TCG:
        return !cpu_is_tcg();
    case NOT_BARE_TCG:
        return on_skep() || !cpu_is_tcg();
    case NOT_BARE_BOCHS:
        return on_skep() || cpu_is_tcg();
    }
    return false;
}

/* Whether a word key=NAME names the test or its group; *any: whether there is such a key at all. */
static bool named(const char *key, const char *test, const char *group, bool *any)
{
    char word[80];
    size_t len = strlen(key);

    *any = false;
    for (unsigned i = 0; boot_nth_word(i, word, sizeof(word)); i++) {
        if (strncmp(word, key, len) != 0)
            continue;
        *any = true;
        if (strcmp(word + len, test) == 0 || strcmp(word + len, group) == 0)
            return true;
    }
    return false;
}

static bool wanted(const struct check *c, const struct check_group *g)
{
    bool any;

    if (named("skip=", c->name, g->name, &any))
        return false;
    return named("only=", c->name, g->name, &any) || !any;
}

static void run_one(void *arg)
{
    const struct check *c = arg;

    c->fn();
}

static void run(const struct check *c)
{
    struct trap t;

    outcome = PASSED;
    if (boot_word("verbose"))
        print("RUN %s\n", c->name);
    if (!applies(c))
        check_skip("not for this machine");
    else if (trap_try(&t, run_one, (void *)(ulong)c))
        check_fail("unexpected vector %d, error %lx, at %lx, cr2 %lx", t.vector, t.error, t.ip,
                   t.cr2);
    put_in_order();
    switch (outcome) {
    case PASSED:
        print("PASS %s\n", c->name);
        break;
    case FAILED:
        print("FAIL %s: %s\n", c->name, reason);
        break;
    case SKIPPED:
        print("SKIP %s: %s\n", c->name, reason);
        break;
    }
}

static void set_up(void)
{
    cr0_write((cr0_read() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP);
    cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    paging_init();
    order.cr0 = cr0_read();
    order.cr4 = cr4_read();
    ioapic_init();
    tsc_khz = pit_tsc_khz();
    put_in_order();
}

static void run_group(const struct check_group *g, unsigned count[3])
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct check *c = &g->checks[i];

        if (!wanted(c, g))
            continue;
        if (boot_word("list")) {
            print("%s %s\n", g->name, c->name);
            continue;
        }
        run(c);
        count[outcome]++;
    }
}

u32 guest_main(void)
{
    unsigned count[3] = {0, 0, 0};

    set_up();
    print("check%u: %s, tsc %ju kHz\n", (unsigned)GUEST_BITS, on_skep() ? "under skep" : "bare",
          tsc_khz);
    for (unsigned times = boot_word("ten") ? 10 : 1; times; times--)
        for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
            run_group(groups[g], count);
    print("%u passed, %u failed\n", count[PASSED], count[FAILED]);
    return MIN(count[FAILED], MAX_STATUS);
}
