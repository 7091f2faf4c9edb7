/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions of VMX, SVM, SMX and SMM are undefined where they are not turned on, at CPL 0
 * and at CPL 3 (CVE-2014-3645, CVE-2014-3646, CVE-2020-7467).
 */
#include "guests/check/check.h"

SNIPPET(do_vmcall, "xor %eax, %eax", "vmcall");
SNIPPET(do_vmlaunch, "", "vmlaunch");
SNIPPET(do_vmresume, "", "vmresume");
SNIPPET(do_vmxoff, "", "vmxoff");
SNIPPET(do_vmxon, ARG, "vmxon (" REG(ax) ")");
SNIPPET(do_vmptrld, ARG, "vmptrld (" REG(ax) ")");
SNIPPET(do_vmptrst, ARG, "vmptrst (" REG(ax) ")");
SNIPPET(do_vmclear, ARG, "vmclear (" REG(ax) ")");
SNIPPET(do_vmread, "xor %ecx, %ecx", "vmread " REG(cx) ", " REG(ax));
SNIPPET(do_vmwrite, "xor %ecx, %ecx", "vmwrite " REG(ax) ", " REG(cx));
SNIPPET(do_invept, ARG "mov $2, %ecx", "invept (" REG(ax) "), " REG(cx));
SNIPPET(do_invvpid, ARG "mov $2, %ecx", "invvpid (" REG(ax) "), " REG(cx));
SNIPPET(do_vmfunc, "xor %eax, %eax\n xor %ecx, %ecx", ".byte 0x0f, 0x01, 0xd4");
SNIPPET(do_getsec, "xor %eax, %eax", ".byte 0x0f, 0x37");
SNIPPET(do_rsm, "", "rsm");
SNIPPET(do_vmrun, ARG, ".byte 0x0f, 0x01, 0xd8");
SNIPPET(do_vmmcall, "xor %eax, %eax", ".byte 0x0f, 0x01, 0xd9");
SNIPPET(do_vmload, ARG, ".byte 0x0f, 0x01, 0xda");
SNIPPET(do_vmsave, ARG, ".byte 0x0f, 0x01, 0xdb");
SNIPPET(do_stgi, "", ".byte 0x0f, 0x01, 0xdc");
SNIPPET(do_clgi, "", ".byte 0x0f, 0x01, 0xdd");
SNIPPET(do_skinit, "xor %eax, %eax", ".byte 0x0f, 0x01, 0xde");
SNIPPET(do_invlpga, ARG "xor %ecx, %ecx", ".byte 0x0f, 0x01, 0xdf");

struct insn {
    const char *name;
    void (*fn)(void *);
    const u8 *at;
};

#define INSN(name)                                                                                 \
    {                                                                                              \
#name, do_##name, do_##name##_at                                                           \
    }

static const struct insn vmx[] = {
    INSN(vmlaunch), INSN(vmresume), INSN(vmxoff),  INSN(vmxon),  INSN(vmptrld), INSN(vmptrst),
    INSN(vmclear),  INSN(vmread),   INSN(vmwrite), INSN(invept), INSN(invvpid), INSN(vmfunc),
};
static const struct insn svm[] = {
    INSN(vmrun), INSN(vmload), INSN(vmsave), INSN(clgi), INSN(invlpga),
};
/* STGI and SKINIT depend on SKINIT's own bit where SVM is off. */
static const struct insn skinit[] = {INSN(stgi), INSN(skinit)};
static const struct insn calls[] = {INSN(vmcall), INSN(vmmcall)};
static const struct insn others[] = {INSN(getsec), INSN(rsm)};

/*
 * Below an SVM hypervisor EFER.SVME is on, whatever the guest sees: at CPL 3 the processor raises
 * #GP before it looks at the intercept (APM 2, 15.9).
 */
static bool undefined_in_user(const struct insn *list, const struct trap *t)
{
    bool svm_insn = list == svm || list == skinit;

    return t->vector == EXC_UD || (svm_insn && cpu_is_amd() && on_skep() && t->vector == EXC_GP);
}

static void all_undefined(const struct insn *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct trap t;

        trap_try(&t, list[i].fn, scratch[0]);
        EXPECT(t.vector == EXC_UD && t.ip == (ulong)list[i].at, "%s: vector %d at %lx",
               list[i].name, t.vector, t.ip);
        trap_try_user(&t, list[i].fn, scratch[0]);
        EXPECT(undefined_in_user(list, &t) && t.ip == (ulong)list[i].at,
               "%s at CPL 3: vector %d at %lx", list[i].name, t.vector, t.ip);
    }
}

static void virt_vmx(void)
{
    all_undefined(vmx, ARRAY_SIZE(vmx));
}

static void virt_svm(void)
{
    all_undefined(svm, ARRAY_SIZE(svm));
}

static void virt_skinit(void)
{
    REQUIRE(!cpu_has_ext_ecx(12), "SKINIT is offered");
    all_undefined(skinit, ARRAY_SIZE(skinit));
}

static void virt_calls(void)
{
    all_undefined(calls, ARRAY_SIZE(calls));
}

static void virt_smx_smm(void)
{
    all_undefined(others, ARRAY_SIZE(others));
}

static const struct check list[] = {
    {"virt_vmx", virt_vmx, ANYWHERE},         {"virt_svm", virt_svm, ANYWHERE},
    {"virt_skinit", virt_skinit, ANYWHERE},   {"virt_calls", virt_calls, ANYWHERE},
    {"virt_smx_smm", virt_smx_smm, ANYWHERE},
};
CHECK_GROUP(virt, list);
