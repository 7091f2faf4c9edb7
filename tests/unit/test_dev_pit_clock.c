/* SPDX-License-Identifier: BSD-2-Clause */
/* Every mode of the interval timer, clock by clock, against a counter written from the 8254 data
 * sheet. */
#include "tests/unit/pit_bench.h"
#include "vmm/dev/pit.h"

struct slow {
    unsigned mode;
    u32 count, element, fresh; /* loaded, counting, written and to be loaded (0: none) */
    bool out, gate, counting, strobe, trigger, load_next;
};

static void slow_write(struct slow *s, u32 count)
{
    bool first = s->count == 0 && s->fresh == 0;

    s->fresh = count;
    if (s->mode == 0)
        s->out = false;
    if (s->mode == 0 || s->mode == 4 || ((s->mode == 2 || s->mode == 3) && (first || !s->gate)))
        s->load_next = true;
}

static void slow_gate(struct slow *s, bool gate)
{
    if (gate && !s->gate && s->mode != 0 && s->mode != 4)
        s->trigger = true;
    if (!gate && (s->mode == 2 || s->mode == 3))
        s->out = true;
    s->gate = gate;
}

static void slow_load(struct slow *s)
{
    if (s->fresh)
        s->count = s->fresh;
    s->fresh = 0;
    s->element = s->mode == 3 ? s->count & ~1u : s->count;
    s->load_next = s->trigger = false;
    s->counting = true;
}

/* Mode 3: by two; an odd count holds its high part one clock longer. */
static void slow_square(struct slow *s)
{
    if (s->element > 2 || (s->element == 2 && s->out && (s->count & 1))) {
        s->element -= 2;
        return;
    }
    s->out = !s->out;
    if (s->fresh)
        s->count = s->fresh;
    s->fresh = 0;
    s->element = s->count & ~1u;
}

static void slow_clock(struct slow *s)
{
    if (s->mode == 4 || s->mode == 5)
        s->out = true;
    if (s->load_next || (s->trigger && (s->count || s->fresh))) {
        bool triggered = s->trigger;

        slow_load(s);
        s->strobe = true;
        if (s->mode == 1 && triggered)
            s->out = false;
        return;
    }
    if (!s->counting || (!s->gate && s->mode != 1 && s->mode != 5))
        return;
    if (s->mode == 3) {
        slow_square(s);
        return;
    }
    s->element = (s->element - 1) & 0xffff;
    if (s->mode == 2) {
        if (s->element == 1)
            s->out = false;
        if (s->element == 0) {
            s->out = true;
            slow_load(s);
        }
    } else if (s->element == 0) {
        if (s->mode == 0 || s->mode == 1)
            s->out = true;
        else if (s->strobe)
            s->out = s->strobe = false;
    }
}

/* Counter 2, whose gate is ours: output and count agree with the clocked counter at every tick. */
static void modes_clock_by_clock(void **state)
{
    static const u32 counts[] = {2, 3, 4, 5, 6, 7, 10, 11, 33};
    u64 seed = 0x8254;

    (void)state;
    for (unsigned mode = 0; mode < 6; mode++)
        for (unsigned k = 0; k < ARRAY_SIZE(counts); k++) {
            struct bench t;
            struct slow s = {.mode = mode, .out = mode != 0};

            start(&t);
            out8(&t.b, 0x61, 0);
            if (mode != 1 && mode != 5) {
                out8(&t.b, 0x61, 1);
                s.gate = true;
            }
            program(&t, 2, (u8)(0x30 | mode << 1), (u16)counts[k]);
            slow_write(&s, counts[k]);
            for (unsigned n = 0; n < 400; n++) {
                u64 r = random_u64(&seed);

                advance(&t, 1);
                slow_clock(&s);
                assert_int_equal(in8(&t.b, 0x61) >> 5 & 1, s.out);
                /* In mode 3 a reading shows even values; it is the output that guests go by. */
                if (s.counting && mode != 3)
                    assert_int_equal(read_count(&t, 2), s.element);
                if (s.counting && mode == 3)
                    assert_int_equal(read_count(&t, 2), s.element);
                if (r % 16 == 0) {
                    out8(&t.b, 0x61, !s.gate);
                    slow_gate(&s, !s.gate);
                } else if (r % 64 == 1 && !s.fresh && !s.load_next) {
                    u32 fresh = counts[r >> 8 & 7];

                    out8(&t.b, 0x42, (u8)fresh);
                    out8(&t.b, 0x42, 0);
                    slow_write(&s, fresh);
                }
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_clock_by_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
