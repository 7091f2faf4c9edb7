/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory: touches known sets of pages when told to, for comparison with what the hypervisor says
 * was read and written. Each command is a key, answered by "memory: KEY PAGES pages, TICKS each".
 *
 *   f  writes every page of the area     z  zeroes the first word of every page again
 *   r  reads pages 7 n + 2               w  writes pages 5 n + 1
 *   i  REP INSB to pages 64 n + 9        o  REP OUTSB from pages 64 n + 33
 *   c  checks that every page holds what was written to it
 *   l  has the other CPU count in every page, round and round, and says so
 *   L  stops that: every page must have been counted in equally often
 *   t  has the other CPU write every page and write zero again, slowly, and check both
 *   T  stops that
 *   g  writes the next 256 pages that g and G have not written yet;  G  the next 4096
 *   x  calls a function that lies in page 3 of the area
 *   X  has the other CPU do that, again and again
 *   q  ends
 *
 * Word on the command line: pages=N (2048 unless said), from a 2 MiB boundary on if there are
 * that many. No page table, stack or code lies in the area.
 */
#include "guests/lib/apic.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/guest.h"
#include "guests/lib/smp.h"
#include "lib/string.h"

#define BYTES_PORT 0xe0    /* the test device's storage */
#define STRING     4       /* bytes a string instruction moves */
#define PACE       2000000 /* ticks between two pages written slowly */

/* Words of a page. */
enum { WORD_FILLED, WORD_WRITTEN, WORD_STRING, WORD_COUNT, WORDS = PAGE_SIZE / sizeof(u64) };

static volatile u64 *area;
static unsigned pages;
static volatile bool stop;
static u64 rounds;
static unsigned wrong, grown;

static volatile u64 *page(unsigned i)
{
    return &area[(u64)i * WORDS];
}

static void fill_page(unsigned i)
{
    page(i)[WORD_FILLED] = i + 1;
}

static void zero_page(unsigned i)
{
    for (unsigned word = WORD_FILLED; word <= WORD_COUNT; word++)
        page(i)[word] = 0;
}

static void read_page(unsigned i)
{
    (void)page(i)[WORD_FILLED];
}

static void write_page(unsigned i)
{
    page(i)[WORD_WRITTEN] = i;
}

static void ins_page(unsigned i)
{
    volatile u64 *to = &page(i)[WORD_STRING];
    ulong count = STRING;

    asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(BYTES_PORT) : "memory");
}

static void outs_page(unsigned i)
{
    volatile u64 *from = &page(i)[WORD_STRING];
    ulong count = STRING;

    asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(BYTES_PORT) : "memory");
}

static void check_page(unsigned i)
{
    if (page(i)[WORD_FILLED] != i + 1)
        print("memory: page %u holds %ju\n", i, page(i)[WORD_FILLED]);
}

/* Every step-th page from first on. */
static void each(char key, unsigned first, unsigned step, void (*fn)(unsigned i))
{
    unsigned count = 0;
    u64 start = rdtsc(), ticks;

    for (unsigned i = first; i < pages; i += step, count++)
        fn(i);
    ticks = rdtsc() - start;
    print("memory: %c %u pages, %ju each\n", key, count, count ? ticks / count : 0);
}

static void grow(char key, unsigned count)
{
    unsigned end = MIN(grown + count, pages);

    for (; grown < end; grown++)
        fill_page(grown);
    print("memory: %c %u pages, %u each\n", key, grown, 0);
}

/* ---- the other CPU -------------------------------------------------------------------------- */

/* With interrupts on, as in wait_key. */
static void count_round(void *arg)
{
    (void)arg;
    cpu_sti();
    for (rounds = 0; !stop; rounds++)
        for (unsigned i = 0; i < pages; i++)
            page(i)[WORD_COUNT]++;
    cpu_cli();
}

static void slowly(void)
{
    for (u64 start = rdtsc(); rdtsc() - start < PACE && !stop;)
        cpu_pause();
}

static void toggle_round(void *arg)
{
    (void)arg;
    cpu_sti();
    wrong = 0;
    for (rounds = 0; !stop; rounds++)
        for (unsigned i = 0; i < pages && !stop; i++) {
            wrong += page(i)[WORD_COUNT] != 0;
            page(i)[WORD_COUNT] = i + 1;
            slowly();
            wrong += page(i)[WORD_COUNT] != i + 1;
            page(i)[WORD_COUNT] = 0;
        }
    cpu_cli();
}

static void stop_toggling(void)
{
    stop = true;
    smp_wait(1);
    print("memory: T %ju rounds, %u pages wrong\n", rounds, wrong);
}

static void start_other(char key, void (*fn)(void *))
{
    stop = false;
    smp_call(1, fn, NULL);
    print("memory: %c started\n", key);
}

static void check_counts(void)
{
    stop = true;
    smp_wait(1);
    wrong = 0;
    for (unsigned i = 0; i < pages; i++) {
        wrong += page(i)[WORD_COUNT] != rounds;
        page(i)[WORD_COUNT] = 0;
    }
    print("memory: L %ju rounds, %u pages wrong\n", rounds, wrong);
}

/* ---- code in the area ----------------------------------------------------------------------- */

static void call_code(void)
{
    asm volatile("call *%0" : : "r"(page(3)) : "memory");
}

static void call_round(void *arg)
{
    (void)arg;
    cpu_sti();
    for (rounds = 0; !stop; rounds++)
        call_code();
    cpu_cli();
}

static void write_code(void)
{
    *(volatile u8 *)page(3) = 0xc3; /* RET */
}

/* ---- commands ------------------------------------------------------------------------------- */

static bool obey(char key)
{
    switch (key) {
    case 'f':
        each(key, 0, 1, fill_page);
        break;
    case 'z':
        each(key, 0, 1, zero_page);
        break;
    case 'r':
        each(key, 2, 7, read_page);
        break;
    case 'w':
        each(key, 1, 5, write_page);
        break;
    case 'i':
        each(key, 9, 64, ins_page);
        break;
    case 'o':
        each(key, 33, 64, outs_page);
        break;
    case 'c':
        each(key, 0, 1, check_page);
        break;
    case 'l':
        start_other(key, count_round);
        break;
    case 'L':
        check_counts();
        break;
    case 't':
        start_other(key, toggle_round);
        break;
    case 'T':
        stop_toggling();
        break;
    case 'g':
        grow(key, 256);
        break;
    case 'G':
        grow(key, 4096);
        break;
    case 'x':
        write_code();
        call_code();
        print("memory: x called\n");
        break;
    case 'X':
        write_code();
        start_other(key, call_round);
        break;
    case 'q':
        return false;
    default:
        print("memory: what is %02x?\n", (u8)key);
    }
    return true;
}

/* With interrupts on, or Bochs would let the host have its own only now and then. */
static char wait_key(void)
{
    u8 key;

    cpu_sti();
    key = console_getc();
    cpu_cli();
    return (char)key;
}

u32 guest_main(void)
{
    unsigned cpus;

    apic_enable();
    cpus = smp_start();
    pages = (unsigned)boot_number("pages=", 2048);
    area = (volatile u64 *)boot_take_memory((u64)pages * PAGE_SIZE,
                                            pages >= 512 ? 2 * MIB : (u64)PAGE_SIZE);
    if (!area) {
        print("memory: no room for %u pages\n", pages);
        return 1;
    }
    print("memory: area %jx, %u pages, %u CPUs\n", (u64)(ulong)area, pages, cpus);
    while (obey(wait_key()))
        ;
    return 0;
}
