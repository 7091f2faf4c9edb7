/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF32 and ELF64 executables for x86, read out of memory: header, program headers, sections,
 * notes. System V ABI, "Object Files" and "Program Loading". Nothing in the file is trusted.
 */
#ifndef VMM_LOAD_ELF_H
#define VMM_LOAD_ELF_H

#include "vmm/load/ctx.h"

#define PT_LOAD       1
#define PT_DYNAMIC    2
#define PT_INTERP     3
#define PT_NOTE       4
#define SHT_SYMTAB    2
#define SHT_STRTAB    3
#define SHT_RELA      4
#define SHT_NOTE      7
#define SHT_NOBITS    8
#define SHT_REL       9
#define SHF_ALLOC     2
#define ET_REL        1
#define ET_EXEC       2
#define ET_DYN        3
#define EM_386        3
#define EM_X86_64     62
#define OSABI_FREEBSD 9

struct elf {
    const struct load_image *img;
    bool is64; /* class: ELF64 */
    u8 osabi;
    u16 type, machine;
    u64 entry;
    u64 phoff, shoff;
    u16 phnum, phentsize, shnum, shentsize, shstrndx;
};

/* The fields in the order of ELF64's headers. */
struct elf_segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_section {
    u32 name, type;
    u64 flags, addr, offset, size;
    u32 link, info;
    u64 align, entsize;
};
ASSERT_SIZE(struct elf_segment, 56);
ASSERT_SIZE(struct elf_section, 64);

/* Where an image's loadable segments lie. */
struct elf_extent {
    u64 low, high; /* [low, high) */
};

bool elf_probe(const struct load_image *img);

/* Reads and checks c->img's header; both tables are inside the file afterwards. */
bool elf_open(struct load_ctx *c, struct elf *e);

/* Bytes that a section header has, entsize or not. */
static inline unsigned elf_section_size(const struct elf *e)
{
    return e->is64 ? 64 : 40;
}

/* The i-th program or section header; i is below phnum, shnum. */
void elf_segment(const struct elf *e, unsigned i, struct elf_segment *s);
void elf_section(const struct elf *e, unsigned i, struct elf_section *s);

/* Whether the section has bytes in the file, all of them inside it. */
bool elf_section_in_file(const struct elf *e, const struct elf_section *s);

/*
 * Reads program header i. Whether the segment takes memory: it has been checked against the file
 * then, and for wrap-around.
 */
bool elf_loads(struct load_ctx *c, const struct elf *e, unsigned i, struct elf_segment *s);

/*
 * The bounds of what elf_load would take, before any offset; linked: in virtual addresses. Fails if
 * there is nothing, or more than can lie apart between the bounds.
 */
bool elf_extent(struct load_ctx *c, const struct elf *e, bool linked, struct elf_extent *x);

/*
 * Takes and fills the memory of all PT_LOAD segments, each at p_paddr + offset. claim false: the
 * caller has taken the whole extent already (overlaps inside it are its business).
 */
bool elf_load(struct load_ctx *c, const struct elf *e, u64 offset, bool claim);

/*
 * The physical address of an entry point: translated from p_vaddr to p_paddr where it lies in a
 * segment's virtual range; as it is where it lies in a physical range alone. Fails if it lies in
 * neither. where: the place in the file that says it, 0: the configuration does.
 */
#define ELF_ENTRY_OFFSET 24
#define ELF_BAD_ENTRY    "its entry point 0x%llx (file offset 0x%llx) lies outside what is loaded"
bool elf_entry(struct load_ctx *c, const struct elf *e, u64 entry, u64 where, gpa_t *gpa);

/*
 * Finds a note by owner and type among the first 16 KiB of each segment and section of notes: its
 * descriptor, of *size bytes. NULL if there is none.
 */
const u8 *elf_note(const struct elf *e, const char *owner, u32 type, u64 *size);

#endif
