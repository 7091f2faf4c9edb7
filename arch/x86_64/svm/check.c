/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why VMRUN refused, in words: the conditions of APM 2, 15.5.1 and 15.20, in the manual's order. It
 * runs only after a failure.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "lib/log.h"
#include "lib/print.h"

#define ATTR_L  BIT(9)
#define ATTR_DB BIT(10)

static const char *check_registers(const struct vmcb *cb)
{
    bool long_mode = cb->efer & EFER_LME && cb->cr0 & CR0_PG;

    if (!(cb->efer & EFER_SVME))
        return "EFER: SVME is clear";
    if (!(cb->cr0 & CR0_CD) && cb->cr0 & CR0_NW)
        return "CR0: NW without CD";
    if (cb->cr0 >> 32)
        return "CR0: upper half";
    if (cb->cr3 & ~paging_max_hpa())
        return "CR3: beyond the physical address width";
    if (cb->cr4 >> 32)
        return "CR4: upper half";
    if (cb->dr6 >> 32 || cb->dr7 >> 32)
        return "DR6 or DR7: upper half";
    if (cb->efer >> 32)
        return "EFER: upper half";
    if (long_mode && !(cb->cr4 & CR4_PAE))
        return "long mode without CR4.PAE";
    if (long_mode && !(cb->cr0 & CR0_PE))
        return "long mode without CR0.PE";
    if (cb->cr0 & CR0_PG && !(cb->cr0 & CR0_PE))
        return "CR0: PG without PE";
    if (long_mode && cb->cs.attr & ATTR_L && cb->cs.attr & ATTR_DB)
        return "CS: both L and D";
    return NULL;
}

static const char *check_control(const struct vmcb *cb, u64 event)
{
    unsigned type = EVENT_TYPE(event);

    if (!(cb->intercept2 & INTERCEPT2_VMRUN))
        return "VMRUN is not intercepted";
    if (!cb->asid || cb->asid >= svm.asids)
        return "an ASID that does not exist";
    if ((cb->iopm | cb->msrpm | cb->nested_root) & (PAGE_MASK | ~paging_max_hpa()))
        return "the address of a permission map or of the nested tables";
    if (!(event & EVENT_VALID))
        return NULL;
    if (type == 1 || type > EVENT_TYPE_SOFT_INTR)
        return "event: a type that does not exist";
    if (type == EVENT_TYPE_EXCEPTION &&
        ((event & EVENT_VECTOR) == EXC_NMI || (event & EVENT_VECTOR) > 31))
        return "event: a vector that is no exception";
    return NULL;
}

const char *svm_bad_state(struct svm_vcpu *v, u64 event)
{
    const char *why = check_registers(v->vmcb);

    if (!why)
        why = check_control(v->vmcb, event);
    if (!why)
        why = "no check tells why (a reserved bit of CR4, or one that the processor lacks?)";
    fmt_print(v->why, sizeof(v->why), "invalid guest state: %s", why);
    return v->why;
}

void svm_dump(struct hvm_vcpu *base)
{
    const struct svm_vcpu *v = svm_vcpu(base);
    const struct vmcb *cb = v->vmcb;
    static const char names[] = "exit code\0"
                                "EXITINFO1\0"
                                "EXITINFO2\0"
                                "EXITINTINFO\0"
                                "next RIP\0"
                                "virtual interrupts\0"
                                "shadow\0"
                                "exceptions\0"
                                "intercepts 1\0"
                                "intercepts 2\0"
                                "real EFER\0"
                                "CPL\0";
    const u64 values[] = {
        cb->exit_code, cb->exit_info1, cb->exit_info2, cb->exit_event, cb->next_rip, cb->virq,
        cb->shadow,    cb->exceptions, cb->intercept1, cb->intercept2, cb->efer,     cb->cpl,
    };

    log_error("SVM: ASID %u, nested root %#llx%s%s", cb->asid, (unsigned long long)cb->nested_root,
              v->nmi_blocked ? ", NMIs blocked" : "",
              v->attention & ATTEND_STEPPING ? ", stepping" : "");
    for (unsigned i = 0; i + 1 < ARRAY_SIZE(values); i += 2)
        log_error("  %s %#llx, %s %#llx", text_nth(names, i), (unsigned long long)values[i],
                  text_nth(names, i + 1), (unsigned long long)values[i + 1]);
}
