/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector moves on device memory. */
#include "guests/check/forms.h"

FORM_CODE(movdqu, "movdqu " B ", %xmm1\n movdqu %xmm1, " BD(16));
FORM_CODE(movdqa, "movdqa " B ", %xmm1\n movdqa %xmm1, " BD(16));
FORM_CODE(movups, "movups " B ", %xmm1\n movups %xmm1, " BD(16));
FORM_CODE(movaps, "movaps " B ", %xmm1\n movaps %xmm1, " BD(16));
FORM_CODE(movupd, "movupd " B ", %xmm1\n movupd %xmm1, " BD(16));
FORM_CODE(movapd, "movapd " B ", %xmm1\n movapd %xmm1, " BD(16));
FORM_CODE(movdqu_unaligned, "movdqu " BD(3) ", %xmm1\n movdqu %xmm1, " BD(21));
FORM_CODE(movd, "movd " B ", %xmm1\n movd %xmm1, " BD(20));
FORM_CODE(movq, "movq " B ", %xmm1\n movq %xmm1, " BD(24));
FORM_CODE(movss, "movss " B ", %xmm1\n movss %xmm1, " BD(20));
FORM_CODE(movsd, "movsd " B ", %xmm1\n movsd %xmm1, " BD(24));
FORM_CODE(movntdq, "movdqu " B ", %xmm1\n movntdq %xmm1, " BD(32));
FORM_CODE(movntps, "movups " B ", %xmm1\n movntps %xmm1, " BD(32));
FORM_CODE(lddqu, "lddqu " BD(1) ", %xmm1\n movdqu %xmm1, " BD(32));
FORM_CODE(movntdqa, "movntdqa " B ", %xmm1\n movdqu %xmm1, " BD(32));
FORM_CODE(vmovdqu128, "vmovdqu " B ", %xmm1\n vmovdqu %xmm1, " BD(16));
FORM_CODE(vmovdqu256, "vmovdqu " B ", %ymm1\n vmovdqu %ymm1, " BD(32));
FORM_CODE(vmovaps256, "vmovaps " B ", %ymm1\n vmovaps %ymm1, " BD(32));
FORM_CODE(vmovntdq256, "vmovdqu " B ", %ymm1\n vmovntdq %ymm1, " BD(32));

static const struct form list[] = {
    {"movdqu", form_movdqu, 0, F_ALWAYS, P_NONE},
    {"movdqa", form_movdqa, 0, F_ALWAYS, P_NONE},
    {"movups", form_movups, 0, F_ALWAYS, P_NONE},
    {"movaps", form_movaps, 0, F_ALWAYS, P_NONE},
    {"movupd", form_movupd, 0, F_ALWAYS, P_NONE},
    {"movapd", form_movapd, 0, F_ALWAYS, P_NONE},
    {"movdqu_unaligned", form_movdqu_unaligned, 0, F_ALWAYS, P_NONE},
    {"movd", form_movd, 0, F_ALWAYS, P_NONE},
    {"movq", form_movq, 0, F_ALWAYS, P_NONE},
    {"movss", form_movss, 0, F_ALWAYS, P_NONE},
    {"movsd", form_movsd, 0, F_ALWAYS, P_NONE},
    {"movntdq", form_movntdq, 0, F_ALWAYS, P_NONE},
    {"movntps", form_movntps, 0, F_ALWAYS, P_NONE},
    {"lddqu", form_lddqu, 0, F_SSE3, P_NONE},
    {"movntdqa", form_movntdqa, 0, F_SSE41, P_NONE},
    {"vmovdqu128", form_vmovdqu128, 0, F_AVX, P_NONE},
    {"vmovdqu256", form_vmovdqu256, 0, F_AVX, P_NONE},
    {"vmovaps256", form_vmovaps256, 0, F_AVX, P_NONE},
    {"vmovntdq256", form_vmovntdq256, 0, F_AVX, P_NONE},
};

const struct form_list forms_vector = {list, ARRAY_SIZE(list)};
