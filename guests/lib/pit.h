/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8254 timer: channel 0 as a source of IRQ 0, channel 2 as a stop watch. */
#ifndef GUESTS_LIB_PIT_H
#define GUESTS_LIB_PIT_H

#include "guests/lib/cpu.h"

#define PIT_HZ       1193182u
#define PIT_ONE_SHOT 0u /* mode 0 */
#define PIT_RATE     2u /* mode 2 */

/* Programs channel 0: mode and count (0 is 65536). */
void pit_start(unsigned mode, u16 count);

/* Latches and reads channel 0. */
u16 pit_read(void);

/* Waits by channel 2 (mode 0, gate and output in port 0x61). At most 54 ms. */
void pit_wait_us(u32 us);

/* TSC frequency in kHz, measured against channel 2 over 10 ms, five times. */
u64 pit_tsc_khz(void);

#endif
