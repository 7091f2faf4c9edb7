/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux bzImage, by its 64-bit entry where it has one and its 32-bit entry otherwise.
 * Linux Documentation/arch/x86/boot.rst (setup header, 32-bit and 64-bit boot protocol) and
 * Documentation/arch/x86/zero-page.rst. Versions 2.06 (Linux 2.6.22) and later.
 */
#include "vmm/load/kinds.h"

#include "lib/print.h"
#include "lib/string.h"
#include "vmm/load/firmware.h"
#include "vmm/load/memmap.h"
#include "vmm/load/regs.h"

/* Setup header: offsets in the file, and in the zero page alike. */
#define HDR_START        0x1f1
#define HDR_SETUP_SECTS  0x1f1 /* u8 */
#define HDR_SYSSIZE      0x1f4 /* u32, units of 16 bytes */
#define HDR_VID_MODE     0x1fa
#define HDR_BOOT_FLAG    0x1fe
#define HDR_JUMP         0x200 /* short jump over the header: tells its length */
#define HDR_MAGIC        0x202
#define HDR_VERSION      0x206
#define HDR_KERNEL_VER   0x20e /* u16: the version string's offset, less 0x200 */
#define HDR_TYPE_LOADER  0x210
#define HDR_LOADFLAGS    0x211
#define HDR_CODE32_START 0x214
#define HDR_RAMDISK      0x218
#define HDR_RAMDISK_SIZE 0x21c
#define HDR_CMD_LINE_PTR 0x228
#define HDR_INITRD_MAX   0x22c
#define HDR_ALIGNMENT    0x230
#define HDR_RELOCATABLE  0x234 /* u8 */
#define HDR_XLOADFLAGS   0x236 /* u16, 2.12 */
#define HDR_CMDLINE_SIZE 0x238
#define HDR_PREF_ADDRESS 0x258 /* u64, 2.10 */
#define HDR_INIT_SIZE    0x260 /* u32, 2.10 */
#define HDR_END_2_06     0x23c
#define HDR_END_MAX      0x290 /* the zero page has other things from here on */

/* Zero page: what is not the setup header's. */
#define ZP_EXT_MEM_K  0x002 /* u16 */
#define ZP_RSDP       0x070 /* u64 */
#define ZP_ALT_MEM_K  0x1e0 /* u32 */
#define ZP_E820_COUNT 0x1e8 /* u8 */
#define ZP_E820       0x2d0
#define E820_SIZE     20u

#define MAGIC_HDRS      0x53726448 /* "HdrS" */
#define LOADED_HIGH     0x01
#define XLF_KERNEL_64   0x01
#define TYPE_UNDEFINED  0xff
#define VID_MODE_NORMAL 0xffff
#define ENTRY_64        0x200
#define VERSION_MIN     0x206
#define VERSION_INIT    0x20a
#define VERSION_XLF     0x20c

#define PARAMS_GPA  0x10000
#define CMDLINE_GPA 0x20000
#define CMDLINE_MAX 0x10000
#define LOAD_GPA    0x100000

/* The setup header, read and checked. */
struct linux_image {
    u32 version, header_end;
    u64 code_off, code_size; /* the protected-mode kernel in the file */
    u64 alignment, pref, init_size;
    u64 initrd_max; /* last address an initrd may use */
    u32 cmdline_max;
    bool relocatable, entry64;
    gpa_t load;       /* where the protected-mode code goes */
    char release[40]; /* "6.1.0-13-cloud-amd64" */
};

static bool linux_probe(struct load_ctx *c)
{
    const struct load_image *k = &c->req->kernel;

    return image_has(k, 0, HDR_VERSION + 2) && get16(k->data + HDR_BOOT_FLAG) == 0xaa55 &&
           get32(k->data + HDR_MAGIC) == MAGIC_HDRS;
}

static void read_release(const struct load_image *k, struct linux_image *im)
{
    u64 at = get16(k->data + HDR_KERNEL_VER), n = 0;

    str_copy(im->release, sizeof(im->release), "(no version)");
    if (!at || at + 0x200 >= im->code_off)
        return;
    at += 0x200;
    while (n < sizeof(im->release) - 1 && image_has(k, at + n, 1) && k->data[at + n] > ' ' &&
           k->data[at + n] < 0x7f) {
        im->release[n] = (char)k->data[at + n];
        n++;
    }
    im->release[n] = 0;
}

static bool check_sizes(struct load_ctx *c, struct linux_image *im)
{
    const struct load_image *k = c->img;
    u64 sects = k->data[HDR_SETUP_SECTS] ? k->data[HDR_SETUP_SECTS] : 4;
    u64 end;

    im->header_end = HDR_MAGIC + k->data[HDR_JUMP + 1];
    if (im->header_end < HDR_END_2_06 || im->header_end > HDR_END_MAX)
        return ctx_fail_image(c, ERR_INVAL,
                              "the setup header ends at 0x%x as file offset 0x201 says, not "
                              "between 0x%x and 0x%x",
                              im->header_end, HDR_END_2_06, HDR_END_MAX);
    im->code_off = (sects + 1) * 512;
    im->code_size = (u64)get32(k->data + HDR_SYSSIZE) * 16;
    if (im->header_end > im->code_off || !im->code_size)
        return ctx_fail_image(c, ERR_INVAL,
                              "the setup header gives no kernel: %llu setup sectors (file offset "
                              "0x1f1), code of 0x%llx bytes (0x1f4)",
                              (unsigned long long)sects, (unsigned long long)im->code_size);
    end = im->code_off + im->code_size;
    if (ALIGN_UP(k->size, 16) < end)
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: it ends at file offset 0x%llx, its setup header "
                              "says 0x%llx",
                              (unsigned long long)k->size, (unsigned long long)end);
    im->code_size = MIN(im->code_size, k->size - im->code_off);
    return true;
}

COLD static bool read_placement(struct load_ctx *c, struct linux_image *im)
{
    const u8 *h = c->img->data;

    im->initrd_max = get32(h + HDR_INITRD_MAX);
    im->cmdline_max = get32(h + HDR_CMDLINE_SIZE);
    im->relocatable = h[HDR_RELOCATABLE] != 0;
    im->alignment = get32(h + HDR_ALIGNMENT);
    im->pref = LOAD_GPA;
    /* Before 2.10 nothing tells how much room decompression takes: three times is plenty. */
    im->init_size = im->code_size * 3;
    if (im->version >= VERSION_INIT && im->header_end >= HDR_INIT_SIZE + 4) {
        im->pref = get64(h + HDR_PREF_ADDRESS);
        im->init_size = MAX((u64)get32(h + HDR_INIT_SIZE), im->code_size);
    }
    if (im->version >= VERSION_XLF)
        im->entry64 = get16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64;
    if (!im->alignment)
        im->alignment = PAGE_SIZE;
    if (im->relocatable && (im->alignment & (im->alignment - 1)))
        return ctx_fail_image(c, ERR_INVAL,
                              "kernel_alignment (file offset 0x230) is 0x%llx, not a power of two",
                              (unsigned long long)im->alignment);
    if (im->entry64 && im->code_size <= ENTRY_64)
        return ctx_fail_image(c, ERR_INVAL,
                              "the 64-bit entry (file offset 0x236) lies behind the kernel's end");
    return true;
}

static bool read_header(struct load_ctx *c, struct linux_image *im)
{
    const struct load_image *k = c->img;

    if (!image_has(k, 0, HDR_END_MAX))
        return ctx_fail_image(c, ERR_INVAL,
                              "it is truncated: it ends at file offset 0x%llx, within the Linux "
                              "setup header",
                              (unsigned long long)k->size);
    im->version = get16(k->data + HDR_VERSION);
    if (im->version < VERSION_MIN)
        return ctx_fail_image(c, ERR_NOSUP,
                              "its boot protocol (file offset 0x206) is %u.%02u; 2.06 (Linux "
                              "2.6.22) is the oldest that will do",
                              im->version >> 8, im->version & 0xff);
    if (!(k->data[HDR_LOADFLAGS] & LOADED_HIGH))
        return ctx_fail_image(c, ERR_NOSUP,
                              "it is a zImage that loads below 640 KiB (file offset 0x211); build "
                              "a bzImage");
    if (!check_sizes(c, im) || !read_placement(c, im))
        return false;
    read_release(k, im);
    return true;
}

static bool no_room(struct load_ctx *c, const struct linux_image *im)
{
    return ctx_fail_image(
        c, ERR_RANGE, "it needs 0x%llx bytes at 0x%llx%s to start, mem=%lluM gives too little",
        (unsigned long long)im->init_size, (unsigned long long)im->pref,
        im->relocatable ? " or above" : "", (unsigned long long)(c->req->mem_size >> 20));
}

/*
 * A relocatable kernel goes where it prefers or higher: loaded lower, it would move there by
 * itself. One that is not is loaded at 1 MiB, and needs its room at pref too.
 */
static bool place_kernel(struct load_ctx *c, struct linux_image *im)
{
    gpa_t top = plat_low_mem(c->req->mem_size), gpa;

    if (im->relocatable) {
        u64 align = MAX(im->alignment, PAGE_SIZE);

        return ctx_place_low(c, im->init_size, align, MAX(im->pref, LOAD_GPA), top, &im->load) ||
               no_room(c, im);
    }
    im->load = LOAD_GPA;
    if (im->pref == LOAD_GPA)
        return (ctx_place_low(c, im->init_size, 1, LOAD_GPA, top, &gpa) && gpa == LOAD_GPA) ||
               no_room(c, im);
    /* One claim over both: the two may overlap, and what lies between is of no use to an initrd. */
    if (im->pref < LOAD_GPA || im->pref > top || im->init_size > top - im->pref ||
        im->code_size > top - LOAD_GPA)
        return no_room(c, im);
    return ctx_claim(c, LOAD_GPA, MAX(im->code_size, im->pref + im->init_size - LOAD_GPA),
                     "its code");
}

static bool check_initrds(struct load_ctx *c)
{
    for (unsigned i = 0; i < c->req->module_count; i++) {
        ctx_module(c, i);
        if (!c->req->modules[i].initrd)
            return ctx_fail_image(c, ERR_INVAL,
                                  "a Linux kernel takes no modules: say 'initrd', not 'module'");
        if (!c->img->size)
            return ctx_fail_image(c, ERR_INVAL, "the initrd is empty");
    }
    c->img = &c->req->kernel;
    return true;
}

static bool load_initrds(struct load_ctx *c, const struct linux_image *im, gpa_t *gpa, u64 *size)
{
    gpa_t top = plat_low_mem(c->req->mem_size);
    unsigned long long limit = MIN(top, im->initrd_max + 1), kernel_end = im->load + im->init_size;

    if (!check_initrds(c))
        return false;
    *gpa = 0;
    *size = ctx_initrds(c, 0, false);
    if (!*size)
        return true;
    if (*size > top || !ctx_place_high(c, *size, PAGE_SIZE, LOAD_GPA, limit, gpa))
        return ctx_fail(c, ERR_RANGE,
                        "the initrd of %lluK does not fit beside the kernel (0x%llx-0x%llx) "
                        "below 0x%llx, mem=%lluM",
                        (unsigned long long)(*size >> 10), (unsigned long long)im->load, kernel_end,
                        limit, (unsigned long long)(c->req->mem_size >> 20));
    ctx_initrds(c, *gpa, true);
    return true;
}

static void write_cmdline(struct load_ctx *c, const struct linux_image *im)
{
    u64 size = image_cmdline_size(c->img);

    if (size - 1 > im->cmdline_max || size > CMDLINE_MAX)
        ctx_fail_image(c, ERR_RANGE,
                       "the command line has %llu bytes, this kernel takes %u at most",
                       (unsigned long long)size - 1, MIN(im->cmdline_max, CMDLINE_MAX - 1u));
    ctx_write(c, CMDLINE_GPA, image_cmdline(c->img), size);
}

/* The setup header as the file has it, with the loader's fields filled in. */
static void write_header(struct load_ctx *c, const struct linux_image *im, gpa_t initrd,
                         u64 initrd_size)
{
    u8 raw[HDR_END_MAX - HDR_START] = {0};

    memcpy(raw, c->img->data + HDR_START, im->header_end - HDR_START);
    put16(raw + (HDR_VID_MODE - HDR_START), VID_MODE_NORMAL);
    raw[HDR_TYPE_LOADER - HDR_START] = TYPE_UNDEFINED;
    put32(raw + (HDR_CODE32_START - HDR_START), (u32)im->load);
    put32(raw + (HDR_RAMDISK - HDR_START), (u32)initrd);
    put32(raw + (HDR_RAMDISK_SIZE - HDR_START), (u32)initrd_size);
    put32(raw + (HDR_CMD_LINE_PTR - HDR_START), CMDLINE_GPA);
    ctx_write(c, PARAMS_GPA + HDR_START, raw, sizeof(raw));
}

static void write_params(struct load_ctx *c, const struct linux_image *im, gpa_t initrd,
                         u64 initrd_size)
{
    u32 upper = memmap_upper_kib(c->req->mem_size);
    u8 low[ZP_E820_COUNT + 1] = {0}, map[MEMMAP_MAX * E820_SIZE];

    put16(low + ZP_EXT_MEM_K, (u16)MIN(upper, 0xfc00u));
    put64(low + ZP_RSDP, firmware_rsdp());
    put32(low + ZP_ALT_MEM_K, upper);
    low[ZP_E820_COUNT] = (u8)memmap_make(c->req->mem_size, map, E820_SIZE);
    ctx_zero(c, PARAMS_GPA, PAGE_SIZE);
    ctx_write(c, PARAMS_GPA, low, sizeof(low));
    ctx_write(c, PARAMS_GPA + ZP_E820, map, low[ZP_E820_COUNT] * E820_SIZE);
    write_header(c, im, initrd, initrd_size);
}

static void set_state(struct load_ctx *c, const struct linux_image *im)
{
    struct load_state *s = c->state;

    if (im->entry64)
        regs_long64(c);
    else
        regs_prot32(c);
    s->rip = im->load + (im->entry64 ? ENTRY_64 : 0);
    s->gpr[RSI] = PARAMS_GPA;
    fmt_print(s->what, sizeof(s->what), "Linux %s, %d-bit entry", im->release,
              im->entry64 ? 64 : 32);
}

static void linux_load(struct load_ctx *c)
{
    struct linux_image im = {0};
    gpa_t initrd;
    u64 initrd_size;

    if (!read_header(c, &im))
        return;
    /* Nothing is taken below 640 KiB yet, so these two places are free. */
    ctx_claim(c, PARAMS_GPA, PAGE_SIZE, "its zero page");
    ctx_claim(c, CMDLINE_GPA, CMDLINE_MAX, "its command line");
    if (!place_kernel(c, &im) || !load_initrds(c, &im, &initrd, &initrd_size))
        return;
    write_cmdline(c, &im);
    ctx_write(c, im.load, c->img->data + im.code_off, im.code_size);
    write_params(c, &im, initrd, initrd_size);
    set_state(c, &im);
}

const struct load_kind_ops load_linux = {
    .name = "linux",
    .probe = linux_probe,
    .load = linux_load,
    .sign = "'HdrS' at file offset 0x202",
};
