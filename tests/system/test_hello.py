# SPDX-License-Identifier: BSD-2-Clause
"""Multiboot 1 guests from guests/hello: 32-bit and 64-bit, on their own and side by side."""
import re
import zlib

import pytest

import image
from tree import make
from machines import guest_elf, machine, on, plain, skep_iso

HOSTS = ("qemu", "bochs-skylake_x", "bochs-ivy_bridge", "bochs-zambezi")


@pytest.mark.parametrize("host", on(*HOSTS))
@pytest.mark.parametrize("bits", (32, 64))
def test_hello(host, bits, workdir):
    """What the guest was given is what grub.cfg says; its status comes back."""
    module = bytes(range(256)) * 33
    # Bochs delivers no interrupt while a guest that was entered with interrupts off polls: what
    # the guest prints comes late there, and nobody can wait for its question.
    key = "key " if host.startswith("qemu") else ""
    guest = image.Guest("hello", guest_elf(f"hello{bits}"), "mem=32M testdev",
                        f"testdev  {key}status=42 'as it is'")
    iso = skep_iso(workdir, [guest], lines=["module2 /boot/blob vm=hello module -- blob of bytes"],
                   files={"blob": module})
    with machine(host, workdir, iso) as m:
        m.expect(rf"hello{bits}: here", 100)
        if key:
            m.expect(r"press a key", 30)
            m.send("k")
            m.expect(r"key 6b", 10)
        m.expect(r"skep: vm hello: exited, status 42", 20)
        m.wait_end(30)
        text = plain(m.console)
    assert re.search(r"entry eax 2badb002 ebx \S+ eflags \S+ cr0 \S*1 ", text)
    # As GRUB hands it over: one blank between words, double quotes around what has blanks.
    assert f"command line 'testdev {key}status=42 \"as it is\"'\n" in text
    assert re.search(rf"module 0 at \S+ size {len(module)} crc32 {zlib.crc32(module):08x}: "
                     r".*blob of bytes", text)
    assert re.search(rf"mode {bits}-bit", text)
    usable = int(re.search(r"usable (\d+) KiB", text).group(1))
    assert 31 << 10 <= usable <= 32 << 10
    assert re.search(r"hypervisor '\S", text)
    assert re.search(r"acpi \d+ tables, 0 bad, 1 cpus, 1 ioapics", text)


@pytest.mark.parametrize("host", on("qemu", "qemu-2cpu", "bochs-skylake_x"))
def test_side_by_side(host, workdir):
    """Several VMs, each with an end of its own; the others' ends do not touch them."""
    ends = {"a": ("hello64", "testdev status=7", "exited, status 7"),
            "b": ("hello32", "poweroff", "powered off"),
            "c": ("hello64", "reset", "reset"),
            "d": ("hello32", "testdev status=255", "exited, status 255")}
    guests = [image.Guest(name, guest_elf(elf),
                          "mem=16M" + (" testdev" if "testdev" in line else ""), line)
              for name, (elf, line, _) in ends.items()]
    with machine(host, workdir, skep_iso(workdir, guests)) as m:
        m.wait_end(100)
        text = plain(m.console)
    for name, (_, _, end) in ends.items():
        assert re.search(rf"^skep: vm {name}: {end}$", text, re.M), m.tail()


def test_halted_guest_is_alone(workdir):
    """A guest that halts with interrupts off holds up no other."""
    guests = [image.Guest("still", guest_elf("hello32"), "mem=16M", "halt"),
              image.Guest("other", guest_elf("hello64"), "mem=16M testdev", "testdev status=3")]
    with machine("qemu", workdir, skep_iso(workdir, guests)) as m:
        m.expect(r"skep: vm other: exited, status 3", 60)


def test_pvh(workdir):
    """`qemu -kernel build/skep.elf`: no loader, no modules; it says what it found and ends."""
    assert make("all").returncode == 0
    with machine("qemu", workdir, None, kernel=image.SKEP, firmware="pvh",
                 append="idle=poweroff log=debug") as m:
        m.expect(r"skep: version .*started by", 20)
        m.expect(r"no virtual machine is configured", 20)
        assert m.wait_end(20) == 0
