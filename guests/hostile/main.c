/* SPDX-License-Identifier: BSD-2-Clause */
/* Picks the deed: a word of the command line, or, with the word ask, what is typed. */
#include "guests/hostile/hostile.h"
#include "guests/lib/guest.h"
#include "lib/string.h"

u8 scratch[4][4096] ALIGNED(4096);
u64 tsc_khz;

static u64 timer_per_ms; /* local APIC timer counts */
static u64 random_state;
static const struct deed_list *const lists[] = {&deeds_registers, &deeds_memory, &deeds_loops,
                                                &deeds_fuzz, &deeds_mode};

u64 random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dull;
}

int dare(void (*fn)(void *), void *arg)
{
    struct trap t;

    trap_try(&t, fn, arg);
    return t.vector;
}

int dare_for(u32 ms, void (*fn)(void *), void *arg)
{
    struct trap t;

    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_1);
    apic_write(APIC_LVT_TIMER, APIC_TIMER_ONE_SHOT | DARE_VECTOR);
    apic_write(APIC_TIMER_INITIAL, (u32)(timer_per_ms * ms));
    trap_try(&t, fn, arg);
    if (t.vector == DARE_VECTOR)
        apic_eoi();
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    return t.vector;
}

/* On the second processor: 2 s later it is enough. */
static void bark(void *arg)
{
    u64 start = rdtsc();

    (void)arg;
    while (rdtsc() - start < tsc_khz * 2000)
        cpu_pause();
    guest_exit(STATUS_WATCHDOG);
}

void watchdog(void)
{
    if (smp_start() >= 2)
        smp_call(1, bark, NULL);
}

static const struct deed *find(const char *word)
{
    for (unsigned l = 0; l < ARRAY_SIZE(lists); l++)
        for (unsigned i = 0; i < lists[l]->count; i++)
            if (strcmp(lists[l]->deeds[i].word, word) == 0)
                return &lists[l]->deeds[i];
    return NULL;
}

/* The deed that a person types. */
static const struct deed *ask(void)
{
    char word[64];
    unsigned n = 0;

    print("deed? ");
    for (u8 c = console_getc(); c != '\r'; c = console_getc()) {
        print("%c", c);
        if (n < sizeof(word) - 1)
            word[n++] = (char)c;
    }
    word[n] = 0;
    print("\n");
    return find(word);
}

static void show_all(void)
{
    static const char *const endings[] = {"returns", "dies", "loops", "anything"};

    for (unsigned l = 0; l < ARRAY_SIZE(lists); l++)
        for (unsigned i = 0; i < lists[l]->count; i++)
            print("%s: %s\n", lists[l]->deeds[i].word, endings[lists[l]->deeds[i].ending]);
}

u32 guest_main(void)
{
    char word[64];
    const struct deed *d = NULL;

    paging_init();
    cr0_write((cr0_read() & ~(ulong)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    apic_enable();
    ioapic_init();
    tsc_khz = pit_tsc_khz();
    timer_per_ms = MAX(apic_timer_per_mega_tsc() * tsc_khz / 1000000, 1u);
    random_state = boot_number("seed=", 1) * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; !d && boot_nth_word(i, word, sizeof(word)); i++)
        d = find(word);
    if (!d && boot_word("ask"))
        d = ask();
    if (!d) {
        show_all();
        return 1;
    }
    print("hostile%u: %s\n", (unsigned)GUEST_BITS, d->word);
    d->fn();
    print("hostile%u: survived\n", (unsigned)GUEST_BITS);
    return 0;
}
