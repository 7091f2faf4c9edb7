/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket spin lock: fair between CPUs, never sleeps. skep runs with interrupts off everywhere but
 * in its idle loop, so taking one never needs to touch the interrupt flag. Hold it briefly.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/types.h"

struct spinlock {
    u16 next, owner;
};

inline void spin_lock(struct spinlock *l) /* where it is not inlined: lock.c's */
{
    u16 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        __builtin_ia32_pause();
}

/* Takes it if nobody has it; whether it did. */
static inline bool spin_trylock(struct spinlock *l)
{
    u16 ticket = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);

    return __atomic_compare_exchange_n(&l->next, &ticket, (u16)(ticket + 1), false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l)
{
#ifdef __SANITIZE_THREAD__ /* the race detector sees no assembly */
    __atomic_store_n(&l->owner, (u16)(l->owner + 1), __ATOMIC_RELEASE);
#else
    __asm__ volatile("incw %0" : "+m"(l->owner) : : "memory", "cc"); /* nobody else writes it */
#endif
}

#endif
