/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that is started as FreeBSD's are and looks at what it is given the way theirs do
 * (locore.s, machdep.c, subr_module.c), telling all of it on port 0xe9. Ends through port 0xf4
 * with status 0, or with the line of the check that failed.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long word;
typedef unsigned long long u64;

#define CHECK(e)                                                                                   \
    do {                                                                                           \
        if (!(e))                                                                                  \
            end(__LINE__);                                                                         \
    } while (0)

void check(word sp);

static void out8(u32 port, u8 v)
{
    __asm__ volatile("outb %0, %w1" : : "a"(v), "Nd"(port));
}

static void end(u32 status)
{
    __asm__ volatile("outl %0, %w1" : : "a"(status), "Nd"(0xf4));
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void text(const char *s)
{
    while (*s)
        out8(0xe9, (u8)*s++);
}

static void number(const char *name, u64 v)
{
    text(" ");
    text(name);
    text(" ");
    for (int shift = 60, seen = 0; shift >= 0; shift -= 4) {
        u32 d = v >> shift & 15;

        seen |= d || !shift;
        if (seen)
            out8(0xe9, (u8)(d < 10 ? '0' + d : 'a' + d - 10));
    }
}

static u32 sum(const u8 *p, word n)
{
    u32 s = 0;

    while (n--)
        s += *p++;
    return s;
}

static word word_at(const u8 *p)
{
    return *(const word *)p;
}

/* Memory of type 1 in the map of struct bios_smap. */
static u64 ram(const u8 *p, u32 len)
{
    u64 total = 0;

    for (u32 i = 0; i + 20 <= len; i += 20)
        if (*(const u32 *)(p + i + 16) == 1)
            total += *(const u64 *)(p + i + 8);
    return total;
}

/* An object's section headers: the lowest address, and what is there. */
static void sections(const u8 *p, u32 len)
{
    word lowest = ~0ul;

    for (u32 i = 0; i < len; i += 64) {
        word addr = word_at(p + i + 16);

        if (addr && addr < lowest)
            lowest = addr;
    }
    number("lowest", lowest);
    for (u32 i = 0; i < len; i += 64)
        if (*(const u32 *)(p + i + 4) == 1 && word_at(p + i + 16) == lowest)
            number("text", sum((const u8 *)lowest, word_at(p + i + 32)));
}

static void environment(const char *p)
{
    while (*p) {
        text("env ");
        text(p);
        text("\n");
        while (*p++)
            ;
    }
}

static void record(u32 type, const u8 *p, u32 len, word *addr)
{
    switch (type) {
    case 1:
        text("\nfile ");
        text((const char *)p);
        break;
    case 2:
        text(" type ");
        text((const char *)p);
        break;
    case 6:
        text(" args ");
        text((const char *)p);
        break;
    case 3:
        *addr = word_at(p);
        number("addr", *addr);
        break;
    case 4:
        number("size", word_at(p));
        number("sum", sum((const u8 *)*addr, word_at(p)));
        break;
    case 0x8002:
        CHECK(p[1] == 'E' && p[2] == 'L' && p[3] == 'F');
        break;
    case 0x8003:
        number("symbols", word_at((const u8 *)word_at(p)));
        break;
    case 0x8004:
        number("esym", word_at(p));
        break;
    case 0x8005:
        number("dynamic", word_at(p));
        break;
    case 0x8006:
        number("envp", word_at(p));
        break;
    case 0x8007:
        CHECK(len == 4);
        number("howto", *(const u32 *)p);
        break;
    case 0x8008:
        number("kernend", word_at(p));
        break;
    case 0x8009:
        sections(p, len);
        break;
    case 0x9001:
        number("ram", ram(p, len));
        break;
    case 0x9006:
        break;
    default:
        end(__LINE__);
    }
}

static void metadata(word modulep, word kernend)
{
    const u8 *p = (const u8 *)modulep;
    word addr = 0;

    CHECK(!(modulep & 4095) && !(kernend & 4095) && kernend > modulep);
    for (;;) {
        u32 type = *(const u32 *)p, len = *(const u32 *)(p + 4);

        if (!type && !len)
            break;
        CHECK(p + 8 + len < (const u8 *)kernend);
        record(type, p + 8, len, &addr);
        p += 8 + ((len + sizeof(word) - 1) & ~(sizeof(word) - 1));
    }
    text("\n");
}

#ifdef __x86_64__
void check(word sp)
{
    const u32 *frame = (const u32 *)sp;
    word modulep = frame[1], kernend = frame[2];
    const u8 *p = (const u8 *)modulep;

    CHECK(frame[0] != 0);
    /* Through any gigabyte, the first one is seen. */
    CHECK(*(u64 *)0x200000 == *(u64 *)0xffffffff80200000 &&
          *(u64 *)0x7fc000200000 == *(u64 *)0x200000);
    metadata(modulep, kernend);
    for (; *(const u32 *)p != 0x8006; p += 8 + ((*(const u32 *)(p + 4) + 7) & ~7u))
        ;
    environment((const char *)word_at(p + 8));
    end(0);
}

__asm__(".globl btext\n"
        "btext: mov %rsp, %rdi\n"
        "mov $stack_top, %rsp\n"
        "call check\n"
        ".bss\n.balign 16\n.space 8192\nstack_top:\n.text\n");
#else
void check(word sp)
{
    const u32 *frame = (const u32 *)sp, *bi = (const u32 *)frame[6];

    CHECK(frame[0] != 0); /* else: old disk boot blocks */
    CHECK(frame[5] == 0); /* else: old diskless boot */
    CHECK(bi[0] == 1);    /* BOOTINFO_VERSION */
    CHECK(frame[1] & 0x80000000);
    CHECK(bi[12] == 84 && *((const u8 *)bi + 52) == 1);
    CHECK(bi[20] == frame[7] && bi[18] == frame[8]);
    text("kernelname ");
    text((const char *)bi[1]);
    number("basemem", bi[14]);
    number("extmem", bi[15]);
    number("symtab", bi[16]);
    number("esymtab", bi[17]);
    metadata(bi[20], bi[18]);
    environment((const char *)bi[19]);
    end(0);
}

__asm__(".globl btext\n"
        "btext: mov %esp, %eax\n"
        "mov $stack_top, %esp\n"
        "push %eax\n"
        "call check\n"
        ".bss\n.balign 16\n.space 8192\nstack_top:\n.text\n");
#endif

static const char interpreter[] __attribute__((used, section(".interp"))) = "/red/herring";
