# SPDX-License-Identifier: BSD-2-Clause
"""guests/promise: each start protocol's promises, checked from inside on every kind of host."""
import re

import pytest

import guests
from machines import machine, on, plain, skep_iso

KINDS = ("multiboot", "multiboot2", "pvh", "elf32", "elf64", "flat", "linux32", "linux64",
         "freebsd32", "freebsd64")


def verdicts(said, names):
    """Every VM's status is the number of promises that did not hold."""
    for name in names:
        assert f"skep: vm {name}: exited, status 0\n" in said, f"{name}\n{said[-3000:]}"
    # The first VM's console is the one that is shown.
    assert re.search(r"^promise: 1\d\d values, 0 wrong$", said, re.M), said[-3000:]


@pytest.mark.parametrize("host", on("qemu", "bochs-skylake_x", "bochs-zambezi", "bochs-lynnfield"))
def test_every_promise(host, workdir):
    """Registers, segments, tables, boot information, modules, memory map, firmware."""
    # Without unrestricted guests there is one processor a VM.
    cpus = 1 if host == "bochs-lynnfield" else 3
    vms = [guests.promise(kind, cpus=cpus if kind in ("pvh", "linux64") else 1) for kind in KINDS]
    with machine(host, workdir, skep_iso(workdir, vms), mem=1024) as m:
        m.wait_end(290)
        said = plain(m.console)
    verdicts(said, KINDS)
