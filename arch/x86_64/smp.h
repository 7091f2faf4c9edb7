/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other processors. SDM 3, 8.4 (INIT-SIPI-SIPI). */
#ifndef ARCH_X86_64_SMP_H
#define ARCH_X86_64_SMP_H

#include "lib/types.h"

struct acpi_info;

/*
 * Starts every processor that acpi lists and this is not, one after the other, and returns once
 * each runs or has been given up with a log line. tramp is a free page below 1 MiB. Each new CPU,
 * with its own percpu, stack, GDT, IDT, local APIC, timer and FPU set up and interrupts off, waits
 * until all have been started and then calls entry, which does not return. cpu_count() counts those
 * that run. Boot CPU, once.
 */
void smp_start(const struct acpi_info *acpi, hpa_t tramp, void (*entry)(void));

/*
 * The code that is copied to tramp, and what the boot code lends: its page tables, which lie below
 * 4 GiB and, while processors start, map the first 2 MiB at their own address. boot/.
 */
extern const u8 trampoline[], trampoline_end[];
extern u64 boot_pml4[], boot_pdpt_low[], boot_pd_low[];

/* At the start of the copied code: what the starting processor is given. */
struct trampoline_args {
    u8 jump[8]; /* over this structure */
    u32 cr3;    /* of boot_pml4 */
    u32 base;   /* where the trampoline lies */
    u64 stack_top;
    u64 cpu;   /* struct percpu * */
    u64 entry; /* C, at its high address; gets cpu */
};
ASSERT_OFFSET(struct trampoline_args, cr3, 8);
ASSERT_OFFSET(struct trampoline_args, base, 12);
ASSERT_OFFSET(struct trampoline_args, stack_top, 16);
ASSERT_OFFSET(struct trampoline_args, cpu, 24);
ASSERT_OFFSET(struct trampoline_args, entry, 32);

#endif
