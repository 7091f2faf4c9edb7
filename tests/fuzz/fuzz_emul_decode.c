/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder with any bytes: it never looks beyond what it is given, says the same however many
 * bytes follow the instruction, and its answer holds together.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/assert.h"
#include "vmm/emul/insn.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check_insn(const struct insn *in, enum insn_mode mode)
{
    ASSERT(in->len >= 1 && in->len <= INSN_MAX);
    ASSERT(in->op < OP_COUNT && in->mode == mode);
    ASSERT(in->opsize && in->opsize <= 32 && in->msize <= 32);
    ASSERT(in->asize == 2 || in->asize == 4 || (in->asize == 8 && mode == INSN_64));
    ASSERT(in->base < GPR_COUNT || in->base == INSN_NO_REG ||
           (in->base & 0xf7) == (INSN_NO_REG & 0xf7));
    ASSERT(in->reg < 16 && in->rm < 16 && in->vvvv < 16 && in->seg <= SEG_GS);
    ASSERT(!(in->flags & INSN_HAS_MEM) || !in->access || in->msize);
    ASSERT(insn_name(in->op)[0]);
    if (mode != INSN_64)
        ASSERT(in->reg < 8 && in->rm < 8 && !(in->flags & (INSN_REX | INSN_RIP_REL)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    enum insn_mode mode;
    struct insn in, again;
    enum insn_status st;
    u8 *exact, padded[64];

    if (size < 2)
        return 0;
    mode = (enum insn_mode)(data[0] % 3);
    size = MIN(size - 1, (size_t)40);
    exact = malloc(size); /* of this size, so that the sanitizer sees a byte too many */
    memcpy(exact, data + 1, size);
    memset(&in, 0, sizeof(in));
    st = insn_decode(exact, (unsigned)size, mode, &in);
    for (unsigned op = 0; op < OP_COUNT; op++)
        ASSERT(insn_length(exact, (unsigned)size, mode, (enum insn_op)op) <= MIN(size, INSN_MAX));
    ASSERT(st != INSN_SHORT || size < INSN_MAX);
    ASSERT(st != INSN_TOO_LONG || size >= INSN_MAX);
    if (st == INSN_OK) {
        check_insn(&in, mode);
        ASSERT(in.len <= size);
        /* The bytes alone, and with others behind: the quick lane and the long way agree. */
        memset(padded, 0xa5, sizeof(padded));
        memcpy(padded, exact, in.len);
        for (unsigned n = in.len; n <= 20; n += 20 - in.len ? 20 - in.len : 1) {
            memset(&again, 0, sizeof(again));
            ASSERT(insn_decode(padded, n, mode, &again) == INSN_OK);
            ASSERT(!memcmp(&again, &in, sizeof(in)));
        }
        for (unsigned n = 0; n < in.len; n++)
            ASSERT(insn_decode(exact, n, mode, &again) != INSN_OK);
    }
    free(exact);
    return 0;
}
