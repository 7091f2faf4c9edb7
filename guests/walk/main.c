/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk32, walk64: page-table entries of every paging mode with all sorts of bits, and what an
 * access through them does: by the processor alone (MOVS and CMPS from memory), and by a
 * hypervisor's emulator (the same from testdev's MMIO, so that the other operand is walked for by
 * the emulator). Exception, error code, CR2, accessed and dirty bits and data have to be the same.
 */
#include "guests/walk/walk.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/exit.h"
#include "guests/lib/guest.h"
#include "guests/lib/trap.h"
#include "lib/string.h"

#define MAX_REPORTS 20

/* What an access needs; assembly knows the order. */
struct access {
    ulong from, to, flags;
};

/* What it left behind. */
struct left {
    struct trap trap;
    u64 entry[5];
    u32 data;
};

/* How the processor is set and what is tried. */
struct setup {
    bool write, user, wp, nxe, smap, smep, ac;
    u64 entry[5];
};

#ifdef __x86_64__
#define ACCESS(name, insn)                                                                         \
    void name(void *arg);                                                                          \
    asm(".pushsection .text\n" #name ":\n mov %rdi, %rax\n mov (%rax), %rsi\n mov 8(%rax), %rdi\n" \
        "push 16(%rax)\n popf\n" insn "\n push $2\n popf\n ret\n.popsection\n")
#else
#define ACCESS(name, insn)                                                                         \
    void name(void *arg);                                                                          \
    asm(".pushsection .text\n" #name ":\n mov 4(%esp), %eax\n push %esi\n push %edi\n"             \
        "mov (%eax), %esi\n mov 4(%eax), %edi\n push 8(%eax)\n popf\n" insn                        \
        "\n push $2\n popf\n pop %edi\n pop %esi\n ret\n.popsection\n")
#endif
ACCESS(do_write, "movsl");
ACCESS(do_read, "cmpsl");

static u32 source ALIGNED(64);
static bool tcg;
static unsigned failures;
static u64 rng = 0x123456789abcdefull;

static unsigned below(unsigned n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (u32)(rng >> 20) % n;
}

static bool chance(unsigned percent)
{
    return below(100) < percent;
}

static u64 entry_get(const struct walk_mode *m, unsigned level)
{
    return m->width == 4 ? *(volatile u32 *)m->entry[level] : *(volatile u64 *)m->entry[level];
}

static void entry_set(const struct walk_mode *m, unsigned level, u64 e)
{
    if (m->width == 4)
        *(volatile u32 *)m->entry[level] = (u32)e;
    else
        *(volatile u64 *)m->entry[level] = e;
}

/* An entry that ends the walk above the leaf's level; sometimes with a reserved bit. */
static u64 large_entry(const struct walk_mode *m, unsigned level)
{
    u64 e = PTE_PS | PTE_P | PTE_W | PTE_U | (chance(50) ? PTE_A | PTE_D : 0);

    if (level <= (m->width == 4 ? 2 : 3))
        e |= level == 2 ? LARGE : 0;
    if (chance(15))
        e |= m->width == 4 ? BIT(21) : BIT(level > 2 ? 29 : 20);
    return e;
}

static u64 random_entry(const struct walk_mode *m, unsigned level)
{
    u64 e = (level == 1 ? TARGET : m->table[level]) | PTE_P | PTE_W | PTE_U;

    if (chance(60))
        e |= PTE_A;
    if (level == 1 && chance(50))
        e |= PTE_D;
    if (level > 1 && chance(12))
        e = large_entry(m, level);
    if (!chance(35))
        return e;
    switch (below(m->width == 4 ? 4 : 7)) {
    case 0:
        return e & ~PTE_P;
    case 1:
        return e & ~PTE_W;
    case 2:
        return e & ~PTE_U;
    case 3:
        return e | PTE_G;
    case 4:
        return e | PTE_NX;
    case 5:
        return e | BIT(51);
    default:
        return e | BIT(52 + below(7)); /* reserved in PAE only */
    }
}

static void pick(const struct walk_mode *m, struct setup *s)
{
    s->write = chance(60);
    s->user = chance(50);
    s->wp = chance(70);
    s->nxe = cpu_has_ext_edx(CPUIDX_EDX_NX) && chance(70);
    /* Tables that the processor reads by itself are user pages while user code runs. */
    s->smap = !s->user && cpu_has_7_ebx(20) && chance(40);
    s->smep = !s->user && cpu_has_7_ebx(7) && chance(30);
    s->ac = chance(40);
    for (unsigned l = 1; l <= m->levels; l++)
        s->entry[l] = random_entry(m, l);
}

static ulong with(ulong value, ulong bit, bool on)
{
    return on ? value | bit : value & ~bit;
}

static void set_processor(bool wp, bool nxe, bool smap, bool smep)
{
    cr0_write(with(cr0_read(), CR0_WP, wp));
    cr4_write(with(with(cr4_read(), CR4_SMAP, smap), CR4_SMEP, smep));
    if (cpu_has_ext_edx(CPUIDX_EDX_NX))
        wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~(u64)EFER_NXE) | (nxe ? EFER_NXE : 0));
}

static void run(const struct walk_mode *m, const struct setup *s, ulong from, struct left *l)
{
    struct access a = {from, m->gla + 0x10, s->ac ? 0x40002 : 2};
    volatile u32 *data = (volatile u32 *)(TARGET + 0x10);

    *data = 0x11111111;
    for (unsigned i = 1; i <= m->levels; i++)
        entry_set(m, i, s->entry[i]);
    walk_set_user(s->user);
    set_processor(s->wp, s->nxe, s->smap, s->smep);
    if (s->user)
        trap_try_user(&l->trap, s->write ? do_write : do_read, &a);
    else
        trap_try(&l->trap, s->write ? do_write : do_read, &a);
    set_processor(true, s->nxe, false, false);
    if (tcg && (l->trap.error & PF_RSVD)) /* QEMU's TCG leaves P out there */
        l->trap.error |= PF_P;
    for (unsigned i = 1; i <= m->levels; i++) {
        l->entry[i] = entry_get(m, i);
        /* QEMU's TCG sets accessed bits on the way down, whatever comes then. */
        if (tcg && l->trap.vector >= 0)
            l->entry[i] &= ~PTE_A;
    }
    l->data = *data;
}

static bool same(const struct walk_mode *m, const struct left *a, const struct left *b)
{
    for (unsigned i = 1; i <= m->levels; i++) {
        if (a->entry[i] != b->entry[i])
            return false;
    }
    return a->trap.vector == b->trap.vector && a->trap.error == b->trap.error &&
           (a->trap.vector != EXC_PF || a->trap.cr2 == b->trap.cr2) && a->data == b->data;
}

static void report(const struct walk_mode *m, const struct setup *s, const struct left *cpu,
                   const struct left *emulated)
{
    if (failures++ >= MAX_REPORTS)
        return;
    print("FAIL %s: %s%s%s%s%s%s%s\n", m->name, s->write ? "write" : "read",
          s->user ? ", user" : "", s->wp ? ", WP" : "", s->nxe ? ", NXE" : "",
          s->smap ? ", SMAP" : "", s->smep ? ", SMEP" : "", s->ac ? ", AC" : "");
    for (unsigned i = m->levels; i; i--)
        print("  level %u %016jx: %016jx, emulated %016jx\n", i, s->entry[i], cpu->entry[i],
              emulated->entry[i]);
    print("  vector %d error %lx cr2 %lx data %x, emulated %d %lx %lx %x\n", cpu->trap.vector,
          cpu->trap.error, cpu->trap.cr2, cpu->data, emulated->trap.vector, emulated->trap.error,
          emulated->trap.cr2, emulated->data);
}

static void run_mode(const struct walk_mode *m, unsigned cases)
{
    unsigned faults = 0, differ = 0;
    struct left cpu, emulated;
    struct setup s;

    *(volatile u32 *)TESTDEV_MMIO = 0x22222222;
    source = 0x22222222;
    for (unsigned i = 0; i < cases; i++) {
        pick(m, &s);
        run(m, &s, (ulong)&source, &cpu);
        run(m, &s, TESTDEV_MMIO, &emulated);
        faults += cpu.trap.vector >= 0;
        if (same(m, &cpu, &emulated))
            continue;
        differ++;
        report(m, &s, &cpu, &emulated);
    }
    print("%s: %u cases, %u faults, %u differ\n", m->name, cases, faults, differ);
}

u32 guest_main(void)
{
    struct cpuid c = {0, 0, 0, 0};
    struct walk_mode m = {.levels = 0};

    if (cpu_has_leaf(0x80000002))
        c = cpuid(0x80000002, 0);
    tcg = memcmp(&c, "QEMU TCG", 8) == 0;
    while (walk_next_mode(&m))
        run_mode(&m, 1000);
    print("%u failed\n", failures);
    return failures > 100 ? 100 : failures;
}
