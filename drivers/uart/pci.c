/* SPDX-License-Identifier: BSD-2-Clause */
/* Serial cards on PCI, by configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3 and chapter 6). */
#include "arch/x86_64/cpu.h"
#include "drivers/uart/uart.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u

#define REG_ID      0x00
#define REG_COMMAND 0x04
#define REG_CLASS   0x08 /* with the programming interface and the revision below it */
#define REG_HEADER  0x0c
#define REG_BAR0    0x10
#define REG_BAR1    0x14
#define REG_LINE    0x3c
#define ABSENT      0xffff
#define DECODE      0x0003 /* ports and memory */
#define NO_INTX     0x0400
#define MULTI       0x00800000u
#define CLASS_UART  0x0700
#define LAST_16550  6 /* programming interfaces: 16450 and up to 16950 all start as a 16550 does */
#define BAR_PORT    1u
#define BAR_64      4u

COLD static u32 config_read(u32 function, u32 reg)
{
    cpu_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | reg);
    return cpu_in32(CONFIG_DATA);
}

static void config_write(u32 function, u32 reg, u32 value)
{
    cpu_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | reg);
    cpu_out32(CONFIG_DATA, value);
}

/* Where BAR 0 has it; false if the firmware has set none. */
static bool place(u32 function, u16 *port, hpa_t *hpa)
{
    u32 bar = config_read(function, REG_BAR0);

    *port = bar & BAR_PORT ? (u16)(bar & ~3u) : 0;
    *hpa = bar & BAR_PORT ? 0 : bar & ~15u;
    if (!(bar & BAR_PORT) && (bar & BAR_64))
        *hpa |= (hpa_t)config_read(function, REG_BAR1) << 32;
    return *port || *hpa;
}

bool uart_find_pci(unsigned n, u16 *port, hpa_t *hpa, u8 *line)
{
    for (u32 function = 0; function < 0x10000; function++) {
        u32 class = config_read(function, REG_CLASS);

        if ((config_read(function, REG_ID) & 0xffff) == ABSENT) {
            function |= function & 7 ? 0 : 7; /* no function 0: none at all */
            continue;
        }
        if (class >> 16 == CLASS_UART && (class >> 8 & 0xff) <= LAST_16550 &&
            place(function, port, hpa) && --n == 0) {
            /* The status bits above are cleared by ones. */
            config_write(function, REG_COMMAND,
                         (config_read(function, REG_COMMAND) & 0xffff & ~NO_INTX) | DECODE);
            *line = (u8)config_read(function, REG_LINE);
            return true;
        }
        if (!(function & 7) && !(config_read(function, REG_HEADER) & MULTI))
            function |= 7;
    }
    return false;
}
