/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where 32-bit protocols enter: saves the processor's state before anything is changed, then goes
 * on with a stack of its own. The given GDT stays.
 */
        .section .text.entry, "ax"
        .code32
        .globl entry
entry:
        movl %eax, entry_state + 0
        movl %ebx, entry_state + 8
        movl %ecx, entry_state + 16
        movl %edx, entry_state + 24
        movl %esi, entry_state + 32
        movl %edi, entry_state + 40
        movl %ebp, entry_state + 48
        movl %esp, entry_state + 56
        movl $stack_top, %esp
        pushfl
        popl entry_state + 64
        movl %cr0, %eax
        movl %eax, entry_state + 72
        movl %cr3, %eax
        movl %eax, entry_state + 80
        movl %cr4, %eax
        movl %eax, entry_state + 88
        movl $0xc0000080, %ecx
        rdmsr
        movl %eax, entry_state + 96
        movw %cs, entry_state + 104
        movw %ds, entry_state + 106
        movw %es, entry_state + 108
        movw %fs, entry_state + 110
        movw %gs, entry_state + 112
        movw %ss, entry_state + 114
        str %ax
        movw %ax, entry_state + 116
        sldt %ax
        movw %ax, entry_state + 118
        sgdt entry_state + 120
        sidt entry_state + 130
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
