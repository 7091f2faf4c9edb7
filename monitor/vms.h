/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about whole VMs, for the table in command.c. */
#ifndef MONITOR_VMS_H
#define MONITOR_VMS_H

#include "monitor/command.h"

void cmd_list(struct args *a);
void cmd_info(struct args *a);
void cmd_start(struct args *a);
void cmd_stop(struct args *a);
void cmd_pause(struct args *a);
void cmd_resume(struct args *a);
void cmd_reset(struct args *a);
void cmd_destroy(struct args *a);
void cmd_console(struct args *a);
void cmd_log(struct args *a);

/* create.c */
void cmd_create(struct args *a);
void cmd_set(struct args *a);
void cmd_modules(struct args *a);

#endif
