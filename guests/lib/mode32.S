/* SPDX-License-Identifier: BSD-2-Clause */
/* The 32-bit flavour of entry: stays in flat protected mode without paging. */

        .text
        .code32
        .globl entry_mode
entry_mode:
        lgdt boot_gdt_pointer
        ljmp $0x08, $1f
1:      movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %fs
        movl %eax, %gs
        movl %eax, %ss
        xorl %ebp, %ebp
        call guest_start
2:      cli
        hlt
        jmp 2b

/* An application processor, from the trampoline: flat, its stack in ESP, its number in EDI. */
        .section .text.ap_mode, "ax"
        .globl ap_mode
ap_mode:
        xorl %ebp, %ebp
        movl smp_cr3, %eax
        testl %eax, %eax
        jz 1f
        movl %eax, %cr3
        movl smp_cr4, %eax
        movl %eax, %cr4
        movl smp_cr0, %eax
        movl %eax, %cr0
1:      subl $12, %esp
        pushl %edi
        call smp_ap_start
2:      cli
        hlt
        jmp 2b

        .data
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00cf9b000000ffff /* 0x08 code */
        .quad 0x00cf93000000ffff /* 0x10 data */
boot_gdt_pointer:
        .word . - boot_gdt - 1
        .long boot_gdt

        .section .note.GNU-stack, "", @progbits
