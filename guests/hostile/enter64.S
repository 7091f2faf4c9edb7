/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_enter(regs, ip, sp): IRET to CPL 3 with interrupts on and all registers from regs. */

        .text
        .code64
        .globl fuzz_enter
fuzz_enter:
        pushq $0x23
        pushq %rdx
        pushq $0x202
        pushq $0x1b
        pushq %rsi
        movq %rdi, %rax
        movq 8(%rax), %rcx
        movq 16(%rax), %rdx
        movq 24(%rax), %rbx
        movq 40(%rax), %rbp
        movq 48(%rax), %rsi
        movq 56(%rax), %rdi
        movq 64(%rax), %r8
        movq 72(%rax), %r9
        movq 80(%rax), %r10
        movq 88(%rax), %r11
        movq 96(%rax), %r12
        movq 104(%rax), %r13
        movq 112(%rax), %r14
        movq 120(%rax), %r15
        movq 0(%rax), %rax
        iretq

        .section .note.GNU-stack, "", @progbits
