/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions and interrupts. SDM 3, chapter 6. */
#include "arch/x86_64/trap.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/panic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "lib/assert.h"
#include "lib/log.h"

#define GATE_INTERRUPT 0x8e00 /* 64-bit interrupt gate, present, DPL 0 */
#define FIRST_IRQ      32
#define VECTORS        256

struct gate {
    u16 offset_low, sel, attr, offset_mid;
    u32 offset_high, reserved;
};
ASSERT_SIZE(struct gate, 16);

struct extable_entry {
    s32 insn, fixup; /* relative to the field itself */
};

extern const u8 trap_stubs[], irq_stubs[];
extern const struct extable_entry extable_start[], extable_end[];

static struct gate idt[VECTORS];
static void (*irq_handlers[VECTORS - FIRST_IRQ])(void);

/* From stubs.S. */
void trap_dispatch(struct trap_frame *f);
void trap_dispatch_irq(unsigned vector);

static const char names[][4] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                "#DF", "?",   "#TS", "#NP", "#SS", "#GP", "#PF", "?",
                                "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

const char *trap_name(unsigned vector)
{
    return vector < ARRAY_SIZE(names) ? names[vector] : "?";
}

static unsigned ist_of(unsigned vector)
{
    switch (vector) {
    case EXC_NMI:
        return IST_NMI;
    case EXC_DF:
        return IST_DF;
    case EXC_MC:
        return IST_MC;
    default:
        return 0;
    }
}

void trap_init(void)
{
    for (unsigned v = 0; v < VECTORS; v++) {
        u64 stub =
            v < FIRST_IRQ ? (u64)(trap_stubs + 16 * v) : (u64)(irq_stubs + 8 * (v - FIRST_IRQ));

        idt[v] = (struct gate){
            .offset_low = (u16)stub,
            .sel = SEL_CODE,
            .attr = (u16)(GATE_INTERRUPT | ist_of(v)),
            .offset_mid = (u16)(stub >> 16),
            .offset_high = (u32)(stub >> 32),
        };
    }
}

void trap_load(void)
{
    cpu_lidt((u64)idt, sizeof(idt) - 1);
}

void irq_set_handler(unsigned vector, void (*fn)(void))
{
    ASSERT(vector >= FIRST_IRQ && vector < VECTORS);
    __atomic_store_n(&irq_handlers[vector - FIRST_IRQ], fn, __ATOMIC_RELEASE);
}

static bool fix_up(struct trap_frame *f)
{
    for (const struct extable_entry *e = extable_start; (u64)e < (u64)extable_end; e++) {
        if ((u64)&e->insn + (u64)(s64)e->insn != f->rip)
            continue;
        f->rip = (u64)&e->fixup + (u64)(s64)e->fixup;
        return true;
    }
    return false;
}

void trap_dispatch_irq(unsigned vector)
{
    void (*fn)(void) = irq_handlers[vector - FIRST_IRQ];

    if (vector == VEC_SPURIOUS)
        return;
    if (fn)
        fn();
    else if (vector != VEC_KICK)
        log_warn("interrupt %u on CPU %u has no handler", vector, this_cpu()->id);
    lapic_eoi();
}

static void dispatch_nmi(void)
{
    if (panic_begun())
        machine_halt();
    this_cpu()->nmis++;
}

/* A fault just below a stack, seen from the double-fault stack, is that stack's overflow. */
static bool is_guard_page(u64 addr)
{
    u64 in_area;

    if (addr < PERCPU_BASE || addr >= PERCPU_BASE + (u64)MAX_CPUS * PERCPU_STRIDE)
        return false;
    in_area = addr % PERCPU_STRIDE;
    return in_area < PAGE_SIZE || in_area >= PAGE_SIZE + STACK_SIZE;
}

static NORETURN void die(const struct trap_frame *f)
{
    unsigned v = (unsigned)f->vector;

    if (v == EXC_DF && is_guard_page(cpu_read_cr2()))
        panic_trap(f, "stack overflow: the guard page at %#lx was hit", cpu_read_cr2());
    if (v == EXC_PF)
        panic_trap(f, "page fault: %s of %#lx, which is %s",
                   f->error & PF_I   ? "execution"
                   : f->error & PF_W ? "write"
                                     : "read",
                   cpu_read_cr2(), f->error & PF_P ? "protected" : "not mapped");
    panic_trap(f, "exception %u (%s), error code %#lx", v, trap_name(v), f->error);
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == EXC_NMI)
        dispatch_nmi();
    else if (!fix_up(f))
        die(f);
}
