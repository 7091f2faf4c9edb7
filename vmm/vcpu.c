/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's life: creation, reset, initial state, coming to and leaving a CPU. See vcpu.h. */
#include "vmm/vcpu.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "lib/string.h"
#include "mm/kmem.h"
#include "vmm/emulate.h"
#include "vmm/msr.h"
#include "vmm/sched.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

/* ---- the local APIC's wiring ---- */

static void apic_kick(void *arg)
{
    vcpu_kick(arg);
}

static void apic_eoi(void *arg, u8 vector)
{
    struct vcpu *v = arg;

    board_eoi(&v->vm->board, vector);
}

static const struct vlapic_ops apic_ops = {.kick = apic_kick, .eoi = apic_eoi};

static void apic_deadline_changed(void *arg)
{
    struct vcpu *v = arg;

    v->timer_moved = true;
    vcpu_look(v);
}

void vcpu_arm_timer(struct vcpu *v)
{
    u64 deadline = vlapic_deadline(&v->apic);

    v->timer_moved = false;
    if (deadline == DEADLINE_NONE)
        timer_cancel(&v->timer);
    else
        timer_arm(&v->timer, v->vm->start_ns + deadline);
}

void vcpu_start_timers(struct vcpu *v)
{
    vcpu_arm_timer(v);
    if (v->id == 0)
        board_arm(&v->vm->board);
}

void vcpu_stop_timers(struct vcpu *v)
{
    timer_cancel(&v->timer);
    if (v->id == 0)
        timer_cancel(&v->vm->board.timer);
}

static void apic_timer_fired(struct timer *t)
{
    struct vcpu *v = container_of(t, struct vcpu, timer);

    if (vcpu_waits(v)) {
        v->timer_moved = true;
        vcpu_kick(v);
        return;
    }
    vlapic_tick(&v->apic, vm_now(v->vm));
    vcpu_arm_timer(v);
    vcpu_kick(v);
}

u64 vcpu_tsc(struct vcpu *v)
{
    return hvm_scale_tsc(v->hv->vm, cpu_rdtsc()) + hvm->tsc_offset(v->hv);
}

bool vcpu_set_apic_base(struct vcpu *v, u64 value)
{
    vcpu_look(v);
    return vlapic_write_base(&v->apic, value);
}

/* The two writes that come often need no clock, and seldom bring an event. False: not done. */
static bool write_x2apic_quickly(struct vcpu *v, u32 msr, u64 value)
{
    struct vlapic *l = &v->apic;

    if (l->mode != VLAPIC_X2APIC)
        return false;
    if (msr == MSR_X2APIC_BASE + APIC_EOI && value == 0)
        vlapic_eoi(l);
    else if (msr == MSR_X2APIC_BASE + APIC_TPR && value <= 0xff)
        vlapic_set_tpr(l, (u8)value);
    else
        return false;
    vcpu_look_apic(v);
    return true;
}

bool vcpu_write_x2apic(struct vcpu *v, u32 msr, u64 value)
{
    if (write_x2apic_quickly(v, msr, value))
        return true;
    vcpu_look(v);
    return vlapic_write_msr(&v->apic, msr, vm_now(v->vm), value);
}

/* The TSC first: time that passes until the clock is read makes the deadline late, not early. */
void vcpu_set_tsc_deadline(struct vcpu *v, u64 value)
{
    u64 tsc = vcpu_tsc(v);

    vlapic_write_tsc_deadline(&v->apic, value, tsc, vm_now(v->vm));
}

void vcpu_move_tsc(struct vcpu *v, u64 ticks)
{
    u64 tsc;

    hvm->set_tsc_offset(v->hv, hvm->tsc_offset(v->hv) + ticks);
    tsc = vcpu_tsc(v);
    vlapic_tsc_moved(&v->apic, tsc, vm_now(v->vm));
}

/* ---- creation ---- */

static enum err apic_init(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct vlapic_config c = {
        .id = v->id,
        .page = v->apic_page,
        .group = &vm->apics,
        .ops = &apic_ops,
        .arg = v,
        .timer = {apic_deadline_changed, v},
        .tsc_khz = vm->tsc_khz,
        .x2apic = cpuid_has(&vm->cpuid, 1, 0, CPUID_ECX, 21),
        .bsp = v->id == 0,
        .phys_bits = vm->cpuid.phys_bits,
    };

    return vlapic_init(&v->apic, &c);
}

enum err vcpu_create(struct vm *vm, u32 id)
{
    struct vcpu *v = kmem_alloc(sizeof(*v));

    if (!v || space_attach(vm->space, &v->view)) {
        kmem_free(v, sizeof(*v));
        return ERR_NOMEM;
    }
    vm->vcpu[id] = v;
    v->vm = vm;
    v->space = vm->space;
    v->id = id;
    v->cpu = sched_place(vm->config->cpus);
    v->timer.fn = apic_timer_fired;
    v->apic_page = kmem_alloc(PAGE_SIZE);
    v->fpu = kmem_alloc(fpu_area_size());
    v->hv = hvm->create(&vm->hvm);
    if (!v->apic_page || !v->fpu || !v->hv)
        return ERR_NOMEM;
    v->hv->apic_page = v->apic_page;
    watch_set_next(v, vcpu_next);
    v->hv->arg = v;
    v->newest = v->last;
    fpu_reset_area(v->fpu);
    v->xcr0 = XCR0_X87;
    msr_reset(v);
    return apic_init(v);
}

void vcpu_destroy(struct vcpu *v)
{
    if (!v)
        return;
    space_detach(v->vm->space, &v->view);
    if (v->hv)
        hvm->destroy(v->hv);
    kmem_free(v->fpu, fpu_area_size());
    kmem_free(v->apic_page, PAGE_SIZE);
    v->vm->vcpu[v->id] = NULL;
    kmem_free(v, sizeof(*v));
}

/* ---- state ---- */

u64 vcpu_get(struct vcpu *v, enum hvm_reg reg)
{
    return hvm->get(v->hv, reg);
}

void vcpu_set(struct vcpu *v, enum hvm_reg reg, u64 value)
{
    hvm->set(v->hv, reg, value);
}

void vcpu_reset(struct vcpu *v)
{
    static const struct {
        u32 reg, value;
    } regs[] = {
        {HVM_EFER, 0},        {HVM_CR4, 0},         {HVM_CR3, 0},
        {HVM_CR2, 0},         {HVM_RIP, 0xfff0},    {HVM_RFLAGS, FLAG_FIXED},
        {HVM_DR0, 0},         {HVM_DR1, 0},         {HVM_DR2, 0},
        {HVM_DR3, 0},         {HVM_DR6, DR6_RESET}, {HVM_DR7, DR7_RESET},
        {HVM_INTR_SHADOW, 0}, {HVM_NMI_BLOCKED, 0},
    };
    struct hvm_vcpu *hv = v->hv;
    u64 caches = hvm->get(hv, HVM_CR0) & (CR0_CD | CR0_NW); /* stay as they are */

    hvm->set(hv, HVM_CR0, caches | CR0_ET);
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        hvm->set(hv, regs[i].reg, regs[i].value);
    hvm_init_segments(hv);
    for (unsigned r = 0; r < GPR_COUNT; r++)
        hvm_set_gpr(hv, r, 0);
    const struct cpuid_entry *e = cpuid_find(&v->vm->cpuid, 1, 0);
    hv->gpr[RDX] = e ? e->reg[CPUID_EAX] : 0;
    v->event.kind = v->deferred.kind = HVM_EVENT_NONE;
    hvm->inject(hv, &v->event);
    v->armed = v->nmi_pending = v->extint_pending = false;
    vlapic_reset(&v->apic, true);
}

void vcpu_set_state(struct vcpu *v, const struct load_state *s)
{
    struct hvm_vcpu *hv = v->hv;

    hvm->set(hv, HVM_EFER, s->efer & ~EFER_LMA);
    hvm->set(hv, HVM_CR4, s->cr4);
    hvm->set(hv, HVM_CR3, s->cr3);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        hvm->set_seg(hv, i, &s->seg[i]);
    hvm->set(hv, HVM_CR0, s->cr0);
    hvm->set(hv, HVM_EFER, s->efer);
    hvm->set_table(hv, false, &s->gdt);
    hvm->set_table(hv, true, &s->idt);
    for (unsigned r = 0; r < GPR_COUNT; r++)
        hvm_set_gpr(hv, r, s->gpr[r]);
    hvm->set(hv, HVM_RIP, s->rip);
    hvm->set(hv, HVM_RFLAGS, s->rflags | FLAG_FIXED);
    v->state = VCPU_RUNNABLE;
}

/* ---- coming and going ---- */

void vcpu_load(struct vcpu *v)
{
    fpu_set_xcr0(fpu_xcr0_mask());
    fpu_restore(v->fpu);
    fpu_set_xcr0(v->xcr0);
    hvm->load(v->hv);
    v->loaded = true;
    if (unlikely(v->watch))
        watch_switch(v, true);
}

void vcpu_unload(struct vcpu *v)
{
    if (unlikely(v->watch))
        watch_switch(v, false);
    hvm->unload(v->hv);
    v->xcr0 = fpu_xcr0(); /* QEMU's TCG does not intercept XSETBV */
    fpu_set_xcr0(fpu_xcr0_mask());
    fpu_save(v->fpu);
    v->loaded = false;
}

unsigned vcpu_cpl(struct vcpu *v)
{
    struct x86_seg ss;

    hvm->get_seg(v->hv, SEG_SS, &ss);
    return (ss.attr & SEG_DPL_MASK) >> SEG_DPL_SHIFT;
}
