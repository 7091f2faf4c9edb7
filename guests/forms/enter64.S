/* SPDX-License-Identifier: BSD-2-Clause */
/* Into a form and its vector registers, from 64-bit code. Offsets as in struct form_state. */

        .text
        .code64

/* void form_enter(const struct form_state *s, bool avx) */
        .globl form_enter
form_enter:
        movw 160(%rdi), %ds
        movw 168(%rdi), %es
        movw 176(%rdi), %fs
        movw 184(%rdi), %gs
        testl %esi, %esi
        jz 1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vmovdqu 192+32*\n(%rdi), %ymm\n
        .endr
        jmp 2f
1:      .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movups 192+32*\n(%rdi), %xmm\n
        .endr
2:      pushq 152(%rdi)
        pushq 32(%rdi)
        pushq 136(%rdi)
        pushq 144(%rdi)
        pushq 128(%rdi)
        movq 0(%rdi), %rax
        movq 8(%rdi), %rcx
        movq 16(%rdi), %rdx
        movq 24(%rdi), %rbx
        movq 40(%rdi), %rbp
        movq 48(%rdi), %rsi
        movq 64(%rdi), %r8
        movq 72(%rdi), %r9
        movq 80(%rdi), %r10
        movq 88(%rdi), %r11
        movq 96(%rdi), %r12
        movq 104(%rdi), %r13
        movq 112(%rdi), %r14
        movq 120(%rdi), %r15
        movq 56(%rdi), %rdi
        iretq

/* void form_vectors(u8 vec[][32], bool avx) */
        .globl form_vectors
form_vectors:
        testl %esi, %esi
        jz 1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vmovdqu %ymm\n, 32*\n(%rdi)
        .endr
        ret
1:      .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movups %xmm\n, 32*\n(%rdi)
        .endr
        ret

        .section .note.GNU-stack, "", @progbits
