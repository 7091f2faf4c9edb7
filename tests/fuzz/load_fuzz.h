/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loaders' fuzz targets share: an image made of a valid template and patches that the
 * fuzzer chooses, and a guest memory that only checks where it is written, and from what.
 *
 * Input: memory size, vcpus, modules, size of the image; a count of patches (u16 offset, u8
 * length 0-8, bytes); what is left is laid over the image's start if bit 7 of the count is set,
 * behind the template otherwise.
 */
#ifndef TESTS_FUZZ_LOAD_FUZZ_H
#define TESTS_FUZZ_LOAD_FUZZ_H

#include <stdlib.h>
#include <string.h>
#include <sanitizer/asan_interface.h>

#include "tests/unit/guest_ram.h"
#include "vmm/load/load.h"

static u64 fuzz_mem_size;

static void fuzz_check(gpa_t gpa, u64 len)
{
    if (!len || !guest_ram_has(fuzz_mem_size, gpa, len))
        abort();
}

static enum err fuzz_write(void *arg, gpa_t gpa, const void *buf, u64 len)
{
    (void)arg;
    fuzz_check(gpa, len);
    if (__asan_region_is_poisoned((void *)(uintptr_t)buf, len))
        abort();
    return OK;
}

static enum err fuzz_zero(void *arg, gpa_t gpa, u64 len)
{
    (void)arg;
    fuzz_check(gpa, len);
    return OK;
}

#define FUZZ_IMAGE_MAX 0x10000

static inline int fuzz_load(const u8 *data, size_t size, enum load_kind kind, const u8 *template,
                            size_t template_size, const u8 *module, size_t module_size)
{
    static const u64 sizes[] = {2 * MIB, 8 * MIB, 64 * MIB, 3 * GIB, 5 * GIB, 1024 * GIB};
    const struct load_mem ops = {fuzz_write, fuzz_zero, NULL};
    struct load_module modules[3] = {0};
    struct load_request r = {.kind = kind, .modules = modules};
    char error[LOAD_ERROR_SIZE];
    struct load_state state;
    size_t image_size, n, rest;
    u8 patches, *image, *copy, *module_copy;

    if (size < 8)
        return 0;
    r.mem_size = fuzz_mem_size = sizes[data[0] % 6];
    r.vcpus = 1 + data[1] % 32;
    r.module_count = data[2] & 3;
    if (data[2] & 0x10)
        r.kind = LOAD_AUTO;
    image_size = data[3] | data[4] << 8;
    patches = data[5];
    data += 6;
    size -= 6;

    image = calloc(1, FUZZ_IMAGE_MAX);
    memcpy(image, template, template_size);
    for (unsigned i = 0; i < (patches & 0x1fu) && size >= 3; i++) {
        size_t at = data[0] | data[1] << 8, len = data[2] % 9;

        data += 3;
        size -= 3;
        len = MIN(len, size);
        if (at + len <= FUZZ_IMAGE_MAX)
            memcpy(image + at, data, len);
        data += len;
        size -= len;
    }
    rest = patches & 0x80 ? 0 : template_size;
    n = MIN(size, FUZZ_IMAGE_MAX - rest);
    memcpy(image + rest, data, n);
    /* An allocation of its own size, so that one byte too far is seen. */
    copy = malloc(image_size ? image_size : 1);
    memcpy(copy, image, image_size);
    free(image);
    /* The first module is patched like the kernel, over its own template. */
    module_copy = malloc(image_size ? image_size : 1);
    memcpy(module_copy, copy, image_size);
    for (size_t i = 0; module && i < MIN(image_size, MIN(module_size, template_size)); i++)
        if (copy[i] == template[i])
            module_copy[i] = module[i];
    r.kernel = (struct load_image){copy, image_size, "k", "-v guest's=words \"x y\""};
    for (unsigned i = 0; i < 3; i++)
        modules[i] = (struct load_module){
            {i ? copy : module_copy, image_size / (i + 1), "m", i == 2 ? "-t raw x" : "a module"},
            i & 1};
    memset(error, 0x55, sizeof(error));
    if (load_guest(&r, &ops, &state, error) && (!error[0] || !memchr(error, 0, sizeof(error))))
        abort();
    free(copy);
    free(module_copy);
    return 0;
}

#endif
