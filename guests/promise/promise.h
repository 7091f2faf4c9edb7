/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that compare all that a boot protocol promises with what they find. One program a
 * protocol: the same entry code and the same look at board and firmware, and one file that reads
 * the protocol's own data.
 */
#ifndef GUESTS_PROMISE_PROMISE_H
#define GUESTS_PROMISE_PROMISE_H

#include "guests/lib/console.h"
#include "guests/lib/cpu.h"

/* The processor as the entry code found it. Offsets are known to the assembly. */
struct entry {
    u64 ax, bx, cx, dx, si, di, bp, sp;   /* 0 */
    u64 flags, cr0, cr3, cr4, efer;       /* 64 */
    u16 cs, ds, es, fs, gs, ss, tr, ldtr; /* 104 */
    u8 gdt[10], idt[10];                  /* 120: as SGDT and SIDT store them */
    u8 unused[4];
} PACKED;
ASSERT_SIZE(struct entry, 144);

extern const struct entry entry_state;
extern u8 image_start[], image_end[];

/* One line: the name, what was found, and what should have been where that differs. */
void want(const char *name, u64 found, u64 expected);
void want_text(const char *name, const char *found, const char *expected);

/* One line that the reader outside compares. */
void tell(const char *name, u64 value);

/* What the guest's command line said: ram=MIB cpus=N modules=N size=N. */
struct said {
    u64 ram, cpus, modules, size;
};
extern struct said said;
void read_words(const char *cmdline);

/* Register states: the flat 32-bit one, and the 64-bit one with EFER as given. */
void check_prot32(void);
void check_long64(u64 efer);

/* A memory map, one entry after the other in the order given; then its end. */
void map_entry(u64 base, u64 len, u32 type);
void map_end(void);

/*
 * Module n of said.modules: said.size + n bytes, byte i is (i * 7 + n) mod 256. Its command line is
 * "module N with words" for those that have one. last: the end of what lies before it.
 */
void check_module(unsigned n, u64 start, u64 len, const char *cmdline, u64 last);

/* ACPI, MP table, SMBIOS, BIOS data area. */
void check_firmware(void);

/* A PVH start information (PVH, ELF, flat). */
void check_start_info(u64 gpa);

/* Each program's own; entered once, with a stack. */
void check_protocol(void);

/* What lies at an address. The compiler is to know nothing of it. */
static inline const void *at(u64 gpa)
{
    const void *p = (const void *)(ulong)gpa;

    __asm__("" : "+r"(p));
    return p;
}

static inline u16 at16(u64 gpa)
{
    return *(const u16 *)at(gpa);
}

static inline u32 at32(u64 gpa)
{
    return *(const u32 *)at(gpa);
}

static inline u64 at64(u64 gpa)
{
    return *(const u64 *)at(gpa);
}

#endif
