/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups of tests, in the order in which they run. */
#ifndef GUESTS_CHECK_GROUPS_H
#define GUESTS_CHECK_GROUPS_H

#include "guests/check/check.h"

extern const struct check_group exceptions, mode_specific, cpuid_group, msr_group, control, virt,
    interrupts, irq_lines, irq_timer, irq_windows, pic, apic_msg, delivery, timers, pit, rtc, hpet,
    ticks_group, debug, state, pages, ports, mmio, lapic, smp, smp_state, smp_lines, x2apic;

#ifdef __x86_64__
extern const struct check_group cr8;
#define CHECK_GROUPS_64 &cr8,
#else
#define CHECK_GROUPS_64
#endif

#define CHECK_GROUPS                                                                               \
    &exceptions, &mode_specific, &cpuid_group, &msr_group, &control, &virt, &interrupts,           \
        &irq_lines, &irq_timer, &irq_windows, &pic, &apic_msg, &delivery, &timers, &pit, &rtc,     \
        &hpet, &ticks_group, &debug, &state, &pages, &ports, &mmio, &lapic, &smp, &smp_state,      \
        &smp_lines, CHECK_GROUPS_64 &x2apic,

#endif
