/* SPDX-License-Identifier: BSD-2-Clause */
/* Ending: testdev, ACPI S5 (ACPI 6.4, 4.8.3.2 and 7.4.2), emulators' ports, reset. */
#include "guests/lib/exit.h"
#include "guests/lib/acpi.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/cpu.h"

#define PM1_SLP_EN        BIT(13)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK  0x1c00u
#define QEMU_PM1_CONTROL  0x604
#define BOCHS_PM1_CONTROL 0xb004
#define BOCHS_DEBUGGER    0x8a00
#define BOCHS_SHUTDOWN    0x8900
#define RESET_CONTROL     0xcf9

static NORETURN void stop(void)
{
    for (;;) {
        cpu_cli();
        cpu_hlt();
    }
}

void guest_poweroff(void)
{
    struct acpi_soft_off off;

    console_drain();
    /* Bochs' return to its debugger first: unlike its soft-off it ends with status 0. */
    out16(BOCHS_DEBUGGER, 0x8a00);
    out16(BOCHS_DEBUGGER, 0x8ae0);
    if (acpi_find_soft_off(&off)) {
        u32 control = in16(off.pm1a_control) & ~PM1_SLP_TYP_MASK;

        out16(off.pm1a_control,
              (u16)(control | (u32)off.sleep_type << PM1_SLP_TYP_SHIFT | PM1_SLP_EN));
    }
    out16(QEMU_PM1_CONTROL, PM1_SLP_EN);
    out16(BOCHS_PM1_CONTROL, PM1_SLP_EN);
    for (const char *p = "Shutdown"; *p; p++)
        out8(BOCHS_SHUTDOWN, (u8)*p);
    stop();
}

void guest_exit(u32 status)
{
    cpu_cli();
    print("exit %u\n", status);
    console_drain();
    if (boot_word("testdev"))
        out32(TESTDEV_EXIT, status);
    guest_poweroff();
}

void guest_reset(void)
{
    console_drain();
    out8(RESET_CONTROL, 0x02);
    out8(RESET_CONTROL, 0x06);
    stop();
}
