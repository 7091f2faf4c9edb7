/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where 64-bit protocols enter: saves the processor's state before anything is changed, then goes
 * on with a stack of its own. The given GDT and page tables stay.
 */
        .section .text.entry, "ax"
        .code64
        .globl entry
entry:
        movq %rax, entry_state + 0(%rip)
        movq %rbx, entry_state + 8(%rip)
        movq %rcx, entry_state + 16(%rip)
        movq %rdx, entry_state + 24(%rip)
        movq %rsi, entry_state + 32(%rip)
        movq %rdi, entry_state + 40(%rip)
        movq %rbp, entry_state + 48(%rip)
        movq %rsp, entry_state + 56(%rip)
        leaq stack_top(%rip), %rsp
        pushfq
        popq entry_state + 64(%rip)
        movq %cr0, %rax
        movq %rax, entry_state + 72(%rip)
        movq %cr3, %rax
        movq %rax, entry_state + 80(%rip)
        movq %cr4, %rax
        movq %rax, entry_state + 88(%rip)
        movl $0xc0000080, %ecx
        rdmsr
        movl %eax, entry_state + 96(%rip)
        movw %cs, entry_state + 104(%rip)
        movw %ds, entry_state + 106(%rip)
        movw %es, entry_state + 108(%rip)
        movw %fs, entry_state + 110(%rip)
        movw %gs, entry_state + 112(%rip)
        movw %ss, entry_state + 114(%rip)
        str %ax
        movw %ax, entry_state + 116(%rip)
        sldt %ax
        movw %ax, entry_state + 118(%rip)
        sgdt entry_state + 120(%rip)
        sidt entry_state + 130(%rip)
        cld
        xorl %ebp, %ebp
        call promise_main
1:      cli
        hlt
        jmp 1b

        .data
        .balign 8
        .globl entry_state
entry_state:
        .fill 144, 1, 0

        .bss
        .balign 16
        .skip 16384
stack_top:

        .section .note.GNU-stack, "", @progbits
