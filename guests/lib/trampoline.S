/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where SIPI sends a processor: real mode at CS = 0x0800. Copied below 1 MiB; goes to flat
 * protected mode and on to ap_mode with its number in EDI and its stack in ESP.
 */
#define BASE 0x8000

        .section .rodata.trampoline, "a"
        .code16
        .globl smp_trampoline, smp_trampoline_end
smp_trampoline:
        cli
        cld
        movw %cs, %ax
        movw %ax, %ds
        lgdtl gdt_pointer - smp_trampoline
        movl %cr0, %eax
        movl %eax, %ebx
        andl $0x9fffffff, %eax /* caches on */
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $0x08, $BASE + flat - smp_trampoline
        .code32
flat:
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %fs
        movl %eax, %gs
        movl %eax, %ss
        movl %ebx, smp_ap_cr0
        movl smp_ap_stack, %esp
        movl smp_ap_cpu, %edi
        movl $ap_mode, %eax
        jmp *%eax

        .balign 8
trampoline_gdt:
        .quad 0
        .quad 0x00cf9b000000ffff
        .quad 0x00cf93000000ffff
gdt_pointer:
        .word gdt_pointer - trampoline_gdt - 1
        .long BASE + trampoline_gdt - smp_trampoline
smp_trampoline_end:

        .data
        .balign 4
        .globl smp_ap_stack, smp_ap_cpu, smp_ap_cr0
smp_ap_stack:
        .long 0
smp_ap_cpu:
        .long 0
smp_ap_cr0:
        .long 0

        .section .note.GNU-stack, "", @progbits
