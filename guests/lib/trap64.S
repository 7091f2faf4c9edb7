/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry stubs and context switches of the 64-bit flavour. */

#define VECTOR_USER_EXIT 0x7f

        .text
        .code64

/* One stub a vector, 16 bytes each: error code (or 0) and vector, as struct trap_frame has them. */
        .balign 16
        .globl trap_stubs
trap_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
            vector == 29 || vector == 30
        .else
        pushq $0
        .endif
        pushq $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
        .balign 16

trap_common:
        pushq %r15
        pushq %r14
        pushq %r13
        pushq %r12
        pushq %r11
        pushq %r10
        pushq %r9
        pushq %r8
        pushq %rdi
        pushq %rsi
        pushq %rbp
        pushq %rsp
        pushq %rbx
        pushq %rdx
        pushq %rcx
        pushq %rax
        cld
        movq %rsp, %rdi
        movq %rsp, %rbx
        andq $-16, %rsp
        call trap_dispatch
        movq %rbx, %rsp
        popq %rax
        popq %rcx
        popq %rdx
        popq %rbx
        addq $8, %rsp
        popq %rbp
        popq %rsi
        popq %rdi
        popq %r8
        popq %r9
        popq %r10
        popq %r11
        popq %r12
        popq %r13
        popq %r14
        popq %r15
        addq $16, %rsp
        iretq

/* int trap_save(struct trap_context *c): 0 now, 1 when trap_restore(c) comes back here. */
        .globl trap_save
trap_save:
        movq %rbx, 0(%rdi)
        movq %rbp, 8(%rdi)
        movq %r12, 16(%rdi)
        movq %r13, 24(%rdi)
        movq %r14, 32(%rdi)
        movq %r15, 40(%rdi)
        movq %rsp, 48(%rdi)
        movq (%rsp), %rax
        movq %rax, 56(%rdi)
        pushfq
        popq 64(%rdi)
        xorl %eax, %eax
        ret

        .globl trap_restore
trap_restore:
        movl $0x10, %eax
        movl %eax, %ss
        movl %eax, %ds
        movl %eax, %es
        movq 0(%rdi), %rbx
        movq 8(%rdi), %rbp
        movq 16(%rdi), %r12
        movq 24(%rdi), %r13
        movq 32(%rdi), %r14
        movq 40(%rdi), %r15
        movq 48(%rdi), %rsp
        movq 56(%rdi), %rax
        movq %rax, (%rsp)
        movl $1, %eax
        pushq 64(%rdi)
        popfq
        ret

/* void trap_to_user(fn, arg, stack_top) */
        .globl trap_to_user
trap_to_user:
        movq %rdi, %rax
        movq %rsi, %rdi
        andq $-16, %rdx
        movl $0x23, %ecx
        movl %ecx, %ds
        movl %ecx, %es
        pushq %rcx
        pushq %rdx
        pushq $0x202
        pushq $0x1b
        leaq 1f(%rip), %rcx
        pushq %rcx
        iretq
1:      call *%rax
        int $VECTOR_USER_EXIT

        .section .note.GNU-stack, "", @progbits
