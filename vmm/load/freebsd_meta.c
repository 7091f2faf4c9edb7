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

#define SMAP_SIZE 20 /* of an entry */

/* Text that goes into guest memory, or is only counted. */
struct sink {
    struct freebsd *f;
    gpa_t at;
    bool dry;
};

static void put(struct sink *s, const void *buf, u64 len)
{
    if (!s->dry)
        ctx_write(s->f->c, s->at, buf, len);
    s->at += len;
}

/* ---- environment ------------------------------------------------------------------------ */

/* What device.hints and loader.conf would say of this board; the command line comes before it. */
static const char defaults[] = "kernelname=/boot/kernel/kernel\0"
                               "console=comconsole\0"
                               "boot_serial=YES\0"
                               "hint.acpi.0.oem=SKEP\0"
                               "hint.acpi.0.revision=2\0"
                               "hint.acpi.0.rsdp=0xe0000\0"
                               "hint.uart.0.at=isa\0"
                               "hint.uart.0.port=0x3F8\0"
                               "hint.uart.0.irq=4\0"
                               "hint.uart.0.flags=0x10\0"
                               "hint.atrtc.0.at=isa\0"
                               "hint.atrtc.0.port=0x70\0"
                               "hint.atrtc.0.irq=8\0"
                               "hint.attimer.0.at=isa\0"
                               "hint.attimer.0.port=0x40\0"
                               "hint.attimer.0.irq=0\0";
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
static void put_variable(struct sink *s, const char *word, u64 len)
{
    for (u64 i = 0; i < len; i++)
        if (word[i] != '"')
            put(s, &word[i], 1);
    put(s, "", 1);
}

static void put_variables(struct sink *s)
{
    const char *text = image_cmdline(&s->f->c->req->kernel);

    while (*text) {
        u64 len = word_length(text);

        if (text[0] == '-' && len > 1)
            read_flags(s->f, text, len);
        else if (has_equals(text, len))
            put_variable(s, text, len);
        text += len ? len : 1;
    }
    put(s, defaults, sizeof(defaults)); /* an empty one is the end */
}

/* Has fn count what it writes, takes room for that, and has it written there. */
static bool put_twice(struct freebsd *f, void (*fn)(struct sink *s), gpa_t *gpa)
{
    struct sink s = {.f = f, .dry = true};

    fn(&s);
    f->c->img = &f->c->req->kernel;
    if (!fb_take(f, s.at, PAGE_SIZE, gpa))
        return false;
    f->kernend = ALIGN_UP(f->next, PAGE_SIZE);
    s = (struct sink){.f = f, .at = *gpa};
    fn(&s);
    return !f->c->err;
}

bool fb_put_environment(struct freebsd *f)
{
    f->howto = RB_SERIAL | RB_BOOTINFO;
    return put_twice(f, put_variables, &f->envp);
}

/* ---- module metadata -------------------------------------------------------------------- */

COLD static void put_head(struct sink *s, u32 type, u64 len)
{
    u8 head[8];

    put32(head, type);
    put32(head + 4, (u32)len);
    put(s, head, sizeof(head));
}

static void pad(struct sink *s)
{
    static const u8 zero[8];

    put(s, zero, -s->at & (s->f->word - 1));
}

static void put_record(struct sink *s, u32 type, const void *data, u64 len)
{
    put_head(s, type, len);
    put(s, data, len);
    pad(s);
}

/* A text with its NUL. */
static void put_text(struct sink *s, u32 type, const struct fb_text *text)
{
    put_head(s, type, text->len + 1);
    put(s, text->s, text->len);
    put(s, "", 1);
    pad(s);
}

/* A number of the kernel's long. */
static void put_word(struct sink *s, u32 type, u64 value)
{
    put_record(s, type, &value, s->f->word);
}

static void put_smap(struct sink *s)
{
    u8 raw[MEMMAP_MAX * SMAP_SIZE];
    unsigned n = memmap_make(s->f->c->req->mem_size, raw, SMAP_SIZE);

    put_record(s, MODINFOMD_SMAP, raw, n * SMAP_SIZE);
}

static void put_kernel(struct sink *s)
{
    struct freebsd *f = s->f;

    put_record(s, MODINFOMD_HOWTO, &f->howto, sizeof(f->howto));
    put_word(s, MODINFOMD_ENVP, f->envp);
    put_word(s, MODINFOMD_KERNEND, f->kernend);
    put_word(s, MODINFOMD_MODULEP, f->modulep);
    put_smap(s);
}

static void put_section_headers(struct sink *s, const struct fb_file *file)
{
    struct elf elf;
    u64 len;

    if (!elf_open(s->f->c, &elf))
        return;
    len = (u64)elf.shnum * elf_section_size(&elf);
    put_head(s, MODINFOMD_SHDR, len);
    if (!s->dry)
        fb_put_object_headers(s->f, file, &elf, s->at);
    s->at += len;
    pad(s);
}

static void put_elf(struct sink *s, const struct fb_file *file)
{
    put_record(s, MODINFOMD_ELFHDR, s->f->c->img->data, s->f->is64 ? 64 : 52);
    if (file->at.is_object)
        put_section_headers(s, file);
    if (file->at.dynamic)
        put_word(s, MODINFOMD_DYNAMIC, file->at.dynamic);
    if (file->at.esym) {
        put_word(s, MODINFOMD_SSYM, file->at.ssym);
        put_word(s, MODINFOMD_ESYM, file->at.esym);
    }
}

static void put_files(struct sink *s)
{
    for (unsigned i = 0; i < s->f->count; i++) {
        struct fb_file file;

        fb_file(s->f, i, &file);
        put_text(s, MODINFO_NAME, &file.name);
        put_text(s, MODINFO_TYPE, &file.type);
        if (file.args.len)
            put_text(s, MODINFO_ARGS, &file.args);
        put_word(s, MODINFO_ADDR, file.at.addr);
        put_word(s, MODINFO_SIZE, file.at.size);
        if (file.at.is_elf)
            put_elf(s, &file);
        if (i == 0)
            put_kernel(s);
    }
    put_record(s, MODINFO_END, NULL, 0);
}

void fb_put_metadata(struct freebsd *f)
{
    put_twice(f, put_files, &f->modulep);
}
