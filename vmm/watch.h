/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be recorded of a VM while somebody wants to know: what it touches, what its exits cost,
 * and what happens one thing after the other. While nothing is recorded it costs nothing: the
 * recorder stands in for vcpu_next (hvm_vcpu.next) only as long as it is wanted. What is kept is
 * one allocation of a fixed size for a VM.
 */
#ifndef VMM_WATCH_H
#define VMM_WATCH_H

#include "arch/x86_64/hvm.h"
#include "lib/lock.h"
#include "lib/types.h"
#include "vmm/platform.h"

struct vm;
struct vcpu;

#define WATCH_LEARN   BIT(0)
#define WATCH_MEASURE BIT(1)
#define WATCH_TRACE   BIT(2)

#define WATCH_LEARNED 256 /* powers of two */
#define WATCH_EVENTS  512

enum learned_kind { LEARNED_NONE, LEARNED_PORT, LEARNED_PAGE, LEARNED_MSR, LEARNED_CPUID };

/* One port, page of device memory, MSR or CPUID leaf. */
struct learned {
    u8 kind; /* enum learned_kind; LEARNED_NONE: the slot is free */
    u64 key; /* port, address, index; CPUID: the leaf, and the subleaf in the upper half */
    u64 in, out;
    const char *by; /* what answered; NULL: nobody */
};

enum trace_kind {
    TRACE_EXIT,   /* code: the reason; info: as in struct hvm_exit */
    TRACE_INJECT, /* info: the event in the processor's format (SDM 3, table 24-16) */
    TRACE_YIELD,  /* it is not entered again now; code: enum vcpu_state */
    TRACE_ON,     /* its state comes to a processor */
    TRACE_OFF,
};

struct trace_event {
    u64 tsc, rip, info;
    u8 kind, code, vcpu, cpu;
    u32 cycles; /* TRACE_EXIT: from the exit until the next entry is ready */
};

struct watch {
    u32 on;               /* WATCH_*; atomically: the boot CPU's loop writes it */
    struct spinlock lock; /* guards what follows */
    u32 left_out;         /* accesses that found no room in learned[] */
    u64 events;           /* recorded; the newest is at (events - 1) % WATCH_EVENTS */
    struct learned learned[WATCH_LEARNED];
    struct trace_event trace[WATCH_EVENTS];
    struct {
        u64 count, cycles;
    } cost[PLAT_MAX_VCPUS][HVM_EXIT_COUNT];
};

/*
 * Begins one kind of record anew, or ends it. ERR_NOMEM; ERR_BUSY: a vCPU does not answer, and
 * things are as they were. Boot CPU's loop, of a running VM.
 */
enum err watch_begin(struct vm *vm, u32 what);
enum err watch_end(struct vm *vm, u32 what);
/* Whether vm->watch records that. Boot CPU's loop. */
bool watch_on(const struct vm *vm, u32 what);
/* The same as watch_begin for a VM whose vCPUs are not given to processors yet. */
void watch_from_start(struct vm *vm, u32 what);
/* The VM's vCPUs have left. */
void watch_free(struct vm *vm);

/* What is to be called after each exit, beside the recorder. Loaded here. */
void watch_set_next(struct vcpu *v, struct hvm_exit *(*next)(void *arg, struct hvm_exit *e));

/* v's state has come to this CPU, or goes; it is about to be entered: where v->watch is set. */
void watch_switch(struct vcpu *v, bool comes);
void watch_run(struct vcpu *v);

#endif
