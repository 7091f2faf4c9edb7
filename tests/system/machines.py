# SPDX-License-Identifier: BSD-2-Clause
"""The machines that the tests boot, by name, and images for them.

Tests that use one machine together bear its name as their group, so that one worker runs them and
boots it once.
"""
import os
import re

import pytest

import hosts
import image

SKEP = image.SKEP

# name -> (class, arguments)
MACHINES = {
    "qemu": (hosts.Qemu, {}),
    "qemu-2cpu": (hosts.Qemu, {"cpus": 2}),
    "qemu-uefi": (hosts.Qemu, {"firmware": "uefi"}),
    "qemu-uefi-2cpu": (hosts.Qemu, {"firmware": "uefi", "cpus": 2}),
    "bochs-skylake_x": (hosts.Bochs, {"model": "corei7_skylake_x"}),
    "bochs-ivy_bridge": (hosts.Bochs, {"model": "corei7_ivy_bridge_3770k"}),
    "bochs-tigerlake": (hosts.Bochs, {"model": "tigerlake"}),
    "bochs-zambezi": (hosts.Bochs, {"model": "zambezi"}),
    "bochs-lynnfield": (hosts.Bochs, {"model": "corei5_lynnfield_750"}),
}


def machine(name, workdir, iso, **kw):
    """The machine, not started yet."""
    kind, arguments = MACHINES[name]
    return kind(workdir, iso, **{"limit": 300 if kind is hosts.Bochs else 120, **arguments, **kw})


def on(*names, group=None):
    """Parameters for pytest: these machines, each with its group."""
    return [pytest.param(n, marks=pytest.mark.xdist_group(f"{group}-{n}" if group else n))
            for n in names]


def skep_iso(workdir, guests, words="idle=poweroff", lines=(), files=None, timeout=0):
    """An image that boots skep with these guests; lines: further lines of the entry."""
    title, entry = image.skep_entry("skep", guests, words)
    contents = {"skep.elf": SKEP, **(files or {})}
    for guest in guests:
        contents.update(guest.files())
    return hosts.make_iso(os.path.join(workdir, "boot.iso"), [(title, entry + list(lines))],
                          contents, timeout)


def guest_elf(name):
    return image.path("build/guests", f"{name}.elf")


def plain(text):
    """A console's text without carriage returns and terminal control."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def skep_lines(text):
    """What skep itself said."""
    return [line[6:] for line in plain(text).split("\n") if line.startswith("skep: ")]
