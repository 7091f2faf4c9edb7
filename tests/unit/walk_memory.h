/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for the guest page walk, with an eye on how it is held. */
#ifndef TESTS_UNIT_WALK_MEMORY_H
#define TESTS_UNIT_WALK_MEMORY_H

#include <string.h>
#include "vmm/emul/walk.h"
#include "tests/unit/unit.h"

#define PAGES 24
#define RAM   (PAGES * PAGE_SIZE)

struct memory {
    u8 ram[RAM] ALIGNED(4096);
    u8 before[RAM];
    int held;
    unsigned write_holds;
    /* Called at each hold for writing: another processor at work. */
    void (*meddle)(struct memory *m, gpa_t gpa);
    unsigned meddled;
    bool quick;
};

static inline void *hold(void *ctx, gpa_t gpa, unsigned len, bool write)
{
    struct memory *m = ctx;

    if (gpa >= RAM || len > RAM - gpa)
        return NULL;
    assert_int_equal(gpa % len, 0);
    if (write) {
        m->write_holds++;
        if (m->meddle)
            m->meddle(m, gpa);
    }
    m->held++;
    return m->ram + gpa;
}

static inline void release(void *ctx, void *p, gpa_t gpa, bool write)
{
    struct memory *m = ctx;

    (void)write;
    assert_ptr_equal(p, m->ram + gpa);
    m->held--;
}

static const struct emul_mem mem = {hold, release, NULL};

#endif
