# SPDX-License-Identifier: BSD-2-Clause
"""What is wrong on the boot image: one clear sentence each, and the others run."""
import re
import struct

import pytest

import image
from machines import guest_elf, machine, on, skep_iso, skep_lines

GOOD = 23


def patched(data, at, fmt, value):
    out = bytearray(data)
    struct.pack_into(fmt, out, at, value)
    return bytes(out)


def cases():
    """name -> (kernel bytes or None, words, command line, initrd bytes or None, expected sentence)"""
    with open(image.debian()[0], "rb") as f:
        linux = f.read()
    with open(guest_elf("hello64"), "rb") as f:
        hello = f.read()
    return {
        "cut": (linux[:1 << 20], "mem=128M", "", None, r"truncated: it ends at file offset 0x100000"),
        "cuthead": (linux[:0x240], "mem=128M", "", None, r"truncated"),
        "cutelf": (hello[:len(hello) // 8], "mem=32M", "", None, r"truncated|do not lie in its"),
        "text": (b"This is a letter and no kernel.\n" * 99, "mem=32M", "", None,
                 r"it is no kernel"),
        "empty": (b"\n", "mem=32M", "", None, r"it is no kernel|empty"),
        "big": (linux, "mem=8M", "", None, r"more than the guest's memory|gives too little"),
        "bigrd": (linux, "mem=96M", "", bytes(88 << 20), r"initrd of 90112K does not fit|more than"),
        "mem0": (hello, "mem=0", "", None, r"'mem=0' is too little"),
        "mem1t": (hello, "mem=1T", "", None, r"'mem=1T' is more than this machine can give"),
        "twice": (hello, "mem=32M mem=64M", "", None, r"'mem' stands twice"),
        "colour": (hello, "mem=32M colour=red", "", None,
                   r"'colour=red' is not understood; the words are"),
        "vcpus": (hello, "vcpus=many", "", None, r"'vcpus=many' is not understood; .* number"),
        "setup": (patched(linux, 0x1f1, "<B", 0xff), "mem=128M", "", None,
                  r"setup header|truncated|no kernel"),
        "align": (patched(linux, 0x230, "<I", 0x12345), "mem=128M", "", None, r"kernel_alignment"),
        "typed": (hello, "mem=32M type=linux", "", None, r"type=linux, but it has no 'HdrS'"),
    }


@pytest.mark.parametrize("host", on("qemu", "bochs-zambezi", "bochs-skylake_x"))
def test_bad_modules(host, workdir):
    """Fifteen VMs that cannot start and one that can."""
    files, lines, expected = {}, [], {}
    for name, (kernel, words, cmdline, initrd, sentence) in cases().items():
        if host != "qemu" and name == "bigrd":
            continue  # a CD-ROM read by programmed I/O: 88 MiB take too long in Bochs
        files[name] = kernel
        lines.append(f"module2 /boot/{name} vm={name} kernel {words} -- {cmdline}")
        if initrd is not None:
            files[name + ".rd"] = initrd
            lines.append(f"module2 /boot/{name}.rd vm={name} initrd")
        expected[name] = sentence
    good = image.Guest("good", guest_elf("hello64"), "mem=16M testdev", f"testdev status={GOOD}")
    iso = skep_iso(workdir, [good], lines=lines, files=files)
    with machine(host, workdir, iso, mem=1024) as m:
        m.wait_end(240)
        said = skep_lines(m.console)
    for name, sentence in expected.items():
        about = [s for s in said if s.startswith(f"vm {name}: ")]
        assert len(about) == 1, f"{name}: {about}{m.tail(80)}"
        assert re.search(sentence, about[0]), about[0]
        assert about[0].count(f"vm {name}") == 1, about[0]
    assert f"vm good: exited, status {GOOD}" in said


def test_bad_configuration(workdir):
    """Words of skep's own, files of no VM, and VMs with parts missing; the good one runs."""
    good = image.Guest("good", guest_elf("hello64"), "mem=16M testdev", f"testdev status={GOOD}")
    lines = ["module2 /boot/good.kernel kernel mem=16M",
             "module2 /boot/rd vm=headless initrd",
             "module2 /boot/nowhere vm=missing kernel mem=16M",
             "module2 /boot/rd vm=missing initrd",
             "module2 /boot/good.kernel vm=double kernel",
             "module2 /boot/good.kernel vm=double kernel"]
    iso = skep_iso(workdir, [good], "idle=poweroff log=loud nonsense idle=reboot", lines=lines,
                   files={"rd": b"070701 not much of an initrd"})
    with machine("qemu", workdir, iso) as m:
        m.wait_end(60)
        said = "\n".join(skep_lines(m.console))
    for sentence in (r"'log=loud' is not understood; 'log=' takes error, warn, info or debug",
                     r"'nonsense' is not understood; the words are console=, log=",
                     r"'idle=' stands there twice",
                     r"module \d+.*: no 'vm=NAME' says whose it is",
                     r"vm headless: .*it has an initrd but no kernel",
                     r"vm missing: .*it has an initrd but no kernel",
                     r"vm double: .*are both its kernel",
                     rf"vm good: exited, status {GOOD}"):
        assert re.search(sentence, said), f"{sentence}\n{said}"


def test_nothing_but_skep(workdir):
    """An image with no module at all."""
    with machine("qemu", workdir, skep_iso(workdir, [])) as m:
        m.expect(r"skep: no virtual machine is configured", 60)
        m.wait_end(20)
