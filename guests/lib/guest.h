/* SPDX-License-Identifier: BSD-2-Clause */
/* What each guest provides and gets: guest_main() runs with console, GDT, TSS and IDT set up. */
#ifndef GUESTS_LIB_GUEST_H
#define GUESTS_LIB_GUEST_H

#include "lib/types.h"

/* The guest itself. What it returns becomes the exit status. Interrupts are off. */
u32 guest_main(void);

/* Called by the entry code. */
NORETURN void guest_start(void);

#endif
