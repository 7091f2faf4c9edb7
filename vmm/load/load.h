/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest loaders: image bytes and a description of the VM in; memory contents, through the caller's
 * functions, and the boot vCPU's first register state out. One loader a kind of kernel; load_guest
 * finds the kind out or takes the one it is told.
 *
 * Pure: reads nothing but the images and the request, allocates nothing, keeps nothing. Images are
 * hostile: every number in them is checked before it is used, nothing is written outside the
 * guest's RAM (vmm/platform.h), and a refusal is one sentence with the place in the file.
 */
#ifndef VMM_LOAD_LOAD_H
#define VMM_LOAD_LOAD_H

#include "lib/types.h"
#include "lib/x86.h"

/* Kinds of kernel, as type= names them. */
enum load_kind {
    LOAD_AUTO, /* recognise it */
    LOAD_LINUX,
    LOAD_MULTIBOOT,
    LOAD_MULTIBOOT2,
    LOAD_PVH,
    LOAD_ELF,
    LOAD_FREEBSD,
    LOAD_FLAT,
    LOAD_KIND_COUNT
};

/* A file in memory. It is only read, and must stay where it is during load_guest alone. */
struct load_image {
    const u8 *data;
    u64 size;
    const char *name;    /* for messages: the file's name, or NULL */
    const char *cmdline; /* its own command line, byte for byte; NULL is "" */
};

/* A further file: an initial RAM disk (Linux, PVH), or a module (Multiboot, FreeBSD). */
struct load_module {
    struct load_image image;
    bool initrd; /* said to be an initrd; else a module */
};

struct load_request {
    enum load_kind kind;
    struct load_image kernel;          /* kernel.cmdline is the guest's command line */
    const struct load_module *modules; /* in the order given */
    unsigned module_count;
    u64 mem_size;   /* bytes of guest memory, page-aligned; laid out as vmm/platform.h says */
    unsigned vcpus; /* 1 .. PLAT_MAX_VCPUS: listed in the firmware tables */
    bool has_base;  /* LOAD_FLAT: where it goes; 1 MiB if nothing is said */
    bool has_entry; /* LOAD_ELF, LOAD_FLAT: where it starts, instead of e_entry or the base */
    gpa_t base, entry;
    bool unrestricted; /* the processor runs real-mode guest code (struct hvm_caps) */
};

/*
 * The guest's memory. It has to read as zero at first. write and zero are asked for ranges inside
 * the guest's RAM only; if one fails (no host memory left) the load fails with its error.
 */
struct load_mem {
    enum err (*write)(void *arg, gpa_t gpa, const void *buf, u64 len);
    enum err (*zero)(void *arg, gpa_t gpa, u64 len);
    void *arg;
};

/* The boot vCPU's registers at the guest's first instruction. What is not here is as after INIT. */
struct load_state {
    u64 gpr[GPR_COUNT]; /* RSP included */
    u64 rip, rflags;
    u64 cr0, cr3, cr4, efer;
    struct x86_seg seg[SEG_COUNT];
    struct x86_table gdt, idt;
    enum load_kind kind; /* what the kernel was loaded as */
    char what[80];       /* for the log: "Linux 6.1.0-13-cloud-amd64, 64-bit entry" */
};

#define LOAD_ERROR_SIZE 192

/*
 * Loads a guest: its kernel and modules, and the firmware tables (ACPI, MP table, BIOS data area).
 * OK: all is written and *state complete. Otherwise an error, error_text holds one sentence
 * (no "skep:", no VM name, no newline), memory is in an undefined condition and *state too.
 *   ERR_INVAL  the kernel, or a module, is not what it should be
 *   ERR_RANGE  something does not fit into the guest's memory
 *   ERR_NOSUP  the kernel asks for what skep or the processor does not offer
 *   others     as write and zero returned them
 * Any CPU, no locks; about 3 KiB of stack.
 */
enum err load_guest(const struct load_request *req, const struct load_mem *mem,
                    struct load_state *state, char error_text[LOAD_ERROR_SIZE]);

#endif
