/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the processor arrives on an exception or an interrupt. The stub of an exception leaves a
 * struct trap_frame (trap.h) on the stack; trap_dispatch(frame) in RDI may change it. skep runs at
 * privilege level 0 alone: there is no GS to swap. SDM 3, 6.14.
 */
    .text

/*
 * Exceptions: 16 bytes each. Those without an error code push a zero. #DB returns at once: skep
 * sets no breakpoint and never single-steps, so it can only be a stray. Bochs has such: a guest's
 * single step over an intercepted instruction traps right after SVM's world switch, when GS and TR
 * are still the guest's and nothing else may run.
 */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if vector == 1
    iretq
    .endif
    /* 8, 10-14, 17, 21, 29, 30 */
    .if !((0x60227d00 >> vector) & 1)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

/* Interrupts: 8 bytes each; the vector goes on the stack as a signed byte. */
    .balign 16
    .globl irq_stubs
irq_stubs:
    .rept 224
    .balign 8
    .byte 0x6a, vector & 0xff
    jmp irq_common
    .set vector, vector + 1
    .endr

/* What C functions keep is not saved. RBP is the interrupted function's, for backtraces. */
irq_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movzbl 9 * 8(%rsp), %edi
    subq $8, %rsp /* the stack is aligned at the call */
    call trap_dispatch_irq
    addq $8, %rsp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq

trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap_dispatch
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
