/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader's report. Multiboot2: specification 2.0, 3.6; tags begin on 8 bytes, type and size
 * first. PVH: struct hvm_start_info of Xen's boot ABI, which points to lists.
 */
#include "boot/mbi.h"
#include "lib/bytes.h"
#include "lib/string.h"

#define MB2_HEAD       8 /* total size, reserved */
#define MB2_MAX        (16u * 1024 * 1024)
#define TAG_END        0
#define TAG_CMDLINE    1
#define TAG_LOADER     2
#define TAG_MODULE     3
#define TAG_MEMORY_MAP 6
#define TAG_RSDP_OLD   14
#define TAG_RSDP_NEW   15
#define MB2_ENTRY_SIZE 24

#define PVH_MAGIC       0x336ec578
#define PVH_MAX_STRING  8192
#define PVH_MAX_ENTRIES 65536

struct mb2_tag {
    u32 type, size;
    u8 data[];
};
ASSERT_SIZE(struct mb2_tag, 8);

struct pvh_info {
    u32 magic, version, flags, module_count;
    u64 modules, cmdline, rsdp;
    u64 memmap; /* version 1 on */
    u32 memmap_count, reserved;
};
ASSERT_SIZE(struct pvh_info, 56);

struct pvh_module {
    u64 base, size, cmdline, reserved;
};
ASSERT_SIZE(struct pvh_module, 32);

struct pvh_memory {
    u64 base, size;
    u32 type, reserved;
};
ASSERT_SIZE(struct pvh_memory, 24);

struct reader {
    boot_view_fn view;
    void *arg;
    struct boot_info *out;
};

/* A string that fills size bytes at most; "" if it has no end there. */
static const char *bounded_string(const u8 *s, size_t size)
{
    return strnlen((const char *)s, size) < size ? (const char *)s : "";
}

static void add_module(struct boot_info *out, hpa_t start, u64 size, const char *cmdline)
{
    if (start + size < start)
        size = 0;
    memmap_add(&out->map, start, size, MEM_BOOT);
    if (out->module_count == BOOT_MAX_MODULES)
        out->modules_left_out++;
    else
        out->module[out->module_count++] =
            (struct boot_module){.start = start, .size = size, .cmdline = cmdline};
}

/* What nobody has defined yet is not for use. */
static u32 firmware_type(u32 type)
{
    return type && type <= MEM_BAD ? type : (u32)MEM_RESERVED;
}

static void mb2_memory_map(struct boot_info *out, const u8 *data, u32 len)
{
    u32 entry = len >= 8 ? get32(data) : 0;

    if (entry < MB2_ENTRY_SIZE)
        return;
    for (u32 at = 8; at <= len && len - at >= entry; at += entry)
        memmap_add(&out->map, get64(data + at), get64(data + at + 8),
                   firmware_type(get32(data + at + 16)));
}

static void mb2_module(struct boot_info *out, const u8 *data, u32 len)
{
    u32 start, end;

    if (len < 9)
        return;
    start = get32(data);
    end = get32(data + 4);
    add_module(out, start, end > start ? end - start : 0, bounded_string(data + 8, len - 8));
}

COLD static void mb2_tag(struct boot_info *out, u32 type, const u8 *data, u32 len)
{
    switch (type) {
    case TAG_CMDLINE:
        out->cmdline = bounded_string(data, len);
        break;
    case TAG_LOADER:
        out->loader = bounded_string(data, len);
        break;
    case TAG_MODULE:
        mb2_module(out, data, len);
        break;
    case TAG_MEMORY_MAP:
        mb2_memory_map(out, data, len);
        break;
    case TAG_RSDP_OLD:
        if (out->rsdp)
            break;
        FALLTHROUGH;
    case TAG_RSDP_NEW:
        out->rsdp = data;
        out->rsdp_len = len;
        break;
    default:
        break;
    }
}

static const char *parse_mb2(const struct reader *r, hpa_t info)
{
    const u8 *mbi = r->view(r->arg, info, MB2_HEAD);
    u32 size, at = MB2_HEAD;

    if (!mbi)
        return "the Multiboot2 information lies outside memory";
    size = get32(mbi);
    if (size < MB2_HEAD || size > MB2_MAX)
        return "the Multiboot2 information has an impossible size";
    mbi = r->view(r->arg, info, size);
    if (!mbi)
        return "the Multiboot2 information reaches outside memory";
    memmap_add(&r->out->map, info, size, MEM_BOOT);
    while (size - at >= sizeof(struct mb2_tag)) {
        u32 type = get32(mbi + at), len = get32(mbi + at + 4);

        if (type == TAG_END)
            return NULL;
        if (len < sizeof(struct mb2_tag) || len > size - at)
            return "a Multiboot2 tag reaches outside the information";
        mb2_tag(r->out, type, mbi + at + sizeof(struct mb2_tag), len - (u32)sizeof(struct mb2_tag));
        if (ALIGN_UP((u64)len, 8) > size - at)
            break;
        at += ALIGN_UP(len, 8);
    }
    return "the Multiboot2 information has no end tag";
}

/* A string somewhere in memory, which is kept. "" if there is none, or no end to it. */
static const char *pvh_string(const struct reader *r, hpa_t hpa)
{
    const char *s = hpa ? r->view(r->arg, hpa, 1) : NULL;

    if (!s)
        return "";
    for (u64 n = 0; n < PVH_MAX_STRING; n++) {
        const char *c = r->view(r->arg, hpa + n, 1);

        if (c != s + n)
            return "";
        if (!*c) {
            memmap_add(&r->out->map, hpa, n + 1, MEM_BOOT);
            return s;
        }
    }
    return "";
}

static const char *pvh_modules(const struct reader *r, hpa_t list, u32 count)
{
    const u8 *m = r->view(r->arg, list, (u64)count * sizeof(struct pvh_module));

    if (!m)
        return "the PVH module list lies outside memory";
    memmap_add(&r->out->map, list, (u64)count * sizeof(struct pvh_module), MEM_BOOT);
    for (u32 i = 0; i < count; i++) {
        struct pvh_module e;

        memcpy(&e, m + i * sizeof(e), sizeof(e));
        add_module(r->out, e.base, e.size, pvh_string(r, e.cmdline));
    }
    return NULL;
}

static const char *pvh_memory(const struct reader *r, hpa_t list, u32 count)
{
    const u8 *m = r->view(r->arg, list, (u64)count * sizeof(struct pvh_memory));

    if (!m)
        return "the PVH memory map lies outside memory";
    for (u32 i = 0; i < count; i++) {
        struct pvh_memory e;

        memcpy(&e, m + i * sizeof(e), sizeof(e));
        memmap_add(&r->out->map, e.base, e.size, firmware_type(e.type));
    }
    return NULL;
}

static const char *parse_pvh(const struct reader *r, hpa_t at)
{
    const void *view = r->view(r->arg, at, sizeof(struct pvh_info));
    struct pvh_info info;
    const char *why = NULL;

    if (!view)
        return "the PVH start info lies outside memory";
    memcpy(&info, view, sizeof(info));
    if (info.magic != PVH_MAGIC)
        return "the PVH start info has a wrong magic number";
    r->out->loader = "PVH";
    r->out->cmdline = pvh_string(r, info.cmdline);
    r->out->rsdp_hpa = info.rsdp;
    memmap_add(&r->out->map, at, sizeof(info), MEM_BOOT);
    if (info.version < 1 || !info.memmap_count || info.memmap_count > PVH_MAX_ENTRIES)
        return "the PVH start info has no memory map";
    why = pvh_memory(r, info.memmap, info.memmap_count);
    if (!why && info.module_count > PVH_MAX_ENTRIES)
        return "the PVH start info has an impossible number of modules";
    return !why && info.module_count ? pvh_modules(r, info.modules, info.module_count) : why;
}

const char *mbi_parse(enum boot_kind kind, hpa_t info, boot_view_fn view, void *arg,
                      struct boot_info *out)
{
    struct reader r = {view, arg, out};
    const char *why;

    memset(out, 0, sizeof(*out));
    out->cmdline = "";
    out->loader = "";
    why = kind == BOOT_PVH ? parse_pvh(&r, info) : parse_mb2(&r, info);
    for (u32 i = 0; i < out->map.count; i++)
        if (out->map.r[i].type == MEM_USABLE)
            return why;
    return why ? why : "the loader gave no memory map";
}
