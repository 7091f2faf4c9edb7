/* SPDX-License-Identifier: BSD-2-Clause */
/* What the Multiboot 1 loader handed over (Multiboot 0.6.96, 3.2 and 3.3). */
#ifndef GUESTS_LIB_BOOT_H
#define GUESTS_LIB_BOOT_H

#include "guests/lib/cpu.h"

#define MB_BOOT_MAGIC 0x2badb002u

#define MB_HAS_MEMORY  BIT(0)
#define MB_HAS_CMDLINE BIT(2)
#define MB_HAS_MODULES BIT(3)
#define MB_HAS_MMAP    BIT(6)
#define MB_HAS_LOADER  BIT(9)

struct mb_info {
    u32 flags;
    u32 mem_lower; /* KiB from 0 */
    u32 mem_upper; /* KiB from 1 MiB */
    u32 boot_device;
    u32 cmdline;
    u32 mods_count;
    u32 mods_addr;
    u32 syms[4];
    u32 mmap_length;
    u32 mmap_addr;
    u32 drives_length;
    u32 drives_addr;
    u32 config_table;
    u32 loader_name;
} PACKED;

struct mb_module {
    u32 start;
    u32 end; /* first byte behind it */
    u32 cmdline;
    u32 reserved;
} PACKED;
ASSERT_SIZE(struct mb_module, 16);

struct mb_range {
    u32 size; /* of the rest of the entry */
    u64 base;
    u64 length;
    u32 type; /* 1: usable */
} PACKED;
ASSERT_SIZE(struct mb_range, 24);

/* The processor's state at entry, saved before anything changed it. */
struct boot_entry {
    u32 eax, ebx, ecx, edx, esi, edi, ebp, esp;
    u32 eflags, cr0, cr4;
    u16 cs, ds, es, fs, gs, ss;
    u8 unused[8];
} PACKED;
ASSERT_SIZE(struct boot_entry, 64);

extern const struct boot_entry boot_entry;
extern u8 guest_image_start[], guest_image_end[];

/* The information structure, or NULL when the loader was not Multiboot. */
const struct mb_info *boot_info(void);

/* The command line, "" if none. */
const char *boot_cmdline(void);

/* Whether a word stands on the command line. */
bool boot_word(const char *word);

/* The number after "key=" on the command line (decimal, or hexadecimal with 0x), else fallback. */
u64 boot_number(const char *key, u64 fallback);

/* Copies command-line word n (0 first) to buf; false when there are fewer. */
bool boot_nth_word(unsigned n, char *buf, size_t size);

/* The modules. */
unsigned boot_module_count(void);
const struct mb_module *boot_module(unsigned n);

/* Memory-map entry n, or NULL behind the last. */
const struct mb_range *boot_range(unsigned n);

/*
 * Usable memory below 4 GiB that neither the image, the modules nor the information use, taken
 * from the top of the largest range and never touched before. Returns 0 when there is no room.
 */
ulong boot_take_memory(u64 size, u64 align);

#endif
