/* SPDX-License-Identifier: BSD-2-Clause */
/* A pair of interrupt controllers on a bench. */
#ifndef TESTS_UNIT_PIC_BENCH_H
#define TESTS_UNIT_PIC_BENCH_H

#include "tests/unit/dev_board.h"
#include "vmm/dev/pic.h"

#define INTR 0

struct bench {
    struct board b;
    struct pic p;
};

static inline void setup_bench(struct bench *t)
{
    board_init(&t->b);
    pic_init(&t->p, board_irq(&t->b, INTR));
    assert_int_equal(pic_attach(&t->p, &t->b.ports), OK);
}

#endif
