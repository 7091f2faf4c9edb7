/* SPDX-License-Identifier: BSD-2-Clause */
/* Which loader a kernel gets, and what is the same for all of them. */
#include "vmm/load/load.h"

#include "lib/string.h"
#include "vmm/load/firmware.h"
#include "vmm/load/kinds.h"

/* By enum load_kind; auto has none. */
static const struct load_kind_ops *const kinds[LOAD_KIND_COUNT] = {
    [LOAD_LINUX] = &load_linux,
    [LOAD_MULTIBOOT] = &load_multiboot,
    [LOAD_MULTIBOOT2] = &load_multiboot2,
    [LOAD_PVH] = &load_pvh,
    [LOAD_ELF] = &load_elf,
    [LOAD_FREEBSD] = &load_freebsd,
    [LOAD_FLAT] = &load_flat,
};

/*
 * The order in which auto asks: what says most about how to start it comes first. A flat binary
 * says nothing and is never guessed.
 */
static const u8 auto_order[] = {LOAD_LINUX,   LOAD_MULTIBOOT2, LOAD_MULTIBOOT,
                                LOAD_FREEBSD, LOAD_PVH,        LOAD_ELF};

COLD static bool check_request(struct load_ctx *c, const struct load_request *req)
{
    if (!req->kernel.size)
        return ctx_fail_image(c, ERR_INVAL, "the file is empty");
    if (req->mem_size < PLAT_MEM_MIN || req->mem_size > PLAT_MEM_MAX ||
        !IS_ALIGNED(req->mem_size, PAGE_SIZE))
        return ctx_fail(c, ERR_RANGE, "a guest cannot have 0x%llx bytes of memory",
                        (unsigned long long)req->mem_size);
    if (!req->vcpus || req->vcpus > PLAT_MAX_VCPUS)
        return ctx_fail(c, ERR_RANGE, "a guest cannot have %u processors: 1 to %d", req->vcpus,
                        PLAT_MAX_VCPUS);
    if (req->kernel.size > req->mem_size)
        return ctx_fail_image(c, ERR_RANGE, "it has %lluK, more than the guest's memory of %lluK",
                              (unsigned long long)(req->kernel.size + 1023) >> 10,
                              (unsigned long long)req->mem_size >> 10);
    return true;
}

/* What some files are that are no kernel, for a better sentence. */
static const char *describe(const struct load_image *k)
{
    static const struct {
        u8 len;
        char magic[6];
        const char *what;
    } known[] = {
        {2, "\x1f\x8b", "a gzip file: unpack it first"},
        {6,
         "\xfd"
         "7zXZ",
         "an xz file: unpack it first"},
        {4, "\x28\xb5\x2f\xfd", "a zstd file: unpack it first"},
        {6, "070701", "a cpio archive, an initrd perhaps: say 'initrd'"},
        {2, "MZ", "a PE (EFI) program and no Linux bzImage"},
        {2, "#!", "a script"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (image_has(k, 0, known[i].len) && !memcmp(k->data, known[i].magic, known[i].len))
            return known[i].what;
    if (k->size >= 512 && get16(k->data + 510) == 0xaa55)
        return "a boot sector, which needs a BIOS, and guests have none";
    return NULL;
}

/* Whether the kernel is of this kind; what the probe found wrong with it does not matter. */
static bool is_kind(struct load_ctx *c, enum load_kind kind)
{
    bool is = kinds[kind]->probe(c);

    c->err = OK;
    return is;
}

/* The kernel's kind; LOAD_AUTO: it has none, or not the one it is said to have. */
static enum load_kind choose(struct load_ctx *c)
{
    const char *what = describe(c->img);
    enum load_kind kind = c->req->kind;

    if (kind >= LOAD_KIND_COUNT) {
        ctx_fail(c, ERR_NOSUP, "no loader of kind %d", (int)kind);
    } else if (kind != LOAD_AUTO) {
        if (is_kind(c, kind))
            return kind;
        ctx_fail_image(c, ERR_INVAL, "type=%s, but it has no %s%s%s", kinds[kind]->name,
                       kinds[kind]->sign, what ? "; it is " : "", what ? what : "");
    } else {
        for (unsigned i = 0; i < ARRAY_SIZE(auto_order); i++)
            if (is_kind(c, auto_order[i]))
                return auto_order[i];
        ctx_fail_image(c, ERR_INVAL, "it is no kernel: %s%s", what ? "it is " : "",
                       what ? what
                            : "neither Linux ('HdrS' at file offset 0x202), nor a Multiboot "
                              "header, nor ELF");
    }
    return LOAD_AUTO;
}

enum err load_guest(const struct load_request *req, const struct load_mem *mem,
                    struct load_state *state, char error_text[LOAD_ERROR_SIZE])
{
    struct load_ctx c;
    enum load_kind kind = LOAD_AUTO;

    ctx_init(&c, req, mem, state, error_text);
    if (check_request(&c, req))
        kind = choose(&c);
    if (kind != LOAD_AUTO) {
        error_text[0] = 0;
        kinds[kind]->load(&c);
        firmware_write(&c);
        state->kind = kind;
    }
    return c.err;
}
