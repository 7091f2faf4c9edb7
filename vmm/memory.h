/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes on with a VM's memory while it runs: large pages made again of small ones, the working
 * set while somebody watches it, and the dirty log over all of its RAM.
 *
 * Once a second each VM looks after its own memory: on its first vCPU's home CPU, between two
 * entries of that vCPU, so in its own time and not in another VM's. It looks at 128 MiB for small
 * pages that could be one large page, makes one at most, and scans if it is watched.
 *
 * The other functions are the monitor's: boot CPU's loop, of a running VM.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include "lib/lock.h"
#include "lib/types.h"
#include "mm/space.h"

struct vcpu;
struct vm;

#define MEMORY_TICK_NS  1000000000ull
#define MEMORY_SCAN_NS  2000000000ull  /* between two scans of a VM that is watched */
#define MEMORY_WATCH_NS 60000000000ull /* how long it stays watched */

/* In struct vm. */
struct vm_memory {
    struct spinlock lock; /* taken by whoever scans, logs, reclaims or tidies */
    bool logging;
    u64 watched_ns;         /* when somebody last asked; 0: never */
    u64 scanned_ns;         /* 0: never */
    struct space_heat heat; /* as of the last scan */
};

/* Sets the clock going. Boot CPU, once. */
void memory_init(void);
/* v's VM looks after its memory. v's home CPU, outside the guest. */
void memory_tick(struct vcpu *v);

/* Scans now. ERR_NOMEM. */
enum err memory_scan(struct vm *vm);
/* From now on the VM is scanned for a while; now too if it was not watched so far. ERR_NOMEM. */
enum err memory_watch(struct vm *vm);
/* Takes back what is cold and zero. Returns how many 4 KiB pages came free. */
u64 memory_reclaim(struct vm *vm);

/*
 * The dirty log of all RAM (space.h), by page-modification logging where the processor has it.
 * start: OK; ERR_BUSY: it runs already, or a vCPU does not answer; ERR_NOMEM.
 * harvest: calls range() for each run of pages written since the last harvest, and returns how many
 *   pages; *ns is the time it took, range() aside. *err: ERR_NOENT if no log runs; ERR_NOMEM.
 * stop: ends it, if it runs.
 */
enum err memory_log_start(struct vm *vm);
u64 memory_log_harvest(struct vm *vm, void (*range)(void *arg, gpa_t gpa, u64 pages), void *arg,
                       u64 *ns, enum err *err);
void memory_log_stop(struct vm *vm);

/* Notes what the processor has logged for v, which is loaded here. */
void memory_take_log(struct vcpu *v);

#endif
