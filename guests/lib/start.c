/* SPDX-License-Identifier: BSD-2-Clause */
/* From the entry code to guest_main(). */
#include "guests/lib/guest.h"
#include "guests/lib/console.h"
#include "guests/lib/cpu.h"
#include "guests/lib/exit.h"
#include "guests/lib/trap.h"

/* PIC pair: everything masked, vectors away from exceptions (8259A data sheet). */
static void pic_mask(void)
{
    static const u8 words[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28},
                                  {0x21, 0x04}, {0xa1, 0x02}, {0x21, 0x01}, {0xa1, 0x01},
                                  {0x21, 0xff}, {0xa1, 0xff}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        out8(words[i][0], words[i][1]);
}

void guest_start(void)
{
    trap_init(0);
    console_init();
    pic_mask();
    guest_exit(guest_main());
}
