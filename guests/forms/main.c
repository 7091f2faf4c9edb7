/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forms32, forms64: each form with its operand in memory, then on testdev's MMIO, at the same
 * linear address and from the same registers; everything that is left behind has to be the same.
 * One line a kind of code, "MODE: N forms, N completed, N undefined here, N failed"; the status is
 * the number failed.
 *
 * Words on the command line: only=TEXT (forms whose name holds it), quick (half as
 * many registers and flags), novm86 (not in virtual-8086 mode),
 * unsupported (1000 times what cannot be emulated), verbose
 */
#include "guests/forms/forms.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/desc.h"
#include "guests/lib/exit.h"
#include "guests/lib/guest.h"
#include "guests/lib/paging.h"
#include "lib/print.h"
#include "lib/string.h"

#define MAX_SEEDS   6
#define MAX_REPORTS 30
#define UNSUPPORTED 1000
#define PORT        TESTDEV_BYTES
#define IOPL3       0x3000ul
#define FLAG_DIRECT 0x400ul
#define FLAG_RESUME 0x10000ul

/* All that a form leaves behind. */
struct left {
    struct form_end end;
    u32 window[WINDOW_SIZE / 4], other[WINDOW_SIZE / 4], stack[WINDOW_SIZE / 4];
    u32 port;
};

static u8 ram_page[4096] ALIGNED(4096);
static struct trap_context context;
static struct form_end ended;
static bool avx, tcg, quick;
static unsigned failures;

static void on_end(struct trap_frame *f)
{
    form_vectors(ended.st.vec, avx);
    form_collect(f, &ended);
    ended.vector = f->vector;
    ended.error = f->error;
    ended.cr2 = f->vector == EXC_PF ? cr2_read() : 0;
    trap_restore(&context);
}

static void run(const struct form_state *s)
{
    memset(&ended, 0, sizeof(ended));
    if (trap_save(&context) == 0)
        form_enter(s, avx);
}

/* In the width that costs one exit. */
static void copy(ulong to, ulong from, ulong bytes)
{
    ulong words = bytes / 4;

    asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static u32 pattern(unsigned i, unsigned seed)
{
    return 0x9e3779b9u * (i + 1) + seed * 0x85ebca6bu;
}

static void fill(u32 *p, unsigned seed)
{
    for (unsigned i = 0; i < WINDOW_SIZE / 4; i++)
        p[i] = pattern(i, seed);
}

/* What the instruction needs to find in memory; at: the operand in a copy of the window. */
static void plant(const struct form_mode *m, const struct form_code *f, u8 *window)
{
    u8 *at = window + (OPERAND - WINDOW) + f->offset;
    u64 target = m->base + TARGET, low = (u64)1 << (8 * f->size - 1), high = low - 1;

    switch (f->kind) {
    case K_BRANCH:
        memcpy(at, &target, f->size);
        break;
    case K_STACK:
        memcpy(at + 0x20, &target, f->size);
        break;
    case K_SELECTOR:
        memcpy(at, &m->data, 2);
        break;
    case K_FAR:
        memcpy(at + f->size, &m->data, 2);
        break;
    case K_DIVISOR:
        at[0] |= 0x11;
        break;
    case K_BOUND:
        memcpy(at, &low, f->size);
        memcpy(at + f->size, &high, f->size);
        break;
    }
}

static void string_registers(const struct form_mode *m, unsigned seed, ulong *gpr)
{
    gpr[RSI] = m->base + (seed % 3 == 1 ? OTHER : OPERAND);
    gpr[RDI] = m->base + (seed % 3 == 0 ? OTHER : seed % 3 == 1 ? OPERAND : OPERAND + 0x28);
    gpr[RCX] = 3;
    gpr[RDX] = PORT;
}

static void registers(const struct form_mode *m, const struct form_code *f, unsigned seed,
                      const u8 *window, struct form_state *s)
{
    static const ulong flags[] = {0x002, 0x8d7, 0x043, 0x894};
    const u8 *at = window + (OPERAND - WINDOW) + f->offset;

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < ARRAY_SIZE(s->gpr); i++)
        s->gpr[i] = (ulong)(0x1122334455667735ull * (i + 1)) + seed;
    for (unsigned i = 0; i < FORM_VECTORS; i++)
        fill((u32 *)(void *)s->vec[0], seed + 9);
    s->gpr[RAX] = (ulong)0x1122334455667735ull;
    s->gpr[RBX] = m->base + OPERAND;
    s->gpr[RSI] = 32;
    s->gpr[RSP] = m->base + STACK;
    s->flags = flags[seed % ARRAY_SIZE(flags)] | IOPL3 | m->flags;
    if (f->kind == K_STACK || ((f->kind == K_PUSH_POP || f->kind == K_BRANCH) && (seed & 1)))
        s->gpr[RSP] = m->base + OPERAND + 0x20;
    if (f->kind == K_BIT)
        s->gpr[RDX] = seed & 1 ? (ulong)-70 : 77;
    if (f->kind == K_DIVISOR)
        s->gpr[RAX] = 0x35, s->gpr[RDX] = 0;
    if (f->kind == K_PORT)
        s->gpr[RDX] = PORT;
    if (f->kind == K_CMPXCHG && (seed & 1)) {
        memcpy(&s->gpr[RAX], at, f->size < sizeof(ulong) ? f->size : sizeof(ulong));
        memcpy(&s->gpr[RDX], at + f->size, f->size < sizeof(ulong) ? f->size : sizeof(ulong));
    }
    if (f->kind == K_STRING) {
        string_registers(m, seed, s->gpr);
        s->flags |= seed & 1 ? FLAG_DIRECT : 0;
    }
    s->ip = m->base + CODE;
    s->cs = m->cs;
    s->ss = s->ds = s->es = s->fs = s->gs = m->data;
}

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);

    for (; *text; text++) {
        if (strncmp(text, part, n) == 0)
            return true;
    }
    return false;
}

/* Ports are compared where the form names one. */
static bool has_port(const struct form_code *f)
{
    return f->kind == K_PORT || contains(f->name, " ins ") || contains(f->name, " outs ");
}

static void run_once(const struct form_mode *m, const struct form_code *f, unsigned seed,
                     struct left *l)
{
    u32 window[WINDOW_SIZE / 4];
    struct form_state s;

    fill(window, seed);
    plant(m, f, (u8 *)window);
    copy(AREA + WINDOW, (ulong)window, WINDOW_SIZE);
    fill((u32 *)(ulong)(AREA + OTHER - 0x40), seed ^ 3);
    fill((u32 *)(ulong)(AREA + STACK - 0x40), seed ^ 5);
    if (has_port(f))
        out32(PORT, pattern(seed, 77));
    registers(m, f, seed, (u8 *)window, &s);
    run(&s);
    l->end = ended;
    copy((ulong)l->window, AREA + WINDOW, WINDOW_SIZE);
    copy((ulong)l->other, AREA + OTHER - 0x40, WINDOW_SIZE);
    copy((ulong)l->stack, AREA + STACK - 0x40, WINDOW_SIZE);
    l->port = has_port(f) ? in32(PORT) : 0;
}

static unsigned seeds_of(const struct form_code *f)
{
    unsigned n = f->kind == K_STRING ? MAX_SEEDS : f->kind == K_PLAIN ? 2 : 4;

    return quick ? n / 2 : n;
}

/* With the window's page where it is said to be. */
static void run_on(u64 gpa, const struct form_mode *m, const struct form_code *f,
                   struct left left[MAX_SEEDS])
{
    paging_map(AREA + WINDOW, gpa, PTE_P | PTE_W | PTE_U);
    for (unsigned seed = 0; seed < seeds_of(f); seed++)
        run_once(m, f, seed, &left[seed]);
}

static bool differ(const char *what, unsigned i, u64 memory, u64 device, char *buf)
{
    if (memory == device)
        return false;
    fmt_print(buf, 100, "%s %u: %jx in memory, %jx on the device", what, i, memory, device);
    return true;
}

static bool differ_words(const char *what, const u32 *a, const u32 *b, unsigned n, char *buf)
{
    for (unsigned i = 0; i < n; i++) {
        if (differ(what, i, a[i], b[i], buf))
            return true;
    }
    return false;
}

/* Bochs (2.7) gives ADOX's overflow flag to a signed overflow. */
static ulong wrong_flags(const struct form_code *f)
{
    return !tcg && contains(f->name, " adox") ? (ulong)FLAG_OF : 0;
}

/*
 * What QEMU's TCG (7.2) gets wrong on memory: flags of BLSR, BLSI, BLSMSK, ADCX and ADOX, the
 * second encoding of TEST, the size of MOVBE and CRC32 in 16-bit code. It takes far pointers with
 * REX.W as AMD's processors do. Bochs executes BMI in virtual-8086 mode, where VEX is undefined.
 */
static bool wrong_here(const struct form_mode *m, const struct form_code *f)
{
    static const char *const names[] = {" bls",  " adcx",       " adox",       " f6/1",
                                        " f7/1", "rex.w 0f b2", "rex.w 0f b4", "rex.w 0f b5"};

    if (!tcg)
        return (m->flags & FLAG_VM) && contains(f->name, " vex ");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (contains(f->name, names[i]))
            return true;
    }
    return m->forms == forms16 && (contains(f->name, " movbe") || contains(f->name, " crc32"));
}

/* What is different, in words; or false. */
static bool compare(const struct form_code *f, const struct left *a, const struct left *b,
                    char *buf)
{
    ulong flags = ~(f->undefined | wrong_flags(f) | FLAG_RESUME);
    const struct form_state *s = &a->end.st, *t = &b->end.st;

    if (differ("vector", 0, a->end.vector, b->end.vector, buf) ||
        differ("error code", 0, a->end.error, b->end.error, buf) ||
        differ("CR2", 0, a->end.cr2, b->end.cr2, buf) || differ("RIP", 0, s->ip, t->ip, buf) ||
        differ("flags", 0, s->flags & flags, t->flags & flags, buf) ||
        differ("port", 0, a->port, b->port, buf))
        return true;
    for (unsigned i = 0; i < FRAME_GPRS; i++) {
        if (differ("register", i, s->gpr[i], t->gpr[i], buf))
            return true;
    }
    if (differ("SS", 0, s->ss, t->ss, buf) || differ("DS", 0, s->ds, t->ds, buf) ||
        differ("ES", 0, s->es, t->es, buf) || differ("FS", 0, s->fs, t->fs, buf) ||
        differ("GS", 0, s->gs, t->gs, buf))
        return true;
    return differ_words("vector word", (const u32 *)(const void *)s->vec,
                        (const u32 *)(const void *)t->vec, sizeof(s->vec) / 4, buf) ||
           differ_words("window word", a->window, b->window, WINDOW_SIZE / 4, buf) ||
           differ_words("other word", a->other, b->other, WINDOW_SIZE / 4, buf) ||
           differ_words("stack word", a->stack, b->stack, WINDOW_SIZE / 4, buf);
}

static bool offered(unsigned need)
{
    return need == NEED_LZCNT ? cpu_has_ext_ecx(5) : need == NEED_BMI1 ? cpu_has_7_ebx(3) : true;
}

enum verdict { COMPLETED, UNDEFINED, FAILED };

static void fail(const struct form_mode *m, const struct form_code *f, unsigned seed,
                 const char *why)
{
    if (failures++ < MAX_REPORTS)
        print("FAIL %s, %s, seed %u: %s\n", m->name, f->name, seed, why);
}

/* A form that never completes has to be undefined: nothing else keeps these operands from it. */
static enum verdict try_form(const struct form_mode *m, const struct form_code *f)
{
    static struct left memory[MAX_SEEDS], device[MAX_SEEDS];
    u8 *code = (u8 *)(ulong)(AREA + CODE);
    enum verdict v = FAILED;
    char why[100];

    memcpy(code, f->bytes, f->len);
    run_on((ulong)ram_page, m, f, memory);
    run_on(TESTDEV_MMIO, m, f, device);
    memset(code, 0xcc, f->len);
    for (unsigned seed = 0; seed < seeds_of(f); seed++) {
        ulong vector = memory[seed].end.vector;

        if (compare(f, &memory[seed], &device[seed], why)) {
            fail(m, f, seed, why);
            return FAILED;
        }
        if (vector == EXC_BP || (vector == EXC_UD && v == FAILED))
            v = vector == EXC_BP ? COMPLETED : UNDEFINED;
    }
    if (v == FAILED) {
        fmt_print(why, sizeof(why), "never completed: vector %lu, error %lx", memory[0].end.vector,
                  memory[0].end.error);
        fail(m, f, 0, why);
    }
    return v;
}

static bool wanted(const struct form_code *f)
{
    char word[40];

    for (unsigned i = 0; boot_nth_word(i, word, sizeof(word)); i++) {
        if (strncmp(word, "only=", 5) == 0)
            return contains(f->name, word + 5);
    }
    return true;
}

static void run_mode(const struct form_mode *m)
{
    unsigned n[3] = {0}, all = 0;
    bool verbose = boot_word("verbose");

    m->prepare();
    for (unsigned i = 0; i < form_counts[m->index]; i++) {
        const struct form_code *f = &m->forms[i];
        enum verdict v;

        if (!offered(f->need) || wrong_here(m, f) || !wanted(f))
            continue;
        if (verbose)
            print("RUN %s, %s\n", m->name, f->name);
        v = try_form(m, f);
        if (verbose && v == UNDEFINED)
            print("undefined: %s, %s\n", m->name, f->name);
        n[v]++;
        all++;
    }
    print("%s: %u forms, %u completed, %u undefined here, %u failed\n", m->name, all, n[COMPLETED],
          n[UNDEFINED], n[FAILED]);
}

/* What nobody emulates: a load of the x87 from the device. Each is #UD, if the VM is let live. */
static void run_unsupported(void)
{
    static const struct form_code fld = {"fld 8 bytes dd /0", 2, K_PLAIN, NEED_NOTHING, 8, 0, 0,
                                         {0xdd, 0x03}};
    unsigned undefined = 0;
    struct left l;

    form_modes[0].prepare();
    paging_map(AREA + WINDOW, TESTDEV_MMIO, PTE_P | PTE_W | PTE_U);
    memcpy((void *)(ulong)(AREA + CODE), fld.bytes, fld.len);
    for (unsigned i = 0; i < UNSUPPORTED; i++) {
        run_once(&form_modes[0], &fld, 0, &l);
        undefined += l.end.vector == EXC_UD && l.end.st.ip == form_modes[0].base + CODE;
    }
    memset((void *)(ulong)(AREA + CODE), 0xcc, fld.len);
    print("unsupported: %u of %u times #UD\n", undefined, UNSUPPORTED);
}

static void catch_all(void)
{
    static const u8 vectors[] = {EXC_DE, EXC_DB, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_TS,
                                 EXC_NP, EXC_SS, EXC_GP, EXC_PF, EXC_AC, EXC_MF, EXC_XM};

    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        trap_set(vectors[i], on_end);
    idt_set_dpl(EXC_BP, 3);
}

static void vectors_on(void)
{
    cr0_write((cr0_read() & ~0xcul) | 2); /* no EM, no TS; MP */
    cr4_write(cr4_read() | 0x600);        /* OSFXSR, OSXMMEXCPT */
    if (cpu_has_1_ecx(28) && cpu_has_1_ecx(CPUID1_ECX_XSAVE)) {
        cr4_write(cr4_read() | CR4_OSXSAVE);
        avx = xsetbv_try(0, 7) < 0;
    }
}

u32 guest_main(void)
{
    struct cpuid c = {0, 0, 0, 0};

    if (cpu_has_leaf(0x80000002))
        c = cpuid(0x80000002, 0);
    tcg = memcmp(&c, "QEMU TCG", 8) == 0;
    quick = boot_word("quick");
    paging_init();
    vectors_on();
    memset((void *)(ulong)AREA, 0xcc, 4096);
    catch_all();
    for (unsigned i = 0; i < ARRAY_SIZE(form_modes); i++) {
        if (!(form_modes[i].flags & FLAG_VM) || !boot_word("novm86"))
            run_mode(&form_modes[i]);
    }
    if (boot_word("unsupported"))
        run_unsupported();
    print("%u failed\n", failures);
    return failures > 100 ? 100 : failures;
}
