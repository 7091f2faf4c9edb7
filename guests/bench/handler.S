/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupt handler of timed paths: notes the TSC first, then ends the interrupt. */

        .text
        .code64

/* xAPIC: end of interrupt by MMIO. bench_irq_tsc is what a sample waits for. */
        .globl bench_irq
bench_irq:
        pushq %rax
        pushq %rdx
        rdtsc
        shlq $32, %rdx
        orq %rdx, %rax
        movl $0xfee000b0, %edx
        movl $0, (%rdx)
        movq %rax, bench_irq_tsc
        popq %rdx
        popq %rax
        iretq

/* x2APIC: by MSR. */
        .globl bench_irq_x2
bench_irq_x2:
        pushq %rax
        pushq %rdx
        pushq %rcx
        rdtsc
        shlq $32, %rdx
        orq %rdx, %rax
        pushq %rax
        xorl %eax, %eax
        xorl %edx, %edx
        movl $0x80b, %ecx
        wrmsr
        popq bench_irq_tsc
        popq %rcx
        popq %rdx
        popq %rax
        iretq

        .bss
        .balign 64
        .globl bench_irq_tsc
bench_irq_tsc:
        .skip 64

        .section .note.GNU-stack, "", @progbits
