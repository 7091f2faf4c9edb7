/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: skep's own command line and one string a boot module in, a description of
 * what to run out. Pure. The syntax is that of docs/grub-cfg.md:
 *
 *   multiboot2 /boot/skep.elf console=com1,115200 log=info
 *   module2 /boot/vmlinuz vm=web kernel mem=512M vcpus=2 -- console=ttyS0 root=/dev/vda1
 *   module2 /boot/initrd  vm=web initrd
 *
 * Everything that is not understood is one sentence that names the VM (or the file), the word and
 * what would have been accepted. It stops the VM it belongs to (struct config_vm.error) and no
 * other; what belongs to no VM is in struct config.errors and stops nothing.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "lib/types.h"
#include "lib/log.h"
#include "vmm/load/load.h"

#define CONFIG_MAX_VMS        16
#define CONFIG_VM_MODULES     16 /* of one VM, its kernel not counted */
#define CONFIG_NAME_SIZE      32
#define CONFIG_ERROR_SIZE     272
#define CONFIG_MAX_ERRORS     16
#define CONFIG_CMDLINE_SIZE   240 /* of a command line given later */
#define CONFIG_WEIGHT         10  /* unless said */
#define CONFIG_WEIGHT_MAX     1000
#define CONFIG_TSC_MAX        9999 /* MHz */
#define CONFIG_MEM_DEFAULT    (256 * MIB)
#define CONFIG_CONSOLE_BAUD   115200
#define CONFIG_ESCAPE_DEFAULT 0x1d /* Ctrl-] */
#define CONFIG_APIC_BEST      0xff /* config.apic without apic= */

/* Where skep's serial line is: at a port, where the firmware's tables say, on a PCI card. */
enum config_console_kind { CONFIG_CONSOLE_PORT, CONFIG_CONSOLE_SPCR, CONFIG_CONSOLE_PCI };

struct config_console {
    enum config_console_kind kind;
    u16 port;    /* CONFIG_CONSOLE_PORT */
    u16 nth;     /* CONFIG_CONSOLE_PCI: which, from 1 */
    u32 baud;    /* CONFIG_CONSOLE_SPCR may have 0: as the tables say */
    bool rtscts; /* output waits for CTS */
};

enum config_idle { CONFIG_IDLE_MONITOR, CONFIG_IDLE_POWEROFF, CONFIG_IDLE_REBOOT };

/* What to do when a VM has ended, other than by a person's order. */
enum config_restart {
    CONFIG_RESTART_NEVER,
    CONFIG_RESTART_CRASH, /* start it again if skep stopped it or it asked for a reset */
    CONFIG_RESTART_ALWAYS
};

/* When memory comes: on first touch, at the start, or at the start and it stays where it is. */
enum config_fill { CONFIG_FILL_DEMAND, CONFIG_FILL_BOOT, CONFIG_FILL_WIRED };

/* One of a VM's further modules. */
struct config_module {
    u16 index;                   /* into the modules given to config_parse */
    bool initrd;                 /* else a module */
    char name[CONFIG_NAME_SIZE]; /* for messages: the file's if the text has it, or "module 2" */
    const char *cmdline; /* what stood after "--"; "" if nothing did. Points into the given text */
};

struct config_vm {
    int kernel; /* index of its kernel's module; valid if error is empty */
    unsigned module_count;
    /* The guest's own, byte for byte. Points into the given text, or to own_cmdline. */
    const char *cmdline;
    u64 mem;        /* bytes, a multiple of 4 KiB */
    unsigned vcpus; /* 1 .. PLAT_MAX_VCPUS */
    u32 weight;     /* share of a processor that several VMs want: CONFIG_WEIGHT_MAX at most */
    u32 tsc_mhz;    /* tsc=: the rate of its TSC; 0: the machine's */
    u64 cpus;       /* physical CPUs it may use, a bit each; all ones if nothing was said */
    u8 type;        /* enum load_kind */
    bool has_base;  /* base=: where a flat binary goes */
    bool has_entry; /* entry=: where a flat binary or an ELF file starts */
    gpa_t base, entry;
    bool manual; /* start=manual: wait for the monitor to start it */
    u8 fill;     /* enum config_fill */
    bool testdev;
    u8 restart;      /* enum config_restart */
    u8 watch;        /* what is recorded from its start on: WATCH_* */
    bool created;    /* at the monitor */
    bool strict;     /* an instruction that cannot be emulated stops the VM */
    u8 uarts;        /* uart=: COM1-COM4, a bit each; COM1 always */
    u8 console_uart; /* which of them has the console: 0 for COM1 */
    char name[CONFIG_NAME_SIZE];
    char error[CONFIG_ERROR_SIZE];      /* not empty: this VM does not run, and this is why */
    char kernel_name[CONFIG_NAME_SIZE]; /* for messages: the file's, or "kernel" */
    char own_cmdline[CONFIG_CMDLINE_SIZE];
    struct config_module modules[CONFIG_VM_MODULES]; /* in the order given */
};

struct config {
    /* skep's own words, or their defaults where one was missing or wrong. */
    struct config_console console;
    u8 log;    /* enum log_level */
    u8 escape; /* the character itself, 0x01 .. 0x1f */
    u8 idle;   /* enum config_idle */
    u8 apic;   /* enum apic_help: the most that is used; CONFIG_APIC_BEST: what serves best */

    /* In the order in which their names first appear; a slot without a name is free. */
    struct config_vm vms[CONFIG_MAX_VMS];
    unsigned vm_count;

    char errors[CONFIG_MAX_ERRORS][CONFIG_ERROR_SIZE]; /* sentences that belong to no VM */
    unsigned error_count;
};

/* What the machine offers; checked against. */
struct config_limits {
    u64 mem;       /* bytes that one VM may have at most; 0: not known */
    unsigned cpus; /* physical CPUs */
};

/*
 * Reads skep's own line alone into the first six fields (the console is needed before there is
 * memory or a module list); wrong words become sentences. Sets every field of *c: no VMs yet.
 */
void config_parse_own(struct config *c, const char *cmdline);

/*
 * Reads the strings of the modules, module i's at text[i], into VMs. Call after config_parse_own.
 * The strings are NUL-terminated and must outlive *c, which points into them. A string may begin
 * with the file's name (a first word that starts with '/' or '(') or with the words at once: GRUB
 * passes only what stands after the name. Never fails as a whole. A struct config is too big for
 * a stack: keep it in static storage.
 */
void config_parse_modules(struct config *c, const char *const *text, unsigned count,
                          const struct config_limits *limits);

/* What log= calls this level: enum log_level; -1: nothing. */
int config_log_level(const char *word);

/*
 * A new VM with the defaults and no kernel; free it with config_vm_drop. ERR_INVAL: that is no
 * name; ERR_EXISTS; ERR_NOMEM: CONFIG_MAX_VMS are there.
 */
enum err config_vm_add(struct config *c, const char *name, struct config_vm **vm);
void config_vm_drop(struct config *c, struct config_vm *vm);
/* Everything but the name. */
void config_vm_copy(struct config_vm *to, const struct config_vm *from);

/*
 * Reads further words for a VM, and what stands behind "--" as its command line. modules: how many
 * there are for `initrd=N` and `module=N`, which add one; live: only what may change while it runs.
 * What is wrong afterwards, with these words or without, is in vm->error.
 */
void config_vm_words(struct config_vm *vm, const char *text, const struct config_limits *limits,
                     unsigned modules, bool live);

#endif
