/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generation protocol: how a change of the tables reaches every processor that may hold older
 * translations. Contracts in space.h.
 *
 * The race. An entry does: `on` = here (A1); read the generation (A2); flush if it is new; enter.
 * A change does: write the tables (B1); raise the generation (B2); read every `on` (B3). A1 and
 * B2 are locked operations, so neither side's later read overtakes its own write. If B3 does not
 * see `on`, then B3 came before A1, so B2 before A2: that entry sees the new generation and
 * flushes. If B3 sees it, the CPU is kicked: it is either in the guest, and leaves, or about to
 * enter with interrupts off, and the kick that waits ends that entry before the guest's first
 * instruction. Either way its next entry reads the generation again.
 *
 * A view lets go of generation g when it is outside the guest (`on` is 0) or has flushed since
 * (`seen` >= g): `seen` is written between the order to flush and the entry that carries it out,
 * and a CPU outside the guest uses no translation of the guest's.
 */
#include "mm/space_priv.h"
#include "lib/assert.h"

enum err space_attach(struct space *s, struct space_view *v)
{
    enum err err = ERR_NOMEM;

    spin_lock(&s->lock);
    for (unsigned i = 0; i < SPACE_MAX_VIEWS && err != OK; i++) {
        if (s->views[i])
            continue;
        *v = (struct space_view){.slot = i};
        s->views[i] = v;
        err = OK;
    }
    spin_unlock(&s->lock);
    return err;
}

void space_detach(struct space *s, struct space_view *v)
{
    spin_lock(&s->lock);
    ASSERT(v->slot < SPACE_MAX_VIEWS && s->views[v->slot] == v && v->on == 0);
    s->views[v->slot] = NULL;
    spin_unlock(&s->lock);
}

/* The CPU + 1 on which the view may still use translations older than generation g, or 0. */
static u32 view_stale(const struct space_view *v, u64 g)
{
    u32 on = __atomic_load_n(&v->on, __ATOMIC_SEQ_CST);

    return on && __atomic_load_n(&v->seen, __ATOMIC_ACQUIRE) < g ? on : 0;
}

void space_invalidate_locked(struct space *s)
{
    u64 g = __atomic_add_fetch(&s->generation, 1, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++) {
        u32 on = s->views[i] ? view_stale(s->views[i], g) : 0;

        if (on && s->kick) {
            s->kick(s->kick_arg, on - 1);
            s->stats.kicks++;
        }
    }
}

void space_wait_locked(struct space *s)
{
    u64 g = __atomic_load_n(&s->generation, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < SPACE_MAX_VIEWS; i++)
        while (s->views[i] && view_stale(s->views[i], g))
            __builtin_ia32_pause();
}

void space_invalidate(struct space *s)
{
    spin_lock(&s->lock);
    space_invalidate_locked(s);
    spin_unlock(&s->lock);
}

void space_wait(struct space *s)
{
    spin_lock(&s->lock);
    space_wait_locked(s);
    spin_unlock(&s->lock);
}
