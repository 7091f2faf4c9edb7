/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled DSDT as bytes; load.mk makes dsdt.inc in the build folder from dsdt.asl. */
#include "vmm/load/firmware.h"

const u8 acpi_dsdt[] = {
#include "dsdt.inc"
};
const u32 acpi_dsdt_size = sizeof(acpi_dsdt);
