/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Multiboot 1 and 2 have in common: where modules go, the image by its header's addresses
 * (the "a.out kludge") or by ELF segments, and the ELF sections passed on to the kernel.
 */
#ifndef VMM_LOAD_MBCOMMON_H
#define VMM_LOAD_MBCOMMON_H

#include "vmm/load/elf.h"

#define MB_MAX_MODULES 16

/* Load addresses that the header itself gives, as they stand there. */
struct mb_addresses {
    u32 header_addr, load_addr, load_end_addr, bss_end_addr;
} PACKED;

/* A kernel that has been put into memory. */
struct mb_kernel {
    bool is_elf;
    struct elf elf;
    gpa_t low, high; /* [low, high) in guest memory, offset applied */
    u64 offset;      /* from link to load address; 0 unless relocated */
    bool placed;     /* relocated: its memory has been taken already */
    gpa_t entry;
    u64 entry_at;   /* the place in the file that says it; 0: the ELF header is to */
    gpa_t sections; /* where the sections without an address were put; 0: none passed */
};

struct mb_module {
    gpa_t start, end;
};

/* A place in guest memory that is filled from front to back. */
struct mb_cursor {
    gpa_t next, end;
};

/* Takes and fills the memory of an image placed by addresses; header_off is the header's. */
bool mb_load_addresses(struct load_ctx *c, struct mb_kernel *k, const struct mb_addresses *a,
                       u64 header_off);

/*
 * Takes and fills the memory of an ELF image (k->offset is 0 or k->low - link), puts its sections
 * that have no address behind it, and finds its entry where no tag has said it.
 */
bool mb_load_elf(struct load_ctx *c, struct mb_kernel *k);

/* Puts the modules page-aligned behind the kernel. Count is c->req->module_count. */
bool mb_load_modules(struct load_ctx *c, const struct mb_kernel *k,
                     struct mb_module m[MB_MAX_MODULES]);

/* Appends the section header table, with addresses of what mb_load_elf placed. */
void mb_put_section_headers(struct load_ctx *c, const struct mb_kernel *k, struct mb_cursor *at);

/* Takes len bytes for the boot information. */
bool mb_place_info(struct load_ctx *c, u64 len, struct mb_cursor *at);

/* Appends bytes; the room is the caller's reckoning, and overrunning it is ERR_RANGE. */
void mb_put(struct load_ctx *c, struct mb_cursor *at, const void *buf, u64 len);

/* Checks the entry and sets the state that both kinds start in; name: what the kind is called. */
void mb_start(struct load_ctx *c, const struct mb_kernel *k, u32 magic, gpa_t info,
              const char *name);

#define MB_LOADER_NAME "skep"

#endif
