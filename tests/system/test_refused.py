# SPDX-License-Identifier: BSD-2-Clause
"""Machines that skep cannot use, or not wholly: a sentence says what is missing and how to get it,
and skep ends as idle= says. Their ACPI tables may be bad or not there at all."""
import os
import re
import struct
import subprocess

import pytest

import hosts
import image
from machines import PROMPT, SKEP, Monitor, guest_elf, machine, plain, skep_iso

group = pytest.mark.xdist_group

NO_BACK_END = r"skep: no virtual machine can run: [^\r\n]*\r"
REFUSALS = {
    # name -> (class, arguments, what the sentence says)
    "qemu-without-svm": (hosts.Qemu, {"cpu": "qemu64,-svm"}, r"(VMX|SVM)"),
    "qemu-without-npt": (hosts.Qemu, {"cpu": "max,-npt"}, r"nested pag"),
    "bochs-p4": (hosts.Bochs, {"model": "p4_prescott_celeron_336"}, r"(VMX|SVM)"),
    "bochs-penryn": (hosts.Bochs, {"model": "core2_penryn_t9600"}, r"EPT|nested pag"),
    "bochs-turion": (hosts.Bochs, {"model": "turion64_tyler"}, r"nested pag"),
}


def hello_iso(workdir, **kw):
    guest = image.Guest("hello", guest_elf("hello64"), "mem=16M testdev", "testdev status=5")
    return skep_iso(workdir, [guest], **kw)


def test_start_without_virtualisation(workdir):
    """Who asks for a VM all the same is told, each time."""
    with hosts.Qemu(workdir, hello_iso(workdir, words="idle=monitor"), cpu="qemu64,-svm",
                    limit=60) as m:
        m.expect(PROMPT, 40)
        monitor = Monitor(m)
        for _ in range(2):
            assert "vm hello: not started: no virtual machine can run here" in monitor.say("start hello")
        assert monitor.states() == {"hello": "not started"}


@pytest.mark.parametrize("name", REFUSALS)
def test_no_virtualisation(name, workdir):
    """One sentence, no guest, and the end that idle= asks for."""
    kind, arguments, says = REFUSALS[name]
    with kind(workdir, hello_iso(workdir), limit=120, **arguments) as m:
        sentence = m.expect(NO_BACK_END, 90).group(0)
        assert re.search(says, sentence), sentence
        m.wait_end(30)
        assert "hello64: here" not in m.console


def test_vmx_locked_off(workdir):
    """Firmware that has locked VMX off. Bochs' own locks it on: its debugger gives another value of
    IA32_FEATURE_CONTROL (0x3a) to whoever reads it, right behind the RDMSR."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", SKEP], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    read = re.findall(r"\$0x3a\b.*\n(?:.*\n){0,8}?.*\trdmsr\s*\n\s*([0-9a-f]{16}):", code)
    assert read
    debugger = [f"lb {int(a, 16):#x}" for a in read] + ["c", "set eax = 1", "c", "q"]
    with hosts.Bochs(workdir, hello_iso(workdir), debugger=debugger, limit=120) as m:
        sentence = m.expect(NO_BACK_END, 90).group(0)
        assert "the firmware has locked VMX off: turn on Intel virtualisation" in sentence
        m.wait_end(30)
        assert "hello64: here" not in m.console


def test_32_bit_processor(workdir):
    """A processor without long mode gets a sentence too, from the 32-bit entry."""
    with hosts.Qemu(workdir, hello_iso(workdir), cpu="pentium3", limit=60) as m:
        m.expect(r"64-bit|long mode", 40)


def test_no_execute_disable(workdir):
    """Firmware can keep NX off; without it skep's memory could not be what it is to be."""
    with hosts.Qemu(workdir, hello_iso(workdir), cpu="max,nx=off", limit=60) as m:
        m.expect(r"skep: cannot start: the processor's execute-disable bit \(NX\) is off", 40)


@pytest.mark.parametrize("cpus, says", ((1, r"no virtual machine is configured"),
                                        (36, r"cpu (\d+): out of memory for CPU \1's [a-z ]+\r")))
def test_too_little_memory(cpus, says, workdir):
    """3 MiB are enough for skep itself and one processor, not for 36: those without memory are left
    out, each with a sentence, and nothing hangs."""
    with hosts.Qemu(workdir, None, kernel=SKEP, append="idle=poweroff", mem=3, firmware="pvh",
                    cpus=cpus, limit=100) as m:
        m.expect("skep: " + says, 90)
        m.wait_end(60)
        assert "skep: no VM is left: powering off" in m.console


def test_guest_larger_than_the_machine(workdir):
    """A VM that is promised more memory than is free stops alone, when it runs out."""
    guests = [image.Guest("small", guest_elf("hello64"), "mem=16M testdev", "testdev status=5"),
              image.Guest("eager", guest_elf("hello64"), "mem=300M fill=boot testdev", "testdev")]
    with machine("qemu", workdir, skep_iso(workdir, guests), mem=128) as m:
        m.wait_end(60)
        text = plain(m.console)
    assert re.search(r"^skep: vm eager: .*memory", text, re.M), m.tail()
    assert re.search(r"^skep: vm small: exited, status 5$", text, re.M), m.tail()


def test_no_acpi(workdir):
    """A board with no ACPI tables at all: one processor, and guests run."""
    with hosts.Qemu(workdir, hello_iso(workdir), machine="pc", extra=["-no-acpi"], limit=60) as m:
        m.expect(r"skep: [^\r]*(ACPI|RSDP)", 40)
        m.expect(r"skep: vm hello: exited, status 5", 40)


class Tables:
    """The ACPI tables of a QEMU machine, found in its memory while GRUB waits."""

    def __init__(self, m, workdir):
        self.m, self.workdir = m, workdir
        low = self.read(0xe0000, 0x20000)
        at = next(i for i in range(0, len(low), 16) if low[i:i + 8] == b"RSD PTR ")
        self.rsdt = struct.unpack_from("<I", low, at + 16)[0]
        size = struct.unpack_from("<I", self.read(self.rsdt + 4, 4))[0]
        entries = struct.unpack(f"<{(size - 36) // 4}I", self.read(self.rsdt + 36, size - 36))
        self.at = {self.read(e, 4).decode(): e for e in entries}

    def read(self, address, size):
        file = os.path.join(self.workdir, "memory.bin")
        self.m.monitor(f'pmemsave {address} {size} "{file}"')
        with open(file, "rb") as f:
            return f.read()


@pytest.mark.parametrize("table", ("APIC", "FACP", "RSDT"))
def test_acpi_bad_checksum(table, workdir):
    """A table whose checksum is wrong is named and left out; guests run all the same."""
    iso = hello_iso(workdir, timeout=60)
    with hosts.Qemu(workdir, iso, limit=90) as m:
        m.expect(r"automatically in", 30)
        m.send("c")
        m.expect(r"grub> ", 10)
        tables = Tables(m, workdir)
        byte = {"RSDT": tables.rsdt, **tables.at}[table] + 9
        old = tables.read(byte, 1)[0]
        for command in ("insmod memrw", f"write_byte {byte:#x} {old ^ 0x55:#x}",
                        "configfile /boot/grub/grub.cfg"):
            m.send_line(command)
        m.expect(r"automatically in", 10)
        assert tables.read(byte, 1)[0] == old ^ 0x55
        m.send("\r")
        m.expect(rf"skep: ACPI: the checksum of the {table} is wrong", 30)
        m.expect(r"skep: vm hello: exited, status 5", 30)
