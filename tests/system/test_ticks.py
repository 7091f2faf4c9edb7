# SPDX-License-Identifier: BSD-2-Clause
"""Periodic timers of each kind, counted over a minute of the guest's time: right to a tick.

The guest halts in between, and these hosts, whose clocks count instructions, skip that time."""
import re

import pytest

import image
from machines import guest_elf, machine, skep_iso


@pytest.mark.long
@pytest.mark.parametrize("host", ["qemu", "bochs-skylake_x", "bochs-ivy_bridge", "bochs-tigerlake",
                                  "bochs-zambezi", "bochs-lynnfield"])
def test_a_minute_of_ticks(host, workdir):
    guest = image.Guest("check", guest_elf("check64"), "mem=32M testdev",
                        "testdev only=ticks_group seconds=60 counted")
    counted = {"icount": True} if host == "qemu" else {}
    with machine(host, workdir, skep_iso(workdir, [guest]), limit=1200, **counted) as m:
        m.expect(r"\d+ passed, \d+ failed", 1180)
        said = re.findall(r"^(PASS|FAIL|SKIP) (ticks_.*)", m.console.replace("\r", ""), re.M)
        m.wait_end(20)
    assert sorted(said) == [("PASS", f"ticks_{timer}") for timer in
                            ("apic", "deadline", "hpet", "pit", "rtc")], said
