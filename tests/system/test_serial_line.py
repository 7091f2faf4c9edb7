# SPDX-License-Identifier: BSD-2-Clause
"""Where skep's serial line can be: console=, the firmware's tables, PCI cards; both directions."""
import os
import re
import struct

import pytest

import image
from machines import guest_elf, machine, on, plain, skep_iso

COM2 = "isa-serial,iobase=0x2f8,irq=3"


def table(workdir, signature, revision, body):
    """QEMU's words that add an ACPI table with this body."""
    path = os.path.join(workdir, signature.lower())
    with open(path, "wb") as f:
        f.write(body)
    return ["-acpitable", f"sig={signature},rev={revision},oem_id=TESTER,oem_table_id=TESTER,"
            f"data={path}"]


def gas(address, space=1, bits=8, access=1):
    return struct.pack("<BBBBQ", space, bits, 0, access, address)


def spcr(address, interrupt=(0, 0, 0), kind=0, baud=7):
    """A Serial Port Console Redirection Table, revision 2, behind its header."""
    return (struct.pack("<B3x", kind) + gas(address) + struct.pack("<BBI", *interrupt) +
            struct.pack("<BBBBBB", baud, 0, 1, 0, 3, 0) + struct.pack("<HHBBBIBI", 0xffff, 0xffff,
                                                                       0, 0, 0, 0, 0, 0))


def dbg2(address):
    """A Debug Port Table 2 with one 16550 at these ports, behind its header."""
    device = struct.pack("<BHBHHHHHHHHH", 0, 22 + 12 + 4 + 2, 1, 2, 38, 0, 0, 0x8000, 0, 0, 22, 34)
    return struct.pack("<II", 44, 1) + device + gas(address) + struct.pack("<I", 8) + b".\0"


# name -> (console=, the line's device, ACPI tables, whether it has an interrupt)
LINES = {
    "port": ("0x2e8", "isa-serial,iobase=0x2e8,irq=3", (), True),
    "pci": ("pci", "pci-serial", (), True),
    "pci-pc": ("pci", "pci-serial", (), True),
    "pci2": ("pci2", "pci-serial,addr=5", (), True),
    "other-port": ("0x5a0", "isa-serial,iobase=0x5a0,irq=5", (), False),
    "spcr-irq": ("spcr", COM2, (("SPCR", 2, spcr(0x2f8, (1, 3, 0))),), True),
    "spcr-gsi": ("spcr", COM2, (("SPCR", 2, spcr(0x2f8, (3, 3, 3), kind=0x12)),), True),
    "dbg2": ("spcr,115200", COM2, (("DBG2", 0, dbg2(0x2f8)),), True),
    "spcr-bad": ("spcr", None, (("SPCR", 2, spcr(0x2f8, kind=3)),), True),
    "pci-none": ("pci,9600", None, (), True),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("host", on("qemu", group="serial-line"))
def test_line(host, line, workdir):
    """skep is heard and hears there: a guest gets the key that it waits for, and ends."""
    word, device, tables, interrupt = LINES[line]
    extra = [w for t in tables for w in table(workdir, *t)]
    if line == "pci2":
        extra += ["-device", "pci-serial,addr=4"]
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M testdev", "testdev key status=7")]
    iso = skep_iso(workdir, guests, words=f"idle=poweroff console={word}")
    kind = "pc" if line == "pci-pc" else "q35"
    with machine(host, workdir, iso, serial=device, extra=extra, machine=kind) as m:
        m.expect("press a key", 60)
        m.send("x")
        m.expect("key 78", 20)
        m.wait_end(20)
        said = plain(m.console)
    assert re.search(r"skep: version .* started by GRUB", said)  # said before the line was found
    assert "skep: vm one: exited, status 7\n" in said
    assert ("it is polled" in said) == (not interrupt)
    wrong = re.search(r"console=: there is no 16550 (.*); the console is COM1", said)
    assert bool(wrong) == (device is None)


@pytest.mark.parametrize("host", on("qemu", group="serial-line"))
def test_line_with_another(host, workdir):
    """A card that nobody serves asserts the interrupt that both have: the console goes on without."""
    guests = [image.Guest("one", guest_elf("hello64"), "mem=16M testdev", "testdev key status=7")]
    iso = skep_iso(workdir, guests, words="idle=poweroff console=pci")
    with machine(host, workdir, iso, serial="pci-serial,addr=4",
                 extra=["-device", "pci-serial,addr=8"]) as m:
        m.expect("press a key", 60)
        other = re.search(r"device +8, function(?:.*\n)*?.*BAR0: I/O at (0x\w+)", m.monitor("info pci"))
        m.monitor(f"o /b {int(other.group(1), 16) + 1:#x} 2")  # its transmitter is empty
        m.expect("skep: no interrupt of the console's is found: it is polled", 20)
        m.send("x")
        m.expect("key 78", 20)
        m.wait_end(20)
