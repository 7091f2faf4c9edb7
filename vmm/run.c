/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop: settle what waits, enter the guest, handle the exit, again. Everything that has to
 * happen before an entry is in here; what each exit means is in exits.c.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/hvm.h"
#include "lib/assert.h"
#include "vmm/debug.h"
#include "vmm/exits.h"
#include "vmm/memory.h"
#include "vmm/sched.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

/* A start-up IPI: real mode at the page it names (SDM 3, 8.4.3). */
static void start_at_page(struct vcpu *v, u8 page)
{
    struct x86_seg cs = {(u16)(page << 8), 0x9b, 0xffff, (u64)page << 12};

    hvm->set_seg(v->hv, SEG_CS, &cs);
    hvm->set(v->hv, HVM_RIP, 0);
    v->state = VCPU_RUNNABLE;
}

/* NMI, INIT and SIPI from local APICs. */
static void take_apic_events(struct vcpu *v)
{
    u32 ev = vlapic_take_events(&v->apic);

    if (ev & VLAPIC_EV_NMI)
        v->nmi_pending = true;
    if (ev & VLAPIC_EV_EXTINT)
        v->extint_pending = true;
    if (ev & VLAPIC_EV_INIT) {
        if (v->id == 0) { /* the boot processor would start at the firmware's reset vector */
            vm_end(v->vm, VM_END_RESET, 0);
            return;
        }
        vcpu_reset(v);
        v->state = VCPU_WAIT_SIPI;
    }
    if ((ev & VLAPIC_EV_SIPI) && v->state == VCPU_WAIT_SIPI)
        start_at_page(v, VLAPIC_EV_PAGE(ev));
}

static bool extint_waits(const struct vcpu *v)
{
    const struct board *b = &v->vm->board;

    return v->extint_pending || (board_extint(b) && board_asks(b, v));
}

/* Whether an interrupt waits for this processor: *vector, or -1 for one from the PIC pair. */
static bool interrupt_waits(struct vcpu *v, int *vector)
{
    *vector = vlapic_pending(&v->apic);
    return *vector >= 0 || extint_waits(v);
}

/* Whether an event is there that ends HLT; intr: an interrupt waits. */
static bool wakes(const struct vcpu *v, bool intr)
{
    return v->nmi_pending || v->event.kind || (intr && v->halted_if);
}

bool vcpu_has_work(struct vcpu *v)
{
    int vector;

    if (v->requests & ~(u32)VCPU_REQ_LOOK)
        return true;
    if (v->paused)
        return false;
    return v->state == VCPU_RUNNABLE || vlapic_has_events(&v->apic) ||
           (v->state == VCPU_HALTED && wakes(v, interrupt_waits(v, &vector)));
}

static void ask_window(struct vcpu *v, bool intr, bool nmi)
{
    if (v->window_intr == intr && v->window_nmi == nmi)
        return;
    hvm->window(v->hv, intr, nmi);
    v->window_intr = intr;
    v->window_nmi = nmi;
}

/* Takes the waiting interrupt off its controller and injects it. */
static void inject_interrupt(struct vcpu *v, int vector)
{
    struct hvm_event e = {.kind = HVM_EVENT_INTR};

    if (vector >= 0)
        vlapic_ack(&v->apic, (u8)vector);
    else
        v->extint_pending = false;
    e.vector = vector >= 0 ? (u8)vector : board_extint_ack(&v->vm->board);
    hvm->inject(v->hv, &e);
}

/*
 * Whether, if an interrupt waits, it is to be injected: not one that the processor delivers itself.
 * intr and *vector as from interrupt_waits().
 */
static bool must_inject(struct vcpu *v, bool intr, int *vector)
{
    if (unlikely(v->apic.help == APIC_VIRTUAL) && *vector >= 0) {
        *vector = -1;
        return extint_waits(v);
    }
    return intr;
}

/*
 * Puts at most one event in place for the next entry, in the order of SDM 3, 6.9, and asks for a
 * window for what has to wait. `armed`: one is in place already. Returns whether one is now.
 * want_intr, vector: as from interrupt_waits().
 */
static bool settle(struct vcpu *v, bool armed, bool want_intr, int vector)
{
    bool want_nmi = v->nmi_pending;

    if (v->hv->apic_help)
        vcpu_settle_apic(v);
    want_intr = must_inject(v, want_intr, &vector);
    if (likely(!want_intr && !want_nmi && !v->event.kind && !v->deferred.kind)) {
        ask_window(v, false, false);
        return armed;
    }
    if (!armed && !v->event.kind) {
        v->event = v->deferred;
        v->deferred.kind = HVM_EVENT_NONE;
    }
    if (!armed && v->event.kind) {
        hvm->inject(v->hv, &v->event);
        v->event.kind = HVM_EVENT_NONE;
        armed = true;
    }
    if (want_nmi && !armed && hvm->can_take_nmi(v->hv)) {
        struct hvm_event nmi = {.kind = HVM_EVENT_NMI, .vector = EXC_NMI};
        hvm->inject(v->hv, &nmi);
        v->nmi_pending = want_nmi = false;
        armed = true;
    }
    if (want_intr && !armed && hvm->can_take_intr(v->hv)) {
        inject_interrupt(v, vector);
        want_intr = extint_waits(v); /* what else the local APIC has waits for this one's end */
        armed = true;
    }
    ask_window(v, want_intr || v->deferred.kind, want_nmi);
    return armed;
}

/*
 * What has to be done before an entry when something may have changed: requests of other CPUs,
 * timers, events. Returns false if v is not to be entered now.
 */
COLD static bool prepare(struct vcpu *v)
{
    u32 bits = __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);
    int vector;

    vlapic_take_back(&v->apic);
    if (bits & VCPU_REQ_DEBUG)
        debug_trap(v);
    if (bits & VCPU_REQ_TIMER)
        board_arm(&v->vm->board);
    if (vlapic_has_events(&v->apic))
        take_apic_events(v);
    if (bits & VCPU_REQ_STOP)
        v->state = VCPU_OFF;
    if (v->timer_moved)
        vcpu_arm_timer(v);
    if (bits & VCPU_REQ_CALL) {
        v->call(v, v->call_arg);
        __atomic_store_n(&v->call, NULL, __ATOMIC_RELEASE);
    }
    if (bits & VCPU_REQ_MEMORY)
        memory_tick(v);
    bool intr = interrupt_waits(v, &vector);
    if (v->state == VCPU_HALTED && !v->paused && wakes(v, intr))
        v->state = VCPU_RUNNABLE;
    if (v->state != VCPU_RUNNABLE || v->paused || *v->resched)
        return false;
    v->armed = settle(v, v->armed, intr, vector);
    vlapic_lend(&v->apic);
    return true;
}

COLD static void flush(struct vcpu *v)
{
    hvm->flush(v->hv);
    space_flushed(&v->view);
}

/* Into the guest, as far as other CPUs are concerned. False: a request came first. */
static inline bool go_in(struct vcpu *v)
{
    if (unlikely(space_enter(v->space, &v->view, v->cpu)))
        flush(v);
    /* After view.on is visible: whoever set a request before could not know to interrupt us. */
    barrier();
    return likely(!v->requests);
}

/* v is not to be entered now. Whether it is to be looked at again: an interrupt has ended HLT. */
static bool wait(struct vcpu *v)
{
    /* What watches measures what an exit takes: without the time that the guest sleeps. */
    return v->state == VCPU_HALTED && !v->paused && !v->watch && sched_wait(v);
}

/* Goes round until no request is left; false if v is not to be entered now. */
COLD static bool go_in_slowly(struct vcpu *v)
{
    do {
        space_leave(&v->view);
        while (!prepare(v))
            if (!wait(v))
                return false;
    } while (!go_in(v));
    return true;
}

/*
 * The ring of exits begins anew, and sometimes, v being on its way in, physical interrupts are
 * taken: they end the guest's run whether the guest has its own on or not, but Bochs 2.7 forgets
 * that for one that has them off. If it leaves for other reasons, this is where they come.
 */
COLD static bool next_round(struct vcpu *v)
{
    if (v->rounds % 4 == 3) {
        v->newest--;
        space_leave(&v->view);
        cpu_take_interrupts();
        vcpu_look(v);
        if (!go_in_slowly(v))
            return false;
    }
    v->newest = v->last;
    v->rounds++;
    return true;
}

/*
 * Brings v to where nothing is left but to enter the guest, and returns the record for the exit;
 * NULL if it is not to be entered now.
 */
static inline struct hvm_exit *prepare_entry(struct vcpu *v)
{
    if (unlikely(!go_in(v)) && !go_in_slowly(v))
        return NULL;
    if (CHECKED)
        ASSERT(space_current(&v->view));
    if (unlikely(++v->newest == &v->last[VCPU_LAST_EXITS]) && !next_round(v))
        return NULL;
    return v->newest;
}

/*
 * The way of an exit without events: handle it and enter again. Everything else is behind
 * v->requests, which whoever changes anything that matters to an entry sets (vcpu_look, vcpu_kick).
 */
struct hvm_exit *vcpu_next(void *arg, struct hvm_exit *e)
{
    struct vcpu *v = arg;

    space_leave(&v->view);
    v->armed = false;
    if (unlikely(e->vectoring.kind)) {
        v->event = e->vectoring;
        vcpu_look(v);
    }
    v->exits[e->reason]++;
    exit_handlers[e->reason](v, e);
    __asm__("" : "+r"(v)); /* or addresses are computed early, and kept across the call */
    return prepare_entry(v);
}

void vcpu_run(struct vcpu *v, const bool *resched)
{
    v->resched = resched;
    vcpu_look(v); /* whatever happened while it did not run */
    v->hv->exit = prepare_entry(v);
    if (!v->hv->exit)
        return;
    if (unlikely(v->watch))
        watch_run(v);
    hvm->run(v->hv);
}
