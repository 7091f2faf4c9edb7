/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a starting processor begins: in real mode, CS:0 = this code's copy in a page below 1 MiB.
 * Straight to long mode on the boot tables, then to C at its high address. The head is struct
 * trampoline_args (arch/x86_64/smp.h), filled in by the CPU that starts this one. SDM 3, 9.9.
 */
#define ARG_CR3   8
#define ARG_BASE  12
#define ARG_STACK 16
#define ARG_CPU   24
#define ARG_ENTRY 32
#define ARGS_SIZE 40
#define AT(sym)   ((sym) - trampoline)

    .section .rodata.trampoline, "a"
    .balign 16
    .globl trampoline, trampoline_end
    .code16
trampoline:
    jmp 1f
    .skip ARGS_SIZE - 2 /* less the jump */
1:  cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    movl ARG_BASE, %ebx

    /* The addresses that depend on where we are. */
    leal AT(gdt)(%ebx), %eax
    movl %eax, AT(gdt_pointer) + 2
    leal AT(long_mode)(%ebx), %eax
    movl %eax, AT(far_pointer)
    lgdtl AT(gdt_pointer)

    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl ARG_CR3, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    movl $0x900, %eax /* EFER.LME, NXE */
    xorl %edx, %edx
    wrmsr
    movl $0x80000011, %eax /* PG, ET, PE at once */
    movl %eax, %cr0
    ljmpl *AT(far_pointer)

    .code64
long_mode:
    movl $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    movl %ebx, %ebx
    movq ARG_STACK(%rbx), %rsp
    movq ARG_CPU(%rbx), %rdi
    movq ARG_ENTRY(%rbx), %rax
    xorl %ebp, %ebp
    pushq $0
    jmp *%rax

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .short gdt_pointer - gdt - 1
    .long 0
far_pointer:
    .long 0
    .short 0x08
trampoline_end:

    .section .note.GNU-stack, "", @progbits
