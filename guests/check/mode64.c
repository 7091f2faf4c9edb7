/* SPDX-License-Identifier: BSD-2-Clause */
/* What only 64-bit code can do or see. */
#include "guests/check/check.h"
#include "guests/check/groups.h"

SNIPPET(do_read_at, ARG, "mov (%rax), %ecx");
SNIPPET(do_stack, "mov %rsp, %rcx\n movabs $0x8000000000000000, %rax\n mov %rax, %rsp\n",
        "push %rax\n mov %rcx, %rsp");
SNIPPET(do_rbp, "mov %rbp, %rcx\n movabs $0x8000000000000000, %rbp\n",
        "mov (%rbp), %rax\n mov %rcx, %rbp");

static void noncanonical_data(void)
{
    EXPECT_TRAP(do_read_at, (void *)0x800000000000, EXC_GP, 0, do_read_at_at);
    EXPECT_TRAP(do_read_at, (void *)0xffff7fffffffffff, EXC_GP, 0, do_read_at_at);
}

static void noncanonical_stack(void)
{
    EXPECT_TRAP(do_stack, NULL, EXC_SS, 0, do_stack_at);
    EXPECT_TRAP(do_rbp, NULL, EXC_SS, 0, do_rbp_at);
}

static const struct check list[] = {
    {"noncanonical_data", noncanonical_data, ANYWHERE},
    {"noncanonical_stack", noncanonical_stack, NOT_TCG},
};
CHECK_GROUP(mode_specific, list);
