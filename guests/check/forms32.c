/* SPDX-License-Identifier: BSD-2-Clause */
/* 32-bit forms on device memory. */
#include "guests/check/forms.h"

FORM_CODE(push_l, "pushl " B "\n popl " BD(24));
FORM_CODE(mov_sib, "mov $1, %ecx\n movl 4(%ebx,%ecx,8), %edx");
FORM_CODE(mov_fs, "movl %fs:(%ebx), %ecx");

static const struct form list[] = {
    {"push_l", form_push_l, 0, F_ALWAYS, P_NONE},
    {"mov_sib", form_mov_sib, 0, F_ALWAYS, P_NONE},
    {"mov_fs", form_mov_fs, 0, F_ALWAYS, P_NONE},
};

const struct form_list forms_mode = {list, ARRAY_SIZE(list)};
