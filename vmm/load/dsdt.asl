/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the board of vmm/platform.h has that guests cannot find by themselves: the legacy devices
 * and the way to switch it off. There is no PCI root. Run through the C preprocessor, then iasl.
 */
#define __ASL__
#include "vmm/platform.h"

DefinitionBlock ("", "DSDT", 2, "SKEP  ", "SKEPHV  ", 1)
{
    Name (\PICM, 0) // 0: interrupts by the PICs, 1: by the I/O APIC
    Method (\_PIC, 1)
    {
        PICM = Arg0
    }

    Name (\_S5, Package () { PLAT_S5_SLP_TYP, PLAT_S5_SLP_TYP, 0, 0 })

    Scope (\_SB)
    {
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_STA, 0x0f)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PLAT_COM1_PORT, PLAT_COM1_PORT, 1, 8)
                IRQNoFlags () { PLAT_IRQ_COM1 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PLAT_RTC_PORT, PLAT_RTC_PORT, 1, 2)
                IRQNoFlags () { PLAT_IRQ_RTC }
            })
        }

        Device (PIC)
        {
            Name (_HID, EisaId ("PNP0000"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PLAT_PIC1_PORT, PLAT_PIC1_PORT, 1, 2)
                IO (Decode16, PLAT_PIC2_PORT, PLAT_PIC2_PORT, 1, 2)
                IO (Decode16, PLAT_ELCR_PORT, PLAT_ELCR_PORT, 1, 2)
                IRQNoFlags () { 2 }
            })
        }

        Device (PIT)
        {
            Name (_HID, EisaId ("PNP0100"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PLAT_PIT_PORT, PLAT_PIT_PORT, 1, 4)
                IRQNoFlags () { PLAT_IRQ_PIT }
            })
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, PLAT_HPET_BASE, PLAT_HPET_SIZE)
            })
        }

        // The board's other ports and addresses that no driver claims by itself.
        Device (BRD0)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PLAT_PIT_GATE_PORT, PLAT_PIT_GATE_PORT, 1, 1)
                IO (Decode16, PLAT_KBC_PORT, PLAT_KBC_PORT, 1, 1)
                IO (Decode16, PLAT_POST_PORT, PLAT_POST_PORT, 1, 1)
                IO (Decode16, PLAT_FAST_A20_PORT, PLAT_FAST_A20_PORT, 1, 1)
                IO (Decode16, PLAT_PM_EVT_PORT, PLAT_PM_EVT_PORT, 1, 16)
                Memory32Fixed (ReadWrite, PLAT_LAPIC_BASE, PLAT_LAPIC_SIZE)
            })
        }
    }
}
