/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's commands: what they are given, and what they share. All on the boot CPU's loop. */
#ifndef MONITOR_COMMAND_H
#define MONITOR_COMMAND_H

#include "lib/types.h"
#include "vmm/config.h"
#include "vmm/vm.h"

#define ARGS_MAX  6
#define WORDS_ANY 255 /* the command reads `rest` itself */

typedef unsigned long long ull; /* for formats */

/* What stood behind a command's name: what it needs (below), and the words after that. */
struct args {
    const char *rest; /* all that stood there, as it was */
    unsigned count;
    const char *word[ARGS_MAX];
    unsigned i; /* the VM's number */
    struct vm *vm;
    struct vcpu *v;
};

typedef void (*command_fn)(struct args *a);

/*
 * What a command needs besides words: a VM, one that runs (or is paused), a vCPU of one. Where no
 * VM is named it is the only one, or the one whose console was seen last; where no vCPU ("v1"), 0.
 */
enum command_need { NEED_NOTHING, NEED_VM, NEED_RUNNING, NEED_VCPU };

struct command {
    /*
     * Its name; its arguments as `help` shows them; half a sentence of what it does, and after a
     * newline an example if one is needed. \0 between them.
     */
    const char *text;
    u8 need;  /* enum command_need */
    u8 words; /* at most, after that */
    command_fn run;
};
extern const struct command commands[]; /* ends with text NULL */

/* Looks a line up, carries it out and answers it. */
void command_run(const char *line);
/* Completion: see struct line_ops. */
const char *command_candidate(const char *text, unsigned word, unsigned i);

/* A VM's number by its name; -1, with a message, if there is none. */
int vm_by_name(const char *name);

/* Has fn called when the answer is complete. */
void command_then(void (*fn)(struct vm *vm), struct vm *vm);

/* Whether it runs, or is paused. */
static inline bool vm_alive(const struct vm *vm)
{
    return vm && vm->state == VM_RUNNING;
}

void args_shift(struct args *a);
/* Whether the next word is a VM's name. */
bool args_is_vm(const struct args *a);
/* Takes a VM off, as NEED_VM and NEED_RUNNING do; false, with a message: there is none. */
bool args_vm(struct args *a, bool alive);
/* Takes a number off: false, with a message that uses `what`, if the next word is none. */
bool args_number(struct args *a, const char *what, u64 *out);

/* Has fn called with v loaded; a message if that cannot be done. */
void on_vcpu(struct vcpu *v, void (*fn)(struct vcpu *v, void *arg), void *arg);

/* What becomes of VMs (monitor.c). */
struct config *monitor_config(void);
/* The VM whose console was seen last, or -1. */
int monitor_last_vm(void);
/* The command that runs is to be run again every second until a key. */
void monitor_repeat(void);

/* Gives a VM the keyboard, and says so. */
void monitor_go_to(struct vm *vm);

/* The commands, by file: inspect.c, record.c, machine.c, memory.c. */
void cmd_regs(struct args *a);
void cmd_dis(struct args *a);
void cmd_bt(struct args *a);
void cmd_x(struct args *a);
void cmd_xp(struct args *a);
void cmd_walk(struct args *a);
void cmd_exits(struct args *a);
void cmd_learn(struct args *a);
void cmd_measure(struct args *a);
void cmd_trace(struct args *a);
void cmd_last(struct args *a);
void cmd_irq(struct args *a);
void cmd_devices(struct args *a);
void cmd_mem(struct args *a);
void cmd_cpu(struct args *a);

#endif
