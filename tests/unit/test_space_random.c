/* SPDX-License-Identifier: BSD-2-Clause */
/* Long random sequences on guest spaces of every kind, compared with the model after each stretch.
 */
#include "mm/space.h"
#include "tests/unit/space_ops.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

static u64 draw_random(void *arg)
{
    return random_u64(arg) >> 8;
}

static void run(enum nested_format_id format, u64 memory, unsigned how, bool may_run_out,
                unsigned stretches)
{
    static struct world w;
    u64 seed = 0xabcdef + how * 77 + format;

    memset(&w, 0, sizeof(w));
    w.draw = draw_random;
    w.draw_arg = &seed;
    w.may_run_out = may_run_out;
    world_init(&w, format, memory, how);
    if (may_run_out)
        w.a.max_order = 8; /* small pages, to begin with */
    for (unsigned i = 0; i < stretches; i++) {
        for (unsigned k = 0; k < 500; k++)
            world_step(&w);
        world_check(&w);
    }
    world_fini(&w);
}

static void every_kind_of_space_matches_the_model(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned how = 0; how < 64; how++)
        run(formats[f], 32 * MIB, how, false, 8);
}

/* The same with a place for what is not zero. */
static void spaces_with_a_store_match_the_model(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned how = 64; how < 128; how += 9)
        run(formats[f], 32 * MIB, how, false, 8);
}

static void short_memory_matches_the_model(void **state)
{
    (void)state;
    FOR_FORMATS(f)
    for (unsigned how = 0; how < 16; how++)
        run(formats[f], 12 * MIB, how, true, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_space_matches_the_model),
        cmocka_unit_test(spaces_with_a_store_match_the_model),
        cmocka_unit_test(short_memory_matches_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
