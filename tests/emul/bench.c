/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speed. The decoder beside Zydis' minimal decoder in one run on the same bytes: the instructions
 * that MMIO exits are made of, and random code (this program's own text, whatever that decodes to,
 * from every offset). Then what a whole emulation of a local APIC read costs, in instructions where
 * the kernel lets a program count them.
 *
 * Fails below three times Zydis on the first and one and a half times on the second.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <Zydis/Zydis.h>
#include "tests/emul/machine.h"

#define ROUNDS 15

/* What kernels, boot code and test programs use on devices; 15 bytes each. */
static const u8 mix[][15] = {
    {0x8b, 0x04, 0x25, 0x20, 0xb0, 0x5f, 0xff},             /* mov eax, [apic+0x20] */
    {0x89, 0x34, 0x25, 0x80, 0xb3, 0x5f, 0xff},             /* mov [apic+0x380], esi */
    {0x8b, 0x07},                                           /* mov eax, [rdi] */
    {0x89, 0x37},                                           /* mov [rdi], esi */
    {0x44, 0x89, 0x47, 0x10},                               /* mov [rdi+0x10], r8d */
    {0x41, 0x8b, 0x44, 0x8e, 0x20},                         /* mov eax, [r14+rcx*4+0x20] */
    {0xc7, 0x04, 0x25, 0xb0, 0xb0, 0x5f, 0xff, 0, 0, 0, 0}, /* mov dword [eoi], 0 */
    {0xc7, 0x87, 0xb0, 0, 0, 0, 1, 2, 3, 4},                /* mov dword [rdi+0xb0], imm */
    {0x0f, 0xb6, 0x07},                                     /* movzx eax, byte [rdi] */
    {0x0f, 0xb7, 0x47, 0x02},                               /* movzx eax, word [rdi+2] */
    {0x48, 0x8b, 0x87, 0xf0, 0, 0, 0},                      /* mov rax, [rdi+0xf0] */
    {0x48, 0x89, 0x87, 0xf0, 0, 0, 0},                      /* mov [rdi+0xf0], rax */
    {0x88, 0x07},                                           /* mov [rdi], al */
    {0x8a, 0x47, 0x05},                                     /* mov al, [rdi+5] */
    {0x66, 0x89, 0x07},                                     /* mov [rdi], ax */
    {0x83, 0x4f, 0x08, 0x01},                               /* or dword [rdi+8], 1 */
    {0x81, 0x27, 0xff, 0xff, 0, 0},                         /* and dword [rdi], imm */
    {0xa1, 0x20, 0, 0xe0, 0xfe, 0, 0, 0, 0},                /* mov eax, [moffs] */
    {0xf3, 0xa5},                                           /* rep movsd */
    {0x39, 0x47, 0x10},                                     /* cmp [rdi+0x10], eax */
    {0x85, 0x07},                                           /* test [rdi], eax */
    {0x87, 0x07},                                           /* xchg [rdi], eax */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bytes {
    const u8 *p;
    unsigned count, step;
};

static u64 sink;

static double time_skep(const struct bytes *b, unsigned repeat)
{
    double start = now();
    struct insn in;

    for (unsigned r = 0; r < repeat; r++) {
        for (unsigned i = 0; i < b->count; i++)
            sink +=
                insn_decode(b->p + (size_t)i * b->step, 15, INSN_64, &in) == INSN_OK ? in.len : 1;
    }
    return now() - start;
}

static double time_zydis(const struct bytes *b, unsigned repeat, const ZydisDecoder *d)
{
    double start = now();
    ZydisDecodedInstruction in;
    ZydisDecoderContext ctx;

    for (unsigned r = 0; r < repeat; r++) {
        for (unsigned i = 0; i < b->count; i++)
            sink += ZYAN_SUCCESS(
                        ZydisDecoderDecodeInstruction(d, &ctx, b->p + (size_t)i * b->step, 15, &in))
                        ? in.length
                        : 1;
    }
    return now() - start;
}

/* The best of several rounds each, taken in turn: other load on the machine hits both. */
static bool race(const char *name, const struct bytes *b, unsigned repeat, double least)
{
    ZydisDecoder d;
    double skep = 1e9, zydis = 1e9, n = (double)b->count * repeat;

    ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double a = time_skep(b, repeat), z = time_zydis(b, repeat, &d);

        skep = a < skep ? a : skep;
        zydis = z < zydis ? z : zydis;
    }
    printf("bench-emul: %-10s skep %6.1f, Zydis minimal %6.1f million a second: %.2f times "
           "(at least %.1f)\n",
           name, n / skep / 1e6, n / zydis / 1e6, zydis / skep, least);
    return zydis / skep >= least;
}

static int open_counter(void)
{
    struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
                                .size = sizeof(a),
                                .config = PERF_COUNT_HW_INSTRUCTIONS,
                                .exclude_kernel = 1,
                                .exclude_hv = 1};

    return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

/* One local APIC read: fetch through four levels, decode, execute, on the tests' machine. */
static void emulation(void)
{
    static struct machine m;
    const u64 rip = 0xffffffff81000123, apic = 0xffffffffff5fb000;
    const unsigned n = 200000;
    struct emul_exit e = {.kind = EMUL_EXIT_MEMORY,
                          .gla_valid = true,
                          .read = true,
                          .device = true,
                          .gpa = MACHINE_DEV + 0x20,
                          .gla = apic + 0x20};
    int fd = open_counter();
    u64 before = 0, after = 0;
    double start;

    machine_init(&m, INSN_64, 0);
    machine_paging(&m);
    machine_map(&m, rip & ~PAGE_MASK, 0x1000, 0x63);
    machine_map(&m, apic, MACHINE_DEV, 0x63);
    machine_code(&m, 0x1123, mix[0], 15);
    if (fd >= 0 && read(fd, &before, 8) != 8)
        before = 0;
    start = now();
    for (unsigned i = 0; i < n; i++) {
        emul_begin(&m.cpu, &m.ops, &m, m.gpr);
        m.cpu.exit = e;
        m.reg[EMUL_RIP] = rip;
        emul_know(&m.cpu, EMUL_RIP, rip);
        emul_know(&m.cpu, EMUL_CR0, m.reg[EMUL_CR0]);
        emul_know(&m.cpu, EMUL_CR3, m.reg[EMUL_CR3]);
        emul_know(&m.cpu, EMUL_CR4, m.reg[EMUL_CR4]);
        emul_know(&m.cpu, EMUL_EFER, m.reg[EMUL_EFER]);
        emul_know_64bit(&m.cpu, 0);
        if (emul_run(&m.cpu) != EMUL_DONE)
            abort();
    }
    printf("bench-emul: a local APIC read emulated: %.0f ns", (now() - start) * 1e9 / n);
    if (fd >= 0 && read(fd, &after, 8) == 8 && after > before)
        printf(", %llu instructions, callbacks of the test machine included",
               (unsigned long long)((after - before) / n));
    printf("\n");
}

int main(void)
{
    extern const u8 __executable_start[], etext[];
    size_t length = (size_t)(etext - __executable_start) - 8192;
    struct bytes common = {mix[0], ARRAY_SIZE(mix), 15};
    struct bytes code = {__executable_start + 4096, (unsigned)MIN(length, (size_t)60000), 1};
    bool ok = race("MMIO mix", &common, 20000, 3.0);

    ok &= race("any bytes", &code, 8, 1.5);
    emulation();
    return ok ? 0 : 1;
}
