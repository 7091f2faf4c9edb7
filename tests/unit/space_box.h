/* SPDX-License-Identifier: BSD-2-Clause */
/* One guest space over one arena, for tests that go case by case. */
#ifndef TESTS_UNIT_SPACE_BOX_H
#define TESTS_UNIT_SPACE_BOX_H

#include <string.h>
#include "mm/space.h"
#include "tests/unit/mm_arena.h"
#include "tests/unit/mm_formats.h"
#include "tests/unit/unit.h"

struct kicked {
    unsigned count, last;
    struct space_view *leaves; /* the view that leaves the guest when kicked, or NULL */
};

struct box {
    struct arena a;
    struct space s;
    struct space_config cfg;
    struct kicked kicked;
    struct cpu cpu; /* a processor of the space's kind */
};

static void box_kick(void *arg, unsigned cpu)
{
    struct kicked *k = arg;

    k->count++;
    k->last = cpu;
    if (k->leaves)
        space_leave(k->leaves);
}

/* An arena full of rubbish, so that a page that is not zeroed shows; and a configuration. */
static __attribute__((unused)) void box_arena(struct box *b, enum nested_format_id format, u64 size)
{
    memset(b, 0, sizeof(*b));
    arena_init(&b->a, size);
    for (unsigned order = FRAME_ORDER_2M; order != 0; order = order == FRAME_ORDER_2M ? 5 : 0) {
        static hpa_t hpa[1024];
        unsigned n = 0;

        while (n < ARRAY_SIZE(hpa) && (hpa[n] = frames_alloc(&b->a.frames, order)))
            memset(frame_hva(&b->a.source, hpa[n++]), 0xe5, PAGE_SIZE << order);
        while (n-- > 0)
            frames_free(&b->a.frames, hpa[n], order);
    }
    b->cfg = (struct space_config){
        .caps = caps_of(format), .src = &b->a.source, .kick = box_kick, .kick_arg = &b->kicked};
    b->cpu = cpu_of(&b->cfg.caps, &b->a.source);
}

static __attribute__((unused)) void box_init(struct box *b, enum nested_format_id format, u64 size)
{
    box_arena(b, format, size);
    assert_int_equal(space_init(&b->s, &b->cfg), OK);
}

static __attribute__((unused)) void box_fini(struct box *b)
{
    assert_int_equal(space_fini(&b->s), 0);
    arena_fini(&b->a);
}

/* The attributes of the leaf at gpa, 0 if there is none, and its level (or the empty slot's). */
static __attribute__((unused)) unsigned attr_at(const struct space *s, gpa_t gpa, unsigned *level)
{
    u64 value;

    nested_lookup(&s->tables, gpa, level, &value);
    return nested_valid(value) ? nested_attr(s->tables.fmt, value) : 0;
}

static __attribute__((unused)) unsigned level_at(const struct space *s, gpa_t gpa)
{
    unsigned level;

    return attr_at(s, gpa, &level) ? level : 0;
}

/* The guest makes one access, with all the faults that it takes. Whether it came through. */
static __attribute__((unused)) bool box_guest(struct box *b, gpa_t gpa, unsigned access)
{
    struct cpu_walk walk;

    for (unsigned i = 0; i < 3; i++) {
        if (cpu_access(&b->cpu, b->s.tables.root, gpa, access, &walk) == CPU_OK)
            return true;
        if (space_fault(&b->s, gpa, access) != SPACE_RESOLVED)
            return false;
    }
    return false;
}

#endif
