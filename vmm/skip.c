/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The length of intercepted instructions on processors that do not give it (SVM without next RIP):
 * found in the guest's memory, through its paging.
 *
 * Most of them are found without a walk: the page that held the last one is remembered, by RIP's
 * page, CR3 and the generation of the guest's memory. The guest may have mapped another page there
 * since, unseen; so the bytes are only believed if they are exactly the instruction that the exit
 * reported, without a prefix. Anything else is fetched anew.
 *
 * The page is not held meanwhile. Its frame may go only after the generation has been raised;
 * should that happen between the comparison and the look, up to three foreign bytes are compared
 * with constants, and nothing of them reaches anybody.
 */
#include "lib/string.h"
#include "vmm/emulate.h"
#include "vmm/exits.h"
#include "vmm/vm.h"

/* The encodings without prefixes (SDM 2). */
static const struct {
    u8 len, bytes[3];
} plain[OP_COUNT] = {
    [OP_CPUID] = {2, {0x0f, 0xa2}},
    [OP_RDMSR] = {2, {0x0f, 0x32}},
    [OP_WRMSR] = {2, {0x0f, 0x30}},
    [OP_RDPMC] = {2, {0x0f, 0x33}},
    [OP_HLT] = {1, {0xf4}},
    [OP_INVD] = {2, {0x0f, 0x08}},
    [OP_WBINVD] = {2, {0x0f, 0x09}},
    [OP_PAUSE] = {2, {0xf3, 0x90}},
    [OP_XSETBV] = {3, {0x0f, 0x01, 0xd1}},
};

static bool is_plain(const u8 *bytes, enum insn_op op)
{
    for (unsigned i = 0; i < plain[op].len; i++)
        if (bytes[i] != plain[op].bytes[i])
            return false;
    return true;
}

/* The length if the remembered page has that instruction at RIP; else 0. */
static unsigned remembered(struct vcpu *v, u64 rip, enum insn_op op)
{
    const struct code_page *p = &v->code_page;
    u32 offset = rip & PAGE_MASK;
    unsigned len = plain[op].len;

    if (rip - offset != p->rip || !p->bytes || offset + len > PAGE_SIZE || len == 0)
        return 0;
    if (p->generation != __atomic_load_n(&v->space->generation, __ATOMIC_RELAXED) ||
        p->cr3 != hvm->get(v->hv, HVM_CR3))
        return 0;
    return is_plain(p->bytes + offset, op) ? len : 0;
}

/* Remembers the page of the instruction just fetched. */
static void remember(struct vcpu *v, struct emul_cpu *c, u64 rip)
{
    struct code_page *p = &v->code_page;
    struct x86_seg cs;
    gpa_t gpa;

    hvm->get_seg(v->hv, SEG_CS, &cs);
    p->bytes = NULL;
    p->generation = __atomic_load_n(&v->space->generation, __ATOMIC_ACQUIRE);
    if ((cs.base & PAGE_MASK) || !emul_peek_gla(c, cs.base + rip, &gpa))
        return;
    p->rip = rip & ~PAGE_MASK;
    p->cr3 = hvm->get(v->hv, HVM_CR3);
    p->bytes = space_hold(v->space, gpa & ~PAGE_MASK, PAGE_SIZE, false);
    if (p->bytes)
        space_release(v->space, gpa & ~PAGE_MASK);
}

COLD void exit_skip_decoding(struct vcpu *v, const struct hvm_exit *e, enum insn_op op)
{
    unsigned len = remembered(v, e->rip, op);

    if (!len) {
        struct emul_cpu *c = emulate_begin(v, e);
        if (!emulate_settle(v, c, emul_insn_length(c, op, &len)))
            return;
        remember(v, c, e->rip);
    }
    hvm->advance(v->hv, len);
}
