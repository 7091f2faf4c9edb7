/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine monitor's way in, for boot/main.c. */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "lib/types.h"
#include "vmm/config.h"
#include "vmm/vm.h"

/* What skep was given to run: modules and their words. Bytes and texts are in the direct map. */
struct vmm_input {
    const struct vm_module *modules;
    const char *const *texts;
    unsigned count;
};

/*
 * Takes the processor's virtualisation on, reads the modules' words into *config (skep's own have
 * been read), starts the VMs and runs them. Boot CPU; vm_outside has been set. Does not return.
 */
NORETURN void vmm_main(struct config *config, const struct vmm_input *input);

/* What every other CPU does for the rest of its life; waits for vmm_main first. */
NORETURN void vmm_cpu_main(void);

/* Starts a configured VM; ERR_* with the reason in the log. From the boot CPU's loop. */
enum err vmm_start_vm(u32 index);
const struct config_limits *vmm_limits(void);
const struct vmm_input *vmm_input(void);

#endif
