# SPDX-License-Identifier: BSD-2-Clause
"""Kernels and programs that others made, out of Debian's packages, unmodified."""
import pytest

import guests
from machines import machine, on, plain, skep_iso


def boot(host, workdir, name, mem, **kw):
    """The machine with one guest of tools/guests.py; not started yet."""
    return machine(host, workdir, skep_iso(workdir, [guests.get(name)]), mem=mem, **kw)


def long(*names):
    """As on(): Bochs' machines, whose turn is in make check-long."""
    return [pytest.param(n, marks=[pytest.mark.long, pytest.mark.xdist_group(n)]) for n in names]


KERNELS = {"debian-standard": r"Linux 6\.1\.\S+-amd64, 64-bit entry",
           "debian-686": r"Linux 6\.1\.\S+-686, 32-bit entry",
           "debian-i386": r"Linux 6\.1\.\S+-686-pae, 32-bit entry"}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("host", [*on("qemu"), *long("bochs-skylake_x", "bochs-ivy_bridge",
                                                     "bochs-lynnfield")])
def test_kernel(host, name, workdir):
    """Debian's other kernels come to the shell and switch themselves off."""
    if host == "qemu" and name == "debian-i386":
        pytest.skip("test_linux.py starts it on QEMU")
    with boot(host, workdir, name, 800, limit=300 if host == "qemu" else 1200) as m:
        m.expect(f"vm linux: {KERNELS[name]}", 120)
        m.expect(r"ready\. A shell follows", 100 if host == "qemu" else 1000)
        m.send_line("uname -m; poweroff")
        m.expect(r"x86_64" if "686" not in KERNELS[name] else r"i[56]86", 60)
        m.expect(r"skep: vm linux: powered off", 60)


# In Bochs it is some 17,000 million instructions to the first dialog. One of them is enough for every day.
@pytest.mark.parametrize("host, arch", [
    pytest.param("qemu", "i386", marks=pytest.mark.xdist_group("qemu")),
    *[pytest.param(host, arch, marks=[pytest.mark.long, pytest.mark.xdist_group(host)])
      for host, arch in (("qemu", "amd64"), ("bochs-skylake_x", "amd64"), ("bochs-skylake_x", "i386"))]])
def test_installer(host, arch, workdir):
    """Debian's installer comes to its first dialog, the language; Enter takes what it proposes, and it
    asks for the place."""
    with boot(host, workdir, f"installer-{arch}", 1700,
              limit=900 if host == "qemu" else 5400) as m:
        m.expect(r"Select a language", 600 if host == "qemu" else 5000)
        m.expect(r"English", 30)
        m.expect(r"<Go Back>", 30)
        m.drain(2)
        m.send("\r")
        m.expect(r"Select your location", 200)
        m.expect(r"Continent or region|Country, territory or area", 30)


@pytest.mark.parametrize("host", on("qemu", "bochs-skylake_x"))
def test_grub(host, workdir):
    """GRUB's shell works, reads the guest's ACPI tables, and switches the guest off by them."""
    with boot(host, workdir, "grub", 512) as m:
        m.expect(r"vm grub: Multiboot kernel, ELF32, 64 MiB", 60)
        m.expect(r"grub> ", 60)
        m.send_line("lsmmap")
        m.expect(r"base_addr = 0x100000, length = 0x3f00000, available RAM", 20)
        m.send_line("lsacpi")
        m.expect(r"LAPIC_NMI ACPI_ID=ff Flags=0005 lint=01", 30)
        tables = plain(m.console)
        for what in ("RSDPv2 signature:RSD PTR  chksum:1e (valid)", "XSDT", "FACP", "APIC",
                     "Local APIC=fee00000", "IOAPIC ID=00 address=fec00000 GSI=00000000"):
            assert what in tables, what
        assert "invalid" not in tables
        m.send_line("halt")
        m.expect(r"skep: vm grub: powered off", 30)


@pytest.mark.parametrize("name", ("memtest", "memtest-i386"))
@pytest.mark.parametrize("host", [*on("qemu"), *long("bochs-skylake_x", "bochs-lynnfield")])
def test_memtest(host, name, workdir):
    """memtest86+ draws its screen on the serial line, sees the memory, tests it without an error;
    Escape resets the machine."""
    slow = 1 if host == "qemu" else 10
    with boot(host, workdir, name, 512, limit=240 * slow) as m:
        m.expect(r"Memtest86\+ v6", 60 * slow)
        m.expect(r"Memory  :   64MB", 60 * slow)
        m.expect(r"skep skep virtual machine", 30 * slow)
        m.expect(r"Using: All Cores .*Errors: 0 ", 100 * slow)
        m.send("\x1b")
        m.expect(r"skep: vm memtest: reset", 60 * slow)
