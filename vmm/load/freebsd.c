/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FreeBSD's i386 and amd64 kernels, started as its loader(8) starts them: kernel and modules,
 * environment and module metadata one behind the other, then a jump with the arguments on the
 * stack behind a return address that is not meant to be used. FreeBSD sys/i386/i386/locore.s
 * (recover_bootinfo) and sys/amd64/amd64/locore.S say what a kernel looks at; bootinfo(9) and
 * sys/sys/linker.h (MODINFO_*) the data.
 *
 * A module's command line is "[-t TYPE] NAME [ARGUMENTS]", as loader(8)'s load command takes it.
 */
#include "vmm/load/freebsd.h"

#include "lib/parse.h"
#include "lib/print.h"
#include "lib/string.h"
#include "vmm/load/kinds.h"
#include "vmm/load/memmap.h"
#include "vmm/load/regs.h"

#define KERNEL_NAME "/boot/kernel/kernel"

/* struct bootinfo of i386 (sys/x86/include/bootinfo.h): offsets. */
#define BI_SIZE           84
#define BI_VERSION        0
#define BI_KERNELNAME     4
#define BI_SIZE_FIELD     48
#define BI_MEMSIZES_VALID 52
#define BI_BASEMEM        56
#define BI_EXTMEM         60
#define BI_SYMTAB         64
#define BI_ESYMTAB        68
#define BI_KERNEND        72
#define BI_ENVP           76
#define BI_MODULEP        80

/*
 * The stack's page, in the reserved area below 1 MiB: the boot information lies at its foot and
 * the stack starts at its top, below the arguments.
 */
#define STACK_GPA    0xdf000
#define STACK_TOP    (STACK_GPA + PAGE_SIZE)
#define BOOTINFO_GPA STACK_GPA
#define NAME_GPA     (BOOTINFO_GPA + 0x80)

#define AMD64_MEM_TOP GIB /* what the loader's page tables reach */

static bool freebsd_probe(struct load_ctx *c)
{
    const struct load_image *k = c->img;
    struct elf elf;
    struct elf_segment s;

    if (!elf_open(c, &elf) || elf.osabi != OSABI_FREEBSD)
        return false;
    for (unsigned i = 0; i < elf.phnum; i++) {
        elf_segment(&elf, i, &s);
        if (s.type == PT_INTERP && s.filesz >= 12 && image_has(k, s.offset, 12) &&
            !memcmp(k->data + s.offset, "/red/herring", 12))
            return true;
    }
    return false;
}

bool fb_take(struct freebsd *f, u64 len, u64 align, gpa_t *gpa)
{
    gpa_t top = plat_low_mem(f->c->req->mem_size);

    if (f->is64)
        top = MIN(top, AMD64_MEM_TOP);
    *gpa = ALIGN_UP(f->next, align);
    if (*gpa > top || len > top - *gpa)
        return ctx_fail_image(f->c, ERR_RANGE,
                              "its 0x%llx bytes do not fit behind 0x%llx (mem=%lluM)",
                              (unsigned long long)len, (unsigned long long)f->next,
                              (unsigned long long)(f->c->req->mem_size >> 20));
    f->next = *gpa + len;
    return ctx_claim(f->c, *gpa, len, "it");
}

static void set_text(struct fb_text *t, const char *s)
{
    t->s = s;
    t->len = strlen(s);
}

/* "[-t TYPE] NAME [ARGUMENTS]" */
static void parse_module_line(const struct load_image *img, struct fb_file *file)
{
    const char *rest = image_cmdline(img);

    file->name.len = parse_word(&rest, &file->name.s);
    if (parse_is(file->name.s, file->name.len, "-t")) {
        file->type.len = parse_word(&rest, &file->type.s);
        file->typed = file->type.len;
        file->name.len = parse_word(&rest, &file->name.s);
    }
    if (!file->name.len)
        set_text(&file->name, img->name && img->name[0] ? img->name : "module");
    while (*rest == ' ')
        rest++;
    set_text(&file->args, rest);
}

void fb_file(const struct freebsd *f, unsigned i, struct fb_file *file)
{
    const struct load_request *req = f->c->req;

    *file = (struct fb_file){.at = f->places[i]};
    if (i == 0) {
        f->c->img = &req->kernel;
        set_text(&file->name, KERNEL_NAME);
        set_text(&file->type, "elf kernel");
        set_text(&file->args, image_cmdline(&req->kernel));
        return;
    }
    parse_module_line(ctx_module(f->c, i - 1), file);
    if (!file->typed)
        set_text(&file->type, file->at.is_object           ? "elf obj module"
                              : file->at.is_elf            ? "elf module"
                              : req->modules[i - 1].initrd ? "mfs_root"
                                                           : "raw");
}

/* A module whose line names its type is taken as it is. */
COLD static void load_module(struct freebsd *f, struct fb_file *file)
{
    const struct load_image *img = f->c->img;
    struct elf elf;

    if (file->typed || !elf_probe(img)) {
        file->at.size = (u32)img->size;
        fb_take(f, img->size, PAGE_SIZE, &file->at.addr);
        ctx_write(f->c, file->at.addr, img->data, img->size);
        return;
    }
    if (!elf_open(f->c, &elf))
        return;
    if (elf.is64 != f->is64)
        ctx_fail_image(f->c, ERR_INVAL, "it is ELF%d, but the kernel is ELF%d", elf.is64 ? 64 : 32,
                       f->is64 ? 64 : 32);
    file->at.is_elf = true;
    file->at.is_object = elf.type == ET_REL;
    if (file->at.is_object)
        fb_load_object(f, file, &elf);
    else
        fb_load_shared(f, file, &elf);
}

static bool load_files(struct freebsd *f)
{
    unsigned n = f->c->req->module_count;

    if (n > FB_MAX_FILES - 1)
        return ctx_fail(f->c, ERR_RANGE, "%u modules are too many: %d at most", n,
                        FB_MAX_FILES - 1);
    for (f->count = 0; f->count <= n && !f->c->err; f->count++) {
        struct fb_file file;

        fb_file(f, f->count, &file);
        if (f->count)
            load_module(f, &file);
        else
            fb_load_kernel(f, &file);
        f->places[f->count] = file.at;
    }
    return !f->c->err;
}

static void write_bootinfo(struct freebsd *f)
{
    u8 b[BI_SIZE] = {0};

    put32(b + BI_VERSION, 1);
    put32(b + BI_KERNELNAME, NAME_GPA);
    put32(b + BI_SIZE_FIELD, BI_SIZE);
    b[BI_MEMSIZES_VALID] = 1;
    put32(b + BI_BASEMEM, memmap_lower_kib());
    put32(b + BI_EXTMEM, memmap_upper_kib(f->c->req->mem_size));
    put32(b + BI_SYMTAB, (u32)f->places[0].ssym);
    put32(b + BI_ESYMTAB, (u32)f->places[0].esym);
    put32(b + BI_KERNEND, (u32)f->kernend);
    put32(b + BI_ENVP, (u32)f->envp);
    put32(b + BI_MODULEP, (u32)f->modulep);
    ctx_write(f->c, BOOTINFO_GPA, b, sizeof(b));
    ctx_write(f->c, NAME_GPA, KERNEL_NAME, sizeof(KERNEL_NAME));
}

/*
 * i386: (*btext)(howto, bootdev, 0, 0, 0, &bootinfo, modulep, kernend), as if it had been called.
 * amd64: a 32-bit return address, then modulep and kernend, of 32 bits too.
 */
COLD static void start(struct freebsd *f)
{
    static const u8 halt[] = {0xfa, 0xf4, 0xeb, 0xfc}; /* cli; hlt; jmp back to the cli */
    gpa_t sp = STACK_TOP - 64;
    u8 frame[9 * 4] = {0}, *last = frame + (f->is64 ? 4 : 28);

    ctx_write(f->c, REGS_HALT_GPA, halt, sizeof(halt));
    put32(frame, REGS_HALT_GPA);
    if (f->is64) {
        regs_freebsd64(f->c);
    } else {
        put32(frame + 4, f->howto);
        put32(frame + 24, BOOTINFO_GPA);
        write_bootinfo(f);
        regs_prot32(f->c);
    }
    put32(last, (u32)f->modulep);
    put32(last + 4, (u32)f->kernend);
    ctx_write(f->c, sp, frame, sizeof(frame));
    f->c->state->rip = f->entry;
    f->c->state->gpr[RSP] = sp;
    fmt_print(f->c->state->what, sizeof(f->c->state->what), "FreeBSD %s kernel, %u modules",
              f->is64 ? "amd64" : "i386", f->count - 1);
}

static void freebsd_load(struct load_ctx *c)
{
    struct freebsd f = {.c = c};

    if (!load_files(&f) || !fb_put_environment(&f))
        return;
    fb_put_metadata(&f);
    start(&f);
}

const struct load_kind_ops load_freebsd = {
    .name = "freebsd",
    .probe = freebsd_probe,
    .load = freebsd_load,
    .sign = "FreeBSD kernel's ELF header (OS ABI 9 at file offset 7, interpreter /red/herring)",
};
