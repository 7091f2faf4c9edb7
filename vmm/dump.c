/* SPDX-License-Identifier: BSD-2-Clause */
/* See dump.h. */
#include "vmm/dump.h"
#include "lib/log.h"
#include "lib/print.h"
#include "lib/string.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define LAST_EXITS 12

typedef unsigned long long ull;

static void line(dump_line_fn out, const char *names, const char *fmt, ...) PRINTF(3, 4);
static void line(dump_line_fn out, const char *names, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    out(names, fmt, ap);
    va_end(ap);
}

static void dump_general(struct vcpu *v, dump_line_fn out)
{
    static const char names[GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                             "rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
                                             "r12", "r13", "r14", "r15"};
    static const char *const gpr_names[] = {"-,rax,-,rcx,-,rdx,-,rbx", "-,rsp,-,rbp,-,rsi,-,rdi",
                                            "-,r8,-,r9,-,r10,-,r11", "-,r12,-,r13,-,r14,-,r15"};

    line(out, "rip,rflags", "  rip %016llx rflags %08llx", (ull)vcpu_get(v, HVM_RIP),
         (ull)vcpu_get(v, HVM_RFLAGS));
    for (unsigned r = 0; r < GPR_COUNT; r += 4)
        line(out, gpr_names[r / 4], "  %s %016llx %s %016llx %s %016llx %s %016llx", names[r],
             (ull)hvm_gpr(v->hv, r), names[r + 1], (ull)hvm_gpr(v->hv, r + 1), names[r + 2],
             (ull)hvm_gpr(v->hv, r + 2), names[r + 3], (ull)hvm_gpr(v->hv, r + 3));
    line(out, "cr0,cr2,cr3,cr4,efer", "  cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %04llx",
         (ull)vcpu_get(v, HVM_CR0), (ull)vcpu_get(v, HVM_CR2), (ull)vcpu_get(v, HVM_CR3),
         (ull)vcpu_get(v, HVM_CR4), (ull)vcpu_get(v, HVM_EFER));
}

static void dump_segments(struct hvm_vcpu *hv, dump_line_fn out)
{
    static const char names[SEG_COUNT][5] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    struct x86_seg s;
    struct x86_table gdt, idt;

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        hvm->get_seg(hv, i, &s);
        line(out, "segments[name,selector,base,limit,attributes",
             "  %-4s %04x base %016llx limit %08x attr %05x", names[i], s.sel, (ull)s.base, s.limit,
             s.attr);
    }
    hvm->get_table(hv, false, &gdt);
    hvm->get_table(hv, true, &idt);
    line(out, "gdt,gdt_limit,idt,idt_limit", "  gdt %016llx/%04x idt %016llx/%04x", (ull)gdt.base,
         gdt.limit, (ull)idt.base, idt.limit);
}

/* The bytes at RIP, if they can be read; ff from where they cannot. */
COLD static void dump_code(struct vcpu *v, dump_line_fn out)
{
    struct emul_cpu *c = &v->emul;
    char text[3 * 16];
    u8 b[16];
    gpa_t gpa;

    emul_begin(c, &v->vm->emul_ops, v, v->hv->gpr);
    u64 rip = vcpu_get(v, HVM_RIP);
    struct x86_seg cs;
    hvm->get_seg(v->hv, SEG_CS, &cs);
    memset(b, 0xff, sizeof(b));
    for (unsigned i = 0; i < sizeof(b); i++) {
        gla_t gla = cs.base + rip + i;
        if (!emul_peek_gla(c, gla, &gpa) || space_read(v->vm->space, gpa, &b[i], 1))
            break;
    }
    fmt_bytes(text, b, 12);
    line(out, "code", "  code %s", text);
}

void dump_exits(struct vcpu *v, u32 count, dump_line_fn out)
{
    const struct hvm_exit *e = v->newest;

    count = (u32)MIN(vcpu_exit_count(v), (u64)MIN(count, (u32)VCPU_LAST_EXITS));
    line(out, "last[", "  last exits, newest first:");
    for (u32 i = 0; i < count; i++) {
        line(out, "last[reason,rip,info", "  %-13s rip %016llx info %llx", hvm_exit_name(e->reason),
             (ull)e->rip, (ull)hvm_exit_info(e));
        e = (e == v->last ? &v->last[VCPU_LAST_EXITS] : e) - 1;
    }
}

void dump_registers(struct vcpu *v, dump_line_fn out)
{
    dump_general(v, out);
    dump_segments(v->hv, out);
    dump_code(v, out);
}

static void to_log(const char *names, const char *fmt, va_list ap)
{
    char text[160];

    (void)names;
    fmt_vprint(text, sizeof(text), fmt, ap);
    log_error("%s", text);
}

void dump_vcpu(struct vcpu *v)
{
    log_error("vm %s: vcpu %u on cpu %u:", v->vm->name, v->id, v->cpu);
    if (v->loaded)
        dump_registers(v, to_log);
    dump_exits(v, LAST_EXITS, to_log);
}
