# SPDX-License-Identifier: BSD-2-Clause
"""tsc=: a time-stamp counter of another rate, where the processor can scale it."""
import re

import pytest

import image
from machines import guest_elf, machine, on, skep_iso

ONLY = "cpuid_hypervisor_leaf irq_tsc_deadline msr_tsc_adjust msr_tsc_write ticks_apic ticks_pit".split()


def check(name, words):
    """guests/check measures the rate by the PIT, and holds CPUID, the deadline timer and ticks to it."""
    return image.Guest(name, guest_elf("check64"), f"mem=32M testdev {words}",
                       " ".join(["testdev"] + [f"only={t}" for t in ONLY]))


def rate(said):
    """MHz, as measured by the guest."""
    return int(re.search(r"check64: under skep, tsc (\d+) kHz", said).group(1)) / 1000


@pytest.mark.parametrize("mhz", [pytest.param(37, marks=pytest.mark.long), 512])
def test_scaled(mhz, workdir):
    """Slower and faster than the machine's 100 MHz."""
    with machine("bochs-skylake_x", workdir, skep_iso(workdir, [check("a", f"tsc={mhz}")])) as m:
        m.expect(r"vm a: exited, status \d+", 120)
        said = m.console
    assert f"{len(ONLY)} passed, 0 failed" in said, said[-2000:]
    assert mhz * 0.98 < rate(said) < mhz * 1.02


@pytest.mark.parametrize("host", on("qemu", "bochs-ivy_bridge", "bochs-zambezi"))
def test_refused_where_it_cannot_be(host, workdir):
    """That VM alone; and nobody is told that the processor could."""
    guests = [check("a", "tsc=500"),
              image.Guest("b", guest_elf("hello64"), "mem=16M testdev", "testdev status=7")]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.expect("vm b: exited, status 7", 60)
        said = m.console
    assert "vm a: not started: tsc= cannot be had: this processor cannot scale its TSC" in said
    assert "TSC-scaling" not in said
