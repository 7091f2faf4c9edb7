# SPDX-License-Identifier: BSD-2-Clause
"""Emulated instructions in whole machines: every form in every kind of code, and what cannot be
emulated."""
import os
import re
import subprocess

import pytest

import image
from machines import guest_elf, machine, on, plain, skep_iso
from tree import make


def forms_guest(name, bits, words, cmdline):
    return image.Guest(name, guest_elf(f"forms{bits}"), f"mem=32M testdev {words}",
                       f"testdev {cmdline}")


def walk_guest(name, bits):
    # All memory at once: Bochs' SVM reports a stale event where INT n meets a nested fault.
    return image.Guest(name, guest_elf(f"walk{bits}"), "mem=32M testdev fill=boot", "testdev")


def replay(line):
    """What build/host/capsule makes of a line."""
    make("build/host/capsule")
    done = subprocess.run([os.path.join(image.ROOT, "build/host/capsule"), line], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr  # it is not executed there either
    return done.stdout


def check_capsules(text):
    """Each line replays: decoded, its operand found where the exit was, and the guest's walk."""
    lines = re.findall(r"^skep: vm (\w+): vcpu 0: not emulated \((.*?)\): (capsule .*)$", text, re.M)
    assert {name for name, _, _ in lines} == {"f64", "strict"}
    assert len([1 for name, _, _ in lines if name == "f64"]) < 500  # of 1000: rate-limited
    assert len([1 for name, _, _ in lines if name == "strict"]) == 1
    for name, levels in (("f64", 4), ("strict", 3)):
        line = [c for n, _, c in lines if n == name][0]
        said = replay(f"skep: vm {name}: vcpu 0: not emulated (x): {line}")
        assert re.search(r"^decoded +\(known length\), 2 bytes", said, re.M), said
        assert re.search(r"^linear +61040$", said, re.M), said
        assert re.search(r"^exit +(access|read) of ff000040", said, re.M), said
        assert len(re.findall(r"^  level ", said, re.M)) == levels, said
        assert re.search(r"^  level 1 .* P W U .*-> ff000040$", said, re.M), said
        assert re.search(r"^executed +not supported: not executed here", said, re.M), said


@pytest.mark.parametrize("host", on("qemu", "bochs-skylake_x", "bochs-zambezi"))
def test_forms(host, workdir):
    """
    Every instruction form on memory and on a device; what nobody emulates, in a VM that is told with
    #UD and in one that is strict; the processor's page walk and the emulator's.
    """
    # Bochs panics when a guest leaves virtual-8086 mode for a 64-bit host under SVM.
    vm86 = " novm86" if host == "bochs-zambezi" else ""
    guests = [forms_guest("f64", 64, "", "quick unsupported"),
              forms_guest("f32", 32, "", "quick" + vm86),
              forms_guest("strict", 32, "strict", "only=none unsupported"),
              walk_guest("w64", 64), walk_guest("w32", 32)]
    with machine(host, workdir, skep_iso(workdir, guests), limit=600) as m:
        m.wait_end(580)
        text = plain(m.console)
    for name in ("f64", "f32", "w64", "w32"):
        assert f"skep: vm {name}: exited, status 0\n" in text, m.tail(60)
    assert "skep: vm strict: stopped: an instruction could not be emulated\n" in text, m.tail(60)
    assert "unsupported: 1000 of 1000 times #UD\n" in text
    for mode in ("64-bit", "32-bit compatibility", "16-bit compatibility"):
        forms, done, undefined = map(int, re.search(
            rf"^{mode}: (\d+) forms, (\d+) completed, (\d+) undefined here, 0 failed$", text,
            re.M).groups())
        assert forms > 700 and done > 700 and done + undefined == forms
    check_capsules(text)
