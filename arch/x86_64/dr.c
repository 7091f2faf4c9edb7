/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers: see dr.h. */
#include "arch/x86_64/dr.h"
#include "arch/x86_64/cpu.h"

u64 dr_read(unsigned n)
{
    switch (n) {
    case 0:
        return cpu_read_dr0();
    case 1:
        return cpu_read_dr1();
    case 2:
        return cpu_read_dr2();
    default:
        return cpu_read_dr3();
    }
}

void dr_write(unsigned n, u64 value)
{
    switch (n) {
    case 0:
        cpu_write_dr0(value);
        break;
    case 1:
        cpu_write_dr1(value);
        break;
    case 2:
        cpu_write_dr2(value);
        break;
    default:
        cpu_write_dr3(value);
        break;
    }
}

void dr_save(u64 dr[4])
{
    for (unsigned n = 0; n < 4; n++)
        dr[n] = dr_read(n);
}

void dr_load(const u64 dr[4])
{
    for (unsigned n = 0; n < 4; n++)
        dr_write(n, dr[n]);
}
