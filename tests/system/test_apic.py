# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC by each word of apic=: what a guest may rely on is the same with each."""
import re

import pytest

import image
from machines import PROMPT, Monitor, guest_elf, machine, skep_iso, skep_lines

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
GROUPS = " ".join(f"only={name}" for name in (
    "interrupts", "cr8", "irq_lines", "irq_timer", "irq_windows", "pic", "apic_msg", "hpet", "delivery",
    "x2apic", "lapic", "lapic_forms", "lapic_string"))
# Where virtual processors share a physical one, Bochs has an NMI in service of one hold up the other's.
NMIS = ("irq_nmi", "irq_nmi_blocked", "ioapic_nmi_halted")


@pytest.mark.parametrize("host,asked,used", [
    pytest.param(*c, marks=pytest.mark.xdist_group(f"apic-{c[0]}-{c[1]}")) for c in CASES])
def test_local_apic(host, asked, used, workdir):
    """The in-guest tests of interrupts, with 64-bit code and with 32-bit code beside it; NMIs alone."""
    words = f"testdev {BOCHS_FAULTS if used == 'virtual' else ''}"
    beside = " ".join([words, GROUPS, *(f"skip={name}" for name in NMIS)])
    alone = " ".join([words, *(f"only={name}" for name in NMIS)])
    guests = [image.Guest(f"{name}{bits}", guest_elf(f"check{bits}"), f"mem=64M testdev {start}", line)
              for name, start, line in (("g", "", beside), ("n", "start=manual", alone))
              for bits in (32, 64)]
    iso = skep_iso(workdir, guests, words=f"idle=monitor apic={asked}")
    with machine(host, workdir, iso) as m:
        for _ in range(2):
            m.expect(r"vm g\d+: exited, status \d+\r\n", 200)
        m.expect(PROMPT, 20)
        for bits in (32, 64):
            m.send_line(f"start n{bits}")
            m.expect(rf"vm n{bits}: exited, status \d+\r\n" + PROMPT, 60)
            assert "PASS irq_nmi_blocked" in Monitor(m).say(f"log n{bits}")
        m.send_line("poweroff")
        m.wait_end(20)
        lines = skep_lines(m.console)
        assert not re.findall(r"FAIL .*", m.console)
        assert any(line.endswith(f"; local APICs: {used}") for line in lines), lines
        for guest in guests:
            assert f"vm {guest.name}: exited, status 0" in lines


@pytest.mark.xdist_group("apic-qemu")
def test_on_qemu(workdir):
    """QEMU, as it counts instructions, leaves its loop whenever one of its timers is due, and would
    deliver an injected interrupt twice if the guest had not left before. CR8 is the processor's."""
    guest = image.Guest("g", guest_elf("check64"), "mem=64M testdev", "testdev only=irq_once "
                        "only=irq_sti_shadow_kept only=irq_sti_shadow_fault only=irq_sti_hlt only=cr8")
    iso = skep_iso(workdir, [guest], words="idle=poweroff apic=shadow")
    with machine("qemu", workdir, iso, icount=True) as m:
        m.wait_end(100)
        assert "9 passed, 0 failed" in m.console, m.console[-1000:]
