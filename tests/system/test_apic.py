# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC by each word of apic=: what a guest may rely on is the same with each."""
import re

import pytest

import image
from machines import guest_elf, machine, skep_iso, skep_lines

# host, asked for, what there is
CASES = [
    ("bochs-skylake_x", "virtual", "virtual"),
    ("bochs-skylake_x", "shadow", "shadow"),
    ("bochs-skylake_x", "emulate", "emulate"),
    ("bochs-ivy_bridge", "virtual", "shadow"),
    ("bochs-zambezi", "virtual", "shadow"),
    ("bochs-zambezi", "emulate", "emulate"),
]
# What Bochs delivers wrongly by itself, from the third on only if a physical interrupt waits: docs/interrupts.md.
BOCHS_FAULTS = " ".join(f"skip={name}" for name in (
    "irq_stays_out", "irq_to_new_memory", "irq_sti_shadow", "irq_sti_shadow_kept",
    "irq_sti_shadow_fault", "ioapic_nmi_halted"))
GROUPS = " ".join(f"only={name}" for name in ("interrupts", "cr8", "irq_lines", "irq_timer", "irq_windows", "pic",
                                              "apic_msg", "hpet", "delivery", "x2apic", "lapic", "lapic_forms", "lapic_string"))
# Where two virtual processors share a physical one, Bochs has an NMI in service of one hold up the other's.
BESIDE = {32: "", 64: "skip=irq_nmi skip=irq_nmi_blocked skip=ioapic_nmi_halted"}


@pytest.mark.parametrize("host,asked,used", [
    pytest.param(*c, marks=pytest.mark.xdist_group(f"apic-{c[0]}-{c[1]}")) for c in CASES])
def test_local_apic(host, asked, used, workdir):
    """The in-guest tests of interrupts, with 64-bit code and with 32-bit code beside it."""
    words = f"testdev {GROUPS} {BOCHS_FAULTS if used == 'virtual' else ''}"
    guests = [image.Guest(f"g{bits}", guest_elf(f"check{bits}"), "mem=64M testdev", f"{words} {skip}")
              for bits, skip in BESIDE.items()]
    iso = skep_iso(workdir, guests, words=f"idle=poweroff apic={asked}")
    with machine(host, workdir, iso) as m:
        m.wait_end(200)
        lines = skep_lines(m.console)
        assert not re.findall(r"FAIL .*", m.console)
        assert any(line.endswith(f"; local APICs: {used}") for line in lines), lines
        for bits in (32, 64):
            assert f"vm g{bits}: exited, status 0" in lines


@pytest.mark.xdist_group("apic-qemu")
def test_on_qemu(workdir):
    """QEMU, as it counts instructions, leaves its loop whenever one of its timers is due, and would
    deliver an injected interrupt twice if the guest had not left before. CR8 is the processor's."""
    guest = image.Guest("g", guest_elf("check64"), "mem=64M testdev", "testdev only=irq_once "
                        "only=irq_sti_shadow_kept only=irq_sti_shadow_fault only=cr8")
    iso = skep_iso(workdir, [guest], words="idle=poweroff apic=shadow")
    with machine("qemu", workdir, iso, icount=True) as m:
        m.wait_end(100)
        assert "8 passed, 0 failed" in m.console, m.console[-1000:]
