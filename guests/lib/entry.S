/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a Multiboot 1 loader enters every guest, 32-bit and 64-bit alike: protected mode, paging
 * off, flat segments, EAX = magic, EBX = information (Multiboot 0.6.96, 3.2). Saves the state
 * that was given, then goes on in entry_mode, of which each flavour has its own.
 */

#define MAGIC 0x1badb002
#define FLAGS 0x00000003 /* modules on page boundaries; memory information */

        .section .multiboot, "a"
        .balign 4
        .long MAGIC
        .long FLAGS
        .long -(MAGIC + FLAGS)

        .section .text.entry, "ax"
        .code32
        .globl entry_start
entry_start:
        movl %eax, boot_entry + 0
        movl %ebx, boot_entry + 4
        movl %ecx, boot_entry + 8
        movl %edx, boot_entry + 12
        movl %esi, boot_entry + 16
        movl %edi, boot_entry + 20
        movl %ebp, boot_entry + 24
        movl %esp, boot_entry + 28
        movl $boot_stack_top, %esp
        pushfl
        popl boot_entry + 32
        movl %cr0, %eax
        movl %eax, boot_entry + 36
        movl %cr4, %eax
        movl %eax, boot_entry + 40
        movw %cs, boot_entry + 44
        movw %ds, boot_entry + 46
        movw %es, boot_entry + 48
        movw %fs, boot_entry + 50
        movw %gs, boot_entry + 52
        movw %ss, boot_entry + 54
        cld
        /* Control registers whole: what firmware left there is not wanted. */
        movl $0x11, %eax /* PE, ET */
        movl %eax, %cr0
        xorl %eax, %eax
        movl %eax, %cr4
        jmp entry_mode

        .data
        .balign 8
        .globl boot_entry
boot_entry:
        .fill 64, 1, 0

        .bss
        .balign 4096
        .globl boot_stack, boot_stack_top
boot_stack:
        .skip 32768
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
