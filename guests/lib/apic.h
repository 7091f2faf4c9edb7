/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC (xAPIC by MMIO or x2APIC by MSRs) and I/O APIC (SDM 3, chapter 10; 82093AA). */
#ifndef GUESTS_LIB_APIC_H
#define GUESTS_LIB_APIC_H

#include "guests/lib/cpu.h"

/* Local APIC registers by their xAPIC offset; the x2APIC MSR is 0x800 + offset / 16. */
#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_TPR           0x080
#define APIC_PPR           0x0a0
#define APIC_EOI           0x0b0
#define APIC_LDR           0x0d0
#define APIC_DFR           0x0e0
#define APIC_SVR           0x0f0
#define APIC_ISR           0x100
#define APIC_TMR           0x180
#define APIC_IRR           0x200
#define APIC_ESR           0x280
#define APIC_ICR           0x300
#define APIC_ICR_HIGH      0x310
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_LINT0     0x350
#define APIC_LVT_LINT1     0x360
#define APIC_LVT_ERROR     0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0
#define APIC_SELF_IPI      0x3f0 /* x2APIC only */

#define APIC_SVR_ENABLE 0x100u
#define APIC_LVT_MASKED 0x10000u
#define APIC_LVT_EXTINT 0x700u
#define APIC_LVT_NMI    0x400u

#define APIC_TIMER_ONE_SHOT 0x00000u
#define APIC_TIMER_PERIODIC 0x20000u
#define APIC_TIMER_DEADLINE 0x40000u
#define APIC_DIVIDE_1       0xbu

#define ICR_FIXED   0x00000u
#define ICR_LOWEST  0x00100u
#define ICR_NMI     0x00400u
#define ICR_INIT    0x00500u
#define ICR_STARTUP 0x00600u
#define ICR_LOGICAL 0x00800u
#define ICR_PENDING 0x01000u
#define ICR_ASSERT  0x04000u
#define ICR_LEVEL   0x08000u
#define ICR_SELF    0x40000u
#define ICR_ALL     0x80000u
#define ICR_OTHERS  0xc0000u

#define APIC_SPURIOUS_VECTOR 0xff
#define APIC_MMIO            0xfee00000ul

/* Enables the local APIC of this CPU: software-enabled, TPR 0, every LVT entry masked. */
void apic_enable(void);

/*
 * Goes to x2APIC mode. There is no way back: that leads through the disabled state, from which
 * some processors (and Bochs) return only by a reset.
 */
void apic_x2_mode_on(void);
bool apic_is_x2(void);

u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 value);
void apic_eoi(void);
u32 apic_id(void);

/* Sends an IPI and, in xAPIC mode, waits until it was accepted. dest: APIC ID, or logical. */
void apic_icr(u32 dest, u32 low);

/* Tests a vector's bit in ISR, TMR or IRR. */
bool apic_vector_bit(u32 reg, u8 vector);

/* Local APIC timer counts a million TSC ticks, at divide-by-1. */
u64 apic_timer_per_mega_tsc(void);

/* I/O APIC at its address (0: as the MADT says). */
void ioapic_init(void);
u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 value);
unsigned ioapic_pins(void);
ulong ioapic_address(void);

#define IOAPIC_ID      0x00
#define IOAPIC_VERSION 0x01
#define IOAPIC_REDIR   0x10 /* two registers a pin */

#define IOAPIC_LEVEL  0x8000u
#define IOAPIC_LOW    0x2000u
#define IOAPIC_MASKED 0x10000u

/* Routes a pin: low half of the entry (vector, modes) and destination APIC ID. */
void ioapic_route(unsigned pin, u32 low, u32 dest);

/* The pin and trigger flags of an ISA interrupt, from the MADT. */
unsigned ioapic_isa_pin(unsigned irq, u32 *flags);

#endif
