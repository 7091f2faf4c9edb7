/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 64-bit flavour of entry: builds an identity map of the first 4 GiB in 2 MiB pages and
 * switches to long mode (SDM 3, 9.8.5). Pages are user pages: tests run code at CPL 3 in them.
 */

#define LARGE 0xe7 /* present, writable, user, accessed, dirty, large */
#define TABLE 0x27 /* present, writable, user, accessed */

        .text
        .code32
        .globl entry_mode
entry_mode:
        movl $0x80000000, %eax
        cpuid
        cmpl $0x80000001, %eax
        jb no_long_mode
        movl $0x80000001, %eax
        cpuid
        btl $29, %edx
        jnc no_long_mode

        movl $page_pml4, %edi
        movl $page_pdpt + TABLE, (%edi)
        movl $page_pdpt, %edi
        movl $page_pd + TABLE, %eax
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $4096, %eax
        addl $8, %edi
        loop 1b
        movl $page_pd, %edi
        movl $LARGE, %eax
        movl $2048, %ecx
1:      movl %eax, (%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b

        call long_mode_on
        lgdt boot_gdt_pointer
        ljmp $0x08, $1f
        .code64
1:      call load_segments
        xorl %ebp, %ebp
        movl $boot_stack_top, %esp
        call guest_start
2:      cli
        hlt
        jmp 2b

load_segments:
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %fs
        movl %eax, %gs
        movl %eax, %ss
        ret

/* An application processor, from the trampoline: flat, its stack in ESP, its number in EDI. */
        .section .text.ap_mode, "ax"
        .code32
        .globl ap_mode
ap_mode:
        call long_mode_on
        lgdt boot_gdt_pointer
        ljmp $0x08, $1f
        .code64
1:      call load_segments
        xorl %ebp, %ebp
        movl %esp, %esp
        movl %edi, %edi
        call smp_ap_start
2:      cli
        hlt
        jmp 2b

        .text
        .code32
long_mode_on:
        movl $0x20, %eax /* PAE */
        movl %eax, %cr4
        movl $page_pml4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x100, %eax /* LME */
        wrmsr
        movl $0x80010011, %eax /* PG, WP, ET, PE */
        movl %eax, %cr0
        ret

/* Says so on COM1, as it stands, and stops. */
no_long_mode:
        movl $no_long_mode_text, %esi
1:      lodsb
        testb %al, %al
        jz 2f
        movb %al, %ah
        movw $0x3fd, %dx
3:      inb %dx, %al
        testb $0x20, %al
        jz 3b
        movb %ah, %al
        movw $0x3f8, %dx
        outb %al, %dx
        jmp 1b
2:      movl $255, %eax
        movw $0xf4, %dx
        outl %eax, %dx
4:      cli
        hlt
        jmp 4b

        .section .rodata
no_long_mode_text:
        .asciz "guest: this processor has no long mode\r\n"

        .data
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff /* 0x08 64-bit code */
        .quad 0x00cf93000000ffff /* 0x10 data */
boot_gdt_pointer:
        .word . - boot_gdt - 1
        .long boot_gdt

        .bss
        .balign 4096
        .globl page_pml4, page_pdpt, page_pd
page_pml4:
        .skip 4096
page_pdpt:
        .skip 4096
page_pd:
        .skip 4 * 4096

        .section .note.GNU-stack, "", @progbits
