/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual processor: a hardware vCPU and what skep keeps beside it: its local APIC, the events
 * that wait for it, the registers that hardware does not hold, and its history.
 *
 * A vCPU lives on one physical CPU (its home) and is touched by that CPU alone, except for the
 * fields marked "any CPU", which are atomic, and the local APIC's request registers. The home moves
 * it to another one while it is not loaded (sched.c).
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "arch/x86_64/hvm.h"
#include "arch/x86_64/timer.h"
#include "lib/types.h"
#include "vmm/dev/vlapic.h"
#include "vmm/emul/emul.h"
#include "mm/space.h"
#include "vmm/load/load.h"

struct vm;
struct watch;

/* Home CPU only. */
enum vcpu_state {
    VCPU_OFF,       /* its VM does not run */
    VCPU_WAIT_SIPI, /* after INIT, until a start-up IPI */
    VCPU_RUNNABLE,
    VCPU_HALTED, /* HLT: runs again when an event can be delivered */
};

/* Requests: bits set by any CPU, taken by the home CPU before it enters the guest. */
#define VCPU_REQ_STOP   BIT(0) /* leave the guest for good: the VM has ended */
#define VCPU_REQ_TIMER  BIT(1) /* the board's next deadline changed: arm the timer again */
#define VCPU_REQ_LOOK   BIT(2) /* an event may have come */
#define VCPU_REQ_CALL   BIT(3) /* v->call is to be called */
#define VCPU_REQ_DEBUG  BIT(4) /* an emulated instruction may have met breakpoints (debug.c) */
#define VCPU_REQ_MEMORY BIT(5) /* the VM's memory is to be looked after */

#define VCPU_LAST_EXITS 64

/* MSRs that hardware does not hold for the guest. */
struct vcpu_msrs {
    u64 misc_enable, mcg_status, tsc_adjust;
    u64 mtrr_def_type, mtrr_var[16], mtrr_fixed[11];
};

/* Where the last instruction stood whose length had to be looked up (skip.c). */
struct code_page {
    u64 rip, cr3, generation;
    const u8 *bytes; /* NULL: nothing is remembered */
};

struct vcpu {
    struct hvm_vcpu *hv;
    struct vm *vm;
    struct space *space; /* the VM's */
    u32 id;              /* index in the VM, and local APIC ID */
    u32 cpu;             /* home; the home writes, any CPU reads */
    u32 requests;        /* VCPU_REQ_*; any CPU */
    u8 state;            /* enum vcpu_state */
    bool loaded;
    bool paused;    /* its VM is: it is not entered; home CPU only */
    bool halted_if; /* VCPU_HALTED: interrupts were on */
    bool nmi_pending;
    bool extint_pending;          /* the I/O APIC sent an ExtINT: the PIC pair has the vector */
    bool window_intr, window_nmi; /* as last asked of the hardware */
    u8 apic_mode;                 /* enum hvm_apic_mode, as last told the hardware */
    bool armed;                   /* an event is in place for the next entry */
    bool slept;                   /* had no work; this, next and had_ns are sched.c's */
    bool timer_moved;             /* the local APIC's deadline changed since `timer` was armed */
    const bool *resched;          /* while it runs: somebody wants the CPU */
    struct hvm_exit *newest;      /* into last[] */
    struct vcpu *next;            /* in its home's list */
    s64 had_ns;                   /* time that it has had, as if its VM had the usual weight */
    struct hvm_event event;       /* to be injected at the next entry */
    struct hvm_event deferred;    /* an interrupt that an exception in its delivery went before */
    struct watch *watch;          /* the VM's while its recorder is installed here, else NULL */
    u64 xcr0;
    void *fpu; /* fpu_area_size() bytes; the registers' contents while not loaded */
    u32 *apic_page;
    struct vlapic apic;
    struct space_view view;
    struct timer timer;                                           /* the local APIC's */
    struct hvm_exit *(*next_exit)(void *arg, struct hvm_exit *e); /* watch_set_next */
    /* VCPU_REQ_CALL: set by the boot CPU, cleared by the home CPU when it has been called. */
    void (*call)(struct vcpu *v, void *arg);
    void *call_arg;
    u64 debug_rip, debug_rcx; /* VCPU_REQ_DEBUG: as they were before the instruction, */
    u32 debug_hits;           /* and the breakpoints it meets, as in DR6 */
    u64 rounds;               /* how often last[] has been filled */
    struct vcpu_msrs msr;
    struct emul_cpu emul;
    struct code_page code_page;
    u64 exits[HVM_EXIT_COUNT];
    struct hvm_exit last[VCPU_LAST_EXITS];
};

/* How many exits v has made. */
static inline u64 vcpu_exit_count(const struct vcpu *v)
{
    return v->rounds * VCPU_LAST_EXITS + (u64)(v->newest - v->last);
}

/*
 * Makes the VM's vCPU number id, VCPU_OFF, and chooses its home; vcpu_reset gives it a state.
 * ERR_NOMEM: vm->vcpu[id] is NULL, or to be destroyed.
 */
enum err vcpu_create(struct vm *vm, u32 id);
/* Frees it. It is loaded nowhere and in no list, and its timer is not armed. Boot CPU. */
void vcpu_destroy(struct vcpu *v);

/* The architectural state after INIT (SDM 3, table 9-1). Loaded here. */
void vcpu_reset(struct vcpu *v);
/* The state that a loader asks for. Loaded here. */
void vcpu_set_state(struct vcpu *v, const struct load_state *s);

/* hvm's get and set, where code should rather be small than fast. Loaded here. */
u64 vcpu_get(struct vcpu *v, enum hvm_reg reg);
void vcpu_set(struct vcpu *v, enum hvm_reg reg, u64 value);

/* Puts v's state on this CPU, its home, or away from it. Interrupts off. */
void vcpu_load(struct vcpu *v);
void vcpu_unload(struct vcpu *v);

/*
 * Runs v, loaded here, until it has nothing to do, its VM ends, or *resched is set by an interrupt;
 * v->state says which. Interrupts off.
 */
void vcpu_run(struct vcpu *v, const bool *resched);
/* What hvm->run calls after each exit: struct hvm_vcpu's next. */
struct hvm_exit *vcpu_next(void *arg, struct hvm_exit *e);

/* Sets request bits and sees to it that they are noticed. Any CPU. */
void vcpu_request(struct vcpu *v, u32 bits);
/* Sees to it that v looks at its events again: leaves HLT, or leaves the guest. Any CPU. */
static inline void vcpu_kick(struct vcpu *v)
{
    vcpu_request(v, VCPU_REQ_LOOK);
}
/* The same for the CPU that v is loaded on: before the next entry events are looked at again. */
static inline void vcpu_look(struct vcpu *v)
{
    __atomic_fetch_or(&v->requests, VCPU_REQ_LOOK, __ATOMIC_RELAXED);
}
/* The same after an EOI or a change of TPR: only if a request can be delivered now. */
static inline void vcpu_look_apic(struct vcpu *v)
{
    struct vlapic *l = &v->apic;

    if (unlikely(vlapic_top_request(l) >= 0) && (l->help || vlapic_pending(l) >= 0))
        vcpu_look(v);
}
/*
 * Calls fn with v loaded, on v's home CPU, between two entries, and waits until it has returned.
 * False, and fn not called: v has left, or its home CPU has not answered for a second. From the
 * boot CPU's loop, no lock held; fn is short.
 */
bool vcpu_call(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg);
/* Whether v has anything to do: runnable, or halted with an event that it can take. Home CPU. */
bool vcpu_has_work(struct vcpu *v);
/*
 * Whether v waits for the processor, its home, while others run there. Its timers wait with it:
 * what they have missed is then owed (dev/ticks.h). Home CPU.
 */
static inline bool vcpu_waits(struct vcpu *v)
{
    return !v->loaded && vcpu_has_work(v);
}

/* Sets v->timer for the local APIC's next deadline. Home CPU. */
void vcpu_arm_timer(struct vcpu *v);
/* The same with all timers that live where v does: the first vCPU's home has the board's too. */
void vcpu_start_timers(struct vcpu *v);
void vcpu_stop_timers(struct vcpu *v);
/* With help for local APICs: tells the hardware what has changed. Loaded here (apic.c). */
void vcpu_settle_apic(struct vcpu *v);
/* Current privilege level. Loaded here. */
unsigned vcpu_cpl(struct vcpu *v);
/* Local APIC registers whose writes have effects beyond it. False: #GP. Loaded here. */
bool vcpu_set_apic_base(struct vcpu *v, u64 value);
bool vcpu_write_x2apic(struct vcpu *v, u32 msr, u64 value);
void vcpu_set_tsc_deadline(struct vcpu *v, u64 value);
/* What RDTSC gives the guest now. Loaded here. */
u64 vcpu_tsc(struct vcpu *v);
/* Moves the guest's TSC on by `ticks`, modulo 2^64. Loaded here. */
void vcpu_move_tsc(struct vcpu *v, u64 ticks);

#endif
