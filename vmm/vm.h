/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine: what it was configured to be, its memory, its board and its vCPUs, from
 * creation to its one closing line.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "arch/x86_64/clock.h"
#include "arch/x86_64/hvm.h"
#include "lib/log.h"
#include "lib/types.h"
#include "mm/space.h"
#include "vmm/board.h"
#include "vmm/config.h"
#include "vmm/cpuid.h"
#include "vmm/emul/emul.h"
#include "vmm/memory.h"
#include "vmm/platform.h"
#include "vmm/vcpu.h"

enum vm_state {
    VM_CONFIGURED, /* nothing allocated */
    VM_RUNNING,
    VM_ENDING, /* its vCPUs are leaving */
    VM_LEFT,   /* they have left: vm_bury */
    VM_ENDED,  /* everything is given back */
};

/* How a VM ended, for its closing line. */
enum vm_end { VM_END_POWEROFF, VM_END_RESET, VM_END_EXIT, VM_END_STOPPED };

/* What the VM needs of the outside; set once before the first VM starts. */
struct watch;
struct vm_outside {
    /*
     * The guest wrote to its console. From any CPU, under the board's lock: must not block. Returns
     * for how long the UART is to be busy with the byte, in nanoseconds: 0 mostly.
     */
    u32 (*console_out)(struct vm *vm, u8 byte);
    /* The UART has room again for console input that it refused. Likewise. */
    void (*console_room)(struct vm *vm);
    /* The VM runs. From the boot CPU, no lock held. */
    void (*started)(struct vm *vm);
    /*
     * The VM's last vCPU has left: the boot CPU's loop is to call vm_bury. NULL: there was no VM to
     * begin with. From a CPU's scheduling loop, no lock held.
     */
    void (*ended)(struct vm *vm);
};
extern const struct vm_outside *vm_outside;

/* Small things first, which the processor reaches with shorter instructions. */
struct vm {
    const struct config_vm *config;
    const char *name;
    struct space *space;
    struct watch *watch; /* NULL: nothing is recorded. Kept after the VM's end */
    u64 start_ns;        /* clock_ns() at the VM's time 0; moves when the VM has been paused */
    u32 index;           /* in vms[] */
    u8 state;            /* enum vm_state */
    u8 end;              /* enum vm_end */
    bool killed;         /* it was ended from outside */
    bool paused;         /* VM time stands still; the boot CPU's loop alone reads and writes it */
    u32 end_claimed;     /* atomically: the first to end the VM says how */
    u32 status;          /* VM_END_EXIT */
    u32 vcpu_count;
    u32 vcpus_left; /* atomically: vCPUs that have not left yet */
    u32 tsc_khz;
    u64 pause_ns, pause_tsc; /* paused since, in host time and on the guest's TSC before offsets */
    struct vcpu *vcpu[PLAT_MAX_VCPUS];
    struct hvm_vm hvm;
    void *apic_access; /* the page behind hvm.apic_access, or NULL */
    struct vm_memory memory;
    struct board board;
    struct vlapic_group apics;
    struct emul_ops emul_ops;
    struct log_limit msr_log, emul_log;
    struct cpuid_table cpuid;
    char why[200]; /* VM_END_STOPPED, or it could not be started: the reason */
};

/* All VMs of the configuration. Slots are NULL until the VM is first started. */
extern struct vm *vms[CONFIG_MAX_VMS];

/* Time since the VM's start, nanoseconds: what its devices know as now. */
static inline u64 vm_now(const struct vm *vm)
{
    return clock_ns() - vm->start_ns;
}

/* Boot modules, as the loader left them: bytes and how many. */
struct vm_module {
    const u8 *data;
    u64 size;
};

/*
 * Builds the VM (memory, board, vCPUs), loads its guest, and hands its vCPUs to the CPUs that are
 * to run them. ERR_*, and one line in the log, if that cannot be done; everything is given back.
 */
enum err vm_start(u32 index, const struct config_vm *config, const struct vm_module *modules);

/*
 * Ends the VM: prints the closing line, and has every vCPU leave. The first call counts. Any CPU;
 * may be called under the board's lock.
 */
void vm_end(struct vm *vm, enum vm_end how, u32 status);
/* Ends it for a reason, given as one phrase, with the registers and last exits of v (loaded here).
 */
void vm_stop(struct vcpu *v, const char *fmt, ...) PRINTF(2, 3);

/* Ends it because the machine has no frame for what v touched at gpa. */
void vm_out_of_memory(struct vcpu *v, gpa_t gpa);

/* Ends it from outside: "stopped: WHY". Boot CPU's loop. */
void vm_kill(struct vm *vm, const char *why);

/*
 * Stops the VM and its time, and lets both go on. ERR_BUSY, and the VM runs: a vCPU's home CPU does
 * not answer. While a VM is paused nothing from outside may reach its devices. Boot CPU's loop, of
 * a running VM.
 */
enum err vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* A vCPU has left for good (its home CPU's scheduler). */
void vm_vcpu_left(struct vm *vm);
/*
 * Gives back all of a VM in VM_LEFT but struct vm itself. A VM is made and buried by the boot CPU's
 * loop alone, so what runs there finds all of it or nothing.
 */
void vm_bury(struct vm *vm);

/* Whether any VM is running, or starting. */
bool vm_any_running(void);

#endif
