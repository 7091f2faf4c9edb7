/* SPDX-License-Identifier: BSD-2-Clause */
/* Into a form and its vector registers, from 32-bit code. Offsets as in struct form_state. */

        .text
        .code32

/* void form_enter(const struct form_state *s, bool avx) */
        .globl form_enter
form_enter:
        movl 4(%esp), %edi
        cmpb $0, 8(%esp)
        je 1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vmovdqu 96+32*\n(%edi), %ymm\n
        .endr
        jmp 2f
1:      .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movups 96+32*\n(%edi), %xmm\n
        .endr
2:      testl $0x20000, 68(%edi)
        jz 3f
        pushl 92(%edi) /* to virtual-8086 mode: GS, FS, DS, ES too */
        pushl 88(%edi)
        pushl 80(%edi)
        pushl 84(%edi)
3:      pushl 76(%edi)
        pushl 16(%edi)
        pushl 68(%edi)
        pushl 72(%edi)
        pushl 64(%edi)
        pushl 0(%edi)
        pushl 4(%edi)
        pushl 8(%edi)
        pushl 12(%edi)
        pushl 16(%edi)
        pushl 20(%edi)
        pushl 24(%edi)
        pushl 28(%edi)
        testl $0x20000, 68(%edi)
        jnz 4f
        movl 84(%edi), %eax
        movl %eax, %es
        movl 88(%edi), %eax
        movl %eax, %fs
        movl 92(%edi), %eax
        movl %eax, %gs
        movl 80(%edi), %eax
        movl %eax, %ds
4:      popal
        iretl

/* void form_vectors(u8 vec[][32], bool avx) */
        .globl form_vectors
form_vectors:
        movl 4(%esp), %eax
        cmpb $0, 8(%esp)
        je 1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        vmovdqu %ymm\n, 32*\n(%eax)
        .endr
        ret
1:      .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movups %xmm\n, 32*\n(%eax)
        .endr
        ret

        .section .note.GNU-stack, "", @progbits
