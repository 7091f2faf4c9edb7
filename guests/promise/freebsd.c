/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FreeBSD's module metadata as subr_module.c and machdep.c read it: records of type, length and
 * data, each aligned to a long (sys/sys/linker.h); the environment of kern_environment.c.
 */
#include "guests/promise/freebsd.h"

#include "lib/string.h"

#define SHDR_SIZE   (GUEST_BITS == 64 ? 64 : 40)
#define SHDR_ADDR   (GUEST_BITS == 64 ? 16 : 12)
#define SHDR_LENGTH (GUEST_BITS == 64 ? 32 : 20)
#define SYM_SIZE    (GUEST_BITS == 64 ? 24 : 16)
#define SYM_VALUE   (GUEST_BITS == 64 ? 8 : 4)

__asm__(".pushsection .interp, \"a\"\n"
        ".asciz \"/red/herring\"\n"
        ".popsection");

struct kernel_records kernel_records;
static unsigned files;
static u64 file_addr, file_end;
static const char *file_name = "";

static u64 word_at(u64 p)
{
    return *(const ulong *)at(p);
}

static u32 sum(u64 gpa, u64 n)
{
    const u8 *p = at(gpa);
    u32 s = 0;

    while (n--)
        s += *p++;
    return s;
}

/* An object's section headers: the lowest address, its sum, and none that lies outside the file. */
static void check_object(u64 p, u32 len)
{
    u64 lowest = ~0ull, size = 0, outside = 0;

    want("object-headers", len % SHDR_SIZE, 0);
    for (u64 s = p; s < p + len; s += SHDR_SIZE) {
        u64 addr = word_at(s + SHDR_ADDR), bytes = word_at(s + SHDR_LENGTH);

        if (!addr)
            continue;
        outside += addr < file_addr || addr + bytes > file_end;
        if (addr < lowest) {
            lowest = addr;
            size = bytes;
        }
    }
    want("object-lowest", lowest, file_addr);
    want("object-outside", outside, 0);
    print("is object-text %s %x\n", file_name, sum(lowest, size));
}

static void kernel_record(u32 type, u64 p, u32 len)
{
    struct kernel_records *k = &kernel_records;

    switch (type) {
    case 4:
        k->size = word_at(p);
        break;
    case 0x8002:
        k->has_header = memcmp(at(p), "\177ELF", 4) == 0;
        break;
    case 0x8003:
        k->ssym = word_at(p);
        break;
    case 0x8004:
        k->esym = word_at(p);
        break;
    case 0x8006:
        k->envp = word_at(p);
        break;
    case 0x8007:
        want("howto-length", len, 4);
        k->howto = at32(p);
        break;
    case 0x8008:
        k->kernend = word_at(p);
        break;
    case 0x9001:
        k->smap = p;
        k->smap_len = len;
        break;
    case 0x9006:
        k->modulep = word_at(p);
        break;
    default:
        break;
    }
}

static void file_record(u32 type, u64 p, u32 len)
{
    if (type == 4) {
        file_end = file_addr + word_at(p);
        want("file-in-order", file_addr >= kernel_records.size, 1);
        print("is file-size %s %llx sum %x\n", file_name, (unsigned long long)word_at(p),
              sum(file_addr, word_at(p)));
    }
    if (type == 0x8009)
        check_object(p, len);
    if (type == 0x8005)
        print("is file-dynamic %s %llx\n", file_name, (unsigned long long)word_at(p));
    if (type == 0x8003)
        print("is file-symbols %s %llx\n", file_name, (unsigned long long)word_at(word_at(p)));
}

static void record(u32 type, u64 p, u32 len)
{
    switch (type) {
    case 1:
        files++;
        file_name = at(p);
        print("is file %s\n", file_name);
        break;
    case 2:
        print("is file-type %s %s\n", file_name, (const char *)at(p));
        break;
    case 3:
        file_addr = word_at(p);
        want("file-page", file_addr & 0xfff, 0);
        break;
    case 6:
        print("is file-args %s %s\n", file_name, (const char *)at(p));
        break;
    default:
        break;
    }
    if (files == 1)
        kernel_record(type, p, len);
    else
        file_record(type, p, len);
}

static void check_environment(const char *p)
{
    bool rsdp = false;

    for (; *p; p += strlen(p) + 1) {
        print("is env %s\n", p);
        rsdp |= strcmp(p, "hint.acpi.0.rsdp=0xe0000") == 0;
        if (memcmp(p, "words=", 6) == 0)
            read_words(p);
    }
    want("env-rsdp", rsdp, 1);
}

/* ssym: a size, the symbols, a size, their strings; esym: the end. One symbol is the entry. */
static void check_symbols(u64 ssym, u64 esym)
{
    u64 size = word_at(ssym), symbols = ssym + sizeof(ulong), table, strings, found = 0;

    table = symbols + ALIGN_UP(size, sizeof(ulong));
    strings = table + sizeof(ulong);
    want("symbols-end", strings + ALIGN_UP(word_at(table), sizeof(ulong)), esym);
    for (u64 y = symbols; y < symbols + size; y += SYM_SIZE)
        if (strcmp(at(strings + at32(y)), "entry") == 0)
            found = word_at(y + SYM_VALUE);
    want("symbol-entry", found, (ulong)image_start);
}

void check_metadata(u64 modulep, u64 kernend, u64 kernel_addr)
{
    struct kernel_records *k = &kernel_records;
    u64 p = modulep;

    want("modulep-page", modulep & 0xfff, 0);
    want("kernend-page", kernend & 0xfff, 0);
    want("first-record", at32(p), 1);
    want_text("kernel-name", at(p + 8), KERNEL_NAME);
    while (at32(p) || at32(p + 4)) {
        u32 len = at32(p + 4);

        if (p + 8 + len > kernend)
            break;
        record(at32(p), p + 8, len);
        if (files == 1 && at32(p) == 3)
            want("kernel-addr", file_addr, kernel_addr);
        p += 8 + ALIGN_UP((u64)len, sizeof(ulong));
    }
    want("end-record", at64(p), 0);
    want("metadata-before-kernend", p + 8 <= kernend, 1);
    want("kernel-header", k->has_header, 1);
    want("howto", k->howto, HOWTO);
    want("kernend", k->kernend, kernend);
    want("modulep", k->modulep, modulep);
    check_environment(at(k->envp));
    want("files", files, 1 + said.modules);
    for (u64 s = k->smap; s < k->smap + k->smap_len; s += 20)
        map_entry(at64(s), at64(s + 8), at32(s + 16));
    map_end();
    check_symbols(k->ssym, k->esym);
}
