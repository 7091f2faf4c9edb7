/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1: specification 0.6.96, 3.2 and 3.3. */
#include "guests/promise/promise.h"

#include "lib/string.h"

/* Memory, command line, modules, ELF sections, memory map, loader's name. */
#define FLAGS      (1u | 4u | 8u | 0x40u | 0x200u)
#define FLAG_ELF   0x20u
#define SHT_SYMTAB 2

__asm__(".pushsection .head, \"a\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 7, -(0x1badb002 + 7), 0, 0, 0, 0, 0, 1, 80, 25, 0\n"
        ".popsection");

/* The symbols are found through the section headers: one of them is the entry. */
static void check_sections(u64 info)
{
    u32 count = at32(info + 28), size = at32(info + 32), shndx = at32(info + 40);
    u64 table = at32(info + 36), names = at32(table + shndx * size + 12), found = 0;

    want("elf-header-size", size, 40);
    want("elf-names", memcmp(at(names), "\0", 1) == 0 && shndx < count, 1);
    for (u32 i = 0; i < count; i++) {
        u64 s = table + i * size, symbols = at32(s + 12), strings;

        if (at32(s + 4) != SHT_SYMTAB)
            continue;
        strings = at32(table + at32(s + 24) * size + 12);
        for (u64 y = 0; y < at32(s + 20); y += 16)
            if (strcmp(at(strings + at32(symbols + y)), "entry") == 0)
                found = at32(symbols + y + 4);
    }
    want("elf-symbol-entry", found, (ulong)image_start);
}

void check_protocol(void)
{
    u64 info = entry_state.bx, last = (ulong)image_end, p, end;
    u32 flags = at32(info), n = 0;

    want("eax", entry_state.ax, 0x2badb002);
    check_prot32();
    want("flags", flags & ~FLAG_ELF, FLAGS);
    read_words(at(at32(info + 16)));
    want("mem-lower", at32(info + 4), 639);
    want("mem-upper", at32(info + 8), (said.ram >> 10) - 1024);
    want_text("loader-name", at(at32(info + 64)), "skep");
    p = at32(info + 48);
    end = p + at32(info + 44);
    for (; p < end; p += at32(p) + 4) {
        want("map-entry-size", at32(p), 20);
        map_entry(at64(p + 4), at64(p + 12), at32(p + 20));
    }
    map_end();
    want("modules", at32(info + 20), said.modules);
    for (p = at32(info + 24); n < at32(info + 20); n++, p += 16) {
        want("module-reserved", at32(p + 12), 0);
        check_module(n, at32(p), at32(p + 4) - at32(p), at(at32(p + 8)), last);
        last = at32(p + 4);
    }
    tell("elf-sections", flags & FLAG_ELF);
    if (flags & FLAG_ELF)
        check_sections(info);
}
