/* SPDX-License-Identifier: BSD-2-Clause */
/* What only 32-bit code can do or see: segments with limits, INTO, BOUND. */
#include "guests/check/check.h"
#include "guests/check/groups.h"

SNIPPET(do_into, "mov $0x7fffffff, %eax\n add $1, %eax", "into");
SNIPPET(do_bound, ARG, "bound %ecx, (%eax)");
SNIPPET(do_limit, "mov $0x30, %ecx\n mov %ecx, %fs\n" ARG, "mov %fs:(%eax), %ecx");
SNIPPET(do_limit_w, "mov $0x30, %ecx\n mov %ecx, %fs\n" ARG, "movl $1, %fs:(%eax)");
SNIPPET(do_null, "xor %ecx, %ecx\n mov %ecx, %fs\n" ARG, "mov %fs:(%eax), %ecx");

static void exc_of(void)
{
    EXPECT_TRAP(do_into, NULL, EXC_OF, 0, do_into_at + 1);
}

static void exc_br(void)
{
    static const s32 bounds[2] = {0x7ffffffe, 0x7fffffff};

    EXPECT_TRAP(do_bound, (void *)(ulong)bounds, EXC_BR, 0, do_bound_at);
}

static void segment_limit(void)
{
    gdt_set(SEL_SPARE, 0x0040930000000fff); /* data, base 0, limit 0xfff */
    EXPECT_TRAP(do_limit, (void *)0xffc, -1, 0, NULL);
    EXPECT_TRAP(do_limit, (void *)0xffd, EXC_GP, 0, do_limit_at);
    gdt_set(SEL_SPARE, 0x00c0970000000000); /* expand-down: valid above 0xfff */
    EXPECT_TRAP(do_limit, (void *)0x1000, -1, 0, NULL);
    EXPECT_TRAP(do_limit, (void *)0xfff, EXC_GP, 0, do_limit_at);
    gdt_set(SEL_SPARE, 0x00cf91000000ffff); /* read-only */
    EXPECT_TRAP(do_limit_w, scratch[0], EXC_GP, 0, do_limit_w_at);
}

static void segment_null(void)
{
    EXPECT_TRAP(do_null, scratch[0], EXC_GP, 0, do_null_at);
}

static const struct check list[] = {
    {"exc_of", exc_of, ANYWHERE},
    {"exc_br", exc_br, ANYWHERE},
    {"segment_limit", segment_limit, NOT_TCG},
    {"segment_null", segment_null, NOT_TCG},
};
CHECK_GROUP(mode_specific, list);
