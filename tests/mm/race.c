/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest space used by many threads at once, each standing for a CPU:
 *   vCPUs    enter and leave by the generation protocol and touch memory through a TLB of their
 *            own, which they empty only when told to: a translation that is used too long is
 *            noticed. With page-modification logging their processors log which pages they dirty.
 *   devices  hold pages and write them
 *   changer  takes the permission to write away and gives it back; while it is away, no vCPU's
 *            write may arrive
 *   logger   starts, harvests and stops the dirty log: what was written must be in it
 *   reaper   scans, takes pages back and makes large ones: what was written must still be there
 * For each entry format in turn, and with page-modification logging. Usage: race SECONDS
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "mm/space.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"
#include "tests/unit/random.h"

enum { VCPUS = 2, DEVICES = 1, TLB = 64, PAGES = 3 * 512, LOG = 4 };
#define RAM_BASE MIB

/* Everybody meets on a few pages, spread over small and large leaves. */
enum { MEETING = 12 };

static gpa_t meeting_page(unsigned i)
{
    return RAM_BASE + i * 131 * PAGE_SIZE;
}

static gpa_t some_page(u64 *seed)
{
    return meeting_page(random_u64(seed) % MEETING);
}

struct tlb_entry {
    gpa_t page;
    u32 *memory;
    bool write;
};

/* What a vCPU is asked to do outside the guest. */
enum call { CALL_NONE, CALL_LOG_ON, CALL_LOG_TAKE, CALL_LOG_OFF };

struct vcpu {
    struct space_view view;
    struct cpu cpu;
    struct tlb_entry tlb[TLB];
    bool kicked; /* a pending interrupt: leave */
    enum call call;
    bool logging; /* page-modification logging is on */
    gpa_t log[LOG];
    unsigned logged;
    u64 entries, flushes, faults, noted;
    u64 seed;
};

static struct arena arena;
static struct space space;
static struct vcpu vcpus[VCPUS];
static bool stop, page_log;
static u64 changes, harvests, reaped;

/* While a page is protected, the sum of vCPUs' writes to it may not change. */
#define GUEST_WORD  0 /* in each page: vCPUs add to it */
#define DEVICE_WORD 1 /* devices add to it */

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "race: %s\n", what);
    abort();
}

/* ---- where cold pages go that are not zero; used under the space's lock --------------------- */

static u8 shelf[MEETING][PAGE_SIZE];
static bool kept[MEETING];
static u64 put_away;

/* The place of a page in it, or -1. */
static int shelf_place(gpa_t gpa)
{
    u64 i = (gpa - RAM_BASE) / (meeting_page(1) - RAM_BASE);

    return i < MEETING && gpa == meeting_page((unsigned)i) ? (int)i : -1;
}

static bool shelf_put(void *arg, gpa_t gpa, const void *page)
{
    int i = shelf_place(gpa);

    (void)arg;
    check(i >= 0 && !kept[i], "a page is kept twice, or should be zero");
    memcpy(shelf[i], page, PAGE_SIZE);
    put_away++;
    return kept[i] = true;
}

static bool shelf_get(void *arg, gpa_t gpa, void *page)
{
    int i = shelf_place(gpa);

    (void)arg;
    if (i < 0 || !kept[i])
        return false;
    memcpy(page, shelf[i], PAGE_SIZE);
    return true;
}

static void shelf_drop(void *arg, gpa_t gpa)
{
    int i = shelf_place(gpa);

    (void)arg;
    if (i >= 0)
        kept[i] = false;
}

static const struct space_store store = {shelf_put, shelf_get, shelf_drop, NULL};

static bool running(void)
{
    return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void kick(void *arg, unsigned cpu)
{
    (void)arg;
    __atomic_store_n(&vcpus[cpu].kicked, true, __ATOMIC_RELEASE);
}

/* In the guest: one access through the TLB. False on a nested fault, which *access describes. */
static bool guest_access(struct vcpu *v, gpa_t gpa, unsigned access)
{
    struct tlb_entry *t = &v->tlb[gpa >> PAGE_SHIFT & (TLB - 1)];
    struct cpu_walk walk;

    if (t->page != (gpa | 1) || (access & CPU_W && !t->write)) {
        enum cpu_result r;

        if (v->logged == LOG) /* before the walk, as the processor does */
            return false;
        r = cpu_access(&v->cpu, space.tables.root, gpa, access, &walk);

        check(r != CPU_MISCONFIGURED, "a table with reserved bits set");
        if (r != CPU_OK)
            return false;
        t->page = gpa | 1;
        t->memory = (u32 *)(walk.hpa + arena.source.hva_base);
        t->write = access & CPU_W;
        if (v->logging && walk.dirtied)
            v->log[v->logged++] = gpa;
    }
    if (access & CPU_W)
        __atomic_fetch_add(&t->memory[GUEST_WORD], 1, __ATOMIC_RELAXED);
    else
        (void)__atomic_load_n(&t->memory[GUEST_WORD], __ATOMIC_RELAXED);
    return true;
}

/* Outside the guest: hands on what the processor has logged, and does what is asked. */
static void answer_call(struct vcpu *v)
{
    enum call call = __atomic_load_n(&v->call, __ATOMIC_ACQUIRE);

    if (v->logged == LOG || call == CALL_LOG_TAKE) {
        space_log_notes(&space, v->log, v->logged);
        v->noted += v->logged;
        v->logged = 0;
    }
    if (call == CALL_LOG_ON || call == CALL_LOG_OFF) {
        v->logging = call == CALL_LOG_ON;
        v->logged = 0;
    }
    if (call != CALL_NONE)
        __atomic_store_n(&v->call, CALL_NONE, __ATOMIC_RELEASE);
}

/* Has each vCPU do something, if there is page-modification logging. */
static void call_vcpus(enum call call)
{
    for (unsigned i = 0; page_log && i < VCPUS; i++) {
        __atomic_store_n(&vcpus[i].call, call, __ATOMIC_RELEASE);
        kick(NULL, i);
        while (running() && __atomic_load_n(&vcpus[i].call, __ATOMIC_ACQUIRE))
            sched_yield();
    }
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *v = arg;
    unsigned id = (unsigned)(v - vcpus);

    while (running()) {
        gpa_t gpa = 0;
        unsigned access = CPU_R;
        bool fault = false;

        /* Interrupts are taken outside the guest; one that comes after this ends the entry. */
        __atomic_store_n(&v->kicked, false, __ATOMIC_RELEASE);
        if (space_enter(&space, &v->view, id)) {
            memset(v->tlb, 0, sizeof(v->tlb));
            space_flushed(&v->view);
            v->flushes++;
        }
        check(space_current(&v->view), "an entry without the flush it needs");
        for (unsigned i = 0; i < 64 && !fault; i++) {
            /* An interrupt takes its time. */
            if (i % 8 == 0 && __atomic_load_n(&v->kicked, __ATOMIC_ACQUIRE))
                break;
            gpa = some_page(&v->seed);
            access = random_u64(&v->seed) & 1 ? CPU_W | CPU_R : CPU_R;
            fault = !guest_access(v, gpa, access);
        }
        space_leave(&v->view);
        v->entries++;
        sched_yield();
        if (v->logged == LOG)
            fault = false; /* that is why it left */
        answer_call(v);
        if (fault) {
            enum space_result r = space_fault(&space, gpa, access);

            check(r == SPACE_RESOLVED || r == SPACE_DENIED, "a fault on RAM that is no RAM");
            v->faults++;
        }
    }
    return NULL;
}

static void *device_thread(void *arg)
{
    u64 seed = (uintptr_t)arg;

    while (running()) {
        gpa_t gpa = some_page(&seed);
        bool write = random_u64(&seed) & 1;
        u32 *word = space_hold(&space, gpa + 4 * DEVICE_WORD, 4, write);

        if (word && write)
            __atomic_fetch_add(word, 1, __ATOMIC_RELAXED);
        else if (word)
            (void)__atomic_load_n(word, __ATOMIC_RELAXED);
        if (word)
            space_release(&space, gpa);
    }
    return NULL;
}

static u32 guest_word(gpa_t gpa)
{
    u32 *word = space_hold(&space, gpa + 4 * GUEST_WORD, 4, false), value;

    check(word != NULL, "a page that cannot be read");
    value = __atomic_load_n(word, __ATOMIC_RELAXED);
    space_release(&space, gpa);
    return value;
}

static void *changer_thread(void *arg)
{
    u64 seed = (uintptr_t)arg;

    while (running()) {
        u64 pages = 1 + random_u64(&seed) % 4;
        gpa_t gpa = some_page(&seed);
        u32 before;

        check(space_protect(&space, gpa, pages * PAGE_SIZE, NESTED_R) == OK, "no protection");
        before = guest_word(gpa);
        for (unsigned i = 0; i < 4; i++) {
            sched_yield();
            check(guest_word(gpa) == before, "a write arrived after the permission was gone");
        }
        check(space_hold(&space, gpa, 1, true) == NULL, "a hold to write what may not be written");
        check(space_protect(&space, gpa, pages * PAGE_SIZE, NESTED_RWX) == OK, "no permission");
        changes++;
    }
    return NULL;
}

/* What has been written to each page, by vCPUs and devices. */
static void read_words(u64 *sum)
{
    for (unsigned i = 0; i < MEETING; i++) {
        u32 *word = space_hold(&space, meeting_page(i), 8, false);

        check(word != NULL, "a page that cannot be read");
        sum[i] = (u64)__atomic_load_n(&word[GUEST_WORD], __ATOMIC_SEQ_CST) << 32 |
                 __atomic_load_n(&word[DEVICE_WORD], __ATOMIC_SEQ_CST);
        space_release(&space, meeting_page(i));
    }
}

static void *logger_thread(void *arg)
{
    u64 before[MEETING], after[MEETING];

    (void)arg;
    while (running()) {
        call_vcpus(CALL_LOG_ON);
        check(space_log_start(&space, RAM_BASE, page_log) == OK, "no log");
        read_words(after);
        for (unsigned k = 0; k < 20 && running(); k++) {
            u64 bitmap[PAGES / 64 + 1] = {0};

            sched_yield();
            read_words(before);
            call_vcpus(CALL_LOG_TAKE);
            if (!running())
                break; /* they may not have answered */
            space_log_harvest(&space, RAM_BASE, bitmap);
            for (unsigned i = 0; i < MEETING; i++) {
                u64 page = (meeting_page(i) - RAM_BASE) >> PAGE_SHIFT;

                check(before[i] == after[i] || bitmap[page / 64] & BIT(page % 64),
                      "a page was written and not logged");
            }
            read_words(after);
            harvests++;
        }
        space_log_stop(&space, RAM_BASE);
        call_vcpus(CALL_LOG_OFF);
    }
    return NULL;
}

/* The words only ever grow: a page that was lost with its contents would begin at zero again. */
static void *reaper_thread(void *arg)
{
    u64 old[MEETING] = {0}, now[MEETING];

    (void)arg;
    while (running()) {
        struct space_heat heat;

        check(space_scan(&space, &heat) == OK, "no scan");
        sched_yield();
        reaped += space_reclaim(&space, 600);
        space_promote(&space, RAM_BASE, PAGES * PAGE_SIZE, true);
        read_words(now);
        for (unsigned i = 0; i < MEETING; i++)
            check(now[i] >> 32 >= old[i] >> 32 && (u32)now[i] >= (u32)old[i],
                  "what was written is lost");
        memcpy(old, now, sizeof(old));
    }
    return NULL;
}

static void race(enum nested_format_id format, unsigned demand_leaf, unsigned milliseconds)
{
    struct space_config cfg = {
        .caps = {.format = format, .page_2m = true, .phys_bits = 46},
        .src = &arena.source,
        .kick = kick,
        .demand_leaf = (u8)demand_leaf,
        .store = demand_leaf == 1 ? &store : NULL,
    };
    pthread_t thread[VCPUS + DEVICES + 3];
    struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000l};
    u64 entries = 0, flushes = 0, faults = 0, noted = 0;
    unsigned n = 0;

    arena_init(&arena, 16 * MIB);
    check(space_init(&space, &cfg) == OK, "no space");
    check(space_add_ram(&space, RAM_BASE, PAGES * PAGE_SIZE) == OK, "no memory");
    memset(vcpus, 0, sizeof(vcpus));
    stop = false;
    changes = harvests = reaped = put_away = 0;
    memset(kept, 0, sizeof(kept));
    for (unsigned i = 0; i < VCPUS; i++) {
        vcpus[i].seed = 11 + i;
        vcpus[i].cpu = cpu_of(&cfg.caps, &arena.source);
        check(space_attach(&space, &vcpus[i].view) == OK, "no view");
        pthread_create(&thread[n++], NULL, vcpu_thread, &vcpus[i]);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        pthread_create(&thread[n++], NULL, device_thread, (void *)(uintptr_t)(101 + i));
    pthread_create(&thread[n++], NULL, changer_thread, (void *)(uintptr_t)1001);
    pthread_create(&thread[n++], NULL, logger_thread, NULL);
    pthread_create(&thread[n++], NULL, reaper_thread, NULL);
    nanosleep(&t, NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    while (n-- > 0)
        pthread_join(thread[n], NULL);
    for (unsigned i = 0; i < VCPUS; i++) {
        entries += vcpus[i].entries;
        flushes += vcpus[i].flushes;
        faults += vcpus[i].faults;
        noted += vcpus[i].noted;
        space_detach(&space, &vcpus[i].view);
    }
    check(space_fini(&space) == 0, "holds left open");
    arena_fini(&arena);
    printf("race: format %u, leaves of level %u: %llu entries, %llu flushes, %llu faults, "
           "%llu changes, %llu harvests, %llu pages logged by processors, %llu reclaimed, "
           "%llu of them not zero\n",
           format, demand_leaf, (unsigned long long)entries, (unsigned long long)flushes,
           (unsigned long long)faults, (unsigned long long)changes, (unsigned long long)harvests,
           (unsigned long long)noted, (unsigned long long)reaped, (unsigned long long)put_away);
    check(entries && flushes && changes && harvests && (noted || !page_log),
          "too little happened to prove anything");
}

int main(int argc, char **argv)
{
    unsigned milliseconds = (unsigned)((argc > 1 ? atof(argv[1]) : 8) * 1000 / 8);

    for (unsigned leaf = 1; leaf <= 2; leaf++) {
        page_log = false;
        for (unsigned format = 0; format < 3; format++)
            race((enum nested_format_id)format, leaf, milliseconds);
        page_log = true;
        race(NESTED_EPT_AD, leaf, milliseconds);
    }
    return 0;
}
