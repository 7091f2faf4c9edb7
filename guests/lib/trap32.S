/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry stubs and context switches of the 32-bit flavour. */

#define VECTOR_USER_EXIT 0x7f

        .text
        .code32

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
        pushl $0
        .endif
        pushl $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
        .balign 16

trap_common:
        pushl %edi
        pushl %esi
        pushl %ebp
        pushl %esp
        pushl %ebx
        pushl %edx
        pushl %ecx
        pushl %eax
        pushl %ds
        pushl %es
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        cld
        movl %esp, %ebx
        andl $-16, %esp
        subl $12, %esp
        pushl %ebx
        call trap_dispatch
        movl %ebx, %esp
        popl %es
        popl %ds
        popl %eax
        popl %ecx
        popl %edx
        popl %ebx
        addl $4, %esp
        popl %ebp
        popl %esi
        popl %edi
        addl $8, %esp
        iretl

/* int trap_save(struct trap_context *c): 0 now, 1 when trap_restore(c) comes back here. */
        .globl trap_save
trap_save:
        movl 4(%esp), %ecx
        movl %ebx, 0(%ecx)
        movl %ebp, 4(%ecx)
        movl %esi, 8(%ecx)
        movl %edi, 12(%ecx)
        movl %esp, 16(%ecx)
        movl (%esp), %eax
        movl %eax, 20(%ecx)
        pushfl
        popl 24(%ecx)
        xorl %eax, %eax
        ret

        .globl trap_restore
trap_restore:
        movl 4(%esp), %ecx
        movl $0x10, %eax
        movl %eax, %ss
        movl 16(%ecx), %esp
        movl %eax, %ds
        movl %eax, %es
        movl 0(%ecx), %ebx
        movl 4(%ecx), %ebp
        movl 8(%ecx), %esi
        movl 12(%ecx), %edi
        movl 20(%ecx), %eax
        movl %eax, (%esp)
        movl $1, %eax
        pushl 24(%ecx)
        popfl
        ret

/* void trap_to_user(fn, arg, stack_top) */
        .globl trap_to_user
trap_to_user:
        movl 4(%esp), %eax
        movl 8(%esp), %edx
        movl 12(%esp), %ecx
        andl $-16, %ecx
        movl %edx, -16(%ecx)
        subl $16, %ecx
        movl $0x23, %edx
        movl %edx, %ds
        movl %edx, %es
        pushl %edx
        pushl %ecx
        pushl $0x202
        pushl $0x1b
        pushl $1f
        iretl
1:      call *%eax
        int $VECTOR_USER_EXIT

        .section .note.GNU-stack, "", @progbits
