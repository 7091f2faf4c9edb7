# SPDX-License-Identifier: BSD-2-Clause
"""`make iso`: the hybrid image, as a USB stick in BIOS and UEFI machines, and its menu on the serial
line."""
import os
import subprocess

import pytest

import hosts
from tree import ROOT, make


@pytest.fixture(scope="module")
def iso():
    out = make("iso", timeout=300)
    assert out.returncode == 0, out.stdout[-3000:]
    return os.path.join(ROOT, "build/skep.iso")


@pytest.mark.parametrize("firmware", ("bios", "uefi"))
@pytest.mark.xdist_group("iso")
def test_boots_from_a_usb_stick(iso, firmware, workdir):
    """GRUB's menu by the serial line; the guest chosen there runs and ends."""
    stick = ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={iso}",
             "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=1"]
    with hosts.Qemu(workdir, None, firmware=firmware, extra=stick, limit=100) as m:
        m.expect(r"skep: linux.*skep: hello64", 60)
        m.send("\x0e\r")  # Ctrl-N: the next entry
        m.expect(r"skep: version", 40)
        m.expect(r"hello64: done", 20)
        m.expect(r"skep: vm hello64: (exited|powered off)", 20)


@pytest.mark.xdist_group("iso")
def test_every_guest_is_on_the_menu(iso, tmp_path):
    target = tmp_path / "grub.cfg"
    subprocess.run(["xorriso", "-indev", iso, "-osirrox", "on", "-extract", "/boot/grub/grub.cfg",
                    str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    text = target.read_text()
    for name in ("linux", "hello64", "hello32", "bench"):
        assert f"menuentry 'skep: {name}'" in text
