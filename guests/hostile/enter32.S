/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_enter(regs, ip, sp): IRET to CPL 3 with interrupts on and all registers from regs. */

        .text
        .code32
        .globl fuzz_enter
fuzz_enter:
        movl 4(%esp), %eax
        movl 8(%esp), %ecx
        movl 12(%esp), %edx
        pushl $0x23
        pushl %edx
        pushl $0x202
        pushl $0x1b
        pushl %ecx
        movl $0x23, %ecx
        movl %ecx, %ds
        movl %ecx, %es
        movl 4(%eax), %ecx
        movl 8(%eax), %edx
        movl 12(%eax), %ebx
        movl 20(%eax), %ebp
        movl 24(%eax), %esi
        movl 28(%eax), %edi
        movl 0(%eax), %eax
        iretl

        .section .note.GNU-stack, "", @progbits
