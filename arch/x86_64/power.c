/* SPDX-License-Identifier: BSD-2-Clause */
/* Power off and reset. ACPI 6.5, 4.8.3.2 (PM1 control), 4.8.3.6 (reset register). */
#include "arch/x86_64/power.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/devmap.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "lib/string.h"

#define PM1_SCI_EN        BIT(0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP       (7u << PM1_SLP_TYP_SHIFT)
#define PM1_SLP_EN        BIT(13)
#define SPIN_LIMIT        1000000

/* Bochs' iodebug device: writing the key arms it, and then it reads back as the key. */
#define BOCHS_DEBUG_PORT    0x8a00
#define BOCHS_DEBUG_KEY     0x8a00
#define BOCHS_DEBUG_STOP    0x8ae0
#define BOCHS_SHUTDOWN_PORT 0x8900
/* QEMU's q35 power management, where no table names it, and isa-debug-exit. */
#define QEMU_PM1_CONTROL 0x604
#define QEMU_EXIT_PORT   0xf4

static struct {
    struct acpi_reg pm1a, pm1b, reset;
    u16 smi_command;
    u8 acpi_enable, s5_a, s5_b, reset_value;
    bool s5;
    volatile u8 *reset_memory;
} power;

void power_init(const struct acpi_info *acpi)
{
    power.pm1a = acpi->pm1a_control;
    power.pm1b = acpi->pm1b_control;
    power.smi_command = acpi->smi_command;
    power.acpi_enable = acpi->acpi_enable;
    power.s5 = acpi->s5;
    power.s5_a = acpi->s5_a;
    power.s5_b = acpi->s5_b;
    power.reset = acpi->reset;
    power.reset_value = acpi->reset_value;
    if (power.reset.address && !power.reset.port)
        power.reset_memory = devmap_add(power.reset.address, 1, MAP_UC);
}

void machine_halt(void)
{
    for (;;) {
        cpu_cli();
        cpu_hlt();
    }
}

static void wait_a_little(void)
{
    for (u32 i = 0; i < SPIN_LIMIT; i++)
        cpu_pause();
}

static void acpi_mode_on(void)
{
    u16 port = (u16)power.pm1a.address;

    if (!power.smi_command || (cpu_in16(port) & PM1_SCI_EN))
        return;
    cpu_out8(power.smi_command, power.acpi_enable);
    for (u32 i = 0; i < SPIN_LIMIT && !(cpu_in16(port) & PM1_SCI_EN); i++)
        cpu_pause();
}

static void write_sleep(const struct acpi_reg *reg, u8 type)
{
    u16 port = (u16)reg->address, v;

    if (!reg->address || !reg->port)
        return;
    v = (u16)((cpu_in16(port) & ~(PM1_SLP_TYP | PM1_SLP_EN)) |
              ((u32)(type & 7) << PM1_SLP_TYP_SHIFT));
    cpu_out16(port, v);
    cpu_out16(port, (u16)(v | PM1_SLP_EN));
}

static void acpi_s5(void)
{
    if (!power.s5 || !power.pm1a.address || !power.pm1a.port)
        return;
    acpi_mode_on();
    write_sleep(&power.pm1a, power.s5_a);
    write_sleep(&power.pm1b, power.s5_b);
    wait_a_little();
}

/* Ends Bochs in an orderly way: ACPI makes it exit as after an error. */
static void bochs_stop(void)
{
    cpu_out16(BOCHS_DEBUG_PORT, BOCHS_DEBUG_KEY);
    if (cpu_in16(BOCHS_DEBUG_PORT) == BOCHS_DEBUG_KEY)
        cpu_out16(BOCHS_DEBUG_PORT, BOCHS_DEBUG_STOP);
}

static bool is_tcg(void)
{
    struct cpuid_regs r = {0};

    if (cpu_cpuid(1, 0).ecx & BIT(31))
        r = cpu_cpuid(0x40000000, 0);
    return !memcmp(&r.ebx, "TCGT", 4);
}

/* For emulators whose tables did not say how: after ACPI has failed nothing is lost by trying. */
static void emulator_exit(void)
{
    static const char shutdown[] = "Shutdown";

    for (size_t i = 0; i < sizeof(shutdown) - 1; i++)
        cpu_out8(BOCHS_SHUTDOWN_PORT, (u8)shutdown[i]);
    if (!is_tcg())
        return;
    cpu_out16(QEMU_PM1_CONTROL, PM1_SLP_EN);
    wait_a_little();
    cpu_out8(QEMU_EXIT_PORT, 0);
}

void machine_poweroff(void)
{
    cpu_cli();
    bochs_stop();
    acpi_s5();
    emulator_exit();
    log_error("the machine cannot be turned off from here: turn it off by hand");
    for (;;) /* interrupts on: the console has yet to send that line */
        cpu_idle();
}

static void triple_fault(void)
{
    cpu_lidt(0, 0);
    __asm__ volatile("int3");
}

void machine_reboot(void)
{
    cpu_cli();
    if (power.reset_memory)
        *power.reset_memory = power.reset_value;
    else if (power.reset.address && power.reset.port)
        cpu_out8((u16)power.reset.address, power.reset_value);
    wait_a_little();
    cpu_out8(0xcf9, 0x02);
    cpu_out8(0xcf9, 0x06);
    wait_a_little();
    cpu_out8(0x64, 0xfe);
    wait_a_little();
    triple_fault();
    machine_halt();
}
