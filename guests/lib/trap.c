/* SPDX-License-Identifier: BSD-2-Clause */
/* GDT, dispatch of exceptions and interrupts, and expecting them (SDM 3, chapters 3 and 6). */
#include "guests/lib/trap.h"
#include "guests/lib/console.h"
#include "guests/lib/desc.h"
#include "guests/lib/exit.h"

#define USER_STACK 4096

/* A trap_try() that is running, and the one around it. */
struct attempt {
    struct trap *trap;
    struct attempt *outer;
    struct trap_context context;
};

u64 gdt[GDT_ENTRIES];
static trap_fn handlers[256];
static struct attempt *attempts[MAX_GUEST_CPUS]; /* the innermost, a CPU */
static u8 user_stack[MAX_GUEST_CPUS][USER_STACK] ALIGNED(16);

static void gdt_init(void)
{
    gdt[SEL_CODE / 8] = desc_kernel_code;
    gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
    gdt[SEL_UCODE / 8] = desc_user_code;
    gdt[SEL_UDATA / 8] = 0x00cff3000000ffff;
    gdt[SEL_CODE32 / 8] = 0x00cf9b000000ffff;
}

/* The boot GDT has the same selectors for code and data: segment registers stay as they are. */
static void gdt_load(void)
{
    struct desc_pointer p = {sizeof(gdt) - 1, (ulong)gdt};

    cpu_lgdt(&p);
}

void trap_set_stub(u8 vector)
{
    desc_gate(vector, (void (*)(void))(ulong)(trap_stubs + vector * 16u));
}

void trap_init(unsigned cpu)
{
    if (cpu == 0) {
        gdt_init();
        for (unsigned v = 0; v < 256; v++)
            trap_set_stub((u8)v);
        desc_gate_dpl(VECTOR_USER_EXIT, 3);
    }
    gdt_load();
    desc_tss(cpu);
    cpu_ltr((u16)(SEL_TSS + 16 * cpu));
    idt_reload();
}

unsigned cpu_number(void)
{
    u16 tr = cpu_str();

    return tr >= SEL_TSS ? (tr - SEL_TSS) / 16u : 0;
}

void gdt_set(u16 sel, u64 descriptor)
{
    gdt[sel / 8] = descriptor;
}

void idt_set_dpl(u8 vector, unsigned dpl)
{
    desc_gate_dpl(vector, dpl);
}

void idt_break(u8 vector)
{
    desc_gate_absent(vector);
}

void idt_limit(u8 last_vector)
{
    struct desc_pointer p = desc_idt();

    p.limit = (u16)((p.limit + 1) / 256 * (last_vector + 1) - 1);
    cpu_lidt(&p);
}

void idt_load(const void *base, u16 limit)
{
    struct desc_pointer p = {limit, (ulong)base};

    cpu_lidt(&p);
}

void idt_reload(void)
{
    struct desc_pointer p = desc_idt();

    cpu_lidt(&p);
}

void trap_set(u8 vector, trap_fn fn)
{
    handlers[vector] = fn;
}

void trap_set_raw(u8 vector, void (*entry)(void))
{
    desc_gate(vector, entry);
}

static NORETURN void report(const struct trap_frame *f)
{
    print("\nguest: unexpected trap %lu, error %lx, at %lx:%lx, flags %lx, cr2 %lx, cpu %u\n",
          f->vector, f->error, f->cs, f->ip, f->flags, cr2_read(), cpu_number());
    for (unsigned i = 0; i < FRAME_GPRS; i++)
        print("r%u=%lx%s", i, f->gpr[i], i % 4 == 3 ? "\n" : " ");
    guest_exit(STATUS_UNEXPECTED_TRAP);
}

void trap_dispatch(struct trap_frame *f)
{
    struct attempt *a = attempts[cpu_number()];

    if (handlers[f->vector]) {
        handlers[f->vector](f);
        return;
    }
    if (!a)
        report(f);
    if (f->vector != VECTOR_USER_EXIT)
        *a->trap = (struct trap){.vector = (int)f->vector,
                                 .error = f->error,
                                 .ip = f->ip,
                                 .flags = f->flags,
                                 .cr2 = cr2_read(),
                                 .cs = (u16)f->cs};
    trap_restore(&a->context);
}

static void attempt_begin(struct attempt *a, struct trap *t)
{
    *t = (struct trap){.vector = -1};
    a->trap = t;
    a->outer = attempts[cpu_number()];
    attempts[cpu_number()] = a;
}

bool trap_try(struct trap *t, void (*fn)(void *), void *arg)
{
    struct attempt a;

    attempt_begin(&a, t);
    if (trap_save(&a.context) == 0)
        fn(arg);
    attempts[cpu_number()] = a.outer;
    return t->vector >= 0;
}

bool trap_try_user(struct trap *t, void (*fn)(void *), void *arg)
{
    struct attempt a;

    attempt_begin(&a, t);
    if (trap_save(&a.context) == 0)
        trap_to_user(fn, arg, user_stack[cpu_number()] + USER_STACK);
    attempts[cpu_number()] = a.outer;
    return t->vector >= 0;
}

struct reg_access {
    u32 reg;
    u64 value;
};

static void do_rdmsr(void *arg)
{
    struct reg_access *m = arg;

    m->value = rdmsr(m->reg);
}

static void do_wrmsr(void *arg)
{
    const struct reg_access *m = arg;

    wrmsr(m->reg, m->value);
}

static void do_xsetbv(void *arg)
{
    const struct reg_access *m = arg;

    asm volatile("xsetbv"
                 :
                 : "c"(m->reg), "a"((u32)m->value), "d"((u32)(m->value >> 32))
                 : "memory");
}

int rdmsr_try(u32 msr, u64 *value)
{
    struct reg_access m = {msr, 0};
    struct trap t;

    trap_try(&t, do_rdmsr, &m);
    *value = m.value;
    return t.vector;
}

int wrmsr_try(u32 msr, u64 value)
{
    struct reg_access m = {msr, value};
    struct trap t;

    trap_try(&t, do_wrmsr, &m);
    return t.vector;
}

int xsetbv_try(u32 reg, u64 value)
{
    struct reg_access m = {reg, value};
    struct trap t;

    trap_try(&t, do_xsetbv, &m);
    return t.vector;
}
