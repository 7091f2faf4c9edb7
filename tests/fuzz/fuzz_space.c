/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest spaces against their model, the operations drawn from the fuzzer's bytes. */
#include "mm/space.h"
#include "tests/unit/space_ops.h"

struct bytes {
    const u8 *data;
    size_t left;
};

/* Three bytes a number; zero when they are used up. */
static u64 draw_bytes(void *arg)
{
    struct bytes *b = arg;
    u64 value = 0;

    for (unsigned i = 0; i < 3 && b->left; i++, b->left--)
        value = value << 8 | *b->data++;
    return value;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct world w;
    struct bytes b = {data, size};
    unsigned how;

    memset(&w, 0, sizeof(w));
    w.draw = draw_bytes;
    w.draw_arg = &b;
    how = (unsigned)world_draw(&w, 384);
    world_init(&w, (enum nested_format_id)(how % 192 / 64), 32 * MIB,
               how % 64 + (how >= 192 ? 64 : 0));
    while (b.left)
        world_step(&w);
    world_check(&w);
    world_fini(&w);
    return 0;
}
