/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What FreeBSD's loader tells a kernel in memory: the environment (loader(8)'s variables) and the
 * module metadata, records of type, size and data aligned to the kernel's long (sys/sys/linker.h).
 * Both are written twice, the first time without effect, to learn their size.
 */
#include "vmm/load/freebsd.h"

#include "lib/print.h"
#include "lib/string.h"
#include "vmm/load/firmware.h"
#include "vmm/load/memmap.h"

enum {
    MODINFO_END = 0,
    MODINFO_NAME = 1,
    MODINFO_TYPE = 2,
    MODINFO_ADDR = 3,
    MODINFO_SIZE = 4,
    MODINFO_ARGS = 6,
    MODINFO_METADATA = 0x8000,
    MODINFOMD_ELFHDR = 0x8002,
    MODINFOMD_SSYM = 0x8003,
    MODINFOMD_ESYM = 0x8004,
    MODINFOMD_DYNAMIC = 0x8005,
    MODINFOMD_ENVP = 0x8006,
    MODINFOMD_HOWTO = 0x8007,
    MODINFOMD_KERNEND = 0x8008,
    MODINFOMD_SHDR = 0x8009,
    MODINFOMD_SMAP = 0x9001,
    MODINFOMD_MODULEP = 0x9006,
};

/* Boot flags (sys/sys/reboot.h) by the letters of boot(8)'s options. */
#define RB_SERIAL   0x1000
#define RB_BOOTINFO 0x80000000

static const struct {
    char letter;
    u32 flag;
} howto_flags[] = {
    {'a', 0x1},    {'s', 0x2},    {'r', 0x20},    {'d', 0x40},     {'v', 0x800},      {'h', 0x1000},
    {'C', 0x2000}, {'g', 0x8000}, {'m', 0x10000}, {'p', 0x100000}, {'D', 0x20000000},
};

/* Text that goes into guest memory, or is only counted. */
struct sink {
    struct freebsd *f;
    gpa_t at;
    bool dry;
};

static enum err put(struct sink *s, const void *buf, u64 len)
{
    gpa_t at = s->at;

    s->at += len;
    return s->dry ? OK : ctx_write(s->f->c, at, buf, len);
}

/* ---- environment ------------------------------------------------------------------------ */

/* What device.hints and loader.conf would say of this board; the command line comes before it. */
static const char *const defaults[] = {
    "kernelname=/boot/kernel/kernel",
    "console=comconsole",
    "boot_serial=YES",
    "hint.acpi.0.oem=SKEP",
    "hint.acpi.0.revision=2",
    "hint.acpi.0.rsdp=0xe0000",
    "hint.uart.0.at=isa",
    "hint.uart.0.port=0x3F8",
    "hint.uart.0.irq=4",
    "hint.uart.0.flags=0x10",
    "hint.atrtc.0.at=isa",
    "hint.atrtc.0.port=0x70",
    "hint.atrtc.0.irq=8",
    "hint.attimer.0.at=isa",
    "hint.attimer.0.port=0x40",
    "hint.attimer.0.irq=0",
};
_Static_assert(PLAT_TABLES_BASE == 0xe0000 && PLAT_COM1_PORT == 0x3f8, "hints above");

static void read_flags(struct freebsd *f, const char *word, u64 len)
{
    for (u64 i = 1; i < len; i++)
        for (unsigned k = 0; k < ARRAY_SIZE(howto_flags); k++)
            if (word[i] == howto_flags[k].letter)
                f->howto |= howto_flags[k].flag;
}

static bool has_equals(const char *s, u64 len)
{
    while (len--)
        if (*s++ == '=')
            return true;
    return false;
}

/* A word's length; blanks between double quotes belong to it. */
static u64 word_length(const char *s)
{
    bool quoted = false;
    u64 n = 0;

    while (s[n] && (quoted || (s[n] != ' ' && s[n] != '\t'))) {
        quoted ^= s[n] == '"';
        n++;
    }
    return n;
}

/* NAME=VALUE without its quotes, terminated. */
static enum err put_variable(struct sink *s, const char *word, u64 len)
{
    enum err e = OK;

    for (u64 i = 0; i < len && !e; i++)
        if (word[i] != '"')
            e = put(s, &word[i], 1);
    return e ? e : put(s, "", 1);
}

static enum err put_variables(struct sink *s)
{
    const char *text = image_cmdline(&s->f->c->req->kernel);
    enum err e = OK;

    while (*text && !e) {
        u64 len = word_length(text);

        if (text[0] == '-' && len > 1)
            read_flags(s->f, text, len);
        else if (has_equals(text, len))
            e = put_variable(s, text, len);
        text += len ? len : 1;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(defaults) && !e; i++)
        e = put(s, defaults[i], strlen(defaults[i]) + 1);
    return e ? e : put(s, "", 1);
}

enum err fb_put_environment(struct freebsd *f)
{
    struct sink s = {.f = f, .dry = true};
    enum err e;

    f->howto = RB_SERIAL | RB_BOOTINFO;
    put_variables(&s);
    e = fb_take(f, &f->c->req->kernel, s.at, PAGE_SIZE, &f->envp);
    s = (struct sink){.f = f, .at = f->envp};
    return e ? e : put_variables(&s);
}

/* ---- module metadata -------------------------------------------------------------------- */

static enum err put_head(struct sink *s, u32 type, u64 len)
{
    u8 head[8];

    put32(head, type);
    put32(head + 4, (u32)len);
    return put(s, head, sizeof(head));
}

static enum err pad(struct sink *s)
{
    static const u8 zero[8];

    return put(s, zero, -s->at & (s->f->word - 1));
}

static enum err put_record(struct sink *s, u32 type, const void *data, u64 len)
{
    enum err e = put_head(s, type, len);

    if (!e)
        e = put(s, data, len);
    return e ? e : pad(s);
}

/* A text with its NUL. */
static enum err put_text(struct sink *s, u32 type, struct fb_text text)
{
    enum err e = put_head(s, type, text.len + 1);

    if (!e)
        e = put(s, text.s, text.len);
    if (!e)
        e = put(s, "", 1);
    return e ? e : pad(s);
}

/* A number of the kernel's long. */
static enum err put_word(struct sink *s, u32 type, u64 value)
{
    u8 raw[8];

    put64(raw, value);
    return put_record(s, type, raw, s->f->word);
}

static enum err put_smap(struct sink *s)
{
    struct memmap_entry map[MEMMAP_MAX];
    unsigned n = memmap_make(s->f->c->req->mem_size, map);
    u8 raw[MEMMAP_MAX * 20];

    for (unsigned i = 0; i < n; i++) {
        put64(raw + i * 20, map[i].gpa);
        put64(raw + i * 20 + 8, map[i].len);
        put32(raw + i * 20 + 16, map[i].type);
    }
    return put_record(s, MODINFOMD_SMAP, raw, n * 20);
}

static enum err put_kernel(struct sink *s)
{
    struct freebsd *f = s->f;
    u8 howto[4];
    enum err e;

    put32(howto, f->howto);
    e = put_record(s, MODINFOMD_HOWTO, howto, sizeof(howto));
    if (!e)
        e = put_word(s, MODINFOMD_ENVP, f->envp);
    if (!e)
        e = put_word(s, MODINFOMD_KERNEND, f->kernend);
    if (!e)
        e = put_word(s, MODINFOMD_MODULEP, f->modulep);
    return e ? e : put_smap(s);
}

static enum err put_section_headers(struct sink *s, const struct fb_file *file)
{
    struct elf elf;
    u64 len;
    enum err e = elf_open(s->f->c, file->img, &elf);

    if (e)
        return e;
    len = (u64)elf.shnum * (elf.is64 ? 64 : 40);
    e = put_head(s, MODINFOMD_SHDR, len);
    if (!e && !s->dry)
        e = fb_put_object_headers(s->f, file, &elf, s->at);
    s->at += len;
    return e ? e : pad(s);
}

static enum err put_elf(struct sink *s, const struct fb_file *file)
{
    enum err e = put_record(s, MODINFOMD_ELFHDR, file->img->data, s->f->is64 ? 64 : 52);

    if (!e && file->at.is_object)
        e = put_section_headers(s, file);
    if (!e && file->at.dynamic)
        e = put_word(s, MODINFOMD_DYNAMIC, file->at.dynamic);
    if (!e && file->at.esym)
        e = put_word(s, MODINFOMD_SSYM, file->at.ssym);
    if (!e && file->at.esym)
        e = put_word(s, MODINFOMD_ESYM, file->at.esym);
    return e;
}

static enum err put_file(struct sink *s, const struct fb_file *file)
{
    enum err e = put_text(s, MODINFO_NAME, file->name);

    if (!e)
        e = put_text(s, MODINFO_TYPE, file->type);
    if (!e && file->args.len)
        e = put_text(s, MODINFO_ARGS, file->args);
    if (!e)
        e = put_word(s, MODINFO_ADDR, file->at.addr);
    if (!e)
        e = put_word(s, MODINFO_SIZE, file->at.size);
    if (!e && file->at.is_elf)
        e = put_elf(s, file);
    return e;
}

static enum err put_files(struct sink *s)
{
    enum err e = OK;

    for (unsigned i = 0; i < s->f->count && !e; i++) {
        struct fb_file file;

        fb_file(s->f, i, &file);
        e = put_file(s, &file);
        if (!e && i == 0)
            e = put_kernel(s);
    }
    return e ? e : put_record(s, MODINFO_END, NULL, 0);
}

enum err fb_put_metadata(struct freebsd *f)
{
    struct sink s = {.f = f, .dry = true};
    enum err e = put_files(&s);

    if (!e)
        e = fb_take(f, &f->c->req->kernel, s.at, PAGE_SIZE, &f->modulep);
    f->kernend = ALIGN_UP(f->next, PAGE_SIZE);
    s = (struct sink){.f = f, .at = f->modulep};
    return e ? e : put_files(&s);
}
