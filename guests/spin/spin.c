/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spin: keeps its processor busy for so many rounds of a million turns and ends. It has no clock:
 * how long it takes beside others shows what share of the processor it was given.
 *
 * Words on the command line: rounds=N (100 unless said), pause (PAUSE in each turn, as a processor
 * does that waits for another one), deaf (with interrupts off).
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/guest.h"

#define TURNS 1000000u

static void round_plain(void)
{
    for (u32 i = 0; i < TURNS; i++)
        asm volatile("" : : : "memory");
}

static void round_pause(void)
{
    for (u32 i = 0; i < TURNS; i++)
        cpu_pause();
}

u32 guest_main(void)
{
    bool pause = boot_word("pause");
    u32 rounds = boot_number("rounds=", 100);

    if (!boot_word("deaf"))
        cpu_sti();
    for (u32 i = 0; i < rounds; i++) {
        if (pause)
            round_pause();
        else
            round_plain();
    }
    return 0;
}
