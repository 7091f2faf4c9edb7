/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One load in progress: the request, the guest's memory with what is already taken of it, and the
 * way to fail with a sentence. Shared by the loaders; not for use outside vmm/load.
 */
#ifndef VMM_LOAD_CTX_H
#define VMM_LOAD_CTX_H

#include "lib/bytes.h"
#include "vmm/load/load.h"
#include "vmm/platform.h"

#define LOAD_MAX_RANGES 48

/* [start, end) of guest-physical addresses. */
struct load_range {
    gpa_t start, end;
};

struct load_ctx {
    const struct load_request *req;
    const struct load_mem *mem;
    struct load_state *state;
    const struct load_image *img; /* what is being read: sentences begin with its name */
    char *error;                  /* LOAD_ERROR_SIZE bytes */
    enum err err; /* why the load fails. From then on nothing is written, and no more is said */
    unsigned taken_count;
    struct load_range taken[LOAD_MAX_RANGES];
};

/* Starts a load: nothing but the firmware's own areas and the holes is taken. */
void ctx_init(struct load_ctx *c, const struct load_request *req, const struct load_mem *mem,
              struct load_state *state, char *error);

/*
 * Both make the load fail with a sentence, unless it has failed already, and return false. The
 * second begins the sentence with the image's name.
 */
bool ctx_fail(struct load_ctx *c, enum err e, const char *fmt, ...) PRINTF(3, 4);
bool ctx_fail_image(struct load_ctx *c, enum err e, const char *fmt, ...) PRINTF(3, 4);

/* Writes to guest memory. ERR_RANGE and a sentence where that is not RAM. len may be 0. */
void ctx_write(struct load_ctx *c, gpa_t gpa, const void *buf, u64 len);
void ctx_zero(struct load_ctx *c, gpa_t gpa, u64 len);

/*
 * Takes [gpa, gpa + len), which the image asks for by address. Fails with a sentence (what: "the
 * segment at file offset 0x1000") where it is not free RAM. len 0 takes nothing.
 */
bool ctx_claim(struct load_ctx *c, gpa_t gpa, u64 len, const char *what);

/*
 * Finds and takes len free bytes in [lo, hi), aligned (a power of two), the lowest or the highest
 * that there are. False if there are none.
 */
bool ctx_place_low(struct load_ctx *c, u64 len, u64 align, gpa_t lo, gpa_t hi, gpa_t *gpa);
bool ctx_place_high(struct load_ctx *c, u64 len, u64 align, gpa_t lo, gpa_t hi, gpa_t *gpa);

/* Whether [gpa, gpa + len) is free RAM. */
bool ctx_is_free(const struct load_ctx *c, gpa_t gpa, u64 len);

/* Takes len bytes for what a boot protocol tells, 8-aligned, below 640 KiB if they fit. */
bool ctx_place_info(struct load_ctx *c, u64 len, gpa_t *gpa);

/* The i-th module becomes what is read. */
static inline const struct load_image *ctx_module(struct load_ctx *c, unsigned i)
{
    return c->img = &c->req->modules[i].image;
}

/*
 * Where the initrds end that lie one behind the other from gpa on, each at a multiple of four as
 * Linux's unpacker wants. write: puts them there.
 */
gpa_t ctx_initrds(struct load_ctx *c, gpa_t gpa, bool write);

/* The image's command line, "" for none, and the whole length with its NUL. */
const char *image_cmdline(const struct load_image *img);
u64 image_cmdline_size(const struct load_image *img);

/* Whether [off, off + len) lies inside the image. */
static inline bool image_has(const struct load_image *img, u64 off, u64 len)
{
    return off <= img->size && len <= img->size - off;
}

#endif
