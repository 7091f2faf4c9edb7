/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 2: specification 2.0, 3.1 to 3.6. The header asks for information, for an entry of its
 * own (the ELF header's leads nowhere), for a framebuffer if there is one, and says that the image
 * may be loaded elsewhere: between 8 and 16 MiB, where it moves itself down from.
 */
#include "guests/promise/promise.h"

#define MAGIC     0xe85250d6
#define LOAD_BASE 0x800000
#define SEEN_ALL  (1u << 1 | 1u << 2 | 1u << 4 | 1u << 6 | 1u << 9 | 1u << 14 | 1u << 15 | 1u << 21)

__asm__(".pushsection .head, \"a\"\n"
        ".balign 8\n"
        "1: .long 0xe85250d6, 0, 2f - 1b, -(0xe85250d6 + 2f - 1b)\n"
        ".word 1, 0\n .long 44, 1, 2, 3, 4, 6, 9, 14, 15, 21, 0\n"
        ".word 3, 0\n .long 12, entry_moved, 0\n"
        ".word 5, 1\n .long 20, 1024, 768, 32, 0\n"
        ".word 6, 0\n .long 8\n"
        ".word 10, 0\n .long 24, 0x800000, 0xffffff, 0x200000, 1\n"
        ".word 0, 0\n .long 8\n"
        "2:\n"
        ".popsection\n"
        /* Copies the image to where it is linked; keeps EAX, EBX and EFLAGS. */
        ".pushsection .text\n"
        "entry_moved:\n"
        "mov $0x9f000, %esp\n"
        "pushf\n"
        "call 3f\n"
        "3: pop %esi\n"
        "sub $3b, %esi\n"
        "mov %esi, %edx\n"
        "add $image_start, %esi\n"
        "mov $image_start, %edi\n"
        "mov $image_end, %ecx\n"
        "sub %edi, %ecx\n"
        "cld\n"
        "rep movsb\n"
        "mov %edx, moved_by\n"
        "mov $entry, %ecx\n"
        "popf\n"
        "jmp *%ecx\n"
        ".popsection");

extern u32 moved_by;
u32 moved_by = 1; /* in .data: .bss would be copied too */

static u64 last;
static unsigned modules;

static void check_memory(u64 tag)
{
    u64 end = tag + at32(tag + 4);

    want("map-entry-size", at32(tag + 8), 24);
    want("map-version", at32(tag + 12), 0);
    for (tag += 16; tag < end; tag += 24) {
        want("map-entry-reserved", at32(tag + 20), 0);
        map_entry(at64(tag), at64(tag + 8), at32(tag + 16));
    }
    map_end();
}

static void check_tag(u64 tag, u32 type)
{
    switch (type) {
    case 2:
        want_text("loader-name", at(tag + 8), "skep");
        break;
    case 3:
        check_module(modules++, at32(tag + 8), at32(tag + 12) - at32(tag + 8), at(tag + 16), last);
        last = at32(tag + 12);
        break;
    case 4:
        want("mem-lower", at32(tag + 8), 639);
        want("mem-upper", at32(tag + 12), (said.ram >> 10) - 1024);
        break;
    case 6:
        check_memory(tag);
        break;
    case 9:
        want("elf-header-size", at32(tag + 12), 40);
        want("elf-size", at32(tag + 4), 20 + at32(tag + 8) * 40);
        break;
    case 14:
    case 15:
        want("acpi-size", at32(tag + 4), 8 + (type == 14 ? 20 : 36));
        for (u64 i = 0; i < at32(tag + 4) - 8; i += 4)
            want("acpi-copy", at32(tag + 8 + i), at32(0xe0000 + i));
        break;
    case 21:
        want("load-base", at32(tag + 8), LOAD_BASE);
        break;
    default:
        break;
    }
}

void check_protocol(void)
{
    u64 info = entry_state.bx, end = info + at32(info), tag;
    u32 seen = 0;

    want("eax", entry_state.ax, 0x36d76289);
    want("moved-by", moved_by, LOAD_BASE - ((ulong)image_start & ~0xffful));
    want("info-aligned", info & 7, 0);
    want("info-reserved", at32(info + 4), 0);
    check_prot32();
    last = LOAD_BASE;
    for (tag = info + 8; tag < end && at32(tag); tag += ALIGN_UP(at32(tag + 4), 8u)) {
        tell("tag", at32(tag));
        want("tag-once", at32(tag) != 3 && at32(tag) < 32 && seen >> at32(tag) & 1, 0);
        seen |= 1u << (at32(tag) & 31);
        if (at32(tag) == 1)
            read_words(at(tag + 8));
    }
    want("tags", seen & ~(1u << 3), SEEN_ALL);
    want("end-size", at32(tag + 4), 8);
    want("end", tag + 8, end);
    for (tag = info + 8; at32(tag); tag += ALIGN_UP(at32(tag + 4), 8u))
        check_tag(tag, at32(tag));
    want("modules", modules, said.modules);
}
