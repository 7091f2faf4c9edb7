/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the loader to C. Two headers, two entries into 32-bit protected mode with paging off, one
 * way into long mode. Everything in .start is position-independent: a relocating loader may have put
 * the image at any multiple of 2 MiB below 4 GiB. Multiboot2 specification 2.0, 3.1 and 3.3; PVH:
 * Xen's "x86/HVM direct boot ABI".
 *
 * Register contract on the way: EBP is the address where .start lies, ESI the loader's structure,
 * EDI enum boot_kind (boot/mbi.h).
 */
#include "arch/x86_64/layout.h"

#define MB2_MAGIC  0xe85250d6
#define MB2_SIZE   (mb2_end - mb2_header)
#define CR0_VALUE  0x80000011 /* PG, ET, PE */
#define CR4_VALUE  0x00000020 /* PAE */
#define EFER_VALUE 0x00000100 /* LME */
#define PHYS(sym)  ((sym) - IMAGE_BASE - IMAGE_PADDR) /* offset from the start of the image */

    .section .multiboot2, "a"
    .balign 8
mb2_header:
    .long MB2_MAGIC
    .long 0 /* i386 protected mode */
    .long MB2_SIZE
    .long -(MB2_MAGIC + MB2_SIZE)

    .balign 8 /* the boot information that must be there: a memory map */
    .short 1, 0
    .long 12
    .long 6

    .balign 8 /* relocatable: anywhere below 4 GiB, 2 MiB-aligned, as low as possible */
    .short 10, 1
    .long 24
    .long IMAGE_PADDR
    .long 0xffffffff
    .long IMAGE_ALIGN
    .long 1

    .balign 8 /* modules begin on a page */
    .short 6, 0
    .long 8

    .balign 8
    .short 0, 0
    .long 8
mb2_end:

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start_pvh

    .section .start, "ax"
    .code32
/* EAX = 0x36d76289, EBX = boot information. No stack: its first 8 bytes but 4 serve as one. */
    .globl start_multiboot2
start_multiboot2:
    cld
    xor %edi, %edi
    cmp $0x36d76289, %eax
    jne wrong_loader
    jmp start_common

/* EBX = start info. */
    .globl start_pvh
start_pvh:
    cld
    mov $1, %edi

start_common:
    cli
    mov %ebx, %esi
    /* Where are we? Both structures have 4 bytes at offset 4 that can stand in for a stack. */
    mov 4(%ebx), %edx
    lea 8(%ebx), %esp
    call 1f
1:  pop %ebp
    mov %edx, 4(%ebx)
    sub $(1b - IMAGE_PADDR), %ebp
    lea PHYS(boot_stack_end)(%ebp), %esp

    /* The processor must have long mode. */
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode

    /* Zero the tables; loaders clear .bss, but not all of them all of it. */
    mov %edi, %ebx
    lea PHYS(boot_pml4)(%ebp), %edi
    mov $(boot_tables_end - boot_pml4) / 4, %ecx
    xor %eax, %eax
    rep stosl

    /* Low 4 GiB at their own address, in 2 MiB pages. */
    lea PHYS(boot_pdpt_low)(%ebp), %eax
    lea PHYS(boot_pml4)(%ebp), %edx
    lea 3(%eax), %ecx
    mov %ecx, (%edx)
    lea PHYS(boot_pd_low) + 3(%ebp), %ecx
    mov $4, %edi
1:  mov %ecx, (%eax)
    add $4096, %ecx
    add $8, %eax
    dec %edi
    jnz 1b
    lea PHYS(boot_pd_low)(%ebp), %edi
    mov $0x83, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    dec %ecx
    jnz 1b

    /* The image at its link address: one 2 MiB page, PML4[511], PDPT[510], PD[1]. */
    lea PHYS(boot_pdpt_high) + 3(%ebp), %eax
    mov %eax, 511 * 8(%edx)
    lea PHYS(boot_pd_high) + 3(%ebp), %eax
    mov %eax, PHYS(boot_pdpt_high) + 510 * 8(%ebp)
    lea 0x83(%ebp), %eax
    mov %eax, PHYS(boot_pd_high) + 8(%ebp)

    mov %ebx, %edi
    mov %edx, %cr3
    lea boot_gdt - IMAGE_PADDR(%ebp), %eax
    push $0
    push %eax
    pushw $boot_gdt_end - boot_gdt - 1
    lgdt (%esp)
    add $10, %esp
    mov $CR4_VALUE, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    mov $EFER_VALUE, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_VALUE, %eax
    mov %eax, %cr0
    push $0x08
    lea start_long - IMAGE_PADDR(%ebp), %eax
    push %eax
    lret

wrong_loader:
    mov $text_wrong_loader - IMAGE_PADDR, %ecx
    mov $IMAGE_PADDR, %ebp
    jmp early_fail
no_long_mode:
    mov $text_no_long_mode - IMAGE_PADDR, %ecx
/* Before any C: the sentence at EBP + ECX goes to COM1 as the firmware left it, then stop. */
early_fail:
    lea (%ebp,%ecx), %esi
1:  mov (%esi), %bl
    test %bl, %bl
    jz 3f
    mov $0x10000, %ecx
    mov $0x3fd, %edx
2:  in %dx, %al
    test $0x20, %al
    loopz 2b
    mov $0x3f8, %edx
    mov %bl, %al
    out %al, %dx
    inc %esi
    jmp 1b
3:  cli
    hlt
    jmp 3b

    .code64
start_long:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    movabs $boot_stack_end, %rsp
    movabs $start_high, %rax
    jmp *%rax

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* SEL_CODE */
    .quad 0x00cf93000000ffff /* SEL_DATA */
boot_gdt_end:
text_wrong_loader:
    .asciz "\r\nskep: started by something that is not a Multiboot2 loader\r\n"
text_no_long_mode:
    .asciz "\r\nskep: this processor has no 64-bit mode\r\n"

    .text
/* At the link address: boot_start(kind, info, where the image lies). */
start_high:
    mov %edi, %edi
    mov %esi, %esi
    mov %ebp, %edx
    xor %ebp, %ebp
    call boot_start
1:  hlt
    jmp 1b

    .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt_low, boot_pd_low, boot_stack, boot_stack_end
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pd_low:    .skip 4 * 4096
boot_pdpt_high: .skip 4096
boot_pd_high:   .skip 4096
boot_tables_end:
boot_stack:     .skip 8192
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
