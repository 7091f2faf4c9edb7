/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A FreeBSD load in progress: the files that have been put into memory, in order, and what the
 * kernel's module metadata has to say of each. Shared by the freebsd*.c files alone.
 */
#ifndef VMM_LOAD_FREEBSD_H
#define VMM_LOAD_FREEBSD_H

#include "vmm/load/elf.h"

#define FB_MAX_FILES 17 /* the kernel and 16 modules */

/* Part of somebody else's text. */
struct fb_text {
    const char *s;
    u64 len;
};

/* Where a file has been put. Everything lies below 4 GiB. */
struct fb_place {
    gpa_t addr;
    u64 dynamic;            /* PT_DYNAMIC's p_vaddr; 0: none */
    u32 size, ssym, esym;   /* symbols, each table behind its size; esym 0: none */
    bool is_elf, is_object; /* object: relocatable (ET_REL), sections placed one by one */
};

/* A file with all that there is to say of it; c->img is its image. */
struct fb_file {
    struct fb_text name, type, args;
    bool typed; /* its line says the type */
    struct fb_place at;
};

struct freebsd {
    struct load_ctx *c;
    bool is64;
    unsigned word; /* bytes in the kernel's long: 4 or 8; the metadata is aligned to it */
    gpa_t next;    /* end of what has been put into memory */
    gpa_t entry;   /* virtual on amd64, physical on i386 */
    gpa_t envp, modulep, kernend;
    u32 howto;
    struct fb_place places[FB_MAX_FILES]; /* the kernel's, then the modules' in their order */
    unsigned count;
};

/* Takes the next len bytes at an aligned place; ERR_RANGE and a sentence if memory ends. */
bool fb_take(struct freebsd *f, u64 len, u64 align, gpa_t *gpa);

/* The i-th file becomes c->img: its texts, and where it has been put. */
void fb_file(const struct freebsd *f, unsigned i, struct fb_file *file);

/* Put a file into memory as the loader does, and fill its place. */
void fb_load_kernel(struct freebsd *f, struct fb_file *file);
void fb_load_shared(struct freebsd *f, struct fb_file *file, const struct elf *elf);
void fb_load_object(struct freebsd *f, struct fb_file *file, const struct elf *elf);

/* Writes an object's section headers, with the addresses fb_load_object gave, at gpa. */
void fb_put_object_headers(struct freebsd *f, const struct fb_file *file, const struct elf *elf,
                           gpa_t gpa);

/* The environment, made of the words of the kernel's command line; also finds howto. */
bool fb_put_environment(struct freebsd *f);

/* The module metadata; sets modulep and kernend. */
void fb_put_metadata(struct freebsd *f);

#endif
