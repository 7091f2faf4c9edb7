#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What goes onto a boot image: grub.cfg entries for skep and its VMs, and the guests beside it.

    tools/image.py OUT.iso      the image of `make iso`: a Linux guest, and the guests built here

A person's own guest comes by environment variables: KERNEL (file), INITRD (file, or `none`),
CMDLINE, MEM (as in mem=), VCPUS, ARCH (amd64 or i386: which Debian kernel); or GUEST, a name of
tools/guests.py, with CMDLINE, MEM and VCPUS over what is said there.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Another build of skep than the usual one: SKEP=build/checked/skep.elf.
SKEP = os.path.abspath(os.environ.get("SKEP") or os.path.join(ROOT, "build/skep.elf"))
GUESTS = ("hello64", "hello32", "bench")
POWEROFF = "`poweroff` in the guest ends it"


def path(*parts):
    return os.path.join(ROOT, *parts)


def is_linux(kernel):
    """Whether the file bears the Linux boot protocol's magic number (at 0x202)."""
    with open(kernel, "rb") as f:
        return f.read(0x206)[0x202:0x206] == b"HdrS"


def size_of(words):
    """Bytes of a size such as 512M."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    suffix = words[-1:].upper()
    if suffix in units:
        return int(words[:-1], 0) << units[suffix]
    return int(words, 0)


class Guest:
    """A VM as grub.cfg describes it. modules: (source, its words), such as "module -- its
    command line". files: name in /boot -> source, a path or bytes. ends: how a person ends it, if
    it does not end by itself."""

    def __init__(self, name, kernel, words="", cmdline="", initrd=None, modules=(), ends=""):
        self.name, self.words, self.cmdline, self.ends = name, words, cmdline, ends
        self.kernel, self.initrd, self.modules = kernel, initrd, modules

    def lines(self):
        tail = f" -- {self.cmdline}" if self.cmdline else ""
        words = f" {self.words}" if self.words else ""
        out = [f"module2 /boot/{self.name}.kernel vm={self.name} kernel{words}{tail}"]
        if self.initrd:
            out.append(f"module2 /boot/{self.name}.initrd vm={self.name} initrd")
        out += [f"module2 /boot/{self.name}.{i} vm={self.name} {text}"
                for i, (_, text) in enumerate(self.modules)]
        return out

    def files(self):
        out = {f"{self.name}.kernel": self.kernel}
        if self.initrd:
            out[f"{self.name}.initrd"] = self.initrd
        for i, (source, _) in enumerate(self.modules):
            out[f"{self.name}.{i}"] = source
        return out


def debian(arch="amd64"):
    """(kernel, initramfs) of Debian's kernel, fetched and packed if they are not there."""
    kernel, initrd = path("build/cache", arch, "vmlinuz"), path("build/guest", f"initrd-{arch}")
    if not os.path.exists(kernel) or not os.path.exists(initrd):
        subprocess.run(["make", "-s", f"build/guest/initrd-{arch}"], cwd=ROOT, check=True)
    return kernel, initrd


def named_guest(env):
    """A guest of tools/guests.py, and what the person says otherwise."""
    import guests
    for name in ("KERNEL", "INITRD", "ARCH"):
        if env.get(name):
            raise SystemExit(f"{name}={env[name]}: GUEST={env['GUEST']} brings its own")
    guest = guests.get(env["GUEST"])
    said = [f"{word}={env[name]}" for name, word in (("MEM", "mem"), ("VCPUS", "vcpus"))
            if env.get(name)]
    taken = tuple(word.split("=")[0] + "=" for word in said)
    guest.words = " ".join([w for w in guest.words.split() if not w.startswith(taken)] + said
                           if taken else [guest.words])
    if env.get("MEM"):  # guests/promise is told what it ought to find
        guest.cmdline = re.sub(r"\bram=\d+", f"ram={size_of(env['MEM']) >> 20}", guest.cmdline)
    if env.get("VCPUS"):
        guest.cmdline = re.sub(r"\bcpus=\d+", f"cpus={env['VCPUS']}", guest.cmdline)
    guest.cmdline = env.get("CMDLINE") or guest.cmdline
    return guest


def persons_guest(env):
    """The guest that GUEST, or KERNEL, INITRD, CMDLINE, MEM, VCPUS and ARCH describe."""
    if env.get("GUEST"):
        return named_guest(env)
    own, initrd = env.get("KERNEL"), env.get("INITRD")
    for name, file in (("KERNEL", own), ("INITRD", initrd)):
        if file and file != "none" and not os.path.isfile(file):
            raise SystemExit(f"{name}={file}: no such file")
    if own:
        kernel = own
        default = debian(env.get("ARCH") or "amd64")[1] if is_linux(own) and not initrd else None
    else:
        kernel, default = debian(env.get("ARCH") or "amd64")
    initrd = None if initrd == "none" else initrd or default
    cmdline = env.get("CMDLINE")
    if cmdline is None or cmdline == "":
        cmdline = "console=ttyS0" if is_linux(kernel) else ""
    words = f"mem={env.get('MEM') or '512M'} vcpus={env.get('VCPUS') or '1'}"
    if is_linux(kernel):
        return Guest("linux", kernel, words, cmdline, initrd, ends=POWEROFF)
    return Guest("guest", kernel, words, cmdline, initrd)


def skep_entry(title, guests, words="", skep="skep.elf"):
    """A grub.cfg entry that starts skep with these guests."""
    lines = [f"multiboot2 /boot/{skep}" + (f" {words}" if words else "")]
    for guest in guests:
        lines += guest.lines()
    return title, lines


def bare_entry(title, guest):
    """A grub.cfg entry that starts the guest with no skep: what the machine itself does with it."""
    if isinstance(guest.kernel, bytes):
        raise SystemExit(f"BARE=1: GUEST={guest.name} is for skep, GRUB has no way to start it")
    if is_linux(guest.kernel):
        lines = [f"linux /boot/{guest.name}.kernel {guest.cmdline}"]
        if guest.initrd:
            lines.append(f"initrd /boot/{guest.name}.initrd")
    else:
        lines = [f"multiboot /boot/{guest.name}.kernel {guest.cmdline}".rstrip()]
    return title, lines


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    linux = persons_guest(os.environ)
    entries = [skep_entry(f"skep: {linux.name}", [linux])]
    files = {"skep.elf": SKEP, **linux.files()}
    for name in GUESTS:
        elf = path("build/guests", f"{name}.elf")
        if os.path.exists(elf):
            guest = Guest(name, elf, "mem=64M")
            entries.append(skep_entry(f"skep: {name}", [guest]))
            files.update(guest.files())
    hosts.make_iso(sys.argv[1], entries, files, timeout=5)


if __name__ == "__main__":
    main()
